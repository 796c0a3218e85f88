#!/bin/sh
# Makes the repository that the example works on, in a directory that does not exist yet: a small C library with a bug, its
# tests, and a Makefile. `make test` fails. Usage: make-repo.sh DIRECTORY
set -eu
if [ $# -ne 1 ] || [ -e "$1" ]; then
    echo "usage: make-repo.sh DIRECTORY (which must not exist)" >&2
    exit 2
fi
mkdir -p "$1"
cd "$1"
mkdir src tests build

cat >src/calc.h <<'END'
#ifndef CALC_H
#define CALC_H

int calc_sum(const int *v, int n);
/* The arithmetic mean, rounded to the nearest integer, halves away from zero. n > 0. */
int calc_mean(const int *v, int n);

#endif
END
cat >src/calc.c <<'END'
#include "calc.h"

int calc_sum(const int *v, int n)
{
    int sum = 0;
    for (int i = 0; i < n; i++)
        sum += v[i];
    return sum;
}

int calc_mean(const int *v, int n)
{
    int sum = calc_sum(v, n);
    return sum / n;
}
END
cat >tests/test_calc.c <<'END'
#include <stdio.h>
#include "calc.h"

static int failed;

static void expect(const char *what, int got, int want)
{
    if (got != want) {
        printf("FAIL %s: got %d, want %d\n", what, got, want);
        failed = 1;
    }
}

int main(void)
{
    const int up[] = {1, 2}, down[] = {1, 1, 2}, minus[] = {-1, -2}, same[] = {7, 7, 7};

    expect("sum", calc_sum(down, 3), 4);
    expect("mean rounds up", calc_mean(up, 2), 2);
    expect("mean rounds down", calc_mean(down, 3), 1);
    expect("mean of negative numbers", calc_mean(minus, 2), -2);
    expect("mean of equal numbers", calc_mean(same, 3), 7);
    puts(failed ? "tests failed" : "all tests passed");
    return failed;
}
END
cat >Makefile <<'END'
CC = cc
CFLAGS = -Wall -Wextra

.PHONY: test
test: build/test_calc
	./build/test_calc

build/test_calc: src/calc.c src/calc.h tests/test_calc.c
	mkdir -p build
	$(CC) $(CFLAGS) -Isrc -o $@ src/calc.c tests/test_calc.c
END
printf '# Made by make test.\n*\n!.gitignore\n' >build/.gitignore

# Nothing of the user's git configuration, and always the same commit.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=demo GIT_AUTHOR_EMAIL=demo@example.com GIT_AUTHOR_DATE='2026-01-02T03:04:05Z'
export GIT_COMMITTER_NAME=demo GIT_COMMITTER_EMAIL=demo@example.com GIT_COMMITTER_DATE='2026-01-02T03:04:05Z'
git -c init.defaultBranch=main init -q .
git add -A
git commit -q -m 'A calculator library, with a bug'
