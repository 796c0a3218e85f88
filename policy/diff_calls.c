/*
 * diff_calls.c - system calls of two profiles, number by number (diff.h).
 *
 * Each number is asked of both by orch_syscalls_answer at registers that could make a difference: values that
 * no rule names, each value that a condition or the filter of either profile names, its neighbours, and for
 * each rule registers that fulfil all of its conditions.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/audit.h>
#include <string.h>

#include "policy/diff_int.h"
#include "policy/explain.h"

#define NO_RULE UINT64_C(0x5ca1ab1e00009008) /* a register that nothing names */

struct pair {
    struct orch_sc_answer a, b;
};

struct comparing {
    struct diffing *x;
    struct orch_syscalls *a, *b;
    int nr;
    struct pair usual;     /* with registers that nothing names */
    struct orch_strv told; /* texts of this number */
};

static bool permits(const struct orch_sc_answer *s)
{
    return s->kind == ORCH_SC_ALLOW || s->kind == ORCH_SC_WATCH;
}

static bool same(const struct orch_sc_answer *a, const struct orch_sc_answer *b)
{
    if (permits(a) || permits(b))
        return permits(a) && permits(b);
    return a->kind == b->kind && (a->kind != ORCH_SC_REFUSE || a->errnum == b->errnum);
}

static void ask(const struct comparing *c, const uint64_t args[6], struct pair *ret)
{
    struct seccomp_data d = {.nr = c->nr, .arch = AUDIT_ARCH_X86_64};

    for (size_t i = 0; i < 6; i++)
        d.args[i] = args[i];
    orch_syscalls_answer(c->a, &d, &ret->a);
    orch_syscalls_answer(c->b, &d, &ret->b);
}

static char *answer_text(const struct orch_sc_answer *s)
{
    const char *name = strerrorname_np(s->errnum);

    switch (s->kind) {
    case ORCH_SC_ALLOW:
    case ORCH_SC_WATCH:
        return orch_xstrdup("allowed");
    case ORCH_SC_FALLBACK:
        return orch_xstrdup("ENOSYS");
    case ORCH_SC_FAKE:
        return orch_xstrdup("faked");
    case ORCH_SC_KILL:
        return orch_xstrdup("killed");
    case ORCH_SC_REFUSE:
        break;
    }
    return orch_xasprintf("refused %s", name ? name : "?");
}

/* Refused by each profile's default: told once for all numbers. */
static bool by_defaults(const struct comparing *c, const struct pair *p)
{
    return p->a.kind == ORCH_SC_REFUSE && p->b.kind == ORCH_SC_REFUSE && p->a.origin == c->a->refuse_origin &&
           p->b.origin == c->b->refuse_origin;
}

/* when: the registers in words, "" = any. */
static void tell(struct comparing *c, const struct pair *p, const char *when)
{
    ORCH_AUTO_FREE char *ta = answer_text(&p->a), *tb = answer_text(&p->b);
    const char *name = orch_syscall_name(c->nr);
    ORCH_AUTO_FREE char *text =
        orch_xasprintf("%s%s%s: %s in A, %s in B", name ? name : "?", *when ? " with " : "", when, ta, tb);

    if (same(&p->a, &p->b) || by_defaults(c, p) || orch_strv_has(&c->told, text))
        return;
    orch_strv_add(&c->told, text);
    diff_add(c->x,
             permits(&p->a)   ? ORCH_ONLY_A
             : permits(&p->b) ? ORCH_ONLY_B
                              : ORCH_UNLIKE,
             "syscalls", ORCH_TAKE_PTR(text));
}

static void try_value(struct comparing *c, unsigned index, uint64_t value)
{
    uint64_t args[6] = {NO_RULE, NO_RULE, NO_RULE, NO_RULE, NO_RULE, NO_RULE};
    ORCH_AUTO_FREE char *when = orch_xasprintf("argument %u = 0x%" PRIx64, index, value);
    struct pair p;

    args[index] = value;
    ask(c, args, &p);
    if (!same(&p.a, &c->usual.a) || !same(&p.b, &c->usual.b))
        tell(c, &p, when);
}

static bool names(const struct orch_syscall_rule *r, int nr)
{
    for (size_t i = 0; i < r->n_nrs; i++)
        if (r->nrs[i] == nr)
            return true;
    return false;
}

static void try_witness(struct comparing *c, const struct orch_syscall_rule *r)
{
    uint64_t args[6] = {NO_RULE, NO_RULE, NO_RULE, NO_RULE, NO_RULE, NO_RULE};
    ORCH_AUTO_BUF struct orch_buf when = {0};
    struct pair p;

    for (size_t i = 0; i < r->n_args; i++) {
        uint64_t samples[ORCH_COND_SAMPLES] = {0};

        (void)orch_cond_samples(&r->args[i], samples);
        args[r->args[i].index] = samples[0];
        orch_buf_printf(&when, "%sargument %u = 0x%" PRIx64, i ? ", " : "", r->args[i].index, samples[0]);
    }
    ask(c, args, &p);
    if (!same(&p.a, &c->usual.a) || !same(&p.b, &c->usual.b))
        tell(c, &p, when.data);
}

static void try_rules(struct comparing *c, const struct orch_profile *p)
{
    for (size_t i = 0; i < p->n_sc_rules; i++) {
        const struct orch_syscall_rule *r = &p->sc_rules[i];

        if (r->n_args == 0 || !names(r, c->nr))
            continue;
        for (size_t k = 0; k < r->n_args; k++) {
            uint64_t samples[ORCH_COND_SAMPLES];
            size_t n = orch_cond_samples(&r->args[k], samples);

            for (size_t j = 0; j < n; j++)
                try_value(c, r->args[k].index, samples[j]);
        }
        try_witness(c, r);
    }
}

static void try_fast(struct comparing *c, const struct orch_syscalls *s)
{
    for (size_t i = 0; i < s->e[c->nr].n_fast; i++)
        try_value(c, s->e[c->nr].fast[i].index, s->e[c->nr].fast[i].value);
}

static void compare_number(struct comparing *c)
{
    const uint64_t any[6] = {NO_RULE, NO_RULE, NO_RULE, NO_RULE, NO_RULE, NO_RULE};

    ask(c, any, &c->usual);
    tell(c, &c->usual, "");
    try_rules(c, c->x->a);
    try_rules(c, c->x->b);
    try_fast(c, c->a);
    try_fast(c, c->b);
    orch_strv_fini(&c->told);
}

static void compare_defaults(struct diffing *x)
{
    const char *a = strerrorname_np(x->a->sc_default_errno), *b = strerrorname_np(x->b->sc_default_errno);

    if (x->a->sc_default_errno != x->b->sc_default_errno)
        diff_add(x, ORCH_UNLIKE, "syscalls",
                 orch_xasprintf("default: %s in A, %s in B", a ? a : "?", b ? b : "?"));
}

int diff_calls(struct diffing *x, struct orch_diags *d)
{
    ORCH_AUTO_FREE struct orch_syscalls *a = orch_xcalloc(1, sizeof(*a));
    ORCH_AUTO_FREE struct orch_syscalls *b = orch_xcalloc(1, sizeof(*b));
    struct comparing c = {.x = x, .a = a, .b = b};
    int r = orch_syscalls_compile(x->a, a, d);

    if (r == 0)
        r = orch_syscalls_compile(x->b, b, d);
    if (r < 0)
        return r;
    compare_defaults(x);
    for (c.nr = 0; c.nr < ORCH_SC_MAX; c.nr++)
        compare_number(&c);
    return 0;
}
