/*
 * cmd_result.c - the verbs `apply` and `discard`: what becomes of a result that run did not apply, because it
 * was told not to or because the workspace had changed. Only what passed can be applied.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/escape.h"
#include "common/exit.h"
#include "common/io.h"
#include "supervisor/preflight.h"

static int not_passed(const struct orch_run *r, struct orch_err *err)
{
    const struct orch_run_state *s = &r->journal.state;

    return orch_err_exit(err, ORCH_EXIT_FAILED, EPERM, "run '%s' has not passed (%s): it has no result",
                         r->dir.id, orch_run_standing(s, false));
}

static bool passed(const struct orch_run_state *s)
{
    return s->ended ? s->exit_code == ORCH_EXIT_OK : !s->open && orch_run_current(s) == s->n_phases;
}

/* After the end nothing is taken up again; the audit log goes on all the same. */
static int go_on(struct orch_run *r, struct orch_err *err)
{
    return r->journal.state.ended
               ? orch_audit_open(r->dir.fd, ORCH_AUDIT_NAME, r->dir.id, true, &r->audit, err)
               : orch_run_take_up(r, err);
}

static int apply(struct orch_run *r, struct orch_err *err)
{
    const struct orch_run_state *s = &r->journal.state;
    int k = orch_run_reopen(r, r->opt->args[0], err);

    if (k < 0)
        return k;
    if (!passed(s) || s->discarded)
        return s->discarded ? orch_err_exit(err, ORCH_EXIT_BUSY, ENOENT, "run '%s' was discarded", r->dir.id)
                            : not_passed(r, err);
    if (s->apply_done && s->ended) {
        (void)printf("run %s: applied before\n", r->dir.id);
        return 0;
    }
    k = orch_run_find_workspace(r, true, err);
    if (k == 0)
        k = go_on(r, err);
    if (k == 0)
        k = orch_run_finish(r, err);
    if (k < 0)
        return k;
    if (s->exit_code != ORCH_EXIT_OK)
        return orch_err_exit(err, s->exit_code, EPERM, "%s", s->reason);
    (void)printf(
        "run %s: applied: %llu created, %llu modified, %llu deleted, %llu left as others made them\n",
        r->dir.id, (unsigned long long)s->created, (unsigned long long)s->modified,
        (unsigned long long)s->deleted, (unsigned long long)s->kept);
    return 0;
}

static int record_discarded(struct orch_run *r, struct orch_err *err)
{
    const char *reason = r->opt->reason ? r->opt->reason : "";
    ORCH_AUTO_FREE char *user = orch_user_name();
    struct orch_jw w;
    int k = go_on(r, err);

    if (k < 0)
        return k;
    orch_audit_begin(r->audit, "run", &w);
    orch_jw_str(&w, "state", "discarded");
    orch_jw_str(&w, "reason", reason);
    orch_jw_str(&w, "user", user);
    k = orch_audit_commit(r->audit, &w, err);
    if (k < 0)
        return k;
    orch_run_record(r, "discarded", &w);
    orch_jw_str(&w, "reason", reason);
    orch_jw_str(&w, "user", user);
    k = orch_run_commit(r, &w, err);
    return k < 0 ? k : orch_run_seal(r, err);
}

/* The run had not ended: giving it up ends it, by a conflict or by the operator. */
static int end_discarded(struct orch_run *r, struct orch_err *err)
{
    const char *by = r->journal.state.paused_by;
    bool conflict = by && strcmp(by, "conflict") == 0;
    ORCH_AUTO_FREE char *said = r->opt->reason ? orch_escape_str(r->opt->reason) : NULL;
    ORCH_AUTO_FREE char *reason =
        orch_xasprintf("discarded by the operator%s%s", said ? ": " : "", said ? said : "");
    int k = orch_run_take_up(r, err);

    return k < 0 ? k
                 : orch_run_end(r, "discarded", conflict ? ORCH_EXIT_BUSY : ORCH_EXIT_SIGTERM, reason, err);
}

static int discard(struct orch_run *r, struct orch_err *err)
{
    const struct orch_run_state *s = &r->journal.state;
    ORCH_AUTO_FREE char *layers = NULL;
    int k = orch_run_reopen(r, r->opt->args[0], err);

    if (k < 0)
        return k;
    if (s->apply_intent)
        return orch_err_exit(err, ORCH_EXIT_BUSY, EBUSY,
                             "run '%s' was applied%s: there is nothing to discard", r->dir.id,
                             s->apply_done ? "" : " in part (orch-sandbox apply finishes it)");
    if (!s->ended)
        k = end_discarded(r, err);
    else if (!orch_run_given_up(s)) /* else a discard that was cut off is finished */
        k = s->exit_code == ORCH_EXIT_OK ? record_discarded(r, err) : not_passed(r, err);
    if (k < 0)
        return k;
    layers = orch_rundir_path(&r->dir, "layers");
    orch_rundir_trash(&r->dir, layers);
    (void)printf("run %s: discarded\n", r->dir.id);
    return 0;
}

static int result(const struct orch_options *opt, int (*steps)(struct orch_run *r, struct orch_err *err))
{
    struct orch_options own = *opt;
    struct orch_err err = {0};
    struct orch_run r;
    int k;

    own.apply_now = true;
    orch_run_init(&r, &own);
    k = orch_signals_open(true, &r.signals, &err); /* taken in and not minded: what begins is finished */
    if (k == 0)
        k = steps(&r, &err);
    orch_outq_drain(&r.progress.err);
    if (k < 0)
        k = orch_fail(&err, ORCH_EXIT_STATE);
    orch_rundir_sweep(&r.dir);
    orch_run_fini(&r);
    return k;
}

int orch_cmd_apply(const struct orch_options *opt)
{
    return result(opt, apply);
}

int orch_cmd_discard(const struct orch_options *opt)
{
    return result(opt, discard);
}
