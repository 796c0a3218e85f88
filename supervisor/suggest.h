/*
 * suggest.h - what would allow a denial: the smallest line of a profile, proved.
 *
 * A line is tried before it is told: a document that holds nothing else is laid over the phase's effective
 * profile, the result is compiled into a plan, and the code that decides at run time is asked again (policy/
 * decide.c for paths and addresses, orch_syscalls_answer() and the filter for calls). What does not help is
 * not told, and the reason is. How the line stands to the parent (`extends`) and to the workflow's ceiling is
 * found by the code that checks both before a run (policy/within.h).
 *
 * The host is looked at as it is now. A report tries at most ORCH_SUGGEST_MAX different lines, each of which
 * costs a compilation.
 */
#ifndef ORCH_SUPERVISOR_SUGGEST_H
#define ORCH_SUPERVISOR_SUGGEST_H

#include "supervisor/audit_rows.h"
#include "supervisor/kept.h"

#define ORCH_SUGGEST_MAX 200

struct orch_suggester;

struct orch_suggested {
    char *line;   /* printable ASCII: `in "filesystem": {...}`; NULL = none is known */
    char *bounds; /* beside a line: `within the parent 'base'; beyond the ceiling 'c'`; NULL = there is
                     neither */
    char *why;    /* in place of a line: why there is none; NULL where nothing was refused by a profile */
};

/* run: opened by orch_kept_open(), borrowed. */
struct orch_suggester *orch_suggester_new(struct orch_run *run);
void orch_suggester_free(struct orch_suggester *s); /* NULL is fine */

/* nested: it was decided in that tier. Valid as long as s; NULL: s is NULL. */
const struct orch_suggested *orch_suggest(struct orch_suggester *s, const struct row *row, const char *phase,
                                          const char *gate, bool nested);
/* What would let a limit that ended an attempt go further. */
const struct orch_suggested *orch_suggest_limit(struct orch_suggester *s, const char *limit,
                                                const char *phase, const char *gate);
/* The built-in profile of a phase or gate, whose document nobody edits; NULL = it has a file. Borrowed. */
const char *orch_suggest_builtin(struct orch_suggester *s, const char *phase, const char *gate);

#endif
