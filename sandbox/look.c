/* look.c - see look.h. */
#include "sandbox/look.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/io.h"
#include "policy/plan.h"
#include "sandbox/sandbox_int.h"

#define MAX_DATA 131072 /* of one datagram: no path that resolve.c walks is longer */
#define MAX_BYTES 256   /* of memory that is no string */
#define YIELDS 3
#define DYING_MS 50 /* how long a killed child may take to be one that is not left */
#define YAMA "/proc/sys/kernel/yama/ptrace_scope"

enum what { STRING, BYTES, RESOLVE, HAS_PARENT, AT };

struct question { /* and then a text, not terminated */
    enum what what;
    pid_t tid;
    int dirfd;
    bool nofollow;
    uint64_t addr;
    size_t n;
};

struct answer { /* and then data: what was read, or the path */
    int r;
    bool has_path;
    struct orch_path path; /* its path is not sent */
};

void orch_look_init(struct orch_look *l)
{
    *l = (struct orch_look){.root = -1, .sock = -1};
}

/* ---- what is to be found out, in whichever process ---- */

static int look_at(int root, const char *path)
{
    ORCH_AUTO_FD int fd = -1;

    path += strspn(path, "/");
    fd = orch_openat2(root, *path ? path : ".", O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, RESOLVE_IN_ROOT);
    return fd < 0 ? fd : 0;
}

static int find_out(int root, const struct question *q, const char *text, struct answer *a,
                    struct orch_buf *ret)
{
    struct orch_path p = {.path = (char *)(uintptr_t)text};
    char bytes[MAX_BYTES];
    int r;

    switch (q->what) {
    case STRING:
        return orch_task_string(q->tid, q->addr, ret);
    case BYTES:
        r = orch_task_bytes(q->tid, q->addr, bytes, q->n);
        if (r == 0)
            orch_buf_add(ret, bytes, q->n);
        return r;
    case RESOLVE:
        r = orch_task_resolve(root, q->tid, q->dirfd, text, q->nofollow, &a->path);
        a->has_path = a->path.path != NULL;
        if (a->has_path)
            orch_buf_str(ret, a->path.path);
        orch_path_fini(&a->path);
        return r;
    case HAS_PARENT:
        return orch_task_has_parent(root, &p);
    case AT:
        return look_at(root, text);
    }
    return -EINVAL;
}

/* ---- the child ---- */

static _Noreturn void serve(int sock, int root)
{
    char *text = orch_xcalloc(1, MAX_DATA + 1);
    ORCH_AUTO_BUF struct orch_buf data = {0};
    struct question q;
    struct iovec in[2] = {{&q, sizeof(q)}, {text, MAX_DATA}};
    ssize_t got;

    while ((got = readv(sock, in, 2)) >= (ssize_t)sizeof(q)) {
        struct answer a = {0};
        struct iovec out[2] = {{&a, sizeof(a)}};
        struct msghdr m = {.msg_iov = out, .msg_iovlen = 2};

        text[(size_t)got - sizeof(q)] = '\0';
        orch_buf_reset(&data);
        a.r = find_out(root, &q, text, &a, &data);
        out[1] = (struct iovec){data.data, data.len};
        if (sendmsg(sock, &m, MSG_NOSIGNAL) < 0) {
            a = (struct answer){.r = -errno};
            m.msg_iovlen = 1;
            (void)sendmsg(sock, &m, MSG_NOSIGNAL);
        }
    }
    _exit(0);
}

/*
 * Ends with us, or when it has nobody to answer, and not by a key that is meant for us. It has nothing of
 * ours open: not the run's lock, nor a pipe that somebody reads to its end.
 */
static _Noreturn void be_child(int sock, int root, pid_t parent)
{
    static const int keys[] = {SIGINT, SIGQUIT, SIGTSTP, SIGHUP, SIGTERM};
    int keep[] = {sock, root};

    orch_reset_signals();
    for (size_t i = 0; i < ORCH_NELEM(keys); i++)
        (void)signal(keys[i], SIG_IGN);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    orch_close_others(0, keep, ORCH_NELEM(keep));
    serve(sock, root);
}

static void reap_left(struct orch_look *l)
{
    size_t n = 0;

    for (size_t i = 0; i < l->n_left; i++)
        if (waitpid(l->left[i], NULL, WNOHANG) == 0)
            l->left[n++] = l->left[i];
    l->n_left = n;
}

static int begin(struct orch_look *l)
{
    pid_t us = getpid();
    int pair[2];

    reap_left(l);
    if (l->n_left == ORCH_LOOK_LEFT)
        return -ETIMEDOUT;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    l->child = fork();
    if (l->child == 0)
        be_child(pair[1], l->root, us);
    (void)close(pair[1]);
    if (l->child < 0) {
        int e = errno;

        (void)close(pair[0]);
        return -e;
    }
    l->sock = pair[0];
    l->cpu = -1;
    return 0;
}

/* A wait for a filesystem mostly ends by SIGKILL; one that does not is no reason to wait with it. */
static void leave(struct orch_look *l)
{
    ORCH_AUTO_FD int pidfd = (int)syscall(SYS_pidfd_open, l->child, 0);
    struct pollfd p = {.fd = pidfd, .events = POLLIN};

    orch_close_fdp(&l->sock);
    (void)kill(l->child, SIGKILL);
    if (pidfd >= 0)
        (void)poll(&p, 1, DYING_MS);
    if (waitpid(l->child, NULL, WNOHANG) == 0)
        l->left[l->n_left++] = l->child;
    l->child = 0;
}

void orch_look_fini(struct orch_look *l)
{
    if (l->sock >= 0)
        leave(l);
    reap_left(l);
    orch_close_fdp(&l->root);
}

/* ---- our side ---- */

/*
 * The child's place is our processor, and it is left to it: to wake another, or to be woken on another, takes
 * ten times as long as the look.
 */
static void stay_together(struct orch_look *l)
{
    int cpu = sched_getcpu();
    cpu_set_t set;

    if (cpu < 0 || cpu >= CPU_SETSIZE || cpu == l->cpu)
        return;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    l->cpu = sched_setaffinity(l->child, sizeof(set), &set) == 0 ? cpu : -1;
}

/* -ETIMEDOUT: neither an answer nor its end. */
static int wait_for(int sock)
{
    uint64_t until = orch_now_ms() + ORCH_LOOK_MS, now;
    struct pollfd p = {.fd = sock, .events = POLLIN};

    for (int i = 0; i < YIELDS; i++) {
        (void)sched_yield();
        if (poll(&p, 1, 0) > 0)
            return 0;
    }
    while ((now = orch_now_ms()) < until) {
        int n = poll(&p, 1, (int)(until - now));

        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
    }
    return -ETIMEDOUT;
}

static int ask(struct orch_look *l, const struct question *q, const char *text, struct answer *a,
               struct orch_buf *ret)
{
    static char data[MAX_DATA];
    struct iovec out[2] = {{(void *)(uintptr_t)q, sizeof(*q)},
                           {(void *)(uintptr_t)text, text ? strlen(text) : 0}};
    struct iovec in[2] = {{a, sizeof(*a)}, {data, sizeof(data)}};
    struct msghdr m = {.msg_iov = out, .msg_iovlen = 2};
    ssize_t got = -1;
    int r;

    r = l->sock >= 0 ? 0 : begin(l);
    if (r < 0)
        return r;
    stay_together(l);
    r = sendmsg(l->sock, &m, MSG_NOSIGNAL) < 0 ? -errno : wait_for(l->sock);
    if (r == 0)
        got = readv(l->sock, in, 2);
    if (got < (ssize_t)sizeof(*a)) {
        leave(l);
        return r < 0 ? r : -EIO; /* it is dead */
    }
    orch_buf_add(ret, data, (size_t)got - sizeof(*a));
    return a->r;
}

/* Where the text leads, if there are no symlinks; NULL: it cannot be told. */
static char *path_by_text(pid_t tid, int dirfd, const char *text)
{
    ORCH_AUTO_FREE char *base = NULL;
    char what[32];

    if (text[0] == '/')
        return orch_path_normalize("/", text);
    (void)snprintf(what, sizeof(what), "fd/%d", dirfd);
    base = orch_task_link(tid, dirfd == AT_FDCWD ? "cwd" : what);
    return base && base[0] == '/' ? orch_path_normalize(base, text) : NULL;
}

/* path: what the question leads to, or NULL. */
static int ask_about(struct orch_look *l, const char *path, const struct question *q, const char *text,
                     struct answer *a, struct orch_buf *ret)
{
    int r;

    if (path && orch_host_is_silent(l->host, path))
        return -ETIMEDOUT;
    r = ask(l, q, text, a, ret);
    if (r == -ETIMEDOUT && path)
        orch_host_was_silent(l->host, path);
    return r;
}

int orch_look_string(struct orch_look *l, pid_t tid, uint64_t addr, struct orch_buf *ret)
{
    const struct question q = {.what = STRING, .tid = tid, .addr = addr};
    struct answer a = {0};

    if (!l->apart || l->memory_here)
        return orch_task_string(tid, addr, ret);
    orch_buf_reset(ret);
    return ask(l, &q, NULL, &a, ret);
}

int orch_look_bytes(struct orch_look *l, pid_t tid, uint64_t addr, void *ret, size_t n)
{
    const struct question q = {.what = BYTES, .tid = tid, .addr = addr, .n = n};
    ORCH_AUTO_BUF struct orch_buf b = {0};
    struct answer a = {0};
    int r;

    if (!l->apart || l->memory_here)
        return orch_task_bytes(tid, addr, ret, n);
    r = n > MAX_BYTES ? -EINVAL : ask(l, &q, NULL, &a, &b);
    if (r == 0)
        memcpy(ret, b.data, n);
    return r;
}

int orch_look_resolve(struct orch_look *l, pid_t tid, int dirfd, const char *text, bool nofollow,
                      struct orch_path *ret)
{
    const struct question q = {.what = RESOLVE, .tid = tid, .dirfd = dirfd, .nofollow = nofollow};
    ORCH_AUTO_BUF struct orch_buf b = {0};
    ORCH_AUTO_FREE char *path = l->apart ? path_by_text(tid, dirfd, text) : NULL;
    struct answer a = {0};
    int r;

    if (!l->apart)
        return orch_task_resolve(l->root, tid, dirfd, text, nofollow, ret);
    *ret = (struct orch_path){0};
    r = ask_about(l, path, &q, text, &a, &b);
    if (r == 0) {
        *ret = a.path;
        ret->path = a.has_path ? orch_buf_take(&b) : NULL;
    }
    return r;
}

bool orch_look_has_parent(struct orch_look *l, const struct orch_path *p)
{
    const struct question q = {.what = HAS_PARENT};
    ORCH_AUTO_BUF struct orch_buf b = {0};
    struct answer a = {0};

    if (!l->apart || p->exists || p->parent != ORCH_PARENT_UNSEEN)
        return orch_task_has_parent(l->root, p);
    return ask_about(l, p->path, &q, p->path, &a, &b) != 0;
}

int orch_look_at(struct orch_look *l, const char *path)
{
    const struct question q = {.what = AT};
    ORCH_AUTO_BUF struct orch_buf b = {0};
    struct answer a = {0};

    return l->apart ? ask_about(l, path, &q, path, &a, &b) : look_at(l->root, path);
}

/* ---- who looks ---- */

/* Under this switch of Yama only an ancestor reads a task's memory, unless it owns its user namespace. */
static bool is_for_ancestors(void)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};

    return orch_read_file(AT_FDCWD, YAMA, 16, &b) > 0 && b.data && b.data[0] != '0';
}

void orch_look_choose(struct orch_look *l, struct orch_host *h, const struct orch_plan *plan)
{
    l->host = h;
    if (plan->nested) {
        l->memory_here = l->apart ? l->memory_here : is_for_ancestors();
        l->apart = l->apart || orch_host_may_wait(h, "/");
        return;
    }
    l->apart = orch_host_may_wait(h, plan->workspace);
    for (size_t i = 0; i < plan->n_places && !l->apart; i++)
        l->apart = plan->places[i].kind == ORCH_PLACE_HOST && orch_host_may_wait(h, plan->places[i].path);
    for (size_t i = 0; i < plan->closure.n && !l->apart; i++)
        l->apart = orch_host_may_wait(h, plan->closure.v[i].path);
}
