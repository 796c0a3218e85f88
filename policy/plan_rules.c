/*
 * plan_rules.c - filesystem rules to places. Rules outside the workspace are resolved on the host here, once:
 * symlinks on the way become links of the view, so what the author named is what is shown (T-FS-11).
 */
#include <errno.h>
#include <fts.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "common/escape.h"
#include "common/io.h"
#include "policy/plan_int.h"

/* At the rule's own place in its document. */
static void rule_error(struct orch_diags *d, const struct orch_fs_rule *rule, const char *fmt, ...)
    ORCH_PRINTF(3, 4);

static void rule_error(struct orch_diags *d, const struct orch_fs_rule *rule, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    orch_diags_vadd_at(d, rule->origin, rule->line, rule->col, fmt, ap);
    va_end(ap);
}

static const char *variable_value(const struct orch_plan *p, const char *name, size_t n,
                                  const struct orch_plan_args *a)
{
    const struct {
        const char *name, *value;
    } vars[] = {
        {"workspace", a->workspace},
        {"home", p->home},
        {"tmp", p->tmp},
        {"phase", a->phase},
    };

    for (size_t i = 0; i < ORCH_NELEM(vars); i++)
        if (strlen(vars[i].name) == n && memcmp(vars[i].name, name, n) == 0)
            return vars[i].value;
    return NULL;
}

char *plan_expand_path(const struct orch_plan *p, const char *path, const struct orch_plan_args *a)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    ORCH_AUTO_FREE char *raw = NULL;

    while (*path) {
        const char *end = path[0] == '$' && path[1] == '{' ? strchr(path, '}') : NULL;
        const char *value = end ? variable_value(p, path + 2, (size_t)(end - path) - 2, a) : NULL;

        if (value) {
            orch_buf_str(&b, value);
            path = end + 1;
        } else {
            orch_buf_char(&b, *path++);
        }
    }
    raw = orch_buf_take(&b);
    return orch_path_normalize("/", raw);
}

/*
 * Puts every symlink on the way to path into plan->links and returns the path free of symlinks, or NULL with
 * errno. Bounded like the kernel's own walk: 40 links.
 */
static char *resolve_host(struct orch_plan *p, const char *path)
{
    char *cur = orch_path_normalize("/", path);

    for (unsigned links = 0; links <= 40; links++) {
        bool again = false;

        for (size_t i = 1; cur[i - 1] && !again; i++) {
            ORCH_AUTO_FREE char *prefix = NULL, *target = NULL, *parent = NULL, *joined = NULL;
            struct stat st;

            if (cur[i] != '/' && cur[i] != '\0')
                continue;
            prefix = orch_xstrndup(cur, i);
            if (lstat(prefix, &st) < 0) {
                free(cur);
                return NULL;
            }
            if (!S_ISLNK(st.st_mode))
                continue;
            if (!orch_strv_has(&p->links, prefix))
                orch_strv_add(&p->links, prefix);
            target = orch_readlink(-100 /* AT_FDCWD */, prefix);
            parent = orch_path_normalize(prefix, "..");
            joined = orch_xasprintf("%s%s", target ? target : "", cur + i);
            free(cur);
            cur = orch_path_normalize(parent, joined);
            again = true;
        }
        if (!again)
            return cur;
    }
    free(cur);
    errno = ELOOP;
    return NULL;
}

#define SCAN_MAX 100000

/* The first socket or FIFO beneath a directory that is to be writable: there is no way to show it and keep
 * those dead. */
static char *find_live_object(const char *dir)
{
    ORCH_AUTO_FREE char *copy = orch_xstrdup(dir);
    char *const roots[] = {copy, NULL};
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    char *found = NULL;
    unsigned seen = 0;

    for (FTSENT *e; fts && !found && seen < SCAN_MAX && (e = fts_read(fts)); seen++)
        if (e->fts_info == FTS_DEFAULT && e->fts_statp &&
            (S_ISSOCK(e->fts_statp->st_mode) || S_ISFIFO(e->fts_statp->st_mode)))
            found = orch_escape_str(e->fts_path);
    if (fts)
        (void)fts_close(fts);
    return found;
}

static int check_live_objects(const struct orch_fs_rule *rule, const char *real, struct orch_diags *d)
{
    bool w = rule->access == ORCH_ACCESS_RW || rule->access == ORCH_ACCESS_RWX;
    ORCH_AUTO_FREE char *found = w ? find_live_object(real) : NULL;

    if (!found)
        return 0;
    rule_error(
        d, rule,
        "%s is a socket or FIFO of the host in a directory that is to be writable; name a narrower directory",
        found);
    return -EINVAL;
}

static int add_host_rule(struct orch_plan *p, const struct orch_fs_rule *rule, const char *path,
                         struct orch_diags *d)
{
    ORCH_AUTO_FREE char *real = NULL, *shown = orch_escape_str(path);
    struct stat st;

    if (rule->access != ORCH_ACCESS_NONE)
        real = resolve_host(p, path);
    if (!real && rule->access != ORCH_ACCESS_NONE) {
        if (!rule->required && (errno == ENOENT || errno == ENOTDIR))
            return 0;
        rule_error(d, rule, "%s: %s; create it, or say \"required\": false", shown, strerror(errno));
        return -EINVAL;
    }
    if (!real)
        real = orch_xstrdup(path);
    if (stat(real, &st) < 0)
        st.st_mode = 0; /* a none rule for what is not there: still a rule for records */
    if (st.st_mode && !S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode) && rule->access != ORCH_ACCESS_NONE) {
        rule_error(d, rule,
                   "%s is a socket, FIFO or device of the host; a sandbox shows only files and directories",
                   shown);
        return -EINVAL;
    }
    if (S_ISDIR(st.st_mode) && check_live_objects(rule, real, d) < 0)
        return -EINVAL;
    plan_place_add(p, (struct orch_place){.kind = ORCH_PLACE_HOST,
                                          .path = ORCH_TAKE_PTR(real),
                                          .access = rule->access,
                                          .directory = S_ISDIR(st.st_mode),
                                          .quiet = rule->quiet,
                                          .rule = orch_xstrdup(rule->origin)});
    return 0;
}

/* Rules for the sandbox's own private places change their access and nothing else. */
static bool set_own_place(struct orch_plan *p, const struct orch_fs_rule *rule, const char *path)
{
    for (size_t i = 0; i < p->n_places; i++) {
        struct orch_place *q = &p->places[i];

        if (strcmp(q->path, path) != 0 || (q->kind != ORCH_PLACE_HOME && q->kind != ORCH_PLACE_TMP))
            continue;
        q->access = rule->access;
        q->quiet = rule->quiet;
        free(q->rule);
        q->rule = orch_xstrdup(rule->origin);
        return true;
    }
    return false;
}

static void add_workspace_rule(struct orch_plan *p, const struct orch_fs_rule *rule, const char *path)
{
    enum orch_place_kind kind = ORCH_PLACE_WSRULE;

    if (strcmp(path, p->workspace) == 0)
        kind = ORCH_PLACE_WORKSPACE;
    else if (rule->scratch)
        kind = ORCH_PLACE_SCRATCH;
    plan_place_add(p, (struct orch_place){.kind = kind,
                                          .path = orch_xstrdup(path),
                                          .access = rule->access,
                                          .directory = kind != ORCH_PLACE_WSRULE,
                                          .quiet = rule->quiet,
                                          .rule = orch_xstrdup(rule->origin)});
}

/* A rule through a symlink of the workspace would name a path that nothing is ever resolved to: said, not
 * ignored (T-POL-05). */
static int check_workspace_parents(const struct orch_plan *p, const struct orch_fs_rule *rule,
                                   const char *path, struct orch_diags *d)
{
    for (size_t i = strlen(p->workspace) + 1; path[i]; i++) {
        ORCH_AUTO_FREE char *prefix = path[i] == '/' ? orch_xstrndup(path, i) : NULL;
        struct stat st;

        if (!prefix || lstat(prefix, &st) < 0 || !S_ISLNK(st.st_mode))
            continue;
        ORCH_AUTO_FREE char *shown = orch_escape_str(prefix);
        rule_error(d, rule, "%s is a symlink: name the path that it leads to", shown);
        return -EINVAL;
    }
    return 0;
}

static void add_anywhere(struct orch_plan *p, const struct orch_fs_rule *rule)
{
    p->anywhere = orch_xreallocarray(p->anywhere, p->n_anywhere + 1, sizeof(*p->anywhere));
    p->anywhere[p->n_anywhere++] = (struct orch_anywhere){.name = orch_xstrdup(rule->path),
                                                          .access = rule->access,
                                                          .quiet = rule->quiet,
                                                          .rule = orch_xstrdup(rule->origin)};
}

static int add_rule(struct orch_plan *p, const struct orch_plan_args *a, const struct orch_fs_rule *rule,
                    struct orch_diags *d)
{
    ORCH_AUTO_FREE char *path = NULL;

    if (rule->anywhere) {
        add_anywhere(p, rule);
        return 0;
    }
    path = plan_expand_path(p, rule->path, a);
    if (strcmp(path, "/") == 0) {
        rule_error(d, rule, "the root directory cannot be shown as a whole; name what is needed");
        return -EINVAL;
    }
    if (set_own_place(p, rule, path))
        return 0;
    if (orch_path_beneath(path, p->workspace)) {
        add_workspace_rule(p, rule, path);
        return strcmp(path, p->workspace) == 0 ? 0 : check_workspace_parents(p, rule, path, d);
    }
    for (size_t i = 0; i < p->n_places; i++) {
        const struct orch_place *q = &p->places[i];

        if (q->kind >= ORCH_PLACE_HOME && orch_path_beneath(path, q->path)) {
            rule_error(d, rule, "%s lies in the sandbox's own %s, which has no host paths", path, q->path);
            return -EINVAL;
        }
    }
    return add_host_rule(p, rule, path, d);
}

enum { AGENT_ONLY = 1, FULL = 2, NESTED = 4 };

/* Tier nested has the host's /proc, /dev and /etc before it: of the first nothing, of the second the harmless
 * devices, of the third what rules show. */
static void add_own_places(struct orch_plan *p, const struct orch_plan_args *a)
{
    const struct {
        enum orch_place_kind kind;
        const char *path, *rule;
        enum orch_access access;
        bool directory;
        unsigned where;
    } own[] = {
        {ORCH_PLACE_HOME, p->home, "sandbox#/home", ORCH_ACCESS_RW, true, FULL | NESTED},
        {ORCH_PLACE_TMP, p->tmp, "sandbox#/tmp", ORCH_ACCESS_RW, true, FULL | NESTED},
        {ORCH_PLACE_PROC, "/proc", "sandbox#/proc", ORCH_ACCESS_RO, true, FULL},
        {ORCH_PLACE_DEV, "/dev", "sandbox#/dev", ORCH_ACCESS_RW, true, FULL},
        {ORCH_PLACE_DEV, "/dev/full", "sandbox#/dev", ORCH_ACCESS_RW, false, NESTED},
        {ORCH_PLACE_DEV, "/dev/null", "sandbox#/dev", ORCH_ACCESS_RW, false, NESTED},
        {ORCH_PLACE_DEV, "/dev/random", "sandbox#/dev", ORCH_ACCESS_RO, false, NESTED},
        {ORCH_PLACE_DEV, "/dev/urandom", "sandbox#/dev", ORCH_ACCESS_RO, false, NESTED},
        {ORCH_PLACE_DEV, "/dev/zero", "sandbox#/dev", ORCH_ACCESS_RW, false, NESTED},
        {ORCH_PLACE_ORCH, p->dir, "sandbox#/orch", ORCH_ACCESS_RO, true, FULL | NESTED | AGENT_ONLY},
        {ORCH_PLACE_ETC, "/etc/passwd", "sandbox#/etc", ORCH_ACCESS_RO, false, FULL},
        {ORCH_PLACE_ETC, "/etc/group", "sandbox#/etc", ORCH_ACCESS_RO, false, FULL},
        {ORCH_PLACE_ETC, "/etc/hosts", "sandbox#/etc", ORCH_ACCESS_RO, false, FULL},
        {ORCH_PLACE_ETC, "/etc/resolv.conf", "sandbox#/etc", ORCH_ACCESS_RO, false, FULL},
        {ORCH_PLACE_ETC, "/etc/nsswitch.conf", "sandbox#/etc", ORCH_ACCESS_RO, false, FULL},
    };

    for (size_t i = 0; i < ORCH_NELEM(own); i++) {
        if (!(own[i].where & (p->nested ? NESTED : FULL)) || (own[i].where & AGENT_ONLY && !a->agent))
            continue;
        plan_place_add(p, (struct orch_place){.kind = own[i].kind,
                                              .path = orch_xstrdup(own[i].path),
                                              .access = own[i].access,
                                              .directory = own[i].directory,
                                              .rule = orch_xstrdup(own[i].rule)});
    }
}

/* A profile that never mentions the workspace still has it, unreadable being useless: shown read-only. */
static void add_workspace_default(struct orch_plan *p)
{
    for (size_t i = 0; i < p->n_places; i++)
        if (p->places[i].kind == ORCH_PLACE_WORKSPACE)
            return;
    plan_place_add(p, (struct orch_place){.kind = ORCH_PLACE_WORKSPACE,
                                          .path = orch_xstrdup(p->workspace),
                                          .access = ORCH_ACCESS_RO,
                                          .directory = true,
                                          .rule = orch_xstrdup("sandbox#/workspace")});
}

/* Merged-/usr hosts: programs name /bin/sh and /lib64/ld-linux-x86-64.so.2 through these. */
static void add_root_links(struct orch_plan *p)
{
    static const char *const names[] = {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};

    for (size_t i = 0; i < ORCH_NELEM(names); i++) {
        struct stat st;

        if (lstat(names[i], &st) == 0 && S_ISLNK(st.st_mode) && !orch_strv_has(&p->links, names[i]))
            orch_strv_add(&p->links, names[i]);
    }
}

/* A workspace in /dev/shm or /proc would be covered by the sandbox's own. */
static int check_workspace_place(const struct orch_plan *p, struct orch_diags *d)
{
    for (size_t i = 0; i < p->n_places; i++) {
        const struct orch_place *q = &p->places[i];
        bool covers = q->kind == ORCH_PLACE_PROC || q->kind == ORCH_PLACE_DEV || q->kind == ORCH_PLACE_ORCH;

        if (!covers || !orch_path_beneath(p->workspace, q->path))
            continue;
        orch_diags_add(d, p->workspace, 0, 0, NULL,
                       "a workspace cannot lie in %s: the sandbox has its own there", q->path);
        return -EINVAL;
    }
    return 0;
}

int plan_add_rules(struct orch_plan *p, const struct orch_plan_args *a, struct orch_diags *d)
{
    int first = 0;

    add_own_places(p, a);
    first = check_workspace_place(p, d);
    for (size_t i = 0; i < p->profile->n_fs; i++) {
        int r = add_rule(p, a, &p->profile->fs[i], d);

        first = r < 0 && first == 0 ? r : first;
    }
    add_workspace_default(p);
    add_root_links(p);
    return first;
}
