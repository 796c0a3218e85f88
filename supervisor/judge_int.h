/*
 * judge_int.h - one judgement while it lasts; shared by judge.c (the agent's end, seal, verdict) and
 * judge_gates.c (the gates and what their commands print).
 */
#ifndef ORCH_SUPERVISOR_JUDGE_INT_H
#define ORCH_SUPERVISOR_JUDGE_INT_H

#include "supervisor/apply.h"
#include "supervisor/attempt.h"

struct judge {
    struct orch_attempt *a;
    struct orch_strv layers; /* this attempt's upper, then what is below */
    struct orch_view full, base;
    struct orch_changes phase_changes, run_changes;
    bool readable;         /* views and changes could be made */
    char why[1200];        /* if not */
    unsigned signals_seen; /* when the gates began */
    bool cut;              /* a gate was stopped for a pause: no verdict */
    /* the gate whose output and denials come in now */
    char *gate;
    struct orch_capture out;
};

/* Text that may carry names an agent chose: without the secrets, cut, owned. */
char *orch_judge_text(const struct orch_attempt *a, const char *s);
/* Every gate of the phase, recorded and shown. -errno + err when that cannot be recorded. */
int orch_judge_gates(struct judge *j, struct orch_err *err);
/* Ends the capture of the gate that printed last. */
void orch_judge_gate_close(struct judge *j);

#endif
