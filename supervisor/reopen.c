/*
 * reopen.c - a run that exists already, taken up again: by `resume`, or by a verb that decides something
 * about it. Locked and verified first, always; only what the run kept counts. See run.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/escape.h"
#include "common/exit.h"
#include "common/io.h"
#include "supervisor/keys.h"
#include "supervisor/preflight.h"

#define INPUTS_MAX (64u << 20)

int orch_run_load_inputs(const struct orch_rundir *dir, struct orch_workflow **ret, struct orch_err *err)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    ORCH_AUTO(orch_diags_fini) struct orch_diags d = {0};
    int k = orch_read_file(dir->fd, ORCH_INPUTS_NAME, INPUTS_MAX, &b);

    if (k == 0)
        k = orch_workflow_import(b.data ? b.data : "", b.len, ret, &d);
    if (k < 0)
        return orch_err_exit(err, orch_errno_is_host(-k) ? ORCH_EXIT_STATE : ORCH_EXIT_CORRUPT, -k,
                             "%s cannot be used: %s", ORCH_INPUTS_NAME, d.n ? d.v[0].msg : strerror(-k));
    return 0;
}

struct spent {
    const char *phase;
    unsigned attempt;
    uint64_t denials;
};

static int add_denials(void *ctx, const struct orch_json *rec)
{
    struct spent *sp = ctx;
    const cJSON *root = orch_json_root(rec);
    const char *event = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "event"));
    const char *phase = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "phase"));
    const cJSON *attempt = cJSON_GetObjectItemCaseSensitive(root, "attempt");
    const cJSON *count = cJSON_GetObjectItemCaseSensitive(root, "count");

    if (event && phase && strcmp(event, "denial") == 0 && strcmp(phase, sp->phase) == 0 &&
        cJSON_IsNumber(attempt) && attempt->valuedouble == sp->attempt && cJSON_IsNumber(count) &&
        !cJSON_GetObjectItemCaseSensitive(root, "quiet") && !cJSON_GetObjectItemCaseSensitive(root, "gate"))
        sp->denials += (uint64_t)count->valuedouble;
    return 0;
}

/* The journal's heartbeat is a few seconds old; the audit log has what was written since. */
static int recount_denials(struct orch_run *r, struct orch_err *err)
{
    const struct orch_run_state *s = &r->journal.state;
    struct spent sp = {.phase = s->phases[s->open_phase].name, .attempt = s->open_attempt};
    bool torn;
    int k = orch_chain_read(r->dir.fd, ORCH_AUDIT_NAME, add_denials, &sp, &torn, NULL, err);

    if (k == 0 && s->open_denials + sp.denials > r->denials)
        r->denials = s->open_denials + sp.denials;
    return k;
}

/* A dead supervisor's attempt: dropped, not counted against `attempts`; its time and denials stay spent. */
static int drop_open(struct orch_run *r, struct orch_err *err)
{
    int k = r->journal.state.open ? recount_denials(r, err) : 0;

    return k == 0 && r->journal.state.open ? orch_run_drop(r, ORCH_DROP_CRASH, err) : k;
}

/* Whatever lies at the path now: it must be the directory itself, not a link to somewhere else. */
int orch_run_find_workspace(struct orch_run *r, bool ignore_submounts, struct orch_err *err)
{
    const char *was = r->journal.state.workspace;
    int k = orch_preflight_workspace(was, r->state, ignore_submounts, &r->workspace, err);

    if (k == 0 && strcmp(r->workspace, was) != 0) {
        ORCH_AUTO_FREE char *shown = orch_escape_str(was);
        k = orch_err_exit(err, ORCH_EXIT_BUSY, EBUSY, "the workspace '%s' leads somewhere else now", shown);
    }
    return k;
}

/* A crash between the end and its seal: the logs are verified, so the seal can be made now. */
int orch_run_seal_again(struct orch_run *r, struct orch_err *err)
{
    struct stat st;
    int k;

    if (fstatat(r->dir.fd, ORCH_SEAL_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
        return 0;
    k = orch_audit_open(r->dir.fd, ORCH_AUDIT_NAME, r->dir.id, true, &r->audit, err);
    return k < 0 ? k : orch_run_seal(r, err);
}

int orch_run_reopen(struct orch_run *r, const char *id, struct orch_err *err)
{
    const struct orch_run_state *s = &r->journal.state;
    int k = orch_preflight_inside(err);

    if (k == 0)
        k = orch_state_resolve(r->opt->state, &r->state, err);
    if (k == 0)
        k = orch_keys_check(r->state, err);
    if (k == 0)
        k = orch_rundir_open(r->state, id, &r->dir, err);
    if (k == 0)
        k = orch_rundir_lock(&r->dir, err);
    if (k == 0)
        k = orch_run_verify(&r->dir, NULL, NULL, err);
    if (k == 0)
        k = orch_journal_continue(r->dir.fd, &r->journal, err);
    if (k < 0)
        return k;
    r->spent_before_ms = s->spent_ms;
    r->denials = s->denials;
    r->session_ms = orch_now_ms();
    k = orch_run_load_inputs(&r->dir, &r->wf, err);
    return k < 0 ? k : orch_run_state_fits(s, r->wf, err);
}

static int audit_resume(struct orch_run *r, struct orch_err *err)
{
    struct orch_jw w;
    int k = orch_audit_scope(r->audit, NULL, 0, NULL, err);

    if (k < 0)
        return k;
    orch_audit_begin(r->audit, "run", &w);
    orch_jw_str(&w, "state", "resume");
    orch_jw_str(&w, "journal_head", r->journal.state.head);
    return orch_audit_commit(r->audit, &w, err);
}

int orch_run_take_up(struct orch_run *r, struct orch_err *err)
{
    struct orch_jw w;
    int k = orch_audit_open(r->dir.fd, ORCH_AUDIT_NAME, r->dir.id, true, &r->audit, err);

    if (k < 0)
        return k;
    orch_run_record(r, "resumed", &w);
    k = orch_run_commit(r, &w, err);
    if (k == 0)
        k = audit_resume(r, err);
    if (k == 0)
        k = drop_open(r, err);
    return k;
}
