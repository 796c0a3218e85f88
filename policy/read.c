/* read.c - strict, table-driven reading of document objects (read.h). */
#include <errno.h>
#include <math.h>
#include <string.h>
#include "common/glob.h"
#include "policy/profile.h"
#include "policy/read.h"

static const char *type_name(const cJSON *node)
{
    switch (node->type & 0xff) {
    case cJSON_False:
    case cJSON_True:
        return "a boolean";
    case cJSON_NULL:
        return "null";
    case cJSON_Number:
        return "a number";
    case cJSON_String:
        return "a string";
    case cJSON_Array:
        return "a list";
    default:
        return "an object";
    }
}

const cJSON *orch_rd_get(const cJSON *object, const char *key)
{
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, key) : NULL;
}

const char *orch_rd_string(const struct orch_rd *rd, const cJSON *node)
{
    if (cJSON_IsString(node))
        return node->valuestring;
    orch_json_error(rd->doc, node, rd->d, "expected a string, found %s", type_name(node));
    return NULL;
}

/* Nobody reads more errors than this; what is not read after them cannot pass, because they are there. */
static bool enough(const struct orch_rd *rd, const cJSON *node)
{
    static const char text[] = "too many errors: the rest is not read";
    if (rd->d->n < ORCH_RD_MAX_ERRORS)
        return false;
    for (size_t i = ORCH_RD_MAX_ERRORS; i < rd->d->n; i++)
        if (strcmp(rd->d->v[i].msg, text) == 0)
            return true;
    orch_json_error(rd->doc, node, rd->d, "%s", text);
    return true;
}

static bool few(const struct orch_rd *rd, const cJSON *node)
{
    if (cJSON_GetArraySize(node) <= ORCH_RD_MAX_ITEMS)
        return !enough(rd, node);
    orch_json_error(rd->doc, node, rd->d, "more than %d elements", ORCH_RD_MAX_ITEMS);
    return false;
}

bool orch_rd_array(const struct orch_rd *rd, const cJSON *node)
{
    if (cJSON_IsArray(node))
        return few(rd, node);
    orch_json_error(rd->doc, node, rd->d, "expected a list, found %s", type_name(node));
    return false;
}

bool orch_rd_map(const struct orch_rd *rd, const cJSON *node)
{
    if (cJSON_IsObject(node))
        return few(rd, node);
    orch_json_error(rd->doc, node, rd->d, "expected an object of names and values");
    return false;
}

bool orch_rd_bool(const struct orch_rd *rd, const cJSON *node, bool *ret)
{
    if (!cJSON_IsBool(node)) {
        orch_json_error(rd->doc, node, rd->d, "expected true or false, found %s", type_name(node));
        return false;
    }
    *ret = cJSON_IsTrue(node);
    return true;
}

bool orch_rd_uint(const struct orch_rd *rd, const cJSON *node, uint64_t min, uint64_t max, uint64_t *ret)
{
    if (!cJSON_IsNumber(node)) {
        orch_json_error(rd->doc, node, rd->d, "expected a number, found %s", type_name(node));
        return false;
    }
    double v = node->valuedouble;
    if (!(v >= (double)min && v <= (double)max) || v != floor(v)) {
        orch_json_error(rd->doc, node, rd->d,
                        "%.17g is out of range: expected a whole number from %llu to %llu", v,
                        (unsigned long long)min, (unsigned long long)max);
        return false;
    }
    *ret = (uint64_t)v;
    return true;
}

void orch_rd_later(const struct orch_rd *rd, const cJSON *node, const char *what)
{
    orch_json_error(rd->doc, node, rd->d, "'%s' is not in this version", what);
}

static int index_of(const char *const *names, const char *s)
{
    for (int i = 0; names != NULL && names[i] != NULL; i++)
        if (strcmp(names[i], s) == 0)
            return i;
    return -1;
}

static void join_names(struct orch_buf *b, const char *const *names)
{
    for (size_t i = 0; names[i] != NULL; i++)
        orch_buf_printf(b, "%s%s", i == 0 ? "" : ", ", names[i]);
}

static void enum_error(const struct orch_rd *rd, const cJSON *node, const char *const *names,
                       const char *const *later)
{
    const char *near = orch_near_name(node->valuestring, names);
    if (near == NULL && later != NULL)
        near = orch_near_name(node->valuestring, later);
    if (near != NULL) {
        orch_json_error(rd->doc, node, rd->d, "unknown value '%s', did you mean '%s'?", node->valuestring,
                        near);
        return;
    }
    ORCH_AUTO_BUF struct orch_buf b = {0};
    join_names(&b, names);
    orch_json_error(rd->doc, node, rd->d, "unknown value '%s': expected one of %s", node->valuestring,
                    b.data);
}

bool orch_rd_enum(const struct orch_rd *rd, const cJSON *node, const char *const *names,
                  const char *const *later, unsigned *ret)
{
    const char *s = orch_rd_string(rd, node);
    if (s == NULL)
        return false;
    int i = index_of(names, s);
    if (i >= 0) {
        *ret = (unsigned)i;
        return true;
    }
    if (index_of(later, s) >= 0)
        orch_rd_later(rd, node, s);
    else
        enum_error(rd, node, names, later);
    return false;
}

static bool is_alnum(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool orch_rd_name(const struct orch_rd *rd, const cJSON *node, bool dots, char **ret)
{
    const char *s = orch_rd_string(rd, node);
    if (s == NULL)
        return false;
    size_t n = 0;
    while (is_alnum(s[n]) || (n > 0 && (s[n] == '_' || s[n] == '-' || (dots && s[n] == '.'))))
        n++;
    if (n == 0 || s[n] != '\0' || n > 64) {
        orch_json_error(
            rd->doc, node, rd->d,
            "'%s' is not a name: letters, digits, '_'%s and '-', starting with a letter or digit, at most 64",
            s, dots ? ", '.'" : "");
        return false;
    }
    free(*ret);
    *ret = orch_xstrdup(s);
    return true;
}

static const char *env_refusal(const char *s)
{
    if (strncmp(s, "LD_", 3) == 0)
        return "the program loader reads it and would load what it names into every tool";
    if (strncmp(s, "ORCH_", 5) == 0 || strcmp(s, "ORCHESTRATOR_MODE") == 0)
        return "orch-sandbox sets it itself";
    return NULL;
}

bool orch_rd_env_name(const struct orch_rd *rd, const cJSON *node, const char *name)
{
    size_t n = 0;
    while (name[n] == '_' || (is_alnum(name[n]) && (n > 0 || name[n] > '9')))
        n++;
    if (n == 0 || name[n] != '\0') {
        orch_json_error(rd->doc, node, rd->d, "'%s' is not the name of an environment variable", name);
        return false;
    }
    const char *why = env_refusal(name);
    if (why != NULL)
        orch_json_error(rd->doc, node, rd->d, "'%s' cannot be given: %s", name, why);
    return why == NULL;
}

bool orch_rd_schema(const struct orch_rd *rd, const cJSON *root)
{
    if (!cJSON_IsObject(root)) {
        orch_json_error(rd->doc, root, rd->d, "expected an object, found %s", type_name(root));
        return false;
    }
    const cJSON *node = orch_rd_get(root, "schema");
    if (node == NULL) {
        orch_json_error(rd->doc, root, rd->d, "missing key 'schema': add \"schema\": 1");
        return false;
    }
    if (cJSON_IsNumber(node) && node->valuedouble > 1)
        orch_json_error(rd->doc, node, rd->d,
                        "schema %.17g is newer than this version of orch-sandbox reads (1): use a newer one",
                        node->valuedouble);
    else if (!cJSON_IsNumber(node) || !(node->valuedouble >= 1))
        orch_json_error(rd->doc, node, rd->d, "unknown schema: expected 1");
    else
        return true;
    return false;
}

static void read_quantity(const struct orch_rd *rd, const cJSON *node, const struct orch_rd_field *f,
                          uint64_t *ret)
{
    bool time = f->kind == ORCH_RD_TIME;
    const char *example =
        time ? "a time such as \"20m\" (ms, s, m, h)" : "a size such as \"512MiB\" (B, KiB, MiB, GiB)";
    if (!cJSON_IsString(node)) {
        orch_json_error(rd->doc, node, rd->d, "expected %s, found %s", example, type_name(node));
        return;
    }
    uint64_t v = 0;
    int r = time ? orch_parse_time(node->valuestring, &v) : orch_parse_size(node->valuestring, &v);
    if (r == -EINVAL)
        orch_json_error(rd->doc, node, rd->d, "'%s' is not %s", node->valuestring, example);
    else if (r < 0 || v < f->min || v > f->max)
        orch_json_error(rd->doc, node, rd->d, "'%s' is out of range: expected at least %llu%s%s",
                        node->valuestring, (unsigned long long)f->min, time ? "ms" : "B",
                        time ? " and at most 366 days" : " and less than 8 EiB");
    else
        *ret = v;
}

static void read_globs(const struct orch_rd *rd, const cJSON *node, struct orch_strv *ret)
{
    if (!orch_rd_array(rd, node))
        return;
    const cJSON *item;
    cJSON_ArrayForEach(item, node)
    {
        const char *s = orch_rd_string(rd, item);
        const char *why = s != NULL ? orch_glob_check(s) : NULL;
        if (why != NULL)
            orch_json_error(rd->doc, item, rd->d, "pattern '%s': %s", s, why);
        else if (s != NULL)
            orch_strv_add(ret, s);
    }
}

static void read_text(const struct orch_rd *rd, const cJSON *node, char **ret)
{
    const char *s = orch_rd_string(rd, node);
    if (s == NULL)
        return;
    free(*ret);
    *ret = orch_xstrdup(s);
}

static void read_field(const struct orch_rd *rd, const cJSON *node, const struct orch_rd_field *f, void *base)
{
    void *at = (char *)base + f->off;
    switch (f->kind) {
    case ORCH_RD_CALL:
        f->call(rd, node, base);
        break;
    case ORCH_RD_TEXT:
        read_text(rd, node, at);
        break;
    case ORCH_RD_BOOL:
        (void)orch_rd_bool(rd, node, at);
        break;
    case ORCH_RD_UINT:
        (void)orch_rd_uint(rd, node, f->min, f->max, at);
        break;
    case ORCH_RD_SIZE:
    case ORCH_RD_TIME:
        read_quantity(rd, node, f, at);
        break;
    case ORCH_RD_ENUM:
        (void)orch_rd_enum(rd, node, f->names, f->later, at);
        break;
    case ORCH_RD_GLOBS:
        read_globs(rd, node, at);
        break;
    case ORCH_RD_NONE:
        (void)orch_rd_string(rd, node);
        break;
    case ORCH_RD_LATER:
    default:
        orch_rd_later(rd, node, f->key);
        break;
    }
}

bool orch_rd_object(const struct orch_rd *rd, const cJSON *node, const struct orch_rd_field *fields,
                    void *base)
{
    const char *keys[ORCH_RD_MAX_FIELDS + 1] = {NULL};
    if (enough(rd, node))
        return false;
    for (size_t i = 0; i < ORCH_RD_MAX_FIELDS && fields[i].key != NULL; i++)
        keys[i] = fields[i].key;
    (void)orch_json_check_keys(rd->doc, node, keys, rd->d);
    if (!cJSON_IsObject(node))
        return false;
    for (const struct orch_rd_field *f = fields; f->key != NULL; f++) {
        const cJSON *member = orch_rd_get(node, f->key);
        if (member != NULL)
            read_field(rd, member, f, base);
        else if (f->required)
            orch_json_error(rd->doc, node, rd->d, "missing key '%s'", f->key);
    }
    return true;
}
