/* filter_store.c - STATE/cache/filters (filter_store.h). */
#include "supervisor/filter_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void print_note(void *ctx, const char *text)
{
    (void)ctx;
    (void)dprintf(STDERR_FILENO, "orch-sandbox: note: %s\n", text);
}

/* A directory of ours beneath parent, made if need be; -errno. */
static int open_own(int parent, const char *name)
{
    struct stat st;
    ORCH_AUTO_FD int fd = -1;

    if (mkdirat(parent, name, 0700) < 0 && errno != EEXIST)
        return -errno;
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    return st.st_uid == geteuid() && (st.st_mode & 022) == 0 ? ORCH_TAKE_FD(fd) : -EPERM;
}

struct orch_filter_cache orch_filter_store_open(const char *state, struct orch_filter_memo *memo)
{
    struct orch_filter_cache c = {.dirfd = -1, .note = print_note, .memo = memo};
    ORCH_AUTO_FD int top = state ? open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    ORCH_AUTO_FD int cache = top >= 0 ? open_own(top, "cache") : -1;
    int r = cache >= 0 ? open_own(cache, "filters") : cache;

    if (r >= 0)
        c.dirfd = r;
    else if (top >= 0)
        print_note(NULL, "compiled filters are not kept: the state directory's cache/filters cannot be used");
    return c;
}

void orch_filter_store_close(struct orch_filter_cache *c)
{
    orch_close_fdp(&c->dirfd);
}
