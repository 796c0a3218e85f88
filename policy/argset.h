/*
 * argset.h - sets of values of one system call argument, as unions of cubes: all x with (x & mask) == value.
 *
 * A cube is what libseccomp compiles rightly (MASKED_EQ), so every operator of the language is turned into
 * cubes here, exactly: a range becomes aligned blocks, "not equal" becomes two ranges. Values are cut to the
 * width that the kernel looks at (sysgroups.h). Pure; a set owns nothing and is copied by value.
 */
#ifndef ORCH_POLICY_ARGSET_H
#define ORCH_POLICY_ARGSET_H

#include "policy/profile.h"

#define ORCH_ARGSET_MAX 160 /* the complement of a range or value has at most 64, of two values 126 */

struct orch_argcube {
    uint64_t mask, value; /* value has no bit outside mask */
};

struct orch_argset {
    struct orch_argcube v[ORCH_ARGSET_MAX];
    size_t n;
    bool overflow; /* more cubes than fit: the set is larger than v[] says */
};

/* The values of argument c->index of call nr for which the condition holds, and those for which it does not.
 */
void orch_argset_of(int nr, const struct orch_arg_cond *c, struct orch_argset *ret);
void orch_argset_not(int nr, const struct orch_arg_cond *c, struct orch_argset *ret);
/* a and b; ret must be neither of them. */
void orch_argset_and(const struct orch_argset *a, const struct orch_argset *b, struct orch_argset *ret);
void orch_argset_add(struct orch_argset *s, uint64_t mask, uint64_t value);
/* True only if no value is in the set: one that does not fit is not empty. */
bool orch_argset_empty(const struct orch_argset *s);
/* Every value for which `inner` holds is one for which `outer` holds. False also where that cannot be told.
 */
bool orch_argset_within(int nr, const struct orch_arg_cond *inner, const struct orch_arg_cond *outer);
/* Some value fulfils both. True also where that cannot be told. */
bool orch_argset_meet(int nr, const struct orch_arg_cond *a, const struct orch_arg_cond *b);

#endif
