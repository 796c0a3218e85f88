/* nested.c - the cell, init and the privileges of tier nested. See nested.h. */
#include "sandbox/nested.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <linux/securebits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/io.h"
#include "sandbox/kernel.h"
#include "sandbox/layer.h"

#define HUNT_MS 20000 /* with hundreds of them on a busy machine; to be empty is what counts */

/* ---- the cell, made by the supervisor ---- */

static int own(const struct orch_plan *plan, const char *path, struct orch_err *err)
{
    if (orch_is_root() && lchown(path, plan->uid, plan->gid) < 0)
        return orch_err_sys(err, errno, "cannot give '%s' to the agent's user", path);
    return 0;
}

static int make_dir(const struct orch_plan *plan, const char *path, struct orch_err *err)
{
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return orch_err_sys(err, errno, "cannot make '%s'", path);
    return own(plan, path, err);
}

static int write_file(const struct orch_plan *plan, const struct orch_file *f, struct orch_err *err)
{
    ORCH_AUTO_FREE char *path = orch_xasprintf("%s/%s", plan->dir, f->name);
    ORCH_AUTO_FD int fd = -1;
    int r;

    (void)unlink(path); /* of an attempt before this one in the same cell */
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return orch_err_sys(err, errno, "cannot write '%s'", path);
    r = orch_write_all(fd, f->data, f->len);
    if (r < 0 || fchmod(fd, strncmp(f->name, "bin/", 4) == 0 ? 0555 : 0444) < 0)
        return orch_err_sys(err, r < 0 ? -r : errno, "cannot write '%s'", path);
    return 0; /* root's own as root: the agent reads it, and has no right to change it */
}

static int link_clients(const struct orch_plan *plan, struct orch_err *err)
{
    static const char *const names[] = {"llm-status", "llm-report", "llm-done", "llm-report-blocker",
                                        "llm-request-approval"};

    for (size_t i = 0; i < ORCH_NELEM(names); i++) {
        ORCH_AUTO_FREE char *path = orch_xasprintf("%s/bin/%s", plan->dir, names[i]);

        if (symlink("llm", path) < 0 && errno != EEXIST)
            return orch_err_sys(err, errno, "cannot write '%s'", path);
    }
    return 0;
}

int orch_nested_cell(const struct orch_sandbox_args *a, struct orch_err *err)
{
    ORCH_AUTO_FREE char *bin = orch_xasprintf("%s/bin", a->plan->dir);
    int r = make_dir(a->plan, a->plan->home, err);

    if (r == 0)
        r = make_dir(a->plan, a->plan->tmp, err);
    if (r < 0 || a->n_files == 0)
        return r;
    r = make_dir(a->plan, a->plan->dir, err);
    if (r == 0)
        r = make_dir(a->plan, bin, err);
    for (size_t i = 0; r == 0 && i < a->n_files; i++)
        r = write_file(a->plan, &a->files[i], err);
    return r < 0 ? r : link_clients(a->plan, err);
}

/* ---- init ---- */

/* The end of whoever started us comes as end of file, or as a signal if somebody else holds the socket open.
 */
static int begin(struct orch_start *s, struct orch_fail *f)
{
    struct orch_msg m;
    int fd, r;

    if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return orch_fail_set(f, ORCH_STEP_WAIT, errno, NULL);
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)setsid();
    /* Refused where keyctl is; then the agent has no use for a keyring either. */
    (void)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
    r = orch_msg_recv(s->sock, &m, &fd, 0);
    if (r == 0)
        _exit(127);
    if (r < 0 || m.kind != ORCH_MSG_GO)
        return orch_fail_set(f, ORCH_STEP_WAIT, r < 0 ? -r : EPROTO, NULL);
    if (chdir(s->plan->workspace) < 0)
        return orch_fail_set(f, ORCH_STEP_CWD, errno, s->plan->workspace);
    return 0;
}

static void reap(int sock, pid_t agent)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct orch_msg m = {.kind = ORCH_MSG_EXITED, .value = status};

        if (pid == agent)
            (void)orch_msg_send(sock, &m, -1);
    }
}

static _Noreturn void keep_watch(int sock, pid_t agent, int signals)
{
    struct pollfd fds[] = {{.fd = sock, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    struct signalfd_siginfo info;
    bool over = false;

    reap(sock, agent);
    while (!over) {
        if (poll(fds, 2, -1) < 0)
            continue;
        over = fds[0].revents != 0; /* nothing more is ever sent to us: end of file */
        while (read(signals, &info, sizeof(info)) > 0)
            over = over || info.ssi_signo == SIGTERM;
        reap(sock, agent);
    }
    _exit(orch_hunt(HUNT_MS, true) < 0 ? 1 : 0);
}

static _Noreturn void init_main(struct orch_start *s, pid_t parent)
{
    struct orch_msg ready = {.kind = ORCH_MSG_READY};
    struct orch_fail f = {0};
    sigset_t mask;
    pid_t agent;
    int signals;

    orch_reset_signals();
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGCHLD);
    (void)sigaddset(&mask, SIGTERM);
    (void)sigprocmask(SIG_SETMASK, &mask, NULL);
    if (orch_init_own_stdio(s, &f) < 0)
        orch_init_report(s->sock, &f);
    orch_init_keep_only_ours(s);
    if (begin(s, &f) < 0)
        orch_init_report(s->sock, &f);
    if (getppid() != parent)
        _exit(127);
    signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (orch_msg_send(s->sock, &ready, -1) < 0)
        _exit(127);
    agent = orch_init_start_agent(s, &f);
    if (agent < 0 || signals < 0)
        orch_init_report(s->sock, &f);
    for (int i = 0; i < 3; i++)
        orch_close_fdp(&s->stdio[i]);
    keep_watch(s->sock, agent, signals);
}

int orch_nested_start(struct orch_start *s, pid_t *ret_pid, int *ret_pidfd, struct orch_err *err)
{
    pid_t self = getpid(), pid;

    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return orch_err_exit(err, 3, errno, "orphans cannot be taken in (PR_SET_CHILD_SUBREAPER): %s",
                             strerror(errno));
    orch_hunt_spare();
    pid = fork();
    if (pid == 0)
        init_main(s, self);
    if (pid < 0)
        return orch_err_sys(err, errno, "cannot start init");
    *ret_pid = pid;
    *ret_pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (*ret_pidfd >= 0)
        return 0;
    pid = errno;
    (void)kill(*ret_pid, SIGKILL);
    (void)waitpid(*ret_pid, NULL, 0);
    return orch_err_exit(err, 3, pid, "tier nested needs pidfd_open (Linux 5.3): %s", strerror(pid));
}

int orch_nested_after(void)
{
    return orch_hunt(HUNT_MS, false) < 0 ? -EIO : 0; /* the host's trouble: nothing is judged */
}

bool orch_nested_over(const struct orch_plan *plan)
{
    uint64_t bytes[2] = {0, 0}, entries[2] = {0, 0};
    int r = orch_layer_usage(plan->home, &bytes[0], &entries[0]);

    if (r == 0)
        r = orch_layer_usage(plan->tmp, &bytes[1], &entries[1]);
    if (r < 0)
        return !orch_errno_is_host(-r);
    return bytes[0] + bytes[1] > plan->profile->tmp_size ||
           entries[0] + entries[1] > plan->profile->tmp_files;
}

/* ---- in the agent's process ---- */

static int drop_root(const struct orch_plan *plan)
{
    for (cap_value_t c = 0; c < cap_max_bits(); c++)
        if (cap_drop_bound(c) < 0 && errno != EINVAL)
            return -errno;
    if (setgroups(0, NULL) < 0 || setresgid(plan->gid, plan->gid, plan->gid) < 0 ||
        setresuid(plan->uid, plan->uid, plan->uid) < 0)
        return -errno;
    return 0;
}

static int lock_root(void)
{
    for (cap_value_t c = 0; c < cap_max_bits(); c++)
        if (cap_drop_bound(c) < 0 && errno != EINVAL)
            return -errno;
    return prctl(PR_SET_SECUREBITS, SECURE_ALL_BITS | SECURE_ALL_LOCKS, 0, 0, 0) < 0 ? -errno : 0;
}

/* Whatever way it came here, it must be without any capability now. */
static int check_none(void)
{
    cap_t now = cap_get_proc(), none = cap_init();
    int r = now && none && cap_compare(now, none) == 0 ? 0 : -EPERM;

    (void)cap_free(now);
    (void)cap_free(none);
    return r;
}

int orch_nested_privileges(const struct orch_plan *plan, struct orch_fail *f)
{
    cap_t none = cap_init();
    int r = none ? 0 : -ENOMEM;

    if (r == 0 && orch_is_root())
        r = drop_root(plan);
    else if (r == 0 && geteuid() == 0) /* the root of a namespace without others: exec must give nothing */
        r = lock_root();
    if (r == 0 && (cap_reset_ambient() < 0 || cap_set_proc(none) < 0))
        r = -errno;
    (void)cap_free(none);
    if (r == 0)
        r = check_none();
    if (r == 0 && (getuid() != plan->uid || geteuid() != plan->uid || getgid() != plan->gid ||
                   (plan->uid == 0 && prctl(PR_GET_SECUREBITS) != (SECURE_ALL_BITS | SECURE_ALL_LOCKS))))
        r = -EPERM;
    if (r < 0)
        return orch_fail_set(f, ORCH_STEP_CAPS, -r, NULL);
    if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return orch_fail_set(f, ORCH_STEP_CAPS, errno, NULL);
    return 0;
}

uint64_t orch_nested_tasks(uid_t uid)
{
    DIR *dir = opendir("/proc");
    uint64_t n = 0;

    for (struct dirent *e; dir && (e = readdir(dir));) {
        char path[300];
        struct stat st;

        (void)snprintf(path, sizeof(path), "%s/task", e->d_name);
        if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && fstatat(dirfd(dir), path, &st, 0) == 0 &&
            st.st_uid == uid)
            n += st.st_nlink > 2 ? st.st_nlink - 2 : 1;
    }
    if (dir)
        (void)closedir(dir);
    return n;
}
