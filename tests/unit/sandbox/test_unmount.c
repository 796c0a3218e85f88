/* test_unmount.c - a mount namespace outlives its last process for as long as it is held, and no child is
 * left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/unmount.h"
#include "tests/lib/need.h"

/* A process in a mount namespace of its own; *ret_ns is the namespace's inode. */
static pid_t start(ino_t *ret_ns)
{
    char path[40], byte;
    struct stat st;
    int p[2];
    pid_t pid;

    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        byte = unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 ? 'y' : 'n';
        (void)!write(p[1], &byte, 1);
        for (;;)
            (void)pause();
    }
    assert_true(pid > 0);
    assert_int_equal(read(p[0], &byte, 1), 1);
    (void)close(p[0]);
    (void)close(p[1]);
    (void)snprintf(path, sizeof(path), "/proc/%ld/ns/mnt", (long)pid);
    *ret_ns = stat(path, &st) == 0 ? st.st_ino : 0;
    if (byte != 'y')
        *ret_ns = 0;
    return pid;
}

static void end(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_held_namespace_outlives_its_process_until_it_is_let_go(void **state)
{
    struct orch_unmounts u = ORCH_UNMOUNTS_NONE;
    struct stat st;
    ino_t ns;
    pid_t pid = start(&ns);

    (void)state;
    if (ns == 0)
        end(pid);
    ORCH_NEED("userns", ns != 0);
    orch_unmount_hold(&u, pid);
    end(pid);
    assert_true(u.held >= 0);
    assert_int_equal(fstat(u.held, &st), 0);
    assert_int_equal(st.st_ino, ns);
    assert_true(st.st_ino != 0 && fcntl(u.held, F_GETFD) == FD_CLOEXEC);
    orch_unmount_let_go(&u);
    assert_int_equal(u.held, -1);
    assert_int_equal(u.n, 1);
    orch_unmount_wait(&u);
    assert_int_equal(u.n, 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void many_are_let_go_and_none_is_left(void **state)
{
    struct orch_unmounts u = ORCH_UNMOUNTS_NONE;

    (void)state;
    for (int i = 0; i < 3 * ORCH_UNMOUNTS_MAX; i++) {
        orch_unmount_hold(&u, getpid());
        assert_true(u.held >= 0);
        orch_unmount_let_go(&u);
        assert_in_range(u.n, 1, ORCH_UNMOUNTS_MAX);
    }
    orch_unmount_wait(&u);
    assert_int_equal(u.n, 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void the_child_keeps_nothing_of_ours_open(void **state)
{
    struct orch_unmounts u = ORCH_UNMOUNTS_NONE;
    char byte;
    int p[2];

    (void)state;
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    orch_unmount_hold(&u, getpid());
    orch_unmount_let_go(&u);
    (void)close(p[1]);
    assert_int_equal(read(p[0], &byte, 1), 0); /* end of file: nobody else has the writing end */
    (void)close(p[0]);
    orch_unmount_wait(&u);
}

static void what_cannot_be_held_is_not_waited_for(void **state)
{
    struct orch_unmounts u = ORCH_UNMOUNTS_NONE;

    (void)state;
    orch_unmount_hold(&u, 0); /* no such process */
    assert_int_equal(u.held, -1);
    orch_unmount_let_go(&u);
    assert_int_equal(u.n, 0);
    orch_unmount_wait(&u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_held_namespace_outlives_its_process_until_it_is_let_go),
        cmocka_unit_test(many_are_let_go_and_none_is_left),
        cmocka_unit_test(the_child_keeps_nothing_of_ours_open),
        cmocka_unit_test(what_cannot_be_held_is_not_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
