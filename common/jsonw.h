/*
 * jsonw.h - a writer for ASCII JSON into a buffer. Commas are placed by the writer; nesting is the caller's
 * duty.
 *
 *   struct orch_jw w = {.out = &buf};
 *   orch_jw_obj(&w, NULL); orch_jw_str(&w, "event", "run"); orch_jw_int(&w, "seq", 1); orch_jw_end(&w, '}');
 *
 * key is NULL inside arrays and for the outermost value.
 */
#ifndef ORCH_COMMON_JSONW_H
#define ORCH_COMMON_JSONW_H

#include "common/buf.h"

struct orch_jw {
    struct orch_buf *out;
    bool comma; /* a comma is due before the next value */
};

void orch_jw_obj(struct orch_jw *w, const char *key);
void orch_jw_arr(struct orch_jw *w, const char *key);
void orch_jw_end(struct orch_jw *w, char bracket);                   /* '}' or ']' */
void orch_jw_str(struct orch_jw *w, const char *key, const char *s); /* NULL writes null */
/* n bytes; if they are not valid UTF-8 also writes "KEY_b64" with the exact bytes (not inside arrays). */
void orch_jw_bytes(struct orch_jw *w, const char *key, const void *p, size_t n);
void orch_jw_int(struct orch_jw *w, const char *key, int64_t v);
void orch_jw_uint(struct orch_jw *w, const char *key, uint64_t v);
void orch_jw_bool(struct orch_jw *w, const char *key, bool v);
void orch_jw_null(struct orch_jw *w, const char *key);

#endif
