/*
 * gates_int.h - what the gate types share, private to gates/. Each type has an evaluator and a describer,
 * listed in the table of gates.c. An evaluator says its verdict exactly once with orch_gate_say; one that
 * says nothing is an error.
 */
#ifndef ORCH_GATES_GATES_INT_H
#define ORCH_GATES_GATES_INT_H

#include "common/buf.h"
#include "gates/gates.h"

/*
 * Sets verdict and reason (replacing an earlier one). Parts that the agent or an author wrote must come
 * escaped (orch_escape_str); as a second line of defence whatever is still not printable ASCII becomes '?',
 * and the reason is cut at ORCH_GATE_REASON_MAX bytes.
 */
#define ORCH_GATE_REASON_MAX 2000
void orch_gate_say(struct orch_gate_result *r, enum orch_gate_verdict v, const char *fmt, ...)
    ORCH_PRINTF(3, 4);

/* Notes that errnum, if it is one of the host's, and not what is judged, is why the gate is an error. */
void orch_gate_note_errno(struct orch_gate_result *r, int errnum);

/* Appends the strings, each escaped, with ", " between them. */
void orch_gate_add_list(struct orch_buf *out, const struct orch_strv *sv);
/* Appends "; " if out is not empty: the separator of clauses. */
void orch_gate_add_sep(struct orch_buf *out);

void orch_gate_file_eval(const struct orch_gate *g, const struct orch_gate_ctx *c,
                         struct orch_gate_result *r);
void orch_gate_file_describe(const struct orch_gate *g, struct orch_buf *out);
void orch_gate_changes_eval(const struct orch_gate *g, const struct orch_gate_ctx *c,
                            struct orch_gate_result *r);
void orch_gate_changes_describe(const struct orch_gate *g, struct orch_buf *out);
void orch_gate_command_eval(const struct orch_gate *g, const struct orch_gate_ctx *c,
                            struct orch_gate_result *r);
void orch_gate_command_describe(const struct orch_gate *g, struct orch_buf *out);
void orch_gate_denials_eval(const struct orch_gate *g, const struct orch_gate_ctx *c,
                            struct orch_gate_result *r);
void orch_gate_denials_describe(const struct orch_gate *g, struct orch_buf *out);
void orch_gate_approval_eval(const struct orch_gate *g, const struct orch_gate_ctx *c,
                             struct orch_gate_result *r);
void orch_gate_approval_describe(const struct orch_gate *g, struct orch_buf *out);

#endif
