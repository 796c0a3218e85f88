/*
 * workflow.h - the workflow document (design 5.1): the phases in order, their agents and their gates.
 *
 * Loading is strict and total: every document that the workflow names (profiles, prompts) is read here, once;
 * what is in memory afterwards is what counts, whatever happens to the files (T-GATE-11, T-PH-07). Defaults
 * are filled in.
 */
#ifndef ORCH_POLICY_WORKFLOW_H
#define ORCH_POLICY_WORKFLOW_H

#include "policy/profile.h"

enum orch_stdin { ORCH_STDIN_NULL, ORCH_STDIN_PROMPT };

struct orch_agent {
    struct orch_strv
        command; /* ${...} not yet expanded; a command[0] with a slash is relative to the workflow's folder */
    struct orch_env_pair *env;
    size_t n_env;
    struct orch_strv pass_env;
    enum orch_stdin stdin_mode;
    bool tty; /* a terminal of its own */
};

enum orch_gate_type {
    ORCH_GATE_FILE,
    ORCH_GATE_CHANGES,
    ORCH_GATE_COMMAND,
    ORCH_GATE_DENIALS,
    ORCH_GATE_APPROVAL,
    ORCH_GATE_ALL,
    ORCH_GATE_ANY,
    ORCH_GATE_NOT,
};

struct orch_gate { /* only the fields of its type are meaningful */
    enum orch_gate_type type;
    char *name;   /* unique in its phase, default TYPE-N with N from 1 in document order (children included,
                     depth first) */
    char *origin; /* JSON pointer in the workflow */
    /* file */
    char *path;                  /* relative to the workspace, checked: no "..", not absolute, no NUL */
    uint64_t min_size, max_size; /* defaults 1, UINT64_MAX */
    char *sha256;                /* 64 lower-case hex or NULL */
    bool absent;
    /* changes */
    struct orch_strv allow, deny, required;
    bool has_allow;                /* allow given (an empty list is an error) */
    uint64_t max_files, max_bytes; /* UINT64_MAX = no limit */
    /* command */
    struct orch_strv run;
    struct orch_profile *profile; /* owned */
    uint64_t timeout_ms;          /* default 10 min; approval: how long it may wait, default 0 = no end */
    int expect;
    bool exec, must_fail;
    struct orch_strv restore, protect;
    /* denials */
    uint64_t max;
    char *class_name; /* NULL = all classes */
    /* approval */
    char *prompt; /* what the operator is asked, NULL if nothing */
    /* all any not */
    struct orch_gate *children;
    size_t n_children;
};

enum orch_phase_type { ORCH_PHASE_GUIDED, ORCH_PHASE_STRICT, ORCH_PHASE_AUTONOMOUS };

struct orch_phase {
    char *name; /* [A-Za-z0-9][A-Za-z0-9_-]*, at most 64 */
    enum orch_phase_type type;
    struct orch_agent *agent; /* NULL = gates only. Owned (a copy of the workflow's where not overridden) */
    struct orch_profile *profile; /* owned; NULL only where agent is NULL */
    char *prompt;                 /* text, NULL if none */
    unsigned attempts;            /* default 1; autonomous 3 */
    bool retry_reset;             /* on_retry: reset (default keep) */
    bool timeout_judge;           /* on_timeout: judge (default fail) */
    char *goto_phase;             /* on_fail goto, NULL = stop; names an EARLIER phase */
    unsigned goto_times;
    uint64_t timeout_ms;     /* default 30 min; autonomous 2 h */
    struct orch_gate *gates; /* the implied `denials max 0` gate of type strict is here too, named "strict" */
    size_t n_gates;
};

struct orch_workflow {
    char *name;
    char *file, *dir;             /* as given; its folder, absolute */
    char *digest;                 /* SHA-256 of workflow text, prompts and profile digests */
    char *text;                   /* exact document */
    struct orch_profile *ceiling; /* owned, or NULL: every profile of a phase or gate is within it */
    struct orch_phase *phases;
    size_t n_phases;
    uint64_t max_denials; /* default 1000 */
    uint64_t timeout_ms;  /* default 0 = none */
    struct orch_strv ignore_changes, apply_allow;
    char *home_from; /* absolute, or NULL */
    bool home_keep;
    struct orch_wf_inputs *inputs; /* private: prompts and profiles as read, for orch_workflow_export */
};

int orch_workflow_load(const char *path, struct orch_workflow **ret, struct orch_diags *d);
void orch_workflow_free(struct orch_workflow *w);
void orch_workflow_freep(struct orch_workflow **w);
const char *orch_gate_type_name(enum orch_gate_type t);

/*
 * The inputs of a run (workflow text, file name, dir, prompts, profile sources by reference) as JSON Lines,
 * long texts in parts, so that no line exceeds what a document may have; and back. State keeps it, so that
 * resume never reads the originals again: import opens no file. Back: -EINVAL with diagnostics.
 */
void orch_workflow_export(const struct orch_workflow *w, struct orch_buf *out);
int orch_workflow_import(const char *text, size_t len, struct orch_workflow **ret, struct orch_diags *d);

#endif
