/*
 * fingerprint.c - did the workspace change underneath? See apply.h.
 *
 * Format: MAGIC, then one record an entry, sorted bytewise by path: struct record in native byte order (it
 * never leaves the host), then the path without NUL. The root's path is ".". Unreadable directories are
 * recorded, not entered: the agent cannot see into them either. Mounts are not entered.
 */
#include "supervisor/edits.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include "common/escape.h"
#include "common/glob.h"
#include "sandbox/layer_int.h"

#define MAGIC "ORCHFP1\n"
#define MAGIC_LEN 8
#define OWNERS_SHOWN 5

struct record {
    uint64_t ino, size;
    int64_t mtime_s, ctime_s;
    uint32_t mtime_ns, ctime_ns;
    uint32_t mode; /* with the type */
    uint32_t len;  /* of the path */
};

_Static_assert(sizeof(struct record) == 48, "no padding: records are compared and kept as bytes");

struct item {
    struct record rec;
    const char *path; /* not NUL-terminated */
};

struct items {
    struct item *v;
    size_t n, cap;
};

struct scan {
    struct orch_buf paths;
    struct items items; /* path is NULL while scanning: the buffer moves */
    struct orch_first_look *look;
};

static void items_add(struct items *items, const struct record *rec, const char *path)
{
    if (items->n == items->cap) {
        items->cap = items->cap ? items->cap * 2 : 256;
        items->v = orch_xreallocarray(items->v, items->cap, sizeof(*items->v));
    }
    items->v[items->n++] = (struct item){*rec, path};
}

static int cmp_items(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    size_t n = x->rec.len < y->rec.len ? x->rec.len : y->rec.len;
    int r = memcmp(x->path, y->path, n);

    return r ? r : (x->rec.len > y->rec.len) - (x->rec.len < y->rec.len);
}

static void count_owner(struct orch_first_look *o, const struct stat *st, const char *path)
{
    if (st->st_uid == o->uid && st->st_gid == o->gid)
        return;
    if (o->foreign++ < OWNERS_SHOWN)
        orch_strv_add_take(&o->first, orch_escape_str(path));
}

static bool later(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

/* The run had begun when this changed, so what it was is not known: recorded as what nothing can equal. A
 * time in the future is a clock that went wrong. */
static bool came_late(const struct orch_first_look *o, const struct stat *st)
{
    struct timespec now;

    return later(&st->st_ctim, &o->since) && clock_gettime(CLOCK_REALTIME, &now) == 0 &&
           !later(&st->st_ctim, &now);
}

static int scan_entry(const struct orch_walk_entry *e, void *ctx, struct orch_err *err)
{
    struct scan *s = ctx;
    const struct stat *st = e->st;
    const char *path = *e->path ? e->path : ".";
    struct record rec = {.ino = st->st_ino,
                         .size = (uint64_t)st->st_size,
                         .mtime_s = st->st_mtim.tv_sec,
                         .ctime_s = st->st_ctim.tv_sec,
                         .mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
                         .ctime_ns = (uint32_t)st->st_ctim.tv_nsec,
                         .mode = st->st_mode,
                         .len = (uint32_t)strlen(path)};

    (void)err;
    if (s->look)
        count_owner(s->look, st, path);
    if (s->look && came_late(s->look, st))
        rec.mtime_ns = rec.ctime_ns = UINT32_MAX;
    items_add(&s->items, &rec, NULL);
    orch_buf_add(&s->paths, path, rec.len);
    return 0;
}

static void write_items(struct items *items, const char *paths, struct orch_buf *out)
{
    for (size_t i = 0; i < items->n; i++) {
        items->v[i].path = paths;
        paths += items->v[i].rec.len;
    }
    if (items->n)
        qsort(items->v, items->n, sizeof(*items->v), cmp_items);
    orch_buf_add(out, MAGIC, MAGIC_LEN);
    for (size_t i = 0; i < items->n; i++) {
        orch_buf_add(out, &items->v[i].rec, sizeof(items->v[i].rec));
        orch_buf_add(out, items->v[i].path, items->v[i].rec.len);
    }
}

int orch_fingerprint(const char *workspace, struct orch_buf *out, struct orch_first_look *look,
                     struct orch_err *err)
{
    ORCH_AUTO_FD int fd = orch_openat2(AT_FDCWD, workspace, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, 0);
    struct scan s = {.look = look};
    int r;

    if (fd < 0)
        return orch_layer_fail(err, fd, "cannot open the workspace", workspace);
    r = orch_walk(fd, ORCH_WALK_ROOT | ORCH_WALK_LIVE | ORCH_WALK_ANY, scan_entry, &s, err);
    if (r == 0)
        write_items(&s.items, s.paths.data, out);
    free(s.items.v);
    orch_buf_fini(&s.paths);
    return r;
}

/* Fills items with pointers into b; -EBADMSG if b is not a fingerprint. */
static int parse(const struct orch_buf *b, struct items *items)
{
    struct record rec;
    size_t at = MAGIC_LEN;

    if (b->len < MAGIC_LEN || memcmp(b->data, MAGIC, MAGIC_LEN) != 0)
        return -EBADMSG;
    while (at < b->len) {
        if (b->len - at < sizeof(rec))
            return -EBADMSG;
        memcpy(&rec, b->data + at, sizeof(rec));
        at += sizeof(rec);
        if (rec.len == 0 || rec.len > b->len - at)
            return -EBADMSG;
        items_add(items, &rec, b->data + at);
        at += rec.len;
        if (items->n > 1 && cmp_items(&items->v[items->n - 2], &items->v[items->n - 1]) >= 0)
            return -EBADMSG;
    }
    return 0;
}

int orch_fingerprint_dirs(const struct orch_buf *kept, struct orch_strv *ret)
{
    struct items items = {0};
    int r = parse(kept, &items);

    for (size_t i = 0; i < items.n && r == 0; i++)
        if (S_ISDIR(items.v[i].rec.mode))
            orch_strv_add_take(ret, orch_xstrndup(items.v[i].path, items.v[i].rec.len));
    free(items.v);
    return r;
}

struct compare {
    const struct orch_strv *ignore;
    struct orch_strv diff;    /* differing paths that are not ignored */
    struct orch_strv maybe;   /* directories of which only size or times differ */
    struct orch_strv excused; /* directories with an ignored difference in them: theirs follows from it */
    struct orch_edits *edits; /* NULL = not wanted */
};

/* Size and times of a directory follow from its entries. */
static bool only_contents(const struct record *a, const struct record *b)
{
    return S_ISDIR(a->mode) && a->mode == b->mode && a->ino == b->ino;
}

static char *parent_of(const char *path)
{
    const char *name;
    char *dir = orch_layer_parent(path, &name);

    if (*dir)
        return dir;
    free(dir);
    return orch_xstrdup(".");
}

static bool only_ctime(const struct record *a, const struct record *b)
{
    struct record x = *a;

    x.ctime_s = b->ctime_s;
    x.ctime_ns = b->ctime_ns;
    return memcmp(&x, b, sizeof(x)) == 0;
}

/* One of a and b may be NULL: then and now. */
static void add_edit(struct orch_edits *e, const char *path, const struct item *a, const struct item *b)
{
    e->v = orch_xreallocarray(e->v, e->n + 1, sizeof(*e->v));
    e->v[e->n++] = (struct orch_edit){
        .path = orch_xstrdup(path),
        .was = a ? a->rec.mode : 0,
        .is = b ? b->rec.mode : 0,
        .replaced = a && b && a->rec.ino != b->rec.ino,
        .only_ctime = a && b && only_ctime(&a->rec, &b->rec),
    };
}

/* b NULL: the path is in one of the two only. */
static void differ(struct compare *c, const struct item *a, const struct item *b)
{
    ORCH_AUTO_FREE char *path = orch_xstrndup(a->path, a->rec.len);

    if (c->ignore && orch_glob_match_any(c->ignore, path))
        orch_strv_add_take(&c->excused, parent_of(path));
    else if (b && only_contents(&a->rec, &b->rec))
        orch_strv_add_take(&c->maybe, ORCH_TAKE_PTR(path));
    else
        orch_strv_add_take(&c->diff, ORCH_TAKE_PTR(path));
}

/* What the two have under one path; one of them may have nothing. */
static void pair(struct compare *c, const struct item *a, const struct item *b)
{
    const struct item *one = a ? a : b;

    if (a && b && memcmp(&a->rec, &b->rec, sizeof(a->rec)) == 0)
        return;
    if (!c->edits)
        differ(c, one, a && b ? b : NULL);
    else if (!a || !b || !only_contents(&a->rec, &b->rec)) {
        ORCH_AUTO_FREE char *path = orch_xstrndup(one->path, one->rec.len);
        add_edit(c->edits, path, a, b);
    }
}

static void merge(struct compare *c, const struct items *a, const struct items *b)
{
    size_t i = 0, k = 0;
    int r;

    while (i < a->n || k < b->n) {
        if (i == a->n || k == b->n)
            r = i == a->n ? 1 : -1;
        else
            r = cmp_items(&a->v[i], &b->v[k]);
        pair(c, r <= 0 ? &a->v[i] : NULL, r >= 0 ? &b->v[k] : NULL);
        i += r <= 0;
        k += r >= 0;
    }
}

static int cmp_str(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort(struct orch_strv *sv)
{
    if (sv->n)
        qsort(sv->v, sv->n, sizeof(*sv->v), cmp_str);
}

static void settle(struct compare *c, size_t max, struct orch_strv *ret, size_t *ret_n)
{
    sort(&c->excused);
    for (size_t i = 0; i < c->maybe.n; i++) {
        if (!c->excused.n ||
            !bsearch(&c->maybe.v[i], c->excused.v, c->excused.n, sizeof(*c->excused.v), cmp_str))
            orch_strv_add(&c->diff, c->maybe.v[i]);
    }
    sort(&c->diff);
    for (size_t i = 0; i < c->diff.n && i < max; i++)
        orch_strv_add(ret, c->diff.v[i]);
    *ret_n = c->diff.n;
}

static void compare_fini(struct compare *c)
{
    orch_strv_fini(&c->diff);
    orch_strv_fini(&c->maybe);
    orch_strv_fini(&c->excused);
}

static int compare_now(const struct orch_buf *kept, const char *workspace, struct compare *c,
                       struct orch_err *err)
{
    ORCH_AUTO_BUF struct orch_buf now = {0};
    struct items a = {0}, b = {0};
    int r = orch_fingerprint(workspace, &now, NULL, err);

    if (r == 0 && (parse(kept, &a) < 0 || parse(&now, &b) < 0))
        r = orch_err_set(err, EBADMSG, "the workspace's fingerprint is damaged");
    if (r == 0)
        merge(c, &a, &b);
    free(a.v);
    free(b.v);
    return r;
}

int orch_fingerprint_diff(const struct orch_buf *kept, const char *workspace, const struct orch_strv *ignore,
                          size_t max, struct orch_strv *ret, size_t *ret_n, struct orch_err *err)
{
    ORCH_AUTO(compare_fini) struct compare c = {.ignore = ignore};
    int r = compare_now(kept, workspace, &c, err);

    if (r == 0)
        settle(&c, max, ret, ret_n);
    return r;
}

int orch_fingerprint_edits(const struct orch_buf *kept, const char *workspace, struct orch_edits *ret,
                           struct orch_err *err)
{
    struct compare c = {.edits = ret};

    return compare_now(kept, workspace, &c, err); /* in the order of the paths */
}
