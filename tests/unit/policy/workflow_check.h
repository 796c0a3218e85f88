/* workflow_check.h - for tests of workflows: load a text from a file, compare what is reported. Beside
 * profile_check.h, whose directory it uses. */
#ifndef TESTS_UNIT_POLICY_WORKFLOW_CHECK_H
#define TESTS_UNIT_POLICY_WORKFLOW_CHECK_H

#include "policy/workflow.h"
#include "tests/unit/policy/profile_check.h"

__attribute__((unused)) static struct orch_workflow *load_workflow(const char *text, char **ret_errors)
{
    struct orch_workflow *w = NULL;
    struct orch_diags d = {0};
    put("wf.json", text);
    ORCH_AUTO_FREE char *path = orch_xasprintf("%s/wf.json", dir);
    int r = orch_workflow_load(path, &w, &d);
    assert_int_equal(r, d.n == 0 ? 0 : -EINVAL);
    assert_true((w != NULL) == (d.n == 0));
    *ret_errors = render(&d);
    orch_diags_fini(&d);
    return w;
}

__attribute__((unused)) static struct orch_workflow *workflow_ok(const char *text)
{
    ORCH_AUTO_FREE char *errors = NULL;
    struct orch_workflow *w = load_workflow(text, &errors);
    if (w == NULL)
        fail_msg("%s\n%s", text, errors);
    return w;
}

#endif
