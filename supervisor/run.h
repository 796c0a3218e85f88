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
#include "sandbox/unmount.h"
#include "supervisor/apply.h"
#include "supervisor/audit.h"
#include "supervisor/journal.h"
#include "supervisor/options.h"
#include "supervisor/print.h"
#include "supervisor/progress.h"
#include "supervisor/signals.h"
#include "supervisor/tier.h"
#include "supervisor/state.h"

#define ORCH_AUDIT_NAME "audit.jsonl"
#define ORCH_INPUTS_NAME "inputs/workflow.json"
#define ORCH_FINGERPRINT_NAME "fingerprint"
#define ORCH_SEAL_NAME "seal.json"

struct orch_run {
    const struct orch_options *opt;
    struct orch_workflow *wf;
    char *state, *workspace; /* absolute, real paths */
    struct orch_rundir dir;
    struct orch_journal journal;
    struct orch_audit *audit;
    struct orch_signals signals;
    struct orch_progress progress;
    struct orch_closure_cache *closures; /* of all plans of this process */
    struct orch_filter_memo *filters;    /* the same */
    struct orch_plan **plans; /* one per phase, NULL where it has no agent; compiled before anything starts */
    struct orch_strv
        secrets; /* values that any phase gets by pass_env: written nowhere, whoever prints them */
    uid_t uid;   /* the agents' */
    gid_t gid;
    uint64_t session_ms;           /* monotonic start of this process's part */
    uint64_t spent_before_ms;      /* of earlier parts */
    uint64_t denials;              /* of all agents so far, quiet ones not counted */
    struct orch_print print;       /* the fingerprint being taken */
    struct orch_unmounts unmounts; /* views of dead agents */
    struct orch_tier_found tier;
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
/* Digest of the newest layer of the first n phases, which covers all below it, down to the workspace. */
const char *orch_run_top_digest(const struct orch_run_state *s, size_t n);
/* Digest of an upper directory on top of what `below` is the digest of. */
int orch_stack_digest(const char *upper, const char *below, char ret[ORCH_HEX_SIZE], struct orch_err *err);
/* Compares those layers, and one that waits, with the digests in the journal: exit 7 when one differs. */
int orch_run_check_layers(const struct orch_run *r, size_t n, struct orch_err *err);
int orch_layers_check(const struct orch_rundir *dir, const struct orch_run_state *s, size_t n,
                      struct orch_err *err);

/* The first records of audit log and journal; the fingerprint begins to be taken. */
int orch_run_start(struct orch_run *r, struct orch_err *err);
/* From the present state to the end, or to a pause. Returns the exit status or -errno. */
int orch_run_drive(struct orch_run *r, struct orch_err *err);
/* Binds the last records of both logs (seal.json): what is cut off or changed behind our back then shows.
 * Called whenever a supervisor or a verb leaves the run. */
int orch_run_seal(struct orch_run *r, struct orch_err *err);
/* Drops the open attempt: it counts for nothing, its time and denials stay spent. */
enum orch_drop { ORCH_DROP_CRASH, ORCH_DROP_SUSPEND };
int orch_run_drop(struct orch_run *r, enum orch_drop why, struct orch_err *err);

/* ---- reopen.c ---- */

/* The workflow as the run kept it; the original files are not looked at. Exit 7, or 10. */
int orch_run_load_inputs(const struct orch_rundir *dir, struct orch_workflow **ret, struct orch_err *err);
/* The state's phases and the gates of its verdicts are the workflow's. Exit 7. (verify.c) */
int orch_run_state_fits(const struct orch_run_state *s, const struct orch_workflow *w, struct orch_err *err);
/* Opens an existing run for work: locked (exit 9), verified (exit 7), journal replayed, inputs loaded. */
int orch_run_reopen(struct orch_run *r, const char *id, struct orch_err *err);
/* The workspace of the run, at its own path still: exit 9 if that leads elsewhere now. */
int orch_run_find_workspace(struct orch_run *r, bool ignore_submounts, struct orch_err *err);
/* Writes the seal of a run that had ended, if it is missing. */
int orch_run_seal_again(struct orch_run *r, struct orch_err *err);
/* Opens its audit log, records that it is taken up, drops the attempt that a dead supervisor left. */
int orch_run_take_up(struct orch_run *r, struct orch_err *err);

/* ---- verdict.c ---- */

/* PASS: every gate of the phase counts as passed; PENDING: but for approvals; FAIL: else. */
enum orch_gate_verdict orch_verdict_gates(const struct orch_verdict_record *v, size_t n_gates);
/* Makes a verdict durable (as `pending` when exit_code is 5): fills passed, goes_on and audit_head from
 * exit_code, sealed and the phase; then binds the record into the audit log and shows it. */
int orch_verdict_commit(struct orch_run *r, struct orch_verdict_record *v, struct orch_err *err);
/* The attempt that waits: its verdict, if the decisions are there. 0, 5 if they are not, -errno. */
int orch_run_settle(struct orch_run *r, struct orch_err *err);
/* Whether the time for that approval is over; also if it cannot be told. */
bool orch_approval_expired(const struct orch_gate *gates, size_t n, const char *name,
                           const struct orch_verdict_record *waiting);
int orch_gate_audit(struct orch_audit *audit, const struct orch_gate_record *g, struct orch_err *err);

/* ---- overrides.c ---- */

/* Refuses them in strict mode, before anything else is looked at: exit 2. */
int orch_overrides_permitted(const struct orch_options *opt, struct orch_err *err);
/* The overrides that the options ask for: refused in strict mode, for unknown phases and gates, without a
 * reason (exit 2); before anything starts. s: of a run that is resumed, else NULL. */
int orch_overrides_check(const struct orch_options *opt, const struct orch_workflow *wf,
                         const struct orch_run_state *s, struct orch_err *err);
/* Journals them. */
int orch_overrides_record(struct orch_run *r, struct orch_err *err);
/* False for a reason of white space alone. */
bool orch_says_something(const char *text);
/* Name of the user who gives orders here: "root", or "uid 1000" without an entry. Caller frees. */
char *orch_user_name(void);
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

/* Text for people about a run (summary.c); `next` adds what can be done now. All of it is printable. */
void orch_summary_text(const struct orch_run_state *s, const char *id, bool next, bool busy,
                       struct orch_buf *out);
/* One word or two: the verdict, "running", "paused", "interrupted". */
const char *orch_run_standing(const struct orch_run_state *s, bool busy);
void orch_summary_json(const struct orch_run_state *s, bool busy, struct orch_buf *out);

/*
 * The checks behind `verify`, and those before a resume: both chains, every audit head that the journal
 * binds, the inputs' digest, the layers that go on. noted (may be NULL): what whoever asks has from
 * elsewhere. ok (may be NULL) gets one line per check that held. Exit 7 otherwise.
 */
struct orch_noted {
    const char *key;                      /* the public key that must have signed all of both logs; or NULL */
    const struct orch_option_list *heads; /* digests of lines, that must still be there; or NULL */
};
int orch_run_verify(const struct orch_rundir *dir, const struct orch_noted *noted, struct orch_buf *ok,
                    struct orch_err *err);

#endif
