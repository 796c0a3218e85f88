#!/bin/sh
# Runs the demo again and again and looks for what is left behind: soak.sh RUNS; then a thousand sandboxes in a row. Mounts and processes of this user, and
# entries of the temporary directory, must be as many after each round as before the first.
set -eu
cd "$(dirname "$0")/../.."
runs=${1:-20}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# Kernel threads and whatever else runs here do not count: only commands that come from this tree or a sandbox.
left()
{
    procs=0
    for exe in /proc/[0-9]*/exe; do
        case $(readlink "$exe" 2>/dev/null || :) in */build/orch-sandbox | */bin/llm-*) procs=$((procs + 1)) ;; esac
    done
    echo "processes $procs mounts $(wc -l </proc/self/mounts) temporary $(find "$tmp" -mindepth 1 | wc -l)"
}

before=$(left)
round=0
while [ "$round" -lt "$runs" ]; do
    round=$((round + 1))
    TMPDIR=$tmp demo/run.sh --once >"$tmp.log" 2>&1 || {
        cat "$tmp.log"
        rm -f "$tmp.log"
        echo "soak: round $round failed"
        exit 1
    }
    rm -f "$tmp.log"
    after=$(left)
    if [ "$before" != "$after" ]; then
        echo "soak: round $round left something: before '$before', after '$after'"
        exit 1
    fi
done
echo "soak: $runs rounds, nothing left behind ($before)"
tests/lib/many.sh "${ORCH_SOAK_SANDBOXES:-1000}" 1
tests/lib/many.sh 100 50
