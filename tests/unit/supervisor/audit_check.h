/* audit_check.h - what the tests of the audit log share: a log in a fresh directory and a typical denial. */
#ifndef TESTS_UNIT_SUPERVISOR_AUDIT_CHECK_H
#define TESTS_UNIT_SUPERVISOR_AUDIT_CHECK_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/exit.h"
#include "common/io.h"
#include "supervisor/audit.h"

#define NAME "audit.jsonl"

/* The sandbox's own, when it is linked in. */
__attribute__((weak)) const char *orch_denial_class_name(enum orch_denial_class c)
{
    static const char *const names[] = {"filesystem", "exec", "syscall", "network", "control"};
    return names[c];
}

static char dir_path[64];
static int dir_fd = -1;
static struct orch_err err;

static int setup(void **state)
{
    (void)state;
    err = (struct orch_err){0};
    (void)snprintf(dir_path, sizeof(dir_path), "/tmp/orch-audit-XXXXXX");
    if (!mkdtemp(dir_path))
        return -1;
    dir_fd = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir_fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    orch_close_fdp(&dir_fd);
    return orch_rm_rf(AT_FDCWD, dir_path);
}

static struct orch_audit *open_log(void)
{
    struct orch_audit *a = NULL;

    assert_int_equal(orch_audit_open(dir_fd, NAME, "r-1", false, &a, &err), 0);
    assert_int_equal(orch_audit_scope(a, "plan", 1, NULL, &err), 0);
    return a;
}

static struct orch_denial denial(const char *path)
{
    return (struct orch_denial){.class = ORCH_CLASS_FILESYSTEM,
                                .nr = 257,
                                .syscall = "openat",
                                .path = path,
                                .access = "read",
                                .pid = 4711,
                                .exe = "/usr/bin/cat",
                                .comm = "cat",
                                .action = "errno",
                                .errnum = ENOENT,
                                .rule = "profiles/plan.json#/filesystem/3"};
}

static void deny(struct orch_audit *a, const struct orch_denial *d)
{
    assert_int_equal(orch_audit_denial(a, d, &err), 0);
}

static void slurp(struct orch_buf *out)
{
    assert_int_equal(orch_read_file(dir_fd, NAME, 1u << 24, out), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

#endif
