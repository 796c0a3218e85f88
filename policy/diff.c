/* diff.c - everything of a profile but its system calls (diff.h). */
#include "policy/diff.h"

#include <inttypes.h>
#include <string.h>

#include "policy/diff_int.h"
#include "policy/plan.h"
#include "policy/within.h"

#define WORKSPACE "${workspace}"

void diff_add(struct diffing *x, enum orch_side side, const char *section, char *text)
{
    struct orch_differences *r = x->ret;

    r->v = orch_xreallocarray(r->v, r->n + 1, sizeof(*r->v));
    r->v[r->n++] = (struct orch_difference){.side = side, .section = section, .text = text};
}

void orch_differences_fini(struct orch_differences *d)
{
    for (size_t i = 0; i < d->n; i++)
        free(d->v[i].text);
    free(d->v);
    *d = (struct orch_differences){0};
}

/* ---- paths ---- */

/* ${home} and ${tmp} are always the same places. */
static char *canonical(const char *path)
{
    static const char *const vars[][2] = {{"${home}", ORCH_HOME_PATH}, {"${tmp}", ORCH_TMP_PATH}};

    for (size_t i = 0; i < ORCH_NELEM(vars); i++)
        if (strncmp(path, vars[i][0], strlen(vars[i][0])) == 0)
            return orch_xasprintf("%s%s", vars[i][1], path + strlen(vars[i][0]));
    return orch_xstrdup(path);
}

/* Length of dir if path is it or beneath it, else 0. */
static size_t covers(const char *dir, const char *path)
{
    size_t n = strlen(dir);

    return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0') ? n : 0;
}

/* Length of path up to the last component of that name beneath the workspace, else 0. */
static size_t names_component(const char *path, const char *name)
{
    size_t best = 0, n = strlen(name);

    if (!covers(WORKSPACE, path))
        return 0;
    for (const char *c = path + strlen(WORKSPACE); *c == '/';) {
        size_t len = strcspn(++c, "/");

        if (len == n && memcmp(c, name, n) == 0)
            best = (size_t)(c - path) + len;
        c += len;
    }
    return best;
}

struct at {
    enum orch_access access;
    bool scratch;
};

/* What holds at the path: the longest rule, a literal one before an anywhere one, else the sandbox's own. */
static struct at access_at(const struct orch_profile *p, const char *path)
{
    struct at ret = {.access = ORCH_ACCESS_NONE};
    size_t best = 0, anywhere = 0;

    if ((best = covers(WORKSPACE, path)))
        ret.access = ORCH_ACCESS_RO;
    else if ((best = covers(ORCH_HOME_PATH, path)) || (best = covers(ORCH_TMP_PATH, path)))
        ret.access = ORCH_ACCESS_RW;
    for (size_t i = 0; i < p->n_fs; i++) {
        ORCH_AUTO_FREE char *rule = canonical(p->fs[i].path);
        size_t n = p->fs[i].anywhere ? 0 : covers(rule, path);

        if (n < best || n == 0)
            continue;
        best = n;
        ret = (struct at){.access = p->fs[i].access, .scratch = p->fs[i].scratch};
    }
    for (size_t i = 0; i < p->n_fs; i++) {
        size_t n = p->fs[i].anywhere ? names_component(path, p->fs[i].path) : 0;

        if (n <= best || n <= anywhere)
            continue;
        anywhere = n;
        ret = (struct at){.access = p->fs[i].access};
    }
    return ret;
}

static char *path_text(const char *path, unsigned more, struct at has, struct at other)
{
    return orch_xasprintf("%s: %s%s%s(%s, the other %s)", path, more & ORCH_MAY_READ ? "read " : "",
                          more & ORCH_MAY_WRITE ? "write " : "", more & ORCH_MAY_EXECUTE ? "execute " : "",
                          orch_access_name(has.access), orch_access_name(other.access));
}

static void compare_path(struct diffing *x, const char *path, const char *shown)
{
    struct at a = access_at(x->a, path), b = access_at(x->b, path);
    unsigned ab = orch_access_bits(a.access) & ~orch_access_bits(b.access),
             ba = orch_access_bits(b.access) & ~orch_access_bits(a.access);

    if (ab)
        diff_add(x, ORCH_ONLY_A, "filesystem", path_text(shown, ab, a, b));
    if (ba)
        diff_add(x, ORCH_ONLY_B, "filesystem", path_text(shown, ba, b, a));
    if (!ab && !ba && a.scratch != b.scratch)
        diff_add(x, ORCH_UNLIKE, "filesystem",
                 orch_xasprintf("%s: scratch in %s only", shown, a.scratch ? "A" : "B"));
}

/* A path that only the anywhere rule of that name covers. */
#define SOMEWHERE WORKSPACE "/\001/"

static void compare_paths_of(struct diffing *x, const struct orch_profile *p, struct orch_strv *seen)
{
    for (size_t i = 0; i < p->n_fs; i++) {
        const struct orch_fs_rule *f = &p->fs[i];
        ORCH_AUTO_FREE char *path =
            f->anywhere ? orch_xasprintf(SOMEWHERE "%s", f->path) : canonical(f->path);
        ORCH_AUTO_FREE char *shown =
            f->anywhere ? orch_xasprintf(WORKSPACE "/**/%s", f->path) : orch_xstrdup(path);

        if (orch_strv_has(seen, shown))
            continue;
        orch_strv_add(seen, shown);
        compare_path(x, path, shown);
    }
}

static void compare_filesystem(struct diffing *x)
{
    struct orch_strv seen = {0};

    compare_paths_of(x, x->a, &seen);
    compare_paths_of(x, x->b, &seen);
    orch_strv_fini(&seen);
}

/* ---- tools ---- */

static const struct orch_tool *find_tool(const struct orch_profile *p, const char *name)
{
    for (size_t i = 0; i < p->n_tools; i++)
        if (strcmp(p->tools[i].name, name) == 0)
            return &p->tools[i];
    return NULL;
}

static bool same_path(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static void compare_with(struct diffing *x, enum orch_side side, const struct orch_tool *t,
                         const struct orch_tool *o)
{
    for (size_t i = 0; i < t->with.n; i++)
        if (!orch_strv_has(&o->with, t->with.v[i]))
            diff_add(x, side, "tools", orch_xasprintf("%s with %s", t->name, t->with.v[i]));
}

/* The tools of p, as seen from the other profile. Differences of a tool that both have are told once, for A.
 */
static void compare_tools_of(struct diffing *x, enum orch_side side, const struct orch_profile *p,
                             const struct orch_profile *other)
{
    if (p->tools_all && !other->tools_all)
        diff_add(x, side, "tools", orch_xstrdup("*: every program in the view"));
    for (size_t i = 0; i < p->n_tools && !other->tools_all; i++) {
        const struct orch_tool *t = &p->tools[i], *o = find_tool(other, t->name);

        if (!o) {
            diff_add(x, side, "tools", orch_xstrdup(t->name));
            continue;
        }
        compare_with(x, side, t, o);
        if (side == ORCH_ONLY_A && !same_path(t->path, o->path))
            diff_add(x, ORCH_UNLIKE, "tools",
                     orch_xasprintf("%s: %s in A, %s in B", t->name, t->path ? t->path : "found on PATH",
                                    o->path ? o->path : "found on PATH"));
    }
}

/* ---- numbers ---- */

static const struct {
    const char *name;
    size_t off;
} numbers[] = {
    {"limits.memory (bytes)", offsetof(struct orch_profile, limits.memory)},
    {"limits.pids", offsetof(struct orch_profile, limits.pids)},
    {"limits.cpu (ms)", offsetof(struct orch_profile, limits.cpu_ms)},
    {"limits.wall (ms)", offsetof(struct orch_profile, limits.wall_ms)},
    {"limits.file_size (bytes)", offsetof(struct orch_profile, limits.file_size)},
    {"limits.open_files", offsetof(struct orch_profile, limits.open_files)},
    {"limits.workspace (bytes)", offsetof(struct orch_profile, limits.workspace)},
    {"limits.workspace_files", offsetof(struct orch_profile, limits.workspace_files)},
    {"limits.output (bytes)", offsetof(struct orch_profile, limits.output)},
    {"tmp.size (bytes)", offsetof(struct orch_profile, tmp_size)},
    {"tmp.files", offsetof(struct orch_profile, tmp_files)},
};

static char *number_text(uint64_t v)
{
    return v ? orch_xasprintf("%" PRIu64, v) : orch_xstrdup("no limit");
}

static void compare_numbers(struct diffing *x)
{
    for (size_t i = 0; i < ORCH_NELEM(numbers); i++) {
        uint64_t a = *(const uint64_t *)(const void *)((const char *)x->a + numbers[i].off);
        uint64_t b = *(const uint64_t *)(const void *)((const char *)x->b + numbers[i].off);
        ORCH_AUTO_FREE char *ta = number_text(a), *tb = number_text(b);

        if (a != b) /* 0 is no limit: the highest of all */
            diff_add(x, a - 1 > b - 1 ? ORCH_ONLY_A : ORCH_ONLY_B, "limits",
                     orch_xasprintf("%s: %s in A, %s in B", numbers[i].name, ta, tb));
    }
}

/* ---- the rest ---- */

/* wide: how much each of the two permits. */
static void compare_value(struct diffing *x, const char *section, int wide_a, int wide_b,
                          const char *const *names)
{
    if (wide_a != wide_b)
        diff_add(x, wide_a > wide_b ? ORCH_ONLY_A : ORCH_ONLY_B, section,
                 orch_xasprintf("%s in A, %s in B", names[wide_a], names[wide_b]));
}

/* The kinds that may really be made: none where nothing in the workspace is writable. */
static unsigned creates(const struct orch_profile *p)
{
    for (size_t i = 0; i < p->n_fs; i++)
        if (!p->fs[i].anywhere && !p->fs[i].scratch && covers(WORKSPACE, p->fs[i].path) &&
            (orch_access_bits(p->fs[i].access) & ORCH_MAY_WRITE))
            return p->create;
    return 0;
}

static void compare_create(struct diffing *x)
{
    static const char *const names[] = {"file", "directory", "symlink"};
    unsigned a = creates(x->a), b = creates(x->b);

    for (unsigned i = 0; i < ORCH_NELEM(names); i++)
        if ((a ^ b) & (1u << i))
            diff_add(x, a & (1u << i) ? ORCH_ONLY_A : ORCH_ONLY_B, "create", orch_xstrdup(names[i]));
}

static const char *set_value(const struct orch_profile *p, const char *name)
{
    for (size_t i = 0; i < p->n_env_set; i++)
        if (strcmp(p->env_set[i].name, name) == 0)
            return p->env_set[i].value;
    return NULL;
}

static void compare_env_of(struct diffing *x, enum orch_side side, const struct orch_profile *p,
                           const struct orch_profile *other)
{
    for (size_t i = 0; i < p->env_pass.n; i++)
        if (!orch_strv_has(&other->env_pass, p->env_pass.v[i]))
            diff_add(x, side, "env", orch_xasprintf("passes %s", p->env_pass.v[i]));
    for (size_t i = 0; i < p->n_env_set; i++) {
        const char *value = set_value(other, p->env_set[i].name);

        if (!value)
            diff_add(
                x, ORCH_UNLIKE, "env",
                orch_xasprintf("%s is set in %s only", p->env_set[i].name, side == ORCH_ONLY_A ? "A" : "B"));
        else if (side == ORCH_ONLY_A && strcmp(value, p->env_set[i].value) != 0)
            diff_add(
                x, ORCH_UNLIKE, "env",
                orch_xasprintf("%s: '%s' in A, '%s' in B", p->env_set[i].name, p->env_set[i].value, value));
    }
}

static void compare_single(struct diffing *x)
{
    static const char *const networks[] = {"none", "loopback"}, *const tiers[] = {"full", "nested"};
    static const char *const levels[] = {"paths", "opens", "writes"};
    static const char *const scopes[] = {"tree", "process"}, *const argvs[] = {"recorded", "not recorded"};

    compare_value(x, "network", (int)x->a->network, (int)x->b->network, networks);
    compare_value(x, "limits.scope", x->a->limits.scope_process, x->b->limits.scope_process, scopes);
    compare_value(x, "audit", ORCH_AUDIT_PATHS - (int)x->a->audit_level,
                  ORCH_AUDIT_PATHS - (int)x->b->audit_level, levels);
    compare_value(x, "audit.argv", x->a->audit_argv == ORCH_AUDIT_ARGV_OFF,
                  x->b->audit_argv == ORCH_AUDIT_ARGV_OFF, argvs);
    compare_value(x, "requires", x->a->requires == ORCH_TIER_NESTED, x->b->requires == ORCH_TIER_NESTED,
                  tiers);
}

/* ---- the last word ---- */

static bool has_side(const struct diffing *x, enum orch_side side)
{
    for (size_t i = 0; i < x->ret->n; i++)
        if (x->ret->v[i].side == side)
            return true;
    return false;
}

/* The decision of within.h is exact where the lists above are made of samples: nothing is "the same" that it
 * calls wider. */
static void ask_within(struct diffing *x, enum orch_side side, const struct orch_profile *outer,
                       const struct orch_profile *inner)
{
    struct orch_diags d = {0};

    if (!has_side(x, side))
        orch_profile_within(outer, inner, ORCH_BOUND_CEILING, &d);
    for (size_t i = 0; i < d.n; i++)
        diff_add(x, side, "also", orch_xstrdup(d.v[i].msg));
    orch_diags_fini(&d);
}

int orch_profile_diff(const struct orch_profile *a, const struct orch_profile *b,
                      struct orch_differences *ret, struct orch_diags *d)
{
    struct diffing x = {.a = a, .b = b, .ret = ret};
    int r;

    *ret = (struct orch_differences){0};
    compare_filesystem(&x);
    compare_create(&x);
    compare_tools_of(&x, ORCH_ONLY_A, a, b);
    compare_tools_of(&x, ORCH_ONLY_B, b, a);
    r = diff_calls(&x, d);
    compare_numbers(&x);
    compare_env_of(&x, ORCH_ONLY_A, a, b);
    compare_env_of(&x, ORCH_ONLY_B, b, a);
    compare_single(&x);
    ask_within(&x, ORCH_ONLY_A, b, a);
    ask_within(&x, ORCH_ONLY_B, a, b);
    return r;
}
