/* nested.c - see nested.h. */
#include "policy/nested.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/escape.h"
#include "common/exit.h"
#include "common/io.h"

/*
 * Each line stands for a mechanism that this tier lacks:
 * - the network namespace: no socket but unix streams, no address of its own; the one connect that is
 *   permitted, to the control socket, is made by the supervisor (sandbox/stead.c);
 * - the mount view: marks of files (mode, times, owner, attributes) are no matter of Landlock's. Modes and
 *   times of what is writable are set by the supervisor in the caller's stead, the rest is refused;
 *   inotify would tell names of files that are not shown;
 * - also the mount view: looking at what is not shown is refused call by call, whatever level of the audit is
 *   asked for, so that a program finds what it finds in a view;
 * - the pid and IPC namespaces: limits, scheduling and queues of processes outside. Signals and ptrace are
 *   held by Landlock.
 */
static const char rules[] =
    "{\"syscalls\":[\"socket\",\"socketpair\"],\"action\":\"errno\",\"errno\":\"EACCES\","
    "\"args\":[{\"index\":0,\"op\":\"ne\",\"value\":1}]},"
    "{\"syscalls\":[\"socket\",\"socketpair\"],\"action\":\"errno\",\"errno\":\"EACCES\","
    "\"args\":[{\"index\":1,\"op\":\"masked_eq\",\"mask\":15,\"value\":2}]},"
    "{\"syscalls\":[\"socket\",\"socketpair\"],\"action\":\"errno\",\"errno\":\"EACCES\","
    "\"args\":[{\"index\":1,\"op\":\"masked_eq\",\"mask\":15,\"value\":3}]},"
    "{\"syscalls\":[\"connect\",\"bind\",\"listen\"],\"action\":\"errno\",\"errno\":\"EACCES\"},"
    "{\"syscalls\":[\"chmod\",\"fchmod\",\"fchmodat\",\"fchmodat2\",\"utime\",\"utimes\",\"futimesat\","
    "\"utimensat\",\"chown\",\"fchown\",\"lchown\",\"fchownat\"],\"action\":\"errno\",\"errno\":\"EPERM\"},"
    "{\"syscalls\":[\"setxattr\",\"lsetxattr\",\"fsetxattr\",\"setxattrat\",\"removexattr\",\"lremovexattr\","
    "\"fremovexattr\",\"removexattrat\"],\"action\":\"errno\",\"errno\":\"EOPNOTSUPP\"},"
    "{\"syscalls\":[\"ioctl\"],\"action\":\"errno\",\"errno\":\"ENOTTY\","
    "\"args\":[{\"index\":1,\"op\":\"masked_eq\",\"mask\":65280,\"value\":26112}]},"
    "{\"syscalls\":[\"ioctl\"],\"action\":\"errno\",\"errno\":\"ENOTTY\","
    "\"args\":[{\"index\":1,\"op\":\"masked_eq\",\"mask\":65280,\"value\":22528}]},"
    "{\"syscalls\":[\"ioctl\"],\"action\":\"errno\",\"errno\":\"ENOTTY\","
    "\"args\":[{\"index\":1,\"op\":\"masked_eq\",\"mask\":65280,\"value\":37888}]},"
    "{\"syscalls\":[\"ioctl\"],\"action\":\"errno\",\"errno\":\"ENOTTY\","
    "\"args\":[{\"index\":1,\"op\":\"masked_eq\",\"mask\":65280,\"value\":30208}]},"
    "{\"syscalls\":[\"inotify_init\",\"inotify_init1\",\"inotify_add_watch\"],\"action\":\"errno\","
    "\"errno\":\"ENOSYS\"},"
    "{\"syscalls\":[\"prlimit64\",\"sched_setaffinity\",\"sched_setattr\",\"sched_setparam\","
    "\"sched_setscheduler\"],\"action\":\"errno\",\"errno\":\"EPERM\","
    "\"args\":[{\"index\":0,\"op\":\"ne\",\"value\":0}]},"
    "{\"syscalls\":[\"setpriority\"],\"action\":\"errno\",\"errno\":\"EPERM\","
    "\"args\":[{\"index\":0,\"op\":\"ne\",\"value\":0}]},"
    "{\"syscalls\":[\"setpriority\"],\"action\":\"errno\",\"errno\":\"EPERM\","
    "\"args\":[{\"index\":1,\"op\":\"ne\",\"value\":0}]},"
    "{\"syscalls\":[\"ioprio_set\"],\"action\":\"errno\",\"errno\":\"EPERM\","
    "\"args\":[{\"index\":0,\"op\":\"ne\",\"value\":1}]},"
    "{\"syscalls\":[\"ioprio_set\"],\"action\":\"errno\",\"errno\":\"EPERM\","
    "\"args\":[{\"index\":1,\"op\":\"ne\",\"value\":0}]},"
    "{\"syscalls\":[\"shmget\",\"shmat\",\"shmdt\",\"shmctl\",\"semget\",\"semop\",\"semtimedop\",\"semctl\","
    "\"msgget\",\"msgsnd\",\"msgrcv\",\"msgctl\",\"mq_open\",\"mq_unlink\",\"mq_timedsend\","
    "\"mq_timedreceive\",\"mq_notify\",\"mq_getsetattr\"],\"action\":\"errno\",\"errno\":\"EPERM\"}";

int orch_nested_profile(const struct orch_profile *p, struct orch_profile **ret, struct orch_diags *d)
{
    struct orch_strv sources = {0};
    int r;

    for (size_t i = 0; i < p->sources.n; i++)
        orch_strv_add(&sources, p->sources.v[i]);
    orch_strv_add_take(&sources,
                       orch_xasprintf("nested\n{\"schema\":1,\"name\":\"%s\",\"extends\":\"base\","
                                      "\"audit\":{\"level\":\"paths\"},\"syscalls\":{\"rules\":[%s]}}",
                                      p->name, rules));
    r = orch_profile_from_sources(&sources, p->name, ret, d);
    orch_strv_fini(&sources);
    return r;
}

/* ---- what cannot be held ---- */

static bool of_a_rule(const struct orch_place *q)
{
    return q->kind == ORCH_PLACE_HOST || q->kind == ORCH_PLACE_WORKSPACE || q->kind == ORCH_PLACE_WSRULE;
}

static int refuse(const struct orch_profile *p, struct orch_err *err, const char *key, const char *why)
{
    ORCH_AUTO_FREE char *shown = orch_escape_str(p->name);

    return orch_err_exit(
        err, ORCH_EXIT_UNENFORCEABLE, ENOTSUP,
        "profile '%s': %s: tier nested cannot hold %s; run it where namespaces are permitted, "
        "or change that",
        shown, key, why);
}

/* Of a file without x bits the kernel itself lets nothing run: an /etc/os-release that leads into /usr. */
static unsigned withheld(const struct orch_place *q)
{
    unsigned all = ORCH_MAY_READ | ORCH_MAY_WRITE | ORCH_MAY_EXECUTE;
    struct stat st;

    if (!q->directory && stat(q->path, &st) == 0 && S_ISREG(st.st_mode) && !(st.st_mode & 0111))
        all &= ~ORCH_MAY_EXECUTE;
    return all & ~orch_access_bits(q->access);
}

/* Landlock gives the union of all rules above a path. */
static int check_narrower(const struct orch_profile *p, const struct orch_plan *plan, struct orch_err *err)
{
    for (size_t i = 0; i < plan->n_places; i++) {
        const struct orch_place *q = &plan->places[i];

        if (q->kind == ORCH_PLACE_SCRATCH)
            return refuse(p, err, q->rule, "a scratch directory");
        for (size_t k = 0; of_a_rule(q) && k < i; k++) {
            const struct orch_place *wide = &plan->places[k];

            if (of_a_rule(wide) && orch_path_beneath(q->path, wide->path) &&
                (orch_access_bits(wide->access) & withheld(q)))
                return refuse(p, err, q->rule, "less access to a path than to what it lies in");
        }
    }
    return 0;
}

static int check_anywhere(const struct orch_profile *p, const struct orch_plan *plan, struct orch_err *err)
{
    for (size_t i = 0; i < plan->n_anywhere; i++)
        for (size_t k = 0; k < plan->n_places; k++) {
            const struct orch_place *q = &plan->places[k];

            if (orch_path_beneath(q->path, plan->workspace) && of_a_rule(q) &&
                (orch_access_bits(q->access) & ~orch_access_bits(plan->anywhere[i].access)))
                return refuse(p, err, plan->anywhere[i].rule,
                              "less access to a path than to what it lies in");
        }
    return 0;
}

/* What a tool brings is readable and may run, whatever a rule of none says of a part of it. */
static int check_closure(const struct orch_profile *p, const struct orch_plan *plan, struct orch_err *err)
{
    for (size_t i = 0; i < plan->n_places; i++) {
        const struct orch_place *q = &plan->places[i];

        for (size_t k = 0; q->access == ORCH_ACCESS_NONE && k < plan->closure.n; k++)
            if (plan->closure.v[k].kind != ORCH_CLOSURE_LINK &&
                orch_path_beneath(q->path, plan->closure.v[k].path))
                return refuse(p, err, q->rule, "a path back that belongs to the command");
    }
    return 0;
}

int orch_nested_accepts(const struct orch_profile *p, const struct orch_plan *plan, bool tty,
                        struct orch_err *err)
{
    int r = 0;

    if (!p->tools_all)
        r = refuse(p, err, "tools", "a list of tools: only \"*\"");
    else if (p->network != ORCH_NET_NONE)
        r = refuse(p, err, "network.mode", "a network of its own: only \"none\"");
    else if (tty)
        r = refuse(p, err, "tty", "a terminal of the agent's own");
    if (r == 0)
        r = check_narrower(p, plan, err);
    if (r == 0)
        r = check_anywhere(p, plan, err);
    return r < 0 ? r : check_closure(p, plan, err);
}
