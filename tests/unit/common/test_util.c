/* Allocation, lists, buffers, errors, hashes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/hash.h"
#include "common/io.h"

static void lists_copy_and_end_with_null(void **state)
{
    struct orch_strv a = {0}, b = {0};

    (void)state;
    assert_false(orch_strv_has(&a, "x"));
    orch_strv_add(&a, "x");
    orch_strv_add(&a, NULL);
    orch_strv_add_take(&a, orch_xstrdup(""));
    assert_int_equal(a.n, 2);
    assert_null(a.v[2]);
    assert_true(orch_strv_has(&a, ""));
    assert_false(orch_strv_has(&a, "X"));
    assert_false(orch_strv_has(&a, NULL));
    orch_strv_add(&b, "old");
    orch_strv_copy(&b, &a);
    orch_strv_copy(&b, &b);
    assert_int_equal(b.n, 2);
    assert_string_equal(b.v[0], "x");
    assert_ptr_not_equal(b.v[0], a.v[0]);
    orch_strv_fini(&a);
    orch_strv_fini(&a);
    assert_null(a.v);
    orch_strv_copy(&b, &a);
    assert_null(b.v);
}

static void allocation_of_nothing_is_not_null(void **state)
{
    ORCH_AUTO_FREE void *a = orch_xmalloc(0);
    ORCH_AUTO_FREE void *b = orch_xcalloc(0, 8);
    ORCH_AUTO_FREE void *c = orch_xreallocarray(NULL, 0, 0);
    ORCH_AUTO_FREE char *s = orch_xstrndup("abc", 2);
    ORCH_AUTO_FREE char *f = orch_xasprintf("%d-%s", 7, "x");

    (void)state;
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    assert_string_equal(s, "ab");
    assert_string_equal(f, "7-x");
}

static void ownership_is_taken(void **state)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), taken;
    char *p = orch_xstrdup("x"), *q;

    (void)state;
    taken = ORCH_TAKE_FD(fd);
    assert_int_equal(fd, -1);
    assert_true(taken >= 0);
    orch_close_fdp(&taken);
    assert_int_equal(taken, -1);
    q = ORCH_TAKE_PTR(p);
    assert_null(p);
    orch_free_ptrp(&q);
    assert_null(q);
}

static void buffers_grow_and_stay_terminated(void **state)
{
    struct orch_buf b = {0};
    char *s = orch_buf_take(&b);

    (void)state;
    assert_string_equal(s, "");
    free(s);
    orch_buf_reset(&b);
    orch_buf_add(&b, NULL, 0);
    assert_string_equal(b.data, "");
    for (int i = 0; i < 1000; i++) {
        orch_buf_char(&b, 'x');
        assert_int_equal(b.data[b.len], 0);
    }
    orch_buf_printf(&b, "%05d", 42);
    orch_buf_add(&b, "\0z", 2);
    assert_int_equal(b.len, 1007);
    assert_memory_equal(b.data + 1000, "00042\0z", 8);
    orch_buf_reset(&b);
    assert_string_equal(b.data, "");
    orch_buf_fini(&b);
    orch_buf_fini(&b);
}

static void errors_never_return_success(void **state)
{
    struct orch_err err = {0};

    (void)state;
    assert_int_equal(orch_err_set(NULL, ENOENT, "x"), -ENOENT);
    assert_int_equal(orch_err_set(&err, 0, "x"), -EIO);
    assert_int_equal(orch_err_set(&err, -EPERM, "x"), -EPERM);
    assert_int_equal(orch_err_set(&err, INT_MIN, "x"), -EIO);
    assert_int_equal(orch_err_wrap(NULL, "x"), -EIO);
}

static void errors_are_wrapped_and_printable(void **state)
{
    struct orch_err err = {0};

    (void)state;
    assert_int_equal(orch_err_exit(&err, 7, EINVAL, "name '%s'", "a\x1b\n\\u001b\xff"), -EINVAL);
    assert_string_equal(err.msg, "name 'a\\u001b\\u000a\\u001b\\xff'");
    assert_int_equal(orch_err_wrap(&err, "phase '%s'", "b"), -EINVAL);
    assert_int_equal(err.exit_code, 7);
    assert_string_equal(err.msg, "phase 'b': name 'a\\u001b\\u000a\\u001b\\xff'");
    assert_int_equal(orch_err_sys(&err, -ENOENT, "open"), -ENOENT);
    assert_string_equal(err.msg, "open: No such file or directory");
    assert_int_equal(err.exit_code, 0);
}

static void long_errors_are_cut(void **state)
{
    struct orch_err err = {0};
    char text[4000];

    (void)state;
    memset(text, '\n', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    (void)orch_err_set(&err, EIO, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
    assert_string_equal(err.msg + sizeof(err.msg) - 4, "...");
}

static void diagnostics_are_sorted_and_escaped(void **state)
{
    struct orch_diags d = {0};
    ORCH_AUTO_BUF struct orch_buf out = {0};
    int fds[2];

    (void)state;
    orch_diags_add(&d, "b", 1, 1, "/x", "six");
    orch_diags_add(&d, "a", 10, 1, "", "four");
    orch_diags_add(&d, "a", 9, 2, "/k\xd0\xb0", "two %d", 2);
    orch_diags_add(&d, "a", 9, 2, NULL, "three\x1b");
    orch_diags_add(&d, "a", 0, 0, NULL, "one");
    orch_diags_add(NULL, "a", 0, 0, NULL, "ignored");
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    orch_diags_print(&d, fds[1]);
    (void)close(fds[1]);
    assert_int_equal(orch_read_all(fds[0], 4096, &out), 0);
    (void)close(fds[0]);
    assert_string_equal(out.data, "a: error: one\n"
                                  "a:9:2: error: two 2 (at /k\\u0430)\n"
                                  "a:9:2: error: three\\u001b\n"
                                  "a:10:1: error: four\n"
                                  "b:1:1: error: six (at /x)\n");
    orch_diags_fini(&d);
    orch_diags_fini(&d);
}

static void hashes_the_fips_vectors(void **state)
{
    static const char abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    static const char empty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    struct orch_sha256 *h = orch_sha256_new();
    char hex[ORCH_HEX_SIZE];

    (void)state;
    orch_sha256_buf("abc", 3, hex);
    assert_string_equal(hex, abc);
    orch_sha256_buf(NULL, 0, hex);
    assert_string_equal(hex, empty);
    orch_sha256_add(h, "a", 1);
    orch_sha256_add(h, NULL, 0);
    orch_sha256_add(h, "bc", 2);
    orch_sha256_hex(h, hex);
    assert_string_equal(hex, abc);
}

static void hashes_descriptors_up_to_the_limit(void **state)
{
    ORCH_AUTO_FD int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    char hex[ORCH_HEX_SIZE] = "untouched";

    (void)state;
    if (fd < 0)
        skip();
    assert_int_equal(orch_write_all(fd, "xabc", 4), 0);
    assert_int_equal(lseek(fd, 1, SEEK_SET), 1);
    assert_int_equal(orch_sha256_fd(fd, 2, hex), -EFBIG);
    assert_string_equal(hex, "untouched");
    assert_int_equal(lseek(fd, 1, SEEK_SET), 1);
    assert_int_equal(orch_sha256_fd(fd, 3, hex), 3);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(orch_sha256_fd(-1, UINT64_MAX, hex), -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_copy_and_end_with_null), cmocka_unit_test(allocation_of_nothing_is_not_null),
        cmocka_unit_test(ownership_is_taken),           cmocka_unit_test(buffers_grow_and_stay_terminated),
        cmocka_unit_test(errors_never_return_success),  cmocka_unit_test(errors_are_wrapped_and_printable),
        cmocka_unit_test(long_errors_are_cut),          cmocka_unit_test(diagnostics_are_sorted_and_escaped),
        cmocka_unit_test(hashes_the_fips_vectors),      cmocka_unit_test(hashes_descriptors_up_to_the_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
