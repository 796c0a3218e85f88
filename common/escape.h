/*
 * escape.h - the one place where bytes that an agent may control become printable.
 *
 * Terminal form: printable ASCII (0x20-0x7e) stays, except backslash, which becomes "\\"; every other code
 * point of valid UTF-8 becomes \uXXXX (surrogate pair above U+FFFF), every byte that is not part of valid
 * UTF-8 becomes \xXX. So no escape sequence, bidi control, carriage return or newline reaches a terminal
 * (T-TTY-05). JSON form: RFC 8259 string contents in ASCII; invalid bytes become U+FFFD, and the caller
 * writes a base64 twin.
 */
#ifndef ORCH_COMMON_ESCAPE_H
#define ORCH_COMMON_ESCAPE_H

#include "common/buf.h"

void orch_escape_term(struct orch_buf *out, const void *p, size_t n);
/* Newly allocated terminal form of a C string; NULL becomes "(null)". Caller frees. */
char *orch_escape_str(const char *s);
/* Appends the JSON string contents without quotes; returns false if any byte was not valid UTF-8. */
bool orch_escape_json(struct orch_buf *out, const void *p, size_t n);
/* Standard base64 with padding (RFC 4648 section 4). */
void orch_base64(struct orch_buf *out, const void *p, size_t n);
/* Length of the valid UTF-8 sequence at p (1-4, at most n bytes) and its code point; 0 if invalid. */
size_t orch_utf8_next(const unsigned char *p, size_t n, uint32_t *ret_cp);

#endif
