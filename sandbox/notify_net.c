/* notify_net.c - judging the address of connect, bind and sendto. See notify_int.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "sandbox/notify_int.h"

#define NAME_SERVER_PORT 53

static void judge_inet(struct judged *j, const struct sockaddr_storage *a)
{
    bool binds = j->call->kind == ORCH_CALL_BIND;
    struct orch_decision dec;
    int errnum =
        binds ? orch_plan_decide_bind(j->n->plan, a, &dec) : orch_plan_decide_inet(j->n->plan, a, &dec);

    if (errnum == 0)
        return;
    orch_inet_text(a, j->address, sizeof(j->address));
    orch_judge_deny(j, ORCH_CLASS_NETWORK, errnum, dec.rule);
    j->d.path = j->address;
    j->d.access = binds ? "bind" : "connect";
    /* The C library sorts the addresses of "localhost" by connecting to each of them a datagram socket, which
     * sends nothing (RFC 3484); but who turns to a name server wants to know something. */
    j->d.quiet = j->call->kind == ORCH_CALL_CONNECT && orch_inet_is_loopback(a) &&
                 orch_inet_port(a) != NAME_SERVER_PORT &&
                 orch_task_has_datagram((pid_t)j->req->pid, (int)orch_judge_arg(j, 0));
}

static void judge_unix(struct judged *j, const struct sockaddr_storage *a, size_t len)
{
    const struct sockaddr_un *un = (const void *)a;
    size_t max = len - offsetof(struct sockaddr_un, sun_path);
    size_t n = strnlen(un->sun_path, max < sizeof(un->sun_path) ? max : sizeof(un->sun_path));

    if (n == 0)
        return; /* unnamed or abstract: only this sandbox's own network namespace has those */
    orch_buf_reset(&j->text);
    orch_buf_add(&j->text, un->sun_path, n);
    if (!orch_judge_resolve(j, ORCH_NOARG, j->text.data, j->call->kind == ORCH_CALL_BIND, &j->path))
        return;
    if (j->call->kind == ORCH_CALL_BIND) {
        if (!j->path.exists)
            (void)orch_judge_new(j, &j->path, 's');
    } else {
        (void)orch_judge_existing(j, &j->path, ORCH_REQ_CONNECT);
    }
}

void orch_judge_address(struct judged *j)
{
    struct sockaddr_storage a = {0};
    uint64_t len = orch_judge_arg(j, j->call->path + 1) & 0xffffffff;
    int r;

    if (len < sizeof(sa_family_t) || len > sizeof(a))
        return; /* EINVAL by the kernel */
    r = orch_look_bytes(&j->n->look, (pid_t)j->req->pid, orch_judge_arg(j, j->call->path), &a, (size_t)len);
    if (r == -EFAULT)
        return;
    j->d.family = r == 0 ? a.ss_family : 0;
    if (r < 0) {
        orch_judge_unreadable(j, ORCH_CLASS_NETWORK, r);
        return;
    }
    if (a.ss_family == AF_UNIX)
        judge_unix(j, &a, (size_t)len);
    else if (a.ss_family == AF_INET || a.ss_family == AF_INET6)
        judge_inet(j, &a);
}
