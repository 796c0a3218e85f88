/*
 * syscalls_fast.c - what the filter may allow by itself where rules have conditions.
 *
 * The filter's conditions are cubes of one argument per call (argset.h), the only form that libseccomp
 * compiles rightly. What a rule matches is subtracted from them exactly where that can be said in this form;
 * elsewhere more is taken away, so that the supervisor judges it: never less.
 */
#include "policy/argset.h"
#include "policy/syscalls_internal.h"

static bool set_fast(struct orch_sc_entry *e, unsigned index, const struct orch_argset *set)
{
    e->n_fast = 0;
    if (set->overflow || set->n > ORCH_SC_MAX_FAST)
        return false;
    for (size_t i = 0; i < set->n; i++)
        e->fast[e->n_fast++] =
            (struct orch_sc_fast){.index = index, .mask = set->v[i].mask, .value = set->v[i].value};
    return true;
}

/* The call was allowed whatever its arguments: now only where one condition of the rule fails, the one that
 * takes the fewest cubes to say so. Exact if it is the only one. */
static bool carve_all(int nr, struct orch_sc_entry *e, const struct orch_syscall_rule *r)
{
    struct orch_argset best = {.overflow = true}, set;
    unsigned index = 0;
    for (size_t i = 0; i < r->n_args; i++) {
        orch_argset_not(nr, &r->args[i], &set);
        if (set.overflow || (!best.overflow && set.n >= best.n))
            continue;
        best = set;
        index = r->args[i].index;
    }
    e->always = false;
    return set_fast(e, index, &best) && r->n_args == 1;
}

/* Adds to ret the part of one cube that the rule does not match. */
static bool carve_cube(int nr, const struct orch_sc_fast *f, const struct orch_syscall_rule *r,
                       struct orch_argset *ret)
{
    struct orch_argset cube = {.n = 1, .v = {{.mask = f->mask, .value = f->value}}}, set, part;
    const struct orch_arg_cond *same = NULL;
    for (size_t i = 0; i < r->n_args; i++)
        if (r->args[i].index == f->index)
            same = &r->args[i];
    if (!same)
        return false;
    orch_argset_of(nr, same, &set);
    orch_argset_and(&cube, &set, &part);
    bool apart = orch_argset_empty(&part);
    if (apart) {
        part = cube;
    } else {
        orch_argset_not(nr, same, &set);
        orch_argset_and(&cube, &set, &part);
    }
    if (part.overflow || part.n + ret->n > ORCH_SC_MAX_FAST)
        return false;
    for (size_t i = 0; i < part.n; i++)
        orch_argset_add(ret, part.v[i].mask, part.v[i].value);
    return apart || r->n_args == 1;
}

bool orch_sc_carve(int nr, struct orch_sc_entry *e, const struct orch_syscall_rule *r)
{
    struct orch_argset kept = {0};
    bool exact = true;
    if (e->always)
        return carve_all(nr, e, r);
    unsigned index = e->fast[0].index;
    for (size_t i = 0; i < e->n_fast; i++) /* one argument per call: a cube of another one is given up */
        exact = e->fast[i].index == index && carve_cube(nr, &e->fast[i], r, &kept) && exact;
    return set_fast(e, index, &kept) && exact;
}
