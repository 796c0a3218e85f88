/* profile_fs.c - the filesystem section: paths are literal, in normal form, each given once. */
#include <string.h>
#include "common/io.h"
#include "policy/profile_int.h"

#define WORKSPACE "${workspace}"
#define ANYWHERE WORKSPACE "/**/"

static const char *const access_names[] = {"none", "ro", "rx", "rw", "rwx", NULL};

unsigned orch_access_bits(enum orch_access a)
{
    static const unsigned bits[] = {
        [ORCH_ACCESS_NONE] = 0,
        [ORCH_ACCESS_RO] = ORCH_MAY_READ,
        [ORCH_ACCESS_RX] = ORCH_MAY_READ | ORCH_MAY_EXECUTE,
        [ORCH_ACCESS_RW] = ORCH_MAY_READ | ORCH_MAY_WRITE,
        [ORCH_ACCESS_RWX] = ORCH_MAY_READ | ORCH_MAY_WRITE | ORCH_MAY_EXECUTE,
    };

    return (size_t)a < ORCH_NELEM(bits) ? bits[a] : 0;
}

const char *orch_access_name(enum orch_access a)
{
    return (unsigned)a < ORCH_NELEM(access_names) - 1 ? access_names[a] : "none";
}

struct variable {
    const char *name, *value;
};

static const struct variable variables[] = {
    {WORKSPACE, WORKSPACE}, {"${home}", "/home/agent"}, {"${tmp}", "/tmp"}};

/* The variable that s starts with (followed by '/' or nothing), or NULL. */
static const struct variable *leading_variable(const char *s)
{
    for (size_t i = 0; i < ORCH_NELEM(variables); i++) {
        size_t n = strlen(variables[i].name);
        if (strncmp(s, variables[i].name, n) == 0 && (s[n] == '/' || s[n] == '\0'))
            return &variables[i];
    }
    return NULL;
}

char *orch_prof_fs_key(const struct orch_fs_rule *r)
{
    if (r->anywhere)
        return orch_xasprintf(ANYWHERE "%s", r->path);
    const struct variable *v = leading_variable(r->path);
    if (v == NULL)
        return orch_xstrdup(r->path);
    return orch_xasprintf("%s%s", v->value, r->path + strlen(v->name));
}

bool orch_prof_fs_same(const struct orch_fs_rule *a, const struct orch_fs_rule *b)
{
    if (a->anywhere != b->anywhere)
        return false;
    if (strcmp(a->path, b->path) == 0)
        return true;
    if (a->anywhere || (leading_variable(a->path) == NULL && leading_variable(b->path) == NULL))
        return false;
    ORCH_AUTO_FREE char *ka = orch_prof_fs_key(a), *kb = orch_prof_fs_key(b);
    return strcmp(ka, kb) == 0;
}

/* NULL, or why the variables in s are wrong. `rest` is what follows the leading variable. */
static const char *variable_fault(const char *rest)
{
    for (const char *p = strstr(rest, "${"); p != NULL; p = strstr(p + 2, "${"))
        if (strncmp(p, "${phase}", 8) != 0)
            return "unknown variable, or one in the wrong place: a path may start with ${workspace}, ${home} "
                   "or ${tmp}, and "
                   "have ${phase} inside";
    return NULL;
}

static bool normal_form(const char *absolute)
{
    ORCH_AUTO_FREE char *normal = orch_path_normalize("/", absolute);
    return normal != NULL && strcmp(normal, absolute) == 0;
}

static bool has_control(const char *s)
{
    for (; *s != '\0'; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return true;
    return false;
}

/* NULL, or why s cannot be the path of a rule. */
static const char *path_fault(const char *s)
{
    const struct variable *v = leading_variable(s);
    const char *rest = v != NULL ? s + strlen(v->name) : s;
    if (s[0] == '~')
        return "'~' is not expanded: write ${home} for the agent's private home, or the absolute path of the "
               "operator's";
    if (has_control(s))
        return "control character in a path";
    const char *fault = variable_fault(rest);
    if (fault != NULL)
        return fault;
    if (v == NULL && s[0] != '/')
        return "not absolute: start with '/', ${workspace}, ${home} or ${tmp}";
    if (strchr(s, '*') != NULL)
        return "paths are literal, '*' matches nothing; only ${workspace}/**/NAME (none, ro) stands for "
               "every NAME";
    if (rest[0] != '\0' && !normal_form(rest))
        return "not in normal form: no '.', '..', '//' and no '/' at the end";
    if (v != NULL && strcmp(rest, "/") == 0)
        return "not in normal form: no '/' at the end";
    return NULL;
}

static const char *anywhere_fault(const char *name)
{
    if (name[0] == '\0' || strchr(name, '/') != NULL || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return "${workspace}/**/NAME takes one path component";
    if (strchr(name, '*') != NULL)
        return "paths are literal: NAME in ${workspace}/**/NAME has no '*'";
    return has_control(name) ? "control character in a path" : variable_fault(name);
}

static void read_path(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_fs_rule *r = base;
    const char *s = orch_rd_string(rd, node);
    if (s == NULL)
        return;
    bool anywhere = strncmp(s, ANYWHERE, strlen(ANYWHERE)) == 0;
    const char *path = anywhere ? s + strlen(ANYWHERE) : s;
    const char *fault = anywhere ? anywhere_fault(path) : path_fault(path);
    if (fault != NULL) {
        orch_json_error(rd->doc, node, rd->d, "path '%s': %s", s, fault);
        return;
    }
    r->anywhere = anywhere;
    r->path = orch_xstrdup(path);
}

static void read_access(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_fs_rule *r = base;
    unsigned v = 0;
    if (orch_rd_enum(rd, node, access_names, NULL, &v))
        r->access = (enum orch_access)v;
}

static const struct orch_rd_shape path_shape = {.type = "string",
                                                .pattern = "^(/|\\$\\{(workspace|home|tmp)\\})"};
static const struct orch_rd_shape access_shape = {.type = "string", .names = access_names};

#define FLAG(k)                                                                                              \
    {                                                                                                        \
        .key = #k, .kind = ORCH_RD_BOOL, .off = offsetof(struct orch_fs_rule, k)                             \
    }

static const struct orch_rd_field rule_fields[] = {
    {.key = "path", .kind = ORCH_RD_CALL, .call = read_path, .required = true, .shape = &path_shape},
    {.key = "access", .kind = ORCH_RD_CALL, .call = read_access, .required = true, .shape = &access_shape},
    FLAG(required),
    FLAG(scratch),
    FLAG(quiet),
    {.key = "reason", .kind = ORCH_RD_NONE},
    {0},
};

static const struct orch_rd_shape rule_shape = {.type = "object", .fields = rule_fields};
const struct orch_rd_shape orch_prof_fs_shape = {.type = "array", .items = &rule_shape};

static void check_rule(const struct orch_rd *rd, const cJSON *node, const struct orch_fs_rule *r)
{
    const cJSON *access = orch_rd_get(node, "access");
    if (r->anywhere && r->access > ORCH_ACCESS_RO)
        orch_json_error(rd->doc, access, rd->d, "${workspace}/**/NAME can only be none or ro");
    if (!r->scratch)
        return;
    bool beneath = !r->anywhere && strncmp(r->path, WORKSPACE "/", strlen(WORKSPACE) + 1) == 0;
    if (!beneath || r->access < ORCH_ACCESS_RW)
        orch_json_error(rd->doc, orch_rd_get(node, "scratch"), rd->d,
                        "scratch is only for rw and rwx beneath ${workspace}");
}

/* The rule with the same path that this document has already, or -1. */
static int same_path(const struct orch_profile *p, const struct orch_fs_rule *r)
{
    for (size_t i = 0; i < p->n_fs; i++)
        if (orch_prof_fs_same(&p->fs[i], r))
            return (int)i;
    return -1;
}

static void read_rule(const struct orch_rd *rd, const cJSON *node, struct orch_profile *p)
{
    struct orch_fs_rule r = {.required = true};
    if (!orch_rd_object(rd, node, rule_fields, &r) || r.path == NULL) {
        orch_prof_fs_rule_fini(&r);
        return;
    }
    check_rule(rd, node, &r);
    int first = same_path(p, &r);
    if (first >= 0) {
        orch_json_error(rd->doc, node, rd->d, "path '%s' already has a rule at line %u, column %u", r.path,
                        p->fs[first].line, p->fs[first].col);
        orch_prof_fs_rule_fini(&r);
        return;
    }
    r.origin = orch_prof_origin(rd, node);
    orch_json_pos(rd->doc, node, &r.line, &r.col);
    *orch_prof_add_fs(p) = r;
}

void orch_prof_read_filesystem(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_prof_doc *doc = base;
    if (!orch_rd_array(rd, node))
        return;
    const cJSON *item;
    cJSON_ArrayForEach(item, node) read_rule(rd, item, &doc->own);
}
