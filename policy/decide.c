/*
 * decide.c - the one judgement of a path: used by the notification loop, the seal check and explain.
 *
 * Pure: no system calls. "Most specific path wins" is the longest place that covers the path; an
 * anywhere-rule counts as the path up to its name, and loses a tie against a literal rule.
 */
#include <string.h>

#include "common/io.h"
#include "policy/plan_int.h"

static bool can_read(enum orch_access a)
{
    return a != ORCH_ACCESS_NONE;
}

static bool can_write(enum orch_access a)
{
    return a == ORCH_ACCESS_RW || a == ORCH_ACCESS_RWX;
}

static bool can_exec(enum orch_access a)
{
    return a == ORCH_ACCESS_RX || a == ORCH_ACCESS_RWX;
}

/* Compares the first n bytes of key with the whole of path. */
static int compare_prefix(const char *key, size_t n, const char *path)
{
    size_t len = strlen(path);
    int c = memcmp(key, path, n < len ? n : len);

    if (c != 0)
        return c;
    return (n > len) - (n < len);
}

static const struct orch_place *place_exact(const struct orch_plan *p, const char *path, size_t n)
{
    size_t lo = 0, hi = p->n_places;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = compare_prefix(path, n, p->places[mid].path);

        if (c == 0)
            return &p->places[mid];
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

const struct orch_place *orch_plan_place(const struct orch_plan *p, const char *path)
{
    size_t n = strlen(path);

    while (n > 0) {
        const struct orch_place *place = place_exact(p, path, n);

        if (place)
            return place;
        while (n > 0 && path[n - 1] != '/')
            n--;
        while (n > 0 && path[n - 1] == '/')
            n--;
    }
    return NULL;
}

/* The anywhere-rule with the deepest match in path, and the length of the path up to that name. */
static const struct orch_anywhere *anywhere_match(const struct orch_plan *p, const char *path,
                                                  size_t *ret_len)
{
    const struct orch_anywhere *best = NULL;
    const char *c = path + strlen(p->workspace);

    *ret_len = 0;
    if (p->n_anywhere == 0 || !orch_path_beneath(path, p->workspace))
        return NULL;
    while (*c == '/') {
        size_t len = strcspn(++c, "/");

        for (size_t i = 0; i < p->n_anywhere; i++) {
            if (strlen(p->anywhere[i].name) == len && memcmp(p->anywhere[i].name, c, len) == 0) {
                best = &p->anywhere[i];
                *ret_len = (size_t)(c - path) + len;
            }
        }
        c += len;
    }
    return best;
}

static bool starts_beneath(const char *candidate, const char *dir, size_t n)
{
    return strncmp(candidate, dir, n) == 0 && candidate[n] == '/';
}

/* Index of the first closure entry not sorted before path. */
static size_t closure_lower_bound(const struct orch_closure *c, const char *path)
{
    size_t lo = 0, hi = c->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (strcmp(c->v[mid].path, path) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The closure makes a path readable even where no rule shows it. */
static const struct orch_closure_entry *closure_cover(const struct orch_closure *c, const char *path)
{
    ORCH_AUTO_FREE char *key = orch_xstrdup(path);

    for (size_t n = strlen(key); n > 0; n--) {
        if (n == strlen(path) || path[n] == '/') {
            size_t i;

            key[n] = '\0';
            i = closure_lower_bound(c, key);
            if (i < c->n && strcmp(c->v[i].path, key) == 0 &&
                (n == strlen(path) || c->v[i].kind == ORCH_CLOSURE_DIR ||
                 c->v[i].kind == ORCH_CLOSURE_DATA_DIR))
                return &c->v[i];
        }
    }
    return NULL;
}

bool orch_plan_is_scaffold(const struct orch_plan *p, const char *path)
{
    size_t n = strcmp(path, "/") == 0 ? 0 : strlen(path);

    for (size_t i = 0; i < p->n_places; i++)
        if (starts_beneath(p->places[i].path, path, n))
            return true;
    for (size_t i = 0; i < p->closure.n; i++)
        if (starts_beneath(p->closure.v[i].path, path, n))
            return true;
    for (size_t i = 0; i < p->links.n; i++)
        if (starts_beneath(p->links.v[i], path, n))
            return true;
    return false;
}

const struct orch_place *orch_plan_narrower_beneath(const struct orch_plan *p, const char *path)
{
    size_t n = strlen(path);

    for (size_t i = 0; i < p->n_places; i++)
        if (!can_write(p->places[i].access) && starts_beneath(p->places[i].path, path, n))
            return &p->places[i];
    return NULL;
}

/* Under what is not covered lies only what the sandbox itself put there, read-only, or nothing. */
bool orch_plan_is_fixed(const struct orch_plan *p, const char *path)
{
    const struct orch_place *place = p->nested ? NULL : orch_plan_place(p, path);

    if (p->nested) /* a host that others live on */
        return false;
    if (!place)
        return true;
    switch (place->kind) {
    case ORCH_PLACE_HOST:
        return !can_write(place->access);
    case ORCH_PLACE_ETC:
        return true;
    case ORCH_PLACE_DEV:
        return !orch_path_beneath(path, "/dev/shm") && !orch_path_beneath(path, "/dev/pts");
    default:
        return false;
    }
}

static bool is_link(const struct orch_plan *p, const char *path)
{
    return orch_strv_has(&p->links, path);
}

/* Tier nested: what a view has of its own and a host does not show. Programs look there as a matter of
 * course. */
static bool is_missed(const struct orch_plan *p, const char *path)
{
    static const char *const names[] = {"/etc/passwd", "/etc/group", "/etc/hosts", "/etc/resolv.conf",
                                        "/etc/nsswitch.conf"};
    bool found = p->nested && orch_path_beneath(path, "/proc");

    for (size_t i = 0; p->nested && i < ORCH_NELEM(names) && !found; i++)
        found = strcmp(path, names[i]) == 0;
    return found;
}

/* Not covered by any rule: only tools, links and the directories that lead to something visible are there. */
static void decide_uncovered(const struct orch_plan *p, const char *path, enum orch_request what,
                             struct orch_decision *ret)
{
    ORCH_AUTO_FREE char *parent = orch_path_normalize(path, "..");

    ret->rule = "sandbox#/view";
    if (closure_cover(&p->closure, path) || is_link(p, path)) {
        bool runs = what == ORCH_REQ_EXEC && orch_closure_executes(&p->closure, path);

        ret->rule = "sandbox#/tools";
        ret->verdict = what == ORCH_REQ_LOOK || what == ORCH_REQ_READ || runs ? ORCH_PERMIT : ORCH_DENY;
        return;
    }
    if (is_missed(p, path)) {
        ret->rule = "sandbox#/nested";
        ret->quiet = true;
        ret->verdict = ORCH_HIDE;
        return;
    }
    if (orch_plan_is_scaffold(p, path)) { /* nested: the host's own directory, which is not to be listed */
        ret->verdict =
            what == ORCH_REQ_LOOK || (what == ORCH_REQ_READ && !p->nested) ? ORCH_PERMIT : ORCH_DENY;
        return;
    }
    if (what == ORCH_REQ_CREATE && orch_plan_is_scaffold(p, parent)) {
        ret->verdict = ORCH_DENY;
        return;
    }
    ret->rule = ORCH_RULE_ABSENT;
    ret->verdict = ORCH_ABSENT;
}

static bool may_execute(const struct orch_plan *p, const char *path, const struct orch_place *place,
                        enum orch_access access)
{
    if (orch_closure_executes(&p->closure, path))
        return true;
    switch (place->kind) {
    case ORCH_PLACE_HOST:
        return p->profile->tools_all && can_exec(access);
    case ORCH_PLACE_WORKSPACE:
    case ORCH_PLACE_WSRULE: /* rx is readable and mappable; programs run from it only with "tools": "*" */
        return access == ORCH_ACCESS_RWX || p->exec_view ||
               (access == ORCH_ACCESS_RX && p->profile->tools_all);
    case ORCH_PLACE_SCRATCH:
        return can_exec(access);
    case ORCH_PLACE_ORCH:
        return strncmp(path + strlen(place->path), "/bin/", 5) == 0;
    case ORCH_PLACE_HOME:
    case ORCH_PLACE_TMP:
        return can_exec(access);
    case ORCH_PLACE_PROC:
    case ORCH_PLACE_DEV:
    case ORCH_PLACE_ETC:
        return false;
    }
    return false;
}

/* Sockets that the agent itself made, and our control socket; never a socket of the host. */
static bool may_connect(const char *path, const struct orch_place *place, enum orch_access access)
{
    if (place->kind == ORCH_PLACE_ORCH)
        return strcmp(path + strlen(place->path), "/control") == 0;
    return place->kind != ORCH_PLACE_HOST && place->kind != ORCH_PLACE_PROC && can_write(access);
}

static bool permits(const struct orch_plan *p, const char *path, const struct orch_place *place,
                    enum orch_access access, enum orch_request what)
{
    switch (what) {
    case ORCH_REQ_LOOK:
    case ORCH_REQ_READ:
        return can_read(access);
    case ORCH_REQ_CREATE:
    case ORCH_REQ_DELETE:
        if (place->kind == ORCH_PLACE_DEV) /* the nodes are given; only /dev/shm is the agent's (O_TMPFILE) */
            return strncmp(path, "/dev/shm", 8) == 0 &&
                   (path[8] == '/' || (!path[8] && what == ORCH_REQ_CREATE));
        return can_write(access);
    case ORCH_REQ_WRITE:
        return can_write(access);
    case ORCH_REQ_EXEC:
        return may_execute(p, path, place, access);
    case ORCH_REQ_CONNECT:
        return may_connect(path, place, access);
    }
    return false;
}

static bool changes(enum orch_request what)
{
    return what == ORCH_REQ_WRITE || what == ORCH_REQ_CREATE || what == ORCH_REQ_DELETE;
}

static bool is_pinned(const struct orch_plan *p, const char *path)
{
    const char *tmp = p->tmp ? p->tmp : ORCH_TMP_PATH, *home = p->home ? p->home : ORCH_HOME_PATH;
    bool own = orch_path_beneath(path, tmp) || orch_path_beneath(path, home);

    return own && strcmp(path, tmp) != 0 && strcmp(path, home) != 0 &&
           !orch_path_beneath(path, p->workspace) && orch_plan_is_scaffold(p, path);
}

/* Beneath the agent's own /tmp and home: directories on the way to a mount are read-only
 * (sandbox/view_pin.c). */
static bool leads_to_mount(const struct orch_plan *p, const char *path)
{
    ORCH_AUTO_FREE char *parent = orch_path_normalize(path, "..");

    return is_pinned(p, path) || is_pinned(p, parent);
}

void orch_plan_decide(const struct orch_plan *p, const char *path, enum orch_request what,
                      struct orch_decision *ret)
{
    const struct orch_place *place = orch_plan_place(p, path);
    const struct orch_anywhere *any;
    enum orch_access access;
    size_t any_len;

    *ret = (struct orch_decision){.verdict = ORCH_DENY, .rule = "sandbox#/view"};
    if (!place) {
        decide_uncovered(p, path, what, ret);
        return;
    }
    access = place->access;
    ret->rule = place->rule;
    ret->quiet = place->quiet;
    if (changes(what) && leads_to_mount(p, path)) {
        ret->rule = "sandbox#/view";
        return;
    }
    any = anywhere_match(p, path, &any_len);
    if (any && any_len > strlen(place->path)) {
        access = any->access;
        ret->rule = any->rule;
        ret->quiet = any->quiet;
    }
    if (access == ORCH_ACCESS_NONE)
        ret->verdict = ORCH_HIDE;
    else
        ret->verdict = permits(p, path, place, access, what) ? ORCH_PERMIT : ORCH_DENY;
    if (ret->verdict == ORCH_DENY && what == ORCH_REQ_EXEC && can_exec(access))
        ret->rule = orch_plan_rule_tools(p); /* the path gives it, and the program is not of the list */
}

bool orch_plan_may_be(const struct orch_plan *p, const char *path, char kind)
{
    const struct orch_place *place = orch_plan_place(p, path);
    unsigned create = p->profile->create;

    if (!place || (place->kind != ORCH_PLACE_WORKSPACE && place->kind != ORCH_PLACE_WSRULE))
        return true;
    return (kind == 'f' && (create & ORCH_CREATE_FILE)) ||
           (kind == 'd' && (create & ORCH_CREATE_DIRECTORY)) ||
           (kind == 'l' && (create & ORCH_CREATE_SYMLINK));
}

const char *orch_request_name(enum orch_request r)
{
    static const char *const names[] = {
        [ORCH_REQ_LOOK] = "look",       [ORCH_REQ_READ] = "read",     [ORCH_REQ_WRITE] = "write",
        [ORCH_REQ_CREATE] = "create",   [ORCH_REQ_DELETE] = "delete", [ORCH_REQ_EXEC] = "exec",
        [ORCH_REQ_CONNECT] = "connect",
    };

    return (size_t)r < ORCH_NELEM(names) ? names[r] : "unknown";
}
