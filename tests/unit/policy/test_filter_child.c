/* test_filter_child.c - a compiler that hangs, crashes or fails is a refusal, and leaves nothing running. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include "common/io.h"
#include "policy/filter_child.h"

static int makes_one(const void *arg, struct orch_filter *ret, struct orch_err *err)
{
    (void)err;
    ret->prog = orch_xcalloc(1, sizeof(*ret->prog));
    ret->prog[0] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, *(const uint32_t *)arg);
    ret->len = 1;
    return 0;
}

static int never_returns(const void *arg, struct orch_filter *ret, struct orch_err *err)
{
    (void)arg;
    (void)ret;
    (void)err;
    for (volatile bool again = true; again;)
        (void)usleep(1000);
    return 0;
}

static int dies(const void *arg, struct orch_filter *ret, struct orch_err *err)
{
    (void)ret;
    (void)err;
    (void)kill(getpid(), *(const int *)arg);
    return 0;
}

static int leaves(const void *arg, struct orch_filter *ret, struct orch_err *err)
{
    (void)arg;
    (void)ret;
    (void)err;
    _exit(0);
}

static int fails(const void *arg, struct orch_filter *ret, struct orch_err *err)
{
    (void)arg;
    (void)ret;
    return orch_err_set(err, E2BIG, "too many rules for %s", "lseek");
}

static int makes_too_much(const void *arg, struct orch_filter *ret, struct orch_err *err)
{
    (void)arg;
    (void)err;
    ret->len = ORCH_FILTER_MAX_INSNS + 1;
    ret->prog = orch_xcalloc(ret->len, sizeof(*ret->prog));
    return 0;
}

static int makes_nothing(const void *arg, struct orch_filter *ret, struct orch_err *err)
{
    (void)arg;
    (void)ret;
    (void)err;
    return 0;
}

static void nothing_left(void)
{
    siginfo_t si;
    assert_int_equal(waitid(P_ALL, 0, &si, WEXITED | WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void expect(orch_filter_maker make, const void *arg, unsigned limit_ms, int code, const char *msg)
{
    struct orch_filter f = {0};
    struct orch_err err = {0};
    assert_int_equal(orch_filter_in_child(make, arg, limit_ms, &f, &err), code);
    assert_non_null(strstr(err.msg, msg));
    assert_null(f.prog);
    nothing_left();
}

static void result_comes_back(void **state)
{
    (void)state;
    static const uint32_t value = 0x12345678;
    struct orch_filter f = {0};
    struct orch_err err = {0};
    assert_int_equal(orch_filter_in_child(makes_one, &value, 5000, &f, &err), 0);
    assert_int_equal(f.len, 1);
    assert_int_equal(f.prog[0].k, value);
    orch_filter_fini(&f);
    nothing_left();
}

static void hanging_compiler_is_given_up(void **state)
{
    (void)state;
    uint64_t began = orch_now_ms();
    expect(never_returns, NULL, 300, -ETIMEDOUT, "took more than 300 ms");
    assert_true(orch_now_ms() - began < 10000);
}

static void dead_compiler_is_an_error(void **state)
{
    (void)state;
    static const int killed = SIGKILL, aborted = SIGABRT;
    expect(dies, &killed, 20000, -EIO, "ended before its result");
    expect(dies, &aborted, 20000, -EIO, "ended before its result");
    expect(leaves, NULL, 20000, -EIO, "ended before its result");
}

static void errors_and_useless_results_come_back(void **state)
{
    (void)state;
    expect(fails, NULL, 20000, -E2BIG, "too many rules for lseek");
    expect(makes_too_much, NULL, 20000, -E2BIG, "more than 4096 instructions");
    expect(makes_nothing, NULL, 20000, -EIO, "no result");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(result_comes_back),
        cmocka_unit_test(hanging_compiler_is_given_up),
        cmocka_unit_test(dead_compiler_is_an_error),
        cmocka_unit_test(errors_and_useless_results_come_back),
    };
    return cmocka_run_group_tests_name("policy/filter_child", tests, NULL, NULL);
}
