/* test_tools_cache.c - a kept resolution says what a fresh one says, whatever happened to the files since. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "common/io.h"
#include "policy/tools.h"

static char dir[] = "/tmp/orch-closures-XXXXXX";
static char file_name[] = "profile.json", tool_name[] = "own", found_name[] = "orch-found";

/* One host in miniature: a script, its interpreter behind a link, a directory of helpers, two directories of
 * PATH. */
struct host {
    char *root;
    struct orch_closure_cache *cache;
    char *before; /* its closure as text */
};

static char *in_host(const struct host *h, const char *name)
{
    return orch_xasprintf("%s/%s", h->root, name);
}

static void write_file(const char *path, const void *p, size_t n)
{
    ORCH_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    assert_true(fd >= 0);
    assert_int_equal(orch_write_all(fd, p, n), 0);
}

static void copy_file(const char *from, const char *to)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    assert_int_equal(orch_read_file(AT_FDCWD, from, 64u << 20, &b), 0);
    write_file(to, b.data, b.len);
}

static void put_script(const struct host *h, const char *name, const char *interpreter)
{
    ORCH_AUTO_FREE char *path = in_host(h, name);
    ORCH_AUTO_FREE char *text = interpreter[0] == '/' ? orch_xasprintf("#!%s\n", interpreter)
                                                      : orch_xasprintf("#!%s/%s\n", h->root, interpreter);
    write_file(path, text, strlen(text));
}

static void put_link(const struct host *h, const char *name, const char *target)
{
    ORCH_AUTO_FREE char *path = in_host(h, name);
    (void)unlink(path);
    assert_int_equal(symlink(target, path), 0);
}

static void put_copy(const struct host *h, const char *name, const char *from)
{
    ORCH_AUTO_FREE char *path = in_host(h, name);
    copy_file(from, path);
}

static void build(struct host *h)
{
    static const char *const dirs[] = {"", "with", "with/deep", "p1", "p2", "x"};
    for (size_t i = 0; i < ORCH_NELEM(dirs); i++) {
        ORCH_AUTO_FREE char *path = in_host(h, dirs[i]);
        assert_int_equal(mkdir(path, 0755), 0);
    }
    put_link(h, "sh", "x/real");
    put_link(h, "sH", "/usr/bin/cat");
    put_copy(h, "x/real", "/usr/bin/true");
    put_copy(h, "x/other", "/usr/bin/ls");
    put_script(h, "tool", "sh");
    put_copy(h, "with/deep/helper", "/usr/bin/true");
    put_copy(h, "p2/orch-found", "/usr/bin/true");
}

/* The closure as text, or "refused". */
static char *resolve(const struct host *h, struct orch_closure_cache *cache)
{
    ORCH_AUTO_FREE char *path = in_host(h, "tool"), *with = in_host(h, "with");
    ORCH_AUTO_FREE char *search = orch_xasprintf("%s/p0:%s/p1:%s/p2", h->root, h->root, h->root);
    struct orch_tool tools[] = {{.name = tool_name, .path = path, .with = {.v = &with, .n = 1}},
                                {.name = found_name}};
    const struct orch_profile p = {.file = file_name, .tools = tools, .n_tools = ORCH_NELEM(tools)};
    ORCH_AUTO_BUF struct orch_buf out = {0};
    struct orch_closure c = {0};
    struct orch_diags d = {0};
    assert_int_equal(setenv("PATH", search, 1), 0);
    if (orch_tools_resolve_cached(&p, NULL, cache, &c, NULL, &d) < 0) {
        orch_buf_str(&out, "refused");
    } else {
        orch_closure_print(&c, &out);
        for (size_t i = 0; i < c.path_dirs.n; i++)
            orch_buf_printf(&out, "PATH %s\n", c.path_dirs.v[i]);
        for (size_t i = 0; i < c.names.n; i++)
            orch_buf_printf(&out, "name %s\n", c.names.v[i]);
    }
    orch_closure_fini(&c);
    orch_diags_fini(&d);
    return orch_buf_take(&out);
}

/* ---- what happens to it ---- */

static void other_interpreter(const struct host *h)
{
    put_script(h, "tool", "/usr/bin/cat");
}

static void same_size_and_time(const struct host *h)
{
    ORCH_AUTO_FREE char *path = in_host(h, "tool");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    put_script(h, "tool", "sH");
    const struct timespec back[] = {st.st_atim, st.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, path, back, 0), 0);
    const off_t size = st.st_size;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, size);
}

static void other_link(const struct host *h)
{
    put_link(h, "sh", "/usr/bin/cat");
}

static void file_behind_link(const struct host *h)
{
    ORCH_AUTO_FREE char *from = in_host(h, "x/other"), *to = in_host(h, "x/real");
    assert_int_equal(rename(from, to), 0);
}

static void directory_swapped(const struct host *h)
{
    ORCH_AUTO_FREE char *x = in_host(h, "x"), *away = in_host(h, "away");
    assert_int_equal(rename(x, away), 0);
    assert_int_equal(mkdir(x, 0755), 0);
    put_copy(h, "x/real", "/usr/bin/ls");
}

static void directory_becomes_link(const struct host *h)
{
    ORCH_AUTO_FREE char *x = in_host(h, "x"), *away = in_host(h, "away");
    assert_int_equal(rename(x, away), 0);
    assert_int_equal(symlink("away", x), 0);
}

static void tool_removed(const struct host *h)
{
    ORCH_AUTO_FREE char *path = in_host(h, "tool");
    assert_int_equal(unlink(path), 0);
}

static void helper_in_place(const struct host *h)
{
    put_copy(h, "with/deep/helper", "/usr/bin/ls");
}

static void helper_added(const struct host *h)
{
    put_copy(h, "with/deep/new", "/usr/bin/ls");
}

static void earlier_on_path(const struct host *h)
{
    put_copy(h, "p1/orch-found", "/usr/bin/true");
}

/* A directory of PATH that was not there. */
static void directory_of_path_appears(const struct host *h)
{
    ORCH_AUTO_FREE char *path = in_host(h, "p0");
    assert_int_equal(mkdir(path, 0755), 0);
    put_copy(h, "p0/orch-found", "/usr/bin/true");
}

static const struct {
    const char *name;
    void (*happens)(const struct host *h);
} changes[] = {
    {"another interpreter", other_interpreter},
    {"the same size and time", same_size_and_time},
    {"another link target", other_link},
    {"another file behind the link", file_behind_link},
    {"another directory in its place", directory_swapped},
    {"a link in place of a directory", directory_becomes_link},
    {"the tool removed", tool_removed},
    {"a helper rewritten in place", helper_in_place},
    {"a helper added", helper_added},
    {"a program earlier on PATH", earlier_on_path},
    {"a directory of PATH appears", directory_of_path_appears},
};

static struct host hosts[ORCH_NELEM(changes) + 1];

/* All hosts at once, so that one wait makes them old enough to be kept. */
static int setup(void **state)
{
    (void)state;
    const struct timespec wait = {.tv_sec = 2, .tv_nsec = 200000000};
    if (!mkdtemp(dir))
        return -1;
    for (size_t i = 0; i < ORCH_NELEM(hosts); i++) {
        ORCH_AUTO_FREE char *cache = orch_xasprintf("%s/cache%zu", dir, i);
        hosts[i].root = orch_xasprintf("%s/h%zu", dir, i);
        hosts[i].cache = orch_closure_cache_new(cache);
        build(&hosts[i]);
        free(resolve(&hosts[i], hosts[i].cache));
        orch_closure_cache_save(hosts[i].cache);
        if (access(cache, F_OK) == 0)
            return -1; /* too young to be kept */
    }
    (void)nanosleep(&wait, NULL);
    for (size_t i = 0; i < ORCH_NELEM(hosts); i++) {
        hosts[i].before = resolve(&hosts[i], hosts[i].cache);
        orch_closure_cache_save(hosts[i].cache);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(hosts); i++) {
        orch_closure_cache_free(hosts[i].cache);
        free(hosts[i].before);
        free(hosts[i].root);
    }
    return orch_rm_rf(AT_FDCWD, dir);
}

/* ---- the last host stays as it is ---- */

static struct host *still(void)
{
    return &hosts[ORCH_NELEM(changes)];
}

static char *cache_dir(void)
{
    return orch_xasprintf("%s/cache%zu", dir, ORCH_NELEM(changes));
}

/* The one file in it. */
static char *cache_file(void)
{
    ORCH_AUTO_FREE char *path = cache_dir();
    DIR *d = opendir(path);
    char *found = NULL;
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        if (e->d_name[0] != '.') {
            assert_null(found);
            found = orch_xasprintf("%s/%s", path, e->d_name);
        }
    (void)closedir(d);
    assert_non_null(found);
    return found;
}

static ino_t inode(const char *path)
{
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    return st.st_ino;
}

/* Resolves with what is on disk; was it used? What is not used is written anew. */
static bool uses_disk(void)
{
    ORCH_AUTO_FREE char *path = cache_dir(), *file = cache_file();
    struct orch_closure_cache *c = orch_closure_cache_new(path);
    ino_t before = inode(file);

    int fd = open(file, O_PATH | O_NOFOLLOW | O_CLOEXEC); /* held: its number does not come back */
    ORCH_AUTO_FREE char *text = resolve(still(), c);
    orch_closure_cache_save(c);
    orch_closure_cache_free(c);
    assert_string_equal(text, still()->before);
    bool used = inode(file) == before;
    (void)close(fd);
    return used;
}

static void kept_on_disk_is_used(void **state)
{
    (void)state;
    ORCH_AUTO_FREE char *fresh = resolve(still(), NULL), *kept = resolve(still(), still()->cache);
    assert_string_equal(fresh, still()->before);
    assert_string_equal(kept, still()->before);
    assert_non_null(strstr(fresh, "(tool own)"));
    assert_non_null(strstr(fresh, "(with of tool own)"));
    assert_true(uses_disk());
}

static void every_change_shows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(changes); i++) {
        struct host *h = &hosts[i];
        ORCH_AUTO_FREE char *path = orch_xasprintf("%s/cache%zu", dir, i);
        struct orch_closure_cache *disk = orch_closure_cache_new(path);
        changes[i].happens(h);
        ORCH_AUTO_FREE char *fresh = resolve(h, NULL);
        ORCH_AUTO_FREE char *kept = resolve(h, h->cache), *again = resolve(h, disk);
        orch_closure_cache_free(disk);
        if (strcmp(fresh, h->before) == 0)
            fail_msg("%s: changes nothing, so it proves nothing", changes[i].name);
        if (strcmp(fresh, kept) != 0 || strcmp(fresh, again) != 0)
            fail_msg("%s: not seen. fresh:\n%s\nfrom memory:\n%s\nfrom disk:\n%s", changes[i].name, fresh,
                     kept, again);
    }
}

static void damaged_files_are_as_none(void **state)
{
    (void)state;
    ORCH_AUTO_FREE char *file = cache_file();
    ORCH_AUTO_BUF struct orch_buf b = {0};
    assert_int_equal(orch_read_file(AT_FDCWD, file, 64u << 20, &b), 0);
    for (size_t at = 0; at < b.len; at += b.len / 20 + 1) {
        b.data[at] = (char)~b.data[at];
        write_file(file, b.data, b.len);
        assert_int_equal(chmod(file, 0600), 0);
        assert_false(uses_disk());
        b.data[at] = (char)~b.data[at];
        write_file(file, b.data, at);
        assert_false(uses_disk());
    }
    assert_true(uses_disk());
}

static void files_of_others_are_as_none(void **state)
{
    (void)state;
    ORCH_AUTO_FREE char *file = cache_file(), *path = cache_dir(), *away = orch_xasprintf("%s/away", dir);
    assert_int_equal(chmod(file, 0622), 0);
    assert_false(uses_disk());
    assert_true(uses_disk());
    assert_int_equal(rename(file, away), 0);
    assert_int_equal(symlink(away, file), 0);
    assert_false(uses_disk());
    assert_int_equal(unlink(away), 0);
    assert_int_equal(link(file, away), 0);
    assert_false(uses_disk());
    assert_int_equal(unlink(away), 0);
    /* A directory that others can write is not written either: the file stays, unused. */
    assert_int_equal(chmod(path, 0777), 0);
    assert_int_equal(unlink(file), 0);
    struct orch_closure_cache *c = orch_closure_cache_new(path);
    free(resolve(still(), c));
    orch_closure_cache_save(c);
    assert_int_equal(access(file, F_OK), -1);
    assert_int_equal(chmod(path, 0700), 0);
    orch_closure_cache_save(c);
    assert_int_equal(access(file, F_OK), 0);
    orch_closure_cache_free(c);
}

static void command_is_never_kept(void **state)
{
    (void)state;
    const struct orch_profile p = {.file = file_name};
    struct orch_closure_cache *cache = orch_closure_cache_new(NULL);
    for (int i = 0; i < 2; i++) {
        struct orch_closure with = {0}, without = {0};
        struct orch_diags d = {0};
        ORCH_AUTO_FREE char *command = NULL;
        assert_int_equal(orch_tools_resolve_cached(&p, "/usr/bin/cat", cache, &with, &command, &d), 0);
        assert_int_equal(orch_tools_resolve_cached(&p, NULL, cache, &without, NULL, &d), 0);
        assert_true(orch_closure_executes(&with, "/usr/bin/cat"));
        assert_false(orch_closure_executes(&without, "/usr/bin/cat"));
        orch_closure_fini(&with);
        orch_closure_fini(&without);
        orch_diags_fini(&d);
    }
    orch_closure_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_on_disk_is_used),      cmocka_unit_test(every_change_shows),
        cmocka_unit_test(damaged_files_are_as_none), cmocka_unit_test(files_of_others_are_as_none),
        cmocka_unit_test(command_is_never_kept),
    };
    return cmocka_run_group_tests_name("policy/tools_cache", tests, setup, teardown);
}
