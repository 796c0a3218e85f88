/*
 * bench.c - times commands in turn (A B C A B C ...) and prints each median with its ratio to the first of
 * its group, and to the group's case PEER.
 *
 * usage: bench ROUNDS JSON-FILE < cases
 * A case is a line "GROUP<TAB>NAME<TAB>COMMAND"; COMMAND is run by sh -c with its output thrown away. One
 * that begins with '@' measures itself and prints a number: milliseconds, or what a group named "GROUP/UNIT"
 * says. The first case of a group is its base. Interleaving lets a ratio hold when the machine's speed
 * drifts. "spread" is the middle half of the rounds in parts of the median: where it is wide, the machine was
 * busy. A command that fails ends the bench.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define MAX_CASES 128
#define MAX_ROUNDS 200
#define PEER "bubblewrap"
#define NOISY 0.3 /* a spread beyond this says more about the machine than about the case */

extern char **environ;

struct bench_case {
    char group[32], name[48], command[2048];
    double ms[MAX_ROUNDS], median, spread;
};

static struct bench_case cases[MAX_CASES];
static size_t n_cases;

static double now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static bool read_cases(void)
{
    char line[4096];

    while (fgets(line, sizeof(line), stdin)) {
        struct bench_case *c = &cases[n_cases];

        if (line[0] == '\n' || line[0] == '#')
            continue;
        if (n_cases == MAX_CASES ||
            sscanf(line, "%31[^\t]\t%47[^\t]\t%2047[^\n]", c->group, c->name, c->command) != 3)
            return false;
        n_cases++;
    }
    return n_cases > 0;
}

/* What the command printed, or -1. */
static double ask_command(const char *command)
{
    FILE *p = popen(command, "re"); /* style: allow the commands are the bench's own */
    double ms = -1;

    if (p && fscanf(p, "%lf", &ms) != 1)
        ms = -1;
    return p && pclose(p) == 0 ? ms : -1;
}

static double time_command(const char *command)
{
    char *argv[] = {strdup("sh"), strdup("-c"), strdup(command), NULL};
    posix_spawn_file_actions_t fa;
    double began = now_ms(), took;
    int status = -1;
    pid_t pid;

    (void)posix_spawn_file_actions_init(&fa);
    (void)posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
    (void)posix_spawn_file_actions_addopen(&fa, 1, "/dev/null", O_WRONLY, 0);
    (void)posix_spawn_file_actions_addopen(&fa, 2, "/dev/null", O_WRONLY, 0);
    if (posix_spawn(&pid, "/bin/sh", &fa, NULL, argv, environ) == 0)
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    took = now_ms() - began;
    (void)posix_spawn_file_actions_destroy(&fa);
    for (int i = 0; i < 3; i++)
        free(argv[i]);
    return status == 0 ? took : -1;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void summarise(struct bench_case *c, size_t rounds)
{
    qsort(c->ms, rounds, sizeof(c->ms[0]), compare);
    c->median = c->ms[rounds / 2];
    c->spread = (c->ms[rounds * 3 / 4] - c->ms[rounds / 4]) / c->median;
}

static const char *unit_of(const struct bench_case *c)
{
    const char *slash = strchr(c->group, '/');

    return slash ? slash + 1 : "ms";
}

/* The case that c is compared with: the first of its group, or the one called name; NULL if there is none. */
static const struct bench_case *base_of(const struct bench_case *c, const char *name)
{
    for (size_t i = 0; i < n_cases; i++)
        if (strcmp(cases[i].group, c->group) == 0 && (!name || strcmp(cases[i].name, name) == 0))
            return &cases[i];
    return NULL;
}

static void report(FILE *json)
{
    size_t noisy = 0;

    printf("%-14s %-32s %10s %-5s %7s %7s %7s\n", "group", "case", "median", "", "ratio", "peer", "spread");
    fprintf(json, "[");
    for (size_t i = 0; i < n_cases; i++) {
        const struct bench_case *c = &cases[i], *first = base_of(c, NULL), *peer = base_of(c, PEER);
        int n = (int)strcspn(c->group, "/");
        char to_peer[16] = "";

        if (peer)
            (void)snprintf(to_peer, sizeof(to_peer), "%.2f", c->median / peer->median);
        noisy += c->spread > NOISY;
        printf("%-14.*s %-32s %10.2f %-5s %7.2f %7s %6.0f%%\n", n, c->group, c->name, c->median, unit_of(c),
               c->median / first->median, to_peer, c->spread * 100);
        fprintf(json,
                "%s\n {\"group\":\"%.*s\",\"case\":\"%s\",\"unit\":\"%s\",\"median\":%.4f,\"ratio\":%.3f,"
                "\"peer_ratio\":%s,\"spread\":%.3f}",
                i ? "," : "", n, c->group, c->name, unit_of(c), c->median, c->median / first->median,
                peer ? to_peer : "null", c->spread);
    }
    fprintf(json, "\n]\n");
    if (noisy)
        printf("noisy: %zu of %zu cases spread over more than %.0f%% of their median; trust only ratios\n",
               noisy, n_cases, NOISY * 100);
}

int main(int argc, char **argv)
{
    size_t rounds = argc > 2 ? (size_t)strtoul(argv[1], NULL, 10) : 0;
    FILE *json;

    if (rounds < 1 || rounds > MAX_ROUNDS || !read_cases()) {
        fprintf(stderr, "usage: bench ROUNDS JSON-FILE < cases\n");
        return 2;
    }
    for (size_t r = 0; r <= rounds; r++) { /* round 0 warms up */
        for (size_t i = 0; i < n_cases; i++) {
            const char *command = cases[i].command;
            double ms = *command == '@' ? ask_command(command + 1) : time_command(command);

            if (ms < 0) {
                fprintf(stderr, "bench: '%s' failed: %s\n", cases[i].name, cases[i].command);
                return 1;
            }
            cases[i].ms[r ? r - 1 : 0] = ms;
        }
    }
    json = fopen(argv[2], "we");
    if (!json) {
        perror(argv[2]);
        return 1;
    }
    for (size_t i = 0; i < n_cases; i++)
        summarise(&cases[i], rounds);
    report(json);
    return fclose(json) == 0 ? 0 : 1;
}
