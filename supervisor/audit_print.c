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
#include "supervisor/suggest.h"

/*
 * What a level watches and what it cannot see (design 7): said with every report, so that silence is not
 * taken for proof. tests/lib/unseen.py tries each of it in a sandbox, and finds each in docs/threat-model.md.
 */
static const struct completeness {
    const char *level, *watched;
    const char *unseen; /* beside what no level sees */
} completeness[] = {
    {"writes", "every call that changes the tree, every refused program, address and system call",
     "opening only to read, and looking without opening (stat, access, readlink, chdir, xattrs, statfs, "
     "inotify)"},
    {"opens", "every open, every call that changes the tree, every refused program, address and system call",
     "looking without opening (stat, access, readlink, chdir, xattrs, statfs, inotify)"},
    {"paths", "every call that names a path, every refused program, address and system call", NULL},
};

static const char *const never_seen[] = {
    "calls on descriptors that are open already (fchmod, ftruncate, fsetxattr)",
    "sendmsg and sendmmsg with an address",
    "what the kernel opens by itself to start a program (the interpreter of a script)",
    "mapping as code what may not run (mmap, mprotect)",
    ("what the kernel refuses by rules of its own: modes and owners of files, privileges, EXDEV, limits of "
     "resources, /proc"),
    "calls that a rule of the profile lets through and no group has (mount, chroot, name_to_handle_at)",
    "which calls were answered ENOSYS (they are counted)",
};

/* A path; the exact bytes too where they are not UTF-8. */
static void put_path(struct orch_buf *out, const char *before, const char *path, const char *b64)
{
    orch_put(out, before, path);
    orch_put(out, " (exact bytes in base64: ", b64);
    if (b64)
        orch_buf_char(out, ')');
}

/* Beside a group: what would allow it, as far as that is proved (suggest.h). */
static void print_suggested(struct orch_buf *out, const char *indent, const struct orch_suggested *v)
{
    if (!v)
        return;
    if (v->line)
        orch_buf_printf(out, "%sto allow, %s\n", indent, v->line);
    if (v->line && v->bounds)
        orch_buf_printf(out, "%s  %s\n", indent, v->bounds);
    if (v->why)
        orch_buf_printf(out, "%sno line to allow it: %s\n", indent, v->why);
}

static void print_row(struct orch_buf *out, const struct row *r, const struct section *c,
                      struct orch_suggester *s)
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
    print_suggested(out, "           ", orch_suggest(s, r, c->phase, c->gate, orch_section_nested(c)));
}

static void print_completeness(struct orch_buf *out, const struct section *c)
{
    const struct completeness *level = NULL;

    for (size_t i = 0; i < ORCH_NELEM(completeness); i++)
        if (orch_same(c->level, completeness[i].level))
            level = &completeness[i];
    if (!level) {
        orch_buf_str(out, "  watched: not on record for this section\n");
        return;
    }
    orch_buf_printf(out, "  watched: %s\n", level->watched);
    if (level->unseen)
        orch_buf_printf(out, "  not seen: %s\n", level->unseen);
}

/* Once, at the end of a report. */
static void print_never_seen(struct orch_buf *out)
{
    orch_buf_str(out, "\nno level sees:\n");
    for (size_t i = 0; i < ORCH_NELEM(never_seen); i++)
        orch_buf_printf(out, "  %s\n", never_seen[i]);
}

static void print_section(struct orch_buf *out, const struct section *c, struct orch_suggester *s)
{
    const char *builtin;

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
    if (c->limit) {
        orch_put(out, "  ended by its limit '", c->limit);
        orch_buf_str(out, "'\n");
        print_suggested(out, "    ", orch_suggest_limit(s, c->limit, c->phase, c->gate));
    }
    builtin = c->denials || c->limit ? orch_suggest_builtin(s, c->phase, c->gate) : NULL;
    if (builtin)
        orch_buf_printf(out, "  its profile '%s' is built in: lines go into a profile that extends it\n",
                        builtin);
}

static int print_rows(const struct summary *s, size_t section, size_t *at, struct orch_suggester *suggester,
                      struct orch_buf *out, int fd, struct orch_err *err)
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
        print_row(out, r, &s->sections[section], suggester);
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

static int print_summary(const struct summary *s, const char *head, bool torn, int fd,
                         struct orch_suggester *suggester, struct orch_err *err)
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
        print_section(&out, &s->sections[i], suggester);
        rc = print_rows(s, i, &at, suggester, &out, fd, err);
    }
    if (s->n_sections > 0)
        print_never_seen(&out);
    return rc < 0 ? rc : orch_flush_out(&out, fd, 0, err);
}

static int print_text(int run_dirfd, int out_fd, const struct orch_audit_filter *filter,
                      struct orch_suggester *suggester, struct orch_err *err)
{
    ORCH_AUTO(orch_summary_fini) struct summary s = {0};
    char head[ORCH_HEX_SIZE];
    bool torn;
    int rc = orch_summary_read(run_dirfd, filter, &s, &torn, head, err);

    return rc < 0 ? rc : print_summary(&s, head, torn, out_fd, suggester, err);
}

int orch_audit_print(int run_dirfd, int out_fd, enum orch_audit_format format,
                     const struct orch_audit_filter *filter, struct orch_err *err)
{
    return orch_audit_print_suggested(run_dirfd, out_fd, format, filter, NULL, err);
}

int orch_audit_print_suggested(int run_dirfd, int out_fd, enum orch_audit_format format,
                               const struct orch_audit_filter *filter, struct orch_suggester *suggester,
                               struct orch_err *err)
{
    static const struct orch_audit_filter all;
    static int (*const formats[])(int, int, const struct orch_audit_filter *, struct orch_suggester *,
                                  struct orch_err *) = {
        [ORCH_AUDIT_TEXT] = print_text,
        [ORCH_AUDIT_JSON] = orch_export_json,
        [ORCH_AUDIT_CSV] = orch_export_csv,
        [ORCH_AUDIT_SARIF] = orch_export_sarif,
    };

    return formats[format](run_dirfd, out_fd, filter ? filter : &all, suggester, err);
}
