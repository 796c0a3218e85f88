/* state.c - what a process finds that it was born with. */
#include <dirent.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>

#include "tests/redteam/attack/attack.h"

static int open_descriptors(char *text, size_t size)
{
    int n = 0;

    text[0] = '\0';
    for (int fd = 0; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0) {
            size_t len = strlen(text);

            (void)snprintf(text + len, size - len, " %d", fd);
            n++;
        }
    return n;
}

static int do_fds(char **v) /* in a child of its own: 3 is the act list, 4 the pipe to it */
{
    (void)v;
    (void)open_descriptors(scratch, sizeof(scratch));
    printf("found%s end\n", scratch);
    return FOUND;
}

/* Succeeds only if 0, 1 and 2 are all there is. */
static int do_three(char **v)
{
    (void)v;
    (void)open_descriptors(scratch, sizeof(scratch));
    return strcmp(scratch, " 0 1 2") == 0 ? 0 : -EMFILE;
}

/* Lines of /proc/self/status that start with one of the words, their values joined. */
static int do_status(char **v)
{
    FILE *f = fopen("/proc/self/status", "re");

    if (!f)
        return -errno;
    printf("found");
    while (fgets(scratch, sizeof(scratch), f))
        for (char **w = v; *w; w++)
            if (strncmp(scratch, *w, strlen(*w)) == 0 && strchr(scratch, '\t'))
                printf(" %.*s", (int)strcspn(strchr(scratch, '\t') + 1, "\n"), strchr(scratch, '\t') + 1);
    printf(" end\n");
    return FOUND;
}

static int do_stdin(char **v)
{
    ssize_t n = read(0, scratch, 1);

    (void)v;
    if (n < 0)
        return -errno;
    printf("found %s\n", n == 0 ? "EOF" : "bytes");
    return FOUND;
}

/* PR_SET_DUMPABLE is faked: what counts is what holds afterwards. */
static int do_dumpable(char **v)
{
    (void)v;
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return -errno;
    printf("found dumpable %d\n", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
    return FOUND;
}

/* The controlling terminal of a session of one's own, on FD. */
static int take(int fd)
{
    pid_t pid = fork();
    int status;

    if (pid == 0)
        _exit(setsid() < 0 || ioctl(fd, TIOCSCTTY, 0) < 0 ? errno : 0);
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

/* HOW: open the operator's terminal, type into it, steal it; own: the same with one that is nobody's. */
static int do_tty(char **v)
{
    int pty;

    if (strcmp(v[0], "open") == 0)
        return last(syscall(SYS_open, "/dev/tty", O_RDWR | O_CLOEXEC, 0));
    if (strcmp(v[0], "type") == 0)
        return last(ioctl(0, TIOCSTI, "#"));
    if (strcmp(v[0], "steal") == 0)
        return take(0);
    pty = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (pty < 0 || grantpt(pty) < 0 || unlockpt(pty) < 0)
        return -errno;
    pty = open(ptsname(pty), O_RDWR | O_NOCTTY | O_CLOEXEC);
    return pty < 0 ? -errno : take(pty);
}

static int do_cwd(char **v)
{
    (void)v;
    if (syscall(SYS_getcwd, scratch, sizeof(scratch)) < 0)
        return -errno;
    printf("found %s\n", scratch);
    return FOUND;
}

/* Names in a directory. */
static int do_list(char **v)
{
    DIR *d = opendir(v[0]);
    int n = 0;

    if (!d)
        return -errno;
    printf("found");
    for (struct dirent *e = readdir(d); e && n < 100; e = readdir(d), n++)
        if (e->d_name[0] != '.')
            printf(" %s", e->d_name);
    printf(" end\n");
    (void)closedir(d);
    return FOUND;
}

const struct verb state_verbs[] = {
    {"cwd", 0, do_cwd},     {"dumpable", 0, do_dumpable}, {"fds", 0, do_fds},
    {"list", 1, do_list},   {"status", 1, do_status},     {"stdin", 0, do_stdin},
    {"three", 0, do_three}, {"tty", 1, do_tty},           {NULL, 0, NULL},
};
