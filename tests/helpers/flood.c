/*
 * flood.c - many calls that are refused: flood KIND PATH CALLS PROCESSES THREADS
 *
 * same       opens PATH
 * distinct   opens another long name beneath PATH each time
 * programs   runs another long name beneath PATH each time
 * calls      mounts
 *
 * PROCESSES of THREADS threads each share the CALLS. Prints "KIND: asked N, refused N" when all are made.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_THREADS 64

static const char *kind, *path;
static struct tally {
    unsigned long asked, refused;
} * tally;

struct share {
    unsigned long first, calls;
    char name[4096];
};

static void long_name(struct share *s, unsigned long i)
{
    size_t n = (size_t)snprintf(s->name, sizeof(s->name), "%.1000s/%lu", path, i);

    while (n + 200 < 3900) {
        s->name[n++] = '/';
        memset(s->name + n, 'n', 199);
        n += 199;
    }
    s->name[n] = '\0';
}

static bool refused(struct share *s, unsigned long i)
{
    char *argv[] = {s->name, NULL}, *env[] = {NULL};
    long r;

    if (strcmp(kind, "same") == 0) {
        r = syscall(SYS_open, path, O_RDONLY | O_CLOEXEC);
    } else if (strcmp(kind, "calls") == 0) {
        r = syscall(SYS_mount, NULL, NULL, NULL, 0UL, NULL);
    } else {
        long_name(s, i);
        r = strcmp(kind, "programs") == 0 ? execve(s->name, argv, env)
                                          : syscall(SYS_open, s->name, O_RDONLY | O_CLOEXEC);
    }
    if (r >= 0)
        (void)close((int)r);
    return r < 0 && (errno == ENOENT || errno == EACCES || errno == EPERM);
}

static void *work(void *arg)
{
    struct share *s = arg;
    unsigned long n = 0;

    for (unsigned long i = 0; i < s->calls; i++)
        n += refused(s, s->first + i);
    (void)__atomic_add_fetch(&tally->asked, s->calls, __ATOMIC_SEQ_CST);
    (void)__atomic_add_fetch(&tally->refused, n, __ATOMIC_SEQ_CST);
    return NULL;
}

static int process(unsigned long first, unsigned long calls, unsigned threads)
{
    static struct share share[MAX_THREADS];
    pthread_t thread[MAX_THREADS];

    for (unsigned i = 0; i < threads; i++) {
        share[i].first = first + calls * i / threads;
        share[i].calls = first + calls * (i + 1) / threads - share[i].first;
        if (pthread_create(&thread[i], NULL, work, &share[i]) != 0)
            return 3;
    }
    for (unsigned i = 0; i < threads; i++)
        (void)pthread_join(thread[i], NULL);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned long calls, processes, threads;
    int status, rc = 0;

    if (argc != 6)
        return 2;
    kind = argv[1];
    path = argv[2];
    calls = strtoul(argv[3], NULL, 10);
    processes = strtoul(argv[4], NULL, 10);
    threads = strtoul(argv[5], NULL, 10);
    tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tally == MAP_FAILED || processes == 0 || threads == 0 || threads > MAX_THREADS)
        return 2;
    for (unsigned long i = 0; i < processes; i++) {
        unsigned long first = calls * i / processes, next = calls * (i + 1) / processes;

        if (fork() == 0)
            _exit(process(first, next - first, (unsigned)threads));
    }
    while (wait(&status) > 0)
        rc = status != 0 ? 4 : rc;
    printf("%s: asked %lu, refused %lu\n", kind, tally->asked, tally->refused);
    return rc;
}
