/* diff_line.c - the words of a change list. See diff.h. */
#include <inttypes.h>
#include <string.h>

#include "common/escape.h"
#include "supervisor/diff.h"

static const char *type_name(char type)
{
    static const struct {
        char type;
        const char *name;
    } names[] = {{'f', "file"},   {'d', "directory"}, {'l', "symlink"}, {'p', "FIFO"},
                 {'s', "socket"}, {'c', "device"},    {'b', "device"}};

    for (size_t i = 0; i < ORCH_NELEM(names); i++)
        if (names[i].type == type)
            return names[i].name;
    return "entry";
}

/* In quotes that the name cannot close: a backslash is always one of ours after escaping. */
static void put_quoted(struct orch_buf *out, const char *s)
{
    ORCH_AUTO_FREE char *shown = orch_escape_str(s);

    orch_buf_char(out, '\'');
    for (const char *p = shown; *p; p++) {
        if (*p == '\'')
            orch_buf_str(out, "\\x27");
        else
            orch_buf_char(out, *p);
    }
    orch_buf_char(out, '\'');
}

static void put_entry(struct orch_buf *out, const struct orch_entry *e, const char *note)
{
    if (e->type == 'l') {
        orch_buf_str(out, " -> ");
        put_quoted(out, e->target ? e->target : "");
        return;
    }
    orch_buf_printf(out, " (mode %04o", (unsigned)e->mode);
    if (e->type == 'f')
        orch_buf_printf(out, ", %" PRIu64 " bytes", e->size);
    orch_buf_printf(out, "%s%s)", note ? ", " : "", note ? note : "");
}

static void put_link(struct orch_buf *out, const struct orch_change *c)
{
    orch_buf_str(out, ": ");
    put_quoted(out, c->before.target ? c->before.target : "");
    orch_buf_str(out, " -> ");
    put_quoted(out, c->after.target ? c->after.target : "");
}

/* Same type before and after: what is not the same. */
static void put_difference(struct orch_buf *out, const struct orch_change *c, const char *note)
{
    const struct orch_entry *a = &c->before, *b = &c->after;
    const char *sep = " (";

    if (b->type == 'l') {
        put_link(out, c);
        return;
    }
    if (a->mode != b->mode) {
        orch_buf_printf(out, "%smode %04o -> %04o", sep, (unsigned)a->mode, (unsigned)b->mode);
        sep = ", ";
    }
    if (b->type == 'f' && a->size != b->size) {
        orch_buf_printf(out, "%s%" PRIu64 " -> %" PRIu64 " bytes", sep, a->size, b->size);
        sep = ", ";
    } else if (b->type == 'f') {
        orch_buf_printf(out, "%s%" PRIu64 " bytes", sep, b->size);
        sep = ", ";
    }
    if (note) {
        orch_buf_printf(out, "%s%s", sep, note);
        sep = ", ";
    }
    if (*sep == ',')
        orch_buf_char(out, ')');
}

void orch_diff_line(const struct orch_change *c, const char *note, struct orch_buf *out)
{
    static const char *const verbs[] = {
        [ORCH_CREATED] = "created", [ORCH_DELETED] = "deleted", [ORCH_MODIFIED] = "modified"};
    bool replaced = c->kind == ORCH_MODIFIED && c->before.type != c->after.type;
    const struct orch_entry *named = c->kind == ORCH_CREATED ? &c->after : &c->before;

    orch_buf_printf(out, "%s %s ", replaced ? "replaced" : verbs[c->kind], type_name(named->type));
    put_quoted(out, c->path);
    if (c->kind == ORCH_MODIFIED && !replaced) {
        put_difference(out, c, note);
        return;
    }
    put_entry(out, named, replaced ? NULL : note);
    if (replaced) {
        orch_buf_printf(out, " by %s", type_name(c->after.type));
        put_entry(out, &c->after, note);
    }
}

static void put_side(struct orch_buf *out, const char *mark, char side, bool there, const char *path)
{
    orch_buf_str(out, mark);
    if (there) {
        orch_buf_printf(out, "%c/", side);
        orch_escape_term(out, path, strlen(path));
    } else {
        orch_buf_str(out, "/dev/null");
    }
    orch_buf_char(out, '\n');
}

void orch_diff_header(const struct orch_change *c, struct orch_buf *out)
{
    put_side(out, "--- ", 'a', c->kind != ORCH_CREATED, c->path);
    put_side(out, "+++ ", 'b', c->kind != ORCH_DELETED, c->path);
}

void orch_diff_flush(struct orch_diff *d)
{
    orch_outq_add(&d->out, d->text.data, d->text.len);
    orch_buf_reset(&d->text);
}

void orch_diff_show(struct orch_diff *d, size_t to)
{
    for (; d->shown < to; d->shown++) {
        orch_diff_line(&d->changes.v[d->shown], d->notes ? d->notes[d->shown] : NULL, &d->text);
        orch_buf_char(&d->text, '\n');
    }
}
