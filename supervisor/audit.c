/*
 * audit.c - the writer of the audit log. See audit.h.
 *
 * Every denial and every exec becomes a key of all that a record says but time, pid and tid (audit_key.c). A
 * new key is written at once; a known one is only counted, and flush writes what was counted since. So the
 * sum of "count" over all records is exact.
 */
#include "supervisor/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/exit.h"
#include "common/io.h"
#include "supervisor/argv.h"
#include "supervisor/audit_int.h"

/* Paths may have 4 KiB each: the number of distinct keys alone would not bound the supervisor's memory. */
#define MAX_KEY_BYTES (16u << 20)
#define MAX_WHO_BYTES (4u << 20)
#define MAX_TIMED_BYTES                                                                                      \
    (8u << 20) /* of keys written again by the clock; repeats beyond wait for the scope's end */

struct fold {
    uint64_t pending; /* counted, not written */
    size_t group;     /* NO_GROUP: quiet, or an exec */
    pid_t pid, tid;   /* of the last occurrence */
};

#define NO_GROUP SIZE_MAX

struct orch_audit {
    struct orch_chain chain;
    bool writes; /* false: only counts */
    int failed;  /* -errno of the first failure: nothing is written after it */
    char *run, *phase, *gate;
    unsigned attempt;

    struct orch_audit_map map, whos; /* of the scope */
    struct fold *folds;              /* by index of the map */
    size_t folds_cap;
    size_t distinct[ORCH_KINDS], with_argv;
    uint32_t *dirty; /* indices of folds with pending > 0 */
    size_t n_dirty;
    uint64_t beyond_exec, beyond[ORCH_AUDIT_CLASSES],
        beyond_quiet[ORCH_AUDIT_CLASSES]; /* cap reached; unwritten */
    uint64_t last_flush_ms;
    uint64_t timed_bytes; /* of keys, in this scope */

    struct orch_denial_counts counts;
    uint64_t total;
    struct orch_groups groups;
    size_t last, last_who; /* indices found last */
    struct orch_args *names;
    struct orch_buf key, who, line, event;
};

struct orch_audit *orch_audit_null(void)
{
    struct orch_audit *a = orch_xcalloc(1, sizeof(*a));

    a->chain.fd = -1;
    memset(a->chain.prev, '0', ORCH_HEX_SIZE - 1);
    a->last_flush_ms = orch_now_ms();
    a->names = orch_args_new();
    return a;
}

int orch_audit_open(int dirfd, const char *name, const char *run_id, bool resume, struct orch_audit **ret,
                    struct orch_err *err)
{
    struct orch_chain chain;
    struct orch_audit *a;
    bool torn;
    int rc = resume ? orch_chain_continue(dirfd, name, &chain, &torn, err)
                    : orch_chain_create(dirfd, name, &chain, err);

    if (rc < 0)
        return rc;
    a = orch_audit_null();
    a->chain = chain;
    a->writes = true;
    a->run = run_id ? orch_xstrdup(run_id) : NULL;
    *ret = a;
    return 0;
}

/* What all records share. The caller adds members, then commits. */
static void record_begin(const struct orch_audit *a, const char *event, struct orch_jw *w)
{
    orch_chain_begin(&a->chain, w);
    if (a->run)
        orch_jw_str(w, "run", a->run);
    if (a->phase) {
        orch_jw_str(w, "phase", a->phase);
        orch_jw_uint(w, "attempt", a->attempt);
    }
    if (a->gate)
        orch_jw_str(w, "gate", a->gate);
    orch_jw_str(w, "event", event);
}

static int record_commit(struct orch_audit *a, struct orch_jw *w, struct orch_err *err)
{
    int rc;

    if (!a->writes)
        return 0;
    if (a->failed < 0)
        return orch_err_exit(err, ORCH_EXIT_STATE, -a->failed,
                             "audit log: not writable since an earlier failure: %s", strerror(-a->failed));
    rc = orch_chain_commit(&a->chain, w, false, err);
    if (rc == 0)
        return 0;
    a->failed = rc;
    if (err)
        (void)orch_err_wrap(err, "audit log");
    return rc;
}

/* A call that a log rule of the profile lets go on: recorded and folded like a denial, but none. */
static bool is_logged(const struct orch_denial *d)
{
    return d->action && strcmp(d->action, ORCH_ACTION_LOG) == 0;
}

static int write_denial(struct orch_audit *a, const struct orch_denial *d, uint64_t count,
                        struct orch_err *err)
{
    struct orch_jw w = {.out = &a->line};

    if (!a->writes)
        return 0;
    record_begin(a, is_logged(d) ? "syscall" : "denial", &w);
    orch_put_denial(&w, a->names, d);
    if (d->quiet && !is_logged(d))
        orch_jw_bool(&w, "quiet", true);
    orch_jw_uint(&w, "count", count);
    return record_commit(a, &w, err);
}

/* detail NULL: none. */
static int write_exec(struct orch_audit *a, const struct orch_exec_event *e, const char *detail,
                      uint64_t count, struct orch_err *err)
{
    struct orch_jw w = {.out = &a->line};

    if (!a->writes)
        return 0;
    record_begin(a, "exec", &w);
    orch_put_exec(&w, e);
    if (detail)
        orch_jw_str(&w, "detail", detail);
    orch_jw_uint(&w, "count", count);
    return record_commit(a, &w, err);
}

/* The number of these programs. False: there are too many for the memory that they may take. */
static bool who_number(struct orch_audit *a, const char *exe, const char *comm, const char *const *parents,
                       uint32_t *ret)
{
    uint64_t hash;
    size_t at;

    orch_key_of_who(&a->who, exe, comm, parents);
    at = orch_audit_map_again(&a->whos, &a->who, &a->last_who, &hash);
    if (at == ORCH_MAP_NONE) {
        if (a->whos.bytes + a->who.len > MAX_WHO_BYTES)
            return false;
        at = orch_audit_map_add(&a->whos, a->who.data, a->who.len, hash);
    }
    *ret = (uint32_t)at;
    return true;
}

/* A new key of the scope, or NULL beyond the caps. */
static struct fold *fold_add(struct orch_audit *a, enum orch_kind kind, uint64_t hash)
{
    size_t at;

    if (a->distinct[kind] >= ORCH_AUDIT_MAX_DISTINCT || a->map.bytes + a->key.len > MAX_KEY_BYTES)
        return NULL;
    a->distinct[kind]++;
    at = orch_audit_map_add(&a->map, a->key.data, a->key.len, hash);
    if (at >= a->folds_cap) {
        a->folds_cap = a->folds_cap ? a->folds_cap * 2 : 256;
        a->folds = orch_xreallocarray(a->folds, a->folds_cap, sizeof(a->folds[0]));
        a->dirty = orch_xreallocarray(a->dirty, a->folds_cap, sizeof(a->dirty[0]));
    }
    a->folds[at] = (struct fold){.group = NO_GROUP};
    return &a->folds[at];
}

/* Counts a repeat of the key in a->key; NULL if it is new: then its hash is handed on. */
static struct fold *fold_repeat(struct orch_audit *a, pid_t pid, pid_t tid, uint64_t *ret_hash)
{
    size_t at = orch_audit_map_again(&a->map, &a->key, &a->last, ret_hash);
    struct fold *f;

    if (at == ORCH_MAP_NONE)
        return NULL;
    f = &a->folds[at];
    if (f->pending++ == 0)
        a->dirty[a->n_dirty++] = (uint32_t)at;
    f->pid = pid;
    f->tid = tid;
    return f;
}

static void count(struct orch_audit *a, enum orch_denial_class class)
{
    struct orch_denial_counts *c = &a->counts;
    uint64_t *const by_class[ORCH_AUDIT_CLASSES] = {
        [ORCH_CLASS_FILESYSTEM] = &c->filesystem, [ORCH_CLASS_EXEC] = &c->exec,
        [ORCH_CLASS_SYSCALL] = &c->syscall,       [ORCH_CLASS_NETWORK] = &c->network,
        [ORCH_CLASS_CONTROL] = &c->control,
    };

    ++*by_class[class];
    a->total++;
}

/* hash NULL: its key cannot be kept. */
static int denial_new(struct orch_audit *a, const struct orch_denial *d, const uint64_t *hash,
                      struct orch_err *err)
{
    struct fold *f = hash ? fold_add(a, ORCH_KIND_DENIAL, *hash) : NULL;
    size_t group;

    if (!f)
        (d->quiet ? a->beyond_quiet : a->beyond)[d->class]++;
    if (!d->quiet) {
        group = orch_groups_find(&a->groups, d); /* whether there is a fold depends on all denials */
        a->groups.v[group].count++;
        if (f)
            f->group = group;
    }
    return f ? write_denial(a, d, 1, err) : 0;
}

int orch_audit_denial(struct orch_audit *a, const struct orch_denial *d, struct orch_err *err)
{
    struct orch_denial named = *d;
    char number[32];
    const struct fold *f;
    uint64_t hash;
    uint32_t who;

    if ((unsigned)d->class >= ORCH_AUDIT_CLASSES)
        return orch_err_set(err, EINVAL, "audit log: unknown class of denial");
    if (!d->syscall && d->nr != -1) { /* -16 is a number to be recorded too */
        (void)snprintf(number, sizeof(number), "#%d", d->nr);
        named.syscall = number;
    }
    if (!d->quiet)
        count(a, d->class);
    if (!who_number(a, d->exe, d->comm, d->parents, &who))
        return denial_new(a, &named, NULL, err);
    orch_key_of_denial(&a->key, &named, who);
    f = fold_repeat(a, d->pid, d->tid, &hash);
    if (!f)
        return denial_new(a, &named, &hash, err);
    if (f->group != NO_GROUP)
        a->groups.v[f->group].count++;
    return 0;
}

/* Counts it, if it is known or cannot be kept; otherwise it is to be written. */
static bool exec_is_new(struct orch_audit *a, const struct orch_exec_event *e)
{
    uint64_t hash;
    uint32_t who;

    if (!who_number(a, e->exe, e->comm, e->parents, &who)) {
        a->beyond_exec++;
        return false;
    }
    orch_key_of_exec(&a->key, e, who);
    if (fold_repeat(a, e->pid, e->tid, &hash))
        return false;
    if (fold_add(a, ORCH_KIND_EXEC, hash))
        return true;
    a->beyond_exec++;
    return false;
}

/* A build has thousands of command lines: then it is told which programs ran, and no longer how. */
static bool is_known_line(struct orch_audit *a, const struct orch_exec_event *e)
{
    uint32_t who;

    if (!who_number(a, e->exe, e->comm, e->parents, &who))
        return false;
    orch_key_of_exec(&a->key, e, who);
    return orch_audit_map_find(&a->map, a->key.data, a->key.len,
                               orch_audit_map_hash(&a->map, a->key.data, a->key.len)) != ORCH_MAP_NONE;
}

int orch_audit_exec(struct orch_audit *a, const struct orch_exec_event *e, struct orch_err *err)
{
    struct orch_exec_event masked = *e;
    const char *argv[ORCH_ARGV_MAX + 1] = {NULL};
    struct orch_strv args = {0};
    int rc = 0;

    if (e->argv) {
        orch_argv_mask(e->argv, &args, &masked.argv_more);
        for (size_t i = 0; i < args.n && i < ORCH_ARGV_MAX; i++)
            argv[i] = args.v[i];
        masked.argv = argv;
        if (a->with_argv >= ORCH_AUDIT_MAX_ARGV && !is_known_line(a, &masked))
            masked.argv = NULL;
    }
    if (exec_is_new(a, &masked)) {
        a->with_argv += masked.argv != NULL;
        rc = write_exec(a, &masked, NULL, 1, err);
    }
    orch_strv_fini(&args);
    return rc;
}

static int flush_fold(struct orch_audit *a, uint32_t at, struct orch_err *err)
{
    const char *key = a->map.keys[at].data;
    struct fold *f = &a->folds[at];
    struct orch_unfolded u;
    int rc;

    if (orch_key_unfold(key, a->whos.keys[orch_key_who(key)].data, &u) == ORCH_KIND_EXEC) {
        u.e.pid = f->pid;
        u.e.tid = f->tid;
        rc = write_exec(a, &u.e, NULL, f->pending, err);
    } else {
        u.d.pid = f->pid;
        u.d.tid = f->tid;
        rc = write_denial(a, &u.d, f->pending, err);
    }
    if (rc == 0)
        f->pending = 0;
    return rc;
}

static int flush_beyond(struct orch_audit *a, uint64_t *beyond, bool quiet, struct orch_err *err)
{
    for (unsigned i = 0; i < ORCH_AUDIT_CLASSES; i++) {
        struct orch_denial d = {
            .class = i, .nr = -1, .detail = "distinct denials beyond the cap", .quiet = quiet};
        int rc = beyond[i] > 0 ? write_denial(a, &d, beyond[i], err) : 0;

        if (rc < 0)
            return rc;
        beyond[i] = 0;
    }
    return 0;
}

/* What the caps kept out: a record per class at the scope's end, and when all is flushed. */
static int flush_rest(struct orch_audit *a, struct orch_err *err)
{
    int rc = flush_beyond(a, a->beyond, false, err);

    if (rc == 0)
        rc = flush_beyond(a, a->beyond_quiet, true, err);
    if (rc == 0 && a->beyond_exec > 0)
        rc = write_exec(a, &(struct orch_exec_event){0}, "distinct programs beyond the cap", a->beyond_exec,
                        err);
    if (rc == 0)
        a->beyond_exec = 0;
    return rc;
}

/* Many distinct long keys, repeated, would fill a disk by the clock: their counts then wait in memory for the
 * end. */
static bool may_flush(struct orch_audit *a, bool end)
{
    size_t len = a->map.keys[a->dirty[a->n_dirty - 1]].len;

    if (end)
        return true;
    if (a->timed_bytes + len > MAX_TIMED_BYTES)
        return false;
    a->timed_bytes += len;
    return true;
}

int orch_audit_flush(struct orch_audit *a, uint64_t at_least_ms, struct orch_err *err)
{
    uint64_t now = orch_now_ms();
    int rc = 0;

    if (at_least_ms > 0 && now - a->last_flush_ms < at_least_ms)
        return 0;
    a->last_flush_ms = now;
    while (rc == 0 && a->n_dirty > 0 && may_flush(a, at_least_ms == 0)) {
        rc = flush_fold(a, a->dirty[a->n_dirty - 1], err);
        if (rc == 0)
            a->n_dirty--;
    }
    return rc == 0 && at_least_ms == 0 ? flush_rest(a, err) : rc;
}

static void set_str(char **field, const char *s)
{
    char *copy = s ? orch_xstrdup(s) : NULL;

    free(*field);
    *field = copy;
}

int orch_audit_scope(struct orch_audit *a, const char *phase, unsigned attempt, const char *gate,
                     struct orch_err *err)
{
    int rc = orch_audit_flush(a, 0, err);

    orch_audit_map_fini(&a->map);
    orch_audit_map_fini(&a->whos);
    a->n_dirty = a->with_argv = 0;
    memset(a->distinct, 0, sizeof(a->distinct));
    a->timed_bytes = 0;
    a->counts = (struct orch_denial_counts){0};
    set_str(&a->phase, phase);
    set_str(&a->gate, gate);
    a->attempt = attempt;
    orch_groups_scope(&a->groups, phase, attempt);
    return rc;
}

void orch_audit_begin(struct orch_audit *a, const char *event, struct orch_jw *w)
{
    *w = (struct orch_jw){.out = &a->event};
    record_begin(a, event, w);
}

int orch_audit_commit(struct orch_audit *a, struct orch_jw *w, struct orch_err *err)
{
    return record_commit(a, w, err);
}

void orch_audit_counts(const struct orch_audit *a, struct orch_denial_counts *ret_scope, uint64_t *ret_total)
{
    if (ret_scope)
        *ret_scope = a->counts;
    if (ret_total)
        *ret_total = a->total;
}

void orch_audit_add_total(struct orch_audit *a, uint64_t n)
{
    a->total += n;
}

const char *orch_audit_head(const struct orch_audit *a)
{
    return a->chain.prev;
}

size_t orch_audit_groups(const struct orch_audit *a, bool scope_only, const struct orch_denial_group **ret)
{
    size_t first = scope_only ? a->groups.scope_first : 0;

    *ret = a->groups.n > first ? a->groups.v + first : NULL;
    return a->groups.n - first;
}

/* A failure here has been reported to whoever flushed before; nothing is left to stop. */
void orch_audit_close(struct orch_audit *a)
{
    if (!a)
        return;
    (void)orch_audit_flush(a, 0, NULL);
    orch_chain_fini(&a->chain);
    orch_audit_map_fini(&a->map);
    orch_audit_map_fini(&a->whos);
    orch_args_free(a->names);
    orch_groups_fini(&a->groups);
    orch_buf_fini(&a->key);
    orch_buf_fini(&a->who);
    orch_buf_fini(&a->line);
    orch_buf_fini(&a->event);
    free(a->folds);
    free(a->dirty);
    free(a->run);
    free(a->phase);
    free(a->gate);
    free(a);
}
