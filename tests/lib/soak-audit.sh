#!/bin/sh
# What make check tries of the audit for seconds, for longer: soak-audit.sh [SEEDS]. Answers and records as equal sets with other seeds and
# more calls; paths resolved in other trees; ten thousand rounds of each race; a million calls in a flood; every fault at every
# write of a log. As the caller, and as root also as an ordinary user.
set -eu
cd "$(dirname "$0")/../.."
seeds=${1:-10}
folder=${ORCH_BUILD:-build}

all()
{
    build=$PWD/$folder
    case $folder in /*) build=$folder ;; esac
    export ORCH_BUILD="$build" ORCH_BIN="$build/orch-sandbox" ORCH_HELPERS="$build/helpers"
    seed=0
    while [ "$seed" -lt "$seeds" ]; do
        seed=$((seed + 1))
        echo "seed $seed"
        ORCH_SEED=$((1000 + seed)) ORCH_CALLS=40000 "$@" bats tests/redteam/equality.bats
        ORCH_SEED=$((1000 + seed)) "$@" bats tests/redteam/tampering.bats
        ORCH_SEED=$((1000 + seed)) ORCH_RESOLVE_TREES=5000 "$@" "$build/unit/sandbox/test_resolve"
    done
    ORCH_ROUNDS=10000 "$@" bats tests/redteam/races.bats
    ORCH_FLOOD=1000000 "$@" bats tests/redteam/flood.bats
    ORCH_FAULT_FULL=1 "$@" bats tests/redteam/log.bats
}

all env
if [ "$(id -u)" -eq 0 ]; then
    . tests/lib/readable-tree.sh
    tmp=$(mktemp -d)
    trap 'rm -rf "$tmp"' EXIT
    chmod 0711 "$tmp"
    readable_tree "$tmp"
    cd "$tree"
    all tests/lib/as-user.sh
fi
echo "soak: the audit held"
