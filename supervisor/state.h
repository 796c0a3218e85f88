/*
 * state.h - the state directory and the directories of runs in it (design 8).
 *
 *   STATE/runs/RUN-ID/  journal.jsonl audit.jsonl fingerprint inputs/
 * seal.json layers/PHASE.N/{upper,work,scaffold,home} logs/PHASE.N.{out,err} lock trash/
 *
 *   STATE/cache/  what can be found anew at any time
 *
 * All of it is 0700/0600 and outside every view. A run directory is written only under its lock. Paths
 * returned are newly allocated; errors carry their exit code.
 */
#ifndef ORCH_SUPERVISOR_STATE_H
#define ORCH_SUPERVISOR_STATE_H

#include "common/err.h"
#include "policy/tools.h"

struct orch_rundir {
    char *id, *path;
    int fd;   /* the run directory */
    int lock; /* the held lock file, or -1 */
};

#define ORCH_RUNDIR_NONE ((struct orch_rundir){.fd = -1, .lock = -1})

/*
 * Absolute path of the state directory: `option`, else $ORCH_SANDBOX_STATE, $XDG_STATE_HOME/orch-sandbox,
 * ~/.local/state/orch-sandbox. Symlinks of what exists already are resolved. Creates nothing. Exit 2.
 */
int orch_state_resolve(const char *option, char **ret, struct orch_err *err);
/* Creates it (0700) where missing; may we write there? For who makes something in it at once, or nothing.
 * Exit 10. */
int orch_state_make(const char *state, struct orch_err *err);
/* The same, and proves that it can be written. */
int orch_state_prepare(const char *state, struct orch_err *err);

/* Resolutions of tools that are kept in STATE/cache. Caller frees. */
struct orch_closure_cache *orch_state_closures(const char *state);

/* [A-Za-z0-9][A-Za-z0-9._-]*, at most 64 bytes. */
bool orch_run_id_valid(const char *id);

/* A new run directory, locked. id NULL = "r-<time>-<random>". An id that is taken is exit 2. */
int orch_rundir_create(const char *state, const char *id, struct orch_rundir *ret, struct orch_err *err);
/* An existing one, not locked; id NULL = the one with the latest journal entry. Exit 2 if there is none. */
int orch_rundir_open(const char *state, const char *id, struct orch_rundir *ret, struct orch_err *err);
/* Takes the lock; exit 9 naming the holder when another supervisor has it. */
int orch_rundir_lock(struct orch_rundir *r, struct orch_err *err);
/* Says in the lock file that its holder minds signals: SIGUSR1 suspends, SIGTERM cancels. After
 * orch_signals_open(). */
void orch_rundir_drives(const struct orch_rundir *r);
/*
 * A pidfd of the process that drives the run and can be signalled. -ENOENT: nobody holds the lock. -EBUSY:
 * somebody does who is not (or not yet) to be signalled, or who lives in another pid namespace: his number
 * means another process here.
 */
int orch_rundir_driver(const struct orch_rundir *r);
/* Whether some supervisor holds the lock now; *ret_pid is its process id as it wrote it, 0 unknown. */
bool orch_rundir_busy(const struct orch_rundir *r, long *ret_pid);
/* Nothing was recorded in this run directory and no layer made: its supervisor was killed before. */
bool orch_rundir_never_began(int dir);
char *orch_rundir_path(const struct orch_rundir *r, const char *fmt, ...) ORCH_PRINTF(2, 3);
/*
 * Puts a tree of the run directory aside (a rename; path is absolute), to be removed by orch_rundir_sweep()
 * when nobody waits: an agent may have made a million files. What cannot be moved is removed at once.
 */
void orch_rundir_trash(const struct orch_rundir *r, const char *path);
void orch_rundir_sweep(const struct orch_rundir *r);
void orch_rundir_close(struct orch_rundir *r);

#endif
