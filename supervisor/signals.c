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
    *ret = (struct orch_signals){.fd = fd, .set = set};
    return 0;
}

static bool take_terminal(struct orch_signals *s, int sig)
{
    s->resized |= sig == SIGWINCH;
    s->stopped |= sig == SIGTSTP;
    s->continued |= sig == SIGCONT;
    return sig == SIGWINCH || sig == SIGTSTP || sig == SIGCONT;
}

void orch_signals_poll(struct orch_signals *s)
{
    struct signalfd_siginfo info;

    while (read(s->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (take_terminal(s, (int)info.ssi_signo))
            continue;
        if (info.ssi_signo == SIGUSR1)
            s->suspend = true;
        else if (!s->first)
            s->first = (int)info.ssi_signo;
        s->count++;
    }
}

void orch_signals_terminal(struct orch_signals *s, bool on)
{
    static const int extra[] = {SIGWINCH, SIGTSTP, SIGCONT};
    sigset_t more, all = s->set;

    (void)sigemptyset(&more);
    for (size_t i = 0; i < ORCH_NELEM(extra); i++) {
        (void)sigaddset(&more, extra[i]);
        (void)sigaddset(&all, extra[i]);
    }
    (void)signalfd(s->fd, on ? &all : &s->set, SFD_CLOEXEC | SFD_NONBLOCK);
    (void)sigprocmask(on ? SIG_BLOCK : SIG_UNBLOCK, &more, NULL);
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
