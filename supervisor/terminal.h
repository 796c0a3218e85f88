/*
 * terminal.h - the operator's terminal while an agent has one of its own (agent.tty, exec --tty).
 *
 * Between begin and end the operator's terminal is raw: every key goes to the agent, but for the escape: "~."
 * at the beginning of a line asks for the end, as SIGINT would; "~~" is one "~". What the agent prints goes
 * through term_filter.h. The two terminals have the same size. Without an operator's terminal (standard input
 * and output not the same one, or this process not in its foreground) nothing is relayed: the agent's
 * terminal has 24 rows of 80 columns, its input is empty, its output is output as without a terminal.
 *
 * The operator's terminal is put back by orch_terminal_end(), whatever ended the agent, and by a small child
 * process if this one dies before it could. What was typed and not yet read is thrown away then: it was meant
 * for the agent. Nothing here blocks but the last words to a terminal that takes them slowly: a second
 * without progress.
 */
#ifndef ORCH_SUPERVISOR_TERMINAL_H
#define ORCH_SUPERVISOR_TERMINAL_H

#include <termios.h>

#include "sandbox/sandbox.h"
#include "supervisor/outq.h"
#include "supervisor/signals.h"
#include "supervisor/term_filter.h"

struct orch_terminal {
    struct orch_tty tty; /* for orch_sandbox_args */
    bool here;           /* there is an operator's terminal to relay to */
    bool begun, raw;
    struct orch_signals *signals;    /* borrowed */
    const struct orch_strv *secrets; /* borrowed, NULL = none: masked */
    int master;                      /* borrowed: our end of the agent's terminal */
    struct termios before, ours;
    struct orch_outq out;
    struct orch_term_filter filter;
    char last;            /* byte shown */
    struct orch_buf held; /* what may be the start of a secret: shown on the next tick at the latest */
    enum { ORCH_LINE_START, ORCH_LINE_TILDE, ORCH_LINE_WITHIN } typed;
    pid_t guard;
    int guard_fd;
    uint64_t guard_knows;
};

/* wanted false: as if there were no operator's terminal. */
void orch_terminal_init(struct orch_terminal *t, bool wanted, struct orch_signals *signals,
                        const struct orch_strv *secrets);
/* The hooks on_tty, on_shown, on_input, on_tick and output_full of a sandbox with tty. Without an operator's
 * terminal they do nothing. */
void orch_terminal_begin(struct orch_terminal *t, int master);
void orch_terminal_output(struct orch_terminal *t, const void *p, size_t n);
enum orch_next orch_terminal_input(struct orch_terminal *t, struct orch_buf *to_agent, bool *ret_closed);
void orch_terminal_tick(struct orch_terminal *t);
bool orch_terminal_full(struct orch_terminal *t);
/* Puts the terminal back. Idempotent. */
void orch_terminal_end(struct orch_terminal *t);

#endif
