/* main.c - makes the process safe to be a supervisor, then hands over to the command line. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/exit.h"
#include "sandbox/cgroup.h"
#include "supervisor/options.h"

/* A closed 0, 1 or 2 would become the number of the next file opened: the audit log as somebody's stdout
 * (T-TTY-07). */
static bool fill_std_fds(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

int main(int argc, char **argv)
{
    const struct rlimit no_core = {0, 0};
    int code;

    if (!fill_std_fds())
        return ORCH_EXIT_STATE;
    (void)signal(SIGPIPE, SIG_IGN);
    /* No core dump and no /proc/PID/mem of a process that knows secrets and the state directory (T-FD-05,
     * T-FD-07). */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0) {
        (void)fputs("orch-sandbox: cannot protect this process\n", stderr);
        return ORCH_EXIT_STATE;
    }
    code = orch_cli_main(argc, argv);
    orch_cgroup_leave(0);
    return code;
}
