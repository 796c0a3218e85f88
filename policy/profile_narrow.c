/*
 * profile_narrow.c - a child may only narrow (T-POL-10): every key by which it permits more than its parent
 * is named.
 *
 * Filesystem: a rule can only change what holds at its own path and beneath, up to the next rule. Where the
 * child's rules are at least as narrow as the parent's at each path that the child names, they are so
 * everywhere.
 */
#include <string.h>
#include "policy/profile_int.h"
#include "policy/syscalls.h"

#define WORKSPACE "${workspace}"

struct narrow {
    const struct orch_profile *parent;
    const struct orch_profile *eff;
    const struct orch_prof_doc *doc;
    const cJSON *root;
    struct orch_diags *d;
};

#define WIDER(c, node, ...) wider((c), (node), orch_xasprintf(__VA_ARGS__))

/* Takes what. */
static void wider(const struct narrow *c, const cJSON *node, char *what)
{
    orch_json_error(
        c->doc->json, node != NULL ? node : c->root, c->d,
        "%s: wider than the parent '%s'; narrow it, or give the reason in a top-level key \"widen\"", what,
        c->parent->name != NULL ? c->parent->name : c->parent->file);
    free(what);
}

/* --- filesystem --- */

struct holding {
    size_t depth;  /* length of the path that the deciding rule names */
    unsigned bits; /* 1 read, 2 write, 4 execute */
    bool scratch;
};

static unsigned access_bits(enum orch_access a)
{
    static const unsigned bits[] = {0, 1, 5, 3, 7};
    return (unsigned)a < ORCH_NELEM(bits) ? bits[a] : 0;
}

static bool beneath(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    if (strcmp(dir, "/") == 0)
        return path[0] == '/';
    return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* Length of path up to the deepest component beneath the workspace that is `name`; 0 if there is none. */
static size_t anywhere_depth(const char *path, const char *name)
{
    size_t n = strlen(name), depth = 0;
    if (!beneath(path, WORKSPACE))
        return 0;
    for (const char *p = strchr(path, '/'); p != NULL; p = strchr(p + 1, '/'))
        if (strncmp(p + 1, name, n) == 0 && (p[n + 1] == '/' || p[n + 1] == '\0'))
            depth = (size_t)(p - path) + 1 + n;
    return depth;
}

/* Called for rules by name first: where a literal rule names the same path, the literal one holds. */
static void apply_rule(struct holding *h, size_t depth, const struct orch_fs_rule *r)
{
    if (depth == 0 || depth < h->depth)
        return;
    h->bits = access_bits(r->access);
    h->scratch = r->scratch;
    h->depth = depth;
}

/* What holds at a path (in the form of orch_prof_fs_key). The private home and /tmp are writable without a
 * rule. */
static struct holding access_at(const struct orch_profile *p, const char *path)
{
    struct holding h = {0};
    if (beneath(path, "/home/agent") || beneath(path, "/tmp"))
        h.bits = access_bits(ORCH_ACCESS_RW);
    for (size_t i = 0; i < p->n_fs; i++)
        if (p->fs[i].anywhere)
            apply_rule(&h, anywhere_depth(path, p->fs[i].path), &p->fs[i]);
    for (size_t i = 0; i < p->n_fs; i++) {
        ORCH_AUTO_FREE char *key = orch_prof_fs_key(&p->fs[i]);
        if (!p->fs[i].anywhere && beneath(path, key))
            apply_rule(&h, strlen(key), &p->fs[i]);
    }
    return h;
}

static void check_literal(const struct narrow *c, const cJSON *node, const struct orch_fs_rule *r)
{
    ORCH_AUTO_FREE char *key = orch_prof_fs_key(r);
    struct holding was = access_at(c->parent, key), is = access_at(c->eff, key);
    if ((is.bits & ~was.bits) != 0)
        WIDER(c, node, "filesystem: %s on '%s'", orch_access_name(r->access), r->path);
    else if (was.scratch && !is.scratch && (is.bits & 2u) != 0)
        WIDER(c, node, "filesystem: '%s' is scratch in the parent and kept here", r->path);
}

/* The parent hides something in the workspace, or all of it, that a rule for every NAME would show again. */
static bool hides_in_workspace(const struct orch_profile *parent)
{
    if (access_at(parent, WORKSPACE).bits == 0)
        return true;
    for (size_t i = 0; i < parent->n_fs; i++) {
        const struct orch_fs_rule *q = &parent->fs[i];
        if (q->access != ORCH_ACCESS_NONE)
            continue;
        if (q->anywhere || beneath(q->path, WORKSPACE))
            return true;
    }
    return false;
}

static bool has_same_anywhere(const struct orch_profile *parent, const struct orch_fs_rule *r)
{
    for (size_t i = 0; i < parent->n_fs; i++) {
        const struct orch_fs_rule *q = &parent->fs[i];
        if (q->anywhere && strcmp(q->path, r->path) == 0)
            return q->access == r->access;
    }
    return false;
}

static void check_anywhere(const struct narrow *c, const cJSON *node, const struct orch_fs_rule *r)
{
    if (r->access == ORCH_ACCESS_NONE || has_same_anywhere(c->parent, r))
        return;
    if (hides_in_workspace(c->parent))
        WIDER(c, node, "filesystem: ro on '${workspace}/**/%s' shows it where the parent hides it", r->path);
}

static void check_filesystem(const struct narrow *c)
{
    const cJSON *node = orch_rd_get(c->root, "filesystem");
    node = node != NULL ? node->child : NULL;
    for (size_t i = 0; i < c->doc->own.n_fs && node != NULL; i++, node = node->next) {
        if (c->doc->own.fs[i].anywhere)
            check_anywhere(c, node, &c->doc->own.fs[i]);
        else
            check_literal(c, node, &c->doc->own.fs[i]);
    }
}

/* --- tools --- */

static const struct orch_tool *find_tool(const struct orch_profile *p, const char *name)
{
    for (size_t i = 0; i < p->n_tools; i++)
        if (strcmp(p->tools[i].name, name) == 0)
            return &p->tools[i];
    return NULL;
}

static bool same_tool(const struct orch_tool *a, const struct orch_tool *b)
{
    if ((a->path == NULL) != (b->path == NULL) || (a->path != NULL && strcmp(a->path, b->path) != 0))
        return false;
    for (size_t i = 0; i < a->with.n; i++)
        if (!orch_strv_has(&b->with, a->with.v[i]))
            return false;
    return true;
}

static void check_tools(const struct narrow *c)
{
    const cJSON *node = orch_rd_get(c->root, "tools");
    if (c->parent->tools_all)
        return;
    if (c->eff->tools_all)
        WIDER(c, node, "tools: \"*\"");
    for (size_t i = 0; i < c->eff->n_tools; i++) {
        const struct orch_tool *t = &c->eff->tools[i], *p = find_tool(c->parent, t->name);
        if (p == NULL)
            WIDER(c, node, "tools: '%s'", t->name);
        else if (!same_tool(t, p))
            WIDER(c, node, "tools: '%s' with another path or more files", t->name);
    }
}

/* --- system calls --- */

static void set_allowed(bool *set, const char *name)
{
    int nr = orch_syscall_number(name);
    if (nr >= 0 && nr < ORCH_SC_MAX)
        set[nr] = true;
}

static void expand(const struct orch_strv *allow, bool *set)
{
    for (size_t i = 0; i < allow->n; i++) {
        if (allow->v[i][0] == '@')
            (void)orch_syscall_group_allows(allow->v[i], set);
        else
            set_allowed(set, allow->v[i]);
    }
}

static void check_allow(const struct narrow *c, const bool *was)
{
    const cJSON *node = orch_rd_get(orch_rd_get(c->root, "syscalls"), "allow");
    bool is[ORCH_SC_MAX] = {false};
    expand(&c->eff->sc_allow, is);
    for (int nr = 0; nr < ORCH_SC_MAX; nr++)
        if (is[nr] && !was[nr])
            WIDER(c, node, "syscalls.allow: '%s'", orch_syscall_name(nr));
    /* the group opens address families of calls that @agent-base has too */
    if (orch_strv_has(&c->eff->sc_allow, "@network-client") &&
        !orch_strv_has(&c->parent->sc_allow, "@network-client"))
        WIDER(c, node, "syscalls.allow: '@network-client'");
}

static bool permits(const struct orch_syscall_rule *r)
{
    return r->action == ORCH_RULE_ALLOW || r->action == ORCH_RULE_LOG;
}

static bool parent_refuses(const struct orch_profile *parent, int nr)
{
    for (size_t i = 0; i < parent->n_sc_rules; i++) {
        const struct orch_syscall_rule *r = &parent->sc_rules[i];
        for (size_t j = 0; !permits(r) && j < r->n_nrs; j++)
            if (r->nrs[j] == nr)
                return true;
    }
    return false;
}

/* Calls that @agent-base permits for some registers only: an allow rule with conditions overrides that. */
static bool judged_by_registers(int nr)
{
    static const char *const names[] = {"ioctl", "prctl", "socket", "socketpair", "personality", "seccomp"};
    for (size_t i = 0; i < ORCH_NELEM(names); i++)
        if (orch_syscall_number(names[i]) == nr)
            return true;
    return false;
}

static void check_rules(const struct narrow *c, const bool *was)
{
    const cJSON *node = orch_prof_rules_node(orch_rd_get(c->root, "syscalls"));
    node = node != NULL ? node->child : NULL;
    for (size_t i = 0; i < c->doc->own.n_sc_rules && node != NULL; i++, node = node->next) {
        const struct orch_syscall_rule *r = &c->doc->own.sc_rules[i];
        for (size_t j = 0; permits(r) && j < r->n_nrs; j++) {
            int nr = r->nrs[j];
            bool conditional = r->n_args > 0 && judged_by_registers(nr);
            if (!was[nr] || conditional || parent_refuses(c->parent, nr))
                WIDER(c, node, "syscalls.rules: allows '%s'", orch_syscall_name(nr));
        }
    }
}

static void check_syscalls(const struct narrow *c)
{
    bool was[ORCH_SC_MAX] = {false};
    expand(&c->parent->sc_allow, was);
    check_allow(c, was);
    check_rules(c, was);
}

/* --- single values --- */

struct limit {
    const char *section, *key;
    size_t off;
};

static const struct limit limits[] = {
    {"limits", "memory", offsetof(struct orch_profile, limits.memory)},
    {"limits", "pids", offsetof(struct orch_profile, limits.pids)},
    {"limits", "cpu", offsetof(struct orch_profile, limits.cpu_ms)},
    {"limits", "wall", offsetof(struct orch_profile, limits.wall_ms)},
    {"limits", "file_size", offsetof(struct orch_profile, limits.file_size)},
    {"limits", "open_files", offsetof(struct orch_profile, limits.open_files)},
    {"limits", "workspace", offsetof(struct orch_profile, limits.workspace)},
    {"limits", "output", offsetof(struct orch_profile, limits.output)},
    {"tmp", "size", offsetof(struct orch_profile, tmp_size)},
    {"tmp", "files", offsetof(struct orch_profile, tmp_files)},
};

static uint64_t limit_of(const struct orch_profile *p, size_t off)
{
    uint64_t v;
    memcpy(&v, (const char *)p + off, sizeof(v));
    return v == 0 ? UINT64_MAX : v; /* 0: no limit */
}

static void check_limits(const struct narrow *c)
{
    for (size_t i = 0; i < ORCH_NELEM(limits); i++) {
        const struct limit *l = &limits[i];
        if (limit_of(c->eff, l->off) > limit_of(c->parent, l->off))
            WIDER(c, orch_rd_get(orch_rd_get(c->root, l->section), l->key), "%s.%s", l->section, l->key);
    }
    if (c->eff->limits.scope_process && !c->parent->limits.scope_process)
        WIDER(c, orch_rd_get(orch_rd_get(c->root, "limits"), "scope"), "limits.scope: process");
}

static void check_values(const struct narrow *c)
{
    if (c->eff->requires < c->parent->requires)
        WIDER(c, orch_rd_get(c->root, "requires"), "requires: nested");
    if (c->eff->network > c->parent->network)
        WIDER(c, orch_rd_get(orch_rd_get(c->root, "network"), "mode"), "network.mode");
    if (c->eff->audit_level < c->parent->audit_level)
        WIDER(c, orch_rd_get(orch_rd_get(c->root, "audit"), "level"), "audit.level watches less");
    if ((c->eff->create & ~c->parent->create) != 0)
        WIDER(c, orch_rd_get(c->root, "create"), "create");
    for (size_t i = 0; i < c->eff->env_pass.n; i++)
        if (!orch_strv_has(&c->parent->env_pass, c->eff->env_pass.v[i]))
            WIDER(c, orch_rd_get(orch_rd_get(c->root, "env"), "pass"), "env.pass: '%s'",
                  c->eff->env_pass.v[i]);
}

void orch_prof_check_narrow(const struct orch_profile *parent, const struct orch_prof_doc *doc,
                            const struct orch_profile *eff, struct orch_diags *d)
{
    struct narrow c = {.parent = parent, .eff = eff, .doc = doc, .root = orch_json_root(doc->json), .d = d};
    check_filesystem(&c);
    check_tools(&c);
    check_syscalls(&c);
    check_limits(&c);
    check_values(&c);
}

void orch_prof_check_whole(const struct orch_profile *eff, const struct orch_prof_doc *doc,
                           struct orch_diags *d)
{
    const cJSON *root = orch_json_root(doc->json);
    const cJSON *level = orch_rd_get(orch_rd_get(root, "audit"), "level");
    for (size_t i = 0; i < eff->n_fs && eff->audit_level == ORCH_AUDIT_WRITES; i++) {
        if (eff->fs[i].access != ORCH_ACCESS_NONE)
            continue;
        orch_json_error(doc->json, level != NULL ? level : root, d,
                        "audit level \"writes\" does not watch reads, so the rule %s (none) could not be "
                        "recorded: use \"opens\"",
                        eff->fs[i].origin);
        return;
    }
}
