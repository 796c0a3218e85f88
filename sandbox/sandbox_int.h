/*
 * sandbox_int.h - shared by the files of sandbox/: the steps of set-up, what travels between supervisor and
 * init, and one running sandbox.
 *
 * Process roles: the caller (supervisor) -> init, pid 1 of the new namespaces, trusted, keeps its
 * capabilities so that the agent cannot reach it -> the agent, which has none.
 */
#ifndef ORCH_SANDBOX_INT_H
#define ORCH_SANDBOX_INT_H

#include <linux/seccomp.h>
#include <sys/types.h>

#include "sandbox/look.h"
#include "sandbox/memo.h"
#include "sandbox/onhost.h"
#include "sandbox/sandbox.h"
#include "sandbox/task.h"

/* Set-up steps, in the order in which they happen. A failure travels as (step, errno, path). */
#define ORCH_STEPS(X)                                                                                        \
    X(NONE, "")                                                                                              \
    X(WAIT, "wait for the supervisor")                                                                       \
    X(IDENTITY, "take the agent's user and group")                                                           \
    X(KEYRING, "join a new session keyring")                                                                 \
    X(PRIVATE, "make mounts private")                                                                        \
    X(ROOT, "mount the new root")                                                                            \
    X(LINK, "create a symlink of the view")                                                                  \
    X(OVERLAY, "mount the overlay")                                                                          \
    X(BIND, "show a path")                                                                                   \
    X(RULE, "protect a path of the workspace")                                                               \
    X(TMPFS, "mount a private tmpfs")                                                                        \
    X(DEV, "make /dev")                                                                                      \
    X(TTY, "make the terminal")                                                                              \
    X(PROC, "mount /proc")                                                                                   \
    X(ETC, "write /etc")                                                                                     \
    X(ORCH, "write /orch")                                                                                   \
    X(USERNS, "forbid further user namespaces")                                                              \
    X(PIVOT, "change the root")                                                                              \
    X(CWD, "enter the workspace")                                                                            \
    X(NETWORK, "set up the network namespace")                                                               \
    X(FORK, "start the agent's process")                                                                     \
    X(RLIMIT, "set resource limits")                                                                         \
    X(CAPS, "drop capabilities")                                                                             \
    X(LANDLOCK, "apply Landlock")                                                                            \
    X(SECCOMP, "load the system call filter")                                                                \
    X(LISTENER, "hand over the notification listener")                                                       \
    X(EXEC, "execute the command")

enum orch_step {
#define ORCH_STEP_ENUM(id, text) ORCH_STEP_##id,
    ORCH_STEPS(ORCH_STEP_ENUM)
#undef ORCH_STEP_ENUM
};
const char *orch_step_text(enum orch_step s);

enum orch_msg_kind {
    ORCH_MSG_GO = 1,   /* supervisor -> init: go on; started by root, the id maps are written */
    ORCH_MSG_FAILED,   /* init or agent -> supervisor: step, errnum, path */
    ORCH_MSG_TTY,      /* init: fds: [our end of the agent's terminal] */
    ORCH_MSG_READY,    /* init: view is up; fds: [control listener] */
    ORCH_MSG_LISTENER, /* agent: fds: [notification listener]; value: missing features */
    ORCH_MSG_EXITED,   /* init: the agent ended; value: wait status */
};

struct orch_msg { /* fixed size, one datagram of the SOCK_SEQPACKET pair */
    uint32_t kind, step;
    int32_t errnum, value;
    char path[1024]; /* cut to fit, NUL-terminated */
};

int orch_msg_send(int sock, const struct orch_msg *m, int fd);
/* 1 = got one (ret_fd -1 if none came with it), 0 = end of file, -errno. */
int orch_msg_recv(int sock, struct orch_msg *ret, int *ret_fd, int flags);

/* In a child: signals as a fresh process has them; the supervisor blocks and ignores some. */
void orch_reset_signals(void);
/* Closes all from this number on but these, which it sorts. */
void orch_close_others(unsigned from, int *keep, size_t n);

/* A directory tree to mount: a detached mount made beforehand (root), or a path that init opens itself. */
struct orch_tree {
    const char *path;
    int fd; /* -1: by path */
};

struct orch_overlay_trees {
    struct orch_tree *lowers; /* newest first: scaffold, layers, bottom */
    size_t n_lowers;
    struct orch_tree layer; /* holds upper/ and work/; path NULL = read-only */
};

#define ORCH_GONE_MAX 8

struct orch_start { /* all that init needs; built by the supervisor before clone */
    const struct orch_sandbox_args *args;
    const struct orch_plan *plan;
    struct orch_overlay_trees workspace, home;
    struct orch_tree
        *binds; /* parallel to plan->places: detached trees for HOST places init could not open */
    struct orch_tree *closure_binds; /* parallel to plan->closure.v */
    int sock;                        /* init's end */
    int stdio[3];                    /* what the agent gets as 0, 1, 2 */
    bool as_root;
    pid_t gone[ORCH_GONE_MAX]; /* killed, not yet waited for: they lent a user namespace */
    unsigned n_gone;
};

/* users.c: identities and the trees that only root can make. */
int orch_start_prepare(struct orch_start *s, struct orch_err *err);
void orch_start_fini(struct orch_start *s);
/* pid 0: our own. */
int orch_write_id_maps(pid_t pid, uid_t uid, gid_t gid, struct orch_err *err);

/* Set-up functions return 0 or -1 after filling *fail; they run in init or in the agent's process. */
struct orch_fail {
    enum orch_step step;
    int errnum;
    const char *path;
};
/* init.c: never returns. */
_Noreturn void orch_init_main(struct orch_start *s);
/* Its parts that an init without namespaces (nested.c) shares. */
_Noreturn void orch_init_report(int sock, const struct orch_fail *f);
int orch_init_own_stdio(struct orch_start *s, struct orch_fail *f);
void orch_init_keep_only_ours(const struct orch_start *s);
pid_t orch_init_start_agent(struct orch_start *s, struct orch_fail *f);

int orch_fail_set(struct orch_fail *f, enum orch_step step, int errnum, const char *path);

/* view.c, view_overlay.c, view_own.c, view_pin.c */
int orch_view_build(struct orch_start *s, struct orch_fail *f);
/* Its steps that doctor tries alone. The new root, mounted over "/" while ours stays: a descriptor, or -1. */
int orch_view_new_root(struct orch_fail *f);
int orch_view_forbid_userns(struct orch_fail *f);
int orch_view_pivot(int root, struct orch_fail *f);
/* attrs: of the mount, beyond nosuid and nodev. */
int orch_view_overlay(const struct orch_overlay_trees *o, int root, const char *target, uint64_t attrs,
                      struct orch_fail *f);
/* nosuid, nodev, and what an access leaves out: read-only, noexec. */
uint64_t orch_view_access_attrs(enum orch_access access);
int orch_view_workspace_rules(struct orch_start *s, int root, struct orch_fail *f);
int orch_view_pin(const struct orch_plan *plan, int root, struct orch_fail *f);
int orch_view_own_places(struct orch_start *s, int root, struct orch_fail *f);
int orch_view_proc(int root, struct orch_fail *f);
/* Opens, making directories (or with file an empty file) as needed, path (absolute) beneath the new root:
 * O_PATH. */
int orch_view_target(int root, const char *path, bool file);
/* Mounts tree fd on path beneath the new root. */
int orch_view_attach(int tree, int root, const char *path, bool file);
int orch_view_set_attr(int tree, uint64_t set, unsigned flags);
int orch_view_tmpfs(int root, const char *path, uint64_t size, uint64_t inodes, const char *mode,
                    uint64_t attr);

/* tty.c. In init: devpts for the view (dev: its /dev), then the pair, after the pivot; s->stdio becomes the
 * agent's end.
 */
int orch_view_pts(int root, int dev, struct orch_fail *f);
int orch_tty_make(struct orch_start *s, struct orch_fail *f);
/* Its steps that doctor tries alone: a devpts, not yet mounted anywhere; the agent's end of a master opened
 * in it. */
int orch_tty_devpts(void);
int orch_tty_pair(int master, const struct orch_tty *tty, int *ret_slave);
/* In the agent's process, a session leader: makes fd its controlling terminal. */
int orch_tty_adopt(int fd);
/* In the supervisor: what is typed waits here until the agent's terminal takes it. */
struct orch_tty_input {
    const struct orch_tty *from; /* NULL = none, or ended */
    struct orch_buf buf;
    size_t done;
};
void orch_tty_input_fini(struct orch_tty_input *in);
void orch_tty_input_trim(struct orch_tty_input *in);
void orch_tty_input_pump(struct orch_tty_input *in, int master);

/* confine.c, landlock.c: in the agent's process, in this order. */
int orch_confine_limits(const struct orch_plan *plan, struct orch_fail *f);
int orch_confine_privileges(struct orch_fail *f);
int orch_confine_landlock(const struct orch_plan *plan, bool agent, struct orch_fail *f);
int orch_landlock_abi(void);
/* Loads the filter last of all; returns the listener. */
int orch_confine_filter(const struct orch_filter *filter, int *ret_missing, struct orch_fail *f);

/* notify.c: one notification at a time. */
struct orch_notify {
    const struct orch_plan *plan;
    int listener;
    struct orch_look look;
    const struct orch_sandbox_hooks *hooks;
    struct orch_who who;
    struct orch_memo memo;
    struct orch_host host;
    uint64_t fallbacks, fakes;
    pid_t init;
    struct orch_control *control; /* tier nested: where connections made in the caller's stead go */
    bool control_on;
    int host_errno; /* we ran out of descriptors: nothing can be judged any more; 0 = no */
    struct seccomp_notif *req;
    struct seccomp_notif_resp *resp;
    size_t req_size, resp_size;
};
int orch_notify_init(struct orch_notify *n, const struct orch_plan *plan, const struct orch_sandbox_hooks *h);
void orch_notify_fini(struct orch_notify *n);
/* Receives one notification (poll said there is one), judges, replies. */
enum orch_next orch_notify_serve(struct orch_notify *n);

/* control.c: /orch/control. */
#define ORCH_CONTROL_CONNS 4
#define ORCH_CONTROL_LINE 65536
#define ORCH_CONTROL_PER_SECOND 20
struct orch_control {
    int listener;
    struct orch_control_conn {
        int fd;
        pid_t peer;
        struct orch_buf in;
    } conn[ORCH_CONTROL_CONNS];
    uint64_t window_ms;
    unsigned in_window;
};
void orch_control_init(struct orch_control *c);
void orch_control_fini(struct orch_control *c);
/* A connection made elsewhere. False: there are as many as there may be, and fd stays the caller's. */
bool orch_control_adopt(struct orch_control *c, int fd, pid_t peer);
size_t orch_control_poll(const struct orch_control *c, struct pollfd *fds); /* at most CONNS + 1 */
enum orch_next orch_control_serve(struct orch_control *c, const struct pollfd *fds, size_t n,
                                  const struct orch_sandbox_hooks *h);

/* probe.c: orch_sandbox_probe in dir, which holds nothing yet and belongs to the agent's user. */
/* The same for tier nested: runs a sandbox in this cell, an empty directory of ours. */
int orch_sandbox_probe_cell(const char *cell, struct orch_err *err);
int orch_sandbox_probe_in(const char *dir, const char *state_dir, const char *workspace,
                          struct orch_err *err);

#endif
