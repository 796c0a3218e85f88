/*
 * doctor_seccomp.c - doctor's tries of system call filters: one that refuses, one that notifies, and what a
 * listener can do beyond that.
 *
 * The call that is filtered is getppid: it takes no argument, and no library needs it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/io.h"
#include "sandbox/doctor_int.h"
#include "sandbox/kernel.h"

#define ANSWER 4242
#define WAIT_MS 2000

#define FILTER(action)                                                                                       \
    {                                                                                                        \
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),                               \
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1), BPF_STMT(BPF_RET | BPF_K, (action)),     \
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),                                                    \
    }

static long load(struct sock_filter *code, unsigned long flags)
{
    struct sock_fprog prog = {.len = 4, .filter = code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

void orch_try_filter(struct orch_try *t)
{
    struct sock_filter code[] = FILTER(SECCOMP_RET_ERRNO | EXDEV);

    if (load(code, 0) < 0)
        orch_try_missing(t, errno, "load a system call filter");
    else if (syscall(SYS_getppid) >= 0 || errno != EXDEV)
        orch_try_missing(t, EINVAL, "be refused a call by a system call filter");
    else
        orch_try_works(t, "loaded, and it refuses");
}

/* ---- notification ---- */

struct asked {
    pid_t pid;
    int sock, listener;
    int pipe[2]; /* for ADDFD: the child writes to the end it was given */
    struct seccomp_notif req;
};

static unsigned long load_flags(uint64_t which)
{
    return SECCOMP_FILTER_FLAG_NEW_LISTENER |
           (which == ORCH_NOTIFY_KILLABLE ? SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV : 0UL);
}

static void on_signal(int sig)
{
    (void)sig;
}

/* Loads the filter, hands the listener over and asks. Exit status 0: it got the answer it should. */
static _Noreturn void asker(struct orch_try *t, int sock)
{
    struct sock_filter code[] = FILTER(SECCOMP_RET_USER_NOTIF);
    struct sigaction sa = {.sa_handler = on_signal}; /* no SA_RESTART: an interrupted call says EINTR */
    struct orch_msg m = {.kind = ORCH_MSG_LISTENER};
    int listener;
    long r;

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || sigaction(SIGUSR1, &sa, NULL) < 0)
        _exit(1);
    listener = (int)load(code, load_flags(t->arg));
    if (listener < 0)
        orch_try_missing(t, errno, "load a filter with a listener");
    if (listener < 0 || orch_msg_send(sock, &m, listener) < 0)
        _exit(1);
    r = syscall(SYS_getppid);
    if (t->arg == ORCH_NOTIFY_ADDFD)
        _exit(r > 2 && write((int)r, "x", 1) == 1 ? 0 : 2);
    _exit(r == ANSWER ? 0 : 2);
}

static int begin(struct orch_try *t, struct asked *a)
{
    struct orch_msg m;
    int sv[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0) {
        orch_try_missing(t, errno, "socketpair");
        return -1;
    }
    a->sock = sv[0];
    a->pid = fork();
    if (a->pid == 0) {
        (void)close(sv[0]);
        asker(t, sv[1]);
    }
    (void)close(sv[1]);
    if (a->pid > 0 && orch_msg_recv(a->sock, &m, &a->listener, 0) == 1 && a->listener >= 0)
        return 0;
    orch_try_missing(t, EPROTO, "get the listener of a filter");
    return -1;
}

static int receive(struct orch_try *t, struct asked *a)
{
    struct pollfd p = {.fd = a->listener, .events = POLLIN};

    memset(&a->req, 0, sizeof(a->req));
    if (poll(&p, 1, WAIT_MS) != 1 || ioctl(a->listener, SECCOMP_IOCTL_NOTIF_RECV, &a->req) < 0) {
        orch_try_missing(t, errno ? errno : ETIMEDOUT, "receive a notification");
        return -1;
    }
    if (a->req.data.nr == SYS_getppid)
        return 0;
    orch_try_missing(t, EPROTO, "receive the call that was made");
    return -1;
}

static int reply(struct orch_try *t, const struct asked *a)
{
    struct seccomp_notif_resp resp = {.id = a->req.id, .val = ANSWER};

    if (ioctl(a->listener, SECCOMP_IOCTL_NOTIF_SEND, &resp) == 0)
        return 0;
    orch_try_missing(t, errno, "answer a notification");
    return -1;
}

/* The descriptor is the answer, in one step: no time in which the task has it without knowing. */
static int reply_fd(struct orch_try *t, struct asked *a)
{
    struct seccomp_notif_addfd add = {.id = a->req.id, .flags = SECCOMP_ADDFD_FLAG_SEND};
    char byte;

    if (pipe2(a->pipe, O_CLOEXEC) < 0) {
        orch_try_missing(t, errno, "pipe");
        return -1;
    }
    add.srcfd = (uint32_t)a->pipe[1];
    if (ioctl(a->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0) {
        orch_try_missing(t, errno, "answer a notification with a descriptor");
        return -1;
    }
    orch_close_fdp(&a->pipe[1]);
    if (read(a->pipe[0], &byte, 1) == 1)
        return 0;
    orch_try_missing(t, EPROTO, "use a descriptor given as the answer to a notification");
    return -1;
}

/* A signal while it waits must not void the call: with the flag only one that kills does. */
static int interrupt(const struct asked *a)
{
    (void)kill(a->pid, SIGUSR1);
    (void)poll(NULL, 0, 20);
    return 0;
}

static int serve(struct orch_try *t, struct asked *a)
{
    if (t->arg == ORCH_NOTIFY_SYNC &&
        ioctl(a->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP) < 0) {
        orch_try_missing(t, errno, "set SYNC_WAKE_UP on a listener");
        return -1;
    }
    if (receive(t, a) < 0)
        return -1;
    if (t->arg == ORCH_NOTIFY_KILLABLE)
        (void)interrupt(a);
    return t->arg == ORCH_NOTIFY_ADDFD ? reply_fd(t, a) : reply(t, a);
}

void orch_try_notify(struct orch_try *t)
{
    struct asked a = {.pid = -1, .sock = -1, .listener = -1, .pipe = {-1, -1}};
    int status = 0;
    bool served = begin(t, &a) == 0 && serve(t, &a) == 0;

    if (!served && a.pid > 0)
        (void)kill(a.pid, SIGKILL);
    if (a.pid > 0)
        (void)waitpid(a.pid, &status, 0);
    if (served && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        orch_try_works(t, "asked, judged, answered");
    else
        orch_try_missing(t, EPROTO, "get the answer of a notification");
    orch_close_fdp(&a.sock);
    orch_close_fdp(&a.listener);
    orch_close_fdp(&a.pipe[0]);
    orch_close_fdp(&a.pipe[1]);
}
