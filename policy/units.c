/* units.c - sizes and times of documents: digits and a unit, nothing else, nothing guessed. */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include "policy/profile.h"

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit size_units[] = {
    {"B", 1},
    {"kB", 1000},
    {"KB", 1000},
    {"MB", 1000 * 1000},
    {"GB", 1000 * 1000 * 1000},
    {"TB", 1000ull * 1000 * 1000 * 1000},
    {"KiB", 1ull << 10},
    {"MiB", 1ull << 20},
    {"GiB", 1ull << 30},
    {"TiB", 1ull << 40},
};

static const struct unit time_units[] = {
    {"ms", 1},
    {"s", 1000},
    {"m", 60 * 1000},
    {"h", 60 * 60 * 1000},
};

static const struct unit *find_unit(const struct unit *units, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(units[i].name, name) == 0)
            return &units[i];
    return NULL;
}

/* "007s" is refused: a reader may take it for octal. */
static int parse_quantity(const char *s, const struct unit *units, size_t n, uint64_t *ret)
{
    uint64_t v = 0;
    bool overflow = false;
    const char *p = s;
    for (; isdigit((unsigned char)*p); p++)
        if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
            overflow = true;
    const struct unit *u = find_unit(units, n, p);
    if (p == s || u == NULL || (s[0] == '0' && p - s > 1))
        return -EINVAL;
    if (overflow || __builtin_mul_overflow(v, u->factor, &v) || v > INT64_MAX)
        return -ERANGE;
    *ret = v;
    return 0;
}

int orch_parse_size(const char *s, uint64_t *ret)
{
    return parse_quantity(s, size_units, ORCH_NELEM(size_units), ret);
}

int orch_parse_time(const char *s, uint64_t *ret_ms)
{
    return parse_quantity(s, time_units, ORCH_NELEM(time_units), ret_ms);
}

void orch_unit_pattern(bool time, struct orch_buf *out)
{
    const struct unit *units = time ? time_units : size_units;
    size_t n = time ? ORCH_NELEM(time_units) : ORCH_NELEM(size_units);
    orch_buf_str(out, "^(0|[1-9][0-9]*)(");
    for (size_t i = 0; i < n; i++)
        orch_buf_printf(out, "%s%s", i > 0 ? "|" : "", units[i].name);
    orch_buf_str(out, ")$");
}
