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
#include "supervisor/judge_int.h"
#include "supervisor/told.h"

#define DENIED_MAX 50
#define DENIED_PATH_MAX 512
#define PROBLEMS_MAX 50

/* ---- the agent's end ---- */

static void add_group(struct orch_verdict_record *v, const struct orch_told *t)
{
    v->denied[v->n_denied++] = (struct orch_denied){
        .class_name = orch_xstrdup(t->class_name),
        .syscall = orch_xstrdup(t->syscall),
        .access = orch_xstrdup(t->access),
        .path = orch_xstrndup(t->path, strnlen(t->path, DENIED_PATH_MAX)),
        .rule = orch_xstrdup(t->rule),
        .count = t->count,
        .groups = t->groups,
    };
}

/* The most frequent groups, and how many others there are; those that the agent may know of do not depend on
 * the others. */
static void keep_groups(struct orch_attempt *a, bool may)
{
    struct orch_told rest = {.class_name = "others",
                             .syscall = "",
                             .access = "",
                             .path = "further kinds, see the audit log",
                             .rule = may ? "" : ORCH_RULE_ABSENT};
    ORCH_AUTO_FREE struct orch_told *t = NULL;
    size_t n = orch_told_of_audit(a->run->audit, may, &t);

    for (size_t i = 0; i < n; i++) {
        if (i < DENIED_MAX && t[i].groups == 0) {
            add_group(&a->verdict, &t[i]);
            continue;
        }
        rest.groups += t[i].groups ? t[i].groups : 1;
        rest.count += t[i].count;
    }
    if (rest.count)
        add_group(&a->verdict, &rest);
}

/* Copied before the gates begin: their denials are not the agent's. */
static void keep_denials(struct orch_attempt *a)
{
    struct orch_verdict_record *v = &a->verdict;
    uint64_t total;

    v->denied = orch_xcalloc(2 * (DENIED_MAX + 1), sizeof(*v->denied));
    keep_groups(a, true);
    keep_groups(a, false);
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
    ORCH_AUTO_FREE char *rule = orch_attempt_limit_rule(a);
    struct orch_jw w;

    orch_audit_begin(a->run->audit, "limit", &w);
    orch_jw_str(&w, "limit", a->outcome.limit);
    orch_jw_bytes(&w, "rule", rule, strlen(rule));
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
    if (a->plan && a->phase->agent->tty)
        orch_jw_uint(&w, "filtered_bytes", a->terminal.filter.dropped);
    orch_jw_uint(&w, "missing", o->missing);
    orch_jw_str(&w, "counts", "exact");
    return orch_audit_commit(a->run->audit, &w, err);
}

char *orch_judge_text(const struct orch_attempt *a, const char *s)
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
    v->held = orch_xstrdup(a->held ? a->held : "none");
    v->status = o->status;
    v->detail = orch_judge_text(a, a->detail);
    v->elapsed_ms = orch_now_ms() - a->began_ms;
    keep_denials(a);
}

/* ---- seal ---- */

static void add_problem(struct orch_attempt *a, const char *s)
{
    if (a->verdict.problems.n < PROBLEMS_MAX)
        orch_strv_add_take(&a->verdict.problems, orch_judge_text(a, s));
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
    if (orch_stack_digest(a->upper, orch_run_top_digest(&a->run->journal.state, a->index + 1),
                          a->verdict.digest, &e) < 0) {
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
    orch_rundir_trash(&a->run->dir, a->home);
    return 0;
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

static int exit_code(const struct orch_attempt *a)
{
    int cancelled = orch_signals_exit(&a->run->signals);
    enum orch_gate_verdict gates = orch_verdict_gates(&a->verdict, a->phase->n_gates);

    if (a->outcome.end == ORCH_END_DENIALS || a->run->denials > a->run->wf->max_denials)
        return ORCH_EXIT_DENIALS;
    if (cancelled)
        return cancelled;
    if (a->outcome.end == ORCH_END_CANCEL)
        return ORCH_EXIT_SIGTERM;
    if (may_pass(a) && a->verdict.sealed && gates != ORCH_GATE_FAIL)
        return gates == ORCH_GATE_PASS ? ORCH_EXIT_OK : ORCH_EXIT_PAUSED;
    if (a->outcome.end == ORCH_END_LIMIT)
        return ORCH_EXIT_LIMIT;
    return a->outcome.end == ORCH_END_SETUP ? ORCH_EXIT_START : ORCH_EXIT_FAILED;
}

static int decide(struct orch_attempt *a, struct orch_err *err)
{
    orch_signals_poll(&a->run->signals);
    a->verdict.exit_code = exit_code(a);
    return orch_verdict_commit(a->run, &a->verdict, err);
}

/* What served the mount alone. The overlay's own scratch holds a directory of mode 0, over which anybody who
 * copies or removes the run would stumble. */
static void drop_work(const struct orch_attempt *a)
{
    ORCH_AUTO_FREE char *work = orch_xasprintf("%s/work", a->dir);

    ORCH_AUTO_FREE char *scaffold = orch_xasprintf("%s/scaffold", a->dir);

    (void)orch_rm_rf(AT_FDCWD, work);
    (void)orch_rm_rf(AT_FDCWD, scaffold);
}

static int judge_steps(struct judge *j, struct orch_err *err)
{
    struct orch_attempt *a = j->a;
    int r = orch_attempt_durable(a, a->upper, err);

    if (r < 0)
        return r;
    drop_work(a);
    r = orch_print_join(a->run, true, err); /* what the layer lies on must be known */
    if (r != 0)
        return r < 0 ? r : orch_run_drop(a->run, ORCH_DROP_SUSPEND, err);
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
        r = orch_judge_gates(j, err);
    if (r == 0 && j->cut)
        return orch_run_drop(a->run, ORCH_DROP_SUSPEND, err);
    if (r == 0)
        r = decide(a, err);
    return r;
}

int orch_attempt_judge(struct orch_attempt *a, struct orch_err *err)
{
    struct judge j = {.a = a, .out.log = {-1, -1}};
    int r = judge_steps(&j, err);

    orch_judge_gate_close(&j);
    orch_changes_fini(&j.phase_changes);
    orch_changes_fini(&j.run_changes);
    orch_view_fini(&j.full);
    orch_view_fini(&j.base);
    orch_strv_fini(&j.layers);
    return r;
}
