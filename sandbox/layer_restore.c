/* layer_restore.c - a layer that puts paths back to what an older view has. See layer.h. */
#include "sandbox/layer_int.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include "common/glob.h"

struct restore {
    struct orch_build b;
    const struct orch_view *full, *base;
    const struct orch_strv *globs;
    struct orch_strv paths; /* matches in either view */
};

static int collect(const char *path, const char *name, unsigned char d_type, void *ctx)
{
    struct restore *x = ctx;

    (void)name;
    (void)d_type;
    if (orch_glob_match_any(x->globs, path))
        orch_strv_add(&x->paths, path);
    return 0;
}

/* Both views show the very same object, so nothing has to be put back. */
static bool untouched(const struct restore *x, const struct orch_entry *f, const struct orch_entry *b)
{
    return f->type && f->type == b->type && strcmp(x->full->t[f->tree].path, x->base->t[b->tree].path) == 0;
}

static int put_file(struct restore *x, int dir, const char *path, const char *name,
                    const struct orch_entry *b)
{
    ORCH_AUTO_FD int in = orch_tree_open_file(x->base->t[b->tree].fd, path);

    return in < 0 ? in : orch_build_file(&x->b, dir, name, in, b);
}

/* alone: nothing of the trees below may show through. b: what base has there, NULL for a mere parent. */
static int put_dir(struct restore *x, const char *path, const struct orch_entry *b, bool alone)
{
    ORCH_AUTO_FD int fd = orch_build_dir(&x->b, path);
    struct orch_build_dir *last = x->b.n_dirs ? &x->b.dirs[x->b.n_dirs - 1] : NULL;

    if (fd < 0)
        return fd;
    if (b && last && strcmp(last->path, path) == 0) { /* just made, with the looks it has in full */
        last->mode = b->mode;
        last->mtime = b->mtime;
    }
    if (alone && fsetxattr(fd, ORCH_OPAQUE_XATTR, "y", 1, 0) < 0)
        return -errno;
    return 0;
}

static int put(struct restore *x, const char *path, const struct orch_entry *b, bool alone)
{
    const char *name;
    ORCH_AUTO_FREE char *parent = orch_layer_parent(path, &name);
    ORCH_AUTO_FD int dir = -1;

    if (b->type == 'd')
        return put_dir(x, path, b, alone);
    if (b->type != 'f' &&
        b->type != 'l') /* FIFO, socket, device: dead in an overlay; absent is the nearest */
        return orch_build_whiteout(&x->b, path);
    dir = orch_build_dir(&x->b, parent);
    if (dir < 0)
        return dir;
    x->b.used = true;
    return b->type == 'f' ? put_file(x, dir, path, name, b) : orch_build_link(&x->b, dir, name, b);
}

/*
 * A parent that is no directory in full any more, or was replaced by another one: the layer's directory
 * shadows a non-directory by itself, and opaque keeps out whatever older trees hold.
 */
static int shadow_parents(struct restore *x, const char *path)
{
    for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
        ORCH_AUTO_FREE char *dir = orch_xstrndup(path, (size_t)(p - path));
        struct orch_entry ORCH_AUTO(orch_entry_fini) f = {0};
        int r = orch_view_lookup(x->full, dir, &f);
        if (r == 0 && f.type != 'd')
            r = put_dir(x, dir, NULL, true);
        if (r < 0)
            return r;
    }
    return 0;
}

static int restore_path(struct restore *x, const char *path)
{
    struct orch_entry ORCH_AUTO(orch_entry_fini) f = {0};
    struct orch_entry ORCH_AUTO(orch_entry_fini) b = {0};
    int r = orch_view_lookup(x->full, path, &f);

    if (r == 0)
        r = orch_view_lookup(x->base, path, &b);
    if (r < 0 || untouched(x, &f, &b))
        return r;
    if (!b.type)
        return f.type ? orch_build_whiteout(&x->b, path) : 0;
    if (!f.type)
        r = shadow_parents(x, path);
    return r < 0 ? r : put(x, path, &b, f.type != 'd');
}

static int cmp_str(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int restore_all(struct restore *x, struct orch_err *err)
{
    int r;

    if (x->paths.n) /* parents before what is in them */
        qsort(x->paths.v, x->paths.n, sizeof(*x->paths.v), cmp_str);
    for (size_t i = 0; i < x->paths.n; i++) {
        if (i && strcmp(x->paths.v[i], x->paths.v[i - 1]) == 0)
            continue;
        r = restore_path(x, x->paths.v[i]);
        if (r < 0)
            return orch_layer_fail(err, r, "cannot restore", x->paths.v[i]);
    }
    return orch_build_finish(&x->b, err);
}

int orch_layer_restore(const struct orch_view *full, const struct orch_view *base,
                       const struct orch_strv *globs, const char *dir, uid_t uid, gid_t gid,
                       struct orch_err *err)
{
    struct restore x = {.full = full, .base = base, .globs = globs};
    int r;

    x.b = (struct orch_build){.view = full, .second = base, .fd = -1, .uid = uid, .gid = gid};
    r = orch_build_init(&x.b, dir, err);
    if (r == 0)
        r = orch_view_walk(full, collect, &x, err);
    if (r == 0)
        r = orch_view_walk(base, collect, &x, err);
    if (r == 0)
        r = restore_all(&x, err);
    orch_build_fini(&x.b);
    orch_strv_fini(&x.paths);
    return r;
}
