/* usage.c - see usage.h. */
#include "supervisor/usage.h"

#include "common/io.h"
#include "sandbox/layer.h"

#define EVERY_MS 1000
#define SHARE 10 /* of the time between two walks, a walk may take one part in this many */

bool orch_usage_over(const struct orch_plan *plan, const char *upper)
{
    uint64_t limit = plan->profile->limits.workspace, bytes = 0, entries = 0;

    if (!limit)
        return false;
    /* A directory that is shut to us could hide any amount; its layer could not be sealed either. */
    return orch_layer_usage(upper, &bytes, &entries) < 0 || bytes > limit;
}

bool orch_usage_due(struct orch_usage *u, const struct orch_plan *plan, const char *upper)
{
    uint64_t began = orch_now_ms(), took;
    bool over;

    if (began < u->next_ms)
        return false;
    over = orch_usage_over(plan, upper);
    took = orch_now_ms() - began;
    u->next_ms = began + (took * SHARE > EVERY_MS ? took * SHARE : EVERY_MS);
    return over;
}
