/*
 * run.h - one run being driven: what it owns, and the steps that move it.
 *
 * The loop asks orch_run_next() what the journal's state calls for, does that one thing, journals it, and
 * asks again. So `run` and `resume` are the same loop, started with a new journal or a replayed one.
 * Functions return 0 or an exit status > 0 where stated, or -errno with the error filled (err.exit_code says
 * how to end).
 */
#ifndef ORCH_SUPERVISOR_RUN_H
#define ORCH_SUPERVISOR_RUN_H

#include "policy/workflow.h"
#include "sandbox/sandbox.h"
#include "supervisor/apply.h"
#include "supervisor/audit.h"
#include "supervisor/journal.h"
#include "supervisor/options.h"
#include "supervisor/progress.h"
#include "supervisor/signals.h"
#include "supervisor/state.h"

#define ORCH_AUDIT_NAME "audit.jsonl"
#define ORCH_INPUTS_NAME "inputs/workflow.json"
#define ORCH_FINGERPRINT_NAME "fingerprint"

struct orch_run {
    const struct orch_options *opt;
    struct orch_workflow *wf;
    char *state, *workspace; /* absolute, real paths */
    struct orch_rundir dir;
    struct orch_journal journal;
    struct orch_audit *audit;
    struct orch_signals signals;
    struct orch_progress progress;
    struct orch_plan **plans; /* one per phase, NULL where it has no agent; compiled before anything starts */
    struct orch_strv
        secrets; /* values that any phase gets by pass_env: written nowhere, whoever prints them */
    uid_t uid;   /* the agents' */
    gid_t gid;
    uint64_t session_ms;      /* monotonic start of this process's part */
    uint64_t spent_before_ms; /* of earlier parts */
    uint64_t denials;         /* of all agents so far, quiet ones not counted */
};

void orch_run_init(struct orch_run *r, const struct orch_options *opt);
void orch_run_fini(struct orch_run *r);

/* Milliseconds of the workflow's time used up, by this process and those before it. */
uint64_t orch_run_spent(const struct orch_run *r);
/* What is left of the workflow's timeout; UINT64_MAX when it has none. */
uint64_t orch_run_left(const struct orch_run *r);

/* A journal record with time and denials filled in; commit makes it durable. */
void orch_run_record(struct orch_run *r, const char *event, struct orch_jw *w);
int orch_run_commit(struct orch_run *r, struct orch_jw *w, struct orch_err *err);
/* Makes the audit log durable: before a journal record binds its head. */
int orch_run_sync_audit(struct orch_run *r, struct orch_err *err);

/* Upper directories of the first n phases' layers, newest first; home: their home layers instead. */
void orch_run_layers(const struct orch_run *r, size_t n, bool home, struct orch_strv *ret);
/* Compares those layers with the digests in the journal: exit 7 when one differs. */
int orch_run_check_layers(const struct orch_run *r, size_t n, struct orch_err *err);
int orch_layers_check(const struct orch_rundir *dir, const struct orch_run_state *s, size_t n,
                      struct orch_err *err);

/* The first record of audit log and journal. */
int orch_run_start(struct orch_run *r, struct orch_err *err);
/* From the present state to the end, or to a pause. Returns the exit status or -errno. */
int orch_run_drive(struct orch_run *r, struct orch_err *err);
/* One attempt, from directories to durable verdict (attempt.c). */
int orch_attempt_run(struct orch_run *r, size_t phase, struct orch_err *err);
/* Conflict check, unsafe check, apply (finish.c). Ends the run. Returns 0 or -errno. */
int orch_run_finish(struct orch_run *r, struct orch_err *err);
/* orch_apply with the owner that what is created gets: the workspace's when root, else ours. */
int orch_workspace_apply(const struct orch_view *full, const struct orch_changes *c, const char *workspace,
                         struct orch_apply_stats *ret, struct orch_err *err);
/* Holds the workspace against other supervisors from the conflict check to the last write: a descriptor to
 * close, or -errno with exit 9. */
int orch_workspace_lock(const char *workspace, struct orch_err *err);
/* Writes the end record. */
int orch_run_end(struct orch_run *r, const char *verdict, int exit_code, const char *reason,
                 struct orch_err *err);

/* Where a run stands, in one word: its verdict once it has ended, else running, paused or interrupted. */
const char *orch_run_standing(const struct orch_run_state *s, bool busy);
/* Text for people about a run (summary.c); `next` adds what can be done now. All of it is printable. */
void orch_summary_text(const struct orch_run_state *s, const char *id, bool next, bool busy,
                       struct orch_buf *out);
void orch_summary_json(const struct orch_run_state *s, bool busy, struct orch_buf *out);

/*
 * The checks behind `verify`, and those before a resume: both chains, every audit head that the journal
 * binds, the inputs' digest, the layers that go on. ok (may be NULL) gets one line per check that held. Exit
 * 7 otherwise.
 */
int orch_run_verify(const struct orch_rundir *dir, struct orch_buf *ok, struct orch_err *err);

#endif
