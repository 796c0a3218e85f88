/* test_layer.c - reading, checking and building overlay layers, on real overlay uppers where the host allows
 * it. */
#include "tests/unit/sandbox/layer_fixture.h"

#include "policy/plan_int.h"
#include "sandbox/layer_int.h"

static char *changes_text(const struct orch_view *v, size_t n_new)
{
    struct orch_changes c = {0};
    struct orch_err err = {0};
    char *s;

    if (orch_view_changes(v, n_new, &c, &err) != 0)
        fail_msg("%s", err.msg);
    s = fx_changes_text(&c);
    orch_changes_fini(&c);
    return s;
}

static void expect_changes(const struct fx *fx, size_t n_new, const char *want)
{
    struct orch_view v = {0};
    char *got;

    fx_view(fx, &v);
    got = changes_text(&v, n_new);
    assert_string_equal(got, want);
    free(got);
    orch_view_fini(&v);
}

static void changes_are_those_of_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(fx_cases); i++) {
        const struct fx_case *t = &fx_cases[i];
        struct fx fx;
        print_message("  %s\n", t->name);
        fx_init(&fx);
        assert_int_equal(fx_ops(fx.ws, t->setup), 0);
        if (fx_attempt(&fx, t->first, NULL, NULL) &&
            (!t->second[0].op || fx_attempt(&fx, t->second, NULL, NULL)))
            expect_changes(&fx, fx.n_up, t->changes);
        fx_fini(&fx);
    }
}

static void lists_and_lookups_agree_with_the_mount(void **state)
{
    static const struct op setup[] = {
        {"d", "d", ""}, {"f", "d/x", "1"}, {"f", "d/y", "1"}, {"f", "a", "1"}, {0}};
    static const struct op act[] = {{"rm", "d/x", ""}, {"f", "d/z", "22"}, {"l", "s", "d"}, {0}};
    static const struct {
        const char *path;
        char type;
        int open; /* expected result of open_file, 0 = a descriptor */
    } t[] = {
        {"", 'd', -EINVAL},     {".", 'd', -EINVAL}, {"d/x", 0, -ENOENT}, {"d/y", 'f', 0},
        {"d/z", 'f', 0},        {"s", 'l', -ELOOP},  {"s/z", 0, -ELOOP},  {"a/b", 0, -ENOENT},
        {"none/b", 0, -ENOENT}, {"d", 'd', -EINVAL}, {"./d//z", 'f', 0},
    };
    struct orch_strv names = {0};
    struct orch_view v = {0};
    struct orch_entry e;
    struct fx fx;
    int fd;

    (void)state;
    fx_init(&fx);
    assert_int_equal(fx_ops(fx.ws, setup), 0);
    if (!fx_attempt(&fx, act, NULL, NULL)) {
        fx_fini(&fx);
        skip();
    }
    fx_view(&fx, &v);
    for (size_t i = 0; i < ORCH_NELEM(t); i++) {
        assert_int_equal(orch_view_lookup(&v, t[i].path, &e), 0);
        assert_int_equal(e.type, t[i].type);
        orch_entry_fini(&e);
        fd = orch_view_open_file(&v, t[i].path);
        assert_int_equal(fd < 0 ? fd : 0, t[i].open);
        if (fd >= 0)
            (void)close(fd);
    }
    assert_int_equal(orch_view_lookup(&v, "../x", &e), -EINVAL);
    assert_int_equal(orch_view_lookup(&v, "/etc", &e), -EINVAL);
    assert_int_equal(orch_view_list(&v, "d", &names), 0);
    assert_int_equal(names.n, 2);
    assert_string_equal(names.v[0], "y");
    assert_string_equal(names.v[1], "z");
    assert_int_equal(orch_view_list(&v, "a", &names), -ENOTDIR);
    assert_int_equal(orch_view_list(&v, "zz", &names), -ENOENT);
    orch_strv_fini(&names);
    orch_view_fini(&v);
    fx_fini(&fx);
}

static void opens_neither_fifo_nor_device(void **state)
{
    static const struct op setup[] = {{"p", "pipe", ""}, {"f", "f", "1"}, {0}};
    struct orch_view v = {0};
    struct fx fx;
    int fd;

    (void)state;
    fx_init(&fx);
    assert_int_equal(fx_ops(fx.ws, setup), 0);
    fx_view(&fx, &v);
    assert_int_equal(orch_view_open_file(&v, "pipe"), -EINVAL);
    fd = orch_view_open_file(&v, "f");
    assert_true(fd >= 0);
    (void)close(fd);
    orch_view_fini(&v);
    fx_fini(&fx);
}

/* Makes DIR/n/n/n... of the given depth with a file at the end. */
static void make_deep(const char *dir, int depth)
{
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), next;

    for (int i = 0; i < depth; i++) {
        assert_int_equal(mkdirat(fd, "n", 0755), 0);
        next = openat(fd, "n", O_PATH | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        (void)close(fd);
        fd = next;
    }
    next = openat(fd, "leaf", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(next >= 0);
    (void)close(next);
    (void)close(fd);
}

static void a_deep_tree_is_read_with_few_descriptors(void **state)
{
    enum { DEPTH = 3000 };
    struct orch_changes c = {0};
    struct orch_view v = {0};
    struct orch_err err = {0};
    struct orch_entry e;
    struct fx fx;
    uint64_t bytes, entries;
    char *up, hex[ORCH_HEX_SIZE];

    (void)state;
    fx_init(&fx);
    up = fx_upper(&fx, fx.n_up++);
    assert_int_equal(mkdir(up, 0755), 0);
    make_deep(up, DEPTH);
    fx_view(&fx, &v);
    assert_int_equal(orch_view_changes(&v, 1, &c, &err), 0);
    assert_int_equal(c.n, DEPTH + 1);
    assert_int_equal(strlen(c.v[DEPTH].path), 2 * DEPTH + 4);
    assert_int_equal(orch_view_lookup(&v, c.v[DEPTH].path, &e), 0);
    assert_int_equal(e.type, 'f');
    assert_int_equal(orch_layer_check(up, &err), 0);
    assert_int_equal(orch_layer_digest(up, hex, &err), 0);
    assert_int_equal(orch_layer_usage(up, &bytes, &entries), 0);
    assert_int_equal(entries, DEPTH + 1);
    assert_int_equal(orch_layer_sync(up), 0);
    orch_changes_fini(&c);
    orch_view_fini(&v);
    free(up);
    fx_fini(&fx);
}

static void fifty_thousand_deletions_are_listed(void **state)
{
    enum { N = 50000 };
    struct orch_changes c = {0};
    struct orch_view v = {0};
    struct orch_err err = {0};
    struct fx fx;
    uint64_t start;
    char *up, *s;

    (void)state;
    fx_init(&fx);
    s = orch_xasprintf("%s/many", fx.ws);
    assert_int_equal(mkdir(s, 0755), 0);
    for (int i = 0; i < N; i++) {
        char *f = orch_xasprintf("%s/%d", s, i);
        assert_int_equal(mknod(f, S_IFREG | 0644, 0), 0);
        free(f);
    }
    free(s);
    up = fx_upper(&fx, fx.n_up++);
    assert_int_equal(mkdir(up, 0755), 0);
    s = orch_xasprintf("%s/many", up);
    assert_int_equal(mknod(s, S_IFCHR, 0), 0);
    fx_view(&fx, &v);
    start = orch_now_ms();
    assert_int_equal(orch_view_changes(&v, 1, &c, &err), 0);
    print_message("  %d deletions in %llu ms\n", N, (unsigned long long)(orch_now_ms() - start));
    assert_int_equal(c.n, N + 1);
    assert_int_equal(c.v[0].kind, ORCH_DELETED);
    orch_changes_fini(&c);
    orch_view_fini(&v);
    free(s);
    free(up);
    fx_fini(&fx);
}

static void digest_of(const char *dir, char ret[ORCH_HEX_SIZE])
{
    struct orch_err err = {0};

    if (orch_layer_digest(dir, ret, &err) != 0)
        fail_msg("%s", err.msg);
}

static void digest_sees_every_property(void **state)
{
    static const struct op base[] = {{"f", "a", "1"}, {"d", "d", ""}, {"l", "l", "a"}, {0}};
    static const struct {
        const char *name;
        struct op op;
    } t[] = {
        {"bytes", {"f", "a", "2"}},        {"mode", {"chmod", "a", "600"}},
        {"size", {"trunc", "a", "70000"}}, {"new entry", {"f", "b", ""}},
        {"gone", {"rm", "a", ""}},         {"directory mode", {"chmod", "d", "700"}},
        {"renamed", {"mv", "a", "aa"}},    {"moved", {"mv", "a", "d/a"}},
    };
    char plain[ORCH_HEX_SIZE], empty[ORCH_HEX_SIZE], hex[ORCH_HEX_SIZE];
    struct fx fx;
    char *d;

    (void)state;
    fx_init(&fx);
    digest_of(fx.ws, empty);
    digest_of("/nonexistent/upper", hex);
    assert_string_equal(hex, empty);
    assert_int_equal(fx_ops(fx.ws, base), 0);
    digest_of(fx.ws, plain);
    assert_string_not_equal(plain, empty);
    for (size_t i = 0; i < ORCH_NELEM(t); i++) {
        struct op ops[] = {t[i].op, {0}};
        d = orch_xasprintf("%s/t%zu", fx.base, i);
        assert_int_equal(mkdir(d, 0755), 0);
        assert_int_equal(fx_ops(d, base), 0);
        digest_of(d, hex);
        assert_string_equal(hex, plain); /* times and inodes do not count */
        assert_int_equal(fx_ops(d, ops), 0);
        digest_of(d, hex);
        if (strcmp(hex, plain) == 0)
            fail_msg("%s does not change the digest", t[i].name);
        free(d);
    }
    fx_fini(&fx);
}

static void digest_tells_holes_from_nothing_but_not_from_zeros(void **state)
{
    char a[ORCH_HEX_SIZE], b[ORCH_HEX_SIZE];
    char *zeros = orch_xcalloc(1, 200000), *p;
    struct fx fx;
    int fd;

    (void)state;
    fx_init(&fx);
    p = orch_xasprintf("%s/x", fx.ws);
    fd = open(p, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 200000), 0);
    digest_of(fx.ws, a);
    assert_int_equal(orch_write_all(fd, zeros, 200000), 0);
    digest_of(fx.ws, b);
    assert_string_equal(a, b);
    assert_int_equal(pwrite(fd, "z", 1, 199999), 1);
    digest_of(fx.ws, b);
    assert_string_not_equal(a, b);
    assert_int_equal(ftruncate(fd, 1ll << 42), 0); /* 4 TiB of hole must cost nothing */
    digest_of(fx.ws, b);
    (void)close(fd);
    free(zeros);
    free(p);
    fx_fini(&fx);
}

static int set_attr(const char *path, const char *attr, const char *value)
{
    return lsetxattr(path, attr, value, strlen(value), 0);
}

static void check_refuses_what_no_agent_can_make(void **state)
{
    static const struct {
        struct op make;
        const char *path, *attr, *value; /* attribute set on path */
        int want;
    } t[] = {
        {{"f", "a", "1"}, NULL, NULL, NULL, 0},
        {{"l", "a", "/etc/passwd"}, NULL, NULL, NULL, 0},
        {{"p", "a", ""}, NULL, NULL, NULL, -EBADMSG},
        {{"f", "a", "1"}, "a", "user.mine", "1", 0},
        {{"d", "a", ""}, "a", "user.overlay.opaque", "y", 0},
        {{"d", "a", ""}, "a", "user.overlay.opaque", "x", -EBADMSG},
        {{"d", "a", ""}, "a", "user.overlay.opaque", "yy", -EBADMSG},
        {{"f", "a", ""}, "a", "user.overlay.opaque", "y", -EBADMSG},
        {{"d", "a", ""}, ".", "user.overlay.opaque", "y", -EBADMSG},
        {{"d", "a", ""}, "a", "user.overlay.impure", "y", 0},
        {{"f", "a", "1"}, "a", "user.overlay.origin", "o", 0},
        {{"f", "a", ""}, "a", "user.overlay.whiteout", "y", -EBADMSG},
        {{"f", "a", "1"}, "a", "user.overlay.redirect", "/etc", -EBADMSG},
        {{"f", "a", "1"}, "a", "user.overlay.metacopy", "y", -EBADMSG},
        {{"f", "a", "1"}, "a", "user.overlay.nlink", "U+1", -EBADMSG},
        {{"f", "a", "1"}, "a", "user.overlay.overlay.opaque", "y", -EBADMSG},
        {{"f", "a", "1"}, "a", "user.overlayx", "y", 0},
        {{"f", "a", "1"}, "a", "trusted.overlay.redirect", "/etc", -EBADMSG},
    };
    struct orch_err err = {0};

    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(t); i++) {
        struct op ops[] = {t[i].make, {0}};
        struct fx fx;
        char *p;
        fx_init(&fx);
        assert_int_equal(fx_ops(fx.ws, ops), 0);
        p = orch_xasprintf("%s/%s", fx.ws, t[i].path ? t[i].path : "");
        if (t[i].attr && set_attr(p, t[i].attr, t[i].value) < 0)
            print_message("[  SKIPPED ] %s: %s\n", t[i].attr, strerror(errno));
        else
            assert_int_equal(orch_layer_check(fx.ws, &err), t[i].want);
        free(p);
        fx_fini(&fx);
    }
    assert_int_equal(orch_layer_check("/nonexistent/upper", &err), 0);
}

static void check_refuses_setuid_and_accepts_whiteouts(void **state)
{
    static const struct op make[] = {{"f", "a", "1"}, {"d", "d", ""}, {"chmod", "d", "2755"}, {0}};
    static const struct op suid[] = {{"chmod", "a", "4755"}, {0}}, sgid[] = {{"chmod", "a", "2755"}, {0}};
    struct orch_err err = {0};
    struct fx fx;
    char *p;

    (void)state;
    fx_init(&fx);
    assert_int_equal(fx_ops(fx.ws, make), 0);
    p = orch_xasprintf("%s/gone", fx.ws);
    assert_int_equal(mknod(p, S_IFCHR, 0), 0);
    assert_int_equal(orch_layer_check(fx.ws, &err), 0);
    assert_int_equal(fx_ops(fx.ws, suid), 0);
    assert_int_equal(orch_layer_check(fx.ws, &err), -EBADMSG);
    assert_non_null(strstr(err.msg, "setuid"));
    assert_int_equal(fx_ops(fx.ws, sgid), 0);
    assert_int_equal(orch_layer_check(fx.ws, &err), -EBADMSG);
    free(p);
    fx_fini(&fx);
}

static void usage_counts_entries_and_blocks(void **state)
{
    static const struct op make[] = {
        {"f", "a", "1"}, {"d", "d", ""}, {"f", "d/x", "1"}, {"trunc", "d/x", "100000000"}, {0}};
    uint64_t bytes = 1, entries = 1;
    struct fx fx;

    (void)state;
    assert_int_equal(orch_layer_usage("/nonexistent/upper", &bytes, &entries), 0);
    assert_int_equal(bytes + entries, 0);
    fx_init(&fx);
    assert_int_equal(fx_ops(fx.ws, make), 0);
    assert_int_equal(orch_layer_usage(fx.ws, &bytes, &entries), 0);
    assert_int_equal(entries, 3);
    assert_true(bytes >= 2 * 4096 && bytes < 1000000);
    fx_fini(&fx);
}

/* A plan by hand: what the scaffold and orch_plan_decide read of it. Paths are relative to the workspace. */
struct rule {
    const char *rel;
    enum orch_place_kind kind;
    enum orch_access access;
};

static int cmp_place(const void *a, const void *b)
{
    return strcmp(((const struct orch_place *)a)->path, ((const struct orch_place *)b)->path);
}

static void plan_make(struct orch_plan *p, const char *ws, const struct rule *rules, const char *anywhere)
{
    static struct orch_profile profile;
    size_t n = 0;

    *p = (struct orch_plan){.profile = &profile, .workspace = orch_xstrdup(ws)};
    while (rules[n].rel)
        n++;
    p->places = orch_xcalloc(n + 1, sizeof(*p->places));
    p->places[0] = (struct orch_place){.kind = ORCH_PLACE_WORKSPACE,
                                       .path = orch_xstrdup(ws),
                                       .access = ORCH_ACCESS_RW,
                                       .directory = true,
                                       .quiet = false,
                                       .rule = NULL};
    for (size_t i = 0; i < n; i++)
        p->places[i + 1] = (struct orch_place){.kind = rules[i].kind,
                                               .path = orch_xasprintf("%s/%s", ws, rules[i].rel),
                                               .access = rules[i].access,
                                               .directory = true};
    p->n_places = n + 1;
    for (size_t i = 0; i <= n; i++) {
        static char name[] = "test#/0";
        p->places[i].rule = name;
    }
    qsort(p->places, p->n_places, sizeof(*p->places), cmp_place);
    if (anywhere) {
        p->anywhere = orch_xcalloc(1, sizeof(*p->anywhere));
        p->anywhere[0] = (struct orch_anywhere){orch_xstrdup(anywhere), ORCH_ACCESS_NONE, false, NULL};
        p->n_anywhere = 1;
    }
}

static void plan_drop(struct orch_plan *p)
{
    for (size_t i = 0; i < p->n_places; i++)
        free(p->places[i].path);
    for (size_t i = 0; i < p->n_anywhere; i++)
        free(p->anywhere[i].name);
    free(p->places);
    free(p->anywhere);
    free(p->workspace);
}

/* "path type" of every entry: w = whiteout. */
static int raw_line(const struct orch_walk_entry *e, void *ctx, struct orch_err *err)
{
    (void)err;
    orch_buf_printf(ctx, "%s %c\n", e->path, orch_is_whiteout(e->st) ? 'w' : orch_type_char(e->st->st_mode));
    return 0;
}

static void expect_raw(const char *dir, const char *want)
{
    struct orch_buf b = {0};
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_int_equal(orch_walk(fd, 0, raw_line, &b, NULL), 0);
    assert_string_equal(b.data ? b.data : "", want);
    orch_buf_fini(&b);
    (void)close(fd);
}

static void scaffold_hides_and_makes_mount_points(void **state)
{
    static const struct op setup[] = {{"f", ".env", "secret"},   {"d", "d", ""},
                                      {"f", "d/.env", "secret"}, {"d", "secret", ""},
                                      {"d", "secret/pub", ""},   {"f", "secret/k", ""},
                                      {"d", "have", ""},         {"f", "afile", ""},
                                      {"d", "d/open", ""},       {"f", "d/open/.env", ""},
                                      {"chmod", "d", "750"},     {"l", "d/link", "open"},
                                      {"p", "pipe", ""},         {0}};
    static const struct {
        struct rule rules[5];
        const char *anywhere, *want;
        int r;
    } t[] = {
        {{{0}}, NULL, "", 0},
        {{{"missing", ORCH_PLACE_WSRULE, ORCH_ACCESS_NONE}, {"none/x", ORCH_PLACE_WSRULE, ORCH_ACCESS_RW}},
         NULL,
         "",
         0},
        {{{".env", ORCH_PLACE_WSRULE, ORCH_ACCESS_NONE}, {"d/.env", ORCH_PLACE_WSRULE, ORCH_ACCESS_RO}},
         NULL,
         ".env w\n",
         0},
        {{{"pipe", ORCH_PLACE_WSRULE, ORCH_ACCESS_NONE}}, NULL, "pipe w\n", 0},
        {{{"secret", ORCH_PLACE_WSRULE, ORCH_ACCESS_NONE}}, NULL, "secret w\n", 0},
        {{{"secret", ORCH_PLACE_WSRULE, ORCH_ACCESS_NONE}, {"secret/pub", ORCH_PLACE_WSRULE, ORCH_ACCESS_RO}},
         NULL,
         "secret d\nsecret/k w\n",
         0},
        {{{"build/out", ORCH_PLACE_SCRATCH, ORCH_ACCESS_RWX}, {"have", ORCH_PLACE_SCRATCH, ORCH_ACCESS_RW}},
         NULL,
         "build d\nbuild/out d\n",
         0},
        {{{"afile", ORCH_PLACE_SCRATCH, ORCH_ACCESS_RW}}, NULL, "", -ENOTDIR},
        {{{0}}, ".env", ".env w\nd d\nd/.env w\nd/open d\nd/open/.env w\n", 0},
        {{{"d/open/.env", ORCH_PLACE_WSRULE, ORCH_ACCESS_RO}}, ".env", ".env w\nd d\nd/.env w\n", 0},
        {{{"d", ORCH_PLACE_WSRULE, ORCH_ACCESS_NONE}}, "open", "d w\n", 0},
    };

    (void)state;
    for (size_t i = 0; i < ORCH_NELEM(t); i++) {
        struct orch_plan plan;
        struct orch_view v = {0};
        struct orch_err err = {0};
        struct stat st;
        struct fx fx;
        bool used = false;
        char *dir, *sub;
        fx_init(&fx);
        assert_int_equal(fx_ops(fx.ws, setup), 0);
        fx_view(&fx, &v);
        plan_make(&plan, fx.ws, t[i].rules, t[i].anywhere);
        dir = orch_xasprintf("%s/s", fx.base);
        assert_int_equal(mkdir(dir, 0755), 0);
        assert_int_equal(orch_layer_scaffold(&v, &plan, dir, (uid_t)-1, (gid_t)-1, &used, &err), t[i].r);
        expect_raw(dir, t[i].want);
        if (t[i].r == 0)
            assert_int_equal(used, t[i].want[0] != '\0');
        sub = orch_xasprintf("%s/d", dir);
        if (stat(sub, &st) == 0 && S_ISDIR(st.st_mode))
            assert_int_equal(st.st_mode & 07777, 0750);
        free(sub);
        free(dir);
        plan_drop(&plan);
        orch_view_fini(&v);
        fx_fini(&fx);
    }
}

static void restore_puts_the_globbed_paths_back(void **state)
{
    static const struct op setup[] = {
        {"f", "Makefile", "good"}, {"d", "tests", ""},      {"f", "tests/a", "1"},   {"f", "tests/b", "1"},
        {"d", "tests/s", ""},      {"f", "tests/s/x", "1"}, {"l", "tests/l", "a"},   {"f", "src", "1"},
        {"d", "lib", ""},          {"f", "lib/t_x", "1"},   {"f", "lib/other", "1"}, {0}};
    static const struct op act[] = {{"f", "Makefile", "evil"},
                                    {"f", "tests/a", "2"},
                                    {"rm", "tests/b", ""},
                                    {"rmr", "tests/s", ""},
                                    {"l", "tests/s", "/etc"},
                                    {"f", "tests/new", "1"},
                                    {"rm", "tests/l", ""},
                                    {"f", "tests/l", "1"},
                                    {"f", "src", "2"},
                                    {"rmr", "lib", ""},
                                    {"f", "lib", "file"},
                                    {"chmod", "tests", "700"},
                                    {0}};
    /* changes of restored view against the workspace: only what no glob covers; lib is a directory again,
     * without other */
    static const char want[] = "-lib/other\n~src\n";
    struct orch_strv globs = {0}, all = {0};
    struct orch_view v = {0}, base = {0};
    struct orch_err err = {0};
    struct fx fx;
    char *dir, *got;

    (void)state;
    fx_init(&fx);
    assert_int_equal(fx_ops(fx.ws, setup), 0);
    if (!fx_attempt(&fx, act, NULL, NULL)) {
        fx_fini(&fx);
        skip();
    }
    fx_view(&fx, &v);
    assert_int_equal(orch_view_open(NULL, fx.ws, &base, &err), 0);
    orch_strv_add(&globs, "Makefile");
    orch_strv_add(&globs, "tests/**");
    orch_strv_add(&globs, "lib/t_*");
    dir = fx_upper(&fx, fx.n_up++);
    assert_int_equal(mkdir(dir, 0755), 0);
    if (orch_layer_restore(&v, &base, &globs, dir, (uid_t)-1, (gid_t)-1, &err) != 0)
        fail_msg("%s", err.msg);
    orch_view_fini(&v);
    fx_view(&fx, &v);
    got = changes_text(&v, fx.n_up);
    assert_string_equal(got, want);
    /* the kernel agrees with what was built */
    assert_true(fx_attempt(&fx, (const struct op[]){{"f", "tests/s/x", "1"}, {"f", "lib/t_x", "1"}, {0}},
                           NULL, NULL));
    free(got);
    free(dir);
    orch_strv_fini(&globs);
    orch_strv_fini(&all);
    orch_view_fini(&v);
    orch_view_fini(&base);
    fx_fini(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_are_those_of_the_table),
        cmocka_unit_test(lists_and_lookups_agree_with_the_mount),
        cmocka_unit_test(opens_neither_fifo_nor_device),
        cmocka_unit_test(a_deep_tree_is_read_with_few_descriptors),
        cmocka_unit_test(fifty_thousand_deletions_are_listed),
        cmocka_unit_test(digest_sees_every_property),
        cmocka_unit_test(digest_tells_holes_from_nothing_but_not_from_zeros),
        cmocka_unit_test(check_refuses_what_no_agent_can_make),
        cmocka_unit_test(check_refuses_setuid_and_accepts_whiteouts),
        cmocka_unit_test(usage_counts_entries_and_blocks),
        cmocka_unit_test(scaffold_hides_and_makes_mount_points),
        cmocka_unit_test(restore_puts_the_globbed_paths_back),
    };

    (void)umask(022);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
