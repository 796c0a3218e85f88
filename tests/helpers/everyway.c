/*
 * everyway.c - tries to run programs in every way there is, and counts. Static: it runs where nothing else
 * is.
 *
 *   everyway list DIR...            ELF programs beneath, one path a line
 *   everyway try WORK TMP [RWX]     reads paths from standard input, tries each in each way; WORK, TMP, RWX
 * are directories of its own, RWX one that it may execute from everyway control WORK TMP       the same
 * outside: each program is stopped before its first instruction
 *
 * Prints "WAY tried N ran M" for each way, and before that "RAN WAY PATH" (try) or "REFUSED WAY ERRNO PATH"
 * (control) for each that is not as hoped. Exit status 0 even then: the caller judges.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOADER "/lib64/ld-linux-x86-64.so.2"
#define COPIED (256u << 10) /* bytes of a copy; the rest is a hole */

static bool controls; /* outside: trace, so that nothing runs */
static const char *work, *tmp, *rwx;

/* ---- list ---- */

static bool is_program(const char *path, const struct stat *st)
{
    Elf64_Ehdr h;
    int fd;
    bool is;

    if (!S_ISREG(st->st_mode) || !(st->st_mode & 0111))
        return false;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    is = read(fd, &h, sizeof(h)) == (ssize_t)sizeof(h) && memcmp(h.e_ident, ELFMAG, SELFMAG) == 0 &&
         h.e_ident[EI_CLASS] == ELFCLASS64 && h.e_machine == EM_X86_64 &&
         (h.e_type == ET_EXEC || (h.e_type == ET_DYN && h.e_entry != 0));
    (void)close(fd);
    return is;
}

static int list(char **dirs)
{
    FTS *fts = fts_open(dirs, FTS_PHYSICAL | FTS_NOCHDIR, NULL);

    for (FTSENT *e; fts && (e = fts_read(fts));)
        if (e->fts_info == FTS_F && is_program(e->fts_path, e->fts_statp))
            puts(e->fts_path);
    return fts ? 0 : 1;
}

/* ---- running ---- */

static char *const empty_env[] = {NULL};

/* 0: the kernel took it. Otherwise why not. It is killed at once; with `controls` it never ran. */
static int run(const char *path, char *const argv[])
{
    volatile int error = 0;
    int status;
    pid_t pid = vfork();

    if (pid == 0) {
        if (controls)
            (void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        (void)execve(path, argv, empty_env);
        error = errno;
        _exit(126);
    }
    if (pid < 0)
        return errno;
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, &status, 0);
    return error;
}

/* Has the loader map a program as it would to run it (ld.so(8), --list), in silence. */
static int run_loader(const char *loader, const char *program)
{
    int status, null;
    pid_t pid = fork();

    if (pid == 0) {
        null = open("/dev/null", O_RDWR);
        (void)dup2(null, 1);
        (void)dup2(null, 2);
        (void)alarm(10);
        (void)execle(loader, loader, "--list", program, NULL, empty_env);
        _exit(126);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return errno;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : EACCES;
}

static int copy_bytes(const char *from, int to)
{
    static char bytes[COPIED];
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    struct stat st;
    ssize_t n = -1;

    if (fd >= 0 && fstat(fd, &st) == 0)
        n = read(fd, bytes, sizeof(bytes));
    if (fd >= 0)
        (void)close(fd);
    return n > 0 && write(to, bytes, (size_t)n) == n && ftruncate(to, st.st_size) == 0 ? 0 : EIO;
}

static int copy(const char *from, const char *to)
{
    int fd, r;

    (void)unlink(to);
    fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    if (fd < 0)
        return errno;
    r = copy_bytes(from, fd);
    (void)close(fd);
    return r;
}

static const char *in(const char *dir, const char *name)
{
    static char path[4096];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static int plain(const char *path)
{
    char *argv[] = {strdup(path), NULL};
    int r = run(path, argv);

    free(argv[0]);
    return r;
}

static int run_fd(int fd)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return plain(path);
}

/* ---- the ways ---- */

static int by_path(const char *program)
{
    return plain(program);
}

static int by_link_in(const char *dir, const char *program)
{
    const char *path = in(dir, "link");

    (void)unlink(path);
    return symlink(program, path) < 0 ? errno : plain(path);
}

static int by_link(const char *program)
{
    return by_link_in(work, program);
}

static int by_copy_in(const char *dir, const char *program)
{
    const char *path = in(dir, "copy");
    int r = copy(program, path);

    return r ? r : plain(path);
}

static int by_copy(const char *program)
{
    return by_copy_in(work, program);
}

static int by_copy_in_tmp(const char *program)
{
    return by_copy_in(tmp, program);
}

/* The script itself lies where it may execute, if there is such a place. */
static int by_script(const char *program)
{
    const char *path = in(rwx ? rwx : work, "script");
    int fd;

    (void)unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    if (fd < 0)
        return errno;
    (void)dprintf(fd, "#!%s\n", program);
    (void)close(fd);
    return plain(path);
}

static int by_descriptor(const char *program)
{
    int fd = open(program, O_RDONLY | O_CLOEXEC), r;

    if (fd < 0)
        return errno;
    r = run_fd(fd);
    (void)close(fd);
    return r;
}

static int by_copied_descriptor(const char *program)
{
    int r = copy(program, in(work, "copy")), fd;

    if (r)
        return r;
    fd = open(in(work, "copy"), O_RDONLY | O_CLOEXEC);
    r = fd < 0 ? errno : run_fd(fd);
    if (fd >= 0)
        (void)close(fd);
    return r;
}

static int by_memory(const char *program)
{
    int fd = (int)syscall(SYS_memfd_create, "x", 0), r;

    if (fd < 0)
        return errno;
    r = copy_bytes(program, fd);
    r = r ? r : run_fd(fd);
    (void)close(fd);
    return r;
}

static int by_loader(const char *program)
{
    return run_loader(LOADER, program);
}

/* Where the agent may execute it can carry in a loader; the host's programs stay what they are. */
static int by_carried_loader(const char *program)
{
    return run_loader(in(rwx ? rwx : work, "loader"), program);
}

static const struct way {
    const char *name;
    int (*try)(const char *program);
    bool where_rwx; /* means something also where the agent may execute from a place of its own */
} ways[] = {
    {"path", by_path, true},
    {"link", by_link, true},
    {"copy", by_copy, false},
    {"copy-tmp", by_copy_in_tmp, true},
    {"script", by_script, true},
    {"descriptor", by_descriptor, true},
    {"copied-descriptor", by_copied_descriptor, false},
    {"memory", by_memory, true},
    {"loader", by_loader, true},
    {"carried-loader", by_carried_loader, true},
};
#define N_WAYS (sizeof(ways) / sizeof(ways[0]))

static bool copy_loader(void)
{
    char path[4096];

    (void)snprintf(path, sizeof(path), "%s/loader", rwx ? rwx : work);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755),
        from = open(LOADER, O_RDONLY | O_CLOEXEC);
    char bytes[65536];
    ssize_t n;

    while (fd >= 0 && from >= 0 && (n = read(from, bytes, sizeof(bytes))) > 0)
        if (write(fd, bytes, (size_t)n) != n)
            return false;
    return fd >= 0 && from >= 0 && close(fd) == 0 && close(from) == 0;
}

static int attempt(void)
{
    unsigned long tried[N_WAYS] = {0}, ran[N_WAYS] = {0};
    char *line = NULL;
    size_t size = 0;
    ssize_t n;

    while ((n = getline(&line, &size, stdin)) > 1) {
        line[n - 1] = '\0';
        for (size_t i = 0; i < N_WAYS; i++) {
            int r;

            if (rwx && !ways[i].where_rwx)
                continue;
            r = ways[i].try(line);
            tried[i]++;
            ran[i] += r == 0;
            if (r == 0 && !controls)
                printf("RAN %s %s\n", ways[i].name, line);
            if (r != 0 && controls)
                printf("REFUSED %s %s %s\n", ways[i].name, strerrorname_np(r), line);
        }
    }
    for (size_t i = 0; i < N_WAYS; i++)
        if (tried[i])
            printf("%s tried %lu ran %lu\n", ways[i].name, tried[i], ran[i]);
    free(line);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "list") == 0)
        return list(argv + 2);
    if (argc < 4)
        return 2;
    controls = strcmp(argv[1], "control") == 0;
    work = argv[2];
    tmp = argv[3];
    rwx = argc > 4 ? argv[4] : NULL;
    return copy_loader() ? attempt() : 3;
}
