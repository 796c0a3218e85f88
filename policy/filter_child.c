/* filter_child.c - make a filter in a child process, within a time limit (filter_child.h). */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "common/io.h"
#include "policy/filter_child.h"

/* Shared with the child, which writes `done` last. */
struct result {
    int code; /* 0 or -errno of the maker */
    struct orch_err err;
    unsigned short len;
    struct sock_filter prog[ORCH_FILTER_MAX_INSNS];
    bool done;
};

static void make_result(orch_filter_maker make, const void *arg, struct result *r)
{
    struct orch_filter f = {0};
    r->code = make(arg, &f, &r->err);
    if (r->code == 0 && f.len > ORCH_FILTER_MAX_INSNS)
        r->code =
            orch_err_set(&r->err, E2BIG, "the filter has more than %d instructions", ORCH_FILTER_MAX_INSNS);
    if (r->code == 0 && f.prog) {
        memcpy(r->prog, f.prog, f.len * sizeof(*f.prog));
        r->len = f.len;
    }
    __atomic_store_n(&r->done, true, __ATOMIC_RELEASE);
}

static pid_t start(orch_filter_maker make, const void *arg, struct result *r)
{
    pid_t parent = getpid(), pid = fork();
    if (pid != 0)
        return pid;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent)
        make_result(make, arg, r);
    _exit(0);
}

/* Waits for the child's end; after limit_ms it is killed. True if it came to its end by itself. */
static bool await(pid_t pid, unsigned limit_ms)
{
    ORCH_AUTO_FD int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    uint64_t end = orch_now_ms() + limit_ms, now;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    siginfo_t si = {0};
    int n = 0;
    while (fd >= 0 && n <= 0 && (now = orch_now_ms()) < end) {
        n = poll(&p, 1, (int)(end - now));
        if (n < 0 && errno != EINTR)
            break;
    }
    if (n <= 0)
        (void)kill(pid, SIGKILL);
    while (waitid(P_PID, (id_t)pid, &si, WEXITED) < 0 && errno == EINTR) {
    }
    return n > 0 && si.si_code == CLD_EXITED && si.si_status == 0;
}

static int take(const struct result *r, struct orch_filter *ret, struct orch_err *err)
{
    if (r->code < 0)
        return orch_err_set(err, -r->code, "%.*s", (int)sizeof(r->err.msg) - 1, r->err.msg);
    if (r->code > 0 || r->len == 0 || r->len > ORCH_FILTER_MAX_INSNS)
        return orch_err_set(err, EIO, "compiling the filter came to no result");
    ret->len = r->len;
    ret->prog = orch_xreallocarray(NULL, r->len, sizeof(*r->prog));
    memcpy(ret->prog, r->prog, r->len * sizeof(*r->prog));
    return 0;
}

int orch_filter_in_child(orch_filter_maker make, const void *arg, unsigned limit_ms, struct orch_filter *ret,
                         struct orch_err *err)
{
    struct result *r = mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (r == MAP_FAILED)
        return orch_err_sys(err, errno, "cannot get memory for the filter");
    uint64_t began = orch_now_ms();
    pid_t pid = start(make, arg, r);
    int code;
    if (pid < 0) {
        code = orch_err_sys(err, errno, "cannot start the process that compiles the filter");
    } else if (await(pid, limit_ms) && __atomic_load_n(&r->done, __ATOMIC_ACQUIRE)) {
        code = take(r, ret, err);
    } else if (orch_now_ms() - began >= limit_ms) {
        code = orch_err_set(err, ETIMEDOUT, "compiling the filter took more than %u ms and was given up",
                            limit_ms);
    } else {
        code = orch_err_set(err, EIO, "the process that compiles the filter ended before its result");
    }
    (void)munmap(r, sizeof(*r));
    return code;
}
