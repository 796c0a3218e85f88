/* doctor_child.c - the throw-away processes of doctor: bounded in time, and gone with everything they made.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "common/io.h"
#include "sandbox/doctor_int.h"
#include "sandbox/kernel.h"

#define POLL_MS 2
#define DEATH_MS 2000

/* ---- answers ---- */

ORCH_PRINTF(4, 0)
static void answer(struct orch_try *t, enum orch_check_state state, int errnum, const char *fmt, va_list ap)
{
    struct orch_try_answer *a = t->answer;

    if (a->given)
        return;
    a->state = state;
    a->errnum = errnum;
    if (state == ORCH_CHECK_MISSING)
        (void)vsnprintf(a->step, sizeof(a->step), fmt, ap);
    else
        (void)vsnprintf(a->detail, sizeof(a->detail), fmt, ap);
    a->given = true;
}

void orch_try_works(struct orch_try *t, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    answer(t, ORCH_CHECK_WORKS, 0, fmt, ap);
    va_end(ap);
}

void orch_try_unneeded(struct orch_try *t, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    answer(t, ORCH_CHECK_UNNEEDED, 0, fmt, ap);
    va_end(ap);
}

void orch_try_missing(struct orch_try *t, int errnum, const char *step_fmt, ...)
{
    va_list ap;

    va_start(ap, step_fmt);
    answer(t, ORCH_CHECK_MISSING, errnum, step_fmt, ap);
    va_end(ap);
}

void orch_try_failed(struct orch_try *t, const struct orch_fail *f)
{
    orch_try_missing(t, f->errnum, "%s %s", orch_step_text(f->step), f->path ? f->path : "");
}

/* ---- the child of one check ---- */

/* Nothing a check tries can reach the terminal or a descriptor of ours. Dumpable: what it starts must let it
 * write id maps. */
static _Noreturn void child_main(struct orch_try *t, const struct orch_doctor_check *check, pid_t parent)
{
    int null;

    (void)setpgid(0, 0);
    orch_reset_signals();
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent || prctl(PR_SET_DUMPABLE, 1) < 0)
        _exit(1);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 0; i < 3 && null >= 0; i++)
        (void)dup2(null, i);
    (void)syscall(SYS_close_range, 3U, ~0U, 0);
    t->arg = check->arg;
    check->run(t);
    orch_try_missing(t, EPROTO, "the check gave no answer");
    _exit(0);
}

static bool ended(pid_t pid, int ms)
{
    uint64_t end = orch_now_ms() + (uint64_t)ms;
    siginfo_t si = {0};

    do {
        /* Not reaped yet: its number, and so that of its group, stays ours until the group was killed. */
        if (waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || si.si_pid == pid)
            return true;
        (void)poll(NULL, 0, POLL_MS);
    } while (orch_now_ms() < end);
    return false;
}

void orch_try_run(struct orch_try *t, const struct orch_doctor_check *check, int ms)
{
    pid_t self = getpid(), pid;

    memset(t->answer, 0, sizeof(*t->answer));
    pid = fork();
    if (pid == 0)
        child_main(t, check, self);
    if (pid < 0) {
        orch_try_missing(t, errno, "fork");
        return;
    }
    if (!ended(pid, ms))
        orch_try_missing(t, ETIMEDOUT, "it was not done within %d s", ms / 1000);
    (void)kill(-pid, SIGKILL);
    (void)kill(pid, SIGKILL);
    if (ended(pid, DEATH_MS))
        (void)waitpid(pid, NULL, WNOHANG);
    orch_try_missing(t, EIO, "the check's process died");
}

/* ---- a child in namespaces ---- */

/* Who the child is to be; known before the clone, after which our own ids are unmapped. */
struct identity {
    uid_t uid;
    gid_t gid;
    bool take; /* started by root: it becomes that user, as init.c does */
};

static int take_identity(const struct identity *id)
{
    if (id->take && (setgroups(0, NULL) < 0 || setresgid(id->gid, id->gid, id->gid) < 0 ||
                     setresuid(id->uid, id->uid, id->uid) < 0))
        return -errno;
    /* A change of identity clears both (prctl(2)). */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0)
        return -errno;
    return 0;
}

static _Noreturn void ns_main(struct orch_try *t, const struct identity *id, orch_ns_fn fn, int in, int out)
{
    char go;
    int r;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (read(in, &go, 1) != 1)
        _exit(1);
    r = take_identity(id);
    if (r < 0)
        orch_try_missing(t, -r, "become the agent's user in a user namespace");
    else
        fn(t, in, out);
    _exit(0);
}

static int let_go(struct orch_try *t, struct orch_ns_child *c)
{
    struct orch_err err = {0};

    if (orch_write_id_maps(c->pid, orch_agent_uid(), orch_agent_gid(), &err) < 0) {
        orch_try_missing(t, err.errnum, "write the id maps of a user namespace");
        return -1;
    }
    if (orch_write_all(c->to, "g", 1) < 0) {
        orch_try_missing(t, EPIPE, "start the child in its namespaces");
        return -1;
    }
    return 0;
}

int orch_ns_begin(struct orch_try *t, uint64_t flags, orch_ns_fn fn, struct orch_ns_child *ret)
{
    struct clone_args ca = {.flags = CLONE_NEWUSER | flags, .exit_signal = SIGCHLD};
    const struct identity id = {orch_agent_uid(), orch_agent_gid(), orch_is_root()};
    int to[2], from[2];

    *ret = (struct orch_ns_child){.pid = -1, .to = -1, .from = -1};
    if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0) {
        orch_try_missing(t, errno, "pipe");
        return -1;
    }
    ret->pid = (pid_t)syscall(SYS_clone3, &ca, sizeof(ca));
    if (ret->pid == 0) {
        (void)close(to[1]);
        (void)close(from[0]);
        ns_main(t, &id, fn, to[0], from[1]);
    }
    if (ret->pid < 0)
        orch_try_missing(t, errno, "clone3 with new namespaces");
    (void)close(to[0]);
    (void)close(from[1]);
    ret->to = to[1];
    ret->from = from[0];
    if (ret->pid > 0 && let_go(t, ret) == 0)
        return 0;
    orch_ns_end(t, ret);
    return -1;
}

void orch_ns_end(struct orch_try *t, struct orch_ns_child *c)
{
    orch_close_fdp(&c->to);
    orch_close_fdp(&c->from);
    if (c->pid > 0 && waitpid(c->pid, NULL, 0) == c->pid)
        orch_try_missing(t, EIO, "the child died in its namespaces");
    c->pid = -1;
}

void orch_ns_call(struct orch_try *t, uint64_t flags, orch_ns_fn fn)
{
    struct orch_ns_child c;

    if (orch_ns_begin(t, flags, fn, &c) == 0)
        orch_ns_end(t, &c);
}
