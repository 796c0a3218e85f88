/* calls.c - system calls with their arguments as they are, other ABIs, namespaces and filters. */
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "policy/sysgroups_list.h"
#include "tests/redteam/attack/attack.h"

#define ROW(name, nr) {#name, (nr)},
static const struct {
    const char *name;
    long nr;
} calls[] = {ORCH_SYSCALL_LIST(ROW)};

/*
 * NUMBER, "^NUMBER" (with garbage in the high 32 bits), "=TEXT" (its address), "@" (address of zeroed
 * memory),
 * "!" (no valid address), "self" (own pid)
 */
static unsigned long argument(const char *s)
{
    if (s[0] == '=')
        return (unsigned long)(s + 1);
    if (s[0] == '^')
        return (number(s + 1) & 0xffffffff) | 0xdeadbeef00000000;
    if (s[0] == '@')
        return (unsigned long)scratch;
    if (s[0] == '!')
        return 1;
    return strcmp(s, "self") == 0 ? (unsigned long)getpid() : number(s);
}

static int do_sys(char **v)
{
    unsigned long a[6] = {0};
    long nr = -2;

    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        if (strcmp(calls[i].name, v[0]) == 0)
            nr = calls[i].nr;
    if (nr == -2)
        nr = (long)number(v[0]);
    for (int i = 0; i < 6 && v[i + 1]; i++)
        a[i] = argument(v[i + 1]);
    return last(syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]));
}

/* NUMBER [ARGUMENT]: the 32-bit table, by the door that a filter for one architecture forgets. */
static int do_int80(char **v)
{
    int r;

    __asm__ volatile("int $0x80"
                     : "=a"(r)
                     : "a"((int)number(v[0])), "b"(v[1] ? (int)number(v[1]) : 0)
                     : "memory", "r8", "r9", "r10", "r11");
    return r >= 0 ? 0 : r;
}

static int reap(long pid)
{
    int status;

    if (pid == 0)
        _exit(0);
    return pid > 0 && waitpid((pid_t)pid, &status, __WALL) == pid ? 0 : -errno;
}

static int do_clone(char **v)
{
    return reap(syscall(SYS_clone, argument(v[0]) | SIGCHLD, 0, 0, 0, 0));
}

static int do_clone3(char **v)
{
    struct clone_args a = {.flags = number(v[0]), .exit_signal = SIGCHLD};

    return reap(syscall(SYS_clone3, &a, sizeof(a)));
}

/* KIND of namespace: opens the own one, or the one of PID, and joins it. */
static int do_setns(char **v)
{
    char path[64];
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%s/ns/%s", v[1] ? v[1] : "self", v[0]);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : last(syscall(SYS_setns, fd, 0));
}

/* HOW: plain, log, tsync, listener, prctl. A filter that allows everything: harmless, if it is installed. */
static int do_filter(char **v)
{
    struct sock_filter allow = {.code = BPF_RET | BPF_K, .k = SECCOMP_RET_ALLOW};
    struct sock_fprog prog = {.len = 1, .filter = &allow};
    static const struct {
        const char *name;
        unsigned long flags;
    } hows[] = {{"plain", 0},
                {"log", SECCOMP_FILTER_FLAG_LOG},
                {"tsync", SECCOMP_FILTER_FLAG_TSYNC},
                {"tsync-esrch", SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH},
                {"listener", SECCOMP_FILTER_FLAG_NEW_LISTENER}};

    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (strcmp(v[0], "prctl") == 0)
        return last(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0));
    for (size_t i = 0; i < sizeof(hows) / sizeof(hows[0]); i++)
        if (strcmp(v[0], hows[i].name) == 0)
            return last(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, hows[i].flags, &prog));
    return -EINVAL;
}

/* DIRECTORY: covers it and uncovers it again; what was mounted before one's own namespace is locked. */
static int do_unmount(char **v)
{
    if (mount("none", v[0], "tmpfs", 0, NULL) < 0)
        return -errno;
    return last(syscall(SYS_umount2, v[0], 0));
}

/* FIRST LAST: the numbers that do not answer ENOSYS. */
static int do_numbers(char **v)
{
    printf("found");
    for (long nr = (long)number(v[0]); nr <= (long)number(v[1]); nr++)
        if (syscall(nr, -1L, -1L, -1L, -1L, -1L, -1L) >= 0 || errno != ENOSYS)
            printf(" %ld", nr);
    printf(" end\n");
    return FOUND;
}

/* Threads, vfork and posix_spawn are what a refused clone3 must not break. */
static int do_vfork(char **v)
{
    pid_t pid = vfork(); // NOLINT

    (void)v;
    if (pid == 0)
        _exit(0);
    return reap(pid);
}

const struct verb call_verbs[] = {
    {"clone", 1, do_clone}, {"clone3", 1, do_clone3},   {"filter", 1, do_filter},
    {"int80", 1, do_int80}, {"numbers", 2, do_numbers}, {"setns", 1, do_setns},
    {"sys", 1, do_sys},     {"unmount", 1, do_unmount}, {"vfork", 0, do_vfork},
    {NULL, 0, NULL},
};
