/*
 * pester.c - a task that makes it hard to be judged: pester VERB PATH ROUNDS [OTHER]
 *
 * It opens PATH again and again while something is done to the task that asks, and prints "VERB: opened N,
 * refused N, other N, lost N": how often each came back, and how many tasks were killed while they asked.
 * What was refused must be on record just as often. OTHER is a path that is permitted.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *path, *other;
static unsigned long rounds;

/* Shared by all processes of the verb. */
static struct tally {
    volatile unsigned long opened, refused, failed, lost;
    volatile bool stop;
} * tally;

static void count(volatile unsigned long *n)
{
    (void)__atomic_add_fetch(n, 1, __ATOMIC_SEQ_CST);
}

static int try(const char *name)
{
    int fd = (int)syscall(SYS_open, name, O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        (void)close(fd);
        count(&tally->opened);
        return 0;
    }
    count(errno == ENOENT || errno == EACCES ? &tally->refused : &tally->failed);
    return errno;
}

static void try_all(unsigned long n)
{
    for (unsigned long i = 0; i < n; i++)
        (void)try(path);
}

/* Asks until it is killed. */
static pid_t asker(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (!tally->stop)
            (void)try(path);
        _exit(0);
    }
    return pid;
}

static void nap(long us)
{
    (void)nanosleep(&(struct timespec){0, us * 1000}, NULL);
}

/* Until somebody got an answer since `seen`, however busy the machine; then a little longer. */
static void while_asking(unsigned long seen, long us)
{
    for (int i = 0; i < 20000 && tally->opened + tally->refused + tally->failed == seen; i++)
        nap(50);
    nap(us);
}

static unsigned long seen_so_far(void)
{
    return tally->opened + tally->refused + tally->failed;
}

/* Killed while they ask, and their numbers with them. */
static int do_gone(void)
{
    for (unsigned long i = 0; i < rounds; i++) {
        unsigned long seen = seen_so_far();
        pid_t pid = asker();

        if (pid < 0)
            return 3;
        while_asking(seen, (long)(i * 37 % 400));
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        count(&tally->lost);
    }
    try_all(1);
    return 0;
}

/* Stopped by a sibling while they ask, for a while, and again. */
static int do_stopped(void)
{
    pid_t pid[2] = {asker(), asker()};

    for (unsigned long i = 0; i < rounds; i++) {
        (void)kill(pid[i & 1], SIGSTOP);
        try_all(3);
        (void)kill(pid[i & 1], SIGCONT);
    }
    tally->stop = true;
    for (int i = 0; i < 2; i++)
        (void)waitpid(pid[i], NULL, 0);
    return 0;
}

/* Stopped for good: nobody else waits for it, and the attempt ends all the same. */
static int do_left_stopped(void)
{
    for (int i = 0; i < 4; i++) {
        pid_t pid = asker();

        nap(3000);
        (void)kill(pid, SIGSTOP);
    }
    try_all(rounds);
    return 0; /* they die with init */
}

static void on_signal(int signo)
{
    (void)signo;
}

static void *shoot(void *arg)
{
    pthread_t target = *(pthread_t *)arg;

    while (!tally->stop)
        (void)pthread_kill(target, SIGUSR1);
    return NULL;
}

/* Signals without end, with and without a restart of what they interrupt. */
static int do_storm(void)
{
    struct sigaction sa = {.sa_handler = on_signal};
    pthread_t self = pthread_self(), thread[2];

    for (int restart = 0; restart < 2; restart++) {
        sa.sa_flags = restart ? SA_RESTART : 0;
        (void)sigaction(SIGUSR1, &sa, NULL);
        tally->stop = false;
        for (int i = 0; i < 2; i++)
            if (pthread_create(&thread[i], NULL, shoot, &self) != 0)
                return 3;
        try_all(rounds / 2);
        tally->stop = true;
        for (int i = 0; i < 2; i++)
            (void)pthread_join(thread[i], NULL);
    }
    return 0;
}

static void *ask_on(void *arg)
{
    while (!tally->stop) /* never: with its process it ends */
        (void)try(path);
    return arg;
}

/* The threads of a process ask while it becomes another program. */
static int do_exec(void)
{
    char *argv[] = {(char *)(size_t)other, NULL}, *env[] = {NULL};

    for (unsigned long i = 0; i < rounds; i++) {
        unsigned long seen = seen_so_far();
        pid_t pid = fork();
        pthread_t thread;

        if (pid == 0) {
            for (int k = 0; k < 3; k++)
                if (pthread_create(&thread, NULL, ask_on, NULL) != 0)
                    _exit(3);
            while_asking(seen, (long)(i * 53 % 500));
            (void)execve(other, argv, env);
            _exit(4);
        }
        (void)waitpid(pid, NULL, 0);
        tally->lost += 3;
    }
    return 0;
}

/* Pointers that lead nowhere, and strings that end where memory does. */
static int do_pointers(void)
{
    size_t page = 4096;
    char *mem = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *edge, *unterminated;

    if (mem == MAP_FAILED)
        return 3;
    edge = mem + page - strlen(path) - 1;
    (void)memcpy(edge, path, strlen(path) + 1);
    unterminated = mem + 2 * page - 16; /* sixteen bytes without an end, then nothing */
    memset(unterminated, '/', 16);
    if (mprotect(mem + 2 * page, page, PROT_NONE) < 0)
        return 3;
    for (unsigned long i = 0; i < rounds; i++) {
        if (try(unterminated) != EFAULT || try(mem + 2 * page + 8) != EFAULT || try(NULL) != EFAULT ||
            try((const char *)~(size_t)7) != EFAULT || try((const char *)16) != EFAULT)
            return 4;
        if (mprotect(mem + page, page, PROT_NONE) < 0)
            return 3;
        (void)try(edge); /* to the last byte before what cannot be read */
        if (mprotect(mem + page, page, PROT_READ | PROT_WRITE) < 0)
            return 3;
    }
    return 0;
}

static void *churn(void *arg)
{
    size_t size = (size_t)64 << 20;

    (void)arg;
    while (!tally->stop) {
        char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

        if (p != MAP_FAILED) {
            (void)mprotect(p, size, PROT_READ);
            (void)munmap(p, size);
        }
    }
    return NULL;
}

/* Whoever reads this memory waits for who changes what is mapped; the page with the path is given away time
 * and again. */
static int do_pages(void)
{
    char *mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_t thread;

    if (mem == MAP_FAILED || pthread_create(&thread, NULL, churn, NULL) != 0)
        return 3;
    for (unsigned long i = 0; i < rounds; i++) {
        (void)memcpy(mem, path, strlen(path) + 1);
        (void)madvise(mem, 4096, i % 3 == 0 ? MADV_PAGEOUT : MADV_COLD);
        (void)try(mem);
    }
    tally->stop = true;
    (void)pthread_join(thread, NULL);
    return 0;
}

/* One thread exchanges the bytes of the path for those of a path that is permitted, beneath the judge. */
static void *rewrite(void *arg)
{
    char *mem = arg;

    for (unsigned i = 0; !tally->stop; i++)
        memcpy(mem, i & 1 ? path : other, strlen(path) + 1);
    return NULL;
}

static int do_rewrite(void)
{
    static char name[4096];
    unsigned long changes = 0, secrets = 0;
    pthread_t thread;
    int was = -1;

    if (strlen(path) != strlen(other) || strlen(path) >= sizeof(name))
        return 2;
    memcpy(name, path, strlen(path) + 1);
    if (pthread_create(&thread, NULL, rewrite, name) != 0)
        return 3;
    for (unsigned long i = 0; i < rounds || (changes < 20 && i < 50 * rounds); i++) {
        int fd = (int)syscall(SYS_open, name, O_RDONLY | O_CLOEXEC), now = fd < 0 ? -2 : 0;
        char first = 0;

        if (fd >= 0 && read(fd, &first, 1) == 1 && first == 'S')
            secrets++;
        if (fd >= 0)
            (void)close(fd);
        count(fd >= 0 ? &tally->opened : &tally->refused);
        changes += was != -1 && was != now;
        was = now;
    }
    tally->stop = true;
    (void)pthread_join(thread, NULL);
    printf("rewrite: %s, %lu secrets\n", changes >= 20 ? "live" : "not live", secrets);
    return 0;
}

static const struct {
    const char *name;
    int (*fn)(void);
} verbs[] = {
    {"gone", do_gone},   {"stopped", do_stopped}, {"left-stopped", do_left_stopped},
    {"storm", do_storm}, {"exec", do_exec},       {"pointers", do_pointers},
    {"pages", do_pages}, {"rewrite", do_rewrite},
};

int main(int argc, char **argv)
{
    int rc = 2;

    if (argc < 4)
        return 2;
    path = argv[2];
    rounds = strtoul(argv[3], NULL, 10);
    other = argc > 4 ? argv[4] : NULL;
    tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tally == MAP_FAILED)
        return 3;
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(verbs[i].name, argv[1]) == 0)
            rc = verbs[i].fn();
    printf("%s: opened %lu, refused %lu, other %lu, lost %lu\n", argv[1], tally->opened, tally->refused,
           tally->failed, tally->lost);
    return rc;
}
