#!/usr/bin/env bats
# DR-09: what earlier versions wrote is still read (tests/fixtures holds a state directory of each), and what a newer
# version wrote is refused with words that say so.
load ../lib/common

setup() {
    need jq
    orch_setup
    umask 022
}

teardown() { orch_teardown; }

# unpack VERSION: the fixture, as a state directory
unpack() {
    tar -C "$STATE" --no-same-owner -xpzf "$ORCH_ROOT/tests/fixtures/state-v$1.tar.gz"
}

op() {
    local verb=$1
    shift
    run timeout 30 "$ORCH" "$verb" --state "$STATE" "$@" 3>&- </dev/null
    printf '%s\n' "status $status" "$output"
}

@test "every_fixture_is_for_a_version_that_is_tested" {
    [ "$(ls "$ORCH_ROOT"/tests/fixtures/state-v*.tar.gz | wc -l)" -eq 1 ]
}

@test "state_of_version_1_verifies_and_shows" {
    unpack 1
    while read -r run verdict; do
        op verify "$run"
        [ "$status" -eq 0 ]
        op audit "$run"
        [ "$status" -eq 0 ]
        [[ "$output" == *"chain intact"* ]]
        op status --json "$run"
        [ "$status" -eq 0 ]
        [ "$(jq -r .verdict <<<"$(tail -n 1 <<<"$output")")" = "$verdict" ]
    done <<'RUNS'
pending paused
paused paused
failed failed
overridden passed with overrides
passed passed
RUNS
    op status pending
    [[ "$output" == *"two/ok"* ]]
    op status overridden
    [[ "$output" == *"for the fixture"* ]]
}

@test "state_of_version_1_can_be_decided_about" {
    unpack 1
    d=$("$ORCH" status --state "$STATE" --json pending | jq -r .digest)
    op approve pending two/ok --digest "$d" --reason later
    [ "$status" -eq 0 ]
    op cancel paused
    [ "$status" -eq 0 ]
    op discard overridden
    [ "$status" -eq 0 ]
    for run in pending paused overridden; do
        op verify "$run"
        [ "$status" -eq 0 ]
    done
}

# newer FILE SED-SCRIPT: a copy of run "passed" in which one file claims to be of a newer version
newer() {
    rm -rf "${STATE:?}/runs"
    unpack 1
    sed -i "$2" "$STATE/runs/passed/$1"
    for verb in verify status audit resume; do
        [ "$1 $verb" != "seal.json status" ] && [ "$1 $verb" != "seal.json audit" ] || continue
        [ "$1 $verb" != "journal.jsonl audit" ] && [ "$1 $verb" != "audit.jsonl status" ] || continue
        op $verb passed
        [ "$status" -eq 7 ]
        [[ "$output" == *"newer orch-sandbox"* ]]
    done
}

@test "state_of_a_newer_version_is_refused_with_words_that_say_so" {
    newer journal.jsonl '1s/"v":1/"v":2/'
    newer audit.jsonl '1s/"v":1/"v":2/'
    newer seal.json 's/"schema":1/"schema":2/'
}

@test "documents_of_a_newer_version_are_refused_with_words_that_say_so" {
    echo '{"schema": 2, "name": "w", "phases": []}' >"$T/w.json"
    op run --workspace "$WS" "$T/w.json"
    [ "$status" -eq 2 ]
    [[ "$output" == *"w.json:1:12"*schema*1* ]]
    echo '{"schema": 2, "name": "p"}' >"$T/p.json"
    run "$ORCH" exec --state "$STATE" --workspace "$WS" --profile "$T/p.json" -- true
    echo "$output"
    [ "$status" -eq 125 ]
    [[ "$output" == *"p.json:1:12"*schema* ]]
}
