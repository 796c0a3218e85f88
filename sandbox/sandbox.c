/*
 * sandbox.c - orch_sandbox_run: start init, serve everything it and the agent send, decide the end, prove it.
 *
 * One poll loop. The end is decided once (the first reason wins); then init is killed, and the loop goes on
 * until its pidfd says that the whole pid namespace is dead. Only then are pipes drained and descriptors
 * closed.
 */
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/io.h"
#include "sandbox/kernel.h"
#include "sandbox/nested.h"
#include "sandbox/sandbox_int.h"
#include "sandbox/watch.h"

#define TICK_MS 250
#define DYING_MS                                                                                             \
    20000 /* hundreds of them on a busy machine need some of it; longer takes who waits for a hung file      \
             system */

struct running {
    const struct orch_sandbox_args *args;
    const struct orch_sandbox_hooks *hooks;
    struct orch_outcome *out;
    struct orch_start start;
    struct orch_notify notify;
    struct orch_control control;
    struct orch_watch watch;
    pid_t init;
    struct orch_tty_input input;
    int pidfd, sock, out_fd[2]; /* out_fd: our ends of stdout and stderr; of a terminal the first */
    uint64_t began, last_tick, ended_ms, output_left;
    bool immortal; /* not every process could be ended */
    bool ready, ended, started, trimmed;
};

static const char *const class_names[] = {
    [ORCH_CLASS_FILESYSTEM] = "filesystem", [ORCH_CLASS_EXEC] = "exec",
    [ORCH_CLASS_SYSCALL] = "syscall",       [ORCH_CLASS_NETWORK] = "network",
    [ORCH_CLASS_CONTROL] = "control",
};

const char *orch_denial_class_name(enum orch_denial_class c)
{
    return (size_t)c < ORCH_NELEM(class_names) ? class_names[c] : "unknown";
}

const char *orch_end_name(enum orch_end e)
{
    static const char *const names[] = {
        [ORCH_END_EXIT] = "exit",   [ORCH_END_SIGNAL] = "signal",   [ORCH_END_DONE] = "done",
        [ORCH_END_LIMIT] = "limit", [ORCH_END_DENIALS] = "denials", [ORCH_END_INTEGRITY] = "integrity",
        [ORCH_END_SETUP] = "setup", [ORCH_END_CANCEL] = "cancel",
    };

    return (size_t)e < ORCH_NELEM(names) ? names[e] : "unknown";
}

/* Decides the end (once) and kills the tree through its init: nothing in the namespace outlives pid 1.
 * Without a namespace init is told to hunt, by end of file. */
static void end_with(struct running *r, enum orch_end end)
{
    if (!r->ended) {
        r->ended = true;
        r->ended_ms = orch_now_ms();
        r->out->end = end;
    }
    orch_watch_kill(&r->watch);
    if (r->args->plan->nested && r->sock >= 0)
        (void)shutdown(r->sock, SHUT_WR);
    else if (!r->args->plan->nested && r->pidfd >= 0)
        (void)orch_sys_pidfd_send_signal(r->pidfd, SIGKILL);
}

static void end_with_limit(struct running *r, const char *name)
{
    if (!r->ended)
        r->out->limit = name;
    end_with(r, ORCH_END_LIMIT);
}

/* An end of the tree's own is none if a limit was reached just before, or was its cause. */
static bool reached_limit(struct running *r)
{
    const char *limit = r->ended ? NULL : orch_watch_end(&r->watch);

    if (limit)
        end_with_limit(r, limit);
    return limit != NULL;
}

static void obey(struct running *r, enum orch_next next)
{
    switch (next) {
    case ORCH_GO_ON:
        return;
    case ORCH_STOP_DONE:
        if (!reached_limit(r))
            end_with(r, ORCH_END_DONE);
        return;
    case ORCH_STOP_DENIALS:
        end_with(r, ORCH_END_DENIALS);
        return;
    case ORCH_STOP_CANCEL:
        end_with(r, ORCH_END_CANCEL);
        return;
    case ORCH_STOP_INTEGRITY:
        end_with(r, ORCH_END_INTEGRITY);
        return;
    case ORCH_STOP_LIMIT_WALL:
        end_with_limit(r, "wall");
        return;
    }
    end_with(r, ORCH_END_CANCEL);
}

static void on_failed(struct running *r, const struct orch_msg *m)
{
    if (r->ended || reached_limit(r))
        return;
    (void)snprintf(r->out->setup.step, sizeof(r->out->setup.step), "%s",
                   orch_step_text((enum orch_step)m->step));
    (void)snprintf(r->out->setup.path, sizeof(r->out->setup.path), "%s", m->path);
    r->out->setup.errnum = m->errnum;
    r->out->setup.exec_failed = m->step == ORCH_STEP_EXEC;
    end_with(r, ORCH_END_SETUP);
}

static void on_exited(struct running *r, int status)
{
    const char *limit = WIFSIGNALED(status) ? orch_watch_signal(WTERMSIG(status)) : NULL;

    if (r->ended || reached_limit(r))
        return;
    if (limit) {
        end_with_limit(r, limit);
        return;
    }
    r->out->status = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    end_with(r, WIFSIGNALED(status) ? ORCH_END_SIGNAL : ORCH_END_EXIT);
}

/* The view is up: from now on paths can be resolved beneath its root. */
static void on_ready(struct running *r, int *fd)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%d/root", r->init);
    if (r->args->plan->nested)
        (void)snprintf(path, sizeof(path), "/");
    r->notify.init = r->notify.who.init = r->init;
    r->notify.control = &r->control;
    r->notify.control_on = r->args->control;
    r->notify.look.root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    r->control.listener = ORCH_TAKE_FD(*fd);
    r->ready = true;
    if (r->notify.look.root < 0 || orch_watch_view(&r->watch, r->notify.look.root) < 0) {
        r->out->setup.errnum = errno;
        r->notify.host_errno = errno == EMFILE || errno == ENFILE ? errno : 0;
        (void)snprintf(r->out->setup.step, sizeof(r->out->setup.step), "open the sandbox's root");
        end_with(r, ORCH_END_SETUP);
        return;
    }
    orch_look_choose(&r->notify.look, &r->notify.host, r->args->plan);
}

/* The agent's terminal, not started yet: from here on it reads and writes like a pipe. */
static void on_terminal(struct running *r, int *fd)
{
    r->out_fd[0] = ORCH_TAKE_FD(*fd);
    if (r->hooks->on_tty)
        r->hooks->on_tty(r->hooks->ctx, r->out_fd[0]);
    r->input.from = r->args->tty;
}

/* Set-up messages only while set-up lasts: init and our agent stub speak, the agent has no descriptor of the
 * socket. */
static void serve_message(struct running *r)
{
    struct orch_msg m;
    ORCH_AUTO_FD int fd = -1;
    int got = orch_msg_recv(r->sock, &m, &fd, MSG_DONTWAIT);

    if (got == -EAGAIN)
        return;
    if (got <= 0) {
        orch_close_fdp(&r->sock);
        return;
    }
    switch (m.kind) {
    case ORCH_MSG_FAILED:
        on_failed(r, &m);
        return;
    case ORCH_MSG_TTY:
        on_terminal(r, &fd);
        return;
    case ORCH_MSG_READY:
        on_ready(r, &fd);
        return;
    case ORCH_MSG_LISTENER:
        r->notify.listener = ORCH_TAKE_FD(fd);
        r->out->missing = (unsigned)m.value;
        /* Here, not in the agent's process: there the ioctl would itself be notified, with nobody listening
         * yet. */
        if (ioctl(r->notify.listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP) < 0)
            r->out->missing |= 2;
        r->started = true;
        if (r->hooks->on_started)
            r->hooks->on_started(r->hooks->ctx, r->init);
        return;
    case ORCH_MSG_EXITED:
        on_exited(r, m.value);
        return;
    default:
        return;
    }
}

/* One each time round: the one who asked runs on this CPU as soon as we wait again, so a second is rarely
 * there. */
static void serve_notification(struct running *r, short revents)
{
    if (revents & POLLIN)
        obey(r, orch_notify_serve(&r->notify));
    else /* POLLHUP: nobody is left who could ask */
        orch_close_fdp(&r->notify.listener);
}

/* Returns false at end of file. */
static bool serve_output(struct running *r, int stream)
{
    static char chunk[65536];
    ssize_t n = read(r->out_fd[stream - 1], chunk, sizeof(chunk));
    size_t keep;

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        return false;
    *(stream == 1 ? &r->out->out_bytes : &r->out->err_bytes) += (uint64_t)n;
    if (r->args->tty && r->hooks->on_shown)
        r->hooks->on_shown(r->hooks->ctx, chunk, (size_t)n);
    keep = (uint64_t)n < r->output_left ? (size_t)n : (size_t)r->output_left;
    r->output_left -= keep;
    r->out->dropped_bytes += (uint64_t)n - keep;
    if (keep && r->hooks->on_output)
        r->hooks->on_output(r->hooks->ctx, stream, chunk, keep);
    return true;
}

static void serve_input(struct running *r)
{
    bool closed = false;

    obey(r, r->hooks->on_input(r->hooks->ctx, &r->input.buf, &closed));
    orch_tty_input_trim(&r->input);
    if (closed)
        r->input.from = NULL;
}

static void tick(struct running *r)
{
    uint64_t now = orch_now_ms();
    const char *limit;

    if (!r->trimmed) /* what compiling needed: an agent that is still there may stay for hours */
        (void)malloc_trim(0);
    r->trimmed = true;
    r->last_tick = now;
    if (r->args->wall_ms && now - r->began >= r->args->wall_ms)
        end_with_limit(r, "wall");
    limit = r->ended ? NULL : orch_watch_look(&r->watch);
    if (limit)
        end_with_limit(r, limit);
    if (r->ready && r->args->plan->nested)
        orch_look_choose(&r->notify.look, &r->notify.host, r->args->plan);
    if (r->hooks->on_tick)
        obey(r, r->hooks->on_tick(r->hooks->ctx));
}

static int time_to_next(const struct running *r)
{
    uint64_t elapsed = orch_now_ms() - r->began;
    uint64_t left = r->args->wall_ms > elapsed ? r->args->wall_ms - elapsed : 0;

    if (r->args->wall_ms && left < TICK_MS)
        return (int)left;
    return TICK_MS;
}

enum {
    SLOT_SOCK,
    SLOT_PIDFD,
    SLOT_LISTENER,
    SLOT_OUT,
    SLOT_ERR,
    SLOT_WAKE,
    SLOT_INPUT,
    SLOT_SHOWN,
    SLOT_FIXED
};

static size_t fill_poll(const struct running *r, struct pollfd *p)
{
    bool alive = !r->ended;
    const struct orch_tty *tty = alive ? r->input.from : NULL;
    bool full = alive && r->hooks->output_full && r->hooks->output_full(r->hooks->ctx);

    p[SLOT_SOCK] = (struct pollfd){.fd = r->sock, .events = POLLIN};
    p[SLOT_PIDFD] = (struct pollfd){.fd = r->pidfd, .events = POLLIN};
    p[SLOT_LISTENER] = (struct pollfd){.fd = alive ? r->notify.listener : -1, .events = POLLIN};
    p[SLOT_OUT] = (struct pollfd){.fd = full ? -1 : r->out_fd[0], .events = POLLIN};
    if (r->input.buf.len > 0) /* a terminal is written to as well, also while nothing is taken from it */
        p[SLOT_OUT] =
            (struct pollfd){.fd = r->out_fd[0], .events = (short)(full ? POLLOUT : POLLIN | POLLOUT)};
    p[SLOT_ERR] = (struct pollfd){.fd = full ? -1 : r->out_fd[1], .events = POLLIN};
    p[SLOT_WAKE] = (struct pollfd){.fd = alive ? r->hooks->wake_fd : -1, .events = POLLIN};
    p[SLOT_INPUT] = (struct pollfd){.fd = tty ? tty->in_fd : -1, .events = POLLIN};
    p[SLOT_SHOWN] = (struct pollfd){.fd = tty ? tty->out_fd : -1, .events = POLLOUT};
    return SLOT_FIXED + (alive ? orch_control_poll(&r->control, p + SLOT_FIXED) : 0);
}

static void serve(struct running *r, struct pollfd *p, size_t n)
{
    /* Set-up records before the exit they explain; notifications before everything that could wait. */
    if (p[SLOT_SOCK].revents && r->sock >= 0)
        serve_message(r);
    if (p[SLOT_LISTENER].revents && !r->ended)
        serve_notification(r, p[SLOT_LISTENER].revents);
    for (int stream = 1; stream <= 2; stream++)
        if ((p[SLOT_OUT + stream - 1].revents & ~POLLOUT) && !serve_output(r, stream))
            orch_close_fdp(&r->out_fd[stream - 1]);
    if (p[SLOT_INPUT].revents && !r->ended)
        serve_input(r);
    if (r->input.buf.len > 0)
        orch_tty_input_pump(&r->input, r->out_fd[0]);
    if (!r->ended && n > SLOT_FIXED)
        obey(r, orch_control_serve(&r->control, p + SLOT_FIXED, n - SLOT_FIXED, r->hooks));
    if (!r->ended &&
        (p[SLOT_WAKE].revents || orch_now_ms() - r->last_tick >= TICK_MS || time_to_next(r) == 0))
        tick(r);
}

static void loop(struct running *r)
{
    struct pollfd p[SLOT_FIXED + ORCH_CONTROL_CONNS + 1];

    for (;;) {
        size_t n = fill_poll(r, p);

        if (poll(p, n, r->ended ? TICK_MS : time_to_next(r)) < 0 && errno != EINTR)
            end_with(r, ORCH_END_CANCEL);
        serve(r, p, n);
        if (p[SLOT_PIDFD].revents || r->immortal)
            break;
        if (r->ended)
            end_with(r, r->out->end); /* again, in case init was not yet killable */
        /* In tier nested init itself gives up its hunt. */
        r->immortal = r->ended && !r->args->plan->nested && orch_now_ms() - r->ended_ms > DYING_MS;
    }
}

/* Init died without saying why: before it was ready that is a set-up failure, later somebody outside killed
 * it. */
static void after_death(struct running *r)
{
    siginfo_t si = {0};

    while (r->sock >= 0 && !r->ended) {
        struct pollfd p = {.fd = r->sock, .events = POLLIN};

        if (poll(&p, 1, 0) <= 0)
            break;
        serve_message(r);
    }
    (void)waitid(P_PIDFD, (id_t)r->pidfd, &si, WEXITED);
    if (r->ended || reached_limit(r)) /* the kernel may have killed init with the rest */
        return;
    if (!r->started) {
        (void)snprintf(r->out->setup.step, sizeof(r->out->setup.step), "start (init ended unexpectedly)");
        r->out->setup.errnum = ECHILD;
        end_with(r, ORCH_END_SETUP);
        return;
    }
    r->out->status = SIGKILL;
    end_with(r, ORCH_END_SIGNAL);
}

/* An end of its own is none if its layer is over the limits by now; nor is that by time, which may yet be
 * judged. */
static void measure_dead(struct running *r)
{
    bool timed = r->out->end == ORCH_END_LIMIT && strcmp(r->out->limit, "wall") == 0;
    const char *limit = r->out->end <= ORCH_END_DONE || timed ? orch_watch_dead(&r->watch) : NULL;

    if (!limit)
        return;
    r->out->end = ORCH_END_LIMIT;
    r->out->limit = limit;
}

static void drain_output(struct running *r)
{
    for (int stream = 1; stream <= 2; stream++) {
        while (r->out_fd[stream - 1] >= 0) {
            struct pollfd p = {.fd = r->out_fd[stream - 1], .events = POLLIN};

            if (poll(&p, 1, 0) <= 0 || !serve_output(r, stream))
                break;
        }
        orch_close_fdp(&r->out_fd[stream - 1]);
    }
}

static int clone_init(struct running *r, struct orch_err *err)
{
    struct clone_args ca = {.flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC |
                                     CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_PIDFD,
                            .pidfd = (uint64_t)(uintptr_t)&r->pidfd,
                            .exit_signal = SIGCHLD};
    pid_t pid = (pid_t)syscall(SYS_clone3, &ca, sizeof(ca));

    if (pid == 0)
        orch_init_main(&r->start);
    if (pid < 0)
        return orch_err_exit(
            err, 3, errno,
            "this host does not let us create namespaces (%s): enable unprivileged user namespaces "
            "(sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns=0), or run "
            "outside the container or sandbox that forbids them",
            strerror(errno));
    r->init = pid;
    return 0;
}

static int open_channels(struct running *r, int agent_ends[3], struct orch_err *err)
{
    int pair[2], out[2], errp[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return orch_err_sys(err, errno, "cannot make the set-up socket");
    r->sock = pair[0];
    r->start.sock = pair[1];
    if (r->args->tty)
        return 0; /* made by init, in its own devpts */
    if (pipe2(out, O_CLOEXEC) < 0)
        return orch_err_sys(err, errno, "cannot make a pipe");
    r->out_fd[0] = out[0];
    agent_ends[1] = out[1];
    if (pipe2(errp, O_CLOEXEC) < 0)
        return orch_err_sys(err, errno, "cannot make a pipe");
    r->out_fd[1] = errp[0];
    agent_ends[2] = errp[1];
    for (int i = 0; i < 2; i++)
        (void)fcntl(r->out_fd[i], F_SETFL, O_NONBLOCK);
    /* /dev/stdout and /dev/stderr reopen the pipe, so it must belong to the agent's user. */
    for (int i = 1; i < 3; i++)
        if (orch_is_root() && fchown(agent_ends[i], r->args->plan->uid, r->args->plan->gid) < 0)
            return orch_err_sys(err, errno, "cannot give a pipe to the agent's user");
    return 0;
}

/* If init is gone already, its message or its end says why: the loop reads both. */
static int let_go_on(const struct running *r, struct orch_err *err)
{
    const struct orch_msg m = {.kind = ORCH_MSG_GO};
    int got = 0;

    got = orch_watch_admit(&r->watch, r->init, err); /* before it may fork */
    if (got == 0 && r->start.as_root && !r->args->plan->nested)
        got = orch_write_id_maps(r->init, r->args->plan->uid, r->args->plan->gid, err);
    if (got == 0)
        (void)orch_msg_send(r->sock, &m, -1);
    return got;
}

static int start(struct running *r, struct orch_err *err)
{
    int ends[3] = {-1, -1, -1};
    int ret = open_channels(r, ends, err);

    r->start.stdio[0] = r->args->tty ? -1 : r->args->stdin_fd;
    r->start.stdio[1] = ends[1];
    r->start.stdio[2] = ends[2];
    if (ret == 0)
        ret = orch_start_prepare(&r->start, err);
    if (ret == 0)
        ret = r->args->plan->nested ? orch_nested_start(&r->start, &r->init, &r->pidfd, err)
                                    : clone_init(r, err);
    orch_close_fdp(&r->start.sock);
    orch_close_fdp(&ends[1]);
    orch_close_fdp(&ends[2]);
    orch_start_fini(&r->start);
    return ret == 0 ? let_go_on(r, err) : ret;
}

static void release(struct running *r)
{
    orch_watch_close(&r->watch);
    orch_notify_fini(&r->notify);
    orch_control_fini(&r->control);
    orch_tty_input_fini(&r->input);
    orch_close_fdp(&r->sock);
    orch_close_fdp(&r->pidfd);
    orch_close_fdp(&r->out_fd[0]);
    orch_close_fdp(&r->out_fd[1]);
}

int orch_sandbox_run(const struct orch_sandbox_args *a, const struct orch_sandbox_hooks *h,
                     struct orch_outcome *ret, struct orch_err *err)
{
    struct running r = {
        .args = a, .hooks = h, .out = ret, .pidfd = -1, .sock = -1, .out_fd = {-1, -1}, .watch.proc = -1};
    uint64_t cap = a->plan->profile->limits.output;
    int got;

    *ret = (struct orch_outcome){0};
    r.start = (struct orch_start){.args = a, .plan = a->plan, .sock = -1};
    r.output_left = cap ? cap : UINT64_MAX;
    r.began = r.last_tick = orch_now_ms();
    orch_control_init(&r.control);
    got = orch_notify_init(&r.notify, a->plan, h);
    if (got < 0) {
        release(&r);
        return orch_err_exit(err, 3, -got,
                             "the kernel has no system call notification (needs Linux 5.19 or later)");
    }
    got = orch_watch_open(&r.watch, a, err);
    if (got == 0)
        got = start(&r, err);
    if (got < 0 && r.pidfd >= 0) {
        (void)orch_sys_pidfd_send_signal(r.pidfd, SIGKILL);
        (void)waitid(P_PIDFD, (id_t)r.pidfd, &(siginfo_t){0}, WEXITED);
        if (a->plan->nested)
            (void)orch_nested_after();
    }
    if (got < 0) {
        release(&r);
        return got;
    }
    loop(&r);
    if (!r.immortal) {
        after_death(&r);
        measure_dead(&r);
    }
    if (r.immortal || (a->plan->nested && orch_nested_after() < 0))
        got = -EIO;
    drain_output(&r);
    ret->elapsed_ms = orch_now_ms() - r.began;
    ret->fallbacks = r.notify.fallbacks;
    ret->fakes = r.notify.fakes;
    release(&r);
    if (got < 0)
        return orch_err_sys(err, -got, "not every process of the sandbox could be ended");
    if (r.notify.host_errno)
        return orch_err_sys(err, r.notify.host_errno, "the sandbox could not be supervised");
    return 0;
}
