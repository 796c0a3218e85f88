/*
 * resolve.c - the path of a notified call as the task means it, found from outside its root. See task.h.
 *
 * One openat2 beneath the sandbox's root answers nearly every path, and where no symlink is on the way it is
 * all that is asked: such a path is what its text says. Others take a look at what was opened. It cannot
 * answer those that pass through /proc: there `self` would be the supervisor, and RESOLVE_IN_ROOT refuses
 * magic links. Such paths fail in it, and are then walked component by component here, magic links included;
 * else /proc/self/root/usr/x would be another spelling of /usr/x that nobody judges.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

#include "common/io.h"
#include "sandbox/task.h"

#define MAX_LINKS 40 /* as the kernel's MAXSYMLINKS */
#define MAX_TEXT 65536
#define MAX_STEPS 8192
#define DEEPER "/\xe2\x80\xa6" /* an ellipsis */

static void base_name(pid_t tid, int dirfd, char ret[48])
{
    if (dirfd == AT_FDCWD)
        (void)snprintf(ret, 48, "/proc/%d/cwd", tid);
    else
        (void)snprintf(ret, 48, "/proc/%d/fd/%d", tid, dirfd);
}

static bool ends_with(const char *path, const char *tail)
{
    size_t n = strlen(path), m = strlen(tail);

    return n >= m && strcmp(path + n - m, tail) == 0;
}

static bool says_deleted(const char *path)
{
    return ends_with(path, " (deleted)");
}

/* The path of an O_PATH descriptor as the sandbox sees it: our root is not above it, so d_path gives its own.
 */
static char *fd_path(int fd)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    return orch_readlink(AT_FDCWD, name);
}

/*
 * Of a directory, also one whose path is longer than the kernel tells: then what can be told, and DEEPER for
 * the rest. No rule names a path of that length, so the answer is the same but for an anywhere-rule on a name
 * in between, which the seal check holds.
 */
static char *dir_path(int fd)
{
    char *path = fd_path(fd);
    int at = -1;

    if (path || errno != ENAMETOOLONG)
        return path;
    for (unsigned up = 0; !path && up < MAX_STEPS; up++) {
        int next = orch_openat2(at < 0 ? fd : at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC, 0, 0);

        orch_close_fdp(&at);
        at = next;
        if (at < 0)
            return NULL;
        path = fd_path(at);
        if (!path && errno != ENAMETOOLONG)
            break;
    }
    orch_close_fdp(&at);
    if (!path)
        return NULL;
    at = (int)strlen(path);
    path = orch_xreallocarray(path, (size_t)at + sizeof(DEEPER), 1);
    memcpy(path + at, DEEPER, sizeof(DEEPER));
    return path;
}

static int open_beneath(int root, const char *path, bool nofollow, uint64_t resolve)
{
    while (*path == '/')
        path++;
    return orch_openat2(root, *path ? path : ".", O_PATH | O_CLOEXEC | (nofollow ? O_NOFOLLOW : 0), 0,
                        RESOLVE_IN_ROOT | resolve);
}

static int open_in_root(int root, const char *path, bool nofollow)
{
    return open_beneath(root, path, nofollow, 0);
}

/* text: the path of what was opened; NULL: to be found out. */
static int found(int fd, const char *text, struct orch_path *ret)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    ret->path = text ? orch_path_normalize("/", text) : fd_path(fd);
    if (!ret->path)
        return -errno;
    ret->exists = true;
    ret->mode = st.st_mode;
    return 0;
}

/* ---- the slow walk ---- */

struct walk {
    int root, cur; /* cur: O_PATH of the directory reached */
    pid_t tid;
    bool nofollow;
    char *todo; /* what is still to be walked, without leading slashes */
    unsigned links;
    struct orch_path *ret;
};

static int set_todo(struct walk *w, char *text)
{
    size_t n = strspn(text, "/");

    if (strlen(text) > MAX_TEXT) {
        free(text);
        return -E2BIG;
    }
    memmove(text, text + n, strlen(text + n) + 1);
    free(w->todo);
    w->todo = text;
    return 0;
}

static int move_to(struct walk *w, int fd)
{
    if (fd < 0)
        return fd;
    (void)close(w->cur);
    w->cur = fd;
    return 0;
}

/* By the directory itself: what its path says need not be where it is (deleted, renamed meanwhile). */
static int go_up(struct walk *w)
{
    ORCH_AUTO_FREE char *here = fd_path(w->cur);

    if (here && strcmp(here, "/") == 0)
        return 0;
    return move_to(w, orch_openat2(w->cur, "..", O_PATH | O_DIRECTORY | O_CLOEXEC, 0, 0));
}

static bool on_proc(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

/* `self` and `thread-self` of the procfs root, spelled out for the task; NULL for any other name. */
static char *own_number(const struct walk *w, const char *name)
{
    ORCH_AUTO_FREE char *here = NULL;
    bool thread = strcmp(name, "thread-self") == 0;
    pid_t pid, tgid;

    if (!thread && strcmp(name, "self") != 0)
        return NULL;
    here = on_proc(w->cur) ? fd_path(w->cur) : NULL;
    if (!here || strcmp(here, "/proc") != 0)
        return NULL;
    pid = orch_task_own_pid(w->tid);
    tgid = orch_task_own_pid(orch_task_tgid(w->tid));
    return thread ? orch_xasprintf("%d/task/%d", tgid, pid) : orch_xasprintf("%d", tgid);
}

/* Puts text before what is still to be walked. */
static int prepend(struct walk *w, const char *text, const char *rest)
{
    return set_todo(w, orch_xasprintf("%s%s%s", text, *rest ? "/" : "", rest));
}

/* A link with a text: walked from here, or from the root. */
static int follow_text(struct walk *w, int link, const char *rest)
{
    ORCH_AUTO_FREE char *target = orch_readlink(link, "");

    if (!target)
        return -errno;
    if (++w->links > MAX_LINKS)
        return -ELOOP;
    if (target[0] == '/') {
        int r = move_to(w, fcntl(w->root, F_DUPFD_CLOEXEC, 0));

        if (r < 0)
            return -errno;
    }
    return prepend(w, target, rest);
}

/* Is what a magic link leads to the object that its path names in this view? If not, the task merely holds
 * it. */
static bool in_view(const struct walk *w, const struct stat *st, const char *path)
{
    ORCH_AUTO_FD int fd = path[0] == '/' ? open_in_root(w->root, path, true) : -1;
    struct stat seen;

    return fd >= 0 && fstat(fd, &seen) == 0 && seen.st_dev == st->st_dev && seen.st_ino == st->st_ino;
}

/*
 * A magic link: opened, it is the object itself. 1 = the answer is in w->ret. A pipe, socket, memfd or a file
 * that no path of the view leads to is something the task was given and may reopen: path NULL.
 */
static int follow_magic(struct walk *w, const char *name, const char *rest)
{
    ORCH_AUTO_FD int fd = openat(w->cur, name, O_PATH | O_CLOEXEC);
    ORCH_AUTO_FREE char *path = NULL;
    struct stat st;

    if (fd < 0)
        return -errno;
    path = dir_path(fd);
    if (!path || fstat(fd, &st) < 0)
        return -EIO; /* a file too deep for a path */
    if (*rest == '\0' && !ends_with(path, DEEPER) && !in_view(w, &st, path)) {
        w->ret->exists = true;
        return 1;
    }
    if (*rest == '\0') {
        w->ret->path = ORCH_TAKE_PTR(path);
        w->ret->exists = true;
        w->ret->mode = st.st_mode;
        return 1;
    }
    return set_todo(w, orch_xstrdup(rest)) < 0 ? -E2BIG : move_to(w, ORCH_TAKE_FD(fd));
}

/* What is too deep for a path exists all the same, and is judged by what it lies in. */
static int arrive_deep(struct walk *w, int fd, const char *name)
{
    ORCH_AUTO_FREE char *dir = dir_path(w->cur);
    struct stat st;

    if (!dir || fstat(fd, &st) < 0)
        return -EIO;
    w->ret->path = name ? orch_xasprintf("%s/%s", dir, name) : ORCH_TAKE_PTR(dir);
    w->ret->exists = true;
    w->ret->mode = st.st_mode;
    return 1;
}

/* Arrived; name: of fd in the directory reached, NULL if fd is that. 1 = the answer is in w->ret. A directory
 * that has no name any more does not exist for a policy. */
static int arrive(struct walk *w, int fd, const char *name)
{
    struct stat st;
    int r = found(fd, NULL, w->ret);

    if (r == -ENAMETOOLONG)
        return arrive_deep(w, fd, name);
    if (r < 0)
        return -EIO;
    if (says_deleted(w->ret->path) && fstat(fd, &st) == 0 && !in_view(w, &st, w->ret->path)) {
        w->ret->exists = false;
        w->ret->parent = ORCH_PARENT_GONE;
    }
    return 1;
}

/* The name is not there. 1 = the answer is in w->ret. */
static int missing(struct walk *w, const char *name, const char *rest)
{
    ORCH_AUTO_FREE char *here = dir_path(w->cur);
    ORCH_AUTO_FREE char *tail = orch_xasprintf("%s%s%s", name, *rest ? "/" : "", rest);
    struct stat st;
    bool gone;

    if (!here)
        return -EIO;
    w->ret->path = orch_path_normalize(here, tail);
    gone = rest[strspn(rest, "/")] != '\0' ||
           (says_deleted(here) && fstat(w->cur, &st) == 0 && !in_view(w, &st, here));
    w->ret->parent = gone ? ORCH_PARENT_GONE : ORCH_PARENT_THERE;
    return 1;
}

/* One component. 0 = go on, 1 = done, -errno. */
static int step(struct walk *w)
{
    size_t n = strcspn(w->todo, "/");
    ORCH_AUTO_FREE char *name = orch_xstrndup(w->todo, n), *rest = NULL, *own = NULL;
    ORCH_AUTO_FD int fd = -1;
    struct stat st;
    bool last;

    rest = orch_xstrdup(w->todo + n + strspn(w->todo + n, "/"));
    last = *rest == '\0' && w->todo[n] == '\0';
    if (strcmp(name, "..") == 0) {
        int r = go_up(w);

        return r < 0 ? r : set_todo(w, orch_xstrdup(rest));
    }
    own = last && w->nofollow ? NULL : own_number(w, name);
    if (own)
        return prepend(w, own, rest);
    fd = orch_openat2(w->cur, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, 0);
    if (fd == -ENOENT)
        return missing(w, name, rest);
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISLNK(st.st_mode) && !(last && w->nofollow))
        return on_proc(fd) ? follow_magic(w, name, rest) : follow_text(w, fd, rest);
    if (*rest == '\0')
        return arrive(w, fd, name);
    return set_todo(w, orch_xstrdup(rest)) < 0 ? -E2BIG : move_to(w, ORCH_TAKE_FD(fd));
}

/* From `start`, a directory of the task's, or from the root. */
static int walk_path(int root, int start, pid_t tid, const char *text, bool nofollow, struct orch_path *ret)
{
    struct walk w = {.root = root, .tid = tid, .nofollow = nofollow, .ret = ret};
    int r;

    if (text[0] && text[strlen(text) - 1] == '/')
        w.nofollow = false; /* a slash at the end follows all the way to a directory */
    w.cur = fcntl(start >= 0 ? start : root, F_DUPFD_CLOEXEC, 0);
    if (w.cur < 0)
        return -errno;
    r = set_todo(&w, orch_xstrdup(text));
    for (unsigned steps = 0; r == 0; steps++) {
        if (steps > MAX_STEPS)
            r = -E2BIG; /* longer than anything honest; the kernel might go on, so it is no natural failure */
        else if (*w.todo == '\0')
            r = arrive(&w, w.cur, NULL);
        else
            r = step(&w);
    }
    (void)close(w.cur);
    free(w.todo);
    return r < 0 ? r : 0;
}

/* ---- the fast way ---- */

/* Cuts trailing slashes; returns the last component's start. */
static char *last_component(char *path)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        path[--n] = '\0';
    return strrchr(path, '/') + 1;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/*
 * The deepest directory on the way that is there, opened; path is cut to it, and *ret_name is what is missing
 * in it, or the first of it. -errno: walk it.
 */
static int deepest(int root, char *path, char **ret_name)
{
    for (;;) {
        char *leaf = last_component(path);
        int fd;

        if (!*leaf || is_dots(leaf))
            return -EINVAL;
        free(*ret_name);
        *ret_name = orch_xstrdup(leaf);
        *leaf = '\0';
        fd = open_in_root(root, path, false);
        if (fd != -ENOENT)
            return fd;
    }
}

/* What is not there, or lies in what is not: the common answer of a search. False: walk it. */
static bool missing_below(int root, const char *text, bool nofollow, struct orch_path *ret)
{
    ORCH_AUTO_FREE char *copy = orch_xstrdup(text), *name = NULL, *dir = NULL;
    ORCH_AUTO_FD int fd = deepest(root, copy, &name);
    const char *tail = text + strlen(copy), *rest;
    struct stat st;
    bool last;

    if (fd < 0 || on_proc(fd))
        return false;
    rest = tail + strlen(name);
    last = rest[strspn(rest, "/")] == '\0';
    if ((!last || !nofollow || *rest) && fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return false; /* there after all: a symlink to something missing */
    dir = fd_path(fd);
    if (!dir)
        return false;
    ret->parent = last ? ORCH_PARENT_THERE : ORCH_PARENT_GONE;
    ret->path = orch_path_normalize(dir, tail);
    return true;
}

/* Is there a component ".."? Then a directory that is not there hides behind it. */
static bool goes_up(const char *text)
{
    for (const char *c = text; (c = strstr(c, "..")) != NULL; c += 2)
        if ((c == text || c[-1] == '/') && (c[2] == '/' || c[2] == '\0'))
            return true;
    return false;
}

/*
 * Without a symlink on the way the path is the text, made tidy; also that of something which is not there, as
 * the kernel looks from the left and would have met the symlink first. False: another way must be gone.
 */
static bool resolve_plain(int root, const char *text, bool nofollow, struct orch_path *ret)
{
    ORCH_AUTO_FD int fd = open_beneath(root, text, nofollow, RESOLVE_NO_SYMLINKS);

    if (fd == -ENOENT && !goes_up(text))
        ret->path = orch_path_normalize("/", text);
    else if (fd < 0 || found(fd, text, ret) < 0)
        return false;
    return true;
}

bool orch_task_has_parent(int root, const struct orch_path *p)
{
    ORCH_AUTO_FREE char *parent = NULL;
    ORCH_AUTO_FD int fd = -1;

    if (p->exists || p->parent != ORCH_PARENT_UNSEEN)
        return p->exists || p->parent == ORCH_PARENT_THERE;
    parent = orch_path_normalize(p->path, "..");
    fd = open_in_root(root, parent, true);
    return fd != -ENOENT;
}

/* A working directory or descriptor that no path leads to: deleted, or too deep to be named. */
static int from_nameless(int root, pid_t tid, const char *base, const char *text, bool nofollow,
                         struct orch_path *ret)
{
    ORCH_AUTO_FD int fd = open(base, O_PATH | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    return walk_path(root, fd, tid, text, nofollow, ret);
}

int orch_task_resolve(int root, pid_t tid, int dirfd, const char *text, bool nofollow, struct orch_path *ret)
{
    ORCH_AUTO_FREE char *base = NULL, *full = NULL;
    ORCH_AUTO_FD int fd = -1;
    char name[48];

    *ret = (struct orch_path){0};
    if (text[0] != '/') {
        base_name(tid, dirfd, name);
        base = orch_readlink(AT_FDCWD, name);
        if (!base && errno != ENAMETOOLONG)
            return errno == ENOENT ? -EBADF : -EIO;
        if (!base || says_deleted(base))
            return from_nameless(root, tid, name, text, nofollow, ret);
        if (base[0] != '/')
            return -ENOTDIR;
    }
    /* An empty text is the descriptor's own object (AT_EMPTY_PATH), which may be a link or no directory. */
    full = base && text[0] ? orch_xasprintf("%s/%s", base, text) : orch_xstrdup(base ? base : text);
    if (resolve_plain(root, full, nofollow, ret))
        return 0;
    fd = open_in_root(root, full, nofollow);
    if (fd >= 0) {
        int r = found(fd, NULL, ret);

        if (r != -ENAMETOOLONG)
            return r;
        return walk_path(root, -1, tid, full, nofollow, ret);
    }
    if (fd == -ENOENT && missing_below(root, full, nofollow, ret))
        return 0;
    return walk_path(root, -1, tid, full, nofollow, ret);
}
