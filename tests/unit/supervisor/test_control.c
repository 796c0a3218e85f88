/* Requests of an agent: what is answered, what is refused and counted, and that nothing but `done` ends an
 * attempt. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "supervisor/control.h"
#include "supervisor/output.h"

struct seen {
    unsigned denials;
    char detail[256];
};

static enum orch_next on_denial(void *ctx, const struct orch_denial *d)
{
    struct seen *seen = ctx;

    seen->denials++;
    assert_int_equal(d->class, ORCH_CLASS_CONTROL);
    assert_non_null(d->rule);
    (void)snprintf(seen->detail, sizeof(seen->detail), "%s", d->detail);
    return ORCH_GO_ON;
}

static const struct {
    const char *line;
    bool ok;
    enum orch_next next;
    const char *in_reply; /* NULL = anything */
} cases[] = {
    {"{\"cmd\":\"status\"}", true, ORCH_GO_ON, "\"phase\":\"plan\""},
    {"{\"cmd\":\"report\",\"text\":\"half way\"}", true, ORCH_GO_ON, NULL},
    {"{\"cmd\":\"report\",\"text\":\"\"}", true, ORCH_GO_ON, NULL},
    {"{\"cmd\":\"blocker\",\"text\":\"no network\"}", true, ORCH_GO_ON, NULL},
    {"{\"cmd\":\"request-approval\",\"text\":\"may I?\"}", true, ORCH_GO_ON, "recorded"},
    {"{\"cmd\":\"done\"}", true, ORCH_STOP_DONE, NULL},
    {"{\"cmd\":\"done\",\"text\":\"finished\"}", true, ORCH_STOP_DONE, NULL},
    /* refused */
    {"{\"cmd\":\"approve\"}", false, ORCH_GO_ON, "no such command"},
    {"{\"cmd\":\"pass\",\"text\":\"plan\"}", false, ORCH_GO_ON, "no such command"},
    {"{\"cmd\":\"Done\"}", false, ORCH_GO_ON, NULL},
    {"{\"cmd\":\"status\",\"text\":\"x\"}", false, ORCH_GO_ON, "takes no"},
    {"{\"cmd\":\"report\"}", false, ORCH_GO_ON, "needs a"},
    {"{\"cmd\":\"done\",\"verdict\":\"pass\"}", false, ORCH_GO_ON, "no other"},
    {"{\"cmd\":\"report\",\"text\":1}", false, ORCH_GO_ON, "strings"},
    {"{\"cmd\":1}", false, ORCH_GO_ON, NULL},
    {"{\"cmd\":null}", false, ORCH_GO_ON, NULL},
    {"{\"text\":\"x\"}", false, ORCH_GO_ON, NULL},
    {"{}", false, ORCH_GO_ON, NULL},
    {"[]", false, ORCH_GO_ON, NULL},
    {"\"done\"", false, ORCH_GO_ON, NULL},
    {"", false, ORCH_GO_ON, "strict JSON"},
    {"done", false, ORCH_GO_ON, "strict JSON"},
    {"{\"cmd\":\"done\",\"cmd\":\"status\"}", false, ORCH_GO_ON, "strict JSON"},
    {"{\"cmd\":\"done\"} {\"cmd\":\"done\"}", false, ORCH_GO_ON, "strict JSON"},
    {"{\"cmd\":\"report\",\"text\":\"a\\u0000b\"}", false, ORCH_GO_ON, "strict JSON"},
    {"{\"cmd\":\"report\",\"text\":\"\xff\"}", false, ORCH_GO_ON, "strict JSON"},
};

static void requests_are_answered_by_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(cases); i++) {
        struct orch_audit *audit = orch_audit_null();
        struct seen seen = {0};
        struct orch_control c = {.run_id = "r",
                                 .phase_name = "plan",
                                 .attempt = 1,
                                 .audit = audit,
                                 .on_denial = on_denial,
                                 .ctx = &seen};
        ORCH_AUTO_BUF struct orch_buf reply = {0};
        struct orch_err err = {0};
        int failed = 0;
        enum orch_next next =
            orch_control_handle(&c, 1, cases[i].line, strlen(cases[i].line), &reply, &failed, &err);

        if (next != cases[i].next || failed || seen.denials != !cases[i].ok)
            fail_msg("%s: next %d, %u denials", cases[i].line, (int)next, seen.denials);
        if (strncmp(reply.data, cases[i].ok ? "{\"ok\":true" : "{\"ok\":false", cases[i].ok ? 10 : 11) != 0)
            fail_msg("%s: %s", cases[i].line, reply.data);
        if (cases[i].in_reply && !strstr(reply.data, cases[i].in_reply))
            fail_msg("%s: %s", cases[i].line, reply.data);
        assert_null(memchr(reply.data, '\n', reply.len));
        orch_audit_close(audit);
    }
}

static void the_refused_name_stands_in_the_denial(void **state)
{
    static const char line[] = "{\"cmd\":\"skip-phase\"}";
    struct orch_audit *audit = orch_audit_null();
    struct seen seen = {0};
    struct orch_control c = {
        .run_id = "r", .phase_name = "p", .attempt = 1, .audit = audit, .on_denial = on_denial, .ctx = &seen};
    ORCH_AUTO_BUF struct orch_buf reply = {0};
    struct orch_err err = {0};
    int failed = 0;

    (void)state;
    (void)orch_control_handle(&c, 1, line, sizeof(line) - 1, &reply, &failed, &err);
    assert_string_equal(seen.detail, "skip-phase");
    orch_audit_close(audit);
}

static void a_flood_is_refused(void **state)
{
    static const char line[] = "{\"cmd\":\"report\",\"text\":\"x\"}";
    struct orch_audit *audit = orch_audit_null();
    struct seen seen = {0};
    struct orch_control c = {
        .run_id = "r", .phase_name = "p", .attempt = 1, .audit = audit, .on_denial = on_denial, .ctx = &seen};
    struct orch_err err = {0};
    int failed = 0;

    (void)state;
    for (unsigned i = 0; i < ORCH_CONTROL_MAX + 10; i++) {
        ORCH_AUTO_BUF struct orch_buf reply = {0};
        (void)orch_control_handle(&c, 1, line, sizeof(line) - 1, &reply, &failed, &err);
    }
    assert_int_equal(seen.denials, 10);
    orch_audit_close(audit);
}

/* ---- masking, which control texts and output share ---- */

static const struct {
    const char *chunks[4], *want;
} masks[] = {
    {{"a s3cret b"}, "a [masked] b"},
    {{"a s3c", "ret b"}, "a [masked] b"},
    {{"s", "3", "cret"}, "[masked]"},
    {{"s3cre", "x"}, "s3crex"},
    {{"s3cre"}, "s3cre"},
    {{"s3s3cret"}, "s3[masked]"},
    {{"s3cret-long"}, "[masked]"},
    {{"s3cret", "-lonx"}, "[masked]-lonx"},
    {{"s3crets3cret"}, "[masked][masked]"},
};

static void secrets_are_masked_across_chunks(void **state)
{
    struct orch_strv secrets = {0};

    (void)state;
    orch_strv_add(&secrets, "s3cret");
    orch_strv_add(&secrets, "s3cret-long");
    for (size_t i = 0; i < ORCH_NELEM(masks); i++) {
        ORCH_AUTO_BUF struct orch_buf held = {0};
        ORCH_AUTO_BUF struct orch_buf out = {0};

        for (size_t k = 0; k < 4 && masks[i].chunks[k]; k++)
            orch_mask_feed(&secrets, &held, masks[i].chunks[k], strlen(masks[i].chunks[k]), &out);
        orch_mask_end(&secrets, &held, &out);
        assert_string_equal(out.data, masks[i].want);
    }
    orch_strv_fini(&secrets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_answered_by_the_table),
        cmocka_unit_test(the_refused_name_stands_in_the_denial),
        cmocka_unit_test(a_flood_is_refused),
        cmocka_unit_test(secrets_are_masked_across_chunks),
    };

    return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
