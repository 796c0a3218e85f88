/* suggest.c - the trial of a line: laid over the profile, compiled, asked again. See suggest.h. */
#include "supervisor/suggest_int.h"

#include <inttypes.h>
#include <string.h>

#include "common/escape.h"
#include "common/io.h"
#include "policy/within.h"

struct orch_suggester {
    struct orch_run *run;
    struct orch_audit_map bases_map; /* phase and gate */
    struct orch_base **bases;
    struct orch_audit_map known; /* what was asked already */
    struct orch_suggested **answers;
    size_t tried;
    struct last { /* what was tried last: a flood in one directory asks for one line again and again */
        const struct orch_base *base;
        char *doc, *why; /* why: it cannot be compiled */
        struct orch_profile *edited;
        struct orch_plan *plan;
    } last;
};

struct orch_suggester *orch_suggester_new(struct orch_run *run)
{
    struct orch_suggester *s = orch_xcalloc(1, sizeof(*s));

    s->run = run;
    return s;
}

static void suggested_free(struct orch_suggested *v)
{
    free(v->line);
    free(v->bounds);
    free(v->why);
    free(v);
}

static void base_free(struct orch_base *b)
{
    orch_plan_free(b->plan);
    orch_profile_free(b->parent);
    orch_json_free(b->own);
    free(b->file);
    free(b);
}

static void last_fini(struct last *l)
{
    orch_plan_free(l->plan);
    orch_profile_free(l->edited);
    free(l->doc);
    free(l->why);
    *l = (struct last){0};
}

void orch_suggester_free(struct orch_suggester *s)
{
    if (!s)
        return;
    last_fini(&s->last);
    for (size_t i = 0; i < s->bases_map.n; i++)
        base_free(s->bases[i]);
    for (size_t i = 0; i < s->known.n; i++)
        suggested_free(s->answers[i]);
    orch_audit_map_fini(&s->bases_map);
    orch_audit_map_fini(&s->known);
    free(s->bases);
    free(s->answers);
    free(s);
}

/* ---- the profile that it is about ---- */

static const cJSON *own_member(const struct orch_base *b, const char *key)
{
    return b->own ? cJSON_GetObjectItemCaseSensitive(orch_json_root(b->own), key) : NULL;
}

static size_t excess(const struct orch_profile *outer, const struct orch_profile *inner,
                     enum orch_bound bound)
{
    ORCH_AUTO(orch_diags_fini) struct orch_diags d = {0};

    if (outer)
        orch_profile_within(outer, inner, bound, &d);
    return d.n;
}

/* The document that is named last in the chain, and the effective profile of those before it. A built-in is
 * no author's to edit: there the line stands in a child, and the built-in is the parent. */
static void find_documents(struct orch_base *b)
{
    const struct orch_strv *all = &b->profile->sources;
    const char *last = all->n ? all->v[all->n - 1] : "\n";
    const char *text = strchr(last, '\n') + 1;
    ORCH_AUTO(orch_diags_fini) struct orch_diags d = {0};
    struct orch_strv above = {0};

    b->file = orch_xstrndup(last, (size_t)(text - 1 - last));
    if (!strchr(b->file, '/')) {
        b->parent = orch_profile_hold(b->profile);
        return;
    }
    (void)orch_json_parse(b->file, text, strlen(text), &b->own, &d);
    b->widens = own_member(b, "widen") != NULL;
    for (size_t i = 0; i + 1 < all->n; i++)
        orch_strv_add(&above, all->v[i]);
    if (above.n)
        (void)orch_profile_from_sources(&above, b->file, &b->parent, &d);
    orch_strv_fini(&above);
}

static void base_fill(struct orch_suggester *s, const char *phase, const char *gate, struct orch_base *b)
{
    ORCH_AUTO(orch_diags_fini) struct orch_diags d = {0};
    struct orch_err err = {0};

    if (orch_kept_find(s->run, phase, gate, &b->at, &err) < 0) {
        b->why = "the workflow has no such phase or gate";
        return;
    }
    b->profile = orch_kept_profile(s->run, &b->at);
    find_documents(b);
    if (orch_kept_compile(s->run, &b->at, 1, NULL, &b->plan, &d) < 0)
        b->why = "what the run kept cannot be compiled on this host now";
    b->over_parent = excess(b->parent, b->profile, ORCH_BOUND_PARENT);
    b->over_ceiling = excess(s->run->wf->ceiling, b->profile, ORCH_BOUND_CEILING);
}

const struct orch_base *orch_suggest_base(struct orch_suggester *s, const char *phase, const char *gate)
{
    ORCH_AUTO_BUF struct orch_buf key = {0};
    uint64_t hash;
    size_t at;

    orch_key_str(&key, phase);
    orch_key_str(&key, gate);
    hash = orch_audit_map_hash(&s->bases_map, key.data, key.len);
    at = orch_audit_map_find(&s->bases_map, key.data, key.len, hash);
    if (at != ORCH_MAP_NONE)
        return s->bases[at];
    at = orch_audit_map_add(&s->bases_map, key.data, key.len, hash);
    s->bases = orch_xreallocarray(s->bases, at + 1, sizeof(struct orch_base *));
    s->bases[at] = orch_xcalloc(1, sizeof(struct orch_base));
    base_fill(s, phase, gate, s->bases[at]);
    return s->bases[at];
}

/* ---- an edit as a document, and as a line ---- */

static const struct edit_key {
    const char *outer, *inner; /* the member; of an object within it */
    const char *open, *close;  /* around the value of the innermost member */
    const char *inherited;     /* first in a list that replaces the parent's */
    const char *alone;         /* first in one that replaces the default's; NULL = nothing */
} edit_keys[ORCH_EDIT_KEYS] = {
    [ORCH_EDIT_FILESYSTEM] = {"filesystem", NULL, "[", "]", NULL, NULL},
    [ORCH_EDIT_TOOLS] = {"tools", NULL, "[", "]", "\"@parent\"", NULL},
    [ORCH_EDIT_ALLOW] = {"syscalls", "allow", "[", "]", "\"@parent\"", "\"@agent-base\""},
    [ORCH_EDIT_RULES] = {"syscalls", "rules", "[", "]", NULL, NULL},
    [ORCH_EDIT_CREATE] = {"create", NULL, "[", "]", "\"@parent\"", NULL},
    [ORCH_EDIT_NETWORK] = {"network", NULL, "", "", NULL, NULL},
    [ORCH_EDIT_LIMITS] = {"limits", NULL, "{", "}", NULL, NULL},
    [ORCH_EDIT_TMP] = {"tmp", NULL, "{", "}", NULL, NULL},
};

static void put_elems(struct orch_buf *out, const struct orch_edit *e, const char *first)
{
    orch_buf_str(out, first ? first : "");
    for (size_t i = 0; i < e->elems.n; i++)
        orch_buf_printf(out, "%s%s", i || first ? ", " : "", e->elems.v[i]);
}

static void put_value(struct orch_buf *out, const struct orch_edit *e, const char *first)
{
    orch_buf_str(out, edit_keys[e->key].open);
    put_elems(out, e, first);
    orch_buf_str(out, edit_keys[e->key].close);
}

/* "KEY": VALUE, whole. */
static void put_member(struct orch_buf *out, const struct orch_edit *e, const char *first)
{
    const struct edit_key *k = &edit_keys[e->key];

    orch_buf_printf(out, "\"%s\": ", k->outer);
    if (k->inner)
        orch_buf_printf(out, "{\"%s\": ", k->inner);
    put_value(out, e, first);
    orch_buf_str(out, k->inner ? "}" : "");
}

/* The line that an author adds: an element where the document has the list, else the list. */
static void put_line(struct orch_buf *out, const struct orch_base *b, const struct orch_edit *e)
{
    const struct edit_key *k = &edit_keys[e->key];
    const cJSON *outer = own_member(b, k->outer);
    const cJSON *inner = k->inner && outer ? cJSON_GetObjectItemCaseSensitive(outer, k->inner) : outer;
    const char *first = b->parent ? k->inherited : k->alone;

    if (!outer) {
        put_member(out, e, first);
    } else if (e->key == ORCH_EDIT_NETWORK) {
        orch_buf_str(out, "in its place: ");
        put_member(out, e, NULL);
    } else if (!inner) {
        orch_buf_printf(out, "in \"%s\": \"%s\": ", k->outer, k->inner);
        put_value(out, e, first);
    } else {
        orch_buf_printf(out, "%sin \"%s\"", e->key == ORCH_EDIT_RULES && !e->replaces ? "first " : "",
                        k->outer);
        if (k->inner)
            orch_buf_printf(out, ", \"%s\"", k->inner);
        orch_put(out, e->shared ? ", taken out of " : ", in place of ", e->replaces);
        orch_buf_str(out, ": ");
        put_elems(out, e, NULL);
    }
}

static char *edit_line(const struct orch_base *b, const struct orch_edit *e)
{
    struct orch_edit create = {.key = ORCH_EDIT_CREATE};
    ORCH_AUTO_BUF struct orch_buf out = {0};

    put_line(&out, b, e);
    if (e->create) {
        orch_strv_add(&create.elems, e->create);
        orch_buf_str(&out, ", and ");
        put_line(&out, b, &create);
        orch_strv_fini(&create.elems);
    }
    return orch_buf_take(&out);
}

bool orch_is_own(const struct orch_base *b, const char *rule)
{
    size_t n = strlen(b->file);

    return b->own && rule && strncmp(rule, b->file, n) == 0 && rule[n] == '#';
}

/* A document that says nothing else. Its reason to widen is what keeps the reader from judging it: how it
 * stands to the parent is found apart. */
static char *edit_document(const struct orch_edit *e)
{
    ORCH_AUTO_BUF struct orch_buf doc = {0};

    orch_buf_str(&doc, "./suggested\n{\"schema\": 1, \"name\": \"suggested\", \"extends\": \"./it\", "
                       "\"widen\": \"a trial\", ");
    put_member(&doc, e, edit_keys[e->key].inherited);
    if (e->create)
        orch_buf_printf(&doc, ", \"create\": [\"@parent\", %s]", e->create);
    orch_buf_char(&doc, '}');
    return orch_buf_take(&doc);
}

static int lay_over(const struct orch_base *b, const char *doc, struct orch_profile **ret,
                    struct orch_diags *d)
{
    struct orch_strv sources = {0};
    int k;

    orch_strv_copy(&sources, &b->profile->sources);
    orch_strv_add(&sources, doc);
    k = orch_profile_from_sources(&sources, b->profile->name, ret, d);
    orch_strv_fini(&sources);
    return k;
}

/* ---- the trial ---- */

static void say_bound(struct orch_buf *out, const char *what, const struct orch_profile *p, bool wider,
                      const char *than, const char *then)
{
    const char *name = p->name ? p->name : p->file ? p->file : "?";

    orch_buf_printf(out, "%s%s the %s '", out->len ? "; " : "", wider ? than : "within", what);
    orch_escape_term(out, name, strlen(name));
    orch_buf_printf(out, "'%s%s", wider ? ": " : "", wider ? then : "");
}

static char *bounds_of(struct orch_suggester *s, const struct orch_base *b, const struct orch_profile *edited)
{
    const struct orch_profile *ceiling = s->run->wf->ceiling;
    ORCH_AUTO_BUF struct orch_buf out = {0};

    if (b->parent)
        say_bound(&out, "parent", b->parent, excess(b->parent, edited, ORCH_BOUND_PARENT) > b->over_parent,
                  "wider than", b->widens ? "its \"widen\" permits that" : "needs \"widen\"");
    if (ceiling)
        say_bound(&out, "workflow's ceiling", ceiling,
                  excess(ceiling, edited, ORCH_BOUND_CEILING) > b->over_ceiling, "beyond",
                  "no profile lifts that");
    return out.len ? orch_buf_take(&out) : NULL;
}

/* The first reason is that of the smallest line. */
static bool no(struct orch_trial *t, const struct orch_edit *e, const char *why)
{
    ORCH_AUTO_FREE char *line = e ? edit_line(t->base, e) : NULL;

    if (!t->ret->why)
        t->ret->why = line ? orch_xasprintf("%s would not do: %s", line, why) : orch_xstrdup(why);
    return false;
}

/* The edited profile and its plan, or why there is none. */
static const struct last *compile(struct orch_suggester *s, const struct orch_base *b,
                                  const struct orch_edit *e)
{
    ORCH_AUTO(orch_diags_fini) struct orch_diags d = {0};
    ORCH_AUTO_FREE char *doc = edit_document(e);
    struct last *l = &s->last;

    if (l->base == b && strcmp(l->doc, doc) == 0)
        return l;
    last_fini(l);
    s->tried++;
    l->base = b;
    l->doc = ORCH_TAKE_PTR(doc);
    if (lay_over(b, l->doc, &l->edited, &d) < 0 ||
        orch_kept_compile(s->run, &b->at, 1, l->edited, &l->plan, &d) < 0)
        l->why = orch_escape_str(d.n ? d.v[0].msg : "it cannot be compiled");
    return l;
}

bool orch_try_edit(struct orch_trial *t, const struct orch_edit *e)
{
    const struct last *l = compile(t->s, t->base, e);

    if (l->why)
        return no(t, e, l->why);
    if (!orch_refused_permits(t->refused, l->plan))
        return no(t, e, "it would be refused all the same");
    t->ret->line = edit_line(t->base, e);
    t->ret->bounds = bounds_of(t->s, t->base, l->edited);
    free(t->ret->why);
    t->ret->why = NULL;
    return true;
}

bool orch_try_one(struct orch_trial *t, enum orch_edit_key key, char *elem)
{
    struct orch_edit e = {.key = key};
    bool found;

    orch_strv_add_take(&e.elems, elem);
    found = orch_try_edit(t, &e);
    orch_strv_fini(&e.elems);
    return found;
}

/* ---- the question ---- */

static void answer(struct orch_suggester *s, const struct row *row, const struct orch_base *b, bool nested,
                   struct orch_suggested *ret)
{
    ORCH_AUTO(orch_refused_fini) struct orch_refused refused = {0};
    struct orch_trial t = {.s = s, .base = b, .refused = &refused, .ret = ret};
    const char *why = NULL;

    if (!orch_refused_read(row, &refused, &why) || b->why) {
        ret->why = b->why || why ? orch_xstrdup(why ? why : b->why) : NULL;
        return;
    }
    orch_refused_assume(&refused, orch_refused_rule(b->profile, row->f[F_RULE]));
    if (nested)
        why = "tier nested shows another view, in which lines are not tried";
    else if (s->tried >= ORCH_SUGGEST_MAX)
        why = "not tried: a report tries so many and no more; ask for less (--phase, --class)";
    else if (orch_refused_permits(&refused, b->plan))
        why = refused.kind == ORCH_WANTS_CALL
                  ? "its arguments decided (policy explain tells which)"
                  : "the profile allows it on this host now: something on the host has changed since";
    if (why) {
        ret->why = orch_xstrdup(why);
        return;
    }
    if (!orch_suggest_edits(&t, row) && !ret->why)
        ret->why = orch_xstrdup("no profile can allow it");
}

static void key_of(const struct row *row, const char *phase, const char *gate, bool nested,
                   struct orch_buf *key)
{
    static const enum field decides[] = {F_CLASS,     F_SYSCALL, F_ACCESS, F_PATH,   F_PATH_B64, F_PATH2,
                                         F_PATH2_B64, F_ACTION,  F_RULE,   F_DETAIL, F_ARGS};

    orch_buf_char(key, nested ? 'n' : 'f');
    orch_key_str(key, phase);
    orch_key_str(key, gate);
    for (size_t i = 0; i < ORCH_NELEM(decides); i++)
        orch_key_str(key, row->f[decides[i]]);
}

struct orch_suggested *orch_suggest_slot(struct orch_suggester *s, const struct orch_buf *key,
                                         bool *ret_known)
{
    uint64_t hash = orch_audit_map_hash(&s->known, key->data, key->len);
    size_t at = orch_audit_map_find(&s->known, key->data, key->len, hash);

    *ret_known = at != ORCH_MAP_NONE;
    if (*ret_known)
        return s->answers[at];
    at = orch_audit_map_add(&s->known, key->data, key->len, hash);
    s->answers = orch_xreallocarray(s->answers, s->known.cap, sizeof(struct orch_suggested *));
    s->answers[at] = orch_xcalloc(1, sizeof(struct orch_suggested));
    return s->answers[at];
}

const struct orch_workflow *orch_suggest_workflow(const struct orch_suggester *s)
{
    return s->run->wf;
}

const struct orch_suggested *orch_suggest(struct orch_suggester *s, const struct row *row, const char *phase,
                                          const char *gate, bool nested)
{
    ORCH_AUTO_BUF struct orch_buf key = {0};
    struct orch_suggested *ret;
    bool known;

    if (!s)
        return NULL;
    key_of(row, phase, gate, nested, &key);
    ret = orch_suggest_slot(s, &key, &known);
    if (!known)
        answer(s, row, orch_suggest_base(s, phase, gate), nested, ret);
    return ret;
}

const char *orch_suggest_builtin(struct orch_suggester *s, const char *phase, const char *gate)
{
    const struct orch_base *b = s ? orch_suggest_base(s, phase, gate) : NULL;

    return b && b->file && !b->own ? b->file : NULL;
}
