/* signals.c - termination signals as a descriptor. See signals.h. */
#include "supervisor/signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "common/exit.h"

int orch_signals_open(bool suspend, struct orch_signals *ret, struct orch_err *err)
{
    sigset_t set;
    int fd;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    if (suspend)
        (void)sigaddset(&set, SIGUSR1);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return orch_err_sys(err, errno, "sigprocmask");
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return orch_err_sys(err, errno, "signalfd");
    *ret = (struct orch_signals){.fd = fd};
    return 0;
}

void orch_signals_poll(struct orch_signals *s)
{
    struct signalfd_siginfo info;

    while (read(s->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGUSR1)
            s->suspend = true;
        else if (!s->first)
            s->first = (int)info.ssi_signo;
        s->count++;
    }
}

bool orch_signals_stop(const struct orch_signals *s)
{
    return s->first || s->suspend;
}

bool orch_signals_pause(const struct orch_signals *s)
{
    return s->suspend && !s->first;
}

int orch_signals_exit(const struct orch_signals *s)
{
    if (!s->first)
        return 0;
    return s->first == SIGINT ? ORCH_EXIT_SIGINT : ORCH_EXIT_SIGTERM;
}

void orch_signals_close(struct orch_signals *s)
{
    orch_close_fdp(&s->fd);
}
