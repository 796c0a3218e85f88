/* preflight.c - the checks of the host's side: workspace, mounts, owners, what can be enforced. See
 * preflight.h. */
#include "supervisor/preflight.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <string.h>
#include <sys/stat.h>

#include "common/escape.h"
#include "common/exit.h"
#include "common/io.h"

#define OWNER_WALK_MAX 200000u /* entries looked at: a note is not worth more */
#define OWNERS_SHOWN 5
#define MOUNTINFO_MAX (16u << 20)

/* mountinfo writes space, tab, newline and backslash as three octal digits. */
static void unescape_octal(char *s)
{
    char *out = s;

    while (*s) {
        if (s[0] == '\\' && s[1] && s[2] && s[3]) {
            *out++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
            s += 4;
        } else {
            *out++ = *s++;
        }
    }
    *out = '\0';
}

/* The first mount point strictly beneath dir, or NULL. */
static char *find_submount(char *mountinfo, const char *dir)
{
    char *save = NULL;

    for (char *line = strtok_r(mountinfo, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *field = line;

        for (int i = 0; i < 4 && field; i++) {
            field = strchr(field, ' ');
            field = field ? field + 1 : NULL;
        }
        if (!field)
            continue;
        field[strcspn(field, " ")] = '\0';
        unescape_octal(field);
        if (strcmp(field, dir) != 0 && orch_path_beneath(field, dir))
            return orch_xstrdup(field);
    }
    return NULL;
}

/*
 * An ordinary user's sandbox gets all mounts locked (user_namespaces(7)), and no overlay can be put over a
 * directory with a locked mount in it: the kernel answers EINVAL, because that would show what the mount
 * covers.
 */
static int check_submounts(const char *workspace, bool ignore, struct orch_err *err)
{
    ORCH_AUTO_BUF struct orch_buf info = {0};
    ORCH_AUTO_FREE char *found = NULL;
    ORCH_AUTO_FREE char *shown = NULL;
    int r = orch_read_file(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &info);

    if (r < 0)
        return orch_err_exit(err, ORCH_EXIT_UNENFORCEABLE, -r, "/proc/self/mountinfo cannot be read");
    found = info.data ? find_submount(info.data, workspace) : NULL;
    if (!found)
        return 0;
    shown = orch_escape_str(found);
    if (ignore && geteuid() != 0)
        return orch_err_exit(err, ORCH_EXIT_UNENFORCEABLE, EINVAL,
                             "'%s' is mounted beneath the workspace; only root can ignore that "
                             "(--ignore-submounts), unmount it",
                             shown);
    if (ignore)
        return 0;
    return orch_err_exit(
        err, ORCH_EXIT_USAGE, EINVAL,
        "'%s' is mounted beneath the workspace and would not be seen inside; unmount it or give "
        "--ignore-submounts",
        shown);
}

static bool is_utf8(const char *s)
{
    size_t n = strlen(s), len;
    uint32_t cp;

    for (; n > 0; s += len, n -= len) {
        len = orch_utf8_next((const unsigned char *)s, n, &cp);
        if (len == 0)
            return false;
    }
    return true;
}

int orch_preflight_workspace(const char *dir, const char *state, bool ignore_submounts, char **ret,
                             struct orch_err *err)
{
    ORCH_AUTO_FREE char *shown = orch_escape_str(dir ? dir : ".");
    ORCH_AUTO_FREE char *real = realpath(dir ? dir : ".", NULL);
    struct stat st;
    int r;

    if (!real || stat(real, &st) < 0)
        return orch_err_exit(err, ORCH_EXIT_USAGE, errno, "workspace '%s': %s", shown, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return orch_err_exit(err, ORCH_EXIT_USAGE, ENOTDIR, "workspace '%s' is not a directory", shown);
    if (!is_utf8(real))
        return orch_err_exit(err, ORCH_EXIT_USAGE, EILSEQ, "workspace '%s': its path is not valid UTF-8",
                             shown);
    free(shown);
    shown = orch_escape_str(real);
    if (orch_path_beneath(state, real))
        return orch_err_exit(
            err, ORCH_EXIT_USAGE, EINVAL,
            "the state directory lies inside the workspace '%s': an agent could see it; give --state DIR",
            shown);
    if (orch_path_beneath(real, state))
        return orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL, "workspace '%s' lies inside the state directory",
                             shown);
    r = check_submounts(real, ignore_submounts, err);
    if (r == 0)
        *ret = ORCH_TAKE_PTR(real);
    return r;
}

struct owner {
    uid_t uid;
    gid_t gid;
};

/* The only user and group of the host that are mapped inside; the kernel refuses writes to what belongs to
 * any other. */
static struct owner mapped_owner(const char *workspace)
{
    struct stat st;

    if (geteuid() != 0 || stat(workspace, &st) < 0)
        return (struct owner){getuid(), getgid()};
    return (struct owner){st.st_uid, st.st_gid};
}

static bool is_foreign(const FTSENT *e, const struct owner *o)
{
    if (e->fts_info == FTS_DP || e->fts_info == FTS_NS || e->fts_info == FTS_ERR || !e->fts_statp)
        return false;
    return e->fts_statp->st_uid != o->uid || e->fts_statp->st_gid != o->gid;
}

static void note_owners(const char *workspace, struct orch_progress *p)
{
    ORCH_AUTO_FREE char *root = orch_xstrdup(workspace);
    ORCH_AUTO_BUF struct orch_buf list = {0};
    char *const roots[] = {root, NULL};
    struct owner owner = mapped_owner(workspace);
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
    unsigned seen = 0, n = 0;

    for (FTSENT *e; fts && seen < OWNER_WALK_MAX && (e = fts_read(fts)); seen++) {
        if (!is_foreign(e, &owner))
            continue;
        if (n++ < OWNERS_SHOWN) {
            ORCH_AUTO_FREE char *shown = orch_escape_str(e->fts_path);
            orch_buf_printf(&list, "\n  %s", shown);
        }
    }
    if (fts)
        (void)fts_close(fts);
    if (n)
        orch_progress_note(p,
                           "note: %u%s entries of the workspace belong to other users or groups: readable "
                           "inside, not writable:%s%s",
                           n, seen == OWNER_WALK_MAX ? " or more" : "", list.data,
                           n > OWNERS_SHOWN ? "\n  ..." : "");
}

void orch_preflight_notes(const char *workspace, struct orch_progress *p)
{
    ORCH_AUTO_FREE char *git = orch_xasprintf("%s/.git", workspace);
    struct stat st;

    if (lstat(git, &st) == 0 && S_ISREG(st.st_mode))
        orch_progress_note(
            p, "note: .git is a file (a worktree or submodule): its git directory is read-only inside and "
               "commits are refused; commit after the run");
    note_owners(workspace, p);
}

int orch_preflight_limits(const struct orch_profile *p, struct orch_err *err)
{
    ORCH_AUTO_FREE char *shown = orch_escape_str(p->name);
    const char *key = p->limits.memory ? "memory" : p->limits.pids ? "pids" : NULL;

    if (!key || p->limits.scope_process)
        return 0;
    return orch_err_exit(err, ORCH_EXIT_UNENFORCEABLE, ENOTSUP,
                         "profile '%s': limits.%s cannot be held for the whole process tree (no cgroup); "
                         "\"scope\": \"process\" in its limits accepts a limit per process",
                         shown, key);
}

int orch_preflight_inside(struct orch_err *err)
{
    if (!orch_inside_sandbox())
        return 0;
    return orch_err_exit(err, ORCH_EXIT_UNENFORCEABLE, EPERM,
                         "this is the inside of an orch-sandbox already: a sandbox cannot be started here");
}

int orch_preflight_host(const char *state, const char *workspace, struct orch_err *err)
{
    int r = orch_state_prepare(state, err);

    if (r < 0)
        return r;
    r = orch_sandbox_probe(state, workspace, err);
    if (r < 0 && err->exit_code == 0)
        err->exit_code = orch_errno_is_host(err->errnum) ? ORCH_EXIT_STATE : ORCH_EXIT_UNENFORCEABLE;
    return r;
}
