/* profile_check.h - for tests of profiles: load a text from a file, compare what is reported. Static, one
 * user per test. */
#ifndef TESTS_UNIT_POLICY_PROFILE_CHECK_H
#define TESTS_UNIT_POLICY_PROFILE_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include "common/io.h"
#include "policy/syscalls.h"

static char dir[] = "/tmp/orch-profile-XXXXXX";

__attribute__((unused)) static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) != NULL ? 0 : -1;
}

__attribute__((unused)) static int remove_dir(void **state)
{
    (void)state;
    return orch_rm_rf(AT_FDCWD, dir);
}

__attribute__((unused)) static void put(const char *name, const char *text)
{
    ORCH_AUTO_FREE char *path = orch_xasprintf("%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

/* Every diagnostic as "LINE:COL MESSAGE (POINTER)" lines. */
__attribute__((unused)) static char *render(const struct orch_diags *d)
{
    struct orch_buf b = {0};
    for (size_t i = 0; i < d->n; i++)
        orch_buf_printf(&b, "%u:%u %s (%s)\n", d->v[i].line, d->v[i].col, d->v[i].msg,
                        d->v[i].pointer != NULL ? d->v[i].pointer : "");
    return orch_buf_take(&b);
}

__attribute__((unused)) static struct orch_profile *load(const char *text, char **ret_errors)
{
    struct orch_profile *p = NULL;
    struct orch_diags d = {0};
    put("t.json", text);
    int r = orch_profile_load("./t.json", dir, &p, &d);
    assert_int_equal(r, d.n == 0 ? 0 : -EINVAL);
    assert_true((p != NULL) == (d.n == 0));
    *ret_errors = render(&d);
    orch_diags_fini(&d);
    return p;
}

__attribute__((unused)) static void expect_ok(const char *text)
{
    ORCH_AUTO_FREE char *errors = NULL;
    struct orch_profile *p = load(text, &errors);
    if (p == NULL)
        fail_msg("%s\n%s", text, errors);
    orch_profile_free(p);
}

/* True if one line begins with `place` (may be "") and has `what`, and there are n lines (0 = any number). */
__attribute__((unused)) static bool reports(const char *errors, const char *place, const char *what,
                                            unsigned n)
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

__attribute__((unused)) static bool refused(const char *text, const char *place, const char *what, unsigned n)
{
    ORCH_AUTO_FREE char *errors = NULL;
    struct orch_profile *p = load(text, &errors);
    bool ok = p == NULL && reports(errors, place, what, n);
    orch_profile_free(p);
    if (!ok)
        print_error("%s\nexpected %s %s (%u), got\n%s\n", text, place, what, n, errors);
    return ok;
}

__attribute__((unused)) static void expect_error(const char *text, const char *place, const char *what,
                                                 unsigned n)
{
    assert_true(refused(text, place, what, n));
}

#define DOC(rest) "{\"schema\": 1, \"name\": \"t\",\n" rest "}"
#define CHILD(rest) "{\"schema\": 1, \"name\": \"t\", \"extends\": \"base\",\n" rest "}"
#define OFIMPLEMENT(rest) "{\"schema\": 1, \"name\": \"t\", \"extends\": \"implement\",\n" rest "}"
#define FS(rest) DOC("\"filesystem\": [" rest "]")
#define RULE(rest) DOC("\"syscalls\": {\"rules\": [{" rest "}]}")

struct row {
    const char *text, *place, *what;
    unsigned n;
};

__attribute__((unused)) static void check_errors(const struct row *rows, size_t n)
{
    bool ok = true;
    for (size_t i = 0; i < n; i++)
        ok = refused(rows[i].text, rows[i].place, rows[i].what, rows[i].n) && ok;
    assert_true(ok);
}

#endif
