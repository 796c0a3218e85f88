/* The report over an audit log: grouped, printable, without a guess at what would allow a denial; nothing
 * from a changed log. */
#include "tests/unit/supervisor/audit_check.h"

#include <sys/mman.h>

static void write_example(void)
{
    struct orch_audit *a = open_log();
    struct orch_denial d = denial("/etc/shadow");
    struct orch_jw w = {0};

    orch_audit_begin(a, "attempt", &w);
    orch_jw_str(&w, "tier", "full");
    orch_jw_str(&w, "level", "opens");
    orch_jw_uint(&w, "fallbacks", 12);
    orch_jw_uint(&w, "fakes", 1);
    assert_int_equal(orch_audit_commit(a, &w, &err), 0);
    for (int i = 0; i < 3; i++)
        deny(a, &d);
    d.path = "/w/\xff\033[2J";
    d.access = "write";
    deny(a, &d);
    d.path = "/w/src/a \"b\".c";
    deny(a, &d);
    d = (struct orch_denial){.class = ORCH_CLASS_EXEC,
                             .nr = 59,
                             .syscall = "execve",
                             .path = "/usr/bin/curl",
                             .access = "exec",
                             .exe = "/usr/bin/bash",
                             .action = "errno",
                             .errnum = EACCES};
    deny(a, &d);
    d = (struct orch_denial){.class = ORCH_CLASS_SYSCALL,
                             .nr = 101,
                             .syscall = "ptrace",
                             .exe = "/usr/bin/gdb",
                             .action = "errno",
                             .errnum = EPERM,
                             .rule = "plan#/syscalls/default"};
    deny(a, &d);
    d = (struct orch_denial){.class = ORCH_CLASS_SYSCALL, .nr = 3, .detail = "foreign ABI", .action = "kill"};
    deny(a, &d);
    assert_int_equal(orch_audit_scope(a, "plan", 1, "unit-tests", &err), 0);
    d = denial("/etc/shadow");
    d.quiet = true;
    deny(a, &d);
    orch_audit_close(a);
}

/* What the report prints. */
static int report(enum orch_audit_format format, struct orch_buf *out)
{
    ORCH_AUTO_FD int fd = memfd_create("report", MFD_CLOEXEC);
    int rc;

    assert_true(fd >= 0);
    rc = orch_audit_print(dir_fd, fd, format, NULL, &err);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(orch_read_all(fd, 1u << 24, out), 0);
    return rc;
}

static void audit_report_groups_and_suggests_nothing_unproved(void **state)
{
    static const char *const wanted[] = {
        "phase plan, attempt 1: tier full, level opens\n",
        "  8 denials (0 of them quiet)",
        "not seen: looking without opening (stat, ",
        "no level sees:\n  calls on descriptors",
        "12 calls answered ENOSYS",
        "        3x openat read /etc/shadow -> ENOENT, by /usr/bin/cat, rule "
        "profiles/plan.json#/filesystem/3\n",
        "-> killed (foreign ABI)",
        "(exact bytes in base64: ",
        "phase plan, attempt 1, gate unit-tests",
    };
    ORCH_AUTO_BUF struct orch_buf out = {0};

    (void)state;
    write_example();
    assert_int_equal(report(ORCH_AUDIT_TEXT, &out), 0);
    for (size_t i = 0; i < ORCH_NELEM(wanted); i++) {
        if (!strstr(out.data, wanted[i]))
            fail_msg("missing: %s\nin:\n%s", wanted[i], out.data);
    }
    assert_null(strstr(out.data, "to allow")); /* without the run's documents nothing can be tried */
    for (size_t i = 0; i < out.len; i++)
        assert_true(out.data[i] == '\n' || (out.data[i] >= 0x20 && out.data[i] <= 0x7e));
}

static void audit_report_json_is_the_file(void **state)
{
    ORCH_AUTO_BUF struct orch_buf out = {0}, file = {0};

    (void)state;
    write_example();
    slurp(&file);
    assert_int_equal(report(ORCH_AUDIT_JSON, &out), 0);
    assert_string_equal(out.data, file.data);
}

static void audit_report_of_a_changed_log_prints_nothing(void **state)
{
    ORCH_AUTO_BUF struct orch_buf file = {0}, out = {0};

    (void)state;
    write_example();
    slurp(&file);
    memcpy(strstr(file.data, "shadow"), "passwd", 6);
    assert_int_equal(orch_write_file_sync(dir_fd, NAME, file.data, file.len, 0600), 0);
    assert_int_equal(report(ORCH_AUDIT_JSON, &out), -EBADMSG);
    assert_int_equal(report(ORCH_AUDIT_TEXT, &out), -EBADMSG);
    assert_int_equal(out.len, 0);
    assert_int_equal(err.exit_code, ORCH_EXIT_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(audit_report_groups_and_suggests_nothing_unproved),
        TEST(audit_report_json_is_the_file),
        TEST(audit_report_of_a_changed_log_prints_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
