/* audit_rows.c - the audit log as rows for a report. See audit_rows.h. */
#include "policy/read.h"
#include "supervisor/audit_rows.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/escape.h"
#include "common/io.h"

const char *const orch_field_names[N_FIELDS] = {
    [F_CLASS] = "class",         [F_SYSCALL] = "syscall",   [F_ACCESS] = "access",
    [F_PATH] = "path",           [F_PATH_B64] = "path_b64", [F_PATH2] = "path2",
    [F_PATH2_B64] = "path2_b64", [F_ERRNO] = "errno",       [F_ACTION] = "action",
    [F_RULE] = "rule",           [F_EXE] = "exe",           [F_EXE_B64] = "exe_b64",
    [F_COMM] = "comm",           [F_DETAIL] = "detail",     [F_ARGS] = "args",
};

const char *orch_member_text(const cJSON *rec, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(rec, name));
}

uint64_t orch_member_number(const cJSON *rec, const char *name, uint64_t absent)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(rec, name);

    return cJSON_IsNumber(item) && item->valuedouble >= 0 ? (uint64_t)item->valuedouble : absent;
}

bool orch_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* The section a record belongs to: mostly the last one, but an attempt's own record may come after its
 * gates'. */
static size_t section_of(struct summary *s, const cJSON *rec)
{
    const char *phase = orch_member_text(rec, "phase"), *gate = orch_member_text(rec, "gate");
    unsigned attempt = (unsigned)orch_member_number(rec, "attempt", 0);

    for (size_t i = s->n_sections; i-- > 0;) {
        const struct section *c = &s->sections[i];

        if (c->attempt == attempt && orch_same(c->phase, phase) && orch_same(c->gate, gate))
            return i;
    }
    s->sections = orch_xreallocarray(s->sections, s->n_sections + 1, sizeof(s->sections[0]));
    s->sections[s->n_sections] = (struct section){.phase = phase ? orch_xstrdup(phase) : NULL,
                                                  .gate = gate ? orch_xstrdup(gate) : NULL,
                                                  .attempt = attempt};
    return s->n_sections++;
}

static void keep(char **field, const char *s)
{
    if (s && !*field)
        *field = orch_xstrdup(s);
}

static void take_attempt(struct summary *s, const cJSON *rec)
{
    size_t at = section_of(s, rec); /* may move the sections */
    struct section *c = &s->sections[at];
    const char *level = orch_member_text(rec, "level"), *counts = orch_member_text(rec, "counts");

    keep(&c->level, level ? level : orch_member_text(rec, "audit_level"));
    keep(&c->tier, orch_member_text(rec, "tier"));
    c->fallbacks += orch_member_number(rec, "fallbacks", 0);
    c->fakes += orch_member_number(rec, "fakes", 0);
    c->lower_bound = c->lower_bound || (counts && strcmp(counts, "lower_bound") == 0);
}

static struct row *row_add(struct summary *s, const struct orch_buf *key, uint64_t hash)
{
    size_t at = orch_audit_map_add(&s->map, key->data, key->len, hash);
    const char *p = s->map.keys[at].data;
    struct row *r;

    if (at >= s->rows_cap) {
        s->rows_cap = s->rows_cap ? s->rows_cap * 2 : 64;
        s->rows = orch_xreallocarray(s->rows, s->rows_cap, sizeof(s->rows[0]));
    }
    r = &s->rows[at];
    r->count = 0;
    memcpy(&r->section, p, sizeof(r->section));
    memcpy(&r->quiet, p + sizeof(r->section), sizeof(r->quiet));
    p += sizeof(r->section) + sizeof(r->quiet);
    for (size_t i = 0; i < N_FIELDS; i++)
        r->f[i] = orch_key_next(&p);
    return r;
}

/* What JSON can tell exactly is the most: only a forged log has more. */
static void add_to(uint64_t *sum, uint64_t n)
{
    *sum = n > ORCH_UINT_MAX_JSON - *sum ? ORCH_UINT_MAX_JSON : *sum + n;
}

static void take_denial(struct summary *s, const cJSON *rec)
{
    ORCH_AUTO_BUF struct orch_buf key = {0};
    bool by_args = orch_same(orch_member_text(rec, "class"), "syscall");
    ORCH_AUTO_FREE char *args = by_args ? orch_member_json(rec, "args") : NULL;
    uint32_t section = (uint32_t)section_of(s, rec);
    uint32_t quiet = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(rec, "quiet"));
    uint64_t n = orch_member_number(rec, "count", 1), hash;
    size_t at;

    orch_buf_add(&key, &section, sizeof(section));
    orch_buf_add(&key, &quiet, sizeof(quiet));
    for (size_t i = 0; i < N_FIELDS; i++)
        orch_key_str(&key, i == F_ARGS ? args : orch_member_text(rec, orch_field_names[i]));
    hash = orch_audit_map_hash(&s->map, key.data, key.len);
    at = orch_audit_map_find(&s->map, key.data, key.len, hash);
    add_to(&(at == ORCH_MAP_NONE ? row_add(s, &key, hash) : &s->rows[at])->count, n);
    add_to(&s->sections[section].denials, n);
    add_to(&s->sections[section].quiet, quiet ? n : 0);
}

void orch_put(struct orch_buf *out, const char *before, const char *s)
{
    if (!s)
        return;
    orch_buf_str(out, before);
    orch_escape_term(out, s, strlen(s));
}

/* Overrides, approvals, what was given up: whoever reads the log must not miss them. */
static void take_decision(struct summary *s, const cJSON *rec)
{
    const char *what = orch_member_text(rec, "kind"), *word = orch_member_text(rec, "decision");

    if (!what && !word && !orch_same(orch_member_text(rec, "state"), "discarded"))
        return;
    orch_put(&s->decisions, "operator ", orch_member_text(rec, "user"));
    orch_put(&s->decisions, ": ", what ? what : word ? word : "discard");
    orch_put(&s->decisions, " ", what ? orch_member_text(rec, "target") : orch_member_text(rec, "phase"));
    orch_put(&s->decisions, "/", what ? orch_member_text(rec, "target_gate") : orch_member_text(rec, "name"));
    orch_put(&s->decisions, ": ", orch_member_text(rec, "reason"));
    orch_buf_char(&s->decisions, '\n');
}

static bool in_phase(const struct orch_audit_filter *f, const cJSON *rec)
{
    return !f->phase || (orch_same(f->phase, orch_member_text(rec, "phase")) &&
                         (f->attempt == 0 || orch_member_number(rec, "attempt", 0) == f->attempt));
}

bool orch_section_nested(const struct section *c)
{
    return orch_same(c->tier, "nested");
}

bool orch_filter_takes(const struct orch_audit_filter *f, const cJSON *rec)
{
    const char *time = orch_member_text(rec, "time");

    if (!in_phase(f, rec) || (f->class && !orch_same(f->class, orch_member_text(rec, "class"))))
        return false;
    if (f->event && !orch_same(f->event, orch_member_text(rec, "event")))
        return false;
    return !*f->since || !time || strcmp(time, f->since) >= 0; /* all times have one form and length */
}

static int take_record(void *ctx, const struct orch_json *doc)
{
    const cJSON *rec = orch_json_root(doc);
    const char *event = orch_member_text(rec, "event");
    struct summary *s = ctx;
    size_t at;

    s->n_records++;
    keep(&s->run, orch_member_text(rec, "run"));
    if (!in_phase(s->filter, rec) || (!orch_same(event, "attempt") && !orch_filter_takes(s->filter, rec)))
        return 0; /* an attempt's record says what was watched: of use whatever else is asked for */
    if (orch_same(event, "run") || orch_same(event, "gate")) {
        take_decision(s, rec);
    } else if (orch_same(event, "attempt")) {
        take_attempt(s, rec);
    } else if (orch_same(event, "denial")) {
        take_denial(s, rec);
    } else if (orch_same(event, "limit")) {
        at = section_of(s, rec);
        keep(&s->sections[at].limit, orch_member_text(rec, "limit"));
    } else if (orch_same(event, "exec")) {
        at = section_of(s, rec);
        add_to(&s->sections[at].execs, orch_member_number(rec, "count", 1));
    }
    return 0;
}

void orch_summary_fini(struct summary *s)
{
    for (size_t i = 0; i < s->n_sections; i++) {
        free(s->sections[i].phase);
        free(s->sections[i].gate);
        free(s->sections[i].tier);
        free(s->sections[i].level);
        free(s->sections[i].limit);
    }
    orch_audit_map_fini(&s->map);
    orch_buf_fini(&s->decisions);
    free(s->sections);
    free(s->rows);
    free(s->run);
}

static int text_order(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "");
}

/* By section, class, count downwards, then text, so that two reports of one log are the same. */
static int row_order(const void *va, const void *vb)
{
    const struct row *a = va, *b = vb;
    int rc;

    if (a->section != b->section)
        return a->section < b->section ? -1 : 1;
    rc = text_order(a->f[F_CLASS], b->f[F_CLASS]);
    if (rc == 0 && a->count != b->count)
        return a->count > b->count ? -1 : 1;
    for (size_t i = 0; rc == 0 && i < N_FIELDS; i++)
        rc = text_order(a->f[i], b->f[i]);
    return rc;
}

int orch_flush_out(struct orch_buf *out, int fd, size_t at_least, struct orch_err *err)
{
    int rc;

    if (out->len < at_least || out->len == 0)
        return 0;
    rc = orch_write_all(fd, out->data, out->len);
    orch_buf_reset(out);
    return rc < 0 ? orch_err_sys(err, -rc, "cannot write the report") : 0;
}

int orch_summary_read(int run_dirfd, const struct orch_audit_filter *filter, struct summary *ret,
                      bool *ret_torn, char ret_head[ORCH_HEX_SIZE], struct orch_err *err)
{
    int rc;

    *ret = (struct summary){.filter = filter};
    rc = orch_chain_read(run_dirfd, ORCH_AUDIT_FILE, take_record, ret, ret_torn, ret_head, err);
    if (rc == 0 && ret->map.n > 0)
        qsort(ret->rows, ret->map.n, sizeof(ret->rows[0]), row_order);
    return rc;
}
