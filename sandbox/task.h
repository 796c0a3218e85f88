/*
 * task.h - looking at a task that waits in a notification: its memory, and its paths as it sees them.
 *
 * Everything read here may change the moment after; it serves early refusal and the record, never enforcement
 * (kernel notes, section 4). The caller checks SECCOMP_IOCTL_NOTIF_ID_VALID after the last read.
 */
#ifndef ORCH_SANDBOX_TASK_H
#define ORCH_SANDBOX_TASK_H

#include <sys/stat.h>
#include <sys/types.h>

#include "common/buf.h"

/* Reads a NUL-terminated string of at most 4095 bytes. 0; -EFAULT (bad pointer: the kernel will say so too),
 * -ENAMETOOLONG, -EPERM and others (memory cannot be read). */
int orch_task_string(pid_t tid, uint64_t addr, struct orch_buf *ret);
/* Reads exactly n bytes. 0 or -errno. */
int orch_task_bytes(pid_t tid, uint64_t addr, void *ret, size_t n);

struct orch_path {
    char *path;  /* absolute, as the sandbox sees it, symlinks resolved as far as it exists; NULL: not a path
                    (pipe, socket) */
    bool exists; /* the object itself */
    bool parent; /* its directory exists */
    mode_t mode; /* of the object, if it exists */
};

/*
 * Resolves `text` relative to dirfd (AT_FDCWD = the working directory) of the task, beneath the sandbox's
 * root, as the kernel would for the task: /proc/self is the task, magic links of /proc are followed to the
 * object (resolve.c). 0; -ENOENT, -ENOTDIR, -ELOOP, -EBADF, -ENAMETOOLONG where the kernel itself will fail
 * before any policy matters; any other -errno: it could not be found out, and the caller must refuse.
 */
int orch_task_resolve(int root, pid_t tid, int dirfd, const char *text, bool nofollow, struct orch_path *ret);
void orch_path_fini(struct orch_path *p);

/* Who asked lately (who.c). */
#define ORCH_WHO_KEPT 8
struct orch_who {
    struct orch_who_task {
        pid_t tid, tgid; /* tid 0: nobody */
        int dir, comm;   /* O_PATH of /proc/TID, and its file comm */
    } kept[ORCH_WHO_KEPT];
};

void orch_who_init(struct orch_who *w);
void orch_who_fini(struct orch_who *w);
/* The process (0 if unknown) of a task that waits, readlink of its /proc/TID/exe and contents of
 * /proc/TID/comm (NULL if they cannot be had; caller frees). */
void orch_who_is(struct orch_who *w, pid_t tid, pid_t *ret_tgid, char **ret_exe, char **ret_comm);
/* readlink of /proc/TID/WHAT ("cwd", "fd/3"), NULL if it cannot be had. Caller frees. */
char *orch_task_link(pid_t tid, const char *what);
/* The thread's number in its own pid namespace, 0 if unknown. */
pid_t orch_task_own_pid(pid_t tid);
/* The process (thread group) of a thread, 0 if unknown. */
pid_t orch_task_tgid(pid_t tid);
/* Is that descriptor of the task a datagram socket? False also if it cannot be found out. */
bool orch_task_has_datagram(pid_t tid, int fd);

#endif
