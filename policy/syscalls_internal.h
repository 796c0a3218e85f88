/* syscalls_internal.h - shared by syscalls.c and syscalls_args.c only. */
#ifndef ORCH_POLICY_SYSCALLS_INTERNAL_H
#define ORCH_POLICY_SYSCALLS_INTERNAL_H

#include "policy/syscalls.h"

/* A call that is permitted or not by the values of its registers alone. */
struct orch_sc_judged {
    int nr;
    const struct orch_sc_fast *fast;
    uint8_t n_fast,
        n_fast_inet; /* the first n_fast are always usable, the rest up to n_fast_inet only with inet */
    const char *origin;
    void (*judge)(const struct orch_syscalls *s, const uint64_t args[6], struct orch_sc_answer *ret);
};

/* The row of nr, or NULL: then registers do not matter. */
const struct orch_sc_judged *orch_sc_find_judged(int nr);

#endif
