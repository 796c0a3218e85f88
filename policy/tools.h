/*
 * tools.h - tool closures: which files a list of tools needs to run, and why (design 5.2 "tools").
 *
 * A closure is found by reading: the `#!` chain, PT_INTERP, DT_NEEDED (transitively, with the loader's search
 * order: DT_RUNPATH/DT_RPATH with $ORIGIN, /etc/ld.so.conf's directories, then the defaults), the helper
 * table, `with`. Nothing is executed. Everything not in it is neither executable nor mappable as code for the
 * agent.
 */
#ifndef ORCH_POLICY_TOOLS_H
#define ORCH_POLICY_TOOLS_H

#include "policy/profile.h"

enum orch_closure_kind {
    ORCH_CLOSURE_PROGRAM,  /* may be executed (ELF program, or a script named as tool or helper) */
    ORCH_CLOSURE_LOADER,   /* program interpreter (ld.so): the kernel must be able to open it for execution */
    ORCH_CLOSURE_LIBRARY,  /* may be mapped executable */
    ORCH_CLOSURE_DIR,      /* directory of helpers: everything beneath may be executed and mapped */
    ORCH_CLOSURE_DATA_DIR, /* directory or file that must be readable (not executable) */
    ORCH_CLOSURE_LINK,     /* symlink on the chain from a name to its file: must be visible as a link */
};

struct orch_closure_entry {
    enum orch_closure_kind kind;
    char *path; /* absolute; for LINK the link itself, otherwise free of symlinks (real path) */
    char *why;  /* "tool git", "needed by /usr/bin/git", "helper of cc" */
};

struct orch_closure {
    struct orch_closure_entry *v; /* sorted by path, unique */
    size_t n;
    struct orch_strv path_dirs; /* directories for PATH inside, in order, without duplicates */
    struct orch_strv names;     /* tool names present, sorted */
    struct orch_strv dropped;   /* optional tools that are not on this host */
};

/*
 * Resolves every tool of p. `command` (may be NULL) is the agent's or gate's command[0]: a name is looked up
 * like a tool, a path (absolute) is taken as it is; it becomes a tool whether listed or not. Missing tools
 * and wrapper scripts found by name are diagnostics (file/line of the tool entry). Returns 0 or -EINVAL.
 * *ret_command receives the host path to execute (owned by caller), untouched when command is NULL.
 */
int orch_tools_resolve(const struct orch_profile *p, const char *command, struct orch_closure *ret,
                       char **ret_command, struct orch_diags *d);
void orch_closure_fini(struct orch_closure *c);
/* Exact path, or beneath a DIR entry: may it be executed? */
bool orch_closure_executes(const struct orch_closure *c, const char *path);

#endif
