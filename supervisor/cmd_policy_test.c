/*
 * cmd_policy_test.c - the verb `policy test`: assertions about a profile, each tried on the model and in the
 * kernel, reported as TAP version 14.
 *
 * Exit 0 if all hold, 1 if one does not, 2 for documents that say nothing, 3 where the host cannot run the
 * kernel half (its points are then skipped with the reason).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/escape.h"
#include "common/exit.h"
#include "common/io.h"
#include "supervisor/policy.h"
#include "supervisor/preflight.h"
#include "supervisor/state.h"

struct testing {
    const struct orch_options *opt;
    struct orch_policy p;
    char *home;
    struct orch_buf out;
    size_t points, failed;
    bool unenforceable;
};

struct testfile {
    struct orch_assertions *a;
    struct orch_profile *profile;
    struct orch_plan *plan; /* the model */
    char *workspace;        /* the one of this file; made and removed by us if `made` */
    bool made;
    struct orch_explained *model;
    char **target;
};

/* ---- TAP ---- */

static void tap_text(struct orch_buf *out, const char *s)
{
    ORCH_AUTO_FREE char *shown = orch_escape_str(s);

    for (const char *c = shown; *c; c++) { /* '#' begins a directive */
        if (*c == '#')
            orch_buf_char(out, '\\');
        orch_buf_char(out, *c);
    }
}

static void answer_text(struct orch_buf *out, enum orch_says says, int errnum)
{
    orch_buf_str(out, orch_says_name(says));
    if (errnum)
        orch_buf_printf(out, " (%s)", strerrorname_np(errnum) ? strerrorname_np(errnum) : "?");
}

static void point(struct testing *t, const struct testfile *f, size_t i, const char *half, bool ok,
                  const char *skip)
{
    const struct orch_assertion *a = &f->a->v[i];
    ORCH_AUTO_FREE char *text = orch_assertion_text(a);

    t->points++;
    t->failed += !ok;
    orch_buf_printf(&t->out, "%s %zu - ", ok ? "ok" : "not ok", t->points);
    tap_text(&t->out, text);
    orch_buf_printf(&t->out, ": %s, in the %s", a->expect_text, half);
    if (skip) {
        orch_buf_str(&t->out, " # SKIP ");
        tap_text(&t->out, skip);
    }
    orch_buf_char(&t->out, '\n');
}

/* One line of the YAML block that says why a point failed; a quoted JSON string is one in YAML too. */
static void why(struct testing *t, const char *key, const char *value)
{
    orch_buf_printf(&t->out, "  %s: \"", key);
    (void)orch_escape_json(&t->out, value, strlen(value));
    orch_buf_str(&t->out, "\"\n");
}

static void why_begin(struct testing *t, const struct testfile *f, size_t i)
{
    ORCH_AUTO_FREE char *at = orch_xasprintf("%s:%u", f->a->file, f->a->v[i].line);

    orch_buf_str(&t->out, "  ---\n");
    why(t, "at", at);
    why(t, "expected", f->a->v[i].expect_text);
}

static void why_answer(struct testing *t, const char *key, enum orch_says says, int errnum)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};

    answer_text(&b, says, errnum);
    why(t, key, b.data);
}

static void model_point(struct testing *t, const struct testfile *f, size_t i)
{
    const struct orch_explained *m = &f->model[i];
    bool ok = orch_expect_holds(&f->a->v[i], m->says, m->errnum);

    point(t, f, i, "model", ok, NULL);
    if (ok)
        return;
    why_begin(t, f, i);
    why_answer(t, "model", m->says, m->errnum);
    why(t, "rule", m->rule);
    if (m->path)
        why(t, "path", m->path);
    orch_buf_str(&t->out, "  ...\n");
}

static bool agree(const struct orch_explained *m, const struct orch_probe_act *act)
{
    return m->says == act->says && m->errnum == act->errnum;
}

static void kernel_point(struct testing *t, const struct testfile *f, size_t i,
                         const struct orch_probe_act *act)
{
    const struct orch_explained *m = &f->model[i];
    bool same = act->done && agree(m, act);
    bool ok = same && orch_expect_holds(&f->a->v[i], act->says, act->errnum);

    point(t, f, i, "kernel", ok, NULL);
    if (ok)
        return;
    why_begin(t, f, i);
    if (act->done)
        why_answer(t, "kernel", act->says, act->errnum);
    if (act->done && !same) {
        why_answer(t, "model", m->says, m->errnum);
        why(t, "message", "model and kernel disagree");
    }
    if (act->note)
        why(t, "note", act->note);
    orch_buf_str(&t->out, "  ...\n");
}

/* ---- one file ---- */

static bool host_has(const struct orch_explained *m)
{
    struct stat st;

    return !m->path || lstat(m->path, &st) == 0;
}

static int kernel_half(struct testing *t, struct testfile *f, struct orch_err *err)
{
    size_t n = 0;
    ORCH_AUTO_FREE size_t *index = orch_xcalloc(f->a->n, sizeof(*index));
    ORCH_AUTO_FREE struct orch_probe_act *acts = orch_xcalloc(f->a->n, sizeof(*acts));
    int r;

    for (size_t i = 0; i < f->a->n; i++) {
        if (f->a->v[i].if_present && !host_has(&f->model[i]))
            continue;
        index[n] = i;
        acts[n++] = (struct orch_probe_act){.a = &f->a->v[i], .target = f->target[i], .model = &f->model[i]};
    }
    r = orch_preflight_limits(f->profile, err);
    if (r == 0)
        r = orch_probe_run(&t->p, f->profile, f->workspace, acts, n, err);
    for (size_t i = 0; r == 0 && i < n; i++)
        kernel_point(t, f, index[i], &acts[i]);
    if (r == 0 || err->exit_code != ORCH_EXIT_UNENFORCEABLE)
        return r;
    t->unenforceable = true;
    for (size_t i = 0; i < n; i++)
        point(t, f, index[i], "kernel", true, err->msg);
    return 0;
}

static int run_file(struct testing *t, struct testfile *f, struct orch_err *err)
{
    orch_buf_str(&t->out, "# ");
    tap_text(&t->out, f->a->file);
    orch_buf_str(&t->out, ", profile ");
    tap_text(&t->out, f->profile->name);
    orch_buf_printf(&t->out, " sha256 %s\n", f->profile->digest);
    for (size_t i = 0; i < f->a->n; i++) {
        if (f->a->v[i].if_present && !host_has(&f->model[i]))
            point(t, f, i, "model and the kernel", true, "not on this host");
        else
            model_point(t, f, i);
    }
    return kernel_half(t, f, err);
}

/* ---- making ready ---- */

static int make_entry(const char *dir, const char *entry, struct orch_err *err)
{
    ORCH_AUTO_FREE char *path = orch_path_normalize(dir, entry), *parent = orch_path_normalize(path, "..");
    bool directory = entry[strlen(entry) - 1] == '/';
    int r = orch_mkdir_p(directory ? path : parent, 0755);

    if (r == 0 && !directory)
        r = orch_write_file_sync(AT_FDCWD, path, "test\n", 5, 0644);
    return r < 0
               ? orch_err_exit(err, ORCH_EXIT_STATE, -r, "cannot make the test's workspace: %s", strerror(-r))
               : 0;
}

/* A workspace of its own, with what the file says; the operator's is taken only when he names it. */
static int make_workspace(struct testing *t, struct testfile *f, struct orch_err *err)
{
    const char *tmp = getenv("TMPDIR");
    ORCH_AUTO_FREE char *dir = NULL;
    int r = 0;

    if (t->opt->workspace) {
        f->workspace = orch_xstrdup(t->p.workspace);
        return 0;
    }
    dir = orch_xasprintf("%s/orch-policy.XXXXXX", tmp && tmp[0] == '/' ? tmp : "/tmp");
    if (!mkdtemp(dir) || chmod(dir, 0755) < 0)
        return orch_err_exit(err, ORCH_EXIT_STATE, errno, "cannot make a workspace for the test: %s",
                             strerror(errno));
    f->workspace = realpath(dir, NULL);
    f->made = true;
    if (!f->workspace)
        return orch_err_exit(err, ORCH_EXIT_STATE, errno, "cannot find the workspace of the test");
    for (size_t i = 0; r == 0 && i < f->a->workspace.n; i++)
        r = make_entry(f->workspace, f->a->workspace.v[i], err);
    return r;
}

static void load_file(struct testing *t, const char *file, struct testfile *f, struct orch_diags *d)
{
    const char *ref = t->opt->profile;

    if (orch_assertions_load(file, &f->a, d) < 0)
        return;
    if (!ref && !f->a->profile)
        orch_diags_add(d, file, 0, 0, "", "it names no profile: give --profile PROFILE");
    else
        (void)orch_policy_profile(ref ? ref : f->a->profile, ref ? t->p.cwd : f->a->dir, &f->profile, d);
}

static void answer_all(struct testing *t, struct testfile *f)
{
    f->model = orch_xcalloc(f->a->n, sizeof(*f->model));
    f->target = orch_xcalloc(f->a->n, sizeof(*f->target));
    for (size_t i = 0; i < f->a->n; i++) {
        f->target[i] = orch_act_expand(f->a->v[i].target, f->workspace, t->home);
        orch_assertion_model(f->plan, &f->a->v[i], f->target[i], &f->model[i]);
    }
}

static void file_fini(struct testfile *f)
{
    for (size_t i = 0; f->model && i < f->a->n; i++) {
        orch_explained_fini(&f->model[i]);
        free(f->target[i]);
    }
    if (f->made && f->workspace)
        (void)orch_rm_rf(AT_FDCWD, f->workspace);
    free(f->model);
    free(f->target);
    free(f->workspace);
    orch_plan_free(f->plan);
    orch_profile_free(f->profile);
    orch_assertions_free(f->a);
}

/* All documents are read before anything runs. */
static int load_all(struct testing *t, struct testfile *files, struct orch_err *err)
{
    struct orch_diags d = {0};
    size_t n = (size_t)t->opt->n_args;
    int r = 0;

    for (size_t i = 0; i < n; i++)
        load_file(t, t->opt->args[i], &files[i], &d);
    for (size_t i = 0; d.n == 0 && r == 0 && i < n; i++) {
        r = make_workspace(t, &files[i], err);
        if (r == 0)
            (void)orch_policy_plan(&t->p, files[i].profile, files[i].workspace, NULL, &files[i].plan, &d);
    }
    if (d.n) {
        orch_diags_print(&d, STDERR_FILENO);
        r = orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL, "nothing was tested");
    }
    orch_diags_fini(&d);
    for (size_t i = 0; r == 0 && i < n; i++)
        answer_all(t, &files[i]);
    return r;
}

static int run_all(struct testing *t, struct testfile *files, struct orch_err *err)
{
    int r = load_all(t, files, err);

    if (r == 0)
        r = orch_preflight_inside(err);
    if (r == 0)
        r = orch_state_prepare(t->p.state, err);
    orch_buf_str(&t->out, "TAP version 14\n");
    for (size_t i = 0; r == 0 && i < (size_t)t->opt->n_args; i++)
        r = run_file(t, &files[i], err);
    orch_closure_cache_save(t->p.closures);
    return r;
}

int orch_cmd_policy_test(const struct orch_options *opt)
{
    struct testing t = {.opt = opt};
    ORCH_AUTO_FREE struct testfile *files = orch_xcalloc((size_t)opt->n_args, sizeof(*files));
    struct orch_err err = {0};
    int code, r = orch_policy_open(opt, &t.p, &err);

    t.home = orch_policy_home();
    if (r == 0)
        r = run_all(&t, files, &err);
    if (r < 0) {
        code = orch_fail(&err, ORCH_EXIT_USAGE);
    } else {
        orch_buf_printf(&t.out, "1..%zu\n", t.points);
        code = t.failed ? ORCH_EXIT_FAILED : t.unenforceable ? ORCH_EXIT_UNENFORCEABLE : ORCH_EXIT_OK;
        code = orch_policy_print(&t.out, code);
    }
    for (int i = 0; i < opt->n_args; i++)
        file_fini(&files[i]);
    orch_buf_fini(&t.out);
    orch_policy_close(&t.p);
    free(t.home);
    return code;
}
