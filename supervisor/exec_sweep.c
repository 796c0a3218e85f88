/* exec_sweep.c - throw-away layers of an `exec` that was killed: removed by the next one. See exec.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "common/io.h"
#include "supervisor/exec.h"

#define NEW_S 60 /* a directory this young may not have been locked yet */

int orch_exec_hold(const char *dir)
{
    ORCH_AUTO_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
        return -errno;
    return ORCH_TAKE_FD(fd);
}

/* Nobody holds it: its `exec` is gone. */
static bool is_left_over(int parent, const char *name)
{
    ORCH_AUTO_FD int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;

    return fd >= 0 && fstat(fd, &st) == 0 && time(NULL) - st.st_mtime > NEW_S &&
           flock(fd, LOCK_EX | LOCK_NB) == 0;
}

void orch_exec_sweep(const char *parent)
{
    DIR *d = opendir(parent);

    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.' && is_left_over(dirfd(d), e->d_name))
            (void)orch_rm_rf(dirfd(d), e->d_name);
    if (d)
        (void)closedir(d);
}
