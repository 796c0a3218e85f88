/* explain_calls.c - what a call's answer depends on, values of arguments by name, and advice (explain.h). */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "policy/explain.h"
#include "policy/profile_int.h"
#include "policy/syscalls_internal.h"

/* ---- values ---- */

static int one_value(const char *s, uint64_t *ret)
{
    bool negative = s[0] == '-';
    uint64_t v;

    if (!orch_const_value(negative ? s + 1 : s, &v))
        return -EINVAL;
    *ret = negative ? (uint64_t)0 - v : v;
    return 0;
}

int orch_explain_value(const char *s, uint64_t *ret)
{
    ORCH_AUTO_FREE char *copy = orch_xstrdup(s);
    uint64_t all = 0, v;
    char *next = copy;

    for (char *part = copy; next; part = next) {
        next = strchr(part, '|');
        if (next)
            *next++ = '\0';
        if (one_value(part, &v) < 0)
            return -EINVAL;
        all |= v;
    }
    *ret = all;
    return 0;
}

const char *orch_explain_near(const char *s)
{
    return orch_const_near(s);
}

int orch_explain_number(const char *s)
{
    int nr = orch_syscall_number(s);
    uint64_t v;

    if (nr >= 0)
        return nr;
    return s[0] >= '0' && s[0] <= '9' && orch_const_value(s, &v) && v <= INT32_MAX ? (int)v : -1;
}

int orch_explain_errno(const char *s)
{
    int n = s[0] == 'E' ? orch_errno_number(s) : 0;

    return n > 0 ? n : 0;
}

static bool port_of(const char *s, in_port_t *ret)
{
    uint64_t v;

    if (s[0] < '0' || s[0] > '9' || !orch_const_value(s, &v) || v == 0 || v > 65535)
        return false;
    *ret = htons((uint16_t)v);
    return true;
}

int orch_explain_address(const char *s, struct sockaddr_storage *ret)
{
    const char *colon = strrchr(s, ':');
    ORCH_AUTO_FREE char *host = colon ? orch_xstrndup(s, (size_t)(colon - s)) : NULL;
    struct sockaddr_in *in = (void *)ret;
    struct sockaddr_in6 *in6 = (void *)ret;
    size_t n = host ? strlen(host) : 0;

    memset(ret, 0, sizeof(*ret));
    if (!host || n < 3)
        return -EINVAL;
    if (host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = '\0';
        ret->ss_family = AF_INET6;
        return inet_pton(AF_INET6, host + 1, &in6->sin6_addr) == 1 && port_of(colon + 1, &in6->sin6_port)
                   ? 0
                   : -EINVAL;
    }
    ret->ss_family = AF_INET;
    return inet_pton(AF_INET, host, &in->sin_addr) == 1 && port_of(colon + 1, &in->sin_port) ? 0 : -EINVAL;
}

/* ---- alternatives ---- */

/* Names worth trying for an argument: those that some profile or built-in judgement tells apart. */
static const struct {
    const char *call;
    unsigned index;
    const char *names;
} interesting[] = {
    {"ioctl", 1, "TIOCSTI TIOCLINUX TIOCSETD TIOCSCTTY TIOCCONS TCGETS TCSETS TIOCGWINSZ FIONREAD FICLONE"},
    {"socket", 0, "AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET AF_ALG AF_VSOCK"},
    {"socket", 1, "SOCK_STREAM SOCK_DGRAM SOCK_RAW"},
    {"socketpair", 0, "AF_UNIX AF_INET AF_INET6 AF_NETLINK"},
    {"clone", 0,
     "CLONE_NEWUSER CLONE_NEWNS CLONE_NEWPID CLONE_NEWNET CLONE_NEWIPC CLONE_NEWUTS CLONE_NEWCGROUP "
     "CLONE_VM CLONE_THREAD CLONE_PTRACE"},
    {"unshare", 0, "CLONE_NEWUSER CLONE_NEWNS CLONE_NEWNET CLONE_FS CLONE_FILES"},
    {"prctl", 0,
     "PR_SET_DUMPABLE PR_SET_MM PR_SET_PTRACER PR_CAP_AMBIENT PR_SET_SECCOMP PR_SET_SECUREBITS "
     "PR_SET_KEEPCAPS PR_SET_TSC PR_SET_NAME PR_SET_NO_NEW_PRIVS PR_SET_PDEATHSIG PR_SET_VMA"},
    {"personality", 0, "ADDR_NO_RANDOMIZE READ_IMPLIES_EXEC"},
    {"seccomp", 0, "SECCOMP_SET_MODE_STRICT SECCOMP_SET_MODE_FILTER"},
    {"openat", 2, "O_RDONLY O_WRONLY O_RDWR O_CREAT O_TRUNC O_TMPFILE O_PATH"},
    {"open", 1, "O_RDONLY O_WRONLY O_RDWR O_CREAT O_TRUNC O_TMPFILE O_PATH"},
};

struct sweep {
    const struct orch_plan *plan;
    int nr;
    uint64_t args[6];
    unsigned n_given;
    struct orch_explained rest; /* the answer for values that nothing names */
    struct orch_alternatives *ret;
};

static void add(struct sweep *w, char *text, const struct orch_explained *answer)
{
    struct orch_alternatives *a = w->ret;

    a->v = orch_xreallocarray(a->v, a->n + 1, sizeof(*a->v));
    a->v[a->n++] = (struct orch_alternative){.text = text, .index = -1, .answer = *answer};
}

static bool has_text(const struct sweep *w, const char *text)
{
    for (size_t i = 0; i < w->ret->n; i++)
        if (w->ret->v[i].text && strcmp(w->ret->v[i].text, text) == 0)
            return true;
    return false;
}

static bool has_value(const struct sweep *w, unsigned index, uint64_t value)
{
    for (size_t i = 0; i < w->ret->n; i++)
        if (w->ret->v[i].index == (int)index && w->ret->v[i].value == value)
            return true;
    return false;
}

/* Tries one value of one argument; kept where it makes a difference. */
static void try_value(struct sweep *w, unsigned index, uint64_t value, const char *name)
{
    uint64_t kept = w->args[index];
    struct orch_explained e;
    char *text;

    if (!name && has_value(w, index, value))
        return;
    w->args[index] = value;
    orch_explain_call(w->plan, w->nr, w->args, &e);
    w->args[index] = kept;
    if (orch_explained_same(&e, &w->rest))
        return;
    text = name ? orch_xasprintf("argument %u is %s", index, name)
                : orch_xasprintf("argument %u is 0x%" PRIx64, index, value);
    if (has_text(w, text)) {
        free(text);
        return;
    }
    w->ret->depends |= 1u << index;
    add(w, text, &e);
    w->ret->v[w->ret->n - 1].index = (int)index;
    w->ret->v[w->ret->n - 1].value = value;
}

static void try_names(struct sweep *w, const char *names, unsigned index)
{
    ORCH_AUTO_FREE char *copy = orch_xstrdup(names);
    char *save = NULL;
    uint64_t v;

    for (char *name = strtok_r(copy, " ", &save); name; name = strtok_r(NULL, " ", &save))
        if (orch_const_value(name, &v))
            try_value(w, index, v, name);
}

static void try_known(struct sweep *w)
{
    const char *call = orch_syscall_name(w->nr);

    for (size_t i = 0; call && i < ORCH_NELEM(interesting); i++)
        if (interesting[i].index >= w->n_given && strcmp(interesting[i].call, call) == 0)
            try_names(w, interesting[i].names, interesting[i].index);
}

/* The values that the filter itself knows. */
static void try_fast(struct sweep *w)
{
    const struct orch_sc_entry *e = &w->plan->syscalls.e[w->nr];

    for (size_t i = 0; i < e->n_fast; i++)
        if (e->fast[i].index >= w->n_given)
            try_value(w, e->fast[i].index, e->fast[i].value, NULL);
}

static bool rule_names(const struct orch_syscall_rule *r, int nr)
{
    for (size_t i = 0; i < r->n_nrs; i++)
        if (r->nrs[i] == nr)
            return true;
    return false;
}

/* An equality of 32 bits comes as one under a mask. */
static bool is_equality(const struct orch_arg_cond *c)
{
    return c->op == ORCH_OP_EQ || c->op == ORCH_OP_IN ||
           (c->op == ORCH_OP_MASKED_EQ && (c->mask == UINT32_MAX || c->mask == UINT64_MAX));
}

size_t orch_cond_samples(const struct orch_arg_cond *c, uint64_t ret[ORCH_COND_SAMPLES])
{
    size_t n = 0;

    if (c->op == ORCH_OP_IN) {
        for (; n < c->n_set && n < ORCH_ARG_SET_MAX; n++)
            ret[n] = c->set[n];
    } else if (is_equality(c) || c->op == ORCH_OP_MASKED_EQ) {
        ret[n++] = c->value;
    } else if (c->op == ORCH_OP_LT) {
        ret[n++] = c->value - 1;
        ret[n++] = c->value;
    } else if (c->op == ORCH_OP_GT || c->op == ORCH_OP_NE) {
        ret[n++] = c->value + 1;
        ret[n++] = c->value;
    } else {
        ret[n++] = c->value;
        ret[n++] = c->op == ORCH_OP_LE ? c->value + 1 : c->value - 1;
    }
    return n;
}

void orch_cond_text(const struct orch_arg_cond *c, struct orch_buf *out)
{
    static const char *const words[] = {
        [ORCH_OP_NE] = "not ",   [ORCH_OP_LT] = "below ",    [ORCH_OP_LE] = "at most ",
        [ORCH_OP_GT] = "above ", [ORCH_OP_GE] = "at least ",
    };
    const char *word = (size_t)c->op < ORCH_NELEM(words) ? words[c->op] : NULL;

    orch_buf_printf(out, "argument %u ", c->index);
    if (c->op == ORCH_OP_IN) {
        for (size_t i = 0; i < c->n_set; i++)
            orch_buf_printf(out, "%s0x%" PRIx64, i ? " or " : "is ", c->set[i]);
    } else if (c->op == ORCH_OP_MASKED_EQ && !is_equality(c)) {
        orch_buf_printf(out, "has 0x%" PRIx64 " under mask 0x%" PRIx64, c->value, c->mask);
    } else {
        orch_buf_printf(out, "is %s0x%" PRIx64, word ? word : "", c->value);
    }
}

/* Registers that fulfil all conditions of the rule, and the words for them. False: a given argument does not.
 */
static bool witness(struct sweep *w, const struct orch_syscall_rule *r, struct orch_buf *text,
                    unsigned *ret_bits)
{
    for (size_t i = 0; i < r->n_args; i++) {
        const struct orch_arg_cond *c = &r->args[i];
        uint64_t samples[ORCH_COND_SAMPLES] = {0};

        (void)orch_cond_samples(c, samples);
        orch_buf_str(text, i ? " and " : "");
        orch_cond_text(c, text);
        *ret_bits |= 1u << c->index;
        if (c->index < w->n_given && w->args[c->index] != samples[0] && is_equality(c))
            return false;
        if (c->index >= w->n_given)
            w->args[c->index] = samples[0];
    }
    return true;
}

/* Each value that an equality names, one by one; a rule with more to it by registers that fulfil all of it.
 */
static void try_rule(struct sweep *w, const struct orch_syscall_rule *r)
{
    ORCH_AUTO_BUF struct orch_buf text = {0};
    uint64_t kept[6], samples[ORCH_COND_SAMPLES];
    struct orch_explained e;
    unsigned bits = 0;
    bool fits;

    if (r->n_args == 1 && is_equality(&r->args[0])) {
        size_t n = orch_cond_samples(&r->args[0], samples);

        for (size_t i = 0; r->args[0].index >= w->n_given && i < n; i++)
            try_value(w, r->args[0].index, samples[i], NULL);
        return;
    }
    memcpy(kept, w->args, sizeof(kept));
    fits = witness(w, r, &text, &bits);
    orch_explain_call(w->plan, w->nr, w->args, &e);
    memcpy(w->args, kept, sizeof(kept));
    if (!fits || orch_explained_same(&e, &w->rest) || has_text(w, text.data ? text.data : ""))
        return;
    w->ret->depends |= bits & ~((1u << w->n_given) - 1);
    add(w, orch_buf_take(&text), &e);
}

/* A family is judged together with type and protocol: where these are not given, the usual ones are meant. */
static void usual_socket(uint64_t args[6], unsigned n_given)
{
    if (n_given < 2)
        args[1] = SOCK_STREAM;
    if (n_given < 3)
        args[2] = 0;
}

void orch_explain_alternatives(const struct orch_plan *p, int nr, const uint64_t args[6], unsigned n_given,
                               struct orch_alternatives *ret)
{
    struct sweep w = {.plan = p, .nr = nr, .n_given = n_given, .ret = ret};

    *ret = (struct orch_alternatives){0};
    for (unsigned i = 0; i < 6; i++) /* what no rule would name */
        w.args[i] = i < n_given ? args[i] : UINT64_C(0x5ca1ab1e00009008);
    if (nr == orch_syscall_number("socket") || nr == orch_syscall_number("socketpair"))
        usual_socket(w.args, n_given);
    orch_explain_call(p, nr, w.args, &w.rest);
    if (nr >= 0 && nr < ORCH_SC_MAX) {
        try_known(&w);
        for (size_t i = 0; i < p->profile->n_sc_rules; i++)
            if (p->profile->sc_rules[i].n_args && rule_names(&p->profile->sc_rules[i], nr))
                try_rule(&w, &p->profile->sc_rules[i]);
        try_fast(&w);
        for (unsigned i = n_given; i < 6; i++) {
            if (ret->depends & (1u << i))
                continue;
            try_value(&w, i, 0, NULL);
            try_value(&w, i, UINT64_MAX, NULL);
        }
    }
    add(&w, NULL, &w.rest);
}

void orch_alternatives_fini(struct orch_alternatives *a)
{
    for (size_t i = 0; i < a->n; i++) {
        free(a->v[i].text);
        orch_explained_fini(&a->v[i].answer);
    }
    free(a->v);
    *a = (struct orch_alternatives){0};
}

/* ---- advice ---- */

static bool own_place(const char *rule)
{
    return strncmp(rule, "sandbox#/", 9) == 0 && strcmp(rule, "sandbox#/view") != 0 &&
           !orch_rule_points_to(rule, ORCH_POINTER_TOOLS) &&
           !orch_rule_points_to(rule, ORCH_POINTER_CREATE) && strcmp(rule, ORCH_RULE_ABSENT) != 0;
}

char *orch_explain_advice_call(const struct orch_explained *e)
{
    const char *name = orch_syscall_name(e->nr);

    if (!name || e->says == ORCH_SAYS_PERMITTED || e->says == ORCH_SAYS_FALLBACK ||
        e->says == ORCH_SAYS_FAKED)
        return NULL;
    if (strncmp(e->rule, "builtin#/", 9) == 0)
        return NULL;
    if (strstr(e->rule, "#/syscalls/rules"))
        return orch_xasprintf("change or remove the rule %s", e->rule);
    if (orch_sc_never_allowed(e->nr))
        return orch_xstrdup("nothing: no profile can allow it");
    if (orch_prof_is_escape(name))
        return orch_xasprintf(
            "(a way out of the sandbox) \"syscalls\": {\"rules\": [{\"syscalls\": [\"%s\"], "
            "\"action\": \"allow\", \"reason\": \"...\"}]}",
            name);
    return orch_xasprintf("\"syscalls\": {\"allow\": [\"%s\"]}", name);
}

char *orch_explain_advice(const struct orch_plan *p, enum orch_act act, const struct orch_explained *e)
{
    const char *access = act == ORCH_ACT_READ || act == ORCH_ACT_LOOK ? "ro" : "rw";
    const char *base;

    (void)p;
    if (e->says == ORCH_SAYS_PERMITTED)
        return NULL;
    if (act == ORCH_ACT_CONNECT && e->nr >= 0 && strncmp(e->rule, "builtin#/", 9) == 0)
        return orch_xstrdup("\"syscalls\": {\"allow\": [\"@network-client\"]}");
    if (e->nr >= 0)
        return orch_explain_advice_call(e);
    if (!e->path)
        return orch_xstrdup("\"network\": a mode that reaches this address");
    if (own_place(e->rule) || act == ORCH_ACT_CONNECT)
        return NULL;
    if (orch_rule_points_to(e->rule, ORCH_POINTER_CREATE))
        return orch_xasprintf("\"create\": add \"%s\"", act == ORCH_ACT_SYMLINK     ? "symlink"
                                                        : act == ORCH_ACT_DIRECTORY ? "directory"
                                                                                    : "file");
    if (act != ORCH_ACT_EXEC)
        return orch_xasprintf("\"filesystem\": [{\"path\": \"%s\", \"access\": \"%s\"}]", e->path, access);
    base = strrchr(e->path, '/') + 1;
    return orch_xasprintf("\"tools\": [{\"name\": \"%s\", \"path\": \"%s\"}]", base, e->path);
}
