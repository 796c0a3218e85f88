/* cmd_policy_diff.c - the verb `policy diff`: what each of two profiles allows that the other does not. */
#include <errno.h>
#include <string.h>

#include "common/escape.h"
#include "common/exit.h"
#include "policy/diff.h"
#include "supervisor/policy.h"

static void print_side(const struct orch_differences *diff, enum orch_side side, const char *title,
                       struct orch_buf *out)
{
    bool any = false;

    for (size_t i = 0; i < diff->n; i++) {
        if (diff->v[i].side != side)
            continue;
        if (!any)
            orch_buf_printf(out, "%s\n", title);
        any = true;
        orch_buf_printf(out, "  %s ", diff->v[i].section);
        orch_escape_term(out, diff->v[i].text, strlen(diff->v[i].text));
        orch_buf_char(out, '\n');
    }
}

static void print_name(const char *letter, const char *ref, const struct orch_profile *p,
                       struct orch_buf *out)
{
    orch_buf_printf(out, "%s: ", letter);
    orch_escape_term(out, ref, strlen(ref));
    orch_buf_printf(out, " sha256 %s\n", p->digest);
}

static int compare(const struct orch_options *opt, const struct orch_profile *a, const struct orch_profile *b,
                   struct orch_buf *out, struct orch_err *err)
{
    struct orch_differences diff;
    struct orch_diags d = {0};
    int r = orch_profile_diff(a, b, &diff, &d), code = ORCH_EXIT_OK;

    orch_diags_print(&d, STDERR_FILENO);
    orch_diags_fini(&d);
    if (r < 0) {
        r = orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL, "the profiles cannot be compared");
    } else if (diff.n == 0) {
        orch_buf_str(out, "the same policy\n");
    } else {
        print_name("A", opt->args[0], a, out);
        print_name("B", opt->args[1], b, out);
        print_side(&diff, ORCH_ONLY_A, "A allows more:", out);
        print_side(&diff, ORCH_ONLY_B, "B allows more:", out);
        print_side(&diff, ORCH_UNLIKE, "not alike, neither allows more:", out);
        code = opt->exit_code ? ORCH_EXIT_FAILED : ORCH_EXIT_OK;
    }
    orch_differences_fini(&diff);
    return r < 0 ? r : code;
}

int orch_cmd_policy_diff(const struct orch_options *opt)
{
    ORCH_AUTO_BUF struct orch_buf out = {0};
    struct orch_policy p = {0};
    struct orch_profile *a = NULL, *b = NULL;
    struct orch_err err = {0};
    int r = orch_policy_open(opt, &p, &err);

    if (r == 0)
        r = orch_policy_load(&p, opt->args[0], &a, NULL, &err);
    if (r == 0)
        r = orch_policy_load(&p, opt->args[1], &b, NULL, &err);
    if (r == 0)
        r = compare(opt, a, b, &out, &err);
    r = r < 0 ? orch_fail(&err, ORCH_EXIT_USAGE) : orch_policy_print(&out, r);
    orch_profile_free(a);
    orch_profile_free(b);
    orch_policy_close(&p);
    return r;
}
