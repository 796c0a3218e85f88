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
#define TRIES 100     /* for a command that is at work on the run, or a supervisor that only begins */
#define TRY_US 50000

struct stop {
    const struct orch_options *opt;
    bool cancel;
    char *state;
    struct orch_rundir dir;
};

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
    if (k == 0 && r.journal.state.apply_intent && !r.journal.state.ended)
        k = orch_err_exit(err, ORCH_EXIT_BUSY, EBUSY,
                          "run '%s' is applied in part: only finishing it is left (orch-sandbox resume %s)",
                          id, id);
    if (k == 0 && !r.journal.state.ended)
        k = orch_run_take_up(&r, err);
    if (k == 0 && !r.journal.state.ended)
        k = orch_run_end(&r, "cancelled", ORCH_EXIT_SIGTERM, "cancelled while nothing ran", err);
    orch_rundir_sweep(&r.dir);
    orch_run_fini(&r);
    return k;
}

/* A descriptor of the driver, or -ENOENT; whoever else holds the run is waited for a while. */
static int find_driver(const struct stop *s, struct orch_err *err)
{
    long pid = 0;
    int fd = -EBUSY;

    for (int i = 0; i < TRIES && fd == -EBUSY; i++) {
        if (i)
            (void)usleep(TRY_US);
        fd = orch_rundir_driver(&s->dir);
    }
    if (fd != -EBUSY)
        return fd;
    (void)orch_rundir_busy(&s->dir, &pid);
    return orch_err_exit(
        err, ORCH_EXIT_BUSY, EBUSY,
        "run '%s' is held by process %ld, which is no supervisor that can be asked from here", s->dir.id,
        pid);
}

static int steps(struct stop *s, struct orch_err *err)
{
    ORCH_AUTO_FD int fd = -1;
    int k = orch_preflight_inside(err);

    if (k == 0)
        k = orch_state_resolve(s->opt->state, &s->state, err);
    if (k == 0)
        k = orch_rundir_open(s->state, s->opt->args[0], &s->dir, err);
    if (k < 0)
        return k;
    fd = find_driver(s, err);
    if (fd < 0 && fd != -ENOENT)
        return fd;
    if (fd >= 0)
        k = signal_holder(s, fd, err);
    if (k == 0 && s->cancel) /* also if the driver died of it before it could end the run */
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
