/* unmount.c - see unmount.h. */
#include "sandbox/unmount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/util.h"

void orch_unmount_hold(struct orch_unmounts *u, pid_t init)
{
    char path[40];

    orch_close_fdp(&u->held);
    (void)snprintf(path, sizeof(path), "/proc/%ld/ns/mnt", (long)init);
    u->held = open(path, O_RDONLY | O_CLOEXEC);
}

static void reap(struct orch_unmounts *u, unsigned i, int options)
{
    pid_t r;

    do {
        r = waitpid(u->pid[i], NULL, options);
    } while (r < 0 && errno == EINTR);
    if (r == 0)
        return;
    u->n--;
    memmove(&u->pid[i], &u->pid[i + 1], (u->n - i) * sizeof(u->pid[0]));
}

void orch_unmount_let_go(struct orch_unmounts *u)
{
    pid_t pid;

    for (unsigned i = u->n; i-- > 0;)
        reap(u, i, WNOHANG);
    if (u->held < 0)
        return;
    if (u->n == ORCH_UNMOUNTS_MAX)
        reap(u, 0, 0);
    pid = fork();
    if (pid == 0) {
        /* All of ours, the run's lock too: a dead supervisor must not seem to hold it on. */
        (void)syscall(SYS_close_range, 0, ~0U, 0);
        _exit(0);
    }
    if (pid > 0)
        u->pid[u->n++] = pid;
    orch_close_fdp(&u->held);
}

void orch_unmount_wait(struct orch_unmounts *u)
{
    orch_close_fdp(&u->held);
    while (u->n)
        reap(u, 0, 0);
}
