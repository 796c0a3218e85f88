/* argv.c - see argv.h. */
#include "supervisor/argv.h"

#include <string.h>
#include <strings.h>

#include "common/escape.h"

static const char mask_text[] = "[masked]";

struct scan { /* of one argument */
    const char *s;
    size_t n, at;
    struct orch_buf *out;
};

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_name(char c)
{
    return is_alnum(c) || c == '_' || c == '-' || c == '.';
}

static bool is_token(char c)
{
    return is_name(c) || c == '/' || c == '+' || c == '=' || c == '~';
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static size_t run(const struct scan *x, size_t from, bool (*is)(char))
{
    size_t i = from;

    while (i < x->n && is(x->s[i]))
        i++;
    return i - from;
}

static bool starts(const struct scan *x, size_t from, const char *word)
{
    size_t len = strlen(word);

    return x->n - from >= len && memcmp(x->s + from, word, len) == 0;
}

/* Puts what is between here and `from` as it is, and the mask for what is between that and `to`. */
static bool mask(struct scan *x, size_t from, size_t to)
{
    orch_buf_add(x->out, x->s + x->at, from - x->at);
    if (to > from)
        orch_buf_str(x->out, mask_text);
    x->at = to;
    return true;
}

/* ---- PEM ---- */

static bool pem(struct scan *x)
{
    const char *end;

    if (!starts(x, x->at, "-----BEGIN "))
        return false;
    end = memmem(x->s + x->at, x->n - x->at, "-----END ", 9);
    if (end)
        end = memmem(end + 9, x->n - (size_t)(end + 9 - x->s), "-----", 5);
    return mask(x, x->at, end ? (size_t)(end + 5 - x->s) : x->n);
}

/* ---- a user's name and password in a URL ---- */

#define LONG_NAME 16 /* a name alone of this length is a token */

static bool url(struct scan *x)
{
    size_t from = x->at + 3, to = from, at = 0, colon = 0;

    if (!starts(x, x->at, "://"))
        return false;
    for (; to < x->n && !strchr("/?#\"'<> \t\r\n", x->s[to]); to++) {
        if (x->s[to] == '@')
            at = to;
        if (x->s[to] == ':' && !colon)
            colon = to;
    }
    if (!at)
        return false;
    if (colon && colon < at)
        return mask(x, colon + 1, at);
    return at - from >= LONG_NAME ? mask(x, from, at) : false;
}

/* ---- tokens of known forms ---- */

static const struct {
    const char *prefix;
    size_t least; /* behind it */
} tokens[] = {
    {"ghp_", 16},     {"gho_", 16},     {"ghu_", 16},  {"ghs_", 16},   {"ghr_", 16},    {"github_pat_", 16},
    {"glpat-", 16},   {"gldt-", 16},    {"glrt-", 16}, {"glcbt-", 16}, {"sk-", 16},     {"sk_live_", 10},
    {"sk_test_", 10}, {"rk_live_", 10}, {"xoxb-", 8},  {"xoxp-", 8},   {"xoxa-", 8},    {"xoxr-", 8},
    {"xoxs-", 8},     {"xoxe-", 8},     {"xapp-", 8},  {"AKIA", 12},   {"ASIA", 12},    {"AIza", 30},
    {"ya29.", 16},    {"npm_", 30},     {"pypi-", 16}, {"hf_", 30},    {"dop_v1_", 16}, {"SG.", 30},
    {"eyJ", 16},
};

static bool token(struct scan *x)
{
    if (x->at > 0 && is_alnum(x->s[x->at - 1]))
        return false;
    for (size_t i = 0; i < ORCH_NELEM(tokens); i++) {
        size_t behind = x->at + strlen(tokens[i].prefix), n;

        if (!starts(x, x->at, tokens[i].prefix))
            continue;
        n = run(x, behind, is_token);
        if (n >= tokens[i].least)
            return mask(x, x->at, behind + n);
    }
    return false;
}

/* "Bearer TOKEN", wherever it stands. */
static bool bearer(struct scan *x)
{
    size_t from = x->at + 7, n;

    if (x->n - x->at < 7 || strncasecmp(x->s + x->at, "bearer ", 7) != 0 ||
        (x->at > 0 && is_alnum(x->s[x->at - 1])))
        return false;
    while (from < x->n && is_space(x->s[from]))
        from++;
    n = run(x, from, is_token);
    return n >= 8 && x->s[from] != '-' ? mask(x, from, from + n) : false;
}

/* ---- values with a name ---- */

/* Ends of names. What begins with '_' needs something before it, and '-' or '.' will do in its place. */
static const char *const secret_ends[] = {
    "token",       "secret",    "password",   "passwd",        "passphrase", "passcode",
    "apikey",      "accesskey", "_key",       "_pass",         "_pwd",       "credential",
    "credentials", "auth",      "privatekey", "authorization", "cookie",
};

static bool ends_in(const char *name, size_t n, const char *end)
{
    size_t len = strlen(end);
    const char *at = name + n - len;

    if (n < len + (*end == '_'))
        return false;
    if (*end == '_')
        return (*at == '_' || *at == '-' || *at == '.') && strncasecmp(at + 1, end + 1, len - 1) == 0;
    return strncasecmp(at, end, len) == 0;
}

static bool is_secret_name(const char *name, size_t n)
{
    while (n > 0 && *name == '-') {
        name++;
        n--;
    }
    for (size_t i = 0; i < ORCH_NELEM(secret_ends); i++)
        if (ends_in(name, n, secret_ends[i]))
            return true;
    return false;
}

/* The end of a word of a shell: quotes and backslashes hold it together. */
static size_t word_end(const struct scan *x, size_t i)
{
    char quote = 0;

    for (; i < x->n && (quote || !is_space(x->s[i])); i++) {
        if (x->s[i] == '\\' && quote != '\'' && i + 1 < x->n)
            i++;
        else if (quote ? x->s[i] == quote : x->s[i] == '"' || x->s[i] == '\'')
            quote = quote ? 0 : x->s[i];
    }
    return i;
}

/* The value of a header, or of a member of JSON or YAML. */
static size_t field_end(const struct scan *x, size_t i)
{
    char quote = i < x->n && (x->s[i] == '"' || x->s[i] == '\'') ? x->s[i++] : 0;

    while (i < x->n && x->s[i] != '\n' && x->s[i] != '\r' &&
           (quote ? x->s[i] != quote : x->s[i] != '"' && x->s[i] != '\''))
        i += x->s[i] == '\\' && i + 1 < x->n ? 2 : 1;
    return i < x->n && quote && x->s[i] == quote ? i + 1 : i;
}

static size_t skip_spaces(const struct scan *x, size_t i)
{
    while (i < x->n && is_space(x->s[i]))
        i++;
    return i;
}

/* Does what is between end in the name of an option whose value comes behind it? */
static bool ends_in_option(const struct scan *x, size_t from, size_t end)
{
    size_t i = end;

    while (i > from && is_name(x->s[i - 1]))
        i--;
    while (i < end && x->s[i] != '-')
        i++;
    return is_secret_name(x->s + i, end - i);
}

/* A value that is a word of a shell. What it covers may have been an option: its value is then covered too.
 */
static size_t value_end(const struct scan *x, size_t from)
{
    size_t end = word_end(x, from);

    while (end < x->n && ends_in_option(x, from, end))
        end = word_end(x, skip_spaces(x, end));
    return end;
}

static bool named(struct scan *x)
{
    size_t n = run(x, x->at, is_name), from = x->at + n;
    bool option = n > 0 && x->s[x->at] == '-', whole = x->at == 0;

    if (n == 0 || (x->at > 0 && is_name(x->s[x->at - 1])) || !is_secret_name(x->s + x->at, n))
        return false;
    if (from < x->n && (x->s[from] == '"' || x->s[from] == '\'')) /* the name of a member */
        from++;
    if (from == x->n)
        return false;
    if (x->s[from] == '=') /* an argument of this alone has no other end than its own */
        return mask(x, from + 1, whole ? x->n : value_end(x, from + 1));
    if (x->s[from] == ':') {
        from = skip_spaces(x, from + 1);
        return mask(x, from, field_end(x, from));
    }
    if (!option || !is_space(x->s[from]))
        return false;
    from = skip_spaces(x, from);
    return mask(x, from, value_end(x, from));
}

/* ---- all of it ---- */

void orch_secrets_mask(const char *s, size_t n, struct orch_buf *out)
{
    static bool (*const matchers[])(struct scan *) = {pem, url, token, bearer, named};
    struct scan x = {.s = s, .n = n, .out = out};

    while (x.at < n) {
        bool found = false;

        for (size_t i = 0; i < ORCH_NELEM(matchers) && !found; i++)
            found = matchers[i](&x);
        if (!found)
            orch_buf_char(out, s[x.at++]);
    }
}

/* "-u NAME:PASSWORD" of curl and others. */
static bool is_user_option(const char *s)
{
    return strcmp(s, "-u") == 0 || strcmp(s, "--user") == 0 || strcmp(s, "--proxy-user") == 0;
}

static void mask_behind(const char *option, const char *s, struct orch_buf *out)
{
    const char *colon = strchr(s, ':');

    if (option && *option == '-' && is_secret_name(option, strlen(option)) && !strchr(option, '=')) {
        orch_buf_str(out, mask_text);
    } else if (option && is_user_option(option) && colon) {
        orch_buf_add(out, s, (size_t)(colon + 1 - s));
        orch_buf_str(out, mask_text);
    } else {
        orch_secrets_mask(s, strlen(s), out);
    }
}

/* At most max bytes, and no half of a character. */
static size_t cut_length(const char *s, size_t n, size_t max)
{
    size_t i = 0;

    if (n <= max)
        return n;
    while (i < max) {
        uint32_t cp;
        size_t len = orch_utf8_next((const unsigned char *)s + i, n - i, &cp);

        len = len ? len : 1;
        if (i + len > max)
            break;
        i += len;
    }
    return i;
}

void orch_argv_mask(const char *const *argv, struct orch_strv *ret, bool *ret_more)
{
    size_t left = ORCH_ARGV_ALL_BYTES;

    for (size_t i = 0; argv[i]; i++) {
        ORCH_AUTO_BUF struct orch_buf b = {0};
        size_t n, max = left < ORCH_ARGV_ARG_BYTES ? left : ORCH_ARGV_ARG_BYTES;

        mask_behind(i > 0 ? argv[i - 1] : NULL, argv[i], &b);
        n = cut_length(b.data ? b.data : "", b.len, max);
        *ret_more = *ret_more || n < b.len;
        if (n < b.len && n == 0) /* no room for any of it */
            return;
        orch_strv_add_take(ret, orch_xstrndup(b.data ? b.data : "", n));
        left -= n;
    }
}
