/*
 * measure.c - one measurement of what a run does around its agents; prints milliseconds, for bench.c to
 * collect.
 *
 * usage: measure tree DIR COUNT                     makes COUNT small files, 1000 a directory (prints
 * nothing) measure fingerprint WORKSPACE              the fingerprint of a run's start measure conflict
 * WORKSPACE                 the comparison before apply measure changes WORKSPACE LAYER            finding
 * the changes of a layer with EDITS changed files measure checkpoint WORKSPACE LAYER         making such a
 * layer, just written, durable and pinned measure start|end|sweep ORCH STATE WORKSPACE WORKFLOW see phases
 * below; the median over the run's attempts measure time PREPARE COMMAND               COMMAND alone, by sh
 * -c; PREPARE may be ""
 *
 * Inside one process, because starting one costs more than some of what is measured.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "common/io.h"
#include "sandbox/layer.h"
#include "supervisor/apply.h"

#define EDITS 100
#define PER_DIR 1000
#define STAMPS 64
#define LOG_MAX (16u << 20)

static double now_ms(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int complain(const char *what, const struct orch_err *err)
{
    (void)fprintf(stderr, "measure: %s: %s\n", what, err && err->msg[0] ? err->msg : strerror(errno));
    return 1;
}

static int print_since(double began)
{
    return printf("%.4f\n", now_ms(CLOCK_MONOTONIC) - began) > 0 ? 0 : 1;
}

/* ---- trees ---- */

static int write_file(int dir, const char *name, const char *text)
{
    ORCH_AUTO_FD int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    return fd < 0 ? -errno : orch_write_all(fd, text, strlen(text));
}

static int fill(const char *root, unsigned long dir, unsigned long first, unsigned long count,
                const char *what)
{
    ORCH_AUTO_FREE char *path = orch_xasprintf("%s/%lu", root, dir);
    int r = orch_mkdir_p(path, 0755);
    ORCH_AUTO_FD int fd = r < 0 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (unsigned long i = 0; fd >= 0 && r == 0 && i < count; i++) {
        ORCH_AUTO_FREE char *name = orch_xasprintf("%lu", i);
        ORCH_AUTO_FREE char *text = orch_xasprintf("%s %lu\n", what, first + i);

        r = write_file(fd, name, text);
    }
    return fd < 0 && r == 0 ? -errno : r;
}

static int make_tree(char **v)
{
    unsigned long n = strtoul(v[1], NULL, 10);
    int r = orch_mkdir_p(v[0], 0755);

    for (unsigned long i = 0; r == 0 && i < n; i += PER_DIR)
        r = fill(v[0], i / PER_DIR, i, n - i < PER_DIR ? n - i : PER_DIR, "file");
    return r < 0 ? complain("tree", NULL) : 0;
}

/* As an agent leaves it: one file changed in each of EDITS directories. */
static int make_layer(const char *upper)
{
    int r = orch_rm_rf(AT_FDCWD, upper);

    for (unsigned long i = 0; r == 0 && i < EDITS; i++)
        r = fill(upper, i, i, 1, "changed");
    return r;
}

/* ---- inside the supervisor ---- */

static int fingerprint(char **v)
{
    double began = now_ms(CLOCK_MONOTONIC);
    ORCH_AUTO_BUF struct orch_buf b = {0};
    struct orch_err err = {0};

    return orch_fingerprint(v[0], &b, NULL, &err) < 0 ? complain("fingerprint", &err) : print_since(began);
}

static int conflict(char **v)
{
    ORCH_AUTO_BUF struct orch_buf kept = {0};
    struct orch_strv none = {0}, paths = {0};
    struct orch_err err = {0};
    size_t n = 0;
    double began;

    if (orch_fingerprint(v[0], &kept, NULL, &err) < 0)
        return complain("fingerprint", &err);
    began = now_ms(CLOCK_MONOTONIC);
    if (orch_fingerprint_diff(&kept, v[0], &none, 10, &paths, &n, &err) < 0 || n != 0)
        return complain("conflict", &err);
    return print_since(began);
}

static int changes(char **v)
{
    struct orch_strv layers = {0};
    struct orch_changes c = {0};
    struct orch_view view = {0};
    struct orch_err err = {0};
    double began;
    int r;

    if (make_layer(v[1]) < 0)
        return complain("layer", NULL);
    orch_strv_add(&layers, v[1]);
    began = now_ms(CLOCK_MONOTONIC);
    r = orch_view_open(&layers, v[0], &view, &err);
    if (r == 0)
        r = orch_view_changes(&view, 1, &c, &err);
    if (r < 0)
        return complain("changes", &err);
    r = c.n == EDITS ? print_since(began) : complain("not all changes were found", NULL);
    orch_changes_fini(&c);
    orch_view_fini(&view);
    orch_strv_fini(&layers);
    return r;
}

/* What a passed attempt costs beyond its gates: bytes to disk, what changed, the digest, a durable record. */
static int checkpoint(char **v)
{
    ORCH_AUTO_FREE char *beside = orch_xasprintf("%s.verdict", v[1]);
    struct orch_strv layers = {0};
    char digest[ORCH_HEX_SIZE];
    struct orch_changes c = {0};
    struct orch_view view = {0};
    struct orch_err err = {0};
    double began;
    int r;

    if (make_layer(v[1]) < 0)
        return complain("layer", NULL);
    orch_strv_add(&layers, v[1]);
    began = now_ms(CLOCK_MONOTONIC);
    r = orch_layer_sync(v[1]);
    if (r == 0)
        r = orch_view_open(&layers, v[0], &view, &err);
    if (r == 0)
        r = orch_view_changes(&view, 1, &c, &err);
    if (r == 0)
        r = orch_layer_digest(v[1], digest, &err);
    if (r == 0)
        r = orch_write_file_sync(AT_FDCWD, beside, digest, strlen(digest), 0600);
    if (r < 0)
        return complain("checkpoint", &err);
    r = print_since(began);
    orch_changes_fini(&c);
    orch_view_fini(&view);
    orch_strv_fini(&layers);
    return r;
}

/* ---- commands ---- */

static int run_command(char *const argv[], double *ret_ended)
{
    pid_t pid = fork();
    int status = -1, null;

    if (pid == 0) {
        null = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int i = 0; i < 3; i++)
            (void)dup2(null, i);
        (void)execvp(argv[0], argv);
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    *ret_ended = now_ms(CLOCK_REALTIME);
    return status;
}

static int shell(char *command)
{
    char sh[] = "sh", c[] = "-c";
    char *const argv[] = {sh, c, command, NULL};
    double ended;

    return run_command(argv, &ended);
}

static int time_command(char **v)
{
    double began;

    if (*v[0] && shell(v[0]) != 0)
        return complain(v[0], NULL);
    began = now_ms(CLOCK_MONOTONIC);
    return shell(v[1]) == 0 ? print_since(began) : complain(v[1], NULL);
}

/* ---- phases ---- */

/*
 * One run of a workflow whose agents are bench_agent, read from its records.
 * start: from a verdict to the first instruction of the next attempt's agent.
 * end:   from the agent's last instruction to its verdict.
 * attempt: both, and what lies between: from one agent's first instruction to the next one's.
 * sweep: from the run's last record to the exit of the supervisor.
 */
struct stamps {
    double first[STAMPS], last[STAMPS], verdict[STAMPS], end;
    size_t n_agents, n_verdicts;
};

static double record_time(const char *line)
{
    const char *s = strstr(line, "\"time\":\"");
    struct tm tm = {0};
    unsigned long ns = 0;
    const char *rest = s ? strptime(s + 8, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;

    if (!rest || sscanf(rest, ".%9lu", &ns) != 1)
        return 0;
    return (double)timegm(&tm) * 1e3 + (double)ns / 1e6;
}

static void read_journal(char *text, struct stamps *s)
{
    char *save = NULL;

    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (strstr(line, "\"event\":\"verdict\"") && s->n_verdicts < STAMPS)
            s->verdict[s->n_verdicts++] = record_time(line);
        s->end = record_time(line);
    }
}

/* Logs are named PHASE.ATTEMPT.out; sorted by their agents' times they are in the order of the verdicts. */
static int read_agents(const char *run, struct stamps *s)
{
    ORCH_AUTO_FREE char *path = orch_xasprintf("%s/logs", run);
    DIR *d = opendir(path);
    long long first, last;

    for (struct dirent *e; d && (e = readdir(d));) {
        ORCH_AUTO_BUF struct orch_buf b = {0};

        if (!strstr(e->d_name, ".out") || orch_read_file(dirfd(d), e->d_name, LOG_MAX, &b) < 0 || !b.data ||
            sscanf(b.data, "first %lld\nlast %lld", &first, &last) != 2 || s->n_agents == STAMPS)
            continue;
        s->first[s->n_agents] = (double)first / 1e6;
        s->last[s->n_agents++] = (double)last / 1e6;
    }
    if (d)
        (void)closedir(d);
    return s->n_agents > 1 && s->n_agents == s->n_verdicts ? 0 : -EINVAL;
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

/* The first attempt is left out: the fingerprint is taken beside it. */
static double of_phases(const char *what, struct stamps *s, double exited)
{
    double v[STAMPS];
    size_t n = 0;

    qsort(s->first, s->n_agents, sizeof(s->first[0]), compare);
    qsort(s->last, s->n_agents, sizeof(s->last[0]), compare);
    if (strcmp(what, "sweep") == 0)
        return exited - s->end;
    for (size_t i = 1; i < s->n_agents; i++)
        v[n++] = strcmp(what, "start") == 0     ? s->first[i] - s->verdict[i - 1]
                 : strcmp(what, "attempt") == 0 ? s->first[i] - s->first[i - 1]
                                                : s->verdict[i] - s->last[i];
    return median(v, n);
}

static int phases(const char *what, char **v)
{
    char run_verb[] = "run", ws[] = "--workspace", st[] = "--state", id[] = "--run-id", bench[] = "bench",
         quiet[] = "--quiet", no_apply[] = "--no-apply";
    char *const argv[] = {v[0], run_verb, ws, v[2], st, v[1], id, bench, quiet, no_apply, v[3], NULL};
    ORCH_AUTO_FREE char *dir = orch_xasprintf("%s/runs/bench", v[1]);
    ORCH_AUTO_FREE char *journal = orch_xasprintf("%s/journal.jsonl", dir);
    ORCH_AUTO_BUF struct orch_buf text = {0};
    struct stamps s = {0};
    double exited;

    (void)orch_rm_rf(AT_FDCWD, dir);
    if (run_command(argv, &exited) < 0 || orch_read_file(AT_FDCWD, journal, LOG_MAX, &text) < 0)
        return complain("the run left no journal", NULL);
    read_journal(text.data, &s);
    if (read_agents(dir, &s) < 0)
        return complain("not every attempt of the run was judged", NULL);
    return printf("%.4f\n", of_phases(what, &s, exited)) > 0 ? 0 : 1;
}

static const struct verb {
    const char *name;
    int args;
    int (*run)(char **v); /* NULL: phases */
} verbs[] = {
    {"tree", 2, make_tree},
    {"fingerprint", 1, fingerprint},
    {"conflict", 1, conflict},
    {"changes", 2, changes},
    {"checkpoint", 2, checkpoint},
    {"time", 2, time_command},
    {"start", 4, NULL},
    {"end", 4, NULL},
    {"attempt", 4, NULL},
    {"sweep", 4, NULL},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < ORCH_NELEM(verbs); i++)
        if (strcmp(argv[1], verbs[i].name) == 0 && argc == verbs[i].args + 2)
            return verbs[i].run ? verbs[i].run(argv + 2) : phases(argv[1], argv + 2);
    (void)fprintf(stderr, "usage: measure VERB ARGUMENT...; see its source\n");
    return 2;
}
