/*
 * approval.c - the `approval` gate: only a person passes it, and not while the run goes on.
 *
 * Evaluating it always leaves it pending. The operator's decision is a record of the journal, bound to the
 * digest of the layer that waits; the supervisor puts it in the gate's place when the run is resumed. No
 * terminal, end of input or time that passes is ever an approval (T-PH-08).
 */
#include "gates/gates_int.h"

#include <inttypes.h>
#include <string.h>
#include "common/escape.h"

void orch_gate_approval_eval(const struct orch_gate *g, const struct orch_gate_ctx *c,
                             struct orch_gate_result *r)
{
    ORCH_AUTO_FREE char *prompt = orch_escape_str(g->prompt ? g->prompt : "");

    (void)c;
    orch_gate_say(r, ORCH_GATE_PENDING, "waits for approval%s%s", *prompt ? ": " : "", prompt);
}

void orch_gate_approval_describe(const struct orch_gate *g, struct orch_buf *out)
{
    orch_buf_str(out, "the operator approves");
    if (g->timeout_ms)
        orch_buf_printf(out, " within %" PRIu64 " s", g->timeout_ms / 1000);
    if (g->prompt) {
        orch_buf_str(out, ": ");
        orch_escape_term(out, g->prompt, strlen(g->prompt));
    }
}
