/* explain_say.c - one act or one call in words. See explain.h. */
#include "supervisor/explain.h"

#include <errno.h>
#include <string.h>

#include "common/escape.h"
#include "common/exit.h"

/* ---- words ---- */

static const char *errno_name(int errnum)
{
    const char *name = strerrorname_np(errnum);

    return name ? name : "an errno without a name";
}

static void put(struct orch_buf *out, const char *s)
{
    orch_escape_term(out, s, strlen(s));
}

static void put_verdict(struct orch_buf *out, const struct orch_explained *e)
{
    orch_buf_str(out, orch_says_name(e->says));
    if (e->errnum)
        orch_buf_printf(out, ", %s", errno_name(e->errnum));
}

/* What the parts that no document has are. */
static const struct {
    const char *prefix, *what;
} known_rules[] = {
    {"sandbox#/not-in-view", "nothing shows this path: no rule, no tool"},
    {"sandbox#/tools", "the closure of the profile's tools"},
    {"sandbox#/view", "only directories on the way to something visible, or a mount of the sandbox"},
    {"sandbox#/home", "the sandbox's own home directory"},
    {"sandbox#/tmp", "the sandbox's own /tmp"},
    {"sandbox#/proc", "the sandbox's own /proc"},
    {"sandbox#/dev", "the sandbox's own /dev"},
    {"sandbox#/orch", "what the supervisor gives every attempt"},
    {"sandbox#/etc", "files of /etc that the sandbox writes itself"},
    {"sandbox#/workspace", "the workspace is shown read-only if no rule names it"},
    {"builtin#/syscalls/start", "starting the agent needs it"},
    {"builtin#/syscalls/fallback", "programs do without it; what it asks for could not be judged"},
    {"builtin#/syscalls/io_uring",
     "files and sockets without any further system call: nothing could be judged"},
    {"builtin#/syscalls/watch", "the profile allows the call, and its path or address is judged each time"},
    {"builtin#/syscalls/", "the profile allows the call, and its arguments are judged"},
};

/* Keys that decide as a whole, whichever document gives them. */
static const struct {
    const char *pointer, *key, *what;
} known_keys[] = {
    {ORCH_POINTER_CREATE, "create", "the kinds of entries that may be made in the workspace"},
    {ORCH_POINTER_NETWORK, "network.mode", "the network mode of the profile"},
    {ORCH_POINTER_TOOLS, "tools", "only programs of the profile's tools run"},
    {ORCH_POINTER_SYSCALLS, "syscalls.allow", NULL},
};

static const char *known_rule(const char *rule)
{
    for (size_t i = 0; i < ORCH_NELEM(known_keys); i++)
        if (orch_rule_points_to(rule, known_keys[i].pointer))
            return known_keys[i].what;
    for (size_t i = 0; i < ORCH_NELEM(known_rules); i++)
        if (strncmp(rule, known_rules[i].prefix, strlen(known_rules[i].prefix)) == 0)
            return known_rules[i].what;
    return NULL;
}

/* The key of the effective profile that decides where the rule is no place in a document. */
static const char *key_of(const char *rule)
{
    for (size_t i = 0; i < ORCH_NELEM(known_keys); i++)
        if (orch_rule_points_to(rule, known_keys[i].pointer))
            return known_keys[i].key;
    return rule;
}

static const struct orch_fs_rule *fs_rule(const struct orch_profile *p, const char *origin)
{
    for (size_t i = 0; i < p->n_fs; i++)
        if (strcmp(p->fs[i].origin, origin) == 0)
            return &p->fs[i];
    return NULL;
}

static void put_rule_place(struct orch_explaining *x, const struct orch_explained *e)
{
    const struct orch_key_place *k = orch_profile_place(x->profile, key_of(e->rule));

    orch_buf_str(&x->out, "  rule: ");
    put(&x->out, e->rule);
    if (k) {
        ORCH_AUTO_FREE char *at = orch_policy_place(k->file, k->line);

        orch_buf_str(&x->out, ", ");
        put(&x->out, at);
    }
    orch_buf_char(&x->out, '\n');
}

static void put_rule(struct orch_explaining *x, const struct orch_explained *e)
{
    const struct orch_fs_rule *r = fs_rule(x->profile, e->rule);
    const char *known = known_rule(e->rule);

    put_rule_place(x, e);
    if (r) {
        orch_buf_str(&x->out, "        ");
        put(&x->out, r->anywhere ? "${workspace}/**/" : "");
        put(&x->out, r->path);
        orch_buf_printf(&x->out, ": %s%s\n", orch_access_name(r->access), r->quiet ? ", quiet" : "");
    }
    if (known)
        orch_buf_printf(&x->out, "  why:  %s\n", known);
}

static void put_advice(struct orch_explaining *x, char *advice)
{
    if (advice && !x->proves) {
        orch_buf_str(&x->out, "  to allow: ");
        put(&x->out, advice);
        orch_buf_char(&x->out, '\n');
    }
    free(advice);
}

/* ---- an act ---- */

int orch_find_act(const char *name)
{
    for (int i = 0; orch_act_names[i]; i++)
        if (strcmp(orch_act_names[i], name) == 0)
            return i;
    return -1;
}

static void put_why_path(struct orch_explaining *x, enum orch_act act, const struct orch_explained *e)
{
    switch (e->says) {
    case ORCH_SAYS_PERMITTED:
        if (!e->there)
            orch_buf_str(&x->out, "  note: nothing is there now\n");
        return;
    case ORCH_SAYS_HIDDEN:
        orch_buf_str(&x->out,
                     "  why:  a rule hides it, so it is as if it were not there; trying is a denial\n");
        return;
    case ORCH_SAYS_ABSENT:
        if (strcmp(e->rule, ORCH_RULE_ABSENT) != 0) {
            orch_buf_str(&x->out, "  why:  this place is the sandbox's own and has nothing there\n");
            return;
        }
        orch_buf_printf(&x->out, "  why:  %s\n",
                        e->there ? "it is on the host and trying is a denial"
                                 : "it is not on the host either, so trying is ordinary and no denial");
        return;
    case ORCH_SAYS_REFUSED:
        if (e->nr < 0 && e->path)
            orch_buf_printf(&x->out, "  why:  %s, %s\n", e->there ? "it is visible" : "nothing is there",
                            act == ORCH_ACT_EXEC ? "and it belongs to no tool of the profile"
                                                 : "and this is not permitted there");
        return;
    default:
        return;
    }
}

int orch_explain_say_act(struct orch_explaining *x, enum orch_act act, const char *target,
                         struct orch_explained *ret, struct orch_err *err)
{
    ORCH_AUTO_FREE char *home = orch_policy_home();
    ORCH_AUTO_FREE char *path = orch_act_expand(target, x->workspace, home);
    struct orch_assertion a = {.act = act, .target = path, .nr = -1};
    struct orch_explained e = {0};

    if (!*path)
        return orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL, "the path is empty");
    orch_assertion_model(x->plan, &a, path, &e);
    orch_buf_printf(&x->out, "%s ", orch_act_names[act]);
    put(&x->out, path);
    orch_buf_str(&x->out, ": ");
    put_verdict(&x->out, &e);
    orch_buf_char(&x->out, '\n');
    if (e.path && strcmp(e.path, path) != 0) {
        orch_buf_str(&x->out, "  path: ");
        put(&x->out, e.path);
        orch_buf_char(&x->out, '\n');
    }
    if (e.nr >= 0 && e.says != ORCH_SAYS_PERMITTED)
        orch_buf_printf(&x->out, "  call: %s\n", orch_syscall_name(e.nr) ? orch_syscall_name(e.nr) : "?");
    put_rule(x, &e);
    put_why_path(x, act, &e);
    put_advice(x, orch_explain_advice(x->plan, act, &e));
    if (ret)
        *ret = e;
    else
        orch_explained_fini(&e);
    return 0;
}

/* ---- a call ---- */

static void put_call(struct orch_explaining *x, const struct orch_explained *e)
{
    orch_buf_str(&x->out, ": ");
    put_verdict(&x->out, e);
    if (e->by_filter)
        orch_buf_str(&x->out, ", by the filter itself");
    else if (e->says == ORCH_SAYS_PERMITTED)
        orch_buf_str(&x->out,
                     e->watched ? ", after its path or address was judged" : ", after it was judged");
    if (e->log) {
        orch_buf_str(&x->out, ", recorded by ");
        put(&x->out, e->log);
    }
    orch_buf_char(&x->out, '\n');
}

#define IS_LEN (sizeof("argument 0 is ") - 1)

/* Two values of one argument with one answer are told together. */
static bool together(const struct orch_alternative *a, const struct orch_alternative *b)
{
    return a->text && b->text && strncmp(a->text, b->text, IS_LEN) == 0 && !strstr(a->text, " and ") &&
           !strstr(b->text, " and ") && orch_explained_same(&a->answer, &b->answer) &&
           a->answer.by_filter == b->answer.by_filter && strcmp(a->answer.rule, b->answer.rule) == 0;
}

static bool said_before(const struct orch_alternatives *alt, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (together(&alt->v[k], &alt->v[i]))
            return true;
    return false;
}

static void put_alternative(struct orch_explaining *x, const struct orch_alternatives *alt, size_t i)
{
    const struct orch_alternative *a = &alt->v[i];

    orch_buf_printf(&x->out, "  %s", a->text ? a->text : "otherwise");
    for (size_t k = i + 1; k < alt->n; k++)
        if (together(a, &alt->v[k]))
            orch_buf_printf(&x->out, ", %s", alt->v[k].text + IS_LEN);
    put_call(x, &a->answer);
    orch_buf_str(&x->out, "  ");
    put_rule_place(x, &a->answer);
}

static void put_alternatives(struct orch_explaining *x, const struct orch_alternatives *alt)
{
    const char *sep = "";

    orch_buf_str(&x->out, ": depends on argument ");
    for (unsigned i = 0; i < 6; i++) {
        if (!(alt->depends & (1u << i)))
            continue;
        orch_buf_printf(&x->out, "%s%u", sep, i);
        sep = " and ";
    }
    orch_buf_char(&x->out, '\n');
    for (size_t i = 0; i < alt->n; i++)
        if (!said_before(alt, i))
            put_alternative(x, alt, i);
}

static int read_args(struct orch_buf *out, char **argv, unsigned n, uint64_t args[6], struct orch_err *err)
{
    for (unsigned i = 0; i < n; i++) {
        ORCH_AUTO_FREE char *shown = orch_escape_str(argv[i]);
        const char *near = orch_explain_near(argv[i]);

        if (orch_explain_value(argv[i], &args[i]) < 0)
            return orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL,
                                 "'%s' is neither a number nor a known constant%s%s%s", shown,
                                 near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
        orch_buf_printf(out, "%s%s", i ? ", " : "", shown);
    }
    return 0;
}

int orch_explain_say_call(struct orch_explaining *x, int nr, char **argv, unsigned n,
                          struct orch_explained *ret, struct orch_err *err)
{
    ORCH_AUTO(orch_alternatives_fini) struct orch_alternatives alt = {0};
    const char *name = orch_syscall_name(nr);
    uint64_t args[6] = {0};
    int r;

    orch_buf_printf(&x->out, "%s [%d](", name ? name : "a call without a name", nr);
    r = read_args(&x->out, argv, n, args, err);
    if (r < 0)
        return r;
    orch_buf_str(&x->out, n < 6 && n ? ", ...)" : n ? ")" : "...)");
    orch_explain_alternatives(x->plan, nr, args, n, &alt);
    if (alt.depends) {
        put_alternatives(x, &alt);
        return 0;
    }
    if (ret)
        *ret = (struct orch_explained){.errnum = alt.v[alt.n - 1].answer.errnum,
                                       .rule = alt.v[alt.n - 1].answer.rule}; /* the plan's, or static */
    put_call(x, &alt.v[alt.n - 1].answer);
    put_rule(x, &alt.v[alt.n - 1].answer);
    put_advice(x, orch_explain_advice_call(&alt.v[alt.n - 1].answer));
    return 0;
}

int orch_explain_say_recorded(struct orch_explaining *x, int nr, const uint64_t args[6], unsigned known,
                              struct orch_explained *ret, struct orch_err *err)
{
    static const uint64_t any[6];
    ORCH_AUTO(orch_alternatives_fini) struct orch_alternatives alt = {0};
    const char *name = orch_syscall_name(nr);
    struct orch_explained e = {0};

    orch_explain_alternatives(x->plan, nr, any, 0, &alt);
    if (!alt.depends || (alt.depends & ~known))
        return orch_explain_say_call(x, nr, NULL, 0, ret, err);
    orch_explain_call(x->plan, nr, args, &e);
    orch_buf_printf(&x->out, "%s [%d](as recorded)", name ? name : "a call without a name", nr);
    put_call(x, &e);
    put_rule(x, &e);
    put_advice(x, orch_explain_advice_call(&e));
    *ret = (struct orch_explained){.errnum = e.errnum, .rule = e.rule}; /* the plan's, or static */
    orch_explained_fini(&e);
    return 0;
}
