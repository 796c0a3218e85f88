/*
 * exhaust.c - takes as much as it is let, up to a bound: exhaust VERB COUNT [PATH]
 *
 * Prints how far it came on one line ("forked 60"), then goes on holding it until it is killed, 30 seconds at
 * most; with HOLD=0 in its environment it ends at once. Outside a sandbox the bound keeps it harmless.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024UL * 1024)
#define SECONDS 30

static char chunk[MIB];

static void hold(void)
{
    const char *h = getenv("HOLD");

    (void)fflush(stdout);
    while (!(h && *h == '0'))
        (void)pause();
}

/* How far it came, and the errno that stopped it ("0" if none did). */
static void said(const char *what, unsigned long n)
{
    const char *why = strerrorname_np(errno);

    printf("%s %lu %s\n", what, n, why ? why : "0");
    (void)fflush(stdout);
}

/* Children that only wait, and end with us. */
static int do_forks(unsigned long n, const char *path)
{
    unsigned long i;

    (void)path;
    for (i = 0; i < n; i++) {
        pid_t pid = fork();

        if (pid < 0)
            break;
        if (pid == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (;;)
                (void)pause();
        }
    }
    said("forked", i);
    return 0;
}

/* Every process forks as long as it can, up to n of them all together. */
static int do_bomb(unsigned long n, const char *path)
{
    atomic_ulong *born = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t first = getpid();

    (void)path;
    if (born == MAP_FAILED)
        return 1;
    while (atomic_load(born) < n) {
        if (fork() > 0)
            (void)atomic_fetch_add(born, 1);
        else
            (void)alarm(SECONDS);
    }
    if (getpid() == first)
        said("bombed", atomic_load(born));
    else
        (void)usleep(200000); /* a control ends soon */
    return 0;
}

static int touch_memory(const char *what, unsigned long n, int flags)
{
    for (unsigned long i = 0; i < n; i++) {
        char *p = mmap(NULL, MIB, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED) {
            said(what, i);
            return 0;
        }
        memset(p, 1, MIB);
    }
    said(what, n);
    return 0;
}

static int do_anon(unsigned long n, const char *path)
{
    (void)path;
    return touch_memory("touched", n, MAP_PRIVATE);
}

static int do_shared(unsigned long n, const char *path)
{
    (void)path;
    return touch_memory("shared", n, MAP_SHARED);
}

/* n MiB into one file; with unlinked, it has no name any more. */
static int write_file(unsigned long n, const char *path, bool unlinked)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    unsigned long i = 0;

    if (fd < 0 || (unlinked && unlink(path) < 0)) {
        said("open", 0);
        return 1;
    }
    memset(chunk, 'x', sizeof(chunk));
    errno = 0;
    while (i < n && write(fd, chunk, sizeof(chunk)) == (ssize_t)sizeof(chunk))
        i++;
    said("wrote", i);
    return 0;
}

static int do_fill(unsigned long n, const char *path)
{
    return write_file(n, path, false);
}

static int do_unlinked(unsigned long n, const char *path)
{
    return write_file(n, path, true);
}

static int do_inodes(unsigned long n, const char *path)
{
    unsigned long i;
    char name[4096];

    for (i = 0; i < n; i++) {
        int fd;

        (void)snprintf(name, sizeof(name), "%s/f%lu", path, i);
        fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
            break;
        (void)close(fd);
    }
    said("made", i);
    return 0;
}

/* Each is left by its parent at once, and dies. */
static int do_orphans(unsigned long n, const char *path)
{
    unsigned long i = 0;

    (void)path;
    (void)alarm(4 * SECONDS);
    while (i < n) {
        pid_t pid = fork();

        if (pid < 0) {
            (void)usleep(1000); /* they are reaped soon */
            continue;
        }
        if (pid == 0)
            _exit(fork() < 0);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
        i++;
    }
    errno = 0;
    said("orphaned", i);
    return 0;
}

/* A session of its own, no signal taken, and its neighbour stopped again and again. */
static void be_stubborn(pid_t neighbour)
{
    (void)alarm(0);
    (void)setsid();
    for (int sig = 1; sig < NSIG; sig++)
        (void)signal(sig, SIG_IGN);
    for (int i = 0; i < SECONDS * 20; i++) {
        if (neighbour > 0)
            (void)kill(neighbour, i % 2 ? SIGSTOP : SIGCONT);
        (void)usleep(50000);
    }
    if (neighbour > 0)
        (void)kill(neighbour, SIGCONT);
    _exit(0);
}

static int do_stubborn(unsigned long n, const char *path)
{
    unsigned long i;
    pid_t last = 0;

    (void)path;
    for (i = 0; i < n; i++) {
        pid_t pid = fork();

        if (pid < 0)
            break;
        if (pid == 0)
            be_stubborn(last);
        last = pid;
    }
    said("stubborn", i);
    return 0;
}

/* Standard output without a newline. */
static int do_output(unsigned long n, const char *path)
{
    (void)path;
    memset(chunk, 'x', sizeof(chunk));
    for (unsigned long i = 0; i < n; i++)
        if (write(STDOUT_FILENO, chunk, sizeof(chunk)) < 0)
            return 1;
    return 0;
}

static double used(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* n children one after the other; each uses a fifth of a second. */
static int do_spin(unsigned long n, const char *path)
{
    (void)path;
    for (unsigned long i = 0; i < n; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            while (used() < 0.2)
                ;
            _exit(0);
        }
        (void)waitpid(pid, NULL, 0);
    }
    errno = 0;
    said("spun", n);
    return 0;
}

static int do_descriptors(unsigned long n, const char *path)
{
    unsigned long i;

    for (i = 0; i < n && open(path, O_RDONLY) >= 0; i++)
        ;
    said("opened", i);
    return 0;
}

static const struct {
    const char *name;
    int (*fn)(unsigned long n, const char *path);
} verbs[] = {
    {"anon", do_anon},     {"bomb", do_bomb},     {"descriptors", do_descriptors}, {"fill", do_fill},
    {"forks", do_forks},   {"inodes", do_inodes}, {"orphans", do_orphans},         {"output", do_output},
    {"shared", do_shared}, {"spin", do_spin},     {"stubborn", do_stubborn},       {"unlinked", do_unlinked},
};

int main(int argc, char **argv)
{
    errno = 0;
    (void)alarm(SECONDS);
    for (size_t i = 0; argc > 2 && i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(verbs[i].name, argv[1]) == 0) {
            int r = verbs[i].fn(strtoul(argv[2], NULL, 0), argc > 3 ? argv[3] : "/dev/null");

            if (r == 0 && strcmp(argv[1], "bomb") != 0)
                hold();
            return r;
        }
    (void)fprintf(stderr, "exhaust: no such verb, or too few arguments\n");
    return 2;
}
