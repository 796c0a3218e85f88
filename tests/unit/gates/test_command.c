/*
 * The command gate's judgement of every end that a sandbox can have, with the sandbox and the compiler
 * replaced: what is really confined is shown in tests/acceptance. The file under test is included with its
 * outward calls renamed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#define orch_gate_command_eval tested_eval
#define orch_gate_command_describe tested_describe
#define orch_gate_say tested_say
#define orch_gate_add_list tested_add_list
#define orch_plan_compile fake_compile
#define orch_plan_freep fake_freep
#define orch_sandbox_run fake_run
#define orch_end_name fake_end_name
#define orch_view_open fake_view_open
#define orch_view_fini fake_view_fini
#define orch_layer_restore fake_restore
#define orch_layer_scaffold fake_scaffold
#include "gates/command.c"

static char root[64];
static int compile_result, restore_result, run_result, runs;
static bool scaffold_needed;
static struct orch_outcome outcome;
static struct orch_sandbox_args seen;
static struct orch_strv seen_layers;
static size_t outputs, denials, ticks;

void orch_gate_say(struct orch_gate_result *r, enum orch_gate_verdict v, const char *fmt, ...)
{
    static char text[4096];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    r->verdict = v;
    r->reason = text;
}

void orch_gate_add_list(struct orch_buf *out, const struct orch_strv *sv)
{
    for (size_t i = 0; i < sv->n; i++)
        orch_buf_printf(out, "<%s>", sv->v[i]);
}

int orch_plan_compile(const struct orch_plan_args *a, struct orch_plan **ret, struct orch_diags *d)
{
    assert_false(a->agent);
    assert_string_equal(a->phase, "tests");
    if (compile_result < 0)
        orch_diags_add(d, "w.json", 1, 1, NULL, "program not\nfound");
    else
        *ret = orch_xcalloc(1, sizeof(**ret));
    return compile_result;
}

void orch_plan_freep(struct orch_plan **p)
{
    free(*p);
}

int orch_sandbox_run(const struct orch_sandbox_args *a, const struct orch_sandbox_hooks *h,
                     struct orch_outcome *ret, struct orch_err *err)
{
    static const struct orch_denial denial;
    struct stat st;

    runs++;
    seen = *a;
    orch_strv_fini(&seen_layers);
    orch_strv_copy(&seen_layers, a->workspace.layers);
    assert_int_equal(stat(a->workspace.layer_dir, &st), 0);
    assert_int_equal(h->on_denial(h->ctx, &denial), ORCH_GO_ON);
    h->on_output(h->ctx, 1, "x", 1);
    (void)h->on_tick(h->ctx);
    *ret = outcome;
    return run_result < 0 ? orch_err_set(err, -run_result, "clone refused") : 0;
}

const char *orch_end_name(enum orch_end e)
{
    return e == ORCH_END_CANCEL ? "cancel" : "other";
}

int orch_view_open(const struct orch_strv *layers, const char *workspace, struct orch_view *ret,
                   struct orch_err *err)
{
    (void)layers, (void)workspace, (void)err;
    *ret = (struct orch_view){0};
    return 0;
}

void orch_view_fini(struct orch_view *v)
{
    (void)v;
}

int orch_layer_restore(const struct orch_view *full, const struct orch_view *base,
                       const struct orch_strv *globs, const char *dir, uid_t uid, gid_t gid,
                       struct orch_err *err)
{
    (void)full, (void)base, (void)globs, (void)dir, (void)uid, (void)gid;
    return restore_result < 0 ? orch_err_set(err, -restore_result, "restore refused") : 0;
}

int orch_layer_scaffold(const struct orch_view *v, const struct orch_plan *plan, const char *dir, uid_t uid,
                        gid_t gid, bool *ret_used, struct orch_err *err)
{
    (void)v, (void)plan, (void)dir, (void)uid, (void)gid, (void)err;
    *ret_used = scaffold_needed;
    return 0;
}

static void note_output(void *ctx, const char *gate, int stream, const void *p, size_t n)
{
    (void)ctx, (void)stream, (void)p;
    assert_string_equal(gate, "tests");
    outputs += n;
}

static void note_denial(void *ctx, const char *gate, const struct orch_denial *d)
{
    (void)ctx, (void)d;
    assert_string_equal(gate, "tests");
    denials++;
}

static enum orch_next note_tick(void *ctx)
{
    (void)ctx;
    ticks++;
    return ORCH_GO_ON;
}

static char name[] = "tests", run0[] = "make", glob0[] = "Makefile", layer0[] = "/layer";
static char *run_list[] = {run0, NULL}, *glob_list[] = {glob0, NULL}, *layer_list[] = {layer0, NULL};
static struct orch_profile profile;
static const struct orch_strv layers = {.v = layer_list, .n = 1};
static const struct orch_view no_view;

static struct orch_gate make_gate(void)
{
    return (struct orch_gate){.type = ORCH_GATE_COMMAND,
                              .name = name,
                              .run = {.v = run_list, .n = 1},
                              .profile = &profile,
                              .timeout_ms = 5000};
}

static struct orch_gate_ctx make_ctx(void)
{
    return (struct orch_gate_ctx){.run_id = "r",
                                  .phase = "p",
                                  .workspace = "/workspace",
                                  .layers = &layers,
                                  .view = &no_view,
                                  .base = &no_view,
                                  .scratch_dir = root,
                                  .uid = geteuid(),
                                  .gid = getegid(),
                                  .on_output = note_output,
                                  .on_denial = note_denial,
                                  .on_tick = note_tick,
                                  .wake_fd = -1};
}

static void check(const struct orch_gate *g, enum orch_gate_verdict want, const char *part)
{
    struct orch_gate_ctx c = make_ctx();
    struct orch_gate_result r = {.verdict = ORCH_GATE_PENDING, .reason = NULL};

    orch_gate_command_eval(g, &c, &r);
    if (r.verdict != want || !strstr(r.reason, part))
        fail_msg("verdict %d (%s), expected %d (%s)", (int)r.verdict, r.reason, (int)want, part);
}

static const struct end_row {
    enum orch_end end;
    int status, expect;
    bool must_fail;
    enum orch_gate_verdict want;
    const char *part;
} end_rows[] = {
    {ORCH_END_EXIT, 0, 0, false, ORCH_GATE_PASS, "exit status 0, expected 0"},
    {ORCH_END_EXIT, 2, 0, false, ORCH_GATE_FAIL, "exit status 2, expected 0"},
    {ORCH_END_EXIT, 2, 2, false, ORCH_GATE_PASS, "exit status 2"},
    {ORCH_END_EXIT, 0, 2, false, ORCH_GATE_FAIL, "exit status 0, expected 2"},
    {ORCH_END_EXIT, 126, 0, false, ORCH_GATE_ERROR, "126"},
    {ORCH_END_EXIT, 127, 127, false, ORCH_GATE_ERROR, "127"},
    {ORCH_END_EXIT, 0, 0, true, ORCH_GATE_FAIL, "expected a failure"},
    {ORCH_END_EXIT, 1, 0, true, ORCH_GATE_PASS, "exit status 1"},
    {ORCH_END_EXIT, 126, 0, true, ORCH_GATE_ERROR, "126"},
    {ORCH_END_EXIT, 127, 0, true, ORCH_GATE_ERROR, "127"},
    {ORCH_END_SIGNAL, 9, 9, false, ORCH_GATE_ERROR, "signal 9"},
    {ORCH_END_SIGNAL, 9, 0, true, ORCH_GATE_ERROR, "signal 9"},
    {ORCH_END_LIMIT, 0, 0, false, ORCH_GATE_ERROR, "'wall'"},
    {ORCH_END_LIMIT, 0, 0, true, ORCH_GATE_ERROR, "'wall'"},
    {ORCH_END_SETUP, 0, 0, false, ORCH_GATE_ERROR, "mount\\u000a"},
    {ORCH_END_SETUP, 0, 0, true, ORCH_GATE_ERROR, "could not be set up"},
    {ORCH_END_CANCEL, 0, 0, false, ORCH_GATE_ERROR, "ended by cancel"},
    {ORCH_END_DONE, 0, 0, false, ORCH_GATE_ERROR, "not by itself"},
    {ORCH_END_DENIALS, 0, 0, false, ORCH_GATE_ERROR, "not by itself"},
    {ORCH_END_INTEGRITY, 0, 0, true, ORCH_GATE_ERROR, "not by itself"},
    {(enum orch_end)99, 0, 0, false, ORCH_GATE_ERROR, "not by itself"},
};

static void gate_command_judges_every_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(end_rows); i++) {
        struct orch_gate g = make_gate();

        g.expect = end_rows[i].expect;
        g.must_fail = end_rows[i].must_fail;
        outcome =
            (struct orch_outcome){.end = end_rows[i].end, .status = end_rows[i].status, .limit = "wall"};
        outcome.setup.errnum = EPERM;
        (void)snprintf(outcome.setup.step, sizeof(outcome.setup.step), "mount\n");
        check(&g, end_rows[i].want, end_rows[i].part);
    }
    assert_int_equal(outputs, ORCH_NELEM(end_rows));
    assert_int_equal(denials, ORCH_NELEM(end_rows));
    assert_int_equal(ticks, ORCH_NELEM(end_rows));
}

static void gate_command_is_an_error_when_it_cannot_run(void **state)
{
    struct orch_gate g = make_gate();

    (void)state;
    outcome = (struct orch_outcome){.end = ORCH_END_EXIT};
    runs = 0;
    compile_result = -EINVAL;
    check(&g, ORCH_GATE_ERROR, "program not\\u000afound");
    compile_result = 0;
    g.restore = (struct orch_strv){.v = glob_list, .n = 1};
    restore_result = -EIO;
    check(&g, ORCH_GATE_ERROR, "restore refused");
    restore_result = 0;
    assert_int_equal(runs, 0);
    g.restore.n = 0;
    run_result = -EPERM;
    check(&g, ORCH_GATE_ERROR, "clone refused");
    run_result = 0;
    outcome = (struct orch_outcome){.end = ORCH_END_SETUP, .setup = {.errnum = ENOEXEC, .exec_failed = true}};
    check(&g, ORCH_GATE_ERROR, "could not be started");
    g.run.n = 0;
    check(&g, ORCH_GATE_ERROR, "incomplete");
}

static void gate_command_builds_its_stack(void **state)
{
    struct orch_gate g = make_gate();

    (void)state;
    outcome = (struct orch_outcome){.end = ORCH_END_EXIT};
    g.restore = (struct orch_strv){.v = glob_list, .n = 1};
    scaffold_needed = true;
    check(&g, ORCH_GATE_PASS, "");
    assert_int_equal(seen.stdin_fd, -1);
    assert_int_equal(seen.wall_ms, 5000);
    assert_non_null(seen.workspace.scaffold);
    assert_non_null(strstr(seen_layers.v[0], "/gate-1/restore")); /* newest: over the agent's */
    assert_string_equal(seen_layers.v[1], "/layer");
    scaffold_needed = false;
    profile.limits.wall_ms = 100;
    g.restore.n = 0;
    check(&g, ORCH_GATE_PASS, "");
    assert_int_equal(seen.wall_ms, 100);
    assert_null(seen.workspace.scaffold);
    assert_string_equal(seen_layers.v[0], "/layer");
    profile.limits.wall_ms = 0;
    assert_int_equal(rmdir(root), 0); /* nothing is left in it */
    assert_int_equal(mkdir(root, 0700), 0);
}

static void gate_command_describes_itself(void **state)
{
    struct orch_gate g = make_gate();
    ORCH_AUTO_BUF struct orch_buf out = {0};

    (void)state;
    g.restore = (struct orch_strv){.v = glob_list, .n = 1};
    orch_gate_command_describe(&g, &out);
    assert_string_equal(out.data,
                        "command 'make' exits with status 0 within 5.000 s; as at run start: <Makefile>");
}

static int make_root(void **state)
{
    (void)state;
    (void)snprintf(root, sizeof(root), "/tmp/orch-command-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    orch_strv_fini(&seen_layers);
    return orch_rm_rf(AT_FDCWD, root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gate_command_judges_every_end),
        cmocka_unit_test(gate_command_is_an_error_when_it_cannot_run),
        cmocka_unit_test(gate_command_builds_its_stack),
        cmocka_unit_test(gate_command_describes_itself),
    };

    return cmocka_run_group_tests(tests, make_root, remove_root);
}
