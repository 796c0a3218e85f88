/* workflow_phases.c - agents and phases of a workflow (design 5.1). */
#include <string.h>
#include "policy/workflow_int.h"

/* --- agent --- */

static void env_free(struct orch_env_pair *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(v[i].name);
        free(v[i].value);
    }
    free(v);
}

void orch_wf_agent_free(struct orch_agent *a)
{
    if (a == NULL)
        return;
    orch_strv_fini(&a->command);
    orch_strv_fini(&a->pass_env);
    env_free(a->env, a->n_env);
    free(a);
}

static struct orch_agent *agent_copy(const struct orch_agent *a)
{
    struct orch_agent *c = orch_xcalloc(1, sizeof(*c));
    orch_strv_copy(&c->command, &a->command);
    orch_strv_copy(&c->pass_env, &a->pass_env);
    c->stdin_mode = a->stdin_mode;
    c->tty = a->tty;
    c->n_env = a->n_env;
    c->env = orch_xcalloc(a->n_env + 1, sizeof(*c->env));
    for (size_t i = 0; i < a->n_env; i++) {
        c->env[i].name = orch_xstrdup(a->env[i].name);
        c->env[i].value = orch_xstrdup(a->env[i].value);
    }
    return c;
}

void orch_wf_read_command(const struct orch_rd *rd, const cJSON *node, struct orch_strv *ret)
{
    if (!orch_rd_array(rd, node))
        return;
    const cJSON *item;
    cJSON_ArrayForEach(item, node)
    {
        const char *s = orch_rd_string(rd, item);
        if (s != NULL && s[0] == '\0' && item == node->child)
            orch_json_error(rd->doc, item, rd->d, "the program has no name");
        else if (s != NULL)
            orch_strv_add(ret, s);
    }
    if (node->child == NULL)
        orch_json_error(rd->doc, node, rd->d, "an empty command");
}

static void read_agent_command(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_agent *a = base;
    orch_wf_read_command(rd, node, &a->command);
}

static void read_agent_env(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_agent *a = base;
    if (!orch_rd_map(rd, node))
        return;
    const cJSON *item;
    cJSON_ArrayForEach(item, node)
    {
        bool ok = orch_rd_env_name(rd, item, item->string);
        if (orch_rd_string(rd, item) == NULL || !ok)
            continue;
        a->env = orch_xreallocarray(a->env, a->n_env + 1, sizeof(*a->env));
        a->env[a->n_env].name = orch_xstrdup(item->string);
        a->env[a->n_env++].value = orch_xstrdup(item->valuestring);
    }
}

static void read_pass_env(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_agent *a = base;
    if (!orch_rd_array(rd, node))
        return;
    const cJSON *item;
    cJSON_ArrayForEach(item, node)
    {
        const char *s = orch_rd_string(rd, item);
        if (s == NULL || !orch_rd_env_name(rd, item, s))
            continue;
        if (orch_strv_has(&a->pass_env, s))
            orch_json_error(rd->doc, item, rd->d, "'%s' is given twice", s);
        else
            orch_strv_add(&a->pass_env, s);
    }
}

static const char *const stdin_names[] = {"null", "prompt", NULL};

static const struct orch_rd_shape env_shape = {.type = "object", .items = &orch_shape_string};

static const struct orch_rd_field agent_fields[] = {
    {.key = "command",
     .kind = ORCH_RD_CALL,
     .call = read_agent_command,
     .required = true,
     .shape = &orch_shape_command},
    {.key = "env", .kind = ORCH_RD_CALL, .call = read_agent_env, .shape = &env_shape},
    {.key = "pass_env", .kind = ORCH_RD_CALL, .call = read_pass_env, .shape = &orch_shape_strings},
    {.key = "stdin",
     .kind = ORCH_RD_ENUM,
     .off = offsetof(struct orch_agent, stdin_mode),
     .names = stdin_names},
    {.key = "tty", .kind = ORCH_RD_BOOL, .off = offsetof(struct orch_agent, tty)},
    {.key = "reason", .kind = ORCH_RD_NONE},
    {0},
};

const struct orch_rd_shape orch_wf_agent_shape = {.type = "object", .fields = agent_fields};

struct orch_agent *orch_wf_read_agent(const struct orch_rd *rd, const cJSON *node)
{
    struct orch_agent *a = orch_xcalloc(1, sizeof(*a));
    const cJSON *tty = cJSON_GetObjectItemCaseSensitive(node, "tty");
    (void)orch_rd_object(rd, node, agent_fields, a);
    if (a->tty && a->stdin_mode == ORCH_STDIN_PROMPT)
        orch_json_error(
            rd->doc, tty, rd->d,
            "\"tty\" and \"stdin\": \"prompt\" exclude each other: standard input is the terminal; "
            "name the file ${ORCH_PROMPT} or ${ORCH_PROMPT_TEXT} in the command");
    return a;
}

/* --- phases --- */

struct phase_read {
    struct orch_phase p;
    struct orch_wf_read *wf;
    struct orch_wf_gates gates;
    const cJSON *node;
    unsigned on_retry, on_timeout;
    uint64_t attempts;
    bool no_agent; /* "agent": null */
};

static void phase_agent(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct phase_read *r = base;
    if (cJSON_IsNull(node))
        r->no_agent = true;
    else
        r->p.agent = orch_wf_read_agent(rd, node);
}

static void phase_name(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct phase_read *r = base;
    if (!orch_rd_name(rd, node, false, &r->p.name))
        return;
    const struct orch_workflow *w = &r->wf->w;
    for (size_t i = 0; i < w->n_phases; i++)
        if (w->phases[i].name != NULL && strcmp(w->phases[i].name, r->p.name) == 0)
            orch_json_error(rd->doc, node, rd->d, "another phase is named '%s'", r->p.name);
}

static void phase_profile(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct phase_read *r = base;
    const char *ref = orch_rd_string(rd, node);
    if (ref != NULL)
        r->p.profile = orch_wf_profile(r->wf->ctx, rd, node, ref);
}

static void prompt_file(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct phase_read *r = base;
    const char *ref = orch_rd_string(rd, node);
    if (ref != NULL)
        r->p.prompt = orch_wf_prompt(r->wf->ctx, rd, node, ref);
}

static const struct orch_rd_field prompt_fields[] = {
    {.key = "file", .kind = ORCH_RD_CALL, .call = prompt_file, .required = true, .shape = &orch_shape_string},
    {0},
};

static void phase_prompt(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct phase_read *r = base;
    if (cJSON_IsString(node))
        r->p.prompt = orch_xstrdup(node->valuestring);
    else if (cJSON_IsObject(node))
        (void)orch_rd_object(rd, node, prompt_fields, r);
    else
        orch_json_error(rd->doc, node, rd->d, "expected the prompt's text, or {\"file\": ...}");
}

static void goto_name(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct phase_read *r = base;
    const struct orch_workflow *w = &r->wf->w;
    const char *s = orch_rd_string(rd, node);
    ORCH_AUTO_FREE const char **names = orch_xcalloc(w->n_phases + 1, sizeof(*names));
    size_t n = 0;
    if (s == NULL)
        return;
    for (size_t i = 0; i < w->n_phases; i++) {
        if (w->phases[i].name == NULL)
            continue;
        names[n++] = w->phases[i].name;
        if (strcmp(s, w->phases[i].name) == 0) {
            r->p.goto_phase = orch_xstrdup(s);
            return;
        }
    }
    const char *near = orch_near_name(s, names);
    orch_json_error(rd->doc, node, rd->d, "'%s' is not an earlier phase%s%s%s", s,
                    near != NULL ? ", did you mean '" : "", near != NULL ? near : "",
                    near != NULL ? "'?" : "");
}

static void goto_times(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct phase_read *r = base;
    uint64_t v = 0;
    if (orch_rd_uint(rd, node, 1, 100, &v))
        r->p.goto_times = (unsigned)v;
}

static const struct orch_rd_shape times_shape = {.type = "integer", .min = 1, .max = 100};

static const struct orch_rd_field goto_fields[] = {
    {.key = "goto", .kind = ORCH_RD_CALL, .call = goto_name, .required = true, .shape = &orch_shape_string},
    {.key = "times", .kind = ORCH_RD_CALL, .call = goto_times, .shape = &times_shape},
    {.key = "reason", .kind = ORCH_RD_NONE},
    {0},
};

static const char *const stop_names[] = {"stop", NULL};

static void phase_on_fail(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct phase_read *r = base;
    unsigned v;
    if (cJSON_IsString(node)) {
        (void)orch_rd_enum(rd, node, stop_names, NULL, &v);
        return;
    }
    r->p.goto_times = 1;
    (void)orch_rd_object(rd, node, goto_fields, r);
}

static void phase_gates(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct phase_read *r = base;
    orch_wf_read_gates(&r->gates, rd, node, &r->p.gates, &r->p.n_gates);
}

static const char *const type_names[] = {"guided", "strict", "autonomous", NULL};
static const char *const retry_names[] = {"keep", "reset", NULL};
static const char *const timeout_names[] = {"fail", "judge", NULL};

static const struct orch_rd_shape name_shape = {.type = "string", .pattern = ORCH_NAME_PATTERN_PLAIN};
static const struct orch_rd_shape no_agent_shape = {.type = "null"};
static const struct orch_rd_shape *const agent_any[] = {&orch_wf_agent_shape, &no_agent_shape, NULL};
static const struct orch_rd_shape agent_shape = {.any_of = agent_any};
static const struct orch_rd_shape prompt_file_shape = {.type = "object", .fields = prompt_fields};
static const struct orch_rd_shape *const prompt_any[] = {&orch_shape_string, &prompt_file_shape, NULL};
static const struct orch_rd_shape prompt_shape = {.any_of = prompt_any};
static const struct orch_rd_shape stop_shape = {.type = "string", .names = stop_names};
static const struct orch_rd_shape goto_shape = {.type = "object", .fields = goto_fields};
static const struct orch_rd_shape *const on_fail_any[] = {&stop_shape, &goto_shape, NULL};
static const struct orch_rd_shape on_fail_shape = {.any_of = on_fail_any};

#define P(f) offsetof(struct phase_read, f)
static const struct orch_rd_field phase_fields[] = {
    {.key = "name", .kind = ORCH_RD_CALL, .call = phase_name, .required = true, .shape = &name_shape},
    {.key = "type", .kind = ORCH_RD_ENUM, .off = P(p.type), .names = type_names},
    {.key = "agent", .kind = ORCH_RD_CALL, .call = phase_agent, .shape = &agent_shape},
    {.key = "profile", .kind = ORCH_RD_CALL, .call = phase_profile, .shape = &orch_shape_string},
    {.key = "prompt", .kind = ORCH_RD_CALL, .call = phase_prompt, .shape = &prompt_shape},
    {.key = "attempts", .kind = ORCH_RD_UINT, .off = P(attempts), .min = 1, .max = 100},
    {.key = "on_retry", .kind = ORCH_RD_ENUM, .off = P(on_retry), .names = retry_names},
    {.key = "on_fail", .kind = ORCH_RD_CALL, .call = phase_on_fail, .shape = &on_fail_shape},
    {.key = "on_timeout", .kind = ORCH_RD_ENUM, .off = P(on_timeout), .names = timeout_names},
    {.key = "timeout", .kind = ORCH_RD_TIME, .off = P(p.timeout_ms), .min = 1, .max = ORCH_TIME_MAX_MS},
    {.key = "gates",
     .kind = ORCH_RD_CALL,
     .call = phase_gates,
     .needed = true,
     .shape = &orch_wf_gates_shape},
    {.key = "reason", .kind = ORCH_RD_NONE},
    {0},
};

static const struct orch_rd_shape phase_shape = {.type = "object", .fields = phase_fields};
const struct orch_rd_shape orch_wf_phases_shape = {.type = "array", .items = &phase_shape, .min = 1};

static void check_gates(const struct orch_rd *rd, struct phase_read *r)
{
    const cJSON *gates = orch_rd_get(r->node, "gates");
    const cJSON *reason = orch_rd_get(r->node, "reason");
    bool reasoned = cJSON_IsString(reason) && reason->valuestring[0] != '\0';
    if (gates == NULL)
        orch_json_error(rd->doc, r->node, rd->d,
                        "missing key 'gates': without one nothing judges the phase; if that is meant, say "
                        "\"gates\": [] and a "
                        "\"reason\"");
    else if (cJSON_IsArray(gates) && gates->child == NULL && r->no_agent)
        orch_json_error(rd->doc, gates, rd->d, "a phase without an agent and without gates does nothing");
    else if (cJSON_IsArray(gates) && gates->child == NULL && !reasoned)
        orch_json_error(rd->doc, gates, rd->d,
                        "\"gates\": [] needs a \"reason\" in the phase: nothing judges it");
    if (r->p.type == ORCH_PHASE_STRICT)
        orch_wf_add_strict(&r->gates, rd, r->node, &r->p.gates, &r->p.n_gates);
}

static void check_agent(const struct orch_rd *rd, struct phase_read *r)
{
    const struct orch_agent *common = r->wf->agent;
    if (r->no_agent) {
        if (orch_rd_get(r->node, "prompt") != NULL)
            orch_json_error(rd->doc, orch_rd_get(r->node, "prompt"), rd->d, "a prompt for no agent");
        return;
    }
    if (r->p.agent == NULL && common != NULL)
        r->p.agent = agent_copy(common);
    if (r->p.agent == NULL)
        orch_json_error(
            rd->doc, r->node, rd->d,
            "no agent: give one at the top or in the phase, or say \"agent\": null for gates only");
    if (orch_rd_get(r->node, "profile") == NULL)
        orch_json_error(rd->doc, r->node, rd->d, "missing key 'profile'");
}

static void fill_defaults(struct phase_read *r)
{
    bool autonomous = r->p.type == ORCH_PHASE_AUTONOMOUS;
    uint64_t attempts = r->attempts != 0 ? r->attempts : autonomous ? 3 : 1;
    r->p.attempts = (unsigned)attempts;
    if (r->p.timeout_ms == 0)
        r->p.timeout_ms = (autonomous ? 120u : 30u) * 60u * 1000u;
    r->p.retry_reset = r->on_retry == 1;
    r->p.timeout_judge = r->on_timeout == 1;
}

void orch_wf_read_phase(const struct orch_rd *rd, const cJSON *node, struct orch_wf_read *wf)
{
    struct phase_read r = {.wf = wf, .node = node, .gates = {.ctx = wf->ctx}};
    if (orch_rd_object(rd, node, phase_fields, &r)) {
        check_gates(rd, &r);
        check_agent(rd, &r);
        fill_defaults(&r);
    }
    orch_strv_fini(&r.gates.names);
    struct orch_workflow *w = &wf->w;
    w->phases = orch_xreallocarray(w->phases, w->n_phases + 1, sizeof(*w->phases));
    w->phases[w->n_phases++] = r.p;
}
