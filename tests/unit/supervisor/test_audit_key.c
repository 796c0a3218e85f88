/* test_audit_key.c - what tells records apart, and that a repeat written from its key says what the first
 * did. */
#include "audit_check.h"

#include <sys/socket.h>

static const char *const two[] = {"/bin/sh", "", NULL}, *const one[] = {"/bin/sh", NULL},
                         *const none[] = {NULL};

/* The records of the log without what each has of its own. */
static size_t read_records(char **ret, size_t max)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    size_t n = 0;

    slurp(&b);
    for (char *line = b.data, *end; n < max && (end = strchr(line, '\n')); line = end + 1) {
        cJSON *rec;

        *end = '\0';
        rec = cJSON_Parse(line);
        assert_non_null(rec);
        cJSON_DeleteItemFromObject(rec, "seq");
        cJSON_DeleteItemFromObject(rec, "time");
        cJSON_DeleteItemFromObject(rec, "prev");
        cJSON_DeleteItemFromObject(rec, "count");
        ret[n++] = cJSON_PrintUnformatted(rec);
        cJSON_Delete(rec);
    }
    return n;
}

/* First the occurrences, then the repeats, in some order: each of these says what one of those did. */
static void assert_repeats_are_like_firsts(size_t kinds)
{
    char *v[128];
    size_t n = read_records(v, 128), like = 0;

    assert_int_equal(n, 2 * kinds);
    for (size_t i = kinds; i < n; i++)
        for (size_t k = 0; k < kinds; k++)
            like += strcmp(v[i], v[k]) == 0;
    for (size_t i = 0; i < n; i++)
        free(v[i]);
    assert_int_equal(like, kinds);
}

static void denials_differ_by_who_and_by_arguments_but_not_by_process_and_thread(void **state)
{
    static const uint64_t reads[6] = {0, 0, O_RDONLY}, writes[6] = {0, 0, O_WRONLY},
                          same[6] = {7, 7, O_WRONLY | 1ull << 40, 0644, 5, 6},
                          makes[6] = {0, 0, O_CREAT, 0600};
    struct orch_audit *a = open_log();
    struct orch_denial v[12];

    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(v); i++)
        v[i] = denial("/a");
    v[1].parents = none;
    v[2].parents = one;
    v[3].parents = two;
    v[4].args = reads;
    v[5].args = writes;
    v[6].args = makes;
    v[7].class = ORCH_CLASS_NETWORK;
    v[7].family = AF_UNIX;
    v[7].nr = 42;
    v[7].syscall = "connect";
    v[7].args = reads;
    v[8].exe = "/bin/\xff";
    v[9].exe = "/bin/\xff";
    v[9].parents = two;
    v[10].class = ORCH_CLASS_SYSCALL;
    v[10].nr = 105;
    v[10].syscall = "setuid";
    v[10].args = same;
    v[11].rule = "plan.json#/filesystem/4";
    for (size_t i = 0; i < ORCH_NELEM(v); i++)
        deny(a, &v[i]);
    v[5].args = same;
    for (size_t i = 0; i < ORCH_NELEM(v); i++)
        deny(a, &v[i]);
    orch_audit_close(a);
    assert_repeats_are_like_firsts(ORCH_NELEM(v));
}

static void process_and_thread_of_a_repeat_are_the_last_ones(void **state)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    struct orch_audit *a = open_log();
    struct orch_denial d = denial("/a");

    (void)state;
    d.tid = d.pid;
    deny(a, &d);
    d.pid = 12;
    d.tid = 13;
    deny(a, &d);
    orch_audit_close(a);
    slurp(&b);
    assert_non_null(strstr(b.data, "\"pid\":4711,\"exe\""));
    assert_non_null(strstr(b.data, "\"pid\":12,\"tid\":13,\"exe\""));
}

static void execs_differ_by_arguments_and_by_who(void **state)
{
    static const char *const argv[][3] = {{"a", "b"}, {"a", "c"}, {"a"}, {""}, {NULL}};
    struct orch_audit *a = open_log();
    struct orch_exec_event e[8];

    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(e); i++)
        e[i] = (struct orch_exec_event){
            .path = "/usr/bin/make", .pid = 5, .tid = 5, .exe = "/bin/sh", .argv = i < 5 ? argv[i] : NULL};
    e[6].parents = two;
    e[7].comm = "x";
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < ORCH_NELEM(e); i++)
            assert_int_equal(orch_audit_exec(a, &e[i], &err), 0);
    orch_audit_close(a);
    assert_repeats_are_like_firsts(ORCH_NELEM(e));
}

static void too_many_programs_are_counted_by_class(void **state)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    struct orch_audit *a = open_log();
    struct orch_denial_counts counts;
    char exe[4012];

    (void)state;
    memset(exe, 'x', sizeof(exe));
    for (int i = 0; i < 3000; i++) { /* 12 MB of names of programs */
        struct orch_denial d = denial("/a");

        (void)snprintf(exe + sizeof(exe) - 12, 12, "%07d", i);
        d.exe = exe;
        deny(a, &d);
        deny(a, &d);
    }
    orch_audit_counts(a, &counts, NULL);
    assert_int_equal(counts.filesystem, 6000);
    orch_audit_close(a);
    slurp(&b);
    assert_true(b.len < 11u << 20);
    assert_non_null(strstr(b.data, "distinct denials beyond the cap"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(denials_differ_by_who_and_by_arguments_but_not_by_process_and_thread),
        TEST(process_and_thread_of_a_repeat_are_the_last_ones),
        TEST(execs_differ_by_arguments_and_by_who),
        TEST(too_many_programs_are_counted_by_class),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
