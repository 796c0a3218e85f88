/* task.c - see task.h. */
#include "sandbox/task.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/io.h"

#define MAX_PATH_BYTES 4096

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
#define MOST_PATHS 256 /* bytes that nearly all paths fit in */

int orch_task_string(pid_t tid, uint64_t addr, struct orch_buf *ret)
{
    char chunk[MAX_PATH_BYTES];

    orch_buf_reset(ret);
    while (ret->len < MAX_PATH_BYTES) {
        size_t page = MAX_PATH_BYTES - (addr & (MAX_PATH_BYTES - 1)); /* what follows may not be mapped */
        size_t want = ret->len == 0 && page > MOST_PATHS ? MOST_PATHS : page;
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

char *orch_task_link(pid_t tid, const char *what)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "/proc/%d/%s", tid, what);
    return orch_readlink(AT_FDCWD, name);
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

pid_t orch_task_own_pid(pid_t tid)
{
    return status_field(tid, "\nNSpid:", true);
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

bool orch_task_has_datagram(pid_t tid, int fd)
{
    ORCH_AUTO_FD int pidfd = (int)syscall(SYS_pidfd_open, orch_task_tgid(tid), 0);
    ORCH_AUTO_FD int copy = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
    int type = 0;
    socklen_t len = sizeof(type);

    return copy >= 0 && getsockopt(copy, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_DGRAM;
}
