/*
 * plan.c - compiles a profile for one sandbox. Reads the host's tree, changes nothing.
 */
#include "policy/plan.h"

#include <errno.h>
#include <string.h>

#include "common/hash.h"
#include "common/io.h"
#include "policy/filter_cache.h"
#include "policy/nested.h"
#include "policy/plan_int.h"

static int compare_places(const void *a, const void *b)
{
    const struct orch_place *pa = a, *pb = b;

    return strcmp(pa->path, pb->path);
}

void plan_place_add(struct orch_plan *p, struct orch_place place)
{
    p->places = orch_xreallocarray(p->places, p->n_places + 1, sizeof(*p->places));
    p->places[p->n_places++] = place;
}

static void sort_places(struct orch_plan *p)
{
    qsort(p->places, p->n_places, sizeof(*p->places), compare_places);
}

int plan_places_finish(struct orch_plan *p, struct orch_diags *d)
{
    int r = 0;

    sort_places(p);
    for (size_t i = 1; i < p->n_places; i++) {
        const struct orch_place *a = &p->places[i - 1], *b = &p->places[i];

        if (strcmp(a->path, b->path) != 0)
            continue;
        orch_diags_add(d, b->rule, 0, 0, NULL, "%s is given twice: by %s and by %s", b->path, a->rule,
                       b->rule);
        r = -EINVAL;
    }
    for (size_t i = 0; i < p->n_places; i++) {
        const struct orch_place *q = &p->places[i];

        if (orch_path_beneath(q->path, p->workspace) &&
            (q->access == ORCH_ACCESS_RW || q->access == ORCH_ACCESS_RWX) && q->kind != ORCH_PLACE_SCRATCH)
            p->workspace_writes = true;
    }
    return r;
}

/* What stands in the attempt's first audit record: profile, programs and filter in one digest. */
static void plan_digest(struct orch_plan *p)
{
    struct orch_sha256 *h = orch_sha256_new();

    orch_sha256_add(h, p->profile->digest, strlen(p->profile->digest));
    for (size_t i = 0; i < p->n_places; i++) {
        orch_sha256_add(h, p->places[i].path, strlen(p->places[i].path) + 1);
        orch_sha256_add(h, &p->places[i].access, sizeof(p->places[i].access));
    }
    for (size_t i = 0; i < p->closure.n; i++)
        orch_sha256_add(h, p->closure.v[i].path, strlen(p->closure.v[i].path) + 1);
    orch_sha256_add(h, p->filter.prog, p->filter.len * sizeof(*p->filter.prog));
    orch_sha256_hex(h, p->digest);
}

static int plan_add_filter(struct orch_plan *p, const struct orch_plan_args *a, struct orch_diags *d)
{
    struct orch_err err = {0};
    int r = orch_syscalls_compile(p->profile, &p->syscalls, d);

    if (r < 0)
        return r;
    r = orch_filter_get(&p->syscalls, a->filters, &p->filter, &err);
    if (r < 0)
        orch_diags_add(d, p->profile->file, 0, 0, "/syscalls", "%s", err.msg);
    orch_diags_note_errno(d, err.errnum);
    return r;
}

static void name_own_places(struct orch_plan *p, const struct orch_plan_args *a)
{
    p->nested = a->cell != NULL;
    p->home = p->nested ? orch_xasprintf("%s/home", a->cell) : orch_xstrdup(ORCH_HOME_PATH);
    p->tmp = p->nested ? orch_xasprintf("%s/tmp", a->cell) : orch_xstrdup(ORCH_TMP_PATH);
    p->dir = p->nested ? orch_xasprintf("%s/orch", a->cell) : orch_xstrdup(ORCH_DIR_PATH);
}

int orch_plan_compile(const struct orch_plan_args *a, struct orch_plan **ret, struct orch_diags *d)
{
    ORCH_AUTO(orch_plan_freep) struct orch_plan *p = orch_xcalloc(1, sizeof(*p));
    int r, first = 0;

    p->profile = a->profile;
    if (a->cell) {
        r = orch_nested_profile(a->profile, &p->narrowed, d);
        if (r < 0)
            return r;
        p->profile = p->narrowed;
    }
    p->workspace = orch_path_normalize("/", a->workspace);
    name_own_places(p, a);
    plan_name_rules(p);
    p->uid = a->uid;
    p->gid = a->gid;
    p->exec_view = a->exec_view;
    r = plan_add_command(p, a, d);
    first = r < 0 ? r : first;
    r = plan_add_rules(p, a, d);
    first = r < 0 && first == 0 ? r : first;
    r = plan_places_finish(p, d);
    first = r < 0 && first == 0 ? r : first;
    plan_add_linked_git(p);
    sort_places(p);
    r = plan_add_filter(p, a, d);
    first = r < 0 && first == 0 ? r : first;
    if (first < 0)
        return first;
    plan_digest(p);
    *ret = ORCH_TAKE_PTR(p);
    return 0;
}

void orch_plan_free(struct orch_plan *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n_places; i++) {
        free(p->places[i].path);
        free(p->places[i].rule);
    }
    for (size_t i = 0; i < p->n_anywhere; i++) {
        free(p->anywhere[i].name);
        free(p->anywhere[i].rule);
    }
    free(p->places);
    free(p->anywhere);
    free(p->workspace);
    free(p->home);
    free(p->tmp);
    free(p->dir);
    free(p->rule_create);
    free(p->rule_network);
    free(p->rule_tools);
    free(p->program);
    orch_closure_fini(&p->closure);
    orch_filter_fini(&p->filter);
    orch_strv_fini(&p->links);
    orch_strv_fini(&p->argv);
    orch_strv_fini(&p->env);
    orch_strv_fini(&p->secrets);
    orch_profile_free(p->narrowed);
    free(p);
}

void orch_plan_freep(struct orch_plan **p)
{
    orch_plan_free(*p);
    *p = NULL;
}
