/* options.c - the tables of verbs and options, and what is made of them. See options.h. */
#include "supervisor/options.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <string.h>
#include <sys/prctl.h>

#include "common/escape.h"
#include "common/exit.h"

enum {
    V_RUN = 1,
    V_RESUME = 2,
    V_EXEC = 4,
    V_STATUS = 8,
    V_AUDIT = 16,
    V_VERIFY = 32,
    V_HELP = 64,
    V_VERSION = 128,
    V_APPROVE = 256,
    V_REJECT = 512,
    V_SUSPEND = 1024,
    V_CANCEL = 2048,
    V_APPLY = 4096,
    V_DISCARD = 8192,
    V_LIST = 1 << 14,
    V_LOGS = 1 << 15,
    V_DIFF = 1 << 16,
    V_PRUNE = 1 << 17,
    V_DOCTOR = 1 << 18,
    V_P_CHECK = 1 << 19,
    V_P_SHOW = 1 << 20,
    V_P_EXPLAIN = 1 << 21,
    V_P_TEST = 1 << 22,
    V_P_GROUPS = 1 << 23,
    V_P_DIFF = 1 << 24,
    V_P_SCHEMA = 1 << 25,
    V_KEYGEN = 1 << 26,
    V_EXPLAIN = 1 << 27,
    V_P_PLANS = V_P_CHECK | V_P_SHOW | V_P_EXPLAIN | V_P_TEST,
    V_POLICY = V_P_PLANS | V_P_GROUPS | V_P_DIFF | V_P_SCHEMA,
    V_DECIDE = V_APPROVE | V_REJECT,
    V_OPERATE = V_DECIDE | V_SUSPEND | V_CANCEL | V_APPLY | V_DISCARD,
    V_READS = V_STATUS | V_AUDIT | V_VERIFY | V_LIST | V_LOGS | V_DIFF | V_PRUNE,
    V_STATE = V_RUN | V_RESUME | V_EXEC | V_READS | V_OPERATE | V_DOCTOR | V_P_PLANS | V_P_DIFF | V_KEYGEN |
              V_EXPLAIN,
    V_ALL = V_STATE | V_HELP | V_VERSION | V_POLICY,
};

const struct orch_verb orch_verbs[] = {
    {"run", V_RUN, "[OPTION...] WORKFLOW", "Drive a workflow through its phases.", 1, 1, orch_cmd_run},
    {"exec", V_EXEC, "[OPTION...] --profile PROFILE -- COMMAND [ARGUMENT...]",
     "Run one command in one sandbox.", 1, -1, orch_cmd_exec},
    {"resume", V_RESUME, "[OPTION...] RUN", "Continue a run that was paused or cut off.", 1, 1,
     orch_cmd_resume},
    {"status", V_STATUS, "[OPTION...] [RUN]", "Show where a run stands; without RUN, the newest one.", 0, 1,
     orch_cmd_status},
    {"approve", V_APPROVE, "[OPTION...] RUN PHASE/GATE", "Approve the layer that waits.", 2, 2,
     orch_cmd_approve},
    {"reject", V_REJECT, "[OPTION...] RUN PHASE/GATE", "Reject it; the reason goes to the next attempt.", 2,
     2, orch_cmd_reject},
    {"suspend", V_SUSPEND, "[OPTION...] RUN", "End the attempt at once; the run can be resumed.", 1, 1,
     orch_cmd_suspend},
    {"cancel", V_CANCEL, "[OPTION...] RUN", "End a run for good.", 1, 1, orch_cmd_cancel},
    {"apply", V_APPLY, "[OPTION...] RUN", "Apply the result of a run that passed.", 1, 1, orch_cmd_apply},
    {"discard", V_DISCARD, "[OPTION...] RUN", "Give the result of a run up.", 1, 1, orch_cmd_discard},
    {"audit", V_AUDIT, "[OPTION...] RUN", "Show the audit log of a run, grouped.", 1, 1, orch_cmd_audit},
    {"explain", V_EXPLAIN, "[OPTION...] RUN SEQ", "Decide one refused call once more, step by step.", 2, 2,
     orch_cmd_explain},
    {"verify", V_VERIFY, "[OPTION...] RUN", "Check journal, audit log, inputs and layers of a run.", 1, 1,
     orch_cmd_verify},
    {"keygen", V_KEYGEN, "[OPTION...]", "Make the key that signs the runs of a state directory.", 0, 0,
     orch_cmd_keygen},
    {"list", V_LIST, "[OPTION...]", "Show all runs, one a line, the newest last.", 0, 0, orch_cmd_list},
    {"logs", V_LOGS, "[OPTION...] RUN [PHASE[.N]]", "Show what agents and gates of a run printed.", 1, 2,
     orch_cmd_logs},
    {"diff", V_DIFF, "[OPTION...] RUN [PHASE]",
     "Show what a run, or one phase of it, changes in the workspace.", 1, 2, orch_cmd_diff},
    {"prune", V_PRUNE, "[OPTION...] (--keep N | --older-than TIME)", "Remove old runs that have ended.", 0, 0,
     orch_cmd_prune},
    {"doctor", V_DOCTOR, "[OPTION...]", "Show what this host can enforce, by trying it.", 0, 0,
     orch_cmd_doctor},
    {"policy check", V_P_CHECK, "[OPTION...] FILE...",
     "Check profiles, workflows and policy tests, and all that they name.", 1, -1, orch_cmd_policy_check},
    {"policy show", V_P_SHOW, "[OPTION...] PROFILE",
     "Show what a profile gives, and where each part is written.", 1, 1, orch_cmd_policy_show},
    {"policy explain", V_P_EXPLAIN, "[OPTION...] PROFILE (SYSCALL [ARGUMENT...] | ACT PATH)",
     "Say whether a call or an act is permitted, by which rule, and what would allow it.", 2, 8,
     orch_cmd_policy_explain},
    {"policy test", V_P_TEST, "[OPTION...] FILE...",
     "Try assertions about a profile, on the model and in the kernel.", 1, -1, orch_cmd_policy_test},
    {"policy diff", V_P_DIFF, "[OPTION...] A B",
     "Show what each of two profiles allows that the other does not.", 2, 2, orch_cmd_policy_diff},
    {"policy groups", V_P_GROUPS, "[@GROUP]", "Show the groups of system calls, or the members of one.", 0, 1,
     orch_cmd_policy_groups},
    {"policy schema", V_P_SCHEMA, "[profile | workflow | test]",
     "Write the JSON Schema of a document, for editors.", 0, 1, orch_cmd_policy_schema},
    {"help", V_HELP, "[COMMAND]", "Show this help, or the help of a command.", 0, 2, orch_cmd_help},
    {"version", V_VERSION, "", "Show the version.", 0, 0, orch_cmd_version},
    {NULL, 0, NULL, NULL, 0, 0, NULL},
};

static const char *const later_verbs[] = {"report",        "policy learn",  "policy suggest", "policy lint",
                                          "policy import", "policy export", "policy schema",  NULL};

enum kind { TEXT, FLAG, LIST, LATER };

struct option_row {
    const char *name, *arg; /* arg: what it is called in the help, NULL = a flag */
    enum kind kind;
    unsigned verbs;
    size_t off;
    const char *help;
};

#define OFF(member) offsetof(struct orch_options, member)

static const struct option_row rows[] = {
    {"workspace", "DIR", TEXT, V_RUN | V_EXEC | V_DOCTOR | V_P_PLANS, OFF(workspace),
     "the directory to work on (default: the current one)"},
    {"profile", "PROFILE", TEXT, V_EXEC, OFF(profile), "a built-in profile, or a path with a slash"},
    {"profile", "PROFILE", TEXT, V_P_TEST, OFF(profile),
     "test this profile instead of the one the file names"},
    {"closure", NULL, FLAG, V_P_SHOW, OFF(closure), "list each file that the tools need, and why"},
    {"syscalls", NULL, FLAG, V_P_SHOW, OFF(syscalls), "list each system call"},
    {"exit-code", NULL, FLAG, V_P_DIFF, OFF(exit_code), "exit 1 if they differ"},
    {"state", "DIR", TEXT, V_STATE, OFF(state),
     "state directory (default: $ORCH_SANDBOX_STATE, $XDG_STATE_HOME/orch-sandbox, "
     "~/.local/state/orch-sandbox)"},
    {"run-id", "ID", TEXT, V_RUN, OFF(run_id), "name of the run (default: made of time and a random number)"},
    {"mode", "MODE", TEXT, V_RUN | V_RESUME, OFF(mode), "strict or operator"},
    {"until", "PHASE", TEXT, V_RUN | V_RESUME, OFF(until),
     "stop, resumable, after PHASE has passed (exit 5)"},
    {"no-apply", NULL, FLAG, V_RUN | V_RESUME, OFF(no_apply),
     "leave the workspace as it is even if the run passes"},
    {"apply", NULL, FLAG, V_EXEC, OFF(apply), "apply the changes to the workspace if the command exits 0"},
    {"tty", NULL, FLAG, V_EXEC, OFF(tty), "give the command a terminal of its own"},
    {"dry-run", NULL, FLAG, V_RUN, OFF(dry_run), "check everything, show what would run, start nothing"},
    {"keep", "N", TEXT, V_PRUNE, OFF(keep), "keep the N newest of the runs that have ended"},
    {"older-than", "TIME", TEXT, V_PRUNE, OFF(older_than),
     "remove runs whose last record is older: 30m, 12h, 7d"},
    {"dry-run", NULL, FLAG, V_PRUNE, OFF(dry_run), "say what would be removed, remove nothing"},
    {"follow", NULL, FLAG, V_LOGS, OFF(follow), "go on with what is printed until the run stops"},
    {"follow", NULL, FLAG, V_AUDIT, OFF(follow), "show each record as it comes, until the run stops"},
    {"phase", "PHASE[.N]", TEXT, V_AUDIT, OFF(phase),
     "only what happened in this phase, or in its attempt N"},
    {"class", "CLASS", TEXT, V_AUDIT, OFF(class),
     "only denials of this class: filesystem, exec, syscall, network, control"},
    {"event", "EVENT", TEXT, V_AUDIT, OFF(event), "only records of this event: denial, exec, gate, ..."},
    {"since", "TIME", TEXT, V_AUDIT, OFF(since),
     "only what is not older: 30s, 10m, 12h, 7d, or a time like 2026-01-02T03:04:05Z"},
    {"format", "FORMAT", TEXT, V_AUDIT, OFF(format), "text (default), json, csv or sarif"},
    {"ignore-submounts", NULL, FLAG, V_RUN | V_RESUME | V_EXEC, OFF(ignore_submounts),
     "accept mounts beneath the workspace; the sandbox does not see them"},
    {"audit", "FILE", TEXT, V_EXEC, OFF(audit), "write the audit records to FILE (must not exist)"},
    {"key", "FILE", TEXT, V_VERIFY, OFF(key), "demand that all of the run is signed with this public key"},
    {"head", "HEX", LIST, V_VERIFY, OFF(head),
     "demand that a record with this digest is still there: a head that the run printed; may be repeated"},
    {"status-fd", "N", TEXT, V_EXEC, OFF(status_fd_text),
     "write the result as one JSON line to descriptor N"},
    {"json", NULL, FLAG, V_RUN | V_RESUME | V_STATUS | V_AUDIT | V_LIST | V_DOCTOR | V_P_SHOW, OFF(json),
     "JSON on standard output"},
    {"quiet", NULL, FLAG, V_RUN | V_RESUME | V_EXEC, OFF(quiet),
     "show only errors, and a verdict that is no pass"},
    {"report", "FORMAT:FILE", LATER, V_RUN | V_RESUME, 0, NULL},
    {"skip", "PHASE", LIST, V_RUN | V_RESUME, OFF(skip),
     "operator mode: pass over PHASE, on the record; may be repeated"},
    {"force-gate", "PHASE/GATE", LIST, V_RUN | V_RESUME, OFF(force_gate),
     "operator mode: let GATE count as passed, on the record; may be repeated"},
    {"reason", "TEXT", TEXT, V_RUN | V_RESUME | V_DECIDE | V_DISCARD, OFF(reason), "why; goes on the record"},
    {"digest", "D", TEXT, V_DECIDE, OFF(digest), "the layer that is meant: the digest that status shows"},
    {"theirs-kept", NULL, FLAG, V_APPLY, OFF(theirs_kept),
     "after a conflict: apply all but what others changed meanwhile"},
    {"help", NULL, FLAG, V_ALL, OFF(help), "show this help"},
};

const struct orch_verb *orch_verb_find(const char *name)
{
    for (const struct orch_verb *v = orch_verbs; v->name; v++)
        if (strcmp(v->name, name) == 0)
            return v;
    return NULL;
}

bool orch_verb_is_later(const char *name)
{
    for (size_t i = 0; later_verbs[i]; i++)
        if (strcmp(later_verbs[i], name) == 0)
            return true;
    return false;
}

/* ---- parsing ---- */

static int usage_error(struct orch_err *err, const struct orch_verb *verb, const char *what, const char *arg)
{
    ORCH_AUTO_FREE char *shown = orch_escape_str(arg);

    return orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL, "%s '%s' (see: orch-sandbox %s --help)", what, shown,
                         verb->name);
}

/* getopt's table for one verb; val is the row's index + 1. */
static void fill_long(const struct orch_verb *verb, struct option *ret)
{
    size_t n = 0;

    for (size_t i = 0; i < ORCH_NELEM(rows); i++)
        if (rows[i].verbs & verb->bit)
            ret[n++] = (struct option){.name = rows[i].name,
                                       .has_arg = rows[i].arg ? required_argument : no_argument,
                                       .val = (int)i + 1};
    ret[n] = (struct option){0};
}

static int take_listed(const struct orch_verb *verb, const struct option_row *row, const char *arg,
                       struct orch_option_list *list, struct orch_err *err)
{
    if (*arg == '\0')
        return usage_error(err, verb, "an empty value for", row->name);
    if (list->n == ORCH_OPTION_LIST_MAX)
        return usage_error(err, verb, "given too often:", row->name);
    list->v[list->n++] = arg;
    return 0;
}

static int take(const struct orch_verb *verb, const struct option_row *row, const char *arg,
                struct orch_options *o, struct orch_err *err)
{
    char *at = (char *)o + row->off;

    if (row->kind == LATER)
        return orch_err_exit(err, ORCH_EXIT_USAGE, ENOTSUP, "--%s is not in this version", row->name);
    if (row->kind == FLAG)
        *(bool *)at = true;
    else if (row->kind == LIST)
        return take_listed(verb, row, arg, (struct orch_option_list *)(void *)at, err);
    else if (*arg == '\0')
        return usage_error(err, verb, "an empty value for", row->name);
    else
        *(const char **)at = arg;
    return 0;
}

static int parse_fd(const struct orch_verb *verb, struct orch_options *o, struct orch_err *err)
{
    char *end;
    long n;

    o->status_fd = -1;
    if (!o->status_fd_text)
        return 0;
    errno = 0;
    n = strtol(o->status_fd_text, &end, 10);
    if (errno || *end || n < 0 || n > INT_MAX || fcntl((int)n, F_GETFD) < 0)
        return usage_error(err, verb, "--status-fd is not an open descriptor:", o->status_fd_text);
    o->status_fd = (int)n;
    return 0;
}

static int check(const struct orch_verb *verb, struct orch_options *o, struct orch_err *err)
{
    if (o->help)
        return 0;
    if (o->mode && strcmp(o->mode, "strict") != 0 && strcmp(o->mode, "operator") != 0)
        return usage_error(err, verb, "--mode is strict or operator, not", o->mode);
    if (o->n_args < verb->min_args)
        return orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL, "usage: orch-sandbox %s %s", verb->name,
                             verb->usage);
    if (verb->max_args >= 0 && o->n_args > verb->max_args)
        return usage_error(err, verb, "unexpected argument", o->args[verb->max_args]);
    return parse_fd(verb, o, err);
}

int orch_options_parse(const struct orch_verb *verb, int argc, char **argv, struct orch_options *ret,
                       struct orch_err *err)
{
    /* The command of exec has options of its own, and an argument of a call may be -1: stop at the first
     * argument that is not one of ours. */
    const char *mode = verb->bit & (V_EXEC | V_P_EXPLAIN) ? "+:" : ":";
    struct option longs[ORCH_NELEM(rows) + 1];
    struct orch_options o = {.status_fd = -1};
    int c, r;

    fill_long(verb, longs);
    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, mode, longs, NULL)) != -1) {
        if (c == ':')
            return usage_error(err, verb, "a value is missing for", argv[optind - 1]);
        if (c == '?')
            return usage_error(err, verb, "unknown option", argv[optind - 1]);
        r = take(verb, &rows[c - 1], optarg, &o, err);
        if (r < 0)
            return r;
    }
    o.args = argv + optind;
    o.n_args = argc - optind;
    r = check(verb, &o, err);
    if (r == 0)
        *ret = o;
    return r;
}

/* ---- help ---- */

void orch_options_help(FILE *out, const struct orch_verb *verb)
{
    (void)fprintf(out, "usage: orch-sandbox %s %s\n\n%s\n\noptions:\n", verb->name, verb->usage, verb->what);
    for (size_t i = 0; i < ORCH_NELEM(rows); i++) {
        char left[64];

        if (!(rows[i].verbs & verb->bit) || rows[i].kind == LATER)
            continue;
        (void)snprintf(left, sizeof(left), "--%s%s%s", rows[i].name, rows[i].arg ? " " : "",
                       rows[i].arg ? rows[i].arg : "");
        (void)fprintf(out, "  %-20s  %s\n", left, rows[i].help);
    }
}

void orch_options_help_all(FILE *out)
{
    (void)fputs("usage: orch-sandbox COMMAND [OPTION...] [ARGUMENT...]\n\ncommands:\n", out);
    for (const struct orch_verb *v = orch_verbs; v->name; v++)
        if (!strchr(v->name, ' '))
            (void)fprintf(out, "  %-8s  %s\n", v->name, v->what);
        else if (strcmp(v->name, "policy check") == 0) /* the first of the family stands for all */
            (void)fprintf(out, "  %-8s  %s\n", "policy", "Check, show, explain, test and compare policies.");
    (void)fputs("\n'orch-sandbox COMMAND --help' shows the options of a command.\n"
                "Exit status: 0 passed, 1 failed, 2 usage or invalid document, 3 host cannot enforce, 4 "
                "limit, 5 paused,\n"
                "6 denial budget, 7 state corrupt, 8 agent not startable, 9 busy or conflict, 10 state not "
                "writable,\n"
                "130 and 143 cancelled.\n",
                out);
}

void orch_options_help_family(FILE *out, const char *family)
{
    size_t n = strlen(family);

    (void)fprintf(out, "usage: orch-sandbox %s SUBCOMMAND [OPTION...] [ARGUMENT...]\n\nsubcommands:\n",
                  family);
    for (const struct orch_verb *v = orch_verbs; v->name; v++)
        if (strncmp(v->name, family, n) == 0 && v->name[n] == ' ')
            (void)fprintf(out, "  %-8s  %s\n", v->name + n + 1, v->what);
    (void)fprintf(out, "\n'orch-sandbox %s SUBCOMMAND --help' shows the options of one.\n", family);
}

/* ---- mode ---- */

extern char **environ;

static bool automation_env(void)
{
    static const char *const names[] = {"CLAUDECODE", "CI", "GITHUB_ACTIONS"};

    for (size_t i = 0; i < ORCH_NELEM(names); i++)
        if (getenv(names[i]))
            return true;
    for (char **e = environ; *e; e++)
        if (strncmp(*e, "CODEX_", 6) == 0)
            return true;
    return false;
}

/*
 * Told neither by the environment, which the caller inside could have changed, nor by the view, which exec
 * and tier nested do not have: inside, and nowhere else, this call is answered as done and does nothing
 * (design 7).
 */
bool orch_inside_sandbox(void)
{
    int was = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), now;

    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return false;
    now = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
    if (was == 1 && now == 0)
        (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    return now == 1;
}

const char *orch_mode_detect(const char *option)
{
    const char *env = getenv("ORCHESTRATOR_MODE");
    bool is_operator;

    if (orch_inside_sandbox())
        return "strict";
    if (option)
        is_operator = strcmp(option, "operator") == 0;
    else if (env)
        is_operator = strcmp(env, "operator") == 0 || strcmp(env, "human") == 0;
    else
        is_operator = isatty(STDIN_FILENO) && isatty(STDERR_FILENO) && !automation_env();
    return is_operator ? "operator" : "strict";
}
