/*
 * signals.h - SIGINT, SIGTERM and SIGHUP as a descriptor, so that the event loop sees them between two
 * events. One object per process, made by `run`, `resume` and `exec` before anything is started.
 */
#ifndef ORCH_SUPERVISOR_SIGNALS_H
#define ORCH_SUPERVISOR_SIGNALS_H

#include "common/err.h"

struct orch_signals {
    int fd;         /* signalfd: the wake_fd of every sandbox */
    int first;      /* the first signal that asked for an end, 0 = none */
    unsigned count; /* how many did */
};

int orch_signals_open(struct orch_signals *ret, struct orch_err *err);
/* Takes in what is pending; never blocks. */
void orch_signals_poll(struct orch_signals *s);
/* 130 for SIGINT, 143 for the others; 0 = nobody asked. */
int orch_signals_exit(const struct orch_signals *s);
void orch_signals_close(struct orch_signals *s);

#endif
