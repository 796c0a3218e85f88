#!/usr/bin/env bats
# What sandboxes leave behind when they are gone, however they went: nothing. Only what belongs to the test is counted.
# More of them in a row: make soak.
load ../lib/runs

setup() {
    runs_setup
    mkdir "$T/tmp" "$WS/ws"
}

teardown() { runs_teardown; }

# One sandbox that stays until it is killed or runs into a limit; its name is in the arguments.
lingering() {
    TMPDIR=$T/tmp exec "$ORCH" exec --state "$STATE" --workspace "$WS/ws" --profile "${1:-plan}" -- \
        sh -c "echo half >half; : $RUN; sleep 300 & echo started; sleep 300"
}

exec_dirs() {
    find "$STATE" -mindepth 2 -maxdepth 2 -path '*/exec/*' ! -name '.*'
}

# Of what is counted, all but caches.
left() {
    echo "processes $(processes | paste -sd' ')"
    echo "mounts $(grep -cF "$T" /proc/self/mountinfo)"
    echo "temporary $(find "$T/tmp" -mindepth 1 | paste -sd' ')"
    echo "workspace $(find "$WS/ws" -mindepth 1 | paste -sd' ')"
    echo "layers $(exec_dirs | paste -sd' ')"
}

nothing() {
    [ "$(left)" = $'processes \nmounts 0\ntemporary \nworkspace \nlayers ' ]
}

# All that is ours goes away, in the end.
wait_for_nothing() {
    wait_until nothing || { left; return 1; }
}

@test "fifty_sandboxes_at_once_leave_nothing" {
    "$ORCH_ROOT/tests/lib/many.sh" 50 50
}

@test "a_hundred_sandboxes_in_a_row_leave_nothing" {
    "$ORCH_ROOT/tests/lib/many.sh" 100 1
}

@test "the_count_sees_what_is_left" {
    printf '#!/bin/sh\n: >"$TMPDIR/left.$$"\nexec "%s" "$@"\n' "$ORCH" >"$T/untidy"
    printf '#!/bin/sh\nsetsid sh -c "sleep 60; : $*" 3>&- >/dev/null 2>&1 & echo $! >>"%s"\nexec "%s" "$@"\n' "$T/pids" "$ORCH" >"$T/busy"
    chmod 0755 "$T/untidy" "$T/busy"
    for orch in untidy busy; do
        run env ORCH_BIN="$T/$orch" "$ORCH_ROOT/tests/lib/many.sh" 2 1
        echo "$output"
        [ "$status" -eq 1 ]
        grep -q 'something was left' <<<"$output"
    done
    while read -r pid; do kill -- "-$pid" || :; done <"$T/pids"
}

# The kernel itself counts: with at most twelve of each kind at a time, a leak of one in ten would be refused in the end.
@test "namespaces_do_not_add_up" {
    need_user
    cat >"$T/counted.sh" <<'END'
for kind in user pid net mnt ipc uts cgroup; do
    echo "$1" >/proc/sys/user/max_${kind}_namespaces || exit 9
done
shift
exec unshare --user --map-user="$1" --map-group="$2" sh "$3"
END
    # The kernel takes network namespaces down in the background: what is late comes free by waiting, what leaked does not.
    cat >"$T/row.sh" <<END
for n in \$(seq 60); do
    tries=0
    until "$ORCH" exec --quiet --state "$STATE" --workspace "$WS/ws" --profile plan -- true; do
        tries=\$((tries + 1))
        [ "\$tries" -lt \$TRIES ] || { echo "sandbox \$n is refused"; exit 1; }
        sleep 1
    done
done
END
    TRIES=20 unshare --user --map-root-user sh "$T/counted.sh" 12 "$(id -u)" "$(id -g)" "$T/row.sh"
    # The control: the limit does count sandboxes.
    TRIES=2 run unshare --user --map-root-user sh "$T/counted.sh" 1 "$(id -u)" "$(id -g)" "$T/row.sh"
    echo "$output"
    [ "$status" -ne 0 ]
}

@test "several_runs_at_once_leave_only_their_records" {
    agent <<<'echo "$ORCH_PHASE" >file; (sleep 300 >/dev/null 2>&1 &); echo x >/tmp/x'
    workflow "$(phase one file)" "$(phase two file)"
    local pids=() n
    for n in 1 2 3 4 5 6; do
        mkdir "$WS/$n"
        (TMPDIR=$T/tmp exec "$ORCH" run --workspace "$WS/$n" --state "$STATE" --run-id "$RUN-$n" "$FLOW/workflow.json" >"$T/out.$n" 2>&1 </dev/null 3>&-) &
        pids+=($!)
    done
    for n in 1 2 3 4 5 6; do
        wait "${pids[n - 1]}" || { cat "$T/out.$n"; return 1; }
        [ "$(cat "$WS/$n/file")" = two ]
    done
    wait_for_nothing
    # Nothing mounted, no work directory and no socket; what verify wants is there.
    [ -z "$(find "$STATE" -name work -o -type s -o -type p)" ]
    for n in 1 2 3 4 5 6; do
        "$ORCH" verify --state "$STATE" "$RUN-$n"
    done
}

@test "a_killed_supervisor_leaves_nothing_that_the_next_does_not_remove" {
    (lingering) >"$T/out" 2>&1 </dev/null 3>&- &
    supervisor=$!
    wait_until grep -q started "$T/out"
    [ "$(processes | wc -l)" -ge 3 ]
    [ "$(exec_dirs | wc -l)" -eq 1 ]
    kill -KILL "$supervisor"
    wait "$supervisor" || :
    wait_until nothing_left
    [ "$(grep -cF "$T" /proc/self/mountinfo)" -eq 0 ]
    # What it wrote stays until somebody comes by; one that may have just begun is left alone.
    [ "$(exec_dirs | wc -l)" -eq 1 ]
    exec_dirs | xargs touch -d '10 minutes ago'
    TMPDIR=$T/tmp "$ORCH" exec --state "$STATE" --workspace "$WS/ws" --profile plan -- true
    wait_for_nothing
}

@test "limits_and_signals_leave_nothing" {
    local code what
    echo '{"schema":1,"name":"short","extends":"plan","limits":{"wall":"1s"}}' >"$T/short.json"
    run lingering "$T/short.json"
    [ "$status" -eq 124 ]
    wait_for_nothing
    for what in INT TERM; do
        (trap - INT; lingering) >"$T/out" 2>&1 </dev/null 3>&- & # in the background INT is ignored otherwise
        supervisor=$!
        wait_until grep -q started "$T/out"
        kill -"$what" "$supervisor"
        code=0
        wait "$supervisor" || code=$?
        echo "$what: $code"
        case $what in INT) [ "$code" -eq 130 ] ;; TERM) [ "$code" -eq 143 ] ;; esac
        wait_for_nothing
        : >"$T/out"
    done
}

@test "a_failed_setup_leaves_nothing" {
    local n failed=0 went=0
    # Too few descriptors at one step after the other, until there are enough.
    for n in $(seq 4 2 40); do
        if (ulimit -n "$n" && TMPDIR=$T/tmp exec "$ORCH" exec --state "$STATE" --workspace "$WS/ws" --profile plan -- sh -c "echo x >x; : $RUN") >"$T/out" 2>&1 </dev/null 3>&-; then
            went=$((went + 1))
        else
            failed=$((failed + 1))
        fi
        wait_until nothing_left
        nothing || { exec_dirs | xargs -r touch -d '10 minutes ago'; }
    done
    echo "$failed failed, $went went"
    [ "$failed" -ge 3 ] && [ "$went" -ge 3 ]
    # Not a program, no right to execute, and one whose interpreter is missing.
    printf '#!/nonexistent/interpreter\n' >"$T/broken"
    chmod 0755 "$T/broken"
    for n in "$T/broken" /nonexistent "$T"; do
        (TMPDIR=$T/tmp exec "$ORCH" exec --state "$STATE" --workspace "$WS/ws" --profile plan -- "$n" "$RUN") >"$T/out" 2>&1 </dev/null 3>&- &&
            return 1
    done
    TMPDIR=$T/tmp "$ORCH" exec --state "$STATE" --workspace "$WS/ws" --profile plan -- true
    wait_for_nothing
}

# looped ATTEMPTS: a phase that passes at its last attempt
looped() {
    again
    workflow "{\"name\":\"one\",\"profile\":\"plan\",\"attempts\":$1,\"on_retry\":\"reset\",\"timeout\":\"30s\",\"gates\":[{\"type\":\"file\",\"path\":\"last\"},{\"type\":\"command\",\"run\":[\"true\"]}]}"
    agent <<END
echo "here \$ORCH_ATTEMPT"
case \$ORCH_ATTEMPT in 3 | $1) sleep "\${PAUSE:-1}" ;; esac
[ "\$ORCH_ATTEMPT" != $1 ] || echo x >last
END
}

# descriptors ATTEMPT: how many the supervisor has while that attempt's agent waits
descriptors() {
    wait_until grep -q "here $1" "$STATE/runs/$RUN/logs/one.$1.out"
    find "/proc/$supervisor/fd" -mindepth 1 | wc -l
}

@test "a_supervisor_of_many_attempts_keeps_no_descriptor" {
    local early late
    if [ "$(id -u)" -eq 0 ]; then # nobody else may look into a supervisor
        looped 30
        start
        early=$(descriptors 3)
        late=$(descriptors 30)
        wait "$supervisor"
        echo "$early descriptors in attempt 3, $late in attempt 30"
        [ "$early" -gt 5 ] && [ "$early" -eq "$late" ]
        nothing_left
        rm -f "$WS/last"
    fi
    # And with just as many as three attempts need, thirty go through.
    local n
    for n in $(seq 16 2 80); do
        looped 3
        (ulimit -n "$n" && PAUSE=0 exec "$ORCH" run --workspace "$WS" --state "$STATE" --run-id "$RUN" --no-apply --quiet "$FLOW/workflow.json") >"$T/out" 2>&1 </dev/null 3>&- && break
    done
    echo "$n descriptors are enough for three attempts"
    [ "$n" -lt 80 ]
    looped 30
    (ulimit -n "$n" && PAUSE=0 exec "$ORCH" run --workspace "$WS" --state "$STATE" --run-id "$RUN" --no-apply --quiet "$FLOW/workflow.json") >"$T/out" 2>&1 </dev/null 3>&- || {
        tail -n 20 "$T/out"
        return 1
    }
    nothing_left
}
