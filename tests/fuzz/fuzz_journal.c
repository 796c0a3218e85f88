/* fuzz_journal.c - replaying any records, one a line: a state that is whole, or exit 7 and a state that can
 * be freed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "common/exit.h"
#include "supervisor/journal.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

/* What the run loop reads of a state without a look. */
static void check_state(const struct orch_run_state *s)
{
    size_t current = orch_run_current(s);
    check(current <= s->n_phases);
    check(!s->open || s->open_phase < s->n_phases);
    check(!s->waits || s->waiting.phase < s->n_phases);
    for (size_t i = 0; i < s->n_verdicts; i++)
        check(s->verdicts[i].phase < s->n_phases);
    for (size_t i = 0; i < s->n_phases; i++)
        for (size_t k = 0; k < s->phases[i].n_layers; k++)
            check(s->phases[i].layers[k] < s->n_verdicts);
}

static int apply_line(struct orch_run_state *s, const char *line, size_t n)
{
    ORCH_AUTO(orch_json_freep) struct orch_json *doc = NULL;
    struct orch_diags d = {0};
    struct orch_err err = {0};
    int r = orch_json_parse("line", line, n, &doc, &d);
    orch_diags_fini(&d);
    if (r < 0 || !cJSON_IsObject(orch_json_root(doc)))
        return -EINVAL; /* the reader of chains hands on objects only */
    r = orch_run_state_apply(s, orch_json_root(doc), &err);
    check(r == 0 || (r < 0 && err.exit_code == ORCH_EXIT_CORRUPT));
    return r;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct orch_run_state s = {0};
    const char *p = (const char *)data, *end = p + size;
    int r = 0;
    while (r == 0 && p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t n = newline != NULL ? (size_t)(newline - p) : (size_t)(end - p);
        r = apply_line(&s, p, n);
        if (r == 0)
            check_state(&s);
        p += n + (newline != NULL);
    }
    orch_run_state_fini(&s);
    return 0;
}
