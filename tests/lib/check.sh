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
    fi
}

# add STATUS: adds what the suites counted; suites that did not come to counting are one failure.
add()
{
    if [ -s "$tmp/counts" ]; then
        read -r p f s <"$tmp/counts"
        passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    elif [ "$1" -ne 0 ]; then
        failed=$((failed + 1))
    fi
    rm -f "$tmp/counts"
}

echo "lints"
for lint in check-layers check-style check-size check-trace; do
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

echo "tests as $(id -un 2>/dev/null || id -u)"
rc=0
# What the sweep need not repeat for each user is shared between the two rounds.
share='' share2=''
[ "$(id -u)" -ne 0 ] || share=0/2 share2=1/2
ORCH_FAULT_SHARE=$share ORCH_COUNTS=$tmp/counts tests/lib/suite.sh unit cli acceptance redteam fault || rc=$?
add "$rc"

if [ "$(id -u)" -eq 0 ]; then
    uid=${ORCH_TEST_UID:-1000}
    echo "tests as user $uid"
    readable_tree "$tmp"
    mkdir "$tmp/share"
    chmod 0711 "$tmp"
    chown "$uid" "$tmp/share"
    rc=0
    (cd "$tree" && ORCH_FAULT_SHARE=$share2 ORCH_COUNTS=$tmp/share/counts "$tree/tests/lib/as-user.sh" \
        "$tree/tests/lib/suite.sh" unit cli acceptance redteam fault) || rc=$?
    if [ -f "$tmp/share/counts" ]; then
        cp "$tmp/share/counts" "$tmp/counts"
    fi
    add "$rc"
fi

[ "$skipped" -eq 0 ] || echo "$skipped skipped"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
