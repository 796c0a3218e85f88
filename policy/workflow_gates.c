/* workflow_gates.c - the gates of a phase: a table of keys per type (design 6). */
#include <string.h>
#include "common/glob.h"
#include "policy/workflow_int.h"

#define DEFAULT_TIMEOUT_MS (10 * 60 * 1000)
#define DEFAULT_PROFILE "gate"

static const char *const type_names[] = {"file", "changes", "command", "denials", "approval",
                                         "all",  "any",     "not",     NULL};
static const char *const type_later[] = {"json", "pattern", "tests", "coverage", "signature", NULL};
static const char *const class_names[] = {"filesystem", "exec", "syscall", "network", "control", NULL};

const char *orch_gate_type_name(enum orch_gate_type t)
{
    return (unsigned)t < ORCH_NELEM(type_names) - 1 ? type_names[t] : "unknown";
}

struct gate_read {
    struct orch_gate g;
    struct orch_wf_gates *all;
    const cJSON *node;
    uint64_t expect;
    const cJSON *profile; /* node, or NULL */
};

void orch_wf_gate_fini(struct orch_gate *g)
{
    for (size_t i = 0; i < g->n_children; i++)
        orch_wf_gate_fini(&g->children[i]);
    free(g->children);
    free(g->name);
    free(g->origin);
    free(g->path);
    free(g->sha256);
    free(g->class_name);
    free(g->prompt);
    orch_strv_fini(&g->allow);
    orch_strv_fini(&g->deny);
    orch_strv_fini(&g->required);
    orch_strv_fini(&g->run);
    orch_strv_fini(&g->restore);
    orch_strv_fini(&g->protect);
    orch_profile_free(g->profile);
    *g = (struct orch_gate){0};
}

/* --- keys --- */

/* A literal path beneath the workspace, in normal form. */
static void read_path(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct gate_read *r = base;
    const char *s = orch_rd_string(rd, node);
    if (s == NULL)
        return;
    const char *fault = s[0] == '\0' || s[0] == '/' ? "expected a path relative to the workspace" : NULL;
    size_t len;
    for (const char *p = s; fault == NULL && p != NULL; p = p[len] == '/' ? p + len + 1 : NULL) {
        len = strcspn(p, "/");
        if (len == 0 || (len == 1 && p[0] == '.') || (len == 2 && strncmp(p, "..", 2) == 0))
            fault = "not in normal form: no '.', '..', '//' and no '/' at the end";
    }
    if (fault == NULL && strncmp(s, "${", 2) == 0)
        fault = "a path of a gate is relative to the workspace and has no variables";
    if (fault != NULL)
        orch_json_error(rd->doc, node, rd->d, "path '%s': %s", s, fault);
    else
        r->g.path = orch_xstrdup(s);
}

static void read_sha256(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct gate_read *r = base;
    const char *s = orch_rd_string(rd, node);
    if (s == NULL)
        return;
    if (strlen(s) != 64 || strspn(s, "0123456789abcdef") != 64)
        orch_json_error(rd->doc, node, rd->d, "expected 64 lower-case hex digits");
    else
        r->g.sha256 = orch_xstrdup(s);
}

static void read_run(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct gate_read *r = base;
    orch_wf_read_command(rd, node, &r->g.run);
}

/* Remembered only: the gate is complete when its profile is loaded, so that errors come in order. */
static void read_profile(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct gate_read *r = base;
    if (orch_rd_string(rd, node) != NULL)
        r->profile = node;
}

static void read_class(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct gate_read *r = base;
    unsigned v = 0;
    if (orch_rd_enum(rd, node, class_names, NULL, &v))
        r->g.class_name = orch_xstrdup(class_names[v]);
}

static void read_children(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct gate_read *r = base;
    orch_wf_read_gates(r->all, rd, node, &r->g.children, &r->g.n_children);
    if (cJSON_IsArray(node) && node->child == NULL)
        orch_json_error(rd->doc, node, rd->d, "'%s' needs gates", orch_gate_type_name(r->g.type));
    else if (r->g.type == ORCH_GATE_NOT && cJSON_GetArraySize(node) > 1)
        orch_json_error(rd->doc, node, rd->d, "'not' takes one gate: put 'any' or 'all' inside for more");
}

/* Read before the table, because the type chooses it. */
static void already_read(const struct orch_rd *rd, const cJSON *node, void *base)
{
    (void)rd;
    (void)node;
    (void)base;
}

static const struct orch_rd_shape gate_shape, class_shape, path_shape, sha256_shape, name_shape;
static const struct orch_rd_shape type_shape = {.type = "string", .names = type_names};

#define G(f) offsetof(struct gate_read, g.f)
#define COMMON                                                                                               \
    {.key = "type", .kind = ORCH_RD_CALL, .call = already_read, .needed = true, .shape = &type_shape},       \
        {.key = "name", .kind = ORCH_RD_CALL, .call = already_read, .shape = &name_shape},                   \
    {                                                                                                        \
        .key = "reason", .kind = ORCH_RD_NONE                                                                \
    }

static const struct orch_rd_field file_fields[] = {
    COMMON,
    {.key = "path", .kind = ORCH_RD_CALL, .call = read_path, .required = true, .shape = &path_shape},
    {.key = "min_size", .kind = ORCH_RD_SIZE, .off = G(min_size), .max = INT64_MAX},
    {.key = "max_size", .kind = ORCH_RD_SIZE, .off = G(max_size), .max = INT64_MAX},
    {.key = "sha256", .kind = ORCH_RD_CALL, .call = read_sha256, .shape = &sha256_shape},
    {.key = "absent", .kind = ORCH_RD_BOOL, .off = G(absent)},
    {0},
};

static const struct orch_rd_field changes_fields[] = {
    COMMON,
    {.key = "allow", .kind = ORCH_RD_GLOBS, .off = G(allow)},
    {.key = "deny", .kind = ORCH_RD_GLOBS, .off = G(deny)},
    {.key = "required", .kind = ORCH_RD_GLOBS, .off = G(required)},
    {.key = "max_files", .kind = ORCH_RD_UINT, .off = G(max_files), .max = ORCH_UINT_MAX_JSON},
    {.key = "max_bytes", .kind = ORCH_RD_SIZE, .off = G(max_bytes), .max = INT64_MAX},
    {0},
};

static const struct orch_rd_field command_fields[] = {
    COMMON,
    {.key = "run", .kind = ORCH_RD_CALL, .call = read_run, .required = true, .shape = &orch_shape_command},
    {.key = "profile", .kind = ORCH_RD_CALL, .call = read_profile, .shape = &orch_shape_string},
    {.key = "timeout", .kind = ORCH_RD_TIME, .off = G(timeout_ms), .min = 1, .max = ORCH_TIME_MAX_MS},
    {.key = "expect", .kind = ORCH_RD_UINT, .off = offsetof(struct gate_read, expect), .max = 255},
    {.key = "exec", .kind = ORCH_RD_BOOL, .off = G(exec)},
    {.key = "must_fail", .kind = ORCH_RD_BOOL, .off = G(must_fail)},
    {.key = "restore", .kind = ORCH_RD_GLOBS, .off = G(restore)},
    {.key = "protect", .kind = ORCH_RD_GLOBS, .off = G(protect)},
    {0},
};

static const struct orch_rd_field denials_fields[] = {
    COMMON,
    {.key = "max", .kind = ORCH_RD_UINT, .off = G(max), .max = ORCH_UINT_MAX_JSON, .required = true},
    {.key = "class", .kind = ORCH_RD_CALL, .call = read_class, .shape = &class_shape},
    {0},
};

static const struct orch_rd_field approval_fields[] = {
    COMMON,
    {.key = "prompt", .kind = ORCH_RD_TEXT, .off = G(prompt)},
    {.key = "timeout", .kind = ORCH_RD_TIME, .off = G(timeout_ms), .min = 1, .max = ORCH_TIME_MAX_MS},
    {0},
};

static const struct orch_rd_field group_fields[] = {
    COMMON,
    {.key = "gates",
     .kind = ORCH_RD_CALL,
     .call = read_children,
     .required = true,
     .shape = &orch_wf_gates_shape},
    {0},
};

static const struct orch_rd_shape name_shape = {.type = "string", .pattern = ORCH_NAME_PATTERN};
static const struct orch_rd_shape path_shape = {.type = "string", .pattern = "^[^/]"};
static const struct orch_rd_shape sha256_shape = {.type = "string", .pattern = "^[0-9a-f]{64}$"};
static const struct orch_rd_shape class_shape = {.type = "string", .names = class_names};

/* One shape per type, in the order of the enum. */
#define GATE(t, f)                                                                                           \
    &(const struct orch_rd_shape)                                                                            \
    {                                                                                                        \
        .type = "object", .tag = (t), .fields = (f)                                                          \
    }
static const struct orch_rd_shape *const gate_any[] = {
    GATE("file", file_fields),       GATE("changes", changes_fields),   GATE("command", command_fields),
    GATE("denials", denials_fields), GATE("approval", approval_fields), GATE("all", group_fields),
    GATE("any", group_fields),       GATE("not", group_fields),         NULL,
};
static const struct orch_rd_shape gate_shape = {.def = "gate", .any_of = gate_any};
const struct orch_rd_shape orch_wf_gates_shape = {.type = "array", .items = &gate_shape};

/* --- what the keys mean together --- */

static void check_file(const struct orch_rd *rd, struct gate_read *r)
{
    bool content = orch_rd_get(r->node, "min_size") != NULL || orch_rd_get(r->node, "max_size") != NULL ||
                   r->g.sha256 != NULL;
    if (r->g.absent && content)
        orch_json_error(rd->doc, r->node, rd->d, "a file that must be absent has neither size nor digest");
    else if (r->g.min_size > r->g.max_size)
        orch_json_error(rd->doc, r->node, rd->d, "'min_size' is more than 'max_size': no file can pass");
}

static void check_globs(const struct orch_rd *rd, const struct gate_read *r, const char *key)
{
    const cJSON *node = orch_rd_get(r->node, key);
    if (cJSON_IsArray(node) && node->child == NULL)
        orch_json_error(rd->doc, node, rd->d, "an empty list of patterns: leave '%s' out, or name something",
                        key);
}

static void check_changes(const struct orch_rd *rd, struct gate_read *r)
{
    static const char *const keys[] = {"allow", "deny", "required", "max_files", "max_bytes"};
    bool any = false;
    for (size_t i = 0; i < ORCH_NELEM(keys); i++) {
        any = any || orch_rd_get(r->node, keys[i]) != NULL;
        check_globs(rd, r, keys[i]);
    }
    r->g.has_allow = orch_rd_get(r->node, "allow") != NULL;
    if (!any)
        orch_json_error(rd->doc, r->node, rd->d,
                        "a gate that checks nothing: give allow, deny, required, max_files or max_bytes");
}

static void check_command(const struct orch_rd *rd, struct gate_read *r)
{
    const cJSON *expect = orch_rd_get(r->node, "expect");
    check_globs(rd, r, "restore");
    check_globs(rd, r, "protect");
    if (r->expect == 126 || r->expect == 127)
        orch_json_error(rd->doc, expect, rd->d,
                        "126 and 127 mean that the command could not run: that is never a pass");
    if (r->g.must_fail && expect != NULL)
        orch_json_error(rd->doc, expect, rd->d, "'must_fail' and 'expect' contradict each other");
    r->g.expect = (int)r->expect;
    const cJSON *at = r->profile != NULL ? r->profile : r->node;
    const char *ref = r->profile != NULL ? r->profile->valuestring : DEFAULT_PROFILE;
    r->g.profile = orch_wf_profile(r->all->ctx, rd, at, ref);
}

static bool asks_a_person(const struct orch_gate *g)
{
    bool found = g->type == ORCH_GATE_APPROVAL;

    for (size_t i = 0; i < g->n_children && !found; i++)
        found = asks_a_person(&g->children[i]);
    return found;
}

/* Silence would pass it. */
static void check_not(const struct orch_rd *rd, struct gate_read *r)
{
    if (asks_a_person(&r->g))
        orch_json_error(rd->doc, r->node, rd->d, "an approval cannot be turned round by 'not'");
}

/* Rows in the order of enum orch_gate_type. */
static const struct {
    const struct orch_rd_field *fields;
    void (*check)(const struct orch_rd *rd, struct gate_read *r);
} types[] = {
    {file_fields, check_file}, {changes_fields, check_changes}, {command_fields, check_command},
    {denials_fields, NULL},    {approval_fields, NULL},         {group_fields, NULL},
    {group_fields, NULL},      {group_fields, check_not},
};

/* --- one gate --- */

static void settle_name(const struct orch_rd *rd, struct gate_read *r)
{
    struct orch_wf_gates *all = r->all;
    const cJSON *node = orch_rd_get(r->node, "name");
    unsigned number = ++all->count[r->g.type];
    if (node != NULL && !orch_rd_name(rd, node, true, &r->g.name))
        return;
    if (node == NULL)
        r->g.name = orch_xasprintf("%s-%u", orch_gate_type_name(r->g.type), number);
    if (orch_strv_has(&all->names, r->g.name))
        orch_json_error(rd->doc, node != NULL ? node : r->node, rd->d,
                        "another gate of this phase is named '%s'", r->g.name);
    else
        orch_strv_add(&all->names, r->g.name);
}

static void read_gate(struct orch_wf_gates *all, const struct orch_rd *rd, const cJSON *node,
                      struct orch_gate *ret)
{
    struct gate_read r = {
        .all = all,
        .node = node,
        .g = {.min_size = 1, .max_size = UINT64_MAX, .max_files = UINT64_MAX, .max_bytes = UINT64_MAX},
    };
    const cJSON *type = orch_rd_get(node, "type");
    unsigned t = 0;
    if (++all->total > ORCH_RD_MAX_ITEMS) {
        if (all->total == ORCH_RD_MAX_ITEMS + 1)
            orch_json_error(rd->doc, node, rd->d, "more than %d gates in a phase", ORCH_RD_MAX_ITEMS);
        return;
    }
    if (type == NULL) {
        orch_json_error(rd->doc, node, rd->d,
                        cJSON_IsObject(node) ? "missing key 'type'" : "a gate is an object");
        return;
    }
    if (!orch_rd_enum(rd, type, type_names, type_later, &t))
        return;
    r.g.type = (enum orch_gate_type)t;
    r.g.timeout_ms = r.g.type == ORCH_GATE_COMMAND ? DEFAULT_TIMEOUT_MS : 0;
    r.g.origin = orch_json_pointer(rd->doc, node);
    settle_name(rd, &r);
    size_t before = rd->d->n;
    (void)orch_rd_object(rd, node, types[t].fields, &r);
    if (types[t].check != NULL && (rd->d->n == before || t == ORCH_GATE_COMMAND))
        types[t].check(rd, &r);
    *ret = r.g;
}

static struct orch_gate *append(struct orch_gate **v, size_t *n)
{
    *v = orch_xreallocarray(*v, *n + 1, sizeof(**v));
    (*v)[*n] = (struct orch_gate){0};
    return &(*v)[(*n)++];
}

void orch_wf_read_gates(struct orch_wf_gates *g, const struct orch_rd *rd, const cJSON *node,
                        struct orch_gate **ret, size_t *ret_n)
{
    if (!orch_rd_array(rd, node))
        return;
    const cJSON *item;
    cJSON_ArrayForEach(item, node) read_gate(g, rd, item, append(ret, ret_n));
}

void orch_wf_add_strict(struct orch_wf_gates *g, const struct orch_rd *rd, const cJSON *phase,
                        struct orch_gate **ret, size_t *ret_n)
{
    if (orch_strv_has(&g->names, "strict")) {
        orch_json_error(rd->doc, phase, rd->d, "the name 'strict' belongs to the gate that type strict adds");
        return;
    }
    ORCH_AUTO_FREE char *pointer = orch_json_pointer(rd->doc, phase);
    struct orch_gate *gate = append(ret, ret_n);
    gate->type = ORCH_GATE_DENIALS;
    gate->name = orch_xstrdup("strict");
    gate->origin = orch_xasprintf("%s/type", pointer);
}
