/* tools_program.c - programs and scripts with their interpreters, and `with` paths. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "common/io.h"
#include "policy/elf.h"
#include "policy/tools_internal.h"

#define MAX_DEPTH 5     /* of `#!` and helper programs; the kernel allows 5 interpreters */
#define SHEBANG_MAX 256 /* BINPRM_BUF_SIZE */

static bool executable_file(struct orch_resolver *r, const char *path)
{
    mode_t mode;
    return orch_sights_mode(&r->sights, path, &mode) == 0 && S_ISREG(mode) && (mode & 0111) != 0;
}

char *orch_tools_lookup(struct orch_resolver *r, const char *name)
{
    if (name[0] == '\0' || strchr(name, '/'))
        return NULL;
    for (size_t i = 0; i < r->search.n; i++) {
        ORCH_AUTO_FREE char *path = orch_xasprintf("%s/%s", r->search.v[i], name);
        if (executable_file(r, path))
            return ORCH_TAKE_PTR(path);
    }
    return NULL;
}

/* Reads the beginning of a regular file: byte count or -errno. buf is NUL-terminated. */
static ssize_t read_head(struct orch_resolver *r, const char *path, char buf[SHEBANG_MAX + 1])
{
    mode_t mode;
    int seen = orch_sights_mode(&r->sights, path, &mode);
    if (seen < 0)
        return seen;
    ORCH_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return -orch_tools_note_errno(r, errno);
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -EACCES;
    ssize_t n = pread(fd, buf, SHEBANG_MAX, 0);
    if (n < 0)
        return -errno;
    buf[n] = '\0';
    return n;
}

int orch_tools_is_script(struct orch_resolver *r, const char *path)
{
    char head[SHEBANG_MAX + 1] = "";
    ssize_t n = read_head(r, path, head);
    return n < 0 ? (int)n : n >= 2 && head[0] == '#' && head[1] == '!';
}

bool orch_tools_is_elf(struct orch_resolver *r, const char *path)
{
    char head[SHEBANG_MAX + 1] = "";
    return read_head(r, path, head) >= 4 && memcmp(head, "\177ELF", 4) == 0;
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
    ssize_t n = read_head(r, path, head);
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
    orch_tools_add_helpers(r, name, real, depth);
    return 0;
}

int orch_tools_add_extra(struct orch_resolver *r, const char *path, const char *why, struct orch_err *err)
{
    mode_t mode;
    int seen = orch_sights_mode(&r->sights, path, &mode);
    if (seen < 0)
        return orch_err_sys(err, -seen, "%s", path);
    if (S_ISDIR(mode))
        return orch_tools_add_dir(r, path, why, true) < 0 ? orch_err_sys(err, errno, "%s", path) : 0;
    if (!S_ISREG(mode))
        return orch_err_set(err, EINVAL, "%s is neither a file nor a directory", path);
    ORCH_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return orch_err_sys(err, orch_tools_note_errno(r, errno), "%s", path);
    struct orch_elf elf = {0};
    bool is_elf = orch_elf_read(fd, &elf) == 0, program = elf.program;
    orch_elf_fini(&elf);
    if ((mode & 0111) != 0 && (program || orch_tools_is_script(r, path) == 1))
        return orch_tools_add_program(r, orch_tools_basename(path), path, why, 0, err);
    ORCH_AUTO_FREE char *real = orch_tools_walk(r, path, why);
    if (!real)
        return orch_err_sys(err, errno, "%s", path);
    if (is_elf)
        return orch_tools_add_elf(r, real, ORCH_CLOSURE_LIBRARY, why, "", err);
    orch_tools_add(r, ORCH_CLOSURE_DATA_DIR, real, why);
    return 0;
}
