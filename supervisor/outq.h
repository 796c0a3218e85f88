/*
 * outq.h - writing to a terminal or pipe of the operator without ever blocking the event loop.
 *
 * Bytes are queued; orch_outq_pump() writes what the reader takes now, orch_outq_drain() waits for the
 * reader. O_NONBLOCK is not set: the open file description is shared with the caller's shell. A reader that
 * went away is not an error.
 */
#ifndef ORCH_SUPERVISOR_OUTQ_H
#define ORCH_SUPERVISOR_OUTQ_H

#include "common/buf.h"

struct orch_outq {
    int fd; /* borrowed */
    struct orch_buf buf;
    size_t done;  /* bytes of buf written already */
    size_t chunk; /* set on first use: what one write may hold without blocking after POLLOUT */
    bool dead;
    int error;   /* errno of the write that failed: all but EPIPE is worth a word; 0 = none did */
    bool hurry;  /* the caller was asked to end: a reader that takes nothing for a second is given up */
    int wake_fd; /* borrowed signalfd, -1 = none: readable while draining = give up */
};

void orch_outq_add(struct orch_outq *q, const void *p, size_t n);
/* More is queued than should be: take no more from the source until pumped (orch_sandbox_hooks.output_full).
 */
bool orch_outq_full(const struct orch_outq *q);
void orch_outq_pump(struct orch_outq *q);
void orch_outq_drain(struct orch_outq *q);
void orch_outq_fini(struct orch_outq *q); /* drains */

#endif
