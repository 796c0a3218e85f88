/* processes.c - other processes: init, the supervisor, and whoever else has a number. */
#include <linux/kcmp.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "tests/redteam/attack/attack.h"

struct sched_attr_v0 {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

static int pidfd(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static int by_pidfd(pid_t pid, char what)
{
    int fd = pidfd(pid);

    if (fd < 0)
        return -errno;
    if (what == 'g')
        return last(syscall(SYS_pidfd_getfd, fd, 0, 0));
    return last(syscall(SYS_pidfd_send_signal, fd, what == 'k' ? SIGKILL : 0, NULL, 0));
}

static int limit(pid_t pid, unsigned long high)
{
    struct rlimit64 l;

    if (syscall(SYS_prlimit64, (unsigned)pid | high, RLIMIT_NOFILE, NULL, &l) < 0)
        return -errno;
    l.rlim_cur = l.rlim_cur > 32 ? 32 : 0;
    return last(syscall(SYS_prlimit64, (unsigned)pid | high, RLIMIT_NOFILE, &l, NULL));
}

static int memory(pid_t pid, long nr)
{
    struct iovec local = {.iov_base = scratch, .iov_len = 8},
                 remote = {.iov_base = scratch + 64, .iov_len = 8};

    return last(syscall(nr, pid, &local, 1, &remote, 1, 0));
}

static int attach(pid_t pid, long request)
{
    long r = syscall(SYS_ptrace, request, pid, 0, 0);
    int status;

    if (r < 0)
        return -errno;
    (void)waitpid(pid, &status, __WALL | (request == PTRACE_SEIZE ? WNOHANG : 0));
    (void)ptrace(PTRACE_DETACH, pid, 0, 0);
    return 0;
}

static int schedule(pid_t pid, char how)
{
    struct sched_param p = {0};
    struct sched_attr_v0 a = {.size = sizeof(a), .policy = SCHED_BATCH, .nice = 5};
    unsigned long cpus = 1;

    switch (how) {
    case 'a':
        return last(syscall(SYS_sched_setaffinity, pid, sizeof(cpus), &cpus));
    case 's':
        return last(syscall(SYS_sched_setscheduler, pid, SCHED_BATCH, &p));
    case 'p':
        return last(syscall(SYS_sched_setparam, pid, &p));
    default:
        return last(syscall(SYS_sched_setattr, pid, &a, 0));
    }
}

static int towards(const char *how, pid_t pid)
{
    siginfo_t si = {.si_code = SI_QUEUE};
    void *list;
    size_t len;

#define IS(s) (strcmp(how, s) == 0)
    if (IS("kill"))
        return last(syscall(SYS_kill, pid, SIGKILL));
    if (IS("stop"))
        return last(syscall(SYS_kill, pid, SIGSTOP));
    if (IS("look"))
        return last(syscall(SYS_kill, pid, 0));
    if (IS("tkill"))
        return last(syscall(SYS_tkill, pid, SIGTERM));
    if (IS("sigqueue"))
        return last(syscall(SYS_rt_sigqueueinfo, pid, SIGTERM, &si));
    if (IS("pidfd_getfd"))
        return by_pidfd(pid, 'g');
    if (IS("pidfd_kill"))
        return by_pidfd(pid, 'k');
    if (IS("prlimit"))
        return limit(pid, 0);
    if (IS("prlimit:high"))
        return limit(pid, 0xdeadbeef00000000);
    if (IS("affinity"))
        return schedule(pid, 'a');
    if (IS("scheduler"))
        return schedule(pid, 's');
    if (IS("param"))
        return schedule(pid, 'p');
    if (IS("schedattr"))
        return schedule(pid, 't');
    if (IS("nice"))
        return last(syscall(SYS_setpriority, PRIO_PROCESS, pid, 19));
    if (IS("nice:group"))
        return last(syscall(SYS_setpriority, PRIO_PGRP, pid, 19));
    if (IS("ioprio"))
        return last(syscall(SYS_ioprio_set, 1, pid, 3 << 13));
    if (IS("attach"))
        return attach(pid, PTRACE_ATTACH);
    if (IS("seize"))
        return attach(pid, PTRACE_SEIZE);
    if (IS("read"))
        return memory(pid, SYS_process_vm_readv);
    if (IS("write"))
        return memory(pid, SYS_process_vm_writev);
    if (IS("kcmp"))
        return last(syscall(SYS_kcmp, getpid(), pid, KCMP_FILE, 0, 0));
    if (IS("robust"))
        return last(syscall(SYS_get_robust_list, pid, &list, &len));
    if (IS("setpgid"))
        return last(syscall(SYS_setpgid, pid, 0));
    return -EINVAL;
#undef IS
}

static int do_towards(char **v) /* HOW PID */
{
    return towards(v[0], (pid_t)number(v[1]));
}

/* A child of one's own, to do it to: what every one of these must still be able to. */
static int do_child(char **v) /* HOW */
{
    pid_t pid = fork();
    int r;

    (void)setpgid(pid, pid); /* both do it, so that it is done for both */
    if (pid == 0) {
        (void)alarm(30);
        (void)pause();
        _exit(0);
    }
    r = pid < 0 ? -errno : towards(v[0], pid);
    (void)kill(pid, SIGKILL);
    return r;
}

/* How many of the pids 1 to N can be signalled. */
static int do_reach(char **v)
{
    pid_t max = (pid_t)number(v[0]);
    int n = 0;

    for (pid_t pid = 1; pid <= max; pid++)
        n += kill(pid, 0) == 0;
    printf("found %s\n", n < 10 ? "few" : "many");
    return FOUND;
}

/* Everybody that one may signal: ends all of the sandbox but init and itself. Never outside of one. */
static int do_killall(char **v)
{
    (void)v;
    if (getppid() != 1 && getpid() > 30)
        return -EINVAL; /* not in a pid namespace of its own */
    return last(syscall(SYS_kill, -1, SIGKILL));
}

/* KEY: joins nothing, asks what the session keyring holds and plants a key in the parent's. */
static int do_keyctl(char **v)
{
    long op = (long)number(v[0]);

    return last(syscall(SYS_keyctl, op, -3, scratch, 16, 0));
}

const struct verb process_verbs[] = {
    {"child", 1, do_child}, {"keyctl", 1, do_keyctl},   {"killall", 0, do_killall},
    {"reach", 1, do_reach}, {"towards", 2, do_towards}, {NULL, 0, NULL},
};
