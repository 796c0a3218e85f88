/*
 * bench_agent.c - the agent of the bench: prints when it began and when it ended, and in between does one
 * thing.
 *
 * usage: bench_agent nothing | stat | make COUNT | edit COUNT | stubborn COUNT
 * stat looks at every file beneath the working directory, make creates COUNT empty files in it, edit rewrites
 * the first COUNT directories' file "0", stubborn leaves COUNT processes that ignore every signal in sessions
 * of their own. It prints "first NS" and "last NS" (CLOCK_REALTIME, as the logs have).
 */
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void stamp(const char *what)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    (void)printf("%s %lld\n", what, (long long)t.tv_sec * 1000000000 + t.tv_nsec);
    (void)fflush(stdout);
}

static int look(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)path;
    (void)st;
    (void)type;
    (void)ftw;
    return 0;
}

static int do_stat(unsigned long n)
{
    (void)n;
    return nftw(".", look, 32, FTW_PHYS) ? -1 : 0;
}

/* 1000 files a directory, as a build makes them. */
static int do_make(unsigned long n)
{
    char path[64];
    int fd;

    for (unsigned long i = 0; i < n; i++) {
        (void)snprintf(path, sizeof(path), "made-%lu", i / 1000);
        if (i % 1000 == 0 && mkdir(path, 0755) < 0)
            return -1;
        (void)snprintf(path, sizeof(path), "made-%lu/%lu", i / 1000, i);
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0)
            return -1;
        (void)close(fd);
    }
    return 0;
}

static int do_edit(unsigned long n)
{
    char path[64];
    int fd, r;

    for (unsigned long i = 0; i < n; i++) {
        (void)snprintf(path, sizeof(path), "%lu/0", i);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        r = fd < 0 ? -1 : (int)write(fd, "changed by the agent\n", 21);
        if (fd >= 0)
            (void)close(fd);
        if (r != 21)
            return -1;
    }
    return 0;
}

static _Noreturn void stay(int ready)
{
    (void)setsid();
    for (int sig = 1; sig < NSIG; sig++)
        (void)signal(sig, SIG_IGN);
    (void)!write(ready, "", 1);
    for (;;)
        (void)pause();
}

static int do_stubborn(unsigned long n)
{
    char byte;
    int p[2];

    if (pipe(p) < 0)
        return -1;
    for (unsigned long i = 0; i < n; i++) {
        pid_t pid = fork();

        if (pid < 0)
            return -1;
        if (pid == 0)
            stay(p[1]);
    }
    for (unsigned long i = 0; i < n; i++)
        if (read(p[0], &byte, 1) != 1)
            return -1;
    return 0;
}

static int do_nothing(unsigned long n)
{
    (void)n;
    return 0;
}

static const struct {
    const char *name;
    int (*run)(unsigned long n);
} verbs[] = {{"nothing", do_nothing},
             {"stat", do_stat},
             {"make", do_make},
             {"edit", do_edit},
             {"stubborn", do_stubborn}};

int main(int argc, char **argv)
{
    int r = -2;

    stamp("first");
    for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            r = verbs[i].run(argc > 2 ? strtoul(argv[2], NULL, 10) : 0);
    stamp("last");
    return r == 0 ? 0 : r == -1 ? 1 : 2;
}
