/* upper.c - see upper.h. */
#include "supervisor/upper.h"

#include <errno.h>
#include <sys/stat.h>

#include "common/io.h"
#include "sandbox/layer.h"
#include "sandbox/sandbox.h"

int orch_upper_prepare(const struct orch_strv *below, const char *workspace, const struct orch_plan *plan,
                       const char *upper, const char *scaffold, bool *ret_used, struct orch_err *err)
{
    bool root = orch_is_root();
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
