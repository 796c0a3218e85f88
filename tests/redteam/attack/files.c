/* files.c - paths: looked at, opened, and changed by every call that changes something by path. */
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/un.h>
#include <utime.h>

#include "policy/sysgroups_list.h"
#include "tests/redteam/attack/attack.h"

#define CWD AT_FDCWD
#define EXCHANGE 2
#define NOREPLACE 1

struct xattr_args { /* of Linux 6.13 */
    uint64_t value;
    uint32_t size, flags;
};

static int opened(long fd)
{
    if (fd < 0)
        return -errno;
    (void)close((int)fd);
    return 0;
}

/* PATH HOW: r, w, p (O_PATH), d (directory) */
static int do_open(char **v)
{
    int flags = v[1][0] == 'w' ? O_WRONLY : v[1][0] == 'p' ? O_PATH : v[1][0] == 'd' ? O_DIRECTORY : O_RDONLY;

    return opened(syscall(SYS_open, v[0], flags | O_CLOEXEC | O_NONBLOCK, 0));
}

static int do_cat(char **v)
{
    int fd = (int)syscall(SYS_open, v[0], O_RDONLY | O_CLOEXEC, 0);
    ssize_t n = fd < 0 ? -1 : read(fd, scratch, sizeof(scratch) - 1);

    if (n < 0)
        return -errno;
    printf("found %.*s\n", (int)strcspn(scratch, "\n"), scratch);
    return FOUND;
}

static int do_write(char **v) /* PATH TEXT */
{
    int fd = (int)syscall(SYS_open, v[0], O_WRONLY | O_CLOEXEC, 0);

    return fd < 0 ? -errno : last(write(fd, v[1], strlen(v[1])));
}

static int do_stat(char **v)
{
    struct stat st;

    return last(syscall(SYS_stat, v[0], &st));
}

static int do_readlink(char **v)
{
    ssize_t n = readlink(v[0], scratch, 4095);

    if (n < 0)
        return -errno;
    scratch[n] = '\0';
    printf("found %s\n", scratch);
    return FOUND;
}

/* PATH REST: into a directory, then on from there */
static int do_chdir(char **v)
{
    if (chdir(v[0]) < 0)
        return -errno;
    return v[1] ? opened(syscall(SYS_open, v[1], O_RDONLY | O_CLOEXEC, 0)) : 0;
}

/* FD REST: the same from a descriptor that one was born with */
static int do_fchdir(char **v)
{
    return fchdir((int)number(v[0])) < 0 ? -errno : opened(syscall(SYS_open, v[1], O_RDONLY | O_CLOEXEC, 0));
}

/* ---- every call that changes something by path: P the protected path, Q another one ---- */

static int parent_fd(const char *path, const char **leaf)
{
    char dir[4096];

    *leaf = strrchr(path, '/') + 1;
    (void)snprintf(dir, sizeof(dir), "%.*s", (int)(*leaf - path), path);
    return open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static long at_dirfd(const char *p, int flags)
{
    const char *leaf;
    int dir = parent_fd(p, &leaf);

    return dir < 0 ? -1 : syscall(SYS_openat, dir, leaf, flags | O_CLOEXEC, 0600);
}

/* By another spelling: through the magic link of a descriptor of its parent. */
static long by_magic(const char *p, int flags)
{
    char path[4096];
    const char *leaf;
    int dir = parent_fd(p, &leaf);

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir, leaf);
    return dir < 0 ? -1 : syscall(SYS_open, path, flags | O_CLOEXEC, 0600);
}

static long bound(const char *p)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", p);
    return fd < 0 ? -1 : syscall(SYS_bind, fd, &a, sizeof(a));
}

static long set_attribute(const char *p)
{
    struct xattr_args a = {.value = (uint64_t)(uintptr_t) "v", .size = 1};

    return syscall(ORCH_NR_setxattrat, CWD, p, 0, "user.x", &a, sizeof(a));
}

/* By a descriptor opened for reading: no call with a path, so what holds is the mount. */
static long by_fd(const char *p, char what)
{
    int fd = open(p, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -1;
    switch (what) {
    case 'm':
        return syscall(SYS_fchmod, fd, 0777);
    case 'x':
        return syscall(SYS_fsetxattr, fd, "user.x", "v", 1, 0);
    default:
        return syscall(SYS_utimensat, fd, NULL, NULL, 0);
    }
}

/* By the empty name of a descriptor that may only say where it is. */
static long by_empty(const char *p, const char *q, char what)
{
    struct xattr_args a = {.value = (uint64_t)(uintptr_t) "v", .size = 1};
    int fd = (int)syscall(SYS_openat, CWD, p, O_PATH | O_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    switch (what) {
    case 'l':
        return syscall(SYS_linkat, fd, "", CWD, q, AT_EMPTY_PATH);
    case 'm':
        return syscall(ORCH_NR_fchmodat2, fd, "", 0666, AT_EMPTY_PATH);
    case 'o':
        return syscall(SYS_fchownat, fd, "", -1, getegid(), AT_EMPTY_PATH);
    case 'x':
        return syscall(ORCH_NR_setxattrat, fd, "", AT_EMPTY_PATH, "user.x", &a, sizeof(a));
    default:
        return syscall(SYS_utimensat, fd, "", NULL, AT_EMPTY_PATH);
    }
}

/* Through a symlink of one's own that leads to it. */
static long by_link(const char *p, const char *q, int flags)
{
    return symlink(p, q) < 0 ? -1 : syscall(SYS_open, q, flags | O_CLOEXEC, 0600);
}

static long by_cwd(const char *p, int flags)
{
    const char *leaf;
    int dir = parent_fd(p, &leaf);

    return dir < 0 || fchdir(dir) < 0 ? -1 : syscall(SYS_open, leaf, flags | O_CLOEXEC, 0600);
}

#define ACT(id, name, expr)                                                                                  \
    static long id(const char *p, const char *q)                                                             \
    {                                                                                                        \
        (void)p;                                                                                             \
        (void)q;                                                                                             \
        return expr;                                                                                         \
    }
#define MUTATIONS(X)                                                                                         \
    X(m1, "open:creat", syscall(SYS_open, p, O_WRONLY | O_CREAT | O_CLOEXEC, 0600))                          \
    X(m2, "openat:creat", syscall(SYS_openat, CWD, p, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600))        \
    X(m3, "openat:dirfd", at_dirfd(p, O_WRONLY | O_CREAT))                                                   \
    X(m4, "open:magic", by_magic(p, O_WRONLY | O_CREAT))                                                     \
    X(m5, "creat", syscall(SYS_creat, p, 0600))                                                              \
    X(m6, "mkdir", syscall(SYS_mkdir, p, 0700))                                                              \
    X(m7, "mkdirat", syscall(SYS_mkdirat, CWD, p, 0700))                                                     \
    X(m8, "mknod", syscall(SYS_mknod, p, S_IFREG | 0600, 0))                                                 \
    X(m9, "mknodat", syscall(SYS_mknodat, CWD, p, S_IFREG | 0600, 0))                                        \
    X(m10, "symlink", syscall(SYS_symlink, q, p))                                                            \
    X(m11, "symlinkat", syscall(SYS_symlinkat, q, CWD, p))                                                   \
    X(m12, "link", syscall(SYS_link, q, p))                                                                  \
    X(m13, "linkat", syscall(SYS_linkat, CWD, q, CWD, p, 0))                                                 \
    X(m14, "rename", syscall(SYS_rename, q, p))                                                              \
    X(m15, "renameat", syscall(SYS_renameat, CWD, q, CWD, p))                                                \
    X(m16, "renameat2", syscall(SYS_renameat2, CWD, q, CWD, p, 0))                                           \
    X(m17, "renameat2:noreplace", syscall(SYS_renameat2, CWD, q, CWD, p, NOREPLACE))                         \
    X(m18, "bind", bound(p))                                                                                 \
    X(m19, "open:write", syscall(SYS_open, p, O_WRONLY | O_CLOEXEC, 0))                                      \
    X(m20, "open:append", syscall(SYS_open, p, O_RDWR | O_APPEND | O_CLOEXEC, 0))                            \
    X(m21, "open:trunc", syscall(SYS_open, p, O_RDONLY | O_TRUNC | O_CLOEXEC, 0))                            \
    X(m22, "openat:high", syscall(SYS_openat, CWD, p, O_WRONLY | O_CLOEXEC | 0xdeadbeef00000000, 0))         \
    X(m23, "truncate", syscall(SYS_truncate, p, 0))                                                          \
    X(m24, "unlink", syscall(SYS_unlink, p))                                                                 \
    X(m25, "unlinkat", syscall(SYS_unlinkat, CWD, p, 0))                                                     \
    X(m26, "rename:away", syscall(SYS_rename, p, q))                                                         \
    X(m27, "renameat2:exchange", syscall(SYS_renameat2, CWD, p, CWD, q, EXCHANGE))                           \
    X(m28, "renameat2:exchanged", syscall(SYS_renameat2, CWD, q, CWD, p, EXCHANGE))                          \
    X(m29, "chmod", syscall(SYS_chmod, p, 0600))                                                             \
    X(m30, "fchmodat", syscall(SYS_fchmodat, CWD, p, 0600))                                                  \
    X(m31, "fchmodat2", syscall(ORCH_NR_fchmodat2, CWD, p, 0600, 0))                                         \
    X(m32, "chown", syscall(SYS_chown, p, -1, getegid()))                                                    \
    X(m33, "lchown", syscall(SYS_lchown, p, -1, getegid()))                                                  \
    X(m34, "fchownat", syscall(SYS_fchownat, CWD, p, -1, getegid(), 0))                                      \
    X(m35, "utime", syscall(SYS_utime, p, NULL))                                                             \
    X(m36, "utimes", syscall(SYS_utimes, p, NULL))                                                           \
    X(m37, "futimesat", syscall(SYS_futimesat, CWD, p, NULL))                                                \
    X(m38, "utimensat", syscall(SYS_utimensat, CWD, p, NULL, 0))                                             \
    X(m39, "setxattr", syscall(SYS_setxattr, p, "user.x", "v", 1, 0))                                        \
    X(m40, "lsetxattr", syscall(SYS_lsetxattr, p, "user.x", "v", 1, 0))                                      \
    X(m41, "setxattrat", set_attribute(p))                                                                   \
    X(m42, "removexattr", syscall(SYS_removexattr, p, "user.x"))                                             \
    X(m43, "lremovexattr", syscall(SYS_lremovexattr, p, "user.x"))                                           \
    X(m44, "removexattrat", syscall(ORCH_NR_removexattrat, CWD, p, 0, "user.x"))                             \
    X(m45, "link:out", syscall(SYS_link, p, q))                                                              \
    X(m46, "linkat:out", syscall(SYS_linkat, CWD, p, CWD, q, 0))                                             \
    X(m47, "rmdir", syscall(SYS_rmdir, p))                                                                   \
    X(m48, "unlinkat:dir", syscall(SYS_unlinkat, CWD, p, AT_REMOVEDIR))                                      \
    X(m49, "fchmod", by_fd(p, 'm'))                                                                          \
    X(m50, "fsetxattr", by_fd(p, 'x'))                                                                       \
    X(m51, "futimens", by_fd(p, 't'))                                                                        \
    X(m52, "linkat:empty", by_empty(p, q, 'l'))                                                              \
    X(m53, "fchmodat2:empty", by_empty(p, q, 'm'))                                                           \
    X(m54, "fchownat:empty", by_empty(p, q, 'o'))                                                            \
    X(m55, "utimensat:empty", by_empty(p, q, 't'))                                                           \
    X(m56, "setxattrat:empty", by_empty(p, q, 'x'))                                                          \
    X(m57, "open:link", by_link(p, q, O_WRONLY | O_CREAT))                                                   \
    X(m58, "open:cwd", by_cwd(p, O_WRONLY | O_CREAT))
MUTATIONS(ACT)

#define MUTATION_ROW(id, name, expr) {name, id},
static const struct {
    const char *name;
    long (*fn)(const char *p, const char *q);
} mutations[] = {MUTATIONS(MUTATION_ROW)};

static int do_mutate(char **v) /* HOW PATH [OTHER] */
{
    for (size_t i = 0; i < sizeof(mutations) / sizeof(mutations[0]); i++)
        if (strcmp(mutations[i].name, v[0]) == 0)
            return last(mutations[i].fn(v[1], v[2] ? v[2] : "nowhere"));
    return -EINVAL;
}

/* A file of one's own, made and then given a bit that makes a program of it: HOW PATH MODE */
static int do_suid(char **v)
{
    mode_t mode = (mode_t)strtoul(v[2], NULL, 8);
    int fd = open(v[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, strcmp(v[0], "open") == 0 ? mode : 0700);
    struct stat st;
    long r = 0;

    if (fd < 0)
        return -errno;
    if (strcmp(v[0], "chmod") == 0)
        r = syscall(SYS_chmod, v[1], mode);
    else if (strcmp(v[0], "fchmod") == 0)
        r = syscall(SYS_fchmod, fd, mode);
    else if (strcmp(v[0], "fchmodat2") == 0)
        r = syscall(ORCH_NR_fchmodat2, CWD, v[1], mode, 0);
    if (r < 0 || fstat(fd, &st) < 0)
        return -errno;
    printf("found mode %o\n", st.st_mode & 07777);
    return FOUND;
}

static int do_xattr(char **v) /* PATH NAME VALUE-LENGTH; the value is a file capability of version 2 */
{
    static const unsigned char caps[20] = {1, 0, 0, 2, 0xff, 0xff, 0xff, 0xff};

    (void)close(open(v[0], O_WRONLY | O_CREAT | O_CLOEXEC, 0700));
    return last(syscall(SYS_setxattr, v[0], v[1], caps, number(v[2]), 0));
}

static int do_mknod(char **v) /* PATH TYPE(c, b, p, s) MAJOR MINOR */
{
    mode_t type = v[1][0] == 'c' ? S_IFCHR : v[1][0] == 'b' ? S_IFBLK : v[1][0] == 'p' ? S_IFIFO : S_IFSOCK;

    return last(syscall(SYS_mknod, v[0], type | 0600, makedev(number(v[2]), number(v[3]))));
}

/* PATH: asks for its handle, and opens what it gets. As root outside, that is any file of the disk. */
static int do_handle(char **v)
{
    struct file_handle *h = (void *)scratch;
    int mount_id, dir;

    h->handle_bytes = MAX_HANDLE_SZ;
    if (syscall(SYS_name_to_handle_at, CWD, v[0], h, &mount_id, 0) < 0)
        return -errno;
    dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return opened(syscall(SYS_open_by_handle_at, dir, h, O_RDONLY | O_CLOEXEC));
}

const struct verb file_verbs[] = {
    {"cat", 1, do_cat},     {"chdir", 1, do_chdir},   {"fchdir", 2, do_fchdir}, {"handle", 1, do_handle},
    {"mknod", 4, do_mknod}, {"mutate", 2, do_mutate}, {"open", 2, do_open},     {"readlink", 1, do_readlink},
    {"stat", 1, do_stat},   {"suid", 3, do_suid},     {"write", 2, do_write},   {"xattr", 3, do_xattr},
    {NULL, 0, NULL},
};
