/*
 * calls.h - the watched system calls as data: where their paths are and what they want of them.
 *
 * Argument positions are those of the man pages (section 2). Every number that policy/syscalls.c may answer
 * with ORCH_SC_WATCH has a row; a missing row is a refusal, never a pass.
 */
#ifndef ORCH_SANDBOX_CALLS_H
#define ORCH_SANDBOX_CALLS_H

#include <stdbool.h>
#include <stdint.h>

enum orch_call_kind {
    ORCH_CALL_OPEN,   /* request depends on the flags word */
    ORCH_CALL_WRITE,  /* changes an existing object */
    ORCH_CALL_CREATE, /* a new name; `creates` says what */
    ORCH_CALL_DELETE,
    ORCH_CALL_RENAME,  /* path -> path2 */
    ORCH_CALL_LINK,    /* path -> path2 */
    ORCH_CALL_SYMLINK, /* text in path2's argument position, new name in path */
    ORCH_CALL_LOOK,
    ORCH_CALL_EXEC,
    ORCH_CALL_CONNECT, /* sockaddr at `path`, length behind it */
    ORCH_CALL_BIND,
    ORCH_CALL_SENDTO,
};

#define ORCH_NOARG (-1)

struct orch_call {
    int nr;
    enum orch_call_kind kind;
    int8_t dirfd, path;    /* argument indexes; dirfd ORCH_NOARG = the working directory */
    int8_t flags;          /* argument index of the flags word, ORCH_NOARG = none */
    int8_t dirfd2, path2;  /* second name of rename, link; text of symlink */
    uint32_t nofollow_bit; /* the last symlink is not followed if flags has this bit ... */
    uint32_t follow_bit;   /* ... or is followed only if flags has this bit (linkat) */
    bool nofollow;         /* never follows the last symlink */
    char creates;          /* CREATE: 'd' directory, 'm' by the mode argument, 'l' symlink */
};

/* The row of a number, or NULL. */
const struct orch_call *orch_call_find(int nr);

#endif
