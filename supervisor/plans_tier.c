/* plans_tier.c - the tier of a run: found by trying, held against what its profiles accept. See preflight.h.
 */
#include <errno.h>
#include <string.h>

#include "common/escape.h"
#include "common/exit.h"
#include "common/io.h"
#include "policy/nested.h"
#include "supervisor/filter_store.h"
#include "supervisor/preflight.h"

/* The first profile of a gate or of one within it that accepts nothing below full. */
static const struct orch_profile *gate_needs_full(const struct orch_gate *g)
{
    const struct orch_profile *p = NULL;

    if (g->type == ORCH_GATE_COMMAND && g->profile->requires == ORCH_TIER_FULL)
        return g->profile;
    for (size_t i = 0; i < g->n_children && !p; i++)
        p = gate_needs_full(&g->children[i]);
    return p;
}

static const struct orch_profile *needs_full(const struct orch_run *r)
{
    const struct orch_profile *p = NULL;

    for (size_t i = 0; i < r->wf->n_phases && !p; i++) {
        const struct orch_phase *ph = &r->wf->phases[i];

        if (ph->agent && ph->profile->requires == ORCH_TIER_FULL)
            p = ph->profile;
        for (size_t k = 0; k < ph->n_gates && !p; k++)
            p = gate_needs_full(&ph->gates[k]);
    }
    return p;
}

static int gate_accepts(const struct orch_run *r, const struct orch_gate *g, struct orch_err *err)
{
    ORCH_AUTO(orch_plan_freep) struct orch_plan *plan = NULL;
    ORCH_AUTO(orch_diags_fini) struct orch_diags d = {0};
    int k = 0;

    if (g->type == ORCH_GATE_COMMAND) {
        k = orch_run_compile_gate(r, g, &plan, &d);
        k = k < 0 ? orch_err_set(err, -k, "%s", d.n ? d.v[0].msg : g->name)
                  : orch_nested_accepts(g->profile, plan, false, err);
        k = k < 0 ? k : orch_cell_reaches(plan, err);
    }
    for (size_t i = 0; k == 0 && i < g->n_children; i++)
        k = gate_accepts(r, &g->children[i], err);
    return k;
}

static int all_accept(const struct orch_run *r, struct orch_err *err)
{
    int k = 0;

    if (r->wf->home_from)
        return orch_err_exit(
            err, ORCH_EXIT_UNENFORCEABLE, ENOTSUP,
            "home.from: tier nested cannot show a directory in another's place; run it where "
            "namespaces are permitted, or leave it out");
    for (size_t i = 0; k == 0 && i < r->wf->n_phases; i++) {
        const struct orch_phase *p = &r->wf->phases[i];

        if (p->agent)
            k = orch_nested_accepts(p->profile, r->plans[i], p->agent->tty, err);
        if (k == 0 && p->agent)
            k = orch_cell_reaches(r->plans[i], err);
        for (size_t g = 0; k == 0 && g < p->n_gates; g++)
            k = gate_accepts(r, &p->gates[g], err);
    }
    return k;
}

/* What is told beside why the host cannot: who could do with less. */
static void name_the_key(const struct orch_profile *p, struct orch_err *err)
{
    ORCH_AUTO_FREE char *shown = orch_escape_str(p->name);
    size_t n = strlen(err->msg);

    (void)snprintf(err->msg + n, sizeof(err->msg) - n,
                   "; profile '%s' requires tier full (\"requires\": \"nested\" accepts less)", shown);
}

int orch_preflight_tier(struct orch_run *r, struct orch_err *err)
{
    const struct orch_profile *full = needs_full(r);
    int k = orch_tier_lacking(&r->tier, err);

    if (k < 0)
        return k;
    if (full) {
        k = orch_preflight_host(r->state, r->workspace, err);
        if (k < 0 && err->exit_code == ORCH_EXIT_UNENFORCEABLE)
            name_the_key(full, err);
        return k;
    }
    k = orch_preflight_state(r->state, err);
    if (k == 0)
        k = orch_tier_find(r->state, r->workspace, &r->tier, err);
    if (k < 0 && err->exit_code == ORCH_EXIT_UNENFORCEABLE)
        orch_preflight_point(err);
    return k < 0 || !r->tier.nested ? k : all_accept(r, err);
}
