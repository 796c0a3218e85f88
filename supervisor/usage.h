/*
 * usage.h - what a layer on disk holds, against limits.workspace. An ordinary user has no quota there, so it
 * is measured.
 */
#ifndef ORCH_SUPERVISOR_USAGE_H
#define ORCH_SUPERVISOR_USAGE_H

#include "policy/plan.h"

struct orch_usage {
    uint64_t next_ms; /* monotonic; 0 = never measured */
};

/* Measures now. */
bool orch_usage_over(const struct orch_plan *plan, const char *upper);
/* Measures if it is time to: each second, or less often when a walk takes long, so that it never takes more
 * than a tenth of the event loop's time however many files an agent makes. True: over the limit. */
bool orch_usage_due(struct orch_usage *u, const struct orch_plan *plan, const char *upper);

#endif
