#!/usr/bin/env bats
# T-AUD-03, T-AUD-10: floods of denials, of one kind and of countless kinds, from many threads and processes at once: counted
# exactly, in a log of bounded size, while the agent's other work and the operator's commands go on.
load ../lib/common
load ../lib/workflow

setup_file() { need_sandbox; }

setup() {
    orch_setup
    workflow_setup
    cp "$HELPERS/flood" "$T/flood"
    profile p "{\"schema\":1,\"name\":\"flood\",\"extends\":\"plan\",\"widen\":\"test\",\"tools\":[\"@parent\",{\"name\":\"flood\",\"path\":\"$T/flood\"}],
        \"limits\":{\"pids\":512},\"filesystem\":[{\"path\":\"\${workspace}/none\",\"access\":\"none\"}]}"
    mkdir "$WS/none"
    echo secret >"$WS/none/secret"
}

teardown() {
    [ -z "${pid:-}" ] || kill -KILL "$pid" 2>/dev/null || :
    orch_teardown
}

CALLS=${ORCH_FLOOD:-40000}   # of each shape; names are 4 KiB, so a ninth of them is beyond the cap

# denials FILTER: how many calls, of the records that it selects; lines FILTER: how many records
denials() { jq -s "[.[] | select(.event == \"denial\" and ($1)) | .count] | add // 0" "$RUNDIR/audit.jsonl"; }
lines() { jq -s "[.[] | select(.event == \"denial\" and ($1))] | length" "$RUNDIR/audit.jsonl"; }
printed() { grep -qx -- "$1" "$RUNDIR/logs/work.1.out" || { cat "$RUNDIR/logs/work.1.out"; return 1; }; }

# looks: the operator's commands answer while the agent floods; how often is left in $T/looks
looks() {
    local n=0
    while kill -0 "$pid" 2>/dev/null; do
        timeout 20 "$ORCH" status --state "$STATE" "$RUN" >"$T/status" 2>&1 || kill -0 "$pid" 2>/dev/null && n=$((n + 1))
        sleep 0.2
    done
    echo "$n" >"$T/looks"
}

@test "t_aud_03_a_flood_of_one_denial_is_exact_and_bounded_and_the_run_is_healthy" {
    agent a <<END
flood same "\$ORCH_WORKSPACE/none/secret" $CALLS 1 8 &
flood same "\$ORCH_WORKSPACE/none/secret" $CALLS 50 1 &
i=0
while [ \$i -lt 200 ]; do i=\$((i + 1)); echo \$i >file\$i || exit 1; done
wait
echo all >done
END
    one_phase a ./p.json '{"type":"file","path":"done"},{"type":"file","path":"file200"},{"type":"denials","class":"exec","max":0}' '"timeout":"10m"' \
        '"max_denials":1000000000'
    orch_start
    looks
    orch_wait
    [ "$status" -eq 0 ]
    printed "same: asked $CALLS, refused $CALLS"
    [ "$(denials true)" -eq "$((2 * CALLS))" ]
    [ "$(denials '.path == "'"$WS"'/none/secret" and .class == "filesystem" and .errno == "ENOENT"')" -eq "$((2 * CALLS))" ]
    # One line for the first of each key, and one a second for the rest.
    seconds=$(jq -s '(last.time[0:19] + "Z" | fromdate) - (first.time[0:19] + "Z" | fromdate) + 2' "$RUNDIR/audit.jsonl")
    echo "records $(lines true) in $seconds s, bytes $(stat -c %s "$RUNDIR/audit.jsonl"), looks $(cat "$T/looks")"
    [ "$(lines true)" -le "$((2 * seconds))" ]
    [ "$(cat "$T/looks")" -ge 1 ]
    timeout 60 "$ORCH" verify --state "$STATE" "$RUN"
    "$ORCH" audit --state "$STATE" "$RUN" | grep -q "$((2 * CALLS))"
    [ "$(cat "$WS/done")" = all ]
}

@test "t_aud_03_beyond_the_cap_the_number_left_out_is_exact_by_class" {
    n=$((CALLS / 9 < 20000 ? CALLS / 9 : 20000))
    agent a <<END
flood distinct "\$ORCH_WORKSPACE/none" $n 1 8
flood programs "\$ORCH_WORKSPACE/none" $n 50 1 &
flood calls - $n 10 2 &
wait
END
    one_phase a ./p.json '' '"timeout":"10m","reason":"the test looks"' '"max_denials":1000000000'
    orch_run
    [ "$status" -eq 0 ]
    for kind in distinct programs calls; do printed "$kind: asked $n, refused $n"; done
    for class in filesystem exec syscall; do
        echo "$class: $(denials ".class == \"$class\"") of $n, left out: $(denials ".class == \"$class\" and .path == null and .syscall == null")"
        [ "$(denials ".class == \"$class\"")" -eq "$n" ]
    done
    # The cap was reached; what it left out is one line a class, and what is of one kind is told as such all the same.
    for class in filesystem exec; do
        [ "$(lines ".class == \"$class\" and .detail == \"distinct denials beyond the cap\"")" -eq 1 ]
        [ "$(denials ".class == \"$class\" and .detail == \"distinct denials beyond the cap\"")" -eq \
            "$((n - $(lines ".class == \"$class\" and .path != null")))" ]
    done
    [ "$(lines '.class == "syscall" and .syscall == "mount"')" -ge 1 ]
    [ "$(stat -c %s "$RUNDIR/audit.jsonl")" -lt $((64 << 20)) ]
    timeout 60 "$ORCH" verify --state "$STATE" "$RUN"
}

@test "max_denials_ends_the_run_at_exactly_one_more" {
    # Three shapes of a flood, each far beyond the budget.
    for shape in "1 1" "1 8" "50 1"; do
        rm -rf "${WS:?}"/done
        agent a <<END
flood same "\$ORCH_WORKSPACE/none/secret" 60000 $shape
echo went-on >done
END
        one_phase a ./p.json '' '"reason":"the test looks"' '"max_denials":1000'
        orch_run
        echo "shape $shape: $(denials true)"
        [ "$status" -eq 6 ]
        [ "$(denials true)" -eq 1001 ]
        [ ! -e "$WS/done" ]
        [ "$(jq -r 'select(.event == "end") | "\(.exit)"' "$RUNDIR/journal.jsonl")" = 6 ]
        orch_resume
        [ "$status" -eq 6 ]
        no_agent_left "$WS/none/secret"
    done
    # The control: a budget that suffices.
    agent a <<END
flood same "\$ORCH_WORKSPACE/none/secret" 1000 50 1
END
    orch_run
    [ "$status" -eq 0 ]
    [ "$(denials true)" -eq 1000 ]
}

@test "a_flood_holds_up_neither_cancel_nor_the_wall_limit" {
    agent a <<END
echo begun
flood same "\$ORCH_WORKSPACE/none/secret" 1000000000 50 2
END
    one_phase a ./p.json '' '"timeout":"10m","reason":"the test looks"' '"max_denials":1000000000000'
    orch_start
    until_printed begun
    sleep 1
    run timeout 30 "$ORCH" cancel --state "$STATE" "$RUN" 3>&-
    orch_say
    orch_wait
    [ "$status" -eq 143 ]
    [ "$(denials true)" -gt 1000 ]
    timeout 60 "$ORCH" verify --state "$STATE" "$RUN"
    no_agent_left "$WS/none/secret"
    one_phase a ./p.json '' '"timeout":"2s","reason":"the test looks"' '"max_denials":1000000000000'
    orch_run
    [ "$status" -eq 4 ]
    [ "$(denials true)" -gt 1000 ]
    no_agent_left "$WS/none/secret"
}
