/* doctor.c - runs the checks of the table one after the other and makes a report of them. See doctor.h. */
#include "sandbox/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/escape.h"
#include "common/io.h"
#include "sandbox/cell.h"
#include "sandbox/doctor_int.h"

#define CHECK_MS 5000
#define WHOLE_MS 20000

const char *orch_check_state_name(enum orch_check_state s)
{
    static const char *const names[] = {"works", "missing", "unneeded"};

    return (size_t)s < ORCH_NELEM(names) ? names[s] : "unknown";
}

const char *orch_check_need_name(enum orch_check_need n)
{
    static const char *const names[] = {"full", "nested", "option"};

    return (size_t)n < ORCH_NELEM(names) ? names[n] : "unknown";
}

const char *orch_host_tier_name(enum orch_host_tier t)
{
    static const char *const names[] = {"none", "nested", "full"};

    return (size_t)t < ORCH_NELEM(names) ? names[t] : "unknown";
}

/* ---- a directory of our own ---- */

/* On the filesystem where state lies or would lie: beneath its nearest parent that exists. */
static char *make_dir(const char *state, int *ret_errnum)
{
    ORCH_AUTO_FREE char *at = orch_xstrdup(state);
    ORCH_AUTO_FREE char *dir = NULL;
    struct stat st;

    while (stat(at, &st) < 0 && errno == ENOENT && strcmp(at, "/") != 0) {
        char *parent = orch_path_normalize(at, "..");

        free(at);
        at = parent;
    }
    dir = orch_xasprintf("%s/.orch-doctor.XXXXXX", strcmp(at, "/") == 0 ? "" : at);
    if (!mkdtemp(dir)) {
        *ret_errnum = errno;
        return NULL;
    }
    if (orch_is_root() && chown(dir, orch_agent_uid(), orch_agent_gid()) < 0) {
        *ret_errnum = errno;
        (void)rmdir(dir);
        return NULL;
    }
    return ORCH_TAKE_PTR(dir);
}

/* ---- one check ---- */

static const struct orch_check_result *find(const struct orch_doctor_report *r, const char *id)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->v[i].id, id) == 0)
            return &r->v[i];
    return NULL;
}

/* The first thing that is missing and without which the check cannot be tried. */
static const struct orch_check_result *blocker(const struct orch_doctor_report *r,
                                               const struct orch_doctor_check *c)
{
    for (size_t i = 0; i < ORCH_NELEM(c->after) && c->after[i]; i++) {
        const struct orch_check_result *before = find(r, c->after[i]);

        if (!before || before->state == ORCH_CHECK_MISSING)
            return before;
    }
    return NULL;
}

static char *describe(const struct orch_doctor_check *c, const struct orch_try_answer *a)
{
    const char *text = a->state == ORCH_CHECK_MISSING ? a->step : a->detail;
    const char *name = strerrorname_np(a->errnum);
    struct orch_buf b = {0};

    if (c->kind == ORCH_K_WHOLE) { /* a message of orch_err: printable already, and it says why */
        orch_buf_str(&b, text);
        return orch_buf_take(&b);
    }
    orch_escape_term(&b, text, strlen(text));
    if (a->state == ORCH_CHECK_MISSING)
        orch_buf_printf(&b, ": %s (%s)", strerror(a->errnum), name ? name : "?");
    return orch_buf_take(&b);
}

static bool others_missing(const struct orch_doctor_report *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->v[i].state == ORCH_CHECK_MISSING && r->v[i].need != ORCH_FOR_OPTION)
            return true;
    return false;
}

static void check_one(struct orch_try *t, const struct orch_doctor_facts *f,
                      const struct orch_doctor_check *c, struct orch_doctor_report *ret)
{
    struct orch_check_result res = {.id = c->id, .title = c->title, .depends = c->depends, .need = c->need};
    const struct orch_check_result *before = blocker(ret, c);

    if (before) {
        res.state = ORCH_CHECK_MISSING;
        res.errnum = before->errnum;
        res.detail = orch_xasprintf("not tried: it needs '%s'", before->title);
        res.fix = orch_xstrdup(before->fix);
    } else {
        orch_try_run(t, c, c->kind == ORCH_K_WHOLE ? WHOLE_MS : CHECK_MS);
        res.state = t->answer->state;
        res.errnum = t->answer->errnum;
        res.detail = describe(c, t->answer);
        if (res.state == ORCH_CHECK_MISSING)
            res.fix = orch_doctor_fix(c, f, res.errnum, others_missing(ret));
    }
    ret->v[ret->n++] = res;
}

/* ---- all of them ---- */

static enum orch_host_tier tier_of(const struct orch_doctor_report *r)
{
    enum orch_host_tier tier = ORCH_HOST_FULL;

    for (size_t i = 0; i < r->n; i++) {
        if (r->v[i].state != ORCH_CHECK_MISSING || r->v[i].need == ORCH_FOR_OPTION)
            continue;
        if (r->v[i].need == ORCH_FOR_NESTED)
            return ORCH_HOST_NONE;
        tier = ORCH_HOST_NESTED;
    }
    return tier;
}

/* Below full, what counts is whether a sandbox of that tier runs. */
static bool nested_works(const struct orch_try *t)
{
    ORCH_AUTO_FREE char *dir =
        orch_xasprintf("%s/cell.XXXXXX", orch_is_root() || !t->dir ? ORCH_CELL_ROOT : t->dir);
    struct orch_err err = {0};
    int r;

    if (!mkdtemp(dir))
        return false;
    r = orch_sandbox_probe_cell(dir, &err);
    (void)orch_rm_rf(AT_FDCWD, dir);
    return r == 0;
}

static bool asked_to_end(int wake_fd)
{
    struct pollfd p = {.fd = wake_fd, .events = POLLIN};

    return wake_fd >= 0 && poll(&p, 1, 0) > 0;
}

static int check_all(struct orch_try *t, const struct orch_doctor_facts *f, struct orch_doctor_report *ret)
{
    ret->v = orch_xcalloc(orch_doctor_n_checks, sizeof(*ret->v));
    for (size_t i = 0; i < orch_doctor_n_checks; i++) {
        if (asked_to_end(t->args->wake_fd))
            return -EINTR;
        check_one(t, f, &orch_doctor_checks[i], ret);
    }
    ret->tier = tier_of(ret);
    if (ret->tier == ORCH_HOST_NESTED && !nested_works(t))
        ret->tier = ORCH_HOST_NONE;
    return 0;
}

static int run_in(const struct orch_doctor_args *a, const struct orch_try *t, struct orch_doctor_report *ret)
{
    ORCH_AUTO_FREE char *stand_in = t->dir ? orch_xasprintf("%s/workspace", t->dir) : NULL;
    struct orch_doctor_args args = *a;
    struct orch_try each = *t;
    struct orch_doctor_facts facts;
    int r;

    if (!args.workspace) {
        args.workspace = stand_in ? stand_in : "/";
        if (stand_in)
            (void)mkdir(stand_in, 0755);
    }
    each.args = &args;
    orch_doctor_facts(&args, &facts);
    ret->kernel = orch_xstrdup(facts.release);
    r = check_all(&each, &facts, ret);
    orch_doctor_facts_fini(&facts);
    return r;
}

int orch_doctor_run(const struct orch_doctor_args *a, struct orch_doctor_report *ret, struct orch_err *err)
{
    struct orch_try t = {0};
    int dir_errnum = 0, r;
    ORCH_AUTO_FREE char *dir = NULL;

    *ret = (struct orch_doctor_report){0};
    t.answer = mmap(NULL, sizeof(*t.answer), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (t.answer == MAP_FAILED)
        return orch_err_sys(err, errno, "mmap");
    dir = make_dir(a->state_dir, &dir_errnum);
    t.dir = dir;
    t.dir_errnum = dir_errnum;
    r = run_in(a, &t, ret);
    if (dir)
        (void)orch_rm_rf(AT_FDCWD, dir);
    (void)munmap(t.answer, sizeof(*t.answer));
    return r;
}

void orch_doctor_report_fini(struct orch_doctor_report *r)
{
    for (size_t i = 0; i < r->n; i++) {
        free(r->v[i].detail);
        free(r->v[i].fix);
    }
    free(r->v);
    free(r->kernel);
    *r = (struct orch_doctor_report){0};
}
