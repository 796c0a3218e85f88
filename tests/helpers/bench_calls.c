/*
 * bench_calls.c - what one system call costs; prints nanoseconds a call.
 *
 * usage: bench_calls getpid COUNT - | open COUNT FILE | stat COUNT FILE | create COUNT DIR
 *        bench_calls denied|flood COUNT FILE     opens FILE, which must fail
 *        bench_calls distinct COUNT DIR          opens COUNT different names in DIR, which must fail
 *
 * The median of single calls for denied and distinct (a clock reads in some 30 ns, they take microseconds);
 * the median of batches for the others; flood is the mean of all, the inverse of calls per second.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BATCH 100

static double now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static bool do_getpid(const char *path, unsigned long i)
{
    (void)path;
    (void)i;
    return syscall(SYS_getpid) > 0;
}

static bool do_open(const char *path, unsigned long i)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    (void)i;
    return fd >= 0 && close(fd) == 0;
}

static bool do_stat(const char *path, unsigned long i)
{
    struct stat st;

    (void)i;
    return stat(path, &st) == 0;
}

static bool do_create(const char *dir, unsigned long i)
{
    char path[512];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/bench-%lu", dir, i);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    return fd >= 0 && close(fd) == 0 && unlink(path) == 0;
}

static bool do_denied(const char *path, unsigned long i)
{
    (void)i;
    return open(path, O_WRONLY | O_CLOEXEC) < 0;
}

static bool do_distinct(const char *dir, unsigned long i)
{
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/bench-%lu", dir, i);
    return open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644) < 0;
}

static const struct verb {
    const char *name;
    bool (*call)(const char *path, unsigned long i);
    unsigned long batch; /* calls timed together; 0: all */
} verbs[] = {
    {"getpid", do_getpid, BATCH}, {"open", do_open, BATCH}, {"stat", do_stat, BATCH},
    {"create", do_create, BATCH}, {"denied", do_denied, 1}, {"flood", do_denied, 0},
    {"distinct", do_distinct, 1},
};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static int measure(const struct verb *v, unsigned long count, const char *path)
{
    unsigned long batch = v->batch ? v->batch : count, n = 0;
    double *took = calloc(count / batch + 1, sizeof(*took));

    for (unsigned long i = 0; took && i + batch <= count; i += batch) {
        double began = now_ns();

        for (unsigned long k = 0; k < batch; k++)
            if (!v->call(path, i + k)) {
                perror(v->name);
                return 1;
            }
        took[n++] = (now_ns() - began) / (double)batch;
    }
    if (n == 0)
        return 2;
    qsort(took, n, sizeof(*took), compare);
    (void)printf("%.1f\n", took[n / 2]);
    free(took);
    return 0;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 4 && i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            return measure(&verbs[i], strtoul(argv[2], NULL, 10), argv[3]);
    (void)fprintf(stderr, "usage: bench_calls VERB COUNT PATH; see its source\n");
    return 2;
}
