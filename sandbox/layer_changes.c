/*
 * layer_changes.c - what the newest trees of a view change. See layer.h.
 *
 * One walk over both merged views at once. A directory needs a visit only if a new tree has it, or if the new
 * trees hide something older in it; so the cost is that of the layer and of what it hides, not of the
 * workspace. Of many directories a second thread takes its share: all of the time is spent in system calls.
 */
#include "sandbox/layer_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#define HELP_FROM 24 /* directories waiting: what they cost is more than a thread and its wake-up */

struct diff {
    const struct orch_view *v;
    size_t n_new;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t more;  /* a directory was found, or the end is near */
    struct orch_dirq q;
    size_t busy;          /* threads that may still find directories */
    int r;                /* the first failure */
    struct orch_buf path; /* where it was */
};

struct worker {
    struct diff *d;
    struct orch_changes out;
    size_t cap;
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

static void emit(struct worker *w, const char *path, enum orch_change_kind kind, struct orch_entry *before,
                 struct orch_entry *after)
{
    struct orch_changes *c = &w->out;

    if (c->n == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 64;
        c->v = orch_xreallocarray(c->v, w->cap, sizeof(*c->v));
    }
    c->v[c->n++] = (struct orch_change){orch_xstrdup(path), kind, *before, *after};
    *before = (struct orch_entry){0};
    *after = (struct orch_entry){0};
}

static int compare(struct worker *w, const struct orch_mdir *m, const char *path, const char *name,
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
        emit(w, path, after.type ? ORCH_CREATED : ORCH_DELETED, &before, &after);
        return 0;
    }
    r = same(m, name, side, &after, &before);
    if (r == 0)
        emit(w, path, ORCH_MODIFIED, &before, &after);
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

static void push(struct diff *d, size_t node, const char *name, const unsigned char *in)
{
    unsigned char *own = orch_xmalloc(d->v->n);

    memcpy(own, in, d->v->n);
    (void)pthread_mutex_lock(&d->lock);
    orch_dirq_push(&d->q, node, name, own);
    (void)pthread_cond_signal(&d->more);
    (void)pthread_mutex_unlock(&d->lock);
}

static int visit_name(struct worker *w, const struct orch_mdir *m, size_t node, const char *name,
                      struct orch_buf *path)
{
    struct orch_side side[2];
    size_t len = path->len;
    int r = orch_mdir_step(m, name, side, w->in);

    if (r < 0)
        return r;
    if (len)
        orch_buf_char(path, '/');
    orch_buf_str(path, name);
    r = compare(w, m, path->data, name, side);
    path->len = len;
    path->data[len] = '\0';
    if (r == 0 && (has_new(w->d, w->in) || cuts(w->d, w->in)))
        push(w->d, node, name, w->in);
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

static int visit(struct worker *w, size_t node, const unsigned char *in, struct orch_buf *path)
{
    struct orch_mdir ORCH_AUTO(orch_mdir_fini) m = {0};
    struct orch_names ORCH_AUTO(orch_names_fini) names = {0};
    int r = orch_mdir_open(w->d->v, path->data, in, &m);

    if (r == 0)
        r = candidates(w->d, &m, &names);
    for (size_t i = 0; i < names.n && r == 0; i++) {
        if (i == 0 || strcmp(names.v[i].s, names.v[i - 1].s) != 0)
            r = visit_name(w, &m, node, names.v[i].s, path);
    }
    return r;
}

/* ---- the threads ---- */

/* Under the lock. Waits for a directory; false: there is none left, or something failed. */
static bool take(struct diff *d, size_t *ret_node, unsigned char **ret_in, struct orch_buf *path)
{
    while (d->r == 0 && d->q.n_todo == 0 && d->busy > 0)
        (void)pthread_cond_wait(&d->more, &d->lock);
    if (d->r < 0 || !orch_dirq_pop(&d->q, ret_node, path))
        return false;
    *ret_in = ORCH_TAKE_PTR(d->q.v[*ret_node].data);
    d->busy++;
    return true;
}

/* Under the lock. */
static void give_back(struct diff *d, int r, const struct orch_buf *path)
{
    d->busy--;
    if (r < 0 && d->r == 0) {
        d->r = r;
        orch_buf_add(&d->path, path->data, path->len);
    }
    if (d->r < 0 || (d->busy == 0 && d->q.n_todo == 0))
        (void)pthread_cond_broadcast(&d->more);
}

/* Works until nothing is left, or, with until not 0, until so many directories wait. */
static void work(struct worker *w, size_t until)
{
    ORCH_AUTO_BUF struct orch_buf path = {0};
    struct diff *d = w->d;
    unsigned char *in;
    size_t node;
    int r;

    (void)pthread_mutex_lock(&d->lock);
    while ((until == 0 || d->q.n_todo < until) && take(d, &node, &in, &path)) {
        (void)pthread_mutex_unlock(&d->lock);
        r = visit(w, node, in, &path);
        free(in);
        (void)pthread_mutex_lock(&d->lock);
        give_back(d, r, &path);
    }
    (void)pthread_mutex_unlock(&d->lock);
}

static void *help(void *worker)
{
    work(worker, 0);
    return NULL;
}

/* Without signals: they are for the main thread. */
static bool start(struct worker *w, pthread_t *ret)
{
    pthread_attr_t attr;
    sigset_t all;
    bool ok = pthread_attr_init(&attr) == 0;

    if (!ok)
        return false;
    (void)sigfillset(&all);
    ok = pthread_attr_setsigmask_np(&attr, &all) == 0 && pthread_create(ret, &attr, help, w) == 0;
    (void)pthread_attr_destroy(&attr);
    return ok;
}

static void work_all(struct worker w[2])
{
    pthread_t thread;
    bool helped;

    work(&w[0], HELP_FROM);
    helped = w[0].d->q.n_todo > 0 && w[0].d->r == 0 && start(&w[1], &thread);
    work(&w[0], 0);
    if (helped)
        (void)pthread_join(thread, NULL);
}

/* ---- all of it ---- */

static int cmp_changes(const void *a, const void *b)
{
    const struct orch_change *x = a, *y = b;

    return strcmp(x->path, y->path);
}

static void join(struct orch_changes *a, struct orch_changes *b)
{
    if (b->n) {
        a->v = orch_xreallocarray(a->v, a->n + b->n, sizeof(*a->v));
        memcpy(a->v + a->n, b->v, b->n * sizeof(*b->v));
        a->n += b->n;
    }
    free(b->v);
    *b = (struct orch_changes){0};
    if (a->n)
        qsort(a->v, a->n, sizeof(*a->v), cmp_changes);
}

static int walk(struct diff *d, struct orch_changes *ret, struct orch_err *err)
{
    struct worker w[2] = {{.d = d}, {.d = d}};
    unsigned char *in = orch_xmalloc(d->v->n);

    for (size_t i = 0; i < d->v->n; i++)
        in[i] = (unsigned char)(ORCH_IN_FULL | (i >= d->n_new ? ORCH_IN_OLD : 0));
    orch_dirq_push(&d->q, ORCH_DIRQ_ROOT, "", in);
    for (size_t i = 0; i < 2; i++)
        w[i].in = orch_xcalloc(d->v->n, 1);
    work_all(w);
    for (size_t i = 0; i < 2; i++)
        free(w[i].in);
    join(&w[0].out, &w[1].out);
    if (d->r < 0) {
        orch_changes_fini(&w[0].out);
        return orch_layer_fail(err, d->r, "cannot compare the directory", d->path.data ? d->path.data : "");
    }
    *ret = w[0].out;
    return 0;
}

int orch_view_changes(const struct orch_view *full, size_t n_new, struct orch_changes *ret,
                      struct orch_err *err)
{
    struct diff d = {
        .v = full, .n_new = n_new, .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};
    int r;

    if (n_new > full->n)
        return orch_err_set(err, EINVAL, "more new layers than layers");
    if (full->n == 0 || n_new == 0) {
        *ret = (struct orch_changes){0};
        return 0;
    }
    r = walk(&d, ret, err);
    orch_dirq_fini(&d.q);
    orch_buf_fini(&d.path);
    return r;
}
