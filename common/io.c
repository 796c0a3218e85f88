/* io.c - files and descriptors. See io.h; tree removal is in io_rm.c. */
#include "common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>

#define EAGAIN_TRIES 32

int orch_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    struct open_how how = {.flags = flags | O_CLOEXEC, .mode = mode, .resolve = resolve};
    long fd;

    /* EAGAIN: somebody renamed during the walk and the kernel cannot tell whether ".." escaped (openat2(2)).
     */
    for (int agains = 0;;) {
        fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
        if (fd >= 0)
            return (int)fd;
        if (errno == EINTR || (errno == EAGAIN && ++agains < EAGAIN_TRIES))
            continue;
        return -errno;
    }
}

int orch_open_beneath(int dirfd, const char *path, int flags, mode_t mode)
{
    bool creates = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;

    /* openat2 refuses a mode that would be ignored */
    return orch_openat2(dirfd, path, (uint64_t)(unsigned)flags, creates ? mode : 0,
                        RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

static int open_at(int dirfd, const char *path, int flags, mode_t mode)
{
    int fd;

    do {
        fd = openat(dirfd, path, flags | O_CLOEXEC | O_NOCTTY, mode);
    } while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

int orch_write_all(int fd, const void *p, size_t n)
{
    const char *s = p;
    ssize_t r;

    while (n) {
        r = write(fd, s, n);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return r < 0 ? -errno : -EIO;
        s += r;
        n -= (size_t)r;
    }
    return 0;
}

int orch_read_all(int fd, size_t max, struct orch_buf *out)
{
    char chunk[16384];
    ssize_t n;

    for (;;) {
        n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        if ((size_t)n > max) {
            orch_buf_add(out, chunk, max);
            return -EFBIG;
        }
        orch_buf_add(out, chunk, (size_t)n);
        max -= (size_t)n;
    }
}

int orch_read_file(int dirfd, const char *path, size_t max, struct orch_buf *out)
{
    ORCH_AUTO_FD int fd = open_at(dirfd, path, O_RDONLY, 0);

    return fd < 0 ? fd : orch_read_all(fd, max, out);
}

static int sync_fd(int fd)
{
    int r;

    do {
        r = fsync(fd);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

int orch_fsync_dir(int dirfd, const char *path)
{
    ORCH_AUTO_FD int fd = open_at(dirfd, path, O_RDONLY | O_DIRECTORY, 0);

    return fd < 0 ? fd : sync_fd(fd);
}

/* The part of name up to its last slash, "" if there is none. */
static char *dir_part(const char *name)
{
    const char *slash = strrchr(name, '/');

    return orch_xstrndup(name, slash ? (size_t)(slash - name) + 1 : 0);
}

/*
 * A new file beside name. Its own name does not grow with name, which may be as long as NAME_MAX allows, and
 * O_EXCL makes a guessed name or a planted symlink fail instead of being written through.
 */
static int open_temp(int dirfd, const char *dir, char **ret_temp)
{
    uint64_t id;
    int fd;

    do {
        if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
            return -EIO;
        *ret_temp = orch_xasprintf("%s.tmp-%016llx", dir, (unsigned long long)id);
        fd = open_at(dirfd, *ret_temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
        if (fd < 0)
            orch_free_ptrp(ret_temp);
    } while (fd == -EEXIST);
    return fd;
}

/* mode is set with fchmod: the umask must not decide about the mode of state files. */
static int fill_temp(int fd, const void *p, size_t n, mode_t mode)
{
    int r = orch_write_all(fd, p, n);

    if (r == 0 && fchmod(fd, mode) < 0)
        r = -errno;
    return r < 0 ? r : sync_fd(fd);
}

static int publish(int dirfd, const char *temp, const char *name, bool exclusive)
{
    if (renameat2(dirfd, temp, dirfd, name, exclusive ? RENAME_NOREPLACE : 0) == 0)
        return 0;
    if (!exclusive || (errno != EINVAL && errno != ENOSYS))
        return -errno;
    /* A file system without RENAME_NOREPLACE: a hard link fails with EEXIST just the same. */
    if (linkat(dirfd, temp, dirfd, name, 0) < 0)
        return -errno;
    (void)unlinkat(dirfd, temp, 0);
    return 0;
}

static int write_sync(int dirfd, const char *name, const void *p, size_t n, mode_t mode, bool exclusive)
{
    ORCH_AUTO_FREE char *dir = dir_part(name);
    ORCH_AUTO_FREE char *temp = NULL;
    ORCH_AUTO_FD int fd = open_temp(dirfd, dir, &temp);
    int r;

    if (fd < 0)
        return fd;
    r = fill_temp(fd, p, n, mode);
    if (r == 0)
        r = publish(dirfd, temp, name, exclusive);
    if (r < 0) {
        (void)unlinkat(dirfd, temp, 0);
        return r;
    }
    return orch_fsync_dir(dirfd, *dir ? dir : ".");
}

int orch_write_file_sync(int dirfd, const char *name, const void *p, size_t n, mode_t mode)
{
    return write_sync(dirfd, name, p, n, mode, false);
}

int orch_create_file_sync(int dirfd, const char *name, const void *p, size_t n, mode_t mode)
{
    return write_sync(dirfd, name, p, n, mode, true);
}

int orch_mkdir_p(const char *path, mode_t mode)
{
    ORCH_AUTO_FREE char *copy = orch_xstrdup(path);
    struct stat st;
    char *end = copy;
    char saved;

    if (stat(path, &st) == 0) /* mostly it is there */
        return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
    do {
        end += strspn(end, "/");
        end += strcspn(end, "/");
        saved = *end;
        *end = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            return -errno;
        *end = saved;
    } while (saved);
    /* EEXIST also stands for files; a file in the middle has failed already. */
    if (stat(path, &st) < 0)
        return -errno;
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

char *orch_readlink(int dirfd, const char *path)
{
    ORCH_AUTO_FREE char *s = NULL;
    ssize_t n;

    /* st_size is 0 for links in /proc, and a link may change: grow until the result is not cut. */
    for (size_t size = 256;; size *= 2) {
        s = orch_xreallocarray(s, size, 1);
        n = readlinkat(dirfd, path, s, size);
        if (n < 0)
            return NULL;
        if ((size_t)n < size) {
            s[n] = '\0';
            return ORCH_TAKE_PTR(s);
        }
    }
}

static void add_component(struct orch_buf *out, const char *p, size_t n)
{
    if (n == 0 || (n == 1 && p[0] == '.'))
        return;
    if (n == 2 && p[0] == '.' && p[1] == '.') {
        while (out->len && out->data[--out->len] != '/')
            ;
        orch_buf_add(out, "", 0); /* the NUL behind the new end */
        return;
    }
    orch_buf_char(out, '/');
    orch_buf_add(out, p, n);
}

static void add_components(struct orch_buf *out, const char *path)
{
    for (size_t n; *path; path += n + (path[n] == '/')) {
        n = strcspn(path, "/");
        add_component(out, path, n);
    }
}

char *orch_path_normalize(const char *base, const char *path)
{
    struct orch_buf out = {0};

    if (*path != '/' && base)
        add_components(&out, base);
    add_components(&out, path);
    if (out.len == 0)
        orch_buf_char(&out, '/');
    return orch_buf_take(&out);
}

bool orch_path_beneath(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    if (strcmp(dir, "/") == 0)
        return *path == '/';
    return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

uint64_t orch_now_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* fails only for unknown clocks */
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void orch_time_format(struct timespec t, char ret[ORCH_TIME_SIZE])
{
    struct tm tm;

    if (!gmtime_r(&t.tv_sec, &tm) || strftime(ret, ORCH_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm) != 19)
        (void)snprintf(ret, ORCH_TIME_SIZE, "0000-00-00T00:00:00"); /* a clock beyond the year 9999 */
    (void)snprintf(ret + 19, ORCH_TIME_SIZE - 19, ".%09uZ", (unsigned)t.tv_nsec % 1000000000u);
}

void orch_time_now(char ret[ORCH_TIME_SIZE])
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_REALTIME, &ts);
    orch_time_format(ts, ret);
}

int64_t orch_time_parse(const char *s)
{
    struct tm tm = {0};
    const char *rest = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);

    if (!rest || *rest != '.' || strspn(rest + 1, "0123456789") != 9 || strcmp(rest + 10, "Z") != 0)
        return -1;
    return timegm(&tm);
}
