/* elf.c - a bounds-checked reader of ELF64 files; see elf.h. */
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "policy/elf.h"

#define MAX_PHDRS 128
#define MAX_DYNAMIC 4096
#define MAX_NEEDED 512
#define MAX_STRING 4096

struct reader {
    int fd;
    uint64_t size;
    Elf64_Phdr phdrs[MAX_PHDRS];
    size_t n_phdrs;
    uint64_t strtab, strsz; /* file offset and size; strsz 0 = none */
};

/* Exactly n bytes at an offset, or -EBADMSG if the file does not reach that far. */
static int read_at(const struct reader *r, uint64_t offset, void *out, size_t n)
{
    if (offset > r->size || n > r->size - offset)
        return -EBADMSG;
    for (size_t done = 0; done < n;) {
        ssize_t got = pread(r->fd, (char *)out + done, n - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -EBADMSG;
        done += (size_t)got;
    }
    return 0;
}

/* A NUL-terminated string of at most max bytes (with NUL) at an offset. */
static int read_string(const struct reader *r, uint64_t offset, uint64_t max, char **ret)
{
    char text[MAX_STRING];
    if (max > sizeof(text))
        max = sizeof(text);
    if (offset > r->size)
        return -EBADMSG;
    if (max > r->size - offset)
        max = r->size - offset;
    /* Most names are short: read a little first. */
    for (size_t n = max < 128 ? (size_t)max : 128;; n = (size_t)max) {
        int err = read_at(r, offset, text, n);
        if (err < 0)
            return err;
        if (n > 0 && memchr(text, '\0', n)) {
            *ret = orch_xstrdup(text);
            return 0;
        }
        if (n >= max)
            return -EBADMSG;
    }
}

static int read_header(struct reader *r, Elf64_Ehdr *h)
{
    if (r->size < SELFMAG)
        return -ENOEXEC;
    *h = (Elf64_Ehdr){0};
    int err = read_at(r, 0, h, r->size < sizeof(*h) ? (size_t)r->size : sizeof(*h));
    if (err < 0)
        return err;
    if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0)
        return -ENOEXEC;
    if (r->size < sizeof(*h))
        return -EBADMSG;
    if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_machine != EM_X86_64)
        return -ENOEXEC;
    if (h->e_type != ET_EXEC && h->e_type != ET_DYN)
        return -ENOEXEC;
    if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum == 0 || h->e_phnum > MAX_PHDRS)
        return -EBADMSG;
    r->n_phdrs = h->e_phnum;
    return read_at(r, h->e_phoff, r->phdrs, r->n_phdrs * sizeof(Elf64_Phdr));
}

static const Elf64_Phdr *find_phdr(const struct reader *r, uint32_t type)
{
    for (size_t i = 0; i < r->n_phdrs; i++)
        if (r->phdrs[i].p_type == type)
            return &r->phdrs[i];
    return NULL;
}

/* File offset of an address, and how many file bytes follow in its segment. */
static int locate(const struct reader *r, uint64_t addr, uint64_t *ret_offset, uint64_t *ret_left)
{
    for (size_t i = 0; i < r->n_phdrs; i++) {
        const Elf64_Phdr *p = &r->phdrs[i];
        if (p->p_type != PT_LOAD || addr < p->p_vaddr || addr - p->p_vaddr >= p->p_filesz)
            continue;
        if (__builtin_add_overflow(p->p_offset, addr - p->p_vaddr, ret_offset))
            return -EBADMSG;
        *ret_left = p->p_filesz - (addr - p->p_vaddr);
        return 0;
    }
    return -EBADMSG;
}

static int find_strings(struct reader *r, const Elf64_Dyn *dyn, size_t n)
{
    uint64_t addr = 0, size = 0, left;
    for (size_t i = 0; i < n; i++) {
        if (dyn[i].d_tag == DT_STRTAB)
            addr = dyn[i].d_un.d_ptr;
        if (dyn[i].d_tag == DT_STRSZ)
            size = dyn[i].d_un.d_val;
    }
    if (size == 0)
        return 0; /* then any name is an error where it is used */
    int err = locate(r, addr, &r->strtab, &left);
    if (err < 0)
        return err;
    r->strsz = size < left ? size : left;
    return 0;
}

static int read_name(const struct reader *r, uint64_t index, char **ret)
{
    uint64_t offset;
    if (index >= r->strsz || __builtin_add_overflow(r->strtab, index, &offset))
        return -EBADMSG;
    return read_string(r, offset, r->strsz - index, ret);
}

static int take_entry(const struct reader *r, const Elf64_Dyn *d, struct orch_elf *e)
{
    ORCH_AUTO_FREE char *name = NULL;
    if (d->d_tag != DT_NEEDED && d->d_tag != DT_RPATH && d->d_tag != DT_RUNPATH)
        return 0;
    int err = read_name(r, d->d_un.d_val, &name);
    if (err < 0)
        return err;
    if (d->d_tag == DT_NEEDED) {
        if (e->needed.n >= MAX_NEEDED)
            return -EBADMSG;
        orch_strv_add_take(&e->needed, ORCH_TAKE_PTR(name));
        return 0;
    }
    char **slot = d->d_tag == DT_RPATH ? &e->rpath : &e->runpath;
    if (!*slot)
        *slot = ORCH_TAKE_PTR(name);
    return 0;
}

static int read_dynamic(struct reader *r, struct orch_elf *e)
{
    const Elf64_Phdr *p = find_phdr(r, PT_DYNAMIC);
    if (!p)
        return 0;
    size_t n = p->p_filesz / sizeof(Elf64_Dyn) < MAX_DYNAMIC ? (size_t)(p->p_filesz / sizeof(Elf64_Dyn))
                                                             : MAX_DYNAMIC;
    ORCH_AUTO_FREE Elf64_Dyn *dyn = orch_xcalloc(n + 1, sizeof(*dyn));
    int err = read_at(r, p->p_offset, dyn, n * sizeof(*dyn));
    if (err < 0)
        return err;
    size_t used = 0;
    while (used < n && dyn[used].d_tag != DT_NULL)
        used++;
    err = find_strings(r, dyn, used);
    for (size_t i = 0; err == 0 && i < used; i++)
        err = take_entry(r, &dyn[i], e);
    return err;
}

static int read_interp(const struct reader *r, struct orch_elf *e)
{
    const Elf64_Phdr *p = find_phdr(r, PT_INTERP);
    return p ? read_string(r, p->p_offset, p->p_filesz, &e->interp) : 0;
}

static int read_elf(int fd, struct reader *r, struct orch_elf *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size < 0)
        return -ENOEXEC;
    r->fd = fd;
    r->size = (uint64_t)st.st_size;
    Elf64_Ehdr h = {0};
    int err = read_header(r, &h);
    if (err == 0)
        err = read_interp(r, e);
    if (err == 0)
        err = read_dynamic(r, e);
    e->program = h.e_type == ET_EXEC || e->interp || (h.e_entry != 0 && e->needed.n == 0);
    return err;
}

int orch_elf_read(int fd, struct orch_elf *ret)
{
    struct orch_elf e = {0};
    ORCH_AUTO_FREE struct reader *r = orch_xcalloc(1, sizeof(*r));
    int err = read_elf(fd, r, &e);
    if (err < 0)
        orch_elf_fini(&e);
    *ret = e;
    return err;
}

void orch_elf_fini(struct orch_elf *e)
{
    free(e->interp);
    free(e->rpath);
    free(e->runpath);
    orch_strv_fini(&e->needed);
    *e = (struct orch_elf){0};
}
