/*
 * doctor_int.h - shared by the files of doctor: the table of checks, one try in its child, and the facts from
 * which a fix is chosen.
 *
 * Processes: the caller -> the try's child (own process group, killed when its time is up) -> where a check
 * needs it, one more in new namespaces. They answer through one shared page, read when the child is dead.
 */
#ifndef ORCH_SANDBOX_DOCTOR_INT_H
#define ORCH_SANDBOX_DOCTOR_INT_H

#include "sandbox/doctor.h"
#include "sandbox/sandbox_int.h"

/* What kind of thing a check tries: fixes are chosen by it. */
enum {
    ORCH_K_KERNEL = 1 << 0,
    ORCH_K_ARCH = 1 << 1,
    ORCH_K_STATE = 1 << 2,
    ORCH_K_USERNS = 1 << 3,
    ORCH_K_NS = 1 << 4,
    ORCH_K_MOUNT = 1 << 5,
    ORCH_K_PROC = 1 << 6,
    ORCH_K_OVERLAY = 1 << 7,
    ORCH_K_IDMAP = 1 << 8,
    ORCH_K_LANDLOCK = 1 << 9,
    ORCH_K_SECCOMP = 1 << 10,
    ORCH_K_MEMORY = 1 << 11,
    ORCH_K_CALL = 1 << 12,
    ORCH_K_PTY = 1 << 13,
    ORCH_K_CGROUP = 1 << 14,
    ORCH_K_WHOLE = 1 << 15,
    ORCH_K_ANY = (1 << 16) - 1,
};

struct orch_try_answer { /* in the shared page */
    bool given;
    enum orch_check_state state;
    int errnum;
    char step[2048];   /* what failed; raw bytes */
    char detail[2048]; /* raw bytes */
};

struct orch_try {
    const struct orch_doctor_args *args;
    const char *dir; /* of our own on the state directory's filesystem; NULL = none could be made */
    int dir_errnum;  /* why not */
    uint64_t arg;    /* of the check's row */
    struct orch_try_answer *answer;
    void *ctx; /* of one check, between its function outside and the one inside */
};

#define ORCH_KERNEL(major, minor) ((major)*1000u + (minor))

struct orch_doctor_check {
    const char *id, *title;
    unsigned kind;
    enum orch_check_need need;
    unsigned since; /* the kernel that brought it, ORCH_KERNEL(); 0 = any */
    const char *depends[3];
    const char *after[3]; /* ids of earlier checks without which it cannot be tried */
    void (*run)(struct orch_try *t);
    uint64_t arg;
};

extern const struct orch_doctor_check orch_doctor_checks[];
extern const size_t orch_doctor_n_checks;

/* ---- doctor_child.c ---- */

/* The answer of a try; the first one given counts. */
void orch_try_works(struct orch_try *t, const char *fmt, ...) ORCH_PRINTF(2, 3);
void orch_try_unneeded(struct orch_try *t, const char *fmt, ...) ORCH_PRINTF(2, 3);
void orch_try_missing(struct orch_try *t, int errnum, const char *step_fmt, ...) ORCH_PRINTF(3, 4);
/* The same for a failed set-up step. */
void orch_try_failed(struct orch_try *t, const struct orch_fail *f);

/* Runs check->run in a child for at most ms; the answer is in t->answer. */
void orch_try_run(struct orch_try *t, const struct orch_doctor_check *check, int ms);

/* A child in a new user namespace and those of flags, in which it is the agent's user and has its
 * capabilities. */
struct orch_ns_child {
    pid_t pid;
    int to, from; /* pipes, both ends in the child as `in` and `out` */
};
typedef void (*orch_ns_fn)(struct orch_try *t, int in, int out);
/* 0, or -1 after the answer was given. The caller ends it with orch_ns_end. */
int orch_ns_begin(struct orch_try *t, uint64_t flags, orch_ns_fn fn, struct orch_ns_child *ret);
void orch_ns_end(struct orch_try *t, struct orch_ns_child *c);
/* Both, for a function that needs nothing from outside. */
void orch_ns_call(struct orch_try *t, uint64_t flags, orch_ns_fn fn);

/* ---- the tries ---- */

void orch_try_kernel(struct orch_try *t);
void orch_try_arch(struct orch_try *t);
void orch_try_state(struct orch_try *t);
void orch_try_namespace(struct orch_try *t); /* arg: the CLONE_NEW* bit, 0 = user alone */
void orch_try_userns_limit(struct orch_try *t);
void orch_try_tmpfs(struct orch_try *t);
void orch_try_proc(struct orch_try *t);
void orch_try_pivot(struct orch_try *t);
void orch_try_idmap(struct orch_try *t);
void orch_try_overlay(struct orch_try *t);
void orch_try_keyring(struct orch_try *t);
void orch_try_landlock(struct orch_try *t);
void orch_try_filter(struct orch_try *t);
enum { ORCH_NOTIFY_PLAIN, ORCH_NOTIFY_KILLABLE, ORCH_NOTIFY_SYNC, ORCH_NOTIFY_ADDFD };
void orch_try_notify(struct orch_try *t); /* arg: which of these */
void orch_try_memory(struct orch_try *t); /* arg: 1 = of a child in a user namespace */
void orch_try_openat2(struct orch_try *t);
void orch_try_pidfd(struct orch_try *t);
void orch_try_pdeathsig(struct orch_try *t);
void orch_try_pty(struct orch_try *t);
void orch_try_cgroup(struct orch_try *t);
void orch_try_whole(struct orch_try *t);

/* ---- doctor_fix.c ---- */

struct orch_doctor_facts {
    char release[128];
    unsigned kernel;                                              /* ORCH_KERNEL() */
    long apparmor_userns, userns_clone, max_userns, ptrace_scope; /* sysctls, -1 = not there */
    long seccomp;                                                 /* mode of this process, -1 unknown */
    enum { ORCH_BOX_NONE, ORCH_BOX_DOCKER, ORCH_BOX_PODMAN, ORCH_BOX_KUBERNETES, ORCH_BOX_OTHER } box;
    bool chroot, root, unmapped, inside; /* unmapped: a root without the agent's user */
    char *lsm, *exe, *state;             /* escaped; owned */
};
void orch_doctor_facts(const struct orch_doctor_args *a, struct orch_doctor_facts *ret);
void orch_doctor_facts_fini(struct orch_doctor_facts *f);
/* Newly allocated: what to do, given what was seen. others: something else that this tier needs is missing.
 */
char *orch_doctor_fix(const struct orch_doctor_check *c, const struct orch_doctor_facts *f, int errnum,
                      bool others);

#endif
