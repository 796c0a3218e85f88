/* test_nested.c - what tier nested takes away from a profile, and which profiles it cannot hold. */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <sys/syscall.h>

#include "common/io.h"
#include "policy/nested.h"

#define X86_64 0xc000003eU

static struct orch_profile *load(const char *members)
{
    struct orch_strv sources = {0};
    struct orch_diags d = {0};
    struct orch_profile *p = NULL;

    orch_strv_add_take(&sources, orch_xasprintf("base\n%s", orch_builtin_text("base", NULL)));
    orch_strv_add_take(&sources, orch_xasprintf("test\n{\"schema\":1,\"name\":\"test\",\"extends\":\"base\","
                                                "\"widen\":\"test\",\"requires\":\"nested\"%s}",
                                                members));
    assert_int_equal(orch_profile_from_sources(&sources, "test", &p, &d), 0);
    orch_strv_fini(&sources);
    orch_diags_fini(&d);
    return p;
}

static const struct {
    int nr;
    uint64_t args[2];
    bool refused;
} calls[] = {
    {SYS_socket, {AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC}, false},
    {SYS_socket, {AF_UNIX, SOCK_SEQPACKET}, false},
    {SYS_socket, {AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK}, true},
    {SYS_socket, {AF_UNIX, SOCK_RAW}, true},
    {SYS_socket, {AF_INET, SOCK_STREAM}, true},
    {SYS_socket, {(1ULL << 32) | AF_INET, SOCK_STREAM}, true},
    {SYS_socketpair, {AF_UNIX, SOCK_DGRAM}, true},
    {SYS_socketpair, {AF_UNIX, SOCK_STREAM}, false},
    {SYS_connect, {3, 0}, true},
    {SYS_bind, {3, 0}, true},
    {SYS_listen, {3, 0}, true},
    {SYS_fchmod, {3, 0777}, true},
    {SYS_utimensat, {3, 0}, true},
    {SYS_fchown, {3, 0}, true},
    {SYS_fsetxattr, {3, 0}, true},
    {SYS_ioctl, {3, 0x40086602 /* FS_IOC_SETFLAGS */}, true},
    {SYS_ioctl, {3, 0x401c5820 /* FS_IOC_FSSETXATTR */}, true},
    {SYS_ioctl, {3, 0x5401 /* TCGETS */}, false},
    {SYS_prlimit64, {0, 0}, false},
    {SYS_prlimit64, {77, 0}, true},
    {SYS_sched_setaffinity, {77, 0}, true},
    {SYS_setpriority, {0, 0}, false},
    {SYS_setpriority, {2, 0}, true},
    {SYS_setpriority, {0, 77}, true},
    {SYS_inotify_init1, {0, 0}, true},
    {SYS_shmget, {0, 0}, true},
    {SYS_mq_open, {0, 0}, true},
    {SYS_kill, {77, 9}, false}, /* Landlock's */
    {SYS_setsid, {0, 0}, false},
};

/* The parent permits what it likes: the tier's rules come first. */
static void nested_refuses_what_no_namespace_holds(void **state)
{
    struct orch_profile *p =
        load(",\"syscalls\":{\"allow\":[\"@parent\",\"shmget\",\"mq_open\"],\"rules\":[{\"syscalls\":"
             "[\"prlimit64\"],\"action\":\"allow\"}]}");
    struct orch_syscalls *s = orch_xcalloc(1, sizeof(*s));
    struct orch_profile *n = NULL;
    struct orch_filter f = {0};
    struct orch_diags d = {0};
    struct orch_err err = {0};

    (void)state;
    assert_int_equal(orch_nested_profile(p, &n, &d), 0);
    assert_int_equal(orch_syscalls_compile(n, s, &d), 0);
    assert_int_equal(orch_filter_build(s, &f, &err), 0); /* verified against these very rules */
    for (size_t i = 0; i < ORCH_NELEM(calls); i++) {
        struct seccomp_data data = {
            .nr = calls[i].nr, .arch = X86_64, .args = {calls[i].args[0], calls[i].args[1]}};
        struct orch_sc_answer a;

        orch_syscalls_answer(s, &data, &a);
        if ((a.kind == ORCH_SC_REFUSE) != calls[i].refused)
            fail_msg("call %d, row %zu: kind %d", calls[i].nr, i, (int)a.kind);
        if (orch_bpf_run(f.prog, f.len, &data) == SECCOMP_RET_ALLOW && calls[i].refused)
            fail_msg("call %d, row %zu: the filter lets it pass", calls[i].nr, i);
    }
    assert_string_equal(n->name, "test");
    assert_int_equal(n->audit_level, ORCH_AUDIT_PATHS);
    orch_filter_fini(&f);
    free(s);
    orch_profile_free(n);
    orch_profile_free(p);
    orch_diags_fini(&d);
}

static const struct {
    const char *members, *key; /* key NULL: can be held */
} profiles[] = {
    {",\"tools\":\"*\"", NULL},
    {",\"tools\":\"*\",\"filesystem\":[{\"path\":\"${workspace}\",\"access\":\"rwx\"}]", NULL},
    {",\"tools\":\"*\",\"filesystem\":[{\"path\":\"${workspace}\",\"access\":\"rw\"},"
     "{\"path\":\"${workspace}/x\",\"access\":\"rwx\"}]",
     NULL},
    {",\"tools\":[\"sh\"]", "tools"},
    {",\"tools\":\"*\",\"network\":{\"mode\":\"loopback\"}", "network.mode"},
    {",\"tools\":\"*\",\"filesystem\":[{\"path\":\"${workspace}/x\",\"access\":\"none\"}]",
     "test#/filesystem/0"},
    {",\"tools\":\"*\",\"filesystem\":[{\"path\":\"${workspace}/**/x\",\"access\":\"none\"}]",
     "test#/filesystem/0"},
    {",\"tools\":\"*\",\"filesystem\":[{\"path\":\"${workspace}/**/x\",\"access\":\"ro\"}]", NULL},
    {",\"tools\":\"*\",\"filesystem\":[{\"path\":\"${workspace}\",\"access\":\"rw\"},"
     "{\"path\":\"${workspace}/**/x\",\"access\":\"ro\"}]",
     "test#/filesystem/1"},
    {",\"tools\":\"*\",\"filesystem\":[{\"path\":\"${workspace}/s\",\"access\":\"rw\",\"scratch\":true}]",
     "test#/filesystem/0"},
};

static void nested_refuses_what_landlock_cannot_subtract(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(profiles); i++) {
        struct orch_profile *p = load(profiles[i].members);
        struct orch_strv command = {0};
        struct orch_plan_args a = {.profile = p,
                                   .workspace = "/var/tmp",
                                   .phase = "test",
                                   .command = &command,
                                   .uid = 1000,
                                   .gid = 1000};
        struct orch_plan *plan = NULL;
        struct orch_diags d = {0};
        struct orch_err err = {0};
        int r;

        orch_strv_add(&command, "true");
        assert_int_equal(orch_plan_compile(&a, &plan, &d), 0);
        r = orch_nested_accepts(p, plan, false, &err);
        if (r != (profiles[i].key ? -ENOTSUP : 0))
            fail_msg("row %zu: %d %s", i, r, err.msg);
        if (profiles[i].key) {
            assert_int_equal(err.exit_code, 3);
            assert_non_null(strstr(err.msg, profiles[i].key));
        }
        orch_plan_free(plan);
        orch_strv_fini(&command);
        orch_diags_fini(&d);
        orch_profile_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nested_refuses_what_no_namespace_holds),
        cmocka_unit_test(nested_refuses_what_landlock_cannot_subtract),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
