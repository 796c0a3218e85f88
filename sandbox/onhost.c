/* onhost.c - see onhost.h. */
#include "sandbox/onhost.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/io.h"

#define MAX_MOUNTINFO (4u << 20)
#define MAX_LINKS 40
#define PATIENCE_MS 1000

/* Served by the kernel alone, or from a disk of this machine. */
static const char *const local_types[] = {
    "bcachefs", "bdev",       "binfmt_misc", "bpf",      "btrfs",     "cgroup",  "cgroup2", "configfs",
    "cramfs",   "debugfs",    "devpts",      "devtmpfs", "efivarfs",  "erofs",   "exfat",   "ext2",
    "ext3",     "ext4",       "f2fs",        "fusectl",  "hugetlbfs", "iso9660", "jfs",     "mqueue",
    "nilfs2",   "nsfs",       "ntfs3",       "overlay",  "proc",      "pstore",  "ramfs",   "reiserfs",
    "rootfs",   "securityfs", "selinuxfs",   "squashfs", "sysfs",     "tmpfs",   "tracefs", "udf",
    "vfat",     "xfs",        "zfs",
};

static void forget(struct orch_host *h)
{
    for (size_t i = 0; i < h->n; i++)
        free(h->v[i].path);
    free(h->v);
    h->v = NULL;
    h->n = 0;
}

void orch_host_fini(struct orch_host *h)
{
    forget(h);
    orch_close_fdp(&h->mounts);
}

static bool is_local(const char *type)
{
    for (size_t i = 0; i < ORCH_NELEM(local_types); i++)
        if (strcmp(type, local_types[i]) == 0)
            return true;
    return false;
}

/* The kernel writes space, tab, newline and backslash as \ooo. */
static char *unescaped(const char *s, size_t n)
{
    char *ret = orch_xcalloc(n + 1, 1), *p = ret;

    for (size_t i = 0; i < n; i++) {
        if (s[i] == '\\' && i + 3 < n) {
            *p++ = (char)((s[i + 1] - '0') << 6 | (s[i + 2] - '0') << 3 | (s[i + 3] - '0'));
            i += 3;
        } else {
            *p++ = s[i];
        }
    }
    return ret;
}

static const char *field(const char *line, unsigned nth)
{
    while (nth-- > 0 && line)
        line = strchr(line, ' ') ? strchr(line, ' ') + 1 : NULL;
    return line;
}

/* ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS TAGS... - TYPE SOURCE OPTIONS */
static void read_line(struct orch_host *h, const char *line)
{
    const char *point = field(line, 4), *dash = strstr(line, " - ");
    ORCH_AUTO_FREE char *type = dash ? orch_xstrndup(dash + 3, strcspn(dash + 3, " ")) : NULL;
    ORCH_AUTO_FREE char *path = point ? unescaped(point, strcspn(point, " ")) : NULL;

    /* Of the root's own filesystem we could not be running if it did not answer. */
    if (!type || !path || is_local(type) || strcmp(path, "/") == 0)
        return;
    h->v = orch_xreallocarray(h->v, h->n + 1, sizeof(h->v[0]));
    h->v[h->n++] =
        (struct orch_host_mount){.path = ORCH_TAKE_PTR(path), .automount = strcmp(type, "autofs") == 0};
}

/* Mounts come and go; the kernel tells by poll. False: the list cannot be had. */
static bool look_at_mounts(struct orch_host *h)
{
    struct pollfd p = {.fd = h->mounts, .events = POLLPRI};
    ORCH_AUTO_BUF struct orch_buf b = {0};
    bool first = h->mounts < 0;
    char *line, *rest;

    if (first)
        h->mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    if (h->mounts < 0)
        return false;
    if (!first && poll(&p, 1, 0) == 0)
        return true;
    forget(h);
    if (lseek(h->mounts, 0, SEEK_SET) < 0 || orch_read_all(h->mounts, MAX_MOUNTINFO, &b) < 0 || !b.data) {
        orch_close_fdp(&h->mounts);
        return false;
    }
    for (line = b.data; line && *line; line = rest) {
        rest = strchr(line, '\n');
        if (rest)
            *rest++ = '\0';
        read_line(h, line);
    }
    return true;
}

/* The innermost of them that path lies on. */
static struct orch_host_mount *mount_of(const struct orch_host *h, const char *path)
{
    struct orch_host_mount *best = NULL;

    for (size_t i = 0; i < h->n; i++)
        if (orch_path_beneath(path, h->v[i].path) && (!best || strlen(h->v[i].path) >= strlen(best->path)))
            best = &h->v[i];
    return best;
}

static bool is_there(const char *path)
{
    struct stat st;

    return fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0;
}

/* In a child, which has nothing of ours (the run's lock) and may be left waiting. */
static bool ask_child(struct orch_host_mount *m, const char *path)
{
    siginfo_t si = {0};
    pid_t pid = m->hangs || m->automount ? -1 : fork();
    ORCH_AUTO_FD int pidfd = -1;
    struct pollfd p = {.events = POLLIN};

    if (pid == 0) {
        (void)syscall(SYS_close_range, 0, ~0U, 0);
        _exit(is_there(path) ? 0 : 1);
    }
    if (pid < 0)
        return true;
    pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    p.fd = pidfd;
    m->hangs = pidfd < 0 || poll(&p, 1, PATIENCE_MS) <= 0;
    if (m->hangs)
        (void)kill(pid, SIGKILL);
    if (m->hangs && pidfd >= 0)
        (void)poll(&p, 1, 50); /* most such waits end by SIGKILL; one that does not is left, once a mount */
    (void)waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG);
    return m->hangs || si.si_code != CLD_EXITED || si.si_status == 0;
}

/*
 * Where some mounts may hang: along the path by hand, so that no link leads into one unseen. `todo` is what
 * is still to be walked beneath `at`.
 */
static bool walk(struct orch_host *h, const char *path)
{
    ORCH_AUTO_FREE char *at = orch_xstrdup("/"), *todo = orch_xstrdup(path);

    for (unsigned links = 0; links <= MAX_LINKS;) {
        size_t skip = strspn(todo, "/"), n = strcspn(todo + skip, "/");
        ORCH_AUTO_FREE char *name = orch_xstrndup(todo + skip, n), *rest = orch_xstrdup(todo + skip + n);
        ORCH_AUTO_FREE char *next = orch_path_normalize(at, name), *target = NULL;
        struct orch_host_mount *m = mount_of(h, next);

        if (m) {
            ORCH_AUTO_FREE char *all = orch_xasprintf("%s%s", next, rest);

            return ask_child(m, all);
        }
        if (rest[strspn(rest, "/")] == '\0')
            return is_there(next);
        target = orch_readlink(AT_FDCWD, next);
        if (!target && errno != EINVAL)
            return errno != ENOENT && errno != ENOTDIR;
        free(todo);
        todo = target ? orch_xasprintf("%s%s", target, rest) : orch_xstrdup(rest);
        free(at);
        at = target ? orch_xstrdup("/") : ORCH_TAKE_PTR(next);
        if (target && target[0] != '/') {
            free(at);
            at = orch_path_normalize(next, "..");
        }
        links += target != NULL;
    }
    return false; /* a loop */
}

bool orch_host_has(struct orch_host *h, const char *path)
{
    if (!path)
        return false;
    if (!look_at_mounts(h))
        return true;
    return h->n == 0 ? is_there(path) : walk(h, path);
}

bool orch_host_may_wait(struct orch_host *h, const char *path)
{
    if (!look_at_mounts(h))
        return true;
    for (size_t i = 0; i < h->n; i++)
        if (orch_path_beneath(path, h->v[i].path) || orch_path_beneath(h->v[i].path, path))
            return true;
    return false;
}

bool orch_host_is_silent(const struct orch_host *h, const char *path)
{
    const struct orch_host_mount *m = mount_of(h, path);

    return m && orch_now_ms() < m->not_before_ms;
}

void orch_host_was_silent(struct orch_host *h, const char *path)
{
    struct orch_host_mount *m = mount_of(h, path);

    if (m)
        m->not_before_ms = orch_now_ms() + ORCH_HOST_SILENT_MS;
}
