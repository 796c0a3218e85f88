/*
 * test_messages.c - what an author is told: bad documents with the exact lines that are printed, all of them.
 *
 * The cases are in bad_profiles.txt and bad_workflows.txt beside this file:
 *
 *   == what is wrong
 *   | the document, line by line; \xNN is a byte
 *   > t.json:2:1: error: the message (at /pointer)
 *
 * With ORCH_WRITE_MESSAGES=1 the files are written anew with what is printed now: read the difference.
 */
#include <ctype.h>
#include <sys/mman.h>
#include <time.h>
#include "tests/unit/policy/workflow_check.h"

#define FOLDER "tests/unit/policy/"
#define CASE_MAX_MS 100

struct bad {
    char *name;
    struct orch_buf shown, doc, want; /* the document as written in the file, and as it is */
};

/* --- cases --- */

static void decode(const char *s, size_t n, struct orch_buf *out)
{
    for (size_t i = 0; i < n; i++) {
        unsigned v = 0;
        if (n - i >= 4 && s[i] == '\\' && s[i + 1] == 'x' && sscanf(s + i + 2, "%2x", &v) == 1) {
            orch_buf_char(out, (char)v);
            i += 3;
        } else {
            orch_buf_char(out, s[i]);
        }
    }
}

static void add_line(struct bad *b, const char *line, size_t n)
{
    if (b->name == NULL || n == 0 || (line[0] != '|' && line[0] != '>') || (n > 1 && line[1] != ' '))
        fail_msg("neither case, document nor message: '%.*s'", (int)n, line);
    size_t skip = n > 1 ? 2 : 1; /* an empty line of the document has no space behind the bar */
    if (line[0] == '>') {
        orch_buf_add(&b->want, line + skip, n - skip);
        orch_buf_char(&b->want, '\n');
        return;
    }
    if (b->shown.len > 0)
        orch_buf_char(&b->doc, '\n');
    orch_buf_add(&b->shown, line, n);
    orch_buf_char(&b->shown, '\n');
    decode(line + skip, n - skip, &b->doc);
}

static void fini(struct bad *b)
{
    free(b->name);
    orch_buf_fini(&b->shown);
    orch_buf_fini(&b->doc);
    orch_buf_fini(&b->want);
}

/* --- what is printed --- */

static void without_folder(const char *text, size_t len, struct orch_buf *out)
{
    size_t n = strlen(dir);
    for (size_t i = 0; i < len; i++) {
        if (len - i > n && strncmp(text + i, dir, n) == 0)
            i += n;
        else
            orch_buf_char(out, text[i]);
    }
}

static void print(const struct orch_diags *d, struct orch_buf *out)
{
    ORCH_AUTO_FD int fd = memfd_create("messages", MFD_CLOEXEC);
    ORCH_AUTO_BUF struct orch_buf all = {0};
    assert_true(fd >= 0);
    orch_diags_print(d, fd);
    assert_true(lseek(fd, 0, SEEK_SET) == 0);
    assert_int_equal(orch_read_all(fd, 1u << 20, &all), 0);
    without_folder(all.data != NULL ? all.data : "", all.len, out);
}

static double cpu_ms(void)
{
    return (double)clock() * 1000 / CLOCKS_PER_SEC;
}

static void put_bytes(const char *name, const struct orch_buf *b)
{
    ORCH_AUTO_FREE char *path = orch_xasprintf("%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(b->data != NULL ? b->data : "", 1, b->len, f), b->len);
    assert_int_equal(fclose(f), 0);
}

/* A place is where something stands, or the end. */
static void expect_places(const struct bad *b, const struct orch_diags *d)
{
    for (size_t i = 0; i < d->n; i++) {
        const char *at = b->doc.data != NULL ? b->doc.data : "", *end = at + b->doc.len;
        if (d->v[i].line == 0 || strstr(d->v[i].file, "/t.json") == NULL)
            continue;
        for (unsigned line = 1; line < d->v[i].line && at != NULL; line++) {
            at = memchr(at, '\n', (size_t)(end - at));
            at = at != NULL ? at + 1 : NULL;
        }
        if (at == NULL || (size_t)(end - at) < d->v[i].col - 1 || at[d->v[i].col - 1] == ' ')
            fail_msg("case '%s': nothing stands at %u:%u", b->name, d->v[i].line, d->v[i].col);
    }
}

static void load_bad(bool workflow, const struct bad *b, struct orch_buf *said)
{
    struct orch_diags d = {0};
    struct orch_workflow *w = NULL;
    struct orch_profile *p = NULL;
    ORCH_AUTO_FREE char *path = orch_xasprintf("%s/t.json", dir);
    put_bytes("t.json", &b->doc);
    double start = cpu_ms();
    int r = workflow ? orch_workflow_load(path, &w, &d) : orch_profile_load("./t.json", dir, &p, &d);
    double took = cpu_ms() - start;
    if (r == 0)
        fail_msg("case '%s' is taken", b->name);
    if (took > CASE_MAX_MS)
        fail_msg("case '%s' took %.0f ms", b->name, took);
    expect_places(b, &d);
    print(&d, said);
    orch_diags_fini(&d);
}

struct result {
    struct orch_buf file; /* as it would be written */
    unsigned cases, wrong;
};

static void try_case(bool workflow, struct bad *b, struct result *r)
{
    ORCH_AUTO_BUF struct orch_buf said = {0};
    if (b->name == NULL)
        return;
    load_bad(workflow, b, &said);
    r->cases++;
    if (said.len != b->want.len || memcmp(said.data, b->want.data, said.len) != 0) {
        r->wrong++;
        print_error("case '%s'\nexpected\n%sprinted\n%s\n", b->name, b->want.len > 0 ? b->want.data : "",
                    said.data);
    }
    orch_buf_printf(&r->file, "== %s\n%s", b->name, b->shown.data != NULL ? b->shown.data : "");
    for (const char *l = said.data; *l != '\0'; l += strcspn(l, "\n") + 1)
        orch_buf_printf(&r->file, "> %.*s\n", (int)strcspn(l, "\n"), l);
}

static void try_file(bool workflow, const char *path, struct result *r)
{
    ORCH_AUTO_BUF struct orch_buf text = {0};
    struct bad b = {0};
    assert_int_equal(orch_read_file(AT_FDCWD, path, 1u << 20, &text), 0);
    for (const char *l = text.data; *l != '\0';) {
        size_t n = strcspn(l, "\n");
        if (strncmp(l, "== ", 3) == 0) {
            try_case(workflow, &b, r);
            fini(&b);
            b = (struct bad){.name = orch_xstrndup(l + 3, n - 3)};
        } else {
            add_line(&b, l, n);
        }
        l += n + (l[n] == '\n');
    }
    try_case(workflow, &b, r);
    fini(&b);
}

static void check_file(bool workflow, const char *path, unsigned least)
{
    struct result r = {0};
    put("bad.json", "{\"schema\": 1, \"name\": \"bad\",\n\"tolls\": 1, \"limits\": {\"pids\": 0}}");
    try_file(workflow, path, &r);
    if (getenv("ORCH_WRITE_MESSAGES") != NULL) {
        FILE *f = fopen(path, "we");
        assert_non_null(f);
        assert_int_equal(fwrite(r.file.data, 1, r.file.len, f), r.file.len);
        assert_int_equal(fclose(f), 0);
    }
    orch_buf_fini(&r.file);
    assert_true(r.cases >= least);
    assert_int_equal(r.wrong, 0);
}

static void bad_profiles_are_told_exactly(void **state)
{
    (void)state;
    check_file(false, FOLDER "bad_profiles.txt", 200);
}

static void bad_workflows_are_told_exactly(void **state)
{
    (void)state;
    check_file(true, FOLDER "bad_workflows.txt", 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_profiles_are_told_exactly),
        cmocka_unit_test(bad_workflows_are_told_exactly),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
