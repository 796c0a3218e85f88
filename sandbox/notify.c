/*
 * notify.c - the judge's bench: one notified call at a time is received, judged, answered and recorded.
 *
 * Rules kept here (kernel notes, sections 2-4 and 16): every path replies; nothing blocks; memory is read
 * once; what cannot be read is denied; a refusal is recorded when its answer was taken, which proves that all
 * looks at the task before it were at this task; a call that must be on record goes on only after that;
 * CONTINUE is never why something is allowed: mounts, Landlock, the empty network and the seal check are.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "common/io.h"
#include "sandbox/notify_int.h"

#define NO_ANSWER "its filesystem did not answer"

int orch_notify_init(struct orch_notify *n, const struct orch_plan *plan, const struct orch_sandbox_hooks *h)
{
    struct seccomp_notif_sizes sizes;

    *n = (struct orch_notify){.plan = plan, .listener = -1, .hooks = h, .host = ORCH_HOST_UNSEEN};
    orch_memo_init(&n->memo, plan);
    orch_look_init(&n->look);
    if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
        return -errno;
    n->req_size = sizes.seccomp_notif > sizeof(*n->req) ? sizes.seccomp_notif : sizeof(*n->req);
    n->resp_size = sizes.seccomp_notif_resp > sizeof(*n->resp) ? sizes.seccomp_notif_resp : sizeof(*n->resp);
    n->req = orch_xcalloc(1, n->req_size);
    n->resp = orch_xcalloc(1, n->resp_size);
    return 0;
}

void orch_notify_fini(struct orch_notify *n)
{
    orch_close_fdp(&n->listener);
    orch_look_fini(&n->look);
    orch_who_fini(&n->who);
    orch_memo_fini(&n->memo);
    orch_host_fini(&n->host);
    free(n->req);
    free(n->resp);
    n->req = NULL;
    n->resp = NULL;
}

void orch_judge_deny(struct judged *j, enum orch_denial_class class, int errnum, const char *rule)
{
    j->errnum = errnum;
    j->denial = true;
    j->d.class = class;
    j->d.rule = rule;
    j->d.action = "errno";
    j->d.errnum = errnum;
}

void orch_judge_unreadable(struct judged *j, enum orch_denial_class class, int r)
{
    orch_judge_deny(j, class, EACCES, "sandbox#/unreadable");
    j->d.detail = r == -ETIMEDOUT ? NO_ANSWER : "memory of the task could not be read";
}

/* Reads a path argument. false: judged already (unreadable), or the kernel will fail by itself. */
static bool read_path(struct judged *j, int index, struct orch_buf *text)
{
    int r = orch_look_string(&j->n->look, (pid_t)j->req->pid, orch_judge_arg(j, index), text);

    if (r == 0)
        return true;
    if (r == -EFAULT || r == -ENAMETOOLONG)
        return false; /* the kernel gives the same answer to the same pointer */
    orch_judge_unreadable(j, ORCH_CLASS_FILESYSTEM, r);
    return false;
}

/* The kernel gives the same for the path by itself; whatever else stops us is no reason to let a call go on.
 */
static bool fails_by_itself(int r)
{
    return r == -ENOENT || r == -ENOTDIR || r == -ELOOP || r == -EBADF || r == -ENAMETOOLONG;
}

/* Nothing the agent can bring about: neither its denial nor its call is to go on, the attempt is to end. */
static bool out_of_descriptors(struct judged *j, int r)
{
    if (r != -EMFILE && r != -ENFILE)
        return false;
    j->n->host_errno = -r;
    j->errnum = EACCES;
    return true;
}

/* false: judged already (unresolvable), or the kernel will fail by itself. */
bool orch_judge_resolve(struct judged *j, int dirfd_arg, const char *text, bool nofollow,
                        struct orch_path *ret)
{
    int dirfd = dirfd_arg == ORCH_NOARG ? AT_FDCWD : (int)orch_judge_arg(j, dirfd_arg);
    struct orch_look *look = &j->n->look;
    bool keeps = text[0] == '/' && !look->apart; /* what is kept has its links read by us */
    int r;

    if (keeps && orch_memo_find(&j->n->memo, text, nofollow, ret))
        return true;
    r = orch_look_resolve(look, (pid_t)j->req->pid, dirfd, text, nofollow, ret);
    if (r == 0 && keeps)
        orch_memo_keep(&j->n->memo, look->root, text, nofollow, ret);
    if (r == 0)
        return true;
    if (!out_of_descriptors(j, r) && !fails_by_itself(r)) {
        orch_judge_deny(j, ORCH_CLASS_FILESYSTEM, EACCES, "sandbox#/unresolvable");
        j->d.path = text;
        j->d.detail = r == -ETIMEDOUT ? NO_ANSWER : "the path could not be resolved";
    }
    return false;
}

static bool follows_last(const struct judged *j, uint64_t flags)
{
    const struct orch_call *c = j->call;

    if (c->nofollow)
        return false;
    if (c->follow_bit)
        return (flags & c->follow_bit) != 0;
    return !(c->nofollow_bit && (flags & c->nofollow_bit));
}

/* Applies the plan's decision for one path. Returns true if the call was refused. */
static bool apply_decision(struct judged *j, const struct orch_path *p, enum orch_request what)
{
    enum orch_denial_class class = what == ORCH_REQ_EXEC ? ORCH_CLASS_EXEC : ORCH_CLASS_FILESYSTEM;
    struct orch_decision dec;

    if (!p->path)
        return false; /* a pipe or socket the task holds already */
    if (what == ORCH_REQ_CONNECT)
        class = ORCH_CLASS_NETWORK;
    orch_plan_decide(j->n->plan, p->path, what, &dec);
    j->d.quiet = dec.quiet;
    j->d.path = p->path;
    j->d.access = orch_request_name(what);
    switch (dec.verdict) {
    case ORCH_PERMIT:
        return false;
    case ORCH_HIDE:
        orch_judge_deny(j, class, ENOENT, dec.rule);
        return true;
    case ORCH_DENY:
        orch_judge_deny(j, class, EACCES, dec.rule);
        return true;
    case ORCH_ABSENT:
        orch_judge_deny(j, class, ENOENT, dec.rule);
        j->host_lookup = true;
        return true;
    }
    orch_judge_deny(j, class, EACCES, dec.rule);
    return true;
}

/* An existing object is asked for, or something not there: then only a hidden or absent path matters, the
 * rest is the kernel's ENOENT. */
bool orch_judge_existing(struct judged *j, const struct orch_path *p, enum orch_request what)
{
    struct orch_decision dec;

    if (p->exists || !p->path)
        return apply_decision(j, p, what);
    orch_plan_decide(j->n->plan, p->path, what, &dec);
    if (dec.verdict == ORCH_HIDE || dec.verdict == ORCH_ABSENT)
        return apply_decision(j, p, what);
    return false;
}

/* The seal check lets only certain kinds through; saying so at once spares a lost attempt. */
static bool judge_kind(struct judged *j, const struct orch_path *p, char kind)
{
    if (orch_plan_may_be(j->n->plan, p->path, kind))
        return false;
    orch_judge_deny(j, ORCH_CLASS_FILESYSTEM, EACCES, orch_plan_rule_create(j->n->plan));
    j->d.path = p->path;
    j->d.access = "create";
    return true;
}

bool orch_judge_new(struct judged *j, const struct orch_path *p, char kind)
{
    struct orch_decision dec;

    if (!p->path)
        return false;
    orch_plan_decide(j->n->plan, p->path, ORCH_REQ_CREATE, &dec);
    if (dec.verdict == ORCH_PERMIT && orch_plan_may_be(j->n->plan, p->path, kind))
        return false;
    if (dec.verdict != ORCH_HIDE && dec.verdict != ORCH_ABSENT && !p->exists &&
        !orch_look_has_parent(&j->n->look, p))
        return false; /* the directory is missing: ENOENT by the kernel */
    if (apply_decision(j, p, ORCH_REQ_CREATE))
        return true;
    return judge_kind(j, p, kind);
}

/* A directory may not be moved or removed with a protected path in it that exists. */
static bool judge_protected_beneath(struct judged *j, const struct orch_path *p)
{
    const struct orch_place *q = p->path ? orch_plan_narrower_beneath(j->n->plan, p->path) : NULL;
    int r = q ? orch_look_at(&j->n->look, q->path) : -ENOENT;

    if (out_of_descriptors(j, r))
        return true;
    if (r < 0 && r != -ETIMEDOUT)
        return false;
    orch_judge_deny(j, ORCH_CLASS_FILESYSTEM, EACCES, q->rule);
    j->d.path = p->path;
    j->d.access = "delete";
    return true;
}

static void judge_open(struct judged *j)
{
    uint64_t flags =
        j->call->flags == ORCH_NOARG ? O_CREAT | O_WRONLY | O_TRUNC : orch_judge_arg(j, j->call->flags);
    bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
    bool nofollow = (flags & O_NOFOLLOW) || (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);

    if (!read_path(j, j->call->path, &j->text))
        return;
    if (!orch_judge_resolve(j, j->call->dirfd, j->text.data, nofollow, &j->path))
        return;
    if ((flags & O_TMPFILE) == O_TMPFILE)
        (void)orch_judge_existing(j, &j->path, ORCH_REQ_CREATE);
    else if (flags & O_PATH)
        (void)orch_judge_existing(j, &j->path, ORCH_REQ_LOOK);
    else if ((flags & O_CREAT) && !j->path.exists)
        (void)orch_judge_new(j, &j->path, 'f');
    else if (writes && !(j->path.exists && S_ISDIR(j->path.mode)))
        (void)orch_judge_existing(j, &j->path, ORCH_REQ_WRITE);
    else
        (void)orch_judge_existing(j, &j->path, ORCH_REQ_READ);
}

static void judge_one_path(struct judged *j)
{
    uint64_t flags = j->call->flags == ORCH_NOARG ? 0 : orch_judge_arg(j, j->call->flags);
    bool nofollow = j->call->kind == ORCH_CALL_CREATE || !follows_last(j, flags);
    bool by_fd = j->call->kind == ORCH_CALL_WRITE && (flags & AT_EMPTY_PATH); /* O_PATH is enough for it */

    if (!read_path(j, j->call->path, &j->text) || (j->text.len == 0 && !by_fd))
        return; /* empty: a look at a descriptor, or the kernel's ENOENT */
    if (!orch_judge_resolve(j, j->call->dirfd, j->text.data, nofollow || j->text.len == 0, &j->path))
        return;
    switch (j->call->kind) {
    case ORCH_CALL_WRITE:
        (void)orch_judge_existing(j, &j->path, ORCH_REQ_WRITE);
        return;
    case ORCH_CALL_LOOK:
        (void)orch_judge_existing(j, &j->path, ORCH_REQ_LOOK);
        return;
    case ORCH_CALL_DELETE:
        if (!orch_judge_existing(j, &j->path, ORCH_REQ_DELETE))
            (void)judge_protected_beneath(j, &j->path);
        return;
    default:
        break;
    }
    if (j->path.exists)
        return; /* EEXIST by the kernel */
    (void)orch_judge_new(j, &j->path,
                         j->call->creates == 'm' ? (S_ISREG(flags) || !(flags & S_IFMT) ? 'f' : 'x')
                                                 : j->call->creates);
}

/* Which file system of the view a path is on, as far as its place tells; 0 = not known. */
static int file_system(const struct judged *j, const struct orch_path *p)
{
    const struct orch_place *place = p->path ? orch_plan_place(j->n->plan, p->path) : NULL;

    switch (place ? place->kind : ORCH_PLACE_SCRATCH) {
    case ORCH_PLACE_WORKSPACE:
    case ORCH_PLACE_WSRULE:
        return 1;
    case ORCH_PLACE_HOME:
        return 2;
    case ORCH_PLACE_TMP:
        return 3;
    case ORCH_PLACE_HOST:
        return 4;
    default:
        return 0;
    }
}

/*
 * A hard link would be written through, so it asks to write what it names. Across file systems there is none:
 * EXDEV by the kernel, the answer that `git clone` and `cp -l` go on from, and then reading is all that is
 * asked.
 */
static enum orch_request asked_of_linked(const struct judged *j)
{
    int from = file_system(j, &j->path), to = file_system(j, &j->path2);

    return from && to && from != to ? ORCH_REQ_LOOK : ORCH_REQ_WRITE;
}

static char kind_of(mode_t mode)
{
    return S_ISDIR(mode) ? 'd' : S_ISLNK(mode) ? 'l' : 'f';
}

/* Of two names that change places each is taken away, and made anew as what the other was. */
static bool judge_exchanged(struct judged *j, const struct orch_path *p, const struct orch_path *q)
{
    j->d.path2 = q->path;
    return orch_judge_existing(j, p, ORCH_REQ_DELETE) ||
           (p->exists && q->exists &&
            (judge_protected_beneath(j, p) || orch_judge_new(j, p, kind_of(q->mode))));
}

static void judge_two_paths(struct judged *j)
{
    const struct orch_call *c = j->call;
    bool rename = c->kind == ORCH_CALL_RENAME;
    uint64_t flags = c->flags == ORCH_NOARG ? 0 : orch_judge_arg(j, c->flags);

    if (!read_path(j, c->path, &j->text) || !read_path(j, c->path2, &j->text2))
        return;
    if (!orch_judge_resolve(j, c->dirfd, j->text.data, !follows_last(j, flags), &j->path) ||
        !orch_judge_resolve(j, c->dirfd2, j->text2.data, true, &j->path2))
        return;
    j->d.path2 = j->path2.path;
    if (c->nr == SYS_renameat2 && (orch_judge_arg(j, 4) & RENAME_EXCHANGE)) {
        if (!judge_exchanged(j, &j->path, &j->path2))
            (void)judge_exchanged(j, &j->path2, &j->path);
        return;
    }
    if (orch_judge_existing(j, &j->path, rename ? ORCH_REQ_DELETE : asked_of_linked(j)))
        return;
    if (!j->path.exists || judge_protected_beneath(j, &j->path))
        return;
    if (j->path2.exists && !rename)
        return; /* EEXIST */
    if (orch_judge_new(j, &j->path2, kind_of(j->path.mode)))
        j->d.path2 = j->path.path;
}

static void judge_symlink(struct judged *j)
{
    if (!read_path(j, j->call->path, &j->text) || !read_path(j, j->call->path2, &j->text2))
        return;
    if (!orch_judge_resolve(j, j->call->dirfd, j->text.data, true, &j->path) || j->path.exists)
        return;
    j->d.path2 = j->text2.data;
    (void)orch_judge_new(j, &j->path, 'l');
}

static void judge_program(struct judged *j)
{
    if (!read_path(j, j->call->path, &j->text))
        return;
    if (!orch_judge_resolve(j, ORCH_NOARG, j->text.data, false, &j->path))
        return;
    if (j->path.exists && S_ISDIR(j->path.mode))
        return; /* EACCES by the kernel */
    if (!j->path.path) {
        orch_judge_deny(j, ORCH_CLASS_EXEC, EACCES, "sandbox#/tools");
        j->d.path = j->text.data;
        j->d.access = "exec";
        return;
    }
    if (!orch_judge_existing(j, &j->path, ORCH_REQ_EXEC) && j->path.exists)
        orch_judge_report_exec(j);
}

static void judge_exec(struct judged *j)
{
    judge_program(j);
    if (j->errnum == 0) /* goes on, and may come about */
        j->executes = orch_who_is(&j->n->who, (pid_t)j->req->pid)->pid;
}

static void judge_watched(struct judged *j)
{
    switch (j->call->kind) {
    case ORCH_CALL_OPEN:
        judge_open(j);
        return;
    case ORCH_CALL_WRITE:
    case ORCH_CALL_CREATE:
    case ORCH_CALL_DELETE:
    case ORCH_CALL_LOOK:
        judge_one_path(j);
        return;
    case ORCH_CALL_RENAME:
    case ORCH_CALL_LINK:
        judge_two_paths(j);
        return;
    case ORCH_CALL_SYMLINK:
        judge_symlink(j);
        return;
    case ORCH_CALL_EXEC:
        judge_exec(j);
        return;
    case ORCH_CALL_CONNECT:
    case ORCH_CALL_BIND:
    case ORCH_CALL_SENDTO:
        orch_judge_address(j);
        return;
    }
    orch_judge_deny(j, ORCH_CLASS_SYSCALL, EPERM, "sandbox#/calls");
}

/* Refused, and the end of the process: later, because who it is must be read first (orch_notify_serve). */
static void condemn(struct judged *j, const char *rule)
{
    const struct seccomp_data *d = &j->req->data;

    orch_judge_deny(j, ORCH_CLASS_SYSCALL, EPERM, rule);
    j->kills = true;
    j->d.action = "kill";
    j->d.detail = d->arch != 0xc000003e || (d->nr & 0x40000000) ? "foreign ABI" : NULL;
}

/* What the supervisor does itself; false: it is judged as any call. */
static bool serve_instead(struct judged *j)
{
    struct orch_stead *s = &j->stead;

    if (!orch_stead_serve(j->n, j->req, s))
        return false;
    orch_stead_hand_over(j->n, j->req, s);
    j->d.path = s->path;
    j->d.access = s->access;
    j->d.quiet = s->quiet;
    if (s->denial)
        orch_judge_deny(j, s->network ? ORCH_CLASS_NETWORK : ORCH_CLASS_FILESYSTEM, s->errnum, s->rule);
    j->errnum = s->errnum ? s->errnum : -1;
    return true;
}

static void judge(struct judged *j)
{
    struct orch_sc_answer a;

    if (serve_instead(j))
        return;
    orch_syscalls_answer(&j->n->plan->syscalls, &j->req->data, &a);
    j->log = a.log;
    switch (a.kind) {
    case ORCH_SC_ALLOW:
        return;
    case ORCH_SC_WATCH:
        j->call = orch_call_find(j->req->data.nr);
        if (j->call && j->n->look.root >= 0)
            judge_watched(j);
        else
            orch_judge_deny(j, ORCH_CLASS_SYSCALL, EPERM, "sandbox#/calls");
        return;
    case ORCH_SC_FALLBACK:
        j->errnum = ENOSYS;
        j->n->fallbacks++;
        return;
    case ORCH_SC_FAKE:
        j->errnum = -1;
        j->n->fakes++;
        return;
    case ORCH_SC_KILL:
        condemn(j, a.origin);
        return;
    case ORCH_SC_REFUSE:
        orch_judge_deny(j, ORCH_CLASS_SYSCALL, a.errnum ? a.errnum : EPERM, a.origin);
        j->d.quiet = a.quiet;
        return;
    }
    orch_judge_deny(j, ORCH_CLASS_SYSCALL, EPERM, "sandbox#/calls");
}

/* A call that a log rule lets go on: a record, no denial, so it counts for no budget. */
static void judge_logged(struct judged *j)
{
    if (!j->log || j->denial || j->errnum != 0)
        return;
    j->denial = true;
    j->d.class = ORCH_CLASS_SYSCALL;
    j->d.action = ORCH_ACTION_LOG;
    j->d.rule = j->log;
    j->d.quiet = true;
}

/* False: it reached nobody. */
static bool reply(struct judged *j)
{
    struct seccomp_notif_resp *resp = j->n->resp;

    memset(resp, 0, j->n->resp_size);
    resp->id = j->req->id;
    if (j->errnum > 0)
        resp->error = -j->errnum;
    else if (j->errnum == 0)
        resp->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE; /* and -1: a faked success, val 0 */
    return ioctl(j->n->listener, SECCOMP_IOCTL_NOTIF_SEND, resp) == 0;
}

static bool still_waits(const struct judged *j)
{
    return ioctl(j->n->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &j->req->id) == 0;
}

/* Its number stays taken while its notification is pending, so this hits nobody else. False: it is gone. */
static bool kill_it(const struct judged *j)
{
    return still_waits(j) && kill((pid_t)j->req->pid, SIGKILL) == 0;
}

static enum orch_next record(struct judged *j, const struct orch_who_info *who)
{
    if ((j->host_lookup && !orch_host_has(&j->n->host, j->d.path)) || !j->n->hooks->on_denial)
        return ORCH_GO_ON;
    j->d.nr = j->req->data.nr;
    j->d.syscall = j->req->data.arch == 0xc000003e ? orch_syscall_name(j->d.nr) : NULL;
    orch_judge_who(j, who);
    return j->n->hooks->on_denial(j->n->hooks->ctx, &j->d);
}

/* The answer and the record, each of them if it is to be. */
static enum orch_next answer(struct judged *j, const struct orch_who_info *who)
{
    bool killed = j->kills && kill_it(j);
    enum orch_next next = ORCH_GO_ON;

    if (j->denial && j->errnum == 0) { /* a log rule: what cannot be put on record does not go on */
        next = still_waits(j) ? record(j, who) : ORCH_GO_ON;
        j->errnum = next == ORCH_GO_ON ? 0 : EPERM;
        (void)reply(j);
        return next;
    }
    return (reply(j) || killed) && j->denial ? record(j, who) : ORCH_GO_ON;
}

enum orch_next orch_notify_serve(struct orch_notify *n)
{
    struct judged j = {.n = n, .req = n->req, .stead = {.fd = -1, .replace = -1, .ours = -1}};
    const struct orch_who_info *who = NULL;
    enum orch_next next;

    memset(n->req, 0, n->req_size);
    if (ioctl(n->listener, SECCOMP_IOCTL_NOTIF_RECV, n->req) < 0)
        return ORCH_GO_ON; /* the task died or was interrupted meanwhile */
    judge(&j);
    judge_logged(&j);
    if (j.denial)
        who = orch_who_is(&n->who, (pid_t)n->req->pid);
    next = answer(&j, who);
    if (j.executes) /* now that nothing more is asked about who it was */
        orch_who_execs(&n->who, (pid_t)n->req->pid, j.executes);
    orch_stead_fini(&j.stead);
    orch_buf_fini(&j.text);
    orch_buf_fini(&j.text2);
    orch_path_fini(&j.path);
    orch_path_fini(&j.path2);
    return n->host_errno ? ORCH_STOP_CANCEL : next;
}
