#!/usr/bin/env bats
# DR-08, DR-09: a supervisor killed at any instant leaves no agent, loses nothing recorded, and resumes to the same verdict.
load ../lib/runs

setup() {
    runs_setup
    echo original >"$WS/kept"
    echo gone >"$WS/removed"
    mkdir "$T/undisturbed"
    cp -a "$WS/." "$T/undisturbed"
}
teardown() { runs_teardown; }

# worker PHASE N: each phase does its part, and phase PHASE hangs in the middle of it in its first N attempts.
worker() {
    agent <<END
echo "start \$ORCH_PHASE" >>log.txt
if [ "\$ORCH_PHASE" = '$1' ] && [ "\$ORCH_ATTEMPT" -le '$2' ]; then
    echo half >"half-\$ORCH_ATTEMPT"
    cat /etc/shadow /nonexistent 2>/dev/null
    echo hanging
    sleep 300 & sleep 300
fi
case \$ORCH_PHASE in
one) mkdir dir; echo one >dir/one.txt; chmod 600 kept ;;
two) cp dir/one.txt two.txt; rm removed ;;
three) ln -s two.txt three.txt ;;
esac
END
    echo '{"schema":1,"name":"links","extends":"plan","widen":"links","create":["@parent","symlink"]}' >"$FLOW/profile.json"
    PROFILE=./profile.json
    workflow "$(phase one dir/one.txt)" "$(phase two two.txt)" "$(phase three dir/one.txt)"
}

# hangs PHASE.N: the agent of that attempt has got so far
hangs() {
    grep -qs hanging "$STATE/runs/$RUN/logs/$1.out"
}

# kill_supervisor: at once; the agent's tree dies within a second, on a machine that has one to spare.
kill_supervisor() {
    local began=${EPOCHREALTIME/./} took
    kill -KILL "$supervisor" 2>/dev/null || : # it may have come to its end just now
    wait "$supervisor" 2>/dev/null || :
    until [ -z "$(processes)" ]; do
        took=$((${EPOCHREALTIME/./} - began))
        [ "$took" -lt 10000000 ] || { echo "still there after $took us: $(processes)"; return 1; }
    done
}

resume() {
    run timeout -k 5 60 "$ORCH" resume --state "$STATE" "$@" "$RUN" </dev/null
}

start_resume() {
    "$ORCH" resume --state "$STATE" "$RUN" >"$T/out" 2>&1 </dev/null 3>&- &
    supervisor=$!
}

# same_as_undisturbed CODE: a run of the same workflow on the same files, left alone, comes to the same end.
same_as_undisturbed() {
    local name=$RUN before after
    before=$(manifest "$WS")
    RUN=undisturbed
    run timeout -k 5 60 "$ORCH" run --workspace "$T/undisturbed" --state "$STATE" --run-id "$RUN" "$FLOW/workflow.json" </dev/null
    echo "undisturbed: $status, $(attempts)"
    [ "$status" -eq "$1" ]
    RUN=$name
    after=$(manifest "$T/undisturbed")
    diff <(echo "$before") <(echo "$after")
}

starts() {
    audit 'select(.event == "attempt" and .state == "start") | "\(.phase).\(.attempt)"' | paste -sd' '
}

@test "undisturbed_run_passes" {
    worker none 0
    drive
    ended 0
    [ "$(starts)" = 'one.1 two.1 three.1' ]
    same_as_undisturbed 0
    [ "$(cat "$WS/log.txt")" = $'start one\nstart two\nstart three' ]
    [ ! -e "$WS/removed" ]
}

@test "t_ph_15_killed_in_the_second_phase" {
    worker two 1
    manifest "$WS" >"$T/before"
    start
    wait_until hangs two.1
    [ "$(processes | wc -l)" -ge 4 ] # supervisor, init, the agent, its children
    kill_supervisor
    manifest "$WS" | cmp - "$T/before"
    run timeout 10 "$ORCH" status --state "$STATE" "$RUN"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "$output" == *two* ]]
    run timeout 10 "$ORCH" status --state "$STATE" --json "$RUN"
    [ "$status" -eq 0 ]
    jq -e . <<<"$output" >/dev/null
    run timeout 10 "$ORCH" verify --state "$STATE" "$RUN"
    [ "$status" -eq 0 ]

    resume
    ended 0
    [ "$(starts)" = 'one.1 two.1 two.2 three.1' ]
    [ "$(attempts)" = 'one.1 two.1 two.2 three.1' ]
    [ "$(journal 'select(.event == "interrupted") | "\(.phase).\(.attempt)"')" = two.1 ]
    [ "$(journal 'select(.event == "verdict") | .phase' | paste -sd' ')" = 'one two three' ]
    worker none 0
    same_as_undisturbed 0
    [ ! -e "$WS/half-1" ]
}

@test "killed_in_the_first_phase" {
    worker one 1
    start
    wait_until hangs one.1
    kill_supervisor
    resume
    ended 0
    [ "$(starts)" = 'one.1 one.2 two.1 three.1' ]
    worker none 0
    same_as_undisturbed 0
}

@test "two_kills_in_a_row" {
    worker two 2
    start
    wait_until hangs two.1
    kill_supervisor
    start_resume
    wait_until hangs two.2
    kill_supervisor
    resume
    ended 0
    [ "$(starts)" = 'one.1 two.1 two.2 two.3 three.1' ]
    # What is spent does not come back: time and denials only grow.
    journal .spent_ms | sort -nc
    journal .denials | sort -nc
    [ "$(journal .spent_ms | tail -n 1)" -gt 0 ]
    worker none 0
    same_as_undisturbed 0
}

@test "interrupted_attempt_does_not_count" {
    # Two attempts, and both fail: the one that was cut off is not among them.
    worker two 1
    sed -i 's/cp dir.*two.txt;/:;/' "$FLOW/agent.sh"
    workflow "$(phase one dir/one.txt)" "$(phase two two.txt 30s '"attempts":2')"
    start
    wait_until hangs two.1
    kill_supervisor
    resume
    ended 1
    [ "$(starts)" = 'one.1 two.1 two.2 two.3' ]
    [ "$(journal 'select(.event == "verdict" and .phase == "two") | .attempt' | paste -sd' ')" = '2 3' ]
    [ "$(cat "$WS/kept")" = original ]
    [ ! -e "$WS/dir" ]
}

@test "t_aud_07_interrupted_attempt_says_that_its_counts_are_a_lower_bound" {
    worker two 1
    start
    wait_until hangs two.1
    kill_supervisor
    resume
    ended 0
    [ "$(audit 'select(.event == "attempt" and .phase == "two" and .attempt == 1 and .state != "start") | .counts')" = lower_bound ]
    [ "$(audit 'select(.event == "attempt" and .phase == "two" and .attempt == 2 and .state == "end") | .counts')" = exact ]
}

@test "killed_while_a_gate_judges" {
    worker none 0
    workflow "$(phase one dir/one.txt)" \
        '{"name":"two","profile":"./profile.json","gates":[{"type":"command","run":["sh","-c","echo judging; sleep 1; test -e two.txt"]}]}'
    start
    judges() { grep -qsr judging "$STATE/runs/$RUN/logs"; }
    wait_until judges
    kill_supervisor
    resume
    ended 0
    [ "$(starts)" = 'one.1 two.1 two.2' ]
    [ "$(audit 'select(.event == "gate" and .phase == "two") | "\(.attempt) \(.verdict)"')" = '2 pass' ]
    same_as_undisturbed 0
}

@test "killed_at_arbitrary_instants" {
    agent <<'END'
for i in 1 2 3 4 5; do sleep 0.02; echo "$ORCH_PHASE $i" >>"$ORCH_PHASE.txt"; done
END
    workflow "$(phase one one.txt)" "$(phase two two.txt)" "$(phase three three.txt)"
    start
    begun() { grep -qs '"event":"run"' "$STATE/runs/$RUN/journal.jsonl"; }
    wait_until begun
    killed=0
    while [ "$killed" -lt 8 ]; do
        sleep "0.$((RANDOM % 150 + 130))"
        kill -0 "$supervisor" 2>/dev/null || break
        kill_supervisor
        killed=$((killed + 1))
        start_resume
    done
    echo "killed $killed times"
    [ "$killed" -ge 1 ]
    wait "$supervisor" || { cat "$T/out"; return 1; }
    resume # says it once more
    ended 0
    [ "$(journal 'select(.event == "verdict" and .passed) | .phase' | paste -sd' ')" = 'one two three' ]
    same_as_undisturbed 0
}

@test "resume_of_a_finished_run_says_the_same_again" {
    worker none 0
    drive
    ended 0
    cp "$STATE/runs/$RUN/journal.jsonl" "$T/journal"
    resume
    ended 0
    [[ "$output" == *verdict* ]]
    cmp "$T/journal" "$STATE/runs/$RUN/journal.jsonl"

    agent <<<'exit 0'
    again
    workflow "$(phase one never)" "$(phase two never)"
    drive
    ended 1
    resume
    ended 1
    [ "$(starts)" = one.1 ]

    agent <<<'sleep 60'
    again
    workflow "$(phase one never 200ms)"
    drive
    ended 4
    resume
    ended 4
}

@test "t_ph_05_second_supervisor_is_refused" {
    worker one 1
    start
    wait_until hangs one.1
    resume
    echo "$output"
    [ "$status" -eq 9 ]
    drive # the same name again
    echo "$output"
    [ "$status" -ne 0 ]
    hangs one.1
    kill -0 "$supervisor" # nothing was disturbed
    kill_supervisor
    resume
    ended 0
}

@test "t_aud_07_torn_last_record_is_not_tampering" {
    worker two 1
    start
    wait_until hangs two.1
    kill_supervisor
    printf '{"v":1,"seq":99,"ti' >>"$STATE/runs/$RUN/journal.jsonl"
    printf '{"v":1,"seq":99,"ti' >>"$STATE/runs/$RUN/audit.jsonl"
    run timeout 10 "$ORCH" status --state "$STATE" "$RUN"
    [ "$status" -eq 0 ]
    resume
    ended 0
    worker none 0
    same_as_undisturbed 0
}

@test "t_aud_06_tampering_is_found_and_stops_the_run" {
    worker two 1
    start
    wait_until hangs two.1
    kill_supervisor
    cp -R "$STATE/runs/$RUN"/{journal.jsonl,audit.jsonl,inputs} "$T/"
    dir=$STATE/runs/$RUN
    # tampered FILE SED-SCRIPT
    tampered() {
        cp "$T/$1" "$T/new"
        sed -i "$2" "$T/new"
        refute cmp -s "$T/new" "$T/$1"
        cat "$T/new" >"$dir/$1"
        run timeout 10 "$ORCH" verify --state "$STATE" "$RUN"
        echo "$1 $2 -> verify $status: $output"
        [ "$status" -eq 7 ]
        resume
        echo "resume $status: $output"
        [ "$status" -eq 7 ]
        [ "$(starts)" != 'one.1 two.1 two.2' ]
        cat "$T/$1" >"$dir/$1"
    }
    tampered journal.jsonl '/"event":"verdict"/s/"passed":true/"passed":True/'
    tampered journal.jsonl '/"event":"verdict"/s/"denials":0/"denials":1/'
    tampered journal.jsonl '2d'
    tampered journal.jsonl '1{h;d};2G'
    tampered journal.jsonl '3p'
    tampered audit.jsonl '2s/one/two/'
    tampered audit.jsonl '3d'
    tampered inputs/workflow.json 's/two\.txt/one.txt/'
    # A layer that goes on, changed behind our back.
    echo forged >"$dir/layers/one.1/upper/dir/one.txt"
    resume
    echo "$output"
    [ "$status" -eq 7 ]
    run timeout 10 "$ORCH" verify --state "$STATE" "$RUN"
    [ "$status" -eq 7 ]
    printf 'one\n' >"$dir/layers/one.1/upper/dir/one.txt"
    resume
    ended 0
}

@test "workspace_changed_between_kill_and_resume_is_a_conflict" {
    worker two 1
    start
    wait_until hangs two.1
    kill_supervisor
    echo changed >"$WS/kept"
    resume
    echo "$output"
    [ "$status" -eq 9 ]
    [[ "$output" == *kept* ]]
    [ "$(cat "$WS/kept")" = changed ]
    [ ! -e "$WS/dir" ]
}

@test "run_killed_before_it_began_leaves_its_name_free_and_one_that_began_does_not" {
    worker one 0
    mkdir -p "$STATE/runs/$RUN/layers" "$STATE/runs/$RUN/logs"
    printf '{"v":1,"seq":1,"ti' >"$STATE/runs/$RUN/journal.jsonl"
    drive
    ended 0
    rm "$STATE/runs/$RUN/journal.jsonl" # control: its layers show that it did begin
    drive
    [ "$status" -eq 2 ]
    [ -d "$STATE/runs/$RUN/layers/one.1" ]
}
