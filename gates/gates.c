/*
 * gates.c - the table of gate types, the results, and the gates made of other gates. See gates.h.
 *
 * Composition never takes a short cut: every child is evaluated, so that the feedback is whole and no failing
 * child hides one whose protected inputs were touched. Integrity beats error, error beats pass and fail: what
 * could not be judged never turns into a pass by negation or by a sibling (design 9, invariant 4).
 */
#include "gates/gates_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "common/escape.h"
#include "common/io.h"

#define N_VERDICTS 5

static const char *const verdict_names[N_VERDICTS] = {
    [ORCH_GATE_PASS] = "pass",           [ORCH_GATE_FAIL] = "fail",       [ORCH_GATE_ERROR] = "error",
    [ORCH_GATE_INTEGRITY] = "integrity", [ORCH_GATE_PENDING] = "pending",
};

const char *orch_gate_verdict_name(enum orch_gate_verdict v)
{
    return (size_t)v < N_VERDICTS ? verdict_names[v] : "error";
}

enum orch_gate_verdict orch_gate_verdict_parse(const char *name)
{
    for (size_t i = 0; i < N_VERDICTS; i++) {
        if (strcmp(verdict_names[i], name) == 0)
            return (enum orch_gate_verdict)i;
    }
    return ORCH_GATE_ERROR;
}

void orch_gate_say(struct orch_gate_result *r, enum orch_gate_verdict v, const char *fmt, ...)
{
    char *s = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&s, fmt, ap);
    va_end(ap);
    if (n < 0)
        s = orch_xstrdup("no reason could be given");
    for (char *p = s; *p; p++) {
        if (*p < 0x20 || *p > 0x7e)
            *p = '?';
    }
    if (strlen(s) > ORCH_GATE_REASON_MAX)
        memcpy(s + ORCH_GATE_REASON_MAX - 3, "...", 4);
    free(r->reason);
    r->reason = s;
    r->verdict = v;
}

void orch_gate_note_errno(struct orch_gate_result *r, int errnum)
{
    if (orch_errno_is_host(errnum))
        r->host_errno = errnum;
}

void orch_gate_add_list(struct orch_buf *out, const struct orch_strv *sv)
{
    for (size_t i = 0; i < sv->n; i++) {
        if (i)
            orch_buf_str(out, ", ");
        orch_escape_term(out, sv->v[i], strlen(sv->v[i]));
    }
}

void orch_gate_add_sep(struct orch_buf *out)
{
    if (out->len)
        orch_buf_str(out, "; ");
}

/* ---- groups ---- */

static size_t find_verdict(const enum orch_gate_verdict *v, size_t n, enum orch_gate_verdict want)
{
    size_t i = 0;

    while (i < n && v[i] != want)
        i++;
    return i;
}

/* One child with the verdict `decisive` decides; without any, and nothing pending, it is `otherwise`. */
static const struct rule {
    bool known;
    enum orch_gate_verdict decisive, result, otherwise, empty;
} rules[] = {
    [ORCH_GATE_ALL] = {true, ORCH_GATE_FAIL, ORCH_GATE_FAIL, ORCH_GATE_PASS, ORCH_GATE_ERROR},
    [ORCH_GATE_ANY] = {true, ORCH_GATE_PASS, ORCH_GATE_PASS, ORCH_GATE_FAIL, ORCH_GATE_FAIL},
    [ORCH_GATE_NOT] = {true, ORCH_GATE_PASS, ORCH_GATE_FAIL, ORCH_GATE_PASS, ORCH_GATE_ERROR},
};

enum orch_gate_verdict orch_gate_combine(enum orch_gate_type type, const enum orch_gate_verdict *v, size_t n,
                                         size_t *ret_child)
{
    const struct rule *r = (size_t)type < ORCH_NELEM(rules) ? &rules[type] : &rules[0];
    const struct {
        enum orch_gate_verdict child, result;
    } order[] = {{ORCH_GATE_INTEGRITY, ORCH_GATE_INTEGRITY},
                 {ORCH_GATE_ERROR, ORCH_GATE_ERROR},
                 {r->decisive, r->result},
                 {ORCH_GATE_PENDING, ORCH_GATE_PENDING}};

    *ret_child = n;
    if (!r->known)
        return ORCH_GATE_ERROR;
    for (size_t i = 0; i < ORCH_NELEM(order); i++) {
        *ret_child = find_verdict(v, n, order[i].child);
        if (*ret_child < n)
            return order[i].result;
    }
    return n ? r->otherwise : r->empty;
}

/* What a group says when no child decided alone, before the first child's own reason. */
static const char *const group_words[] = {
    [ORCH_GATE_ALL] = "all passed, first ",
    [ORCH_GATE_ANY] = "none passed, first ",
    [ORCH_GATE_NOT] = "failed, as wanted: ",
};

/* Evaluates every child, without a short cut, so that the feedback is whole. */
static void group_eval(const struct orch_gate *g, const struct orch_gate_ctx *c, struct orch_gate_result *r)
{
    ORCH_AUTO_FREE enum orch_gate_verdict *v = orch_xcalloc(g->n_children + 1, sizeof(*v));
    enum orch_gate_verdict result;
    size_t child;

    r->children = orch_xcalloc(g->n_children + 1, sizeof(*r->children));
    r->n_children = g->n_children;
    for (size_t i = 0; i < g->n_children; i++) {
        orch_gate_eval(&g->children[i], c, &r->children[i]);
        v[i] = r->children[i].verdict;
    }
    result = orch_gate_combine(g->type, v, g->n_children, &child);
    if (g->n_children == 0) {
        orch_gate_say(r, result, "there is no gate in it");
    } else {
        bool alone = child < g->n_children;
        const struct orch_gate_result *c0 = &r->children[alone ? child : 0];
        ORCH_AUTO_FREE char *name = orch_escape_str(c0->name);

        orch_gate_say(r, result, "%s%s: %s", alone ? "" : group_words[g->type], name, c0->reason);
    }
}

static void describe_into(const struct orch_gate *g, struct orch_buf *out);

static void describe_children(const struct orch_gate *g, struct orch_buf *out, const char *what)
{
    orch_buf_printf(out, "%s (", what);
    for (size_t i = 0; i < g->n_children; i++) {
        if (i)
            orch_buf_str(out, " | ");
        describe_into(&g->children[i], out);
    }
    orch_buf_char(out, ')');
}

static void all_describe(const struct orch_gate *g, struct orch_buf *out)
{
    describe_children(g, out, "all of");
}

static void any_describe(const struct orch_gate *g, struct orch_buf *out)
{
    describe_children(g, out, "at least one of");
}

static void not_describe(const struct orch_gate *g, struct orch_buf *out)
{
    describe_children(g, out, "not");
}

static const struct gate_ops {
    void (*eval)(const struct orch_gate *g, const struct orch_gate_ctx *c, struct orch_gate_result *r);
    void (*describe)(const struct orch_gate *g, struct orch_buf *out);
} ops[] = {
    [ORCH_GATE_FILE] = {orch_gate_file_eval, orch_gate_file_describe},
    [ORCH_GATE_CHANGES] = {orch_gate_changes_eval, orch_gate_changes_describe},
    [ORCH_GATE_COMMAND] = {orch_gate_command_eval, orch_gate_command_describe},
    [ORCH_GATE_DENIALS] = {orch_gate_denials_eval, orch_gate_denials_describe},
    [ORCH_GATE_APPROVAL] = {orch_gate_approval_eval, orch_gate_approval_describe},
    [ORCH_GATE_ALL] = {group_eval, all_describe},
    [ORCH_GATE_ANY] = {group_eval, any_describe},
    [ORCH_GATE_NOT] = {group_eval, not_describe},
};

static const struct gate_ops *find_ops(enum orch_gate_type t)
{
    return (size_t)t < ORCH_NELEM(ops) ? &ops[t] : NULL;
}

void orch_gate_eval(const struct orch_gate *g, const struct orch_gate_ctx *c, struct orch_gate_result *ret)
{
    const struct gate_ops *o = find_ops(g->type);
    uint64_t start = orch_now_ms();

    *ret = (struct orch_gate_result){.name = g->name, .type = g->type};
    orch_gate_say(ret, ORCH_GATE_ERROR, o ? "the gate came to no verdict" : "unknown type of gate");
    if (o)
        o->eval(g, c, ret);
    ret->elapsed_ms = orch_now_ms() - start;
}

int orch_gate_host_errno(const struct orch_gate_result *r)
{
    int found = r->host_errno;

    for (size_t i = 0; i < r->n_children && !found; i++)
        found = orch_gate_host_errno(&r->children[i]);
    return found;
}

void orch_gate_result_fini(struct orch_gate_result *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n_children; i++)
        orch_gate_result_fini(&r->children[i]);
    free(r->children);
    free(r->reason);
    r->children = NULL;
    r->n_children = 0;
    r->reason = NULL;
}

static void describe_into(const struct orch_gate *g, struct orch_buf *out)
{
    const struct gate_ops *o = find_ops(g->type);

    if (o)
        o->describe(g, out);
    else
        orch_buf_str(out, "a gate of unknown type");
}

char *orch_gate_describe(const struct orch_gate *g)
{
    struct orch_buf out = {0};

    describe_into(g, &out);
    return orch_buf_take(&out);
}
