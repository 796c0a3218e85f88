/*
 * cmd_explain.c - the verb `explain`: one record of a run's audit log, decided once more, step by step, by
 * the code that decided it, from the documents as the run kept them.
 *
 * What the host looked like then is not on record: a path that came or went since, or a tool that changed,
 * can change the answer, so the recorded one stands beside it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/escape.h"
#include "common/exit.h"
#include "policy/syscalls.h"
#include "supervisor/audit_rows.h"
#include "supervisor/explain.h"
#include "supervisor/suggest.h"

struct record { /* what a denial says, copied */
    uint64_t want, seen;
    bool found;
    char *event, *phase, *gate, *class, *syscall, *path, *path2, *access, *errname, *rule, *exe, *detail,
        *action, *args, *comm;
    cJSON *parents;
    uint64_t regs[6]; /* as far as `args` tells them: */
    unsigned known;
    unsigned attempt;
    int64_t pid, tid;
    bool inexact; /* the path is not UTF-8: what is kept as text is not what was asked for */
    uint64_t count;
};

static void record_fini(struct record *r)
{
    char **const all[] = {&r->event, &r->phase,  &r->gate,   &r->class,   &r->syscall,
                          &r->path,  &r->path2,  &r->access, &r->errname, &r->rule,
                          &r->exe,   &r->detail, &r->action, &r->args,    &r->comm};

    cJSON_Delete(r->parents);
    for (size_t i = 0; i < ORCH_NELEM(all); i++)
        free(*all[i]);
}

static int find_record(void *ctx, const struct orch_json *doc)
{
    struct record *r = ctx;
    const cJSON *rec = orch_json_root(doc);
    const struct {
        char **to;
        const char *name;
    } members[] = {{&r->event, "event"},   {&r->phase, "phase"},     {&r->gate, "gate"},
                   {&r->class, "class"},   {&r->syscall, "syscall"}, {&r->path, "path"},
                   {&r->path2, "path2"},   {&r->access, "access"},   {&r->errname, "errno"},
                   {&r->rule, "rule"},     {&r->exe, "exe"},         {&r->detail, "detail"},
                   {&r->action, "action"}, {&r->comm, "comm"}};

    r->seen = orch_member_number(rec, "seq", 0);
    if (r->seen != r->want)
        return 0;
    r->found = true;
    for (size_t i = 0; i < ORCH_NELEM(members); i++) {
        const char *s = orch_member_text(rec, members[i].name);

        *members[i].to = s ? orch_xstrdup(s) : NULL;
    }
    r->args = orch_member_json(rec, "args");
    if (r->syscall)
        r->known = orch_args_read(orch_explain_number(r->syscall),
                                  cJSON_GetObjectItemCaseSensitive(rec, "args"), r->regs);
    r->parents = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(rec, "parents"), true);
    r->pid = (int64_t)orch_member_number(rec, "pid", 0);
    r->tid = (int64_t)orch_member_number(rec, "tid", 0);
    r->attempt = (unsigned)orch_member_number(rec, "attempt", 0);
    r->count = orch_member_number(rec, "count", 1);
    r->inexact = orch_member_text(rec, "path_b64") != NULL;
    return 0;
}

static int parse_seq(const char *text, uint64_t *ret, struct orch_err *err)
{
    ORCH_AUTO_FREE char *shown = orch_escape_str(text);
    char *end;

    errno = 0;
    *ret = strtoull(text, &end, 10);
    if (errno || *end || *text < '1' || *text > '9')
        return orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL,
                             "'%s' is not the number of a record (\"seq\" in audit --json RUN)", shown);
    return 0;
}

static int load_record(const struct orch_rundir *dir, const char *seq, struct record *ret,
                       struct orch_err *err)
{
    bool torn;
    int k = parse_seq(seq, &ret->want, err);

    if (k == 0)
        k = orch_chain_read(dir->fd, ORCH_AUDIT_NAME, find_record, ret, &torn, NULL, err);
    if (k < 0)
        return k;
    if (!ret->found)
        return orch_err_exit(err, ORCH_EXIT_USAGE, ENOENT,
                             "there is no record %" PRIu64 "; the last is %" PRIu64, ret->want, ret->seen);
    if (!orch_same(ret->event, "denial") || !ret->syscall)
        return orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL,
                             "record %" PRIu64
                             " is no refused call but '%s': explain replays denials of calls",
                             ret->want, ret->event ? ret->event : "nothing known");
    return 0;
}

/* ---- the plan under which it was decided ---- */

static int compile(struct orch_run *r, const struct record *rec, const struct orch_profile **ret_profile,
                   struct orch_plan **ret, struct orch_err *err)
{
    struct orch_diags d = {0};
    struct orch_kept_at at;
    int k = orch_kept_find(r, rec->phase, rec->gate, &at, err);

    if (k < 0)
        return k;
    *ret_profile = orch_kept_profile(r, &at);
    k = orch_kept_compile(r, &at, rec->attempt, NULL, ret, &d);
    orch_diags_print(&d, STDERR_FILENO);
    orch_diags_fini(&d);
    return k < 0 ? orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL,
                                 "what the run kept cannot be compiled on this host now")
                 : 0;
}

/* ---- the steps ---- */

/* The process that asked, and the programs that led to it. */
static void put_who(struct orch_buf *out, const struct record *r)
{
    if (r->pid == 0)
        return;
    orch_buf_printf(out, "\n  by: process %" PRId64, r->pid);
    if (r->tid)
        orch_buf_printf(out, ", thread %" PRId64, r->tid);
    orch_put(out, ", ", r->exe);
    orch_put(out, " (", r->comm);
    orch_buf_str(out, r->comm ? ")" : "");
    orch_put_words(out, ", started by ", r->parents, ", by ");
}

static void put_recorded(struct orch_buf *out, const struct record *r)
{
    orch_buf_printf(out, "record %" PRIu64 ": ", r->want);
    orch_put(out, "phase ", r->phase);
    orch_buf_printf(out, ", attempt %u", r->attempt);
    orch_put(out, ", gate ", r->gate);
    orch_put(out, ": ", r->syscall);
    orch_put(out, " ", r->access);
    orch_put(out, " ", r->path);
    orch_put(out, " and ", r->path2);
    orch_put(out, ", by ", r->exe);
    orch_put(out, " (", r->detail);
    orch_buf_str(out, r->detail ? ")" : "");
    put_who(out, r);
    orch_put_args_text(out, "\n  arguments: ", r->args, "");
    orch_put(out, "\n  answered: ", orch_same(r->action, "kill") ? "the process was killed" : r->errname);
    orch_put(out, ", rule ", r->rule);
    orch_buf_printf(out, ", %" PRIu64 " time%s in this record\n", r->count, r->count == 1 ? "" : "s");
}

/* Which act a call was: calls that make something tell what. */
static int act_of(const struct record *r)
{
    if (orch_same(r->access, "create") && strncmp(r->syscall, "mkdir", 5) == 0)
        return ORCH_ACT_DIRECTORY;
    if (orch_same(r->access, "create") && strncmp(r->syscall, "symlink", 7) == 0)
        return ORCH_ACT_SYMLINK;
    return r->access ? orch_find_act(r->access) : -1;
}

static void put_comparison(struct orch_buf *out, const struct record *r, const struct orch_explained *e)
{
    const char *name = e->errnum ? strerrorname_np(e->errnum) : NULL;

    if (orch_same(name, r->errname) && orch_same(e->rule, r->rule))
        orch_buf_str(out, "replayed: the same answer by the same rule\n");
    else if (orch_same(name, r->errname))
        orch_buf_str(out, "replayed: the same answer, but by another rule than on record\n");
    else
        orch_buf_str(
            out, "replayed: another answer than on record: something on the host has changed since, or the "
                 "call's own arguments (of which not all are on record) decided\n");
}

static int put_steps(struct orch_explaining *x, const struct record *r, struct orch_err *err)
{
    int nr = orch_explain_number(r->syscall), act = act_of(r), k = 0;
    struct orch_explained e = {0};

    orch_buf_str(&x->out, "step 1, the filter: ");
    if (nr < 0)
        orch_buf_str(&x->out, "this number has no name here\n");
    else
        k = orch_explain_say_recorded(x, nr, r->regs, r->known, &e, err);
    if (k < 0)
        return k;
    if (act < 0 || !r->path) {
        if (e.rule)
            put_comparison(&x->out, r, &e);
        return 0;
    }
    orch_buf_str(&x->out, "step 2, the path: ");
    if (r->inexact) {
        orch_buf_str(&x->out, "it is not UTF-8, so its text cannot be asked again\n");
        return 0;
    }
    k = orch_explain_say_act(x, (enum orch_act)act, r->path, &e, err);
    if (k == 0)
        put_comparison(&x->out, r, &e);
    orch_explained_fini(&e);
    return k;
}

/* What would allow it, by trial, as in `audit`. */
static void put_suggested(struct orch_run *run, const struct record *r, struct orch_buf *out)
{
    struct orch_suggester *s = orch_suggester_new(run);
    const struct row row = {.f = {[F_CLASS] = r->class,
                                  [F_SYSCALL] = r->syscall,
                                  [F_ACCESS] = r->access,
                                  [F_PATH] = r->path,
                                  [F_PATH_B64] = r->inexact ? "" : NULL,
                                  [F_PATH2] = r->path2,
                                  [F_ACTION] = r->action,
                                  [F_RULE] = r->rule,
                                  [F_DETAIL] = r->detail,
                                  [F_ARGS] = r->args}};
    const struct orch_suggested *v = orch_suggest(s, &row, r->phase, r->gate, false);

    if (v->line)
        orch_buf_printf(out, "to allow, %s\n", v->line);
    if (v->line && v->bounds)
        orch_buf_printf(out, "  %s\n", v->bounds);
    if (v->why)
        orch_buf_printf(out, "no line to allow it: %s\n", v->why);
    orch_suggester_free(s);
}

static int explain(struct orch_run *r, const struct record *rec, struct orch_buf *out, struct orch_err *err)
{
    const struct orch_profile *profile = NULL;
    struct orch_plan *plan = NULL;
    struct orch_explaining x = {.workspace = r->workspace, .proves = true};
    int k = compile(r, rec, &profile, &plan, err);

    if (k == 0) {
        put_recorded(&x.out, rec);
        x.profile = profile;
        x.plan = plan;
        k = put_steps(&x, rec, err);
    }
    if (k == 0)
        orch_buf_add(out, x.out.data, x.out.len);
    if (k == 0)
        put_suggested(r, rec, out);
    orch_buf_fini(&x.out);
    orch_plan_free(plan);
    return k;
}

int orch_cmd_explain(const struct orch_options *opt)
{
    ORCH_AUTO(record_fini) struct record rec = {0};
    ORCH_AUTO_BUF struct orch_buf out = {0};
    struct orch_err err = {0};
    struct orch_run r;
    int k;

    orch_run_init(&r, opt);
    k = orch_kept_open(&r, opt->args[0], &err);
    if (k == 0)
        k = load_record(&r.dir, opt->args[1], &rec, &err);
    if (k == 0)
        k = explain(&r, &rec, &out, &err);
    orch_run_fini(&r);
    return k < 0 ? orch_fail(&err, ORCH_EXIT_CORRUPT) : orch_policy_print(&out, ORCH_EXIT_OK);
}
