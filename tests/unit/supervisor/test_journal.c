/* The journal: what replay makes of records, which records it refuses, and what comes next. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/exit.h"
#include "common/io.h"
#include "supervisor/journal.h"

#define HEX "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\""
#define HEAD(event, spent)                                                                                   \
    "{\"v\":1,\"seq\":1,\"time\":\"t\",\"event\":\"" event "\",\"spent_ms\":" spent ",\"denials\":0"
#define RUN                                                                                                  \
    HEAD("run", "0")                                                                                         \
    ",\"run\":\"r\",\"workflow\":\"w\",\"workspace\":\"/w\",\"mode\":\"strict\",\"workflow_digest\":" HEX    \
    ",\"inputs_digest\":" HEX ",\"apply\":true,\"phases\":[\"a\",\"b\"]}"
#define ATTEMPT(phase, n) HEAD("attempt", "9") ",\"phase\":\"" phase "\",\"attempt\":" n "}"
#define VERDICT_WITH(phase, n, passed, sealed, goes_on, code, gates)                                         \
    HEAD("verdict", "9")                                                                                     \
    ",\"phase\":\"" phase "\",\"attempt\":" n                                                                \
    ",\"end\":\"exit\",\"status\":0,\"detail\":\"\",\"elapsed_ms\":1,"                                       \
    "\"attempt_denials\":0,\"sealed\":" sealed ",\"goes_on\":" goes_on ",\"passed\":" passed                 \
    ",\"exit\":" code ",\"digest\":" HEX ",\"home_digest\":\"\",\"gates\":[" gates                           \
    "],\"denied\":[],\"problems\":[],\"audit_head\":" HEX "}"
#define GATE(verdict)                                                                                        \
    "{\"name\":\"g\",\"type\":\"file\",\"verdict\":\"" verdict                                               \
    "\",\"reason\":\"\",\"forced\":false,\"depth\":0,\"elapsed_ms\":0}"
#define PASS(phase, n) VERDICT_WITH(phase, n, "true", "true", "true", "0", GATE("pass"))
#define KEEP(phase, n) VERDICT_WITH(phase, n, "false", "true", "true", "1", GATE("fail"))
#define LOSE(phase, n, code) VERDICT_WITH(phase, n, "false", "true", "false", code, GATE("fail"))
#define ASK                                                                                                  \
    "{\"name\":\"ok\",\"type\":\"approval\",\"verdict\":\"pending\",\"reason\":\"\",\"forced\":false,"       \
    "\"depth\":0,"                                                                                           \
    "\"elapsed_ms\":0}"
#define GIVEN                                                                                                \
    "{\"name\":\"ok\",\"type\":\"approval\",\"verdict\":\"pass\",\"reason\":\"\",\"forced\":false,"          \
    "\"depth\":0,"                                                                                           \
    "\"elapsed_ms\":0}"
#define REFUSED                                                                                              \
    "{\"name\":\"ok\",\"type\":\"approval\",\"verdict\":\"fail\",\"reason\":\"\",\"forced\":false,"          \
    "\"depth\":0,"                                                                                           \
    "\"elapsed_ms\":0}"
#define FORCED                                                                                               \
    "{\"name\":\"g\",\"type\":\"file\",\"verdict\":\"fail\",\"reason\":\"\",\"forced\":true,\"depth\":0,"    \
    "\"elapsed_ms\":0}"
#define PENDING_WITH(phase, n, sealed, goes_on, code)                                                        \
    HEAD("pending", "9")                                                                                     \
    ",\"phase\":\"" phase "\",\"attempt\":" n                                                                \
    ",\"end\":\"exit\",\"status\":0,\"detail\":\"\",\"elapsed_ms\":1,"                                       \
    "\"attempt_denials\":0,\"sealed\":" sealed ",\"goes_on\":" goes_on ",\"passed\":false,\"exit\":" code    \
    ",\"digest\":" HEX                                                                                       \
    ",\"home_digest\":\"\",\"gates\":[" GATE("pass") "," ASK                                                 \
                                                     "],\"denied\":[],\"problems\":[],\"audit_head\":" HEX   \
                                                     "}"
#define PENDING(phase, n) PENDING_WITH(phase, n, "true", "false", "5")
#define APPROVAL_OF(phase, n, gate, digest, decision)                                                        \
    HEAD("approval", "9")                                                                                    \
    ",\"phase\":\"" phase "\",\"attempt\":" n ",\"gate\":\"" gate "\",\"digest\":" digest                    \
    ",\"decision\":\"" decision "\",\"reason\":\"r\",\"user\":\"u\"}"
#define APPROVE(phase, n) APPROVAL_OF(phase, n, "ok", HEX, "approve")
#define REJECT(phase, n) APPROVAL_OF(phase, n, "ok", HEX, "reject")
#define OTHER_HEX "\"ff23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\""
#define SETTLED(phase, n) VERDICT_WITH(phase, n, "true", "true", "true", "0", GATE("pass") "," GIVEN)
#define OVERRIDE(kind, phase, gate, reason)                                                                  \
    HEAD("override", "9")                                                                                    \
    ",\"kind\":\"" kind "\",\"phase\":\"" phase "\",\"gate\":\"" gate "\",\"reason\":\"" reason              \
    "\",\"user\":\"u\"}"
#define SKIP(phase) OVERRIDE("skip", phase, "", "why")
#define FORCE(phase, gate) OVERRIDE("force-gate", phase, gate, "why")
#define DISCARDED HEAD("discarded", "9") ",\"reason\":\"\",\"user\":\"u\"}"
#define GOTO(from, to) HEAD("goto", "9") ",\"from\":\"" from "\",\"to\":\"" to "\"}"
#define INTERRUPTED(phase, n)                                                                                \
    HEAD("interrupted", "9") ",\"phase\":\"" phase "\",\"attempt\":" n ",\"by\":\"crash\"}"
#define FINGERPRINT HEAD("fingerprint", "0") ",\"digest\":" HEX "}"
#define APPLY(state)                                                                                         \
    HEAD("apply", "9")                                                                                       \
    ",\"state\":\"" state "\",\"created\":1,\"modified\":2,\"deleted\":3,\"kept\":0,"                        \
    "\"kept_digest\":\"\"}"
#define END(verdict, code, applied)                                                                          \
    HEAD("end", "9")                                                                                         \
    ",\"verdict\":\"" verdict "\",\"exit\":" code ",\"reason\":\"\",\"applied\":" applied                    \
    ",\"audit_head\":" HEX "}"
#define SPENT(ms) HEAD("spent", ms) "}"
#define RESUMED HEAD("resumed", "9") "}"
#define PAUSED HEAD("paused", "9") ",\"by\":\"until\",\"phase\":\"a\"}"

#define MAX_RECORDS 12

static int apply_one(struct orch_run_state *s, const char *text, struct orch_err *err)
{
    struct orch_json *doc = NULL;
    struct orch_diags d = {0};
    int r;

    if (orch_json_parse("record", text, strlen(text), &doc, &d) < 0)
        fail_msg("test record is no JSON: %s in %s", d.v[0].msg, text);
    r = orch_run_state_apply(s, orch_json_root(doc), err);
    orch_json_free(doc);
    return r;
}

/* Tables of records leave the fingerprint out: it follows the first record. */
static int apply_text(struct orch_run_state *s, const char *text, struct orch_err *err)
{
    int r = apply_one(s, text, err);

    return r == 0 && strcmp(text, RUN) == 0 ? apply_one(s, FINGERPRINT, err) : r;
}

/* ---- what replay refuses ---- */

static const struct refusal {
    const char *name;
    const char *records[MAX_RECORDS]; /* all but the last are fine */
} refusals[] = {
    {"nothing before run", {ATTEMPT("a", "1")}},
    {"a second run", {RUN, RUN}},
    {"an unknown event", {RUN, HEAD("frob", "0") "}"}},
    {"a phase that is not there", {RUN, ATTEMPT("c", "1")}},
    {"a skipped phase", {RUN, ATTEMPT("b", "1")}},
    {"a skipped number", {RUN, ATTEMPT("a", "2")}},
    {"a repeated number", {RUN, ATTEMPT("a", "1"), KEEP("a", "1"), ATTEMPT("a", "1")}},
    {"an attempt within an attempt", {RUN, ATTEMPT("a", "1"), ATTEMPT("a", "2")}},
    {"a verdict without an attempt", {RUN, PASS("a", "1")}},
    {"a verdict on another phase", {RUN, ATTEMPT("a", "1"), PASS("b", "1")}},
    {"a verdict on another attempt", {RUN, ATTEMPT("a", "1"), PASS("a", "2")}},
    {"a pass with a failed gate",
     {RUN, ATTEMPT("a", "1"),
      VERDICT_WITH("a", "1", "true", "true", "true", "0", GATE("pass") "," GATE("error"))}},
    {"a pass of an unsealed layer",
     {RUN, ATTEMPT("a", "1"), VERDICT_WITH("a", "1", "true", "false", "true", "0", GATE("pass"))}},
    {"a pass with an exit code",
     {RUN, ATTEMPT("a", "1"), VERDICT_WITH("a", "1", "true", "true", "true", "1", GATE("pass"))}},
    {"a failure without one",
     {RUN, ATTEMPT("a", "1"), VERDICT_WITH("a", "1", "false", "true", "true", "0", "")}},
    {"an unsealed layer that goes on",
     {RUN, ATTEMPT("a", "1"), VERDICT_WITH("a", "1", "false", "false", "true", "1", "")}},
    {"a jump forward", {RUN, GOTO("a", "b")}},
    {"a jump onto itself", {RUN, GOTO("a", "a")}},
    {"an apply before all passed", {RUN, ATTEMPT("a", "1"), PASS("a", "1"), APPLY("intent")}},
    {"an apply without intent",
     {RUN, ATTEMPT("a", "1"), PASS("a", "1"), ATTEMPT("b", "1"), PASS("b", "1"), APPLY("done")}},
    {"success before all passed", {RUN, ATTEMPT("a", "1"), PASS("a", "1"), END("passed", "0", "false")}},
    {"an apply that is only claimed",
     {RUN, ATTEMPT("a", "1"), PASS("a", "1"), ATTEMPT("b", "1"), PASS("b", "1"), END("passed", "0", "true")}},
    {"an end within an attempt", {RUN, ATTEMPT("a", "1"), END("failed", "1", "false")}},
    {"anything after the end", {RUN, END("failed", "1", "false"), RESUMED}},
    {"time that comes back", {RUN, SPENT("9"), SPENT("8")}},
    {"a missing member", {RUN, HEAD("attempt", "5") ",\"phase\":\"a\"}"}},
    {"a digest that is none", {RUN, ATTEMPT("a", "1"), HEAD("end", "9") ",\"audit_head\":\"12\"}"}},
    {"an interruption of nothing", {RUN, INTERRUPTED("a", "1")}},
    {"a second fingerprint", {RUN, FINGERPRINT}},
    {"a gate forced by nobody",
     {RUN, ATTEMPT("a", "1"), VERDICT_WITH("a", "1", "true", "true", "true", "0", FORCED)}},
    {"a gate forced of another phase",
     {RUN, FORCE("b", "g"), ATTEMPT("a", "1"), VERDICT_WITH("a", "1", "true", "true", "true", "0", FORCED)}},
    {"an override without a reason", {RUN, OVERRIDE("skip", "a", "", "")}},
    {"an unknown override", {RUN, OVERRIDE("bless", "a", "", "why")}},
    {"an override in an attempt", {RUN, ATTEMPT("a", "1"), SKIP("a")}},
    {"a skip of what passed", {RUN, ATTEMPT("a", "1"), PASS("a", "1"), SKIP("a")}},
    {"an attempt at a skipped phase", {RUN, SKIP("a"), ATTEMPT("a", "1")}},
    {"a plain pass with overrides", {RUN, SKIP("a"), SKIP("b"), END("passed", "0", "false")}},
    {"overrides that there were not",
     {RUN, ATTEMPT("a", "1"), PASS("a", "1"), ATTEMPT("b", "1"), PASS("b", "1"),
      END("passed with overrides", "0", "false")}},
    {"an approval that nobody gave",
     {RUN, ATTEMPT("a", "1"), VERDICT_WITH("a", "1", "true", "true", "true", "0", GIVEN)}},
    {"a pass that was only pending", {RUN, ATTEMPT("a", "1"), PENDING("a", "1"), SETTLED("a", "1")}},
    {"a pass that was rejected",
     {RUN, ATTEMPT("a", "1"), PENDING("a", "1"), REJECT("a", "1"), SETTLED("a", "1")}},
    {"an approval of another layer",
     {RUN, ATTEMPT("a", "1"), PENDING("a", "1"), APPROVAL_OF("a", "1", "ok", OTHER_HEX, "approve")}},
    {"an approval of another gate",
     {RUN, ATTEMPT("a", "1"), PENDING("a", "1"), APPROVAL_OF("a", "1", "g", HEX, "approve")}},
    {"an approval of another attempt",
     {RUN, ATTEMPT("a", "1"), PENDING("a", "1"), APPROVAL_OF("a", "2", "ok", HEX, "approve")}},
    {"an unknown decision",
     {RUN, ATTEMPT("a", "1"), PENDING("a", "1"), APPROVAL_OF("a", "1", "ok", HEX, "maybe")}},
    {"a change of mind", {RUN, ATTEMPT("a", "1"), PENDING("a", "1"), REJECT("a", "1"), APPROVE("a", "1")}},
    {"an approval before anything waits", {RUN, ATTEMPT("a", "1"), APPROVE("a", "1")}},
    {"an old approval for a new attempt",
     {RUN, ATTEMPT("a", "1"), PENDING("a", "1"), APPROVE("a", "1"),
      VERDICT_WITH("a", "1", "false", "true", "true", "1", GATE("pass") "," REFUSED), ATTEMPT("a", "2"),
      VERDICT_WITH("a", "2", "true", "true", "true", "0", GATE("pass") "," GIVEN)}},
    {"a settled verdict whose other gate changed",
     {RUN, ATTEMPT("a", "1"), PENDING("a", "1"), APPROVE("a", "1"),
      VERDICT_WITH("a", "1", "true", "true", "true", "0", GIVEN "," GATE("pass"))}},
    {"an unsealed layer that waits", {RUN, ATTEMPT("a", "1"), PENDING_WITH("a", "1", "false", "false", "5")}},
    {"a layer that waits and goes on", {RUN, ATTEMPT("a", "1"), PENDING_WITH("a", "1", "true", "true", "5")}},
    {"waiting with another exit", {RUN, ATTEMPT("a", "1"), PENDING_WITH("a", "1", "true", "false", "1")}},
    {"an attempt while one waits", {RUN, ATTEMPT("a", "1"), PENDING("a", "1"), ATTEMPT("a", "2")}},
    {"an apply after a failure", {RUN, END("failed", "1", "false"), APPLY("intent")}},
    {"a discard after a failure", {RUN, END("failed", "1", "false"), DISCARDED}},
    {"a failure that is called a pass", {RUN, END("passed", "1", "false")}},
};

static void replay_refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(refusals); i++) {
        struct orch_run_state s = {0};
        struct orch_err err = {0};
        size_t n = 0;

        while (n < MAX_RECORDS && refusals[i].records[n])
            n++;
        for (size_t k = 0; k + 1 < n; k++)
            if (apply_text(&s, refusals[i].records[k], &err) < 0)
                fail_msg("%s: record %zu: %s", refusals[i].name, k, err.msg);
        if (apply_text(&s, refusals[i].records[n - 1], &err) != -EBADMSG)
            fail_msg("%s: accepted", refusals[i].name);
        assert_int_equal(err.exit_code, ORCH_EXIT_CORRUPT);
        orch_run_state_fini(&s);
    }
}

/* ---- what comes next ---- */

static struct orch_phase phases[] = {
    {.name = (char[]){"a"}, .attempts = 2},
    {.name = (char[]){"b"}, .attempts = 1, .goto_phase = (char[]){"a"}, .goto_times = 1},
};
static const struct orch_workflow workflow = {.phases = phases, .n_phases = 2};

static const struct next {
    const char *name;
    const char *records[MAX_RECORDS];
    enum orch_todo what;
    size_t phase;
    int exit_code;
    size_t layers_a; /* of phase a in the stack */
} nexts[] = {
    {"start", {RUN}, ORCH_TODO_ATTEMPT, 0, 0, 0},
    {"retry keeps the layer", {RUN, ATTEMPT("a", "1"), KEEP("a", "1")}, ORCH_TODO_ATTEMPT, 0, 0, 1},
    {"retry without it", {RUN, ATTEMPT("a", "1"), LOSE("a", "1", "1")}, ORCH_TODO_ATTEMPT, 0, 0, 0},
    {"an interrupted attempt does not count",
     {RUN, ATTEMPT("a", "1"), INTERRUPTED("a", "1"), ATTEMPT("a", "2"), KEEP("a", "2")},
     ORCH_TODO_ATTEMPT,
     0,
     0,
     1},
    {"attempts used up, last end decides",
     {RUN, ATTEMPT("a", "1"), LOSE("a", "1", "1"), ATTEMPT("a", "2"), LOSE("a", "2", "4")},
     ORCH_TODO_FAIL,
     0,
     ORCH_EXIT_LIMIT,
     0},
    {"denials end at once",
     {RUN, ATTEMPT("a", "1"), LOSE("a", "1", "6")},
     ORCH_TODO_FAIL,
     0,
     ORCH_EXIT_DENIALS,
     0},
    {"cancel ends at once",
     {RUN, ATTEMPT("a", "1"), LOSE("a", "1", "143")},
     ORCH_TODO_FAIL,
     0,
     ORCH_EXIT_SIGTERM,
     0},
    {"the next phase", {RUN, ATTEMPT("a", "1"), PASS("a", "1")}, ORCH_TODO_ATTEMPT, 1, 0, 1},
    {"a pause changes nothing",
     {RUN, ATTEMPT("a", "1"), PASS("a", "1"), PAUSED, RESUMED},
     ORCH_TODO_ATTEMPT,
     1,
     0,
     1},
    {"goto",
     {RUN, ATTEMPT("a", "1"), PASS("a", "1"), ATTEMPT("b", "1"), KEEP("b", "1")},
     ORCH_TODO_GOTO,
     1,
     0,
     1},
    {"goto drops layers and gives new attempts",
     {RUN, ATTEMPT("a", "1"), PASS("a", "1"), ATTEMPT("b", "1"), KEEP("b", "1"), GOTO("b", "a")},
     ORCH_TODO_ATTEMPT,
     0,
     0,
     0},
    {"goto at most `times`, numbers go on",
     {RUN, ATTEMPT("a", "1"), PASS("a", "1"), ATTEMPT("b", "1"), KEEP("b", "1"), GOTO("b", "a"),
      ATTEMPT("a", "2"), PASS("a", "2"), ATTEMPT("b", "2"), KEEP("b", "2")},
     ORCH_TODO_FAIL,
     1,
     ORCH_EXIT_FAILED,
     1},
    {"finish",
     {RUN, ATTEMPT("a", "1"), PASS("a", "1"), ATTEMPT("b", "1"), PASS("b", "1")},
     ORCH_TODO_FINISH,
     0,
     0,
     1},
    {"finish an apply that was cut off",
     {RUN, ATTEMPT("a", "1"), PASS("a", "1"), ATTEMPT("b", "1"), PASS("b", "1"), APPLY("intent")},
     ORCH_TODO_FINISH,
     0,
     0,
     1},
    {"an attempt waits", {RUN, ATTEMPT("a", "1"), PENDING("a", "1")}, ORCH_TODO_SETTLE, 0, 0, 0},
    {"a decision alone settles nothing",
     {RUN, ATTEMPT("a", "1"), PENDING("a", "1"), APPROVE("a", "1")},
     ORCH_TODO_SETTLE,
     0,
     0,
     0},
    {"settled and passed",
     {RUN, ATTEMPT("a", "1"), PENDING("a", "1"), APPROVE("a", "1"), SETTLED("a", "1")},
     ORCH_TODO_ATTEMPT,
     1,
     0,
     1},
    {"settled and rejected",
     {RUN, ATTEMPT("a", "1"), PENDING("a", "1"), REJECT("a", "1"),
      VERDICT_WITH("a", "1", "false", "true", "true", "1", GATE("pass") "," REFUSED)},
     ORCH_TODO_ATTEMPT,
     0,
     0,
     1},
    {"a skipped phase", {RUN, SKIP("a")}, ORCH_TODO_ATTEMPT, 1, 0, 0},
    {"a phase skipped that had kept a layer",
     {RUN, ATTEMPT("a", "1"), KEEP("a", "1"), SKIP("a")},
     ORCH_TODO_ATTEMPT,
     1,
     0,
     0},
    {"a phase skipped that waits",
     {RUN, ATTEMPT("a", "1"), PENDING("a", "1"), SKIP("a")},
     ORCH_TODO_ATTEMPT,
     1,
     0,
     0},
    {"a forced gate",
     {RUN, FORCE("a", "g"), ATTEMPT("a", "1"), VERDICT_WITH("a", "1", "true", "true", "true", "0", FORCED)},
     ORCH_TODO_ATTEMPT,
     1,
     0,
     1},
    {"every phase skipped", {RUN, SKIP("a"), SKIP("b")}, ORCH_TODO_FINISH, 0, 0, 0},
    {"applied after the end",
     {RUN, ATTEMPT("a", "1"), PASS("a", "1"), ATTEMPT("b", "1"), PASS("b", "1"), END("passed", "0", "false"),
      APPLY("intent"), APPLY("done")},
     ORCH_TODO_ENDED,
     0,
     0,
     1},
    {"discarded after the end",
     {RUN, ATTEMPT("a", "1"), PASS("a", "1"), ATTEMPT("b", "1"), PASS("b", "1"), END("passed", "0", "false"),
      DISCARDED},
     ORCH_TODO_ENDED,
     0,
     0,
     1},
    {"ended",
     {RUN, ATTEMPT("a", "1"), PASS("a", "1"), ATTEMPT("b", "1"), PASS("b", "1"), APPLY("intent"),
      APPLY("done"), END("passed", "0", "true")},
     ORCH_TODO_ENDED,
     0,
     0,
     1},
};

static void next_follows_from_the_records(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(nexts); i++) {
        struct orch_run_state s = {0};
        struct orch_err err = {0};
        struct orch_run_todo todo;

        for (size_t k = 0; k < MAX_RECORDS && nexts[i].records[k]; k++)
            if (apply_text(&s, nexts[i].records[k], &err) < 0)
                fail_msg("%s: record %zu: %s", nexts[i].name, k, err.msg);
        todo = orch_run_next(&s, &workflow);
        if (todo.what != nexts[i].what || todo.phase != nexts[i].phase ||
            todo.exit_code != nexts[i].exit_code || s.phases[0].n_layers != nexts[i].layers_a)
            fail_msg("%s: got step %d phase %zu exit %d layers %zu", nexts[i].name, (int)todo.what,
                     todo.phase, todo.exit_code, s.phases[0].n_layers);
        orch_run_state_fini(&s);
    }
}

/* ---- live and replayed are the same ---- */

static void begin(struct orch_journal *j, const char *event, struct orch_jw *w)
{
    static uint64_t spent;

    orch_journal_begin(j, event, ++spent, 0, w);
}

static void commit(struct orch_journal *j, struct orch_jw *w)
{
    struct orch_err err = {0};

    if (orch_journal_commit(j, w, false, &err) < 0)
        fail_msg("%s", err.msg);
}

static void write_run(struct orch_journal *j)
{
    static const char *const digests[] = {"workflow_digest", "inputs_digest"};
    char hex[ORCH_HEX_SIZE];
    struct orch_jw w;

    orch_sha256_buf("x", 1, hex);
    begin(j, "run", &w);
    orch_jw_str(&w, "run", "r");
    orch_jw_str(&w, "workflow", "w");
    orch_jw_str(&w, "workspace", "/w\n\"");
    orch_jw_str(&w, "mode", "strict");
    for (size_t i = 0; i < ORCH_NELEM(digests); i++)
        orch_jw_str(&w, digests[i], hex);
    orch_jw_bool(&w, "apply", false);
    orch_jw_arr(&w, "phases");
    orch_jw_str(&w, NULL, "a");
    orch_jw_end(&w, ']');
    commit(j, &w);
    begin(j, "fingerprint", &w);
    orch_jw_str(&w, "digest", hex);
    commit(j, &w);
    begin(j, "attempt", &w);
    orch_jw_str(&w, "phase", "a");
    orch_jw_uint(&w, "attempt", 1);
    commit(j, &w);
}

static void write_verdict(struct orch_journal *j)
{
    struct orch_gate_record gate = {.name = (char[]){"g"},
                                    .type = (char[]){"file"},
                                    .verdict = (char[]){"fail"},
                                    .reason = (char[]){"\\xff esc"},
                                    .elapsed_ms = 7};
    struct orch_denied denied = {.class_name = (char[]){"exec"},
                                 .syscall = (char[]){"execve"},
                                 .access = (char[]){"exec"},
                                 .path = (char[]){"/p"},
                                 .rule = (char[]){"x#/y"},
                                 .count = 1000000};
    struct orch_verdict_record v = {.attempt = 1,
                                    .end = (char[]){"limit:wall"},
                                    .detail = (char[]){""},
                                    .exit_code = 4,
                                    .sealed = true,
                                    .goes_on = true,
                                    .gates = &gate,
                                    .n_gates = 1,
                                    .denied = &denied,
                                    .n_denied = 1};
    struct orch_jw w;

    orch_sha256_buf("l", 1, v.digest);
    orch_sha256_buf("h", 1, v.audit_head);
    begin(j, "verdict", &w);
    orch_verdict_write(&w, "a", &v);
    commit(j, &w);
}

static void live_state_equals_replayed_state(void **state)
{
    char dir[] = "/tmp/orch-journal-XXXXXX";
    struct orch_journal j, again;
    struct orch_err err = {0};
    int fd;

    (void)state;
    assert_non_null(mkdtemp(dir));
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(orch_journal_create(fd, &j, &err), 0);
    write_run(&j);
    write_verdict(&j);
    assert_int_equal(orch_journal_continue(fd, &again, &err), 0);
    assert_int_equal(again.chain.seq, j.chain.seq);
    assert_string_equal(again.state.workspace, "/w\n\"");
    assert_int_equal(again.state.spent_ms, j.state.spent_ms);
    assert_int_equal(again.state.n_verdicts, 1);
    assert_string_equal(again.state.verdicts[0].end, "limit:wall");
    assert_string_equal(again.state.verdicts[0].gates[0].reason, j.state.verdicts[0].gates[0].reason);
    assert_int_equal(again.state.verdicts[0].denied[0].count, 1000000);
    assert_string_equal(again.state.verdicts[0].digest, j.state.verdicts[0].digest);
    assert_int_equal(again.state.phases[0].n_layers, 1);
    assert_int_equal(orch_run_next(&again.state, &workflow).what, ORCH_TODO_ATTEMPT);
    orch_journal_fini(&again);
    orch_journal_fini(&j);
    orch_close_fdp(&fd);
    assert_int_equal(orch_rm_rf(AT_FDCWD, dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replay_refuses),
        cmocka_unit_test(next_follows_from_the_records),
        cmocka_unit_test(live_state_equals_replayed_state),
    };

    return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
