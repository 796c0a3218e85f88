/* attempt.c - one attempt, from its directories to the death of its tree. See attempt.h and run.h. */
#include "supervisor/attempt.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/exit.h"
#include "common/io.h"
#include "supervisor/client_blob.h"
#include "supervisor/preflight.h"
#include "supervisor/prompt.h"

#define FOLD_MS 1000 /* repeats of denials are written at least this often */
#define BEAT_MS 5000 /* how much spent time a crash may lose */

/* ---- hooks ---- */

void orch_attempt_fail(struct orch_attempt *a, int r)
{
    if (a->failed == 0)
        a->failed = r;
}

/* err is written only while nothing failed before: the first cause is the one to report. */
static struct orch_err *err_slot(struct orch_attempt *a)
{
    return a->failed ? NULL : &a->err;
}

static int heartbeat(struct orch_attempt *a, uint64_t now)
{
    struct orch_jw w;

    if (now - a->beat_ms < BEAT_MS)
        return 0;
    a->beat_ms = now;
    orch_run_record(a->run, "spent", &w);
    return orch_journal_commit(&a->run->journal, &w, false, &a->err);
}

bool orch_attempt_beat(struct orch_attempt *a)
{
    int r;

    orch_signals_poll(&a->run->signals);
    orch_progress_tick(&a->run->progress, a->run->denials);
    if (a->failed)
        return false;
    r = orch_audit_flush(a->run->audit, FOLD_MS, &a->err);
    if (r == 0)
        r = orch_print_join(a->run, false, &a->err);
    if (r == 0)
        r = heartbeat(a, orch_now_ms());
    if (r < 0)
        orch_attempt_fail(a, r);
    return r == 0;
}

static enum orch_next on_denial(void *ctx, const struct orch_denial *d)
{
    struct orch_attempt *a = ctx;
    int r = orch_audit_masked(a->run->audit, &a->run->secrets, d, err_slot(a));

    if (r < 0) {
        orch_attempt_fail(a, r);
        return ORCH_STOP_CANCEL;
    }
    if (!d->quiet)
        a->run->denials++;
    if (!d->quiet && strcmp(d->rule, ORCH_RULE_ABSENT) != 0)
        a->control.denials++;
    return a->run->denials > a->run->wf->max_denials ? ORCH_STOP_DENIALS : ORCH_GO_ON;
}

static void on_exec(void *ctx, const struct orch_exec_event *e)
{
    struct orch_attempt *a = ctx;
    int r = orch_audit_masked_exec(a->run->audit, &a->run->secrets, e, err_slot(a));

    if (r < 0)
        orch_attempt_fail(a, r);
}

static void on_output(void *ctx, int stream, const void *p, size_t n)
{
    struct orch_attempt *a = ctx;
    struct orch_err later = {0};
    int r = orch_capture_add(&a->out, stream, p, n, a->failed ? &later : &a->err);

    if (r < 0)
        orch_attempt_fail(a, r);
}

static enum orch_next on_tick(void *ctx)
{
    struct orch_attempt *a = ctx;

    if (!orch_attempt_beat(a))
        return ORCH_STOP_CANCEL;
    orch_terminal_tick(&a->terminal);
    return orch_signals_stop(&a->run->signals) ? ORCH_STOP_CANCEL : ORCH_GO_ON;
}

static void on_started(void *ctx, pid_t init)
{
    orch_unmount_hold(&((struct orch_attempt *)ctx)->run->unmounts, init);
}

static bool output_full(void *ctx)
{
    struct orch_attempt *a = ctx;
    struct orch_progress *p = &a->run->progress;

    return orch_terminal_full(&a->terminal) || orch_outq_full(&p->out) || orch_outq_full(&p->err);
}

/* While the operator's terminal is the agent's, our own words wait, and output is not shown a second time. */
static void on_tty(void *ctx, int master)
{
    struct orch_attempt *a = ctx;

    orch_terminal_begin(&a->terminal, master);
    if (!a->terminal.begun)
        return;
    orch_progress_hold(&a->run->progress, true);
    a->out.show = NULL;
}

static void on_shown(void *ctx, const void *p, size_t n)
{
    orch_terminal_output(&((struct orch_attempt *)ctx)->terminal, p, n);
}

static enum orch_next on_input(void *ctx, struct orch_buf *to_agent, bool *ret_closed)
{
    return orch_terminal_input(&((struct orch_attempt *)ctx)->terminal, to_agent, ret_closed);
}

static enum orch_next on_control(void *ctx, pid_t peer, const char *line, size_t len, struct orch_buf *reply)
{
    struct orch_attempt *a = ctx;
    int failed = 0;
    enum orch_next next = orch_control_handle(&a->control, peer, line, len, reply, &failed, err_slot(a));

    if (failed < 0)
        orch_attempt_fail(a, failed);
    return next;
}

static void show_line(void *ctx, int stream, const char *line, size_t n)
{
    struct orch_attempt *a = ctx;

    orch_progress_output(&a->run->progress, stream, line, n);
}

/* ---- directories and files ---- */

/* A host directory of the layer. As root it belongs to the agent's user (init mounts with that user's
 * rights); the run directory above it stays ours alone. */
static int make_dir(const struct orch_attempt *a, const char *path, mode_t mode, struct orch_err *err)
{
    if (mkdir(path, 0700) == 0 && chmod(path, mode) == 0 &&
        (!orch_is_root() || chown(path, a->run->uid, a->run->gid) == 0))
        return 0;
    (void)orch_err_sys(err, errno, "cannot make the layer of %s", a->name);
    err->exit_code = ORCH_EXIT_STATE;
    return -err->errnum;
}

static int make_pair(const struct orch_attempt *a, const char *dir, struct orch_err *err)
{
    ORCH_AUTO_FREE char *upper = orch_xasprintf("%s/upper", dir);
    ORCH_AUTO_FREE char *work = orch_xasprintf("%s/work", dir);
    int r = make_dir(a, upper, 0755, err);

    return r < 0 ? r : make_dir(a, work, 0700, err);
}

static int make_dirs(struct orch_attempt *a, struct orch_err *err)
{
    int r;

    a->dir = orch_rundir_path(&a->run->dir, "layers/%s", a->name);
    a->upper = orch_xasprintf("%s/upper", a->dir);
    r = make_dir(a, a->dir, 0700, err);
    if (r == 0)
        r = make_pair(a, a->dir, err);
    if (r == 0 && a->phase->agent && a->run->wf->home_from) {
        a->home = orch_xasprintf("%s/home", a->dir);
        r = make_dir(a, a->home, 0700, err);
        if (r == 0)
            r = make_pair(a, a->home, err);
    }
    return r;
}

/* The prompt as a file that cannot change: the agent gets a read-only opening of a sealed memfd. */
static int prompt_stdin(const struct orch_buf *prompt, int *ret, struct orch_err *err)
{
    ORCH_AUTO_FD int fd = memfd_create("prompt", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    char path[40];
    int r;

    if (fd < 0)
        return orch_err_sys(err, errno, "memfd_create");
    r = orch_write_all(fd, prompt->data, prompt->len);
    if (r < 0)
        return orch_err_sys(err, -r, "the prompt");
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return orch_err_sys(err, errno, "sealing the prompt");
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    *ret = open(path, O_RDONLY | O_CLOEXEC);
    return *ret < 0 ? orch_err_sys(err, errno, "the prompt") : 0;
}

/* ---- the sandbox ---- */

static uint64_t wall_limit(struct orch_attempt *a)
{
    uint64_t wall = a->phase->timeout_ms, left = orch_run_left(a->run),
             profile = a->phase->profile->limits.wall_ms;

    if (profile && profile < wall)
        wall = profile;
    a->last_of_workflow = left < wall;
    if (left < wall)
        wall = left;
    return wall ? wall : 1; /* 0 would mean no limit */
}

static int compile(struct orch_attempt *a, const char *prompt, struct orch_err *err)
{
    struct orch_diags d = {0};
    int r = orch_run_compile(a->run, a->index, prompt, a->n, &a->plan, &d);

    if (r < 0)
        (void)orch_err_exit(err, d.host_errno ? ORCH_EXIT_STATE : ORCH_EXIT_USAGE, -r, "phase %s: %s",
                            a->phase->name, d.n ? d.v[0].msg : "its profile does not compile any more");
    orch_diags_fini(&d);
    return r;
}

const char *orch_attempt_level(const struct orch_plan *plan, bool nested)
{
    static const char *const names[] = {"writes", "opens", "paths"};

    if (plan && nested)
        return "paths";
    return plan && (unsigned)plan->profile->audit_level < ORCH_NELEM(names)
               ? names[plan->profile->audit_level]
               : "none";
}

static int audit_start(struct orch_attempt *a, struct orch_err *err)
{
    struct orch_jw w;
    int r = orch_audit_scope(a->run->audit, a->phase->name, a->n, NULL, err);

    if (r < 0)
        return r;
    a->held = a->plan ? orch_limits_held_by(&a->plan->profile->limits) : "none";
    orch_audit_begin(a->run->audit, "attempt", &w);
    orch_jw_str(&w, "state", "start");
    if (a->plan)
        orch_tier_record(&a->run->tier, &w);
    else
        orch_jw_str(&w, "tier", "none");
    orch_jw_str(&w, "level", orch_attempt_level(a->plan, a->run->tier.nested));
    if (a->plan)
        orch_jw_bool(&w, "argv_recorded", a->plan->profile->audit_argv != ORCH_AUDIT_ARGV_OFF);
    orch_jw_str(&w, "profile", a->plan ? a->plan->profile->digest : NULL);
    orch_jw_str(&w, "policy", a->plan ? a->plan->digest : NULL);
    orch_jw_str(&w, "limits", a->held);
    return orch_audit_commit(a->run->audit, &w, err);
}

/* A set-up that failed: the attempt ends by `setup` like one whose init reported it. */
static void setup_failed(struct orch_attempt *a, const struct orch_err *cause)
{
    a->outcome = (struct orch_outcome){.end = ORCH_END_SETUP, .setup.errnum = cause->errnum};
    (void)snprintf(a->outcome.setup.step, sizeof(a->outcome.setup.step), "start");
    (void)snprintf(a->detail, sizeof(a->detail), "%.1100s", cause->msg);
}

/* Trouble of the host's is nobody's failed attempt: it ends this supervisor, and the attempt is unjudged. */
static void not_started(struct orch_attempt *a, const struct orch_err *cause)
{
    struct orch_err later = {0};
    int r = orch_err_host(cause, a->failed ? &later : &a->err);

    if (r < 0)
        orch_attempt_fail(a, r);
    else
        setup_failed(a, cause);
}

static void run_sandbox(struct orch_attempt *a, const struct orch_sandbox_args *args)
{
    const struct orch_sandbox_hooks hooks = {
        .ctx = a,
        .on_denial = on_denial,
        .on_exec = on_exec,
        .on_started = on_started,
        .on_output = on_output,
        .on_tick = on_tick,
        .on_control = on_control,
        .output_full = output_full,
        .on_tty = on_tty,
        .on_shown = on_shown,
        .on_input = on_input,
        .wake_fd = a->run->signals.fd,
    };
    struct orch_err cause = {0};

    if (orch_sandbox_run(args, &hooks, &a->outcome, &cause) < 0)
        not_started(a, &cause);
    orch_terminal_end(&a->terminal);
    orch_progress_hold(&a->run->progress, false);
    orch_unmount_let_go(&a->run->unmounts);
    if (a->outcome.end == ORCH_END_LIMIT && a->last_of_workflow && strcmp(a->outcome.limit, "wall") == 0)
        a->outcome.limit = "workflow"; /* not the phase's own: on_timeout does not speak of it */
}

static void start_control(struct orch_attempt *a, uint64_t wall_ms)
{
    a->control = (struct orch_control){
        .run_id = a->run->dir.id,
        .phase_name = a->phase->name,
        .attempt = a->n,
        .phase = a->phase,
        .plan = a->plan,
        .secrets = &a->run->secrets,
        .began_ms = a->began_ms,
        .wall_ms = wall_ms,
        .audit = a->run->audit,
        .progress = &a->run->progress,
        .on_denial = on_denial,
        .ctx = a,
    };
}

static void start_agent(struct orch_attempt *a, const struct orch_buf *prompt, const char *scaffold,
                        int stdin_fd)
{
    uint64_t wall_ms = wall_limit(a);
    ORCH_AUTO_BUF struct orch_buf phase = {0};
    ORCH_AUTO_BUF struct orch_buf feedback = {0};
    const char *text = prompt->data ? prompt->data : "";

    orch_prompt_phase(a->run, a->index, a->n, a->plan, text, wall_ms, &phase);
    orch_prompt_feedback(a->run, a->index, &feedback);
    start_control(a, wall_ms);
    orch_terminal_init(&a->terminal,
                       a->phase->agent->tty && !a->run->progress.json && !a->run->progress.quiet,
                       &a->run->signals, &a->run->secrets);
    const struct orch_file files[] = {
        {"phase.json", phase.data, phase.len},
        {"prompt.md", text, prompt->len},
        {"feedback.json", feedback.data, feedback.len},
        {"bin/llm", orch_llm_blob, orch_llm_blob_len()},
    };
    const struct orch_sandbox_args args = {
        .plan = a->plan,
        .workspace = {.layers = &a->below,
                      .bottom = a->run->workspace,
                      .scaffold = scaffold,
                      .layer_dir = a->plan->workspace_writes ? a->dir : NULL},
        .home = {.layers = &a->home_below,
                 .bottom = a->home ? a->run->wf->home_from : NULL,
                 .layer_dir = a->home},
        .stdin_fd = stdin_fd,
        .tty = a->phase->agent->tty ? &a->terminal.tty : NULL,
        .files = files,
        .n_files = ORCH_NELEM(files),
        .control = true,
        .wall_ms = wall_ms,
    };
    run_sandbox(a, &args);
}

/* Everything that is fallible before the agent starts; what fails here is a set-up failure, not the end of
 * the run, unless the host is to blame. */
static void agent_part(struct orch_attempt *a, const struct orch_buf *prompt)
{
    ORCH_AUTO_FREE char *scaffold = orch_xasprintf("%s/scaffold", a->dir);
    ORCH_AUTO_FD int stdin_fd = -1;
    struct orch_err cause = {0};
    bool used = false;
    int r = make_dir(a, scaffold, 0755, &cause);

    if (r == 0)
        r = orch_upper_prepare(&a->below, a->run->workspace, a->plan, a->upper, scaffold, &used, &cause);
    if (r == 0 && a->run->tier.nested)
        r = orch_attempt_enter_cell(a, prompt->data ? prompt->data : "", &cause);
    if (r == 0 && a->phase->agent->stdin_mode == ORCH_STDIN_PROMPT)
        r = prompt_stdin(prompt, &stdin_fd, &cause);
    if (r < 0)
        not_started(a, &cause);
    else
        start_agent(a, prompt, used ? scaffold : NULL, stdin_fd);
    if (a->cell.dir && orch_attempt_leave_cell(a, a->failed ? &cause : &a->err) < 0 && !a->failed)
        orch_attempt_fail(a, -a->err.errnum);
}

static int run_agent(struct orch_attempt *a, struct orch_err *err)
{
    struct orch_err later = {0};
    ORCH_AUTO_BUF struct orch_buf prompt = {0};
    ORCH_AUTO_FD int logs = openat(a->run->dir.fd, "logs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r;

    if (logs < 0)
        return orch_err_exit(err, ORCH_EXIT_STATE, errno, "the log directory cannot be opened");
    orch_prompt_text(a->run, a->index, &prompt);
    r = compile(a, prompt.data ? prompt.data : "", err);
    if (r == 0)
        r = audit_start(a, err);
    if (r < 0)
        return r;
    a->out = (struct orch_capture){.secrets = &a->run->secrets, .log = {-1, -1}, .show = show_line, .ctx = a};
    r = orch_capture_open(&a->out, logs, a->name, err);
    if (r == 0)
        agent_part(a, &prompt);
    if (orch_capture_end(&a->out, a->failed ? &later : &a->err) < 0 && !a->failed)
        a->failed = -a->err.errnum;
    if (r == 0 && a->failed) {
        *err = a->err;
        r = a->failed;
    }
    return r;
}

/* ---- the whole ---- */

static int journal_start(struct orch_attempt *a, struct orch_err *err)
{
    struct orch_jw w;

    orch_run_record(a->run, "attempt", &w);
    orch_jw_str(&w, "phase", a->phase->name);
    orch_jw_uint(&w, "attempt", a->n);
    return orch_run_commit(a->run, &w, err);
}

static void show_start(struct orch_attempt *a)
{
    struct orch_progress *p = &a->run->progress;
    struct orch_jw w;

    orch_progress_phase(p, a->phase->name, a->n);
    orch_progress_note(p, "phase %s: attempt %u", a->phase->name, a->n);
    orch_progress_begin(p, "attempt", &w);
    orch_jw_str(&w, "state", "start");
    orch_jw_str(&w, "phase", a->phase->name);
    orch_jw_uint(&w, "attempt", a->n);
    orch_progress_end(p, &w);
}

static void attempt_fini(struct orch_attempt *a)
{
    orch_progress_phase(&a->run->progress, NULL, 0);
    orch_plan_free(a->plan);
    orch_verdict_fini(&a->verdict);
    orch_strv_fini(&a->below);
    orch_strv_fini(&a->home_below);
    free(a->name);
    free(a->dir);
    free(a->upper);
    free(a->home);
}

static int attempt_steps(struct orch_attempt *a, struct orch_err *err)
{
    int r = orch_run_check_layers(a->run, a->index + 1, err);

    if (r == 0)
        r = journal_start(a, err);
    if (r == 0)
        r = make_dirs(a, err);
    if (r < 0)
        return r;
    show_start(a);
    a->began_ms = a->beat_ms = orch_now_ms();
    r = a->phase->agent ? run_agent(a, err) : audit_start(a, err);
    if (r == 0 && a->outcome.end == ORCH_END_CANCEL && orch_signals_pause(&a->run->signals))
        return orch_run_drop(a->run, ORCH_DROP_SUSPEND, err); /* cut off, so not judged */
    return r < 0 ? r : orch_attempt_judge(a, err);
}

int orch_attempt_run(struct orch_run *r, size_t phase, struct orch_err *err)
{
    const struct orch_phase_state *s = &r->journal.state.phases[phase];
    struct orch_attempt a = {.run = r,
                             .phase = &r->wf->phases[phase],
                             .index = phase,
                             .n = s->last_attempt + 1,
                             .n_kept = s->n_layers};
    int result;

    a.name = orch_xasprintf("%s.%u", a.phase->name, a.n);
    orch_run_layers(r, phase + 1, false, &a.below);
    if (r->wf->home_keep)
        orch_run_layers(r, phase + 1, true, &a.home_below);
    result = attempt_steps(&a, err);
    attempt_fini(&a);
    return result;
}
