/* fuzz_workflow.c - workflow documents with the built-ins at hand: accepted, or refused with a diagnostic;
 * what is accepted has everything that the run loop takes for granted. */
#include <stdlib.h>
#include <string.h>
#include "policy/workflow_int.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

/* The documents of the built-ins, as they are kept. */
static void keep_builtins(struct orch_wf_inputs *in)
{
    static struct orch_profile *loaded[5];
    for (size_t i = 0; orch_builtin_names[i] != NULL; i++) {
        struct orch_diags d = {0};
        if (loaded[i] == NULL)
            check(orch_profile_load(orch_builtin_names[i], NULL, &loaded[i], &d) == 0);
        ORCH_AUTO_FREE char *key = orch_xasprintf("profile %s", orch_builtin_names[i]);
        orch_strv_copy(orch_wf_inputs_at(in, key, true), &loaded[i]->sources);
    }
    orch_strv_add(orch_wf_inputs_at(in, "prompt p.md", true), "do it");
}

static void check_gates(const struct orch_gate *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        check(v[i].name != NULL && v[i].origin != NULL && v[i].type <= ORCH_GATE_NOT);
        check(v[i].type != ORCH_GATE_COMMAND || (v[i].profile != NULL && v[i].run.n > 0));
        check(v[i].type < ORCH_GATE_ALL || v[i].n_children > 0);
        check_gates(v[i].children, v[i].n_children);
    }
}

static void check_workflow(const struct orch_workflow *w)
{
    check(w->n_phases > 0 && w->name != NULL && w->digest != NULL);
    for (size_t i = 0; i < w->n_phases; i++) {
        const struct orch_phase *p = &w->phases[i];
        check(p->name != NULL && p->attempts > 0 && p->timeout_ms > 0);
        check(p->agent == NULL || (p->profile != NULL && p->agent->command.n > 0));
        check_gates(p->gates, p->n_gates);
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct orch_wf_ctx ctx = {.inputs = orch_xcalloc(1, sizeof(*ctx.inputs)), .folder = "/w", .dirfd = -1};
    struct orch_workflow *w = NULL;
    struct orch_diags d = {0};
    keep_builtins(ctx.inputs);
    int r = orch_wf_parse(&ctx, "w.json", "/w", (const char *)data, size, &w, &d);
    check((r == 0) == (w != NULL) && (r == 0) == (d.n == 0));
    if (w != NULL)
        check_workflow(w);
    orch_workflow_free(w);
    orch_wf_inputs_free(ctx.inputs);
    orch_wf_ctx_fini(&ctx);
    orch_diags_fini(&d);
    return 0;
}
