/*
 * test_filter_known.c - policies that libseccomp 2.5.4 is known to compile wrongly, to lose, or never to
 * finish (libraries.md 1.3): each is refused when it is read, or compiled and then right at the calls that
 * went wrong.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <asm/ioctls.h>
#include <sys/socket.h>
#include "tests/lib/policy_gen.h"

#define HIGH (UINT64_C(1) << 32)
#define ONES (UINT64_C(0xffffffff) << 32)
#define RULES(text)                                                                                          \
    "{\"schema\": 1, \"name\": \"t\", \"syscalls\": {\"allow\": [\"@agent-base\"], \"rules\": [" text "]}}"
#define RULE(call, action, args) "{\"syscalls\": [\"" call "\"], \"action\": \"" action "\"" args "}"
#define ARG(index, op, value) "{\"index\": " #index ", \"op\": \"" op "\", \"value\": " value "}"
#define ARGS(list) ", \"args\": [" list "]"

struct probe {
    uint64_t args[3];
    enum orch_sc_kind kind;
};

struct known {
    const char *what, *text;
    const char *refused; /* part of the reason, or NULL: compiled, and right at probes[] */
    int nr;
    struct probe probes[6];
    size_t n;
};

#define ALLOW ORCH_SC_ALLOW
#define REFUSE ORCH_SC_REFUSE
#define KILL ORCH_SC_KILL
#define REFUSED(reason) .refused = reason, .n = 0

static const struct known rows[] = {
    {"ranges of 64 bits on one argument",
     RULES(RULE("lseek", "errno", ARGS(ARG(1, "gt", "\"0x100000001\""))) "," RULE(
         "lseek", "kill_process", ARGS(ARG(1, "lt", "\"0x80000000\"")))),
     REFUSED("must be the only rule of its call")},
    {"ranges on two arguments, which may never end",
     RULES(RULE("lseek", "errno", ARGS(ARG(1, "gt", "7") "," ARG(2, "le", "3"))) "," RULE(
         "lseek", "errno", ARGS(ARG(2, "ge", "1") "," ARG(1, "lt", "9")))),
     REFUSED("must be the only condition of its rule")},
    {"a second action for a call is ignored",
     RULES(RULE("lseek", "errno", ARGS(ARG(2, "eq", "1"))) "," RULE("lseek", "kill_process",
                                                                    ARGS(ARG(2, "eq", "1")))),
     REFUSED("same conditions and another action")},
    {"a condition behind an unconditional rule is ignored",
     RULES(RULE("lseek", "errno", "") "," RULE("lseek", "kill_process", ARGS(ARG(2, "eq", "1")))),
     REFUSED("never reached")},
    {"the same argument twice is an OR",
     RULES(RULE("lseek", "errno", ARGS(ARG(2, "ge", "1") "," ARG(2, "le", "3")))),
     REFUSED("has a condition already")},
    {"errno 0 is a success", RULES(RULE("lseek", "errno", ", \"errno\": \"0\"")), REFUSED("not an errno")},
    {"errno beyond 4095", RULES(RULE("lseek", "errno", ", \"errnoRet\": 4096")), REFUSED("out of range")},
    {"a narrow kill is lost to the rule for the rest",
     RULES(RULE("lseek", "kill_process", ARGS(ARG(2, "eq", "1"))) "," RULE("lseek", "errno", "")),
     NULL,
     ORCH_NR_lseek,
     {{{0, 0, 1}, KILL}, {{0, 0, 1 | HIGH}, KILL}, {{0, 0, 0}, REFUSE}, {{0, 0, ~UINT64_C(0)}, REFUSE}},
     4},
    {"an unconditional allow erases what is refused",
     RULES(RULE("lseek", "errno", ARGS(ARG(2, "eq", "1"))) "," RULE("lseek", "allow", "")),
     NULL,
     ORCH_NR_lseek,
     {{{0, 0, 1}, REFUSE}, {{0, 0, 1 | ONES}, REFUSE}, {{0, 0, 2}, ALLOW}},
     3},
    {"the default as a rule is an error",
     RULES(RULE("mq_open", "errno", "") "," RULE("lseek", "allow", "")),
     NULL,
     ORCH_NR_mq_open,
     {{{0, 0, 0}, REFUSE}},
     1},
    {"several conditions on two arguments",
     RULES(RULE("lseek", "errno", ARGS(ARG(1, "eq", "\"0x100000001\"") "," ARG(2, "ne", "0"))) "," RULE(
         "lseek", "errno",
         ARGS(ARG(2, "in", "[4, 5]"))) "," RULE("lseek", "errno",
                                                ARGS(ARG(1, "ne", "3") "," ARG(2, "eq", "9")))),
     NULL,
     ORCH_NR_lseek,
     {{{0, 0x100000001, 1}, REFUSE},
      {{0, 1, 1}, ALLOW},
      {{0, 0x100000001, 0}, ALLOW},
      {{0, 3, 5}, REFUSE},
      {{0, 3, 9}, ALLOW},
      {{0, 4, 9 | HIGH}, REFUSE}},
     6},
    {"not equal, in 64 bits",
     RULES(RULE("lseek", "errno", ARGS(ARG(1, "ne", "\"0x100000000\"")))),
     NULL,
     ORCH_NR_lseek,
     {{{0, 0x100000000, 0}, ALLOW},
      {{0, 0, 0}, REFUSE},
      {{0, 0x200000000, 0}, REFUSE},
      {{0, 0x100000001, 0}, REFUSE}},
     4},
    {"a range of 64 bits alone",
     RULES(RULE("lseek", "errno", ARGS(ARG(1, "gt", "\"0x1ffffffff\"")))),
     NULL,
     ORCH_NR_lseek,
     {{{0, 0x1ffffffff, 0}, ALLOW},
      {{0, 0x200000000, 0}, REFUSE},
      {{0, 0xffffffff, 0}, ALLOW},
      {{0, ~UINT64_C(0), 0}, REFUSE},
      {{0, 0x100000000, 0}, ALLOW}},
     5},
    {"a range of 32 bits does not look above them",
     RULES(RULE("lseek", "errno", ARGS(ARG(2, "ge", "3")))),
     NULL,
     ORCH_NR_lseek,
     {{{0, 0, 3}, REFUSE},
      {{0, 0, 2 | ONES}, ALLOW},
      {{0, 0, 3 | HIGH}, REFUSE},
      {{0, 0, 0x80000000}, REFUSE}},
     4},
    {"CVE-2019-10063: the upper half of an ioctl command",
     RULES(RULE("ioctl", "errno", ARGS(ARG(1, "eq", "\"FIONREAD\"")))),
     NULL,
     ORCH_NR_ioctl,
     {{{0, FIONREAD | HIGH, 0}, REFUSE},
      {{0, TIOCSTI | HIGH, 0}, REFUSE},
      {{0, TIOCSTI | ONES, 0}, REFUSE},
      {{0, FIONBIO | HIGH, 0}, ALLOW}},
     4},
    {"a socket family with bits above it",
     RULES(RULE("socket", "errno", ARGS(ARG(1, "eq", "\"SOCK_RAW\"")))),
     NULL,
     ORCH_NR_socket,
     {{{AF_VSOCK | HIGH, 1, 0}, REFUSE},
      {{AF_UNIX | HIGH, SOCK_STREAM, 0}, ALLOW},
      {{AF_UNIX, SOCK_RAW | HIGH, 0}, REFUSE}},
     3},
};

static void compiled_right(const struct known *k)
{
    static struct orch_syscalls table;
    struct orch_diags d = {0};
    struct orch_err err = {0};
    struct orch_filter f = {0};
    ORCH_AUTO(orch_profile_freep) struct orch_profile *p = gen_load(k->text, NULL);
    if (!p)
        fail_msg("%s: refused", k->what);
    assert_int_equal(orch_syscalls_compile(p, &table, &d), 0);
    if (orch_filter_build(&table, &f, &err) < 0)
        fail_msg("%s: %s", k->what, err.msg);
    for (size_t i = 0; i < k->n; i++) {
        struct seccomp_data call = {.nr = k->nr, .arch = AUDIT_ARCH_X86_64};
        for (size_t a = 0; a < 3; a++)
            call.args[a] = k->probes[i].args[a];
        if (gen_outcome(&table, &f, &call).kind != k->probes[i].kind)
            fail_msg("%s: probe %zu", k->what, i);
    }
    orch_filter_fini(&f);
}

static void known_bad_cases_are_refused_or_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(rows); i++) {
        ORCH_AUTO_FREE char *why = NULL;
        if (!rows[i].refused) {
            compiled_right(&rows[i]);
            continue;
        }
        ORCH_AUTO(orch_profile_freep) struct orch_profile *p = gen_load_why(rows[i].text, &why);
        if (p || !why || !strstr(why, rows[i].refused))
            fail_msg("%s: %s", rows[i].what, why ? why : "accepted");
    }
}

/* What the filter can decide alone never reaches the supervisor: a narrow rule must not slow the rest down.
 */
static void the_filter_still_answers_the_rest(void **state)
{
    (void)state;
    static struct orch_syscalls table;
    static const char text[] = RULES(
        RULE("mprotect", "errno", ARGS(ARG(2, "masked_eq", "\"PROT_EXEC\", \"mask\": \"PROT_EXEC\""))) "," RULE(
            "clone", "errno",
            ARGS(ARG(
                0, "masked_eq",
                "\"CLONE_PARENT\", \"mask\": \"CLONE_PARENT\""))) "," RULE("madvise", "errno",
                                                                           ARGS(ARG(
                                                                               2, "in",
                                                                               "[\"MADV_"
                                                                               "MERGEABLE\", "
                                                                               "\"MADV_"
                                                                               "HUGEPAGE\""
                                                                               "]"))) "," RULE("setpriority",
                                                                                               "errno",
                                                                                               ARGS(ARG(
                                                                                                   2, "ge",
                                                                                                   "20"))));
    static const struct {
        int nr;
        uint64_t args[3];
        bool filter;
    } calls[] = {
        {ORCH_NR_mprotect, {0, 0, 3}, true},      {ORCH_NR_mprotect, {0, 0, 7}, false},
        {ORCH_NR_clone, {0x11, 0, 0}, true},      {ORCH_NR_clone, {0x8011, 0, 0}, false},
        {ORCH_NR_clone, {0x20000, 0, 0}, false},  {ORCH_NR_madvise, {0, 0, 4}, true},
        {ORCH_NR_madvise, {0, 0, 12}, false},     {ORCH_NR_setpriority, {0, 0, 19}, true},
        {ORCH_NR_setpriority, {0, 0, 20}, false},
    };
    struct orch_diags d = {0};
    struct orch_err err = {0};
    struct orch_filter f = {0};
    ORCH_AUTO(orch_profile_freep) struct orch_profile *p = gen_load(text, NULL);
    assert_non_null(p);
    assert_int_equal(orch_syscalls_compile(p, &table, &d), 0);
    assert_int_equal(orch_filter_build(&table, &f, &err), 0);
    for (size_t i = 0; i < ORCH_NELEM(calls); i++) {
        struct seccomp_data call = {.nr = calls[i].nr, .arch = AUDIT_ARCH_X86_64};
        for (size_t a = 0; a < 3; a++)
            call.args[a] = calls[i].args[a];
        bool filter = orch_bpf_run(f.prog, f.len, &call) == SECCOMP_RET_ALLOW;
        if (filter != calls[i].filter)
            fail_msg("call %zu", i);
    }
    orch_filter_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_bad_cases_are_refused_or_right),
        cmocka_unit_test(the_filter_still_answers_the_rest),
    };
    return cmocka_run_group_tests_name("policy/filter_known", tests, NULL, NULL);
}
