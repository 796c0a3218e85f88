/* progress.c - live progress. See progress.h. */
#include "supervisor/progress.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/io.h"
#include "supervisor/output.h"

#define REDRAW_MS 200
#define WAIT_MAX (64u << 10)
#define CLEAR_LINE "\r\033[K"

void orch_progress_init(struct orch_progress *p, bool json, bool quiet)
{
    const char *term = getenv("TERM");

    *p = (struct orch_progress){.json = json,
                                .quiet = quiet,
                                .out = {.fd = STDOUT_FILENO, .wake_fd = -1},
                                .err = {.fd = STDERR_FILENO, .wake_fd = -1}};
    p->live = !json && !quiet && isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
}

static void clear_status(struct orch_progress *p)
{
    if (p->drawn)
        orch_outq_add(&p->err, CLEAR_LINE, sizeof(CLEAR_LINE) - 1);
    p->drawn = false;
}

void orch_progress_fini(struct orch_progress *p)
{
    clear_status(p);
    orch_outq_fini(&p->out);
    orch_outq_fini(&p->err);
    orch_buf_fini(&p->line);
    orch_buf_fini(&p->wait);
    orch_free_ptrp(&p->phase);
}

static void put_line(struct orch_progress *p, const struct orch_buf *b)
{
    if (p->held && p->wait.len + b->len > WAIT_MAX) {
        p->lost++;
        return;
    }
    if (p->held) {
        orch_buf_add(&p->wait, b->data, b->len);
        return;
    }
    clear_status(p);
    orch_outq_add(&p->err, b->data, b->len);
}

void orch_progress_hold(struct orch_progress *p, bool on)
{
    if (on)
        clear_status(p);
    if (!on && p->held) {
        if (p->lost)
            orch_buf_printf(&p->wait, "(%" PRIu64 " more lines)\n", p->lost);
        orch_outq_add(&p->err, p->wait.data, p->wait.len);
        orch_buf_reset(&p->wait);
        p->lost = 0;
    }
    p->held = on;
}

void orch_progress_note(struct orch_progress *p, const char *fmt, ...)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    ORCH_AUTO_FREE char *s = NULL;
    va_list ap;

    if (p->json || p->quiet)
        return;
    va_start(ap, fmt);
    if (vasprintf(&s, fmt, ap) < 0)
        s = NULL;
    va_end(ap);
    orch_buf_printf(&b, "%s\n", s ? s : "");
    put_line(p, &b);
}

/* The prefix also keeps a CI runner from taking agent output for its own commands at the start of a line
 * (T-TTY-08). */
void orch_progress_output(struct orch_progress *p, int stream, const char *line, size_t n)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};

    if (p->json || p->quiet)
        return;
    orch_buf_printf(&b, "%s.%u %s ", p->phase ? p->phase : "-", p->attempt, stream == 2 ? "!" : "|");
    orch_output_escape(&b, line, n);
    orch_buf_char(&b, '\n');
    put_line(p, &b);
}

void orch_progress_phase(struct orch_progress *p, const char *phase, unsigned attempt)
{
    clear_status(p);
    free(p->phase);
    p->phase = phase ? orch_xstrdup(phase) : NULL;
    p->attempt = attempt;
    p->began_ms = orch_now_ms();
    p->last_ms = 0;
}

void orch_progress_tick(struct orch_progress *p, uint64_t denials)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    uint64_t now = orch_now_ms(), elapsed = (now - p->began_ms) / 1000;

    p->denials = denials;
    orch_outq_pump(&p->out);
    orch_outq_pump(&p->err);
    if (!p->live || p->held || !p->phase || now - p->last_ms < REDRAW_MS || p->err.buf.len > p->err.done)
        return;
    p->last_ms = now;
    orch_buf_printf(&b, CLEAR_LINE "phase %s  attempt %u  %" PRIu64 ":%02" PRIu64 "  denials %" PRIu64,
                    p->phase, p->attempt, elapsed / 60, elapsed % 60, denials);
    orch_outq_add(&p->err, b.data, b.len);
    p->drawn = true;
}

void orch_progress_begin(struct orch_progress *p, const char *event, struct orch_jw *w)
{
    char now[ORCH_TIME_SIZE];

    orch_buf_reset(&p->line);
    orch_time_now(now);
    *w = (struct orch_jw){.out = &p->line};
    orch_jw_obj(w, NULL);
    orch_jw_str(w, "time", now);
    orch_jw_str(w, "event", event);
}

void orch_progress_end(struct orch_progress *p, struct orch_jw *w)
{
    orch_jw_end(w, '}');
    orch_buf_char(&p->line, '\n');
    if (p->json)
        orch_outq_add(&p->out, p->line.data, p->line.len);
}
