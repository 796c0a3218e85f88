/*
 * diff.h - two effective profiles compared by what they permit, whatever their spelling: paths by access,
 * tools, system calls number by number with the registers that make the difference, network, limits,
 * environment, create, audit. Pure: the host is not looked at.
 */
#ifndef ORCH_POLICY_DIFF_H
#define ORCH_POLICY_DIFF_H

#include "policy/profile.h"

enum orch_side {
    ORCH_ONLY_A, /* A permits it, or more of it */
    ORCH_ONLY_B,
    ORCH_UNLIKE, /* not alike, and neither is the wider */
};

struct orch_difference {
    enum orch_side side;
    const char *section; /* static: "filesystem" */
    char *text;          /* one line, not escaped */
};

struct orch_differences {
    struct orch_difference *v;
    size_t n;
};

/* 0, or -EINVAL with diagnostics where the calls of a profile cannot be compiled. Empty: one policy. */
int orch_profile_diff(const struct orch_profile *a, const struct orch_profile *b,
                      struct orch_differences *ret, struct orch_diags *d);
void orch_differences_fini(struct orch_differences *d);

#endif
