/* syscalls.c - from a profile to a verdict for every system call; the header says what the verdicts mean. */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <stdio.h>
#include <string.h>
#include "policy/sysgroups.h"
#include "policy/sysgroups_list.h"
#include "policy/syscalls_internal.h"

#define X32_BIT 0x40000000
#define ORIGIN_ABI "abi"
#define ORIGIN_START "builtin#/syscalls/start"
#define ORIGIN_FALLBACK "builtin#/syscalls/fallback"
#define ORIGIN_URING "builtin#/syscalls/io_uring"
#define ORIGIN_WATCH "builtin#/syscalls/watch"

/* What an open must not have to count as a read; the second bit of O_TMPFILE is O_DIRECTORY, which only
 * reads. */
#define WRITE_FLAGS (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY))

/* Our own code between loading the filter and execve: must never be notified (callers do not retry;
 * runc#2682). */
static const int start_calls[] = {
    ORCH_NR_write, ORCH_NR_close,      ORCH_NR_rt_sigreturn,    ORCH_NR_sendmsg,
    ORCH_NR_exit,  ORCH_NR_exit_group, ORCH_NR_restart_syscall, ORCH_NR_close_range,
};

/* Programs fall back without these; what they ask for is behind a pointer, or is a way around the judged
 * calls. */
static const int fallback_calls[] = {
    ORCH_NR_clone3,        ORCH_NR_openat2,    ORCH_NR_execveat,  ORCH_NR_memfd_create,
    ORCH_NR_file_setattr,  ORCH_NR_fsopen,     ORCH_NR_fsconfig,  ORCH_NR_fsmount,
    ORCH_NR_fspick,        ORCH_NR_move_mount, ORCH_NR_open_tree, ORCH_NR_open_tree_attr,
    ORCH_NR_mount_setattr, ORCH_NR_statmount,  ORCH_NR_listmount,
};

/* Files and sockets without any further system call: nothing we could judge. */
static const int uring_calls[] = {ORCH_NR_io_uring_setup, ORCH_NR_io_uring_enter, ORCH_NR_io_uring_register};

/* Calls whose path or address the notification loop judges, from which audit level on, and when there is
 * none. */
struct watched {
    int nr;
    enum orch_audit_level from;
    bool null_arg;  /* no path if args[arg] is NULL: works on a descriptor, or without an address */
    bool flags_arg; /* level writes: a read-only open if args[arg] has no write flag */
    unsigned arg;
};

/* clang-format off */
#define PLAIN(name) {ORCH_NR_##name, ORCH_AUDIT_WRITES, false, false, 0}
#define READS(name) {ORCH_NR_##name, ORCH_AUDIT_PATHS, false, false, 0}
static const struct watched watched_calls[] = {
    {ORCH_NR_open, ORCH_AUDIT_WRITES, false, true, 1},
    {ORCH_NR_openat, ORCH_AUDIT_WRITES, false, true, 2},
    {ORCH_NR_sendto, ORCH_AUDIT_WRITES, true, false, 4},
    {ORCH_NR_utimensat, ORCH_AUDIT_WRITES, true, false, 1},
    {ORCH_NR_futimesat, ORCH_AUDIT_WRITES, true, false, 1},
    PLAIN(execve), PLAIN(creat), PLAIN(truncate), PLAIN(mkdir), PLAIN(mkdirat), PLAIN(rmdir), PLAIN(unlink),
    PLAIN(unlinkat), PLAIN(rename), PLAIN(renameat), PLAIN(renameat2), PLAIN(link), PLAIN(linkat),
    PLAIN(symlink), PLAIN(symlinkat), PLAIN(mknod), PLAIN(mknodat), PLAIN(chmod), PLAIN(fchmodat),
    PLAIN(fchmodat2), PLAIN(chown), PLAIN(lchown), PLAIN(fchownat), PLAIN(utime), PLAIN(utimes),
    PLAIN(setxattr), PLAIN(lsetxattr), PLAIN(setxattrat), PLAIN(removexattr), PLAIN(lremovexattr),
    PLAIN(removexattrat), PLAIN(connect), PLAIN(bind), READS(stat), READS(lstat), READS(newfstatat),
    READS(statx), READS(access), READS(faccessat), READS(faccessat2), READS(readlink), READS(readlinkat),
    READS(chdir), READS(getxattr), READS(lgetxattr), READS(listxattr), READS(llistxattr), READS(statfs),
    READS(getxattrat), READS(listxattrat), READS(file_getattr), READS(inotify_add_watch),
};
/* clang-format on */

static bool among(const int *v, size_t n, int nr)
{
    for (size_t i = 0; i < n; i++)
        if (v[i] == nr)
            return true;
    return false;
}

static const struct watched *find_watched(const struct orch_syscalls *s, int nr)
{
    for (size_t i = 0; i < ORCH_NELEM(watched_calls); i++)
        if (watched_calls[i].nr == nr)
            return watched_calls[i].from <= s->profile->audit_level ? &watched_calls[i] : NULL;
    return NULL;
}

static void add_fast(struct orch_sc_entry *e, const struct orch_sc_fast *f)
{
    if (e->n_fast < ORCH_SC_MAX_FAST)
        e->fast[e->n_fast++] = *f;
}

static void watch_entry(const struct orch_syscalls *s, const struct watched *w, struct orch_sc_entry *e)
{
    e->kind = ORCH_SC_WATCH;
    e->origin = ORIGIN_WATCH;
    if (w->null_arg)
        add_fast(e, &(struct orch_sc_fast){.index = w->arg, .mask = ~UINT64_C(0), .value = 0});
    if (w->flags_arg && s->profile->audit_level == ORCH_AUDIT_WRITES)
        add_fast(e, &(struct orch_sc_fast){.index = w->arg, .mask = (uint32_t)WRITE_FLAGS, .value = 0});
}

static void judged_entry(const struct orch_sc_judged *j, struct orch_sc_entry *e)
{
    e->kind = ORCH_SC_ALLOW;
    e->origin = j->origin;
    for (size_t i = 0; i < j->n_fast; i++)
        add_fast(e, &j->fast[i]);
}

static void set(struct orch_sc_entry *e, enum orch_sc_kind kind, int errnum, const char *origin)
{
    e->kind = kind;
    e->errnum = errnum;
    e->origin = origin;
}

/* The meaning of nr without any rule: permitted by the profile's list or not. */
static void base_entry(const struct orch_syscalls *s, int nr, bool allowed, struct orch_sc_entry *e)
{
    *e = (struct orch_sc_entry){.kind = ORCH_SC_REFUSE, .fast = e->fast};
    const struct watched *w = find_watched(s, nr);
    const struct orch_sc_judged *j = orch_sc_find_judged(nr);
    if (j && among(start_calls, ORCH_NELEM(start_calls), nr)) { /* our own use is what the filter allows */
        judged_entry(j, e);
    } else if (among(start_calls, ORCH_NELEM(start_calls), nr)) {
        set(e, ORCH_SC_ALLOW, 0, ORIGIN_START);
        e->always = true;
    } else if (among(uring_calls, ORCH_NELEM(uring_calls), nr)) {
        set(e, ORCH_SC_REFUSE, EPERM, ORIGIN_URING);
    } else if (among(fallback_calls, ORCH_NELEM(fallback_calls), nr)) {
        set(e, ORCH_SC_FALLBACK, ENOSYS, ORIGIN_FALLBACK);
    } else if (w && (allowed || nr == ORCH_NR_execve)) { /* execve starts the agent itself */
        watch_entry(s, w, e);
    } else if (j && allowed) {
        judged_entry(j, e);
    } else if (allowed) {
        set(e, ORCH_SC_ALLOW, 0, s->refuse_origin);
        e->always = true;
    } else if (!orch_syscall_name(nr) || nr > ORCH_NR_file_setattr) {
        set(e, ORCH_SC_FALLBACK, ENOSYS, ORIGIN_FALLBACK);
    } else {
        int errnum = s->profile->sc_default_errno;
        set(e, ORCH_SC_REFUSE, errnum > 0 ? errnum : EPERM, s->refuse_origin);
    }
}

/* ---- compile ---- */

struct compile {
    const struct orch_profile *p;
    struct orch_syscalls *s;
    struct orch_diags *d;
    bool failed;
    bool allowed[ORCH_SC_MAX];
    const struct orch_syscall_rule *final[ORCH_SC_MAX]; /* the unconditional rule that ends the search */
};

#define REPORT(c, ...)                                                                                       \
    do {                                                                                                     \
        orch_diags_add((c)->d, (c)->p->file ? (c)->p->file : "profile", 0, 0, "/syscalls", __VA_ARGS__);     \
        (c)->failed = true;                                                                                  \
    } while (0)

bool orch_sc_never_allowed(int nr)
{
    return among(uring_calls, ORCH_NELEM(uring_calls), nr) ||
           among(fallback_calls, ORCH_NELEM(fallback_calls), nr);
}

bool orch_sc_is_start(int nr)
{
    return among(start_calls, ORCH_NELEM(start_calls), nr);
}

bool orch_sc_rule_names(const struct orch_syscall_rule *r, int nr)
{
    return among(r->nrs, r->n_nrs, nr);
}

static void allow_name(struct compile *c, const char *name)
{
    int nr = orch_syscall_number(name);
    if (nr < 0)
        REPORT(c, "unknown system call '%s'", name);
    else if (orch_sc_never_allowed(nr))
        REPORT(c, "system call '%s' cannot be allowed: what it does is out of sight of filter and supervisor",
               name);
    else
        c->allowed[nr] = true;
}

static void mark_members(const char *const *list, bool set[ORCH_SC_MAX])
{
    for (size_t i = 0; list && list[i]; i++) {
        int nr = orch_syscall_number(list[i]);
        if (nr >= 0)
            set[nr] = true;
    }
}

/* A group of @escape alone is a mistake that must be seen; of others, those members stay out of reach. */
size_t orch_syscall_group_allows(const char *group, bool set[ORCH_SC_MAX])
{
    const char *const *m = orch_syscall_group(group);
    bool escape[ORCH_SC_MAX] = {false};
    size_t n = 0;
    mark_members(orch_syscall_group("@escape"), escape);
    for (size_t i = 0; m && m[i]; i++) {
        int nr = orch_syscall_number(m[i]);
        if (nr < 0 || orch_sc_never_allowed(nr) || escape[nr])
            continue;
        n++;
        if (set)
            set[nr] = true;
    }
    return n;
}

static void allow_list(struct compile *c)
{
    for (size_t i = 0; i < c->p->sc_allow.n; i++) {
        const char *name = c->p->sc_allow.v[i];
        if (name[0] != '@')
            allow_name(c, name);
        else if (!orch_syscall_group(name))
            REPORT(c, "unknown system call group '%s'", name);
        else if (orch_syscall_group_allows(name, c->allowed) == 0)
            REPORT(c, "group '%s' cannot be allowed: every member is a way out (@escape)", name);
    }
}

static bool permits(const struct orch_syscall_rule *r)
{
    return r->action == ORCH_RULE_ALLOW || r->action == ORCH_RULE_LOG;
}

static void rule_entry(struct compile *c, int nr, struct orch_sc_entry *e)
{
    const struct orch_syscall_rule *r = c->final[nr];
    base_entry(c->s, nr, c->allowed[nr] || (r && permits(r)), e);
    if (r && r->action == ORCH_RULE_LOG) { /* as allowed, but every call must be seen */
        e->always = false;
        e->n_fast = 0;
    }
    if (!r || permits(r))
        return;
    *e = (struct orch_sc_entry){.kind = ORCH_SC_KILL, .fast = e->fast, .origin = r->origin};
    if (r->action == ORCH_RULE_ERRNO)
        set(e, ORCH_SC_REFUSE, r->errnum, r->origin);
}

/* clone must not be notified where it goes on (libraries.md 1.5), so its rules must fit into the filter. */
static void apply_conditions(struct compile *c)
{
    for (size_t i = 0; i < c->p->n_sc_rules; i++) {
        const struct orch_syscall_rule *r = &c->p->sc_rules[i];
        if (r->n_args == 0 || r->action == ORCH_RULE_ALLOW)
            continue;
        for (size_t k = 0; k < r->n_nrs; k++) {
            if (orch_sc_carve(r->nrs[k], &c->s->e[r->nrs[k]], r) || r->nrs[k] != ORCH_NR_clone)
                continue;
            orch_sc_report(
                c->d, r,
                "rule %s: 'clone' can only be restricted by conditions on its flags that the filter "
                "can decide alone",
                r->origin);
            c->failed = true;
        }
    }
}

void orch_syscalls_init(struct orch_syscalls *s, const struct orch_profile *p)
{
    s->profile = p;
    s->inet = false;
    s->refuse_origin[0] = '\0';
    for (size_t nr = 0; nr < ORCH_SC_MAX; nr++)
        s->e[nr] = (struct orch_sc_entry){.kind = ORCH_SC_REFUSE, .fast = s->room[nr]};
}

int orch_syscalls_compile(const struct orch_profile *p, struct orch_syscalls *ret, struct orch_diags *d)
{
    orch_syscalls_init(ret, p);
    ret->inet = orch_strv_has(&p->sc_allow, "@network-client");
    ORCH_AUTO_FREE char *origin = orch_profile_rule(p, "syscalls.allow", "/syscalls");
    (void)snprintf(ret->refuse_origin, sizeof(ret->refuse_origin), "%s", origin);
    struct compile *c = orch_xcalloc(1, sizeof(*c));
    c->p = p;
    c->s = ret;
    c->d = d;
    allow_list(c);
    bool failed = !orch_sc_check_rules(p, c->final, d) || c->failed;
    for (int nr = 0; !failed && nr < ORCH_SC_MAX; nr++)
        rule_entry(c, nr, &ret->e[nr]);
    if (!failed)
        apply_conditions(c);
    failed = failed || c->failed;
    free(c);
    return failed ? -EINVAL : 0;
}

int orch_syscalls_check(const struct orch_profile *p, struct orch_diags *d)
{
    struct orch_syscalls *s = orch_xcalloc(1, sizeof(*s));
    int r = orch_syscalls_compile(p, s, d);
    free(s);
    return r;
}

/* ---- answer ---- */

static bool in_set(const struct orch_arg_cond *c, uint64_t x)
{
    for (size_t i = 0; i < c->n_set; i++)
        if (c->set[i] == x)
            return true;
    return false;
}

/* The meaning of a condition: on the bits that the kernel looks at, unsigned. */
static bool cond_holds(int nr, const struct orch_arg_cond *c, const uint64_t args[6])
{
    uint64_t width = orch_syscall_arg_mask(nr, c->index);
    uint64_t x = args[c->index] & width, v = c->value & width;
    switch (c->op) {
    case ORCH_OP_EQ:
        return x == v;
    case ORCH_OP_NE:
        return x != v;
    case ORCH_OP_MASKED_EQ:
        return (x & c->mask) == v;
    case ORCH_OP_IN:
        return in_set(c, x);
    case ORCH_OP_LT:
        return x < v;
    case ORCH_OP_LE:
        return x <= v;
    case ORCH_OP_GT:
        return x > v;
    case ORCH_OP_GE:
        return x >= v;
    }
    return false;
}

static const struct orch_syscall_rule *match_rule(const struct orch_profile *p, int nr,
                                                  const uint64_t args[6])
{
    for (size_t i = 0; i < p->n_sc_rules; i++) {
        const struct orch_syscall_rule *r = &p->sc_rules[i];
        bool hit = orch_sc_rule_names(r, nr);
        for (size_t k = 0; hit && k < r->n_args; k++)
            hit = cond_holds(nr, &r->args[k], args);
        if (hit)
            return r;
    }
    return NULL;
}

/* True if a watched call carries nothing to judge: it is exactly what base_entry() lets the filter allow at
 * once. */
static bool nothing_to_judge(const struct orch_syscalls *s, int nr, const uint64_t args[6])
{
    const struct watched *w = find_watched(s, nr);
    if (!w)
        return false;
    if (w->null_arg)
        return args[w->arg] == 0;
    return w->flags_arg && s->profile->audit_level == ORCH_AUDIT_WRITES &&
           (args[w->arg] & (uint32_t)WRITE_FLAGS) == 0;
}

/* The verdict of an entry for these registers. `override`: a rule with conditions named exactly this call. */
static void answer_entry(const struct orch_syscalls *s, int nr, const struct orch_sc_entry *e,
                         const uint64_t args[6], bool override, struct orch_sc_answer *ret)
{
    *ret = (struct orch_sc_answer){.kind = e->kind, .errnum = e->errnum, .origin = e->origin};
    const struct orch_sc_judged *j = e->kind == ORCH_SC_ALLOW ? orch_sc_find_judged(nr) : NULL;
    if (e->kind == ORCH_SC_WATCH && nothing_to_judge(s, nr, args))
        ret->kind = ORCH_SC_ALLOW;
    else if (j && !override)
        j->judge(s, args, ret);
}

static void answer_rule(const struct orch_syscalls *s, int nr, const struct orch_syscall_rule *r,
                        const uint64_t args[6], struct orch_sc_answer *ret)
{
    if (permits(r)) { /* as if the profile's list named it; paths are still judged */
        struct orch_sc_fast room[ORCH_SC_MAX_FAST];
        struct orch_sc_entry e = {.fast = room};
        base_entry(s, nr, true, &e);
        answer_entry(s, nr, &e, args, r->n_args > 0, ret);
        ret->log = r->action == ORCH_RULE_LOG ? r->origin : NULL;
        return;
    }
    bool refused = r->action == ORCH_RULE_ERRNO;
    *ret = (struct orch_sc_answer){.kind = refused ? ORCH_SC_REFUSE : ORCH_SC_KILL,
                                   .errnum = refused ? r->errnum : 0,
                                   .origin = r->origin};
}

void orch_syscalls_answer(const struct orch_syscalls *s, const struct seccomp_data *d,
                          struct orch_sc_answer *ret)
{
    uint64_t args[6];
    for (size_t i = 0; i < 6; i++)
        args[i] = d->args[i];
    if (d->arch != AUDIT_ARCH_X86_64 || (d->nr != -1 && (d->nr & X32_BIT) != 0)) {
        *ret = (struct orch_sc_answer){.kind = ORCH_SC_KILL, .origin = ORIGIN_ABI};
        return;
    }
    if (d->nr < 0 || d->nr >= ORCH_SC_MAX) {
        *ret = (struct orch_sc_answer){.kind = ORCH_SC_FALLBACK, .errnum = ENOSYS, .origin = ORIGIN_FALLBACK};
        return;
    }
    const struct orch_syscall_rule *r = match_rule(s->profile, d->nr, args);
    if (r)
        answer_rule(s, d->nr, r, args, ret);
    else
        answer_entry(s, d->nr, &s->e[d->nr], args, false, ret);
}
