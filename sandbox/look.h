/*
 * look.h - looking at what a waiting task names (task.h), without waiting for longer than ORCH_LOOK_MS.
 *
 * Where the view holds only what this machine's kernel and disks serve, a look is a few system calls of ours.
 * Where it shows a filesystem that may stop to answer (NFS, FUSE, 9p, autofs), a child makes them, and what
 * it has not found out in time is -ETIMEDOUT: the caller must refuse. A child that hangs is killed; one that
 * even that does not end is left behind. So a mount that did not answer is not asked again for a while, as
 * far as the text of a path tells where it leads; and while ORCH_LOOK_LEFT children are left, nobody looks.
 * Not thread safe.
 */
#ifndef ORCH_SANDBOX_LOOK_H
#define ORCH_SANDBOX_LOOK_H

#include "sandbox/onhost.h"
#include "sandbox/task.h"

struct orch_plan;

#define ORCH_LOOK_MS 1000
#define ORCH_LOOK_LEFT 8

struct orch_look {
    int root;   /* owned: O_PATH of the sandbox's root, or -1 before it is known */
    bool apart; /* a child looks */
    struct orch_host *host;
    bool memory_here; /* but memory is read by us: only an ancestor may (Yama, ptrace_scope 1) */
    int sock;         /* to the child; -1: none yet */
    pid_t child, left[ORCH_LOOK_LEFT];
    size_t n_left;
    int cpu; /* that the child is bound to; -1: none */
};

void orch_look_init(struct orch_look *l);
void orch_look_fini(struct orch_look *l);
/* To be asked when the root is known, and in tier nested from time to time: there the host's mounts are the
 * view's. */
void orch_look_choose(struct orch_look *l, struct orch_host *h, const struct orch_plan *plan);

/* As orch_task_string, orch_task_bytes, orch_task_resolve and orch_task_has_parent, and -ETIMEDOUT; also the
 * errors of starting a child. */
int orch_look_string(struct orch_look *l, pid_t tid, uint64_t addr, struct orch_buf *ret);
int orch_look_bytes(struct orch_look *l, pid_t tid, uint64_t addr, void *ret, size_t n);
int orch_look_resolve(struct orch_look *l, pid_t tid, int dirfd, const char *text, bool nofollow,
                      struct orch_path *ret);
bool orch_look_has_parent(struct orch_look *l, const struct orch_path *p);
/* Is there something at this absolute path of the view? 0; -ENOENT and others; -ETIMEDOUT. */
int orch_look_at(struct orch_look *l, const char *path);

#endif
