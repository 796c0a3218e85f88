/*
 * kernel.h - kernel interfaces newer than the headers this is built with (Debian 12 has 6.1), and raw calls
 * that glibc does not wrap. Numbers are x86_64's. Sources: include/uapi of Linux 6.18.
 */
#ifndef ORCH_SANDBOX_KERNEL_H
#define ORCH_SANDBOX_KERNEL_H

#include <linux/landlock.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

/* Landlock access rights by ABI: 1-13 ABI 1, REFER 2, TRUNCATE 3, IOCTL_DEV 5; scopes 6. */
#define ORCH_LL_EXECUTE (1ULL << 0)
#define ORCH_LL_WRITE_FILE (1ULL << 1)
#define ORCH_LL_READ_FILE (1ULL << 2)
#define ORCH_LL_READ_DIR (1ULL << 3)
#define ORCH_LL_REMOVE_DIR (1ULL << 4)
#define ORCH_LL_REMOVE_FILE (1ULL << 5)
#define ORCH_LL_MAKE_CHAR (1ULL << 6)
#define ORCH_LL_MAKE_DIR (1ULL << 7)
#define ORCH_LL_MAKE_REG (1ULL << 8)
#define ORCH_LL_MAKE_SOCK (1ULL << 9)
#define ORCH_LL_MAKE_FIFO (1ULL << 10)
#define ORCH_LL_MAKE_BLOCK (1ULL << 11)
#define ORCH_LL_MAKE_SYM (1ULL << 12)
#define ORCH_LL_REFER (1ULL << 13)
#define ORCH_LL_TRUNCATE (1ULL << 14)
#define ORCH_LL_IOCTL_DEV (1ULL << 15)
#define ORCH_LL_SCOPE_ABSTRACT_UNIX (1ULL << 0)
#define ORCH_LL_SCOPE_SIGNAL (1ULL << 1)

struct orch_ll_ruleset_attr { /* struct landlock_ruleset_attr up to ABI 6 */
    __u64 handled_access_fs, handled_access_net, scoped;
};

static inline int orch_sys_open_tree(int dirfd, const char *path, unsigned flags)
{
    return (int)syscall(SYS_open_tree, dirfd, path, flags);
}

static inline int orch_sys_move_mount(int from, const char *from_path, int to, const char *to_path,
                                      unsigned flags)
{
    return (int)syscall(SYS_move_mount, from, from_path, to, to_path, flags);
}

static inline int orch_sys_mount_setattr(int fd, const char *path, unsigned flags, struct mount_attr *attr)
{
    return (int)syscall(SYS_mount_setattr, fd, path, flags, attr, sizeof(*attr));
}

static inline int orch_sys_pidfd_send_signal(int pidfd, int sig)
{
    return (int)syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);
}

#endif
