/* suggest_limit.c - the key by which a limit that ended an attempt is raised. See suggest.h. */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "supervisor/suggest_int.h"

static const struct limit {
    const char *name; /* as the record has it */
    enum orch_edit_key key;
    const char *member, *unit; /* unit "": a number, no text */
    size_t at;
} limits[] = {
    {"memory", ORCH_EDIT_LIMITS, "memory", "B", offsetof(struct orch_profile, limits.memory)},
    {"pids", ORCH_EDIT_LIMITS, "pids", "", offsetof(struct orch_profile, limits.pids)},
    {"cpu", ORCH_EDIT_LIMITS, "cpu", "ms", offsetof(struct orch_profile, limits.cpu_ms)},
    {"wall", ORCH_EDIT_LIMITS, "wall", "ms", offsetof(struct orch_profile, limits.wall_ms)},
    {"workspace", ORCH_EDIT_LIMITS, "workspace", "B", offsetof(struct orch_profile, limits.workspace)},
    {"workspace_files", ORCH_EDIT_LIMITS, "workspace_files", "",
     offsetof(struct orch_profile, limits.workspace_files)},
    {"home", ORCH_EDIT_TMP, "size", "B", offsetof(struct orch_profile, tmp_size)},
    {"tmp", ORCH_EDIT_TMP, "size", "B", offsetof(struct orch_profile, tmp_size)},
};

static uint64_t value_of(const struct orch_profile *p, const struct limit *l)
{
    uint64_t v;

    memcpy(&v, (const char *)p + l->at, sizeof(v));
    return v;
}

static char *elem(const struct limit *l, uint64_t v)
{
    const char *q = *l->unit ? "\"" : "";

    return orch_xasprintf("\"%s\": %s%" PRIu64 "%s%s", l->member, q, v, l->unit, q);
}

/* Of time, a phase has a limit of its own, and the workflow one for all of them. */
static bool by_workflow(const struct orch_suggester *s, const struct orch_base *b, const char *limit,
                        struct orch_suggested *ret)
{
    const struct orch_workflow *w = orch_suggest_workflow(s);
    const struct orch_phase *p = &w->phases[b->at.phase];
    uint64_t profile = b->profile->limits.wall_ms;

    if (strcmp(limit, "workflow") == 0)
        ret->line = orch_xasprintf("in the workflow: a \"timeout\" above %" PRIu64 "ms", w->timeout_ms);
    else if (strcmp(limit, "wall") == 0 && (!profile || p->timeout_ms < profile))
        ret->line = orch_xasprintf("in the workflow, phase '%s': a \"timeout\" above %" PRIu64 "ms", p->name,
                                   p->timeout_ms);
    return ret->line != NULL;
}

/* Twice as much is tried; how much would have been enough nobody knows. */
static void answer(struct orch_suggester *s, const struct orch_base *b, const struct limit *l,
                   struct orch_suggested *ret)
{
    uint64_t was = value_of(b->profile, l);
    struct orch_refused refused = {.kind = ORCH_WANTS_MORE, .limit = l->at, .limit_was = was};
    struct orch_trial t = {.s = s, .base = b, .refused = &refused, .ret = ret};

    if (was == 0 || was > UINT64_MAX / 2)
        ret->why = orch_xstrdup("the profile does not set it");
    else
        (void)orch_try_one(&t, l->key, elem(l, was * 2));
}

const struct orch_suggested *orch_suggest_limit(struct orch_suggester *s, const char *limit,
                                                const char *phase, const char *gate)
{
    const struct orch_base *b = s ? orch_suggest_base(s, phase, gate) : NULL;
    ORCH_AUTO_BUF struct orch_buf key = {0};
    struct orch_suggested *ret;
    bool known;

    if (!b || b->why)
        return NULL;
    orch_buf_char(&key, 'l');
    orch_key_str(&key, phase);
    orch_key_str(&key, gate);
    orch_key_str(&key, limit);
    ret = orch_suggest_slot(s, &key, &known);
    if (known || by_workflow(s, b, limit, ret))
        return ret;
    for (size_t i = 0; i < ORCH_NELEM(limits) && !ret->line && !ret->why; i++)
        if (strcmp(limits[i].name, limit) == 0)
            answer(s, b, &limits[i], ret);
    return ret;
}
