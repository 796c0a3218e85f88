/* cgroup.c - one cgroup for one sandbox: made, entered, looked at, killed, removed. See cgroup.h. */
#include "sandbox/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "common/io.h"

#define TEXT_MAX (1u << 20)
#define REMOVE_MS 1000

const char *orch_cgroup_name(enum orch_cgroup_kind k)
{
    static const char *const names[] = {"none", "cgroup-v1", "cgroup-v2"};

    return (size_t)k < ORCH_NELEM(names) ? names[k] : "none";
}

/* ---- limits as files ---- */

struct setting {
    enum orch_cgroup_kind kind;
    bool memory; /* of the part with memory, else of the one with pids */
    bool may_lack;
    const char *file, *value; /* value NULL: the limit itself */
    const char *step;
};

/* In this order: version 1 lets memory and swap together be no lower than memory alone. */
static const struct setting settings[] = {
    {ORCH_CGROUP_V2, true, false, "memory.max", NULL, "write memory.max of a child of its cgroup"},
    /* Without swap accounting or swap there is nothing to hold. */
    {ORCH_CGROUP_V2, true, true, "memory.swap.max", "0", "write memory.swap.max of a child of its cgroup"},
    /* All of the tree at once: what is left of a killed part would go on working on half of it. */
    {ORCH_CGROUP_V2, true, true, "memory.oom.group", "1", "write memory.oom.group of a child of its cgroup"},
    {ORCH_CGROUP_V2, false, false, "pids.max", NULL, "write pids.max of a child of its cgroup"},
    {ORCH_CGROUP_V1, true, false, "memory.limit_in_bytes", NULL,
     "write memory.limit_in_bytes of a child of its cgroup"},
    {ORCH_CGROUP_V1, true, true, "memory.memsw.limit_in_bytes", NULL,
     "write memory.memsw.limit_in_bytes of a child of its cgroup"},
    {ORCH_CGROUP_V1, true, true, "memory.swappiness", "0",
     "write memory.swappiness of a child of its cgroup"},
    {ORCH_CGROUP_V1, false, false, "pids.max", NULL, "write pids.max of a child of its cgroup"},
};

static int write_at(int dir, const char *name, const char *text)
{
    ORCH_AUTO_FD int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int apply(const struct orch_cgroup_part *p, const struct setting *s, uint64_t limit)
{
    char text[32];
    int r;

    (void)snprintf(text, sizeof(text), "%" PRIu64, limit);
    r = write_at(p->dir, s->file, s->value ? s->value : text);
    return r == -ENOENT && s->may_lack ? 0 : r;
}

static int set_limits(const struct orch_cgroup *g, const struct orch_cgroup_part *p, uint64_t memory,
                      uint64_t pids, const char **ret_step)
{
    int r = 0;

    for (size_t i = 0; i < ORCH_NELEM(settings) && r == 0; i++) {
        const struct setting *s = &settings[i];
        uint64_t limit = s->memory ? memory : pids;

        if (s->kind != g->kind || !limit || !(s->memory ? p->memory : p->pids))
            continue;
        *ret_step = s->step;
        r = apply(p, s, limit);
    }
    return r;
}

/* ---- making ---- */

static int make_part(const struct orch_cgroup *g, struct orch_cgroup_part *p)
{
    if (mkdirat(p->parent, g->name, 0755) < 0)
        return -errno;
    p->dir = openat(p->parent, g->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->dir < 0) {
        int e = errno;

        (void)unlinkat(p->parent, g->name, AT_REMOVEDIR);
        return -e;
    }
    return flock(p->dir, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

static int remove_part(const struct orch_cgroup *g, struct orch_cgroup_part *p)
{
    int r = 0;

    if (p->dir >= 0 && unlinkat(p->parent, g->name, AT_REMOVEDIR) < 0)
        r = -errno;
    if (r != -EBUSY)
        orch_close_fdp(&p->dir);
    return r;
}

/* Under the first number that is free everywhere: one sandbox may be taken down beside the next. */
static int make(struct orch_cgroup *g)
{
    int r = -EEXIST;

    for (unsigned i = 1; r == -EEXIST; i++) {
        (void)snprintf(g->name, sizeof(g->name), "orch-sandbox.%d.%u", (int)getpid(), i);
        r = 0;
        for (size_t k = 0; k < g->n && r == 0; k++)
            r = make_part(g, &g->part[k]);
        for (size_t k = 0; k < g->n && r < 0; k++)
            (void)remove_part(g, &g->part[k]);
    }
    return r;
}

static int open_kind(enum orch_cgroup_kind kind, uint64_t memory, uint64_t pids, struct orch_cgroup *ret,
                     const char **ret_step)
{
    int r = orch_cgroup_parents(kind, ret, ret_step);

    if (r < 0)
        return r;
    *ret_step = "make a child of its own cgroup";
    r = make(ret);
    for (size_t i = 0; i < ret->n && r == 0; i++)
        r = set_limits(ret, &ret->part[i], memory, pids, ret_step);
    if (r < 0)
        orch_cgroup_close(ret);
    return r;
}

int orch_cgroup_open(uint64_t memory, uint64_t pids, struct orch_cgroup *ret, const char **ret_step)
{
    const char *step_v1 = NULL;
    int r = open_kind(ORCH_CGROUP_V2, memory, pids, ret, ret_step), r1;

    if (r == 0)
        return 0;
    r1 = open_kind(ORCH_CGROUP_V1, memory, pids, ret, &step_v1);
    if (r1 < 0 && r1 != -ENOENT) { /* there is one: what it lacks is the better answer */
        *ret_step = step_v1;
        return r1;
    }
    return r1 == 0 ? 0 : r;
}

int orch_cgroup_admit(const struct orch_cgroup *g, pid_t pid)
{
    char text[32];
    int r = 0;

    (void)snprintf(text, sizeof(text), "%d", (int)pid);
    for (size_t i = 0; i < g->n && r == 0; i++)
        r = write_at(g->part[i].dir, "cgroup.procs", text);
    return r;
}

/* ---- looking ---- */

static uint64_t field(const struct orch_cgroup_part *p, const char *file, const char *key)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};

    if (orch_read_file(p->dir, file, TEXT_MAX, &b) < 0 || !b.data)
        return 0;
    return key ? orch_cgroup_field(b.data, key) : strtoull(b.data, NULL, 10);
}

const char *orch_cgroup_hit(const struct orch_cgroup *g)
{
    const char *events = g->kind == ORCH_CGROUP_V2 ? "memory.events" : "memory.oom_control";

    for (size_t i = 0; i < g->n; i++)
        if (g->part[i].memory && field(&g->part[i], events, "oom_kill") > 0)
            return "memory";
    for (size_t i = 0; i < g->n; i++)
        if (g->part[i].pids && field(&g->part[i], "pids.events", "max") > 0)
            return "pids";
    return NULL;
}

bool orch_cgroup_cpu(const struct orch_cgroup *g, uint64_t *ret_us)
{
    for (size_t i = 0; i < g->n; i++) {
        if (!g->part[i].cpu)
            continue;
        *ret_us = g->kind == ORCH_CGROUP_V2 ? field(&g->part[i], "cpu.stat", "usage_usec")
                                            : field(&g->part[i], "cpuacct.usage", NULL) / 1000;
        return true;
    }
    return false;
}

/* ---- the end ---- */

void orch_cgroup_kill(const struct orch_cgroup *g)
{
    if (g->kind == ORCH_CGROUP_V2 && g->n > 0)
        (void)write_at(g->part[0].dir, "cgroup.kill", "1");
}

/* The tree is dead, but the kernel takes the last of it out of the cgroup a moment later. */
void orch_cgroup_close(struct orch_cgroup *g)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    uint64_t until = orch_now_ms() + REMOVE_MS;

    for (size_t i = 0; i < g->n; i++) {
        while (remove_part(g, &g->part[i]) == -EBUSY && orch_now_ms() < until)
            (void)nanosleep(&pause, NULL);
        orch_close_fdp(&g->part[i].dir);
        orch_close_fdp(&g->part[i].parent);
    }
    *g = (struct orch_cgroup){0};
}
