/* diff_int.h - shared by diff.c and diff_calls.c only. */
#ifndef ORCH_POLICY_DIFF_INT_H
#define ORCH_POLICY_DIFF_INT_H

#include "policy/diff.h"

struct diffing {
    const struct orch_profile *a, *b;
    struct orch_differences *ret;
};

/* Takes text. */
void diff_add(struct diffing *x, enum orch_side side, const char *section, char *text);
int diff_calls(struct diffing *x, struct orch_diags *d);

#endif
