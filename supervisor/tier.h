/*
 * tier.h - how much this host can enforce, found out by trying it, once per run or exec; and the cell that
 * stands for an overlay in tier nested (sandbox/nested.h).
 */
#ifndef ORCH_SUPERVISOR_TIER_H
#define ORCH_SUPERVISOR_TIER_H

#include "common/err.h"
#include "common/jsonw.h"

struct orch_tier_found {
    bool nested;
    struct orch_strv lacking; /* kernel features done without, by name */
    int landlock;             /* ABI */
};

/* Tries the kernel's newer calls. What is done without is noted; -ENOSYS + err with exit code 3 for what is
 * not to be done without in any tier. */
int orch_tier_lacking(struct orch_tier_found *t, struct orch_err *err);
/* Tries tier full as an attempt does, then the other. Exit 3 if neither works; 10 when the state directory is
 * not writable. */
int orch_tier_find(const char *state, const char *workspace, struct orch_tier_found *t, struct orch_err *err);
/* tier, landlock and lacking, into a record. */
void orch_tier_record(const struct orch_tier_found *t, struct orch_jw *w);
void orch_tier_fini(struct orch_tier_found *t);

#define ORCH_CELL_ROOT "/tmp"

/* As root, who cannot show its own directories to the agent's user otherwise: a cell in a directory for
 * temporary files, with an empty upper in it. Replaces *upper. */
int orch_cell_make(char **ret_cell, char **upper, struct orch_err *err);
/* Copies the view of these layers over the workspace into the empty upper. */
int orch_cell_fill(const struct orch_strv *below, const char *workspace, const char *upper,
                   struct orch_err *err);

#endif
