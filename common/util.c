/* util.c - allocation that ends the process instead of failing, and string lists. See util.h. */
#include "common/util.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/exit.h"

/* write, not stdio: stdio may allocate. _exit: handlers could continue with half-built state. */
static _Noreturn void out_of_memory(void)
{
    static const char text[] = "orch-sandbox: out of memory\n";
    ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);

    (void)ignored;
    _exit(ORCH_EXIT_STATE);
}

static void *checked(void *p)
{
    if (!p)
        out_of_memory();
    return p;
}

void *orch_xmalloc(size_t size)
{
    return checked(malloc(size ? size : 1));
}

void *orch_xcalloc(size_t n, size_t size)
{
    return n && size ? checked(calloc(n, size)) : checked(calloc(1, 1));
}

void *orch_xreallocarray(void *p, size_t n, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(n, size, &total))
        out_of_memory();
    /* realloc to 0 would free p and return NULL, which is not a failure we could tell apart */
    return checked(realloc(p, total ? total : 1));
}

char *orch_xstrdup(const char *s)
{
    return checked(strdup(s));
}

char *orch_xstrndup(const char *s, size_t n)
{
    return checked(strndup(s, n));
}

char *orch_xasprintf(const char *fmt, ...)
{
    char *s = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&s, fmt, ap);
    va_end(ap);
    if (n < 0)
        out_of_memory();
    return s;
}

void orch_strv_add(struct orch_strv *sv, const char *s)
{
    if (s)
        orch_strv_add_take(sv, orch_xstrdup(s));
}

/* NULL is ignored: it would end the list for everyone who walks it as argv. */
void orch_strv_add_take(struct orch_strv *sv, char *s)
{
    if (!s)
        return;
    sv->v = orch_xreallocarray(sv->v, sv->n + 2, sizeof(*sv->v));
    sv->v[sv->n++] = s;
    sv->v[sv->n] = NULL;
}

bool orch_strv_has(const struct orch_strv *sv, const char *s)
{
    for (size_t i = 0; s && i < sv->n; i++) {
        if (strcmp(sv->v[i], s) == 0)
            return true;
    }
    return false;
}

/* dst is an initialised list; what it held is freed. dst == src is fine. */
void orch_strv_copy(struct orch_strv *dst, const struct orch_strv *src)
{
    struct orch_strv copy = {0};

    for (size_t i = 0; i < src->n; i++)
        orch_strv_add(&copy, src->v[i]);
    orch_strv_fini(dst);
    *dst = copy;
}

void orch_strv_fini(struct orch_strv *sv)
{
    for (size_t i = 0; i < sv->n; i++)
        free(sv->v[i]);
    free(sv->v);
    *sv = (struct orch_strv){0};
}
