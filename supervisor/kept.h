/*
 * kept.h - the documents of a run as it kept them, read again for a report: `explain` replays one record with
 * them, `audit` finds what would allow a denial. Nothing is locked and nothing written in the run's
 * directory.
 */
#ifndef ORCH_SUPERVISOR_KEPT_H
#define ORCH_SUPERVISOR_KEPT_H

#include "supervisor/run.h"

/* Fills r, which orch_run_init() made: state directory, run directory, inputs, workspace. Exit 2, 7, 10. */
int orch_kept_open(struct orch_run *r, const char *id, struct orch_err *err);

struct orch_kept_at { /* what a record is of: an agent, or a gate's command */
    size_t phase;
    struct orch_gate *gate; /* NULL = the agent */
};

/* gate may be NULL. Exit 7: the workflow does not have it. */
int orch_kept_find(const struct orch_run *r, const char *phase, const char *gate, struct orch_kept_at *ret,
                   struct orch_err *err);
struct orch_profile *orch_kept_profile(const struct orch_run *r, const struct orch_kept_at *at);
/* Its plan on this host now, under another profile if that is not NULL (then it must outlive the plan). */
int orch_kept_compile(const struct orch_run *r, const struct orch_kept_at *at, unsigned attempt,
                      struct orch_profile *other, struct orch_plan **ret, struct orch_diags *d);

#endif
