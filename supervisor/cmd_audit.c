/*
 * cmd_audit.c - the verbs `audit` and `verify`.
 *
 * With --follow records are shown as they are written: nothing can be verified before what follows it is
 * there, so the chain is checked when the run has stopped, and the exit status says so.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/escape.h"
#include "common/exit.h"
#include "common/io.h"
#include "supervisor/keys.h"
#include "supervisor/outq.h"
#include "supervisor/runs.h"
#include "supervisor/suggest.h"

#define POLL_MS 200
#define READ_MAX 65536

static int open_run(const struct orch_options *opt, struct orch_rundir *ret, struct orch_err *err)
{
    ORCH_AUTO_FREE char *state = NULL;
    int k = orch_state_resolve(opt->state, &state, err);

    return k < 0 ? k : orch_rundir_open(state, opt->args[0], ret, err);
}

/* ---- what was asked for ---- */

struct query {
    struct orch_audit_filter filter;
    enum orch_audit_format format;
    char *phase; /* without ".N" */
};

static const char *const format_names[] = {"text", "json", "csv", "sarif", NULL};
static const char *const class_names[] = {"filesystem", "exec", "syscall", "network", "control", NULL};
static const char *const event_names[] = {"run",     "attempt", "exec", "denial", "syscall", "limit",
                                          "control", "gate",    "seal", "apply",  NULL};

/* The index of a word, or an error that lists them all. */
static int one_of(const char *option, const char *word, const char *const *names, struct orch_err *err)
{
    ORCH_AUTO_BUF struct orch_buf all = {0};
    ORCH_AUTO_FREE char *shown = orch_escape_str(word);

    for (int i = 0; names[i]; i++) {
        if (strcmp(names[i], word) == 0)
            return i;
        orch_buf_printf(&all, "%s%s", i ? ", " : "", names[i]);
    }
    return orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL, "--%s: '%s' is none of %s", option, shown, all.data);
}

/* An age, or a point in time of which the records' own form is made. */
static int parse_since(const char *text, char ret[ORCH_TIME_SIZE], struct orch_err *err)
{
    ORCH_AUTO_FREE char *shown = orch_escape_str(text);
    struct timespec t;
    struct tm tm = {0};
    uint64_t age;
    const char *end;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    if (orch_parse_age(text, &age) == 0) {
        t.tv_sec -= (time_t)(age / 1000);
        orch_time_format(t, ret);
        return 0;
    }
    end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!end || strcmp(end, "Z") != 0)
        return orch_err_exit(
            err, ORCH_EXIT_USAGE, EINVAL,
            "--since: '%s' is not an age (30s, 10m, 12h, 7d) or a time like 2026-01-02T03:04:05Z", shown);
    t = (struct timespec){.tv_sec = timegm(&tm)};
    orch_time_format(t, ret);
    return 0;
}

static int parse_format(const struct orch_options *opt, struct query *q, struct orch_err *err)
{
    int k = opt->format ? one_of("format", opt->format, format_names, err)
            : opt->json ? ORCH_AUDIT_JSON
                        : ORCH_AUDIT_TEXT;

    if (k < 0)
        return k;
    q->format = (enum orch_audit_format)k;
    if (opt->json && q->format != ORCH_AUDIT_JSON)
        return orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL, "--json and --format %s contradict each other",
                             opt->format);
    if (opt->follow && q->format > ORCH_AUDIT_JSON)
        return orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL,
                             "--follow shows text or JSON lines; %s is for a run that has stopped",
                             opt->format);
    return 0;
}

static int parse(const struct orch_options *opt, struct query *q, struct orch_err *err)
{
    int k = parse_format(opt, q, err);

    if (k == 0 && opt->phase)
        k = orch_attempt_arg(opt->phase, &q->phase, &q->filter.attempt, err);
    if (k == 0 && opt->since)
        k = parse_since(opt->since, q->filter.since, err);
    if (k == 0 && opt->class)
        k = one_of("class", opt->class, class_names, err);
    if (k >= 0 && opt->event)
        k = one_of("event", opt->event, event_names, err);
    q->filter.phase = q->phase;
    q->filter.class = opt->class;
    q->filter.event = opt->event;
    return k < 0 ? k : 0;
}

/* A phase that the run does not have is a mistake, not a quiet phase. */
static int check_phase(const struct orch_rundir *dir, const struct query *q, struct orch_err *err)
{
    struct orch_run_state s = {0};
    size_t index;
    bool torn;
    int k;

    if (!q->phase)
        return 0;
    k = orch_run_state_load(dir->fd, &s, &torn, err);
    if (k == 0)
        k = orch_run_phase_arg(&s, q->phase, &index, err);
    orch_run_state_fini(&s);
    return k;
}

/* ---- --follow ---- */

struct follow {
    const struct query *q;
    int fd;               /* of the log; -1 = it is not there yet */
    off_t whole;          /* where the record after the last complete one begins */
    struct orch_buf rest; /* bytes of a record that is not complete yet */
    struct orch_signals signals;
    struct orch_outq out;
};

static void put_line(struct orch_buf *out, const cJSON *rec)
{
    static const char *const shown[][2] = {
        {" ", "event"},    {" ", "class"},  {" ", "state"},   {" ", "type"},      {" ", "name"},
        {" ", "syscall"},  {" ", "access"}, {" ", "path"},    {" and ", "path2"}, {" -> ", "errno"},
        {": ", "verdict"}, {" ", "limit"},  {" (", "detail"},
    };

    orch_put(out, "", orch_member_text(rec, "time"));
    orch_put(out, " ", orch_member_text(rec, "phase"));
    if (orch_member_text(rec, "phase"))
        orch_buf_printf(out, ".%" PRIu64, orch_member_number(rec, "attempt", 0));
    orch_put(out, "/", orch_member_text(rec, "gate"));
    for (size_t i = 0; i < ORCH_NELEM(shown); i++)
        orch_put(out, shown[i][0], orch_member_text(rec, shown[i][1]));
    orch_buf_str(out, orch_member_text(rec, "detail") ? ")" : "");
    orch_put_args(out, " (", cJSON_GetObjectItemCaseSensitive(rec, "args"), ")");
    orch_put_words(out, ": ", cJSON_GetObjectItemCaseSensitive(rec, "argv"), " ");
    orch_put(out, ", by ", orch_member_text(rec, "exe"));
    if (orch_member_number(rec, "count", 1) != 1)
        orch_buf_printf(out, ", %" PRIu64 "x", orch_member_number(rec, "count", 1));
    orch_buf_char(out, '\n');
}

/* The writer escapes all else: what is shown before the chain can be checked is not to be anybody else's. */
static bool all_printable(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] < 0x20 || p[i] > 0x7e)
            return false;
    return true;
}

static int show(struct follow *f, const char *line, size_t n, struct orch_err *err)
{
    ORCH_AUTO(orch_json_freep) struct orch_json *doc = NULL;
    ORCH_AUTO(orch_diags_fini) struct orch_diags d = {0};
    ORCH_AUTO_BUF struct orch_buf text = {0};

    if (!all_printable(line, n) || orch_json_parse(ORCH_AUDIT_FILE, line, n, &doc, &d) < 0)
        return orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG, "%s: a line is no record", ORCH_AUDIT_FILE);
    if (!orch_filter_takes(&f->q->filter, orch_json_root(doc)))
        return 0;
    if (f->q->format == ORCH_AUDIT_JSON)
        orch_outq_add(&f->out, line, n + 1);
    else {
        put_line(&text, orch_json_root(doc));
        orch_outq_add(&f->out, text.data, text.len);
    }
    return 0;
}

static int show_lines(struct follow *f, struct orch_err *err)
{
    const char *line = f->rest.data, *end;
    int k = 0;

    while (k == 0 && (end = memchr(line, '\n', f->rest.len - (size_t)(line - f->rest.data)))) {
        k = show(f, line, (size_t)(end - line), err);
        f->whole += end + 1 - line;
        line = end + 1;
    }
    f->rest.len -= (size_t)(line - f->rest.data);
    memmove(f->rest.data, line, f->rest.len);
    if (k == 0 && f->rest.len > ORCH_JSON_MAX_BYTES)
        k = orch_err_exit(err, ORCH_EXIT_CORRUPT, EMSGSIZE, "%s: a line is no record", ORCH_AUDIT_FILE);
    return k;
}

/* Whoever took the run up after a crash has cut a torn record off: its bytes are no beginning of the next. */
static void drop_cut(struct follow *f)
{
    struct stat st;

    if (fstat(f->fd, &st) < 0 || st.st_size >= f->whole + (off_t)f->rest.len)
        return;
    orch_buf_reset(&f->rest);
    (void)lseek(f->fd, f->whole, SEEK_SET);
}

/* Whole lines of what has come since. */
static int pump(struct follow *f, struct orch_err *err)
{
    char chunk[READ_MAX];
    ssize_t n;
    int k = 0;

    drop_cut(f);
    while (k == 0 && !f->out.dead && (n = read(f->fd, chunk, sizeof(chunk))) > 0) {
        orch_buf_add(&f->rest, chunk, (size_t)n);
        k = show_lines(f, err);
        orch_outq_drain(&f->out);
    }
    return k;
}

/* Until there is something new, or a reason to end: a signal, or a reader that has gone away, which would
 * else be noticed with the next record only. */
static void wait_more(struct follow *f)
{
    struct pollfd p[2] = {{.fd = f->signals.fd, .events = POLLIN}, {.fd = STDOUT_FILENO}};

    (void)poll(p, 2, POLL_MS);
    if (p[1].revents & (POLLERR | POLLNVAL))
        f->out.dead = true;
    orch_signals_poll(&f->signals);
    f->out.hurry = f->signals.first != 0;
}

/* A supervisor that has only just started has written no record yet. */
static int open_log(struct follow *f, const struct orch_rundir *dir, bool over, struct orch_err *err)
{
    if (f->fd >= 0)
        return 0;
    f->fd = openat(dir->fd, ORCH_AUDIT_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (f->fd >= 0 || (errno == ENOENT && !over))
        return 0;
    return orch_err_exit(err, ORCH_EXIT_CORRUPT, errno, "%s: %s", ORCH_AUDIT_FILE, strerror(errno));
}

static int follow_until_stopped(struct follow *f, struct orch_rundir *dir, struct orch_err *err)
{
    bool over = false;
    int k = 0;

    while (k == 0 && !over && !f->out.dead && !f->signals.first) {
        long pid;

        over = !orch_rundir_busy(dir, &pid); /* asked first: what it wrote before is read then */
        k = open_log(f, dir, over, err);
        if (k == 0 && f->fd >= 0)
            k = pump(f, err);
        if (k == 0 && !over)
            wait_more(f);
    }
    return k;
}

/* The exit status, or -errno: that of a signal, 0 for a reader that had enough. */
static int follow(struct orch_rundir *dir, const struct query *q, struct orch_err *err)
{
    struct follow f = {.q = q, .fd = -1, .signals.fd = -1};
    int k = orch_signals_open(false, &f.signals, err);

    if (k == 0) {
        f.out = (struct orch_outq){.fd = STDOUT_FILENO, .wake_fd = f.signals.fd};
        k = follow_until_stopped(&f, dir, err);
        orch_outq_drain(&f.out);
    }
    if (k == 0 && f.out.error && f.out.error != EPIPE)
        k = orch_err_exit(err, ORCH_EXIT_STATE, f.out.error, "cannot write: %s", strerror(f.out.error));
    if (k == 0 && !f.signals.first && !f.out.dead)
        k = orch_chain_read(dir->fd, ORCH_AUDIT_FILE, NULL, NULL, NULL, NULL, err);
    if (k == 0)
        k = orch_signals_exit(&f.signals);
    orch_outq_fini(&f.out);
    orch_signals_close(&f.signals);
    orch_close_fdp(&f.fd);
    orch_buf_fini(&f.rest);
    return k;
}

/* ---- the verbs ---- */

/* A log is shown also where the run's documents cannot be used: only what would allow a denial is then not
 * told, and that is said. */
static int print(const struct orch_options *opt, const struct orch_rundir *dir, const struct query *q,
                 struct orch_err *err)
{
    struct orch_run kept;
    struct orch_suggester *s = NULL;
    struct orch_err why = {0};
    int k;

    orch_run_init(&kept, opt);
    if (q->format != ORCH_AUDIT_JSON && orch_kept_open(&kept, opt->args[0], &why) < 0)
        (void)fprintf(stderr, "orch-sandbox: what would allow a denial is not told: %s\n", why.msg);
    else if (q->format != ORCH_AUDIT_JSON)
        s = orch_suggester_new(&kept);
    k = orch_audit_print_suggested(dir->fd, STDOUT_FILENO, q->format, &q->filter, s, err);
    orch_suggester_free(s);
    orch_run_fini(&kept);
    return k;
}

int orch_cmd_audit(const struct orch_options *opt)
{
    struct orch_rundir dir = ORCH_RUNDIR_NONE;
    struct query q = {0};
    struct orch_err err = {0};
    int k = parse(opt, &q, &err);

    if (k == 0)
        k = open_run(opt, &dir, &err);
    if (k == 0 && !(opt->follow && orch_rundir_never_began(dir.fd))) /* then no phase is known yet */
        k = check_phase(&dir, &q, &err);
    if (k == 0)
        k = opt->follow ? follow(&dir, &q, &err) : print(opt, &dir, &q, &err);
    orch_rundir_close(&dir);
    free(q.phase);
    return k < 0 ? orch_fail(&err, ORCH_EXIT_CORRUPT) : k;
}

/* A typing mistake is not taken for a forged log. */
static int check_hex(const struct orch_option_list *heads, struct orch_err *err)
{
    for (size_t i = 0; i < heads->n; i++) {
        ORCH_AUTO_FREE char *shown = orch_escape_str(heads->v[i]);

        if (strlen(heads->v[i]) != ORCH_HEX_SIZE - 1 ||
            strspn(heads->v[i], "0123456789abcdefABCDEF") != ORCH_HEX_SIZE - 1)
            return orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL,
                                 "--head: '%s' is no head: those that a run prints have 64 hex digits",
                                 shown);
    }
    return 0;
}

int orch_cmd_verify(const struct orch_options *opt)
{
    struct orch_rundir dir = ORCH_RUNDIR_NONE;
    ORCH_AUTO_BUF struct orch_buf ok = {0};
    char key[ORCH_KEY_SIZE];
    struct orch_noted noted = {.key = opt->key ? key : NULL, .heads = &opt->head};
    struct orch_err err = {0};
    int k = opt->key ? orch_keys_public(opt->key, key, &err) : 0;

    if (k == 0)
        k = check_hex(&opt->head, &err);
    if (k == 0)
        k = open_run(opt, &dir, &err);
    if (k == 0)
        k = orch_run_verify(&dir, &noted, &ok, &err);
    (void)orch_write_all(STDOUT_FILENO, ok.data ? ok.data : "", ok.len);
    orch_rundir_close(&dir);
    return k < 0 ? orch_fail(&err, ORCH_EXIT_CORRUPT) : ORCH_EXIT_OK;
}
