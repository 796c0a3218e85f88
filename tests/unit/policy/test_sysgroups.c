/* test_sysgroups.c - groups of system calls, and that no built-in profile permits a member of @escape. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/audit.h>
#include <string.h>
#include "policy/profile_int.h"
#include "policy/syscalls.h"
#include "policy/sysgroups.h"
#include "policy/sysgroups_list.h"

static bool has(const char *group, const char *name)
{
    const char *const *m = orch_syscall_group(group);
    for (size_t i = 0; m && m[i]; i++)
        if (strcmp(m[i], name) == 0)
            return true;
    return false;
}

static void groups_are_sorted_unique_known_and_described(void **state)
{
    (void)state;
    for (size_t g = 0; orch_syscall_group_names[g]; g++) {
        const char *name = orch_syscall_group_names[g], *const *m = orch_syscall_group(name);
        if (g > 0)
            assert_true(strcmp(orch_syscall_group_names[g - 1], name) < 0);
        assert_non_null(m);
        assert_non_null(m[0]);
        assert_true(strlen(orch_syscall_group_about(name)) > 10);
        for (size_t i = 0; m[i]; i++) {
            if (orch_syscall_number(m[i]) < 0)
                fail_msg("%s: unknown %s", name, m[i]);
            if (i > 0 && strcmp(m[i - 1], m[i]) >= 0)
                fail_msg("%s: order of %s and %s", name, m[i - 1], m[i]);
        }
    }
    assert_null(orch_syscall_group("@none"));
    assert_null(orch_syscall_group("open"));
    assert_null(orch_syscall_group_about("@none"));
}

static void groups_of_systemd_are_there(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        /* group, a member, none */
        {"@aio", "io_submit", "read"},
        {"@basic-io", "pwritev2", "open"},
        {"@chown", "fchownat", "chmod"},
        {"@clock", "settimeofday", "clock_gettime"},
        {"@cpu-emulation", "modify_ldt", "iopl"},
        {"@debug", "ptrace", "kill"},
        {"@default", "futex", "openat"},
        {"@file-system", "renameat2", "mount"},
        {"@io-event", "epoll_wait", "read"},
        {"@ipc", "shmget", "socket"},
        {"@keyring", "keyctl", "bpf"},
        {"@memlock", "mlockall", "mmap"},
        {"@module", "finit_module", "kexec_load"},
        {"@mount", "pivot_root", "open"},
        {"@network-io", "connect", "pipe"},
        {"@obsolete", "uselib", "open"},
        {"@pkey", "pkey_alloc", "mprotect"},
        {"@privileged", "setuid", "getuid"},
        {"@process", "vfork", "exit"},
        {"@raw-io", "iopl", "ioctl"},
        {"@reboot", "kexec_file_load", "syslog"},
        {"@resources", "setpriority", "getpriority"},
        {"@sandbox", "landlock_restrict_self", "prctl"},
        {"@setuid", "setresgid", "getgid"},
        {"@signal", "rt_sigaction", "kill"},
        {"@swap", "swapon", "sync"},
        {"@sync", "fdatasync", "write"},
        {"@system-service", "sendfile", "mount"},
        {"@timer", "timerfd_create", "nanosleep"},
    };
    for (size_t i = 0; i < ORCH_NELEM(rows); i++) {
        if (!has(rows[i][0], rows[i][1]))
            fail_msg("%s lacks %s", rows[i][0], rows[i][1]);
        if (has(rows[i][0], rows[i][2]))
            fail_msg("%s has %s", rows[i][0], rows[i][2]);
        assert_true(orch_syscall_number(rows[i][2]) >= 0);
    }
}

static void base_and_client_have_no_way_out(void **state)
{
    (void)state;
    static const char *const mine[] = {"@agent-base", "@network-client"};
    for (size_t g = 0; g < ORCH_NELEM(mine); g++) {
        const char *const *m = orch_syscall_group(mine[g]);
        for (size_t i = 0; m[i]; i++)
            if (has("@escape", m[i]))
                fail_msg("%s has %s", mine[g], m[i]);
    }
}

/* Whatever group is named: not a member of @escape, nothing that is never allowed. */
static void allowing_a_group_permits_no_way_out(void **state)
{
    (void)state;
    static const int never[] = {ORCH_NR_io_uring_setup, ORCH_NR_clone3, ORCH_NR_openat2,
                                ORCH_NR_memfd_create};
    size_t some = 0;
    for (size_t g = 0; orch_syscall_group_names[g]; g++) {
        bool set[ORCH_SC_MAX] = {false};
        size_t n = orch_syscall_group_allows(orch_syscall_group_names[g], set), counted = 0;
        for (int nr = 0; nr < ORCH_SC_MAX; nr++) {
            counted += set[nr];
            if (set[nr])
                assert_false(has("@escape", orch_syscall_name(nr)));
        }
        assert_int_equal(n, counted);
        for (size_t i = 0; i < ORCH_NELEM(never); i++)
            assert_false(set[never[i]]);
        some += n > 0;
    }
    assert_true(some > 15);
    assert_int_equal(orch_syscall_group_allows("@escape", NULL), 0);
    assert_int_equal(orch_syscall_group_allows("@module", NULL), 0);
    assert_true(orch_syscall_group_allows("@process", NULL) > 10);
}

static enum orch_sc_kind verdict(const struct orch_syscalls *s, int nr, uint64_t fill)
{
    struct seccomp_data d = {
        .nr = nr, .arch = AUDIT_ARCH_X86_64, .args = {fill, fill, fill, fill, fill, fill}};
    struct orch_sc_answer a;
    orch_syscalls_answer(s, &d, &a);
    return a.kind;
}

static void no_builtin_permits_a_way_out(void **state)
{
    (void)state;
    static struct orch_syscalls table;
    const char *const *m = orch_syscall_group("@escape");
    for (size_t b = 0; orch_builtin_names[b]; b++) {
        struct orch_profile *p = NULL;
        struct orch_diags d = {0};
        assert_int_equal(orch_profile_load(orch_builtin_names[b], "/", &p, &d), 0);
        assert_int_equal(orch_syscalls_compile(p, &table, &d), 0);
        assert_int_equal(verdict(&table, ORCH_NR_getpid, 0), ORCH_SC_ALLOW); /* it does permit something */
        for (size_t i = 0; m[i]; i++) {
            int nr = orch_syscall_number(m[i]);
            for (unsigned k = 0; k < 4; k++) {
                enum orch_sc_kind v = verdict(&table, nr, k == 3 ? ~UINT64_C(0) : k);
                if (v != ORCH_SC_REFUSE && v != ORCH_SC_FALLBACK)
                    fail_msg("%s permits %s", orch_builtin_names[b], m[i]);
            }
            assert_false(table.e[nr].always);
            assert_int_equal(table.e[nr].n_fast, 0);
        }
        orch_profile_free(p);
    }
}

/* ---- constants ---- */

static void constants_are_unique_and_found(void **state)
{
    (void)state;
    const char *name, *other;
    uint64_t value, v;
    size_t n = 0;
    for (; orch_const_at(n, &name, &value); n++) {
        assert_true(orch_const_value(name, &v));
        assert_true(v == value);
        for (size_t k = 0; k < n && orch_const_at(k, &other, &v); k++)
            if (strcmp(name, other) == 0)
                fail_msg("%s is there twice", name);
    }
    assert_true(n > 400);
}

static void values_are_joined_by_bars(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {
        {"O_CREAT|O_TRUNC", 01100},
        {"O_CREAT | O_TRUNC | 1", 01101},
        {"0x10", 16},
        {"16", 16},
        {"0x1|0x2|0x4", 7},
        {" O_RDWR ", 2},
        {"0xffffffffffffffff", UINT64_MAX},
        {"18446744073709551615", UINT64_MAX},
    };
    static const char *const bad[] = {
        "",   "|",     "O_CREAT|", "|O_CREAT", "O_CREAT||O_TRUNC", "O_CREAT O_TRUNC",
        "-1", "0x",    "1.5",      "o_creat",  "O_CREAT&O_TRUNC",  "18446744073709551616",
        "+1", "0x1 2", "\t1"};
    uint64_t v;
    for (size_t i = 0; i < ORCH_NELEM(good); i++) {
        if (!orch_const_value(good[i].text, &v) || v != good[i].value)
            fail_msg("'%s'", good[i].text);
    }
    for (size_t i = 0; i < ORCH_NELEM(bad); i++)
        if (orch_const_value(bad[i], &v))
            fail_msg("'%s' is a value", bad[i]);
    assert_string_equal(orch_const_near("O_CREAT|O_TRUNK"), "O_TRUNC");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_are_sorted_unique_known_and_described),
        cmocka_unit_test(groups_of_systemd_are_there),
        cmocka_unit_test(base_and_client_have_no_way_out),
        cmocka_unit_test(allowing_a_group_permits_no_way_out),
        cmocka_unit_test(no_builtin_permits_a_way_out),
        cmocka_unit_test(constants_are_unique_and_found),
        cmocka_unit_test(values_are_joined_by_bars),
    };
    return cmocka_run_group_tests_name("policy/sysgroups", tests, NULL, NULL);
}
