/*
 * confine.c - what the agent's process gives up before it becomes the agent: limits, privileges, system
 * calls.
 *
 * Order matters and is the caller's (init.c): limits, privileges, Landlock (it needs open), then the filter
 * last of all, because its listener is served from that moment on (kernel notes, section 15).
 */
#include <errno.h>
#include <linux/securebits.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "sandbox/kernel.h"
#include "sandbox/nested.h"
#include "sandbox/sandbox_int.h"

static int set_limit(int resource, uint64_t value, uint64_t hard)
{
    struct rlimit old, want = {.rlim_cur = value, .rlim_max = hard};

    if (getrlimit((__rlimit_resource_t)resource, &old) < 0)
        return -errno;
    if (want.rlim_max >
        old.rlim_max) /* a host without CAP_SYS_RESOURCE cannot raise: the tighter one holds */
        want.rlim_max = old.rlim_max;
    if (want.rlim_cur > want.rlim_max)
        want.rlim_cur = want.rlim_max;
    return setrlimit((__rlimit_resource_t)resource, &want) < 0 ? -errno : 0;
}

int orch_confine_limits(const struct orch_plan *plan, struct orch_fail *f)
{
    const struct orch_limits *l = &plan->profile->limits;
    uint64_t cpu = (l->cpu_ms + 999) / 1000;
    uint64_t pids = l->pids + (plan->nested ? orch_nested_tasks(plan->uid) : 0);
    const struct {
        int resource;
        uint64_t value, hard;
        bool set;
        const char *name;
    } limits[] = {
        {RLIMIT_CORE, 0, 0, true, "core"},
        {RLIMIT_FSIZE, l->file_size, l->file_size, l->file_size > 0, "file_size"},
        {RLIMIT_NOFILE, l->open_files, l->open_files, l->open_files > 0, "open_files"},
        /* Of the whole tree a cgroup holds them (watch.h). DATA, not AS: JITs reserve huge address space. */
        {RLIMIT_NPROC, pids, pids, l->pids > 0 && l->scope_process, "pids"},
        {RLIMIT_DATA, l->memory, l->memory, l->memory > 0 && l->scope_process, "memory"},
        {RLIMIT_CPU, cpu, cpu + 1, cpu > 0, "cpu"},
        {RLIMIT_MSGQUEUE, 0, 0, true, "msgqueue"},
    };

    for (size_t i = 0; i < ORCH_NELEM(limits); i++) {
        int r = limits[i].set ? set_limit(limits[i].resource, limits[i].value, limits[i].hard) : 0;

        if (r < 0)
            return orch_fail_set(f, ORCH_STEP_RLIMIT, -r, limits[i].name);
    }
    return 0;
}

/* libcap 2.66: single-threaded here, right after fork; all five sets end empty and cannot be raised
 * (T-NS-02). */
static int drop_capabilities(void)
{
    cap_t none = cap_init();
    int r = 0;

    if (!none)
        return -ENOMEM;
    for (cap_value_t c = 0; c < cap_max_bits() && r == 0; c++)
        if (cap_drop_bound(c) < 0 && errno != EINVAL)
            r = -errno;
    if (r == 0 && cap_reset_ambient() < 0)
        r = -errno;
    if (r == 0 && prctl(PR_SET_SECUREBITS, SECURE_ALL_BITS | SECURE_ALL_LOCKS, 0, 0, 0) < 0)
        r = -errno;
    if (r == 0 && cap_set_proc(none) < 0)
        r = -errno;
    (void)cap_free(none);
    return r;
}

int orch_confine_privileges(struct orch_fail *f)
{
    int r = drop_capabilities();

    if (r < 0)
        return orch_fail_set(f, ORCH_STEP_CAPS, -r, NULL);
    /* The mm is still the supervisor's copy; without this an unprivileged supervisor cannot read the first
     * execve's path. */
    if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return orch_fail_set(f, ORCH_STEP_CAPS, errno, NULL);
    return 0;
}

int orch_confine_filter(const struct orch_filter *filter, int *ret_missing, struct orch_fail *f)
{
    struct sock_fprog prog = {.len = filter->len, .filter = filter->prog};
    unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);

    *ret_missing = 0;
    if (fd < 0 && errno == EINVAL) { /* before 5.19: recorded, not silently weaker */
        *ret_missing |= 1;
        fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
    }
    if (fd < 0)
        return orch_fail_set(f, ORCH_STEP_SECCOMP, errno, NULL);
    return (int)fd;
}
