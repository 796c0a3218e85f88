/* Strict JSON documents. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/io.h"
#include "common/json.h"

#define S(text) text, sizeof(text) - 1

static const struct {
    const char *text;
    size_t n;
} good[] = {
    {S("{}")},
    {S(" \t\r\n[]\n")},
    {S("0")},
    {S("-0")},
    {S("\"\"")},
    {S("null")},
    {S("[true,false,null]")},
    {S("9007199254740991")},
    {S("-9007199254740991")},
    {S("1.5e-3")},
    {S("1E+2")},
    {S("1e308")},
    {S("123456789012345.678901234567890123456789012345678901234567890e1")},
    {S("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001\\ud834\\udd1e\"")},
    {S("\"\x7f\xc2\x80\xf4\x8f\xbf\xbf\"")},
    {S("{\"a\":1,\"A\":2,\"\":3}")},
    {S("{\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":1}}")},
};

static const struct {
    const char *text;
    size_t n;
    unsigned line, col;
    const char *msg;
} bad[] = {
    {S(""), 1, 1, "empty"},
    {S(" \n "), 2, 2, "empty"},
    {S("\xef\xbb\xbf{}"), 1, 1, "byte order mark"},
    {S("{}x"), 1, 3, "nothing behind the document, found 'x'"},
    {S("{}\0"), 1, 3, "0x00"},
    {S("1 2"), 1, 3, "nothing behind"},
    {S("\0"), 1, 1, "a value, found the byte 0x00"},
    {S("[1,\n 2,]"), 2, 4, "a value, found ']'"},
    {S("[1"), 1, 3, "',' or ']', found the end"},
    {S("[,1]"), 1, 2, "a value"},
    {S("[1 2]"), 1, 4, "',' or ']'"},
    {S("[1}"), 1, 3, "',' or ']'"},
    {S("{"), 1, 2, "'}'"},
    {S("{\"a\":1,}"), 1, 8, "a key in double quotes, found '}'"},
    {S("{a:1}"), 1, 2, "a key"},
    {S("{\"a\" 1}"), 1, 6, "':'"},
    {S("{\"a\":}"), 1, 6, "a value"},
    {S("{\"a\":1 \"b\":2}"), 1, 8, "',' or '}'"},
    {S("{'a':1}"), 1, 2, "a key"},
    {S("[1] // x"), 1, 5, "nothing behind"},
    {S("[\v1]"), 1, 2, "0x0b"},
    {S("[\xc2\xa0]"), 1, 2, "0xc2"},
    {S("01"), 1, 2, "start with 0"},
    {S("-01"), 1, 3, "start with 0"},
    {S("-"), 1, 2, "a digit"},
    {S("+1"), 1, 1, "a value"},
    {S(".5"), 1, 1, "a value"},
    {S("1."), 1, 3, "a digit"},
    {S("1.e1"), 1, 3, "a digit"},
    {S("1e"), 1, 3, "a digit"},
    {S("1e+"), 1, 4, "a digit"},
    {S("0x1"), 1, 2, "nothing behind"},
    {S("NaN"), 1, 1, "a value"},
    {S("-Infinity"), 1, 2, "a digit"},
    {S("[1e999]"), 1, 2, "too large"},
    {S("9007199254740992"), 1, 1, "2^53-1"},
    {S("-9007199254740993"), 1, 1, "2^53-1"},
    {S("0.12345678901234567890123456789012345678901234567890123456789012"), 1, 1, "63 characters"},
    {S("True"), 1, 1, "a value"},
    {S("tru"), 1, 1, "only words"},
    {S("truex"), 1, 5, "nothing behind"},
    {S("\"a"), 1, 3, "not closed"},
    {S("\"a\\"), 1, 4, "escape"},
    {S("\"\\x41\""), 1, 3, "escape"},
    {S("\"\\\0\""), 1, 3, "escape"},
    {S("\"\\u00g0\""), 1, 6, "hexadecimal"},
    {S("\"\\u00"), 1, 6, "hexadecimal"},
    {S("\"a\nb\""), 1, 3, "control byte 0x0a"},
    {S("\"a\0b\""), 1, 3, "control byte 0x00"},
    {S("\"a\\u0000b\""), 1, 9, "\\u0000"},
    {S("\"\\ud800\""), 1, 8, "lone surrogate \\ud800"},
    {S("\"\\udc00\""), 1, 8, "lone surrogate \\udc00"},
    {S("\"\\ud800\\u0041\""), 1, 14, "lone surrogate \\ud800"},
    {S("\"\\ud800\\ud800\""), 1, 14, "lone surrogate \\ud800"},
    {S("\"\xff\""), 1, 2, "not valid UTF-8"},
    {S("\"\xed\xa0\x80\""), 1, 2, "not valid UTF-8"},
    {S("\"\xc3"), 1, 2, "not valid UTF-8"},
    {S("{\"\xff\":1}"), 1, 3, "not valid UTF-8"},
    {S("{\"a\":1,\n \"a\":2}"), 2, 2, "duplicate key 'a' (first at line 1, column 2)"},
    {S("{\"a\":1,\"\\u0061\":2}"), 1, 8, "duplicate key 'a'"},
    {S("[{\"\":1,\"b\":1,\"\":2}]"), 1, 14, "duplicate key ''"},
};

static struct orch_json *parse(const char *text, size_t n)
{
    struct orch_diags d = {0};
    struct orch_json *doc = NULL;
    int r = orch_json_parse("f", text, n, &doc, &d);

    if (r < 0 || d.n || !doc)
        fail_msg("'%s': %d, %s", text, r, d.n ? d.v[0].msg : "no diagnostic");
    return doc;
}

static void accepts_what_the_grammar_allows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(good); i++)
        orch_json_free(parse(good[i].text, good[i].n));
}

static void refuses_with_place_and_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(bad); i++) {
        struct orch_diags d = {0};
        struct orch_json *doc = NULL;
        int r = orch_json_parse("f", bad[i].text, bad[i].n, &doc, &d);

        if (r != -EINVAL || doc || d.n != 1)
            fail_msg("'%s': %d, %zu diagnostics", bad[i].text, r, d.n);
        if (d.v[0].line != bad[i].line || d.v[0].col != bad[i].col || !strstr(d.v[0].msg, bad[i].msg))
            fail_msg("'%s': %u:%u: %s", bad[i].text, d.v[0].line, d.v[0].col, d.v[0].msg);
        orch_diags_fini(&d);
    }
}

static void every_cut_of_a_document_is_refused(void **state)
{
    static const char text[] = "{\"a\":[1.5e3,true,\"\\ud834\\udd1e\xc3\xa9\"],\"b\":{\"c\":null}}";

    (void)state;
    for (size_t n = 0; n < sizeof(text) - 1; n++) {
        struct orch_diags d = {0};
        struct orch_json *doc = NULL;
        ORCH_AUTO_FREE char *exact = orch_xmalloc(n); /* so that a sanitizer sees a read behind the end */

        memcpy(exact, text, n);
        assert_int_equal(orch_json_parse("f", exact, n, &doc, &d), -EINVAL);
        assert_int_equal(d.n, 1);
        orch_diags_fini(&d);
    }
}

static int parse_nested(size_t depth, const char *open, const char *close)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    ORCH_AUTO(orch_json_freep) struct orch_json *doc = NULL;
    struct orch_diags d = {0};
    int r;

    for (size_t i = 0; i < depth; i++)
        orch_buf_str(&b, open);
    orch_buf_str(&b, "1");
    for (size_t i = 0; i < depth; i++)
        orch_buf_str(&b, close);
    r = orch_json_parse("f", b.data, b.len, &doc, &d);
    assert_int_equal(d.n, r < 0);
    orch_diags_fini(&d);
    return r;
}

static void depth_ends_at_the_limit(void **state)
{
    (void)state;
    assert_int_equal(parse_nested(ORCH_JSON_MAX_DEPTH, "[", "]"), 0);
    assert_int_equal(parse_nested(ORCH_JSON_MAX_DEPTH, "{\"a\":", "}"), 0);
    assert_int_equal(parse_nested(ORCH_JSON_MAX_DEPTH + 1, "[", "]"), -E2BIG);
    assert_int_equal(parse_nested(ORCH_JSON_MAX_DEPTH + 1, "{\"a\":", "}"), -E2BIG);
    assert_int_equal(parse_nested(100000, "[", "]"), -E2BIG);
}

static void size_ends_at_the_limit(void **state)
{
    ORCH_AUTO_FREE char *text = orch_xmalloc(ORCH_JSON_MAX_BYTES + 1);
    struct orch_json *doc = NULL;
    struct orch_diags d = {0};

    (void)state;
    memset(text, ' ', ORCH_JSON_MAX_BYTES + 1);
    text[0] = '1';
    orch_json_free(parse(text, ORCH_JSON_MAX_BYTES));
    assert_int_equal(orch_json_parse("f", text, ORCH_JSON_MAX_BYTES + 1, &doc, &d), -E2BIG);
    assert_int_equal(d.n, 1);
    orch_diags_fini(&d);
}

static void all_duplicates_are_reported(void **state)
{
    static const char text[] = "{\"a\":1,\"a\":2,\"a\":3,\"o\":{\"x/~\":1,\"x/~\":2},\"b\":[";
    struct orch_diags d = {0};
    struct orch_json *doc = NULL;
    size_t found = 0;

    (void)state;
    assert_int_equal(orch_json_parse("f", text, sizeof(text) - 1, &doc, &d), -EINVAL);
    for (size_t i = 0; i < d.n; i++)
        found += strstr(d.v[i].msg, "duplicate") != NULL;
    assert_int_equal(found, 3);
    assert_int_equal(d.n, 4); /* and the syntax error */
    assert_string_equal(d.v[3].pointer, "/o/x~1~0");
    orch_diags_fini(&d);
}

static void many_members_take_bounded_time_and_memory(void **state)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    struct orch_json *doc = NULL;
    struct orch_diags d = {0};

    (void)state;
    orch_buf_char(&b, '{');
    for (int i = 0; i < 60000; i++)
        orch_buf_printf(&b, "\"%x\":%d,", i, i % 10);
    orch_buf_str(&b, "\"z\":0}");
    orch_json_free(parse(b.data, b.len));
    orch_buf_reset(&b);
    orch_buf_char(&b, '{');
    for (int i = 0; i < 60000; i++)
        orch_buf_str(&b, "\"same\":0,");
    orch_buf_str(&b, "\"z\":0}");
    assert_int_equal(orch_json_parse("f", b.data, b.len, &doc, &d), -EINVAL);
    assert_true(d.n >= 1 && d.n <= 100);
    orch_diags_fini(&d);
}

static void values_end_at_the_limit(void **state)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    struct orch_json *doc = NULL;
    struct orch_diags d = {0};

    (void)state;
    orch_buf_str(&b, "[0");
    for (int i = 2; i < ORCH_JSON_MAX_VALUES; i++) /* the list itself is one */
        orch_buf_str(&b, ",0");
    orch_buf_char(&b, ']');
    orch_json_free(parse(b.data, b.len));
    b.data[b.len - 1] = ',';
    orch_buf_str(&b, "0]");
    assert_int_equal(orch_json_parse("f", b.data, b.len, &doc, &d), -E2BIG);
    assert_string_equal(d.v[0].msg, "more than 65536 values");
    assert_int_equal(d.v[0].col, 2 * ORCH_JSON_MAX_VALUES);
    orch_diags_fini(&d);
}

static const cJSON *get(const cJSON *node, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(node, key);
}

static void nodes_know_place_and_pointer(void **state)
{
    static const char text[] = "{\n  \"a/b\": [1, {\"~\": null}],\r\n\t\"\": \"\xc3\xa9\", \"n\":7\n}";
    ORCH_AUTO(orch_json_freep) struct orch_json *doc = parse(text, sizeof(text) - 1);
    const cJSON *root = orch_json_root(doc), *list = get(root, "a/b");
    const struct {
        const cJSON *node;
        unsigned line, col;
        const char *pointer;
    } rows[] = {
        {root, 1, 1, ""},
        {list, 2, 10, "/a~1b"},
        {cJSON_GetArrayItem(list, 0), 2, 11, "/a~1b/0"},
        {cJSON_GetArrayItem(list, 1), 2, 14, "/a~1b/1"},
        {get(cJSON_GetArrayItem(list, 1), "~"), 2, 20, "/a~1b/1/~0"},
        {get(root, ""), 3, 6, "/"},
        {get(root, "n"), 3, 16, "/n"},
        {NULL, 0, 0, ""},
    };
    size_t len;

    (void)state;
    assert_string_equal(orch_json_file(doc), "f");
    assert_memory_equal(orch_json_text(doc, &len), text, sizeof(text));
    assert_int_equal(len, sizeof(text) - 1);
    for (size_t i = 0; i < ORCH_NELEM(rows); i++) {
        ORCH_AUTO_FREE char *pointer = orch_json_pointer(doc, rows[i].node);
        unsigned line, col;

        orch_json_pos(doc, rows[i].node, &line, &col);
        assert_int_equal(line, rows[i].line);
        assert_int_equal(col, rows[i].col);
        assert_string_equal(pointer, rows[i].pointer);
    }
    assert_int_equal(get(root, "n")->valueint, 7);
}

static void errors_are_placed_at_the_node(void **state)
{
    ORCH_AUTO(orch_json_freep) struct orch_json *doc = parse(S("{\"a\": 1}"));
    struct orch_diags d = {0};

    (void)state;
    orch_json_error(doc, get(orch_json_root(doc), "a"), &d, "bad %d", 1);
    orch_json_error(doc, NULL, &d, "whole");
    assert_int_equal(d.n, 2);
    assert_int_equal(d.v[0].col, 7);
    assert_string_equal(d.v[0].pointer, "/a");
    assert_string_equal(d.v[0].msg, "bad 1");
    assert_int_equal(d.v[1].line, 0);
    orch_diags_fini(&d);
}

static void unknown_keys_are_reported_at_the_key(void **state)
{
    static const char *const keys[] = {"tools", "name", NULL};
    ORCH_AUTO(orch_json_freep)
    struct orch_json *doc = parse(S("{\"name\": 1, \"tolls\": 2,\n \"t\xd0\xbe"
                                    "ols\": 3, \"Name\": 4, \"xyz\": {\"q\": 1}}"));
    const cJSON *root = orch_json_root(doc);
    struct orch_diags d = {0};

    (void)state;
    assert_int_equal(orch_json_check_keys(doc, root, keys, &d), 4);
    assert_int_equal(d.n, 4);
    assert_int_equal(d.v[0].line, 1);
    assert_int_equal(d.v[0].col, 13);
    assert_string_equal(d.v[0].pointer, "/tolls");
    assert_string_equal(d.v[0].msg, "unknown key 'tolls' (did you mean 'tools'?)");
    assert_int_equal(d.v[1].line, 2);
    assert_int_equal(d.v[1].col, 2);
    assert_string_equal(d.v[1].msg, "unknown key 't\xd0\xbe"
                                    "ols' (code points U+0074 U+043E U+006F U+006C U+0073)"
                                    " (did you mean 'tools'?)");
    assert_string_equal(d.v[2].msg, "unknown key 'Name' (did you mean 'name'?)");
    assert_string_equal(d.v[3].msg, "unknown key 'xyz'");
    orch_diags_fini(&d);
    assert_int_equal(orch_json_check_keys(doc, get(root, "name"), keys, &d), 1);
    assert_string_equal(d.v[0].pointer, "/name");
    assert_int_equal(orch_json_check_keys(doc, NULL, keys, &d), 1);
    orch_diags_fini(&d);
}

static void near_names_are_near(void **state)
{
    static const char *const names[] = {"tools", "name", "network", "a", NULL};
    static const char *const rows[][2] = {
        {"tools", "tools"}, {"tool", "tools"},     {"toolss", "tools"},    {"tolos", "tools"},
        {"toosl", "tools"}, {"nam", "name"},       {"na", NULL},           {"", NULL},
        {"b", NULL},        {"netwrk", "network"}, {"newtork", "network"}, {"netw", NULL},
        {"Name", "name"},   {"NAme", NULL},        {"zzzzzz", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(rows); i++) {
        const char *got = orch_near_name(rows[i][0], names);

        if (!got != !rows[i][1] || (got && strcmp(got, rows[i][1]) != 0))
            fail_msg("'%s': %s", rows[i][0], got ? got : "none");
    }
}

static void load_reads_regular_files_only(void **state)
{
    char dir[] = "/tmp/orch-test-json-XXXXXX";
    ORCH_AUTO(orch_json_freep) struct orch_json *doc = NULL;
    ORCH_AUTO_FREE char *path = NULL;
    ORCH_AUTO_FREE char *fifo = NULL;
    struct orch_diags d = {0};

    (void)state;
    assert_non_null(mkdtemp(dir));
    path = orch_xasprintf("%s/doc", dir);
    fifo = orch_xasprintf("%s/fifo", dir);
    assert_int_equal(orch_write_file_sync(AT_FDCWD, path, "[1]", 3, 0600), 0);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(orch_json_load(path, &doc, &d), 0);
    assert_int_equal(d.n, 0);
    orch_json_freep(&doc);
    assert_int_equal(orch_json_load(fifo, &doc, &d), -EINVAL);
    assert_int_equal(orch_json_load(dir, &doc, &d), -EINVAL);
    assert_int_equal(orch_json_load("/nonexistent/x", &doc, &d), -ENOENT);
    assert_int_equal(d.n, 3);
    assert_int_equal(truncate(path, ORCH_JSON_MAX_BYTES + 1), 0);
    assert_int_equal(orch_json_load(path, &doc, &d), -E2BIG);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(orch_json_load(path, &doc, &d), -EINVAL);
    assert_int_equal(d.n, 5);
    assert_null(doc);
    orch_diags_fini(&d);
    assert_int_equal(orch_rm_rf(AT_FDCWD, dir), 0);
    orch_json_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_what_the_grammar_allows),
        cmocka_unit_test(refuses_with_place_and_reason),
        cmocka_unit_test(every_cut_of_a_document_is_refused),
        cmocka_unit_test(depth_ends_at_the_limit),
        cmocka_unit_test(size_ends_at_the_limit),
        cmocka_unit_test(all_duplicates_are_reported),
        cmocka_unit_test(many_members_take_bounded_time_and_memory),
        cmocka_unit_test(values_end_at_the_limit),
        cmocka_unit_test(nodes_know_place_and_pointer),
        cmocka_unit_test(errors_are_placed_at_the_node),
        cmocka_unit_test(unknown_keys_are_reported_at_the_key),
        cmocka_unit_test(near_names_are_near),
        cmocka_unit_test(load_reads_regular_files_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
