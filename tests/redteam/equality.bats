#!/usr/bin/env bats
# T-AUD-01: what the policy answered and what is on record are the same, no more and no less: thousands of varied calls, from
# threads, short-lived processes and under a storm of signals.
load ../lib/common
load ../lib/workflow

setup_file() { need_sandbox; need python3; }

setup() {
    orch_setup
    OUT=$(mktemp -d /var/tmp/orch-test.XXXXXX)      # the sandbox has its own /tmp
    mkdir "$WS/rw" "$WS/ro" "$WS/none"
    for dir in "$WS/rw" "$WS/ro" "$WS/none" "$OUT"; do
        for i in 0 1 2 3 4 5 6 7; do echo x >"$dir/f$i"; done
    done
    ln -s rw "$WS/to-rw"
    ln -s "$WS/ro" "$WS/to-ro"
    ln -s none "$WS/to-none"
    ln -s "$OUT" "$WS/to-out"
    cp "$HELPERS/varied" "$T/varied"
}

teardown() {
    rm -rf "${OUT:-}"
    orch_teardown
}

# varied SEED COUNT LEVEL: in a sandbox
varied() {
    cat >"$T/p.json" <<END
{"schema":1,"name":"eq","extends":"plan","widen":"test","tools":["@parent",{"name":"varied","path":"$T/varied"}],"audit":{"level":"$3"},"filesystem":[
 {"path":"\${workspace}/ro","access":"ro"},{"path":"\${workspace}/none","access":"none"}]}
END
    rm -f "$T/audit"
    run timeout 120 "$ORCH" exec --state "$STATE" --workspace "$WS" --profile "$T/p.json" --audit "$T/audit" --apply -- \
        "$T/varied" "$WS/rw/answers" "$1" "$2" "$WS" "$OUT" 3>&- </dev/null
    orch_say
    [ "$status" -eq 0 ]
    run "$ORCH_ROOT/tests/lib/equality.py" "$WS/rw/answers" "$T/audit"
    orch_say
}

@test "t_aud_01_answers_and_records_are_equal_sets" {
    varied "${ORCH_SEED:-1}" 8000 opens
    [ "$status" -eq 0 ]
    # The counter-check: one record less, or one more, and it shows.
    awk '!gone && /"event":"denial"/ {gone = 1; next} {print}' "$T/audit" >"$T/less"
    run "$ORCH_ROOT/tests/lib/equality.py" "$WS/rw/answers" "$T/less"
    [ "$status" -eq 1 ]
    head -1 "$WS/rw/answers" >"$T/more"
    cat "$T/more" >>"$WS/rw/answers"
    run "$ORCH_ROOT/tests/lib/equality.py" "$WS/rw/answers" "$T/audit"
    [ "$status" -eq 1 ]
    # The control: outside, where no policy is, most of it is permitted.
    timeout 60 "$T/varied" "$T/outside" 1 2000 "$WS" "$OUT"
    refused=$(grep -c -v -e ' EPERM ' -e '^execve ' "$T/outside" || :)
    echo "outside: $refused"
    [ "$refused" -lt "$(($(wc -l <"$WS/rw/answers") / 4))" ]
}
