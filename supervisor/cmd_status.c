/* cmd_status.c - the verb `status`: reads, never writes, also while a supervisor is at work. */
#include <stdio.h>

#include "common/exit.h"
#include "common/io.h"
#include "supervisor/run.h"

static int show(const struct orch_options *opt, const struct orch_rundir *dir, struct orch_err *err)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    struct orch_run_state s = {0};
    bool torn;
    long pid;
    bool busy = orch_rundir_busy(dir, &pid);
    int k = orch_run_state_load(dir->fd, &s, &torn, err);

    if (k < 0)
        return k;
    if (opt->json)
        orch_summary_json(&s, busy, &b);
    else
        orch_summary_text(&s, dir->id, true, busy, &b);
    (void)orch_write_all(STDOUT_FILENO, b.data, b.len);
    orch_run_state_fini(&s);
    return 0;
}

int orch_cmd_status(const struct orch_options *opt)
{
    struct orch_rundir dir = ORCH_RUNDIR_NONE;
    ORCH_AUTO_FREE char *state = NULL;
    struct orch_err err = {0};
    int k = orch_state_resolve(opt->state, &state, &err);

    if (k == 0)
        k = orch_rundir_open(state, opt->n_args ? opt->args[0] : NULL, &dir, &err);
    if (k == 0)
        k = show(opt, &dir, &err);
    orch_rundir_close(&dir);
    return k < 0 ? orch_fail(&err, ORCH_EXIT_CORRUPT) : ORCH_EXIT_OK;
}
