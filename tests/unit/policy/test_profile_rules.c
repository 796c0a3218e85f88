/* test_profile_rules.c - the syscalls section: names, values and widths, the OCI spelling. */
#include "tests/unit/policy/profile_check.h"

#define IOCTL(args) RULE("\"syscalls\": [\"ioctl\"], \"action\": \"errno\", \"args\": [" args "]")

static const struct row syscall_rows[] = {
    {DOC("\"syscalls\": {\"allow\": [\"@agent-bas\"]}"), "2:24", "did you mean '@agent-base'", 1},
    {DOC("\"syscalls\": {\"allow\": [\"opennat\"]}"), "2:24", "did you mean 'openat'", 1},
    {DOC("\"syscalls\": {\"allow\": [\"@escape\"]}"), "2:24", "every member is a way out", 1},
    {DOC("\"syscalls\": {\"allow\": [\"ptrace\"]}"), "2:24", "a rule with a \"reason\" can allow it", 1},
    {DOC("\"syscalls\": {\"allow\": [\"clone3\"]}"), "2:24", "out of sight of filter and supervisor", 1},
    {DOC("\"syscalls\": {\"allow\": [\"@module\"]}"), "2:24", "every member is a way out", 1},
    {DOC("\"syscalls\": {\"allow\": [\"read\", \"read\"]}"), "2:32",
     "given twice: it is at line 2, column 24", 1},
    {DOC("\"syscalls\": {\"default\": \"EPREM\"}"), "2:25", "not an errno", 1},
    {DOC("\"syscalls\": {\"default\": \"0\"}"), "2:25", "not an errno", 1},
    {DOC("\"syscalls\": {\"default\": \"4096\"}"), "2:25", "not an errno", 1},
    {RULE("\"syscalls\": [\"mkdir\"], \"action\": \"SCMP_ACT_TRAP\""), "2:", "could catch the signal", 1},
    {RULE("\"syscalls\": [\"mkdir\"], \"action\": \"notify\""), "2:", "the only listener", 1},
    {RULE("\"syscalls\": [\"mkdir\"], \"action\": \"SCMP_ACT_KILL\""), "2:", "ends one thread", 1},
    {RULE("\"syscalls\": [\"fork\"], \"action\": \"log\""), "2:", "cannot be judged call by call", 1},
    {RULE("\"syscalls\": [\"io_uring_setup\"], \"action\": \"log\", \"reason\": \"x\""), "2:", "out of sight",
     1},
    {RULE("\"syscalls\": [\"mkdir\"], \"action\": \"SCMP_ACT_TRACE\""), "2:", "no tracer", 1},
    {RULE("\"syscalls\": [\"mkdir\"], \"action\": \"alow\""), "2:", "did you mean 'allow'", 1},
    {RULE("\"syscalls\": [\"bpf\"], \"action\": \"allow\""), "2:", "give a \"reason\"", 1},
    {RULE("\"syscalls\": [], \"action\": \"allow\""), "2:", "at least one", 1},
    {RULE("\"action\": \"allow\""), "2:", "missing key 'syscalls'", 1},
    {RULE("\"syscalls\": [\"mkdir\"], \"names\": [\"mkdir\"], \"action\": \"allow\""), "2:", "two spellings",
     1},
    {RULE("\"syscalls\": [\"mkdir\"], \"action\": \"allow\", \"errno\": \"EPERM\""),
     "2:", "only for the action", 1},
    {RULE("\"syscalls\": [\"mkdir\"], \"action\": \"errno\", \"errno\": \"EPERN\""), "2:", "not an errno", 1},
    {RULE("\"syscalls\": [\"mkdir\"], \"action\": \"errno\", \"errnoRet\": 0"), "2:", "out of range", 1},
    {RULE("\"syscalls\": [\"write\"], \"action\": \"errno\", \"args\": [{\"index\": 0, \"op\": \"eq\", "
          "\"value\": 1}]"),
     "2:", "cannot be judged call by call", 1},
    {IOCTL("{\"index\": 6, \"op\": \"eq\", \"value\": 1}"), "2:", "out of range", 1},
    {IOCTL("{\"index\": 1, \"op\": \"ge\", \"value\": 0}"), "2:", "never decide", 1},
    {IOCTL("{\"index\": 1, \"op\": \"lt\", \"value\": 0}"), "2:", "never decide", 1},
    {IOCTL("{\"index\": 1, \"op\": \"le\", \"value\": \"0xffffffff\"}"), "2:", "never decide", 1},
    {IOCTL("{\"index\": 1, \"op\": \"gt\", \"value\": \"0x100000000\"}"), "2:", "never decide", 1},
    {IOCTL("{\"index\": 1, \"op\": \"subset_of\", \"value\": \"0xffffffff\"}"), "2:", "never decide", 1},
    {IOCTL("{\"index\": 1, \"op\": \"subset_of\", \"value\": \"0x1ffffffff\"}"), "2:", "never decide", 1},
    {IOCTL("{\"index\": 1, \"op\": \"in\", \"value\": 1}"), "2:", "takes a list", 1},
    {IOCTL("{\"index\": 1, \"op\": \"in\", \"value\": []}"), "2:", "at least one value", 1},
    {IOCTL("{\"index\": 1, \"op\": \"eq\", \"value\": [1]}"), "2:", "only for the operator in", 1},
    {IOCTL("{\"index\": 1, \"op\": \"in\", \"value\": [1,\n 2, 1]}"), "3:5", "already, at line 2", 1},
    {IOCTL("{\"index\": 1, \"op\": \"in\", \"value\": [1, \"0x100000001\"]}"), "2:", "never decide", 1},
    {IOCTL("{\"index\": 0, \"op\": \"eq\", \"value\": 3}, {\"index\": 1, \"op\": \"lt\", \"value\": 3}"),
     "2:", "only condition of its rule", 1},
    {IOCTL("{\"index\": 1, \"op\": \"eq\", \"value\": \"TIOCSTI|TIOCSTY\"}"), "2:", "did you mean 'TIOCSTI'",
     1},
    {IOCTL("{\"index\": 1, \"op\": \"eqq\", \"value\": 1}"), "2:", "did you mean 'eq'", 1},
    {IOCTL("{\"index\": 1, \"op\": \"eq\", \"value\": \"TIOCSTY\"}"), "2:", "did you mean 'TIOCSTI'", 1},
    {IOCTL("{\"index\": 1, \"op\": \"eq\", \"value\": \"0x100005412\"}"), "2:", "never decide", 1},
    {IOCTL("{\"index\": 1, \"op\": \"eq\", \"value\": \"0x1g\"}"), "2:", "neither a number", 1},
    {IOCTL("{\"index\": 1, \"op\": \"eq\", \"value\": 1, \"mask\": 1}"), "2:", "only for", 1},
    {IOCTL("{\"index\": 1, \"op\": \"masked_eq\", \"value\": 1}"), "2:", "missing key 'mask'", 1},
    {IOCTL("{\"index\": 1, \"op\": \"masked_eq\", \"value\": 2, \"mask\": 1}"), "2:", "never decide", 1},
    {IOCTL("{\"index\": 1, \"op\": \"eq\", \"value\": 1},\n{\"index\": 1, \"op\": \"eq\", \"value\": 2}"),
     "3:1", "already at line 2", 1},
    {RULE("\"syscalls\": [\"ioctl\", \"mmap\"], \"action\": \"errno\", \"args\": [{\"index\": 1, \"op\": "
          "\"eq\", \"value\": 1}]"),
     "2:", "not equally wide", 1},
    {RULE("\"syscalls\": [\"ioctl\"], \"action\": \"allow\", \"args\": [{\"index\": 1, \"op\": \"eq\", "
          "\"value\": \"TIOCSTI\"}]"),
     "2:", "give a \"reason\"", 1},
    {RULE("\"syscalls\": [\"ioctl\"], \"action\": \"allow\", \"args\": [{\"index\": 1, \"op\": \"ne\", "
          "\"value\": 3}]"),
     "2:", "give a \"reason\"", 1},
    {RULE("\"syscalls\": [\"socket\"], \"action\": \"allow\", \"args\": [{\"index\": 0, \"op\": \"eq\", "
          "\"value\": \"AF_ALG\"}]"),
     "2:", "give a \"reason\"", 1},
};

#define TWO(first, second) DOC("\"syscalls\": {\"rules\": [\n{" first "},\n{" second "}]}")
#define THREE(a, b, c) DOC("\"syscalls\": {\"rules\": [\n{" a "},\n{" b "},\n{" c "}]}")
#define ON(call, action, args) "\"syscalls\": [\"" call "\"], \"action\": \"" action "\"" args
#define ARG(index, op, value)                                                                                \
    ", \"args\": [{\"index\": " #index ", \"op\": \"" op "\", \"value\": " value "}]"
#define ERRNO(e) ", \"errno\": \"" e "\""

/* Both places: that of the later rule, and the earlier one in the message. */
static const struct row pair_rows[] = {
    {TWO(ON("lseek", "errno", ""), ON("lseek", "errno", "")), "4:1",
     "3:1 (/syscalls/rules/0) has the same conditions and action", 1},
    {TWO(ON("lseek", "errno", ""), ON("lseek", "kill_process", "")), "4:1",
     "same conditions and another action", 1},
    {TWO(ON("lseek", "errno", ERRNO("EIO")), ON("lseek", "errno", ERRNO("EBADF"))), "4:1", "another action",
     1},
    {TWO(ON("lseek", "errno", ""), ON("lseek", "kill_process", ARG(2, "eq", "1"))), "4:1",
     "3:1 (/syscalls/rules/0) matches everything", 1},
    {TWO(ON("lseek", "errno", ARG(2, "in", "[1, 2]")), ON("lseek", "allow", ARG(2, "eq", "2"))), "4:1",
     "matches everything", 1},
    {TWO(ON("lseek", "errno", ARG(2, "subset_of", "7")), ON("lseek", "allow", ARG(2, "eq", "5"))), "4:1",
     "matches everything", 1},
    {TWO(ON("lseek", "errno", ARG(2, "ne", "5")), ON("lseek", "allow", ARG(2, "eq", "4"))), "4:1",
     "matches everything", 1},
    {TWO(ON("lseek", "errno", ARG(1, "eq", "5")), ON("lseek", "allow", ARG(2, "eq", "4"))), "4:1",
     "contradicts the one at ", 1},
    {TWO(ON("lseek", "errno", ARG(2, "ne", "5")), ON("lseek", "allow", ARG(2, "ne", "4"))), "4:1",
     "3:1 (/syscalls/rules/0)", 1},
    {TWO(ON("lseek", "errno", ARG(2, "lt", "5")), ON("lseek", "allow", ARG(2, "eq", "9"))), "4:1",
     "only rule of its call", 1},
    {TWO(ON("lseek", "errno", ARG(2, "eq", "5")), ON("lseek", "errno", ARG(2, "ge", "9"))), "4:1",
     "a range (lt, le, gt, ge) must be", 1},
    {THREE(ON("lseek", "errno", ARG(2, "eq", "1")), ON("lseek", "kill_process", ARG(2, "eq", "2")),
           ON("lseek", "allow", ARG(2, "in", "[1, 2]"))),
     "5:1", "the rules from ", 1},
    {THREE(ON("lseek", "errno", ""), ON("lseek", "errno", ""), ON("fcntl", "log", ARG(1, "lt", "0"))), "",
     "never decide", 1},
    {THREE(ON("lseek", "errno", ""), ON("lseek", "errno", ""), ON("lseek", "errno", "")), "5:1",
     "same conditions", 2},
    {TWO("\"syscalls\": [\"lseek\", \"fcntl\", \"@chown\"], \"action\": \"errno\"",
         "\"syscalls\": [\"@chown\", \"fcntl\"], \"action\": \"log\""),
     "4:1", "'fcntl' and 4 more", 1},
    {TWO(ON("clone", "errno", ARG(1, "eq", "0")), ON("lseek", "errno", "")), "3:1",
     "the filter can decide alone", 1},
};

static void rules_that_contradict_are_reported_with_both_places(void **state)
{
    (void)state;
    check_errors(pair_rows, ORCH_NELEM(pair_rows));
}

static void rules_side_by_side_are_accepted(void **state)
{
    (void)state;
    expect_ok(TWO(ON("lseek", "errno", ARG(2, "eq", "1")), ON("lseek", "kill_process", ARG(2, "eq", "2"))));
    expect_ok(TWO(ON("lseek", "errno", ARG(2, "eq", "1")), ON("lseek", "kill_process", "")));
    expect_ok(TWO(ON("lseek", "errno", ARG(2, "eq", "1")), ON("lseek", "errno", ARG(1, "eq", "1"))));
    expect_ok(
        TWO(ON("lseek", "log", ARG(2, "in", "[0, 1]")), ON("lseek", "errno", ARG(2, "subset_of", "7"))));
    expect_ok(THREE(ON("lseek", "errno", ARG(2, "eq", "1")), ON("lseek", "kill_process", ARG(2, "eq", "2")),
                    ON("lseek", "allow", ARG(2, "in", "[1, 2, 3]"))));
    expect_ok(
        TWO(ON("lseek", "errno", ARG(1, "gt", "\"0x7fffffffffff\"")), ON("fcntl", "log", ARG(1, "le", "3"))));
    expect_ok(TWO(ON("clone", "errno", ARG(0, "masked_eq", "\"CLONE_PARENT\", \"mask\": \"CLONE_PARENT\"")),
                  ON("ptrace", "allow", ", \"reason\": \"a debugger\"")));
    expect_ok(
        TWO(ON("openat", "errno", ARG(2, "masked_eq", "\"O_CREAT|O_EXCL\", \"mask\": \"O_CREAT | O_EXCL\"")),
            ON("ioctl", "allow", ARG(1, "in", "[\"FIONREAD\", \"TCGETS\"]"))));
}

#define OCI(rest) DOC("\"syscalls\": {\"defaultAction\": \"SCMP_ACT_ERRNO\", " rest "}")

static const struct row oci_rows[] = {
    {DOC("\"syscalls\": {\"defaultAction\": \"SCMP_ACT_ALLOW\"}"), "2:31",
     "would allow what the profile does not name", 1},
    {DOC("\"syscalls\": {\"defaultAction\": \"SCMP_ACT_LOG\"}"), "2:31", "would allow what", 1},
    {DOC("\"syscalls\": {\"defaultAction\": \"SCMP_ACT_KILL_PROCESS\"}"), "2:31", "would kill programs", 1},
    {DOC("\"syscalls\": {\"defaultAction\": \"SCMP_ACT_TRAP\"}"), "2:31", "catch the signal", 1},
    {DOC("\"syscalls\": {\"defaultErrnoRet\": 38}"), "2:33", "belongs to 'defaultAction'", 1},
    {OCI("\"default\": \"EPERM\""), "2:", "same key in two spellings", 1},
    {OCI("\"rules\": [], \"syscalls\": []"), "2:", "'rules' (line 2, column ", 1},
    {OCI("\"defaultErrnoRet\": 0"), "2:", "out of range", 1},
    {OCI("\"architectures\": [\"SCMP_ARCH_X86_64\", \"SCMP_ARCH_X86\"]"), "2:", "calls of any ABI but", 1},
    {OCI("\"architectures\": []"), "2:", "must name SCMP_ARCH_X86_64", 1},
    {OCI("\"flags\": [\"SECCOMP_FILTER_FLAG_LOG\"]"), "2:", "has no meaning here", 1},
    {OCI("\"listenerPath\": \"/x\""), "2:", "the supervisor itself is the listener", 1},
    {OCI("\"syscalls\": [{\"names\": [\"socketcall\"], \"action\": \"SCMP_ACT_ALLOW\"}]"),
     "2:", "unknown system call", 1},
    {OCI("\"syscalls\": [{\"names\": [\"mount\", \"clone3\"], \"action\": \"SCMP_ACT_ALLOW\"}]"),
     "2:", "way out", 1},
    {OCI("\"syscalls\": [{\"names\": [\"lseek\"], \"action\": \"SCMP_ACT_ERRNO\", \"args\": [{\"index\": 1, "
         "\"op\": "
         "\"SCMP_CMP_GT\", \"value\": 1, \"valueTwo\": 2}]}]"),
     "2:", "only for the operator SCMP_CMP_MASKED_EQ", 1},
};

static void parts_of_an_oci_object_without_meaning_are_refused(void **state)
{
    (void)state;
    check_errors(oci_rows, ORCH_NELEM(oci_rows));
}

/* An OCI object says all that is allowed: the default list is not beneath it. */
static void oci_object_stands_alone(void **state)
{
    (void)state;
    ORCH_AUTO_FREE char *errors = NULL;
    struct orch_profile *p =
        load(OCI("\"defaultErrnoRet\": 38, \"architectures\": [\"SCMP_ARCH_X86_64\"], \"flags\": [], "
                 "\"syscalls\": ["
                 "{\"names\": [\"read\", \"openat\"], \"action\": \"SCMP_ACT_ALLOW\"},"
                 "{\"names\": [\"lseek\"], \"action\": \"SCMP_ACT_LOG\", \"args\": [{\"index\": 2, \"op\": "
                 "\"SCMP_CMP_LE\", \"value\": 2, \"valueTwo\": 0}]}]"),
             &errors);
    if (p == NULL)
        fail_msg("%s", errors);
    assert_int_equal(p->sc_allow.n, 0);
    assert_int_equal(p->sc_default_errno, ENOSYS);
    assert_int_equal(p->n_sc_rules, 2);
    assert_int_equal(p->sc_rules[1].action, ORCH_RULE_LOG);
    assert_int_equal(p->sc_rules[1].args[0].op, ORCH_OP_LE);
    assert_int_equal(p->sc_rules[0].line, 2);
    orch_profile_free(p);
    expect_ok(OCI("\"allow\": [\"@agent-base\"]"));
}

/* A child's rules are compared with what its parent permits, also in the other spelling. */
static void oci_rules_of_a_child_cannot_widen(void **state)
{
    (void)state;
    expect_error(
        CHILD("\"syscalls\": {\"syscalls\": [{\"names\": [\"mq_open\"], \"action\": \"SCMP_ACT_ALLOW\"}]}"),
        "2:", "mq_open", 1);
    expect_error(
        CHILD("\"syscalls\": {\"syscalls\": [{\"names\": [\"mq_open\"], \"action\": \"SCMP_ACT_LOG\"}]}"),
        "2:", "mq_open", 1);
    expect_ok(
        CHILD("\"syscalls\": {\"syscalls\": [{\"names\": [\"lseek\"], \"action\": \"SCMP_ACT_LOG\"}]}"));
}

static void operators_are_settled(void **state)
{
    (void)state;
    ORCH_AUTO_FREE char *errors = NULL;
    struct orch_profile *p =
        load(THREE(ON("openat", "errno", ARG(2, "subset_of", "\"O_CLOEXEC|O_DIRECTORY\"")),
                   ON("fcntl", "errno", ARG(1, "in", "[\"F_SETFL\", \"F_GETFL\", 1]")),
                   ON("renameat2", "errno", ARG(0, "in", "[\"AT_FDCWD\", 3]"))),
             &errors);
    if (p == NULL)
        fail_msg("%s", errors);
    const struct orch_arg_cond *c = &p->sc_rules[0].args[0];
    assert_int_equal(c->op, ORCH_OP_MASKED_EQ);
    assert_int_equal(c->value, 0);
    assert_int_equal(c->mask, (uint32_t) ~(O_CLOEXEC | O_DIRECTORY));
    c = &p->sc_rules[1].args[0];
    assert_int_equal(c->op, ORCH_OP_IN);
    assert_int_equal(c->n_set, 3);
    assert_int_equal(c->set[0], 1);
    assert_int_equal(c->set[2], F_SETFL);
    assert_int_equal(p->sc_rules[2].args[0].set[1], (uint32_t)AT_FDCWD);
    orch_profile_free(p);
}

static void caps_hold(void **state)
{
    (void)state;
    struct orch_buf b = {0};
    orch_buf_str(&b, "{\"schema\": 1, \"name\": \"t\", \"syscalls\": {\"rules\": [");
    for (unsigned i = 0; i < 1001; i++)
        orch_buf_printf(&b, "%s{\"syscalls\": [\"mkdir\"], \"action\": \"log\"}", i > 0 ? ",\n" : "");
    orch_buf_str(&b, "]}}");
    expect_error(b.data, "1001:1", "more than 1000 rules", 1);
    orch_buf_reset(&b);
    orch_buf_str(&b, "{\"schema\": 1, \"name\": \"t\", \"syscalls\": {\"rules\": [");
    for (unsigned i = 0; i < 33; i++)
        orch_buf_printf(&b, "%s{" ON("lseek", "log", ARG(1, "eq", "%u")) "}", i > 0 ? ",\n" : "", i);
    orch_buf_str(&b, "]}}");
    expect_error(b.data, "33:1", "more than 32 rules with conditions", 1);
    orch_buf_fini(&b);
}

static void profile_refuses_syscall_rules(void **state)
{
    (void)state;
    check_errors(syscall_rows, ORCH_NELEM(syscall_rows));
}

static void profile_reads_oci_spelling(void **state)
{
    (void)state;
    ORCH_AUTO_FREE char *errors = NULL;
    struct orch_profile *p = load(RULE("\"names\": [\"personality\", \"unlinkat\"], \"action\": "
                                       "\"SCMP_ACT_ERRNO\", \"errnoRet\": 38, \"args\": ["
                                       "{\"index\": 0, \"op\": \"SCMP_CMP_MASKED_EQ\", \"value\": "
                                       "\"0xffffffffff\", \"valueTwo\": 8}]") "",
                                  &errors);
    if (p == NULL)
        fail_msg("%s", errors);
    assert_int_equal(p->sc_rules[0].n_nrs, 2);
    assert_int_equal(p->sc_rules[0].errnum, ENOSYS);
    assert_int_equal(p->sc_rules[0].args[0].mask, UINT32_MAX);
    assert_int_equal(p->sc_rules[0].args[0].value, 8);
    orch_profile_free(p);
    expect_ok(RULE("\"names\": [\"mmap\"], \"action\": \"SCMP_ACT_KILL_PROCESS\", \"args\": ["
                   "{\"index\": 2, \"op\": \"SCMP_CMP_EQ\", \"value\": 7, \"valueTwo\": 0}]"));
    expect_ok(RULE("\"syscalls\": [\"openat\"], \"action\": \"errno\", \"errno\": \"38\", \"args\": ["
                   "{\"index\": 0, \"op\": \"ne\", \"value\": \"AT_FDCWD\"}]"));
    expect_ok(RULE("\"syscalls\": [\"ioctl\"], \"action\": \"allow\", \"args\": ["
                   "{\"index\": 1, \"op\": \"eq\", \"value\": \"FIONREAD\"}]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(profile_refuses_syscall_rules),
        cmocka_unit_test(profile_reads_oci_spelling),
        cmocka_unit_test(rules_that_contradict_are_reported_with_both_places),
        cmocka_unit_test(rules_side_by_side_are_accepted),
        cmocka_unit_test(parts_of_an_oci_object_without_meaning_are_refused),
        cmocka_unit_test(oci_object_stands_alone),
        cmocka_unit_test(oci_rules_of_a_child_cannot_widen),
        cmocka_unit_test(operators_are_settled),
        cmocka_unit_test(caps_hold),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
