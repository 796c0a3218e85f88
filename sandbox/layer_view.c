/* layer_view.c - opening a stack of trees and looking at single paths of it. See layer.h. */
#include "sandbox/layer_int.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static int add_tree(struct orch_view *v, const char *path, bool layer, struct orch_err *err)
{
    int fd = orch_openat2(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, 0);

    if (fd < 0)
        return orch_layer_fail(err, fd, layer ? "cannot open the layer" : "cannot open the workspace", path);
    v->t[v->n++] = (struct orch_view_tree){orch_xstrdup(path), fd, layer};
    return 0;
}

int orch_view_open(const struct orch_strv *layers, const char *workspace, struct orch_view *ret,
                   struct orch_err *err)
{
    struct orch_view v = {0};
    size_t n = layers ? layers->n : 0;
    int r = 0;

    v.t = orch_xcalloc(n + 1, sizeof(*v.t));
    for (size_t i = 0; i < n && r == 0; i++)
        r = add_tree(&v, layers->v[i], true, err);
    if (r == 0 && workspace)
        r = add_tree(&v, workspace, false, err);
    if (r < 0)
        orch_view_fini(&v);
    else
        *ret = v;
    return r;
}

void orch_view_fini(struct orch_view *v)
{
    for (size_t i = 0; i < v->n; i++) {
        free(v->t[i].path);
        orch_close_fdp(&v->t[i].fd);
    }
    free(v->t);
    *v = (struct orch_view){0};
}

void orch_entry_fini(struct orch_entry *e)
{
    free(e->target);
    *e = (struct orch_entry){0};
}

/* A path taken apart: the directory that holds it, its last name and what is there. */
struct spot {
    struct orch_mdir dir;
    char name[ORCH_NAME_SIZE]; /* "." for the root */
    struct orch_side side[2];
    unsigned char *in; /* the trees that take part in it as a directory */
    bool by_symlink;   /* absent because a symlink is on the way */
};

static void spot_fini(struct spot *s)
{
    orch_mdir_fini(&s->dir);
    orch_free_ptrp(&s->in);
}

static int find_root(const struct orch_view *v, struct spot *s)
{
    if (v->n == 0)
        return 0;
    memset(s->in, ORCH_IN_FULL, v->n);
    if (fstat(v->t[0].fd, &s->side[0].st) < 0)
        return -errno;
    s->side[0].found = true;
    return 0;
}

static int find(const struct orch_view *v, const char *path, struct spot *s)
{
    char next[ORCH_NAME_SIZE];
    int r;

    if (!orch_layer_path_ok(path))
        return -EINVAL;
    s->in = orch_xcalloc(v->n ? v->n : 1, 1);
    r = orch_mdir_root(v, &s->dir);
    if (r < 0)
        return r;
    if (!orch_layer_next(&path, s->name)) {
        s->name[0] = '.';
        s->name[1] = '\0';
        return find_root(v, s);
    }
    for (;;) {
        r = orch_mdir_step(&s->dir, s->name, s->side, s->in);
        if (r < 0 || !s->side[0].found || !orch_layer_next(&path, next))
            return r;
        if (!S_ISDIR(s->side[0].st.st_mode)) {
            s->by_symlink = S_ISLNK(s->side[0].st.st_mode);
            s->side[0].found = false;
            return 0;
        }
        r = orch_mdir_down(&s->dir, s->name, s->in);
        if (r < 0)
            return r;
        memcpy(s->name, next, sizeof(next));
    }
}

int orch_view_lookup(const struct orch_view *v, const char *path, struct orch_entry *ret)
{
    struct spot ORCH_AUTO(spot_fini) s = {0};
    int r = find(v, path, &s);

    return r < 0 ? r : orch_mdir_entry(&s.dir, s.name, &s.side[0], ret);
}

int orch_view_open_file(const struct orch_view *v, const char *path)
{
    struct spot ORCH_AUTO(spot_fini) s = {0};
    int r = find(v, path, &s);

    if (r < 0)
        return r;
    if (!s.side[0].found)
        return s.by_symlink ? -ELOOP : -ENOENT;
    return orch_tree_open_file(s.dir.fd[s.side[0].tree], s.name);
}

int orch_view_list(const struct orch_view *v, const char *path, struct orch_strv *ret)
{
    struct spot ORCH_AUTO(spot_fini) s = {0};
    struct orch_names ORCH_AUTO(orch_names_fini) names = {0};
    int r = find(v, path, &s);

    if (r < 0)
        return r;
    if (!s.side[0].found)
        return -ENOENT;
    if (!S_ISDIR(s.side[0].st.st_mode))
        return -ENOTDIR;
    r = orch_mdir_down(&s.dir, s.name, s.in);
    if (r == 0)
        r = orch_mdir_list(&s.dir, &names);
    for (size_t i = 0; i < names.n && r == 0; i++)
        orch_strv_add(ret, names.v[i].s);
    return r;
}
