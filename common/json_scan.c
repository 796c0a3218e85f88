/* json_scan.c - the strict pre-scan for JSON documents. See json_scan.h. */
#include "common/json_scan.h"

#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/json_lex.h"

#define MAX_DUPLICATES 50 /* reported per document */

enum want {
    WANT_VALUE,
    WANT_ELEMENT_OR_END, /* behind '[' */
    WANT_MEMBER_OR_END,  /* behind '{' */
    WANT_MEMBER,         /* behind ',' in an object */
    WANT_SEPARATOR,      /* behind a value */
    WANT_NOTHING,        /* behind the document */
};

struct scanner {
    struct orch_json_lex lex;
    enum want want;
    struct orch_json_scan_node key; /* key fields of the member whose value comes next */
    struct {
        uint32_t node, count;
    } stack[ORCH_JSON_MAX_DEPTH];
    size_t depth;
    struct orch_json_scan *out;
    const char *file;
    struct orch_diags *diags;
};

/* Records the value that starts at the current byte. */
static void add_node(struct scanner *s, int type)
{
    struct orch_json_scan *out = s->out;
    struct orch_json_scan_node node = s->key;

    node.line = s->lex.line;
    node.col = orch_json_lex_column(&s->lex);
    node.type = (char)(type == '-' || (type >= '0' && type <= '9') ? '0' : type);
    if (s->depth) {
        node.parent = s->stack[s->depth - 1].node;
        node.index = s->stack[s->depth - 1].count++;
    }
    if (out->n == out->cap) {
        out->cap = out->cap ? out->cap * 2 : 64;
        out->v = orch_xreallocarray(out->v, out->cap, sizeof(*out->v));
    }
    out->v[out->n++] = node;
    s->key = (struct orch_json_scan_node){0};
    s->want = s->depth ? WANT_SEPARATOR : WANT_NOTHING;
}

static int too_many(struct scanner *s)
{
    (void)orch_json_lex_fail(&s->lex, "more than %d values", ORCH_JSON_MAX_VALUES);
    return -E2BIG;
}

static int open_container(struct scanner *s, int bracket)
{
    if (s->out->n == ORCH_JSON_MAX_VALUES)
        return too_many(s);
    if (s->depth == ORCH_JSON_MAX_DEPTH) {
        (void)orch_json_lex_fail(&s->lex, "nested deeper than %d levels", ORCH_JSON_MAX_DEPTH);
        return -E2BIG;
    }
    add_node(s, bracket);
    s->stack[s->depth].node = (uint32_t)(s->out->n - 1);
    s->stack[s->depth++].count = 0;
    s->want = bracket == '{' ? WANT_MEMBER_OR_END : WANT_ELEMENT_OR_END;
    s->lex.pos++;
    return 0;
}

static int scan_scalar(struct scanner *s, int c)
{
    size_t keep = s->out->keys.len;
    int r;

    switch (c) {
    case '"':
        r = orch_json_lex_string(&s->lex);
        s->out->keys.len = keep; /* decoded only to be checked */
        return r;
    case 't':
        return orch_json_lex_word(&s->lex, "true");
    case 'f':
        return orch_json_lex_word(&s->lex, "false");
    case 'n':
        return orch_json_lex_word(&s->lex, "null");
    default:
        return orch_json_lex_number(&s->lex);
    }
}

static int scan_value(struct scanner *s)
{
    int c = orch_json_lex_peek(&s->lex);

    if (c == '{' || c == '[')
        return open_container(s, c);
    if (c <= 0 || !strchr("\"tfn-0123456789", c))
        return orch_json_lex_unexpected(&s->lex, "a value");
    if (s->out->n == ORCH_JSON_MAX_VALUES)
        return too_many(s);
    add_node(s, c);
    return scan_scalar(s, c);
}

static int close_container(struct scanner *s)
{
    s->lex.pos++;
    s->depth--;
    s->want = s->depth ? WANT_SEPARATOR : WANT_NOTHING;
    return 0;
}

/* The key of a member and its colon. */
static int scan_key(struct scanner *s)
{
    struct orch_buf *keys = &s->out->keys;
    int r;

    if (orch_json_lex_peek(&s->lex) != '"')
        return orch_json_lex_unexpected(&s->lex, s->want == WANT_MEMBER ? "a key in double quotes"
                                                                        : "a key in double quotes or '}'");
    s->key.key_line = s->lex.line;
    s->key.key_col = orch_json_lex_column(&s->lex);
    s->key.key_off = (uint32_t)keys->len;
    r = orch_json_lex_string(&s->lex);
    if (r < 0)
        return r;
    s->key.key_len = (uint32_t)(keys->len - s->key.key_off);
    orch_buf_char(keys, '\0');
    orch_json_lex_space(&s->lex);
    if (orch_json_lex_peek(&s->lex) != ':')
        return orch_json_lex_unexpected(&s->lex, "':' behind the key");
    s->lex.pos++;
    s->want = WANT_VALUE;
    return 0;
}

static int scan_separator(struct scanner *s)
{
    bool object = s->out->v[s->stack[s->depth - 1].node].type == '{';
    int c = orch_json_lex_peek(&s->lex);

    if (c == (object ? '}' : ']'))
        return close_container(s);
    if (c != ',')
        return orch_json_lex_unexpected(&s->lex, object ? "',' or '}'" : "',' or ']'");
    s->lex.pos++;
    s->want = object ? WANT_MEMBER : WANT_VALUE;
    return 0;
}

static int step(struct scanner *s)
{
    switch (s->want) {
    case WANT_VALUE:
        return scan_value(s);
    case WANT_ELEMENT_OR_END:
        return orch_json_lex_peek(&s->lex) == ']' ? close_container(s) : scan_value(s);
    case WANT_MEMBER_OR_END:
        return orch_json_lex_peek(&s->lex) == '}' ? close_container(s) : scan_key(s);
    case WANT_MEMBER:
        return scan_key(s);
    case WANT_SEPARATOR:
        return scan_separator(s);
    case WANT_NOTHING:
    default:
        return orch_json_lex_unexpected(&s->lex, "nothing behind the document");
    }
}

static int scan_document(struct scanner *s)
{
    int r = 0;

    if (s->lex.len >= 3 && memcmp(s->lex.text, "\xef\xbb\xbf", 3) == 0)
        return orch_json_lex_fail(&s->lex, "the document starts with a byte order mark");
    orch_json_lex_space(&s->lex);
    if (orch_json_lex_peek(&s->lex) < 0)
        return orch_json_lex_fail(&s->lex, "the document is empty");
    while (r == 0 && !(s->want == WANT_NOTHING && orch_json_lex_peek(&s->lex) < 0)) {
        r = step(s);
        if (r == 0)
            orch_json_lex_space(&s->lex);
    }
    return r;
}

static const char *key_of(const struct orch_json_scan *scan, uint32_t node)
{
    return scan->keys.data + scan->v[node].key_off;
}

/* By object, then key, then place. */
static int compare_members(const void *pa, const void *pb, void *context)
{
    const struct orch_json_scan *scan = context;
    uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
    uint32_t pa_node = scan->v[a].parent, pb_node = scan->v[b].parent;
    int r = (pa_node > pb_node) - (pa_node < pb_node);

    if (r == 0)
        r = strcmp(key_of(scan, a), key_of(scan, b));
    return r ? r : (a > b) - (a < b);
}

static void report_duplicate(struct scanner *s, uint32_t first, uint32_t again)
{
    const struct orch_json_scan_node *old = &s->out->v[first], *node = &s->out->v[again];
    ORCH_AUTO_FREE char *pointer = orch_json_scan_pointer(s->out, again);

    orch_diags_add(s->diags, s->file, node->key_line, node->key_col, pointer,
                   "duplicate key '%s' (first at line %u, column %u)", key_of(s->out, again), old->key_line,
                   old->key_col);
}

/* Sorting once keeps this far from quadratic, whatever the number of members. */
static int check_duplicates(struct scanner *s)
{
    struct orch_json_scan *scan = s->out;
    ORCH_AUTO_FREE uint32_t *members = orch_xcalloc(scan->n, sizeof(*members));
    size_t n = 0, found = 0, first = 0;

    for (uint32_t i = 0; i < scan->n; i++) {
        if (scan->v[i].key_line)
            members[n++] = i;
    }
    qsort_r(members, n, sizeof(*members), compare_members, scan);
    for (size_t i = 1; i < n && found < MAX_DUPLICATES; i++) {
        if (scan->v[members[i]].parent != scan->v[members[first]].parent ||
            strcmp(key_of(scan, members[i]), key_of(scan, members[first])) != 0) {
            first = i;
            continue;
        }
        report_duplicate(s, members[first], members[i]);
        found++;
    }
    return found ? -EINVAL : 0;
}

/* With the pointer of the container around the place. */
static void report_failure(struct scanner *s)
{
    ORCH_AUTO_FREE char *pointer = NULL;

    if (s->depth)
        pointer = orch_json_scan_pointer(s->out, s->stack[s->depth - 1].node);
    orch_diags_add(s->diags, s->file, s->lex.line, orch_json_lex_column(&s->lex), pointer, "%s", s->lex.msg);
}

int orch_json_scan_run(const char *file, const char *text, size_t len, struct orch_json_scan *out,
                       struct orch_diags *d)
{
    struct scanner s = {
        .lex = {.text = (const unsigned char *)text, .len = len, .line = 1, .decoded = &out->keys},
        .out = out,
        .file = file,
        .diags = d};
    int r = scan_document(&s);

    if (r < 0)
        report_failure(&s);
    return check_duplicates(&s) < 0 && r == 0 ? -EINVAL : r; /* duplicates also in front of a syntax error */
}

static void add_pointer_token(struct orch_buf *out, const struct orch_json_scan *scan, uint32_t node)
{
    orch_buf_char(out, '/');
    if (!scan->v[node].key_line) {
        orch_buf_printf(out, "%u", scan->v[node].index);
        return;
    }
    for (const char *k = key_of(scan, node); *k; k++) {
        if (*k == '~' || *k == '/')
            orch_buf_str(out, *k == '~' ? "~0" : "~1");
        else
            orch_buf_char(out, *k);
    }
}

char *orch_json_scan_pointer(const struct orch_json_scan *scan, size_t node)
{
    uint32_t chain[ORCH_JSON_MAX_DEPTH + 1];
    struct orch_buf out = {0};
    size_t n = 0;

    for (uint32_t i = (uint32_t)node; i != 0; i = scan->v[i].parent)
        chain[n++] = i;
    while (n)
        add_pointer_token(&out, scan, chain[--n]);
    return orch_buf_take(&out);
}

void orch_json_scan_fini(struct orch_json_scan *scan)
{
    free(scan->v);
    orch_buf_fini(&scan->keys);
    *scan = (struct orch_json_scan){0};
}
