#!/bin/sh
# make check: lints, then the unit, command line, acceptance and red team tests as the caller; as root a second time as an ordinary
# user. The last line is "N passed, N failed"; the exit status is 0 only without a failure and with at least one pass.
set -eu
cd "$(dirname "$0")/../.."
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

# add COUNTS STATUS: adds what a suite counted; one that did not come to counting is one failure.
add()
{
    if [ -s "$1" ]; then
        read -r p f s <"$1"
        passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    else
        echo "  $(basename "$1"): the suites did not come to their end (status $2)"
        failed=$((failed + 1))
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

# A few seconds on each reader, from the corpus on: make fuzz takes longer.
if echo 'int LLVMFuzzerTestOneInput(const char *p, unsigned long n) { return p && n > 9 ? 0 : 0; }' |
    clang -x c -fsanitize=fuzzer,address -o "$tmp/fuzzer" - 2>/dev/null; then
    echo "fuzz"
    step "fuzz targets build" make --no-print-directory -j"$(nproc)" VARIANT=fuzz fuzz-bins
    for target in tests/fuzz/fuzz_*.c; do
        target=$(basename "$target" .c)
        step "$target" tests/lib/fuzz.sh build/fuzz "${FUZZ_CHECK_SECONDS:-2}" "$target"
    done
else
    echo "  skip fuzz: needs clang with libFuzzer"
    skipped=$((skipped + 1))
fi

# round COUNTS SHARE PREFIX...: all suites by way of PREFIX; what they counted goes to COUNTS and COUNTS.fault.
round()
{
    round_counts=$1 round_share=$2 round_rc=0
    shift 2
    export ORCH_FAILURES="$round_counts.failures"
    ORCH_COUNTS=$round_counts "$@" tests/lib/suite.sh unit cli acceptance redteam || round_rc=1
    ORCH_COUNTS=$round_counts.fault ORCH_FAULT_SHARE=$round_share \
        tests/lib/on-tmpfs.sh "$@" tests/lib/suite.sh fault || round_rc=1
    return "$round_rc"
}

# As root there are two rounds, side by side; what the sweep need not repeat for each user is shared between them.
share='' other='' other_rc=0
if [ "$(id -u)" -eq 0 ]; then
    uid=${ORCH_TEST_UID:-1000} share=0/2
    readable_tree "$tmp"
    mkdir "$tmp/share"
    chmod 0711 "$tmp"
    chown "$uid" "$tmp/share"
    (cd "$tree" && round "$tmp/share/counts" 1/2 tests/lib/as-user.sh) >"$tmp/other" 2>&1 &
    other=$!
    trap 'kill "$other" 2>/dev/null; exit 130' INT
    trap 'kill "$other" 2>/dev/null; exit 143' TERM
fi
echo "tests as $(id -un 2>/dev/null || id -u)"
rc=0
round "$tmp/counts" "$share" env || rc=$?
add "$tmp/counts" "$rc"
add "$tmp/counts.fault" "$rc"
if [ -n "$other" ]; then
    wait "$other" || other_rc=$?
    echo "tests as user $uid"
    cat "$tmp/other"
    add "$tmp/share/counts" "$other_rc"
    add "$tmp/share/counts.fault" "$other_rc"
fi

# Again at the end, for who sees no more than that.
for list in "$tmp/failures" "$tmp/counts.failures" "$tmp/share/counts.failures"; do
    [ ! -s "$list" ] || sed "s|^|failed: |; s|\$| ($(case $list in */share/*) echo "user $uid" ;; *) id -un ;; esac))|" "$list"
done
[ "$skipped" -eq 0 ] || echo "$skipped skipped"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
