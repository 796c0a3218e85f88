/* profile_compose.c - laying a document over its parent: what adds, what replaces (design 5.2 "extends"). */
#include <errno.h>
#include <string.h>
#include "policy/profile_int.h"

/* --- elements --- */

#define DEF_ADD(fn, type, field, count)                                                                      \
    type *fn(struct orch_profile *p)                                                                         \
    {                                                                                                        \
        p->field = orch_xreallocarray(p->field, p->count + 1, sizeof(*p->field));                            \
        p->field[p->count] = (type){0};                                                                      \
        return &p->field[p->count++];                                                                        \
    }

DEF_ADD(orch_prof_add_fs, struct orch_fs_rule, fs, n_fs)
DEF_ADD(orch_prof_add_tool, struct orch_tool, tools, n_tools)
DEF_ADD(orch_prof_add_rule, struct orch_syscall_rule, sc_rules, n_sc_rules)

struct orch_env_pair *orch_prof_add_env(struct orch_env_pair **v, size_t *n)
{
    *v = orch_xreallocarray(*v, *n + 1, sizeof(**v));
    (*v)[*n] = (struct orch_env_pair){0};
    return &(*v)[(*n)++];
}

void orch_prof_fs_rule_fini(struct orch_fs_rule *r)
{
    free(r->path);
    free(r->real);
    free(r->origin);
    *r = (struct orch_fs_rule){0};
}

void orch_prof_tool_fini(struct orch_tool *t)
{
    free(t->name);
    free(t->path);
    orch_strv_fini(&t->with);
    free(t->origin);
    *t = (struct orch_tool){0};
}

static void free_rules(struct orch_profile *p)
{
    for (size_t i = 0; i < p->n_sc_rules; i++) {
        free(p->sc_rules[i].nrs);
        free(p->sc_rules[i].origin);
    }
    free(p->sc_rules);
}

static void free_env(struct orch_profile *p)
{
    for (size_t i = 0; i < p->n_env_set; i++) {
        free(p->env_set[i].name);
        free(p->env_set[i].value);
    }
    free(p->env_set);
}

void orch_prof_fini(struct orch_profile *p)
{
    for (size_t i = 0; i < p->n_tools; i++)
        orch_prof_tool_fini(&p->tools[i]);
    for (size_t i = 0; i < p->n_fs; i++)
        orch_prof_fs_rule_fini(&p->fs[i]);
    free(p->tools);
    free(p->fs);
    free_rules(p);
    free_env(p);
    orch_prof_places_fini(p);
    orch_strv_fini(&p->sources);
    orch_strv_fini(&p->sc_allow);
    orch_strv_fini(&p->env_pass);
    free(p->name);
    free(p->file);
    free(p->digest);
    *p = (struct orch_profile){0};
}

static char *copy_str(const char *s)
{
    return s != NULL ? orch_xstrdup(s) : NULL;
}

static void copy_tool(struct orch_tool *dst, const struct orch_tool *src)
{
    *dst = *src;
    dst->name = orch_xstrdup(src->name);
    dst->path = copy_str(src->path);
    dst->origin = copy_str(src->origin);
    dst->with = (struct orch_strv){0};
    orch_strv_copy(&dst->with, &src->with);
}

static void copy_fs_rule(struct orch_fs_rule *dst, const struct orch_fs_rule *src)
{
    *dst = *src;
    dst->path = orch_xstrdup(src->path);
    dst->real = copy_str(src->real);
    dst->origin = copy_str(src->origin);
}

static void copy_rule(struct orch_syscall_rule *dst, const struct orch_syscall_rule *src)
{
    *dst = *src;
    dst->nrs = orch_xreallocarray(NULL, src->n_nrs, sizeof(*src->nrs));
    memcpy(dst->nrs, src->nrs, src->n_nrs * sizeof(*src->nrs));
    dst->origin = copy_str(src->origin);
}

/* --- lists that the document replaces --- */

static bool names_tool(const struct orch_profile *p, const char *name)
{
    for (size_t i = 0; i < p->n_tools; i++)
        if (strcmp(p->tools[i].name, name) == 0)
            return true;
    return false;
}

/* The parent's tools, except those that `own` (may be NULL) names itself. */
static void splice_tools(struct orch_profile *eff, const struct orch_profile *parent,
                         const struct orch_profile *own)
{
    eff->tools_all = eff->tools_all || parent->tools_all;
    for (size_t i = 0; i < parent->n_tools; i++)
        if (own == NULL || !names_tool(own, parent->tools[i].name))
            copy_tool(orch_prof_add_tool(eff), &parent->tools[i]);
}

static void merge_tools(struct orch_profile *eff, const struct orch_profile *parent,
                        const struct orch_profile *own, bool given)
{
    if (!given) {
        splice_tools(eff, parent, NULL);
        return;
    }
    eff->tools_all = own->tools_all;
    for (size_t i = 0; i < own->n_tools; i++) {
        if (strcmp(own->tools[i].name, ORCH_PROF_PARENT) == 0)
            splice_tools(eff, parent, own);
        else
            copy_tool(orch_prof_add_tool(eff), &own->tools[i]);
    }
}

static void add_unique(struct orch_strv *sv, const char *s)
{
    if (!orch_strv_has(sv, s))
        orch_strv_add(sv, s);
}

static void merge_list(struct orch_strv *eff, const struct orch_strv *parent, const struct orch_strv *own,
                       bool given)
{
    if (!given) {
        orch_strv_copy(eff, parent);
        return;
    }
    for (size_t i = 0; i < own->n; i++) {
        bool splice = strcmp(own->v[i], ORCH_PROF_PARENT) == 0;
        if (!splice)
            add_unique(eff, own->v[i]);
        for (size_t j = 0; splice && j < parent->n; j++)
            add_unique(eff, parent->v[j]);
    }
}

/* --- sections that the document adds to --- */

static size_t find_fs(const struct orch_profile *p, const struct orch_fs_rule *r)
{
    for (size_t i = 0; i < p->n_fs; i++)
        if (orch_prof_fs_same(&p->fs[i], r))
            return i;
    return p->n_fs;
}

static void merge_fs(struct orch_profile *eff, const struct orch_profile *p)
{
    for (size_t i = 0; i < p->n_fs; i++) {
        size_t at = find_fs(eff, &p->fs[i]);
        struct orch_fs_rule *r = at < eff->n_fs ? &eff->fs[at] : orch_prof_add_fs(eff);
        orch_prof_fs_rule_fini(r);
        copy_fs_rule(r, &p->fs[i]);
    }
}

static void merge_rules(struct orch_profile *eff, const struct orch_profile *p)
{
    for (size_t i = 0; i < p->n_sc_rules; i++)
        copy_rule(orch_prof_add_rule(eff), &p->sc_rules[i]);
}

static struct orch_env_pair *find_env(struct orch_profile *p, const char *name)
{
    for (size_t i = 0; i < p->n_env_set; i++)
        if (strcmp(p->env_set[i].name, name) == 0)
            return &p->env_set[i];
    return NULL;
}

static void merge_env(struct orch_profile *eff, const struct orch_profile *p)
{
    for (size_t i = 0; i < p->n_env_set; i++) {
        struct orch_env_pair *e = find_env(eff, p->env_set[i].name);
        if (e == NULL) {
            e = orch_prof_add_env(&eff->env_set, &eff->n_env_set);
            e->name = orch_xstrdup(p->env_set[i].name);
        }
        free(e->value);
        e->value = orch_xstrdup(p->env_set[i].value);
    }
}

/* --- single values --- */

static uint64_t pick(uint64_t own, uint64_t parent)
{
    return own != 0 ? own : parent;
}

static void merge_limits(struct orch_limits *eff, const struct orch_limits *p, const struct orch_limits *own,
                         bool scope_given)
{
    eff->memory = pick(own->memory, p->memory);
    eff->pids = pick(own->pids, p->pids);
    eff->cpu_ms = pick(own->cpu_ms, p->cpu_ms);
    eff->wall_ms = pick(own->wall_ms, p->wall_ms);
    eff->file_size = pick(own->file_size, p->file_size);
    eff->open_files = pick(own->open_files, p->open_files);
    eff->workspace = pick(own->workspace, p->workspace);
    eff->workspace_files = pick(own->workspace_files, p->workspace_files);
    eff->output = pick(own->output, p->output);
    eff->scope_process = scope_given ? own->scope_process : p->scope_process;
}

static void merge_values(struct orch_profile *eff, const struct orch_profile *p,
                         const struct orch_prof_doc *doc, const cJSON *root)
{
    const struct orch_profile *own = &doc->own;
    eff->requires = orch_rd_get(root, "requires") != NULL ? own->requires : p->requires;
    eff->network = orch_rd_get(root, "network") != NULL ? own->network : p->network;
    bool level = orch_rd_get(orch_rd_get(root, "audit"), "level") != NULL;
    eff->audit_level = level ? own->audit_level : p->audit_level;
    eff->audit_argv = own->audit_argv != ORCH_AUDIT_ARGV_DEFAULT ? own->audit_argv : p->audit_argv;
    eff->sc_default_errno = own->sc_default_errno != 0 ? own->sc_default_errno : p->sc_default_errno;
    eff->tmp_size = pick(own->tmp_size, p->tmp_size);
    eff->tmp_files = pick(own->tmp_files, p->tmp_files);
    eff->create =
        orch_rd_get(root, "create") != NULL ? own->create | (doc->create_parent ? p->create : 0) : p->create;
    bool scope = orch_rd_get(orch_rd_get(root, "limits"), "scope") != NULL;
    merge_limits(&eff->limits, &p->limits, &own->limits, scope);
}

struct orch_profile *orch_prof_defaults(void)
{
    struct orch_profile *p = orch_xcalloc(1, sizeof(*p));
    p->requires = ORCH_TIER_FULL;
    p->tmp_size = 256ull << 20;
    p->tmp_files = 65536;
    p->sc_default_errno = EPERM;
    p->network = ORCH_NET_NONE;
    p->audit_level = ORCH_AUDIT_OPENS;
    p->create = ORCH_CREATE_FILE | ORCH_CREATE_DIRECTORY | ORCH_CREATE_SYMLINK;
    orch_strv_add(&p->sc_allow, "@agent-base");
    return p;
}

struct orch_profile *orch_prof_compose(const struct orch_profile *parent, const struct orch_prof_doc *doc)
{
    const cJSON *root = orch_json_root(doc->json);
    const struct orch_profile *own = &doc->own;
    struct orch_profile *eff = orch_xcalloc(1, sizeof(*eff));
    eff->name = copy_str(own->name);
    eff->file = orch_xstrdup(doc->file);
    merge_values(eff, parent, doc, root);
    merge_tools(eff, parent, own, orch_rd_get(root, "tools") != NULL);
    merge_list(&eff->sc_allow, &parent->sc_allow, &own->sc_allow,
               orch_prof_gives_allow(orch_rd_get(root, "syscalls")));
    merge_list(&eff->env_pass, &parent->env_pass, &own->env_pass,
               orch_rd_get(orch_rd_get(root, "env"), "pass") != NULL);
    merge_fs(eff, parent);
    merge_fs(eff, own);
    merge_rules(eff, own); /* first match wins: the document may refuse more than a rule of its parent */
    merge_rules(eff, parent);
    merge_env(eff, parent);
    merge_env(eff, own);
    orch_prof_add_places(eff, parent, doc);
    return eff;
}
