/*
 * test_resolve.c - where the supervisor says a path leads is where the kernel took the task: thousands of
 * trees, a view of its own, and each path opened or made by the task itself.
 *
 * ORCH_SEED chooses other trees, ORCH_RESOLVE_TREES how many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/util.h"
#include "tests/lib/need.h"
#include "tests/unit/sandbox/resolve_check.h"

#define TREES 250
#define QUERIES 40

static char dir[] = "/tmp/orch-resolve-XXXXXX";

static unsigned long number(const char *name, unsigned long otherwise)
{
    const char *s = getenv(name);

    return s ? strtoul(s, NULL, 10) : otherwise;
}

static int make_dir(void **state)
{
    char host[64];

    (void)state;
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(host, sizeof(host), "%s/host", dir);
    return mkdir(host, 0755);
}

static int remove_dir(void **state)
{
    (void)state;
    return orch_rm_rf(AT_FDCWD, dir);
}

static unsigned open_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    unsigned n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    (void)closedir(d);
    return n;
}

static void the_resolved_path_is_the_kernels(void **state)
{
    unsigned long seed = number("ORCH_SEED", 1), trees = number("ORCH_RESOLVE_TREES", TREES);
    static struct order o;
    struct checker c;
    bool have = checker_start(&c, dir);
    unsigned before = 0;

    (void)state;
    ORCH_NEED("userns", have);
    for (unsigned long i = 0; i < trees; i++) {
        o = (struct order){.seed = seed * 100000 + i, .queries = QUERIES};
        assert_true(check_order(&c, &o));
        if (c.wrong > 0)
            fail_msg("tree %lu of seed %lu", i, seed);
        if (i == 1) /* the child that looks is there by now */
            before = open_descriptors();
        assert_true(i == 0 || open_descriptors() == before);
    }
    (void)printf("%lu opened, %lu made, %lu not there, %lu failed, %lu without a name\n", c.opened, c.made,
                 c.missing, c.failed, c.nameless);
    /* The trees are worth something: much of each kind. */
    assert_true(c.opened > trees * 5 && c.made > trees && c.failed > trees * 5 && c.nameless > trees / 10 &&
                c.too_long <= trees / 4);
    checker_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_resolved_path_is_the_kernels, make_dir, remove_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
