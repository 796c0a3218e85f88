/* cmd_run.c - the verbs `run` and `resume`: two ways into one loop. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/exit.h"
#include "policy/filter_cache.h"
#include "common/io.h"
#include "supervisor/preflight.h"

/* Diagnostics have been printed: nothing is left to say. HOST: not the documents are at fault. */
#define PRINTED (-EINVAL)
#define PRINTED_HOST (-EIO)

static int check_until(const struct orch_run *r, struct orch_err *err)
{
    const char *until = r->opt->until;

    for (size_t i = 0; until && i < r->wf->n_phases; i++)
        if (strcmp(r->wf->phases[i].name, until) == 0)
            return 0;
    return until ? orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL, "--until: the workflow has no such phase") : 0;
}

static int printed(int k, struct orch_diags *d)
{
    int host = d->host_errno;

    orch_diags_print(d, STDERR_FILENO);
    orch_diags_fini(d);
    if (k == 0)
        return 0;
    return host ? PRINTED_HOST : PRINTED;
}

static int load_workflow(struct orch_run *r, const char *path)
{
    struct orch_diags d = {0};
    int k = orch_workflow_load(path, &r->wf, &d);

    return printed(k, &d);
}

static int compile_plans(struct orch_run *r)
{
    struct orch_diags d = {0};
    int k = orch_preflight_plans(r, &d);

    return printed(k, &d);
}

/* What `run` and `resume` check alike, once workflow, state directory and workspace are known. */
static int prepare(struct orch_run *r, struct orch_err *err)
{
    int k;

    r->closures = orch_state_closures(r->state);
    r->filters = orch_filter_memo_new();
    k = compile_plans(r);
    if (k == 0)
        k = orch_preflight_all_limits(r, err);
    if (k == 0)
        k = orch_preflight_tier(r, err);
    if (k == 0)
        orch_closure_cache_save(r->closures);
    if (k == 0)
        orch_preflight_room(r, &r->progress);
    return k < 0 ? k : orch_signals_open(true, &r->signals, err);
}

static void print(const struct orch_buf *b)
{
    (void)orch_write_all(STDOUT_FILENO, b->data ? b->data : "", b->len);
}

/* The closing summary: all of it, or with --quiet the verdict alone, and that only if it is no pass. */
static void print_summary(const struct orch_run *r)
{
    const struct orch_run_state *s = &r->journal.state;
    ORCH_AUTO_BUF struct orch_buf b = {0};

    if (!s->started)
        return;
    if (r->opt->json)
        orch_summary_json(s, false, &b);
    else if (!r->opt->quiet)
        orch_summary_text(s, r->dir.id, !s->ended, false, &b);
    else if (!s->ended || s->exit_code != ORCH_EXIT_OK || s->n_overrides)
        orch_buf_printf(&b, "run %s: %s\n", r->dir.id, orch_run_standing(s, false));
    print(&b);
}

/* The exit status of it all; the error is printed here and nowhere else. */
static int conclude(struct orch_run *r, int k, struct orch_err *err)
{
    int code = k;

    orch_progress_phase(&r->progress, NULL, 0);
    r->progress.out.hurry = r->progress.err.hurry = r->signals.first != 0;
    orch_outq_drain(&r->progress.out);
    orch_outq_drain(&r->progress.err);
    if (k < 0 && err->errnum == 0)
        code = k == PRINTED_HOST ? ORCH_EXIT_STATE : ORCH_EXIT_USAGE;
    else if (k < 0)
        code = orch_fail(err, ORCH_EXIT_STATE);
    print_summary(r);
    orch_rundir_sweep(&r->dir); /* nobody waits any more */
    return code;
}

static void show_start(struct orch_run *r, const char *event)
{
    struct orch_jw w;

    orch_progress_note(&r->progress, "run %s", r->dir.id);
    orch_progress_begin(&r->progress, event, &w);
    orch_jw_str(&w, "run", r->dir.id);
    orch_jw_str(&w, "workflow", r->wf->name);
    orch_jw_str(&w, "workspace", r->workspace);
    orch_progress_end(&r->progress, &w);
}

static int describe(struct orch_run *r)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};

    orch_preflight_describe(r, &b);
    print(&b);
    return ORCH_EXIT_OK;
}

static int run_checks(struct orch_run *r, struct orch_err *err)
{
    int k = orch_overrides_permitted(r->opt, err);

    if (k == 0)
        k = orch_preflight_inside(err);
    if (k == 0)
        k = load_workflow(r, r->opt->args[0]);
    if (k == 0)
        k = check_until(r, err);
    if (k == 0)
        k = orch_overrides_check(r->opt, r->wf, NULL, err);
    if (k == 0 && r->opt->run_id && !orch_run_id_valid(r->opt->run_id))
        k = orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL,
                          "--run-id: letters, digits, '.', '_' and '-', at most 64");
    if (k == 0)
        k = orch_state_resolve(r->opt->state, &r->state, err);
    if (k == 0)
        k = orch_preflight_workspace(r->opt->workspace, r->state, r->opt->ignore_submounts, &r->workspace,
                                     err);
    if (k == 0)
        orch_preflight_notes(r->workspace, &r->progress);
    return k < 0 ? k : prepare(r, err);
}

static int run_steps(struct orch_run *r, struct orch_err *err)
{
    int k = run_checks(r, err);

    if (k < 0)
        return k;
    if (r->opt->dry_run)
        return describe(r);
    k = orch_rundir_create(r->state, r->opt->run_id, &r->dir, err);
    if (k < 0)
        return k;
    orch_rundir_drives(&r->dir);
    show_start(r, "run");
    k = orch_run_start(r, err);
    if (k == 0)
        k = orch_overrides_record(r, err);
    return k < 0 ? k : orch_run_drive(r, err);
}

int orch_cmd_run(const struct orch_options *opt)
{
    struct orch_err err = {0};
    struct orch_run r;
    int code;

    orch_run_init(&r, opt);
    code = conclude(&r, run_steps(&r, &err), &err);
    orch_run_fini(&r);
    return code;
}

/* ---- resume ---- */

static int resume_continue(struct orch_run *r, struct orch_err *err)
{
    int k = check_until(r, err);

    if (k == 0)
        k = orch_run_find_workspace(r, r->opt->ignore_submounts, err);
    if (k == 0)
        k = prepare(r, err);
    if (k < 0)
        return k;
    orch_rundir_drives(&r->dir);
    show_start(r, "resume");
    k = orch_run_take_up(r, err);
    if (k == 0 && !*r->journal.state.fingerprint_digest)
        k = orch_print_start(r, err);
    if (k == 0)
        k = orch_overrides_record(r, err);
    return k < 0 ? k : orch_run_drive(r, err);
}

static int resume_steps(struct orch_run *r, struct orch_err *err)
{
    int k = orch_overrides_permitted(r->opt, err);

    if (k == 0)
        k = orch_run_reopen(r, r->opt->args[0], err);
    if (k == 0)
        k = orch_overrides_check(r->opt, r->wf, &r->journal.state, err);
    if (k == 0 && r->journal.state.ended)
        k = orch_run_seal_again(r, err);
    if (k < 0)
        return k;
    return r->journal.state.ended ? r->journal.state.exit_code : resume_continue(r, err);
}

int orch_cmd_resume(const struct orch_options *opt)
{
    struct orch_err err = {0};
    struct orch_run r;
    int code;

    orch_run_init(&r, opt);
    code = conclude(&r, resume_steps(&r, &err), &err);
    orch_run_fini(&r);
    return code;
}
