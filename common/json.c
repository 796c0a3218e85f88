/* json.c - strict documents: pre-scan, tree, positions, key checks. See json.h. */
#include "common/json.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/escape.h"
#include "common/io.h"
#include "common/json_scan.h"

#define MAX_UNKNOWN 50     /* keys reported per object */
#define MAX_CODE_POINTS 32 /* listed per key */
#define MAX_NAME 64        /* longer names have no near name */

struct bound_node {
    const cJSON *node;
    uint32_t index; /* in scan.v */
};

struct orch_json {
    char *file, *text;
    size_t len;
    cJSON *root;
    struct orch_json_scan scan;
    struct bound_node *bound; /* scan.n entries, sorted by address */
};

static int compare_bound(const void *pa, const void *pb)
{
    uintptr_t a = (uintptr_t)((const struct bound_node *)pa)->node;
    uintptr_t b = (uintptr_t)((const struct bound_node *)pb)->node;

    return (a > b) - (a < b);
}

/* Whether the parser understood the value as the pre-scan did. */
static bool agrees(const struct orch_json_scan *scan, uint32_t index, const cJSON *node)
{
    const struct orch_json_scan_node *seen = &scan->v[index];

    if (seen->key_line && (!node->string || strcmp(node->string, scan->keys.data + seen->key_off) != 0))
        return false;
    switch (seen->type) {
    case '{':
        return cJSON_IsObject(node);
    case '[':
        return cJSON_IsArray(node);
    case '"':
        return cJSON_IsString(node);
    case '0':
        return cJSON_IsNumber(node) && isfinite(node->valuedouble);
    case 't':
        return cJSON_IsTrue(node);
    case 'f':
        return cJSON_IsFalse(node);
    case 'n':
        return cJSON_IsNull(node);
    default:
        return false;
    }
}

/*
 * Walks the tree in pre-order beside the scan and pairs their nodes. False if they differ: then the two
 * parsers disagree about the document, and nobody can say what it means.
 */
static bool bind_nodes(struct orch_json *doc)
{
    const cJSON *stack[ORCH_JSON_MAX_DEPTH], *node = doc->root;
    size_t depth = 0, n = 0;

    doc->bound = orch_xcalloc(doc->scan.n, sizeof(*doc->bound));
    while (node) {
        if (n == doc->scan.n || !agrees(&doc->scan, (uint32_t)n, node))
            return false;
        doc->bound[n] = (struct bound_node){.node = node, .index = (uint32_t)n};
        n++;
        if (node->child && depth == ORCH_JSON_MAX_DEPTH)
            return false;
        if (node->child) {
            stack[depth++] = node;
            node = node->child;
            continue;
        }
        while (!node->next && depth)
            node = stack[--depth];
        node = node->next;
    }
    qsort(doc->bound, n, sizeof(*doc->bound), compare_bound);
    return n == doc->scan.n;
}

static int fill(struct orch_json *doc, struct orch_diags *d)
{
    int r;

    if (doc->len > ORCH_JSON_MAX_BYTES) {
        orch_diags_add(d, doc->file, 0, 0, NULL, "the document has %zu bytes, more than %u", doc->len,
                       ORCH_JSON_MAX_BYTES);
        return -E2BIG;
    }
    r = orch_json_scan_run(doc->file, doc->text, doc->len, &doc->scan, d);
    if (r < 0)
        return r;
    doc->root = cJSON_ParseWithLengthOpts(doc->text, doc->len + 1, NULL, true);
    if (doc->root && bind_nodes(doc))
        return 0;
    orch_diags_add(d, doc->file, 0, 0, NULL, "the document cannot be parsed unambiguously");
    return -EINVAL;
}

int orch_json_parse(const char *file, const char *text, size_t len, struct orch_json **ret,
                    struct orch_diags *d)
{
    ORCH_AUTO(orch_json_freep) struct orch_json *doc = orch_xcalloc(1, sizeof(*doc));
    /* one byte more than allowed is enough to be refused */
    size_t copied = len > ORCH_JSON_MAX_BYTES ? 0 : len;
    int r;

    doc->file = orch_xstrdup(file ? file : "-");
    doc->text = orch_xcalloc(copied + 1, 1);
    if (copied)
        memcpy(doc->text, text, copied);
    doc->len = len;
    r = fill(doc, d);
    if (r == 0)
        *ret = ORCH_TAKE_PTR(doc);
    return r;
}

/* O_NONBLOCK: opening a FIFO must fail below instead of waiting for a writer. */
static int read_regular(const char *path, struct orch_buf *out, const char **ret_why)
{
    ORCH_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    int r;

    if (fd < 0 || fstat(fd, &st) < 0) {
        r = -errno;
        *ret_why = "cannot open the file";
        return r;
    }
    *ret_why = "not a regular file";
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    *ret_why = "cannot read the file";
    r = orch_read_all(fd, ORCH_JSON_MAX_BYTES, out);
    return r == -EFBIG ? -E2BIG : r;
}

int orch_json_load(const char *path, struct orch_json **ret, struct orch_diags *d)
{
    ORCH_AUTO_BUF struct orch_buf text = {0};
    const char *why = NULL;
    char errtext[128];
    int r = read_regular(path, &text, &why);

    orch_diags_note_errno(d, -r);
    if (r == -E2BIG)
        orch_diags_add(d, path, 0, 0, NULL, "the document has more than %u bytes", ORCH_JSON_MAX_BYTES);
    else if (r < 0)
        orch_diags_add(d, path, 0, 0, NULL, "%s: %s", why, strerror_r(-r, errtext, sizeof(errtext)));
    return r < 0 ? r : orch_json_parse(path, text.data, text.len, ret, d);
}

void orch_json_free(struct orch_json *doc)
{
    if (!doc)
        return;
    cJSON_Delete(doc->root);
    orch_json_scan_fini(&doc->scan);
    free(doc->bound);
    free(doc->text);
    free(doc->file);
    free(doc);
}

void orch_json_freep(struct orch_json **doc)
{
    orch_json_free(*doc);
    *doc = NULL;
}

const cJSON *orch_json_root(const struct orch_json *doc)
{
    return doc->root;
}

const char *orch_json_file(const struct orch_json *doc)
{
    return doc->file;
}

const char *orch_json_text(const struct orch_json *doc, size_t *ret_len)
{
    if (ret_len)
        *ret_len = doc->len;
    return doc->text;
}

/* NULL for a node of another document. */
static const struct bound_node *find(const struct orch_json *doc, const cJSON *node)
{
    struct bound_node key = {.node = node};

    return bsearch(&key, doc->bound, doc->scan.n, sizeof(key), compare_bound);
}

void orch_json_pos(const struct orch_json *doc, const cJSON *node, unsigned *ret_line, unsigned *ret_col)
{
    const struct bound_node *b = find(doc, node);

    *ret_line = b ? doc->scan.v[b->index].line : 0;
    *ret_col = b ? doc->scan.v[b->index].col : 0;
}

char *orch_json_pointer(const struct orch_json *doc, const cJSON *node)
{
    const struct bound_node *b = find(doc, node);

    return b ? orch_json_scan_pointer(&doc->scan, b->index) : orch_xstrdup("");
}

void orch_json_error(const struct orch_json *doc, const cJSON *node, struct orch_diags *d, const char *fmt,
                     ...)
{
    ORCH_AUTO_FREE char *pointer = orch_json_pointer(doc, node);
    ORCH_AUTO_FREE char *msg = NULL;
    unsigned line, col;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&msg, fmt, ap) < 0)
        msg = orch_xstrdup("(no message)");
    va_end(ap);
    orch_json_pos(doc, node, &line, &col);
    orch_diags_add(d, doc->file, line, col, pointer, "%s", msg);
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

/* Levenshtein distance of names up to MAX_NAME bytes. */
static size_t distance(const char *a, size_t na, const char *b, size_t nb)
{
    size_t row[MAX_NAME + 1];

    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t up = row[j];

            row[j] = min3(up + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = up;
        }
    }
    return row[nb];
}

const char *orch_near_name(const char *s, const char *const *names)
{
    const char *best = NULL;
    size_t n = strlen(s), best_distance = 3;

    for (; n <= MAX_NAME && *names; names++) {
        size_t m = strlen(*names), dist;

        if (m > MAX_NAME || (m > n ? m - n : n - m) >= best_distance)
            continue;
        dist = distance(s, n, *names, m);
        if (dist < best_distance && 2 * dist < n) {
            best = *names;
            best_distance = dist;
        }
    }
    return best;
}

static bool in_list(const char *s, const char *const *names)
{
    for (; *names; names++) {
        if (strcmp(s, *names) == 0)
            return true;
    }
    return false;
}

/* Letters of other scripts look like ASCII ones; only their numbers tell them apart. */
static void add_code_points(struct orch_buf *out, const char *key)
{
    const unsigned char *s = (const unsigned char *)key;
    size_t left = strlen(key), shown = 0, n;
    uint32_t cp;

    for (n = 0; n < left && s[n] < 0x80; n++)
        ;
    if (n == left)
        return;
    orch_buf_str(out, " (code points");
    while ((n = orch_utf8_next(s, left, &cp)) > 0 && shown++ < MAX_CODE_POINTS) {
        orch_buf_printf(out, " U+%04X", cp);
        s += n;
        left -= n;
    }
    orch_buf_str(out, left ? " ...)" : ")");
}

static void report_unknown(const struct orch_json *doc, const cJSON *member, const char *const *keys,
                           struct orch_diags *d)
{
    const struct bound_node *b = find(doc, member);
    const struct orch_json_scan_node *node = b ? &doc->scan.v[b->index] : NULL;
    ORCH_AUTO_FREE char *pointer = orch_json_pointer(doc, member);
    ORCH_AUTO_BUF struct orch_buf msg = {0};
    const char *near = orch_near_name(member->string, keys);

    orch_buf_printf(&msg, "unknown key '%s'", member->string);
    add_code_points(&msg, member->string);
    if (near)
        orch_buf_printf(&msg, " (did you mean '%s'?)", near);
    orch_diags_add(d, doc->file, node ? node->key_line : 0, node ? node->key_col : 0, pointer, "%s",
                   msg.data);
}

int orch_json_check_keys(const struct orch_json *doc, const cJSON *node, const char *const *keys,
                         struct orch_diags *d)
{
    int unknown = 0;

    if (!cJSON_IsObject(node)) {
        orch_json_error(doc, node, d, "expected an object");
        return 1;
    }
    for (const cJSON *member = node->child; member; member = member->next) {
        if (in_list(member->string, keys))
            continue;
        if (unknown++ < MAX_UNKNOWN)
            report_unknown(doc, member, keys, d);
    }
    if (unknown > MAX_UNKNOWN)
        orch_json_error(doc, node, d, "%d more unknown keys", unknown - MAX_UNKNOWN);
    return unknown;
}
