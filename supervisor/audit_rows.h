/*
 * audit_rows.h - an audit log read into memory for a report: denials grouped, with the section (phase,
 * attempt, gate) they belong to; and which records a report is about. Private to audit_*.c and cmd_audit.c.
 */
#ifndef ORCH_SUPERVISOR_AUDIT_ROWS_H
#define ORCH_SUPERVISOR_AUDIT_ROWS_H

#include "supervisor/audit_int.h"

#define ORCH_AUDIT_FILE "audit.jsonl"

/* The members of a denial that tell one line of the report from another. */
enum field {
    F_CLASS,
    F_SYSCALL,
    F_ACCESS,
    F_PATH,
    F_PATH_B64,
    F_PATH2,
    F_PATH2_B64,
    F_ERRNO,
    F_ACTION,
    F_RULE,
    F_EXE,
    F_EXE_B64,
    F_COMM,
    F_DETAIL,
    F_ARGS, /* as JSON text, of a system call or connection: of a path the access says it */
    N_FIELDS
};

extern const char *const orch_field_names[N_FIELDS];

struct row {
    const char *f[N_FIELDS]; /* within the map's key; NULL = not in the record */
    uint32_t section, quiet;
    uint64_t count;
};

/* What happened under one phase, attempt and gate. */
struct section {
    char *phase, *gate, *tier, *level;
    char *limit; /* that ended it, or NULL */
    unsigned attempt;
    uint64_t denials, quiet, execs, fallbacks, fakes;
    bool lower_bound;
};

struct summary {
    struct orch_audit_map map; /* of rows */
    struct row *rows;
    struct section *sections;
    size_t rows_cap, n_sections;
    uint64_t n_records;
    char *run;
    struct orch_buf decisions;              /* of the operator, a line each */
    const struct orch_audit_filter *filter; /* borrowed */
};

const char *orch_member_text(const cJSON *rec, const char *name); /* NULL: no such member */
/* A member that is an object or a list as JSON text, NULL: no such member. Caller frees. */
char *orch_member_json(const cJSON *rec, const char *name);
/* The arguments of a call for people, from an object or (orch_put_args_text) its JSON text: "flags
 * O_WRONLY|O_CREAT, mode 0644"; escaped, nothing for NULL. */
void orch_put_args(struct orch_buf *out, const char *before, const cJSON *args, const char *after);
void orch_put_args_text(struct orch_buf *out, const char *before, const char *json, const char *after);
/* The elements of a list of strings, behind each other; escaped. */
void orch_put_words(struct orch_buf *out, const char *before, const cJSON *list, const char *between);
uint64_t orch_member_number(const cJSON *rec, const char *name, uint64_t absent);
bool orch_same(const char *a, const char *b); /* NULL is like NULL alone */

/* Reads and verifies the whole log; nothing of a changed one is used. Rows come sorted by section, class,
 * count downwards, then text. head and torn as in orch_chain_read(). */
int orch_summary_read(int run_dirfd, const struct orch_audit_filter *filter, struct summary *ret,
                      bool *ret_torn, char ret_head[ORCH_HEX_SIZE], struct orch_err *err);
void orch_summary_fini(struct summary *s);

bool orch_section_nested(const struct section *c);

/* Whether a record is one that was asked for. */
bool orch_filter_takes(const struct orch_audit_filter *f, const cJSON *rec);

/* Appends what a member may hold, escaped for a terminal, behind `before`; nothing for NULL. */
void orch_put(struct orch_buf *out, const char *before, const char *s);
/* Writes what has gathered if it is at_least that much (0: all of it). */
int orch_flush_out(struct orch_buf *out, int fd, size_t at_least, struct orch_err *err);
#define ORCH_OUT_CHUNK 65536

/* The other formats; audit_export.c. */
int orch_export_json(int run_dirfd, int out_fd, const struct orch_audit_filter *filter,
                     struct orch_suggester *suggester, struct orch_err *err);
int orch_export_csv(int run_dirfd, int out_fd, const struct orch_audit_filter *filter,
                    struct orch_suggester *suggester, struct orch_err *err);
int orch_export_sarif(int run_dirfd, int out_fd, const struct orch_audit_filter *filter,
                      struct orch_suggester *suggester, struct orch_err *err);

#endif
