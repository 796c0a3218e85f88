/*
 * swarm.c - processes that do not want to end: swarm NAME VERB N
 *
 * daemons  N that left by two forks and a session of their own, deaf to signals
 * deep     N, each the child of the one before, each in a session of its own, all staying
 * chains   N that fork, leave the session and let the parent die, again and again, as fast as they can; each
 * adds a byte to the file $SWARM_TRACE, if that is set
 *
 * NAME is only for who looks for them. Prints "ready" when all are there; then the first one waits for its
 * standard input to end, or leaves at once with "-" before the verb. Nobody lives longer than a minute, or
 * than $SWARM_SECONDS.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int up[2];
static time_t over;
static int trace = -1;

static void deaf(void)
{
    for (int sig = 1; sig < NSIG; sig++)
        if (sig != SIGALRM && sig != SIGCHLD)
            (void)signal(sig, SIG_IGN);
    (void)alarm(60);
}

static void here(void)
{
    if (write(up[1], "x", 1) != 1)
        _exit(1);
}

static void stay(void)
{
    here();
    while (time(NULL) < over)
        (void)sleep(1);
    _exit(0);
}

static void daemon_out(void)
{
    if (fork() != 0)
        _exit(0);
    (void)setsid();
    if (fork() != 0)
        _exit(0);
    deaf();
    stay();
}

static void dig(int n)
{
    do {
        (void)setsid();
        deaf();
    } while (--n > 0 && fork() == 0);
    stay();
}

static void run_away(void)
{
    here();
    while (time(NULL) < over) {
        pid_t pid = fork();

        if (pid == 0 && trace >= 0 && write(trace, "x", 1) != 1)
            _exit(1);
        if (pid > 0)
            _exit(0);
        if (pid == 0)
            (void)setsid();
    }
    _exit(0);
}

int main(int argc, char **argv)
{
    int leaves = argc > 2 && strcmp(argv[2], "-") == 0, n;
    const char *verb, *seconds = getenv("SWARM_SECONDS");
    char c;

    if (argc != 4 + leaves || pipe(up) < 0)
        return 2;
    if (getenv("SWARM_TRACE"))
        trace = open(getenv("SWARM_TRACE"), O_WRONLY | O_APPEND);
    verb = argv[2 + leaves];
    n = (int)strtol(argv[3 + leaves], NULL, 10);
    over = time(NULL) + (seconds ? strtol(seconds, NULL, 10) : 60);
    if (strcmp(verb, "deep") == 0 && fork() == 0)
        dig(n);
    for (int i = 0; i < n && strcmp(verb, "deep") != 0; i++) {
        pid_t pid = fork();

        if (pid == 0)
            strcmp(verb, "chains") == 0 ? run_away() : daemon_out();
        if (pid < 0) {
            perror("swarm: fork");
            return 1;
        }
    }
    (void)close(up[1]);
    for (int i = 0; i < n; i++)
        if (read(up[0], &c, 1) != 1)
            return 1;
    (void)printf("ready\n");
    (void)fflush(stdout);
    while (!leaves && read(0, &c, 1) > 0)
        ;
    return 0;
}
