/*
 * filter_cache.c - compiled filters kept in a directory (filter_cache.h).
 *
 * Entry: a header with magic, length and SHA-256 of the program, then the program. The digest tells damage
 * from a program that means something else; both are made anew.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <seccomp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include "common/io.h"
#include "policy/filter_cache.h"
#include "policy/filter_child.h"

#define MAGIC "orch-filter-1\n"
#define TEMPORARY ".new-"
#define KEEP (ORCH_FILTER_CACHE_MAX * 3 / 4) /* what is left when there were too many */
#define STALE_S 3600                         /* age of left-over temporaries; how exact "last used" is */

struct header {
    char magic[sizeof(MAGIC)];
    char digest[ORCH_HEX_SIZE];
    uint32_t len; /* instructions */
};

static void note(const struct orch_filter_cache *c, const char *fmt, ...) ORCH_PRINTF(2, 3);

static void note(const struct orch_filter_cache *c, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    if (!c->note)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    c->note(c->ctx, text);
}

static void add_fast(struct orch_sha256 *h, int nr, const struct orch_sc_entry *e)
{
    ORCH_AUTO_FREE char *line = orch_xasprintf("%d %d %u\n", nr, e->always, e->n_fast);
    orch_sha256_add(h, line, strlen(line));
    for (size_t i = 0; i < e->n_fast; i++) {
        char text[64];
        int n = snprintf(text, sizeof(text), "%u %" PRIx64 " %" PRIx64 "\n", e->fast[i].index,
                         e->fast[i].mask, e->fast[i].value);
        orch_sha256_add(h, text, (size_t)n);
    }
}

void orch_filter_key(const struct orch_syscalls *s, char ret[ORCH_HEX_SIZE])
{
    const struct scmp_version *v = seccomp_version();
    ORCH_AUTO_FREE char *head = orch_xasprintf(MAGIC ORCH_VERSION "\nlibseccomp %u.%u.%u\n", v ? v->major : 0,
                                               v ? v->minor : 0, v ? v->micro : 0);
    struct orch_sha256 *h = orch_sha256_new();
    orch_sha256_add(h, head, strlen(head));
    for (int nr = 0; nr < ORCH_SC_MAX; nr++)
        if (s->e[nr].always || s->e[nr].n_fast > 0)
            add_fast(h, nr, &s->e[nr]);
    orch_sha256_hex(h, ret);
}

/* ---- an entry is read ---- */

/* Why the entry is not to be used, or NULL. */
static const char *suspect(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return "it cannot be looked at";
    if (!S_ISREG(st.st_mode))
        return "it is not a regular file";
    if (st.st_uid != geteuid())
        return "it belongs to someone else";
    if ((st.st_mode & 077) != 0 || st.st_nlink > 1) /* 0: taken out just now */
        return "others can reach it";
    return NULL;
}

/* The program of the entry's bytes, or false if they are damaged. */
static bool parse(const struct orch_buf *b, struct orch_filter *ret)
{
    struct header h;
    char digest[ORCH_HEX_SIZE];
    if (b->len < sizeof(h))
        return false;
    memcpy(&h, b->data, sizeof(h));
    size_t size = b->len - sizeof(h);
    if (memcmp(h.magic, MAGIC, sizeof(h.magic)) != 0 || h.len == 0 || h.len > ORCH_FILTER_MAX_INSNS ||
        size != h.len * sizeof(*ret->prog))
        return false;
    orch_sha256_buf(b->data + sizeof(h), size, digest);
    if (memcmp(digest, h.digest, sizeof(digest)) != 0)
        return false;
    ret->len = (unsigned short)h.len;
    ret->prog = orch_xmalloc(size);
    memcpy(ret->prog, b->data + sizeof(h), size);
    return true;
}

/* That it was used: what goes first is what was not. Once an hour is exact enough. */
static void mark_used(int fd)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && st.st_mtime + STALE_S < time(NULL))
        (void)futimens(fd, NULL);
}

static bool load(const struct orch_syscalls *s, const struct orch_filter_cache *c, const char *key,
                 struct orch_filter *ret)
{
    /* O_NONBLOCK: a FIFO in its place must not hold us up. */
    ORCH_AUTO_FD int fd = openat(c->dirfd, key, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ORCH_AUTO_BUF struct orch_buf b = {0};
    struct orch_filter f = {0};
    struct orch_err why = {0};
    if (fd < 0 && errno == ENOENT)
        return false;
    const char *bad = fd < 0 ? "it cannot be opened" : suspect(fd);
    if (!bad && (orch_read_all(fd, sizeof(struct header) + sizeof(*f.prog) * ORCH_FILTER_MAX_INSNS, &b) < 0 ||
                 !parse(&b, &f)))
        bad = "it is damaged";
    if (!bad && orch_filter_verify(s, &f, &why) < 0)
        bad = "it does not mean what the profile says";
    if (bad) {
        note(c, "the cached filter %.12s is made anew: %s", key, bad);
        orch_filter_fini(&f);
        return false;
    }
    mark_used(fd);
    *ret = f;
    return true;
}

/* ---- an entry is made ---- */

static int write_entry(int fd, const struct orch_filter *f)
{
    struct header h = {.magic = MAGIC, .len = f->len};
    orch_sha256_buf(f->prog, f->len * sizeof(*f->prog), h.digest);
    int r = orch_write_all(fd, &h, sizeof(h));
    return r < 0 ? r : orch_write_all(fd, f->prog, f->len * sizeof(*f->prog));
}

struct entry {
    char name[ORCH_HEX_SIZE];
    int64_t used_ns;
};

static int compare_used(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return x->used_ns < y->used_ns ? -1 : x->used_ns > y->used_ns;
}

/* Lists entries, and removes temporaries that a killed process left. */
static struct entry *list_entries(const struct orch_filter_cache *c, DIR *d, size_t *ret_n)
{
    struct entry *v = NULL;
    size_t n = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        struct stat st;
        bool temporary = strncmp(e->d_name, TEMPORARY, strlen(TEMPORARY)) == 0;
        if ((!temporary && strlen(e->d_name) != ORCH_HEX_SIZE - 1) ||
            fstatat(c->dirfd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (temporary && st.st_mtime + STALE_S < time(NULL))
            (void)unlinkat(c->dirfd, e->d_name, 0);
        if (temporary)
            continue;
        v = orch_xreallocarray(v, n + 1, sizeof(*v));
        (void)snprintf(v[n].name, sizeof(v[n].name), "%.64s", e->d_name);
        v[n++].used_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    }
    *ret_n = n;
    return v;
}

static void shrink(const struct orch_filter_cache *c)
{
    int fd = openat(c->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    size_t n = 0;
    if (!d) {
        orch_close_fdp(&fd);
        return;
    }
    ORCH_AUTO_FREE struct entry *v = list_entries(c, d, &n);
    (void)closedir(d);
    if (n <= ORCH_FILTER_CACHE_MAX)
        return;
    qsort(v, n, sizeof(*v), compare_used);
    for (size_t i = 0; i < n - KEEP; i++)
        (void)unlinkat(c->dirfd, v[i].name, 0);
}

/* Not synced: after a crash the entry is whole, or it is noticed and made anew. */
static void store(const struct orch_filter_cache *c, const char *key, const struct orch_filter *f)
{
    uint64_t random = 0;
    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return;
    ORCH_AUTO_FREE char *name = orch_xasprintf(TEMPORARY "%016" PRIx64, random);
    ORCH_AUTO_FD int fd = openat(c->dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int r = fd < 0 ? -errno : write_entry(fd, f);
    if (r == 0 && renameat(c->dirfd, name, c->dirfd, key) < 0)
        r = -errno;
    if (r < 0) {
        note(c, "the compiled filter %.12s cannot be kept: %s", key, strerror(-r));
        if (fd >= 0)
            (void)unlinkat(c->dirfd, name, 0);
        return;
    }
    shrink(c);
}

int orch_filter_get(const struct orch_syscalls *s, const struct orch_filter_cache *cache,
                    struct orch_filter *ret, struct orch_err *err)
{
    char key[ORCH_HEX_SIZE];
    int r = 0;
    if (!cache || (cache->dirfd < 0 && !cache->memo))
        return orch_filter_build(s, ret, err);
    orch_filter_key(s, key);
    if (orch_filter_memo_get(cache->memo, s, key, ret))
        return 0;
    if (cache->dirfd < 0) {
        r = orch_filter_build(s, ret, err);
    } else if (!load(s, cache, key, ret)) {
        r = orch_filter_build(s, ret, err);
        if (r == 0)
            store(cache, key, ret);
    }
    if (r == 0)
        orch_filter_memo_put(cache->memo, s, key, ret);
    return r;
}
