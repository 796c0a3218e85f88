/* argset.c - sets of argument values as unions of cubes (argset.h). */
#include "policy/argset.h"
#include "policy/sysgroups.h"

void orch_argset_add(struct orch_argset *s, uint64_t mask, uint64_t value)
{
    if (s->n < ORCH_ARGSET_MAX)
        s->v[s->n++] = (struct orch_argcube){.mask = mask, .value = value & mask};
    else
        s->overflow = true;
}

/* Adds lo..hi (both within width) as the largest aligned blocks from the left. */
static void add_range(struct orch_argset *s, uint64_t width, uint64_t lo, uint64_t hi)
{
    while (lo <= hi) {
        uint64_t below = lo == 0 ? width : (lo & -lo) - 1; /* block size - 1 */
        while (lo + below > hi || lo + below < lo)
            below >>= 1;
        orch_argset_add(s, width & ~below, lo);
        if (lo + below >= hi)
            return;
        lo += below + 1;
    }
}

/* Everything but the values of the ascending list. */
static void add_gaps(struct orch_argset *s, uint64_t width, const uint64_t *v, size_t n)
{
    uint64_t from = 0;
    for (size_t i = 0; i < n; i++) {
        if (v[i] > from)
            add_range(s, width, from, v[i] - 1);
        if (v[i] == width)
            return;
        from = v[i] + 1;
    }
    add_range(s, width, from, width);
}

/* From `from` (true: inclusive) up to the end of the width, or from 0 to just before that. */
static void add_half(struct orch_argset *s, uint64_t width, uint64_t from, bool inclusive, bool above)
{
    if (!inclusive && from == width) { /* > the largest value: none, and <= it: all */
        if (!above)
            add_range(s, width, 0, width);
        return;
    }
    if (!inclusive)
        from++;
    if (above)
        add_range(s, width, from, width);
    else if (from > 0)
        add_range(s, width, 0, from - 1);
}

static void add_masked(struct orch_argset *s, uint64_t mask, uint64_t value, bool negated)
{
    if (!negated) {
        if ((value & ~mask) == 0)
            orch_argset_add(s, mask, value);
        return;
    }
    if ((value & ~mask) != 0)
        orch_argset_add(s, 0, 0);
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t b = UINT64_C(1) << bit;
        if (mask & b)
            orch_argset_add(s, b, ~value);
    }
}

static void build(int nr, const struct orch_arg_cond *c, bool negated, struct orch_argset *ret)
{
    uint64_t width = orch_syscall_arg_mask(nr, c->index), v = c->value & width;
    ret->n = 0;
    ret->overflow = false;
    switch (c->op) {
    case ORCH_OP_MASKED_EQ:
        if ((c->mask & width) != width) {
            add_masked(ret, c->mask & width, v, negated);
            return;
        } /* fall through */
    case ORCH_OP_EQ:
    case ORCH_OP_NE:
        if ((c->op == ORCH_OP_NE) == negated)
            add_range(ret, width, v, v);
        else
            add_gaps(ret, width, &v, 1);
        return;
    case ORCH_OP_IN:
        for (size_t i = 0; !negated && i < c->n_set; i++)
            add_range(ret, width, c->set[i], c->set[i]);
        if (negated)
            add_gaps(ret, width, c->set, c->n_set);
        return;
    case ORCH_OP_LT:
    case ORCH_OP_LE:
        add_half(ret, width, v, c->op == ORCH_OP_LT, negated);
        return;
    case ORCH_OP_GT:
    case ORCH_OP_GE:
        add_half(ret, width, v, c->op == ORCH_OP_GE, !negated);
        return;
    }
    ret->overflow = true; /* an operator that is not known here: nothing is said about its values */
}

void orch_argset_of(int nr, const struct orch_arg_cond *c, struct orch_argset *ret)
{
    build(nr, c, false, ret);
}

void orch_argset_not(int nr, const struct orch_arg_cond *c, struct orch_argset *ret)
{
    build(nr, c, true, ret);
}

void orch_argset_and(const struct orch_argset *a, const struct orch_argset *b, struct orch_argset *ret)
{
    ret->n = 0;
    ret->overflow = a->overflow || b->overflow;
    if (ret->overflow) /* not known, and not worth the time */
        return;
    for (size_t i = 0; i < a->n; i++)
        for (size_t k = 0; k < b->n; k++) {
            const struct orch_argcube *x = &a->v[i], *y = &b->v[k];
            uint64_t common = x->mask & y->mask;
            if ((x->value & common) == (y->value & common))
                orch_argset_add(ret, x->mask | y->mask, x->value | y->value);
        }
}

bool orch_argset_empty(const struct orch_argset *s)
{
    return s->n == 0 && !s->overflow;
}

bool orch_argset_within(int nr, const struct orch_arg_cond *inner, const struct orch_arg_cond *outer)
{
    struct orch_argset a, b, both;
    orch_argset_of(nr, inner, &a);
    orch_argset_not(nr, outer, &b);
    orch_argset_and(&a, &b, &both);
    return orch_argset_empty(&both);
}

bool orch_argset_meet(int nr, const struct orch_arg_cond *a, const struct orch_arg_cond *b)
{
    struct orch_argset x, y, both;
    orch_argset_of(nr, a, &x);
    orch_argset_of(nr, b, &y);
    orch_argset_and(&x, &y, &both);
    return !orch_argset_empty(&both);
}
