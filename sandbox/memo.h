/*
 * memo.h - paths that were resolved lately, for programs ask for the same few files again and again.
 *
 * Only what the agent cannot change is kept: an absolute path whose every step, symlinks included, lies where
 * nothing in the sandbox may write (orch_plan_is_fixed). What others change on the host is seen after at most
 * ORCH_MEMO_MS; until then a decision about the record may be a moment old, never what the kernel enforces.
 */
#ifndef ORCH_SANDBOX_MEMO_H
#define ORCH_SANDBOX_MEMO_H

#include <stdint.h>

#include "policy/plan.h"
#include "sandbox/task.h"

#define ORCH_MEMO_SLOTS 512 /* a power of two */
#define ORCH_MEMO_TEXT 200  /* longer ones are resolved each time: with the slots, the bound of its memory */
#define ORCH_MEMO_MS 1000

struct orch_memo {
    const struct orch_plan *plan;
    struct orch_memo_slot {
        char *text; /* NULL: free */
        bool nofollow;
        uint64_t until_ms;
        struct orch_path path;
    } * slots;
};

void orch_memo_init(struct orch_memo *m, const struct orch_plan *plan);
void orch_memo_fini(struct orch_memo *m);
/* True: *ret is what the text resolves to; the caller's, as from orch_task_resolve(). */
bool orch_memo_find(struct orch_memo *m, const char *text, bool nofollow, struct orch_path *ret);
/* Keeps what orch_task_resolve() said of it, if that may be kept. */
void orch_memo_keep(struct orch_memo *m, int root, const char *text, bool nofollow,
                    const struct orch_path *path);

#endif
