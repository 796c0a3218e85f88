/*
 * term_filter.h - what an agent prints, made fit for the operator's terminal (T-TTY-05, invariant 10).
 *
 * A streaming filter with an allow list: what leaves it is text and whole control sequences of the tables in
 * term_filter.c, each written anew from its parsed parts. So whatever an agent sends, the terminal is in its
 * ground state after every call. Titles, clipboard, links, queries that make a terminal type an answer (DA,
 * DSR, DECRQSS), key remapping, mouse reports, printing and every string sequence (OSC, DCS, APC, PM, SOS)
 * are left out and counted. Modes that were switched are remembered, so that they can be put back. Memory is
 * bounded; bytes may come in any pieces. Does no I/O.
 */
#ifndef ORCH_SUPERVISOR_TERM_FILTER_H
#define ORCH_SUPERVISOR_TERM_FILTER_H

#include "common/buf.h"

#define ORCH_TERM_SEQ_MAX 256

enum orch_term_state {
    ORCH_TERM_GROUND,
    ORCH_TERM_ESC,     /* after ESC */
    ORCH_TERM_ESC_INT, /* after ESC and an intermediate byte */
    ORCH_TERM_CSI,
    ORCH_TERM_STRING, /* in a string sequence, to its end */
};

struct orch_term_filter {
    bool utf8; /* what the terminal takes; otherwise every other character becomes '?' */
    enum orch_term_state state;
    unsigned char seq[ORCH_TERM_SEQ_MAX]; /* the sequence or character that is not complete */
    size_t len;
    bool too_long;
    uint64_t touched; /* modes to put back: bits of a table */
    uint64_t dropped; /* bytes left out */
};

void orch_term_filter(struct orch_term_filter *f, const void *p, size_t n, struct orch_buf *out);
/* What puts the terminal back: nothing if nothing was switched. The filter may be used on. */
void orch_term_filter_reset(struct orch_term_filter *f, struct orch_buf *out);

#endif
