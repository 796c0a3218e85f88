#!/usr/bin/env bats
# The ceiling of a workflow, from the command line: nothing starts beyond it, and a run that is taken up again has it still.
load ../lib/common
load ../lib/workflow

setup_file() { need_sandbox; }

setup() {
    orch_setup
    workflow_setup
    agent idle <<'END'
echo agent-ran
END
    profile top '{"schema": 1, "name": "top", "extends": "plan", "limits": {"pids": 100}}'
}

teardown() { orch_teardown; }

GATE='{"type": "denials", "name": "gate", "max": 0}'

@test "phase_beyond_the_ceiling_is_exit_2_and_both_places_are_named" {
    profile more '{"schema": 1, "name": "more", "extends": "plan", "widen": "more", "limits": {"pids": 101}}'
    one_phase idle ./more.json "$GATE" '' '"ceiling": "./top.json"'
    orch_run
    [ "$status" -eq 2 ]
    [[ "$output" == *"more.json:1:86: error: limits.pids: beyond the ceiling 'top' ("*"top.json:1:68)"* ]]
    [[ "$output" == *"workflow.json:5:"*"profile './more.json' goes beyond the workflow's ceiling"* ]]
    [[ "$output" != *agent-ran* ]]
    [ -z "$(ls -A "$STATE/runs" 2>/dev/null)" ]
}

@test "phase_within_the_ceiling_runs_and_dry_run_shows_the_ceiling" {
    profile less '{"schema": 1, "name": "less", "extends": "plan", "limits": {"pids": 100}}'
    one_phase idle ./less.json "$GATE" '' '"ceiling": "./top.json"'
    orch_run --dry-run
    [ "$status" -eq 0 ]
    [[ "$output" == *"ceiling top sha256 "* ]]
    orch_run
    [ "$status" -eq 0 ]
    [[ "$output" == *agent-ran* ]]
}

@test "resume_has_the_ceiling_of_the_run_not_of_the_files" {
    profile less '{"schema": 1, "name": "less", "extends": "plan", "limits": {"pids": 100}}'
    cat >"$W/workflow.json" <<JSON
{"schema": 1, "name": "test", "ceiling": "./top.json", "agent": {"command": ["./idle"]}, "phases": [
  {"name": "one", "profile": "./less.json", "gates": [$GATE]},
  {"name": "two", "profile": "./less.json", "gates": [$GATE]}]}
JSON
    orch_run --until one
    [ "$status" -eq 5 ]
    profile top '{"schema": 1, "name": "top", "limits": {"pids": 1}}'
    orch_resume
    [ "$status" -eq 0 ]
}
