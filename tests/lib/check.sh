#!/bin/sh
# make check: lints, then the unit, command line, acceptance and red team tests as the caller; as root a second time as an ordinary
# user. The last line is "N passed, N failed"; the exit status is 0 only without a failure and with at least one pass.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/lib/readable-tree.sh
. tests/lib/readable-tree.sh
unset MAKEFLAGS MAKELEVEL MFLAGS || :
passed=0 failed=0 skipped=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# step NAME COMMAND...: one pass or one failure.
step()
{
    name=$1
    shift
    if "$@" >"$tmp/step" 2>&1; then
        passed=$((passed + 1))
        echo "  ok   $name"
    else
        failed=$((failed + 1))
        sed 's/^/    /' "$tmp/step"
        echo "  FAIL $name"
        echo "$name" >>"$tmp/failures"
    fi
}

echo "lints"
for lint in check-layers check-style check-size check-trace check-threats; do
    step "$lint" "tests/lint/$lint"
done

if [ "${ORCH_MUST_WORK:-0}" = 1 ]; then
    echo "what must work here"
    for feature in $(tests/lib/must-work.sh --list); do
        step "$feature" tests/lib/must-work.sh "$feature"
    done
fi

# lane NAME PREFIX...: a part of the tests, beside the others, by way of PREFIX. What it prints and counts is kept until report.
lane()
{
    lane=$1
    shift
    (
        cd "$where"
        # shellcheck disable=SC2030 # for this lane alone
        export ORCH_COUNTS="$out/$lane.counts" ORCH_FAILURES="$out/$lane.failures" ORCH_FAULT_SHARE="$share"
        "$@" >"$out/$lane.log" 2>&1
    ) &
    pids="$pids $!"
}

# round PREFIX...: all suites by way of PREFIX, side by side, as much of testing is waiting. The fault sweep fills the gaps.
round()
{
    mkdir "$out"
    [ "$out" = "$tmp/own" ] || chown "$uid" "$out"
    lane suites "$@" tests/lib/suite.sh unit cli acceptance
    lane redteam "$@" tests/lib/suite.sh redteam
    lane fault nice -n 10 tests/lib/on-tmpfs.sh "$@" tests/lib/suite.sh fault
}

# end PID...: these, and all that they started.
end()
{
    [ $# -gt 0 ] || return 0
    theirs=$(ps -o pid= --ppid "$(echo "$@" | tr ' ' ,)")
    kill "$@" 2>/dev/null || :
    # shellcheck disable=SC2086 # a list
    end $theirs
}

# report DIR: what the lanes of a round printed and counted; one that did not come to counting is one failure.
report()
{
    for lane in suites redteam fault; do
        [ ! -e "$1/$lane.log" ] || cat "$1/$lane.log"
        if [ -s "$1/$lane.counts" ]; then
            read -r p f s <"$1/$lane.counts"
            passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
        else
            echo "  $lane: did not come to its end"
            failed=$((failed + 1))
        fi
    done
}

# As root there are two rounds; what the sweep need not repeat for each user is shared between them.
pids='' where=$PWD out=$tmp/own share=''
trap 'end $pids; exit 130' INT
trap 'end $pids; exit 143' TERM
if [ "$(id -u)" -eq 0 ]; then
    uid=${ORCH_TEST_UID:-1000} share=0/2
    readable_tree "$tmp"
    chmod 0711 "$tmp"
fi
round env
if [ "$(id -u)" -eq 0 ]; then
    where=$tree out=$tmp/other share=1/2
    round tests/lib/as-user.sh
fi

# A few seconds on each reader, from the corpus on: make fuzz takes longer.
if echo 'int LLVMFuzzerTestOneInput(const char *p, unsigned long n) { return p && n > 9 ? 0 : 0; }' |
    clang -x c -fsanitize=fuzzer,address -o "$tmp/fuzzer" - 2>/dev/null; then
    echo "fuzz"
    step "fuzz targets build" nice -n 10 make --no-print-directory VARIANT=fuzz fuzz-bins
    for target in tests/fuzz/fuzz_*.c; do
        target=$(basename "$target" .c)
        step "$target" nice -n 10 tests/lib/fuzz.sh build/fuzz "${FUZZ_CHECK_SECONDS:-1}" "$target"
    done
else
    echo "  skip fuzz: needs clang with libFuzzer"
    skipped=$((skipped + 1))
fi

# shellcheck disable=SC2086 # a list
wait $pids || :
echo "tests as $(id -un 2>/dev/null || id -u)"
report "$tmp/own"
if [ "$(id -u)" -eq 0 ]; then
    echo "tests as user $uid"
    report "$tmp/other"
fi

# Again at the end, for who sees no more than that.
sed 's/^/failed: /' "$tmp/failures" 2>/dev/null || :
for list in "$tmp"/own/*.failures "$tmp"/other/*.failures; do
    [ ! -s "$list" ] || sed "s/^/failed $(case $list in */other/*) echo "as user $uid" ;; *) echo "as $(id -un)" ;; esac): /" "$list"
done
[ "$skipped" -eq 0 ] || echo "$skipped skipped"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
