/*
 * plan_command.c - the command line, its program and closure, and the environment: all that the agent
 * inherits.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/io.h"
#include "policy/plan_int.h"

/* Expands the four variables of a command; any other ${...} is left as it is (design 5.1). */
static char *expand_argument(const struct orch_plan *p, const char *s, const struct orch_plan_args *a)
{
    ORCH_AUTO_FREE char *prompt = orch_xasprintf("%s/prompt.md", p->dir);
    const struct {
        const char *name, *value;
    } vars[] = {
        {"${ORCH_PROMPT}", prompt},
        {"${ORCH_PROMPT_TEXT}", a->prompt_text ? a->prompt_text : ""},
        {"${workspace}", a->workspace},
        {"${home}", p->home},
    };
    ORCH_AUTO_BUF struct orch_buf b = {0};

    while (*s) {
        bool found = false;

        for (size_t i = 0; i < ORCH_NELEM(vars) && !found; i++) {
            size_t n = strlen(vars[i].name);

            if (strncmp(s, vars[i].name, n) == 0) {
                orch_buf_str(&b, vars[i].value);
                s += n;
                found = true;
            }
        }
        if (!found)
            orch_buf_char(&b, *s++);
    }
    return orch_buf_take(&b);
}

static void env_set(struct orch_plan *p, const char *name, const char *value)
{
    size_t n = strlen(name);
    char *pair = orch_xasprintf("%s=%s", name, value);

    for (size_t i = 0; i < p->env.n; i++) {
        if (strncmp(p->env.v[i], name, n) == 0 && p->env.v[i][n] == '=') {
            free(p->env.v[i]);
            p->env.v[i] = pair;
            return;
        }
    }
    orch_strv_add_take(&p->env, pair);
}

static void env_path(struct orch_plan *p, const struct orch_plan_args *a)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};

    if (a->agent)
        orch_buf_printf(&b, "%s/bin", p->dir);
    for (size_t i = 0; i < p->closure.path_dirs.n; i++) {
        if (b.len)
            orch_buf_char(&b, ':');
        orch_buf_str(&b, p->closure.path_dirs.v[i]);
    }
    env_set(p, "PATH", b.data ? b.data : "/usr/bin:/bin");
}

static void env_own(struct orch_plan *p, const struct orch_plan_args *a)
{
    ORCH_AUTO_FREE char *prompt = orch_xasprintf("%s/prompt.md", p->dir);
    char attempt[16];

    if (!a->agent)
        return;
    (void)snprintf(attempt, sizeof(attempt), "%u", a->attempt);
    env_set(p, "ORCH_DIR", p->dir);
    env_set(p, "ORCH_PHASE", a->phase);
    env_set(p, "ORCH_ATTEMPT", attempt);
    env_set(p, "ORCH_PROMPT", prompt);
    env_set(p, "ORCH_WORKSPACE", a->workspace);
    env_set(p, "ORCHESTRATOR_MODE", "llm");
    if (a->run_id)
        env_set(p, "ORCH_RUN", a->run_id);
}

static void env_pairs(struct orch_plan *p, const struct orch_plan_args *a, const struct orch_env_pair *v,
                      size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ORCH_AUTO_FREE char *value = expand_argument(p, v[i].value, a);

        env_set(p, v[i].name, value);
    }
}

/* Nothing of the operator's environment but what is passed by name (T-EX-08, T-EX-09). */
static void add_environment(struct orch_plan *p, const struct orch_plan_args *a)
{
    env_path(p, a);
    env_set(p, "HOME", p->home);
    env_set(p, "TMPDIR", p->tmp);
    env_set(p, "USER", "agent");
    env_set(p, "LOGNAME", "agent");
    if (a->tty)
        env_set(p, "TERM", "xterm-256color");
    for (size_t i = 0; i < p->profile->env_pass.n; i++) {
        const char *value = getenv(p->profile->env_pass.v[i]);

        if (value)
            env_set(p, p->profile->env_pass.v[i], value);
    }
    env_pairs(p, a, p->profile->env_set, p->profile->n_env_set);
    env_pairs(p, a, a->env, a->n_env);
    for (size_t i = 0; a->pass_env && i < a->pass_env->n; i++) {
        const char *value = getenv(a->pass_env->v[i]);

        if (!value)
            continue;
        env_set(p, a->pass_env->v[i], value);
        if (strlen(value) >= 4)
            orch_strv_add(&p->secrets, value);
    }
    env_own(p, a);
}

/* A program of the workspace itself is the agent's: executable only where the view is. It has no closure on
 * the host. */
static bool is_workspace_program(const struct orch_plan *p, const char *path)
{
    return path[0] == '/' && orch_path_beneath(path, p->workspace);
}

/* What is wrong with the command itself (a tool has a place of its own) is said at the place that names it.
 */
static void place_command_errors(struct orch_diags *d, size_t first, const struct orch_plan_args *a)
{
    for (size_t i = first; a->where_file && i < d->n; i++) {
        struct orch_diag *diag = &d->v[i];

        if (diag->line || diag->pointer)
            continue;
        free(diag->file);
        diag->file = orch_xstrdup(a->where_file);
        diag->pointer = a->where_pointer ? orch_xstrdup(a->where_pointer) : NULL;
    }
}

int plan_add_command(struct orch_plan *p, const struct orch_plan_args *a, struct orch_diags *d)
{
    ORCH_AUTO_FREE char *command = NULL, *absolute = NULL;
    size_t first;
    int r;

    for (size_t i = 0; i < a->command->n; i++)
        orch_strv_add_take(&p->argv, expand_argument(p, a->command->v[i], a));
    command = p->argv.n ? orch_xstrdup(p->argv.v[0]) : NULL;
    if (!command || !*command) {
        orch_diags_add(d, p->profile->file, 0, 0, NULL, "the command is empty");
        return -EINVAL;
    }
    if (a->inside) {
        p->program = orch_xstrdup(a->inside);
    } else if (strchr(command, '/')) {
        absolute = orch_path_normalize(a->base_dir ? a->base_dir : "/", command);
        if (is_workspace_program(p, absolute) && strncmp(a->command->v[0], "${workspace}", 12) == 0)
            p->program = orch_xstrdup(absolute);
    }
    first = d->n;
    r = orch_tools_resolve_cached(p->profile, p->program ? NULL : (absolute ? absolute : command),
                                  a->closures, &p->closure, p->program ? NULL : &p->program, d);
    if (r < 0) {
        place_command_errors(d, first, a);
        return r;
    }
    for (size_t i = 0; i < p->closure.n; i++)
        if (p->closure.v[i].kind == ORCH_CLOSURE_LINK && !orch_strv_has(&p->links, p->closure.v[i].path))
            orch_strv_add(&p->links, p->closure.v[i].path);
    add_environment(p, a);
    return 0;
}
