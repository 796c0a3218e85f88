/*
 * filter_verify.c - does a program mean what the profile says?
 *
 * Two references. The table says exactly what the program must allow; and whatever the program allows, the
 * judgement that would be passed on a notified call (orch_syscalls_answer: the profile's rules themselves)
 * must allow too, so that a fault in making the table is noticed as well. Both must agree with the
 * interpreter for every number 0-511 and samples beyond, foreign ABIs, and for each argument that a condition
 * of the table or of a rule looks at, at all boundary values of these and of the constants that occur in the
 * program, in combination across arguments. Instructions outside the interpreter's subset refuse the program
 * wherever they stand.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/audit.h>
#include <string.h>
#include "policy/argset.h"
#include "policy/syscalls_internal.h"

#define MAX_INSNS 4096

struct verify {
    const struct orch_syscalls *s;
    const struct orch_filter *f;
    struct orch_err *err;
    size_t from; /* the program's way for the number at hand, already gone (orch_bpf_common) */
};

struct samples {
    uint64_t *v; /* owned */
    size_t n, cap;
};

static void free_samples(struct samples *s)
{
    free(s->v);
    *s = (struct samples){0};
}

static bool expects_allow(const struct orch_syscalls *s, const struct seccomp_data *d)
{
    if (d->arch != AUDIT_ARCH_X86_64 || d->nr < 0 || d->nr >= ORCH_SC_MAX)
        return false;
    const struct orch_sc_entry *e = &s->e[d->nr];
    for (size_t i = 0; i < e->n_fast; i++)
        if ((d->args[e->fast[i].index] & e->fast[i].mask) == e->fast[i].value)
            return true;
    return e->always;
}

static int mismatch(const struct verify *v, const struct seccomp_data *d, uint64_t expected, int64_t found)
{
    const char *name = d->arch == AUDIT_ARCH_X86_64 ? orch_syscall_name(d->nr) : NULL;
    return orch_err_set(v->err, EBADMSG,
                        "filter verification failed: arch 0x%" PRIx32 " system call %d%s%s (0x%" PRIx64
                        ", 0x%" PRIx64 ", 0x%" PRIx64 ", 0x%" PRIx64 ", 0x%" PRIx64 ", 0x%" PRIx64
                        "): expected 0x%" PRIx64 ", found 0x%" PRIx64,
                        d->arch, d->nr, name ? " " : "", name ? name : "", (uint64_t)d->args[0],
                        (uint64_t)d->args[1], (uint64_t)d->args[2], (uint64_t)d->args[3],
                        (uint64_t)d->args[4], (uint64_t)d->args[5], expected, (uint64_t)found);
}

static int check(const struct verify *v, const struct seccomp_data *d)
{
    int64_t expected = expects_allow(v->s, d) ? SECCOMP_RET_ALLOW : SECCOMP_RET_USER_NOTIF;
    int64_t found = orch_bpf_run_from(v->f->prog, v->f->len, v->from, d);
    struct orch_sc_answer a;
    if (found != expected)
        return mismatch(v, d, (uint64_t)expected, found);
    if (found != SECCOMP_RET_ALLOW)
        return 0;
    orch_syscalls_answer(v->s, d, &a);
    return a.kind == ORCH_SC_ALLOW && !a.log ? 0 : mismatch(v, d, SECCOMP_RET_USER_NOTIF, found);
}

static bool known_code(uint16_t code)
{
    static const uint16_t codes[] = {
        BPF_LD | BPF_W | BPF_ABS,  BPF_ALU | BPF_AND | BPF_K, BPF_JMP | BPF_JA, BPF_JMP | BPF_JEQ | BPF_K,
        BPF_JMP | BPF_JGT | BPF_K, BPF_JMP | BPF_JGE | BPF_K, BPF_RET | BPF_K};
    for (size_t i = 0; i < ORCH_NELEM(codes); i++)
        if (codes[i] == code)
            return true;
    return false;
}

static bool is_compare(uint16_t code)
{
    return BPF_CLASS(code) == BPF_JMP && code != (BPF_JMP | BPF_JA);
}

/* Every instruction is of the subset and every target inside, also where no sample leads. */
static int check_shape(const struct verify *v)
{
    if (v->f->len == 0 || v->f->len > MAX_INSNS)
        return orch_err_set(v->err, EBADMSG, "filter verification failed: %u instructions", v->f->len);
    for (size_t i = 0; i < v->f->len; i++) {
        const struct sock_filter *in = &v->f->prog[i];
        size_t left = v->f->len - i - 1;
        bool ok = known_code(in->code);
        if (is_compare(in->code))
            ok = ok && in->jt < left && in->jf < left;
        else if (in->code == (BPF_JMP | BPF_JA))
            ok = in->k < left;
        else if (in->code == (BPF_RET | BPF_K))
            ok = in->k == SECCOMP_RET_ALLOW || in->k == SECCOMP_RET_USER_NOTIF;
        if (!ok)
            return orch_err_set(v->err, EBADMSG, "filter verification failed: instruction %zu", i);
    }
    return 0;
}

static void add_sample(struct samples *s, uint64_t x)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 128;
        s->v = orch_xreallocarray(s->v, s->cap, sizeof(s->v[0]));
    }
    s->v[s->n++] = x;
}

static int compare_u64(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void sort_unique(struct samples *s)
{
    size_t kept = 0;
    if (s->n > 1)
        qsort(s->v, s->n, sizeof(s->v[0]), compare_u64);
    for (size_t i = 0; i < s->n; i++)
        if (kept == 0 || s->v[kept - 1] != s->v[i])
            s->v[kept++] = s->v[i];
    s->n = kept;
}

static void add_around(struct samples *s, uint64_t c)
{
    add_sample(s, c - 1);
    add_sample(s, c);
    add_sample(s, c + 1);
    add_sample(s, c | UINT64_C(1) << 32);
    add_sample(s, c | UINT64_C(0xffffffff) << 32);
}

static void add_flips(struct samples *s, uint64_t c)
{
    for (unsigned bit = 0; bit < 64; bit++)
        add_sample(s, c ^ UINT64_C(1) << bit);
}

static void add_condition(struct samples *s, const struct orch_arg_cond *c, bool flips)
{
    if (c->op != ORCH_OP_IN)
        add_around(s, c->value);
    for (size_t i = 0; c->op == ORCH_OP_IN && i < c->n_set; i++)
        add_around(s, c->set[i]);
    if (c->op == ORCH_OP_MASKED_EQ)
        add_sample(s, c->value | ~c->mask);
    if (flips)
        add_flips(s, c->value);
}

static void add_rules(const struct verify *v, int nr, unsigned index, bool flips, struct samples *s)
{
    const struct orch_profile *p = v->s->profile;
    for (size_t i = 0; i < p->n_sc_rules; i++) {
        const struct orch_syscall_rule *r = &p->sc_rules[i];
        for (size_t k = 0; orch_sc_rule_names(r, nr) && k < r->n_args; k++)
            if (r->args[k].index == index)
                add_condition(s, &r->args[k], flips);
    }
}

/* Boundary values for argument `index` of a call: constants, and with `flips` each bit of each turned over.
 * Some come twice: looking twice costs less than sorting, unless they are combined. */
static void sample_argument(const struct verify *v, int nr, unsigned index, bool flips, struct samples *s)
{
    static const uint64_t edges[] = {
        0, 1, UINT64_C(1) << 31, UINT64_C(0xffffffff), UINT64_C(1) << 32, ~UINT64_C(0), UINT64_C(1) << 63};
    const struct orch_sc_entry *e = &v->s->e[nr];
    for (size_t i = 0; i < ORCH_NELEM(edges); i++)
        add_sample(s, edges[i]);
    for (size_t i = 0; i < e->n_fast; i++) {
        const struct orch_sc_fast *f = &e->fast[i];
        if (f->index != index)
            continue;
        add_around(s, f->value);
        add_sample(s, f->value | ~f->mask);
        if (flips)
            add_flips(s, f->value);
    }
    add_rules(v, nr, index, flips, s);
    if (!flips)
        sort_unique(s);
}

static void mark_next(const struct sock_filter *in, bool *next)
{
    if (in->code == (BPF_JMP | BPF_JA)) {
        next[in->k] = true;
    } else if (is_compare(in->code)) {
        next[in->jt] = true;
        next[in->jf] = true;
    } else if (in->code != (BPF_RET | BPF_K)) {
        next[0] = true;
    }
}

/* The constants of the comparisons that can be come to from v->from: where a wrong program changes its mind.
 * Jumps only go forward, and inside (check_shape). */
static void sample_program(const struct verify *v, struct samples *s)
{
    const struct orch_filter *f = v->f;
    bool reached[MAX_INSNS + 1] = {[0] = false};
    reached[v->from] = true;
    for (size_t i = v->from; i < f->len; i++) {
        if (!reached[i])
            continue;
        mark_next(&f->prog[i], &reached[i + 1]);
        if (!is_compare(f->prog[i].code))
            continue;
        add_sample(s, (uint32_t)(f->prog[i].k - 1));
        add_sample(s, f->prog[i].k);
        add_sample(s, (uint32_t)(f->prog[i].k + 1));
    }
    sort_unique(s);
}

/* One argument runs through its samples and the program's constants (low and high word), the others stay as
 * they are. */
static int check_axis(const struct verify *v, struct seccomp_data *d, unsigned index,
                      const struct samples *own, const struct samples *constants)
{
    uint64_t kept = d->args[index];
    int r = 0;
    for (size_t i = 0; r == 0 && i < own->n; i++) {
        d->args[index] = own->v[i];
        r = check(v, d);
    }
    for (size_t i = 0; r == 0 && i < constants->n; i++) {
        d->args[index] = constants->v[i];
        r = check(v, d);
        d->args[index] = constants->v[i] << 32;
        if (r == 0)
            r = check(v, d);
    }
    d->args[index] = kept;
    return r;
}

/* At most this many values of each of two arguments in combination: a condition of the table looks at one. */
#define MAX_PAIR 300

static int check_pair(const struct verify *v, struct seccomp_data *d, unsigned a, unsigned b,
                      const struct samples *sa, const struct samples *sb)
{
    size_t step_a = 1 + sa->n / MAX_PAIR, step_b = 1 + sb->n / MAX_PAIR;
    uint64_t kept_a = d->args[a], kept_b = d->args[b];
    int r = 0;
    for (size_t i = 0; r == 0 && i < sa->n; i += step_a)
        for (size_t k = 0; r == 0 && k < sb->n; k += step_b) {
            d->args[a] = sa->v[i];
            d->args[b] = sb->v[k];
            r = check(v, d);
        }
    d->args[a] = kept_a;
    d->args[b] = kept_b;
    return r;
}

/* Arguments that a condition of the table or of a rule looks at, as a bit set. */
static unsigned watched_arguments(const struct verify *v, int nr)
{
    const struct orch_profile *p = v->s->profile;
    const struct orch_sc_entry *e = &v->s->e[nr];
    unsigned args = 0;
    for (size_t i = 0; i < e->n_fast; i++)
        args |= 1u << e->fast[i].index;
    for (size_t i = 0; i < p->n_sc_rules; i++)
        for (size_t k = 0; k < p->sc_rules[i].n_args; k++)
            if (orch_sc_rule_names(&p->sc_rules[i], nr))
                args |= 1u << p->sc_rules[i].args[k].index;
    return args;
}

/* Each argument through all its values, the others all 0, then all 1. */
static int check_alone(const struct verify *v, int nr, unsigned args, const struct samples *constants)
{
    ORCH_AUTO(free_samples) struct samples own = {0};
    int r = 0;
    for (unsigned a = 0; r == 0 && a < 6; a++) {
        if (!(args >> a & 1))
            continue;
        own.n = 0;
        sample_argument(v, nr, a, true, &own);
        for (unsigned others = 0; r == 0 && others < 2; others++) {
            struct seccomp_data d = {.nr = nr, .arch = AUDIT_ARCH_X86_64};
            memset(d.args, others ? 0xff : 0, sizeof(d.args));
            r = check_axis(v, &d, a, &own, constants);
        }
    }
    return r;
}

/* Every rule's conditions fulfilled at once, then one argument after the other through its values. */
static int check_rules(const struct verify *v, int nr, const struct samples per_arg[6])
{
    const struct orch_profile *p = v->s->profile;
    const struct samples none = {0};
    int r = 0;
    for (size_t i = 0; r == 0 && i < p->n_sc_rules; i++) {
        const struct orch_syscall_rule *rule = &p->sc_rules[i];
        struct seccomp_data d = {.nr = nr, .arch = AUDIT_ARCH_X86_64};
        if (rule->n_args < 2 || !orch_sc_rule_names(rule, nr))
            continue;
        for (size_t k = 0; k < rule->n_args; k++) {
            struct orch_argset set;
            orch_argset_of(nr, &rule->args[k], &set);
            d.args[rule->args[k].index] = set.n > 0 ? set.v[0].value : 0;
        }
        for (size_t k = 0; r == 0 && k < rule->n_args; k++)
            r = check_axis(v, &d, rule->args[k].index, &per_arg[rule->args[k].index], &none);
    }
    return r;
}

static int check_arguments(const struct verify *v, int nr, unsigned args, const struct samples *constants)
{
    struct samples per_arg[6] = {0};
    int r = check_alone(v, nr, args, constants);
    for (unsigned a = 0; r == 0 && a < 6; a++) {
        struct seccomp_data d = {.nr = nr, .arch = AUDIT_ARCH_X86_64};
        if (!(args >> a & 1))
            continue;
        sample_argument(v, nr, a, false, &per_arg[a]);
        for (unsigned b = 0; r == 0 && b < a; b++)
            if (args >> b & 1)
                r = check_pair(v, &d, b, a, &per_arg[b], &per_arg[a]);
    }
    if (r == 0)
        r = check_rules(v, nr, per_arg);
    for (unsigned a = 0; a < 6; a++)
        free_samples(&per_arg[a]);
    return r;
}

static int check_conditions(const struct verify *v, int nr)
{
    const struct seccomp_data d = {.nr = nr, .arch = AUDIT_ARCH_X86_64};
    ORCH_AUTO(free_samples) struct samples constants = {0};
    unsigned args = watched_arguments(v, nr);
    struct verify at = *v;
    if (args == 0)
        return 0;
    at.from = orch_bpf_common(v->f->prog, v->f->len, &d);
    sample_program(&at, &constants);
    return check_arguments(&at, nr, args, &constants);
}

/* A number with all arguments alike: enough where no condition exists. */
static int check_pattern(const struct verify *v, uint32_t arch, uint32_t nr, uint64_t pattern)
{
    struct seccomp_data d = {.nr = (int)nr, .arch = arch, .instruction_pointer = pattern};
    for (size_t k = 0; k < 6; k++)
        d.args[k] = pattern;
    return check(v, &d);
}

static int check_number(const struct verify *v, uint32_t nr)
{
    static const uint64_t patterns[] = {
        0, 1, UINT64_C(0x80000000), UINT64_C(0xffffffff), UINT64_C(1) << 32, ~UINT64_C(0)};
    const struct seccomp_data d = {.nr = (int)nr, .arch = AUDIT_ARCH_X86_64};
    struct verify at = *v;
    int r = 0;
    at.from = orch_bpf_common(v->f->prog, v->f->len, &d);
    for (size_t i = 0; r == 0 && i < ORCH_NELEM(patterns); i++)
        r = check_pattern(&at, AUDIT_ARCH_X86_64, nr, patterns[i]);
    return r;
}

static int check_abi(const struct verify *v, uint32_t nr)
{
    static const uint32_t foreign[] = {AUDIT_ARCH_I386,
                                       AUDIT_ARCH_AARCH64,
                                       AUDIT_ARCH_ARM,
                                       AUDIT_ARCH_RISCV64,
                                       0,
                                       UINT32_MAX,
                                       AUDIT_ARCH_X86_64 - 1,
                                       AUDIT_ARCH_X86_64 + 1,
                                       AUDIT_ARCH_X86_64 ^ 0x80000000u,
                                       AUDIT_ARCH_X86_64 ^ 0x40000000u};
    int r = check_number(v, nr | 0x40000000u);
    for (size_t i = 0; r == 0 && i < ORCH_NELEM(foreign); i++) {
        r = check_pattern(v, foreign[i], nr, 0);
        if (r == 0)
            r = check_pattern(v, foreign[i], nr, ~UINT64_C(0));
    }
    return r;
}

static int check_beyond(const struct verify *v, const struct samples *constants)
{
    static const uint32_t numbers[] = {512,        1000,       4095,       4096,       65535,
                                       65536,      0x3fffffff, 0x40000000, 0x40000001, 0x7fffffff,
                                       0x80000000, 0xc000003e, 0xfffffff0, 0xfffffffe, UINT32_MAX};
    int r = 0;
    for (size_t i = 0; r == 0 && i < ORCH_NELEM(numbers); i++)
        r = check_number(v, numbers[i]);
    for (size_t i = 0; r == 0 && i < constants->n; i++)
        r = check_number(v, (uint32_t)constants->v[i]);
    return r;
}

int orch_filter_verify(const struct orch_syscalls *s, const struct orch_filter *f, struct orch_err *err)
{
    struct verify v = {.s = s, .f = f, .err = err};
    int r = check_shape(&v);
    if (r < 0)
        return r;
    ORCH_AUTO(free_samples) struct samples constants = {0};
    sample_program(&v, &constants);
    r = check_beyond(&v, &constants);
    for (uint32_t nr = 0; r == 0 && nr < ORCH_SC_MAX; nr++) {
        r = check_number(&v, nr);
        if (r == 0)
            r = check_abi(&v, nr);
        if (r == 0)
            r = check_conditions(&v, (int)nr);
    }
    return r;
}
