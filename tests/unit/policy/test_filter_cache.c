/* test_filter_cache.c - kept filters: used, verified, made anew where they are not right, bounded, shared. */
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
#include <sys/wait.h>
#include "common/io.h"
#include "policy/filter_cache.h"
#include "policy/filter_child.h"

static char dir[] = "/tmp/orch-filters-XXXXXX";
static char name_profile[] = "test", agent_base[] = "@agent-base";
static char *allow[] = {agent_base, NULL};
static struct orch_profile profile = {.name = name_profile,
                                      .file = name_profile,
                                      .sc_default_errno = EPERM,
                                      .sc_allow = {.v = allow, .n = 1},
                                      .audit_level = ORCH_AUDIT_OPENS};
static struct orch_syscalls table;
static char notes[1024];
static struct orch_filter_cache cache;
static char key[ORCH_HEX_SIZE];

static void take_note(void *ctx, const char *text)
{
    (void)ctx;
    (void)snprintf(notes, sizeof(notes), "%s", text);
}

static int set_up(void **state)
{
    (void)state;
    struct orch_diags d = {0};
    if (!mkdtemp(dir) || orch_syscalls_compile(&profile, &table, &d) < 0)
        return -1;
    cache =
        (struct orch_filter_cache){.dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .note = take_note};
    orch_filter_key(&table, key);
    return cache.dirfd >= 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    (void)close(cache.dirfd);
    return orch_rm_rf(AT_FDCWD, dir);
}

/* A good filter in any case; its length, and what was noted. */
static unsigned get(void)
{
    struct orch_filter f = {0};
    struct orch_err err = {0};
    notes[0] = '\0';
    if (orch_filter_get(&table, &cache, &f, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(orch_filter_verify(&table, &f, &err), 0);
    unsigned len = f.len;
    orch_filter_fini(&f);
    return len;
}

static void clear(void)
{
    (void)unlinkat(cache.dirfd, key, 0);
    (void)unlinkat(cache.dirfd, key, AT_REMOVEDIR);
}

static void read_entry(struct orch_buf *b)
{
    assert_int_equal(orch_read_file(cache.dirfd, key, 1 << 20, b), 0);
}

static void put_entry(const struct orch_buf *b, size_t n)
{
    clear();
    ORCH_AUTO_FD int fd = openat(cache.dirfd, key, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(orch_write_all(fd, b->data, n), 0);
}

/* The same meaning in one instruction more: whoever returns this one took it from the cache. */
static unsigned put_longer(uint32_t last)
{
    ORCH_AUTO_BUF struct orch_buf b = {0}, out = {0};
    char digest[ORCH_HEX_SIZE];
    read_entry(&b);
    uint32_t len;
    const size_t head = sizeof(digest) + strlen("orch-filter-1\n") + 1, start = head + sizeof(len);
    memcpy(&len, b.data + head, sizeof(len));
    struct sock_filter extra = BPF_STMT(BPF_RET | BPF_K, last);
    orch_buf_add(&out, b.data, b.len);
    orch_buf_add(&out, (const char *)&extra, sizeof(extra));
    len++;
    memcpy(out.data + head, &len, sizeof(len));
    orch_sha256_buf(out.data + start, out.len - start, digest);
    memcpy(out.data + strlen("orch-filter-1\n") + 1, digest, sizeof(digest));
    put_entry(&out, out.len);
    return len;
}

static bool is_good_entry(void)
{
    struct stat st;
    return fstatat(cache.dirfd, key, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
           (st.st_mode & 07777) == 0600 && st.st_uid == geteuid();
}

static void kept_and_used_again(void **state)
{
    (void)state;
    clear();
    unsigned len = get();
    assert_true(is_good_entry());
    assert_string_equal(notes, "");
    unsigned longer = put_longer(SECCOMP_RET_ALLOW);
    assert_int_equal(longer, len + 1);
    assert_int_equal(get(), longer);
    assert_string_equal(notes, "");
    clear();
    assert_int_equal(get(), len);
}

static void damaged_entry_is_made_anew(void **state)
{
    (void)state;
    clear();
    unsigned len = get();
    ORCH_AUTO_BUF struct orch_buf b = {0};
    read_entry(&b);
    const size_t cuts[] = {0, 1, 60, 84, b.len - 8, b.len - 1};
    for (size_t i = 0; i < ORCH_NELEM(cuts); i++) {
        put_entry(&b, cuts[i]);
        assert_int_equal(get(), len);
        assert_non_null(strstr(notes, "damaged"));
        assert_true(is_good_entry());
    }
    for (size_t i = 0; i < b.len; i += 1 + b.len / 97) {
        b.data[i] ^= 1;
        put_entry(&b, b.len);
        b.data[i] ^= 1;
        assert_int_equal(get(), len);
        assert_non_null(strstr(notes, "damaged"));
    }
    assert_int_equal(get(), len);
    assert_string_equal(notes, "");
}

/* Whole, with the right digest, and wrong: found by the verifier. */
static void entry_of_another_meaning_is_not_used(void **state)
{
    (void)state;
    clear();
    unsigned len = get();
    (void)put_longer(SECCOMP_RET_ERRNO);
    assert_int_equal(get(), len);
    assert_non_null(strstr(notes, "does not mean"));
    assert_true(is_good_entry());
}

static void no_regular_file_is_not_used(void **state)
{
    (void)state;
    ORCH_AUTO_FREE char *other = orch_xasprintf("%s/other", dir);
    struct stat st;
    clear();
    unsigned len = get();
    assert_int_equal(renameat(cache.dirfd, key, AT_FDCWD, other), 0);
    assert_int_equal(symlinkat(other, cache.dirfd, key), 0);
    assert_int_equal(get(), len);
    assert_non_null(strstr(notes, "cannot be opened"));
    assert_true(is_good_entry());
    assert_int_equal(stat(other, &st), 0); /* the link was replaced, not followed */
    clear();
    assert_int_equal(mkfifoat(cache.dirfd, key, 0600), 0);
    assert_int_equal(get(), len);
    assert_non_null(strstr(notes, "not a regular file"));
    assert_true(is_good_entry());
    clear();
    assert_int_equal(mkdirat(cache.dirfd, key, 0700), 0);
    assert_int_equal(get(), len);
    assert_non_null(strstr(notes, "cannot be kept"));
    clear();
}

static void entry_that_others_reach_is_not_used(void **state)
{
    (void)state;
    clear();
    unsigned len = get();
    assert_int_equal(fchmodat(cache.dirfd, key, 0666, 0), 0);
    assert_int_equal(get(), len);
    assert_non_null(strstr(notes, "others can reach it"));
    assert_true(is_good_entry());
    assert_int_equal(linkat(cache.dirfd, key, cache.dirfd, "second", 0), 0);
    assert_int_equal(get(), len);
    assert_non_null(strstr(notes, "others can reach it"));
    assert_int_equal(unlinkat(cache.dirfd, "second", 0), 0);
    if (geteuid() != 0)
        return; /* only root can give a file away; the other refusals ran */
    assert_int_equal(fchownat(cache.dirfd, key, 12345, 12345, 0), 0);
    assert_int_equal(get(), len);
    assert_non_null(strstr(notes, "someone else"));
    assert_true(is_good_entry());
}

static void no_directory_is_no_failure(void **state)
{
    (void)state;
    struct orch_filter f = {0};
    struct orch_err err = {0};
    const struct orch_filter_cache none = {.dirfd = -1}, closed = {.dirfd = 9999, .note = take_note};
    assert_int_equal(orch_filter_get(&table, NULL, &f, &err), 0);
    orch_filter_fini(&f);
    assert_int_equal(orch_filter_get(&table, &none, &f, &err), 0);
    orch_filter_fini(&f);
    assert_int_equal(orch_filter_get(&table, &closed, &f, &err), 0);
    assert_non_null(strstr(notes, "cannot be kept"));
    orch_filter_fini(&f);
}

static void every_condition_is_in_the_key(void **state)
{
    (void)state;
    char other[ORCH_HEX_SIZE];
    struct orch_sc_entry kept = table.e[300], *e = &table.e[300];
    e->always = !e->always;
    orch_filter_key(&table, other);
    assert_string_not_equal(other, key);
    *e = kept;
    for (unsigned field = 0; field < 3; field++) {
        char last[ORCH_HEX_SIZE];
        e->n_fast = 1;
        e->fast[0] = (struct orch_sc_fast){.index = 1, .mask = 3, .value = 1};
        orch_filter_key(&table, last);
        assert_string_not_equal(last, key);
        e->fast[0].index += field == 0;
        e->fast[0].mask += field == 1 ? 4 : 0;
        e->fast[0].value += field == 2;
        orch_filter_key(&table, other);
        assert_string_not_equal(other, last);
    }
    *e = kept;
    orch_filter_key(&table, other);
    assert_string_equal(other, key);
}

static struct orch_filter remembered(struct orch_filter_memo *memo)
{
    struct orch_filter_cache with = cache;
    struct orch_filter f = {0};
    struct orch_err err = {0};
    with.memo = memo;
    assert_int_equal(orch_filter_get(&table, &with, &f, &err), 0);
    return f;
}

/* What a process has verified holds for this table and this profile's rules alone. */
static void only_the_same_policy_is_remembered(void **state)
{
    (void)state;
    char digests[2][ORCH_HEX_SIZE];
    struct orch_filter_memo *memo = orch_filter_memo_new();
    struct orch_filter f = {0}, again = {0};
    orch_sha256_buf("a", 1, digests[0]);
    orch_sha256_buf("b", 1, digests[1]);
    profile.digest = NULL;
    f = remembered(memo);
    assert_false(orch_filter_memo_get(memo, &table, key, &again));
    orch_filter_fini(&f);
    profile.digest = digests[0];
    f = remembered(memo);
    assert_true(orch_filter_memo_get(memo, &table, key, &again));
    assert_int_equal(again.len, f.len);
    assert_memory_equal(again.prog, f.prog, f.len * sizeof(*f.prog));
    orch_filter_fini(&again);
    profile.digest = digests[1];
    assert_false(orch_filter_memo_get(memo, &table, key, &again));
    profile.digest = digests[0];
    table.e[300].always = !table.e[300].always;
    char other[ORCH_HEX_SIZE];
    orch_filter_key(&table, other);
    assert_false(orch_filter_memo_get(memo, &table, other, &again));
    table.e[300].always = !table.e[300].always;
    assert_false(orch_filter_memo_get(NULL, &table, key, &again));
    orch_filter_fini(&f);
    profile.digest = NULL;
    orch_filter_memo_free(memo);
}

static size_t count_entries(void)
{
    DIR *d = opendir(dir);
    size_t n = 0;
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.' || e->d_name[1] == 'n';
    (void)closedir(d);
    return n;
}

/* Old entries and left-over temporaries go when a new entry comes; what was used last stays. */
static void directory_does_not_grow_for_ever(void **state)
{
    (void)state;
    const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    clear();
    size_t before = count_entries();
    for (unsigned i = 0; i < ORCH_FILTER_CACHE_MAX + 40; i++) {
        ORCH_AUTO_FREE char *name = orch_xasprintf(i < 20 ? ".new-%016u" : "%064u", i);
        ORCH_AUTO_FD int fd = openat(cache.dirfd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(futimens(fd, old), 0);
    }
    (void)get();
    assert_true(is_good_entry());
    size_t after = count_entries() - before;
    assert_true(after > 0 && after <= ORCH_FILTER_CACHE_MAX);
    assert_int_equal(faccessat(cache.dirfd, ".new-0000000000000003", F_OK, 0), -1);
}

static void many_at_once(void **state)
{
    (void)state;
    clear();
    for (unsigned i = 0; i < 6; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid > 0)
            continue;
        struct orch_filter f = {0};
        struct orch_err err = {0};
        int bad = 0;
        for (unsigned k = 0; k < 10; k++) {
            bad += orch_filter_get(&table, &cache, &f, &err) < 0 || f.len == 0;
            bad += notes[0] != '\0';
            orch_filter_fini(&f);
            if (i % 2 == 0)
                (void)unlinkat(cache.dirfd, key, 0);
        }
        _exit(bad ? 1 : 0);
    }
    for (unsigned i = 0; i < 6; i++) {
        int status = -1;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_and_used_again),
        cmocka_unit_test(damaged_entry_is_made_anew),
        cmocka_unit_test(entry_of_another_meaning_is_not_used),
        cmocka_unit_test(no_regular_file_is_not_used),
        cmocka_unit_test(entry_that_others_reach_is_not_used),
        cmocka_unit_test(no_directory_is_no_failure),
        cmocka_unit_test(every_condition_is_in_the_key),
        cmocka_unit_test(only_the_same_policy_is_remembered),
        cmocka_unit_test(directory_does_not_grow_for_ever),
        cmocka_unit_test(many_at_once),
    };
    return cmocka_run_group_tests_name("policy/filter_cache", tests, set_up, tear_down);
}
