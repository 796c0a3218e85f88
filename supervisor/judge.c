/* judge.c - what happens to an attempt after the death of its tree: seal, gates, verdict (design 6). See
 * attempt.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/escape.h"
#include "common/exit.h"
#include "common/io.h"
#include "supervisor/apply.h"
#include "supervisor/attempt.h"

#define DENIED_MAX 50
#define DENIED_PATH_MAX 512
#define PROBLEMS_MAX 50
#define GATES_MAX 500 /* recorded lines of one attempt, children included */

struct judge {
    struct orch_attempt *a;
    struct orch_strv layers; /* this attempt's upper, then what is below */
    struct orch_view full, base;
    struct orch_changes phase_changes, run_changes;
    bool readable;         /* views and changes could be made */
    char why[1200];        /* if not */
    unsigned signals_seen; /* when the gates began */
    /* the gate whose output and denials come in now */
    char *gate;
    struct orch_capture out;
};

/* ---- the agent's end ---- */

static void add_group(struct orch_verdict_record *v, const char *class_name, const char *syscall,
                      const char *access, const char *path, const char *rule, uint64_t count)
{
    v->denied[v->n_denied++] = (struct orch_denied){
        .class_name = orch_xstrdup(class_name ? class_name : ""),
        .syscall = orch_xstrdup(syscall ? syscall : ""),
        .access = orch_xstrdup(access ? access : ""),
        .path = path ? orch_xstrndup(path, strnlen(path, DENIED_PATH_MAX)) : orch_xstrdup(""),
        .rule = orch_xstrdup(rule ? rule : ""),
        .count = count,
    };
}

/* Copied before the gates begin: their denials are not the agent's. */
static void keep_denials(struct orch_attempt *a)
{
    const struct orch_denial_group *g = NULL;
    size_t n = orch_audit_groups(a->run->audit, true, &g);
    struct orch_verdict_record *v = &a->verdict;
    uint64_t rest = 0, total;

    v->denied = orch_xcalloc(DENIED_MAX + 1, sizeof(*v->denied));
    for (size_t i = 0; i < n; i++) {
        if (i < DENIED_MAX)
            add_group(v, g[i].class_name, g[i].syscall, g[i].access, g[i].path, g[i].rule, g[i].count);
        else
            rest += g[i].count;
    }
    if (rest)
        add_group(v, "others", "", "", "further kinds, see the audit log", "", rest);
    orch_audit_counts(a->run->audit, &a->counts, &total);
    v->denials =
        a->counts.filesystem + a->counts.exec + a->counts.syscall + a->counts.network + a->counts.control;
}

static void describe_end(struct orch_attempt *a)
{
    const struct orch_outcome *o = &a->outcome;

    if (a->detail[0])
        return;
    if (o->end == ORCH_END_EXIT)
        (void)snprintf(a->detail, sizeof(a->detail), a->phase->agent ? "status %d" : "no agent", o->status);
    else if (o->end == ORCH_END_SIGNAL)
        (void)snprintf(a->detail, sizeof(a->detail), "signal %d", o->status);
    else if (o->end == ORCH_END_SETUP) {
        ORCH_AUTO_FREE char *path = orch_escape_str(o->setup.path);
        (void)snprintf(a->detail, sizeof(a->detail), "%s%s%.900s: %s", o->setup.step, *path ? " " : "", path,
                       strerror(o->setup.errnum));
    }
}

static int audit_limit(struct orch_attempt *a, struct orch_err *err)
{
    struct orch_jw w;

    orch_audit_begin(a->run->audit, "limit", &w);
    orch_jw_str(&w, "limit", a->outcome.limit);
    return orch_audit_commit(a->run->audit, &w, err);
}

static int audit_end(struct orch_attempt *a, struct orch_err *err)
{
    const struct orch_outcome *o = &a->outcome;
    struct orch_jw w;
    int r = orch_audit_flush(a->run->audit, 0, err);

    if (r == 0 && o->end == ORCH_END_LIMIT)
        r = audit_limit(a, err);
    if (r < 0)
        return r;
    orch_audit_begin(a->run->audit, "attempt", &w);
    orch_jw_str(&w, "state", "end");
    orch_jw_str(&w, "end", a->verdict.end);
    orch_jw_int(&w, "status", o->status);
    orch_jw_str(&w, "detail", a->detail);
    orch_jw_uint(&w, "elapsed_ms", a->verdict.elapsed_ms);
    orch_jw_uint(&w, "denials", a->verdict.denials);
    orch_jw_uint(&w, "fallbacks", o->fallbacks);
    orch_jw_uint(&w, "fakes", o->fakes);
    orch_jw_uint(&w, "output_bytes", o->out_bytes + o->err_bytes);
    orch_jw_uint(&w, "dropped_bytes", o->dropped_bytes);
    orch_jw_uint(&w, "missing", o->missing);
    orch_jw_str(&w, "counts", "exact");
    return orch_audit_commit(a->run->audit, &w, err);
}

/* Text that may carry names an agent chose: without the secrets, cut, owned. */
static char *clean_text(const struct orch_attempt *a, const char *s)
{
    ORCH_AUTO_FREE char *masked = orch_mask_str(&a->run->secrets, s);

    return orch_xstrndup(masked ? masked : s, 1000);
}

static void begin_verdict(struct orch_attempt *a)
{
    const struct orch_outcome *o = &a->outcome;
    struct orch_verdict_record *v = &a->verdict;

    describe_end(a);
    v->phase = a->index;
    v->attempt = a->n;
    v->end = o->end == ORCH_END_LIMIT ? orch_xasprintf("limit:%s", o->limit ? o->limit : "unknown")
                                      : orch_xstrdup(orch_end_name(o->end));
    v->status = o->status;
    v->detail = clean_text(a, a->detail);
    v->elapsed_ms = orch_now_ms() - a->began_ms;
    keep_denials(a);
}

/* ---- seal ---- */

static void add_problem(struct orch_attempt *a, const char *s)
{
    if (a->verdict.problems.n < PROBLEMS_MAX)
        orch_strv_add_take(&a->verdict.problems, clean_text(a, s));
}

/* What the agent left and cannot be read is a problem of the seal; what the host cannot read is no verdict.
 */
static int open_views(struct judge *j, struct orch_err *err)
{
    struct orch_attempt *a = j->a;
    struct orch_strv none = {0};
    struct orch_err e = {0};
    int r;

    orch_strv_add(&j->layers, a->upper);
    for (size_t i = 0; i < a->below.n; i++)
        orch_strv_add(&j->layers, a->below.v[i]);
    r = orch_view_open(&j->layers, a->run->workspace, &j->full, &e);
    if (r == 0)
        r = orch_view_open(&none, a->run->workspace, &j->base, &e);
    if (r == 0)
        r = orch_view_changes(&j->full, a->n_kept + 1, &j->phase_changes, &e);
    if (r == 0)
        r = orch_view_changes(&j->full, j->layers.n, &j->run_changes, &e);
    j->readable = r == 0;
    if (r < 0)
        (void)snprintf(j->why, sizeof(j->why), "the sealed view cannot be read: %.1000s", e.msg);
    return r < 0 ? orch_err_host(&e, err) : 0;
}

/* Any doubt is a problem, and a layer with a problem never goes on. */
static int seal(struct judge *j, struct orch_err *err)
{
    struct orch_attempt *a = j->a;
    struct orch_strv found = {0};
    struct orch_err e = {0};
    int host = 0;

    if (!j->readable)
        add_problem(a, j->why);
    else if (a->plan && orch_seal_check(&j->full, a->plan, &found, &e) < 0) {
        host = orch_err_host(&e, err);
        add_problem(a, e.msg);
    }
    for (size_t i = 0; i < found.n; i++)
        add_problem(a, found.v[i]);
    orch_strv_fini(&found);
    if (orch_layer_digest(a->upper, a->verdict.digest, &e) < 0) {
        a->verdict.digest[0] = '\0';
        host = host ? host : orch_err_host(&e, err);
        add_problem(a, e.msg);
    }
    if (a->outcome.end == ORCH_END_INTEGRITY)
        add_problem(a, "the attempt was ended for its integrity");
    a->verdict.sealed = a->verdict.problems.n == 0;
    return host;
}

static int audit_seal(struct orch_attempt *a, struct orch_err *err)
{
    struct orch_jw w;

    orch_audit_begin(a->run->audit, "seal", &w);
    orch_jw_bool(&w, "clean", a->verdict.sealed);
    orch_jw_str(&w, "digest", a->verdict.digest);
    orch_jw_arr(&w, "problems");
    for (size_t i = 0; i < a->verdict.problems.n; i++)
        orch_jw_str(&w, NULL, a->verdict.problems.v[i]);
    orch_jw_end(&w, ']');
    return orch_audit_commit(a->run->audit, &w, err);
}

/* The home goes on only if it can be pinned by a digest; it is never judged and never applied. */
static int seal_home(struct orch_attempt *a, struct orch_err *err)
{
    ORCH_AUTO_FREE char *upper = NULL;
    struct orch_err e = {0};
    int r;

    if (!a->home)
        return 0;
    upper = orch_xasprintf("%s/upper", a->home);
    if (a->run->wf->home_keep && orch_layer_digest(upper, a->verdict.home_digest, &e) == 0)
        return orch_attempt_durable(a, upper, err);
    r = orch_err_host(&e, err);
    if (r < 0)
        return r;
    a->verdict.home_digest[0] = '\0';
    if (a->run->wf->home_keep)
        orch_progress_note(&a->run->progress, "note: the home of %s is not carried on: %s", a->name, e.msg);
    (void)orch_rm_rf(AT_FDCWD, a->home);
    return 0;
}

/* ---- gates ---- */

static void gate_show(void *ctx, int stream, const char *line, size_t n)
{
    struct judge *j = ctx;

    orch_progress_output(&j->a->run->progress, stream, line, n);
}

static void gate_close(struct judge *j)
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
    gate_close(j);
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

/* A signal that ended the agent does not end the gates; the next one does. */
static enum orch_next gate_tick(void *ctx)
{
    struct judge *j = ctx;

    if (!orch_attempt_beat(j->a))
        return ORCH_STOP_CANCEL;
    return j->a->run->signals.count > j->signals_seen ? ORCH_STOP_CANCEL : ORCH_GO_ON;
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
        .reason = clean_text(a, res->reason ? res->reason : ""),
        .depth = depth,
        .elapsed_ms = res->elapsed_ms,
    };
    for (size_t i = 0; i < res->n_children; i++)
        record_gate(a, &res->children[i], depth + 1);
}

static int audit_gate(struct orch_attempt *a, const struct orch_gate_record *g, struct orch_err *err)
{
    struct orch_jw w;

    orch_audit_begin(a->run->audit, "gate", &w);
    orch_jw_str(&w, "name", g->name);
    orch_jw_str(&w, "type", g->type);
    orch_jw_str(&w, "verdict", g->verdict);
    orch_jw_str(&w, "reason", g->reason);
    orch_jw_uint(&w, "depth", g->depth);
    orch_jw_uint(&w, "elapsed_ms", g->elapsed_ms);
    return orch_audit_commit(a->run->audit, &w, err);
}

static void show_gate(struct orch_attempt *a, const struct orch_gate_record *g)
{
    struct orch_progress *p = &a->run->progress;
    struct orch_jw w;

    orch_progress_note(p, "%s: gate %s: %s%s%s", a->name, g->name, g->verdict, *g->reason ? ": " : "",
                       g->reason);
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
        gate_close(j);
        r = orch_audit_scope(a->run->audit, a->phase->name, a->n, NULL, err);
    }
    record_gate(a, &res, 0);
    if (r == 0 && (host = orch_gate_host_errno(&res)) != 0)
        r = orch_err_exit(err, ORCH_EXIT_STATE, host, "gate %s could not be evaluated: %s", g->name,
                          strerror(host));
    orch_gate_result_fini(&res);
    for (size_t i = first; r == 0 && i < a->verdict.n_gates; i++)
        r = audit_gate(a, &a->verdict.gates[i], err);
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

static int judge_gates(struct judge *j, struct orch_err *err)
{
    struct orch_attempt *a = j->a;
    ORCH_AUTO_FREE char *scratch = NULL;
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
        .uid = a->run->uid,
        .gid = a->run->gid,
        .ctx = j,
        .on_output = gate_output,
        .on_denial = gate_denial,
        .on_tick = gate_tick,
        .wake_fd = a->run->signals.fd,
    };

    orch_signals_poll(&a->run->signals);
    j->signals_seen = a->run->signals.count;
    for (size_t i = 0; r == 0 && i < a->phase->n_gates; i++) {
        c.left_ms = left_for_gate(a->run);
        r = judge_gate(j, &a->phase->gates[i], &c, err);
    }
    (void)orch_rm_rf(AT_FDCWD, scratch);
    if (r == 0 && a->failed) {
        *err = a->err;
        r = a->failed;
    }
    return r;
}

/* ---- verdict ---- */

/* Ends after which the gates may let the phase pass. */
static bool may_pass(const struct orch_attempt *a)
{
    switch (a->outcome.end) {
    case ORCH_END_EXIT:
    case ORCH_END_SIGNAL:
    case ORCH_END_DONE:
        return true;
    case ORCH_END_LIMIT:
        return a->phase->timeout_judge && a->outcome.limit && strcmp(a->outcome.limit, "wall") == 0;
    default:
        return false; /* an end that this table does not know is no pass either */
    }
}

static bool gates_passed(const struct orch_attempt *a)
{
    const char *pass = orch_gate_verdict_name(ORCH_GATE_PASS);
    size_t n = 0;

    for (size_t i = 0; i < a->verdict.n_gates; i++) {
        if (a->verdict.gates[i].depth > 0)
            continue;
        if (strcmp(a->verdict.gates[i].verdict, pass) != 0)
            return false;
        n++;
    }
    return n == a->phase->n_gates;
}

static int exit_code(const struct orch_attempt *a)
{
    int cancelled = orch_signals_exit(&a->run->signals);

    if (a->outcome.end == ORCH_END_DENIALS || a->run->denials > a->run->wf->max_denials)
        return ORCH_EXIT_DENIALS;
    if (cancelled)
        return cancelled;
    if (a->outcome.end == ORCH_END_CANCEL)
        return ORCH_EXIT_SIGTERM;
    if (may_pass(a) && a->verdict.sealed && gates_passed(a))
        return ORCH_EXIT_OK;
    if (a->outcome.end == ORCH_END_LIMIT)
        return ORCH_EXIT_LIMIT;
    return a->outcome.end == ORCH_END_SETUP ? ORCH_EXIT_START : ORCH_EXIT_FAILED;
}

static int commit_verdict(struct orch_attempt *a, struct orch_err *err)
{
    struct orch_verdict_record *v = &a->verdict;
    struct orch_jw w;
    int r = orch_audit_flush(a->run->audit, 0, err);

    orch_signals_poll(&a->run->signals);
    v->exit_code = exit_code(a);
    v->passed = v->exit_code == ORCH_EXIT_OK;
    v->goes_on = v->sealed && (v->passed || !a->phase->retry_reset);
    if (r == 0)
        r = orch_run_sync_audit(a->run, err);
    if (r < 0)
        return r;
    (void)snprintf(v->audit_head, sizeof(v->audit_head), "%s", orch_audit_head(a->run->audit));
    orch_run_record(a->run, "verdict", &w);
    orch_verdict_write(&w, a->phase->name, v);
    return orch_run_commit(a->run, &w, err);
}

static void show_verdict(struct orch_attempt *a)
{
    const struct orch_verdict_record *v = &a->verdict;
    struct orch_progress *p = &a->run->progress;
    struct orch_jw w;

    for (size_t i = 0; i < v->problems.n; i++)
        orch_progress_note(p, "%s: seal check: %s", a->name, v->problems.v[i]);
    orch_progress_note(p, "%s: %s (%s%s%s, %" PRIu64 " denials)", a->name, v->passed ? "passed" : "failed",
                       v->end, *v->detail ? ": " : "", v->detail, v->denials);
    orch_progress_begin(p, "verdict", &w);
    orch_verdict_write(&w, a->phase->name, v);
    orch_progress_end(p, &w);
}

/* The overlay's own scratch holds a directory of mode 0, over which anybody who copies or removes the run
 * would stumble. */
static void drop_work(const struct orch_attempt *a)
{
    ORCH_AUTO_FREE char *work = orch_xasprintf("%s/work", a->dir);

    (void)orch_rm_rf(AT_FDCWD, work);
}

static int judge_steps(struct judge *j, struct orch_err *err)
{
    struct orch_attempt *a = j->a;
    int r = orch_attempt_durable(a, a->upper, err);

    if (r < 0)
        return r;
    drop_work(a);
    begin_verdict(a);
    r = audit_end(a, err);
    if (r < 0)
        return r;
    r = open_views(j, err);
    if (r == 0)
        r = seal(j, err);
    if (r == 0)
        r = seal_home(a, err);
    if (r == 0)
        r = audit_seal(a, err);
    if (r == 0)
        r = judge_gates(j, err);
    if (r == 0)
        r = commit_verdict(a, err);
    if (r == 0)
        show_verdict(a);
    return r;
}

int orch_attempt_judge(struct orch_attempt *a, struct orch_err *err)
{
    struct judge j = {.a = a, .out.log = {-1, -1}};
    int r = judge_steps(&j, err);

    gate_close(&j);
    orch_changes_fini(&j.phase_changes);
    orch_changes_fini(&j.run_changes);
    orch_view_fini(&j.full);
    orch_view_fini(&j.base);
    orch_strv_fini(&j.layers);
    return r;
}
