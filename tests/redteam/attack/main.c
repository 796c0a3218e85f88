/*
 * main.c - redteam VERB [ARGUMENT...] performs one act; redteam run FILE performs many, one a line.
 *
 * A line is "NUMBER VERB ARGUMENT...". Each act runs in a child named act-NUMBER, so that the audit log tells
 * whose denial a record is, and its result is printed as "NUMBER<tab>RESULT":
 *
 *   succeeded | refused ERRNO | killed SIGNAL | found TEXT | timeout
 */
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/redteam/attack/attack.h"

#define MAX_WORDS 16
#define ACT_SECONDS 60

char scratch[65536] __attribute__((aligned(4096)));

static const struct verb *const tables[] = {call_verbs,    file_verbs, exec_verbs, socket_verbs,
                                            process_verbs, race_verbs, state_verbs};

static const struct verb *find(const char *name, int args)
{
    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
        for (const struct verb *v = tables[t]; v->name; v++)
            if (strcmp(v->name, name) == 0 && args >= v->args)
                return v;
    return NULL;
}

/* Exit status 0: succeeded or found, 1: refused, 2: no such verb. */
static int perform(int n, char **v)
{
    const struct verb *verb = n > 0 ? find(v[0], n - 1) : NULL;
    int r;

    if (!verb) {
        printf("no such verb, or too few arguments\n");
        return 2;
    }
    r = verb->fn(v + 1);
    if (r == 0)
        printf("succeeded\n");
    else if (r < 0)
        printf("refused %s\n", strerrorname_np(-r) ? strerrorname_np(-r) : "?");
    return r < 0;
}

static _Noreturn void child(const char *id, int n, char **v, int out)
{
    char name[16];
    int status;

    (void)snprintf(name, sizeof(name), "act-%.8s", id);
    (void)prctl(PR_SET_NAME, name, 0, 0, 0);
    (void)dup2(out, 1);
    status = perform(n, v);
    (void)fflush(stdout);
    _exit(status);
}

/* What the child prints, up to its end, its silence for ACT_SECONDS or the buffer's. */
static size_t collect(int fd, char *text, size_t size, bool *ret_timeout)
{
    time_t end = time(NULL) + ACT_SECONDS;
    size_t len = 0;

    *ret_timeout = false;
    while (len + 1 < size) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t n;

        if (poll(&p, 1, 1000) == 0) {
            *ret_timeout = time(NULL) > end;
            if (*ret_timeout)
                break;
            continue;
        }
        n = read(fd, text + len, size - 1 - len);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    text[len] = '\0';
    return len;
}

static void act(const char *id, int n, char **v)
{
    char text[4096];
    bool timeout;
    int fds[2], status = 0;
    pid_t pid;

    (void)fflush(stdout);
    if (pipe2(fds, O_CLOEXEC) < 0)
        return;
    pid = fork();
    if (pid == 0)
        child(id, n, v, fds[1]);
    (void)close(fds[1]);
    (void)collect(fds[0], text, sizeof(text), &timeout);
    (void)close(fds[0]);
    if (timeout)
        (void)kill(pid, SIGKILL);
    (void)waitpid(pid, &status, 0);
    text[strcspn(text, "\n")] = '\0';
    if (timeout)
        printf("%s\ttimeout\n", id);
    else if (WIFSIGNALED(status))
        printf("%s\tkilled SIG%s\n", id, sigabbrev_np(WTERMSIG(status)));
    else
        printf("%s\t%s\n", id, text);
    (void)fflush(stdout);
}

static int run(const char *file)
{
    char line[4096], *words[MAX_WORDS + 1];
    FILE *f = strcmp(file, "-") == 0 ? stdin : fopen(file, "re");

    if (!f)
        return 2;
    while (fgets(line, sizeof(line), f)) {
        int n = 0;
        char *save = NULL;

        for (char *w = strtok_r(line, " \n", &save); w && n < MAX_WORDS; w = strtok_r(NULL, " \n", &save))
            words[n++] = w;
        words[n] = NULL;
        if (n > 1)
            act(words[0], n - 1, words + 1);
    }
    if (f != stdin)
        (void)fclose(f);
    printf("end\n");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "run") == 0)
        return run(argv[2]);
    return perform(argc - 1, argv + 1);
}
