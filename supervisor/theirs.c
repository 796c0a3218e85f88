/* theirs.c - see theirs.h. */
#include "supervisor/theirs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/exit.h"
#include "common/io.h"
#include "supervisor/edits.h"

#define KEPT_MAX (64u << 20)
#define FINGERPRINT_MAX (1u << 30)

void orch_theirs_fini(struct orch_theirs *t)
{
    orch_strv_fini(&t->paths);
}

static int cmp_key(const void *key, const void *item)
{
    return strcmp(key, *(char *const *)item);
}

static int cmp_str(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool has(const struct orch_strv *sorted, const char *path)
{
    return sorted->n && bsearch(path, sorted->v, sorted->n, sizeof(*sorted->v), cmp_key);
}

static bool any_beneath(const struct orch_strv *paths, const char *dir)
{
    size_t n = strlen(dir);

    for (size_t i = 0; i < paths->n; i++)
        if (strncmp(paths->v[i], dir, n) == 0 && paths->v[i][n] == '/')
            return true;
    return false;
}

static bool takes_dir_away(const struct orch_change *c)
{
    return c->kind == ORCH_MODIFIED && c->before.type == 'd' && c->after.type != 'd';
}

static bool beneath_any_taken(const struct orch_changes *c, const struct orch_strv *kept, const char *path)
{
    for (size_t i = 0; i < c->n; i++) {
        size_t n = strlen(c->v[i].path);

        if (takes_dir_away(&c->v[i]) && strncmp(path, c->v[i].path, n) == 0 && path[n] == '/' &&
            orch_strv_has(kept, c->v[i].path))
            return true;
    }
    return false;
}

static void keep_one(struct orch_strv *kept, const char *path)
{
    if (!orch_strv_has(kept, path))
        orch_strv_add(kept, path);
}

static void choose_from(const struct orch_edits *edits, int root, bool again, const struct orch_changes *c,
                        struct orch_strv *ret)
{
    for (size_t i = 0; i < c->n; i++)
        if (orch_edits_foreign(edits, &c->v[i], again) ||
            orch_edits_way_gone(edits, root, c->v[i].path, again))
            keep_one(ret, c->v[i].path);
    /* A directory of which something stays cannot make room for a file; then all of it stays. */
    for (size_t i = 0; i < c->n; i++)
        if (takes_dir_away(&c->v[i]) && any_beneath(ret, c->v[i].path))
            keep_one(ret, c->v[i].path);
    for (size_t i = 0; i < c->n; i++)
        if (beneath_any_taken(c, ret, c->v[i].path))
            keep_one(ret, c->v[i].path);
    if (ret->n)
        qsort(ret->v, ret->n, sizeof(*ret->v), cmp_str);
}

static int choose(struct orch_run *r, const struct orch_changes *c, struct orch_strv *ret,
                  struct orch_err *err)
{
    ORCH_AUTO_BUF struct orch_buf print = {0};
    ORCH_AUTO(orch_edits_fini) struct orch_edits edits = {0};
    ORCH_AUTO_FD int root = orch_openat2(AT_FDCWD, r->workspace, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, 0);
    int k = root < 0 ? root : orch_read_file(r->dir.fd, ORCH_FINGERPRINT_NAME, FINGERPRINT_MAX, &print);

    if (k < 0)
        return orch_err_exit(err, ORCH_EXIT_STATE, -k, "the workspace cannot be compared: %s", strerror(-k));
    k = orch_fingerprint_edits(&print, r->workspace, &edits, err);
    if (k == 0 && orch_edits_root_replaced(&edits))
        k = orch_err_exit(err, ORCH_EXIT_BUSY, EBUSY,
                          "the workspace is another directory than at run start: nothing is applied to it");
    if (k == 0)
        choose_from(&edits, root, r->journal.state.apply_intent, c, ret);
    return k;
}

/* Named by its digest: the list of an earlier intent stays what it was until the new one is recorded. */
static char *list_name(const char *digest)
{
    return orch_xasprintf("kept.%s", digest);
}

static int write_list(struct orch_run *r, struct orch_theirs *t, struct orch_err *err)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    ORCH_AUTO_FREE char *name = NULL;
    int k;

    for (size_t i = 0; i < t->paths.n; i++)
        orch_buf_add(&b, t->paths.v[i], strlen(t->paths.v[i]) + 1);
    orch_sha256_buf(b.data ? b.data : "", b.len, t->digest);
    name = list_name(t->digest);
    k = orch_write_file_sync(r->dir.fd, name, b.data ? b.data : "", b.len, 0600);
    return k < 0
               ? orch_err_exit(err, ORCH_EXIT_STATE, -k, "cannot write %s of the run: %s", name, strerror(-k))
               : 0;
}

static int read_list(struct orch_run *r, struct orch_theirs *t, struct orch_err *err)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    ORCH_AUTO_FREE char *name = list_name(r->journal.state.kept_digest);
    int k = orch_read_file(r->dir.fd, name, KEPT_MAX, &b);

    orch_sha256_buf(b.data ? b.data : "", b.len, t->digest);
    if (k < 0 || strcmp(t->digest, r->journal.state.kept_digest) != 0)
        return orch_err_exit(err, orch_errno_is_host(-k) ? ORCH_EXIT_STATE : ORCH_EXIT_CORRUPT, EBADMSG,
                             "%s: not the list that the journal's apply record was bound to", name);
    for (size_t i = 0; b.data && i < b.len; i += strlen(b.data + i) + 1)
        orch_strv_add(&t->paths, b.data + i);
    return 0;
}

void orch_theirs_take_out(const struct orch_theirs *t, struct orch_changes *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n; i++) {
        if (!has(&t->paths, c->v[i].path)) {
            c->v[n++] = c->v[i];
            continue;
        }
        free(c->v[i].path);
        orch_entry_fini(&c->v[i].before);
        orch_entry_fini(&c->v[i].after);
    }
    c->n = n;
}

int orch_theirs_keep(struct orch_run *r, struct orch_changes *c, struct orch_theirs *ret,
                     struct orch_err *err)
{
    const struct orch_run_state *s = &r->journal.state;
    int k = s->apply_intent && *s->kept_digest ? read_list(r, ret, err) : 0;

    if (k == 0 && r->opt->theirs_kept) {
        orch_theirs_take_out(ret, c);
        k = choose(r, c, &ret->paths, err);
        k = k < 0 ? k : write_list(r, ret, err);
        ret->renewed = strcmp(ret->digest, s->kept_digest) != 0;
    }
    if (k == 0)
        orch_theirs_take_out(ret, c);
    return k;
}
