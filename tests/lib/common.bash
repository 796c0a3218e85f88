# For bats: load ../lib/common
# shellcheck shell=bash
#
# orch_setup      in setup(): $ORCH (the program), $T (a fresh directory), $WS (an empty workspace), $STATE
# orch_teardown   in teardown(): removes $T
# wait_until COMMAND...  waits until it succeeds, at most half a minute
# need NAME       skips the test unless the feature works here (tests/lib/must-work.sh knows how to try it)
# need_root, need_user
# manifest DIR    every entry with type, mode, link target and digest, sorted: equal means unchanged

ORCH_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
ORCH_BUILD=${ORCH_BUILD:-$ORCH_ROOT/build}
ORCH=${ORCH_BIN:-$ORCH_ROOT/build/orch-sandbox}
HELPERS=${ORCH_HELPERS:-$ORCH_ROOT/build/helpers}
export ORCH_ROOT ORCH_BUILD ORCH HELPERS

orch_setup() {
    T=$(mktemp -d "${TMPDIR:-/tmp}/orch-test.XXXXXX")
    WS=$T/ws STATE=$T/state
    mkdir "$WS" "$STATE"
    export T WS STATE HOME="$T"
    unset ORCHESTRATOR_MODE ORCH_SANDBOX_STATE ORCH_DIR
}

orch_teardown() {
    # Overlay leaves a work directory of mode 0 behind.
    [ -z "${T:-}" ] || { chmod -R u+rwX "$T" 2>/dev/null || :; rm -rf "$T"; }
}

wait_until() {
    for _ in {1..300}; do
        ! "$@" >/dev/null 2>&1 || return 0
        sleep 0.1
    done
    echo "waited in vain: $*"
    return 1
}

need() {
    "$ORCH_ROOT/tests/lib/must-work.sh" "$1" || skip "needs $1"
}

need_root() {
    [ "$(id -u)" -eq 0 ] || skip "for root"
}

need_user() {
    [ "$(id -u)" -ne 0 ] || skip "for an ordinary user"
}

manifest() {
    (cd "$1" && find . -printf '%P\t%y\t%m\t%U:%G\t%l\n' | LC_ALL=C sort
        find . -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum)
}
