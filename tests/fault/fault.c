/*
 * fault.c - the supervisor's durable operations, counted, and one of them made to fail. For tests only.
 *
 * Linked into build/fault/orch-sandbox with -Wl,--wrap=NAME for every function below (Makefile: FAULT_WRAPS);
 * all other objects are the product's own. Only the process that main() runs in is counted: init, agents,
 * gates and helpers are not. Two counts, both from 1:
 *
 *   C  operations that change something on disk or make it durable; standard streams, pipes, /proc are none
 *   O  operations that make a descriptor
 *
 * ORCH_FAULT=N:MODE
 *   kill          SIGKILL to the process before the Nth C operation
 *   kill-after    the same behind it
 *   torn          the Nth C operation, if a write, writes half of its bytes; then SIGKILL
 *   ENOSPC EIO ENOMEM   the Nth C operation fails
 *   full          from the Nth C operation on, everything that needs space fails with ENOSPC
 *   EMFILE        the Nth O operation fails
 * ORCH_FAULT_ONLY=PATH  counts operations on that path alone
 * ORCH_FAULT_LOG=FILE  gets a line for each operation, "C|O NUMBER NAME PATH"; with ORCH_FAULT for those
 *                      alone that were made to fail, "F NUMBER NAME PATH"
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/fault/fault.h"

enum { CHANGES = 1, OPENS = 2, GROWS = 4 }; /* GROWS: needs space on the disk */

static struct {
    pid_t pid; /* 0: not asked to do anything */
    unsigned long at, changes, opens;
    const char *mode, *log, *only;
    int errnum;
    bool armed; /* the process dies behind the operation that runs now */
} fault;

static const struct {
    const char *mode;
    int errnum;
} errors[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO}, {"ENOMEM", ENOMEM}, {"EMFILE", EMFILE}, {"full", ENOSPC}};

__attribute__((constructor)) static void read_environment(void)
{
    char *spec = getenv("ORCH_FAULT"), *end = NULL;

    fault.log = getenv("ORCH_FAULT_LOG");
    fault.only = getenv("ORCH_FAULT_ONLY");
    fault.mode = "";
    if (spec) {
        fault.at = strtoul(spec, &end, 10);
        fault.mode = *end == ':' ? end + 1 : "";
    }
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        if (strcmp(fault.mode, errors[i].mode) == 0)
            fault.errnum = errors[i].errnum;
    if (spec || fault.log)
        fault.pid = getpid();
}

static bool is(const char *mode)
{
    return strcmp(fault.mode, mode) == 0;
}

static void die(void)
{
    (void)kill(getpid(), SIGKILL);
    for (;;)
        (void)pause();
}

/* The whole path of what an operation is on. */
static void whole_path(int fd, const char *path, char ret[2 * PATH_MAX])
{
    char proc[40], dir[PATH_MAX] = "";
    bool whole = path && *path == '/';
    ssize_t len = -1;

    if (!whole && fd >= 0) {
        (void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
        len = readlink(proc, dir, sizeof(dir) - 1);
    } else if (!whole) {
        len = readlink("/proc/self/cwd", dir, sizeof(dir) - 1);
    }
    dir[len > 0 ? len : 0] = '\0';
    (void)snprintf(ret, 2 * PATH_MAX, "%s%s%s", dir, path && *path && !whole ? "/" : "", path ? path : "");
}

/* Opened anew each time, by system calls that are not counted: the product closes what it did not open. */
static void note(char kind, unsigned long n, const char *name, const char *path)
{
    char line[2 * PATH_MAX + 64];
    long log;

    if (!fault.log || (fault.at && kind != 'F'))
        return;
    (void)snprintf(line, sizeof(line), "%c %lu %s %s\n", kind, n, name, path);
    log = syscall(SYS_openat, AT_FDCWD, fault.log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (log >= 0) {
        (void)!syscall(SYS_write, log, line, strlen(line));
        (void)syscall(SYS_close, log);
    }
}

/* Counts the operation on path (relative to fd; or on fd, path NULL). True: it is to fail, errno says how. */
static bool meets(const char *name, int fd, const char *path, unsigned kind)
{
    int saved = errno;
    char where[2 * PATH_MAX] = "";
    bool change, open, fail;

    if (getpid() != fault.pid)
        return false;
    if (fault.log || fault.only)
        whole_path(fd, path, where);
    if (fault.only && strcmp(fault.only, where) != 0) {
        errno = saved;
        return false;
    }
    if (kind & CHANGES)
        note('C', ++fault.changes, name, where);
    if (kind & OPENS)
        note('O', ++fault.opens, name, where);
    change = (kind & CHANGES) && fault.changes == fault.at;
    open = (kind & OPENS) && fault.opens == fault.at;
    fail = is("EMFILE") ? open : change;
    if (is("full"))
        fail = (kind & GROWS) && fault.at && fault.changes >= fault.at;
    if (!fail) {
        errno = saved;
        return false;
    }
    note('F', fault.at, name, where);
    if (is("kill") || (is("torn") && strcmp(name, "write") != 0))
        die();
    fault.armed = is("kill-after") || is("torn");
    errno = fault.errnum ? fault.errnum : saved;
    return fault.errnum != 0;
}

static long behind(long r)
{
    if (fault.armed && getpid() == fault.pid)
        die();
    return r;
}

/* What a file system keeps. The id maps in /proc are written like files and are none. */
static bool kept(int fd)
{
    struct stat st;
    struct statfs fs;

    return getpid() == fault.pid && fd > STDERR_FILENO && fstat(fd, &st) == 0 &&
           (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) && fstatfs(fd, &fs) == 0 &&
           fs.f_type != PROC_SUPER_MAGIC;
}

static unsigned on_fd(int fd, unsigned kind)
{
    int saved = errno;
    unsigned r = kept(fd) ? kind : 0;

    errno = saved;
    return r;
}

static unsigned opens(uint64_t flags)
{
    return OPENS | (flags & (O_CREAT | O_TRUNC) ? CHANGES | GROWS : 0);
}

/* ---- descriptors of open files ---- */

ssize_t __wrap_write(int fd, const void *p, size_t n)
{
    unsigned kind = on_fd(fd, CHANGES | GROWS);

    if (kind && meets("write", fd, NULL, kind))
        return -1;
    return behind(__real_write(fd, p, fault.armed && is("torn") ? n / 2 : n));
}

int __wrap___dprintf_chk(int fd, int flag, const char *fmt, ...)
{
    va_list ap;
    int r;

    (void)flag;
    if (meets("dprintf", fd, NULL, on_fd(fd, CHANGES | GROWS)))
        return -1;
    va_start(ap, fmt);
    r = vdprintf(fd, fmt, ap);
    va_end(ap);
    return (int)behind(r);
}

ssize_t __wrap_copy_file_range(int in, off_t *from, int out, off_t *to, size_t n, unsigned flags)
{
    return meets("copy_file_range", out, NULL, on_fd(out, CHANGES | GROWS))
               ? -1
               : behind(__real_copy_file_range(in, from, out, to, n, flags));
}

#define ON_FD(name, grows, params, ...)                                                                      \
    int __wrap_##name params                                                                                 \
    {                                                                                                        \
        return meets(#name, fd, NULL, on_fd(fd, CHANGES | (grows)))                                          \
                   ? -1                                                                                      \
                   : (int)behind(__real_##name(__VA_ARGS__));                                                \
    }

ON_FD(fsync, 0, (int fd), fd)
ON_FD(fdatasync, 0, (int fd), fd)
ON_FD(syncfs, 0, (int fd), fd)
ON_FD(ftruncate, 0, (int fd, off_t size), fd, size)
ON_FD(fchmod, 0, (int fd, mode_t mode), fd, mode)
ON_FD(fchown, 0, (int fd, uid_t uid, gid_t gid), fd, uid, gid)
ON_FD(futimens, 0, (int fd, const struct timespec t[2]), fd, t)
ON_FD(fsetxattr, GROWS, (int fd, const char *name, const void *v, size_t n, int flags), fd, name, v, n, flags)

/* ---- names ---- */

#define BY_NAME(name, grows, dir, path, params, ...)                                                         \
    int __wrap_##name params                                                                                 \
    {                                                                                                        \
        return meets(#name, dir, path, CHANGES | (grows)) ? -1 : (int)behind(__real_##name(__VA_ARGS__));    \
    }

BY_NAME(mkdir, GROWS, -1, path, (const char *path, mode_t mode), path, mode)
BY_NAME(mkdirat, GROWS, dir, path, (int dir, const char *path, mode_t mode), dir, path, mode)
BY_NAME(rmdir, 0, -1, path, (const char *path), path)
BY_NAME(chmod, 0, -1, path, (const char *path, mode_t mode), path, mode)
BY_NAME(chown, 0, -1, path, (const char *path, uid_t uid, gid_t gid), path, uid, gid)
BY_NAME(lchown, 0, -1, path, (const char *path, uid_t uid, gid_t gid), path, uid, gid)
BY_NAME(unlink, 0, -1, path, (const char *path), path)
BY_NAME(symlink, GROWS, -1, path, (const char *target, const char *path), target, path)
BY_NAME(fchownat, 0, dir, path, (int dir, const char *path, uid_t uid, gid_t gid, int flags), dir, path, uid,
        gid, flags)
BY_NAME(unlinkat, 0, dir, path, (int dir, const char *path, int flags), dir, path, flags)
BY_NAME(symlinkat, GROWS, dir, path, (const char *target, int dir, const char *path), target, dir, path)
BY_NAME(mknodat, GROWS, dir, path, (int dir, const char *path, mode_t mode, dev_t dev), dir, path, mode, dev)
BY_NAME(utimensat, 0, dir, path, (int dir, const char *path, const struct timespec t[2], int flags), dir,
        path, t, flags)
BY_NAME(linkat, GROWS, dir, path, (int from, const char *old, int dir, const char *path, int flags), from,
        old, dir, path, flags)
BY_NAME(renameat, GROWS, dir, path, (int from, const char *old, int dir, const char *path), from, old, dir,
        path)
BY_NAME(renameat2, GROWS, dir, path, (int from, const char *old, int dir, const char *path, unsigned flags),
        from, old, dir, path, flags)

BY_NAME(rename, GROWS, -1, path, (const char *old, const char *path), old, path)

char *__wrap_mkdtemp(char *path)
{
    char *r = meets("mkdtemp", -1, path, CHANGES | GROWS) ? NULL : __real_mkdtemp(path);

    (void)behind(0);
    return r;
}

/* ---- new descriptors ---- */

int __wrap_openat(int dir, const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list ap;

    va_start(ap, flags);
    if (flags & O_CREAT)
        mode = va_arg(ap, mode_t);
    va_end(ap);
    return meets("open", dir, path, opens((unsigned)flags))
               ? -1
               : (int)behind(__real_openat(dir, path, flags, mode));
}

int __wrap___openat_2(int dir, const char *path, int flags)
{
    return __wrap_openat(dir, path, flags);
}

int __wrap_open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list ap;

    va_start(ap, flags);
    if (flags & O_CREAT)
        mode = va_arg(ap, mode_t);
    va_end(ap);
    return __wrap_openat(AT_FDCWD, path, flags, mode);
}

DIR *__wrap_opendir(const char *path)
{
    return meets("opendir", -1, path, OPENS) ? NULL : __real_opendir(path);
}

int __wrap_memfd_create(const char *name, unsigned flags)
{
    return meets("memfd_create", -1, name, OPENS) ? -1 : __real_memfd_create(name, flags);
}

int __wrap_pipe2(int fds[2], int flags)
{
    return meets("pipe2", -1, NULL, OPENS) ? -1 : __real_pipe2(fds, flags);
}

int __wrap_socketpair(int domain, int type, int protocol, int fds[2])
{
    return meets("socketpair", -1, NULL, OPENS) ? -1 : __real_socketpair(domain, type, protocol, fds);
}

int __wrap_signalfd(int fd, const sigset_t *mask, int flags)
{
    return meets("signalfd", -1, NULL, OPENS) ? -1 : __real_signalfd(fd, mask, flags);
}

/* openat2 has no function of its own in libc. */
long __wrap_syscall(long nr, ...)
{
    long a[6];
    va_list ap;

    va_start(ap, nr);
    for (size_t i = 0; i < 6; i++)
        a[i] = va_arg(ap, long);
    va_end(ap);
    if (nr == SYS_openat2) {
        const struct open_how *how = (const struct open_how *)a[2]; /* NOLINT: as the caller gave it */

        if (meets("openat2", (int)a[0], (const char *)a[1], how ? opens(how->flags) : OPENS))
            return -1;
        return behind(__real_syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]));
    }
    return __real_syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}
