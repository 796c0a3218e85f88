/*
 * cmd_stop.c - the verbs `suspend` and `cancel`: a run that is driven gets a signal and ends its attempt
 * itself; one that nobody drives is ended here.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "common/exit.h"
#include "common/io.h"
#include "supervisor/preflight.h"

#define WAIT_MS 60000 /* for the supervisor to end; its tree is dead long before */

struct stop {
    const struct orch_options *opt;
    bool cancel;
    char *state;
    struct orch_rundir dir;
};

/*
 * The process that holds the run's lock. The number in the lock file could be an old one, given to somebody
 * else: so the descriptor comes first, and then the lock must still be held by that number. The holder wrote
 * it itself and keeps the lock as long as it lives.
 */
static int holder_fd(const struct orch_rundir *dir, bool *ret_busy, struct orch_err *err)
{
    long pid, again;
    int fd;

    *ret_busy = orch_rundir_busy(dir, &pid);
    if (!*ret_busy)
        return -1;
    fd = pid > 0 ? (int)syscall(SYS_pidfd_open, (pid_t)pid, 0) : -1;
    if (fd >= 0 && orch_rundir_busy(dir, &again) && again == pid)
        return fd;
    if (fd >= 0)
        (void)close(fd);
    *ret_busy = orch_rundir_busy(dir, &again);
    return *ret_busy ? orch_err_exit(err, ORCH_EXIT_BUSY, EBUSY,
                                     "run '%s' is held by process %ld, which cannot be reached from here",
                                     dir->id, again)
                     : -1;
}

static int wait_end(const struct stop *s, int fd, struct orch_err *err)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n;

    do {
        n = poll(&p, 1, WAIT_MS);
    } while (n < 0 && errno == EINTR);
    return n > 0 ? 0
                 : orch_err_exit(err, ORCH_EXIT_BUSY, ETIMEDOUT, "the supervisor of run '%s' does not end",
                                 s->dir.id);
}

static int signal_holder(const struct stop *s, int fd, struct orch_err *err)
{
    int sig = s->cancel ? SIGTERM : SIGUSR1;

    if (syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0) == 0 || errno == ESRCH)
        return wait_end(s, fd, err);
    return orch_err_exit(err, ORCH_EXIT_BUSY, errno, "the supervisor of run '%s' cannot be signalled: %s",
                         s->dir.id, strerror(errno));
}

/* Where the run stands now that nobody drives it. */
static int say(const struct stop *s, struct orch_err *err)
{
    struct orch_run_state st = {0};
    bool torn, good;
    int k = orch_run_state_load(s->dir.fd, &st, &torn, err);

    if (k < 0)
        return k;
    good = s->cancel ? st.ended && st.exit_code == ORCH_EXIT_SIGTERM : !st.ended;
    if (!good)
        k = orch_err_exit(err, ORCH_EXIT_BUSY, EBUSY, "run '%s' had ended before: %s (exit %d)", s->dir.id,
                          st.ended ? st.verdict : "interrupted", st.exit_code);
    else
        (void)printf("run %s: %s\n", s->dir.id, orch_run_standing(&st, false));
    orch_run_state_fini(&st);
    return k;
}

/* Nobody drives it: the end is written here, under the lock, after the same checks as a resume. */
static int end_here(const struct orch_options *opt, const char *id, struct orch_err *err)
{
    struct orch_run r;
    int k;

    orch_run_init(&r, opt);
    k = orch_run_reopen(&r, id, err);
    if (k == 0 && !r.journal.state.ended)
        k = orch_run_take_up(&r, err);
    if (k == 0 && !r.journal.state.ended)
        k = orch_run_end(&r, "cancelled", ORCH_EXIT_SIGTERM, "cancelled while nothing ran", err);
    orch_rundir_sweep(&r.dir);
    orch_run_fini(&r);
    return k;
}

static int steps(struct stop *s, struct orch_err *err)
{
    ORCH_AUTO_FD int fd = -1;
    bool busy = false;
    int k = orch_preflight_inside(err);

    if (k == 0)
        k = orch_state_resolve(s->opt->state, &s->state, err);
    if (k == 0)
        k = orch_rundir_open(s->state, s->opt->args[0], &s->dir, err);
    if (k < 0)
        return k;
    fd = holder_fd(&s->dir, &busy, err);
    if (busy && fd < 0)
        return -err->errnum;
    if (busy)
        k = signal_holder(s, fd, err);
    else if (s->cancel)
        k = end_here(s->opt, s->dir.id, err);
    return k < 0 ? k : say(s, err);
}

static int stop(const struct orch_options *opt, bool cancel)
{
    struct stop s = {.opt = opt, .cancel = cancel, .dir = ORCH_RUNDIR_NONE};
    struct orch_err err = {0};
    int k = steps(&s, &err);

    orch_rundir_close(&s.dir);
    free(s.state);
    return k < 0 ? orch_fail(&err, ORCH_EXIT_STATE) : ORCH_EXIT_OK;
}

int orch_cmd_suspend(const struct orch_options *opt)
{
    return stop(opt, false);
}

int orch_cmd_cancel(const struct orch_options *opt)
{
    return stop(opt, true);
}
