#!/usr/bin/env bats
# T-AUD-06, T-AUD-07: a log of a finished run that was flipped, cut, reordered, doubled, added to, chained anew or exchanged for another
# run's is found out, at the record where that shows.
load ../lib/common
load ../lib/workflow

setup_file() { need_sandbox; need python3; }

setup() {
    orch_setup
    workflow_setup
    mkdir "$WS/none"
    profile p '{"schema":1,"name":"log","extends":"plan","widen":"test","filesystem":[{"path":"${workspace}/none","access":"none"}]}'
    agent a <<'END'
for i in 1 2 3 1 2 1; do true <none/$i; done 2>/dev/null
echo x >done
END
    one_phase a ./p.json '{"type":"file","path":"done"}'
}

teardown() { orch_teardown; }

@test "t_aud_06_every_kind_of_tampering_with_the_log_is_found" {
    orch_run
    [ "$status" -eq 0 ]
    other=$RUN
    rm "$WS/done"
    orch_run
    [ "$status" -eq 0 ]
    run timeout 300 "$ORCH_ROOT/tests/lib/tamper.py" "$ORCH" "$STATE" "$RUN" "$other" "${ORCH_SEED:-1}"
    orch_say
    [ "$status" -eq 0 ]
}

@test "t_aud_06_one_run_put_in_the_place_of_another_is_found" {
    orch_run
    [ "$status" -eq 0 ]
    first=$RUN
    rm "$WS/done"
    orch_run
    [ "$status" -eq 0 ]
    mv "$STATE/runs/$RUN" "$T/kept"
    cp -R "$STATE/runs/$first" "$STATE/runs/$RUN"
    run timeout 20 "$ORCH" verify --state "$STATE" "$RUN"
    orch_say
    [ "$status" -eq 7 ]
    rm -rf "${STATE:?}/runs/$RUN"
    mv "$T/kept" "$STATE/runs/$RUN"
    timeout 20 "$ORCH" verify --state "$STATE" "$RUN"
}
