/* audit_mask.c - denials and execs with the values that came by pass_env masked, for the record. */
#include <string.h>

#include "sandbox/task.h"
#include "supervisor/attempt.h"
#include "supervisor/output.h"

struct masked { /* copies of what had to be changed */
    struct orch_strv kept;
    const char *parents[ORCH_WHO_PARENTS + 1], *argv[ORCH_ARGV_MAX + 1];
};

static void masked_fini(struct masked *m)
{
    orch_strv_fini(&m->kept);
}

/* Most have nothing to hide: no copy is made of them. */
static const char *hide(struct masked *m, const struct orch_strv *secrets, const char *s)
{
    char *copy = NULL;

    for (size_t i = 0; s && secrets && i < secrets->n && !copy; i++)
        if (strstr(s, secrets->v[i]))
            copy = orch_mask_str(secrets, s);
    if (!copy)
        return s;
    orch_strv_add_take(&m->kept, copy);
    return copy;
}

static const char *const *hide_list(struct masked *m, const struct orch_strv *secrets,
                                    const char *const *list, const char **room, size_t max)
{
    size_t n = 0;

    for (; list && list[n] && n < max; n++)
        room[n] = hide(m, secrets, list[n]);
    room[n] = NULL;
    return list ? room : NULL;
}

int orch_audit_masked(struct orch_audit *audit, const struct orch_strv *secrets, const struct orch_denial *d,
                      struct orch_err *err)
{
    ORCH_AUTO(masked_fini) struct masked m = {0};
    struct orch_denial copy = *d;

    copy.path = hide(&m, secrets, d->path);
    copy.path2 = hide(&m, secrets, d->path2);
    copy.exe = hide(&m, secrets, d->exe);
    copy.comm = hide(&m, secrets, d->comm);
    copy.detail = hide(&m, secrets, d->detail);
    copy.parents = hide_list(&m, secrets, d->parents, m.parents, ORCH_WHO_PARENTS);
    return orch_audit_denial(audit, &copy, err);
}

/* Of an argument that was cut the end may be the beginning of a secret: that is left out. */
static const char *hide_cut(struct masked *m, const struct orch_strv *secrets, const char *s)
{
    ORCH_AUTO_BUF struct orch_buf held = {0};
    ORCH_AUTO_BUF struct orch_buf out = {0};

    if (!secrets || secrets->n == 0 || strlen(s) < ORCH_ARG_MAX)
        return hide(m, secrets, s);
    orch_mask_feed(secrets, &held, s, strlen(s), &out);
    orch_strv_add_take(&m->kept, orch_xstrndup(out.data ? out.data : "", out.len));
    return m->kept.v[m->kept.n - 1];
}

int orch_audit_masked_exec(struct orch_audit *audit, const struct orch_strv *secrets,
                           const struct orch_exec_event *e, struct orch_err *err)
{
    ORCH_AUTO(masked_fini) struct masked m = {0};
    struct orch_exec_event copy = *e;
    size_t n = 0;

    copy.path = hide(&m, secrets, e->path);
    copy.exe = hide(&m, secrets, e->exe);
    copy.comm = hide(&m, secrets, e->comm);
    copy.parents = hide_list(&m, secrets, e->parents, m.parents, ORCH_WHO_PARENTS);
    for (; e->argv && e->argv[n] && n < ORCH_ARGV_MAX; n++)
        m.argv[n] = hide_cut(&m, secrets, e->argv[n]);
    copy.argv = e->argv ? m.argv : NULL;
    return orch_audit_exec(audit, &copy, err);
}
