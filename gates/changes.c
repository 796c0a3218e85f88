/*
 * changes.c - the `changes` gate: what the phase changed, against globs and budgets. It reads only the list
 * that the supervisor made of the sealed layer, so the agent's git or its own account of the change play no
 * part.
 */
#include "gates/gates_int.h"

#include <inttypes.h>
#include <string.h>
#include "common/escape.h"
#include "common/glob.h"

#define SHOWN_PATHS 3
#define SHOWN_BYTES 160 /* of each path: agents choose their length */

struct offenders {
    struct orch_buf list;
    uint64_t n;
};

struct tally {
    struct offenders outside, denied, special;
    uint64_t files, bytes;
    bool required_met;
};

static void add_offender(struct offenders *o, const char *path)
{
    ORCH_AUTO_FREE char *shown = NULL;

    if (o->n++ >= SHOWN_PATHS)
        return;
    shown = orch_escape_str(path);
    if (o->n > 1)
        orch_buf_str(&o->list, ", ");
    orch_buf_printf(&o->list, "'%.*s%s'", SHOWN_BYTES, shown, strlen(shown) > SHOWN_BYTES ? "..." : "");
}

static void add_problem(struct orch_buf *out, const char *what, const struct offenders *o)
{
    if (!o->n)
        return;
    orch_gate_add_sep(out);
    orch_buf_printf(out, "%s: %s", what, o->list.data);
    if (o->n > SHOWN_PATHS)
        orch_buf_printf(out, " and %" PRIu64 " more", o->n - SHOWN_PATHS);
}

/* Index of the first change whose path is not less than DIR followed by the byte sep. */
static size_t lower_bound(const struct orch_changes *ch, const char *dir, char sep)
{
    ORCH_AUTO_FREE char *key = orch_xasprintf("%s%c", dir, sep);
    size_t lo = 0, hi = ch->n, mid;

    while (lo < hi) {
        mid = lo + (hi - lo) / 2;
        if (strcmp(ch->v[mid].path, key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* A directory that came or went; one that took the place of something else, or whose mode changed, is more
 * than a parent. */
static bool is_plain_directory(const struct orch_change *c)
{
    return (c->kind == ORCH_CREATED && c->after.type == 'd') ||
           (c->kind == ORCH_DELETED && c->before.type == 'd');
}

/*
 * Marks what `allow` covers: matching entries, and directories that came or went with a matching entry
 * beneath them (what is beneath DIR sorts from "DIR/" up to "DIR0"). ret has room for n; sums of marks keep
 * it n log n, however deep the agent nests.
 */
static void mark_allowed(const struct orch_gate *g, const struct orch_changes *ch, bool *ret)
{
    ORCH_AUTO_FREE size_t *sum = orch_xcalloc(ch->n + 1, sizeof(*sum));

    for (size_t i = 0; i < ch->n; i++) {
        ret[i] = !g->has_allow || orch_glob_match_any(&g->allow, ch->v[i].path);
        sum[i + 1] = sum[i] + ret[i];
    }
    for (size_t i = 0; i < ch->n; i++) {
        const char *dir = ch->v[i].path;

        if (!ret[i] && is_plain_directory(&ch->v[i]))
            ret[i] = sum[lower_bound(ch, dir, '/' + 1)] > sum[lower_bound(ch, dir, '/')];
    }
}

static bool is_special(const struct orch_change *c)
{
    mode_t bits = c->after.mode & (S_ISUID | S_ISGID);

    if (c->kind == ORCH_DELETED)
        return false;
    if (c->after.type == 'f') /* setgid on directories is inherited and harmless */
        return bits && (c->before.type != 'f' || (bits & ~c->before.mode));
    return c->after.type != 'd' && c->after.type != 'l';
}

static void count_entry(const struct orch_change *c, struct tally *t)
{
    bool was_file = c->kind != ORCH_CREATED && c->before.type != 'd';
    bool is_file = c->kind != ORCH_DELETED && c->after.type != 'd';

    t->files += was_file || is_file;
    if (c->kind != ORCH_DELETED && c->after.type == 'f' &&
        __builtin_add_overflow(t->bytes, c->after.size, &t->bytes))
        t->bytes = UINT64_MAX;
}

static void tally_changes(const struct orch_gate *g, const struct orch_changes *ch, struct tally *t)
{
    ORCH_AUTO_FREE bool *allowed = orch_xcalloc(ch->n + 1, sizeof(*allowed));

    mark_allowed(g, ch, allowed);
    for (size_t i = 0; i < ch->n; i++) {
        const struct orch_change *c = &ch->v[i];

        if (!allowed[i])
            add_offender(&t->outside, c->path);
        if (orch_glob_match_any(&g->deny, c->path))
            add_offender(&t->denied, c->path);
        if (is_special(c))
            add_offender(&t->special, c->path);
        if (orch_glob_match_any(&g->required, c->path))
            t->required_met = true;
        count_entry(c, t);
    }
}

/* One clause for everything that is wrong; empty = nothing. */
static void list_problems(const struct orch_gate *g, const struct tally *t, struct orch_buf *out)
{
    add_problem(out, "changed, but not in allow", &t->outside);
    add_problem(out, "changed, but in deny", &t->denied);
    add_problem(out, "device, FIFO, socket or setuid file", &t->special);
    if (t->files > g->max_files) {
        orch_gate_add_sep(out);
        orch_buf_printf(out, "%" PRIu64 " files changed, at most %" PRIu64 " permitted", t->files,
                        g->max_files);
    }
    if (t->bytes > g->max_bytes) {
        orch_gate_add_sep(out);
        orch_buf_printf(out, "%" PRIu64 " bytes written, at most %" PRIu64 " permitted", t->bytes,
                        g->max_bytes);
    }
    if (g->required.n && !t->required_met) {
        orch_gate_add_sep(out);
        orch_buf_str(out, "nothing changed in ");
        orch_gate_add_list(out, &g->required);
    }
}

void orch_gate_changes_eval(const struct orch_gate *g, const struct orch_gate_ctx *c,
                            struct orch_gate_result *r)
{
    ORCH_AUTO_BUF struct orch_buf problems = {0};
    struct tally t = {0};

    if (!c->phase_changes) {
        orch_gate_say(r, ORCH_GATE_ERROR, "the phase's changes are not known");
        return;
    }
    tally_changes(g, c->phase_changes, &t);
    list_problems(g, &t, &problems);
    if (problems.len)
        orch_gate_say(r, ORCH_GATE_FAIL, "%s", problems.data);
    else
        orch_gate_say(r, ORCH_GATE_PASS, "%" PRIu64 " files changed, %" PRIu64 " bytes", t.files, t.bytes);
    orch_buf_fini(&t.outside.list);
    orch_buf_fini(&t.denied.list);
    orch_buf_fini(&t.special.list);
}

static void describe_globs(struct orch_buf *out, const char *what, const struct orch_strv *globs)
{
    if (!globs->n)
        return;
    orch_buf_printf(out, "; %s ", what);
    orch_gate_add_list(out, globs);
}

void orch_gate_changes_describe(const struct orch_gate *g, struct orch_buf *out)
{
    orch_buf_str(out, g->has_allow ? "changes only in " : "changes anywhere");
    if (g->has_allow)
        orch_gate_add_list(out, &g->allow);
    describe_globs(out, "none in", &g->deny);
    describe_globs(out, "at least one in", &g->required);
    if (g->max_files != UINT64_MAX)
        orch_buf_printf(out, "; at most %" PRIu64 " files", g->max_files);
    if (g->max_bytes != UINT64_MAX)
        orch_buf_printf(out, "; at most %" PRIu64 " bytes", g->max_bytes);
}
