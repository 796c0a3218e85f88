/*
 * apply_unsafe.c - what would run by itself once it is in the real workspace (design 8, invariant 9): git
 * hooks and configuration, agent and editor configuration, privilege bits, and links that lead out. See
 * apply.h.
 */
#include "supervisor/apply.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/xattr.h>
#include "common/escape.h"
#include "common/glob.h"
#include "sandbox/layer_int.h"

#define MAX_LINKS 40 /* as the kernel's MAXSYMLINKS */

/* Names compare without ASCII case: the workspace may lie on a file system, or go to one, that does so. */
static const char *const protected_names[] = {".gitmodules", ".envrc",  ".mcp.json", ".claude",
                                              ".codex",      ".vscode", ".github"};

/* Entries of a git directory that make git run or include something, with everything beneath. */
static const char *const git_entries[] = {
    "hooks",     "config", "config.worktree", "info/attributes", "info/exclude", "modules",
    "commondir", "gitdir", "rebase-merge",    "rebase-apply",    "sequencer",    "objects/info/alternates"};

/* In place of a reason: the host, and not the path, is why it cannot be judged. */
static const char host_trouble[] = "cannot be judged now";

static bool name_is(const char *p, size_t n, const char *name)
{
    return strlen(name) == n && strncasecmp(p, name, n) == 0;
}

static bool is_git_entry(const char *rest)
{
    size_t n;

    for (size_t i = 0; i < ORCH_NELEM(git_entries); i++) {
        n = strlen(git_entries[i]);
        if (strncasecmp(rest, git_entries[i], n) == 0 && (rest[n] == '\0' || rest[n] == '/'))
            return true;
    }
    return false;
}

/* The path behind n components, or NULL if there are fewer. */
static const char *skip(const char *path, size_t n)
{
    for (; n && path; n--) {
        path = strchr(path, '/');
        path = path ? path + 1 : NULL;
    }
    return path;
}

/* rest: the path within a `.git`. A linked work tree's own directory is a git directory too. */
static bool git_dangerous(const char *rest)
{
    const char *inner = name_is(rest, strcspn(rest, "/"), "worktrees") ? skip(rest, 2) : NULL;

    return is_git_entry(rest) || (inner && is_git_entry(inner));
}

static bool any_case(const struct orch_strv *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++) {
        if (strcasecmp(names->v[i], name) == 0)
            return true;
    }
    return false;
}

/*
 * git takes any directory with a HEAD and either refs and objects, or a commondir that says where those are,
 * for a repository, whatever its name (safe.bareRepository is off by default).
 */
static int is_bare_git(const struct orch_view *v, const char *dir)
{
    struct orch_strv ORCH_AUTO(orch_strv_fini) names = {0};
    int r = orch_view_list(v, dir, &names);

    if (r < 0)
        return orch_errno_is_host(-r) ? r : 1; /* cannot be told */
    return any_case(&names, "HEAD") &&
           (any_case(&names, "commondir") || (any_case(&names, "refs") && any_case(&names, "objects")));
}

static bool makes_bare_git(const struct orch_change *c, const char *p)
{
    static const char *const marks[] = {"HEAD", "refs", "objects", "commondir"};

    for (size_t i = 0; c->kind == ORCH_CREATED && i < ORCH_NELEM(marks); i++) {
        if (strcasecmp(p, marks[i]) == 0)
            return true;
    }
    return false;
}

/* p: a component of c's path. */
static const char *check_bare(const struct orch_view *v, const struct orch_change *c, const char *p)
{
    ORCH_AUTO_FREE char *dir = NULL;
    int bare;

    if (!is_git_entry(p) && !makes_bare_git(c, p))
        return NULL;
    dir = orch_xstrndup(c->path, p > c->path ? (size_t)(p - c->path) - 1 : 0);
    bare = is_bare_git(v, dir);
    if (bare <= 0)
        return bare < 0 ? host_trouble : NULL;
    return is_git_entry(p) ? "configuration of a bare git directory"
                           : "bare git directory that was not there";
}

static const char *check_dot_git(const struct orch_change *c, const char *rest)
{
    if (*rest == '\0') /* a .git file names a git directory: any change of it is as good as a new one */
        return c->before.type == 'd' && c->after.type == 'd' ? NULL : ".git that was not there or changed";
    if (c->after.type == 'l')
        return "symlink in a git directory";
    return git_dangerous(rest + 1) ? "hook or configuration of a git directory" : NULL;
}

static const char *check_component(const struct orch_view *v, const struct orch_change *c, const char *p)
{
    size_t n = strcspn(p, "/");

    for (size_t i = 0; i < ORCH_NELEM(protected_names); i++) {
        if (name_is(p, n, protected_names[i]))
            return "protected name";
    }
    return name_is(p, n, ".git") ? check_dot_git(c, p + n) : check_bare(v, c, p);
}

static const char *check_name(const struct orch_view *v, const struct orch_change *c)
{
    const char *why = NULL;
    bool in_git = false;

    for (const char *p = c->path; p && !why; p = skip(p, 1)) {
        if (!in_git)
            why = check_component(v, c, p);
        if (name_is(p, strcspn(p, "/"), ".git"))
            in_git = true; /* names in there are git's own: branches may be called anything */
    }
    return why;
}

static const char *check_caps(const struct orch_view *v, const struct orch_change *c)
{
    ORCH_AUTO_FD int fd = orch_tree_open_file(v->t[c->after.tree].fd, c->path);
    ssize_t n;

    if (fd < 0)
        return orch_errno_is_host(-fd) ? host_trouble : "cannot be read";
    n = fgetxattr(fd, "security.capability", NULL, 0);
    if (n >= 0)
        return "file capabilities";
    if (errno == ENODATA || errno == EOPNOTSUPP)
        return NULL;
    return orch_errno_is_host(errno) ? host_trouble : "attributes cannot be read";
}

struct trail { /* where a link leads: components from the workspace's root, and what is still to be walked */
    struct orch_strv at;
    struct orch_strv todo; /* last component first */
    unsigned links;
};

static void drop_last(struct orch_strv *sv)
{
    free(sv->v[--sv->n]);
    sv->v[sv->n] = NULL;
}

static char *join(const struct orch_strv *sv)
{
    struct orch_buf b = {0};

    for (size_t i = 0; i < sv->n; i++) {
        if (i)
            orch_buf_char(&b, '/');
        orch_buf_str(&b, sv->v[i]);
    }
    return orch_buf_take(&b);
}

static void split(const char *path, struct orch_strv *out)
{
    for (size_t n; *path; path += n + (path[n] == '/')) {
        n = strcspn(path, "/");
        if (n && !(n == 1 && *path == '.'))
            orch_strv_add_take(out, orch_xstrndup(path, n));
    }
}

static void push_target(struct trail *t, const char *target)
{
    struct orch_strv ORCH_AUTO(orch_strv_fini) parts = {0};

    split(target, &parts);
    for (size_t i = parts.n; i-- > 0;)
        orch_strv_add(&t->todo, parts.v[i]);
}

/* If what the trail stands at is a link, its target is walked next. */
static const char *follow(const struct orch_view *v, struct trail *t)
{
    struct orch_entry ORCH_AUTO(orch_entry_fini) e = {0};
    ORCH_AUTO_FREE char *path = join(&t->at);

    int r = orch_view_lookup(v, path, &e);

    if (r < 0)
        return orch_errno_is_host(-r) ? host_trouble : "symlink whose target cannot be looked at";
    if (e.type != 'l')
        return NULL;
    if (++t->links > MAX_LINKS)
        return "symlink loop";
    if (*e.target == '/')
        return "symlink out of the workspace";
    drop_last(&t->at);
    push_target(t, e.target);
    return NULL;
}

/* v NULL: by the letters alone, as tools that normalise paths do. */
static const char *walk_trail(const struct orch_view *v, struct trail *t)
{
    const char *why = NULL;

    while (t->todo.n && !why) {
        ORCH_AUTO_FREE char *name = orch_xstrdup(t->todo.v[t->todo.n - 1]);
        drop_last(&t->todo);
        if (strcmp(name, "..") == 0) {
            if (t->at.n == 0)
                return "symlink out of the workspace";
            drop_last(&t->at);
            continue;
        }
        orch_strv_add(&t->at, name);
        if (v)
            why = follow(v, t);
    }
    return why;
}

static const char *check_link(const struct orch_view *v, const struct orch_change *c)
{
    const char *name, *why = NULL;
    ORCH_AUTO_FREE char *dir = orch_layer_parent(c->path, &name);

    if (*c->after.target == '/')
        return "symlink out of the workspace";
    for (size_t i = 0; i < 2 && !why; i++) {
        struct trail t = {0};
        split(dir, &t.at);
        push_target(&t, c->after.target);
        why = walk_trail(i ? v : NULL, &t);
        orch_strv_fini(&t.at);
        orch_strv_fini(&t.todo);
    }
    return why;
}

/* A directory's setgid bit hands its group on to what others make in it. It comes by itself in a directory
 * that has it, as it would outside; any other was set by the agent. */
static const char *check_directory(const struct orch_view *v, const struct orch_change *c)
{
    mode_t gained = c->after.mode & ~(c->before.type == 'd' ? c->before.mode : 0);
    struct orch_entry ORCH_AUTO(orch_entry_fini) up = {0};
    ORCH_AUTO_FREE char *dir = NULL;
    const char *name;
    int r;

    if (gained & S_ISUID)
        return "setuid bit on a directory";
    if (!(gained & S_ISGID))
        return NULL;
    dir = orch_layer_parent(c->path, &name);
    r = orch_view_lookup(v, dir, &up);
    if (r < 0)
        return orch_errno_is_host(-r) ? host_trouble : "directory that cannot be looked at";
    return up.mode & S_ISGID ? NULL : "setgid bit on a directory";
}

static const char *check_object(const struct orch_view *v, const struct orch_change *c)
{
    switch (c->after.type) {
    case 0:
        return NULL;
    case 'd':
        return check_directory(v, c);
    case 'f':
        return c->after.mode & (S_ISUID | S_ISGID) ? "setuid or setgid bit" : check_caps(v, c);
    case 'l':
        return check_link(v, c);
    case 'p':
        return "FIFO";
    case 's':
        return "socket";
    default:
        return "device";
    }
}

int orch_apply_unsafe(const struct orch_view *full, const struct orch_changes *c,
                      const struct orch_strv *allow, struct orch_strv *ret)
{
    for (size_t i = 0; i < c->n; i++) {
        ORCH_AUTO_FREE char *shown = NULL;
        const char *why;
        if (allow && orch_glob_match_any(allow, c->v[i].path))
            continue;
        why = check_name(full, &c->v[i]);
        if (!why)
            why = check_object(full, &c->v[i]);
        if (why == host_trouble)
            return -EIO;
        if (!why)
            continue;
        shown = orch_escape_str(c->v[i].path);
        orch_strv_add_take(ret, orch_xasprintf("%s: %s", shown, why));
    }
    return 0;
}
