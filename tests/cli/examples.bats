#!/usr/bin/env bats
# The shipped example, to its pass and to its fail.
load ../lib/common

setup() { orch_setup; }
teardown() { orch_teardown; }

EXAMPLE=$ORCH_ROOT/profiles/examples/fix-bug

@test "example_workflows_differ_in_the_agent_only" {
    good=$(jq -S 'del(.agent.command)' "$EXAMPLE/workflow.json")
    hostile=$(jq -S 'del(.agent.command)' "$EXAMPLE/workflow-hostile.json")
    [ "$good" = "$hostile" ]
    ! cmp -s "$EXAMPLE/workflow.json" "$EXAMPLE/workflow-hostile.json"
}

@test "example_hostile_agent_refuses_to_run_unconfined" {
    run "$EXAMPLE/hostile-agent.sh"
    [ "$status" -eq 99 ]
}

@test "example_repository_fails_its_tests_and_passes_with_the_fix" {
    need cc
    "$EXAMPLE/make-repo.sh" "$WS/calc"
    run make -C "$WS/calc" test
    [ "$status" -eq 2 ]
    cd "$WS/calc"
    printf '#!/bin/sh\n' >"$T/llm-report"
    chmod +x "$T/llm-report"
    cp "$T/llm-report" "$T/llm-done"
    for phase in plan implement verify; do
        PATH=$T:$PATH ORCH_WORKSPACE=$WS/calc ORCH_PHASE=$phase "$EXAMPLE/good-agent.sh"
    done
    run make test
    [ "$status" -eq 0 ]
    [ "$(wc -c <PLAN.md)" -ge 100 ]
    [ "$(wc -c <REPORT.md)" -ge 50 ]
}

@test "demo_goes_as_expected_with_both_agents" {
    run "$ORCH_ROOT/demo/run.sh" --once
    echo "$output"
    [ "$status" -eq 0 ]
}
