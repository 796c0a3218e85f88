/* Escaping, base64, UTF-8, the JSON writer. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/escape.h"
#include "common/jsonw.h"

#define S(text) text, sizeof(text) - 1

struct row {
    const char *in;
    size_t n;
    const char *term, *json;
    bool valid;
};

static const struct row rows[] = {
    {S(""), "", "", true},
    {S(" az~"), " az~", " az~", true},
    {S("a\\b\"c"), "a\\\\b\"c", "a\\\\b\\\"c", true},
    {S("\x1f\x7f"), "\\u001f\\u007f", "\\u001f\\u007f", true},
    {S("\x1b[31m\r\n"), "\\u001b[31m\\u000d\\u000a", "\\u001b[31m\\u000d\\u000a", true},
    {S("a\0b"), "a\\u0000b", "a\\u0000b", true},
    {S("\xc2\x9b"), "\\u009b", "\\u009b", true},
    {S("\xe2\x80\xae"), "\\u202e", "\\u202e", true},
    {S("\xef\xbf\xbf"), "\\uffff", "\\uffff", true},
    {S("\xf0\x90\x80\x80"), "\\ud800\\udc00", "\\ud800\\udc00", true},
    {S("\xf4\x8f\xbf\xbf"), "\\udbff\\udfff", "\\udbff\\udfff", true},
    {S("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80", "\\ufffd\\ufffd\\ufffd\\ufffd", false},
    {S("\xc0\x80"), "\\xc0\\x80", "\\ufffd\\ufffd", false},
    {S("\xed\xa0\x80"), "\\xed\\xa0\\x80", "\\ufffd\\ufffd\\ufffd", false},
    {S("\xe2\x80"), "\\xe2\\x80", "\\ufffd\\ufffd", false},
    {S("\xe2\x80z"), "\\xe2\\x80z", "\\ufffd\\ufffdz", false},
    {S("\xff"), "\\xff", "\\ufffd", false},
};

static void escapes_every_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(rows); i++) {
        ORCH_AUTO_BUF struct orch_buf term = {0};
        ORCH_AUTO_BUF struct orch_buf json = {0};

        orch_buf_str(&term, "");
        orch_buf_str(&json, "");
        orch_escape_term(&term, rows[i].in, rows[i].n);
        assert_string_equal(term.data, rows[i].term);
        assert_int_equal(orch_escape_json(&json, rows[i].in, rows[i].n), rows[i].valid);
        assert_string_equal(json.data, rows[i].json);
    }
}

static void every_byte_becomes_printable(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        ORCH_AUTO_BUF struct orch_buf out = {0};
        unsigned char byte = (unsigned char)c;

        orch_escape_term(&out, &byte, 1);
        assert_true(out.len >= 1);
        for (size_t i = 0; i < out.len; i++)
            assert_true(out.data[i] >= 0x20 && out.data[i] <= 0x7e);
    }
}

static void escapes_c_strings(void **state)
{
    ORCH_AUTO_FREE char *null = orch_escape_str(NULL);
    ORCH_AUTO_FREE char *empty = orch_escape_str("");

    (void)state;
    assert_string_equal(null, "(null)");
    assert_string_equal(empty, "");
}

static void encodes_the_rfc_4648_vectors(void **state)
{
    static const char *const vectors[][2] = {
        {"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
        {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"\xff\xfe\xfb", "//77"},
    };

    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(vectors); i++) {
        ORCH_AUTO_BUF struct orch_buf out = {0};

        orch_buf_str(&out, "");
        orch_base64(&out, vectors[i][0], strlen(vectors[i][0]));
        assert_string_equal(out.data, vectors[i][1]);
    }
}

static void decodes_utf8_at_the_boundaries(void **state)
{
    static const struct {
        const char *in;
        size_t n, len;
        uint32_t cp;
    } table[] = {
        {S("\x7f"), 1, 0x7f},
        {S("\xc2\x80"), 2, 0x80},
        {S("\xdf\xbf"), 2, 0x7ff},
        {S("\xe0\xa0\x80"), 3, 0x800},
        {S("\xed\x9f\xbf"), 3, 0xd7ff},
        {S("\xee\x80\x80"), 3, 0xe000},
        {S("\xf4\x8f\xbf\xbf"), 4, 0x10ffff},
        {S("\xc1\xbf"), 0, 0},
        {S("\xe0\x9f\xbf"), 0, 0},
        {S("\xf0\x8f\xbf\xbf"), 0, 0},
        {S("\xf5\x80\x80\x80"), 0, 0},
        {S("\x80"), 0, 0},
        {S("\xc2"), 0, 0},
        {S(""), 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(table); i++) {
        uint32_t cp = 0;
        size_t len = orch_utf8_next((const unsigned char *)table[i].in, table[i].n, &cp);

        assert_int_equal(len, table[i].len);
        assert_int_equal(cp, table[i].cp);
    }
}

static void writes_nested_json(void **state)
{
    ORCH_AUTO_BUF struct orch_buf out = {0};
    struct orch_jw w = {.out = &out};

    (void)state;
    orch_jw_obj(&w, NULL);
    orch_jw_str(&w, "a\"", "x\n");
    orch_jw_str(&w, "n", NULL);
    orch_jw_arr(&w, "l");
    orch_jw_int(&w, NULL, INT64_MIN);
    orch_jw_uint(&w, NULL, UINT64_MAX);
    orch_jw_arr(&w, NULL);
    orch_jw_end(&w, ']');
    orch_jw_bytes(&w, NULL, "\xff", 1);
    orch_jw_end(&w, ']');
    orch_jw_obj(&w, "o");
    orch_jw_end(&w, '}');
    orch_jw_bool(&w, "t", true);
    orch_jw_bytes(&w, "ok", "ab", 2);
    orch_jw_bytes(&w, "p", "\xff/", 2);
    orch_jw_null(&w, "z");
    orch_jw_end(&w, '}');
    assert_string_equal(
        out.data, "{\"a\\\"\":\"x\\u000a\",\"n\":null,\"l\":[-9223372036854775808,18446744073709551615,"
                  "[],\"\\ufffd\"],\"o\":{},\"t\":true,\"ok\":\"ab\",\"p\":\"\\ufffd/\",\"p_b64\":\"/y8=\","
                  "\"z\":null}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_every_row),
        cmocka_unit_test(every_byte_becomes_printable),
        cmocka_unit_test(escapes_c_strings),
        cmocka_unit_test(encodes_the_rfc_4648_vectors),
        cmocka_unit_test(decodes_utf8_at_the_boundaries),
        cmocka_unit_test(writes_nested_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
