/* test_cgroup.c - where cgroups are looked for, on every layout that hosts have, and what their files say. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "sandbox/cgroup.h"
#include "sandbox/watch.h"

#define V2_MOUNT "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MOUNTS                                                                                            \
    "30 25 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"                             \
    "31 25 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"          \
    "32 25 0:29 /docker/abc /sys/fs/cgroup/pids ro,relatime - cgroup cgroup rw,pids\n"
#define HYBRID V1_MOUNTS "33 25 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
#define USER_SCOPE "/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope"
#define V1_GROUPS "9:name=systemd:/\n8:pids:/docker/abc\n5:cpu,cpuacct:/a\n4:memory:/m/n\n0::/\n"

static const struct {
    const char *mounts, *groups, *controller, *dir;
} dirs[] = {
    {V2_MOUNT, "0::" USER_SCOPE "\n", NULL, "/sys/fs/cgroup" USER_SCOPE},
    {V2_MOUNT, "0::/\n", NULL, "/sys/fs/cgroup"},
    {V2_MOUNT, "0::/\n", "memory", NULL},
    {V1_MOUNTS, V1_GROUPS, NULL, NULL},
    {V1_MOUNTS, V1_GROUPS, "memory", "/sys/fs/cgroup/memory/m/n"},
    {V1_MOUNTS, V1_GROUPS, "cpuacct", "/sys/fs/cgroup/cpu,cpuacct/a"},
    {V1_MOUNTS, V1_GROUPS, "pids", "/sys/fs/cgroup/pids"}, /* the mount shows our own as its root */
    {V1_MOUNTS, V1_GROUPS, "cpu", "/sys/fs/cgroup/cpu,cpuacct/a"},
    {V1_MOUNTS, V1_GROUPS, "systemd", NULL},
    {HYBRID, V1_GROUPS, NULL, "/sys/fs/cgroup/unified"},
    {V1_MOUNTS, "8:pids:/docker/abcd\n", "pids", NULL}, /* not beneath what is mounted */
    {V1_MOUNTS, "8:pids:/docker\n", "pids", NULL},
    {"", "0::/\n", NULL, NULL},
    {V2_MOUNT, "", NULL, NULL},
    {"nonsense\n29 23 - cgroup2\n" V2_MOUNT, "nonsense\n0:\n0::/x\n", NULL, "/sys/fs/cgroup/x"},
};

static void own_directory_is_found_on_every_layout(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(dirs); i++) {
        ORCH_AUTO_FREE char *dir = orch_cgroup_dir(dirs[i].mounts, dirs[i].groups, dirs[i].controller);

        if (dirs[i].dir)
            assert_string_equal(dir ? dir : "(none)", dirs[i].dir);
        else
            assert_null(dir);
    }
}

static void a_field_is_that_of_its_own_line(void **state)
{
    static const char events[] = "low 0\nhigh 0\nmax 7\noom 2\noom_kill 3\noom_group_kill 1\n";

    (void)state;
    assert_int_equal(orch_cgroup_field(events, "low"), 0);
    assert_int_equal(orch_cgroup_field(events, "max"), 7);
    assert_int_equal(orch_cgroup_field(events, "oom"), 2);
    assert_int_equal(orch_cgroup_field(events, "oom_kill"), 3);
    assert_int_equal(orch_cgroup_field(events, "kill"), 0);
    assert_int_equal(orch_cgroup_field("usage_usec 18446744073709551615", "usage_usec"), UINT64_MAX);
    assert_int_equal(orch_cgroup_field("", "max"), 0);
    assert_int_equal(orch_cgroup_field("\n\nmax 1\n", "max"), 1);
}

static void what_is_not_there_is_no_limit(void **state)
{
    struct orch_cgroup none = {0};
    uint64_t us;

    (void)state;
    assert_null(orch_cgroup_hit(&none));
    assert_false(orch_cgroup_cpu(&none, &us));
    assert_int_equal(orch_cgroup_admit(&none, getpid()), 0);
    orch_cgroup_kill(&none);
    orch_cgroup_close(&none);
    orch_cgroup_close(&none);
}

/* Where this host lets us make one, as root under version 1; else a refusal that says what failed. */
static void one_is_made_and_removed_or_refused_with_the_step(void **state)
{
    struct orch_cgroup g;
    const char *step = NULL;
    int r = orch_cgroup_open(64u << 20, 16, &g, &step);

    (void)state;
    assert_non_null(step);
    if (r < 0)
        return;
    assert_int_not_equal(g.kind, ORCH_CGROUP_NONE);
    assert_null(orch_cgroup_hit(&g));
    for (size_t i = 0; i < g.n; i++)
        assert_int_equal(faccessat(g.part[i].parent, g.name, F_OK, 0), 0);
    orch_cgroup_close(&g);
    assert_int_equal(g.n, 0);
}

static void names_are_those_of_the_records(void **state)
{
    const struct orch_limits none = {0}, process = {.memory = 1, .scope_process = true};

    (void)state;
    assert_string_equal(orch_cgroup_name(ORCH_CGROUP_V1), "cgroup-v1");
    assert_string_equal(orch_cgroup_name(ORCH_CGROUP_V2), "cgroup-v2");
    assert_string_equal(orch_cgroup_name((enum orch_cgroup_kind)9), "none");
    assert_string_equal(orch_limits_held_by(&none), "none");
    assert_string_equal(orch_limits_held_by(&process), "rlimit");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_directory_is_found_on_every_layout),
        cmocka_unit_test(a_field_is_that_of_its_own_line),
        cmocka_unit_test(what_is_not_there_is_no_limit),
        cmocka_unit_test(one_is_made_and_removed_or_refused_with_the_step),
        cmocka_unit_test(names_are_those_of_the_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
