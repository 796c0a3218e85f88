/*
 * apply.c - merging a change list into the real workspace. See apply.h.
 *
 * Passes: check, prepare the directories that will be written in, remove, make directories, replace files and
 * links, then modes, times and fsync of directories. Each looks at what is there first, so that doing all of
 * it again after a crash ends in the same tree. No path is resolved but beneath the pinned root without
 * symlinks, so a workspace that changes meanwhile gives a conflict and never a write outside of it
 * (CVE-2018-15664).
 */
#include "supervisor/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include "common/escape.h"
#include "common/exit.h"
#include "sandbox/layer_int.h"

#define TEMP_PREFIX ".orch-tmp-"
#define TEMP_DIGITS 16

struct job {
    const struct orch_view *full;
    const struct orch_changes *c;
    int root;
    uid_t uid;
    gid_t gid;
    struct orch_strv dirs; /* every directory an entry of which changes; sorted, unique; "" is the root */
    mode_t *found;         /* their modes before they were made writable; 0 = was not there */
    char *cached;          /* the directory last opened */
    int cached_fd;
    struct orch_err *err;
};

static int conflict(struct job *j, const char *path, const char *what)
{
    ORCH_AUTO_FREE char *shown = orch_escape_str(*path ? path : ".");

    return orch_err_exit(j->err, ORCH_EXIT_BUSY, EBUSY, "the workspace changed underneath: %s %s", shown,
                         what);
}

static void forget_dir(struct job *j)
{
    orch_free_ptrp(&j->cached);
    orch_close_fdp(&j->cached_fd);
}

/* The directory that holds path; borrowed until the next call. */
static int parent_fd(struct job *j, const char *path, const char **ret_name)
{
    ORCH_AUTO_FREE char *dir = orch_layer_parent(path, ret_name);
    int fd;

    if (j->cached && strcmp(j->cached, dir) == 0)
        return j->cached_fd;
    fd = orch_tree_open(j->root, dir, O_PATH | O_DIRECTORY);
    if (fd < 0)
        return fd;
    forget_dir(j);
    j->cached = ORCH_TAKE_PTR(dir);
    j->cached_fd = fd;
    return fd;
}

/* Type of what is at name, 0 if nothing; -errno. */
static int type_at(int dir, const char *name)
{
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    return orch_type_char(st.st_mode);
}

static int cmp_path(const void *key, const void *change)
{
    return strcmp(key, ((const struct orch_change *)change)->path);
}

static const struct orch_change *find_change(const struct job *j, const char *path)
{
    return j->c->n ? bsearch(path, j->c->v, j->c->n, sizeof(*j->c->v), cmp_path) : NULL;
}

static bool retyped(const struct orch_change *c)
{
    return c->kind == ORCH_MODIFIED && c->before.type != c->after.type;
}

static bool makes_dir(const struct orch_change *c)
{
    return c->after.type == 'd' && (c->kind == ORCH_CREATED || retyped(c));
}

/* The parent cannot be opened as a directory. That is right only if the list itself makes or removes it. */
static int check_parent(struct job *j, const char *path, int r)
{
    const char *name;
    ORCH_AUTO_FREE char *parent = orch_layer_parent(path, &name);

    if (r != -ENOENT && r != -ENOTDIR && r != -ELOOP)
        return orch_layer_fail(j->err, r, "cannot open the directory of", path);
    return find_change(j, parent) ? 0 : conflict(j, parent, "is no directory any more");
}

static int check_change(struct job *j, const struct orch_change *c)
{
    const char *name;
    int dir, now;
    bool may_lack = c->kind != ORCH_MODIFIED || retyped(c);

    if (c->kind != ORCH_DELETED && !strchr("fdl", c->after.type))
        return orch_layer_fail(j->err, -EINVAL, "neither file nor directory nor symlink:", c->path);
    dir = parent_fd(j, c->path, &name);
    if (dir < 0)
        return check_parent(j, c->path, dir);
    now = type_at(dir, name);
    if (now < 0)
        return orch_layer_fail(j->err, now, "cannot look at", c->path);
    if (now == 0)
        return may_lack ? 0 : conflict(j, c->path, "is gone");
    if (now != c->before.type && now != c->after.type)
        return conflict(j, c->path, c->before.type ? "has another type now" : "exists already");
    return 0;
}

static int cmp_str(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void collect_dirs(struct job *j)
{
    struct orch_strv all = {0};
    const char *name;

    for (size_t i = 0; i < j->c->n; i++) {
        ORCH_AUTO_FREE char *dir = orch_layer_parent(j->c->v[i].path, &name);
        if (all.n == 0 || strcmp(all.v[all.n - 1], dir) != 0)
            orch_strv_add_take(&all, ORCH_TAKE_PTR(dir));
    }
    if (all.n)
        qsort(all.v, all.n, sizeof(*all.v), cmp_str);
    for (size_t i = 0; i < all.n; i++) {
        if (i == 0 || strcmp(all.v[i], all.v[i - 1]) != 0)
            orch_strv_add(&j->dirs, all.v[i]);
    }
    orch_strv_fini(&all);
}

/*
 * Makes a directory of ours writable for the work; finish_dir() sets the right mode. By /proc, because a
 * directory that is not readable can be opened O_PATH only. A failure shows when something is written there.
 * Returns the mode it had, 0 unknown.
 */
static mode_t widen(int fd)
{
    ORCH_AUTO_FREE char *proc = orch_xasprintf("/proc/self/fd/%d", fd);
    struct stat st;

    if (fstat(fd, &st) < 0)
        return 0;
    if (S_ISDIR(st.st_mode) && (st.st_mode & 0700) != 0700)
        (void)chmod(proc, (st.st_mode & 07777) | 0700);
    return st.st_mode;
}

struct orch_apply_stats orch_apply_count(const struct orch_changes *c)
{
    struct orch_apply_stats n = {0};

    for (size_t i = 0; i < c->n; i++) {
        n.created += c->v[i].kind == ORCH_CREATED;
        n.modified += c->v[i].kind == ORCH_MODIFIED;
        n.deleted += c->v[i].kind == ORCH_DELETED;
    }
    return n;
}

bool orch_apply_is_temp(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t n = sizeof(TEMP_PREFIX) - 1;

    return strncmp(name, TEMP_PREFIX, n) == 0 && strspn(name + n, "0123456789abcdef") == TEMP_DIGITS &&
           name[n + TEMP_DIGITS] == '\0';
}

/* Removes what an apply that was cut off left behind. */
static int remove_temps(int dir)
{
    struct orch_names ORCH_AUTO(orch_names_fini) names = {0};
    int type, r = orch_names_read(dir, 0, &names);

    for (size_t i = 0; i < names.n && r == 0; i++) {
        if (!orch_apply_is_temp(names.v[i].s))
            continue;
        type = type_at(dir, names.v[i].s);
        if ((type == 'f' || type == 'l') && unlinkat(dir, names.v[i].s, 0) < 0)
            r = -errno;
    }
    return r;
}

static int prepare_dir(struct job *j, const char *path, mode_t *ret_found)
{
    ORCH_AUTO_FD int fd = orch_tree_open(j->root, path, O_PATH | O_DIRECTORY);
    int r;

    if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP) /* made by a later pass, or removed already */
        return 0;
    if (fd < 0)
        return orch_layer_fail(j->err, fd, "cannot open", path);
    *ret_found = widen(fd);
    r = remove_temps(fd);
    return r < 0 ? orch_layer_fail(j->err, r, "cannot prepare", path) : 0;
}

/* Is what is there now what the change list was made from (or already what it is to become)? Looked at just
 * before the write. */
static bool still_as_seen(int dir, const char *name, const struct orch_change *c)
{
    const struct orch_entry *known[] = {&c->before, &c->after};
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT && (c->before.type == 0 || c->before.type == 'd' || retyped(c));
    for (size_t i = 0; i < 2; i++) {
        const struct orch_entry *e = known[i];

        if (e->type == orch_type_char(st.st_mode) && (e->type != 'f' || e->size == (uint64_t)st.st_size) &&
            (e->type == 'l' || e->mode == (st.st_mode & 07777)) && e->mtime.tv_sec == st.st_mtim.tv_sec &&
            e->mtime.tv_nsec == st.st_mtim.tv_nsec)
            return true;
    }
    return false;
}

static int remove_dir(struct job *j, int dir, const char *name, const struct orch_change *c)
{
    if (unlinkat(dir, name, AT_REMOVEDIR) == 0)
        return 0;
    if (errno != ENOTEMPTY && errno != EEXIST)
        return orch_layer_fail(j->err, -errno, "cannot remove", c->path);
    /* Something that no layer knew of is in it: it stays, unless something else must take its place. */
    return c->kind == ORCH_DELETED ? 0 : conflict(j, c->path, "is not empty");
}

static int remove_one(struct job *j, const struct orch_change *c)
{
    const char *name;
    int dir, now;

    if (c->kind != ORCH_DELETED && !(retyped(c) && (c->before.type == 'd' || c->after.type == 'd')))
        return 0;
    dir = parent_fd(j, c->path, &name);
    if (dir < 0)
        return check_parent(j, c->path, dir);
    now = type_at(dir, name);
    if (now < 0)
        return orch_layer_fail(j->err, now, "cannot look at", c->path);
    if (now == 0 || now == c->after.type)
        return 0;
    if (now != c->before.type)
        return conflict(j, c->path, "has another type now");
    if (now == 'd')
        return remove_dir(j, dir, name, c);
    if (!still_as_seen(dir, name, c))
        return conflict(j, c->path, "was changed meanwhile");
    if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
        return orch_layer_fail(j->err, -errno, "cannot remove", c->path);
    return 0;
}

static bool owns(const struct job *j)
{
    return j->uid != (uid_t)-1 || j->gid != (gid_t)-1;
}

static int make_one_dir(struct job *j, const struct orch_change *c)
{
    ORCH_AUTO_FD int fd = -1;
    const char *name;
    int dir;

    if (!makes_dir(c))
        return 0;
    dir = parent_fd(j, c->path, &name);
    if (dir < 0)
        return orch_layer_fail(j->err, dir, "cannot open the directory of", c->path);
    if (mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
        return orch_layer_fail(j->err, -errno, "cannot make", c->path);
    fd = orch_tree_open(dir, name, O_PATH | O_DIRECTORY);
    if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
        return conflict(j, c->path, "is no directory");
    if (fd < 0)
        return orch_layer_fail(j->err, fd, "cannot open", c->path);
    widen(fd);
    if (owns(j) && fchownat(fd, "", j->uid, j->gid, AT_EMPTY_PATH) < 0)
        return orch_layer_fail(j->err, -errno, "cannot give away", c->path);
    return 0;
}

static int temp_name(char ret[sizeof(TEMP_PREFIX) + TEMP_DIGITS])
{
    uint64_t id;

    if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
        return -EIO;
    (void)snprintf(ret, sizeof(TEMP_PREFIX) + TEMP_DIGITS, TEMP_PREFIX "%016llx", (unsigned long long)id);
    return 0;
}

static int fill_file(struct job *j, const struct orch_change *c, int dir, const char *temp)
{
    ORCH_AUTO_FD int in = orch_tree_open_file(j->full->t[c->after.tree].fd, c->path);
    ORCH_AUTO_FD int out = -1;
    int r;

    if (in < 0)
        return in;
    out = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (out < 0)
        return -errno;
    r = orch_copy_bytes(in, out, c->after.size);
    if (r == 0)
        r = orch_dress_fd(out, j->uid, j->gid, c->after.mode, &c->after.mtime);
    if (r == 0 && fsync(out) < 0)
        r = -errno;
    return r;
}

static int fill_link(struct job *j, const struct orch_change *c, int dir, const char *temp)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, c->after.mtime};

    if (symlinkat(c->after.target, dir, temp) < 0)
        return -errno;
    if (owns(j) && fchownat(dir, temp, j->uid, j->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return utimensat(dir, temp, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* Replacing by rename also leaves the other names of a hard-linked file alone. */
static int replace_one(struct job *j, const struct orch_change *c)
{
    char temp[sizeof(TEMP_PREFIX) + TEMP_DIGITS];
    const char *name;
    int dir, r;

    if (c->kind == ORCH_DELETED || c->after.type == 'd')
        return 0;
    dir = parent_fd(j, c->path, &name);
    if (dir < 0)
        return orch_layer_fail(j->err, dir, "cannot open the directory of", c->path);
    r = temp_name(temp);
    if (r < 0)
        return orch_layer_fail(j->err, r, "no random name for", c->path);
    r = c->after.type == 'f' ? fill_file(j, c, dir, temp) : fill_link(j, c, dir, temp);
    if (r == 0 && !still_as_seen(dir, name, c)) {
        (void)unlinkat(dir, temp, 0);
        return conflict(j, c->path, "was changed meanwhile");
    }
    if (r == 0 && renameat(dir, temp, dir, name) < 0)
        r = -errno;
    if (r == 0)
        return 0;
    (void)unlinkat(dir, temp, 0);
    if (r == -EISDIR || r == -EEXIST)
        return conflict(j, c->path, "has another type now");
    return orch_layer_fail(j->err, r, "cannot write", c->path);
}

static mode_t found_mode(const struct job *j, const char *path)
{
    char *const *at = j->dirs.n ? bsearch(&path, j->dirs.v, j->dirs.n, sizeof(*j->dirs.v), cmp_str) : NULL;

    return at ? j->found[at - j->dirs.v] : 0;
}

/* Mode the directory must have in the end: -1 = leave. One that the list does not change gets back what it
 * had before it was made writable: others may have changed it. */
static int final_mode(const struct job *j, const char *path, const struct orch_change *c)
{
    mode_t found = found_mode(j, path);

    if (c)
        return (int)c->after.mode;
    return found ? (int)(found & 07777) : -1;
}

static int finish_dir(struct job *j, const char *path)
{
    ORCH_AUTO_FD int fd = orch_tree_open(j->root, path, O_RDONLY | O_DIRECTORY);
    const struct orch_change *c = find_change(j, path);
    struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};
    struct stat st;
    int mode = final_mode(j, path, c);

    if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP) /* deleted, or replaced as the list says */
        return c && c->after.type == 'd' ? conflict(j, path, "is no directory any more") : 0;
    if (fd < 0)
        return orch_layer_fail(j->err, fd, "cannot open", path);
    if (fstat(fd, &st) < 0)
        return orch_layer_fail(j->err, -errno, "cannot look at", path);
    if (c && c->after.type != 'd') /* to be deleted, but something of the user's keeps it */
        return 0;
    if (mode >= 0 && (st.st_mode & 07777) != (mode_t)mode && fchmod(fd, (mode_t)mode) < 0)
        return orch_layer_fail(j->err, -errno, "cannot set the mode of", path);
    if (c && makes_dir(c)) {
        times[1] = c->after.mtime;
        if (futimens(fd, times) < 0)
            return orch_layer_fail(j->err, -errno, "cannot set the time of", path);
    }
    return fsync(fd) < 0 ? orch_layer_fail(j->err, -errno, "cannot sync", path) : 0;
}

/* Children first: a mode may shut the way to them. */
static int finish_dirs(struct job *j)
{
    struct orch_strv ORCH_AUTO(orch_strv_fini) all = {0};
    int r = 0;

    orch_strv_copy(&all, &j->dirs);
    for (size_t i = 0; i < j->c->n; i++) {
        if (j->c->v[i].after.type == 'd')
            orch_strv_add(&all, j->c->v[i].path);
    }
    if (all.n)
        qsort(all.v, all.n, sizeof(*all.v), cmp_str);
    for (size_t i = all.n; i-- > 0 && r == 0;) {
        if (i + 1 == all.n || strcmp(all.v[i], all.v[i + 1]) != 0)
            r = finish_dir(j, all.v[i]);
    }
    return r;
}

typedef int (*change_fn)(struct job *j, const struct orch_change *c);

static int each(struct job *j, change_fn fn)
{
    int r = 0;

    for (size_t i = 0; i < j->c->n && r == 0; i++)
        r = fn(j, &j->c->v[i]);
    forget_dir(j);
    return r;
}

/* Deepest first: a path sorts behind the directories it is in. */
static int each_backwards(struct job *j, change_fn fn)
{
    int r = 0;

    for (size_t i = j->c->n; i-- > 0 && r == 0;)
        r = fn(j, &j->c->v[i]);
    forget_dir(j);
    return r;
}

static int run(struct job *j)
{
    int r = each(j, check_change);

    if (r < 0)
        return r;
    collect_dirs(j);
    j->found = orch_xcalloc(j->dirs.n + 1, sizeof(*j->found));
    for (size_t i = 0; i < j->dirs.n && r == 0; i++)
        r = prepare_dir(j, j->dirs.v[i], &j->found[i]);
    if (r == 0)
        r = each_backwards(j, remove_one);
    if (r == 0)
        r = each(j, make_one_dir);
    if (r == 0)
        r = each(j, replace_one);
    return r == 0 ? finish_dirs(j) : r;
}

static void count(const struct orch_changes *c, struct orch_apply_stats *ret)
{
    *ret = (struct orch_apply_stats){0};
    for (size_t i = 0; i < c->n; i++) {
        ret->created += c->v[i].kind == ORCH_CREATED;
        ret->modified += c->v[i].kind == ORCH_MODIFIED;
        ret->deleted += c->v[i].kind == ORCH_DELETED;
    }
}

int orch_apply(const struct orch_view *full, const struct orch_changes *c, const char *workspace, uid_t uid,
               gid_t gid, struct orch_apply_stats *ret, struct orch_err *err)
{
    struct job j = {.full = full, .c = c, .uid = uid, .gid = gid, .cached_fd = -1, .err = err};
    int r;

    j.root = orch_openat2(AT_FDCWD, workspace, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, 0);
    if (j.root < 0)
        return orch_layer_fail(err, j.root, "cannot open the workspace", workspace);
    r = run(&j);
    if (r == 0)
        count(c, ret);
    orch_strv_fini(&j.dirs);
    free(j.found);
    orch_close_fdp(&j.root);
    return r;
}
