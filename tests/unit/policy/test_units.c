/* test_units.c - sizes and times: what is read, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include "policy/profile.h"

struct row {
    const char *text;
    int result;
    uint64_t value;
};

static const struct row sizes[] = {
    {"0B", 0, 0},
    {"100B", 0, 100},
    {"1kB", 0, 1000},
    {"1KB", 0, 1000},
    {"1GB", 0, 1000000000},
    {"512MiB", 0, 512ull << 20},
    {"4GiB", 0, 4ull << 30},
    {"1TiB", 0, 1ull << 40},
    {"9223372036854775807B", 0, INT64_MAX},
    {"9223372036854775808B", -ERANGE, 0},
    {"18446744073709551616B", -ERANGE, 0},
    {"99999999999999999999999TiB", -ERANGE, 0},
    {"8388608TiB", -ERANGE, 0},
    {"", -EINVAL, 0},
    {"B", -EINVAL, 0},
    {"100", -EINVAL, 0},
    {"-1B", -EINVAL, 0},
    {"+1B", -EINVAL, 0},
    {"1.5GiB", -EINVAL, 0},
    {"1 GiB", -EINVAL, 0},
    {" 1GiB", -EINVAL, 0},
    {"1GiB ", -EINVAL, 0},
    {"1gib", -EINVAL, 0},
    {"010MiB", -EINVAL, 0},
    {"0x10B", -EINVAL, 0},
    {"20m", -EINVAL, 0},
};

static const struct row times[] = {
    {"250ms", 0, 250},   {"10s", 0, 10000},      {"20m", 0, 1200000},
    {"2h", 0, 7200000},  {"0s", 0, 0},           {"20", -EINVAL, 0},
    {"1d", -EINVAL, 0},  {"-5s", -EINVAL, 0},    {"5 s", -EINVAL, 0},
    {"5S", -EINVAL, 0},  {"1h30m", -EINVAL, 0},  {"", -EINVAL, 0},
    {"00s", -EINVAL, 0}, {"512MiB", -EINVAL, 0}, {"99999999999999999h", -ERANGE, 0},
};

static void check(const struct row *rows, size_t n, int (*parse)(const char *, uint64_t *))
{
    for (size_t i = 0; i < n; i++) {
        uint64_t v = 77;
        if (parse(rows[i].text, &v) != rows[i].result || v != (rows[i].result == 0 ? rows[i].value : 77))
            fail_msg("'%s'", rows[i].text);
    }
}

static void units_sizes(void **state)
{
    (void)state;
    check(sizes, ORCH_NELEM(sizes), orch_parse_size);
}

static void units_times(void **state)
{
    (void)state;
    check(times, ORCH_NELEM(times), orch_parse_time);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_sizes),
        cmocka_unit_test(units_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
