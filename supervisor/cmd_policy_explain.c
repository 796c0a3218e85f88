/*
 * cmd_policy_explain.c - the verb `policy explain`.
 *
 * The exit status is 0 whatever the verdict is: it says that the question was answered.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/escape.h"
#include "common/exit.h"
#include "supervisor/explain.h"

static int unknown(const char *name, struct orch_err *err)
{
    ORCH_AUTO_FREE char *shown = orch_escape_str(name);
    const char *near = orch_near_name(name, orch_act_names);

    return orch_err_exit(
        err, ORCH_EXIT_USAGE, EINVAL,
        "'%s' is neither a system call nor one of read, write, create, mkdir, symlink, delete, "
        "exec, look and connect%s%s%s",
        shown, near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/*
 * read, write, connect and the like are system calls as well as acts: with a path or address they are acts,
 * with numbers or nothing they are calls.
 */
static int answer(struct orch_explaining *x, const struct orch_options *opt, struct orch_err *err)
{
    const char *what = opt->args[1];
    int act = orch_find_act(what), nr = orch_explain_number(what);
    unsigned n = (unsigned)opt->n_args - 2;
    uint64_t value;
    bool is_path = act >= 0 && n == 1 && (nr < 0 || orch_explain_value(opt->args[2], &value) < 0);

    if (is_path)
        return orch_explain_say_act(x, (enum orch_act)act, opt->args[2], NULL, err);
    if (act >= 0 && nr < 0)
        return orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL, "'%s' needs exactly one PATH", what);
    return nr < 0 ? unknown(what, err) : orch_explain_say_call(x, nr, opt->args + 2, n, NULL, err);
}

int orch_cmd_policy_explain(const struct orch_options *opt)
{
    struct orch_policy p = {0};
    struct orch_profile *profile = NULL;
    struct orch_plan *plan = NULL;
    struct orch_explaining x = {0};
    struct orch_err err = {0};
    int r = orch_policy_open(opt, &p, &err);

    if (r == 0)
        r = orch_policy_load(&p, opt->args[0], &profile, &plan, &err);
    if (r == 0) {
        x.profile = profile;
        x.plan = plan;
        x.workspace = p.workspace;
        r = answer(&x, opt, &err);
    }
    r = r < 0 ? orch_fail(&err, ORCH_EXIT_USAGE) : orch_policy_print(&x.out, ORCH_EXIT_OK);
    orch_buf_fini(&x.out);
    orch_plan_free(plan);
    orch_profile_free(profile);
    orch_policy_close(&p);
    return r;
}
