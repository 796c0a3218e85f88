/* workflow_inputs.c - prompts and profiles that a workflow names: read once, kept under their reference. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include "common/escape.h"
#include "common/io.h"
#include "policy/within.h"
#include "policy/workflow_int.h"

struct orch_strv *orch_wf_inputs_at(struct orch_wf_inputs *in, const char *key, bool create)
{
    for (size_t i = 0; i < in->n; i++)
        if (strcmp(in->v[i].key, key) == 0)
            return &in->v[i].texts;
    if (!create)
        return NULL;
    in->v = orch_xreallocarray(in->v, in->n + 1, sizeof(*in->v));
    in->v[in->n] = (struct orch_wf_input){.key = orch_xstrdup(key)};
    return &in->v[in->n++].texts;
}

void orch_wf_inputs_free(struct orch_wf_inputs *in)
{
    if (in == NULL)
        return;
    for (size_t i = 0; i < in->n; i++) {
        free(in->v[i].key);
        orch_strv_fini(&in->v[i].texts);
    }
    free(in->v);
    free(in);
}

/* --- prompts --- */

/* Any ".." component, also a harmless one. */
static bool goes_up(const char *path)
{
    for (const char *p = path; p != NULL; p = strchr(p, '/')) {
        p += *p == '/';
        if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == '\0'))
            return true;
    }
    return false;
}

/* State keeps prompts as JSON strings, and the agent may get one as an argument: both need text. */
static bool is_text(const struct orch_buf *b)
{
    uint32_t cp;
    size_t used;
    for (size_t i = 0; i < b->len; i += used) {
        used = orch_utf8_next((const unsigned char *)b->data + i, b->len - i, &cp);
        if (used == 0 || cp == 0)
            return false;
    }
    return true;
}

/* NULL, or why the prompt could not be read. */
static const char *read_prompt(int dirfd, const char *ref, struct orch_buf *out)
{
    ORCH_AUTO_FD int fd = orch_open_beneath(dirfd, ref, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    struct stat st;
    if (fd < 0)
        return fd == -ELOOP ? "symbolic link" : strerror(-fd);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return "not a regular file";
    int r = orch_read_all(fd, ORCH_WF_PROMPT_MAX, out);
    if (r < 0)
        return r == -EFBIG ? "larger than 1 MiB" : strerror(-r);
    return is_text(out) ? NULL : "not UTF-8 text";
}

static void load_prompt(struct orch_wf_ctx *ctx, const struct orch_rd *rd, const cJSON *node, const char *ref,
                        const char *key)
{
    ORCH_AUTO_BUF struct orch_buf b = {0};
    const char *fault = NULL;
    if (ref[0] == '\0' || ref[0] == '/' || ref[0] == '~' || goes_up(ref))
        fault = "a prompt file lies in the workflow's folder: no absolute path, no '..'";
    else
        fault = ctx->dirfd >= 0 ? read_prompt(ctx->dirfd, ref, &b) : "not among the kept inputs";
    if (fault != NULL)
        orch_json_error(rd->doc, node, rd->d, "prompt file '%s': %s", ref, fault);
    else
        orch_strv_add_take(orch_wf_inputs_at(ctx->inputs, key, true), orch_buf_take(&b));
}

char *orch_wf_prompt(struct orch_wf_ctx *ctx, const struct orch_rd *rd, const cJSON *node, const char *ref)
{
    ORCH_AUTO_FREE char *key = orch_xasprintf("prompt %s", ref);
    if (orch_wf_inputs_at(ctx->inputs, key, false) == NULL)
        load_prompt(ctx, rd, node, ref, key);
    const struct orch_strv *texts = orch_wf_inputs_at(ctx->inputs, key, false);
    return texts != NULL && texts->n == 1 ? orch_xstrdup(texts->v[0]) : NULL;
}

/* --- profiles --- */

/* A built-in's name, or a path starting with "./". */
static bool usable_reference(const struct orch_rd *rd, const cJSON *node, const char *ref)
{
    if (strncmp(ref, "./", 2) == 0 || orch_builtin_text(ref, NULL) != NULL)
        return true;
    const char *near = orch_near_name(ref, orch_builtin_names);
    orch_json_error(
        rd->doc, node, rd->d, "'%s' is neither a built-in profile nor a path starting with './'%s%s%s", ref,
        near != NULL ? ", did you mean '" : "", near != NULL ? near : "", near != NULL ? "'?" : "");
    return false;
}

static struct orch_profile *load_profile(struct orch_wf_ctx *ctx, const struct orch_rd *rd, const cJSON *node,
                                         const char *ref, const char *key)
{
    struct orch_profile *p = NULL;
    if (ctx->dirfd < 0) {
        orch_json_error(rd->doc, node, rd->d, "profile '%s' is not among the kept inputs", ref);
        return NULL;
    }
    if (orch_profile_load(ref, ctx->folder, &p, rd->d) < 0) {
        orch_json_error(rd->doc, node, rd->d, "profile '%s' cannot be used", ref);
        return NULL;
    }
    orch_strv_copy(orch_wf_inputs_at(ctx->inputs, key, true), &p->sources);
    return p;
}

/* Nothing in a profile lifts the ceiling; where it goes beyond, the profile's own keys are named first. */
static bool below_ceiling(const struct orch_wf_ctx *ctx, const struct orch_rd *rd, const cJSON *node,
                          const char *ref, const struct orch_profile *p)
{
    size_t before = rd->d->n;
    if (ctx->ceiling != NULL)
        orch_profile_within(ctx->ceiling, p, ORCH_BOUND_CEILING, rd->d);
    if (rd->d->n == before)
        return true;
    orch_json_error(rd->doc, node, rd->d, "profile '%s' goes beyond the workflow's ceiling", ref);
    return false;
}

static struct orch_profile *find_loaded(const struct orch_wf_ctx *ctx, const char *ref)
{
    for (size_t i = 0; i < ctx->n_loaded; i++)
        if (strcmp(ctx->loaded[i].ref, ref) == 0)
            return orch_profile_hold(ctx->loaded[i].p);
    return NULL;
}

/* Kept for the next phase that names it. Takes p if it is not NULL, gives the caller a share of its own. */
static struct orch_profile *keep_loaded(struct orch_wf_ctx *ctx, const char *ref, struct orch_profile *p)
{
    if (p == NULL) {
        orch_strv_add(&ctx->failed, ref);
        return NULL;
    }
    ctx->loaded = orch_xreallocarray(ctx->loaded, ctx->n_loaded + 1, sizeof(*ctx->loaded));
    ctx->loaded[ctx->n_loaded++] = (struct orch_wf_loaded){.ref = orch_xstrdup(ref), .p = p};
    return orch_profile_hold(p);
}

struct orch_profile *orch_wf_profile(struct orch_wf_ctx *ctx, const struct orch_rd *rd, const cJSON *node,
                                     const char *ref)
{
    if (orch_strv_has(&ctx->failed, ref))
        return NULL;
    struct orch_profile *p = find_loaded(ctx, ref);
    if (p != NULL)
        return p;
    ORCH_AUTO_FREE char *key = orch_xasprintf("profile %s", ref);
    const struct orch_strv *kept = orch_wf_inputs_at(ctx->inputs, key, false);
    if (kept != NULL)
        (void)orch_profile_from_sources(kept, ref, &p, rd->d);
    else if (usable_reference(rd, node, ref))
        p = load_profile(ctx, rd, node, ref, key);
    if (p != NULL && !below_ceiling(ctx, rd, node, ref, p)) {
        orch_profile_free(p);
        p = NULL;
    }
    return keep_loaded(ctx, ref, p);
}

void orch_wf_ctx_fini(struct orch_wf_ctx *ctx)
{
    for (size_t i = 0; i < ctx->n_loaded; i++) {
        free(ctx->loaded[i].ref);
        orch_profile_free(ctx->loaded[i].p);
    }
    free(ctx->loaded);
    ctx->loaded = NULL;
    ctx->n_loaded = 0;
    orch_strv_fini(&ctx->failed);
}
