/*
 * doctor_cgroup.c - doctor's try of cgroups: one is made, limited, entered by a process and removed, as for a
 * sandbox (cgroup.h), and what was made room for is taken back.
 */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "sandbox/cgroup.h"
#include "sandbox/doctor_int.h"

/* A child of ours that waits to be ended. */
static pid_t start_waiting(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            (void)pause();
    }
    return pid;
}

/* Entered by a process of ours, before it is given up. */
static int try_entering(enum orch_cgroup_kind *ret, const char **ret_step)
{
    struct orch_cgroup g;
    int r = orch_cgroup_open(UINT64_C(64) << 20, 16, &g, ret_step);
    pid_t pid;

    if (r < 0)
        return r;
    *ret = g.kind;
    *ret_step = "start a process";
    pid = start_waiting();
    r = pid < 0 ? -errno : 0;
    if (r == 0) {
        *ret_step = "move a process into a child of its own cgroup";
        r = orch_cgroup_admit(&g, pid);
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
    }
    orch_cgroup_close(&g);
    return r;
}

void orch_try_cgroup(struct orch_try *t)
{
    enum orch_cgroup_kind kind = ORCH_CGROUP_NONE;
    const char *step = "find a cgroup hierarchy";
    pid_t doctor = getppid();
    int r = orch_cgroup_ready(doctor, &kind, &step);

    if (r == 0) {
        r = try_entering(&kind, &step);
        orch_cgroup_leave(doctor);
    }
    if (r < 0)
        orch_try_missing(t, -r, "%s", step);
    else
        orch_try_works(t, "version %d: limits of memory and pids hold a child cgroup and what is in it",
                       kind == ORCH_CGROUP_V2 ? 2 : 1);
}
