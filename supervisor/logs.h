/*
 * logs.h - the log files of one attempt, logs/PHASE.N.{out,err} and logs/PHASE.N.GATE.{out,err}, as lines for
 * people: "PHASE.N | text", "!" for standard error, escaped.
 *
 * Files are read piece by piece from where the last reading ended, so the same set serves a run that is over
 * and one that goes on. Only regular files are opened, and no symlink is followed.
 */
#ifndef ORCH_SUPERVISOR_LOGS_H
#define ORCH_SUPERVISOR_LOGS_H

#include "supervisor/outq.h"
#include "supervisor/output.h"

struct orch_log_source;

struct orch_log_set {
    char *name; /* "PHASE.N"; NULL = none begun */
    struct orch_outq *out;
    struct orch_log_source **v; /* the attempt's own first, then its gates', oldest first */
    size_t n;
};

void orch_log_set_begin(struct orch_log_set *s, const char *phase, unsigned attempt, struct orch_outq *out);
/* Prints what has come since. A last line without a newline is held back unless the attempt is `over`. Ends
 * early when the reader is gone. Exit 7 if a log is no regular file, 10 if it cannot be read. */
int orch_log_set_pump(struct orch_log_set *s, int rundir, bool over, struct orch_err *err);
/* Prints what is still held back, and frees. Idempotent. */
void orch_log_set_end(struct orch_log_set *s);

#endif
