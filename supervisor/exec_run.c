/* exec_run.c - the sandbox of `exec`, and what comes out of it. See exec.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/exit.h"
#include "common/io.h"
#include "sandbox/layer.h"
#include "supervisor/attempt.h"
#include "supervisor/exec.h"
#include "supervisor/preflight.h"

#define FOLD_MS 1000

static enum orch_next check(struct orch_exec *e, int r)
{
    if (r < 0 && e->failed == 0)
        e->failed = r;
    return e->failed ? ORCH_STOP_CANCEL : ORCH_GO_ON;
}

static enum orch_next on_denial(void *ctx, const struct orch_denial *d)
{
    struct orch_exec *e = ctx;

    if (!d->quiet)
        e->denials++;
    return e->failed ? ORCH_STOP_CANCEL : check(e, orch_audit_denial(e->audit, d, &e->err));
}

static void on_exec(void *ctx, const struct orch_exec_event *x)
{
    struct orch_exec *e = ctx;

    if (!e->failed)
        (void)check(e, orch_audit_exec(e->audit, x, &e->err));
}

/* Bytes go through unchanged to a pipe or file; a terminal gets escaped lines (T-TTY-05). */
static void on_output(void *ctx, int stream, const void *p, size_t n)
{
    struct orch_exec *e = ctx;
    int i = stream == 2;

    if (e->terminal.begun) /* shown already */
        return;
    if (!e->escape[i])
        orch_outq_add(&e->out[i], p, n);
    else if (!e->failed)
        (void)check(e, orch_capture_add(&e->capture, stream, p, n, &e->err));
}

static void show_line(void *ctx, int stream, const char *line, size_t n)
{
    struct orch_exec *e = ctx;
    ORCH_AUTO_BUF struct orch_buf b = {0};

    orch_output_escape(&b, line, n);
    orch_buf_char(&b, '\n');
    orch_outq_add(&e->out[stream == 2], b.data, b.len);
}

static bool output_full(void *ctx)
{
    struct orch_exec *e = ctx;

    orch_outq_pump(&e->out[0]);
    orch_outq_pump(&e->out[1]);
    return orch_terminal_full(&e->terminal) || orch_outq_full(&e->out[0]) || orch_outq_full(&e->out[1]);
}

static enum orch_next on_tick(void *ctx)
{
    struct orch_exec *e = ctx;

    orch_signals_poll(&e->signals);
    orch_terminal_tick(&e->terminal);
    orch_outq_pump(&e->out[0]);
    orch_outq_pump(&e->out[1]);
    if (e->failed || check(e, orch_audit_flush(e->audit, FOLD_MS, &e->err)) != ORCH_GO_ON)
        return ORCH_STOP_CANCEL;
    /* Nobody reads any more: without us in between the command would have got SIGPIPE. */
    return e->signals.first || e->terminal.out.dead || e->out[0].dead || e->out[1].dead ? ORCH_STOP_CANCEL
                                                                                        : ORCH_GO_ON;
}

static void on_tty(void *ctx, int master)
{
    orch_terminal_begin(&((struct orch_exec *)ctx)->terminal, master);
}

static void on_shown(void *ctx, const void *p, size_t n)
{
    orch_terminal_output(&((struct orch_exec *)ctx)->terminal, p, n);
}

static enum orch_next on_input(void *ctx, struct orch_buf *to_agent, bool *ret_closed)
{
    return orch_terminal_input(&((struct orch_exec *)ctx)->terminal, to_agent, ret_closed);
}

static int make_sub(const struct orch_exec *e, const char *name, mode_t mode, char **ret,
                    struct orch_err *err)
{
    *ret = orch_xasprintf("%s/%s", e->dir, name);
    if (mkdir(*ret, 0700) == 0 && chmod(*ret, mode) == 0 &&
        (!orch_is_root() || chown(*ret, orch_agent_uid(), orch_agent_gid()) == 0))
        return 0;
    return orch_err_sys(err, errno, "cannot make the layer");
}

/* Nothing can be written to the workspace, nothing in it is hidden: the view needs no directory of ours. */
static bool wants_layer(const struct orch_exec *e)
{
    return e->plan->workspace_writes || orch_layer_wants_scaffold(e->plan) || e->tier.nested ||
           (e->opt && e->opt->apply);
}

static int make_layer(struct orch_exec *e, const char *parent, char **ret_scaffold, struct orch_err *err)
{
    ORCH_AUTO_FREE char *dir = orch_xasprintf("%s/XXXXXX", parent);
    ORCH_AUTO_FREE char *work = NULL;
    int r = orch_mkdir_p(parent, 0700);

    if (r < 0 || !mkdtemp(dir))
        return orch_err_sys(err, r < 0 ? -r : errno, "cannot make a layer in the state directory");
    e->dir = ORCH_TAKE_PTR(dir);
    e->held = orch_exec_hold(e->dir);
    if (e->held < 0)
        return orch_err_sys(err, -e->held, "cannot lock the layer");
    if (orch_is_root() && chown(e->dir, orch_agent_uid(), orch_agent_gid()) < 0)
        return orch_err_sys(err, errno, "cannot make the layer");
    r = make_sub(e, "upper", 0755, &e->upper, err);
    if (r == 0)
        r = make_sub(e, "work", 0700, &work, err);
    if (r == 0 && orch_layer_wants_scaffold(e->plan))
        r = make_sub(e, "scaffold", 0755, ret_scaffold, err);
    return r;
}

/* Tier nested: a copy of the workspace in place of an overlay, and the plan for it. */
static int enter_cell(struct orch_exec *e, struct orch_sandbox_args *ret, struct orch_err *err)
{
    static const struct orch_strv none;
    struct orch_diags d = {0};
    struct orch_plan *plan = NULL;
    struct orch_view view;
    int r = orch_view_open(&none, e->workspace, &view, err);

    if (r < 0)
        return r;
    r = orch_cell_enter(e->dir, &view, &e->cell, err);
    orch_view_fini(&view);
    if (r == 0)
        r = orch_exec_compile(e, e->cell.copy, e->cell.dir, &plan, &d);
    if (r < 0 && d.n)
        (void)orch_err_set(err, EINVAL, "%s", d.v[0].msg);
    orch_diags_fini(&d);
    if (r < 0)
        return r;
    orch_plan_free(e->plan);
    e->plan = plan;
    free(e->upper);
    e->upper = orch_xstrdup(e->cell.copy);
    *ret = (struct orch_sandbox_args){.plan = plan, .stdin_fd = -1};
    return 0;
}

int orch_exec_layer(struct orch_exec *e, struct orch_sandbox_args *ret, struct orch_err *err)
{
    static const struct orch_strv none;
    ORCH_AUTO_FREE char *parent = orch_xasprintf("%s/exec", e->state);
    ORCH_AUTO_FREE char *scaffold = NULL;
    bool used = false;
    int r = wants_layer(e) ? make_layer(e, parent, &scaffold, err) : 0;

    orch_exec_sweep(parent);
    if (r == 0 && e->upper)
        r = orch_upper_prepare(&none, e->workspace, e->plan, e->upper, scaffold, &used, err);
    if (r == 0 && e->tier.nested)
        return enter_cell(e, ret, err);
    if (used)
        e->scaffold = ORCH_TAKE_PTR(scaffold);
    *ret = (struct orch_sandbox_args){
        .plan = e->plan,
        .workspace = {.layers = &none,
                      .bottom = e->workspace,
                      .scaffold = e->scaffold,
                      .layer_dir = e->plan->workspace_writes ? e->dir : NULL},
        .home = {.layers = &none},
        .stdin_fd = -1,
    };
    return r;
}

static int run(struct orch_exec *e, const struct orch_sandbox_args *args, struct orch_err *err)
{
    const struct orch_sandbox_hooks hooks = {
        .ctx = e,
        .on_denial = on_denial,
        .on_exec = on_exec,
        .on_output = on_output,
        .on_tick = on_tick,
        .on_tty = on_tty,
        .on_shown = on_shown,
        .on_input = on_input,
        .output_full = output_full,
        .wake_fd = e->signals.fd,
    };
    static const struct orch_strv none;
    int r;

    for (int i = 0; i < 2; i++) {
        e->out[i] = (struct orch_outq){.fd = i + 1, .wake_fd = e->signals.fd};
        e->escape[i] = isatty(i + 1);
    }
    e->capture = (struct orch_capture){.log = {-1, -1}, .show = show_line, .ctx = e};
    r = orch_sandbox_run(args, &hooks, &e->outcome, err);
    if (e->terminal.begun)
        e->outcome.dropped_bytes = 0; /* shown, all of it */
    orch_terminal_end(&e->terminal);
    if (r < 0)
        orch_preflight_point(err);
    (void)orch_capture_end(&e->capture, &(struct orch_err){0});
    e->out[0].hurry = e->out[1].hurry = e->signals.first != 0 || e->outcome.end == ORCH_END_LIMIT;
    orch_outq_fini(&e->out[0]);
    orch_outq_fini(&e->out[1]);
    if (r == 0 && e->tier.nested)
        r = orch_cell_leave(&e->cell, &none, e->workspace, NULL, err);
    return r;
}

static int audit_limit(struct orch_exec *e, struct orch_err *err)
{
    ORCH_AUTO_FREE char *rule = NULL;
    struct orch_jw w;

    if (e->outcome.end != ORCH_END_LIMIT)
        return 0;
    rule = orch_limit_rule(e->profile, e->outcome.limit);
    orch_audit_begin(e->audit, "limit", &w);
    orch_jw_str(&w, "limit", e->outcome.limit);
    orch_jw_bytes(&w, "rule", rule, strlen(rule));
    return orch_audit_commit(e->audit, &w, err);
}

int orch_exec_sandbox(struct orch_exec *e, struct orch_err *err)
{
    struct orch_sandbox_args args;
    int r = orch_exec_layer(e, &args, err);

    orch_terminal_init(&e->terminal, e->opt->tty, &e->signals, NULL);
    args.tty = e->opt->tty ? &e->terminal.tty : NULL;
    args.wall_ms = e->profile->limits.wall_ms;
    if (r == 0)
        r = run(e, &args, err);
    e->ran = r == 0;
    if (r == 0 && e->failed) {
        *err = e->err;
        return e->failed;
    }
    if (r == 0)
        r = orch_audit_flush(e->audit, 0, err);
    return r < 0 ? r : audit_limit(e, err);
}
