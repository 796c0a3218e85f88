/* tools_set.c - the growing set of closure entries, and the walk along symlinks. */
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <string.h>
#include "common/io.h"
#include "policy/tools_internal.h"

#define MAX_LINKS 40 /* like the kernel */

/* ---- string map ---- */

static int compare_nodes(const void *a, const void *b)
{
    const struct orch_map_node *x = a, *y = b;
    return strcmp(x->key, y->key);
}

struct orch_map_node *orch_map_get(const struct orch_map *m, const char *key)
{
    struct orch_map_node probe = {.key = orch_xstrdup(key)};
    void *found = tfind(&probe, &m->root, compare_nodes);
    free(probe.key);
    return found ? *(struct orch_map_node **)found : NULL;
}

struct orch_map_node *orch_map_put(struct orch_map *m, const char *key, bool *ret_new)
{
    struct orch_map_node *fresh = orch_xcalloc(1, sizeof(*fresh));
    fresh->key = orch_xstrdup(key);
    void *slot = tsearch(fresh, &m->root, compare_nodes);
    if (!slot)
        abort(); /* out of memory; allocation elsewhere ends the process too */
    struct orch_map_node *node = *(struct orch_map_node **)slot;
    *ret_new = node == fresh;
    if (!*ret_new) {
        free(fresh->key);
        free(fresh);
    }
    return node;
}

static void free_node(void *p)
{
    struct orch_map_node *n = p;
    free(n->key);
    free(n->value);
    free(n);
}

void orch_map_fini(struct orch_map *m)
{
    tdestroy(m->root, free_node);
    m->root = NULL;
}

/* ---- entries ---- */

static unsigned rank(enum orch_closure_kind kind)
{
    switch (kind) {
    case ORCH_CLOSURE_PROGRAM:
        return 5;
    case ORCH_CLOSURE_LOADER:
        return 4;
    case ORCH_CLOSURE_LIBRARY:
        return 3;
    case ORCH_CLOSURE_DIR:
        return 2;
    case ORCH_CLOSURE_DATA_DIR:
        return 1;
    case ORCH_CLOSURE_LINK:
    default:
        return 0;
    }
}

void orch_tools_add(struct orch_resolver *r, enum orch_closure_kind kind, const char *path, const char *why)
{
    bool added;
    struct orch_map_node *node = orch_map_put(&r->by_path, path, &added);
    if (!added) {
        struct orch_closure_entry *e = &r->c.v[node->index];
        if (rank(kind) > rank(e->kind)) {
            e->kind = kind;
            free(e->why);
            e->why = orch_xstrdup(why);
        }
        return;
    }
    node->index = r->c.n;
    if ((r->c.n & (r->c.n - 1)) == 0) /* capacity is the next power of two */
        r->c.v = orch_xreallocarray(r->c.v, r->c.n ? r->c.n * 2 : 1, sizeof(r->c.v[0]));
    r->c.v[r->c.n++] =
        (struct orch_closure_entry){.kind = kind, .path = orch_xstrdup(path), .why = orch_xstrdup(why)};
}

const char *orch_tools_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- walk ---- */

struct walk {
    struct orch_buf out;    /* real path so far, "" for the root */
    char *rest;             /* what is still to be walked; owned */
    struct orch_strv links; /* committed only if the whole path exists */
    unsigned n_links;
};

static void walk_fini(struct walk *w)
{
    orch_buf_fini(&w->out);
    free(w->rest);
    orch_strv_fini(&w->links);
}

static void drop_component(struct orch_buf *out)
{
    while (out->len > 0 && out->data[out->len - 1] != '/')
        out->len--;
    if (out->len > 0)
        out->len--;
    if (out->data)
        out->data[out->len] = '\0';
}

/* Takes one component: a plain one is kept, a symlink's target goes in front of the rest. */
static int walk_component(struct walk *w, const char *component, const char *rest)
{
    size_t before = w->out.len;
    orch_buf_char(&w->out, '/');
    orch_buf_str(&w->out, component);
    ORCH_AUTO_FREE char *target = orch_readlink(AT_FDCWD, w->out.data);
    if (!target) {
        if (errno != EINVAL) /* EINVAL: exists, and is no symlink */
            return -errno;
        free(w->rest);
        w->rest = orch_xstrdup(rest);
        return 0;
    }
    if (++w->n_links > MAX_LINKS)
        return -ELOOP;
    orch_strv_add(&w->links, w->out.data);
    w->out.len = target[0] == '/' ? 0 : before;
    w->out.data[w->out.len] = '\0';
    free(w->rest);
    w->rest = orch_xasprintf("%s/%s", target, rest);
    return 0;
}

static int walk_step(struct walk *w)
{
    char *start = w->rest + strspn(w->rest, "/");
    size_t n = strcspn(start, "/");
    ORCH_AUTO_FREE char *component = orch_xstrndup(start, n);
    ORCH_AUTO_FREE char *rest = orch_xstrdup(start + n);
    if (strcmp(component, "..") == 0)
        drop_component(&w->out);
    if (n == 0 || strcmp(component, ".") == 0 || strcmp(component, "..") == 0) {
        free(w->rest);
        w->rest = ORCH_TAKE_PTR(rest);
        return 0;
    }
    return walk_component(w, component, rest);
}

char *orch_tools_walk(struct orch_resolver *r, const char *path, const char *why)
{
    ORCH_AUTO(walk_fini) struct walk w = {.rest = orch_xstrdup(path)};
    if (path[0] != '/') {
        errno = EINVAL;
        return NULL;
    }
    while (w.rest[0] != '\0') {
        int err = walk_step(&w);
        if (err < 0) {
            errno = -err;
            return NULL;
        }
    }
    for (size_t i = 0; i < w.links.n; i++)
        orch_tools_add(r, ORCH_CLOSURE_LINK, w.links.v[i], why);
    return w.out.len > 0 ? orch_buf_take(&w.out) : orch_xstrdup("/");
}
