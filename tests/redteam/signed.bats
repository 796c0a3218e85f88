#!/usr/bin/env bats
# What a signature adds: whoever can write the state directory, but has no key, cannot make a history of his own. T-AUD-06.
load ../lib/common
load ../lib/workflow

setup_file() { need_sandbox; }

setup() {
    orch_setup
    workflow_setup
    agent maker <<<'echo 1 >"$ORCH_WORKSPACE/made"; cat "$ORCH_WORKSPACE"/../state/keys/signing.key'
    one_phase maker plan '{"type": "file", "name": "g", "path": "made"}'
}

teardown() { orch_teardown; }

op() {
    local verb=$1
    shift
    run timeout 60 "$ORCH" "$verb" --state "$STATE" "$@" 3>&- </dev/null
    orch_say
}

# signed_run: a run that passed in a state directory with a key; $T/pub is the copy of the public key
signed_run() {
    op keygen
    [ "$status" -eq 0 ]
    cp "$STATE/keys/signing.pub" "$T/pub"
    orch_run --no-apply
    [ "$status" -eq 0 ]
    cp -R "$RUNDIR" "$T/kept"
}

put_back() { rm -rf "$RUNDIR" && cp -R "$T/kept" "$RUNDIR"; }

@test "t_aud_06_a_forged_history_is_not_signed" {
    signed_run
    op verify --key "$T/pub" "$RUN"
    [ "$status" -eq 0 ]
    [[ "$output" == *"ok  signature: by the given key"* ]]

    # Without a key the whole history can be told anew, and plain verify cannot know.
    "$ORCH_ROOT/tests/lib/forge.py" "$RUNDIR" "a[0]['time'] = r[0]['time'] = '2001-01-01T00:00:00.000000000Z'"
    op verify "$RUN"
    [ "$status" -eq 0 ]
    op verify --key "$T/pub" "$RUN"
    [ "$status" -eq 7 ]
    [[ "$output" == *"it is not signed"* ]]

    # The old signature does not fit what it stands under, whether or not somebody asks for it.
    put_back
    "$ORCH_ROOT/tests/lib/forge.py" "$RUNDIR" "a[0]['time'] = '2001-01-01T00:00:00.000000000Z'; s.update(key=old['key'], signature=old['signature'])"
    for key in '' "--key=$T/pub"; do
        op verify ${key:+"$key"} "$RUN"
        [ "$status" -eq 7 ]
        [[ "$output" == *"signature is not of what it says"* ]]
    done

    # Another key.
    put_back
    "$ORCH_ROOT/tests/lib/forge.py" "$RUNDIR" "a[0]['time'] = '2001-01-01T00:00:00.000000000Z'"
    mkdir -p "$T/other/runs"
    "$ORCH" keygen --state "$T/other"
    cp -R "$RUNDIR" "$T/other/runs/"
    "$ORCH" discard --state "$T/other" "$RUN" --reason x
    rm -rf "$RUNDIR" && cp -R "$T/other/runs/$RUN" "$RUNDIR"
    op verify "$RUN"
    [ "$status" -eq 0 ]
    op verify --key "$T/pub" "$RUN"
    [ "$status" -eq 7 ]
    [[ "$output" == *"not with the given key"* ]]
    op verify --key "$T/other/keys/signing.pub" "$RUN"
    [ "$status" -eq 0 ]

    # A signature of another run.
    put_back
    jq -c --arg s "$(jq -r .signature "$T/other/runs/$RUN/seal.json")" --arg k "$(jq -r .key "$T/other/runs/$RUN/seal.json")" \
        '.signature = $s | .key = $k' "$T/kept/seal.json" >"$RUNDIR/seal.json"
    op verify "$RUN"
    [ "$status" -eq 7 ]
    put_back
    op verify --key "$T/pub" "$RUN"
    [ "$status" -eq 0 ]
}

@test "what_follows_the_signed_end_is_told" {
    signed_run
    rm "$RUNDIR/seal.json"
    op verify --key "$T/pub" "$RUN"
    [ "$status" -eq 7 ]
    put_back
    # An operator's act is signed too.
    op apply "$RUN"
    [ "$status" -eq 0 ]
    op verify --key "$T/pub" "$RUN"
    [ "$status" -eq 0 ]
    # The old seal over the longer logs.
    cp "$T/kept/seal.json" "$RUNDIR/seal.json"
    op verify "$RUN"
    [ "$status" -eq 0 ]
    op verify --key "$T/pub" "$RUN"
    [ "$status" -eq 7 ]
    [[ "$output" == *"records follow what was signed"* ]]
}

@test "the_key_is_made_once_and_is_nobody_elses" {
    op keygen
    [ "$status" -eq 0 ]
    [ "$(stat -c %a "$STATE/keys/signing.key")" = 600 ]
    before=$(cat "$STATE/keys/signing.key")
    op keygen
    [ "$status" -eq 9 ]
    [ "$(cat "$STATE/keys/signing.key")" = "$before" ]
    # The agent cannot read it (its own user can, outside).
    orch_run --no-apply
    [ "$status" -eq 0 ]
    key=${before##* }
    [ "${#key}" -eq 44 ]
    [[ "$output" != *"$key"* ]]
    run grep -rqF "$key" "$RUNDIR"
    [ "$status" -eq 1 ]
    # One that others may read is not used.
    chmod 0644 "$STATE/keys/signing.key"
    orch_run --no-apply
    [ "$status" -eq 10 ]
    [[ "$output" == *"others may read"* ]]
    op apply "$RUN"                                 # nor for what an operator does
    [ "$status" -eq 10 ]
    chmod 0600 "$STATE/keys/signing.key"
    echo nonsense >"$STATE/keys/signing.key"
    orch_run --no-apply
    [ "$status" -eq 10 ]
    [[ "$output" == *"not one that keygen made"* ]]
}

@test "verify_refuses_what_is_no_public_key" {
    signed_run
    printf 'orch-sandbox-public-key-1 AAAA\n' >"$T/bad"
    for file in "$T/bad" "$STATE/keys/signing.key" "$T/none"; do
        op verify --key "$file" "$RUN"
        [ "$status" -eq 2 ]
        [[ "$output" == *"--key"* ]]
    done
}
