/*
 * policy.h - shared by the verbs `policy SUBVERB` (cmd_policy_*.c): a profile by name, and its plan for a
 * workspace with no command in it but the one that tries acts. Nothing here writes anything but the cache of
 * closures.
 */
#ifndef ORCH_SUPERVISOR_POLICY_H
#define ORCH_SUPERVISOR_POLICY_H

#include "policy/assertions.h"
#include "supervisor/options.h"

#define ORCH_PROBE_PATH ORCH_DIR_PATH "/bin/probe"

struct orch_policy {
    char *state, *workspace, *cwd; /* absolute */
    struct orch_closure_cache *closures;
};

/* Resolves state and workspace (--workspace, else the current directory). Exit 2. */
int orch_policy_open(const struct orch_options *opt, struct orch_policy *ret, struct orch_err *err);
void orch_policy_close(struct orch_policy *p);

/* ref: a built-in's name, or a file (for the operator's convenience also without a slash), relative to dir.
 */
int orch_policy_profile(const char *ref, const char *dir, struct orch_profile **ret, struct orch_diags *d);
/* The plan of an agent's phase; command NULL: no acts. The profile must outlive it. */
int orch_policy_plan(const struct orch_policy *p, const struct orch_profile *profile, const char *workspace,
                     const struct orch_strv *command, struct orch_plan **ret, struct orch_diags *d);
/* Both, diagnostics printed: 0, or -EINVAL with exit 2. */
int orch_policy_load(const struct orch_policy *p, const char *ref, struct orch_profile **ret_profile,
                     struct orch_plan **ret_plan, struct orch_err *err);

/* The operator's home directory: $HOME, else the user database's. */
char *orch_policy_home(void);
/* "FILE:LINE", or "built-in NAME:LINE". Newly allocated. */
char *orch_policy_place(const char *file, unsigned line);
/* Writes out to standard output. Returns code, or the exit status of the failure. */
int orch_policy_print(const struct orch_buf *out, int code);

/* ---- policy_probe.c ---- */

struct orch_probe_act {
    const struct orch_assertion *a;
    const char *target; /* expanded */
    const struct orch_explained *model;
    /* what came of it */
    bool done; /* false: nothing is known, and note says why */
    enum orch_says says;
    int errnum;
    const char *note; /* static, or NULL */
};

/* Performs the acts in sandboxes of the profile, in their order. 0, or -errno: with exit 3 if the host cannot
 * run it. */
int orch_probe_run(const struct orch_policy *p, const struct orch_profile *profile, const char *workspace,
                   struct orch_probe_act *acts, size_t n, struct orch_err *err);

#endif
