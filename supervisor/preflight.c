/* preflight.c - the checks of the host's side: workspace, mounts, owners, what can be enforced. See
 * preflight.h. */
#include "supervisor/preflight.h"
#include "supervisor/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "common/escape.h"
#include "common/exit.h"
#include "common/io.h"
#include "sandbox/cgroup.h"

#define MOUNTINFO_MAX (16u << 20)
#define ROOM_BYTES (16u << 20) /* records, logs and an empty layer, with a margin */
#define ROOM_INODES 256u

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
        return orch_err_exit(err, orch_errno_is_host(-r) ? ORCH_EXIT_STATE : ORCH_EXIT_UNENFORCEABLE, -r,
                             "/proc/self/mountinfo cannot be read");
    found = info.data ? find_submount(info.data, workspace) : NULL;
    if (!found)
        return 0;
    shown = orch_escape_str(found);
    if (ignore && !orch_is_root())
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

void orch_preflight_notes(const char *workspace, struct orch_progress *p)
{
    ORCH_AUTO_FREE char *git = orch_xasprintf("%s/.git", workspace);
    struct stat st;

    if (lstat(git, &st) == 0 && S_ISREG(st.st_mode))
        orch_progress_note(
            p, "note: .git is a file (a worktree or submodule): its git directory is read-only inside and "
               "commits are refused; commit after the run");
}

int orch_preflight_limits(const struct orch_profile *p, struct orch_err *err)
{
    ORCH_AUTO_FREE char *shown = NULL;
    const char *key = p->limits.memory ? "memory" : p->limits.pids ? "pids" : NULL, *step = "";
    enum orch_cgroup_kind kind;
    int k;

    if (!key || p->limits.scope_process)
        return 0;
    k = orch_cgroup_ready(0, &kind, &step);
    if (k == 0)
        return 0;
    shown = orch_escape_str(p->name);
    /* EROFS: a container that shows its cgroups read-only, which is no trouble of a disk. */
    return orch_err_exit(
        err, k != -EROFS && orch_errno_is_host(-k) ? ORCH_EXIT_STATE : ORCH_EXIT_UNENFORCEABLE, -k,
        "profile '%s': limits.%s cannot be held for the whole process tree: cannot %s (%s); "
        "start it in a cgroup of its own: systemd-run %s--scope -p Delegate=yes orch-sandbox "
        "...; or \"scope\": \"process\" in its limits accepts a limit per process",
        shown, key, step, strerror(-k), geteuid() == 0 ? "" : "--user ");
}

int orch_preflight_inside(struct orch_err *err)
{
    if (!orch_inside_sandbox())
        return 0;
    return orch_err_exit(err, ORCH_EXIT_UNENFORCEABLE, EPERM,
                         "this is the inside of an orch-sandbox already: a sandbox cannot be started here");
}

struct room {
    uint64_t bytes, inodes; /* free for us; inodes UINT64_MAX where the file system does not count them */
};

static int measure(const char *state, struct room *ret, struct orch_err *err)
{
    struct statvfs st;

    if (statvfs(state, &st) < 0)
        return orch_err_exit(err, ORCH_EXIT_STATE, errno, "the file system of the state directory: %s",
                             strerror(errno));
    ret->bytes = (uint64_t)st.f_bavail * st.f_frsize;
    ret->inodes = st.f_files ? st.f_favail : UINT64_MAX;
    return 0;
}

/* A run that begins on a full disk would end in the middle of its records. */
static int check_room(const char *state, struct orch_err *err)
{
    ORCH_AUTO_FREE char *shown = orch_escape_str(state);
    struct room room = {0};
    int r = measure(state, &room, err);

    if (r < 0)
        return r;
    if (room.bytes < ROOM_BYTES)
        return orch_err_exit(err, ORCH_EXIT_STATE, ENOSPC,
                             "only %" PRIu64
                             " KiB are free for the state directory '%s', a run needs %u KiB; "
                             "use 'orch-sandbox prune' or --state DIR",
                             room.bytes >> 10, shown, ROOM_BYTES >> 10);
    if (room.inodes < ROOM_INODES)
        return orch_err_exit(err, ORCH_EXIT_STATE, ENOSPC,
                             "only %" PRIu64 " inodes are free for the state directory '%s', a run needs %u; "
                             "use 'orch-sandbox prune' or --state DIR",
                             room.inodes, shown, ROOM_INODES);
    return 0;
}

void orch_preflight_room(const struct orch_run *r, struct orch_progress *p)
{
    struct room room = {0};
    uint64_t most = 0;

    for (size_t i = 0; i < r->wf->n_phases; i++)
        if (r->plans[i] && r->plans[i]->profile->limits.workspace > most)
            most = r->plans[i]->profile->limits.workspace;
    if (measure(r->state, &room, NULL) == 0 && room.bytes < most)
        orch_progress_note(p,
                           "note: %" PRIu64 " MiB are free for the state directory, less than the %" PRIu64
                           " MiB that limits.workspace lets a phase write",
                           room.bytes >> 20, most >> 20);
}

int orch_preflight_state(const char *state, struct orch_err *err)
{
    int r = orch_state_prepare(state, err);

    if (r == 0)
        r = check_room(state, err);
    return r < 0 ? r : orch_keys_check(state, err);
}

int orch_preflight_host(const char *state, const char *workspace, struct orch_err *err)
{
    int r = orch_preflight_state(state, err);

    if (r < 0)
        return r;
    r = orch_sandbox_probe(state, workspace, err);
    if (r < 0 && err->exit_code == 0)
        err->exit_code = orch_errno_is_host(err->errnum) ? ORCH_EXIT_STATE : ORCH_EXIT_UNENFORCEABLE;
    if (r < 0 && err->exit_code == ORCH_EXIT_UNENFORCEABLE)
        orch_preflight_point(err);
    return r;
}

void orch_preflight_point(struct orch_err *err)
{
    static const char where[] = " (see: orch-sandbox doctor)";
    size_t n = strlen(err->msg);

    if (n + sizeof(where) <= sizeof(err->msg))
        memcpy(err->msg + n, where, sizeof(where));
}
