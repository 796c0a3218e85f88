/* journal.c - writing the journal. See journal.h; reading it back is in replay.c. */
#include "supervisor/journal.h"

#include <errno.h>
#include <string.h>

#include "common/exit.h"

int orch_journal_create(int rundir, struct orch_journal *ret, struct orch_err *err)
{
    struct orch_journal j = {.chain.fd = -1};
    int r = orch_chain_create(rundir, ORCH_JOURNAL_NAME, &j.chain, err);

    if (r == 0)
        *ret = j;
    return r;
}

int orch_journal_continue(int rundir, struct orch_journal *ret, struct orch_err *err)
{
    struct orch_journal j = {.chain.fd = -1};
    bool torn;
    int r = orch_chain_continue(rundir, ORCH_JOURNAL_NAME, &j.chain, &torn, err);

    if (r == 0)
        r = orch_run_state_load(rundir, &j.state, &torn, err);
    if (r < 0) {
        orch_chain_fini(&j.chain);
        return r;
    }
    *ret = j;
    return 0;
}

void orch_journal_fini(struct orch_journal *j)
{
    orch_chain_fini(&j->chain);
    orch_run_state_fini(&j->state);
    orch_buf_fini(&j->line);
}

void orch_journal_begin(struct orch_journal *j, const char *event, uint64_t spent_ms, uint64_t denials,
                        struct orch_jw *w)
{
    orch_buf_reset(&j->line);
    *w = (struct orch_jw){.out = &j->line};
    orch_chain_begin(&j->chain, w);
    orch_jw_str(w, "event", event);
    orch_jw_uint(w, "spent_ms", spent_ms);
    orch_jw_uint(w, "denials", denials);
}

int orch_journal_commit(struct orch_journal *j, struct orch_jw *w, bool sync, struct orch_err *err)
{
    ORCH_AUTO_BUF struct orch_buf copy = {0};
    struct orch_diags d = {0};
    struct orch_json *doc = NULL;
    int r;

    /* What is applied are the bytes that were written, read back by the strict parser. */
    orch_buf_add(&copy, w->out->data, w->out->len);
    orch_buf_char(&copy, '}');
    if (orch_json_parse(ORCH_JOURNAL_NAME, copy.data, copy.len, &doc, &d) < 0) {
        r = orch_err_exit(err, ORCH_EXIT_STATE, EMSGSIZE, "a journal record cannot be written: %s",
                          d.n ? d.v[0].msg : "too large");
        orch_diags_fini(&d);
        return r;
    }
    r = orch_chain_commit(&j->chain, w, sync, err);
    if (r == 0) {
        memcpy(j->state.head, j->chain.prev, sizeof(j->state.head));
        r = orch_run_state_apply(&j->state, orch_json_root(doc), err);
    }
    orch_json_free(doc);
    return r;
}

static void write_gates(struct orch_jw *w, const struct orch_verdict_record *v)
{
    orch_jw_arr(w, "gates");
    for (size_t i = 0; i < v->n_gates; i++) {
        const struct orch_gate_record *g = &v->gates[i];

        orch_jw_obj(w, NULL);
        orch_jw_str(w, "name", g->name);
        orch_jw_str(w, "type", g->type);
        orch_jw_str(w, "verdict", g->verdict);
        orch_jw_str(w, "reason", g->reason);
        orch_jw_bool(w, "forced", g->forced);
        orch_jw_uint(w, "depth", g->depth);
        orch_jw_uint(w, "elapsed_ms", g->elapsed_ms);
        orch_jw_end(w, '}');
    }
    orch_jw_end(w, ']');
}

static void write_denied(struct orch_jw *w, const struct orch_verdict_record *v)
{
    orch_jw_arr(w, "denied");
    for (size_t i = 0; i < v->n_denied; i++) {
        const struct orch_denied *d = &v->denied[i];

        orch_jw_obj(w, NULL);
        orch_jw_str(w, "class", d->class_name);
        orch_jw_str(w, "syscall", d->syscall);
        orch_jw_str(w, "access", d->access);
        orch_jw_str(w, "path", d->path);
        orch_jw_str(w, "rule", d->rule);
        orch_jw_uint(w, "count", d->count);
        if (d->groups)
            orch_jw_uint(w, "groups", d->groups);
        orch_jw_end(w, '}');
    }
    orch_jw_end(w, ']');
}

void orch_verdict_write(struct orch_jw *w, const char *phase, const struct orch_verdict_record *v)
{
    orch_jw_str(w, "phase", phase);
    orch_jw_uint(w, "attempt", v->attempt);
    orch_jw_str(w, "end", v->end);
    orch_jw_int(w, "status", v->status);
    orch_jw_str(w, "detail", v->detail);
    if (v->held)
        orch_jw_str(w, "limits", v->held);
    orch_jw_uint(w, "elapsed_ms", v->elapsed_ms);
    orch_jw_uint(w, "attempt_denials", v->denials);
    orch_jw_bool(w, "sealed", v->sealed);
    orch_jw_bool(w, "goes_on", v->goes_on);
    orch_jw_bool(w, "passed", v->passed);
    orch_jw_int(w, "exit", v->exit_code);
    orch_jw_str(w, "digest", v->digest);
    orch_jw_str(w, "home_digest", v->home_digest);
    write_gates(w, v);
    write_denied(w, v);
    orch_jw_arr(w, "problems");
    for (size_t i = 0; i < v->problems.n; i++)
        orch_jw_str(w, NULL, v->problems.v[i]);
    orch_jw_end(w, ']');
    orch_jw_str(w, "audit_head", v->audit_head);
}

void orch_verdict_fini(struct orch_verdict_record *v)
{
    for (size_t i = 0; i < v->n_gates; i++) {
        free(v->gates[i].name);
        free(v->gates[i].type);
        free(v->gates[i].verdict);
        free(v->gates[i].reason);
    }
    for (size_t i = 0; i < v->n_denied; i++) {
        free(v->denied[i].class_name);
        free(v->denied[i].syscall);
        free(v->denied[i].access);
        free(v->denied[i].path);
        free(v->denied[i].rule);
    }
    free(v->gates);
    free(v->denied);
    free(v->time);
    free(v->end);
    free(v->detail);
    free(v->held);
    orch_strv_fini(&v->problems);
    *v = (struct orch_verdict_record){0};
}

static struct orch_gate_record copy_gate(const struct orch_gate_record *g)
{
    struct orch_gate_record c = *g;

    c.name = orch_xstrdup(g->name);
    c.type = orch_xstrdup(g->type);
    c.verdict = orch_xstrdup(g->verdict);
    c.reason = orch_xstrdup(g->reason);
    return c;
}

static struct orch_denied copy_denied(const struct orch_denied *d)
{
    struct orch_denied c = *d;

    c.class_name = orch_xstrdup(d->class_name);
    c.syscall = orch_xstrdup(d->syscall);
    c.access = orch_xstrdup(d->access);
    c.path = orch_xstrdup(d->path);
    c.rule = orch_xstrdup(d->rule);
    return c;
}

void orch_verdict_copy(const struct orch_verdict_record *v, struct orch_verdict_record *ret)
{
    *ret = *v;
    ret->time = NULL;
    ret->end = orch_xstrdup(v->end);
    ret->detail = orch_xstrdup(v->detail);
    ret->held = v->held ? orch_xstrdup(v->held) : NULL;
    ret->gates = orch_xcalloc(v->n_gates + 1, sizeof(*ret->gates));
    for (size_t i = 0; i < v->n_gates; i++)
        ret->gates[i] = copy_gate(&v->gates[i]);
    ret->denied = orch_xcalloc(v->n_denied + 1, sizeof(*ret->denied));
    for (size_t i = 0; i < v->n_denied; i++)
        ret->denied[i] = copy_denied(&v->denied[i]);
    ret->problems = (struct orch_strv){0};
    orch_strv_copy(&ret->problems, &v->problems);
}
