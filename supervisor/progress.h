/*
 * progress.h - what the operator sees while a run goes on.
 *
 * People: lines on stderr, and on a terminal one status line that is redrawn. Scripts (--json): one JSON
 * object per event on stdout, nothing else there. Nothing here blocks the event loop. Strings given to
 * orch_progress_note must be printable.
 */
#ifndef ORCH_SUPERVISOR_PROGRESS_H
#define ORCH_SUPERVISOR_PROGRESS_H

#include "common/jsonw.h"
#include "supervisor/outq.h"

struct orch_progress {
    bool json, quiet, live; /* live: a status line is drawn */
    bool drawn, held;       /* held: nothing is shown for now */
    struct orch_buf wait;   /* lines that came meanwhile */
    uint64_t lost;          /* and those that were too many */
    struct orch_outq out, err;
    struct orch_buf line;
    char *phase; /* NULL = nothing runs */
    unsigned attempt;
    uint64_t began_ms, last_ms, denials;
};

void orch_progress_init(struct orch_progress *p, bool json, bool quiet);
void orch_progress_fini(struct orch_progress *p); /* removes the status line, drains */

/* One line for people. */
void orch_progress_note(struct orch_progress *p, const char *fmt, ...) ORCH_PRINTF(2, 3);
/* One line of a program's output, raw bytes; stream 1 or 2. */
void orch_progress_output(struct orch_progress *p, int stream, const char *line, size_t n);
/* What the status line shows from now on; phase NULL = nothing. */
void orch_progress_phase(struct orch_progress *p, const char *phase, unsigned attempt);
/* The terminal is somebody else's for a while: lines for people wait, the status line is not drawn. */
void orch_progress_hold(struct orch_progress *p, bool on);
/* About four times a second. */
void orch_progress_tick(struct orch_progress *p, uint64_t denials);

/* One event for scripts: begin, add members, end. Writes nothing unless --json. */
void orch_progress_begin(struct orch_progress *p, const char *event, struct orch_jw *w);
void orch_progress_end(struct orch_progress *p, struct orch_jw *w);

#endif
