/*
 * layer_fixture.h - real directories and real overlay uppers for the tests of layers, seal and apply.
 *
 * Trees are described by lists of operations; the same operations run in the workspace (set-up) and inside a
 * mounted overlay (what an agent does). A manifest describes a tree by other code than the one under test.
 */
#ifndef ORCH_TESTS_LAYER_FIXTURE_H
#define ORCH_TESTS_LAYER_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <cmocka.h>
#include "sandbox/layer.h"

struct op {
    const char *op; /* f d l p rm rmr chmod mv touch ln trunc */
    const char *a, *b;
};

#define FX_MAX_OPS 16

struct fx {
    char *base, *ws, *mnt;
    unsigned n_up; /* uppers made: BASE/u0 ... */
};

static inline void fx_init(struct fx *fx)
{
    char tmpl[] = "/tmp/orch-layer-XXXXXX";

    assert_non_null(mkdtemp(tmpl));
    *fx = (struct fx){.base = orch_xstrdup(tmpl)};
    fx->ws = orch_xasprintf("%s/ws", tmpl);
    fx->mnt = orch_xasprintf("%s/mnt", tmpl);
    assert_int_equal(mkdir(fx->ws, 0755), 0);
    assert_int_equal(mkdir(fx->mnt, 0755), 0);
}

static inline void fx_fini(struct fx *fx)
{
    assert_int_equal(orch_rm_rf(AT_FDCWD, fx->base), 0);
    free(fx->base);
    free(fx->ws);
    free(fx->mnt);
}

static inline char *fx_upper(const struct fx *fx, unsigned i)
{
    return orch_xasprintf("%s/u%u", fx->base, i);
}

static inline int fx_write(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int r = fd < 0 ? -errno : orch_write_all(fd, text, strlen(text));

    if (fd >= 0)
        (void)close(fd);
    return r;
}

static inline int fx_op(const struct op *o)
{
    if (strcmp(o->op, "f") == 0)
        return fx_write(o->a, o->b);
    if (strcmp(o->op, "d") == 0)
        return mkdir(o->a, 0755);
    if (strcmp(o->op, "l") == 0)
        return symlink(o->b, o->a);
    if (strcmp(o->op, "p") == 0)
        return mkfifo(o->a, 0644);
    if (strcmp(o->op, "rm") == 0)
        return unlink(o->a);
    if (strcmp(o->op, "rmr") == 0)
        return orch_rm_rf(AT_FDCWD, o->a);
    if (strcmp(o->op, "chmod") == 0)
        return chmod(o->a, (mode_t)strtoul(o->b, NULL, 8));
    if (strcmp(o->op, "mv") == 0)
        return rename(o->a, o->b);
    if (strcmp(o->op, "touch") == 0)
        return utimensat(AT_FDCWD, o->a, NULL, AT_SYMLINK_NOFOLLOW);
    if (strcmp(o->op, "ln") == 0)
        return link(o->b, o->a);
    if (strcmp(o->op, "trunc") == 0)
        return truncate(o->a, strtol(o->b, NULL, 10));
    return -1;
}

/* Runs ops with the current directory in dir; 0 or the number of the op that failed, from 1. */
static inline int fx_ops(const char *dir, const struct op *ops)
{
    int back = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC), r = 0;

    if (back < 0 || chdir(dir) < 0)
        return -1;
    for (int i = 0; i < FX_MAX_OPS && ops[i].op && r == 0; i++) {
        if (fx_op(&ops[i]) != 0)
            r = i + 1;
    }
    if (fchdir(back) < 0)
        r = -1;
    (void)close(back);
    return r;
}

static inline void fx_put_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd >= 0) {
        (void)orch_write_all(fd, text, strlen(text));
        (void)close(fd);
    }
}

/* A mount namespace, unprivileged if need be. */
static inline int fx_namespace(void)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    char *s;

    if (unshare(uid ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS) < 0)
        return -1;
    if (uid) {
        fx_put_text("/proc/self/setgroups", "deny");
        s = orch_xasprintf("0 %u 1", (unsigned)uid);
        fx_put_text("/proc/self/uid_map", s);
        free(s);
        s = orch_xasprintf("0 %u 1", (unsigned)gid);
        fx_put_text("/proc/self/gid_map", s);
        free(s);
    }
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

typedef void (*fx_fn)(const char *merged, void *ctx);

static inline char *fx_mount_options(const struct fx *fx)
{
    struct orch_buf b = {0};

    orch_buf_str(&b, "userxattr,lowerdir=");
    for (unsigned i = fx->n_up; i-- > 0;)
        orch_buf_printf(&b, "%s/u%u:", fx->base, i);
    orch_buf_printf(&b, "%s,upperdir=%s/u%u,workdir=%s/w%u", fx->ws, fx->base, fx->n_up, fx->base, fx->n_up);
    return orch_buf_take(&b);
}

/*
 * An attempt: mounts the next upper over all older ones and the workspace and runs ops in it, then fn (both
 * in a child). Returns false, with a printed reason, if no overlay can be mounted here.
 */
static inline bool fx_attempt(struct fx *fx, const struct op *ops, fx_fn fn, void *ctx)
{
    char *up = fx_upper(fx, fx->n_up), *work = orch_xasprintf("%s/w%u", fx->base, fx->n_up);
    char *options = fx_mount_options(fx);
    int status = 0, r;
    pid_t pid;

    assert_int_equal(mkdir(up, 0755), 0);
    assert_int_equal(mkdir(work, 0755), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (fx_namespace() < 0 || mount("overlay", fx->mnt, "overlay", 0, options) < 0)
            _exit(77);
        r = ops ? fx_ops(fx->mnt, ops) : 0;
        if (r == 0 && fn)
            fn(fx->mnt, ctx);
        _exit(r & 0x3f);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    free(up);
    free(work);
    free(options);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("[  SKIPPED ] no overlay can be mounted here\n");
        return false;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    fx->n_up++;
    return true;
}

/* All uppers over the workspace. */
static inline void fx_view(const struct fx *fx, struct orch_view *v)
{
    struct orch_strv layers = {0};
    struct orch_err err = {0};

    for (unsigned i = fx->n_up; i-- > 0;)
        orch_strv_add_take(&layers, fx_upper(fx, i));
    if (orch_view_open(&layers, fx->ws, v, &err) != 0)
        fail_msg("%s", err.msg);
    orch_strv_fini(&layers);
}

/* "+path" "-path" "~path", one a line. */
static inline char *fx_changes_text(const struct orch_changes *c)
{
    struct orch_buf b = {0};

    for (size_t i = 0; i < c->n; i++) {
        orch_buf_char(&b, "+-~"[c->v[i].kind]);
        orch_buf_str(&b, c->v[i].path);
        orch_buf_char(&b, '\n');
    }
    return orch_buf_take(&b);
}

static inline int fx_cmp_str(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline void fx_manifest_entry(int dir, const char *name, const char *path, struct orch_buf *out)
{
    struct stat st;
    char *target = NULL;

    assert_int_equal(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW), 0);
    orch_buf_printf(out, "%s %o", path, S_ISLNK(st.st_mode) ? (unsigned)S_IFLNK : (unsigned)st.st_mode);
    if (S_ISLNK(st.st_mode)) {
        target = orch_readlink(dir, name);
        orch_buf_printf(out, " -> %s", target);
        free(target);
    } else if (S_ISREG(st.st_mode)) {
        orch_buf_printf(out, " %lld.%09ld ", (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
        assert_int_equal(orch_read_file(dir, name, 1 << 20, out), 0);
    }
    orch_buf_char(out, '\n');
}

/* Recursive on purpose: small trees, and nothing in common with the code under test. */
static inline void fx_manifest_dir(int dir, const char *path, struct orch_buf *out)
{
    struct orch_strv names = {0};
    struct dirent *de;
    DIR *d = fdopendir(dir);

    assert_non_null(d);
    while ((de = readdir(d))) {
        if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0)
            orch_strv_add(&names, de->d_name);
    }
    if (names.n)
        qsort(names.v, names.n, sizeof(*names.v), fx_cmp_str);
    for (size_t i = 0; i < names.n; i++) {
        char *child = orch_xasprintf("%s/%s", path, names.v[i]);
        int sub;
        fx_manifest_entry(dirfd(d), names.v[i], child, out);
        sub = openat(dirfd(d), names.v[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (sub >= 0)
            fx_manifest_dir(sub, child, out);
        free(child);
    }
    orch_strv_fini(&names);
    (void)closedir(d);
}

/* Path, type, mode, target, file times and bytes of every entry. */
static inline void fx_manifest(const char *dir, struct orch_buf *out)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    fx_manifest_dir(fd, "", out);
}

/* For fx_attempt: writes the manifest of the mounted view into the file ctx. */
static inline void fx_save_manifest(const char *merged, void *ctx)
{
    struct orch_buf b = {0};

    fx_manifest(merged, &b);
    if (fx_write(ctx, b.data ? b.data : "") != 0)
        _exit(99);
    orch_buf_fini(&b);
}

/* The same tree changed in many ways; used for changes and for apply. */
struct fx_case {
    const char *name;
    struct op setup[FX_MAX_OPS], first[FX_MAX_OPS], second[FX_MAX_OPS]; /* second: another attempt on top */
    const char *changes;                                                /* of all layers */
};

static const struct fx_case fx_cases[] = {
    {"nothing", {{"f", "a", "1"}}, {{NULL, NULL, NULL}}, {{NULL, NULL, NULL}}, ""},
    {"create and modify",
     {{"f", "a", "1"}},
     {{"f", "a", "2"}, {"f", "b", "3"}, {"d", "d", ""}, {"f", "d/x", "4"}},
     {{NULL, NULL, NULL}},
     "~a\n+b\n+d\n+d/x\n"},
    {"copy-up without a change",
     {{"f", "a", "1"}, {"d", "d", ""}, {"f", "d/x", "1"}},
     {{"touch", "a", ""}, {"f", "d/x", "1"}},
     {{NULL, NULL, NULL}},
     ""},
    {"same size, other bytes", {{"f", "a", "1234"}}, {{"f", "a", "1235"}}, {{NULL, NULL, NULL}}, "~a\n"},
    {"mode",
     {{"f", "a", "1"}, {"d", "d", ""}},
     {{"chmod", "a", "755"}, {"chmod", "d", "700"}},
     {{NULL, NULL, NULL}},
     "~a\n~d\n"},
    {"delete a tree",
     {{"d", "d", ""}, {"d", "d/e", ""}, {"f", "d/e/x", "1"}, {"f", "d.c", "1"}},
     {{"rmr", "d", ""}},
     {{NULL, NULL, NULL}},
     "-d\n-d/e\n-d/e/x\n"},
    {"replace a directory by a new one",
     {{"d", "d", ""}, {"f", "d/x", "1"}, {"f", "d/y", "1"}, {"d", "d/sub", ""}, {"f", "d/sub/z", "1"}},
     {{"rmr", "d", ""}, {"d", "d", ""}, {"f", "d/x", "2"}, {"f", "d/n", "1"}},
     {{NULL, NULL, NULL}},
     "+d/n\n-d/sub\n-d/sub/z\n~d/x\n-d/y\n"},
    {"directory to file and to symlink",
     {{"d", "d", ""}, {"f", "d/x", "1"}, {"d", "e", ""}, {"d", "e/s", ""}, {"f", "e/s/y", "1"}},
     {{"rmr", "d", ""}, {"f", "d", "file"}, {"rmr", "e", ""}, {"l", "e", "d"}},
     {{NULL, NULL, NULL}},
     "~d\n-d/x\n~e\n-e/s\n-e/s/y\n"},
    {"file and symlink to directory",
     {{"f", "a", "1"}, {"l", "b", "a"}},
     {{"rm", "a", ""}, {"d", "a", ""}, {"f", "a/x", "1"}, {"rm", "b", ""}, {"d", "b", ""}, {"f", "b/y", "1"}},
     {{NULL, NULL, NULL}},
     "~a\n+a/x\n~b\n+b/y\n"},
    {"file to symlink and back",
     {{"f", "a", "1"}, {"l", "b", "a"}, {"l", "c", "a"}},
     {{"rm", "a", ""}, {"l", "a", "zz"}, {"rm", "b", ""}, {"f", "b", "1"}, {"rm", "c", ""}, {"l", "c", "b"}},
     {{NULL, NULL, NULL}},
     "~a\n~b\n~c\n"},
    {"rename", {{"f", "a", "1"}, {"d", "d", ""}}, {{"mv", "a", "d/b"}}, {{NULL, NULL, NULL}}, "-a\n+d/b\n"},
    {"two attempts",
     {{"d", "d", ""}, {"f", "d/x", "1"}, {"f", "a", "1"}},
     {{"f", "d/n", "1"}, {"f", "a", "2"}, {"rm", "d/x", ""}},
     {{"rm", "d/n", ""}, {"f", "a", "1"}, {"f", "d/x", "9"}, {"f", "d/m", "1"}},
     "+d/m\n~d/x\n"},
    {"deleted by one attempt, made again by the next",
     {{"d", "d", ""}, {"f", "d/x", "1"}, {"f", "d/y", "1"}},
     {{"rmr", "d", ""}},
     {{"d", "d", ""}, {"f", "d/x", "1"}},
     "-d/y\n"},
    {"hard link",
     {{"f", "a", "1"}, {"ln", "b", "a"}},
     {{"f", "a", "2"}, {"ln", "c", "a"}},
     {{NULL, NULL, NULL}},
     "~a\n+c\n"},
    {"hostile names",
     {{"f", "new\nline", "1"}, {"f", "\xff\xfe", "1"}, {"d", "-rf", ""}, {"f", "-rf/\x1b[31m", "1"}},
     {{"f", "new\nline", "2"},
      {"rm", "\xff\xfe", ""},
      {"f", "-rf/\xc3\x28", "1"},
      {"rm", "-rf/\x1b[31m", ""}},
     {{NULL, NULL, NULL}},
     "-"
     "-rf/\x1b[31m\n+-rf/\xc3\x28\n~new\nline\n-\xff\xfe\n"},
    {"FIFO in the workspace",
     {{"p", "pipe", ""}, {"d", "d", ""}, {"p", "d/pipe", ""}, {"f", "d/x", "1"}},
     {{"rm", "pipe", ""}, {"f", "pipe", "file"}, {"rmr", "d", ""}},
     {{NULL, NULL, NULL}},
     "-d\n-d/pipe\n-d/x\n~pipe\n"},
    {"sparse",
     {{"f", "a", "1"}, {"trunc", "a", "1000000"}},
     {{"trunc", "a", "1000001"}, {"f", "b", "x"}, {"trunc", "b", "900000"}},
     {{NULL, NULL, NULL}},
     "~a\n+b\n"},
    {"read-only directories",
     {{"d", "d", ""}, {"f", "d/x", "1"}, {"chmod", "d", "555"}},
     {{"chmod", "d", "755"},
      {"rm", "d/x", ""},
      {"f", "d/y", "1"},
      {"d", "d/e", ""},
      {"f", "d/e/z", "1"},
      {"chmod", "d/e", "500"},
      {"chmod", "d", "555"}},
     {{NULL, NULL, NULL}},
     "+d/e\n+d/e/z\n-d/x\n+d/y\n"},
    {"setgid and sticky directories",
     {{"d", "d", ""}},
     {{"chmod", "d", "1777"}, {"d", "e", ""}, {"chmod", "e", "2755"}},
     {{NULL, NULL, NULL}},
     "~d\n+e\n"},
};

/* An upper made by hand instead of by an overlay: ops run in it directly. */
static inline void hand_made(struct fx *fx, const struct op *setup, const struct op *upper)
{
    char *up;

    fx_init(fx);
    assert_int_equal(fx_ops(fx->ws, setup), 0);
    up = fx_upper(fx, fx->n_up++);
    assert_int_equal(mkdir(up, 0755), 0);
    assert_int_equal(fx_ops(up, upper), 0);
    free(up);
}

#endif
