/*
 * varied.c - makes many different calls on many different paths, in threads, short-lived processes and under
 * a storm of signals, and writes down each answer that can have come from the policy. What the policy
 * recorded must be just that.
 *
 *   varied LOG SEED COUNT WORK OUTSIDE
 *
 * WORK holds rw/ (may be written), ro/ (may not), none/ (hidden) and to-rw, to-ro, to-none, to-out
 * (symlinks); OUTSIDE is a directory of the host that the sandbox does not show. In each of them f0 to f7
 * exist, m0 to m7 do not. Each thread has two of the names for itself: a file that another thread makes
 * between the look at a path and the call would be a race that this test is not about.
 *
 * A line is "SYSCALL PATH ERRNO HOW": EACCES and EPERM always are the policy's (all files are the caller's
 * own), ENOENT is where the path is hidden or exists outside. HOW tells how the call was made; it is for
 * people.
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
#define NAMES 8
#define OWN (NAMES / THREADS)

static const char *work, *outside;
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

static void choose(struct worker *w, enum zone zone, char kind, struct target *t)
{
    static const char *const names[] = {"rw", "ro", "none"};
    char leaf[32];

    t->zone = zone;
    /* Names stay of one kind: running a directory is refused by no policy. */
    t->there = pick(w, 2) && kind == 'm';
    (void)snprintf(leaf, sizeof(leaf), "%c%u", t->there ? 'f' : kind, w->id * OWN + pick(w, OWN));
    if (zone == OUT)
        (void)snprintf(t->canon, sizeof(t->canon), "%s/%s", outside, leaf);
    else
        (void)snprintf(t->canon, sizeof(t->canon), "%s/%s/%s", work, names[zone], leaf);
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
} calls[] = {
    {"open", c_open_r, 'm'},         {"open", c_open_w, 'm'},
    {"openat", c_openat_r, 'm'},     {"openat", c_openat_rw, 'm'},
    {"openat", c_openat_c, 'm'},     {"openat", c_openat_t, 'm'},
    {"creat", c_creat, 'm'},         {"truncate", c_truncate, 'm'},
    {"mkdir", c_mkdir, 'd'},         {"mkdirat", c_mkdirat, 'd'},
    {"rmdir", c_rmdir, 'd'},         {"unlink", c_unlink, 'm'},
    {"unlinkat", c_unlinkat, 'm'},   {"chmod", c_chmod, 'm'},
    {"fchmodat", c_fchmodat, 'm'},   {"utimensat", c_utimensat, 'm'},
    {"setxattr", c_setxattr, 'm'},   {"symlink", c_symlink, 'l'},
    {"symlinkat", c_symlinkat, 'l'}, {"mknodat", c_mknodat, 'p'},
    {"rename", c_rename_to, 'm'},    {"renameat2", c_renameat2_to, 'm'},
    {"link", c_link_to, 'm'},
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

static void note(struct worker *w, const char *name, const char *path, int e, const char *how)
{
    char line[1024];
    int n = snprintf(line, sizeof(line), "%s %s %s %s\n", name, path, strerrorname_np(e), how);

    while (w->len + (size_t)n + 1 > w->cap) {
        w->cap = w->cap ? w->cap * 2 : 65536;
        w->log = realloc(w->log, w->cap);
        if (!w->log)
            abort();
    }
    memcpy(w->log + w->len, line, (size_t)n + 1);
    w->len += (size_t)n;
}

static void judge(struct worker *w, const char *name, const struct target *t, int e)
{
    bool hidden = t->zone == NONE || (t->zone == OUT && t->there);

    if (e == EACCES || e == EPERM || (e == ENOENT && hidden))
        note(w, name, t->canon, e, t->how);
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

static void one(struct worker *w)
{
    unsigned what = pick(w, 100), i;
    struct target t;

    if (what < 10) {
        i = pick(w, sizeof(refused) / sizeof(refused[0]));
        if (done(syscall(refused[i].nr, -1L, 0L, 0L, 0L, 0L, 0L)) == EPERM)
            note(w, refused[i].name, "-", EPERM, "plain");
        return;
    }
    if (what < 14) {
        choose(w, (enum zone)pick(w, ZONES), 'm', &t);
        if (t.dirfd == AT_FDCWD)
            judge(w, "execve", &t, in_child(c_execve, &t));
        return;
    }
    i = pick(w, sizeof(calls) / sizeof(calls[0]));
    choose(w, (enum zone)pick(w, ZONES), calls[i].kind, &t);
    judge(w, calls[i].name, &t, what < 20 ? in_child(calls[i].fn, &t) : calls[i].fn(&t));
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

int main(int argc, char **argv)
{
    struct worker w[THREADS];
    pthread_t thread[THREADS];
    struct itimerval none = {0};
    FILE *log;

    if (argc != 6)
        return 2;
    work = argv[4];
    outside = argv[5];
    work_fd = open(work, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (chdir(work) < 0 || work_fd < 0)
        return 3;
    storm();
    for (unsigned i = 0; i < THREADS; i++) {
        w[i] = (struct worker){.id = i,
                               .state = strtoull(argv[2], NULL, 10) * 1000003 + i + 1,
                               .count = strtoul(argv[3], NULL, 10) / THREADS};
        if (pthread_create(&thread[i], NULL, run, &w[i]) != 0)
            return 4;
    }
    for (unsigned i = 0; i < THREADS; i++)
        (void)pthread_join(thread[i], NULL);
    (void)setitimer(ITIMER_REAL, &none, NULL);
    log = fopen(argv[1], "we");
    for (unsigned i = 0; log && i < THREADS; i++)
        (void)fwrite(w[i].log ? w[i].log : "", 1, w[i].len, log);
    return log && fclose(log) == 0 ? 0 : 5;
}
