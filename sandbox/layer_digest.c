/*
 * layer_digest.c - one raw upper directory: its digest, what it may not hold, its size, its durability. See
 * layer.h.
 *
 * Digest: SHA-256 over one record an entry, in the order of orch_walk (names only decide it):
 * "TYPE MODE SIZE PATHLEN:" PATH, then for files the blocks that are not all zero as "INDEX LENGTH:" BYTES
 * and ".", for symlinks "LENGTH:" TARGET, for directories "y" or "n" (opaque). Zero blocks are left out
 * because whether a range is a hole may change when the kernel writes back; its bytes do not.
 */
#include "sandbox/layer_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include "common/escape.h"

#define BLOCK 65536

static void add_printf(struct orch_sha256 *h, const char *fmt, ...) ORCH_PRINTF(2, 3);

static void add_printf(struct orch_sha256 *h, const char *fmt, ...)
{
    char s[128];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(s, sizeof(s), fmt, ap);
    va_end(ap);
    if (n > 0)
        orch_sha256_add(h, s, (size_t)n < sizeof(s) ? (size_t)n : sizeof(s) - 1);
}

static bool all_zero(const char *p, size_t n)
{
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* Reads up to n bytes at off; a count or -errno. */
static ssize_t read_block(int fd, char *buf, size_t n, uint64_t off)
{
    size_t got = 0;
    ssize_t r;

    while (got < n) {
        r = pread(fd, buf + got, n - got, (off_t)(off + got));
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -errno;
        if (r == 0)
            break;
        got += (size_t)r;
    }
    return (ssize_t)got;
}

static int digest_bytes(struct orch_sha256 *h, int fd, uint64_t size)
{
    char buf[BLOCK];
    uint64_t off = 0;
    ssize_t n;

    while ((off = orch_next_data(fd, off, size)) < size) {
        off -= off % BLOCK;
        n = read_block(fd, buf, size - off < BLOCK ? (size_t)(size - off) : BLOCK, off);
        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        if (!all_zero(buf, (size_t)n)) {
            add_printf(h, "%llu %zd:", (unsigned long long)(off / BLOCK), n);
            orch_sha256_add(h, buf, (size_t)n);
        }
        off += BLOCK;
    }
    orch_sha256_add(h, ".", 1);
    return 0;
}

static int digest_file(struct orch_sha256 *h, const struct orch_walk_entry *e)
{
    ORCH_AUTO_FD int fd = orch_tree_open_seen(e->dirfd, e->name);

    return fd < 0 ? fd : digest_bytes(h, fd, (uint64_t)e->st->st_size);
}

static int digest_link(struct orch_sha256 *h, const struct orch_walk_entry *e)
{
    ORCH_AUTO_FREE char *target = orch_readlink(e->dirfd, e->name);

    if (!target)
        return -errno;
    add_printf(h, "%zu:", strlen(target));
    orch_sha256_add(h, target, strlen(target));
    return 0;
}

static int digest_dir(struct orch_sha256 *h, const struct orch_walk_entry *e)
{
    ORCH_AUTO_FD int fd = orch_tree_open(e->dirfd, e->name, O_RDONLY | O_DIRECTORY);
    char value[4];
    ssize_t n;

    if (fd < 0)
        return fd;
    n = fgetxattr(fd, ORCH_OPAQUE_XATTR, value, sizeof(value));
    if (n < 0 && errno != ENODATA && errno != EOPNOTSUPP)
        return -errno;
    orch_sha256_add(h, n == 1 && value[0] == 'y' ? "y" : "n", 1);
    return 0;
}

static int digest_entry(const struct orch_walk_entry *e, void *ctx, struct orch_err *err)
{
    struct orch_sha256 *h = ctx;
    const struct stat *st = e->st;
    int r = 0;

    add_printf(h, "%o %o %llu %zu:", st->st_mode & S_IFMT, st->st_mode & 07777,
               S_ISREG(st->st_mode) ? (unsigned long long)st->st_size : 0ull, strlen(e->path));
    orch_sha256_add(h, e->path, strlen(e->path));
    if (S_ISREG(st->st_mode))
        r = digest_file(h, e);
    else if (S_ISLNK(st->st_mode))
        r = digest_link(h, e);
    else if (S_ISDIR(st->st_mode))
        r = digest_dir(h, e);
    else
        add_printf(h, "%llu", (unsigned long long)st->st_rdev);
    return r < 0 ? orch_layer_fail(err, r, "cannot read", e->path) : 0;
}

/* The upper directory, or -ENOENT. */
static int open_upper(const char *upper)
{
    return orch_openat2(AT_FDCWD, upper, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, 0);
}

int orch_layer_digest(const char *upper, char ret[ORCH_HEX_SIZE], struct orch_err *err)
{
    ORCH_AUTO_FD int fd = open_upper(upper);
    struct orch_sha256 *h;
    char hex[ORCH_HEX_SIZE];
    int r = 0;

    if (fd < 0 && fd != -ENOENT)
        return orch_layer_fail(err, fd, "cannot open the layer", upper);
    h = orch_sha256_new();
    if (fd >= 0)
        r = orch_walk(fd, 0, digest_entry, h, err);
    orch_sha256_hex(h, hex);
    if (r == 0)
        memcpy(ret, hex, sizeof(hex));
    return r;
}

static int refuse(const struct orch_walk_entry *e, const char *why, struct orch_err *err)
{
    ORCH_AUTO_FREE char *shown = orch_escape_str(*e->path ? e->path : ".");

    return orch_err_set(err, EBADMSG, "%s: %s", shown, why);
}

static const char *bad_type(const struct stat *st)
{
    if (S_ISREG(st->st_mode))
        return st->st_mode & (S_ISUID | S_ISGID) ? "setuid or setgid bit" : NULL;
    if (S_ISDIR(st->st_mode) || S_ISLNK(st->st_mode) || orch_is_whiteout(st))
        return NULL;
    if (S_ISFIFO(st->st_mode))
        return "FIFO in the layer";
    return S_ISSOCK(st->st_mode) ? "socket in the layer" : "device in the layer";
}

/* What overlayfs itself writes into an upper that was mounted as ours are (userxattr, no index, no
 * redirect_dir). */
static bool overlay_attr_ok(const char *attr, const char *path, const struct stat *st, ssize_t opaque)
{
    static const char *const harmless[] = {"origin", "impure", "uuid", "protattr"};

    if (strcmp(attr, "opaque") == 0)
        return S_ISDIR(st->st_mode) && *path && opaque == 1;
    for (size_t i = 0; i < ORCH_NELEM(harmless); i++) {
        if (strcmp(attr, harmless[i]) == 0)
            return true;
    }
    return false;
}

static const char *bad_attr(const char *attr, const struct orch_walk_entry *e, const char *proc)
{
    static const char prefix[] = "user.overlay.";
    ssize_t opaque = 0;
    char value[4];

    if (strncmp(attr, "trusted.", 8) == 0)
        return "trusted attribute";
    if (strcmp(attr, "security.capability") == 0)
        return "file capabilities";
    if (strncmp(attr, prefix, sizeof(prefix) - 1) != 0)
        return NULL;
    if (strcmp(attr, ORCH_OPAQUE_XATTR) == 0)
        opaque = lgetxattr(proc, attr, value, sizeof(value)) == 1 && value[0] == 'y';
    return overlay_attr_ok(attr + sizeof(prefix) - 1, e->path, e->st, opaque)
               ? NULL
               : "overlay attribute that no mount of ours writes";
}

/* All attribute names, each with its NUL; a count or -errno. */
static ssize_t list_attrs(const char *proc, struct orch_buf *out)
{
    ssize_t n;

    for (size_t size = 1024;; size *= 2) {
        ORCH_AUTO_FREE char *names = orch_xmalloc(size);
        n = llistxattr(proc, names, size);
        if (n >= 0) {
            orch_buf_add(out, names, (size_t)n);
            return n;
        }
        if (errno != ERANGE || size > 1 << 20)
            return errno == EOPNOTSUPP ? 0 : -errno;
    }
}

static int check_attrs(const struct orch_walk_entry *e, struct orch_err *err)
{
    /* By /proc, since there is no llistxattrat before Linux 6.13 and unreadable files must be checked too. */
    ORCH_AUTO_FREE char *proc = orch_xasprintf("/proc/self/fd/%d/%s", e->dirfd, e->name);
    ORCH_AUTO_BUF struct orch_buf names = {0};
    ssize_t n = list_attrs(proc, &names);
    const char *why;

    if (n < 0)
        return orch_layer_fail(err, (int)n, "cannot list the attributes of", e->path);
    for (size_t i = 0; i < names.len; i += strlen(names.data + i) + 1) {
        why = bad_attr(names.data + i, e, proc);
        if (why)
            return refuse(e, why, err);
    }
    return 0;
}

static int check_entry(const struct orch_walk_entry *e, void *ctx, struct orch_err *err)
{
    const char *why = bad_type(e->st);

    (void)ctx;
    return why ? refuse(e, why, err) : check_attrs(e, err);
}

int orch_layer_check(const char *upper, struct orch_err *err)
{
    ORCH_AUTO_FD int fd = open_upper(upper);

    if (fd < 0)
        return fd == -ENOENT ? 0 : orch_layer_fail(err, fd, "cannot open the layer", upper);
    return orch_walk(fd, ORCH_WALK_ROOT, check_entry, NULL, err);
}

struct usage {
    uint64_t bytes, entries;
};

static int count_entry(const struct orch_walk_entry *e, void *ctx, struct orch_err *err)
{
    struct usage *u = ctx;

    (void)err;
    u->bytes += (uint64_t)e->st->st_blocks * 512;
    u->entries++;
    return 0;
}

int orch_layer_usage(const char *upper, uint64_t *ret_bytes, uint64_t *ret_entries)
{
    ORCH_AUTO_FD int fd = open_upper(upper);
    struct usage u = {0};
    int r = fd < 0 ? fd : orch_walk(fd, ORCH_WALK_LIVE | ORCH_WALK_OPEN, count_entry, &u, NULL);

    if (r < 0 && r != -ENOENT)
        return r;
    *ret_bytes = u.bytes;
    *ret_entries = u.entries;
    return 0;
}

/*
 * A few entries are written one by one, so that what others have left to write on the same file system need
 * not be waited for. Each is a transaction and a flush of the disk, so many are written at once, with all
 * else.
 */
#define SYNC_EACH 16

struct syncing {
    size_t n;
    bool all;
};

/* 1: the whole file system. */
static int sync_entry(const struct orch_walk_entry *e, void *ctx, struct orch_err *err)
{
    struct syncing *s = ctx;
    ORCH_AUTO_FD int fd = -1;

    (void)err;
    if (S_ISREG(e->st->st_mode))
        fd = orch_tree_open_seen(e->dirfd, e->name);
    else if (S_ISDIR(e->st->st_mode))
        fd = orch_tree_open(e->dirfd, e->name, O_RDONLY | O_DIRECTORY);
    else
        return 0; /* durable with its directory */
    /* EACCES: not readable for us, yet its bytes must be durable. */
    s->all = fd == -EACCES || ++s->n > SYNC_EACH;
    if (s->all)
        return 1;
    return fd < 0 ? fd : fsync(fd) < 0 ? -errno : 0;
}

int orch_layer_sync(const char *path)
{
    ORCH_AUTO_FD int fd = open_upper(path);
    struct syncing s = {0};
    int r;

    /* A directory shut by the agent is synced with its file system, not entered; the digest is what refuses
     * it. */
    r = fd < 0 ? fd : orch_walk(fd, ORCH_WALK_ROOT | ORCH_WALK_LIVE, sync_entry, &s, NULL);
    if (r == 1)
        r = syncfs(fd) < 0 ? -errno : 0;
    return r;
}
