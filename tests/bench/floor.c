/*
 * floor.c - what the kernel and the machine take for one notified call, whoever answers it: a child calls
 * getppid, its parent does poll, NOTIF_RECV and NOTIF_SEND with "continue", and nothing else.
 *
 * usage: floor COUNT     prints the nanoseconds of a call, the mean of COUNT
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/kernel.h"

#define WARM_UP 500

static double now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int listen_to_getppid(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {sizeof(code) / sizeof(code[0]), code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
}

/* The number of its listener goes to the parent, which takes the descriptor and says so. */
static int call(int sock, unsigned long count)
{
    int fd = listen_to_getppid();
    double began;
    char byte;

    if (fd < 0 || write(sock, &fd, sizeof(fd)) != sizeof(fd) || read(sock, &byte, 1) != 1)
        return 1;
    for (unsigned long i = 0; i < WARM_UP; i++)
        (void)syscall(SYS_getppid);
    began = now_ns();
    for (unsigned long i = 0; i < count; i++)
        (void)syscall(SYS_getppid);
    return printf("%.1f\n", (now_ns() - began) / (double)count) > 0 && fflush(stdout) == 0 ? 0 : 1;
}

static void answer(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    while (poll(&p, 1, -1) == 1 && (p.revents & POLLIN)) {
        struct seccomp_notif req = {0};
        struct seccomp_notif_resp resp = {.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

        if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &req) < 0)
            continue;
        resp.id = req.id;
        (void)ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &resp);
    }
}

int main(int argc, char **argv)
{
    unsigned long count = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
    int sv[2], number, pidfd, fd, status = -1;
    pid_t pid;

    if (count == 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0) {
        (void)fprintf(stderr, "usage: floor COUNT\n");
        return 2;
    }
    pid = fork();
    if (pid == 0) {
        (void)close(sv[0]);
        _exit(call(sv[1], count));
    }
    (void)close(sv[1]);
    if (pid < 0 || read(sv[0], &number, sizeof(number)) != sizeof(number))
        return 1;
    pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
    if (fd >= 0) {
        (void)ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
        if (write(sv[0], "", 1) == 1)
            answer(fd);
    } else {
        (void)kill(pid, SIGKILL);
    }
    (void)waitpid(pid, &status, 0);
    return status == 0 ? 0 : 1;
}
