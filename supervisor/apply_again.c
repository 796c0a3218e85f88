/*
 * apply_again.c - what an apply that was cut off still owes to directories. See apply.h.
 *
 * The change list made after a crash is that of what is not there yet. A directory that the dead supervisor
 * made is there, without its time; and one in which it wrote its last file was perhaps never synced. What it
 * had to write in is known all the same: overlay puts every directory that an agent writes in into the
 * layer.
 */
#include "supervisor/apply.h"

#include <errno.h>
#include <string.h>

#include "sandbox/layer_int.h"

static int add_dir(const struct orch_walk_entry *e, void *ctx, struct orch_err *err)
{
    (void)err;
    if (S_ISDIR(e->st->st_mode))
        orch_strv_add(ctx, e->path);
    return 0;
}

static int cmp_str(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The directories of all layers, sorted. */
static int layer_dirs(const struct orch_view *full, struct orch_strv *ret, struct orch_err *err)
{
    int r = 0;

    for (size_t i = 0; i < full->n && r == 0; i++)
        if (full->t[i].layer)
            r = orch_walk(full->t[i].fd, 0, add_dir, ret, err);
    if (ret->n)
        qsort(ret->v, ret->n, sizeof(*ret->v), cmp_str);
    return r;
}

static int cmp_change(const void *a, const void *b)
{
    return strcmp(((const struct orch_change *)a)->path, ((const struct orch_change *)b)->path);
}

/* One directory of the list's end: as if it were still to be made if it was no directory at run start, else
 * as if only its mode had changed. */
static void owe(struct orch_changes *c, size_t n_sorted, const char *path, const struct orch_entry *e,
                bool born)
{
    const struct orch_change key = {.path = (char *)(uintptr_t)path};
    struct orch_change *x = n_sorted ? bsearch(&key, c->v, n_sorted, sizeof(*c->v), cmp_change) : NULL;

    if (!x) {
        c->v = orch_xreallocarray(c->v, c->n + 1, sizeof(*c->v));
        x = &c->v[c->n++];
        *x = (struct orch_change){orch_xstrdup(path), ORCH_MODIFIED, *e, *e};
    }
    if (born && x->before.type == 'd') { /* there already, made by the apply that was cut off */
        x->kind = ORCH_CREATED;
        x->before = (struct orch_entry){0};
    }
}

int orch_apply_again(const struct orch_view *full, const struct orch_buf *kept, struct orch_changes *c,
                     struct orch_err *err)
{
    struct orch_strv ORCH_AUTO(orch_strv_fini) dirs = {0}, old = {0};
    size_t n = c->n;
    int r = orch_fingerprint_dirs(kept, &old);

    if (r < 0)
        return orch_err_set(err, EBADMSG, "the workspace's fingerprint is damaged");
    r = layer_dirs(full, &dirs, err);
    for (size_t i = 0; i < dirs.n && r == 0; i++) {
        struct orch_entry e = {0};
        bool born = !old.n || !bsearch(&dirs.v[i], old.v, old.n, sizeof(*old.v), cmp_str);

        if (i > 0 && strcmp(dirs.v[i], dirs.v[i - 1]) == 0)
            continue;
        r = orch_view_lookup(full, dirs.v[i], &e);
        if (r < 0)
            r = orch_layer_fail(err, r, "cannot look at", dirs.v[i]);
        else if (e.type == 'd')
            owe(c, n, dirs.v[i], &e, born);
        orch_entry_fini(&e);
    }
    if (c->n)
        qsort(c->v, c->n, sizeof(*c->v), cmp_change);
    return r;
}
