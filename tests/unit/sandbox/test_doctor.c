/* test_doctor.c - the table of checks, the choice of fixes for hosts that are not this one, and the bounds of
 * a try. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "common/io.h"
#include "sandbox/doctor_int.h"

/* ---- the table ---- */

static const struct orch_doctor_check *check(const char *id)
{
    for (size_t i = 0; i < orch_doctor_n_checks; i++)
        if (strcmp(orch_doctor_checks[i].id, id) == 0)
            return &orch_doctor_checks[i];
    fail_msg("no check %s", id);
    return NULL;
}

static void each_check_is_described_and_comes_after_what_it_needs(void **state)
{
    (void)state;
    for (size_t i = 0; i < orch_doctor_n_checks; i++) {
        const struct orch_doctor_check *c = &orch_doctor_checks[i];

        print_message("  %s\n", c->id);
        assert_true(c->title && *c->title && c->run && c->depends[0]);
        assert_int_equal(__builtin_popcount(c->kind), 1);
        assert_ptr_equal(check(c->id), c); /* unique */
        for (size_t k = 0; k < ORCH_NELEM(c->after) && c->after[k]; k++) {
            const struct orch_doctor_check *before = check(c->after[k]);

            assert_true(before < c);
            /* What a tier needs cannot hang on what it does not need. */
            assert_true(c->need != ORCH_FOR_NESTED || before->need == ORCH_FOR_NESTED);
            assert_true(c->need == ORCH_FOR_OPTION || before->need != ORCH_FOR_OPTION);
        }
    }
    assert_string_equal(orch_doctor_checks[orch_doctor_n_checks - 1].id, "sandbox");
}

/* ---- fixes ---- */

/* A host on which nothing stands out. */
static struct orch_doctor_facts plain(void)
{
    static char lsm[] = "capability,yama", exe[] = "/opt/orch-sandbox", dir[] = "/var/state";

    return (struct orch_doctor_facts){.release = "6.8.0",
                                      .kernel = ORCH_KERNEL(6, 8),
                                      .apparmor_userns = -1,
                                      .userns_clone = -1,
                                      .max_userns = 1000,
                                      .ptrace_scope = 1,
                                      .lsm = lsm,
                                      .exe = exe,
                                      .state = dir};
}

static struct orch_doctor_facts ubuntu(void)
{
    struct orch_doctor_facts f = plain();

    f.apparmor_userns = 1;
    return f;
}

static struct orch_doctor_facts debian(void)
{
    struct orch_doctor_facts f = plain();

    f.userns_clone = 0;
    return f;
}

static struct orch_doctor_facts no_namespaces(void)
{
    struct orch_doctor_facts f = plain();

    f.max_userns = 0;
    return f;
}

static struct orch_doctor_facts docker(void)
{
    struct orch_doctor_facts f = plain();

    f.box = ORCH_BOX_DOCKER;
    f.seccomp = 2;
    return f;
}

static struct orch_doctor_facts podman(void)
{
    struct orch_doctor_facts f = docker();

    f.box = ORCH_BOX_PODMAN;
    return f;
}

static struct orch_doctor_facts kubernetes(void)
{
    struct orch_doctor_facts f = docker();

    f.box = ORCH_BOX_KUBERNETES;
    return f;
}

static struct orch_doctor_facts unit(void)
{
    struct orch_doctor_facts f = plain();

    f.seccomp = 2;
    return f;
}

static struct orch_doctor_facts chrooted(void)
{
    struct orch_doctor_facts f = plain();

    f.chroot = true;
    return f;
}

static struct orch_doctor_facts old(void)
{
    struct orch_doctor_facts f = plain();

    f.kernel = ORCH_KERNEL(5, 4);
    (void)snprintf(f.release, sizeof(f.release), "5.4.0-200");
    return f;
}

static struct orch_doctor_facts root(void)
{
    struct orch_doctor_facts f = ubuntu();

    f.root = true;
    return f;
}

static struct orch_doctor_facts unmapped(void)
{
    struct orch_doctor_facts f = docker();

    f.root = f.unmapped = true;
    return f;
}

static struct orch_doctor_facts yama(void)
{
    struct orch_doctor_facts f = plain();

    f.ptrace_scope = 2;
    return f;
}

static struct orch_doctor_facts inside(void)
{
    struct orch_doctor_facts f = docker();

    f.inside = true;
    return f;
}

static const struct {
    const char *id;
    struct orch_doctor_facts (*host)(void);
    int errnum;
    const char *want, *want_too, *never;
} fixes[] = {
    {"userns", ubuntu, EACCES, "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
     "profile orch-sandbox /opt/orch-sandbox flags=(unconfined) { userns, }", "docker"},
    {"tmpfs", ubuntu, EPERM, "kernel.apparmor_restrict_unprivileged_userns=0", "", "CONFIG"},
    {"tmpfs", ubuntu, ENOMEM, "", "", "apparmor_restrict"},
    {"tmpfs", root, EPERM, "", "", "apparmor_restrict"},
    {"userns", debian, EPERM, "sysctl -w kernel.unprivileged_userns_clone=1", "", "apparmor"},
    {"userns", no_namespaces, ENOSPC, "sysctl -w user.max_user_namespaces=16384", "limited to 0", "docker"},
    {"userns", plain, ENOSPC, "limit of user namespaces is reached", "", "limited to 0"},
    {"netns", plain, ENOSPC, "user.max_*_namespaces", "", "docker"},
    {"userns", plain, EINVAL, "CONFIG_USER_NS", "", ""},
    {"userns", docker, EPERM, "--security-opt seccomp=unconfined", "--security-opt apparmor=unconfined",
     "podman"},
    {"userns", docker, ENOSYS, "--security-opt seccomp=unconfined", "pivot_root", "CONFIG"},
    {"proc", docker, EPERM, "--security-opt systempaths=unconfined", "", "seccomp"},
    {"userns", podman, EPERM, "podman run --security-opt seccomp=unconfined", "unmask=ALL", "docker"},
    {"proc", podman, EPERM, "--security-opt unmask=ALL", "", "systempaths"},
    {"userns", kubernetes, EPERM, "seccompProfile", "procMount", "docker run"},
    {"userns", unit, EPERM, "Seccomp: 2", "RestrictNamespaces=", ""},
    {"userns", chrooted, EPERM, "chroot", "", ""},
    {"userns", unmapped, EPERM, "64321", "", "docker"},
    {"state", unmapped, EINVAL, "64321", "", ""},
    {"proc", plain, EPERM, "unmount what is mounted beneath /proc", "", ""},
    {"kernel", old, ENOSYS, "Linux 6.1", "", ""},
    {"landlock", old, ENOSYS, "boot Linux 5.13 or newer", "5.4.0-200", "lsm="},
    {"landlock", plain, EOPNOTSUPP, "lsm=landlock,capability,yama", "", "CONFIG"},
    {"landlock", plain, ENOSYS, "CONFIG_SECURITY_LANDLOCK", "", ""},
    {"landlock", docker, ENOSYS, "newer runtime", "", "CONFIG"},
    {"notify", plain, EBUSY, "another supervisor", "", ""},
    {"notify-sync", old, EINVAL, "boot Linux 6.6 or newer", "", ""},
    {"memory", yama, EPERM, "kernel.yama.ptrace_scope=1", "", ""},
    {"overlay", plain, EINVAL, "--state DIR", "'/var/state'", "modprobe"},
    {"overlay", docker, EINVAL, "volume", "--state DIR", "seccomp"},
    {"overlay", plain, ENODEV, "modprobe overlay", "", "--state"},
    {"idmap", root, EINVAL, "instead of root", "ext4", ""},
    {"state", plain, ENOSPC, "64 MiB", "--state DIR", ""},
    {"state", plain, EACCES, "ORCH_SANDBOX_STATE", "--state DIR", "64 MiB free"},
    {"cgroup", plain, EACCES, "systemd-run --user --scope -p Delegate=yes", "", ""},
    {"cgroup", root, EACCES, "systemd-run --scope -p Delegate=yes", "", "--user"},
    {"pty", plain, ENOENT, "devpts", "", ""},
    {"userns", inside, EPERM, "run it outside", "", "docker"},
    {"sandbox", inside, EPERM, "run it outside", "", ""},
    {"sandbox", plain, EPERM, "every part of it works", "", ""},
};

static void a_fix_is_chosen_by_what_was_seen(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(fixes); i++) {
        struct orch_doctor_facts f = fixes[i].host();
        ORCH_AUTO_FREE char *fix = orch_doctor_fix(check(fixes[i].id), &f, fixes[i].errnum, false);

        print_message("  %s %s: %s\n", fixes[i].id, strerrorname_np(fixes[i].errnum), fix);
        assert_non_null(strstr(fix, fixes[i].want));
        assert_non_null(strstr(fix, fixes[i].want_too));
        if (*fixes[i].never)
            assert_null(strstr(fix, fixes[i].never));
        assert_null(strstr(fix, "${"));
    }
}

static void every_check_has_a_fix_for_any_error(void **state)
{
    static const int errnums[] = {EPERM,  EACCES, ENOSYS, EINVAL,     ENOSPC,    ENODEV, EIO,
                                  EPROTO, EBUSY,  EROFS,  EOPNOTSUPP, ETIMEDOUT, EEXIST, ENOENT};

    (void)state;
    for (size_t i = 0; i < orch_doctor_n_checks; i++)
        for (size_t k = 0; k < ORCH_NELEM(errnums); k++) {
            struct orch_doctor_facts f = plain();
            ORCH_AUTO_FREE char *fix = orch_doctor_fix(&orch_doctor_checks[i], &f, errnums[k], true);

            assert_true(strlen(fix) > 10);
            assert_string_not_equal(fix, "none is known");
        }
}

/* ---- bounds ---- */

static struct orch_try_answer *page(void)
{
    void *p =
        mmap(NULL, sizeof(struct orch_try_answer), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(p != MAP_FAILED);
    return p;
}

static struct orch_try_answer *run(void (*fn)(struct orch_try *), int ms)
{
    struct orch_try t = {.answer = page()};
    const struct orch_doctor_check c = {.id = "test", .title = "test", .run = fn};

    orch_try_run(&t, &c, ms);
    return t.answer;
}

static void works(struct orch_try *t)
{
    orch_try_works(t, "done");
    orch_try_missing(t, EIO, "a second answer");
}

static void says_nothing(struct orch_try *t)
{
    (void)t;
}

static void dies(struct orch_try *t)
{
    (void)t;
    (void)raise(SIGKILL);
}

/* Hangs with a process of its own, whose number it leaves where only a success would write. */
static void hangs(struct orch_try *t)
{
    pid_t pid = fork();

    if (pid > 0)
        (void)snprintf(t->answer->detail, sizeof(t->answer->detail), "%d", pid);
    for (;;)
        (void)pause();
}

/* Gone, or a zombie that somebody else has still to reap. */
static bool is_dead(pid_t pid)
{
    char path[64];
    ORCH_AUTO_BUF struct orch_buf b = {0};

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    return orch_read_file(AT_FDCWD, path, 4096, &b) < 0 || !b.data || strstr(b.data, ") Z ");
}

static void the_first_answer_counts(void **state)
{
    struct orch_try_answer *a = run(works, 5000);

    (void)state;
    assert_true(a->given);
    assert_int_equal(a->state, ORCH_CHECK_WORKS);
    assert_string_equal(a->detail, "done");
    (void)munmap(a, sizeof(*a));
}

static void no_answer_and_death_are_missing(void **state)
{
    struct orch_try_answer *silent = run(says_nothing, 5000), *dead = run(dies, 5000);

    (void)state;
    assert_int_equal(silent->state, ORCH_CHECK_MISSING);
    assert_int_equal(silent->errnum, EPROTO);
    assert_int_equal(dead->state, ORCH_CHECK_MISSING);
    assert_int_equal(dead->errnum, EIO);
    (void)munmap(silent, sizeof(*silent));
    (void)munmap(dead, sizeof(*dead));
}

static void a_try_that_hangs_is_ended_with_all_its_processes(void **state)
{
    uint64_t begin = orch_now_ms();
    struct orch_try_answer *a = run(hangs, 300);
    pid_t pid = (pid_t)strtol(a->detail, NULL, 10);

    (void)state;
    assert_true(orch_now_ms() - begin >= 300);
    assert_true(orch_now_ms() - begin < 5000);
    assert_int_equal(a->state, ORCH_CHECK_MISSING);
    assert_int_equal(a->errnum, ETIMEDOUT);
    assert_true(pid > 1);
    for (int i = 0; i < 100 && !is_dead(pid); i++)
        (void)usleep(10000);
    assert_true(is_dead(pid));
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nothing of ours is left to wait for */
    (void)munmap(a, sizeof(*a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_check_is_described_and_comes_after_what_it_needs),
        cmocka_unit_test(a_fix_is_chosen_by_what_was_seen),
        cmocka_unit_test(every_check_has_a_fix_for_any_error),
        cmocka_unit_test(the_first_answer_counts),
        cmocka_unit_test(no_answer_and_death_are_missing),
        cmocka_unit_test(a_try_that_hangs_is_ended_with_all_its_processes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
