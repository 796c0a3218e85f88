/* view_own.c - the sandbox's own places: /dev, /proc, home, /orch and the few files of /etc that it writes
 * itself. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/io.h"
#include "sandbox/kernel.h"
#include "sandbox/sandbox_int.h"

#define DEV_ATTRS (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)
#define DATA_ATTRS (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

static int bind_device(int root, const char *path)
{
    ORCH_AUTO_FD int tree = orch_sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    int r;

    if (tree < 0)
        return -errno;
    r = orch_view_set_attr(tree, DEV_ATTRS, 0);
    return r < 0 ? r : orch_view_attach(tree, root, path, true);
}

static int make_dev(int root, bool tty, struct orch_fail *f)
{
    static const char *const nodes[] = {"/dev/null",   "/dev/zero",    "/dev/full",
                                        "/dev/random", "/dev/urandom", "/dev/tty"};
    static const char *const links[][2] = {
        {"/proc/self/fd", "fd"},
        {"/proc/self/fd/0", "stdin"},
        {"/proc/self/fd/1", "stdout"},
        {"/proc/self/fd/2", "stderr"},
    };
    ORCH_AUTO_FD int dev = orch_view_target(root, "/dev", false);
    int r;

    if (dev < 0)
        return orch_fail_set(f, ORCH_STEP_DEV, -dev, "/dev");
    for (size_t i = 0; i < ORCH_NELEM(nodes); i++) {
        r = bind_device(root, nodes[i]);
        if (r < 0 && !(r == -ENOENT && strcmp(nodes[i], "/dev/tty") == 0))
            return orch_fail_set(f, ORCH_STEP_DEV, -r, nodes[i]);
    }
    for (size_t i = 0; i < ORCH_NELEM(links); i++)
        if (symlinkat(links[i][0], dev, links[i][1]) < 0)
            return orch_fail_set(f, ORCH_STEP_DEV, errno, links[i][1]);
    if (tty && orch_view_pts(root, dev, f) < 0)
        return -1;
    r = orch_view_tmpfs(root, "/dev/shm", 64u << 20, 1024, "1777", DATA_ATTRS);
    return r < 0 ? orch_fail_set(f, ORCH_STEP_DEV, -r, "/dev/shm") : 0;
}

int orch_view_proc(int root, struct orch_fail *f)
{
    ORCH_AUTO_FD int fs = (int)syscall(SYS_fsopen, "proc", FSOPEN_CLOEXEC), fd = -1;
    int r;

    if (fs < 0)
        return orch_fail_set(f, ORCH_STEP_PROC, errno, "/proc");
    /* Only processes: no sysctl, kcore, keys or sysrq at all (T-FD-08). */
    if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "subset", "pid", 0) < 0 ||
        syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "hidepid", "invisible", 0) < 0 ||
        syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return orch_fail_set(f, ORCH_STEP_PROC, errno, "/proc");
    fd = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, DATA_ATTRS | MOUNT_ATTR_RDONLY);
    if (fd < 0)
        return orch_fail_set(f, ORCH_STEP_PROC, errno, "/proc");
    r = orch_view_attach(fd, root, "/proc", false);
    return r < 0 ? orch_fail_set(f, ORCH_STEP_PROC, -r, "/proc") : 0;
}

static int write_file(int root, const char *path, const void *data, size_t len, mode_t mode)
{
    ORCH_AUTO_FREE char *parent = orch_path_normalize(path, "..");
    ORCH_AUTO_FD int dir = orch_view_target(root, parent, false), fd = -1;

    if (dir < 0)
        return dir;
    fd = openat(dir, strrchr(path, '/') + 1, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return -errno;
    return orch_write_all(fd, data, len);
}

static int write_etc(const struct orch_plan *plan, int root, struct orch_fail *f)
{
    ORCH_AUTO_FREE char *passwd =
        orch_xasprintf("agent:x:%u:%u:agent:" ORCH_HOME_PATH ":/bin/sh\n"
                       "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
                       plan->uid, plan->gid);
    ORCH_AUTO_FREE char *group = orch_xasprintf("agent:x:%u:\nnogroup:x:65534:\n", plan->gid);
    const struct {
        const char *path, *text;
    } files[] = {
        {"/etc/passwd", passwd},
        {"/etc/group", group},
        {"/etc/hosts", "127.0.0.1 localhost sandbox\n::1 localhost\n"},
        {"/etc/resolv.conf", "# no name servers\n"},
        {"/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"},
    };

    for (size_t i = 0; i < ORCH_NELEM(files); i++) {
        int r = write_file(root, files[i].path, files[i].text, strlen(files[i].text), 0444);

        if (r < 0)
            return orch_fail_set(f, ORCH_STEP_ETC, -r, files[i].path);
    }
    return 0;
}

static int make_home(struct orch_start *s, int root, struct orch_fail *f)
{
    const struct orch_place *home = orch_plan_place(s->plan, ORCH_HOME_PATH);
    uint64_t attrs = DATA_ATTRS;
    int r;

    if (s->home.n_lowers || !home)
        return 0;
    if (home->access == ORCH_ACCESS_RWX)
        attrs &= ~(uint64_t)MOUNT_ATTR_NOEXEC;
    if (home->access == ORCH_ACCESS_RO || home->access == ORCH_ACCESS_RX)
        attrs |= MOUNT_ATTR_RDONLY;
    r = orch_view_tmpfs(root, ORCH_HOME_PATH, s->plan->profile->tmp_size, s->plan->profile->tmp_files, "0700",
                        attrs);
    return r < 0 ? orch_fail_set(f, ORCH_STEP_TMPFS, -r, ORCH_HOME_PATH) : 0;
}

static int make_orch_bin(int root)
{
    static const char *const names[] = {"llm-status", "llm-report", "llm-done", "llm-report-blocker",
                                        "llm-request-approval"};
    ORCH_AUTO_FD int bin = orch_view_target(root, ORCH_DIR_PATH "/bin", false);

    if (bin < 0)
        return bin;
    for (size_t i = 0; i < ORCH_NELEM(names); i++)
        if (symlinkat("llm", bin, names[i]) < 0)
            return -errno;
    return 0;
}

/* Its own tmpfs, sealed read-only after the control socket is bound in it (init.c). */
static int make_orch(struct orch_start *s, int root, struct orch_fail *f)
{
    const struct orch_place *place = orch_plan_place(s->plan, ORCH_DIR_PATH);
    int r;

    if (!place || place->kind != ORCH_PLACE_ORCH)
        return 0;
    r = orch_view_tmpfs(root, ORCH_DIR_PATH, 32u << 20, 256, "0755", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    if (r < 0)
        return orch_fail_set(f, ORCH_STEP_ORCH, -r, ORCH_DIR_PATH);
    for (size_t i = 0; i < s->args->n_files; i++) {
        const struct orch_file *file = &s->args->files[i];
        ORCH_AUTO_FREE char *path = orch_xasprintf(ORCH_DIR_PATH "/%s", file->name);

        r = write_file(root, path, file->data, file->len, strncmp(file->name, "bin/", 4) == 0 ? 0555 : 0444);
        if (r < 0)
            return orch_fail_set(f, ORCH_STEP_ORCH, -r, file->name);
    }
    r = make_orch_bin(root);
    return r < 0 ? orch_fail_set(f, ORCH_STEP_ORCH, -r, ORCH_DIR_PATH "/bin") : 0;
}

int orch_view_own_places(struct orch_start *s, int root, struct orch_fail *f)
{
    if (make_dev(root, s->args->tty != NULL, f) < 0 || write_etc(s->plan, root, f) < 0)
        return -1;
    if (make_home(s, root, f) < 0 || make_orch(s, root, f) < 0)
        return -1;
    return 0;
}
