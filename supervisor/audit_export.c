/*
 * audit_export.c - the audit log for other programs: its own lines, CSV, SARIF.
 *
 * Everything is ASCII: what is not, and each control byte, is escaped in the way of the format, so that no
 * reader meets a byte that an agent chose to confuse it. Exact bytes stay recoverable from the members
 * "..._b64".
 */
#include <inttypes.h>
#include <string.h>

#include "common/escape.h"
#include "supervisor/suggest.h"

#ifndef ORCH_VERSION
#define ORCH_VERSION "0.1.0"
#endif

struct emit {
    struct orch_buf out;
    int fd;
    const struct orch_audit_filter *filter;
    struct orch_suggester *suggester;
    struct orch_err *err;
    void (*put)(struct emit *e, const struct orch_json *doc);
    bool nested; /* the tier of the last attempt that began */
};

static int emit_record(void *ctx, const struct orch_json *doc)
{
    struct emit *e = ctx;
    const char *tier = orch_member_text(orch_json_root(doc), "tier");

    e->nested = tier ? orch_same(tier, "nested") : e->nested;
    if (!orch_filter_takes(e->filter, orch_json_root(doc)))
        return 0;
    e->put(e, doc);
    return orch_flush_out(&e->out, e->fd, ORCH_OUT_CHUNK, e->err);
}

/* Record by record; the whole log is verified before the first is written. */
static int emit_all(struct emit *e, int run_dirfd)
{
    int rc = orch_chain_read(run_dirfd, ORCH_AUDIT_FILE, NULL, NULL, NULL, NULL, e->err);

    if (rc == 0)
        rc = orch_chain_read(run_dirfd, ORCH_AUDIT_FILE, emit_record, e, NULL, NULL, e->err);
    if (rc == 0)
        rc = orch_flush_out(&e->out, e->fd, 0, e->err);
    orch_buf_fini(&e->out);
    return rc;
}

/* ---- JSON lines ---- */

/* The record's own bytes: what the chain proves is what the reader of the JSON can check again. */
static void put_json(struct emit *e, const struct orch_json *doc)
{
    size_t n;
    const char *text = orch_json_text(doc, &n);

    orch_buf_add(&e->out, text, n);
    orch_buf_char(&e->out, '\n');
}

int orch_export_json(int run_dirfd, int out_fd, const struct orch_audit_filter *filter,
                     struct orch_suggester *suggester, struct orch_err *err)
{
    struct emit e = {.fd = out_fd, .filter = filter, .err = err, .put = put_json};

    (void)suggester; /* the records are what they are */
    return emit_all(&e, run_dirfd);
}

/* ---- CSV (RFC 4180) ---- */

static const char *const columns[] = {
    "seq",     "time",    "run",         "phase",    "attempt", "gate",      "event",  "class",
    "syscall", "access",  "path",        "path_b64", "path2",   "path2_b64", "errno",  "action",
    "rule",    "quiet",   "exe",         "exe_b64",  "comm",    "pid",       "detail", "count",
    "tid",     "parents", "parents_b64", "args",     "argv",    "argv_b64",
};

static void put_quoted(struct orch_buf *out, const char *s)
{
    orch_buf_char(out, '"');
    for (; *s; s++) {
        if (*s == '"')
            orch_buf_char(out, '"');
        orch_buf_char(out, *s);
    }
    orch_buf_char(out, '"');
}

/* Beside what is on record: what would allow it, and how that stands to parent and ceiling or why nothing
 * would. */
static const char more_columns[] = ",suggestion,suggestion_note";

/* A leading = + - @ would be a formula to a spreadsheet (CWE-1236): an apostrophe makes it text. */
static void put_cell(struct orch_buf *out, const char *s)
{
    ORCH_AUTO_FREE char *shown = orch_escape_str(s);

    if (strchr("=+-@", *shown) && *shown) {
        ORCH_AUTO_FREE char *text = orch_xasprintf("'%s", shown);
        put_quoted(out, text);
    } else {
        put_quoted(out, shown);
    }
}

/* What is a list or an object stays JSON: ASCII, and no formula. */
static void put_json_cell(struct orch_buf *out, const cJSON *rec, const char *name)
{
    ORCH_AUTO_FREE char *text = orch_member_json(rec, name);

    put_quoted(out, text);
}

static void put_suggestion(struct emit *e, const cJSON *rec)
{
    const struct orch_suggested *v;
    ORCH_AUTO_FREE char *args = orch_member_json(rec, "args");
    struct row row = {0};

    for (size_t i = 0; i < N_FIELDS; i++)
        row.f[i] = orch_member_text(rec, orch_field_names[i]);
    row.f[F_ARGS] = args;
    v = orch_same(orch_member_text(rec, "event"), "denial")
            ? orch_suggest(e->suggester, &row, orch_member_text(rec, "phase"), orch_member_text(rec, "gate"),
                           e->nested)
            : NULL;
    orch_buf_char(&e->out, ',');
    if (v && v->line)
        put_cell(&e->out, v->line);
    orch_buf_char(&e->out, ',');
    if (v && (v->bounds || v->why))
        put_cell(&e->out, v->bounds ? v->bounds : v->why);
}

/* Only a forged log has a negative one, which begins as a formula does. */
static void put_number(struct orch_buf *out, double n)
{
    ORCH_AUTO_FREE char *text = orch_xasprintf("%.0f", n);

    if (text[0] == '-')
        put_cell(out, text);
    else
        orch_buf_str(out, text);
}

static void put_csv(struct emit *e, const struct orch_json *doc)
{
    const cJSON *rec = orch_json_root(doc);
    struct orch_buf *out = &e->out;

    for (size_t i = 0; i < ORCH_NELEM(columns); i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(rec, columns[i]);

        if (i)
            orch_buf_char(out, ',');
        if (cJSON_IsString(item))
            put_cell(out, item->valuestring);
        else if (cJSON_IsNumber(item))
            put_number(out, item->valuedouble);
        else if (cJSON_IsBool(item))
            orch_buf_str(out, cJSON_IsTrue(item) ? "true" : "false");
        else if (item)
            put_json_cell(out, rec, columns[i]);
    }
    put_suggestion(e, rec);
    orch_buf_str(out, "\r\n");
}

int orch_export_csv(int run_dirfd, int out_fd, const struct orch_audit_filter *filter,
                    struct orch_suggester *suggester, struct orch_err *err)
{
    struct emit e = {.fd = out_fd, .filter = filter, .suggester = suggester, .err = err, .put = put_csv};

    for (size_t i = 0; i < ORCH_NELEM(columns); i++)
        orch_buf_printf(&e.out, "%s%s", i ? "," : "", columns[i]);
    orch_buf_printf(&e.out, "%s\r\n", more_columns);
    return emit_all(&e, run_dirfd);
}

/* ---- SARIF 2.1.0 (OASIS) ---- */

static const struct {
    const char *class, *id, *text, *help;
} sarif_rules[] = {
    {"filesystem", "orch/filesystem", "The profile does not permit this access to a path.",
     "If the work needs it, add the path to \"filesystem\" with the least access that does."},
    {"exec", "orch/exec", "The program is no tool of the profile.",
     "If the work needs it, add the program to \"tools\"."},
    {"syscall", "orch/syscall", "The profile does not permit this system call.",
     "If the work needs it, add the call to \"syscalls\", \"allow\", with a rule on its arguments where "
     "possible."},
    {"network", "orch/network", "The profile does not permit this connection.",
     "The network mode of the profile decides; \"none\" has no network at all."},
    {"control", "orch/control", "The request on the control socket was refused.",
     "Requests inform the supervisor; they change nothing, and are limited in size and rate."},
};

static size_t rule_index(const char *class)
{
    for (size_t i = 0; i < ORCH_NELEM(sarif_rules); i++)
        if (orch_same(class, sarif_rules[i].class))
            return i;
    return 0;
}

static void put_text(struct orch_jw *w, const char *key, const char *text)
{
    orch_jw_obj(w, key);
    orch_jw_str(w, "text", text);
    orch_jw_end(w, '}');
}

static void put_driver(struct orch_jw *w)
{
    orch_jw_obj(w, "tool");
    orch_jw_obj(w, "driver");
    orch_jw_str(w, "name", "orch-sandbox");
    orch_jw_str(w, "version", ORCH_VERSION);
    orch_jw_arr(w, "rules");
    for (size_t i = 0; i < ORCH_NELEM(sarif_rules); i++) {
        orch_jw_obj(w, NULL);
        orch_jw_str(w, "id", sarif_rules[i].id);
        put_text(w, "shortDescription", sarif_rules[i].text);
        put_text(w, "fullDescription", sarif_rules[i].text);
        put_text(w, "help", sarif_rules[i].help);
        orch_jw_end(w, '}');
    }
    orch_jw_end(w, ']');
    orch_jw_end(w, '}');
    orch_jw_end(w, '}');
}

static char *result_text(const struct row *r, const struct section *c, const struct orch_suggested *v)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};

    orch_put(&b, "", r->f[F_SYSCALL] ? r->f[F_SYSCALL] : r->f[F_CLASS]);
    orch_put_args_text(&b, " (", r->f[F_ARGS], ")");
    orch_put(&b, " ", r->f[F_ACCESS]);
    orch_put(&b, " ", r->f[F_PATH]);
    orch_put(&b, " and ", r->f[F_PATH2]);
    orch_put(&b, " refused with ", r->f[F_ERRNO]);
    orch_put(&b, ", by ", r->f[F_EXE] ? r->f[F_EXE] : r->f[F_COMM]);
    orch_put(&b, ", rule ", r->f[F_RULE]);
    orch_buf_printf(&b, ", %" PRIu64 " time%s", r->count, r->count == 1 ? "" : "s");
    orch_put(&b, ", in phase ", c->phase);
    orch_put(&b, ", gate ", c->gate);
    if (v && v->line)
        orch_buf_printf(&b, "; to allow, %s%s%s%s", v->line, v->bounds ? " (" : "",
                        v->bounds ? v->bounds : "", v->bounds ? ")" : "");
    return orch_xstrdup(b.data ? b.data : "");
}

/* Unreserved characters and '/' stay (RFC 3986). */
static void put_uri(struct orch_buf *out, const char *s, size_t n)
{
    static const char kept[] = "/-._~ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    for (size_t i = 0; i < n; i++) {
        if (strchr(kept, s[i]) && s[i])
            orch_buf_char(out, s[i]);
        else
            orch_buf_printf(out, "%%%02X", (unsigned char)s[i]);
    }
}

/* Where a reader can act: the document of the rule; a view of code scanning shows no result without a file.
 */
static void put_location(struct orch_jw *w, const struct row *r, const struct section *c)
{
    ORCH_AUTO_BUF struct orch_buf uri = {0};
    ORCH_AUTO_FREE char *place = orch_xasprintf("%s/%u%s%s", c->phase ? c->phase : "exec", c->attempt,
                                                c->gate ? "/" : "", c->gate ? c->gate : "");
    const char *rule = r->f[F_RULE] ? r->f[F_RULE] : "sandbox#/view";

    put_uri(&uri, rule, strcspn(rule, "#"));
    orch_jw_arr(w, "locations");
    orch_jw_obj(w, NULL);
    orch_jw_obj(w, "physicalLocation");
    orch_jw_obj(w, "artifactLocation");
    orch_jw_str(w, "uri", uri.len ? uri.data : "profile");
    orch_jw_end(w, '}');
    orch_jw_obj(w, "region");
    orch_jw_int(w, "startLine", 1);
    orch_jw_end(w, '}');
    orch_jw_end(w, '}');
    orch_jw_arr(w, "logicalLocations");
    orch_jw_obj(w, NULL);
    orch_jw_str(w, "fullyQualifiedName", place);
    orch_jw_end(w, '}');
    orch_jw_end(w, ']');
    orch_jw_end(w, '}');
    orch_jw_end(w, ']');
}

/* The same denial in two runs has one fingerprint: of all that tells rows apart, and of the phase. */
static void put_fingerprint(struct orch_jw *w, const struct row *r, const struct section *c)
{
    ORCH_AUTO_BUF struct orch_buf key = {0};
    char hex[ORCH_HEX_SIZE];

    orch_key_str(&key, c->phase);
    orch_key_str(&key, c->gate);
    for (size_t i = 0; i < N_FIELDS; i++)
        if (i != F_ARGS || r->f[i]) /* which came later than the others */
            orch_key_str(&key, r->f[i]);
    orch_sha256_buf(key.data, key.len, hex);
    orch_jw_obj(w, "partialFingerprints");
    orch_jw_str(w, "denial/v1", hex);
    orch_jw_end(w, '}');
}

static void put_result(struct orch_jw *w, const struct row *r, const struct section *c,
                       const struct orch_suggested *v)
{
    ORCH_AUTO_FREE char *text = result_text(r, c, v);
    size_t rule = rule_index(r->f[F_CLASS]);

    orch_jw_obj(w, NULL);
    orch_jw_str(w, "ruleId", sarif_rules[rule].id);
    orch_jw_uint(w, "ruleIndex", rule);
    orch_jw_str(w, "level", r->quiet ? "note" : "warning");
    put_text(w, "message", text);
    put_location(w, r, c);
    put_fingerprint(w, r, c);
    orch_jw_uint(w, "occurrenceCount", r->count);
    orch_jw_obj(w, "properties");
    for (size_t i = 0; i < N_FIELDS; i++)
        if (r->f[i])
            orch_jw_str(w, orch_field_names[i], r->f[i]);
    if (v && v->line)
        orch_jw_str(w, "suggestion", v->line);
    if (v && (v->bounds || v->why))
        orch_jw_str(w, "suggestionNote", v->bounds ? v->bounds : v->why);
    orch_jw_end(w, '}');
    orch_jw_end(w, '}');
}

int orch_export_sarif(int run_dirfd, int out_fd, const struct orch_audit_filter *filter,
                      struct orch_suggester *suggester, struct orch_err *err)
{
    ORCH_AUTO(orch_summary_fini) struct summary s = {0};
    ORCH_AUTO_BUF struct orch_buf out = {0};
    struct orch_jw w = {.out = &out};
    char head[ORCH_HEX_SIZE];
    bool torn;
    int rc = orch_summary_read(run_dirfd, filter, &s, &torn, head, err);

    if (rc < 0)
        return rc;
    orch_jw_obj(&w, NULL);
    orch_jw_str(&w, "$schema",
                "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json");
    orch_jw_str(&w, "version", "2.1.0");
    orch_jw_arr(&w, "runs");
    orch_jw_obj(&w, NULL);
    put_driver(&w);
    orch_jw_arr(&w, "results");
    for (size_t i = 0; rc == 0 && i < s.map.n; i++) {
        const struct section *c = &s.sections[s.rows[i].section];

        put_result(&w, &s.rows[i], c,
                   orch_suggest(suggester, &s.rows[i], c->phase, c->gate, orch_section_nested(c)));
        rc = orch_flush_out(&out, out_fd, ORCH_OUT_CHUNK, err);
    }
    orch_jw_end(&w, ']');
    orch_jw_obj(&w, "properties");
    orch_jw_str(&w, "run", s.run ? s.run : "");
    orch_jw_str(&w, "audit_head", head);
    orch_jw_end(&w, '}');
    orch_jw_end(&w, '}');
    orch_jw_end(&w, ']');
    orch_jw_end(&w, '}');
    orch_buf_char(&out, '\n');
    return rc < 0 ? rc : orch_flush_out(&out, out_fd, 0, err);
}
