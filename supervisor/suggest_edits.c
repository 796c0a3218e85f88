/* suggest_edits.c - the edits that may help against a denial, smallest first. See suggest_int.h. */
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/escape.h"
#include "common/io.h"
#include "policy/helpers.h"
#include "supervisor/suggest_int.h"
#include "supervisor/told.h"

static char *quoted(const char *s)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};

    orch_buf_char(&b, '"');
    (void)orch_escape_json(&b, s, strlen(s));
    orch_buf_char(&b, '"');
    return orch_buf_take(&b);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* ---- filesystem ---- */

/* As an author would write it: by the variable that stands for its beginning. */
static char *as_written(const struct orch_plan *p, const char *path)
{
    const struct {
        const char *dir, *variable;
    } vars[] = {{p->workspace, "${workspace}"}, {p->home, "${home}"}, {p->tmp, "${tmp}"}};

    for (size_t i = 0; i < ORCH_NELEM(vars); i++)
        if (orch_path_beneath(path, vars[i].dir))
            return orch_xasprintf("%s%s", vars[i].variable, path + strlen(vars[i].dir));
    return orch_xstrdup(path);
}

/* The least access that has what is there already and what is wanted: a rule takes the place of a wider one.
 */
static const char *access_with(const struct orch_plan *p, const char *path, unsigned wanted)
{
    const struct orch_place *place = orch_plan_place(p, path);
    unsigned bits = ORCH_MAY_READ | wanted | (place ? orch_access_bits(place->access) : 0);

    for (int a = ORCH_ACCESS_RO; a <= ORCH_ACCESS_RWX; a++)
        if (orch_access_bits((enum orch_access)a) == bits)
            return orch_access_name((enum orch_access)a);
    return "rwx";
}

static char *rule_elem(const struct orch_plan *p, const char *path, unsigned wanted)
{
    ORCH_AUTO_FREE char *written = as_written(p, path), *q = quoted(written);

    return orch_xasprintf("{\"path\": %s, \"access\": \"%s\"}", q, access_with(p, path, wanted));
}

static unsigned bits_of(enum orch_request what)
{
    switch (what) {
    case ORCH_REQ_LOOK:
    case ORCH_REQ_READ:
        return ORCH_MAY_READ;
    case ORCH_REQ_EXEC:
        return ORCH_MAY_EXECUTE;
    case ORCH_REQ_WRITE:
    case ORCH_REQ_CREATE:
    case ORCH_REQ_DELETE:
    case ORCH_REQ_CONNECT:
        break;
    }
    return ORCH_MAY_WRITE;
}

static void add_elem(struct orch_edit *e, char *elem)
{
    if (orch_strv_has(&e->elems, elem))
        free(elem);
    else
        orch_strv_add_take(&e->elems, elem);
}

/*
 * Where a rule has to name the directory: what has a rule is a mount, which nobody removes or renames; and
 * outside the workspace a rule shows what is there, so a name that is not cannot have one.
 */
static bool needs_directory(const struct orch_trial *t, const struct orch_want *w)
{
    bool removes = false;

    for (size_t i = 0; i < t->refused->n_wants; i++)
        removes = removes || t->refused->want[i].what == ORCH_REQ_DELETE;
    return removes || (w->what == ORCH_REQ_CREATE && !orch_path_beneath(w->path, t->base->plan->workspace));
}

static char *place_of(const struct orch_trial *t, const struct orch_want *w, bool directory)
{
    bool names = w->what == ORCH_REQ_CREATE || w->what == ORCH_REQ_DELETE;

    return names && (directory || needs_directory(t, w)) ? orch_path_normalize(w->path, "..")
                                                         : orch_xstrdup(w->path);
}

/* A document has one rule for a path: one that is there already goes. */
static const char *own_rule(const struct orch_trial *t, const char *path)
{
    const struct orch_place *q = orch_plan_place(t->base->plan, path);

    return q && strcmp(q->path, path) == 0 && orch_is_own(t->base, q->rule) ? q->rule : NULL;
}

/* The kind of entry that `create` would have to let through as well. */
static const char *kind_to_add(const struct orch_trial *t, const struct orch_want *w)
{
    static const struct {
        char letter;
        unsigned bit;
        const char *name;
    } kinds[] = {{'f', ORCH_CREATE_FILE, "\"file\""},
                 {'d', ORCH_CREATE_DIRECTORY, "\"directory\""},
                 {'l', ORCH_CREATE_SYMLINK, "\"symlink\""}};

    for (size_t i = 0; i < ORCH_NELEM(kinds); i++)
        if (kinds[i].letter == w->kind && !(t->base->profile->create & kinds[i].bit) &&
            orch_path_beneath(w->path, t->base->plan->workspace))
            return kinds[i].name;
    return NULL;
}

static void add_rule(const struct orch_trial *t, const char *path, unsigned bits, struct orch_edit *e)
{
    add_elem(e, rule_elem(t->base->plan, path, bits));
    e->replaces = e->replaces ? e->replaces : own_rule(t, path);
}

static void add_rules(const struct orch_trial *t, bool directory, struct orch_edit *e)
{
    for (size_t i = 0; i < t->refused->n_wants; i++) {
        const struct orch_want *w = &t->refused->want[i];
        ORCH_AUTO_FREE char *path = place_of(t, w, directory);
        struct orch_decision dec;

        orch_plan_decide(t->base->plan, w->path, w->what, &dec);
        if (dec.verdict != ORCH_PERMIT)
            add_rule(t, path, bits_of(w->what), e);
        e->create = e->create ? e->create : kind_to_add(t, w);
    }
}

static bool try_rules(struct orch_trial *t, bool directory)
{
    struct orch_edit e = {.key = ORCH_EDIT_FILESYSTEM};
    bool found = false;

    add_rules(t, directory, &e);
    if (e.elems.n)
        found = orch_try_edit(t, &e);
    orch_strv_fini(&e.elems);
    return found;
}

/* What has a rule of its own is a mount, and its directory stays where it is. */
static bool is_pinned(struct orch_trial *t)
{
    for (size_t i = 0; i < t->refused->n_wants; i++) {
        const struct orch_want *w = &t->refused->want[i];
        const struct orch_place *q =
            w->what == ORCH_REQ_DELETE ? orch_plan_narrower_beneath(t->base->plan, w->path) : NULL;
        ORCH_AUTO_BUF struct orch_buf why = {0};

        if (!q)
            continue;
        orch_put(&why, "", q->path);
        orch_put(&why, " beneath it has a rule of its own, ", q->rule);
        orch_buf_str(&why, ", and with it stays where it is; only without that rule could it be moved");
        t->ret->why = orch_buf_take(&why);
        return true;
    }
    return false;
}

/* A name that is not UTF-8 has no line of its own. */
static bool suggest_paths(struct orch_trial *t, const struct row *row)
{
    if (is_pinned(t))
        return false;
    return (!row->f[F_PATH_B64] && try_rules(t, false)) || try_rules(t, true);
}

/* ---- create ---- */

/* Of what was moved or linked the kind is not on record: it is told if there is only one that it can be. */
static bool suggest_create(struct orch_trial *t)
{
    struct orch_want *w = &t->refused->want[0];
    unsigned missing =
        ~t->base->profile->create & (ORCH_CREATE_FILE | ORCH_CREATE_DIRECTORY | ORCH_CREATE_SYMLINK);
    const char *kind;

    if (!w->kind && (missing & (missing - 1)) != 0) {
        t->ret->why = orch_xstrdup("add the kind of what was moved to \"create\": it is not on record");
        return false;
    }
    if (!w->kind)
        w->kind = missing == ORCH_CREATE_FILE ? 'f' : missing == ORCH_CREATE_DIRECTORY ? 'd' : 'l';
    kind = kind_to_add(t, w);
    if (kind)
        return orch_try_one(t, ORCH_EDIT_CREATE, orch_xstrdup(kind));
    t->ret->why = orch_xstrdup("only files, directories and symlinks can be made in a workspace");
    return false;
}

/* ---- exec ---- */

/* Is the path one of a list of the helper table: "$PREFIX/lib/git-core /usr/lib/x*"? */
static bool in_dirs(const char *dirs, const char *path)
{
    ORCH_AUTO_FREE char *copy = orch_xstrdup(dirs ? dirs : "");
    char *save = NULL;

    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        const char *rest = strncmp(word, "$PREFIX", 7) == 0 ? word + 7 : NULL;
        ORCH_AUTO_FREE char *usr = orch_xasprintf("%s%s/*", rest ? "/usr" : "", rest ? rest : word);
        ORCH_AUTO_FREE char *local = orch_xasprintf("/usr/local%s/*", rest ? rest : "/");

        if (fnmatch(usr, path, 0) == 0 || (rest && fnmatch(local, path, 0) == 0))
            return true;
    }
    return false;
}

/* Tools that bring this program along, by the shipped table: "git" for what lies in git-core. */
static bool try_helpers(struct orch_trial *t, const char *path)
{
    for (size_t i = 0; i < orch_n_helpers; i++) {
        const struct orch_helper *h = &orch_helpers[i];
        ORCH_AUTO_FREE char *copy = orch_xstrdup(h->programs);
        char *save = NULL;

        if (!in_dirs(h->dirs, path) && !in_dirs(h->trees, path))
            continue;
        for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
            ORCH_AUTO_FREE char *name =
                orch_xstrndup(word + strspn(word, "*"), strcspn(word + strspn(word, "*"), "*"));

            if (*name && orch_try_one(t, ORCH_EDIT_TOOLS, quoted(name)))
                return true;
        }
    }
    return false;
}

/* What an agent makes runs where its directory is executable from the start. */
static bool exec_from_workspace(struct orch_trial *t, const char *path)
{
    const struct orch_plan *p = t->base->plan;
    ORCH_AUTO_FREE char *at = orch_xstrdup(path);
    struct orch_edit e = {.key = ORCH_EDIT_FILESYSTEM};
    struct stat st;
    bool found;

    while (lstat(at, &st) < 0 && strcmp(at, p->workspace) != 0) {
        char *up = orch_path_normalize(at, "..");

        free(at);
        at = up;
    }
    add_rule(t, at, ORCH_MAY_EXECUTE | ORCH_MAY_WRITE, &e);
    found = orch_try_edit(t, &e);
    orch_strv_fini(&e.elems);
    return found;
}

/* In the agent's own places programs run where the rule says so; elsewhere they are tools. */
static bool suggest_exec(struct orch_trial *t)
{
    const struct orch_plan *p = t->base->plan;
    const char *path = t->refused->want[0].path, *name = base_name(path);
    ORCH_AUTO_FREE char *q_name = quoted(name), *q_path = quoted(path);

    if (orch_path_beneath(path, p->workspace))
        return exec_from_workspace(t, path);
    if (orch_path_beneath(path, p->tmp))
        return orch_try_one(t, ORCH_EDIT_FILESYSTEM, rule_elem(p, p->tmp, ORCH_MAY_EXECUTE));
    if (orch_path_beneath(path, p->home))
        return orch_try_one(t, ORCH_EDIT_FILESYSTEM, rule_elem(p, p->home, ORCH_MAY_EXECUTE));
    return orch_try_one(t, ORCH_EDIT_TOOLS, orch_xstrdup(q_name)) || try_helpers(t, path) ||
           orch_try_one(t, ORCH_EDIT_TOOLS, orch_xasprintf("{\"name\": %s, \"path\": %s}", q_name, q_path));
}

/* ---- calls ---- */

static void put_set(struct orch_buf *out, const struct orch_arg_cond *c)
{
    for (size_t i = 0; i < c->n_set; i++)
        orch_buf_printf(out, "%s\"0x%" PRIx64 "\"", i ? ", " : "", c->set[i]);
}

/* A condition as a document has it. */
static void put_cond(struct orch_buf *out, const struct orch_arg_cond *c)
{
    static const char *const ops[] = {
        [ORCH_OP_EQ] = "eq", [ORCH_OP_NE] = "ne", [ORCH_OP_MASKED_EQ] = "masked_eq",
        [ORCH_OP_IN] = "in", [ORCH_OP_LT] = "lt", [ORCH_OP_LE] = "le",
        [ORCH_OP_GT] = "gt", [ORCH_OP_GE] = "ge",
    };
    bool masked = c->op == ORCH_OP_MASKED_EQ;
    bool whole = masked && (c->mask == UINT32_MAX || c->mask == UINT64_MAX);

    orch_buf_printf(out, "{\"index\": %u, \"op\": \"%s\", ", c->index, whole ? "eq" : ops[c->op]);
    if (masked && !whole)
        orch_buf_printf(out, "\"mask\": \"0x%" PRIx64 "\", ", c->mask);
    if (c->op == ORCH_OP_IN) {
        orch_buf_str(out, "\"value\": [");
        put_set(out, c);
        orch_buf_str(out, "]}");
    } else {
        orch_buf_printf(out, "\"value\": \"0x%" PRIx64 "\"}", c->value);
    }
}

/* A rule that allows the call where the conditions hold; n 0: always. */
static char *allow_rule(const char *name, const struct orch_arg_cond *v, size_t n)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};

    orch_buf_printf(&b, "{\"syscalls\": [\"%s\"], \"action\": \"allow\", ", name);
    for (size_t i = 0; i < n; i++) {
        orch_buf_str(&b, i ? ", " : "\"args\": [");
        put_cond(&b, &v[i]);
    }
    orch_buf_printf(&b, "%s\"reason\": \"...\"}", n ? "], " : "");
    return orch_buf_take(&b);
}

/* Against a rule: one that allows what it refuses, under the same conditions. */
static bool try_rule(struct orch_trial *t, const struct orch_syscall_rule *by)
{
    bool own = orch_is_own(t->base, by->origin);
    struct orch_edit e = {.key = ORCH_EDIT_RULES,
                          .replaces = own ? by->origin : NULL,
                          .shared = own && by->n_nrs > 1 ? t->refused->name : NULL};
    bool found;

    orch_strv_add_take(&e.elems, allow_rule(t->refused->name, by->args, by->n_args));
    found = orch_try_edit(t, &e);
    orch_strv_fini(&e.elems);
    return found;
}

/* For a call that is judged by its registers: where just this argument has just this value. */
static bool try_argument(struct orch_trial *t)
{
    const struct orch_refused *r = t->refused;

    for (unsigned i = 0; i < 6; i++) {
        const struct orch_arg_cond c = {.index = i, .op = ORCH_OP_EQ, .value = r->args[i]};

        if ((r->known & (1u << i)) && orch_try_one(t, ORCH_EDIT_RULES, allow_rule(r->name, &c, 1)))
            return true;
    }
    return false;
}

static bool suggest_call(struct orch_trial *t, const struct row *row)
{
    const struct orch_refused *r = t->refused;
    const struct orch_syscall_rule *by = orch_refused_rule(t->base->profile, row->f[F_RULE]);

    if (by)
        return try_rule(t, by);
    return orch_try_one(t, ORCH_EDIT_ALLOW, quoted(r->name)) ||
           (r->known && strcmp(r->name, "socket") == 0 &&
            orch_try_one(t, ORCH_EDIT_ALLOW, quoted("@network-client"))) ||
           orch_try_one(t, ORCH_EDIT_RULES, allow_rule(r->name, NULL, 0)) || try_argument(t);
}

/* ---- all of them ---- */

/* What the sandbox itself puts there, no profile opens. */
static const char *own_place(const char *rule)
{
    static const struct {
        const char *rule, *why;
    } own[] = {
        {"sandbox#/proc", "/proc is the sandbox's own"},
        {"sandbox#/dev", "/dev is the sandbox's own"},
        {"sandbox#/etc", "the sandbox writes this file itself"},
        {"sandbox#/orch", "it is what the supervisor gives every attempt"},
        {"sandbox#/nested", "tier nested has no such file of its own"},
        {"sandbox#/unreadable", "the path could not be read from the task's memory"},
        {"sandbox#/unresolvable", "the path could not be resolved"},
        {"sandbox#/calls", "the sandbox cannot judge this call"},
    };

    for (size_t i = 0; rule && i < ORCH_NELEM(own); i++)
        if (strcmp(rule, own[i].rule) == 0)
            return own[i].why;
    return NULL;
}

bool orch_suggest_edits(struct orch_trial *t, const struct row *row)
{
    const char *own = own_place(row->f[F_RULE]);

    if (own) {
        t->ret->why = orch_xasprintf("no profile can allow it: %s", own);
        return false;
    }
    switch (t->refused->kind) {
    case ORCH_WANTS_CALL:
        return suggest_call(t, row);
    case ORCH_WANTS_ADDRESS:
        return orch_try_one(t, ORCH_EDIT_NETWORK, orch_xstrdup("{\"mode\": \"loopback\"}"));
    case ORCH_WANTS_MORE:
        return false; /* suggest_limit.c knows its one edit */
    case ORCH_WANTS_PATHS:
        break;
    }
    if (orch_told_is_create(row->f[F_RULE]))
        return suggest_create(t);
    return t->refused->want[0].what == ORCH_REQ_EXEC ? suggest_exec(t) : suggest_paths(t, row);
}
