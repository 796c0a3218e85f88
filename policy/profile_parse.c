/* profile_parse.c - the keys of one profile document, strictly (design 5.2). */
#include <errno.h>
#include <string.h>
#include "common/io.h"
#include "policy/profile_int.h"

char *orch_prof_origin(const struct orch_rd *rd, const cJSON *node)
{
    ORCH_AUTO_FREE char *pointer = orch_json_pointer(rd->doc, node);
    return orch_xasprintf("%s#%s", orch_json_file(rd->doc), pointer);
}

/* --- tools --- */

static bool clean_text(const char *s)
{
    for (; *s != '\0'; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return false;
    return true;
}

static void read_abs_path(const struct orch_rd *rd, const cJSON *node, char **ret)
{
    const char *s = orch_rd_string(rd, node);
    if (s == NULL)
        return;
    ORCH_AUTO_FREE char *normal = s[0] == '/' ? orch_path_normalize("/", s) : NULL;
    if (normal == NULL || strcmp(normal, s) != 0 || !clean_text(s)) {
        orch_json_error(rd->doc, node, rd->d,
                        "'%s' is not an absolute path in normal form (no '.', '..', '//', last '/')", s);
        return;
    }
    free(*ret);
    *ret = orch_xstrdup(s);
}

static void read_tool_path(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_tool *t = base;
    read_abs_path(rd, node, &t->path);
}

static void read_tool_with(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_tool *t = base;
    if (!orch_rd_array(rd, node))
        return;
    const cJSON *item;
    cJSON_ArrayForEach(item, node)
    {
        char *path = NULL;
        read_abs_path(rd, item, &path);
        if (path != NULL)
            orch_strv_add_take(&t->with, path);
    }
}

static void read_tool_name(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_tool *t = base;
    const char *s = orch_rd_string(rd, node);
    if (s == NULL)
        return;
    if (s[0] == '\0' || strchr(s, '/') != NULL || strcmp(s, ".") == 0 || strcmp(s, "..") == 0 ||
        !clean_text(s))
        orch_json_error(rd->doc, node, rd->d,
                        "'%s' is not the name of a tool: for a path write {\"name\": ..., \"path\": ...}", s);
    else if (s[0] == '@' && strcmp(s, ORCH_PROF_PARENT) != 0)
        orch_json_error(rd->doc, node, rd->d, "'%s' is not known here: only \"@parent\" is", s);
    else if (strchr(s, '*') != NULL)
        orch_json_error(rd->doc, node, rd->d, "'%s': names are literal; all tools are \"tools\": \"*\"", s);
    else
        t->name = orch_xstrdup(s);
}

static const struct orch_rd_shape path_shape = {.type = "string", .pattern = "^/"};
static const struct orch_rd_shape paths_shape = {.type = "array", .items = &path_shape};
static const struct orch_rd_shape tool_name_shape = {.type = "string", .pattern = "^[^/*]+$"};

static const struct orch_rd_field tool_fields[] = {
    {.key = "name",
     .kind = ORCH_RD_CALL,
     .call = read_tool_name,
     .required = true,
     .shape = &tool_name_shape},
    {.key = "path", .kind = ORCH_RD_CALL, .call = read_tool_path, .shape = &path_shape},
    {.key = "with", .kind = ORCH_RD_CALL, .call = read_tool_with, .shape = &paths_shape},
    {.key = "reason", .kind = ORCH_RD_NONE},
    {0},
};

static const struct orch_rd_shape tool_shape = {.type = "object", .fields = tool_fields};
static const struct orch_rd_shape *const tool_any[] = {&tool_name_shape, &tool_shape, NULL};
static const struct orch_rd_shape tool_item = {.any_of = tool_any};
static const struct orch_rd_shape tool_list = {.type = "array", .items = &tool_item};
static const char *const all_names[] = {"*", NULL};
static const struct orch_rd_shape all_tools = {.type = "string", .names = all_names};
static const struct orch_rd_shape *const tools_any[] = {&tool_list, &all_tools, NULL};
static const struct orch_rd_shape tools_shape = {.any_of = tools_any};

/* Reports `node` as a repetition of `first`, naming both places. */
static void twice(const struct orch_rd *rd, const cJSON *node, const cJSON *first, const char *what,
                  const char *name)
{
    unsigned line, col;
    orch_json_pos(rd->doc, first, &line, &col);
    orch_json_error(rd->doc, node, rd->d, "%s '%s' is already given at line %u, column %u", what, name, line,
                    col);
}

static const char *tool_node_name(const cJSON *node)
{
    const cJSON *name = cJSON_IsObject(node) ? orch_rd_get(node, "name") : node;
    return cJSON_IsString(name) ? name->valuestring : NULL;
}

static bool tool_repeated(const struct orch_rd *rd, const cJSON *list, const cJSON *node, const char *name)
{
    for (const cJSON *i = list->child; i != node; i = i->next) {
        const char *other = tool_node_name(i);
        if (other != NULL && strcmp(other, name) == 0) {
            twice(rd, node, i, "tool", name);
            return true;
        }
    }
    return false;
}

static void read_tool(const struct orch_rd *rd, const cJSON *list, const cJSON *node,
                      struct orch_prof_doc *doc)
{
    struct orch_tool t = {.optional = doc->builtin};
    if (cJSON_IsObject(node))
        (void)orch_rd_object(rd, node, tool_fields, &t);
    else
        read_tool_name(rd, node, &t);
    if (t.name == NULL || tool_repeated(rd, list, node, t.name)) {
        orch_prof_tool_fini(&t);
        return;
    }
    t.origin = orch_prof_origin(rd, node);
    orch_json_pos(rd->doc, node, &t.line, &t.col);
    *orch_prof_add_tool(&doc->own) = t;
}

static void read_tools(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_prof_doc *doc = base;
    if (cJSON_IsString(node) && strcmp(node->valuestring, "*") == 0) {
        doc->own.tools_all = true;
        return;
    }
    if (!cJSON_IsArray(node)) {
        orch_json_error(rd->doc, node, rd->d, "expected a list of tools, or \"*\" for all");
        return;
    }
    if (!orch_rd_array(rd, node))
        return;
    const cJSON *item;
    cJSON_ArrayForEach(item, node) read_tool(rd, node, item, doc);
}

/* --- tmp, limits --- */

#define SIZE(k, f, lo)                                                                                       \
    {                                                                                                        \
        .key = (k), .kind = ORCH_RD_SIZE, .off = offsetof(struct orch_limits, f), .min = (lo),               \
        .max = INT64_MAX                                                                                     \
    }
#define COUNT(k, f, lo, hi)                                                                                  \
    {                                                                                                        \
        .key = (k), .kind = ORCH_RD_UINT, .off = offsetof(struct orch_limits, f), .min = (lo), .max = (hi)   \
    }
#define TIME(k, f, lo)                                                                                       \
    {                                                                                                        \
        .key = (k), .kind = ORCH_RD_TIME, .off = offsetof(struct orch_limits, f), .min = (lo),               \
        .max = ORCH_TIME_MAX_MS                                                                              \
    }

static const char *const scope_names[] = {"tree", "process", NULL};
static const struct orch_rd_shape scope_shape = {.type = "string", .names = scope_names};

static void read_scope(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_limits *l = base;
    unsigned v = 0;
    if (orch_rd_enum(rd, node, scope_names, NULL, &v))
        l->scope_process = v == 1;
}

static const struct orch_rd_field limit_fields[] = {
    SIZE("memory", memory, 1),
    COUNT("pids", pids, 1, 4194304),
    TIME("cpu", cpu_ms, 1),
    TIME("wall", wall_ms, 1),
    SIZE("file_size", file_size, 1),
    COUNT("open_files", open_files, 1, 1048576),
    SIZE("workspace", workspace, 1),
    COUNT("workspace_files", workspace_files, 1, ORCH_UINT_MAX_JSON),
    SIZE("output", output, 1),
    {.key = "scope", .kind = ORCH_RD_CALL, .call = read_scope, .shape = &scope_shape},
    {.key = "reason", .kind = ORCH_RD_NONE},
    {0},
};

static void read_limits(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_prof_doc *doc = base;
    (void)orch_rd_object(rd, node, limit_fields, &doc->own.limits);
}

static const struct orch_rd_field tmp_fields[] = {
    {.key = "size",
     .kind = ORCH_RD_SIZE,
     .off = offsetof(struct orch_profile, tmp_size),
     .min = 4096,
     .max = INT64_MAX},
    {.key = "files",
     .kind = ORCH_RD_UINT,
     .off = offsetof(struct orch_profile, tmp_files),
     .min = 1,
     .max = ORCH_UINT_MAX_JSON},
    {.key = "reason", .kind = ORCH_RD_NONE},
    {0},
};

static void read_tmp(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_prof_doc *doc = base;
    (void)orch_rd_object(rd, node, tmp_fields, &doc->own);
}

/* --- network, audit --- */

static const char *const net_modes[] = {"none", "loopback", NULL};
static const char *const net_later[] = {"allow", "host", NULL};
static const char *const audit_levels[] = {"writes", "opens", "paths", NULL};

static const struct orch_rd_field network_fields[] = {
    {.key = "mode",
     .kind = ORCH_RD_ENUM,
     .off = offsetof(struct orch_profile, network),
     .names = net_modes,
     .later = net_later,
     .required = true},
    {.key = "allow", .kind = ORCH_RD_LATER},
    {.key = "reason", .kind = ORCH_RD_NONE},
    {0},
};

static void read_network(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_prof_doc *doc = base;
    (void)orch_rd_object(rd, node, network_fields, &doc->own);
}

static void read_argv(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_profile *p = base;
    bool v;
    if (orch_rd_bool(rd, node, &v))
        p->audit_argv = v ? ORCH_AUDIT_ARGV_ON : ORCH_AUDIT_ARGV_OFF;
}

static const struct orch_rd_shape argv_shape = {.type = "boolean"};

static const struct orch_rd_field audit_fields[] = {
    {.key = "level",
     .kind = ORCH_RD_ENUM,
     .off = offsetof(struct orch_profile, audit_level),
     .names = audit_levels},
    {.key = "argv", .kind = ORCH_RD_CALL, .call = read_argv, .shape = &argv_shape},
    {.key = "reason", .kind = ORCH_RD_NONE},
    {0},
};

static void read_audit(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_prof_doc *doc = base;
    (void)orch_rd_object(rd, node, audit_fields, &doc->own);
}

/* --- env --- */

static void read_env_pass(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_profile *p = base;
    if (!orch_rd_array(rd, node))
        return;
    const cJSON *item;
    cJSON_ArrayForEach(item, node)
    {
        const char *s = orch_rd_string(rd, item);
        if (s == NULL)
            continue;
        if (orch_strv_has(&p->env_pass, s))
            orch_json_error(rd->doc, item, rd->d, "'%s' is given twice", s);
        else if (strcmp(s, ORCH_PROF_PARENT) == 0 || orch_rd_env_name(rd, item, s))
            orch_strv_add(&p->env_pass, s);
    }
}

/* ${home}, ${workspace}, ${tmp} are expanded in values; any other ${ is taken for a slip. */
static bool env_value_ok(const struct orch_rd *rd, const cJSON *node)
{
    static const char *const vars[] = {"${home}", "${workspace}", "${tmp}", NULL};
    for (const char *p = strstr(node->valuestring, "${"); p != NULL; p = strstr(p + 2, "${")) {
        bool known = false;
        for (size_t i = 0; vars[i] != NULL; i++)
            known = known || strncmp(p, vars[i], strlen(vars[i])) == 0;
        if (!known) {
            orch_json_error(rd->doc, node, rd->d,
                            "unknown variable in '%s': values may use ${home}, ${workspace} and ${tmp}",
                            node->valuestring);
            return false;
        }
    }
    return true;
}

static void read_env_set(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_profile *p = base;
    if (!orch_rd_map(rd, node))
        return;
    const cJSON *item;
    cJSON_ArrayForEach(item, node)
    {
        bool ok = orch_rd_env_name(rd, item, item->string);
        if (orch_rd_string(rd, item) == NULL || !env_value_ok(rd, item) || !ok)
            continue;
        struct orch_env_pair *e = orch_prof_add_env(&p->env_set, &p->n_env_set);
        e->name = orch_xstrdup(item->string);
        e->value = orch_xstrdup(item->valuestring);
    }
}

static const struct orch_rd_shape env_set_shape = {.type = "object", .items = &orch_shape_string};

static const struct orch_rd_field env_fields[] = {
    {.key = "pass", .kind = ORCH_RD_CALL, .call = read_env_pass, .shape = &orch_shape_strings},
    {.key = "set", .kind = ORCH_RD_CALL, .call = read_env_set, .shape = &env_set_shape},
    {.key = "reason", .kind = ORCH_RD_NONE},
    {0},
};

static void read_env(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_prof_doc *doc = base;
    (void)orch_rd_object(rd, node, env_fields, &doc->own);
}

/* --- top level --- */

static const char *const kinds[] = {"file", "directory", "symlink", ORCH_PROF_PARENT, NULL};
static const struct orch_rd_shape kind_shape = {.type = "string", .names = kinds};
static const struct orch_rd_shape create_shape = {.type = "array", .items = &kind_shape};

static void read_create(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_prof_doc *doc = base;
    if (!orch_rd_array(rd, node))
        return;
    const cJSON *item;
    cJSON_ArrayForEach(item, node)
    {
        unsigned kind = 0;
        if (!orch_rd_enum(rd, item, kinds, NULL, &kind))
            continue;
        bool seen = kind == 3 ? doc->create_parent : (doc->own.create & (1u << kind)) != 0;
        if (seen)
            orch_json_error(rd->doc, item, rd->d, "'%s' is given twice", kinds[kind]);
        else if (kind == 3)
            doc->create_parent = true;
        else
            doc->own.create |= 1u << kind;
    }
}

static void read_name(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_prof_doc *doc = base;
    (void)orch_rd_name(rd, node, true, &doc->own.name);
}

static void read_extends(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_prof_doc *doc = base;
    const char *s = orch_rd_string(rd, node);
    if (s == NULL)
        return;
    if (strncmp(s, "./", 2) == 0 || orch_builtin_text(s, NULL) != NULL) {
        doc->extends = orch_xstrdup(s);
        return;
    }
    const char *near = orch_near_name(s, orch_builtin_names);
    orch_json_error(
        rd->doc, node, rd->d, "'%s' is neither a built-in profile nor a path starting with './'%s%s%s", s,
        near != NULL ? ", did you mean '" : "", near != NULL ? near : "", near != NULL ? "'?" : "");
}

static void read_widen(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_prof_doc *doc = base;
    const char *s = orch_rd_string(rd, node);
    if (s != NULL && s[strspn(s, " \t\r\n")] == '\0')
        orch_json_error(rd->doc, node, rd->d, "'widen' needs a reason");
    else if (s != NULL)
        doc->widen = orch_xstrdup(s);
}

static const char *const tiers[] = {"nested", "full", NULL};
static const struct orch_rd_shape requires_shape = {.type = "string", .names = tiers};

static void read_requires(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_prof_doc *doc = base;
    unsigned v = 0;
    if (orch_rd_enum(rd, node, tiers, NULL, &v))
    doc->own.requires = (enum orch_tier)v;
}

static const struct orch_rd_shape name_shape = {.type = "string", .pattern = ORCH_NAME_PATTERN};
static const struct orch_rd_shape widen_shape = {.type = "string", .pattern = "[^ \t\r\n]"};
static const struct orch_rd_shape tmp_shape = {.type = "object", .fields = tmp_fields};
static const struct orch_rd_shape network_shape = {.type = "object", .fields = network_fields};
static const struct orch_rd_shape limits_shape = {.type = "object", .fields = limit_fields};
static const struct orch_rd_shape env_shape = {.type = "object", .fields = env_fields};
static const struct orch_rd_shape audit_shape = {.type = "object", .fields = audit_fields};

static const struct orch_rd_field top_fields[] = {
    {.key = "$schema", .kind = ORCH_RD_NONE},
    {.key = "schema",
     .kind = ORCH_RD_UINT,
     .off = offsetof(struct orch_prof_doc, schema),
     .min = 1,
     .max = 1,
     .required = true},
    {.key = "name", .kind = ORCH_RD_CALL, .call = read_name, .required = true, .shape = &name_shape},
    {.key = "extends", .kind = ORCH_RD_CALL, .call = read_extends, .shape = &orch_shape_string},
    {.key = "widen", .kind = ORCH_RD_CALL, .call = read_widen, .shape = &widen_shape},
    {.key = "requires", .kind = ORCH_RD_CALL, .call = read_requires, .shape = &requires_shape},
    {.key = "tools", .kind = ORCH_RD_CALL, .call = read_tools, .shape = &tools_shape},
    {.key = "filesystem",
     .kind = ORCH_RD_CALL,
     .call = orch_prof_read_filesystem,
     .shape = &orch_prof_fs_shape},
    {.key = "create", .kind = ORCH_RD_CALL, .call = read_create, .shape = &create_shape},
    {.key = "tmp", .kind = ORCH_RD_CALL, .call = read_tmp, .shape = &tmp_shape},
    {.key = "syscalls",
     .kind = ORCH_RD_CALL,
     .call = orch_prof_read_syscalls,
     .shape = &orch_prof_syscalls_shape},
    {.key = "network", .kind = ORCH_RD_CALL, .call = read_network, .shape = &network_shape},
    {.key = "limits", .kind = ORCH_RD_CALL, .call = read_limits, .shape = &limits_shape},
    {.key = "env", .kind = ORCH_RD_CALL, .call = read_env, .shape = &env_shape},
    {.key = "audit", .kind = ORCH_RD_CALL, .call = read_audit, .shape = &audit_shape},
    {.key = "ceiling", .kind = ORCH_RD_LATER},
    {.key = "reason", .kind = ORCH_RD_NONE},
    {0},
};

const struct orch_rd_shape orch_prof_shape = {.type = "object", .fields = top_fields};

/* "@parent" and "widen" mean nothing without a parent. */
static void check_parentless(const struct orch_rd *rd, const cJSON *root, const struct orch_prof_doc *doc)
{
    bool splices = doc->create_parent || orch_strv_has(&doc->own.sc_allow, ORCH_PROF_PARENT) ||
                   orch_strv_has(&doc->own.env_pass, ORCH_PROF_PARENT);
    for (size_t i = 0; i < doc->own.n_tools; i++)
        splices = splices || strcmp(doc->own.tools[i].name, ORCH_PROF_PARENT) == 0;
    if (splices)
        orch_json_error(rd->doc, root, rd->d,
                        "\"@parent\" stands for the parent's list, but there is no 'extends'");
    if (doc->widen != NULL)
        orch_json_error(rd->doc, orch_rd_get(root, "widen"), rd->d,
                        "'widen' has no meaning without 'extends'");
}

void orch_prof_parse(struct orch_prof_doc *doc, struct orch_diags *d)
{
    struct orch_rd rd = {.doc = doc->json, .d = d};
    const cJSON *root = orch_json_root(doc->json);
    if (!orch_rd_schema(&rd, root))
        return;
    (void)orch_rd_object(&rd, root, top_fields, doc);
    if (orch_rd_get(root, "extends") == NULL)
        check_parentless(&rd, root, doc);
}

void orch_prof_doc_fini(struct orch_prof_doc *doc)
{
    orch_json_freep(&doc->json);
    orch_prof_fini(&doc->own);
    free(doc->file);
    free(doc->extends);
    free(doc->widen);
    *doc = (struct orch_prof_doc){0};
}
