/* test_argv.c - what is masked in arguments, what is not, and how much is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "common/util.h"
#include "supervisor/argv.h"

/* In an argument of its own. NULL: it stays as it is. */
static const char *const words[][2] = {
    {"ghp_0123456789abcdefghijABCDEFGHIJ456789", "[masked]"},
    {"x=ghp_0123456789abcdefghijABCDEFGHIJ456789;", "x=[masked];"},
    {"ghp_short", NULL},
    {"github_pat_11ABCDEFG0123456789_abc", "[masked]"},
    {"glpat-0123456789abcdefghij", "[masked]"},
    {"sk-ant-api03-0123456789abcdef", "[masked]"},
    {"sk-short", NULL},
    {"task-force-of-some-length", NULL},
    {"xoxb-123456789-abcdef", "[masked]"},
    {"AKIAIOSFODNN7EXAMPLE", "[masked]"},
    {"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "[masked]"},
    {"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl rest", "[masked] rest"},
    {"--password=a b;c", "--password=[masked]"},
    {"--token=x", "--token=[masked]"},
    {"--api-key=x", "--api-key=[masked]"},
    {"--key=2", NULL},
    {"--max-tokens=5", NULL},
    {"--author=me", NULL},
    {"GITHUB_TOKEN=x", "GITHUB_TOKEN=[masked]"},
    {"aws_secret_access_key=x y", "aws_secret_access_key=[masked]"},
    {"DB_PASSWORD=", "DB_PASSWORD="},
    {"PWD=/home/me", NULL},
    {"cd x && TOKEN=abc make -j2", "cd x && TOKEN=[masked] make -j2"},
    {"TOKENS=5 make", NULL},
    {"run TOKEN='a b' make", "run TOKEN=[masked] make"},
    {"run TOKEN=a\"b c\"d make", "run TOKEN=[masked] make"},
    {"run TOKEN=a\\ b make", "run TOKEN=[masked] make"},
    {"prog --password hunter2 --verbose", "prog --password [masked] --verbose"},
    {"prog --password", NULL},
    {"prog --auth --password hunter2 x", "prog --auth [masked] x"},
    {"prog bearer --password hunter2 x", "prog bearer --password [masked] x"},
    {"echo password", NULL},
    {"Authorization: Bearer abcdefgh", "Authorization: [masked]"},
    {"curl -H 'Authorization: Basic abc=' https://git.test",
     "curl -H 'Authorization: [masked]' https://git.test"},
    {"Proxy: bearer abcdefghijk", "Proxy: bearer [masked]"},
    {"X-Auth-Token:abc", "X-Auth-Token:[masked]"},
    {"{\"user\": \"me\", \"password\": \"a\\\"b\", \"x\": 1}",
     "{\"user\": \"me\", \"password\": [masked], \"x\": 1}"},
    {"https://user:p@ss@git.test/x", "https://user:[masked]@git.test/x"},
    {"https://0123456789abcdef0123@git.test/x", "https://[masked]@git.test/x"},
    {"ssh://git@git.test/x", NULL},
    {"https://git.test/a@b:c", NULL},
    {"a -----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY----- b", "a [masked] b"},
    {"-----BEGIN X-----\nnever ended", "[masked]"},
    {"", NULL},
    {"plain \xff bytes", NULL},
};

static void secrets_of_known_forms_are_masked_and_other_words_are_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(words); i++) {
        ORCH_AUTO_BUF struct orch_buf b = {0};
        const char *want = words[i][1] ? words[i][1] : words[i][0];

        orch_secrets_mask(words[i][0], strlen(words[i][0]), &b);
        assert_string_equal(b.data ? b.data : "", want);
    }
}

static void secret_behind_its_option_is_masked(void **state)
{
    static const char *const argv[] = {"prog", "--password",     "-x y",    "-u", "me:pw", "--user", "me",
                                       "-H",   "X-Api-Key: abc", "--token", "a",  "-u",    NULL};
    static const char *const want[] = {
        "prog", "--password",          "[masked]", "-u",       "me:[masked]", "--user", "me",
        "-H",   "X-Api-Key: [masked]", "--token",  "[masked]", "-u",          NULL};
    struct orch_strv got = {0};
    bool more = false;

    (void)state;
    orch_argv_mask(argv, &got, &more);
    assert_false(more);
    for (size_t i = 0; want[i]; i++)
        assert_string_equal(got.v[i], want[i]);
    assert_int_equal(got.n, ORCH_NELEM(want) - 1);
    orch_strv_fini(&got);
}

static void arguments_are_cut_behind_a_whole_character_and_after_they_were_masked(void **state)
{
    char text[5000], secret[600] = "";
    const char *argv[20];
    struct orch_strv got = {0};
    bool more = false;
    size_t sum = 0;

    (void)state;
    for (size_t i = 0; i + 1 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[255] = 'x'; /* now the character at 256 would be halved */
    memcpy(text + 253, "x\xc3\xa9", 3);
    text[sizeof(text) - 2] = '\0';
    memset(secret, 'a', 240);
    strncat(secret, " ghp_0123456789abcdefghijABCDEFGHIJ456789 tail", sizeof(secret) - 250);
    argv[0] = text;
    argv[1] = secret;
    for (size_t i = 2; i < 19; i++)
        argv[i] = text;
    argv[19] = NULL;
    orch_argv_mask(argv, &got, &more);
    assert_true(more);
    for (size_t i = 0; i < got.n; i++) {
        assert_true(strlen(got.v[i]) <= ORCH_ARGV_ARG_BYTES);
        sum += strlen(got.v[i]);
    }
    assert_true(sum <= ORCH_ARGV_ALL_BYTES);
    assert_null(strstr(got.v[1], "ghp"));
    assert_non_null(strstr(got.v[1], " [masked] tail"));
    orch_strv_fini(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_of_known_forms_are_masked_and_other_words_are_not),
        cmocka_unit_test(secret_behind_its_option_is_masked),
        cmocka_unit_test(arguments_are_cut_behind_a_whole_character_and_after_they_were_masked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
