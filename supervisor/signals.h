/*
 * signals.h - SIGINT, SIGTERM and SIGHUP as a descriptor, so that the event loop sees them between two
 * events. One object per process, made by `run`, `resume` and `exec` before anything is started. With
 * `suspend`, SIGUSR1 too: the verb of that name sends it (`cancel` sends SIGTERM).
 */
#ifndef ORCH_SUPERVISOR_SIGNALS_H
#define ORCH_SUPERVISOR_SIGNALS_H

#include <signal.h>

#include "common/err.h"

struct orch_signals {
    int fd;         /* signalfd: the wake_fd of every sandbox */
    int first;      /* the first signal that asked for an end, 0 = none */
    bool suspend;   /* somebody asked for a pause */
    unsigned count; /* how many asked for either */
    sigset_t set;
    bool resized, stopped, continued; /* the terminal's: see orch_signals_terminal() */
};

int orch_signals_open(bool suspend, struct orch_signals *ret, struct orch_err *err);
/* Takes in what is pending; never blocks. */
void orch_signals_poll(struct orch_signals *s);
/* What runs now is to end: for good, or for a pause. */
bool orch_signals_stop(const struct orch_signals *s);
/* A pause, and not an end. */
bool orch_signals_pause(const struct orch_signals *s);
/* 130 for SIGINT, 143 for the others; 0 = nobody asked. */
int orch_signals_exit(const struct orch_signals *s);
/* From now on, or no longer: SIGWINCH, SIGTSTP and SIGCONT come here too, as flags that whoever acts on them
 * clears. */
void orch_signals_terminal(struct orch_signals *s, bool on);
void orch_signals_close(struct orch_signals *s);

#endif
