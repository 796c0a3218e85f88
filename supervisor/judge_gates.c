/* judge_gates.c - the gates of an attempt: evaluated, recorded, shown. See judge_int.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/exit.h"
#include "common/io.h"
#include "supervisor/filter_store.h"
#include "supervisor/judge_int.h"

#define GATES_MAX 500 /* recorded lines of one attempt, children included */

static void gate_show(void *ctx, int stream, const char *line, size_t n)
{
    struct judge *j = ctx;

    orch_progress_output(&j->a->run->progress, stream, line, n);
}

void orch_judge_gate_close(struct judge *j)
{
    struct orch_err later = {0};

    if (j->gate && orch_capture_end(&j->out, j->a->failed ? &later : &j->a->err) < 0)
        orch_attempt_fail(j->a, -EIO);
    orch_free_ptrp(&j->gate);
}

/* Output and denials of a gate command go to a log and an audit scope of their own. */
static void gate_switch(struct judge *j, const char *gate)
{
    struct orch_attempt *a = j->a;
    ORCH_AUTO_FREE char *name = orch_xasprintf("%s.%s", a->name, gate);
    ORCH_AUTO_FD int logs = -1;

    if (a->failed || (j->gate && strcmp(j->gate, gate) == 0))
        return;
    orch_judge_gate_close(j);
    j->gate = orch_xstrdup(gate);
    j->out = (struct orch_capture){.secrets = &a->run->secrets, .log = {-1, -1}, .show = gate_show, .ctx = j};
    logs = openat(a->run->dir.fd, "logs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (orch_capture_open(&j->out, logs, name, &a->err) < 0 ||
        orch_audit_scope(a->run->audit, a->phase->name, a->n, gate, &a->err) < 0)
        orch_attempt_fail(a, -EIO);
}

static void gate_output(void *ctx, const char *gate, int stream, const void *p, size_t n)
{
    struct judge *j = ctx;

    gate_switch(j, gate);
    if (!j->a->failed && orch_capture_add(&j->out, stream, p, n, &j->a->err) < 0)
        orch_attempt_fail(j->a, -EIO);
}

static void gate_denial(void *ctx, const char *gate, const struct orch_denial *d)
{
    struct judge *j = ctx;

    gate_switch(j, gate);
    if (!j->a->failed && orch_audit_masked(j->a->run->audit, &j->a->run->secrets, d, &j->a->err) < 0)
        orch_attempt_fail(j->a, -EIO);
}

static void gate_exec(void *ctx, const char *gate, const struct orch_exec_event *e)
{
    struct judge *j = ctx;

    gate_switch(j, gate);
    if (!j->a->failed && orch_audit_masked_exec(j->a->run->audit, &j->a->run->secrets, e, &j->a->err) < 0)
        orch_attempt_fail(j->a, -EIO);
}

/* A signal that ended the agent does not end the gates; the next one does. */
static enum orch_next gate_tick(void *ctx)
{
    struct judge *j = ctx;

    if (!orch_attempt_beat(j->a))
        return ORCH_STOP_CANCEL;
    if (j->a->run->signals.count <= j->signals_seen)
        return ORCH_GO_ON;
    j->cut = orch_signals_pause(&j->a->run->signals);
    return ORCH_STOP_CANCEL;
}

static void unreadable_result(const struct judge *j, const struct orch_gate *g, struct orch_gate_result *ret)
{
    *ret = (struct orch_gate_result){
        .name = g->name, .type = g->type, .verdict = ORCH_GATE_ERROR, .reason = orch_xstrdup(j->why)};
}

static void record_gate(struct orch_attempt *a, const struct orch_gate_result *res, unsigned depth)
{
    struct orch_verdict_record *v = &a->verdict;

    if (v->n_gates >= GATES_MAX && depth > 0)
        return;
    v->gates = orch_xreallocarray(v->gates, v->n_gates + 1, sizeof(*v->gates));
    v->gates[v->n_gates++] = (struct orch_gate_record){
        .name = orch_xstrdup(res->name),
        .type = orch_xstrdup(orch_gate_type_name(res->type)),
        .verdict = orch_xstrdup(orch_gate_verdict_name(res->verdict)),
        .reason = orch_judge_text(a, res->reason ? res->reason : ""),
        .forced = depth == 0 && res->verdict != ORCH_GATE_PASS &&
                  orch_run_forced(&a->run->journal.state, a->phase->name, res->name),
        .depth = depth,
        .elapsed_ms = res->elapsed_ms,
    };
    for (size_t i = 0; i < res->n_children; i++)
        record_gate(a, &res->children[i], depth + 1);
}

int orch_gate_audit(struct orch_audit *audit, const struct orch_gate_record *g, struct orch_err *err)
{
    struct orch_jw w;

    orch_audit_begin(audit, "gate", &w);
    orch_jw_str(&w, "name", g->name);
    orch_jw_str(&w, "type", g->type);
    orch_jw_str(&w, "verdict", g->verdict);
    orch_jw_str(&w, "reason", g->reason);
    orch_jw_bool(&w, "forced", g->forced);
    orch_jw_uint(&w, "depth", g->depth);
    orch_jw_uint(&w, "elapsed_ms", g->elapsed_ms);
    return orch_audit_commit(audit, &w, err);
}

static void show_gate(struct orch_attempt *a, const struct orch_gate_record *g)
{
    struct orch_progress *p = &a->run->progress;
    struct orch_jw w;

    orch_progress_note(p, "%s: gate %s: %s%s%s%s", a->name, g->name, g->verdict,
                       g->forced ? " (forced by the operator)" : "", *g->reason ? ": " : "", g->reason);
    orch_progress_begin(p, "gate", &w);
    orch_jw_str(&w, "phase", a->phase->name);
    orch_jw_uint(&w, "attempt", a->n);
    orch_jw_str(&w, "name", g->name);
    orch_jw_str(&w, "type", g->type);
    orch_jw_str(&w, "verdict", g->verdict);
    orch_jw_str(&w, "reason", g->reason);
    orch_progress_end(p, &w);
}

/* One gate: evaluated, recorded, shown. The audit scope goes back to the attempt's before the record. */
static int judge_gate(struct judge *j, const struct orch_gate *g, const struct orch_gate_ctx *c,
                      struct orch_err *err)
{
    struct orch_attempt *a = j->a;
    size_t first = a->verdict.n_gates;
    struct orch_gate_result res = {0};
    int r = 0, host;

    if (j->readable)
        orch_gate_eval(g, c, &res);
    else
        unreadable_result(j, g, &res);
    if (j->gate) {
        orch_judge_gate_close(j);
        r = orch_audit_scope(a->run->audit, a->phase->name, a->n, NULL, err);
    }
    record_gate(a, &res, 0);
    if (r == 0 && (host = orch_gate_host_errno(&res)) != 0)
        r = orch_err_exit(err, ORCH_EXIT_STATE, host, "gate %s could not be evaluated: %s", g->name,
                          strerror(host));
    orch_gate_result_fini(&res);
    for (size_t i = first; r == 0 && i < a->verdict.n_gates; i++)
        r = orch_gate_audit(a->run->audit, &a->verdict.gates[i], err);
    if (r == 0)
        show_gate(a, &a->verdict.gates[first]);
    return r;
}

static int make_scratch(const struct orch_attempt *a, char **ret, struct orch_err *err)
{
    *ret = orch_xasprintf("%s/gates", a->dir);
    if (mkdir(*ret, 0700) == 0)
        return 0;
    return orch_err_exit(err, ORCH_EXIT_STATE, errno, "cannot make the scratch directory of the gates");
}

/* 0 = no end; a workflow whose time is up still gets its verdicts, from gates that end at once. */
static uint64_t left_for_gate(const struct orch_run *r)
{
    uint64_t left = orch_run_left(r);

    if (left == UINT64_MAX)
        return 0;
    return left ? left : 1;
}

int orch_judge_gates(struct judge *j, struct orch_err *err)
{
    struct orch_attempt *a = j->a;
    ORCH_AUTO_FREE char *scratch = NULL;
    ORCH_AUTO(orch_filter_store_close)
    struct orch_filter_cache filters = orch_filter_store_open(a->run->state, a->run->filters);
    int r = make_scratch(a, &scratch, err);
    struct orch_gate_ctx c = {
        .run_id = a->run->dir.id,
        .phase = a->phase->name,
        .attempt = a->n,
        .workspace = a->run->workspace,
        .layers = &j->layers,
        .view = &j->full,
        .base = &j->base,
        .phase_changes = &j->phase_changes,
        .run_changes = &j->run_changes,
        .denials = a->counts,
        .scratch_dir = scratch,
        .workflow_dir = a->run->wf->dir,
        .closures = a->run->closures,
        .nested = a->run->tier.nested,
        .uid = a->run->uid,
        .gid = a->run->gid,
        .filters = &filters,
        .ctx = j,
        .on_output = gate_output,
        .on_denial = gate_denial,
        .on_exec = gate_exec,
        .on_tick = gate_tick,
        .wake_fd = a->run->signals.fd,
    };

    orch_signals_poll(&a->run->signals);
    j->signals_seen = a->run->signals.count;
    for (size_t i = 0; r == 0 && !j->cut && i < a->phase->n_gates; i++) {
        c.left_ms = left_for_gate(a->run);
        r = judge_gate(j, &a->phase->gates[i], &c, err);
    }
    orch_rundir_trash(&a->run->dir, scratch);
    if (r == 0 && a->failed) {
        *err = a->err;
        r = a->failed;
    }
    return r;
}
