/* layer_build.c - writing a layer by hand: directories, whiteouts, and the scaffold of a plan. See layer.h.
 */
#include "sandbox/layer_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

int orch_build_init(struct orch_build *b, const char *dir, struct orch_err *err)
{
    b->fd = orch_openat2(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, 0);
    return b->fd < 0 ? orch_layer_fail(err, b->fd, "cannot open the layer", dir) : 0;
}

void orch_build_fini(struct orch_build *b)
{
    for (size_t i = 0; i < b->n_dirs; i++)
        free(b->dirs[i].path);
    free(b->dirs);
    b->dirs = NULL;
    b->n_dirs = b->cap_dirs = 0;
    orch_close_fdp(&b->fd);
}

static void note_dir(struct orch_build *b, const char *path, mode_t mode, const struct timespec *mtime)
{
    if (b->n_dirs == b->cap_dirs) {
        b->cap_dirs = b->cap_dirs ? b->cap_dirs * 2 : 16;
        b->dirs = orch_xreallocarray(b->dirs, b->cap_dirs, sizeof(*b->dirs));
    }
    b->dirs[b->n_dirs++] = (struct orch_build_dir){orch_xstrdup(path), *mtime, mode};
}

/* What the directory is to look like; a directory of neither view gets 0755 and the time of its making. */
static int dir_looks(const struct orch_build *b, const char *path, struct orch_entry *ret)
{
    int r = orch_view_lookup(b->view, path, ret);

    if (r == 0 && ret->type != 'd' && b->second) {
        orch_entry_fini(ret);
        r = orch_view_lookup(b->second, path, ret);
    }
    if (r == 0 && ret->type != 'd') {
        orch_entry_fini(ret);
        *ret = (struct orch_entry){.type = 'd', .mode = 0755, .mtime.tv_nsec = UTIME_NOW};
    }
    return r;
}

static int make_dir(struct orch_build *b, int parent, const char *path, const char *name)
{
    struct orch_entry ORCH_AUTO(orch_entry_fini) e = {0};
    int fd, r = dir_looks(b, path, &e);

    if (r < 0)
        return r;
    if (mkdirat(parent, name, 0700) < 0)
        return -errno;
    fd = orch_tree_open(parent, name, O_RDONLY | O_DIRECTORY);
    if (fd >= 0 && (b->uid != (uid_t)-1 || b->gid != (gid_t)-1) && fchown(fd, b->uid, b->gid) < 0) {
        r = -errno;
        (void)close(fd);
        return r;
    }
    note_dir(b, path, e.mode, &e.mtime);
    b->used = true;
    return fd;
}

int orch_build_dir(struct orch_build *b, const char *path)
{
    ORCH_AUTO_FD int dir = orch_tree_open(b->fd, "", O_RDONLY | O_DIRECTORY);
    ORCH_AUTO_BUF struct orch_buf at = {0};
    char name[ORCH_NAME_SIZE];
    int fd;

    if (!orch_layer_path_ok(path))
        return -EINVAL;
    while (dir >= 0 && orch_layer_next(&path, name)) {
        if (at.len)
            orch_buf_char(&at, '/');
        orch_buf_str(&at, name);
        fd = orch_tree_open(dir, name, O_RDONLY | O_DIRECTORY);
        if (fd == -ENOENT)
            fd = make_dir(b, dir, at.data, name);
        if (fd < 0)
            return fd == -ELOOP ? -ENOTDIR : fd;
        orch_close_fdp(&dir);
        dir = fd;
    }
    return ORCH_TAKE_FD(dir);
}

int orch_build_file(const struct orch_build *b, int dir, const char *name, int in, const struct orch_entry *e)
{
    ORCH_AUTO_FD int out = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int r = out < 0 ? -errno : orch_copy_bytes(in, out, e->size);

    return r < 0 ? r : orch_dress_fd(out, b->uid, b->gid, e->mode, &e->mtime);
}

int orch_build_link(const struct orch_build *b, int dir, const char *name, const struct orch_entry *e)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, e->mtime};

    if (symlinkat(e->target, dir, name) < 0)
        return -errno;
    if ((b->uid != (uid_t)-1 || b->gid != (gid_t)-1) &&
        fchownat(dir, name, b->uid, b->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

int orch_build_whiteout(struct orch_build *b, const char *path)
{
    const char *name;
    ORCH_AUTO_FREE char *parent = orch_layer_parent(path, &name);
    ORCH_AUTO_FD int dir = orch_build_dir(b, parent);

    if (dir < 0)
        return dir == -ENOTDIR ? 0 : dir; /* something above hides it already */
    b->used = true;
    if (mknodat(dir, name, S_IFCHR, 0) < 0)
        return errno == EEXIST ? 0 : -errno;
    if ((b->uid != (uid_t)-1 || b->gid != (gid_t)-1) &&
        fchownat(dir, name, b->uid, b->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return 0;
}

static int finish_dir(struct orch_build *b, const struct orch_build_dir *d)
{
    ORCH_AUTO_FD int fd = orch_tree_open(b->fd, d->path, O_RDONLY | O_DIRECTORY);

    if (fd < 0)
        return fd;
    return orch_dress_fd(fd, (uid_t)-1, (gid_t)-1, d->mode, &d->mtime);
}

int orch_build_finish(struct orch_build *b, struct orch_err *err)
{
    int r;

    for (size_t i = b->n_dirs; i-- > 0;) { /* children first: making them changed the parent's time */
        r = finish_dir(b, &b->dirs[i]);
        if (r < 0)
            return orch_layer_fail(err, r, "cannot finish the directory", b->dirs[i].path);
    }
    return 0;
}

struct scaffold {
    struct orch_build b;
    const struct orch_plan *plan;
    struct orch_err *err;
};

/* Path relative to the workspace, or NULL if it is not strictly beneath it. */
static const char *relative(const struct orch_plan *plan, const char *path)
{
    size_t n = strlen(plan->workspace);

    if (!orch_path_beneath(path, plan->workspace) || strcmp(path, plan->workspace) == 0)
        return NULL;
    return strcmp(plan->workspace, "/") == 0 ? path + 1 : path + n + 1;
}

static bool shows(const struct orch_place *p)
{
    return p->kind == ORCH_PLACE_SCRATCH || (p->kind == ORCH_PLACE_WSRULE && p->access != ORCH_ACCESS_NONE);
}

/* A place with access lies at (strict: beneath) the workspace path. */
static bool shown_within(const struct orch_plan *plan, const char *rel, bool strict)
{
    const char *p;
    size_t n = strlen(rel);

    for (size_t i = 0; i < plan->n_places; i++) {
        p = shows(&plan->places[i]) ? relative(plan, plan->places[i].path) : NULL;
        if (!p || strncmp(p, rel, n) != 0)
            continue;
        if (p[n] == '/' || (p[n] == '\0' && !strict))
            return true;
    }
    return false;
}

static bool is_shown(const struct orch_plan *plan, const char *rel)
{
    return shown_within(plan, rel, false) && !shown_within(plan, rel, true);
}

static int hide_children(struct scaffold *s, const char *rel, struct orch_strv *todo)
{
    struct orch_strv ORCH_AUTO(orch_strv_fini) names = {0};
    int r = orch_view_list(s->b.view, rel, &names);

    for (size_t i = 0; i < names.n && r == 0; i++) {
        ORCH_AUTO_FREE char *child = orch_xasprintf("%s/%s", rel, names.v[i]);
        if (!shown_within(s->plan, child, false))
            r = orch_build_whiteout(&s->b, child);
        else if (!is_shown(s->plan, child))
            orch_strv_add(todo, child);
    }
    return r;
}

/*
 * Hides what the view has at rel. Where a wider rule or a scratch place lies beneath, the way to it stays and
 * all else in each directory on that way is hidden.
 */
static int hide(struct scaffold *s, const char *rel)
{
    struct orch_strv ORCH_AUTO(orch_strv_fini) todo = {0};
    struct orch_entry ORCH_AUTO(orch_entry_fini) e = {0};
    int r = orch_view_lookup(s->b.view, rel, &e);

    if (r < 0 || e.type == 0)
        return r;
    if (e.type != 'd' || !shown_within(s->plan, rel, true))
        return orch_build_whiteout(&s->b, rel);
    orch_strv_add(&todo, rel);
    for (size_t i = 0; i < todo.n && r == 0; i++) {
        ORCH_AUTO_FREE char *dir = orch_xstrdup(todo.v[i]);
        r = hide_children(s, dir, &todo);
    }
    return r == -ENOTDIR ? 0 : r;
}

static int mount_point(struct scaffold *s, const char *rel)
{
    struct orch_entry ORCH_AUTO(orch_entry_fini) e = {0};
    int fd, r = orch_view_lookup(s->b.view, rel, &e);

    if (r < 0 || e.type == 'd')
        return r;
    if (e.type)
        return -ENOTDIR;
    fd = orch_build_dir(&s->b, rel);
    if (fd < 0)
        return fd;
    (void)close(fd);
    return 0;
}

static int scaffold_place(struct scaffold *s, const struct orch_place *p)
{
    const char *rel = relative(s->plan, p->path);
    int r = 0;

    if (!rel)
        return 0;
    if (p->kind == ORCH_PLACE_SCRATCH)
        r = mount_point(s, rel);
    else if (p->kind == ORCH_PLACE_WSRULE && p->access == ORCH_ACCESS_NONE)
        r = hide(s, rel);
    return r < 0 ? orch_layer_fail(s->err, r, "cannot prepare", p->path) : 0;
}

static bool hidden_anywhere(const struct orch_plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->n_anywhere; i++) {
        if (plan->anywhere[i].access == ORCH_ACCESS_NONE &&
            (!name || strcmp(plan->anywhere[i].name, name) == 0))
            return true;
    }
    return false;
}

static int hide_anywhere(const char *path, const char *name, unsigned char d_type, void *ctx)
{
    struct scaffold *s = ctx;
    struct orch_decision decision;
    ORCH_AUTO_FREE char *abs = NULL;
    int r;

    (void)d_type;
    if (!hidden_anywhere(s->plan, name))
        return 0;
    abs = orch_xasprintf("%s/%s", strcmp(s->plan->workspace, "/") == 0 ? "" : s->plan->workspace, path);
    orch_plan_decide(s->plan, abs, ORCH_REQ_LOOK, &decision); /* a more specific rule may show it */
    if (decision.verdict != ORCH_HIDE)
        return 0;
    r = hide(s, path);
    return r < 0 ? r : 1;
}

bool orch_layer_wants_scaffold(const struct orch_plan *plan)
{
    for (size_t i = 0; i < plan->n_places; i++) {
        const struct orch_place *p = &plan->places[i];

        if (p->kind == ORCH_PLACE_SCRATCH || (p->kind == ORCH_PLACE_WSRULE && p->access == ORCH_ACCESS_NONE))
            return true;
    }
    return hidden_anywhere(plan, NULL);
}

int orch_layer_scaffold(const struct orch_view *v, const struct orch_plan *plan, const char *dir, uid_t uid,
                        gid_t gid, bool *ret_used, struct orch_err *err)
{
    struct scaffold s = {.b = {.view = v, .fd = -1, .uid = uid, .gid = gid}, .plan = plan, .err = err};
    int r = orch_build_init(&s.b, dir, err);

    for (size_t i = 0; i < plan->n_places && r == 0; i++)
        r = scaffold_place(&s, &plan->places[i]);
    if (r == 0 && hidden_anywhere(plan, NULL))
        r = orch_view_walk(v, hide_anywhere, &s, err);
    if (r == 0)
        r = orch_build_finish(&s.b, err);
    if (r == 0)
        *ret_used = s.b.used;
    orch_build_fini(&s.b);
    return r;
}
