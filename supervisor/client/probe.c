/*
 * probe.c - performs the acts of `orch-sandbox policy test` inside a sandbox and tells what the kernel said.
 *
 * Without a C library: the only calls it makes of its own are write and exit_group, which no profile can
 * refuse, so whatever else is refused was asked for by an act (or by trying it in a process of its own, and
 * then it is tried in this one). Each argument is one act, "KIND:DETAIL", where a path or address is
 * hexadecimal, so that no byte of it means anything on the way here:
 *
 *   r w c m y d l x HEXPATH   read, write, create a file, a directory, a symlink, delete, look, execute
 *   k HEXSOCKADDR             connect
 *   s NR:A0:A1:A2:A3:A4:A5    the call with these registers, all hexadecimal
 *
 * One line an act on standard output: "INDEX ERRNO" (0 = done), "INDEX S SIGNAL" or "INDEX E 0" when its
 * process is over; "INDEX B 0" before an act that is tried in this very process. What an act makes is removed
 * again.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>

#define PATIENCE_S 2
#define NAME_MAX_BYTES 8192

static unsigned char bytes[NAME_MAX_BYTES + 1];
static size_t n_bytes;
static volatile long exec_error; /* written by a child that shares this memory */

/* ---- no library ---- */

void probe_main(long *stack) __attribute__((noreturn, used));
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);

/* The compiler may ask for these two by itself. */
void *memcpy(void *to, const void *from, size_t n)
{
    volatile unsigned char *t = to;

    for (size_t i = 0; i < n; i++)
        t[i] = ((const unsigned char *)from)[i];
    return to;
}

void *memset(void *to, int c, size_t n)
{
    volatile unsigned char *t = to;

    for (size_t i = 0; i < n; i++)
        t[i] = (unsigned char)c;
    return to;
}

static inline __attribute__((always_inline)) long call(long nr, long a, long b, long c, long d, long e,
                                                       long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long r;

    __asm__ volatile("syscall"
                     : "=a"(r)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return r;
}

#define CALL3(nr, a, b, c) call(nr, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define CALL4(nr, a, b, c, d) call(nr, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

static _Noreturn void leave(void)
{
    for (;;)
        (void)CALL3(SYS_exit_group, 0, 0, 0);
}

/* ---- telling ---- */

struct line {
    char text[64];
    size_t n;
};

static void put(struct line *l, char c)
{
    if (l->n < sizeof(l->text))
        l->text[l->n++] = c;
}

static void put_number(struct line *l, unsigned long v)
{
    char digits[24];
    size_t n = 0;

    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    while (n)
        put(l, digits[--n]);
}

/* what: 0, or a letter between the index and the number. */
static void tell(long index, char what, unsigned long value)
{
    struct line l = {.n = 0};

    put_number(&l, (unsigned long)index);
    put(&l, ' ');
    if (what) {
        put(&l, what);
        put(&l, ' ');
    }
    put_number(&l, value);
    put(&l, '\n');
    (void)CALL3(SYS_write, 1, l.text, l.n);
}

/* ---- reading the act ---- */

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void read_bytes(const char *s)
{
    for (n_bytes = 0; n_bytes < NAME_MAX_BYTES && digit(s[0]) >= 0 && digit(s[1]) >= 0; s += 2)
        bytes[n_bytes++] = (unsigned char)(digit(s[0]) << 4 | digit(s[1]));
    bytes[n_bytes] = 0;
}

static const char *read_word(const char *s, unsigned long *ret)
{
    *ret = 0;
    for (; digit(*s) >= 0; s++)
        *ret = *ret << 4 | (unsigned long)digit(*s);
    return *s == ':' ? s + 1 : s;
}

/* ---- the acts: 0 or more is done, -errno is not ---- */

static long open_path(int flags)
{
    long fd = CALL4(SYS_openat, AT_FDCWD, bytes, flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0600);

    if (fd >= 0)
        (void)CALL3(SYS_close, fd, 0, 0);
    return fd;
}

static long do_create(void)
{
    long r = open_path(O_WRONLY | O_CREAT | O_EXCL);

    if (r >= 0)
        (void)CALL3(SYS_unlinkat, AT_FDCWD, bytes, 0);
    return r;
}

static long do_write(void)
{
    long r = open_path(O_WRONLY);

    if (r == -EISDIR)
        return CALL4(SYS_utimensat, AT_FDCWD, bytes, 0, 0);
    return r == -ENOENT ? do_create() : r;
}

static long do_mkdir(void)
{
    long r = CALL3(SYS_mkdirat, AT_FDCWD, bytes, 0700);

    if (r >= 0)
        (void)CALL3(SYS_unlinkat, AT_FDCWD, bytes, AT_REMOVEDIR);
    return r;
}

static long do_symlink(void)
{
    long r = CALL3(SYS_symlinkat, "target", AT_FDCWD, bytes);

    if (r >= 0)
        (void)CALL3(SYS_unlinkat, AT_FDCWD, bytes, 0);
    return r;
}

static long do_delete(void)
{
    long r = CALL3(SYS_unlinkat, AT_FDCWD, bytes, 0);

    return r == -EISDIR ? CALL3(SYS_unlinkat, AT_FDCWD, bytes, AT_REMOVEDIR) : r;
}

static long do_look(void)
{
    static char buf[256];

    return CALL4(SYS_newfstatat, AT_FDCWD, bytes, buf, 0);
}

static long do_connect(void)
{
    long fd = CALL3(SYS_socket, bytes[0] | bytes[1] << 8, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    return fd < 0 ? fd : CALL3(SYS_connect, fd, bytes, n_bytes);
}

/* Shares memory with the child and waits until it has executed or failed; what it executes is ended at once.
 */
static __attribute__((noinline)) long do_exec(void)
{
    const char *argv[] = {(const char *)bytes, 0};
    const char *envp[] = {0};
    long pid = CALL3(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0);

    if (pid == 0) {
        (void)CALL3(SYS_close, 0, 0, 0);
        (void)CALL3(SYS_close, 1, 0, 0);
        (void)CALL3(SYS_close, 2, 0, 0);
        exec_error = CALL3(SYS_execve, bytes, argv, envp);
        leave();
    }
    if (pid < 0) /* no process to be had: this one becomes the program */
        return CALL3(SYS_execve, bytes, argv, envp);
    (void)CALL3(SYS_kill, pid, SIGKILL, 0);
    (void)CALL4(SYS_wait4, pid, 0, 0x40000000 /* __WALL */, 0);
    return exec_error;
}

static long do_call(const char *s)
{
    unsigned long nr, a[6];

    s = read_word(s, &nr);
    for (int i = 0; i < 6; i++)
        s = read_word(s, &a[i]);
    return call((long)nr, (long)a[0], (long)a[1], (long)a[2], (long)a[3], (long)a[4], (long)a[5]);
}

static long act(const char *s)
{
    if (s[0] == 's')
        return do_call(s + 2);
    read_bytes(s + 2);
    switch (s[0]) {
    case 'r':
        return open_path(O_RDONLY);
    case 'w':
        return do_write();
    case 'c':
        return do_create();
    case 'm':
        return do_mkdir();
    case 'y':
        return do_symlink();
    case 'd':
        return do_delete();
    case 'l':
        return do_look();
    case 'x':
        return do_exec();
    case 'k':
        return do_connect();
    default:
        return -ENOSYS;
    }
}

static void perform(long index, const char *s)
{
    long r = act(s);

    tell(index, 0, r < 0 && r >= -4095 ? (unsigned long)-r : 0);
}

/* An act that waits was let through: it is ended. */
static _Noreturn void child(long index, const char *s)
{
    const struct itimerval patience = {.it_value = {.tv_sec = PATIENCE_S}};

    (void)CALL3(SYS_setitimer, ITIMER_REAL, &patience, 0);
    perform(index, s);
    leave();
}

void probe_main(long *stack)
{
    long argc = stack[0];
    const char *const *argv = (const char *const *)(stack + 1);

    for (long i = 1; i < argc; i++) {
        long pid = CALL3(SYS_clone, SIGCHLD, 0, 0);
        int status = 0;

        if (pid == 0)
            child(i - 1, argv[i]);
        if (pid < 0) {
            tell(i - 1, 'B', 0);
            perform(i - 1, argv[i]);
        } else if (CALL4(SYS_wait4, pid, &status, 0x40000000 /* __WALL */, 0) == pid && (status & 0x7f)) {
            tell(i - 1, 'S', (unsigned long)(status & 0x7f));
        } else {
            tell(i - 1, 'E', 0);
        }
    }
    leave();
}

__asm__(".text\n"
        ".global _start\n"
        "_start:\n"
        "    xor %ebp, %ebp\n"
        "    mov %rsp, %rdi\n"
        "    and $-16, %rsp\n"
        "    call probe_main\n"
        "    hlt\n");
