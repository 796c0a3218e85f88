/*
 * overrides.c - what only the operator may do, from outside and on the record: --skip and --force-gate
 * (design 4). See run.h.
 *
 * The mode is no boundary against an unconfined caller; it keeps a script, and an agent that has somehow got
 * hold of a shell outside, from doing by habit what a person must want. Inside a sandbox the mode is always
 * strict.
 */
#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "common/escape.h"
#include "common/exit.h"
#include "supervisor/run.h"

/* PHASE/GATE, taken apart. */
struct target {
    char *phase; /* owned */
    const char *gate;
};

static struct target split(const char *text)
{
    const char *slash = strchr(text, '/');

    return (struct target){.phase = orch_xstrndup(text, slash ? (size_t)(slash - text) : strlen(text)),
                           .gate = slash ? slash + 1 : ""};
}

static void target_fini(struct target *t)
{
    free(t->phase);
}

static int unknown(const char *what, const char *text, const char *const *names, struct orch_err *err)
{
    ORCH_AUTO_FREE char *shown = orch_escape_str(text);
    const char *near = orch_near_name(text, names);

    return orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL, "%s '%s' is not in this workflow%s%s%s", what, shown,
                         near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

static int find_phase(const struct orch_workflow *wf, const char *name, const struct orch_phase **ret,
                      struct orch_err *err)
{
    ORCH_AUTO_FREE const char **names = orch_xcalloc(wf->n_phases + 1, sizeof(*names));

    for (size_t i = 0; i < wf->n_phases; i++) {
        names[i] = wf->phases[i].name;
        if (strcmp(wf->phases[i].name, name) == 0) {
            *ret = &wf->phases[i];
            return 0;
        }
    }
    return unknown("phase", name, names, err);
}

/* Only gates that decide by themselves: a child of all, any, not decides through its group. */
static int check_gate(const struct orch_workflow *wf, const char *text, struct orch_err *err)
{
    ORCH_AUTO(target_fini) struct target t = split(text);
    ORCH_AUTO_FREE const char **names = NULL;
    const struct orch_phase *phase = NULL;
    int k = find_phase(wf, t.phase, &phase, err);

    if (k < 0 || !phase)
        return k;
    names = orch_xcalloc(phase->n_gates + 1, sizeof(*names));
    for (size_t i = 0; i < phase->n_gates; i++) {
        names[i] = phase->gates[i].name;
        if (strcmp(names[i], t.gate) == 0)
            return 0;
    }
    return *t.gate ? unknown("gate", t.gate, names, err)
                   : orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL, "--force-gate wants PHASE/GATE");
}

bool orch_says_something(const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    return *text != '\0';
}

int orch_overrides_permitted(const struct orch_options *opt, struct orch_err *err)
{
    if (opt->skip.n + opt->force_gate.n == 0 || strcmp(orch_mode_detect(opt->mode), "operator") == 0)
        return 0;
    if (orch_inside_sandbox())
        return orch_err_exit(err, ORCH_EXIT_USAGE, EPERM,
                             "--skip and --force-gate are refused inside an orch-sandbox, always");
    return orch_err_exit(err, ORCH_EXIT_USAGE, EPERM,
                         "--skip and --force-gate are refused in strict mode; give --mode operator if a "
                         "person decides this");
}

/* s: of a run that is resumed, else NULL. */
static int check_skip(const struct orch_workflow *wf, const struct orch_run_state *s, const char *name,
                      struct orch_err *err)
{
    const struct orch_phase *phase;
    int k = find_phase(wf, name, &phase, err);
    size_t p = k == 0 && s ? orch_run_find_phase(s, name) : 0;

    if (k == 0 && s && p < s->n_phases && s->phases[p].passed)
        return orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL, "phase '%s' has passed: nothing is to be skipped",
                             name);
    return k;
}

int orch_overrides_check(const struct orch_options *opt, const struct orch_workflow *wf,
                         const struct orch_run_state *s, struct orch_err *err)
{
    int k = 0;

    if (opt->skip.n + opt->force_gate.n == 0)
        return opt->reason
                   ? orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL, "--reason belongs to --skip or --force-gate")
                   : 0;
    k = orch_overrides_permitted(opt, err);
    if (k == 0 && (!opt->reason || !orch_says_something(opt->reason)))
        k = orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL, "--skip and --force-gate need a --reason TEXT");
    for (size_t i = 0; k == 0 && i < opt->skip.n; i++)
        k = check_skip(wf, s, opt->skip.v[i], err);
    for (size_t i = 0; k == 0 && i < opt->force_gate.n; i++)
        k = check_gate(wf, opt->force_gate.v[i], err);
    return k;
}

char *orch_user_name(void)
{
    const struct passwd *pw = getpwuid(getuid());

    return pw ? orch_xstrdup(pw->pw_name) : orch_xasprintf("uid %u", getuid());
}

static int record(struct orch_run *r, const char *kind, const char *phase, const char *gate,
                  struct orch_err *err)
{
    ORCH_AUTO_FREE char *user = orch_user_name();
    struct orch_jw w;
    int k;

    orch_audit_begin(r->audit, "run", &w);
    orch_jw_str(&w, "state", "override");
    orch_jw_str(&w, "kind", kind);
    orch_jw_str(&w, "target", phase);
    orch_jw_str(&w, "target_gate", gate);
    orch_jw_str(&w, "reason", r->opt->reason);
    orch_jw_str(&w, "user", user);
    k = orch_audit_commit(r->audit, &w, err);
    if (k < 0)
        return k;
    orch_run_record(r, "override", &w);
    orch_jw_str(&w, "kind", kind);
    orch_jw_str(&w, "phase", phase);
    orch_jw_str(&w, "gate", gate);
    orch_jw_str(&w, "reason", r->opt->reason);
    orch_jw_str(&w, "user", user);
    k = orch_run_commit(r, &w, err);
    if (k == 0)
        orch_progress_note(&r->progress, "override: %s %s%s%s", kind, phase, *gate ? "/" : "", gate);
    return k;
}

/* What a resume says again need not be recorded again. */
static bool recorded(const struct orch_run_state *s, bool force, const char *phase, const char *gate)
{
    for (size_t i = 0; i < s->n_overrides; i++) {
        const struct orch_override *o = &s->overrides[i];

        if (o->force == force && strcmp(o->phase, phase) == 0 && strcmp(o->gate, gate) == 0)
            return true;
    }
    return false;
}

int orch_overrides_record(struct orch_run *r, struct orch_err *err)
{
    int k = 0;

    for (size_t i = 0; k == 0 && i < r->opt->skip.n; i++)
        if (!recorded(&r->journal.state, false, r->opt->skip.v[i], ""))
            k = record(r, "skip", r->opt->skip.v[i], "", err);
    for (size_t i = 0; k == 0 && i < r->opt->force_gate.n; i++) {
        ORCH_AUTO(target_fini) struct target t = split(r->opt->force_gate.v[i]);

        if (!recorded(&r->journal.state, true, t.phase, t.gate))
            k = record(r, "force-gate", t.phase, t.gate, err);
    }
    return k;
}
