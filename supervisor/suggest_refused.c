/* suggest_refused.c - from a record to what was asked for, and whether a plan gives it. See suggest_int.h. */
#include "supervisor/suggest_int.h"

#include <string.h>

#include "common/io.h"
#include "policy/args.h"
#include "supervisor/output.h"

#define REPLACEMENT "\357\277\275" /* U+FFFD: stands in a record for a byte that is not UTF-8 */

void orch_refused_fini(struct orch_refused *r)
{
    for (size_t i = 0; i < r->n_wants; i++)
        free(r->want[i].path);
    r->n_wants = 0;
}

static bool begins(const char *s, const char *with)
{
    return s && strncmp(s, with, strlen(with)) == 0;
}

/* -1: no request of that name. */
static int request_of(const char *access)
{
    for (int i = 0; access && i <= ORCH_REQ_CONNECT; i++)
        if (strcmp(orch_request_name((enum orch_request)i), access) == 0)
            return i;
    return -1;
}

/* What a call makes, where its name says so. */
static char kind_of(const char *syscall, enum orch_request what)
{
    if (what != ORCH_REQ_CREATE || begins(syscall, "rename") || begins(syscall, "link"))
        return 0;
    return begins(syscall, "mkdir")     ? 'd'
           : begins(syscall, "symlink") ? 'l'
           : orch_same(syscall, "bind") ? 's'
                                        : 'f';
}

static void add_want(struct orch_refused *r, const char *path, enum orch_request what, const char *syscall)
{
    r->want[r->n_wants++] =
        (struct orch_want){.path = orch_xstrdup(path), .what = what, .kind = kind_of(syscall, what)};
}

/* The other name of a call with two: it has to be permitted as well. */
static void add_other(struct orch_refused *r, const struct row *row)
{
    enum orch_request first = r->want[0].what;

    if (!row->f[F_PATH2] || row->f[F_PATH2][0] != '/' || row->f[F_PATH2_B64])
        return;
    if (begins(row->f[F_SYSCALL], "rename"))
        add_want(r, row->f[F_PATH2], first == ORCH_REQ_CREATE ? ORCH_REQ_DELETE : ORCH_REQ_CREATE,
                 row->f[F_SYSCALL]);
    else if (begins(row->f[F_SYSCALL], "link"))
        add_want(r, row->f[F_PATH2], first == ORCH_REQ_CREATE ? ORCH_REQ_LOOK : ORCH_REQ_CREATE,
                 row->f[F_SYSCALL]);
}

static bool read_paths(const struct row *row, struct orch_refused *ret, const char **ret_why)
{
    const char *access = row->f[F_ACCESS], *path = row->f[F_PATH];
    int what = request_of(orch_same(access, "bind") ? "create" : access);

    if (!path || path[0] != '/' || what < 0) {
        *ret_why = "what the call named could not be read or resolved: no line helps";
        return false;
    }
    if (row->f[F_PATH_B64] && strstr(strrchr(path, '/'), REPLACEMENT) == NULL) {
        *ret_why = "a directory on the way is not UTF-8, and a document is";
        return false;
    }
    if (strstr(path, ORCH_MASK) || (row->f[F_PATH2] && strstr(row->f[F_PATH2], ORCH_MASK))) {
        *ret_why = "its name holds a value that was masked";
        return false;
    }
    ret->kind = ORCH_WANTS_PATHS;
    add_want(ret, path, (enum orch_request)what, row->f[F_SYSCALL]);
    add_other(ret, row);
    return true;
}

static bool read_call(const struct row *row, struct orch_refused *ret, const char **ret_why)
{
    ORCH_AUTO(orch_json_freep) struct orch_json *doc = NULL;
    ORCH_AUTO(orch_diags_fini) struct orch_diags d = {0};

    ret->kind = ORCH_WANTS_CALL;
    ret->name = row->f[F_SYSCALL];
    ret->nr = ret->name ? orch_explain_number(ret->name) : -1;
    if (ret->nr < 0)
        *ret_why = "a call without a name here cannot stand in a profile";
    if (ret->nr >= 0 && row->f[F_ARGS] &&
        orch_json_parse("args", row->f[F_ARGS], strlen(row->f[F_ARGS]), &doc, &d) == 0)
        ret->known = orch_args_read(ret->nr, orch_json_root(doc), ret->args);
    ret->has_args = ret->known != 0;
    return ret->nr >= 0;
}

bool orch_refused_read(const struct row *row, struct orch_refused *ret, const char **ret_why)
{
    const char *class = row->f[F_CLASS];

    *ret_why = NULL;
    if (!row->f[F_SYSCALL] && !row->f[F_PATH])
        return false; /* what a cap left out */
    if (orch_same(class, "control")) {
        *ret_why = "requests are refused for their form or their number, of which no profile speaks";
        return false;
    }
    if (orch_same(row->f[F_ACTION], "kill") && orch_same(row->f[F_RULE], "abi")) {
        *ret_why = "no profile allows calls by another ABI";
        return false;
    }
    if (orch_same(class, "syscall"))
        return read_call(row, ret, ret_why);
    if (orch_same(class, "network") && row->f[F_PATH] &&
        orch_explain_address(row->f[F_PATH], &ret->address) == 0) {
        ret->kind = ORCH_WANTS_ADDRESS;
        ret->binds = orch_same(row->f[F_ACCESS], "bind");
        return true;
    }
    return read_paths(row, ret, ret_why);
}

/* ---- whether a plan gives it ---- */

static bool permits_path(const struct orch_plan *p, const struct orch_want *w)
{
    struct orch_decision dec;

    orch_plan_decide(p, w->path, w->what, &dec);
    if (dec.verdict != ORCH_PERMIT)
        return false;
    if (w->kind && !orch_plan_may_be(p, w->path, w->kind))
        return false;
    return w->what != ORCH_REQ_DELETE || !orch_plan_narrower_beneath(p, w->path);
}

static bool permits_address(const struct orch_plan *p, const struct orch_refused *r)
{
    struct orch_decision dec;

    return (r->binds ? orch_plan_decide_bind(p, &r->address, &dec)
                     : orch_plan_decide_inet(p, &r->address, &dec)) == 0;
}

/* Where the arguments are not known: as for values that nothing names. */
static bool permits_call(const struct orch_plan *p, const struct orch_refused *r)
{
    ORCH_AUTO(orch_alternatives_fini) struct orch_alternatives alt = {0};
    struct orch_explained e;

    if (r->has_args) {
        orch_explain_call(p, r->nr, r->args, &e);
        return e.says == ORCH_SAYS_PERMITTED;
    }
    orch_explain_alternatives(p, r->nr, r->args, 0, &alt);
    return alt.v[alt.n - 1].answer.says == ORCH_SAYS_PERMITTED;
}

const struct orch_syscall_rule *orch_refused_rule(const struct orch_profile *p, const char *origin)
{
    for (size_t i = 0; origin && i < p->n_sc_rules; i++)
        if (strcmp(p->sc_rules[i].origin, origin) == 0)
            return &p->sc_rules[i];
    return NULL;
}

void orch_refused_assume(struct orch_refused *r, const struct orch_syscall_rule *rule)
{
    uint64_t samples[ORCH_COND_SAMPLES];

    if (!rule || r->has_args || r->kind != ORCH_WANTS_CALL)
        return;
    for (size_t i = 0; i < rule->n_args; i++) {
        (void)orch_cond_samples(&rule->args[i], samples);
        r->args[rule->args[i].index] = samples[0];
    }
    r->has_args = true;
}

static uint64_t limit_of(const struct orch_plan *p, size_t at)
{
    uint64_t v;

    memcpy(&v, (const char *)p->profile + at, sizeof(v));
    return v;
}

bool orch_refused_permits(const struct orch_refused *r, const struct orch_plan *p)
{
    if (r->kind == ORCH_WANTS_CALL)
        return permits_call(p, r);
    if (r->kind == ORCH_WANTS_ADDRESS)
        return permits_address(p, r);
    if (r->kind == ORCH_WANTS_MORE)
        return limit_of(p, r->limit) > r->limit_was;
    for (size_t i = 0; i < r->n_wants; i++)
        if (!permits_path(p, &r->want[i]))
            return false;
    return true;
}
