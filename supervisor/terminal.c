/* terminal.c - relays between the operator's terminal and the agent's. See terminal.h. */
#include "supervisor/terminal.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "supervisor/output.h"
#include "supervisor/terminal_guard.h"

#define QUEUE_SMALL (64u << 10) /* so that an interrupt is soon seen to have worked */
#define DEFAULT_ROWS 24
#define DEFAULT_COLS 80

/* ---- the operator's terminal ---- */

static bool in_foreground(void)
{
    return tcgetpgrp(STDIN_FILENO) == getpgrp();
}

static bool operator_is_here(void)
{
    struct stat in, out;

    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && fstat(STDIN_FILENO, &in) == 0 &&
           fstat(STDOUT_FILENO, &out) == 0 && in.st_rdev == out.st_rdev && in_foreground();
}

static bool takes_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

    for (size_t i = 0; i < ORCH_NELEM(names); i++) {
        const char *value = getenv(names[i]);

        if (value && *value) /* the first that is set decides (locale(7)) */
            return strcasestr(value, "UTF-8") || strcasestr(value, "UTF8");
    }
    return false;
}

static void read_size(struct orch_tty *tty)
{
    struct winsize size;

    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 || size.ws_col == 0)
        return;
    tty->rows = size.ws_row;
    tty->cols = size.ws_col;
}

void orch_terminal_init(struct orch_terminal *t, bool wanted, struct orch_signals *signals,
                        const struct orch_strv *secrets)
{
    *t =
        (struct orch_terminal){.tty = {.rows = DEFAULT_ROWS, .cols = DEFAULT_COLS, .in_fd = -1, .out_fd = -1},
                               .here = wanted && operator_is_here(),
                               .signals = signals,
                               .secrets = secrets,
                               .master = -1,
                               .out = {.fd = STDOUT_FILENO, .wake_fd = -1, .hurry = true},
                               .filter = {.utf8 = takes_utf8()},
                               .guard_fd = -1};
    if (!t->here)
        return;
    read_size(&t->tty);
    t->tty.in_fd = STDIN_FILENO;
}

/* Raw, and a read that finds nothing returns at once: somebody else may have read what poll announced. */
static void enter_raw(struct orch_terminal *t)
{
    struct termios raw = t->before;

    if (!in_foreground()) {
        t->tty.in_fd = -1;
        return;
    }
    cfmakeraw(&raw);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    t->raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0 && tcgetattr(STDIN_FILENO, &t->ours) == 0;
    t->tty.in_fd = STDIN_FILENO;
}

static void leave_raw(struct orch_terminal *t)
{
    if (t->raw)
        orch_terminal_put_back(&t->before, &t->ours);
    t->raw = false;
}

static void start_guard(struct orch_terminal *t)
{
    const struct orch_terminal_modes modes = {.before = t->before, .ours = t->ours};

    t->guard =
        orch_terminal_guard(&modes, &t->guard_fd); /* without one only our own death is left uncovered */
}

void orch_terminal_begin(struct orch_terminal *t, int master)
{
    t->master = master;
    if (!t->here || tcgetattr(STDIN_FILENO, &t->before) < 0)
        return;
    t->begun = true;
    orch_signals_terminal(t->signals, true);
    enter_raw(t);
    start_guard(t);
}

static void show(struct orch_terminal *t, const struct orch_buf *plain)
{
    ORCH_AUTO_BUF struct orch_buf shown = {0};

    orch_term_filter(&t->filter, plain->data, plain->len, &shown);
    if (t->filter.touched != t->guard_knows) {
        t->guard_knows = t->filter.touched;
        orch_terminal_guard_tell(t->guard_fd, t->guard_knows);
    }
    if (shown.len)
        t->last = shown.data[shown.len - 1];
    orch_outq_add(&t->out, shown.data, shown.len);
}

static void show_held(struct orch_terminal *t)
{
    ORCH_AUTO_BUF struct orch_buf plain = {0};

    orch_mask_end(t->secrets, &t->held, &plain);
    show(t, &plain);
}

void orch_terminal_end(struct orch_terminal *t)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};

    if (!t->begun)
        return;
    t->begun = false;
    show_held(t);
    orch_buf_fini(&t->held);
    if (t->last == '\n') /* of an agent that ended in raw mode: our next line is to begin at the left */
        orch_buf_char(&b, '\r');
    orch_term_filter_reset(&t->filter, &b);
    orch_outq_add(&t->out, b.data, b.len);
    orch_outq_fini(&t->out);
    leave_raw(t);
    orch_terminal_guard_end(t->guard, &t->guard_fd);
    orch_signals_terminal(t->signals, false);
    t->tty.in_fd = t->tty.out_fd = -1;
}

/* ---- signals ---- */

static void follow_size(struct orch_terminal *t)
{
    struct winsize size;

    read_size(&t->tty);
    size = (struct winsize){.ws_row = t->tty.rows, .ws_col = t->tty.cols};
    (void)ioctl(t->master, TIOCSWINSZ, &size); /* the kernel tells the agent's foreground processes */
}

/* Back in front after a stop: programs draw anew when told of a size. */
static void come_back(struct orch_terminal *t)
{
    if (!t->raw)
        enter_raw(t);
    else if (in_foreground())
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &t->ours);
    follow_size(t);
    (void)ioctl(t->master, TIOCSIG, SIGWINCH);
}

/* Only from outside: ^Z is a key like any other here. */
static void stop_here(struct orch_terminal *t)
{
    leave_raw(t);
    (void)kill(getpid(), SIGSTOP);
    come_back(t);
}

void orch_terminal_tick(struct orch_terminal *t)
{
    struct orch_signals *s = t->signals;

    if (!t->begun)
        return;
    if (t->held.len)
        show_held(t);
    orch_outq_pump(&t->out);
    if (s->stopped) {
        s->stopped = s->continued = false;
        stop_here(t);
    } else if (s->continued) {
        s->continued = false;
        come_back(t);
    } else if (s->resized) {
        follow_size(t);
    }
    s->resized = false;
}

/* ---- both ways ---- */

void orch_terminal_output(struct orch_terminal *t, const void *p, size_t n)
{
    ORCH_AUTO_BUF struct orch_buf plain = {0};

    if (!t->begun)
        return;
    orch_mask_feed(t->secrets, &t->held, p, n, &plain);
    show(t, &plain);
}

bool orch_terminal_full(struct orch_terminal *t)
{
    size_t waits;

    if (!t->begun)
        return false;
    orch_outq_pump(&t->out);
    waits = t->out.dead ? 0 : t->out.buf.len - t->out.done;
    t->tty.out_fd = waits ? STDOUT_FILENO : -1; /* wakes the loop when there is room */
    return waits > QUEUE_SMALL;
}

/* True: the escape was typed. */
static bool take_key(struct orch_terminal *t, char c, struct orch_buf *to_agent)
{
    if (t->typed == ORCH_LINE_START && c == '~') {
        t->typed = ORCH_LINE_TILDE;
        return false;
    }
    if (t->typed == ORCH_LINE_TILDE && c == '.')
        return true;
    if (t->typed == ORCH_LINE_TILDE && c != '~')
        orch_buf_char(to_agent, '~');
    orch_buf_char(to_agent, c);
    t->typed = c == '\r' || c == '\n' ? ORCH_LINE_START : ORCH_LINE_WITHIN;
    return false;
}

static enum orch_next end_as(struct orch_terminal *t, int sig)
{
    if (!t->signals->first)
        t->signals->first = sig;
    return ORCH_STOP_CANCEL;
}

static bool hung_up(void)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};

    return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR | POLLNVAL));
}

enum orch_next orch_terminal_input(struct orch_terminal *t, struct orch_buf *to_agent, bool *ret_closed)
{
    char keys[4096];
    ssize_t n;

    *ret_closed = false;
    if (!t->raw || !in_foreground()) { /* put in the background: to read would stop us */
        t->raw = false;
        t->tty.in_fd = -1;
        return ORCH_GO_ON;
    }
    n = read(STDIN_FILENO, keys, sizeof(keys));
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return ORCH_GO_ON;
    if (n < 0 || (n == 0 && hung_up())) {
        *ret_closed = true;
        return end_as(t, SIGHUP);
    }
    for (ssize_t i = 0; i < n; i++)
        if (take_key(t, keys[i], to_agent))
            return end_as(t, SIGINT);
    return ORCH_GO_ON;
}
