/*
 * upper.h - the writable layer of an attempt or an exec: made ready before it starts.
 */
#ifndef ORCH_SUPERVISOR_UPPER_H
#define ORCH_SUPERVISOR_UPPER_H

#include "common/err.h"
#include "policy/plan.h"

/*
 * Makes the empty upper ready for the view of these layers over the workspace: its root gets the mode of the
 * merged root, so that this is no change; scaffold (an empty directory) gets what the plan hides and mounts.
 * *ret_used: the scaffold is needed.
 */
int orch_upper_prepare(const struct orch_strv *below, const char *workspace, const struct orch_plan *plan,
                       const char *upper, const char *scaffold, bool *ret_used, struct orch_err *err);

#endif
