/*
 * upper.h - the writable layer of an attempt or an exec: made ready before, measured against
 * limits.workspace while it lasts (an ordinary user has no quota on disk).
 */
#ifndef ORCH_SUPERVISOR_UPPER_H
#define ORCH_SUPERVISOR_UPPER_H

#include "common/err.h"
#include "policy/plan.h"

struct orch_usage {
    uint64_t next_ms; /* monotonic; 0 = never measured */
    uint64_t base;    /* bytes that were there from the start: a copy of the workspace */
};

/* Measures now, when the tree is dead: what cannot be read is the seal check's to refuse. */
bool orch_usage_over(const struct orch_usage *u, const struct orch_plan *plan, const char *upper);
/* What is in upper now is the base. */
int orch_usage_begin(struct orch_usage *u, const char *upper);
/* Measures if it is time to: each second, or less often when a walk takes long, so that it never takes more
 * than a tenth of the event loop's time however many files an agent makes. True: over the
 * limit, or a directory is shut to us, which could hide any amount while the agent goes on. */
bool orch_usage_due(struct orch_usage *u, const struct orch_plan *plan, const char *upper);

/*
 * Makes the empty upper ready for the view of these layers over the workspace: its root gets the mode of the
 * merged root, so that this is no change; scaffold (an empty directory) gets what the plan hides and mounts.
 * *ret_used: the scaffold is needed.
 */
int orch_upper_prepare(const struct orch_strv *below, const char *workspace, const struct orch_plan *plan,
                       const char *upper, const char *scaffold, bool *ret_used, struct orch_err *err);

#endif
