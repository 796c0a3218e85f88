/* explain.c - paths and addresses (explain.h). */
#include "policy/explain.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <string.h>
#include <sys/stat.h>

#include "common/io.h"
#include "policy/sysgroups_list.h"

#define MAX_LINKS 40 /* as the kernel's MAXSYMLINKS */

const char *const orch_act_names[] = {
    [ORCH_ACT_LOOK] = "look",      [ORCH_ACT_READ] = "read",       [ORCH_ACT_WRITE] = "write",
    [ORCH_ACT_CREATE] = "create",  [ORCH_ACT_DIRECTORY] = "mkdir", [ORCH_ACT_SYMLINK] = "symlink",
    [ORCH_ACT_DELETE] = "delete",  [ORCH_ACT_EXEC] = "exec",       [ORCH_ACT_CONNECT] = "connect",
    [ORCH_ACT_CONNECT + 1] = NULL,
};

const char *orch_says_name(enum orch_says s)
{
    static const char *const names[] = {
        [ORCH_SAYS_PERMITTED] = "permitted",
        [ORCH_SAYS_REFUSED] = "refused",
        [ORCH_SAYS_HIDDEN] = "hidden",
        [ORCH_SAYS_ABSENT] = "not in the view",
        [ORCH_SAYS_FALLBACK] = "counted fallback",
        [ORCH_SAYS_FAKED] = "faked",
        [ORCH_SAYS_KILLED] = "killed",
    };

    return (size_t)s < ORCH_NELEM(names) ? names[s] : "unknown";
}

void orch_explained_fini(struct orch_explained *e)
{
    free(e->path);
    *e = (struct orch_explained){0};
}

bool orch_explained_same(const struct orch_explained *a, const struct orch_explained *b)
{
    return a->says == b->says && a->errnum == b->errnum;
}

/* ---- calls ---- */

void orch_explain_call(const struct orch_plan *p, int nr, const uint64_t args[6], struct orch_explained *ret)
{
    struct seccomp_data d = {.nr = nr, .arch = AUDIT_ARCH_X86_64};
    static const enum orch_says says[] = {
        [ORCH_SC_ALLOW] = ORCH_SAYS_PERMITTED, [ORCH_SC_WATCH] = ORCH_SAYS_PERMITTED,
        [ORCH_SC_REFUSE] = ORCH_SAYS_REFUSED,  [ORCH_SC_FALLBACK] = ORCH_SAYS_FALLBACK,
        [ORCH_SC_FAKE] = ORCH_SAYS_FAKED,      [ORCH_SC_KILL] = ORCH_SAYS_KILLED,
    };
    struct orch_sc_answer a;

    for (size_t i = 0; i < 6; i++)
        d.args[i] = args[i];
    orch_syscalls_answer(&p->syscalls, &d, &a);
    *ret = (struct orch_explained){.rule = a.origin, .nr = nr};
    ret->by_filter = orch_bpf_run(p->filter.prog, p->filter.len, &d) == SECCOMP_RET_ALLOW;
    if (ret->by_filter) /* nobody is asked: this is the answer, whatever the table would say */
        return;
    ret->says = (size_t)a.kind < ORCH_NELEM(says) ? says[a.kind] : ORCH_SAYS_REFUSED;
    ret->watched = a.kind == ORCH_SC_WATCH;
    ret->log = ret->says == ORCH_SAYS_PERMITTED ? a.log : NULL;
    if (a.kind == ORCH_SC_FALLBACK)
        ret->errnum = ENOSYS;
    if (a.kind == ORCH_SC_REFUSE)
        ret->errnum = a.errnum ? a.errnum : EPERM;
}

/* The call that an act is made with (client/probe.c), as far as registers decide about it. */
static bool call_permits(const struct orch_plan *p, enum orch_act act, int family, struct orch_explained *ret)
{
    static const struct {
        int nr;
        uint64_t args[6];
    } calls[] = {
        [ORCH_ACT_LOOK] = {ORCH_NR_newfstatat, {(uint64_t)AT_FDCWD, 1, 1, 0, 0, 0}},
        [ORCH_ACT_READ] = {ORCH_NR_openat, {(uint64_t)AT_FDCWD, 1, O_RDONLY | O_CLOEXEC, 0, 0, 0}},
        [ORCH_ACT_WRITE] = {ORCH_NR_openat, {(uint64_t)AT_FDCWD, 1, O_WRONLY | O_CLOEXEC, 0, 0, 0}},
        [ORCH_ACT_CREATE] = {ORCH_NR_openat,
                             {(uint64_t)AT_FDCWD, 1, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600, 0, 0}},
        [ORCH_ACT_DIRECTORY] = {ORCH_NR_mkdirat, {(uint64_t)AT_FDCWD, 1, 0700, 0, 0, 0}},
        [ORCH_ACT_SYMLINK] = {ORCH_NR_symlinkat, {1, (uint64_t)AT_FDCWD, 1, 0, 0, 0}},
        [ORCH_ACT_DELETE] = {ORCH_NR_unlinkat, {(uint64_t)AT_FDCWD, 1, 0, 0, 0, 0}},
        [ORCH_ACT_EXEC] = {ORCH_NR_execve, {1, 1, 1, 0, 0, 0}},
        [ORCH_ACT_CONNECT] = {ORCH_NR_connect, {3, 1, 1, 0, 0, 0}},
    };

    if (act == ORCH_ACT_CONNECT) {
        const uint64_t args[6] = {(uint64_t)family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, 0, 0, 0};

        orch_explain_call(p, ORCH_NR_socket, args, ret);
        if (ret->says != ORCH_SAYS_PERMITTED)
            return false;
    }
    orch_explain_call(p, calls[act].nr, calls[act].args, ret);
    return ret->says == ORCH_SAYS_PERMITTED;
}

/* ---- the path that is meant ---- */

static bool shows(const struct orch_plan *p, const char *path)
{
    struct orch_decision dec;

    orch_plan_decide(p, path, ORCH_REQ_LOOK, &dec);
    return dec.verdict == ORCH_PERMIT;
}

/* Does the view have the host's own object at this path? */
static bool of_host(const struct orch_plan *p, const char *path)
{
    const struct orch_place *place = orch_plan_place(p, path);

    return !place || place->kind == ORCH_PLACE_HOST || place->kind == ORCH_PLACE_WORKSPACE ||
           place->kind == ORCH_PLACE_WSRULE;
}

/* The target of the symlink that the sandbox finds at path, or NULL. */
static char *link_target(const struct orch_plan *p, const char *path)
{
    struct stat st;

    if (!of_host(p, path) || !shows(p, path) || lstat(path, &st) < 0 || !S_ISLNK(st.st_mode))
        return NULL;
    return orch_readlink(AT_FDCWD, path);
}

/* Replaces the first symlink of *path, which is owned. False if there is none. */
static bool follow_one(const struct orch_plan *p, char **path, bool nofollow)
{
    const char *cur = *path;

    for (size_t i = 1; cur[i - 1]; i++) {
        ORCH_AUTO_FREE char *prefix = NULL, *target = NULL, *parent = NULL, *joined = NULL;

        if ((cur[i] != '/' && cur[i] != '\0') || (cur[i] == '\0' && nofollow))
            continue;
        prefix = orch_xstrndup(cur, i);
        target = link_target(p, prefix);
        if (!target)
            continue;
        parent = orch_path_normalize(prefix, "..");
        joined = orch_xasprintf("%s%s", target, cur + i);
        free(*path);
        *path = orch_path_normalize(parent, joined);
        return true;
    }
    return false;
}

static char *resolve(const struct orch_plan *p, const char *path, bool nofollow)
{
    char *cur = orch_path_normalize(p->workspace, path);

    for (unsigned links = 0; links < MAX_LINKS && follow_one(p, &cur, nofollow); links++)
        continue;
    return cur;
}

/* What only the sandbox has cannot be looked up from outside: then it counts as there. */
static bool is_there(const struct orch_plan *p, const char *path)
{
    const struct orch_place *place = orch_plan_place(p, path);
    struct stat st;

    if (of_host(p, path))
        return lstat(path, &st) == 0;
    switch (place->kind) {
    case ORCH_PLACE_HOME:
    case ORCH_PLACE_TMP:
    case ORCH_PLACE_SCRATCH:
        return strcmp(place->path, path) == 0 || orch_plan_is_scaffold(p, path);
    default:
        return true;
    }
}

/* The agent's PATH; NULL if no directory of it has such a program. */
static char *look_up(const struct orch_plan *p, const char *name)
{
    const char *dirs = "/usr/bin";
    ORCH_AUTO_FREE char *copy = NULL;
    char *save = NULL;

    for (size_t i = 0; i < p->env.n; i++)
        if (strncmp(p->env.v[i], "PATH=", 5) == 0)
            dirs = p->env.v[i] + 5;
    copy = orch_xasprintf("%s:/usr/local/bin:/usr/bin:/bin:/usr/sbin", dirs);
    for (char *dir = strtok_r(copy, ":", &save); dir; dir = strtok_r(NULL, ":", &save)) {
        char *path = orch_xasprintf("%s/%s", dir, name);
        struct stat st;

        if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111))
            return path;
        free(path);
    }
    return NULL;
}

/* ---- judging ---- */

static void refuse(struct orch_explained *ret, int errnum, const char *rule)
{
    ret->says = ORCH_SAYS_REFUSED;
    ret->errnum = errnum;
    ret->rule = rule;
}

static bool decide(const struct orch_plan *p, enum orch_request what, struct orch_explained *ret)
{
    struct orch_decision dec;

    orch_plan_decide(p, ret->path, what, &dec);
    ret->rule = dec.rule;
    ret->quiet = dec.quiet;
    if (dec.verdict == ORCH_PERMIT)
        return true;
    ret->says = dec.verdict == ORCH_HIDE     ? ORCH_SAYS_HIDDEN
                : dec.verdict == ORCH_ABSENT ? ORCH_SAYS_ABSENT
                                             : ORCH_SAYS_REFUSED;
    ret->errnum = dec.verdict == ORCH_DENY ? EACCES : ENOENT;
    return false;
}

static void decide_new(const struct orch_plan *p, char kind, struct orch_explained *ret)
{
    if (decide(p, ORCH_REQ_CREATE, ret) && !orch_plan_may_be(p, ret->path, kind))
        refuse(ret, EACCES, orch_plan_rule_create(p));
}

static void decide_delete(const struct orch_plan *p, struct orch_explained *ret)
{
    const struct orch_place *q;
    struct stat st;

    if (!decide(p, ORCH_REQ_DELETE, ret))
        return;
    q = orch_plan_narrower_beneath(p, ret->path);
    if (q && lstat(q->path, &st) == 0)
        refuse(ret, EACCES, q->rule);
}

static void decide_act(const struct orch_plan *p, enum orch_act act, struct orch_explained *ret)
{
    switch (act) {
    case ORCH_ACT_LOOK:
        (void)decide(p, ORCH_REQ_LOOK, ret);
        return;
    case ORCH_ACT_READ:
        (void)decide(p, ORCH_REQ_READ, ret);
        return;
    case ORCH_ACT_WRITE:
        if (ret->there)
            (void)decide(p, ORCH_REQ_WRITE, ret);
        else
            decide_new(p, 'f', ret);
        return;
    case ORCH_ACT_CREATE:
        decide_new(p, 'f', ret);
        return;
    case ORCH_ACT_DIRECTORY:
        decide_new(p, 'd', ret);
        return;
    case ORCH_ACT_SYMLINK:
        decide_new(p, 'l', ret);
        return;
    case ORCH_ACT_DELETE:
        decide_delete(p, ret);
        return;
    case ORCH_ACT_EXEC:
        (void)decide(p, ORCH_REQ_EXEC, ret);
        return;
    case ORCH_ACT_CONNECT:
        (void)decide(p, ORCH_REQ_CONNECT, ret);
        return;
    }
}

static bool wants_something(enum orch_act act)
{
    return act == ORCH_ACT_LOOK || act == ORCH_ACT_READ || act == ORCH_ACT_DELETE || act == ORCH_ACT_EXEC ||
           act == ORCH_ACT_CONNECT;
}

/*
 * As in the notification loop: what is refused where nothing is gets the kernel's ENOENT. In the sandbox's
 * own places the host's files are never there, also where the path is one of the host.
 */
static void nothing_there(const struct orch_plan *p, struct orch_explained *ret)
{
    if (ret->says == ORCH_SAYS_REFUSED && ret->errnum == EACCES)
        ret->errnum = ENOENT;
    if (ret->says != ORCH_SAYS_PERMITTED || of_host(p, ret->path))
        return;
    ret->says = ORCH_SAYS_ABSENT;
    ret->errnum = ENOENT;
}

void orch_explain_path(const struct orch_plan *p, enum orch_act act, const char *path,
                       struct orch_explained *ret)
{
    bool nofollow = act == ORCH_ACT_CREATE || act == ORCH_ACT_DIRECTORY || act == ORCH_ACT_SYMLINK ||
                    act == ORCH_ACT_DELETE;
    ORCH_AUTO_FREE char *found = NULL;

    if (act == ORCH_ACT_EXEC && !strchr(path, '/')) {
        found = look_up(p, path);
        if (!found)
            found = orch_xasprintf("/usr/bin/%s", path);
    }
    if (act == ORCH_ACT_CONNECT &&
        path[0] == '@') { /* abstract: only the sandbox's own namespace has those */
        ret->there = call_permits(p, act, AF_UNIX, ret);
        return;
    }
    if (!call_permits(p, act, AF_UNIX, ret)) {
        ret->path = resolve(p, found ? found : path, nofollow);
        return;
    }
    ret->path = resolve(p, found ? found : path, nofollow);
    ret->there = is_there(p, ret->path);
    ret->nr = -1;
    decide_act(p, act, ret);
    if (!ret->there && wants_something(act))
        nothing_there(p, ret);
}

void orch_explain_inet(const struct orch_plan *p, const struct sockaddr_storage *a,
                       struct orch_explained *ret)
{
    struct orch_decision dec;
    int errnum;

    if (!call_permits(p, ORCH_ACT_CONNECT, a->ss_family, ret))
        return;
    errnum = orch_plan_decide_inet(p, a, &dec);
    ret->rule = dec.rule;
    ret->there = true;
    ret->nr = -1;
    if (errnum)
        refuse(ret, errnum, dec.rule);
}
