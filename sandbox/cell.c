/* cell.c - see cell.h. */
#include "sandbox/cell.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/io.h"
#include "sandbox/sandbox.h"

#define PREFIX "orch-sandbox."

/* A cell that nobody holds. One that is being made is root's until it is locked. */
static bool is_left_over(int parent, const char *name)
{
    ORCH_AUTO_FD int fd = -1;
    struct stat st;

    if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
        return false;
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == orch_agent_uid() &&
           flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static void sweep(void)
{
    DIR *d = opendir(ORCH_CELL_ROOT);

    for (struct dirent *e; d && (e = readdir(d));)
        if (is_left_over(dirfd(d), e->d_name))
            (void)orch_rm_rf(dirfd(d), e->d_name);
    if (d)
        (void)closedir(d);
}

static int make_elsewhere(struct orch_cell *c, struct orch_err *err)
{
    ORCH_AUTO_FREE char *dir = orch_xstrdup(ORCH_CELL_ROOT "/" PREFIX "XXXXXX");

    sweep();
    if (!mkdtemp(dir))
        return orch_err_sys(err, errno, "cannot make a cell in " ORCH_CELL_ROOT);
    c->held = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (c->held < 0 || flock(c->held, LOCK_EX | LOCK_NB) < 0) {
        int e = errno;

        orch_close_fdp(&c->held);
        (void)rmdir(dir);
        return orch_err_sys(err, e, "cannot lock a cell in " ORCH_CELL_ROOT);
    }
    c->elsewhere = true;
    c->copy = orch_xasprintf("%s/upper", dir);
    c->dir = ORCH_TAKE_PTR(dir);
    if (mkdir(c->copy, 0755) < 0 || chown(c->copy, orch_agent_uid(), orch_agent_gid()) < 0 ||
        chown(c->dir, orch_agent_uid(), orch_agent_gid()) < 0)
        return orch_err_sys(err, errno, "cannot make '%s'", c->copy);
    return 0;
}

int orch_cell_enter(const char *layer_dir, const struct orch_view *v, struct orch_cell *ret,
                    struct orch_err *err)
{
    bool root = orch_is_root();
    struct orch_cell c = ORCH_CELL_NONE;
    int r = 0;

    if (root) {
        r = make_elsewhere(&c, err);
    } else {
        c.dir = orch_xstrdup(layer_dir);
        c.copy = orch_xasprintf("%s/upper", layer_dir);
    }
    if (r == 0)
        r = orch_layer_copy(v, c.copy, root ? orch_agent_uid() : (uid_t)-1,
                            root ? orch_agent_gid() : (gid_t)-1, err);
    if (r < 0)
        orch_cell_fini(&c);
    else
        *ret = c;
    return r;
}

int orch_cell_leave(const struct orch_cell *c, const struct orch_strv *below, const char *workspace,
                    const char *to, struct orch_err *err)
{
    int r = orch_layer_turn(c->copy, below, workspace, err);

    return r < 0 || !to || !c->elsewhere ? r : orch_layer_move(c->copy, to, err);
}

void orch_cell_fini(struct orch_cell *c)
{
    static const char *const names[] = {"home", "tmp", "orch"};

    if (c->dir && c->elsewhere)
        (void)orch_rm_rf(AT_FDCWD, c->dir);
    for (size_t i = 0; c->dir && !c->elsewhere && i < ORCH_NELEM(names); i++) {
        ORCH_AUTO_FREE char *path = orch_xasprintf("%s/%s", c->dir, names[i]);

        (void)orch_rm_rf(AT_FDCWD, path);
    }
    if (c->dir && c->elsewhere)
        orch_close_fdp(&c->held);
    free(c->dir);
    free(c->copy);
    *c = ORCH_CELL_NONE;
}
