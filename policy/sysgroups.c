/* sysgroups.c - names, numbers and groups of x86_64 system calls, as data. */
#include <stdlib.h>
#include <string.h>
#include "policy/syscalls.h"
#include "policy/sysgroups.h"
#include "policy/sysgroups_list.h"
#include "policy/sysgroups_systemd_list.h"

struct call {
    const char *name;
    int nr;
};

#define CALL_ROW(name, nr) {#name, (nr)},
static const struct call calls_by_name[] = {ORCH_SYSCALL_LIST(CALL_ROW)};

#define NAME_ROW(name, nr) [nr] = #name,
static const char *const names_by_nr[ORCH_SC_MAX] = {ORCH_SYSCALL_LIST(NAME_ROW)};

/*
 * What libc, a shell, coreutils, git, gcc, make, perl, python, node and Go use. Every call that takes a path
 * is here: the path is judged when it is used. socket, clone, ioctl, prctl, personality and seccomp are
 * judged by their arguments in syscalls.c. Not here on purpose: SysV and POSIX message queues, shared memory
 * by key, clock setting.
 */
/* clang-format off */
static const char *const agent_base[] = {
    "accept", "accept4", "access", "alarm", "arch_prctl", "bind", "brk", "cachestat", "capget", "capset",
    "chdir", "chmod", "chown", "clock_getres", "clock_gettime", "clock_nanosleep", "clone", "close",
    "close_range", "connect", "copy_file_range", "creat", "dup", "dup2", "dup3", "epoll_create",
    "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd", "eventfd2",
    "execve", "exit", "exit_group", "faccessat", "faccessat2", "fadvise64", "fallocate", "fchdir", "fchmod",
    "fchmodat", "fchmodat2", "fchown", "fchownat", "fcntl", "fdatasync", "fgetxattr", "file_getattr",
    "flistxattr", "flock", "fork", "fremovexattr", "fsetxattr", "fstat", "fstatfs", "fsync", "ftruncate",
    "futex", "futex_requeue", "futex_wait", "futex_waitv", "futex_wake", "futimesat", "get_mempolicy",
    "get_robust_list", "getcpu", "getcwd", "getdents", "getdents64", "getegid", "geteuid", "getgid",
    "getgroups", "getitimer", "getpeername", "getpgid", "getpgrp", "getpid", "getppid", "getpriority",
    "getrandom", "getresgid", "getresuid", "getrlimit", "getrusage", "getsid", "getsockname", "getsockopt",
    "gettid", "gettimeofday", "getuid", "getxattr", "getxattrat", "inotify_add_watch", "inotify_init",
    "inotify_init1", "inotify_rm_watch", "io_cancel", "io_destroy", "io_getevents", "io_pgetevents",
    "io_setup", "io_submit", "ioctl", "ioprio_get", "ioprio_set", "kill", "landlock_add_rule",
    "landlock_create_ruleset", "landlock_restrict_self", "lchown", "lgetxattr", "link", "linkat", "listen",
    "listxattr", "listxattrat", "llistxattr", "lremovexattr", "lseek", "lsetxattr", "lstat", "madvise",
    "membarrier", "mincore", "mkdir", "mkdirat", "mknod", "mknodat", "mlock", "mlock2", "mlockall", "mmap",
    "mprotect", "mremap", "mseal", "msync", "munlock", "munlockall", "munmap", "nanosleep", "newfstatat",
    "open", "openat", "pause", "personality", "pidfd_open", "pidfd_send_signal", "pipe", "pipe2",
    "pkey_alloc", "pkey_free", "pkey_mprotect", "poll", "ppoll", "prctl", "pread64", "preadv", "preadv2",
    "prlimit64", "pselect6", "pwrite64", "pwritev", "pwritev2", "read", "readahead", "readlink",
    "readlinkat", "readv", "recvfrom", "recvmmsg", "recvmsg", "remap_file_pages", "removexattr",
    "removexattrat", "rename", "renameat", "renameat2", "restart_syscall", "rmdir", "rseq", "rt_sigaction",
    "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend",
    "rt_sigtimedwait", "rt_tgsigqueueinfo", "sched_get_priority_max", "sched_get_priority_min",
    "sched_getaffinity", "sched_getattr", "sched_getparam", "sched_getscheduler", "sched_rr_get_interval",
    "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler", "sched_yield", "seccomp",
    "select", "sendfile", "sendmmsg", "sendmsg", "sendto", "set_robust_list", "set_tid_address", "setfsgid",
    "setfsuid", "setgid", "setgroups", "setitimer", "setpgid", "setpriority", "setregid", "setresgid",
    "setresuid", "setreuid", "setrlimit", "setsid", "setsockopt", "setuid", "setxattr", "setxattrat",
    "shutdown", "sigaltstack", "signalfd", "signalfd4", "socket", "socketpair", "splice", "stat", "statfs",
    "statx", "symlink", "symlinkat", "sync", "sync_file_range", "syncfs", "sysinfo", "tee", "tgkill",
    "time", "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_settime",
    "timerfd_create", "timerfd_gettime", "timerfd_settime", "times", "tkill", "truncate", "umask", "uname",
    "unlink", "unlinkat", "uprobe", "uretprobe", "utime", "utimensat", "utimes", "vfork", "wait4", "waitid",
    "write", "writev", NULL,
};

/* Its calls are in the base too; naming the group is what permits AF_INET and AF_INET6. */
static const char *const network_client[] = {
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen",
    "recvfrom", "recvmmsg", "recvmsg", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown", "socket",
    NULL,
};

/*
 * Ways out: other processes, kernel programs and asynchronous work, keys (CVE-2024-42318), mounts,
 * namespaces, file handles, modules, boot and quota, CPU, memory of others. Refused arguments of permitted
 * calls (TIOCSTI, CLONE_NEW*, PR_SET_MM, personality, seccomp filters) belong to the same idea and are in
 * syscalls_args.c.
 */
static const char *const escape[] = {
    "acct", "add_key", "bpf", "chroot", "clone3", "delete_module", "fanotify_init", "finit_module",
    "fsconfig", "fsmount", "fsopen", "fspick", "init_module", "io_uring_enter", "io_uring_register",
    "io_uring_setup", "ioperm", "iopl", "kcmp", "kexec_file_load", "kexec_load", "keyctl", "listmount",
    "lookup_dcookie", "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr", "map_shadow_stack",
    "mbind", "memfd_secret", "migrate_pages", "modify_ldt", "mount", "mount_setattr", "move_mount",
    "move_pages", "name_to_handle_at", "nfsservctl", "open_by_handle_at", "open_tree", "open_tree_attr",
    "perf_event_open", "pidfd_getfd", "pivot_root", "process_madvise", "process_vm_readv",
    "process_vm_writev", "ptrace", "quotactl", "quotactl_fd", "reboot", "request_key", "set_mempolicy",
    "setns", "statmount", "swapoff", "swapon", "syslog", "umount2", "unshare", "userfaultfd", "vmsplice",
    NULL,
};
/* clang-format on */

struct group {
    const char *name, *about;
    const char *const *members;
};

#define GROUP_ROW(name, about, members) {name, about, members},
static const struct group groups[] = {ORCH_GROUP_LIST(GROUP_ROW)};

#define GROUP_NAME(name, about, members) name,
const char *const orch_syscall_group_names[] = {ORCH_GROUP_LIST(GROUP_NAME) NULL};

static const struct group *find_group(const char *name)
{
    for (size_t i = 0; i < ORCH_NELEM(groups); i++)
        if (strcmp(groups[i].name, name) == 0)
            return &groups[i];
    return NULL;
}

const char *const *orch_syscall_group(const char *name)
{
    const struct group *g = find_group(name);
    return g ? g->members : NULL;
}

const char *orch_syscall_group_about(const char *name)
{
    const struct group *g = find_group(name);
    return g ? g->about : NULL;
}

static int compare_call(const void *key, const void *row)
{
    const struct call *c = row;
    return strcmp(key, c->name);
}

int orch_syscall_number(const char *name)
{
    const struct call *c =
        bsearch(name, calls_by_name, ORCH_NELEM(calls_by_name), sizeof(calls_by_name[0]), compare_call);
    return c ? c->nr : -1;
}

const char *orch_syscall_name(int nr)
{
    return nr >= 0 && nr < ORCH_SC_MAX ? names_by_nr[nr] : NULL;
}
