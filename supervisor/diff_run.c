/* diff_run.c - GNU diff over the copies, in a sandbox, and what it prints. See diff.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/escape.h"
#include "common/exit.h"
#include "supervisor/diff.h"
#include "supervisor/output.h"
#include "supervisor/preflight.h"

#define STALL_MS 60000                       /* one comparison takes no longer */
#define OUTPUT_MAX (UINT64_C(512) << 20)     /* more than copies of ORCH_DIFF_TOTAL_MAX can give */
#define LINE_LIMIT (ORCH_DIFF_TEXT_MAX + 64) /* a line is at most a file, and a mark before it */
#define COMPLAINT_MAX 512

/* "=N" before each comparison, "!N" after one that failed, "." at the end; a line of diff -u starts with
 * none of these. -a: what is text was decided already. */
static const char script[] = "cd \"$1\" || exit 2\n"
                             "i=0\n"
                             "while [ $i -lt \"$2\" ]; do\n"
                             "    i=$((i + 1))\n"
                             "    echo \"=$i\"\n"
                             "    diff -a -u \"old/$i\" \"new/$i\"\n"
                             "    [ $? -le 1 ] || echo \"!$i\"\n"
                             "done\n"
                             "echo .\n";

struct session {
    struct orch_diff *d;
    struct orch_buf line, complaint;
    unsigned at;   /* N of the comparison that is being printed */
    size_t change; /* and its change */
    unsigned skip; /* lines of its own header that are still to come */
    bool complete;
    const char *broken; /* what is wrong with the output; then nothing more of it is used */
    uint64_t progress_ms;
};

/* ---- the output ---- */

static void next_text(struct session *s)
{
    struct orch_diff *d = s->d;

    s->at++;
    while (s->change < d->changes.n && d->number[s->change] != s->at)
        s->change++;
    if (s->change == d->changes.n) {
        s->broken = "there are more of them than files";
        return;
    }
    orch_diff_show(d, s->change + 1);
    s->skip = 2;
}

static void put_hunk_line(struct orch_buf *out, const char *p, size_t n)
{
    orch_buf_char(out, p[0]); /* the mark, which is diff's and not the file's */
    orch_output_escape(out, p + 1, n - 1);
    orch_buf_char(out, '\n');
}

/* "=N" with the N that is next. */
static bool is_next(const struct session *s, const char *p, size_t n)
{
    char mark[16];

    (void)snprintf(mark, sizeof(mark), "=%u", s->at + 1);
    return n == strlen(mark) && memcmp(p, mark, n) == 0;
}

static void take_line(struct session *s, const char *p, size_t n)
{
    if (s->complete || n == 0)
        s->broken = "a line that belongs to no file";
    else if (p[0] == '=' && is_next(s, p, n))
        next_text(s);
    else if (n == 1 && p[0] == '.' && s->at == s->d->n_texts)
        s->complete = true;
    else if (p[0] == '!')
        s->broken = "diff failed";
    else if (s->at == 0 || p[0] == '\0' || !strchr("-+ @\\", p[0]))
        s->broken = "a line that diff does not write";
    else if (s->skip == 0)
        put_hunk_line(&s->d->text, p, n);
    else if (--s->skip == 0) /* its header names the copies: ours names the file */
        orch_diff_header(&s->d->changes.v[s->change], &s->d->text);
}

static void on_output(void *ctx, int stream, const void *p, size_t n)
{
    struct session *s = ctx;
    const char *text = p;

    s->progress_ms = orch_now_ms();
    if (stream == 2 && s->complaint.len < COMPLAINT_MAX)
        orch_buf_add(&s->complaint, text,
                     n < COMPLAINT_MAX - s->complaint.len ? n : COMPLAINT_MAX - s->complaint.len);
    while (stream == 1 && n > 0 && !s->broken) {
        const char *end = memchr(text, '\n', n);
        size_t len = end ? (size_t)(end - text) : n;

        orch_buf_add(&s->line, text, len);
        if (s->line.len > LINE_LIMIT)
            s->broken = "a line longer than any file";
        else if (end)
            take_line(s, s->line.data ? s->line.data : "", s->line.len);
        if (end)
            orch_buf_reset(&s->line);
        len += end != NULL;
        text += len;
        n -= len;
    }
    orch_diff_flush(s->d);
}

static bool output_full(void *ctx)
{
    struct session *s = ctx;

    orch_outq_pump(&s->d->out);
    if (!orch_outq_full(&s->d->out))
        return false;
    s->progress_ms = orch_now_ms(); /* the reader takes his time: not diff's fault */
    return true;
}

static enum orch_next on_tick(void *ctx)
{
    struct session *s = ctx;

    orch_signals_poll(s->d->signals);
    orch_outq_pump(&s->d->out);
    if (s->d->signals->first || s->d->out.dead || s->broken)
        return ORCH_STOP_CANCEL;
    return orch_now_ms() - s->progress_ms > STALL_MS ? ORCH_STOP_LIMIT_WALL : ORCH_GO_ON;
}

/* ---- the sandbox ---- */

/* Read-only, with sh and diff: the built-in `base`. Its directory is the workspace, shown at its own path. */
static int compile(const struct orch_diff *d, struct orch_profile **ret_profile, struct orch_plan **ret,
                   struct orch_err *err)
{
    ORCH_AUTO_FREE char *count = orch_xasprintf("%u", d->n_texts);
    char lc[] = "LC_ALL", c[] = "C";
    const struct orch_env_pair env = {.name = lc, .value = c};
    struct orch_strv command = {0}, none = {0};
    struct orch_diags diags = {0};
    struct orch_plan_args a = {.workspace = d->dir,
                               .phase = "diff",
                               .base_dir = "/",
                               .command = &command,
                               .env = &env,
                               .n_env = 1,
                               .pass_env = &none,
                               .uid = orch_agent_uid(),
                               .gid = orch_agent_gid()};
    const char *const words[] = {"sh", "-c", script, "diff", "${workspace}", count};
    int r = orch_profile_load("base", "/", ret_profile, &diags);

    for (size_t i = 0; i < ORCH_NELEM(words); i++)
        orch_strv_add(&command, words[i]);
    if (r == 0) {
        (*ret_profile)->limits.output = OUTPUT_MAX;
        a.profile = *ret_profile;
        r = orch_plan_compile(&a, ret, &diags);
    }
    if (r < 0) {
        ORCH_AUTO_FREE char *why = orch_escape_str(diags.n ? diags.v[0].msg : strerror(-r));

        r = orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL, "diff cannot be run in a sandbox here: %s", why);
    }
    orch_strv_fini(&command);
    orch_diags_fini(&diags);
    return r;
}

static int judge(const struct session *s, const struct orch_outcome *o, struct orch_err *err)
{
    ORCH_AUTO_FREE char *said = orch_escape_str(s->complaint.data ? s->complaint.data : "");

    if (s->complete && !s->broken && o->end == ORCH_END_EXIT && o->status == 0 && o->dropped_bytes == 0)
        return 0;
    if (s->d->signals->first || s->d->out.dead)
        return -EINTR;
    if (o->end == ORCH_END_SETUP)
        return orch_sandbox_explain(o, s->d->state, s->d->dir, err);
    if (o->end == ORCH_END_LIMIT)
        return orch_err_exit(err, ORCH_EXIT_USAGE, ETIME, "the comparison was cut off by its limit '%s'",
                             o->limit ? o->limit : "?");
    return orch_err_exit(err, ORCH_EXIT_USAGE, EIO, "the comparison is not complete: %s%s%s",
                         s->broken ? s->broken : orch_end_name(o->end), *said ? ": " : "", said);
}

static int run(struct session *s, const struct orch_plan *plan, struct orch_err *err)
{
    const struct orch_strv none = {0};
    const struct orch_sandbox_args args = {
        .plan = plan,
        .workspace = {.layers = &none, .bottom = s->d->dir},
        .home = {.layers = &none},
        .stdin_fd = -1,
    };
    const struct orch_sandbox_hooks hooks = {
        .ctx = s,
        .on_output = on_output,
        .on_tick = on_tick,
        .output_full = output_full,
        .wake_fd = s->d->signals->fd,
    };
    struct orch_outcome outcome = {0};
    int r = orch_sandbox_run(&args, &hooks, &outcome, err);

    return r < 0 ? r : judge(s, &outcome, err);
}

int orch_diff_run(struct orch_diff *d, struct orch_err *err)
{
    ORCH_AUTO(orch_profile_freep) struct orch_profile *profile = NULL;
    ORCH_AUTO(orch_plan_freep) struct orch_plan *plan = NULL;
    struct session s = {.d = d, .progress_ms = orch_now_ms()};
    int r = orch_preflight_inside(err);

    if (r == 0)
        r = compile(d, &profile, &plan, err);
    if (r == 0)
        r = run(&s, plan, err);
    orch_buf_fini(&s.line);
    orch_buf_fini(&s.complaint);
    return r;
}
