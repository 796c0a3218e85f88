/* cmd_audit.c - the verbs `audit` and `verify`. */
#include <stdio.h>

#include "common/exit.h"
#include "common/io.h"
#include "supervisor/keys.h"
#include "supervisor/run.h"

static int open_run(const struct orch_options *opt, struct orch_rundir *ret, struct orch_err *err)
{
    ORCH_AUTO_FREE char *state = NULL;
    int k = orch_state_resolve(opt->state, &state, err);

    return k < 0 ? k : orch_rundir_open(state, opt->args[0], ret, err);
}

int orch_cmd_audit(const struct orch_options *opt)
{
    struct orch_rundir dir = ORCH_RUNDIR_NONE;
    struct orch_err err = {0};
    int k = open_run(opt, &dir, &err);

    if (k == 0)
        k = orch_audit_print(dir.fd, STDOUT_FILENO, opt->json, &err);
    orch_rundir_close(&dir);
    return k < 0 ? orch_fail(&err, ORCH_EXIT_CORRUPT) : ORCH_EXIT_OK;
}

int orch_cmd_verify(const struct orch_options *opt)
{
    struct orch_rundir dir = ORCH_RUNDIR_NONE;
    ORCH_AUTO_BUF struct orch_buf ok = {0};
    char key[ORCH_KEY_SIZE];
    struct orch_err err = {0};
    int k = opt->key ? orch_keys_public(opt->key, key, &err) : 0;

    if (k == 0)
        k = open_run(opt, &dir, &err);
    if (k == 0)
        k = orch_run_verify(&dir, opt->key ? key : NULL, &ok, &err);
    (void)orch_write_all(STDOUT_FILENO, ok.data ? ok.data : "", ok.len);
    orch_rundir_close(&dir);
    return k < 0 ? orch_fail(&err, ORCH_EXIT_CORRUPT) : ORCH_EXIT_OK;
}
