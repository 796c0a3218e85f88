/*
 * hunt.c - the end of a tree that no pid namespace holds: every descendant is killed, whatever it does.
 *
 * The caller is the subreaper, so what loses its parent becomes its child, and the hunt is over when it has
 * none. A child of ours cannot have its number given to somebody else before we reap it; one further down
 * can, so it is held by a pidfd, and it is ours if its parent was the expected one while that one was still
 * unreaped. Nothing is stopped first: a stopped process can be woken by its like, a killed one can neither
 * fork nor come back. Process groups are killed whole, which the kernel does without letting a fork slip by;
 * they hold nobody else, because the agent began in a session of its own.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/io.h"
#include "sandbox/kernel.h"
#include "sandbox/nested.h"

#define PACK_MAX 4096 /* held at once; who is beyond that is met in the next round */

struct prey {
    pid_t pid;
    int fd; /* pidfd; -1: a child of ours, or pidfds are not to be had */
};

struct pack {
    struct prey v[PACK_MAX];
    size_t n;
};

static void add_numbers(const char *text, pid_t **v, size_t *n)
{
    char *end;

    for (;; text = end) {
        long pid = strtol(text, &end, 10);

        if (end == text)
            return;
        *v = orch_xreallocarray(*v, *n + 1, sizeof(**v));
        (*v)[(*n)++] = (pid_t)pid;
    }
}

/* All children of all threads of a process. */
static void children_of(pid_t pid, pid_t **v, size_t *n)
{
    char path[64];
    DIR *dir;

    (void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
    dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        ORCH_AUTO_BUF struct orch_buf b = {0};
        char name[300];

        (void)snprintf(name, sizeof(name), "%s/children", e->d_name);
        if (e->d_name[0] != '.' && orch_read_file(dirfd(dir), name, 1u << 20, &b) >= 0 && b.data)
            add_numbers(b.data, v, n);
    }
    if (dir)
        (void)closedir(dir);
}

/* The parent as /proc/PID/stat has it; 0 if it cannot be told. The name in it may hold any byte. */
static pid_t parent_of(pid_t pid)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    char path[64];
    const char *p;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    if (orch_read_file(AT_FDCWD, path, 4096, &b) < 0 || !b.data)
        return 0;
    p = strrchr(b.data, ')');
    return p && strlen(p) > 4 ? (pid_t)strtol(p + 4, NULL, 10) : 0;
}

/* For kernels without lists of children: everybody's parent is looked at. */
static void scan_for_children(pid_t pid, pid_t **v, size_t *n)
{
    DIR *dir = opendir("/proc");

    for (struct dirent *e; dir && (e = readdir(dir));) {
        pid_t p = (pid_t)strtol(e->d_name, NULL, 10);

        if (p > 0 && parent_of(p) == pid)
            add_numbers(e->d_name, v, n);
    }
    if (dir)
        (void)closedir(dir);
}

static void list_children(pid_t pid, pid_t **v, size_t *n)
{
    static int lists = -1;
    char path[64];
    struct stat st;

    if (lists < 0) {
        (void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
        lists = stat(path, &st) == 0;
    }
    if (lists)
        children_of(pid, v, n);
    else
        scan_for_children(pid, v, n);
}

/* Only of a child of ours: its number, and so its group's, cannot be another's meanwhile. */
static void kill_group(pid_t pid)
{
    pid_t group = getpgid(pid);

    if (group > 1 && getsid(pid) != getsid(0) && group != getpgrp())
        (void)kill(-group, SIGKILL);
}

/* One further down: ours if its parent is still the one whose list it stood in. */
static void add_descendant(struct pack *p, pid_t pid, const struct prey *parent)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);

    if (fd < 0)
        return; /* dead, or the next round's, when it has become a child of ours */
    if (p->n == PACK_MAX || parent_of(pid) != parent->pid ||
        (parent->fd >= 0 && orch_sys_pidfd_send_signal(parent->fd, 0) < 0)) {
        (void)close(fd);
        return;
    }
    (void)orch_sys_pidfd_send_signal(fd, SIGKILL);
    p->v[p->n++] = (struct prey){pid, fd};
}

/* Children that a process had before it became a supervisor: whoever executes one may leave it some. They
 * stay unreaped, so their numbers stay theirs. */
static pid_t *spared;
static size_t n_spared;

void orch_hunt_spare(void)
{
    free(spared);
    spared = NULL;
    n_spared = 0;
    list_children(getpid(), &spared, &n_spared);
}

static bool is_spared(pid_t pid)
{
    for (size_t i = 0; i < n_spared; i++)
        if (spared[i] == pid)
            return true;
    return false;
}

/* The supervisor has children of other kinds, all in its own session. */
static bool is_prey(pid_t pid)
{
    pid_t sid = getsid(pid);

    return sid >= 0 && sid != getsid(0) && !is_spared(pid);
}

static void add_children(struct pack *p, bool all)
{
    ORCH_AUTO_FREE pid_t *v = NULL;
    size_t n = 0;

    list_children(getpid(), &v, &n);
    for (size_t i = 0; i < n && p->n < PACK_MAX; i++) {
        if (!all && !is_prey(v[i]))
            continue;
        kill_group(v[i]);
        (void)kill(v[i], SIGKILL);
        p->v[p->n++] = (struct prey){v[i], -1};
    }
}

static void add_children_of(struct pack *p, size_t at)
{
    ORCH_AUTO_FREE pid_t *v = NULL;
    size_t n = 0;

    list_children(p->v[at].pid, &v, &n);
    for (size_t i = 0; i < n; i++)
        add_descendant(p, v[i], &p->v[at]);
}

/* The kernel's own word: who has no child has no descendant. */
static bool has_children(void)
{
    siginfo_t si = {0};

    return waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

/* Reaps what is dead of the pack's children, and nobody else's. True: some were left or found. */
static bool round_up(struct pack *p, bool all)
{
    bool any;

    p->n = 0;
    add_children(p, all);
    any = p->n > 0;
    for (size_t i = 0; i < p->n; i++)
        add_children_of(p, i);
    for (size_t i = 0; i < p->n; i++) {
        if (p->v[i].fd >= 0)
            (void)close(p->v[i].fd);
        else
            (void)waitpid(p->v[i].pid, NULL, WNOHANG);
    }
    return all ? has_children() : any;
}

int orch_hunt(uint64_t ms, bool all)
{
    ORCH_AUTO_FREE struct pack *p = orch_xcalloc(1, sizeof(*p));
    struct rlimit files;
    uint64_t began = orch_now_ms();

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        rlim_t was = files.rlim_cur;

        files.rlim_cur = files.rlim_max < PACK_MAX + 64 ? files.rlim_max : PACK_MAX + 64;
        if (files.rlim_cur > was)
            (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    for (unsigned rounds = 0; round_up(p, all); rounds++) {
        if (orch_now_ms() - began > ms)
            return -ETIMEDOUT;
        if (rounds > 16) /* they are dying; the machine is theirs for that */
            (void)poll(NULL, 0, 1);
    }
    return 0;
}
