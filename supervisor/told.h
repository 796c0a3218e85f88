/*
 * told.h - what an agent is told of its denials, and what it has instead: in the answer to `status`, in
 * /orch/feedback.json and in the prompt of the next attempt.
 *
 * That a path outside the view was asked for is on record and never told: it would tell what exists on the
 * host. Nor does what is told depend on such denials in any other way: not in numbers, not in what is left
 * out. The answers are bounded and ASCII; what is left out is counted exactly.
 */
#ifndef ORCH_SUPERVISOR_TOLD_H
#define ORCH_SUPERVISOR_TOLD_H

#include "supervisor/journal.h"
#include "supervisor/audit.h"

#define ORCH_TOLD_MAX 20       /* groups in one answer */
#define ORCH_TOLD_PATH_MAX 256 /* bytes of a path in it */

struct orch_told { /* a group of denials; strings are borrowed, none is NULL */
    const char *class_name, *syscall, *access, *path, *rule;
    uint64_t count;
    uint64_t groups; /* it stands for so many that are not told apart; 0 = it is one */
};

/* Whether the agent may know of what this rule refused. */
bool orch_told_may(const char *rule);
/* The same of a verdict's record. */
bool orch_told_may_record(const struct orch_denied *d);

/* The groups of an attempt so far that may be told, most frequent first; the caller frees the array. */
size_t orch_told_of_audit(const struct orch_audit *a, bool may, struct orch_told **ret);
/* The same of a verdict. */
size_t orch_told_of_verdict(const struct orch_verdict_record *v, struct orch_told **ret);

/*
 * Members `key`, a list of at most ORCH_TOLD_MAX groups, each with what there is "instead", and `more`, how
 * many groups and denials are left out (null = none). plan may be NULL.
 */
void orch_told_write(struct orch_jw *w, const char *key, const char *more, const struct orch_told *v,
                     size_t n, const struct orch_plan *plan);
/* One sentence: what an agent has in place of what was refused. */
void orch_told_instead(const struct orch_told *t, const struct orch_plan *plan, struct orch_buf *out);
/* Does the rule say which kinds of entries may be made? Whatever document says it. */
bool orch_told_is_create(const char *rule);
/* Is this a place that the agent may write to, and would? */
bool orch_told_writable(const struct orch_place *p);

#endif
