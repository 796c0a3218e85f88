/*
 * filter_cache.h - compiled filters kept in a directory, by the digest of what they mean.
 *
 * An entry spares the call of libseccomp and nothing else: it is verified when it is read like a fresh
 * program, so the directory need not be trusted. An entry that is damaged, someone else's, or no regular file
 * is told to `note` and made anew; a directory that cannot be written means no cache, never a failure. Any
 * number of processes may share the directory: entries appear by rename, and are never changed. At most
 * ORCH_FILTER_CACHE_MAX of them stay; the ones unused for longest go first.
 */
#ifndef ORCH_POLICY_FILTER_CACHE_H
#define ORCH_POLICY_FILTER_CACHE_H

#include "common/hash.h"
#include "policy/syscalls.h"

#define ORCH_FILTER_CACHE_MAX 256

struct orch_filter_memo; /* filters verified by this very process: not verified again (filter_memo.c) */
struct orch_filter_memo *orch_filter_memo_new(void);
void orch_filter_memo_free(struct orch_filter_memo *m);
/* key: orch_filter_key of s. get: a copy of what was put for the same table and profile. m may be NULL. */
bool orch_filter_memo_get(const struct orch_filter_memo *m, const struct orch_syscalls *s, const char *key,
                          struct orch_filter *ret);
void orch_filter_memo_put(struct orch_filter_memo *m, const struct orch_syscalls *s, const char *key,
                          const struct orch_filter *f);

struct orch_filter_cache {
    int dirfd;                                 /* borrowed; -1 = none */
    void (*note)(void *ctx, const char *text); /* one line, printable ASCII; may be NULL */
    void *ctx;
    struct orch_filter_memo *memo; /* borrowed; may be NULL */
};

/* A verified filter for s, from the cache or made (and kept). cache may be NULL. Errors as orch_filter_build.
 */
int orch_filter_get(const struct orch_syscalls *s, const struct orch_filter_cache *cache,
                    struct orch_filter *ret, struct orch_err *err);
/* The name of its entry: what the program depends on, the versions of orch-sandbox and libseccomp included.
 */
void orch_filter_key(const struct orch_syscalls *s, char ret[ORCH_HEX_SIZE]);

#endif
