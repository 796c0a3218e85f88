/*
 * verdict.c - a verdict becomes durable; one that waited for approvals is settled. See run.h.
 *
 * Settling runs no gate again: the recorded results stay, the operator's decisions take the place of the
 * pending approvals, and the groups around them are combined anew by the function that judged them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/escape.h"
#include "common/exit.h"
#include "common/io.h"
#include "gates/gates.h"
#include "supervisor/run.h"

/* ---- durable ---- */

enum orch_gate_verdict orch_verdict_gates(const struct orch_verdict_record *v, size_t n_gates)
{
    size_t n = 0, pending = 0;

    for (size_t i = 0; i < v->n_gates; i++) {
        const struct orch_gate_record *g = &v->gates[i];
        enum orch_gate_verdict own = orch_gate_verdict_parse(g->verdict);

        if (g->depth > 0)
            continue;
        n++;
        if (own == ORCH_GATE_PENDING && !g->forced)
            pending++;
        else if (own != ORCH_GATE_PASS && !g->forced)
            return ORCH_GATE_FAIL;
    }
    if (n != n_gates)
        return ORCH_GATE_FAIL;
    return pending ? ORCH_GATE_PENDING : ORCH_GATE_PASS;
}

static const char *outcome(const struct orch_verdict_record *v)
{
    if (v->exit_code == ORCH_EXIT_PAUSED)
        return "pending";
    return v->passed ? "passed" : "failed";
}

static void show(struct orch_run *r, const struct orch_verdict_record *v)
{
    struct orch_progress *p = &r->progress;
    const char *phase = r->wf->phases[v->phase].name;
    struct orch_jw w;

    for (size_t i = 0; i < v->problems.n; i++)
        orch_progress_note(p, "%s.%u: seal check: %s", phase, v->attempt, v->problems.v[i]);
    orch_progress_note(p, "%s.%u: %s (%s%s%s, %" PRIu64 " denials)", phase, v->attempt, outcome(v), v->end,
                       *v->detail ? ": " : "", v->detail, v->denials);
    orch_progress_begin(p, v->exit_code == ORCH_EXIT_PAUSED ? "pending" : "verdict", &w);
    orch_verdict_write(&w, phase, v);
    orch_progress_end(p, &w);
}

/* The audit log is bound into the journal's record, and the record into the audit log. */
static int cross_seal(struct orch_run *r, const struct orch_verdict_record *v, struct orch_err *err)
{
    struct orch_jw w;

    orch_audit_begin(r->audit, "attempt", &w);
    orch_jw_str(&w, "state", "judged");
    orch_jw_str(&w, "verdict", outcome(v));
    orch_jw_str(&w, "journal_head", r->journal.state.head);
    return orch_audit_commit(r->audit, &w, err);
}

int orch_verdict_commit(struct orch_run *r, struct orch_verdict_record *v, struct orch_err *err)
{
    const struct orch_phase *phase = &r->wf->phases[v->phase];
    bool waits = v->exit_code == ORCH_EXIT_PAUSED;
    struct orch_jw w;
    int k = orch_audit_flush(r->audit, 0, err);

    v->passed = v->exit_code == ORCH_EXIT_OK;
    v->goes_on = !waits && v->sealed && (v->passed || !phase->retry_reset);
    if (k == 0)
        k = orch_run_sync_audit(r, err);
    if (k < 0)
        return k;
    (void)snprintf(v->audit_head, sizeof(v->audit_head), "%s", orch_audit_head(r->audit));
    orch_run_record(r, waits ? "pending" : "verdict", &w);
    orch_verdict_write(&w, phase->name, v);
    k = orch_run_commit(r, &w, err);
    if (k == 0)
        k = cross_seal(r, v, err);
    if (k == 0)
        show(r, v);
    return k;
}

/* ---- settling ---- */

struct settle {
    const struct orch_run_state *s;
    struct orch_verdict_record *v; /* being made */
    size_t at;                     /* its next gate */
};

static void say(struct orch_gate_record *g, enum orch_gate_verdict verdict, const char *fmt, ...)
    ORCH_PRINTF(3, 4);

static void say(struct orch_gate_record *g, enum orch_gate_verdict verdict, const char *fmt, ...)
{
    ORCH_AUTO_FREE char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        abort();
    va_end(ap);
    free(g->verdict);
    free(g->reason);
    g->verdict = orch_xstrdup(orch_gate_verdict_name(verdict));
    g->reason = ORCH_TAKE_PTR(text);
}

/*
 * Whether the time for an approval is over. It goes on while nothing of ours runs, so the clock on the wall
 * is all there is; one that went backwards proves nothing, and then nobody approved in time.
 */
static bool expired(const struct orch_gate *g, const struct orch_verdict_record *waiting)
{
    int64_t began = orch_time_parse(waiting->time ? waiting->time : ""), now = (int64_t)time(NULL);

    if (!g->timeout_ms)
        return false;
    return began < 0 || now < began || (uint64_t)(now - began) * 1000 >= g->timeout_ms;
}

bool orch_approval_expired(const struct orch_gate *gates, size_t n, const char *name,
                           const struct orch_verdict_record *waiting)
{
    for (size_t i = 0; i < n; i++) {
        const struct orch_gate *g = &gates[i];

        if (g->type == ORCH_GATE_APPROVAL && strcmp(g->name, name) == 0)
            return expired(g, waiting);
        if (orch_approval_expired(g->children, g->n_children, name, waiting))
            return true;
    }
    return false;
}

static void settle_approval(struct settle *s, const struct orch_gate *g, struct orch_gate_record *rec)
{
    const struct orch_approval *a = orch_run_approval(s->s, &s->s->waiting, g->name);

    if (a) {
        ORCH_AUTO_FREE char *user = orch_escape_str(a->user), *reason = orch_escape_str(a->reason);
        say(rec, a->approved ? ORCH_GATE_PASS : ORCH_GATE_FAIL, "%s by %s: %s",
            a->approved ? "approved" : "rejected", user, reason);
    } else if (expired(g, &s->s->waiting)) {
        say(rec, ORCH_GATE_FAIL, "nobody approved within %" PRIu64 " s", g->timeout_ms / 1000);
    }
}

static enum orch_gate_verdict settle_gate(struct settle *s, const struct orch_gate *g);

static void settle_group(struct settle *s, const struct orch_gate *g, struct orch_gate_record *rec)
{
    ORCH_AUTO_FREE enum orch_gate_verdict *v = orch_xcalloc(g->n_children + 1, sizeof(*v));
    ORCH_AUTO_FREE size_t *at = orch_xcalloc(g->n_children + 1, sizeof(*at));
    bool pending = orch_gate_verdict_parse(rec->verdict) == ORCH_GATE_PENDING;
    enum orch_gate_verdict result;
    size_t child;

    for (size_t i = 0; i < g->n_children; i++) {
        at[i] = s->at;
        v[i] = settle_gate(s, &g->children[i]);
    }
    if (!pending)
        return;
    result = orch_gate_combine(g->type, v, g->n_children, &child);
    if (child < g->n_children && at[child] < s->v->n_gates)
        say(rec, result, "%s: %s", g->children[child].name, s->v->gates[at[child]].reason);
    else
        say(rec, result, "%zu gates, none decides alone", g->n_children);
}

/* The records are in document order, children behind their group; anything else cannot be settled. */
static enum orch_gate_verdict settle_gate(struct settle *s, const struct orch_gate *g)
{
    struct orch_gate_record *rec = s->at < s->v->n_gates ? &s->v->gates[s->at] : NULL;

    s->at++;
    if (!rec || strcmp(rec->name, g->name) != 0 || strcmp(rec->type, orch_gate_type_name(g->type)) != 0)
        return ORCH_GATE_ERROR;
    if (g->type == ORCH_GATE_APPROVAL)
        settle_approval(s, g, rec);
    else if (g->n_children)
        settle_group(s, g, rec);
    rec->forced = rec->depth == 0 && strcmp(rec->verdict, orch_gate_verdict_name(ORCH_GATE_PASS)) != 0 &&
                  orch_run_forced(s->s, s->s->phases[s->v->phase].name, rec->name);
    return orch_gate_verdict_parse(rec->verdict);
}

static void settle_all(const struct orch_run *r, struct orch_verdict_record *v)
{
    const struct orch_phase *phase = &r->wf->phases[v->phase];
    struct settle s = {.s = &r->journal.state, .v = v};

    for (size_t i = 0; i < phase->n_gates; i++)
        (void)settle_gate(&s, &phase->gates[i]);
}

static int audit_settled(struct orch_run *r, const struct orch_verdict_record *v, struct orch_err *err)
{
    int k = orch_audit_scope(r->audit, r->wf->phases[v->phase].name, v->attempt, NULL, err);

    for (size_t i = 0; k == 0 && i < v->n_gates; i++) {
        if (strcmp(v->gates[i].verdict, r->journal.state.waiting.gates[i].verdict) != 0 || v->gates[i].forced)
            k = orch_gate_audit(r->audit, &v->gates[i], err);
    }
    return k;
}

int orch_run_settle(struct orch_run *r, struct orch_err *err)
{
    const struct orch_run_state *s = &r->journal.state;
    ORCH_AUTO(orch_verdict_fini) struct orch_verdict_record v = {0};
    enum orch_gate_verdict gates;
    int k = orch_run_check_layers(r, s->n_phases, err);

    if (k < 0)
        return k;
    orch_verdict_copy(&s->waiting, &v);
    settle_all(r, &v);
    gates = orch_verdict_gates(&v, r->wf->phases[v.phase].n_gates);
    if (gates == ORCH_GATE_PENDING)
        return ORCH_EXIT_PAUSED;
    v.exit_code = gates == ORCH_GATE_PASS ? ORCH_EXIT_OK : ORCH_EXIT_FAILED;
    k = audit_settled(r, &v, err);
    return k < 0 ? k : orch_verdict_commit(r, &v, err);
}
