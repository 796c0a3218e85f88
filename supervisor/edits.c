/* edits.c - see edits.h; the comparison itself is in fingerprint.c. */
#include "supervisor/edits.h"

#include <fcntl.h>
#include <string.h>

#include "sandbox/layer_int.h"

void orch_edits_fini(struct orch_edits *e)
{
    for (size_t i = 0; i < e->n; i++)
        free(e->v[i].path);
    free(e->v);
    *e = (struct orch_edits){0};
}

static int cmp_path(const void *key, const void *edit)
{
    return strcmp(key, ((const struct orch_edit *)edit)->path);
}

const struct orch_edit *orch_edits_find(const struct orch_edits *e, const char *path)
{
    return e->n ? bsearch(path, e->v, e->n, sizeof(*e->v), cmp_path) : NULL;
}

/* What apply itself does to a directory before it writes in it. */
static bool only_widened(const struct orch_edit *e)
{
    return !e->replaced && (e->is & 07777) == ((e->was & 07777) | 0700);
}

bool orch_edits_foreign(const struct orch_edits *all, const struct orch_change *c, bool again)
{
    const struct orch_edit *e = orch_edits_find(all, c->path);

    if (!e || !again)
        return e != NULL;
    if (e->only_ctime) /* the other name of a hard link that was replaced */
        return false;
    if (!e->is) /* apply removes only what another type is to replace */
        return orch_type_char(e->was) == c->after.type;
    if (S_ISDIR(e->is) && c->after.type == 'd')
        return S_ISDIR(e->was) && !only_widened(e); /* else it was made where nothing or a file was */
    return true;
}

static bool is_dir(int root, const char *path)
{
    ORCH_AUTO_FD int fd = orch_tree_open(root, path, O_PATH | O_DIRECTORY);

    return fd >= 0;
}

bool orch_edits_way_gone(const struct orch_edits *all, int root, const char *path, bool again)
{
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        ORCH_AUTO_FREE char *dir = orch_xstrndup(path, (size_t)(slash - path));
        const struct orch_edit *e = orch_edits_find(all, dir);
        bool made_room = again && e && !e->is && e->was && !S_ISDIR(e->was);

        if (e && !made_room && !is_dir(root, dir))
            return true;
    }
    return false;
}

bool orch_edits_root_replaced(const struct orch_edits *all)
{
    const struct orch_edit *e = orch_edits_find(all, ".");

    return e && e->replaced;
}
