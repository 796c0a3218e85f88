#!/usr/bin/env bats
# T-AUD-05, T-RES-09: a log that cannot be written stops the attempt at once: exit 10 (exec: 125), the agent is dead, nothing is
# applied, what was recorded is whole, and once there is room again the run goes on.
# shellcheck disable=SC2016 # the agent expands
load ../lib/common
load ../lib/workflow

setup_file() { need_sandbox; }

setup() {
    orch_setup
    workflow_setup
    FAULTY=$ORCH_BUILD/fault/orch-sandbox
    mkdir "$WS/none"
    for i in 1 2 3; do echo secret >"$WS/none/s$i"; done
    profile p '{"schema":1,"name":"log","extends":"plan","widen":"test","filesystem":[{"path":"${workspace}/none","access":"none"}]}'
    manifest "$WS" >"$T/before"
}

teardown() { orch_teardown; }

# Distinct ones, repeats of them, a program, another class, and the end.
SCRIPT='for i in 1 2 3; do cat none/s$i; done; for i in 1 1 1 2 2; do cat none/s$i; done; mkdir /usr/x; echo changed >changed; echo the-end'

# agent_log PROGRAM FILE [SCRIPT]: exec with its records in FILE
agent_log() {
    run timeout -k 5 60 "$1" exec --workspace "$WS" --state "$STATE" --profile "$W/p.json" --audit "$2" --apply -- \
        sh -c "${3:-$SCRIPT} # $T" 2>&1 3>&- </dev/null
}

# The filters are in the state directory from then on, so each start does the same operations.
warm_up() {
    agent_log "$FAULTY" "$T/audit" true
    [ "$status" -eq 0 ]
    rm "$T/audit"
}

# whole FILE: every line of it is a record of the chain, the last one perhaps cut
whole() {
    python3 - "$1" <<'END'
import hashlib, json, sys
prev, data = "0" * 64, open(sys.argv[1], "rb").read()
lines = data.split(b"\n")
for n, line in enumerate(lines[:-1], 1):
    record = json.loads(line)
    assert record["prev"] == prev and record["seq"] == n, (n, line)
    prev = hashlib.sha256(line + b"\n").hexdigest()
END
}

unchanged() {
    manifest "$WS" >"$T/after"
    diff "$T/before" "$T/after"
    no_agent_left "the-end # $T"
}

@test "t_res_09_each_write_of_the_log_of_exec_that_fails_ends_it_there" {
    [ -x "$FAULTY" ]
    need python3
    warm_up
    ORCH_FAULT_LOG=$T/ops agent_log "$FAULTY" "$T/audit"
    orch_say
    [ "$status" -eq 0 ]
    grep -q the-end <<<"$output"
    rm "$WS/changed"
    # Denials, folded repeats and programs are among what is written.
    [ "$(jq -s 'map(select(.event == "denial" and .count == 1)) | length' "$T/audit")" -ge 3 ]
    [ "$(jq -s 'map(select(.event == "denial" and .count > 1)) | length' "$T/audit")" -ge 1 ]
    [ "$(jq -s 'map(select(.event == "exec")) | length' "$T/audit")" -ge 2 ]
    # What is done to the file before its first line, and how often it is written.
    created=$(grep -c "^C [0-9]* [^w][a-z0-9_]* $T/audit\$" "$T/ops" || :)
    [ "$(grep -c "^C [0-9]* write $T/audit\$" "$T/ops")" -eq "$(wc -l <"$T/audit")" ]
    k=0 modes=(ENOSPC EIO full)
    while :; do
        k=$((k + 1)) mode=${modes[k % 3]}
        rm -f "$T/audit"
        ORCH_FAULT=$((k + created)):$mode ORCH_FAULT_ONLY=$T/audit agent_log "$FAULTY" "$T/audit"
        [ "$status" -ne 0 ] || break # as many writes as there are
        [ "$status" -eq 125 ] || { echo "write $k, $mode:"; orch_say; false; }
        grep -q 'audit log' <<<"$output"
        whole "$T/audit"
        # Up to it, and nothing behind it: the failure is no gap.
        [ "$(wc -l <"$T/audit")" -eq "$((k - 1))" ]
        # Nothing is applied before all that led to it, and that it is to be, is on record.
        if [ -e "$WS/changed" ]; then
            [ "$(jq -s 'map(select(.event == "denial") | .count) | add' "$T/audit")" -eq 9 ]
            [ "$(tail -n 1 "$T/audit" | jq -r .state)" = intent ]
            rm "$WS/changed"
        fi
        unchanged
    done
    echo "writes that failed: $((k - 1))"
    [ "$k" -ge 10 ]
}

@test "t_res_09_a_count_that_cannot_be_written_by_the_clock_ends_the_agent_that_still_runs" {
    [ -x "$FAULTY" ]
    script='i=0; while [ $i -lt 16 ]; do i=$((i + 1)); cat none/s1; sleep 0.1; done; echo the-end'
    warm_up
    ORCH_FAULT_LOG=$T/ops agent_log "$FAULTY" "$T/audit" "$script"
    [ "$status" -eq 0 ]
    # The first line with a count that is no first one, before the end: written while the agent ran.
    n=$(jq -s 'map(.event == "denial" and .count > 1) | index(true)' "$T/audit")
    [ "$((n + 1))" -lt "$(wc -l <"$T/audit")" ]
    created=$(grep -c "^C [0-9]* [^w][a-z0-9_]* $T/audit\$" "$T/ops" || :)
    rm -f "$T/audit"
    ORCH_FAULT=$((created + n + 1)):ENOSPC ORCH_FAULT_ONLY=$T/audit agent_log "$FAULTY" "$T/audit" "$script"
    orch_say
    [ "$status" -eq 125 ]
    refute grep -q '^the-end' <<<"$output"
    unchanged
}

@test "t_res_09_a_device_without_space_as_the_log" {
    agent_log "$ORCH" /dev/full
    orch_say
    [ "$status" -eq 125 ]
    refute grep -q '^the-end' <<<"$output"
    unchanged
}

# In a mount namespace of its own, so that a small file system can be its state directory.
alone() {
    if [ "$(id -u)" -eq 0 ]; then unshare -m --propagation private "$@"; else unshare -Urm "$@"; fi
}

@test "t_res_09_a_state_directory_that_gets_full_stops_the_run_and_room_lets_it_go_on" {
    alone sh -c 'mount -t tmpfs none "$1" && python3 -c "import os, sys; os.setxattr(sys.argv[1], \"user.x\", b\"\")" "$1"' sh "$STATE" 2>/dev/null || skip "needs a tmpfs for overlays"
    # The first attempt is refused other things for ever; the next one knows when to end.
    agent a <<'END'
[ "$ORCH_ATTEMPT" = 1 ] || { echo ok >done; exit 0; }
echo begun
i=0
while :; do i=$((i + 1)); true <none/$i; done 2>/dev/null
END
    one_phase a ./p.json '{"type":"file","path":"done"}' '"timeout":"2m"' '"max_denials":1000000000'
    cat >"$T/inside" <<'END'
#!/bin/bash
# inside the namespace: a full disk under a run that goes on, then room, then resume
set -u
mount -t tmpfs -o size=24m,mode=0777 none "$STATE" || exit 90
"$ORCH" run --workspace "$WS" --state "$STATE" --run-id full "$W/workflow.json" >"$T/out" 2>&1 </dev/null &
pid=$!
for _ in $(seq 600); do grep -qs begun "$STATE/runs/full/logs/work.1.out" && break; kill -0 "$pid" || break; sleep 0.05; done
dd if=/dev/zero of="$STATE/filler" bs=4096 2>/dev/null
for _ in $(seq 1200); do kill -0 "$pid" 2>/dev/null || break; sleep 0.05; done
kill -KILL "$pid" 2>/dev/null && echo "still there"
wait "$pid"
echo "run $?"
df --output=avail "$STATE" | tail -n 1
rm "$STATE/filler"
cp "$STATE/runs/full/audit.jsonl" "$T/audit.stopped"
[ -z "$(tail -c 1 "$T/audit.stopped")" ] || sed -i '$d' "$T/audit.stopped"      # the line that found no room
"$ORCH" verify --state "$STATE" full >"$T/verify" 2>&1
echo "verify $?"
find "$WS" -mindepth 1 -newer "$T/started" | sed 's/^/changed /'
timeout 60 "$ORCH" resume --state "$STATE" full >"$T/resumed" 2>&1 </dev/null
echo "resume $?"
cp "$STATE/runs/full/audit.jsonl" "$T/audit.jsonl"
cp "$STATE/runs/full/journal.jsonl" "$T/journal.jsonl"
END
    chmod 0755 "$T/inside"
    touch "$T/started"
    export W ORCH WS STATE T
    run timeout -k 5 150 bash -c "$(declare -f alone); alone $T/inside" 3>&-
    orch_say
    cat "$T/out" "$T/verify" "$T/resumed"
    grep -qx 'run 10' <<<"$output"
    grep -qx 'verify 0' <<<"$output"
    refute grep -q '^changed\|^still' <<<"$output"
    grep -q 'No space left' "$T/out"
    grep -qx 'resume 0' <<<"$output"
    # The attempt that was stopped has no verdict, and its numbers say what they are.
    [ "$(jq -s 'map(select(.event == "denial")) | length' "$T/audit.stopped")" -ge 1 ]
    jq -e -s 'any(.[]; .counts? == "lower_bound")' "$T/audit.jsonl" >/dev/null
    [ "$(jq -r 'select(.event == "verdict") | "\(.phase).\(.attempt) \(.passed)"' "$T/journal.jsonl")" = "work.2 true" ]
    no_agent_left "$W/a"
    [ "$(cat "$WS/done")" = ok ]
}

@test "t_res_09_a_state_directory_that_is_read_only_is_refused_before_anything_starts" {
    agent a <<<'echo ran >done'
    one_phase a ./p.json '{"type":"file","path":"done"}'
    cat >"$T/inside" <<'END'
#!/bin/bash
mount -t tmpfs -o ro none "$STATE" || exit 90
"$ORCH" run --workspace "$WS" --state "$STATE" "$W/workflow.json" </dev/null
echo "run $?"
END
    chmod 0755 "$T/inside"
    export W ORCH WS STATE T
    run timeout -k 5 60 bash -c "$(declare -f alone); alone $T/inside" 3>&-
    orch_say
    grep -qx 'run 10' <<<"$output"
    unchanged
}
