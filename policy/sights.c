/* sights.c - looks at the host's file tree, each once; see sights.h. */
#include "policy/sights.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <search.h>
#include <string.h>

#include "common/err.h"
#include "common/io.h"

#define MAX_LINKS 40  /* like the kernel */
#define MAX_MISSING 3 /* in one directory: then its times are cheaper to compare */
#define SECOND 1000000000LL

/* ---- string map ---- */

/* A probe is the address of a key alone: the key is a node's first member. */
static int compare_nodes(const void *a, const void *b)
{
    const char *x, *y;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return strcmp(x, y);
}

struct orch_map_node *orch_map_get(const struct orch_map *m, const char *key)
{
    void *found = tfind(&key, &m->root, compare_nodes);
    return found ? *(struct orch_map_node **)found : NULL;
}

struct orch_map_node *orch_map_put(struct orch_map *m, const char *key, bool *ret_new)
{
    struct orch_map_node *node = orch_map_get(m, key);
    *ret_new = node == NULL;
    if (node)
        return node;
    node = orch_xcalloc(1, sizeof(*node));
    node->key = orch_xstrdup(key);
    if (!tsearch(node, &m->root, compare_nodes))
        abort(); /* out of memory; allocation elsewhere ends the process too */
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

/* ---- one look ---- */

static int64_t nanoseconds(struct timespec t)
{
    return (int64_t)t.tv_sec * SECOND + t.tv_nsec;
}

static void take_look(const char *path, struct orch_sight *ret)
{
    struct stat st;
    if (lstat(path, &st) < 0) {
        ret->errnum = errno;
        return;
    }
    ret->mode = st.st_mode;
    ret->uid = st.st_uid;
    ret->gid = st.st_gid;
    ret->dev = st.st_dev;
    ret->ino = st.st_ino;
    ret->size = (uint64_t)st.st_size;
    ret->mtime = nanoseconds(st.st_mtim);
    ret->ctime = nanoseconds(st.st_ctim);
}

static struct orch_sight *parent_of(struct orch_sights *s, const char *path)
{
    const char *slash = strrchr(path, '/');
    ORCH_AUTO_FREE char *parent = orch_xstrndup(path, slash > path ? (size_t)(slash - path) : 1);
    (void)orch_sights_look(s, parent);
    return &s->v[orch_map_get(&s->by_path, parent)->index];
}

/* What is missing is missing in the directory that the path before its last component is. */
static void note_missing(struct orch_sights *s, const char *path)
{
    struct orch_sight *parent = strcmp(path, "/") != 0 ? parent_of(s, path) : NULL;
    if (parent && ++parent->missing > MAX_MISSING)
        parent->listed = true;
}

const struct orch_sight *orch_sights_look(struct orch_sights *s, const char *path)
{
    bool added;
    struct orch_map_node *node = orch_map_put(&s->by_path, path, &added);
    struct orch_sight look = {0};
    if (!added)
        return &s->v[node->index];
    take_look(path, &look);
    look.path = orch_xstrdup(path);
    if (S_ISLNK(look.mode)) {
        look.target = orch_readlink(AT_FDCWD, path);
        look.errnum = look.target ? 0 : errno; /* gone since */
    }
    node->index = s->n;
    if ((s->n & (s->n - 1)) == 0) /* capacity is the next power of two */
        s->v = orch_xreallocarray(s->v, s->n ? s->n * 2 : 1, sizeof(s->v[0]));
    s->v[s->n++] = look;
    if (look.errnum)
        note_missing(s, path);
    return &s->v[node->index];
}

void orch_sights_list(struct orch_sights *s, const char *real)
{
    struct orch_map_node *node;
    (void)orch_sights_look(s, real);
    node = orch_map_get(&s->by_path, real);
    s->v[node->index].listed = true;
}

/* ---- walk ---- */

struct walk {
    struct orch_sights *s;
    struct orch_buf out;     /* real path so far, "" for the root */
    char *rest;              /* what is still to be walked; owned */
    struct orch_strv *links; /* may be NULL */
    unsigned n_links;
};

static void walk_fini(struct walk *w)
{
    orch_buf_fini(&w->out);
    free(w->rest);
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
    const struct orch_sight *look = orch_sights_look(w->s, w->out.data);
    char *todo;
    if (look->errnum)
        return -look->errnum;
    if (!look->target) {
        todo = orch_xstrdup(rest);
    } else {
        if (++w->n_links > MAX_LINKS)
            return -ELOOP;
        if (w->links)
            orch_strv_add(w->links, w->out.data);
        todo = orch_xasprintf("%s/%s", look->target, rest);
        w->out.len = look->target[0] == '/' ? 0 : before;
        w->out.data[w->out.len] = '\0';
    }
    free(w->rest);
    w->rest = todo;
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

char *orch_sights_real(struct orch_sights *s, const char *path, struct orch_strv *links)
{
    ORCH_AUTO(walk_fini) struct walk w = {.s = s, .rest = orch_xstrdup(path), .links = links};
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
    return w.out.len > 0 ? orch_buf_take(&w.out) : orch_xstrdup("/");
}

int orch_sights_mode(struct orch_sights *s, const char *path, mode_t *ret)
{
    ORCH_AUTO_FREE char *real = orch_sights_real(s, path, NULL);
    if (!real)
        return -errno;
    *ret = orch_sights_look(s, real)->mode;
    return 0;
}

/* ---- names ---- */

static int compare_strings(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

static void match_in(struct orch_sights *s, const char *dir, const char *shown, const char *pattern,
                     struct orch_strv *ret)
{
    DIR *d = opendir(dir);
    size_t before = ret->n;
    if (!d && orch_errno_is_host(errno))
        s->host_errno = errno;
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
        if (fnmatch(pattern, e->d_name, FNM_PERIOD) == 0)
            orch_strv_add_take(ret, orch_xasprintf("%s/%s", shown, e->d_name));
    if (d)
        (void)closedir(d);
    if (ret->n > before + 1)
        qsort(ret->v + before, ret->n - before, sizeof(ret->v[0]), compare_strings);
}

void orch_sights_match(struct orch_sights *s, const char *pattern, struct orch_strv *ret)
{
    const char *slash = strrchr(pattern, '/');
    mode_t mode;
    if (!slash || !strpbrk(slash, "*?[")) {
        if (orch_sights_mode(s, pattern, &mode) == 0)
            orch_strv_add(ret, pattern);
        return;
    }
    ORCH_AUTO_FREE char *dir = orch_xstrndup(pattern, (size_t)(slash - pattern));
    ORCH_AUTO_FREE char *real = orch_sights_real(s, slash == pattern ? "/" : dir, NULL);
    if (!real)
        return;
    orch_sights_list(s, real);
    match_in(s, real, dir, slash + 1, ret);
}

/* ---- later ---- */

static bool times_count(const struct orch_sight *a)
{
    return !a->errnum && (a->listed || !S_ISDIR(a->mode));
}

static bool same(const struct orch_sight *a, const struct orch_sight *b)
{
    if (a->dev != b->dev || a->ino != b->ino || a->mode != b->mode || a->uid != b->uid || a->gid != b->gid)
        return false;
    return !times_count(a) || (a->size == b->size && a->mtime == b->mtime && a->ctime == b->ctime);
}

bool orch_sight_holds(const struct orch_sight *s, const char *path)
{
    struct orch_sight now = {0};
    take_look(path, &now);
    return now.errnum == s->errnum && (now.errnum || same(s, &now));
}

bool orch_sights_counts(struct orch_sights *s, size_t i)
{
    return !s->v[i].errnum || !parent_of(s, s->v[i].path)->listed;
}

bool orch_sights_fresh(const struct orch_sights *s, int64_t now)
{
    for (size_t i = 0; i < s->n; i++)
        if (times_count(&s->v[i]) && (s->v[i].mtime >= now - 2 * SECOND || s->v[i].ctime >= now - 2 * SECOND))
            return true;
    return false;
}

void orch_sights_fini(struct orch_sights *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->v[i].path);
        free(s->v[i].target);
    }
    free(s->v);
    orch_map_fini(&s->by_path);
    *s = (struct orch_sights){0};
}
