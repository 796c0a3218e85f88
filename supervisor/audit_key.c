/*
 * audit_key.c - what a denial or exec says, as bytes to compare repeats by, and back. See audit_int.h.
 */
#include <string.h>

#include "policy/args.h"
#include "supervisor/audit_int.h"

/* The fixed part; without padding, so that equal records have equal bytes. */
struct head {
    uint32_t kind, class;
    int32_t errnum;
    uint32_t flag; /* quiet; of an exec: there are more arguments */
    int32_t nr, family;
    uint32_t who;
    uint32_t args; /* a bit for each of those behind it */
};

static void key_list(struct orch_buf *key, const char *const *list)
{
    orch_buf_char(key, list ? '\1' : '\0');
    for (; list && *list; list++)
        orch_key_str(key, *list);
    if (list)
        orch_key_str(key, NULL);
}

/* What is beyond max is skipped. */
static const char *const *next_list(const char **pp, const char **room, size_t max)
{
    const char *s;
    size_t n = 0;

    if (*(*pp)++ == '\0')
        return NULL;
    while ((s = orch_key_next(pp)))
        if (n < max)
            room[n++] = s;
    room[n] = NULL;
    return room;
}

void orch_key_of_who(struct orch_buf *key, const char *exe, const char *comm, const char *const *parents)
{
    orch_buf_reset(key);
    orch_key_str(key, exe);
    orch_key_str(key, comm);
    key_list(key, parents);
}

static void key_head(struct orch_buf *key, const struct head *head)
{
    orch_buf_reset(key);
    orch_buf_add(key, head, sizeof(*head));
}

void orch_key_of_denial(struct orch_buf *key, const struct orch_denial *d, uint32_t who)
{
    struct head h = {.kind = ORCH_KIND_DENIAL,
                     .class = d->class,
                     .errnum = d->errnum,
                     .flag = d->quiet,
                     .nr = d->nr,
                     .family = d->family,
                     .who = who};
    uint64_t args[6];

    if (d->args)
        h.args = orch_args_pick(d->nr, d->class == ORCH_CLASS_SYSCALL, d->args, args);
    key_head(key, &h);
    for (size_t i = 0; i < 6; i++)
        if (h.args & 1u << i)
            orch_buf_add(key, &args[i], sizeof(args[i]));
    orch_key_str(key, d->syscall);
    orch_key_str(key, d->path);
    orch_key_str(key, d->path2);
    orch_key_str(key, d->access);
    orch_key_str(key, d->action);
    orch_key_str(key, d->rule);
    orch_key_str(key, d->detail);
}

void orch_key_of_exec(struct orch_buf *key, const struct orch_exec_event *e, uint32_t who)
{
    key_head(key, &(struct head){.kind = ORCH_KIND_EXEC, .flag = e->argv_more, .who = who});
    orch_key_str(key, e->path);
    key_list(key, e->argv);
}

uint32_t orch_key_who(const char *key)
{
    struct head h;

    memcpy(&h, key, sizeof(h));
    return h.who;
}

static void unfold_denial(const char *p, const struct head *h, struct orch_unfolded *ret)
{
    struct orch_denial *d = &ret->d;

    *d = (struct orch_denial){.class = h->class,
                              .errnum = h->errnum,
                              .quiet = h->flag,
                              .nr = h->nr,
                              .family = h->family,
                              .args = h->args || h->family ? ret->args : NULL};
    for (size_t i = 0; i < 6; i++) {
        ret->args[i] = 0;
        if (!(h->args & 1u << i))
            continue;
        memcpy(&ret->args[i], p, sizeof(ret->args[i]));
        p += sizeof(ret->args[i]);
    }
    d->syscall = orch_key_next(&p);
    d->path = orch_key_next(&p);
    d->path2 = orch_key_next(&p);
    d->access = orch_key_next(&p);
    d->action = orch_key_next(&p);
    d->rule = orch_key_next(&p);
    d->detail = orch_key_next(&p);
}

enum orch_kind orch_key_unfold(const char *key, const char *who, struct orch_unfolded *ret)
{
    const char *exe = orch_key_next(&who), *comm = orch_key_next(&who);
    const char *const *parents = next_list(&who, ret->parents, ORCH_WHO_PARENTS);
    struct head h;

    memcpy(&h, key, sizeof(h));
    key += sizeof(h);
    if (h.kind == ORCH_KIND_EXEC) {
        ret->e = (struct orch_exec_event){.path = orch_key_next(&key), .argv_more = h.flag};
        ret->e.argv = next_list(&key, ret->argv, ORCH_ARGV_MAX);
        ret->e.exe = exe;
        ret->e.comm = comm;
        ret->e.parents = parents;
        return ORCH_KIND_EXEC;
    }
    unfold_denial(key, &h, ret);
    ret->d.exe = exe;
    ret->d.comm = comm;
    ret->d.parents = parents;
    return ORCH_KIND_DENIAL;
}
