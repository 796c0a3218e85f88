/*
 * io_rm.c - removing trees that an agent has built.
 *
 * Such a tree may be deeper than descriptors or stack allow, hold directories without permissions, and be
 * full of symlinks. So: an explicit stack of at most RM_DEPTH open directories; what lies deeper is moved up
 * into the top directory first and found there in its next pass. Every step is relative to an open directory,
 * no symlink is followed and no mount point crossed: a leftover bind mount must not cost the operator his
 * files.
 */
#include "common/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define RM_DEPTH 64

struct rm_frame {
    DIR *dir;
    char *name;   /* in the frame below */
    bool changed; /* this pass removed something: look again, readdir may have skipped entries */
};

struct rm_walk {
    struct rm_frame stack[RM_DEPTH];
    size_t depth;
    uint64_t id, moved; /* names of directories moved up */
    int error;          /* the first one, negative; the walk goes on */
};

static void note(struct rm_walk *w, int error)
{
    if (w->error == 0 && error != -ENOENT)
        w->error = error;
}

/*
 * Gives us all permissions on a directory that lacks them. fchmodat follows symlinks and fchmod refuses
 * O_PATH, hence the way through /proc. A failure shows later, as EACCES.
 */
static void make_passable(int path_fd)
{
    char proc[32];
    struct stat st;

    if (fstat(path_fd, &st) < 0 || (st.st_mode & 0700) == 0700)
        return;
    (void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", path_fd);
    (void)!chmod(proc, (st.st_mode & 07777) | 0700);
}

/* -ENOTDIR if path is anything but a directory, -EXDEV if it is a mount point inside the tree. */
static int open_dir(int parent, const char *path, bool inside)
{
    const uint64_t strict = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
    ORCH_AUTO_FD int path_fd =
        orch_openat2(parent, path, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, inside ? strict : 0);

    if (path_fd < 0)
        return path_fd;
    make_passable(path_fd);
    return orch_openat2(path_fd, ".", O_RDONLY | O_DIRECTORY, 0, RESOLVE_BENEATH);
}

static int push(struct rm_walk *w, int parent, const char *name)
{
    ORCH_AUTO_FD int fd = open_dir(parent, name, w->depth > 0);
    DIR *dir;

    if (fd < 0)
        return fd;
    dir = fdopendir(fd);
    if (!dir)
        return -errno;
    (void)ORCH_TAKE_FD(fd);
    w->stack[w->depth++] = (struct rm_frame){.dir = dir, .name = orch_xstrdup(name)};
    return 0;
}

/* Moves a directory into the top one. It must be writable itself, because its ".." changes. */
static int move_up(struct rm_walk *w, int from, const char *name)
{
    ORCH_AUTO_FD int fd = open_dir(from, name, true);
    ORCH_AUTO_FREE char *to = NULL;

    if (fd < 0)
        return fd;
    to = orch_xasprintf(".rm-%016llx-%llu", (unsigned long long)w->id, (unsigned long long)w->moved++);
    if (renameat(from, name, dirfd(w->stack[0].dir), to) < 0)
        return -errno;
    w->stack[0].changed = true;
    return 0;
}

static void remove_entry(struct rm_walk *w, const char *name)
{
    struct rm_frame *top = &w->stack[w->depth - 1];
    int fd = dirfd(top->dir), r, unlink_error;

    if (unlinkat(fd, name, 0) == 0) {
        top->changed = true;
        return;
    }
    unlink_error = -errno;
    if (unlink_error != -EISDIR && unlink_error != -EPERM) {
        note(w, unlink_error);
        return;
    }
    r = w->depth < RM_DEPTH ? push(w, fd, name) : move_up(w, fd, name);
    note(w, r == -ENOTDIR ? unlink_error : r);
}

/* The top frame was read to its end: again if anything changed, else remove the directory itself. */
static void finish_pass(struct rm_walk *w, int base)
{
    struct rm_frame *top = &w->stack[w->depth - 1];
    int parent = w->depth > 1 ? dirfd(top[-1].dir) : base;

    if (top->changed) {
        top->changed = false;
        rewinddir(top->dir);
        return;
    }
    if (unlinkat(parent, top->name, AT_REMOVEDIR) < 0)
        note(w, -errno);
    else if (w->depth > 1)
        top[-1].changed = true;
    (void)closedir(top->dir);
    free(top->name);
    w->depth--;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int walk(struct rm_walk *w, int base)
{
    struct dirent *entry;

    while (w->depth) {
        errno = 0;
        entry = readdir(w->stack[w->depth - 1].dir);
        if (entry && !is_dots(entry->d_name))
            remove_entry(w, entry->d_name);
        if (entry)
            continue;
        note(w, errno ? -errno : -ENOENT);
        finish_pass(w, base);
    }
    return w->error;
}

/* Without trailing slashes, behind which a symlink would be followed. NULL if nothing is left. */
static char *trimmed(const char *path)
{
    size_t n = strlen(path);

    while (n && path[n - 1] == '/')
        n--;
    return n ? orch_xstrndup(path, n) : NULL;
}

int orch_rm_rf(int dirfd, const char *path)
{
    ORCH_AUTO_FREE char *name = trimmed(path);
    ORCH_AUTO_FREE struct rm_walk *w = NULL;
    int r, unlink_error;

    if (!name)
        return -EINVAL;
    if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    unlink_error = -errno;
    w = orch_xcalloc(1, sizeof(*w));
    if (getrandom(&w->id, sizeof(w->id), 0) != (ssize_t)sizeof(w->id))
        return -EIO;
    r = push(w, dirfd, name);
    if (r == 0)
        return walk(w, dirfd);
    if (r == -ENOENT)
        return 0;
    return r == -ENOTDIR ? unlink_error : r;
}
