/*
 * audit.h - the audit log (design 7): written by the supervisor alone, ASCII, hash-chained, repeats folded
 * with exact counts.
 *
 * The first occurrence of a denial or exec is written at once; repeats are counted in memory and written as
 * one record with "count" at least each second and at the attempt's end, so a flood costs bounded space. A
 * repeat is what says the same but for time, pid and tid (those of the last one are written): so exe, comm
 * and parents tell records apart, and of the call's arguments those that are shown. Distinct denials beyond
 * ORCH_AUDIT_MAX_DISTINCT per attempt are counted by class in one closing record; execs beyond
 * ORCH_AUDIT_MAX_ARGV different command lines are recorded without their arguments.
 */
#ifndef ORCH_SUPERVISOR_AUDIT_H
#define ORCH_SUPERVISOR_AUDIT_H

#include "common/io.h"
#include "gates/gates.h"
#include "supervisor/chain.h"

#define ORCH_AUDIT_MAX_DISTINCT 65536
#define ORCH_AUDIT_MAX_ARGV 4096

struct orch_audit;

/* In run directory dirfd ("audit.jsonl"); resume = continue an existing one. For exec: a file given by the
 * user (dirfd AT_FDCWD). */
int orch_audit_open(int dirfd, const char *name, const char *run_id, bool resume, struct orch_audit **ret,
                    struct orch_err *err);
/* A log that writes nowhere and only counts (exec without --audit). */
struct orch_audit *orch_audit_null(void);
void orch_audit_close(struct orch_audit *a); /* flushes, closes; NULL fine */

/* Context of the records that follow: phase, attempt, gate (NULL = none). Strings are copied. Flushes folds,
 * resets counts. */
int orch_audit_scope(struct orch_audit *a, const char *phase, unsigned attempt, const char *gate,
                     struct orch_err *err);
int orch_audit_denial(struct orch_audit *a, const struct orch_denial *d, struct orch_err *err);
/* The arguments are masked and cut here (argv.h), whoever calls. */
int orch_audit_exec(struct orch_audit *a, const struct orch_exec_event *e, struct orch_err *err);
/* Any other event: begin gives an open object with "event" set; add members, then commit. */
void orch_audit_begin(struct orch_audit *a, const char *event, struct orch_jw *w);
int orch_audit_commit(struct orch_audit *a, struct orch_jw *w, struct orch_err *err);
/* Members of a run's first record: by what, and where, it was watched. */
void orch_audit_put_host(struct orch_jw *w);
/* Writes the folded counts that are due (at_least_ms since the last time; 0 = all). */
int orch_audit_flush(struct orch_audit *a, uint64_t at_least_ms, struct orch_err *err);
/* Counts in the present scope; total is every denial since open that is not quiet. */
void orch_audit_counts(const struct orch_audit *a, struct orch_denial_counts *ret_scope, uint64_t *ret_total);
/* After a resume: denials already spent. */
void orch_audit_add_total(struct orch_audit *a, uint64_t n);
/* Digest of the last line: what the journal binds and the summary prints. */
const char *orch_audit_head(const struct orch_audit *a);

/* The distinct denials of the present scope (and of the whole run), grouped, for feedback and the summary. */
struct orch_denial_group {
    char *class_name, *syscall, *path, *access, *rule, *exe, *errname, *phase;
    unsigned attempt;
    uint64_t count;
};
size_t orch_audit_groups(const struct orch_audit *a, bool scope_only, const struct orch_denial_group **ret);

/* Which records a report is about; all members empty: all of them. Strings are borrowed. */
struct orch_audit_filter {
    const char *phase;
    unsigned attempt; /* of the phase; 0 = each */
    const char *class, *event;
    char since[ORCH_TIME_SIZE]; /* "" = from the beginning */
};

enum orch_audit_format {
    ORCH_AUDIT_TEXT,  /* grouped, for people; escaped for a terminal */
    ORCH_AUDIT_JSON,  /* the records' own lines */
    ORCH_AUDIT_CSV,   /* a line a record (RFC 4180) */
    ORCH_AUDIT_SARIF, /* SARIF 2.1.0, a result a group of denials */
};

/* A finished or running log, verified to its end before anything is printed: exit 7. filter NULL: all. */
int orch_audit_print(int run_dirfd, int out_fd, enum orch_audit_format format,
                     const struct orch_audit_filter *filter, struct orch_err *err);
/* The same, with what would allow each denial (suggest.h). */
struct orch_suggester;
int orch_audit_print_suggested(int run_dirfd, int out_fd, enum orch_audit_format format,
                               const struct orch_audit_filter *filter, struct orch_suggester *suggester,
                               struct orch_err *err);

#endif
