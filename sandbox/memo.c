/* memo.c - see memo.h. */
#include "sandbox/memo.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/io.h"

#define MAX_LINKS 8

void orch_memo_init(struct orch_memo *m, const struct orch_plan *plan)
{
    *m = (struct orch_memo){.plan = plan};
}

static void forget(struct orch_memo_slot *s)
{
    free(s->text);
    orch_path_fini(&s->path);
    *s = (struct orch_memo_slot){0};
}

void orch_memo_fini(struct orch_memo *m)
{
    for (size_t i = 0; m->slots && i < ORCH_MEMO_SLOTS; i++)
        forget(&m->slots[i]);
    free(m->slots);
    m->slots = NULL;
}

/* FNV-1a; a collision only costs the older entry its place. */
static struct orch_memo_slot *slot_of(const struct orch_memo *m, const char *text, bool nofollow)
{
    uint32_t h = nofollow ? 0x811c9dc5u : 0x01000193u;

    for (const char *c = text; *c; c++)
        h = (h ^ (unsigned char)*c) * 0x01000193u;
    return &m->slots[h % ORCH_MEMO_SLOTS];
}

bool orch_memo_find(struct orch_memo *m, const char *text, bool nofollow, struct orch_path *ret)
{
    const struct orch_memo_slot *s = m->slots ? slot_of(m, text, nofollow) : NULL;

    if (!s || !s->text || s->nofollow != nofollow || strcmp(s->text, text) != 0 ||
        orch_now_ms() >= s->until_ms)
        return false;
    *ret = s->path;
    ret->path = orch_xstrdup(s->path.path);
    return true;
}

/* ---- may it be kept? ---- */

/* A way half gone: a tidy path without symlinks, and what is still to be walked from there. */
struct way {
    char *done, *todo;
    unsigned links;
    bool plain, nofollow; /* plain: there is no symlink on it */
};

/* The symlink of that text takes the place of its name. */
static void follow(struct way *w, char *target, const char *rest)
{
    char *todo = orch_xasprintf("%s/%s", target, rest);

    if (target[0] == '/')
        w->done[0] = '\0';
    free(target);
    free(w->todo);
    w->todo = todo;
    w->links++;
}

/* The symlink's text; NULL: none, or not gone through. */
static char *link_at(const struct way *w, int root, const char *path, const char *rest)
{
    return w->plain || (w->nofollow && !*rest) ? NULL : orch_readlink(root, path + 1);
}

/* One component. False: it is where the agent may change something. */
static bool step(const struct orch_memo *m, int root, struct way *w)
{
    size_t n = strcspn(w->todo, "/");
    ORCH_AUTO_FREE char *name = orch_xstrndup(w->todo, n);
    ORCH_AUTO_FREE char *rest = orch_xstrdup(w->todo + n + strspn(w->todo + n, "/"));
    ORCH_AUTO_FREE char *next = orch_path_normalize(*w->done ? w->done : "/", name);
    char *target;

    if (w->links > MAX_LINKS || !orch_plan_is_fixed(m->plan, next))
        return false;
    target = strcmp(name, "..") == 0 ? NULL : link_at(w, root, next, rest);
    if (target) {
        follow(w, target, rest);
        return true;
    }
    free(w->done);
    free(w->todo);
    w->done = ORCH_TAKE_PTR(next);
    w->todo = ORCH_TAKE_PTR(rest);
    return true;
}

/* Is every step of the way, symlinks included, where the agent can change nothing? */
static bool is_fixed_way(const struct orch_memo *m, int root, const char *text, bool nofollow,
                         const char *resolved)
{
    struct way w = {.done = orch_xstrdup(""),
                    .todo = orch_xstrdup(text + strspn(text, "/")),
                    .plain = strcmp(text, resolved) == 0,
                    .nofollow = nofollow};
    bool fixed = true;

    while (fixed && *w.todo)
        fixed = step(m, root, &w);
    free(w.done);
    free(w.todo);
    return fixed;
}

void orch_memo_keep(struct orch_memo *m, int root, const char *text, bool nofollow,
                    const struct orch_path *path)
{
    struct orch_memo_slot *s;

    if (!path->path || strlen(text) > ORCH_MEMO_TEXT || strlen(path->path) > ORCH_MEMO_TEXT ||
        !orch_plan_is_fixed(m->plan, path->path) || !is_fixed_way(m, root, text, nofollow, path->path))
        return;
    if (!m->slots)
        m->slots = orch_xcalloc(ORCH_MEMO_SLOTS, sizeof(m->slots[0]));
    s = slot_of(m, text, nofollow);
    forget(s);
    *s = (struct orch_memo_slot){.text = orch_xstrdup(text),
                                 .nofollow = nofollow,
                                 .until_ms = orch_now_ms() + ORCH_MEMO_MS,
                                 .path = *path};
    s->path.path = orch_xstrdup(path->path);
}
