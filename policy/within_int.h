/* within_int.h - shared by within*.c: the comparison under way, and its one way to report. */
#ifndef ORCH_POLICY_WITHIN_INT_H
#define ORCH_POLICY_WITHIN_INT_H

#include "policy/profile_int.h"
#include "policy/within.h"

struct within {
    const struct orch_profile *outer, *inner;
    enum orch_bound bound;
    struct orch_diags *d;
};

/* Where something is written; file NULL = nowhere, it is a default. Borrowed. */
struct orch_where {
    const char *file, *pointer;
    unsigned line, col;
};

/* Of a key (orch_profile_place), of a rule for a path (may be NULL), of a tool. */
struct orch_where orch_where_key(const struct orch_profile *p, const char *key);
struct orch_where orch_where_fs(const struct orch_fs_rule *r);
struct orch_where orch_where_tool(const struct orch_tool *t);

/* Reports `what`, which is taken. */
void orch_within_report(const struct within *c, struct orch_where inner, struct orch_where outer, char *what);

#define WIDER(c, inner, outer, ...) orch_within_report((c), (inner), (outer), orch_xasprintf(__VA_ARGS__))

void orch_within_filesystem(const struct within *c);
void orch_within_syscalls(const struct within *c);

#endif
