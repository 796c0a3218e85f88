/*
 * filter_verify.c - does a program mean what the table says?
 *
 * Reference and interpreter must agree for every number 0-511 and samples beyond, foreign ABIs, and for each
 * argument a condition looks at, at all boundary values of the conditions and of the constants that occur in
 * the program, in combination across arguments. Instructions outside the interpreter's subset refuse the
 * program wherever they stand.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/audit.h>
#include <string.h>
#include "policy/syscalls.h"

#define MAX_INSNS 4096
#define MAX_SAMPLES (3 * MAX_INSNS)

struct verify {
    const struct orch_syscalls *s;
    const struct orch_filter *f;
    struct orch_err *err;
};

struct samples {
    uint64_t v[MAX_SAMPLES];
    size_t n;
};

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

static int check(const struct verify *v, const struct seccomp_data *d)
{
    int64_t expected = expects_allow(v->s, d) ? SECCOMP_RET_ALLOW : SECCOMP_RET_USER_NOTIF;
    int64_t found = orch_bpf_run(v->f->prog, v->f->len, d);
    if (found == expected)
        return 0;
    return orch_err_set(v->err, EBADMSG,
                        "filter verification failed: arch 0x%" PRIx32 " system call %d (0x%" PRIx64
                        ", 0x%" PRIx64 ", 0x%" PRIx64 ", 0x%" PRIx64 ", 0x%" PRIx64 ", 0x%" PRIx64
                        "): expected 0x%" PRIx64 ", found 0x%" PRIx64,
                        d->arch, d->nr, (uint64_t)d->args[0], (uint64_t)d->args[1], (uint64_t)d->args[2],
                        (uint64_t)d->args[3], (uint64_t)d->args[4], (uint64_t)d->args[5], (uint64_t)expected,
                        (uint64_t)found);
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
    if (s->n < MAX_SAMPLES)
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

/* Boundary values for argument `index` of an entry: constants, and each bit of each mask flipped. */
static void sample_argument(const struct orch_sc_entry *e, unsigned index, struct samples *s)
{
    static const uint64_t edges[] = {
        0, 1, UINT64_C(1) << 31, UINT64_C(0xffffffff), UINT64_C(1) << 32, ~UINT64_C(0), UINT64_C(1) << 63};
    for (size_t i = 0; i < ORCH_NELEM(edges); i++)
        add_sample(s, edges[i]);
    for (size_t i = 0; i < e->n_fast; i++) {
        const struct orch_sc_fast *f = &e->fast[i];
        if (f->index != index)
            continue;
        add_around(s, f->value);
        add_sample(s, f->value | ~f->mask);
        for (unsigned bit = 0; bit < 64; bit++)
            add_sample(s, f->value ^ UINT64_C(1) << bit);
    }
    sort_unique(s);
}

/* The constants of the program's comparisons: where a wrong program changes its mind. */
static void sample_program(const struct orch_filter *f, struct samples *s)
{
    for (size_t i = 0; i < f->len; i++) {
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

/* Every argument at every value of its own samples while the first other filtered argument runs through its.
 */
static int check_pair(const struct verify *v, struct seccomp_data *d, unsigned a, unsigned b,
                      const struct samples *sa, const struct samples *sb)
{
    uint64_t kept_a = d->args[a], kept_b = d->args[b];
    int r = 0;
    for (size_t i = 0; r == 0 && i < sa->n; i++)
        for (size_t k = 0; r == 0 && k < sb->n; k++) {
            d->args[a] = sa->v[i];
            d->args[b] = sb->v[k];
            r = check(v, d);
        }
    d->args[a] = kept_a;
    d->args[b] = kept_b;
    return r;
}

static bool looks_at(const struct orch_sc_entry *e, unsigned index)
{
    for (size_t i = 0; i < e->n_fast; i++)
        if (e->fast[i].index == index)
            return true;
    return false;
}

static int check_conditions(const struct verify *v, int nr, const struct samples *constants)
{
    const struct orch_sc_entry *e = &v->s->e[nr];
    ORCH_AUTO_FREE struct samples *per_arg = orch_xcalloc(6, sizeof(*per_arg));
    int r = 0;
    for (unsigned a = 0; r == 0 && a < 6; a++) {
        if (!looks_at(e, a))
            continue;
        sample_argument(e, a, &per_arg[a]);
        for (uint64_t others = 0; r == 0 && others < 2; others++) {
            struct seccomp_data d = {.nr = nr, .arch = AUDIT_ARCH_X86_64};
            memset(d.args, others ? 0xff : 0, sizeof(d.args));
            r = check_axis(v, &d, a, &per_arg[a], constants);
        }
        struct seccomp_data d = {.nr = nr, .arch = AUDIT_ARCH_X86_64};
        for (unsigned b = 0; r == 0 && b < a; b++)
            if (looks_at(e, b))
                r = check_pair(v, &d, b, a, &per_arg[b], &per_arg[a]);
    }
    return r;
}

/* A number with plain argument patterns: enough where no condition exists. */
static int check_number(const struct verify *v, uint32_t arch, uint32_t nr)
{
    static const uint64_t patterns[] = {
        0, 1, UINT64_C(0x80000000), UINT64_C(0xffffffff), UINT64_C(1) << 32, ~UINT64_C(0)};
    int r = 0;
    for (size_t i = 0; r == 0 && i < ORCH_NELEM(patterns); i++) {
        struct seccomp_data d = {.nr = (int)nr, .arch = arch, .instruction_pointer = patterns[i]};
        for (size_t k = 0; k < 6; k++)
            d.args[k] = patterns[i];
        r = check(v, &d);
    }
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
    int r = check_number(v, AUDIT_ARCH_X86_64, nr | 0x40000000u);
    for (size_t i = 0; r == 0 && i < ORCH_NELEM(foreign); i++)
        r = check_number(v, foreign[i], nr);
    return r;
}

static int check_beyond(const struct verify *v, const struct samples *constants)
{
    static const uint32_t numbers[] = {512,        1000,       4095,       4096,       65535,
                                       65536,      0x3fffffff, 0x40000000, 0x40000001, 0x7fffffff,
                                       0x80000000, 0xc000003e, 0xfffffff0, 0xfffffffe, UINT32_MAX};
    int r = 0;
    for (size_t i = 0; r == 0 && i < ORCH_NELEM(numbers); i++)
        r = check_number(v, AUDIT_ARCH_X86_64, numbers[i]);
    for (size_t i = 0; r == 0 && i < constants->n; i++)
        r = check_number(v, AUDIT_ARCH_X86_64, (uint32_t)constants->v[i]);
    return r;
}

int orch_filter_verify(const struct orch_syscalls *s, const struct orch_filter *f, struct orch_err *err)
{
    struct verify v = {.s = s, .f = f, .err = err};
    int r = check_shape(&v);
    if (r < 0)
        return r;
    ORCH_AUTO_FREE struct samples *constants = orch_xcalloc(1, sizeof(*constants));
    sample_program(f, constants);
    r = check_beyond(&v, constants);
    for (uint32_t nr = 0; r == 0 && nr < ORCH_SC_MAX; nr++) {
        r = check_number(&v, AUDIT_ARCH_X86_64, nr);
        if (r == 0)
            r = check_abi(&v, nr);
        if (r == 0 && s->e[nr].n_fast > 0)
            r = check_conditions(&v, (int)nr, constants);
    }
    return r;
}
