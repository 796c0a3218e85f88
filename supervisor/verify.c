/*
 * verify.c - whether what a run left is whole: chains, what each of the two logs says of the other, inputs,
 * layers. Used by `verify` and before a resume.
 *
 * Each log is a chain, so a record cannot be changed, dropped or moved inside it. Its end is held by the
 * other one: a verdict binds the head of the audit log, the audit log the verdict's line; and whoever leaves
 * a run binds both ends in seal.json. What a crash may leave behind these points is told apart: bytes
 * without a newline.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/exit.h"
#include "common/io.h"
#include "supervisor/keys.h"
#include "supervisor/run.h"

#define KEPT_MAX (1u << 30)
#define SEAL_MAX 4096

/* Digests of lines, in order, and the numbers of the records that they were found at. */
struct digests {
    struct digest {
        char hex[ORCH_HEX_SIZE];
        uint64_t at;
    } * v;
    size_t n, cap;
};

static void digests_add(struct digests *d, const char *hex, uint64_t at)
{
    if (d->n == d->cap) {
        d->cap = d->cap ? d->cap * 2 : 256;
        d->v = orch_xreallocarray(d->v, d->cap, sizeof(*d->v));
    }
    d->v[d->n] = (struct digest){.at = at};
    (void)snprintf(d->v[d->n++].hex, ORCH_HEX_SIZE, "%s", hex);
}

static bool digests_has(const struct digests *d, const char *hex)
{
    for (size_t i = d->n; i-- > 0;)
        if (strcmp(d->v[i].hex, hex) == 0)
            return true;
    return false;
}

/* One log as it was read: its lines, and what it says of the other one. */
struct log {
    const char *name, *member; /* which member binds the other log */
    struct digests lines, bound;
    uint64_t records;
    bool torn;
    char verdict[32]; /* of the audit log's closing "run" record, "" = none */
    int exit_code;
    uint64_t stray; /* the first record behind that one that does not belong there, 0 = none */
    struct said {   /* gates, as the audit log has them, in order */
        char *phase, *name, *verdict;
        unsigned attempt;
    } * said;
    size_t n_said;
};

static void log_fini(struct log *l)
{
    for (size_t i = 0; i < l->n_said; i++) {
        free(l->said[i].phase);
        free(l->said[i].name);
        free(l->said[i].verdict);
    }
    free(l->said);
    free(l->lines.v);
    free(l->bound.v);
}

static const char *text_of(const cJSON *rec, const char *name)
{
    const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(rec, name));

    return s ? s : "";
}

/* The end stands in both files: neither can be changed alone. */
static bool note_end(struct log *l, const cJSON *rec)
{
    const char *verdict = text_of(rec, "verdict");
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(rec, "exit");

    if (strcmp(text_of(rec, "event"), "run") != 0 || !*verdict || !cJSON_IsNumber(code))
        return false;
    (void)snprintf(l->verdict, sizeof(l->verdict), "%s", verdict);
    l->exit_code = (int)code->valuedouble;
    l->stray = 0; /* a crash between the two logs' end records: the end was written again */
    return true;
}

static void note_gate(struct log *l, const cJSON *rec)
{
    const cJSON *attempt = cJSON_GetObjectItemCaseSensitive(rec, "attempt");

    if (strcmp(text_of(rec, "event"), "gate") != 0 || !*text_of(rec, "verdict") || !cJSON_IsNumber(attempt))
        return;
    l->said = orch_xreallocarray(l->said, l->n_said + 1, sizeof(*l->said));
    l->said[l->n_said++] = (struct said){.phase = orch_xstrdup(text_of(rec, "phase")),
                                         .name = orch_xstrdup(text_of(rec, "name")),
                                         .verdict = orch_xstrdup(text_of(rec, "verdict")),
                                         .attempt = (unsigned)attempt->valuedouble};
}

/* What may follow the end: the operator's apply or discard. */
static bool may_follow(const cJSON *rec)
{
    return strcmp(text_of(rec, "event"), "apply") == 0 || strcmp(text_of(rec, "state"), "discarded") == 0;
}

/* "prev" of a record is the digest of the line before it. */
static int on_record(void *ctx, const struct orch_json *doc)
{
    struct log *l = ctx;
    const cJSON *rec = orch_json_root(doc);
    const char *bound = text_of(rec, l->member);

    l->records++;
    if (l->records > 1) /* the first one follows nothing */
        digests_add(&l->lines, text_of(rec, "prev"), l->records - 1);
    if (*bound)
        digests_add(&l->bound, bound, l->records);
    note_gate(l, rec);
    if (!note_end(l, rec) && *l->verdict && !l->stray && !may_follow(rec))
        l->stray = l->records;
    return 0;
}

static int read_log(const struct orch_rundir *dir, struct log *l, struct orch_err *err)
{
    char head[ORCH_HEX_SIZE] = "";
    int k = orch_chain_read(dir->fd, l->name, on_record, l, &l->torn, head, err);

    digests_add(&l->lines, head, l->records);
    return k;
}

/* Every line of `other` that `l` names is there, the last one included. */
static int check_bound(const struct log *l, const struct log *other, struct orch_err *err)
{
    for (size_t i = 0; i < l->bound.n; i++)
        if (!digests_has(&other->lines, l->bound.v[i].hex))
            return orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG,
                                 "%s: record %" PRIu64
                                 ", now the last, was changed or is followed by less than "
                                 "it was: record %" PRIu64 " of %s was bound to a line that is gone",
                                 other->name, other->records, l->bound.v[i].at, l->name);
    return 0;
}

static const char *head_of(const struct log *l)
{
    return l->lines.v[l->lines.n - 1].hex;
}

/* Records behind the sealed one are what a crash left before the next seal; replay judges them. */
static int check_end(const struct log *l, const char *sealed, struct orch_err *err)
{
    if (digests_has(&l->lines, sealed))
        return 0;
    return orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG,
                         "%s: record %" PRIu64
                         ", now the last, was changed or is followed by less than it was: "
                         "%s was made for a line that is gone",
                         l->name, l->records, ORCH_SEAL_NAME);
}

static int read_seal(const struct orch_rundir *dir, struct orch_json **ret, struct orch_err *err)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    ORCH_AUTO(orch_diags_fini) struct orch_diags d = {0};
    int k = orch_read_file(dir->fd, ORCH_SEAL_NAME, SEAL_MAX, &b);

    *ret = NULL;
    if (k == -ENOENT)
        return 0;
    if (k == 0)
        k = orch_json_parse(ORCH_SEAL_NAME, b.data ? b.data : "", b.len, ret, &d);
    return k < 0 ? orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG, "%s: cannot be used: %s", ORCH_SEAL_NAME,
                                 d.n ? d.v[0].msg : strerror(-k))
                 : 0;
}

static int bad_seal(struct orch_err *err, const char *what)
{
    return orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG, "%s: %s", ORCH_SEAL_NAME, what);
}

/* A signature must be right whether or not somebody asks; key: the one that must have made it, NULL = any. */
static int check_signature(const struct orch_rundir *dir, const cJSON *root, const char *journal,
                           const char *audit, const char *key, struct orch_buf *ok, struct orch_err *err)
{
    const char *by = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "key"));
    const char *sig = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "signature"));
    ORCH_AUTO_FREE char *text = orch_keys_seal_text(dir->id, journal, audit);

    if (!by && !sig)
        return key ? bad_seal(err, "it is not signed") : 0;
    if (!by || !sig || !orch_sign_valid(by, sig, text, strlen(text)))
        return bad_seal(err, "its signature is not of what it says");
    if (key && strcmp(key, by) != 0)
        return bad_seal(err, "it is signed, but not with the given key");
    if (ok && key)
        orch_buf_printf(ok, "ok  signature: by the given key, over the ends of both logs\n");
    else if (ok)
        orch_buf_printf(ok, "ok  signature: by key %s (compare it, or give --key)\n", by);
    return 0;
}

/* Who asks for a signature wants all of both logs under it. */
static int check_signed_ends(const struct log *journal, const struct log *audit, const char *j, const char *a,
                             struct orch_err *err)
{
    if (strcmp(head_of(journal), j) == 0 && strcmp(head_of(audit), a) == 0)
        return 0;
    return bad_seal(err, "records follow what was signed: the run goes on, or its supervisor was killed");
}

static int check_seal(const struct orch_rundir *dir, const struct orch_run_state *s,
                      const struct log *journal, const struct log *audit, const char *key,
                      struct orch_buf *ok, struct orch_err *err)
{
    ORCH_AUTO(orch_json_freep) struct orch_json *doc = NULL;
    const cJSON *root, *schema;
    const char *j, *a;
    int k = read_seal(dir, &doc, err);

    if (k < 0)
        return k;
    if (!doc && key)
        return bad_seal(err, "it is missing, so nothing is signed");
    if (!doc) {
        if (ok && (s->ended || s->paused_by))
            orch_buf_printf(ok, "note  %s is missing: a crash at the very end; a resume writes it\n",
                            ORCH_SEAL_NAME);
        return 0;
    }
    root = orch_json_root(doc);
    schema = cJSON_GetObjectItemCaseSensitive(root, "schema");
    j = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "journal"));
    a = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "audit"));
    if (cJSON_IsNumber(schema) && schema->valuedouble > 1)
        return orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG,
                             "%s: has schema %.0f, written by a newer orch-sandbox; this one reads 1",
                             ORCH_SEAL_NAME, schema->valuedouble);
    if (!j || !a)
        return orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG, "%s: does not name both logs", ORCH_SEAL_NAME);
    k = check_end(journal, j, err);
    if (k == 0)
        k = check_end(audit, a, err);
    if (k == 0)
        k = check_signature(dir, root, j, a, key, ok, err);
    return k == 0 && key ? check_signed_ends(journal, audit, j, a, err) : k;
}

static int check_verdicts(const struct orch_run_state *s, const struct log *audit, struct orch_err *err)
{
    if (!s->ended)
        return 0;
    if (strcmp(s->verdict, audit->verdict) != 0 || s->exit_code != audit->exit_code)
        return orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG,
                             "%s: its end record says %s (%d), the audit log %s (%d)", ORCH_JOURNAL_NAME,
                             s->verdict, s->exit_code, *audit->verdict ? audit->verdict : "nothing",
                             audit->exit_code);
    if (audit->stray)
        return orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG,
                             "%s: record %" PRIu64 ": nothing of the kind can follow the end of the run",
                             ORCH_AUDIT_NAME, audit->stray);
    return 0;
}

/* The last the audit log said of that gate, or NULL. */
static const char *last_said(const struct log *audit, const char *phase, unsigned attempt, const char *name)
{
    for (size_t i = audit->n_said; i-- > 0;) {
        const struct said *x = &audit->said[i];

        if (x->attempt == attempt && strcmp(x->phase, phase) == 0 && strcmp(x->name, name) == 0)
            return x->verdict;
    }
    return NULL;
}

/* Each verdict on each gate stands in both logs. */
static int check_gates(const struct orch_run_state *s, const struct orch_verdict_record *v,
                       const struct log *audit, struct orch_err *err)
{
    const char *phase = s->phases[v->phase].name;

    for (size_t i = 0; i < v->n_gates; i++) {
        const char *said = last_said(audit, phase, v->attempt, v->gates[i].name);

        if (!said || strcmp(said, v->gates[i].verdict) != 0)
            return orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG,
                                 "%s: the verdict on %s.%u has '%s' for gate %s, the audit log '%s'",
                                 ORCH_JOURNAL_NAME, phase, v->attempt, v->gates[i].verdict, v->gates[i].name,
                                 said ? said : "nothing");
    }
    return 0;
}

static int check_all_gates(const struct orch_run_state *s, const struct log *audit, struct orch_err *err)
{
    int k = 0;

    for (size_t i = 0; k == 0 && i < s->n_verdicts; i++)
        k = check_gates(s, &s->verdicts[i], audit, err);
    return k == 0 && s->waits ? check_gates(s, &s->waiting, audit, err) : k;
}

static const struct digest *find_digest(const struct digests *d, const char *hex)
{
    for (size_t i = d->n; i-- > 0;)
        if (strcasecmp(d->v[i].hex, hex) == 0)
            return &d->v[i];
    return NULL;
}

/* A head that somebody noted elsewhere: whoever wrote the logs anew, seal and all, or cut them off, cannot
 * have a line with this digest. Lines behind it are what came since. */
static int check_head(const char *head, const struct log *journal, const struct log *audit,
                      struct orch_buf *ok, struct orch_err *err)
{
    const struct log *logs[] = {journal, audit};

    for (size_t i = 0; i < ORCH_NELEM(logs); i++) {
        const struct digest *d = find_digest(&logs[i]->lines, head);

        if (!d)
            continue;
        if (ok)
            orch_buf_printf(ok, "ok  head %s: record %" PRIu64 " of %" PRIu64 " of %s\n", d->hex, d->at,
                            logs[i]->records, logs[i]->name);
        return 0;
    }
    return orch_err_exit(
        err, ORCH_EXIT_CORRUPT, EBADMSG,
        "no record has the head %.64s: since it was noted, a log was cut off or written anew", head);
}

static int check_heads(const struct orch_option_list *heads, const struct log *journal,
                       const struct log *audit, struct orch_buf *ok, struct orch_err *err)
{
    int k = 0;

    for (size_t i = 0; heads && k == 0 && i < heads->n; i++)
        k = check_head(heads->v[i], journal, audit, ok, err);
    return k;
}

static int verify_logs(const struct orch_rundir *dir, const struct orch_run_state *s,
                       const struct orch_noted *noted, struct orch_buf *ok, struct orch_err *err)
{
    ORCH_AUTO(log_fini) struct log journal = {.name = ORCH_JOURNAL_NAME, .member = "audit_head"};
    ORCH_AUTO(log_fini) struct log audit = {.name = ORCH_AUDIT_NAME, .member = "journal_head"};
    int k = read_log(dir, &journal, err);

    if (k == 0)
        k = read_log(dir, &audit, err);
    if (k == 0)
        k = check_bound(&journal, &audit, err);
    if (k == 0)
        k = check_bound(&audit, &journal, err);
    if (k == 0)
        k = check_verdicts(s, &audit, err);
    if (k == 0)
        k = check_all_gates(s, &audit, err);
    if (k == 0)
        k = check_seal(dir, s, &journal, &audit, noted->key, ok, err);
    if (k == 0)
        k = check_heads(noted->heads, &journal, &audit, ok, err);
    if (k == 0 && ok)
        orch_buf_printf(ok, "ok  audit log: %" PRIu64 " records, head %s%s\n", audit.records, head_of(&audit),
                        audit.torn ? " (a last record was torn by a crash)" : "");
    return k;
}

static int verify_file(const struct orch_rundir *dir, const char *name, const char *want, struct orch_buf *ok,
                       struct orch_err *err)
{
    ORCH_AUTO_FD int fd = openat(dir->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    char now[ORCH_HEX_SIZE] = "";
    int64_t n = fd < 0 ? -errno : orch_sha256_fd(fd, KEPT_MAX, now);

    if (n < 0 && orch_errno_is_host((int)-n))
        return orch_err_exit(err, ORCH_EXIT_STATE, (int)-n, "%s: cannot be read: %s", name,
                             strerror((int)-n));
    if (n < 0 || strcmp(now, want) != 0)
        return orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG, "%s: not what the journal was bound to", name);
    if (ok)
        orch_buf_printf(ok, "ok  %s: sha256 %s\n", name, now);
    return 0;
}

/* A pass needs every gate that the workflow gives its phase, and no other. */
static bool gates_fit(const struct orch_verdict_record *v, const struct orch_phase *p)
{
    size_t n = 0;

    for (size_t i = 0; i < v->n_gates; i++) {
        const struct orch_gate_record *g = &v->gates[i];

        if (g->depth > 0)
            continue;
        if (n == p->n_gates || strcmp(g->name, p->gates[n].name) != 0 ||
            strcmp(g->type, orch_gate_type_name(p->gates[n].type)) != 0)
            return false;
        n++;
    }
    return n == p->n_gates;
}

int orch_run_state_fits(const struct orch_run_state *s, const struct orch_workflow *w, struct orch_err *err)
{
    bool same = s->n_phases == w->n_phases && strcmp(s->workflow_digest, w->digest) == 0;

    for (size_t i = 0; same && i < s->n_phases; i++)
        same = strcmp(s->phases[i].name, w->phases[i].name) == 0;
    for (size_t i = 0; same && i < s->n_verdicts; i++)
        same = gates_fit(&s->verdicts[i], &w->phases[s->verdicts[i].phase]);
    if (same && s->waits)
        same = gates_fit(&s->waiting, &w->phases[s->waiting.phase]);
    return same ? 0
                : orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG,
                                "%s: its phases and gates are not those of the workflow that the run kept",
                                ORCH_JOURNAL_NAME);
}

static int verify_workflow(const struct orch_rundir *dir, const struct orch_run_state *s,
                           struct orch_err *err)
{
    ORCH_AUTO(orch_workflow_freep) struct orch_workflow *w = NULL;
    int k = orch_run_load_inputs(dir, &w, err);

    return k < 0 ? k : orch_run_state_fits(s, w, err);
}

static int verify_layers(const struct orch_rundir *dir, const struct orch_run_state *s, struct orch_buf *ok,
                         struct orch_err *err)
{
    size_t n = 0;
    int k = orch_run_given_up(s) ? 0 : orch_layers_check(dir, s, s->n_phases, err);

    for (size_t i = 0; i < s->n_phases; i++)
        n += s->phases[i].n_layers;
    if (k == 0 && ok && orch_run_given_up(s))
        orch_buf_printf(ok, "ok  layers: discarded\n");
    else if (k == 0 && ok)
        orch_buf_printf(ok, "ok  layers: %zu, each the one that was judged\n", n + s->waits);
    return k;
}

static int verify_with(const struct orch_rundir *dir, const struct orch_run_state *s,
                       const struct orch_noted *noted, struct orch_buf *ok, struct orch_err *err)
{
    int k = 0;

    if (strcmp(s->run, dir->id) != 0)
        return orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG, "%s: record 1: it belongs to another run",
                             ORCH_JOURNAL_NAME);
    k = verify_logs(dir, s, noted, ok, err);
    if (k == 0)
        k = verify_file(dir, ORCH_INPUTS_NAME, s->inputs_digest, ok, err);
    if (k == 0)
        k = verify_workflow(dir, s, err);
    if (k == 0 && *s->fingerprint_digest)
        k = verify_file(dir, ORCH_FINGERPRINT_NAME, s->fingerprint_digest, ok, err);
    if (k == 0)
        k = verify_layers(dir, s, ok, err);
    return k;
}

int orch_run_verify(const struct orch_rundir *dir, const struct orch_noted *noted, struct orch_buf *ok,
                    struct orch_err *err)
{
    static const struct orch_noted nothing;
    struct orch_run_state s = {0};
    bool torn = false;
    int k = orch_run_state_load(dir->fd, &s, &torn, err);

    if (k < 0)
        return k;
    if (ok)
        orch_buf_printf(ok, "ok  journal: run %s, %zu verdicts, head %s%s%s\n", dir->id, s.n_verdicts, s.head,
                        s.ended ? ", ended" : "", torn ? " (a last record was torn by a crash)" : "");
    k = verify_with(dir, &s, noted ? noted : &nothing, ok, err);
    orch_run_state_fini(&s);
    return k;
}
