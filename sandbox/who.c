/*
 * who.c - who a waiting task is: its process, program and name. See task.h.
 *
 * Most denials in a row come from the same few tasks, and opening files of /proc costs more than all else
 * about a denial. So the task's directory stays open. That of a task which is gone answers nothing, also when
 * its number belongs to another one; and the process of a task never changes while it lives.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/io.h"
#include "sandbox/task.h"

void orch_who_init(struct orch_who *w)
{
    for (size_t i = 0; i < ORCH_WHO_KEPT; i++)
        w->kept[i] = (struct orch_who_task){.dir = -1, .comm = -1};
}

static void forget(struct orch_who_task *t)
{
    orch_close_fdp(&t->dir);
    orch_close_fdp(&t->comm);
    t->tid = 0;
}

void orch_who_fini(struct orch_who *w)
{
    for (size_t i = 0; i < ORCH_WHO_KEPT; i++)
        forget(&w->kept[i]);
}

static char *exe_of(const struct orch_who_task *t)
{
    return t->dir >= 0 ? orch_readlink(t->dir, "exe") : NULL;
}

static char *comm_of(const struct orch_who_task *t)
{
    char text[64];
    ssize_t n = t->comm >= 0 ? pread(t->comm, text, sizeof(text), 0) : -1;

    if (n <= 0)
        return NULL;
    return orch_xstrndup(text, (size_t)n - (text[n - 1] == '\n'));
}

static void meet(struct orch_who_task *t, pid_t tid)
{
    char name[32];

    forget(t);
    (void)snprintf(name, sizeof(name), "/proc/%d", tid);
    t->dir = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (t->dir < 0)
        return;
    t->comm = openat(t->dir, "comm", O_RDONLY | O_CLOEXEC);
    t->tgid = orch_task_tgid(tid);
    t->tid = t->tgid > 0 ? tid : 0;
}

void orch_who_is(struct orch_who *w, pid_t tid, pid_t *ret_tgid, char **ret_exe, char **ret_comm)
{
    struct orch_who_task *t = &w->kept[(size_t)tid % ORCH_WHO_KEPT];
    bool known = t->tid == tid;

    if (!known)
        meet(t, tid);
    *ret_exe = exe_of(t);
    if (known && !*ret_exe) { /* another task's number before */
        meet(t, tid);
        *ret_exe = exe_of(t);
    }
    *ret_comm = comm_of(t);
    *ret_tgid = t->tgid;
}
