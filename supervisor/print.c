/* print.c - see print.h. */
#include "supervisor/print.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "common/escape.h"
#include "common/exit.h"
#include "common/io.h"
#include "supervisor/run.h"

/* Written by one write of at most PIPE_BUF bytes: whole or not at all. */
struct answer {
    int errnum, exit_code; /* errnum 0 = taken */
    char digest[ORCH_HEX_SIZE];
    char text[2048]; /* the error, or a note, or "" */
};

_Static_assert(sizeof(struct answer) <= PIPE_BUF, "an answer must be one write");

/* The only user and group of the host that are mapped inside; the kernel refuses writes to what belongs to
 * any other. */
static struct orch_first_look first_look(const char *workspace)
{
    struct orch_first_look o = {.uid = getuid(), .gid = getgid()};
    struct stat st;

    if (orch_is_root() && stat(workspace, &st) == 0) {
        o.uid = st.st_uid;
        o.gid = st.st_gid;
    }
    return o;
}

static void note_owners(const char *workspace, const struct orch_first_look *o, struct answer *a)
{
    ORCH_AUTO_FREE char *shown = orch_escape_str(workspace);
    ORCH_AUTO_BUF struct orch_buf list = {0};

    if (o->foreign == 0)
        return;
    for (size_t i = 0; i < o->first.n; i++)
        orch_buf_printf(&list, "\n  %s/%s", shown, o->first.v[i]);
    (void)snprintf(a->text, sizeof(a->text),
                   "note: %zu entries of the workspace belong to other users or groups: readable inside, not "
                   "writable:%s%s",
                   o->foreign, list.data ? list.data : "", o->foreign > o->first.n ? "\n  ..." : "");
}

static void take(const struct orch_run *r, const struct timespec *since, struct answer *a)
{
    ORCH_AUTO_BUF struct orch_buf tree = {0};
    struct orch_first_look owners = first_look(r->workspace);
    struct orch_err err = {0};
    int k;

    owners.since = *since;
    k = orch_fingerprint(r->workspace, &tree, &owners, &err);

    if (k == 0) {
        k = orch_write_file_sync(r->dir.fd, ORCH_FINGERPRINT_NAME, tree.data, tree.len, 0600);
        if (k < 0)
            (void)orch_err_set(&err, -k, "cannot write %s of the run: %s", ORCH_FINGERPRINT_NAME,
                               strerror(-k));
    }
    if (k < 0) {
        a->errnum = -k;
        a->exit_code = ORCH_EXIT_STATE;
        (void)snprintf(a->text, sizeof(a->text), "%s", err.msg);
        return;
    }
    orch_sha256_buf(tree.data, tree.len, a->digest);
    note_owners(r->workspace, &owners, a);
}

/* The lock is the supervisor's: shared by this child, a dead supervisor would seem to hold it on. */
static void child(struct orch_run *r, const struct timespec *since, int out, pid_t parent)
{
    struct answer a = {0};
    sigset_t none;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    orch_close_fdp(&r->dir.lock);
    if (getppid() != parent)
        _exit(1);
    take(r, since, &a);
    _exit(orch_write_all(out, &a, sizeof(a)) < 0);
}

int orch_print_start(struct orch_run *r, struct orch_err *err)
{
    pid_t parent = getpid();
    struct timespec since = {0};
    int p[2];

    (void)clock_gettime(CLOCK_REALTIME, &since); /* no agent runs yet */
    if (pipe2(p, O_CLOEXEC) < 0)
        return orch_err_exit(err, ORCH_EXIT_STATE, errno, "no pipe for the fingerprint: %s", strerror(errno));
    r->print.pid = fork();
    if (r->print.pid == 0)
        child(r, &since, p[1], parent);
    (void)close(p[1]);
    r->print.fd = p[0];
    if (r->print.pid < 0) {
        int errnum = errno;
        r->print.pid = 0;
        orch_close_fdp(&r->print.fd);
        return orch_err_exit(err, ORCH_EXIT_STATE, errnum, "no process for the fingerprint: %s",
                             strerror(errnum));
    }
    return 0;
}

void orch_print_stop(struct orch_print *p)
{
    if (p->pid > 0) {
        (void)kill(p->pid, SIGKILL);
        while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    orch_close_fdp(&p->fd);
    p->pid = 0;
}

/* An answer that is not whole: the child was killed. */
static void receive(struct orch_print *p, struct answer *a)
{
    ssize_t n;

    do {
        n = read(p->fd, a, sizeof(*a));
    } while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof(*a))
        return;
    *a = (struct answer){.errnum = EIO, .exit_code = ORCH_EXIT_STATE};
    (void)snprintf(a->text, sizeof(a->text), "the workspace's fingerprint was not taken: its process died");
}

/* True when the answer is there (or the child dead); false if not, or if a signal came first. */
static bool answered(struct orch_run *r, bool wait)
{
    struct pollfd p[2] = {{.fd = r->print.fd, .events = POLLIN}, {.fd = r->signals.fd, .events = POLLIN}};

    for (;;) {
        int n = poll(p, 2, wait ? -1 : 0);

        if (n > 0 && p[0].revents)
            return true;
        if (n > 0)
            orch_signals_poll(&r->signals);
        if (!wait || orch_signals_stop(&r->signals) || (n < 0 && errno != EINTR))
            return false;
    }
}

int orch_print_join(struct orch_run *r, bool wait, struct orch_err *err)
{
    struct answer a;
    struct orch_jw w;

    if (r->print.pid == 0)
        return 0;
    if (!answered(r, wait)) {
        if (wait)
            orch_print_stop(&r->print);
        return wait ? ORCH_PRINT_STOPPED : 0;
    }
    receive(&r->print, &a);
    orch_print_stop(&r->print);
    if (a.errnum)
        return orch_err_exit(err, a.exit_code, a.errnum, "%s", a.text);
    if (*a.text)
        orch_progress_note(&r->progress, "%s", a.text);
    orch_run_record(r, "fingerprint", &w);
    orch_jw_str(&w, "digest", a.digest);
    return orch_run_commit(r, &w, err);
}
