/*
 * layer_merge.c - the merge rules of overlayfs for one directory: newest tree first, a whiteout or a
 * non-directory ends the search, directories add up until one is opaque. See layer_int.h.
 */
#include "sandbox/layer_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#ifndef SYS_getxattrat
#define SYS_getxattrat 464 /* Linux 6.13 */
#endif

static const unsigned side_bit[2] = {ORCH_IN_FULL, ORCH_IN_OLD};

bool orch_is_whiteout(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

static void mdir_alloc(const struct orch_view *v, struct orch_mdir *m)
{
    m->view = v;
    m->fd = orch_xcalloc(v->n ? v->n : 1, sizeof(*m->fd));
    m->in = orch_xcalloc(v->n ? v->n : 1, 1);
    for (size_t i = 0; i < v->n; i++)
        m->fd[i] = -1;
}

void orch_mdir_fini(struct orch_mdir *m)
{
    for (size_t i = 0; m->fd && i < m->view->n; i++)
        orch_close_fdp(&m->fd[i]);
    free(m->fd);
    free(m->in);
    *m = (struct orch_mdir){0};
}

/* Of a layer every name is read, of the workspace as a rule only some are looked up. */
static int open_dir(const struct orch_view_tree *t, const char *path)
{
    int fd = t->layer ? orch_tree_open(t->fd, path, O_RDONLY | O_DIRECTORY) : -EACCES;

    return fd == -EACCES ? orch_tree_open(t->fd, path, O_PATH | O_DIRECTORY) : fd;
}

int orch_mdir_open(const struct orch_view *v, const char *path, const unsigned char *in,
                   struct orch_mdir *ret)
{
    int fd, r = 0;

    mdir_alloc(v, ret);
    for (size_t i = 0; i < v->n && r == 0; i++) {
        if (!in[i])
            continue;
        fd = open_dir(&v->t[i], path);
        if (fd == -EXDEV && !v->t[i].layer)
            continue; /* a mount in the workspace: overlayfs shows what lies beneath it, which cannot be seen
                         here */
        ret->fd[i] = fd < 0 ? -1 : fd;
        ret->in[i] = fd < 0 ? 0 : in[i];
        r = fd < 0 ? fd : 0;
    }
    if (r < 0)
        orch_mdir_fini(ret);
    return r;
}

int orch_mdir_root(const struct orch_view *v, struct orch_mdir *ret)
{
    ORCH_AUTO_FREE unsigned char *in = orch_xmalloc(v->n ? v->n : 1);

    memset(in, ORCH_IN_FULL, v->n ? v->n : 1);
    return orch_mdir_open(v, "", in, ret);
}

struct xattr_args_v0 { /* getxattrat(2): struct xattr_args, which older headers lack */
    uint64_t value;
    uint32_t size, flags;
};

/* The length of an attribute of a directory, or -errno. */
static ssize_t dir_xattr(int dirfd, const char *name, const char *attr, void *value, size_t size)
{
    struct xattr_args_v0 args = {(uint64_t)(uintptr_t)value, (uint32_t)size, 0};
    ORCH_AUTO_FD int fd = -1;
    ssize_t n = syscall(SYS_getxattrat, dirfd, name, AT_SYMLINK_NOFOLLOW, attr, &args, sizeof(args));

    if (n < 0 && errno == ENOSYS) {
        fd = orch_tree_open(dirfd, name, O_RDONLY | O_DIRECTORY);
        if (fd < 0)
            return fd;
        n = fgetxattr(fd, attr, value, size);
    }
    return n < 0 ? -errno : n;
}

/* 1 = opaque, 0 = not. Reading user.* needs read permission; without it the answer is unknown, so it is an
 * error. */
static int is_opaque(int dirfd, const char *name)
{
    char value[4];
    ssize_t n = dir_xattr(dirfd, name, ORCH_OPAQUE_XATTR, value, sizeof(value));

    if (n >= 0)
        return n == 1 && value[0] == 'y';
    if (n == -ERANGE) /* longer than any value with a meaning; orch_layer_check refuses it */
        return 0;
    return n == -ENODATA || n == -EOPNOTSUPP ? 0 : (int)n;
}

struct found { /* one tree's entry of a name */
    const struct stat *st;
    size_t tree;
    bool layer;
    int opaque;
};

static void side_take(struct orch_side *s, unsigned bit, const struct found *f, unsigned char *child_in)
{
    bool white = f->layer && orch_is_whiteout(f->st);

    if (!white && !s->found) {
        s->found = true;
        s->st = *f->st;
        s->tree = f->tree;
    }
    if (white || !S_ISDIR(f->st->st_mode) || f->opaque)
        s->done = true;
    if (S_ISDIR(f->st->st_mode) && child_in)
        child_in[f->tree] |= (unsigned char)bit;
}

static int step_tree(const struct orch_mdir *m, size_t i, const char *name, struct orch_side side[2],
                     unsigned char *child_in)
{
    struct stat st;
    struct found f = {&st, i, m->view->t[i].layer, 0};

    if (fstatat(m->fd[i], name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (f.layer && S_ISDIR(st.st_mode)) {
        f.opaque = is_opaque(m->fd[i], name);
        if (f.opaque < 0)
            return f.opaque;
    }
    for (size_t k = 0; k < 2; k++) {
        if ((m->in[i] & side_bit[k]) && !side[k].done)
            side_take(&side[k], side_bit[k], &f, child_in);
    }
    return 0;
}

int orch_mdir_step(const struct orch_mdir *m, const char *name, struct orch_side side[2],
                   unsigned char *child_in)
{
    int r = 0;

    memset(side, 0, 2 * sizeof(*side));
    if (child_in)
        memset(child_in, 0, m->view->n);
    for (size_t i = 0; i < m->view->n && r == 0; i++) {
        if (m->in[i] && !(side[0].done && side[1].done))
            r = step_tree(m, i, name, side, child_in);
    }
    return r;
}

int orch_mdir_down(struct orch_mdir *m, const char *name, const unsigned char *child_in)
{
    int fd;

    for (size_t i = 0; i < m->view->n; i++) {
        if (m->fd[i] < 0)
            continue;
        fd = child_in[i] ? orch_tree_open(m->fd[i], name, O_PATH | O_DIRECTORY) : -EXDEV;
        if (fd < 0 && !(fd == -EXDEV && (!child_in[i] || !m->view->t[i].layer)))
            return fd;
        orch_close_fdp(&m->fd[i]);
        m->fd[i] = fd < 0 ? -1 : fd;
        m->in[i] = fd < 0 ? 0 : child_in[i];
    }
    return 0;
}

/* d_type may be missing, and DT_CHR in a layer may be a whiteout. */
static int settle_type(const struct orch_mdir *m, struct orch_name *name, bool *ret_white)
{
    struct stat st;

    *ret_white = false;
    if (name->type != DT_UNKNOWN && name->type != DT_CHR)
        return 0;
    if (fstatat(m->fd[name->rank], name->s, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    name->type = (unsigned char)IFTODT(st.st_mode);
    *ret_white = m->view->t[name->rank].layer && orch_is_whiteout(&st);
    return 0;
}

/* Of each run of equal names the newest decides. */
static int keep_newest(const struct orch_mdir *m, struct orch_names *names)
{
    size_t n = names->n, kept = 0;
    bool white;
    int r = 0;

    for (size_t i = 0, next; i < n && r == 0; i = next) {
        next = i + 1;
        while (next < n && strcmp(names->v[next].s, names->v[i].s) == 0)
            next++;
        r = settle_type(m, &names->v[i], &white);
        if (r == 0 && !white)
            names->v[kept++] = names->v[i];
    }
    if (r == 0)
        names->n = kept;
    return r;
}

int orch_mdir_list(const struct orch_mdir *m, struct orch_names *ret)
{
    struct orch_names ORCH_AUTO(orch_names_fini) names = {0};
    int r = 0;

    for (size_t i = 0; i < m->view->n && r == 0; i++) {
        if (m->in[i] & ORCH_IN_FULL)
            r = orch_names_read(m->fd[i], i, &names);
    }
    if (r < 0)
        return r;
    orch_names_sort(&names);
    r = keep_newest(m, &names);
    if (r < 0)
        return r;
    *ret = names;
    names = (struct orch_names){0};
    return 0;
}

char orch_type_char(mode_t mode)
{
    static const struct {
        mode_t fmt;
        char c;
    } table[] = {{S_IFREG, 'f'},  {S_IFDIR, 'd'}, {S_IFLNK, 'l'}, {S_IFIFO, 'p'},
                 {S_IFSOCK, 's'}, {S_IFCHR, 'c'}, {S_IFBLK, 'b'}};

    for (size_t i = 0; i < ORCH_NELEM(table); i++) {
        if ((mode & S_IFMT) == table[i].fmt)
            return table[i].c;
    }
    return 'c'; /* unknown: treated like a device, which nothing lets pass */
}

int orch_mdir_entry(const struct orch_mdir *m, const char *name, const struct orch_side *s,
                    struct orch_entry *ret)
{
    struct orch_entry e = {0};

    if (!s->found) {
        *ret = e;
        return 0;
    }
    e = (struct orch_entry){.type = orch_type_char(s->st.st_mode),
                            .mode = s->st.st_mode & 07777,
                            .size = (uint64_t)s->st.st_size,
                            .mtime = s->st.st_mtim,
                            .nlink = s->st.st_nlink,
                            .uid = s->st.st_uid,
                            .gid = s->st.st_gid,
                            .tree = s->tree};
    if (e.type == 'l') {
        e.target = orch_readlink(m->fd[s->tree], name);
        if (!e.target)
            return -errno;
    }
    *ret = e;
    return 0;
}

struct view_walk {
    const struct orch_view *v;
    orch_view_fn fn;
    void *ctx;
    struct orch_dirq q;
};

static int walk_child(struct view_walk *w, const struct orch_mdir *m, size_t node,
                      const struct orch_name *name, struct orch_buf *path)
{
    struct orch_side side[2];
    size_t len = path->len;
    unsigned char *in;
    int r;

    if (len)
        orch_buf_char(path, '/');
    orch_buf_str(path, name->s);
    r = w->fn(path->data, name->s, name->type, w->ctx);
    path->len = len;
    path->data[len] = '\0';
    if (r != 0 || name->type != DT_DIR)
        return r < 0 ? r : 0;
    in = orch_xcalloc(w->v->n, 1);
    r = orch_mdir_step(m, name->s, side, in);
    if (r == 0)
        orch_dirq_push(&w->q, node, name->s, in);
    else
        free(in);
    return r;
}

/*
 * A workspace directory of somebody else that may not be listed: the agent, who is nobody else here, can
 * neither list it nor change that. Such directories are common (volumes of containers) and must not stop
 * every run.
 */
static bool foreign(const struct orch_mdir *m)
{
    struct stat st;

    for (size_t i = 0; m->view && i < m->view->n; i++) {
        if (m->fd[i] >= 0 && !m->view->t[i].layer && fstat(m->fd[i], &st) == 0)
            return st.st_uid != geteuid();
    }
    return false;
}

static int walk_mdir(struct view_walk *w, size_t node, struct orch_buf *path)
{
    struct orch_mdir ORCH_AUTO(orch_mdir_fini) m = {0};
    struct orch_names ORCH_AUTO(orch_names_fini) names = {0};
    ORCH_AUTO_FREE unsigned char *in = ORCH_TAKE_PTR(w->q.v[node].data);
    int r = orch_mdir_open(w->v, path->data, in, &m);

    if (r == 0)
        r = orch_mdir_list(&m, &names);
    if (r == -EACCES && foreign(&m))
        return 0;
    for (size_t i = 0; i < names.n && r == 0; i++)
        r = walk_child(w, &m, node, &names.v[i], path);
    return r;
}

int orch_view_walk(const struct orch_view *v, orch_view_fn fn, void *ctx, struct orch_err *err)
{
    struct view_walk w = {.v = v, .fn = fn, .ctx = ctx};
    ORCH_AUTO_BUF struct orch_buf path = {0};
    unsigned char *in = orch_xmalloc(v->n ? v->n : 1);
    size_t node;
    int r = 0;

    memset(in, ORCH_IN_FULL, v->n ? v->n : 1);
    orch_dirq_push(&w.q, ORCH_DIRQ_ROOT, "", in);
    while (r == 0 && orch_dirq_pop(&w.q, &node, &path))
        r = walk_mdir(&w, node, &path);
    orch_dirq_fini(&w.q);
    return r < 0 ? orch_layer_fail(err, r, "cannot read the merged directory", path.data ? path.data : "")
                 : 0;
}
