/*
 * apply.h - seal and apply: what may leave an attempt, and how it reaches the real workspace.
 */
#ifndef ORCH_SUPERVISOR_APPLY_H
#define ORCH_SUPERVISOR_APPLY_H

#include "sandbox/layer.h"

/*
 * The seal check (design 6): every change of the attempt's layer against the plan. `full` has the attempt's
 * upper as t[0]. A change where the profile gives no write, a kind not in `create`, a raw entry that
 * orch_layer_check refuses: integrity. Returns 0 and fills ret_problems (empty = sealed), one printable
 * sentence each.
 */
int orch_seal_check(const struct orch_view *full, const struct orch_plan *plan,
                    struct orch_strv *ret_problems, struct orch_err *err);

/* The paths (with reason) of a change list that apply must not write: design 8 "protected names". Empty =
 * safe. -EIO: the host is in trouble (orch_errno_is_host), and the list says nothing. */
int orch_apply_unsafe(const struct orch_view *full, const struct orch_changes *c,
                      const struct orch_strv *allow, struct orch_strv *ret);

struct orch_apply_stats {
    uint64_t created, modified, deleted;
};
/* What there is to be done. */
struct orch_apply_stats orch_apply_count(const struct orch_changes *c);

/*
 * Merges the changes (of `full` against its bottom) into the workspace: openat2 beneath a pinned root, no
 * symlinks, files by temporary name + fsync + rename, deletions deepest first, then modes and times of
 * directories. Each step is idempotent, so a restart after a crash finishes the work. uid/gid: owner of what
 * is created ((uid_t)-1: leave).
 */
int orch_apply(const struct orch_view *full, const struct orch_changes *c, const char *workspace, uid_t uid,
               gid_t gid, struct orch_apply_stats *ret, struct orch_err *err);

/* True for the temporary names that apply itself gives: an apply that was cut off leaves one, the next
 * removes it. */
bool orch_apply_is_temp(const char *path);
/*
 * Adds to the changes that an apply which was cut off has left what it may not have finished: every directory
 * of the layers, so that all get their modes and are synced, and those that `kept` (the fingerprint at run
 * start) does not know their times.
 */
int orch_apply_again(const struct orch_view *full, const struct orch_buf *kept, struct orch_changes *c,
                     struct orch_err *err);

/* The look at run start: entries that belong to another owner than uid and gid are counted, the first few
 * kept (escaped); what was changed after `since` (realtime) is recorded as changed, whatever it is now. */
struct orch_first_look {
    uid_t uid;
    gid_t gid;
    struct timespec since;
    size_t foreign;
    struct orch_strv first;
};

/* Fingerprint of a tree: type, ino, size, mode, mtime, ctime of every entry, sorted by path; as bytes to
 * keep. look: at run start, else NULL. */
int orch_fingerprint(const char *workspace, struct orch_buf *out, struct orch_first_look *look,
                     struct orch_err *err);
/* Paths of its directories, sorted bytewise; -EBADMSG if it is none. */
int orch_fingerprint_dirs(const struct orch_buf *kept, struct orch_strv *ret);
/* Paths that differ between a kept fingerprint and now, those matching `ignore` left out; at most `max` are
 * listed, *ret_n counts all. */
int orch_fingerprint_diff(const struct orch_buf *kept, const char *workspace, const struct orch_strv *ignore,
                          size_t max, struct orch_strv *ret, size_t *ret_n, struct orch_err *err);

#endif
