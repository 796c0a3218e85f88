/*
 * print.h - the fingerprint of the workspace (design 8), taken by a child process beside the first attempt.
 *
 * The child walks the workspace, writes the fingerprint into the run directory, durable, and sends its digest
 * and a note about foreign owners. Until that is journaled no verdict can be: so a run that dies before takes
 * a new one when it is resumed, and nothing of the run rests on the old. The child dies with the supervisor.
 */
#ifndef ORCH_SUPERVISOR_PRINT_H
#define ORCH_SUPERVISOR_PRINT_H

#include <sys/types.h>

#include "common/err.h"

struct orch_run;

struct orch_print {
    pid_t pid; /* 0 = none */
    int fd;    /* where its answer comes from, -1 = none */
};

#define ORCH_PRINT_NONE ((struct orch_print){.fd = -1})

int orch_print_start(struct orch_run *r, struct orch_err *err);
/* Takes the answer in, waiting for it or only if it is there, and journals it. 0 also when none is due.
 * While it waits a signal that asks for an end or a pause ends the child: ORCH_PRINT_STOPPED. */
#define ORCH_PRINT_STOPPED 1
int orch_print_join(struct orch_run *r, bool wait, struct orch_err *err);
void orch_print_stop(struct orch_print *p); /* ends the child */

#endif
