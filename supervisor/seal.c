/*
 * seal.c - the seal check (design 6): every change of an attempt's layer against the plan. Mounts and
 * notification refuse early; this is the lock that no race passes. See apply.h.
 */
#include "supervisor/apply.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "common/escape.h"

#define MAX_PROBLEMS 200

struct seal {
    const struct orch_plan *plan;
    struct orch_strv *out;
    size_t more; /* found beyond MAX_PROBLEMS */
};

static void problem(struct seal *s, const char *path, const char *fmt, ...) ORCH_PRINTF(3, 4);

static void problem(struct seal *s, const char *path, const char *fmt, ...)
{
    ORCH_AUTO_FREE char *shown = NULL;
    ORCH_AUTO_FREE char *why = NULL;
    va_list ap;

    if (s->out->n >= MAX_PROBLEMS) {
        s->more++;
        return;
    }
    va_start(ap, fmt);
    if (vasprintf(&why, fmt, ap) < 0)
        abort();
    va_end(ap);
    shown = orch_escape_str(path);
    orch_strv_add_take(s->out, orch_xasprintf("%s: %s", shown, why));
}

/* True if the plan permits it. Anything but a clear yes is a no. */
static bool permitted(const struct seal *s, const char *abs, enum orch_request what, const char **ret_rule)
{
    struct orch_decision d = {.verdict = ORCH_DENY, .rule = "none"};

    orch_plan_decide(s->plan, abs, what, &d);
    if (d.verdict == ORCH_PERMIT)
        return true;
    *ret_rule = d.rule;
    return false;
}

static const char *done_name(const struct orch_change *c)
{
    if (c->kind == ORCH_CREATED)
        return "created";
    if (c->kind == ORCH_DELETED)
        return "deleted";
    return c->before.type != c->after.type ? "replaced by another type" : "modified";
}

/* What the change needs, as a list ended by -1. */
static void requests(const struct orch_change *c, int ret[4])
{
    size_t n = 0;

    if (c->kind == ORCH_MODIFIED)
        ret[n++] = ORCH_REQ_WRITE;
    if (c->kind == ORCH_DELETED || (c->kind == ORCH_MODIFIED && c->before.type != c->after.type))
        ret[n++] = ORCH_REQ_DELETE;
    if (c->kind == ORCH_CREATED || (c->kind == ORCH_MODIFIED && c->before.type != c->after.type))
        ret[n++] = ORCH_REQ_CREATE;
    ret[n] = -1;
}

static void check_access(struct seal *s, const struct orch_change *c)
{
    const char *slash = strcmp(s->plan->workspace, "/") == 0 ? "" : "/";
    ORCH_AUTO_FREE char *abs = orch_xasprintf("%s%s%s", s->plan->workspace, slash, c->path);
    const char *rule = "none";
    int want[4];

    requests(c, want);
    for (size_t i = 0; want[i] >= 0; i++) {
        if (!permitted(s, abs, (enum orch_request)want[i], &rule)) {
            problem(s, c->path, "%s, but the profile gives no write (rule %s)", done_name(c), rule);
            return;
        }
    }
}

static const struct kind {
    char type;
    unsigned bit; /* 0: no profile can allow it */
    const char *name;
} kinds[] = {
    {'f', ORCH_CREATE_FILE, "file"},
    {'d', ORCH_CREATE_DIRECTORY, "directory"},
    {'l', ORCH_CREATE_SYMLINK, "symlink"},
    {'p', 0, "FIFO"},
    {'s', 0, "socket"},
    {'c', 0, "character device"},
    {'b', 0, "block device"},
};

static void check_kind(struct seal *s, const struct orch_change *c)
{
    const struct kind *k = NULL;

    for (size_t i = 0; i < ORCH_NELEM(kinds); i++) {
        if (kinds[i].type == c->after.type)
            k = &kinds[i];
    }
    if (!k || !k->bit)
        problem(s, c->path, "%s in the layer", k ? k->name : "unknown kind of entry");
    else if (c->before.type != c->after.type && !(s->plan->profile->create & k->bit))
        problem(s, c->path, "%s created, but the profile's \"create\" does not list it", k->name);
    if (c->after.type == 'f' && (c->after.mode & (S_ISUID | S_ISGID)))
        problem(s, c->path, "setuid bit");
}

/* 0, also when the raw layer is refused: then that is the one problem, and nothing else in it is worth
 * reading. */
static int check_raw(struct seal *s, const char *upper, bool *ret_refused, struct orch_err *err)
{
    struct orch_err e = {0};
    int r = orch_layer_check(upper, &e);

    *ret_refused = r == -EBADMSG;
    if (r == -EBADMSG)
        orch_strv_add(s->out, e.msg);
    else if (r < 0 && err)
        *err = e;
    return *ret_refused ? 0 : r;
}

int orch_seal_check(const struct orch_view *full, const struct orch_plan *plan,
                    struct orch_strv *ret_problems, struct orch_err *err)
{
    struct orch_changes ORCH_AUTO(orch_changes_fini) c = {0};
    struct seal s = {.plan = plan, .out = ret_problems};
    bool refused;
    int r;

    if (full->n == 0 || !full->t[0].layer)
        return orch_err_set(err, EINVAL, "no layer to seal");
    r = check_raw(&s, full->t[0].path, &refused, err);
    if (r < 0 || refused)
        return r;
    r = orch_view_changes(full, 1, &c, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < c.n; i++) {
        check_access(&s, &c.v[i]);
        if (c.v[i].kind != ORCH_DELETED)
            check_kind(&s, &c.v[i]);
    }
    if (s.more)
        orch_strv_add_take(ret_problems, orch_xasprintf("... and %zu more", s.more));
    return 0;
}
