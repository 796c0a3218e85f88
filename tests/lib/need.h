/*
 * need.h - for unit tests: a missing feature is a visible skip, and a failure where tests/must-work lists it.
 *
 * ORCH_NEED("userns", have_userns()) leaves the test when the second argument is false. The line it prints is
 * what tests/lib/suite.sh looks for. Include cmocka.h first.
 */
#ifndef ORCH_TESTS_NEED_H
#define ORCH_TESTS_NEED_H

#include <stdio.h>

#define ORCH_NEED(feature, have)                                                                             \
    do {                                                                                                     \
        if (!(have)) {                                                                                       \
            (void)printf("needs %s\n", (feature));                                                           \
            skip();                                                                                          \
        }                                                                                                    \
    } while (0)

#endif
