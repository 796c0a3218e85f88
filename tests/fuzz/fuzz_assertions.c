/* fuzz_assertions.c - policy tests as documents: accepted, or refused with a diagnostic; what is accepted has
 * an act, an expectation and arguments within bounds, and can be told in a line. */
#include <stdlib.h>
#include <string.h>
#include "policy/assertions.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void check_one(const struct orch_assertion *a)
{
    ORCH_AUTO_FREE char *text = orch_assertion_text(a);
    ORCH_AUTO_FREE char *target = orch_act_expand(a->target, "/ws", "/home/op");

    check(a->target != NULL && a->expect_text != NULL && a->n_args <= 6 && *text != '\0' && *target != '\0');
    check(a->is_call ? a->nr >= 0 : a->act <= ORCH_ACT_CONNECT);
    check((a->expect == ORCH_EXPECT_ERRNO) == (a->errnum > 0));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    ORCH_AUTO(orch_json_freep) struct orch_json *doc = NULL;
    struct orch_assertions *a = NULL;
    struct orch_diags d = {0};
    int r = orch_json_parse("t.json", (const char *)data, size, &doc, &d);

    if (r == 0)
        r = orch_assertions_read(doc, &a, &d);
    check((r == 0) == (a != NULL) && (r == 0) == (d.n == 0));
    for (size_t i = 0; a != NULL && i < a->n; i++)
        check_one(&a->v[i]);
    orch_assertions_free(a);
    orch_diags_fini(&d);
    return 0;
}
