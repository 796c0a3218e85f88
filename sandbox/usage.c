/* usage.c - see usage.h. */
#include "sandbox/usage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/io.h"
#include "sandbox/layer.h"
#include "sandbox/nested.h"

#define MAX_MOUNTINFO (4u << 20)

/* ---- files without a name ---- */

struct unnamed {
    struct one {
        dev_t dev;
        ino_t ino;
        uint64_t bytes;
    } * v;
    size_t n, cap;
    int proc;
    const char *pid;        /* of the process being looked at */
    struct orch_buf mounts; /* of the view, as /proc/PID/mountinfo tells; empty: not yet asked for */
};

static int by_inode(const void *pa, const void *pb)
{
    const struct one *a = pa, *b = pb;

    if (a->dev != b->dev)
        return a->dev < b->dev ? -1 : 1;
    return (a->ino > b->ino) - (a->ino < b->ino);
}

/* Asked of the list of mounts: a filesystem that has stopped to answer says nothing itself. */
static bool is_on_overlay(struct unnamed *u, uint64_t mount)
{
    ORCH_AUTO_FREE char *id = orch_xasprintf("%llu ", (unsigned long long)mount);
    ORCH_AUTO_FREE char *file = orch_xasprintf("%s/mountinfo", u->pid);
    const char *line, *end;

    if (u->mounts.len == 0 && orch_read_file(u->proc, file, MAX_MOUNTINFO, &u->mounts) < 0)
        return true; /* rather too much than too little */
    for (line = u->mounts.data; line && *line; line = end + 1) {
        const char *type = strstr(line, " - ");

        end = strchr(line, '\n');
        if (!end || !type || type > end)
            break;
        if (strncmp(line, id, strlen(id)) == 0)
            return strncmp(type + 3, "overlay ", 8) == 0;
    }
    return false;
}

/* Those on a tmpfs are held by its size. What a descriptor is of is asked of what is in memory: the file may
 * be the hung filesystem's. */
static void add_descriptor(int dir, const char *name, struct unnamed *u)
{
    struct statx st;

    if (statx(dir, name, AT_STATX_DONT_SYNC, STATX_BASIC_STATS | STATX_MNT_ID, &st) < 0 ||
        !S_ISREG(st.stx_mode) || st.stx_nlink > 0 || !is_on_overlay(u, st.stx_mnt_id))
        return;
    if (u->n == u->cap) {
        u->cap = u->cap ? u->cap * 2 : 64;
        u->v = orch_xreallocarray(u->v, u->cap, sizeof(*u->v));
    }
    u->v[u->n++] = (struct one){makedev(st.stx_dev_major, st.stx_dev_minor), st.stx_ino, st.stx_blocks * 512};
}

typedef void (*entry_fn)(int dir, const char *name, struct unnamed *u);

static void each_number(int dir, const char *name, entry_fn fn, struct unnamed *u)
{
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);

    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] >= '0' && e->d_name[0] <= '9')
            fn(dirfd(d), e->d_name, u);
    if (d)
        (void)closedir(d);
    else if (fd >= 0)
        (void)close(fd);
}

static void add_process(int proc, const char *pid, struct unnamed *u)
{
    char fds[64];

    u->pid = pid;
    if ((size_t)snprintf(fds, sizeof(fds), "%s/fd", pid) < sizeof(fds))
        each_number(proc, fds, add_descriptor, u);
}

/* Each once, however many hold it. */
static uint64_t unnamed_bytes(int proc)
{
    struct unnamed u = {.proc = proc};
    uint64_t sum = 0;

    if (proc < 0)
        return 0;
    each_number(proc, ".", add_process, &u);
    if (u.n)
        qsort(u.v, u.n, sizeof(*u.v), by_inode);
    for (size_t i = 0; i < u.n; i++)
        if (i == 0 || by_inode(&u.v[i - 1], &u.v[i]) != 0)
            sum += u.v[i].bytes;
    free(u.v);
    orch_buf_fini(&u.mounts);
    return sum;
}

/* ---- layers ---- */

/* Where what is written to the workspace lies; NULL: nothing is. Newly allocated. */
static char *written(const struct orch_sandbox_args *a)
{
    if (a->plan->nested) /* there the workspace is the copy */
        return a->plan->workspace_writes ? orch_xstrdup(a->plan->workspace) : NULL;
    return a->workspace.layer_dir ? orch_xasprintf("%s/upper", a->workspace.layer_dir) : NULL;
}

int orch_usage_begin(const struct orch_sandbox_args *a, struct orch_usage_base *ret)
{
    ORCH_AUTO_FREE char *dir = written(a);

    *ret = (struct orch_usage_base){0};
    return dir && a->plan->nested ? orch_layer_usage(dir, &ret->bytes, &ret->entries) : 0;
}

/* 0, or -errno if it cannot be told; that we are short of descriptors or memory says nothing. */
static int measure(const char *dir, uint64_t *ret_bytes, uint64_t *ret_entries)
{
    int r = orch_layer_usage(dir, ret_bytes, ret_entries);

    return r < 0 && orch_errno_is_host(-r) ? 0 : r;
}

static uint64_t beyond(uint64_t n, uint64_t base)
{
    return n > base ? n - base : 0;
}

static const char *workspace_over(const struct orch_sandbox_args *a, const struct orch_usage_base *base,
                                  bool alive, int proc)
{
    const struct orch_limits *l = &a->plan->profile->limits;
    ORCH_AUTO_FREE char *dir = written(a);
    uint64_t bytes = 0, entries = 0;

    if (!dir || (!l->workspace && !l->workspace_files))
        return NULL;
    if (measure(dir, &bytes, &entries) < 0)
        return alive ? "workspace" : NULL; /* of a dead tree's layer it is the seal check's to refuse */
    bytes = beyond(bytes, base->bytes);
    if (l->workspace_files && beyond(entries, base->entries) > l->workspace_files)
        return "workspace_files";
    return l->workspace && (bytes > l->workspace || bytes + unnamed_bytes(proc) > l->workspace) ? "workspace"
                                                                                                : NULL;
}

/* A home that is no tmpfs is held to the same size. */
static const char *home_over(const struct orch_sandbox_args *a, bool alive)
{
    const struct orch_profile *p = a->plan->profile;
    ORCH_AUTO_FREE char *dir = a->home.layer_dir ? orch_xasprintf("%s/upper", a->home.layer_dir) : NULL;
    uint64_t bytes = 0, entries = 0;

    if (!dir)
        return NULL;
    if (measure(dir, &bytes, &entries) < 0)
        return alive ? "home" : NULL;
    return (p->tmp_size && bytes > p->tmp_size) || (p->tmp_files && entries > p->tmp_files) ? "home" : NULL;
}

const char *orch_usage_over(const struct orch_sandbox_args *a, const struct orch_usage_base *base, bool alive,
                            int proc)
{
    const char *over = workspace_over(a, base, alive, proc);

    if (!over)
        over = home_over(a, alive);
    return !over && alive && a->plan->nested && orch_nested_over(a->plan) ? "tmp" : over;
}
