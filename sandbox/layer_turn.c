/*
 * layer_turn.c - tier nested has no overlay: the agent works on a copy, and what it left is turned into the
 * upper directory that an overlay would have made. See layer.h.
 */
#include "sandbox/layer_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* ---- the copy ---- */

struct copy {
    struct orch_build b;
    const struct orch_view *view;
    uid_t owner; /* whose entries become the agent's; all others stay ours, so that their modes hold */
    uid_t uid;
    gid_t gid;
    int r; /* the first failure, with: */
    char *at;
};

/* As root, who owned the top of the tree is the agent inside; as anybody else all is ours. */
static void choose_owner(struct copy *c, const struct orch_entry *e)
{
    bool mapped = c->uid != (uid_t)-1 && e->uid == c->owner;

    c->b.uid = mapped ? c->uid : (uid_t)-1;
    c->b.gid = mapped ? c->gid : (gid_t)-1;
}

static int put_file(struct copy *c, int dir, const char *path, const char *name, const struct orch_entry *e)
{
    ORCH_AUTO_FD int in = orch_view_open_file(c->view, path);

    return in < 0 ? in : orch_build_file(&c->b, dir, name, in, e);
}

/* Sockets, FIFOs and devices are dead in an overlay; here they are not there. */
static int put(struct copy *c, const char *path)
{
    struct orch_entry ORCH_AUTO(orch_entry_fini) e = {0};
    const char *name;
    ORCH_AUTO_FREE char *parent = orch_layer_parent(path, &name);
    ORCH_AUTO_FD int dir = -1;
    int r = orch_view_lookup(c->view, path, &e);

    if (r < 0)
        return r;
    choose_owner(c, &e);
    if (e.type != 'd' && e.type != 'f' && e.type != 'l')
        return 0;
    dir = orch_build_dir(&c->b, e.type == 'd' ? path : parent);
    if (dir < 0 || e.type == 'd')
        return dir < 0 ? dir : 0;
    return e.type == 'f' ? put_file(c, dir, path, name, &e) : orch_build_link(&c->b, dir, name, &e);
}

static int copy_entry(const char *path, const char *name, unsigned char d_type, void *ctx)
{
    struct copy *c = ctx;

    (void)name;
    (void)d_type;
    c->r = put(c, path);
    if (c->r < 0)
        c->at = orch_xstrdup(path);
    return c->r;
}

int orch_layer_copy(const struct orch_view *v, const char *dir, uid_t uid, gid_t gid, struct orch_err *err)
{
    struct copy c = {.view = v, .uid = uid, .gid = gid};
    struct orch_entry ORCH_AUTO(orch_entry_fini) top = {0};
    int r = orch_view_lookup(v, "", &top);

    if (r < 0)
        return orch_layer_fail(err, r, "cannot look at", "");
    c.owner = top.uid;
    c.b = (struct orch_build){.view = v, .fd = -1, .uid = (uid_t)-1, .gid = (gid_t)-1};
    r = orch_build_init(&c.b, dir, err);
    if (r == 0)
        r = orch_view_walk(v, copy_entry, &c, err);
    if (c.r < 0)
        r = orch_layer_fail(err, c.r, "the workspace cannot be copied: cannot read", c.at);
    if (r == 0)
        r = orch_build_finish(&c.b, err);
    if (r == 0 && fchmod(c.b.fd, top.mode & 0777) < 0)
        r = orch_layer_fail(err, -errno, "cannot set the mode of", dir);
    orch_build_fini(&c.b);
    free(c.at);
    return r;
}

/* ---- the copy as an upper directory ---- */

struct turn {
    struct orch_build b;
    struct orch_view copy; /* as a tree of its own */
    int r;
};

/* Whether the copy was given such an entry at all. */
static bool is_copied(unsigned char d_type)
{
    return d_type == DT_REG || d_type == DT_DIR || d_type == DT_LNK;
}

/* What is below and no more in the copy has been deleted. */
static int mark_deleted(const char *path, const char *name, unsigned char d_type, void *ctx)
{
    struct turn *t = ctx;
    struct orch_entry ORCH_AUTO(orch_entry_fini) e = {0};

    (void)name;
    t->r = orch_view_lookup(&t->copy, path, &e);
    if (t->r < 0)
        return t->r;
    if (e.type == 0 && is_copied(d_type))
        t->r = orch_build_whiteout(&t->b, path);
    if (t->r < 0)
        return t->r;
    return e.type != 'd' && d_type == DT_DIR; /* all of it is gone with it */
}

static int compare_path(const void *key, const void *row)
{
    return strcmp(key, ((const struct orch_change *)row)->path);
}

/* A change, or on the way to one. */
static bool is_needed(const struct orch_changes *c, const char *path)
{
    size_t n = strlen(path), lo = 0, hi = c->n;
    ORCH_AUTO_FREE char *inside = orch_xasprintf("%s/", path);

    if (c->n && bsearch(path, c->v, c->n, sizeof(*c->v), compare_path))
        return true;
    while (lo < hi) { /* the first that does not sort before what lies inside */
        size_t mid = lo + (hi - lo) / 2;

        if (strcmp(c->v[mid].path, inside) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < c->n && strncmp(c->v[lo].path, inside, n + 1) == 0;
}

struct prune {
    const struct orch_changes *changes;
    struct orch_strv unneeded; /* parents before what is in them */
};

static int collect_unneeded(const struct orch_walk_entry *e, void *ctx, struct orch_err *err)
{
    struct prune *p = ctx;

    (void)err;
    if (!is_needed(p->changes, e->path))
        orch_strv_add(&p->unneeded, e->path);
    return 0;
}

static int unlink_any(int dir, const char *name)
{
    if (unlinkat(dir, name, 0) == 0)
        return 0;
    return errno == EISDIR && unlinkat(dir, name, AT_REMOVEDIR) == 0 ? 0 : -errno;
}

/* In a directory that was read-only from the start, too. */
static int remove_entry(int root, const char *path)
{
    const char *name;
    ORCH_AUTO_FREE char *parent = orch_layer_parent(path, &name);
    ORCH_AUTO_FD int dir = orch_tree_open(root, parent, O_RDONLY | O_DIRECTORY);
    struct stat st;
    int r = dir < 0 ? dir : unlink_any(dir, name);

    if (r != -EACCES || dir < 0)
        return r;
    if (fstat(dir, &st) < 0 || fchmod(dir, 0700) < 0)
        return -errno;
    r = unlink_any(dir, name);
    return fchmod(dir, st.st_mode & 07777) < 0 && r == 0 ? -errno : r;
}

static int compare_longest(const void *a, const void *b)
{
    return strcmp(*(char *const *)b, *(char *const *)a);
}

/* Only changes stay, and the directories they are in: an overlay would have copied up nothing else. */
static int prune(int root, const struct orch_changes *c, struct orch_err *err)
{
    struct prune p = {.changes = c};
    int r = orch_walk(root, 0, collect_unneeded, &p, err);

    if (r == 0 && p.unneeded.n)
        qsort(p.unneeded.v, p.unneeded.n, sizeof(*p.unneeded.v), compare_longest);
    for (size_t i = 0; r == 0 && i < p.unneeded.n; i++) {
        r = remove_entry(root, p.unneeded.v[i]);
        if (r < 0)
            r = orch_layer_fail(err, r, "cannot clear", p.unneeded.v[i]);
    }
    orch_strv_fini(&p.unneeded);
    return r;
}

static int find_changes(const char *copy, const struct orch_strv *below, const char *workspace,
                        struct orch_changes *ret, struct orch_err *err)
{
    struct orch_strv layers = {0};
    struct orch_view full = {0};
    int r;

    orch_strv_add(&layers, copy);
    for (size_t i = 0; i < below->n; i++)
        orch_strv_add(&layers, below->v[i]);
    r = orch_view_open(&layers, workspace, &full, err);
    if (r == 0)
        r = orch_view_changes(&full, 1, ret, err);
    orch_view_fini(&full);
    orch_strv_fini(&layers);
    return r;
}

int orch_layer_turn(const char *copy, const struct orch_strv *below, const char *workspace,
                    struct orch_err *err)
{
    static const struct orch_strv none;
    struct turn t = {.b = {.fd = -1, .uid = (uid_t)-1, .gid = (gid_t)-1}};
    struct orch_changes ORCH_AUTO(orch_changes_fini) c = {0};
    struct orch_view before = {0};
    int r = orch_view_open(below, workspace, &before, err);

    t.b.view = &before;
    if (r == 0)
        r = orch_view_open(&none, copy, &t.copy, err);
    if (r == 0)
        r = orch_build_init(&t.b, copy, err);
    if (r == 0)
        r = orch_view_walk(&before, mark_deleted, &t, err);
    if (r < 0 && t.r < 0)
        r = orch_layer_fail(err, t.r, "cannot read the copy", copy);
    if (r == 0)
        r = find_changes(copy, below, workspace, &c, err);
    if (r == 0)
        r = prune(t.b.fd, &c, err);
    orch_build_fini(&t.b);
    orch_view_fini(&t.copy);
    orch_view_fini(&before);
    return r;
}

/* ---- to where it belongs ---- */

struct move {
    int to;
    struct orch_strv dirs; /* for their modes and times, which come last */
    int from;
};

static int move_file(int from_dir, int to_dir, const char *name, const struct stat *st)
{
    ORCH_AUTO_FD int in = orch_tree_open_seen(from_dir, name), out = -1;
    int r;

    if (in < 0)
        return in;
    out = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (out < 0)
        return -errno;
    r = orch_copy_bytes(in, out, (uint64_t)st->st_size);
    return r < 0 ? r : orch_dress_fd(out, st->st_uid, st->st_gid, st->st_mode & 07777, &st->st_mtim);
}

static int move_link(int from_dir, int to_dir, const char *name, const struct stat *st)
{
    ORCH_AUTO_FREE char *target = orch_readlink(from_dir, name);
    struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, st->st_mtim};

    if (!target || symlinkat(target, to_dir, name) < 0 ||
        fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
        utimensat(to_dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return 0;
}

static int move_one(struct move *m, const struct orch_walk_entry *e)
{
    const char *name;
    ORCH_AUTO_FREE char *parent = orch_layer_parent(e->path, &name);
    ORCH_AUTO_FD int dir = orch_tree_open(m->to, parent, O_RDONLY | O_DIRECTORY);

    if (dir < 0)
        return dir;
    if (S_ISREG(e->st->st_mode))
        return move_file(e->dirfd, dir, name, e->st);
    if (S_ISLNK(e->st->st_mode))
        return move_link(e->dirfd, dir, name, e->st);
    if (S_ISDIR(e->st->st_mode)) {
        orch_strv_add(&m->dirs, e->path);
        return mkdirat(dir, name, 0700) < 0 ? -errno : 0;
    }
    if (orch_is_whiteout(e->st))
        return mknodat(dir, name, S_IFCHR, 0) < 0 ? -errno : 0;
    return -EBADMSG; /* a FIFO of the agent's, which the seal check would refuse */
}

static int move_entry(const struct orch_walk_entry *e, void *ctx, struct orch_err *err)
{
    int r = move_one(ctx, e);

    return r < 0 ? orch_layer_fail(err, r, "cannot keep", e->path) : 0;
}

static int dress_dir(const struct move *m, const char *path)
{
    ORCH_AUTO_FD int from = orch_tree_open(m->from, path, O_RDONLY | O_DIRECTORY), to = -1;
    struct stat st;

    to = orch_tree_open(m->to, path, O_RDONLY | O_DIRECTORY);
    if (from < 0 || to < 0)
        return from < 0 ? from : to;
    if (fstat(from, &st) < 0)
        return -errno;
    return orch_dress_fd(to, st.st_uid, st.st_gid, st.st_mode & 07777, &st.st_mtim);
}

int orch_layer_move(const char *from, const char *to, struct orch_err *err)
{
    struct move m = {.to = -1, .from = -1};
    int r;

    if (rename(from, to) == 0)
        return 0;
    if (errno != EXDEV)
        return orch_layer_fail(err, -errno, "cannot move the layer", from);
    m.from = orch_openat2(AT_FDCWD, from, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, 0);
    m.to = orch_openat2(AT_FDCWD, to, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, 0);
    if (m.from < 0 || m.to < 0)
        r = orch_layer_fail(err, m.from < 0 ? m.from : m.to, "cannot open the layer", to);
    else
        r = orch_walk(m.from, 0, move_entry, &m, err);
    for (size_t i = m.dirs.n; r == 0 && i-- > 0;) { /* children first */
        r = dress_dir(&m, m.dirs.v[i]);
        if (r < 0)
            r = orch_layer_fail(err, r, "cannot finish the directory", m.dirs.v[i]);
    }
    if (r == 0 && (r = dress_dir(&m, "")) < 0)
        r = orch_layer_fail(err, r, "cannot finish the directory", to);
    orch_strv_fini(&m.dirs);
    orch_close_fdp(&m.from);
    orch_close_fdp(&m.to);
    return r;
}
