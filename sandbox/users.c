/*
 * users.c - who the agent is, and the trees that must be opened by a privileged supervisor before the clone.
 *
 * Ordinary user: the agent is that user, mapped one to one; init opens every path itself. Root: the agent is
 * a dedicated user that owns nothing on the host. What it could not reach by path (the state directory is
 * 0700) is opened here as a detached mount, and the workspace as an id-mapped one: its owner appears as the
 * agent, so nothing is ever chowned (mount_setattr(2), MOUNT_ATTR_IDMAP).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/io.h"
#include "sandbox/cell.h"
#include "sandbox/kernel.h"
#include "sandbox/nested.h"
#include "sandbox/sandbox_int.h"

/* A map is lines of "inside outside count". What cannot be read is as the whole: then the first use fails. */
static bool is_mapped(const char *map, unsigned long id)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    char *save = NULL;

    if (orch_read_file(AT_FDCWD, map, 1u << 16, &b) < 0 || !b.data)
        return true;
    for (char *line = strtok_r(b.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *end;
        unsigned long first = strtoul(line, &end, 10), count;

        (void)strtoul(end, &end, 10);
        count = strtoul(end, NULL, 10);
        if (first <= id && id - first < count)
            return true;
    }
    return false;
}

bool orch_is_root(void)
{
    static int mapped = -1; /* for the life of the process */

    if (geteuid() != 0)
        return false;
    if (mapped < 0)
        mapped = is_mapped("/proc/self/uid_map", ORCH_AGENT_UID) &&
                 is_mapped("/proc/self/gid_map", ORCH_AGENT_UID);
    return mapped;
}

uid_t orch_agent_uid(void)
{
    return orch_is_root() ? ORCH_AGENT_UID : getuid();
}

gid_t orch_agent_gid(void)
{
    return orch_is_root() ? ORCH_AGENT_UID : getgid();
}

static int write_proc(pid_t pid, const char *name, const char *text)
{
    char path[64];
    ORCH_AUTO_FD int fd = -1;

    if (pid)
        (void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    else
        (void)snprintf(path, sizeof(path), "/proc/self/%s", name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return orch_write_all(fd, text, strlen(text));
}

static int write_maps(pid_t pid, uid_t uid_in, uid_t uid_out, gid_t gid_in, gid_t gid_out,
                      struct orch_err *err)
{
    char uids[64], gids[64];
    int r;

    (void)snprintf(uids, sizeof(uids), "%u %u 1", uid_in, uid_out);
    (void)snprintf(gids, sizeof(gids), "%u %u 1", gid_in, gid_out);
    if (!orch_is_root()) { /* user_namespaces(7): required before an unprivileged gid_map */
        r = write_proc(pid, "setgroups", "deny");
        if (r < 0)
            return orch_err_sys(err, -r, "cannot deny setgroups in the user namespace");
    }
    r = write_proc(pid, "uid_map", uids);
    if (r == 0)
        r = write_proc(pid, "gid_map", gids);
    return r < 0 ? orch_err_sys(err, -r, "cannot write the id maps of the user namespace") : 0;
}

int orch_write_id_maps(pid_t pid, uid_t uid, gid_t gid, struct orch_err *err)
{
    return write_maps(pid, uid, uid, gid, gid, err);
}

static void wait_for(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

/* It dies while we go on; orch_start_fini waits for it. */
static void end_lender(struct orch_start *s, pid_t pid)
{
    (void)kill(pid, SIGKILL);
    if (s->n_gone == ORCH_GONE_MAX)
        wait_for(s->gone[--s->n_gone]);
    s->gone[s->n_gone++] = pid;
}

/* A user namespace that exists only as a descriptor: on-disk owner -> the agent's ids. */
static int idmap_namespace(struct orch_start *s, uid_t owner, gid_t group, struct orch_err *err)
{
    struct clone_args ca = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    char path[64];
    int fd = -1, r;
    pid_t pid = (pid_t)syscall(SYS_clone3, &ca, sizeof(ca));

    if (pid < 0)
        return orch_err_sys(err, errno, "cannot create a user namespace for the id-mapped workspace");
    if (pid == 0) { /* dies with us, holds nothing of ours */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == 1)
            _exit(1);
        (void)syscall(SYS_close_range, 0U, ~0U, 0);
        for (;;)
            pause();
    }
    r = write_maps(pid, owner, s->plan->uid, group, s->plan->gid, err);
    if (r == 0) {
        (void)snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        r = fd < 0 ? orch_err_sys(err, errno, "cannot open the user namespace") : 0;
    }
    end_lender(s, pid);
    return r < 0 ? r : fd;
}

static int detach(struct orch_tree *t, struct orch_err *err)
{
    t->fd = orch_sys_open_tree(AT_FDCWD, t->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    return t->fd < 0 ? orch_err_sys(err, errno, "cannot open '%s'", t->path) : 0;
}

static int detach_idmapped(struct orch_start *s, struct orch_tree *t, struct orch_err *err)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP};
    ORCH_AUTO_FD int ns = -1;
    struct stat st;
    int r = detach(t, err);

    if (r < 0)
        return r;
    if (fstat(t->fd, &st) < 0)
        return orch_err_sys(err, errno, "cannot inspect '%s'", t->path);
    ns = idmap_namespace(s, st.st_uid, st.st_gid, err);
    if (ns < 0)
        return ns;
    attr.userns_fd = (uint64_t)ns;
    if (orch_sys_mount_setattr(t->fd, "", AT_EMPTY_PATH, &attr) < 0)
        return orch_err_exit(
            err, 3, errno,
            "the filesystem of '%s' cannot be id-mapped (%s): run as the owner instead of root, or "
            "move the workspace to ext4, xfs or btrfs",
            t->path, strerror(errno));
    return 0;
}

/* Lists the trees of one overlay; as root all are opened here. */
static int prepare_overlay(struct orch_start *s, const struct orch_overlay *o, struct orch_overlay_trees *ret,
                           struct orch_err *err)
{
    size_t n_layers = o->layers ? o->layers->n : 0;
    int r = 0;

    *ret = (struct orch_overlay_trees){.layer = {.path = o->layer_dir, .fd = -1}};
    if (!o->bottom)
        return 0;
    ret->lowers = orch_xcalloc(n_layers + 2, sizeof(*ret->lowers));
    if (o->scaffold)
        ret->lowers[ret->n_lowers++] = (struct orch_tree){.path = o->scaffold, .fd = -1};
    for (size_t i = 0; i < n_layers; i++)
        ret->lowers[ret->n_lowers++] = (struct orch_tree){.path = o->layers->v[i], .fd = -1};
    ret->lowers[ret->n_lowers++] = (struct orch_tree){.path = o->bottom, .fd = -1};
    for (size_t i = 0; s->as_root && r == 0 && i + 1 < ret->n_lowers; i++)
        r = detach(&ret->lowers[i], err);
    if (r == 0 && s->as_root && o->layer_dir)
        r = detach(&ret->layer, err);
    if (r == 0 && s->as_root)
        r = detach_idmapped(s, &ret->lowers[ret->n_lowers - 1], err);
    return r;
}

static bool passable_by_all(char *dir)
{
    struct stat st;

    for (size_t i = 1;; i++) {
        char c = dir[i];

        if (c != '/' && c != '\0')
            continue;
        dir[i] = '\0';
        if (stat(dir, &st) < 0 || !(st.st_mode & S_IXOTH))
            return false;
        dir[i] = c;
        if (c == '\0')
            return true;
    }
}

/* Could a user without any rights walk to path and read it? Paths come sorted, so the directory of the one
 * before is mostly the same: *seen is that, if it is passable. */
static bool reachable_by_all(const char *path, char **seen)
{
    const char *slash = strrchr(path, '/');
    ORCH_AUTO_FREE char *dir = orch_xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
    struct stat st;

    if (!*seen || strcmp(*seen, dir) != 0) {
        if (!passable_by_all(dir))
            return false;
        free(*seen);
        *seen = ORCH_TAKE_PTR(dir);
    }
    return stat(path, &st) == 0 && (st.st_mode & S_IROTH);
}

int orch_cell_reaches(const struct orch_plan *plan, struct orch_err *err)
{
    ORCH_AUTO_FREE char *seen = NULL;
    const char *missed = NULL;

    for (size_t i = 0; orch_is_root() && i < plan->n_places && !missed; i++)
        if (plan->places[i].kind == ORCH_PLACE_HOST && plan->places[i].access != ORCH_ACCESS_NONE &&
            !reachable_by_all(plan->places[i].path, &seen))
            missed = plan->places[i].path;
    for (size_t i = 0; orch_is_root() && i < plan->closure.n && !missed; i++)
        if (plan->closure.v[i].kind != ORCH_CLOSURE_LINK && !reachable_by_all(plan->closure.v[i].path, &seen))
            missed = plan->closure.v[i].path;
    if (!missed)
        return 0;
    return orch_err_exit(
        err, 3, EACCES,
        "the agent's user, %d, cannot get to '%s', and tier nested cannot bring it there: let others "
        "pass its directories and read it, move it, or run as an ordinary user",
        ORCH_AGENT_UID, missed);
}

static int detach_unreachable(struct orch_start *s, const char *path, char **seen, struct orch_tree *t,
                              struct orch_err *err)
{
    *t = (struct orch_tree){.path = path, .fd = -1};
    if (!s->as_root || reachable_by_all(path, seen))
        return 0;
    return detach(t, err);
}

static int prepare_place(struct orch_start *s, size_t i, char **seen, struct orch_err *err)
{
    const struct orch_place *place = &s->plan->places[i];

    if (place->kind != ORCH_PLACE_HOST || place->access == ORCH_ACCESS_NONE)
        return 0;
    if (!place->own || !s->as_root)
        return detach_unreachable(s, place->path, seen, &s->binds[i], err);
    s->binds[i] = (struct orch_tree){.path = place->path, .fd = -1};
    return detach_idmapped(s, &s->binds[i], err);
}

static int prepare_binds(struct orch_start *s, struct orch_err *err)
{
    const struct orch_plan *p = s->plan;
    ORCH_AUTO_FREE char *seen = NULL;
    int r = 0;

    s->binds = orch_xcalloc(p->n_places ? p->n_places : 1, sizeof(*s->binds));
    s->closure_binds = orch_xcalloc(p->closure.n ? p->closure.n : 1, sizeof(*s->closure_binds));
    for (size_t i = 0; i < p->n_places; i++)
        s->binds[i].fd = -1;
    for (size_t i = 0; i < p->closure.n; i++)
        s->closure_binds[i].fd = -1;
    for (size_t i = 0; r == 0 && i < p->n_places; i++)
        r = prepare_place(s, i, &seen, err);
    for (size_t i = 0; r == 0 && i < p->closure.n; i++)
        if (p->closure.v[i].kind != ORCH_CLOSURE_LINK)
            r = detach_unreachable(s, p->closure.v[i].path, &seen, &s->closure_binds[i], err);
    return r;
}

int orch_start_prepare(struct orch_start *s, struct orch_err *err)
{
    int r;

    s->as_root = orch_is_root();
    if (s->plan->nested)
        return orch_nested_cell(s->args, err);
    r = prepare_overlay(s, &s->args->workspace, &s->workspace, err);
    if (r == 0)
        r = prepare_overlay(s, &s->args->home, &s->home, err);
    if (r == 0)
        r = prepare_binds(s, err);
    return r;
}

static void close_trees(struct orch_tree *t, size_t n)
{
    for (size_t i = 0; t && i < n; i++)
        orch_close_fdp(&t[i].fd);
    free(t);
}

static void close_overlay(struct orch_overlay_trees *o)
{
    close_trees(o->lowers, o->n_lowers);
    if (o->layer.path)
        orch_close_fdp(&o->layer.fd);
    *o = (struct orch_overlay_trees){.layer.fd = -1};
}

void orch_start_fini(struct orch_start *s)
{
    close_overlay(&s->workspace);
    close_overlay(&s->home);
    close_trees(s->binds, s->plan->n_places);
    close_trees(s->closure_binds, s->plan->closure.n);
    s->binds = s->closure_binds = NULL;
    while (s->n_gone)
        wait_for(s->gone[--s->n_gone]);
}
