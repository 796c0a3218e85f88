/*
 * policy_gen.h - random syscall policies with a reference meaning of their own, for the differential test of
 * compiler, filter and judgement.
 *
 * A policy is made as data, written as the JSON that an author would write, and evaluated here straight from
 * the data: first rule whose conditions hold. What the product makes of the JSON must come to the same
 * verdict for every call. Static functions, for one user per program.
 */
#ifndef TESTS_LIB_POLICY_GEN_H
#define TESTS_LIB_POLICY_GEN_H

#include <errno.h>
#include <linux/audit.h>
#include <stdio.h>
#include <string.h>
#include "common/buf.h"
#include "policy/filter_cache.h"
#include "policy/sysgroups.h"
#include "policy/sysgroups_list.h"

#define GEN_UNUSED __attribute__((unused))
#define GEN_RULES 12
#define GEN_SET 4

/* Bytes of the fuzzer first, then a generator with a seed. */
struct gen {
    const unsigned char *data;
    size_t n;
    uint64_t seed;
};

struct gen_cond {
    unsigned index;
    const char *op;
    uint64_t v[GEN_SET]; /* value; masked_eq: value and mask; in: the list */
    size_t n;
};

struct gen_rule {
    int nr;
    unsigned action; /* index into gen_actions */
    int errnum;
    struct gen_cond cond[3];
    size_t n_cond;
};

struct gen_policy {
    struct gen_rule rule[GEN_RULES];
    size_t n_rules;
    bool oci;
};

enum { GEN_ALLOW, GEN_ERRNO, GEN_KILL, GEN_LOG };
static const char *const gen_actions[][2] = {{"allow", "SCMP_ACT_ALLOW"},
                                             {"errno", "SCMP_ACT_ERRNO"},
                                             {"kill_process", "SCMP_ACT_KILL_PROCESS"},
                                             {"log", "SCMP_ACT_LOG"}};

/* Plain calls, calls judged by their registers, a watched one, and calls that are not in the base. */
static const int gen_calls[] = {
    ORCH_NR_lseek,       ORCH_NR_mprotect, ORCH_NR_madvise, ORCH_NR_fcntl,          ORCH_NR_kill,
    ORCH_NR_setsockopt,  ORCH_NR_ioctl,    ORCH_NR_socket,  ORCH_NR_prctl,          ORCH_NR_clone,
    ORCH_NR_personality, ORCH_NR_openat,   ORCH_NR_shmget,  ORCH_NR_fanotify_mark,  ORCH_NR_kcmp,
    ORCH_NR_mbind,       ORCH_NR_sendto,   ORCH_NR_mmap,    ORCH_NR_lookup_dcookie,
};

static uint64_t gen_next(struct gen *g)
{
    uint64_t v = 0;
    if (g->n > 0) {
        size_t k = g->n < 8 ? g->n : 8;
        memcpy(&v, g->data, k);
        g->data += k;
        g->n -= k;
        return v;
    }
    g->seed ^= g->seed << 13;
    g->seed ^= g->seed >> 7;
    g->seed ^= g->seed << 17;
    return g->seed;
}

static uint64_t gen_below(struct gen *g, uint64_t n)
{
    return gen_next(g) % n;
}

/* Small numbers, single bits, edges, and anything; rarely beyond the width. */
static uint64_t gen_value(struct gen *g, uint64_t width)
{
    static const uint64_t edges[] = {0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
    uint64_t v = gen_next(g);
    switch (gen_below(g, 8)) {
    case 0:
    case 1:
        return v % 16;
    case 2:
        return (UINT64_C(1) << (v % 64)) & width;
    case 3:
        return edges[v % 6] & width;
    case 4:
        return gen_below(g, 4) == 0 ? v : v & 0xffff & width;
    default:
        return v & width;
    }
}

static void gen_cond(struct gen *g, int nr, struct gen_cond *c)
{
    static const char *const ops[] = {"eq", "eq", "ne", "masked_eq", "masked_eq", "subset_of", "subset_of",
                                      "in", "in", "lt", "le",        "gt",        "ge"};
    c->op = ops[gen_below(g, ORCH_NELEM(ops))];
    c->index = (unsigned)gen_below(g, 3);
    uint64_t width = orch_syscall_arg_mask(nr, c->index);
    c->n = strcmp(c->op, "in") == 0 ? 1 + gen_below(g, GEN_SET) : strcmp(c->op, "masked_eq") == 0 ? 2 : 1;
    for (size_t i = 0; i < c->n; i++)
        c->v[i] = gen_value(g, width);
    if (strcmp(c->op, "masked_eq") == 0)
        c->v[0] &= c->v[1];
}

static void gen_rule(struct gen *g, struct gen_rule *r)
{
    r->nr = gen_calls[gen_below(g, ORCH_NELEM(gen_calls))];
    r->action = (unsigned)gen_below(g, 4);
    r->errnum = 1 + (int)gen_below(g, 130);
    r->n_cond = gen_below(g, 5) == 0 ? 0 : 1 + (gen_below(g, 3) == 0 ? gen_below(g, 3) : 0);
    for (size_t i = 0; i < r->n_cond; i++)
        gen_cond(g, r->nr, &r->cond[i]);
}

GEN_UNUSED static void gen_policy(struct gen *g, struct gen_policy *p)
{
    *p = (struct gen_policy){.n_rules = 1 + gen_below(g, GEN_RULES), .oci = gen_below(g, 4) == 0};
    for (size_t i = 0; i < p->n_rules; i++) {
        gen_rule(g, &p->rule[i]);
        if (i > 0 && gen_below(g, 3) == 0) /* several rules of one call are where compilers go wrong */
            p->rule[i].nr = p->rule[i - 1].nr;
    }
}

/* ---- as JSON ---- */

static void gen_put_cond(struct orch_buf *b, const struct gen_cond *c, bool oci)
{
    static const char *const both[][2] = {{"eq", "SCMP_CMP_EQ"},
                                          {"ne", "SCMP_CMP_NE"},
                                          {"lt", "SCMP_CMP_LT"},
                                          {"le", "SCMP_CMP_LE"},
                                          {"gt", "SCMP_CMP_GT"},
                                          {"ge", "SCMP_CMP_GE"},
                                          {"masked_eq", "SCMP_CMP_MASKED_EQ"}};
    const char *op = c->op;
    bool masked = strcmp(op, "masked_eq") == 0, list = strcmp(op, "in") == 0;
    for (size_t i = 0; oci && i < ORCH_NELEM(both); i++)
        if (strcmp(both[i][0], op) == 0)
            op = both[i][1];
    bool swapped = masked && op != c->op;
    orch_buf_printf(b, "{\"index\": %u, \"op\": \"%s\", \"value\": %s", c->index, op, list ? "[" : "");
    for (size_t i = 0; i < (list ? c->n : 1); i++)
        orch_buf_printf(b, "%s\"0x%llx\"", i > 0 ? ", " : "", (unsigned long long)c->v[swapped ? 1 : i]);
    if (masked)
        orch_buf_printf(b, ", \"%s\": \"0x%llx\"", swapped ? "valueTwo" : "mask",
                        (unsigned long long)c->v[swapped ? 0 : 1]);
    orch_buf_str(b, list ? "]}" : "}");
}

static void gen_put_rule(struct orch_buf *b, const struct gen_rule *r, bool oci)
{
    orch_buf_printf(b, "{\"%s\": [\"%s\"], \"action\": \"%s\", \"reason\": \"test\"",
                    oci ? "names" : "syscalls", orch_syscall_name(r->nr), gen_actions[r->action][oci]);
    if (r->action == GEN_ERRNO && oci)
        orch_buf_printf(b, ", \"errnoRet\": %d", r->errnum);
    else if (r->action == GEN_ERRNO)
        orch_buf_printf(b, ", \"errno\": \"%d\"", r->errnum);
    for (size_t i = 0; i < r->n_cond; i++) {
        orch_buf_str(b, i == 0 ? ",\n  \"args\": [" : ", ");
        gen_put_cond(b, &r->cond[i], oci);
    }
    orch_buf_str(b, r->n_cond > 0 ? "]}" : "}");
}

GEN_UNUSED static char *gen_json(const struct gen_policy *p)
{
    struct orch_buf b = {0};
    orch_buf_str(&b, "{\"schema\": 1, \"name\": \"t\", \"syscalls\": {\n");
    orch_buf_str(
        &b, p->oci ? "\"allow\": [\"@agent-base\"], \"defaultAction\": \"SCMP_ACT_ERRNO\",\n\"syscalls\": ["
                   : "\"allow\": [\"@agent-base\"], \"default\": \"EPERM\",\n\"rules\": [");
    for (size_t i = 0; i < p->n_rules; i++) {
        orch_buf_str(&b, i > 0 ? ",\n " : "\n ");
        gen_put_rule(&b, &p->rule[i], p->oci);
    }
    orch_buf_str(&b, "]}}\n");
    return orch_buf_take(&b);
}

/* ---- what it means ---- */

static bool gen_holds(int nr, const struct gen_cond *c, const uint64_t args[6])
{
    uint64_t width = orch_syscall_arg_mask(nr, c->index), x = args[c->index] & width, v = c->v[0];
    /* a sign-extended constant is cut, everything else beyond the width is refused when it is read */
    if (width != UINT64_MAX && v >= UINT64_C(0xffffffff80000000))
        v &= width;
    if (strcmp(c->op, "eq") == 0)
        return x == v;
    if (strcmp(c->op, "ne") == 0)
        return x != v;
    if (strcmp(c->op, "masked_eq") == 0)
        return (x & c->v[1]) == v;
    if (strcmp(c->op, "subset_of") == 0)
        return (x & ~v) == 0;
    if (strcmp(c->op, "lt") == 0)
        return x < v;
    if (strcmp(c->op, "le") == 0)
        return x <= v;
    if (strcmp(c->op, "gt") == 0)
        return x > v;
    if (strcmp(c->op, "ge") == 0)
        return x >= v;
    for (size_t i = 0; i < c->n; i++) {
        v = width != UINT64_MAX && c->v[i] >= UINT64_C(0xffffffff80000000) ? c->v[i] & width : c->v[i];
        if (x == v)
            return true;
    }
    return false;
}

static const struct gen_rule *gen_match(const struct gen_policy *p, const struct seccomp_data *d)
{
    uint64_t args[6];
    memcpy(args, d->args, sizeof(args));
    for (size_t i = 0; i < p->n_rules; i++) {
        const struct gen_rule *r = &p->rule[i];
        bool hit = r->nr == d->nr;
        for (size_t k = 0; hit && k < r->n_cond; k++)
            hit = gen_holds(r->nr, &r->cond[k], args);
        if (hit)
            return r;
    }
    return NULL;
}

static bool gen_judged(int nr)
{
    return nr == ORCH_NR_ioctl || nr == ORCH_NR_socket || nr == ORCH_NR_prctl || nr == ORCH_NR_clone ||
           nr == ORCH_NR_personality;
}

struct gen_verdict {
    enum orch_sc_kind kind;
    int errnum;
    bool log;
};

/* base: the table of the same profile without rules. */
GEN_UNUSED static struct gen_verdict gen_meaning(const struct gen_policy *p, const struct orch_syscalls *base,
                                                 const struct seccomp_data *d)
{
    const struct gen_rule *r = gen_match(p, d);
    struct orch_sc_answer a;
    orch_syscalls_answer(base, d, &a);
    if (!r)
        return (struct gen_verdict){.kind = a.kind, .errnum = a.kind == ORCH_SC_REFUSE ? a.errnum : 0};
    if (r->action == GEN_ERRNO)
        return (struct gen_verdict){.kind = ORCH_SC_REFUSE, .errnum = r->errnum};
    if (r->action == GEN_KILL)
        return (struct gen_verdict){.kind = ORCH_SC_KILL};
    struct gen_verdict v = {.kind = ORCH_SC_ALLOW, .log = r->action == GEN_LOG};
    bool in_base = base->e[r->nr].kind != ORCH_SC_REFUSE;
    if (in_base && (!gen_judged(r->nr) || r->n_cond == 0)) {
        v.kind = a.kind;
        v.errnum = a.kind == ORCH_SC_REFUSE ? a.errnum : 0;
    }
    return v;
}

/* What filter and supervisor together come to. */
GEN_UNUSED static struct gen_verdict gen_outcome(const struct orch_syscalls *s, const struct orch_filter *f,
                                                 const struct seccomp_data *d)
{
    struct orch_sc_answer a;
    if (orch_bpf_run(f->prog, f->len, d) == SECCOMP_RET_ALLOW)
        return (struct gen_verdict){.kind = ORCH_SC_ALLOW};
    orch_syscalls_answer(s, d, &a);
    return (struct gen_verdict){
        .kind = a.kind, .errnum = a.kind == ORCH_SC_REFUSE ? a.errnum : 0, .log = a.log != NULL};
}

static uint64_t gen_probe(struct gen *g, const struct gen_policy *p)
{
    const struct gen_rule *r = &p->rule[gen_below(g, p->n_rules)];
    uint64_t v = gen_next(g);
    if (r->n_cond > 0) {
        const struct gen_cond *c = &r->cond[gen_below(g, r->n_cond)];
        v = c->v[gen_below(g, c->n)];
    }
    switch (gen_below(g, 10)) {
    case 0:
        return v - 1;
    case 1:
        return v + 1;
    case 2:
        return v | UINT64_C(1) << 32;
    case 3:
        return v | UINT64_C(0xffffffff) << 32;
    case 4:
        return v ^ UINT64_C(1) << gen_below(g, 64);
    case 5:
        return gen_next(g);
    case 6:
        return gen_below(g, 4);
    default:
        return v;
    }
}

/* Compares n calls; NULL, or what differs (to be freed). */
GEN_UNUSED static char *gen_compare(struct gen *g, const struct gen_policy *p,
                                    const struct orch_syscalls *base, const struct orch_syscalls *s,
                                    const struct orch_filter *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct seccomp_data d = {.arch = AUDIT_ARCH_X86_64,
                                 .nr = gen_below(g, 8) == 0 ? (int)gen_below(g, 520)
                                                            : p->rule[gen_below(g, p->n_rules)].nr};
        for (size_t k = 0; k < 6; k++)
            d.args[k] = gen_probe(g, p);
        struct gen_verdict want = gen_meaning(p, base, &d), got = gen_outcome(s, f, &d);
        if (want.kind != got.kind || want.errnum != got.errnum || want.log != got.log)
            return orch_xasprintf("call %d (0x%llx, 0x%llx, 0x%llx, ...): meant %d/%d/%d, came to %d/%d/%d",
                                  d.nr, (unsigned long long)d.args[0], (unsigned long long)d.args[1],
                                  (unsigned long long)d.args[2], (int)want.kind, want.errnum, want.log,
                                  (int)got.kind, got.errnum, got.log);
    }
    return NULL;
}

static struct orch_profile *gen_read(const char *text, struct orch_diags *d)
{
    ORCH_AUTO(orch_strv_fini) struct orch_strv sources = {0};
    struct orch_profile *p = NULL;
    orch_strv_add_take(&sources, orch_xasprintf("./t.json\n%s", text));
    (void)orch_profile_from_sources(&sources, "t", &p, d);
    return p;
}

/* The profile of a text, or NULL if it is refused; *ret_rule (may be NULL) then is the first rule at fault.
 */
GEN_UNUSED static struct orch_profile *gen_load(const char *text, size_t *ret_rule)
{
    struct orch_diags d = {0};
    unsigned long rule = 0;
    struct orch_profile *p = gen_read(text, &d);
    if (d.n > 0 && d.v[0].pointer && sscanf(d.v[0].pointer, "/syscalls/%*[a-z]/%lu", &rule) == 1 && ret_rule)
        *ret_rule = rule;
    orch_diags_fini(&d);
    return p;
}

/* The same, with the first reason. */
GEN_UNUSED static struct orch_profile *gen_load_why(const char *text, char **ret_why)
{
    struct orch_diags d = {0};
    struct orch_profile *p = gen_read(text, &d);
    *ret_why = d.n > 0 ? orch_xstrdup(d.v[0].msg) : NULL;
    orch_diags_fini(&d);
    return p;
}

/* A random set of rules nearly always has one that contradicts another: those that are refused are taken out,
 * one at a time. NULL when none is left. */
GEN_UNUSED static struct orch_profile *gen_load_part(struct gen_policy *p, size_t *ret_refused,
                                                     char **ret_text)
{
    for (;;) {
        size_t rule = 0;
        ORCH_AUTO_FREE char *text = gen_json(p);
        struct orch_profile *profile = gen_load(text, &rule);
        if (profile) {
            *ret_text = ORCH_TAKE_PTR(text);
            return profile;
        }
        ++*ret_refused;
        rule = rule < p->n_rules ? rule : 0;
        memmove(&p->rule[rule], &p->rule[rule + 1], (p->n_rules - rule - 1) * sizeof(p->rule[0]));
        if (--p->n_rules == 0)
            return NULL;
    }
}

enum gen_result { GEN_REFUSED, GEN_SAME, GEN_DIFFERS };

/*
 * One policy from g, compiled and compared, or nothing left of it when what is refused is taken out.
 * *ret_refused counts refused rules; *ret_text is the policy and what differs.
 */
GEN_UNUSED static enum gen_result gen_round(struct gen *g, size_t calls, size_t *ret_refused, char **ret_text)
{
    static struct orch_syscalls base, table;
    struct gen_policy p;
    struct orch_diags diags = {0};
    struct orch_err err = {0};
    struct orch_filter f = {0};
    gen_policy(g, &p);
    ORCH_AUTO_FREE char *text = NULL;
    ORCH_AUTO(orch_profile_freep) struct orch_profile *profile = gen_load_part(&p, ret_refused, &text);
    ORCH_AUTO(orch_profile_freep)
    struct orch_profile *plain = gen_load("{\"schema\": 1, \"name\": \"t\"}", NULL);
    if (!profile)
        return GEN_REFUSED;
    ORCH_AUTO_FREE char *why = NULL;
    if (!plain || orch_syscalls_compile(plain, &base, &diags) < 0 ||
        orch_syscalls_compile(profile, &table, &diags) < 0)
        why = orch_xstrdup("accepted when read, refused when compiled");
    else if (orch_filter_build(&table, &f, &err) < 0)
        why = orch_xstrdup(err.msg);
    else
        why = gen_compare(g, &p, &base, &table, &f, calls);
    orch_diags_fini(&diags);
    orch_filter_fini(&f);
    if (!why)
        return GEN_SAME;
    *ret_text = orch_xasprintf("%s\n%s", why, text);
    return GEN_DIFFERS;
}

#endif
