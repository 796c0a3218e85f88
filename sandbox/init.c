/*
 * init.c - pid 1 of the sandbox: builds the view, starts the agent, reaps, and dies with the supervisor.
 *
 * It is a copy of the single-threaded supervisor, so the heap is consistent and may be used. It reads no
 * agent data. It keeps its capabilities: that, and the agent having none, is what makes it unreachable for
 * ptrace and signals.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <grp.h>

#include "common/io.h"
#include "sandbox/kernel.h"
#include "sandbox/nested.h"
#include "sandbox/sandbox_int.h"

_Noreturn void orch_init_report(int sock, const struct orch_fail *f)
{
    struct orch_msg m = {.kind = ORCH_MSG_FAILED, .step = f->step, .errnum = f->errnum};

    (void)snprintf(m.path, sizeof(m.path), "%s", f->path ? f->path : "");
    (void)orch_msg_send(sock, &m, -1);
    _exit(127);
}

static void unblock_signals(void)
{
    sigset_t none;

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

void orch_reset_signals(void)
{
    struct sigaction sa = {.sa_handler = SIG_DFL};

    for (int sig = 1; sig < NSIG; sig++)
        (void)sigaction(sig, &sa, NULL);
    unblock_signals();
}

/*
 * Waits for the supervisor's word, which mostly is there already: started by root it has written the id maps.
 * An ordinary user's we write ourselves, which saves a way there and back. The supervisor's death meanwhile
 * is end of file (or PDEATHSIG).
 */
static int wait_for_go(const struct orch_start *s, struct orch_fail *f)
{
    struct orch_msg m;
    int fd, r;

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0)
        return orch_fail_set(f, ORCH_STEP_WAIT, errno, NULL);
    (void)setsid();
    r = orch_msg_recv(s->sock, &m, &fd, 0);
    if (r == 0)
        _exit(127); /* the supervisor is gone */
    if (r < 0 || m.kind != ORCH_MSG_GO)
        return orch_fail_set(f, ORCH_STEP_WAIT, r < 0 ? -r : EPROTO, NULL);
    r = s->as_root ? 0 : orch_write_id_maps(0, s->plan->uid, s->plan->gid, NULL);
    return r < 0 ? orch_fail_set(f, ORCH_STEP_IDENTITY, -r, "/proc/self/uid_map") : 0;
}

/* The supervisor has just put us into a cgroup of this sandbox's: seen from inside, that is the root, and its
 * name says nothing of the host. */
static int forget_cgroup(const struct orch_limits *l, struct orch_fail *f)
{
    if (l->scope_process || (!l->memory && !l->pids))
        return 0;
    return unshare(CLONE_NEWCGROUP) < 0 ? orch_fail_set(f, ORCH_STEP_WAIT, errno, "cgroup namespace") : 0;
}

/* Started by root the process is still kernel uid 0 here, unmapped: it becomes the dedicated user now,
 * keeping the namespace's caps. */
static int take_identity(const struct orch_start *s, struct orch_fail *f)
{
    if (s->as_root && (setgroups(0, NULL) < 0 || setresgid(s->plan->gid, s->plan->gid, s->plan->gid) < 0 ||
                       setresuid(s->plan->uid, s->plan->uid, s->plan->uid) < 0))
        return orch_fail_set(f, ORCH_STEP_IDENTITY, errno, NULL);
    if (getuid() != s->plan->uid || geteuid() != s->plan->uid || getgid() != s->plan->gid)
        return orch_fail_set(f, ORCH_STEP_IDENTITY, EPERM, NULL);
    /* A change of identity clears both (prctl(2)). */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0)
        return orch_fail_set(f, ORCH_STEP_IDENTITY, errno, NULL);
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
        return orch_fail_set(f, ORCH_STEP_KEYRING, errno, NULL);
    return 0;
}

static int compare_ints(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;

    return (x > y) - (x < y);
}

/* A kernel without close_range must not mean that the operator's descriptors stay open (T-FD-01). */
static void close_one_by_one(unsigned from, unsigned to)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned max = 0;

    for (struct dirent *e; dir && (e = readdir(dir));) {
        unsigned fd = (unsigned)strtoul(e->d_name, NULL, 10);

        max = fd > max ? fd : max;
    }
    if (!dir)
        _exit(127);
    (void)closedir(dir);
    for (unsigned fd = from; fd <= to && fd <= max; fd++)
        (void)close((int)fd);
}

static void close_between(unsigned from, unsigned to)
{
    if (syscall(SYS_close_range, from, to, 0) < 0)
        close_one_by_one(from, to);
}

/* Closes every descriptor from 3 up that is not in keep[] (T-FD-01). */
void orch_close_others(unsigned from, int *keep, size_t n)
{
    qsort(keep, n, sizeof(*keep), compare_ints);
    for (size_t i = 0; i < n; i++) {
        if (keep[i] < (int)from)
            continue;
        if ((unsigned)keep[i] > from)
            close_between(from, (unsigned)keep[i] - 1);
        from = (unsigned)keep[i] + 1;
    }
    close_between(from, ~0U);
}

static size_t add_trees(int *keep, size_t n, const struct orch_tree *t, size_t n_trees)
{
    for (size_t i = 0; t && i < n_trees; i++)
        if (t[i].fd >= 0)
            keep[n++] = t[i].fd;
    return n;
}

void orch_init_keep_only_ours(const struct orch_start *s)
{
    size_t max = 8 + s->workspace.n_lowers + s->home.n_lowers + s->plan->n_places + s->plan->closure.n;
    ORCH_AUTO_FREE int *keep = orch_xcalloc(max, sizeof(*keep));
    size_t n = 0;

    keep[n++] = s->sock;
    for (int i = 0; i < 3; i++)
        keep[n++] = s->stdio[i];
    n = add_trees(keep, n, s->workspace.lowers, s->workspace.n_lowers);
    n = add_trees(keep, n, s->home.lowers, s->home.n_lowers);
    n = add_trees(keep, n, &s->workspace.layer, 1);
    n = add_trees(keep, n, &s->home.layer, 1);
    n = add_trees(keep, n, s->binds, s->plan->n_places);
    n = add_trees(keep, n, s->closure_binds, s->plan->closure.n);
    orch_close_others(3, keep, n);
}

/* init itself has no terminal or log of ours: 0, 1 and 2 are /dev/null; the agent's are higher until its
 * fork. */
int orch_init_own_stdio(struct orch_start *s, struct orch_fail *f)
{
    ORCH_AUTO_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0)
        return orch_fail_set(f, ORCH_STEP_WAIT, errno, "/dev/null");
    for (int i = 0; i < 3; i++) {
        if (s->stdio[i] < 0)
            s->stdio[i] = fcntl(null, F_DUPFD_CLOEXEC, 3);
        else if (s->stdio[i] < 3)
            s->stdio[i] = fcntl(s->stdio[i], F_DUPFD_CLOEXEC, 3);
        if (s->stdio[i] < 0)
            return orch_fail_set(f, ORCH_STEP_WAIT, errno, "/dev/null");
    }
    for (int i = 0; i < 3; i++)
        if (dup2(null, i) < 0)
            return orch_fail_set(f, ORCH_STEP_WAIT, errno, "/dev/null");
    return 0;
}

/* A socket of this view alone; the supervisor accepts on it. */
static int make_control(const struct orch_start *s, int *ret, struct orch_fail *f)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = ORCH_DIR_PATH "/control"};
    ORCH_AUTO_FD int fd = -1, orch = -1;
    int r;

    *ret = -1;
    orch = open(ORCH_DIR_PATH, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (orch < 0)
        return 0; /* a gate's sandbox has none */
    if (s->args->control) {
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 8) < 0 ||
            chmod(addr.sun_path, 0666) < 0)
            return orch_fail_set(f, ORCH_STEP_ORCH, errno, addr.sun_path);
    }
    r = orch_view_set_attr(orch, MOUNT_ATTR_RDONLY, 0);
    if (r < 0)
        return orch_fail_set(f, ORCH_STEP_ORCH, -r, ORCH_DIR_PATH);
    *ret = ORCH_TAKE_FD(fd);
    return 0;
}

static int set_network(const struct orch_plan *plan, struct orch_fail *f)
{
    struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    ORCH_AUTO_FD int fd = -1;

    if (sethostname("sandbox", 7) < 0)
        return orch_fail_set(f, ORCH_STEP_NETWORK, errno, "hostname");
    if (plan->profile->network != ORCH_NET_LOOPBACK)
        return 0; /* the empty namespace: not even lo is up */
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
        return orch_fail_set(f, ORCH_STEP_NETWORK, errno, "lo");
    return 0;
}

/* A working directory that is not in our root would be a hole (CVE-2024-21626). */
static int enter_workspace(const struct orch_plan *plan, struct orch_fail *f)
{
    char cwd[4096];

    if (chdir(plan->workspace) < 0)
        return orch_fail_set(f, ORCH_STEP_CWD, errno, plan->workspace);
    if (syscall(SYS_getcwd, cwd, sizeof(cwd)) < 0)
        return errno == ERANGE ? 0 : orch_fail_set(f, ORCH_STEP_CWD, errno, plan->workspace);
    if (strcmp(cwd, plan->workspace) != 0)
        return orch_fail_set(f, ORCH_STEP_CWD, EXDEV, plan->workspace);
    return 0;
}

/* The empty standard input is the view's own /dev/null, so that /dev/stdin can be opened again under
 * Landlock. */
static int agent_stdio(const struct orch_start *s)
{
    const struct orch_tty *tty = s->args->tty;
    bool empty = tty ? tty->in_fd < 0 : s->args->stdin_fd < 0;
    ORCH_AUTO_FD int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (null < 0)
        return -errno;
    for (int i = 0; i < 3; i++)
        if (dup2(i == 0 && empty ? null : s->stdio[i], i) < 0)
            return -errno;
    return tty ? orch_tty_adopt(STDOUT_FILENO) : 0;
}

/* The agent's process, up to its exec. From the filter on only sendmsg, close_range, execve and _exit are
 * used. */
static _Noreturn void agent_main(struct orch_start *s)
{
    struct orch_msg m = {.kind = ORCH_MSG_LISTENER};
    struct orch_fail f = {0};
    int r, listener, missing = 0;

    unblock_signals(); /* dispositions are init's: the default ones */
    (void)setsid();
    (void)umask(022);
    r = agent_stdio(s);
    if (r < 0) {
        (void)orch_fail_set(&f, ORCH_STEP_FORK, -r, "stdio");
        orch_init_report(s->sock, &f);
    }
    if (orch_confine_limits(s->plan, &f) < 0 ||
        (s->plan->nested ? orch_nested_privileges(s->plan, &f) : orch_confine_privileges(&f)) < 0 ||
        orch_confine_landlock(s->plan, s->args->n_files > 0, &f) < 0)
        orch_init_report(s->sock, &f);
    listener = orch_confine_filter(&s->plan->filter, &missing, &f);
    if (listener < 0)
        orch_init_report(s->sock, &f);
    m.value = missing;
    if (orch_msg_send(s->sock, &m, listener) < 0)
        _exit(127);
    (void)syscall(SYS_close_range, listener, listener, 0);
    (void)execve(s->plan->program, s->plan->argv.v, s->plan->env.v);
    (void)orch_fail_set(&f, ORCH_STEP_EXEC, errno, s->plan->program);
    orch_init_report(s->sock, &f);
}

pid_t orch_init_start_agent(struct orch_start *s, struct orch_fail *f)
{
    pid_t pid = fork();

    if (pid == 0)
        agent_main(s);
    if (pid < 0)
        (void)orch_fail_set(f, ORCH_STEP_FORK, errno, NULL);
    return pid;
}

/* The agent's end is the attempt's: the supervisor would only kill us, and with us dies all that is left. */
static void reap(int sock, pid_t agent)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct orch_msg m = {.kind = ORCH_MSG_EXITED, .value = status};

        if (pid != agent)
            continue;
        (void)orch_msg_send(sock, &m, -1);
        _exit(0);
    }
}

/* Until the agent ends, the supervisor kills us, or is gone: then everything here dies with us. */
static _Noreturn void reaper_loop(int sock, pid_t agent, int sigchld)
{
    struct pollfd fds[] = {{.fd = sock, .events = POLLIN}, {.fd = sigchld, .events = POLLIN}};

    reap(sock, agent);
    for (;;) {
        struct signalfd_siginfo info;

        if (poll(fds, 2, -1) < 0) {
            if (errno != EINTR) /* nothing more could be waited for: the end of all, not of the waiting */
                _exit(0);
            continue;
        }
        if (fds[0].revents)
            _exit(0); /* nothing more is ever sent to us: end of file */
        if (fds[1].revents && read(sigchld, &info, sizeof(info)) > 0)
            reap(sock, agent);
    }
}

_Noreturn void orch_init_main(struct orch_start *s)
{
    struct orch_msg ready = {.kind = ORCH_MSG_READY};
    struct orch_fail f = {0};
    int control = -1, sigchld;
    sigset_t mask;
    pid_t agent;

    orch_reset_signals();
    if (orch_init_own_stdio(s, &f) < 0)
        orch_init_report(s->sock, &f);
    orch_init_keep_only_ours(s);
    if (wait_for_go(s, &f) < 0 || forget_cgroup(&s->plan->profile->limits, &f) < 0 ||
        take_identity(s, &f) < 0 || orch_view_build(s, &f) < 0 || make_control(s, &control, &f) < 0 ||
        set_network(s->plan, &f) < 0 || enter_workspace(s->plan, &f) < 0 ||
        (s->args->tty && orch_tty_make(s, &f) < 0))
        orch_init_report(s->sock, &f);
    if (orch_msg_send(s->sock, &ready, control) < 0)
        _exit(127);
    orch_close_fdp(&control);
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGCHLD);
    (void)sigprocmask(SIG_SETMASK, &mask, NULL);
    sigchld = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    agent = orch_init_start_agent(s, &f);
    if (agent < 0 || sigchld < 0)
        orch_init_report(s->sock, &f);
    for (int i = s->args->tty ? 1 : 0; i < 3; i++) /* one end of a terminal stays: see tty.c */
        orch_close_fdp(&s->stdio[i]);
    reaper_loop(s->sock, agent, sigchld);
}
