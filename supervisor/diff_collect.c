/* diff_collect.c - what of each change can be shown, and the copies that are compared. See diff.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/exit.h"
#include "supervisor/diff.h"
#include "supervisor/exec.h"

#define NUL_WITHIN 8000u /* a NUL byte this early makes a file binary, as for git */
#define PIECE (64u << 10)

static const char note_large[] = "too large to show", note_binary[] = "binary", note_mode[] = "same content",
                  note_total[] = "not shown: there is more text than is compared",
                  note_unread[] = "cannot be read";

enum { OLD, NEW };

struct side {
    int fd; /* -1 = not there */
    struct orch_buf text;
    bool large;
};

static void side_fini(struct side *s)
{
    orch_close_fdp(&s->fd);
    orch_buf_fini(&s->text);
}

static int open_side(const struct orch_diff *d, const struct orch_change *c, int which, struct side *ret)
{
    const struct orch_view old = {.t = d->view.t + d->n_new, .n = d->view.n - d->n_new};
    char type = which == OLD ? c->before.type : c->after.type;

    if (type != 'f')
        return 0;
    ret->fd = orch_view_open_file(which == OLD ? &old : &d->view, c->path);
    return ret->fd < 0 ? ret->fd : 0;
}

static int read_side(struct side *s)
{
    int r = s->fd < 0 ? 0 : orch_read_all(s->fd, ORCH_DIFF_TEXT_MAX, &s->text);

    s->large = r == -EFBIG;
    return s->large ? 0 : r;
}

static bool is_binary(const struct side *s)
{
    return s->text.len && memchr(s->text.data, '\0', s->text.len < NUL_WITHIN ? s->text.len : NUL_WITHIN);
}

/* 1 same bytes, 0 not, -errno; of files that are not held in memory. */
static int same_files(int a, int b)
{
    ORCH_AUTO_FREE char *x = orch_xmalloc(PIECE), *y = orch_xmalloc(PIECE);
    off_t at = 0;

    for (;;) {
        ssize_t n = pread(a, x, PIECE, at), m = pread(b, y, PIECE, at);

        if (n < 0 || m < 0)
            return -errno;
        if (n != m || memcmp(x, y, (size_t)n) != 0)
            return 0;
        if (n == 0)
            return 1;
        at += n;
    }
}

static int same(const struct side s[2])
{
    if (s[OLD].fd < 0 || s[NEW].fd < 0)
        return 0;
    if (s[OLD].large && s[NEW].large)
        return same_files(s[OLD].fd, s[NEW].fd);
    return !s[OLD].large && !s[NEW].large && s[OLD].text.len == s[NEW].text.len &&
           (s[OLD].text.len == 0 || memcmp(s[OLD].text.data, s[NEW].text.data, s[OLD].text.len) == 0);
}

/* ---- the scratch directory ---- */

/* Where `exec` keeps its layers: held by a lock, and swept by the next command when we are killed. */
static int make_scratch(struct orch_diff *d)
{
    ORCH_AUTO_FREE char *parent = orch_xasprintf("%s/exec", d->state);
    ORCH_AUTO_FREE char *dir = orch_xasprintf("%s/XXXXXX", parent);
    ORCH_AUTO_FREE char *old = NULL, *new = NULL;
    int r = orch_mkdir_p(parent, 0700);

    if (r < 0 || !mkdtemp(dir))
        return r < 0 ? r : -errno;
    d->dir = ORCH_TAKE_PTR(dir);
    d->held = orch_exec_hold(d->dir);
    if (d->held < 0)
        return d->held;
    orch_exec_sweep(parent);
    old = orch_xasprintf("%s/old", d->dir);
    new = orch_xasprintf("%s/new", d->dir);
    return mkdir(old, 0700) < 0 || mkdir(new, 0700) < 0 ? -errno : 0;
}

static int copy(const struct orch_diff *d, const char *sub, const struct orch_buf *text)
{
    ORCH_AUTO_FREE char *path = orch_xasprintf("%s/%s/%u", d->dir, sub, d->n_texts + 1);
    ORCH_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return -errno;
    return text->len ? orch_write_all(fd, text->data, text->len) : 0;
}

static int add_text(struct orch_diff *d, size_t i, const struct side s[2])
{
    int r = d->dir ? 0 : make_scratch(d);

    if (r < 0)
        return r;
    r = copy(d, "old", &s[OLD].text);
    if (r == 0)
        r = copy(d, "new", &s[NEW].text);
    if (r == 0)
        d->number[i] = ++d->n_texts;
    d->copied += s[OLD].text.len + s[NEW].text.len;
    return r;
}

/* ---- */

static bool has_content(const struct orch_change *c)
{
    if (c->kind == ORCH_MODIFIED)
        return c->before.type == 'f' && c->after.type == 'f';
    return (c->kind == ORCH_CREATED ? c->after.type : c->before.type) == 'f';
}

/* The note for the change's line; NULL: there is text, or nothing more to say. */
static const char *classify(const struct orch_diff *d, const struct side s[2], bool *ret_text)
{
    int equal = same(s);

    *ret_text = false;
    if (equal < 0)
        return note_unread;
    if (equal)
        return note_mode;
    if (is_binary(&s[OLD]) || is_binary(&s[NEW]))
        return note_binary;
    if (s[OLD].large || s[NEW].large)
        return note_large;
    if (s[OLD].text.len == 0 && s[NEW].text.len == 0)
        return NULL; /* an empty file comes or goes */
    if (d->n_texts >= ORCH_DIFF_FILES_MAX ||
        d->copied + s[OLD].text.len + s[NEW].text.len > ORCH_DIFF_TOTAL_MAX)
        return note_total;
    *ret_text = true;
    return NULL;
}

static int collect_one(struct orch_diff *d, size_t i)
{
    const struct orch_change *c = &d->changes.v[i];
    struct side s[2] = {{.fd = -1}, {.fd = -1}};
    bool text = false;
    int r = open_side(d, c, OLD, &s[OLD]);

    if (r == 0)
        r = open_side(d, c, NEW, &s[NEW]);
    if (r == 0)
        r = read_side(&s[OLD]);
    if (r == 0)
        r = read_side(&s[NEW]);
    if (r == 0)
        d->notes[i] = classify(d, s, &text);
    else
        d->notes[i] = note_unread;
    if (r == 0 && text)
        r = add_text(d, i, s);
    side_fini(&s[OLD]);
    side_fini(&s[NEW]);
    return r;
}

int orch_diff_collect(struct orch_diff *d, struct orch_err *err)
{
    size_t n = d->changes.n ? d->changes.n : 1;

    d->notes = orch_xcalloc(n, sizeof(const char *));
    d->number = orch_xcalloc(n, sizeof(*d->number));
    for (size_t i = 0; i < d->changes.n; i++) {
        int r = has_content(&d->changes.v[i]) ? collect_one(d, i) : 0;

        if (r < 0 && d->notes[i] != note_unread)
            return orch_err_sys(err, -r, "the texts cannot be copied into the state directory");
        if (r < 0)
            (void)orch_err_sys(err, -r, "not every file can be read");
    }
    return err->errnum ? -err->errnum : 0;
}

void orch_diff_fini(struct orch_diff *d)
{
    if (d->dir)
        (void)orch_rm_rf(AT_FDCWD, d->dir);
    orch_close_fdp(&d->held);
    orch_changes_fini(&d->changes);
    orch_view_fini(&d->view);
    orch_outq_fini(&d->out);
    orch_buf_fini(&d->text);
    free(d->notes);
    free(d->number);
    free(d->dir);
    free(d->state);
}
