/* escape.c - terminal and JSON escaping, base64, strict UTF-8. See escape.h. */
#include "common/escape.h"

#include <string.h>

static bool printable(unsigned char c)
{
    return c >= 0x20 && c <= 0x7e;
}

/* Sequence length and the permitted range of the second byte (Unicode 15, table 3-7), by first byte. */
static const struct utf8_row {
    unsigned char first_lo, first_hi, second_lo, second_hi;
    unsigned char len;
} utf8_rows[] = {
    {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
    {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, /* not the surrogates */
    {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
    {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}, /* nothing above U+10FFFF */
};

static const struct utf8_row *find_row(unsigned char first)
{
    for (size_t i = 0; i < ORCH_NELEM(utf8_rows); i++) {
        if (first >= utf8_rows[i].first_lo && first <= utf8_rows[i].first_hi)
            return &utf8_rows[i];
    }
    return NULL;
}

size_t orch_utf8_next(const unsigned char *p, size_t n, uint32_t *ret_cp)
{
    const struct utf8_row *row;
    uint32_t cp;

    if (n == 0)
        return 0;
    if (p[0] < 0x80) {
        *ret_cp = p[0];
        return 1;
    }
    row = find_row(p[0]);
    if (!row || n < row->len || p[1] < row->second_lo || p[1] > row->second_hi)
        return 0;
    cp = p[0] & (0xffu >> (row->len + 1));
    for (size_t i = 1; i < row->len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        cp = cp << 6 | (p[i] & 0x3fu);
    }
    *ret_cp = cp;
    return row->len;
}

static void add_code_point(struct orch_buf *out, uint32_t cp)
{
    if (cp <= 0xffff) {
        orch_buf_printf(out, "\\u%04x", cp);
        return;
    }
    cp -= 0x10000;
    orch_buf_printf(out, "\\u%04x\\u%04x", 0xd800 + (cp >> 10), 0xdc00 + (cp & 0x3ff));
}

void orch_escape_term(struct orch_buf *out, const void *p, size_t n)
{
    const unsigned char *s = p;
    uint32_t cp;

    for (size_t i = 0, len; i < n; i += len) {
        len = orch_utf8_next(s + i, n - i, &cp);
        if (len == 0) {
            orch_buf_printf(out, "\\x%02x", s[i]);
            len = 1;
        } else if (s[i] == '\\') {
            orch_buf_str(out, "\\\\");
        } else if (len == 1 && printable(s[i])) {
            orch_buf_char(out, (char)s[i]);
        } else {
            add_code_point(out, cp);
        }
    }
}

char *orch_escape_str(const char *s)
{
    struct orch_buf out = {0};

    if (!s)
        return orch_xstrdup("(null)");
    orch_escape_term(&out, s, strlen(s));
    return orch_buf_take(&out);
}

bool orch_escape_json(struct orch_buf *out, const void *p, size_t n)
{
    const unsigned char *s = p;
    bool valid = true;
    uint32_t cp;

    for (size_t i = 0, len; i < n; i += len) {
        len = orch_utf8_next(s + i, n - i, &cp);
        if (len == 0) {
            orch_buf_str(out, "\\ufffd");
            valid = false;
            len = 1;
        } else if (s[i] == '\\' || s[i] == '"') {
            orch_buf_char(out, '\\');
            orch_buf_char(out, (char)s[i]);
        } else if (len == 1 && printable(s[i])) {
            orch_buf_char(out, (char)s[i]);
        } else {
            add_code_point(out, cp);
        }
    }
    return valid;
}

void orch_base64(struct orch_buf *out, const void *p, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *s = p;

    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t v = (uint32_t)s[i] << 16;

        v |= left > 1 ? (uint32_t)s[i + 1] << 8 : 0;
        v |= left > 2 ? (uint32_t)s[i + 2] : 0;
        orch_buf_char(out, digits[v >> 18]);
        orch_buf_char(out, digits[v >> 12 & 63]);
        orch_buf_char(out, left > 1 ? digits[v >> 6 & 63] : '=');
        orch_buf_char(out, left > 2 ? digits[v & 63] : '=');
    }
}
