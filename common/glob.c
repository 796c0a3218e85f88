/*
 * glob.c - path patterns. See glob.h.
 *
 * Two loops of the same shape: components against components (star = a "**" component) and bytes against
 * bytes (star = '*'). On a mismatch only the last star is tried again, one step further: earlier stars need
 * not be, because the last one can absorb all they could. So each pair of pattern and path element is looked
 * at once.
 */
#include "common/glob.h"

#include <string.h>

/* A component or an element of one: bytes [p, end). */
struct span {
    const char *p, *end;
};

static struct span component(const char *s)
{
    return (struct span){s, s + strcspn(s, "/")};
}

static const char *after(struct span c)
{
    return *c.end == '/' ? c.end + 1 : c.end;
}

static bool is_word(struct span c, const char *word)
{
    size_t n = (size_t)(c.end - c.p);

    return n == strlen(word) && memcmp(c.p, word, n) == 0;
}

/* One byte of a class, possibly quoted; *p moves behind it. */
static unsigned char class_byte(const char **p, const char *end)
{
    if (**p == '\\' && *p + 1 < end)
        (*p)++;
    return (unsigned char)*(*p)++;
}

/*
 * Parses the class that starts at the '[' at p. Returns the byte behind its ']' or NULL if it is open; *hit
 * tells whether c belongs to it. A ']' that comes first is an ordinary byte.
 */
static const char *match_class(const char *p, const char *end, unsigned char c, bool *hit)
{
    bool negated = p + 1 < end && p[1] == '!';
    const char *first = p + 1 + negated;
    unsigned char lo, hi;

    *hit = negated;
    for (p = first; p < end && (*p != ']' || p == first);) {
        lo = hi = class_byte(&p, end);
        if (p + 1 < end && p[0] == '-' && p[1] != ']') {
            p++;
            hi = class_byte(&p, end);
        }
        if (c >= lo && c <= hi)
            *hit = !negated;
    }
    return p < end ? p + 1 : NULL;
}

/* Matches c against the pattern element at p (not '*'); returns the byte behind the element, or NULL. */
static const char *match_byte(const char *p, const char *end, unsigned char c)
{
    bool hit;

    if (*p == '?')
        return p + 1;
    if (*p == '[') {
        p = match_class(p, end, c, &hit);
        return hit ? p : NULL;
    }
    if (*p == '\\' && p + 1 < end)
        p++;
    return (unsigned char)*p == c ? p + 1 : NULL;
}

static bool match_component(struct span pat, struct span s)
{
    const char *star = NULL, *retry = NULL, *next;

    while (s.p < s.end) {
        if (pat.p < pat.end && *pat.p == '*') {
            star = ++pat.p;
            retry = s.p;
            continue;
        }
        next = pat.p < pat.end ? match_byte(pat.p, pat.end, (unsigned char)*s.p) : NULL;
        if (next) {
            pat.p = next;
            s.p++;
        } else if (star) {
            pat.p = star;
            s.p = ++retry;
        } else {
            return false;
        }
    }
    while (pat.p < pat.end && *pat.p == '*')
        pat.p++;
    return pat.p == pat.end;
}

bool orch_glob_match(const char *pattern, const char *path)
{
    const char *star = NULL, *retry = NULL;
    struct span pat, comp;

    if (orch_glob_check(pattern))
        return false;
    while (*path) {
        pat = component(pattern);
        comp = component(path);
        if (*pattern && is_word(pat, "**")) {
            pattern = star = after(pat);
            retry = path;
        } else if (*pattern && match_component(pat, comp)) {
            pattern = after(pat);
            path = after(comp);
        } else if (star) {
            pattern = star;
            path = retry = after(component(retry));
        } else {
            return false;
        }
    }
    while (*pattern && is_word(component(pattern), "**"))
        pattern = after(component(pattern));
    return *pattern == '\0';
}

bool orch_glob_match_any(const struct orch_strv *patterns, const char *path)
{
    for (size_t i = 0; i < patterns->n; i++) {
        if (orch_glob_match(patterns->v[i], path))
            return true;
    }
    return false;
}

static const char *check_elements(struct span c)
{
    bool hit;

    while (c.p < c.end) {
        if (c.p[0] == '*' && c.p + 1 < c.end && c.p[1] == '*')
            return "'**' must be a whole path component";
        if (*c.p == '\\' && c.p + 1 == c.end)
            return "a backslash must quote a byte of the same path component";
        if (*c.p == '[')
            c.p = match_class(c.p, c.end, 0, &hit);
        else
            c.p += *c.p == '\\' ? 2 : 1;
        if (!c.p)
            return "a '[' class is not closed in its path component";
    }
    return NULL;
}

static const char *check_component(struct span c)
{
    if (c.p == c.end)
        return "a path component is empty ('//' or a trailing '/')";
    if (is_word(c, ".") || is_word(c, ".."))
        return "'.' and '..' are not allowed as path components";
    if (is_word(c, "**"))
        return NULL;
    return check_elements(c);
}

const char *orch_glob_check(const char *pattern)
{
    const char *why;
    struct span c;

    if (!pattern || !*pattern)
        return "the pattern is empty";
    if (*pattern == '/')
        return "the pattern must be relative";
    for (;; pattern = c.end + 1) {
        c = component(pattern);
        why = check_component(c);
        if (why || !*c.end)
            return why;
    }
}
