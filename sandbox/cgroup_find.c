/* cgroup_find.c - where cgroups may be made, and stepping aside to be able to. See cgroup.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/io.h"
#include "sandbox/cgroup.h"

#define TEXT_MAX (4u << 20)

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

/* What of path lies beneath root, or NULL. */
static const char *beneath(const char *path, const char *root)
{
    size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);

    if (strncmp(path, root, n) != 0 || (path[n] != '/' && path[n] != '\0'))
        return NULL;
    return path + n + (path[n] == '/');
}

char *orch_cgroup_dir(const char *mountinfo, const char *groups, const char *controller)
{
    ORCH_AUTO_FREE char *mounts = orch_xstrdup(mountinfo);
    ORCH_AUTO_FREE char *path = own_path(groups, controller);
    char *save = NULL, *root, *point;

    for (char *line = strtok_r(mounts, "\n", &save); path && line; line = strtok_r(NULL, "\n", &save)) {
        const char *rest;

        if (!parse_mount(line, controller ? "cgroup" : "cgroup2", controller, &root, &point))
            continue;
        rest = beneath(path, root);
        if (rest)
            return orch_xasprintf("%s%s%s", point, *rest ? "/" : "", rest);
    }
    return NULL;
}

uint64_t orch_cgroup_field(const char *text, const char *key)
{
    size_t n = strlen(key);

    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, n) == 0 && line[n] == ' ')
            return strtoull(line + n + 1, NULL, 10);
    }
    return 0;
}

static char *own_dir(const char *controller)
{
    ORCH_AUTO_BUF struct orch_buf mounts = {0}, groups = {0};

    if (orch_read_file(AT_FDCWD, "/proc/self/mountinfo", TEXT_MAX, &mounts) < 0 ||
        orch_read_file(AT_FDCWD, "/proc/self/cgroup", TEXT_MAX, &groups) < 0 || !mounts.data || !groups.data)
        return NULL;
    return orch_cgroup_dir(mounts.data, groups.data, controller);
}

/* ---- parents ---- */

static bool has_word(int dir, const char *file, const char *word)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    char *save = NULL;

    if (orch_read_file(dir, file, TEXT_MAX, &b) < 0 || !b.data)
        return false;
    for (char *s = strtok_r(b.data, " \n", &save); s; s = strtok_r(NULL, " \n", &save))
        if (strcmp(s, word) == 0)
            return true;
    return false;
}

static bool in_leaf(const char *path)
{
    return strncmp(strrchr(path, '/') + 1, ORCH_CGROUP_LEAF, strlen(ORCH_CGROUP_LEAF)) == 0;
}

/* Of a process that stepped aside it is the one it stepped aside from. */
static int open_v2(const char **ret_step)
{
    ORCH_AUTO_FREE char *path = own_dir(NULL);
    ORCH_AUTO_FD int dir = -1;

    *ret_step = "find a cgroup hierarchy";
    if (!path)
        return -ENOENT;
    if (in_leaf(path))
        *strrchr(path, '/') = '\0';
    dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *ret_step = "open its own cgroup";
    if (dir < 0)
        return -errno;
    *ret_step = "find the controllers memory and pids in its own cgroup";
    if (!has_word(dir, "cgroup.controllers", "memory") || !has_word(dir, "cgroup.controllers", "pids"))
        return -ENOENT;
    return ORCH_TAKE_FD(dir);
}

static int parents_v1(struct orch_cgroup *ret, const char **ret_step)
{
    static const struct {
        const char *controller;
        bool memory, pids, cpu, needed;
    } wanted[ORCH_CGROUP_PARTS] = {
        {"memory", true, false, false, true},
        {"pids", false, true, false, true},
        {"cpuacct", false, false, true, false},
    };

    for (size_t i = 0; i < ORCH_CGROUP_PARTS; i++) {
        ORCH_AUTO_FREE char *path = own_dir(wanted[i].controller);
        int dir = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

        *ret_step =
            path ? "open its own cgroup" : "find a cgroup hierarchy with the controllers memory and pids";
        if (dir < 0 && wanted[i].needed)
            return path ? -errno : -ENOENT;
        if (dir >= 0)
            ret->part[ret->n++] = (struct orch_cgroup_part){.parent = dir,
                                                            .dir = -1,
                                                            .memory = wanted[i].memory,
                                                            .pids = wanted[i].pids,
                                                            .cpu = wanted[i].cpu};
    }
    return 0;
}

int orch_cgroup_parents(enum orch_cgroup_kind kind, struct orch_cgroup *ret, const char **ret_step)
{
    int r;

    *ret = (struct orch_cgroup){.kind = kind};
    r = kind == ORCH_CGROUP_V1 ? parents_v1(ret, ret_step) : open_v2(ret_step);
    if (r < 0)
        orch_cgroup_close(ret);
    else if (kind == ORCH_CGROUP_V2) {
        ret->part[0] =
            (struct orch_cgroup_part){.parent = r, .dir = -1, .memory = true, .pids = true, .cpu = true};
        ret->n = 1;
    }
    return r < 0 ? r : 0;
}

/* ---- stepping aside ---- */

static int write_at(int dir, const char *name, const char *text)
{
    ORCH_AUTO_FD int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static bool alone(int dir, pid_t also)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    char *save = NULL;

    if (orch_read_file(dir, "cgroup.procs", TEXT_MAX, &b) < 0 || !b.data)
        return false;
    for (char *s = strtok_r(b.data, "\n", &save); s; s = strtok_r(NULL, "\n", &save)) {
        long pid = strtol(s, NULL, 10);

        if (pid != getpid() && pid != also)
            return false;
    }
    return true;
}

static int move_to(int dir, const char *procs, pid_t also)
{
    char text[32];
    int r = 0;

    (void)snprintf(text, sizeof(text), "%d", (int)also);
    if (also)
        r = write_at(dir, procs, text);
    return r < 0 ? r : write_at(dir, procs, "0");
}

static void step_back(int dir, const char *leaf, pid_t also)
{
    (void)write_at(dir, "cgroup.subtree_control", "-memory -pids");
    (void)move_to(dir, "cgroup.procs", also);
    (void)unlinkat(dir, leaf, AT_REMOVEDIR);
}

static int step_aside(pid_t also, const char **ret_step)
{
    ORCH_AUTO_FD int dir = open_v2(ret_step);
    char leaf[64], procs[96];
    int r;

    if (dir < 0)
        return dir;
    /* The real root cgroup has no such file, and is the host's to arrange. */
    *ret_step = "make children of the root cgroup that hold memory and pids (give the controllers to them in "
                "cgroup.subtree_control)";
    if (faccessat(dir, "cgroup.type", F_OK, 0) < 0)
        return -EBUSY;
    *ret_step = "have its cgroup to itself";
    if (!alone(dir, also))
        return -EBUSY;
    (void)snprintf(leaf, sizeof(leaf), ORCH_CGROUP_LEAF "%d", (int)getpid());
    (void)snprintf(procs, sizeof(procs), "%s/cgroup.procs", leaf);
    *ret_step = "step aside into a child of its own cgroup";
    if (mkdirat(dir, leaf, 0755) < 0)
        return -errno;
    r = move_to(dir, procs, also);
    if (r == 0) {
        *ret_step = "give the controllers memory and pids to children of its cgroup";
        r = write_at(dir, "cgroup.subtree_control", "+memory +pids");
    }
    if (r < 0)
        step_back(dir, leaf, also);
    return r;
}

void orch_cgroup_leave(pid_t also)
{
    ORCH_AUTO_BUF struct orch_buf groups = {0};
    ORCH_AUTO_FREE char *path = NULL;
    ORCH_AUTO_FD int dir = -1;
    char leaf[64];

    (void)snprintf(leaf, sizeof(leaf), ORCH_CGROUP_LEAF "%d", (int)getpid());
    if (orch_read_file(AT_FDCWD, "/proc/self/cgroup", TEXT_MAX, &groups) < 0 || !groups.data ||
        !strstr(groups.data, leaf))
        return; /* the common case, and cheap */
    path = own_dir(NULL);
    if (!path || strcmp(strrchr(path, '/') + 1, leaf) != 0)
        return;
    *strrchr(path, '/') = '\0';
    dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir >= 0)
        step_back(dir, leaf, also);
}

/* ---- trying ---- */

static int try_one(enum orch_cgroup_kind *ret, const char **ret_step)
{
    struct orch_cgroup g;
    int r = orch_cgroup_open(UINT64_C(64) << 20, 16, &g, ret_step);

    if (r < 0)
        return r;
    *ret = g.kind;
    orch_cgroup_close(&g);
    return 0;
}

int orch_cgroup_ready(pid_t also, enum orch_cgroup_kind *ret, const char **ret_step)
{
    int r;

    orch_cgroup_sweep();
    r = try_one(ret, ret_step);
    if (r != -ENOENT)
        return r;
    /* Children can be made, but their files are not there: the controllers are not given to them yet. */
    r = step_aside(also, ret_step);
    if (r < 0)
        return r;
    r = try_one(ret, ret_step);
    if (r < 0)
        orch_cgroup_leave(also);
    return r;
}

/* ---- what killed supervisors left ---- */

static bool is_left_over(int parent, const char *name)
{
    static const char *const prefixes[] = {"orch-sandbox.", ORCH_CGROUP_LEAF};
    ORCH_AUTO_FD int fd = -1;

    for (size_t i = 0; i < ORCH_NELEM(prefixes); i++) {
        size_t n = strlen(prefixes[i]);
        long pid = strncmp(name, prefixes[i], n) == 0 ? strtol(name + n, NULL, 10) : 0;

        if (pid <= 0 || kill((pid_t)pid, 0) == 0 || errno != ESRCH)
            continue;
        fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
    }
    return false;
}

static void sweep_beneath(int parent)
{
    int fd = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);

    for (struct dirent *e; d && (e = readdir(d));)
        if (is_left_over(parent, e->d_name))
            (void)unlinkat(parent, e->d_name, AT_REMOVEDIR); /* fails while anybody is in it */
    if (d)
        (void)closedir(d);
    else if (fd >= 0)
        (void)close(fd);
}

void orch_cgroup_sweep(void)
{
    for (int kind = ORCH_CGROUP_V1; kind <= ORCH_CGROUP_V2; kind++) {
        struct orch_cgroup g;
        const char *step;

        if (orch_cgroup_parents((enum orch_cgroup_kind)kind, &g, &step) < 0)
            continue;
        for (size_t i = 0; i < g.n; i++)
            sweep_beneath(g.part[i].parent);
        orch_cgroup_close(&g);
    }
}
