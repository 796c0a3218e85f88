/*
 * policy_probe.c - acts of a policy test for real: supervisor/client/probe.c performs them as the agent of
 * sandboxes whose workspace layer is thrown away (policy.h). Many acts share a sandbox; one that ends the
 * sandbox has ended it alone, and those after it get a new one.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/exit.h"
#include "common/io.h"
#include "supervisor/exec.h"
#include "supervisor/policy.h"
#include "supervisor/preflight.h"
#include "supervisor/probe_blob.h"
#include "supervisor/upper.h"

#define BATCH 64 /* acts a sandbox: what they print stays far below any cap on output */
#define OUT_MAX 65536
#define WALL_MS 60000

struct denied { /* one refused call, with its registers */
    int nr, errnum;
    uint64_t args[6];
    bool kill;
};

struct result { /* of one act, as the probe told it */
    bool told, over, begun;
    int errnum, signal;
};

struct batch {
    const struct orch_policy *p;
    const struct orch_profile *profile;
    struct orch_probe_act *acts;
    size_t n;
    struct result results[BATCH];
    struct denied *denied;
    size_t n_denied;
    struct orch_buf out;
    struct orch_outcome outcome;
    struct orch_signals *signals;
};

/* ---- telling the probe ---- */

static void hex(struct orch_buf *b, const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        orch_buf_printf(b, "%02x", ((const unsigned char *)p)[i]);
}

static void encode_call(const struct orch_assertion *a, struct orch_buf *b)
{
    orch_buf_printf(b, "s:%x", (unsigned)a->nr);
    for (size_t i = 0; i < 6; i++)
        orch_buf_printf(b, ":%" PRIx64, a->args[i]);
}

static void encode_connect(const char *target, struct orch_buf *b)
{
    struct sockaddr_storage address;
    unsigned short family = AF_UNIX;

    orch_buf_str(b, "k:");
    if (orch_explain_address(target, &address) == 0) {
        hex(b, &address, sizeof(address) < 28 || address.ss_family == AF_INET ? 16 : 28);
        return;
    }
    hex(b, &family, sizeof(family));
    if (target[0] == '@') {
        hex(b, "", 1);
        hex(b, target + 1, strlen(target + 1));
    } else {
        hex(b, target, strlen(target) + 1);
    }
}

static char *encode(const struct orch_probe_act *act)
{
    static const char kinds[] = {
        [ORCH_ACT_LOOK] = 'l',   [ORCH_ACT_READ] = 'r',      [ORCH_ACT_WRITE] = 'w',
        [ORCH_ACT_CREATE] = 'c', [ORCH_ACT_DIRECTORY] = 'm', [ORCH_ACT_SYMLINK] = 'y',
        [ORCH_ACT_DELETE] = 'd', [ORCH_ACT_EXEC] = 'x',
    };
    struct orch_buf b = {0};
    const char *path = act->target;

    if (act->a->is_call) {
        encode_call(act->a, &b);
    } else if (act->a->act == ORCH_ACT_CONNECT) {
        encode_connect(path, &b);
    } else {
        if (act->a->act == ORCH_ACT_EXEC && !strchr(path, '/') && act->model->path)
            path = act->model->path;
        orch_buf_printf(&b, "%c:", kinds[act->a->act]);
        hex(&b, path, strlen(path));
    }
    return orch_buf_take(&b);
}

/* ---- hooks ---- */

static enum orch_next on_denial(void *ctx, const struct orch_denial *d)
{
    struct batch *b = ctx;
    struct denied *x;

    if (!d->args || strcmp(d->action, ORCH_ACTION_LOG) == 0)
        return ORCH_GO_ON;
    b->denied = orch_xreallocarray(b->denied, b->n_denied + 1, sizeof(*b->denied));
    x = &b->denied[b->n_denied++];
    *x = (struct denied){.nr = d->nr, .errnum = d->errnum, .kill = strcmp(d->action, "kill") == 0};
    memcpy(x->args, d->args, sizeof(x->args));
    return b->n_denied > OUT_MAX ? ORCH_STOP_CANCEL : ORCH_GO_ON;
}

static void on_output(void *ctx, int stream, const void *p, size_t n)
{
    struct batch *b = ctx;

    if (stream == 1 && b->out.len + n <= OUT_MAX)
        orch_buf_add(&b->out, p, n);
}

static enum orch_next on_tick(void *ctx)
{
    struct batch *b = ctx;

    orch_signals_poll(b->signals);
    return b->signals->first ? ORCH_STOP_CANCEL : ORCH_GO_ON;
}

/* ---- one sandbox ---- */

static int run_sandbox(struct batch *b, struct orch_exec *e, struct orch_sandbox_args *args,
                       struct orch_err *err)
{
    const struct orch_file files[] = {{"bin/probe", orch_probe_blob, orch_probe_blob_len()}};
    const struct orch_sandbox_hooks hooks = {
        .ctx = b,
        .on_denial = on_denial,
        .on_output = on_output,
        .on_tick = on_tick,
        .wake_fd = b->signals->fd,
    };
    uint64_t wall = b->profile->limits.wall_ms;
    int r;

    args->files = files;
    args->n_files = 1;
    args->wall_ms = wall && wall < WALL_MS ? wall : WALL_MS;
    r = orch_sandbox_run(args, &hooks, &b->outcome, err);

    if (r == 0 && b->outcome.end == ORCH_END_SETUP)
        r = orch_sandbox_explain(&b->outcome, e->state, e->workspace, err);
    if (r < 0 && !err->exit_code)
        err->exit_code = ORCH_EXIT_UNENFORCEABLE;
    return r;
}

static int with_layer(struct batch *b, struct orch_exec *e, struct orch_err *err)
{
    struct orch_sandbox_args args;
    int r = orch_exec_layer(e, &args, err);

    if (r == 0)
        r = run_sandbox(b, e, &args, err);
    return r;
}

static int run_acts(struct batch *b, const char *workspace, struct orch_err *err)
{
    struct orch_exec e = {.held = -1, .signals.fd = -1};
    struct orch_strv command = {0};
    struct orch_diags d = {0};
    int r;

    orch_strv_add(&command, ORCH_PROBE_PATH);
    for (size_t i = 0; i < b->n; i++)
        orch_strv_add_take(&command, encode(&b->acts[i]));
    r = orch_policy_plan(b->p, b->profile, workspace, &command, &e.plan, &d);
    if (r < 0) /* it was compiled before, for the model: the host changed */
        (void)orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL, "the profile cannot be used here: %s",
                            d.n ? d.v[0].msg : "");
    e.state = b->p->state;
    e.workspace = (char *)(uintptr_t)workspace; /* only read */
    if (r == 0)
        r = with_layer(b, &e, err);
    if (e.dir)
        (void)orch_rm_rf(AT_FDCWD, e.dir);
    orch_close_fdp(&e.held);
    orch_plan_free(e.plan);
    orch_strv_fini(&command);
    orch_diags_fini(&d);
    free(e.dir);
    free(e.upper);
    return r;
}

/* ---- what it told ---- */

/* "INDEX [LETTER] NUMBER"; false for anything else. */
static bool parse_line(const char *line, unsigned long *ret_index, char *ret_what, unsigned long *ret_value)
{
    char *end;

    *ret_index = strtoul(line, &end, 10);
    if (end == line || *end++ != ' ')
        return false;
    *ret_what = *end >= 'A' ? *end : '\0';
    line = *ret_what ? end + 1 : end;
    *ret_value = strtoul(line, &end, 10);
    return end != line && *end == '\0';
}

static void take_line(struct batch *b, const char *line)
{
    unsigned long index, value;
    char what;
    struct result *r;

    if (!parse_line(line, &index, &what, &value) || index >= b->n)
        return;
    r = &b->results[index];
    if (what == 'B')
        r->begun = true;
    else if (what == 'E' || what == 'S')
        r->over = true;
    if (what == 'S')
        r->signal = (int)(value & 0x7f);
    if (what == 0 && !r->told) { /* a call that made a second process tells twice */
        r->told = true;
        r->errnum = (int)(value & 0xfff);
    }
}

static void take_output(struct batch *b)
{
    char *save = NULL;

    for (char *line = b->out.data ? strtok_r(b->out.data, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save))
        take_line(b, line);
}

static const struct denied *find_denied(const struct batch *b, const struct orch_assertion *a)
{
    for (size_t i = 0; i < b->n_denied; i++)
        if (b->denied[i].nr == a->nr && memcmp(b->denied[i].args, a->args, sizeof(a->args)) == 0)
            return &b->denied[i];
    return NULL;
}

static void say(struct orch_probe_act *act, enum orch_says says, int errnum, const char *note)
{
    act->done = true;
    act->says = says;
    act->errnum = errnum;
    act->note = note;
}

/* The record of denials tells what we refused from what the kernel refused by itself. */
static void judge_call(const struct batch *b, const struct result *r, struct orch_probe_act *act)
{
    const struct denied *d = find_denied(b, act->a);

    if (d && d->kill)
        say(act, ORCH_SAYS_KILLED, 0, NULL);
    else if (d)
        say(act, ORCH_SAYS_REFUSED, r->told ? r->errnum : d->errnum, NULL);
    else if (r->told && r->errnum == ENOSYS && act->model->says == ORCH_SAYS_FALLBACK)
        say(act, ORCH_SAYS_FALLBACK, ENOSYS, NULL);
    else if (r->told && r->errnum == 0 && act->model->says == ORCH_SAYS_FAKED)
        say(act, ORCH_SAYS_FAKED, 0, NULL);
    else if (r->told && r->errnum)
        say(act, ORCH_SAYS_PERMITTED, 0, "it reached the kernel, which had its own objection");
    else
        say(act, ORCH_SAYS_PERMITTED, 0,
            r->signal == SIGALRM ? "it reached the kernel and waited there" : NULL);
}

/* Errors by which the kernel shows that nobody refused the act. */
static bool went_through(enum orch_act act, int errnum)
{
    if (act == ORCH_ACT_CONNECT)
        return errnum == EINPROGRESS || errnum == ECONNREFUSED || errnum == EAGAIN;
    if (act == ORCH_ACT_DELETE)
        return errnum == ENOTEMPTY || errnum == EBUSY;
    return errnum == EEXIST &&
           (act == ORCH_ACT_CREATE || act == ORCH_ACT_DIRECTORY || act == ORCH_ACT_SYMLINK);
}

static void judge_path(const struct result *r, struct orch_probe_act *act)
{
    const struct orch_explained *m = act->model;

    if (r->signal == SIGKILL || !r->told) {
        say(act, ORCH_SAYS_KILLED, 0, NULL);
    } else if (r->errnum == 0 || went_through(act->a->act, r->errnum)) {
        say(act, ORCH_SAYS_PERMITTED, 0, NULL);
    } else if (r->errnum == m->errnum) {
        say(act, m->says, r->errnum, NULL);
    } else if (r->errnum == ENOENT && !m->there && m->nr < 0) {
        act->note =
            "nothing is there, so the kernel cannot show what it would do: make it, or name something else";
    } else {
        say(act, ORCH_SAYS_REFUSED, r->errnum, NULL);
    }
}

static void judge(struct batch *b, size_t n)
{
    uint64_t faked = 0;

    for (size_t i = 0; i < n; i++) {
        if (b->acts[i].a->is_call)
            judge_call(b, &b->results[i], &b->acts[i]);
        else
            judge_path(&b->results[i], &b->acts[i]);
        faked += b->acts[i].says == ORCH_SAYS_FAKED;
    }
    for (size_t i = 0; faked != b->outcome.fakes && i < n; i++)
        if (b->acts[i].done && b->acts[i].says == ORCH_SAYS_FAKED)
            say(&b->acts[i], ORCH_SAYS_PERMITTED, 0, "nothing was faked");
}

/* How many acts from the first on have come to something. The one at which the sandbox ended counts too. */
static size_t settled(struct batch *b)
{
    size_t i = 0;

    while (i < b->n && (b->results[i].told || b->results[i].over))
        i++;
    if (i == b->n)
        return i;
    /* A program that took the place of the probe ran; anything else that leaves no word was ended. */
    if (b->results[i].begun && b->acts[i].a->act == ORCH_ACT_EXEC && b->outcome.end == ORCH_END_EXIT)
        b->results[i].told = true;
    return i + 1;
}

static int limit_error(const struct batch *b, struct orch_err *err)
{
    if (b->outcome.end == ORCH_END_CANCEL)
        return orch_err_exit(err, orch_signals_exit(b->signals), EINTR, "cancelled");
    if (b->outcome.end == ORCH_END_LIMIT)
        return orch_err_exit(err, ORCH_EXIT_LIMIT, ETIME, "the acts hit the profile's limit: %s",
                             b->outcome.limit);
    return 0;
}

int orch_probe_run(const struct orch_policy *p, const struct orch_profile *profile, const char *workspace,
                   struct orch_probe_act *acts, size_t n, struct orch_err *err)
{
    ORCH_AUTO_FREE struct batch *b = orch_xcalloc(1, sizeof(*b));
    struct orch_signals signals;
    int r = orch_signals_open(false, &signals, err);

    if (r < 0)
        return r;
    for (size_t at = 0, got; r == 0 && at < n; at += got) {
        *b = (struct batch){.p = p, .profile = profile, .acts = acts + at, .signals = &signals};
        b->n = n - at < BATCH ? n - at : BATCH;
        got = b->n;
        r = run_acts(b, workspace, err);
        if (r == 0)
            r = limit_error(b, err);
        if (r == 0) {
            take_output(b);
            got = settled(b);
            judge(b, got);
        }
        orch_buf_fini(&b->out);
        free(b->denied);
    }
    orch_signals_close(&signals);
    return r;
}
