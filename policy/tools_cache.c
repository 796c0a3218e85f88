/*
 * tools_cache.c - resolutions of tool lists, kept for the next plan and for the next process.
 *
 * A kept resolution is used only while everything that it rests on is as it was: every file, directory and
 * link that the resolver looked at, this very program among them (sights.h). So it says what a fresh
 * resolution would say. Times that are too young to show a further change are not trusted: such a resolution
 * is not kept. What is the caller's (tool list, PATH, identity) is in the key.
 *
 * On disk: a checksum of the rest in hex, then length-prefixed fields. A file that is not ours alone, or that
 * is damaged, is as none. There is nothing in it that the owner of the state directory could not do anyway.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <search.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/hash.h"
#include "common/io.h"
#include "policy/tools_internal.h"

#define MAGIC "orch-sandbox closure 3"
#define MAX_BYTES (16u << 20)
#define MAX_FILES 64u
#define PREFIX "closure-"

struct kept {
    char key[ORCH_HEX_SIZE];
    struct orch_buf blob;
    bool on_disk;
};

struct orch_closure_cache {
    char *dir; /* NULL: in memory only */
    struct kept *v;
    size_t n;
};

/* ---- writing fields ---- */

static void put_number(struct orch_buf *b, uint64_t v)
{
    orch_buf_add(b, &v, sizeof(v));
}

static void put_text(struct orch_buf *b, const char *s)
{
    size_t n = strlen(s) + 1;
    put_number(b, n);
    orch_buf_add(b, s, n);
}

static void put_list(struct orch_buf *b, const struct orch_strv *sv)
{
    put_number(b, sv->n);
    for (size_t i = 0; i < sv->n; i++)
        put_text(b, sv->v[i]);
}

static void put_entries(struct orch_buf *b, const struct orch_closure *c)
{
    put_number(b, c->n);
    for (size_t i = 0; i < c->n; i++) {
        put_number(b, c->v[i].kind);
        put_text(b, c->v[i].path);
        put_text(b, c->v[i].why);
    }
}

static void put_sights(struct orch_buf *b, struct orch_sights *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += orch_sights_counts(s, i);
    put_number(b, n);
    for (size_t i = 0; i < s->n; i++) {
        const struct orch_sight *v = &s->v[i];
        const uint64_t numbers[] = {
            (uint64_t)v->errnum, v->mode,  v->uid, v->gid, v->dev, v->ino, v->size, (uint64_t)v->mtime,
            (uint64_t)v->ctime,  v->listed};
        if (!orch_sights_counts(s, i))
            continue;
        put_text(b, v->path);
        orch_buf_add(b, numbers, sizeof(numbers));
    }
}

struct program_list {
    struct orch_buf text;
    uint64_t n;
};

/* Programs that could not be added stand with the reason, so that the answer stays the same. */
static void put_program(const void *nodep, VISIT which, void *closure)
{
    const struct orch_map_node *const *slot = nodep;
    struct program_list *list = closure;
    if (which != postorder && which != leaf)
        return;
    put_text(&list->text, (*slot)->key);
    put_text(&list->text, (*slot)->value ? (*slot)->value : "");
    list->n++;
}

static void put_programs(struct orch_buf *b, const struct orch_map *programs)
{
    struct program_list list = {0};
    twalk_r(programs->root, put_program, &list);
    put_number(b, list.n);
    orch_buf_add(b, list.text.data, list.text.len);
    orch_buf_fini(&list.text);
}

static void encode(const char *key, struct orch_resolver *r, struct orch_buf *b)
{
    put_text(b, MAGIC);
    put_text(b, key);
    put_sights(b, &r->sights);
    put_entries(b, &r->c);
    put_programs(b, &r->programs);
    put_list(b, &r->c.names);
    put_list(b, &r->c.dropped);
    put_list(b, &r->lib_dirs);
    put_list(b, &r->own_dirs);
    put_list(b, &r->used);
    put_number(b, r->libc_done);
}

/* ---- reading fields ---- */

struct reader {
    const char *p, *end;
    bool bad; /* sticky: what is read afterwards is 0, "" and nothing */
};

static uint64_t get_number(struct reader *in)
{
    uint64_t v = 0;
    if (in->bad || (size_t)(in->end - in->p) < sizeof(v)) {
        in->bad = true;
        return 0;
    }
    memcpy(&v, in->p, sizeof(v));
    in->p += sizeof(v);
    return v;
}

static const char *get_text(struct reader *in)
{
    uint64_t n = get_number(in);
    const char *s = in->p;
    if (in->bad || n == 0 || n > (uint64_t)(in->end - in->p) || s[n - 1] != '\0') {
        in->bad = true;
        return "";
    }
    in->p += n;
    return s;
}

static void get_list(struct reader *in, struct orch_strv *sv)
{
    for (uint64_t n = get_number(in); n > 0 && !in->bad; n--)
        orch_strv_add(sv, get_text(in));
}

/* Compares each sight with the host as it is read. */
static bool sights_hold(struct reader *in)
{
    for (uint64_t n = get_number(in); n > 0 && !in->bad; n--) {
        struct orch_sight v = {0};
        const char *path = get_text(in);
        v.errnum = (int)get_number(in);
        v.mode = (uint32_t)get_number(in);
        v.uid = (uint32_t)get_number(in);
        v.gid = (uint32_t)get_number(in);
        v.dev = get_number(in);
        v.ino = get_number(in);
        v.size = get_number(in);
        v.mtime = (int64_t)get_number(in);
        v.ctime = (int64_t)get_number(in);
        v.listed = get_number(in) != 0;
        if (in->bad || !orch_sight_holds(&v, path))
            return false;
    }
    return !in->bad;
}

static void get_entries(struct reader *in, struct orch_resolver *r)
{
    for (uint64_t n = get_number(in); n > 0 && !in->bad; n--) {
        uint64_t kind = get_number(in);
        const char *path = get_text(in), *why = get_text(in);
        if (kind > ORCH_CLOSURE_LINK)
            in->bad = true;
        if (!in->bad)
            orch_tools_add(r, (enum orch_closure_kind)kind, path, why);
    }
}

static void get_programs(struct reader *in, struct orch_resolver *r)
{
    for (uint64_t n = get_number(in); n > 0 && !in->bad; n--) {
        const char *key = get_text(in), *value = get_text(in);
        bool added;
        struct orch_map_node *node = in->bad ? NULL : orch_map_put(&r->programs, key, &added);
        if (node && added && value[0])
            node->value = orch_xstrdup(value);
    }
}

static bool decode(const struct orch_buf *blob, const char *key, struct orch_resolver *r)
{
    struct reader in = {.p = blob->data, .end = blob->data + blob->len};
    if (strcmp(get_text(&in), MAGIC) != 0 || strcmp(get_text(&in), key) != 0 || !sights_hold(&in))
        return false;
    get_entries(&in, r);
    get_programs(&in, r);
    get_list(&in, &r->c.names);
    get_list(&in, &r->c.dropped);
    get_list(&in, &r->lib_dirs);
    get_list(&in, &r->own_dirs);
    get_list(&in, &r->used);
    r->libc_done = get_number(&in) != 0;
    return !in.bad && in.p == in.end;
}

/* ---- files ---- */

static bool only_ours(int fd, mode_t type)
{
    struct stat st;
    return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == type && st.st_uid == geteuid() &&
           (st.st_mode & 0022) == 0 && (type == S_IFDIR || st.st_nlink == 1);
}

static int open_dir(const char *path)
{
    ORCH_AUTO_FD int fd = path ? open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    return fd >= 0 && only_ours(fd, S_IFDIR) ? ORCH_TAKE_FD(fd) : -1;
}

static bool read_kept(const char *dir_path, const char *key, struct orch_buf *ret)
{
    ORCH_AUTO_FD int dir = open_dir(dir_path), fd = -1;
    ORCH_AUTO_FREE char *name = orch_xasprintf(PREFIX "%s", key);
    char hex[ORCH_HEX_SIZE];
    if (dir < 0)
        return false;
    fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || !only_ours(fd, S_IFREG) || orch_read_all(fd, MAX_BYTES, ret) < 0 ||
        ret->len < ORCH_HEX_SIZE)
        return false;
    orch_checksum_buf(ret->data + ORCH_HEX_SIZE - 1, ret->len - (ORCH_HEX_SIZE - 1), hex);
    if (memcmp(hex, ret->data, ORCH_HEX_SIZE - 1) != 0)
        return false;
    ret->len -= ORCH_HEX_SIZE - 1;
    memmove(ret->data, ret->data + ORCH_HEX_SIZE - 1, ret->len);
    return true;
}

/* Not synced: a torn file has another digest, and then it is as none. */
static int write_kept(int dir, const struct kept *k)
{
    ORCH_AUTO_FREE char *name = orch_xasprintf(PREFIX "%s", k->key);
    ORCH_AUTO_FREE char *temp = orch_xasprintf("%s.%ld", name, (long)getpid());
    ORCH_AUTO_FD int fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    char hex[ORCH_HEX_SIZE];
    if (fd < 0)
        return -errno;
    orch_checksum_buf(k->blob.data, k->blob.len, hex);
    int r = orch_write_all(fd, hex, ORCH_HEX_SIZE - 1);
    if (r == 0)
        r = orch_write_all(fd, k->blob.data, k->blob.len);
    if (r == 0 && renameat(dir, temp, dir, name) < 0)
        r = -errno;
    if (r < 0)
        (void)unlinkat(dir, temp, 0);
    return r;
}

/* Keys of other programs, PATHs and tool lists pile up: beyond so many, all go. */
static void bound_files(int dir)
{
    int copy = fcntl(dir, F_DUPFD_CLOEXEC, 0);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    struct orch_strv names = {0};
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
        if (strncmp(e->d_name, PREFIX, strlen(PREFIX)) == 0)
            orch_strv_add(&names, e->d_name);
    for (size_t i = 0; names.n >= MAX_FILES && i < names.n; i++)
        (void)unlinkat(dir, names.v[i], 0);
    orch_strv_fini(&names);
    if (d)
        (void)closedir(d);
    else
        orch_close_fdp(&copy);
}

/* ---- the cache ---- */

struct orch_closure_cache *orch_closure_cache_new(const char *dir)
{
    struct orch_closure_cache *c = orch_xcalloc(1, sizeof(*c));
    c->dir = dir ? orch_xstrdup(dir) : NULL;
    return c;
}

void orch_closure_cache_save(struct orch_closure_cache *c)
{
    ORCH_AUTO_FD int dir = -1;
    bool due = false;
    for (size_t i = 0; i < c->n; i++)
        due = due || !c->v[i].on_disk;
    if (!due || !c->dir || orch_mkdir_p(c->dir, 0700) < 0)
        return;
    dir = open_dir(c->dir);
    if (dir < 0)
        return;
    bound_files(dir);
    for (size_t i = 0; i < c->n; i++)
        c->v[i].on_disk = c->v[i].on_disk || write_kept(dir, &c->v[i]) == 0;
}

void orch_closure_cache_free(struct orch_closure_cache *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n; i++)
        orch_buf_fini(&c->v[i].blob);
    free(c->v);
    free(c->dir);
    free(c);
}

static struct kept *find_kept(struct orch_closure_cache *c, const char *key)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->v[i].key, key) == 0)
            return &c->v[i];
    c->v = orch_xreallocarray(c->v, c->n + 1, sizeof(*c->v));
    c->v[c->n] = (struct kept){.on_disk = true}; /* nothing to write yet */
    memcpy(c->v[c->n].key, key, ORCH_HEX_SIZE);
    return &c->v[c->n++];
}

bool orch_tools_cache_get(struct orch_closure_cache *c, const char *key, struct orch_resolver *r)
{
    struct kept *k = find_kept(c, key);
    if (k->blob.len == 0 && !read_kept(c->dir, key, &k->blob)) {
        orch_buf_reset(&k->blob);
        return false;
    }
    if (decode(&k->blob, key, r))
        return true;
    orch_buf_reset(&k->blob);
    return false;
}

void orch_tools_cache_put(struct orch_closure_cache *c, const char *key, struct orch_resolver *r,
                          int64_t begun)
{
    struct kept *k = find_kept(c, key);
    orch_buf_reset(&k->blob);
    k->on_disk = true;
    if (r->sights.blind || orch_sights_fresh(&r->sights, begun))
        return;
    encode(key, r, &k->blob);
    k->on_disk = k->blob.len > MAX_BYTES - ORCH_HEX_SIZE;
}

/* ---- the key ---- */

static void hash_text(struct orch_sha256 *h, const char *s)
{
    orch_sha256_add(h, s ? s : "", s ? strlen(s) + 1 : 1);
    orch_sha256_add(h, s ? "1" : "0", 1);
}

/* Whether a file can be read depends on who asks. */
static void hash_identity(struct orch_sha256 *h)
{
    const uid_t ids[] = {geteuid(), getegid()};
    gid_t groups[256];
    int n = getgroups((int)ORCH_NELEM(groups), groups);
    orch_sha256_add(h, ids, sizeof(ids));
    if (n > 0)
        orch_sha256_add(h, groups, (size_t)n * sizeof(groups[0]));
}

void orch_tools_cache_key(const struct orch_profile *p, const struct orch_strv *search,
                          char ret[ORCH_HEX_SIZE])
{
    struct orch_sha256 *h = orch_sha256_new();
    hash_text(h, MAGIC);
    hash_identity(h);
    for (size_t i = 0; i < search->n; i++)
        hash_text(h, search->v[i]);
    hash_text(h, p->tools_all ? "*" : NULL);
    for (size_t i = 0; i < p->n_tools; i++) {
        hash_text(h, p->tools[i].name);
        hash_text(h, p->tools[i].path);
        hash_text(h, p->tools[i].optional ? "optional" : "required");
        for (size_t k = 0; k < p->tools[i].with.n; k++)
            hash_text(h, p->tools[i].with.v[k]);
        hash_text(h, NULL);
    }
    orch_sha256_hex(h, ret);
}
