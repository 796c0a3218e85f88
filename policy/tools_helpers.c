/* tools_helpers.c - rows of the helper table, and directories that belong to a tool as a whole. */
#include <errno.h>
#include <fnmatch.h>
#include <fts.h>
#include <string.h>
#include "policy/helpers.h"
#include "policy/tools_internal.h"

#define MAX_SCANNED 200000u /* entries of one helper directory */

/* ---- directories ---- */

static bool is_library_name(const char *name)
{
    return strstr(name, ".so") || strstr(name, ".node");
}

/* A file whose name or mode says that it is code. Others are not even looked at. */
static bool may_be_code(struct orch_resolver *r, const char *path, const char *name)
{
    bool library = is_library_name(name);
    if (!library && strchr(name, '.'))
        return false;
    const struct orch_sight *s = orch_sights_look(&r->sights, path);
    return !s->errnum && S_ISREG(s->mode) && (library || (s->mode & 0111) != 0);
}

/* Data of packages, never code: not worth a look into each. */
static bool skips(const char *name)
{
    static const char *const names[] = {"__pycache__", "doc", "docs", "man"};
    for (size_t i = 0; i < ORCH_NELEM(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return fnmatch("*.dist-info", name, 0) == 0 || fnmatch("*.egg-info", name, 0) == 0;
}

static void scan_entry(struct orch_resolver *r, FTS *fts, FTSENT *e, const char *why)
{
    if (e->fts_info == FTS_DNR)
        (void)orch_tools_note_errno(r, e->fts_errno);
    else if (e->fts_info == FTS_D && e->fts_level > 0 && skips(e->fts_name))
        (void)fts_set(fts, e, FTS_SKIP);
    else if (e->fts_info == FTS_D)
        orch_sights_list(&r->sights, e->fts_path); /* before fts reads it */
    else if ((e->fts_info == FTS_F || e->fts_info == FTS_NSOK) && may_be_code(r, e->fts_path, e->fts_name) &&
             orch_tools_is_elf(r, e->fts_path))
        (void)orch_tools_add_elf(r, e->fts_path, ORCH_CLOSURE_LIBRARY, why, "", NULL);
}

/* Adds the libraries of ELF files beneath a helper directory; those it cannot read or complete are left as
 * they are. */
static void scan_dir(struct orch_resolver *r, const char *dir)
{
    ORCH_AUTO_FREE char *copy = orch_xstrdup(dir);
    ORCH_AUTO_FREE char *why = orch_xasprintf("in %s", dir);
    char *roots[] = {copy, NULL};
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOSTAT | FTS_NOCHDIR, NULL);
    size_t seen = 0;
    if (!fts)
        (void)orch_tools_note_errno(r, errno);
    for (FTSENT *e = fts ? fts_read(fts) : NULL; e && seen++ < MAX_SCANNED; e = fts_read(fts))
        scan_entry(r, fts, e, why);
    if (fts)
        (void)fts_close(fts);
}

int orch_tools_add_dir(struct orch_resolver *r, const char *path, const char *why, bool scanned)
{
    ORCH_AUTO_FREE char *real = orch_tools_walk(r, path, why);
    if (!real)
        return -errno;
    bool added;
    (void)orch_map_put(&r->programs, real, &added);
    orch_tools_add(r, ORCH_CLOSURE_DIR, real, why);
    if (added && scanned)
        scan_dir(r, real);
    return 0;
}

/* ---- rows ---- */

struct row {
    struct orch_resolver *r;
    const char *real, *why; /* the tool's file; why it has what it has */
    unsigned depth;
};

typedef void (*add_path_fn)(const struct row *row, const char *path);

static void add_called(const struct row *row, const char *path)
{
    struct orch_err err = {0};
    if (orch_tools_add_program(row->r, orch_tools_basename(path), path, row->why, row->depth + 1, &err) < 0)
        orch_strv_add_take(&row->r->faults, orch_xasprintf("%s: %s", row->why, err.msg));
}

static void add_if_dir(const struct row *row, const char *path, bool scanned)
{
    mode_t mode;
    if (orch_sights_mode(&row->r->sights, path, &mode) == 0 && S_ISDIR(mode))
        (void)orch_tools_add_dir(row->r, path, row->why, scanned);
}

static void add_scanned(const struct row *row, const char *path)
{
    add_if_dir(row, path, true);
}

static void add_tree(const struct row *row, const char *path)
{
    add_if_dir(row, path, false);
}

static void add_mapped(const struct row *row, const char *path)
{
    ORCH_AUTO_FREE char *real = orch_tools_walk(row->r, path, row->why);
    if (real)
        (void)orch_tools_add_elf(row->r, real, ORCH_CLOSURE_LIBRARY, row->why, "", NULL);
}

static void add_data(const struct row *row, const char *path)
{
    ORCH_AUTO_FREE char *real = orch_tools_walk(row->r, path, row->why);
    if (real)
        orch_tools_add(row->r, ORCH_CLOSURE_DATA_DIR, real, row->why);
}

/* "$PREFIX/x" with /usr/bin/tool gives "/usr/x"; "$PREFIX" of a file not in a bin directory gives NULL. */
static char *expand_prefix(const char *word, const char *real)
{
    if (strncmp(word, "$PREFIX/", 8) != 0)
        return orch_xstrdup(word);
    ORCH_AUTO_FREE char *dir = orch_xstrndup(real, (size_t)(orch_tools_basename(real) - real));
    size_t n = strlen(dir);
    if (n < 5 || strcmp(dir + n - 5, "/bin/") != 0)
        return NULL;
    return orch_xasprintf("%.*s/%s", (int)(n - 5), dir, word + 8);
}

static void add_word(const struct row *row, const char *word, add_path_fn add)
{
    ORCH_AUTO(orch_strv_fini) struct orch_strv paths = {0};
    ORCH_AUTO_FREE char *pattern =
        strchr(word, '/') ? expand_prefix(word, row->real) : orch_tools_lookup(row->r, word);
    if (pattern)
        orch_sights_match(&row->r->sights, pattern, &paths);
    for (size_t i = 0; i < paths.n; i++)
        add(row, paths.v[i]);
}

static void add_words(const struct row *row, const char *words, add_path_fn add)
{
    ORCH_AUTO_FREE char *copy = orch_xstrdup(words ? words : "");
    char *save = NULL;
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        add_word(row, word, add);
}

static void add_row(const struct row *row, const struct orch_helper *h)
{
    add_words(row, h->calls, add_called);
    add_words(row, h->dirs, add_scanned);
    add_words(row, h->trees, add_tree);
    add_words(row, h->libs, add_mapped);
    add_words(row, h->data, add_data);
}

static bool is_for(const struct orch_helper *h, const char *name, const char *base)
{
    ORCH_AUTO_FREE char *copy = orch_xstrdup(h->programs);
    char *save = NULL;
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        if (fnmatch(word, name, 0) == 0 || fnmatch(word, base, 0) == 0)
            return true;
    return false;
}

static bool has_loader(const struct orch_resolver *r)
{
    for (size_t i = 0; i < r->c.n; i++)
        if (r->c.v[i].kind == ORCH_CLOSURE_LOADER)
            return true;
    return false;
}

/* What libc opens by itself, once, as soon as one program is there that is not static: its modules are
 * hundreds of files, and are read for every plan. */
static void add_libc_helpers(struct orch_resolver *r, const struct orch_helper *h)
{
    const struct row row = {.r = r, .real = "/", .why = "used by the C library"};
    if (r->libc_done || !has_loader(r))
        return;
    r->libc_done = true;
    add_row(&row, h);
}

void orch_tools_add_helpers(struct orch_resolver *r, const char *name, const char *real, unsigned depth)
{
    ORCH_AUTO_FREE char *why = orch_xasprintf("helper of %s", name);
    const struct row row = {.r = r, .real = real, .why = why, .depth = depth};
    for (size_t i = 0; i < orch_n_helpers; i++) {
        const struct orch_helper *h = &orch_helpers[i];
        if (strcmp(h->programs, "*") == 0)
            add_libc_helpers(r, h);
        else if (is_for(h, name, orch_tools_basename(real)))
            add_row(&row, h);
    }
}
