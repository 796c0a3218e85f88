/*
 * filter_memo.c - filters that this process has verified (filter_cache.h).
 *
 * Kept in our own memory, so what was verified once for the same table and the same profile needs it no
 * second time: the answer could only be the same. A run compiles each of its plans at least twice.
 */
#include <string.h>
#include "policy/filter_cache.h"

#define MAX_KEPT 32 /* distinct ones; a further one is verified each time */

struct orch_filter_memo {
    struct kept {
        char
            name[2 * ORCH_HEX_SIZE]; /* of the table, and of the profile whose rules judge what is notified */
        struct orch_filter filter;
    } v[MAX_KEPT];
    size_t n;
};

struct orch_filter_memo *orch_filter_memo_new(void)
{
    return orch_xcalloc(1, sizeof(struct orch_filter_memo));
}

void orch_filter_memo_free(struct orch_filter_memo *m)
{
    for (size_t i = 0; m && i < m->n; i++)
        orch_filter_fini(&m->v[i].filter);
    free(m);
}

static void copy_filter(const struct orch_filter *from, struct orch_filter *ret)
{
    size_t size = from->len * sizeof(*from->prog);
    ret->len = from->len;
    ret->prog = orch_xmalloc(size);
    memcpy(ret->prog, from->prog, size);
}

/* False for a profile without a digest: it was not made of documents, so nothing names its rules. */
static bool name_of(const struct orch_syscalls *s, const char *key, char ret[2 * ORCH_HEX_SIZE])
{
    const char *digest = s->profile->digest;
    if (!digest || strlen(digest) != ORCH_HEX_SIZE - 1)
        return false;
    memcpy(ret, key, ORCH_HEX_SIZE);
    memcpy(ret + ORCH_HEX_SIZE, digest, ORCH_HEX_SIZE);
    return true;
}

bool orch_filter_memo_get(const struct orch_filter_memo *m, const struct orch_syscalls *s, const char *key,
                          struct orch_filter *ret)
{
    char name[2 * ORCH_HEX_SIZE];
    if (!m || !name_of(s, key, name))
        return false;
    for (size_t i = 0; i < m->n; i++) {
        if (memcmp(m->v[i].name, name, sizeof(name)) != 0)
            continue;
        copy_filter(&m->v[i].filter, ret);
        return true;
    }
    return false;
}

void orch_filter_memo_put(struct orch_filter_memo *m, const struct orch_syscalls *s, const char *key,
                          const struct orch_filter *f)
{
    if (!m || m->n == MAX_KEPT || !name_of(s, key, m->v[m->n].name))
        return;
    copy_filter(f, &m->v[m->n++].filter);
}
