/* replay.c - from journal records to the state of a run, and from the state to the next step. See journal.h.
 */
#include <errno.h>
#include <string.h>

#include "common/exit.h"
#include "supervisor/journal.h"

#define MAX_PHASES 4096

/* ---- reading members ---- */

/* One record being read. `bad` names the first member that is missing or wrong: checked once, after all were
 * read. */
struct rec {
    const cJSON *node;
    const char *bad;
};

static const cJSON *member(struct rec *r, const char *key)
{
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(r->node, key);

    if (!n && !r->bad)
        r->bad = key;
    return n;
}

static const char *text(struct rec *r, const char *key)
{
    const cJSON *n = member(r, key);

    if (n && !cJSON_IsString(n) && !cJSON_IsNull(n) && !r->bad)
        r->bad = key;
    return cJSON_IsString(n) ? n->valuestring : "";
}

static uint64_t number(struct rec *r, const char *key)
{
    const cJSON *n = member(r, key);

    if (cJSON_IsNumber(n) && n->valuedouble >= 0)
        return (uint64_t)n->valuedouble;
    if (!r->bad)
        r->bad = key;
    return 0;
}

static int small(struct rec *r, const char *key)
{
    const cJSON *n = member(r, key);

    if (cJSON_IsNumber(n))
        return n->valueint;
    if (!r->bad)
        r->bad = key;
    return 0;
}

static bool truth(struct rec *r, const char *key)
{
    const cJSON *n = member(r, key);

    if (n && !cJSON_IsBool(n) && !r->bad)
        r->bad = key;
    return cJSON_IsTrue(n);
}

static const cJSON *list(struct rec *r, const char *key)
{
    const cJSON *n = member(r, key);

    if (n && !cJSON_IsArray(n) && !r->bad)
        r->bad = key;
    return cJSON_IsArray(n) ? n : NULL;
}

/* 64 lower-case hex digits, or nothing where that is allowed. */
static void digest(struct rec *r, const char *key, bool may_be_empty, char ret[ORCH_HEX_SIZE])
{
    const char *s = text(r, key);
    size_t n = strlen(s);

    if ((n == 0 && may_be_empty) || (n == ORCH_HEX_SIZE - 1 && strspn(s, "0123456789abcdef") == n))
        memcpy(ret, s, n + 1);
    else if (!r->bad)
        r->bad = key;
}

static size_t phase_index(const struct orch_run_state *s, struct rec *r, const char *key)
{
    const char *name = text(r, key);

    for (size_t i = 0; i < s->n_phases; i++)
        if (strcmp(s->phases[i].name, name) == 0)
            return i;
    if (!r->bad)
        r->bad = key;
    return 0;
}

static void set(char **p, const char *s)
{
    free(*p);
    *p = orch_xstrdup(s);
}

/* ---- one function per event; NULL or a sentence saying why the record is impossible ---- */

static size_t current_phase(const struct orch_run_state *s)
{
    size_t i = 0;

    while (i < s->n_phases && s->phases[i].passed)
        i++;
    return i;
}

static const char *on_run(struct orch_run_state *s, struct rec *r)
{
    const cJSON *phases = list(r, "phases"), *n;

    set(&s->run, text(r, "run"));
    set(&s->workflow, text(r, "workflow"));
    set(&s->workspace, text(r, "workspace"));
    set(&s->mode, text(r, "mode"));
    set(&s->time_started, text(r, "time"));
    digest(r, "workflow_digest", false, s->workflow_digest);
    digest(r, "inputs_digest", false, s->inputs_digest);
    digest(r, "fingerprint_digest", false, s->fingerprint_digest);
    s->apply = truth(r, "apply");
    s->started = true;
    if (cJSON_GetArraySize(phases) > MAX_PHASES)
        return "too many phases";
    s->phases = orch_xcalloc((size_t)cJSON_GetArraySize(phases) + 1, sizeof(*s->phases));
    cJSON_ArrayForEach(n, phases)
    {
        if (!cJSON_IsString(n))
            return "a phase without a name";
        s->phases[s->n_phases++].name = orch_xstrdup(n->valuestring);
    }
    return NULL;
}

static const char *on_attempt(struct orch_run_state *s, struct rec *r)
{
    size_t p = phase_index(s, r, "phase");
    uint64_t n = number(r, "attempt");

    if (r->bad || p != current_phase(s))
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

static const char *on_spent(struct orch_run_state *s, struct rec *r)
{
    (void)s;
    (void)r;
    return NULL;
}

static bool is_open_attempt(const struct orch_run_state *s, struct rec *r)
{
    size_t p = phase_index(s, r, "phase");

    return !r->bad && p == s->open_phase && number(r, "attempt") == s->open_attempt;
}

static const char *on_interrupted(struct orch_run_state *s, struct rec *r)
{
    if (!is_open_attempt(s, r))
        return "it names another attempt than the one that was open";
    s->open = false;
    return NULL;
}

static void read_gates(struct orch_verdict_record *v, struct rec *r)
{
    const cJSON *gates = list(r, "gates"), *n;

    v->gates = orch_xcalloc((size_t)cJSON_GetArraySize(gates) + 1, sizeof(*v->gates));
    cJSON_ArrayForEach(n, gates)
    {
        struct rec g = {.node = n};

        v->gates[v->n_gates++] = (struct orch_gate_record){
            .name = orch_xstrdup(text(&g, "name")),
            .type = orch_xstrdup(text(&g, "type")),
            .verdict = orch_xstrdup(text(&g, "verdict")),
            .reason = orch_xstrdup(text(&g, "reason")),
            .depth = (unsigned)number(&g, "depth"),
            .elapsed_ms = number(&g, "elapsed_ms"),
        };
        if (g.bad && !r->bad)
            r->bad = "gates";
    }
}

static void read_denied(struct orch_verdict_record *v, struct rec *r)
{
    const cJSON *denied = list(r, "denied"), *n;

    v->denied = orch_xcalloc((size_t)cJSON_GetArraySize(denied) + 1, sizeof(*v->denied));
    cJSON_ArrayForEach(n, denied)
    {
        struct rec d = {.node = n};

        v->denied[v->n_denied++] = (struct orch_denied){
            .class_name = orch_xstrdup(text(&d, "class")),
            .syscall = orch_xstrdup(text(&d, "syscall")),
            .access = orch_xstrdup(text(&d, "access")),
            .path = orch_xstrdup(text(&d, "path")),
            .rule = orch_xstrdup(text(&d, "rule")),
            .count = number(&d, "count"),
        };
        if (d.bad && !r->bad)
            r->bad = "denied";
    }
}

static void read_verdict(struct orch_verdict_record *v, struct rec *r)
{
    const cJSON *problems = list(r, "problems"), *n;

    v->end = orch_xstrdup(text(r, "end"));
    v->status = small(r, "status");
    v->detail = orch_xstrdup(text(r, "detail"));
    v->elapsed_ms = number(r, "elapsed_ms");
    v->denials = number(r, "attempt_denials");
    v->sealed = truth(r, "sealed");
    v->goes_on = truth(r, "goes_on");
    v->passed = truth(r, "passed");
    v->exit_code = small(r, "exit");
    digest(r, "digest", true, v->digest);
    digest(r, "home_digest", true, v->home_digest);
    digest(r, "audit_head", false, v->audit_head);
    read_gates(v, r);
    read_denied(v, r);
    cJSON_ArrayForEach(n, problems)
    {
        orch_strv_add(&v->problems, cJSON_IsString(n) ? n->valuestring : "");
    }
}

static bool all_gates_passed(const struct orch_verdict_record *v)
{
    for (size_t i = 0; i < v->n_gates; i++)
        if (v->gates[i].depth == 0 && strcmp(v->gates[i].verdict, "pass") != 0)
            return false;
    return true;
}

/* A "passed" that its own evidence contradicts is as good as forged. */
static const char *check_verdict(const struct orch_verdict_record *v)
{
    if (v->passed && (!v->sealed || !v->goes_on || v->exit_code != 0 || !all_gates_passed(v)))
        return "passed without every gate passing on a sealed layer";
    if (v->goes_on && (!v->sealed || !*v->digest))
        return "an unsealed layer that goes on";
    if (!v->passed && v->exit_code == 0)
        return "a failure with exit code 0";
    return NULL;
}

static const char *on_verdict(struct orch_run_state *s, struct rec *r)
{
    struct orch_phase_state *p;
    struct orch_verdict_record *v;

    if (!is_open_attempt(s, r))
        return "it judges another attempt than the one that was open";
    s->verdicts = orch_xreallocarray(s->verdicts, s->n_verdicts + 1, sizeof(*s->verdicts));
    v = &s->verdicts[s->n_verdicts++];
    *v = (struct orch_verdict_record){.phase = s->open_phase, .attempt = s->open_attempt};
    read_verdict(v, r);
    p = &s->phases[v->phase];
    p->used++;
    p->passed = v->passed;
    if (v->goes_on) {
        p->layers = orch_xreallocarray(p->layers, p->n_layers + 1, sizeof(*p->layers));
        p->layers[p->n_layers++] = s->n_verdicts - 1;
    }
    s->open = false;
    return check_verdict(v);
}

static const char *on_goto(struct orch_run_state *s, struct rec *r)
{
    size_t from = phase_index(s, r, "from"), to = phase_index(s, r, "to");

    if (r->bad || from != current_phase(s) || to >= from)
        return "a jump that is not back from the failed phase";
    s->phases[from].gotos++;
    for (size_t i = to; i < s->n_phases; i++) {
        s->phases[i].passed = false;
        s->phases[i].used = 0;
        s->phases[i].n_layers = 0;
    }
    return NULL;
}

static const char *on_paused(struct orch_run_state *s, struct rec *r)
{
    set(&s->paused_by, text(r, "by"));
    return NULL;
}

static const char *on_resumed(struct orch_run_state *s, struct rec *r)
{
    (void)r;
    orch_free_ptrp(&s->paused_by);
    return NULL;
}

static const char *on_apply(struct orch_run_state *s, struct rec *r)
{
    const char *state = text(r, "state");

    if (current_phase(s) != s->n_phases)
        return "an apply before every phase passed";
    s->created = number(r, "created");
    s->modified = number(r, "modified");
    s->deleted = number(r, "deleted");
    if (strcmp(state, "intent") == 0) {
        s->apply_intent = true;
        return NULL;
    }
    if (strcmp(state, "done") != 0 || !s->apply_intent)
        return "an apply that was not announced";
    s->apply_done = true;
    return NULL;
}

static const char *on_end(struct orch_run_state *s, struct rec *r)
{
    set(&s->verdict, text(r, "verdict"));
    set(&s->reason, text(r, "reason"));
    s->exit_code = small(r, "exit");
    s->applied = truth(r, "applied");
    digest(r, "audit_head", false, s->audit_head);
    s->ended = true;
    if (s->exit_code == ORCH_EXIT_OK && current_phase(s) != s->n_phases)
        return "an end with success although a phase did not pass";
    if (s->applied && !s->apply_done)
        return "an end that claims an apply which was not done";
    return NULL;
}

/* ---- the transition table ---- */

enum { IN_NEW = 1, IN_READY = 2, IN_OPEN = 4, IN_ENDED = 8 };

static const struct {
    const char *event;
    unsigned allowed;
    const char *(*fn)(struct orch_run_state *s, struct rec *r);
} events[] = {
    {"apply", IN_READY, on_apply},
    {"attempt", IN_READY, on_attempt},
    {"end", IN_READY, on_end},
    {"goto", IN_READY, on_goto},
    {"interrupted", IN_OPEN, on_interrupted},
    {"paused", IN_READY, on_paused},
    {"resumed", IN_READY | IN_OPEN, on_resumed},
    {"run", IN_NEW, on_run},
    {"spent", IN_READY | IN_OPEN, on_spent},
    {"verdict", IN_OPEN, on_verdict},
};

static unsigned where(const struct orch_run_state *s)
{
    if (!s->started)
        return IN_NEW;
    if (s->ended)
        return IN_ENDED;
    return s->open ? IN_OPEN : IN_READY;
}

static const char *apply_record(struct orch_run_state *s, struct rec *r)
{
    const char *event = text(r, "event");
    uint64_t spent = number(r, "spent_ms"), denials = number(r, "denials");
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
    set(&s->time_last, text(r, "time"));
    return events[i].fn(s, r);
}

int orch_run_state_apply(struct orch_run_state *s, const cJSON *node, struct orch_err *err)
{
    struct rec r = {.node = node};
    const char *why = apply_record(s, &r);

    if (r.bad)
        return orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG,
                             "journal: record %llu: '%s' is missing or wrong",
                             (unsigned long long)number(&r, "seq"), r.bad);
    if (why)
        return orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG, "journal: record %llu: %s",
                             (unsigned long long)number(&r, "seq"), why);
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
    int r = orch_chain_read(rundir, ORCH_JOURNAL_NAME, load_record, &l, ret_torn, NULL, err);

    if (r == 0 && !s.started)
        r = orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG, "the journal has no first record");
    if (r < 0) {
        orch_run_state_fini(&s);
        return r;
    }
    *ret = s;
    return 0;
}

void orch_run_state_fini(struct orch_run_state *s)
{
    for (size_t i = 0; i < s->n_phases; i++) {
        free(s->phases[i].name);
        free(s->phases[i].layers);
    }
    for (size_t i = 0; i < s->n_verdicts; i++)
        orch_verdict_fini(&s->verdicts[i]);
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

/* ---- what comes next ---- */

const struct orch_verdict_record *orch_run_last(const struct orch_run_state *s)
{
    return s->n_verdicts ? &s->verdicts[s->n_verdicts - 1] : NULL;
}

/* Ends that no further attempt may follow. */
static bool ends_run(int exit_code)
{
    return exit_code == ORCH_EXIT_DENIALS || exit_code == ORCH_EXIT_SIGINT || exit_code == ORCH_EXIT_SIGTERM;
}

static size_t find_phase(const struct orch_run_state *s, const char *name)
{
    size_t i = 0;

    while (i < s->n_phases && strcmp(s->phases[i].name, name) != 0)
        i++;
    return i;
}

struct orch_run_todo orch_run_next(const struct orch_run_state *s, const struct orch_workflow *w)
{
    const struct orch_verdict_record *last = orch_run_last(s);
    size_t i = current_phase(s), to;

    if (s->ended)
        return (struct orch_run_todo){.what = ORCH_TODO_ENDED, .exit_code = s->exit_code};
    if (last && ends_run(last->exit_code))
        return (struct orch_run_todo){
            .what = ORCH_TODO_FAIL, .phase = last->phase, .exit_code = last->exit_code};
    if (i >= s->n_phases || i >= w->n_phases)
        return (struct orch_run_todo){.what = ORCH_TODO_FINISH};
    if (s->phases[i].used < w->phases[i].attempts)
        return (struct orch_run_todo){.what = ORCH_TODO_ATTEMPT, .phase = i};
    to = w->phases[i].goto_phase ? find_phase(s, w->phases[i].goto_phase) : i;
    if (to < i && s->phases[i].gotos < w->phases[i].goto_times)
        return (struct orch_run_todo){.what = ORCH_TODO_GOTO, .phase = i, .to = to};
    return (struct orch_run_todo){
        .what = ORCH_TODO_FAIL, .phase = i, .exit_code = last ? last->exit_code : ORCH_EXIT_FAILED};
}
