/*
 * tools_internal.h - shared by tools*.c only: one resolution in progress.
 *
 * Layers: sights.c (looks at the host) <- tools_set.c (entries) <- tools_elf.c (libraries) <- tools_program.c
 * (programs, scripts) <-> tools_helpers.c (helper rows, directories) <- tools_cache.c (a resolution kept) <-
 * tools.c (the profile's list).
 */
#ifndef ORCH_POLICY_TOOLS_INTERNAL_H
#define ORCH_POLICY_TOOLS_INTERNAL_H

#include "common/err.h"
#include "common/hash.h"
#include "policy/sights.h"
#include "policy/tools.h"

struct orch_resolver {
    struct orch_sights sights; /* every look at the host is among them */
    struct orch_closure c;     /* in order of discovery until the end */
    struct orch_map by_path;   /* path -> index in c.v */
    struct orch_map objects;   /* ELF path and inherited search path -> NULL, or why it is unusable */
    struct orch_map libraries; /* library name -> path in the default directories, or NULL */
    struct orch_map programs;  /* name and path already added */
    struct orch_strv lib_dirs; /* ld.so.conf's directories and the defaults */
    struct orch_strv own_dirs; /* directories of tools given by path: first on PATH */
    struct orch_strv search;   /* where names of programs are looked up */
    struct orch_strv used;     /* those of `search` in which something was found */
    struct orch_strv faults;   /* helper programs that are there and cannot run: what is wrong */
    bool libc_done;            /* the "*" rows of the helper table are in */
};

/* Adds an entry, or raises the kind of the one that is there (program over loader over library, directory
 * over data). */
void orch_tools_add(struct orch_resolver *r, enum orch_closure_kind kind, const char *path, const char *why);
/* The real path behind an absolute path, every symlink on the way recorded; newly allocated, or NULL with
 * errno. */
char *orch_tools_walk(struct orch_resolver *r, const char *path, const char *why);
/* Notes errnum if it is one of the host's: it says nothing of what was looked at. Returns errnum. */
int orch_tools_note_errno(struct orch_resolver *r, int errnum);
/* Name without directory; part of path. */
const char *orch_tools_basename(const char *path);

/* Fills lib_dirs. */
void orch_tools_library_dirs(struct orch_resolver *r);
/*
 * Adds an ELF file (real path) with its loader and libraries. `inherited`: DT_RPATH of what loads it, "" if
 * none. -ENOEXEC: not ELF64; -EBADMSG: malformed; -ENOENT: something it needs is missing (err says what).
 */
int orch_tools_add_elf(struct orch_resolver *r, const char *real, enum orch_closure_kind kind,
                       const char *why, const char *inherited, struct orch_err *err);

/* First regular executable file called name in `search`; newly allocated, NULL if there is none. */
char *orch_tools_lookup(struct orch_resolver *r, const char *name);
/* What the file begins with: 0 = ELF or anything else, 1 = "#!", -errno. */
int orch_tools_is_script(struct orch_resolver *r, const char *path);
/* Is it a regular file that begins like an ELF file? */
bool orch_tools_is_elf(struct orch_resolver *r, const char *path);
/* Adds a program or script with everything it needs. depth: of `#!` and helper programs so far. */
int orch_tools_add_program(struct orch_resolver *r, const char *name, const char *path, const char *why,
                           unsigned depth, struct orch_err *err);
/* Adds one path of a tool's "with": directory, program, library or data. */
int orch_tools_add_extra(struct orch_resolver *r, const char *path, const char *why, struct orch_err *err);

/* Adds a directory whose contents run and are mapped; `scanned`: with the libraries of what is beneath. */
int orch_tools_add_dir(struct orch_resolver *r, const char *path, const char *why, bool scanned);
/* Adds what the helper table has for a program: by the tool's name, or by the name of its real file. */
void orch_tools_add_helpers(struct orch_resolver *r, const char *name, const char *real, unsigned depth);

/* ---- a resolution of the profile's list, without the command ---- */

/* Who asks for what: the tools of p, where names are looked up, the identity. */
void orch_tools_cache_key(const struct orch_profile *p, const struct orch_strv *search,
                          char ret[ORCH_HEX_SIZE]);
/*
 * Fills r, which has nothing but `search`, with a kept resolution, if there is one and all that it rests on
 * is as it was. On failure r may be half filled.
 */
bool orch_tools_cache_get(struct orch_closure_cache *c, const char *key, struct orch_resolver *r);
/* Keeps r. begun: when its first look was taken, in nanoseconds since 1970. */
void orch_tools_cache_put(struct orch_closure_cache *c, const char *key, struct orch_resolver *r,
                          int64_t begun);

#endif
