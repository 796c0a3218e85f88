/* The changes gate: good, bad and hostile lists of changes (T-GATE-03, 04, 12, 20). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "gates/gates.h"
#include "tests/unit/gates/gate_check.h"

#define N_GLOBS 4

struct change_row {
    const char *path;
    enum orch_change_kind kind;
    char before, after;
    uint64_t size;
    mode_t mode;
};

#define CREATED(p, t, s)                                                                                     \
    {                                                                                                        \
        p, ORCH_CREATED, 0, t, s, 0644                                                                       \
    }
#define DELETED(p, t)                                                                                        \
    {                                                                                                        \
        p, ORCH_DELETED, t, 0, 0, 0                                                                          \
    }
#define MODIFIED(p, b, a, s)                                                                                 \
    {                                                                                                        \
        p, ORCH_MODIFIED, b, a, s, 0644                                                                      \
    }

static const struct changes_row {
    const char *allow[N_GLOBS], *deny[N_GLOBS], *required[N_GLOBS];
    uint64_t max_files, max_bytes;
    struct change_row changes[8]; /* sorted by path */
    enum orch_gate_verdict want;
    const char *part;
} changes_rows[] = {
    {{"src/**"}, {0}, {0}, 9, 9, {{0}}, ORCH_GATE_PASS, "0 files"},
    {{"src/**"},
     {0},
     {0},
     9,
     9,
     {CREATED("src", 'd', 0), CREATED("src/a", 'd', 0), CREATED("src/a/b.c", 'f', 9)},
     ORCH_GATE_PASS,
     "1 files changed, 9 bytes"},
    {{"docs/*.md"},
     {0},
     {0},
     9,
     9,
     {CREATED("docs", 'd', 0), CREATED("docs/x.md", 'f', 1)},
     ORCH_GATE_PASS,
     NULL},
    {{"a/b/c/*.md"},
     {0},
     {0},
     9,
     9,
     {CREATED("a", 'd', 0), CREATED("a/b", 'd', 0), CREATED("a/b/c", 'd', 0), CREATED("a/b/c/x.md", 'f', 1)},
     ORCH_GATE_PASS,
     NULL},
    {{"docs/*.md"}, {0}, {0}, 9, 9, {DELETED("docs", 'd'), DELETED("docs/x.md", 'f')}, ORCH_GATE_PASS, NULL},
    {{"docs/*.md"}, {0}, {0}, 9, 9, {CREATED("docs", 'd', 0)}, ORCH_GATE_FAIL, "not in allow: 'docs'"},
    {{"docs/*.md"},
     {0},
     {0},
     9,
     9,
     {CREATED("docs", 'd', 0), CREATED("docs-x.md", 'f', 1), CREATED("docs/y", 'f', 1)},
     ORCH_GATE_FAIL,
     "'docs', 'docs-x.md', 'docs/y'"},
    {{"docs/*.md"},
     {0},
     {0},
     9,
     9,
     {CREATED("docs", 'd', 0), CREATED("docs/x.md", 'f', 1), CREATED("docs/y", 'f', 1)},
     ORCH_GATE_FAIL,
     "not in allow: 'docs/y'"},
    {{"docs/*.md"},
     {0},
     {0},
     9,
     9,
     {MODIFIED("docs", 'f', 'd', 0), CREATED("docs/x.md", 'f', 1)},
     ORCH_GATE_FAIL,
     "not in allow: 'docs'"},
    {{"docs/*.md"},
     {0},
     {0},
     9,
     9,
     {MODIFIED("docs", 'd', 'd', 0), CREATED("docs/x.md", 'f', 1)},
     ORCH_GATE_FAIL,
     "not in allow: 'docs'"},
    {{"docs/*.md"}, {0}, {0}, 9, 9, {DELETED("src/a", 'f')}, ORCH_GATE_FAIL, "not in allow: 'src/a'"},
    {{"a"},
     {0},
     {0},
     9,
     9,
     {CREATED("p", 'f', 0), CREATED("q\n\x1b]0;x", 'f', 0), CREATED("r", 'f', 0), CREATED("s", 'f', 0),
      CREATED("t", 'f', 0)},
     ORCH_GATE_FAIL,
     "'p', 'q\\u000a\\u001b]0;x', 'r' and 2 more"},
    {{0}, {"**/.git/**"}, {0}, 9, 9, {CREATED("x/y", 'f', 1)}, ORCH_GATE_PASS, NULL},
    {{0},
     {"**/.git/**"},
     {0},
     9,
     9,
     {CREATED("x/.git/hooks/a", 'f', 1)},
     ORCH_GATE_FAIL,
     "in deny: 'x/.git/hooks/a'"},
    {{"**"}, {"Makefile"}, {0}, 9, 9, {DELETED("Makefile", 'f')}, ORCH_GATE_FAIL, "in deny: 'Makefile'"},
    {{0},
     {0},
     {0},
     1,
     9,
     {CREATED("a", 'd', 0), CREATED("a/b", 'd', 0), CREATED("a/b/c", 'f', 0)},
     ORCH_GATE_PASS,
     NULL},
    {{0},
     {0},
     {0},
     1,
     9,
     {CREATED("a", 'f', 0), DELETED("b", 'f')},
     ORCH_GATE_FAIL,
     "2 files changed, at most 1"},
    {{0},
     {0},
     {0},
     1,
     9,
     {CREATED("a", 'l', 0), MODIFIED("b", 'f', 'd', 0)},
     ORCH_GATE_FAIL,
     "2 files changed"},
    {{0},
     {0},
     {0},
     9,
     9,
     {CREATED("a", 'f', 5), MODIFIED("b", 'f', 'f', 5)},
     ORCH_GATE_FAIL,
     "10 bytes written, at most 9"},
    {{0},
     {0},
     {0},
     9,
     9,
     {CREATED("a", 'f', 9), CREATED("b", 'l', 50), DELETED("c", 'f')},
     ORCH_GATE_PASS,
     NULL},
    {{0},
     {0},
     {0},
     9,
     9,
     {CREATED("a", 'f', UINT64_MAX), CREATED("b", 'f', 2)},
     ORCH_GATE_FAIL,
     "18446744073709551615 bytes"},
    {{0}, {0}, {"t/**", "u"}, 9, 9, {CREATED("t/a", 'f', 1)}, ORCH_GATE_PASS, NULL},
    {{0}, {0}, {"t/**", "u"}, 9, 9, {DELETED("u", 'f')}, ORCH_GATE_PASS, NULL},
    {{0}, {0}, {"t/**", "u"}, 9, 9, {CREATED("v", 'f', 1)}, ORCH_GATE_FAIL, "nothing changed in t/**, u"},
    {{0}, {0}, {"t/**"}, 9, 9, {{0}}, ORCH_GATE_FAIL, "nothing changed in t/**"},
    {{"**"}, {0}, {0}, 9, 9, {CREATED("a", 'p', 0)}, ORCH_GATE_FAIL, "FIFO"},
    {{0}, {0}, {0}, 9, 9, {CREATED("a", 's', 0)}, ORCH_GATE_FAIL, "socket"},
    {{0}, {0}, {0}, 9, 9, {MODIFIED("a", 'f', 'c', 0)}, ORCH_GATE_FAIL, "device"},
    {{0}, {0}, {0}, 9, 9, {{"a", ORCH_CREATED, 0, 'f', 1, 04755}}, ORCH_GATE_FAIL, "setuid"},
    {{0}, {0}, {0}, 9, 9, {{"a", ORCH_CREATED, 0, 'f', 1, 02755}}, ORCH_GATE_FAIL, "setuid"},
    {{0}, {0}, {0}, 9, 9, {{"a", ORCH_CREATED, 0, 'd', 1, 02755}}, ORCH_GATE_PASS, NULL},
};

static void fill_globs(struct orch_strv *sv, const char *const *globs)
{
    for (size_t i = 0; i < N_GLOBS && globs[i]; i++)
        orch_strv_add(sv, globs[i]);
}

static void fill_change(struct orch_change *c, const struct change_row *row)
{
    c->path = orch_xstrdup(row->path);
    c->kind = row->kind;
    c->before = (struct orch_entry){.type = row->before, .mode = 0644};
    c->after = (struct orch_entry){.type = row->after, .mode = row->mode, .size = row->size};
}

static void check_changes_row(const struct changes_row *row)
{
    struct orch_gate g = {
        .type = ORCH_GATE_CHANGES, .max_files = row->max_files, .max_bytes = row->max_bytes};
    struct orch_change v[ORCH_NELEM(row->changes)] = {0};
    struct orch_changes changes = {.v = v};
    struct orch_gate_ctx c = {.phase_changes = &changes, .wake_fd = -1};

    fill_globs(&g.allow, row->allow);
    fill_globs(&g.deny, row->deny);
    fill_globs(&g.required, row->required);
    g.has_allow = g.allow.n > 0;
    while (changes.n < ORCH_NELEM(row->changes) && row->changes[changes.n].path) {
        fill_change(&v[changes.n], &row->changes[changes.n]);
        changes.n++;
    }
    check(&g, &c, row->want, row->part);
    for (size_t i = 0; i < changes.n; i++)
        free(v[i].path);
    orch_strv_fini(&g.allow);
    orch_strv_fini(&g.deny);
    orch_strv_fini(&g.required);
}

static void gate_changes_judges_every_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(changes_rows); i++)
        check_changes_row(&changes_rows[i]);
}

static void gate_changes_is_an_error_without_changes(void **state)
{
    struct orch_gate g = {.type = ORCH_GATE_CHANGES, .max_files = UINT64_MAX, .max_bytes = UINT64_MAX};
    struct orch_gate_ctx c = {.wake_fd = -1};

    (void)state;
    check(&g, &c, ORCH_GATE_ERROR, "not known");
}

/* A guard that fails open on large input is the classic (T-GATE-20): very many changes, deep, one of them bad
 * at the end. */
static void gate_changes_holds_on_large_input(void **state)
{
    enum { N = 100000 };
    struct orch_gate g = {
        .type = ORCH_GATE_CHANGES, .has_allow = true, .max_files = UINT64_MAX, .max_bytes = UINT64_MAX};
    struct orch_changes changes = {.n = N};
    struct orch_gate_ctx c = {.phase_changes = &changes, .wake_fd = -1};

    (void)state;
    orch_strv_add(&g.allow, "d0*/f.md");
    changes.v = orch_xcalloc(N, sizeof(*changes.v));
    for (size_t i = 0; i < N; i += 2) {
        changes.v[i].path = orch_xasprintf("d%06zu", i);
        changes.v[i].after.type = 'd';
        changes.v[i + 1].path = orch_xasprintf("d%06zu/f.md", i);
        changes.v[i + 1].after.type = 'f';
    }
    check(&g, &c, ORCH_GATE_PASS, "50000 files");
    free(changes.v[N - 1].path);
    changes.v[N - 1].path = orch_xstrdup("z");
    check(&g, &c, ORCH_GATE_FAIL, "'d099998', 'z'");
    for (size_t i = 0; i < N; i++)
        free(changes.v[i].path);
    free(changes.v);
    orch_strv_fini(&g.allow);
}

/* A path of any length and any bytes leaves a reason of bounded length. */
static void gate_reasons_are_bounded(void **state)
{
    struct orch_change v = {.kind = ORCH_CREATED, .after = {.type = 'f'}};
    struct orch_changes changes = {.v = &v, .n = 1};
    struct orch_gate_ctx c = {.phase_changes = &changes, .wake_fd = -1};
    struct orch_gate g = {.type = ORCH_GATE_CHANGES, .has_allow = true, .max_files = 9, .max_bytes = 9};
    struct orch_gate_result r;

    (void)state;
    v.path = orch_xmalloc(100001);
    memset(v.path, 0xff, 100000);
    v.path[100000] = '\0';
    check(&g, &c, ORCH_GATE_FAIL, "\\xff");
    for (size_t i = 0; i < 1000; i++)
        orch_strv_add(&g.required, "required/globs");
    check(&g, &c, ORCH_GATE_FAIL, "...");
    orch_gate_eval(&g, &c, &r);
    assert_int_equal(strlen(r.reason), 2000);
    orch_gate_result_fini(&r);
    orch_strv_fini(&g.required);
    free(v.path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gate_changes_judges_every_row),
        cmocka_unit_test(gate_changes_is_an_error_without_changes),
        cmocka_unit_test(gate_changes_holds_on_large_input),
        cmocka_unit_test(gate_reasons_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
