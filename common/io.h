/*
 * io.h - files and descriptors. Every descriptor is opened O_CLOEXEC. Retries EINTR. Functions return 0 or a
 * descriptor or a count, or -errno; they print nothing.
 */
#ifndef ORCH_COMMON_IO_H
#define ORCH_COMMON_IO_H

#include <linux/openat2.h>
#include <sys/stat.h>
#include <time.h>
#include "common/buf.h"

/* openat2 with RESOLVE_BENEATH|NO_SYMLINKS|NO_MAGICLINKS (kernel.md; CVE-2018-15664). O_CLOEXEC is added. */
int orch_open_beneath(int dirfd, const char *path, int flags, mode_t mode);
/* Raw openat2 with the given resolve flags. */
int orch_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);

int orch_write_all(int fd, const void *p, size_t n);
/* Appends everything up to max bytes to out; -EFBIG if there is more. */
int orch_read_all(int fd, size_t max, struct orch_buf *out);
int orch_read_file(int dirfd, const char *path, size_t max, struct orch_buf *out);

/* Durable replace: temporary name in the same directory, fsync, rename, fsync of the directory. */
int orch_write_file_sync(int dirfd, const char *name, const void *p, size_t n, mode_t mode);
/* Durable, and fails with EEXIST if the name exists. */
int orch_create_file_sync(int dirfd, const char *name, const void *p, size_t n, mode_t mode);
int orch_fsync_dir(int dirfd, const char *path); /* opens and fsyncs the directory; path "." allowed */

int orch_mkdir_p(const char *path, mode_t mode); /* absolute or relative; existing directories are fine */
/* Removes a tree without following symlinks, iterative, making unreadable directories of ours passable first.
 * ENOENT is fine. */
int orch_rm_rf(int dirfd, const char *path);
/* Newly allocated readlink result (any length), or NULL with errno. */
char *orch_readlink(int dirfd, const char *path);
/* Newly allocated lexical normal form of an absolute path: no "//", ".", "..", trailing slash. base
 * (absolute) is put before a relative path. Symlinks are not looked at. */
char *orch_path_normalize(const char *base, const char *path);
/* True if path equals dir or lies beneath it (both absolute, normal form). */
bool orch_path_beneath(const char *path, const char *dir);

/* Monotonic milliseconds; realtime as RFC 3339 with nanoseconds in UTC ("2026-01-02T03:04:05.678901234Z"), 31
 * bytes with NUL. */
uint64_t orch_now_ms(void);
#define ORCH_TIME_SIZE 31
void orch_time_now(char ret[ORCH_TIME_SIZE]);
/* Seconds since 1970 of such a text, its fraction dropped; -1 if it is none. */
int64_t orch_time_parse(const char *s);
/* The same form of another time: two of them compare as text. */
void orch_time_format(struct timespec t, char ret[ORCH_TIME_SIZE]);

#endif
