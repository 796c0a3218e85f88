/*
 * tools_elf.c - the libraries of an ELF file, found as the dynamic loader finds them (ld.so(8)): DT_RPATH of
 * the file and of what loads it, unless it has DT_RUNPATH; DT_RUNPATH; ld.so.conf's directories; the default
 * directories. LD_LIBRARY_PATH is not ours to give. Files of another class or machine are passed over, as the
 * loader does.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "common/io.h"
#include "policy/elf.h"
#include "policy/tools_internal.h"

#define CONF_MAX (64u << 10)
#define CONF_DEPTH 4

/* ---- library directories ---- */

static void add_dir(struct orch_resolver *r, const char *dir)
{
    mode_t mode;
    if (dir[0] == '/' && !orch_strv_has(&r->lib_dirs, dir) && orch_sights_mode(&r->sights, dir, &mode) == 0 &&
        S_ISDIR(mode))
        orch_strv_add(&r->lib_dirs, dir);
}

static void read_conf(struct orch_resolver *r, const char *path, unsigned depth);

static void conf_line(struct orch_resolver *r, char *line, unsigned depth)
{
    line[strcspn(line, "#\r")] = '\0';
    line += strspn(line, " \t");
    for (size_t n = strlen(line); n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'); n--)
        line[n - 1] = '\0';
    if (strncmp(line, "include", 7) != 0 || (line[7] != ' ' && line[7] != '\t')) {
        add_dir(r, line);
        return;
    }
    line += 7 + strspn(line + 7, " \t");
    ORCH_AUTO_FREE char *pattern = line[0] == '/' ? orch_xstrdup(line) : orch_xasprintf("/etc/%s", line);
    ORCH_AUTO(orch_strv_fini) struct orch_strv files = {0};
    orch_sights_match(&r->sights, pattern, &files);
    for (size_t i = 0; i < files.n; i++)
        read_conf(r, files.v[i], depth + 1);
}

static void read_conf(struct orch_resolver *r, const char *path, unsigned depth)
{
    ORCH_AUTO_BUF struct orch_buf text = {0};
    mode_t mode;
    if (depth > CONF_DEPTH || orch_sights_mode(&r->sights, path, &mode) < 0 || !S_ISREG(mode) ||
        orch_read_file(AT_FDCWD, path, CONF_MAX, &text) < 0 || !text.data)
        return;
    char *save = NULL;
    for (char *line = strtok_r(text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        conf_line(r, line, depth);
}

void orch_tools_library_dirs(struct orch_resolver *r)
{
    static const char *const defaults[] = {
        "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib",
        "/usr/local/lib" /* musl */};
    read_conf(r, "/etc/ld.so.conf", 0);
    for (size_t i = 0; i < ORCH_NELEM(defaults); i++)
        add_dir(r, defaults[i]);
}

/* ---- search ---- */

/* A regular ELF64 file for this machine; only the header is looked at. */
static bool usable_library(struct orch_resolver *r, const char *path)
{
    mode_t mode;
    if (orch_sights_mode(&r->sights, path, &mode) < 0 || !S_ISREG(mode))
        return false;
    static const unsigned char ident[] = {0x7f, 'E', 'L', 'F', 2 /* 64 bits */, 1 /* little endian */};
    ORCH_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    unsigned char head[20];
    struct stat st;
    if (fd < 0)
        (void)orch_tools_note_errno(r, errno);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    return pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
           memcmp(head, ident, sizeof(ident)) == 0 && head[18] == 62 /* EM_X86_64 */;
}

/* Replaces $ORIGIN and ${ORIGIN}; NULL for other $ tokens and relative results. */
static char *expand_origin(const char *dir, const char *origin)
{
    ORCH_AUTO_BUF struct orch_buf out = {0};
    while (*dir) {
        size_t skip = strncmp(dir, "$ORIGIN", 7) == 0 ? 7 : (strncmp(dir, "${ORIGIN}", 9) == 0 ? 9 : 0);
        if (skip > 0)
            orch_buf_str(&out, origin);
        else if (*dir == '$')
            return NULL;
        else
            orch_buf_char(&out, *dir);
        dir += skip > 0 ? skip : 1;
    }
    return out.len > 0 && out.data[0] == '/' ? orch_buf_take(&out) : NULL;
}

/* A colon-separated list of absolute directories from DT_RPATH or DT_RUNPATH ("" for NULL). */
static char *expand_path(const char *list, const char *real)
{
    ORCH_AUTO_BUF struct orch_buf out = {0};
    ORCH_AUTO_FREE char *origin = orch_xstrndup(real, (size_t)(orch_tools_basename(real) - real));
    ORCH_AUTO_FREE char *copy = orch_xstrdup(list ? list : "");
    char *save = NULL;
    for (char *dir = strtok_r(copy, ":", &save); dir; dir = strtok_r(NULL, ":", &save)) {
        ORCH_AUTO_FREE char *full = expand_origin(dir, origin);
        if (!full)
            continue;
        if (out.len > 0)
            orch_buf_char(&out, ':');
        orch_buf_str(&out, full);
    }
    return orch_buf_take(&out);
}

static char *search_list(struct orch_resolver *r, const char *list, const char *name)
{
    ORCH_AUTO_FREE char *copy = orch_xstrdup(list);
    char *save = NULL;
    for (char *dir = strtok_r(copy, ":", &save); dir; dir = strtok_r(NULL, ":", &save)) {
        ORCH_AUTO_FREE char *path = orch_xasprintf("%s/%s", dir, name);
        if (usable_library(r, path))
            return ORCH_TAKE_PTR(path);
    }
    return NULL;
}

static char *search_defaults(struct orch_resolver *r, const char *name)
{
    bool added;
    struct orch_map_node *node = orch_map_put(&r->libraries, name, &added);
    for (size_t i = 0; added && !node->value && i < r->lib_dirs.n; i++) {
        ORCH_AUTO_FREE char *path = orch_xasprintf("%s/%s", r->lib_dirs.v[i], name);
        if (usable_library(r, path))
            node->value = ORCH_TAKE_PTR(path);
    }
    return node->value ? orch_xstrdup(node->value) : NULL;
}

/* ---- objects ---- */

struct object {
    const char *real;
    struct orch_elf elf;
    char *rpath;   /* DT_RPATH and that of what loads it, expanded */
    char *runpath; /* expanded */
};

static void object_fini(struct object *o)
{
    orch_elf_fini(&o->elf);
    free(o->rpath);
    free(o->runpath);
}

static char *find_library(struct orch_resolver *r, const struct object *o, const char *name)
{
    if (strchr(name, '/')) {
        ORCH_AUTO_FREE char *path = expand_path(name, o->real);
        return usable_library(r, path) ? ORCH_TAKE_PTR(path) : NULL;
    }
    char *path = o->elf.runpath ? NULL : search_list(r, o->rpath, name);
    if (!path)
        path = search_list(r, o->runpath, name);
    return path ? path : search_defaults(r, name);
}

static int add_library(struct orch_resolver *r, const char *path, const char *why, const char *inherited,
                       struct orch_err *err)
{
    ORCH_AUTO_FREE char *real = orch_tools_walk(r, path, why);
    if (!real)
        return orch_err_sys(err, errno, "%s", path);
    return orch_tools_add_elf(r, real, ORCH_CLOSURE_LIBRARY, why, inherited, err);
}

/* Builds for better processors, which the loader prefers, stand in subdirectories beside the plain one. */
static void add_hwcaps(struct orch_resolver *r, const char *path, const char *why)
{
    static const char *const levels[] = {"x86-64-v2", "x86-64-v3", "x86-64-v4"};
    const char *name = orch_tools_basename(path);
    ORCH_AUTO_FREE char *dir = orch_xasprintf("%.*sglibc-hwcaps", (int)(name - path), path);
    mode_t mode;
    if (orch_sights_mode(&r->sights, dir, &mode) < 0)
        return;
    for (size_t i = 0; i < ORCH_NELEM(levels); i++) {
        ORCH_AUTO_FREE char *better = orch_xasprintf("%s/%s/%s", dir, levels[i], name);
        if (usable_library(r, better))
            (void)add_library(r, better, why, "", NULL);
    }
}

static int add_needed(struct orch_resolver *r, const struct object *o, struct orch_err *err)
{
    ORCH_AUTO_FREE char *why = orch_xasprintf("library of %s", o->real);
    int result = 0;
    for (size_t i = 0; i < o->elf.needed.n; i++) {
        const char *name = o->elf.needed.v[i];
        ORCH_AUTO_FREE char *path = find_library(r, o, name);
        int e = path ? add_library(r, path, why, o->rpath, result == 0 ? err : NULL)
                     : orch_err_set(result == 0 ? err : NULL, ENOENT,
                                    "%s needs %s, which is not on this host", o->real, name);
        if (path)
            add_hwcaps(r, path, why);
        if (result == 0)
            result = e;
    }
    return result;
}

static int add_loader(struct orch_resolver *r, const struct object *o, struct orch_err *err)
{
    if (!o->elf.interp)
        return 0;
    ORCH_AUTO_FREE char *why = orch_xasprintf("program interpreter of %s", o->real);
    ORCH_AUTO_FREE char *real = orch_tools_walk(r, o->elf.interp, why);
    if (!real)
        return orch_err_sys(err, errno, "%s needs the loader %s", o->real, o->elf.interp);
    orch_tools_add(r, ORCH_CLOSURE_LOADER, real, why);
    return 0;
}

static int load_object(const char *real, const char *inherited, struct object *o, struct orch_err *err)
{
    ORCH_AUTO_FD int fd = open(real, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return orch_err_sys(err, errno, "cannot read %s", real);
    int result = orch_elf_read(fd, &o->elf);
    if (result < 0)
        return orch_err_set(err, -result, "%s is not a usable x86_64 program or library", real);
    ORCH_AUTO_FREE char *own = expand_path(o->elf.runpath ? NULL : o->elf.rpath, real);
    o->rpath = orch_xasprintf("%s%s%s", own, own[0] && inherited[0] ? ":" : "", inherited);
    o->runpath = expand_path(o->elf.runpath, real);
    return 0;
}

int orch_tools_add_elf(struct orch_resolver *r, const char *real, enum orch_closure_kind kind,
                       const char *why, const char *inherited, struct orch_err *err)
{
    bool added;
    ORCH_AUTO_FREE char *key = orch_xasprintf("%s\n%s", real, inherited);
    struct orch_map_node *node = orch_map_put(&r->objects, key, &added);
    if (!added) {
        if (!node->value) {
            orch_tools_add(r, kind, real, why);
            return 0;
        }
        return orch_err_set(err, ENOENT, "%s", node->value);
    }
    struct orch_err own = {0};
    ORCH_AUTO(object_fini) struct object o = {.real = real};
    int result = load_object(real, inherited, &o, &own);
    (void)orch_tools_note_errno(r, own.errnum);
    if (result == 0) {
        orch_tools_add(r, kind, real, why);
        result = add_loader(r, &o, &own);
        int e = add_needed(r, &o, result == 0 ? &own : NULL);
        result = result == 0 ? e : result;
    }
    if (result < 0) {
        node->value = orch_xstrdup(own.msg);
        (void)orch_err_set(err, -result, "%s", own.msg);
    }
    return result;
}
