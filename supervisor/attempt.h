/*
 * attempt.h - one attempt while it lasts; shared by attempt.c (the agent's part) and judge.c (what comes
 * after its death).
 */
#ifndef ORCH_SUPERVISOR_ATTEMPT_H
#define ORCH_SUPERVISOR_ATTEMPT_H

#include "sandbox/cell.h"
#include "supervisor/control.h"
#include "supervisor/output.h"
#include "supervisor/run.h"
#include "supervisor/terminal.h"
#include "supervisor/upper.h"

struct orch_attempt {
    struct orch_run *run;
    const struct orch_phase *phase;
    size_t index;
    unsigned n;
    char *name;               /* "PHASE.N" */
    char *dir, *upper, *home; /* home: NULL without a home overlay */
    struct orch_strv below;   /* upper directories under this attempt's, newest first */
    struct orch_strv home_below;
    size_t n_kept;          /* how many of `below` belong to this phase */
    struct orch_plan *plan; /* NULL for gates only */
    struct orch_control control;
    struct orch_capture out;
    struct orch_terminal terminal;
    uint64_t began_ms, beat_ms;
    struct orch_cell cell; /* tier nested: where the agent works; else empty */
    bool last_of_workflow; /* the wall limit is what is left of the workflow's time */
    const char *held;      /* what holds memory and pids: orch_limits_held_by */
    struct orch_outcome outcome;
    char detail[1200];                /* one printable sentence about the end */
    struct orch_denial_counts counts; /* of the agent, quiet ones not counted */
    struct orch_verdict_record verdict;
    /* the first failure in a hook: ends the attempt and the run (exit 10) */
    int failed;
    struct orch_err err;
};

/* attempt_cell.c, tier nested: the copy that stands for the overlay, and the plan for it; then the layer made
 * of the copy. A copy that cannot be turned into one is a matter of integrity. */
int orch_attempt_enter_cell(struct orch_attempt *a, const char *prompt, struct orch_err *err);
int orch_attempt_leave_cell(struct orch_attempt *a, struct orch_err *err);
/* The directory that limits.workspace is measured on. */

/* Judges the dead tree's layer: seal check, every gate, durable verdict (design 6). */
int orch_attempt_judge(struct orch_attempt *a, struct orch_err *err);
/* Makes all that is in upper durable, and the way from the run directory to it: before the verdict (exit 10).
 */
int orch_attempt_durable(const struct orch_attempt *a, const char *upper, struct orch_err *err);
/* Keeps the first failure of a hook. */
void orch_attempt_fail(struct orch_attempt *a, int r);
/* The hook for waking up: signals, heartbeat, folded counts, status line. False when the run must end. */
bool orch_attempt_beat(struct orch_attempt *a);

/* What is watched, as records name it; "none" without a plan. */
const char *orch_attempt_level(const struct orch_plan *plan, bool nested);
/* The rule of a limit's record: the document and key that gave it; "sandbox#/..." for a default. Caller
 * frees.
 */
char *orch_attempt_limit_rule(const struct orch_attempt *a);
char *orch_limit_rule(const struct orch_profile *p, const char *limit);

/* Hands a denial to the audit log, with secrets masked. */
int orch_audit_masked(struct orch_audit *audit, const struct orch_strv *secrets, const struct orch_denial *d,
                      struct orch_err *err);
int orch_audit_masked_exec(struct orch_audit *audit, const struct orch_strv *secrets,
                           const struct orch_exec_event *e, struct orch_err *err);

#endif
