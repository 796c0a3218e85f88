/*
 * filter_cache.h - compiled filters kept in a directory, by the digest of what they mean.
 *
 * An entry spares the call of libseccomp and nothing else: it is verified at each use like a fresh program,
 * so the directory need not be trusted. An entry that is damaged, someone else's, or no regular file is told
 * to `note` and made anew; a directory that cannot be written means no cache, never a failure. Any number of
 * processes may share the directory: entries appear by rename, and are never changed. At most
 * ORCH_FILTER_CACHE_MAX of them stay; the ones unused for longest go first.
 */
#ifndef ORCH_POLICY_FILTER_CACHE_H
#define ORCH_POLICY_FILTER_CACHE_H

#include "common/hash.h"
#include "policy/syscalls.h"

#define ORCH_FILTER_CACHE_MAX 256

struct orch_filter_cache {
    int dirfd;                                 /* borrowed; -1 = none */
    void (*note)(void *ctx, const char *text); /* one line, printable ASCII; may be NULL */
    void *ctx;
};

/* A verified filter for s, from the cache or made (and kept). cache may be NULL. Errors as orch_filter_build.
 */
int orch_filter_get(const struct orch_syscalls *s, const struct orch_filter_cache *cache,
                    struct orch_filter *ret, struct orch_err *err);
/* The name of its entry: what the program depends on, the versions of orch-sandbox and libseccomp included.
 */
void orch_filter_key(const struct orch_syscalls *s, char ret[ORCH_HEX_SIZE]);

#endif
