/* test_filter.c - the compiled filter, and the verifier that must notice when it is wrong. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/audit.h>
#include <stdio.h>
#include <string.h>
#include "policy/syscalls.h"
#include "policy/sysgroups_list.h"

static char name_profile[] = "test", agent_base[] = "@agent-base", network_client[] = "@network-client";
static char *allow_net[] = {agent_base, network_client, NULL};
static struct orch_syscalls table;
static uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void typical(enum orch_audit_level level)
{
    static struct orch_profile p;
    p = (struct orch_profile){.name = name_profile,
                              .file = name_profile,
                              .sc_default_errno = EPERM,
                              .sc_allow = {.v = allow_net, .n = 2},
                              .audit_level = level};
    struct orch_diags d = {0};
    assert_int_equal(orch_syscalls_compile(&p, &table, &d), 0);
}

static struct orch_filter must_build(void)
{
    struct orch_filter f = {0};
    struct orch_err err = {0};
    int r = orch_filter_build(&table, &f, &err);
    if (r != 0)
        fail_msg("%s", err.msg);
    assert_true(f.len > 0);
    return f;
}

static int64_t run(const struct orch_filter *f, int nr, uint32_t arch, uint64_t a0, uint64_t a1)
{
    struct seccomp_data d = {.nr = nr, .arch = arch, .args = {a0, a1, 0, 0, 0, 0}};
    return orch_bpf_run(f->prog, f->len, &d);
}

static void typical_profiles_build_and_verify(void **state)
{
    (void)state;
    static const enum orch_audit_level levels[] = {ORCH_AUDIT_WRITES, ORCH_AUDIT_OPENS, ORCH_AUDIT_PATHS};
    for (size_t i = 0; i < ORCH_NELEM(levels); i++) {
        typical(levels[i]);
        struct orch_filter f = must_build();
        assert_true(f.len < 1500);
        assert_int_equal(run(&f, ORCH_NR_read, AUDIT_ARCH_X86_64, 0, 0), SECCOMP_RET_ALLOW);
        assert_int_equal(run(&f, ORCH_NR_ioctl, AUDIT_ARCH_X86_64, 0, 0x5401 | UINT64_C(1) << 32),
                         SECCOMP_RET_ALLOW);
        assert_int_equal(run(&f, ORCH_NR_ioctl, AUDIT_ARCH_X86_64, 0, 0x5412), SECCOMP_RET_USER_NOTIF);
        assert_int_equal(run(&f, ORCH_NR_execve, AUDIT_ARCH_X86_64, 0, 0), SECCOMP_RET_USER_NOTIF);
        assert_int_equal(run(&f, ORCH_NR_read, AUDIT_ARCH_I386, 0, 0), SECCOMP_RET_USER_NOTIF);
        assert_int_equal(run(&f, ORCH_NR_read | 0x40000000, AUDIT_ARCH_X86_64, 0, 0), SECCOMP_RET_USER_NOTIF);
        assert_int_equal(run(&f, -1, AUDIT_ARCH_X86_64, 0, 0), SECCOMP_RET_USER_NOTIF);
        orch_filter_fini(&f);
        orch_filter_fini(&f);
    }
}

static void interpreter_refuses_what_it_does_not_know(void **state)
{
    (void)state;
    struct seccomp_data d = {.nr = 1};
    const struct sock_filter other[] = {{BPF_LD | BPF_IMM, 0, 0, 0}, {BPF_RET | BPF_K, 0, 0, 1}};
    const struct sock_filter past[] = {{BPF_JMP | BPF_JA, 0, 0, 1}, {BPF_RET | BPF_K, 0, 0, 1}};
    const struct sock_filter huge[] = {{BPF_JMP | BPF_JA, 0, 0, UINT32_MAX}, {BPF_RET | BPF_K, 0, 0, 1}};
    const struct sock_filter wide[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 64}, {BPF_RET | BPF_K, 0, 0, 1}};
    const struct sock_filter odd[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 2}, {BPF_RET | BPF_K, 0, 0, 1}};
    const struct sock_filter open_end[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0}};
    const struct sock_filter good[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
                                       {BPF_JMP | BPF_JGT | BPF_K, 0, 1, 0},
                                       {BPF_RET | BPF_K, 0, 0, 7},
                                       {BPF_RET | BPF_K, 0, 0, 8}};
    assert_int_equal(orch_bpf_run(other, 2, &d), -1);
    assert_int_equal(orch_bpf_run(past, 2, &d), -1);
    assert_int_equal(orch_bpf_run(huge, 2, &d), -1);
    assert_int_equal(orch_bpf_run(wide, 2, &d), -1);
    assert_int_equal(orch_bpf_run(odd, 2, &d), -1);
    assert_int_equal(orch_bpf_run(open_end, 1, &d), -1);
    assert_int_equal(orch_bpf_run(NULL, 0, &d), -1);
    assert_int_equal(orch_bpf_run(good, 4, &d), 7);
}

static void verifier_refuses_bad_shapes(void **state)
{
    (void)state;
    typical(ORCH_AUDIT_OPENS);
    struct orch_err err = {0};
    struct sock_filter allow_all[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    struct sock_filter notify_all[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_USER_NOTIF}};
    struct sock_filter errno_zero[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO}};
    struct orch_filter f = {.prog = allow_all, .len = 1};
    assert_int_equal(orch_filter_verify(&table, &f, &err), -EBADMSG);
    assert_non_null(strstr(err.msg, "expected"));
    f.prog = notify_all;
    assert_int_equal(orch_filter_verify(&table, &f, &err), -EBADMSG);
    f.prog = errno_zero;
    assert_int_equal(orch_filter_verify(&table, &f, &err), -EBADMSG);
    f.len = 0;
    assert_int_equal(orch_filter_verify(&table, &f, &err), -EBADMSG);
}

static bool detected(struct orch_filter *f)
{
    struct orch_err err = {0};
    return orch_filter_verify(&table, f, &err) == -EBADMSG;
}

/*
 * One changed constant or jump per mutant. Not every mutant means something else: the number 0x40000000 and a
 * foreign ABI get the same answer, and the search tree has limits that may move. So: the vast majority.
 */
static void verifier_notices_mutations(void **state)
{
    (void)state;
    typical(ORCH_AUDIT_OPENS);
    struct orch_filter f = must_build();
    size_t mutants = 0, caught = 0;
    for (size_t i = 0; i < f.len; i++) {
        struct sock_filter kept = f.prog[i];
        for (unsigned way = 0; way < 4; way++) {
            bool compare = BPF_CLASS(kept.code) == BPF_JMP && kept.code != (BPF_JMP | BPF_JA);
            if ((way == 2 || way == 3) && (!compare || kept.jt == kept.jf))
                continue;
            if (way == 0)
                f.prog[i].k ^= 1;
            else if (way == 1)
                f.prog[i].k ^= 0x80000000u;
            else if (way == 2)
                f.prog[i].jt = kept.jf;
            else {
                f.prog[i].jt = kept.jf;
                f.prog[i].jf = kept.jt;
            }
            mutants++;
            caught += detected(&f);
            f.prog[i] = kept;
        }
    }
    assert_false(detected(&f));
    print_message("mutants %zu, caught %zu\n", mutants, caught);
    assert_true(caught * 100 >= mutants * 95);
    orch_filter_fini(&f);
}

/* Calls whose registers are judged beside the table: allowing them at random is rightly refused. */
static bool judged(size_t nr)
{
    static const int calls[] = {ORCH_NR_clone,    ORCH_NR_ioctl,      ORCH_NR_personality, ORCH_NR_prctl,
                                ORCH_NR_socket,   ORCH_NR_socketpair, ORCH_NR_seccomp,     ORCH_NR_prlimit64,
                                ORCH_NR_recvfrom, ORCH_NR_recvmsg,    ORCH_NR_recvmmsg,    ORCH_NR_sendmsg,
                                ORCH_NR_sendmmsg};
    for (size_t i = 0; i < ORCH_NELEM(calls); i++)
        if ((size_t)calls[i] == nr)
            return true;
    return false;
}

static struct orch_sc_fast random_fast(void)
{
    static const uint64_t masks[] = {0xffffffff, ~UINT64_C(0), 0x7e020000, 1, UINT64_C(1) << 40, 0xff00ff00};
    struct orch_sc_fast f = {.index = (unsigned)(next_random() % 6)};
    f.mask = next_random() % 4 == 0 ? next_random() : masks[next_random() % ORCH_NELEM(masks)];
    f.value = (next_random() % 3 == 0 ? next_random() % 8 : next_random()) & f.mask;
    return f;
}

/* The argument of filter.c: MASKED_EQ with one argument per rule is compiled rightly, and always ends. */
static void random_tables_verify(void **state)
{
    (void)state;
    static struct orch_profile p;
    for (size_t round = 0; round < 60; round++) {
        orch_syscalls_init(&table, &p);
        for (size_t i = 0; i < ORCH_SC_MAX; i++) {
            uint64_t dice = next_random() % 20;
            table.e[i].origin = "test";
            table.e[i].kind = ORCH_SC_ALLOW;
            table.e[i].always = dice < 12 && !judged(i);
            if (dice != 19 || judged(i))
                continue;
            unsigned same = (unsigned)(next_random() % 6);
            table.e[i].n_fast = (uint8_t)(1 + next_random() % 6);
            for (size_t k = 0; k < table.e[i].n_fast; k++) {
                table.e[i].fast[k] = random_fast();
                table.e[i].fast[k].index = same;
            }
        }
        struct orch_filter f = must_build();
        orch_filter_fini(&f);
    }
}

/* Several arguments per call are legal in the table; a wrong merge must come back as EBADMSG, never as a
 * filter. */
static void random_two_argument_tables_never_pass_wrong(void **state)
{
    (void)state;
    static struct orch_profile p;
    size_t refused = 0;
    for (size_t round = 0; round < 60; round++) {
        orch_syscalls_init(&table, &p);
        for (size_t i = 0; i < 40; i++) {
            table.e[i].kind = ORCH_SC_ALLOW;
            table.e[i].n_fast = judged(i) ? 0 : (uint8_t)(1 + next_random() % 4);
            for (size_t k = 0; k < table.e[i].n_fast; k++)
                table.e[i].fast[k] = random_fast();
        }
        struct orch_filter f = {0};
        struct orch_err err = {0};
        int r = orch_filter_build(&table, &f, &err);
        if (r < 0)
            assert_null(f.prog);
        refused += r < 0;
        orch_filter_fini(&f);
    }
    print_message("two-argument tables refused: %zu of 60\n", refused);
}

/* A table that does not say what the rules say: the program follows the table, and is refused. */
static void verifier_asks_the_rules_too(void **state)
{
    (void)state;
    static int lseek_nr[] = {ORCH_NR_lseek};
    static char origin[] = "test#/syscalls/rules/0";
    struct orch_syscall_rule rules[] = {{.nrs = lseek_nr,
                                         .n_nrs = 1,
                                         .action = ORCH_RULE_ERRNO,
                                         .errnum = EIO,
                                         .origin = origin,
                                         .n_args = 1}};
    rules[0].args[0] = (struct orch_arg_cond){.index = 2, .op = ORCH_OP_EQ, .value = 0x1234567};
    static const enum orch_rule_action actions[] = {ORCH_RULE_ERRNO, ORCH_RULE_KILL, ORCH_RULE_LOG};
    for (size_t i = 0; i < ORCH_NELEM(actions); i++) {
        rules[0].action = actions[i];
        typical(ORCH_AUDIT_OPENS);
        struct orch_profile p = *table.profile;
        struct orch_diags d = {0};
        struct orch_err err = {0};
        struct orch_filter f = {0};
        p.sc_rules = rules;
        p.n_sc_rules = 1;
        assert_int_equal(orch_syscalls_compile(&p, &table, &d), 0);
        assert_int_equal(orch_filter_build(&table, &f, &err), 0);
        orch_filter_fini(&f);
        table.e[ORCH_NR_lseek].always = true;
        assert_int_equal(orch_filter_build(&table, &f, &err), -EBADMSG);
        assert_non_null(strstr(err.msg, "lseek (0x"));
        assert_non_null(strstr(err.msg, "0x1234567"));
        assert_null(f.prog);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(typical_profiles_build_and_verify),
        cmocka_unit_test(interpreter_refuses_what_it_does_not_know),
        cmocka_unit_test(verifier_refuses_bad_shapes),
        cmocka_unit_test(verifier_notices_mutations),
        cmocka_unit_test(random_tables_verify),
        cmocka_unit_test(random_two_argument_tables_never_pass_wrong),
        cmocka_unit_test(verifier_asks_the_rules_too),
    };
    return cmocka_run_group_tests_name("policy/filter", tests, NULL, NULL);
}
