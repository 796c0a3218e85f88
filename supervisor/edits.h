/*
 * edits.h - what others changed in the workspace since run start, path by path, and whether a change of the
 * run may still be written over it.
 *
 * Before an apply every difference is somebody else's. Once one has begun and was cut off, some are its own:
 * names it removed to make room, directories it made or made writable, link counts. Told apart here, in one
 * place, for the overlap check and for what `--theirs-kept` leaves alone.
 */
#ifndef ORCH_SUPERVISOR_EDITS_H
#define ORCH_SUPERVISOR_EDITS_H

#include "supervisor/apply.h"

struct orch_edit {
    char *path;      /* "." is the root */
    mode_t was, is;  /* with the type; 0 = not there */
    bool replaced;   /* another inode */
    bool only_ctime; /* nothing but the time of the last change of the inode */
};

struct orch_edits {
    struct orch_edit *v; /* sorted bytewise by path */
    size_t n;
};

/* Directories of which only the contents differ are left out. */
int orch_fingerprint_edits(const struct orch_buf *kept, const char *workspace, struct orch_edits *ret,
                           struct orch_err *err);
void orch_edits_fini(struct orch_edits *e);
const struct orch_edit *orch_edits_find(const struct orch_edits *e, const char *path);
/* Somebody else made the difference at c's path. again: an apply had begun. */
bool orch_edits_foreign(const struct orch_edits *e, const struct orch_change *c, bool again);
/* A directory on the way to path was removed or replaced by somebody else. root: the workspace. */
bool orch_edits_way_gone(const struct orch_edits *e, int root, const char *path, bool again);
/* The workspace itself is another directory than at run start. */
bool orch_edits_root_replaced(const struct orch_edits *e);

#endif
