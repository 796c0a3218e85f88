/*
 * terminal_guard.h - a child process that puts the operator's terminal back if the supervisor dies before it
 * could.
 *
 * It holds nothing but the terminal and one end of a pipe, sleeps on the pipe, and is told what to put back.
 * The end of the pipe without a goodbye means that the supervisor is gone (SIGKILL, a crash).
 */
#ifndef ORCH_SUPERVISOR_TERMINAL_GUARD_H
#define ORCH_SUPERVISOR_TERMINAL_GUARD_H

#include <stdint.h>
#include <sys/types.h>
#include <termios.h>

struct orch_terminal_modes {
    struct termios before, ours;
};

/* Starts it: its pid, or -1 (then *ret_fd is -1). */
pid_t orch_terminal_guard(const struct orch_terminal_modes *modes, int *ret_fd);
/* What orch_term_filter.touched is now. */
void orch_terminal_guard_tell(int fd, uint64_t touched);
/* Says goodbye and waits for its end. */
void orch_terminal_guard_end(pid_t pid, int *fd);

/* Puts the terminal of standard input back to `before`, unless somebody else has changed it since we made it
 * `ours`. Throws away what was typed. */
void orch_terminal_put_back(const struct termios *before, const struct termios *ours);

#endif
