/* calls.c - the table of watched calls. */
#include "sandbox/calls.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/inotify.h>
#include <sys/syscall.h>

#include "common/util.h"

#define NONE ORCH_NOARG
#define NOFOLLOW AT_SYMLINK_NOFOLLOW

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#define NR_SETXATTRAT 463
#define NR_GETXATTRAT 464
#define NR_LISTXATTRAT 465
#define NR_REMOVEXATTRAT 466
#define NR_FILE_GETATTR 468

static const struct orch_call calls[] = {
    /* number, kind, dirfd, path, flags, dirfd2, path2, nofollow bit, follow bit, never follows, creates */
    {SYS_open, ORCH_CALL_OPEN, NONE, 0, 1, NONE, NONE, O_NOFOLLOW, 0, false, 0},
    {SYS_openat, ORCH_CALL_OPEN, 0, 1, 2, NONE, NONE, O_NOFOLLOW, 0, false, 0},
    {SYS_creat, ORCH_CALL_OPEN, NONE, 0, NONE, NONE, NONE, 0, 0, false, 0},
    {SYS_truncate, ORCH_CALL_WRITE, NONE, 0, NONE, NONE, NONE, 0, 0, false, 0},
    {SYS_mkdir, ORCH_CALL_CREATE, NONE, 0, NONE, NONE, NONE, 0, 0, true, 'd'},
    {SYS_mkdirat, ORCH_CALL_CREATE, 0, 1, NONE, NONE, NONE, 0, 0, true, 'd'},
    {SYS_mknod, ORCH_CALL_CREATE, NONE, 0, 1, NONE, NONE, 0, 0, true, 'm'},
    {SYS_mknodat, ORCH_CALL_CREATE, 0, 1, 2, NONE, NONE, 0, 0, true, 'm'},
    {SYS_rmdir, ORCH_CALL_DELETE, NONE, 0, NONE, NONE, NONE, 0, 0, true, 0},
    {SYS_unlink, ORCH_CALL_DELETE, NONE, 0, NONE, NONE, NONE, 0, 0, true, 0},
    {SYS_unlinkat, ORCH_CALL_DELETE, 0, 1, NONE, NONE, NONE, 0, 0, true, 0},
    {SYS_rename, ORCH_CALL_RENAME, NONE, 0, NONE, NONE, 1, 0, 0, true, 0},
    {SYS_renameat, ORCH_CALL_RENAME, 0, 1, NONE, 2, 3, 0, 0, true, 0},
    {SYS_renameat2, ORCH_CALL_RENAME, 0, 1, NONE, 2, 3, 0, 0, true, 0},
    {SYS_link, ORCH_CALL_LINK, NONE, 0, NONE, NONE, 1, 0, 0, true, 0},
    {SYS_linkat, ORCH_CALL_LINK, 0, 1, 4, 2, 3, 0, AT_SYMLINK_FOLLOW, false, 0},
    {SYS_symlink, ORCH_CALL_SYMLINK, NONE, 1, NONE, NONE, 0, 0, 0, true, 'l'},
    {SYS_symlinkat, ORCH_CALL_SYMLINK, 1, 2, NONE, NONE, 0, 0, 0, true, 'l'},
    {SYS_chmod, ORCH_CALL_WRITE, NONE, 0, NONE, NONE, NONE, 0, 0, false, 0},
    {SYS_fchmodat, ORCH_CALL_WRITE, 0, 1, NONE, NONE, NONE, 0, 0, false, 0},
    {SYS_fchmodat2, ORCH_CALL_WRITE, 0, 1, 3, NONE, NONE, NOFOLLOW, 0, false, 0},
    {SYS_chown, ORCH_CALL_WRITE, NONE, 0, NONE, NONE, NONE, 0, 0, false, 0},
    {SYS_lchown, ORCH_CALL_WRITE, NONE, 0, NONE, NONE, NONE, 0, 0, true, 0},
    {SYS_fchownat, ORCH_CALL_WRITE, 0, 1, 4, NONE, NONE, NOFOLLOW, 0, false, 0},
    {SYS_utime, ORCH_CALL_WRITE, NONE, 0, NONE, NONE, NONE, 0, 0, false, 0},
    {SYS_utimes, ORCH_CALL_WRITE, NONE, 0, NONE, NONE, NONE, 0, 0, false, 0},
    {SYS_futimesat, ORCH_CALL_WRITE, 0, 1, NONE, NONE, NONE, 0, 0, false, 0},
    {SYS_utimensat, ORCH_CALL_WRITE, 0, 1, 3, NONE, NONE, NOFOLLOW, 0, false, 0},
    {SYS_setxattr, ORCH_CALL_WRITE, NONE, 0, NONE, NONE, NONE, 0, 0, false, 0},
    {SYS_lsetxattr, ORCH_CALL_WRITE, NONE, 0, NONE, NONE, NONE, 0, 0, true, 0},
    {SYS_removexattr, ORCH_CALL_WRITE, NONE, 0, NONE, NONE, NONE, 0, 0, false, 0},
    {SYS_lremovexattr, ORCH_CALL_WRITE, NONE, 0, NONE, NONE, NONE, 0, 0, true, 0},
    {NR_SETXATTRAT, ORCH_CALL_WRITE, 0, 1, 2, NONE, NONE, NOFOLLOW, 0, false, 0},
    {NR_REMOVEXATTRAT, ORCH_CALL_WRITE, 0, 1, 2, NONE, NONE, NOFOLLOW, 0, false, 0},
    {SYS_stat, ORCH_CALL_LOOK, NONE, 0, NONE, NONE, NONE, 0, 0, false, 0},
    {SYS_lstat, ORCH_CALL_LOOK, NONE, 0, NONE, NONE, NONE, 0, 0, true, 0},
    {SYS_newfstatat, ORCH_CALL_LOOK, 0, 1, 3, NONE, NONE, NOFOLLOW, 0, false, 0},
    {SYS_statx, ORCH_CALL_LOOK, 0, 1, 2, NONE, NONE, NOFOLLOW, 0, false, 0},
    {SYS_access, ORCH_CALL_LOOK, NONE, 0, NONE, NONE, NONE, 0, 0, false, 0},
    {SYS_faccessat, ORCH_CALL_LOOK, 0, 1, NONE, NONE, NONE, 0, 0, false, 0},
    {SYS_faccessat2, ORCH_CALL_LOOK, 0, 1, 3, NONE, NONE, NOFOLLOW, 0, false, 0},
    {SYS_readlink, ORCH_CALL_LOOK, NONE, 0, NONE, NONE, NONE, 0, 0, true, 0},
    {SYS_readlinkat, ORCH_CALL_LOOK, 0, 1, NONE, NONE, NONE, 0, 0, true, 0},
    {SYS_chdir, ORCH_CALL_LOOK, NONE, 0, NONE, NONE, NONE, 0, 0, false, 0},
    {SYS_getxattr, ORCH_CALL_LOOK, NONE, 0, NONE, NONE, NONE, 0, 0, false, 0},
    {SYS_lgetxattr, ORCH_CALL_LOOK, NONE, 0, NONE, NONE, NONE, 0, 0, true, 0},
    {SYS_listxattr, ORCH_CALL_LOOK, NONE, 0, NONE, NONE, NONE, 0, 0, false, 0},
    {SYS_llistxattr, ORCH_CALL_LOOK, NONE, 0, NONE, NONE, NONE, 0, 0, true, 0},
    {NR_GETXATTRAT, ORCH_CALL_LOOK, 0, 1, 2, NONE, NONE, NOFOLLOW, 0, false, 0},
    {NR_LISTXATTRAT, ORCH_CALL_LOOK, 0, 1, 2, NONE, NONE, NOFOLLOW, 0, false, 0},
    {NR_FILE_GETATTR, ORCH_CALL_LOOK, 0, 1, 4, NONE, NONE, NOFOLLOW, 0, false, 0},
    {SYS_statfs, ORCH_CALL_LOOK, NONE, 0, NONE, NONE, NONE, 0, 0, false, 0},
    {SYS_inotify_add_watch, ORCH_CALL_LOOK, NONE, 1, 2, NONE, NONE, IN_DONT_FOLLOW, 0, false, 0},
    {SYS_execve, ORCH_CALL_EXEC, NONE, 0, NONE, NONE, NONE, 0, 0, false, 0},
    {SYS_connect, ORCH_CALL_CONNECT, NONE, 1, NONE, NONE, NONE, 0, 0, false, 0},
    {SYS_bind, ORCH_CALL_BIND, NONE, 1, NONE, NONE, NONE, 0, 0, true, 0},
    {SYS_sendto, ORCH_CALL_SENDTO, NONE, 4, NONE, NONE, NONE, 0, 0, false, 0},
};

const struct orch_call *orch_call_find(int nr)
{
    for (size_t i = 0; i < ORCH_NELEM(calls); i++)
        if (calls[i].nr == nr)
            return &calls[i];
    return NULL;
}
