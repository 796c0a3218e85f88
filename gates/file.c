/*
 * file.c - the `file` gate: one regular file of the sealed view, named by the workflow.
 *
 * One descriptor is opened without following any symlink, and everything is asked of that descriptor: nothing
 * is opened twice by name (CVE-2018-15664; T-GATE-01 to 04). Sizes are st_size, so a sparse file is as big as
 * it pretends to be, and it is measured before a single byte is read.
 */
#include "gates/gates_int.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include "common/escape.h"
#include "common/hash.h"

#define HASH_MAX (UINT64_C(4) << 30) /* bytes; more would hold up the supervisor, so it is an error */

static const char *kind_name(char type)
{
    static const struct {
        char type;
        const char *name;
    } kinds[] = {{'d', "a directory"}, {'l', "a symbolic link"}, {'p', "a FIFO"},
                 {'s', "a socket"},    {'c', "a device"},        {'b', "a device"}};

    for (size_t i = 0; i < ORCH_NELEM(kinds); i++) {
        if (kinds[i].type == type)
            return kinds[i].name;
    }
    return "of an unknown kind";
}

/* What stands at the path (0: nothing), or -errno with the verdict said. */
static int lookup_type(const struct orch_gate *g, const struct orch_gate_ctx *c, const char *path,
                       struct orch_gate_result *r)
{
    struct orch_entry e = {0};
    int k = orch_view_lookup(c->view, g->path, &e);

    if (k < 0) {
        orch_gate_note_errno(r, -k);
        orch_gate_say(r, ORCH_GATE_ERROR, "%s: cannot be looked up: %s", path, strerror(-k));
        return k;
    }
    k = (unsigned char)e.type;
    orch_entry_fini(&e);
    return k;
}

static bool means_missing(int errnum)
{
    return errnum == ENOENT || errnum == ENOTDIR;
}

/* Only a plain "not there" passes: a symlink on the way hides what a later reader would find behind it. */
static void eval_absent(const struct orch_gate *g, const struct orch_gate_ctx *c, const char *path,
                        struct orch_gate_result *r)
{
    ORCH_AUTO_FD int fd = -1;
    int type = lookup_type(g, c, path, r);

    if (type < 0)
        return;
    if (type > 0) {
        orch_gate_say(r, ORCH_GATE_FAIL, "%s: exists, but must be absent", path);
        return;
    }
    fd = orch_view_open_file(c->view, g->path);
    orch_gate_note_errno(r, -fd);
    if (fd < 0 && means_missing(-fd))
        orch_gate_say(r, ORCH_GATE_PASS, "%s: absent", path);
    else if (fd == -ELOOP)
        orch_gate_say(r, ORCH_GATE_FAIL, "%s: a symbolic link is on the way", path);
    else
        orch_gate_say(r, ORCH_GATE_ERROR, "%s: cannot be shown to be absent", path);
}

static void say_not_opened(const struct orch_gate *g, const struct orch_gate_ctx *c, const char *path,
                           int errnum, struct orch_gate_result *r)
{
    int type = lookup_type(g, c, path, r);

    orch_gate_note_errno(r, errnum);
    if (type < 0)
        return;
    if (type > 0 && type != 'f')
        orch_gate_say(r, ORCH_GATE_FAIL, "%s: is %s, not a regular file", path, kind_name((char)type));
    else if (errnum == ELOOP)
        orch_gate_say(r, ORCH_GATE_FAIL, "%s: a symbolic link is on the way", path);
    else if (means_missing(errnum) && type == 0)
        orch_gate_say(r, ORCH_GATE_FAIL, "%s: missing", path);
    else
        orch_gate_say(r, ORCH_GATE_ERROR, "%s: cannot be opened: %s", path, strerror(errnum));
}

/* NULL, or why the open file is no acceptable artifact whatever is in it. */
static const char *kind_problem(const struct stat *st)
{
    if (!S_ISREG(st->st_mode))
        return "is not a regular file";
    if (st->st_mode & (S_ISUID | S_ISGID))
        return "has a setuid or setgid bit";
    if (st->st_nlink != 1)
        return "has more than one hard link";
    return st->st_size < 0 ? "has a negative size" : NULL;
}

static bool check_size(const struct orch_gate *g, const char *path, uint64_t size, struct orch_gate_result *r)
{
    if (size < g->min_size)
        orch_gate_say(r, ORCH_GATE_FAIL, "%s: %" PRIu64 " bytes, at least %" PRIu64 " wanted", path, size,
                      g->min_size);
    else if (size > g->max_size)
        orch_gate_say(r, ORCH_GATE_FAIL, "%s: %" PRIu64 " bytes, at most %" PRIu64 " wanted", path, size,
                      g->max_size);
    else
        return true;
    return false;
}

static bool check_hash(const struct orch_gate *g, const char *path, int fd, uint64_t size,
                       struct orch_gate_result *r)
{
    char hex[ORCH_HEX_SIZE];
    int64_t n;

    if (size > HASH_MAX) {
        orch_gate_say(r, ORCH_GATE_ERROR, "%s: %" PRIu64 " bytes are too many to hash", path, size);
        return false;
    }
    n = orch_sha256_fd(fd, size, hex);
    orch_gate_note_errno(r, n < 0 ? (int)-n : 0);
    if (n < 0)
        orch_gate_say(r, ORCH_GATE_ERROR, "%s: cannot be read: %s", path, strerror((int)-n));
    else if ((uint64_t)n != size)
        orch_gate_say(r, ORCH_GATE_ERROR, "%s: changed while it was read", path);
    else if (strcmp(hex, g->sha256) != 0)
        orch_gate_say(r, ORCH_GATE_FAIL, "%s: SHA-256 is %s, %s wanted", path, hex, g->sha256);
    else
        return true;
    return false;
}

static void eval_open(const struct orch_gate *g, const char *path, int fd, struct orch_gate_result *r)
{
    const char *problem;
    struct stat st;
    uint64_t size;

    if (fstat(fd, &st) < 0) {
        orch_gate_say(r, ORCH_GATE_ERROR, "%s: cannot be examined: %s", path, strerror(errno));
        return;
    }
    problem = kind_problem(&st);
    if (problem) {
        orch_gate_say(r, ORCH_GATE_FAIL, "%s: %s", path, problem);
        return;
    }
    size = (uint64_t)st.st_size;
    if (check_size(g, path, size, r) && (!g->sha256 || check_hash(g, path, fd, size, r)))
        orch_gate_say(r, ORCH_GATE_PASS, "%s: %" PRIu64 " bytes%s", path, size,
                      g->sha256 ? ", SHA-256 as wanted" : "");
}

void orch_gate_file_eval(const struct orch_gate *g, const struct orch_gate_ctx *c, struct orch_gate_result *r)
{
    ORCH_AUTO_FREE char *path = orch_escape_str(g->path);
    ORCH_AUTO_FD int fd = -1;

    if (!g->path || !c->view) {
        orch_gate_say(r, ORCH_GATE_ERROR, "%s: there is no sealed view to look into", path);
        return;
    }
    if (g->absent) {
        eval_absent(g, c, path, r);
        return;
    }
    fd = orch_view_open_file(c->view, g->path);
    if (fd < 0)
        say_not_opened(g, c, path, -fd, r);
    else
        eval_open(g, path, fd, r);
}

void orch_gate_file_describe(const struct orch_gate *g, struct orch_buf *out)
{
    ORCH_AUTO_FREE char *path = orch_escape_str(g->path);

    if (g->absent) {
        orch_buf_printf(out, "no file or directory %s", path);
        return;
    }
    orch_buf_printf(out, "file %s of at least %" PRIu64 " bytes", path, g->min_size);
    if (g->max_size != UINT64_MAX)
        orch_buf_printf(out, " and at most %" PRIu64, g->max_size);
    if (g->sha256)
        orch_buf_printf(out, " with SHA-256 %s", g->sha256);
}
