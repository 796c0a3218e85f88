/*
 * helpers.h - the shipped table of what programs need beyond their libraries (design 5.2 "tools").
 *
 * Rows are data; a row whose file is not on this host is ignored. Nothing here is owned by a caller.
 */
#ifndef ORCH_POLICY_HELPERS_H
#define ORCH_POLICY_HELPERS_H

#include <stddef.h>

enum orch_helper_kind {
    ORCH_HELPER_PROGRAM, /* a name to look up like a tool, or an absolute glob */
    ORCH_HELPER_LIBRARY, /* glob of files that are mapped by name at run time */
    ORCH_HELPER_DIR,     /* glob of directories whose contents are executed or mapped */
    ORCH_HELPER_DATA,    /* glob of files or directories that are only read */
};

struct orch_helper {
    const char *
        program; /* fnmatch pattern for the program's name or its real file's name; "*": with libc's loader */
    enum orch_helper_kind kind;
    const char *what; /* "$PREFIX" at the start: parent of the directory that the real file is in */
};

extern const struct orch_helper orch_helpers[];
extern const size_t orch_n_helpers;

#endif
