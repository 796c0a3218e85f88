/* summary.c - a run's state for people and for scripts: the closing summary and `status` are the same text.
 */
#include <inttypes.h>
#include <string.h>

#include "common/escape.h"
#include "common/exit.h"
#include "supervisor/run.h"

#define DENIALS_SHOWN 20

/* Every string of the journal that came from an agent or a path goes through here. */
static void put(struct orch_buf *out, const char *s)
{
    orch_escape_term(out, s, strlen(s));
}

static void put_seconds(struct orch_buf *out, uint64_t ms)
{
    orch_buf_printf(out, "%" PRIu64 ".%" PRIu64 " s", ms / 1000, ms % 1000 / 100);
}

/* Records that are not printable where they must be are refused by replay. */
static void gate_line(struct orch_buf *out, const struct orch_gate_record *g)
{
    orch_buf_printf(out, "    %*sgate %s (%s): %s%s", (int)(g->depth > 8 ? 16 : g->depth * 2), "", g->name,
                    g->type, g->verdict, g->forced ? ", forced by the operator" : "");
    if (*g->reason)
        orch_buf_printf(out, ": %s", g->reason);
    orch_buf_char(out, '\n');
}

static void attempt_lines(struct orch_buf *out, const struct orch_verdict_record *v)
{
    bool waits = v->exit_code == ORCH_EXIT_PAUSED;

    orch_buf_printf(out, "  attempt %u: %s, %s", v->attempt,
                    v->passed ? "passed"
                    : waits   ? "waits for approval"
                              : "failed",
                    v->end);
    if (*v->detail)
        orch_buf_printf(out, " (%s)", v->detail);
    orch_buf_str(out, ", ");
    put_seconds(out, v->elapsed_ms);
    orch_buf_printf(out, ", %" PRIu64 " denials", v->denials);
    if (v->held && strcmp(v->held, "none") != 0)
        orch_buf_printf(out, ", memory and pids by %s", v->held);
    orch_buf_char(out, '\n');
    if (*v->digest)
        orch_buf_printf(out, "    layer %s%s\n", v->digest, v->goes_on || waits ? "" : " (dropped)");
    for (size_t i = 0; i < v->problems.n; i++)
        orch_buf_printf(out, "    seal check: %s\n", v->problems.v[i]);
    for (size_t i = 0; i < v->n_gates; i++)
        gate_line(out, &v->gates[i]);
}

static void phase_lines(const struct orch_run_state *s, size_t p, struct orch_buf *out)
{
    const struct orch_phase_state *ph = &s->phases[p];
    size_t n = 0;

    for (size_t i = 0; i < s->n_verdicts; i++)
        n += s->verdicts[i].phase == p;
    orch_buf_printf(out, "phase %s: %s", ph->name,
                    ph->skipped             ? "skipped by the operator"
                    : ph->passed            ? "passed"
                    : ph->last_attempt == 0 ? "not started"
                                            : "not passed");
    if (n)
        orch_buf_printf(out, ", %zu attempt%s judged", n, n == 1 ? "" : "s");
    orch_buf_char(out, '\n');
    for (size_t i = 0; i < s->n_verdicts; i++)
        if (s->verdicts[i].phase == p)
            attempt_lines(out, &s->verdicts[i]);
    if (s->waits && s->waiting.phase == p)
        attempt_lines(out, &s->waiting);
}

/* What only the operator did, and by whom: in every report (design 4). */
static void override_lines(const struct orch_run_state *s, struct orch_buf *out)
{
    for (size_t i = 0; i < s->n_overrides; i++) {
        const struct orch_override *o = &s->overrides[i];

        orch_buf_printf(out, "override: %s %s%s%s by ", o->force ? "force-gate" : "skip", o->phase,
                        o->force ? "/" : "", o->gate);
        put(out, o->user);
        orch_buf_str(out, ": ");
        put(out, o->reason);
        orch_buf_char(out, '\n');
    }
}

static const char *const decided_words[] = {"waits", "rejected", "approved"};

/* 0 nobody decided, 1 rejected, 2 approved. */
static int decided(const struct orch_run_state *s, const struct orch_gate_record *g)
{
    const struct orch_approval *a = orch_run_approval(s, &s->waiting, g->name);

    return a ? 1 + a->approved : 0;
}

static bool is_asked(const struct orch_gate_record *g)
{
    return strcmp(g->type, "approval") == 0 && strcmp(g->verdict, "pending") == 0;
}

static void pending_lines(const struct orch_run_state *s, struct orch_buf *out)
{
    const char *phase = s->waits ? s->phases[s->waiting.phase].name : "";

    for (size_t i = 0; s->waits && i < s->waiting.n_gates; i++) {
        const struct orch_gate_record *g = &s->waiting.gates[i];

        if (!is_asked(g))
            continue;
        orch_buf_printf(out, "pending: %s/%s, digest %s (%s): %s\n", phase, g->name, s->waiting.digest,
                        decided_words[decided(s, g)], g->reason);
    }
}

static bool same_denial(const struct orch_denied *a, const struct orch_denied *b)
{
    return strcmp(a->path, b->path) == 0 && strcmp(a->access, b->access) == 0 &&
           strcmp(a->syscall, b->syscall) == 0 && strcmp(a->class_name, b->class_name) == 0 &&
           strcmp(a->rule, b->rule) == 0;
}

/* All attempts' denials, equal ones added up; the records are few (capped when they are written). */
static size_t merge_denials(const struct orch_run_state *s, struct orch_denied **ret)
{
    struct orch_denied *v = NULL;
    size_t n = 0, k;

    for (size_t i = 0; i < s->n_verdicts; i++)
        for (size_t d = 0; d < s->verdicts[i].n_denied; d++) {
            const struct orch_denied *x = &s->verdicts[i].denied[d];

            for (k = 0; k < n && !same_denial(&v[k], x); k++)
                ;
            if (k < n) {
                v[k].count += x->count;
                continue;
            }
            v = orch_xreallocarray(v, n + 1, sizeof(*v));
            v[n++] = *x;
        }
    *ret = v;
    return n;
}

static int by_count(const void *pa, const void *pb)
{
    const struct orch_denied *a = pa, *b = pb;

    return (a->count < b->count) - (a->count > b->count);
}

static void denial_lines(const struct orch_run_state *s, struct orch_buf *out)
{
    ORCH_AUTO_FREE struct orch_denied *v = NULL;
    size_t n = merge_denials(s, &v);

    orch_buf_printf(out, "denials: %" PRIu64 "\n", s->denials);
    if (n)
        qsort(v, n, sizeof(*v), by_count);
    for (size_t i = 0; i < n && i < DENIALS_SHOWN; i++) {
        orch_buf_printf(out, "  %" PRIu64 "x %s %s %s ", v[i].count, v[i].class_name, v[i].syscall,
                        v[i].access);
        put(out, v[i].path);
        orch_buf_str(out, " (");
        put(out, v[i].rule);
        orch_buf_str(out, ")\n");
    }
    if (n > DENIALS_SHOWN)
        orch_buf_printf(out, "  and %zu more kinds: orch-sandbox audit %s\n", n - DENIALS_SHOWN, s->run);
}

const char *orch_run_standing(const struct orch_run_state *s, bool busy)
{
    if (s->discarded)
        return s->n_overrides ? ORCH_PASSED_OVERRIDES ", discarded" : ORCH_PASSED ", discarded";
    if (s->ended && s->apply_intent && !s->apply_done)
        return s->n_overrides ? ORCH_PASSED_OVERRIDES ", applied in part" : ORCH_PASSED ", applied in part";
    if (s->ended)
        return s->verdict;
    if (busy)
        return "running";
    return s->paused_by ? "paused" : "interrupted";
}

/* The first approval that nobody decided about, or NULL. */
static const struct orch_gate_record *undecided(const struct orch_run_state *s)
{
    for (size_t i = 0; s->waits && i < s->waiting.n_gates; i++)
        if (is_asked(&s->waiting.gates[i]) && decided(s, &s->waiting.gates[i]) == 0)
            return &s->waiting.gates[i];
    return NULL;
}

static void next_ended(const struct orch_run_state *s, const char *id, struct orch_buf *out)
{
    if (s->exit_code != 0)
        orch_buf_printf(
            out, "next: orch-sandbox audit %s shows what was refused; start a new run to try again\n", id);
    else if (s->apply_intent && !s->apply_done)
        orch_buf_printf(out, "next: orch-sandbox apply %s finishes what was cut off\n", id);
    else if (!s->apply_done && !s->discarded)
        orch_buf_printf(out, "next: orch-sandbox diff %s, then apply or discard\n", id);
    else
        orch_buf_printf(out, "next: orch-sandbox verify %s\n", id);
}

static void next_lines(const struct orch_run_state *s, const char *id, bool busy, struct orch_buf *out)
{
    const struct orch_gate_record *g = undecided(s);

    if (s->ended)
        next_ended(s, id, out);
    else if (busy)
        orch_buf_printf(out, "next: a supervisor is driving it; orch-sandbox suspend or cancel %s\n", id);
    else if (g)
        orch_buf_printf(out,
                        "next: orch-sandbox diff %s shows it; orch-sandbox approve (or reject) %s %s/%s "
                        "--digest %s --reason TEXT; then resume\n",
                        id, id, s->phases[s->waiting.phase].name, g->name, s->waiting.digest);
    else if (s->paused_by && strcmp(s->paused_by, "conflict") == 0)
        orch_buf_printf(
            out, "next: orch-sandbox diff %s shows the run's side; then apply --theirs-kept, or discard\n",
            id);
    else
        orch_buf_printf(out, "next: orch-sandbox resume %s\n", id);
}

static void applied_line(const struct orch_run_state *s, struct orch_buf *out)
{
    if (s->apply_intent)
        orch_buf_printf(out, "applied%s: %" PRIu64 " created, %" PRIu64 " modified, %" PRIu64 " deleted\n",
                        s->applied_later ? " later"
                        : s->apply_done  ? ""
                                         : " in part",
                        s->created, s->modified, s->deleted);
    else
        orch_buf_str(out, "applied: nothing\n");
    if (s->kept)
        orch_buf_printf(out, "left as others made them: %" PRIu64 " paths\n", s->kept);
}

void orch_summary_text(const struct orch_run_state *s, const char *id, bool next, bool busy,
                       struct orch_buf *out)
{
    orch_buf_printf(out, "run %s: workflow ", id);
    put(out, s->workflow);
    orch_buf_str(out, ", workspace ");
    put(out, s->workspace);
    orch_buf_char(out, '\n');
    for (size_t i = 0; i < s->n_phases; i++)
        phase_lines(s, i, out);
    override_lines(s, out);
    pending_lines(s, out);
    if (s->open)
        orch_buf_printf(out, "open attempt: %s.%u\n", s->phases[s->open_phase].name, s->open_attempt);
    denial_lines(s, out);
    applied_line(s, out);
    if (s->ended)
        orch_buf_printf(out, "audit head: %s\njournal head: %s\n", s->audit_head, s->head);
    else if (s->paused_by)
        orch_buf_printf(out, "journal head: %s\n", s->head);
    orch_buf_printf(out, "verdict: %s", orch_run_standing(s, busy));
    if (s->ended)
        orch_buf_printf(out, " (exit %d): %s", s->exit_code, s->reason);
    else if (s->paused_by)
        orch_buf_printf(out, " (%s)", s->paused_by);
    orch_buf_char(out, '\n');
    if (next)
        next_lines(s, id, busy, out);
}

static void json_phases(const struct orch_run_state *s, struct orch_jw *w)
{
    orch_jw_arr(w, "phases");
    for (size_t p = 0; p < s->n_phases; p++) {
        orch_jw_obj(w, NULL);
        orch_jw_str(w, "name", s->phases[p].name);
        orch_jw_bool(w, "passed", s->phases[p].passed);
        orch_jw_bool(w, "skipped", s->phases[p].skipped);
        orch_jw_uint(w, "last_attempt", s->phases[p].last_attempt);
        orch_jw_arr(w, "attempts");
        for (size_t i = 0; i < s->n_verdicts; i++) {
            if (s->verdicts[i].phase != p)
                continue;
            orch_jw_obj(w, NULL);
            orch_verdict_write(w, s->phases[p].name, &s->verdicts[i]);
            orch_jw_end(w, '}');
        }
        if (s->waits && s->waiting.phase == p) {
            orch_jw_obj(w, NULL);
            orch_verdict_write(w, s->phases[p].name, &s->waiting);
            orch_jw_end(w, '}');
        }
        orch_jw_end(w, ']');
        orch_jw_end(w, '}');
    }
    orch_jw_end(w, ']');
}

static void json_pending(const struct orch_run_state *s, struct orch_jw *w)
{
    orch_jw_arr(w, "pending");
    for (size_t i = 0; s->waits && i < s->waiting.n_gates; i++) {
        const struct orch_gate_record *g = &s->waiting.gates[i];

        if (!is_asked(g))
            continue;
        orch_jw_obj(w, NULL);
        orch_jw_str(w, "phase", s->phases[s->waiting.phase].name);
        orch_jw_uint(w, "attempt", s->waiting.attempt);
        orch_jw_str(w, "gate", g->name);
        orch_jw_str(w, "digest", s->waiting.digest);
        orch_jw_str(w, "decision", decided_words[decided(s, g)]);
        orch_jw_str(w, "reason", g->reason);
        orch_jw_str(w, "since", s->waiting.time);
        orch_jw_end(w, '}');
    }
    orch_jw_end(w, ']');
}

static void json_overrides(const struct orch_run_state *s, struct orch_jw *w)
{
    orch_jw_arr(w, "overrides");
    for (size_t i = 0; i < s->n_overrides; i++) {
        const struct orch_override *o = &s->overrides[i];

        orch_jw_obj(w, NULL);
        orch_jw_str(w, "kind", o->force ? "force-gate" : "skip");
        orch_jw_str(w, "phase", o->phase);
        orch_jw_str(w, "gate", o->force ? o->gate : NULL);
        orch_jw_str(w, "reason", o->reason);
        orch_jw_str(w, "user", o->user);
        orch_jw_str(w, "time", o->time);
        orch_jw_end(w, '}');
    }
    orch_jw_end(w, ']');
}

/* Of what waits, else of the result so far. */
static const char *present_digest(const struct orch_run_state *s)
{
    return s->waits ? s->waiting.digest : orch_run_top_digest(s, s->n_phases);
}

void orch_summary_json(const struct orch_run_state *s, bool busy, struct orch_buf *out)
{
    struct orch_jw w = {.out = out};

    orch_jw_obj(&w, NULL);
    orch_jw_str(&w, "event", "summary");
    orch_jw_str(&w, "run", s->run);
    orch_jw_str(&w, "workflow", s->workflow);
    orch_jw_str(&w, "workflow_digest", s->workflow_digest);
    orch_jw_str(&w, "workspace", s->workspace);
    orch_jw_str(&w, "started", s->time_started);
    orch_jw_str(&w, "last", s->time_last);
    orch_jw_str(&w, "verdict", orch_run_standing(s, busy));
    if (s->ended) {
        orch_jw_int(&w, "exit", s->exit_code);
        orch_jw_str(&w, "reason", s->reason);
        orch_jw_str(&w, "audit_head", s->audit_head);
    }
    orch_jw_str(&w, "paused_by", s->paused_by);
    orch_jw_str(&w, "mode", s->mode);
    orch_jw_str(&w, "digest", present_digest(s));
    orch_jw_str(&w, "journal_head", s->head);
    json_pending(s, &w);
    json_overrides(s, &w);
    orch_jw_uint(&w, "spent_ms", s->spent_ms);
    orch_jw_uint(&w, "denials", s->denials);
    orch_jw_bool(&w, "applied", s->apply_done);
    orch_jw_uint(&w, "created", s->created);
    orch_jw_uint(&w, "modified", s->modified);
    orch_jw_uint(&w, "deleted", s->deleted);
    orch_jw_uint(&w, "kept", s->kept);
    json_phases(s, &w);
    orch_jw_end(&w, '}');
    orch_buf_char(out, '\n');
}
