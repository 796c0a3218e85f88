/*
 * resolve_child.h - a task in a view of its own that makes trees, moves about in them and opens paths;
 * whoever holds the other end of the socket says beforehand where each leads (test_resolve.c,
 * fuzz_resolve.c).
 *
 * The view: a tmpfs with /ws (an overlay), /tmp (a tmpfs), /host (a directory of the host, bound) and /proc.
 * All that is chosen comes from dice: a seed, or given bytes. The asking task is a thread that is not the
 * first one and has a working directory of its own.
 */
#ifndef ORCH_TESTS_RESOLVE_CHILD_H
#define ORCH_TESTS_RESOLVE_CHILD_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/io.h"

#define TEXT_MAX 4096 /* with the NUL, as the kernel's PATH_MAX */
#define BYTES_MAX 4096
#define SLOTS 4        /* directory descriptors, from FIRST_SLOT on */
#define FIRST_SLOT 100 /* and behind them a pipe, a socket, a memfd, an unlinked file */
#define HELD 8

enum tell { TELL_OPENED, TELL_MADE, TELL_END };

/* What the task did, and what the kernel made of it. */
struct told {
    enum tell what;
    int dirfd, err; /* err 0: opened or made */
    bool nofollow;
    bool named; /* link names it in this view: not deleted, a pipe or the like */
    mode_t mode;
    char text[TEXT_MAX], link[2 * TEXT_MAX];
};

struct order {
    uint64_t seed;
    unsigned queries, n; /* n > 0: chosen by bytes, until they end */
    uint8_t bytes[BYTES_MAX];
};

struct dice {
    uint64_t state;
    const uint8_t *bytes;
    unsigned at, n;
};

static inline unsigned roll(struct dice *d, unsigned n)
{
    if (d->n > 0)
        return d->at < d->n ? d->bytes[d->at++] % n : 0;
    d->state ^= d->state << 13;
    d->state ^= d->state >> 7;
    d->state ^= d->state << 17;
    return (unsigned)(d->state >> 33) % n;
}

/* ---- paths ---- */

static inline const char *some_name(struct dice *d)
{
    static const char *const odd[] = {"a (deleted)", "b (deleted)", "\xff\xfe\x80", " ",   "-",
                                      "proc",        "ws",          "...",          "self"};
    static const char *const plain[] = {"a", "b", "c", "d", "e"};
    static char longest[256];
    unsigned i = roll(d, 24);

    if (i == 0) {
        memset(longest, 'x', 255);
        return longest;
    }
    return i < 4 ? odd[roll(d, 9)] : plain[roll(d, 5)];
}

static inline void add_text(char *out, const char *s)
{
    size_t n = strlen(out);

    if (n + strlen(s) < TEXT_MAX)
        memcpy(out + n, s, strlen(s) + 1);
}

static inline void add_start(struct dice *d, char *out)
{
    static const char *const starts[] = {"/ws", "/ws", "/ws/a", "/tmp", "/host", "/",
                                         "",    "",    "",      "",     "//ws",  "/../ws"};
    static const char *const own[] = {"/proc/self/cwd",
                                      "/proc/thread-self/cwd",
                                      "/proc/self/root",
                                      "/proc/thread-self/root",
                                      "/proc/1/cwd",
                                      "/proc/self",
                                      "/proc/thread-self",
                                      "/proc/self/../self/cwd",
                                      "/proc/self/exe",
                                      "/proc/self/ns/mnt",
                                      "/proc/self/task",
                                      "/proc/./self/cwd/.",
                                      "/proc/self/root/proc/thread-self/cwd"};
    char fd[64];

    switch (roll(d, 8)) {
    case 0:
        add_text(out, own[roll(d, 13)]);
        return;
    case 1:
        (void)snprintf(fd, sizeof(fd), "/proc/%s/fd/%u", roll(d, 2) ? "self" : "thread-self",
                       FIRST_SLOT + roll(d, HELD));
        add_text(out, fd);
        return;
    default:
        add_text(out, starts[roll(d, 12)]);
    }
}

static inline void some_path(struct dice *d, char out[TEXT_MAX])
{
    unsigned parts = roll(d, 6);

    out[0] = '\0';
    add_start(d, out);
    if (roll(d, 40) == 0)
        while (strlen(out) < 3000 + 4 * roll(d, 256))
            add_text(out, out[0] && roll(d, 2) ? "/." : out[0] ? "//" : ".");
    for (unsigned i = 0; i < parts; i++) {
        unsigned kind = roll(d, 12);

        if (i > 0 || out[0])
            add_text(out, "/");
        add_text(out, kind < 2 ? ".." : kind == 2 ? "." : kind == 3 ? (out[0] ? "/" : "a") : some_name(d));
    }
    parts = roll(d, 12);
    if (out[0])
        add_text(out, parts == 0 ? "/" : parts == 1 ? "/." : parts == 2 ? "/.." : "");
}

/* ---- the tree ---- */

static inline void shut(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

static inline void change(struct dice *d)
{
    char one[TEXT_MAX], two[TEXT_MAX];

    some_path(d, one);
    switch (roll(d, 12)) {
    case 0:
    case 1:
    case 2:
    case 3:
        (void)mkdir(one, 0755);
        break;
    case 4:
    case 5:
    case 6:
        some_path(d, two);
        (void)!symlink(two, one);
        break;
    case 7:
        shut(open(one, O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0644));
        break;
    case 8:
    case 9:
        some_path(d, two);
        (void)rename(one, two);
        break;
    case 10:
        (void)(roll(d, 2) ? rmdir(one) : unlink(one));
        break;
    default:
        (void)mkfifo(one, 0644);
    }
}

/* The working directory, and one above it perhaps, goes away or gets another name beneath us. */
static inline void lose_cwd(struct dice *d)
{
    static const char *const homes[] = {"/ws/a", "/tmp/a", "/ws/a (deleted)", "/host/a"};
    const char *home = homes[roll(d, 4)];
    char inner[64];

    (void)snprintf(inner, sizeof(inner), "%s/b", home);
    (void)mkdir(home, 0755);
    (void)mkdir(inner, 0755);
    if (chdir(roll(d, 2) ? inner : home) < 0)
        return;
    if (roll(d, 3) == 0)
        (void)rename(home, "/ws/c");
    (void)rmdir(inner);
    if (roll(d, 2))
        (void)rmdir(home);
}

static inline void move_about(struct dice *d)
{
    char path[TEXT_MAX];
    int fd;

    some_path(d, path);
    switch (roll(d, 6)) {
    case 0:
    case 1:
        (void)!chdir(path);
        break;
    case 2:
        lose_cwd(d);
        break;
    default:
        fd = open(path, O_PATH | O_CLOEXEC | (roll(d, 4) ? 0 : O_NOFOLLOW));
        if (fd >= 0)
            (void)dup3(fd, FIRST_SLOT + (int)roll(d, SLOTS), O_CLOEXEC);
        shut(fd);
    }
}

/* ---- what the kernel says ---- */

static inline bool link_of(int fd, char *out, size_t size)
{
    char name[64];
    ssize_t n;

    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    n = readlink(name, out, size - 1);
    out[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* Is it what its link names here? */
static inline void look_at(int fd, struct told *t)
{
    struct stat st, seen;
    int there;

    t->mode = fstat(fd, &st) == 0 ? st.st_mode : 0;
    if (!link_of(fd, t->link, sizeof(t->link)) || t->link[0] != '/')
        return;
    there = open(t->link, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    t->named = there >= 0 && fstat(there, &seen) == 0 && seen.st_ino == st.st_ino && seen.st_dev == st.st_dev;
    shut(there);
}

static inline void open_it(struct told *t)
{
    int fd = t->text[0] ? openat(t->dirfd, t->text, O_PATH | O_CLOEXEC | (t->nofollow ? O_NOFOLLOW : 0))
                        : fcntl(t->dirfd, F_DUPFD_CLOEXEC, FIRST_SLOT + 100);

    t->err = fd < 0 ? errno : 0;
    if (fd >= 0)
        look_at(fd, t);
    shut(fd);
}

/* Where something is made by that name: a file where links are followed, a directory where not. */
static inline void make_it(struct told *t)
{
    int fd = -1;

    *t->link = '\0';
    t->named = false;
    if (t->nofollow && mkdirat(t->dirfd, t->text, 0755) == 0)
        fd = openat(t->dirfd, t->text, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    else if (!t->nofollow)
        fd = openat(t->dirfd, t->text, O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0644);
    t->err = fd < 0 ? errno : 0;
    if (fd < 0)
        return;
    look_at(fd, t);
    shut(fd);
    if (t->named)
        (void)(t->nofollow ? rmdir(t->link) : unlink(t->link));
}

static inline bool say(int sock, struct told *t, enum tell what)
{
    char answer;

    t->what = what;
    return send(sock, t, sizeof(*t), MSG_NOSIGNAL) == (ssize_t)sizeof(*t) &&
           (what == TELL_END || recv(sock, &answer, 1, 0) == 1);
}

static inline bool ask(int sock, struct dice *d, struct told *t)
{
    memset(t, 0, offsetof(struct told, text));
    memset(t->link, 0, sizeof(t->link));
    some_path(d, t->text);
    t->dirfd = roll(d, 2) ? AT_FDCWD : FIRST_SLOT + (int)roll(d, SLOTS + 1);
    t->nofollow = roll(d, 3) == 0;
    if (!t->text[0] && t->dirfd == AT_FDCWD)
        add_text(t->text, ".");
    open_it(t);
    if (!say(sock, t, TELL_OPENED))
        return false;
    if (t->err != ENOENT)
        return true;
    make_it(t);
    return say(sock, t, TELL_MADE);
}

static inline void hold_things(void)
{
    int pair[2], fd;

    if (pipe2(pair, O_CLOEXEC) == 0)
        (void)dup3(pair[0], FIRST_SLOT + SLOTS, O_CLOEXEC);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)dup3(fd, FIRST_SLOT + SLOTS + 1, O_CLOEXEC);
    fd = memfd_create("m", MFD_CLOEXEC);
    (void)dup3(fd, FIRST_SLOT + SLOTS + 2, O_CLOEXEC);
    fd = open("/tmp/unlinked", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    (void)unlink("/tmp/unlinked");
    (void)dup3(fd, FIRST_SLOT + SLOTS + 3, O_CLOEXEC);
}

/* ---- the view ---- */

static inline int put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC),
        ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    shut(fd);
    return ok ? 0 : -1;
}

static inline int map_ids(uid_t uid, gid_t gid)
{
    char map[64];

    (void)put("/proc/self/setgroups", "deny");
    (void)snprintf(map, sizeof(map), "0 %u 1\n", gid);
    if (put("/proc/self/gid_map", map) < 0)
        return -1;
    (void)snprintf(map, sizeof(map), "0 %u 1\n", uid);
    return put("/proc/self/uid_map", map);
}

/* Beneath `dir`, which holds host/. Returns the number of the step that failed. */
static inline int build_view(const char *dir)
{
    char host[256];
    int old;

    (void)snprintf(host, sizeof(host), "%s/host", dir);
    old = open(host, O_PATH | O_DIRECTORY | O_CLOEXEC);
    (void)snprintf(host, sizeof(host), "/proc/self/fd/%d", old);
    if (old < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", dir, "tmpfs", 0, NULL) < 0)
        return 1;
    if (chdir(dir) < 0 || mkdir("ws", 0755) < 0 || mkdir("tmp", 0755) < 0 || mkdir("host", 0755) < 0 ||
        mkdir("proc", 0755) < 0 || mkdir("low", 0755) < 0 || mkdir("up", 0755) < 0 ||
        mkdir("up/u", 0755) < 0 || mkdir("up/w", 0755) < 0 || mkdir("low/a", 0755) < 0 ||
        mkdir("low/a/b", 0755) < 0 || mkdir("low/d", 0755) < 0 || symlink("a/b", "low/c") < 0)
        return 2;
    if (mount("none", "ws", "overlay", 0, "lowerdir=low,upperdir=up/u,workdir=up/w,userxattr") < 0)
        return 3;
    if (mount("none", "tmp", "tmpfs", 0, NULL) < 0 || mount(host, "host", NULL, MS_BIND, NULL) < 0 ||
        mount("none", "proc", "proc", 0, NULL) < 0)
        return 4;
    shut(old);
    if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return 5;
    return 0;
}

/* The places that trees are made in, emptied. */
static inline void clear_dir(const char *dir)
{
    static const char *const kept[] = {".", "..", "proc", "ws", "tmp", "host", "low", "up"};
    DIR *d = opendir(dir);
    struct dirent *e;

    while (d && (e = readdir(d))) {
        bool keep = false;

        for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
            keep |= strcmp(e->d_name, kept[i]) == 0 && (i < 2 || strcmp(dir, "/") == 0);
        if (!keep)
            (void)orch_rm_rf(dirfd(d), e->d_name);
    }
    if (d)
        (void)closedir(d);
}

static inline void clear_view(void)
{
    (void)!chdir("/");
    for (int i = 0; i < HELD; i++)
        (void)close(FIRST_SLOT + i);
    clear_dir("/ws");
    clear_dir("/tmp");
    clear_dir("/host");
    clear_dir("/");
    hold_things();
}

/* ---- the task ---- */

static inline void serve(int sock, const struct order *o, struct told *t)
{
    struct dice d = {.state = o->seed * 1000003 + 1, .bytes = o->bytes, .n = o->n};
    bool on = true;

    clear_view();
    for (unsigned i = 0; i < 30; i++)
        change(&d);
    for (unsigned i = 0; on && i < o->queries && (d.n == 0 || d.at < d.n); i++) {
        change(&d);
        move_about(&d);
        on = ask(sock, &d, t);
    }
    if (on)
        (void)say(sock, t, TELL_END);
}

static inline void *asking_thread(void *arg)
{
    static struct order o;
    static struct told t;
    int sock = *(int *)arg;

    if (unshare(CLONE_FS) < 0)
        _exit(9);
    while (recv(sock, &o, sizeof(o), 0) == (ssize_t)sizeof(o))
        serve(sock, &o, &t);
    _exit(0);
}

static inline void be_the_task(int sock, const char *dir)
{
    char step = (char)build_view(dir);
    pthread_t thread;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)umask(0);
    if (step == 0 && pthread_create(&thread, NULL, asking_thread, &sock) != 0)
        step = 8;
    if (send(sock, &step, 1, 0) != 1 || step != 0)
        _exit(1);
    (void)pthread_join(thread, NULL);
    _exit(0);
}

/*
 * Starts the task; `dir` is a fresh directory with host/ in it. Returns our end of the socket, -1 if a view
 * cannot be made here; *ret_pid is who to kill and wait for, *ret_tid the task that asks.
 */
static inline int start_task(const char *dir, pid_t *ret_pid, pid_t *ret_tid)
{
    uid_t uid = getuid();
    gid_t gid = getgid();
    int pair[2];
    char name[64], step = 0;
    struct dirent *e;
    DIR *tasks;
    pid_t inner = 0;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -1;
    *ret_pid = fork();
    if (*ret_pid == 0) {
        shut(pair[0]);
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID) < 0 || map_ids(uid, gid) < 0)
            _exit(1);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* forgotten when ids change */
        inner = fork();
        if (inner == 0)
            be_the_task(pair[1], dir);
        (void)send(pair[1], &inner, sizeof(inner), 0);
        shut(pair[1]);
        (void)waitpid(inner, NULL, 0);
        _exit(0);
    }
    shut(pair[1]);
    *ret_tid = 0;
    for (int i = 0; i < 2; i++) { /* the number and the step, in either order */
        char buf[sizeof(inner)];
        ssize_t n = recv(pair[0], buf, sizeof(buf), 0);

        if (n == 1)
            step = buf[0];
        else if (n == (ssize_t)sizeof(inner))
            memcpy(&inner, buf, sizeof(inner));
        else
            step = 10;
    }
    (void)snprintf(name, sizeof(name), "/proc/%d/task", inner);
    tasks = step == 0 ? opendir(name) : NULL;
    while (tasks && (e = readdir(tasks)))
        if (strtol(e->d_name, NULL, 10) > 0 && strtol(e->d_name, NULL, 10) != inner)
            *ret_tid = (pid_t)strtol(e->d_name, NULL, 10);
    if (tasks)
        (void)closedir(tasks);
    if (*ret_tid > 0)
        return pair[0];
    shut(pair[0]);
    (void)waitpid(*ret_pid, NULL, 0);
    return -1;
}

#endif
