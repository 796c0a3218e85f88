/*
 * doctor_fix.c - what to do about a missing mechanism, chosen by what was seen on this host.
 *
 * The table is read from the top: the first row whose kinds, errno and condition hold gives the text. So what
 * is certain (a switch that is off) comes before what is likely (a container's filter), and each kind ends
 * with a row without a condition.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "common/escape.h"
#include "common/io.h"
#include "sandbox/doctor_int.h"

#define TEXT_MAX (1u << 20)

/* ---- facts ---- */

static long read_sysctl(const char *path)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    char *end;
    long v;

    if (orch_read_file(AT_FDCWD, path, 4096, &b) < 0 || !b.data)
        return -1;
    v = strtol(b.data, &end, 10);
    return end == b.data ? -1 : v;
}

static long seccomp_mode(void)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    const char *at;

    if (orch_read_file(AT_FDCWD, "/proc/self/status", TEXT_MAX, &b) < 0 || !b.data)
        return -1;
    at = strstr(b.data, "\nSeccomp:");
    return at ? strtol(at + 9, NULL, 10) : -1;
}

static bool exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

static bool file_has(const char *path, const char *word)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};

    return orch_read_file(AT_FDCWD, path, TEXT_MAX, &b) == 0 && b.data && strstr(b.data, word);
}

static void find_box(struct orch_doctor_facts *f)
{
    static const char init[] = "/proc/1/cgroup";

    if (getenv("KUBERNETES_SERVICE_HOST") || file_has(init, "kubepods"))
        f->box = ORCH_BOX_KUBERNETES;
    else if (exists("/run/.containerenv") || file_has(init, "libpod"))
        f->box = ORCH_BOX_PODMAN;
    else if (exists("/.dockerenv") || file_has(init, "docker"))
        f->box = ORCH_BOX_DOCKER;
    else if (exists("/run/systemd/container") || file_has(init, "lxc"))
        f->box = ORCH_BOX_OTHER;
}

/* Whether a root is one of a user namespace that has no such user. A map is lines of "inside outside count".
 */
static bool agent_unmapped(void)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    char *save = NULL;

    if (!orch_is_root() || orch_read_file(AT_FDCWD, "/proc/self/uid_map", TEXT_MAX, &b) < 0 || !b.data)
        return false;
    for (char *line = strtok_r(b.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *end;
        unsigned long first = strtoul(line, &end, 10), count;

        (void)strtoul(end, &end, 10);
        count = strtoul(end, NULL, 10);
        if (first <= ORCH_AGENT_UID && ORCH_AGENT_UID - first < count)
            return false;
    }
    return true;
}

/* A root that is no mount point is one that somebody changed to. */
static bool in_chroot(void)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};

    return orch_read_file(AT_FDCWD, "/proc/self/mountinfo", TEXT_MAX, &b) == 0 && b.data &&
           !strstr(b.data, " / / ") && !strstr(b.data, " / rw") && !strstr(b.data, " / ro");
}

static char *escaped(char *taken)
{
    ORCH_AUTO_FREE char *s = taken;

    return orch_escape_str(s ? s : "");
}

static char *lsm_list(void)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};

    if (orch_read_file(AT_FDCWD, "/sys/kernel/security/lsm", 4096, &b) < 0 || b.len == 0)
        return orch_xstrdup("the list in /sys/kernel/security/lsm");
    b.data[strcspn(b.data, "\n")] = '\0';
    return orch_escape_str(b.data);
}

void orch_doctor_facts(const struct orch_doctor_args *a, struct orch_doctor_facts *ret)
{
    struct utsname u = {0};
    char *rest;
    unsigned long major;

    *ret = (struct orch_doctor_facts){.root = orch_is_root(), .inside = a->inside};
    (void)uname(&u);
    (void)snprintf(ret->release, sizeof(ret->release), "%s", u.release);
    major = strtoul(u.release, &rest, 10);
    ret->kernel = ORCH_KERNEL((unsigned)major, *rest == '.' ? (unsigned)strtoul(rest + 1, NULL, 10) : 0U);
    ret->apparmor_userns = read_sysctl("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
    ret->userns_clone = read_sysctl("/proc/sys/kernel/unprivileged_userns_clone");
    ret->max_userns = read_sysctl("/proc/sys/user/max_user_namespaces");
    ret->ptrace_scope = read_sysctl("/proc/sys/kernel/yama/ptrace_scope");
    ret->seccomp = seccomp_mode();
    ret->chroot = in_chroot();
    ret->unmapped = agent_unmapped();
    find_box(ret);
    ret->lsm = lsm_list();
    ret->exe = escaped(orch_readlink(AT_FDCWD, "/proc/self/exe"));
    ret->state = orch_escape_str(a->state_dir);
}

void orch_doctor_facts_fini(struct orch_doctor_facts *f)
{
    orch_free_ptrp(&f->lsm);
    orch_free_ptrp(&f->exe);
    orch_free_ptrp(&f->state);
}

/* ---- conditions ---- */

static bool is_inside(const struct orch_doctor_facts *f)
{
    return f->inside;
}

static bool apparmor_restricts(const struct orch_doctor_facts *f)
{
    return f->apparmor_userns == 1 && !f->root;
}

static bool clone_switched_off(const struct orch_doctor_facts *f)
{
    return f->userns_clone == 0 && !f->root;
}

static bool none_allowed(const struct orch_doctor_facts *f)
{
    return f->max_userns == 0;
}

static bool in_docker(const struct orch_doctor_facts *f)
{
    return f->box == ORCH_BOX_DOCKER;
}

static bool in_podman(const struct orch_doctor_facts *f)
{
    return f->box == ORCH_BOX_PODMAN;
}

static bool in_kubernetes(const struct orch_doctor_facts *f)
{
    return f->box == ORCH_BOX_KUBERNETES;
}

static bool in_other_box(const struct orch_doctor_facts *f)
{
    return f->box == ORCH_BOX_OTHER;
}

static bool in_a_chroot(const struct orch_doctor_facts *f)
{
    return f->chroot;
}

static bool is_filtered(const struct orch_doctor_facts *f)
{
    return f->seccomp == 2;
}

static bool is_root(const struct orch_doctor_facts *f)
{
    return f->root;
}

static bool is_unmapped(const struct orch_doctor_facts *f)
{
    return f->unmapped;
}

static bool yama_forbids(const struct orch_doctor_facts *f)
{
    return f->ptrace_scope >= 2;
}

/* ---- the table ---- */

#define K_NAMESPACES (ORCH_K_USERNS | ORCH_K_NS | ORCH_K_MOUNT | ORCH_K_PROC | ORCH_K_OVERLAY | ORCH_K_IDMAP)
#define K_CALLS (ORCH_K_LANDLOCK | ORCH_K_SECCOMP | ORCH_K_MEMORY | ORCH_K_CALL)
#define CALLS_NEEDED                                                                                         \
    "clone, clone3 and unshare with namespaces, mount, umount2, pivot_root, open_tree, move_mount, "         \
    "mount_setattr, fsopen, fsconfig, fsmount, sethostname, keyctl, seccomp, process_vm_readv and "          \
    "landlock_*"

static const struct fix_row {
    unsigned kinds;
    bool (*when)(const struct orch_doctor_facts *f); /* NULL = always */
    int errnums[4];                                  /* only these; none = any */
    const char *text;
} rows[] = {
    {ORCH_K_ANY,
     is_inside,
     {0},
     "run it outside: this is the inside of an orch-sandbox, and no sandbox can be started in one"},
    {ORCH_K_ARCH, NULL, {0}, "use an x86-64 host"},
    {ORCH_K_KERNEL, NULL, {0}, "boot Linux 6.1 or newer"},

    {ORCH_K_STATE | K_NAMESPACES,
     is_unmapped,
     {EINVAL, EPERM, 0},
     "this root is one of a user namespace that does not map the agent's user, 64321: run as an "
     "ordinary user, or map that id"},
    {ORCH_K_STATE,
     NULL,
     {ENOSPC, EDQUOT, 0},
     "free space in '${state}', or name a directory on a filesystem with 64 MiB and 1024 inodes free: "
     "--state DIR"},
    {ORCH_K_STATE,
     NULL,
     {0},
     "name a directory that you can write, on a local filesystem: --state DIR, or ORCH_SANDBOX_STATE=DIR"},

    {K_NAMESPACES,
     apparmor_restricts,
     {EPERM, EACCES, 0},
     "AppArmor restricts user namespaces of ordinary users (Ubuntu): sudo sysctl -w "
     "kernel.apparmor_restrict_unprivileged_userns=0, and to keep it that line in "
     "/etc/sysctl.d/60-orch-sandbox.conf; or allow this program alone, with 'profile orch-sandbox "
     "${exe} flags=(unconfined) { userns, }' in /etc/apparmor.d/orch-sandbox and sudo apparmor_parser "
     "-r /etc/apparmor.d/orch-sandbox"},
    {K_NAMESPACES,
     clone_switched_off,
     {EPERM, 0},
     "user namespaces of ordinary users are switched off (Debian): sudo sysctl -w "
     "kernel.unprivileged_userns_clone=1, and to keep it that line in /etc/sysctl.d/60-orch-sandbox.conf"},
    {K_NAMESPACES,
     none_allowed,
     {ENOSPC, EPERM, EUSERS, 0},
     "user namespaces are limited to 0: sudo sysctl -w user.max_user_namespaces=16384; in somebody "
     "else's sandbox, which sets this for itself, run outside of it"},
    {ORCH_K_USERNS,
     NULL,
     {ENOSPC, EUSERS, 0},
     "the limit of user namespaces is reached: sudo sysctl -w user.max_user_namespaces=16384, or end "
     "what holds them; they can also be nested 32 deep at most"},
    {ORCH_K_NS,
     NULL,
     {ENOSPC, 0},
     "the limit of namespaces of this kind is reached or 0: raise the one of user.max_*_namespaces "
     "(sysctl user)"},
    {ORCH_K_PROC,
     in_docker,
     {EPERM, EACCES, EROFS, 0},
     "the container masks parts of /proc: docker run --security-opt systempaths=unconfined"},
    {ORCH_K_PROC,
     in_podman,
     {EPERM, EACCES, EROFS, 0},
     "the container masks parts of /proc: podman run --security-opt unmask=ALL"},
    {ORCH_K_PROC,
     in_kubernetes,
     {EPERM, EACCES, EROFS, 0},
     "the container masks parts of /proc: securityContext.procMount: Unmasked, with hostUsers: false"},
    {K_NAMESPACES,
     in_docker,
     {EPERM, EACCES, ENOSYS, 0},
     "the container forbids it: docker run --security-opt seccomp=unconfined --security-opt "
     "apparmor=unconfined --security-opt systempaths=unconfined; narrower, seccomp=FILE, the default "
     "profile with these allowed: " CALLS_NEEDED},
    {K_NAMESPACES,
     in_podman,
     {EPERM, EACCES, ENOSYS, 0},
     "the container forbids it: podman run --security-opt seccomp=unconfined --security-opt unmask=ALL "
     "--security-opt label=disable; narrower, seccomp=FILE, the default profile with these "
     "allowed: " CALLS_NEEDED},
    {K_NAMESPACES,
     in_kubernetes,
     {EPERM, EACCES, ENOSYS, 0},
     "the container forbids it: in securityContext, seccompProfile.type: Unconfined, "
     "appArmorProfile.type: Unconfined and procMount: Unmasked, with hostUsers: false"},
    {K_NAMESPACES,
     in_other_box,
     {EPERM, EACCES, ENOSYS, 0},
     "the container forbids it: LXC: lxc.include = nesting.conf and an unconfined AppArmor profile, LXD "
     "and Incus: security.nesting=true; systemd-nspawn: --private-users=pick --system-call-filter=@mount"},
    {ORCH_K_USERNS,
     in_a_chroot,
     {EPERM, 0},
     "run it outside the chroot: the kernel forbids user namespaces in one"},
    {K_NAMESPACES,
     is_filtered,
     {EPERM, EACCES, ENOSYS, 0},
     "a system call filter that it was started under (Seccomp: 2 in /proc/self/status) forbids it; in a "
     "container: --security-opt seccomp=unconfined; in a systemd unit: no RestrictNamespaces= and no "
     "narrow SystemCallFilter=. It must allow " CALLS_NEEDED},
    {ORCH_K_USERNS, NULL, {EINVAL, ENOSYS, 0}, "use a kernel with CONFIG_USER_NS=y"},
    {ORCH_K_USERNS,
     NULL,
     {0},
     "something forbids user namespaces here: see the kernel's log (dmesg) and user_namespaces(7)"},
    {ORCH_K_NS, NULL, {0}, "use a kernel with all of CONFIG_NAMESPACES=y"},
    {ORCH_K_PROC,
     NULL,
     {EPERM, EACCES, EROFS, 0},
     "parts of /proc are covered by other mounts, as containers do it: docker --security-opt "
     "systempaths=unconfined, podman --security-opt unmask=ALL; elsewhere unmount what is mounted "
     "beneath /proc"},
    {ORCH_K_PROC, NULL, {0}, "mount /proc before: mount -t proc proc /proc"},
    {ORCH_K_MOUNT,
     NULL,
     {0},
     "use a kernel with CONFIG_TMPFS=y whose security modules let a user namespace mount"},
    {ORCH_K_IDMAP,
     NULL,
     {0},
     "run as the owner of the workspace instead of root, or move the workspace to ext4, xfs, btrfs or "
     "tmpfs"},
    {ORCH_K_OVERLAY, NULL, {ENODEV, 0}, "sudo modprobe overlay, or a kernel with CONFIG_OVERLAY_FS"},
    {ORCH_K_OVERLAY,
     NULL,
     {0},
     "name a state directory on ext4, xfs, btrfs or tmpfs that is not itself an overlay, in a container "
     "on a volume: --state DIR (now '${state}')"},

    {ORCH_K_LANDLOCK,
     NULL,
     {EOPNOTSUPP, 0},
     "Landlock is switched off: boot with lsm=landlock,${lsm} on the kernel's command line"},
    {K_CALLS,
     is_filtered,
     {EPERM, EACCES, ENOSYS, 0},
     "a system call filter that it was started under (Seccomp: 2 in /proc/self/status) forbids it; in a "
     "container: --security-opt seccomp=unconfined, or a newer runtime whose default profile knows the "
     "call"},
    {ORCH_K_LANDLOCK,
     NULL,
     {0},
     "use a kernel with CONFIG_SECURITY_LANDLOCK=y and boot it with lsm=landlock,${lsm}"},
    {ORCH_K_SECCOMP,
     NULL,
     {EBUSY, 0},
     "another supervisor listens already to this process: start it where none does, as outside of a "
     "sandbox"},
    {ORCH_K_SECCOMP, NULL, {0}, "use a kernel with CONFIG_SECCOMP_FILTER=y"},
    {ORCH_K_MEMORY, yama_forbids, {0}, "sudo sysctl -w kernel.yama.ptrace_scope=1"},
    {ORCH_K_MEMORY, NULL, {0}, "use a kernel with CONFIG_CROSS_MEMORY_ATTACH=y"},
    {ORCH_K_CALL,
     NULL,
     {EDQUOT, 0},
     "the quota of keys is used up: raise kernel.keys.maxkeys, or log out and in"},
    {ORCH_K_CALL, NULL, {0}, "see the kernel's log (dmesg): this kernel is new enough to have it"},
    {ORCH_K_PTY, NULL, {ENOSPC, 0}, "all pseudo-terminals are in use: raise kernel.pty.max"},
    {ORCH_K_PTY, NULL, {0}, "use a kernel with CONFIG_UNIX98_PTYS=y that lets user namespaces mount devpts"},
    {ORCH_K_CGROUP,
     is_root,
     {0},
     "start it in a cgroup of its own: systemd-run --scope -p Delegate=yes orch-sandbox ...; without "
     "systemd or in a container mount cgroup2 writable with the controllers memory and pids"},
    {ORCH_K_CGROUP,
     NULL,
     {0},
     "start it in a cgroup of its own: systemd-run --user --scope -p Delegate=yes orch-sandbox ... "
     "(needs cgroup version 2; else boot with systemd.unified_cgroup_hierarchy=1)"},
};

/* ---- choosing ---- */

static bool lists(const int *errnums, int errnum)
{
    for (size_t i = 0; i < 4 && errnums[i]; i++)
        if (errnums[i] == errnum)
            return true;
    return errnums[0] == 0;
}

/* Replaces ${exe}, ${lsm} and ${state}. */
static char *expand(const char *text, const struct orch_doctor_facts *f)
{
    const struct {
        const char *name, *value;
    } vars[] = {{"${exe}", f->exe}, {"${lsm}", f->lsm}, {"${state}", f->state}};
    struct orch_buf b = {0};

    while (*text) {
        size_t i = 0;

        while (i < ORCH_NELEM(vars) && strncmp(text, vars[i].name, strlen(vars[i].name)) != 0)
            i++;
        if (i < ORCH_NELEM(vars)) {
            orch_buf_str(&b, vars[i].value);
            text += strlen(vars[i].name);
        } else {
            orch_buf_char(&b, *text++);
        }
    }
    return orch_buf_take(&b);
}

char *orch_doctor_fix(const struct orch_doctor_check *c, const struct orch_doctor_facts *f, int errnum,
                      bool others)
{
    if (c->since && f->kernel < c->since && c->kind != ORCH_K_KERNEL && !f->inside)
        return orch_xasprintf("boot Linux %u.%u or newer (this is %s)", c->since / 1000, c->since % 1000,
                              f->release);
    if (c->kind == ORCH_K_WHOLE && !f->inside)
        return orch_xstrdup(others ? "first what is missing above: this is made of it"
                                   : "what the message says; every part of it works alone");
    for (size_t i = 0; i < ORCH_NELEM(rows); i++)
        if ((rows[i].kinds & c->kind) && (!rows[i].when || rows[i].when(f)) && lists(rows[i].errnums, errnum))
            return expand(rows[i].text, f);
    return orch_xstrdup("none is known");
}
