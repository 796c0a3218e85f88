/* terminal_guard.c - see terminal_guard.h. */
#include "supervisor/terminal_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/io.h"
#include "supervisor/term_filter.h"

#define GOODBYE UINT64_MAX
#define PIPE_FD 3

static bool same_modes(const struct termios *a, const struct termios *b)
{
    return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_lflag == b->c_lflag &&
           a->c_cflag == b->c_cflag && memcmp(a->c_cc, b->c_cc, sizeof(a->c_cc)) == 0;
}

/* A shell that has its terminal back sets it as it wants: then it is no longer ours to touch. SIGTTOU is
 * blocked, because who is not in front may set nothing otherwise. */
void orch_terminal_put_back(const struct termios *before, const struct termios *ours)
{
    struct termios now;
    sigset_t ttou, old;

    if (tcgetattr(STDIN_FILENO, &now) < 0 || !same_modes(&now, ours))
        return;
    (void)sigemptyset(&ttou);
    (void)sigaddset(&ttou, SIGTTOU);
    (void)sigprocmask(SIG_BLOCK, &ttou, &old);
    (void)tcflush(STDIN_FILENO, TCIFLUSH);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, before);
    (void)sigprocmask(SIG_SETMASK, &old, NULL);
}

static _Noreturn void guard_main(int fd, const struct orch_terminal_modes *modes)
{
    struct orch_term_filter filter = {0};
    struct orch_buf off = {0};
    uint64_t told;
    sigset_t all;

    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    (void)setpgid(0, 0); /* what is sent to the supervisor's group is not for us */
    if (fd != PIPE_FD && dup2(fd, PIPE_FD) < 0)
        _exit(1);
    (void)syscall(SYS_close_range, PIPE_FD + 1, ~0U, 0);
    while (read(PIPE_FD, &told, sizeof(told)) == (ssize_t)sizeof(told)) {
        if (told == GOODBYE)
            _exit(0);
        filter.touched = told;
    }
    orch_term_filter_reset(&filter, &off);
    if (off.len)
        (void)orch_write_all(STDOUT_FILENO, off.data, off.len);
    orch_terminal_put_back(&modes->before, &modes->ours);
    _exit(0);
}

pid_t orch_terminal_guard(const struct orch_terminal_modes *modes, int *ret_fd)
{
    int ends[2];
    pid_t pid;

    *ret_fd = -1;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    pid = fork();
    if (pid == 0)
        guard_main(ends[0], modes);
    (void)close(ends[0]);
    if (pid < 0) {
        (void)close(ends[1]);
        return -1;
    }
    *ret_fd = ends[1];
    return pid;
}

/* A few words at most: each mode is told once, so the pipe never fills. */
void orch_terminal_guard_tell(int fd, uint64_t touched)
{
    if (fd >= 0)
        (void)orch_write_all(fd, &touched, sizeof(touched));
}

void orch_terminal_guard_end(pid_t pid, int *fd)
{
    if (*fd < 0)
        return;
    orch_terminal_guard_tell(*fd, GOODBYE);
    orch_close_fdp(fd);
    (void)waitpid(pid, NULL, 0);
}
