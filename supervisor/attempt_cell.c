/* attempt_cell.c - an attempt in tier nested: a copy of the workspace where tier full has an overlay. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/exit.h"
#include "supervisor/attempt.h"
#include "supervisor/preflight.h"

static int fill(struct orch_attempt *a, struct orch_err *err)
{
    struct orch_view view;
    int r = orch_view_open(&a->below, a->run->workspace, &view, err);

    if (r < 0)
        return r;
    r = orch_cell_enter(a->dir, &view, &a->cell, err);
    orch_view_fini(&view);
    return r;
}

int orch_attempt_enter_cell(struct orch_attempt *a, const char *prompt, struct orch_err *err)
{
    struct orch_plan *plan = NULL;
    struct orch_diags d = {0};
    int r = fill(a, err);

    if (r == 0)
        r = orch_run_compile_cell(a->run, a->index, prompt, a->n, &a->cell, &plan, &d);
    if (r < 0 && d.n)
        (void)orch_err_set(err, -r, "%s", d.v[0].msg);
    orch_diags_fini(&d);
    if (r < 0)
        return r;
    orch_plan_free(a->plan);
    a->plan = plan;
    return 0;
}

int orch_attempt_leave_cell(struct orch_attempt *a, struct orch_err *err)
{
    struct orch_err cause = {0};
    int r = orch_cell_leave(&a->cell, &a->below, a->run->workspace, a->upper, &cause);

    orch_cell_fini(&a->cell);
    if (r == 0)
        return 0;
    r = orch_err_host(&cause, err);
    if (r < 0)
        return r;
    a->outcome.end = ORCH_END_INTEGRITY;
    (void)snprintf(a->detail, sizeof(a->detail), "%.1100s", cause.msg);
    return 0;
}
