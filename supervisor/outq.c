/* outq.c - output that does not block the event loop. See outq.h. */
#include "supervisor/outq.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>

#define QUEUE_MAX (8u << 20) /* beyond it the reader decides the pace: memory is bounded */
#define TTY_CHUNK 256u       /* n_tty reports POLLOUT with little room */

/* Writes one piece if the reader takes it within timeout_ms; false when nothing moved. */
static bool write_piece(struct orch_outq *q, int timeout_ms)
{
    struct pollfd p = {.fd = q->fd, .events = POLLOUT};
    size_t n = q->buf.len - q->done;
    ssize_t w;

    if (poll(&p, 1, timeout_ms) <= 0)
        return false;
    w = write(q->fd, q->buf.data + q->done, n < q->chunk ? n : q->chunk);
    if (w < 0 && (errno == EINTR || errno == EAGAIN))
        return false;
    if (w <= 0) {
        q->dead = true; /* EPIPE, EIO: nobody reads any more */
        q->error = w < 0 ? errno : 0;
        return false;
    }
    q->done += (size_t)w;
    return true;
}

static void settle(struct orch_outq *q)
{
    if (q->dead || q->done == q->buf.len) {
        orch_buf_reset(&q->buf);
        q->done = 0;
    } else if (q->done > q->buf.len / 2) {
        memmove(q->buf.data, q->buf.data + q->done, q->buf.len - q->done);
        q->buf.len -= q->done;
        q->done = 0;
    }
}

void orch_outq_pump(struct orch_outq *q)
{
    while (!q->dead && q->done < q->buf.len && write_piece(q, 0))
        ;
    settle(q);
}

bool orch_outq_full(const struct orch_outq *q)
{
    return !q->dead && q->buf.len - q->done > QUEUE_MAX;
}

/* Waits for the reader, but not against the operator's will. */
static bool reader_comes(struct orch_outq *q)
{
    struct pollfd p[2] = {{.fd = q->fd, .events = POLLOUT}, {.fd = q->wake_fd, .events = POLLIN}};
    int n = poll(p, 2, q->hurry ? 1000 : -1);

    if (n < 0)
        return errno == EINTR;
    return n > 0 && !(p[1].revents & POLLIN);
}

void orch_outq_drain(struct orch_outq *q)
{
    while (!q->dead && q->done < q->buf.len) {
        if (reader_comes(q))
            (void)write_piece(q, 0);
        else
            q->dead = true;
    }
    settle(q);
}

void orch_outq_add(struct orch_outq *q, const void *p, size_t n)
{
    if (q->dead || n == 0)
        return;
    if (q->chunk == 0)
        q->chunk = isatty(q->fd) ? TTY_CHUNK : PIPE_BUF;
    orch_buf_add(&q->buf, p, n);
    orch_outq_pump(q);
}

void orch_outq_fini(struct orch_outq *q)
{
    orch_outq_drain(q);
    orch_buf_fini(&q->buf);
}
