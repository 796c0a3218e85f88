/* upper.c - see upper.h. */
#include "supervisor/upper.h"

#include <errno.h>
#include <sys/stat.h>

#include "common/io.h"
#include "sandbox/layer.h"

#define EVERY_MS 1000
#define SHARE 10 /* of the time between two walks, a walk may take one part in this many */

static bool over(const struct orch_plan *plan, const char *upper, bool if_unreadable)
{
    uint64_t limit = plan->profile->limits.workspace, bytes = 0, entries = 0;
    int r;

    if (!limit)
        return false;
    r = orch_layer_usage(upper, &bytes, &entries);
    if (r < 0) /* that we are short of descriptors or memory says nothing about the layer */
        return if_unreadable && !orch_errno_is_host(-r);
    return bytes > limit;
}

bool orch_usage_over(const struct orch_plan *plan, const char *upper)
{
    return over(plan, upper, false);
}

bool orch_usage_due(struct orch_usage *u, const struct orch_plan *plan, const char *upper)
{
    uint64_t began = orch_now_ms(), took;
    bool ret;

    if (began < u->next_ms)
        return false;
    ret = over(plan, upper, true);
    took = orch_now_ms() - began;
    u->next_ms = began + (took * SHARE > EVERY_MS ? took * SHARE : EVERY_MS);
    return ret;
}

int orch_upper_prepare(const struct orch_strv *below, const char *workspace, const struct orch_plan *plan,
                       const char *upper, const char *scaffold, bool *ret_used, struct orch_err *err)
{
    bool root = geteuid() == 0;
    struct orch_view view;
    struct orch_entry top;
    int r = orch_view_open(below, workspace, &view, err);

    if (r < 0)
        return r;
    if (orch_view_lookup(&view, "", &top) == 0) {
        if (top.type == 'd' && chmod(upper, top.mode & 0777) < 0)
            r = orch_err_sys(err, errno, "cannot set the mode of the layer's root");
        orch_entry_fini(&top);
    }
    if (r == 0 && scaffold)
        r = orch_layer_scaffold(&view, plan, scaffold, root ? plan->uid : (uid_t)-1,
                                root ? plan->gid : (gid_t)-1, ret_used, err);
    orch_view_fini(&view);
    return r;
}
