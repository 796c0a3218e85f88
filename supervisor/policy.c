/* policy.c - what the policy verbs share (policy.h). */
#include "supervisor/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>

#include "common/exit.h"
#include "common/io.h"
#include "sandbox/sandbox.h"
#include "supervisor/preflight.h"
#include "supervisor/state.h"

int orch_policy_open(const struct orch_options *opt, struct orch_policy *ret, struct orch_err *err)
{
    int r = orch_state_resolve(opt->state, &ret->state, err);

    if (r < 0)
        return r;
    ret->cwd = getcwd(NULL, 0);
    if (!ret->cwd)
        return orch_err_exit(err, ORCH_EXIT_USAGE, errno, "the current directory cannot be read");
    ret->closures = orch_state_closures(ret->state);
    if (!opt->workspace) { /* only an example of one: that a run would refuse it does not matter here */
        ret->workspace = orch_xstrdup(ret->cwd);
        return 0;
    }
    return orch_preflight_workspace(opt->workspace, ret->state, true, &ret->workspace, err);
}

void orch_policy_close(struct orch_policy *p)
{
    orch_closure_cache_free(p->closures);
    free(p->state);
    free(p->workspace);
    free(p->cwd);
    *p = (struct orch_policy){0};
}

int orch_policy_profile(const char *ref, const char *dir, struct orch_profile **ret, struct orch_diags *d)
{
    ORCH_AUTO_FREE char *named = NULL;

    if (!strchr(ref, '/') && !orch_builtin_text(ref, NULL)) {
        ORCH_AUTO_FREE char *path = orch_xasprintf("%s/%s", dir, ref);

        if (faccessat(AT_FDCWD, path, F_OK, 0) == 0)
            named = orch_xasprintf("./%s", ref);
    }
    return orch_profile_load(named ? named : ref, dir, ret, d);
}

int orch_policy_plan(const struct orch_policy *p, const struct orch_profile *profile, const char *workspace,
                     const struct orch_strv *command, struct orch_plan **ret, struct orch_diags *d)
{
    char name[] = ORCH_PROBE_PATH, *argv[] = {name, NULL};
    const struct orch_strv empty = {.v = argv, .n = 1};
    const struct orch_plan_args a = {
        .profile = profile,
        .workspace = workspace,
        .phase = "test",
        .base_dir = p->cwd,
        .command = command ? command : &empty,
        .inside = ORCH_PROBE_PATH,
        .closures = p->closures,
        .agent = true,
        .uid = orch_agent_uid(),
        .gid = orch_agent_gid(),
    };

    return orch_plan_compile(&a, ret, d);
}

int orch_policy_load(const struct orch_policy *p, const char *ref, struct orch_profile **ret_profile,
                     struct orch_plan **ret_plan, struct orch_err *err)
{
    struct orch_diags d = {0};
    int r = orch_policy_profile(ref, p->cwd, ret_profile, &d);

    if (r == 0 && ret_plan)
        r = orch_policy_plan(p, *ret_profile, p->workspace, NULL, ret_plan, &d);
    orch_diags_print(&d, STDERR_FILENO);
    orch_diags_fini(&d);
    return r < 0 ? orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL, "the profile cannot be used here") : 0;
}

char *orch_policy_home(void)
{
    const char *env = getenv("HOME");
    const struct passwd *pw = env && env[0] == '/' ? NULL : getpwuid(geteuid());

    if (env && env[0] == '/')
        return orch_path_normalize("/", env);
    return orch_xstrdup(pw ? pw->pw_dir : "/nonexistent");
}

char *orch_policy_place(const char *file, unsigned line)
{
    const char *kind = strchr(file, '/') ? "" : "built-in ";

    return line ? orch_xasprintf("%s%s:%u", kind, file, line) : orch_xasprintf("%s%s", kind, file);
}

int orch_policy_print(const struct orch_buf *out, int code)
{
    struct orch_err err = {0};
    int r = orch_write_all(STDOUT_FILENO, out->data ? out->data : "", out->len);

    if (r == 0)
        return code;
    (void)orch_err_exit(&err, ORCH_EXIT_STATE, -r, "standard output: %s", strerror(-r));
    return orch_fail(&err, ORCH_EXIT_STATE);
}
