#!/usr/bin/env bats
# Regressions of "durable runs": what a crash in the middle of apply, a signal at the wrong moment, a second process or a
# forged journal once could do. T-PH-05, T-PH-06, T-PH-08, T-AUD-06.
load ../lib/common
load ../lib/workflow

setup_file() { need_sandbox; }

N=500 # files: enough for an apply to be cut off in the middle

setup() {
    orch_setup
    workflow_setup
    umask 022
}

teardown() {
    [ -z "${pid:-}" ] || kill -KILL "$pid" 2>/dev/null || :
    orch_teardown
}

op() {
    local verb=$1
    shift
    run timeout 60 "$ORCH" "$verb" --state "$STATE" "$@" 3>&- </dev/null
    orch_say
}

journal() { jq -r "$1" "$RUNDIR/journal.jsonl"; }
state() { "$ORCH" status --state "$STATE" --json "$RUN" | jq -r "$1"; }

# many N: a workspace of N files, and an agent that changes each of them
many() {
    mkdir "$WS/s"
    for i in $(seq "$1"); do echo old >"$WS/s/f$i"; done
    agent editor <<'END'
cd "$ORCH_WORKSPACE" || exit 9
for f in s/*; do echo new >$f; done
echo 1 >made
END
    one_phase editor plan '{"type": "file", "path": "made"}'
}

changed() { grep -lx new "$WS"/s/* 2>/dev/null | wc -l; }

# half: a passed run of many files whose apply was killed after some of them
half() {
    many "$N"
    orch_run --no-apply
    [ "$status" -eq 0 ]
    for _ in 1 2 3 4 5 6; do
        "$ORCH" apply --state "$STATE" "$RUN" >"$T/apply" 2>&1 3>&- </dev/null &
        pid=$!
        until [ "$(changed)" -gt 0 ] || ! kill -0 "$pid" 2>/dev/null; do :; done
        kill -KILL "$pid" 2>/dev/null || :
        wait "$pid" 2>/dev/null || :
        [ "$(changed)" -eq "$N" ] || return 0
    done
    echo "apply was never cut off"
    return 1
}

# not_yet: the last file that is not written yet
not_yet() { grep -Lx new "$WS"/s/* | tail -n 1; }

@test "an_apply_that_was_cut_off_can_be_finished_and_only_that" {
    half
    op cancel "$RUN"
    [ "$status" -eq 9 ]
    op discard "$RUN"
    [ "$status" -eq 9 ]
    [[ "$(state .verdict)" == *"in part"* ]]
    op apply "$RUN"
    [ "$status" -eq 0 ]
    [ "$(changed)" -eq "$N" ]
    op verify "$RUN"
    [ "$status" -eq 0 ]
}

@test "a_run_cut_off_in_apply_is_not_cancelled_by_a_signal_at_its_resume" {
    many "$N"
    orch_start
    for _ in $(seq 2000); do [ "$(changed)" -gt 0 ] && break; done
    kill -KILL "$pid"
    orch_wait
    [ "$(changed)" -gt 0 ]
    op cancel "$RUN"
    if [ "$(journal 'select(.event == "end") | .verdict')" != passed ]; then
        [ "$status" -eq 9 ]
        # pending before it starts, so it is taken in first of all
        run timeout 60 env --block-signal=TERM sh -c 'kill -TERM $$; exec "$@"' sh "$ORCH" resume --state "$STATE" "$RUN" 3>&-
        orch_say
        [ "$status" -eq 0 ]
    fi
    [ "$(changed)" -eq "$N" ]
    [ "$(state .verdict)" = passed ]
    op verify "$RUN"
    [ "$status" -eq 0 ]
}

@test "an_edit_behind_a_cut_off_apply_is_kept_and_the_run_can_still_be_finished" {
    half
    edited=$(not_yet)
    echo theirs >"$edited"
    op apply "$RUN"
    [ "$status" -eq 9 ]
    [[ "$output" == *"${edited##*/}"* ]]
    [ "$(cat "$edited")" = theirs ]
    op verify "$RUN"
    [ "$status" -eq 0 ]
    op apply --theirs-kept "$RUN"
    [ "$status" -eq 0 ]
    [ "$(cat "$edited")" = theirs ]
    [ "$(changed)" -eq $((N - 1)) ]
    [ "$(state .kept)" = 1 ]
    op verify "$RUN"
    [ "$status" -eq 0 ]
}

@test "a_deletion_behind_a_cut_off_apply_is_not_undone" {
    half
    gone=$(not_yet)
    rm "$gone"
    op apply "$RUN"
    [ "$status" -eq 9 ]
    [ ! -e "$gone" ]
    op apply --theirs-kept "$RUN"
    [ "$status" -eq 0 ]
    [ ! -e "$gone" ]
    [ "$(changed)" -eq $((N - 1)) ]
}

@test "hard_links_do_not_look_like_edits_after_a_crash" {
    mkdir "$WS/z"
    many "$N"
    for i in $(seq "$N"); do ln "$WS/s/f$i" "$WS/z/g$i"; done
    agent editor <<'END'
cd "$ORCH_WORKSPACE" || exit 9
for f in s/* z/*; do echo new >$f; done
echo 1 >made
END
    orch_run --no-apply
    [ "$status" -eq 0 ]
    "$ORCH" apply --state "$STATE" "$RUN" >"$T/apply" 2>&1 3>&- </dev/null &
    pid=$!
    until [ "$(changed)" -gt 0 ] || ! kill -0 "$pid" 2>/dev/null; do :; done
    kill -KILL "$pid" 2>/dev/null || :
    wait "$pid" 2>/dev/null || :
    op apply "$RUN"
    [ "$status" -eq 0 ]
    [ "$(cat "$WS"/s/* "$WS"/z/* | sort | uniq -c | tr -s ' ')" = " $((2 * N)) new" ]
}

@test "what_others_made_unsafe_meanwhile_is_a_conflict_not_an_end" {
    many "$N"
    agent editor <<'END'
cd "$ORCH_WORKSPACE" || exit 9
mkdir -p v/hooks && echo x >v/hooks/x && echo y >v/config
for f in s/*; do echo new >$f; done
echo 1 >made
END
    orch_start
    for _ in $(seq 3000); do [ "$(changed)" -gt 0 ] && break; done
    kill -KILL "$pid"
    orch_wait
    rm -rf "$WS/v"
    git init -q --bare "$WS/v"
    orch_resume
    [ "$status" -eq 9 ] || [ "$(journal 'select(.event == "end")' | wc -l)" -gt 0 ]
    refute grep -q '"verdict":"unsafe"' "$RUNDIR/journal.jsonl"
}

@test "theirs_kept_writes_into_no_other_directory_than_the_workspace" {
    many 3
    orch_run --no-apply
    [ "$status" -eq 0 ]
    mkdir "$T/elsewhere"
    mv "$WS" "$T/moved"
    ln -s "$T/elsewhere" "$WS"
    for options in "" --theirs-kept; do
        # shellcheck disable=SC2086 # none or one word
        op apply $options "$RUN"
        [ "$status" -eq 9 ]
    done
    [ -z "$(ls -A "$T/elsewhere")" ]
    rm "$WS"
    mkdir "$WS"                                     # another directory of that name
    op apply --theirs-kept "$RUN"
    [ "$status" -eq 9 ]
    [ -z "$(ls -A "$WS")" ]
    rmdir "$WS"
    mv "$T/moved" "$WS"                             # control: the directory itself
    op apply --theirs-kept "$RUN"
    [ "$status" -eq 0 ]
    [ "$(changed)" -eq 3 ]
}

@test "modes_that_others_set_are_left_alone" {
    mkdir "$WS/src"
    echo old >"$WS/src/a"
    agent editor <<<'cd "$ORCH_WORKSPACE" || exit 9; echo new >src/new; echo 1 >made'
    one_phase editor plan '{"type": "file", "path": "made"}'
    orch_run --no-apply
    chmod 0700 "$WS/src"
    op apply --theirs-kept "$RUN"
    [ "$status" -eq 0 ]
    [ "$(stat -c %a "$WS/src")" = 700 ]
    [ "$(cat "$WS/src/new")" = new ]
    # And where ignore_changes names them.
    agent editor <<<'cd "$ORCH_WORKSPACE" || exit 9; echo newer >src/a; echo 2 >made'
    one_phase editor plan '{"type": "file", "path": "made"}' '' '"ignore_changes": ["src/**"]'
    orch_run --no-apply
    rm "$WS/src/a"
    op apply "$RUN"
    [ "$status" -eq 9 ]
    [ ! -e "$WS/src/a" ]
}

@test "suspend_and_cancel_signal_nobody_but_a_supervisor_that_minds_it" {
    many "$N"
    orch_run --no-apply
    "$ORCH" apply --state "$STATE" "$RUN" >"$T/apply" 2>&1 3>&- </dev/null &
    pid=$!
    until [ "$(changed)" -gt 0 ] || ! kill -0 "$pid" 2>/dev/null; do :; done
    op suspend "$RUN"
    kill -TERM "$pid" 2>/dev/null || :              # nor does a signal by hand cut it off
    wait "$pid"
    [ "$(changed)" -eq "$N" ]
    op verify "$RUN"
    [ "$status" -eq 0 ]

    # A number in a lock that means another process here.
    sleep 60 3>&- &
    victim=$!
    one_phase editor plan '{"type": "file", "path": "made"}'
    orch_run --until work
    flock "$RUNDIR/lock" sh -c "printf '%s\ndrives 1 1\n' $victim >'$RUNDIR/lock'; sleep 12" 3>&- &
    holder=$!
    sleep 0.5
    op cancel "$RUN"
    kill "$holder" 2>/dev/null || :
    kill -0 "$victim"
    kill "$victim"
    [ "$status" -eq 9 ]
}

@test "t_aud_06_forged_journals_with_a_correct_chain_are_refused" {
    agent maker <<<'echo 1 >"$ORCH_WORKSPACE/made"'
    one_phase maker plan '{"type": "file", "name": "g", "path": "never"}'
    orch_run
    [ "$status" -eq 1 ]
    cp -R "$RUNDIR" "$T/kept"
    # forge EXPRESSION: edits the journal's records (list r) in python and chains both logs and the seal anew
    forge() {
        rm -rf "$RUNDIR" && cp -R "$T/kept" "$RUNDIR"
        "$ORCH_ROOT/tests/lib/forge.py" "$RUNDIR" "$1"
        op verify "$RUN"
        verify=$status
        op resume "$RUN"
        echo "$1 -> verify $verify, resume $status"
        [ ! -e "$WS/made" ]
    }
    PASSES="v['passed']=v['goes_on']=True; v['exit']=0; r.remove(e); a.remove(end); e=dict(v); end=dict(j)"
    forge 'pass'                                    # control: chained anew without a change it verifies
    [ "$verify" -eq 0 ]
    [ "$status" -eq 1 ]
    for change in "v['gates']=[]" "v['gates'][0]['depth']=1" "v['gates'][0]['verdict']='pass'" \
        "v['gates'][0]['verdict']='pass'; v['end']='setup'" "v['gates'][0]['verdict']='pass'; v['problems']=['bad']" \
        "v['gates'][0]['forced']=True"; do
        forge "v['passed']=v['goes_on']=True; v['exit']=0; $change"
        [ "$verify" -eq 7 ]
        [ "$status" -eq 7 ]
    done
    for change in "e['exit']=256; end['exit']=256" "v['exit']=256" "e['exit']=0; end['exit']=0" \
        "e['reason']='\x1b[31m'" "v['detail']='a\nb'" "v['end']='x\x1b'"; do
        forge "$change"
        [ "$verify" -eq 7 ]
        [ "$status" -eq 7 ]
    done
}

@test "an_edit_between_run_start_and_the_look_at_it_is_not_taken_for_the_start" {
    many 2000
    agent editor <<<'cd "$ORCH_WORKSPACE" || exit 9; echo started; sleep 1; for f in s/*; do echo new >$f; done; echo 1 >made'
    orch_start
    # The child that takes the fingerprint is stopped, wherever it is, while somebody edits what the agent will too.
    for _ in $(seq 5000); do
        grep -qs '"event":"run"' "$RUNDIR/journal.jsonl" && break
    done
    for _ in $(seq 2000); do
        child=$(tr ' ' '\n' 2>/dev/null <"/proc/$pid/task/$pid/children" | head -n 1)
        [ -z "$child" ] || { kill -STOP "$child" 2>/dev/null && break; }
    done
    until_printed started
    echo theirs >"$WS/s/f2"
    kill -CONT "$child" 2>/dev/null || :
    orch_wait
    [ "$status" -eq 9 ]
    [[ "$output" == *f2* ]]
    [ "$(cat "$WS/s/f2")" = theirs ]
}

@test "overrides_are_named_also_when_the_result_is_given_up" {
    agent maker <<<'echo 1 >"$ORCH_WORKSPACE/made"'
    one_phase maker plan '{"type": "file", "name": "g", "path": "never"}'
    orch_run --mode operator --force-gate work/g --reason x --no-apply --quiet
    [ "$status" -eq 0 ]
    [[ "$output" == *"with overrides"* ]]
    op discard "$RUN" --reason $'\e[31mred\nverdict: passed'
    [ "$status" -eq 0 ]
    [[ "$(state .verdict)" == *"with overrides"* ]]
    op status "$RUN"
    [[ "$output" != *$'\e'* ]]
    op list
    [[ "$output" == *"with overrides"* ]]
}
