/*
 * view.c - the sandbox's own root: a tmpfs with only what the plan shows, built by descriptor before the
 * pivot.
 *
 * The new root is mounted over "/" but our own root stays the old one until pivot_root, so host paths can
 * still be opened by name while targets are only ever reached through the new root's descriptor: nothing is
 * created by path under it, and no symlink is followed there (CVE-2021-30465). Places are attached in path
 * order, so a parent is there before what lies in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "common/io.h"
#include "sandbox/kernel.h"
#include "sandbox/sandbox_int.h"

#define BASE_ATTRS (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)

int orch_view_set_attr(int tree, uint64_t set, unsigned flags)
{
    struct mount_attr attr = {.attr_set = set};

    return orch_sys_mount_setattr(tree, "", AT_EMPTY_PATH | flags, &attr) < 0 ? -errno : 0;
}

/* One component: opens it, making it if it is missing. */
static int step_into(int dir, const char *name, bool last, bool file)
{
    int fd = orch_openat2(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, RESOLVE_NO_MAGICLINKS);

    if (fd != -ENOENT)
        return fd;
    if (last && file) {
        fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444);
        if (fd < 0)
            return -errno;
        (void)close(fd);
    } else if (mkdirat(dir, name, 0755) < 0) {
        return -errno;
    }
    return orch_openat2(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, RESOLVE_NO_MAGICLINKS);
}

int orch_view_target(int root, const char *path, bool file)
{
    ORCH_AUTO_FREE char *copy = orch_xstrdup(path);
    ORCH_AUTO_FD int cur = fcntl(root, F_DUPFD_CLOEXEC, 0);
    char *save = NULL, *name = strtok_r(copy, "/", &save);

    if (cur < 0)
        return -errno;
    while (name) {
        char *next = strtok_r(NULL, "/", &save);
        int fd = step_into(cur, name, next == NULL, file);
        struct stat st;

        if (fd < 0)
            return fd;
        (void)close(cur);
        cur = fd;
        if (fstat(cur, &st) < 0)
            return -errno;
        if (S_ISLNK(st.st_mode))
            return -ELOOP;
        name = next;
    }
    return ORCH_TAKE_FD(cur);
}

int orch_view_attach(int tree, int root, const char *path, bool file)
{
    ORCH_AUTO_FD int target = orch_view_target(root, path, file);

    if (target < 0)
        return target;
    if (orch_sys_move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return -errno;
    return 0;
}

static int set_fs_string(int fs, const char *key, const char *value)
{
    return syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, value, 0) < 0 ? -errno : 0;
}

/* A fresh tmpfs as a detached mount. */
static int new_tmpfs(uint64_t size, uint64_t inodes, const char *mode, uint64_t attr)
{
    ORCH_AUTO_FD int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
    char text[32];
    int r, fd;

    if (fs < 0)
        return -errno;
    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)size);
    r = set_fs_string(fs, "size", text);
    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)inodes);
    r = r < 0 ? r : set_fs_string(fs, "nr_inodes", text);
    r = r < 0 ? r : set_fs_string(fs, "mode", mode);
    if (r < 0)
        return r;
    if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -errno;
    fd = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attr);
    return fd < 0 ? -errno : fd;
}

int orch_view_tmpfs(int root, const char *path, uint64_t size, uint64_t inodes, const char *mode,
                    uint64_t attr)
{
    ORCH_AUTO_FD int fd = new_tmpfs(size, inodes, mode, attr);

    return fd < 0 ? fd : orch_view_attach(fd, root, path, false);
}

/* Opens a host path as a detached mount; recursive, because a rootless clone may not leave locked children
 * behind. */
static int open_source(const struct orch_tree *t, const char *path)
{
    int fd;

    if (t->fd >= 0)
        return fcntl(t->fd, F_DUPFD_CLOEXEC, 0);
    fd = orch_sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    return fd < 0 ? -errno : fd;
}

static int bind_path(int root, const struct orch_tree *t, const char *path, bool directory, uint64_t attrs)
{
    ORCH_AUTO_FD int tree = open_source(t, path);
    int r;

    if (tree < 0)
        return tree;
    r = orch_view_set_attr(tree, attrs, AT_RECURSIVE);
    return r < 0 ? r : orch_view_attach(tree, root, path, !directory);
}

/* A directory of the view that many paths in a row lie in: walked to once. */
struct parent {
    char *path;
    int fd;
};

static void parent_fini(struct parent *p)
{
    free(p->path);
    orch_close_fdp(&p->fd);
}

static int enter_parent(int root, const char *path, struct parent *p)
{
    ORCH_AUTO_FREE char *dir = orch_path_normalize(path, "..");

    if (p->path && strcmp(p->path, dir) == 0)
        return 0;
    parent_fini(p);
    p->path = NULL;
    p->fd = orch_view_target(root, dir, false);
    if (p->fd < 0)
        return p->fd;
    p->path = ORCH_TAKE_PTR(dir);
    return 0;
}

/*
 * Attaches a tree at one name of a directory: that of the host, whose names are known to be what the closure
 * says, takes one call. A name that is missing, or that an agent may have made, is opened and looked at.
 */
static int attach_at(int tree, const struct parent *in, const char *name, bool known, bool file)
{
    if (known && orch_sys_move_mount(tree, "", in->fd, name, MOVE_MOUNT_F_EMPTY_PATH) == 0)
        return 0;
    if (known && errno != ENOENT)
        return -errno;
    return orch_view_attach(tree, in->fd, name, file);
}

static int bind_closure(struct orch_start *s, int root, size_t i, bool directory, uint64_t attrs,
                        struct parent *in)
{
    const char *path = s->plan->closure.v[i].path;
    ORCH_AUTO_FD int tree = open_source(&s->closure_binds[i], path);
    int r = tree < 0 ? tree : enter_parent(root, path, in);

    if (r == 0)
        r = orch_view_set_attr(tree, attrs, AT_RECURSIVE);
    return r < 0 ? r
                 : attach_at(tree, in, strrchr(path, '/') + 1, !orch_path_beneath(path, s->plan->workspace),
                             !directory);
}

/* Executable mounts are only those of the closure, unless the profile says "tools": "*" (kernel notes,
 * T-EX-02). */
static uint64_t host_attrs(const struct orch_plan *plan, const struct orch_place *place)
{
    return orch_view_access_attrs(place->access) | (plan->profile->tools_all ? 0 : MOUNT_ATTR_NOEXEC);
}

/*
 * A directory of the host may hold sockets and FIFOs, and neither a read-only mount nor Landlock stops a
 * connect (T-FS-16). Through an overlay they are objects of the overlay and dead. /usr and /etc hold none and
 * are bound as they are, for speed.
 */
static bool wants_overlay(const struct orch_place *place)
{
    bool w = place->access == ORCH_ACCESS_RW || place->access == ORCH_ACCESS_RWX;

    return place->directory && !w && !place->own && !orch_path_beneath(place->path, "/usr") &&
           !orch_path_beneath(place->path, "/etc");
}

static int show_host(struct orch_start *s, int root, size_t i, struct orch_fail *f)
{
    const struct orch_place *place = &s->plan->places[i];
    uint64_t attrs = host_attrs(s->plan, place);
    struct orch_tree lower = s->binds[i];
    const struct orch_overlay_trees o = {.lowers = &lower, .n_lowers = 1, .layer.fd = -1};
    int r;

    lower.path = place->path;
    if (wants_overlay(place))
        return orch_view_overlay(&o, root, place->path, attrs, f);
    r = bind_path(root, &s->binds[i], place->path, place->directory, attrs);
    return r < 0 ? orch_fail_set(f, ORCH_STEP_BIND, -r, place->path) : 0;
}

/*
 * An empty file that covers others. It keeps its name, else the kernel attaches it nowhere and paths through
 * it read as deleted; nobody finds it, because /proc is mounted over its directory later.
 */
#define HIDDEN_FILE "/proc/.hidden"

/* A host rule of access none beneath a shown directory is covered by an empty, unreadable mount. */
static int hide_path(int root, const struct orch_place *place)
{
    ORCH_AUTO_FD int tree = -1, source = -1;
    int r;

    if (place->directory)
        return orch_view_tmpfs(root, place->path, 4096, 1, "0", BASE_ATTRS | MOUNT_ATTR_NOEXEC);
    source = orch_view_target(root, HIDDEN_FILE, true);
    if (source < 0)
        return source;
    tree = orch_sys_open_tree(source, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    if (tree < 0)
        return -errno;
    r = orch_view_set_attr(tree, BASE_ATTRS | MOUNT_ATTR_NOEXEC, 0);
    return r < 0 ? r : orch_view_attach(tree, root, place->path, true);
}

static bool exists_in_view(int root, const char *path)
{
    ORCH_AUTO_FD int fd = orch_openat2(root, path + 1, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0,
                                       RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);

    return fd >= 0;
}

static int attach_place(struct orch_start *s, int root, size_t i, struct orch_fail *f)
{
    const struct orch_place *place = &s->plan->places[i];
    int r = 0;

    switch (place->kind) {
    case ORCH_PLACE_HOST:
        if (place->access != ORCH_ACCESS_NONE)
            return show_host(s, root, i, f);
        r = exists_in_view(root, place->path) ? hide_path(root, place) : 0;
        return r < 0 ? orch_fail_set(f, ORCH_STEP_BIND, -r, place->path) : 0;
    case ORCH_PLACE_WORKSPACE:
        return orch_view_overlay(&s->workspace, root, place->path, 0, f);
    case ORCH_PLACE_HOME:
        if (s->home.n_lowers)
            return orch_view_overlay(&s->home, root, place->path, orch_view_access_attrs(place->access), f);
        return 0; /* a tmpfs: orch_view_own_places */
    case ORCH_PLACE_WSRULE:
    case ORCH_PLACE_SCRATCH:
    case ORCH_PLACE_TMP:
    case ORCH_PLACE_PROC:
    case ORCH_PLACE_DEV:
    case ORCH_PLACE_ORCH:
    case ORCH_PLACE_ETC:
        return 0;
    }
    return orch_fail_set(f, ORCH_STEP_BIND, EINVAL, place->path);
}

static int attach_closure(struct orch_start *s, int root, struct orch_fail *f)
{
    const struct orch_closure *c = &s->plan->closure;
    ORCH_AUTO(parent_fini) struct parent in = {.fd = -1};

    for (size_t i = 0; i < c->n; i++) { /* sorted by path */
        const struct orch_closure_entry *e = &c->v[i];
        bool directory = e->kind == ORCH_CLOSURE_DIR || e->kind == ORCH_CLOSURE_DATA_DIR;
        uint64_t attrs = BASE_ATTRS;
        struct stat st;
        int r;

        if (e->kind == ORCH_CLOSURE_LINK)
            continue;
        if (e->kind == ORCH_CLOSURE_DATA_DIR) {
            attrs |= MOUNT_ATTR_NOEXEC;
            if (exists_in_view(root, e->path))
                continue;
            directory = stat(e->path, &st) == 0 && S_ISDIR(st.st_mode);
        }
        r = bind_closure(s, root, i, directory, attrs, &in);
        if (r < 0)
            return orch_fail_set(f, ORCH_STEP_BIND, -r, e->path);
    }
    return 0;
}

/*
 * A rule of none at or beneath what a tool brings: the closure's mount lies over it, so it is hidden once
 * more, else a race could read what only notification refuses. What a narrower rule shows in it stays hidden
 * too.
 */
static int hide_in_closure(const struct orch_plan *plan, int root, struct orch_fail *f)
{
    for (size_t i = 0; i < plan->n_places; i++) {
        const struct orch_place *place = &plan->places[i];
        bool covered = false;
        int r;

        if (place->kind != ORCH_PLACE_HOST || place->access != ORCH_ACCESS_NONE)
            continue;
        for (size_t k = 0; k < plan->closure.n && !covered; k++)
            covered = plan->closure.v[k].kind != ORCH_CLOSURE_LINK &&
                      orch_path_beneath(place->path, plan->closure.v[k].path);
        r = covered && exists_in_view(root, place->path) ? hide_path(root, place) : 0;
        if (r < 0)
            return orch_fail_set(f, ORCH_STEP_BIND, -r, place->path);
    }
    return 0;
}

static int make_link(int root, const char *path, struct orch_fail *f)
{
    ORCH_AUTO_FREE char *target = NULL, *parent = orch_path_normalize(path, "..");
    ORCH_AUTO_FD int dir = -1;

    if (exists_in_view(root, path))
        return 0;
    target = orch_readlink(AT_FDCWD, path);
    if (!target)
        return orch_fail_set(f, ORCH_STEP_LINK, errno, path);
    dir = orch_view_target(root, parent, false);
    if (dir < 0)
        return orch_fail_set(f, ORCH_STEP_LINK, -dir, path);
    if (symlinkat(target, dir, strrchr(path, '/') + 1) < 0 && errno != EEXIST)
        return orch_fail_set(f, ORCH_STEP_LINK, errno, path);
    return 0;
}

/* Inside and outside meet here last: after this only descriptors we hold know the host's tree, and they are
 * closed. */
int orch_view_pivot(int root, struct orch_fail *f)
{
    if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
        return orch_fail_set(f, ORCH_STEP_PIVOT, errno, "/");
    if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return orch_fail_set(f, ORCH_STEP_PIVOT, errno, "/");
    return 0;
}

/* A second lock behind the filter (CVE-2022-0185 class): the number of further user namespaces in ours is
 * none. */
int orch_view_forbid_userns(struct orch_fail *f)
{
    static const char path[] = "/proc/sys/user/max_user_namespaces";
    ORCH_AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
    int r;

    if (fd < 0)
        return orch_fail_set(f, ORCH_STEP_USERNS, errno, path);
    r = orch_write_all(fd, "0", 1);
    return r < 0 ? orch_fail_set(f, ORCH_STEP_USERNS, -r, path) : 0;
}

static int build_places(struct orch_start *s, int root, struct orch_fail *f)
{
    for (size_t i = 0; i < s->plan->links.n; i++) {
        const struct orch_place *place = orch_plan_place(s->plan, s->plan->links.v[i]);

        if (!place && make_link(root, s->plan->links.v[i], f) < 0)
            return -1;
    }
    for (size_t i = 0; i < s->plan->n_places; i++) {
        if (s->plan->places[i].kind == ORCH_PLACE_TMP &&
            orch_view_tmpfs(root, s->plan->places[i].path, s->plan->profile->tmp_size,
                            s->plan->profile->tmp_files, "1777",
                            MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                (s->plan->places[i].access == ORCH_ACCESS_RWX ? 0 : MOUNT_ATTR_NOEXEC)) < 0)
            return orch_fail_set(f, ORCH_STEP_TMPFS, errno, s->plan->places[i].path);
        if (attach_place(s, root, i, f) < 0)
            return -1;
    }
    return 0;
}

int orch_view_new_root(struct orch_fail *f)
{
    ORCH_AUTO_FD int root = -1;

    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return orch_fail_set(f, ORCH_STEP_PRIVATE, errno, "/");
    root = new_tmpfs(16u << 20, 65536, "0755", MOUNT_ATTR_NOSUID);
    if (root < 0)
        return orch_fail_set(f, ORCH_STEP_ROOT, -root, "/");
    if (orch_sys_move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return orch_fail_set(f, ORCH_STEP_ROOT, errno, "/");
    return ORCH_TAKE_FD(root);
}

int orch_view_build(struct orch_start *s, struct orch_fail *f)
{
    ORCH_AUTO_FD int root = orch_view_new_root(f);
    int r;

    if (root < 0)
        return -1;
    if (build_places(s, root, f) < 0 || attach_closure(s, root, f) < 0 ||
        hide_in_closure(s->plan, root, f) < 0)
        return -1;
    if (orch_view_workspace_rules(s, root, f) < 0 || orch_view_own_places(s, root, f) < 0)
        return -1;
    if (orch_view_pin(s->plan, root, f) < 0)
        return -1;
    if (orch_view_forbid_userns(f) < 0 || orch_view_proc(root, f) < 0)
        return -1;
    if (orch_view_pivot(root, f) < 0)
        return -1;
    r = orch_view_set_attr(root, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV, 0);
    return r < 0 ? orch_fail_set(f, ORCH_STEP_ROOT, -r, "/") : 0;
}
