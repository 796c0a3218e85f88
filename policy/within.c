/* within.c - one profile within another: tools, limits, single values, and how a difference is said
 * (within.h). */
#include <string.h>
#include "policy/within_int.h"

/* --- places --- */

const struct orch_key_place *orch_profile_place(const struct orch_profile *p, const char *key)
{
    for (size_t i = p->n_places; i-- > 0;)
        if (strcmp(p->places[i].key, key) == 0)
            return &p->places[i];
    return NULL;
}

struct orch_where orch_where_key(const struct orch_profile *p, const char *key)
{
    const struct orch_key_place *k = orch_profile_place(p, key);
    if (k == NULL)
        return (struct orch_where){0};
    return (struct orch_where){.file = k->file, .pointer = k->pointer, .line = k->line, .col = k->col};
}

struct orch_where orch_where_fs(const struct orch_fs_rule *r)
{
    if (r == NULL)
        return (struct orch_where){0};
    return (struct orch_where){.file = r->origin, .line = r->line, .col = r->col};
}

struct orch_where orch_where_tool(const struct orch_tool *t)
{
    if (t == NULL)
        return (struct orch_where){0};
    return (struct orch_where){.file = t->origin, .line = t->line, .col = t->col};
}

/* "base:12:3", or what a default is called. An origin is cut at its '#'. */
static char *place_text(struct orch_where w)
{
    if (w.file == NULL)
        return orch_xstrdup("by default");
    return orch_xasprintf("%.*s:%u:%u", (int)strcspn(w.file, "#"), w.file, w.line, w.col);
}

static const char *shown_name(const struct orch_profile *p)
{
    return p->name != NULL ? p->name : p->file != NULL ? p->file : "?";
}

void orch_within_report(const struct within *c, struct orch_where inner, struct orch_where outer, char *what)
{
    const char *hash = inner.file != NULL ? strrchr(inner.file, '#') : NULL;
    const char *pointer = hash != NULL ? hash + 1 : inner.pointer;
    ORCH_AUTO_FREE char *file = inner.file == NULL ? orch_xstrdup(c->inner->file)
                                : hash != NULL     ? orch_xstrndup(inner.file, (size_t)(hash - inner.file))
                                                   : orch_xstrdup(inner.file);
    ORCH_AUTO_FREE char *place = place_text(outer);
    if (c->bound == ORCH_BOUND_PARENT)
        orch_diags_add(
            c->d, file, inner.line, inner.col, pointer,
            "%s: wider than the parent '%s' (%s); narrow it, or give the reason in a top-level key "
            "\"widen\"",
            what, shown_name(c->outer), place);
    else
        orch_diags_add(c->d, file, inner.line, inner.col, pointer, "%s: beyond the ceiling '%s' (%s)", what,
                       shown_name(c->outer), place);
    free(what);
}

/* --- tools --- */

static const struct orch_tool *find_tool(const struct orch_profile *p, const char *name)
{
    for (size_t i = 0; i < p->n_tools; i++)
        if (strcmp(p->tools[i].name, name) == 0)
            return &p->tools[i];
    return NULL;
}

/* NULL, or how a permits more than b. */
static const char *tool_excess(const struct orch_tool *a, const struct orch_tool *b)
{
    if ((a->path == NULL) != (b->path == NULL) || (a->path != NULL && strcmp(a->path, b->path) != 0))
        return "another path";
    for (size_t i = 0; i < a->with.n; i++)
        if (!orch_strv_has(&b->with, a->with.v[i]))
            return "more files";
    return NULL;
}

static void check_tools(const struct within *c)
{
    if (c->outer->tools_all)
        return;
    if (c->inner->tools_all)
        WIDER(c, orch_where_key(c->inner, "tools"), orch_where_key(c->outer, "tools"), "tools: \"*\"");
    for (size_t i = 0; i < c->inner->n_tools; i++) {
        const struct orch_tool *t = &c->inner->tools[i], *o = find_tool(c->outer, t->name);
        const char *excess = o != NULL ? tool_excess(t, o) : NULL;
        if (o == NULL)
            WIDER(c, orch_where_tool(t), orch_where_key(c->outer, "tools"), "tools: '%s'", t->name);
        else if (excess != NULL)
            WIDER(c, orch_where_tool(t), orch_where_tool(o), "tools: '%s' with %s", t->name, excess);
    }
}

/* --- numbers: the smaller is the narrower, 0 is no limit --- */

struct limit {
    const char *key;
    size_t off;
};

static const struct limit limits[] = {
    {"limits.memory", offsetof(struct orch_profile, limits.memory)},
    {"limits.pids", offsetof(struct orch_profile, limits.pids)},
    {"limits.cpu", offsetof(struct orch_profile, limits.cpu_ms)},
    {"limits.wall", offsetof(struct orch_profile, limits.wall_ms)},
    {"limits.file_size", offsetof(struct orch_profile, limits.file_size)},
    {"limits.open_files", offsetof(struct orch_profile, limits.open_files)},
    {"limits.workspace", offsetof(struct orch_profile, limits.workspace)},
    {"limits.workspace_files", offsetof(struct orch_profile, limits.workspace_files)},
    {"limits.output", offsetof(struct orch_profile, limits.output)},
    {"tmp.size", offsetof(struct orch_profile, tmp_size)},
    {"tmp.files", offsetof(struct orch_profile, tmp_files)},
};

static uint64_t limit_of(const struct orch_profile *p, size_t off)
{
    uint64_t v;
    memcpy(&v, (const char *)p + off, sizeof(v));
    return v == 0 ? UINT64_MAX : v;
}

static void check_limits(const struct within *c)
{
    for (size_t i = 0; i < ORCH_NELEM(limits); i++) {
        const struct limit *l = &limits[i];
        uint64_t inner = limit_of(c->inner, l->off);
        if (inner > limit_of(c->outer, l->off))
            WIDER(c, orch_where_key(c->inner, l->key), orch_where_key(c->outer, l->key), "%s%s", l->key,
                  inner == UINT64_MAX ? ": no limit" : "");
    }
}

/* --- single values --- */

static void check_value(const struct within *c, bool wider, const char *key, const char *what)
{
    if (wider)
        WIDER(c, orch_where_key(c->inner, key), orch_where_key(c->outer, key), "%s%s", key, what);
}

static void check_values(const struct within *c)
{
    const struct orch_profile *in = c->inner, *out = c->outer;
    check_value(c, in->limits.scope_process && !out->limits.scope_process, "limits.scope", ": process");
    check_value(c, in->requires < out->requires, "requires", ": nested");
    check_value(c, in->network > out->network, "network.mode", "");
    check_value(c, in->audit_level < out->audit_level, "audit.level", " watches less");
    check_value(c, in->audit_argv == ORCH_AUDIT_ARGV_OFF && out->audit_argv == ORCH_AUDIT_ARGV_ON,
                "audit.argv", " records less");
}

/* Could anything be created in the workspace, wherever it lies? */
static bool writes(const struct orch_profile *p)
{
    for (size_t i = 0; i < p->n_fs; i++) {
        const struct orch_fs_rule *r = &p->fs[i];
        bool own = strncmp(r->path, "${home}", 7) == 0 || strncmp(r->path, "${tmp}", 6) == 0;
        if (r->access >= ORCH_ACCESS_RW && !own)
            return true;
    }
    return false;
}

static void check_create(const struct within *c)
{
    static const char *const kinds[] = {"file", "directory", "symlink"};
    if (!writes(c->inner))
        return;
    for (size_t i = 0; i < ORCH_NELEM(kinds); i++) {
        if ((c->inner->create & ~c->outer->create & (1u << i)) == 0)
            continue;
        ORCH_AUTO_FREE char *key = orch_xasprintf("create/%s", kinds[i]);
        struct orch_where w = orch_where_key(c->inner, key);
        WIDER(c, w.file != NULL ? w : orch_where_key(c->inner, "create"), orch_where_key(c->outer, "create"),
              "create: '%s'", kinds[i]);
    }
}

static void check_env(const struct within *c)
{
    for (size_t i = 0; i < c->inner->env_pass.n; i++) {
        const char *name = c->inner->env_pass.v[i];
        ORCH_AUTO_FREE char *key = orch_xasprintf("env.pass/%s", name);
        if (!orch_strv_has(&c->outer->env_pass, name))
            WIDER(c, orch_where_key(c->inner, key), orch_where_key(c->outer, "env.pass"), "env.pass: '%s'",
                  name);
    }
}

void orch_profile_within(const struct orch_profile *outer, const struct orch_profile *inner,
                         enum orch_bound bound, struct orch_diags *d)
{
    struct within c = {.outer = outer, .inner = inner, .bound = bound, .d = d};
    orch_within_filesystem(&c);
    check_tools(&c);
    orch_within_syscalls(&c);
    check_limits(&c);
    check_values(&c);
    check_create(&c);
    check_env(&c);
}
