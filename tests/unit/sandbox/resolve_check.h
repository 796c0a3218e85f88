/* resolve_check.h - holds what the supervisor resolves against what the kernel did (resolve_child.h). */
#ifndef ORCH_TESTS_RESOLVE_CHECK_H
#define ORCH_TESTS_RESOLVE_CHECK_H

#include "sandbox/look.h"
#include "tests/unit/sandbox/resolve_child.h"

struct checker {
    int sock;
    struct orch_look look; /* every other tree is looked at by a child */
    struct orch_host host;
    pid_t pid, tid;
    struct orch_path path; /* of the last call asked about */
    bool parent;           /* is its directory there? */
    int r;
    unsigned long opened, made, missing, failed, nameless, too_long; /* what the calls came to */
    unsigned wrong;
};

/* These the kernel gives by itself; with any other the supervisor would refuse the call. */
static inline bool natural(int r)
{
    return r == -ENOENT || r == -ENOTDIR || r == -ELOOP || r == -EBADF || r == -ENAMETOOLONG;
}

static inline void complain(struct checker *c, const struct told *t, const char *what)
{
    if (c->wrong++ >= 20)
        return;
    (void)printf(
        "%s\n  text '%s'\n  from %d%s, kernel: %d %s%s, mode %o\n  supervisor: %d '%s'%s%s, mode %o\n", what,
        t->text, t->dirfd, t->nofollow ? " nofollow" : "", t->err, t->link,
        t->named ? "" : " (not in the view)", t->mode, c->r, c->path.path ? c->path.path : "(none)",
        c->path.exists ? " exists" : "", c->parent ? " parent" : "", c->path.mode);
}

/* Links whose texts are longer than any honest ones are refused. */
static inline bool too_long(struct checker *c)
{
    c->too_long += c->r == -E2BIG;
    return c->r == -E2BIG;
}

static inline void check_opened(struct checker *c, const struct told *t)
{
    const struct orch_path *p = &c->path;

    if (!t->named) {
        c->nameless++;
        if (c->r < 0 ? !natural(c->r) : p->exists && p->path)
            complain(c, t, "an object without a name here is taken for one with a name");
        return;
    }
    c->opened++;
    if (c->r < 0 || !p->path || strcmp(p->path, t->link) != 0)
        complain(c, t, "another path than the kernel's");
    else if (!p->exists || (p->mode & S_IFMT) != (t->mode & S_IFMT))
        complain(c, t, "another kind of object than the kernel's");
}

static inline void check_failed(struct checker *c, const struct told *t)
{
    c->failed++;
    if (c->r < 0 && !natural(c->r) && c->r != -t->err)
        complain(c, t, "refused, where the kernel fails by itself");
    if (t->err == ENOENT && c->r == 0 && c->path.exists)
        complain(c, t, "said to exist");
}

static inline void check_made(struct checker *c, const struct told *t)
{
    const struct orch_path *p = &c->path;

    if (t->err != 0) {
        c->missing++;
        return;
    }
    if (c->r == -E2BIG)
        return;
    c->made++;
    if (!t->named)
        complain(c, t, "made without a name?");
    else if (c->r < 0 || !p->path || strcmp(p->path, t->link) != 0 || !c->parent)
        complain(c, t, "made elsewhere than said");
}

/* Whole messages; a signal (libFuzzer's clock) does not end the wait. */
static inline bool give(int sock, const void *p, size_t n)
{
    return TEMP_FAILURE_RETRY(send(sock, p, n, MSG_NOSIGNAL)) == (ssize_t)n;
}

static inline bool take(int sock, void *p, size_t n)
{
    return TEMP_FAILURE_RETRY(recv(sock, p, n, 0)) == (ssize_t)n;
}

/* One tree and what is asked in it. False: the task is gone. */
static inline bool check_order(struct checker *c, const struct order *o)
{
    static struct told t;

    c->look.apart = o->seed % 2;
    if (!give(c->sock, o, sizeof(*o)))
        return false;
    for (;;) {
        if (!take(c->sock, &t, sizeof(t)))
            return false;
        if (t.what == TELL_END)
            return true;
        if (t.what == TELL_OPENED) {
            orch_path_fini(&c->path);
            c->r = orch_look_resolve(&c->look, c->tid, t.dirfd, t.text, t.nofollow || !t.text[0], &c->path);
            c->parent =
                c->r == 0 && c->path.path && (c->path.exists || orch_look_has_parent(&c->look, &c->path));
            if (too_long(c))
                ;
            else if (t.err == 0)
                check_opened(c, &t);
            else
                check_failed(c, &t);
        } else {
            check_made(c, &t);
        }
        if (!give(c->sock, "", 1))
            return false;
    }
}

/* False: no view can be made here. */
static inline bool checker_start(struct checker *c, const char *dir)
{
    char name[64];

    *c = (struct checker){.host = ORCH_HOST_UNSEEN};
    orch_look_init(&c->look);
    c->look.host = &c->host;
    c->sock = start_task(dir, &c->pid, &c->tid);
    if (c->sock < 0)
        return false;
    (void)snprintf(name, sizeof(name), "/proc/%d/root", c->tid);
    c->look.root = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return c->look.root >= 0;
}

static inline void checker_end(struct checker *c)
{
    orch_path_fini(&c->path);
    shut(c->sock); /* ends the task */
    orch_look_fini(&c->look);
    (void)waitpid(c->pid, NULL, 0);
}

#endif
