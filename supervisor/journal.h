/*
 * journal.h - the journal of a run: the records, and the state that replaying them gives.
 *
 * The current state of a run is what its journal says and nothing else. Committing a record appends it to the
 * chain, makes it durable and then applies it to the state by the same function that replay uses, so a live
 * run and a resumed one cannot differ. Every record carries the time and the denials spent so far. A record
 * that is impossible in the state before it (a verdict without an attempt, a second end, a jump forward) is
 * refused: exit 7.
 *
 *   event        members beside v seq time event spent_ms denials prev
 *   run          run workflow workspace workflow_digest inputs_digest apply mode phases[]
 *   fingerprint  digest: of the workspace at run start, taken beside the first attempt, before any verdict
 *   override     kind ("skip" "force-gate") phase gate reason user: the operator's, from outside
 *   attempt      phase attempt
 *   spent        (heartbeat, not synced)
 *   interrupted  phase attempt by ("crash" "suspend"): the attempt is dropped and counts for nothing
 *   pending      as verdict: everything passed but approvals, for which the attempt waits
 *   approval     phase attempt gate digest decision ("approve" "reject") reason user
 *   verdict      phase attempt end status detail limits elapsed_ms attempt_denials sealed goes_on passed exit
 * digest home_digest gates[] denied[] problems[] audit_head goto         from to paused       by ("until"
 * "suspend" "approval" "conflict") phase resumed      - apply        state ("intent" "done") created modified
 * deleted kept kept_digest: so many paths, listed in the file `kept`, are left as others made them end
 * verdict exit reason applied audit_head discarded    reason user: what passed is not wanted; its layers are
 * gone
 *
 * After the end of a run that passed without being applied, apply or discarded may follow, nothing else.
 */
#ifndef ORCH_SUPERVISOR_JOURNAL_H
#define ORCH_SUPERVISOR_JOURNAL_H

#include "policy/workflow.h"
#include "supervisor/chain.h"

struct orch_gate_record {
    char *name, *type, *verdict, *reason;
    bool forced;    /* an override lets it count as passed; the verdict is its own all the same */
    unsigned depth; /* 0 decides; deeper ones are children of all, any, not */
    uint64_t elapsed_ms;
};

struct orch_denied {
    char *class_name, *syscall, *access, *path, *rule;
    uint64_t count;
    uint64_t
        groups; /* class_name "others": how many it stands for; 0 in a record of a version that did not say */
};

struct orch_verdict_record {
    size_t phase; /* index */
    unsigned attempt;
    char *time; /* of the record, NULL before it is written */
    char *end;  /* "exit" "signal" "done" "limit:NAME" "denials" "integrity" "setup" "cancel" */
    int status;
    char *detail; /* one sentence, or "" */
    char *held;   /* what held memory and pids; NULL in a record of a version that did not say */
    uint64_t elapsed_ms, denials;
    bool sealed;  /* the seal check was clean */
    bool goes_on; /* its layer is part of the view from here on */
    bool passed;
    int exit_code;                   /* what the run exits with if this was the last attempt; 0 when passed */
    char digest[ORCH_HEX_SIZE];      /* of the layer on what is below it; "" when it could not be read */
    char home_digest[ORCH_HEX_SIZE]; /* "" = no home layer goes on */
    char audit_head[ORCH_HEX_SIZE];
    struct orch_gate_record *gates;
    size_t n_gates;
    struct orch_denied *denied;
    size_t n_denied;
    struct orch_strv problems; /* of the seal check */
};

struct orch_phase_state {
    char *name;
    bool passed, skipped;
    unsigned last_attempt; /* highest number given; goes on counting over goto and resume */
    unsigned used;         /* judged attempts of this visit: what `attempts` limits */
    unsigned gotos;        /* times this phase's on_fail goto was taken */
    size_t *layers;        /* indices into verdicts, oldest first: this phase's part of the stack */
    size_t n_layers;
};

struct orch_override {
    bool force; /* else skip */
    char *phase, *gate, *reason, *user, *time;
};

struct orch_approval { /* a decision of the operator about one waiting attempt */
    size_t phase;
    unsigned attempt;
    bool approved;
    char *gate, *reason, *user;
    char digest[ORCH_HEX_SIZE];
};

struct orch_run_state {
    char *run, *workflow, *workspace, *mode, *time_started, *time_last;
    char workflow_digest[ORCH_HEX_SIZE], inputs_digest[ORCH_HEX_SIZE],
        fingerprint_digest[ORCH_HEX_SIZE]; /* the last one "" until it was taken */
    char head[ORCH_HEX_SIZE];              /* digest of the last record */
    bool started, apply;
    struct orch_phase_state *phases;
    size_t n_phases;
    struct orch_verdict_record *verdicts;
    size_t n_verdicts;
    bool open; /* an attempt has begun and is not judged */
    size_t open_phase;
    unsigned open_attempt;
    uint64_t open_spent_ms, open_denials; /* what was spent when it began */
    bool waits;                           /* an attempt is judged but for approvals */
    struct orch_verdict_record waiting;
    struct orch_approval *approvals; /* in order, also of attempts that are over */
    size_t n_approvals;
    struct orch_override *overrides;
    size_t n_overrides;
    uint64_t spent_ms, denials;
    char *paused_by; /* NULL = not paused */
    bool apply_intent, apply_done;
    uint64_t created, modified, deleted;
    uint64_t kept;
    char kept_digest[ORCH_HEX_SIZE];               /* "" = no such list */
    bool ended, applied, discarded, applied_later; /* later: after the end */
    char *verdict, *reason;                        /* of the end record */
    int exit_code;
    char audit_head[ORCH_HEX_SIZE];
};

void orch_run_state_fini(struct orch_run_state *s);
/* Applies one record. -EBADMSG and exit 7 when it is malformed or impossible; the state is then undefined but
 * safe to free. */
int orch_run_state_apply(struct orch_run_state *s, const cJSON *rec, struct orch_err *err);
/* Replays a whole verified journal. *ret is to be freed on success only. */
int orch_run_state_load(int rundir, struct orch_run_state *ret, bool *ret_torn, struct orch_err *err);

enum orch_todo {
    ORCH_TODO_ATTEMPT,
    ORCH_TODO_SETTLE, /* an attempt waits for approvals: settle it if they are there */
    ORCH_TODO_GOTO,
    ORCH_TODO_FAIL,
    ORCH_TODO_FINISH,
    ORCH_TODO_ENDED
};

struct orch_run_todo {
    enum orch_todo what;
    size_t phase;  /* ATTEMPT: which; GOTO and FAIL: the failed one */
    size_t to;     /* GOTO */
    int exit_code; /* FAIL, ENDED */
};

/* Index of the first phase that neither passed nor was skipped; n_phases when none is left. */
size_t orch_run_current(const struct orch_run_state *s);
bool orch_phase_done(const struct orch_phase_state *p);
/* Index of the phase, n_phases if there is none of that name. */
size_t orch_run_find_phase(const struct orch_run_state *s, const char *name);
/* The last decision about that gate of the waiting attempt, or NULL. */
const struct orch_approval *orch_run_approval(const struct orch_run_state *s,
                                              const struct orch_verdict_record *v, const char *gate);
/* The operator gave the result up: its layers are gone. */
bool orch_run_given_up(const struct orch_run_state *s);
bool orch_run_forced(const struct orch_run_state *s, const char *phase, const char *gate);
/* What comes next: a pure function of state and workflow. Requires that no attempt is open. */
struct orch_run_todo orch_run_next(const struct orch_run_state *s, const struct orch_workflow *w);
/* The last verdict, or NULL: what feedback is made of when it did not pass. */
const struct orch_verdict_record *orch_run_last(const struct orch_run_state *s);

struct orch_journal {
    struct orch_chain chain;
    struct orch_run_state state;
    struct orch_buf line;
};

#define ORCH_JOURNAL_NAME "journal.jsonl"
/* Verdicts with exit status 0. */
#define ORCH_PASSED "passed"
#define ORCH_PASSED_OVERRIDES "passed with overrides"

int orch_journal_create(int rundir, struct orch_journal *ret, struct orch_err *err);
/* Verifies, replays, continues; a torn last record is cut off. */
int orch_journal_continue(int rundir, struct orch_journal *ret, struct orch_err *err);
void orch_journal_fini(struct orch_journal *j);
/* Starts a record; add members, then commit. */
void orch_journal_begin(struct orch_journal *j, const char *event, uint64_t spent_ms, uint64_t denials,
                        struct orch_jw *w);
int orch_journal_commit(struct orch_journal *j, struct orch_jw *w, bool sync, struct orch_err *err);
/* Writes the members of a verdict record. */
void orch_verdict_write(struct orch_jw *w, const char *phase, const struct orch_verdict_record *v);
void orch_verdict_fini(struct orch_verdict_record *v);
/* A deep copy, without `time`. */
void orch_verdict_copy(const struct orch_verdict_record *v, struct orch_verdict_record *ret);

#endif
