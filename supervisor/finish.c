/* finish.c - every phase passed: conflict check, unsafe check, apply, final verdict (design 8). */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/escape.h"
#include "common/exit.h"
#include "common/io.h"
#include "supervisor/edits.h"
#include "supervisor/output.h"
#include "supervisor/run.h"
#include "supervisor/theirs.h"

#define SHOWN_MAX 10
#define FINGERPRINT_MAX (1u << 30)

static void add_list(const struct orch_run *r, struct orch_buf *out, const struct orch_strv *sv, size_t total)
{
    for (size_t i = 0; i < sv->n && i < SHOWN_MAX; i++) {
        ORCH_AUTO_FREE char *masked = orch_mask_str(&r->secrets, sv->v[i]);
        const char *text = masked ? masked : sv->v[i];

        orch_buf_str(out, i ? ", " : " ");
        orch_escape_term(out, text, strlen(text));
    }
    if (total > SHOWN_MAX)
        orch_buf_printf(out, " and %zu more", total - SHOWN_MAX);
}

static int note_conflict(struct orch_run *r, struct orch_err *err)
{
    struct orch_jw w;
    int k;

    if (r->journal.state.ended) /* an apply afterwards: the verdict stands */
        return 0;
    orch_run_record(r, "paused", &w);
    orch_jw_str(&w, "by", "conflict");
    orch_jw_str(&w, "phase", NULL);
    k = orch_run_commit(r, &w, err);
    return k < 0 ? k : orch_run_seal(r, err);
}

#define DECIDE "; look with: orch-sandbox diff %s; then decide: apply --theirs-kept%s"

/* What is applied in part can only be finished. */
static const char *or_discard(const struct orch_run *r)
{
    return r->journal.state.apply_intent ? "" : ", or discard";
}

/* The workspace as it was at run start, or exit 9 with the paths that differ. The run can be resumed
 * afterwards. */
static int check_conflict(struct orch_run *r, struct orch_err *err)
{
    ORCH_AUTO_BUF struct orch_buf kept = {0};
    ORCH_AUTO_BUF struct orch_buf list = {0};
    struct orch_strv paths = {0};
    size_t n = 0;
    int k = orch_read_file(r->dir.fd, ORCH_FINGERPRINT_NAME, FINGERPRINT_MAX, &kept);

    if (k < 0)
        return orch_err_exit(err, orch_errno_is_host(-k) ? ORCH_EXIT_STATE : ORCH_EXIT_CORRUPT, -k,
                             "the fingerprint of the workspace cannot be read");
    k = orch_fingerprint_diff(&kept, r->workspace, &r->wf->ignore_changes, SHOWN_MAX, &paths, &n, err);
    if (k < 0 && err->exit_code == 0)
        err->exit_code = orch_errno_is_host(err->errnum) ? ORCH_EXIT_STATE : ORCH_EXIT_BUSY;
    add_list(r, &list, &paths, n);
    orch_strv_fini(&paths);
    if (k < 0 || n == 0)
        return k;
    k = note_conflict(r, err);
    if (k < 0)
        return k;
    return orch_err_exit(err, ORCH_EXIT_BUSY, EBUSY,
                         "the workspace changed during the run, nothing was applied; %zu path%s:%s" DECIDE, n,
                         n == 1 ? "" : "s", list.data, r->dir.id, or_discard(r));
}

/* Where the run and somebody else changed the same entry. */
static size_t count_overlap(const struct orch_changes *c, const struct orch_edits *edits, bool again,
                            struct orch_strv *ret)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n; i++) {
        const struct orch_change *x = &c->v[i];

        if (orch_apply_is_temp(x->path) || !orch_edits_foreign(edits, x, again))
            continue;
        if (n++ < SHOWN_MAX)
            orch_strv_add(ret, x->path);
    }
    return n;
}

static int read_edits(struct orch_run *r, struct orch_edits *ret, struct orch_err *err)
{
    ORCH_AUTO_BUF struct orch_buf kept = {0};
    int k = orch_read_file(r->dir.fd, ORCH_FINGERPRINT_NAME, FINGERPRINT_MAX, &kept);

    if (k < 0)
        return orch_err_exit(err, orch_errno_is_host(-k) ? ORCH_EXIT_STATE : ORCH_EXIT_CORRUPT, -k,
                             "the fingerprint of the workspace cannot be read");
    k = orch_fingerprint_edits(&kept, r->workspace, ret, err);
    if (k < 0 && err->exit_code == 0)
        err->exit_code = orch_errno_is_host(err->errnum) ? ORCH_EXIT_STATE : ORCH_EXIT_BUSY;
    return k;
}

/*
 * Neither `ignore_changes` nor a crash in the middle of apply may cost somebody their edit: an entry that is
 * not as it was at run start, and not yet as it is to become, is a conflict. (What apply wrote before a crash
 * is in no change list any more.)
 */
static int check_overlap(struct orch_run *r, const struct orch_changes *c, struct orch_err *err)
{
    ORCH_AUTO_BUF struct orch_buf list = {0};
    ORCH_AUTO(orch_edits_fini) struct orch_edits edits = {0};
    ORCH_AUTO(orch_strv_fini) struct orch_strv both = {0};
    size_t n;
    int k = read_edits(r, &edits, err);

    if (k == 0 && orch_edits_root_replaced(&edits))
        k = orch_err_exit(err, ORCH_EXIT_BUSY, EBUSY,
                          "the workspace is another directory than at run start: nothing more is applied");
    if (k < 0)
        return k;
    n = count_overlap(c, &edits, r->journal.state.apply_intent, &both);
    add_list(r, &list, &both, n);
    if (n == 0)
        return 0;
    k = note_conflict(r, err);
    if (k < 0)
        return k;
    return orch_err_exit(
        err, ORCH_EXIT_BUSY, EBUSY,
        "%zu entr%s changed both by the run and in the workspace, nothing more was applied:%s" DECIDE, n,
        n == 1 ? "y was" : "ies were", list.data, r->dir.id, or_discard(r));
}

static void put_stats(struct orch_jw *w, const char *state, const struct orch_apply_stats *n,
                      const struct orch_theirs *t)
{
    orch_jw_str(w, "state", state);
    orch_jw_uint(w, "created", n->created);
    orch_jw_uint(w, "modified", n->modified);
    orch_jw_uint(w, "deleted", n->deleted);
    orch_jw_uint(w, "kept", t->paths.n);
    orch_jw_str(w, "kept_digest", t->digest);
}

static int record_apply(struct orch_run *r, const char *state, const struct orch_apply_stats *n,
                        const struct orch_theirs *t, struct orch_err *err)
{
    struct orch_jw w;
    int k;

    orch_audit_begin(r->audit, "apply", &w);
    put_stats(&w, state, n, t);
    k = orch_audit_commit(r->audit, &w, err);
    if (k == 0)
        k = orch_run_sync_audit(r, err);
    if (k < 0)
        return k;
    orch_run_record(r, "apply", &w);
    put_stats(&w, state, n, t);
    return orch_run_commit(r, &w, err);
}

int orch_workspace_apply(const struct orch_view *full, const struct orch_changes *c, const char *workspace,
                         struct orch_apply_stats *ret, struct orch_err *err)
{
    uid_t uid = (uid_t)-1;
    gid_t gid = (gid_t)-1;
    struct stat st;
    int k;

    if (stat(workspace, &st) < 0)
        return orch_err_exit(err, ORCH_EXIT_STATE, errno, "the workspace cannot be read");
    if (orch_is_root()) { /* what the agent's user made belongs to the workspace's owner outside */
        uid = st.st_uid;
        gid = st.st_gid;
    }
    k = orch_apply(full, c, workspace, uid, gid, ret, err);
    if (k < 0 && err->exit_code == 0)
        err->exit_code = ORCH_EXIT_STATE;
    return k;
}

int orch_workspace_lock(const char *workspace, struct orch_err *err)
{
    ORCH_AUTO_FD int fd = open(workspace, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return orch_err_exit(err, ORCH_EXIT_STATE, errno, "the workspace cannot be opened: %s",
                             strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return orch_err_exit(err, ORCH_EXIT_BUSY, errno,
                             "another run is applying to this workspace; resume this one afterwards");
    return ORCH_TAKE_FD(fd);
}

/* After the first write nothing can be called unsafe that was not before, but for what others did meanwhile.
 */
static int unsafe_now(struct orch_run *r, const struct orch_buf *found, struct orch_err *err)
{
    int k = note_conflict(r, err);

    return k < 0 ? k
                 : orch_err_exit(err, ORCH_EXIT_BUSY, EPERM,
                                 "the workspace changed: what is left to apply would be unsafe in it now:%s",
                                 found->data);
}

/* The unsafe check; ends the run when something is found (*ret_ended). */
static int check_unsafe(struct orch_run *r, const struct orch_view *full, const struct orch_changes *c,
                        bool *ret_ended, struct orch_err *err)
{
    ORCH_AUTO_BUF struct orch_buf reason = {0};
    struct orch_strv unsafe = {0};
    int k = orch_apply_unsafe(full, c, &r->wf->apply_allow, &unsafe);

    *ret_ended = false;
    if (k < 0)
        (void)orch_err_exit(err, ORCH_EXIT_STATE, -k, "the changes cannot be judged now");
    else if (unsafe.n && r->journal.state.apply_intent) {
        add_list(r, &reason, &unsafe, unsafe.n);
        k = unsafe_now(r, &reason, err);
    } else if (unsafe.n) {
        orch_buf_str(&reason, "unsafe: nothing was applied;");
        for (size_t i = 0; i < unsafe.n; i++) {
            ORCH_AUTO_FREE char *masked = orch_mask_str(&r->secrets, unsafe.v[i]);

            orch_progress_note(&r->progress, "unsafe: %s", masked ? masked : unsafe.v[i]);
        }
        add_list(r, &reason, &unsafe, unsafe.n);
        *ret_ended = true;
        k = r->journal.state.ended ? orch_err_exit(err, ORCH_EXIT_FAILED, EPERM, "%s", reason.data)
                                   : orch_run_end(r, "unsafe", ORCH_EXIT_FAILED, reason.data, err);
    }
    orch_strv_fini(&unsafe);
    return k;
}

/* What an apply that was cut off has still to do; the workspace itself is in no change list. */
static int apply_again(struct orch_run *r, const struct orch_view *full, struct orch_changes *c,
                       const struct orch_theirs *t, struct orch_apply_stats *n, struct orch_err *err)
{
    ORCH_AUTO_BUF struct orch_buf kept = {0};
    int k = orch_read_file(r->dir.fd, ORCH_FINGERPRINT_NAME, FINGERPRINT_MAX, &kept);

    k = k < 0 ? orch_err_sys(err, -k, "the fingerprint of the workspace")
              : orch_apply_again(full, &kept, c, err);
    orch_theirs_take_out(t, c);
    if (k == 0)
        k = orch_workspace_apply(full, c, r->workspace, n, err);
    if (k == 0 && (k = orch_fsync_dir(AT_FDCWD, r->workspace)) < 0)
        (void)orch_err_sys(err, -k, "the workspace cannot be written to disk");
    if (k < 0 && err->exit_code == 0)
        err->exit_code = ORCH_EXIT_STATE;
    return k;
}

/* Ends the run, unless it had ended before and is only applied now. */
static int end_passed(struct orch_run *r, const char *reason, struct orch_err *err)
{
    return r->journal.state.ended ? orch_run_seal(r, err)
                                  : orch_run_end(r, ORCH_PASSED, ORCH_EXIT_OK, reason, err);
}

static int end_applied(struct orch_run *r, struct orch_err *err)
{
    ORCH_AUTO_FREE char *reason = NULL;

    if (!*r->journal.state.kept_digest)
        return end_passed(r, "every phase passed; the changes were applied", err);
    reason =
        orch_xasprintf("every phase passed; the changes were applied to a workspace that others had changed, "
                       "which no gate saw; %" PRIu64 " paths were left as others made them",
                       r->journal.state.kept);
    return end_passed(r, reason, err);
}

/* The checks before the first write, and again before a restart goes on: nobody's edit may be lost. */
static int check_edits(struct orch_run *r, const struct orch_changes *c, const struct orch_theirs *t,
                       struct orch_err *err)
{
    bool again = r->journal.state.apply_intent;
    int k = 0;

    if (!again && !*t->digest)
        k = check_conflict(r, err);
    if (k == 0 && (again || (r->wf->ignore_changes.n && !*t->digest)))
        k = check_overlap(r, c, err);
    return k;
}

static int write_changes(struct orch_run *r, const struct orch_view *full, struct orch_changes *c,
                         const struct orch_theirs *t, struct orch_err *err)
{
    const struct orch_run_state *s = &r->journal.state;
    struct orch_apply_stats n = orch_apply_count(c);
    bool again = s->apply_intent;
    int k = 0;

    if (again) /* the first intent says how many there were */
        n = (struct orch_apply_stats){.created = s->created, .modified = s->modified, .deleted = s->deleted};
    if (!again || t->renewed)
        k = record_apply(r, "intent", &n, t, err);
    if (k == 0)
        k = again ? apply_again(r, full, c, t, &n, err)
                  : orch_workspace_apply(full, c, r->workspace, &n, err);
    if (k < 0)
        return k;
    /* After a crash the rest alone would be counted; the intent says how many there were. */
    n = (struct orch_apply_stats){.created = s->created, .modified = s->modified, .deleted = s->deleted};
    return record_apply(r, "done", &n, t, err);
}

static int apply_changes(struct orch_run *r, const struct orch_view *full, struct orch_changes *c,
                         struct orch_err *err)
{
    ORCH_AUTO(orch_theirs_fini) struct orch_theirs theirs = {0};
    bool ended = false;
    int k = orch_theirs_keep(r, c, &theirs, err);

    if (k == 0)
        k = check_unsafe(r, full, c, &ended, err);
    if (k < 0 || ended)
        return k;
    k = check_edits(r, c, &theirs, err);
    if (k == 0)
        k = write_changes(r, full, c, &theirs, err);
    return k < 0 ? k : end_applied(r, err);
}

static int apply_layers(struct orch_run *r, struct orch_err *err)
{
    struct orch_strv layers = {0};
    struct orch_view full = {0};
    struct orch_changes changes = {0};
    int k;

    orch_run_layers(r, r->wf->n_phases, false, &layers);
    k = orch_view_open(&layers, r->workspace, &full, err);
    if (k == 0)
        k = orch_view_changes(&full, layers.n, &changes, err);
    if (k < 0 && err->exit_code == 0)
        err->exit_code = ORCH_EXIT_STATE;
    if (k == 0)
        k = apply_changes(r, &full, &changes, err);
    orch_changes_fini(&changes);
    orch_view_fini(&full);
    orch_strv_fini(&layers);
    return k;
}

/* What may be applied, or need not be. */
static bool wanted(const struct orch_run *r)
{
    return r->opt->apply_now || (r->journal.state.apply && !r->opt->no_apply);
}

static int finish(struct orch_run *r, struct orch_err *err)
{
    const struct orch_run_state *s = &r->journal.state;
    ORCH_AUTO_FD int lock = -1;
    int k = orch_run_check_layers(r, s->n_phases, err);

    if (k < 0)
        return k;
    lock = orch_workspace_lock(r->workspace, err);
    if (lock < 0)
        return lock;
    if (s->apply_done)
        return end_applied(r, err);
    /* Once the intent is recorded, the workspace may hold part of the changes: only finishing is left. */
    if (s->apply_intent || r->opt->theirs_kept)
        return apply_layers(r, err);
    k = check_conflict(r, err);
    if (k < 0)
        return k;
    return wanted(r) ? apply_layers(r, err) : end_passed(r, "every phase passed; not applied, as asked", err);
}

int orch_run_finish(struct orch_run *r, struct orch_err *err)
{
    struct orch_err later = {0};
    int k = finish(r, err);

    if (k < 0 &&
        r->journal.state.apply_intent) /* left in the middle: both logs' ends are held all the same */
        (void)orch_run_seal(r, &later);
    return k;
}
