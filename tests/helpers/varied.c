/*
 * varied.c - makes many different calls on many different paths, in threads, short-lived processes, processes
 * that become this program anew again and again, and under a storm of signals, and writes down each answer
 * that can have come from the policy. What the policy recorded must be just that.
 *
 *   varied LOG SEED COUNT WORK OUTSIDE [ID ROUNDS]
 *
 * WORK holds rw/ (may be written), ro/ (may not), none/ (hidden) and to-rw, to-ro, to-none, to-out
 * (symlinks); OUTSIDE is a directory of the host that the sandbox does not show. In each of them f0 to f11
 * exist, m0 to m11 do not. Each worker has two of the names for itself: a file that another one makes
 * between the look at a path and the call would be a race that this test is not about. The last two workers
 * are processes that make COUNT calls in ROUNDS lives (ID and ROUNDS are how one life tells the next), the
 * others threads. A SEED with an n at its end leaves none/ alone.
 *
 * A line is "SYSCALL PATH ERRNO LEVEL HOW": EACCES and EPERM always are the policy's (all files are the
 * caller's own), ENOENT is where the path is hidden or exists outside. LEVEL is the audit level from which on
 * such a call is watched. HOW tells how the call was made; it is for people.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define THREADS 4
#define PROCESSES 2
#define ROUNDS 40
#define OWN 2 /* names a worker */

static const char *work, *outside;
static bool spare_none;
static int work_fd;

struct worker {
    unsigned id;
    uint64_t state; /* xorshift */
    unsigned long count;
    char *log;
    size_t len, cap;
};

static unsigned pick(struct worker *w, unsigned n)
{
    w->state ^= w->state << 13;
    w->state ^= w->state >> 7;
    w->state ^= w->state << 17;
    return (unsigned)(w->state >> 33) % n;
}

/* ---- paths ---- */

enum zone { RW, RO, NONE, OUT, ZONES };

struct target {
    enum zone zone;
    bool there;       /* so it was at the start */
    char canon[512];  /* what a record must say */
    char spell[1024]; /* as the call gets it */
    int dirfd;        /* for calls that take one */
    const char *how;
};

static void spell_it(struct worker *w, struct target *t, const char *leaf)
{
    static const char *const dirs[] = {"rw", "ro", "none", NULL}, *const links[] = {"to-rw", "to-ro",
                                                                                    "to-none", "to-out"};
    const char *dir = dirs[t->zone];
    unsigned way = pick(w, 5);

    t->dirfd = AT_FDCWD;
    if (way == 0) {
        t->how = "absolute";
        (void)snprintf(t->spell, sizeof(t->spell), "%s", t->canon);
    } else if (way == 1) {
        t->how = "symlink";
        (void)snprintf(t->spell, sizeof(t->spell), "%s/%s/%s", work, links[t->zone], leaf);
    } else if (way == 2) {
        t->how = "dots";
        (void)snprintf(t->spell, sizeof(t->spell), "%s/rw/../ro/.././/%s/%s", work,
                       dir ? dir : links[t->zone], leaf);
    } else if (way == 3) {
        t->how = "cwd";
        (void)snprintf(t->spell, sizeof(t->spell), "%s/%s", dir ? dir : links[t->zone], leaf);
    } else {
        t->how = "dirfd";
        t->dirfd = work_fd;
        (void)snprintf(t->spell, sizeof(t->spell), "./%s/%s", dir ? dir : links[t->zone], leaf);
    }
}

#define THE_DIRECTORY 'D' /* the zone itself */

static void choose(struct worker *w, enum zone zone, char kind, struct target *t)
{
    static const char *const names[] = {"rw", "ro", "none"};
    char leaf[32];

    t->zone = zone;
    /* Names stay of one kind: running a directory is refused by no policy. */
    t->there = (pick(w, 2) && kind == 'm') || kind == THE_DIRECTORY;
    (void)snprintf(leaf, sizeof(leaf), "%c%u", t->there ? 'f' : kind, w->id * OWN + pick(w, OWN));
    if (kind == THE_DIRECTORY)
        leaf[0] = '\0';
    if (zone == OUT)
        (void)snprintf(t->canon, sizeof(t->canon), "%s%s%s", outside, leaf[0] ? "/" : "", leaf);
    else
        (void)snprintf(t->canon, sizeof(t->canon), "%s/%s%s%s", work, names[zone], leaf[0] ? "/" : "", leaf);
    spell_it(w, t, leaf);
}

/* ---- calls; each returns 0 or an errno ---- */

static int done(long r)
{
    if (r >= 0)
        return 0;
    return errno;
}

static int opened(long fd)
{
    int e = done(fd);

    if (fd >= 0)
        (void)close((int)fd);
    return e;
}

typedef int (*call_fn)(const struct target *t);

static int c_open_r(const struct target *t)
{
    return opened(syscall(SYS_open, t->spell, O_RDONLY | O_NONBLOCK));
}
static int c_open_w(const struct target *t)
{
    return opened(syscall(SYS_open, t->spell, O_WRONLY | O_NONBLOCK));
}
static int c_openat_r(const struct target *t)
{
    return opened(syscall(SYS_openat, t->dirfd, t->spell, O_RDONLY | O_NONBLOCK));
}
static int c_openat_rw(const struct target *t)
{
    return opened(syscall(SYS_openat, t->dirfd, t->spell, O_RDWR | O_NONBLOCK));
}
static int c_openat_c(const struct target *t)
{
    return opened(syscall(SYS_openat, t->dirfd, t->spell, O_WRONLY | O_CREAT | O_NONBLOCK, 0644));
}
static int c_openat_t(const struct target *t)
{
    return opened(syscall(SYS_openat, t->dirfd, t->spell, O_RDONLY | O_TRUNC | O_NONBLOCK));
}
static int c_creat(const struct target *t)
{
    return opened(syscall(SYS_creat, t->spell, 0644));
}
static int c_truncate(const struct target *t)
{
    return done(syscall(SYS_truncate, t->spell, 1L));
}
static int c_mkdir(const struct target *t)
{
    return done(syscall(SYS_mkdir, t->spell, 0755));
}
static int c_mkdirat(const struct target *t)
{
    return done(syscall(SYS_mkdirat, t->dirfd, t->spell, 0755));
}
static int c_rmdir(const struct target *t)
{
    return done(syscall(SYS_rmdir, t->spell));
}
static int c_unlink(const struct target *t)
{
    return done(syscall(SYS_unlink, t->spell));
}
static int c_unlinkat(const struct target *t)
{
    return done(syscall(SYS_unlinkat, t->dirfd, t->spell, 0));
}
static int c_chmod(const struct target *t)
{
    return done(syscall(SYS_chmod, t->spell, 0640));
}
static int c_fchmodat(const struct target *t)
{
    return done(syscall(SYS_fchmodat, t->dirfd, t->spell, 0600));
}
static int c_utimensat(const struct target *t)
{
    return done(syscall(SYS_utimensat, t->dirfd, t->spell, NULL, 0));
}
static int c_setxattr(const struct target *t)
{
    return done(syscall(SYS_setxattr, t->spell, "user.x", "1", 1UL, 0));
}
static int c_symlink(const struct target *t)
{
    return done(syscall(SYS_symlink, "anywhere", t->spell));
}
static int c_symlinkat(const struct target *t)
{
    return done(syscall(SYS_symlinkat, "anywhere", t->dirfd, t->spell));
}
static int c_mknodat(const struct target *t)
{
    return done(syscall(SYS_mknodat, t->dirfd, t->spell, S_IFIFO | 0600, 0));
}
/* A file of the caller's own that may be renamed: only the target can be refused. */
static const char *source(char name[64])
{
    int fd;

    (void)snprintf(name, 64, "rw/s%ld", (long)syscall(SYS_gettid));
    fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || close(fd) < 0)
        abort();
    return name;
}

static int c_rename_to(const struct target *t)
{
    char name[64];

    return done(syscall(SYS_rename, source(name), t->spell));
}

static int c_renameat2_to(const struct target *t)
{
    char name[64];

    return done(syscall(SYS_renameat2, AT_FDCWD, source(name), t->dirfd, t->spell, 0));
}

static int c_link_to(const struct target *t)
{
    char name[64];

    return done(syscall(SYS_link, source(name), t->spell));
}

static int c_openat_d(const struct target *t)
{
    return opened(syscall(SYS_openat, t->dirfd, t->spell, O_RDONLY | O_DIRECTORY | O_NONBLOCK));
}

/* ---- looks ---- */

static __thread char looked[4096] __attribute__((aligned(16))); /* what it gave; nobody reads it */

static int c_stat(const struct target *t)
{
    return done(syscall(SYS_stat, t->spell, looked));
}
static int c_lstat(const struct target *t)
{
    return done(syscall(SYS_lstat, t->spell, looked));
}
static int c_newfstatat(const struct target *t)
{
    return done(syscall(SYS_newfstatat, t->dirfd, t->spell, looked, AT_SYMLINK_NOFOLLOW));
}
static int c_statx(const struct target *t)
{
    return done(syscall(SYS_statx, t->dirfd, t->spell, 0, STATX_BASIC_STATS, looked));
}
static int c_access(const struct target *t)
{
    return done(syscall(SYS_access, t->spell, F_OK));
}
static int c_faccessat(const struct target *t)
{
    return done(syscall(SYS_faccessat, t->dirfd, t->spell, R_OK));
}
static int c_faccessat2(const struct target *t)
{
    return done(syscall(SYS_faccessat2, t->dirfd, t->spell, R_OK, AT_EACCESS));
}
static int c_readlink(const struct target *t)
{
    return done(syscall(SYS_readlink, t->spell, looked, sizeof(looked)));
}
static int c_readlinkat(const struct target *t)
{
    return done(syscall(SYS_readlinkat, t->dirfd, t->spell, looked, sizeof(looked)));
}
static int c_getxattr(const struct target *t)
{
    return done(syscall(SYS_getxattr, t->spell, "user.x", looked, sizeof(looked)));
}
static int c_listxattr(const struct target *t)
{
    return done(syscall(SYS_listxattr, t->spell, looked, sizeof(looked)));
}
static int c_statfs(const struct target *t)
{
    return done(syscall(SYS_statfs, t->spell, looked));
}
/* Only ever in a process of its own. */
static int c_chdir(const struct target *t)
{
    return done(syscall(SYS_chdir, t->spell));
}

static int c_execve(const struct target *t)
{
    char *argv[] = {(char *)(uintptr_t)t->spell, NULL}, *env[] = {NULL};

    return done(execve(t->spell, argv, env));
}

static const struct {
    const char *name;
    call_fn fn;
    char kind; /* first letter of names that are not there: directories are made under other names than files
                */
    const char *level;
} calls[] = {
    {"open", c_open_r, 'm', "opens"},
    {"open", c_open_w, 'm', "writes"},
    {"openat", c_openat_r, 'm', "opens"},
    {"openat", c_openat_rw, 'm', "writes"},
    {"openat", c_openat_c, 'm', "writes"},
    {"openat", c_openat_t, 'm', "writes"},
    {"openat", c_openat_d, THE_DIRECTORY, "opens"},
    {"creat", c_creat, 'm', "writes"},
    {"truncate", c_truncate, 'm', "writes"},
    {"mkdir", c_mkdir, 'd', "writes"},
    {"mkdirat", c_mkdirat, 'd', "writes"},
    {"rmdir", c_rmdir, 'd', "writes"},
    {"unlink", c_unlink, 'm', "writes"},
    {"unlinkat", c_unlinkat, 'm', "writes"},
    {"chmod", c_chmod, 'm', "writes"},
    {"fchmodat", c_fchmodat, 'm', "writes"},
    {"utimensat", c_utimensat, 'm', "writes"},
    {"setxattr", c_setxattr, 'm', "writes"},
    {"symlink", c_symlink, 'l', "writes"},
    {"symlinkat", c_symlinkat, 'l', "writes"},
    {"mknodat", c_mknodat, 'p', "writes"},
    {"rename", c_rename_to, 'm', "writes"},
    {"renameat2", c_renameat2_to, 'm', "writes"},
    {"link", c_link_to, 'm', "writes"},
    {"stat", c_stat, 'm', "paths"},
    {"stat", c_stat, THE_DIRECTORY, "paths"},
    {"lstat", c_lstat, 'm', "paths"},
    {"newfstatat", c_newfstatat, 'm', "paths"},
    {"statx", c_statx, 'm', "paths"},
    {"access", c_access, 'm', "paths"},
    {"faccessat", c_faccessat, 'm', "paths"},
    {"faccessat2", c_faccessat2, 'm', "paths"},
    {"readlink", c_readlink, 'm', "paths"},
    {"readlinkat", c_readlinkat, 'm', "paths"},
    {"getxattr", c_getxattr, 'm', "paths"},
    {"listxattr", c_listxattr, 'm', "paths"},
    {"statfs", c_statfs, 'm', "paths"},
    {"chdir", c_chdir, THE_DIRECTORY, "paths"},
};

static const struct {
    const char *name;
    long nr;
} refused[] = {
    {"mount", SYS_mount},
    {"umount2", SYS_umount2},
    {"ptrace", SYS_ptrace},
    {"unshare", SYS_unshare},
    {"setns", SYS_setns},
    {"keyctl", SYS_keyctl},
    {"add_key", SYS_add_key},
    {"bpf", SYS_bpf},
    {"perf_event_open", SYS_perf_event_open},
    {"pivot_root", SYS_pivot_root},
    {"chroot", SYS_chroot},
    {"open_by_handle_at", SYS_open_by_handle_at},
    {"userfaultfd", SYS_userfaultfd},
    {"io_uring_setup", SYS_io_uring_setup},
    {"process_vm_readv", SYS_process_vm_readv},
    {"clone3", SYS_clone3}, /* these answer ENOSYS, which is no denial */
    {"openat2", SYS_openat2},
    {"memfd_create", SYS_memfd_create},
};

/* ---- the log ---- */

static void note(struct worker *w, const char *name, const char *path, int e, const char *level,
                 const char *how)
{
    char line[1024];
    int n = snprintf(line, sizeof(line), "%s %s %s %s %s\n", name, path, strerrorname_np(e), level, how);

    while (w->len + (size_t)n + 1 > w->cap) {
        w->cap = w->cap ? w->cap * 2 : 65536;
        w->log = realloc(w->log, w->cap);
        if (!w->log)
            abort();
    }
    memcpy(w->log + w->len, line, (size_t)n + 1);
    w->len += (size_t)n;
}

static void judge(struct worker *w, const char *name, const char *level, const struct target *t, int e)
{
    bool hidden = t->zone == NONE || (t->zone == OUT && t->there);

    if (e == EACCES || e == EPERM || (e == ENOENT && hidden))
        note(w, name, t->canon, e, level, t->how);
}

/* In a process of its own: the answer is its exit status. */
static int in_child(call_fn fn, const struct target *t)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(fn(t) & 0xff);
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
        abort();
    return WEXITSTATUS(status);
}

static enum zone some_zone(struct worker *w)
{
    enum zone zone = (enum zone)pick(w, ZONES);

    return zone == NONE && spare_none ? RO : zone;
}

static void one(struct worker *w)
{
    unsigned what = pick(w, 100), i;
    struct target t;

    if (what < 10) {
        i = pick(w, sizeof(refused) / sizeof(refused[0]));
        if (done(syscall(refused[i].nr, -1L, 0L, 0L, 0L, 0L, 0L)) == EPERM)
            note(w, refused[i].name, "-", EPERM, "writes", "plain");
        return;
    }
    if (what < 14) {
        choose(w, some_zone(w), 'm', &t);
        if (t.dirfd == AT_FDCWD)
            judge(w, "execve", "writes", &t, in_child(c_execve, &t));
        return;
    }
    i = pick(w, sizeof(calls) / sizeof(calls[0]));
    choose(w, some_zone(w), calls[i].kind, &t);
    judge(w, calls[i].name, calls[i].level, &t,
          what < 20 || calls[i].fn == c_chdir ? in_child(calls[i].fn, &t) : calls[i].fn(&t));
}

static void *run(void *arg)
{
    struct worker *w = arg;

    for (unsigned long i = 0; i < w->count; i++)
        one(w);
    return NULL;
}

static void on_alarm(int signo)
{
    (void)signo;
}

static void storm(void)
{
    struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval every = {{0, 2000}, {0, 2000}};

    (void)sigaction(SIGALRM, &sa, NULL);
    (void)setitimer(ITIMER_REAL, &every, NULL);
}

static void calm(void)
{
    struct itimerval none = {0};

    (void)setitimer(ITIMER_REAL, &none, NULL);
    (void)signal(SIGALRM, SIG_IGN);
}

static void start(struct worker *w, unsigned id, char **argv)
{
    *w = (struct worker){.id = id,
                         .state = strtoull(argv[2], NULL, 10) * 1000003 + id + 1,
                         .count = strtoul(argv[3], NULL, 10) / (THREADS + PROCESSES)};
}

static bool append(const char *name, const struct worker *w)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    bool ok = fd >= 0 && (w->len == 0 || write(fd, w->log, w->len) == (ssize_t)w->len);

    return fd >= 0 && close(fd) == 0 && ok;
}

/* One life: some of the calls, then the same program again, with another seed. */
static int live(char **argv, unsigned id, unsigned rounds)
{
    char seed[32], left[32];
    struct worker w;

    start(&w, id, argv);
    w.count /= ROUNDS;
    w.state += rounds * UINT64_C(7919);
    storm();
    (void)run(&w);
    calm();
    if (!append(argv[1], &w))
        return 6;
    free(w.log);
    if (rounds <= 1)
        return 0;
    (void)snprintf(seed, sizeof(seed), "%s", argv[2]);
    (void)snprintf(left, sizeof(left), "%u", rounds - 1);
    (void)execl(argv[0], argv[0], argv[1], seed, argv[3], argv[4], argv[5], argv[6], left, (char *)NULL);
    return 7;
}

static pid_t start_process(char **argv, unsigned id)
{
    char number[32], rounds[32];
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    (void)snprintf(number, sizeof(number), "%u", id);
    (void)snprintf(rounds, sizeof(rounds), "%u", ROUNDS);
    (void)execl(argv[0], argv[0], argv[1], argv[2], argv[3], argv[4], argv[5], number, rounds, (char *)NULL);
    _exit(8);
}

/* All workers; the threads' lines are written when all is over. */
static int live_all(char **argv)
{
    struct worker w[THREADS];
    pthread_t thread[THREADS];
    pid_t pid[PROCESSES];
    int status, rc = 0;

    for (unsigned i = 0; i < PROCESSES; i++)
        pid[i] = start_process(argv, THREADS + i);
    storm();
    for (unsigned i = 0; i < THREADS; i++) {
        start(&w[i], i, argv);
        if (pthread_create(&thread[i], NULL, run, &w[i]) != 0)
            return 4;
    }
    for (unsigned i = 0; i < THREADS; i++)
        (void)pthread_join(thread[i], NULL);
    calm();
    for (unsigned i = 0; i < PROCESSES; i++)
        if (pid[i] < 0 || waitpid(pid[i], &status, 0) < 0 || status != 0)
            rc = 9;
    for (unsigned i = 0; i < THREADS; i++)
        if (!append(argv[1], &w[i]))
            rc = 5;
    return rc;
}

int main(int argc, char **argv)
{
    if (argc != 6 && argc != 8)
        return 2;
    work = argv[4];
    outside = argv[5];
    spare_none = strchr(argv[2], 'n') != NULL;
    work_fd = open(work, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (chdir(work) < 0 || work_fd < 0)
        return 3;
    if (argc == 8)
        return live(argv, (unsigned)strtoul(argv[6], NULL, 10), (unsigned)strtoul(argv[7], NULL, 10));
    return live_all(argv);
}
