/* exec_end.c - what `exec` does after the command's tree is dead: changes, apply, status. See exec.h. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/escape.h"
#include "common/exit.h"
#include "common/io.h"
#include "supervisor/exec.h"
#include "supervisor/preflight.h"
#include "supervisor/run.h"

#define SHOWN_MAX 10
#define SHOWN_BYTES 200 /* of a name in the closing line */

static bool succeeded(const struct orch_exec *e)
{
    return e->outcome.end == ORCH_END_EXIT && e->outcome.status == 0;
}

/* An error that lists the first few of sv; 0 when it is empty. */
static int refuse(const struct orch_strv *sv, const char *why, struct orch_err *err)
{
    ORCH_AUTO_BUF struct orch_buf list = {0};

    if (sv->n == 0)
        return 0;
    for (size_t i = 0; i < sv->n && i < SHOWN_MAX; i++)
        orch_buf_printf(&list, "%s%s", i ? "; " : "", sv->v[i]);
    return orch_err_exit(err, ORCH_EXIT_EXEC_FAILED, EPERM, "%s, nothing was applied: %s%s", why, list.data,
                         sv->n > SHOWN_MAX ? "; ..." : "");
}

static int check_seal(const struct orch_exec *e, const struct orch_view *full, struct orch_err *err)
{
    struct orch_strv problems = {0};
    int r = orch_seal_check(full, e->plan, &problems, err);

    if (r == 0)
        r = refuse(&problems, "the seal check failed", err);
    orch_strv_fini(&problems);
    return r;
}

static int check_unsafe(const struct orch_view *full, const struct orch_changes *c, struct orch_err *err)
{
    const struct orch_strv none = {0};
    struct orch_strv unsafe = {0};
    int r;

    r = orch_apply_unsafe(full, c, &none, &unsafe);
    r = r < 0 ? orch_err_sys(err, -r, "the changes cannot be judged") : refuse(&unsafe, "unsafe", err);
    orch_strv_fini(&unsafe);
    return r;
}

static int check_conflict(const struct orch_exec *e, struct orch_err *err)
{
    const struct orch_strv none = {0};
    struct orch_strv paths = {0};
    size_t n = 0;
    int r = orch_fingerprint_diff(&e->fingerprint, e->workspace, &none, SHOWN_MAX, &paths, &n, err);

    if (r == 0) {
        struct orch_strv shown = {0};

        for (size_t i = 0; i < paths.n; i++)
            orch_strv_add_take(&shown, orch_escape_str(paths.v[i]));
        r = refuse(&shown, "the workspace changed meanwhile", err);
        orch_strv_fini(&shown);
    }
    orch_strv_fini(&paths);
    return r;
}

static int record_apply(struct orch_exec *e, const char *state, const struct orch_apply_stats *n,
                        struct orch_err *err)
{
    struct orch_jw w;

    orch_audit_begin(e->audit, "apply", &w);
    orch_jw_str(&w, "state", state);
    orch_jw_uint(&w, "created", n->created);
    orch_jw_uint(&w, "modified", n->modified);
    orch_jw_uint(&w, "deleted", n->deleted);
    return orch_audit_commit(e->audit, &w, err);
}

static int apply(struct orch_exec *e, const struct orch_view *full, const struct orch_changes *c,
                 struct orch_err *err)
{
    ORCH_AUTO_FD int lock = orch_workspace_lock(e->workspace, err);
    struct orch_apply_stats n = orch_apply_count(c);
    int r = lock < 0 ? lock : check_seal(e, full, err);

    if (r == 0)
        r = check_unsafe(full, c, err);
    if (r == 0)
        r = check_conflict(e, err);
    if (r == 0) /* on record before the first byte is written */
        r = record_apply(e, "intent", &n, err);
    if (r == 0)
        r = orch_workspace_apply(full, c, e->workspace, &n, err);
    if (r < 0)
        return r;
    e->applied = true;
    return record_apply(e, "done", &n, err);
}

int orch_exec_changes(struct orch_exec *e, struct orch_err *err)
{
    struct orch_strv layers = {0};
    struct orch_view full = {0};
    struct orch_changes c = {0};
    int r;

    if (!e->upper)
        return 0;
    orch_strv_add(&layers, e->upper);
    r = orch_view_open(&layers, e->workspace, &full, err);
    if (r == 0)
        r = orch_view_changes(&full, 1, &c, err);
    e->changes = c.n;
    if (r == 0 && e->opt->apply && succeeded(e))
        r = apply(e, &full, &c, err);
    if (!e->applied && e->changes)
        (void)fprintf(stderr, "orch-sandbox: %" PRIu64 " change%s to the workspace dropped%s\n", e->changes,
                      e->changes == 1 ? "" : "s", e->opt->apply ? "" : " (--apply keeps them)");
    orch_changes_fini(&c);
    orch_view_fini(&full);
    orch_strv_fini(&layers);
    return r;
}

static int by_count(const void *va, const void *vb)
{
    const struct orch_denial_group *a = va, *b = vb;

    return (a->count < b->count) - (a->count > b->count);
}

static void put_group(struct orch_buf *b, const struct orch_denial_group *g)
{
    const char *path = g->path ? g->path : g->syscall ? g->syscall : "of further kinds";

    orch_buf_printf(b, " %" PRIu64 "x %s ", g->count, g->class_name);
    if (g->access) {
        orch_escape_term(b, g->access, strlen(g->access));
        orch_buf_char(b, ' ');
    }
    orch_escape_term(b, path, strnlen(path, SHOWN_BYTES));
    orch_buf_str(b, strlen(path) > SHOWN_BYTES ? "..." : "");
}

/* The most frequent ones, and how many are left out. */
void orch_exec_closing(const struct orch_exec *e)
{
    const struct orch_denial_group *g = NULL;
    size_t n = orch_audit_groups(e->audit, false, &g);
    ORCH_AUTO_FREE struct orch_denial_group *v = orch_xcalloc(n + 1, sizeof(*v));
    ORCH_AUTO_BUF struct orch_buf b = {0};
    uint64_t rest = 0;

    if (e->denials == 0 || e->opt->quiet)
        return;
    for (size_t i = 0; i < n; i++)
        v[i] = g[i];
    qsort(v, n, sizeof(*v), by_count);
    orch_buf_printf(&b, "orch-sandbox: %" PRIu64 " denial%s:", e->denials, e->denials == 1 ? "" : "s");
    for (size_t i = 0; i < n; i++) {
        if (i >= SHOWN_MAX) {
            rest += v[i].count;
            continue;
        }
        orch_buf_str(&b, i ? "," : "");
        put_group(&b, &v[i]);
    }
    if (rest)
        orch_buf_printf(&b, ", and %" PRIu64 " of %zu further kinds", rest, n - SHOWN_MAX);
    (void)fprintf(stderr, "%s\n", b.data);
}

static int setup_status(const struct orch_exec *e)
{
    const struct orch_outcome *o = &e->outcome;
    ORCH_AUTO_FREE char *path = orch_escape_str(o->setup.path);
    struct orch_err why = {0};

    if (!o->setup.exec_failed) {
        (void)orch_sandbox_explain(o, e->state, e->workspace, &why);
        orch_preflight_point(&why);
        (void)fprintf(stderr, "orch-sandbox: %s\n", why.msg);
        return ORCH_EXIT_EXEC_FAILED;
    }
    (void)fprintf(stderr, "orch-sandbox: %s %s: %s\n", o->setup.step, path, strerror(o->setup.errnum));
    return o->setup.errnum == ENOENT ? ORCH_EXIT_EXEC_NOTFOUND : ORCH_EXIT_EXEC_REFUSED;
}

static int limit_status(const struct orch_exec *e)
{
    const char *limit = e->outcome.limit ? e->outcome.limit : "unknown";

    (void)fprintf(stderr, "orch-sandbox: ended by its limit '%s'\n", limit);
    return strcmp(limit, "wall") == 0 ? ORCH_EXIT_EXEC_LIMIT : ORCH_EXIT_EXEC_FAILED;
}

int orch_exec_status(const struct orch_exec *e)
{
    int cancelled = orch_signals_exit(&e->signals);

    switch (e->outcome.end) {
    case ORCH_END_EXIT:
    case ORCH_END_DONE:
        return e->outcome.status;
    case ORCH_END_SIGNAL:
        return 128 + e->outcome.status;
    case ORCH_END_LIMIT:
        return limit_status(e);
    case ORCH_END_SETUP:
        return setup_status(e);
    case ORCH_END_CANCEL:
        return cancelled                                                  ? cancelled
               : e->terminal.out.dead || e->out[0].dead || e->out[1].dead ? 128 + SIGPIPE
                                                                          : ORCH_EXIT_EXEC_FAILED;
    default:
        (void)fprintf(stderr, "orch-sandbox: ended: %s\n", orch_end_name(e->outcome.end));
        return ORCH_EXIT_EXEC_FAILED;
    }
}

void orch_exec_report(const struct orch_exec *e, int status, const char *reason)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    struct orch_jw w = {.out = &b};

    if (e->opt->status_fd < 0)
        return;
    orch_jw_obj(&w, NULL);
    orch_jw_int(&w, "v", 1);
    orch_jw_str(&w, "end", e->ran ? orch_end_name(e->outcome.end) : "error");
    orch_jw_int(&w, "status", e->ran ? e->outcome.status : 0);
    orch_jw_str(&w, "limit", e->ran ? e->outcome.limit : NULL);
    orch_jw_int(&w, "exit", status);
    orch_jw_str(&w, "reason", reason);
    orch_jw_uint(&w, "elapsed_ms", e->outcome.elapsed_ms);
    orch_jw_uint(&w, "denials", e->denials);
    orch_jw_uint(&w, "dropped_bytes", e->outcome.dropped_bytes);
    orch_jw_uint(&w, "filtered_bytes", e->terminal.filter.dropped);
    orch_jw_uint(&w, "changes", e->changes);
    orch_jw_bool(&w, "applied", e->applied);
    orch_jw_end(&w, '}');
    orch_buf_char(&b, '\n');
    /* The reader may be gone: the exit status says the same. */
    (void)orch_write_all(e->opt->status_fd, b.data, b.len);
}
