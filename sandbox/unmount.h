/*
 * unmount.h - taking down a dead sandbox's view beside what follows.
 *
 * The kernel unmounts a view within the death of the last process in it. An overlay of which an agent has
 * looked at 100 000 files takes it a third of a second to forget, and init's death would wait for that. So
 * the supervisor holds the mount namespace while the tree dies, and a child process lets go of it: that
 * child then does the work. Nothing can enter the namespace meanwhile (no process is in it, and only root or
 * we ourselves could open ours), overlayfs keeps no data back from its upper directory, and the layer is
 * synced by its own files: what is judged is final all the same.
 *
 * Without a hold (an old kernel, a denied /proc) all is as it was: the view is gone when init is.
 */
#ifndef ORCH_SANDBOX_UNMOUNT_H
#define ORCH_SANDBOX_UNMOUNT_H

#include <sys/types.h>

#define ORCH_UNMOUNTS_MAX 4

struct orch_unmounts {
    pid_t pid[ORCH_UNMOUNTS_MAX]; /* children at work, oldest first */
    unsigned n;
    int held; /* the mount namespace of a living sandbox, -1 = none */
};

#define ORCH_UNMOUNTS_NONE ((struct orch_unmounts){.held = -1})

/* For on_started: holds the namespace of that init. */
void orch_unmount_hold(struct orch_unmounts *u, pid_t init);
/* After orch_sandbox_run(): lets go of what is held, in a child. Waits only for the oldest of many. */
void orch_unmount_let_go(struct orch_unmounts *u);
/* Waits until every view is gone. Before the workspace is written to, and before the end. */
void orch_unmount_wait(struct orch_unmounts *u);

#endif
