/*
 * exec.h - one `exec` while it lasts; shared by cmd_exec.c (the order of things), exec_run.c (the sandbox and
 * its output) and exec_end.c (changes, apply, closing words). It has no run directory and no journal.
 */
#ifndef ORCH_SUPERVISOR_EXEC_H
#define ORCH_SUPERVISOR_EXEC_H

#include "sandbox/cell.h"
#include "sandbox/sandbox.h"
#include "supervisor/apply.h"
#include "supervisor/audit.h"
#include "supervisor/options.h"
#include "supervisor/outq.h"
#include "supervisor/output.h"
#include "supervisor/signals.h"
#include "supervisor/terminal.h"
#include "supervisor/tier.h"
#include "supervisor/upper.h"

struct orch_exec {
    const struct orch_options *opt;
    char *state, *workspace, *cwd;
    struct orch_profile *profile;
    struct orch_plan *plan;
    struct orch_tier_found tier;
    struct orch_closure_cache *closures;
    struct orch_strv command;
    struct orch_audit *audit;
    struct orch_signals signals;
    struct orch_buf fingerprint; /* with --apply: the workspace before */
    int held;                    /* the layer directory, locked as long as it is in use; -1 = none */
    char *dir, *upper,
        *scaffold;         /* the throw-away layer; dir NULL = none made, scaffold NULL = none needed */
    struct orch_cell cell; /* tier nested */
    struct orch_outq out[2];
    bool escape[2]; /* the stream is a terminal */
    struct orch_capture capture;
    struct orch_terminal terminal;
    struct orch_outcome outcome;
    bool ran;
    int failed; /* the first failure in a hook */
    struct orch_err err;
    uint64_t denials, changes;
    bool applied;
};

/* Its plan, for the given workspace; cell: of tier nested, else NULL. */
int orch_exec_compile(const struct orch_exec *e, const char *workspace, const char *cell,
                      struct orch_plan **ret, struct orch_diags *d);
/* Locks a layer directory: a descriptor, or -errno. Removes those beside it that nobody holds. */
int orch_exec_hold(const char *dir);
void orch_exec_sweep(const char *parent);
/* Makes the throw-away layer in the state directory, if the plan needs one: dir, upper, scaffold and held.
 * ret: what runs on it, its pointers valid as long as e; whoever wants files or a time limit sets them. */
int orch_exec_layer(struct orch_exec *e, struct orch_sandbox_args *ret, struct orch_err *err);
/* Layer, scaffold, sandbox. 0 or -errno: then nothing ran. */
int orch_exec_sandbox(struct orch_exec *e, struct orch_err *err);
/* Counts the changes; applies them when asked to and the command exited 0. -errno when they may not be
 * applied. */
int orch_exec_changes(struct orch_exec *e, struct orch_err *err);
/* The closing line about denials. */
void orch_exec_closing(const struct orch_exec *e);
/* The exit status of the outcome (design 4); says on stderr what is not the command's own. */
int orch_exec_status(const struct orch_exec *e);
/* One JSON line on --status-fd. */
void orch_exec_report(const struct orch_exec *e, int status, const char *reason);

#endif
