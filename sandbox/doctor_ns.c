/* doctor_ns.c - doctor's tries of namespaces and of the mounts in them, by the steps that set-up takes. */
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/io.h"
#include "sandbox/doctor_int.h"
#include "sandbox/kernel.h"

#define MOUNTS ((uint64_t)CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC)

static const struct ns_kind {
    uint64_t flag;
    const char *file;
} ns_kinds[] = {
    {0, "/proc/self/ns/user"},
    {CLONE_NEWNS, "/proc/self/ns/mnt"},
    {CLONE_NEWPID, "/proc/self/ns/pid"},
    {CLONE_NEWNET, "/proc/self/ns/net"},
    {CLONE_NEWIPC, "/proc/self/ns/ipc"},
    {CLONE_NEWUTS, "/proc/self/ns/uts"},
    {CLONE_NEWCGROUP, "/proc/self/ns/cgroup"},
};

/* ---- namespaces ---- */

struct ns_seen {
    const char *file;
    ino_t before; /* the namespace of the process that made the child */
};

/* What the sandbox does in it, beyond being there. Returns 0 or -errno and names the step. */
static int use_namespace(uint64_t flag, const char **ret_step)
{
    struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    ORCH_AUTO_FD int fd = -1;

    if (flag == CLONE_NEWPID) {
        *ret_step = "be pid 1 of a new pid namespace";
        return getpid() == 1 ? 0 : -ESRCH;
    }
    if (flag == CLONE_NEWUTS) {
        *ret_step = "set the host name of a new uts namespace";
        return sethostname("sandbox", 7) < 0 ? -errno : 0;
    }
    if (flag != CLONE_NEWNET)
        return 0;
    *ret_step = "bring up the loopback of a new network namespace";
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) < 0 ? -errno : 0;
}

static void in_namespace(struct orch_try *t, int in, int out)
{
    const struct ns_seen *seen = t->ctx;
    const char *step = "";
    struct stat st;
    int r;

    (void)in;
    (void)out;
    if (stat(seen->file, &st) < 0) {
        orch_try_missing(t, errno, "look at %s", seen->file);
        return;
    }
    if (st.st_ino == seen->before) {
        orch_try_missing(t, EEXIST, "be in another namespace than before (%s)", seen->file);
        return;
    }
    r = use_namespace(t->arg, &step);
    if (r < 0)
        orch_try_missing(t, -r, "%s", step);
    else
        orch_try_works(t, "made and entered");
}

void orch_try_namespace(struct orch_try *t)
{
    struct ns_seen seen = {0};
    struct orch_try inside = *t;
    struct stat st;

    for (size_t i = 0; i < ORCH_NELEM(ns_kinds); i++)
        if (ns_kinds[i].flag == t->arg)
            seen.file = ns_kinds[i].file;
    if (!seen.file || stat(seen.file, &st) < 0) {
        orch_try_missing(t, errno, "look at %s", seen.file ? seen.file : "the namespace");
        return;
    }
    seen.before = st.st_ino;
    inside.ctx = &seen;
    orch_ns_call(&inside, t->arg, in_namespace);
}

/* ENOSPC is the answer that the limit gives: anything else would not be its doing. */
static void in_limited(struct orch_try *t, int in, int out)
{
    struct clone_args ca = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    struct orch_fail f = {0};
    pid_t pid;

    (void)in;
    (void)out;
    if (orch_view_forbid_userns(&f) < 0) {
        orch_try_failed(t, &f);
        return;
    }
    pid = (pid_t)syscall(SYS_clone3, &ca, sizeof(ca));
    if (pid == 0)
        _exit(0);
    if (pid > 0) {
        (void)waitpid(pid, NULL, 0);
        orch_try_missing(t, EEXIST, "be refused a further user namespace");
    } else if (errno != ENOSPC) {
        orch_try_missing(t, errno, "be refused a further user namespace with ENOSPC");
    } else {
        orch_try_works(t, "one more is refused with ENOSPC");
    }
}

void orch_try_userns_limit(struct orch_try *t)
{
    orch_ns_call(t, MOUNTS, in_limited);
}

/* ---- mounts ---- */

static bool fill(int root, const char *path, size_t size)
{
    static const char block[4096];
    ORCH_AUTO_FD int fd = openat(root, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    size_t done = 0;

    while (fd >= 0 && done < size && write(fd, block, sizeof(block)) > 0)
        done += sizeof(block);
    return done >= size;
}

static void in_tmpfs(struct orch_try *t, int in, int out)
{
    struct orch_fail f = {0};
    ORCH_AUTO_FD int root = orch_view_new_root(&f);
    int r;

    (void)in;
    (void)out;
    if (root < 0) {
        orch_try_failed(t, &f);
        return;
    }
    r = orch_view_tmpfs(root, "/tmp", 65536, 16, "0700", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    if (r < 0)
        orch_try_missing(t, -r, "mount a private tmpfs");
    else if (!fill(root, "tmp/small", 8192))
        orch_try_missing(t, errno, "write to a private tmpfs");
    else if (fill(root, "tmp/large", 131072))
        orch_try_missing(t, EFBIG, "be held to the size of a private tmpfs");
    else
        orch_try_works(t, "mounted, written, held to its size");
}

void orch_try_tmpfs(struct orch_try *t)
{
    orch_ns_call(t, MOUNTS, in_tmpfs);
}

static void in_proc(struct orch_try *t, int in, int out)
{
    struct orch_fail f = {0};
    ORCH_AUTO_FD int root = orch_view_new_root(&f);
    struct stat st;

    (void)in;
    (void)out;
    if (root < 0 || orch_view_proc(root, &f) < 0)
        orch_try_failed(t, &f);
    else if (fstatat(root, "proc/1", &st, 0) < 0)
        orch_try_missing(t, errno, "find pid 1 in the new /proc");
    else if (fstatat(root, "proc/sys", &st, 0) == 0)
        orch_try_missing(t, EEXIST, "hide /proc/sys in the new /proc");
    else
        orch_try_works(t, "mounted with processes only");
}

void orch_try_proc(struct orch_try *t)
{
    orch_ns_call(t, MOUNTS, in_proc);
}

static void in_pivot(struct orch_try *t, int in, int out)
{
    struct orch_fail f = {0};
    ORCH_AUTO_FD int root = orch_view_new_root(&f);
    struct stat st;

    (void)in;
    (void)out;
    if (root < 0 || orch_view_pivot(root, &f) < 0)
        orch_try_failed(t, &f);
    else if (lstat("/proc", &st) == 0)
        orch_try_missing(t, EEXIST, "leave the host's root behind");
    else
        orch_try_works(t, "the root is another one, the host's is gone");
}

void orch_try_pivot(struct orch_try *t)
{
    orch_ns_call(t, MOUNTS, in_pivot);
}

/* ---- keyring ---- */

void orch_try_keyring(struct orch_try *t)
{
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) >= 0)
        orch_try_works(t, "joined");
    else if (errno == ENOSYS)
        orch_try_unneeded(t, "this kernel has no keyrings");
    else
        orch_try_missing(t, errno, "join a new session keyring");
}
