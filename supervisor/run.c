/* run.c - the run loop: ask the state what comes next, do it, journal it. See run.h. */
#include "policy/filter_cache.h"
#include "supervisor/keys.h"
#include "supervisor/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/exit.h"
#include "common/io.h"
#include "supervisor/apply.h"

void orch_run_init(struct orch_run *r, const struct orch_options *opt)
{
    *r = (struct orch_run){.opt = opt, .dir = ORCH_RUNDIR_NONE, .journal.chain.fd = -1, .signals.fd = -1};
    r->print = ORCH_PRINT_NONE;
    r->unmounts = ORCH_UNMOUNTS_NONE;
    r->uid = orch_agent_uid();
    r->gid = orch_agent_gid();
    r->session_ms = orch_now_ms();
    orch_progress_init(&r->progress, opt->json, opt->quiet);
}

void orch_run_fini(struct orch_run *r)
{
    orch_print_stop(&r->print);
    orch_unmount_wait(&r->unmounts);
    orch_tier_fini(&r->tier);
    for (size_t i = 0; r->plans && i < r->wf->n_phases; i++)
        orch_plan_free(r->plans[i]);
    free(r->plans);
    orch_closure_cache_free(r->closures);
    orch_filter_memo_free(r->filters);
    orch_strv_fini(&r->secrets);
    orch_workflow_free(r->wf);
    orch_audit_close(r->audit);
    orch_journal_fini(&r->journal);
    orch_rundir_close(&r->dir);
    orch_signals_close(&r->signals);
    orch_progress_fini(&r->progress);
    free(r->state);
    free(r->workspace);
}

uint64_t orch_run_spent(const struct orch_run *r)
{
    return r->spent_before_ms + (orch_now_ms() - r->session_ms);
}

uint64_t orch_run_left(const struct orch_run *r)
{
    uint64_t spent = orch_run_spent(r);

    if (r->wf->timeout_ms == 0)
        return UINT64_MAX;
    return spent < r->wf->timeout_ms ? r->wf->timeout_ms - spent : 0;
}

/* ---- records ---- */

void orch_run_record(struct orch_run *r, const char *event, struct orch_jw *w)
{
    orch_journal_begin(&r->journal, event, orch_run_spent(r), r->denials, w);
}

int orch_run_commit(struct orch_run *r, struct orch_jw *w, struct orch_err *err)
{
    return orch_journal_commit(&r->journal, w, true, err);
}

int orch_run_sync_audit(struct orch_run *r, struct orch_err *err)
{
    ORCH_AUTO_FD int fd = openat(r->dir.fd, ORCH_AUDIT_NAME, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd >= 0 && fdatasync(fd) == 0)
        return 0;
    return orch_err_exit(err, ORCH_EXIT_STATE, errno, "the audit log cannot be made durable: %s",
                         strerror(errno));
}

static int audit_run_record(struct orch_run *r, struct orch_err *err)
{
    struct orch_jw w;

    orch_audit_begin(r->audit, "run", &w);
    orch_jw_str(&w, "state", "start");
    orch_tier_record(&r->tier, &w);
    orch_audit_put_host(&w);
    orch_jw_str(&w, "workflow", r->wf->digest);
    orch_jw_obj(&w, "policies");
    for (size_t i = 0; i < r->wf->n_phases; i++)
        orch_jw_str(&w, r->wf->phases[i].name, r->plans[i] ? r->plans[i]->digest : NULL);
    orch_jw_end(&w, '}');
    return orch_audit_commit(r->audit, &w, err);
}

static int keep_inputs(struct orch_run *r, char digest[ORCH_HEX_SIZE], struct orch_err *err)
{
    ORCH_AUTO_BUF struct orch_buf doc = {0};
    int k;

    orch_workflow_export(r->wf, &doc);
    k = orch_create_file_sync(r->dir.fd, ORCH_INPUTS_NAME, doc.data, doc.len, 0600);
    orch_sha256_buf(doc.data, doc.len, digest);
    if (k < 0)
        return orch_err_exit(err, ORCH_EXIT_STATE, -k, "cannot write %s of the run: %s", ORCH_INPUTS_NAME,
                             strerror(-k));
    return 0;
}

int orch_run_start(struct orch_run *r, struct orch_err *err)
{
    char inputs[ORCH_HEX_SIZE];
    struct orch_jw w;
    int k = keep_inputs(r, inputs, err);

    if (k == 0)
        k = orch_audit_open(r->dir.fd, ORCH_AUDIT_NAME, r->dir.id, false, &r->audit, err);
    if (k == 0)
        k = audit_run_record(r, err);
    if (k == 0)
        k = orch_run_sync_audit(r, err);
    if (k == 0)
        k = orch_journal_create(r->dir.fd, &r->journal, err);
    if (k < 0)
        return k;
    orch_run_record(r, "run", &w);
    orch_jw_str(&w, "run", r->dir.id);
    orch_jw_str(&w, "workflow", r->wf->name);
    orch_jw_str(&w, "workspace", r->workspace);
    orch_jw_str(&w, "workflow_digest", r->wf->digest);
    orch_jw_str(&w, "inputs_digest", inputs);
    orch_jw_bool(&w, "apply", !r->opt->no_apply);
    orch_jw_str(&w, "mode", orch_mode_detect(r->opt->mode));
    orch_jw_arr(&w, "phases");
    for (size_t i = 0; i < r->wf->n_phases; i++)
        orch_jw_str(&w, NULL, r->wf->phases[i].name);
    orch_jw_end(&w, ']');
    k = orch_run_commit(r, &w, err);
    return k < 0 ? k : orch_print_start(r, err);
}

/* With a key in the state directory, who seals also signs. */
static int put_signature(const struct orch_run *r, struct orch_jw *w, struct orch_err *err)
{
    ORCH_AUTO_FREE char *text =
        orch_keys_seal_text(r->dir.id, r->journal.state.head, orch_audit_head(r->audit));
    char secret[ORCH_KEY_SIZE] = "", public[ORCH_KEY_SIZE], sig[ORCH_SIG_SIZE];
    int k = orch_keys_secret(r->state, secret, err);

    if (k <= 0)
        return k;
    k = orch_sign(secret, text, strlen(text), sig, public);
    orch_sign_wipe(secret, sizeof(secret));
    if (k < 0)
        return orch_err_exit(err, ORCH_EXIT_STATE, -k, "the signing key cannot be used");
    orch_jw_str(w, "key", public);
    orch_jw_str(w, "signature", sig);
    return 0;
}

int orch_run_seal(struct orch_run *r, struct orch_err *err)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    struct orch_jw w = {.out = &b};
    int k = orch_run_sync_audit(r, err);

    if (k < 0)
        return k;
    orch_jw_obj(&w, NULL);
    orch_jw_int(&w, "schema", 1);
    orch_jw_str(&w, "journal", r->journal.state.head);
    orch_jw_str(&w, "audit", orch_audit_head(r->audit));
    k = put_signature(r, &w, err);
    if (k < 0)
        return k;
    orch_jw_end(&w, '}');
    orch_buf_char(&b, '\n');
    k = orch_write_file_sync(r->dir.fd, ORCH_SEAL_NAME, b.data, b.len, 0600);
    return k < 0 ? orch_err_exit(err, ORCH_EXIT_STATE, -k,
                                 "it is recorded and holds, but %s cannot be written: %s", ORCH_SEAL_NAME,
                                 strerror(-k))
                 : 0;
}

int orch_run_end(struct orch_run *r, const char *verdict, int exit_code, const char *reason,
                 struct orch_err *err)
{
    struct orch_jw w;
    int k = orch_audit_scope(r->audit, NULL, 0, NULL, err);

    if (exit_code == ORCH_EXIT_OK && r->journal.state.n_overrides)
        verdict = ORCH_PASSED_OVERRIDES;
    if (k < 0)
        return k;
    orch_audit_begin(r->audit, "run", &w);
    orch_jw_str(&w, "state", "end");
    orch_jw_str(&w, "verdict", verdict);
    orch_jw_int(&w, "exit", exit_code);
    k = orch_audit_commit(r->audit, &w, err);
    if (k == 0)
        k = orch_run_sync_audit(r, err);
    if (k < 0)
        return k;
    orch_run_record(r, "end", &w);
    orch_jw_str(&w, "verdict", verdict);
    orch_jw_int(&w, "exit", exit_code);
    orch_jw_str(&w, "reason", reason);
    orch_jw_bool(&w, "applied", r->journal.state.apply_done);
    orch_jw_str(&w, "audit_head", orch_audit_head(r->audit));
    k = orch_run_commit(r, &w, err);
    return k < 0 ? k : orch_run_seal(r, err);
}

static const struct {
    const char *by, *counts;
} drops[] = {
    [ORCH_DROP_CRASH] = {"crash", "lower_bound"},
    [ORCH_DROP_SUSPEND] = {"suspend", "exact"},
};

int orch_run_drop(struct orch_run *r, enum orch_drop why, struct orch_err *err)
{
    const struct orch_run_state *s = &r->journal.state;
    const char *phase = s->phases[s->open_phase].name;
    ORCH_AUTO_FREE char *layer = orch_rundir_path(&r->dir, "layers/%s.%u", phase, s->open_attempt);
    struct orch_jw w;
    int k = orch_audit_scope(r->audit, phase, s->open_attempt, NULL, err);

    if (k < 0)
        return k;
    orch_audit_begin(r->audit, "attempt", &w);
    orch_jw_str(&w, "state", "end");
    orch_jw_str(&w, "end", "interrupted");
    orch_jw_str(&w, "by", drops[why].by);
    orch_jw_uint(&w, "elapsed_ms", orch_run_spent(r) - s->open_spent_ms);
    orch_jw_str(&w, "counts", drops[why].counts);
    k = orch_audit_commit(r->audit, &w, err);
    if (k < 0)
        return k;
    orch_run_record(r, "interrupted", &w);
    orch_jw_str(&w, "phase", phase);
    orch_jw_uint(&w, "attempt", s->open_attempt);
    orch_jw_str(&w, "by", drops[why].by);
    k = orch_run_commit(r, &w, err);
    if (k == 0)
        orch_rundir_trash(&r->dir, layer);
    return k;
}

/* ---- layers ---- */

void orch_run_layers(const struct orch_run *r, size_t n, bool home, struct orch_strv *ret)
{
    const struct orch_run_state *s = &r->journal.state;

    for (size_t p = n < s->n_phases ? n : s->n_phases; p-- > 0;) {
        const struct orch_phase_state *phase = &s->phases[p];

        for (size_t i = phase->n_layers; i-- > 0;) {
            const struct orch_verdict_record *v = &s->verdicts[phase->layers[i]];

            if (home && !*v->home_digest)
                continue;
            orch_strv_add_take(ret, orch_rundir_path(&r->dir, "layers/%s.%u/%supper", phase->name, v->attempt,
                                                     home ? "home/" : ""));
        }
    }
}

const char *orch_run_top_digest(const struct orch_run_state *s, size_t n)
{
    for (size_t p = n < s->n_phases ? n : s->n_phases; p-- > 0;)
        if (s->phases[p].n_layers)
            return s->verdicts[s->phases[p].layers[s->phases[p].n_layers - 1]].digest;
    return s->fingerprint_digest;
}

/* An empty layer on another tree is another result: an approval of one is none of the other. */
int orch_stack_digest(const char *upper, const char *below, char ret[ORCH_HEX_SIZE], struct orch_err *err)
{
    char own[ORCH_HEX_SIZE], text[2 * ORCH_HEX_SIZE];
    int k = orch_layer_digest(upper, own, err);

    if (k < 0)
        return k;
    (void)snprintf(text, sizeof(text), "%s\n%s", below, own);
    orch_sha256_buf(text, strlen(text), ret);
    return 0;
}

static int check_digest(const char *what, unsigned attempt, int k, const char *now, const char *want,
                        const struct orch_err *cause, struct orch_err *err)
{
    if (k == 0 && strcmp(now, want) == 0)
        return 0;
    if (orch_err_host(cause, err) < 0) /* not read is not tampered with */
        return -cause->errnum;
    return orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG,
                         "the sealed layer of %s.%u is not the one that was judged%s%s", what, attempt,
                         cause->msg[0] ? ": " : "", cause->msg);
}

/* The layer of one verdict on what is below it. */
static int check_layer(const struct orch_rundir *dir, const struct orch_run_state *s,
                       const struct orch_verdict_record *v, const char *below, struct orch_err *err)
{
    const char *phase = s->phases[v->phase].name;
    ORCH_AUTO_FREE char *upper = orch_rundir_path(dir, "layers/%s.%u/upper", phase, v->attempt);
    ORCH_AUTO_FREE char *home = orch_rundir_path(dir, "layers/%s.%u/home/upper", phase, v->attempt);
    char now[ORCH_HEX_SIZE] = "";
    struct orch_err cause = {0};
    int k = orch_stack_digest(upper, below, now, &cause);

    k = check_digest(phase, v->attempt, k, now, v->digest, &cause, err);
    if (k < 0 || !*v->home_digest)
        return k;
    k = orch_layer_digest(home, now, &cause);
    return check_digest(phase, v->attempt, k, now, v->home_digest, &cause, err);
}

int orch_layers_check(const struct orch_rundir *dir, const struct orch_run_state *s, size_t n,
                      struct orch_err *err)
{
    const char *below = s->fingerprint_digest;
    int k = 0;

    for (size_t p = 0; k == 0 && p < n && p < s->n_phases; p++)
        for (size_t i = 0; k == 0 && i < s->phases[p].n_layers; i++) {
            const struct orch_verdict_record *v = &s->verdicts[s->phases[p].layers[i]];

            k = check_layer(dir, s, v, below, err);
            below = v->digest;
        }
    return k == 0 && s->waits && s->waiting.phase < n ? check_layer(dir, s, &s->waiting, below, err) : k;
}

int orch_run_check_layers(const struct orch_run *r, size_t n, struct orch_err *err)
{
    return orch_layers_check(&r->dir, &r->journal.state, n, err);
}

/* ---- the loop ---- */

static int pause_run(struct orch_run *r, const char *by, const char *phase, struct orch_err *err)
{
    struct orch_jw w;
    int k;

    orch_run_record(r, "paused", &w);
    orch_jw_str(&w, "by", by);
    orch_jw_str(&w, "phase", phase);
    k = orch_run_commit(r, &w, err);
    if (k == 0)
        k = orch_run_seal(r, err);
    return k < 0 ? k : ORCH_EXIT_PAUSED;
}

static bool until_reached(const struct orch_run *r)
{
    const struct orch_run_state *s = &r->journal.state;

    for (size_t i = 0; r->opt->until && i < s->n_phases; i++)
        if (strcmp(s->phases[i].name, r->opt->until) == 0)
            return orch_phase_done(&s->phases[i]);
    return false;
}

static int go_back(struct orch_run *r, const struct orch_run_todo *todo, struct orch_err *err)
{
    const struct orch_phase *phases = r->wf->phases;
    struct orch_jw w;

    orch_progress_note(&r->progress, "phase %s failed: going back to phase %s", phases[todo->phase].name,
                       phases[todo->to].name);
    orch_run_record(r, "goto", &w);
    orch_jw_str(&w, "from", phases[todo->phase].name);
    orch_jw_str(&w, "to", phases[todo->to].name);
    return orch_run_commit(r, &w, err);
}

static int end_failed(struct orch_run *r, const struct orch_run_todo *todo, struct orch_err *err)
{
    const char *phase = r->wf->phases[todo->phase].name;
    bool cancelled = todo->exit_code == ORCH_EXIT_SIGINT || todo->exit_code == ORCH_EXIT_SIGTERM;
    ORCH_AUTO_FREE char *reason = NULL;

    if (cancelled)
        reason = orch_xasprintf("cancelled in phase %s", phase);
    else if (todo->exit_code == ORCH_EXIT_DENIALS)
        reason = orch_xasprintf("phase %s: the denial budget of the workflow was exceeded", phase);
    else
        reason = orch_xasprintf("phase %s did not pass and its attempts are used up", phase);
    return orch_run_end(r, cancelled ? "cancelled" : "failed", todo->exit_code, reason, err);
}

/* What the state calls for, once nothing outside stands against it. */
static int do_next(struct orch_run *r, const struct orch_run_todo *todo, struct orch_err *err)
{
    int k;

    switch (todo->what) {
    case ORCH_TODO_FINISH:
        k = orch_print_join(r, true, err); /* a run of which every phase was skipped */
        if (k == ORCH_PRINT_STOPPED)
            return 0; /* a signal: asked again */
        orch_unmount_wait(&r->unmounts);
        return k < 0 ? k : orch_run_finish(r, err);
    case ORCH_TODO_SETTLE:
        k = orch_run_settle(r, err);
        return k == ORCH_EXIT_PAUSED ? pause_run(r, "approval", r->wf->phases[todo->phase].name, err) : k;
    default:
        break;
    }
    if (orch_run_left(r) == 0)
        return orch_run_end(r, "failed", ORCH_EXIT_LIMIT, "the timeout of the workflow is used up", err);
    return todo->what == ORCH_TODO_GOTO ? go_back(r, todo, err) : orch_attempt_run(r, todo->phase, err);
}

/* 0: go on. */
static int step(struct orch_run *r, struct orch_err *err)
{
    struct orch_run_todo todo = orch_run_next(&r->journal.state, r->wf);
    int cancelled;

    if (todo.what == ORCH_TODO_FAIL)
        return end_failed(r, &todo, err);
    if (r->journal.state.apply_intent) /* the workspace may hold a part: nothing else may end this run */
        return orch_run_finish(r, err);
    orch_signals_poll(&r->signals);
    cancelled = orch_signals_exit(&r->signals);
    if (cancelled)
        return orch_run_end(r, "cancelled", cancelled, "cancelled between two attempts", err);
    if (orch_signals_pause(&r->signals))
        return pause_run(r, "suspend", NULL, err);
    if (r->denials > r->wf->max_denials) /* spent by an attempt that a dead supervisor left */
        return orch_run_end(r, "failed", ORCH_EXIT_DENIALS, "the denial budget of the workflow was exceeded",
                            err);
    return do_next(r, &todo, err);
}

int orch_run_drive(struct orch_run *r, struct orch_err *err)
{
    int k = 0;

    while (k == 0 && !r->journal.state.ended) {
        if (until_reached(r) && !r->journal.state.apply_intent)
            return pause_run(r, "until", r->opt->until, err);
        k = step(r, err);
    }
    return k != 0 ? k : r->journal.state.exit_code;
}
