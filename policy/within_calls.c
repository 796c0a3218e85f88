/*
 * within_calls.c - system calls of one profile within another's (within.h).
 *
 * Of each number the registers are cut into what is permitted, refused and killed, by walking the rules in
 * their order (the first that matches decides) and then the list. A call whose registers are judged by
 * orch_sc_find_judged is permitted where that judgement says so, the same in both profiles, unless a rule
 * with conditions took its place.
 */
#include <string.h>
#include "policy/cubes.h"
#include "policy/sysgroups.h"
#include "policy/syscalls_internal.h"
#include "policy/within_int.h"

struct piece {
    struct orch_cube at;
    bool judged;                          /* only where the judgement of registers permits it */
    const struct orch_syscall_rule *rule; /* that permits it; NULL = the list */
};

/* What a profile does with one number. */
struct meaning {
    struct piece *permitted;
    size_t n;
    struct orch_cubes killed;
    bool overflow;
};

static void meaning_fini(struct meaning *m)
{
    free(m->permitted);
    orch_cubes_fini(&m->killed);
    *m = (struct meaning){0};
}

/* --- conditions --- */

static void cube_of(unsigned index, uint64_t mask, uint64_t value, struct orch_cube *ret)
{
    *ret = (struct orch_cube){0};
    ret->mask[index] = mask;
    ret->value[index] = value & mask;
}

/* The values for which the condition holds. False for an operator that is not known here. */
static bool condition(int nr, const struct orch_arg_cond *a, struct orch_cubes *ret)
{
    uint64_t mask = orch_syscall_arg_mask(nr, a->index);
    struct orch_cube c;
    switch (a->op) {
    case ORCH_OP_MASKED_EQ:
        cube_of(a->index, mask & a->mask, a->value, &c);
        orch_cubes_add(ret, &c);
        return true;
    case ORCH_OP_EQ:
        cube_of(a->index, mask, a->value, &c);
        orch_cubes_add(ret, &c);
        return true;
    case ORCH_OP_NE:
        orch_cubes_add(ret, &(struct orch_cube){0});
        cube_of(a->index, mask, a->value, &c);
        orch_cubes_subtract(ret, &c);
        return true;
    case ORCH_OP_IN:
        for (size_t i = 0; i < a->n_set; i++) {
            cube_of(a->index, mask, a->set[i], &c);
            orch_cubes_add(ret, &c);
        }
        return true;
    default: /* a range: counts as more than can be compared */
        return false;
    }
}

/* All registers that the rule matches. */
static bool rule_cubes(int nr, const struct orch_syscall_rule *r, struct orch_cubes *ret)
{
    orch_cubes_add(ret, &(struct orch_cube){0});
    for (size_t i = 0; i < r->n_args; i++) {
        ORCH_AUTO(orch_cubes_fini) struct orch_cubes cond = {0};
        struct orch_cubes both = {0};
        if (!condition(nr, &r->args[i], &cond))
            return false;
        for (size_t k = 0; k < cond.n; k++)
            orch_cubes_meet(ret, &cond.v[k], &both);
        orch_cubes_fini(ret);
        *ret = both;
    }
    return !ret->overflow;
}

/* --- the meaning of one number --- */

/* Whatever else an action does beside, it permits the call unless it is one of these. */
static bool refuses(const struct orch_syscall_rule *r)
{
    return r->action == ORCH_RULE_ERRNO || r->action == ORCH_RULE_KILL;
}

static bool names(const struct orch_syscall_rule *r, int nr)
{
    for (size_t i = 0; i < r->n_nrs; i++)
        if (r->nrs[i] == nr)
            return true;
    return false;
}

static void permit(struct meaning *m, const struct orch_cubes *at, bool judged,
                   const struct orch_syscall_rule *rule)
{
    for (size_t i = 0; i < at->n; i++) {
        m->permitted = orch_xreallocarray(m->permitted, m->n + 1, sizeof(*m->permitted));
        m->permitted[m->n++] = (struct piece){.at = at->v[i], .judged = judged, .rule = rule};
    }
    m->overflow = m->overflow || at->overflow || m->n > ORCH_CUBES_MAX;
}

static void apply_rule(struct meaning *m, struct orch_cubes *left, int nr, const struct orch_syscall_rule *r)
{
    ORCH_AUTO(orch_cubes_fini) struct orch_cubes all = {0}, hit = {0};
    if (!rule_cubes(nr, r, &all)) {
        m->overflow = true;
        return;
    }
    for (size_t i = 0; i < all.n; i++)
        orch_cubes_meet(left, &all.v[i], r->action == ORCH_RULE_KILL ? &m->killed : &hit);
    for (size_t i = 0; i < all.n; i++)
        orch_cubes_subtract(left, &all.v[i]);
    if (!refuses(r))
        permit(m, &hit, r->n_args == 0 && orch_sc_find_judged(nr) != NULL, r);
    m->overflow = m->overflow || left->overflow || m->killed.overflow;
}

static void mean(const struct orch_profile *p, const bool *listed, int nr, struct meaning *ret)
{
    ORCH_AUTO(orch_cubes_fini) struct orch_cubes left = {0};
    orch_cubes_add(&left, &(struct orch_cube){0});
    for (size_t i = 0; i < p->n_sc_rules && !ret->overflow; i++)
        if (names(&p->sc_rules[i], nr))
            apply_rule(ret, &left, nr, &p->sc_rules[i]);
    if (listed[nr])
        permit(ret, &left, orch_sc_find_judged(nr) != NULL, NULL);
}

/* --- one within the other --- */

/* Does the judgement permit all of the cube? Only known where the register is fixed to one value; bits of the
 * others that may have any value are tried as ones, which no judgement permits. */
static bool judgement_permits(const struct orch_profile *p, int nr, const struct orch_cube *at)
{
    const struct orch_sc_judged *j = orch_sc_find_judged(nr);
    ORCH_AUTO_FREE struct orch_syscalls *s = orch_xcalloc(1, sizeof(*s));
    struct orch_sc_answer answer = {.kind = ORCH_SC_ALLOW};
    uint64_t args[6];
    unsigned index = j != NULL && j->n_fast > 0 ? j->fast[0].index : 0;
    if (j == NULL || (at->mask[index] & UINT32_MAX) != UINT32_MAX)
        return false;
    for (size_t i = 0; i < ORCH_NELEM(args); i++)
        args[i] = at->value[i] | ~at->mask[i];
    s->profile = p;
    s->inet = orch_strv_has(&p->sc_allow, "@network-client");
    j->judge(s, args, &answer);
    return answer.kind == ORCH_SC_ALLOW || answer.kind == ORCH_SC_WATCH;
}

static bool piece_within(const struct orch_profile *outer, int nr, const struct piece *p,
                         const struct meaning *m)
{
    ORCH_AUTO(orch_cubes_fini) struct orch_cubes left = {0};
    orch_cubes_add(&left, &p->at);
    for (size_t i = 0; i < m->n && left.n > 0; i++) {
        const struct piece *q = &m->permitted[i];
        if (q->judged && !p->judged && !judgement_permits(outer, nr, &p->at))
            continue;
        orch_cubes_subtract(&left, &q->at);
    }
    return left.n == 0 && !left.overflow;
}

static const struct orch_syscall_rule *first_refusal(const struct orch_profile *p, int nr)
{
    for (size_t i = 0; i < p->n_sc_rules; i++)
        if (refuses(&p->sc_rules[i]) && names(&p->sc_rules[i], nr))
            return &p->sc_rules[i];
    return NULL;
}

/* The element of the list that names the call: itself, or the first group that has it. */
static const char *list_element(const struct orch_profile *p, const char *call)
{
    for (size_t i = 0; i < p->sc_allow.n; i++) {
        const char *const *group = orch_syscall_group(p->sc_allow.v[i]);
        if (strcmp(p->sc_allow.v[i], call) == 0)
            return p->sc_allow.v[i];
        for (size_t k = 0; group != NULL && group[k] != NULL; k++)
            if (strcmp(group[k], call) == 0)
                return p->sc_allow.v[i];
    }
    return "";
}

static struct orch_where where_listed(const struct orch_profile *p, const char *element)
{
    ORCH_AUTO_FREE char *key = orch_xasprintf("syscalls.allow/%s", element);
    struct orch_where w = orch_where_key(p, key);
    return w.file != NULL ? w : orch_where_key(p, "syscalls.allow");
}

static struct orch_where where_refused(const struct orch_profile *outer, int nr)
{
    const struct orch_syscall_rule *r = first_refusal(outer, nr);
    return r != NULL ? orch_where_key(outer, r->origin) : orch_where_key(outer, "syscalls.allow");
}

static void report_piece(const struct within *c, int nr, const struct orch_syscall_rule *rule)
{
    const char *name = orch_syscall_name(nr);
    name = name != NULL ? name : "?";
    if (rule != NULL)
        WIDER(c, orch_where_key(c->inner, rule->origin), where_refused(c->outer, nr),
              "syscalls.rules: allows '%s'", name);
    else
        WIDER(c, where_listed(c->inner, list_element(c->inner, name)), where_refused(c->outer, nr),
              "syscalls.allow: '%s'", name);
}

static const struct orch_syscall_rule *first_of(const struct orch_profile *p, int nr)
{
    for (size_t i = 0; i < p->n_sc_rules; i++)
        if (names(&p->sc_rules[i], nr))
            return &p->sc_rules[i];
    return NULL;
}

/* What the outer profile kills for must not come back with an errno. */
static void check_killed(const struct within *c, int nr, struct meaning *outer, const struct meaning *inner)
{
    const struct orch_syscall_rule *r = first_of(c->inner, nr);
    for (size_t i = 0; i < inner->killed.n; i++)
        orch_cubes_subtract(&outer->killed, &inner->killed.v[i]);
    if (outer->killed.n > 0 || outer->killed.overflow)
        WIDER(c, r != NULL ? orch_where_key(c->inner, r->origin) : orch_where_key(c->inner, "syscalls.rules"),
              where_refused(c->outer, nr), "syscalls.rules: '%s' is not killed for", orch_syscall_name(nr));
}

static void check_call(const struct within *c, int nr, const bool *outer_list, const bool *inner_list)
{
    ORCH_AUTO(meaning_fini) struct meaning outer = {0};
    ORCH_AUTO(meaning_fini) struct meaning inner = {0};
    mean(c->outer, outer_list, nr, &outer);
    mean(c->inner, inner_list, nr, &inner);
    if (outer.overflow || inner.overflow) {
        const struct orch_syscall_rule *r = first_of(c->inner, nr);
        WIDER(c, orch_where_key(c->inner, r != NULL ? r->origin : "syscalls.rules"),
              where_refused(c->outer, nr),
              "syscalls.rules: '%s' has more conditions than can be compared, which counts as",
              orch_syscall_name(nr));
        return;
    }
    const struct orch_syscall_rule *reported = NULL;
    bool any = false;
    for (size_t i = 0; i < inner.n; i++) {
        const struct piece *p = &inner.permitted[i];
        if ((any && reported == p->rule) || piece_within(c->outer, nr, p, &outer))
            continue;
        report_piece(c, nr, p->rule);
        reported = p->rule;
        any = true;
    }
    check_killed(c, nr, &outer, &inner);
}

/* --- all numbers --- */

static void set_listed(bool *set, const char *name)
{
    int nr = orch_syscall_number(name);
    if (nr >= 0 && nr < ORCH_SC_MAX)
        set[nr] = true;
}

static void expand(const struct orch_strv *allow, bool *set)
{
    for (size_t i = 0; i < allow->n; i++) {
        if (allow->v[i][0] == '@')
            (void)orch_syscall_group_allows(allow->v[i], set);
        else
            set_listed(set, allow->v[i]);
    }
}

static void mark_ruled(const struct orch_profile *p, bool *set)
{
    for (size_t i = 0; i < p->n_sc_rules; i++)
        for (size_t k = 0; k < p->sc_rules[i].n_nrs; k++)
            if (p->sc_rules[i].nrs[k] >= 0 && p->sc_rules[i].nrs[k] < ORCH_SC_MAX)
                set[p->sc_rules[i].nrs[k]] = true;
}

void orch_within_syscalls(const struct within *c)
{
    bool outer[ORCH_SC_MAX] = {false}, inner[ORCH_SC_MAX] = {false}, ruled[ORCH_SC_MAX] = {false};
    expand(&c->outer->sc_allow, outer);
    expand(&c->inner->sc_allow, inner);
    mark_ruled(c->outer, ruled);
    mark_ruled(c->inner, ruled);
    for (int nr = 0; nr < ORCH_SC_MAX; nr++) {
        if (ruled[nr])
            check_call(c, nr, outer, inner);
        else if (inner[nr] && !outer[nr])
            report_piece(c, nr, NULL);
    }
    /* the group opens address families of calls that @agent-base has too */
    if (orch_strv_has(&c->inner->sc_allow, "@network-client") &&
        !orch_strv_has(&c->outer->sc_allow, "@network-client"))
        WIDER(c, where_listed(c->inner, "@network-client"), orch_where_key(c->outer, "syscalls.allow"),
              "syscalls.allow: '@network-client'");
}
