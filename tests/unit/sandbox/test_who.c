/* test_who.c - who a task is, what of it is kept, and that an exec is not missed. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/io.h"
#include "sandbox/task.h"

static struct orch_who who;
static char self[4096];

/* A child, and a child of that; each executes /bin/sleep when it gets a byte. */
struct family {
    pid_t child, grandchild;
    int go_child[2], go_grandchild[2];
};

static void wait_and_exec(int fd)
{
    char c;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (read(fd, &c, 1) == 1)
        (void)execl("/bin/sleep", "sleep", "60", (char *)NULL);
    _exit(1);
}

static void start(struct family *f)
{
    int told[2];

    assert_int_equal(pipe(f->go_child) + pipe(f->go_grandchild) + pipe(told), 0);
    f->child = fork();
    if (f->child == 0) {
        pid_t pid = fork();

        if (pid == 0)
            wait_and_exec(f->go_grandchild[0]);
        (void)!write(told[1], &pid, sizeof(pid));
        wait_and_exec(f->go_child[0]);
    }
    assert_int_equal(read(told[0], &f->grandchild, sizeof(f->grandchild)), (int)sizeof(f->grandchild));
    close(told[0]);
    close(told[1]);
}

static void stop(struct family *f)
{
    (void)kill(f->grandchild, SIGKILL);
    (void)kill(f->child, SIGKILL);
    assert_int_equal(waitpid(f->child, NULL, 0), f->child);
    for (int i = 0; i < 2; i++) {
        close(f->go_child[i]);
        close(f->go_grandchild[i]);
    }
}

/* Lets it execute, and waits until it did. */
static void let_exec(const int go[2], pid_t pid)
{
    assert_int_equal(write(go[1], "x", 1), 1);
    for (int i = 0; i < 2000; i++) {
        char *exe = orch_task_link(pid, "exe");
        bool done = exe && strcmp(exe, self) != 0;

        free(exe);
        if (done)
            return;
        usleep(10000);
    }
    fail_msg("it did not execute");
}

static int setup(void **state)
{
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    (void)state;
    return n > 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    orch_who_fini(&who);
    who = (struct orch_who){0};
    return 0;
}

static void tells_program_name_and_parents(void **state)
{
    struct family f;
    const struct orch_who_info *w;

    (void)state;
    start(&f);
    w = orch_who_is(&who, f.grandchild);
    assert_int_equal(w->tid, f.grandchild);
    assert_int_equal(w->pid, f.grandchild);
    assert_string_equal(w->exe, self);
    assert_non_null(strstr(self, w->comm));
    assert_string_equal(w->parents[0], self);
    assert_null(w->parents[1]); /* the chain ends where it began: with us */
    w = orch_who_is(&who, f.child);
    assert_null(w->parents[0]);
    who.init = f.child;
    who.kept[(size_t)f.grandchild % ORCH_WHO_KEPT].until_ms = 0;
    assert_null(orch_who_is(&who, f.grandchild)->parents[0]); /* or with init */
    stop(&f);
}

/* Of a process that is gone only what is kept can be told: so nothing was looked at. */
static void an_answer_is_kept_for_a_while_and_no_longer(void **state)
{
    bool kept = false;

    (void)state;
    for (int i = 0; i < 100 && !kept; i++) { /* a busy machine may take longer than the while */
        struct family f;
        const struct orch_who_info *w;

        start(&f);
        assert_int_equal(orch_who_is(&who, f.child)->pid, f.child);
        stop(&f);
        w = orch_who_is(&who, f.child);
        kept = w->pid == f.child && strcmp(w->exe, self) == 0;
        usleep((ORCH_WHO_MS + 20) * 1000);
        w = orch_who_is(&who, f.child);
        assert_int_equal(w->pid, 0);
        assert_null(w->exe);
        assert_null(w->comm);
        assert_null(w->parents);
    }
    assert_true(kept);
}

static void an_exec_is_seen_at_once(void **state)
{
    struct family f;
    const struct orch_who_info *w;

    (void)state;
    start(&f);
    orch_who_execs(&who, f.child, orch_who_is(&who, f.child)->pid);
    let_exec(f.go_child, f.child);
    w = orch_who_is(&who, f.child);
    assert_null(strstr(w->exe, self));
    assert_string_equal(w->comm, "sleep");
    stop(&f);
}

static void what_is_read_before_an_exec_came_about_is_not_kept(void **state)
{
    struct family f;

    (void)state;
    start(&f);
    assert_string_equal(orch_who_is(&who, f.grandchild)->parents[0], self);
    orch_who_execs(&who, f.child, orch_who_is(&who, f.child)->pid);
    assert_string_equal(orch_who_is(&who, f.grandchild)->parents[0], self); /* not yet */
    let_exec(f.go_child, f.child);
    assert_string_not_equal(orch_who_is(&who, f.grandchild)->parents[0], self);
    stop(&f);
}

static void more_execs_at_a_time_than_are_remembered_keep_nothing(void **state)
{
    struct family f;

    (void)state;
    start(&f);
    orch_who_execs(&who, f.child, orch_who_is(&who, f.child)->pid);
    for (int i = 0; i < ORCH_WHO_EXECS; i++)
        orch_who_execs(&who, 1, 1);
    assert_string_equal(orch_who_is(&who, f.grandchild)->parents[0], self);
    let_exec(f.go_child, f.child);
    assert_string_not_equal(orch_who_is(&who, f.grandchild)->parents[0], self);
    stop(&f);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(tells_program_name_and_parents),
        TEST(an_answer_is_kept_for_a_while_and_no_longer),
        TEST(an_exec_is_seen_at_once),
        TEST(what_is_read_before_an_exec_came_about_is_not_kept),
        TEST(more_execs_at_a_time_than_are_remembered_keep_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
