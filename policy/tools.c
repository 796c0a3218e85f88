/* tools.c - the profile's list of tools, and the command, as one closure. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include "common/io.h"
#include "policy/tools_internal.h"

struct job {
    struct orch_resolver r;
    const struct orch_profile *p;
    struct orch_diags *d;
    bool failed;
};

static void resolver_fini(struct orch_resolver *r)
{
    orch_closure_fini(&r->c);
    orch_map_fini(&r->by_path);
    orch_map_fini(&r->objects);
    orch_map_fini(&r->libraries);
    orch_map_fini(&r->programs);
    orch_strv_fini(&r->lib_dirs);
    orch_strv_fini(&r->search);
    orch_strv_fini(&r->used);
    orch_strv_fini(&r->own_dirs);
    orch_strv_fini(&r->faults);
    orch_sights_fini(&r->sights);
    *r = (struct orch_resolver){0};
}

static void job_fini(struct job *j)
{
    resolver_fini(&j->r);
}

static void add_search(struct orch_strv *search, const char *dir)
{
    if (dir[0] == '/' && !orch_strv_has(search, dir))
        orch_strv_add(search, dir);
}

/* /usr/local/bin:/usr/bin:/bin, then the caller's PATH without relative and repeated entries. */
static void find_search(struct orch_resolver *r)
{
    static const char *const standard[] = {"/usr/local/bin", "/usr/bin", "/bin"};
    for (size_t i = 0; i < ORCH_NELEM(standard); i++)
        add_search(&r->search, standard[i]);
    const char *env = getenv("PATH");
    ORCH_AUTO_FREE char *copy = orch_xstrdup(env ? env : "");
    char *save = NULL;
    for (char *dir = strtok_r(copy, ":", &save); dir; dir = strtok_r(NULL, ":", &save)) {
        size_t n = strlen(dir);
        while (n > 1 && dir[n - 1] == '/')
            dir[--n] = '\0';
        add_search(&r->search, dir);
    }
}

/* Programs have /bin/sh and /lib64/ld-linux... built in: the links of a merged /usr belong to every closure.
 */
static void add_root_links(struct orch_resolver *r)
{
    static const char *const roots[] = {"/bin", "/sbin", "/lib", "/lib64"};
    for (size_t i = 0; i < ORCH_NELEM(roots); i++) {
        ORCH_AUTO_FREE char *real = orch_tools_walk(r, roots[i], "merged /usr");
        (void)real;
    }
}

/* origin is "DOCUMENT#POINTER"; t NULL: the command. */
static void report(struct job *j, const struct orch_tool *t, const char *name, const char *msg)
{
    const char *hash = t && t->origin ? strrchr(t->origin, '#') : NULL;
    ORCH_AUTO_FREE char *file = hash ? orch_xstrndup(t->origin, (size_t)(hash - t->origin))
                                     : orch_xstrdup(j->p->file ? j->p->file : "profile");
    orch_diags_add(j->d, file, t ? t->line : 0, t ? t->col : 0, hash ? hash + 1 : NULL, "%s '%s': %s",
                   t ? "tool" : "command", name, msg);
    j->failed = true;
}

/* A resolution that the host disturbed is neither used nor kept: what it lacks may be there. */
static void report_host(struct job *j)
{
    if (!j->r.sights.host_errno)
        return;
    orch_diags_note_errno(j->d, j->r.sights.host_errno);
    orch_diags_add(j->d, j->p->file ? j->p->file : "profile", 0, 0, "/tools", "tools cannot be looked at: %s",
                   strerror(j->r.sights.host_errno));
    j->failed = true;
}

static void drop_or_report(struct job *j, const struct orch_tool *t, const char *name, const char *msg)
{
    if (t && t->optional)
        orch_strv_add(&j->r.c.dropped, name);
    else
        report(j, t, name, msg);
}

static void add_own_dir(struct job *j, const char *path)
{
    ORCH_AUTO_FREE char *dir = orch_xstrndup(path, (size_t)(orch_tools_basename(path) - path));
    size_t n = strlen(dir);
    if (n > 1)
        dir[n - 1] = '\0';
    if (!orch_strv_has(&j->r.own_dirs, dir))
        orch_strv_add(&j->r.own_dirs, dir);
}

static void add_name(struct job *j, const char *name)
{
    if (!orch_strv_has(&j->r.c.names, name))
        orch_strv_add(&j->r.c.names, name);
}

/*
 * Finds a program by name. NULL if there is none, or if it is a script: version managers put wrapper scripts
 * in front of programs, and what those would run cannot be read off (design 5.2); *ret_msg says why.
 */
static char *find_by_name(struct job *j, const char *name, const char **ret_msg)
{
    ORCH_AUTO_FREE char *path = orch_tools_lookup(&j->r, name);
    *ret_msg = "not found";
    if (!path)
        return NULL;
    *ret_msg = "is a script; give its \"path\"";
    return orch_tools_is_script(&j->r, path) == 1 ? NULL : ORCH_TAKE_PTR(path);
}

static void resolve_tool(struct job *j, const struct orch_tool *t)
{
    const char *msg = NULL;
    ORCH_AUTO_FREE char *path = t->path ? orch_xstrdup(t->path) : find_by_name(j, t->name, &msg);
    ORCH_AUTO_FREE char *why = orch_xasprintf("tool %s", t->name);
    struct orch_err err = {0};
    if (!path) {
        drop_or_report(j, t, t->name, msg);
        return;
    }
    if (orch_tools_add_program(&j->r, t->name, path, why, 0, &err) < 0) {
        drop_or_report(j, t, t->name, err.msg);
        orch_diags_note_errno(j->d, err.errnum);
        return;
    }
    ORCH_AUTO_FREE char *with = orch_xasprintf("with of tool %s", t->name);
    for (size_t i = j->r.faults.n; i-- > 0;)
        drop_or_report(j, t, t->optional ? j->r.faults.v[i] : t->name, j->r.faults.v[i]);
    orch_strv_fini(&j->r.faults);
    for (size_t i = 0; i < t->with.n; i++)
        if (orch_tools_add_extra(&j->r, t->with.v[i], with, &err) < 0 && !t->optional) {
            report(j, t, t->name, err.msg);
            orch_diags_note_errno(j->d, err.errnum);
        }
    if (t->path)
        add_own_dir(j, t->path);
    add_name(j, t->name);
}

static const struct orch_tool *find_tool(const struct orch_profile *p, const char *name)
{
    for (size_t i = 0; i < p->n_tools; i++)
        if (strcmp(p->tools[i].name, name) == 0)
            return &p->tools[i];
    return NULL;
}

static char *command_path(struct job *j, const char *command, const char **ret_msg)
{
    *ret_msg = "must be a name or an absolute path";
    if (command[0] == '/')
        return orch_xstrdup(command);
    if (command[0] == '\0' || strchr(command, '/'))
        return NULL;
    const struct orch_tool *t = find_tool(j->p, command);
    if (t && t->path)
        return orch_xstrdup(t->path);
    return find_by_name(j, command, ret_msg);
}

static char *resolve_command(struct job *j, const char *command)
{
    const char *msg = NULL;
    struct orch_err err = {0};
    ORCH_AUTO_FREE char *path = command_path(j, command, &msg);
    const char *name = orch_tools_basename(command);
    if (!path) {
        report(j, NULL, command, msg);
        return NULL;
    }
    if (orch_tools_add_program(&j->r, name, path, "the command", 0, &err) < 0) {
        report(j, NULL, command, err.msg);
        orch_diags_note_errno(j->d, err.errnum);
        return NULL;
    }
    add_name(j, name);
    return ORCH_TAKE_PTR(path);
}

static void find_path_dirs(struct job *j)
{
    struct orch_strv *dirs = &j->r.c.path_dirs;
    for (size_t i = 0; i < j->r.own_dirs.n; i++)
        add_search(dirs, j->r.own_dirs.v[i]);
    for (size_t i = 0; i < j->r.search.n; i++) {
        bool standard = i < 3 && j->p->tools_all;
        if (standard || orch_strv_has(&j->r.used, j->r.search.v[i]))
            add_search(dirs, j->r.search.v[i]);
    }
}

static int compare_entries(const void *a, const void *b)
{
    const struct orch_closure_entry *x = a, *y = b;
    return strcmp(x->path, y->path);
}

static int compare_strings(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

static const struct orch_closure_entry *find_entry(const struct orch_closure *c, char *path)
{
    struct orch_closure_entry probe = {.path = path};
    return c->n > 0 ? bsearch(&probe, c->v, c->n, sizeof(c->v[0]), compare_entries) : NULL;
}

/* Does a directory of the closure that path lies beneath give it already? copy is path, and is cut. */
static bool beneath_dir(const struct orch_closure *c, char *copy)
{
    for (char *slash = strrchr(copy, '/'); slash && slash != copy; slash = strrchr(copy, '/')) {
        *slash = '\0';
        const struct orch_closure_entry *e = find_entry(c, copy);
        if (e && e->kind == ORCH_CLOSURE_DIR)
            return true;
    }
    return false;
}

/* One mount of a directory serves all that is beneath it. Links stay: they say why. */
static void drop_covered(struct orch_closure *c)
{
    ORCH_AUTO_FREE bool *covered = orch_xcalloc(c->n + 1, sizeof(*covered));
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        ORCH_AUTO_FREE char *copy = orch_xstrdup(c->v[i].path);
        covered[i] = c->v[i].kind != ORCH_CLOSURE_LINK && beneath_dir(c, copy);
    }
    for (size_t i = 0; i < c->n; i++) {
        if (!covered[i]) {
            c->v[n++] = c->v[i];
            continue;
        }
        free(c->v[i].path);
        free(c->v[i].why);
    }
    c->n = n;
}

static void finish(struct job *j, struct orch_closure *ret)
{
    struct orch_closure *c = &j->r.c;
    find_path_dirs(j);
    if (c->n > 0)
        qsort(c->v, c->n, sizeof(c->v[0]), compare_entries);
    drop_covered(c);
    if (c->names.n > 0)
        qsort(c->names.v, c->names.n, sizeof(c->names.v[0]), compare_strings);
    *ret = *c;
    *c = (struct orch_closure){0};
}

/* The result is also this program's: another one may resolve otherwise. */
static void look_at_self(struct orch_resolver *r)
{
    ORCH_AUTO_FREE char *self = orch_readlink(AT_FDCWD, "/proc/self/exe");
    ORCH_AUTO_FREE char *real = self ? orch_sights_real(&r->sights, self, NULL) : NULL;
    r->sights.blind = !real;
}

static void resolve_list(struct job *j)
{
    look_at_self(&j->r);
    orch_tools_library_dirs(&j->r);
    add_root_links(&j->r);
    for (size_t i = 0; !j->p->tools_all && i < j->p->n_tools; i++)
        resolve_tool(j, &j->p->tools[i]);
    report_host(j);
}

static void resolve_kept_list(struct job *j, struct orch_closure_cache *cache)
{
    char key[ORCH_HEX_SIZE];
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    orch_tools_cache_key(j->p, &j->r.search, key);
    if (orch_tools_cache_get(cache, key, &j->r))
        return;
    resolver_fini(&j->r);
    find_search(&j->r);
    resolve_list(j);
    if (!j->failed)
        orch_tools_cache_put(cache, key, &j->r, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
}

int orch_tools_resolve_cached(const struct orch_profile *p, const char *command,
                              struct orch_closure_cache *cache, struct orch_closure *ret, char **ret_command,
                              struct orch_diags *d)
{
    ORCH_AUTO(job_fini) struct job j = {.p = p, .d = d};
    find_search(&j.r);
    if (cache)
        resolve_kept_list(&j, cache);
    else
        resolve_list(&j);
    ORCH_AUTO_FREE char *path = command ? resolve_command(&j, command) : NULL;
    if (!j.failed)
        report_host(&j); /* met by the command */
    if (j.failed)
        return -EINVAL;
    finish(&j, ret);
    if (command)
        *ret_command = ORCH_TAKE_PTR(path);
    return 0;
}

int orch_tools_resolve(const struct orch_profile *p, const char *command, struct orch_closure *ret,
                       char **ret_command, struct orch_diags *d)
{
    return orch_tools_resolve_cached(p, command, NULL, ret, ret_command, d);
}

void orch_closure_fini(struct orch_closure *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->v[i].path);
        free(c->v[i].why);
    }
    free(c->v);
    orch_strv_fini(&c->path_dirs);
    orch_strv_fini(&c->names);
    orch_strv_fini(&c->dropped);
    *c = (struct orch_closure){0};
}

bool orch_closure_executes(const struct orch_closure *c, const char *path)
{
    ORCH_AUTO_FREE char *copy = orch_xstrdup(path);
    const struct orch_closure_entry *e = find_entry(c, copy);
    if (e && e->kind == ORCH_CLOSURE_PROGRAM)
        return true;
    return beneath_dir(c, copy);
}
