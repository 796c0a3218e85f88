/* verify.c - whether what a run left is whole: chains, audit heads, inputs, layers. Used by `verify` and
 * before a resume. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/exit.h"
#include "common/io.h"
#include "supervisor/run.h"

#define KEPT_MAX (1u << 30)

/* The audit heads that the journal binds, in order; each must be the digest of some line of the audit log. */
struct heads {
    const struct orch_run_state *s;
    size_t found; /* verdicts whose head was seen */
    uint64_t records;
    char verdict[32]; /* of the log's closing "run" record, "" = none */
    int exit_code;
};

static void see(struct heads *h, const char *digest)
{
    while (h->found < h->s->n_verdicts && strcmp(h->s->verdicts[h->found].audit_head, digest) == 0)
        h->found++;
}

/* The end stands in both files: neither can be changed alone. */
static void note_end(struct heads *h, const cJSON *rec)
{
    const char *event = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(rec, "event"));
    const char *verdict = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(rec, "verdict"));
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(rec, "exit");

    if (!event || strcmp(event, "run") != 0 || !verdict || !cJSON_IsNumber(code))
        return;
    (void)snprintf(h->verdict, sizeof(h->verdict), "%s", verdict);
    h->exit_code = (int)code->valuedouble;
}

/* "prev" of a record is the digest of the line before it. */
static int on_audit_record(void *ctx, const struct orch_json *rec)
{
    struct heads *h = ctx;
    const char *prev = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(orch_json_root(rec), "prev"));

    h->records++;
    see(h, prev ? prev : "");
    note_end(h, orch_json_root(rec));
    return 0;
}

static int verify_audit(const struct orch_rundir *dir, const struct orch_run_state *s, struct orch_buf *ok,
                        struct orch_err *err)
{
    struct heads h = {.s = s};
    char head[ORCH_HEX_SIZE] = "";
    bool torn = false;
    int k = orch_chain_read(dir->fd, ORCH_AUDIT_NAME, on_audit_record, &h, &torn, head, err);

    if (k < 0)
        return k;
    see(&h, head);
    if (h.found < s->n_verdicts)
        return orch_err_exit(
            err, ORCH_EXIT_CORRUPT, EBADMSG,
            "%s: the log is not the one that the verdict on %s.%u was bound to (records are missing)",
            ORCH_AUDIT_NAME, s->phases[s->verdicts[h.found].phase].name, s->verdicts[h.found].attempt);
    if (s->ended && strcmp(s->audit_head, head) != 0)
        return orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG,
                             "%s: its last record %" PRIu64
                             " is not the one that the end of the run was bound to",
                             ORCH_AUDIT_NAME, h.records);
    if (s->ended && (strcmp(s->verdict, h.verdict) != 0 || s->exit_code != h.exit_code))
        return orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG,
                             "%s: its end record says %s (%d), the audit log %s (%d)", ORCH_JOURNAL_NAME,
                             s->verdict, s->exit_code, *h.verdict ? h.verdict : "nothing", h.exit_code);
    if (ok)
        orch_buf_printf(ok, "ok  audit log: %" PRIu64 " records, head %s%s\n", h.records, head,
                        torn ? " (a last record was torn by a crash)" : "");
    return 0;
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
        return orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG,
                             "%s: not what the journal's first record was bound to", name);
    if (ok)
        orch_buf_printf(ok, "ok  %s: sha256 %s\n", name, now);
    return 0;
}

static int verify_layers(const struct orch_rundir *dir, const struct orch_run_state *s, struct orch_buf *ok,
                         struct orch_err *err)
{
    size_t n = 0;
    int k = orch_layers_check(dir, s, s->n_phases, err);

    for (size_t i = 0; i < s->n_phases; i++)
        n += s->phases[i].n_layers;
    if (k == 0 && ok)
        orch_buf_printf(ok, "ok  layers: %zu, each the one that was judged\n", n);
    return k;
}

static int verify_with(const struct orch_rundir *dir, const struct orch_run_state *s, struct orch_buf *ok,
                       struct orch_err *err)
{
    int k = 0;

    if (strcmp(s->run, dir->id) != 0)
        return orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG, "%s: record 1: it belongs to another run",
                             ORCH_JOURNAL_NAME);
    k = verify_audit(dir, s, ok, err);
    if (k == 0)
        k = verify_file(dir, ORCH_INPUTS_NAME, s->inputs_digest, ok, err);
    if (k == 0)
        k = verify_file(dir, ORCH_FINGERPRINT_NAME, s->fingerprint_digest, ok, err);
    if (k == 0)
        k = verify_layers(dir, s, ok, err);
    return k;
}

int orch_run_verify(const struct orch_rundir *dir, struct orch_buf *ok, struct orch_err *err)
{
    struct orch_run_state s = {0};
    bool torn = false;
    int k = orch_run_state_load(dir->fd, &s, &torn, err);

    if (k < 0)
        return k;
    if (ok)
        orch_buf_printf(ok, "ok  journal: run %s, %zu verdicts%s%s\n", s.run, s.n_verdicts,
                        s.ended ? ", ended" : "", torn ? " (a last record was torn by a crash)" : "");
    k = verify_with(dir, &s, ok, err);
    orch_run_state_fini(&s);
    return k;
}
