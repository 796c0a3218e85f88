/*
 * syscalls.h - what a profile means for each system call, and the filter that says so to the kernel.
 *
 * The filter is only a fast path: it ALLOWs the calls that need no judgement and hands everything else
 * (watched paths, refused calls, unknown numbers, foreign ABIs) to the supervisor by USER_NOTIF, its default
 * action. So every refusal is on record and a filter bug of the "rule lost" kind fails towards notification,
 * not towards allowing. Only EQ and MASKED_EQ reach libseccomp (libraries.md 1.3), and the exported program
 * is verified before every use.
 */
#ifndef ORCH_POLICY_SYSCALLS_H
#define ORCH_POLICY_SYSCALLS_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include "policy/profile.h"

#define ORCH_SC_MAX 512 /* numbers 0..511 are in the table */

enum orch_sc_kind {
    ORCH_SC_ALLOW,    /* the kernel runs it, nobody is told */
    ORCH_SC_WATCH,    /* the notification loop judges its path, program or address (sandbox/calls.h) */
    ORCH_SC_REFUSE,   /* answered -errnum, a denial */
    ORCH_SC_FALLBACK, /* answered -ENOSYS, counted, no denial: clone3 openat2 execveat memfd_create
                         file_setattr, the new mount API, unknown numbers */
    ORCH_SC_FAKE,     /* answered 0 and changes nothing: prctl(PR_SET_DUMPABLE), counted */
    ORCH_SC_KILL,     /* foreign ABI, or a kill_process rule: recorded, then the process is killed */
};

/* A condition under which the filter itself allows the call; outside it the supervisor decides by
 * orch_syscalls_answer. */
struct orch_sc_fast {
    unsigned index;
    uint64_t mask,
        value; /* allow if (args[index] & mask) == value; several fasts of a call are alternatives */
};

#define ORCH_SC_MAX_FAST 40 /* the complement of a 32-bit value or range has at most 33 */

struct orch_sc_entry {
    enum orch_sc_kind kind;
    int errnum;                /* REFUSE */
    bool always;               /* ALLOW without any condition: never notified */
    uint8_t n_fast;            /* otherwise: allowed by the filter if one of fast[] holds */
    struct orch_sc_fast *fast; /* room for ORCH_SC_MAX_FAST, in the table's room[] */
    const char *origin;        /* rule that says so, never NULL; static or owned by the profile */
};

struct orch_syscalls {
    struct orch_sc_entry e[ORCH_SC_MAX];
    const struct orch_profile *profile; /* borrowed: its rules are evaluated by orch_syscalls_answer */
    bool inet;                          /* AF_INET and AF_INET6 sockets permitted (@network-client) */
    char refuse_origin[4224]; /* "DOCUMENT#/syscalls" of the one that gives the list; e[].origin points here,
                                 so this struct is not copied by value */
    struct orch_sc_fast room[ORCH_SC_MAX][ORCH_SC_MAX_FAST]; /* last and mostly never touched: half a MB */
};

struct orch_sc_answer {
    enum orch_sc_kind kind; /* ALLOW here means: reply CONTINUE, no record */
    int errnum;
    const char *origin;
    bool quiet;      /* REFUSE: recorded, but counts for nobody: a usual question of runtimes */
    const char *log; /* a log rule matched: unless the call is refused, it is put on record under this rule */
};

/* A table that refuses everything. */
void orch_syscalls_init(struct orch_syscalls *s, const struct orch_profile *p);

/* Fills the table. -EINVAL + diagnostics where the profile asks for what this version cannot do exactly. */
int orch_syscalls_compile(const struct orch_profile *p, struct orch_syscalls *ret, struct orch_diags *d);

/* The same checks without a result: what a profile that cannot be compiled reports when it is loaded. */
int orch_syscalls_check(const struct orch_profile *p, struct orch_diags *d);
/* The rules alone (also of a single document): see orch_sc_check_rules. */
bool orch_syscalls_check_rules(const struct orch_profile *p, struct orch_diags *d);

/*
 * Judges one notified call by its registers alone (exact, no memory read): profile rules first, then ioctl
 * commands, socket families, prctl options, personality, clone flags, then the table. WATCH means: judge the
 * path.
 */
void orch_syscalls_answer(const struct orch_syscalls *s, const struct seccomp_data *d,
                          struct orch_sc_answer *ret);

struct orch_filter {
    struct sock_filter *prog; /* owned */
    unsigned short len;
};

/* Builds with libseccomp, exports, verifies. A mismatch is -EBADMSG with number, arguments, expected and
 * found action. */
int orch_filter_build(const struct orch_syscalls *s, struct orch_filter *ret, struct orch_err *err);
/* The interpreter alone: compares prog with the meaning of s. 0 or -EBADMSG. */
int orch_filter_verify(const struct orch_syscalls *s, const struct orch_filter *f, struct orch_err *err);
/* Runs a classic BPF program over d; returns the seccomp action value, or -1 for an instruction or jump
 * outside the subset. */
int64_t orch_bpf_run(const struct sock_filter *prog, size_t len, const struct seccomp_data *d);
/* The way that every call of d's ABI and number takes: up to the first instruction that reads anything else,
 * or the return. What follows from there does not depend on the way. */
size_t orch_bpf_common(const struct sock_filter *prog, size_t len, const struct seccomp_data *d);
int64_t orch_bpf_run_from(const struct sock_filter *prog, size_t len, size_t pc,
                          const struct seccomp_data *d);
void orch_filter_fini(struct orch_filter *f);

/* Number by name (libseccomp's, then our table of newer ones), -1 if unknown; name by number or NULL. */
int orch_syscall_number(const char *name);
const char *orch_syscall_name(int nr);

/* Groups: "@agent-base", "@network-client", "@escape", and those of systemd. NULL-terminated member list
 * (names), NULL if there is no such group. */
const char *const *orch_syscall_group(const char *name);
extern const char *const orch_syscall_group_names[];
/*
 * What naming the group in "allow" permits: its members except those of @escape and those that are never
 * allowed. Sets them in set (may be NULL) and returns how many there are.
 */
size_t orch_syscall_group_allows(const char *group, bool set[ORCH_SC_MAX]);

#endif
