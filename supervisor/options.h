/*
 * options.h - the command line as data: which verbs there are, which options each takes, and the parsed
 * result. The tables in options.c generate the parser and every --help text, so the two cannot differ.
 */
#ifndef ORCH_SUPERVISOR_OPTIONS_H
#define ORCH_SUPERVISOR_OPTIONS_H

#include <stdio.h>

#include "common/err.h"

#define ORCH_OPTION_LIST_MAX 32

struct orch_option_list { /* of an option that may be given again and again */
    const char *v[ORCH_OPTION_LIST_MAX];
    size_t n;
};

struct orch_options {
    const char *workspace, *state, *run_id, *mode, *until, *profile, *audit, *key;
    const char *reason, *digest, *keep, *older_than;
    const char *phase, *class, *event, *since, *format; /* of audit */
    struct orch_option_list skip, force_gate, head;
    bool closure, syscalls, exit_code; /* of the policy verbs */
    const char *status_fd_text;
    int status_fd; /* -1 = none */
    bool tty, theirs_kept, apply_now, no_apply, apply, dry_run, json, quiet, ignore_submounts, follow, help;
    char **args; /* what is left: borrowed from argv, NULL-terminated */
    int n_args;
};

struct orch_verb {
    const char *name;
    unsigned bit;
    const char *usage, *what;
    int min_args, max_args;                     /* max -1 = no limit */
    int (*run)(const struct orch_options *opt); /* returns the exit status */
};

extern const struct orch_verb orch_verbs[]; /* ended by a name of NULL */
const struct orch_verb *orch_verb_find(const char *name);
/* Verbs of the design that this version does not have. */
bool orch_verb_is_later(const char *name);

/* argv[0] is the verb. Exit 2 on any error. */
int orch_options_parse(const struct orch_verb *verb, int argc, char **argv, struct orch_options *ret,
                       struct orch_err *err);
void orch_options_help(FILE *out, const struct orch_verb *verb);
void orch_options_help_all(FILE *out);
/* The verbs whose names begin with that word. */
void orch_options_help_family(FILE *out, const char *family);

/* Strict or operator (design 4). Mode unlocks overrides only; nothing else depends on it. */
const char *orch_mode_detect(const char *option);
/* Whether this process runs inside a sandbox of ours. */
bool orch_inside_sandbox(void);

int orch_cmd_run(const struct orch_options *opt);
int orch_cmd_resume(const struct orch_options *opt);
int orch_cmd_exec(const struct orch_options *opt);
int orch_cmd_approve(const struct orch_options *opt);
int orch_cmd_reject(const struct orch_options *opt);
int orch_cmd_suspend(const struct orch_options *opt);
int orch_cmd_cancel(const struct orch_options *opt);
int orch_cmd_apply(const struct orch_options *opt);
int orch_cmd_discard(const struct orch_options *opt);
int orch_cmd_status(const struct orch_options *opt);
int orch_cmd_audit(const struct orch_options *opt);
int orch_cmd_explain(const struct orch_options *opt);
int orch_cmd_keygen(const struct orch_options *opt);
int orch_cmd_verify(const struct orch_options *opt);
int orch_cmd_list(const struct orch_options *opt);
int orch_cmd_logs(const struct orch_options *opt);
int orch_cmd_diff(const struct orch_options *opt);
int orch_cmd_prune(const struct orch_options *opt);
int orch_cmd_doctor(const struct orch_options *opt);
int orch_cmd_policy_check(const struct orch_options *opt);
int orch_cmd_policy_show(const struct orch_options *opt);
int orch_cmd_policy_explain(const struct orch_options *opt);
int orch_cmd_policy_test(const struct orch_options *opt);
int orch_cmd_policy_diff(const struct orch_options *opt);
int orch_cmd_policy_schema(const struct orch_options *opt);
int orch_cmd_policy_groups(const struct orch_options *opt);
int orch_cmd_help(const struct orch_options *opt);
int orch_cmd_version(const struct orch_options *opt);

/* The one place that prints an error; returns its exit status, or `code` where it has none. */
int orch_fail(const struct orch_err *err, int code);
int orch_cli_main(int argc, char **argv);

#endif
