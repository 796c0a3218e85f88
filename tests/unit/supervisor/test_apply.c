/* test_apply.c - unsafe changes and apply, on real overlay uppers where the host allows it. */
#include "supervisor/apply.h"
#include "tests/unit/sandbox/layer_fixture.h"

static void get_changes(const struct orch_view *v, size_t n_new, struct orch_changes *c)
{
    struct orch_err err = {0};

    if (orch_view_changes(v, n_new, c, &err) != 0)
        fail_msg("%s", err.msg);
}

static int apply_view(const struct fx *fx, const struct orch_view *v, const struct orch_changes *c,
                      struct orch_err *err)
{
    struct orch_apply_stats stats;
    int r = orch_apply(v, c, fx->ws, (uid_t)-1, (gid_t)-1, &stats, err);

    if (r == 0)
        assert_int_equal(stats.created + stats.modified + stats.deleted, c->n);
    return r;
}

static void expect_manifest(const char *dir, const char *want)
{
    struct orch_buf b = {0};

    fx_manifest(dir, &b);
    assert_string_equal(b.data ? b.data : "", want);
    orch_buf_fini(&b);
}

/* Times of files that only an attempt's copy-up touched are no change and not applied: leave them out by
 * name. */
static bool times_differ_by_design(const struct fx_case *t)
{
    return strcmp(t->name, "copy-up without a change") == 0 || strcmp(t->name, "two attempts") == 0 ||
           strcmp(t->name, "deleted by one attempt, made again by the next") == 0;
}

static void apply_case(const struct fx_case *t)
{
    struct orch_changes c = {0};
    struct orch_view v = {0};
    struct orch_err err = {0};
    struct orch_buf want = {0};
    struct fx fx;
    char *file;

    fx_init(&fx);
    file = orch_xasprintf("%s/manifest", fx.base);
    assert_int_equal(fx_ops(fx.ws, t->setup), 0);
    if (fx_attempt(&fx, t->first, t->second[0].op ? NULL : fx_save_manifest, file) &&
        (!t->second[0].op || fx_attempt(&fx, t->second, fx_save_manifest, file))) {
        assert_int_equal(orch_read_file(AT_FDCWD, file, 1 << 24, &want), 0);
        fx_view(&fx, &v);
        get_changes(&v, fx.n_up, &c);
        for (int round = 0; round < 2; round++) { /* the second time as after a crash */
            if (apply_view(&fx, &v, &c, &err) != 0)
                fail_msg("%s", err.msg);
            if (!times_differ_by_design(t))
                expect_manifest(fx.ws, want.data ? want.data : "");
        }
        orch_changes_fini(&c);
        get_changes(&v, fx.n_up, &c);
        assert_int_equal(c.n, 0); /* the layers add nothing any more */
        orch_view_fini(&v);
    }
    orch_changes_fini(&c);
    orch_buf_fini(&want);
    free(file);
    fx_fini(&fx);
}

static void apply_makes_the_workspace_what_the_agent_saw(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(fx_cases); i++) {
        print_message("  %s\n", fx_cases[i].name);
        apply_case(&fx_cases[i]);
    }
}

static void apply_stops_at_a_workspace_that_changed(void **state)
{
    static const struct {
        const char *name;
        struct op setup[6], upper[4],
            meddle[4]; /* meddle: in the workspace, after the change list was made */
    } t[] = {
        {"directory swapped for a symlink that leads out",
         {{"d", "d", ""}, {"f", "d/x", "1"}, {"d", "safe", ""}},
         {{"d", "d", ""}, {"f", "d/x", "2"}, {"f", "d/y", "2"}},
         {{"rmr", "d", ""}, {"l", "d", "../outside"}}},
        {"symlink put in place of a new directory",
         {{"f", "a", "1"}},
         {{"d", "n", ""}, {"f", "n/x", "2"}},
         {{"l", "n", "../outside"}}},
        {"parent gone",
         {{"d", "d", ""}, {"f", "d/x", "1"}},
         {{"d", "d", ""}, {"f", "d/y", "2"}},
         {{"rmr", "d", ""}}},
        {"file became a directory", {{"f", "a", "1"}}, {{"f", "a", "2"}}, {{"rm", "a", ""}, {"d", "a", ""}}},
        {"file became a FIFO", {{"f", "a", "1"}}, {{"f", "a", "2"}}, {{"rm", "a", ""}, {"p", "a", ""}}},
        {"file became a symlink",
         {{"f", "a", "1"}},
         {{"f", "a", "2"}},
         {{"rm", "a", ""}, {"l", "a", "../outside/f"}}},
        {"file gone", {{"f", "a", "1"}}, {{"f", "a", "2"}}, {{"rm", "a", ""}}},
        {"new name taken by a directory", {{"f", "a", "1"}}, {{"f", "b", "2"}}, {{"d", "b", ""}}},
    };

    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(t); i++) {
        struct orch_changes c = {0};
        struct orch_view v = {0};
        struct orch_err err = {0};
        struct orch_buf before = {0};
        struct fx fx;
        char *outside, *f;
        print_message("  %s\n", t[i].name);
        hand_made(&fx, t[i].setup, t[i].upper);
        outside = orch_xasprintf("%s/outside", fx.base);
        f = orch_xasprintf("%s/f", outside);
        assert_int_equal(mkdir(outside, 0755), 0);
        assert_int_equal(fx_write(f, "mine"), 0);
        fx_view(&fx, &v);
        get_changes(&v, 1, &c);
        assert_true(c.n > 0);
        assert_int_equal(fx_ops(fx.ws, t[i].meddle), 0);
        fx_manifest(fx.base, &before);
        assert_int_equal(apply_view(&fx, &v, &c, &err), -EBUSY);
        assert_int_equal(err.exit_code, 9);
        expect_manifest(fx.base, before.data); /* nothing was written, here or outside */
        orch_buf_fini(&before);
        orch_changes_fini(&c);
        orch_view_fini(&v);
        free(outside);
        free(f);
        fx_fini(&fx);
    }
}

static void apply_replaces_a_hard_linked_file(void **state)
{
    static const struct op setup[] = {{"f", "a", "old"}, {"ln", "b", "a"}, {0}},
                           upper[] = {{"f", "a", "new"}, {0}};
    struct orch_changes c = {0};
    struct orch_view v = {0};
    struct orch_err err = {0};
    struct orch_buf b = {0};
    struct fx fx;
    char *p;

    (void)state;
    hand_made(&fx, setup, upper);
    fx_view(&fx, &v);
    get_changes(&v, 1, &c);
    assert_int_equal(apply_view(&fx, &v, &c, &err), 0);
    p = orch_xasprintf("%s/b", fx.ws);
    assert_int_equal(orch_read_file(AT_FDCWD, p, 10, &b), 0);
    assert_string_equal(b.data, "old");
    orch_buf_fini(&b);
    free(p);
    orch_changes_fini(&c);
    orch_view_fini(&v);
    fx_fini(&fx);
}

static void apply_removes_its_leftovers_and_keeps_what_it_does_not_know(void **state)
{
    static const struct op setup[] = {
        {"d", "d", ""}, {"f", "d/x", "1"}, {"d", "k", ""}, {"f", "k/x", "1"}, {0}};
    static const struct op later[] = {{"f", "d/.orch-tmp-0123456789abcdef", "torn"},
                                      {"f", "d/.orch-tmp-0123", "mine"},
                                      {"f", "k/users.log", "mine"},
                                      {0}};
    struct orch_changes c = {0};
    struct orch_view v = {0};
    struct orch_err err = {0};
    struct orch_strv names = {0};
    struct fx fx;
    char *p;

    (void)state;
    hand_made(&fx, setup, (const struct op[]){{"d", "d", ""}, {"f", "d/x", "2"}, {0}});
    p = orch_xasprintf("%s/u0/k", fx.base);
    assert_int_equal(mknod(p, S_IFCHR, 0), 0);
    fx_view(&fx, &v);
    get_changes(&v, 1, &c);
    assert_int_equal(fx_ops(fx.ws, later), 0);
    if (apply_view(&fx, &v, &c, &err) != 0)
        fail_msg("%s", err.msg);
    orch_view_fini(&v);
    assert_int_equal(orch_view_open(NULL, fx.ws, &v, &err), 0);
    assert_int_equal(orch_view_list(&v, "d", &names), 0);
    assert_int_equal(names.n, 2);
    assert_string_equal(names.v[0], ".orch-tmp-0123");
    orch_strv_fini(&names);
    assert_int_equal(orch_view_list(&v, "k", &names), 0);
    assert_int_equal(names.n, 1);
    assert_string_equal(names.v[0], "users.log");
    orch_strv_fini(&names);
    orch_changes_fini(&c);
    orch_view_fini(&v);
    free(p);
    fx_fini(&fx);
}

static void apply_keeps_holes_and_sets_times(void **state)
{
    static const struct op setup[] = {{0}}, upper[] = {{"d", "d", ""},
                                                       {"f", "d/x", "data"},
                                                       {"trunc", "d/x", "1073741824"},
                                                       {"l", "d/l", "x"},
                                                       {0}};
    static const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 2000, .tv_nsec = 5}};
    static const char *const names[] = {"d/l", "d/x", "d"};
    struct orch_changes c = {0};
    struct orch_view v = {0};
    struct orch_err err = {0};
    struct stat st;
    struct fx fx;

    (void)state;
    hand_made(&fx, setup, upper);
    fx_view(&fx, &v);
    for (size_t i = 0; i < ORCH_NELEM(names); i++) {
        char *p = orch_xasprintf("%s/u0/%s", fx.base, names[i]);
        assert_int_equal(utimensat(AT_FDCWD, p, times, AT_SYMLINK_NOFOLLOW), 0);
        free(p);
    }
    get_changes(&v, 1, &c);
    assert_int_equal(apply_view(&fx, &v, &c, &err), 0);
    for (size_t i = 0; i < ORCH_NELEM(names); i++) {
        char *p = orch_xasprintf("%s/%s", fx.ws, names[i]);
        assert_int_equal(lstat(p, &st), 0);
        assert_int_equal(st.st_mtim.tv_sec, 2000);
        assert_int_equal(st.st_mtim.tv_nsec, 5);
        if (S_ISREG(st.st_mode)) {
            assert_int_equal(st.st_size, 1073741824);
            assert_true(st.st_blocks < 1000);
        }
        free(p);
    }
    orch_changes_fini(&c);
    orch_view_fini(&v);
    fx_fini(&fx);
}

static void apply_copes_with_a_deep_tree(void **state)
{
    enum { DEPTH = 3000 };
    struct orch_changes c = {0};
    struct orch_view v = {0};
    struct orch_err err = {0};
    struct fx fx;
    char *up;
    int fd, next;

    (void)state;
    hand_made(&fx, (const struct op[]){{0}}, (const struct op[]){{0}});
    up = fx_upper(&fx, 0);
    fd = open(up, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < DEPTH; i++) {
        assert_int_equal(mkdirat(fd, "n", 0755), 0);
        next = openat(fd, "n", O_PATH | O_DIRECTORY | O_CLOEXEC);
        (void)close(fd);
        fd = next;
    }
    next = openat(fd, "leaf", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(next >= 0);
    (void)close(next);
    (void)close(fd);
    fx_view(&fx, &v);
    get_changes(&v, 1, &c);
    assert_int_equal(c.n, DEPTH + 1);
    if (apply_view(&fx, &v, &c, &err) != 0)
        fail_msg("%s", err.msg);
    orch_changes_fini(&c);
    get_changes(&v, 1, &c);
    assert_int_equal(c.n, 0);
    orch_changes_fini(&c);
    orch_view_fini(&v);
    free(up);
    fx_fini(&fx);
}

static const struct {
    struct op setup[6], upper[7];
    const char *want; /* path of the one problem, or NULL */
} unsafe_cases[] = {
    {{{0}}, {{"f", "a", "1"}, {"d", "git", ""}, {"f", "git/config", ""}}, NULL},
    {{{0}}, {{"f", ".git", "gitdir: /x"}}, ".git"},
    {{{0}}, {{"l", ".git", "x"}}, ".git"},
    {{{0}}, {{"d", "sub", ""}, {"d", "sub/.GIT", ""}}, "sub/.GIT"},
    {{{"f", ".git", "gitdir: x"}}, {{"f", ".git", "gitdir: y"}}, ".git"},
    {{{"d", "e", ""}, {"f", "e/HEAD", "ref: x"}},
     {{"d", "e", ""}, {"f", "e/commondir", "../f"}},
     "e/commondir"},
    {{{"d", "e", ""}, {"f", "e/commondir", "x"}}, {{"d", "e", ""}, {"f", "e/head", "ref: x"}}, "e/head"},
    {{{"d", ".git", ""}}, {{"d", ".git", ""}, {"l", ".git/worktrees", "x"}}, ".git/worktrees"},
    {{{"d", ".git", ""}}, {{"d", ".git", ""}, {"d", ".git/rebase-merge", ""}}, ".git/rebase-merge"},
    {{{"f", ".git", "gitdir: x"}}, {{"d", ".git", ""}}, ".git"},
    {{{"d", ".git", ""}}, {{"d", ".git", ""}, {"f", ".git/HEAD", ""}, {"f", ".git/index", ""}}, NULL},
    {{{"d", ".git", ""}}, {{"d", ".git", ""}, {"f", ".git/config", ""}}, ".git/config"},
    {{{"d", ".git", ""}}, {{"d", ".git", ""}, {"f", ".git/Config", ""}}, ".git/Config"},
    {{{"d", ".git", ""}}, {{"d", ".git", ""}, {"f", ".git/config.worktree", ""}}, ".git/config.worktree"},
    {{{"d", ".git", ""}}, {{"d", ".git", ""}, {"f", ".git/commondir", ""}}, ".git/commondir"},
    {{{"d", ".git", ""}, {"d", ".git/info", ""}},
     {{"d", ".git", ""}, {"d", ".git/info", ""}, {"f", ".git/info/attributes", ""}},
     ".git/info/attributes"},
    {{{"d", ".git", ""}, {"d", ".git/info", ""}},
     {{"d", ".git", ""}, {"d", ".git/info", ""}, {"f", ".git/info/refs", ""}},
     NULL},
    {{{"d", ".git", ""}, {"d", ".git/hooks", ""}},
     {{"d", ".git", ""}, {"d", ".git/hooks", ""}, {"f", ".git/hooks/post-checkout", ""}},
     ".git/hooks/post-checkout"},
    {{{"d", ".git", ""}, {"d", ".git/refs", ""}},
     {{"d", ".git", ""}, {"d", ".git/refs", ""}, {"f", ".git/refs/hooks", ""}},
     NULL},
    {{{"d", ".git", ""}, {"d", ".git/worktrees", ""}, {"d", ".git/worktrees/w", ""}},
     {{"d", ".git", ""},
      {"d", ".git/worktrees", ""},
      {"d", ".git/worktrees/w", ""},
      {"f", ".git/worktrees/w/gitdir", ""}},
     ".git/worktrees/w/gitdir"},
    {{{"f", "HEAD", ""}, {"d", "refs", ""}, {"d", "objects", ""}}, {{"f", "config", ""}}, "config"},
    {{{"f", "config", ""}, {"d", "refs", ""}, {"d", "objects", ""}}, {{"f", "HEAD", ""}}, "HEAD"},
    {{{0}}, {{"f", "config", ""}, {"d", "hooks", ""}}, NULL},
    {{{0}}, {{"f", ".envrc", ""}}, ".envrc"},
    {{{0}}, {{"f", ".gitmodules", ""}}, ".gitmodules"},
    {{{"d", "d", ""}, {"d", "d/.vscode", ""}},
     {{"d", "d", ""}, {"d", "d/.vscode", ""}, {"f", "d/.vscode/tasks.json", ""}},
     "d/.vscode/tasks.json"},
    {{{0}}, {{"f", ".mcp.json", ""}}, ".mcp.json"},
    {{{0}}, {{"d", ".Claude", ""}}, ".Claude"},
    {{{0}}, {{"d", ".github", ""}}, ".github"},
    {{{0}}, {{"f", "a", ""}, {"chmod", "a", "4755"}}, "a"},
    {{{0}}, {{"f", "a", ""}, {"chmod", "a", "2755"}}, "a"},
    {{{0}}, {{"d", "d", ""}, {"chmod", "d", "2755"}}, "d"},
    {{{0}}, {{"d", "d", ""}, {"chmod", "d", "4755"}}, "d"},
    {{{"d", "d", ""}}, {{"d", "d", ""}, {"chmod", "d", "2755"}}, "d"},
    {{{"d", "d", ""}, {"chmod", "d", "2755"}},
     {{"d", "d", ""}, {"chmod", "d", "2755"}, {"d", "d/e", ""}, {"chmod", "d/e", "2755"}},
     NULL},
    {{{0}}, {{"p", "a", ""}}, "a"},
    {{{0}}, {{"l", "a", "/etc/passwd"}}, "a"},
    {{{0}}, {{"l", "a", ".."}}, "a"},
    {{{0}}, {{"l", "a", "b/../../x"}}, "a"},
    {{{0}}, {{"l", "a", "../ws/x"}}, "a"},
    {{{0}}, {{"l", "a", "b/c/../../x"}}, NULL},
    {{{0}}, {{"l", "a", "."}}, NULL},
    {{{0}}, {{"l", "a", "a"}}, "a"},
    {{{"d", "d", ""}}, {{"d", "d", ""}, {"l", "d/a", "../x"}}, NULL},
    {{{"d", "d", ""}}, {{"d", "d", ""}, {"l", "d/a", "../../x"}}, "d/a"},
    {{{"l", "out", "/etc"}}, {{"l", "a", "out/passwd"}}, "a"},
    {{{"l", "out", "/etc"}, {"l", "via", "out"}}, {{"l", "a", "via/passwd"}}, "a"},
    {{{"d", "d", ""}, {"d", "d/e", ""}, {"l", "up", "d/e"}}, {{"l", "a", "d/../up/../x"}}, NULL},
    {{{"d", "d", ""}, {"d", "d/e", ""}, {"l", "d/e/up", "../.."}}, {{"l", "a", "d/e/up/../x"}}, "a"},
};

static void unsafe_names_and_objects_are_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(unsafe_cases); i++) {
        struct orch_changes c = {0};
        struct orch_view v = {0};
        struct orch_strv found = {0}, allow = {0};
        struct fx fx;
        char *want = unsafe_cases[i].want ? orch_xasprintf("%s: ", unsafe_cases[i].want) : NULL;
        hand_made(&fx, unsafe_cases[i].setup, unsafe_cases[i].upper);
        fx_view(&fx, &v);
        get_changes(&v, 1, &c);
        assert_int_equal(orch_apply_unsafe(&v, &c, NULL, &found), 0);
        if (found.n != (want ? 1u : 0u) || (want && strncmp(found.v[0], want, strlen(want)) != 0))
            fail_msg("case %zu: %s, got %zu: %s", i, want ? want : "safe", found.n,
                     found.n ? found.v[0] : "");
        orch_strv_fini(&found);
        orch_strv_add(&allow, "**");
        assert_int_equal(orch_apply_unsafe(&v, &c, &allow, &found), 0);
        assert_int_equal(found.n, 0);
        orch_strv_fini(&allow);
        orch_changes_fini(&c);
        orch_view_fini(&v);
        free(want);
        fx_fini(&fx);
    }
}

static void unsafe_deletion_and_capabilities_are_found(void **state)
{
    /* VFS_CAP_REVISION_2 with cap_net_raw permitted and effective */
    static const unsigned char cap[20] = {0x01, 0, 0, 0x02, 0x00, 0x20};
    struct orch_changes c = {0};
    struct orch_view v = {0};
    struct orch_strv found = {0};
    struct fx fx;
    char *p;

    (void)state;
    hand_made(&fx, (const struct op[]){{"f", ".envrc", ""}, {0}},
              (const struct op[]){{"f", "prog", "x"}, {0}});
    p = orch_xasprintf("%s/u0/.envrc", fx.base);
    assert_int_equal(mknod(p, S_IFCHR, 0), 0);
    free(p);
    p = orch_xasprintf("%s/u0/prog", fx.base);
    if (setxattr(p, "security.capability", cap, sizeof(cap), 0) < 0)
        print_message("[  SKIPPED ] file capabilities: %s\n", strerror(errno));
    else
        orch_strv_add(&found, "expected");
    fx_view(&fx, &v);
    get_changes(&v, 1, &c);
    assert_int_equal(orch_apply_unsafe(&v, &c, NULL, &found), 0);
    assert_true(found.n == 1 || found.n == 3);
    if (found.n == 3) {
        struct orch_err err = {0};
        char *up = fx_upper(&fx, 0);
        assert_string_equal(found.v[2], "prog: file capabilities");
        assert_int_equal(orch_layer_check(up, &err), -EBADMSG);
        free(up);
    }
    orch_strv_fini(&found);
    orch_changes_fini(&c);
    orch_view_fini(&v);
    free(p);
    fx_fini(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(apply_makes_the_workspace_what_the_agent_saw),
        cmocka_unit_test(apply_stops_at_a_workspace_that_changed),
        cmocka_unit_test(apply_replaces_a_hard_linked_file),
        cmocka_unit_test(apply_removes_its_leftovers_and_keeps_what_it_does_not_know),
        cmocka_unit_test(apply_keeps_holes_and_sets_times),
        cmocka_unit_test(apply_copes_with_a_deep_tree),
        cmocka_unit_test(unsafe_names_and_objects_are_found),
        cmocka_unit_test(unsafe_deletion_and_capabilities_are_found),
    };

    (void)umask(022);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
