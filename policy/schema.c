/* schema.c - JSON Schemas from the readers' tables (schema.h). */
#include "policy/assertions_int.h"
#include "policy/schema.h"

#include <string.h>
#include "common/jsonw.h"
#include "policy/profile_int.h"
#include "policy/workflow_int.h"

#define DIALECT "https://json-schema.org/draft/2020-12/schema"
#define MAX_DEFS 8

const struct orch_rd_shape orch_shape_string = {.type = "string"};
const struct orch_rd_shape orch_shape_strings = {.type = "array", .items = &orch_shape_string};
const struct orch_rd_shape orch_shape_command = {.type = "array", .items = &orch_shape_string, .min = 1};
static const struct orch_rd_shape number_shape = {.type = "integer", .max = ORCH_UINT_MAX_JSON};
static const struct orch_rd_shape *const value_any[] = {&number_shape, &orch_shape_string, NULL};
const struct orch_rd_shape orch_shape_value = {.any_of = value_any};

struct schema {
    struct orch_jw w;
    const struct orch_rd_shape *defs[MAX_DEFS]; /* met on the way, written at the end */
    size_t n_defs;
};

static void write_shape(struct schema *s, const char *key, const struct orch_rd_shape *shape);

static void write_names(struct schema *s, const char *const *names)
{
    orch_jw_arr(&s->w, "enum");
    for (size_t i = 0; names[i] != NULL; i++)
        orch_jw_str(&s->w, NULL, names[i]);
    orch_jw_end(&s->w, ']');
}

static void write_quantity(struct schema *s, bool time)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    orch_unit_pattern(time, &b);
    orch_jw_str(&s->w, "type", "string");
    orch_jw_str(&s->w, "pattern", b.data);
}

static void write_range(struct schema *s, uint64_t min, uint64_t max)
{
    orch_jw_str(&s->w, "type", "integer");
    orch_jw_uint(&s->w, "minimum", min);
    orch_jw_uint(&s->w, "maximum", max);
}

static void write_plain(struct schema *s, const struct orch_rd_field *f)
{
    orch_jw_obj(&s->w, f->key);
    switch (f->kind) {
    case ORCH_RD_BOOL:
        orch_jw_str(&s->w, "type", "boolean");
        break;
    case ORCH_RD_UINT:
        write_range(s, f->min, f->max);
        break;
    case ORCH_RD_SIZE:
    case ORCH_RD_TIME:
        write_quantity(s, f->kind == ORCH_RD_TIME);
        break;
    case ORCH_RD_ENUM:
        write_names(s, f->names);
        break;
    case ORCH_RD_GLOBS:
        orch_jw_str(&s->w, "type", "array");
        orch_jw_obj(&s->w, "items");
        orch_jw_str(&s->w, "type", "string");
        orch_jw_end(&s->w, '}');
        break;
    default:
        orch_jw_str(&s->w, "type", "string");
        break;
    }
    orch_jw_end(&s->w, '}');
}

static void write_tag(struct schema *s, const char *tag)
{
    orch_jw_obj(&s->w, "type");
    orch_jw_str(&s->w, "const", tag);
    orch_jw_end(&s->w, '}');
}

/* Keys that this version refuses are not in the schema: an editor marks them as the reader does. */
static void write_properties(struct schema *s, const struct orch_rd_shape *shape)
{
    orch_jw_obj(&s->w, "properties");
    for (const struct orch_rd_field *f = shape->fields; f->key != NULL; f++) {
        if (f->kind == ORCH_RD_LATER)
            continue;
        if (shape->tag != NULL && strcmp(f->key, "type") == 0)
            write_tag(s, shape->tag);
        else if (f->kind == ORCH_RD_CALL)
            write_shape(s, f->key, f->shape);
        else
            write_plain(s, f);
    }
    orch_jw_end(&s->w, '}');
}

static void write_required(struct schema *s, const struct orch_rd_field *fields)
{
    bool any = false;
    for (const struct orch_rd_field *f = fields; f->key != NULL; f++) {
        if (!f->required && !f->needed)
            continue;
        if (!any)
            orch_jw_arr(&s->w, "required");
        any = true;
        orch_jw_str(&s->w, NULL, f->key);
    }
    if (any)
        orch_jw_end(&s->w, ']');
}

static void write_object(struct schema *s, const struct orch_rd_shape *shape)
{
    if (shape->fields == NULL) {
        write_shape(s, "additionalProperties", shape->items);
        return;
    }
    write_properties(s, shape);
    write_required(s, shape->fields);
    orch_jw_bool(&s->w, "additionalProperties", false);
}

static void write_any(struct schema *s, const struct orch_rd_shape *const *any_of)
{
    orch_jw_arr(&s->w, "anyOf");
    for (size_t i = 0; any_of[i] != NULL; i++)
        write_shape(s, NULL, any_of[i]);
    orch_jw_end(&s->w, ']');
}

static void write_body(struct schema *s, const struct orch_rd_shape *shape)
{
    if (shape->type == NULL) {
        write_any(s, shape->any_of);
        return;
    }
    if (strcmp(shape->type, "integer") == 0) {
        write_range(s, shape->min, shape->max);
        return;
    }
    orch_jw_str(&s->w, "type", shape->type);
    if (shape->pattern != NULL)
        orch_jw_str(&s->w, "pattern", shape->pattern);
    if (shape->names != NULL)
        write_names(s, shape->names);
    if (strcmp(shape->type, "object") == 0)
        write_object(s, shape);
    if (strcmp(shape->type, "array") != 0)
        return;
    write_shape(s, "items", shape->items);
    if (shape->min > 0)
        orch_jw_uint(&s->w, "minItems", shape->min);
}

static void remember(struct schema *s, const struct orch_rd_shape *shape)
{
    for (size_t i = 0; i < s->n_defs; i++)
        if (s->defs[i] == shape)
            return;
    if (s->n_defs < MAX_DEFS)
        s->defs[s->n_defs++] = shape;
}

/* key NULL inside a list. Without a shape anything fits: a test finds such a field. */
static void write_shape(struct schema *s, const char *key, const struct orch_rd_shape *shape)
{
    orch_jw_obj(&s->w, key);
    if (shape != NULL && shape->def != NULL) {
        ORCH_AUTO_FREE char *ref = orch_xasprintf("#/$defs/%s", shape->def);
        remember(s, shape);
        orch_jw_str(&s->w, "$ref", ref);
    } else if (shape != NULL) {
        write_body(s, shape);
    }
    orch_jw_end(&s->w, '}');
}

/* A definition may name further ones, so their number grows here. */
static void write_defs(struct schema *s)
{
    if (s->n_defs == 0)
        return;
    orch_jw_obj(&s->w, "$defs");
    for (size_t i = 0; i < s->n_defs; i++) {
        orch_jw_obj(&s->w, s->defs[i]->def);
        write_body(s, s->defs[i]);
        orch_jw_end(&s->w, '}');
    }
    orch_jw_end(&s->w, '}');
}

/* Two spaces for each level, so that a change is one line of a diff. */
static void write_indented(const char *compact, struct orch_buf *out)
{
    cJSON *root = cJSON_Parse(compact);
    ORCH_AUTO_FREE char *text = root != NULL ? cJSON_Print(root) : NULL;
    for (const char *p = text != NULL ? text : compact; *p != '\0'; p++) {
        if (*p != '\t')
            orch_buf_char(out, *p);
        else
            orch_buf_str(out, p[-1] == ':' ? " " : "  ");
    }
    orch_buf_char(out, '\n');
    cJSON_Delete(root);
}

static const struct orch_rd_shape *root_shape(enum orch_schema which)
{
    static const struct orch_rd_shape *const roots[] = {
        [ORCH_SCHEMA_PROFILE] = &orch_prof_shape,
        [ORCH_SCHEMA_WORKFLOW] = &orch_wf_shape,
        [ORCH_SCHEMA_TEST] = &orch_assertions_shape,
    };
    return roots[which];
}

void orch_schema_write(enum orch_schema which, struct orch_buf *out)
{
    static const char *const titles[] = {"orch-sandbox profile", "orch-sandbox workflow",
                                         "orch-sandbox policy test"};
    ORCH_AUTO_BUF struct orch_buf compact = {0};
    struct schema s = {.w = {.out = &compact}};
    orch_jw_obj(&s.w, NULL);
    orch_jw_str(&s.w, "$schema", DIALECT);
    orch_jw_str(&s.w, "title", titles[which]);
    write_body(&s, root_shape(which));
    write_defs(&s);
    orch_jw_end(&s.w, '}');
    write_indented(compact.data, out);
}

/* --- names of keys --- */

static void list_keys(const struct orch_rd_shape *shape, const char *prefix, struct orch_strv *ret);

static void list_field(const struct orch_rd_field *f, const char *prefix, struct orch_strv *ret)
{
    ORCH_AUTO_FREE char *name = orch_xasprintf("%s%s%s", prefix, *prefix != '\0' ? "." : "", f->key);
    if (orch_strv_has(ret, name))
        return;
    orch_strv_add(ret, name);
    if (f->shape != NULL)
        list_keys(f->shape, name, ret);
}

static void list_keys(const struct orch_rd_shape *shape, const char *prefix, struct orch_strv *ret)
{
    ORCH_AUTO_FREE char *tagged = shape->tag != NULL ? orch_xasprintf("gates[].%s", shape->tag) : NULL;
    const char *name = tagged != NULL ? tagged : prefix;
    for (size_t i = 0; shape->any_of != NULL && shape->any_of[i] != NULL; i++)
        list_keys(shape->any_of[i], prefix, ret);
    if (shape->items != NULL) {
        ORCH_AUTO_FREE char *each =
            orch_xasprintf("%s%s", prefix, strcmp(shape->type, "array") == 0 ? "[]" : ".*");
        list_keys(shape->items, each, ret);
    }
    for (const struct orch_rd_field *f = shape->fields; f != NULL && f->key != NULL; f++)
        if (f->kind != ORCH_RD_LATER)
            list_field(f, name, ret);
}

void orch_schema_keys(enum orch_schema which, struct orch_strv *ret)
{
    list_keys(root_shape(which), "", ret);
}
