/* output.c - masking, logging and splitting of captured output. See output.h. */
#include "supervisor/output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/escape.h"
#include "common/exit.h"
#include "common/io.h"

static const char mask_text[] = ORCH_MASK;

/* Length of the longest secret at p, 0 if none; *ret_may: a longer one may still begin here. */
static size_t secret_at(const struct orch_strv *secrets, const char *p, size_t n, bool *ret_may)
{
    size_t found = 0, may = 0;

    for (size_t i = 0; i < secrets->n; i++) {
        size_t len = strlen(secrets->v[i]);

        if (len == 0 || p[0] != secrets->v[i][0])
            continue;
        if (len <= n && memcmp(p, secrets->v[i], len) == 0)
            found = len > found ? len : found;
        else if (len > n && memcmp(p, secrets->v[i], n) == 0)
            may = len > may ? len : may;
    }
    *ret_may = may > found;
    return found;
}

/* Masks buf into out; with `more` to come stops where a secret may have begun. Returns the bytes used. */
static size_t mask(const struct orch_strv *secrets, const struct orch_buf *buf, bool more,
                   struct orch_buf *out)
{
    size_t i = 0;

    while (i < buf->len) {
        bool may;
        size_t len = secret_at(secrets, buf->data + i, buf->len - i, &may);

        if (may && more)
            break;
        if (len)
            orch_buf_str(out, mask_text);
        else
            orch_buf_char(out, buf->data[i]);
        i += len ? len : 1;
    }
    return i;
}

void orch_mask_feed(const struct orch_strv *secrets, struct orch_buf *held, const void *p, size_t n,
                    struct orch_buf *out)
{
    size_t used;

    if (!secrets || secrets->n == 0) {
        orch_buf_add(out, p, n);
        return;
    }
    orch_buf_add(held, p, n);
    used = mask(secrets, held, true, out);
    if (used)
        memmove(held->data, held->data + used, held->len - used);
    held->len -= used;
}

void orch_mask_end(const struct orch_strv *secrets, struct orch_buf *held, struct orch_buf *out)
{
    if (secrets)
        (void)mask(secrets, held, false, out);
    orch_buf_reset(held);
}

char *orch_mask_str(const struct orch_strv *secrets, const char *s)
{
    ORCH_AUTO_BUF struct orch_buf in = {0};
    ORCH_AUTO_BUF struct orch_buf out = {0};

    if (!s || !secrets || secrets->n == 0)
        return NULL;
    orch_buf_str(&in, s);
    (void)mask(secrets, &in, false, &out);
    return strcmp(out.data ? out.data : "", s) == 0 ? NULL : orch_buf_take(&out);
}

/* A tab moves the cursor right and nothing else, so it is the one control byte that stays. */
void orch_output_escape(struct orch_buf *out, const char *p, size_t n)
{
    while (n > 0) {
        const char *tab = memchr(p, '\t', n);
        size_t len = tab ? (size_t)(tab - p) : n;

        orch_escape_term(out, p, len);
        if (!tab)
            return;
        orch_buf_char(out, '\t');
        p += len + 1;
        n -= len + 1;
    }
}

static int open_log(int dirfd, const char *name, const char *suffix, int *ret, struct orch_err *err)
{
    ORCH_AUTO_FREE char *file = orch_xasprintf("%s.%s", name, suffix);
    int fd = openat(dirfd, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0) {
        (void)orch_err_sys(err, errno, "cannot create the log %s", file);
        err->exit_code = ORCH_EXIT_STATE;
        return -err->errnum;
    }
    *ret = fd;
    return 0;
}

int orch_capture_open(struct orch_capture *c, int dirfd, const char *name, struct orch_err *err)
{
    int r = open_log(dirfd, name, "out", &c->log[0], err);

    return r < 0 ? r : open_log(dirfd, name, "err", &c->log[1], err);
}

static void show_line(struct orch_capture *c, int i)
{
    if (c->show)
        c->show(c->ctx, i + 1, c->line[i].data ? c->line[i].data : "", c->line[i].len);
    orch_buf_reset(&c->line[i]);
}

static void split_lines(struct orch_capture *c, int i, const struct orch_buf *b)
{
    for (size_t k = 0; k < b->len; k++) {
        if (b->data[k] == '\n') {
            show_line(c, i);
            continue;
        }
        orch_buf_char(&c->line[i], b->data[k]);
        if (c->line[i].len >= ORCH_LINE_MAX)
            show_line(c, i);
    }
}

static int emit(struct orch_capture *c, int i, const struct orch_buf *b, struct orch_err *err)
{
    int r = c->log[i] >= 0 && b->len ? orch_write_all(c->log[i], b->data, b->len) : 0;

    if (c->show)
        split_lines(c, i, b);
    if (r == 0)
        return 0;
    (void)orch_err_sys(err, -r, "cannot write the output log");
    err->exit_code = ORCH_EXIT_STATE;
    return r;
}

int orch_capture_add(struct orch_capture *c, int stream, const void *p, size_t n, struct orch_err *err)
{
    ORCH_AUTO_BUF struct orch_buf out = {0};
    int i = stream == 2;

    orch_mask_feed(c->secrets, &c->held[i], p, n, &out);
    return emit(c, i, &out, err);
}

int orch_capture_end(struct orch_capture *c, struct orch_err *err)
{
    int result = 0;

    for (int i = 0; i < 2; i++) {
        ORCH_AUTO_BUF struct orch_buf out = {0};
        int r;

        orch_mask_end(c->secrets, &c->held[i], &out);
        r = emit(c, i, &out, err);
        if (c->line[i].len)
            show_line(c, i);
        result = result < 0 ? result : r;
        orch_close_fdp(&c->log[i]);
        orch_buf_fini(&c->held[i]);
        orch_buf_fini(&c->line[i]);
    }
    return result;
}
