/* Descriptors, durable writes, tree removal, paths, time. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "common/io.h"

static char dir[64];
static int dirfd_ = -1;

static int setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/orch-test-io-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dirfd_ < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    orch_close_fdp(&dirfd_);
    return orch_rm_rf(AT_FDCWD, dir);
}

static void put(const char *name, const char *text)
{
    assert_int_equal(orch_write_file_sync(dirfd_, name, text, strlen(text), 0644), 0);
}

static void assert_content(const char *name, const char *text)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};

    assert_int_equal(orch_read_file(dirfd_, name, 1000, &b), 0);
    assert_string_equal(b.data, text);
}

static bool exists(const char *name)
{
    struct stat st;

    return fstatat(dirfd_, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void open_beneath_refuses_to_leave(void **state)
{
    static const struct {
        const char *path;
        int error;
    } rows[] = {
        {"../x", -EXDEV},      {"/etc/passwd", -EXDEV}, {"link", -ELOOP},
        {"dirlink/f", -ELOOP}, {"none", -ENOENT},       {"d/f", 0},
        {"d/../d/f", 0},       {"d/../../x", -EXDEV},   {"", -ENOENT},
    };

    (void)state;
    assert_int_equal(mkdirat(dirfd_, "d", 0700), 0);
    put("d/f", "x");
    assert_int_equal(symlinkat("d/f", dirfd_, "link"), 0);
    assert_int_equal(symlinkat("d", dirfd_, "dirlink"), 0);
    for (size_t i = 0; i < ORCH_NELEM(rows); i++) {
        ORCH_AUTO_FD int fd = orch_open_beneath(dirfd_, rows[i].path, O_RDONLY, 0600);

        assert_int_equal(fd < 0 ? fd : 0, rows[i].error);
        if (fd >= 0)
            assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    }
}

static void open_beneath_creates_with_a_mode(void **state)
{
    ORCH_AUTO_FD int fd = orch_open_beneath(dirfd_, "new", O_WRONLY | O_CREAT | O_EXCL, 0600);
    struct stat st;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void reads_up_to_the_limit(void **state)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};

    (void)state;
    put("f", "12345");
    assert_int_equal(orch_read_file(dirfd_, "f", 5, &b), 0);
    assert_int_equal(orch_read_file(dirfd_, "f", 4, &b), -EFBIG);
    assert_string_equal(b.data, "123451234");
    assert_int_equal(orch_read_file(dirfd_, "none", 4, &b), -ENOENT);
    put("empty", "");
    assert_int_equal(orch_read_file(dirfd_, "empty", 0, &b), 0);
    assert_int_equal(b.len, 9);
    assert_int_equal(orch_read_file(dirfd_, ".", 4, &b), -EISDIR);
    assert_int_equal(orch_write_all(-1, "x", 1), -EBADF);
}

static void replaces_durably_with_the_exact_mode(void **state)
{
    mode_t old = umask(077);
    struct stat st;

    (void)state;
    put("f", "old");
    put("f", "new");
    (void)umask(old);
    assert_content("f", "new");
    assert_int_equal(fstatat(dirfd_, "f", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    /* a symlink is replaced, not followed */
    assert_int_equal(symlinkat("f", dirfd_, "l"), 0);
    put("l", "own");
    assert_content("f", "new");
    assert_int_equal(orch_write_file_sync(dirfd_, "none/f", "x", 1, 0600), -ENOENT);
}

static void failed_writes_leave_no_temporary_file(void **state)
{
    char long_name[256];
    ssize_t n;

    (void)state;
    assert_int_equal(mkdirat(dirfd_, "w", 0700), 0);
    assert_int_equal(mkdirat(dirfd_, "w/d", 0700), 0);
    assert_int_equal(orch_write_file_sync(dirfd_, "w/d", "x", 1, 0600), -EISDIR);
    assert_int_equal(orch_create_file_sync(dirfd_, "w/d", "x", 1, 0600), -EEXIST);
    assert_int_equal(unlinkat(dirfd_, "w/d", AT_REMOVEDIR), 0);
    assert_int_equal(unlinkat(dirfd_, "w", AT_REMOVEDIR), 0);
    memset(long_name, 'n', 255);
    long_name[255] = '\0';
    n = (ssize_t)orch_write_file_sync(dirfd_, long_name, "x", 1, 0600);
    assert_int_equal(n, 0);
}

static void create_refuses_existing_names(void **state)
{
    (void)state;
    assert_int_equal(orch_create_file_sync(dirfd_, "c", "one", 3, 0600), 0);
    assert_int_equal(orch_create_file_sync(dirfd_, "c", "two", 3, 0600), -EEXIST);
    assert_content("c", "one");
    assert_int_equal(symlinkat("nowhere", dirfd_, "dangling"), 0);
    assert_int_equal(orch_create_file_sync(dirfd_, "dangling", "x", 1, 0600), -EEXIST);
    assert_int_equal(orch_fsync_dir(dirfd_, "."), 0);
    assert_int_equal(orch_fsync_dir(dirfd_, "c"), -ENOTDIR);
}

static void mkdir_p_accepts_directories_only(void **state)
{
    static const struct {
        const char *tail;
        int result;
    } rows[] = {
        {"/a/b/c", 0}, {"/a/b/c", 0}, {"/a//b/./d/", 0}, {"/f", -ENOTDIR}, {"/f/x", -ENOTDIR}, {"", 0},
    };

    (void)state;
    put("f", "x");
    for (size_t i = 0; i < ORCH_NELEM(rows); i++) {
        ORCH_AUTO_FREE char *path = orch_xasprintf("%s%s", dir, rows[i].tail);

        assert_int_equal(orch_mkdir_p(path, 0700), rows[i].result);
    }
    assert_true(exists("a/b/d"));
    assert_int_equal(orch_mkdir_p("", 0700), -ENOENT);
    assert_int_equal(orch_mkdir_p("/", 0700), 0);
}

static void rm_removes_files_links_and_nothing(void **state)
{
    (void)state;
    put("f", "x");
    put("keep", "x");
    assert_int_equal(mkdirat(dirfd_, "kept", 0700), 0);
    put("kept/f", "x");
    assert_int_equal(symlinkat("kept", dirfd_, "l"), 0);
    assert_int_equal(orch_rm_rf(dirfd_, "l/"), 0);
    assert_false(exists("l"));
    assert_int_equal(mkdirat(dirfd_, "t", 0700), 0);
    assert_int_equal(symlinkat("../kept", dirfd_, "t/l"), 0);
    assert_int_equal(symlinkat("../keep", dirfd_, "t/m"), 0);
    assert_int_equal(orch_rm_rf(dirfd_, "t"), 0);
    assert_int_equal(orch_rm_rf(dirfd_, "f"), 0);
    assert_int_equal(orch_rm_rf(dirfd_, "f"), 0);
    assert_int_equal(orch_rm_rf(dirfd_, "none/f"), 0);
    assert_int_equal(orch_rm_rf(dirfd_, "/"), -EINVAL);
    assert_int_equal(orch_rm_rf(dirfd_, ""), -EINVAL);
    assert_false(exists("f") || exists("t"));
    assert_true(exists("kept/f") && exists("keep"));
}

static void rm_opens_closed_directories(void **state)
{
    (void)state;
    assert_int_equal(mkdirat(dirfd_, "t", 0700), 0);
    assert_int_equal(mkdirat(dirfd_, "t/a", 0700), 0);
    assert_int_equal(mkdirat(dirfd_, "t/a/b", 0700), 0);
    put("t/a/b/f", "x");
    assert_int_equal(fchmodat(dirfd_, "t/a/b", 0, 0), 0);
    assert_int_equal(fchmodat(dirfd_, "t/a", 0, 0), 0);
    assert_int_equal(fchmodat(dirfd_, "t", 0500, 0), 0);
    assert_int_equal(orch_rm_rf(dirfd_, "t"), 0);
    assert_false(exists("t"));
}

/* A chain of directories, each with a file, a closed directory and a symlink to the outside. */
static void make_chain(int levels)
{
    int fd = orch_open_beneath(dirfd_, ".", O_RDONLY | O_DIRECTORY, 0);

    for (int i = 0; i < levels; i++) {
        int next;

        assert_int_equal(mkdirat(fd, "d", 0700), 0);
        next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        (void)close(fd);
        fd = next;
        assert_int_equal(mknodat(fd, "f", S_IFREG | 0600, 0), 0);
        assert_int_equal(mkdirat(fd, "x", 0), 0);
        assert_int_equal(symlinkat(dir, fd, "l"), 0);
    }
    (void)close(fd);
}

static void rm_removes_trees_of_any_depth(void **state)
{
    static const int depths[] = {1, 63, 64, 65, 130, 5000};
    struct rlimit old, low;

    (void)state;
    put("keep", "x");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = (struct rlimit){.rlim_cur = 100, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    for (size_t i = 0; i < ORCH_NELEM(depths); i++) {
        make_chain(depths[i]);
        assert_int_equal(orch_rm_rf(dirfd_, "d"), 0);
        assert_false(exists("d"));
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_true(exists("keep"));
}

static void rm_removes_wide_directories(void **state)
{
    (void)state;
    assert_int_equal(mkdirat(dirfd_, "t", 0700), 0);
    for (int i = 0; i < 3000; i++) {
        ORCH_AUTO_FREE char *name = orch_xasprintf("t/entry-%d", i);

        assert_int_equal(i % 2 ? mkdirat(dirfd_, name, 0700) : mknodat(dirfd_, name, S_IFIFO | 0600, 0), 0);
    }
    assert_int_equal(orch_rm_rf(dirfd_, "t"), 0);
    assert_false(exists("t"));
}

static void readlink_returns_long_targets(void **state)
{
    char target[2000];
    ORCH_AUTO_FREE char *got = NULL;

    (void)state;
    memset(target, 'x', sizeof(target) - 1);
    target[sizeof(target) - 1] = '\0';
    assert_int_equal(symlinkat(target, dirfd_, "l"), 0);
    got = orch_readlink(dirfd_, "l");
    assert_string_equal(got, target);
    assert_null(orch_readlink(dirfd_, "none"));
    assert_int_equal(errno, ENOENT);
}

static void normalizes_paths(void **state)
{
    static const char *const rows[][3] = {
        {NULL, "/", "/"},           {NULL, "/a", "/a"},
        {NULL, "//a///b/", "/a/b"}, {NULL, "/a/./b/.", "/a/b"},
        {NULL, "/a/../b", "/b"},    {NULL, "/../..", "/"},
        {NULL, "/a/b/../..", "/"},  {"/x/y", "a", "/x/y/a"},
        {"/x/y/", "../a", "/x/a"},  {"/x", "/a", "/a"},
        {"/x", "", "/x"},           {"/", "a", "/a"},
        {"/x", "../../a", "/a"},    {NULL, "/...", "/..."},
        {NULL, "/a/..b", "/a/..b"}, {NULL, "/a/../../b/c", "/b/c"},
    };

    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(rows); i++) {
        ORCH_AUTO_FREE char *got = orch_path_normalize(rows[i][0], rows[i][1]);

        assert_string_equal(got, rows[i][2]);
    }
}

static void beneath_respects_components(void **state)
{
    static const struct {
        const char *path, *dir;
        bool beneath;
    } rows[] = {
        {"/a", "/a", true}, {"/a/b", "/a", true}, {"/ab", "/a", false}, {"/a", "/a/b", false},
        {"/a", "/", true},  {"/", "/", true},     {"/", "/a", false},
    };

    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(rows); i++)
        assert_int_equal(orch_path_beneath(rows[i].path, rows[i].dir), rows[i].beneath);
}

static void time_has_its_format(void **state)
{
    char now[ORCH_TIME_SIZE];
    uint64_t before = orch_now_ms();

    (void)state;
    orch_time_now(now);
    assert_int_equal(strlen(now), 30);
    assert_true(now[4] == '-' && now[10] == 'T' && now[19] == '.' && now[29] == 'Z');
    assert_int_equal(strspn(now, "0123456789-T:.Z"), 30);
    assert_true(orch_now_ms() >= before);
    orch_time_format((struct timespec){.tv_sec = 86400 + 61, .tv_nsec = 7}, now);
    assert_string_equal(now, "1970-01-02T00:01:01.000000007Z");
    orch_time_format((struct timespec){.tv_sec = 1ll << 40}, now); /* no four digits of a year */
    assert_string_equal(now, "0000-00-00T00:00:00.000000000Z");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(open_beneath_refuses_to_leave),
        TEST(open_beneath_creates_with_a_mode),
        TEST(reads_up_to_the_limit),
        TEST(replaces_durably_with_the_exact_mode),
        TEST(failed_writes_leave_no_temporary_file),
        TEST(create_refuses_existing_names),
        TEST(mkdir_p_accepts_directories_only),
        TEST(rm_removes_files_links_and_nothing),
        TEST(rm_opens_closed_directories),
        TEST(rm_removes_trees_of_any_depth),
        TEST(rm_removes_wide_directories),
        TEST(readlink_returns_long_targets),
        TEST(normalizes_paths),
        TEST(beneath_respects_components),
        TEST(time_has_its_format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
