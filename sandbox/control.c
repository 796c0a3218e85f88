/*
 * control.c - /orch/control: few connections, one bounded line per request, a rate limit. It only carries;
 * what a request means is the caller's (on_control), and nothing it means moves state.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/io.h"
#include "sandbox/sandbox_int.h"

void orch_control_init(struct orch_control *c)
{
    *c = (struct orch_control){.listener = -1};
    for (size_t i = 0; i < ORCH_CONTROL_CONNS; i++)
        c->conn[i].fd = -1;
}

static void close_conn(struct orch_control_conn *conn)
{
    orch_close_fdp(&conn->fd);
    orch_buf_fini(&conn->in);
}

void orch_control_fini(struct orch_control *c)
{
    for (size_t i = 0; i < ORCH_CONTROL_CONNS; i++)
        close_conn(&c->conn[i]);
    orch_close_fdp(&c->listener);
}

size_t orch_control_poll(const struct orch_control *c, struct pollfd *fds)
{
    size_t n = 0;
    bool room = false;

    for (size_t i = 0; i < ORCH_CONTROL_CONNS; i++) {
        if (c->conn[i].fd >= 0)
            fds[n++] = (struct pollfd){.fd = c->conn[i].fd, .events = POLLIN};
        else
            room = true;
    }
    if (c->listener >= 0 && room) /* when full, further peers wait in the backlog */
        fds[n++] = (struct pollfd){.fd = c->listener, .events = POLLIN};
    return n;
}

static void accept_one(struct orch_control *c)
{
    for (size_t i = 0; i < ORCH_CONTROL_CONNS; i++) {
        struct ucred cred = {0};
        socklen_t len = sizeof(cred);
        int fd;

        if (c->conn[i].fd >= 0)
            continue;
        fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
            cred.pid = 0;
        c->conn[i].fd = fd;
        c->conn[i].peer = cred.pid;
        return;
    }
}

bool orch_control_adopt(struct orch_control *c, int fd, pid_t peer)
{
    for (size_t i = 0; i < ORCH_CONTROL_CONNS; i++) {
        if (c->conn[i].fd >= 0)
            continue;
        c->conn[i].fd = fd;
        c->conn[i].peer = peer;
        return true;
    }
    return false;
}

static bool within_rate(struct orch_control *c)
{
    uint64_t now = orch_now_ms();

    if (now - c->window_ms >= 1000) {
        c->window_ms = now;
        c->in_window = 0;
    }
    return ++c->in_window <= ORCH_CONTROL_PER_SECOND;
}

static void send_reply(struct orch_control_conn *conn, const char *text, size_t len)
{
    /* A peer that does not read loses its reply, we never wait for it. */
    if (send(conn->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)len)
        close_conn(conn);
}

static enum orch_next serve_lines(struct orch_control *c, struct orch_control_conn *conn,
                                  const struct orch_sandbox_hooks *h)
{
    static const char slow[] = "{\"ok\":false,\"error\":\"too many requests\"}\n";
    enum orch_next next = ORCH_GO_ON;
    char *end;

    while (next == ORCH_GO_ON && conn->fd >= 0 && conn->in.len &&
           (end = memchr(conn->in.data, '\n', conn->in.len))) {
        ORCH_AUTO_BUF struct orch_buf reply = {0};
        size_t len = (size_t)(end - conn->in.data);
        ORCH_AUTO_BUF struct orch_buf rest = {0};

        if (!within_rate(c)) {
            send_reply(conn, slow, sizeof(slow) - 1);
        } else if (h->on_control) {
            next = h->on_control(h->ctx, conn->peer, conn->in.data, len, &reply);
            orch_buf_char(&reply, '\n');
            send_reply(conn, reply.data, reply.len);
        }
        if (conn->fd < 0)
            break;
        orch_buf_add(&rest, end + 1, conn->in.len - len - 1);
        orch_buf_reset(&conn->in);
        orch_buf_add(&conn->in, rest.data ? rest.data : "", rest.len);
    }
    return next;
}

static enum orch_next serve_conn(struct orch_control *c, struct orch_control_conn *conn,
                                 const struct orch_sandbox_hooks *h)
{
    static const char long_line[] = "{\"ok\":false,\"error\":\"request too long\"}\n";
    char chunk[4096];
    ssize_t n = recv(conn->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
    enum orch_next next;

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        close_conn(conn);
        return ORCH_GO_ON;
    }
    if (n < 0)
        return ORCH_GO_ON;
    orch_buf_add(&conn->in, chunk, (size_t)n);
    next = serve_lines(c, conn, h);
    if (conn->fd >= 0 && conn->in.len > ORCH_CONTROL_LINE) {
        send_reply(conn, long_line, sizeof(long_line) - 1);
        close_conn(conn);
    }
    return next;
}

enum orch_next orch_control_serve(struct orch_control *c, const struct pollfd *fds, size_t n,
                                  const struct orch_sandbox_hooks *h)
{
    for (size_t i = 0; i < n; i++) {
        enum orch_next next = ORCH_GO_ON;

        if (!fds[i].revents)
            continue;
        if (fds[i].fd == c->listener) {
            accept_one(c);
            continue;
        }
        for (size_t k = 0; k < ORCH_CONTROL_CONNS; k++)
            if (c->conn[k].fd >= 0 && c->conn[k].fd == fds[i].fd) {
                next = serve_conn(c, &c->conn[k], h);
                break;
            }
        if (next != ORCH_GO_ON)
            return next;
    }
    return ORCH_GO_ON;
}
