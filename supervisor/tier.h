/*
 * tier.h - how much this host can enforce, found out by trying it, once per run or exec.
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

#endif
