/*
 * sandbox.h - a compiled plan as a running, confined process tree, from start to proven end.
 *
 * orch_sandbox_run() starts init (pid 1 of fresh namespaces), which builds the view and forks the agent; it
 * serves the notification listener, captures output and watches limits in one poll loop that never blocks;
 * and it returns only when the whole tree is dead. It knows nothing of phases, gates or workflows: what its
 * caller must know travels through hooks. Single-threaded. init dies with the calling process
 * (PR_SET_PDEATHSIG), so a killed supervisor leaves nothing behind.
 */
#ifndef ORCH_SANDBOX_SANDBOX_H
#define ORCH_SANDBOX_SANDBOX_H

#include <poll.h>
#include "common/err.h"
#include "policy/plan.h"

struct orch_overlay {               /* one overlay mount; all paths absolute on the host */
    const struct orch_strv *layers; /* upper directories newest first, read-only here */
    const char *bottom;             /* the real directory at the bottom, never written */
    const char *scaffold;           /* layer from orch_layer_scaffold put on top of the lowers, or NULL */
    const char *layer_dir;          /* holds upper/ and work/ of this attempt, or NULL: read-only view */
};

struct orch_file {    /* a file for /orch */
    const char *name; /* "phase.json" */
    const void *data;
    size_t len;
};

struct orch_tty { /* a terminal of the agent's own, in place of pipes */
    uint16_t rows, cols;
    /* Where its input comes from: polled, and read by the hook on_input. -1 at the start = nobody types: the
     * agent's standard input is empty, and a newline goes out as it is. May change while it runs. */
    int in_fd;
    int out_fd; /* polled for writing: to be woken when it takes more; -1 = not now */
};

struct orch_sandbox_args {
    const struct orch_plan *plan;
    struct orch_overlay workspace;
    struct orch_overlay home;   /* bottom NULL: a private tmpfs */
    int stdin_fd;               /* borrowed, -1 = /dev/null */
    const struct orch_tty *tty; /* NULL = none; stdin_fd is then not looked at */
    const struct orch_file *files;
    size_t n_files;
    bool control;     /* make /orch/control and serve it through on_control */
    uint64_t wall_ms; /* 0 = none */
};

enum orch_denial_class {
    ORCH_CLASS_FILESYSTEM,
    ORCH_CLASS_EXEC,
    ORCH_CLASS_SYSCALL,
    ORCH_CLASS_NETWORK,
    ORCH_CLASS_CONTROL
};
const char *orch_denial_class_name(enum orch_denial_class c);

#define ORCH_ACTION_LOG "log" /* such a record is quiet, and an event of its own in the audit log */

struct orch_denial { /* everything borrowed for the time of the call */
    enum orch_denial_class class;
    int nr; /* system call number, -1 for control */
    const char *syscall;
    const uint64_t *args; /* the six registers of the call; NULL for control and foreign ABIs */
    int family;           /* of the address of a network denial: AF_UNIX ...; 0 = none */
    const char *path,
        *path2;         /* as the sandbox sees them, bytes; NULL if none. For network: the address as text */
    const char *access; /* "read" "write" "create" "delete" "exec" "connect" "look", or NULL */
    pid_t pid, tid;     /* process and thread as the host sees them; 0 unknown */
    const char *exe, *comm;     /* may be NULL */
    const char *const *parents; /* as in task.h: executables, nearest first; NULL unknown */
    const char *action; /* "errno" or "kill"; or ORCH_ACTION_LOG: no denial, a call that is to be on record */
    int errnum;
    const char *rule;
    const char *detail; /* "foreign ABI", "unreadable", decoded argument; NULL if none */
    bool quiet;
};

#define ORCH_ARGV_MAX 16  /* arguments of an exec that are looked at, */
#define ORCH_ARG_MAX 4096 /* and bytes of each: one of this length was cut */

struct orch_exec_event { /* everything borrowed for the time of the call */
    const char *path;    /* the program that is to run */
    pid_t pid, tid;      /* who executes it, with the program it is so far */
    const char *exe, *comm;
    const char *const *parents;
    /* First few arguments, NULL-terminated; NULL: not looked at. Raw, and advisory (T-EX-07): another thread
     * may change them before the kernel reads them. */
    const char *const *argv;
    bool argv_more; /* there are more */
};

enum orch_end {
    ORCH_END_EXIT,   /* status = exit code */
    ORCH_END_SIGNAL, /* status = signal */
    ORCH_END_DONE,   /* llm-done */
    ORCH_END_LIMIT,  /* limit names it: "wall", or one of watch.h and usage.h */
    ORCH_END_DENIALS,
    ORCH_END_INTEGRITY,
    ORCH_END_SETUP,  /* step, errnum, path say what failed; exec_failed if it was the agent's own exec */
    ORCH_END_CANCEL, /* hook asked for it */
};
const char *orch_end_name(enum orch_end e);

struct orch_outcome {
    enum orch_end end;
    int status;
    const char *limit; /* static */
    struct {
        char step[64];
        int errnum;
        char path[1024];
        bool exec_failed;
    } setup;
    uint64_t elapsed_ms;
    uint64_t fallbacks, fakes; /* ENOSYS answers and faked calls, counted (design 7) */
    uint64_t out_bytes, err_bytes, dropped_bytes;
    unsigned missing; /* kernel features done without: bit 0 WAIT_KILLABLE_RECV, 1 SYNC_WAKE_UP */
};

/* What a hook wants: go on, or end the attempt now. */
enum orch_next {
    ORCH_GO_ON = 0,
    ORCH_STOP_DONE,
    ORCH_STOP_DENIALS,
    ORCH_STOP_CANCEL,
    ORCH_STOP_INTEGRITY,
    ORCH_STOP_LIMIT_WALL
};

struct orch_sandbox_hooks { /* any may be NULL; ctx is the first argument of each. Must not block. */
    void *ctx;
    enum orch_next (*on_denial)(void *ctx, const struct orch_denial *d);
    void (*on_exec)(void *ctx, const struct orch_exec_event *e);
    void (*on_started)(void *ctx, pid_t init_pid);
    /* stream 1 or 2; bytes raw, already within the output cap. */
    void (*on_output)(void *ctx, int stream, const void *p, size_t n);
    /* About every 250 ms and after each wake-up by wake_fd. */
    enum orch_next (*on_tick)(void *ctx);
    /* One request line (without newline, at most 64 KiB) on /orch/control; the reply (one line) goes into
     * `reply`. */
    enum orch_next (*on_control)(void *ctx, pid_t peer, const char *line, size_t len, struct orch_buf *reply);
    /* True: take no output from the agent for now; it waits in its pipe. Asked before each poll. */
    bool (*output_full)(void *ctx);
    /* Our end of the agent's terminal: nonblocking, valid until orch_sandbox_run() returns. Before the agent
     * starts. */
    void (*on_tty)(void *ctx, int master);
    /* All that the agent's terminal puts out, also what is beyond the output cap: to be shown, not to be
     * kept. */
    void (*on_shown)(void *ctx, const void *p, size_t n);
    /* tty->in_fd can be read: appends what the agent is to get. Must take something, or poll comes back at
     * once; *ret_closed: nothing comes from there any more. */
    enum orch_next (*on_input)(void *ctx, struct orch_buf *to_agent, bool *ret_closed);
    int wake_fd; /* polled for reading, never read here; on_tick is called when readable. -1 = none */
};

/*
 * Runs one sandbox to its end. 0: *ret says how it ended (also set-up failures). -errno: it could not even be
 * tried (clone refused, no memory for maps), or not be supervised to its end for want of descriptors (EMFILE,
 * ENFILE); nothing is left running in either case.
 */
int orch_sandbox_run(const struct orch_sandbox_args *a, const struct orch_sandbox_hooks *h,
                     struct orch_outcome *ret, struct orch_err *err);

/* What holds these limits of memory and pids here: "cgroup-v2", "cgroup-v1", "rlimit" (of each process), or
 * "none" where there are none to hold. */
const char *orch_limits_held_by(const struct orch_limits *l);

/* The dedicated user for agents when started as root: never a real user's. Otherwise getuid()/getgid(). */
#define ORCH_AGENT_UID 64321
/* Root with that user at hand. The root of a user namespace that does not have it (unshare -Ur) is what it is
 * outside: an ordinary user, whose agents have its own number. */
bool orch_is_root(void);
uid_t orch_agent_uid(void);
gid_t orch_agent_gid(void);

/* A failed set-up (end = ORCH_END_SETUP, not exec_failed) in words that say what to do. Returns -errno, exit
 * code 3. */
int orch_sandbox_explain(const struct orch_outcome *o, const char *state_dir, const char *workspace,
                         struct orch_err *err);

/*
 * Tries, in a throw-away child, what the full tier needs (namespaces, overlay with the given layer directory
 * and workspace, Landlock, notification). -EPERM etc. + err with exit code 3, the reason and the fix.
 * state_dir must exist.
 */
int orch_sandbox_probe(const char *state_dir, const char *workspace, struct orch_err *err);

#endif
