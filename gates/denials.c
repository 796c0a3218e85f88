/* denials.c - the `denials` gate: how often the attempt was refused something, from the supervisor's own
 * counts. */
#include "gates/gates_int.h"

#include <inttypes.h>
#include <string.h>
#include "common/escape.h"

static const struct {
    const char *name;
    size_t offset;
} classes[] = {
    {"filesystem", offsetof(struct orch_denial_counts, filesystem)},
    {"exec", offsetof(struct orch_denial_counts, exec)},
    {"syscall", offsetof(struct orch_denial_counts, syscall)},
    {"network", offsetof(struct orch_denial_counts, network)},
    {"control", offsetof(struct orch_denial_counts, control)},
};

/* Denials of the class (NULL: of all), saturating. False if there is no such class. */
static bool count(const struct orch_denial_counts *d, const char *class_name, uint64_t *ret)
{
    bool known = !class_name;
    uint64_t n = 0, one;

    for (size_t i = 0; i < ORCH_NELEM(classes); i++) {
        if (class_name && strcmp(class_name, classes[i].name) != 0)
            continue;
        known = true;
        memcpy(&one, (const char *)d + classes[i].offset, sizeof(one));
        if (__builtin_add_overflow(n, one, &n))
            n = UINT64_MAX;
    }
    *ret = n;
    return known;
}

void orch_gate_denials_eval(const struct orch_gate *g, const struct orch_gate_ctx *c,
                            struct orch_gate_result *r)
{
    ORCH_AUTO_FREE char *class_name = orch_escape_str(g->class_name ? g->class_name : "");
    uint64_t n;

    if (!count(&c->denials, g->class_name, &n)) {
        orch_gate_say(r, ORCH_GATE_ERROR, "there is no class of denials '%s'", class_name);
        return;
    }
    orch_gate_say(r, n <= g->max ? ORCH_GATE_PASS : ORCH_GATE_FAIL,
                  "%" PRIu64 " %s%sdenial%s, at most %" PRIu64 " permitted", n, class_name,
                  *class_name ? " " : "", n == 1 ? "" : "s", g->max);
}

void orch_gate_denials_describe(const struct orch_gate *g, struct orch_buf *out)
{
    ORCH_AUTO_FREE char *class_name = orch_escape_str(g->class_name ? g->class_name : "");

    orch_buf_printf(out, "at most %" PRIu64 " %s%sdenials", g->max, class_name, *class_name ? " " : "");
}
