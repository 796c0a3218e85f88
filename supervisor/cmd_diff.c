/* cmd_diff.c - the verb `diff`: what a run, or one phase of it, changes in the workspace. Exits as diff(1).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/exit.h"
#include "supervisor/diff.h"
#include "supervisor/runs.h"

#define DIFFERENT 1 /* diff(1): 0 no difference, 1 differences, 2 trouble */
#define TROUBLE 2

struct command {
    const struct orch_options *opt;
    struct orch_rundir dir;
    struct orch_run_state s;
    size_t n_phases;         /* those whose layers are the view */
    struct orch_strv layers; /* newest first */
    struct orch_signals signals;
    struct orch_diff diff;
};

static void note(const char *text)
{
    (void)fprintf(stderr, "orch-sandbox: note: %s\n", text);
}

static int load(struct command *c, struct orch_err *err)
{
    size_t phase = 0;
    bool torn;
    int k = orch_state_resolve(c->opt->state, &c->diff.state, err);

    if (k == 0)
        k = orch_rundir_open(c->diff.state, c->opt->args[0], &c->dir, err);
    if (k < 0)
        return k;
    if (orch_rundir_never_began(c->dir.fd))
        return orch_err_exit(err, TROUBLE, ENOENT, "run '%s' has not begun: there is nothing to compare",
                             c->dir.id);
    k = orch_run_state_load(c->dir.fd, &c->s, &torn, err);
    if (k == 0 && strcmp(c->s.run, c->dir.id) != 0)
        k = orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG, "%s: record 1: it belongs to another run",
                          ORCH_JOURNAL_NAME);
    c->n_phases = c->s.n_phases;
    if (k == 0 && c->opt->n_args > 1) {
        k = orch_run_phase_arg(&c->s, c->opt->args[1], &phase, err);
        c->n_phases = phase + 1;
    }
    return k;
}

/* All gone is no crime: a run that was discarded. One that is gone fails the check of digests. */
static int check_there(const struct command *c, struct orch_err *err)
{
    size_t there = 0;
    struct stat st;

    for (size_t i = 0; i < c->layers.n; i++)
        there += lstat(c->layers.v[i], &st) == 0;
    return there || c->layers.n == 0
               ? 0
               : orch_err_exit(err, TROUBLE, ENOENT,
                               "the layers of run '%s' were removed: nothing is left to compare", c->dir.id);
}

static int open_view(struct command *c, struct orch_err *err)
{
    /* The list is made from these two members alone. */
    const struct orch_run run = {.dir = c->dir, .journal = {.state = c->s}};
    struct orch_diff *d = &c->diff;
    bool waits = c->s.waits && c->s.waiting.phase < c->n_phases;
    int k;

    if (waits) /* what is to be approved is what must be shown */
        orch_strv_add_take(&c->layers,
                           orch_rundir_path(&c->dir, "layers/%s.%u/upper",
                                            c->s.phases[c->s.waiting.phase].name, c->s.waiting.attempt));
    orch_run_layers(&run, c->n_phases, false, &c->layers);
    d->n_new = c->layers.n;
    if (c->opt->n_args > 1)
        d->n_new = c->s.phases[c->n_phases - 1].n_layers + (waits && c->s.waiting.phase + 1 == c->n_phases);
    k = check_there(c, err);
    if (k == 0)
        k = orch_layers_check(&c->dir, &c->s, c->n_phases, err);
    if (k == 0)
        k = orch_view_open(&c->layers, c->s.workspace, &d->view, err);
    return k < 0 ? k : orch_view_changes(&d->view, d->n_new, &d->changes, err);
}

static void say_what(const struct command *c)
{
    if (c->s.apply_done)
        note("the result was applied already; this compares with the workspace as it is now");
    else if (c->s.apply_intent)
        note("the result was applied in part; this compares with the workspace as it is now");
    if (c->s.open)
        note("an attempt is under way or was cut off; what it wrote is not judged and not shown");
    if (c->s.waits)
        note("the layer that waits for approval is part of it");
    if (c->diff.n_new == 0)
        note("there is no sealed layer yet");
}

/* Shows everything, whatever fails on the way; the first failure is the result. */
static int show(struct command *c, struct orch_err *err)
{
    struct orch_err later = {0};
    struct orch_diff *d = &c->diff;
    int k = orch_signals_open(false, &c->signals, err);

    if (k < 0)
        return k;
    d->signals = &c->signals;
    d->out = (struct orch_outq){.fd = STDOUT_FILENO, .wake_fd = c->signals.fd};
    k = orch_diff_collect(d, err);
    if (d->n_texts) {
        int r = orch_diff_run(d, k < 0 ? &later : err);

        k = k < 0 ? k : r;
    }
    if (!c->signals.first)
        orch_diff_show(d, d->changes.n);
    orch_diff_flush(d);
    d->out.hurry = c->signals.first != 0;
    orch_outq_drain(&d->out);
    if (d->out.error && d->out.error != EPIPE && err->errnum == 0)
        k = orch_err_sys(err, d->out.error, "cannot write");
    return k;
}

/* What went wrong is trouble, except where the state is not what was judged. */
static int conclude(const struct command *c, int k, const struct orch_err *err)
{
    int interrupted = orch_signals_exit(&c->signals);

    if (interrupted)
        return interrupted;
    if (k == 0 || err->errnum == 0) /* -EINTR: the reader is gone */
        return c->diff.changes.n ? DIFFERENT : 0;
    (void)orch_fail(err, TROUBLE);
    return err->exit_code == ORCH_EXIT_CORRUPT ? ORCH_EXIT_CORRUPT : TROUBLE;
}

int orch_cmd_diff(const struct orch_options *opt)
{
    struct command c = {.opt = opt,
                        .dir = ORCH_RUNDIR_NONE,
                        .signals.fd = -1,
                        .diff = {.held = -1, .out = {.fd = STDOUT_FILENO, .wake_fd = -1}}};
    struct orch_err err = {0};
    int code, k = load(&c, &err);

    if (k == 0)
        k = open_view(&c, &err);
    if (k == 0) {
        say_what(&c);
        k = show(&c, &err);
    }
    code = conclude(&c, k, &err);
    orch_diff_fini(&c.diff);
    orch_strv_fini(&c.layers);
    orch_run_state_fini(&c.s);
    orch_signals_close(&c.signals);
    orch_rundir_close(&c.dir);
    return code;
}
