/* workflow.c - the workflow document: the run's own settings, loading and the digest (design 5.1). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include "common/escape.h"
#include "common/hash.h"
#include "common/io.h"
#include "policy/workflow_int.h"

/* --- life --- */

static void phase_fini(struct orch_phase *p)
{
    for (size_t i = 0; i < p->n_gates; i++)
        orch_wf_gate_fini(&p->gates[i]);
    free(p->gates);
    orch_wf_agent_free(p->agent);
    orch_profile_free(p->profile);
    free(p->name);
    free(p->prompt);
    free(p->goto_phase);
}

static void workflow_fini(struct orch_workflow *w)
{
    for (size_t i = 0; i < w->n_phases; i++)
        phase_fini(&w->phases[i]);
    free(w->phases);
    orch_profile_free(w->ceiling);
    free(w->name);
    free(w->file);
    free(w->dir);
    free(w->digest);
    free(w->text);
    free(w->home_from);
    orch_strv_fini(&w->ignore_changes);
    orch_strv_fini(&w->apply_allow);
    orch_wf_inputs_free(w->inputs);
}

void orch_workflow_free(struct orch_workflow *w)
{
    if (w == NULL)
        return;
    workflow_fini(w);
    free(w);
}

void orch_workflow_freep(struct orch_workflow **w)
{
    orch_workflow_free(*w);
    *w = NULL;
}

/* --- top level --- */

static void top_name(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_wf_read *r = base;
    (void)orch_rd_name(rd, node, true, &r->w.name);
}

static void top_agent(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_wf_read *r = base;
    r->agent = orch_wf_read_agent(rd, node);
}

/* Before the phases: their profiles are measured by it as they are loaded. */
static void top_ceiling(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_wf_read *r = base;
    const char *ref = orch_rd_string(rd, node);
    if (ref != NULL)
        r->w.ceiling = orch_wf_profile(r->ctx, rd, node, ref);
    r->ctx->ceiling = r->w.ceiling;
}

static void top_phases(const struct orch_rd *rd, const cJSON *node, void *base)
{
    if (!orch_rd_array(rd, node))
        return;
    if (node->child == NULL)
        orch_json_error(rd->doc, node, rd->d, "a workflow needs at least one phase");
    const cJSON *item;
    cJSON_ArrayForEach(item, node) orch_wf_read_phase(rd, item, base);
}

/* The folder that seeds ${home}; it need not lie in the workflow's folder, but it must be there. */
static void home_from(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_wf_read *r = base;
    const char *s = orch_rd_string(rd, node);
    struct stat st;
    if (s == NULL)
        return;
    if (s[0] == '~' || s[0] == '\0') {
        orch_json_error(rd->doc, node, rd->d,
                        "'%s': '~' is not expanded; the path is relative to the workflow's folder", s);
        return;
    }
    ORCH_AUTO_FREE char *path = s[0] == '/' ? orch_xstrdup(s) : orch_xasprintf("%s/%s", r->w.dir, s);
    if (r->ctx->dirfd >= 0 && (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)))
        orch_json_error(rd->doc, node, rd->d, "'%s' is not a directory", s);
    else
        r->w.home_from = orch_path_normalize("/", path);
}

static const struct orch_rd_shape from_shape = {.type = "string", .pattern = "^[^~]"};

static const struct orch_rd_field home_fields[] = {
    {.key = "from", .kind = ORCH_RD_CALL, .call = home_from, .shape = &from_shape},
    {.key = "keep", .kind = ORCH_RD_BOOL, .off = offsetof(struct orch_wf_read, w.home_keep)},
    {.key = "reason", .kind = ORCH_RD_NONE},
    {0},
};

static void top_home(const struct orch_rd *rd, const cJSON *node, void *base)
{
    (void)orch_rd_object(rd, node, home_fields, base);
}

static const struct orch_rd_field apply_fields[] = {
    {.key = "allow", .kind = ORCH_RD_GLOBS, .off = offsetof(struct orch_wf_read, w.apply_allow)},
    {.key = "reason", .kind = ORCH_RD_NONE},
    {0},
};

/* What apply protects would run on the operator's machine: lifting it is a decision that says why (T-POL-12).
 */
static void top_apply(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_wf_read *r = base;
    (void)orch_rd_object(rd, node, apply_fields, r);
    const cJSON *reason = orch_rd_get(node, "reason");
    if (r->w.apply_allow.n > 0 && !(cJSON_IsString(reason) && reason->valuestring[0] != '\0'))
        orch_json_error(rd->doc, node, rd->d, "'allow' lifts a protection of apply: it needs a \"reason\"");
}

static const struct orch_rd_shape name_shape = {.type = "string", .pattern = ORCH_NAME_PATTERN};
static const struct orch_rd_shape home_shape = {.type = "object", .fields = home_fields};
static const struct orch_rd_shape apply_shape = {.type = "object", .fields = apply_fields};

#define W(f) offsetof(struct orch_wf_read, f)
static const struct orch_rd_field top_fields[] = {
    {.key = "$schema", .kind = ORCH_RD_NONE},
    {.key = "schema", .kind = ORCH_RD_UINT, .off = W(schema), .min = 1, .max = 1, .required = true},
    {.key = "name", .kind = ORCH_RD_CALL, .call = top_name, .required = true, .shape = &name_shape},
    {.key = "agent",
     .kind = ORCH_RD_CALL,
     .call = top_agent,
     .shape = &orch_wf_agent_shape}, /* before phases: they copy it */
    {.key = "home", .kind = ORCH_RD_CALL, .call = top_home, .shape = &home_shape},
    {.key = "ceiling",
     .kind = ORCH_RD_CALL,
     .call = top_ceiling,
     .shape = &orch_shape_string}, /* before phases, too */
    {.key = "phases",
     .kind = ORCH_RD_CALL,
     .call = top_phases,
     .required = true,
     .shape = &orch_wf_phases_shape},
    {.key = "max_denials", .kind = ORCH_RD_UINT, .off = W(w.max_denials), .max = ORCH_UINT_MAX_JSON},
    {.key = "timeout", .kind = ORCH_RD_TIME, .off = W(w.timeout_ms), .min = 1, .max = ORCH_TIME_MAX_MS},
    {.key = "ignore_changes", .kind = ORCH_RD_GLOBS, .off = W(w.ignore_changes)},
    {.key = "apply", .kind = ORCH_RD_CALL, .call = top_apply, .shape = &apply_shape},
    {.key = "reason", .kind = ORCH_RD_NONE},
    {0},
};

const struct orch_rd_shape orch_wf_shape = {.type = "object", .fields = top_fields};

/* --- as a whole --- */

static void add_text(struct orch_sha256 *h, const char *s)
{
    size_t len = s != NULL ? strlen(s) : 0;
    char prefix[32];
    int n = snprintf(prefix, sizeof(prefix), "%zu\n", len);
    orch_sha256_add(h, prefix, (size_t)n);
    if (len > 0)
        orch_sha256_add(h, s, len);
}

static void add_gates(struct orch_sha256 *h, const struct orch_gate *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (v[i].profile != NULL)
            add_text(h, v[i].profile->digest);
        add_gates(h, v[i].children, v[i].n_children);
    }
}

/* Every text that decides what the run does, in the order of the document. */
static void set_digest(struct orch_workflow *w)
{
    char hex[ORCH_HEX_SIZE];
    struct orch_sha256 *h = orch_sha256_new();
    add_text(h, w->text);
    if (w->ceiling != NULL)
        add_text(h, w->ceiling->digest);
    for (size_t i = 0; i < w->n_phases; i++) {
        add_text(h, w->phases[i].prompt);
        add_text(h, w->phases[i].profile != NULL ? w->phases[i].profile->digest : NULL);
        add_gates(h, w->phases[i].gates, w->phases[i].n_gates);
    }
    orch_sha256_hex(h, hex);
    w->digest = orch_xstrdup(hex);
}

static void read_document(struct orch_wf_read *r, const struct orch_json *doc, struct orch_diags *d)
{
    struct orch_rd rd = {.doc = doc, .d = d};
    const cJSON *root = orch_json_root(doc);
    if (orch_rd_schema(&rd, root))
        (void)orch_rd_object(&rd, root, top_fields, r);
    orch_wf_agent_free(r->agent);
}

int orch_wf_parse(struct orch_wf_ctx *ctx, const char *file, const char *dir, const char *text, size_t len,
                  struct orch_workflow **ret, struct orch_diags *d)
{
    ORCH_AUTO(orch_json_freep) struct orch_json *doc = NULL;
    size_t before = d->n;
    int r = orch_json_parse(file, text, len, &doc, d);
    if (r < 0)
        return r;
    struct orch_wf_read rd = {.ctx = ctx, .w = {.max_denials = 1000}};
    rd.w.file = orch_xstrdup(file);
    rd.w.dir = orch_xstrdup(dir);
    rd.w.text = orch_xstrndup(text, len);
    read_document(&rd, doc, d);
    if (d->n != before) {
        workflow_fini(&rd.w);
        return -EINVAL;
    }
    set_digest(&rd.w);
    rd.w.inputs = ORCH_TAKE_PTR(ctx->inputs);
    *ret = orch_xmalloc(sizeof(**ret));
    **ret = rd.w;
    return 0;
}

/* --- from files --- */

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return orch_xstrdup(".");
    return slash == path ? orch_xstrdup("/") : orch_xstrndup(path, (size_t)(slash - path));
}

static bool is_utf8(const char *s)
{
    uint32_t cp;
    size_t n = strlen(s), used;
    for (size_t i = 0; i < n; i += used) {
        used = orch_utf8_next((const unsigned char *)s + i, n - i, &cp);
        if (used == 0)
            return false;
    }
    return true;
}

static int load_from(struct orch_wf_ctx *ctx, const char *path, const char *dir, struct orch_workflow **ret,
                     struct orch_diags *d)
{
    ORCH_AUTO(orch_json_freep) struct orch_json *doc = NULL;
    int r = orch_json_load(path, &doc, d);
    if (r < 0)
        return r;
    size_t len;
    const char *text = orch_json_text(doc, &len);
    return orch_wf_parse(ctx, path, dir, text, len, ret, d);
}

int orch_workflow_load(const char *path, struct orch_workflow **ret, struct orch_diags *d)
{
    ORCH_AUTO_FREE char *folder = folder_of(path);
    ORCH_AUTO_FREE char *dir = realpath(folder, NULL);
    ORCH_AUTO_FD int fd = dir != NULL ? open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd < 0) {
        orch_diags_note_errno(d, errno);
        orch_diags_add(d, path, 0, 0, NULL, "the folder cannot be opened: %s", strerror(errno));
        return -EINVAL;
    }
    if (!is_utf8(path) || !is_utf8(dir)) {
        orch_diags_add(d, path, 0, 0, NULL, "the path is not UTF-8");
        return -EINVAL;
    }
    struct orch_wf_ctx ctx = {.inputs = orch_xcalloc(1, sizeof(*ctx.inputs)), .folder = folder, .dirfd = fd};
    int r = load_from(&ctx, path, dir, ret, d);
    orch_wf_inputs_free(ctx.inputs);
    orch_wf_ctx_fini(&ctx);
    return r < 0 ? -EINVAL : 0;
}
