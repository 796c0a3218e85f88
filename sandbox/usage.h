/*
 * usage.h - what a running tree has on disk: its layer of the workspace and of a home that is kept. An
 * ordinary user has no quota on disk, so it is measured, now and then and once more when the tree is dead.
 */
#ifndef ORCH_SANDBOX_USAGE_H
#define ORCH_SANDBOX_USAGE_H

#include "sandbox/sandbox.h"

/*
 * The limit that is exceeded: "workspace", "workspace_files", "home", or NULL. proc: the sandbox's /proc
 * while it lives, -1 when it is dead. While it lives, files that have no name any more but are open count
 * too, and a directory that is shut to us is as good as over the limit: it could hide any amount.
 */
const char *orch_usage_over(const struct orch_sandbox_args *a, int proc);

#endif
