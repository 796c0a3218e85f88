/*
 * view_overlay.c - the workspace (and a seeded home) as an overlay, and the rules beneath it as mounts.
 *
 * Layers are first attached under short names in a staging directory, so that no host path (with its colons,
 * commas and length) is ever part of the mount options, and so that detached trees handed over by root work
 * the same way. `userxattr` is used as root too: layers are then readable by either (design 8).
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

#define STAGE "/.stage"

static int stage_tree(const struct orch_tree *t, int stage, const char *name)
{
    ORCH_AUTO_FD int tree = -1, target = -1;

    if (t->fd >= 0)
        tree = fcntl(t->fd, F_DUPFD_CLOEXEC, 0);
    else
        tree = orch_sys_open_tree(AT_FDCWD, t->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (tree < 0)
        return -errno;
    if (mkdirat(stage, name, 0700) < 0)
        return -errno;
    target = openat(stage, name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (target < 0)
        return -errno;
    if (orch_sys_move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return -errno;
    return 0;
}

static int stage_all(const struct orch_overlay_trees *o, int stage, struct orch_buf *options,
                     struct orch_fail *f)
{
    char name[24];
    int r;

    /* No index, whatever the kernel's default: a layer may still be mounted in a view that is being taken
     * down, which with an index is EBUSY.
     */
    orch_buf_str(options, "userxattr,index=off,lowerdir=");
    for (size_t i = 0; i < o->n_lowers; i++) {
        (void)snprintf(name, sizeof(name), "%zu", i);
        r = stage_tree(&o->lowers[i], stage, name);
        if (r < 0)
            return orch_fail_set(f, ORCH_STEP_OVERLAY, -r, o->lowers[i].path);
        orch_buf_printf(options, "%s%s", i ? ":" : "", name);
    }
    if (o->layer.path) {
        r = stage_tree(&o->layer, stage, "u");
        if (r < 0)
            return orch_fail_set(f, ORCH_STEP_OVERLAY, -r, o->layer.path);
        /* volatile: neither an fsync of the agent's nor the unmount writes the host's whole file system back.
         * A layer is made durable by its own files when it is sealed, and one that was not sealed is dropped.
         */
        orch_buf_str(options, ",upperdir=u/upper,workdir=u/work,volatile");
        return 0;
    }
    /* An overlay without upper wants two lowers. A mount of its own: a removed directory would end every
     * listing. */
    r = orch_view_tmpfs(stage, "/empty", 4096, 2, "0755", MOUNT_ATTR_RDONLY);
    if (r < 0)
        return orch_fail_set(f, ORCH_STEP_OVERLAY, -r, STAGE);
    orch_buf_str(options, ":empty");
    return 0;
}

/* The staged trees are private copies inside the overlay by now; only their names go away. */
static void unstage(const struct orch_overlay_trees *o, int root, int stage)
{
    char name[24];

    for (size_t i = 0; i < o->n_lowers; i++) {
        (void)snprintf(name, sizeof(name), "%zu", i);
        (void)umount2(name, MNT_DETACH | UMOUNT_NOFOLLOW);
        (void)unlinkat(stage, name, AT_REMOVEDIR);
    }
    (void)umount2("u", MNT_DETACH | UMOUNT_NOFOLLOW);
    (void)unlinkat(stage, "u", AT_REMOVEDIR);
    (void)umount2("empty", MNT_DETACH | UMOUNT_NOFOLLOW);
    (void)unlinkat(stage, "empty", AT_REMOVEDIR);
    (void)unlinkat(stage, "m", AT_REMOVEDIR);
    (void)unlinkat(root, STAGE + 1, AT_REMOVEDIR);
}

int orch_view_overlay(const struct orch_overlay_trees *o, int root, const char *target, uint64_t attrs,
                      struct orch_fail *f)
{
    ORCH_AUTO_BUF struct orch_buf options = {0};
    ORCH_AUTO_FD int stage = orch_view_target(root, STAGE, false), tree = -1;
    int r;

    if (stage < 0 || fchdir(stage) < 0)
        return orch_fail_set(f, ORCH_STEP_OVERLAY, errno, target);
    if (stage_all(o, stage, &options, f) < 0)
        return -1;
    if (options.len >= 4095)
        return orch_fail_set(f, ORCH_STEP_OVERLAY, E2BIG, target);
    if (mkdirat(stage, "m", 0700) < 0 ||
        mount("overlay", "m", "overlay", MS_NOSUID | MS_NODEV, options.data) < 0)
        return orch_fail_set(f, ORCH_STEP_OVERLAY, errno, target);
    tree = orch_sys_open_tree(AT_FDCWD, "m", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0)
        return orch_fail_set(f, ORCH_STEP_OVERLAY, errno, target);
    (void)umount2("m", MNT_DETACH | UMOUNT_NOFOLLOW);
    r = orch_view_set_attr(tree, attrs | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0);
    if (r == 0)
        r = orch_view_attach(tree, root, target, false);
    unstage(o, root, stage);
    return r < 0 ? orch_fail_set(f, ORCH_STEP_OVERLAY, -r, target) : 0;
}

uint64_t orch_view_access_attrs(enum orch_access access)
{
    bool w = access == ORCH_ACCESS_RW || access == ORCH_ACCESS_RWX;
    bool x = access == ORCH_ACCESS_RX || access == ORCH_ACCESS_RWX;

    return MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (w ? 0 : MOUNT_ATTR_RDONLY) | (x ? 0 : MOUNT_ATTR_NOEXEC);
}

static uint64_t rule_attrs(const struct orch_plan *plan, enum orch_access access)
{
    return orch_view_access_attrs(access) & ~(plan->exec_view ? (uint64_t)MOUNT_ATTR_NOEXEC : 0);
}

/* Mounts an existing path of the workspace onto itself with its own attributes. Missing or a symlink:
 * notification and seal hold it. */
static int remount_path(const struct orch_plan *plan, int root, const char *path, enum orch_access access)
{
    ORCH_AUTO_FD int at = orch_openat2(root, path + 1, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0,
                                       RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
    ORCH_AUTO_FD int tree = -1;
    struct stat st;
    int r;

    if (at == -ENOENT || at == -ELOOP || at == -ENOTDIR)
        return -ENOENT;
    if (at < 0)
        return at;
    if (fstat(at, &st) < 0)
        return -errno;
    if (S_ISLNK(st.st_mode))
        return -ENOENT;
    tree = orch_sys_open_tree(at, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    if (tree < 0)
        return -errno;
    r = orch_view_set_attr(tree, rule_attrs(plan, access), 0);
    if (r < 0)
        return r;
    if (orch_sys_move_mount(tree, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return -errno;
    return 0;
}

/* The top-level entry of each anywhere-rule is held by a mount too; deeper ones by notification and the seal
 * check. */
static int protect_anywhere(const struct orch_plan *plan, int root, struct orch_fail *f)
{
    for (size_t i = 0; i < plan->n_anywhere; i++) {
        ORCH_AUTO_FREE char *path = orch_xasprintf("%s/%s", plan->workspace, plan->anywhere[i].name);
        const struct orch_place *literal = orch_plan_place(plan, path);
        int r;

        if (plan->anywhere[i].access == ORCH_ACCESS_NONE || (literal && strcmp(literal->path, path) == 0))
            continue;
        r = remount_path(plan, root, path, plan->anywhere[i].access);
        if (r < 0 && r != -ENOENT)
            return orch_fail_set(f, ORCH_STEP_RULE, -r, plan->workspace);
    }
    return 0;
}

static int attach_scratch(const struct orch_plan *plan, int root, const struct orch_place *place,
                          struct orch_fail *f)
{
    uint64_t attrs =
        MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (place->access == ORCH_ACCESS_RWX ? 0 : MOUNT_ATTR_NOEXEC);
    int r =
        orch_view_tmpfs(root, place->path, plan->profile->tmp_size, plan->profile->tmp_files, "0755", attrs);

    return r < 0 ? orch_fail_set(f, ORCH_STEP_TMPFS, -r, place->path) : 0;
}

int orch_view_workspace_rules(struct orch_start *s, int root, struct orch_fail *f)
{
    const struct orch_plan *plan = s->plan;
    const struct orch_place *top = NULL;
    bool missing_hole = false;
    int r;

    for (size_t i = 0; i < plan->n_places; i++) {
        const struct orch_place *q = &plan->places[i];

        if (q->kind == ORCH_PLACE_WORKSPACE)
            top = q;
        if (q->kind == ORCH_PLACE_SCRATCH && attach_scratch(plan, root, q, f) < 0)
            return -1;
        if (q->kind != ORCH_PLACE_WSRULE || q->access == ORCH_ACCESS_NONE)
            continue;
        r = remount_path(plan, root, q->path, q->access);
        if (r == -ENOENT && (q->access == ORCH_ACCESS_RW || q->access == ORCH_ACCESS_RWX))
            missing_hole = true;
        else if (r < 0 && r != -ENOENT)
            return orch_fail_set(f, ORCH_STEP_RULE, -r, q->path);
    }
    if (protect_anywhere(plan, root, f) < 0)
        return -1;
    if (top) {
        /* A writable hole that is still to be created needs a writable mount around it: the seal check holds
         * the rest. */
        uint64_t attrs = rule_attrs(plan, top->access) & ~(missing_hole ? (uint64_t)MOUNT_ATTR_RDONLY : 0);
        ORCH_AUTO_FD int at =
            orch_openat2(root, top->path + 1, O_PATH | O_CLOEXEC, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);

        r = at < 0 ? at : orch_view_set_attr(at, attrs, 0);
        if (r < 0)
            return orch_fail_set(f, ORCH_STEP_RULE, -r, top->path);
    }
    return 0;
}
