/* next.c - from the state of a run to its next step. See journal.h. */
#include <string.h>

#include "common/exit.h"
#include "supervisor/journal.h"

const struct orch_verdict_record *orch_run_last(const struct orch_run_state *s)
{
    return s->n_verdicts ? &s->verdicts[s->n_verdicts - 1] : NULL;
}

bool orch_phase_done(const struct orch_phase_state *p)
{
    return p->passed || p->skipped;
}

size_t orch_run_current(const struct orch_run_state *s)
{
    size_t i = 0;

    while (i < s->n_phases && orch_phase_done(&s->phases[i]))
        i++;
    return i;
}

const struct orch_approval *orch_run_approval(const struct orch_run_state *s,
                                              const struct orch_verdict_record *v, const char *gate)
{
    for (size_t i = s->n_approvals; i-- > 0;) {
        const struct orch_approval *a = &s->approvals[i];

        if (a->phase == v->phase && a->attempt == v->attempt && strcmp(a->gate, gate) == 0)
            return a;
    }
    return NULL;
}

bool orch_run_given_up(const struct orch_run_state *s)
{
    return s->discarded || (s->ended && strcmp(s->verdict, "discarded") == 0);
}

bool orch_run_forced(const struct orch_run_state *s, const char *phase, const char *gate)
{
    for (size_t i = 0; i < s->n_overrides; i++) {
        const struct orch_override *o = &s->overrides[i];

        if (o->force && strcmp(o->phase, phase) == 0 && strcmp(o->gate, gate) == 0)
            return true;
    }
    return false;
}

/* Ends that no further attempt may follow. */
static bool ends_run(int exit_code)
{
    return exit_code == ORCH_EXIT_DENIALS || exit_code == ORCH_EXIT_SIGINT || exit_code == ORCH_EXIT_SIGTERM;
}

size_t orch_run_find_phase(const struct orch_run_state *s, const char *name)
{
    size_t i = 0;

    while (i < s->n_phases && strcmp(s->phases[i].name, name) != 0)
        i++;
    return i;
}

struct orch_run_todo orch_run_next(const struct orch_run_state *s, const struct orch_workflow *w)
{
    const struct orch_verdict_record *last = orch_run_last(s);
    size_t i = orch_run_current(s), to;

    if (s->ended)
        return (struct orch_run_todo){.what = ORCH_TODO_ENDED, .exit_code = s->exit_code};
    if (s->waits)
        return (struct orch_run_todo){.what = ORCH_TODO_SETTLE, .phase = s->waiting.phase};
    if (last && ends_run(last->exit_code))
        return (struct orch_run_todo){
            .what = ORCH_TODO_FAIL, .phase = last->phase, .exit_code = last->exit_code};
    if (i >= s->n_phases || i >= w->n_phases)
        return (struct orch_run_todo){.what = ORCH_TODO_FINISH};
    if (s->phases[i].used < w->phases[i].attempts)
        return (struct orch_run_todo){.what = ORCH_TODO_ATTEMPT, .phase = i};
    to = w->phases[i].goto_phase ? orch_run_find_phase(s, w->phases[i].goto_phase) : i;
    if (to < i && s->phases[i].gotos < w->phases[i].goto_times)
        return (struct orch_run_todo){.what = ORCH_TODO_GOTO, .phase = i, .to = to};
    return (struct orch_run_todo){
        .what = ORCH_TODO_FAIL, .phase = i, .exit_code = last ? last->exit_code : ORCH_EXIT_FAILED};
}
