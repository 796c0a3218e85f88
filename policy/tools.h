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

#include "common/jsonw.h"
#include "policy/profile.h"

struct orch_closure_cache; /* resolutions of tool lists */

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
    char *why;  /* "tool git", "library of /usr/bin/git", "program interpreter of /usr/bin/git",
                   "interpreter of /usr/bin/x" (of a script), "helper of cc", "with of tool git", "the
                   command",  "used by the C library", "link to /usr/bin/git, " and why that is in it */
};

struct orch_closure {
    struct orch_closure_entry *v; /* sorted by path, unique; but links, none lies beneath a DIR */
    size_t n;
    struct orch_strv path_dirs; /* directories for PATH inside, in order, without duplicates */
    struct orch_strv names;     /* tool names present, sorted */
    struct orch_strv dropped;   /* optional tools that are not on this host, and what is wrong with helpers */
};

/*
 * Resolves every tool of p. `command` (may be NULL) is the agent's or gate's command[0]: a name is looked up
 * like a tool, a path (absolute) is taken as it is; it becomes a tool whether listed or not. Missing tools
 * and wrapper scripts found by name are diagnostics (file/line of the tool entry). Returns 0 or -EINVAL.
 * *ret_command receives the host path to execute (owned by caller), untouched when command is NULL.
 */
int orch_tools_resolve(const struct orch_profile *p, const char *command, struct orch_closure *ret,
                       char **ret_command, struct orch_diags *d);
/*
 * The same with a cache (may be NULL) of earlier resolutions. The result is the same: a kept one is used only
 * while every file, directory and link that it rests on is unchanged.
 */
int orch_tools_resolve_cached(const struct orch_profile *p, const char *command,
                              struct orch_closure_cache *cache, struct orch_closure *ret, char **ret_command,
                              struct orch_diags *d);
void orch_closure_fini(struct orch_closure *c);
/*
 * dir: where resolutions are kept between processes, a directory of the caller alone, made when needed; NULL:
 * in memory only. Nothing is written before orch_closure_cache_save, and that it cannot write is no error.
 */
struct orch_closure_cache *orch_closure_cache_new(const char *dir);
void orch_closure_cache_save(struct orch_closure_cache *c);
void orch_closure_cache_free(struct orch_closure_cache *c); /* NULL is fine */

/* "program", "loader", "library", "directory", "data", "link" */
const char *orch_closure_kind_name(enum orch_closure_kind kind);
/* One line an entry: kind, path, why; bytes that are not printable are escaped. Dropped tools come last. */
void orch_closure_print(const struct orch_closure *c, struct orch_buf *out);
/* The same as the member `key`: {"files": [{"kind", "path", "why"}], "tools": [...], "dropped": [...]}. */
void orch_closure_json(const struct orch_closure *c, struct orch_jw *w, const char *key);

/* Exact path, or beneath a DIR entry: may it be executed? */
bool orch_closure_executes(const struct orch_closure *c, const char *path);

#endif
