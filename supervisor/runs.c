/* runs.c - reading every run of a state directory. See runs.h. */
#include "supervisor/runs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/escape.h"
#include "common/exit.h"

/* What stands in for the last record where none can be read. */
static void last_write(int dir, char ret[ORCH_TIME_SIZE])
{
    struct stat st;

    ret[0] = '\0';
    if (fstatat(dir, ORCH_JOURNAL_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0 || fstat(dir, &st) == 0)
        orch_time_format(st.st_mtim, ret);
}

void orch_run_info_fini(struct orch_run_info *info)
{
    free(info->id);
    free(info->why);
    orch_run_state_fini(&info->state);
    *info = (struct orch_run_info){0};
}

/* The lock is looked at first: a run that ends in between is then shown as running, not as cut off. */
void orch_run_info_read(const struct orch_rundir *dir, struct orch_run_info *ret)
{
    struct orch_run_info info = {.id = orch_xstrdup(dir->id)};
    struct orch_err err = {0};
    bool torn;
    int k;

    info.busy = orch_rundir_busy(dir, &info.pid);
    last_write(dir->fd, info.last);
    if (orch_rundir_never_began(dir->fd)) {
        info.kind = ORCH_RUN_UNBEGUN;
        *ret = info;
        return;
    }
    k = orch_run_state_load(dir->fd, &info.state, &torn, &err);
    if (k == 0 && strcmp(info.state.run, dir->id) != 0) {
        orch_run_state_fini(&info.state);
        k = orch_err_set(&err, EBADMSG, "%s: record 1: it belongs to another run", ORCH_JOURNAL_NAME);
    }
    if (k < 0) {
        info.kind = ORCH_RUN_CORRUPT;
        info.why = orch_xstrdup(err.msg);
    } else {
        (void)snprintf(info.last, sizeof(info.last), "%s", info.state.time_last);
    }
    *ret = info;
}

/* False: it is not there any more. */
static bool read_run(const char *state, const char *id, struct orch_run_info *ret)
{
    ORCH_AUTO(orch_rundir_close) struct orch_rundir dir = ORCH_RUNDIR_NONE;
    struct orch_err err = {0};
    int k = orch_rundir_open(state, id, &dir, &err);

    if (k == 0)
        orch_run_info_read(&dir, ret);
    else if (err.errnum != ENOENT)
        *ret = (struct orch_run_info){
            .id = orch_xstrdup(id), .kind = ORCH_RUN_CORRUPT, .why = orch_xstrdup(err.msg)};
    return k == 0 || err.errnum != ENOENT;
}

static int by_last(const void *pa, const void *pb)
{
    const struct orch_run_info *a = pa, *b = pb;
    int c = strcmp(a->last, b->last);

    return c ? c : strcmp(a->id, b->id);
}

int orch_runs_load(const char *state, struct orch_runs *ret, struct orch_err *err)
{
    ORCH_AUTO_FREE char *path = orch_xasprintf("%s/runs", state);
    ORCH_AUTO_FREE char *shown = orch_escape_str(path);
    struct orch_runs runs = {0};
    size_t cap = 0;
    DIR *dir = opendir(path);

    if (!dir && errno != ENOENT)
        return orch_err_exit(err, ORCH_EXIT_STATE, errno, "cannot read '%s': %s", shown, strerror(errno));
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (!orch_run_id_valid(e->d_name))
            continue;
        if (runs.n == cap) {
            cap = cap ? cap * 2 : 64;
            runs.v = orch_xreallocarray(runs.v, cap, sizeof(*runs.v));
        }
        if (read_run(state, e->d_name, &runs.v[runs.n]))
            runs.n++;
    }
    if (dir)
        (void)closedir(dir);
    if (runs.n)
        qsort(runs.v, runs.n, sizeof(*runs.v), by_last);
    *ret = runs;
    return 0;
}

void orch_runs_fini(struct orch_runs *runs)
{
    for (size_t i = 0; i < runs->n; i++)
        orch_run_info_fini(&runs->v[i]);
    free(runs->v);
    *runs = (struct orch_runs){0};
}

const char *orch_run_info_standing(const struct orch_run_info *info)
{
    switch (info->kind) {
    case ORCH_RUN_KNOWN:
        return orch_run_standing(&info->state, info->busy);
    case ORCH_RUN_UNBEGUN:
        return info->busy ? "starting" : "never began";
    default:
        return "corrupt";
    }
}

size_t orch_run_reached(const struct orch_run_state *s)
{
    size_t i = 0;

    if (s->open)
        return s->open_phase;
    while (i < s->n_phases && s->phases[i].passed)
        i++;
    return i == s->n_phases && i > 0 ? i - 1 : i;
}

int orch_run_phase_arg(const struct orch_run_state *s, const char *name, size_t *ret, struct orch_err *err)
{
    ORCH_AUTO_FREE char *shown = orch_escape_str(name);
    ORCH_AUTO_FREE const char **names = orch_xcalloc(s->n_phases + 1, sizeof(*names));
    ORCH_AUTO_BUF struct orch_buf list = {0};
    const char *near;

    for (size_t i = 0; i < s->n_phases; i++) {
        names[i] = s->phases[i].name;
        orch_buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
        if (strcmp(names[i], name) == 0) {
            *ret = i;
            return 0;
        }
    }
    near = orch_near_name(name, names);
    return orch_err_exit(err, ORCH_EXIT_USAGE, ENOENT, "the run has no phase '%s'%s%s%s; its phases are: %s",
                         shown, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "",
                         list.data ? list.data : "none");
}
