/* The audit log: exact counts, one ASCII line per record whatever the names, and a full disk that stops the
 * attempt. */
#include "tests/unit/supervisor/audit_check.h"

#include <signal.h>
#include <sys/resource.h>

struct tally {
    uint64_t records, denials, execs, sum, exec_sum, beyond;
};

static int add_record(void *ctx, const struct orch_json *doc)
{
    const cJSON *rec = orch_json_root(doc);
    const char *event = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(rec, "event"));
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(rec, "count");
    struct tally *t = ctx;

    t->records++;
    if (strcmp(event, "denial") == 0) {
        t->denials++;
        t->sum += (uint64_t)n->valuedouble;
        if (!cJSON_GetObjectItemCaseSensitive(rec, "syscall"))
            t->beyond += (uint64_t)n->valuedouble;
    } else if (strcmp(event, "exec") == 0) {
        t->execs++;
        t->exec_sum += (uint64_t)n->valuedouble;
    }
    return 0;
}

static struct tally tally(void)
{
    struct tally t = {0};
    bool torn;

    assert_int_equal(orch_chain_read(dir_fd, NAME, add_record, &t, &torn, NULL, &err), 0);
    assert_false(torn);
    return t;
}

static void audit_record_has_the_documented_form(void **state)
{
    struct orch_audit *a = open_log();
    struct orch_denial d = denial("/home/u/.ssh/id_ed25519");
    ORCH_AUTO_BUF struct orch_buf file = {0};
    const char *rest;

    (void)state;
    deny(a, &d);
    orch_audit_close(a);
    slurp(&file);
    assert_int_equal(strncmp(file.data, "{\"v\":1,\"seq\":1,\"time\":\"", 23), 0);
    rest = strstr(file.data, "\"run\"");
    assert_string_equal(
        rest, "\"run\":\"r-1\",\"phase\":\"plan\",\"attempt\":1,\"event\":\"denial\","
              "\"class\":\"filesystem\",\"syscall\":\"openat\",\"path\":\"/home/u/.ssh/id_ed25519\","
              "\"access\":\"read\",\"pid\":4711,\"exe\":\"/usr/bin/cat\",\"comm\":\"cat\","
              "\"action\":\"errno\",\"errno\":\"ENOENT\",\"rule\":\"profiles/plan.json#/filesystem/3\","
              "\"count\":1,\"prev\":"
              "\"0000000000000000000000000000000000000000000000000000000000000000\"}\n");
}

static void t_aud_03_a_million_denials_are_few_records_and_exact(void **state)
{
    struct orch_audit *a = open_log();
    struct orch_denial_counts counts;
    uint64_t total, start, elapsed;
    struct orch_denial d = denial("/etc/shadow");
    struct tally t;

    (void)state;
    start = orch_now_ms();
    for (int i = 0; i < 1000000; i++) {
        d.pid = 1000 + i % 100; /* time and pid do not tell denials apart */
        deny(a, &d);
        if (i % 250000 == 1000)
            assert_int_equal(orch_audit_flush(a, 0, &err), 0);
    }
    elapsed = orch_now_ms() - start;
    orch_audit_counts(a, &counts, &total);
    assert_int_equal(counts.filesystem, 1000000);
    assert_int_equal(total, 1000000);
    orch_audit_close(a);
    t = tally();
    assert_int_equal(t.sum, 1000000);
    assert_int_equal(t.records, 1 + 4 + 1);
    print_message("a folded denial: %llu ns\n", (unsigned long long)elapsed);
    assert_true(elapsed < 20000); /* generous: sanitizers and slow machines */
}

static void audit_differences_are_not_folded(void **state)
{
    struct orch_audit *a = open_log();
    struct orch_denial base = denial("/a"), v[12];

    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(v); i++)
        v[i] = base;
    v[1].class = ORCH_CLASS_EXEC;
    v[2].syscall = "open";
    v[3].path = "/b";
    v[4].path2 = "/b";
    v[5].access = NULL;
    v[6].exe = "/bin/x";
    v[7].comm = "";
    v[8].comm = NULL;
    v[9].errnum = EACCES;
    v[10].detail = "decoded";
    v[11].quiet = true;
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < ORCH_NELEM(v); i++)
            deny(a, &v[i]);
    }
    assert_int_equal(tally().records, ORCH_NELEM(v)); /* at once, not only at the end */
    orch_audit_close(a);
    assert_int_equal(tally().records, 2 * ORCH_NELEM(v));
    assert_int_equal(tally().sum, 3 * ORCH_NELEM(v));
}

static void audit_flush_keeps_its_interval(void **state)
{
    struct orch_audit *a = open_log();
    struct orch_denial d = denial("/a");

    (void)state;
    deny(a, &d);
    deny(a, &d);
    assert_int_equal(orch_audit_flush(a, 3600000, &err), 0);
    assert_int_equal(tally().sum, 1);
    assert_int_equal(orch_audit_flush(a, 0, &err), 0);
    assert_int_equal(tally().sum, 2);
    assert_int_equal(orch_audit_flush(a, 0, &err), 0);
    assert_int_equal(tally().records, 2);
    orch_audit_close(a);
}

static void audit_quiet_denials_are_recorded_but_not_counted(void **state)
{
    struct orch_audit *a = open_log();
    const struct orch_denial_group *groups;
    struct orch_denial d = denial("/noise");
    struct orch_denial_counts counts;
    uint64_t total;

    (void)state;
    d.quiet = true;
    for (int i = 0; i < 10; i++)
        deny(a, &d);
    orch_audit_counts(a, &counts, &total);
    assert_int_equal(counts.filesystem, 0);
    assert_int_equal(total, 0);
    assert_int_equal(orch_audit_groups(a, true, &groups), 0);
    orch_audit_close(a);
    assert_int_equal(tally().sum, 10);
}

static void audit_counts_are_per_scope_and_total_is_not(void **state)
{
    struct orch_audit *a = open_log();
    struct orch_denial d = denial("/a");
    struct orch_denial_counts counts;
    uint64_t total;

    (void)state;
    deny(a, &d);
    d.class = ORCH_CLASS_NETWORK;
    deny(a, &d);
    deny(a, &d);
    assert_int_equal(orch_audit_scope(a, "plan", 1, "unit-tests", &err), 0);
    assert_int_equal(tally().sum, 3); /* folds do not leak into the next scope */
    deny(a, &d);
    orch_audit_counts(a, &counts, &total);
    assert_int_equal(counts.network, 1);
    assert_int_equal(counts.filesystem, 0);
    orch_audit_add_total(a, 100);
    orch_audit_counts(a, NULL, &total);
    assert_int_equal(total, 104);
    orch_audit_close(a);
}

static void audit_groups_add_up(void **state)
{
    struct orch_audit *a = open_log();
    const struct orch_denial_group *g;
    struct orch_denial d = denial("/a");

    (void)state;
    deny(a, &d);
    d.comm = "other"; /* not part of a group */
    deny(a, &d);
    deny(a, &d);
    d.path = "/b";
    deny(a, &d);
    assert_int_equal(orch_audit_groups(a, true, &g), 2);
    assert_int_equal(g[0].count, 3);
    assert_string_equal(g[0].class_name, "filesystem");
    assert_string_equal(g[0].path, "/a");
    assert_string_equal(g[0].errname, "ENOENT");
    assert_string_equal(g[0].phase, "plan");
    assert_int_equal(g[1].count, 1);
    assert_int_equal(orch_audit_scope(a, "implement", 2, NULL, &err), 0);
    assert_int_equal(orch_audit_groups(a, true, &g), 0);
    deny(a, &d);
    assert_int_equal(orch_audit_groups(a, true, &g), 1);
    assert_int_equal(g[0].attempt, 2);
    assert_int_equal(orch_audit_groups(a, false, &g), 3);
    orch_audit_close(a);
}

static void audit_programs_are_folded_by_path(void **state)
{
    struct orch_audit *a = open_log();
    struct orch_exec_event e = {.path = "/usr/bin/make", .pid = 5};

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(orch_audit_exec(a, &e, &err), 0);
    e.path = "/usr/bin/cc";
    assert_int_equal(orch_audit_exec(a, &e, &err), 0);
    orch_audit_close(a);
    assert_int_equal(tally().execs, 3);
    assert_int_equal(tally().exec_sum, 101);
}

/* The bytes a reader gets for a member: from KEY_b64 if that is there. */
static void exact_bytes(const cJSON *rec, const char *key, struct orch_buf *out)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char twin[32];
    const char *p;
    uint32_t bits = 0;
    int n = 0;

    (void)snprintf(twin, sizeof(twin), "%s_b64", key);
    p = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(rec, twin));
    if (!p) {
        orch_buf_str(out, cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(rec, key)));
        return;
    }
    for (; *p && *p != '='; p++) {
        bits = bits << 6 | (uint32_t)(strchr(alphabet, *p) - alphabet);
        n += 6;
        if (n >= 8) {
            n -= 8;
            orch_buf_char(out, (char)(bits >> n & 0xff));
        }
    }
}

static const char *const hostile[] = {
    "/w/new\nline",
    "/w/esc\033[2J\033]0;x\007",
    "/w/sep\xe2\x80\xa8x\xe2\x80\xae",
    "/w/bad\xff\xfe\x80",
    "/w/half\xe2\x80",
    "/w/\",\"event\":\"run\",\"x\":\"",
    "/w/x\"}\n{\"v\":1,\"seq\":2,\"event\":\"denial\",\"count\":999999,\"prev\":\"\"}\n",
    "/w/back\\slash\\u0000\r\t\x7f",
    "",
};

struct seen {
    size_t n;
};

static int check_hostile(void *ctx, const struct orch_json *doc)
{
    static const char *const keys[] = {"path", "path2", "exe", "comm"};
    struct seen *s = ctx;

    for (size_t i = 0; i < ORCH_NELEM(keys); i++) {
        ORCH_AUTO_BUF struct orch_buf got = {0};

        exact_bytes(orch_json_root(doc), keys[i], &got);
        assert_string_equal(got.len ? got.data : "", hostile[s->n]);
    }
    s->n++;
    return 0;
}

static void t_aud_04_hostile_names_stay_one_ascii_line_with_exact_bytes(void **state)
{
    struct orch_audit *a = open_log();
    ORCH_AUTO_BUF struct orch_buf file = {0};
    struct seen s = {0};
    size_t lines = 0;

    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(hostile); i++) {
        struct orch_denial d = denial(hostile[i]);
        d.path2 = d.exe = d.comm = hostile[i];
        deny(a, &d);
    }
    orch_audit_close(a);
    slurp(&file);
    for (size_t i = 0; i < file.len; i++) {
        lines += file.data[i] == '\n';
        assert_true(file.data[i] == '\n' || (file.data[i] >= 0x20 && file.data[i] <= 0x7e));
    }
    assert_int_equal(lines, ORCH_NELEM(hostile));
    assert_int_equal(orch_chain_read(dir_fd, NAME, check_hostile, &s, NULL, NULL, &err), 0);
    assert_int_equal(s.n, ORCH_NELEM(hostile));
}

static void audit_distinct_denials_beyond_the_cap_are_counted_by_class(void **state)
{
    enum { EXTRA = 1000 };
    struct orch_audit *a = open_log();
    const struct orch_denial_group *g;
    uint64_t total, sum = 0;
    struct tally t;
    size_t n;

    (void)state;
    for (int i = 0; i < ORCH_AUDIT_MAX_DISTINCT + EXTRA; i++) {
        char path[32];
        struct orch_denial d = denial(path);

        (void)snprintf(path, sizeof(path), "/p/%d", i);
        deny(a, &d);
    }
    n = orch_audit_groups(a, true, &g);
    assert_true(n < 10000);
    for (size_t i = 0; i < n; i++)
        sum += g[i].count;
    assert_int_equal(sum, ORCH_AUDIT_MAX_DISTINCT + EXTRA);
    orch_audit_counts(a, NULL, &total);
    assert_int_equal(total, sum);
    orch_audit_close(a);
    t = tally();
    assert_int_equal(t.records, ORCH_AUDIT_MAX_DISTINCT + 1);
    assert_int_equal(t.sum, ORCH_AUDIT_MAX_DISTINCT + EXTRA);
    assert_int_equal(t.beyond, EXTRA);
}

/* What an agent is told must not depend on how much of what it asked for exists on the host. */
static void audit_groups_of_the_absent_take_no_room_of_others(void **state)
{
    struct orch_audit *a = orch_audit_null();
    const struct orch_denial_group *g;
    struct orch_denial told = denial("/told");
    size_t n, found = 0;

    (void)state;
    for (int i = 0; i < 70000; i++) {
        char path[32];
        struct orch_denial d = denial(path);

        (void)snprintf(path, sizeof(path), "/absent/%d", i);
        d.rule = "sandbox#/not-in-view";
        deny(a, &d);
    }
    deny(a, &told);
    deny(a, &told);
    n = orch_audit_groups(a, true, &g);
    for (size_t i = 0; i < n; i++)
        if (g[i].path && strcmp(g[i].path, "/told") == 0)
            found = g[i].count;
        else
            assert_string_equal(g[i].rule, "sandbox#/not-in-view");
    assert_int_equal(found, 2);
    orch_audit_close(a);
}

static void audit_long_names_do_not_fill_memory(void **state)
{
    struct orch_audit *a = orch_audit_null();
    ORCH_AUTO_FREE char *path = orch_xmalloc(1u << 20);
    uint64_t total;

    (void)state;
    memset(path, 'x', 1u << 20);
    path[(1u << 20) - 1] = '\0';
    for (int i = 0; i < 200; i++) {
        struct orch_denial d = denial(path);
        path[0] = (char)(1 + i);
        deny(a, &d);
    }
    orch_audit_counts(a, NULL, &total);
    assert_int_equal(total, 200);
    orch_audit_close(a);
}

static void audit_unwritable_log_asks_for_exit_10(void **state)
{
    struct rlimit old, low = {.rlim_cur = 1000};
    struct orch_audit *a = open_log();
    struct orch_denial d;
    char path[32];
    int rc = 0;

    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    low.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    for (int i = 0; rc == 0 && i < 100; i++) {
        (void)snprintf(path, sizeof(path), "/p/%d", i);
        d = denial(path);
        rc = orch_audit_denial(a, &d, &err);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_true(rc == -ENOSPC || rc == -EFBIG);
    assert_int_equal(err.exit_code, ORCH_EXIT_STATE);
    err = (struct orch_err){0};
    d = denial("/later"); /* and it stays so, with space again */
    assert_true(orch_audit_denial(a, &d, &err) < 0);
    assert_int_equal(err.exit_code, ORCH_EXIT_STATE);
    orch_audit_close(a);
}

static void audit_other_events_share_the_chain_and_resume_goes_on(void **state)
{
    struct orch_audit *a = open_log();
    struct orch_jw w;
    char head[ORCH_HEX_SIZE];

    (void)state;
    orch_audit_begin(a, "attempt", &w);
    orch_jw_str(&w, "level", "opens");
    assert_int_equal(orch_audit_commit(a, &w, &err), 0);
    (void)snprintf(head, sizeof(head), "%s", orch_audit_head(a));
    orch_audit_close(a);
    assert_int_equal(orch_audit_open(dir_fd, NAME, "r-1", false, &a, &err), -EEXIST);
    assert_int_equal(orch_audit_open(dir_fd, NAME, "r-1", true, &a, &err), 0);
    assert_string_equal(orch_audit_head(a), head);
    orch_audit_begin(a, "run", &w);
    assert_int_equal(orch_audit_commit(a, &w, &err), 0);
    orch_audit_close(a);
    assert_int_equal(tally().records, 2);
}

static void audit_null_only_counts(void **state)
{
    struct orch_audit *a = orch_audit_null();
    const struct orch_denial_group *g;
    struct orch_denial d = denial("/a");
    struct orch_jw w;
    uint64_t total;

    (void)state;
    deny(a, &d);
    deny(a, &d);
    orch_audit_begin(a, "run", &w);
    assert_int_equal(orch_audit_commit(a, &w, &err), 0);
    assert_int_equal(orch_audit_flush(a, 0, &err), 0);
    orch_audit_counts(a, NULL, &total);
    assert_int_equal(total, 2);
    assert_int_equal(orch_audit_groups(a, false, &g), 1);
    assert_int_equal(g[0].count, 2);
    orch_audit_close(a);
    orch_audit_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(audit_record_has_the_documented_form),
        TEST(t_aud_03_a_million_denials_are_few_records_and_exact),
        TEST(audit_differences_are_not_folded),
        TEST(audit_flush_keeps_its_interval),
        TEST(audit_quiet_denials_are_recorded_but_not_counted),
        TEST(audit_counts_are_per_scope_and_total_is_not),
        TEST(audit_groups_add_up),
        TEST(audit_programs_are_folded_by_path),
        TEST(t_aud_04_hostile_names_stay_one_ascii_line_with_exact_bytes),
        TEST(audit_distinct_denials_beyond_the_cap_are_counted_by_class),
        TEST(audit_groups_of_the_absent_take_no_room_of_others),
        TEST(audit_long_names_do_not_fill_memory),
        TEST(audit_unwritable_log_asks_for_exit_10),
        TEST(audit_other_events_share_the_chain_and_resume_goes_on),
        TEST(audit_null_only_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
