/* layer_walk.c - paths of any length, directory listings and the walk over one raw tree. See layer_int.h. */
#include "sandbox/layer_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include "common/escape.h"

#define CHUNK 4000 /* below PATH_MAX with room for the NUL */

int orch_layer_fail(struct orch_err *err, int r, const char *what, const char *path)
{
    ORCH_AUTO_FREE char *shown = orch_escape_str(*path ? path : ".");

    return orch_err_sys(err, -r, "%s %s", what, shown);
}

static size_t component_len(const char *p)
{
    return strcspn(p, "/");
}

bool orch_layer_path_ok(const char *path)
{
    size_t n;

    if (*path == '/')
        return false;
    for (; *path; path += n + (path[n] == '/')) {
        n = component_len(path);
        if (n > NAME_MAX || (n == 2 && path[0] == '.' && path[1] == '.'))
            return false;
    }
    return true;
}

bool orch_layer_next(const char **path, char name[ORCH_NAME_SIZE])
{
    size_t n;

    for (;;) {
        *path += strspn(*path, "/");
        n = component_len(*path);
        if (n == 0 || n >= ORCH_NAME_SIZE)
            return false;
        if (n != 1 || **path != '.')
            break;
        *path += n;
    }
    memcpy(name, *path, n);
    name[n] = '\0';
    *path += n;
    *path += strspn(*path, "/");
    return true;
}

char *orch_layer_parent(const char *path, const char **ret_name)
{
    const char *slash = strrchr(path, '/');

    *ret_name = slash ? slash + 1 : path;
    return orch_xstrndup(path, slash ? (size_t)(slash - path) : 0);
}

static int open_below(int dirfd, const char *path, int flags)
{
    uint64_t resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;

    return orch_openat2(dirfd, path, (uint64_t)(unsigned)flags, 0, resolve);
}

/* Length of the longest head of path that one call takes and that ends with a component; 0 if there is none.
 */
static size_t chunk_len(const char *path, size_t len)
{
    size_t n = CHUNK;

    if (len <= CHUNK)
        return len;
    while (n && path[n] != '/')
        n--;
    return n;
}

int orch_tree_open(int root, const char *path, int flags)
{
    ORCH_AUTO_FD int dir = -1;
    size_t len = strlen(path), n;
    int fd;

    while (len > CHUNK) {
        ORCH_AUTO_FREE char *head = NULL;
        n = chunk_len(path, len);
        if (n == 0)
            return -ENAMETOOLONG;
        head = orch_xstrndup(path, n);
        fd = open_below(dir >= 0 ? dir : root, head, O_PATH | O_DIRECTORY);
        if (fd < 0)
            return fd;
        orch_close_fdp(&dir);
        dir = fd;
        path += n + 1;
        len -= n + 1;
    }
    return open_below(dir >= 0 ? dir : root, *path ? path : ".", flags);
}

int orch_tree_open_file(int dirfd, const char *path)
{
    ORCH_AUTO_FD int probe = orch_tree_open(dirfd, path, O_PATH | O_NOFOLLOW);
    struct stat st;

    if (probe < 0)
        return probe;
    if (fstat(probe, &st) < 0)
        return -errno;
    /* Opening a device or a FIFO can have effects of its own: look first, then look again at what was opened.
     */
    if (!S_ISREG(st.st_mode))
        return S_ISLNK(st.st_mode) ? -ELOOP : -EINVAL;
    return orch_tree_open_seen(dirfd, path);
}

int orch_tree_open_seen(int dirfd, const char *path)
{
    ORCH_AUTO_FD int fd = orch_tree_open(dirfd, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY);
    struct stat st;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    return S_ISREG(st.st_mode) ? ORCH_TAKE_FD(fd) : -EINVAL;
}

#define BLOCK_SIZE 32768
#define ROOM_MIN 2048 /* for one entry at least; getdents refuses less */

struct orch_names_block {
    struct orch_names_block *next;
    size_t used;
    char data[BLOCK_SIZE] __attribute__((aligned(8))); /* of struct dirent64, as getdents64(2) writes them */
};

static bool is_dots(const char *s)
{
    return s[0] == '.' && (s[1] == '\0' || (s[1] == '.' && s[2] == '\0'));
}

static void names_add(struct orch_names *out, const struct dirent64 *de, size_t rank)
{
    if (is_dots(de->d_name))
        return;
    if (out->n == out->cap) {
        out->cap = out->cap ? out->cap * 2 : 32;
        out->v = orch_xreallocarray(out->v, out->cap, sizeof(*out->v));
    }
    out->v[out->n++] = (struct orch_name){de->d_name, de->d_ino, de->d_type, rank};
}

static struct orch_names_block *block_with_room(struct orch_names *out)
{
    struct orch_names_block *b = out->blocks;

    if (b && sizeof(b->data) - b->used >= ROOM_MIN)
        return b;
    b = orch_xmalloc(sizeof(*b));
    b->used = 0;
    b->next = out->blocks;
    out->blocks = b;
    return b;
}

int orch_names_read(int dirfd, size_t rank, struct orch_names *out)
{
    ORCH_AUTO_FD int own = -1;
    int fd = dirfd;

    if (lseek(dirfd, 0, SEEK_SET) < 0) { /* O_PATH */
        own = open_below(dirfd, ".", O_RDONLY | O_DIRECTORY);
        if (own < 0)
            return own;
        fd = own;
    }
    for (;;) {
        struct orch_names_block *b = block_with_room(out);
        char *p = b->data + b->used, *end;
        ssize_t n = getdents64(fd, p, sizeof(b->data) - b->used);

        if (n <= 0)
            return n < 0 ? -errno : 0;
        b->used += (size_t)n;
        for (end = p + n; p < end; p += ((const struct dirent64 *)(const void *)p)->d_reclen)
            names_add(out, (const struct dirent64 *)(const void *)p, rank);
    }
}

static int cmp_names(const void *a, const void *b)
{
    const struct orch_name *x = a, *y = b;
    int r = strcmp(x->s, y->s);

    return r ? r : (x->rank > y->rank) - (x->rank < y->rank);
}

void orch_names_sort(struct orch_names *names)
{
    if (names->n)
        qsort(names->v, names->n, sizeof(*names->v), cmp_names);
}

static int cmp_inodes(const void *a, const void *b)
{
    const struct orch_name *x = a, *y = b;

    return (x->ino > y->ino) - (x->ino < y->ino);
}

static void names_sort_by_inode(struct orch_names *names)
{
    if (names->n)
        qsort(names->v, names->n, sizeof(*names->v), cmp_inodes);
}

void orch_names_fini(struct orch_names *names)
{
    struct orch_names_block *next;

    for (; names->blocks; names->blocks = next) {
        next = names->blocks->next;
        free(names->blocks);
    }
    free(names->v);
    *names = (struct orch_names){0};
}

void orch_dirq_push(struct orch_dirq *q, size_t parent, const char *name, void *data)
{
    if (q->n == q->cap) {
        q->cap = q->cap ? q->cap * 2 : 64;
        q->v = orch_xreallocarray(q->v, q->cap, sizeof(*q->v));
    }
    if (q->n_todo == q->cap_todo) {
        q->cap_todo = q->cap_todo ? q->cap_todo * 2 : 64;
        q->todo = orch_xreallocarray(q->todo, q->cap_todo, sizeof(*q->todo));
    }
    q->todo[q->n_todo++] = q->n;
    q->v[q->n++] = (struct orch_dirq_node){parent, orch_xstrdup(name), data};
}

static size_t path_len(const struct orch_dirq *q, size_t node)
{
    size_t len = 0;

    for (; node != ORCH_DIRQ_ROOT; node = q->v[node].parent) {
        size_t n = strlen(q->v[node].name);
        len += n + (len && n ? 1 : 0);
    }
    return len;
}

/* The path is filled from its end: nodes only know their parents. */
static void build_path(const struct orch_dirq *q, size_t node, struct orch_buf *path)
{
    size_t len = path_len(q, node), at = len, n;
    ORCH_AUTO_FREE char *s = orch_xmalloc(len + 1);

    for (; node != ORCH_DIRQ_ROOT; node = q->v[node].parent) {
        n = strlen(q->v[node].name);
        if (n == 0)
            continue;
        if (at < len)
            s[--at] = '/';
        at -= n;
        memcpy(s + at, q->v[node].name, n);
    }
    s[len] = '\0';
    orch_buf_reset(path);
    orch_buf_add(path, s, len);
}

bool orch_dirq_pop(struct orch_dirq *q, size_t *ret_node, struct orch_buf *path)
{
    if (q->n_todo == 0)
        return false;
    *ret_node = q->todo[--q->n_todo];
    build_path(q, *ret_node, path);
    return true;
}

void orch_dirq_fini(struct orch_dirq *q)
{
    for (size_t i = 0; i < q->n; i++) {
        free(q->v[i].name);
        free(q->v[i].data);
    }
    free(q->v);
    free(q->todo);
    *q = (struct orch_dirq){0};
}

struct walk {
    int root;
    unsigned flags;
    orch_walk_fn fn;
    void *ctx;
    struct orch_dirq q;
};

static bool tolerable(const struct walk *w, int r)
{
    if (r == -EACCES)
        return (w->flags & ORCH_WALK_LIVE) && !(w->flags & ORCH_WALK_OPEN);
    return (w->flags & ORCH_WALK_LIVE) && (r == -ENOENT || r == -ENOTDIR || r == -ELOOP);
}

static int walk_name(struct walk *w, int fd, size_t node, struct orch_buf *path, const char *name,
                     struct orch_err *err)
{
    struct stat st;
    struct orch_walk_entry e = {.dirfd = fd, .name = name, .st = &st};
    size_t dir_len = path->len;
    int r = 0;

    if (dir_len)
        orch_buf_char(path, '/');
    orch_buf_str(path, name);
    e.path = path->data;
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        r = tolerable(w, -errno) ? 0 : orch_layer_fail(err, -errno, "cannot look at", path->data);
    else if ((r = w->fn(&e, w->ctx, err)) == 0 && S_ISDIR(st.st_mode))
        orch_dirq_push(&w->q, node, name, NULL);
    path->len = dir_len;
    path->data[dir_len] = '\0';
    return r;
}

static int walk_dir(struct walk *w, size_t node, struct orch_buf *path, struct orch_err *err)
{
    ORCH_AUTO_FD int fd = orch_tree_open(w->root, path->data, O_RDONLY | O_DIRECTORY);
    struct orch_names ORCH_AUTO(orch_names_fini) names = {0};
    int r;

    if (fd == -EXDEV) /* a mount: the overlay does not show what is in it */
        return 0;
    r = fd < 0 ? fd : orch_names_read(fd, 0, &names);
    if (r < 0)
        return tolerable(w, r) ? 0 : orch_layer_fail(err, r, "cannot read directory", path->data);
    if (w->flags & ORCH_WALK_ANY)
        names_sort_by_inode(&names);
    else
        orch_names_sort(&names);
    for (size_t i = 0; i < names.n && r == 0; i++)
        r = walk_name(w, fd, node, path, names.v[i].s, err);
    return r;
}

static int walk_root(struct walk *w, struct orch_err *err)
{
    struct stat st;
    struct orch_walk_entry e = {"", w->root, ".", &st};

    if (fstat(w->root, &st) < 0)
        return orch_layer_fail(err, -errno, "cannot look at", ".");
    return w->fn(&e, w->ctx, err);
}

int orch_walk(int root, unsigned flags, orch_walk_fn fn, void *ctx, struct orch_err *err)
{
    struct walk w = {.root = root, .flags = flags, .fn = fn, .ctx = ctx};
    ORCH_AUTO_BUF struct orch_buf path = {0};
    size_t node;
    int r = flags & ORCH_WALK_ROOT ? walk_root(&w, err) : 0;

    orch_dirq_push(&w.q, ORCH_DIRQ_ROOT, "", NULL);
    while (r == 0 && orch_dirq_pop(&w.q, &node, &path))
        r = walk_dir(&w, node, &path, err);
    orch_dirq_fini(&w.q);
    return r;
}
