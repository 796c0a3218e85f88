#!/bin/sh
# Runs test suites as whoever calls it: suite.sh SUITE... with SUITE one of unit, cli, acceptance, redteam, fault, or a
# bats file.
#
# Prints one line per test program (all of its output when it fails) and, last, "N passed, N failed, N skipped".
# ORCH_BUILD             where the programs are, default build
# ORCH_PROGRAM           the program that bats files test, default ORCH_BUILD/orch-sandbox
# ORCH_UNIT_FOLDERS      only these folders of tests/unit
# ORCH_UNIT_SKIP         FOLDER/NAME of unit tests to leave out
# ORCH_UNIT_WRAP         a command to run each unit test under
# ORCH_TEST_TIMEOUT      seconds for one program, default 120 for unit tests, 900 for a bats file,
#                        3600 for the fault sweep
# ORCH_MUST_WORK=1       skips because of something that tests/must-work lists are failures
# ORCH_COUNTS            a file that receives "PASSED FAILED SKIPPED"
# ORCH_FAILURES          a file to which a line is added for each program with a failure
set -eu
cd "$(dirname "$0")/../.."
build=${ORCH_BUILD:-build}
case $build in /*) ;; *) build=$PWD/$build ;; esac
export ORCH_BUILD="$build" ORCH_BIN="${ORCH_PROGRAM:-$build/orch-sandbox}" ORCH_HELPERS="$build/helpers"
unset MAKEFLAGS MAKELEVEL MFLAGS || :
passed=0 failed=0 skipped=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# tally NAME STATUS PASSED FAILED SKIPPED: a program that fails without a failed test counts as one failure.
tally()
{
    t_fail=$4 t_skip=$5
    if [ "$2" -ne 0 ] && [ "$t_fail" -eq 0 ]; then
        t_fail=1
    fi
    if [ "${ORCH_MUST_WORK:-0}" = 1 ]; then
        # shellcheck disable=SC2013 # one word a line
        for feature in $(sed -n 's/.*needs \([a-z][a-z0-9-]*\).*/\1/p' "$tmp/skips"); do
            if grep -q "^$feature " tests/must-work; then
                echo "  $1: skipped for want of $feature, which must work here"
                t_fail=$((t_fail + 1)) t_skip=$((t_skip > 0 ? t_skip - 1 : 0))
            fi
        done
    fi
    passed=$((passed + $3)) failed=$((failed + t_fail)) skipped=$((skipped + t_skip))
    if [ "$t_fail" -gt 0 ]; then
        if [ "$2" -eq 124 ] || [ "$2" -eq 137 ]; then
            echo "  $1: ended by the time limit"
        fi
        sed 's/^/    /' "$tmp/out"
        echo "  FAIL $1: $3 passed, $t_fail failed, $t_skip skipped (exit status $2)"
        [ -z "${ORCH_FAILURES:-}" ] || failures "$1" >>"$ORCH_FAILURES"
    else
        echo "  ok   $1: $3 passed$([ "$t_skip" -eq 0 ] || echo ", $t_skip skipped"), $(($(date +%s) - started)) s"
    fi
}

# failures PROGRAM: its failed tests by name, or that it failed as a whole.
failures()
{
    sed -n "s|^not ok [0-9]* \\(.*\\)|$1: \\1|p; s|^\\[  FAILED  \\] \\([A-Za-z_0-9]*\\)\$|$1: \\1|p" "$tmp/out" | sort -u >"$tmp/failures"
    [ -s "$tmp/failures" ] || echo "$1" >"$tmp/failures"
    cat "$tmp/failures"
}

count()
{
    grep -cE "$1" "$tmp/out" || :
}

# named FAILED|SKIPPED: cmocka names such a test twice, where it happens and in the list at the end.
named()
{
    sed -n "s/^\\[ *$1 *\\] \\([A-Za-z_0-9][A-Za-z0-9_]*\\)\$/\\1/p" "$tmp/out" | sort -u | grep -c . || :
}

run_unit()
{
    rc=0 started=$(date +%s)
    # shellcheck disable=SC2086 # the wrapper is words
    CMOCKA_MESSAGE_OUTPUT=STDOUT timeout -k 5 "${ORCH_TEST_TIMEOUT:-120}" ${ORCH_UNIT_WRAP:-} "$1" \
        >"$tmp/out" 2>&1 </dev/null || rc=$?
    grep -E 'needs [a-z]' "$tmp/out" >"$tmp/skips" || :
    tally "${1#"$build"/}" "$rc" "$(count '^\[       OK \] ')" "$(named FAILED)" "$(named SKIPPED)"
}

run_bats()
{
    run_tap "$1" "${ORCH_TEST_TIMEOUT:-900}" bats --tap "$1"
}

# run_tap NAME SECONDS COMMAND...
run_tap()
{
    name=$1 rc=0 started=$(date +%s)
    shift
    timeout -k 5 "$@" >"$tmp/out" 2>&1 </dev/null || rc=$?
    grep -E '^ok .* # skip' "$tmp/out" >"$tmp/skips" || :
    skips=$(count '^ok .* # skip')
    tally "$name" "$rc" "$(($(count '^ok ') - skips))" "$(count '^not ok ')" "$skips"
}

unit_folders()
{
    for dir in tests/unit/*/; do
        dir=$(basename "$dir")
        case " ${ORCH_UNIT_FOLDERS:-$dir} " in *" $dir "*) echo "$dir" ;; esac
    done
}

for suite in "$@"; do
    case $suite in
    unit)
        # From the sources, not from what happens to lie in build: a test that was not built is a failure.
        for dir in $(unit_folders); do
            for src in tests/unit/"$dir"/test_*.c; do
                [ -e "$src" ] || continue
                name=${src#tests/}
                case " ${ORCH_UNIT_SKIP:-} " in *" $dir/$(basename "$src" .c) "*) continue ;; esac
                run_unit "$build/${name%.c}"
            done
        done
        ;;
    cli | acceptance | redteam)
        for file in tests/"$suite"/*.bats; do
            [ -e "$file" ] || continue
            run_bats "$file"
        done
        ;;
    *.bats) run_bats "$suite" ;;
    fault) run_tap tests/fault/sweep.py "${ORCH_TEST_TIMEOUT:-3600}" tests/fault/sweep.py ;;
    *)
        echo "suite.sh: no suite '$suite'" >&2
        exit 2
        ;;
    esac
done

[ -z "${ORCH_COUNTS:-}" ] || echo "$passed $failed $skipped" >"$ORCH_COUNTS"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
