/*
 * cmd_logs.c - the verb `logs`: what agents and gate commands of a run printed, in the order of the attempts.
 *
 * With --follow the files are looked at several times a second, until no supervisor holds the run. The lock
 * and the journal are read before the files: what they say is over has been written completely.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "common/escape.h"
#include "common/exit.h"
#include "supervisor/logs.h"
#include "supervisor/runs.h"

#define POLL_MS 200

struct attempt_id {
    char *phase;
    unsigned n;
};

struct logs {
    const struct orch_options *opt;
    struct orch_rundir dir;
    struct orch_signals signals;
    struct orch_outq out;
    struct attempt_id *v; /* of the journal, in order */
    size_t n, cap;
    size_t done;        /* the first so many need no more looking at */
    off_t journal_size; /* when it was last read */
    char *phase;        /* what was asked for; NULL = all */
    unsigned attempt;   /* 0 = all */
    struct orch_log_set set;
};

/* ---- the journal's attempts ---- */

static void forget(struct logs *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i].phase);
    l->n = 0;
}

static int add_attempt(void *ctx, const struct orch_json *rec)
{
    struct logs *l = ctx;
    const cJSON *root = orch_json_root(rec);
    const char *event = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "event"));
    const char *phase = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "phase"));
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(root, "attempt");

    if (!event || strcmp(event, "attempt") != 0 || !phase || !cJSON_IsNumber(n))
        return 0;
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->v = orch_xreallocarray(l->v, l->cap, sizeof(*l->v));
    }
    l->v[l->n++] = (struct attempt_id){.phase = orch_xstrdup(phase), .n = (unsigned)n->valuedouble};
    return 0;
}

/* Reads it again if it has grown. */
static int read_attempts(struct logs *l, struct orch_err *err)
{
    struct stat st;
    bool torn;

    if (fstatat(l->dir.fd, ORCH_JOURNAL_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (st.st_size == l->journal_size)
            return 0;
        l->journal_size = st.st_size;
    }
    forget(l);
    return orch_chain_read(l->dir.fd, ORCH_JOURNAL_NAME, add_attempt, l, &torn, NULL, err);
}

/* ---- what was asked for ---- */

static bool wanted(const struct logs *l, const struct attempt_id *a)
{
    return !l->phase || (strcmp(l->phase, a->phase) == 0 && (l->attempt == 0 || l->attempt == a->n));
}

static int check_attempt(const struct logs *l, bool may_come, struct orch_err *err)
{
    ORCH_AUTO_BUF struct orch_buf known = {0};
    bool found = l->attempt == 0 || may_come;

    for (size_t i = 0; i < l->n; i++) {
        if (strcmp(l->v[i].phase, l->phase) != 0)
            continue;
        found = found || l->v[i].n == l->attempt;
        orch_buf_printf(&known, "%s%s.%u", known.len ? ", " : ": ", l->phase, l->v[i].n);
    }
    return found ? 0
                 : orch_err_exit(err, ORCH_EXIT_USAGE, ENOENT, "phase '%s' has no attempt %u; there is%s%s",
                                 l->phase, l->attempt, known.len ? "" : " none", known.len ? known.data : "");
}

int orch_attempt_arg(const char *what, char **ret_phase, unsigned *ret_attempt, struct orch_err *err)
{
    const char *dot = strchr(what, '.');
    ORCH_AUTO_FREE char *shown = orch_escape_str(what);
    unsigned long n = 0;
    char *end = NULL;

    *ret_phase = orch_xstrndup(what, dot ? (size_t)(dot - what) : strlen(what));
    if (!dot)
        return 0;
    errno = 0;
    n = strtoul(dot + 1, &end, 10);
    if (errno || *end || dot[1] < '1' || dot[1] > '9' || n > UINT32_MAX)
        return orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL, "'%s' is not PHASE or PHASE.N", shown);
    *ret_attempt = (unsigned)n;
    return 0;
}

static int choose(struct logs *l, const char *what, bool may_come, struct orch_err *err)
{
    struct orch_run_state s = {0};
    size_t index;
    bool torn;
    int k = orch_run_state_load(l->dir.fd, &s, &torn, err);

    if (k < 0)
        return k;
    if (what)
        k = orch_attempt_arg(what, &l->phase, &l->attempt, err);
    if (k == 0 && what)
        k = orch_run_phase_arg(&s, l->phase, &index, err);
    orch_run_state_fini(&s);
    if (k == 0)
        k = read_attempts(l, err);
    return k == 0 && what ? check_attempt(l, may_come, err) : k;
}

/* ---- printing ---- */

/* The attempts from l->done on; `over`: nothing more will come for the last one either. */
static int print_attempts(struct logs *l, bool over, struct orch_err *err)
{
    int k = 0;

    for (; k == 0 && l->done < l->n && !l->out.dead; l->done++) {
        const struct attempt_id *a = &l->v[l->done];

        if (!wanted(l, a))
            continue;
        if (!l->set.name)
            orch_log_set_begin(&l->set, a->phase, a->n, &l->out);
        k = orch_log_set_pump(&l->set, l->dir.fd, over || l->done + 1 < l->n, err);
        if (k < 0 || (!over && l->done + 1 == l->n))
            return k;
        orch_log_set_end(&l->set);
        orch_outq_drain(&l->out);
    }
    return k;
}

/* The one attempt that was asked for has been printed to its end. */
static bool all_printed(const struct logs *l)
{
    return l->attempt != 0 && l->done > 0 && wanted(l, &l->v[l->done - 1]);
}

static int follow(struct logs *l, struct orch_err *err)
{
    struct pollfd wake = {.fd = l->signals.fd, .events = POLLIN};
    bool over = false;
    int k = 0;

    while (k == 0 && !over && !l->out.dead && !l->signals.first && !all_printed(l)) {
        long pid;

        over = !orch_rundir_busy(&l->dir, &pid);
        k = read_attempts(l, err);
        if (k == 0)
            k = print_attempts(l, over, err);
        if (k == 0 && !over)
            (void)poll(&wake, 1, POLL_MS);
        orch_signals_poll(&l->signals);
    }
    return k;
}

/* A supervisor that has only just started has written no record yet. */
static int wait_for_start(struct logs *l, struct orch_err *err)
{
    struct pollfd wake = {.fd = l->signals.fd, .events = POLLIN};
    long pid;

    while (l->opt->follow && !l->signals.first && orch_rundir_never_began(l->dir.fd) &&
           orch_rundir_busy(&l->dir, &pid)) {
        (void)poll(&wake, 1, POLL_MS);
        orch_signals_poll(&l->signals);
    }
    if (!l->signals.first && orch_rundir_never_began(l->dir.fd))
        return orch_err_exit(err, ORCH_EXIT_USAGE, ENOENT, "run '%s' has not begun: nothing was printed",
                             l->dir.id);
    return 0;
}

static int steps(struct logs *l, struct orch_err *err)
{
    const struct orch_options *opt = l->opt;
    ORCH_AUTO_FREE char *state = NULL;
    long pid;
    int k = orch_state_resolve(opt->state, &state, err);

    if (k == 0)
        k = orch_rundir_open(state, opt->args[0], &l->dir, err);
    if (k == 0 && opt->follow)
        k = orch_signals_open(false, &l->signals, err);
    if (k == 0)
        k = wait_for_start(l, err);
    if (k < 0 || l->signals.first)
        return k;
    k = choose(l, opt->n_args > 1 ? opt->args[1] : NULL, opt->follow && orch_rundir_busy(&l->dir, &pid), err);
    if (k < 0)
        return k;
    l->out = (struct orch_outq){.fd = STDOUT_FILENO, .wake_fd = l->signals.fd};
    k = opt->follow ? follow(l, err) : print_attempts(l, true, err);
    orch_log_set_end(&l->set);
    l->out.hurry = l->signals.first != 0;
    orch_outq_drain(&l->out);
    if (k == 0 && l->out.error && l->out.error != EPIPE)
        k = orch_err_exit(err, ORCH_EXIT_STATE, l->out.error, "cannot write: %s", strerror(l->out.error));
    return k;
}

int orch_cmd_logs(const struct orch_options *opt)
{
    struct logs l = {.opt = opt, .dir = ORCH_RUNDIR_NONE, .signals.fd = -1};
    struct orch_err err = {0};
    int k = steps(&l, &err);
    int code = k < 0 ? orch_fail(&err, ORCH_EXIT_CORRUPT) : orch_signals_exit(&l.signals);

    orch_outq_fini(&l.out);
    orch_signals_close(&l.signals);
    orch_rundir_close(&l.dir);
    forget(&l);
    free(l.v);
    free(l.phase);
    return code;
}
