/*
 * theirs.h - `apply --theirs-kept`: after a conflict, all of the run's changes but those to what others
 * changed in the workspace meanwhile.
 *
 * Which paths those are is decided before the first write and kept in the run directory (`kept.DIGEST`, each
 * path with a NUL), with the digest in the record of the intent: a restart after a crash can tell others'
 * edits from its own only in part. Asked for again when an apply was cut off and others edited what it has
 * not written yet, the list grows, under a new record.
 */
#ifndef ORCH_SUPERVISOR_THEIRS_H
#define ORCH_SUPERVISOR_THEIRS_H

#include "supervisor/run.h"

struct orch_theirs {
    struct orch_strv paths;     /* sorted */
    char digest[ORCH_HEX_SIZE]; /* "" = not asked for */
    bool renewed;               /* another list than the recorded intent's */
};

/* Takes the kept paths out of c, when the option or the recorded intent asks for it; else leaves it alone. */
int orch_theirs_keep(struct orch_run *r, struct orch_changes *c, struct orch_theirs *ret,
                     struct orch_err *err);
void orch_theirs_take_out(const struct orch_theirs *t, struct orch_changes *c);
void orch_theirs_fini(struct orch_theirs *t);

#endif
