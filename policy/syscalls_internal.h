/* syscalls_internal.h - shared by the files syscalls*.c only. */
#ifndef ORCH_POLICY_SYSCALLS_INTERNAL_H
#define ORCH_POLICY_SYSCALLS_INTERNAL_H

#include "policy/syscalls.h"

/* A call that is permitted or not by the values of its registers alone. */
struct orch_sc_judged {
    int nr;
    const struct orch_sc_fast *fast;
    uint8_t n_fast;
    const char *origin;
    void (*judge)(const struct orch_syscalls *s, const uint64_t args[6], struct orch_sc_answer *ret);
};

/* The row of nr, or NULL: then registers do not matter. */
const struct orch_sc_judged *orch_sc_find_judged(int nr);

/* A rule names this number. */
bool orch_sc_rule_names(const struct orch_syscall_rule *r, int nr);
/* Our own code needs the call between loading the filter and execve. */
bool orch_sc_is_start(int nr);
/* What the call does is out of sight of filter and supervisor: io_uring, and those answered ENOSYS. */
bool orch_sc_never_allowed(int nr);

/*
 * Reports, at the later rule's place and naming the earlier one's, rules that are never reached, that
 * contradict each other, or that cannot be enforced. final[nr] becomes the rule without conditions that ends
 * the search for nr, or NULL. False if anything was reported.
 */
bool orch_sc_check_rules(const struct orch_profile *p, const struct orch_syscall_rule *final[ORCH_SC_MAX],
                         struct orch_diags *d);

/* A diagnostic at the rule's own place in its document. */
void orch_sc_report(struct orch_diags *d, const struct orch_syscall_rule *r, const char *fmt, ...)
    ORCH_PRINTF(3, 4);

/*
 * Takes away from what the filter allows by itself every call that the rule (with conditions) matches: those
 * must reach the rules. True if nothing else was lost by it; false if also calls that the rule does not match
 * will be notified now.
 */
bool orch_sc_carve(int nr, struct orch_sc_entry *e, const struct orch_syscall_rule *r);

#endif
