/*
 * workflow_export.c - the inputs of a run as JSON Lines, and back.
 *
 *   {"schema":1,"kind":"inputs","file":"wf.json","dir":"/home/u/project","texts":6}
 *   {"key":"workflow","text":"...","more":false}
 *   {"key":"prompt prompts/plan.md","text":"...","more":true}      a text goes on in the next line with the
 * same key
 *   {"key":"profile plan","text":"base\n{...}","more":false}       one text per document, root parent first
 */
#include <errno.h>
#include <string.h>
#include "common/jsonw.h"
#include "policy/workflow_int.h"

#define PART_BYTES (64u * 1024) /* at most 384 KiB once escaped: below the limit of a document */
#define KEY_WORKFLOW "workflow"
#define SHOWN "kept inputs" /* file name in diagnostics */

/* --- out --- */

/* Bytes of the next part: whole characters only. */
static size_t part_length(const char *text, size_t len)
{
    if (len <= PART_BYTES)
        return len;
    size_t n = PART_BYTES;
    while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--;
    return n > 0 ? n : PART_BYTES;
}

static void put_text(struct orch_buf *out, const char *key, const char *text)
{
    size_t len = strlen(text);
    do {
        size_t n = part_length(text, len);
        ORCH_AUTO_FREE char *part = orch_xstrndup(text, n);
        struct orch_jw w = {.out = out};
        orch_jw_obj(&w, NULL);
        orch_jw_str(&w, "key", key);
        orch_jw_str(&w, "text", part);
        orch_jw_bool(&w, "more", n < len);
        orch_jw_end(&w, '}');
        orch_buf_char(out, '\n');
        text += n;
        len -= n;
    } while (len > 0);
}

static size_t count_texts(const struct orch_wf_inputs *in)
{
    size_t n = 0;
    for (size_t i = 0; i < in->n; i++)
        n += in->v[i].texts.n;
    return n;
}

void orch_workflow_export(const struct orch_workflow *w, struct orch_buf *out)
{
    struct orch_jw jw = {.out = out};
    orch_jw_obj(&jw, NULL);
    orch_jw_int(&jw, "schema", 1);
    orch_jw_str(&jw, "kind", "inputs");
    orch_jw_str(&jw, "file", w->file);
    orch_jw_str(&jw, "dir", w->dir);
    orch_jw_uint(&jw, "texts", 1 + count_texts(w->inputs));
    orch_jw_end(&jw, '}');
    orch_buf_char(out, '\n');
    put_text(out, KEY_WORKFLOW, w->text);
    for (size_t i = 0; i < w->inputs->n; i++)
        for (size_t j = 0; j < w->inputs->v[i].texts.n; j++)
            put_text(out, w->inputs->v[i].key, w->inputs->v[i].texts.v[j]);
}

/* --- in --- */

struct header {
    uint64_t schema, texts;
    char *kind, *file, *dir;
};

static const struct orch_rd_field header_fields[] = {
    {.key = "schema",
     .kind = ORCH_RD_UINT,
     .off = offsetof(struct header, schema),
     .min = 1,
     .max = 1,
     .required = true},
    {.key = "kind", .kind = ORCH_RD_TEXT, .off = offsetof(struct header, kind), .required = true},
    {.key = "file", .kind = ORCH_RD_TEXT, .off = offsetof(struct header, file), .required = true},
    {.key = "texts",
     .kind = ORCH_RD_UINT,
     .off = offsetof(struct header, texts),
     .min = 1,
     .max = ORCH_UINT_MAX_JSON,
     .required = true},
    {.key = "dir", .kind = ORCH_RD_TEXT, .off = offsetof(struct header, dir), .required = true},
    {0},
};

struct record {
    char *key, *text;
    bool more;
};

static const struct orch_rd_field record_fields[] = {
    {.key = "key", .kind = ORCH_RD_TEXT, .off = offsetof(struct record, key), .required = true},
    {.key = "text", .kind = ORCH_RD_TEXT, .off = offsetof(struct record, text), .required = true},
    {.key = "more", .kind = ORCH_RD_BOOL, .off = offsetof(struct record, more), .required = true},
    {0},
};

struct import {
    struct header header;
    struct orch_wf_inputs *inputs;
    struct orch_buf text; /* of the record that goes on */
    char *open_key;       /* its key, or NULL */
    struct orch_diags *d;
};

static int bad(struct import *im, const char *why)
{
    orch_diags_add(im->d, SHOWN, 0, 0, NULL, "%s", why);
    return -EINVAL;
}

/* One line into a struct described by fields; -EINVAL with diagnostics. */
static int read_line(struct import *im, const char *line, size_t len, const struct orch_rd_field *fields,
                     void *base)
{
    ORCH_AUTO(orch_json_freep) struct orch_json *doc = NULL;
    size_t before = im->d->n;
    if (orch_json_parse(SHOWN, line, len, &doc, im->d) < 0)
        return -EINVAL;
    struct orch_rd rd = {.doc = doc, .d = im->d};
    (void)orch_rd_object(&rd, orch_json_root(doc), fields, base);
    return im->d->n == before ? 0 : -EINVAL;
}

static int keep_record(struct import *im, struct record *r)
{
    if (im->open_key != NULL && strcmp(im->open_key, r->key) != 0)
        return bad(im, "a text ends in the middle");
    orch_buf_str(&im->text, r->text);
    free(im->open_key);
    im->open_key = NULL;
    if (r->more)
        im->open_key = ORCH_TAKE_PTR(r->key);
    else
        orch_strv_add_take(orch_wf_inputs_at(im->inputs, r->key, true), orch_buf_take(&im->text));
    return 0;
}

static int import_record(struct import *im, const char *line, size_t len)
{
    struct record r = {0};
    int result = read_line(im, line, len, record_fields, &r);
    if (result == 0)
        result = keep_record(im, &r);
    free(r.key);
    free(r.text);
    return result;
}

static int import_lines(struct import *im, const char *text, size_t len)
{
    const char *end = text + len;
    bool first = true;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        if (newline == NULL)
            return bad(im, "the last line is torn");
        size_t n = (size_t)(newline - text);
        int r = first ? read_line(im, text, n, header_fields, &im->header) : import_record(im, text, n);
        if (r < 0)
            return r;
        first = false;
        text = newline + 1;
    }
    if (im->open_key != NULL)
        return bad(im, "a text ends in the middle");
    return count_texts(im->inputs) == im->header.texts ? 0 : bad(im, "not all texts are there");
}

static int import_workflow(struct import *im, struct orch_workflow **ret)
{
    const struct header *h = &im->header;
    if (h->kind == NULL || strcmp(h->kind, "inputs") != 0 || h->dir[0] != '/')
        return bad(im, "these are not the inputs of a run");
    const struct orch_strv *kept = orch_wf_inputs_at(im->inputs, KEY_WORKFLOW, false);
    if (kept == NULL || kept->n != 1)
        return bad(im, "the workflow is missing, or there is more than one");
    ORCH_AUTO_FREE char *text = orch_xstrdup(kept->v[0]);
    struct orch_wf_ctx ctx = {.inputs = im->inputs, .folder = h->dir, .dirfd = -1};
    int r = orch_wf_parse(&ctx, h->file, h->dir, text, strlen(text), ret, im->d);
    im->inputs = ctx.inputs; /* NULL if the workflow has them now */
    orch_wf_ctx_fini(&ctx);
    return r < 0 ? -EINVAL : 0;
}

/* The workflow's text is in w->text; kept twice it would be exported twice. */
static void drop_workflow_text(struct orch_wf_inputs *in)
{
    for (size_t i = 0; i < in->n; i++) {
        if (strcmp(in->v[i].key, KEY_WORKFLOW) != 0)
            continue;
        free(in->v[i].key);
        orch_strv_fini(&in->v[i].texts);
        memmove(&in->v[i], &in->v[i + 1], (in->n - i - 1) * sizeof(*in->v));
        in->n--;
        return;
    }
}

int orch_workflow_import(const char *text, size_t len, struct orch_workflow **ret, struct orch_diags *d)
{
    struct import im = {.inputs = orch_xcalloc(1, sizeof(*im.inputs)), .d = d};
    int r = import_lines(&im, text, len);
    if (r == 0)
        r = import_workflow(&im, ret);
    if (r == 0)
        drop_workflow_text((*ret)->inputs);
    orch_wf_inputs_free(im.inputs);
    orch_buf_fini(&im.text);
    free(im.open_key);
    free(im.header.kind);
    free(im.header.file);
    free(im.header.dir);
    return r;
}
