/* buf.c - a growing byte buffer. See buf.h. */
#include "common/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Room for n more bytes and the NUL behind them. Doubling keeps appending linear overall. */
static void reserve(struct orch_buf *b, size_t n)
{
    size_t need, cap = b->cap ? b->cap : 64;

    if (__builtin_add_overflow(b->len, n, &need) || __builtin_add_overflow(need, 1, &need))
        need = SIZE_MAX; /* realloc refuses it, which ends the process */
    if (need <= b->cap)
        return;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    b->data = orch_xreallocarray(b->data, cap, 1);
    b->cap = cap;
}

void orch_buf_add(struct orch_buf *b, const void *p, size_t n)
{
    reserve(b, n);
    if (n)
        memcpy(b->data + b->len, p, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void orch_buf_str(struct orch_buf *b, const char *s)
{
    orch_buf_add(b, s, strlen(s));
}

void orch_buf_char(struct orch_buf *b, char c)
{
    orch_buf_add(b, &c, 1);
}

void orch_buf_printf(struct orch_buf *b, const char *fmt, ...)
{
    ORCH_AUTO_FREE char *s = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&s, fmt, ap);
    va_end(ap);
    if (n < 0) {
        s = NULL;             /* undefined after a failure */
        reserve(b, SIZE_MAX); /* out of memory: ends the process */
        return;
    }
    orch_buf_add(b, s, (size_t)n);
}

void orch_buf_reset(struct orch_buf *b)
{
    b->len = 0;
    if (b->data)
        b->data[0] = '\0';
}

void orch_buf_fini(struct orch_buf *b)
{
    free(b->data);
    *b = (struct orch_buf){0};
}

char *orch_buf_take(struct orch_buf *b)
{
    char *s = b->data ? b->data : orch_xstrdup("");

    *b = (struct orch_buf){0};
    return s;
}
