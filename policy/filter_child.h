/*
 * filter_child.h - make a filter in a child process, within a time limit.
 *
 * libseccomp 2.5.4 can loop for ever in seccomp_rule_add and has overwritten its heap
 * (libraries.md 1.2, 1.3). Nothing that reaches it is known to bring that about; should something do so, it
 * is a child that hangs or crashes, and the answer is a refusal. The caller must be single-threaded. The
 * child dies with its parent.
 */
#ifndef ORCH_POLICY_FILTER_CHILD_H
#define ORCH_POLICY_FILTER_CHILD_H

#include "policy/syscalls.h"

#define ORCH_FILTER_MAX_INSNS                                                                                \
    4096 /* the kernel's limit; larger ones corrupt libseccomp 2.5.4 (GHSA-46fr-jh49-xvhx) */
#define ORCH_FILTER_LIMIT_MS 10000

/* Runs in the child: fills *ret (owned memory, never freed there) or returns -errno and sets err. */
typedef int (*orch_filter_maker)(const void *arg, struct orch_filter *ret, struct orch_err *err);

/*
 * *ret is what the child made, its shape unchecked but for its length. The maker's own error, or -ETIMEDOUT
 * after limit_ms, or -EIO if the child died. Nothing is left running.
 */
int orch_filter_in_child(orch_filter_maker make, const void *arg, unsigned limit_ms, struct orch_filter *ret,
                         struct orch_err *err);

#endif
