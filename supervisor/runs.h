/*
 * runs.h - all runs of a state directory at once: what `list` shows and `prune` decides on.
 *
 * Read without locks, also while supervisors are at work. A run that cannot be read is an entry of its own
 * kind and hides no other. No descriptor is kept.
 */
#ifndef ORCH_SUPERVISOR_RUNS_H
#define ORCH_SUPERVISOR_RUNS_H

#include "supervisor/run.h"

enum orch_run_kind {
    ORCH_RUN_KNOWN,   /* `state` is what its journal says */
    ORCH_RUN_UNBEGUN, /* nothing was ever recorded */
    ORCH_RUN_CORRUPT, /* `why` says what is wrong */
};

struct orch_run_info {
    char *id;
    enum orch_run_kind kind;
    bool busy; /* a supervisor holds it */
    long pid;  /* that one's, 0 unknown */
    struct orch_run_state state;
    char *why;                 /* printable; NULL unless CORRUPT */
    char last[ORCH_TIME_SIZE]; /* time of the last record, else of the last write */
};

struct orch_runs {
    struct orch_run_info *v; /* oldest first, by `last` */
    size_t n;
};

/* A missing state directory has no runs. Exit 10 when it cannot be read. */
int orch_runs_load(const char *state, struct orch_runs *ret, struct orch_err *err);
void orch_runs_fini(struct orch_runs *runs);

/* Reads one run again, from its open directory. */
void orch_run_info_read(const struct orch_rundir *dir, struct orch_run_info *ret);
void orch_run_info_fini(struct orch_run_info *info);
/* As orch_run_standing; also "starting", "never began", "corrupt". */
const char *orch_run_info_standing(const struct orch_run_info *info);
/* The phase where the run is, or where it ended: an index, n_phases if it has none. */
size_t orch_run_reached(const struct orch_run_state *s);

/* Index of a phase by name. Exit 2 with the near name and all there are. */
int orch_run_phase_arg(const struct orch_run_state *s, const char *name, size_t *ret, struct orch_err *err);

/* "30m", "7d" and so on, in milliseconds; -EINVAL, -ERANGE. (cmd_prune.c) */
int orch_parse_age(const char *s, uint64_t *ret_ms);

/* "PHASE" or "PHASE.N" (no name of a phase has a dot in it) of a command line. *ret_attempt is only set if
 * there is an N. Exit 2. (cmd_logs.c) */
int orch_attempt_arg(const char *what, char **ret_phase, unsigned *ret_attempt, struct orch_err *err);

#endif
