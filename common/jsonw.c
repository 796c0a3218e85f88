/* jsonw.c - a writer for ASCII JSON. See jsonw.h. */
#include "common/jsonw.h"

#include <inttypes.h>
#include <string.h>

#include "common/escape.h"

/* Quotes n bytes; returns false if they were not valid UTF-8. */
static bool quote(struct orch_buf *out, const void *p, size_t n)
{
    bool valid;

    orch_buf_char(out, '"');
    valid = orch_escape_json(out, p, n);
    orch_buf_char(out, '"');
    return valid;
}

/* The comma that is due, and the key. */
static void begin(struct orch_jw *w, const char *key)
{
    if (w->comma)
        orch_buf_char(w->out, ',');
    if (key) {
        (void)quote(w->out, key, strlen(key));
        orch_buf_char(w->out, ':');
    }
    w->comma = true;
}

void orch_jw_obj(struct orch_jw *w, const char *key)
{
    begin(w, key);
    orch_buf_char(w->out, '{');
    w->comma = false;
}

void orch_jw_arr(struct orch_jw *w, const char *key)
{
    begin(w, key);
    orch_buf_char(w->out, '[');
    w->comma = false;
}

void orch_jw_end(struct orch_jw *w, char bracket)
{
    orch_buf_char(w->out, bracket);
    w->comma = true;
}

void orch_jw_str(struct orch_jw *w, const char *key, const char *s)
{
    if (!s) {
        orch_jw_null(w, key);
        return;
    }
    begin(w, key);
    (void)quote(w->out, s, strlen(s));
}

void orch_jw_bytes(struct orch_jw *w, const char *key, const void *p, size_t n)
{
    ORCH_AUTO_FREE char *twin = NULL;

    begin(w, key);
    if (quote(w->out, p, n) || !key)
        return;
    twin = orch_xasprintf("%s_b64", key);
    begin(w, twin);
    orch_buf_char(w->out, '"');
    orch_base64(w->out, p, n);
    orch_buf_char(w->out, '"');
}

void orch_jw_int(struct orch_jw *w, const char *key, int64_t v)
{
    begin(w, key);
    orch_buf_printf(w->out, "%" PRId64, v);
}

void orch_jw_uint(struct orch_jw *w, const char *key, uint64_t v)
{
    begin(w, key);
    orch_buf_printf(w->out, "%" PRIu64, v);
}

void orch_jw_bool(struct orch_jw *w, const char *key, bool v)
{
    begin(w, key);
    orch_buf_str(w->out, v ? "true" : "false");
}

void orch_jw_null(struct orch_jw *w, const char *key)
{
    begin(w, key);
    orch_buf_str(w->out, "null");
}
