/*
 * cgroup.h - memory, pids and CPU time of a sandbox's whole tree, by a control group that is made for it
 * alone.
 *
 * Version 2 where the controllers memory and pids can be given to children of our own cgroup (delegated, as
 * by systemd-run -p Delegate=yes), else version 1 where children of our own cgroups can be made (root). Only
 * cgroups made here are written to, with one exception: our own one's cgroup.subtree_control, and that only
 * if nobody but us is in it. A cgroup of ours is called orch-sandbox.PID.N and is flocked while its
 * supervisor lives, so that what a killed one left can be told and removed (orch_cgroup_sweep).
 */
#ifndef ORCH_SANDBOX_CGROUP_H
#define ORCH_SANDBOX_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum orch_cgroup_kind { ORCH_CGROUP_NONE, ORCH_CGROUP_V1, ORCH_CGROUP_V2 };
const char *orch_cgroup_name(enum orch_cgroup_kind k); /* "none" "cgroup-v1" "cgroup-v2" */

#define ORCH_CGROUP_PARTS 3 /* version 1: memory, pids, cpuacct; version 2: one for all */
#define ORCH_CGROUP_LEAF "orch-supervisor."

struct orch_cgroup {
    enum orch_cgroup_kind kind;
    char name[64];
    size_t n;
    struct orch_cgroup_part {
        int parent, dir; /* owned */
        bool memory, pids, cpu;
    } part[ORCH_CGROUP_PARTS];
};

/* ---- cgroup.c ---- */

/* Makes one that holds memory bytes and pids tasks (0 = that one is not held). -errno: *ret_step says, after
 * "cannot", what failed (static), and nothing is left. */
int orch_cgroup_open(uint64_t memory, uint64_t pids, struct orch_cgroup *ret, const char **ret_step);
/* Puts a process, and so all that it will fork, into it. */
int orch_cgroup_admit(const struct orch_cgroup *g, pid_t pid);
/* The limit at which the kernel refused or killed: "memory", "pids" or NULL. */
const char *orch_cgroup_hit(const struct orch_cgroup *g);
/* Microseconds that all of it ever used; false if this cgroup does not count them. */
bool orch_cgroup_cpu(const struct orch_cgroup *g, uint64_t *ret_us);
/* Kills all that is in it (version 2; elsewhere the death of the tree's init does it). */
void orch_cgroup_kill(const struct orch_cgroup *g);
/* Removes it: nobody may be left in it. Waits for what the kernel has not yet taken out, a second at most. */
void orch_cgroup_close(struct orch_cgroup *g);

/* ---- cgroup_find.c ---- */

/* The directory of the caller's own cgroup, from the texts of /proc/self/mountinfo and /proc/self/cgroup;
 * controller NULL = version 2. NULL if there is none; the caller frees. */
char *orch_cgroup_dir(const char *mountinfo, const char *groups, const char *controller);
/* The number after "KEY " at the beginning of a line ("oom_kill 3"); 0 if there is no such line. */
uint64_t orch_cgroup_field(const char *text, const char *key);
/* Where children may be made: the parents of all parts, opened. */
int orch_cgroup_parents(enum orch_cgroup_kind kind, struct orch_cgroup *ret, const char **ret_step);

/*
 * Once per process that wants cgroups for its sandboxes, before it forks: tries one, and makes room for it if
 * need be. In version 2 a cgroup with processes cannot give controllers to children (cgroups(7), "no internal
 * processes"), so a process that is alone in its cgroup steps aside into a leaf. also: another process that
 * may be there and steps aside too, 0 = none. Returns what will hold, or -errno and the step.
 */
int orch_cgroup_ready(pid_t also, enum orch_cgroup_kind *ret, const char **ret_step);
/* Takes stepping aside back, if there was any; at the end of the process. */
void orch_cgroup_leave(pid_t also);
/* Removes what killed supervisors left beside ours. */
void orch_cgroup_sweep(void);

#endif
