/*
 * test_closure.c - closures as text and JSON. With arguments, a tool of other tests:
 *
 *   test_closure PROFILE   the closure of a profile, one line an entry: kind, path, why
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "common/io.h"
#include "common/json.h"
#include "policy/tools.h"

static char bad_path[] = "/opt/a\033[31m\nb", good_path[] = "/usr/bin/x", why[] = "tool x", gone[] = "y\x7f";

static void printed_one_line_an_entry(void **state)
{
    (void)state;
    struct orch_closure_entry v[] = {{ORCH_CLOSURE_DIR, bad_path, why},
                                     {ORCH_CLOSURE_PROGRAM, good_path, why}};
    char *dropped[] = {gone};
    const struct orch_closure c = {.v = v, .n = 2, .dropped = {.v = dropped, .n = 1}};
    ORCH_AUTO_BUF struct orch_buf out = {0};
    orch_closure_print(&c, &out);
    assert_string_equal(out.data, "directory /opt/a\\u001b[31m\\u000ab  (tool x)\n"
                                  "program   /usr/bin/x  (tool x)\n"
                                  "dropped   y\\u007f\n");
}

static void json_has_every_entry(void **state)
{
    (void)state;
    struct orch_closure_entry v[] = {{ORCH_CLOSURE_LINK, bad_path, why},
                                     {ORCH_CLOSURE_DATA_DIR, good_path, why}};
    const struct orch_closure c = {.v = v, .n = 2};
    ORCH_AUTO_BUF struct orch_buf out = {0};
    struct orch_jw w = {.out = &out};
    orch_jw_obj(&w, NULL);
    orch_closure_json(&c, &w, "closure");
    orch_jw_end(&w, '}');
    struct orch_json *doc = NULL;
    struct orch_diags d = {0};
    assert_int_equal(orch_json_parse("closure", out.data, out.len, &doc, &d), 0);
    const cJSON *closure = cJSON_GetObjectItemCaseSensitive(orch_json_root(doc), "closure");
    const cJSON *files = cJSON_GetObjectItemCaseSensitive(closure, "files");
    assert_int_equal(cJSON_GetArraySize(files), 2);
    const cJSON *first = cJSON_GetArrayItem(files, 0);
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(first, "kind")->valuestring, "link");
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(first, "path")->valuestring, bad_path);
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(first, "why")->valuestring, why);
    assert_true(cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(closure, "dropped")));
    orch_json_free(doc);
    orch_diags_fini(&d);
}

/* Every entry of implement says why it is there, in one of the ways that docs/tools.md lists. */
static void every_reason_is_one_of_the_documented(void **state)
{
    (void)state;
    static const char *const starts[] = {
        "tool ",       "link to ",   "interpreter of ", "program interpreter of ",
        "library of ", "helper of ", "with of tool ",   "used by the C library",
        "merged /usr"};
    struct orch_profile *p = NULL;
    struct orch_closure c = {0};
    struct orch_diags d = {0};
    assert_int_equal(orch_profile_load("implement", "/", &p, &d), 0);
    assert_int_equal(orch_tools_resolve(p, NULL, &c, NULL, &d), 0);
    for (size_t i = 0; i < c.n; i++) {
        bool known = false;
        for (size_t k = 0; k < ORCH_NELEM(starts); k++)
            known = known || strncmp(c.v[i].why, starts[k], strlen(starts[k])) == 0;
        if (!known)
            fail_msg("%s: %s", c.v[i].path, c.v[i].why);
    }
    orch_closure_fini(&c);
    orch_profile_free(p);
    orch_diags_fini(&d);
}

static int show(const char *profile)
{
    ORCH_AUTO(orch_profile_freep) struct orch_profile *p = NULL;
    ORCH_AUTO_BUF struct orch_buf out = {0};
    ORCH_AUTO_FREE char *cwd = getcwd(NULL, 0);
    struct orch_closure c = {0};
    struct orch_diags d = {0};
    int r = cwd ? orch_profile_load(profile, cwd, &p, &d) : -1;
    if (r == 0)
        r = orch_tools_resolve(p, NULL, &c, NULL, &d);
    orch_diags_print(&d, STDERR_FILENO);
    if (r == 0)
        orch_closure_print(&c, &out);
    (void)fwrite(out.data ? out.data : "", 1, out.len, stdout);
    orch_closure_fini(&c);
    orch_diags_fini(&d);
    return r < 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(printed_one_line_an_entry),
        cmocka_unit_test(json_has_every_entry),
        cmocka_unit_test(every_reason_is_one_of_the_documented),
    };
    if (argc > 1)
        return show(argv[1]);
    return cmocka_run_group_tests_name("policy/closure", tests, NULL, NULL);
}
