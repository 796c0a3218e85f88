/* tier.c - see tier.h. */
#include "supervisor/tier.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/exit.h"
#include "common/io.h"
#include "sandbox/kernel.h"
#include "sandbox/cell.h"
#include "sandbox/sandbox.h"
#include "sandbox/sandbox_int.h"

/* ---- what the kernel lacks ---- */

/* Each is asked with arguments that it refuses: only "no such call" counts. */
static bool knows(long nr, long a, long b, long c, long d)
{
    return syscall(nr, a, b, c, d, 0L) >= 0 || errno != ENOSYS;
}

static bool has_openat2(void)
{
    return knows(SYS_openat2, -1, 0, 0, 0);
}

static bool has_close_range(void)
{
    return knows(SYS_close_range, -1, 0, 0, 0); /* the last is before the first: EINVAL */
}

static bool has_pidfd_open(void)
{
    return knows(SYS_pidfd_open, -1, 0, 0, 0);
}

static bool has_pidfd_send_signal(void)
{
    return knows(SYS_pidfd_send_signal, -1, 0, 0, 0);
}

static bool has_clone3(void)
{
    return knows(SYS_clone3, 0, 0, 0, 0);
}

static bool has_mount_api(void)
{
    return knows(SYS_fsopen, 0, -1, 0, 0) && knows(SYS_move_mount, -1, 0, -1, 0) &&
           knows(SYS_open_tree, -1, 0, -1, 0);
}

static bool has_mount_setattr(void)
{
    return knows(SYS_mount_setattr, -1, 0, -1, 0);
}

/* A flag that the kernel knows is found out before the program is read. */
static bool has_wait_killable(void)
{
    long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;

    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, NULL) >= 0 || errno != EINVAL;
}

static const struct feature {
    const char *name;
    bool (*has)(void);
    const char *since; /* not to be done without in any tier, and to be had from here on; NULL = it is */
} features[] = {
    {"openat2", has_openat2, "5.6"},
    {"pidfd_send_signal", has_pidfd_send_signal, "5.1"},
    {"pidfd_open", has_pidfd_open, "5.3"},
    {"close_range", has_close_range, NULL},
    {"clone3", has_clone3, NULL},
    {"mount API", has_mount_api, NULL},
    {"mount_setattr", has_mount_setattr, NULL},
    {"WAIT_KILLABLE_RECV", has_wait_killable, NULL},
};

int orch_tier_lacking(struct orch_tier_found *t, struct orch_err *err)
{
    int abi = orch_landlock_abi();

    t->landlock = abi > 0 ? abi : 0;
    for (size_t i = 0; i < ORCH_NELEM(features); i++) {
        if (features[i].has())
            continue;
        if (features[i].since)
            return orch_err_exit(err, ORCH_EXIT_UNENFORCEABLE, ENOSYS,
                                 "this kernel, or a filter around us, has no %s (Linux %s): nothing can be "
                                 "enforced without it",
                                 features[i].name, features[i].since);
        orch_strv_add(&t->lacking, features[i].name);
    }
    return 0;
}

void orch_tier_record(const struct orch_tier_found *t, struct orch_jw *w)
{
    orch_jw_str(w, "tier", t->nested ? "nested" : "full");
    orch_jw_uint(w, "landlock", (uint64_t)t->landlock);
    orch_jw_arr(w, "lacking");
    for (size_t i = 0; i < t->lacking.n; i++)
        orch_jw_str(w, NULL, t->lacking.v[i]);
    orch_jw_end(w, ']');
}

void orch_tier_fini(struct orch_tier_found *t)
{
    orch_strv_fini(&t->lacking);
}

/* ---- which tier ---- */

static int try_nested(const char *state, struct orch_err *err)
{
    ORCH_AUTO_FREE char *dir = orch_xasprintf("%s/probe.XXXXXX", orch_is_root() ? ORCH_CELL_ROOT : state);
    int r;

    if (!mkdtemp(dir))
        return orch_err_exit(err, ORCH_EXIT_STATE, errno, "'%s' cannot be made: %s", dir, strerror(errno));
    r = orch_sandbox_probe_cell(dir, err);
    (void)orch_rm_rf(AT_FDCWD, dir);
    return r;
}

int orch_tier_find(const char *state, const char *workspace, struct orch_tier_found *t, struct orch_err *err)
{
    struct orch_err full = {0}, nested = {0};
    int r = orch_sandbox_probe(state, workspace, &full);

    t->nested = false;
    if (r == 0)
        return 0;
    if (full.exit_code == 0 && !orch_errno_is_host(full.errnum))
        full.exit_code = ORCH_EXIT_UNENFORCEABLE;
    if (full.exit_code != ORCH_EXIT_UNENFORCEABLE) { /* our own trouble, no answer of the host's */
        *err = full;
        return r;
    }
    r = try_nested(state, &nested);
    if (r < 0)
        return orch_err_exit(err, nested.exit_code ? nested.exit_code : ORCH_EXIT_UNENFORCEABLE, -r,
                             "tier nested: %.400s; tier full: %.400s", nested.msg, full.msg);
    t->nested = true;
    return 0;
}
