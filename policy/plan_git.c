/*
 * plan_git.c - a workspace whose .git is a file: a linked work tree (gitrepository-layout(5), "gitfile").
 *
 * Its git directory lies outside the workspace; it is shown read-only so that git can read history, and
 * commits are refused. The .git file is only bytes that came with the workspace, so it alone shows nothing:
 * the git directory must point back at this very file, which only the owner of that repository can have
 * arranged. Otherwise `gitdir: /home/u/.ssh` would open it.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/io.h"
#include "policy/plan_int.h"

#define MAX_LINE 4096

/* The first line of a small regular file without its newline, NULL if it cannot be had. */
static char *read_line(const char *path)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    ORCH_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || orch_read_all(fd, MAX_LINE, &b) < 0 ||
        !b.data)
        return NULL;
    return orch_xstrndup(b.data, strcspn(b.data, "\n"));
}

static char *real_beneath(const char *base, const char *path)
{
    ORCH_AUTO_FREE char *full = path[0] == '/' ? orch_xstrdup(path) : orch_xasprintf("%s/%s", base, path);

    return realpath(full, NULL);
}

/* The git directory of a linked work tree that names `dot_git` as its own, or NULL. */
static char *linked_gitdir(const char *workspace, const char *dot_git)
{
    ORCH_AUTO_FREE char *line = read_line(dot_git), *dir = NULL, *back_file = NULL, *back = NULL,
                        *real = NULL;

    if (!line || strncmp(line, "gitdir: ", 8) != 0)
        return NULL;
    dir = real_beneath(workspace, line + 8);
    if (!dir)
        return NULL;
    back_file = orch_xasprintf("%s/gitdir", dir);
    back = read_line(back_file);
    real = back ? real_beneath(dir, back) : NULL;
    if (!real || strcmp(real, dot_git) != 0)
        return NULL;
    return ORCH_TAKE_PTR(dir);
}

/* A rule of the profile that covers it decides. The private /tmp and home are no such rule: a repository in
 * one of them is shown like a workspace there is. */
static bool has_rule(const struct orch_plan *p, const char *path)
{
    const struct orch_place *place = orch_plan_place(p, path);

    return place && place->kind != ORCH_PLACE_TMP && place->kind != ORCH_PLACE_HOME;
}

void plan_add_linked_git(struct orch_plan *p)
{
    ORCH_AUTO_FREE char *dot_git = orch_xasprintf("%s/.git", p->workspace);
    ORCH_AUTO_FREE char *dir = linked_gitdir(p->workspace, dot_git), *common_file = NULL, *common = NULL,
                        *real = NULL;

    if (!dir)
        return;
    common_file = orch_xasprintf("%s/commondir", dir);
    common = read_line(common_file);
    real = common ? real_beneath(dir, common) : NULL;
    if (!real || !orch_path_beneath(dir, real) || orch_path_beneath(p->workspace, real) ||
        orch_path_beneath(real, p->workspace) || has_rule(p, real))
        return;
    plan_place_add(p, (struct orch_place){.kind = ORCH_PLACE_HOST,
                                          .path = ORCH_TAKE_PTR(real),
                                          .access = ORCH_ACCESS_RO,
                                          .directory = true,
                                          .own = true,
                                          .rule = orch_xstrdup("sandbox#/worktree")});
}
