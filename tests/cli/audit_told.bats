#!/usr/bin/env bats
# What people and agents are told of denials: what would allow them, what is allowed instead, and nothing that a terminal obeys.
bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/workflow

setup_file() { need_sandbox; need jq; need python3; }

setup() {
    orch_setup
    workflow_setup
    OUTSIDE=$(mktemp -d /var/tmp/orch-test.XXXXXX)   # the sandbox has its own /tmp
    chmod 0755 "$OUTSIDE"
}

teardown() {
    [ -z "${pid:-}" ] || kill -KILL "$pid" 2>/dev/null || :
    rm -rf "$OUTSIDE"
    orch_teardown
}

audit() {
    run --separate-stderr timeout 120 "$ORCH" audit --state "$STATE" "$@" "$RUN" 3>&- </dev/null
}

@test "a_line_that_is_told_does_allow_it_and_where_none_does_the_reason_is_told" {
    mkdir "$WS/dir" "$OUTSIDE/open"
    chmod 0777 "$OUTSIDE/open"
    echo x >"$WS/old"
    echo y >"$WS/.env"
    echo z >"$WS/dir/kept"
    echo s >"$OUTSIDE/secret"
    python3 "$ORCH_ROOT/tests/lib/suggested.py" "$ORCH" "$T" "$STATE" "$OUTSIDE" 3>&-
}

# bounds PROFILE CEILING: what is told beside the line that would show /etc/shadow, .env and the network
bounds() {
    profile p "$1"
    profile ceiling "$2"
    agent asks <<'END'
cat /etc/shadow
cat "$ORCH_WORKSPACE/.env"
echo 1 >"$ORCH_WORKSPACE/made"
END
    one_phase asks "${3:-./p.json}" '{"type": "denials", "max": 9}' '' '"ceiling": "./ceiling.json"'
    orch_run --no-apply
    [ "$status" -eq 0 ]
    audit --format sarif
    [ "$status" -eq 0 ]
    told=$(jq -r '.runs[0].results[].properties | .path + " " + (.suggestion // "none") + " / " + .suggestionNote' <<<"$output")
    echo "$told"
}

@test "a_line_is_held_against_the_parent_and_the_ceiling" {
    echo y >"$WS/.env"
    wide='{"schema": 1, "name": "ceiling", "extends": "plan", "widen": "test", "filesystem": [{"path": "/etc/shadow", "access": "rw"}]}'
    plan='{"schema": 1, "name": "ceiling", "extends": "plan"}'
    hides='"filesystem": [{"path": "${workspace}/.env", "access": "none"}, {"path": "${workspace}", "access": "rw"}]'
    bounds '{"schema": 1, "name": "p", "extends": "plan", '"$hides"'}' "$plan"
    grep -q "/etc/shadow in \"filesystem\": .* / wider than the parent 'plan': needs \"widen\"; beyond the workflow's ceiling 'ceiling'" <<<"$told"
    grep -q "/.env in \"filesystem\", in place of .* / within the parent 'plan'; within the workflow's ceiling 'ceiling'" <<<"$told"
    bounds '{"schema": 1, "name": "p", "extends": "plan", "widen": "test", "tools": ["@parent", "true"], '"$hides"'}' "$wide"
    grep -q "/etc/shadow .* / wider than the parent 'plan': its \"widen\" permits that; within the workflow's ceiling 'ceiling'" <<<"$told"
    # A built-in is the parent of the profile that the line goes into.
    bounds '{"schema": 1, "name": "p"}' "$wide" plan
    grep -q "/etc/shadow \"filesystem\": \[.*\] / wider than the parent 'plan': needs \"widen\"; within the workflow's ceiling" <<<"$told"
    audit
    [[ "$output" == *"its profile 'plan' is built in: lines go into a profile that extends it"* ]]
    [[ "$output" == *'to allow, "filesystem": [{"path": "/etc/shadow", "access": "ro"}]'* ]]
}

@test "text_csv_and_sarif_tell_the_same_line" {
    agent asks <<'END'
cat /etc/shadow
unshare -U true
chmod 755 /orch
END
    profile p '{"schema": 1, "name": "p", "extends": "plan", "widen": "test", "tools": ["@parent", "unshare"]}'
    one_phase asks ./p.json '{"type": "denials", "max": 9}'
    orch_run --no-apply
    audit
    text=$output
    audit --format sarif
    jq -r '.runs[0].results[].properties | (.suggestion // empty), (.suggestionNote // empty)' <<<"$output" | sort -u >"$T/sarif"
    audit --format csv
    printf '%s\n' "$output" >"$T/csv"
    python3 -c 'import csv,sys
for r in csv.DictReader(open(sys.argv[1], newline="")):
    print(*filter(None, (r["suggestion"], r["suggestion_note"])), sep="\n")' "$T/csv" | sed '/^$/d' | sort -u >"$T/told"
    diff "$T/sarif" "$T/told"
    [ "$(wc -l <"$T/told")" -ge 4 ]
    while read -r line; do
        [[ "$text" == *"$line"* ]] || { echo "not in the text: $line"; false; }
    done <"$T/told"
    # A log outlives what the run kept: then nothing is told, and that is said.
    mv "$RUNDIR/inputs" "$RUNDIR/gone"
    audit
    [ "$status" -eq 0 ]
    [[ "$output" == *"/etc/shadow"* && "$output" != *"to allow"* && "$stderr" == *"what would allow a denial is not told: "* ]]
}

@test "a_limit_that_ended_an_attempt_is_told_with_the_key_that_raises_it" {
    agent slow <<<'sleep 30'
    profile p '{"schema": 1, "name": "p", "extends": "plan", "limits": {"wall": "1s"}}'
    one_phase slow ./p.json '{"type": "denials", "max": 9}'
    orch_run
    [ "$status" -eq 4 ]
    audit
    [[ "$output" == *"ended by its limit 'wall'"*'to allow, in "limits": "wall": "2000ms"'*"within the parent 'plan'"* ]]
    one_phase slow plan '{"type": "denials", "max": 9}' '"timeout": "1s"'
    orch_run
    [ "$status" -eq 4 ]
    audit
    [[ "$output" == *"ended by its limit 'wall'"*"to allow, in the workflow, phase 'work': a \"timeout\" above 1000ms"* ]]
}

@test "a_gates_denials_are_told_with_a_line_for_the_gates_profile" {
    agent maker <<<'echo 1 >"$ORCH_WORKSPACE/made"'
    one_phase maker plan '{"type": "command", "name": "look", "run": ["sh", "-c", "cat /etc/shadow; true"]}'
    orch_run --no-apply
    [ "$status" -eq 0 ]
    audit
    [[ "$output" == *"gate look"*"its profile 'gate' is built in"*'to allow, "filesystem": [{"path": "/etc/shadow", "access": "ro"}]'* ]]
}
