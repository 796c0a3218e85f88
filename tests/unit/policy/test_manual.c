/*
 * test_manual.c - the manual pages of the two documents against the readers' tables: every key is described
 * in the section for it, no other word is marked as a key or value, and every example is taken by the reader.
 *
 * What a page marks with .Cm is a key, a value, or one of the words listed here.
 */
#include "policy/schema.h"
#include "tests/unit/policy/workflow_check.h"

struct page {
    enum orch_schema schema;
    const char *file;
    const char *sections[8][2]; /* prefix of a key, section that describes it; the first that fits */
    const char *others[40];     /* marked words that are neither key nor value of a table */
};

static const struct page pages[] = {
    {ORCH_SCHEMA_PROFILE,
     "docs/man/orch-sandbox-profile.5",
     {{"filesystem[].reason", NULL},
      {"filesystem[].", "FILES"},
      {"syscalls.", "SYSTEM CALLS"},
      {"", "TOP LEVEL"}},
     {"host", "allow", "kill_process", "log", "SCMP_ACT_*", "SCMP_CMP_*", "plan", "base", "implement",
      "verify", "gate", "ceiling", NULL}},
    {ORCH_SCHEMA_WORKFLOW,
     "docs/man/orch-sandbox-workflow.5",
     {{"agent.", "AGENT"},
      {"phases[].agent.", "AGENT"},
      {"phases[].", "PHASES"},
      {"gates[].", "GATES"},
      {"", "TOP LEVEL"}},
     {"null", "exit", "signal", "done", "limit:NAME", "integrity", "setup", "cancel", "approve", "reject",
      "diff", "discard", "theirs-kept", "widen", NULL}},
};

/* --- reading a page --- */

struct marked {
    struct orch_strv words; /* "SECTION/word" */
};

static bool is_punctuation(const char *w)
{
    return strlen(w) == 1 && strchr(",.:;()", w[0]) != NULL;
}

static bool is_macro(const char *w)
{
    static const char *const names[] = {"Ar", "Ns", "Pq", "Fl", "Dq", "Xr", "Pa",
                                        "Ql", "Ev", "Nm", "Sx", "No", NULL};
    for (size_t i = 0; names[i] != NULL; i++)
        if (strcmp(names[i], w) == 0)
            return true;
    return false;
}

/* The words of one macro line that stand behind Cm. */
static void read_line(const char *line, size_t n, const char *section, struct orch_strv *ret)
{
    ORCH_AUTO_FREE char *copy = orch_xstrndup(line, n);
    char *save = NULL;
    bool marked = false;
    for (char *w = strtok_r(copy + 1, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
        if (strcmp(w, "Cm") == 0)
            marked = true;
        else if (is_macro(w))
            marked = false;
        else if (marked && !is_punctuation(w))
            orch_strv_add_take(ret, orch_xasprintf("%s/%s", section, w));
    }
}

static void read_page(const char *text, struct orch_strv *ret)
{
    ORCH_AUTO_FREE char *section = orch_xstrdup("");
    for (const char *l = text; *l != '\0';) {
        size_t n = strcspn(l, "\n");
        if (strncmp(l, ".Sh ", 4) == 0) {
            free(section);
            section = orch_xstrndup(l + 4, n - 4);
        } else if (l[0] == '.') {
            read_line(l, n, section, ret);
        }
        l += n + (l[n] == '\n');
    }
}

/* --- keys --- */

static const char *last_part(const char *key)
{
    const char *dot = strrchr(key, '.');
    return dot != NULL ? dot + 1 : key;
}

static bool marked_anywhere(const struct orch_strv *words, const char *word)
{
    for (size_t i = 0; i < words->n; i++)
        if (strcmp(strchr(words->v[i], '/') + 1, word) == 0)
            return true;
    return false;
}

static const char *section_of(const struct page *p, const char *key)
{
    for (size_t i = 0; p->sections[i][0] != NULL; i++)
        if (strncmp(key, p->sections[i][0], strlen(p->sections[i][0])) == 0)
            return p->sections[i][1];
    return NULL;
}

/* These stand in every object and are described once. */
static bool is_common(const char *word)
{
    return strcmp(word, "reason") == 0 || strcmp(word, "$schema") == 0 || strcmp(word, "schema") == 0;
}

static unsigned check_described(const struct page *p, const struct orch_strv *keys,
                                const struct orch_strv *words)
{
    unsigned missing = 0;
    for (size_t i = 0; i < keys->n; i++) {
        const char *word = last_part(keys->v[i]);
        ORCH_AUTO_FREE char *where = orch_xasprintf("%s/%s", section_of(p, keys->v[i]), word);
        if (is_common(word) ? marked_anywhere(words, word) : orch_strv_has(words, where))
            continue;
        missing++;
        print_error("%s: the key '%s' is not described (as %s)\n", p->file, keys->v[i], where);
    }
    return missing;
}

/* --- values --- */

static void add_values(const cJSON *schema, struct orch_strv *ret)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(schema, "enum"))
        orch_strv_add(ret, item->valuestring);
    cJSON_ArrayForEach(item, schema)
    {
        if (item->string != NULL && strcmp(item->string, "const") == 0 && cJSON_IsString(item))
            orch_strv_add(ret, item->valuestring);
        add_values(item, ret);
    }
}

static void values_of(enum orch_schema which, struct orch_strv *ret)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    orch_schema_write(which, &b);
    cJSON *schema = cJSON_Parse(b.data);
    add_values(schema, ret);
    cJSON_Delete(schema);
}

static bool is_key(const struct orch_strv *keys, const char *word)
{
    for (size_t i = 0; i < keys->n; i++)
        if (strcmp(last_part(keys->v[i]), word) == 0 || strcmp(keys->v[i], word) == 0)
            return true;
    return false;
}

static bool is_other(const struct page *p, const char *word)
{
    for (size_t i = 0; p->others[i] != NULL; i++)
        if (strcmp(p->others[i], word) == 0)
            return true;
    return false;
}

static unsigned check_nothing_else(const struct page *p, const struct orch_strv *keys,
                                   const struct orch_strv *values, const struct orch_strv *words)
{
    unsigned strange = 0;
    for (size_t i = 0; i < words->n; i++) {
        const char *word = strchr(words->v[i], '/') + 1;
        if (is_key(keys, word) || orch_strv_has(values, word) || is_other(p, word))
            continue;
        strange++;
        print_error("%s: '%s' is neither a key nor a value\n", p->file, words->v[i]);
    }
    return strange;
}

static void pages_describe_every_key_and_nothing_else(void **state)
{
    (void)state;
    unsigned wrong = 0;
    for (size_t i = 0; i < ORCH_NELEM(pages); i++) {
        ORCH_AUTO_BUF struct orch_buf text = {0};
        struct orch_strv keys = {0}, values = {0}, words = {0};
        assert_int_equal(orch_read_file(AT_FDCWD, pages[i].file, 1u << 20, &text), 0);
        orch_schema_keys(pages[i].schema, &keys);
        values_of(pages[i].schema, &values);
        read_page(text.data, &words);
        assert_true(keys.n > 30 && values.n > 10 && words.n > 30);
        wrong += check_described(&pages[i], &keys, &words);
        wrong += check_nothing_else(&pages[i], &keys, &values, &words);
        orch_strv_fini(&keys);
        orch_strv_fini(&values);
        orch_strv_fini(&words);
    }
    assert_int_equal(wrong, 0);
}

/* --- examples --- */

static void try_example(enum orch_schema which, const char *file, const char *text)
{
    ORCH_AUTO_FREE char *errors = NULL;
    struct orch_profile *p = which == ORCH_SCHEMA_PROFILE ? load(text, &errors) : NULL;
    struct orch_workflow *w = which == ORCH_SCHEMA_WORKFLOW ? load_workflow(text, &errors) : NULL;
    if (p == NULL && w == NULL)
        fail_msg("%s: the example\n%s\nis refused: %s", file, text, errors);
    orch_profile_free(p);
    orch_workflow_free(w);
}

/* Every .Bd block that is a JSON document. */
static unsigned try_examples(const struct page *p, const char *text)
{
    unsigned n = 0;
    for (const char *at = strstr(text, ".Bd -literal"); at != NULL; at = strstr(at, ".Bd -literal")) {
        const char *start = strchr(at, '\n') + 1, *end = strstr(start, "\n.Ed");
        assert_non_null(end);
        ORCH_AUTO_FREE char *block = orch_xstrndup(start, (size_t)(end - start));
        if (block[0] == '{') {
            try_example(p->schema, p->file, block);
            n++;
        }
        at = end;
    }
    return n;
}

static void every_example_is_taken(void **state)
{
    (void)state;
    ORCH_AUTO_FREE char *prompts = orch_xasprintf("%s/prompts", dir);
    assert_int_equal(orch_mkdir_p(prompts, 0755), 0);
    put("prompts/plan.md", "Make a plan.\n");
    for (size_t i = 0; i < ORCH_NELEM(pages); i++) {
        ORCH_AUTO_BUF struct orch_buf text = {0};
        assert_int_equal(orch_read_file(AT_FDCWD, pages[i].file, 1u << 20, &text), 0);
        assert_true(try_examples(&pages[i], text.data) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_describe_every_key_and_nothing_else),
        cmocka_unit_test(every_example_is_taken),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
