/*
 * attack.h - the parts of the attack program: what a hostile program would try, one act a verb.
 *
 * A verb returns 0 (it succeeded), -errno (it was refused), or FOUND when it printed its result itself. It
 * runs in a process of its own, so it may leave that in any state. Raw system calls are used throughout: the
 * record must name exactly the call that was made.
 */
#ifndef ORCH_TESTS_ATTACK_H
#define ORCH_TESTS_ATTACK_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FOUND 1

struct verb {
    const char *name;
    int args; /* at least */
    int (*fn)(char **v);
};

/* Each ends with a row without a name. */
extern const struct verb call_verbs[], file_verbs[], exec_verbs[], socket_verbs[], process_verbs[],
    race_verbs[], state_verbs[];

extern char scratch[65536];

static inline int last(long r)
{
    return r < 0 ? -errno : 0;
}

static inline unsigned long number(const char *s)
{
    return strtoul(s, NULL, 0);
}

#endif
