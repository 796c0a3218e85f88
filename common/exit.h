/* exit.h - exit codes of the command line, and nothing else. They are a contract: scripts rely on them. */
#ifndef ORCH_COMMON_EXIT_H
#define ORCH_COMMON_EXIT_H

enum orch_exit {
    ORCH_EXIT_OK = 0,              /* every phase passed */
    ORCH_EXIT_FAILED = 1,          /* a gate or the seal check failed, or apply found unsafe changes */
    ORCH_EXIT_USAGE = 2,           /* usage, invalid document, unresolved program */
    ORCH_EXIT_UNENFORCEABLE = 3,   /* this host cannot enforce what the profile demands */
    ORCH_EXIT_LIMIT = 4,           /* ended by a time, resource or budget limit */
    ORCH_EXIT_PAUSED = 5,          /* resumable: suspended or stopped by --until */
    ORCH_EXIT_DENIALS = 6,         /* denial budget exceeded */
    ORCH_EXIT_CORRUPT = 7,         /* state corrupt or tampered with */
    ORCH_EXIT_START = 8,           /* the agent could not be started */
    ORCH_EXIT_BUSY = 9,            /* locked, or the workspace changed underneath */
    ORCH_EXIT_STATE = 10,          /* state, audit log or disk not writable */
    ORCH_EXIT_EXEC_LIMIT = 124,    /* exec only: wall limit */
    ORCH_EXIT_EXEC_FAILED = 125,   /* exec only: orch-sandbox itself failed */
    ORCH_EXIT_EXEC_REFUSED = 126,  /* exec only: not executable or not a tool */
    ORCH_EXIT_EXEC_NOTFOUND = 127, /* exec only: not found */
    ORCH_EXIT_SIGINT = 130,        /* cancelled by SIGINT */
    ORCH_EXIT_SIGTERM = 143,       /* cancelled by SIGTERM or cancel */
};

#endif
