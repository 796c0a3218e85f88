/* test_tools.c - tool closures on this host, and the ELF reader on broken files. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/io.h"
#include "policy/elf.h"
#include "policy/helpers.h"
#include "policy/tools.h"

static char file_name[] = "profile.json";

struct result {
    int r;
    struct orch_closure c;
    struct orch_diags d;
    char *command;
};

static struct result resolve(struct orch_tool *tools, size_t n, const char *command)
{
    struct orch_profile p = {.file = file_name, .tools = tools, .n_tools = n};
    struct result res = {0};
    res.r = orch_tools_resolve(&p, command, &res.c, &res.command, &res.d);
    return res;
}

static void result_fini(struct result *res)
{
    orch_closure_fini(&res->c);
    orch_diags_fini(&res->d);
    free(res->command);
}

static const struct orch_closure_entry *entry(const struct orch_closure *c, const char *path)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->v[i].path, path) == 0)
            return &c->v[i];
    return NULL;
}

static bool has_kind(const struct orch_closure *c, enum orch_closure_kind kind, const char *part)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->v[i].kind == kind && strstr(c->v[i].path, part))
            return true;
    return false;
}

static bool installed(const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "/usr/bin/%s", name);
    return access(path, X_OK) == 0;
}

static bool has_library(const struct orch_closure *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++) {
        const char *slash = strrchr(c->v[i].path, '/');
        if (c->v[i].kind != ORCH_CLOSURE_DIR && strcmp(slash + 1, name) == 0)
            return true;
    }
    return false;
}

/* Sorted and unique, everything there and of its kind, and all that a program or library needs is in the
 * closure. */
static void check_closure(const struct orch_closure *c)
{
    assert_true(c->n > 0);
    for (size_t i = 0; i < c->n; i++) {
        const struct orch_closure_entry *e = &c->v[i];
        struct stat st;
        if (i > 0)
            assert_true(strcmp(c->v[i - 1].path, e->path) < 0);
        assert_int_equal(e->path[0], '/');
        assert_non_null(e->why);
        assert_int_equal(lstat(e->path, &st), 0);
        if (e->kind == ORCH_CLOSURE_LINK) {
            assert_true(S_ISLNK(st.st_mode));
            continue;
        }
        ORCH_AUTO_FREE char *real = realpath(e->path, NULL);
        assert_string_equal(real, e->path);
        assert_true(e->kind == ORCH_CLOSURE_DIR ? S_ISDIR(st.st_mode)
                                                : S_ISREG(st.st_mode) || e->kind == ORCH_CLOSURE_DATA_DIR);
        if (e->kind != ORCH_CLOSURE_PROGRAM && e->kind != ORCH_CLOSURE_LIBRARY)
            continue;
        ORCH_AUTO_FD int fd = open(e->path, O_RDONLY | O_CLOEXEC);
        struct orch_elf elf;
        if (orch_elf_read(fd, &elf) < 0)
            continue; /* a script */
        for (size_t k = 0; k < elf.needed.n; k++)
            if (!has_library(c, elf.needed.v[k]))
                fail_msg("%s needs %s", e->path, elf.needed.v[k]);
        orch_elf_fini(&elf);
    }
}

static struct orch_tool tool(const char *name)
{
    return (struct orch_tool){.name = orch_xstrdup(name), .line = 3, .col = 7};
}

static void closure_of_sh(void **state)
{
    (void)state;
    struct orch_tool t = tool("sh");
    struct result res = resolve(&t, 1, NULL);
    assert_int_equal(res.r, 0);
    check_closure(&res.c);
    ORCH_AUTO_FREE char *real = realpath("/usr/bin/sh", NULL);
    assert_true(orch_closure_executes(&res.c, real));
    assert_false(orch_closure_executes(&res.c, "/usr/bin/cat"));
    assert_false(orch_closure_executes(&res.c, "/"));
    assert_false(orch_closure_executes(&res.c, ""));
    assert_int_equal(res.c.names.n, 1);
    assert_string_equal(res.c.names.v[0], "sh");
    assert_true(orch_strv_has(&res.c.path_dirs, "/usr/bin"));
    ORCH_AUTO_FREE char *loader = realpath("/lib64/ld-linux-x86-64.so.2", NULL);
    assert_non_null(entry(&res.c, loader));
    assert_int_equal(entry(&res.c, loader)->kind, ORCH_CLOSURE_LOADER);
    assert_false(orch_closure_executes(&res.c, loader));
    struct stat st;
    if (lstat("/bin", &st) == 0 && S_ISLNK(st.st_mode))
        assert_int_equal(entry(&res.c, "/bin")->kind, ORCH_CLOSURE_LINK);
    if (lstat("/usr/bin/sh", &st) == 0 && S_ISLNK(st.st_mode))
        assert_int_equal(entry(&res.c, "/usr/bin/sh")->kind, ORCH_CLOSURE_LINK);
    assert_true(has_kind(&res.c, ORCH_CLOSURE_LIBRARY, "libc.so"));
    result_fini(&res);
    free(t.name);
}

static void closure_of_big_tools(void **state)
{
    (void)state;
    static const struct {
        const char *name, *part;
        enum orch_closure_kind kind;
    } rows[] = {
        {"git", "/git-core", ORCH_CLOSURE_DIR},        {"cc", "/usr/lib/gcc", ORCH_CLOSURE_DIR},
        {"python3", "/lib/python3", ORCH_CLOSURE_DIR}, {"perl", "/perl", ORCH_CLOSURE_DIR},
        {"make", "make", ORCH_CLOSURE_PROGRAM},        {"node", "node", ORCH_CLOSURE_PROGRAM},
    };
    for (size_t i = 0; i < ORCH_NELEM(rows); i++) {
        if (!installed(rows[i].name))
            continue;
        struct orch_tool t = tool(rows[i].name);
        struct result res = resolve(&t, 1, NULL);
        if (res.r != 0) {
            assert_true(res.d.n > 0);
            fail_msg("%s: %s", rows[i].name, res.d.v[0].msg);
        }
        check_closure(&res.c);
        if (!has_kind(&res.c, rows[i].kind, rows[i].part))
            fail_msg("%s: no %s", rows[i].name, rows[i].part);
        result_fini(&res);
        free(t.name);
    }
}

static void helpers_of_cc_run(void **state)
{
    (void)state;
    if (!installed("gcc") || !installed("as"))
        skip();
    struct orch_tool t = tool("gcc");
    struct result res = resolve(&t, 1, NULL);
    assert_int_equal(res.r, 0);
    ORCH_AUTO_FREE char *as = realpath("/usr/bin/as", NULL);
    ORCH_AUTO_FREE char *ld = realpath("/usr/bin/ld", NULL);
    assert_true(orch_closure_executes(&res.c, as));
    assert_true(orch_closure_executes(&res.c, ld));
    assert_true(orch_closure_executes(&res.c, "/usr/lib/gcc/x86_64-linux-gnu/12/cc1"));
    assert_false(orch_closure_executes(&res.c, "/usr/lib/gccx/cc1"));
    assert_false(orch_strv_has(&res.c.names, "as")); /* a helper, not a tool */
    result_fini(&res);
    free(t.name);
}

static void missing_tools(void **state)
{
    (void)state;
    struct orch_tool t = tool("no-such-tool-here");
    struct result res = resolve(&t, 1, NULL);
    assert_int_equal(res.r, -EINVAL);
    assert_int_equal(res.d.n, 1);
    assert_int_equal(res.d.v[0].line, 3);
    assert_non_null(strstr(res.d.v[0].msg, "not found"));
    result_fini(&res);
    t.optional = true;
    res = resolve(&t, 1, NULL);
    assert_int_equal(res.r, 0);
    assert_int_equal(res.c.dropped.n, 1);
    assert_int_equal(res.c.names.n, 0);
    result_fini(&res);
    free(t.name);
}

/* ---- a private directory with scripts ---- */

static char dir[] = "/tmp/orch-tools-XXXXXX";
static char *old_path;

static void put(const char *name, const void *data, size_t n, mode_t mode)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    ORCH_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, n), n);
}

static void put_text(const char *name, const char *text)
{
    put(name, text, strlen(text), 0755);
}

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    old_path = orch_xstrdup(getenv("PATH") ? getenv("PATH") : "");
    return setenv("PATH", dir, 1);
}

static int teardown(void **state)
{
    (void)state;
    (void)setenv("PATH", old_path, 1);
    free(old_path);
    return orch_rm_rf(AT_FDCWD, dir);
}

static void scripts_need_a_path(void **state)
{
    (void)state;
    put_text("shim-x", "#!/bin/sh\nexec true\n");
    struct orch_tool t = tool("shim-x");
    struct result res = resolve(&t, 1, NULL);
    assert_int_equal(res.r, -EINVAL);
    assert_non_null(strstr(res.d.v[0].msg, "is a script; give its \"path\""));
    result_fini(&res);
    t.optional = true;
    res = resolve(&t, 1, NULL);
    assert_int_equal(res.r, 0);
    assert_true(orch_strv_has(&res.c.dropped, "shim-x"));
    result_fini(&res);
    t.optional = false;
    t.path = orch_xasprintf("%s/shim-x", dir);
    res = resolve(&t, 1, NULL);
    assert_int_equal(res.r, 0);
    check_closure(&res.c);
    ORCH_AUTO_FREE char *sh = realpath("/bin/sh", NULL);
    assert_true(orch_closure_executes(&res.c, t.path));
    assert_true(orch_closure_executes(&res.c, sh));
    assert_string_equal(res.c.path_dirs.v[0], dir);
    result_fini(&res);
    free(t.path);
    free(t.name);
}

static void shebang_chains(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want; /* want NULL: an error */
    } rows[] = {
        {"#!/usr/bin/env sh\n", "/bin/sh"},
        {"#!/usr/bin/env -S A=1 sh -e\n", "/bin/sh"},
        {"#! /bin/sh -e\n", "/bin/sh"},
        {"#!/bin/sh", "/bin/sh"},
        {"#!/usr/bin/env\n", NULL},
        {"#!/usr/bin/env no-such-thing\n", NULL},
        {"#!/no/such/interp\n", NULL},
        {"#!\n", NULL},
        {"#!sh\n", NULL},
        {"not a program\n", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < ORCH_NELEM(rows); i++) {
        put_text("script", rows[i].text);
        ORCH_AUTO_FREE char *path = orch_xasprintf("%s/script", dir);
        struct result res = resolve(NULL, 0, path);
        if ((res.r == 0) != (rows[i].want != NULL))
            fail_msg("row %zu: %d", i, res.r);
        if (rows[i].want) {
            ORCH_AUTO_FREE char *real = realpath(rows[i].want, NULL);
            assert_true(orch_closure_executes(&res.c, real));
            assert_string_equal(res.command, path);
        } else {
            assert_null(res.command);
        }
        result_fini(&res);
    }
}

static void endless_interpreters_end(void **state)
{
    (void)state;
    ORCH_AUTO_FREE char *text = orch_xasprintf("#!%s/loop\n", dir);
    put_text("loop", text);
    ORCH_AUTO_FREE char *path = orch_xasprintf("%s/loop", dir);
    struct result res = resolve(NULL, 0, path);
    result_fini(&res); /* whatever it says, it must come back */
    for (int i = 0; i < 8; i++) {
        ORCH_AUTO_FREE char *name = orch_xasprintf("deep%d", i);
        ORCH_AUTO_FREE char *line =
            i == 7 ? orch_xstrdup("#!/bin/sh\n") : orch_xasprintf("#!%s/deep%d\n", dir, i + 1);
        put_text(name, line);
    }
    ORCH_AUTO_FREE char *deep = orch_xasprintf("%s/deep0", dir);
    res = resolve(NULL, 0, deep);
    assert_int_equal(res.r, -EINVAL);
    result_fini(&res);
}

static void commands_are_tools(void **state)
{
    (void)state;
    struct result res = resolve(NULL, 0, "sh");
    assert_int_equal(res.r, 0);
    assert_non_null(strstr(res.command, "/bin/sh"));
    assert_true(orch_strv_has(&res.c.names, "sh"));
    result_fini(&res);
    static const char *const wrong[] = {"./x", "a/b", "", "no-such-command", "/no/such/file", "/usr"};
    for (size_t i = 0; i < ORCH_NELEM(wrong); i++) {
        res = resolve(NULL, 0, wrong[i]);
        assert_int_equal(res.r, -EINVAL);
        result_fini(&res);
    }
}

/* tar calls lzip. One that is not there is passed over, one that cannot run is not. */
static void broken_helpers_are_said(void **state)
{
    (void)state;
    if (installed("lzip"))
        skip();
    struct orch_tool t = tool("tar");
    t.path = orch_xasprintf("%s/tar", dir);
    put_text("tar", "#!/bin/sh\n");
    struct result res = resolve(&t, 1, NULL);
    assert_int_equal(res.r, 0);
    result_fini(&res);
    put_text("lzip", "#!/no/such/interpreter\n");
    res = resolve(&t, 1, NULL);
    assert_int_equal(res.r, -EINVAL);
    assert_non_null(strstr(res.d.v[0].msg, "tool 'tar': helper of tar: /no/such/interpreter"));
    result_fini(&res);
    t.optional = true;
    res = resolve(&t, 1, NULL);
    assert_int_equal(res.r, 0);
    assert_true(orch_strv_has(&res.c.names, "tar"));
    assert_int_equal(res.c.dropped.n, 1);
    assert_non_null(strstr(res.c.dropped.v[0], "helper of tar"));
    result_fini(&res);
    put_text("lzip", "#!/bin/sh\n");
    free(t.path);
    free(t.name);
}

static void with_paths_join(void **state)
{
    (void)state;
    char sub[256], data[256], none[256];
    (void)snprintf(sub, sizeof(sub), "%s/sub", dir);
    (void)snprintf(data, sizeof(data), "%s/data", dir);
    (void)snprintf(none, sizeof(none), "%s/none", dir);
    assert_int_equal(mkdir(sub, 0755), 0);
    put("data", "x", 1, 0644);
    char *with[] = {sub, data, NULL};
    struct orch_tool t = tool("sh");
    t.with = (struct orch_strv){.v = with, .n = 2};
    struct result res = resolve(&t, 1, NULL);
    assert_int_equal(res.r, 0);
    assert_int_equal(entry(&res.c, sub)->kind, ORCH_CLOSURE_DIR);
    assert_int_equal(entry(&res.c, data)->kind, ORCH_CLOSURE_DATA_DIR);
    ORCH_AUTO_FREE char *beneath = orch_xasprintf("%s/a/b", sub);
    assert_true(orch_closure_executes(&res.c, beneath));
    result_fini(&res);
    with[1] = none;
    res = resolve(&t, 1, NULL);
    assert_int_equal(res.r, -EINVAL);
    result_fini(&res);
    free(t.name);
}

static void symlink_loops_and_chains(void **state)
{
    (void)state;
    char a[256], b[256], c[256];
    (void)snprintf(a, sizeof(a), "%s/la", dir);
    (void)snprintf(b, sizeof(b), "%s/lb", dir);
    (void)snprintf(c, sizeof(c), "%s/lc", dir);
    assert_int_equal(symlink("lb", a), 0);
    assert_int_equal(symlink("la", b), 0);
    assert_int_equal(symlink("../../bin/../bin/sh", c), 0);
    struct result res = resolve(NULL, 0, a);
    assert_int_equal(res.r, -EINVAL);
    result_fini(&res);
    res = resolve(NULL, 0, c);
    assert_int_equal(res.r, 0);
    assert_int_equal(entry(&res.c, c)->kind, ORCH_CLOSURE_LINK);
    assert_string_equal(res.command, c);
    check_closure(&res.c);
    result_fini(&res);
}

/* ---- ELF ---- */

static int memory_file(const void *p, size_t n)
{
    int fd = memfd_create("elf", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), n);
    return fd;
}

static void elf_truncated_and_flipped(void **state)
{
    (void)state;
    ORCH_AUTO_BUF struct orch_buf b = {0};
    assert_int_equal(orch_read_file(AT_FDCWD, "/bin/sh", 64u << 20, &b), 0);
    struct orch_elf elf;
    for (size_t n = 0; n < b.len; n += n < 1200 ? 1 : 4099) {
        ORCH_AUTO_FD int fd = memory_file(b.data, n);
        int r = orch_elf_read(fd, &elf);
        assert_true(r == 0 || r == -ENOEXEC || r == -EBADMSG);
        if (n < 64)
            assert_true(r < 0);
        orch_elf_fini(&elf);
    }
    for (size_t i = 0; i < 1200; i++) { /* headers and program headers */
        b.data[i] = (char)~b.data[i];
        ORCH_AUTO_FD int fd = memory_file(b.data, b.len);
        int r = orch_elf_read(fd, &elf);
        assert_true(r == 0 || r == -ENOEXEC || r == -EBADMSG);
        orch_elf_fini(&elf);
        b.data[i] = (char)~b.data[i];
    }
}

static void elf_refuses_other_kinds(void **state)
{
    (void)state;
    Elf64_Ehdr h = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                    .e_type = ET_DYN,
                    .e_machine = EM_X86_64,
                    .e_phentsize = sizeof(Elf64_Phdr),
                    .e_phnum = 1,
                    .e_phoff = UINT64_MAX - 8};
    struct orch_elf elf;
    ORCH_AUTO_FD int outside = memory_file(&h, sizeof(h));
    assert_int_equal(orch_elf_read(outside, &elf), -EBADMSG);
    h.e_machine = EM_AARCH64;
    ORCH_AUTO_FD int other = memory_file(&h, sizeof(h));
    assert_int_equal(orch_elf_read(other, &elf), -ENOEXEC);
    h.e_ident[EI_CLASS] = ELFCLASS32;
    ORCH_AUTO_FD int narrow = memory_file(&h, sizeof(h));
    assert_int_equal(orch_elf_read(narrow, &elf), -ENOEXEC);
    ORCH_AUTO_FD int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(orch_elf_read(folder, &elf), -ENOEXEC);
    assert_true(orch_elf_read(-1, &elf) < 0);
}

/* Words with wildcards in the last component only; names have no slash and are looked up. */
static void check_words(const char *words, bool names)
{
    ORCH_AUTO_FREE char *copy = orch_xstrdup(words ? words : "");
    char *save = NULL;
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        const char *slash = strrchr(word, '/'), *wild = strpbrk(word, "*?[");
        if (!slash && names)
            continue;
        if (!slash || (word[0] != '/' && strncmp(word, "$PREFIX/", 8) != 0) || (wild && wild < slash))
            fail_msg("helper table: '%s'", word);
    }
}

static void helper_table_is_well_formed(void **state)
{
    (void)state;
    assert_true(orch_n_helpers > 0);
    for (size_t i = 0; i < orch_n_helpers; i++) {
        const struct orch_helper *h = &orch_helpers[i];
        assert_true(h->programs[0] != '\0' && h->why && h->why[0] != '\0');
        assert_true(h->calls || h->dirs || h->trees || h->libs || h->data);
        check_words(h->calls, true);
        check_words(h->dirs, false);
        check_words(h->trees, false);
        check_words(h->libs, false);
        check_words(h->data, false);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(h->programs, orch_helpers[k].programs);
    }
}

/* docs/tools.md has a row for each row, in this order: "| `PROGRAMS` | what it calls | paths | why |". */
static void helper_table_is_documented(void **state)
{
    (void)state;
    ORCH_AUTO_BUF struct orch_buf text = {0};
    assert_int_equal(orch_read_file(AT_FDCWD, "docs/tools.md", 1u << 20, &text), 0);
    const char *at = text.data;
    for (size_t i = 0; i < orch_n_helpers; i++) {
        const struct orch_helper *h = &orch_helpers[i];
        ORCH_AUTO_BUF struct orch_buf row = {0};
        orch_buf_printf(&row, "\n| `%s` | %s | ", h->programs, h->calls ? h->calls : "");
        const char *const lists[] = {h->dirs, h->trees, h->libs, h->data};
        static const char *const how[] = {"runs", "runs", "maps", "reads"};
        for (size_t k = 0, n = 0; k < ORCH_NELEM(lists); k++)
            if (lists[k])
                orch_buf_printf(&row, "%s%s `%s`", n++ ? "; " : "", how[k], lists[k]);
        orch_buf_printf(&row, " | %s |\n", h->why);
        const char *found = strstr(at, row.data);
        if (!found)
            fail_msg("docs/tools.md lacks, or has elsewhere: %s", row.data + 1);
        at = found + row.len - 1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closure_of_sh),
        cmocka_unit_test(closure_of_big_tools),
        cmocka_unit_test(helpers_of_cc_run),
        cmocka_unit_test(missing_tools),
        cmocka_unit_test(scripts_need_a_path),
        cmocka_unit_test(shebang_chains),
        cmocka_unit_test(endless_interpreters_end),
        cmocka_unit_test(commands_are_tools),
        cmocka_unit_test(broken_helpers_are_said),
        cmocka_unit_test(with_paths_join),
        cmocka_unit_test(symlink_loops_and_chains),
        cmocka_unit_test(elf_truncated_and_flipped),
        cmocka_unit_test(elf_refuses_other_kinds),
        cmocka_unit_test(helper_table_is_well_formed),
        cmocka_unit_test(helper_table_is_documented),
    };
    return cmocka_run_group_tests_name("policy/tools", tests, setup, teardown);
}
