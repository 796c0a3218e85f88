/*
 * gates.h - checks on a sealed layer, out of the agent's reach (design 6, notes on gates in docs/).
 *
 * A gate reads the sealed view by descriptor or runs a command in a sandbox of its own; it never executes,
 * parses or prints agent bytes in this process. Unknown, unreadable, unevaluable is ORCH_GATE_ERROR, and
 * error blocks.
 */
#ifndef ORCH_GATES_GATES_H
#define ORCH_GATES_GATES_H

#include "policy/workflow.h"
#include "sandbox/layer.h"
#include "sandbox/sandbox.h"

enum orch_gate_verdict {
    ORCH_GATE_PASS,
    ORCH_GATE_FAIL,
    ORCH_GATE_ERROR,
    ORCH_GATE_INTEGRITY,
    ORCH_GATE_PENDING
};
const char *orch_gate_verdict_name(enum orch_gate_verdict v); /* "pass" ... */

struct orch_denial_counts { /* of the phase's current attempt, quiet ones not counted */
    uint64_t filesystem, exec, syscall, network, control;
};

struct orch_gate_ctx {
    const char *run_id, *phase;
    unsigned attempt;
    const char *workspace;                    /* host path of the real workspace */
    const struct orch_strv *layers;           /* all upper directories of the sealed view, newest first */
    const struct orch_view *view;             /* the sealed view: those layers over the workspace */
    const struct orch_view *base;             /* the workspace alone, as at run start */
    const struct orch_changes *phase_changes; /* against the view at the start of the phase */
    const struct orch_changes *run_changes;   /* against the workspace at run start */
    struct orch_denial_counts denials;
    uint64_t left_ms;        /* of the workflow's time: no gate may take longer; 0 = no end */
    const char *scratch_dir; /* existing empty host directory for throw-away layers of this evaluation; caller
                                removes it */
    const char *workflow_dir;            /* command[0] with a slash is relative to it */
    struct orch_closure_cache *closures; /* for the plans of gate commands; may be NULL */
    bool nested;                         /* tier nested: the view is a copy */
    uid_t uid;
    gid_t gid;
    const struct orch_filter_cache *filters; /* as in struct orch_plan_args */
    /* A gate command's output, denials and programs, for logs and audit; may be NULL. */
    void *ctx;
    void (*on_output)(void *ctx, const char *gate, int stream, const void *p, size_t n);
    void (*on_denial)(void *ctx, const char *gate, const struct orch_denial *d);
    void (*on_exec)(void *ctx, const char *gate, const struct orch_exec_event *e);
    enum orch_next (*on_tick)(void *ctx);
    int wake_fd; /* -1 = none */
};

struct orch_gate_result {
    const char *name; /* borrowed from the gate */
    enum orch_gate_type type;
    enum orch_gate_verdict verdict;
    char *reason; /* one line, printable ASCII, owned: "PLAN.md: 12 bytes, at least 100 wanted" */
    uint64_t elapsed_ms;
    int host_errno; /* an error of the host's (orch_errno_is_host) kept it from being evaluated; 0 = none */
    struct orch_gate_result *children; /* of all, any, not */
    size_t n_children;
};

/* Evaluates one gate (children too). Always fills *ret; never fails otherwise. */
void orch_gate_eval(const struct orch_gate *g, const struct orch_gate_ctx *c, struct orch_gate_result *ret);
/* The errno of the host's that kept a gate, or one within it, from being evaluated; 0: none. */
int orch_gate_host_errno(const struct orch_gate_result *r);
void orch_gate_result_fini(struct orch_gate_result *r);
/*
 * The verdict of a gate made of others, from theirs: the same function judges live results and, when an
 * approval was given later, the recorded ones. Integrity beats error, and error beats the rest: what could
 * not be judged never turns into a pass by negation or by a sibling. What is still pending leaves the group
 * pending unless the others decide it. *ret_child: the child that decided, n if none did alone.
 */
enum orch_gate_verdict orch_gate_combine(enum orch_gate_type type, const enum orch_gate_verdict *v, size_t n,
                                         size_t *ret_child);
/* The inverse of orch_gate_verdict_name; an unknown name is ORCH_GATE_ERROR. */
enum orch_gate_verdict orch_gate_verdict_parse(const char *name);
/* One sentence for the agent and for people: what the gate wants ("file PLAN.md of at least 100 bytes").
 * Caller frees. */
char *orch_gate_describe(const struct orch_gate *g);

#endif
