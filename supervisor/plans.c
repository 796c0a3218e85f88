/* plans.c - the plans of a run: compiled before anything starts, so that every fault of a document shows
 * then. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/escape.h"
#include "common/exit.h"
#include "supervisor/filter_store.h"
#include "supervisor/output.h"
#include "supervisor/preflight.h"

/* The rule by which the directory, or anything in it, is in the view; NULL if none is. */
static const char *shown_by(const char *dir, const struct orch_plan *plan)
{
    const struct orch_place *place = orch_plan_place(plan, dir);
    struct orch_decision dec;

    orch_plan_decide(plan, dir, ORCH_REQ_LOOK, &dec);
    if (dec.verdict == ORCH_PERMIT && (!place || place->kind == ORCH_PLACE_HOST))
        return dec.rule;
    for (size_t i = 0; i < plan->n_places; i++) {
        const struct orch_place *q = &plan->places[i];

        if (q->kind == ORCH_PLACE_HOST && q->access != ORCH_ACCESS_NONE && orch_path_beneath(q->path, dir))
            return q->rule;
    }
    return NULL;
}

int orch_preflight_hidden(const char *state, const struct orch_profile *p, const struct orch_plan *plan,
                          struct orch_diags *d)
{
    const char *rule = shown_by(state, plan);
    const struct orch_key_place *k = rule ? orch_profile_place(p, rule) : NULL;

    if (!rule)
        return 0;
    orch_diags_add(d, k ? k->file : rule, k ? k->line : 0, k ? k->col : 0, k ? k->pointer : NULL,
                   "this shows the state directory '%s' to the agent; give --state DIR elsewhere", state);
    return -EINVAL;
}

int orch_run_compile_cell(const struct orch_run *r, size_t phase, const char *prompt, unsigned attempt,
                          const struct orch_cell *cell, struct orch_plan **ret, struct orch_diags *d)
{
    const struct orch_phase *p = &r->wf->phases[phase];
    ORCH_AUTO_FREE char *pointer = orch_xasprintf("/phases/%zu (its agent's command)", phase);
    ORCH_AUTO(orch_filter_store_close)
    struct orch_filter_cache filters = orch_filter_store_open(r->state, r->filters);
    const struct orch_plan_args a = {
        .where_file = r->wf->file,
        .where_pointer = pointer,
        .filters = &filters,
        .profile = p->profile,
        .workspace = cell ? cell->copy : r->workspace,
        .cell = cell ? cell->dir : NULL,
        .phase = p->name,
        .base_dir = r->wf->dir,
        .command = &p->agent->command,
        .closures = r->closures,
        .env = p->agent->env,
        .n_env = p->agent->n_env,
        .pass_env = &p->agent->pass_env,
        .prompt_text = prompt,
        .run_id = r->dir.id,
        .attempt = attempt,
        .tty = p->agent->tty,
        .agent = true,
        .uid = r->uid,
        .gid = r->gid,
    };

    return orch_plan_compile(&a, ret, d);
}

int orch_run_compile(const struct orch_run *r, size_t phase, const char *prompt, unsigned attempt,
                     struct orch_plan **ret, struct orch_diags *d)
{
    int result = orch_run_compile_cell(r, phase, prompt, attempt, NULL, ret, d);

    return result < 0 ? result : orch_preflight_hidden(r->state, r->wf->phases[phase].profile, *ret, d);
}

int orch_run_compile_gate(const struct orch_run *r, const struct orch_gate *g, struct orch_plan **ret,
                          struct orch_diags *d)
{
    ORCH_AUTO(orch_filter_store_close)
    struct orch_filter_cache filters = orch_filter_store_open(r->state, r->filters);
    const struct orch_plan_args a = {
        .where_file = r->wf->file,
        .where_pointer = g->origin,
        .filters = &filters,
        .profile = g->profile,
        .workspace = r->workspace,
        .phase = g->name,
        .base_dir = r->wf->dir,
        .command = &g->run,
        .closures = r->closures,
        .exec_view = g->exec,
        .uid = r->uid,
        .gid = r->gid,
    };
    int result = orch_plan_compile(&a, ret, d);

    return result < 0 ? result : orch_preflight_hidden(r->state, g->profile, *ret, d);
}

/* A gate's plan is compiled again when it runs; here only its faults count. */
static int try_gate(const struct orch_run *r, const struct orch_gate *g, struct orch_diags *d)
{
    struct orch_plan *plan = NULL;
    int result = 0, k;

    if (g->type == ORCH_GATE_COMMAND) {
        result = orch_run_compile_gate(r, g, &plan, d);
        orch_plan_free(plan);
    }
    for (size_t i = 0; i < g->n_children; i++) {
        k = try_gate(r, &g->children[i], d);
        result = result < 0 ? result : k;
    }
    return result;
}

static int check_home(const struct orch_run *r, struct orch_diags *d)
{
    struct stat st;

    if (!r->wf->home_from || (stat(r->wf->home_from, &st) == 0 && S_ISDIR(st.st_mode)))
        return 0;
    orch_diags_add(d, r->wf->file, 0, 0, "/home/from", "'%s' is not a directory", r->wf->home_from);
    return -EINVAL;
}

static void add_secrets(struct orch_run *r, const struct orch_plan *plan)
{
    for (size_t i = 0; plan && i < plan->secrets.n; i++)
        if (!orch_strv_has(&r->secrets, plan->secrets.v[i]))
            orch_strv_add(&r->secrets, plan->secrets.v[i]);
}

int orch_preflight_plans(struct orch_run *r, struct orch_diags *d)
{
    int result = check_home(r, d), k;

    r->plans = orch_xcalloc(r->wf->n_phases, sizeof(struct orch_plan *));
    for (size_t i = 0; i < r->wf->n_phases; i++) {
        const struct orch_phase *p = &r->wf->phases[i];

        if (p->agent) {
            k = orch_run_compile(r, i, NULL, 0, &r->plans[i], d);
            result = result < 0 ? result : k;
            add_secrets(r, r->plans[i]);
        }
        for (size_t g = 0; g < p->n_gates; g++) {
            k = try_gate(r, &p->gates[g], d);
            result = result < 0 ? result : k;
        }
    }
    return result;
}

static int gate_limits(const struct orch_gate *g, struct orch_err *err)
{
    int k = g->type == ORCH_GATE_COMMAND ? orch_preflight_limits(g->profile, err) : 0;

    for (size_t i = 0; k == 0 && i < g->n_children; i++)
        k = gate_limits(&g->children[i], err);
    return k;
}

int orch_preflight_all_limits(const struct orch_run *r, struct orch_err *err)
{
    int k = 0;

    for (size_t i = 0; k == 0 && i < r->wf->n_phases; i++) {
        const struct orch_phase *p = &r->wf->phases[i];

        if (p->agent)
            k = orch_preflight_limits(p->profile, err);
        for (size_t g = 0; k == 0 && g < p->n_gates; g++)
            k = gate_limits(&p->gates[g], err);
    }
    return k;
}

static void describe_list(struct orch_buf *out, const char *title, const struct orch_strv *sv)
{
    orch_buf_str(out, title);
    for (size_t i = 0; i < sv->n; i++) {
        orch_buf_char(out, ' ');
        orch_escape_term(out, sv->v[i], strlen(sv->v[i]));
    }
    orch_buf_char(out, '\n');
}

static void describe_plan(struct orch_buf *out, const struct orch_plan *plan)
{
    const struct orch_profile *p = plan->profile;

    orch_buf_str(out, "  profile ");
    orch_escape_term(out, p->name, strlen(p->name));
    orch_buf_printf(out, " sha256 %s, plan sha256 %s\n", p->digest, plan->digest);
    describe_list(out, "  command", &plan->argv);
    if (p->tools_all)
        orch_buf_str(out, "  tools: every program in view\n");
    else
        describe_list(out, "  tools:", &plan->closure.names);
    if (plan->closure.dropped.n)
        describe_list(out, "  not on this host:", &plan->closure.dropped);
}

void orch_preflight_describe(const struct orch_run *r, struct orch_buf *out)
{
    orch_buf_str(out, "workflow ");
    orch_escape_term(out, r->wf->name, strlen(r->wf->name));
    orch_buf_printf(out, " sha256 %s\nworkspace ", r->wf->digest);
    orch_escape_term(out, r->workspace, strlen(r->workspace));
    orch_buf_char(out, '\n');
    if (r->wf->ceiling) {
        orch_buf_str(out, "ceiling ");
        orch_escape_term(out, r->wf->ceiling->name, strlen(r->wf->ceiling->name));
        orch_buf_printf(out, " sha256 %s\n", r->wf->ceiling->digest);
    }
    for (size_t i = 0; i < r->wf->n_phases; i++) {
        const struct orch_phase *p = &r->wf->phases[i];

        orch_buf_printf(out, "phase %s: %u attempt%s%s\n", p->name, p->attempts, p->attempts == 1 ? "" : "s",
                        p->agent ? "" : ", gates only");
        if (r->plans[i])
            describe_plan(out, r->plans[i]);
        for (size_t g = 0; g < p->n_gates; g++) {
            ORCH_AUTO_FREE char *what = orch_gate_describe(&p->gates[g]);
            orch_buf_printf(out, "  gate %s: ", p->gates[g].name);
            orch_output_escape(out, what, strlen(what));
            orch_buf_char(out, '\n');
        }
    }
}
