/* test_argset.c - every operator as cubes, against its plain meaning: all values of a 16-bit argument, edges
 * of wider ones. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "policy/argset.h"
#include "policy/sysgroups_list.h"

static bool has(const struct orch_argset *s, uint64_t x)
{
    for (size_t i = 0; i < s->n; i++)
        if ((x & s->v[i].mask) == s->v[i].value)
            return true;
    return false;
}

static bool holds(const struct orch_arg_cond *c, uint64_t x)
{
    switch (c->op) {
    case ORCH_OP_EQ:
        return x == c->value;
    case ORCH_OP_NE:
        return x != c->value;
    case ORCH_OP_MASKED_EQ:
        return (x & c->mask) == c->value;
    case ORCH_OP_LT:
        return x < c->value;
    case ORCH_OP_LE:
        return x <= c->value;
    case ORCH_OP_GT:
        return x > c->value;
    case ORCH_OP_GE:
        return x >= c->value;
    case ORCH_OP_IN:
        break;
    }
    for (size_t i = 0; i < c->n_set; i++)
        if (c->set[i] == x)
            return true;
    return false;
}

static const uint64_t values[] = {0, 1, 2, 3, 7, 8, 0x1234, 0x7fff, 0x8000, 0xfffe, 0xffff};

/* fchmod's mode: 16 bits. */
static void every_value_of_a_16_bit_argument(void **state)
{
    (void)state;
    for (unsigned op = ORCH_OP_EQ; op <= ORCH_OP_GE; op++)
        for (size_t i = 0; i < ORCH_NELEM(values); i++) {
            struct orch_arg_cond c = {.index = 1, .op = op, .value = values[i], .mask = 0xff0f};
            struct orch_argset yes, no;
            if (op == ORCH_OP_IN)
                for (size_t k = i; k < ORCH_NELEM(values); k += 2)
                    c.set[c.n_set++] = values[k];
            orch_argset_of(ORCH_NR_fchmod, &c, &yes);
            orch_argset_not(ORCH_NR_fchmod, &c, &no);
            assert_false(yes.overflow || no.overflow);
            for (uint64_t x = 0; x <= 0xffff; x++) {
                uint64_t reg = x | x << 40; /* what is above the width does not matter */
                if (has(&yes, reg) != holds(&c, x) || has(&no, reg) == holds(&c, x))
                    fail_msg("op %u value %zu: 0x%llx", op, i, (unsigned long long)x);
            }
        }
}

/* lseek's offset: 64 bits. */
static void edges_of_a_64_bit_argument(void **state)
{
    (void)state;
    static const uint64_t at[] = {0,
                                  1,
                                  0x7fffffff,
                                  0x80000000,
                                  0xffffffff,
                                  UINT64_C(1) << 32,
                                  UINT64_C(1) << 63,
                                  UINT64_C(0x123456789abcdef0),
                                  ~UINT64_C(0) - 1,
                                  ~UINT64_C(0)};
    for (unsigned op = ORCH_OP_EQ; op <= ORCH_OP_GE; op++)
        for (size_t i = 0; op != ORCH_OP_IN && i < ORCH_NELEM(at); i++) {
            struct orch_arg_cond c = {.index = 1, .op = op, .value = at[i], .mask = ~UINT64_C(0xff00)};
            struct orch_argset yes, no;
            if (op == ORCH_OP_MASKED_EQ)
                c.value &= c.mask;
            orch_argset_of(ORCH_NR_lseek, &c, &yes);
            orch_argset_not(ORCH_NR_lseek, &c, &no);
            for (size_t k = 0; k < ORCH_NELEM(at); k++)
                for (int d = -1; d <= 1; d++) {
                    uint64_t x = at[k] + (uint64_t)(int64_t)d;
                    assert_true(has(&yes, x) == holds(&c, x));
                    assert_true(has(&no, x) != holds(&c, x));
                }
        }
}

static void within_and_meet(void **state)
{
    (void)state;
    const struct orch_arg_cond low = {.index = 1, .op = ORCH_OP_LT, .value = 10},
                               five = {.index = 1, .op = ORCH_OP_EQ, .value = 5},
                               ten = {.index = 1, .op = ORCH_OP_EQ, .value = 10},
                               some = {.index = 1, .op = ORCH_OP_IN, .set = {5, 10}, .n_set = 2},
                               not5 = {.index = 1, .op = ORCH_OP_NE, .value = 5};
    assert_true(orch_argset_within(ORCH_NR_lseek, &five, &low));
    assert_false(orch_argset_within(ORCH_NR_lseek, &ten, &low));
    assert_false(orch_argset_within(ORCH_NR_lseek, &some, &low));
    assert_true(orch_argset_within(ORCH_NR_lseek, &five, &some));
    assert_true(orch_argset_meet(ORCH_NR_lseek, &some, &low));
    assert_false(orch_argset_meet(ORCH_NR_lseek, &ten, &low));
    assert_false(orch_argset_meet(ORCH_NR_lseek, &five, &not5));
}

static void what_does_not_fit_is_not_empty(void **state)
{
    (void)state;
    struct orch_argset s = {0};
    for (unsigned i = 0; i <= ORCH_ARGSET_MAX; i++)
        orch_argset_add(&s, ~UINT64_C(0), i);
    assert_true(s.overflow);
    s.n = 0;
    assert_false(orch_argset_empty(&s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_of_a_16_bit_argument),
        cmocka_unit_test(edges_of_a_64_bit_argument),
        cmocka_unit_test(within_and_meet),
        cmocka_unit_test(what_does_not_fit_is_not_empty),
    };
    return cmocka_run_group_tests_name("policy/argset", tests, NULL, NULL);
}
