/* replay.c - from journal records to the state of a run. See journal.h. */
#include <errno.h>
#include <string.h>

#include "common/exit.h"
#include "supervisor/replay_int.h"

#define MAX_PHASES 4096

static void set(char **p, const char *s)
{
    free(*p);
    *p = orch_xstrdup(s);
}

static size_t phase_index(const struct orch_run_state *s, struct orch_rec *r, const char *key)
{
    size_t i = orch_run_find_phase(s, orch_rec_text(r, key));

    if (i < s->n_phases)
        return i;
    if (!r->bad)
        r->bad = key;
    return 0;
}

/* ---- one function per event; NULL or a sentence saying why the record is impossible ---- */

static const char *on_run(struct orch_run_state *s, struct orch_rec *r)
{
    const cJSON *phases = orch_rec_list(r, "phases"), *n;

    set(&s->run, orch_rec_clean(r, "run"));
    set(&s->workflow, orch_rec_text(r, "workflow"));
    set(&s->workspace, orch_rec_text(r, "workspace"));
    set(&s->mode, orch_rec_clean(r, "mode"));
    set(&s->time_started, orch_rec_clean(r, "time"));
    orch_rec_digest(r, "workflow_digest", false, s->workflow_digest);
    orch_rec_digest(r, "inputs_digest", false, s->inputs_digest);
    s->apply = orch_rec_truth(r, "apply");
    s->started = true;
    if (cJSON_GetArraySize(phases) > MAX_PHASES)
        return "too many phases";
    s->phases = orch_xcalloc((size_t)cJSON_GetArraySize(phases) + 1, sizeof(*s->phases));
    cJSON_ArrayForEach(n, phases)
    {
        if (!cJSON_IsString(n) || !*n->valuestring || strpbrk(n->valuestring, "/\n\033"))
            return "a phase without a name";
        s->phases[s->n_phases++].name = orch_xstrdup(n->valuestring);
    }
    return NULL;
}

static const char *on_fingerprint(struct orch_run_state *s, struct orch_rec *r)
{
    if (*s->fingerprint_digest)
        return "a second fingerprint";
    orch_rec_digest(r, "digest", false, s->fingerprint_digest);
    return NULL;
}

static const char *on_attempt(struct orch_run_state *s, struct orch_rec *r)
{
    size_t p = phase_index(s, r, "phase");
    uint64_t n = orch_rec_number(r, "attempt");

    if (r->bad || p != orch_run_current(s))
        return "an attempt at a phase whose turn it is not";
    if (n != (uint64_t)s->phases[p].last_attempt + 1)
        return "an attempt number out of order";
    s->phases[p].last_attempt++;
    s->open = true;
    s->open_phase = p;
    s->open_attempt = (unsigned)n;
    s->open_spent_ms = s->spent_ms;
    s->open_denials = s->denials;
    orch_free_ptrp(&s->paused_by);
    return NULL;
}

static const char *on_spent(struct orch_run_state *s, struct orch_rec *r)
{
    (void)s;
    (void)r;
    return NULL;
}

static bool is_attempt(const struct orch_run_state *s, struct orch_rec *r, size_t phase, unsigned attempt)
{
    size_t p = phase_index(s, r, "phase");

    return !r->bad && p == phase && orch_rec_number(r, "attempt") == attempt;
}

static const char *on_interrupted(struct orch_run_state *s, struct orch_rec *r)
{
    if (!is_attempt(s, r, s->open_phase, s->open_attempt))
        return "it names another attempt than the one that was open";
    (void)orch_rec_text(r, "by");
    s->open = false;
    return NULL;
}

/* ---- overrides and approvals ---- */

static void stop_waiting(struct orch_run_state *s)
{
    orch_verdict_fini(&s->waiting);
    s->waits = false;
}

static const char *skip_phase(struct orch_run_state *s, size_t p)
{
    if (s->phases[p].passed)
        return "a phase skipped that has passed";
    s->phases[p].skipped = true;
    s->phases[p].n_layers = 0; /* no gate passed them */
    if (s->waits && s->waiting.phase == p)
        stop_waiting(s);
    return NULL;
}

static const char *on_override(struct orch_run_state *s, struct orch_rec *r)
{
    const char *kind = orch_rec_text(r, "kind");
    size_t p = phase_index(s, r, "phase");
    struct orch_override *o;

    if (strcmp(kind, "skip") != 0 && strcmp(kind, "force-gate") != 0)
        return "an unknown kind of override";
    if (!*orch_rec_text(r, "reason"))
        return "an override without a reason";
    s->overrides = orch_xreallocarray(s->overrides, s->n_overrides + 1, sizeof(*s->overrides));
    o = &s->overrides[s->n_overrides++];
    *o = (struct orch_override){
        .force = strcmp(kind, "skip") != 0,
        .phase = orch_xstrdup(orch_rec_text(r, "phase")),
        .gate = orch_xstrdup(orch_rec_clean(r, "gate")),
        .reason = orch_xstrdup(orch_rec_text(r, "reason")),
        .user = orch_xstrdup(orch_rec_text(r, "user")),
        .time = orch_xstrdup(orch_rec_text(r, "time")),
    };
    return r->bad || o->force ? NULL : skip_phase(s, p);
}

/* The gate is a pending approval of the attempt that waits. */
static bool asked(const struct orch_run_state *s, const char *gate)
{
    for (size_t i = 0; i < s->waiting.n_gates; i++) {
        const struct orch_gate_record *g = &s->waiting.gates[i];

        if (strcmp(g->name, gate) == 0)
            return strcmp(g->type, "approval") == 0 && strcmp(g->verdict, "pending") == 0;
    }
    return false;
}

static const char *on_approval(struct orch_run_state *s, struct orch_rec *r)
{
    const char *gate = orch_rec_text(r, "gate"), *decision = orch_rec_text(r, "decision");
    struct orch_approval a = {.approved = strcmp(decision, "approve") == 0};

    if (!is_attempt(s, r, s->waiting.phase, s->waiting.attempt) || !asked(s, gate))
        return "a decision that nothing waits for";
    if (!a.approved && strcmp(decision, "reject") != 0)
        return "an unknown decision";
    if (orch_run_approval(s, &s->waiting, gate))
        return "a second decision about the same gate";
    orch_rec_digest(r, "digest", false, a.digest);
    if (strcmp(a.digest, s->waiting.digest) != 0)
        return "a decision about another layer than the one that waits";
    a.phase = s->waiting.phase;
    a.attempt = s->waiting.attempt;
    a.gate = orch_xstrdup(gate);
    a.reason = orch_xstrdup(orch_rec_text(r, "reason"));
    a.user = orch_xstrdup(orch_rec_text(r, "user"));
    s->approvals = orch_xreallocarray(s->approvals, s->n_approvals + 1, sizeof(*s->approvals));
    s->approvals[s->n_approvals++] = a;
    return NULL;
}

/* ---- verdicts ---- */

/* What decides counts as passed: by itself, or because the operator said so. */
static bool counts(const struct orch_run_state *s, const struct orch_verdict_record *v,
                   const struct orch_gate_record *g)
{
    if (g->forced)
        return orch_run_forced(s, s->phases[v->phase].name, g->name);
    return strcmp(g->verdict, "pass") == 0;
}

static bool all_gates_count(const struct orch_run_state *s, const struct orch_verdict_record *v)
{
    for (size_t i = 0; i < v->n_gates; i++)
        if (v->gates[i].depth == 0 && !counts(s, v, &v->gates[i]))
            return false;
    return true;
}

/* Only a recorded decision about these bytes lets an approval pass. */
static bool approvals_given(const struct orch_run_state *s, const struct orch_verdict_record *v)
{
    for (size_t i = 0; i < v->n_gates; i++) {
        const struct orch_gate_record *g = &v->gates[i];
        const struct orch_approval *a;

        if (strcmp(g->type, "approval") != 0 || strcmp(g->verdict, "pass") != 0)
            continue;
        a = orch_run_approval(s, v, g->name);
        if (!a || !a->approved || strcmp(a->digest, v->digest) != 0)
            return false;
    }
    return true;
}

static bool code_in(int code, const int *codes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (codes[i] == code)
            return true;
    return false;
}

/* The exit statuses that an attempt, or a run, can end with besides a pass. */
static const int attempt_codes[] = {ORCH_EXIT_FAILED, ORCH_EXIT_LIMIT,  ORCH_EXIT_DENIALS,
                                    ORCH_EXIT_START,  ORCH_EXIT_SIGINT, ORCH_EXIT_SIGTERM};
static const int end_codes[] = {ORCH_EXIT_FAILED, ORCH_EXIT_LIMIT,  ORCH_EXIT_DENIALS, ORCH_EXIT_START,
                                ORCH_EXIT_BUSY,   ORCH_EXIT_SIGINT, ORCH_EXIT_SIGTERM};

/* Ends after which gates may let a phase pass; the workflow says whether limit:wall is one. */
static bool end_may_pass(const char *end)
{
    static const char *const ends[] = {"exit", "signal", "done", "limit:wall"};

    for (size_t i = 0; i < ORCH_NELEM(ends); i++)
        if (strcmp(ends[i], end) == 0)
            return true;
    return false;
}

/* Children follow their group, one deeper. */
static bool depths_fit(const struct orch_verdict_record *v)
{
    unsigned last = 0;

    for (size_t i = 0; i < v->n_gates; i++) {
        if (v->gates[i].depth > (i ? last + 1 : 0))
            return false;
        last = v->gates[i].depth;
    }
    return true;
}

/* A "passed" that its own evidence contradicts is as good as forged. */
static const char *check_verdict(const struct orch_run_state *s, const struct orch_verdict_record *v)
{
    if (!*s->fingerprint_digest)
        return "a verdict before the workspace's fingerprint";
    if (v->passed && (!v->sealed || !v->goes_on || v->exit_code != 0 || !all_gates_count(s, v)))
        return "passed without every gate passing on a sealed layer";
    if ((v->passed || s->waits) && !end_may_pass(v->end))
        return "a pass after an end that is none";
    if (v->sealed && v->problems.n)
        return "a clean seal with problems";
    if (!depths_fit(v))
        return "gates that belong to no group";
    if (!approvals_given(s, v))
        return "an approval that nobody gave";
    if (v->goes_on && (!v->sealed || !*v->digest))
        return "an unsealed layer that goes on";
    if (!v->passed && !s->waits && !code_in(v->exit_code, attempt_codes, ORCH_NELEM(attempt_codes)))
        return "a failure with an exit status that no failure has";
    return NULL;
}

static const char *on_pending(struct orch_run_state *s, struct orch_rec *r)
{
    struct orch_verdict_record *v = &s->waiting;

    if (!is_attempt(s, r, s->open_phase, s->open_attempt))
        return "it judges another attempt than the one that was open";
    stop_waiting(s);
    *v = (struct orch_verdict_record){.phase = s->open_phase, .attempt = s->open_attempt};
    orch_rec_verdict(v, r);
    s->waits = true;
    s->open = false;
    if (v->passed || v->goes_on || !v->sealed || !*v->digest || v->exit_code != ORCH_EXIT_PAUSED)
        return "an attempt that waits without a sealed layer";
    return check_verdict(s, v);
}

static bool only_approvals_differ(const struct orch_verdict_record *a, const struct orch_verdict_record *b)
{
    static const char *const may[] = {"approval", "all", "any"};

    if (strcmp(a->digest, b->digest) != 0 || strcmp(a->home_digest, b->home_digest) != 0 ||
        a->n_gates != b->n_gates || a->sealed != b->sealed)
        return false;
    for (size_t i = 0; i < a->n_gates; i++) {
        bool free_to = false;

        for (size_t k = 0; k < ORCH_NELEM(may); k++)
            free_to = free_to || strcmp(a->gates[i].type, may[k]) == 0;
        if (strcmp(a->gates[i].name, b->gates[i].name) != 0 || a->gates[i].depth != b->gates[i].depth ||
            (!free_to && strcmp(a->gates[i].verdict, b->gates[i].verdict) != 0))
            return false;
    }
    return true;
}

static const char *take_verdict(struct orch_run_state *s, struct orch_verdict_record *v)
{
    struct orch_phase_state *p = &s->phases[v->phase];

    p->used++;
    p->passed = v->passed;
    if (v->goes_on) {
        p->layers = orch_xreallocarray(p->layers, p->n_layers + 1, sizeof(*p->layers));
        p->layers[p->n_layers++] = s->n_verdicts - 1;
    }
    return check_verdict(s, v);
}

static const char *on_verdict(struct orch_run_state *s, struct orch_rec *r)
{
    size_t phase = s->waits ? s->waiting.phase : s->open_phase;
    unsigned attempt = s->waits ? s->waiting.attempt : s->open_attempt;
    struct orch_verdict_record *v;

    if (!is_attempt(s, r, phase, attempt))
        return "it judges another attempt than the one that was open";
    s->verdicts = orch_xreallocarray(s->verdicts, s->n_verdicts + 1, sizeof(*s->verdicts));
    v = &s->verdicts[s->n_verdicts++];
    *v = (struct orch_verdict_record){.phase = phase, .attempt = attempt};
    orch_rec_verdict(v, r);
    if (s->waits && !only_approvals_differ(&s->waiting, v))
        return "it is not about the layer and the gates that waited";
    s->open = false;
    if (s->waits)
        stop_waiting(s);
    return take_verdict(s, v);
}

static const char *on_goto(struct orch_run_state *s, struct orch_rec *r)
{
    size_t from = phase_index(s, r, "from"), to = phase_index(s, r, "to");

    if (r->bad || from != orch_run_current(s) || to >= from)
        return "a jump that is not back from the failed phase";
    s->phases[from].gotos++;
    for (size_t i = to; i < s->n_phases; i++) {
        s->phases[i].passed = false;
        s->phases[i].used = 0;
        s->phases[i].n_layers = 0;
    }
    return NULL;
}

/* ---- pauses, apply, end ---- */

static const char *on_paused(struct orch_run_state *s, struct orch_rec *r)
{
    set(&s->paused_by, orch_rec_clean(r, "by"));
    return NULL;
}

static const char *on_resumed(struct orch_run_state *s, struct orch_rec *r)
{
    (void)r;
    orch_free_ptrp(&s->paused_by);
    return NULL;
}

static const char *on_apply(struct orch_run_state *s, struct orch_rec *r)
{
    const char *state = orch_rec_text(r, "state");

    if (orch_run_current(s) != s->n_phases || (s->ended && s->exit_code != ORCH_EXIT_OK) || s->discarded)
        return "an apply of what did not pass";
    if (s->apply_done)
        return "a second apply";
    s->created = orch_rec_number(r, "created");
    s->modified = orch_rec_number(r, "modified");
    s->deleted = orch_rec_number(r, "deleted");
    s->kept = orch_rec_number(r, "kept");
    orch_rec_digest(r, "kept_digest", true, s->kept_digest);
    if (strcmp(state, "intent") == 0) {
        s->apply_intent = true;
        return NULL;
    }
    if (strcmp(state, "done") != 0 || !s->apply_intent)
        return "an apply that was not announced";
    s->apply_done = true;
    s->applied = s->applied_later = s->ended;
    return NULL;
}

static const char *on_discarded(struct orch_run_state *s, struct orch_rec *r)
{
    if (s->exit_code != ORCH_EXIT_OK || s->apply_intent || s->discarded)
        return "nothing is there to be discarded";
    (void)orch_rec_text(r, "reason");
    s->discarded = true;
    return NULL;
}

/* What is called a pass says whether the operator helped. */
static bool pass_is_named(const struct orch_run_state *s)
{
    const char *want = s->n_overrides ? ORCH_PASSED_OVERRIDES : ORCH_PASSED;

    return (s->exit_code == ORCH_EXIT_OK) == (strcmp(s->verdict, want) == 0);
}

static const char *on_end(struct orch_run_state *s, struct orch_rec *r)
{
    set(&s->verdict, orch_rec_clean(r, "verdict"));
    set(&s->reason, orch_rec_clean(r, "reason"));
    s->exit_code = orch_rec_small(r, "exit");
    s->applied = orch_rec_truth(r, "applied");
    orch_rec_digest(r, "audit_head", false, s->audit_head);
    s->ended = true;
    orch_free_ptrp(&s->paused_by);
    if (s->waits)
        stop_waiting(s);
    if (s->exit_code != ORCH_EXIT_OK && !code_in(s->exit_code, end_codes, ORCH_NELEM(end_codes)))
        return "an end with an exit status that no run has";
    if (s->exit_code == ORCH_EXIT_OK && orch_run_current(s) != s->n_phases)
        return "an end with success although a phase did not pass";
    if (s->apply_intent && (s->exit_code != ORCH_EXIT_OK || !s->apply_done))
        return "an end of a run that was applied in part";
    if (!pass_is_named(s))
        return "a verdict that does not go with its exit code and overrides";
    if (s->applied && !s->apply_done)
        return "an end that claims an apply which was not done";
    return NULL;
}

/* ---- the transition table ---- */

enum { IN_NEW = 1, IN_READY = 2, IN_OPEN = 4, IN_ENDED = 8, IN_WAIT = 16 };

static const struct {
    const char *event;
    unsigned allowed;
    const char *(*fn)(struct orch_run_state *s, struct orch_rec *r);
} events[] = {
    {"apply", IN_READY | IN_ENDED, on_apply},
    {"approval", IN_WAIT, on_approval},
    {"attempt", IN_READY, on_attempt},
    {"discarded", IN_ENDED, on_discarded},
    {"end", IN_READY | IN_WAIT, on_end},
    {"fingerprint", IN_READY | IN_OPEN, on_fingerprint},
    {"goto", IN_READY, on_goto},
    {"interrupted", IN_OPEN, on_interrupted},
    {"override", IN_READY | IN_WAIT, on_override},
    {"paused", IN_READY | IN_WAIT, on_paused},
    {"pending", IN_OPEN, on_pending},
    {"resumed", IN_READY | IN_OPEN | IN_WAIT, on_resumed},
    {"run", IN_NEW, on_run},
    {"spent", IN_READY | IN_OPEN | IN_WAIT, on_spent},
    {"verdict", IN_OPEN | IN_WAIT, on_verdict},
};

static unsigned where(const struct orch_run_state *s)
{
    if (!s->started)
        return IN_NEW;
    if (s->ended)
        return IN_ENDED;
    if (s->waits)
        return IN_WAIT;
    return s->open ? IN_OPEN : IN_READY;
}

static const char *apply_record(struct orch_run_state *s, struct orch_rec *r)
{
    const char *event = orch_rec_text(r, "event");
    uint64_t spent = orch_rec_number(r, "spent_ms"), denials = orch_rec_number(r, "denials");
    size_t i = 0;

    while (i < ORCH_NELEM(events) && strcmp(events[i].event, event) != 0)
        i++;
    if (i == ORCH_NELEM(events))
        return "an unknown event";
    if (!(events[i].allowed & where(s)))
        return "an event that cannot happen here";
    if (spent < s->spent_ms || denials < s->denials)
        return "what is spent does not come back";
    s->spent_ms = spent;
    s->denials = denials;
    set(&s->time_last, orch_rec_clean(r, "time"));
    return events[i].fn(s, r);
}

int orch_run_state_apply(struct orch_run_state *s, const cJSON *node, struct orch_err *err)
{
    struct orch_rec r = {.node = node};
    const char *why = apply_record(s, &r);

    if (r.bad)
        return orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG,
                             "journal: record %llu: '%s' is missing or wrong",
                             (unsigned long long)orch_rec_number(&r, "seq"), r.bad);
    if (why)
        return orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG, "journal: record %llu: %s",
                             (unsigned long long)orch_rec_number(&r, "seq"), why);
    return 0;
}

struct load {
    struct orch_run_state *state;
    struct orch_err *err;
};

static int load_record(void *ctx, const struct orch_json *rec)
{
    struct load *l = ctx;

    return orch_run_state_apply(l->state, orch_json_root(rec), l->err);
}

int orch_run_state_load(int rundir, struct orch_run_state *ret, bool *ret_torn, struct orch_err *err)
{
    struct orch_run_state s = {0};
    struct load l = {.state = &s, .err = err};
    int r = orch_chain_read(rundir, ORCH_JOURNAL_NAME, load_record, &l, ret_torn, s.head, err);

    if (r == 0 && !s.started)
        r = orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG, "the journal has no first record");
    if (r < 0) {
        orch_run_state_fini(&s);
        return r;
    }
    *ret = s;
    return 0;
}

static void override_fini(struct orch_override *o)
{
    free(o->phase);
    free(o->gate);
    free(o->reason);
    free(o->user);
    free(o->time);
}

void orch_run_state_fini(struct orch_run_state *s)
{
    for (size_t i = 0; i < s->n_phases; i++) {
        free(s->phases[i].name);
        free(s->phases[i].layers);
    }
    for (size_t i = 0; i < s->n_verdicts; i++)
        orch_verdict_fini(&s->verdicts[i]);
    orch_verdict_fini(&s->waiting);
    for (size_t i = 0; i < s->n_overrides; i++)
        override_fini(&s->overrides[i]);
    for (size_t i = 0; i < s->n_approvals; i++) {
        free(s->approvals[i].gate);
        free(s->approvals[i].reason);
        free(s->approvals[i].user);
    }
    free(s->overrides);
    free(s->approvals);
    free(s->phases);
    free(s->verdicts);
    free(s->run);
    free(s->workflow);
    free(s->workspace);
    free(s->mode);
    free(s->time_started);
    free(s->time_last);
    free(s->paused_by);
    free(s->verdict);
    free(s->reason);
    *s = (struct orch_run_state){0};
}
