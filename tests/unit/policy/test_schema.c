/* test_schema.c - the JSON Schemas: what is shipped is what the readers' tables say, and what a reader takes
 * fits. With ORCH_WRITE_SCHEMA=1 the shipped files are written anew. */
#include <glob.h>
#include "policy/profile_int.h"
#include "policy/schema.h"
#include "policy/workflow_int.h"
#include "tests/unit/policy/schema_check.h"
#include "tests/unit/policy/workflow_check.h"

static const char *const shipped[] = {"profiles/schema/profile.schema.json",
                                      "profiles/schema/workflow.schema.json"};

static cJSON *schemas[2];

static int make(void **state)
{
    for (int i = 0; i < 2; i++) {
        ORCH_AUTO_BUF struct orch_buf b = {0};
        orch_schema_write((enum orch_schema)i, &b);
        schemas[i] = cJSON_Parse(b.data);
        if (schemas[i] == NULL)
            return -1;
        if (getenv("ORCH_WRITE_SCHEMA") == NULL)
            continue;
        FILE *f = fopen(shipped[i], "we");
        if (f == NULL || fwrite(b.data, 1, b.len, f) != b.len || fclose(f) != 0)
            return -1;
    }
    return make_dir(state);
}

static int unmake(void **state)
{
    cJSON_Delete(schemas[0]);
    cJSON_Delete(schemas[1]);
    return remove_dir(state);
}

static void shipped_schemas_are_those_of_the_tables(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        ORCH_AUTO_BUF struct orch_buf want = {0}, got = {0};
        orch_schema_write((enum orch_schema)i, &want);
        assert_int_equal(orch_read_file(AT_FDCWD, shipped[i], 1u << 20, &got), 0);
        if (got.len != want.len || memcmp(got.data, want.data, got.len) != 0)
            fail_msg("%s is not what the tables say; ORCH_WRITE_SCHEMA=1 writes it anew", shipped[i]);
    }
}

/* --- every key, and nothing else --- */

static void walk(const cJSON *schema, const char *prefix, const cJSON *root, struct orch_strv *ret, int depth)
{
    const cJSON *properties = cJSON_GetObjectItemCaseSensitive(schema, "properties"), *member;
    const cJSON *ref = cJSON_GetObjectItemCaseSensitive(schema, "$ref");
    const cJSON *items = cJSON_GetObjectItemCaseSensitive(schema, "items");
    const cJSON *values = cJSON_GetObjectItemCaseSensitive(schema, "additionalProperties");
    const cJSON *tag =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(properties, "type"), "const");
    ORCH_AUTO_FREE char *base =
        tag != NULL ? orch_xasprintf("gates[].%s", tag->valuestring) : orch_xstrdup(prefix);
    if (depth > 8)
        return;
    if (ref != NULL)
        walk(cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(root, "$defs"),
                                              ref->valuestring + 8),
             prefix, root, ret, depth + 1);
    cJSON_ArrayForEach(member, cJSON_GetObjectItemCaseSensitive(schema, "anyOf"))
        walk(member, prefix, root, ret, depth + 1);
    ORCH_AUTO_FREE char *each = orch_xasprintf("%s%s", prefix, items != NULL ? "[]" : ".*");
    if (items != NULL || cJSON_IsObject(values))
        walk(items != NULL ? items : values, each, root, ret, depth + 1);
    cJSON_ArrayForEach(member, properties)
    {
        ORCH_AUTO_FREE char *name = orch_xasprintf("%s%s%s", base, *base != '\0' ? "." : "", member->string);
        if (!orch_strv_has(ret, name)) {
            orch_strv_add(ret, name);
            walk(member, name, root, ret, depth + 1);
        }
    }
}

static void expect_subset(const struct orch_strv *a, const struct orch_strv *b, const char *what)
{
    for (size_t i = 0; i < a->n; i++)
        if (!orch_strv_has(b, a->v[i]))
            fail_msg("%s is not in %s", a->v[i], what);
}

static void schema_has_every_key_and_no_other(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct orch_strv tables = {0}, seen = {0};
        orch_schema_keys((enum orch_schema)i, &tables);
        walk(schemas[i], "", schemas[i], &seen, 0);
        assert_true(tables.n > 30);
        expect_subset(&tables, &seen, "the schema");
        expect_subset(&seen, &tables, "the tables");
        orch_strv_fini(&tables);
        orch_strv_fini(&seen);
    }
}

static void expect_shapes(const struct orch_rd_shape *shape, int depth)
{
    if (shape == NULL || depth > 10)
        return;
    expect_shapes(shape->items, depth + 1);
    for (size_t i = 0; shape->any_of != NULL && shape->any_of[i] != NULL; i++)
        expect_shapes(shape->any_of[i], depth + 1);
    for (const struct orch_rd_field *f = shape->fields; f != NULL && f->key != NULL; f++) {
        if (f->kind == ORCH_RD_CALL && f->shape == NULL)
            fail_msg("the key '%s' has no shape: the schema would take anything", f->key);
        expect_shapes(f->shape, depth + 1);
    }
}

static void every_key_that_a_function_reads_has_a_shape(void **state)
{
    (void)state;
    expect_shapes(&orch_prof_shape, 0);
    expect_shapes(&orch_wf_shape, 0);
}

/* --- documents --- */

static bool fits(int which, const char *text, char **ret_why)
{
    cJSON *doc = cJSON_Parse(text);
    struct schema_check c = {.root = schemas[which]};
    bool ok = doc != NULL && schema_fits(&c, schemas[which], doc);
    *ret_why = orch_buf_take(&c.why);
    cJSON_Delete(doc);
    return ok;
}

static void expect_fit(int which, const char *name, const char *text)
{
    ORCH_AUTO_FREE char *why = NULL;
    if (!fits(which, text, &why))
        fail_msg("%s does not fit the schema: %s", name, why);
}

static void builtins_and_examples_fit(void **state)
{
    (void)state;
    static const char *const patterns[] = {"profiles/examples/*/[!w]*.json",
                                           "profiles/examples/*/workflow*.json"};
    for (size_t i = 0; orch_builtin_names[i] != NULL; i++)
        expect_fit(0, orch_builtin_names[i], orch_builtin_text(orch_builtin_names[i], NULL));
    for (int i = 0; i < 2; i++) {
        glob_t g;
        assert_int_equal(glob(patterns[i], 0, NULL, &g), 0);
        for (size_t k = 0; k < g.gl_pathc; k++) {
            ORCH_AUTO_BUF struct orch_buf b = {0};
            assert_int_equal(orch_read_file(AT_FDCWD, g.gl_pathv[k], 1u << 20, &b), 0);
            expect_fit(i, g.gl_pathv[k], b.data);
        }
        globfree(&g);
    }
}

static const struct {
    int which;
    const char *text;
} unfit[] = {
    {0, "[]"},
    {0, "{\"schema\": 1}"},
    {0, "{\"name\": \"t\"}"},
    {0, "{\"schema\": 2, \"name\": \"t\"}"},
    {0, "{\"schema\": 1, \"name\": \"a b\"}"},
    {0, DOC("\"tolls\": []")},
    {0, DOC("\"tools\": \"all\"")},
    {0, DOC("\"tools\": [{\"path\": \"/x\"}]")},
    {0, DOC("\"limits\": {\"memory\": 5}")},
    {0, DOC("\"limits\": {\"memory\": \"5 MiB\"}")},
    {0, DOC("\"limits\": {\"wall\": \"5MiB\"}")},
    {0, DOC("\"limits\": {\"pids\": 0}")},
    {0, DOC("\"limits\": {\"pids\": 1.5}")},
    {0, DOC("\"network\": {}")},
    {0, DOC("\"network\": {\"mode\": \"host\"}")},
    {0, DOC("\"audit\": {\"level\": 1}")},
    {0, DOC("\"create\": [\"fifo\"]")},
    {0, DOC("\"env\": {\"set\": {\"A\": 1}}")},
    {0, FS("{\"path\": \"/x\"}")},
    {0, FS("{\"path\": \"x\", \"access\": \"ro\"}")},
    {0, FS("{\"path\": \"/x\", \"access\": \"wr\"}")},
    {0, RULE("\"syscalls\": [\"mkdir\"]")},
    {1, "{\"schema\": 1, \"name\": \"w\"}"},
    {1, "{\"schema\": 1, \"name\": \"w\", \"phases\": []}"},
    {1, "{\"schema\": 1, \"name\": \"w\", \"phases\": [{\"name\": \"p\"}]}"},
    {1,
     "{\"schema\": 1, \"name\": \"w\", \"phases\": [{\"name\": \"p\", \"gates\": [{\"type\": \"fil\"}]}]}"},
    {1,
     "{\"schema\": 1, \"name\": \"w\", \"phases\": [{\"name\": \"p\", \"gates\": [{\"type\": \"file\"}]}]}"},
    {1, "{\"schema\": 1, \"name\": \"w\", \"phases\": [{\"name\": \"p\", \"gates\": [{\"type\": \"any\", "
        "\"gates\": [{\"type\": \"denials\", \"max\": -1}]}]}]}"},
};

static void bad_documents_do_not_fit(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(unfit); i++) {
        ORCH_AUTO_FREE char *why = NULL, *errors = NULL;
        if (fits(unfit[i].which, unfit[i].text, &why))
            fail_msg("fits: %s", unfit[i].text);
        if (unfit[i].which == 0)
            assert_null(load(unfit[i].text, &errors));
        else
            assert_null(load_workflow(unfit[i].text, &errors));
    }
}

/* --- each key with each type: what the reader takes, the schema takes --- */

static const char *const values[] = {
    "null",     "true",   "1",         "0",  "-1",      "1.5", "\"\"", "\"x\"",         "\"1s\"",
    "\"1MiB\"", "\"/x\"", "\"EPERM\"", "[]", "[\"x\"]", "[1]", "{}",   "{\"a\": \"b\"}"};

/* {"limits": {"memory": VALUE}} around VALUE for the key "limits.memory"; lists get one element. */
static char *wrap(const char *key, const char *value)
{
    const char *rest = strpbrk(key, ".[");
    size_t n = rest != NULL ? (size_t)(rest - key) : strlen(key);
    if (strncmp(key, "[]", 2) == 0) {
        ORCH_AUTO_FREE char *inner = wrap(key + 2, value);
        return orch_xasprintf("[%s]", inner);
    }
    if (*key == '.')
        return wrap(key + 1, value);
    if (*key == '\0')
        return orch_xstrdup(value);
    ORCH_AUTO_FREE char *inner = rest != NULL ? wrap(rest, value) : orch_xstrdup(value);
    return orch_xasprintf("{\"%.*s\": %s}", (int)n, key, inner);
}

/* As wrap, beside what a whole document has. */
static char *document(int which, const char *key, const char *value)
{
    static const char *const gate = "{\"type\": \"denials\", \"max\": 0}";
    ORCH_AUTO_FREE char *body = wrap(key, value);
    const char *head = "\"schema\": 1, \"name\": \"t\", ";
    if (strncmp(key, "schema", 6) == 0 || strcmp(key, "name") == 0)
        head = strcmp(key, "name") == 0 ? "\"schema\": 1, " : "\"name\": \"t\", ";
    if (which == 0)
        return orch_xasprintf("{%s%s", head, body + 1);
    return orch_xasprintf(
        "{%s%s%s%s%s", head,
        strncmp(key, "phases", 6) == 0 ? "" : "\"phases\": [{\"name\": \"p\", \"agent\": null, \"gates\": [",
        strncmp(key, "phases", 6) == 0 ? "" : gate, strncmp(key, "phases", 6) == 0 ? "" : "]}], ", body + 1);
}

static unsigned try_value(int which, const char *key, const char *value)
{
    ORCH_AUTO_FREE char *text = document(which, key, value), *errors = NULL, *why = NULL;
    struct orch_profile *p = which == 0 ? load(text, &errors) : NULL;
    struct orch_workflow *w = which == 1 ? load_workflow(text, &errors) : NULL;
    bool taken = p != NULL || w != NULL;
    orch_profile_free(p);
    orch_workflow_free(w);
    if (taken && !fits(which, text, &why))
        fail_msg("is read, but does not fit (%s): %s", why, text);
    return taken;
}

static void what_is_read_fits(void **state)
{
    (void)state;
    unsigned taken = 0, tried = 0;
    for (int which = 0; which < 2; which++) {
        struct orch_strv keys = {0};
        orch_schema_keys((enum orch_schema)which, &keys);
        for (size_t i = 0; i < keys.n; i++)
            for (size_t k = 0; k < ORCH_NELEM(values); k++, tried++)
                taken += try_value(which, keys.v[i], values[k]);
        orch_strv_fini(&keys);
    }
    assert_true(taken > 30 && taken < tried / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shipped_schemas_are_those_of_the_tables),
        cmocka_unit_test(schema_has_every_key_and_no_other),
        cmocka_unit_test(every_key_that_a_function_reads_has_a_shape),
        cmocka_unit_test(builtins_and_examples_fit),
        cmocka_unit_test(bad_documents_do_not_fit),
        cmocka_unit_test(what_is_read_fits),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
