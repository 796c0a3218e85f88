/* kept.c - the documents of a run, read again. See kept.h. */
#include "supervisor/kept.h"

#include <errno.h>
#include <string.h>

#include "common/exit.h"
#include "policy/filter_cache.h"
#include "supervisor/preflight.h"

int orch_kept_open(struct orch_run *r, const char *id, struct orch_err *err)
{
    struct orch_run_state s = {0};
    bool torn;
    int k = orch_state_resolve(r->opt->state, &r->state, err);

    if (k == 0)
        k = orch_rundir_open(r->state, id, &r->dir, err);
    if (k == 0)
        k = orch_run_state_load(r->dir.fd, &s, &torn, err);
    if (k == 0)
        k = orch_run_load_inputs(&r->dir, &r->wf, err);
    if (k == 0) {
        r->workspace = orch_xstrdup(s.workspace);
        r->closures = orch_state_closures(r->state);
        r->filters = orch_filter_memo_new();
    }
    orch_run_state_fini(&s);
    return k;
}

static struct orch_gate *find_gate(struct orch_gate *v, size_t n, const char *name)
{
    struct orch_gate *found = NULL;

    for (size_t i = 0; i < n && !found; i++)
        found = v[i].type == ORCH_GATE_COMMAND && strcmp(v[i].name, name) == 0
                    ? &v[i]
                    : find_gate(v[i].children, v[i].n_children, name);
    return found;
}

int orch_kept_find(const struct orch_run *r, const char *phase, const char *gate, struct orch_kept_at *ret,
                   struct orch_err *err)
{
    const struct orch_workflow *w = r->wf;

    *ret = (struct orch_kept_at){0};
    while (ret->phase < w->n_phases && (!phase || strcmp(w->phases[ret->phase].name, phase) != 0))
        ret->phase++;
    if (ret->phase < w->n_phases && gate)
        ret->gate = find_gate(w->phases[ret->phase].gates, w->phases[ret->phase].n_gates, gate);
    if (ret->phase == w->n_phases || (gate ? !ret->gate : !w->phases[ret->phase].agent))
        return orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG,
                             "the record is of a phase or gate that the workflow does not have");
    return 0;
}

struct orch_profile *orch_kept_profile(const struct orch_run *r, const struct orch_kept_at *at)
{
    return at->gate ? at->gate->profile : r->wf->phases[at->phase].profile;
}

int orch_kept_compile(const struct orch_run *r, const struct orch_kept_at *at, unsigned attempt,
                      struct orch_profile *other, struct orch_plan **ret, struct orch_diags *d)
{
    struct orch_profile **slot = at->gate ? &at->gate->profile : &r->wf->phases[at->phase].profile;
    struct orch_profile *own = *slot;
    int k;

    *slot = other ? other : own;
    k = at->gate ? orch_run_compile_gate(r, at->gate, ret, d)
                 : orch_run_compile(r, at->phase, NULL, attempt, ret, d);
    *slot = own;
    return k;
}
