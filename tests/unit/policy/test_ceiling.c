/* test_ceiling.c - the ceiling of a workflow: what is beyond it is named before anything starts, and stays
 * found when a run is taken up again. */
#include "tests/unit/policy/workflow_check.h"

#define UNDER(ceiling, phases)                                                                               \
    "{\"schema\": 1, \"name\": \"w\", \"ceiling\": \"" ceiling "\", \"agent\": {\"command\": [\"a\"]},\n"    \
    "\"phases\": [" phases "]}"
#define PHASE(name, profile, gates)                                                                          \
    "{\"name\": \"" name "\", \"profile\": \"" profile "\",\n\"gates\": [" gates "]}"
#define CHANGES "{\"type\": \"changes\", \"max_files\": 9}"
#define TRUE_BY(profile) "{\"type\": \"command\", \"run\": [\"true\"], \"profile\": \"" profile "\"}"

static void refuse(const char *text, const char *place, const char *what, unsigned n)
{
    ORCH_AUTO_FREE char *errors = NULL;
    struct orch_workflow *w = load_workflow(text, &errors);
    if (w != NULL || !reports(errors, place, what, n))
        fail_msg("%s\nexpected %s %s (%u), got\n%s", text, place, what, n, errors);
}

static void ceiling_holds_for_phases_and_gates(void **state)
{
    (void)state;
    orch_workflow_free(workflow_ok(UNDER("implement", PHASE("p", "plan", CHANGES ", " TRUE_BY("verify")))));
    orch_workflow_free(workflow_ok(UNDER("plan", PHASE("p", "plan", CHANGES ", " TRUE_BY("base")))));
    refuse(UNDER("plan", PHASE("p", "implement", CHANGES)), "2:37",
           "profile 'implement' goes beyond the workflow's ceiling", 0);
    refuse(UNDER("plan", PHASE("p", "plan", TRUE_BY("verify"))), "3:", "profile 'verify' goes beyond", 0);
    refuse(UNDER("plan", PHASE("p", "plan", "{\"type\": \"command\", \"run\": [\"true\"]}")), "3:11",
           "profile 'gate' goes beyond", 0);
    refuse(UNDER("plan", PHASE("p", "plan", "{\"type\": \"any\", \"gates\": [" TRUE_BY("gate") "]}")),
           "3:", "profile 'gate' goes beyond", 0);
}

static void ceiling_names_the_key_with_both_places(void **state)
{
    (void)state;
    put("top.json",
        "{\"schema\": 1, \"name\": \"top\", \"extends\": \"plan\",\n\"limits\": {\"pids\": 100}}");
    put("p.json", "{\"schema\": 1, \"name\": \"p\", \"extends\": \"plan\",\n\"limits\": {\"pids\":\n101}}");
    put("q.json", "{\"schema\": 1, \"name\": \"q\", \"extends\": \"plan\",\n\"limits\": {\"pids\":\n99}}");
    refuse(UNDER("./top.json", PHASE("p", "./p.json", CHANGES)), "3:1",
           "limits.pids: beyond the ceiling 'top' (", 2);
    refuse(UNDER("./top.json", PHASE("p", "./p.json", CHANGES)), "3:1", "/top.json:2:20)", 2);
    refuse(UNDER("./top.json", PHASE("p", "./p.json", CHANGES)), "2:37", "'./p.json' goes beyond", 2);
    orch_workflow_free(workflow_ok(UNDER("./top.json", PHASE("p", "./q.json", CHANGES))));
}

/* Each profile is reported once, however many phases use it. */
static void ceiling_reports_a_profile_once(void **state)
{
    (void)state;
    refuse(UNDER("./top.json", PHASE("p", "./p.json", CHANGES) ",\n" PHASE("q", "./p.json", CHANGES)), "3:1",
           "limits.pids", 2);
}

static void widen_does_not_lift_the_ceiling(void **state)
{
    (void)state;
    put("wide.json", "{\"schema\": 1, \"name\": \"wide\", \"extends\": \"./top.json\", \"widen\": \"more\",\n"
                     "\"network\": {\"mode\": \"loopback\"}}");
    orch_workflow_free(workflow_ok(UNDER("./wide.json", PHASE("p", "./wide.json", CHANGES))));
    refuse(UNDER("./top.json", PHASE("p", "./wide.json", CHANGES)), "2:21",
           "network.mode: beyond the ceiling 'top'", 2);
}

static void ceiling_must_be_a_good_profile(void **state)
{
    (void)state;
    put("broken.json", "{\"schema\": 1, \"name\": \"broken\", \"tolls\": 1}");
    refuse(UNDER("./broken.json", PHASE("p", "plan", CHANGES)), "1:33", "did you mean 'tools'", 2);
    refuse(UNDER("./absent.json", PHASE("p", "plan", CHANGES)), "1:39", "'./absent.json' cannot be used", 2);
    refuse(UNDER("plann", PHASE("p", "plan", CHANGES)), "1:39", "did you mean 'plan'", 1);
    refuse(UNDER("/etc/passwd", PHASE("p", "plan", CHANGES)), "1:39", "starting with './'", 1);
    refuse(
        "{\"schema\": 1, \"name\": \"w\", \"ceiling\": null, \"phases\": [{\"name\": \"p\", \"agent\": null, "
        "\"gates\": [" CHANGES "]}]}",
        "1:39", "expected a string, found null", 1);
}

/* --- kept for resume --- */

static char *replaced(const struct orch_buf *in, const char *from, const char *to)
{
    struct orch_buf b = {0};
    const char *at = strstr(in->data, from);
    assert_non_null(at);
    orch_buf_add(&b, in->data, (size_t)(at - in->data));
    orch_buf_str(&b, to);
    orch_buf_str(&b, at + strlen(from));
    return orch_buf_take(&b);
}

static void ceiling_is_kept_and_measured_again(void **state)
{
    (void)state;
    struct orch_workflow *w = workflow_ok(UNDER("./top.json", PHASE("p", "./q.json", CHANGES))), *v = NULL;
    ORCH_AUTO_BUF struct orch_buf out = {0};
    struct orch_diags d = {0};
    orch_workflow_export(w, &out);
    put("top.json", "nothing that is read again");
    assert_int_equal(orch_workflow_import(out.data, out.len, &v, &d), 0);
    assert_string_equal(v->digest, w->digest);
    assert_string_equal(v->ceiling->name, "top");
    assert_string_equal(v->ceiling->digest, w->ceiling->digest);
    orch_workflow_free(v);
    orch_workflow_free(w);
    ORCH_AUTO_FREE char *more = replaced(&out, "99}}", "199}}");
    assert_int_equal(orch_workflow_import(more, strlen(more), &v, &d), -EINVAL);
    assert_non_null(strstr(d.v[0].msg, "limits.pids: beyond the ceiling 'top'"));
    orch_diags_fini(&d);
}

static void digest_follows_the_ceiling(void **state)
{
    (void)state;
    put("top.json",
        "{\"schema\": 1, \"name\": \"top\", \"extends\": \"plan\",\n\"limits\": {\"pids\": 100}}");
    struct orch_workflow *a = workflow_ok(UNDER("./top.json", PHASE("p", "./q.json", CHANGES)));
    put("top.json",
        "{\"schema\": 1, \"name\": \"top\", \"extends\": \"plan\",\n\"limits\": {\"pids\": 200}}");
    struct orch_workflow *b = workflow_ok(UNDER("./top.json", PHASE("p", "./q.json", CHANGES)));
    assert_string_not_equal(a->digest, b->digest);
    orch_workflow_free(a);
    orch_workflow_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ceiling_holds_for_phases_and_gates),
        cmocka_unit_test(ceiling_names_the_key_with_both_places),
        cmocka_unit_test(ceiling_reports_a_profile_once),
        cmocka_unit_test(widen_does_not_lift_the_ceiling),
        cmocka_unit_test(ceiling_must_be_a_good_profile),
        cmocka_unit_test(ceiling_is_kept_and_measured_again),
        cmocka_unit_test(digest_follows_the_ceiling),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
