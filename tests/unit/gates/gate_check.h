/* gate_check.h - evaluates one gate and compares; shared by the tests here. Include after cmocka.h. */
#ifndef ORCH_TESTS_GATE_CHECK_H
#define ORCH_TESTS_GATE_CHECK_H

#include <string.h>

#include "gates/gates.h"

static inline void assert_printable(const char *s)
{
    assert_non_null(s);
    for (; *s; s++) {
        if (*s < 0x20 || *s > 0x7e)
            fail_msg("not printable: byte %d", (unsigned char)*s);
    }
}

/* Evaluates, compares verdict and a part of the reason. */
static inline void check(const struct orch_gate *g, const struct orch_gate_ctx *c,
                         enum orch_gate_verdict want, const char *part)
{
    ORCH_AUTO_FREE char *text = orch_gate_describe(g);
    struct orch_gate_result r;

    orch_gate_eval(g, c, &r);
    if (r.verdict != want || (part && !strstr(r.reason, part)))
        fail_msg("%s: %s (%s), expected %s (%s)", text, orch_gate_verdict_name(r.verdict), r.reason,
                 orch_gate_verdict_name(want), part ? part : "any reason");
    assert_printable(r.reason);
    assert_printable(text);
    assert_true(*text);
    assert_true(r.elapsed_ms < 5000); /* also under valgrind */
    orch_gate_result_fini(&r);
    orch_gate_result_fini(&r);
}

#endif
