/* doctor_calls.c - doctor's tries of the kernel itself and of single calls: Landlock, memory, pidfd, pty. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>

#include "common/io.h"
#include "sandbox/doctor_int.h"
#include "sandbox/kernel.h"

#define KERNEL_FULL ORCH_KERNEL(6, 1)
#define WAIT_MS 2000

void orch_try_kernel(struct orch_try *t)
{
    struct orch_doctor_facts f;

    orch_doctor_facts(t->args, &f);
    if (f.kernel >= KERNEL_FULL)
        orch_try_works(t, "Linux %s", f.release);
    else
        orch_try_missing(t, ENOSYS, "find Linux 6.1 or newer (Linux %s)", f.release);
    orch_doctor_facts_fini(&f);
}

void orch_try_arch(struct orch_try *t)
{
    struct utsname u;

    if (uname(&u) < 0)
        orch_try_missing(t, errno, "uname");
    else if (strcmp(u.machine, "x86_64") != 0)
        orch_try_missing(t, ENOTSUP, "find an x86_64 kernel (%s)", u.machine);
    else
        orch_try_works(t, "%s", u.machine);
}

/* ---- Landlock ---- */

/* Reading directories is forbidden but beneath /proc. */
static int restrict_self(void)
{
    struct orch_ll_ruleset_attr attr = {.handled_access_fs = ORCH_LL_READ_DIR};
    ORCH_AUTO_FD int set = (int)syscall(SYS_landlock_create_ruleset, &attr, 8, 0);
    ORCH_AUTO_FD int proc = open("/proc", O_PATH | O_CLOEXEC);
    struct landlock_path_beneath_attr rule = {.allowed_access = ORCH_LL_READ_DIR, .parent_fd = proc};

    if (set < 0 || proc < 0 ||
        syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_landlock_restrict_self, set, 0) < 0)
        return -errno;
    return 0;
}

static int open_dir(const char *path)
{
    ORCH_AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -errno : 0;
}

static const char *without(int abi)
{
    if (abi < 2)
        return ", without moves between directories, truncation, device ioctls and scopes";
    if (abi < 3)
        return ", without truncation, device ioctls and scopes";
    if (abi < 5)
        return ", without device ioctls and scopes";
    return abi < 6 ? ", without scopes" : "";
}

void orch_try_landlock(struct orch_try *t)
{
    int abi = orch_landlock_abi(), r;

    if (abi < 1) {
        orch_try_missing(t, abi < 0 ? -abi : ENOSYS, "ask for the Landlock ABI");
        return;
    }
    r = open_dir("/");
    if (r == 0)
        r = restrict_self();
    if (r < 0)
        orch_try_missing(t, -r, "apply a Landlock ruleset");
    else if (open_dir("/proc") < 0)
        orch_try_missing(t, EACCES, "open what a Landlock rule allows");
    else if (open_dir("/") != -EACCES)
        orch_try_missing(t, EEXIST, "be refused what no Landlock rule allows");
    else
        orch_try_works(t, "ABI %d, and it refuses%s", abi, without(abi));
}

/* ---- memory of another process ---- */

static char cell[32] = "before"; /* at the same address in a forked child */

static void in_memory(struct orch_try *t, int in, int out)
{
    char byte;

    (void)t;
    (void)snprintf(cell, sizeof(cell), "%ld", (long)syscall(SYS_gettid) + 1000000);
    if (write(out, "r", 1) == 1)
        (void)!read(in, &byte, 1);
    orch_try_works(t, "read");
}

static int begin_child(struct orch_try *t, struct orch_ns_child *c)
{
    int to[2], from[2];

    if (t->arg)
        return orch_ns_begin(t, CLONE_NEWPID, in_memory, c);
    *c = (struct orch_ns_child){.pid = -1, .to = -1, .from = -1};
    if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0) {
        orch_try_missing(t, errno, "pipe");
        return -1;
    }
    c->pid = fork();
    if (c->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(to[1]);
        (void)close(from[0]);
        in_memory(t, to[0], from[1]);
        _exit(0);
    }
    (void)close(to[0]);
    (void)close(from[1]);
    c->to = to[1];
    c->from = from[0];
    return 0;
}

void orch_try_memory(struct orch_try *t)
{
    char got[sizeof(cell)] = "";
    struct iovec local = {got, sizeof(got)}, remote = {cell, sizeof(cell)};
    struct orch_ns_child c;
    char byte;

    if (begin_child(t, &c) < 0)
        return;
    if (read(c.from, &byte, 1) != 1)
        orch_try_missing(t, EPIPE, "start a child whose memory can be read");
    else if (process_vm_readv(c.pid, &local, 1, &remote, 1, 0) != (ssize_t)sizeof(got))
        orch_try_missing(t, errno, "read a child's memory with process_vm_readv");
    else if (memcmp(got, cell, sizeof(cell)) == 0)
        orch_try_missing(t, EPROTO, "read what a child's memory holds");
    orch_ns_end(t, &c);
}

/* ---- processes ---- */

void orch_try_pidfd(struct orch_try *t)
{
    struct pollfd p = {.fd = -1, .events = POLLIN};
    pid_t pid = fork();

    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            (void)pause();
    }
    p.fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (p.fd < 0)
        orch_try_missing(t, errno, "open a pidfd");
    else if (orch_sys_pidfd_send_signal(p.fd, SIGKILL) < 0)
        orch_try_missing(t, errno, "kill by a pidfd");
    else if (poll(&p, 1, WAIT_MS) != 1)
        orch_try_missing(t, ETIMEDOUT, "see a death by a pidfd");
    else
        orch_try_works(t, "killed by it, and the death seen");
    orch_close_fdp(&p.fd);
    if (pid > 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
    }
}

/* Parent and child of its own; the child holds the pipe, so its death is the end of file. */
static _Noreturn void orphan_maker(int out)
{
    int ready[2];
    char byte;
    pid_t pid;

    if (pipe(ready) < 0)
        _exit(1);
    pid = fork();
    if (pid == 0) {
        bool ok = prctl(PR_SET_PDEATHSIG, SIGKILL) == 0;

        /* In this order: the second one lets the parent go, and that is the end of this process. */
        (void)!write(out, ok ? "y" : "n", 1);
        (void)!write(ready[1], "r", 1);
        (void)poll(NULL, 0, 2 * WAIT_MS); /* its own end, should nobody kill it */
        _exit(0);
    }
    (void)!read(ready[0], &byte, 1);
    _exit(0);
}

void orch_try_pdeathsig(struct orch_try *t)
{
    int out[2];
    struct pollfd p;
    char byte = 0;
    pid_t pid;

    if (pipe2(out, O_CLOEXEC) < 0) {
        orch_try_missing(t, errno, "pipe");
        return;
    }
    pid = fork();
    if (pid == 0)
        orphan_maker(out[1]);
    (void)close(out[1]);
    p = (struct pollfd){.fd = out[0], .events = POLLIN};
    if (poll(&p, 1, WAIT_MS) != 1 || read(out[0], &byte, 1) != 1 || byte != 'y')
        orch_try_missing(t, EINVAL, "ask for death with the parent (PR_SET_PDEATHSIG)");
    else if (poll(&p, 1, WAIT_MS) != 1 || read(out[0], &byte, 1) != 0)
        orch_try_missing(t, ETIMEDOUT, "see a child die with its parent");
    else
        orch_try_works(t, "a child died with its parent");
    (void)close(out[0]);
    if (pid > 0)
        (void)waitpid(pid, NULL, 0);
}

/* ---- pty ---- */

static int use_pty(const char **ret_step)
{
    static const struct orch_tty tty = {.rows = 24, .cols = 80, .in_fd = -1};
    ORCH_AUTO_FD int pts = orch_tty_devpts(), master = -1, slave = -1;
    struct termios raw;
    char byte = 0;
    int r;

    *ret_step = "mount devpts";
    if (pts < 0)
        return pts;
    *ret_step = "open a pseudo-terminal in it";
    master = openat(pts, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0)
        return -errno;
    r = orch_tty_pair(master, &tty, &slave);
    if (r < 0 || tcgetattr(slave, &raw) < 0)
        return r < 0 ? r : -errno;
    *ret_step = "send a byte through a pseudo-terminal";
    cfmakeraw(&raw);
    if (tcsetattr(slave, TCSANOW, &raw) < 0 || write(slave, "x", 1) != 1 || read(master, &byte, 1) != 1)
        return -errno;
    return byte == 'x' ? 0 : -EPROTO;
}

static void in_pty(struct orch_try *t, int in, int out)
{
    const char *step = "";
    int r = use_pty(&step);

    (void)in;
    (void)out;
    if (r < 0)
        orch_try_missing(t, -r, "%s", step);
    else
        orch_try_works(t, "opened, and a byte went through");
}

void orch_try_pty(struct orch_try *t)
{
    orch_ns_call(t, CLONE_NEWNS, in_pty);
}
