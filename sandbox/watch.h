/*
 * watch.h - the limits of one running tree: what holds them, and which of them was reached.
 *
 * memory and pids of the whole tree: a cgroup (cgroup.h); with "scope": "process" they are rlimits of the
 * agent's process (confine.c), and pids is counted here. cpu of the whole tree: the cgroup's count, else the
 * sum over the sandbox's own /proc. What is on disk: usage.h. Its answers are names of limits (static), or
 * NULL.
 */
#ifndef ORCH_SANDBOX_WATCH_H
#define ORCH_SANDBOX_WATCH_H

#include "sandbox/cgroup.h"
#include "sandbox/sandbox.h"
#include "sandbox/usage.h"

struct orch_watch {
    const struct orch_sandbox_args *args;
    const struct orch_limits *limits;
    struct orch_cgroup cgroup;
    struct orch_usage_base base;
    bool alive; /* its view is up, and it is not seen dead yet */
    int proc;   /* its own /proc while it is alive; -1 in tier nested, which has none */
    uint64_t began_ms;
    uint64_t next_ms;      /* when its processes are to be looked at again */
    uint64_t next_disk_ms; /* and what it has on disk */
    uint64_t cpu_ms;       /* the most that was ever counted */
    bool full;             /* the last look found as many tasks as "pids" allows */
};

/* Makes the cgroup if the limits want one. -errno + err with exit code 3. */
int orch_watch_open(struct orch_watch *w, const struct orch_sandbox_args *a, struct orch_err *err);
/* Puts init into it, before it may fork. */
int orch_watch_admit(const struct orch_watch *w, pid_t init, struct orch_err *err);
/* root: of the sandbox's view. 0 or -errno. */
int orch_watch_view(struct orch_watch *w, int root);
/* The limit that was reached, looked at now and then. */
const char *orch_watch_look(struct orch_watch *w);
/* The same now, for a tree that ended by itself: what was reached just before counts as well. */
const char *orch_watch_end(struct orch_watch *w);
/* The limit of whose signal a process dies, or NULL. */
const char *orch_watch_signal(int sig);
/* What a dead tree has on disk, which may have grown since it was last measured. */
const char *orch_watch_dead(struct orch_watch *w);
void orch_watch_kill(const struct orch_watch *w);
/* When all is dead. */
void orch_watch_close(struct orch_watch *w);

#endif
