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
#include "supervisor/audit_rows.h"

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

/* A path; the exact bytes too where they are not UTF-8. */
static void put_path(struct orch_buf *out, const char *before, const char *path, const char *b64)
{
    orch_put(out, before, path);
    orch_put(out, " (exact bytes in base64: ", b64);
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
    bool reads = !r->f[F_ACCESS] || orch_same(r->f[F_ACCESS], "read") || orch_same(r->f[F_ACCESS], "look");

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
           !orch_rule_points_to(rule, ORCH_POINTER_CREATE) &&
           !orch_rule_points_to(rule, ORCH_POINTER_SYSCALLS) && strcmp(rule, ORCH_RULE_ABSENT) != 0;
}

/*
 * The line of a profile that would allow it. None for what no profile can say: a path that is not UTF-8 or
 * not absolute, a call from a foreign ABI, a number without a name, networks and control requests.
 */
static void suggest(struct orch_buf *out, const struct row *r)
{
    const char *class = r->f[F_CLASS], *path = r->f[F_PATH];
    bool nameable = path && path[0] == '/' && !r->f[F_PATH_B64];

    if (orch_same(r->f[F_ACTION], "kill") || is_own_place(r->f[F_RULE]))
        return;
    if (orch_rule_points_to(r->f[F_RULE], ORCH_POINTER_CREATE))
        orch_buf_str(out, "           to allow, add its kind (file, directory, symlink) to \"create\"\n");
    else if (orch_same(class, "exec") ||
             (orch_same(class, "filesystem") && orch_same(r->f[F_ACCESS], "exec"))) {
        if (nameable)
            suggest_tool(out, r);
    } else if (orch_same(class, "filesystem")) {
        if (nameable)
            suggest_path(out, r);
    } else if (orch_same(class, "syscall") && r->f[F_SYSCALL] && r->f[F_SYSCALL][0] != '#') {
        suggest_syscall(out, r);
    }
}

static void print_row(struct orch_buf *out, const struct row *r)
{
    orch_buf_printf(out, "  %7" PRIu64 "x", r->count);
    orch_put(out, " ", r->f[F_SYSCALL]);
    orch_put_args_text(out, " (", r->f[F_ARGS], ")");
    orch_put(out, " ", r->f[F_ACCESS]);
    put_path(out, " ", r->f[F_PATH], r->f[F_PATH_B64]);
    put_path(out, " and ", r->f[F_PATH2], r->f[F_PATH2_B64]);
    orch_put(out, " -> ", r->f[F_ERRNO]);
    if (orch_same(r->f[F_ACTION], "kill"))
        orch_buf_str(out, " -> killed");
    orch_put(out, " (", r->f[F_DETAIL]);
    orch_buf_str(out, r->f[F_DETAIL] ? ")" : "");
    orch_buf_str(out, r->quiet ? ", quiet" : "");
    put_path(out, ", by ", r->f[F_EXE] ? r->f[F_EXE] : r->f[F_COMM], r->f[F_EXE_B64]);
    orch_put(out, ", rule ", r->f[F_RULE]);
    orch_buf_char(out, '\n');
    suggest(out, r);
}

static void print_completeness(struct orch_buf *out, const struct section *c)
{
    for (size_t i = 0; i < ORCH_NELEM(completeness); i++) {
        if (orch_same(c->level, completeness[i].level)) {
            orch_buf_printf(out, "  watched: %s\n  not seen: %s\n", completeness[i].watched,
                            completeness[i].unseen);
            return;
        }
    }
    orch_buf_str(out, "  watched: not on record for this section\n");
}

static void print_section(struct orch_buf *out, const struct section *c)
{
    orch_put(out, "\nphase ", c->phase ? c->phase : "(none)");
    if (c->phase)
        orch_buf_printf(out, ", attempt %u", c->attempt);
    orch_put(out, ", gate ", c->gate);
    orch_put(out, ": tier ", c->tier ? c->tier : "not recorded");
    orch_put(out, ", level ", c->level ? c->level : "not recorded");
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

static int print_rows(const struct summary *s, size_t section, size_t *at, struct orch_buf *out, int fd,
                      struct orch_err *err)
{
    const char *class = NULL;
    int rc = 0;

    for (; rc == 0 && *at < s->map.n && s->rows[*at].section == section; ++*at) {
        const struct row *r = &s->rows[*at];

        if (!orch_same(class, r->f[F_CLASS])) {
            orch_put(out, "  ", r->f[F_CLASS]);
            orch_buf_char(out, '\n');
        }
        class = r->f[F_CLASS];
        print_row(out, r);
        rc = orch_flush_out(out, fd, ORCH_OUT_CHUNK, err);
    }
    return rc;
}

/* A part of a log is not taken for all of it. */
static void print_filter(struct orch_buf *out, const struct orch_audit_filter *f)
{
    if (!f->phase && !f->class && !f->event && !*f->since)
        return;
    orch_buf_str(out, "shown: only what was asked for");
    orch_put(out, ", phase ", f->phase);
    if (f->attempt)
        orch_buf_printf(out, ".%u", f->attempt);
    orch_put(out, ", class ", f->class);
    orch_put(out, ", event ", f->event);
    orch_put(out, ", since ", *f->since ? f->since : NULL);
    orch_buf_char(out, '\n');
}

static int print_summary(const struct summary *s, const char *head, bool torn, int fd, struct orch_err *err)
{
    ORCH_AUTO_BUF struct orch_buf out = {0};
    size_t at = 0;
    int rc = 0;

    orch_put(&out, "run ", s->run ? s->run : "(none)");
    orch_buf_printf(&out, ": %" PRIu64 " records, chain intact, head %s\n", s->n_records, head);
    if (torn)
        orch_buf_str(&out, "the last record is torn (the writer was cut off); it is left out\n");
    print_filter(&out, s->filter);
    orch_buf_add(&out, s->decisions.data ? s->decisions.data : "", s->decisions.len);
    for (size_t i = 0; rc == 0 && i < s->n_sections; i++) {
        print_section(&out, &s->sections[i]);
        rc = print_rows(s, i, &at, &out, fd, err);
    }
    return rc < 0 ? rc : orch_flush_out(&out, fd, 0, err);
}

static int print_text(int run_dirfd, int out_fd, const struct orch_audit_filter *filter, struct orch_err *err)
{
    ORCH_AUTO(orch_summary_fini) struct summary s = {0};
    char head[ORCH_HEX_SIZE];
    bool torn;
    int rc = orch_summary_read(run_dirfd, filter, &s, &torn, head, err);

    return rc < 0 ? rc : print_summary(&s, head, torn, out_fd, err);
}

int orch_audit_print(int run_dirfd, int out_fd, enum orch_audit_format format,
                     const struct orch_audit_filter *filter, struct orch_err *err)
{
    static const struct orch_audit_filter all;
    static int (*const formats[])(int, int, const struct orch_audit_filter *, struct orch_err *) = {
        [ORCH_AUDIT_TEXT] = print_text,
        [ORCH_AUDIT_JSON] = orch_export_json,
        [ORCH_AUDIT_CSV] = orch_export_csv,
        [ORCH_AUDIT_SARIF] = orch_export_sarif,
    };

    return formats[format](run_dirfd, out_fd, filter ? filter : &all, err);
}
