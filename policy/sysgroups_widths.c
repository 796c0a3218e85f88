/*
 * sysgroups_widths.c - how much of each argument register the kernel looks at.
 *
 * One letter per argument: i = 32 bits (int, pid_t, uid_t, socklen_t ...), m = 16 bits (umode_t), l = the
 * whole register (pointers, long, size_t, loff_t). Arguments behind the end, and calls not listed, are whole
 * registers.
 */
#include "policy/sysgroups.h"
#include "policy/sysgroups_list.h"
#include "policy/syscalls.h"

#define W(name, letters) [ORCH_NR_##name] = letters

/* clang-format off */
static const char *const widths[ORCH_SC_MAX] = {
    W(accept, "i"), W(accept4, "illi"), W(access, "li"), W(add_key, "lllli"), W(alarm, "i"),
    W(arch_prctl, "i"), W(bind, "ili"), W(bpf, "ili"), W(cachestat, "illi"), W(chmod, "lm"),
    W(chown, "lii"), W(clock_adjtime, "i"), W(clock_getres, "i"), W(clock_gettime, "i"),
    W(clock_nanosleep, "ii"), W(clock_settime, "i"), W(clone, "i"), W(close, "i"), W(close_range, "iii"),
    W(connect, "ili"), W(copy_file_range, "ililli"), W(creat, "lm"), W(delete_module, "li"), W(dup, "i"),
    W(dup2, "ii"), W(dup3, "iii"), W(epoll_create, "i"), W(epoll_create1, "i"), W(epoll_ctl, "iii"),
    W(epoll_pwait, "ilii"), W(epoll_pwait2, "ili"), W(epoll_wait, "ilii"), W(eventfd, "i"),
    W(eventfd2, "ii"), W(execveat, "illli"), W(exit, "i"), W(exit_group, "i"), W(faccessat, "ili"),
    W(faccessat2, "ilii"), W(fadvise64, "illi"), W(fallocate, "ii"), W(fanotify_init, "ii"),
    W(fanotify_mark, "iili"), W(fchdir, "i"), W(fchmod, "im"), W(fchmodat, "ilm"), W(fchmodat2, "ilmi"),
    W(fchown, "iii"), W(fchownat, "iliii"), W(fcntl, "ii"), W(fdatasync, "i"), W(fgetxattr, "i"),
    W(file_getattr, "illli"), W(file_setattr, "illli"), W(finit_module, "ili"), W(flistxattr, "i"),
    W(flock, "ii"), W(fremovexattr, "i"), W(fsconfig, "iilli"), W(fsetxattr, "illli"), W(fsmount, "iii"),
    W(fsopen, "li"), W(fspick, "ili"), W(fstat, "i"), W(fstatfs, "i"), W(fsync, "i"), W(ftruncate, "i"),
    W(futex, "liilli"), W(futex_requeue, "liii"), W(futex_wait, "lllili"), W(futex_waitv, "liili"),
    W(futex_wake, "llii"), W(futimesat, "i"), W(get_robust_list, "i"), W(getdents, "ili"),
    W(getdents64, "ili"), W(getgroups, "i"), W(getitimer, "i"), W(getpeername, "i"), W(getpgid, "i"),
    W(getpriority, "ii"), W(getrandom, "lli"), W(getrlimit, "i"), W(getrusage, "i"), W(getsid, "i"),
    W(getsockname, "i"), W(getsockopt, "iii"), W(getxattrat, "ili"), W(inotify_add_watch, "ili"),
    W(inotify_init1, "i"), W(inotify_rm_watch, "ii"), W(io_setup, "i"), W(io_uring_enter, "iiii"),
    W(io_uring_register, "iili"), W(io_uring_setup, "i"), W(ioctl, "ii"), W(iopl, "i"), W(ioprio_get, "ii"),
    W(ioprio_set, "iii"), W(kcmp, "iii"), W(kexec_file_load, "ii"), W(keyctl, "i"), W(kill, "ii"),
    W(landlock_add_rule, "iili"), W(landlock_create_ruleset, "lli"), W(landlock_restrict_self, "ii"),
    W(lchown, "lii"), W(linkat, "ilili"), W(listen, "ii"), W(listmount, "llli"), W(listxattrat, "ili"),
    W(lseek, "ili"), W(lsetxattr, "lllli"), W(lsm_get_self_attr, "illi"), W(lsm_list_modules, "lli"),
    W(lsm_set_self_attr, "illi"), W(madvise, "lli"), W(map_shadow_stack, "lli"), W(mbind, "llllli"),
    W(membarrier, "iii"), W(memfd_create, "li"), W(memfd_secret, "i"), W(migrate_pages, "i"),
    W(mkdir, "lm"), W(mkdirat, "ilm"), W(mknod, "lmi"), W(mknodat, "ilmi"), W(mlock2, "lli"),
    W(mlockall, "i"), W(mmap, "lllli"), W(modify_ldt, "i"), W(mount_setattr, "ili"), W(move_mount, "ilili"),
    W(move_pages, "illlli"), W(mq_getsetattr, "i"), W(mq_notify, "i"), W(mq_open, "lim"),
    W(mq_timedreceive, "i"), W(mq_timedsend, "illi"), W(msgctl, "ii"), W(msgget, "ii"), W(msgrcv, "illli"),
    W(msgsnd, "illi"), W(msync, "lli"), W(name_to_handle_at, "illli"), W(newfstatat, "illi"),
    W(open, "lim"), W(open_by_handle_at, "ili"), W(open_tree, "ili"), W(open_tree_attr, "ili"),
    W(openat, "ilim"), W(openat2, "i"), W(perf_event_open, "liii"), W(personality, "i"),
    W(pidfd_getfd, "iii"), W(pidfd_open, "ii"), W(pidfd_send_signal, "iili"), W(pipe2, "li"),
    W(pkey_free, "i"), W(pkey_mprotect, "llli"), W(poll, "lii"), W(ppoll, "li"), W(prctl, "i"),
    W(pread64, "i"), W(preadv, "i"), W(preadv2, "illlli"), W(prlimit64, "ii"), W(process_madvise, "illii"),
    W(process_mrelease, "ii"), W(process_vm_readv, "i"), W(process_vm_writev, "i"), W(pselect6, "i"),
    W(pwrite64, "i"), W(pwritev, "i"), W(pwritev2, "illlli"), W(quotactl, "ili"), W(quotactl_fd, "iii"),
    W(read, "i"), W(readahead, "i"), W(readlink, "lli"), W(readlinkat, "illi"), W(readv, "i"),
    W(reboot, "iii"), W(recvfrom, "illi"), W(recvmmsg, "ilii"), W(recvmsg, "ili"), W(removexattrat, "ili"),
    W(renameat, "ili"), W(renameat2, "ilili"), W(request_key, "llli"), W(rseq, "liii"),
    W(rt_sigaction, "i"), W(rt_sigprocmask, "i"), W(rt_sigqueueinfo, "ii"), W(rt_tgsigqueueinfo, "iii"),
    W(sched_get_priority_max, "i"), W(sched_get_priority_min, "i"), W(sched_getaffinity, "ii"),
    W(sched_getattr, "ilii"), W(sched_getparam, "i"), W(sched_getscheduler, "i"),
    W(sched_rr_get_interval, "i"), W(sched_setaffinity, "ii"), W(sched_setattr, "ili"),
    W(sched_setparam, "i"), W(sched_setscheduler, "ii"), W(seccomp, "ii"), W(select, "i"), W(semctl, "iii"),
    W(semget, "iii"), W(semop, "ili"), W(semtimedop, "ili"), W(sendfile, "ii"), W(sendmmsg, "ilii"),
    W(sendmsg, "ili"), W(sendto, "illili"), W(set_mempolicy, "i"), W(setdomainname, "li"), W(setfsgid, "i"),
    W(setfsuid, "i"), W(setgid, "i"), W(setgroups, "i"), W(sethostname, "li"), W(setitimer, "i"),
    W(setns, "ii"), W(setpgid, "ii"), W(setpriority, "iii"), W(setregid, "ii"), W(setresgid, "iii"),
    W(setresuid, "iii"), W(setreuid, "ii"), W(setrlimit, "i"), W(setsockopt, "iiili"), W(setuid, "i"),
    W(setxattr, "lllli"), W(setxattrat, "ili"), W(shmat, "ili"), W(shmctl, "ii"), W(shmget, "ili"),
    W(shutdown, "ii"), W(signalfd, "i"), W(signalfd4, "illi"), W(socket, "iii"), W(socketpair, "iii"),
    W(splice, "ililli"), W(statmount, "llli"), W(statx, "iliil"), W(swapon, "li"), W(symlinkat, "li"),
    W(sync_file_range, "illi"), W(syncfs, "i"), W(syslog, "ili"), W(tee, "iili"), W(tgkill, "iii"),
    W(timer_create, "i"), W(timer_delete, "i"), W(timer_getoverrun, "i"), W(timer_gettime, "i"),
    W(timer_settime, "ii"), W(timerfd_create, "ii"), W(timerfd_gettime, "i"), W(timerfd_settime, "ii"),
    W(tkill, "ii"), W(umask, "i"), W(umount2, "li"), W(unlinkat, "ili"), W(userfaultfd, "i"),
    W(utimensat, "illi"), W(vmsplice, "illi"), W(wait4, "ilil"), W(waitid, "iili"), W(write, "i"),
    W(writev, "i"),
};
/* clang-format on */

uint64_t orch_syscall_arg_mask(int nr, unsigned index)
{
    const char *w = nr >= 0 && nr < ORCH_SC_MAX ? widths[nr] : NULL;
    while (w && *w && index > 0) {
        w++;
        index--;
    }
    if (!w || index > 0)
        return ~UINT64_C(0);
    if (*w == 'm')
        return 0xffff;
    return *w == 'i' ? UINT64_C(0xffffffff) : ~UINT64_C(0);
}
