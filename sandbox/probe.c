/*
 * probe.c - can this host give the full tier? Found out by doing it: a real sandbox runs our own nothing.
 *
 * The probe is the very path that an attempt takes (same namespaces, overlay with the same state and
 * workspace filesystems, Landlock, filter, listener), so it cannot succeed where an attempt would fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/io.h"
#include "sandbox/sandbox.h"
#include "sandbox/sandbox_int.h"

static int make_owned_dir(const char *path)
{
    if (mkdir(path, 0755) < 0)
        return -errno;
    if (orch_is_root() && chown(path, orch_agent_uid(), orch_agent_gid()) < 0)
        return -errno;
    return 0;
}

/* The step that failed, in words that say what to do. */
int orch_sandbox_explain(const struct orch_outcome *o, const char *state_dir, const char *workspace,
                         struct orch_err *err)
{
    const char *step = o->setup.step;

    if (strcmp(step, orch_step_text(ORCH_STEP_OVERLAY)) == 0)
        return orch_err_exit(
            err, 3, o->setup.errnum,
            "no overlay can be mounted with the workspace '%s' below and the state directory '%s' above "
            "(%s): "
            "name a --state directory on ext4, xfs, btrfs or tmpfs that is not itself an overlay",
            workspace, state_dir, strerror(o->setup.errnum));
    if (strcmp(step, orch_step_text(ORCH_STEP_LANDLOCK)) == 0)
        return orch_err_exit(
            err, 3, o->setup.errnum,
            "Landlock is not available (%s): boot with lsm=landlock,... on Linux 5.13 or later",
            strerror(o->setup.errnum));
    return orch_err_exit(err, 3, o->setup.errnum, "this host cannot give the full tier: %s '%s' failed: %s",
                         step, o->setup.path, strerror(o->setup.errnum));
}

static int run_probe(const struct orch_plan *plan, const char *layer_dir, const char *state_dir,
                     const char *workspace, struct orch_err *err)
{
    const struct orch_sandbox_args args = {
        .plan = plan,
        .workspace = {.bottom = workspace, .layer_dir = layer_dir},
        .stdin_fd = -1,
        .wall_ms = 10000,
    };
    const struct orch_sandbox_hooks hooks = {.wake_fd = -1};
    struct orch_outcome out;
    int r = orch_sandbox_run(&args, &hooks, &out, err);

    if (r < 0)
        return r;
    if (out.end == ORCH_END_EXIT && out.status == 0)
        return 0;
    if (out.end == ORCH_END_SETUP)
        return orch_sandbox_explain(&out, state_dir, workspace, err);
    return orch_err_exit(err, 3, EIO, "the probe of this host ended by %s %d instead of a clean exit",
                         orch_end_name(out.end), out.status);
}

/*
 * A profile of our own, so that a broken built-in or user profile cannot make the host look weak. It asks for
 * each thing that a host may lack (overlay, a writable workspace, Landlock, filter, listener) as an attempt
 * does, but names one program: the closures of the built-ins' hundred would cost more than the rest of it.
 */
static const char probe_profile[] =
    "probe\n{\"schema\": 1, \"name\": \"probe\", \"tools\": [\"true\"],"
    "\"filesystem\": [{\"path\": \"/usr\", \"access\": \"rx\"},"
    "{\"path\": \"${workspace}\", \"access\": \"rw\"},"
    "{\"path\": \"${workspace}/**/.git\", \"access\": \"ro\"}],"
    "\"syscalls\": {\"default\": \"EPERM\", \"allow\": [\"@agent-base\", \"@network-client\"]},"
    "\"network\": {\"mode\": \"none\"}, \"limits\": {\"scope\": \"process\", \"memory\": \"4GiB\","
    "\"pids\": 512, \"open_files\": 4096, \"wall\": \"30m\"}}";

static int probe_plan(const char *workspace, const char *cell, struct orch_profile **ret_profile,
                      struct orch_plan **ret, struct orch_err *err)
{
    ORCH_AUTO(orch_strv_fini) struct orch_strv command = {0}, sources = {0};
    struct orch_diags d = {0};
    struct orch_plan_args a = {.workspace = workspace,
                               .cell = cell,
                               .phase = "probe",
                               .command = &command,
                               .uid = orch_agent_uid(),
                               .gid = orch_agent_gid()};
    int r;

    orch_strv_add(&sources, probe_profile);
    orch_strv_add(&command, "true");
    r = orch_profile_from_sources(&sources, "probe", ret_profile, &d);
    a.profile = *ret_profile;
    if (r == 0)
        r = orch_plan_compile(&a, ret, &d);
    if (r < 0)
        (void)orch_err_exit(err, d.host_errno ? 10 : 3, EINVAL, "the probe's profile does not compile: %s",
                            d.n ? d.v[0].msg : "unknown");
    orch_diags_fini(&d);
    return r;
}

int orch_sandbox_probe_in(const char *dir, const char *state_dir, const char *workspace, struct orch_err *err)
{
    ORCH_AUTO(orch_profile_freep) struct orch_profile *profile = NULL;
    ORCH_AUTO(orch_plan_freep) struct orch_plan *plan = NULL;
    ORCH_AUTO_FREE char *upper = orch_xasprintf("%s/upper", dir), *work = orch_xasprintf("%s/work", dir);
    int r = make_owned_dir(upper);

    r = r < 0 ? r : make_owned_dir(work);
    if (r < 0)
        (void)orch_err_exit(err, 10, -r, "the state directory '%s' is not writable: %s", state_dir,
                            strerror(-r));
    if (r == 0)
        r = probe_plan(workspace, NULL, &profile, &plan, err);
    if (r == 0)
        r = run_probe(plan, dir, state_dir, workspace, err);
    return r;
}

int orch_sandbox_probe_cell(const char *cell, struct orch_err *err)
{
    ORCH_AUTO(orch_profile_freep) struct orch_profile *profile = NULL;
    ORCH_AUTO(orch_plan_freep) struct orch_plan *plan = NULL;
    ORCH_AUTO_FREE char *upper = orch_xasprintf("%s/upper", cell);
    const struct orch_sandbox_hooks hooks = {.wake_fd = -1};
    struct orch_sandbox_args args = {.stdin_fd = -1, .wall_ms = 10000};
    struct orch_outcome out = {0};
    int r = make_owned_dir(upper);

    if (r < 0 || (orch_is_root() && chown(cell, orch_agent_uid(), orch_agent_gid()) < 0))
        return orch_err_exit(err, 10, r < 0 ? -r : errno, "'%s' cannot be made", upper);
    r = probe_plan(upper, cell, &profile, &plan, err);
    args.plan = plan;
    if (r == 0)
        r = orch_sandbox_run(&args, &hooks, &out, err);
    if (r < 0 || (out.end == ORCH_END_EXIT && out.status == 0))
        return r;
    if (out.end == ORCH_END_SETUP)
        return orch_err_exit(err, 3, out.setup.errnum, "to %s failed (%s%s%s)", out.setup.step,
                             out.setup.path, *out.setup.path ? ": " : "", strerror(out.setup.errnum));
    return orch_err_exit(err, 3, EIO, "the probe ended by %s %d instead of a clean exit",
                         orch_end_name(out.end), out.status);
}

int orch_sandbox_probe(const char *state_dir, const char *workspace, struct orch_err *err)
{
    ORCH_AUTO_FREE char *dir = orch_xasprintf("%s/probe.XXXXXX", state_dir);
    int r = 0;

    if (!mkdtemp(dir))
        return orch_err_exit(err, 10, errno, "the state directory '%s' is not writable: %s", state_dir,
                             strerror(errno));
    if (orch_is_root() && chown(dir, orch_agent_uid(), orch_agent_gid()) < 0)
        r = orch_err_exit(err, 10, errno, "cannot give '%s' to the agent's user: %s", dir, strerror(errno));
    if (r == 0)
        r = orch_sandbox_probe_in(dir, state_dir, workspace, err);
    (void)orch_rm_rf(AT_FDCWD, dir);
    return r;
}
