/*
 * audit_print.c - the audit log for people: what was refused, how often, to whom, by which rule, and what
 * would allow it.
 *
 * The chain is verified to its end before anything is printed: a record is only as good as the one that
 * follows it.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/escape.h"
#include "common/io.h"
#include "supervisor/audit_int.h"

#define AUDIT_FILE "audit.jsonl"
#define OUT_CHUNK 65536

/* The members of a denial that tell one line of the report from another. */
enum field {
    F_CLASS,
    F_SYSCALL,
    F_ACCESS,
    F_PATH,
    F_PATH_B64,
    F_PATH2,
    F_PATH2_B64,
    F_ERRNO,
    F_ACTION,
    F_RULE,
    F_EXE,
    F_EXE_B64,
    F_COMM,
    F_DETAIL,
    N_FIELDS
};

static const char *const field_names[N_FIELDS] = {
    [F_CLASS] = "class",         [F_SYSCALL] = "syscall",   [F_ACCESS] = "access",
    [F_PATH] = "path",           [F_PATH_B64] = "path_b64", [F_PATH2] = "path2",
    [F_PATH2_B64] = "path2_b64", [F_ERRNO] = "errno",       [F_ACTION] = "action",
    [F_RULE] = "rule",           [F_EXE] = "exe",           [F_EXE_B64] = "exe_b64",
    [F_COMM] = "comm",           [F_DETAIL] = "detail",
};

struct row {
    const char *f[N_FIELDS]; /* within the map's key; NULL = not in the record */
    uint32_t section, quiet;
    uint64_t count;
};

/* What happened under one phase, attempt and gate. */
struct section {
    char *phase, *gate, *tier, *level;
    unsigned attempt;
    uint64_t denials, quiet, execs, fallbacks, fakes;
    bool lower_bound;
};

struct summary {
    struct orch_audit_map map; /* of rows */
    struct row *rows;
    struct section *sections;
    size_t rows_cap, n_sections;
    uint64_t n_records;
    char *run;
    struct orch_buf decisions; /* of the operator, a line each */
};

/* What a level watches and what it cannot see (design 7): said with every report, so that silence is not
 * taken for proof. */
static const struct completeness {
    const char *level, *watched, *unseen;
} completeness[] = {
    {"writes", "every call that changes the tree, every refused program and system call",
     "reads of hidden names (open, stat, access, readlink), calls on descriptors already open, EXDEV given "
     "by the "
     "kernel, sendmsg with an address"},
    {"opens", "every open, every call that changes the tree, every refused program and system call",
     "stat, access and readlink of hidden names, calls on descriptors already open, EXDEV given by the "
     "kernel, "
     "sendmsg with an address"},
    {"paths", "every call that names a path, every refused program and system call",
     "calls on descriptors already open, EXDEV given by the kernel, sendmsg with an address"},
};

static const char *text_of(const cJSON *rec, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(rec, name));
}

static uint64_t number_of(const cJSON *rec, const char *name, uint64_t absent)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(rec, name);

    return cJSON_IsNumber(item) && item->valuedouble >= 0 ? (uint64_t)item->valuedouble : absent;
}

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* The section a record belongs to: mostly the last one, but an attempt's own record may come after its
 * gates'. */
static size_t section_of(struct summary *s, const cJSON *rec)
{
    const char *phase = text_of(rec, "phase"), *gate = text_of(rec, "gate");
    unsigned attempt = (unsigned)number_of(rec, "attempt", 0);

    for (size_t i = s->n_sections; i-- > 0;) {
        const struct section *c = &s->sections[i];

        if (c->attempt == attempt && same(c->phase, phase) && same(c->gate, gate))
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
    const char *level = text_of(rec, "level"), *counts = text_of(rec, "counts");

    keep(&c->level, level ? level : text_of(rec, "audit_level"));
    keep(&c->tier, text_of(rec, "tier"));
    c->fallbacks += number_of(rec, "fallbacks", 0);
    c->fakes += number_of(rec, "fakes", 0);
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

static void take_denial(struct summary *s, const cJSON *rec)
{
    ORCH_AUTO_BUF struct orch_buf key = {0};
    uint32_t section = (uint32_t)section_of(s, rec);
    uint32_t quiet = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(rec, "quiet"));
    uint64_t n = number_of(rec, "count", 1), hash;
    size_t at;

    orch_buf_add(&key, &section, sizeof(section));
    orch_buf_add(&key, &quiet, sizeof(quiet));
    for (size_t i = 0; i < N_FIELDS; i++)
        orch_key_str(&key, text_of(rec, field_names[i]));
    hash = orch_audit_map_hash(&s->map, key.data, key.len);
    at = orch_audit_map_find(&s->map, key.data, key.len, hash);
    (at == ORCH_MAP_NONE ? row_add(s, &key, hash) : &s->rows[at])->count += n;
    s->sections[section].denials += n;
    s->sections[section].quiet += quiet ? n : 0;
}

static void put(struct orch_buf *out, const char *before, const char *s)
{
    if (!s)
        return;
    orch_buf_str(out, before);
    orch_escape_term(out, s, strlen(s));
}

/* Overrides, approvals, what was given up: whoever reads the log must not miss them. */
static void take_decision(struct summary *s, const cJSON *rec)
{
    const char *what = text_of(rec, "kind"), *word = text_of(rec, "decision");

    if (!what && !word && !same(text_of(rec, "state"), "discarded"))
        return;
    put(&s->decisions, "operator ", text_of(rec, "user"));
    put(&s->decisions, ": ", what ? what : word ? word : "discard");
    put(&s->decisions, " ", what ? text_of(rec, "target") : text_of(rec, "phase"));
    put(&s->decisions, "/", what ? text_of(rec, "target_gate") : text_of(rec, "name"));
    put(&s->decisions, ": ", text_of(rec, "reason"));
    orch_buf_char(&s->decisions, '\n');
}

static int take_record(void *ctx, const struct orch_json *doc)
{
    const cJSON *rec = orch_json_root(doc);
    const char *event = text_of(rec, "event");
    struct summary *s = ctx;
    size_t at;

    s->n_records++;
    keep(&s->run, text_of(rec, "run"));
    if (same(event, "run") || same(event, "gate")) {
        take_decision(s, rec);
    } else if (same(event, "attempt")) {
        take_attempt(s, rec);
    } else if (same(event, "denial")) {
        take_denial(s, rec);
    } else if (same(event, "exec")) {
        at = section_of(s, rec);
        s->sections[at].execs += number_of(rec, "count", 1);
    }
    return 0;
}

static void summary_fini(struct summary *s)
{
    for (size_t i = 0; i < s->n_sections; i++) {
        free(s->sections[i].phase);
        free(s->sections[i].gate);
        free(s->sections[i].tier);
        free(s->sections[i].level);
    }
    orch_audit_map_fini(&s->map);
    orch_buf_fini(&s->decisions);
    free(s->sections);
    free(s->rows);
    free(s->run);
}

/* A path; the exact bytes too where they are not UTF-8. */
static void put_path(struct orch_buf *out, const char *before, const char *path, const char *b64)
{
    put(out, before, path);
    put(out, " (exact bytes in base64: ", b64);
    if (b64)
        orch_buf_char(out, ')');
}

static void put_quoted(struct orch_buf *out, const char *s)
{
    orch_buf_char(out, '"');
    (void)orch_escape_json(out, s, strlen(s));
    orch_buf_char(out, '"');
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static void suggest_tool(struct orch_buf *out, const struct row *r)
{
    orch_buf_str(out, "           to allow, in \"tools\": {\"name\": ");
    put_quoted(out, base_name(r->f[F_PATH]));
    orch_buf_str(out, ", \"path\": ");
    put_quoted(out, r->f[F_PATH]);
    orch_buf_str(out, "}\n");
}

static void suggest_path(struct orch_buf *out, const struct row *r)
{
    bool reads = !r->f[F_ACCESS] || same(r->f[F_ACCESS], "read") || same(r->f[F_ACCESS], "look");

    orch_buf_str(out, "           to allow, in \"filesystem\": {\"path\": ");
    put_quoted(out, r->f[F_PATH]);
    orch_buf_str(out, reads ? ", \"access\": \"ro\"}\n" : ", \"access\": \"rw\"}\n");
}

static void suggest_syscall(struct orch_buf *out, const struct row *r)
{
    orch_buf_str(out, "           to allow, in \"syscalls\", \"allow\": ");
    put_quoted(out, r->f[F_SYSCALL]);
    orch_buf_char(out, '\n');
}

/* What the sandbox itself puts there (/orch, /proc, its files of /etc) no profile can open; "not in the view"
 * one can. */
static bool is_own_place(const char *rule)
{
    return rule && strncmp(rule, "sandbox#/", 9) == 0 && strcmp(rule, "sandbox#/view") != 0 &&
           strcmp(rule, ORCH_RULE_ABSENT) != 0;
}

/*
 * The line of a profile that would allow it. None for what no profile can say: a path that is not UTF-8 or
 * not absolute, a call from a foreign ABI, a number without a name, networks and control requests.
 */
static void suggest(struct orch_buf *out, const struct row *r)
{
    const char *class = r->f[F_CLASS], *path = r->f[F_PATH];
    bool nameable = path && path[0] == '/' && !r->f[F_PATH_B64];

    if (same(r->f[F_ACTION], "kill") || is_own_place(r->f[F_RULE]))
        return;
    if (same(r->f[F_RULE], "profile#/create"))
        orch_buf_str(out, "           to allow, add its kind (file, directory, symlink) to \"create\"\n");
    else if (same(class, "exec") || (same(class, "filesystem") && same(r->f[F_ACCESS], "exec"))) {
        if (nameable)
            suggest_tool(out, r);
    } else if (same(class, "filesystem")) {
        if (nameable)
            suggest_path(out, r);
    } else if (same(class, "syscall") && r->f[F_SYSCALL] && r->f[F_SYSCALL][0] != '#') {
        suggest_syscall(out, r);
    }
}

static void print_row(struct orch_buf *out, const struct row *r)
{
    orch_buf_printf(out, "  %7" PRIu64 "x", r->count);
    put(out, " ", r->f[F_SYSCALL]);
    put(out, " ", r->f[F_ACCESS]);
    put_path(out, " ", r->f[F_PATH], r->f[F_PATH_B64]);
    put_path(out, " and ", r->f[F_PATH2], r->f[F_PATH2_B64]);
    put(out, " -> ", r->f[F_ERRNO]);
    if (same(r->f[F_ACTION], "kill"))
        orch_buf_str(out, " -> killed");
    put(out, " (", r->f[F_DETAIL]);
    orch_buf_str(out, r->f[F_DETAIL] ? ")" : "");
    orch_buf_str(out, r->quiet ? ", quiet" : "");
    put_path(out, ", by ", r->f[F_EXE] ? r->f[F_EXE] : r->f[F_COMM], r->f[F_EXE_B64]);
    put(out, ", rule ", r->f[F_RULE]);
    orch_buf_char(out, '\n');
    suggest(out, r);
}

static void print_completeness(struct orch_buf *out, const struct section *c)
{
    for (size_t i = 0; i < ORCH_NELEM(completeness); i++) {
        if (same(c->level, completeness[i].level)) {
            orch_buf_printf(out, "  watched: %s\n  not seen: %s\n", completeness[i].watched,
                            completeness[i].unseen);
            return;
        }
    }
    orch_buf_str(out, "  watched: not on record for this section\n");
}

static void print_section(struct orch_buf *out, const struct section *c)
{
    put(out, "\nphase ", c->phase ? c->phase : "(none)");
    if (c->phase)
        orch_buf_printf(out, ", attempt %u", c->attempt);
    put(out, ", gate ", c->gate);
    put(out, ": tier ", c->tier ? c->tier : "not recorded");
    put(out, ", level ", c->level ? c->level : "not recorded");
    orch_buf_printf(out,
                    "\n  %" PRIu64 " denials (%" PRIu64 " of them quiet), %" PRIu64 " programs started\n",
                    c->denials, c->quiet, c->execs);
    if (c->lower_bound)
        orch_buf_str(out, "  the supervisor died during this attempt: all counts are a lower bound\n");
    print_completeness(out, c);
    if (c->fallbacks > 0 || c->fakes > 0)
        orch_buf_printf(out,
                        "  not denials: %" PRIu64
                        " calls answered ENOSYS to make programs fall back, %" PRIu64
                        " answered without effect\n",
                        c->fallbacks, c->fakes);
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

static int flush_out(struct orch_buf *out, int fd, size_t at_least, struct orch_err *err)
{
    int rc;

    if (out->len < at_least || out->len == 0)
        return 0;
    rc = orch_write_all(fd, out->data, out->len);
    orch_buf_reset(out);
    return rc < 0 ? orch_err_sys(err, -rc, "cannot write the report") : 0;
}

static int print_rows(const struct summary *s, size_t section, size_t *at, struct orch_buf *out, int fd,
                      struct orch_err *err)
{
    const char *class = NULL;
    int rc = 0;

    for (; rc == 0 && *at < s->map.n && s->rows[*at].section == section; ++*at) {
        const struct row *r = &s->rows[*at];

        if (!same(class, r->f[F_CLASS])) {
            put(out, "  ", r->f[F_CLASS]);
            orch_buf_char(out, '\n');
        }
        class = r->f[F_CLASS];
        print_row(out, r);
        rc = flush_out(out, fd, OUT_CHUNK, err);
    }
    return rc;
}

static int print_summary(struct summary *s, const char *head, bool torn, int fd, struct orch_err *err)
{
    ORCH_AUTO_BUF struct orch_buf out = {0};
    size_t at = 0;
    int rc = 0;

    if (s->map.n > 0)
        qsort(s->rows, s->map.n, sizeof(s->rows[0]), row_order);
    put(&out, "run ", s->run ? s->run : "(none)");
    orch_buf_printf(&out, ": %" PRIu64 " records, chain intact, head %s\n", s->n_records, head);
    if (torn)
        orch_buf_str(&out, "the last record is torn (the writer was cut off); it is left out\n");
    orch_buf_add(&out, s->decisions.data ? s->decisions.data : "", s->decisions.len);
    for (size_t i = 0; rc == 0 && i < s->n_sections; i++) {
        print_section(&out, &s->sections[i]);
        rc = print_rows(s, i, &at, &out, fd, err);
    }
    return rc < 0 ? rc : flush_out(&out, fd, 0, err);
}

struct emit {
    struct orch_buf out;
    int fd;
    struct orch_err *err;
};

/* The record's own bytes: what the chain proves is what the reader of the JSON can check again. */
static int emit_record(void *ctx, const struct orch_json *doc)
{
    struct emit *e = ctx;
    size_t n;
    const char *text = orch_json_text(doc, &n);

    orch_buf_add(&e->out, text, n);
    orch_buf_char(&e->out, '\n');
    return flush_out(&e->out, e->fd, OUT_CHUNK, e->err);
}

static int print_json(int run_dirfd, int out_fd, struct orch_err *err)
{
    struct emit e = {.fd = out_fd, .err = err};
    int rc = orch_chain_read(run_dirfd, AUDIT_FILE, NULL, NULL, NULL, NULL, err);

    if (rc == 0)
        rc = orch_chain_read(run_dirfd, AUDIT_FILE, emit_record, &e, NULL, NULL, err);
    if (rc == 0)
        rc = flush_out(&e.out, out_fd, 0, err);
    orch_buf_fini(&e.out);
    return rc;
}

int orch_audit_print(int run_dirfd, int out_fd, bool json, struct orch_err *err)
{
    ORCH_AUTO(summary_fini) struct summary s = {0};
    char head[ORCH_HEX_SIZE];
    bool torn;
    int rc;

    if (json)
        return print_json(run_dirfd, out_fd, err);
    rc = orch_chain_read(run_dirfd, AUDIT_FILE, take_record, &s, &torn, head, err);
    return rc < 0 ? rc : print_summary(&s, head, torn, out_fd, err);
}
