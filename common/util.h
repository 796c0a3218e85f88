/*
 * util.h - ownership helpers and allocation.
 *
 * Ownership: a variable marked ORCH_AUTO_FD or ORCH_AUTO_FREE is released when it leaves scope; ORCH_TAKE_FD
 * and ORCH_TAKE_PTR hand it on. Allocation never fails: out of memory ends the process (_exit 10). That is
 * fail closed, because the kernel ends every sandbox with its supervisor and the journal resumes.
 */
#ifndef ORCH_COMMON_UTIL_H
#define ORCH_COMMON_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define ORCH_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define ORCH_NELEM(a) (sizeof(a) / sizeof((a)[0]))

static inline void orch_close_fdp(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static inline void orch_free_ptrp(void *p)
{
    void **pp = p;
    free(*pp);
    *pp = NULL;
}

#define ORCH_AUTO(fn) __attribute__((cleanup(fn)))
#define ORCH_AUTO_FD ORCH_AUTO(orch_close_fdp)
#define ORCH_AUTO_FREE ORCH_AUTO(orch_free_ptrp)

static inline int orch_take_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

#define ORCH_TAKE_FD(fd) orch_take_fd(&(fd))
#define ORCH_TAKE_PTR(p)                                                                                     \
    ({                                                                                                       \
        __typeof__(p) taken_ = (p);                                                                          \
        (p) = NULL;                                                                                          \
        taken_;                                                                                              \
    })

/* malloc, calloc, realloc-array, strdup and asprintf that never return NULL (see above). */
void *orch_xmalloc(size_t size);
void *orch_xcalloc(size_t n, size_t size);
void *orch_xreallocarray(void *p, size_t n, size_t size);
char *orch_xstrdup(const char *s);
char *orch_xstrndup(const char *s, size_t n);
char *orch_xasprintf(const char *fmt, ...) ORCH_PRINTF(1, 2);

/*
 * A NULL-terminated list of owned strings: argv, env, globs, names. `v` is NULL when empty.
 */
struct orch_strv {
    char **v;
    size_t n;
};

void orch_strv_add(struct orch_strv *sv, const char *s);       /* copies s */
void orch_strv_add_take(struct orch_strv *sv, char *s);        /* takes s */
bool orch_strv_has(const struct orch_strv *sv, const char *s); /* exact match */
void orch_strv_copy(struct orch_strv *dst, const struct orch_strv *src);
void orch_strv_fini(struct orch_strv *sv); /* frees strings and array, leaves it empty; idempotent */

#endif
