/* buf.h - a growing byte buffer. Always NUL-terminated behind len when data is not NULL. */
#ifndef ORCH_COMMON_BUF_H
#define ORCH_COMMON_BUF_H

#include "common/util.h"

struct orch_buf {
    char *data;
    size_t len, cap;
};

void orch_buf_add(struct orch_buf *b, const void *p, size_t n);
void orch_buf_str(struct orch_buf *b, const char *s);
void orch_buf_char(struct orch_buf *b, char c);
void orch_buf_printf(struct orch_buf *b, const char *fmt, ...) ORCH_PRINTF(2, 3);
void orch_buf_reset(struct orch_buf *b); /* len = 0, keeps memory */
void orch_buf_fini(struct orch_buf *b);  /* frees; idempotent */
char *orch_buf_take(struct orch_buf *b); /* hands the string on ("" when empty), leaves b empty */

#define ORCH_AUTO_BUF ORCH_AUTO(orch_buf_fini)

#endif
