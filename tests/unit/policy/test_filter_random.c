/*
 * test_filter_random.c - random policies: what they mean against what filter and supervisor make of them.
 *
 * A fixed seed and some hundred policies; with ORCH_SOAK_SECONDS, new seeds for that long.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "common/io.h"
#include "tests/lib/policy_gen.h"

#define POLICIES 150
#define CALLS 400

static void one(struct gen *g, size_t *counts, size_t *refused)
{
    uint64_t seed = g->seed;
    char *text = NULL;
    enum gen_result r = gen_round(g, CALLS, refused, &text);
    counts[r]++;
    if (r == GEN_DIFFERS)
        fail_msg("seed 0x%llx: %s", (unsigned long long)seed, text);
}

static void random_policies_mean_what_they_say(void **state)
{
    (void)state;
    struct gen g = {.seed = UINT64_C(0x9e3779b97f4a7c15)};
    size_t counts[3] = {0}, refused = 0;
    for (size_t i = 0; i < POLICIES; i++)
        one(&g, counts, &refused);
    print_message("policies compared %zu, rules refused when read %zu\n", counts[GEN_SAME], refused);
    assert_true(counts[GEN_SAME] * 10 >= POLICIES * 9); /* otherwise nothing much was compared */
    assert_true(refused > 0);
}

static void random_policies_for_as_long_as_asked(void **state)
{
    (void)state;
    const char *seconds = getenv("ORCH_SOAK_SECONDS");
    uint64_t end = orch_now_ms() + 1000 * (seconds ? strtoull(seconds, NULL, 10) : 0);
    struct gen g = {.seed = orch_now_ms() * UINT64_C(0x9e3779b97f4a7c15) + 1};
    size_t counts[3] = {0}, refused = 0;
    if (!seconds) /* one round: the seed is new, so a failure here names it */
        end = 0;
    do
        one(&g, counts, &refused);
    while (orch_now_ms() < end);
    print_message("policies compared %zu, rules refused when read %zu\n", counts[GEN_SAME], refused);
}

/* The comparison itself must notice: a table without its rules is another policy. */
static void a_policy_without_its_rules_is_noticed(void **state)
{
    (void)state;
    static struct orch_syscalls base;
    struct gen g = {.seed = 7};
    struct gen_policy p = {.n_rules = 1,
                           .rule = {{.nr = ORCH_NR_lseek,
                                     .action = GEN_ERRNO,
                                     .errnum = EIO,
                                     .n_cond = 1,
                                     .cond = {{.index = 2, .op = "eq", .v = {1}, .n = 1}}}}};
    struct orch_diags d = {0};
    struct orch_err err = {0};
    struct orch_filter f = {0};
    ORCH_AUTO(orch_profile_freep)
    struct orch_profile *plain = gen_load("{\"schema\": 1, \"name\": \"t\"}", NULL);
    assert_non_null(plain);
    assert_int_equal(orch_syscalls_compile(plain, &base, &d), 0);
    assert_int_equal(orch_filter_build(&base, &f, &err), 0);
    ORCH_AUTO_FREE char *why = gen_compare(&g, &p, &base, &base, &f, CALLS);
    assert_non_null(why);
    orch_filter_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_policies_mean_what_they_say),
        cmocka_unit_test(random_policies_for_as_long_as_asked),
        cmocka_unit_test(a_policy_without_its_rules_is_noticed),
    };
    return cmocka_run_group_tests_name("policy/filter_random", tests, NULL, NULL);
}
