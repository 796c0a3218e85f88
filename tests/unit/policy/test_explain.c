/* Policy tests as documents, values by name, and differences between profiles. What a plan answers is tested
 * in tests/cli/policy.bats, against the kernel. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "common/json.h"
#include "policy/assertions.h"
#include "policy/diff.h"

/* ---- values ---- */

static void values_are_numbers_constants_and_unions(void **state)
{
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {{"0", 0},
                {"42", 42},
                {"0x5412", 0x5412},
                {"-1", UINT64_MAX},
                {"TIOCSTI", 0x5412},
                {"CLONE_NEWUSER|CLONE_VM", 0x10000100},
                {"0xffffffffffffffff", UINT64_MAX}};
    static const char *const bad[] = {
        "", "x", "1x", "TIOCSTX", "0x", "--1", "|", "TIOCSTI|", "18446744073709551616"};
    uint64_t v;

    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(good); i++) {
        assert_int_equal(orch_explain_value(good[i].text, &v), 0);
        assert_true(v == good[i].value);
    }
    for (size_t i = 0; i < ORCH_NELEM(bad); i++)
        assert_int_equal(orch_explain_value(bad[i], &v), -EINVAL);
    assert_string_equal(orch_explain_near("TIOCSTX"), "TIOCSTI");
}

static void addresses_have_a_port(void **state)
{
    static const char *const good[] = {"192.0.2.1:80", "[::1]:443", "127.0.0.1:65535"};
    static const char *const bad[] = {"192.0.2.1", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "::1:80",
                                      "[::1:80",   "host:80",    "/run/x",      "192.0.2.1:8x",    ""};
    struct sockaddr_storage a;

    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(good); i++) {
        char text[64];

        assert_int_equal(orch_explain_address(good[i], &a), 0);
        orch_inet_text(&a, text, sizeof(text));
        assert_string_equal(text, good[i]);
    }
    for (size_t i = 0; i < ORCH_NELEM(bad); i++)
        assert_int_equal(orch_explain_address(bad[i], &a), -EINVAL);
}

static void targets_are_expanded_at_their_start_only(void **state)
{
    static const char *const cases[][2] = {
        {"~/x", "/home/op/x"},
        {"~", "/home/op"},
        {"~x", "~x"},
        {"${workspace}/a", "/ws/a"},
        {"${home}/.x", "/home/agent/.x"},
        {"${tmp}", "/tmp"},
        {"/a/${tmp}", "/a/${tmp}"},
        {"/~/x", "/~/x"},
    };

    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(cases); i++) {
        ORCH_AUTO_FREE char *s = orch_act_expand(cases[i][0], "/ws", "/home/op");
        assert_string_equal(s, cases[i][1]);
    }
}

/* ---- the document ---- */

static int read_doc(const char *text, struct orch_assertions **ret, struct orch_diags *d)
{
    ORCH_AUTO(orch_json_freep) struct orch_json *doc = NULL;
    int r = orch_json_parse("dir/t.json", text, strlen(text), &doc, d);

    return r < 0 ? r : orch_assertions_read(doc, ret, d);
}

static void document_is_read_as_written(void **state)
{
    struct orch_assertions *a = NULL;
    struct orch_diags d = {0};

    (void)state;
    assert_int_equal(
        read_doc(
            "{\"schema\": 1, \"profile\": \"./p.json\", \"workspace\": [\"a/b\", \"c/\"], \"assert\": [\n"
            "{\"read\": \"~/x\", \"expect\": \"denied\", \"if_present\": true},\n"
            "{\"syscall\": \"socket\", \"args\": [\"AF_INET\", 1], \"expect\": \"EPERM\"}]}",
            &a, &d),
        0);
    assert_int_equal(d.n, 0);
    assert_string_equal(a->dir, "dir");
    assert_string_equal(a->profile, "./p.json");
    assert_int_equal(a->workspace.n, 2);
    assert_int_equal(a->n, 2);
    assert_int_equal(a->v[0].act, ORCH_ACT_READ);
    assert_true(a->v[0].if_present);
    assert_int_equal(a->v[0].line, 2);
    assert_true(a->v[1].is_call);
    assert_int_equal(a->v[1].nr, 41);
    assert_int_equal(a->v[1].args[0], 2);
    assert_int_equal(a->v[1].n_args, 2);
    assert_int_equal(a->v[1].errnum, EPERM);
    orch_assertions_free(a);
}

static void every_error_has_its_place(void **state)
{
    struct orch_assertions *a = NULL;
    struct orch_diags d = {0};

    (void)state;
    assert_int_equal(read_doc("{\"schema\": 1, \"profile\": \"plna\", \"asert\": [], \"assert\": [\n"
                              "{\"read\": \"x\", \"expect\": \"denied\"},\n"
                              "{\"exec\": \"a\", \"expect\": \"deneid\"},\n"
                              "{\"syscall\": \"x\", \"expect\": \"denied\"}]}",
                              &a, &d),
                     -EINVAL);
    assert_null(a);
    assert_int_equal(d.n, 5);
    for (size_t i = 0; i < d.n; i++) {
        assert_true(d.v[i].line > 0 && d.v[i].col > 0);
        assert_non_null(d.v[i].pointer);
    }
    orch_diags_fini(&d);
}

static void expectations_hold_for_what_they_say(void **state)
{
    static const struct {
        enum orch_expect expect;
        enum orch_says says;
        bool holds;
    } rows[] = {
        {ORCH_EXPECT_ALLOWED, ORCH_SAYS_PERMITTED, true}, {ORCH_EXPECT_ALLOWED, ORCH_SAYS_FAKED, false},
        {ORCH_EXPECT_DENIED, ORCH_SAYS_ABSENT, true},     {ORCH_EXPECT_DENIED, ORCH_SAYS_KILLED, true},
        {ORCH_EXPECT_DENIED, ORCH_SAYS_PERMITTED, false}, {ORCH_EXPECT_DENIED, ORCH_SAYS_FAKED, false},
        {ORCH_EXPECT_KILLED, ORCH_SAYS_REFUSED, false},   {ORCH_EXPECT_FAKED, ORCH_SAYS_FAKED, true},
        {ORCH_EXPECT_ERRNO, ORCH_SAYS_REFUSED, true},     {ORCH_EXPECT_ERRNO, ORCH_SAYS_KILLED, false},
    };

    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(rows); i++) {
        const struct orch_assertion a = {.expect = rows[i].expect, .errnum = EPERM};
        assert_int_equal(orch_expect_holds(&a, rows[i].says, EPERM), rows[i].holds);
    }
    assert_false(orch_expect_holds(&(struct orch_assertion){.expect = ORCH_EXPECT_ERRNO, .errnum = EPERM},
                                   ORCH_SAYS_REFUSED, EACCES));
}

/* ---- differences ---- */

static size_t count_of(const struct orch_differences *d, enum orch_side side)
{
    size_t n = 0;

    for (size_t i = 0; i < d->n; i++)
        n += d->v[i].side == side;
    return n;
}

static void compare(const char *a, const char *b, struct orch_differences *ret)
{
    struct orch_profile *pa = NULL, *pb = NULL;
    struct orch_diags d = {0};

    assert_int_equal(orch_profile_load(a, ".", &pa, &d), 0);
    assert_int_equal(orch_profile_load(b, ".", &pb, &d), 0);
    assert_int_equal(orch_profile_diff(pa, pb, ret, &d), 0);
    orch_profile_free(pa);
    orch_profile_free(pb);
}

static void difference_turned_round_is_its_mirror(void **state)
{
    struct orch_differences ab, ba;

    (void)state;
    for (size_t i = 0; orch_builtin_names[i]; i++)
        for (size_t k = 0; orch_builtin_names[k]; k++) {
            compare(orch_builtin_names[i], orch_builtin_names[k], &ab);
            compare(orch_builtin_names[k], orch_builtin_names[i], &ba);
            assert_int_equal(ab.n, ba.n);
            assert_int_equal(count_of(&ab, ORCH_ONLY_A), count_of(&ba, ORCH_ONLY_B));
            if (i == k)
                assert_int_equal(ab.n, 0);
            orch_differences_fini(&ab);
            orch_differences_fini(&ba);
        }
    compare("base", "implement", &ab); /* it can tell */
    assert_true(count_of(&ab, ORCH_ONLY_B) > 30);
    assert_int_equal(count_of(&ab, ORCH_ONLY_A), 0);
    orch_differences_fini(&ab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_numbers_constants_and_unions),
        cmocka_unit_test(addresses_have_a_port),
        cmocka_unit_test(targets_are_expanded_at_their_start_only),
        cmocka_unit_test(document_is_read_as_written),
        cmocka_unit_test(every_error_has_its_place),
        cmocka_unit_test(expectations_hold_for_what_they_say),
        cmocka_unit_test(difference_turned_round_is_its_mirror),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
