/*
 * sysgroups_systemd_list.h - groups of system calls with the names and the meaning that systemd gives them
 * (systemd.exec(5), SystemCallFilter=), as far as x86_64 has the calls; calls of newer kernels stand where
 * they belong. Groups that contain others are written out. Members are sorted; included by sysgroups.c only.
 */
#ifndef ORCH_POLICY_SYSGROUPS_SYSTEMD_LIST_H
#define ORCH_POLICY_SYSGROUPS_SYSTEMD_LIST_H

/* clang-format off */
static const char *const sd_aio[] = {
    "io_cancel", "io_destroy", "io_getevents", "io_pgetevents", "io_setup", "io_submit",
    "io_uring_enter", "io_uring_register", "io_uring_setup", NULL,
};
static const char *const sd_basic_io[] = {
    "close", "close_range", "dup", "dup2", "dup3", "lseek", "pread64", "preadv", "preadv2", "pwrite64",
    "pwritev", "pwritev2", "read", "readv", "write", "writev", NULL,
};
static const char *const sd_chown[] = {
    "chown", "fchown", "fchownat", "lchown", NULL,
};
static const char *const sd_clock[] = {
    "adjtimex", "clock_adjtime", "clock_settime", "settimeofday", NULL,
};
static const char *const sd_cpu_emulation[] = {
    "modify_ldt", NULL,
};
static const char *const sd_debug[] = {
    "lookup_dcookie", "perf_event_open", "pidfd_getfd", "ptrace", NULL,
};
static const char *const sd_default[] = {
    "arch_prctl", "brk", "clock_getres", "clock_gettime", "clock_nanosleep", "execve", "exit",
    "exit_group", "futex", "futex_requeue", "futex_wait", "futex_waitv", "futex_wake",
    "get_robust_list", "get_thread_area", "getegid", "geteuid", "getgid", "getgroups", "getpgid",
    "getpgrp", "getpid", "getppid", "getrandom", "getresgid", "getresuid", "getrlimit", "getsid",
    "gettid", "gettimeofday", "getuid", "membarrier", "mmap", "mprotect", "mseal", "munmap",
    "nanosleep", "pause", "prlimit64", "restart_syscall", "rseq", "rt_sigreturn", "sched_getaffinity",
    "sched_yield", "set_robust_list", "set_thread_area", "set_tid_address", "time", "uretprobe", NULL,
};
static const char *const sd_file_system[] = {
    "access", "cachestat", "chdir", "chmod", "close", "creat", "faccessat", "faccessat2", "fallocate",
    "fchdir", "fchmod", "fchmodat", "fchmodat2", "fcntl", "fgetxattr", "file_getattr", "file_setattr",
    "flistxattr", "fremovexattr", "fsetxattr", "fstat", "fstatfs", "ftruncate", "futimesat", "getcwd",
    "getdents", "getdents64", "getxattr", "getxattrat", "inotify_add_watch", "inotify_init",
    "inotify_init1", "inotify_rm_watch", "lgetxattr", "link", "linkat", "listxattr", "listxattrat",
    "llistxattr", "lremovexattr", "lsetxattr", "lstat", "mkdir", "mkdirat", "mknod", "mknodat",
    "newfstatat", "open", "openat", "openat2", "readlink", "readlinkat", "removexattr", "removexattrat",
    "rename", "renameat", "renameat2", "rmdir", "setxattr", "setxattrat", "stat", "statfs", "statx",
    "symlink", "symlinkat", "truncate", "unlink", "unlinkat", "utime", "utimensat", "utimes", NULL,
};
static const char *const sd_io_event[] = {
    "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait", "epoll_pwait2",
    "epoll_wait", "epoll_wait_old", "eventfd", "eventfd2", "poll", "ppoll", "pselect6", "select", NULL,
};
static const char *const sd_ipc[] = {
    "memfd_create", "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedsend",
    "mq_unlink", "msgctl", "msgget", "msgrcv", "msgsnd", "pipe", "pipe2", "process_madvise",
    "process_vm_readv", "process_vm_writev", "semctl", "semget", "semop", "semtimedop", "shmat",
    "shmctl", "shmdt", "shmget", NULL,
};
static const char *const sd_keyring[] = {
    "add_key", "keyctl", "request_key", NULL,
};
static const char *const sd_memlock[] = {
    "mlock", "mlock2", "mlockall", "munlock", "munlockall", NULL,
};
static const char *const sd_module[] = {
    "delete_module", "finit_module", "init_module", NULL,
};
static const char *const sd_mount[] = {
    "chroot", "fsconfig", "fsmount", "fsopen", "fspick", "listmount", "mount", "mount_setattr",
    "move_mount", "open_tree", "open_tree_attr", "pivot_root", "statmount", "umount2", NULL,
};
static const char *const sd_network_io[] = {
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen",
    "recvfrom", "recvmmsg", "recvmsg", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown",
    "socket", "socketpair", NULL,
};
static const char *const sd_obsolete[] = {
    "_sysctl", "afs_syscall", "create_module", "get_kernel_syms", "getpmsg", "putpmsg", "query_module",
    "security", "sysfs", "tuxcall", "uselib", "ustat", "vserver", NULL,
};
static const char *const sd_pkey[] = {
    "pkey_alloc", "pkey_free", "pkey_mprotect", NULL,
};
static const char *const sd_privileged[] = {
    "_sysctl", "acct", "adjtimex", "bpf", "capset", "chown", "chroot", "clock_adjtime", "clock_settime",
    "delete_module", "fanotify_init", "fanotify_mark", "fchown", "fchownat", "finit_module",
    "init_module", "ioperm", "iopl", "kexec_file_load", "kexec_load", "lchown", "nfsservctl",
    "open_by_handle_at", "pivot_root", "quotactl", "quotactl_fd", "reboot", "setdomainname", "setfsuid",
    "setgroups", "sethostname", "setresuid", "setreuid", "settimeofday", "setuid", "swapoff", "swapon",
    "vhangup", NULL,
};
static const char *const sd_process[] = {
    "capget", "clone", "clone3", "execveat", "fork", "getrusage", "kill", "pidfd_open",
    "pidfd_send_signal", "prctl", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "setns", "tgkill", "times",
    "tkill", "unshare", "vfork", "wait4", "waitid", NULL,
};
static const char *const sd_raw_io[] = {
    "ioperm", "iopl", NULL,
};
static const char *const sd_reboot[] = {
    "kexec_file_load", "kexec_load", "reboot", NULL,
};
static const char *const sd_resources[] = {
    "ioprio_set", "mbind", "migrate_pages", "move_pages", "sched_setaffinity", "sched_setattr",
    "sched_setparam", "sched_setscheduler", "set_mempolicy", "set_mempolicy_home_node", "setpriority",
    "setrlimit", NULL,
};
static const char *const sd_sandbox[] = {
    "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "seccomp", NULL,
};
static const char *const sd_setuid[] = {
    "setgid", "setgroups", "setregid", "setresgid", "setresuid", "setreuid", "setuid", NULL,
};
static const char *const sd_signal[] = {
    "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigsuspend", "rt_sigtimedwait",
    "sigaltstack", "signalfd", "signalfd4", NULL,
};
static const char *const sd_swap[] = {
    "swapoff", "swapon", NULL,
};
static const char *const sd_sync[] = {
    "fdatasync", "fsync", "msync", "sync", "sync_file_range", "syncfs", NULL,
};
static const char *const sd_system_service[] = {
    "accept", "accept4", "access", "add_key", "alarm", "arch_prctl", "bind", "brk", "cachestat",
    "capget", "capset", "chdir", "chmod", "chown", "clock_getres", "clock_gettime", "clock_nanosleep",
    "clone", "clone3", "close", "close_range", "connect", "copy_file_range", "creat", "dup", "dup2",
    "dup3", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait",
    "epoll_pwait2", "epoll_wait", "epoll_wait_old", "eventfd", "eventfd2", "execve", "execveat", "exit",
    "exit_group", "faccessat", "faccessat2", "fadvise64", "fallocate", "fchdir", "fchmod", "fchmodat",
    "fchmodat2", "fchown", "fchownat", "fcntl", "fdatasync", "fgetxattr", "file_getattr",
    "file_setattr", "flistxattr", "flock", "fork", "fremovexattr", "fsetxattr", "fstat", "fstatfs",
    "fsync", "ftruncate", "futex", "futex_requeue", "futex_wait", "futex_waitv", "futex_wake",
    "futimesat", "get_mempolicy", "get_robust_list", "get_thread_area", "getcpu", "getcwd", "getdents",
    "getdents64", "getegid", "geteuid", "getgid", "getgroups", "getitimer", "getpeername", "getpgid",
    "getpgrp", "getpid", "getppid", "getpriority", "getrandom", "getresgid", "getresuid", "getrlimit",
    "getrusage", "getsid", "getsockname", "getsockopt", "gettid", "gettimeofday", "getuid", "getxattr",
    "getxattrat", "inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch", "io_cancel",
    "io_destroy", "io_getevents", "io_pgetevents", "io_setup", "io_submit", "io_uring_enter",
    "io_uring_register", "io_uring_setup", "ioctl", "ioprio_get", "ioprio_set", "kcmp", "keyctl",
    "kill", "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "lchown",
    "lgetxattr", "link", "linkat", "listen", "listxattr", "listxattrat", "llistxattr", "lremovexattr",
    "lseek", "lsetxattr", "lstat", "madvise", "mbind", "membarrier", "memfd_create", "migrate_pages",
    "mkdir", "mkdirat", "mknod", "mknodat", "mlock", "mlock2", "mlockall", "mmap", "move_pages",
    "mprotect", "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedsend", "mq_unlink",
    "mremap", "mseal", "msgctl", "msgget", "msgrcv", "msgsnd", "msync", "munlock", "munlockall",
    "munmap", "name_to_handle_at", "nanosleep", "newfstatat", "open", "openat", "openat2", "pause",
    "personality", "pidfd_open", "pidfd_send_signal", "pipe", "pipe2", "poll", "ppoll", "prctl",
    "pread64", "preadv", "preadv2", "prlimit64", "process_madvise", "process_vm_readv",
    "process_vm_writev", "pselect6", "pwrite64", "pwritev", "pwritev2", "read", "readahead", "readlink",
    "readlinkat", "readv", "recvfrom", "recvmmsg", "recvmsg", "remap_file_pages", "removexattr",
    "removexattrat", "rename", "renameat", "renameat2", "request_key", "restart_syscall", "rmdir",
    "rseq", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn",
    "rt_sigsuspend", "rt_sigtimedwait", "rt_tgsigqueueinfo", "sched_get_priority_max",
    "sched_get_priority_min", "sched_getaffinity", "sched_getattr", "sched_getparam",
    "sched_getscheduler", "sched_rr_get_interval", "sched_setaffinity", "sched_setattr",
    "sched_setparam", "sched_setscheduler", "sched_yield", "seccomp", "select", "semctl", "semget",
    "semop", "semtimedop", "sendfile", "sendmmsg", "sendmsg", "sendto", "set_mempolicy",
    "set_mempolicy_home_node", "set_robust_list", "set_thread_area", "set_tid_address", "setfsgid",
    "setfsuid", "setgid", "setgroups", "setitimer", "setns", "setpgid", "setpriority", "setregid",
    "setresgid", "setresuid", "setreuid", "setrlimit", "setsid", "setsockopt", "setuid", "setxattr",
    "setxattrat", "shmat", "shmctl", "shmdt", "shmget", "shutdown", "sigaltstack", "signalfd",
    "signalfd4", "socket", "socketpair", "splice", "stat", "statfs", "statx", "symlink", "symlinkat",
    "sync", "sync_file_range", "syncfs", "sysinfo", "tee", "tgkill", "time", "timer_create",
    "timer_delete", "timer_getoverrun", "timer_gettime", "timer_settime", "timerfd_create",
    "timerfd_gettime", "timerfd_settime", "times", "tkill", "truncate", "umask", "uname", "unlink",
    "unlinkat", "unshare", "uretprobe", "userfaultfd", "utime", "utimensat", "utimes", "vfork",
    "vmsplice", "wait4", "waitid", "write", "writev", NULL,
};
static const char *const sd_timer[] = {
    "alarm", "getitimer", "setitimer", "timer_create", "timer_delete", "timer_getoverrun",
    "timer_gettime", "timer_settime", "timerfd_create", "timerfd_gettime", "timerfd_settime", "times",
    NULL,
};

/* Every group, sorted by name; the members of the three that are our own are in sysgroups.c. */
#define ORCH_GROUP_LIST(X) \
    X("@agent-base", "what libc, a shell, coreutils, git, compilers, make, perl, python, node and Go need", agent_base) \
    X("@aio", "asynchronous input and output by io_setup and io_uring", sd_aio) \
    X("@basic-io", "reading, writing, seeking, closing and duplicating descriptors", sd_basic_io) \
    X("@chown", "changing the owner of files", sd_chown) \
    X("@clock", "setting the clocks of the machine", sd_clock) \
    X("@cpu-emulation", "calls that only emulators and very old programs need", sd_cpu_emulation) \
    X("@debug", "looking into other processes and measuring them", sd_debug) \
    X("@default", "what every program needs to start, wait and end", sd_default) \
    X("@escape", "ways out of a sandbox; no built-in profile allows a member", escape) \
    X("@file-system", "opening, creating, changing and removing files and directories", sd_file_system) \
    X("@io-event", "waiting for events on descriptors", sd_io_event) \
    X("@ipc", "pipes, shared memory, semaphores, message queues, memory of other processes", sd_ipc) \
    X("@keyring", "the kernel's key store", sd_keyring) \
    X("@memlock", "keeping memory from being paged out", sd_memlock) \
    X("@module", "loading and unloading kernel modules", sd_module) \
    X("@mount", "mounting, unmounting and changing the root directory", sd_mount) \
    X("@network-client", "sockets, and with them the families AF_INET and AF_INET6", network_client) \
    X("@network-io", "sockets: making, connecting, sending, receiving", sd_network_io) \
    X("@obsolete", "calls that are unusual, outdated or not there any more", sd_obsolete) \
    X("@pkey", "memory protection keys", sd_pkey) \
    X("@privileged", "calls that need more than an ordinary user's rights", sd_privileged) \
    X("@process", "starting, signalling and waiting for processes, namespaces", sd_process) \
    X("@raw-io", "access to ports and configuration space of devices", sd_raw_io) \
    X("@reboot", "restarting the machine or replacing its kernel", sd_reboot) \
    X("@resources", "limits, priorities, scheduling and memory placement", sd_resources) \
    X("@sandbox", "giving up rights of one's own: Landlock and seccomp", sd_sandbox) \
    X("@setuid", "changing user and group of the process", sd_setuid) \
    X("@signal", "handling and sending signals", sd_signal) \
    X("@swap", "switching swap space on and off", sd_swap) \
    X("@sync", "writing files and memory back to disk", sd_sync) \
    X("@system-service", "what ordinary services need: most groups without privilege", sd_system_service) \
    X("@timer", "timers and alarms", sd_timer)
/* clang-format on */

#endif
