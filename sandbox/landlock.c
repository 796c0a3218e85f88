/*
 * landlock.c - the second lock behind the mounts: the same plan as rules on inodes (landlock(7)).
 *
 * Landlock cannot subtract, so a narrower rule beneath a wider one is the mounts' business; here the union of
 * what is given is granted and nothing else. EXECUTE goes to the closure's files alone. Rules are for the
 * merged paths of the finished view.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "common/io.h"
#include "sandbox/kernel.h"
#include "sandbox/nested.h"
#include "sandbox/sandbox_int.h"

#define LL_READ (ORCH_LL_READ_FILE | ORCH_LL_READ_DIR)
#define LL_WRITE                                                                                             \
    (ORCH_LL_WRITE_FILE | ORCH_LL_REMOVE_DIR | ORCH_LL_REMOVE_FILE | ORCH_LL_MAKE_DIR | ORCH_LL_MAKE_REG |   \
     ORCH_LL_MAKE_SOCK | ORCH_LL_MAKE_FIFO | ORCH_LL_MAKE_SYM | ORCH_LL_REFER | ORCH_LL_TRUNCATE |           \
     ORCH_LL_MAKE_CHAR)
#define LL_FILE_ONLY                                                                                         \
    (ORCH_LL_EXECUTE | ORCH_LL_WRITE_FILE | ORCH_LL_READ_FILE | ORCH_LL_TRUNCATE | ORCH_LL_IOCTL_DEV)

/* What has no use without a view: sockets are bound nowhere, whiteouts are no matter of the agent's. */
#define LL_DEAD (ORCH_LL_MAKE_SOCK | ORCH_LL_MAKE_CHAR)

/* MAKE_CHAR is needed for overlay whiteouts by rename (RENAME_WHITEOUT); real devices are refused by the
 * kernel and the mounts. */

int orch_landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    return abi < 0 ? -errno : (int)abi;
}

static uint64_t rights_of_abi(int abi)
{
    uint64_t rights = (ORCH_LL_MAKE_SYM << 1) - 1;

    if (abi >= 2)
        rights |= ORCH_LL_REFER;
    if (abi >= 3)
        rights |= ORCH_LL_TRUNCATE;
    if (abi >= 5)
        rights |= ORCH_LL_IOCTL_DEV;
    return rights;
}

static int add_to(int ruleset, int fd, uint64_t rights)
{
    struct landlock_path_beneath_attr attr = {.parent_fd = fd, .allowed_access = rights};

    if (rights && syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &attr, 0) < 0)
        return -errno;
    return 0;
}

/* A path that is not there (a rule for a file still to come) is no error: what covers it from above holds. */
static int add_rule(int ruleset, const char *path, uint64_t rights, uint64_t handled)
{
    ORCH_AUTO_FD int fd = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;

    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISLNK(st.st_mode))
        return 0;
    return add_to(ruleset, fd, rights & handled & (S_ISDIR(st.st_mode) ? ~UINT64_C(0) : LL_FILE_ONLY));
}

/* One of the closure's files, known to be none of a directory: it was just attached as that. */
static int add_file(int ruleset, const char *path, uint64_t rights, uint64_t handled)
{
    ORCH_AUTO_FD int fd = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
    return add_to(ruleset, fd, rights & handled & LL_FILE_ONLY);
}

static uint64_t access_rights(const struct orch_plan *plan, const struct orch_place *place)
{
    bool own = place->kind == ORCH_PLACE_WORKSPACE || place->kind == ORCH_PLACE_WSRULE;
    uint64_t write = plan->nested ? LL_WRITE & ~LL_DEAD : LL_WRITE;
    bool x = place->access == ORCH_ACCESS_RX || place->access == ORCH_ACCESS_RWX;
    uint64_t rights = 0;

    if (place->access != ORCH_ACCESS_NONE)
        rights |= LL_READ;
    if (place->access == ORCH_ACCESS_RW || place->access == ORCH_ACCESS_RWX)
        rights |= write;
    if (place->access == ORCH_ACCESS_RWX && place->kind != ORCH_PLACE_HOST)
        rights |= ORCH_LL_EXECUTE;
    if (x && plan->profile->tools_all)
        rights |= ORCH_LL_EXECUTE;
    if (own && plan->exec_view && place->access != ORCH_ACCESS_NONE)
        rights |= ORCH_LL_EXECUTE;
    if (place->kind == ORCH_PLACE_DEV)
        rights |= ORCH_LL_IOCTL_DEV;
    return rights;
}

static bool writes(const struct orch_place *place)
{
    return place->access == ORCH_ACCESS_RW || place->access == ORCH_ACCESS_RWX;
}

/* A hole to be created beneath a read-only workspace needs the right to create it; the seal check holds the
 * rest. */
static uint64_t hole_rights(const struct orch_plan *plan, const struct orch_place *place)
{
    struct stat st;

    if (place->kind != ORCH_PLACE_WORKSPACE || writes(place))
        return 0;
    for (size_t i = 0; i < plan->n_places; i++)
        if (plan->places[i].kind == ORCH_PLACE_WSRULE && writes(&plan->places[i]) &&
            lstat(plan->places[i].path, &st) < 0)
            return LL_WRITE;
    return 0;
}

/* Does a rule for what lies above give reading already? Landlock adds up what is given on the way. */
static bool is_readable_anyway(const struct orch_plan *plan, const char *path)
{
    for (size_t i = 0; i < plan->n_places; i++) {
        const struct orch_place *p = &plan->places[i];

        if (p->kind == ORCH_PLACE_HOST && p->directory && p->access != ORCH_ACCESS_NONE &&
            orch_path_beneath(path, p->path))
            return true;
    }
    return false;
}

static int add_entry(int ruleset, const struct orch_plan *plan, const struct orch_closure_entry *e,
                     uint64_t handled)
{
    switch (e->kind) {
    case ORCH_CLOSURE_LINK:
        return 0;
    case ORCH_CLOSURE_PROGRAM:
    case ORCH_CLOSURE_LOADER:
        return add_file(ruleset, e->path, LL_READ | ORCH_LL_EXECUTE, handled);
    case ORCH_CLOSURE_LIBRARY:
        return is_readable_anyway(plan, e->path) ? 0 : add_file(ruleset, e->path, LL_READ, handled);
    case ORCH_CLOSURE_DIR:
        return add_rule(ruleset, e->path, LL_READ | ORCH_LL_EXECUTE, handled);
    case ORCH_CLOSURE_DATA_DIR:
        return add_rule(ruleset, e->path, LL_READ, handled);
    }
    return -EINVAL;
}

static int add_closure(int ruleset, const struct orch_plan *plan, uint64_t handled, struct orch_fail *f)
{
    for (size_t i = 0; i < plan->closure.n; i++) {
        int r = add_entry(ruleset, plan, &plan->closure.v[i], handled);

        if (r < 0)
            return orch_fail_set(f, ORCH_STEP_LANDLOCK, -r, plan->closure.v[i].path);
    }
    return 0;
}

static int add_rules(int ruleset, const struct orch_plan *plan, bool agent, uint64_t handled,
                     struct orch_fail *f)
{
    ORCH_AUTO_FREE char *bin = orch_xasprintf("%s/bin", plan->dir);
    /* In a view, "/" has nothing but what is shown; of a host it would be all. */
    int r = plan->nested ? 0 : add_rule(ruleset, "/", ORCH_LL_READ_DIR, handled);

    if (r < 0)
        return orch_fail_set(f, ORCH_STEP_LANDLOCK, -r, "/");
    for (size_t i = 0; i < plan->n_places; i++) {
        const struct orch_place *place = &plan->places[i];

        r = add_rule(ruleset, place->path, access_rights(plan, place) | hole_rights(plan, place), handled);
        if (r < 0)
            return orch_fail_set(f, ORCH_STEP_LANDLOCK, -r, place->path);
    }
    if (agent) {
        r = add_rule(ruleset, bin, LL_READ | ORCH_LL_EXECUTE, handled);
        if (r < 0)
            return orch_fail_set(f, ORCH_STEP_LANDLOCK, -r, plan->dir);
    }
    return add_closure(ruleset, plan, handled, f);
}

int orch_confine_landlock(const struct orch_plan *plan, bool agent, struct orch_fail *f)
{
    int abi = orch_landlock_abi();
    struct orch_ll_ruleset_attr attr = {0};
    ORCH_AUTO_FD int ruleset = -1;

    if (abi < 1)
        return orch_fail_set(f, ORCH_STEP_LANDLOCK, abi < 0 ? -abi : ENOSYS, NULL);
    if (plan->nested && abi < ORCH_NESTED_ABI) /* nothing else keeps signals and abstract sockets in */
        return orch_fail_set(f, ORCH_STEP_LANDLOCK, EOPNOTSUPP, "ABI 6 (Linux 6.12)");
    attr.handled_access_fs = rights_of_abi(abi);
    if (abi >= 6)
        attr.scoped = ORCH_LL_SCOPE_ABSTRACT_UNIX | ORCH_LL_SCOPE_SIGNAL;
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr,
                           abi >= 6   ? sizeof(attr)
                           : abi >= 4 ? 16
                                      : 8,
                           0);
    if (ruleset < 0)
        return orch_fail_set(f, ORCH_STEP_LANDLOCK, errno, NULL);
    if (add_rules(ruleset, plan, agent, attr.handled_access_fs, f) < 0)
        return -1;
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        return orch_fail_set(f, ORCH_STEP_LANDLOCK, errno, NULL);
    return 0;
}
