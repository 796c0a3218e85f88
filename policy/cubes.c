/* cubes.c - sets of register values (cubes.h). */
#include "policy/cubes.h"

void orch_cubes_add(struct orch_cubes *s, const struct orch_cube *c)
{
    if (s->n >= ORCH_CUBES_MAX) {
        s->overflow = true;
        return;
    }
    s->v = orch_xreallocarray(s->v, s->n + 1, sizeof(*s->v));
    s->v[s->n++] = *c;
}

void orch_cubes_fini(struct orch_cubes *s)
{
    free(s->v);
    *s = (struct orch_cubes){0};
}

bool orch_cube_meet(const struct orch_cube *a, const struct orch_cube *b, struct orch_cube *ret)
{
    struct orch_cube both;
    for (size_t i = 0; i < 6; i++) {
        if (((a->value[i] ^ b->value[i]) & a->mask[i] & b->mask[i]) != 0)
            return false;
        both.mask[i] = a->mask[i] | b->mask[i];
        both.value[i] = a->value[i] | b->value[i];
    }
    *ret = both;
    return true;
}

void orch_cubes_meet(const struct orch_cubes *s, const struct orch_cube *c, struct orch_cubes *ret)
{
    struct orch_cube both;
    ret->overflow = ret->overflow || s->overflow;
    for (size_t i = 0; i < s->n; i++)
        if (orch_cube_meet(&s->v[i], c, &both))
            orch_cubes_add(ret, &both);
}

/* Adds a without c: for each bit that c fixes and a does not, the part of a where it is the other way. */
static void split(struct orch_cube a, const struct orch_cube *c, struct orch_cubes *ret)
{
    for (size_t i = 0; i < 6; i++) {
        uint64_t open = c->mask[i] & ~a.mask[i];
        for (; open != 0; open &= open - 1) {
            uint64_t bit = open & (~open + 1);
            a.mask[i] |= bit;
            a.value[i] |= ~c->value[i] & bit;
            orch_cubes_add(ret, &a);
            a.value[i] ^= bit;
        }
    }
}

void orch_cubes_subtract(struct orch_cubes *s, const struct orch_cube *c)
{
    struct orch_cubes left = {.overflow = s->overflow};
    struct orch_cube both;
    for (size_t i = 0; i < s->n; i++) {
        if (orch_cube_meet(&s->v[i], c, &both))
            split(s->v[i], c, &left);
        else
            orch_cubes_add(&left, &s->v[i]);
    }
    orch_cubes_fini(s);
    *s = left;
}
