/*
 * nested.h - tier nested in terms of documents: which profiles it can hold, and what it takes away from them.
 *
 * Where nothing can be mounted, Landlock stands for the view and a few more refused calls stand for the
 * namespaces. Landlock only adds what a rule gives, so whatever would have to be subtracted is refused before
 * anything starts (design 5.2).
 */
#ifndef ORCH_POLICY_NESTED_H
#define ORCH_POLICY_NESTED_H

#include "policy/plan.h"

/*
 * The profile with the rules of this tier before its own: what reaches processes, sockets, IPC and the marks
 * of files of the host where no namespace or mount keeps them apart. Caller frees. -EINVAL + diagnostic.
 */
int orch_nested_profile(const struct orch_profile *p, struct orch_profile **ret, struct orch_diags *d);

/* Can this tier hold the profile? plan: compiled from it (for either tier); tty: the agent is to have a
 * terminal. -ENOTSUP + err with exit code 3 naming the key, and what to do. */
int orch_nested_accepts(const struct orch_profile *p, const struct orch_plan *plan, bool tty,
                        struct orch_err *err);

#endif
