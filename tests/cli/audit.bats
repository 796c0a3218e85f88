#!/usr/bin/env bats
# The verb audit: which records, in which form, and as they come.
bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/workflow

setup_file() { need_sandbox; need jq; need python3; }

setup() {
    orch_setup
    workflow_setup
}

teardown() {
    [ -z "${pid:-}" ] || kill -KILL "$pid" 2>/dev/null || :
    orch_teardown
}

audit() {
    run --separate-stderr timeout 60 "$ORCH" audit --state "$STATE" "$@" "$RUN" 3>&- </dev/null
}

# two_phases: "one" is denied a path (thrice) and a name with hostile bytes, "two" a system call
two_phases() {
    agent =one <<'END'
cd "$ORCH_WORKSPACE"
for i in 1 2 3; do cat /etc/shadow; done
mkdir "/usr/=1+1
"$(printf '\033[31m')'"x'
true >/usr/y
echo 1 >made
END
    agent two <<'END'
cd "$ORCH_WORKSPACE"
mount -t tmpfs none /tmp
unshare -U true
echo 2 >made2
END
    cat >"$W/two.json" <<'END'
{"schema":1,"name":"two","extends":"plan","widen":"test","tools":["@parent","mount","unshare"]}
END
    cat >"$W/workflow.json" <<END
{"schema":1,"name":"audited","phases":[
 {"name":"one","profile":"plan","agent":{"command":["./=one"]},"gates":[{"type":"file","path":"made"}]},
 {"name":"two","profile":"./two.json","agent":{"command":["./two"]},"gates":[{"type":"file","path":"made2"}]}]}
END
    orch_run --no-apply
    [ "$status" -eq 0 ]
}

@test "filters_show_what_was_asked_for_and_say_so" {
    two_phases
    audit
    [ "$status" -eq 0 ]
    [[ "$output" == *"/etc/shadow"* && "$output" == *"phase two"* && "$output" != *"shown: only"* ]]
    audit --phase one
    [[ "$output" == *"/etc/shadow"* && "$output" != *"phase two"* && "$output" == *"shown: only what was asked for, phase one"* ]]
    audit --phase two.1 --class syscall
    [[ "$output" != *"/etc/shadow"* && "$output" == *"class syscall"* && "$output" == *"unshare (flags CLONE_NEWUSER) -> EPERM"* ]]
    audit --json
    all=$(wc -l <<<"$output")
    [ "$all" -eq "$(wc -l <"$RUNDIR/audit.jsonl")" ]
    audit --json --event denial
    [ "$(jq -r .event <<<"$output" | sort -u)" = denial ]
    [ "$(wc -l <<<"$output")" -eq "$(jq -c 'select(.event == "denial")' "$RUNDIR/audit.jsonl" | wc -l)" ]
    audit --json --since 1h
    [ "$(wc -l <<<"$output")" -eq "$all" ]
    last=$(jq -r .time "$RUNDIR/audit.jsonl" | tail -1)
    audit --json --since "$(date -u -d "$last + 1 sec" +%Y-%m-%dT%H:%M:%SZ)"
    [ -z "$output" ]
    for bad in '--phase three' '--phase one.0' '--class files' '--event deny' '--since yesterday' '--format xml' \
        '--json --format csv' '--follow --format sarif'; do
        # shellcheck disable=SC2086 # words
        audit $bad
        echo "$bad: $status $stderr"
        [ "$status" -eq 2 ]
        [ -z "$output" ]
    done
}

@test "csv_parses_back_to_the_records_and_holds_no_formula_and_no_control_byte" {
    two_phases
    audit --format csv
    [ "$status" -eq 0 ]
    printf '%s\n' "$output" >"$T/csv"
    python3 - "$T/csv" "$RUNDIR/audit.jsonl" <<'PY'
import csv, json, sys
text = open(sys.argv[1], "rb").read().replace(b"\r\n", b"\n")
assert all(c == 10 or 32 <= c <= 126 for c in text)
rows = list(csv.DictReader(text.decode().splitlines()))
records = [json.loads(l) for l in open(sys.argv[2])]
assert len(rows) == len(records), (len(rows), len(records))
hostile = 0
for row, rec in zip(rows, records):
    assert None not in row
    for key in ("seq", "event", "class", "syscall", "errno", "count", "attempt"):
        assert row[key] == str(rec.get(key, "")), (key, row, rec)
    if rec["event"] == "denial" and ("=1+1" in rec.get("path", "") or rec.get("comm", "")[:1] == "="):
        hostile += 1
    assert not any(v[:1] in "=+-@" and v for v in row.values())
    for key in ("args", "argv", "parents"):     # lists and objects stay JSON
        assert (json.loads(row[key]) if row[key] else None) == rec.get(key), (key, row, rec)
assert hostile == 2, "the hostile names are not on record"
PY
}

@test "sarif_has_a_result_for_each_group_and_escapes_what_agents_wrote" {
    two_phases
    audit --format sarif
    [ "$status" -eq 0 ]
    printf '%s\n' "$output" >"$T/sarif"
    python3 - "$T/sarif" "$RUNDIR/audit.jsonl" <<'PY'
import json, re, sys
raw = open(sys.argv[1], "rb").read()
assert all(c == 10 or 32 <= c <= 126 for c in raw)
s = json.loads(raw)
assert s["version"] == "2.1.0" and "sarif-schema-2.1.0" in s["$schema"]
(run,) = s["runs"]
rules = [r["id"] for r in run["tool"]["driver"]["rules"]]
results = run["results"]
denials = [json.loads(l) for l in open(sys.argv[2]) if '"event":"denial"' in l]
assert sum(r["occurrenceCount"] for r in results) == sum(d["count"] for d in denials)
for r in results:
    assert rules[r["ruleIndex"]] == r["ruleId"]
    assert r["level"] in ("warning", "note") and r["message"]["text"]
    uri = r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert re.fullmatch(r"[A-Za-z0-9/._~%-]+", uri), uri
    assert re.fullmatch("[0-9a-f]{64}", r["partialFingerprints"]["denial/v1"])
    assert "\x1b" not in r["message"]["text"] and "\n" not in r["message"]["text"]
assert any("/etc/shadow" in r["message"]["text"] for r in results)
assert any("unshare (flags CLONE_NEWUSER) refused" in r["message"]["text"] and "CLONE_NEWUSER" in r["properties"]["args"]
           for r in results)
assert len({r["partialFingerprints"]["denial/v1"] for r in results}) == len(results)
PY
}

@test "follow_shows_records_as_they_come_and_ends_with_the_run" {
    agent slow <<'END'
cat /etc/shadow
i=0
while [ ! -e "$ORCH_WORKSPACE/go" ] && [ $i -lt 600 ]; do sleep 0.1; i=$((i + 1)); done
cat /etc/gshadow
echo 1 >"$ORCH_WORKSPACE/made"
END
    one_phase slow plan '{"type": "file", "path": "made"}'
    orch_start --no-apply
    until_logged() { for _ in $(seq 2000); do grep -qs "$1" "$2" && return; sleep 0.1; done; false; }
    until_logged '"event":"denial"' "$RUNDIR/audit.jsonl"
    "$ORCH" audit --state "$STATE" --follow --event denial "$RUN" >"$T/followed" 2>&1 3>&- </dev/null &
    follower=$!
    until_logged /etc/shadow "$T/followed"
    kill -0 "$follower"
    if grep -q gshadow "$T/followed"; then false; fi
    "$ORCH" cancel --state "$STATE" "$RUN"
    wait "$follower"
    orch_wait
    grep -q 'denial filesystem open' "$T/followed"
    # A run that has stopped: all of it, and its chain is checked.
    audit --follow --json
    [ "$status" -eq 0 ]
    [ "$(wc -l <<<"$output")" -eq "$(wc -l <"$RUNDIR/audit.jsonl")" ]
    sed -i '2s/"seq":2/"seq":9/' "$RUNDIR/audit.jsonl"
    audit --follow
    [ "$status" -eq 7 ]
}

@test "explain_replays_each_denial_with_the_answer_on_record" {
    two_phases
    n=0
    for seq in $(jq -r 'select(.event == "denial" and .syscall) | .seq' "$RUNDIR/audit.jsonl"); do
        run --separate-stderr "$ORCH" explain --state "$STATE" "$RUN" "$seq"
        echo "$seq: $status $output $stderr"
        [ "$status" -eq 0 ]
        [ -z "$(tr -d '\n -~' <<<"$output")" ]      # nothing but printable ASCII
        n=$((n + 1))
        [[ "$output" == *"step 1, the filter: "* ]]
        [[ "$output" == *"replayed: the same answer by the same rule"* ]]
        [[ "$output" == *"to allow, "* || "$output" == *"no line to allow it: "* ]]
    done
    [ "$n" -ge 4 ]
    # The answer is that of the documents as the run kept them, whatever they say now.
    echo '{"schema":1,"name":"two","extends":"plan"}' >"$W/two.json"
    seq=$(jq -r 'select(.event == "denial" and .phase == "two") | .seq' "$RUNDIR/audit.jsonl" | head -1)
    run --separate-stderr "$ORCH" explain --state "$STATE" "$RUN" "$seq"
    [ "$status" -eq 0 ]
    # A host that has changed since shows.
    outside=$(mktemp -d /var/tmp/orch-test.XXXXXX)   # the sandbox has its own /tmp
    agent probe <<END
cat "$outside/there"
echo 1 >"\$ORCH_WORKSPACE/made"
END
    echo secret >"$outside/there"
    one_phase probe plan '{"type": "file", "path": "made"}'
    orch_run --no-apply
    seq=$(jq -r 'select(.event == "denial") | .seq' "$RUNDIR/audit.jsonl" | head -1)
    run --separate-stderr "$ORCH" explain --state "$STATE" "$RUN" "$seq"
    [[ "$output" == *"trying is a denial"*"replayed: the same answer by the same rule"* ]]
    rm -r "$outside"
    run --separate-stderr "$ORCH" explain --state "$STATE" "$RUN" "$seq"
    [[ "$output" == *"trying is ordinary and no denial"* ]]

    for bad in 0 -1 x 999999 1; do
        run --separate-stderr "$ORCH" explain --state "$STATE" -- "$RUN" "$bad"
        [ "$status" -eq 2 ]
        [ -n "$stderr" ]
    done
}

@test "explain_knows_the_profile_of_a_gate" {
    agent maker <<<'echo 1 >"$ORCH_WORKSPACE/made"'
    one_phase maker plan '{"type": "command", "name": "look", "run": ["sh", "-c", "cat /etc/shadow; true"]}'
    orch_run --no-apply
    [ "$status" -eq 0 ]
    seq=$(jq -r 'select(.event == "denial" and .gate == "look") | .seq' "$RUNDIR/audit.jsonl" | head -1)
    run --separate-stderr "$ORCH" explain --state "$STATE" "$RUN" "$seq"
    [ "$status" -eq 0 ]
    [[ "$output" == *"gate look"*"/etc/shadow"*"the same answer by the same rule"* ]]
}
