/* task.c - see task.h. */
#include "sandbox/task.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "common/io.h"

#define MAX_PATH_BYTES 4096
#define MAX_LINKS 40

int orch_task_bytes(pid_t tid, uint64_t addr, void *ret, size_t n)
{
    struct iovec local = {.iov_base = ret, .iov_len = n};
    struct iovec remote = {.iov_base = (void *)(uintptr_t)addr, .iov_len = n};
    ssize_t got = process_vm_readv(tid, &local, 1, &remote, 1, 0);

    if (got < 0)
        return -errno;
    return (size_t)got == n ? 0 : -EFAULT;
}

/* Page by page: a string may end just before an unmapped page. */
int orch_task_string(pid_t tid, uint64_t addr, struct orch_buf *ret)
{
    char chunk[MAX_PATH_BYTES];

    orch_buf_reset(ret);
    while (ret->len < MAX_PATH_BYTES) {
        size_t want = MAX_PATH_BYTES - (addr & (MAX_PATH_BYTES - 1));
        struct iovec local = {.iov_base = chunk, .iov_len = want};
        struct iovec remote = {.iov_base = (void *)(uintptr_t)addr, .iov_len = want};
        ssize_t got = process_vm_readv(tid, &local, 1, &remote, 1, 0);
        char *end;

        if (got <= 0)
            return got < 0 ? -errno : -EFAULT;
        end = memchr(chunk, '\0', (size_t)got);
        orch_buf_add(ret, chunk, end ? (size_t)(end - chunk) : (size_t)got);
        if (end) {
            orch_buf_add(ret, "", 0);
            return ret->len < MAX_PATH_BYTES ? 0 : -ENAMETOOLONG;
        }
        addr += (uint64_t)got;
    }
    return -ENAMETOOLONG;
}

static char *proc_link(pid_t tid, const char *what)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "/proc/%d/%s", tid, what);
    return orch_readlink(AT_FDCWD, name);
}

char *orch_task_exe(pid_t tid)
{
    return proc_link(tid, "exe");
}

char *orch_task_comm(pid_t tid)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    char name[64];

    (void)snprintf(name, sizeof(name), "/proc/%d/comm", tid);
    if (orch_read_file(AT_FDCWD, name, 256, &b) < 0 || b.len == 0)
        return NULL;
    if (b.data[b.len - 1] == '\n')
        b.len--;
    return orch_xstrndup(b.data, b.len);
}

/* The value of a numeric field of /proc/TID/status; `last` takes the last number of the line (NSpid). */
static pid_t status_field(pid_t tid, const char *field, bool last)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    char name[64];
    const char *p;
    char *end;
    long v = 0;

    (void)snprintf(name, sizeof(name), "/proc/%d/status", tid);
    if (orch_read_file(AT_FDCWD, name, 16384, &b) < 0 || !b.data)
        return 0;
    p = strstr(b.data, field);
    if (!p)
        return 0;
    for (p += strlen(field); *p && *p != '\n'; p = end) {
        long n = strtol(p, &end, 10);

        if (end == p)
            break;
        v = n;
        if (!last)
            break;
    }
    return (pid_t)v;
}

pid_t orch_task_tgid(pid_t tid)
{
    return status_field(tid, "\nTgid:", false);
}

void orch_path_fini(struct orch_path *p)
{
    free(p->path);
    p->path = NULL;
}

/* "/dev/fd/3/x" and "/dev/stdin" are links into /proc/self; spelled out here. NULL = not one of them. */
static char *expand_dev(const char *path)
{
    static const char *const std[] = {"/dev/stdin", "/dev/stdout", "/dev/stderr"};

    if (strncmp(path, "/dev/fd", 7) == 0 && (path[7] == '/' || path[7] == '\0'))
        return orch_xasprintf("/proc/self/fd%s", path + 7);
    for (int i = 0; i < 3; i++)
        if (strcmp(path, std[i]) == 0)
            return orch_xasprintf("/proc/self/fd/%d", i);
    return NULL;
}

/* What follows /proc/self, /proc/thread-self or /proc/PID with the task's own number; NULL for other paths.
 */
static const char *own_proc_rest(pid_t tid, const char *path)
{
    const char *rest = NULL;
    char *end;

    if (strncmp(path, "/proc/", 6) != 0)
        return NULL;
    if (strncmp(path + 6, "self", 4) == 0)
        rest = path + 10;
    else if (strncmp(path + 6, "thread-self", 11) == 0)
        rest = path + 17;
    else if (strtol(path + 6, &end, 10) == status_field(tid, "\nNSpid:", true) && end != path + 6)
        rest = end;
    return rest && (*rest == '/' || *rest == '\0') ? rest : NULL;
}

/*
 * Magic links of the task itself. The supervisor's own /proc/self would be the supervisor's, and
 * RESOLVE_IN_ROOT refuses magic links, so they are read from outside. Returns the path they stand for, NULL
 * for an ordinary path; *ret_anon: a pipe or socket.
 */
static char *expand_proc(pid_t tid, const char *path, bool *ret_anon)
{
    const char *rest = own_proc_rest(tid, path);
    ORCH_AUTO_FREE char *link = NULL, *what = NULL;
    size_t n;

    *ret_anon = false;
    if (!rest)
        return NULL;
    if (strncmp(rest, "/fd/", 4) == 0)
        n = 4 + strcspn(rest + 4, "/");
    else if (strncmp(rest, "/root", 5) == 0 || strncmp(rest, "/cwd", 4) == 0 || strncmp(rest, "/exe", 4) == 0)
        n = 1 + strcspn(rest + 1, "/");
    else if (strncmp(path, "/proc/self", 10) == 0 || strncmp(path, "/proc/thread-self", 17) == 0)
        return orch_xasprintf("/proc/%d%s", status_field(tid, "\nNSpid:", true), rest);
    else
        return NULL;
    what = orch_xstrndup(rest + 1, n - 1);
    link = proc_link(tid, what);
    if (!link)
        return NULL;
    if (link[0] != '/') {
        *ret_anon = true;
        return NULL;
    }
    return orch_xasprintf("%s%s", link, rest + n);
}

static char *base_of(pid_t tid, int dirfd)
{
    char what[32];

    if (dirfd == AT_FDCWD)
        return proc_link(tid, "cwd");
    (void)snprintf(what, sizeof(what), "fd/%d", dirfd);
    return proc_link(tid, what);
}

/* The path of an O_PATH descriptor as the sandbox sees it: our root is not above it, so d_path gives its own.
 */
static char *fd_path(int fd)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    return orch_readlink(AT_FDCWD, name);
}

static int open_in_root(int root, const char *path, bool nofollow)
{
    while (*path == '/')
        path++;
    return orch_openat2(root, *path ? path : ".", O_PATH | O_CLOEXEC | (nofollow ? O_NOFOLLOW : 0), 0,
                        RESOLVE_IN_ROOT);
}

/* Cuts trailing slashes; returns the last component's start. */
static char *last_component(char *path)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        path[--n] = '\0';
    return strrchr(path, '/') + 1;
}

/*
 * The object is not there: its place is the directory's path and the name. Returns a new text to resolve if
 * the last component is a symlink to something missing, else NULL with *ret filled.
 */
static char *resolve_missing(int root, const char *text, bool nofollow, struct orch_path *ret)
{
    ORCH_AUTO_FREE char *copy = orch_xstrdup(text), *dir = NULL, *target = NULL;
    ORCH_AUTO_FD int parent = -1;
    char *leaf = last_component(copy);
    ORCH_AUTO_FREE char *head = orch_xstrndup(copy, (size_t)(leaf - copy));

    if (strcmp(leaf, "..") == 0 || strcmp(leaf, ".") == 0 || !*leaf)
        parent = -1;
    else
        parent = open_in_root(root, head, false);
    dir = parent >= 0 ? fd_path(parent) : NULL;
    if (!dir) {
        ret->path = orch_path_normalize("/", text);
        return NULL;
    }
    ret->parent = true;
    ret->path = orch_path_normalize(dir, leaf);
    target = nofollow ? NULL : orch_readlink(parent, leaf);
    if (!target)
        return NULL;
    free(ret->path);
    ret->path = NULL;
    ret->parent = false;
    return target[0] == '/' ? orch_xstrdup(target) : orch_xasprintf("%s/%s", dir, target);
}

static int resolve_absolute(int root, const char *text, bool nofollow, struct orch_path *ret,
                            char **ret_again)
{
    ORCH_AUTO_FD int fd = open_in_root(root, text, nofollow);
    struct stat st;

    *ret_again = NULL;
    if (fd == -ENOENT) {
        *ret_again = resolve_missing(root, text, nofollow, ret);
        return 0;
    }
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    ret->path = fd_path(fd);
    ret->exists = ret->parent = true;
    ret->mode = st.st_mode;
    return ret->path ? 0 : -errno;
}

int orch_task_resolve(int root, pid_t tid, int dirfd, const char *text, bool nofollow, struct orch_path *ret)
{
    ORCH_AUTO_FREE char *base = NULL, *full = NULL;

    *ret = (struct orch_path){0};
    if (text[0] == '/') {
        full = orch_xstrdup(text);
    } else {
        base = base_of(tid, dirfd);
        if (!base)
            return -EBADF;
        if (base[0] != '/')
            return -ENOTDIR;
        full = orch_xasprintf("%s/%s", base, text);
    }
    for (unsigned links = 0; links < MAX_LINKS; links++) {
        bool anon = false;
        char *again = nofollow ? NULL : expand_dev(full);
        int r;

        if (!again && !nofollow)
            again = expand_proc(tid, full, &anon);
        if (anon) {
            ret->exists = ret->parent = true;
            return 0;
        }
        if (!again) {
            r = resolve_absolute(root, full, nofollow, ret, &again);
            if (r < 0 || !again)
                return r;
        }
        free(full);
        full = again;
    }
    return -ELOOP;
}
