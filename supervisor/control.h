/*
 * control.h - the supervisor's side of /orch/control (design 5.3): one request line in, one reply line out.
 *
 *   {"cmd":"status"}  {"cmd":"report","text":T}  {"cmd":"blocker","text":T}
 * {"cmd":"request-approval","text":T}
 *   {"cmd":"done"} with or without "text"
 *
 * All of it informs, nothing moves state: `done` ends the attempt early and the gates decide. Every request
 * is audited; one that is not in the list, or not strict JSON, is refused and counts as a denial of class
 * control.
 */
#ifndef ORCH_SUPERVISOR_CONTROL_H
#define ORCH_SUPERVISOR_CONTROL_H

#include "supervisor/audit.h"
#include "supervisor/progress.h"

#define ORCH_CONTROL_MAX                                                                                     \
    1000 /* requests recorded per attempt; more are refused, and that once in the log                        \
          */

#define ORCH_CONTROL_REPLY_MAX (128u << 10) /* bytes of a reply; the client takes twice as many */

struct orch_control {
    const char *run_id, *phase_name; /* borrowed */
    unsigned attempt;
    const struct orch_phase *phase;  /* may be NULL */
    const struct orch_plan *plan;    /* may be NULL */
    const struct orch_strv *secrets; /* masked in what is recorded; may be NULL */
    uint64_t began_ms, wall_ms;
    struct orch_audit *audit;
    struct orch_progress *progress; /* may be NULL */
    uint64_t denials; /* so far, as far as the agent may know: none that tells what exists on the host */
    unsigned requests;
    /* A refused request; ctx is its first argument. */
    enum orch_next (*on_denial)(void *ctx, const struct orch_denial *d);
    void *ctx;
};

/* *ret_err is filled when the audit log failed: the attempt must end (exit 10). */
enum orch_next orch_control_handle(struct orch_control *c, pid_t peer, const char *line, size_t len,
                                   struct orch_buf *reply, int *ret_failed, struct orch_err *err);

#endif
