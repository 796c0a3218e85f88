/*
 * output.h - what a confined program writes: masked, kept in log files, and handed on in escaped lines.
 *
 * Values passed by `pass_env` are masked wherever they occur, also across the borders of chunks (T-AUD-09);
 * what might be the start of one is held back until more comes. Log files get the bytes as they are, people
 * get escaped lines (T-TTY-05). Memory is bounded: a line is cut at ORCH_LINE_MAX bytes.
 */
#ifndef ORCH_SUPERVISOR_OUTPUT_H
#define ORCH_SUPERVISOR_OUTPUT_H

#include "common/buf.h"
#include "common/err.h"

#define ORCH_LINE_MAX 4096
#define ORCH_MASK "[masked]" /* what stands for such a value */

/* Appends to out the bytes of `held` and p with secrets replaced; keeps in held what may be the start of one.
 */
void orch_mask_feed(const struct orch_strv *secrets, struct orch_buf *held, const void *p, size_t n,
                    struct orch_buf *out);
/* The end of the stream: what is held goes out. */
void orch_mask_end(const struct orch_strv *secrets, struct orch_buf *held, struct orch_buf *out);
/* A masked copy, or NULL when s (may be NULL) contains no secret. */
char *orch_mask_str(const struct orch_strv *secrets, const char *s);

/* Escaped form of one line of agent bytes; tabs stay. */
void orch_output_escape(struct orch_buf *out, const char *p, size_t n);

struct orch_capture {
    const struct orch_strv *secrets; /* borrowed, NULL = none */
    int log[2];                      /* owned, -1 = no log */
    struct orch_buf held[2], line[2];
    /* One line without its newline, not yet escaped; stream 1 or 2. May be NULL. */
    void (*show)(void *ctx, int stream, const char *line, size_t n);
    void *ctx;
};

/* Creates DIR/NAME.out and DIR/NAME.err (0600). */
int orch_capture_open(struct orch_capture *c, int dirfd, const char *name, struct orch_err *err);
/* Exit 10 when a log cannot be written. */
int orch_capture_add(struct orch_capture *c, int stream, const void *p, size_t n, struct orch_err *err);
/* Hands out what is held and closes the logs. */
int orch_capture_end(struct orch_capture *c, struct orch_err *err);

#endif
