/*
 * nested.h - tier nested: one sandbox where nothing can be unshared or mounted (design 5.2, kernel notes 14).
 *
 * The same loop, hooks, filter and notification as in tier full; in place of the view there are Landlock
 * rules for the host's own paths, in place of the pid namespace an init that is the subreaper of all and
 * hunts down every descendant. The agent works in a cell: a directory of its own with home, tmp, orch and the
 * copy of the workspace, made by the caller (struct orch_plan_args.cell).
 */
#ifndef ORCH_SANDBOX_NESTED_H
#define ORCH_SANDBOX_NESTED_H

#include "sandbox/sandbox_int.h"

/* The least Landlock that keeps signals and abstract sockets in (Linux 6.12). */
#define ORCH_NESTED_ABI 6

/* Writes home, tmp and orch into the cell of the plan. As root they belong to the agent's user. */
int orch_nested_cell(const struct orch_sandbox_args *a, struct orch_err *err);
/* Starts init, a child that is no leader of namespaces. 0 and its descriptor, or -errno + err. */
int orch_nested_start(struct orch_start *s, pid_t *ret_pid, int *ret_pidfd, struct orch_err *err);
/* Init is dead: whatever it left (somebody killed it) is ours now, and is killed. -EIO: not all of it
 * is dead. */
int orch_nested_after(void);

/* More in home and tmp than the profile's `tmp` gives, or a directory shut to us, which could hide any
 * amount. */
bool orch_nested_over(const struct orch_plan *plan);

/* In the agent's process: root's groups, user and capabilities go, no_new_privs comes. */
int orch_nested_privileges(const struct orch_plan *plan, struct orch_fail *f);
/* Processes and threads that user has now: without a namespace RLIMIT_NPROC counts them too. */
uint64_t orch_nested_tasks(uid_t uid);

/* hunt.c: kills every descendant of the calling process (all: false: whose child of ours is in another
 * session), and waits until none is left. 0, or -ETIMEDOUT after so many milliseconds. */
int orch_hunt(uint64_t ms, bool all);
/* With all: false, the children that there are now are no prey. */
void orch_hunt_spare(void);

/* stead.c: what the supervisor does in the caller's place. */
struct orch_stead {
    int errnum;       /* 0 done, > 0 refused */
    int fd;           /* >= 0: the result of the call, to be handed over */
    int replace;      /* >= 0: this descriptor of the caller becomes fd, and the call returns 0 */
    bool denial;      /* put it on record, with: */
    const char *rule; /* owned by the plan or static */
    const char *access;
    char *path; /* owned */
    bool quiet, network;
    int ours; /* >= 0: our end of a connection to the control socket */
};
/* False: nothing is done for this call, it is judged as any other. */
bool orch_stead_serve(struct orch_notify *n, const struct seccomp_notif *req, struct orch_stead *ret);
/* Hands its descriptor over, if it has one; errnum says what the call is answered with if it was not. */
void orch_stead_hand_over(const struct orch_notify *n, const struct seccomp_notif *req, struct orch_stead *s);
void orch_stead_fini(struct orch_stead *s);

#endif
