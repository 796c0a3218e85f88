/* test_args.c - arguments by name: every row of the table, what is cut, and what is left out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include "policy/args.h"
#include "policy/profile_int.h"
#include "policy/syscalls.h"
#include "policy/sysgroups.h"
#include "policy/sysgroups_list.h"

static struct orch_args *names;

static int setup(void **state)
{
    (void)state;
    names = orch_args_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    orch_args_free(names);
    return 0;
}

static char *written(int nr, bool all, const uint64_t regs[6], int family)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    struct orch_jw w = {.out = &b};
    orch_args_write(names, &w, nr, all, regs, family);
    return orch_xstrdup(b.data ? b.data : "");
}

#define X 0xdead00000000ull /* where the kernel does not look at an int */

static const struct {
    int nr;
    bool all;
    uint64_t regs[6];
    int family;
    const char *text;
} rows[] = {
    {ORCH_NR_openat,
     false,
     {1, 2, X | O_WRONLY | O_CREAT | O_TRUNC, 0644},
     0,
     "\"args\":{\"flags\":[\"O_WRONLY\",\"O_CREAT\",\"O_TRUNC\"],\"mode\":\"0644\"}"},
    {ORCH_NR_openat, false, {1, 2, O_RDONLY, 0644}, 0, "\"args\":{\"flags\":[\"O_RDONLY\"]}"},
    {ORCH_NR_openat, false, {1, 2, 3, 0}, 0, "\"args\":{\"flags\":[\"O_ACCMODE\"]}"},
    {ORCH_NR_open, false, {1, 0x40000000 | O_SYNC, 0}, 0, "\"args\":{\"flags\":[\"O_RDONLY\",\"O_SYNC\"]}"},
    {ORCH_NR_open,
     false,
     {1, O_DSYNC | O_DIRECTORY, 0},
     0,
     "\"args\":{\"flags\":[\"O_RDONLY\",\"O_DSYNC\",\"O_DIRECTORY\"]}"},
    {ORCH_NR_mkdir, false, {1, 0xff0000 | 0700, 3, 4, 5, 6}, 0, "\"args\":{\"mode\":\"0700\"}"},
    {ORCH_NR_kill, true, {X | 0xffffffff, X | 9}, 0, "\"args\":{\"pid\":-1,\"signal\":\"SIGKILL\"}"},
    {ORCH_NR_kill, true, {5, 64}, 0, "\"args\":{\"pid\":5,\"signal\":\"0x40\"}"},
    {ORCH_NR_socket,
     true,
     {AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0},
     0,
     "\"args\":{\"family\":\"AF_UNIX\",\"type\":[\"SOCK_SEQPACKET\",\"SOCK_NONBLOCK\"],\"protocol\":0}"},
    {ORCH_NR_socket,
     true,
     {AF_INET6, SOCK_STREAM, 6},
     0,
     "\"args\":{\"family\":\"AF_INET6\",\"type\":[\"SOCK_STREAM\"],\"protocol\":\"IPPROTO_TCP\"}"},
    {ORCH_NR_socket,
     true,
     {99, 0xf, 0},
     0,
     "\"args\":{\"family\":\"0x63\",\"type\":[\"0xf\"],\"protocol\":0}"},
    {ORCH_NR_connect, false, {3, 0x7fff12345678, 16}, AF_INET, "\"args\":{\"family\":\"AF_INET\"}"},
    {ORCH_NR_connect, true, {3, 0x7fff12345678, 16}, 0, ""},
    {ORCH_NR_sendto,
     false,
     {3, 0x7fff12345678, 16, MSG_DONTWAIT, 5, 6},
     AF_UNIX,
     "\"args\":{\"family\":\"AF_UNIX\",\"flags\":[\"MSG_DONTWAIT\"]}"},
    {ORCH_NR_ioctl, true, {0, X | 0x5412, 0x7fff12345678}, 0, "\"args\":{\"request\":\"TIOCSTI\"}"},
    {ORCH_NR_ioctl, true, {0, 0x12345, 0}, 0, "\"args\":{\"request\":\"0x12345\"}"},
    {ORCH_NR_prctl, true, {X | 4}, 0, "\"args\":{\"option\":\"PR_SET_DUMPABLE\"}"},
    {ORCH_NR_prctl, true, {0x41555856}, 0, "\"args\":{\"option\":\"PR_GET_AUXV\"}"},
    {ORCH_NR_clone,
     true,
     {0x10000000 | 17, 0x7fff12345678},
     0,
     "\"args\":{\"flags\":[\"SIGCHLD\",\"CLONE_NEWUSER\"]}"},
    {ORCH_NR_unshare, true, {0x80}, 0, "\"args\":{\"flags\":[\"CLONE_NEWTIME\"]}"},
    {ORCH_NR_personality,
     true,
     {0x0040000},
     0,
     "\"args\":{\"persona\":[\"PER_LINUX\",\"ADDR_NO_RANDOMIZE\"]}"},
    {ORCH_NR_mount,
     true,
     {1, 2, 3, X << 16 | 4096 | 1, 5},
     0,
     "\"args\":{\"flags\":[\"MS_BIND\",\"MS_RDONLY\"]}"},
    {ORCH_NR_unlinkat, false, {1, 2, 0}, 0, "\"args\":{\"flags\":[]}"},
    {ORCH_NR_unlink, false, {1, 2, 3, 4, 5, 6}, 0, ""},
    {ORCH_NR_unlink, true, {1, 2, 3, 4, 5, 6}, 0, ""}, /* a pointer alone */
    {ORCH_NR_setuid, true, {X | 7, 8}, 0, "\"args\":{\"a0\":\"0x7\"}"},
    {ORCH_NR_setuid, false, {X | 7, 8}, 0, ""},
    {-1, true, {1, 2, 3, 4, 5, 6}, 0, ""},
    {600, true, {1, 2, 3, 4, 5, 6}, 0, ""},
};

static void arguments_are_told_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(rows); i++) {
        ORCH_AUTO_FREE char *text = written(rows[i].nr, rows[i].all, rows[i].regs, rows[i].family);
        uint64_t cut[6], again[6];
        unsigned picked = orch_args_pick(rows[i].nr, rows[i].all, rows[i].regs, cut);
        assert_string_equal(text, rows[i].text);
        assert_int_equal(orch_args_pick(rows[i].nr, rows[i].all, cut, again), picked);
        assert_memory_equal(cut, again, sizeof(cut));
    }
}

/* What is written is read back to the same bits, so that a record can be decided once more. */
static void what_is_written_can_be_read_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(rows); i++) {
        ORCH_AUTO_FREE char *text = written(rows[i].nr, rows[i].all, rows[i].regs, 0);
        ORCH_AUTO_FREE char *object = orch_xasprintf("{%s}", text);
        cJSON *rec = cJSON_Parse(object);
        uint64_t cut[6], back[6];
        unsigned picked = orch_args_pick(rows[i].nr, rows[i].all, rows[i].regs, cut);
        assert_non_null(rec);
        assert_int_equal(orch_args_read(rows[i].nr, cJSON_GetObjectItemCaseSensitive(rec, "args"), back),
                         picked);
        assert_memory_equal(back, cut, sizeof(cut));
        cJSON_Delete(rec);
    }
}

/* Beside it, a request of ptrace and flags of mount and clone are of pointer size, and no pointers. */
static bool is_known_long(int nr, unsigned index)
{
    return (nr == ORCH_NR_ptrace && index == 0) || (nr == ORCH_NR_mount && index == 3) ||
           (nr == ORCH_NR_unshare && index == 0) || (nr == ORCH_NR_mprotect && index == 2) ||
           (nr == ORCH_NR_ptrace && index == 1);
}

static void no_row_shows_a_pointer_and_each_name_stands_for_something(void **state)
{
    const char *name, *list;
    unsigned index;
    int nr;
    (void)state;
    for (size_t i = 0; orch_args_row(i, &nr, &index, &name, &list); i++) {
        if (name == NULL)
            continue;
        assert_non_null(orch_syscall_name(nr));
        if (orch_syscall_arg_mask(nr, index) == ~UINT64_C(0) && !is_known_long(nr, index))
            fail_msg("%s: argument %u may be a pointer", orch_syscall_name(nr), index);
        while (list != NULL && *list != '\0') { /* each beginning is one of a name */
            size_t n = strcspn(list + (*list == '-'), " ");
            const char *word = list + (*list == '-'), *known;
            uint64_t value;
            bool found = false;
            for (size_t k = 0; orch_const_at(k, &known, &value); k++)
                found = found || strncmp(known, word, n) == 0;
            if (!found)
                fail_msg("%s: no name begins with %.*s", orch_syscall_name(nr), (int)n, word);
            list = word + n + strspn(word + n, " ");
        }
    }
}

static void registers_beyond_what_is_looked_at_change_nothing(void **state)
{
    (void)state;
    for (int nr = 0; nr < ORCH_SC_MAX; nr++) {
        uint64_t a[6] = {1, 2, 3, 4, 5, 6}, b[6], x[6], y[6];
        for (unsigned i = 0; i < 6; i++) {
            uint64_t mask = orch_syscall_arg_mask(nr, i);
            b[i] = mask == ~UINT64_C(0) ? a[i] : a[i] | (~mask & 0x5a5a5a5a5a5a5a5aull);
        }
        assert_int_equal(orch_args_pick(nr, true, a, x), orch_args_pick(nr, true, b, y));
        assert_memory_equal(x, y, sizeof(x));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_are_told_by_name),
        cmocka_unit_test(what_is_written_can_be_read_back),
        cmocka_unit_test(no_row_shows_a_pointer_and_each_name_stands_for_something),
        cmocka_unit_test(registers_beyond_what_is_looked_at_change_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
