/* cmd_list.c - the verb `list`: every run, one a line, the newest last. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/escape.h"
#include "common/exit.h"
#include "supervisor/runs.h"

enum { ID, STANDING, PHASE, STARTED, LAST, DENIALS, WORKFLOW, WORKSPACE, COLUMNS };

static const char *const titles[COLUMNS] = {"RUN",  "STANDING", "PHASE",    "STARTED",
                                            "LAST", "DENIALS",  "WORKFLOW", "WORKSPACE"};

struct row {
    char *cell[COLUMNS]; /* printable */
};

static size_t phases_passed(const struct orch_run_state *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n_phases; i++)
        n += s->phases[i].passed;
    return n;
}

/* "2026-01-02T03:04:05Z": the fraction tells people nothing. */
static char *to_seconds(const char *time)
{
    size_t n = strcspn(time, ".");

    return n ? orch_xasprintf("%.*sZ", (int)n, time) : orch_xstrdup("-");
}

static void fill_known(const struct orch_run_info *run, struct row *ret)
{
    const struct orch_run_state *s = &run->state;
    const char *standing = orch_run_info_standing(run);
    size_t at = orch_run_reached(s);

    ret->cell[STANDING] = !s->ended && !run->busy && s->paused_by
                              ? orch_xasprintf("%s (%s)", standing, s->paused_by)
                              : orch_xstrdup(standing);
    ret->cell[PHASE] = at < s->n_phases
                           ? orch_xasprintf("%zu/%zu %s", at + 1, s->n_phases, s->phases[at].name)
                           : orch_xstrdup("-");
    ret->cell[STARTED] = to_seconds(s->time_started);
    ret->cell[DENIALS] = orch_xasprintf("%" PRIu64, s->denials);
    ret->cell[WORKFLOW] = orch_escape_str(s->workflow);
    ret->cell[WORKSPACE] = orch_escape_str(s->workspace);
}

static void fill(const struct orch_run_info *run, struct row *ret)
{
    *ret = (struct row){0};
    ret->cell[ID] = orch_escape_str(run->id);
    ret->cell[LAST] = to_seconds(run->last);
    if (run->kind == ORCH_RUN_KNOWN) {
        fill_known(run, ret);
        return;
    }
    ret->cell[STANDING] = orch_xstrdup(orch_run_info_standing(run));
    for (size_t c = 0; c < WORKSPACE; c++)
        if (!ret->cell[c])
            ret->cell[c] = orch_xstrdup("-");
    ret->cell[WORKSPACE] = orch_xstrdup(run->why ? run->why : "-");
}

static void put_row(const char *const *cell, const size_t *width, struct orch_buf *out)
{
    for (size_t c = 0; c < COLUMNS; c++)
        orch_buf_printf(out, "%-*s%s", c + 1 < COLUMNS ? (int)width[c] : 0, cell[c],
                        c + 1 < COLUMNS ? "  " : "\n");
}

/* The titles are for people: scripts that count lines get runs alone. */
static void table(const struct orch_runs *runs, bool with_titles, struct orch_buf *out)
{
    struct row *rows = orch_xcalloc(runs->n ? runs->n : 1, sizeof(*rows));
    size_t width[COLUMNS] = {0};

    for (size_t c = 0; with_titles && c < COLUMNS; c++)
        width[c] = strlen(titles[c]);
    for (size_t i = 0; i < runs->n; i++) {
        fill(&runs->v[i], &rows[i]);
        for (size_t c = 0; c < COLUMNS; c++)
            if (strlen(rows[i].cell[c]) > width[c])
                width[c] = strlen(rows[i].cell[c]);
    }
    if (with_titles && runs->n)
        put_row(titles, width, out);
    for (size_t i = 0; i < runs->n; i++) {
        put_row((const char *const *)rows[i].cell, width, out);
        for (size_t c = 0; c < COLUMNS; c++)
            free(rows[i].cell[c]);
    }
    free(rows);
}

static void json_known(const struct orch_run_state *s, struct orch_jw *w)
{
    size_t at = orch_run_reached(s);

    orch_jw_str(w, "workflow", s->workflow);
    orch_jw_str(w, "workspace", s->workspace);
    if (s->ended)
        orch_jw_int(w, "exit", s->exit_code);
    orch_jw_str(w, "paused_by", s->ended ? NULL : s->paused_by);
    orch_jw_str(w, "phase", at < s->n_phases ? s->phases[at].name : NULL);
    orch_jw_uint(w, "passed", phases_passed(s));
    orch_jw_uint(w, "phases", s->n_phases);
    orch_jw_str(w, "started", s->time_started);
    orch_jw_uint(w, "denials", s->denials);
    orch_jw_bool(w, "applied", s->apply_done);
}

static void json_line(const struct orch_run_info *run, struct orch_buf *out)
{
    struct orch_jw w = {.out = out};

    orch_jw_obj(&w, NULL);
    orch_jw_str(&w, "run", run->id);
    orch_jw_str(&w, "verdict", orch_run_info_standing(run));
    if (run->kind == ORCH_RUN_KNOWN)
        json_known(&run->state, &w);
    if (run->why)
        orch_jw_str(&w, "reason", run->why);
    orch_jw_str(&w, "last", *run->last ? run->last : NULL);
    orch_jw_bool(&w, "busy", run->busy);
    if (run->busy && run->pid)
        orch_jw_int(&w, "pid", run->pid);
    else
        orch_jw_null(&w, "pid");
    orch_jw_end(&w, '}');
    orch_buf_char(out, '\n');
}

static int show(const struct orch_options *opt, struct orch_err *err)
{
    ORCH_AUTO(orch_runs_fini) struct orch_runs runs = {0};
    ORCH_AUTO_BUF struct orch_buf b = {0};
    ORCH_AUTO_FREE char *state = NULL;
    ORCH_AUTO_FREE char *shown = NULL;
    int k = orch_state_resolve(opt->state, &state, err);

    if (k == 0)
        k = orch_runs_load(state, &runs, err);
    if (k < 0)
        return k;
    for (size_t i = 0; opt->json && i < runs.n; i++)
        json_line(&runs.v[i], &b);
    if (!opt->json)
        table(&runs, isatty(STDOUT_FILENO), &b);
    shown = orch_escape_str(state);
    if (runs.n == 0)
        (void)fprintf(stderr, "orch-sandbox: there are no runs in '%s'\n", shown);
    (void)orch_write_all(STDOUT_FILENO, b.data ? b.data : "", b.len);
    return 0;
}

int orch_cmd_list(const struct orch_options *opt)
{
    struct orch_err err = {0};

    return show(opt, &err) < 0 ? orch_fail(&err, ORCH_EXIT_STATE) : ORCH_EXIT_OK;
}
