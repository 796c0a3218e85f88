/*
 * syscalls_check.c - rules that contradict each other, are never reached, or ask for what cannot be enforced.
 *
 * The first rule that matches a call decides it. Within one document that order must not be what tells two
 * rules apart, unless the later one holds for everything else ("this value so, all others so"). Rules of a
 * child document stand before those of its parent and may replace them.
 */
#include <stdarg.h>
#include <string.h>
#include "policy/argset.h"
#include "policy/syscalls_internal.h"
#include "policy/sysgroups_list.h"

#define MAX_RULES 1000  /* of a profile */
#define MAX_COND 32     /* rules with conditions of one call: what is compared grows with their square */
#define MAX_TOGETHER 16 /* calls of one rule for which all earlier rules together are looked at */
#define WORDS (ORCH_SC_MAX / 64)

struct check {
    const struct orch_profile *p;
    const struct orch_syscall_rule **final;
    struct orch_diags *d;
    bool failed;
    uint64_t (*calls)[WORDS]; /* of each rule, as a bit set */
    unsigned n_cond[ORCH_SC_MAX];
};

void orch_sc_report(struct orch_diags *d, const struct orch_syscall_rule *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    orch_diags_vadd_at(d, r->origin, r->line, r->col, fmt, ap);
    va_end(ap);
}

#define REPORT(c, r, ...)                                                                                    \
    do {                                                                                                     \
        orch_sc_report((c)->d, (r), __VA_ARGS__);                                                            \
        (c)->failed = true;                                                                                  \
    } while (0)

/* "FILE:LINE:COL (POINTER)" of the other rule. */
static char *place(const struct orch_syscall_rule *r)
{
    const char *hash = strrchr(r->origin, '#');
    size_t n = hash ? (size_t)(hash - r->origin) : strlen(r->origin);
    if (r->line == 0)
        return orch_xstrdup(r->origin);
    return orch_xasprintf("%.*s:%u:%u (%s)", (int)n, r->origin, r->line, r->col, hash ? hash + 1 : "");
}

static bool same_document(const struct orch_syscall_rule *a, const struct orch_syscall_rule *b)
{
    const char *x = strrchr(a->origin, '#'), *y = strrchr(b->origin, '#');
    size_t n = x ? (size_t)(x - a->origin) : 0;
    return x && y && (size_t)(y - b->origin) == n && memcmp(a->origin, b->origin, n) == 0;
}

/* ---- one rule ---- */

static bool check_args(struct check *c, const struct orch_syscall_rule *r)
{
    bool ok = r->n_args <= ORCH_NELEM(r->args);
    unsigned seen = 0;
    for (size_t i = 0; ok && i < r->n_args; i++) {
        const struct orch_arg_cond *a = &r->args[i];
        ok = a->index < 6 && (seen & (1u << a->index)) == 0 && a->n_set <= ORCH_ARG_SET_MAX;
        if (!ok)
            break;
        seen |= 1u << a->index;
        struct orch_argset set;
        orch_argset_of(r->n_nrs > 0 ? r->nrs[0] : -1, a, &set);
        if (orch_argset_empty(&set)) {
            REPORT(c, r, "rule %s: argument %u can never match%s", r->origin, a->index,
                   a->op == ORCH_OP_MASKED_EQ ? ": the value has bits outside the mask" : "");
            return false;
        }
    }
    if (!ok)
        REPORT(c, r, "rule %s: arguments must be 0-5, each at most once", r->origin);
    return ok;
}

/* Why the rule cannot hold for this call, or NULL; a format with the name of the call. */
static const char *impossible(const struct orch_syscall_rule *r, int nr)
{
    bool permits = r->action == ORCH_RULE_ALLOW || r->action == ORCH_RULE_LOG;
    if (r->action != ORCH_RULE_ALLOW && orch_sc_is_start(nr))
        return "cannot be restricted: starting the agent needs it";
    if (!permits && r->n_args == 0 && nr == ORCH_NR_execve)
        return "cannot be refused outright: starting the agent needs it";
    if (permits && orch_sc_never_allowed(nr))
        return "cannot be allowed: what it does is out of sight of filter and supervisor";
    return NULL;
}

static bool check_call(struct check *c, const struct orch_syscall_rule *r, int nr)
{
    const char *name = nr >= 0 && nr < ORCH_SC_MAX ? orch_syscall_name(nr) : NULL;
    const char *why = name ? impossible(r, nr) : NULL;
    if (!name)
        REPORT(c, r, "rule %s: %d is not a system call", r->origin, nr);
    else if (why)
        REPORT(c, r, "rule %s: '%s' %s", r->origin, name, why);
    else if (r->n_args > 0 && ++c->n_cond[nr] == MAX_COND + 1)
        REPORT(c, r, "'%s' has more than %d rules with conditions", name, MAX_COND);
    return name && !why;
}

static void check_rule(struct check *c, size_t i)
{
    const struct orch_syscall_rule *r = &c->p->sc_rules[i];
    if (!check_args(c, r))
        return;
    if (r->action == ORCH_RULE_ERRNO && (r->errnum < 1 || r->errnum > 4095)) {
        REPORT(c, r, "rule %s: errno must be 1-4095", r->origin);
        return;
    }
    for (size_t k = 0; k < r->n_nrs; k++)
        if (check_call(c, r, r->nrs[k]))
            c->calls[i][r->nrs[k] / 64] |= UINT64_C(1) << (r->nrs[k] % 64);
}

/* ---- two rules ---- */

/* The first call that both name, or -1; *ret_n how many there are. */
static int shared_call(const struct check *c, size_t i, size_t j, unsigned *ret_n)
{
    int first = -1;
    *ret_n = 0;
    for (int w = 0; w < WORDS; w++) {
        uint64_t both = c->calls[i][w] & c->calls[j][w];
        if (both && first < 0)
            first = w * 64 + __builtin_ctzll(both);
        *ret_n += (unsigned)__builtin_popcountll(both);
    }
    return first;
}

static const struct orch_arg_cond *cond_on(const struct orch_syscall_rule *r, unsigned index)
{
    for (size_t i = 0; i < r->n_args; i++)
        if (r->args[i].index == index)
            return &r->args[i];
    return NULL;
}

/* Every call that `inner` matches is one that `outer` matches. */
static bool covers(int nr, const struct orch_syscall_rule *outer, const struct orch_syscall_rule *inner)
{
    for (size_t i = 0; i < outer->n_args; i++) {
        const struct orch_arg_cond *a = cond_on(inner, outer->args[i].index);
        if (!a || !orch_argset_within(nr, a, &outer->args[i]))
            return false;
    }
    return true;
}

/* Some call is matched by both. */
static bool overlap(int nr, const struct orch_syscall_rule *a, const struct orch_syscall_rule *b)
{
    for (size_t i = 0; i < a->n_args; i++) {
        const struct orch_arg_cond *other = cond_on(b, a->args[i].index);
        if (other && !orch_argset_meet(nr, &a->args[i], other))
            return false;
    }
    return true;
}

static bool same_outcome(const struct orch_syscall_rule *a, const struct orch_syscall_rule *b)
{
    return a->action == b->action && (a->action != ORCH_RULE_ERRNO || a->errnum == b->errnum);
}

static bool has_range(const struct orch_syscall_rule *r)
{
    for (size_t i = 0; i < r->n_args; i++)
        if (r->args[i].op >= ORCH_OP_LT)
            return true;
    return false;
}

static void report_pair(struct check *c, const struct orch_syscall_rule *earlier,
                        const struct orch_syscall_rule *later, int nr, unsigned n)
{
    ORCH_AUTO_FREE char *other = place(earlier);
    ORCH_AUTO_FREE char *more = n > 1 ? orch_xasprintf(" and %u more", n - 1) : orch_xstrdup("");
    const char *name = orch_syscall_name(nr);
    bool hidden = covers(nr, earlier, later), equal = hidden && covers(nr, later, earlier);
    if (has_range(earlier) || has_range(later))
        REPORT(
            c, later,
            "rule %s: '%s'%s has another rule at %s: a range (lt, le, gt, ge) must be the only rule of its "
            "call",
            later->origin, name, more, other);
    else if (equal && same_outcome(earlier, later))
        REPORT(c, later, "rule %s is never reached for '%s'%s: %s has the same conditions and action",
               later->origin, name, more, other);
    else if (equal)
        REPORT(c, later, "rule %s is never reached for '%s'%s: %s has the same conditions and another action",
               later->origin, name, more, other);
    else if (hidden)
        REPORT(c, later, "rule %s is never reached for '%s'%s: %s matches everything that it matches",
               later->origin, name, more, other);
    else
        REPORT(
            c, later,
            "rule %s contradicts the one at %s for '%s'%s: some calls match both; make one of them narrower",
            later->origin, other, name, more);
}

static bool bad_pair(int nr, const struct orch_syscall_rule *earlier, const struct orch_syscall_rule *later)
{
    if (has_range(earlier) || has_range(later))
        return true;
    if (!same_document(earlier, later))
        return false;
    if (covers(nr, earlier, later))
        return true;
    return !same_outcome(earlier, later) && !covers(nr, later, earlier) && overlap(nr, earlier, later);
}

static bool check_pair(struct check *c, size_t i, size_t j)
{
    const struct orch_syscall_rule *earlier = &c->p->sc_rules[i], *later = &c->p->sc_rules[j];
    unsigned n;
    int nr = shared_call(c, i, j, &n);
    if (nr < 0 || !bad_pair(nr, earlier, later))
        return false;
    report_pair(c, earlier, later, nr, n);
    return true;
}

/* ---- one rule behind several ---- */

/* What is left of a rule's only condition when earlier rules of the same call have taken theirs. */
static bool taken_together(const struct check *c, size_t j, int nr)
{
    const struct orch_syscall_rule *r = &c->p->sc_rules[j];
    struct orch_argset left, negated, next;
    orch_argset_of(nr, &r->args[0], &left);
    for (size_t i = 0; i < j && !orch_argset_empty(&left); i++) {
        const struct orch_syscall_rule *e = &c->p->sc_rules[i];
        if (e->n_args != 1 || e->args[0].index != r->args[0].index || !same_document(e, r) ||
            !(c->calls[i][nr / 64] >> (nr % 64) & 1))
            continue;
        orch_argset_not(nr, &e->args[0], &negated);
        orch_argset_and(&left, &negated, &next);
        left = next;
    }
    return orch_argset_empty(&left);
}

static void check_together(struct check *c, size_t j)
{
    const struct orch_syscall_rule *r = &c->p->sc_rules[j];
    for (size_t k = 0; r->n_args == 1 && k < r->n_nrs && k < MAX_TOGETHER; k++) {
        int nr = r->nrs[k];
        if (nr < 0 || nr >= ORCH_SC_MAX || c->n_cond[nr] < 3 || !taken_together(c, j, nr))
            continue;
        for (size_t i = 0; i < j; i++) {
            if (!(c->calls[i][nr / 64] >> (nr % 64) & 1))
                continue;
            ORCH_AUTO_FREE char *first = place(&c->p->sc_rules[i]);
            REPORT(
                c, r,
                "rule %s is never reached for '%s': the rules from %s on together match everything that it "
                "matches",
                r->origin, orch_syscall_name(nr), first);
            return;
        }
    }
}

static void set_final(struct check *c)
{
    for (size_t i = 0; i < c->p->n_sc_rules; i++) {
        const struct orch_syscall_rule *r = &c->p->sc_rules[i];
        for (size_t k = 0; r->n_args == 0 && k < r->n_nrs; k++)
            if (!c->final[r->nrs[k]])
                c->final[r->nrs[k]] = r;
    }
}

bool orch_syscalls_check_rules(const struct orch_profile *p, struct orch_diags *d)
{
    const struct orch_syscall_rule *final[ORCH_SC_MAX] = {NULL};
    return orch_sc_check_rules(p, final, d);
}

bool orch_sc_check_rules(const struct orch_profile *p, const struct orch_syscall_rule *final[ORCH_SC_MAX],
                         struct orch_diags *d)
{
    struct check c = {.p = p, .final = final, .d = d};
    if (p->n_sc_rules > MAX_RULES) {
        REPORT(&c, &p->sc_rules[MAX_RULES], "more than %d rules for system calls", MAX_RULES);
        return false;
    }
    c.calls = orch_xcalloc(p->n_sc_rules + 1, sizeof(*c.calls));
    for (size_t i = 0; i < p->n_sc_rules; i++)
        check_rule(&c, i);
    bool whole = !c.failed;
    for (size_t j = 1; j < p->n_sc_rules && whole; j++) {
        bool bad = false;
        for (size_t i = 0; i < j && !bad; i++)
            bad = check_pair(&c, i, j);
        if (!bad)
            check_together(&c, j);
    }
    if (!c.failed)
        set_final(&c);
    free(c.calls);
    return !c.failed;
}
