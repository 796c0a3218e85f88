/*
 * cmd_prune.c - the verb `prune`: removes runs that have ended, and nothing that somebody may still need.
 *
 * A run is renamed out of runs/ under its lock before it is taken apart, so that no half-removed run is ever
 * seen. What a killed prune left in STATE/pruned goes at the next one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/escape.h"
#include "common/exit.h"
#include "sandbox/cgroup.h"
#include "sandbox/layer.h"
#include "supervisor/runs.h"

#define DAY_HOURS 24

struct prune {
    const struct orch_options *opt;
    char *state, *trash;
    struct orch_runs runs;
    size_t keep;                 /* --keep */
    char cutoff[ORCH_TIME_SIZE]; /* --older-than: runs older than this go; "" none */
    uint64_t freed, removed, kept;
    bool failed; /* something could not be removed; it was said */
};

/* ---- options ---- */

static int parse_count(const char *s, size_t *ret)
{
    char *end;
    unsigned long n;

    errno = 0;
    n = strtoul(s, &end, 10);
    if (errno || *end || *s < '0' || *s > '9')
        return -EINVAL;
    *ret = n;
    return 0;
}

/* As in documents, and days: there they would be a limit that nobody means. */
int orch_parse_age(const char *s, uint64_t *ret_ms)
{
    size_t n = strlen(s);
    ORCH_AUTO_FREE char *hours = orch_xstrdup(s);
    int r;

    if (n == 0 || s[n - 1] != 'd')
        return orch_parse_time(s, ret_ms);
    hours[n - 1] = 'h';
    r = orch_parse_time(hours, ret_ms);
    if (r == 0 && (__builtin_mul_overflow(*ret_ms, (uint64_t)DAY_HOURS, ret_ms) || *ret_ms > INT64_MAX))
        r = -ERANGE;
    return r;
}

/* A time before the epoch is before every run. */
static void set_cutoff(struct prune *p, uint64_t age_ms)
{
    struct timespec now = {0};
    uint64_t ms;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    if (age_ms >= ms)
        return;
    ms -= age_ms;
    orch_time_format((struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000},
                     p->cutoff);
}

static int parse(struct prune *p, struct orch_err *err)
{
    const struct orch_options *opt = p->opt;
    ORCH_AUTO_FREE char *shown = orch_escape_str(opt->keep ? opt->keep : opt->older_than);
    uint64_t age = 0;

    if (!opt->keep == !opt->older_than)
        return orch_err_exit(
            err, ORCH_EXIT_USAGE, EINVAL,
            "prune needs one of --keep N and --older-than TIME (see: orch-sandbox prune --help)");
    if (opt->keep && parse_count(opt->keep, &p->keep) < 0)
        return orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL, "--keep: '%s' is not a number of runs", shown);
    if (opt->older_than && orch_parse_age(opt->older_than, &age) < 0)
        return orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL,
                             "--older-than: '%s' is not a time (digits and a unit: s, m, h, d)", shown);
    if (opt->older_than)
        set_cutoff(p, age);
    return 0;
}

/* ---- what may go ---- */

/* Why this run stays whatever its age is, or NULL. Not applied: its layers are the only copy of a result. */
static const char *must_stay(const struct orch_run_info *run)
{
    const struct orch_run_state *s = &run->state;

    if (run->busy)
        return "a supervisor holds it";
    if (run->kind == ORCH_RUN_CORRUPT)
        return run->why;
    if (run->kind != ORCH_RUN_KNOWN)
        return "it has not ended: start it again under its name, or remove its directory";
    if (!s->ended)
        return "it has not ended: resume it first";
    if (s->exit_code == ORCH_EXIT_OK && !s->apply_done && !orch_run_given_up(s))
        return "not applied: apply or discard it first";
    return NULL;
}

/* newer: ended runs that are newer than this one. */
static const char *too_new(const struct prune *p, const struct orch_run_info *run, size_t newer)
{
    if (p->opt->keep)
        return newer < p->keep ? "one of the newest" : NULL;
    return strcmp(run->last, p->cutoff) >= 0 ? "not old enough" : NULL;
}

static void say_kept(struct prune *p, const struct orch_run_info *run, const char *why)
{
    p->kept++;
    (void)printf("kept %s (%s): %s\n", run->id, orch_run_info_standing(run), why);
}

/* ---- removing ---- */

static void say_failed(struct prune *p, const char *id, const char *what, int errnum)
{
    struct orch_err err = {0};

    p->failed = true;
    (void)orch_err_sys(&err, errnum, "run '%s': %s", id, what);
    (void)orch_fail(&err, ORCH_EXIT_STATE);
}

/* Out of runs/, durably, before the first file of it goes. */
static int move_out(const struct prune *p, const struct orch_rundir *dir, char **ret)
{
    ORCH_AUTO_FREE char *runs = orch_xasprintf("%s/runs", p->state);
    int k = orch_mkdir_p(p->trash, 0700);

    if (k < 0)
        return k;
    *ret = orch_xasprintf("%s/%s.%ld", p->trash, dir->id, (long)getpid());
    if (rename(dir->path, *ret) < 0)
        return -errno;
    k = orch_fsync_dir(AT_FDCWD, p->trash);
    return k < 0 ? k : orch_fsync_dir(AT_FDCWD, runs);
}

static void remove_run(struct prune *p, const struct orch_run_info *run, const struct orch_rundir *dir)
{
    ORCH_AUTO_FREE char *moved = NULL;
    uint64_t bytes = 0, entries = 0;
    int k = 0;

    (void)orch_layer_usage(dir->path, &bytes, &entries); /* as an ordinary user it may not see all */
    if (!p->opt->dry_run)
        k = move_out(p, dir, &moved);
    if (k < 0) {
        say_failed(p, run->id, "cannot be moved out of the way", -k);
        return;
    }
    if (moved)
        k = orch_rm_rf(AT_FDCWD, moved);
    if (k < 0) {
        say_failed(p, run->id, "cannot be removed completely; the rest is in 'pruned' in the state directory",
                   -k);
        return;
    }
    p->removed++;
    p->freed += bytes;
    (void)printf("%s %s (%s), last record %s, %" PRIu64 " bytes\n", moved ? "removed" : "would remove",
                 run->id, orch_run_info_standing(run), run->last, bytes);
}

/* Looks again under the lock: between list and lock it may have been resumed, applied or removed. */
static void prune_run(struct prune *p, const struct orch_run_info *listed, size_t newer)
{
    ORCH_AUTO(orch_rundir_close) struct orch_rundir dir = ORCH_RUNDIR_NONE;
    ORCH_AUTO(orch_run_info_fini) struct orch_run_info now = {0};
    const char *why = NULL;
    struct orch_err err = {0};
    int k = orch_rundir_open(p->state, listed->id, &dir, &err);

    if (k == -ENOENT)
        return;
    if (k < 0) {
        say_kept(p, listed, err.msg);
        return;
    }
    why = must_stay(listed);
    if (!why)
        why = too_new(p, listed, newer);
    if (!why && !p->opt->dry_run) {
        if (orch_rundir_lock(&dir, &err) < 0) {
            say_kept(p, listed, err.msg);
            return;
        }
        orch_run_info_read(&dir, &now);
        now.busy = false; /* by us */
        why = must_stay(&now);
    }
    if (why)
        say_kept(p, listed, why);
    else
        remove_run(p, listed, &dir);
}

/* What an earlier prune was killed over. */
static void sweep(const struct prune *p)
{
    DIR *d = opendir(p->trash);

    for (struct dirent *e; d && (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            (void)orch_rm_rf(dirfd(d), e->d_name);
    if (d)
        (void)closedir(d);
}

static int steps(struct prune *p, struct orch_err *err)
{
    size_t newer = 0;
    int k = parse(p, err);

    if (k == 0)
        k = orch_state_resolve(p->opt->state, &p->state, err);
    if (k == 0)
        k = orch_runs_load(p->state, &p->runs, err);
    if (k < 0)
        return k;
    p->trash = orch_xasprintf("%s/pruned", p->state);
    if (!p->opt->dry_run) {
        sweep(p);
        orch_cgroup_sweep();
    }
    for (size_t i = p->runs.n; i-- > 0;) {
        const struct orch_run_info *run = &p->runs.v[i];

        prune_run(p, run, newer);
        newer += run->kind == ORCH_RUN_KNOWN && run->state.ended;
    }
    (void)printf("%s %" PRIu64 " run%s, %" PRIu64 " bytes%s; kept %" PRIu64 "\n",
                 p->opt->dry_run ? "would remove" : "removed", p->removed, p->removed == 1 ? "" : "s",
                 p->freed, p->opt->dry_run ? "" : " freed", p->kept);
    return 0;
}

int orch_cmd_prune(const struct orch_options *opt)
{
    struct prune p = {.opt = opt};
    struct orch_err err = {0};
    int code = steps(&p, &err) < 0 ? orch_fail(&err, ORCH_EXIT_STATE)
               : p.failed          ? ORCH_EXIT_STATE
                                   : ORCH_EXIT_OK;

    orch_runs_fini(&p.runs);
    free(p.state);
    free(p.trash);
    return code;
}
