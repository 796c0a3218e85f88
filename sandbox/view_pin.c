/*
 * view_pin.c - directories that lead to a mount are not the agent's to move.
 *
 * In the view's own root they are read-only anyway. Beneath the agent's writable /tmp and home (a workspace
 * in /tmp/x/y, say) they would be ordinary directories: renaming /tmp/x would carry the workspace's mount to
 * another path, where rules by path no longer speak of it. So the first component becomes a read-only mount
 * point, which cannot be renamed (EBUSY).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/io.h"
#include "sandbox/kernel.h"
#include "sandbox/sandbox_int.h"

static int pin(int root, const char *path)
{
    ORCH_AUTO_FD int at = orch_openat2(root, path + 1, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0,
                                       RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    ORCH_AUTO_FD int tree = -1;
    int r;

    if (at < 0)
        return at;
    tree = orch_sys_open_tree(at, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
    if (tree < 0)
        return -errno;
    r = orch_view_set_attr(tree, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
                           0);
    if (r < 0)
        return r;
    return orch_sys_move_mount(tree, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0
               ? -errno
               : 0;
}

/* "/tmp/x" for "/tmp/x/y" beneath "/tmp"; NULL if path is not deeper than one component beneath it. */
static char *first_component(const char *path, const char *top)
{
    size_t n = strlen(top);
    const char *end;

    if (strncmp(path, top, n) != 0 || path[n] != '/')
        return NULL;
    end = strchr(path + n + 1, '/');
    return end ? orch_xstrndup(path, (size_t)(end - path)) : NULL;
}

static void collect(const char *path, struct orch_strv *pins)
{
    static const char *const tops[] = {ORCH_TMP_PATH, ORCH_HOME_PATH};

    for (size_t i = 0; i < ORCH_NELEM(tops); i++) {
        ORCH_AUTO_FREE char *first = first_component(path, tops[i]);

        if (first && !orch_strv_has(pins, first))
            orch_strv_add(pins, first);
    }
}

int orch_view_pin(const struct orch_plan *plan, int root, struct orch_fail *f)
{
    ORCH_AUTO(orch_strv_fini) struct orch_strv pins = {0};

    for (size_t i = 0; i < plan->n_places; i++) {
        const struct orch_place *q = &plan->places[i];

        if (q->kind == ORCH_PLACE_HOST || q->kind == ORCH_PLACE_WORKSPACE)
            collect(q->path, &pins);
    }
    for (size_t i = 0; i < plan->closure.n; i++)
        if (!orch_path_beneath(plan->closure.v[i].path, plan->workspace))
            collect(plan->closure.v[i].path, &pins);
    for (size_t i = 0; i < pins.n; i++) {
        const struct orch_place *place = orch_plan_place(plan, pins.v[i]);
        int r;

        if (place && strcmp(place->path, pins.v[i]) == 0)
            continue; /* a mount point of its own */
        r = pin(root, pins.v[i]);
        if (r < 0)
            return orch_fail_set(f, ORCH_STEP_RULE, -r, plan->workspace);
    }
    return 0;
}
