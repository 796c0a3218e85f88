/*
 * doctor_cgroup.c - doctor's try of cgroup delegation: a child of our own cgroup that holds memory and pids.
 *
 * Only a cgroup made here is written to, with one exception: where nobody but doctor itself is in its cgroup
 * (as under systemd-run --scope -p Delegate=yes), the controllers are given to children for the time of the
 * try, because no other way shows that it works. All of it is taken back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/io.h"
#include "sandbox/doctor_int.h"

#define TEXT_MAX (1u << 20)

struct limit {
    const char *file, *value, *step;
};

static const struct limit v2_limits[] = {
    {"memory.max", "67108864", "write memory.max of a child of its cgroup"},
    {"pids.max", "16", "write pids.max of a child of its cgroup"},
};
static const struct limit v1_memory[] = {
    {"memory.limit_in_bytes", "67108864", "write memory.limit_in_bytes of a child of its cgroup"}};
static const struct limit v1_pids[] = {{"pids.max", "16", "write pids.max of a child of its cgroup"}};

/* ---- where our cgroup is ---- */

/* The path of this process in the hierarchy: "0::PATH", or "N:...,controller,...:PATH". */
static char *own_path(const char *text, const char *controller)
{
    ORCH_AUTO_FREE char *copy = orch_xstrdup(text);
    char *save = NULL;

    for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL, *one = NULL;

        if (!path)
            continue;
        *path++ = '\0';
        names++;
        if (!controller && *names == '\0')
            return orch_xstrdup(path);
        for (char *n = controller ? strtok_r(names, ",", &one) : NULL; n; n = strtok_r(NULL, ",", &one))
            if (strcmp(n, controller) == 0)
                return orch_xstrdup(path);
    }
    return NULL;
}

/* mountinfo: id parent dev root mountpoint options... - type source superoptions. */
static bool parse_mount(char *line, const char *type, const char *option, char **ret_root, char **ret_point)
{
    char *tail = strstr(line, " - "), *field[5], *save = NULL, *super;

    if (!tail)
        return false;
    *tail = '\0';
    tail += 3;
    for (int i = 0; i < 5; i++) {
        field[i] = strtok_r(i ? NULL : line, " ", &save);
        if (!field[i])
            return false;
    }
    if (strncmp(tail, type, strlen(type)) != 0 || tail[strlen(type)] != ' ')
        return false;
    super = strrchr(tail, ' ');
    for (char *o = super ? strtok_r(super, " ,", &save) : NULL; option && o; o = strtok_r(NULL, " ,", &save))
        if (strcmp(o, option) == 0)
            option = NULL;
    *ret_root = field[3];
    *ret_point = field[4];
    return option == NULL;
}

/* The directory of our own cgroup; controller NULL = version 2. NULL if there is none. */
static char *own_cgroup(const char *controller)
{
    ORCH_AUTO_BUF struct orch_buf mounts = {0}, groups = {0};
    ORCH_AUTO_FREE char *path = NULL;
    char *save = NULL, *root, *point;

    if (orch_read_file(AT_FDCWD, "/proc/self/mountinfo", TEXT_MAX, &mounts) < 0 ||
        orch_read_file(AT_FDCWD, "/proc/self/cgroup", TEXT_MAX, &groups) < 0 || !mounts.data || !groups.data)
        return NULL;
    path = own_path(groups.data, controller);
    for (char *line = strtok_r(mounts.data, "\n", &save); path && line; line = strtok_r(NULL, "\n", &save)) {
        size_t n;

        if (!parse_mount(line, controller ? "cgroup" : "cgroup2", controller, &root, &point))
            continue;
        n = strcmp(root, "/") == 0 ? 0 : strlen(root);
        if (strncmp(path, root, n) == 0)
            return orch_xasprintf("%s/%s", point, path + n);
    }
    return NULL;
}

/* ---- trying ---- */

static int write_at(int dir, const char *name, const char *text)
{
    ORCH_AUTO_FD int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* A child of dir with the limits set, removed again. */
static int try_child(int dir, const struct limit *limits, size_t n, const char **ret_step)
{
    char name[64];
    ORCH_AUTO_FD int child = -1;
    int r = 0;

    (void)snprintf(name, sizeof(name), "orch-doctor.%d", (int)getpid());
    *ret_step = "make a child of its own cgroup";
    if (mkdirat(dir, name, 0755) < 0)
        return -errno;
    child = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    r = child < 0 ? -errno : 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        *ret_step = limits[i].step;
        r = write_at(child, limits[i].file, limits[i].value);
    }
    (void)unlinkat(dir, name, AT_REMOVEDIR);
    return r;
}

/* Whether the cgroup holds doctor and this child of it, and nobody else. */
static bool alone(int dir, pid_t doctor)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    char *save = NULL;

    if (orch_read_file(dir, "cgroup.procs", TEXT_MAX, &b) < 0 || !b.data)
        return false;
    for (char *s = strtok_r(b.data, "\n", &save); s; s = strtok_r(NULL, "\n", &save)) {
        long pid = strtol(s, NULL, 10);

        if (pid != getpid() && pid != doctor)
            return false;
    }
    return true;
}

static int move_both(int dir, const char *procs, pid_t doctor)
{
    char text[32];
    int r;

    (void)snprintf(text, sizeof(text), "%d", (int)doctor);
    r = write_at(dir, procs, text);
    return r < 0 ? r : write_at(dir, procs, "0");
}

/* A cgroup with processes cannot give controllers to children (cgroups(7)): they step aside for the try. */
static int try_stepping_aside(int dir, pid_t doctor, const char **ret_step)
{
    char leaf[64], procs[96];
    int r;

    *ret_step = "have its cgroup to itself";
    if (!alone(dir, doctor))
        return -EBUSY;
    (void)snprintf(leaf, sizeof(leaf), "orch-doctor-leaf.%d", (int)getpid());
    (void)snprintf(procs, sizeof(procs), "%s/cgroup.procs", leaf);
    *ret_step = "step aside into a child of its own cgroup";
    if (mkdirat(dir, leaf, 0755) < 0)
        return -errno;
    r = move_both(dir, procs, doctor);
    if (r == 0) {
        *ret_step = "give the controllers memory and pids to children of its cgroup";
        r = write_at(dir, "cgroup.subtree_control", "+memory +pids");
    }
    if (r == 0) {
        r = try_child(dir, v2_limits, ORCH_NELEM(v2_limits), ret_step);
        (void)write_at(dir, "cgroup.subtree_control", "-memory -pids");
    }
    (void)move_both(dir, "cgroup.procs", doctor);
    (void)unlinkat(dir, leaf, AT_REMOVEDIR);
    return r;
}

static int try_v2(const char *path, const char **ret_step)
{
    ORCH_AUTO_FD int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ORCH_AUTO_BUF struct orch_buf has = {0};
    int r;

    *ret_step = "open its own cgroup";
    if (dir < 0)
        return -errno;
    r = orch_read_file(dir, "cgroup.controllers", TEXT_MAX, &has);
    *ret_step = "find the controllers memory and pids in its own cgroup";
    if (r < 0 || !has.data || !strstr(has.data, "memory") || !strstr(has.data, "pids"))
        return r < 0 ? r : -ENOENT;
    r = try_child(dir, v2_limits, ORCH_NELEM(v2_limits), ret_step);
    return r == -ENOENT ? try_stepping_aside(dir, getppid(), ret_step) : r;
}

static int try_v1(const char *controller, const struct limit *limit, const char **ret_step)
{
    ORCH_AUTO_FREE char *path = own_cgroup(controller);
    ORCH_AUTO_FD int dir = -1;

    *ret_step = "find a cgroup hierarchy with memory and pids";
    if (!path)
        return -ENOENT;
    dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *ret_step = "open its own cgroup";
    return dir < 0 ? -errno : try_child(dir, limit, 1, ret_step);
}

void orch_try_cgroup(struct orch_try *t)
{
    ORCH_AUTO_FREE char *path = own_cgroup(NULL);
    const char *step = "find a cgroup hierarchy", *step_v1 = step;
    int r = path ? try_v2(path, &step) : -ENOENT, r1;

    if (r == 0) {
        orch_try_works(t, "version 2: memory.max and pids.max of a child written");
        return;
    }
    r1 = try_v1("memory", v1_memory, &step_v1);
    if (r1 == 0)
        r1 = try_v1("pids", v1_pids, &step_v1);
    if (r1 == 0)
        orch_try_works(t, "version 1: memory and pids limits of a child written");
    else if (r1 == -ENOENT)
        orch_try_missing(t, -r, "%s", step);
    else
        orch_try_missing(t, -r1, "%s", step_v1);
}
