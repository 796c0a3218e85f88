/* told.c - what an agent is told of its denials. See told.h. */
#include "supervisor/told.h"

#include <inttypes.h>
#include <string.h>

#include "common/io.h"

bool orch_told_may(const char *rule)
{
    return !rule || strcmp(rule, ORCH_RULE_ABSENT) != 0;
}

/* "others" without a number of groups are of a version that did not tell them apart. */
bool orch_told_may_record(const struct orch_denied *d)
{
    return orch_told_may(d->rule) && (strcmp(d->class_name, "others") != 0 || d->groups > 0);
}

bool orch_told_is_create(const char *rule)
{
    const char *pointer = rule ? strrchr(rule, '#') : NULL;

    return pointer && strcmp(pointer, "#/create") == 0;
}

bool orch_told_writable(const struct orch_place *p)
{
    return (p->access == ORCH_ACCESS_RW || p->access == ORCH_ACCESS_RWX) && p->kind != ORCH_PLACE_DEV &&
           p->kind != ORCH_PLACE_PROC;
}

/* ---- groups ---- */

static int text_order(const char *a, const char *b)
{
    return strcmp(a, b);
}

static int by_count(const void *va, const void *vb)
{
    const struct orch_told *a = va, *b = vb;
    int rc = (a->groups > 0) - (b->groups > 0);

    if (rc == 0)
        rc = (a->count < b->count) - (a->count > b->count);
    rc = rc ? rc : text_order(a->class_name, b->class_name);
    rc = rc ? rc : text_order(a->path, b->path);
    rc = rc ? rc : text_order(a->syscall, b->syscall);
    rc = rc ? rc : text_order(a->access, b->access);
    return rc ? rc : text_order(a->rule, b->rule);
}

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

size_t orch_told_of_audit(const struct orch_audit *a, bool may, struct orch_told **ret)
{
    const struct orch_denial_group *g = NULL;
    size_t n = orch_audit_groups(a, true, &g), k = 0;
    struct orch_told *v = orch_xcalloc(n + 1, sizeof(*v));

    for (size_t i = 0; i < n; i++) {
        if (orch_told_may(g[i].rule) != may)
            continue;
        v[k++] = (struct orch_told){.class_name = or_empty(g[i].class_name),
                                    .syscall = or_empty(g[i].syscall),
                                    .access = or_empty(g[i].access),
                                    .path = or_empty(g[i].path),
                                    .rule = or_empty(g[i].rule),
                                    .count = g[i].count,
                                    .groups = !g[i].syscall && !g[i].path};
    }
    qsort(v, k, sizeof(*v), by_count);
    *ret = v;
    return k;
}

size_t orch_told_of_verdict(const struct orch_verdict_record *v, struct orch_told **ret)
{
    struct orch_told *t = orch_xcalloc(v->n_denied + 1, sizeof(*t));
    size_t k = 0;

    for (size_t i = 0; i < v->n_denied; i++) {
        const struct orch_denied *d = &v->denied[i];

        if (orch_told_may_record(d))
            t[k++] = (struct orch_told){.class_name = d->class_name,
                                        .syscall = d->syscall,
                                        .access = d->access,
                                        .path = d->path,
                                        .rule = d->rule,
                                        .count = d->count,
                                        .groups = d->groups};
    }
    qsort(t, k, sizeof(*t), by_count);
    *ret = t;
    return k;
}

/* ---- what there is instead ---- */

static size_t common_length(const char *a, const char *b)
{
    size_t n = 0;

    while (a[n] && a[n] == b[n])
        n++;
    return n;
}

/* The writable place that has most of the path in common, the workspace if none has; NULL = there is none. */
static const char *near_writable(const struct orch_plan *plan, const char *path)
{
    const struct orch_place *workspace = orch_plan_place(plan, plan->workspace);
    const char *best = workspace && orch_told_writable(workspace) ? workspace->path : NULL;
    size_t most = best ? common_length(best, path) : 0;

    for (size_t i = 0; i < plan->n_places; i++) {
        size_t n = common_length(plan->places[i].path, path);

        if (orch_told_writable(&plan->places[i]) && (!best || n > most)) {
            best = plan->places[i].path;
            most = n;
        }
    }
    return best;
}

static void instead_of_write(const struct orch_plan *plan, const char *path, struct orch_buf *out)
{
    const char *near = near_writable(plan, path);

    if (near)
        orch_buf_printf(out, "not writable in this phase; write in %s, or in another of the writable paths",
                        near);
    else
        orch_buf_str(out, "nothing is writable in this phase");
}

static void instead_of_kind(const struct orch_plan *plan, struct orch_buf *out)
{
    static const char *const kinds[] = {"files", "directories", "symlinks"};
    const char *sep = "";

    orch_buf_str(out, "not of a kind that may be made in the workspace; there may be: ");
    for (unsigned i = 0; i < ORCH_NELEM(kinds); i++) {
        if (!(plan->profile->create & (1u << i)))
            continue;
        orch_buf_printf(out, "%s%s", sep, kinds[i]);
        sep = ", ";
    }
    orch_buf_str(out, *sep ? "" : "none");
}

static void instead_of_network(const struct orch_plan *plan, struct orch_buf *out)
{
    orch_buf_str(out, plan->profile->network == ORCH_NET_LOOPBACK
                          ? "only this sandbox's own loopback can be reached in this phase, no other host"
                          : "this phase has no network");
}

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static void instead_of_path(const struct orch_told *t, const struct orch_plan *plan, struct orch_buf *out)
{
    struct orch_decision dec = {.verdict = ORCH_DENY};

    if (orch_told_is_create(t->rule)) {
        instead_of_kind(plan, out);
        return;
    }
    if (t->path[0] == '/')
        orch_plan_decide(plan, t->path, ORCH_REQ_LOOK, &dec);
    if (dec.verdict == ORCH_HIDE)
        orch_buf_str(out, "hidden in this phase: nothing can be done with it");
    else if (is(t->access, "write") || is(t->access, "create") || is(t->access, "delete"))
        instead_of_write(plan, t->path, out);
    else
        orch_buf_str(out, "not readable in this phase");
}

void orch_told_instead(const struct orch_told *t, const struct orch_plan *plan, struct orch_buf *out)
{
    if (is(t->class_name, "exec") || is(t->access, "exec"))
        orch_buf_str(out, "not a tool of this phase; only the listed tools run");
    else if (is(t->class_name, "network") || is(t->syscall, "socket"))
        instead_of_network(plan, out);
    else if (is(t->class_name, "syscall"))
        orch_buf_str(out, "this system call is not available in this phase; do without it");
    else if (is(t->class_name, "control"))
        orch_buf_str(out, "a request is one line of JSON; the llm-* commands send it");
    else
        instead_of_path(t, plan, out);
}

/* ---- members ---- */

static void write_path(struct orch_jw *w, const char *path)
{
    size_t n = strnlen(path, ORCH_TOLD_PATH_MAX);

    orch_jw_bytes(w, "path", path, n);
    if (path[n])
        orch_jw_bool(w, "path_cut", true);
}

static void write_group(struct orch_jw *w, const struct orch_told *t, const struct orch_plan *plan)
{
    ORCH_AUTO_BUF struct orch_buf instead = {0};

    orch_jw_obj(w, NULL);
    orch_jw_str(w, "class", t->class_name);
    orch_jw_str(w, "syscall", t->syscall);
    orch_jw_str(w, "access", t->access);
    write_path(w, t->path);
    orch_jw_uint(w, "count", t->count);
    if (plan) {
        orch_told_instead(t, plan, &instead);
        orch_jw_str(w, "instead", instead.data);
    }
    orch_jw_end(w, '}');
}

void orch_told_write(struct orch_jw *w, const char *key, const char *more, const struct orch_told *v,
                     size_t n, const struct orch_plan *plan)
{
    uint64_t groups = 0, count = 0;
    size_t i = 0;

    orch_jw_arr(w, key);
    for (; i < n && i < ORCH_TOLD_MAX && v[i].groups == 0; i++)
        write_group(w, &v[i], plan);
    orch_jw_end(w, ']');
    for (; i < n; i++) {
        groups += v[i].groups ? v[i].groups : 1;
        count += v[i].count;
    }
    if (count == 0) {
        orch_jw_null(w, more);
        return;
    }
    orch_jw_obj(w, more);
    orch_jw_uint(w, "groups", groups);
    orch_jw_uint(w, "count", count);
    orch_jw_end(w, '}');
}
