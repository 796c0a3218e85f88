/*
 * usage.h - what a running tree has on disk: its layer of the workspace and of a home that is kept. An
 * ordinary user has no quota on disk, so it is measured, now and then and once more when the tree is dead.
 */
#ifndef ORCH_SANDBOX_USAGE_H
#define ORCH_SANDBOX_USAGE_H

#include "sandbox/sandbox.h"

struct orch_usage_base { /* what was there from the start: in tier nested a copy of the workspace, else
                            nothing */
    uint64_t bytes, entries;
};

/* 0 or -errno. */
int orch_usage_begin(const struct orch_sandbox_args *a, struct orch_usage_base *ret);
/*
 * The limit that is exceeded: "workspace", "workspace_files", "home", "tmp", or NULL. proc: the sandbox's own
 * /proc, -1 if it has none or is dead. While it lives, files that have no name any more but are open count
 * too (where there is such a /proc), and a directory that is shut to us is as good as over the limit: it
 * could hide any amount.
 */
const char *orch_usage_over(const struct orch_sandbox_args *a, const struct orch_usage_base *base, bool alive,
                            int proc);

#endif
