/* test_bombs.c - the largest documents that a reader looks at, of every list it has: good or bad, an answer
 * comes in bounded time, and all of a bad one is still an error. */
#include <time.h>
#include "policy/read.h"
#include "tests/unit/policy/workflow_check.h"

#if defined(__SANITIZE_ADDRESS__)
#define SLOWER 15
#else
#define SLOWER 1
#endif
#define LIMIT_MS (100 * SLOWER)
#define BYTES ((1u << 20) - 512)

/* head, then `element` with %u replaced by numbers as often as it fits, then tail. */
struct bomb {
    bool workflow;
    const char *head, *element, *tail;
};

#define P "{\"schema\": 1, \"name\": \"t\", "
#define W "{\"schema\": 1, \"name\": \"w\", \"agent\": {\"command\": [\"a\"]}, "
#define GATE "{\"type\": \"denials\", \"max\": 0}"
#define PHASED W "\"phases\": [{\"name\": \"p\", \"profile\": \"plan\", \"gates\": ["

static const struct bomb bombs[] = {
    {false, P "\"tools\": [", "\"t%u\"", "]}"},
    {false, P "\"tools\": [", "\"sh\"", "]}"},
    {false, P "\"tools\": [", "0", "]}"},
    {false, P "\"tools\": [", "{\"name\": \"t%u\", \"path\": \"/x\"}", "]}"},
    {false, P "\"tools\": [{\"name\": \"x\", \"with\": [", "\"/x%u\"", "]}]}"},
    {false, P "\"tools\": [{\"name\": \"x\", \"with\": [", "1", "]}]}"},
    {false, P "\"filesystem\": [", "{\"path\": \"/x%u\", \"access\": \"ro\"}", "]}"},
    {false, P "\"filesystem\": [", "{\"path\": \"${tmp}/x\", \"access\": \"ro\"}", "]}"},
    {false, P "\"filesystem\": [", "{\"path\": \"${workspace}/**/x%u\", \"access\": \"ro\"}", "]}"},
    {false, P "\"filesystem\": [", "{}", "]}"},
    {false, P "\"filesystem\": [", "{\"pth\": 1}", "]}"},
    {false, P "\"extends\": \"base\", \"filesystem\": [",
     "{\"path\": \"/usr/a/b/c/x%u\", \"access\": \"ro\"}", "]}"},
    {false, P "\"extends\": \"base\", \"filesystem\": [",
     "{\"path\": \"${workspace}/${phase}/%u\", \"access\": \"ro\"}", "]}"},
    {false, P "\"create\": [", "\"file\"", "]}"},
    {false, P "\"create\": [", "\"fil\"", "]}"},
    {false, P "\"syscalls\": {\"allow\": [", "\"opennt%u\"", "]}}"},
    {false, P "\"syscalls\": {\"allow\": [", "\"read\"", "]}}"},
    {false, P "\"syscalls\": {\"rules\": [", "{\"syscalls\": [\"mkdir\"], \"action\": \"errno\"}", "]}}"},
    {false, P "\"syscalls\": {\"rules\": [",
     "{\"syscalls\": [\"kill\"], \"action\": \"errno\", \"args\": [{\"index\": 1, \"op\": \"eq\", \"value\": "
     "%u}]}",
     "]}}"},
    {false, P "\"extends\": \"base\", \"syscalls\": {\"rules\": [",
     "{\"syscalls\": [\"kill\"], \"action\": \"allow\", \"args\": [{\"index\": 1, \"op\": \"ne\", \"value\": "
     "%u}]}",
     "]}}"},
    {false, P "\"syscalls\": {\"rules\": [{\"action\": \"errno\", \"syscalls\": [", "\"@agent-base\"",
     "]}]}}"},
    {false, P "\"syscalls\": {\"rules\": [{\"action\": \"errno\", \"syscalls\": [\"kill\"], \"args\": [",
     "{\"index\": 1, \"op\": \"eq\", \"value\": \"TIOCSTY\"}", "]}]}}"},
    {false, P "\"env\": {\"pass\": [", "\"A%u\"", "]}}"},
    {false, P "\"env\": {\"set\": {", "\"A%u\": \"x\"", "}}}"},
    {false, P "\"env\": {\"set\": {", "\"A%u\": 1", "}}}"},
    {false, P, "\"k%u\": 1", "}"},
    {false, P "\"limits\": {", "\"pid%u\": 1", "}}"},
    {false, P, "\"tools\": []", "}"},
    {false, "", "[", ""},
    {false, P "\"reason\": \"", "xxxx%u", "\"}"},
    {true, W "\"phases\": [", "{\"name\": \"p%u\", \"profile\": \"plan\", \"gates\": [" GATE "]}", "]}"},
    {true, W "\"phases\": [", "{\"name\": \"p%u\", \"profile\": \"./absent%u.json\", \"gates\": []}", "]}"},
    {true, W "\"phases\": [", "{}", "]}"},
    {true, W "\"phases\": [", "0", "]}"},
    {true, PHASED, GATE, "]}]}"},
    {true, PHASED, "{\"type\": \"command\", \"run\": [\"a\"]}", "]}]}"},
    {true, PHASED, "{\"type\": \"command\", \"run\": [\"a\"], \"profile\": \"b%u\"}", "]}]}"},
    {true, PHASED, "{\"type\": \"any\", \"gates\": [" GATE "]}", "]}]}"},
    {true, PHASED, "{\"type\": \"fil\"}", "]}]}"},
    {true, PHASED, "{}", "]}]}"},
    {true, PHASED "{\"type\": \"changes\", \"allow\": [", "\"x%u/**\"", "]}]}]}"},
    {true, PHASED "{\"type\": \"changes\", \"allow\": [", "\"\"", "]}]}]}"},
    {true, PHASED "{\"type\": \"command\", \"run\": [", "\"x\"", "]}]}]}"},
    {true, PHASED GATE "]}], \"ignore_changes\": [", "\"x%u\"", "]}"},
    {true, "{\"schema\": 1, \"name\": \"w\", \"agent\": {\"command\": [\"a\"], \"pass_env\": [", "\"A%u\"",
     "]}, \"phases\": [{\"name\": \"p\", \"profile\": \"plan\", \"gates\": [" GATE "]}]}"},
    {true, "{\"schema\": 1, \"name\": \"w\", \"agent\": {\"command\": [\"a\"], \"env\": {", "\"A%u\": \"\"",
     "}}, \"phases\": [{\"name\": \"p\", \"profile\": \"plan\", \"gates\": [" GATE "]}]}"},
};

/* Elements of a list have commas between them; what is one string or one bracket has none. */
static void fill(const struct bomb *b, size_t bytes, struct orch_buf *out)
{
    bool list =
        strchr(b->element, '"') != NULL || strchr("{0", b->element[0]) != NULL || b->element[0] == '1';
    char one[256];
    orch_buf_str(out, b->head);
    for (unsigned i = 0; out->len + strlen(b->tail) + sizeof(one) < bytes; i++) {
        const char *at = strstr(b->element, "%u");
        ORCH_AUTO_FREE char *again = at != NULL ? orch_xstrdup(at + 2) : NULL;
        if (list && i > 0)
            orch_buf_char(out, ',');
        if (at == NULL)
            orch_buf_str(out, b->element);
        else
            orch_buf_printf(out, "%.*s%u%s", (int)(at - b->element), b->element, i, again);
    }
    orch_buf_str(out, b->tail);
}

static double cpu_ms(void)
{
    return (double)clock() * 1000 / CLOCKS_PER_SEC;
}

static void every_list_ends_in_time(void **state)
{
    (void)state;
    unsigned slow = 0;
    for (size_t i = 0; i < ORCH_NELEM(bombs); i++) {
        ORCH_AUTO_BUF struct orch_buf text = {0};
        struct orch_diags d = {0};
        struct orch_workflow *w = NULL;
        struct orch_profile *p = NULL;
        ORCH_AUTO_FREE char *path = orch_xasprintf("%s/t.json", dir);
        fill(&bombs[i], BYTES, &text);
        put("t.json", text.data);
        double start = cpu_ms();
        int r =
            bombs[i].workflow ? orch_workflow_load(path, &w, &d) : orch_profile_load("./t.json", dir, &p, &d);
        double took = cpu_ms() - start;
        assert_int_equal(r, d.n == 0 ? 0 : -EINVAL);
        if (took > LIMIT_MS) {
            slow++;
            print_error("%.80s... %s: %.0f ms, %zu errors, %s\n", bombs[i].head, bombs[i].element, took, d.n,
                        d.n > 0 ? d.v[0].msg : "");
        }
        orch_workflow_free(w);
        orch_profile_free(p);
        orch_diags_fini(&d);
    }
    assert_int_equal(slow, 0);
}

static void many_tools(unsigned n, struct orch_buf *out)
{
    orch_buf_str(out, P "\n\"tools\": [");
    for (unsigned i = 0; i < n; i++)
        orch_buf_printf(out, "%s\"t%u\"", i > 0 ? "," : "", i);
    orch_buf_str(out, "]}");
}

static void lists_end_at_the_limit(void **state)
{
    (void)state;
    ORCH_AUTO_BUF struct orch_buf ok = {0}, more = {0};
    many_tools(1024, &ok);
    many_tools(1025, &more);
    expect_ok(ok.data);
    expect_error(more.data, "2:10", "more than 1024 elements", 1);
}

/* 1024 phases with many unknown keys each: the first errors are shown, and that there are more. */
static void errors_end_at_the_limit(void **state)
{
    (void)state;
    ORCH_AUTO_BUF struct orch_buf b = {0};
    orch_buf_str(&b, W "\"phases\": [0");
    for (int i = 0; i < 1000; i++)
        orch_buf_str(&b,
                     ",{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1}");
    orch_buf_str(&b, "]}");
    ORCH_AUTO_FREE char *errors = NULL;
    assert_null(load_workflow(b.data, &errors));
    unsigned lines = 0;
    for (const char *l = errors; *l != '\0'; l++)
        lines += *l == '\n';
    assert_true(lines >= ORCH_RD_MAX_ERRORS && lines < ORCH_RD_MAX_ERRORS + 100);
    assert_true(reports(errors, "1:", "too many errors: the rest is not read", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_list_ends_in_time),
        cmocka_unit_test(lists_end_at_the_limit),
        cmocka_unit_test(errors_end_at_the_limit),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
