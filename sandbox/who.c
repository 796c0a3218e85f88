/*
 * who.c - who a waiting task is: its process, program, name, and the programs that led to it. See task.h.
 *
 * Most denials in a row come from the same few tasks, and opening files of /proc costs more than all else
 * about a denial. So an answer is kept for ORCH_WHO_MS, and a flood from one task makes no system call for
 * it. A number that is given to another task within that time is no concern: the kernel hands out all others
 * first. An exec changes who a task is, and is notified before it happens: what is known of the process is
 * then forgotten, and nothing read of it kept until the exec is over for sure, or that time has passed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/io.h"
#include "sandbox/task.h"

static struct orch_who_task *slot(struct orch_who *w, pid_t tid)
{
    return &w->kept[(size_t)tid % ORCH_WHO_KEPT];
}

static struct orch_who_process *process_slot(struct orch_who *w, pid_t pid)
{
    return &w->processes[(size_t)pid % ORCH_WHO_KEPT];
}

static void forget(struct orch_who_task *t)
{
    orch_free_ptrp(&t->exe);
    orch_free_ptrp(&t->comm);
    for (size_t i = 0; i < ORCH_WHO_PARENTS; i++)
        orch_free_ptrp(&t->parent[i]);
    *t = (struct orch_who_task){0};
}

static void forget_process(struct orch_who_process *p)
{
    orch_free_ptrp(&p->exe);
    *p = (struct orch_who_process){0};
}

void orch_who_fini(struct orch_who *w)
{
    for (size_t i = 0; i < ORCH_WHO_KEPT; i++) {
        forget(&w->kept[i]);
        forget_process(&w->processes[i]);
    }
}

/* ---- execs under way ---- */

/* Until when what is read of the process now may be kept. */
static uint64_t may_keep(const struct orch_who *w, pid_t pid, uint64_t now)
{
    if (now < w->keep_none_ms)
        return now;
    for (size_t i = 0; i < ORCH_WHO_EXECS; i++)
        if (w->execs[i].pid == pid && now < w->execs[i].until_ms)
            return now;
    return now + ORCH_WHO_MS;
}

/* A task that asks for anything has come back from its exec: it failed, or this is the new program. */
static void exec_is_over(struct orch_who *w, pid_t tid)
{
    for (size_t i = 0; i < ORCH_WHO_EXECS; i++)
        if (w->execs[i].tid == tid)
            w->execs[i] = (struct orch_who_exec){0};
}

static bool descends_from(const struct orch_who_task *t, pid_t pid)
{
    bool found = t->info.pid == pid;

    for (size_t i = 0; i < ORCH_WHO_PARENTS && !found; i++)
        found = t->parent_pid[i] == pid;
    return found;
}

void orch_who_execs(struct orch_who *w, pid_t tid, pid_t pid)
{
    struct orch_who_exec *e = &w->execs[w->n_execs++ % ORCH_WHO_EXECS];
    uint64_t now = orch_now_ms();

    if (now < e->until_ms) /* more at a time than are remembered */
        w->keep_none_ms = e->until_ms;
    *e = (struct orch_who_exec){.tid = tid, .pid = pid, .until_ms = now + ORCH_WHO_MS};
    if (process_slot(w, pid)->pid == pid)
        forget_process(process_slot(w, pid));
    for (size_t i = 0; i < ORCH_WHO_KEPT; i++)
        if (w->kept[i].info.tid && descends_from(&w->kept[i], pid))
            w->kept[i].until_ms = 0; /* the strings stay: the caller may still hold them */
}

/* ---- reading ---- */

static pid_t number_behind(const char *text, const char *field)
{
    const char *p = strstr(text, field);

    return p ? (pid_t)strtol(p + strlen(field), NULL, 10) : 0;
}

/* The process and its parent, 0 if they cannot be had. */
static void read_status(pid_t tid, pid_t *ret_pid, pid_t *ret_parent)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    char name[32];

    *ret_pid = *ret_parent = 0;
    (void)snprintf(name, sizeof(name), "/proc/%d/status", tid);
    if (orch_read_file(AT_FDCWD, name, 16384, &b) < 0 || !b.data)
        return;
    *ret_pid = number_behind(b.data, "\nTgid:"); /* a name cannot forge it: its newlines are escaped there */
    *ret_parent = number_behind(b.data, "\nPPid:");
}

static char *read_comm(pid_t tid)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    char name[32];

    (void)snprintf(name, sizeof(name), "/proc/%d/comm", tid);
    if (orch_read_file(AT_FDCWD, name, 256, &b) < 0 || !b.data || b.len == 0)
        return NULL;
    return orch_xstrndup(b.data, b.len - (b.data[b.len - 1] == '\n'));
}

/* Of a parent, from what is kept or anew. */
static const struct orch_who_process *process(struct orch_who *w, pid_t pid, uint64_t now)
{
    struct orch_who_process *p = process_slot(w, pid);
    pid_t self;

    if (p->pid == pid && now < p->until_ms)
        return p;
    forget_process(p);
    p->pid = pid;
    p->until_ms = may_keep(w, pid, now);
    p->exe = orch_task_link(pid, "exe");
    read_status(pid, &self, &p->parent);
    return p;
}

static bool ends_chain(const struct orch_who *w, pid_t pid)
{
    return pid <= 1 || pid == w->init || pid == getpid();
}

/* Nearest first, up to the agent's first process: that is the one whose parent is init. */
static void read_parents(struct orch_who *w, struct orch_who_task *t, pid_t pid, uint64_t now)
{
    for (size_t i = 0; i < ORCH_WHO_PARENTS && !ends_chain(w, pid); i++) {
        const struct orch_who_process *p = process(w, pid, now);

        t->parent[i] = orch_xstrdup(p->exe ? p->exe : "");
        t->parent_pid[i] = pid;
        t->until_ms = p->until_ms < t->until_ms ? p->until_ms : t->until_ms;
        pid = p->parent;
    }
}

static void meet(struct orch_who *w, struct orch_who_task *t, pid_t tid, uint64_t now)
{
    pid_t pid, parent;

    forget(t);
    exec_is_over(w, tid);
    read_status(tid, &pid, &parent);
    t->exe = orch_task_link(tid, "exe");
    t->comm = read_comm(tid);
    t->until_ms = pid > 0 ? may_keep(w, pid, now) : now;
    if (pid > 0)
        read_parents(w, t, parent, now);
    t->info = (struct orch_who_info){.tid = tid,
                                     .pid = pid,
                                     .exe = t->exe,
                                     .comm = t->comm,
                                     .parents = pid > 0 ? (const char *const *)t->parent : NULL};
}

const struct orch_who_info *orch_who_is(struct orch_who *w, pid_t tid)
{
    struct orch_who_task *t = slot(w, tid);
    uint64_t now = orch_now_ms();

    if (t->info.tid != tid || now >= t->until_ms)
        meet(w, t, tid, now);
    return &t->info;
}
