/* test_layer_threads.c - a layer of so many directories that two threads look for its changes: the same list
 * as from one, in order, each once; the first failure is told. */
#include "tests/unit/sandbox/layer_fixture.h"

#define DIRS 400
#define ROUNDS 20

/* Every directory keeps a file, changes one, and has a new directory with a new file. */
static void make(const char *root, unsigned i, const char *text, bool added)
{
    ORCH_AUTO_FREE char *dir = orch_xasprintf("%s/d%03u/%s", root, i, added ? "new" : "");
    ORCH_AUTO_FREE char *same = orch_xasprintf("%s/d%03u/same", root, i);
    ORCH_AUTO_FREE char *other = orch_xasprintf("%s/d%03u/other", root, i);
    ORCH_AUTO_FREE char *made = orch_xasprintf("%s/d%03u/new/made", root, i);

    assert_int_equal(orch_mkdir_p(dir, 0755), 0);
    assert_int_equal(fx_write(same, "same"), 0);
    assert_int_equal(fx_write(other, text), 0);
    if (added)
        assert_int_equal(fx_write(made, text), 0);
}

static void fill(struct fx *fx)
{
    ORCH_AUTO_FREE char *upper = NULL;

    fx_init(fx);
    upper = fx_upper(fx, fx->n_up++);
    for (unsigned i = 0; i < DIRS; i++) {
        make(fx->ws, i, "old", false);
        make(upper, i, "new", true);
    }
}

static void both_threads_give_one_list(void **state)
{
    static const struct {
        const char *leaf;
        enum orch_change_kind kind;
    } want[] = {{"new", ORCH_CREATED}, {"new/made", ORCH_CREATED}, {"other", ORCH_MODIFIED}};
    struct orch_view v = {0};
    struct fx fx;

    (void)state;
    fill(&fx);
    fx_view(&fx, &v);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct orch_changes c = {0};
        struct orch_err err = {0};

        assert_int_equal(orch_view_changes(&v, 1, &c, &err), 0);
        assert_int_equal(c.n, DIRS * ORCH_NELEM(want));
        for (unsigned i = 0; i < c.n; i++) {
            ORCH_AUTO_FREE char *path = orch_xasprintf("d%03u/%s", i / 3, want[i % 3].leaf);

            assert_string_equal(c.v[i].path, path);
            assert_int_equal(c.v[i].kind, want[i % 3].kind);
        }
        orch_changes_fini(&c);
    }
    orch_view_fini(&v);
    fx_fini(&fx);
}

/* An ordinary user cannot look into a directory of mode 0. */
static void a_failure_in_one_thread_ends_both(void **state)
{
    ORCH_AUTO_FREE char *upper = NULL;
    ORCH_AUTO_FREE char *bad = NULL;
    struct orch_changes c = {0};
    struct orch_err err = {0};
    struct orch_view v = {0};
    struct fx fx;

    (void)state;
    fill(&fx);
    upper = fx_upper(&fx, 0);
    bad = orch_xasprintf("%s/d123/new", upper);
    fx_view(&fx, &v);
    assert_int_equal(chmod(bad, 0), 0);
    if (geteuid() == 0) /* root may read it: the control */
        assert_int_equal(orch_view_changes(&v, 1, &c, &err), 0);
    else {
        assert_int_equal(orch_view_changes(&v, 1, &c, &err), -EACCES);
        assert_non_null(strstr(err.msg, "d123"));
        assert_int_equal(c.n, 0);
    }
    assert_int_equal(chmod(bad, 0755), 0);
    orch_changes_fini(&c);
    orch_view_fini(&v);
    fx_fini(&fx);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_threads_give_one_list),
        cmocka_unit_test(a_failure_in_one_thread_ends_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
