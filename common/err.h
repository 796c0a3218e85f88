/*
 * err.h - one error, built where it is known, wrapped with context on the way up, printed once by the command
 * line.
 *
 * Convention: functions return 0 or -errno; the last parameter is a struct orch_err that is filled on
 * failure. `exit_code` is the exit status that the failure asks for (enum orch_exit), 0 when the caller
 * decides.
 */
#ifndef ORCH_COMMON_ERR_H
#define ORCH_COMMON_ERR_H

#include <stdarg.h>

#include "common/util.h"

struct orch_err {
    int errnum;     /* positive errno, 0 = no error */
    int exit_code;  /* enum orch_exit, 0 = caller decides */
    char msg[2048]; /* printable ASCII: agent-controlled parts are escaped when it is built */
};

/* Sets the message; returns -errnum (never 0: errnum 0 becomes EIO). err may be NULL. */
int orch_err_set(struct orch_err *err, int errnum, const char *fmt, ...) ORCH_PRINTF(3, 4);
/* The same with an exit code. */
int orch_err_exit(struct orch_err *err, int exit_code, int errnum, const char *fmt, ...) ORCH_PRINTF(4, 5);
/* The same as orch_err_set with ": strerror(errnum)" appended. */
int orch_err_sys(struct orch_err *err, int errnum, const char *fmt, ...) ORCH_PRINTF(3, 4);
/* Puts "CONTEXT: " before the message; returns -err->errnum. */
int orch_err_wrap(struct orch_err *err, const char *fmt, ...) ORCH_PRINTF(2, 3);

/*
 * True for an errno that tells of the host (its disk is full or broken, it is out of memory or descriptors)
 * and nothing of what was asked for. What fails so says nothing about an agent: it is no verdict but the end
 * of this supervisor (exit 10), and another one resumes.
 */
bool orch_errno_is_host(int errnum);
/* 0 if cause is none of these; else *err = cause with exit 10, and its -errno. */
int orch_err_host(const struct orch_err *cause, struct orch_err *err);

/*
 * Diagnostics of a document: all of them, each with its place. Printed as
 * "FILE:LINE:COL: error: MESSAGE (at POINTER)".
 */
struct orch_diag {
    char *file;
    unsigned line, col; /* from 1; 0 = the whole document */
    char *pointer;      /* JSON pointer, "" for the root, NULL if none */
    char *msg;
};

struct orch_diags {
    struct orch_diag *v;
    size_t n;
    int host_errno; /* one of them is the host's fault, not the documents' (orch_errno_is_host); 0 = none */
};

/* Notes errnum if it is one of the host's. */
void orch_diags_note_errno(struct orch_diags *d, int errnum);

void orch_diags_add(struct orch_diags *d, const char *file, unsigned line, unsigned col, const char *pointer,
                    const char *fmt, ...) ORCH_PRINTF(6, 7);
/* origin: where a rule or tool of a document stands, "FILE#POINTER" or only "FILE". */
void orch_diags_vadd_at(struct orch_diags *d, const char *origin, unsigned line, unsigned col,
                        const char *fmt, va_list ap) ORCH_PRINTF(5, 0);
/* Writes every diagnostic to fd, sorted by file, line, column, escaped for a terminal. */
void orch_diags_print(const struct orch_diags *d, int fd);
void orch_diags_fini(struct orch_diags *d);

#endif
