/*
 * cmd_policy_check.c - the verb `policy check`: profiles, workflows and policy tests, with all that they
 * name, and also what only compiling finds: missing programs and paths, a filter that cannot be built or
 * verified.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/escape.h"
#include "common/exit.h"
#include "supervisor/policy.h"
#include "supervisor/preflight.h"

static char *with_slash(const char *file)
{
    return strchr(file, '/') ? orch_xstrdup(file) : orch_xasprintf("./%s", file);
}

static int check_profile(const struct orch_policy *p, const char *ref, char **ret_digest,
                         struct orch_diags *d)
{
    struct orch_profile *profile = NULL;
    struct orch_plan *plan = NULL;
    int r = orch_profile_load(ref, p->cwd, &profile, d);

    if (r == 0)
        r = orch_policy_plan(p, profile, p->workspace, NULL, &plan, d);
    if (r == 0)
        *ret_digest = orch_xstrdup(profile->digest);
    orch_plan_free(plan);
    orch_profile_free(profile);
    return r;
}

static int check_workflow(const struct orch_policy *p, const char *file, char **ret_digest,
                          struct orch_diags *d)
{
    const struct orch_options none = {.status_fd = -1};
    struct orch_run run;
    int r;

    orch_run_init(&run, &none);
    run.uid = orch_agent_uid();
    run.gid = orch_agent_gid();
    r = orch_workflow_load(file, &run.wf, d);
    run.state = orch_xstrdup(p->state);
    run.workspace = orch_xstrdup(p->workspace);
    run.closures = p->closures;
    if (r == 0)
        r = orch_preflight_plans(&run, d);
    if (r == 0)
        *ret_digest = orch_xstrdup(run.wf->digest);
    run.closures = NULL; /* not the run's own */
    orch_run_fini(&run);
    return r;
}

static int check_test(const struct orch_policy *p, const struct orch_json *doc, char **ret_digest,
                      struct orch_diags *d)
{
    ORCH_AUTO(orch_assertions_freep) struct orch_assertions *a = NULL;
    struct orch_profile *profile = NULL;
    int r = orch_assertions_read(doc, &a, d);

    (void)p;
    if (r == 0 && a->profile)
        r = orch_policy_profile(a->profile, a->dir, &profile, d);
    if (r == 0)
        *ret_digest = orch_xstrdup(a->digest);
    orch_profile_free(profile);
    return r;
}

/* What the document is, is told by the keys that only one kind has. */
static int check_document(const struct orch_policy *p, const char *file, char **ret_digest,
                          struct orch_diags *d)
{
    ORCH_AUTO(orch_json_freep) struct orch_json *doc = NULL;
    const cJSON *root;
    int r = orch_json_load(file, &doc, d);

    if (r < 0)
        return r;
    root = orch_json_root(doc);
    if (orch_assertions_is(doc))
        return check_test(p, doc, ret_digest, d);
    if (cJSON_GetObjectItemCaseSensitive(root, "phases") || cJSON_GetObjectItemCaseSensitive(root, "agent"))
        return check_workflow(p, file, ret_digest, d);
    return check_profile(p, file, ret_digest, d);
}

static bool check_one(const struct orch_policy *p, const char *file, struct orch_buf *out)
{
    ORCH_AUTO_FREE char *named = with_slash(file), *digest = NULL;
    struct orch_diags d = {0};
    int r = orch_builtin_text(file, NULL) ? check_profile(p, file, &digest, &d)
                                          : check_document(p, named, &digest, &d);

    if (r < 0 && d.n == 0)
        orch_diags_add(&d, file, 0, 0, NULL, "cannot be used: %s", strerror(-r));
    orch_diags_print(&d, STDERR_FILENO);
    if (d.n == 0) {
        orch_escape_term(out, file, strlen(file));
        orch_buf_printf(out, ": ok (sha256 %s)\n", digest);
    }
    orch_diags_fini(&d);
    return r == 0 && digest;
}

int orch_cmd_policy_check(const struct orch_options *opt)
{
    ORCH_AUTO_BUF struct orch_buf out = {0};
    struct orch_policy p = {0};
    struct orch_err err = {0};
    int code = ORCH_EXIT_OK;

    if (orch_policy_open(opt, &p, &err) < 0)
        code = orch_fail(&err, ORCH_EXIT_USAGE);
    for (int i = 0; p.cwd && i < opt->n_args; i++)
        if (!check_one(&p, opt->args[i], &out))
            code = ORCH_EXIT_USAGE;
    orch_policy_close(&p);
    return orch_policy_print(&out, code);
}
