/* Gates on sealed bytes: each passes on good input, fails on bad, and fails on hostile input (T-GATE-01 to
 * 04, 10, 12, 20). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/io.h"
#include "gates/gates.h"
#include "tests/unit/gates/gate_check.h"

static char root[64];
static struct orch_view view;

static char *at(const char *name)
{
    return orch_xasprintf("%s/%s", root, name);
}

static void put(const char *name, const char *text, mode_t mode)
{
    ORCH_AUTO_FREE char *path = at(name);
    ORCH_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(orch_write_all(fd, text, strlen(text)), 0);
    assert_int_equal(fchmod(fd, mode), 0);
}

static void put_dir(const char *name)
{
    ORCH_AUTO_FREE char *path = at(name);

    assert_int_equal(mkdir(path, 0755), 0);
}

static void put_link(const char *target, const char *name)
{
    ORCH_AUTO_FREE char *path = at(name);

    assert_int_equal(symlink(target, path), 0);
}

static void put_socket(const char *name)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    ORCH_AUTO_FREE char *path = at(name);
    ORCH_AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(strlen(path) < sizeof(sa.sun_path));
    memcpy(sa.sun_path, path, strlen(path));
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
}

static void put_sparse(const char *name, off_t size)
{
    ORCH_AUTO_FREE char *path = at(name);

    put(name, "", 0644);
    assert_int_equal(truncate(path, size), 0);
}

static int make_tree(void **state)
{
    static const struct orch_strv no_layers;
    ORCH_AUTO_FREE char *fifo = NULL, *a = NULL, *b = NULL;
    struct orch_err err = {0};

    (void)state;
    (void)snprintf(root, sizeof(root), "/tmp/orch-gates-XXXXXX");
    assert_non_null(mkdtemp(root));
    put("good", "abc", 0644);
    put("empty", "", 0644);
    put("setuid", "abc", 04755);
    put("setgid", "abc", 02755);
    put("hard", "abc", 0644);
    a = at("hard");
    b = at("hard2");
    assert_int_equal(link(a, b), 0);
    put_dir("dir");
    put("dir/in", "abc", 0644);
    put_link("good", "link");
    put_link("nowhere", "dangling");
    put_link("dir", "dirlink");
    put_link("/etc", "etclink");
    put_socket("socket");
    fifo = at("fifo");
    assert_int_equal(mkfifo(fifo, 0644), 0);
    put_sparse("sparse", (off_t)1 << 40);
    put("new\nline\x1b[2J", "abc", 0644);
    return orch_view_open(&no_layers, root, &view, &err);
}

static int remove_tree(void **state)
{
    (void)state;
    orch_view_fini(&view);
    return orch_rm_rf(AT_FDCWD, root);
}

/* file */

#define SHA_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define SHA_OTHER "ca7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static const struct file_row {
    const char *path;
    uint64_t min, max;
    const char *sha256;
    bool absent;
    enum orch_gate_verdict want;
    const char *part;
} file_rows[] = {
    {"good", 1, UINT64_MAX, NULL, false, ORCH_GATE_PASS, "3 bytes"},
    {"good", 3, 3, SHA_ABC, false, ORCH_GATE_PASS, "SHA-256 as wanted"},
    {"dir/in", 1, UINT64_MAX, NULL, false, ORCH_GATE_PASS, NULL},
    {"new\nline\x1b[2J", 1, UINT64_MAX, NULL, false, ORCH_GATE_PASS, "new\\u000aline\\u001b[2J"},
    {"empty", 0, UINT64_MAX, NULL, false, ORCH_GATE_PASS, NULL},
    {"good", 4, UINT64_MAX, NULL, false, ORCH_GATE_FAIL, "3 bytes, at least 4 wanted"},
    {"good", 0, 2, NULL, false, ORCH_GATE_FAIL, "3 bytes, at most 2 wanted"},
    {"good", 1, UINT64_MAX, SHA_OTHER, false, ORCH_GATE_FAIL, "SHA-256 is " SHA_ABC},
    {"empty", 1, UINT64_MAX, NULL, false, ORCH_GATE_FAIL, "0 bytes"},
    {"nothing", 1, UINT64_MAX, NULL, false, ORCH_GATE_FAIL, "missing"},
    {"nothing/in", 1, UINT64_MAX, NULL, false, ORCH_GATE_FAIL, "missing"},
    {"good/in", 1, UINT64_MAX, NULL, false, ORCH_GATE_FAIL, "missing"},
    {"dir", 0, UINT64_MAX, NULL, false, ORCH_GATE_FAIL, "is a directory"},
    {"fifo", 0, UINT64_MAX, NULL, false, ORCH_GATE_FAIL, "is a FIFO"},
    {"socket", 0, UINT64_MAX, NULL, false, ORCH_GATE_FAIL, "is a socket"},
    {"link", 0, UINT64_MAX, NULL, false, ORCH_GATE_FAIL, "is a symbolic link"},
    {"dangling", 0, UINT64_MAX, NULL, false, ORCH_GATE_FAIL, "is a symbolic link"},
    {"dirlink/in", 0, UINT64_MAX, NULL, false, ORCH_GATE_FAIL, "symbolic link is on the way"},
    {"etclink/passwd", 0, UINT64_MAX, NULL, false, ORCH_GATE_FAIL, "symbolic link is on the way"},
    {"hard", 0, UINT64_MAX, NULL, false, ORCH_GATE_FAIL, "more than one hard link"},
    {"setuid", 0, UINT64_MAX, NULL, false, ORCH_GATE_FAIL, "setuid"},
    {"setgid", 0, UINT64_MAX, NULL, false, ORCH_GATE_FAIL, "setgid"},
    {"sparse", 0, 1 << 20, SHA_ABC, false, ORCH_GATE_FAIL, "1099511627776 bytes, at most"},
    {"sparse", 0, UINT64_MAX, SHA_ABC, false, ORCH_GATE_ERROR, "too many to hash"},
    {"nothing", 0, 0, NULL, true, ORCH_GATE_PASS, "absent"},
    {"nothing/in", 0, 0, NULL, true, ORCH_GATE_PASS, "absent"},
    {"good/in", 0, 0, NULL, true, ORCH_GATE_PASS, "absent"},
    {"good", 0, 0, NULL, true, ORCH_GATE_FAIL, "exists"},
    {"dir", 0, 0, NULL, true, ORCH_GATE_FAIL, "exists"},
    {"fifo", 0, 0, NULL, true, ORCH_GATE_FAIL, "exists"},
    {"dangling", 0, 0, NULL, true, ORCH_GATE_FAIL, "exists"},
    {"dirlink/in", 0, 0, NULL, true, ORCH_GATE_FAIL, "symbolic link is on the way"},
};

static void gate_file_judges_every_row(void **state)
{
    struct orch_gate_ctx c = {.view = &view, .wake_fd = -1};

    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(file_rows); i++) {
        const struct file_row *row = &file_rows[i];
        ORCH_AUTO_FREE char *path = orch_xstrdup(row->path);
        ORCH_AUTO_FREE char *sha256 = row->sha256 ? orch_xstrdup(row->sha256) : NULL;
        struct orch_gate g = {.type = ORCH_GATE_FILE,
                              .path = path,
                              .min_size = row->min,
                              .max_size = row->max,
                              .sha256 = sha256,
                              .absent = row->absent};

        check(&g, &c, row->want, row->part);
    }
}

static void gate_file_sees_the_newest_layer(void **state)
{
    ORCH_AUTO_FREE char *layer = at("dir"), *path = orch_xstrdup("in");
    struct orch_gate g = {.type = ORCH_GATE_FILE, .path = path, .min_size = 1, .max_size = UINT64_MAX};
    struct orch_gate_ctx c = {.wake_fd = -1};
    struct orch_strv layers = {0};
    struct orch_view stack = {0};
    struct orch_err err = {0};

    (void)state;
    check(&g, &c, ORCH_GATE_ERROR, "no sealed view");
    orch_strv_add(&layers, layer);
    assert_int_equal(orch_view_open(&layers, root, &stack, &err), 0);
    c.view = &stack;
    check(&g, &c, ORCH_GATE_PASS, "in: 3 bytes");
    orch_view_fini(&stack);
    orch_strv_fini(&layers);
}

/* denials */

static const struct denials_row {
    const char *class_name;
    uint64_t max;
    struct orch_denial_counts counts; /* filesystem exec syscall network control */
    enum orch_gate_verdict want;
    const char *part;
} denials_rows[] = {
    {NULL, 0, {0}, ORCH_GATE_PASS, "0 denials, at most 0"},
    {NULL, 15, {1, 2, 3, 4, 5}, ORCH_GATE_PASS, "15 denials"},
    {NULL, 14, {1, 2, 3, 4, 5}, ORCH_GATE_FAIL, "15 denials, at most 14"},
    {NULL, 0, {0, 0, 0, 0, 1}, ORCH_GATE_FAIL, "1 denial,"},
    {NULL, 5, {UINT64_MAX, 2, 0, 0, 0}, ORCH_GATE_FAIL, "18446744073709551615"},
    {"filesystem", 0, {0, 2, 3, 4, 5}, ORCH_GATE_PASS, NULL},
    {"filesystem", 0, {1, 0, 0, 0, 0}, ORCH_GATE_FAIL, "1 filesystem denial,"},
    {"exec", 1, {0, 2, 0, 0, 0}, ORCH_GATE_FAIL, "2 exec denials"},
    {"syscall", 2, {0, 0, 3, 0, 0}, ORCH_GATE_FAIL, "3 syscall"},
    {"network", 3, {0, 0, 0, 4, 0}, ORCH_GATE_FAIL, "4 network"},
    {"control", 4, {0, 0, 0, 0, 5}, ORCH_GATE_FAIL, "5 control"},
    {"control", 5, {9, 9, 9, 9, 5}, ORCH_GATE_PASS, NULL},
    {"every\nthing", 9, {0}, ORCH_GATE_ERROR, "no class of denials 'every\\u000athing'"},
};

static void gate_denials_judges_every_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(denials_rows); i++) {
        const struct denials_row *row = &denials_rows[i];
        ORCH_AUTO_FREE char *class_name = row->class_name ? orch_xstrdup(row->class_name) : NULL;
        struct orch_gate g = {.type = ORCH_GATE_DENIALS, .max = row->max, .class_name = class_name};
        struct orch_gate_ctx c = {.denials = row->counts, .wake_fd = -1};

        check(&g, &c, row->want, row->part);
    }
}

/* all any not: children by letter, p pass, f fail, e error, i integrity, w waits for approval */

static const struct tree_row {
    enum orch_gate_type type;
    const char *children;
    enum orch_gate_verdict want;
} tree_rows[] = {
    {ORCH_GATE_ALL, "p", ORCH_GATE_PASS},        {ORCH_GATE_ALL, "ppp", ORCH_GATE_PASS},
    {ORCH_GATE_ALL, "pfp", ORCH_GATE_FAIL},      {ORCH_GATE_ALL, "f", ORCH_GATE_FAIL},
    {ORCH_GATE_ALL, "fe", ORCH_GATE_ERROR},      {ORCH_GATE_ALL, "ep", ORCH_GATE_ERROR},
    {ORCH_GATE_ALL, "fei", ORCH_GATE_INTEGRITY}, {ORCH_GATE_ALL, "ief", ORCH_GATE_INTEGRITY},
    {ORCH_GATE_ALL, "", ORCH_GATE_ERROR},        {ORCH_GATE_ANY, "p", ORCH_GATE_PASS},
    {ORCH_GATE_ANY, "ffp", ORCH_GATE_PASS},      {ORCH_GATE_ANY, "ff", ORCH_GATE_FAIL},
    {ORCH_GATE_ANY, "", ORCH_GATE_FAIL},         {ORCH_GATE_ANY, "pe", ORCH_GATE_ERROR},
    {ORCH_GATE_ANY, "fe", ORCH_GATE_ERROR},      {ORCH_GATE_ANY, "pei", ORCH_GATE_INTEGRITY},
    {ORCH_GATE_ANY, "pi", ORCH_GATE_INTEGRITY},  {ORCH_GATE_NOT, "p", ORCH_GATE_FAIL},
    {ORCH_GATE_NOT, "f", ORCH_GATE_PASS},        {ORCH_GATE_NOT, "e", ORCH_GATE_ERROR},
    {ORCH_GATE_NOT, "i", ORCH_GATE_INTEGRITY},   {ORCH_GATE_NOT, "fp", ORCH_GATE_FAIL},
    {ORCH_GATE_NOT, "", ORCH_GATE_ERROR},        {(enum orch_gate_type)99, "p", ORCH_GATE_ERROR},
    {ORCH_GATE_ALL, "wp", ORCH_GATE_PENDING},    {ORCH_GATE_ALL, "wf", ORCH_GATE_FAIL},
    {ORCH_GATE_ALL, "we", ORCH_GATE_ERROR},      {ORCH_GATE_ANY, "wf", ORCH_GATE_PENDING},
    {ORCH_GATE_ANY, "wp", ORCH_GATE_PASS},       {ORCH_GATE_ANY, "ww", ORCH_GATE_PENDING},
    {ORCH_GATE_ANY, "wi", ORCH_GATE_INTEGRITY},  {ORCH_GATE_NOT, "w", ORCH_GATE_PENDING},
};

static char protected_glob[] = "Makefile", no_class[] = "none", child_name[] = "child";
static char *protect_list[] = {protected_glob, NULL};

static struct orch_gate child_of(char letter)
{
    struct orch_gate g = {.type = ORCH_GATE_DENIALS, .name = child_name, .max = letter == 'p' ? 1 : 0};

    if (letter == 'w')
        g.type = ORCH_GATE_APPROVAL;
    if (letter == 'e')
        g.class_name = no_class;
    if (letter == 'i') {
        g.type = ORCH_GATE_COMMAND;
        g.protect = (struct orch_strv){.v = protect_list, .n = 1};
    }
    return g;
}

static const struct orch_change touched = {.path = protected_glob, .kind = ORCH_MODIFIED};

static void gate_trees_follow_the_truth_tables(void **state)
{
    struct orch_change v = touched;
    struct orch_changes changes = {.v = &v, .n = 1};
    struct orch_gate_ctx c = {.run_changes = &changes, .denials = {.exec = 1}, .wake_fd = -1};

    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(tree_rows); i++) {
        const struct tree_row *row = &tree_rows[i];
        struct orch_gate children[4], g = {.type = row->type, .children = children};
        struct orch_gate_result r;

        for (; row->children[g.n_children]; g.n_children++)
            children[g.n_children] = child_of(row->children[g.n_children]);
        check(&g, &c, row->want, NULL);
        orch_gate_eval(&g, &c, &r);
        if ((size_t)row->type <= ORCH_GATE_NOT)
            assert_int_equal(r.n_children, g.n_children); /* no short cut */
        for (size_t k = 0; k < r.n_children; k++)
            assert_printable(r.children[k].reason);
        orch_gate_result_fini(&r);
    }
}

static void gate_not_does_not_launder_a_nested_error(void **state)
{
    struct orch_gate leaf = child_of('e'),
                     inner = {.type = ORCH_GATE_NOT, .name = child_name, .children = &leaf, .n_children = 1};
    struct orch_gate outer = {.type = ORCH_GATE_NOT, .children = &inner, .n_children = 1};
    struct orch_gate_ctx c = {.wake_fd = -1};

    (void)state;
    check(&outer, &c, ORCH_GATE_ERROR, "child: child: there is no class");
}

static void gate_command_compares_protected_paths_first(void **state)
{
    struct orch_change v = touched;
    struct orch_changes changes = {.v = &v, .n = 1};
    struct orch_gate_ctx c = {.run_changes = &changes, .wake_fd = -1};
    struct orch_gate g = child_of('i');

    (void)state;
    check(&g, &c, ORCH_GATE_INTEGRITY, "'Makefile' was changed; the command was not run");
    changes.n = 0;
    check(&g, &c, ORCH_GATE_ERROR, "incomplete");
    c.run_changes = NULL;
    check(&g, &c, ORCH_GATE_ERROR, "incomplete");
}

static void verdicts_have_names(void **state)
{
    (void)state;
    assert_string_equal(orch_gate_verdict_name(ORCH_GATE_PASS), "pass");
    assert_string_equal(orch_gate_verdict_name(ORCH_GATE_FAIL), "fail");
    assert_string_equal(orch_gate_verdict_name(ORCH_GATE_ERROR), "error");
    assert_string_equal(orch_gate_verdict_name(ORCH_GATE_INTEGRITY), "integrity");
    assert_string_equal(orch_gate_verdict_name(ORCH_GATE_PENDING), "pending");
    assert_string_equal(orch_gate_verdict_name((enum orch_gate_verdict)99), "error");
    for (enum orch_gate_verdict v = ORCH_GATE_PASS; v <= ORCH_GATE_PENDING; v++)
        assert_int_equal(orch_gate_verdict_parse(orch_gate_verdict_name(v)), v);
    assert_int_equal(orch_gate_verdict_parse("Pass"), ORCH_GATE_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gate_file_judges_every_row),
        cmocka_unit_test(gate_file_sees_the_newest_layer),
        cmocka_unit_test(gate_denials_judges_every_row),
        cmocka_unit_test(gate_trees_follow_the_truth_tables),
        cmocka_unit_test(gate_not_does_not_launder_a_nested_error),
        cmocka_unit_test(gate_command_compares_protected_paths_first),
        cmocka_unit_test(verdicts_have_names),
    };

    return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
