/* test_profile_rules.c - the syscalls section: names, values and widths, the OCI spelling. */
#include "tests/unit/policy/profile_check.h"

#define IOCTL(args) RULE("\"syscalls\": [\"ioctl\"], \"action\": \"errno\", \"args\": [" args "]")

static const struct row syscall_rows[] = {
    {DOC("\"syscalls\": {\"allow\": [\"@agent-bas\"]}"), "2:24", "did you mean '@agent-base'", 1},
    {DOC("\"syscalls\": {\"allow\": [\"opennat\"]}"), "2:24", "did you mean 'openat'", 1},
    {DOC("\"syscalls\": {\"allow\": [\"@escape\"]}"), "2:24", "not in this version", 1},
    {DOC("\"syscalls\": {\"allow\": [\"ptrace\"]}"), "2:24", "not in this version", 1},
    {DOC("\"syscalls\": {\"allow\": [\"read\", \"read\"]}"), "2:32", "twice", 1},
    {DOC("\"syscalls\": {\"default\": \"EPREM\"}"), "2:25", "not an errno", 1},
    {DOC("\"syscalls\": {\"default\": \"0\"}"), "2:25", "not an errno", 1},
    {DOC("\"syscalls\": {\"default\": \"4096\"}"), "2:25", "not an errno", 1},
    {RULE("\"syscalls\": [\"mkdir\"], \"action\": \"log\""), "2:", "not in this version", 1},
    {RULE("\"syscalls\": [\"mkdir\"], \"action\": \"SCMP_ACT_TRACE\""), "2:", "not in this version", 1},
    {RULE("\"syscalls\": [\"mkdir\"], \"action\": \"alow\""), "2:", "did you mean 'allow'", 1},
    {RULE("\"syscalls\": [\"bpf\"], \"action\": \"allow\""), "2:", "not in this version", 1},
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
     "2:", "not in this version", 1},
    {IOCTL("{\"index\": 6, \"op\": \"eq\", \"value\": 1}"), "2:", "out of range", 1},
    {IOCTL("{\"index\": 1, \"op\": \"ge\", \"value\": 1}"), "2:", "not in this version", 1},
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
     "2:", "not in this version", 1},
    {RULE("\"syscalls\": [\"ioctl\"], \"action\": \"allow\", \"args\": [{\"index\": 1, \"op\": \"ne\", "
          "\"value\": 3}]"),
     "2:", "not in this version", 1},
    {RULE("\"syscalls\": [\"socket\"], \"action\": \"allow\", \"args\": [{\"index\": 0, \"op\": \"eq\", "
          "\"value\": \"AF_ALG\"}]"),
     "2:", "not in this version", 1},
};

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
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
