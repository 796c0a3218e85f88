/*
 * cubes.h - sets of register values, exactly: unions of cubes, each of which fixes some bits of the six
 * arguments of a system call and leaves the others free. Pure; a set that grows beyond its bound is marked
 * and then means nothing.
 */
#ifndef ORCH_POLICY_CUBES_H
#define ORCH_POLICY_CUBES_H

#include "common/util.h"

#define ORCH_CUBES_MAX 4096

struct orch_cube { /* all args with (args[i] & mask[i]) == value[i]; value has no bit outside mask */
    uint64_t mask[6], value[6];
};

struct orch_cubes { /* zeroed = empty; owned, orch_cubes_fini */
    struct orch_cube *v;
    size_t n;
    bool overflow; /* more than ORCH_CUBES_MAX would have been needed */
};

void orch_cubes_add(struct orch_cubes *s, const struct orch_cube *c);
void orch_cubes_fini(struct orch_cubes *s); /* idempotent */
/* False if the two have nothing in common; else *ret is what they share. */
bool orch_cube_meet(const struct orch_cube *a, const struct orch_cube *b, struct orch_cube *ret);
/* Adds what s and c share to *ret. */
void orch_cubes_meet(const struct orch_cubes *s, const struct orch_cube *c, struct orch_cubes *ret);
/* Takes c out of s. */
void orch_cubes_subtract(struct orch_cubes *s, const struct orch_cube *c);

#endif
