/*
 * task.h - looking at a task that waits in a notification: its memory, and its paths as it sees them.
 *
 * Everything read here may change the moment after; it serves early refusal and the record, never enforcement
 * (kernel notes, section 4). That the task takes its answer, or SECCOMP_IOCTL_NOTIF_ID_VALID, says after the
 * last read that all of it was about this task.
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
    enum { ORCH_PARENT_UNSEEN, ORCH_PARENT_THERE, ORCH_PARENT_GONE } parent; /* of what does not exist */
    mode_t mode;                                                             /* of the object, if it exists */
};

/*
 * Resolves `text` relative to dirfd (AT_FDCWD = the working directory) of the task, beneath the sandbox's
 * root, as the kernel would for the task: /proc/self is the task, magic links of /proc are followed to the
 * object (resolve.c). 0; -ENOENT, -ENOTDIR, -ELOOP, -EBADF, -ENAMETOOLONG where the kernel itself will fail
 * before any policy matters; any other -errno: it could not be found out, and the caller must refuse.
 */
int orch_task_resolve(int root, pid_t tid, int dirfd, const char *text, bool nofollow, struct orch_path *ret);
void orch_path_fini(struct orch_path *p);
/* Of something that does not exist: is its directory there? True also if that cannot be found out. */
bool orch_task_has_parent(int root, const struct orch_path *p);

/* Who a task is (who.c). Bytes as the kernel gives them; borrowed, until the next question. */
#define ORCH_WHO_PARENTS 8
struct orch_who_info {
    pid_t tid, pid;             /* thread and process as the host sees them; pid 0: unknown */
    const char *exe, *comm;     /* of /proc/TID; NULL if they cannot be had */
    const char *const *parents; /* executables of the processes that led to it, nearest first, NULL at the
                                   end, "" if one cannot be had: up to the agent's first process, at most
                                   ORCH_WHO_PARENTS. NULL: unknown */
};

/* What is kept of those who asked lately, at most ORCH_WHO_MS old: longest for a name that a task gives
 * itself (prctl), while an exec is seen at once. All 0 is empty. */
#define ORCH_WHO_MS 100
#define ORCH_WHO_KEPT 128
#define ORCH_WHO_EXECS 32
struct orch_who {
    pid_t init; /* where the chain of parents ends */
    struct orch_who_task {
        struct orch_who_info info; /* tid 0: nobody */
        char *exe, *comm, *parent[ORCH_WHO_PARENTS + 1];
        pid_t parent_pid[ORCH_WHO_PARENTS];
        uint64_t until_ms;
    } kept[ORCH_WHO_KEPT];
    struct orch_who_process {
        pid_t pid, parent;
        char *exe;
        uint64_t until_ms;
    } processes[ORCH_WHO_KEPT];
    struct orch_who_exec {
        pid_t tid, pid;
        uint64_t until_ms;
    } execs[ORCH_WHO_EXECS]; /* that may be under way */
    size_t n_execs;
    uint64_t keep_none_ms; /* nothing read before is kept */
};

void orch_who_fini(struct orch_who *w);
/* Never NULL. Read before the task has its answer: only then is it about this task. */
const struct orch_who_info *orch_who_is(struct orch_who *w, pid_t tid);
/* The task, of this process, is let go to execute a program, or to try it: what is known of it is not true
 * for its next call. To be told before that is served. */
void orch_who_execs(struct orch_who *w, pid_t tid, pid_t pid);
/* readlink of /proc/TID/WHAT ("cwd", "fd/3"), NULL if it cannot be had. Caller frees. */
char *orch_task_link(pid_t tid, const char *what);
/* The thread's number in its own pid namespace, 0 if unknown. */
pid_t orch_task_own_pid(pid_t tid);
/* The process (thread group) of a thread, 0 if unknown. */
pid_t orch_task_tgid(pid_t tid);
/* Is that descriptor of the task a datagram socket? False also if it cannot be found out. */
bool orch_task_has_datagram(pid_t tid, int fd);

#endif
