/* test_workflow.c - workflow documents: strict reading, defaults, prompts and profiles, export and import. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include "common/buf.h"
#include "common/io.h"
#include "policy/workflow.h"

static char dir[] = "/tmp/orch-workflow-XXXXXX";

static void put(const char *name, const char *text, size_t len)
{
    ORCH_AUTO_FREE char *path = orch_xasprintf("%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static int make_dir(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL)
        return -1;
    ORCH_AUTO_FREE char *prompts = orch_xasprintf("%s/prompts/folder", dir);
    ORCH_AUTO_FREE char *home = orch_xasprintf("%s/agent-home", dir);
    ORCH_AUTO_FREE char *link = orch_xasprintf("%s/prompts/link.md", dir);
    ORCH_AUTO_FREE char *big = orch_xcalloc(1, (1u << 20) + 1);
    if (orch_mkdir_p(prompts, 0755) < 0 || orch_mkdir_p(home, 0755) < 0 || symlink("/etc/passwd", link) < 0)
        return -1;
    put("prompts/plan.md", "Plan: \xc3\xa4\n", 9);
    put("prompts/bytes.md", "a\xff", 2);
    put("prompts/nul.md", "a\0b", 3);
    memset(big, 'x', (1u << 20) + 1);
    put("prompts/full.md", big, 1u << 20);
    put("prompts/big.md", big, (1u << 20) + 1);
    put("bad.json", "{\"schema\": 1, \"name\": \"bad\", \"tolls\": 1}", 40);
    put("own.json", "{\"schema\": 1, \"name\": \"own\", \"extends\": \"implement\"}", 52);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    return orch_rm_rf(AT_FDCWD, dir);
}

static char *render(const struct orch_diags *d)
{
    struct orch_buf b = {0};
    for (size_t i = 0; i < d->n; i++)
        orch_buf_printf(&b, "%u:%u %s (%s)\n", d->v[i].line, d->v[i].col, d->v[i].msg,
                        d->v[i].pointer != NULL ? d->v[i].pointer : "");
    return orch_buf_take(&b);
}

static struct orch_workflow *load(const char *text, char **ret_errors)
{
    struct orch_workflow *w = NULL;
    struct orch_diags d = {0};
    put("wf.json", text, strlen(text));
    ORCH_AUTO_FREE char *path = orch_xasprintf("%s/wf.json", dir);
    int r = orch_workflow_load(path, &w, &d);
    assert_int_equal(r, d.n == 0 ? 0 : -EINVAL);
    assert_true((w != NULL) == (d.n == 0));
    *ret_errors = render(&d);
    orch_diags_fini(&d);
    return w;
}

static struct orch_workflow *load_ok(const char *text)
{
    ORCH_AUTO_FREE char *errors = NULL;
    struct orch_workflow *w = load(text, &errors);
    if (w == NULL)
        print_error("%s\n%s", text, errors);
    assert_non_null(w);
    return w;
}

static bool reports(const char *errors, const char *place, const char *what, unsigned n)
{
    unsigned lines = 0;
    bool found = false;
    for (const char *l = errors; *l != '\0'; lines++) {
        size_t len = strcspn(l, "\n");
        ORCH_AUTO_FREE char *line = orch_xstrndup(l, len);
        found = found || (strncmp(line, place, strlen(place)) == 0 && strstr(line, what) != NULL);
        l += len + 1;
    }
    return found && (n == 0 || n == lines);
}

struct row {
    const char *text, *place, *what;
    unsigned n;
};

static void check_errors(const struct row *rows, size_t n)
{
    bool all = true;
    for (size_t i = 0; i < n; i++) {
        ORCH_AUTO_FREE char *errors = NULL;
        struct orch_workflow *w = load(rows[i].text, &errors);
        bool ok = w == NULL && reports(errors, rows[i].place, rows[i].what, rows[i].n);
        orch_workflow_free(w);
        if (!ok)
            print_error("%s\nexpected %s %s (%u), got\n%s\n", rows[i].text, rows[i].place, rows[i].what,
                        rows[i].n, errors);
        all = all && ok;
    }
    assert_true(all);
}

#define AGENT "\"agent\": {\"command\": [\"a\"]}"
#define WF(rest) "{\"schema\": 1, \"name\": \"w\", " AGENT ",\n" rest "}"
#define PHASES(rest) WF("\"phases\": [" rest "]")
#define PHASE(rest) PHASES("{\"name\": \"p\", \"profile\": \"plan\",\n" rest "}")
#define GATES(rest) PHASE("\"gates\": [\n" rest "]")
#define OK_GATE "{\"type\": \"denials\", \"max\": 0}"
#define OK_PHASES "\"phases\": [{\"name\": \"p\", \"profile\": \"plan\", \"gates\": [" OK_GATE "]}]"

static const struct row top_rows[] = {
    {"{\"schema\": 1, \"phases\": []}", "1:1", "missing key 'name'", 2},
    {"{\"schema\": 9, \"x\": 1}", "1:12", "newer", 1},
    {WF("\"phase\": []"), "2:1", "'phases'", 2},
    {WF(OK_PHASES ", \"max_denial\": 1"), "2:", "'max_denials'", 1},
    {WF(OK_PHASES ", \"max_denials\": -1"), "2:", "out of range", 1},
    {WF(OK_PHASES ", \"timeout\": 5"), "2:", "a time such as", 1},
    {WF(OK_PHASES ", \"timeout\": \"9999999h\""), "2:", "out of range", 1},
    {WF(OK_PHASES ", \"ceiling\": {}"), "2:", "expected a string", 1},
    {WF(OK_PHASES ", \"ignore_changes\": [\"/abs\"]"), "2:", "pattern '/abs'", 1},
    {WF(OK_PHASES ", \"apply\": {\"allow\": [\".github/**\"]}"), "2:", "needs a \"reason\"", 1},
    {WF(OK_PHASES ", \"home\": {\"from\": \"./none\"}"), "2:", "not a directory", 1},
    {WF(OK_PHASES ", \"home\": {\"from\": \"~/x\"}"), "2:", "not expanded", 1},
    {WF(OK_PHASES ", \"home\": {\"fron\": \"./agent-home\"}"), "2:", "'from'", 1},
    {"{\"schema\": 1, \"name\": \"w\", \"agent\": null, " OK_PHASES "}", "1:", "", 0},
    {"{\"schema\": 1, \"name\": \"w\", " OK_PHASES "}", "1:", "no agent", 1},
    {"{\"schema\": 1, \"name\": \"w\", \"agent\": {\"command\": []}, " OK_PHASES "}", "1:", "empty command",
     1},
    {"{\"schema\": 1, \"name\": \"w\", \"agent\": {\"comand\": [\"a\"]}, " OK_PHASES "}", "1:", "'command'",
     2},
    {"{\"schema\": 1, \"name\": \"w\", \"agent\": {\"command\": [\"a\"], \"tty\": true, "
     "\"stdin\": \"prompt\"}, " OK_PHASES "}",
     "1:", "exclude each other", 1},
    {"{\"schema\": 1, \"name\": \"w\", \"agent\": {\"command\": [\"a\"], \"ttty\": true}, " OK_PHASES "}",
     "1:", "'tty'", 1},
    {"{\"schema\": 1, \"name\": \"w\", \"agent\": {\"command\": [\"a\"], \"stdin\": \"promt\"}, " OK_PHASES
     "}",
     "1:", "'prompt'", 1},
    {"{\"schema\": 1, \"name\": \"w\", \"agent\": {\"command\": [\"a\"], \"env\": {\"LD_PRELOAD\": "
     "\"x\"}}, " OK_PHASES "}",
     "1:", "program loader", 1},
    {"{\"schema\": 1, \"name\": \"w\", \"agent\": {\"command\": [\"a\"], \"pass_env\": "
     "[\"ORCH_RUN\"]}, " OK_PHASES "}",
     "1:", "sets it itself", 1},
};

static void workflow_refuses_at_the_top(void **state)
{
    (void)state;
    check_errors(top_rows, ORCH_NELEM(top_rows));
}

static const struct row phase_rows[] = {
    {PHASES(""), "2:11", "at least one phase", 1},
    {PHASES("{\"profile\": \"plan\", \"gates\": [" OK_GATE "]}"), "2:12", "missing key 'name'", 1},
    {PHASES("{\"name\": \"a/b\", \"profile\": \"plan\", \"gates\": [" OK_GATE "]}"), "2:21", "not a name", 1},
    {PHASES("{\"name\": \"p\", \"gates\": [" OK_GATE "]}"), "2:12", "missing key 'profile'", 1},
    {PHASES("{\"name\": \"p\", \"profile\": \"plann\", \"gates\": [" OK_GATE "]}"), "2:37",
     "did you mean 'plan'", 1},
    {PHASES("{\"name\": \"p\", \"profile\": \"/x.json\", \"gates\": [" OK_GATE "]}"), "2:37",
     "starting with './'", 1},
    {PHASES("{\"name\": \"p\", \"profile\": \"./none.json\", \"gates\": [" OK_GATE "]}"), "2:37",
     "cannot be used", 2},
    {PHASES("{\"name\": \"p\", \"profile\": \"./bad.json\", \"gates\": [" OK_GATE "]},\n"
            "{\"name\": \"q\", \"profile\": \"./bad.json\", \"gates\": [" OK_GATE "]}"),
     "1:", "'tools'", 2},
    {PHASES("{\"name\": \"p\", \"profile\": \"plan\", \"gates\": [" OK_GATE "]},\n"
            "{\"name\": \"p\", \"profile\": \"plan\", \"gates\": [" OK_GATE "]}"),
     "3:10", "another phase", 1},
    {PHASES("{\"name\": \"p\", \"profile\": \"plan\"}"), "2:12", "missing key 'gates'", 1},
    {PHASE("\"gates\": []"), "3:10", "needs a \"reason\"", 1},
    {PHASES("{\"name\": \"p\", \"agent\": null, \"gates\": []}"), "2:", "does nothing", 1},
    {PHASES("{\"name\": \"p\", \"agent\": null, \"prompt\": \"x\", \"gates\": [" OK_GATE "]}"),
     "2:", "no agent", 1},
    {PHASE("\"type\": \"strct\", \"gates\": [" OK_GATE "]"), "3:9", "did you mean 'strict'", 1},
    {PHASE("\"attempts\": 0, \"gates\": [" OK_GATE "]"), "3:13", "out of range", 1},
    {PHASE("\"on_retry\": \"rest\", \"gates\": [" OK_GATE "]"), "3:13", "'reset'", 1},
    {PHASE("\"on_timeout\": \"pass\", \"gates\": [" OK_GATE "]"), "3:15", "unknown value", 1},
    {PHASE("\"on_fail\": \"go\", \"gates\": [" OK_GATE "]"), "3:12", "unknown value", 1},
    {PHASE("\"on_fail\": {\"goto\": \"p\"}, \"gates\": [" OK_GATE "]"), "3:21", "not an earlier phase", 1},
    {PHASE("\"timeout\": \"0s\", \"gates\": [" OK_GATE "]"), "3:12", "out of range", 1},
    {PHASE("\"prompt\": {\"file\": \"../x\"}, \"gates\": [" OK_GATE "]"), "3:20", "no '..'", 1},
    {PHASE("\"prompt\": {\"file\": \"/etc/passwd\"}, \"gates\": [" OK_GATE "]"), "3:20", "no absolute path",
     1},
    {PHASE("\"prompt\": {\"file\": \"none.md\"}, \"gates\": [" OK_GATE "]"), "3:20", "No such file", 1},
    {PHASE("\"prompt\": {\"file\": \"prompts/folder\"}, \"gates\": [" OK_GATE "]"), "3:20",
     "not a regular file", 1},
    {PHASE("\"prompt\": {\"file\": \"prompts/link.md\"}, \"gates\": [" OK_GATE "]"), "3:20", "symbolic link",
     1},
    {PHASE("\"prompt\": {\"file\": \"prompts/big.md\"}, \"gates\": [" OK_GATE "]"), "3:20",
     "larger than 1 MiB", 1},
    {PHASE("\"prompt\": {\"file\": \"prompts/bytes.md\"}, \"gates\": [" OK_GATE "]"), "3:20", "not UTF-8", 1},
    {PHASE("\"prompt\": {\"file\": \"prompts/nul.md\"}, \"gates\": [" OK_GATE "]"), "3:20", "not UTF-8", 1},
    {PHASE("\"prompt\": 1, \"gates\": [" OK_GATE "]"), "3:11", "expected the prompt", 1},
    {PHASE("\"gate\": [" OK_GATE "]"), "3:1", "'gates'", 2},
};

static void workflow_refuses_phases(void **state)
{
    (void)state;
    check_errors(phase_rows, ORCH_NELEM(phase_rows));
}

static const struct row gate_rows[] = {
    {GATES("{\"type\": \"approval\", \"promt\": \"x\"}"), "4:22", "did you mean 'prompt'", 1},
    {GATES("{\"type\": \"approval\", \"timeout\": \"0s\"}"), "4:33", "0s", 1},
    {GATES("{\"type\": \"not\", \"gates\": [{\"type\": \"any\", \"gates\": [{\"type\": \"approval\"}]}]}"),
     "4:1", "cannot be turned round", 1},
    {GATES("{\"type\": \"json\"}"), "4:10", "not in this version", 1},
    {GATES("{\"type\": \"coverage\"}"), "4:10", "not in this version", 1},
    {GATES("{\"type\": \"aproval\"}"), "4:10", "did you mean 'approval'", 1},
    {GATES("{\"type\": \"chnges\"}"), "4:10", "did you mean 'changes'", 1},
    {GATES("{\"path\": \"x\"}"), "4:1", "missing key 'type'", 1},
    {GATES("\"file\""), "4:1", "a gate is an object", 1},
    {GATES("{\"type\": \"file\"}"), "4:1", "missing key 'path'", 1},
    {GATES("{\"type\": \"file\", \"path\": \"/x\"}"), "4:26", "relative", 1},
    {GATES("{\"type\": \"file\", \"path\": \"a/../x\"}"), "4:26", "normal form", 1},
    {GATES("{\"type\": \"file\", \"path\": \"a/\"}"), "4:26", "normal form", 1},
    {GATES("{\"type\": \"file\", \"path\": \"..\"}"), "4:26", "normal form", 1},
    {GATES("{\"type\": \"file\", \"path\": \"${workspace}/x\"}"), "4:26", "no variables", 1},
    {GATES("{\"type\": \"file\", \"path\": \"x\", \"min_size\": 1}"), "4:", "a size such as", 1},
    {GATES("{\"type\": \"file\", \"path\": \"x\", \"min_size\": \"2B\", \"max_size\": \"1B\"}"), "4:1",
     "no file can pass", 1},
    {GATES("{\"type\": \"file\", \"path\": \"x\", \"sha256\": \"ABC\"}"), "4:", "64 lower-case", 1},
    {GATES("{\"type\": \"file\", \"path\": \"x\", \"absent\": true, \"min_size\": \"2B\"}"), "4:1", "absent",
     1},
    {GATES("{\"type\": \"file\", \"path\": \"x\", \"mode\": 1}"), "4:", "unknown", 1},
    {GATES("{\"type\": \"changes\"}"), "4:1", "checks nothing", 1},
    {GATES("{\"type\": \"changes\", \"allow\": []}"), "4:", "empty list", 1},
    {GATES("{\"type\": \"changes\", \"allow\": [\"../x\"]}"), "4:", "pattern '../x'", 1},
    {GATES("{\"type\": \"changes\", \"allow\": [\"x\"], \"max_files\": \"1\"}"), "4:", "expected a number",
     1},
    {GATES("{\"type\": \"command\"}"), "4:1", "missing key 'run'", 1},
    {GATES("{\"type\": \"command\", \"run\": []}"), "4:", "empty command", 1},
    {GATES("{\"type\": \"command\", \"run\": \"make\"}"), "4:", "expected a list", 1},
    {GATES("{\"type\": \"command\", \"run\": [\"x\"], \"profile\": \"verfy\"}"),
     "4:", "did you mean 'verify'", 1},
    {GATES("{\"type\": \"command\", \"run\": [\"x\"], \"expect\": 256}"), "4:", "out of range", 1},
    {GATES("{\"type\": \"command\", \"run\": [\"x\"], \"expect\": 127}"), "4:", "never a pass", 1},
    {GATES("{\"type\": \"command\", \"run\": [\"x\"], \"expect\": 1, \"must_fail\": true}"),
     "4:", "contradict", 1},
    {GATES("{\"type\": \"denials\"}"), "4:1", "missing key 'max'", 1},
    {GATES("{\"type\": \"denials\", \"max\": 0, \"class\": \"exek\"}"), "4:", "'exec'", 1},
    {GATES("{\"type\": \"all\", \"gates\": []}"), "4:", "needs gates", 1},
    {GATES("{\"type\": \"not\", \"gates\": [" OK_GATE "," OK_GATE "]}"), "4:", "one gate", 1},
    {GATES("{\"type\": \"any\", \"gates\": [{\"type\": \"any\", \"gates\": [{\"type\": \"fil\"}]}]}"),
     "4:", "'file'", 1},
    {GATES("{\"type\": \"denials\", \"max\": 0, \"name\": \"x\"},\n{\"type\": \"all\", \"gates\": "
           "[{\"type\": \"denials\", \"max\": 1, "
           "\"name\": \"x\"}]}"),
     "5:", "another gate", 1},
    {GATES("{\"type\": \"denials\", \"max\": 0, \"name\": \"denials-2\"},\n" OK_GATE), "5:1", "another gate",
     1},
    {PHASE("\"type\": \"strict\", \"gates\": [{\"type\": \"denials\", \"max\": 9, \"name\": \"strict\"}]"),
     "2:", "'strict' belongs", 1},
};

static void workflow_refuses_gates(void **state)
{
    (void)state;
    check_errors(gate_rows, ORCH_NELEM(gate_rows));
}

#define EXAMPLE(last)                                                                                        \
    "{\"schema\": 1, \"name\": \"fix-issue\",\n"                                                             \
    "\"agent\": {\"command\": [\"my-agent\", \"--prompt-file\", \"${ORCH_PROMPT}\"],\n"                      \
    "\"env\": {\"LANG\": \"C.UTF-8\"}, \"pass_env\": [\"TERM\"], \"stdin\": \"null\", \"tty\": false},\n"    \
    "\"home\": {\"from\": \"./agent-home\", \"keep\": true}, \"phases\": [\n"                                \
    "{\"name\": \"plan\", \"type\": \"guided\", \"profile\": \"plan\", \"prompt\": {\"file\": "              \
    "\"prompts/plan.md\"},\n"                                                                                \
    "\"attempts\": 2, \"on_retry\": \"keep\", \"timeout\": \"10m\", \"gates\": [\n"                          \
    "{\"type\": \"file\", \"path\": \"PLAN.md\", \"min_size\": \"100B\"},\n"                                 \
    "{\"type\": \"changes\", \"allow\": [\"PLAN.md\"]}]},\n"                                                 \
    "{\"name\": \"implement\", \"profile\": \"./own.json\", \"on_fail\": {\"goto\": \"plan\", \"times\": "   \
    "2}, \"gates\": [\n"                                                                                     \
    "{\"type\": \"changes\", \"allow\": [\"src/**\", \"tests/**\"], \"max_files\": 50},\n"                   \
    "{\"type\": \"command\", \"name\": \"unit-tests\", \"run\": [\"make\", \"test\"], \"profile\": "         \
    "\"verify\",\n"                                                                                          \
    "\"timeout\": \"5m\", \"exec\": true, \"restore\": [\"Makefile\", \"tests/**\"]},\n"                     \
    "{\"type\": \"all\", \"gates\": [{\"type\": \"file\", \"path\": \"x\", \"absent\": true}, {\"type\": "   \
    "\"command\", \"run\": [\"true\"]}]}]},\n"                                                               \
    "{\"name\": \"release\", \"agent\": null, \"gates\": [" last "]}],\n"                                    \
    "\"max_denials\": 200, \"timeout\": \"2h\", \"ignore_changes\": [\"*.log\"], \"apply\": {\"allow\": "    \
    "[]}}"

static void check_example(const struct orch_workflow *w)
{
    assert_string_equal(w->name, "fix-issue");
    assert_int_equal(w->n_phases, 3);
    const struct orch_phase *plan = &w->phases[0], *impl = &w->phases[1], *release = &w->phases[2];
    assert_string_equal(plan->prompt, "Plan: \xc3\xa4\n");
    assert_int_equal(plan->attempts, 2);
    assert_int_equal(plan->timeout_ms, 600000);
    assert_string_equal(plan->gates[0].name, "file-1");
    assert_int_equal(plan->gates[0].min_size, 100);
    assert_true(plan->gates[0].max_size == UINT64_MAX);
    assert_true(plan->gates[1].has_allow);
    assert_string_equal(plan->gates[1].origin, "/phases/0/gates/1");
    assert_string_equal(plan->agent->env[0].name, "LANG");
    assert_int_equal(impl->attempts, 1);
    assert_int_equal(impl->timeout_ms, 1800000);
    assert_string_equal(impl->goto_phase, "plan");
    assert_int_equal(impl->goto_times, 2);
    assert_string_equal(impl->profile->name, "own");
    assert_string_equal(impl->agent->command.v[0], "my-agent");
    assert_string_equal(impl->gates[1].name, "unit-tests");
    assert_string_equal(impl->gates[1].profile->name, "verify");
    assert_true(impl->gates[1].exec);
    assert_string_equal(impl->gates[2].children[0].name, "file-1");
    assert_string_equal(impl->gates[2].children[1].name, "command-2");
    assert_string_equal(impl->gates[2].children[1].profile->name, "gate");
    assert_int_equal(impl->gates[2].children[1].timeout_ms, 600000);
    assert_null(release->agent);
    assert_null(release->profile);
    assert_int_equal(w->max_denials, 200);
    assert_int_equal(w->timeout_ms, 7200000);
    assert_true(w->home_keep);
    ORCH_AUTO_FREE char *home = orch_xasprintf("%s/agent-home", dir);
    assert_string_equal(w->home_from, home);
    assert_string_equal(w->dir, dir);
}

static void workflow_survives_export_and_import(void **state)
{
    (void)state;
    struct orch_workflow *w = load_ok(EXAMPLE(OK_GATE)), *v = NULL;
    ORCH_AUTO_BUF struct orch_buf out = {0}, again = {0};
    struct orch_diags d = {0};
    check_example(w);
    orch_workflow_export(w, &out);
    assert_int_equal(orch_workflow_import(out.data, out.len, &v, &d), 0);
    check_example(v);
    assert_string_equal(v->digest, w->digest);
    assert_string_equal(v->file, w->file);
    assert_string_equal(v->phases[1].profile->digest, w->phases[1].profile->digest);
    assert_string_equal(v->phases[1].profile->fs[0].origin, w->phases[1].profile->fs[0].origin);
    orch_workflow_export(v, &again);
    assert_int_equal(again.len, out.len);
    assert_memory_equal(again.data, out.data, out.len);
    orch_workflow_free(w);
    orch_workflow_free(v);
}

static void workflow_exports_a_prompt_of_a_mebibyte(void **state)
{
    (void)state;
    struct orch_workflow *w = load_ok(
                             PHASE("\"prompt\": {\"file\": \"prompts/full.md\"}, \"gates\": [" OK_GATE "]")),
                         *v = NULL;
    ORCH_AUTO_BUF struct orch_buf out = {0};
    struct orch_diags d = {0};
    orch_workflow_export(w, &out);
    assert_int_equal(orch_workflow_import(out.data, out.len, &v, &d), 0);
    assert_int_equal(strlen(v->phases[0].prompt), 1u << 20);
    assert_string_equal(v->digest, w->digest);
    orch_workflow_free(w);
    orch_workflow_free(v);
}

/* Cut anywhere, the inputs are refused: nothing is guessed and no file is read in their place. */
static void workflow_import_refuses_torn_inputs(void **state)
{
    (void)state;
    struct orch_workflow *w = load_ok(EXAMPLE(OK_GATE)), *v = NULL;
    ORCH_AUTO_BUF struct orch_buf out = {0};
    orch_workflow_export(w, &out);
    orch_workflow_free(w);
    for (size_t len = 0; len < out.len; len += 97) {
        struct orch_diags d = {0};
        assert_int_equal(orch_workflow_import(out.data, len, &v, &d), -EINVAL);
        assert_true(d.n > 0);
        orch_diags_fini(&d);
    }
    struct orch_diags d = {0};
    const char *last = memrchr(out.data, '\n', out.len - 1);
    assert_int_equal(orch_workflow_import(out.data, (size_t)(last + 1 - out.data), &v, &d), -EINVAL);
    assert_non_null(strstr(d.v[0].msg, "not all texts"));
    orch_diags_fini(&d);
}

static void workflow_types_have_their_defaults(void **state)
{
    (void)state;
    struct orch_workflow *w = load_ok(
        PHASES("{\"name\": \"s\", \"type\": \"strict\", \"profile\": \"plan\", \"prompt\": \"hi\",\n"
               "\"gates\": [], \"reason\": \"only looks\"},\n"
               "{\"name\": \"a\", \"type\": \"autonomous\", \"profile\": \"plan\", \"on_retry\": "
               "\"reset\", \"on_timeout\": \"judge\",\n\"agent\": {\"command\": [\"./b\"], \"stdin\": "
               "\"prompt\"}, \"gates\": [" OK_GATE "]}"));
    assert_int_equal(w->phases[0].n_gates, 1);
    assert_string_equal(w->phases[0].gates[0].name, "strict");
    assert_int_equal(w->phases[0].gates[0].type, ORCH_GATE_DENIALS);
    assert_int_equal(w->phases[0].gates[0].max, 0);
    assert_string_equal(w->phases[0].prompt, "hi");
    assert_int_equal(w->phases[1].attempts, 3);
    assert_int_equal(w->phases[1].timeout_ms, 7200000);
    assert_true(w->phases[1].retry_reset && w->phases[1].timeout_judge);
    assert_int_equal(w->phases[1].agent->stdin_mode, ORCH_STDIN_PROMPT);
    assert_int_equal(w->max_denials, 1000);
    orch_workflow_free(w);
}

static void workflow_digest_follows_every_input(void **state)
{
    (void)state;
    static const char text[] = PHASE("\"prompt\": {\"file\": \"prompts/p.md\"}, \"gates\": [" OK_GATE "]");
    put("prompts/p.md", "one", 3);
    struct orch_workflow *a = load_ok(text);
    put("prompts/p.md", "two", 3);
    struct orch_workflow *b = load_ok(text);
    assert_string_not_equal(a->digest, b->digest);
    orch_workflow_free(a);
    orch_workflow_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workflow_refuses_at_the_top),
        cmocka_unit_test(workflow_refuses_phases),
        cmocka_unit_test(workflow_refuses_gates),
        cmocka_unit_test(workflow_survives_export_and_import),
        cmocka_unit_test(workflow_exports_a_prompt_of_a_mebibyte),
        cmocka_unit_test(workflow_import_refuses_torn_inputs),
        cmocka_unit_test(workflow_types_have_their_defaults),
        cmocka_unit_test(workflow_digest_follows_every_input),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
