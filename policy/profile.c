/*
 * profile.c - loading a profile: the chain of documents from the named one up to its root parent, then
 * composition from the root down. Files are read here and nowhere else; re-creation from kept sources reads
 * none.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "common/escape.h"
#include "common/hash.h"
#include "common/io.h"
#include "policy/profile_int.h"
#include "policy/within.h"
#include "policy/syscalls.h"

struct chain {
    struct orch_prof_doc docs[ORCH_PROF_MAX_DEPTH]; /* the named profile first, its root parent last */
    size_t n;
};

static void chain_fini(struct chain *c)
{
    for (size_t i = 0; i < c->n; i++)
        orch_prof_doc_fini(&c->docs[i]);
    c->n = 0;
}

/* --- names of documents --- */

static bool is_builtin_file(const char *file)
{
    return strchr(file, '/') == NULL;
}

/* "dir" + "./x/y" -> "dir/x/y"; a reference without a directory to be put before it stays as it is. */
static char *join(const char *dir, const char *ref)
{
    if (ref[0] == '/' || dir == NULL || dir[0] == '\0' || strcmp(dir, ".") == 0)
        return orch_xstrdup(ref);
    while (strncmp(ref, "./", 2) == 0)
        ref += 2;
    return orch_xasprintf("%s%s%s", dir, dir[strlen(dir) - 1] == '/' ? "" : "/", ref);
}

static char *folder_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    if (slash == NULL)
        return orch_xstrdup(".");
    return slash == file ? orch_xstrdup("/") : orch_xstrndup(file, (size_t)(slash - file));
}

/* Two spellings of one file, such as "a/../b" and "b". Symbolic links are not looked at: the depth ends
 * those. */
static bool same_file(const char *a, const char *b)
{
    if (is_builtin_file(a) || is_builtin_file(b))
        return strcmp(a, b) == 0;
    ORCH_AUTO_FREE char *na = orch_path_normalize("/.", a), *nb = orch_path_normalize("/.", b);
    return strcmp(na, nb) == 0;
}

/* --- reading the chain --- */

static void unknown_builtin(const char *ref, struct orch_diags *d)
{
    const char *near = orch_near_name(ref, orch_builtin_names);
    if (near != NULL)
        orch_diags_add(d, ref, 0, 0, NULL, "no built-in profile of this name, did you mean '%s'?", near);
    else
        orch_diags_add(d, ref, 0, 0, NULL,
                       "no built-in profile of this name (base, plan, implement, verify, gate); a file needs "
                       "a slash, such "
                       "as ./%s",
                       ref);
}

/* file is kept in sources behind a newline, and shown: it must survive both. */
static bool usable_file_name(const char *file, struct orch_diags *d)
{
    size_t n = strlen(file), used;
    uint32_t cp;
    for (size_t i = 0; i < n; i += used) {
        used = orch_utf8_next((const unsigned char *)file + i, n - i, &cp);
        if (used == 0 || cp < 0x20) {
            orch_diags_add(d, file, 0, 0, NULL, "the file name has control characters or is not UTF-8");
            return false;
        }
    }
    return true;
}

/* Takes file. */
static int add_document(struct chain *c, char *file, const char *text, size_t len, struct orch_diags *d)
{
    struct orch_prof_doc *doc = &c->docs[c->n++];
    *doc = (struct orch_prof_doc){.file = file, .builtin = is_builtin_file(file)};
    if (text != NULL)
        return orch_json_parse(file, text, len, &doc->json, d);
    return usable_file_name(file, d) ? orch_json_load(file, &doc->json, d) : -EINVAL;
}

static void report_cycle(const struct chain *c, const char *file, const cJSON *node, struct orch_diags *d)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    for (size_t i = 0; i < c->n; i++)
        orch_buf_printf(&b, "%s -> ", c->docs[i].file);
    orch_buf_str(&b, file);
    orch_json_error(c->docs[c->n - 1].json, node, d, "'extends' goes in a circle: %s", b.data);
}

/* May `file` become the next parent in the chain? */
static bool may_follow(const struct chain *c, const char *file, struct orch_diags *d)
{
    if (c->n == 0)
        return true;
    const struct orch_json *json = c->docs[c->n - 1].json;
    const cJSON *node = orch_rd_get(orch_json_root(json), "extends");
    for (size_t i = 0; i < c->n; i++)
        if (same_file(c->docs[i].file, file)) {
            report_cycle(c, file, node, d);
            return false;
        }
    if (c->n < ORCH_PROF_MAX_DEPTH)
        return true;
    orch_json_error(json, node, d, "'extends' is deeper than %d documents", ORCH_PROF_MAX_DEPTH);
    return false;
}

/* What a plan shows for a path of the host is where its symlinks lead (plan_rules.c), so that is what a child
 * must not have beyond its parent. A none rule holds at the path as written. */
static void resolve_rules(struct orch_profile *p)
{
    for (size_t i = 0; i < p->n_fs; i++) {
        struct orch_fs_rule *r = &p->fs[i];
        if (r->anywhere || r->access == ORCH_ACCESS_NONE || r->path[0] != '/' ||
            strstr(r->path, "${") != NULL)
            continue;
        ORCH_AUTO_FREE char *real = realpath(r->path, NULL);
        if (real != NULL && strcmp(real, r->path) != 0)
            r->real = ORCH_TAKE_PTR(real);
    }
}

static int load_chain(struct chain *c, const char *ref, const char *base_dir, struct orch_diags *d)
{
    ORCH_AUTO_FREE char *next = orch_xstrdup(ref), *dir = base_dir != NULL ? orch_xstrdup(base_dir) : NULL;
    while (next != NULL) {
        size_t len = 0;
        const char *text = orch_builtin_text(next, &len);
        if (text == NULL && is_builtin_file(next)) {
            unknown_builtin(next, d);
            return -EINVAL;
        }
        char *file = text != NULL ? orch_xstrdup(next) : join(dir, next);
        if (!may_follow(c, file, d)) {
            free(file);
            return -EINVAL;
        }
        int r = add_document(c, file, text, len, d);
        if (r < 0)
            return r;
        struct orch_prof_doc *doc = &c->docs[c->n - 1];
        orch_prof_parse(doc, d);
        resolve_rules(&doc->own);
        free(next);
        free(dir);
        next = doc->extends != NULL ? orch_xstrdup(doc->extends) : NULL;
        dir = folder_of(doc->file);
    }
    return 0;
}

/* --- composing it --- */

/* Length and bytes of each document, so that no two chains hash alike. File names are not part of what a
 * profile means. */
static void set_digest(struct orch_profile *p, const struct chain *c)
{
    char hex[ORCH_HEX_SIZE];
    struct orch_sha256 *h = orch_sha256_new();
    for (size_t i = c->n; i-- > 0;) {
        size_t len;
        const char *text = orch_json_text(c->docs[i].json, &len);
        char prefix[32];
        int n = snprintf(prefix, sizeof(prefix), "%zu\n", len);
        orch_sha256_add(h, prefix, (size_t)n);
        orch_sha256_add(h, text, len);
    }
    orch_sha256_hex(h, hex);
    p->digest = orch_xstrdup(hex);
}

static void set_sources(struct orch_profile *p, const struct chain *c)
{
    for (size_t i = c->n; i-- > 0;) {
        size_t len;
        const char *text = orch_json_text(c->docs[i].json, &len);
        struct orch_buf b = {0};
        orch_buf_printf(&b, "%s\n", c->docs[i].file);
        orch_buf_add(&b, text, len);
        orch_strv_add_take(&p->sources, orch_buf_take(&b));
    }
}

static struct orch_profile *compose_chain(const struct chain *c, struct orch_diags *d)
{
    struct orch_profile *eff = orch_prof_defaults();
    for (size_t i = c->n; i-- > 0;) {
        const struct orch_prof_doc *doc = &c->docs[i];
        struct orch_profile *next = orch_prof_compose(eff, doc);
        if (i + 1 < c->n && doc->widen == NULL)
            orch_profile_within(eff, next, ORCH_BOUND_PARENT, d);
        orch_profile_free(eff);
        eff = next;
    }
    orch_prof_check_whole(eff, &c->docs[0], d);
    (void)orch_syscalls_check(eff, d);
    set_digest(eff, c);
    set_sources(eff, c);
    return eff;
}

/* Errors in the documents themselves come first: with one, composition would only add noise. */
static int finish(const struct chain *c, size_t errors_before, struct orch_profile **ret,
                  struct orch_diags *d)
{
    if (d->n != errors_before)
        return -EINVAL;
    ORCH_AUTO(orch_profile_freep) struct orch_profile *p = compose_chain(c, d);
    if (d->n != errors_before)
        return -EINVAL;
    *ret = ORCH_TAKE_PTR(p);
    return 0;
}

int orch_profile_load(const char *ref, const char *base_dir, struct orch_profile **ret, struct orch_diags *d)
{
    ORCH_AUTO(chain_fini) struct chain c = {.n = 0};
    size_t before = d->n;
    (void)load_chain(&c, ref, base_dir, d);
    return finish(&c, before, ret, d);
}

/* --- from kept sources --- */

static int add_source(struct chain *c, const char *source, struct orch_diags *d)
{
    const char *newline = strchr(source, '\n');
    if (newline == NULL || newline == source) {
        orch_diags_add(d, "sources", 0, 0, NULL, "a kept source has no file name");
        return -EINVAL;
    }
    char *file = orch_xstrndup(source, (size_t)(newline - source));
    int r = add_document(c, file, newline + 1, strlen(newline + 1), d);
    if (r == 0)
        orch_prof_parse(&c->docs[c->n - 1], d);
    return r;
}

/* The kept chain must be the one that the documents ask for: each but the last has a parent, and that one has
 * none. */
static void check_kept_chain(const struct chain *c, struct orch_diags *d)
{
    for (size_t i = 0; i < c->n; i++)
        if ((c->docs[i].extends != NULL) != (i + 1 < c->n))
            orch_diags_add(d, c->docs[i].file, 0, 0, "/extends", "the kept parents do not fit 'extends'");
}

int orch_profile_from_sources(const struct orch_strv *sources, const char *name, struct orch_profile **ret,
                              struct orch_diags *d)
{
    ORCH_AUTO(chain_fini) struct chain c = {.n = 0};
    size_t before = d->n;
    if (sources->n == 0 || sources->n > ORCH_PROF_MAX_DEPTH) {
        orch_diags_add(d, name, 0, 0, NULL, "expected 1 to %d kept sources, found %zu", ORCH_PROF_MAX_DEPTH,
                       sources->n);
        return -EINVAL;
    }
    for (size_t i = sources->n; i-- > 0;)
        if (add_source(&c, sources->v[i], d) < 0)
            return -EINVAL;
    if (d->n == before)
        check_kept_chain(&c, d);
    return finish(&c, before, ret, d);
}

struct orch_profile *orch_profile_hold(struct orch_profile *p)
{
    p->holders++;
    return p;
}

void orch_profile_free(struct orch_profile *p)
{
    if (p == NULL || p->holders-- > 0)
        return;
    orch_prof_fini(p);
    free(p);
}

void orch_profile_freep(struct orch_profile **p)
{
    orch_profile_free(*p);
    *p = NULL;
}
