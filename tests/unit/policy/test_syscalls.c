/* test_syscalls.c - tables of system calls, and the verdict for each call by its registers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/prctl.h>
#include <seccomp.h>
#include <string.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "policy/syscalls.h"
#include "policy/sysgroups.h"
#include "policy/sysgroups_list.h"

#define HIGH (UINT64_C(1) << 32)
#define ONES (UINT64_C(0xffffffff) << 32)

static char name_profile[] = "test", agent_base[] = "@agent-base", network_client[] = "@network-client";
static char *allow_net[] = {agent_base, network_client, NULL};

static struct orch_profile make_profile(size_t n_allow)
{
    return (struct orch_profile){.name = name_profile,
                                 .file = name_profile,
                                 .sc_default_errno = EPERM,
                                 .sc_allow = {.v = allow_net, .n = n_allow},
                                 .audit_level = ORCH_AUDIT_OPENS};
}

static struct orch_syscalls table;

static void compile(const struct orch_profile *p)
{
    struct orch_diags d = {0};
    assert_int_equal(orch_syscalls_compile(p, &table, &d), 0);
    assert_int_equal(d.n, 0);
}

static struct orch_sc_answer ask(int nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a4)
{
    struct seccomp_data d = {.nr = nr, .arch = AUDIT_ARCH_X86_64, .args = {a0, a1, a2, 0, a4, 0}};
    struct orch_sc_answer a;
    orch_syscalls_answer(&table, &d, &a);
    assert_non_null(a.origin);
    return a;
}

/* ---- tables ---- */

static void names_agree_with_libseccomp(void **state)
{
    (void)state;
    const char *last = NULL;
#define CHECK_ORDER(name, nr)                                                                                \
    if (last)                                                                                                \
        assert_true(strcmp(last, #name) < 0);                                                                \
    last = #name;                                                                                            \
    assert_int_equal(orch_syscall_number(#name), nr);                                                        \
    assert_string_equal(orch_syscall_name(nr), #name);
    ORCH_SYSCALL_LIST(CHECK_ORDER)
    for (int nr = 0; nr < ORCH_SC_MAX; nr++) {
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, nr);
        if (name) {
            assert_string_equal(orch_syscall_name(nr), name);
            assert_int_equal(orch_syscall_number(name), nr);
        }
        free(name);
    }
    assert_int_equal(orch_syscall_number("socketcall"), -1);
    assert_int_equal(orch_syscall_number("nonsense"), -1);
    assert_int_equal(orch_syscall_number(""), -1);
    assert_null(orch_syscall_name(-1));
    assert_null(orch_syscall_name(512));
    assert_null(orch_syscall_name(400));
}

static void widths_are_what_the_kernel_reads(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned index;
        uint64_t mask;
    } rows[] = {
        {"ioctl", 1, 0xffffffff},    {"ioctl", 2, ~UINT64_C(0)}, {"openat", 0, 0xffffffff},
        {"openat", 1, ~UINT64_C(0)}, {"openat", 2, 0xffffffff},  {"openat", 3, 0xffff},
        {"openat", 4, ~UINT64_C(0)}, {"socket", 2, 0xffffffff},  {"getpid", 0, ~UINT64_C(0)},
        {"mmap", 1, ~UINT64_C(0)},   {"prctl", 1, ~UINT64_C(0)}, {"futex", 5, 0xffffffff},
    };
    for (size_t i = 0; i < ORCH_NELEM(rows); i++)
        assert_true(orch_syscall_arg_mask(orch_syscall_number(rows[i].name), rows[i].index) == rows[i].mask);
    assert_true(orch_syscall_arg_mask(-1, 0) == ~UINT64_C(0));
    assert_true(orch_syscall_arg_mask(4000, 0) == ~UINT64_C(0));
}

/* ---- verdicts ---- */

struct row {
    int nr;
    uint64_t a0, a1, a2, a4;
    enum orch_sc_kind kind;
    int errnum;
};

#define N(name) ORCH_NR_##name
static const struct row rows_default[] = {
    {N(read), 0, 0, 0, 0, ORCH_SC_ALLOW, 0},
    {N(openat), 0, 1, 0, 0, ORCH_SC_WATCH, 0},
    {N(execve), 1, 0, 0, 0, ORCH_SC_WATCH, 0},
    {N(stat), 1, 0, 0, 0, ORCH_SC_ALLOW, 0},
    {N(sendto), 3, 1, 1, 0, ORCH_SC_ALLOW, 0},
    {N(sendto), 3, 1, 1, HIGH, ORCH_SC_WATCH, 0},
    {N(utimensat), 3, 0, 0, 0, ORCH_SC_ALLOW, 0},
    {N(utimensat), 3, 1, 0, 0, ORCH_SC_WATCH, 0},
    {N(mount), 0, 0, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(ptrace), 0, 0, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(io_uring_setup), 0, 0, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(clone3), 0, 0, 0, 0, ORCH_SC_FALLBACK, ENOSYS},
    {N(openat2), 0, 0, 0, 0, ORCH_SC_FALLBACK, ENOSYS},
    {N(execveat), 0, 0, 0, 0, ORCH_SC_FALLBACK, ENOSYS},
    {N(memfd_create), 0, 0, 0, 0, ORCH_SC_FALLBACK, ENOSYS},
    {N(file_setattr), 0, 0, 0, 0, ORCH_SC_FALLBACK, ENOSYS},
    {N(listns), 0, 0, 0, 0, ORCH_SC_FALLBACK, ENOSYS},
    {400, 0, 0, 0, 0, ORCH_SC_FALLBACK, ENOSYS},
    {511, 0, 0, 0, 0, ORCH_SC_FALLBACK, ENOSYS},
    {512, 0, 0, 0, 0, ORCH_SC_FALLBACK, ENOSYS},
    {-1, 0, 0, 0, 0, ORCH_SC_FALLBACK, ENOSYS},
    {0x40000000, 0, 0, 0, 0, ORCH_SC_KILL, 0},
    {(int)0xfffffff0, 0, 0, 0, 0, ORCH_SC_KILL, 0},
    {N(clone), 0x3d0f00, 0, 0, 0, ORCH_SC_ALLOW, 0},
    {N(clone), 0x91, 0, 0, 0, ORCH_SC_ALLOW, 0},
    {N(clone), 0x10000000, 0, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(clone), 0x10000000 | ONES, 0, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(clone), 0x00020011, 0, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(clone), 0x40000000, 0, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(ioctl), 0, TIOCSTI, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(ioctl), 0, TIOCSTI | HIGH, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(ioctl), 0, TIOCSTI | ONES, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(ioctl), 0, TIOCLINUX | HIGH, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(ioctl), 0, TIOCSETD, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(ioctl), 0, TIOCSCTTY, 0, 0, ORCH_SC_ALLOW, 0},
    {N(ioctl), 0, TCGETS, 0, 0, ORCH_SC_ALLOW, 0},
    {N(ioctl), 0, 0x12345678, 0, 0, ORCH_SC_ALLOW, 0},
    {N(personality), 0, 0, 0, 0, ORCH_SC_ALLOW, 0},
    {N(personality), 0xffffffff, 0, 0, 0, ORCH_SC_ALLOW, 0},
    {N(personality), ~UINT64_C(0), 0, 0, 0, ORCH_SC_ALLOW, 0},
    {N(personality), 0x40000, 0, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(personality), 0x40000 | ONES, 0, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(prlimit64), 0, 7, 0, 0, ORCH_SC_ALLOW, 0},
    {N(prlimit64), 77, 7, 1, 0, ORCH_SC_ALLOW, 0},
    {N(prlimit64), 1, 7, 1, 0, ORCH_SC_REFUSE, EPERM}, /* init */
    {N(prlimit64), 1 | HIGH, 7, 1, 0, ORCH_SC_REFUSE, EPERM},
    {N(sendmsg), 3, 0, 0x4000, 0, ORCH_SC_ALLOW, 0},
    {N(sendmsg), 3, 0, 0x4001, 0, ORCH_SC_REFUSE, EPERM}, /* MSG_OOB */
    {N(recvmsg), 3, 0, 2, 0, ORCH_SC_ALLOW, 0},
    {N(recvmsg), 3, 0, 1 | ONES, 0, ORCH_SC_REFUSE, EPERM},
    {N(prctl), PR_SET_NAME, 0, 0, 0, ORCH_SC_ALLOW, 0},
    {N(prctl), 65 /* PR_SET_MDWE */, 0, 0, 0, ORCH_SC_ALLOW, 0},
    {N(prctl), PR_SET_DUMPABLE, 0, 0, 0, ORCH_SC_FAKE, 0},
    {N(prctl), PR_SET_DUMPABLE | HIGH, 0, 0, 0, ORCH_SC_FAKE, 0},
    {N(prctl), PR_SET_PTRACER, 1, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(prctl), PR_SET_MM | ONES, 1, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(prctl), PR_SET_SECCOMP, 2, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(prctl), PR_SET_SECCOMP | HIGH, 2, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(prctl), PR_SET_SECUREBITS, 0, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(prctl), PR_SET_TSC, 0, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(prctl), PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(prctl), PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, ORCH_SC_ALLOW, 0},
    {N(prctl), PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 0, 0, ORCH_SC_ALLOW, 0},
    {N(prctl), 9999, 0, 0, 0, ORCH_SC_REFUSE, EINVAL},
    {N(seccomp), 1, 8, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(seccomp), 1 | HIGH, 0, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(seccomp), 0, 0, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(seccomp), 2, 0, 0, 0, ORCH_SC_ALLOW, 0},
    {N(seccomp), 3, 0, 0, 0, ORCH_SC_ALLOW, 0},
    {N(socket), AF_UNIX, SOCK_STREAM, 0, 0, ORCH_SC_ALLOW, 0},
    {N(socket), AF_UNIX | HIGH, SOCK_STREAM, 0, 0, ORCH_SC_ALLOW, 0},
    {N(socket), AF_INET, SOCK_STREAM, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(socket), AF_INET6 | HIGH, SOCK_STREAM, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(socket), AF_NETLINK, 0, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(socket), AF_ALG, 0, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(socket), AF_VSOCK | HIGH, 0, 0, 0, ORCH_SC_REFUSE, EPERM},
    {N(socketpair), AF_UNIX, 0, 0, 0, ORCH_SC_ALLOW, 0},
    {N(socketpair), 40, 0, 0, 0, ORCH_SC_REFUSE, EPERM},
};

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct orch_sc_answer a = ask(rows[i].nr, rows[i].a0, rows[i].a1, rows[i].a2, rows[i].a4);
        if (a.kind != rows[i].kind || (a.kind == ORCH_SC_REFUSE && a.errnum != rows[i].errnum))
            fail_msg("row %zu: call %d: kind %d errno %d, expected %d %d", i, rows[i].nr, (int)a.kind,
                     a.errnum, (int)rows[i].kind, rows[i].errnum);
    }
}

static void answers_of_the_base_group(void **state)
{
    (void)state;
    struct orch_profile p = make_profile(1);
    compile(&p);
    check_rows(rows_default, ORCH_NELEM(rows_default));
    assert_string_equal(ask(N(mount), 0, 0, 0, 0).origin, "sandbox#/syscalls");
}

static void network_client_permits_inet_only(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {N(socket), AF_INET, SOCK_DGRAM, 0, 0, ORCH_SC_ALLOW, 0},
        {N(socket), AF_INET6 | HIGH, SOCK_STREAM, 0, 0, ORCH_SC_ALLOW, 0},
        {N(socket), AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP, 0, ORCH_SC_ALLOW, 0},
        {N(socket), AF_INET, SOCK_STREAM, IPPROTO_TCP | HIGH, 0, ORCH_SC_ALLOW, 0},
        {N(socket), AF_INET6, SOCK_DGRAM, IPPROTO_UDP, 0, ORCH_SC_ALLOW, 0},
        {N(socket), AF_PACKET, SOCK_RAW, 0, 0, ORCH_SC_REFUSE, EPERM},
        {N(socket), AF_INET, SOCK_RAW, 0, 0, ORCH_SC_REFUSE, EPERM},
        {N(socket), AF_INET, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_TCP, 0, ORCH_SC_REFUSE, EPERM},
        {N(socket), AF_INET, SOCK_PACKET, 0, 0, ORCH_SC_REFUSE, EPERM},
        {N(socket), AF_INET, SOCK_SEQPACKET, 0, 0, ORCH_SC_REFUSE, EPERM},
        {N(socket), AF_INET, SOCK_DGRAM, IPPROTO_ICMP, 0, ORCH_SC_REFUSE, EPERM},
        {N(socket), AF_INET, SOCK_STREAM, IPPROTO_SCTP, 0, ORCH_SC_REFUSE, EPERM},
        {N(socket), AF_INET6, SOCK_STREAM, IPPROTO_MPTCP, 0, ORCH_SC_REFUSE, EPROTONOSUPPORT},
        {N(socket), AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, 0, ORCH_SC_REFUSE, EPERM},
    };
    static const struct row loopback[] = {
        {N(socket), AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, 0, ORCH_SC_ALLOW, 0},
        {N(socket), AF_NETLINK | HIGH, SOCK_DGRAM, NETLINK_ROUTE | HIGH, 0, ORCH_SC_ALLOW, 0},
        {N(socket), AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER, 0, ORCH_SC_REFUSE, EPERM},
        {N(socket), AF_INET, SOCK_RAW, 0, 0, ORCH_SC_REFUSE, EPERM},
    };
    struct orch_profile p = make_profile(2);
    compile(&p);
    check_rows(rows, ORCH_NELEM(rows));
    /* What runtimes ask and go on without counts for nobody; all else does. */
    assert_true(ask(N(socket), AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, 0).quiet);
    assert_true(ask(N(socket), AF_INET, SOCK_STREAM, IPPROTO_MPTCP, 0).quiet);
    assert_false(ask(N(socket), AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER, 0).quiet);
    assert_false(ask(N(socket), AF_INET, SOCK_RAW, 0, 0).quiet);
    p.network = ORCH_NET_LOOPBACK;
    compile(&p);
    check_rows(loopback, ORCH_NELEM(loopback));
}

static void foreign_abi_is_killed(void **state)
{
    (void)state;
    struct orch_profile p = make_profile(1);
    compile(&p);
    struct seccomp_data d = {.nr = 1, .arch = AUDIT_ARCH_I386};
    struct orch_sc_answer a;
    orch_syscalls_answer(&table, &d, &a);
    assert_int_equal(a.kind, ORCH_SC_KILL);
    assert_string_equal(a.origin, "abi");
}

static void empty_list_still_lets_the_agent_start(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {N(write), 0, 0, 0, 0, ORCH_SC_ALLOW, 0},
        {N(sendmsg), 0, 0, 0, 0, ORCH_SC_ALLOW, 0},
        {N(close), 0, 0, 0, 0, ORCH_SC_ALLOW, 0},
        {N(close_range), 0, 0, 0, 0, ORCH_SC_ALLOW, 0},
        {N(exit_group), 0, 0, 0, 0, ORCH_SC_ALLOW, 0},
        {N(rt_sigreturn), 0, 0, 0, 0, ORCH_SC_ALLOW, 0},
        {N(execve), 0, 0, 0, 0, ORCH_SC_WATCH, 0},
        {N(read), 0, 0, 0, 0, ORCH_SC_REFUSE, ENOENT},
        {N(ioctl), 0, TCGETS, 0, 0, ORCH_SC_REFUSE, ENOENT},
        {N(openat), 0, 0, 0, 0, ORCH_SC_REFUSE, ENOENT},
    };
    struct orch_profile p = make_profile(0);
    p.sc_default_errno = ENOENT;
    compile(&p);
    check_rows(rows, ORCH_NELEM(rows));
    assert_true(table.e[N(write)].always);
    assert_int_equal(table.e[N(sendmsg)].n_fast, 1); /* all but MSG_OOB */
    assert_false(table.e[N(execve)].always);
}

static void audit_level_decides_what_is_watched(void **state)
{
    (void)state;
    static const struct row writes[] = {
        {N(openat), 0, 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, ORCH_SC_ALLOW, 0},
        {N(openat), 0, 1, O_RDONLY | O_NOFOLLOW | HIGH, 0, ORCH_SC_ALLOW, 0},
        {N(openat), 0, 1, O_WRONLY, 0, ORCH_SC_WATCH, 0},
        {N(openat), 0, 1, O_RDWR, 0, ORCH_SC_WATCH, 0},
        {N(openat), 0, 1, O_CREAT, 0, ORCH_SC_WATCH, 0},
        {N(openat), 0, 1, O_TRUNC, 0, ORCH_SC_WATCH, 0},
        {N(openat), 0, 1, O_TMPFILE & ~O_DIRECTORY, 0, ORCH_SC_WATCH, 0},
        {N(open), 1, O_RDONLY, 0, 0, ORCH_SC_ALLOW, 0},
        {N(open), 1, O_RDWR, 0, 0, ORCH_SC_WATCH, 0},
        {N(unlink), 1, 0, 0, 0, ORCH_SC_WATCH, 0},
    };
    static const struct row paths[] = {
        {N(stat), 1, 0, 0, 0, ORCH_SC_WATCH, 0},
        {N(chdir), 1, 0, 0, 0, ORCH_SC_WATCH, 0},
        {N(openat), 1, 0, 0, 0, ORCH_SC_WATCH, 0},
        {N(fstat), 1, 0, 0, 0, ORCH_SC_ALLOW, 0},
    };
    struct orch_profile p = make_profile(1);
    p.audit_level = ORCH_AUDIT_WRITES;
    compile(&p);
    check_rows(writes, ORCH_NELEM(writes));
    p.audit_level = ORCH_AUDIT_PATHS;
    compile(&p);
    check_rows(paths, ORCH_NELEM(paths));
}

/* ---- rules ---- */

static int nr_ioctl[] = {N(ioctl)}, nr_socket[] = {N(socket)}, nr_kcmp[] = {N(kcmp)}, nr_write[] = {N(write)},
           nr_getpid[] = {N(getpid)}, nr_clone[] = {N(clone)}, nr_uring[] = {N(io_uring_setup)};
static char origin_a[] = "test#/syscalls/rules/0", origin_b[] = "test#/syscalls/rules/1";

static void rules_come_first_and_in_order(void **state)
{
    (void)state;
    struct orch_syscall_rule rules[] = {
        {.nrs = nr_ioctl,
         .n_nrs = 1,
         .action = ORCH_RULE_ERRNO,
         .errnum = ENOTTY,
         .origin = origin_a,
         .n_args = 1,
         .args = {{.index = 1, .op = ORCH_OP_EQ, .value = TCGETS}}},
        {.nrs = nr_getpid, .n_nrs = 1, .action = ORCH_RULE_KILL, .origin = origin_b},
        {.nrs = nr_kcmp, .n_nrs = 1, .action = ORCH_RULE_ALLOW, .origin = origin_b},
        {.nrs = nr_socket,
         .n_nrs = 1,
         .action = ORCH_RULE_ALLOW,
         .origin = origin_b,
         .n_args = 1,
         .args = {{.index = 0, .op = ORCH_OP_MASKED_EQ, .value = AF_NETLINK, .mask = 0xffffffff}}},
        {.nrs = nr_clone,
         .n_nrs = 1,
         .action = ORCH_RULE_ERRNO,
         .errnum = EAGAIN,
         .origin = origin_a,
         .n_args = 1,
         .args = {{.index = 0, .op = ORCH_OP_MASKED_EQ, .value = 0x10000000, .mask = 0x10000000}}},
    };
    static const struct row rows[] = {
        {N(ioctl), 0, TCGETS, 0, 0, ORCH_SC_REFUSE, ENOTTY},
        {N(ioctl), 0, TCGETS | HIGH, 0, 0, ORCH_SC_REFUSE, ENOTTY},
        {N(ioctl), 0, FIONREAD, 0, 0, ORCH_SC_ALLOW, 0},
        {N(ioctl), 0, TIOCSTI, 0, 0, ORCH_SC_REFUSE, EPERM},
        {N(getpid), 0, 0, 0, 0, ORCH_SC_KILL, 0},
        {N(kcmp), 0, 0, 0, 0, ORCH_SC_ALLOW, 0},
        {N(socket), AF_NETLINK | HIGH, 0, 0, 0, ORCH_SC_ALLOW, 0},
        {N(socket), AF_INET, 0, 0, 0, ORCH_SC_REFUSE, EPERM},
        {N(clone), 0x10000000, 0, 0, 0, ORCH_SC_REFUSE, EAGAIN},
    };
    struct orch_profile p = make_profile(1);
    p.sc_rules = rules;
    p.n_sc_rules = ORCH_NELEM(rules);
    compile(&p);
    check_rows(rows, ORCH_NELEM(rows));
    assert_string_equal(ask(N(ioctl), 0, TCGETS, 0, 0).origin, origin_a);
    for (size_t i = 0; i < table.e[N(ioctl)].n_fast; i++) /* the filter must not answer before the rule */
        assert_true(table.e[N(ioctl)].fast[i].value != TCGETS);
    assert_false(table.e[N(getpid)].always);
    assert_true(table.e[N(kcmp)].always);
    assert_int_equal(table.e[N(clone)].n_fast, 1); /* the rule cannot match where the filter allows */
}

static void ne_rule_leaves_its_value_to_the_filter(void **state)
{
    (void)state;
    struct orch_syscall_rule rules[] = {
        {.nrs = nr_ioctl,
         .n_nrs = 1,
         .action = ORCH_RULE_ERRNO,
         .errnum = EINVAL,
         .origin = origin_a,
         .n_args = 1,
         .args = {{.index = 1, .op = ORCH_OP_NE, .value = TCGETS}}},
        {.nrs = nr_getpid,
         .n_nrs = 1,
         .action = ORCH_RULE_ERRNO,
         .errnum = EINVAL,
         .origin = origin_a,
         .n_args = 1,
         .args = {{.index = 3, .op = ORCH_OP_NE, .value = 7}}},
    };
    struct orch_profile p = make_profile(1);
    p.sc_rules = rules;
    p.n_sc_rules = ORCH_NELEM(rules);
    compile(&p);
    assert_int_equal(table.e[N(ioctl)].n_fast, 1);
    assert_int_equal(table.e[N(getpid)].n_fast, 1);
    assert_int_equal(table.e[N(getpid)].fast[0].index, 3);
    assert_int_equal(table.e[N(getpid)].fast[0].value, 7);
    assert_false(table.e[N(getpid)].always);
    assert_int_equal(ask(N(ioctl), 0, TCGETS | HIGH, 0, 0).kind, ORCH_SC_ALLOW);
    assert_int_equal(ask(N(ioctl), 0, FIONREAD, 0, 0).errnum, EINVAL);
}

static size_t count_errors(struct orch_syscall_rule *rules, size_t n, const char *want)
{
    struct orch_profile p = make_profile(1);
    struct orch_diags d = {0};
    p.sc_rules = rules;
    p.n_sc_rules = n;
    int r = orch_syscalls_compile(&p, &table, &d);
    size_t found = 0;
    for (size_t i = 0; i < d.n; i++)
        found += strstr(d.v[i].msg, want) != NULL;
    assert_int_equal(r, d.n > 0 ? -EINVAL : 0);
    orch_diags_fini(&d);
    return found;
}

static void unreachable_and_impossible_rules_are_reported(void **state)
{
    (void)state;
    struct orch_syscall_rule twice[] = {
        {.nrs = nr_kcmp, .n_nrs = 1, .action = ORCH_RULE_ALLOW, .origin = origin_a},
        {.nrs = nr_kcmp, .n_nrs = 1, .action = ORCH_RULE_KILL, .origin = origin_b},
    };
    assert_int_equal(count_errors(twice, 2, origin_a), 1);
    assert_int_equal(count_errors(twice, 2, origin_b), 1);
    twice[1].n_args = 1;
    assert_int_equal(count_errors(twice, 2, "never reached"), 1);
    twice[0].n_args = 1;
    assert_int_equal(count_errors(twice, 2, "same conditions"), 1);
    twice[0].args[0].value = 5;
    assert_int_equal(count_errors(twice, 2, ""), 0);
    struct orch_syscall_rule bad = {
        .nrs = nr_write, .n_nrs = 1, .action = ORCH_RULE_KILL, .origin = origin_a};
    assert_int_equal(count_errors(&bad, 1, "cannot be restricted"), 1);
    bad = (struct orch_syscall_rule){
        .nrs = nr_uring, .n_nrs = 1, .action = ORCH_RULE_ALLOW, .origin = origin_a};
    assert_int_equal(count_errors(&bad, 1, "cannot be allowed"), 1);
    bad =
        (struct orch_syscall_rule){.nrs = nr_kcmp, .n_nrs = 1, .action = ORCH_RULE_ERRNO, .origin = origin_a};
    assert_int_equal(count_errors(&bad, 1, "1-4095"), 1);
    bad = (struct orch_syscall_rule){.nrs = nr_kcmp, .n_nrs = 1, .origin = origin_a, .n_args = 2};
    assert_int_equal(count_errors(&bad, 1, "at most once"), 1);
    bad = (struct orch_syscall_rule){.nrs = nr_kcmp,
                                     .n_nrs = 1,
                                     .origin = origin_a,
                                     .n_args = 1,
                                     .args = {{.op = ORCH_OP_MASKED_EQ, .value = 3, .mask = 1}}};
    assert_int_equal(count_errors(&bad, 1, "never match"), 1);
}

static void names_that_cannot_be_allowed_are_reported(void **state)
{
    (void)state;
    static char escape[] = "@escape", wrong[] = "frobnicate", group[] = "@nope";
    char *names[] = {escape, wrong, group, NULL};
    struct orch_profile p = make_profile(0);
    p.sc_allow = (struct orch_strv){.v = names, .n = 3};
    struct orch_diags d = {0};
    assert_int_equal(orch_syscalls_compile(&p, &table, &d), -EINVAL);
    assert_int_equal(d.n, 3);
    orch_diags_fini(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_agree_with_libseccomp),
        cmocka_unit_test(widths_are_what_the_kernel_reads),
        cmocka_unit_test(answers_of_the_base_group),
        cmocka_unit_test(network_client_permits_inet_only),
        cmocka_unit_test(foreign_abi_is_killed),
        cmocka_unit_test(empty_list_still_lets_the_agent_start),
        cmocka_unit_test(audit_level_decides_what_is_watched),
        cmocka_unit_test(rules_come_first_and_in_order),
        cmocka_unit_test(ne_rule_leaves_its_value_to_the_filter),
        cmocka_unit_test(unreachable_and_impossible_rules_are_reported),
        cmocka_unit_test(names_that_cannot_be_allowed_are_reported),
    };
    return cmocka_run_group_tests_name("policy/syscalls", tests, NULL, NULL);
}
