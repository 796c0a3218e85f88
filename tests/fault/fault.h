/* fault.h - the names that the linker gives to wrapped functions (ld --wrap) and to what they wrap. See
 * fault.c. */
#ifndef ORCH_TESTS_FAULT_H
#define ORCH_TESTS_FAULT_H

#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define FAULT_PAIR(type, name, params)                                                                       \
    type __wrap_##name params;                                                                               \
    type __real_##name params;

FAULT_PAIR(ssize_t, write, (int fd, const void *p, size_t n))
FAULT_PAIR(ssize_t, copy_file_range, (int in, off_t *from, int out, off_t *to, size_t n, unsigned flags))
FAULT_PAIR(int, __dprintf_chk, (int fd, int flag, const char *fmt, ...))
FAULT_PAIR(int, fsync, (int fd))
FAULT_PAIR(int, fdatasync, (int fd))
FAULT_PAIR(int, syncfs, (int fd))
FAULT_PAIR(int, ftruncate, (int fd, off_t size))
FAULT_PAIR(int, fchmod, (int fd, mode_t mode))
FAULT_PAIR(int, fchown, (int fd, uid_t uid, gid_t gid))
FAULT_PAIR(int, futimens, (int fd, const struct timespec t[2]))
FAULT_PAIR(int, fsetxattr, (int fd, const char *name, const void *v, size_t n, int flags))
FAULT_PAIR(int, mkdir, (const char *path, mode_t mode))
FAULT_PAIR(int, mkdirat, (int dir, const char *path, mode_t mode))
FAULT_PAIR(int, rmdir, (const char *path))
FAULT_PAIR(int, chmod, (const char *path, mode_t mode))
FAULT_PAIR(int, chown, (const char *path, uid_t uid, gid_t gid))
FAULT_PAIR(int, lchown, (const char *path, uid_t uid, gid_t gid))
FAULT_PAIR(int, unlink, (const char *path))
FAULT_PAIR(int, symlink, (const char *target, const char *path))
FAULT_PAIR(int, fchownat, (int dir, const char *path, uid_t uid, gid_t gid, int flags))
FAULT_PAIR(int, unlinkat, (int dir, const char *path, int flags))
FAULT_PAIR(int, symlinkat, (const char *target, int dir, const char *path))
FAULT_PAIR(int, mknodat, (int dir, const char *path, mode_t mode, dev_t dev))
FAULT_PAIR(int, utimensat, (int dir, const char *path, const struct timespec t[2], int flags))
FAULT_PAIR(int, linkat, (int from, const char *old, int dir, const char *path, int flags))
FAULT_PAIR(int, rename, (const char *old, const char *path))
FAULT_PAIR(int, renameat, (int from, const char *old, int dir, const char *path))
FAULT_PAIR(int, renameat2, (int from, const char *old, int dir, const char *path, unsigned flags))
FAULT_PAIR(char *, mkdtemp, (char *path))
FAULT_PAIR(int, open, (const char *path, int flags, ...))
FAULT_PAIR(int, openat, (int dir, const char *path, int flags, ...))
FAULT_PAIR(int, __openat_2, (int dir, const char *path, int flags))
FAULT_PAIR(DIR *, opendir, (const char *path))
FAULT_PAIR(int, memfd_create, (const char *name, unsigned flags))
FAULT_PAIR(int, pipe2, (int fds[2], int flags))
FAULT_PAIR(int, socketpair, (int domain, int type, int protocol, int fds[2]))
FAULT_PAIR(int, signalfd, (int fd, const sigset_t *mask, int flags))
FAULT_PAIR(long, syscall, (long nr, ...))

#endif
