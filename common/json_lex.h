/*
 * json_lex.h - tokens of strict JSON, private to common/. The position always is where a diagnostic would
 * belong: after a failure `msg` says what is wrong with the byte at `pos`. Tokens do not span lines.
 */
#ifndef ORCH_COMMON_JSON_LEX_H
#define ORCH_COMMON_JSON_LEX_H

#include "common/buf.h"

struct orch_json_lex {
    const unsigned char *text; /* borrowed */
    size_t len, pos, line_start;
    uint32_t line;            /* from 1 */
    struct orch_buf *decoded; /* strings are appended here, without quotes and escapes */
    char msg[160];
};

/* The current byte, or -1 at the end; its column, from 1. */
int orch_json_lex_peek(const struct orch_json_lex *s);
uint32_t orch_json_lex_column(const struct orch_json_lex *s);
void orch_json_lex_space(struct orch_json_lex *s);

/* Set msg and return -EINVAL; the second says "expected X, found Y" about the current byte. */
int orch_json_lex_fail(struct orch_json_lex *s, const char *fmt, ...) ORCH_PRINTF(2, 3);
int orch_json_lex_unexpected(struct orch_json_lex *s, const char *expected);

/* Each eats the token that starts at the current byte (a quote; a digit or minus; any); 0 or -EINVAL. */
int orch_json_lex_string(struct orch_json_lex *s);
int orch_json_lex_number(struct orch_json_lex *s);
int orch_json_lex_word(struct orch_json_lex *s, const char *word);

#endif
