/*
 * cmd_decide.c - the verbs `approve` and `reject`: a person's decision about the layer that waits (design 6).
 *
 * A decision names the digest of what it is about, so it cannot be given to anything else; it needs a reason
 * and is never asked for on a terminal. It is recorded here and takes effect when the run is resumed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/escape.h"
#include "common/exit.h"
#include "supervisor/run.h"

struct decision {
    const char *word, *done;
    bool approves;
};

static const struct decision approve = {"approve", "approved", true}, reject = {"reject", "rejected", false};

static const struct orch_gate_record *find_gate(const struct orch_run_state *s, const char *target)
{
    const char *phase = s->phases[s->waiting.phase].name;
    size_t n = strlen(phase);

    if (strncmp(target, phase, n) != 0 || target[n] != '/')
        return NULL;
    for (size_t i = 0; i < s->waiting.n_gates; i++) {
        const struct orch_gate_record *g = &s->waiting.gates[i];

        if (strcmp(g->name, target + n + 1) == 0 && strcmp(g->type, "approval") == 0)
            return strcmp(g->verdict, "pending") == 0 ? g : NULL;
    }
    return NULL;
}

static int check_options(const struct orch_options *opt, const struct decision *d, struct orch_err *err)
{
    if (!opt->digest)
        return orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL,
                             "%s needs --digest D: the digest of the layer, as status shows it", d->word);
    if (!opt->reason || !orch_says_something(opt->reason))
        return orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL, "%s needs a --reason TEXT", d->word);
    return 0;
}

/* What waits is what is meant, and there is still time. */
static int check(const struct orch_run *r, const char *target, const struct orch_gate_record **ret,
                 struct orch_err *err)
{
    const struct orch_run_state *s = &r->journal.state;
    ORCH_AUTO_FREE char *shown = orch_escape_str(target);
    const struct orch_approval *before;
    const struct orch_phase *phase;

    if (!s->waits)
        return orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL, "nothing in run '%s' waits for an approval",
                             r->dir.id);
    *ret = find_gate(s, target);
    if (!*ret)
        return orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL,
                             "'%s' does not wait for an approval (see: orch-sandbox status %s)", shown,
                             r->dir.id);
    before = orch_run_approval(s, &s->waiting, (*ret)->name);
    if (before)
        return orch_err_exit(err, ORCH_EXIT_BUSY, EEXIST, "'%s' was %s already; resume the run", shown,
                             before->approved ? "approved" : "rejected");
    if (strcmp(r->opt->digest, s->waiting.digest) != 0)
        return orch_err_exit(err, ORCH_EXIT_BUSY, ESTALE,
                             "the layer that waits has another digest, %s: look at that one first",
                             s->waiting.digest);
    phase = &r->wf->phases[s->waiting.phase];
    if (orch_approval_expired(phase->gates, phase->n_gates, (*ret)->name, &s->waiting))
        return orch_err_exit(err, ORCH_EXIT_LIMIT, ETIMEDOUT,
                             "the time for this decision is over; resume the run: the attempt has failed");
    return 0;
}

static void put(struct orch_jw *w, const struct orch_run *r, const struct decision *d, const char *user)
{
    orch_jw_str(w, "digest", r->opt->digest);
    orch_jw_str(w, "decision", d->word);
    orch_jw_str(w, "reason", r->opt->reason);
    orch_jw_str(w, "user", user);
}

static int record(struct orch_run *r, const struct decision *d, const char *gate, struct orch_err *err)
{
    const struct orch_run_state *s = &r->journal.state;
    const char *phase = s->phases[s->waiting.phase].name;
    ORCH_AUTO_FREE char *user = orch_user_name();
    struct orch_jw w;
    int k = orch_audit_open(r->dir.fd, ORCH_AUDIT_NAME, r->dir.id, true, &r->audit, err);

    if (k == 0)
        k = orch_audit_scope(r->audit, phase, s->waiting.attempt, NULL, err);
    if (k < 0)
        return k;
    orch_audit_begin(r->audit, "gate", &w);
    orch_jw_str(&w, "name", gate);
    orch_jw_str(&w, "type", "approval");
    put(&w, r, d, user);
    k = orch_audit_commit(r->audit, &w, err);
    if (k < 0)
        return k;
    orch_run_record(r, "approval", &w);
    orch_jw_str(&w, "phase", phase);
    orch_jw_uint(&w, "attempt", s->waiting.attempt);
    orch_jw_str(&w, "gate", gate);
    put(&w, r, d, user);
    k = orch_run_commit(r, &w, err);
    return k < 0 ? k : orch_run_seal(r, err);
}

static int steps(struct orch_run *r, const struct decision *d, struct orch_err *err)
{
    const struct orch_gate_record *g = NULL;
    ORCH_AUTO_FREE char *gate = NULL;
    int k = check_options(r->opt, d, err);

    if (k == 0)
        k = orch_run_reopen(r, r->opt->args[0], err);
    if (k == 0)
        k = check(r, r->opt->args[1], &g, err);
    if (k < 0 || !g)
        return k;
    gate = orch_xstrdup(g->name);
    k = record(r, d, gate, err);
    if (k == 0)
        (void)printf("%s %s of run %s, layer %s\nnext: orch-sandbox resume %s\n", d->done, r->opt->args[1],
                     r->dir.id, r->opt->digest, r->dir.id);
    return k;
}

static int decide(const struct orch_options *opt, const struct decision *d)
{
    struct orch_err err = {0};
    struct orch_run r;
    int k;

    orch_run_init(&r, opt);
    k = orch_signals_open(true, &r.signals, &err); /* taken in and not minded: two records belong together */
    if (k == 0)
        k = steps(&r, d, &err);
    orch_run_fini(&r);
    return k < 0 ? orch_fail(&err, ORCH_EXIT_STATE) : ORCH_EXIT_OK;
}

int orch_cmd_approve(const struct orch_options *opt)
{
    return decide(opt, &approve);
}

int orch_cmd_reject(const struct orch_options *opt)
{
    return decide(opt, &reject);
}
