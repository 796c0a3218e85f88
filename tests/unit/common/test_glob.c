/* Path patterns. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/glob.h"

static const struct {
    const char *pattern, *path;
    bool match;
} rows[] = {
    {"a", "a", true},
    {"a", "A", false},
    {"a", "ab", false},
    {"ab", "a", false},
    {"*", "a", true},
    {"*", ".a", true},
    {"*", "a/b", false},
    {"*", "", false},
    {"a*", "a", true},
    {"*a*b", "xaxbxb", true},
    {"*a*b", "xaxbx", false},
    {"?", "a", true},
    {"?", "/", false},
    {"a?b", "a/b", false},
    {"?", "\xc3\xa9", false},
    {"??", "\xc3\xa9", true},
    {"*.c", "x.c", true},
    {"*.c", "d/x.c", false},
    {"**/*.c", "x.c", true},
    {"**/*.c", "d/e/x.c", true},
    {"**", "a", true},
    {"**", "a/b/c", true},
    {"a/**", "a", true},
    {"a/**", "a/b/c", true},
    {"a/**", "ab", false},
    {"a/**/b", "a/b", true},
    {"a/**/b", "a/x/y/b", true},
    {"a/**/b", "a/x/y", false},
    {"**/a/**/b", "a/x/a/b", true},
    {"**/a", "ba", false},
    {"a/*/c", "a/b/c", true},
    {"a/*/c", "a/c", false},
    {"**/**", "a", true},
    {"**/*", "a", true},
    {"**/b/*", "b/b/b", true},
    {"**/b/c", "b/b/b", false},
    {"[abc]", "b", true},
    {"[abc]", "d", false},
    {"[a-c]x", "cx", true},
    {"[!a-c]", "d", true},
    {"[!a-c]", "b", false},
    {"[]]", "]", true},
    {"[!]]", "]", false},
    {"[a-]", "-", true},
    {"[\\]a]", "]", true},
    {"[*]", "x", false},
    {"[*]", "*", true},
    {"[^a]", "^", true},
    {"\\*", "*", true},
    {"\\*", "a", false},
    {"\\[a]", "[a]", true},
    {"a\\\\", "a\\", true},
    {"\\**", "*ab", true},
    {"[\x80-\xff]", "\xe9", true},
    {"a/", "a", false},
    {"", "", false},
    {"/a", "/a", false},
    {"[a", "[a", false},
    {"a/b", "a", false},
    {"a", "a/b", false},
};

static void matches_every_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(rows); i++) {
        if (orch_glob_match(rows[i].pattern, rows[i].path) != rows[i].match)
            fail_msg("pattern '%s', path '%s'", rows[i].pattern, rows[i].path);
    }
}

static void check_names_the_fault(void **state)
{
    static const char *const table[][2] = {
        {"", "empty"},        {"/a", "relative"},     {"..", "'..'"},    {"a/../b", "'..'"},
        {".", "'.'"},         {"./a", "'.'"},         {"a//b", "'//'"},  {"a/", "'//'"},
        {"a**", "'**'"},      {"**a/b", "'**'"},      {"a/***", "'**'"}, {"[a", "class"},
        {"[a/b]", "class"},   {"[]", "class"},        {"[!]", "class"},  {"[a\\]", "class"},
        {"a\\", "backslash"}, {"a\\/b", "backslash"},
    };
    static const char *const good[] = {"a",    "**",   "**/x", "a/**/b", "[]a]",
                                       "\\**", "[**]", "...",  "a\\\\",  "*?*"};

    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(table); i++) {
        const char *why = orch_glob_check(table[i][0]);

        if (!why || !strstr(why, table[i][1]))
            fail_msg("pattern '%s': %s", table[i][0], why ? why : "accepted");
    }
    for (size_t i = 0; i < ORCH_NELEM(good); i++)
        assert_null(orch_glob_check(good[i]));
    assert_non_null(orch_glob_check(NULL));
}

static void any_of_an_empty_list_is_false(void **state)
{
    struct orch_strv list = {0};

    (void)state;
    assert_false(orch_glob_match_any(&list, "a"));
    orch_strv_add(&list, "x");
    orch_strv_add(&list, "**/a");
    assert_true(orch_glob_match_any(&list, "d/a"));
    assert_false(orch_glob_match_any(&list, "d/b"));
    orch_strv_fini(&list);
}

/* Patterns on which a backtracking matcher needs exponential time. */
static void hostile_patterns_take_bounded_time(void **state)
{
    char pattern[512] = "", path[4096];
    clock_t start = clock();
    size_t n = 0;

    (void)state;
    for (int i = 0; i < 100; i++)
        n += (size_t)snprintf(pattern + n, sizeof(pattern) - n, "*a");
    (void)snprintf(pattern + n, sizeof(pattern) - n, "b");
    memset(path, 'a', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_false(orch_glob_match(pattern, path));
    n = 0;
    for (int i = 0; i < 100; i++)
        n += (size_t)snprintf(pattern + n, sizeof(pattern) - n, "**/a/");
    (void)snprintf(pattern + n, sizeof(pattern) - n, "b");
    for (size_t i = 1; i < sizeof(path) - 1; i += 2)
        path[i] = '/';
    assert_false(orch_glob_match(pattern, path));
    assert_true((clock() - start) / CLOCKS_PER_SEC < 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_every_row),
        cmocka_unit_test(check_names_the_fault),
        cmocka_unit_test(any_of_an_empty_list_is_false),
        cmocka_unit_test(hostile_patterns_take_bounded_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
