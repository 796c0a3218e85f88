/*
 * command.c - the `command` gate: a trusted command judges the sealed workspace in a sandbox of its own.
 *
 * What it runs, its profile and its limits come from the workflow; its view is the sealed layers under a
 * throw-away layer, with `restore` paths taken from the workspace as at run start in place of the agent's
 * (T-GATE-07 to 10). Only its exit status is evidence, never what it prints. Any end but a clean exit is an
 * error, so that neither a killed runner nor one that could not start counts for or against the agent - also
 * under must_fail, where it would count as success.
 */
#include "gates/gates_int.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include "common/escape.h"
#include "common/glob.h"
#include "common/io.h"
#include "sandbox/cell.h"

#define DEFAULT_WALL_MS (UINT64_C(10) * 60 * 1000) /* every evaluation has an end */
#define EXIT_REFUSED 126
#define EXIT_NOT_FOUND 127

/* The overlay of one evaluation: host directories beneath scratch_dir, and what is under the throw-away
 * layer. */
struct stack {
    char *dir, *restore, *scaffold; /* dir holds upper/ and work/ */
    struct orch_strv layers;
    struct orch_view view; /* of layers over the workspace */
    bool scaffold_used;
};

struct relay { /* hooks' context */
    const struct orch_gate *g;
    const struct orch_gate_ctx *c;
};

static enum orch_next relay_denial(void *ctx, const struct orch_denial *d)
{
    const struct relay *relay = ctx;

    if (relay->c->on_denial)
        relay->c->on_denial(relay->c->ctx, relay->g->name, d);
    return ORCH_GO_ON;
}

static void relay_exec(void *ctx, const struct orch_exec_event *e)
{
    const struct relay *relay = ctx;

    if (relay->c->on_exec)
        relay->c->on_exec(relay->c->ctx, relay->g->name, e);
}

static void relay_output(void *ctx, int stream, const void *p, size_t n)
{
    const struct relay *relay = ctx;

    if (relay->c->on_output)
        relay->c->on_output(relay->c->ctx, relay->g->name, stream, p, n);
}

static enum orch_next relay_tick(void *ctx)
{
    const struct relay *relay = ctx;

    return relay->c->on_tick ? relay->c->on_tick(relay->c->ctx) : ORCH_GO_ON;
}

/* As root, layers belong to the agent's user, as the attempt's own do (design 8); otherwise to us anyway. */
static uid_t layer_uid(const struct orch_gate_ctx *c)
{
    return orch_is_root() ? c->uid : (uid_t)-1;
}

static gid_t layer_gid(const struct orch_gate_ctx *c)
{
    return orch_is_root() ? c->gid : (gid_t)-1;
}

/* -EEXIST is passed on silently; the messages name no host path, because the agent gets to read reasons. */
static int make_dir(const struct orch_gate_ctx *c, const char *path, struct orch_err *err)
{
    if (mkdir(path, 0700) == 0 && chmod(path, 0755) == 0 && chown(path, layer_uid(c), layer_gid(c)) == 0)
        return 0;
    return orch_err_sys(err, errno, "cannot make the gate's throw-away layer");
}

static int make_sub(const struct orch_gate_ctx *c, const char *dir, const char *name, char **ret,
                    struct orch_err *err)
{
    *ret = orch_xasprintf("%s/%s", dir, name);
    return make_dir(c, *ret, err);
}

/* A directory of this evaluation alone: the first free number. */
static int make_stack_dir(const struct orch_gate_ctx *c, struct stack *s, struct orch_err *err)
{
    ORCH_AUTO_FREE char *upper = NULL, *work = NULL;
    int k;

    for (unsigned i = 1;; i++) {
        s->dir = orch_xasprintf("%s/gate-%u", c->scratch_dir, i);
        k = make_dir(c, s->dir, err);
        if (k != -EEXIST)
            break;
        orch_free_ptrp(&s->dir);
    }
    k = k < 0 ? k : make_sub(c, s->dir, "upper", &upper, err);
    return k < 0 ? k : make_sub(c, s->dir, "work", &work, err);
}

/* What is given as a directory means what is in it, too: "tests" protects no less than its every file. */
static void with_contents(const struct orch_strv *globs, struct orch_strv *ret)
{
    for (size_t i = 0; i < globs->n; i++) {
        size_t n = strlen(globs->v[i]);

        orch_strv_add(ret, globs->v[i]);
        if (n < 2 || strcmp(globs->v[i] + n - 2, "**") != 0)
            orch_strv_add_take(ret, orch_xasprintf("%s/**", globs->v[i]));
    }
}

static int add_restore(const struct orch_gate *g, const struct orch_gate_ctx *c, struct stack *s,
                       struct orch_err *err)
{
    ORCH_AUTO(orch_strv_fini) struct orch_strv globs = {0};
    int k;

    if (!g->restore.n)
        return 0;
    k = make_sub(c, s->dir, "restore", &s->restore, err);
    if (k < 0)
        return k;
    with_contents(&g->restore, &globs);
    orch_strv_add(&s->layers, s->restore);
    return orch_layer_restore(c->view, c->base, &globs, s->restore, layer_uid(c), layer_gid(c), err);
}

/* Builds everything beneath the throw-away layer. 0 or -errno + err; stack_fini is due in any case. */
static int make_stack(const struct orch_gate *g, const struct orch_gate_ctx *c, const struct orch_plan *plan,
                      struct stack *s, struct orch_err *err)
{
    int k = make_stack_dir(c, s, err);

    k = k < 0 ? k : add_restore(g, c, s, err);
    if (k < 0)
        return k;
    for (size_t i = 0; i < c->layers->n; i++)
        orch_strv_add(&s->layers, c->layers->v[i]);
    k = orch_view_open(&s->layers, c->workspace, &s->view, err);
    if (k < 0 || c->nested) /* where nothing is mounted, nothing is hidden either */
        return k;
    k = make_sub(c, s->dir, "scaffold", &s->scaffold, err);
    if (k < 0)
        return k;
    return orch_layer_scaffold(&s->view, plan, s->scaffold, layer_uid(c), layer_gid(c), &s->scaffold_used,
                               err);
}

static void stack_fini(struct stack *s)
{
    orch_view_fini(&s->view);
    if (s->dir)
        (void)orch_rm_rf(AT_FDCWD, s->dir); /* what is left, the caller removes with scratch_dir */
    orch_strv_fini(&s->layers);
    free(s->dir);
    free(s->restore);
    free(s->scaffold);
}

static uint64_t wall_limit(const struct orch_gate *g, const struct orch_gate_ctx *c)
{
    uint64_t wall = g->timeout_ms ? g->timeout_ms : DEFAULT_WALL_MS;
    uint64_t own = g->profile->limits.wall_ms;

    if (own && own < wall)
        wall = own;
    return c->left_ms && c->left_ms < wall ? c->left_ms : wall;
}

static void judge_exit(const struct orch_gate *g, int status, struct orch_gate_result *r)
{
    bool good = g->must_fail ? status != 0 : status == g->expect;

    if (status == EXIT_REFUSED || status == EXIT_NOT_FOUND)
        orch_gate_say(r, ORCH_GATE_ERROR, "exit status %d: the command could not be run", status);
    else if (g->must_fail)
        orch_gate_say(r, good ? ORCH_GATE_PASS : ORCH_GATE_FAIL, "exit status %d, expected a failure",
                      status);
    else
        orch_gate_say(r, good ? ORCH_GATE_PASS : ORCH_GATE_FAIL, "exit status %d, expected %d", status,
                      g->expect);
}

static void say_setup(const struct orch_outcome *o, struct orch_gate_result *r)
{
    ORCH_AUTO_FREE char *path = orch_escape_str(o->setup.path), *step = orch_escape_str(o->setup.step);

    if (o->setup.exec_failed)
        orch_gate_say(r, ORCH_GATE_ERROR, "the command could not be started: %s", strerror(o->setup.errnum));
    else
        orch_gate_say(r, ORCH_GATE_ERROR, "the gate's sandbox could not be set up: %s%s%s: %s", step,
                      *path ? " " : "", path, strerror(o->setup.errnum));
}

static void judge(const struct orch_gate *g, const struct orch_outcome *o, struct orch_gate_result *r)
{
    switch (o->end) {
    case ORCH_END_EXIT:
        judge_exit(g, o->status, r);
        break;
    case ORCH_END_SIGNAL:
        orch_gate_say(r, ORCH_GATE_ERROR, "ended by signal %d", o->status);
        break;
    case ORCH_END_LIMIT:
        orch_gate_say(r, ORCH_GATE_ERROR, "ended by its limit '%s' after %" PRIu64 " ms",
                      o->limit ? o->limit : "?", o->elapsed_ms);
        break;
    case ORCH_END_SETUP:
        say_setup(o, r);
        break;
    default: /* cancelled, or an end that no gate command has: never evidence */
        orch_gate_say(r, ORCH_GATE_ERROR, "ended by %s, not by itself", orch_end_name(o->end));
        break;
    }
}

static void run_args(const struct orch_gate *g, const struct orch_gate_ctx *c,
                     const struct orch_sandbox_args *args, struct orch_gate_result *r)
{
    struct relay relay = {.g = g, .c = c};
    struct orch_sandbox_hooks hooks = {.ctx = &relay,
                                       .on_denial = relay_denial,
                                       .on_exec = relay_exec,
                                       .on_output = relay_output,
                                       .on_tick = relay_tick,
                                       .wake_fd = c->wake_fd};
    struct orch_outcome outcome = {0};
    struct orch_err err = {0};
    int k = orch_sandbox_run(args, &hooks, &outcome, &err);

    orch_gate_note_errno(r, -k);
    if (k < 0)
        orch_gate_say(r, ORCH_GATE_ERROR, "%s", *err.msg ? err.msg : strerror(-k));
    else
        judge(g, &outcome, r);
}

static void say_unmade(const struct orch_err *err, int k, struct orch_gate_result *r)
{
    orch_gate_note_errno(r, -k);
    orch_gate_say(r, ORCH_GATE_ERROR, "%s", *err->msg ? err->msg : strerror(-k));
}

static void run_planned(const struct orch_gate *g, const struct orch_gate_ctx *c,
                        const struct orch_plan *plan, struct orch_gate_result *r)
{
    ORCH_AUTO(stack_fini) struct stack s = {0};
    struct orch_sandbox_args args = {.plan = plan, .stdin_fd = -1, .wall_ms = wall_limit(g, c)};
    struct orch_err err = {0};
    int k = make_stack(g, c, plan, &s, &err);

    args.workspace = (struct orch_overlay){.layers = &s.layers,
                                           .bottom = c->workspace,
                                           .scaffold = s.scaffold_used ? s.scaffold : NULL,
                                           .layer_dir = s.dir};
    if (k < 0)
        say_unmade(&err, k, r);
    else
        run_args(g, c, &args, r);
}

static void say_diags(const struct orch_diags *d, struct orch_gate_result *r)
{
    ORCH_AUTO_FREE char *msg = orch_escape_str(d->n ? d->v[0].msg : "the gate's plan cannot be made");

    orch_gate_note_errno(r, d->host_errno);
    orch_gate_say(r, ORCH_GATE_ERROR, "%s", msg);
}

/* Tier nested: on a copy of the sealed view, which is thrown away as the layer is. */
static void run_in_cell(const struct orch_gate *g, const struct orch_gate_ctx *c, struct orch_plan_args *a,
                        struct orch_gate_result *r)
{
    ORCH_AUTO(stack_fini) struct stack s = {0};
    ORCH_AUTO(orch_cell_fini) struct orch_cell cell = {0};
    ORCH_AUTO(orch_plan_freep) struct orch_plan *plan = NULL;
    struct orch_diags diags = {0};
    struct orch_err err = {0};
    int k = make_stack(g, c, NULL, &s, &err);

    if (k == 0)
        k = orch_cell_enter(s.dir, &s.view, &cell, &err);
    if (k < 0) {
        say_unmade(&err, k, r);
        return;
    }
    a->workspace = cell.copy;
    a->cell = cell.dir;
    if (orch_plan_compile(a, &plan, &diags) < 0 || !plan) {
        say_diags(&diags, r);
    } else {
        const struct orch_sandbox_args args = {.plan = plan, .stdin_fd = -1, .wall_ms = wall_limit(g, c)};

        run_args(g, c, &args, r);
    }
    orch_diags_fini(&diags);
}

static void compile_and_run(const struct orch_gate *g, const struct orch_gate_ctx *c,
                            struct orch_gate_result *r)
{
    static const struct orch_strv none;
    ORCH_AUTO(orch_plan_freep) struct orch_plan *plan = NULL;
    struct orch_plan_args args = {.profile = g->profile,
                                  .workspace = c->workspace,
                                  .phase = g->name,
                                  .base_dir = c->workflow_dir,
                                  .command = &g->run,
                                  .closures = c->closures,
                                  .pass_env = &none,
                                  .run_id = c->run_id,
                                  .attempt = c->attempt,
                                  .exec_view = g->exec,
                                  .filters = c->filters,
                                  .uid = c->uid,
                                  .gid = c->gid};
    struct orch_diags diags = {0};

    if (c->nested)
        run_in_cell(g, c, &args, r);
    else if (orch_plan_compile(&args, &plan, &diags) < 0 || !plan)
        say_diags(&diags, r);
    else
        run_planned(g, c, plan, r);
    orch_diags_fini(&diags);
}

/* The first protected path that differs from run start, or NULL. */
static const char *touched(const struct orch_gate *g, const struct orch_changes *ch)
{
    ORCH_AUTO(orch_strv_fini) struct orch_strv globs = {0};

    with_contents(&g->protect, &globs);
    for (size_t i = 0; g->protect.n && i < ch->n; i++) {
        if (orch_glob_match_any(&globs, ch->v[i].path))
            return ch->v[i].path;
    }
    return NULL;
}

/* What the caller did not provide cannot be judged. */
static bool has_inputs(const struct orch_gate *g, const struct orch_gate_ctx *c)
{
    return g->profile && g->run.n && c->scratch_dir && c->workspace && c->layers && c->view &&
           (c->base || !g->restore.n) && (c->run_changes || !g->protect.n);
}

void orch_gate_command_eval(const struct orch_gate *g, const struct orch_gate_ctx *c,
                            struct orch_gate_result *r)
{
    ORCH_AUTO_FREE char *shown = NULL;
    const char *path;

    if (g->protect.n && c->run_changes) {
        path = touched(g, c->run_changes);
        if (path) {
            shown = orch_escape_str(path);
            orch_gate_say(r, ORCH_GATE_INTEGRITY, "protected path '%s' was changed; the command was not run",
                          shown);
            return;
        }
    }
    if (has_inputs(g, c))
        compile_and_run(g, c, r);
    else
        orch_gate_say(r, ORCH_GATE_ERROR, "the gate's inputs are incomplete");
}

static void describe_globs(struct orch_buf *out, const char *what, const struct orch_strv *globs)
{
    if (!globs->n)
        return;
    orch_buf_str(out, what);
    orch_gate_add_list(out, globs);
}

void orch_gate_command_describe(const struct orch_gate *g, struct orch_buf *out)
{
    orch_buf_str(out, "command '");
    for (size_t i = 0; i < g->run.n; i++) {
        if (i)
            orch_buf_char(out, ' ');
        orch_escape_term(out, g->run.v[i], strlen(g->run.v[i]));
    }
    if (g->must_fail)
        orch_buf_str(out, "' must fail");
    else
        orch_buf_printf(out, "' exits with status %d", g->expect);
    if (g->timeout_ms)
        orch_buf_printf(out, " within %" PRIu64 ".%03u s", g->timeout_ms / 1000,
                        (unsigned)(g->timeout_ms % 1000));
    describe_globs(out, "; as at run start: ", &g->restore);
    describe_globs(out, "; must not be changed: ", &g->protect);
}
