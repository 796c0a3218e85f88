/*
 * workflow_int.h - shared by workflow*.c: the reading context and the inputs that a workflow names.
 *
 * Whatever a workflow names by reference (prompt files, profiles) is asked for through orch_wf_prompt and
 * orch_wf_profile. They keep each text under its reference; on import the kept texts are all there is and no
 * file is opened.
 */
#ifndef ORCH_POLICY_WORKFLOW_INT_H
#define ORCH_POLICY_WORKFLOW_INT_H

#include "policy/read.h"
#include "policy/workflow.h"

#define ORCH_WF_PROMPT_MAX (1u << 20)

struct orch_wf_input {
    char *key; /* "prompt REFERENCE" or "profile REFERENCE" */
    struct orch_strv texts;
};

struct orch_wf_inputs {
    struct orch_wf_input *v;
    size_t n;
};

struct orch_wf_ctx {
    struct orch_wf_inputs *inputs;
    const char *folder;      /* the workflow's folder as given, for names in diagnostics */
    int dirfd;               /* the same, open; -1 on import: then nothing is read from files */
    struct orch_strv failed; /* references already reported as unusable */
    struct orch_wf_loaded {
        char *ref;
        struct orch_profile *p;
    } * loaded; /* profiles that are usable: composed, and within the ceiling, once */
    size_t n_loaded;
    const struct orch_profile *ceiling; /* borrowed, or NULL */
};

/* The list kept under the key; NULL if there is none and `create` is false. */
struct orch_strv *orch_wf_inputs_at(struct orch_wf_inputs *in, const char *key, bool create);
void orch_wf_inputs_free(struct orch_wf_inputs *in);

/* Frees what the context came to hold, not the inputs. */
void orch_wf_ctx_fini(struct orch_wf_ctx *ctx);

/* Text of the prompt file or the profile that `node` names. NULL with a diagnostic (or an earlier one) at the
 * node. */
char *orch_wf_prompt(struct orch_wf_ctx *ctx, const struct orch_rd *rd, const cJSON *node, const char *ref);
struct orch_profile *orch_wf_profile(struct orch_wf_ctx *ctx, const struct orch_rd *rd, const cJSON *node,
                                     const char *ref);

/* The gates of one phase, children included. */
struct orch_wf_gates {
    struct orch_wf_ctx *ctx;
    struct orch_strv names;            /* used in this phase */
    unsigned count[ORCH_GATE_NOT + 1]; /* gates seen, by type */
    unsigned total;                    /* at most ORCH_RD_MAX_ITEMS */
};

/* Reads the list `node` into *ret; what was read stays there also after an error. */
void orch_wf_read_gates(struct orch_wf_gates *g, const struct orch_rd *rd, const cJSON *node,
                        struct orch_gate **ret, size_t *ret_n);
/* Appends the gate that a phase of type strict has on top. */
void orch_wf_add_strict(struct orch_wf_gates *g, const struct orch_rd *rd, const cJSON *phase,
                        struct orch_gate **ret, size_t *ret_n);
void orch_wf_gate_fini(struct orch_gate *g);

/* Reads a list of non-empty strings, at least one of them. */
void orch_wf_read_command(const struct orch_rd *rd, const cJSON *node, struct orch_strv *ret);

extern const struct orch_rd_shape orch_wf_shape, orch_wf_agent_shape, orch_wf_phases_shape,
    orch_wf_gates_shape;

/* The document while it is read. */
struct orch_wf_read {
    struct orch_workflow w;
    struct orch_wf_ctx *ctx;
    struct orch_agent *agent; /* the default for all phases, or NULL */
    uint64_t schema;
};

struct orch_agent *orch_wf_read_agent(const struct orch_rd *rd, const cJSON *node);
void orch_wf_agent_free(struct orch_agent *a); /* accepts NULL */
/* Appends the phase `node` to wf->w.phases, also if it has errors. */
void orch_wf_read_phase(const struct orch_rd *rd, const cJSON *node, struct orch_wf_read *wf);

/* Parses the document text under the name `file`. ctx has the inputs, which pass to the workflow on success.
 */
int orch_wf_parse(struct orch_wf_ctx *ctx, const char *file, const char *dir, const char *text, size_t len,
                  struct orch_workflow **ret, struct orch_diags *d);

#endif
