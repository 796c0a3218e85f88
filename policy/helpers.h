/*
 * helpers.h - the shipped table of what programs need beyond their libraries (design 5.2 "tools"): one row a
 * tool. docs/tools.md shows it to authors; a test compares the two.
 *
 * Rows are data; a path or name that is not on this host is ignored, because no host has all of them. Each
 * list is words separated by spaces. A word is a path, with "$PREFIX" at its start for the parent of the
 * "bin" directory that the real file is in, and with wildcards in its last component only. Nothing is owned
 * by a caller.
 */
#ifndef ORCH_POLICY_HELPERS_H
#define ORCH_POLICY_HELPERS_H

#include <stddef.h>

struct orch_helper {
    const char
        *programs; /* fnmatch patterns: the tool's name or its real file's name; "*": with libc's loader */
    const char *calls; /* programs that it runs: names, looked up like tools, or paths */
    const char *dirs;  /* directories: what is beneath runs and is mapped; the libraries of that are found */
    const char *trees; /* the same, where nothing beneath needs a library from elsewhere: not read */
    const char *libs;  /* files that are mapped by name at run time */
    const char *data;  /* files and directories that are only read */
    const char *why;   /* one line for the documentation */
};

extern const struct orch_helper orch_helpers[];
extern const size_t orch_n_helpers;

#endif
