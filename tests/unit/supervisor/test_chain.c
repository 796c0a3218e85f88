/* Chains of records: what a reader must notice, and what a crash may leave. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "common/exit.h"
#include "common/io.h"
#include "supervisor/chain.h"

#define NAME "chain.jsonl"

static char dir_path[64];
static int dir_fd = -1;

static int setup(void **state)
{
    (void)state;
    (void)snprintf(dir_path, sizeof(dir_path), "/tmp/orch-chain-XXXXXX");
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

static void append(struct orch_chain *c, const char *event)
{
    ORCH_AUTO_BUF struct orch_buf line = {0};
    struct orch_jw w = {.out = &line};
    struct orch_err err = {0};

    orch_chain_begin(c, &w);
    orch_jw_str(&w, "event", event);
    assert_int_equal(orch_chain_commit(c, &w, false, &err), 0);
}

static void create(size_t n)
{
    struct orch_chain c;
    struct orch_err err = {0};
    char event[32];

    (void)unlinkat(dir_fd, NAME, 0);
    assert_int_equal(orch_chain_create(dir_fd, NAME, &c, &err), 0);
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(event, sizeof(event), "event-%zu", i + 1);
        append(&c, event);
    }
    orch_chain_fini(&c);
}

static void slurp(struct orch_buf *out)
{
    assert_int_equal(orch_read_file(dir_fd, NAME, 1u << 24, out), 0);
}

static void spill(const void *p, size_t n)
{
    ORCH_AUTO_FD int fd = openat(dir_fd, NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(orch_write_all(fd, p, n), 0);
}

static int verify(bool *ret_torn, char head[ORCH_HEX_SIZE], struct orch_err *err)
{
    *err = (struct orch_err){0};
    return orch_chain_read(dir_fd, NAME, NULL, NULL, ret_torn, head, err);
}

/* Refused, as tampering, and with the place. */
static void assert_bad(size_t record)
{
    struct orch_err err;
    char head[ORCH_HEX_SIZE], place[64];
    bool torn;

    (void)snprintf(place, sizeof(place), NAME ": record %zu: ", record);
    assert_int_equal(verify(&torn, head, &err), -EBADMSG);
    assert_int_equal(err.exit_code, ORCH_EXIT_CORRUPT);
    assert_non_null(strstr(err.msg, place));
}

static int count_record(void *ctx, const struct orch_json *rec)
{
    uint64_t *n = ctx;
    const cJSON *seq = cJSON_GetObjectItemCaseSensitive(orch_json_root(rec), "seq");

    ++*n;
    assert_int_equal((uint64_t)seq->valuedouble, *n);
    return *n == 7 ? 42 : 0;
}

static void chain_reads_what_it_wrote(void **state)
{
    struct orch_err err = {0};
    char head[ORCH_HEX_SIZE];
    uint64_t n = 0;
    bool torn = true;
    struct stat st;

    (void)state;
    create(5);
    assert_int_equal(orch_chain_read(dir_fd, NAME, count_record, &n, &torn, head, &err), 0);
    assert_int_equal(n, 5);
    assert_false(torn);
    assert_int_equal(strlen(head), 64);
    assert_int_equal(fstatat(dir_fd, NAME, &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);

    create(0);
    assert_int_equal(verify(&torn, head, &err), 0);
    assert_int_equal(strspn(head, "0"), 64);
}

static void chain_walk_ends_when_asked(void **state)
{
    struct orch_err err = {0};
    uint64_t n = 0;

    (void)state;
    create(9);
    assert_int_equal(orch_chain_read(dir_fd, NAME, count_record, &n, NULL, NULL, &err), 42);
    assert_int_equal(n, 7);
}

static void chain_prev_is_the_digest_of_the_line_before(void **state)
{
    ORCH_AUTO_BUF struct orch_buf file = {0};
    char digest[ORCH_HEX_SIZE], zeros[ORCH_HEX_SIZE] = {0};
    const char *second;

    (void)state;
    create(2);
    slurp(&file);
    second = strchr(file.data, '\n') + 1;
    orch_sha256_buf(file.data, (size_t)(second - file.data), digest);
    memset(zeros, '0', 64);
    assert_memory_equal(second - 67, zeros, 64);
    assert_memory_equal(file.data + file.len - 67, digest, 64);
    assert_memory_equal(file.data, "{\"v\":1,\"seq\":1,\"time\":\"", 23);
}

/* Every bit of every byte. The last record has no successor: there the head, which is printed elsewhere,
 * tells. */
static void chain_flipped_byte_is_noticed(void **state)
{
    ORCH_AUTO_BUF struct orch_buf file = {0};
    struct orch_err err;
    char head[ORCH_HEX_SIZE], now[ORCH_HEX_SIZE];
    size_t last;
    bool torn;

    (void)state;
    create(3);
    slurp(&file);
    assert_int_equal(verify(&torn, head, &err), 0);
    last = (size_t)((const char *)memrchr(file.data, '\n', file.len - 1) + 1 - file.data);
    for (size_t i = 0; i < file.len * 8; i++) {
        char *byte = &file.data[i / 8];
        int rc;

        *byte = (char)(*byte ^ (1 << i % 8));
        spill(file.data, file.len);
        rc = verify(&torn, now, &err);
        if (i / 8 < last)
            assert_int_equal(rc, -EBADMSG);
        else
            assert_true(rc == -EBADMSG || (rc == 0 && (torn || strcmp(head, now) != 0)));
        *byte = (char)(*byte ^ (1 << i % 8));
    }
}

struct span {
    const char *p;
    size_t n;
};

static void split(const struct orch_buf *file, struct span *v, size_t n)
{
    const char *p = file->data;

    for (size_t i = 0; i < n; i++) {
        const char *nl = strchr(p, '\n');
        v[i] = (struct span){p, (size_t)(nl + 1 - p)};
        p = nl + 1;
    }
}

static void spill_order(const struct span *v, const int *order)
{
    ORCH_AUTO_BUF struct orch_buf out = {0};

    for (; *order >= 0; order++)
        orch_buf_add(&out, v[*order].p, v[*order].n);
    spill(out.data, out.len);
}

static void chain_dropped_swapped_repeated_records_are_noticed(void **state)
{
    static const struct {
        int order[8];
        size_t bad;
    } cases[] = {
        {{1, 2, 3, -1}, 1},    {{0, 2, 3, -1}, 2},       {{0, 1, 3, -1}, 3},
        {{1, 0, 2, 3, -1}, 1}, {{0, 2, 1, 3, -1}, 2},    {{0, 1, 3, 2, -1}, 3},
        {{0, 0, 1, -1}, 2},    {{0, 1, 2, 3, 3, -1}, 5}, {{0, 1, 2, 3, 0, -1}, 5},
    };
    ORCH_AUTO_BUF struct orch_buf file = {0};
    struct span v[4];

    (void)state;
    create(4);
    slurp(&file);
    split(&file, v, 4);
    for (size_t i = 0; i < ORCH_NELEM(cases); i++) {
        spill_order(v, cases[i].order);
        assert_bad(cases[i].bad);
    }
}

/* A record of another chain with the right number: only the digest tells. */
static void chain_record_of_another_chain_is_noticed(void **state)
{
    ORCH_AUTO_BUF struct orch_buf one = {0}, two = {0}, mixed = {0};
    struct span a[3], b[3];

    (void)state;
    create(3);
    slurp(&one);
    create(3);
    slurp(&two);
    split(&one, a, 3);
    split(&two, b, 3);
    orch_buf_add(&mixed, a[0].p, a[0].n);
    orch_buf_add(&mixed, b[1].p, b[1].n);
    spill(mixed.data, mixed.len);
    assert_bad(2);
}

static void chain_lines_that_are_no_records_are_noticed(void **state)
{
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"\n", "not valid JSON"},
        {"[]\n", "not a JSON object"},
        {"{}\n", "version"},
        {"{\"v\":\"1\"}\n", "version"},
        {"{\"v\":2,\"seq\":1}\n", "newer orch-sandbox"},
        {"{\"v\":1}\n", "sequence"},
        {"{\"v\":1,\"seq\":1}\n", "prev"},
        {"{\"v\":1,\"seq\":1,\"prev\":1}\n", "prev"},
        {"{\"v\":1,\"seq\":1,\"prev\":\"x\"}\n", "follow"},
        {"{\"v\":1,\"seq\":1,\"prev\":\"x\",\"a\":1}\n", "prev"},
        {"{\"v\":1,\"v\":1,\"seq\":1}\n", "not valid JSON"},
        {"{\"v\":1,\"seq\":1,\"a\":\"\xc3\xa4\"}\n", "ASCII"},
        {"{\"v\":1,\"seq\":1}\r\n", "ASCII"},
    };
    struct orch_err err;
    char head[ORCH_HEX_SIZE];
    bool torn;

    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(cases); i++) {
        spill(cases[i].line, strlen(cases[i].line));
        assert_bad(1);
        (void)verify(&torn, head, &err);
        assert_non_null(strstr(err.msg, cases[i].says));
    }
}

static void chain_endless_line_is_refused_in_bounded_memory(void **state)
{
    ORCH_AUTO_FREE char *big = orch_xmalloc(3u << 20);

    (void)state;
    memset(big, ' ', 3u << 20);
    spill(big, 3u << 20);
    assert_bad(1);
    big[ORCH_JSON_MAX_BYTES] = '\n'; /* a byte too long */
    spill(big, ORCH_JSON_MAX_BYTES + 1);
    assert_bad(1);
}

static void chain_torn_tail_is_no_tampering(void **state)
{
    ORCH_AUTO_BUF struct orch_buf file = {0};
    struct orch_err err;
    struct span v[3];
    char want[ORCH_HEX_SIZE], head[ORCH_HEX_SIZE];
    bool torn;

    (void)state;
    create(3);
    slurp(&file);
    split(&file, v, 3);
    spill(file.data, file.len - v[2].n);
    assert_int_equal(verify(&torn, want, &err), 0);
    assert_false(torn);
    for (size_t cut = 1; cut < v[2].n; cut++) {
        spill(file.data, file.len - cut);
        assert_int_equal(verify(&torn, head, &err), 0);
        assert_true(torn);
        assert_string_equal(head, want);
    }
}

static void chain_goes_on_behind_a_torn_tail(void **state)
{
    ORCH_AUTO_BUF struct orch_buf file = {0};
    struct orch_err err = {0};
    struct orch_chain c;
    char head[ORCH_HEX_SIZE];
    uint64_t n = 0;
    bool torn;

    (void)state;
    create(3);
    slurp(&file);
    spill(file.data, file.len - 5);
    assert_int_equal(orch_chain_continue(dir_fd, NAME, &c, &torn, &err), 0);
    assert_true(torn);
    assert_int_equal(c.seq, 3);
    append(&c, "again");
    orch_chain_fini(&c);
    assert_int_equal(orch_chain_continue(dir_fd, NAME, &c, &torn, &err), 0);
    assert_false(torn);
    append(&c, "and again");
    orch_chain_fini(&c);
    assert_int_equal(orch_chain_read(dir_fd, NAME, count_record, &n, &torn, head, &err), 0);
    assert_int_equal(n, 4);
    assert_string_equal(head, c.prev);
}

static void chain_continue_refuses_a_changed_file_and_leaves_it(void **state)
{
    ORCH_AUTO_BUF struct orch_buf file = {0}, after = {0};
    struct orch_err err = {0};
    struct orch_chain c;
    bool torn;

    (void)state;
    create(3);
    slurp(&file);
    file.data[30] ^= 1;
    file.len -= 5; /* torn as well: evidence is not cut */
    spill(file.data, file.len);
    assert_int_equal(orch_chain_continue(dir_fd, NAME, &c, &torn, &err), -EBADMSG);
    assert_int_equal(err.exit_code, ORCH_EXIT_CORRUPT);
    slurp(&after);
    assert_int_equal(after.len, file.len);
    assert_memory_equal(after.data, file.data, file.len);
}

static void chain_create_never_replaces_and_open_takes_only_files(void **state)
{
    struct orch_err err = {0};
    struct orch_chain c;
    bool torn;

    (void)state;
    create(1);
    assert_int_equal(orch_chain_create(dir_fd, NAME, &c, &err), -EEXIST);
    assert_int_equal(err.exit_code, ORCH_EXIT_STATE);
    assert_int_equal(symlinkat(NAME, dir_fd, "link"), 0);
    assert_int_equal(orch_chain_read(dir_fd, "link", NULL, NULL, NULL, NULL, &err), -ELOOP);
    assert_int_equal(orch_chain_continue(dir_fd, "gone", &c, &torn, &err), -ENOENT);
    assert_int_equal(err.exit_code, ORCH_EXIT_CORRUPT);
    assert_int_equal(mkfifoat(dir_fd, "fifo", 0600), 0);
    assert_int_equal(orch_chain_read(dir_fd, "fifo", NULL, NULL, NULL, NULL, &err), -EBADMSG);
}

static void chain_record_begun_before_another_is_refused(void **state)
{
    ORCH_AUTO_BUF struct orch_buf line = {0};
    struct orch_jw w = {.out = &line};
    struct orch_err err = {0};
    struct orch_chain c;

    (void)state;
    (void)unlinkat(dir_fd, NAME, 0);
    assert_int_equal(orch_chain_create(dir_fd, NAME, &c, &err), 0);
    orch_chain_begin(&c, &w);
    append(&c, "between");
    assert_int_equal(orch_chain_commit(&c, &w, true, &err), -EINVAL);
    orch_chain_fini(&c);
}

/* A full disk: short write, then the chain is unusable, and what is left is torn, not tampered with. */
static void chain_is_unusable_after_a_short_write(void **state)
{
    struct rlimit old, low = {.rlim_cur = 500};
    ORCH_AUTO_BUF struct orch_buf line = {0};
    struct orch_jw w = {.out = &line};
    struct orch_err err = {0};
    struct orch_chain c;
    char head[ORCH_HEX_SIZE];
    bool torn;
    int rc;

    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    create(1);
    assert_int_equal(orch_chain_continue(dir_fd, NAME, &c, &torn, &err), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    low.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    do {
        orch_chain_begin(&c, &w);
        orch_jw_str(&w, "event", "filler");
        rc = orch_chain_commit(&c, &w, true, &err);
    } while (rc == 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(err.exit_code, ORCH_EXIT_STATE);
    orch_chain_begin(&c, &w);
    assert_int_equal(orch_chain_commit(&c, &w, true, &err), -EBADF);
    assert_int_equal(verify(&torn, head, &err), 0);
    assert_true(torn);
    assert_int_equal(orch_chain_continue(dir_fd, NAME, &c, &torn, &err), 0);
    append(&c, "space again");
    orch_chain_fini(&c);
    assert_int_equal(verify(&torn, head, &err), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(chain_reads_what_it_wrote),
        TEST(chain_walk_ends_when_asked),
        TEST(chain_prev_is_the_digest_of_the_line_before),
        TEST(chain_flipped_byte_is_noticed),
        TEST(chain_dropped_swapped_repeated_records_are_noticed),
        TEST(chain_record_of_another_chain_is_noticed),
        TEST(chain_lines_that_are_no_records_are_noticed),
        TEST(chain_endless_line_is_refused_in_bounded_memory),
        TEST(chain_torn_tail_is_no_tampering),
        TEST(chain_goes_on_behind_a_torn_tail),
        TEST(chain_continue_refuses_a_changed_file_and_leaves_it),
        TEST(chain_create_never_replaces_and_open_takes_only_files),
        TEST(chain_record_begun_before_another_is_refused),
        TEST(chain_is_unusable_after_a_short_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
