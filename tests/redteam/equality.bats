#!/usr/bin/env bats
# T-AUD-01: what the policy answered and what is on record are the same, no more and no less: thousands of varied calls, from
# threads, short-lived processes, a storm of programs and under a storm of signals, at each audit level.
load ../lib/common
load ../lib/workflow

setup_file() { need_sandbox; need python3; }

setup() {
    orch_setup
    OUT=$(mktemp -d /var/tmp/orch-test.XXXXXX)      # the sandbox has its own /tmp
    mkdir "$WS/rw" "$WS/ro" "$WS/none"
    for dir in "$WS/rw" "$WS/ro" "$WS/none" "$OUT"; do
        for i in 0 1 2 3 4 5 6 7 8 9 10 11; do echo x >"$dir/f$i"; done
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

# varied SEED COUNT LEVEL: in a sandbox; $T/answers
varied() {
    [ "$3" = writes ] || cat >"$T/p.json" <<END
{"schema":1,"name":"eq","extends":"plan","widen":"test","tools":["@parent",{"name":"varied","path":"$T/varied"}],"audit":{"level":"$3"},"filesystem":[
 {"path":"\${workspace}/ro","access":"ro"},{"path":"\${workspace}/none","access":"none"}]}
END
    rm -f "$T/audit" "$WS/rw/answers"
    run timeout 300 "$ORCH" exec --state "$STATE" --workspace "$WS" --profile "$T/p.json" --audit "$T/audit" --apply -- \
        "$T/varied" "$WS/rw/answers" "$1" "$2" "$WS" "$OUT" 3>&- </dev/null
    orch_say
    [ "$status" -eq 0 ]
    mv "$WS/rw/answers" "$T/answers"
    equal "$3"
    [ "$status" -eq 0 ]
    # Every life of every process is among the programs that ran.
    [ "$(jq -s '[.[] | select(.event == "exec" and (.path | endswith("/varied"))) | .count] | add' "$T/audit")" -eq 81 ]
}

equal() {
    run "$ORCH_ROOT/tests/lib/equality.py" "$T/answers" "$T/audit" "$1"
    orch_say
}

@test "t_aud_01_answers_and_records_are_equal_sets" {
    varied "${ORCH_SEED:-1}" "${ORCH_CALLS:-6000}" opens
    # The counter-check: one record less, or one more, and it shows.
    cp "$T/audit" "$T/all"
    awk '!gone && /"event":"denial"/ {gone = 1; next} {print}' "$T/all" >"$T/audit"
    equal opens
    [ "$status" -eq 1 ]
    cp "$T/all" "$T/audit"
    grep -m 1 ' opens ' "$T/answers" >"$T/more"
    cat "$T/more" >>"$T/answers"
    equal opens
    [ "$status" -eq 1 ]
    # The control: outside, where no policy is, most of it is permitted.
    timeout 60 "$T/varied" "$T/outside" 1 2000 "$WS" "$OUT"
    refused=$(grep -c -v -e ' EPERM ' -e '^execve ' "$T/outside" || :)
    echo "outside: $refused"
    [ "$refused" -lt "$(($(wc -l <"$T/answers") / 4))" ]
}

@test "t_aud_01_at_level_paths_looks_are_among_them" {
    varied "${ORCH_SEED:-2}" "${ORCH_CALLS:-6000}" paths
    # They are many: of the set that is equal, a third and more would be missing at the level below.
    [ "$(grep -c ' paths ' "$T/answers")" -gt "$(($(wc -l <"$T/answers") / 8))" ]
    equal opens
    [ "$status" -eq 1 ]
    for call in stat lstat newfstatat statx access faccessat faccessat2 readlink readlinkat getxattr listxattr statfs chdir; do
        jq -e -s --arg c "$call" 'any(.[]; .event == "denial" and .syscall == $c)' "$T/audit" >/dev/null || { echo "no $call"; false; }
    done
}

@test "t_aud_01_at_level_writes_they_are_what_would_write" {
    # Where something is hidden the level is refused: reads of it would not be on record.
    cat >"$T/p.json" <<END
{"schema":1,"name":"eq","tools":[{"name":"varied","path":"$T/varied"}],"audit":{"level":"writes"},"filesystem":[
 {"path":"\${workspace}","access":"rw"},{"path":"\${workspace}/ro","access":"ro"}],"create":["file","directory"]}
END
    varied "${ORCH_SEED:-3}n" "${ORCH_CALLS:-4000}" writes
    # Other calls were answered as at the other levels, and are not on record.
    grep -q ' ENOENT opens ' "$T/answers"
    grep -q ' ENOENT paths ' "$T/answers"
    equal paths
    [ "$status" -eq 1 ]
}
