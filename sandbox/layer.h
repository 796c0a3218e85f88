/*
 * layer.h - reading overlay layers from outside, without mounting them.
 *
 * A view is a stack of trees, newest first; the last one is the real workspace, the others are overlay upper
 * directories made with `userxattr`: whiteouts are character devices 0:0, an opaque directory has
 * user.overlay.opaque = "y". Everything here walks by descriptor beneath pinned roots, follows no symlink, is
 * iterative, and treats names as bytes. Nothing is written except by orch_layer_scaffold and
 * orch_layer_restore. Sources: Documentation/filesystems/overlayfs.rst; notes on CVE-2018-15664 (symlink
 * races) for the openat2 flags.
 */
#ifndef ORCH_SANDBOX_LAYER_H
#define ORCH_SANDBOX_LAYER_H

#include "common/err.h"
#include "common/hash.h"
#include "common/io.h"
#include "policy/plan.h"

struct orch_view {
    struct orch_view_tree {
        char *path; /* the upper directory, or the workspace */
        int fd;     /* O_PATH|O_DIRECTORY, pinned */
        bool layer; /* an upper directory: whiteouts and opaque marks count */
    } * t;
    size_t n;
};

/* layers: upper directories newest first (may be empty); workspace last (may be NULL: no bottom). */
int orch_view_open(const struct orch_strv *layers, const char *workspace, struct orch_view *ret,
                   struct orch_err *err);
void orch_view_fini(struct orch_view *v);

struct orch_entry {
    char type;   /* 'f' file, 'd' directory, 'l' symlink, 'p' FIFO, 's' socket, 'c' 'b' device, 0 absent */
    mode_t mode; /* permission bits with setuid, setgid, sticky */
    uint64_t size;
    struct timespec mtime;
    nlink_t nlink;
    uid_t uid;
    gid_t gid;
    size_t tree;  /* index of the tree where it was found */
    char *target; /* symlink target, owned; NULL otherwise */
};

void orch_entry_fini(struct orch_entry *e);
/* What the merged view has at path (relative, "" or "." = root). Absent (also beneath a non-directory,
 * whiteout or opaque cut) is success with type 0. A symlink in the middle of the path makes it absent: the
 * object's own path is what counts. */
int orch_view_lookup(const struct orch_view *v, const char *path, struct orch_entry *ret);
/* Opens a regular file of the merged view read-only, O_NONBLOCK; -ENOENT, -ELOOP (symlink on the way),
 * -EINVAL (not a regular file). */
int orch_view_open_file(const struct orch_view *v, const char *path);
/* Sorted names of the merged directory. */
int orch_view_list(const struct orch_view *v, const char *path, struct orch_strv *ret);

enum orch_change_kind {
    ORCH_CREATED,
    ORCH_DELETED,
    ORCH_MODIFIED
}; /* MODIFIED: type, mode, target or bytes differ */

struct orch_change {
    char *path; /* relative to the workspace */
    enum orch_change_kind kind;
    struct orch_entry before, after;
};

struct orch_changes {
    struct orch_change *v; /* sorted bytewise by path, unique */
    size_t n;
};

/*
 * What differs between the merged view `full` and the merged view of its older trees full->t[n_new..]. A
 * change is design 6's: type, mode, link target or bytes; times, unchanged copy-ups and parents are none;
 * deleting or replacing a directory lists everything that was beneath it. Directory modes count; owner does
 * not. 0 or -errno + err.
 */
int orch_view_changes(const struct orch_view *full, size_t n_new, struct orch_changes *ret,
                      struct orch_err *err);
void orch_changes_fini(struct orch_changes *c);

/*
 * The raw upper directory: digest over every entry, sorted by path (path, type, mode, size, bytes, link
 * target, whiteout, opaque), and refusal (-EBADMSG + err) of what no agent could have made lawfully: devices
 * other than whiteouts, FIFOs, sockets, setuid/setgid files, file capabilities, trusted.* or unknown
 * user.overlay.* attributes, redirects, metacopy. The digest of an empty or missing upper is that of no
 * entries.
 */
int orch_layer_digest(const char *upper, char ret[ORCH_HEX_SIZE], struct orch_err *err);
int orch_layer_check(const char *upper, struct orch_err *err);
/* Bytes and entries held by an upper directory (st_blocks * 512). Cheap walk, for the workspace limit. */
int orch_layer_usage(const char *upper, uint64_t *ret_bytes, uint64_t *ret_entries);
/* Makes every file and directory beneath path durable: a few by fsync, many by syncfs. */
int orch_layer_sync(const char *path);

/* May the plan want a scaffold: does it hide something of the workspace, or put something private in it? */
bool orch_layer_wants_scaffold(const struct orch_plan *plan);
/*
 * Writes into the empty directory `dir` an overlay layer that makes the plan's view true without leaving
 * ghosts in any upper: whiteouts for paths with access none (literal ones, and for anywhere-rules all
 * existing ones found by walking the view), and directories as mount points for scratch paths. Parents get
 * the mode and times of the merged view's. uid/gid: owner of what is made ((uid_t)-1: leave). *ret_used =
 * false when nothing was needed.
 */
int orch_layer_scaffold(const struct orch_view *v, const struct orch_plan *plan, const char *dir, uid_t uid,
                        gid_t gid, bool *ret_used, struct orch_err *err);
/*
 * Writes into the empty directory `dir` a layer that puts every path matching globs back to what `base` has:
 * copies of base's files and symlinks, whiteouts for what base does not have, directories where base has
 * directories.
 */
int orch_layer_restore(const struct orch_view *full, const struct orch_view *base,
                       const struct orch_strv *globs, const char *dir, uid_t uid, gid_t gid,
                       struct orch_err *err);

/*
 * Tier nested. Copies the merged view into the empty directory `dir`; what belongs to the owner of its top
 * gets uid and gid ((uid_t)-1: ours). What is neither file, directory nor symlink is left out.
 */
int orch_layer_copy(const struct orch_view *v, const char *dir, uid_t uid, gid_t gid, struct orch_err *err);
/* Turns such a copy, as the agent left it, into the upper directory that an overlay over the same view would
 * hold: what differs, and whiteouts. In place. */
int orch_layer_turn(const char *copy, const struct orch_strv *below, const char *workspace,
                    struct orch_err *err);
/* Puts an upper directory in the place of an empty one, also of another file system. -EBADMSG: it holds what
 * no layer may. */
int orch_layer_move(const char *from, const char *to, struct orch_err *err);

#endif
