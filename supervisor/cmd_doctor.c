/*
 * cmd_doctor.c - the verb `doctor`: what this host can enforce, by trying it, for people or as JSON.
 *
 * Exit 0 only if the tier is full, else 3: a script can ask before it starts a run.
 */
#include <errno.h>
#include <string.h>

#include "common/escape.h"
#include "common/exit.h"
#include "common/io.h"
#include "common/jsonw.h"
#include "sandbox/doctor.h"
#include "supervisor/options.h"
#include "supervisor/preflight.h"
#include "supervisor/signals.h"
#include "supervisor/state.h"

/* ---- for people ---- */

static const char *const closings[] = {
    [ORCH_HOST_NONE] = "This host cannot enforce any profile: run and exec refuse with exit status 3.",
    [ORCH_HOST_NESTED] = "Landlock and system call filters work, a whole sandbox does not: run and exec take "
                         "profiles that say "
                         "\"requires\": \"nested\", and refuse others (run with exit status 3).",
    [ORCH_HOST_FULL] = "This host can enforce every profile.",
};

/* The same fix is told once. */
static const char *fix_told(const struct orch_doctor_report *r, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (r->v[k].fix && strcmp(r->v[k].fix, r->v[i].fix) == 0)
            return r->v[k].title;
    return NULL;
}

static void print_missing(const struct orch_doctor_report *r, size_t i, struct orch_buf *out)
{
    const struct orch_check_result *c = &r->v[i];
    const char *told = fix_told(r, i);

    for (size_t k = 0; c->depends[k]; k++)
        orch_buf_printf(out, "           needed by: %s%s\n", c->depends[k],
                        c->need == ORCH_FOR_OPTION ? " (optional)" : "");
    if (told)
        orch_buf_printf(out, "           fix: as for '%s'\n", told);
    else
        orch_buf_printf(out, "           fix: %s\n", c->fix);
}

static void print_text(const struct orch_doctor_report *r, const char *note, struct orch_buf *out)
{
    size_t options = 0;

    for (size_t i = 0; i < r->n; i++) {
        const struct orch_check_result *c = &r->v[i];

        orch_buf_printf(out, "%-9s  %s: %s\n", orch_check_state_name(c->state), c->title, c->detail);
        if (c->state == ORCH_CHECK_MISSING)
            print_missing(r, i, out);
        options += c->state == ORCH_CHECK_MISSING && c->need == ORCH_FOR_OPTION;
    }
    if (note)
        orch_buf_printf(out, "\nnote: %s; an empty directory stood in for the workspace\n", note);
    orch_buf_printf(out, "\ntier: %s\n%s", orch_host_tier_name(r->tier), closings[r->tier]);
    if (options && r->tier == ORCH_HOST_FULL)
        orch_buf_printf(out, " Missing but optional: %zu.", options);
    orch_buf_char(out, '\n');
}

/* ---- for programs ---- */

static void add_check(struct orch_jw *w, const struct orch_check_result *c)
{
    orch_jw_obj(w, NULL);
    orch_jw_str(w, "id", c->id);
    orch_jw_str(w, "title", c->title);
    orch_jw_str(w, "state", orch_check_state_name(c->state));
    orch_jw_str(w, "needed_for", orch_check_need_name(c->need));
    orch_jw_arr(w, "depends");
    for (size_t k = 0; c->depends[k]; k++)
        orch_jw_str(w, NULL, c->depends[k]);
    orch_jw_end(w, ']');
    orch_jw_str(w, "detail", c->detail);
    orch_jw_str(w, "fix", c->fix);
    orch_jw_end(w, '}');
}

static void print_json(const struct orch_doctor_report *r, const char *note, struct orch_buf *out)
{
    struct orch_jw w = {.out = out};

    orch_jw_obj(&w, NULL);
    orch_jw_uint(&w, "schema", 1);
    orch_jw_str(&w, "tier", orch_host_tier_name(r->tier));
    orch_jw_str(&w, "kernel", r->kernel);
    orch_jw_uint(&w, "user", geteuid());
    orch_jw_str(&w, "note", note);
    orch_jw_arr(&w, "checks");
    for (size_t i = 0; i < r->n; i++)
        add_check(&w, &r->v[i]);
    orch_jw_end(&w, ']');
    orch_jw_end(&w, '}');
    orch_buf_char(out, '\n');
}

/* ---- the verb ---- */

/*
 * A workspace that was named must do as one of a run must. The current directory is only an example of what
 * lies below an overlay: where it will not do (as a home with the state directory in it) an empty one stands
 * in, and *note says why.
 */
static int choose_workspace(const struct orch_options *opt, const char *state, char **ret, char **note,
                            struct orch_err *err)
{
    int r = orch_preflight_workspace(opt->workspace, state, false, ret, err);

    if (r == 0 || opt->workspace)
        return r;
    *note = orch_xstrdup(err->msg);
    return 0;
}

static int examine(const struct orch_options *opt, const char *state, const char *workspace, const char *note,
                   struct orch_err *err)
{
    struct orch_signals signals;
    struct orch_doctor_report report;
    ORCH_AUTO_BUF struct orch_buf out = {0};
    struct orch_doctor_args args = {
        .state_dir = state, .workspace = workspace, .inside = orch_inside_sandbox(), .wake_fd = -1};
    int r = orch_signals_open(false, &signals, err), code;

    if (r < 0)
        return r;
    args.wake_fd = signals.fd;
    r = orch_doctor_run(&args, &report, err);
    orch_signals_poll(&signals);
    code = report.tier == ORCH_HOST_FULL ? ORCH_EXIT_OK : ORCH_EXIT_UNENFORCEABLE;
    if (r == -EINTR)
        r = orch_err_exit(err, orch_signals_exit(&signals), EINTR, "cancelled");
    else if (r == 0)
        (opt->json ? print_json : print_text)(&report, note, &out);
    if (r == 0 && (r = orch_write_all(STDOUT_FILENO, out.data, out.len)) < 0)
        r = orch_err_exit(err, ORCH_EXIT_STATE, -r, "standard output: %s", strerror(-r));
    orch_doctor_report_fini(&report);
    orch_signals_close(&signals);
    return r < 0 ? r : code;
}

int orch_cmd_doctor(const struct orch_options *opt)
{
    ORCH_AUTO_FREE char *state = NULL, *workspace = NULL, *note = NULL;
    struct orch_err err = {0};
    int r = orch_state_resolve(opt->state, &state, &err);

    if (r == 0)
        r = choose_workspace(opt, state, &workspace, &note, &err);
    if (r == 0)
        r = examine(opt, state, workspace, note, &err);
    return r < 0 ? orch_fail(&err, ORCH_EXIT_UNENFORCEABLE) : r;
}
