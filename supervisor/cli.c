/* cli.c - from arguments to a verb, and from an error to a line and an exit status. */
#include <errno.h>
#include <string.h>

#include "common/escape.h"
#include "common/exit.h"
#include "supervisor/options.h"

#ifndef ORCH_VERSION
#define ORCH_VERSION "0.1.0"
#endif

int orch_fail(const struct orch_err *err, int code)
{
    (void)fprintf(stderr, "orch-sandbox: %s\n", err->msg);
    return err->exit_code ? err->exit_code : code;
}

static int usage(const char *fmt, const char *name)
{
    ORCH_AUTO_FREE char *shown = orch_escape_str(name);
    struct orch_err err = {0};

    (void)orch_err_exit(&err, ORCH_EXIT_USAGE, EINVAL, "'%s' %s", shown, fmt);
    return orch_fail(&err, ORCH_EXIT_USAGE);
}

int orch_cmd_version(const struct orch_options *opt)
{
    (void)opt;
    (void)puts("orch-sandbox " ORCH_VERSION);
    return ORCH_EXIT_OK;
}

#define FAMILY "policy" /* the word that begins the names of several verbs */

static int not_a_verb(const char *name)
{
    return usage(orch_verb_is_later(name) ? "is not in this version"
                                          : "is not a command (see: orch-sandbox --help)",
                 name);
}

int orch_cmd_help(const struct orch_options *opt)
{
    ORCH_AUTO_FREE char *name = NULL;
    const struct orch_verb *verb;

    if (opt->n_args == 0) {
        orch_options_help_all(stdout);
        return ORCH_EXIT_OK;
    }
    if (opt->n_args == 1 && strcmp(opt->args[0], FAMILY) == 0) {
        orch_options_help_family(stdout, FAMILY);
        return ORCH_EXIT_OK;
    }
    name =
        opt->n_args == 2 ? orch_xasprintf("%s %s", opt->args[0], opt->args[1]) : orch_xstrdup(opt->args[0]);
    verb = orch_verb_find(name);
    if (!verb)
        return not_a_verb(name);
    orch_options_help(stdout, verb);
    return ORCH_EXIT_OK;
}

static int run_verb(const char *name, int argc, char **argv)
{
    struct orch_options opt = {.status_fd = -1};
    const struct orch_verb *verb = orch_verb_find(name);
    struct orch_err err = {0};

    if (!verb)
        return not_a_verb(name);
    if (orch_options_parse(verb, argc, argv, &opt, &err) < 0) {
        /* 2 could be the status of exec's command: its own failures are 125. */
        int code = orch_fail(&err, ORCH_EXIT_USAGE);
        return verb->run == orch_cmd_exec ? ORCH_EXIT_EXEC_FAILED : code;
    }
    if (opt.help) {
        orch_options_help(stdout, verb);
        return ORCH_EXIT_OK;
    }
    return verb->run(&opt);
}

/* "policy" is only half a name: the other half is the next argument. */
static int run_family(int argc, char **argv)
{
    ORCH_AUTO_FREE char *name = argc > 1 ? orch_xasprintf("%s %s", FAMILY, argv[1]) : NULL;

    if (!name || strcmp(argv[1], "--help") == 0) {
        orch_options_help_family(name ? stdout : stderr, FAMILY);
        return name ? ORCH_EXIT_OK : ORCH_EXIT_USAGE;
    }
    return run_verb(name, argc - 1, argv + 1);
}

int orch_cli_main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;

    if (!name) {
        orch_options_help_all(stderr);
        return ORCH_EXIT_USAGE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    else if (strcmp(name, "--version") == 0)
        name = "version";
    if (strcmp(name, FAMILY) == 0)
        return run_family(argc - 1, argv + 1);
    return run_verb(name, argc - 1, argv + 1);
}
