/*
 * policy_rows.h - an effective profile as rows of key, value and the place where it is written: what `policy
 * show` prints, as text or as JSON.
 */
#ifndef ORCH_SUPERVISOR_POLICY_ROWS_H
#define ORCH_SUPERVISOR_POLICY_ROWS_H

#include "common/jsonw.h"
#include "policy/plan.h"

enum orch_row_from {
    ORCH_FROM_DEFAULT,  /* no document says it */
    ORCH_FROM_DOCUMENT, /* file, line, pointer */
    ORCH_FROM_BUILTIN,  /* the same; file is the built-in's name */
    ORCH_FROM_COMPUTED, /* follows from other rows and this host */
    ORCH_FROM_SANDBOX,  /* every sandbox has it; pointer says which part */
};

struct orch_row {
    const char *section; /* static */
    char *key, *value;
    enum orch_row_from from;
    char *file, *pointer; /* may be NULL */
    unsigned line;
};

struct orch_rows {
    struct orch_row *v;
    size_t n;
};

void orch_rows_of_plan(const struct orch_plan *plan, struct orch_rows *ret);
void orch_rows_text(const struct orch_rows *rows, struct orch_buf *out);
/* As the member `key`: an array of objects. */
void orch_rows_json(const struct orch_rows *rows, struct orch_jw *w, const char *key);
void orch_rows_fini(struct orch_rows *rows);

/* Bytes and milliseconds as a document would write them: "4GiB", "30m". Newly allocated. */
char *orch_size_text(uint64_t bytes);
char *orch_time_text(uint64_t ms);
/* "allowed", "refused EPERM", ...: what an entry of the table of calls means. Newly allocated. */
char *orch_entry_text(const struct orch_sc_entry *e);

#endif
