/* watch.c - see watch.h. */
#include "sandbox/watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/io.h"

#define STAT_MAX 4096
#define EVERY_MS 200 /* below the loop's tick */
#define EVERY_DISK_MS 1000
#define SHARE 10 /* of the time between two looks, a look may take one part in this many */

static bool wants_cgroup(const struct orch_limits *l)
{
    return !l->scope_process && (l->memory || l->pids);
}

const char *orch_limits_held_by(const struct orch_limits *l)
{
    enum orch_cgroup_kind kind;
    struct orch_cgroup g;
    const char *step;

    if (!l->memory && !l->pids)
        return "none";
    if (l->scope_process)
        return "rlimit";
    if (orch_cgroup_open(0, 0, &g, &step) < 0)
        return "none";
    kind = g.kind;
    orch_cgroup_close(&g);
    return orch_cgroup_name(kind);
}

int orch_watch_open(struct orch_watch *w, const struct orch_sandbox_args *a, struct orch_err *err)
{
    const struct orch_limits *l = &a->plan->profile->limits;
    const char *step = "";
    int r;

    *w = (struct orch_watch){.args = a, .limits = l, .proc = -1, .began_ms = orch_now_ms()};
    r = orch_usage_begin(a, &w->base);
    if (r < 0)
        return orch_err_sys(err, -r, "the copy of the workspace cannot be measured");
    if (!wants_cgroup(l))
        return 0;
    /* Init is ours, not the agent's: it is not counted. */
    r = orch_cgroup_open(l->memory, l->pids ? l->pids + 1 : 0, &w->cgroup, &step);
    if (r < 0)
        return orch_err_exit(err, orch_errno_is_host(-r) ? 0 : 3, -r, "cannot %s: %s", step, strerror(-r));
    return 0;
}

int orch_watch_admit(const struct orch_watch *w, pid_t init, struct orch_err *err)
{
    int r = orch_cgroup_admit(&w->cgroup, init);

    return r < 0 ? orch_err_exit(err, 3, -r, "cannot put the sandbox into its cgroup: %s", strerror(-r)) : 0;
}

int orch_watch_view(struct orch_watch *w, int root)
{
    w->alive = true;
    if (w->args->plan->nested) /* that is the host's */
        return 0;
    w->proc = openat(root, "proc", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return w->proc < 0 ? -errno : 0;
}

/* ---- looking at every process ---- */

struct sum {
    uint64_t tasks, ticks;
};

/* proc(5), after the name in parentheses, from field 3: 14 to 17 are the times of the process and of the
 * children it waited for, 20 its threads. A zombie still counts; what nobody waited for is lost. */
static void add_process(const char *stat, struct sum *s)
{
    const char *p = strrchr(stat, ')');
    uint64_t ticks = 0, threads = 0;

    for (unsigned field = 2; p && field <= 20; field++) {
        const char *end = p + strcspn(p, " ");

        if (field >= 14 && field <= 17)
            ticks += strtoull(p, NULL, 10);
        if (field == 20)
            threads = strtoull(p, NULL, 10);
        p = *end ? end + 1 : NULL;
    }
    if (!p) /* too short: not what it should be */
        return;
    s->ticks += ticks;
    s->tasks += threads ? threads : 1;
}

static void read_process(int proc, const char *pid, struct sum *s)
{
    char path[64], text[STAT_MAX];
    ORCH_AUTO_FD int fd = -1;
    ssize_t n;

    if ((size_t)snprintf(path, sizeof(path), "%s/stat", pid) >= sizeof(path))
        return;
    fd = openat(proc, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return; /* gone meanwhile: whoever waited for it has its time */
    text[n] = '\0';
    add_process(text, s);
}

static bool read_all(int proc, struct sum *s)
{
    int fd = openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);

    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
            read_process(proc, e->d_name, s);
    if (d)
        (void)closedir(d);
    else if (fd >= 0)
        (void)close(fd);
    return d != NULL;
}

/* The next time, after what began then has just been done. */
static uint64_t next_after(uint64_t began, uint64_t every)
{
    uint64_t took = orch_now_ms() - began;

    return began + (took * SHARE > every ? took * SHARE : every);
}

static void look_at_all(struct orch_watch *w, bool *ret_full)
{
    uint64_t began = orch_now_ms();
    long hz = sysconf(_SC_CLK_TCK);
    struct sum s = {0};

    if (!read_all(w->proc, &s))
        return;
    w->next_ms = next_after(began, EVERY_MS);
    if (hz > 0 && s.ticks * 1000 / (uint64_t)hz > w->cpu_ms)
        w->cpu_ms = s.ticks * 1000 / (uint64_t)hz;
    /* RLIMIT_NPROC counts init too, and fails a fork beyond it. Seen twice: to touch it is no offence. */
    *ret_full = w->limits->pids && w->limits->scope_process && s.tasks >= w->limits->pids && w->full;
    w->full = w->limits->pids && s.tasks >= w->limits->pids;
}

/* All processors together could not have used more until now. */
static bool cpu_is_possible(const struct orch_watch *w)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return w->limits->cpu_ms &&
           (orch_now_ms() - w->began_ms) * (uint64_t)(n > 0 ? n : 1) >= w->limits->cpu_ms;
}

/* "cpu", "pids" where no cgroup counts them, or NULL. pids: whether to count those at all. */
static const char *look_at_processes(struct orch_watch *w, bool pids)
{
    bool full = false, cpu, counted;
    uint64_t us = 0;

    counted = orch_cgroup_cpu(&w->cgroup, &us);
    if (counted)
        w->cpu_ms = us / 1000;
    cpu = !counted && cpu_is_possible(w);
    if ((cpu || pids) && w->proc >= 0 && orch_now_ms() >= w->next_ms)
        look_at_all(w, &full);
    if (full)
        return "pids";
    return w->limits->cpu_ms && w->cpu_ms >= w->limits->cpu_ms ? "cpu" : NULL;
}

const char *orch_watch_look(struct orch_watch *w)
{
    uint64_t now = orch_now_ms();
    const char *hit = orch_cgroup_hit(&w->cgroup);

    if (!hit)
        hit = look_at_processes(w, w->limits->pids && w->limits->scope_process);
    if (hit || !w->alive || now < w->next_disk_ms)
        return hit;
    hit = orch_usage_over(w->args, &w->base, true, w->proc);
    w->next_disk_ms = next_after(now, EVERY_DISK_MS);
    return hit;
}

const char *orch_watch_dead(struct orch_watch *w)
{
    orch_close_fdp(&w->proc);
    w->alive = false;
    return orch_usage_over(w->args, &w->base, false, -1);
}

const char *orch_watch_end(struct orch_watch *w)
{
    const char *hit = orch_cgroup_hit(&w->cgroup);

    w->next_ms = 0;
    return hit ? hit : look_at_processes(w, false);
}

const char *orch_watch_signal(int sig)
{
    return sig == SIGXCPU ? "cpu" : sig == SIGXFSZ ? "file_size" : NULL;
}

void orch_watch_kill(const struct orch_watch *w)
{
    orch_cgroup_kill(&w->cgroup);
}

void orch_watch_close(struct orch_watch *w)
{
    orch_close_fdp(&w->proc);
    orch_cgroup_close(&w->cgroup);
}
