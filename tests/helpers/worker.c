/*
 * worker.c - agent and gate command of the fault sweep: `worker` does the part of $ORCH_PHASE in the current
 * directory, `worker check` judges it.
 *
 * What it does depends on what it finds and is told, never on an attempt's number, and the files that it
 * makes get fixed times: an attempt that was cut off and begun again must end in the same tree.
 *
 *   one    fails its first try (leaves a half, and many files in its home), passes the second
 *   two    writes a draft; the final text once it is told that phase three failed
 *   three  has no agent; its gate refuses a draft
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct timespec times[2] = {{.tv_sec = 1000000000},
                                         {.tv_sec = 1000000000, .tv_nsec = 123456789}};

static void fail(const char *what)
{
    perror(what);
    exit(3);
}

static void must(int r, const char *what)
{
    if (r < 0)
        fail(what);
}

/* Up to n - 1 bytes; "" if the file cannot be read. */
static void text_of(const char *path, char *ret, size_t n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, ret, n - 1);

    ret[got > 0 ? got : 0] = '\0';
    if (fd >= 0)
        (void)close(fd);
}

static void put(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        fail(path);
    must(fchmod(fd, mode), path);
    must(futimens(fd, times), path);
    (void)close(fd);
}

/* An existing file is changed in place, and keeps its mode. */
static void change(const char *path, const char *text)
{
    struct stat st;

    must(stat(path, &st), path);
    put(path, text, st.st_mode & 07777);
}

static void make_dir(const char *path, mode_t mode)
{
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        fail(path);
    must(chmod(path, mode), path);
}

static void dated(const char *path)
{
    must(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), path);
}

/* So many that the layer is not made durable file by file; outside the workspace, so none is applied. */
static void fill_home(void)
{
    char path[40];

    for (int i = 0; i < 24; i++) {
        (void)snprintf(path, sizeof(path), "/home/agent/kept-%d", i);
        put(path, "kept\n", 0644);
    }
    dated("/home/agent");
}

static void one(void)
{
    if (access("one.half", F_OK) < 0) {
        put("one.half", "half\n", 0644);
        fill_home();
        return;
    }
    make_dir("new", 0755);
    make_dir("new/deep", 0750);
    put("new/deep/one.txt", "one\n", 0640);
    dated("new/deep");
    dated("new");
    change("changed", "changed by one\n");
}

static void two(void)
{
    char told[4096];

    text_of("/orch/feedback.json", told, sizeof(told));
    put("two.txt", strstr(told, "\"failed\":{\"phase\":\"three\"") ? "final\n" : "draft\n", 0644);
    must(chmod("mode", 0755), "mode");
    must(unlink("removed"), "removed");
    must(unlink("old/inner"), "old/inner");
    must(rmdir("old"), "old");
    must(unlink("typed"), "typed");
    make_dir("typed", 0755);
    put("typed/inner", "inner\n", 0600);
    dated("typed");
    must(symlink("new/deep/one.txt", "link"), "link");
    dated("link");
}

static int check(void)
{
    char text[64];

    text_of("two.txt", text, sizeof(text));
    (void)printf("judging %s", text);
    return strcmp(text, "final\n") == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*fn)(void);
    } phases[] = {{"one", one}, {"two", two}};
    const char *phase = getenv("ORCH_PHASE");

    (void)umask(022);
    if (argc > 1 && strcmp(argv[1], "check") == 0)
        return check();
    (void)printf("working at %s\n", phase ? phase : "?");
    (void)fflush(stdout);
    for (int i = 0; i < 3; i++)
        if (open("/etc/shadow", O_RDONLY) >= 0) /* a denial an attempt, and repeats that are folded */
            return 4;
    for (size_t i = 0; phase && i < sizeof(phases) / sizeof(phases[0]); i++)
        if (strcmp(phase, phases[i].name) == 0)
            phases[i].fn();
    return 0;
}
