/* tools_program.c - programs and scripts with their interpreters, helper rows and `with` paths. */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <fts.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>
#include "common/io.h"
#include "policy/elf.h"
#include "policy/helpers.h"
#include "policy/tools_internal.h"

#define MAX_DEPTH 5         /* of `#!` and helper programs; the kernel allows 5 interpreters */
#define SHEBANG_MAX 256     /* BINPRM_BUF_SIZE */
#define MAX_SCANNED 200000u /* entries of one helper directory */

static bool executable_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111) != 0;
}

char *orch_tools_lookup(struct orch_resolver *r, const char *name)
{
    if (name[0] == '\0' || strchr(name, '/'))
        return NULL;
    for (size_t i = 0; i < r->search.n; i++) {
        ORCH_AUTO_FREE char *path = orch_xasprintf("%s/%s", r->search.v[i], name);
        if (executable_file(path))
            return ORCH_TAKE_PTR(path);
    }
    return NULL;
}

/* Reads the beginning of a regular file: byte count or -errno. buf is NUL-terminated. */
static ssize_t read_head(const char *path, char buf[SHEBANG_MAX + 1])
{
    ORCH_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -EACCES;
    ssize_t n = pread(fd, buf, SHEBANG_MAX, 0);
    if (n < 0)
        return -errno;
    buf[n] = '\0';
    return n;
}

int orch_tools_is_script(const char *path)
{
    char head[SHEBANG_MAX + 1] = "";
    ssize_t n = read_head(path, head);
    return n < 0 ? (int)n : n >= 2 && head[0] == '#' && head[1] == '!';
}

/* ---- scripts ---- */

/* The program that `env ARGS` runs: the first word that is neither an option nor an assignment. Points into
 * args. */
static const char *env_program(char *args)
{
    char *save = NULL;
    for (char *word = strtok_r(args, " \t", &save); word; word = strtok_r(NULL, " \t", &save))
        if (word[0] != '-' && !strchr(word, '='))
            return word;
    return NULL;
}

static int add_env_program(struct orch_resolver *r, const char *script, char *args, unsigned depth,
                           struct orch_err *err)
{
    const char *name = env_program(args);
    if (!name)
        return orch_err_set(err, ENOENT, "%s: '#!' line with env names no program", script);
    ORCH_AUTO_FREE char *path = name[0] == '/' ? orch_xstrdup(name) : orch_tools_lookup(r, name);
    if (!path)
        return orch_err_set(err, ENOENT, "%s: interpreter '%s' is not on this host", script, name);
    ORCH_AUTO_FREE char *why = orch_xasprintf("interpreter of %s", script);
    return orch_tools_add_program(r, orch_tools_basename(name), path, why, depth + 1, err);
}

static int add_interpreter(struct orch_resolver *r, const char *script, char *line, unsigned depth,
                           struct orch_err *err)
{
    line[strcspn(line, "\r\n")] = '\0';
    line += strspn(line, " \t");
    size_t n = strcspn(line, " \t");
    ORCH_AUTO_FREE char *interp = orch_xstrndup(line, n);
    if (interp[0] != '/')
        return orch_err_set(err, ENOEXEC, "%s: the '#!' line does not name an absolute path", script);
    ORCH_AUTO_FREE char *why = orch_xasprintf("interpreter of %s", script);
    const char *name = orch_tools_basename(interp);
    int result = orch_tools_add_program(r, name, interp, why, depth + 1, err);
    if (result == 0 && strcmp(name, "env") == 0)
        result = add_env_program(r, script, line + n, depth, err);
    return result;
}

/* ---- directories ---- */

static bool may_be_code(const char *name)
{
    return strstr(name, ".so") || strstr(name, ".node") || !strchr(name, '.');
}

/* Adds the libraries of ELF files beneath a helper directory; those it cannot read or complete are left as
 * they are. */
static void scan_dir(struct orch_resolver *r, const char *dir)
{
    ORCH_AUTO_FREE char *copy = orch_xstrdup(dir);
    char *roots[] = {copy, NULL};
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOSTAT | FTS_NOCHDIR, NULL);
    size_t seen = 0;
    for (FTSENT *e = fts ? fts_read(fts) : NULL; e && seen++ < MAX_SCANNED; e = fts_read(fts)) {
        if ((e->fts_info != FTS_F && e->fts_info != FTS_NSOK) || !may_be_code(e->fts_name))
            continue;
        struct stat st;
        char head[SHEBANG_MAX + 1] = "";
        if (lstat(e->fts_path, &st) < 0 || !S_ISREG(st.st_mode) || read_head(e->fts_path, head) < 4 ||
            memcmp(head, "\177ELF", 4) != 0)
            continue;
        ORCH_AUTO_FREE char *why = orch_xasprintf("in %s", dir);
        (void)orch_tools_add_elf(r, e->fts_path, ORCH_CLOSURE_LIBRARY, why, "", NULL);
    }
    if (fts)
        (void)fts_close(fts);
}

static int add_dir(struct orch_resolver *r, const char *path, const char *why)
{
    ORCH_AUTO_FREE char *real = orch_tools_walk(r, path, why);
    if (!real)
        return -errno;
    bool added;
    (void)orch_map_put(&r->programs, real, &added);
    orch_tools_add(r, ORCH_CLOSURE_DIR, real, why);
    if (added)
        scan_dir(r, real);
    return 0;
}

/* ---- helper rows ---- */

static void add_helper_path(struct orch_resolver *r, enum orch_helper_kind kind, const char *path,
                            const char *why, unsigned depth)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return;
    if (kind == ORCH_HELPER_DIR && S_ISDIR(st.st_mode)) {
        (void)add_dir(r, path, why);
        return;
    }
    if (kind == ORCH_HELPER_PROGRAM) {
        (void)orch_tools_add_program(r, orch_tools_basename(path), path, why, depth + 1, NULL);
        return;
    }
    ORCH_AUTO_FREE char *real = orch_tools_walk(r, path, why);
    if (real && kind == ORCH_HELPER_LIBRARY)
        (void)orch_tools_add_elf(r, real, ORCH_CLOSURE_LIBRARY, why, "", NULL);
    else if (real && kind == ORCH_HELPER_DATA)
        orch_tools_add(r, ORCH_CLOSURE_DATA_DIR, real, why);
}

/* "$PREFIX/x" with /usr/bin/tool gives "/usr/x"; "$PREFIX" of a file not in a bin directory gives NULL. */
static char *expand_prefix(const char *what, const char *real)
{
    if (strncmp(what, "$PREFIX/", 8) != 0)
        return orch_xstrdup(what);
    ORCH_AUTO_FREE char *dir = orch_xstrndup(real, (size_t)(orch_tools_basename(real) - real));
    size_t n = strlen(dir);
    if (n < 5 || strcmp(dir + n - 5, "/bin/") != 0)
        return NULL;
    return orch_xasprintf("%.*s/%s", (int)(n - 5), dir, what + 8);
}

static void add_helper(struct orch_resolver *r, const struct orch_helper *h, const char *real,
                       const char *why, unsigned depth)
{
    if (h->kind == ORCH_HELPER_PROGRAM && h->what[0] != '/' && h->what[0] != '$') {
        ORCH_AUTO_FREE char *path = orch_tools_lookup(r, h->what);
        if (path)
            (void)orch_tools_add_program(r, h->what, path, why, depth + 1, NULL);
        return;
    }
    ORCH_AUTO_FREE char *pattern = expand_prefix(h->what, real);
    glob_t g;
    if (!pattern || glob(pattern, GLOB_NOSORT, NULL, &g) != 0)
        return;
    for (size_t i = 0; i < g.gl_pathc; i++)
        add_helper_path(r, h->kind, g.gl_pathv[i], why, depth);
    globfree(&g);
}

static void add_helpers(struct orch_resolver *r, const char *name, const char *real, unsigned depth)
{
    ORCH_AUTO_FREE char *why = orch_xasprintf("helper of %s", name);
    const char *base = orch_tools_basename(real);
    for (size_t i = 0; i < orch_n_helpers; i++) {
        const struct orch_helper *h = &orch_helpers[i];
        if (strcmp(h->program, "*") == 0)
            continue;
        if (fnmatch(h->program, name, 0) == 0 || fnmatch(h->program, base, 0) == 0)
            add_helper(r, h, real, why, depth);
    }
}

static bool has_loader(const struct orch_resolver *r)
{
    for (size_t i = 0; i < r->c.n; i++)
        if (r->c.v[i].kind == ORCH_CLOSURE_LOADER)
            return true;
    return false;
}

/* What libc opens by itself, once, as soon as one program is there that is not static: its modules are
 * hundreds of files, and are read for every plan. */
static void add_libc_helpers(struct orch_resolver *r, unsigned depth)
{
    if (r->libc_done || !has_loader(r))
        return;
    r->libc_done = true;
    for (size_t i = 0; i < orch_n_helpers; i++)
        if (strcmp(orch_helpers[i].program, "*") == 0)
            add_helper(r, &orch_helpers[i], "/", "used by the C library", depth);
}

/* ---- programs ---- */

static void note_used(struct orch_resolver *r, const char *path)
{
    ORCH_AUTO_FREE char *dir = orch_xstrndup(path, (size_t)(orch_tools_basename(path) - path));
    if (strlen(dir) > 1)
        dir[strlen(dir) - 1] = '\0';
    if (orch_strv_has(&r->search, dir) && !orch_strv_has(&r->used, dir))
        orch_strv_add(&r->used, dir);
}

int orch_tools_add_program(struct orch_resolver *r, const char *name, const char *path, const char *why,
                           unsigned depth, struct orch_err *err)
{
    bool added;
    ORCH_AUTO_FREE char *key = orch_xasprintf("%s\n%s", path, name);
    if (depth > MAX_DEPTH)
        return orch_err_set(err, ELOOP, "%s: more than %d interpreters or helpers in a row", path, MAX_DEPTH);
    char head[SHEBANG_MAX + 1] = "";
    ssize_t n = read_head(path, head);
    if (n < 0)
        return orch_err_sys(err, (int)-n, "%s", path);
    bool script = n >= 2 && head[0] == '#' && head[1] == '!';
    struct orch_map_node *node = orch_map_put(&r->programs, key, &added);
    if (!added)
        return node->value ? orch_err_set(err, ENOENT, "%s", node->value) : 0;
    ORCH_AUTO_FREE char *real = orch_tools_walk(r, path, why);
    if (!real)
        return orch_err_sys(err, errno, "%s", path);
    struct orch_err own = {0};
    int result;
    if (script) {
        orch_tools_add(r, ORCH_CLOSURE_PROGRAM, real, why);
        result = add_interpreter(r, real, head + 2, depth, &own);
    } else {
        result = orch_tools_add_elf(r, real, ORCH_CLOSURE_PROGRAM, why, "", &own);
    }
    if (result < 0) {
        node->value = orch_xstrdup(own.msg);
        return orch_err_set(err, -result, "%s", own.msg);
    }
    note_used(r, path);
    add_libc_helpers(r, depth);
    add_helpers(r, name, real, depth);
    return 0;
}

int orch_tools_add_extra(struct orch_resolver *r, const char *path, const char *why, struct orch_err *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return orch_err_sys(err, errno, "%s", path);
    if (S_ISDIR(st.st_mode))
        return add_dir(r, path, why) < 0 ? orch_err_sys(err, errno, "%s", path) : 0;
    if (!S_ISREG(st.st_mode))
        return orch_err_set(err, EINVAL, "%s is neither a file nor a directory", path);
    ORCH_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return orch_err_sys(err, errno, "%s", path);
    struct orch_elf elf = {0};
    bool is_elf = orch_elf_read(fd, &elf) == 0, program = elf.program;
    orch_elf_fini(&elf);
    if ((st.st_mode & 0111) != 0 && (program || orch_tools_is_script(path) == 1))
        return orch_tools_add_program(r, orch_tools_basename(path), path, why, 0, err);
    ORCH_AUTO_FREE char *real = orch_tools_walk(r, path, why);
    if (!real)
        return orch_err_sys(err, errno, "%s", path);
    if (is_elf)
        return orch_tools_add_elf(r, real, ORCH_CLOSURE_LIBRARY, why, "", err);
    orch_tools_add(r, ORCH_CLOSURE_DATA_DIR, real, why);
    return 0;
}
