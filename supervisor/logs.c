/* logs.c - see logs.h. */
#include "supervisor/logs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/escape.h"
#include "common/exit.h"
#include "common/io.h"

#define PIECE (64u << 10)

static const char *const suffixes[2] = {".out", ".err"};

struct orch_log_source {
    char *label; /* "PHASE.N" or "PHASE.N.GATE": the files are this with a suffix */
    struct timespec since;
    off_t done[2];
    struct orch_capture lines;
    struct orch_buf text; /* printed, and handed on in larger pieces than a line */
    struct orch_outq *out;
};

static void show_line(void *ctx, int stream, const char *line, size_t n)
{
    struct orch_log_source *src = ctx;

    orch_escape_term(&src->text, src->label, strlen(src->label));
    orch_buf_str(&src->text, stream == 2 ? " ! " : " | ");
    orch_output_escape(&src->text, line, n);
    orch_buf_char(&src->text, '\n');
}

static void hand_on(struct orch_log_source *src)
{
    orch_outq_add(src->out, src->text.data, src->text.len);
    orch_buf_reset(&src->text);
    orch_outq_drain(src->out);
}

static void add_source(struct orch_log_set *s, char *label, struct timespec since)
{
    struct orch_log_source *src = orch_xcalloc(1, sizeof(*src));

    src->label = label;
    src->since = since;
    src->out = s->out;
    src->lines = (struct orch_capture){.log = {-1, -1}, .show = show_line, .ctx = src};
    s->v = orch_xreallocarray(s->v, s->n + 1, sizeof(struct orch_log_source *));
    s->v[s->n++] = src;
}

void orch_log_set_begin(struct orch_log_set *s, const char *phase, unsigned attempt, struct orch_outq *out)
{
    *s = (struct orch_log_set){.name = orch_xasprintf("%s.%u", phase, attempt), .out = out};
    add_source(s, orch_xstrdup(s->name), (struct timespec){0});
}

void orch_log_set_end(struct orch_log_set *s)
{
    for (size_t i = 0; i < s->n; i++) {
        struct orch_err ignored = {0};

        (void)orch_capture_end(&s->v[i]->lines, &ignored); /* it has no log of its own that could fail */
        hand_on(s->v[i]);
        orch_buf_fini(&s->v[i]->text);
        free(s->v[i]->label);
        free(s->v[i]);
    }
    free(s->v);
    free(s->name);
    *s = (struct orch_log_set){0};
}

/* ---- gates' logs are found by name ---- */

/* The label in the name of a gate's standard output, owned; NULL if it is none of this attempt. */
static char *gate_label(const struct orch_log_set *s, const char *file)
{
    size_t own = strlen(s->name), n = strlen(file), tail = strlen(suffixes[0]);

    if (n <= own + 1 + tail || strncmp(file, s->name, own) != 0 || file[own] != '.' ||
        strcmp(file + n - tail, suffixes[0]) != 0)
        return NULL;
    return orch_xstrndup(file, n - tail);
}

static bool has_source(const struct orch_log_set *s, const char *label)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->v[i]->label, label) == 0)
            return true;
    return false;
}

/* Gates write one after the other, so the time of the last write is their order. */
static int by_time(const void *pa, const void *pb)
{
    const struct orch_log_source *const *a = pa, *const *b = pb;
    const struct timespec x = (*a)->since, y = (*b)->since;

    if (x.tv_sec != y.tv_sec)
        return x.tv_sec < y.tv_sec ? -1 : 1;
    if (x.tv_nsec != y.tv_nsec)
        return x.tv_nsec < y.tv_nsec ? -1 : 1;
    return strcmp((*a)->label, (*b)->label);
}

static int find_gates(struct orch_log_set *s, int logs, struct orch_err *err)
{
    ORCH_AUTO_FD int fd = openat(logs, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    size_t known = s->n;
    struct stat st;
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir)
        return orch_err_exit(err, ORCH_EXIT_STATE, errno, "the logs of the run cannot be read: %s",
                             strerror(errno));
    (void)ORCH_TAKE_FD(fd);
    for (struct dirent *e; (e = readdir(dir));) {
        ORCH_AUTO_FREE char *label = gate_label(s, e->d_name);

        if (label && !has_source(s, label) && fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            add_source(s, ORCH_TAKE_PTR(label), st.st_mtim);
    }
    (void)closedir(dir);
    if (s->n > known)
        qsort(s->v + known, s->n - known, sizeof(struct orch_log_source *), by_time);
    return 0;
}

/* ---- reading ---- */

/* A descriptor, or -ENOENT: an attempt without an agent has no log. */
static int open_log(int logs, const char *file, struct orch_err *err)
{
    ORCH_AUTO_FD int fd = openat(logs, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    ORCH_AUTO_FREE char *shown = orch_escape_str(file);
    struct stat st;

    if (fd < 0 && errno == ENOENT)
        return -ENOENT;
    if (fd < 0 && errno != ELOOP)
        return orch_err_exit(err, ORCH_EXIT_STATE, errno, "logs/%s: cannot open: %s", shown, strerror(errno));
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return orch_err_exit(err, ORCH_EXIT_CORRUPT, EBADMSG, "logs/%s: is not a regular file", shown);
    return ORCH_TAKE_FD(fd);
}

static int pump_stream(struct orch_log_source *src, int logs, int i, bool over, struct orch_err *err)
{
    ORCH_AUTO_FREE char *file = orch_xasprintf("%s%s", src->label, suffixes[i]);
    ORCH_AUTO_FD int fd = open_log(logs, file, err);
    ORCH_AUTO_FREE char *piece = NULL;
    ssize_t n = 1;

    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    piece = orch_xmalloc(PIECE);
    while (n > 0 && !src->out->dead) {
        n = pread(fd, piece, PIECE, src->done[i]);
        if (n < 0)
            return orch_err_exit(err, ORCH_EXIT_STATE, errno, "logs/%s: cannot read: %s", file,
                                 strerror(errno));
        src->done[i] += n;
        (void)orch_capture_add(&src->lines, i + 1, piece, (size_t)n, err);
        hand_on(src);
    }
    if (over && src->lines.line[i].len)
        (void)orch_capture_add(&src->lines, i + 1, "\n", 1, err);
    hand_on(src);
    return 0;
}

int orch_log_set_pump(struct orch_log_set *s, int rundir, bool over, struct orch_err *err)
{
    ORCH_AUTO_FD int logs = openat(rundir, "logs", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    int k = logs < 0 ? orch_err_exit(err, ORCH_EXIT_STATE, errno, "the logs of the run cannot be opened: %s",
                                     strerror(errno))
                     : find_gates(s, logs, err);

    for (size_t i = 0; k == 0 && i < s->n; i++)
        for (int stream = 0; k == 0 && stream < 2; stream++)
            k = pump_stream(s->v[i], logs, stream, over, err);
    return k;
}
