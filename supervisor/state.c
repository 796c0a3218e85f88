/* state.c - the state directory and run directories. See state.h. */
#include "supervisor/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "common/escape.h"
#include "common/exit.h"
#include "common/io.h"

#define ID_MAX 64
#define LOCK_TRIES 10
#define LOCK_WAIT_US 20000

/* realpath() of the longest part that exists, with the rest appended: symlinks must not hide where state will
 * lie. */
static char *resolve_existing(const char *path)
{
    ORCH_AUTO_FREE char *head = orch_xstrdup(path);
    size_t n = strlen(head);

    for (;;) {
        ORCH_AUTO_FREE char *real = realpath(head, NULL);
        if (real)
            return orch_xasprintf("%s%s", strcmp(real, "/") == 0 && path[n] ? "" : real, path + n);
        while (n > 1 && head[n - 1] != '/')
            n--;
        n = n > 1 ? n - 1 : n;
        if (n <= 1)
            return orch_xstrdup(path);
        head[n] = '\0';
    }
}

static char *default_state(void)
{
    const char *v = getenv("ORCH_SANDBOX_STATE");

    if (v && *v)
        return orch_xstrdup(v);
    v = getenv("XDG_STATE_HOME");
    if (v && *v == '/') /* the XDG specification: relative values are to be ignored */
        return orch_xasprintf("%s/orch-sandbox", v);
    v = getenv("HOME");
    return v && *v == '/' ? orch_xasprintf("%s/.local/state/orch-sandbox", v) : NULL;
}

int orch_state_resolve(const char *option, char **ret, struct orch_err *err)
{
    ORCH_AUTO_FREE char *chosen = option ? orch_xstrdup(option) : default_state();
    ORCH_AUTO_FREE char *cwd = NULL;
    ORCH_AUTO_FREE char *normal = NULL;

    if (!chosen || !*chosen)
        return orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL,
                             "no state directory: HOME is not set; give --state DIR");
    cwd = getcwd(NULL, 0);
    if (!cwd)
        return orch_err_exit(err, ORCH_EXIT_USAGE, errno, "the current directory cannot be read");
    normal = orch_path_normalize(cwd, chosen);
    *ret = resolve_existing(normal);
    return 0;
}

static int state_error(struct orch_err *err, int errnum, const char *what, const char *path)
{
    ORCH_AUTO_FREE char *shown = orch_escape_str(path);
    int r = orch_err_sys(err, errnum, "%s '%s'", what, shown);

    if (err)
        err->exit_code = ORCH_EXIT_STATE;
    return r;
}

int orch_state_make(const char *state, struct orch_err *err)
{
    ORCH_AUTO_FREE char *runs = orch_xasprintf("%s/runs", state);
    int r = orch_mkdir_p(runs, 0700);

    if (r < 0)
        return state_error(err, -r, "cannot create the state directory", runs);
    if (faccessat(AT_FDCWD, state, W_OK | X_OK, AT_EACCESS) < 0)
        return state_error(err, errno, "cannot write the state directory", state);
    return 0;
}

int orch_state_prepare(const char *state, struct orch_err *err)
{
    ORCH_AUTO_FREE char *probe = orch_xasprintf("%s/.probe-%ld", state, (long)getpid());
    int r = orch_state_make(state, err);

    if (r < 0)
        return r;
    if (mkdir(probe, 0700) < 0)
        return state_error(err, errno, "cannot write the state directory", state);
    (void)rmdir(probe);
    return 0;
}

struct orch_closure_cache *orch_state_closures(const char *state)
{
    ORCH_AUTO_FREE char *dir = orch_xasprintf("%s/cache", state);

    return orch_closure_cache_new(dir);
}

bool orch_run_id_valid(const char *id)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t n = strlen(id);

    return n > 0 && n <= ID_MAX && !strchr("._-", id[0]) && strspn(id, allowed) == n;
}

static char *new_run_id(void)
{
    char stamp[32] = "0";
    uint32_t random = 0;
    time_t now = time(NULL);
    struct tm tm;

    if (gmtime_r(&now, &tm))
        (void)strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        random = (uint32_t)orch_now_ms() ^ (uint32_t)getpid(); /* unique is enough, mkdir decides */
    return orch_xasprintf("r-%s-%08x", stamp, random);
}

static int make_parts(struct orch_rundir *r, struct orch_err *err)
{
    static const char *const parts[] = {"inputs", "layers", "logs"};

    for (size_t i = 0; i < ORCH_NELEM(parts); i++)
        if (mkdirat(r->fd, parts[i], 0700) < 0)
            return state_error(err, errno, "cannot create the run directory", r->path);
    return 0;
}

static int open_dir(struct orch_rundir *r)
{
    r->fd = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return r->fd < 0 ? -errno : 0;
}

/* Without entries, or not there at all. */
static bool is_empty(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    bool empty = d || errno == ENOENT;

    for (struct dirent *e; d && (e = readdir(d));)
        empty = empty && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0);
    if (d)
        (void)closedir(d);
    return empty;
}

/* No complete first record and no layer: its supervisor was killed before the run began. */
bool orch_rundir_never_began(int dir)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    int r = orch_read_file(dir, "journal.jsonl", 1u << 20, &b);

    if (r < 0 && r != -ENOENT)
        return false;
    if (b.len && memchr(b.data, '\n', b.len))
        return false;
    return is_empty(dir, "layers");
}

/* Everything in it but the lock, which is held. */
static void empty(int dir)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

    for (struct dirent *e; d && (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && strcmp(e->d_name, "lock") != 0)
            (void)orch_rm_rf(dir, e->d_name);
    if (d)
        (void)closedir(d);
}

/* A directory of our own, locked: made, or one of the same name in which nothing ever began, emptied under
 * its lock. */
static int make_run_dir(struct orch_rundir *r, struct orch_err *err)
{
    bool made = mkdir(r->path, 0700) == 0;
    int e = made || errno == EEXIST ? open_dir(r) : -errno;

    if (e < 0)
        return state_error(err, -e, "cannot create the run directory", r->path);
    e = orch_rundir_lock(r, err);
    if (e < 0 && err->exit_code != ORCH_EXIT_BUSY)
        return e;
    if (e < 0 || (!made && !orch_rundir_never_began(r->fd)))
        return orch_err_exit(err, ORCH_EXIT_USAGE, EEXIST,
                             "run '%s' exists already; continue it with: orch-sandbox resume %s", r->id,
                             r->id);
    empty(r->fd);
    return 0;
}

int orch_rundir_create(const char *state, const char *id, struct orch_rundir *ret, struct orch_err *err)
{
    struct orch_rundir r = ORCH_RUNDIR_NONE;
    ORCH_AUTO_FREE char *runs = orch_xasprintf("%s/runs", state);
    int e = 0;

    r.id = id ? orch_xstrdup(id) : new_run_id();
    r.path = orch_xasprintf("%s/%s", runs, r.id);
    e = make_run_dir(&r, err);
    if (e == 0)
        e = make_parts(&r, err);
    if (e == 0 && (e = orch_fsync_dir(AT_FDCWD, runs)) < 0)
        e = state_error(err, -e, "cannot write", runs);
    if (e < 0) {
        orch_rundir_close(&r);
        return e;
    }
    *ret = r;
    return 0;
}

/* The run whose journal was written last, or NULL. */
static char *newest_run(const char *runs)
{
    DIR *dir = opendir(runs);
    struct timespec best = {0};
    char *found = NULL;

    for (struct dirent *e; dir && (e = readdir(dir));) {
        ORCH_AUTO_FREE char *journal = NULL;
        struct stat st;

        if (!orch_run_id_valid(e->d_name))
            continue;
        journal = orch_xasprintf("%s/journal.jsonl", e->d_name);
        if (fstatat(dirfd(dir), journal, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (found && (st.st_mtim.tv_sec < best.tv_sec ||
                      (st.st_mtim.tv_sec == best.tv_sec && st.st_mtim.tv_nsec <= best.tv_nsec)))
            continue;
        best = st.st_mtim;
        free(found);
        found = orch_xstrdup(e->d_name);
    }
    if (dir)
        (void)closedir(dir);
    return found;
}

int orch_rundir_open(const char *state, const char *id, struct orch_rundir *ret, struct orch_err *err)
{
    struct orch_rundir r = ORCH_RUNDIR_NONE;
    ORCH_AUTO_FREE char *runs = orch_xasprintf("%s/runs", state);
    ORCH_AUTO_FREE char *shown = orch_escape_str(id ? id : runs);
    int e;

    if (id && !orch_run_id_valid(id))
        return orch_err_exit(err, ORCH_EXIT_USAGE, EINVAL, "'%s' is not a run id", shown);
    r.id = id ? orch_xstrdup(id) : newest_run(runs);
    if (!r.id)
        return orch_err_exit(err, ORCH_EXIT_USAGE, ENOENT, "there is no run in '%s'", shown);
    r.path = orch_xasprintf("%s/%s", runs, r.id);
    e = open_dir(&r);
    if (e == -ENOENT)
        e = orch_err_exit(err, ORCH_EXIT_USAGE, ENOENT,
                          "there is no run '%s' in this state directory (--state DIR names another)", shown);
    else if (e < 0)
        e = state_error(err, -e, "cannot open", r.path);
    if (e < 0) {
        orch_rundir_close(&r);
        return e;
    }
    *ret = r;
    return 0;
}

static long lock_holder(const struct orch_rundir *r)
{
    ORCH_AUTO_BUF struct orch_buf text = {0};
    long pid;

    if (orch_read_file(r->fd, "lock", 256, &text) < 0 || !text.data)
        return 0;
    pid = strtol(text.data, NULL, 10);
    return pid > 0 ? pid : 0;
}

/* A status command looks at the lock by taking it shared for a moment, so one refusal is not yet an answer.
 */
static int try_lock(int fd)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return -errno;
        (void)usleep(LOCK_WAIT_US);
    }
    return -EWOULDBLOCK;
}

int orch_rundir_lock(struct orch_rundir *r, struct orch_err *err)
{
    ORCH_AUTO_FD int fd = openat(r->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int e;

    if (fd < 0)
        return state_error(err, errno, "cannot open the lock of", r->path);
    e = try_lock(fd);
    if (e == -EWOULDBLOCK)
        return orch_err_exit(err, ORCH_EXIT_BUSY, EBUSY,
                             "run '%s' is held by another supervisor (process %ld)", r->id, lock_holder(r));
    if (e < 0)
        return state_error(err, -e, "cannot lock", r->path);
    if (ftruncate(fd, 0) < 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0)
        return state_error(err, errno, "cannot write the lock of", r->path);
    r->lock = ORCH_TAKE_FD(fd);
    return 0;
}

/* Of the pid namespace: a number in the lock file means this process only there. 0 unknown. */
static unsigned long long pid_namespace(void)
{
    struct stat st;

    return stat("/proc/self/ns/pid", &st) == 0 ? (unsigned long long)st.st_ino : 0;
}

/* When the process began, in ticks since boot (field 22 of proc(5)); 0 if there is none. */
static unsigned long long start_time(long pid)
{
    ORCH_AUTO_FREE char *path = orch_xasprintf("/proc/%ld/stat", pid);
    ORCH_AUTO_BUF struct orch_buf b = {0};
    const char *p = NULL;
    unsigned long long t = 0;

    if (orch_read_file(AT_FDCWD, path, 4096, &b) == 0 && b.data)
        p = strrchr(b.data, ')'); /* the name before it may hold anything */
    for (int field = 2; p && field < 22; field++) {
        p = strchr(p, ' ');
        p = p ? p + 1 : NULL;
    }
    if (p)
        t = strtoull(p, NULL, 10);
    return t;
}

/* A failure leaves a driver that cannot be signalled by name; the run itself does not need the line. */
void orch_rundir_drives(const struct orch_rundir *r)
{
    (void)(dprintf(r->lock, "drives %llu %llu\n", pid_namespace(), start_time((long)getpid())) < 0);
}

int orch_rundir_driver(const struct orch_rundir *r)
{
    ORCH_AUTO_BUF struct orch_buf text = {0}, again = {0};
    unsigned long long ns = 0, began = 0;
    long pid = 0, now;
    int fd;

    if (!orch_rundir_busy(r, &pid))
        return -ENOENT;
    if (orch_read_file(r->fd, "lock", 256, &text) < 0 || !text.data ||
        // NOLINTNEXTLINE(cert-err34-c): what overflows names no process that the checks below let pass
        sscanf(text.data, "%ld\ndrives %llu %llu", &pid, &ns, &began) != 3 || pid <= 0)
        return -EBUSY;
    if (ns == 0 || ns != pid_namespace())
        return -EBUSY;
    fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    if (fd < 0)
        return -EBUSY;
    /* The descriptor is of the holder if he still holds it, under the same words, and began when he says. */
    if (start_time(pid) == began && began != 0 && orch_rundir_busy(r, &now) &&
        orch_read_file(r->fd, "lock", 256, &again) == 0 && again.data && strcmp(again.data, text.data) == 0)
        return fd;
    (void)close(fd);
    return -EBUSY;
}

bool orch_rundir_busy(const struct orch_rundir *r, long *ret_pid)
{
    ORCH_AUTO_FD int fd = openat(r->fd, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool busy = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;

    *ret_pid = busy ? lock_holder(r) : 0;
    return busy;
}

char *orch_rundir_path(const struct orch_rundir *r, const char *fmt, ...)
{
    ORCH_AUTO_FREE char *rest = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&rest, fmt, ap) < 0)
        abort();
    va_end(ap);
    return orch_xasprintf("%s/%s", r->path, rest);
}

#define TRASH "trash"

void orch_rundir_trash(const struct orch_rundir *r, const char *path)
{
    ORCH_AUTO_FREE char *to = NULL;
    uint64_t id;

    if (getrandom(&id, sizeof(id), 0) == (ssize_t)sizeof(id) &&
        (mkdirat(r->fd, TRASH, 0700) == 0 || errno == EEXIST)) {
        to = orch_xasprintf(TRASH "/%016llx", (unsigned long long)id);
        if (renameat(AT_FDCWD, path, r->fd, to) == 0 || errno == ENOENT)
            return;
    }
    (void)orch_rm_rf(AT_FDCWD, path);
}

void orch_rundir_sweep(const struct orch_rundir *r)
{
    if (r->fd >= 0 && r->lock >= 0)
        (void)orch_rm_rf(r->fd, TRASH);
}

void orch_rundir_close(struct orch_rundir *r)
{
    orch_close_fdp(&r->lock);
    orch_close_fdp(&r->fd);
    orch_free_ptrp(&r->id);
    orch_free_ptrp(&r->path);
}
