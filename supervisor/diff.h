/*
 * diff.h - a change list for people: one line a change, and unified diffs of what is text.
 *
 * The bytes are an agent's, so no process of ours takes them apart (design 9.10): what may be text is copied
 * into a scratch directory, old/N and new/N, and GNU diff runs over that in one sandbox. Here its output is
 * only split into lines, and each is escaped. A line of ours starts with a letter, a line of a diff with one
 * of "-+ @\"; so content cannot pass for one of ours. Single-threaded; one object per command.
 */
#ifndef ORCH_SUPERVISOR_DIFF_H
#define ORCH_SUPERVISOR_DIFF_H

#include "sandbox/layer.h"
#include "sandbox/sandbox.h"
#include "supervisor/outq.h"
#include "supervisor/signals.h"

#define ORCH_DIFF_TEXT_MAX (1u << 20)   /* bytes of a file that is compared; larger ones are only named */
#define ORCH_DIFF_TOTAL_MAX (64u << 20) /* bytes of all of them */
#define ORCH_DIFF_FILES_MAX 10000u      /* and how many */

struct orch_diff {
    struct orch_view view; /* the layers over the workspace */
    size_t n_new;          /* so many of them are what is asked about */
    struct orch_changes changes;
    const char **notes; /* per change: static text for its line, or NULL */
    unsigned *number;   /* per change: N of its copies, 0 = no text to compare */
    unsigned n_texts;
    uint64_t copied;
    char *state, *dir; /* dir: the scratch directory, NULL = none */
    int held;          /* its lock, -1 = none */
    size_t shown;      /* changes whose line is out */
    struct orch_outq out;
    struct orch_buf text;         /* goes to `out` in larger pieces than a line */
    struct orch_signals *signals; /* borrowed */
};

/* The line about one change, without the newline; note may be NULL. Printable. */
void orch_diff_line(const struct orch_change *c, const char *note, struct orch_buf *out);
/* The two lines before a file's hunks. */
void orch_diff_header(const struct orch_change *c, struct orch_buf *out);
/* Prints the lines of the changes before `to` that are not out yet. */
void orch_diff_show(struct orch_diff *d, size_t to);

/* Hands `text` on to `out`. */
void orch_diff_flush(struct orch_diff *d);

/* Decides for each change what can be shown and copies what is to be compared. A failure is about the scratch
 * directory or a file that cannot be read; the lines of all changes can still be shown. */
int orch_diff_collect(struct orch_diff *d, struct orch_err *err);
/* Compares and prints, in the order of the changes, as far as the last text; the rest is the caller's to
 * show. -EINTR without an error: a signal came. Other failures leave the remaining changes to be shown
 * without their text. */
int orch_diff_run(struct orch_diff *d, struct orch_err *err);
/* Removes the scratch directory, frees. */
void orch_diff_fini(struct orch_diff *d);

#endif
