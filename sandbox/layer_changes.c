/*
 * layer_changes.c - what the newest trees of a view change. See layer.h.
 *
 * One walk over both merged views at once. A directory needs a visit only if a new tree has it, or if the new
 * trees hide something older in it; so the cost is that of the layer and of what it hides, not of the
 * workspace.
 */
#include "sandbox/layer_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

struct diff {
    const struct orch_view *v;
    size_t n_new;
    struct orch_changes *out;
    size_t cap;
    struct orch_dirq q;
    unsigned char *in; /* scratch of a step */
};

void orch_changes_fini(struct orch_changes *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->v[i].path);
        orch_entry_fini(&c->v[i].before);
        orch_entry_fini(&c->v[i].after);
    }
    free(c->v);
    *c = (struct orch_changes){0};
}

/* 1 same bytes, 0 not, -errno. */
static int same_bytes(const struct orch_mdir *m, const char *name, const struct orch_side side[2])
{
    ORCH_AUTO_FD int a = -1;
    ORCH_AUTO_FD int b = -1;

    a = orch_tree_open_seen(m->fd[side[0].tree], name);
    if (a < 0)
        return a;
    b = orch_tree_open_seen(m->fd[side[1].tree], name);
    if (b < 0)
        return b;
    return orch_bytes_equal(a, b, (uint64_t)side[0].st.st_size);
}

/* 1 no change, 0 a change, -errno. Both entries exist. */
static int same(const struct orch_mdir *m, const char *name, const struct orch_side side[2],
                const struct orch_entry *after, const struct orch_entry *before)
{
    if (after->type != before->type)
        return 0;
    if (side[0].tree == side[1].tree)
        return 1;
    if (after->type == 'l') /* a symlink's mode means nothing */
        return strcmp(after->target, before->target) == 0;
    if (after->mode != before->mode)
        return 0;
    if (after->type == 'c' || after->type == 'b')
        return side[0].st.st_rdev == side[1].st.st_rdev;
    if (after->type != 'f')
        return 1;
    return after->size == before->size ? same_bytes(m, name, side) : 0;
}

static void emit(struct diff *d, const char *path, enum orch_change_kind kind, struct orch_entry *before,
                 struct orch_entry *after)
{
    struct orch_changes *c = d->out;

    if (c->n == d->cap) {
        d->cap = d->cap ? d->cap * 2 : 64;
        c->v = orch_xreallocarray(c->v, d->cap, sizeof(*c->v));
    }
    c->v[c->n++] = (struct orch_change){orch_xstrdup(path), kind, *before, *after};
    *before = (struct orch_entry){0};
    *after = (struct orch_entry){0};
}

static int compare(struct diff *d, const struct orch_mdir *m, const char *path, const char *name,
                   const struct orch_side side[2])
{
    struct orch_entry ORCH_AUTO(orch_entry_fini) after = {0};
    struct orch_entry ORCH_AUTO(orch_entry_fini) before = {0};
    int r = orch_mdir_entry(m, name, &side[0], &after);

    if (r == 0)
        r = orch_mdir_entry(m, name, &side[1], &before);
    if (r < 0 || (!after.type && !before.type))
        return r;
    if (!after.type || !before.type) {
        emit(d, path, after.type ? ORCH_CREATED : ORCH_DELETED, &before, &after);
        return 0;
    }
    r = same(m, name, side, &after, &before);
    if (r == 0)
        emit(d, path, ORCH_MODIFIED, &before, &after);
    return r < 0 ? r : 0;
}

static bool cuts(const struct diff *d, const unsigned char *in)
{
    for (size_t i = d->n_new; i < d->v->n; i++) {
        if ((in[i] & ORCH_IN_OLD) && !(in[i] & ORCH_IN_FULL))
            return true;
    }
    return false;
}

static bool has_new(const struct diff *d, const unsigned char *in)
{
    for (size_t i = 0; i < d->n_new; i++) {
        if (in[i])
            return true;
    }
    return false;
}

static int visit_name(struct diff *d, const struct orch_mdir *m, size_t node, const char *name,
                      struct orch_buf *path)
{
    struct orch_side side[2];
    size_t len = path->len;
    unsigned char *in;
    int r = orch_mdir_step(m, name, side, d->in);

    if (r < 0)
        return r;
    if (len)
        orch_buf_char(path, '/');
    orch_buf_str(path, name);
    r = compare(d, m, path->data, name, side);
    path->len = len;
    path->data[len] = '\0';
    if (r == 0 && (has_new(d, d->in) || cuts(d, d->in))) {
        in = orch_xmalloc(d->v->n);
        memcpy(in, d->in, d->v->n);
        orch_dirq_push(&d->q, node, name, in);
    }
    return r;
}

/* The names that can differ: those of new trees, and if older directories are hidden also all of theirs. */
static int candidates(const struct diff *d, const struct orch_mdir *m, struct orch_names *names)
{
    bool all = cuts(d, m->in);
    int r = 0;

    for (size_t i = 0; i < d->v->n && r == 0; i++) {
        if ((i < d->n_new || all) && m->in[i])
            r = orch_names_read(m->fd[i], i, names);
    }
    orch_names_sort(names);
    return r;
}

static int visit(struct diff *d, size_t node, struct orch_buf *path)
{
    struct orch_mdir ORCH_AUTO(orch_mdir_fini) m = {0};
    struct orch_names ORCH_AUTO(orch_names_fini) names = {0};
    ORCH_AUTO_FREE unsigned char *in = ORCH_TAKE_PTR(d->q.v[node].data);
    int r = orch_mdir_open(d->v, path->data, in, &m);

    if (r == 0)
        r = candidates(d, &m, &names);
    for (size_t i = 0; i < names.n && r == 0; i++) {
        if (i == 0 || strcmp(names.v[i].s, names.v[i - 1].s) != 0)
            r = visit_name(d, &m, node, names.v[i].s, path);
    }
    return r;
}

static int cmp_changes(const void *a, const void *b)
{
    const struct orch_change *x = a, *y = b;

    return strcmp(x->path, y->path);
}

static int walk(struct diff *d, struct orch_err *err)
{
    ORCH_AUTO_BUF struct orch_buf path = {0};
    unsigned char *in = orch_xmalloc(d->v->n);
    size_t node;
    int r = 0;

    for (size_t i = 0; i < d->v->n; i++)
        in[i] = (unsigned char)(ORCH_IN_FULL | (i >= d->n_new ? ORCH_IN_OLD : 0));
    orch_dirq_push(&d->q, ORCH_DIRQ_ROOT, "", in);
    while (r == 0 && orch_dirq_pop(&d->q, &node, &path))
        r = visit(d, node, &path);
    return r < 0 ? orch_layer_fail(err, r, "cannot compare the directory", path.data ? path.data : "") : 0;
}

int orch_view_changes(const struct orch_view *full, size_t n_new, struct orch_changes *ret,
                      struct orch_err *err)
{
    struct orch_changes ORCH_AUTO(orch_changes_fini) c = {0};
    struct diff d = {.v = full, .n_new = n_new, .out = &c};
    int r;

    if (n_new > full->n)
        return orch_err_set(err, EINVAL, "more new layers than layers");
    if (full->n == 0 || n_new == 0) {
        *ret = c;
        return 0;
    }
    d.in = orch_xcalloc(full->n, 1);
    r = walk(&d, err);
    free(d.in);
    orch_dirq_fini(&d.q);
    if (r < 0)
        return r;
    if (c.n)
        qsort(c.v, c.n, sizeof(*c.v), cmp_changes);
    *ret = c;
    c = (struct orch_changes){0};
    return 0;
}
