/*
 * within_fs.c - filesystem rules of one profile within another's (within.h).
 *
 * What holds at a path is decided by the longest rule that covers it, or by the last of its components that
 * an anywhere-rule names (decide.c). So it changes only at the paths that rules name, and at the names of
 * anywhere-rules beneath each of them: comparing there compares everywhere. Where the workspace lies and what
 * the phase is called is not known, but only matters where it makes two paths meet: each such place and name
 * is tried (an assignment).
 */
#include <string.h>
#include "common/io.h"
#include "policy/within_int.h"

#define WORKSPACE "${workspace}"
#define PHASE "${phase}"
#define READ 1u
#define WRITE 2u
#define EXEC 4u
#define ALL (READ | WRITE | EXEC)

/* Of comparisons of two paths; beyond it the profiles count as not comparable. */
#define WORK_MAX 200000

/* Names that no document can have: a place and a name that meet nothing. */
#define NOWHERE "/\001workspace"
#define NOBODY "\001phase"

struct held {
    unsigned bits;
    bool scratch, quiet;
    const struct orch_fs_rule *rule; /* NULL = the sandbox's own */
};

struct literal {
    char *path;
    struct held h;
};

/* One profile under one assignment. */
struct view {
    struct literal *v; /* sorted by path, unique */
    size_t n;
    struct literal *any; /* path is the name */
    size_t n_any;
    bool twice; /* two rules for one path: such a plan is refused */
};

struct assignment {
    const char *workspace, *phase;
};

static unsigned access_bits(enum orch_access a)
{
    static const unsigned bits[] = {0, READ, READ | EXEC, READ | WRITE, ALL};
    return (unsigned)a < ORCH_NELEM(bits) ? bits[a] : ALL;
}

/* --- views --- */

static char *replace(const char *s, const char *what, const char *with)
{
    struct orch_buf b = {0};
    for (const char *at = strstr(s, what); at != NULL; at = strstr(s, what)) {
        orch_buf_add(&b, s, (size_t)(at - s));
        orch_buf_str(&b, with);
        s = at + strlen(what);
    }
    orch_buf_str(&b, s);
    return orch_buf_take(&b);
}

/* The path of a literal rule, or the name of an anywhere-rule, under the assignment. */
static char *assigned(const struct orch_fs_rule *r, const struct assignment *a)
{
    const char *path = r->real != NULL ? r->real : r->path;
    ORCH_AUTO_FREE char *key = r->anywhere || r->real != NULL ? orch_xstrdup(path) : orch_prof_fs_key(r);
    ORCH_AUTO_FREE char *placed = replace(key, WORKSPACE, a->workspace);
    return replace(placed, PHASE, a->phase);
}

static void add(struct literal **v, size_t *n, char *path, struct held h)
{
    *v = orch_xreallocarray(*v, *n + 1, sizeof(**v));
    (*v)[(*n)++] = (struct literal){.path = path, .h = h};
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct literal *)a)->path, ((const struct literal *)b)->path);
}

/* Sorts; of two with one path the narrower stays. */
static void settle(struct view *view, struct literal *v, size_t *n)
{
    size_t kept = 0;
    if (*n > 0)
        qsort(v, *n, sizeof(*v), by_path);
    for (size_t i = 0; i < *n; i++) {
        if (kept == 0 || strcmp(v[kept - 1].path, v[i].path) != 0) {
            v[kept++] = v[i];
            continue;
        }
        view->twice = true;
        v[kept - 1].h.bits &= v[i].h.bits;
        v[kept - 1].h.scratch = v[kept - 1].h.scratch || v[i].h.scratch;
        v[kept - 1].h.quiet = v[kept - 1].h.quiet && v[i].h.quiet;
        free(v[i].path);
    }
    *n = kept;
}

static bool has_path(const struct view *view, const char *path)
{
    for (size_t i = 0; i < view->n; i++)
        if (strcmp(view->v[i].path, path) == 0)
            return true;
    return false;
}

/* What is there without a rule (plan_rules.c). */
static void add_own(struct view *view, const struct assignment *a)
{
    const struct {
        const char *path;
        unsigned bits;
    } own[] = {{"/home/agent", READ | WRITE}, {"/tmp", READ | WRITE}, {"/proc", READ},
               {"/dev", READ | WRITE},        {"/orch", READ},        {a->workspace, READ}};
    for (size_t i = 0; i < ORCH_NELEM(own); i++)
        if (!has_path(view, own[i].path))
            add(&view->v, &view->n, orch_xstrdup(own[i].path), (struct held){.bits = own[i].bits});
}

static void build(const struct orch_profile *p, const struct assignment *a, struct view *ret)
{
    for (size_t i = 0; i < p->n_fs; i++) {
        const struct orch_fs_rule *r = &p->fs[i];
        struct held h = {.bits = access_bits(r->access), .scratch = r->scratch, .quiet = r->quiet, .rule = r};
        if (r->anywhere)
            add(&ret->any, &ret->n_any, assigned(r, a), h);
        else
            add(&ret->v, &ret->n, assigned(r, a), h);
    }
    add_own(ret, a);
    settle(ret, ret->v, &ret->n);
    settle(ret, ret->any, &ret->n_any);
}

static void list_free(struct literal *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(v[i].path);
    free(v);
}

static void view_fini(struct view *view)
{
    list_free(view->v, view->n);
    list_free(view->any, view->n_any);
    *view = (struct view){0};
}

/* The entry whose path is the first n bytes of s. */
static const struct literal *find(const struct literal *v, size_t count, const char *s, size_t n)
{
    size_t lo = 0, hi = count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strncmp(v[mid].path, s, n);
        c = c == 0 && v[mid].path[n] != '\0' ? 1 : c;
        if (c == 0)
            return &v[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

static const struct literal *covering(const struct view *view, const char *path)
{
    for (size_t n = strlen(path); n > 0; n--) {
        if (path[n] != '\0' && path[n] != '/')
            continue;
        const struct literal *l = find(view->v, view->n, path, n);
        if (l != NULL)
            return l;
    }
    return find(view->v, view->n, "/", 1);
}

/* The last component beneath the workspace that an anywhere-rule names, and where it ends. */
static const struct literal *last_named(const struct view *view, const char *path, const char *workspace,
                                        size_t *ret_end)
{
    const struct literal *best = NULL;
    if (view->n_any == 0 || !orch_path_beneath(path, workspace))
        return NULL;
    for (const char *c = path + strlen(workspace); *c == '/';) {
        size_t n = strcspn(++c, "/");
        const struct literal *l = find(view->any, view->n_any, c, n);
        if (l != NULL) {
            best = l;
            *ret_end = (size_t)(c - path) + n;
        }
        c += n;
    }
    return best;
}

static struct held held_at(const struct view *view, const char *path, const char *workspace)
{
    const struct literal *l = covering(view, path);
    size_t end = 0;
    const struct literal *named = last_named(view, path, workspace, &end);
    struct held h = l != NULL ? l->h : (struct held){0};
    if (named != NULL && (l == NULL || end > strlen(l->path))) {
        h.bits = named->h.bits;
        h.quiet = named->h.quiet;
        h.rule = named->h.rule;
    }
    return h;
}

/* --- comparing two views --- */

struct compare {
    const struct within *c;
    const struct assignment *at;
    const struct view *outer, *inner;
    const struct orch_fs_rule **reported; /* each rule is named once */
    size_t *n_reported;
    /* The first path of the workspace where ... */
    bool hides, reads, changes, counts, hushes;
    struct held o_hides, i_reads, i_changes, o_counts, i_hushes;
};

static bool reported(struct compare *k, const struct orch_fs_rule *r)
{
    for (size_t i = 0; i < *k->n_reported; i++)
        if (k->reported[i] == r)
            return true;
    k->reported[(*k->n_reported)++] = r;
    return false;
}

static char *condition(const struct compare *k)
{
    struct orch_buf b = {0};
    if (strcmp(k->at->workspace, NOWHERE) != 0)
        orch_buf_printf(&b, " where the workspace is '%s'", k->at->workspace);
    if (strcmp(k->at->phase, NOBODY) != 0)
        orch_buf_printf(&b, " in a phase '%s'", k->at->phase);
    return orch_buf_take(&b);
}

static char *rule_text(const struct orch_fs_rule *r)
{
    if (r->real != NULL)
        return orch_xasprintf("'%s', a link to '%s'", r->path, r->real);
    return orch_xasprintf("'%s%s'", r->anywhere ? WORKSPACE "/**/" : "", r->path);
}

/* how: what is wider, in a few words. Without a rule of the inner profile the sandbox's own place is what
 * holds. */
static void report(struct compare *k, const struct orch_fs_rule *inner, const struct orch_fs_rule *outer,
                   const char *how)
{
    if (reported(k, inner))
        return;
    ORCH_AUTO_FREE char *when = condition(k), *theirs = outer != NULL ? rule_text(outer) : orch_xstrdup("");
    if (inner == NULL) {
        WIDER(k->c, orch_where_key(k->c->inner, "filesystem"), orch_where_fs(outer),
              "filesystem: no rule that refuses %s%s", theirs, when);
        return;
    }
    ORCH_AUTO_FREE char *ours = rule_text(inner);
    bool other = outer != NULL && strcmp(ours, theirs) != 0;
    WIDER(k->c, orch_where_fs(inner), orch_where_fs(outer), "filesystem: %s on %s%s%s%s%s",
          orch_access_name(inner->access), ours, how, other ? ", against " : "", other ? theirs : "", when);
}

static void note(bool cond, bool *have, struct held *slot, const struct held *h)
{
    if (cond && !*have) {
        *have = true;
        *slot = *h;
    }
}

static void compare_at(struct compare *k, const char *path)
{
    struct held i = held_at(k->inner, path, k->at->workspace), o = held_at(k->outer, path, k->at->workspace);
    bool counts = !o.quiet && o.bits != ALL;
    if ((i.bits & ~o.bits) != 0)
        report(k, i.rule, o.rule, "");
    else if (o.scratch && !i.scratch && (i.bits & WRITE) != 0)
        report(k, i.rule, o.rule, " is kept, scratch there");
    else if (i.quiet && counts)
        report(k, i.rule, o.rule, " is quiet");
    if (!orch_path_beneath(path, k->at->workspace))
        return;
    note(o.bits == 0, &k->hides, &k->o_hides, &o);
    note((i.bits & READ) != 0, &k->reads, &k->i_reads, &i);
    note((i.bits & (WRITE | EXEC)) != 0, &k->changes, &k->i_changes, &i);
    note(counts, &k->counts, &k->o_counts, &o);
    note(i.quiet, &k->hushes, &k->i_hushes, &i);
}

/* Also beneath a name of its own: /a/.git/x/.github is what .github says. */
static void note_names(struct compare *k)
{
    for (size_t i = 0; i < k->outer->n_any; i++)
        note(k->outer->any[i].h.bits == 0, &k->hides, &k->o_hides, &k->outer->any[i].h);
    for (size_t i = 0; i < k->inner->n_any; i++)
        note((k->inner->any[i].h.bits & READ) != 0, &k->reads, &k->i_reads, &k->inner->any[i].h);
}

static void compare_inner_name(struct compare *k, const struct literal *n)
{
    const struct literal *o = find(k->outer->any, k->outer->n_any, n->path, strlen(n->path));
    bool counts = o != NULL ? !o->h.quiet : k->counts;
    if (o != NULL && (n->h.bits & ~o->h.bits) != 0)
        report(k, n->h.rule, o->h.rule, "");
    else if (o == NULL && n->h.bits != 0 && k->hides)
        report(k, n->h.rule, k->o_hides.rule, " shows it where it is hidden");
    else if (n->h.quiet && counts)
        report(k, n->h.rule, o != NULL ? o->h.rule : k->o_counts.rule, " is quiet");
}

/* A name that only the outer profile protects. */
static void compare_outer_name(struct compare *k, const struct literal *n)
{
    if (find(k->inner->any, k->inner->n_any, n->path, strlen(n->path)) != NULL)
        return;
    if (n->h.bits == 0 && k->reads)
        report(k, k->i_reads.rule, n->h.rule, "");
    else if (n->h.bits != 0 && k->changes)
        report(k, k->i_changes.rule, n->h.rule, "");
    else if (!n->h.quiet && k->hushes)
        report(k, k->i_hushes.rule, n->h.rule, " is quiet");
}

static void compare_views(struct compare *k)
{
    for (size_t i = 0; i < k->inner->n; i++)
        compare_at(k, k->inner->v[i].path);
    for (size_t i = 0; i < k->outer->n; i++)
        compare_at(k, k->outer->v[i].path);
    note_names(k);
    for (size_t i = 0; i < k->inner->n_any; i++)
        compare_inner_name(k, &k->inner->any[i]);
    for (size_t i = 0; i < k->outer->n_any; i++)
        compare_outer_name(k, &k->outer->any[i]);
}

/* --- assignments --- */

static void add_new(struct orch_strv *sv, const char *s, size_t n)
{
    ORCH_AUTO_FREE char *copy = orch_xstrndup(s, n);
    if (!orch_strv_has(sv, copy))
        orch_strv_add(sv, copy);
}

/* Every directory that holds a path given without ${workspace}, or is one: the workspace could be there. */
static void add_workspaces(struct orch_strv *sv, const struct orch_profile *p)
{
    for (size_t i = 0; i < p->n_fs; i++) {
        const char *path = p->fs[i].real != NULL ? p->fs[i].real : p->fs[i].path;
        if (p->fs[i].anywhere || path[0] != '/')
            continue;
        for (size_t n = 1; n <= strlen(path); n++)
            if (n > 1 && (path[n] == '/' || path[n] == '\0'))
                add_new(sv, path, n);
    }
}

/* What ${phase} in `pattern` (one component) must be to make it the component c of n bytes. */
static void add_match(struct orch_strv *sv, const char *pattern, size_t len, const char *c, size_t n)
{
    const char *at = memmem(pattern, len, PHASE, strlen(PHASE));
    if (at == NULL)
        return;
    size_t before = (size_t)(at - pattern), after = len - before - strlen(PHASE);
    if (n <= before + after || memcmp(pattern, c, before) != 0 ||
        memcmp(pattern + len - after, c + n - after, after) != 0)
        return;
    if (memchr(c, '$', n) == NULL)
        add_new(sv, c + before, n - before - after);
}

static void match_components(struct orch_strv *sv, const char *pattern, const char *path)
{
    for (const char *p = pattern; *p != '\0'; p += strcspn(p, "/"), p += *p == '/')
        for (const char *c = path; *c != '\0'; c += strcspn(c, "/"), c += *c == '/')
            add_match(sv, p, strcspn(p, "/"), c, strcspn(c, "/"));
}

static void add_phases(struct orch_strv *sv, const struct orch_profile *p, const struct orch_profile *q)
{
    for (size_t i = 0; i < p->n_fs; i++)
        for (size_t j = 0; j < q->n_fs && strstr(p->fs[i].path, PHASE) != NULL; j++)
            match_components(sv, p->fs[i].path, q->fs[j].path);
}

static bool same_rules(const struct orch_profile *a, const struct orch_profile *b)
{
    bool same = a->n_fs == b->n_fs;
    for (size_t i = 0; same && i < a->n_fs; i++) {
        const struct orch_fs_rule *x = &a->fs[i], *y = &b->fs[i];
        same = x->anywhere == y->anywhere && x->access == y->access && x->scratch == y->scratch &&
               x->quiet == y->quiet && strcmp(x->path, y->path) == 0;
    }
    return same;
}

/* Two rules for one path are refused when the plan is made, so such a run never is. */
static void compare_assigned(const struct within *c, const struct assignment *at,
                             const struct orch_fs_rule **done, size_t *n_done)
{
    ORCH_AUTO(view_fini) struct view outer = {0};
    ORCH_AUTO(view_fini) struct view inner = {0};
    build(c->outer, at, &outer);
    build(c->inner, at, &inner);
    struct compare k = {
        .c = c, .at = at, .outer = &outer, .inner = &inner, .reported = done, .n_reported = n_done};
    if (!inner.twice)
        compare_views(&k);
}

static void compare_all(const struct within *c, const struct orch_strv *workspaces,
                        const struct orch_strv *phases)
{
    size_t n_done = 0;
    ORCH_AUTO_FREE const struct orch_fs_rule **done =
        orch_xcalloc(c->inner->n_fs + 2, sizeof(struct orch_fs_rule *));
    for (size_t i = 0; i < workspaces->n; i++)
        for (size_t j = 0; j < phases->n; j++)
            compare_assigned(c, &(struct assignment){workspaces->v[i], phases->v[j]}, done, &n_done);
}

void orch_within_filesystem(const struct within *c)
{
    struct orch_strv workspaces = {0}, phases = {0};
    size_t rules = c->outer->n_fs + c->inner->n_fs + 12, work;
    if (same_rules(c->outer, c->inner))
        return;
    orch_strv_add(&workspaces, NOWHERE);
    orch_strv_add(&phases, NOBODY);
    add_workspaces(&workspaces, c->outer);
    add_workspaces(&workspaces, c->inner);
    add_phases(&phases, c->outer, c->inner);
    add_phases(&phases, c->outer, c->outer);
    add_phases(&phases, c->inner, c->outer);
    add_phases(&phases, c->inner, c->inner);
    work = workspaces.n * phases.n * rules;
    if (work > WORK_MAX)
        WIDER(c, orch_where_key(c->inner, "filesystem"), orch_where_key(c->outer, "filesystem"),
              "filesystem: more paths than can be compared, which counts as");
    else
        compare_all(c, &workspaces, &phases);
    orch_strv_fini(&workspaces);
    orch_strv_fini(&phases);
}
