#!/usr/bin/env bats
# DR-06, DR-08: a person decides where a person must: approvals bound to the layer, suspend, cancel, what becomes of a
# conflict; and nothing else than that person does. Overrides are refused unless asked for in operator mode, and named.
load ../lib/common
load ../lib/workflow

setup_file() { need_sandbox; }

setup() {
    orch_setup
    workflow_setup
}

teardown() { orch_teardown; }

# release APPROVAL-GATE [MEMBERS]: one phase makes a file, the next, without an agent, asks a person.
release() {
    agent maker <<<'echo "$ORCH_ATTEMPT" >"$ORCH_WORKSPACE/made"; cat "$ORCH_PROMPT"; exit 0'
    cat >"$W/workflow.json" <<JSON
{"schema": 1, "name": "release", "agent": {"command": ["./maker"]},
 "phases": [
   {"name": "make", "profile": "plan", "gates": [{"type": "file", "path": "made"}]},
   {"name": "release", "agent": null, "gates": [$1] ${2:+, $2}}]}
JSON
}

# asks [MEMBERS]: the agent's own phase asks a person.
asks() {
    agent maker <<<'echo "$ORCH_ATTEMPT" >"$ORCH_WORKSPACE/made"; cat "$ORCH_PROMPT"; exit 0'
    one_phase maker plan '{"type": "file", "path": "made"}, {"type": "approval", "name": "ok", "prompt": "Ship it?"}' "$@"
}

status_json() { "$ORCH" status --state "$STATE" --json "$RUN"; }
digest() { status_json | jq -r .digest; }
journal() { jq -r "$1" "$RUNDIR/journal.jsonl"; }
starts() { jq -r 'select(.event == "attempt" and .state == "start") | "\(.phase).\(.attempt)"' "$RUNDIR/audit.jsonl" | paste -sd' '; }

# op VERB [ARGUMENT...]: a verb about $RUN
op() {
    local verb=$1
    shift
    run timeout 60 "$ORCH" "$verb" --state "$STATE" "$@" 3>&- </dev/null
    orch_say
}

verified() {
    op verify "$RUN"
    [ "$status" -eq 0 ]
}

# ---- approval ----

@test "approval_waits_and_the_approved_layer_is_what_is_applied" {
    release '{"type": "approval", "name": "ok", "prompt": "Ship it?"}'
    orch_run
    [ "$status" -eq 5 ]
    [ ! -e "$WS/made" ]
    d=$(digest)
    [[ "$d" =~ ^[0-9a-f]{64}$ ]]
    [[ "$output" == *"$d"* ]]                      # run prints what is to be approved
    [[ "$output" == *"Ship it?"* ]]
    [ "$(status_json | jq -r '.pending[0] | "\(.phase)/\(.gate) \(.digest) \(.decision)"')" = "release/ok $d waits" ]
    verified

    orch_resume                                     # nobody decided: still waiting, nothing runs
    [ "$status" -eq 5 ]
    [ "$(starts)" = "make.1 release.1" ]

    op approve "$RUN" release/ok --digest "$d" --reason "looked at it"
    [ "$status" -eq 0 ]
    [ ! -e "$WS/made" ]                             # an approval moves nothing by itself
    verified
    orch_resume
    [ "$status" -eq 0 ]
    [ "$(cat "$WS/made")" = 1 ]
    [ "$(starts)" = "make.1 release.1" ]            # and nothing ran again
    [ "$(status_json | jq -r .verdict)" = passed ]  # an approval is no override
    [[ "$(journal 'select(.event == "verdict" and .phase == "release") | .gates[0].reason')" == approved*looked* ]]
    verified
}

@test "t_ph_08_an_approval_is_bound_to_the_layer_and_the_gate" {
    asks
    orch_run
    [ "$status" -eq 5 ]
    d=$(digest)
    wrong=$(printf 'a%.0s' $(seq 64))
    op approve "$RUN" work/ok --digest "$wrong" --reason x
    [ "$status" -eq 9 ]
    [[ "$output" == *"$d"* ]]
    op approve "$RUN" work/ok --reason x
    [ "$status" -eq 2 ]
    op approve "$RUN" work/ok --digest "$d"
    [ "$status" -eq 2 ]
    op approve "$RUN" work/ok --digest "$d" --reason " "
    [ "$status" -eq 2 ]
    for target in work/file-1 work/nothing other/ok work ok ''; do
        op approve "$RUN" "$target" --digest "$d" --reason x
        [ "$status" -eq 2 ]
    done
    orch_resume
    [ "$status" -eq 5 ]
    # The layer changed behind the approval: the run is corrupt, not approved.
    op approve "$RUN" work/ok --digest "$d" --reason x
    [ "$status" -eq 0 ]
    echo forged >"$RUNDIR/layers/work.1/upper/made"
    orch_resume
    [ "$status" -eq 7 ]
    [ ! -e "$WS/made" ]
    printf '1\n' >"$RUNDIR/layers/work.1/upper/made" # control
    orch_resume
    [ "$status" -eq 0 ]
    [ "$(cat "$WS/made")" = 1 ]
}

@test "t_ph_08_an_approval_of_one_attempt_is_none_of_the_next" {
    release '{"type": "approval", "name": "ok"}' '"on_fail": {"goto": "make", "times": 1}'
    agent maker <<<'echo "$ORCH_ATTEMPT" >"$ORCH_WORKSPACE/made"'
    orch_run
    [ "$status" -eq 5 ]
    first=$(digest)
    op reject "$RUN" release/ok --digest "$first" --reason "not like this"
    [ "$status" -eq 0 ]
    orch_resume
    [ "$status" -eq 5 ]
    [ "$(starts)" = "make.1 release.1 make.2 release.2" ]
    second=$(digest)
    [ "$first" != "$second" ]                       # the same empty layer, on another tree
    op approve "$RUN" release/ok --digest "$first" --reason x
    [ "$status" -eq 9 ]
    op approve "$RUN" release/ok --digest "$second" --reason x
    [ "$status" -eq 0 ]
    orch_resume
    [ "$status" -eq 0 ]
    [ "$(cat "$WS/made")" = 2 ]
}

@test "a_rejection_fails_the_attempt_and_its_reason_reaches_the_next_one" {
    asks '"attempts": 2'
    orch_run
    [ "$status" -eq 5 ]
    op reject "$RUN" work/ok --digest "$(digest)" --reason $'use \e[31mtabs\nok'
    [ "$status" -eq 0 ]
    op reject "$RUN" work/ok --digest "$(digest)" --reason again
    [ "$status" -eq 9 ]
    op approve "$RUN" work/ok --digest "$(digest)" --reason "changed my mind"
    [ "$status" -eq 9 ]
    orch_resume
    [ "$status" -eq 5 ]
    [ "$(starts)" = "work.1 work.2" ]
    grep -qF 'rejected by' "$RUNDIR/logs/work.2.out"
    grep -qF 'u001b[31mtabs' "$RUNDIR/logs/work.2.out"
    refute grep -q $'\e' "$RUNDIR/logs/work.2.out"
    op reject "$RUN" work/ok --digest "$(digest)" --reason no
    orch_resume
    [ "$status" -eq 1 ]
    [ ! -e "$WS/made" ]
    [ "$(journal 'select(.event == "verdict") | .passed' | paste -sd' ')" = "false false" ]
    verified
}

@test "t_ph_08_silence_end_of_input_and_time_are_not_approval" {
    agent maker <<<'echo 1 >"$ORCH_WORKSPACE/made"; llm-request-approval please; yes | head -n 1000'
    one_phase maker plan '{"type": "approval", "name": "ok", "timeout": "1s"}'
    orch_run
    [ "$status" -eq 5 ]
    d=$(digest)
    [ "$(jq -r 'select(.event == "control") | .cmd' "$RUNDIR/audit.jsonl")" = request-approval ] # recorded, no more
    sleep 1.2
    op approve "$RUN" work/ok --digest "$d" --reason late
    [ "$status" -eq 4 ]
    orch_resume
    [ "$status" -eq 1 ]
    [[ "$output" == *"nobody approved"* ]]
    [ ! -e "$WS/made" ]
    verified
}

@test "approvals_combine_with_other_gates" {
    agent maker <<<'echo 1 >"$ORCH_WORKSPACE/made"'
    # Another gate failed: nobody is asked.
    one_phase maker plan '{"type": "file", "path": "never"}, {"type": "approval", "name": "ok"}'
    orch_run
    [ "$status" -eq 1 ]
    # any: the check passed, so the approval is not needed.
    one_phase maker plan '{"type": "any", "gates": [{"type": "file", "path": "made"}, {"type": "approval", "name": "ok"}]}'
    orch_run
    [ "$status" -eq 0 ]
    rm "$WS/made"
    # any: it failed, so a person may stand in; all: both are needed.
    one_phase maker plan '{"type": "any", "name": "either", "gates": [{"type": "file", "path": "never"}, {"type": "approval", "name": "ok"}]},
        {"type": "all", "gates": [{"type": "approval", "name": "second"}, {"type": "file", "path": "made"}]}'
    orch_run
    [ "$status" -eq 5 ]
    op approve "$RUN" work/ok --digest "$(digest)" --reason "good enough"
    [ "$status" -eq 0 ]
    orch_resume
    [ "$status" -eq 5 ]                             # one of two
    op approve "$RUN" work/second --digest "$(digest)" --reason "so be it"
    [ "$status" -eq 0 ]
    orch_resume
    [ "$status" -eq 0 ]
    [ -e "$WS/made" ]
    [ "$(journal 'select(.event == "verdict") | [.gates[].verdict] | join(" ")')" = "pass fail pass pass pass pass" ]
    verified
}

@test "an_approval_survives_a_kill_and_a_kept_layer_is_not_lost" {
    asks
    orch_run
    [ "$status" -eq 5 ]
    op approve "$RUN" work/ok --digest "$(digest)" --reason x
    # A torn record behind it, as a crash leaves it.
    printf '{"v":1,"seq":99' >>"$RUNDIR/journal.jsonl"
    orch_resume
    [ "$status" -eq 0 ]
    [ "$(starts)" = "work.1" ]
    verified
}

@test "nobody_inside_can_approve" {
    echo '{"schema":1,"name":"op","extends":"plan","widen":"the supervisor itself as a tool","tools":["@parent",{"name":"orch-sandbox","path":"'"$ORCH"'"}]}' >"$W/op.json"
    agent maker <<END
echo 1 >"\$ORCH_WORKSPACE/made"
orch-sandbox approve --state '$STATE' r1 work/ok --digest $(printf 'a%.0s' $(seq 64)) --reason x; echo "approve \$?"
orch-sandbox cancel --state '$STATE' r1; echo "cancel \$?"
orch-sandbox discard --state '$STATE' r1; echo "discard \$?"
orch-sandbox suspend --state '$STATE' r1; echo "suspend \$?"
END
    one_phase maker ./op.json '{"type": "approval", "name": "ok"}'
    orch_run
    [ "$status" -eq 5 ]
    for verb in approve cancel discard suspend; do
        grep -qx "$verb 3" "$RUNDIR/logs/work.1.out"
    done
    orch_resume
    [ "$status" -eq 5 ]
}

# ---- overrides ----

two_phases() {
    agent maker <<<'echo 1 >"$ORCH_WORKSPACE/$ORCH_PHASE"'
    cat >"$W/workflow.json" <<JSON
{"schema": 1, "name": "two", "agent": {"command": ["./maker"]},
 "phases": [{"name": "one", "profile": "plan", "gates": [{"type": "file", "name": "wants", "path": "never"}]},
            {"name": "two", "profile": "plan", "gates": [{"type": "file", "path": "two"}]}]}
JSON
}

@test "strict_mode_refuses_force_and_skip" {
    two_phases
    before=$(snapshot "$WS" | sha256sum)
    for mode in "" "--mode strict"; do
        for what in "--skip one" "--force-gate one/wants" "--skip one --force-gate two/file-1"; do
            # shellcheck disable=SC2086 # words
            orch_run $mode $what --reason because
            [ "$status" -eq 2 ]
            [[ "$output" == *"strict mode"* ]]
            [ ! -e "$RUNDIR" ]
        done
    done
    for value in "" strict llm Operator OPERATOR 1; do
        ORCHESTRATOR_MODE=$value orch_run --skip one --reason because
        [ "$status" -eq 2 ]
        [ ! -e "$RUNDIR" ]
    done
    [ "$(snapshot "$WS" | sha256sum)" = "$before" ]
    # resume refuses as well
    orch_run --until one
    [ "$status" -eq 1 ]
    two_phases
    sed -i 's/"never"/"one"/' "$W/workflow.json"
    orch_run --until one
    [ "$status" -eq 5 ]
    orch_resume --skip two --reason because
    [ "$status" -eq 2 ]
    # Positive control: the same act succeeds in operator mode.
    orch_resume --mode operator --skip two --reason because
    [ "$status" -eq 0 ]
}

@test "overrides_of_an_operator_are_on_record_and_named_everywhere" {
    two_phases
    orch_run --mode operator --force-gate one/wants --reason "the file comes later"
    [ "$status" -eq 0 ]
    [[ "$output" == *"passed with overrides"* ]]
    [[ "$output" == *"the file comes later"* ]]
    [ "$(status_json | jq -r '.verdict, .overrides[0].kind, .overrides[0].gate')" = $'passed with overrides\nforce-gate\nwants' ]
    [ "$(journal 'select(.event == "override") | "\(.kind) \(.phase)/\(.gate) \(.reason)"')" = "force-gate one/wants the file comes later" ]
    [ "$(journal 'select(.event == "verdict" and .phase == "one") | .gates[0] | "\(.verdict) \(.forced)"')" = "fail true" ]
    [ "$(journal 'select(.event == "end") | .verdict')" = "passed with overrides" ]
    [ "$(jq -r 'select(.event == "run" and .state == "override") | .kind' "$RUNDIR/audit.jsonl")" = force-gate ]
    [ "$(cat "$WS/two")" = 1 ]
    verified

    ORCHESTRATOR_MODE=human orch_run --skip one --reason "not needed"
    [ "$status" -eq 0 ]
    [[ "$output" == *"skipped by the operator"* ]]
    [ "$(starts)" = "two.1" ]
    [[ "$(status_json | jq -r .verdict)" == "passed with overrides" ]]
    verified
}

@test "overrides_need_a_reason_and_a_target_that_exists" {
    two_phases
    orch_run --mode operator --skip one
    [ "$status" -eq 2 ]
    orch_run --mode operator --skip one --reason ""
    [ "$status" -eq 2 ]
    orch_run --mode operator --skip ome --reason x
    [ "$status" -eq 2 ]
    [[ "$output" == *"did you mean 'one'"* ]]
    orch_run --mode operator --force-gate one/want --reason x
    [ "$status" -eq 2 ]
    [[ "$output" == *"did you mean 'wants'"* ]]
    orch_run --mode operator --force-gate one --reason x
    [ "$status" -eq 2 ]
    orch_run --reason x
    [ "$status" -eq 2 ]
    [ ! -e "$STATE/runs" ] || [ -z "$(ls "$STATE/runs")" ]
    # A failed gate that is not forced fails all the same.
    two_phases
    orch_run --mode operator --force-gate two/file-1 --reason x
    [ "$status" -eq 1 ]
}

@test "a_skip_drops_what_the_phase_had_kept" {
    two_phases
    agent maker <<<'echo 1 >"$ORCH_WORKSPACE/$ORCH_PHASE"; [ "$ORCH_PHASE.$ORCH_ATTEMPT" != one.2 ] || { echo hanging; sleep 60; }'
    sed -i 's/"path": "never"}]/"path": "never"}], "attempts": 2/' "$W/workflow.json"
    orch_start
    for _ in $(seq 2000); do grep -qs hanging "$RUNDIR/logs/one.2.out" && break; sleep 0.05; done
    op suspend "$RUN"
    [ "$status" -eq 0 ]
    orch_wait
    [ "$status" -eq 5 ]
    orch_resume --mode operator --skip one --reason "it will not do it"
    [ "$status" -eq 0 ]
    [ ! -e "$WS/one" ]                              # no gate passed those bytes
    [ "$(cat "$WS/two")" = 1 ]
    verified
}

# ---- suspend and cancel ----

sleeper() {
    agent sleeper <<'END'
echo "$ORCH_ATTEMPT" >"$ORCH_WORKSPACE/made"
echo started
[ "$ORCH_ATTEMPT" -gt 1 ] || { trap '' TERM INT USR1; sleep 301 & setsid sleep 302 & sleep 303; }
END
    one_phase sleeper plan '{"type": "file", "path": "made"}' "$@"
}

@test "suspend_ends_the_attempt_at_once_and_resume_goes_on" {
    sleeper
    orch_start
    until_printed started
    began=${EPOCHREALTIME/[.,]/}
    op suspend "$RUN"
    [ "$status" -eq 0 ]
    [ "$(((${EPOCHREALTIME/[.,]/} - began) / 1000))" -lt 5000 ] # a hang, not a speed
    orch_wait
    [ "$status" -eq 5 ]
    no_agent_left 'sleep 30'
    [ "$(status_json | jq -r '.verdict, .paused_by')" = $'paused\nsuspend' ]
    [ "$(journal 'select(.event == "interrupted") | "\(.attempt) \(.by)"')" = "1 suspend" ]
    [ "$(jq -r 'select(.event == "attempt" and .state == "end") | .counts' "$RUNDIR/audit.jsonl")" = exact ]
    verified
    spent=$(status_json | jq .spent_ms)
    [ "$spent" -gt 0 ]
    orch_resume                                     # attempts is 1: the suspended one does not count
    [ "$status" -eq 0 ]
    [ "$(cat "$WS/made")" = 2 ]
    [ "$(status_json | jq .spent_ms)" -ge "$spent" ]
    op suspend "$RUN"                               # it has ended
    [ "$status" -eq 9 ]
    verified
}

@test "suspend_during_a_gate_leaves_the_attempt_unjudged" {
    agent maker <<<'echo 1 >"$ORCH_WORKSPACE/made"'
    one_phase maker plan '{"type": "command", "name": "slow", "run": ["sh", "-c", "echo judging; sleep 20"], "profile": "verify"}'
    orch_start
    for _ in $(seq 2000); do grep -qsr judging "$RUNDIR/logs" && break; sleep 0.05; done
    op suspend "$RUN"
    [ "$status" -eq 0 ]
    orch_wait
    [ "$status" -eq 5 ]
    [ -z "$(journal 'select(.event == "verdict")')" ]
    [ "$(journal 'select(.event == "interrupted") | .by')" = suspend ]
    verified
}

@test "cancel_ends_a_running_and_a_paused_run_for_good" {
    sleeper
    before=$(snapshot "$WS" | sha256sum)
    orch_start
    until_printed started
    op cancel "$RUN"
    [ "$status" -eq 0 ]
    orch_wait
    [ "$status" -eq 143 ]
    no_agent_left 'sleep 30'
    op cancel "$RUN"                                # again: nothing left to do
    [ "$status" -eq 0 ]
    orch_resume
    [ "$status" -eq 143 ]
    verified

    asks
    orch_run
    [ "$status" -eq 5 ]
    op cancel "$RUN"
    [ "$status" -eq 0 ]
    [ "$(status_json | jq -r .verdict)" = cancelled ]
    orch_resume
    [ "$status" -eq 143 ]
    op approve "$RUN" work/ok --digest "$(printf 'a%.0s' $(seq 64))" --reason x
    [ "$status" -eq 2 ]
    verified

    # Interrupted: the supervisor is dead.
    sleeper
    orch_start
    until_printed started
    kill -KILL "$pid"
    orch_wait
    op suspend "$RUN"                               # nothing runs; it can be resumed as it is
    [ "$status" -eq 0 ]
    op cancel "$RUN"
    [ "$status" -eq 0 ]
    [ "$(status_json | jq -r .verdict)" = cancelled ]
    verified
    [ "$(snapshot "$WS" | sha256sum)" = "$before" ]

    one_phase sleeper plan '{"type": "file", "path": "made"}'
    agent sleeper <<<'echo 1 >"$ORCH_WORKSPACE/made"'
    orch_run
    [ "$status" -eq 0 ]
    op cancel "$RUN"                                # too late
    [ "$status" -eq 9 ]
    [ "$(status_json | jq -r .verdict)" = passed ]
}

@test "t_ph_05_of_two_resumes_one_works_and_a_stale_lock_blocks_nobody" {
    sleeper
    orch_start
    until_printed started
    op resume "$RUN"
    [ "$status" -eq 9 ]
    [[ "$output" == *"$pid"* ]]
    op approve "$RUN" work/ok --digest "$(printf 'a%.0s' $(seq 64))" --reason x
    [ "$status" -eq 9 ]
    op discard "$RUN"
    [ "$status" -eq 9 ]
    kill -KILL "$pid"
    orch_wait
    [ -s "$RUNDIR/lock" ]                           # stale: the file is there, nobody holds it
    two=$T/two
    "$ORCH" resume --state "$STATE" "$RUN" >"$two.a" 2>&1 3>&- </dev/null & a=$!
    "$ORCH" resume --state "$STATE" "$RUN" >"$two.b" 2>&1 3>&- </dev/null & b=$!
    ra=0 rb=0
    wait "$a" || ra=$?
    wait "$b" || rb=$?
    echo "$ra $rb"
    [[ "$ra $rb" == "0 9" || "$ra $rb" == "9 0" || "$ra $rb" == "0 0" ]] # the second may come when all is over
    [ "$(journal 'select(.event == "end")' | jq -s length)" -eq 1 ]
    [ "$(cat "$WS/made")" = 2 ]
    verified
}

# ---- what becomes of the result ----

editor_run() { # the run changes shared, own and dir/in, deletes gone and tree, makes new
    mkdir -p "$WS/dir" "$WS/tree/sub"
    for f in shared own gone dir/in tree/a tree/sub/b; do echo original >"$WS/$f"; done
    agent editor <<'END'
cd "$ORCH_WORKSPACE" || exit 9
for f in shared own dir/in; do echo run >$f; done
rm gone; rm -r tree
mkdir made; echo run >made/file
END
    one_phase editor plan '{"type": "file", "path": "own"}'
}

@test "no_apply_leaves_the_result_to_be_applied_or_discarded_later" {
    editor_run
    before=$(snapshot "$WS" | sha256sum)
    orch_run --no-apply
    [ "$status" -eq 0 ]
    [ "$(snapshot "$WS" | sha256sum)" = "$before" ]
    cp -a "$WS" "$T/ws2"
    op apply "$RUN"
    [ "$status" -eq 0 ]
    [ "$(cat "$WS/shared" "$WS/made/file")" = $'run\nrun' ]
    [ ! -e "$WS/gone" ]
    [ ! -e "$WS/tree" ]
    [ "$(status_json | jq -r '.verdict, .applied')" = $'passed\ntrue' ]
    verified
    op apply "$RUN"                                 # once is enough
    [ "$status" -eq 0 ]
    op discard "$RUN"
    [ "$status" -eq 9 ]
    verified

    rm -rf "$WS" && mv "$T/ws2" "$WS"
    orch_run --no-apply
    [ "$status" -eq 0 ]
    op discard "$RUN" --reason "not wanted"
    [ "$status" -eq 0 ]
    [ ! -e "$RUNDIR/layers/work.1" ]
    [ "$(cat "$WS/shared")" = original ]
    op apply "$RUN"
    [ "$status" -eq 9 ]
    [[ "$(status_json | jq -r .verdict)" == *discarded* ]]
    verified
    op discard "$RUN"
    [ "$status" -eq 0 ]
}

# edited: somebody else works on the workspace while the run waits for `sleep`
edit_meanwhile() {
    editor_run
    agent editor <<'END'
cd "$ORCH_WORKSPACE" || exit 9
for f in shared own dir/in; do echo run >$f; done
rm gone; rm -r tree
mkdir made; echo run >made/file
echo started; sleep 1
END
    orch_start
    until_printed started
}

@test "edits_by_others_are_a_conflict_that_names_them_and_loses_nothing" {
    edit_meanwhile
    echo theirs >"$WS/shared"
    rm "$WS/dir/in"
    echo theirs >"$WS/added"
    chmod 0600 "$WS/own"
    rm "$WS/gone" && mkdir "$WS/gone"
    orch_wait
    [ "$status" -eq 9 ]
    for name in shared dir/in added own gone; do [[ "$output" == *"$name"* ]]; done
    [ "$(cat "$WS/shared")" = theirs ]
    [ ! -e "$WS/made" ]
    [ -e "$RUNDIR/layers/work.1/upper/made/file" ]  # the run's side is whole too
    [ "$(status_json | jq -r '.verdict, .paused_by')" = $'paused\nconflict' ]
    verified
    orch_resume                                     # nothing has changed about it
    [ "$status" -eq 9 ]
    verified

    op apply "$RUN"                                 # not without saying so
    [ "$status" -eq 9 ]
    [ ! -e "$WS/made" ]
    op apply "$RUN" --theirs-kept
    [ "$status" -eq 0 ]
    [ "$(cat "$WS/shared")" = theirs ]
    [ ! -e "$WS/dir/in" ]
    [ "$(cat "$WS/added")" = theirs ]
    [ "$(stat -c %a "$WS/own")" = 600 ]
    [ "$(cat "$WS/own")" = original ]
    [ -d "$WS/gone" ]
    [ "$(cat "$WS/made/file")" = run ]              # what nobody else touched is applied
    [ ! -e "$WS/tree" ]
    [ "$(status_json | jq -r '.verdict, .applied, .kept')" = $'passed\ntrue\n4' ]
    verified
}

@test "theirs_kept_where_directories_went_away_or_changed_type" {
    edit_meanwhile
    rm -r "$WS/dir" && echo 'a file now' >"$WS/dir"      # the run changes dir/in
    echo theirs >"$WS/tree/sub/b"                        # the run deletes tree
    mkdir "$WS/made" && echo theirs >"$WS/made/other"    # the run makes it too
    orch_wait
    [ "$status" -eq 9 ]
    op apply "$RUN" --theirs-kept
    [ "$status" -eq 0 ]
    [ "$(cat "$WS/dir")" = 'a file now' ]
    [ "$(cat "$WS/tree/sub/b")" = theirs ]
    [ ! -e "$WS/tree/a" ]
    [ "$(cat "$WS/made/file" "$WS/made/other")" = $'run\ntheirs' ]
    [ "$(cat "$WS/shared" "$WS/own")" = $'run\nrun' ]
    verified
}

@test "a_conflict_can_be_put_right_or_given_up" {
    edit_meanwhile
    cp -p "$WS/shared" "$T/shared"
    echo theirs >"$WS/added"
    orch_wait
    [ "$status" -eq 9 ]
    op discard "$RUN" --reason "theirs is better"
    [ "$status" -eq 0 ]
    [ "$(status_json | jq -r '.verdict, .exit')" = $'discarded\n9' ]
    [ "$(cat "$WS/shared")" = original ]
    orch_resume
    [ "$status" -eq 9 ]
    verified

    # Put right, it passes: here by taking the addition away again.
    rm -r "${WS:?}"/*
    edit_meanwhile
    echo theirs >"$WS/dir/added"
    orch_wait
    [ "$status" -eq 9 ]
    rm "$WS/dir/added"
    orch_resume                                     # the directory's own times still tell
    [ "$status" -eq 9 ]
    [[ "$output" == *dir* ]]
    op apply "$RUN" --theirs-kept
    [ "$status" -eq 0 ]
    [ "$(cat "$WS/dir/in")" = run ]

    # ignore_changes names what may change.
    rm -r "${WS:?}"/*
    editor_run
    sed -i '$ s/}$/, "ignore_changes": ["*.log"]}/' "$W/workflow.json"
    agent editor <<<'echo run >"$ORCH_WORKSPACE/own"; echo started; sleep 1'
    orch_start
    until_printed started
    touch "$WS/y.log"
    orch_wait
    [ "$status" -eq 0 ]
    [ "$(cat "$WS/own")" = run ]
}

@test "what_did_not_pass_can_be_neither_applied_nor_discarded" {
    agent maker <<<'echo 1 >"$ORCH_WORKSPACE/made"'
    one_phase maker plan '{"type": "file", "path": "never"}'
    orch_run
    [ "$status" -eq 1 ]
    for verb in apply discard; do
        op $verb "$RUN"
        [ "$status" -eq 1 ]
    done
    op apply "$RUN" --theirs-kept
    [ "$status" -eq 1 ]
    [ ! -e "$WS/made" ]
    asks
    orch_run
    [ "$status" -eq 5 ]
    op apply "$RUN"
    [ "$status" -eq 1 ]
    [ ! -e "$WS/made" ]
    # Unsafe changes stay unsafe, whoever applies them.
    agent maker <<<'mkdir "$ORCH_WORKSPACE/.vscode" && echo 1 >"$ORCH_WORKSPACE/.vscode/tasks.json"'
    echo '{"schema":1,"name":"free","extends":"base","widen":"all of it","filesystem":[{"path":"${workspace}","access":"rw"}]}' >"$W/free.json"
    one_phase maker ./free.json '{"type": "changes", "allow": ["**"]}'
    orch_run --no-apply
    [ "$status" -eq 0 ]
    op apply "$RUN"
    [ "$status" -eq 1 ]
    [[ "$output" == *".vscode"* ]]
    [ ! -e "$WS/.vscode" ]
    verified
}
