/*
 * records.c - calls that are refused, with arguments that a record has to tell by name.
 *
 *   records calls DIR      one of each; DIR is a directory where nothing may be made
 *   records flood DIR N    N times the same, with other bits each time where the kernel looks at none
 *   records spawn N        N processes of it, one after the other, each with another argument
 *   records thread PATH    opens it in a second thread, named "second"
 *   records execs N PATH OTHER   opens it thrice, then executes OTHER to do the same; N times in all
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>

static long call(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
    return syscall(nr, a, b, c, d, e, 0x5a5a5a5a5a5a5a5aull);
}

#define P(p) ((uint64_t)(uintptr_t)(p))

static int calls(const char *dir)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = 0x5000, .sin_addr = {0x0100007f}};
    char path[4096];
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    (void)snprintf(path, sizeof(path), "%s/new", dir);
    (void)call(SYS_openat, (uint64_t)AT_FDCWD, P(path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 04640, 0);
    (void)call(SYS_openat, (uint64_t)AT_FDCWD, P(dir), O_RDWR | O_TMPFILE, 0600, 0);
    (void)call(SYS_open, P(path), O_RDWR | O_CREAT | O_SYNC, 0666, 0, 0);
    (void)call(SYS_mkdir, P(path), 01755, 0, 0, 0);
    (void)call(SYS_mkdirat, (uint64_t)AT_FDCWD, P(path), 0750, 0, 0);
    (void)call(SYS_mknod, P(path), S_IFIFO | 0620, 0, 0, 0);
    (void)call(SYS_chmod, P(dir), 0777, 0, 0, 0);
    (void)call(SYS_chown, P(dir), 12, (uint32_t)-1, 0, 0);
    (void)call(SYS_unlinkat, (uint64_t)AT_FDCWD, P(dir), AT_REMOVEDIR, 0, 0);
    (void)call(SYS_renameat2, (uint64_t)AT_FDCWD, P(dir), (uint64_t)AT_FDCWD, P(path), RENAME_NOREPLACE);
    (void)call(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 9, 0, 0);
    (void)call(SYS_socket, AF_PACKET, SOCK_DGRAM, 0, 0, 0);
    (void)call(SYS_socket, AF_INET, SOCK_RAW, IPPROTO_ICMP, 0, 0);
    (void)call(SYS_connect, (uint64_t)fd, P(&in), sizeof(in), 0, 0);
    (void)call(SYS_unshare, CLONE_NEWUSER | CLONE_NEWNS, 0, 0, 0, 0);
    (void)call(SYS_setns, 0, CLONE_NEWNET, 0, 0, 0);
    (void)call(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
    (void)call(SYS_mount, 0, P("/tmp"), 0, MS_BIND | MS_REC, 0);
    (void)call(SYS_umount2, P("/tmp"), MNT_DETACH, 0, 0, 0);
    (void)call(SYS_ioctl, 0, TIOCSTI, P("x"), 0, 0);
    (void)call(SYS_prctl, PR_SET_SECCOMP, 2, 0, 0, 0);
    (void)call(SYS_ptrace, PTRACE_ATTACH, 1, 0, 0, 0);
    (void)call(SYS_kill, 1, SIGUSR1, 0, 0, 0);
    (void)call(SYS_pidfd_getfd, 3, 4, 0, 0, 0);
    close(fd);
    return 0;
}

static int flood(const char *dir, long n)
{
    char path[4096], copy[2][4096];
    uint64_t x = 88172645463325252ull;

    (void)snprintf(path, sizeof(path), "%s/new", dir);
    for (long i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(copy[i & 1], path, sizeof(path)); /* another pointer */
        (void)syscall(SYS_mkdir, copy[i & 1], (x << 16) | 0755, x, x, x, x);
        (void)syscall(SYS_openat, (x << 32) | (uint32_t)AT_FDCWD, copy[i & 1], (x << 32) | O_WRONLY, x, x, x);
        (void)syscall(SYS_unshare, (x << 32) | CLONE_NEWUSER, x, x, x, x, x);
        (void)syscall(SYS_pidfd_getfd, (x << 32) | 3, (x << 32) | 4, x << 32, x, x, x);
    }
    return 0;
}

/* N children that execute this program with an argument of their own. */
static int spawn(const char *self, long n)
{
    for (long i = 0; i < n; i++) {
        char number[32];
        pid_t pid;

        (void)snprintf(number, sizeof(number), "%ld", i);
        pid = fork();
        if (pid == 0) {
            (void)execl(self, self, "nothing", number, (char *)NULL);
            _exit(1);
        }
        if (pid < 0 || waitpid(pid, NULL, 0) != pid)
            return 1;
    }
    return 0;
}

static void *second(void *path)
{
    (void)prctl(PR_SET_NAME, "second");
    (void)!open(path, O_RDONLY);
    return NULL;
}

static int in_thread(char *path)
{
    pthread_t t;

    return pthread_create(&t, NULL, second, path) || pthread_join(t, NULL);
}

/* The same process under two programs by turns: each record must have the one that it was. */
static int execs(char **argv, long left, const char *path)
{
    const char *self = argv[0], *other = argv[4];
    char number[32];

    for (int i = 0; i < 3; i++)
        (void)!open(path, O_RDONLY);
    if (left == 0)
        return 0;
    (void)snprintf(number, sizeof(number), "%ld", left - 1);
    (void)execl(other, other, "execs", number, path, self, (char *)NULL);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "calls") == 0)
        return calls(argv[2]);
    if (argc == 4 && strcmp(argv[1], "flood") == 0)
        return flood(argv[2], strtol(argv[3], NULL, 10));
    if (argc == 3 && strcmp(argv[1], "nothing") == 0)
        return 0;
    if (argc == 3 && strcmp(argv[1], "spawn") == 0)
        return spawn(argv[0], strtol(argv[2], NULL, 10));
    if (argc == 3 && strcmp(argv[1], "thread") == 0)
        return in_thread(argv[2]);
    if (argc == 5 && strcmp(argv[1], "execs") == 0)
        return execs(argv, strtol(argv[2], NULL, 10), argv[3]);
    return 2;
}
