/* doctor_fs.c - doctor's tries on real filesystems: state directory, id-mapped workspace, overlay. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "common/escape.h"
#include "common/io.h"
#include "sandbox/doctor_int.h"
#include "sandbox/kernel.h"

#define SPACE_MIN (64ull << 20)
#define INODES_MIN 1024u

/* ---- the state directory ---- */

void orch_try_state(struct orch_try *t)
{
    ORCH_AUTO_FD int dir = -1;
    unsigned long long space;
    struct statvfs v;
    int r;

    if (!t->dir) {
        orch_try_missing(t, t->dir_errnum, "make a directory in '%s' for the agent's user",
                         t->args->state_dir);
        return;
    }
    dir = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || fstatvfs(dir, &v) < 0) {
        orch_try_missing(t, errno, "open a directory in it");
        return;
    }
    r = orch_create_file_sync(dir, "synced", "x", 1, 0600);
    if (r < 0) {
        orch_try_missing(t, -r, "write and sync a file in it");
        return;
    }
    space = (unsigned long long)v.f_bavail * v.f_frsize;
    if (space < SPACE_MIN || (v.f_files && v.f_favail < INODES_MIN)) {
        orch_try_missing(t, ENOSPC, "find %llu MiB and %u inodes free (%llu MiB, %llu inodes)",
                         SPACE_MIN >> 20, INODES_MIN, space >> 20, (unsigned long long)v.f_favail);
        return;
    }
    if (v.f_files)
        orch_try_works(t, "written and synced; %llu MiB and %llu inodes free", space >> 20,
                       (unsigned long long)v.f_favail);
    else
        orch_try_works(t, "written and synced; %llu MiB free", space >> 20);
}

/* ---- trees, prepared as for an attempt ---- */

struct trees {
    struct orch_plan plan; /* says who the agent is, nothing else */
    struct orch_sandbox_args args;
    struct orch_strv layers;
    struct orch_start start;
};

static const char *workspace(const struct orch_try *t)
{
    return t->args->workspace;
}

static int prepare(struct orch_try *t, struct trees *x, const char *layer_dir)
{
    struct orch_err err = {0};

    x->plan.uid = orch_agent_uid();
    x->plan.gid = orch_agent_gid();
    x->args.plan = &x->plan;
    x->args.workspace =
        (struct orch_overlay){.layers = &x->layers, .bottom = workspace(t), .layer_dir = layer_dir};
    x->start = (struct orch_start){.args = &x->args, .plan = &x->plan};
    if (orch_start_prepare(&x->start, &err) == 0)
        return 0;
    orch_try_missing(t, err.errnum, "open the workspace and layers for the agent's user");
    return -1;
}

void orch_try_idmap(struct orch_try *t)
{
    struct trees x = {0};
    struct stat st;

    if (!orch_is_root()) {
        orch_try_unneeded(t, "an ordinary user is the agent's user");
        return;
    }
    if (prepare(t, &x, NULL) < 0)
        return;
    if (fstat(x.start.workspace.lowers[0].fd, &st) < 0)
        orch_try_missing(t, errno, "look at the id-mapped workspace");
    else if (st.st_uid != orch_agent_uid() || st.st_gid != orch_agent_gid())
        orch_try_missing(t, EINVAL, "see its owner as the agent's user");
    else
        orch_try_works(t, "its owner is seen as the agent's user (%u)", orch_agent_uid());
}

/* ---- overlay ---- */

/* A layer with a file and a directory that is not empty: what the overlay's tries change. */
static int make_layer(const char *dir)
{
    static const char *const dirs[] = {"lower", "lower/d", "upper", "work"};
    static const char *const files[] = {"lower/file", "lower/d/inner"};

    for (size_t i = 0; i < ORCH_NELEM(dirs); i++) {
        ORCH_AUTO_FREE char *path = orch_xasprintf("%s/%s", dir, dirs[i]);

        if (mkdir(path, 0755) < 0 || (orch_is_root() && chown(path, orch_agent_uid(), orch_agent_gid()) < 0))
            return -errno;
    }
    for (size_t i = 0; i < ORCH_NELEM(files); i++) {
        ORCH_AUTO_FREE char *path = orch_xasprintf("%s/%s", dir, files[i]);
        ORCH_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

        if (fd < 0 || (orch_is_root() && fchown(fd, orch_agent_uid(), orch_agent_gid()) < 0))
            return -errno;
        if (orch_write_all(fd, "x", 1) < 0)
            return -EIO;
    }
    return 0;
}

/* Without xattrs of the user's own the last two fail with EIO, or show what was removed. */
static int change_all(int dir, const char **ret_step)
{
    ORCH_AUTO_FD int fd = openat(dir, "new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    struct stat st;

    *ret_step = "write a new file in the overlay";
    if (fd < 0 || orch_write_all(fd, "x", 1) < 0)
        return -errno;
    *ret_step = "rename a file of the lower layer in the overlay";
    if (renameat(dir, "file", dir, "renamed") < 0 || fstatat(dir, "renamed", &st, 0) < 0)
        return -errno;
    *ret_step = "remove a directory of the lower layer in the overlay";
    if (unlinkat(dir, "d/inner", 0) < 0 || unlinkat(dir, "d", AT_REMOVEDIR) < 0)
        return -errno;
    *ret_step = "make a removed directory anew, empty, in the overlay";
    if (mkdirat(dir, "d", 0755) < 0)
        return -errno;
    return fstatat(dir, "d/inner", &st, 0) < 0 ? 0 : -EEXIST;
}

static void in_overlay(struct orch_try *t, int in, int out)
{
    struct trees *x = t->ctx;
    struct orch_fail f = {0};
    const char *step = "";
    ORCH_AUTO_FD int root = orch_view_new_root(&f);
    ORCH_AUTO_FD int dir = -1;
    int r;

    (void)in;
    (void)out;
    if (root < 0 || orch_view_overlay(&x->start.workspace, root, "/workspace", 0, &f) < 0) {
        orch_try_missing(t, f.errnum, "%s", orch_step_text(f.step));
        return;
    }
    dir = openat(root, "workspace", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    r = dir < 0 ? -errno : change_all(dir, &step);
    if (r < 0)
        orch_try_missing(t, -r, "%s", step);
    else
        orch_try_works(t, "written, renamed, removed; above '%s', below '%s'", t->args->state_dir,
                       t->args->workspace);
}

void orch_try_overlay(struct orch_try *t)
{
    ORCH_AUTO_FREE char *lower = orch_xasprintf("%s/lower", t->dir);
    struct trees x = {0};
    struct orch_try inside = *t;
    int r = make_layer(t->dir);

    if (r < 0) {
        orch_try_missing(t, -r, "make a layer in the state directory");
        return;
    }
    orch_strv_add(&x.layers, lower);
    if (prepare(t, &x, t->dir) < 0)
        return;
    inside.ctx = &x;
    orch_ns_call(&inside, (uint64_t)CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC, in_overlay);
}

/* ---- openat2 ---- */

void orch_try_openat2(struct orch_try *t)
{
    ORCH_AUTO_FD int root = orch_openat2(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0, 0);
    ORCH_AUTO_FD int inside = -1, outside = -1;

    if (root >= 0)
        inside = orch_open_beneath(root, "proc", O_PATH, 0);
    if (root < 0 || inside < 0) {
        orch_try_missing(t, root < 0 ? -root : -inside, "open a directory with openat2");
        return;
    }
    outside = orch_open_beneath(inside, "../etc", O_PATH, 0);
    if (outside != -EXDEV)
        orch_try_missing(t, outside < 0 ? -outside : EEXIST,
                         "be refused a path that leads out of a directory");
    else
        orch_try_works(t, "a path that leads out is refused with EXDEV");
}

/* ---- the whole ---- */

void orch_try_whole(struct orch_try *t)
{
    ORCH_AUTO_FREE char *dir = orch_xasprintf("%s/whole", t->dir);
    struct orch_err err = {0};

    if (mkdir(dir, 0755) < 0 || (orch_is_root() && chown(dir, orch_agent_uid(), orch_agent_gid()) < 0)) {
        orch_try_missing(t, errno, "make a layer in the state directory");
        return;
    }
    if (orch_sandbox_probe_in(dir, t->args->state_dir, workspace(t), &err) < 0)
        orch_try_missing(t, err.errnum, "%s", err.msg);
    else
        orch_try_works(t, "a program ran in one, as in a run");
}
