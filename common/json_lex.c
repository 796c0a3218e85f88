/* json_lex.c - tokens of strict JSON. See json_lex.h. */
#include "common/json_lex.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/escape.h"

#define MAX_INTEGER 9007199254740991.0 /* 2^53 - 1: doubles are exact up to here */
#define MAX_NUMBER 63                  /* the parser cuts longer literals */

uint32_t orch_json_lex_column(const struct orch_json_lex *s)
{
    return (uint32_t)(s->pos - s->line_start + 1);
}

int orch_json_lex_peek(const struct orch_json_lex *s)
{
    return s->pos < s->len ? s->text[s->pos] : -1;
}

int orch_json_lex_fail(struct orch_json_lex *s, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(s->msg, sizeof(s->msg), fmt, ap);
    va_end(ap);
    return -EINVAL;
}

int orch_json_lex_unexpected(struct orch_json_lex *s, const char *expected)
{
    int c = orch_json_lex_peek(s);

    if (c < 0)
        return orch_json_lex_fail(s, "expected %s, found the end of the document", expected);
    if (c > 0x20 && c < 0x7f)
        return orch_json_lex_fail(s, "expected %s, found '%c'", expected, c);
    return orch_json_lex_fail(s, "expected %s, found the byte 0x%02x", expected, (unsigned)c);
}

void orch_json_lex_space(struct orch_json_lex *s)
{
    for (int c = orch_json_lex_peek(s); c == ' ' || c == '\t' || c == '\r' || c == '\n';
         c = orch_json_lex_peek(s)) {
        s->pos++;
        if (c == '\n') {
            s->line++;
            s->line_start = s->pos;
        }
    }
}

static void add_utf8(struct orch_buf *out, uint32_t cp)
{
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    unsigned n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;

    orch_buf_char(out, (char)(n == 1 ? cp : lead[n] | cp >> 6 * (n - 1)));
    for (unsigned i = n - 1; i > 0; i--)
        orch_buf_char(out, (char)(0x80 | (cp >> 6 * (i - 1) & 0x3f)));
}

/* Value of a hex digit, -1 if it is none. */
static int hex_digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits behind "\u" at the current byte. */
static int scan_hex4(struct orch_json_lex *s, uint32_t *ret)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(orch_json_lex_peek(s));

        if (digit < 0)
            return orch_json_lex_unexpected(s, "four hexadecimal digits behind '\\u'");
        v = v << 4 | (uint32_t)digit;
        s->pos++;
    }
    *ret = v;
    return 0;
}

/* The second half of a surrogate pair; `high` is the first. */
static int scan_low_surrogate(struct orch_json_lex *s, uint32_t high, uint32_t *ret_cp)
{
    uint32_t low;
    int r;

    if (s->len - s->pos < 2 || s->text[s->pos] != '\\' || s->text[s->pos + 1] != 'u')
        return orch_json_lex_fail(s, "lone surrogate \\u%04x", high);
    s->pos += 2;
    r = scan_hex4(s, &low);
    if (r < 0)
        return r;
    if (low < 0xdc00 || low > 0xdfff)
        return orch_json_lex_fail(s, "lone surrogate \\u%04x", high);
    *ret_cp = 0x10000 + ((high - 0xd800) << 10 | (low - 0xdc00));
    return 0;
}

static int scan_unicode(struct orch_json_lex *s)
{
    uint32_t cp = 0;
    int r = scan_hex4(s, &cp);

    if (r < 0)
        return r;
    if (cp == 0)
        return orch_json_lex_fail(s, "\\u0000 is not allowed in strings");
    if (cp >= 0xdc00 && cp <= 0xdfff)
        return orch_json_lex_fail(s, "lone surrogate \\u%04x", cp);
    if (cp >= 0xd800 && cp <= 0xdbff)
        r = scan_low_surrogate(s, cp, &cp);
    if (r == 0)
        add_utf8(s->decoded, cp);
    return r;
}

/* Behind a backslash. */
static int scan_escape(struct orch_json_lex *s)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    int c = orch_json_lex_peek(s);
    const char *at = c > 0 ? strchr(names, c) : NULL;

    if (!at && c != 'u')
        return orch_json_lex_unexpected(s, "an escape (one of \"\\/bfnrtu) behind the backslash");
    s->pos++;
    if (!at)
        return scan_unicode(s);
    orch_buf_char(s->decoded, values[at - names]);
    return 0;
}

static int scan_plain(struct orch_json_lex *s)
{
    int c = orch_json_lex_peek(s);
    uint32_t cp;
    size_t n;

    if (c < 0)
        return orch_json_lex_fail(s, "a string is not closed at the end of the document");
    if (c < 0x20)
        return orch_json_lex_fail(s, "the control byte 0x%02x must be written as an escape in a string",
                                  (unsigned)c);
    n = orch_utf8_next(s->text + s->pos, s->len - s->pos, &cp);
    if (n == 0)
        return orch_json_lex_fail(s, "a string holds the byte 0x%02x, which is not valid UTF-8", (unsigned)c);
    orch_buf_add(s->decoded, s->text + s->pos, n);
    s->pos += n;
    return 0;
}

int orch_json_lex_string(struct orch_json_lex *s)
{
    int r = 0;

    s->pos++;
    while (r == 0 && orch_json_lex_peek(s) != '"') {
        if (orch_json_lex_peek(s) != '\\') {
            r = scan_plain(s);
        } else {
            s->pos++;
            r = scan_escape(s);
        }
    }
    if (r == 0)
        s->pos++; /* the closing quote */
    return r;
}

/* At least one digit. */
static int scan_digits(struct orch_json_lex *s)
{
    if (orch_json_lex_peek(s) < '0' || orch_json_lex_peek(s) > '9')
        return orch_json_lex_unexpected(s, "a digit");
    while (orch_json_lex_peek(s) >= '0' && orch_json_lex_peek(s) <= '9')
        s->pos++;
    return 0;
}

static int scan_integer_part(struct orch_json_lex *s)
{
    if (orch_json_lex_peek(s) == '-')
        s->pos++;
    if (orch_json_lex_peek(s) != '0')
        return scan_digits(s);
    s->pos++;
    if (orch_json_lex_peek(s) >= '0' && orch_json_lex_peek(s) <= '9')
        return orch_json_lex_fail(s, "a number must not start with 0");
    return 0;
}

static int scan_fraction_and_exponent(struct orch_json_lex *s)
{
    int r = 0;

    if (orch_json_lex_peek(s) == '.') {
        s->pos++;
        r = scan_digits(s);
    }
    if (r == 0 && (orch_json_lex_peek(s) == 'e' || orch_json_lex_peek(s) == 'E')) {
        s->pos++;
        if (orch_json_lex_peek(s) == '+' || orch_json_lex_peek(s) == '-')
            s->pos++;
        r = scan_digits(s);
    }
    return r;
}

static int check_number(struct orch_json_lex *s, size_t start, bool integer)
{
    char literal[MAX_NUMBER + 1];
    size_t n = s->pos - start;
    double v;

    s->pos = start; /* where a diagnostic belongs */
    if (n > MAX_NUMBER)
        return orch_json_lex_fail(s, "a number has more than %d characters", MAX_NUMBER);
    memcpy(literal, s->text + start, n);
    literal[n] = '\0';
    v = strtod(literal, NULL);
    if (!isfinite(v))
        return orch_json_lex_fail(s, "the number %s is too large", literal);
    if (integer && fabs(v) > MAX_INTEGER)
        return orch_json_lex_fail(s, "the integer %s is beyond 2^53-1; write it as a string", literal);
    s->pos = start + n;
    return 0;
}

int orch_json_lex_number(struct orch_json_lex *s)
{
    size_t start = s->pos, end;
    int r = scan_integer_part(s);

    end = s->pos;
    if (r == 0)
        r = scan_fraction_and_exponent(s);
    return r < 0 ? r : check_number(s, start, end == s->pos);
}

int orch_json_lex_word(struct orch_json_lex *s, const char *word)
{
    size_t n = strlen(word);

    if (s->len - s->pos < n || memcmp(s->text + s->pos, word, n) != 0)
        return orch_json_lex_unexpected(s, "a value (true, false and null are the only words)");
    s->pos += n;
    return 0;
}
