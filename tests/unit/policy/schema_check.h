/* schema_check.h - does a document fit a JSON Schema? Knows exactly the keywords that policy/schema.c writes,
 * and says so when it meets another. */
#ifndef TESTS_UNIT_POLICY_SCHEMA_CHECK_H
#define TESTS_UNIT_POLICY_SCHEMA_CHECK_H

#include <regex.h>
#include <stdbool.h>
#include <string.h>
#include <cjson/cJSON.h>
#include "common/buf.h"

struct schema_check {
    const cJSON *root;   /* for $ref */
    struct orch_buf why; /* the first reason */
};

static bool schema_fits(struct schema_check *c, const cJSON *schema, const cJSON *doc);

__attribute__((unused)) static bool schema_no(struct schema_check *c, const cJSON *doc, const char *why)
{
    if (c->why.len == 0)
        orch_buf_printf(&c->why, "%s: %s", doc->string != NULL ? doc->string : "element", why);
    return false;
}

static bool schema_type(const char *type, const cJSON *doc)
{
    static const struct {
        const char *name;
        cJSON_bool (*is)(const cJSON *item);
    } types[] = {{"string", cJSON_IsString}, {"boolean", cJSON_IsBool}, {"object", cJSON_IsObject},
                 {"array", cJSON_IsArray},   {"null", cJSON_IsNull},    {"integer", cJSON_IsNumber}};
    for (size_t i = 0; i < ORCH_NELEM(types); i++)
        if (strcmp(types[i].name, type) == 0)
            return types[i].is(doc) && (i != 5 || doc->valuedouble == (double)(long long)doc->valuedouble);
    return false;
}

static bool schema_pattern(const char *pattern, const cJSON *doc)
{
    regex_t re;
    if (!cJSON_IsString(doc))
        return true;
    if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return false;
    bool hit = regexec(&re, doc->valuestring, 0, NULL, 0) == 0;
    regfree(&re);
    return hit;
}

static bool schema_among(const cJSON *list, const cJSON *doc)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (cJSON_Compare(item, doc, true))
            return true;
    }
    return false;
}

static bool schema_items(struct schema_check *c, const cJSON *schema, const cJSON *doc)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, (cJSON_IsArray(doc) ? doc : NULL))
    {
        if (!schema_fits(c, schema, item))
            return false;
    }
    return true;
}

/* Members that `properties` (may be NULL) does not name. */
static bool schema_others(struct schema_check *c, const cJSON *rule, const cJSON *properties,
                          const cJSON *doc)
{
    const cJSON *member;
    cJSON_ArrayForEach(member, (cJSON_IsObject(doc) ? doc : NULL))
    {
        if (properties != NULL && cJSON_GetObjectItemCaseSensitive(properties, member->string) != NULL)
            continue;
        if (cJSON_IsFalse(rule))
            return schema_no(c, member, "no such key");
        if (!schema_fits(c, rule, member))
            return false;
    }
    return true;
}

static bool schema_properties(struct schema_check *c, const cJSON *properties, const cJSON *doc)
{
    const cJSON *member;
    cJSON_ArrayForEach(member, (cJSON_IsObject(doc) ? doc : NULL))
    {
        const cJSON *schema = cJSON_GetObjectItemCaseSensitive(properties, member->string);
        if (schema != NULL && !schema_fits(c, schema, member))
            return false;
    }
    return true;
}

static bool schema_required(const cJSON *list, const cJSON *doc)
{
    const cJSON *name;
    cJSON_ArrayForEach(name, (cJSON_IsObject(doc) ? list : NULL))
    {
        if (cJSON_GetObjectItemCaseSensitive(doc, name->valuestring) == NULL)
            return false;
    }
    return true;
}

static bool schema_any(struct schema_check *c, const cJSON *list, const cJSON *doc)
{
    const cJSON *schema;
    cJSON_ArrayForEach(schema, list)
    {
        struct schema_check quiet = {.root = c->root};
        bool fits = schema_fits(&quiet, schema, doc);
        orch_buf_fini(&quiet.why);
        if (fits)
            return true;
    }
    return false;
}

static bool schema_ref(struct schema_check *c, const char *ref, const cJSON *doc)
{
    const cJSON *defs = cJSON_GetObjectItemCaseSensitive(c->root, "$defs");
    const char *name = strncmp(ref, "#/$defs/", 8) == 0 ? ref + 8 : "";
    const cJSON *schema = cJSON_GetObjectItemCaseSensitive(defs, name);
    return schema != NULL && schema_fits(c, schema, doc);
}

/* One keyword k of the schema. */
static bool schema_keyword(struct schema_check *c, const cJSON *schema, const cJSON *k, const cJSON *doc)
{
    const char *name = k->string;
    if (strcmp(name, "type") == 0)
        return schema_type(k->valuestring, doc);
    if (strcmp(name, "pattern") == 0)
        return schema_pattern(k->valuestring, doc);
    if (strcmp(name, "enum") == 0)
        return schema_among(k, doc);
    if (strcmp(name, "const") == 0)
        return cJSON_Compare(k, doc, true);
    if (strcmp(name, "minimum") == 0)
        return !cJSON_IsNumber(doc) || doc->valuedouble >= k->valuedouble;
    if (strcmp(name, "maximum") == 0)
        return !cJSON_IsNumber(doc) || doc->valuedouble <= k->valuedouble;
    if (strcmp(name, "minItems") == 0)
        return !cJSON_IsArray(doc) || cJSON_GetArraySize(doc) >= k->valueint;
    if (strcmp(name, "items") == 0)
        return schema_items(c, k, doc);
    if (strcmp(name, "properties") == 0)
        return schema_properties(c, k, doc);
    if (strcmp(name, "required") == 0)
        return schema_required(k, doc);
    if (strcmp(name, "additionalProperties") == 0)
        return schema_others(c, k, cJSON_GetObjectItemCaseSensitive(schema, "properties"), doc);
    if (strcmp(name, "anyOf") == 0)
        return schema_any(c, k, doc);
    if (strcmp(name, "$ref") == 0)
        return schema_ref(c, k->valuestring, doc);
    return strcmp(name, "$schema") == 0 || strcmp(name, "title") == 0 || strcmp(name, "$defs") == 0;
}

static bool schema_fits(struct schema_check *c, const cJSON *schema, const cJSON *doc)
{
    const cJSON *k;
    cJSON_ArrayForEach(k, schema)
    {
        if (!schema_keyword(c, schema, k, doc))
            return schema_no(c, doc, k->string);
    }
    return true;
}

#endif
