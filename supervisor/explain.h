/*
 * explain.h - what a profile says of one act or one call, in words: the verdict, the rule with the place
 * where it is written, why, and what would allow it. Shared by `policy explain` (a question) and `explain` (a
 * record).
 */
#ifndef ORCH_SUPERVISOR_EXPLAIN_H
#define ORCH_SUPERVISOR_EXPLAIN_H

#include "supervisor/policy.h"

struct orch_explaining { /* all but out borrowed */
    const struct orch_profile *profile;
    const struct orch_plan *plan;
    const char *workspace;
    bool proves;         /* what would allow it is found by trial elsewhere: no advice */
    struct orch_buf out; /* escaped; the caller frees */
};

/* Index of a name in orch_act_names, -1 = none. */
int orch_find_act(const char *name);
/* target: a path, a program or an address. ret (may be NULL) receives the answer; the caller frees it.
 * Exit 2. */
int orch_explain_say_act(struct orch_explaining *x, enum orch_act act, const char *target,
                         struct orch_explained *ret, struct orch_err *err);
/* n arguments as text; those not given may have any value. ret (may be NULL): the one answer; its rule is
 * NULL where the arguments decide. Exit 2. */
int orch_explain_say_call(struct orch_explaining *x, int nr, char **argv, unsigned n,
                          struct orch_explained *ret, struct orch_err *err);

/* The same, where a record tells some of the arguments: `known` has a bit for each in args. */
int orch_explain_say_recorded(struct orch_explaining *x, int nr, const uint64_t args[6], unsigned known,
                              struct orch_explained *ret, struct orch_err *err);

#endif
