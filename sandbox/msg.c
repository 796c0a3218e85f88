/* msg.c - the fixed records between supervisor, init and agent, with one descriptor at most. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "sandbox/sandbox_int.h"

const char *orch_step_text(enum orch_step s)
{
    static const char *const texts[] = {
#define ORCH_STEP_TEXT(id, text) [ORCH_STEP_##id] = text,
        ORCH_STEPS(ORCH_STEP_TEXT)
#undef ORCH_STEP_TEXT
    };

    return (size_t)s < ORCH_NELEM(texts) ? texts[s] : "unknown step";
}

int orch_fail_set(struct orch_fail *f, enum orch_step step, int errnum, const char *path)
{
    f->step = step;
    f->errnum = errnum ? errnum : EIO;
    f->path = path ? path : "";
    return -1;
}

int orch_msg_send(int sock, const struct orch_msg *m, int fd)
{
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {.iov_base = (void *)(uintptr_t)m, .iov_len = sizeof(*m)};
    struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};

    if (fd >= 0) {
        struct cmsghdr *c;

        h.msg_control = control.buf;
        h.msg_controllen = sizeof(control.buf);
        c = CMSG_FIRSTHDR(&h);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(int));
    }
    for (;;) {
        ssize_t n = sendmsg(sock, &h, MSG_NOSIGNAL);

        if (n == (ssize_t)sizeof(*m))
            return 0;
        if (n < 0 && errno == EINTR)
            continue;
        return n < 0 ? -errno : -EIO;
    }
}

int orch_msg_recv(int sock, struct orch_msg *ret, int *ret_fd, int flags)
{
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {.iov_base = ret, .iov_len = sizeof(*ret)};
    struct msghdr h = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf, .msg_controllen = sizeof(control.buf)};
    struct cmsghdr *c;
    ssize_t n;

    *ret_fd = -1;
    do
        n = recvmsg(sock, &h, MSG_CMSG_CLOEXEC | flags);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n < 0 ? -errno : 0;
    c = CMSG_FIRSTHDR(&h);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
    if (n != (ssize_t)sizeof(*ret)) {
        orch_close_fdp(ret_fd);
        return -EBADMSG;
    }
    ret->path[sizeof(ret->path) - 1] = '\0';
    return 1;
}
