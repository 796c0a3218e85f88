/* tools_set.c - the growing set of closure entries, with the symlinks that lead to them. */
#include <errno.h>
#include <string.h>
#include "policy/tools_internal.h"

static unsigned rank(enum orch_closure_kind kind)
{
    switch (kind) {
    case ORCH_CLOSURE_PROGRAM:
        return 5;
    case ORCH_CLOSURE_LOADER:
        return 4;
    case ORCH_CLOSURE_LIBRARY:
        return 3;
    case ORCH_CLOSURE_DIR:
        return 2;
    case ORCH_CLOSURE_DATA_DIR:
        return 1;
    case ORCH_CLOSURE_LINK:
    default:
        return 0;
    }
}

int orch_tools_note_errno(struct orch_resolver *r, int errnum)
{
    if (orch_errno_is_host(errnum))
        r->sights.host_errno = errnum;
    return errnum;
}

void orch_tools_add(struct orch_resolver *r, enum orch_closure_kind kind, const char *path, const char *why)
{
    bool added;
    struct orch_map_node *node = orch_map_put(&r->by_path, path, &added);
    if (!added) {
        struct orch_closure_entry *e = &r->c.v[node->index];
        if (rank(kind) > rank(e->kind)) {
            e->kind = kind;
            free(e->why);
            e->why = orch_xstrdup(why);
        }
        return;
    }
    node->index = r->c.n;
    if ((r->c.n & (r->c.n - 1)) == 0) /* capacity is the next power of two */
        r->c.v = orch_xreallocarray(r->c.v, r->c.n ? r->c.n * 2 : 1, sizeof(r->c.v[0]));
    r->c.v[r->c.n++] =
        (struct orch_closure_entry){.kind = kind, .path = orch_xstrdup(path), .why = orch_xstrdup(why)};
}

const char *orch_tools_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void add_links(struct orch_resolver *r, const struct orch_strv *links, const char *real,
                      const char *why)
{
    ORCH_AUTO_FREE char *text = orch_xasprintf("link to %s, %s", real, why);
    for (size_t i = 0; i < links->n; i++)
        orch_tools_add(r, ORCH_CLOSURE_LINK, links->v[i], text);
}

char *orch_tools_walk(struct orch_resolver *r, const char *path, const char *why)
{
    ORCH_AUTO(orch_strv_fini) struct orch_strv links = {0};
    char *real = orch_sights_real(&r->sights, path, &links);
    int saved = errno;
    if (real)
        add_links(r, &links, real, why);
    errno = saved;
    return real;
}
