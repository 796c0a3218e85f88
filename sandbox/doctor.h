/*
 * doctor.h - what this host can enforce, found out by doing each thing once in a throw-away child.
 *
 * Every check runs as the invoking user in a process of its own, bounded in time, and leaves nothing behind:
 * no mount, namespace, cgroup, process or file. Nothing of the host is changed and nothing of a workspace is
 * written. A check never makes another one pass: what depends on a missing mechanism is missing too.
 *
 * Texts of a result are printable ASCII; paths in them are escaped.
 */
#ifndef ORCH_SANDBOX_DOCTOR_H
#define ORCH_SANDBOX_DOCTOR_H

#include "common/err.h"

enum orch_check_state { ORCH_CHECK_WORKS, ORCH_CHECK_MISSING, ORCH_CHECK_UNNEEDED };
const char *orch_check_state_name(enum orch_check_state s);

/* The lowest tier that needs it: what nested needs, full needs too. */
enum orch_check_need { ORCH_FOR_FULL, ORCH_FOR_NESTED, ORCH_FOR_OPTION };
const char *orch_check_need_name(enum orch_check_need n);

enum orch_host_tier { ORCH_HOST_NONE, ORCH_HOST_NESTED, ORCH_HOST_FULL };
const char *orch_host_tier_name(enum orch_host_tier t);

struct orch_check_result {
    const char *id, *title;     /* static */
    const char *const *depends; /* what is lost without it, NULL-terminated, static */
    enum orch_check_need need;
    enum orch_check_state state;
    int errnum;   /* of the step that failed, 0 = none */
    char *detail; /* how it works, or the step that failed and why; owned, never NULL */
    char *fix;    /* what to do about it; owned, NULL unless missing */
};

struct orch_doctor_args {
    const char *state_dir; /* absolute; need not exist: then its nearest parent that does is tried */
    const char *workspace; /* an existing directory, absolute; NULL = an empty one stands in */
    bool inside;           /* this process is inside a sandbox of ours */
    int wake_fd;           /* readable = end after the present check; -1 = none */
};

struct orch_doctor_report {
    struct orch_check_result *v;
    size_t n;
    enum orch_host_tier tier;
    char *kernel; /* release; owned */
};

/* Runs every check. -EINTR: wake_fd asked for an end; the report is incomplete and its tier is none. */
int orch_doctor_run(const struct orch_doctor_args *a, struct orch_doctor_report *ret, struct orch_err *err);
void orch_doctor_report_fini(struct orch_doctor_report *r);

#endif
