/* test_seal.c - the seal check, on layers made by hand. */
#include "supervisor/apply.h"
#include "tests/unit/sandbox/layer_fixture.h"

static char rule_name[] = "test#/filesystem/1";

enum { ALL = ORCH_CREATE_FILE | ORCH_CREATE_DIRECTORY | ORCH_CREATE_SYMLINK };
static const struct {
    struct op setup[6], upper[6];
    unsigned create;
    const char *want; /* the first problem, or NULL */
    size_t n;
} seal_cases[] = {
    {{{0}}, {{"f", "a", "1"}, {"d", "d", ""}, {"l", "l", "a"}}, ALL, NULL, 0},
    {{{"d", "ro", ""}, {"f", "ro/a", "1"}}, {{"d", "ro", ""}, {"f", "ro/a", "1"}}, ALL, NULL, 0},
    {{{"d", "ro", ""}, {"f", "ro/a", "1"}},
     {{"d", "ro", ""}, {"f", "ro/a", "2"}},
     ALL,
     "ro/a: modified, but the profile gives no write (rule test#/filesystem/1)",
     1},
    {{{"d", "ro", ""}},
     {{"d", "ro", ""}, {"f", "ro/n\n", "2"}},
     ALL,
     "ro/n\\u000a: created, but the profile gives no write (rule test#/filesystem/1)",
     1},
    {{{0}},
     {{"f", "ro", "2"}},
     ALL,
     "ro: created, but the profile gives no write (rule test#/filesystem/1)",
     1},
    {{{"d", "ro", ""}},
     {{"l", "ro", "x"}},
     ALL,
     "ro: replaced by another type, but the profile gives no write (rule test#/filesystem/1)",
     1},
    {{{"d", "ro", ""}},
     {{"d", "ro", ""}, {"chmod", "ro", "700"}},
     ALL,
     "ro: modified, but the profile gives no write (rule test#/filesystem/1)",
     1},
    {{{0}},
     {{"d", "sub", ""}, {"f", "sub/.git", "2"}},
     ALL,
     "sub/.git: created, but the profile gives no write (rule test#/filesystem/1)",
     1},
    {{{0}},
     {{"f", "hidden", "2"}},
     ALL,
     "hidden: created, but the profile gives no write (rule test#/filesystem/1)",
     1},
    {{{0}},
     {{"l", "l", "a"}},
     ORCH_CREATE_FILE,
     "l: symlink created, but the profile's \"create\" does not list it",
     1},
    {{{"f", "a", "1"}},
     {{"l", "a", "b"}},
     ORCH_CREATE_FILE,
     "a: symlink created, but the profile's \"create\" does not list it",
     1},
    {{{0}},
     {{"d", "d", ""}, {"f", "d/x", ""}},
     ORCH_CREATE_SYMLINK,
     "d: directory created, but the profile's \"create\" does not list it",
     2},
    {{{"l", "l", "a"}}, {{"l", "l", "b"}}, 0, NULL, 0},
    {{{0}}, {{"p", "p", ""}}, ALL, "p: FIFO in the layer", 1},
    {{{0}}, {{"f", "s", ""}, {"chmod", "s", "4755"}}, ALL, "s: setuid or setgid bit", 1},
};

static void seal_accepts_and_refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(seal_cases); i++) {
        struct orch_profile profile = {.create = seal_cases[i].create};
        struct orch_anywhere any = {(char[]){".git"}, ORCH_ACCESS_RO, false, rule_name};
        struct orch_plan plan = {.profile = &profile, .anywhere = &any, .n_anywhere = 1};
        struct orch_strv problems = {0};
        struct orch_view v = {0};
        struct orch_err err = {0};
        struct fx fx;
        char *ro, *hidden;
        hand_made(&fx, seal_cases[i].setup, seal_cases[i].upper);
        ro = orch_xasprintf("%s/ro", fx.ws);
        hidden = orch_xasprintf("%s/hidden", fx.ws);
        struct orch_place places[] = {
            {.kind = ORCH_PLACE_WORKSPACE,
             .path = fx.ws,
             .access = ORCH_ACCESS_RW,
             .directory = true,
             .quiet = false,
             .rule = rule_name},
            {.kind = ORCH_PLACE_WSRULE,
             .path = hidden,
             .access = ORCH_ACCESS_NONE,
             .directory = true,
             .quiet = false,
             .rule = rule_name},
            {.kind = ORCH_PLACE_WSRULE,
             .path = ro,
             .access = ORCH_ACCESS_RO,
             .directory = true,
             .quiet = false,
             .rule = rule_name},
        };
        plan.workspace = fx.ws;
        plan.places = places;
        plan.n_places = ORCH_NELEM(places);
        fx_view(&fx, &v);
        if (orch_seal_check(&v, &plan, &problems, &err) != 0)
            fail_msg("%s", err.msg);
        if (problems.n != seal_cases[i].n ||
            (seal_cases[i].want && strcmp(problems.v[0], seal_cases[i].want) != 0))
            fail_msg("case %zu: %zu problems: %s", i, problems.n, problems.n ? problems.v[0] : "");
        orch_strv_fini(&problems);
        orch_view_fini(&v);
        free(ro);
        free(hidden);
        fx_fini(&fx);
    }
}

static void seal_caps_its_list(void **state)
{
    struct orch_profile profile = {0};
    struct orch_plan plan = {.profile = &profile};
    struct orch_strv problems = {0};
    struct orch_view v = {0};
    struct orch_err err = {0};
    struct fx fx;

    (void)state;
    hand_made(&fx, (const struct op[]){{0}}, (const struct op[]){{0}});
    for (int i = 0; i < 205; i++) {
        char *p = orch_xasprintf("%s/u0/%d", fx.base, i);
        assert_int_equal(fx_write(p, ""), 0);
        free(p);
    }
    struct orch_place place = {.kind = ORCH_PLACE_WORKSPACE,
                               .path = fx.ws,
                               .access = ORCH_ACCESS_RO,
                               .directory = true,
                               .quiet = false,
                               .rule = rule_name};
    plan.workspace = fx.ws;
    plan.places = &place;
    plan.n_places = 1;
    fx_view(&fx, &v);
    assert_int_equal(orch_seal_check(&v, &plan, &problems, &err), 0);
    assert_int_equal(problems.n, 201);
    assert_string_equal(problems.v[200], "... and 210 more"); /* each file: no write, and not in create */
    orch_strv_fini(&problems);
    orch_view_fini(&v);
    fx_fini(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seal_accepts_and_refuses),
        cmocka_unit_test(seal_caps_its_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
