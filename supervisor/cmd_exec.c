/* cmd_exec.c - the verb `exec`: one command, one sandbox, no phases. See exec.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/escape.h"
#include "common/exit.h"
#include "common/io.h"
#include "policy/nested.h"
#include "supervisor/attempt.h"
#include "supervisor/exec.h"
#include "supervisor/filter_store.h"
#include "supervisor/preflight.h"

static int load_profile(struct orch_exec *e, struct orch_err *err)
{
    struct orch_diags d = {0};
    int r;

    if (!e->opt->profile)
        return orch_err_set(err, EINVAL, "exec needs --profile PROFILE (see: orch-sandbox exec --help)");
    r = orch_profile_load(e->opt->profile, e->cwd, &e->profile, &d);
    orch_diags_print(&d, STDERR_FILENO);
    orch_diags_fini(&d);
    return r < 0 ? orch_err_set(err, EINVAL, "the profile cannot be used")
                 : orch_preflight_limits(e->profile, err);
}

/* ---- which program, and may it be one ---- */

/* Only for the choice of an exit status: what runs is decided by the plan and enforced by the kernel. */
static bool is_program(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111);
}

static bool on_path(const char *name)
{
    const char *env = getenv("PATH");
    ORCH_AUTO_FREE char *dirs = orch_xasprintf("/usr/local/bin:/usr/bin:/bin:%s", env ? env : "");
    char *save = NULL;

    for (char *dir = strtok_r(dirs, ":", &save); dir; dir = strtok_r(NULL, ":", &save)) {
        ORCH_AUTO_FREE char *path = orch_xasprintf("%s/%s", dir, name);
        if (is_program(path))
            return true;
    }
    return false;
}

static bool profile_names(const struct orch_profile *p, const char *name)
{
    for (size_t i = 0; i < p->n_tools; i++)
        if (strcmp(p->tools[i].name, name) == 0)
            return true;
    return false;
}

/* Before compiling, so that "not found" has its own status. */
static int check_exists(const struct orch_exec *e, const char *command, struct orch_err *err)
{
    ORCH_AUTO_FREE char *shown = orch_escape_str(command);
    ORCH_AUTO_FREE char *path = NULL;
    struct stat st;

    if (strstr(command, "${")) /* expanded by the compiler; what it names may not exist yet */
        return 0;
    if (!strchr(command, '/')) {
        if (profile_names(e->profile, command) || on_path(command))
            return 0;
        return orch_err_exit(err, ORCH_EXIT_EXEC_NOTFOUND, ENOENT, "'%s' is not found", shown);
    }
    path = orch_path_normalize(e->cwd, command);
    if (stat(path, &st) < 0)
        return orch_err_exit(err, ORCH_EXIT_EXEC_NOTFOUND, errno, "'%s': %s", shown, strerror(errno));
    if (!is_program(path))
        return orch_err_exit(err, ORCH_EXIT_EXEC_REFUSED, EACCES, "'%s' is not an executable file", shown);
    return 0;
}

static bool path_is_tool(const struct orch_exec *e, const struct orch_closure *c, const char *command)
{
    ORCH_AUTO_FREE char *path = orch_path_normalize(e->cwd, command);
    ORCH_AUTO_FREE char *real = realpath(path, NULL);
    const struct orch_place *place = orch_plan_place(e->plan, path);

    return (real && orch_closure_executes(c, real)) || (place && place->access == ORCH_ACCESS_RWX);
}

/* A tool of the list is there, or compiling has dropped it, or failed. */
static bool is_listed(const struct orch_exec *e, const char *command)
{
    for (size_t i = 0; i < e->profile->n_tools; i++)
        if (strcmp(e->profile->tools[i].name, command) == 0)
            return !orch_strv_has(&e->plan->closure.dropped, command);
    return false;
}

/* Compiling makes the command a tool, as a workflow's agent is one. For exec the profile alone decides
 * (design 4: 126). */
static int check_tool(const struct orch_exec *e, const char *command, struct orch_err *err)
{
    struct orch_closure c = {0};
    struct orch_diags d = {0};
    ORCH_AUTO_FREE char *shown = orch_escape_str(command);
    ORCH_AUTO_FREE char *unused = NULL;
    bool ok;

    if (e->profile->tools_all || strstr(command, "${"))
        return 0;
    if (!strchr(command, '/') && is_listed(e, command))
        return 0;
    if (orch_tools_resolve_cached(e->profile, NULL, e->closures, &c, &unused, &d) < 0)
        ok = false;
    else
        ok = strchr(command, '/') ? path_is_tool(e, &c, command) : orch_strv_has(&c.names, command);
    orch_closure_fini(&c);
    orch_diags_fini(&d);
    if (ok)
        return 0;
    return orch_err_exit(err, ORCH_EXIT_EXEC_REFUSED, EACCES, "'%s' is not a tool of the profile '%s'", shown,
                         e->profile->name);
}

int orch_exec_compile(const struct orch_exec *e, const char *workspace, const char *cell,
                      struct orch_plan **ret, struct orch_diags *d)
{
    ORCH_AUTO(orch_filter_store_close)
    struct orch_filter_cache filters = orch_filter_store_open(e->state, NULL);
    const struct orch_plan_args a = {
        .profile = e->profile,
        .filters = &filters,
        .workspace = workspace,
        .cell = cell,
        .phase = "exec",
        .base_dir = e->cwd,
        .command = &e->command,
        .closures = e->closures,
        .tty = e->opt->tty,
        .uid = orch_agent_uid(),
        .gid = orch_agent_gid(),
    };

    return orch_plan_compile(&a, ret, d);
}

static int compile(struct orch_exec *e, struct orch_err *err)
{
    struct orch_diags d = {0};
    int r = check_exists(e, e->opt->args[0], err);

    if (r < 0)
        return r;
    r = orch_exec_compile(e, e->workspace, NULL, &e->plan, &d);
    if (r == 0)
        r = orch_preflight_hidden(e->state, e->profile, e->plan, &d);
    orch_diags_print(&d, STDERR_FILENO);
    orch_diags_fini(&d);
    return r < 0 ? orch_err_set(err, EINVAL, "the profile cannot be used here")
                 : check_tool(e, e->opt->args[0], err);
}

/* ---- the order of things ---- */

static int open_audit(struct orch_exec *e, struct orch_err *err)
{
    struct orch_jw w;
    int r = 0;

    if (e->opt->audit)
        r = orch_audit_open(AT_FDCWD, e->opt->audit, NULL, false, &e->audit, err);
    else
        e->audit = orch_audit_null();
    if (r == 0)
        r = orch_audit_scope(e->audit, "exec", 1, NULL, err);
    if (r < 0)
        return r;
    orch_audit_begin(e->audit, "run", &w);
    orch_tier_record(&e->tier, &w);
    orch_audit_put_host(&w);
    orch_jw_str(&w, "level", orch_attempt_level(e->plan, e->tier.nested));
    orch_jw_bool(&w, "argv_recorded", e->profile->audit_argv != ORCH_AUDIT_ARGV_OFF);
    orch_jw_str(&w, "profile", e->profile->digest);
    orch_jw_str(&w, "policy", e->plan->digest);
    orch_jw_str(&w, "limits", orch_limits_held_by(&e->profile->limits));
    return orch_audit_commit(e->audit, &w, err);
}

/* Where only tier full will do there is no probe: this one sandbox is its own. */
static int find_tier(struct orch_exec *e, struct orch_err *err)
{
    int r = orch_tier_lacking(&e->tier, err);

    if (r < 0 || e->profile->requires == ORCH_TIER_FULL)
        return r;
    r = orch_tier_find(e->state, e->workspace, &e->tier, err);
    if (r < 0 || !e->tier.nested)
        return r;
    r = orch_nested_accepts(e->profile, e->plan, e->opt->tty, err);
    return r < 0 ? r : orch_cell_reaches(e->plan, err);
}

static int prepare(struct orch_exec *e, struct orch_err *err)
{
    int r = orch_preflight_inside(err);

    if (r < 0)
        return r;
    e->cwd = getcwd(NULL, 0);
    if (!e->cwd)
        return orch_err_sys(err, errno, "the current directory cannot be read");
    for (int i = 0; i < e->opt->n_args; i++)
        orch_strv_add(&e->command, e->opt->args[i]);
    r = load_profile(e, err);
    if (r == 0)
        r = orch_state_resolve(e->opt->state, &e->state, err);
    if (r == 0)
        r = orch_preflight_workspace(e->opt->workspace, e->state, e->opt->ignore_submounts, &e->workspace,
                                     err);
    if (r == 0)
        e->closures = orch_state_closures(e->state);
    if (r == 0)
        r = compile(e, err);
    if (r == 0)
        r = orch_state_make(e->state, err); /* no probe: this one sandbox is its own */
    if (r == 0)
        r = find_tier(e, err);
    if (r == 0)
        orch_closure_cache_save(e->closures);
    if (r == 0)
        r = orch_signals_open(false, &e->signals, err);
    if (r == 0)
        r = open_audit(e, err);
    return r;
}

static int steps(struct orch_exec *e, struct orch_err *err)
{
    int status, r = prepare(e, err);

    if (r == 0 && e->opt->apply)
        r = orch_fingerprint(e->workspace, &e->fingerprint, NULL, err);
    if (r == 0)
        r = orch_exec_sandbox(e, err);
    if (r < 0)
        return r;
    orch_exec_closing(e);
    status = orch_exec_status(e);
    r = orch_exec_changes(e, err);
    /* A view that cannot be read only matters to who wants to keep it. */
    return r < 0 && e->opt->apply ? r : status;
}

static void fini(struct orch_exec *e)
{
    orch_cell_fini(&e->cell);
    if (e->dir)
        (void)orch_rm_rf(AT_FDCWD, e->dir);
    orch_close_fdp(&e->held);
    orch_audit_close(e->audit);
    orch_plan_free(e->plan);
    orch_closure_cache_free(e->closures);
    orch_profile_free(e->profile);
    orch_strv_fini(&e->command);
    orch_signals_close(&e->signals);
    orch_buf_fini(&e->fingerprint);
    free(e->state);
    free(e->workspace);
    free(e->cwd);
    free(e->dir);
    free(e->upper);
    free(e->scaffold);
    orch_tier_fini(&e->tier);
}

int orch_cmd_exec(const struct orch_options *opt)
{
    struct orch_exec e = {.opt = opt, .held = -1, .signals.fd = -1};
    struct orch_err err = {0};
    int status;

    if (opt->status_fd >= 0)
        (void)fcntl(opt->status_fd, F_SETFD, FD_CLOEXEC);
    status = steps(&e, &err);
    if (status < 0) {
        status = ORCH_EXIT_EXEC_FAILED;
        /* the codes of `run` mean nothing here: only "not a tool" and "not found" have their own */
        if (err.exit_code == ORCH_EXIT_EXEC_REFUSED || err.exit_code == ORCH_EXIT_EXEC_NOTFOUND)
            status = err.exit_code;
        (void)orch_fail(&err, status);
    }
    orch_exec_report(&e, status, err.errnum ? err.msg : NULL);
    fini(&e);
    return status;
}
