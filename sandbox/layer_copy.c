/*
 * layer_copy.c - comparing and copying file bytes. Holes are skipped, not read: a sparse file of an exabyte
 * costs nothing (T-FS-13, T-GATE-04). See layer_int.h.
 */
#include "sandbox/layer_int.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define BLOCK 32768

uint64_t orch_next_data(int fd, uint64_t off, uint64_t size)
{
    off_t r;

    if (off >= size)
        return size;
    r = lseek(fd, (off_t)off, SEEK_DATA);
    if (r < 0)
        return errno == ENXIO ? size : off; /* no data behind; or a file system without SEEK_DATA */
    return (uint64_t)r < size ? (uint64_t)r : size;
}

/* Reads exactly n bytes; -EIO if the file is shorter. */
static int pread_full(int fd, char *buf, size_t n, uint64_t off)
{
    ssize_t r;

    while (n) {
        r = pread(fd, buf, n, (off_t)off);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return r < 0 ? -errno : -EIO;
        buf += r;
        n -= (size_t)r;
        off += (uint64_t)r;
    }
    return 0;
}

int orch_bytes_equal(int a, int b, uint64_t size)
{
    char x[BLOCK], y[BLOCK];
    uint64_t da, db;
    size_t n;
    int r;

    for (uint64_t off = 0; off < size; off += n) {
        if (size > BLOCK) { /* of one block, looking for holes costs more than reading them */
            da = orch_next_data(a, off, size);
            db = orch_next_data(b, off, size);
            off = da < db ? da : db;
        }
        n = size - off < BLOCK ? (size_t)(size - off) : BLOCK;
        r = pread_full(a, x, n, off);
        if (r == 0)
            r = pread_full(b, y, n, off);
        if (r < 0)
            return r;
        if (memcmp(x, y, n) != 0)
            return 0;
    }
    return 1;
}

static int copy_by_reading(int in, int out, uint64_t off, uint64_t end)
{
    char buf[BLOCK];
    size_t n;
    int r = 0;

    if (lseek(out, (off_t)off, SEEK_SET) < 0)
        return -errno;
    for (; off < end && r == 0; off += n) {
        n = end - off < BLOCK ? (size_t)(end - off) : BLOCK;
        r = pread_full(in, buf, n, off);
        if (r == 0)
            r = orch_write_all(out, buf, n);
    }
    return r;
}

static int copy_range(int in, int out, uint64_t off, uint64_t end)
{
    off_t from = (off_t)off, to = (off_t)off;
    ssize_t n;

    while ((uint64_t)from < end) {
        n = copy_file_range(in, &from, out, &to, (size_t)(end - (uint64_t)from), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) /* another file system, an old kernel, or a short file: reading tells */
            return copy_by_reading(in, out, (uint64_t)from, end);
    }
    return 0;
}

int orch_copy_bytes(int in, int out, uint64_t size)
{
    uint64_t off = 0, end;
    off_t hole;
    int r;

    if (size > INT64_MAX)
        return -EFBIG;
    if (ftruncate(out, (off_t)size) < 0)
        return -errno;
    while ((off = orch_next_data(in, off, size)) < size) {
        hole = lseek(in, (off_t)off, SEEK_HOLE);
        end = hole < 0 || (uint64_t)hole > size ? size : (uint64_t)hole;
        r = copy_range(in, out, off, end > off ? end : size);
        if (r < 0)
            return r;
        off = end > off ? end : size;
    }
    return 0;
}

int orch_dress_fd(int fd, uid_t uid, gid_t gid, mode_t mode, const struct timespec *mtime)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, *mtime};

    if ((uid != (uid_t)-1 || gid != (gid_t)-1) && fchown(fd, uid, gid) < 0)
        return -errno;
    if (fchmod(fd, mode) < 0) /* after the owner: chown clears setuid bits */
        return -errno;
    return futimens(fd, times) < 0 ? -errno : 0;
}
