/* policy_rows.c - the effective profile, row by row. See policy_rows.h. */
#include "supervisor/policy_rows.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/escape.h"
#include "supervisor/policy.h"

/* ---- values ---- */

char *orch_size_text(uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t i = 0;

    while (i + 1 < ORCH_NELEM(units) && bytes && bytes % 1024 == 0) {
        bytes /= 1024;
        i++;
    }
    return orch_xasprintf("%" PRIu64 "%s", bytes, units[i]);
}

char *orch_time_text(uint64_t ms)
{
    if (ms && ms % 3600000 == 0)
        return orch_xasprintf("%" PRIu64 "h", ms / 3600000);
    if (ms && ms % 60000 == 0)
        return orch_xasprintf("%" PRIu64 "m", ms / 60000);
    if (ms && ms % 1000 == 0)
        return orch_xasprintf("%" PRIu64 "s", ms / 1000);
    return orch_xasprintf("%" PRIu64 "ms", ms);
}

static const char *errno_text(int errnum)
{
    const char *name = strerrorname_np(errnum);

    return name ? name : "?";
}

char *orch_entry_text(const struct orch_sc_entry *e)
{
    switch (e->kind) {
    case ORCH_SC_ALLOW:
        return orch_xstrdup(e->always ? "allowed" : "allowed, arguments judged");
    case ORCH_SC_WATCH:
        return orch_xstrdup("allowed, path or address judged");
    case ORCH_SC_REFUSE:
        return orch_xasprintf("refused %s", errno_text(e->errnum));
    case ORCH_SC_FALLBACK:
        return orch_xstrdup("fallback ENOSYS, counted");
    case ORCH_SC_FAKE:
        return orch_xstrdup("faked");
    case ORCH_SC_KILL:
        return orch_xstrdup("killed");
    }
    return orch_xstrdup("refused");
}

/* ---- adding ---- */

struct rowing {
    const struct orch_plan *plan;
    const struct orch_profile *p;
    struct orch_rows *rows;
    const char *section;
};

/* Takes key and value. */
static struct orch_row *add(struct rowing *r, char *key, char *value)
{
    struct orch_rows *rows = r->rows;

    rows->v = orch_xreallocarray(rows->v, rows->n + 1, sizeof(*rows->v));
    rows->v[rows->n] = (struct orch_row){.section = r->section, .key = key, .value = value};
    return &rows->v[rows->n++];
}

static void set_place(struct orch_row *row, const char *file, const char *pointer, unsigned line)
{
    row->from = strchr(file, '/') ? ORCH_FROM_DOCUMENT : ORCH_FROM_BUILTIN;
    row->file = orch_xstrdup(file);
    row->pointer = pointer ? orch_xstrdup(pointer) : NULL;
    row->line = line;
}

/* The place of the key, or of the key that holds it. */
static void add_key(struct rowing *r, const char *name, const char *place, char *value)
{
    struct orch_row *row = add(r, orch_xstrdup(name), value);
    const struct orch_key_place *k = orch_profile_place(r->p, place);

    if (k)
        set_place(row, k->file, k->pointer, k->line);
}

/* A rule's origin is "FILE#POINTER", or one of the sandbox's own parts. */
static void set_origin(struct rowing *r, struct orch_row *row, const char *origin, unsigned line)
{
    const struct orch_key_place *k = orch_profile_place(r->p, origin);
    const char *hash = strrchr(origin, '#');

    if (strncmp(origin, "sandbox#/", 9) == 0) {
        row->from = ORCH_FROM_SANDBOX;
        row->pointer = orch_xstrdup(origin);
    } else if (hash) {
        ORCH_AUTO_FREE char *file = orch_xstrndup(origin, (size_t)(hash - origin));

        set_place(row, file, hash + 1, k ? k->line : line);
    }
}

/* ---- sections ---- */

static const struct orch_fs_rule *rule_of(const struct orch_profile *p, const char *origin)
{
    for (size_t i = 0; i < p->n_fs; i++)
        if (strcmp(p->fs[i].origin, origin) == 0)
            return &p->fs[i];
    return NULL;
}

static char *access_text(enum orch_access access, bool scratch, bool quiet)
{
    return orch_xasprintf("%s%s%s", orch_access_name(access), scratch ? ", scratch" : "",
                          quiet ? ", quiet" : "");
}

static bool is_placed(const struct orch_plan *plan, const char *origin)
{
    for (size_t i = 0; i < plan->n_places; i++)
        if (strcmp(plan->places[i].rule, origin) == 0)
            return true;
    return false;
}

/* Sorted by path: a longer path comes later and wins. */
static void filesystem(struct rowing *r)
{
    r->section = "filesystem";
    for (size_t i = 0; i < r->plan->n_places; i++) {
        const struct orch_place *q = &r->plan->places[i];
        const struct orch_fs_rule *f = rule_of(r->p, q->rule);
        ORCH_AUTO_FREE char *access = access_text(q->access, q->kind == ORCH_PLACE_SCRATCH, q->quiet);
        const char *written = f && strcmp(f->path, q->path) != 0 ? f->path : NULL; /* variable, symlink */
        struct orch_row *row =
            add(r, orch_xstrdup(q->path),
                orch_xasprintf("%s%s%s", access, written ? ", written " : "", written ? written : ""));

        set_origin(r, row, q->rule, f ? f->line : 0);
    }
    for (size_t i = 0; i < r->p->n_fs; i++) {
        const struct orch_fs_rule *f = &r->p->fs[i];
        ORCH_AUTO_FREE char *access = access_text(f->access, f->scratch, f->quiet);
        struct orch_row *row;

        if (!f->anywhere && is_placed(r->plan, f->origin))
            continue;
        row = add(r, orch_xasprintf("%s%s", f->anywhere ? "${workspace}/**/" : "", f->path),
                  orch_xasprintf("%s%s", access, f->anywhere ? "" : ", not on this host"));
        set_origin(r, row, f->origin, f->line);
    }
}

static void create(struct rowing *r)
{
    unsigned c = r->p->create;

    r->section = "create";
    add_key(r, "create", "create",
            orch_xasprintf("%s%s%s", c & ORCH_CREATE_FILE ? "file " : "",
                           c & ORCH_CREATE_DIRECTORY ? "directory " : "",
                           c & ORCH_CREATE_SYMLINK ? "symlink" : ""));
    add_key(r, "tmp.size", "tmp.size", orch_size_text(r->p->tmp_size));
    add_key(r, "tmp.files", "tmp.files", orch_xasprintf("%" PRIu64, r->p->tmp_files));
}

/* Where the tool is on this host, by the reason of its entry in the closure. */
static char *tool_path(const struct orch_closure *c, const char *name)
{
    ORCH_AUTO_FREE char *why = orch_xasprintf("tool %s", name);

    for (size_t i = 0; i < c->n; i++)
        if (c->v[i].kind == ORCH_CLOSURE_PROGRAM && strcmp(c->v[i].why, why) == 0)
            return orch_xstrdup(c->v[i].path);
    if (orch_strv_has(&c->dropped, name))
        return orch_xstrdup("dropped: not on this host");
    return orch_xstrdup("shares the file of another tool");
}

static void tools(struct rowing *r)
{
    r->section = "tools";
    if (r->p->tools_all)
        add_key(r, "tools", "tools", orch_xstrdup("*: every program in the view"));
    for (size_t i = 0; i < r->p->n_tools; i++) {
        const struct orch_tool *t = &r->p->tools[i];
        struct orch_row *row = add(r, orch_xstrdup(t->name), tool_path(&r->plan->closure, t->name));

        if (t->origin)
            set_origin(r, row, t->origin, t->line);
    }
    add(r, orch_xstrdup("closure"), orch_xasprintf("%zu files and links", r->plan->closure.n))->from =
        ORCH_FROM_COMPUTED;
}

static size_t group_size(const char *name)
{
    return name[0] == '@' ? orch_syscall_group_allows(name, NULL) : 0;
}

static char *rule_text(const struct orch_syscall_rule *s)
{
    static const char *const actions[] = {[ORCH_RULE_ALLOW] = "allow",
                                          [ORCH_RULE_ERRNO] = "refuse ",
                                          [ORCH_RULE_KILL] = "kill",
                                          [ORCH_RULE_LOG] = "allow and record"};
    struct orch_buf b = {0};

    orch_buf_str(&b, (size_t)s->action < ORCH_NELEM(actions) ? actions[s->action] : "?");
    if (s->action == ORCH_RULE_ERRNO)
        orch_buf_str(&b, errno_text(s->errnum));
    for (size_t i = 0; i < s->n_nrs && i < 6; i++) {
        const char *name = orch_syscall_name(s->nrs[i]);

        orch_buf_printf(&b, " %s", name ? name : "?");
    }
    if (s->n_nrs > 6)
        orch_buf_printf(&b, " and %zu more", s->n_nrs - 6);
    for (size_t i = 0; i < s->n_args; i++) {
        orch_buf_str(&b, i ? " and " : " where ");
        orch_cond_text(&s->args[i], &b);
    }
    return orch_buf_take(&b);
}

/* How many numbers end in each kind. */
static void kinds(struct rowing *r)
{
    static const char *const names[] = {"allowed", "allowed, arguments judged", "allowed, path judged",
                                        "refused", "fallback, counted",         "faked",
                                        "killed"};
    size_t count[ORCH_NELEM(names)] = {0};

    for (int nr = 0; nr < ORCH_SC_MAX; nr++) {
        const struct orch_sc_entry *e = &r->plan->syscalls.e[nr];
        size_t k = e->kind == ORCH_SC_ALLOW && e->always ? 0 : (size_t)e->kind + 1;

        if (orch_syscall_name(nr) && k < ORCH_NELEM(count))
            count[k]++;
    }
    for (size_t i = 0; i < ORCH_NELEM(names); i++)
        add(r, orch_xasprintf("calls %s", names[i]), orch_xasprintf("%zu", count[i]))->from =
            ORCH_FROM_COMPUTED;
}

static void calls(struct rowing *r)
{
    r->section = "syscalls";
    add_key(r, "default", "syscalls.default", orch_xstrdup(errno_text(r->p->sc_default_errno)));
    for (size_t i = 0; i < r->p->sc_allow.n; i++) {
        const char *name = r->p->sc_allow.v[i];
        ORCH_AUTO_FREE char *place = orch_xasprintf("syscalls.allow/%s", name);
        ORCH_AUTO_FREE char *key = orch_xasprintf("allow %s", name);
        size_t n = group_size(name);

        if (!orch_profile_place(r->p, place)) {
            free(place);
            place = orch_xstrdup("syscalls.allow");
        }
        add_key(r, key, place, n ? orch_xasprintf("%zu calls", n) : orch_xstrdup("1 call"));
    }
    for (size_t i = 0; i < r->p->n_sc_rules; i++) {
        const struct orch_syscall_rule *s = &r->p->sc_rules[i];

        set_origin(r, add(r, orch_xasprintf("rule %zu", i), rule_text(s)), s->origin, 0);
    }
    kinds(r);
}

static void limits(struct rowing *r)
{
    static const struct {
        const char *name;
        size_t off;
        char kind; /* s size, t time, n number */
    } rows[] = {
        {"memory", offsetof(struct orch_limits, memory), 's'},
        {"pids", offsetof(struct orch_limits, pids), 'n'},
        {"cpu", offsetof(struct orch_limits, cpu_ms), 't'},
        {"wall", offsetof(struct orch_limits, wall_ms), 't'},
        {"file_size", offsetof(struct orch_limits, file_size), 's'},
        {"open_files", offsetof(struct orch_limits, open_files), 'n'},
        {"workspace", offsetof(struct orch_limits, workspace), 's'},
        {"workspace_files", offsetof(struct orch_limits, workspace_files), 'n'},
        {"output", offsetof(struct orch_limits, output), 's'},
    };

    r->section = "limits";
    for (size_t i = 0; i < ORCH_NELEM(rows); i++) {
        uint64_t v = *(const uint64_t *)(const void *)((const char *)&r->p->limits + rows[i].off);
        ORCH_AUTO_FREE char *place = orch_xasprintf("limits.%s", rows[i].name);

        add_key(r, rows[i].name, place,
                v == 0                ? orch_xstrdup("none")
                : rows[i].kind == 's' ? orch_size_text(v)
                : rows[i].kind == 't' ? orch_time_text(v)
                                      : orch_xasprintf("%" PRIu64, v));
    }
    add_key(r, "scope", "limits.scope", orch_xstrdup(r->p->limits.scope_process ? "process" : "tree"));
}

static void environment(struct rowing *r)
{
    r->section = "env";
    for (size_t i = 0; i < r->p->env_pass.n; i++) {
        ORCH_AUTO_FREE char *place = orch_xasprintf("env.pass/%s", r->p->env_pass.v[i]);

        if (!orch_profile_place(r->p, place)) {
            free(place);
            place = orch_xstrdup("env.pass");
        }
        add_key(r, r->p->env_pass.v[i], place, orch_xstrdup("passed"));
    }
    for (size_t i = 0; i < r->p->n_env_set; i++) {
        ORCH_AUTO_FREE char *place = orch_xasprintf("env.set/%s", r->p->env_set[i].name);

        add_key(r, r->p->env_set[i].name, place, orch_xasprintf("= %s", r->p->env_set[i].value));
    }
}

static void single_values(struct rowing *r)
{
    static const char *const levels[] = {"writes", "opens", "paths"};

    r->section = "network";
    add_key(r, "mode", "network.mode",
            orch_xstrdup(r->p->network == ORCH_NET_LOOPBACK ? "loopback" : "none"));
    r->section = "audit";
    add_key(r, "level", "audit.level", orch_xstrdup(levels[r->p->audit_level]));
    add_key(r, "argv", "audit.argv",
            orch_xstrdup(r->p->audit_argv == ORCH_AUDIT_ARGV_OFF ? "not recorded" : "recorded"));
    r->section = "requires";
    add_key(r, "tier", "requires", orch_xstrdup(r->p->requires == ORCH_TIER_FULL ? "full" : "nested"));
}

void orch_rows_of_plan(const struct orch_plan *plan, struct orch_rows *ret)
{
    struct rowing r = {.plan = plan, .p = plan->profile, .rows = ret};

    *ret = (struct orch_rows){0};
    filesystem(&r);
    create(&r);
    tools(&r);
    calls(&r);
    limits(&r);
    environment(&r);
    single_values(&r);
}

void orch_rows_fini(struct orch_rows *rows)
{
    for (size_t i = 0; i < rows->n; i++) {
        free(rows->v[i].key);
        free(rows->v[i].value);
        free(rows->v[i].file);
        free(rows->v[i].pointer);
    }
    free(rows->v);
    *rows = (struct orch_rows){0};
}

/* ---- printing ---- */

static void put(struct orch_buf *out, const char *s, size_t width)
{
    size_t before = out->len;

    orch_escape_term(out, s, strlen(s));
    while (out->len - before < width)
        orch_buf_char(out, ' ');
}

static void put_from(struct orch_buf *out, const struct orch_row *row)
{
    ORCH_AUTO_FREE char *at = row->file ? orch_policy_place(row->file, row->line) : NULL;

    put(out,
        at                                ? at
        : row->from == ORCH_FROM_SANDBOX  ? "sandbox"
        : row->from == ORCH_FROM_COMPUTED ? "computed"
                                          : "default",
        0);
}

void orch_rows_text(const struct orch_rows *rows, struct orch_buf *out)
{
    const char *section = "";

    for (size_t i = 0; i < rows->n; i++) {
        const struct orch_row *row = &rows->v[i];

        if (strcmp(section, row->section) != 0)
            orch_buf_printf(out, "\n%s\n", row->section);
        section = row->section;
        orch_buf_str(out, "  ");
        put(out, row->key, 32);
        orch_buf_char(out, ' ');
        put(out, row->value, 36);
        orch_buf_str(out, "  # ");
        put_from(out, row);
        orch_buf_char(out, '\n');
    }
}

void orch_rows_json(const struct orch_rows *rows, struct orch_jw *w, const char *key)
{
    static const char *const kinds_of[] = {"default", "document", "built-in", "computed", "sandbox"};

    orch_jw_arr(w, key);
    for (size_t i = 0; i < rows->n; i++) {
        const struct orch_row *row = &rows->v[i];

        orch_jw_obj(w, NULL);
        orch_jw_str(w, "section", row->section);
        orch_jw_bytes(w, "key", row->key, strlen(row->key));
        orch_jw_bytes(w, "value", row->value, strlen(row->value));
        orch_jw_obj(w, "from");
        orch_jw_str(w, "kind", kinds_of[row->from]);
        if (row->file)
            orch_jw_bytes(w, "file", row->file, strlen(row->file));
        if (row->pointer)
            orch_jw_bytes(w, "pointer", row->pointer, strlen(row->pointer));
        if (row->line)
            orch_jw_uint(w, "line", row->line);
        orch_jw_end(w, '}');
        orch_jw_end(w, '}');
    }
    orch_jw_end(w, ']');
}
