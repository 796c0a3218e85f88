/* err.c - error objects and document diagnostics. See err.h. */
#include "common/err.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/escape.h"
#include "common/exit.h"
#include "common/io.h"

/* A diagnostic is for a person: a key of a megabyte, repeated in every pointer below it, must not fill
 * memory. */
#define DIAG_TEXT_MAX 1024

static int positive_errno(int errnum)
{
    if (errnum == 0 || errnum == INT_MIN)
        return EIO;
    return errnum < 0 ? -errnum : errnum;
}

bool orch_errno_is_host(int errnum)
{
    static const int host[] = {ENOSPC, EDQUOT, EROFS, EIO, ENOMEM, EMFILE, ENFILE};

    for (size_t i = 0; i < ORCH_NELEM(host); i++)
        if (host[i] == errnum)
            return true;
    return false;
}

int orch_err_host(const struct orch_err *cause, struct orch_err *err)
{
    if (!orch_errno_is_host(cause->errnum))
        return 0;
    *err = *cause;
    err->exit_code = ORCH_EXIT_STATE;
    return -cause->errnum;
}

void orch_diags_note_errno(struct orch_diags *d, int errnum)
{
    if (orch_errno_is_host(errnum))
        d->host_errno = errnum;
}

/*
 * Makes a message printable but leaves backslashes alone, so that parts which were escaped already (and
 * messages wrapped several times) do not change.
 */
static void store_msg(struct orch_err *err, const char *s)
{
    ORCH_AUTO_BUF struct orch_buf out = {0};
    size_t n;

    while (*s) {
        n = strcspn(s, "\\");
        orch_escape_term(&out, s, n);
        s += n;
        for (; *s == '\\'; s++)
            orch_buf_char(&out, '\\');
    }
    (void)snprintf(err->msg, sizeof(err->msg), "%s", out.data ? out.data : "");
    if (out.len >= sizeof(err->msg))
        memcpy(err->msg + sizeof(err->msg) - 4, "...", 4);
}

ORCH_PRINTF(1, 0) static char *format(const char *fmt, va_list ap)
{
    char *s = NULL;

    /* A message that cannot be built must not hide the error itself. */
    return vasprintf(&s, fmt, ap) < 0 ? orch_xstrdup("(no message)") : s;
}

static int fill(struct orch_err *err, int exit_code, int errnum, const char *msg)
{
    errnum = positive_errno(errnum);
    if (err) {
        err->errnum = errnum;
        err->exit_code = exit_code;
        store_msg(err, msg);
    }
    return -errnum;
}

int orch_err_set(struct orch_err *err, int errnum, const char *fmt, ...)
{
    ORCH_AUTO_FREE char *msg = NULL;
    va_list ap;

    va_start(ap, fmt);
    msg = format(fmt, ap);
    va_end(ap);
    return fill(err, 0, errnum, msg);
}

int orch_err_exit(struct orch_err *err, int exit_code, int errnum, const char *fmt, ...)
{
    ORCH_AUTO_FREE char *msg = NULL;
    va_list ap;

    va_start(ap, fmt);
    msg = format(fmt, ap);
    va_end(ap);
    return fill(err, exit_code, errnum, msg);
}

int orch_err_sys(struct orch_err *err, int errnum, const char *fmt, ...)
{
    ORCH_AUTO_FREE char *msg = NULL;
    ORCH_AUTO_FREE char *full = NULL;
    char text[128];
    va_list ap;

    va_start(ap, fmt);
    msg = format(fmt, ap);
    va_end(ap);
    full = orch_xasprintf("%s: %s", msg, strerror_r(positive_errno(errnum), text, sizeof(text)));
    return fill(err, 0, errnum, full);
}

int orch_err_wrap(struct orch_err *err, const char *fmt, ...)
{
    ORCH_AUTO_FREE char *context = NULL;
    ORCH_AUTO_FREE char *full = NULL;
    va_list ap;

    if (!err)
        return -EIO;
    va_start(ap, fmt);
    context = format(fmt, ap);
    va_end(ap);
    full = orch_xasprintf("%s: %s", context, err->msg);
    return fill(err, err->exit_code, err->errnum, full);
}

static char *clip(const char *s)
{
    if (strlen(s) <= DIAG_TEXT_MAX)
        return orch_xstrdup(s);
    return orch_xasprintf("%.*s...", DIAG_TEXT_MAX, s);
}

void orch_diags_add(struct orch_diags *d, const char *file, unsigned line, unsigned col, const char *pointer,
                    const char *fmt, ...)
{
    ORCH_AUTO_FREE char *msg = NULL;
    va_list ap;

    if (!d)
        return;
    va_start(ap, fmt);
    msg = format(fmt, ap);
    va_end(ap);
    d->v = orch_xreallocarray(d->v, d->n + 1, sizeof(*d->v));
    d->v[d->n++] = (struct orch_diag){
        .file = orch_xstrdup(file ? file : "-"),
        .line = line,
        .col = col,
        .pointer = pointer ? clip(pointer) : NULL,
        .msg = clip(msg),
    };
}

void orch_diags_vadd_at(struct orch_diags *d, const char *origin, unsigned line, unsigned col,
                        const char *fmt, va_list ap)
{
    const char *hash = strrchr(origin, '#');
    ORCH_AUTO_FREE char *file = orch_xstrndup(origin, hash ? (size_t)(hash - origin) : strlen(origin));
    ORCH_AUTO_FREE char *msg = format(fmt, ap);

    orch_diags_add(d, file, line, col, hash ? hash + 1 : NULL, "%s", msg);
}

static int compare_uint(unsigned a, unsigned b)
{
    return (a > b) - (a < b);
}

/* The array order (addresses) decides ties, so that the sort is stable. */
static int compare_diags(const void *pa, const void *pb)
{
    const struct orch_diag *a = *(const struct orch_diag *const *)pa;
    const struct orch_diag *b = *(const struct orch_diag *const *)pb;
    int r = strcmp(a->file, b->file);

    if (r == 0)
        r = compare_uint(a->line, b->line);
    if (r == 0)
        r = compare_uint(a->col, b->col);
    return r ? r : (a > b) - (a < b);
}

/* "(at …)" is left out for the root: its pointer is the empty string. */
static void format_diag(struct orch_buf *out, const struct orch_diag *diag)
{
    orch_escape_term(out, diag->file, strlen(diag->file));
    if (diag->line)
        orch_buf_printf(out, ":%u:%u", diag->line, diag->col);
    orch_buf_str(out, ": error: ");
    orch_escape_term(out, diag->msg, strlen(diag->msg));
    if (diag->pointer && *diag->pointer) {
        orch_buf_str(out, " (at ");
        orch_escape_term(out, diag->pointer, strlen(diag->pointer));
        orch_buf_char(out, ')');
    }
    orch_buf_char(out, '\n');
}

void orch_diags_print(const struct orch_diags *d, int fd)
{
    ORCH_AUTO_FREE const struct orch_diag **order = orch_xcalloc(d->n, sizeof(*order));
    ORCH_AUTO_BUF struct orch_buf out = {0};

    for (size_t i = 0; i < d->n; i++)
        order[i] = &d->v[i];
    qsort(order, d->n, sizeof(*order), compare_diags);
    for (size_t i = 0; i < d->n; i++)
        format_diag(&out, order[i]);
    /* A reader that went away is no reason to fail: the exit code tells the same. */
    (void)orch_write_all(fd, out.data, out.len);
}

void orch_diags_fini(struct orch_diags *d)
{
    for (size_t i = 0; i < d->n; i++) {
        free(d->v[i].file);
        free(d->v[i].pointer);
        free(d->v[i].msg);
    }
    free(d->v);
    *d = (struct orch_diags){0};
}
