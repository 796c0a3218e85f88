/*
 * cage.c - what one sandbox costs, ours or another's: starts a command again and again, without a shell in
 * between, and prints one number for bench.c to collect.
 *
 * usage: cage start COUNT FILE COMMAND...       milliseconds from spawn to exit, the median
 *        cage many COUNT FILE COMMAND...        milliseconds a command, AT_ONCE of them at once
 *        cage kill COUNT FILE COMMAND...        from the agent's line "last NS" to the exit of all, the
 * median cage idle COUNT FILE COMMAND...        KiB of memory (PSS) of COMMAND's own process, a second after
 * it printed cage filter FILE                       writes a filter that allows what ours allows, for
 * bubblewrap
 *
 * FILE is opened as descriptor 9 of every COMMAND (bubblewrap --seccomp 9); "-" is none.
 */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "common/io.h"
#include "policy/syscalls.h"

#define AT_ONCE 8
#define FILTER_FD 9
#define MAX_COUNT 1000
#define OUTPUT_MAX 65536

extern char **environ;

struct job {
    const char *file;
    char **argv;
    int out; /* the command's standard output, or -1: thrown away */
};

static double now_ms(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* As the fastest of shells would: posix_spawn shares memory until exec. */
static pid_t spawn(const struct job *j)
{
    posix_spawn_file_actions_t fa;
    pid_t pid = -1;

    (void)posix_spawn_file_actions_init(&fa);
    (void)posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
    if (j->out >= 0)
        (void)posix_spawn_file_actions_adddup2(&fa, j->out, 1);
    else
        (void)posix_spawn_file_actions_addopen(&fa, 1, "/dev/null", O_WRONLY, 0);
    if (strcmp(j->file, "-") != 0)
        (void)posix_spawn_file_actions_addopen(&fa, FILTER_FD, j->file, O_RDONLY, 0);
    errno = posix_spawnp(&pid, j->argv[0], &fa, NULL, j->argv, environ);
    (void)posix_spawn_file_actions_destroy(&fa);
    return errno ? -1 : pid;
}

static int await(pid_t pid)
{
    int status = -1;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status == 0 ? 0 : -1;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
    qsort(v, n, sizeof(*v), compare);
    return v[n / 2];
}

static double start(struct job *j, size_t count)
{
    double v[MAX_COUNT];

    for (size_t i = 0; i < count; i++) {
        double began = now_ms(CLOCK_MONOTONIC);
        pid_t pid = spawn(j);

        if (pid < 0 || await(pid) < 0)
            return -1;
        v[i] = now_ms(CLOCK_MONOTONIC) - began;
    }
    return median(v, count);
}

static double many(struct job *j, size_t count)
{
    double began = now_ms(CLOCK_MONOTONIC);
    size_t started = 0, ended = 0;
    int status;

    while (ended < count) {
        while (started < count && started - ended < AT_ONCE) {
            if (spawn(j) < 0)
                return -1;
            started++;
        }
        if (waitpid(-1, &status, 0) < 0 || status != 0)
            return -1;
        ended++;
    }
    return (now_ms(CLOCK_MONOTONIC) - began) / (double)count;
}

/* The agent's time of its last instruction, of lines "first NS" and "last NS" (bench_agent). */
static double last_of(int fd)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    long long ns = 0;
    const char *s;

    if (orch_read_all(fd, OUTPUT_MAX, &b) < 0 || !b.data)
        return 0;
    s = strstr(b.data, "last ");
    return s && sscanf(s, "last %lld", &ns) == 1 ? (double)ns / 1e6 : 0;
}

static double end_of(struct job *j, size_t count)
{
    double v[MAX_COUNT];

    for (size_t i = 0; i < count; i++) {
        int p[2];
        double last, ended;
        pid_t pid;

        if (pipe2(p, O_CLOEXEC) < 0)
            return -1;
        j->out = p[1];
        pid = spawn(j);
        (void)close(p[1]);
        if (pid < 0 || await(pid) < 0)
            return -1;
        last = last_of(p[0]); /* to end of file: nobody of the tree is left */
        ended = now_ms(CLOCK_REALTIME);
        (void)close(p[0]);
        if (last <= 0)
            return -1;
        v[i] = ended - last;
    }
    return median(v, count);
}

static double pss_of(pid_t pid)
{
    ORCH_AUTO_FREE char *path = orch_xasprintf("/proc/%d/smaps_rollup", pid);
    ORCH_AUTO_BUF struct orch_buf b = {0};
    double kib = -1;
    const char *s;

    if (orch_read_file(AT_FDCWD, path, OUTPUT_MAX, &b) < 0 || !b.data)
        return -1;
    s = strstr(b.data, "\nPss:");
    return s && sscanf(s, "\nPss: %lf", &kib) == 1 ? kib : -1;
}

static double idle(struct job *j, size_t count)
{
    double kib = -1;
    char byte;
    int p[2];
    pid_t pid;

    (void)count;
    if (pipe2(p, O_CLOEXEC) < 0)
        return -1;
    j->out = p[1];
    pid = spawn(j);
    (void)close(p[1]);
    if (pid < 0)
        return -1;
    if (read(p[0], &byte, 1) == 1) {
        (void)nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        kib = pss_of(pid);
    }
    (void)kill(pid, SIGTERM);
    (void)await(pid);
    (void)close(p[0]);
    return kib;
}

static int write_filter(const char *path)
{
    static struct orch_syscalls table;
    ORCH_AUTO(orch_profile_freep) struct orch_profile *profile = NULL;
    struct orch_diags d = {0};
    ORCH_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int r = orch_profile_load("base", ".", &profile, &d);

    if (r == 0)
        r = orch_syscalls_compile(profile, &table, &d);
    (void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    for (int nr = 0; r == 0 && nr < ORCH_SC_MAX; nr++)
        if (table.e[nr].kind == ORCH_SC_ALLOW || table.e[nr].kind == ORCH_SC_WATCH)
            r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
        else if (table.e[nr].kind == ORCH_SC_FALLBACK && orch_syscall_name(nr))
            r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), nr, 0);
    if (r == 0 && fd >= 0)
        r = seccomp_export_bpf(ctx, fd);
    seccomp_release(ctx);
    orch_diags_fini(&d);
    return r == 0 && fd >= 0 ? 0 : 1;
}

static const struct {
    const char *name;
    double (*measure)(struct job *j, size_t count);
} verbs[] = {{"start", start}, {"many", many}, {"kill", end_of}, {"idle", idle}};

int main(int argc, char **argv)
{
    size_t count = argc > 4 ? (size_t)strtoul(argv[2], NULL, 10) : 0;
    struct job j = {.file = argc > 4 ? argv[3] : "-", .argv = argv + 4, .out = -1};

    if (argc == 3 && strcmp(argv[1], "filter") == 0)
        return write_filter(argv[2]);
    for (size_t i = 0; count > 0 && count <= MAX_COUNT && i < ORCH_NELEM(verbs); i++) {
        double got;

        if (strcmp(argv[1], verbs[i].name) != 0)
            continue;
        got = verbs[i].measure(&j, count);
        return got < 0 ? 1 : printf("%.4f\n", got) > 0 ? 0 : 1;
    }
    (void)fprintf(stderr, "usage: cage VERB COUNT FILE COMMAND...; see its source\n");
    return 2;
}
