/*
 * filter_store.h - where compiled filters are kept: STATE/cache/filters, 0700, shared by all runs.
 *
 * Only a state directory that exists gets one; without it, or where it cannot be used, nothing is kept. What
 * the cache has to say is printed as a note.
 */
#ifndef ORCH_SUPERVISOR_FILTER_STORE_H
#define ORCH_SUPERVISOR_FILTER_STORE_H

#include "policy/filter_cache.h"

/* dirfd is owned by the result and -1 if there is no cache. state may be NULL. */
struct orch_filter_cache orch_filter_store_open(const char *state, struct orch_filter_memo *memo);
void orch_filter_store_close(struct orch_filter_cache *c);

#endif
