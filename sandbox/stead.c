/*
 * stead.c - tier nested: what the supervisor does in the caller's place, because nothing behind the filter
 * could hold it if the call itself went on.
 *
 * Landlock knows nothing of modes and times of files, and of path sockets; and a right to read /proc would be
 * one to read of everybody. So these calls are refused by the filter, and the supervisor does what the plan
 * permits by descriptors of its own: there is no second look at the caller's memory that could see something
 * else. As root it does so only for what belongs to the agent's user.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <utime.h>

#include "common/io.h"
#include "sandbox/kernel.h"
#include "sandbox/nested.h"
#include "sandbox/task.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

#define NONE (-1)
#define OWN_RULE "sandbox#/nested"

struct act {
    struct orch_notify *n;
    const struct seccomp_notif *req;
    struct orch_stead *out;
};

static uint64_t arg(const struct act *a, int index)
{
    return a->req->data.args[index];
}

static void refuse(struct act *a, int errnum, const char *rule, const char *access)
{
    a->out->errnum = errnum;
    a->out->denial = true;
    a->out->rule = rule;
    a->out->access = access;
}

static bool waits_still(const struct act *a)
{
    return ioctl(a->n->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &a->req->id) == 0;
}

/* ---- modes and times ---- */

enum time_form { MODE, TIMESPEC, TIMEVAL, UTIMBUF };

static const struct mark {
    int nr;
    enum time_form form;
    int8_t fd, path, value,
        flags; /* argument indexes, NONE = has none; fd: of the directory, or of the file */
} marks[] = {
    {SYS_chmod, MODE, NONE, 0, 1, NONE},     {SYS_fchmod, MODE, 0, NONE, 1, NONE},
    {SYS_fchmodat, MODE, 0, 1, 2, NONE},     {SYS_fchmodat2, MODE, 0, 1, 2, 3},
    {SYS_utimensat, TIMESPEC, 0, 1, 2, 3},   {SYS_futimesat, TIMEVAL, 0, 1, 2, NONE},
    {SYS_utimes, TIMEVAL, NONE, 0, 1, NONE}, {SYS_utime, UTIMBUF, NONE, 0, 1, NONE},
};

static const struct mark *find_mark(int nr)
{
    for (size_t i = 0; i < ORCH_NELEM(marks); i++)
        if (marks[i].nr == nr)
            return &marks[i];
    return NULL;
}

/* The file that a descriptor of the task's is open on. */
static int path_of_fd(const struct act *a, int fd, struct orch_path *ret)
{
    char what[32];

    if (fd == AT_FDCWD)
        (void)snprintf(what, sizeof(what), "cwd");
    else
        (void)snprintf(what, sizeof(what), "fd/%d", fd);
    ret->path = orch_task_link((pid_t)a->req->pid, what);
    if (!ret->path)
        return -EBADF;
    ret->exists = ret->path[0] == '/';
    return ret->exists ? 0 : -EPERM; /* a pipe or socket: its marks are nobody's business */
}

/* 0 = *ret is the object; -errno: the answer. */
static int find_object(const struct act *a, const struct mark *m, struct orch_path *ret)
{
    ORCH_AUTO_BUF struct orch_buf text = {0};
    uint64_t flags = m->flags == NONE ? 0 : arg(a, m->flags);
    int dirfd = m->fd == NONE ? AT_FDCWD : (int)arg(a, m->fd), r;

    if (m->path == NONE || (arg(a, m->path) == 0 && m->form != MODE))
        return path_of_fd(a, dirfd, ret);
    r = orch_look_string(&a->n->look, (pid_t)a->req->pid, arg(a, m->path), &text);
    if (r < 0)
        return r;
    if (text.len == 0)
        return flags & AT_EMPTY_PATH ? path_of_fd(a, dirfd, ret) : -ENOENT;
    r = orch_look_resolve(&a->n->look, (pid_t)a->req->pid, dirfd, text.data, flags & AT_SYMLINK_NOFOLLOW,
                          ret);
    if (r == 0 && !ret->path)
        return -EPERM;
    return r < 0 ? r : ret->exists ? 0 : -ENOENT;
}

static int read_times(const struct act *a, const struct mark *m, struct timespec ret[2])
{
    uint64_t addr = arg(a, m->value);
    struct timeval tv[2];
    struct utimbuf ub;
    int r;

    ret[0] = ret[1] = (struct timespec){.tv_nsec = UTIME_NOW};
    if (addr == 0)
        return 0;
    if (m->form == TIMESPEC)
        return orch_look_bytes(&a->n->look, (pid_t)a->req->pid, addr, ret, 2 * sizeof(*ret));
    if (m->form == UTIMBUF) {
        r = orch_look_bytes(&a->n->look, (pid_t)a->req->pid, addr, &ub, sizeof(ub));
        ret[0] = (struct timespec){.tv_sec = ub.actime};
        ret[1] = (struct timespec){.tv_sec = ub.modtime};
        return r;
    }
    r = orch_look_bytes(&a->n->look, (pid_t)a->req->pid, addr, tv, sizeof(tv));
    for (int i = 0; r == 0 && i < 2; i++) {
        if (tv[i].tv_usec < 0 || tv[i].tv_usec > 999999)
            return -EINVAL;
        ret[i] = (struct timespec){.tv_sec = tv[i].tv_sec, .tv_nsec = tv[i].tv_usec * 1000};
    }
    return r;
}

/* fd: O_PATH of the object itself, found by a path without links, in a place that the agent may write. */
static int set_mark(struct act *a, const struct mark *m, int fd)
{
    struct timespec times[2];
    char self[64];
    struct stat st;
    mode_t mode;
    int r;

    (void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_uid != a->n->plan->uid)
        return -EPERM;
    if (m->form != MODE) {
        r = read_times(a, m, times);
        if (r < 0)
            return r;
        return !waits_still(a) ? -EINTR : utimensat(AT_FDCWD, self, times, 0) < 0 ? -errno : 0;
    }
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return -EOPNOTSUPP;
    mode = (mode_t)arg(a, m->value) & 07777;
    if (S_ISREG(st.st_mode) && (mode & (S_ISUID | S_ISGID)))
        return -EPERM; /* without a mount that is nosuid, it would count for others */
    return !waits_still(a) ? -EINTR : chmod(self, mode) < 0 ? -errno : 0;
}

static void mark_file(struct act *a, const struct mark *m)
{
    struct orch_path ORCH_AUTO(orch_path_fini) p = {0};
    struct orch_decision dec;
    ORCH_AUTO_FD int fd = -1;
    int r = find_object(a, m, &p);

    if (p.path) {
        orch_plan_decide(a->n->plan, p.path, ORCH_REQ_WRITE, &dec);
        a->out->path = orch_xstrdup(p.path);
        if (dec.verdict != ORCH_PERMIT) {
            bool hidden = dec.verdict != ORCH_DENY;

            refuse(a, hidden ? ENOENT : EACCES, dec.rule, "write");
            a->out->denial = p.exists;
            a->out->quiet = dec.quiet;
            return;
        }
    }
    if (r == 0) {
        fd = orch_openat2(a->n->look.root, p.path + 1, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0,
                          RESOLVE_NO_SYMLINKS);
        r = fd < 0 ? fd : set_mark(a, m, fd);
    }
    if (r == -EMFILE || r == -ENFILE || r == -ENOMEM)
        r = -EACCES;
    a->out->errnum = -r;
}

/* ---- a process's own files of /proc ---- */

static const char *const own_files[] = {"maps", "status",  "stat",   "statm",  "cmdline",
                                        "comm", "environ", "limits", "cgroup", "smaps"};

static pid_t parent_in_status(pid_t pid)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    char path[64];
    const char *p;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
    if (orch_read_file(AT_FDCWD, path, 16384, &b) < 0 || !b.data)
        return 0;
    p = strstr(b.data, "\nPPid:");
    return p ? (pid_t)strtol(p + 6, NULL, 10) : 0;
}

static bool is_ours(const struct act *a, pid_t pid)
{
    for (int depth = 0; pid > 1 && depth < 10000; depth++) {
        pid = parent_in_status(pid);
        if (pid == a->n->init)
            return true;
    }
    return false;
}

/* "/proc/self/maps": the process and the name in its directory, if it is one of those above. */
static const char *own_file(const struct act *a, const char *text, pid_t *ret_pid)
{
    char *end;

    if (strncmp(text, "/proc/", 6) != 0)
        return NULL;
    text += 6;
    if (strncmp(text, "self/", 5) == 0) {
        *ret_pid = orch_task_tgid((pid_t)a->req->pid);
        text += 5;
    } else {
        *ret_pid = (pid_t)strtol(text, &end, 10);
        if (end == text || *end != '/')
            return NULL;
        text = end + 1;
    }
    for (size_t i = 0; i < ORCH_NELEM(own_files); i++)
        if (strcmp(text, own_files[i]) == 0)
            return own_files[i];
    return NULL;
}

/* The directory is opened first: what is found out about its process then holds for what is opened in it. */
static bool open_own(struct act *a, int path_arg, int flags_arg)
{
    ORCH_AUTO_BUF struct orch_buf text = {0};
    ORCH_AUTO_FD int dir = -1;
    uint64_t flags = arg(a, flags_arg);
    char path[32];
    const char *name;
    pid_t pid = 0;

    if ((flags & (O_ACCMODE | O_CREAT | O_TRUNC | O_PATH | O_DIRECTORY)) != O_RDONLY ||
        orch_look_string(&a->n->look, (pid_t)a->req->pid, arg(a, path_arg), &text) < 0 || !text.data)
        return false;
    name = own_file(a, text.data, &pid);
    if (!name || pid <= 0)
        return false;
    (void)snprintf(path, sizeof(path), "/proc/%d", pid);
    dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || !is_ours(a, pid) || !waits_still(a))
        return false;
    a->out->fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return a->out->fd >= 0;
}

/* ---- the control socket ---- */

/* There is no socket in the file system: what connects to its path gets one end of a pair, we keep the other.
 */
static void connect_control(struct act *a)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
        a->out->errnum = ECONNREFUSED;
        return;
    }
    a->out->ours = pair[0];
    a->out->fd = pair[1];
    a->out->replace = (int)arg(a, 0);
    if (fcntl(pair[1], F_SETFL, 0) < 0) /* the caller's, which blocks as a new socket does */
        a->out->errnum = ECONNREFUSED;
}

/* Any other is refused: with the words of the view, if it is a path. */
static void refuse_path(struct act *a, const char *text)
{
    struct orch_path ORCH_AUTO(orch_path_fini) p = {0};
    struct orch_decision dec;
    int r = orch_look_resolve(&a->n->look, (pid_t)a->req->pid, AT_FDCWD, text, false, &p);

    if (r < 0 || !p.path) {
        refuse(a, r == -ENOENT || r == -ENOTDIR ? ENOENT : EACCES, OWN_RULE, "connect");
        return;
    }
    orch_plan_decide(a->n->plan, p.path, ORCH_REQ_CONNECT, &dec);
    refuse(a, dec.verdict == ORCH_HIDE || dec.verdict == ORCH_ABSENT ? ENOENT : EACCES, dec.rule, "connect");
    a->out->quiet = dec.quiet;
    a->out->denial = p.exists || dec.verdict == ORCH_HIDE;
    a->out->path = ORCH_TAKE_PTR(p.path);
}

static bool judge_connect(struct act *a)
{
    struct sockaddr_un un = {0};
    uint64_t len = arg(a, 2) & 0xffffffff;
    ORCH_AUTO_FREE char *control = orch_xasprintf("%s/control", a->n->plan->dir);
    ORCH_AUTO_FREE char *text = NULL;

    if (len <= offsetof(struct sockaddr_un, sun_path) || len > sizeof(un) ||
        orch_look_bytes(&a->n->look, (pid_t)a->req->pid, arg(a, 1), &un, (size_t)len) < 0 ||
        un.sun_family != AF_UNIX)
        return false;
    a->out->network = true;
    if (un.sun_path[0] == '\0') {
        refuse(a, ECONNREFUSED, OWN_RULE, "connect");
        a->out->path = orch_xasprintf("@%.*s", (int)sizeof(un.sun_path) - 1, un.sun_path + 1);
        return true;
    }
    text = orch_xstrndup(un.sun_path, strnlen(un.sun_path, sizeof(un.sun_path)));
    if (a->n->control_on && strcmp(text, control) == 0)
        connect_control(a);
    else
        refuse_path(a, text);
    return true;
}

/* ---- */

bool orch_stead_serve(struct orch_notify *n, const struct seccomp_notif *req, struct orch_stead *ret)
{
    struct act a = {.n = n, .req = req, .out = ret};
    const struct mark *m;

    *ret = (struct orch_stead){.fd = -1, .replace = -1, .ours = -1};
    if (!n->plan->nested || n->look.root < 0 || req->data.arch != 0xc000003e)
        return false;
    m = find_mark(req->data.nr);
    if (m) {
        mark_file(&a, m);
        return true;
    }
    switch (req->data.nr) {
    case SYS_open:
        return open_own(&a, 0, 1);
    case SYS_openat:
        return open_own(&a, 1, 2);
    case SYS_connect:
        return judge_connect(&a);
    default:
        return false;
    }
}

/* By a call that is answered with it. When that cannot be sent the caller is gone. */
static void give(const struct orch_notify *n, const struct seccomp_notif *req, struct orch_stead *s)
{
    bool cloexec = req->data.args[req->data.nr == SYS_open ? 1 : 2] & O_CLOEXEC;
    struct seccomp_notif_addfd add = {.id = req->id,
                                      .srcfd = (uint32_t)s->fd,
                                      .newfd_flags = cloexec ? O_CLOEXEC : 0,
                                      .flags = SECCOMP_ADDFD_FLAG_SEND};

    if (ioctl(n->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0)
        s->errnum = EMFILE;
}

void orch_stead_hand_over(const struct orch_notify *n, const struct seccomp_notif *req, struct orch_stead *s)
{
    struct seccomp_notif_addfd add = {.id = req->id,
                                      .srcfd = (uint32_t)s->fd,
                                      .newfd = (uint32_t)s->replace,
                                      .newfd_flags = O_CLOEXEC,
                                      .flags = SECCOMP_ADDFD_FLAG_SETFD};

    if (s->fd < 0 || s->errnum)
        return;
    if (s->replace < 0) {
        give(n, req, s);
        return;
    }
    if (ioctl(n->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0)
        s->errnum = ECONNREFUSED;
    else if (!orch_control_adopt(n->control, s->ours, orch_task_tgid((pid_t)req->pid)))
        s->errnum = EAGAIN;
    else
        s->ours = -1;
}

void orch_stead_fini(struct orch_stead *s)
{
    orch_close_fdp(&s->fd);
    orch_close_fdp(&s->ours);
    free(s->path);
    s->path = NULL;
}
