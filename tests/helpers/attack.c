/*
 * attack.c - what a hostile program would try, one attempt a verb: attack VERB [ARGUMENT...]
 *
 * Prints OK, the name of the errno, or what the verb found, on one line. Exit status 0 for OK and findings, 1
 * for an errno, 2 for usage. Harmless outside a sandbox when called as the tests do: their controls pass
 * invalid pointers and descriptors where success would have an effect.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FOUND 1 /* the verb printed its result itself */

static char scratch[65536] __attribute__((aligned(64)));

static int last(long r)
{
    return r < 0 ? -errno : 0;
}

static unsigned long number(const char *s)
{
    return strtoul(s, NULL, 0);
}

/* ---- files ---- */

static int do_open(char **v)
{
    int flags = v[1][0] == 'w' ? O_WRONLY : v[1][0] == 'c' ? O_WRONLY | O_CREAT | O_EXCL : O_RDONLY;
    int fd = open(v[0], flags | O_CLOEXEC, 0600);

    if (fd < 0)
        return -errno;
    (void)close(fd);
    return 0;
}

static int do_cat(char **v)
{
    int fd = open(v[0], O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, scratch, sizeof(scratch) - 1);

    if (n < 0)
        return -errno;
    printf("%.*s\n", (int)strcspn(scratch, "\n"), scratch);
    return FOUND;
}

static int do_mkdir(char **v)
{
    return last(mkdir(v[0], 0700));
}

static int do_mknod(char **v)
{
    bool fifo = strcmp(v[1], "fifo") == 0, null = strcmp(v[1], "null") == 0;

    return last(mknod(v[0], (fifo ? S_IFIFO : S_IFCHR) | 0600, null ? makedev(1, 3) : 0));
}

static int do_chmod(char **v)
{
    return last(chmod(v[0], (mode_t)strtoul(v[1], NULL, 8)));
}

static int do_rename(char **v)
{
    return last(rename(v[0], v[1]));
}

static int do_link(char **v)
{
    return last(link(v[0], v[1]));
}

static int do_truncate(char **v)
{
    return last(truncate(v[0], 0));
}

static int do_touch(char **v)
{
    return last(utimensat(AT_FDCWD, v[0], NULL, 0));
}

static int do_mmap(char **v) /* a file as code */
{
    int fd = open(v[0], O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -errno : 0;
}

/* ---- sockets ---- */

static socklen_t unix_address(const char *path, struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(ret->sun_path, sizeof(ret->sun_path), "%s", path);
    if (path[0] == '@')
        ret->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + (path[0] == '@' ? 0 : 1));
}

static int unix_socket(const char *path, bool listens)
{
    struct sockaddr_un a;
    socklen_t len = unix_address(path, &a);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    if (listens ? bind(fd, (struct sockaddr *)&a, len) < 0 || listen(fd, 8) < 0
                : connect(fd, (struct sockaddr *)&a, len) < 0)
        return -errno;
    return fd;
}

static int do_unix(char **v)
{
    int fd = unix_socket(v[0], false);

    return fd < 0 ? fd : 0;
}

static int do_inet(char **v)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number(v[2]))};
    bool udp = strcmp(v[0], "udp") == 0;
    int fd = socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);

    if (fd < 0 || inet_pton(AF_INET, v[1], &a.sin_addr) != 1)
        return -errno;
    return last(udp ? sendto(fd, "x", 1, 0, (struct sockaddr *)&a, sizeof(a))
                    : connect(fd, (struct sockaddr *)&a, sizeof(a)));
}

/* Serves controls: listens on paths ("@NAME" is abstract) and on a port of 127.0.0.1, prints the port, stays
 * two minutes. */
static int do_listen(char **v)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof(a);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) < 0 || listen(fd, 8) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        return -errno;
    for (; *v; v++) {
        int r = unix_socket(*v, true);
        if (r < 0)
            return r;
    }
    printf("%u\n", ntohs(a.sin_port));
    (void)fflush(stdout);
    (void)alarm(120);
    (void)pause();
    return 0;
}

static bool family_opens(unsigned long family)
{
    for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type++) {
        long fd = syscall(SYS_socket, family, type, 0);
        if (fd >= 0) {
            (void)close((int)fd);
            return true;
        }
    }
    return false;
}

/* Families 0 to 50, each also with a bit above the 32 that the kernel looks at: "N" and "N+" for those that
 * open. */
static int do_families(char **v)
{
    (void)v;
    for (unsigned long f = 0; f <= 50; f++) {
        if (family_opens(f))
            printf("%lu ", f);
        if (family_opens(f | 1UL << 32))
            printf("%lu+ ", f);
    }
    printf("end\n");
    return FOUND;
}

/* Sends standard input to a socket and prints each line of the answer, until it ends or nothing comes for a
 * second. */
static int do_say(char **v)
{
    int fd = unix_socket(v[0], false);
    struct timeval second = {.tv_sec = 1};
    ssize_t n;

    if (fd < 0)
        return fd;
    (void)fcntl(fd, F_SETFL, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof(second));
    while ((n = read(0, scratch, sizeof(scratch))) > 0)
        if (send(fd, scratch, (size_t)n, MSG_NOSIGNAL) < 0)
            break;
    while ((n = recv(fd, scratch, sizeof(scratch), 0)) > 0)
        (void)fwrite(scratch, 1, (size_t)n, stdout);
    return FOUND;
}

/* Holds as many connections as it gets, at most N, for S seconds. */
static int do_hold(char **v)
{
    unsigned long n = 0;

    while (n < number(v[1]) && unix_socket(v[0], false) >= 0)
        n++;
    printf("held %lu\n", n);
    (void)fflush(stdout);
    (void)sleep((unsigned)number(v[2]));
    return FOUND;
}

/* ---- system calls ---- */

static const struct {
    const char *name;
    long nr;
} calls[] = {
    /* clang-format off */
    {"add_key", SYS_add_key}, {"bpf", SYS_bpf}, {"chroot", SYS_chroot},
    {"clock_settime", SYS_clock_settime}, {"fsopen", SYS_fsopen}, {"io_uring_setup", SYS_io_uring_setup},
    {"io_uring_enter", SYS_io_uring_enter}, {"io_uring_register", SYS_io_uring_register},
    {"ioctl", SYS_ioctl}, {"kcmp", SYS_kcmp}, {"keyctl", SYS_keyctl}, {"modify_ldt", SYS_modify_ldt},
    {"mount", SYS_mount}, {"move_mount", SYS_move_mount}, {"mount_setattr", SYS_mount_setattr},
    {"msgget", SYS_msgget}, {"name_to_handle_at", SYS_name_to_handle_at}, {"open_tree", SYS_open_tree},
    {"openat2", SYS_openat2}, {"perf_event_open", SYS_perf_event_open}, {"personality", SYS_personality},
    {"pidfd_getfd", SYS_pidfd_getfd}, {"pivot_root", SYS_pivot_root}, {"prctl", SYS_prctl},
    {"process_vm_readv", SYS_process_vm_readv}, {"process_vm_writev", SYS_process_vm_writev},
    {"ptrace", SYS_ptrace}, {"request_key", SYS_request_key}, {"seccomp", SYS_seccomp},
    {"setns", SYS_setns}, {"setuid", SYS_setuid}, {"umount2", SYS_umount2}, {"unshare", SYS_unshare},
    {"userfaultfd", SYS_userfaultfd}, {"memfd_create", SYS_memfd_create},
    /* clang-format on */
};

/* NUMBER, "=TEXT" (its address), "@" (address of zeroed memory), "!" (no valid address), "self" (own pid) */
static unsigned long argument(const char *s)
{
    if (s[0] == '=')
        return (unsigned long)(s + 1);
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

/* getpid of the 32-bit table, by the door that a filter for one architecture forgets. */
static int do_int80(char **v)
{
    int r;

    (void)v;
    __asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
    return r > 0 ? 0 : r;
}

static int reap(long pid)
{
    int status;

    if (pid == 0)
        _exit(0);
    return pid > 0 && waitpid((pid_t)pid, &status, __WALL) == pid ? 0 : -errno;
}

static int do_clone3(char **v)
{
    struct clone_args a = {.flags = number(v[0]), .exit_signal = SIGCHLD};

    return reap(syscall(SYS_clone3, &a, sizeof(a)));
}

static int do_clone(char **v)
{
    return reap(syscall(SYS_clone, number(v[0]) | SIGCHLD, 0, 0, 0, 0));
}

/* PR_SET_DUMPABLE is faked: what counts is what holds afterwards. */
static int do_dumpable(char **v)
{
    (void)v;
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return -errno;
    printf("dumpable %d\n", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
    return FOUND;
}

/* ---- running what is not a tool ---- */

static int copy_to(int to, const char *path)
{
    int from = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;

    while (from >= 0 && (n = read(from, scratch, sizeof(scratch))) > 0)
        if (write(to, scratch, (size_t)n) != n)
            return -errno;
    return from < 0 || n < 0 ? -errno : 0;
}

static int exec_fd(int fd, char **argv)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    (void)execv(path, argv);
    return -errno;
}

static int do_memfd(char **v)
{
    int fd = (int)syscall(SYS_memfd_create, "x", 0), r;

    if (fd < 0)
        return -errno;
    r = copy_to(fd, v[0]);
    return r < 0 ? r : exec_fd(fd, v);
}

static int do_tmpfile(char **v) /* DIRECTORY PROGRAM ARGUMENT... */
{
    int w = open(v[0], O_TMPFILE | O_RDWR, 0700), fd, r;
    char path[64];

    if (w < 0)
        return -errno;
    r = copy_to(w, v[1]);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", w);
    fd = open(path, O_RDONLY); /* without a writer left, otherwise ETXTBSY hides the answer */
    (void)close(w);
    return r < 0 ? r : fd < 0 ? -errno : exec_fd(fd, v + 1);
}

static int do_fdexec(char **v)
{
    int fd = open(v[0], O_RDONLY);

    return fd < 0 ? -errno : exec_fd(fd, v);
}

static int do_execveat(char **v)
{
    int fd = open(v[0], O_RDONLY);

    if (fd < 0)
        return -errno;
    (void)syscall(SYS_execveat, fd, "", v, environ, AT_EMPTY_PATH);
    return -errno;
}

/* ---- what it was born with ---- */

static int do_fds(char **v)
{
    DIR *d = opendir("/proc/self/fd");

    (void)v;
    if (!d)
        return -errno;
    for (int fd = 0; fd < 1024; fd++)
        if (fd != dirfd(d) && fcntl(fd, F_GETFD) >= 0)
            printf("%d ", fd);
    printf("end\n");
    return FOUND;
}

static int
do_status(char **v) /* lines of /proc/self/status that start with one of the words, their values joined */
{
    FILE *f = fopen("/proc/self/status", "re");

    if (!f)
        return -errno;
    while (fgets(scratch, sizeof(scratch), f))
        for (char **w = v; *w; w++)
            if (strncmp(scratch, *w, strlen(*w)) == 0 && strchr(scratch, '\t'))
                printf("%.*s ", (int)strcspn(strchr(scratch, '\t') + 1, "\n"), strchr(scratch, '\t') + 1);
    printf("end\n");
    return FOUND;
}

static int do_stdin(char **v)
{
    ssize_t n = read(0, scratch, 1);

    (void)v;
    printf("%s\n", n == 0 ? "EOF" : n > 0 ? "bytes" : strerrorname_np(errno));
    return FOUND;
}

static int do_kill(char **v)
{
    return last(kill((pid_t)number(v[0]), (int)number(v[1])));
}

/* How many of the pids 1 to N can be signalled. */
static int do_reach(char **v)
{
    pid_t max = (pid_t)number(v[0]);
    int n = 0;

    for (pid_t pid = 1; pid <= max; pid++)
        n += kill(pid, 0) == 0;
    printf("reach %d\n", n);
    return FOUND;
}

/* ---- races ---- */

struct race {
    const char *path[2]; /* permitted, secret */
    char *name;          /* what is opened */
    volatile bool stop, by_link;
};

static void *swapper(void *arg)
{
    struct race *r = arg;
    char other[4096];

    (void)snprintf(other, sizeof(other), "%.4000s.other", r->name);
    for (unsigned i = 1; !r->stop; i++) {
        if (r->by_link)
            (void)syscall(SYS_renameat2, AT_FDCWD, r->name, AT_FDCWD, other, RENAME_EXCHANGE);
        else
            memcpy(r->name, r->path[i & 1], strlen(r->path[i & 1]) + 1);
    }
    return NULL;
}

static int race(struct race *r, unsigned long rounds)
{
    unsigned long got[3] = {0}, changes = 0; /* permitted, secret, refused */
    time_t end = time(NULL) + 6;
    pthread_t thread;

    if (pthread_create(&thread, NULL, swapper, r) != 0)
        return -EAGAIN;
    /* So many, and on until the answer has changed often enough: that the race did take place. */
    for (unsigned long i = 0, was = 0; i < rounds || (changes < 20 && time(NULL) < end); i++) {
        char first = 0;
        int fd = open(r->name, O_RDONLY | O_CLOEXEC);
        unsigned long now = fd < 0 || read(fd, &first, 1) != 1 ? 2 : first == 'S';

        got[now]++;
        changes += now != was;
        was = now;
        if (fd >= 0)
            (void)close(fd);
    }
    r->stop = true;
    (void)pthread_join(thread, NULL);
    printf("permitted=%s refused=%s secret=%s changes=%s\n", got[0] ? "some" : "none",
           got[2] ? "some" : "none", got[1] ? "some" : "none", changes < 20 ? "few" : "many");
    return FOUND;
}

/* LINK PERMITTED SECRET ROUNDS: LINK points now to one, now to the other. The secret starts with an S. */
static int do_race(char **v)
{
    struct race r = {.path = {v[1], v[2]}, .name = v[0], .by_link = true};
    char other[4096];

    (void)snprintf(other, sizeof(other), "%.4000s.other", v[0]);
    if (symlink(v[1], v[0]) < 0 || symlink(v[2], other) < 0)
        return -errno;
    return race(&r, number(v[3]));
}

/* PERMITTED SECRET ROUNDS: the bytes of the path change while the call is under way. */
static int do_rewrite(char **v)
{
    static char name[4096];
    struct race r = {.path = {v[0], v[1]}, .name = name};

    if (strlen(v[0]) != strlen(v[1]) || strlen(v[0]) >= sizeof(name))
        return -EINVAL;
    memcpy(name, v[0], strlen(v[0]) + 1);
    return race(&r, number(v[2]));
}

/* ---- the table ---- */

static int do_child(char **v);

static const struct verb {
    const char *name;
    int args; /* at least */
    int (*fn)(char **v);
} verbs[] = {
    /* clang-format off */
    {"cat", 1, do_cat}, {"child", 1, do_child}, {"chmod", 2, do_chmod}, {"clone", 1, do_clone},
    {"clone3", 1, do_clone3}, {"dumpable", 0, do_dumpable}, {"execveat", 1, do_execveat},
    {"families", 0, do_families}, {"fdexec", 1, do_fdexec}, {"fds", 0, do_fds}, {"hold", 3, do_hold},
    {"inet", 3, do_inet}, {"int80", 0, do_int80}, {"kill", 2, do_kill}, {"link", 2, do_link},
    {"listen", 0, do_listen}, {"memfd", 1, do_memfd}, {"mkdir", 1, do_mkdir}, {"mknod", 2, do_mknod},
    {"mmap", 1, do_mmap}, {"open", 2, do_open}, {"race", 4, do_race}, {"reach", 1, do_reach},
    {"rename", 2, do_rename}, {"rewrite", 3, do_rewrite}, {"say", 1, do_say}, {"status", 1, do_status},
    {"stdin", 0, do_stdin}, {"sys", 1, do_sys}, {"tmpfile", 2, do_tmpfile}, {"touch", 1, do_touch},
    {"truncate", 1, do_truncate}, {"unix", 1, do_unix},
    /* clang-format on */
};

static int perform(int n, char **v)
{
    for (size_t i = 0; n > 0 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        int r;

        if (strcmp(verbs[i].name, v[0]) != 0 || n - 1 < verbs[i].args)
            continue;
        r = verbs[i].fn(v + 1);
        if (r == 0)
            printf("OK\n");
        else if (r < 0)
            printf("%s\n", strerrorname_np(-r));
        return r < 0;
    }
    (void)fprintf(stderr, "attack: no such verb, or too few arguments\n");
    return 2;
}

static int count(char **v)
{
    int n = 0;

    while (v[n])
        n++;
    return n;
}

/* Performs a verb in a child of its own and says which signal ended it. */
static int do_child(char **v)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        status = perform(count(v), v);
        (void)fflush(stdout);
        _exit(status);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return -errno;
    if (WIFSIGNALED(status))
        printf("killed by signal %d\n", WTERMSIG(status));
    return FOUND;
}

int main(int argc, char **argv)
{
    return perform(argc - 1, argv + 1);
}
