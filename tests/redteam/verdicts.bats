#!/usr/bin/env bats
# What must not reach a verdict, a log or the workspace although every phase seems right.
load ../lib/runs

setup() {
    runs_setup
    echo '{"schema":1,"name":"free","extends":"plan","widen":"for the test","tools":["@parent","sh"],"create":["@parent","symlink"]}' >"$FLOW/free.json"
    PROFILE=./free.json
}
teardown() { runs_teardown; }

# gates JSON: a workflow of one phase with these gates and, after it, MEMBERS of the workflow.
gates() {
    printf '{"schema":1,"name":"test","agent":{"command":["./agent.sh"]}%s,"phases":[{"name":"one","profile":"%s","gates":%s}]}\n' \
        "${2:+,$2}" "$PROFILE" "$1" >"$FLOW/workflow.json"
}

@test "t_gate_09_directory_given_to_restore_or_protect_covers_what_is_in_it" {
    mkdir "$WS/tests"
    echo good >"$WS/tests/t"
    agent <<<'echo bad >tests/t; echo new >tests/n'
    gates '[{"type":"command","run":["grep","-qx","good","tests/t"],"restore":["tests"]}]'
    drive --no-apply
    ended 0
    again
    gates '[{"type":"command","run":["true"],"protect":["tests"]}]'
    drive
    ended 1
    [ "$(verdict 'gates[0].verdict')" = integrity ]
    again # control: without either, the gate sees the agent's file
    gates '[{"type":"command","run":["grep","-qx","good","tests/t"]}]'
    drive
    ended 1
}

@test "t_aud_09_secret_of_one_phase_stands_in_no_file_whoever_prints_it" {
    export TEST_SECRET=hunter2-$RANDOM$RANDOM
    cat >"$FLOW/first.sh" <<'END'
#!/bin/sh
echo "$TEST_SECRET" >>secretfile; echo "$TEST_SECRET"; touch "x-$TEST_SECRET"
END
    cat >"$FLOW/second.sh" <<'END'
#!/bin/sh
cat secretfile; mkdir "/usr/$(cat secretfile)"; exit 0
END
    chmod 0755 "$FLOW"/*.sh
    cat >"$FLOW/workflow.json" <<END
{"schema":1,"name":"test","phases":[
 {"name":"one","profile":"$PROFILE","agent":{"command":["./first.sh"],"pass_env":["TEST_SECRET"]},
  "gates":[{"type":"any","gates":[{"type":"changes","allow":["none"]},{"type":"file","path":"secretfile"}]}]},
 {"name":"two","profile":"$PROFILE","agent":{"command":["./second.sh"]},"gates":[{"type":"file","path":"secretfile"}]},
 {"name":"three","agent":null,"gates":[{"type":"command","run":["cat","secretfile"]},{"type":"changes","allow":["none"]}]}]}
END
    drive
    ended 0
    refute grep -qF "$TEST_SECRET" <<<"$output"
    refute grep -rlaF "$TEST_SECRET" "$STATE/runs/$RUN/journal.jsonl" "$STATE/runs/$RUN/audit.jsonl" "$STATE/runs/$RUN/logs" "$STATE/runs/$RUN/inputs"
    # control: it was there to be printed
    grep -qaF "$TEST_SECRET" "$STATE/runs/$RUN/layers/one.1/upper/secretfile"
}

@test "t_res_03_time_of_the_workflow_bounds_gates_and_is_not_judged" {
    agent <<<'echo x >out'
    gates '[{"type":"command","run":["sleep","200"]}]' '"timeout":"2s"'
    SECONDS=0
    drive
    [ "$SECONDS" -lt 100 ]
    [ "$status" -ne 0 ]
    [ "$(verdict 'gates[0].verdict')" = error ]
    again
    agent <<<'echo x >out; sleep 30'
    printf '{"schema":1,"name":"test","timeout":"2s","agent":{"command":["./agent.sh"]},"phases":[%s]}\n' \
        "$(phase one out 20s '"on_timeout":"judge"')" >"$FLOW/workflow.json"
    drive
    ended 4
    [ "$(verdict end)" = limit:workflow ]
    again # control: the phase's own limit is judged
    workflow "$(phase one out 1s '"on_timeout":"judge"')"
    drive
    ended 0
}

@test "split_git_directory_and_changed_git_file_are_unsafe" {
    agent <<'END'
mkdir -p evil evil2/refs evil2/objects
echo 'ref: refs/heads/m' >evil/HEAD; echo ../evil2 >evil/commondir; echo '[core]' >evil2/config; echo x >out
END
    workflow "$(phase one out)"
    drive
    ended 1
    [ "$(journal 'select(.event == "end") | .verdict')" = unsafe ]
    [ ! -e "$WS/evil" ]
    again # control: the same files that make no repository are applied
    agent <<<'mkdir -p evil evil2/refs; echo x >evil/HEAD; echo x >evil2/config; echo x >out'
    drive
    ended 0
    [ -e "$WS/evil/HEAD" ]
}

@test "file_changed_by_both_is_kept_although_changes_to_it_are_ignored" {
    echo start >"$WS/run.log"
    agent <<<'echo agent >run.log; echo x >out; echo waiting; sleep 2'
    gates '[{"type":"file","path":"out"}]' '"ignore_changes":["*.log"]'
    start
    wait_until grep -qs waiting "$STATE/runs/$RUN/logs/one.1.out"
    echo mine >"$WS/run.log"
    status=0
    wait "$supervisor" || status=$?
    [ "$status" -eq 9 ]
    grep -q run.log "$T/out"
    [ "$(cat "$WS/run.log")" = mine ]
    [ ! -e "$WS/out" ]
}

@test "edit_after_a_crash_in_apply_is_a_conflict_and_kept" {
    for i in $(seq 3000); do echo old >"$WS/f$i"; done
    agent <<<'for f in f*; do echo new >$f; done'
    workflow "$(phase one f1)"
    start
    wait_until grep -qs '"intent"' "$STATE/runs/$RUN/journal.jsonl"
    kill -KILL "$supervisor"
    wait "$supervisor" || :
    edited=$(grep -lx old "$WS"/f* | tail -n 1)
    [ -n "$edited" ] || skip "the kill came after the last write"
    sleep 0.05
    echo mine >"$edited"
    run "$ORCH" resume --state "$STATE" "$RUN"
    [ "$status" -eq 9 ]
    [ "$(cat "$edited")" = mine ]
    rm "$edited" # a deletion is an edit too
    run "$ORCH" resume --state "$STATE" "$RUN"
    [ "$status" -eq 9 ]
    [ ! -e "$edited" ]
    run "$ORCH" apply --theirs-kept --state "$STATE" "$RUN" # control: the rest goes on
    [ "$status" -eq 0 ]
    [ ! -e "$edited" ]
    [ "$(cat "$WS"/f* | sort -u)" = new ]
}

@test "t_ph_05_second_run_waits_for_the_one_that_applies" {
    agent <<<'echo x >out'
    workflow "$(phase one out)"
    exec 7<"$WS"
    flock 7
    drive
    [ "$status" -eq 9 ]
    [ ! -e "$WS/out" ]
    exec 7<&-
    run "$ORCH" resume --state "$STATE" "$RUN"
    ended 0
    [ -e "$WS/out" ]
}

@test "t_aud_06_forged_end_of_the_journal_is_found" {
    agent <<<'exit 0'
    workflow "$(phase one out)"
    drive
    ended 1
    sed -i '$s/"verdict":"failed"/"verdict":"passed"/; $s/"exit":1/"exit":0/' "$STATE/runs/$RUN/journal.jsonl"
    run "$ORCH" verify --state "$STATE" "$RUN"
    [ "$status" -eq 7 ]
    run "$ORCH" resume --state "$STATE" "$RUN"
    [ "$status" -eq 7 ]
}
