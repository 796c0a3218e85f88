#!/usr/bin/env bats
# The commands that look at runs, or remove them: list, logs, prune.
load ../lib/common
load ../lib/workflow

setup_file() { need_sandbox; }

setup() {
    orch_setup
    workflow_setup
    umask 022
    agent ok <<'END'
echo x >made
exit 0
END
    agent bad <<'END'
exit 0
END
    agent asleep <<'END'
echo started
sleep 50
END
}

teardown() {
    [ -z "${pid:-}" ] || kill -KILL "$pid" 2>/dev/null || :
    orch_teardown
}

MADE='{"type": "file", "path": "made"}'

orch() {
    run timeout -k 5 60 "$ORCH" "$@" 3>&-
    orch_say
}

# separated COMMAND...: standard output in $output, standard error in $T/err.
separated() {
    status=0
    output=$(timeout -k 5 60 "$@" 2>"$T/err" 3>&-) || status=$?
    orch_say
    cat "$T/err"
}

# Two phases; with --until one it pauses.
two_phases() {
    cat >"$W/workflow.json" <<JSON
{"schema": 1, "name": "two", "agent": {"command": ["./$1"]}, "phases": [
  {"name": "one", "profile": "plan", "gates": [$MADE]},
  {"name": "two", "profile": "plan", "gates": [$MADE]}]}
JSON
}

# one NAME [OPTION...]: a run of that name.
one() {
    RUN=$1 RUNDIR=$STATE/runs/$1
    shift
    run timeout -k 5 60 "$ORCH" run --workspace "$WS" --state "$STATE" --run-id "$RUN" "$@" "$W/workflow.json" 3>&-
}

# start NAME: in the background, until the agent is at work.
start() {
    RUN=$1 RUNDIR=$STATE/runs/$1
    "$ORCH" run --workspace "$WS" --state "$STATE" --run-id "$RUN" "$W/workflow.json" >"$T/out" 2>&1 3>&- </dev/null &
    pid=$!
    until_printed started
}

# stop SIGNAL
stop() {
    kill "-$1" "$pid"
    wait "$pid" || :
    pid=
}

# One run of each kind but a live one: passed (applied), kept (passed, not applied), failed, paused, interrupted, corrupt,
# newer, unbegun, and some that are not runs.
every_kind() {
    two_phases ok
    one passed
    [ "$status" -eq 0 ]
    one kept --no-apply
    [ "$status" -eq 0 ]
    WS=$T/other # of its own, so that it can go on
    mkdir "$WS"
    one paused --until one
    WS=$T/ws
    [ "$status" -eq 5 ]
    rm -f "$WS/made"
    one_phase bad plan "$MADE"
    one failed
    [ "$status" -eq 1 ]
    one_phase asleep plan "$MADE"
    start interrupted
    stop KILL
    one_phase ok plan "$MADE"
    one corrupt
    sed -i '2s/"attempt"/"attempX"/' "$STATE/runs/corrupt/journal.jsonl"
    one newer
    sed -i '1s/^{"v":1,/{"v":9,/' "$STATE/runs/newer/journal.jsonl"
    cp -r "$STATE/runs/passed" "$STATE/runs/copied"
    mkdir -p "$STATE/runs/unbegun/layers" "$STATE/runs/.hidden"
    : >"$STATE/runs/a-file"
    ln -s passed "$STATE/runs/a-link"
}

# ---- list ----

@test "list_shows_where_every_run_stands_and_no_run_stops_it" {
    every_kind
    one_phase asleep plan "$MADE"
    start running
    separated "$ORCH" list --state "$STATE"
    [ "$status" -eq 0 ]
    [ ! -s "$T/err" ]
    while read -r name standing; do
        echo "$name: $standing"
        line=$(grep "^$name " <<<"$output")
        [[ "$line" == "$name "*" $standing "* ]]
    done <<'END'
passed passed
kept passed
paused paused (until)
failed failed
interrupted interrupted
corrupt corrupt
newer corrupt
copied corrupt
a-link corrupt
a-file corrupt
unbegun never began
running running
END
    [ "$(grep -c . <<<"$output")" -eq 12 ]
    [[ "$(grep '^newer ' <<<"$output")" == *"newer orch-sandbox"* ]]
    [[ "$(grep '^copied ' <<<"$output")" == *"another run"* ]]
    [[ "$(grep '^paused ' <<<"$output")" == *" 2/2 two "*" two "*"$T/other" ]]
    [[ "$(grep '^running ' <<<"$output")" == *" 1/1 work "* ]]
    # The same words as status.
    for name in passed kept paused failed interrupted running; do
        "$ORCH" status --json --state "$STATE" $name | jq -r '"\(.run) \(.verdict)"'
    done | sort >"$T/status"
    "$ORCH" list --json --state "$STATE" | jq -r 'select(.verdict != "corrupt" and .verdict != "never began") | "\(.run) \(.verdict)"' |
        sort | diff "$T/status" -
    # Columns stand under each other: the time of the last record begins in one place.
    [ "$(grep -E '^(passed|kept|paused|failed|interrupted|running) ' <<<"$output" | awk '{print match($0, / [0-9]{4}-[0-9]{2}-[0-9]{2}T/)}' | sort -u | wc -l)" -eq 1 ]
    stop TERM
}

@test "list_json_is_one_object_a_line_oldest_first" {
    every_kind
    one_phase asleep plan "$MADE"
    start running
    separated "$ORCH" list --json --state "$STATE"
    [ "$status" -eq 0 ]
    [ "$(jq -s length <<<"$output")" -eq "$(wc -l <<<"$output")" ]
    field() { jq -c "select(.run == \"$1\") | $2" <<<"$output"; }
    [ "$(field passed '[.verdict, .exit, .phase, .passed, .phases, .applied, .busy, .pid, .workflow, .denials]')" = \
        '["passed",0,"two",2,2,true,false,null,"two",0]' ]
    [ "$(field passed .workspace)" = "\"$WS\"" ]
    [ "$(field passed .last)" = "$(tail -n 1 "$STATE/runs/passed/journal.jsonl" | jq .time)" ]
    [ "$(field passed .started)" = "$(head -n 1 "$STATE/runs/passed/journal.jsonl" | jq .time)" ]
    [ "$(field kept .applied)" = false ]
    [ "$(field failed '[.verdict, .exit, .passed]')" = '["failed",1,0]' ]
    [ "$(field paused '[.verdict, .paused_by, .exit, .passed]')" = '["paused","until",null,1]' ]
    [ "$(field running '[.verdict, .busy, .pid]')" = "[\"running\",true,$pid]" ]
    [ "$(field unbegun .verdict)" = '"never began"' ]
    [[ "$(field corrupt .reason)" == *"record 2"* ]]
    [ "$(jq -r 'select(.started) | .last' <<<"$output" | LC_ALL=C sort -c && echo sorted)" = sorted ]
    [ "$(jq -r .run <<<"$output" | tail -n 1)" = running ]
    stop TERM
}

@test "list_without_runs_says_so_and_exits_0" {
    for state in "$STATE" "$T/no-such-directory"; do
        for option in '' --json; do
            # shellcheck disable=SC2086 # none is none
            separated "$ORCH" list --state "$state" $option
            [ "$status" -eq 0 ]
            [ -z "$output" ]
            [[ "$(cat "$T/err")" == *"no runs"*"$state"* ]]
        done
    done
    : >"$STATE/runs" # what cannot be read is not the same as nothing
    separated "$ORCH" list --state "$STATE"
    [ "$status" -eq 10 ]
}

@test "t_tty_05_list_shows_no_control_bytes_of_a_workspace" {
    WS=$T/$'w\n\e[31m\u202e\tx'
    mkdir "$WS"
    one_phase ok plan "$MADE"
    one r1
    [ "$status" -eq 0 ]
    separated "$ORCH" list --state "$STATE"
    [ "$(wc -l <<<"$output")" -eq 1 ]
    [[ "$output" == *'\u000a\u001b[31m\u202e\u0009x' ]]
    [ "$("$ORCH" list --json --state "$STATE" | jq -r .workspace; echo .)" = "$WS"$'\n.' ]
}

@test "list_of_fifty_runs_has_each_in_order" {
    one_phase ok plan "$MADE"
    for i in $(seq 50); do
        one "r$i" --quiet
        [ "$status" -eq 0 ]
    done
    separated "$ORCH" list --state "$STATE"
    [ "$(wc -l <<<"$output")" -eq 50 ]
    [ "$(cut -d' ' -f1 <<<"$output" | paste -sd' ')" = "$(seq -f r%g 50 | paste -sd' ')" ]
}

# ---- logs ----

# Two phases, the first with two attempts and a talking gate.
talking() {
    agent talker <<'END'
echo "out $ORCH_PHASE.$ORCH_ATTEMPT"
echo "err $ORCH_PHASE.$ORCH_ATTEMPT" >&2
[ "$ORCH_ATTEMPT" = 1 ] || echo x >made
[ "$ORCH_PHASE" = two ] && printf 'a\033[2J\r\n\377\ttab\nlast'
exit 0
END
    cat >"$W/workflow.json" <<JSON
{"schema": 1, "name": "talk", "agent": {"command": ["./talker"]}, "phases": [
  {"name": "one", "profile": "plan", "attempts": 2, "gates": [$MADE,
     {"type": "command", "name": "zeta.out", "run": ["sh", "-c", "echo gate z; echo gate error >&2"]},
     {"type": "command", "name": "alpha", "run": ["sh", "-c", "echo gate a"]}]},
  {"name": "two", "profile": "plan", "gates": [$MADE]},
  {"name": "tools", "agent": null, "gates": [$MADE]}]}
JSON
}

@test "logs_prints_attempts_and_gates_in_order_escaped" {
    talking
    one r1
    [ "$status" -eq 0 ]
    cat >"$T/expected" <<'END'
one.1 | out one.1
one.1 ! err one.1
one.1.zeta.out | gate z
one.1.zeta.out ! gate error
one.1.alpha | gate a
one.2 | out one.2
one.2 ! err one.2
one.2.zeta.out | gate z
one.2.zeta.out ! gate error
one.2.alpha | gate a
two.1 | out two.1
END
    printf '%s\n' 'two.1 | a\u001b[2J\u000d' 'two.1 | \xff'$'\t''tab' 'two.1 | last' 'two.1 ! err two.1' >>"$T/expected"
    separated "$ORCH" logs --state "$STATE" r1
    [ "$status" -eq 0 ]
    [ ! -s "$T/err" ]
    diff "$T/expected" - <<<"$output"
    separated "$ORCH" logs --state "$STATE" --follow r1 # over already: the same
    [ "$status" -eq 0 ]
    diff "$T/expected" - <<<"$output"
    separated "$ORCH" logs --state "$STATE" r1 one
    diff <(grep '^one' "$T/expected") - <<<"$output"
    for option in '' --follow; do
        # shellcheck disable=SC2086 # none is none
        separated "$ORCH" logs --state "$STATE" $option r1 one.2
        diff <(grep '^one\.2' "$T/expected") - <<<"$output"
    done
    separated "$ORCH" logs --state "$STATE" r1 tools # no agent, no output
    [ "$status" -eq 0 ]
    [ -z "$output" ]
}

@test "logs_of_what_is_not_there_is_exit_2_and_says_what_is" {
    talking
    one r1
    while IFS='|' read -r what said; do
        orch logs --state "$STATE" r1 "$what"
        [ "$status" -eq 2 ]
        # shellcheck disable=SC2053 # a pattern
        [[ "$output" == $said ]]
    done <<'END'
tool|*did you mean 'tools'[?]*one, two, tools*
three|*one, two, tools*
one.3|*one.1, one.2*
two.0|*PHASE.N*
one.x|*PHASE.N*
one.|*PHASE.N*
one.1.alpha|*PHASE.N*
one.99999999999999999999|*PHASE.N*
END
    orch logs --state "$STATE" r1 $'\e[31m'
    [ "$status" -eq 2 ]
    [[ "$output" != *$'\e'* ]]
    orch logs --state "$STATE" no-such-run
    [ "$status" -eq 2 ]
    mkdir -p "$STATE/runs/unbegun/layers"
    for option in '' --follow; do
        # shellcheck disable=SC2086 # none is none
        orch logs --state "$STATE" $option unbegun
        [ "$status" -eq 2 ]
    done
    orch logs --state "$STATE" r1 one # control
    [ "$status" -eq 0 ]
}

@test "t_fs_17_logs_opens_no_symlink_and_no_fifo" {
    talking
    one r1
    log=$STATE/runs/r1/logs/one.2.out
    echo secret >"$T/secret"
    rm "$log"
    for make in 'ln -s "$T/secret"' mkfifo mkdir; do
        eval "$make \"\$log\""
        orch logs --state "$STATE" r1
        [ "$status" -eq 7 ]
        [[ "$output" == *"one.2.out"*"not a regular file"* ]]
        [[ "$output" != *secret* ]]
        rm -rf "$log"
    done
    echo fine >"$log"
    orch logs --state "$STATE" r1 # control
    [ "$status" -eq 0 ]
    [[ "$output" == *"one.2 | fine"* ]]
}

@test "logs_of_any_size_take_little_memory_and_a_reader_may_leave" {
    agent loud <<'END'
echo x >made
head -c 9000000 /dev/zero | tr '\0' y
echo
yes short | head -c 3000000
exit 0
END
    one_phase loud plan "$MADE"
    one r1 --quiet
    [ "$status" -eq 0 ]
    # The limit is above what the program itself takes and far below the log; sizes are in KiB.
    [ -n "${ORCH_SANITIZED:-}" ] || ulimit -v 80000
    "$ORCH" logs --state "$STATE" r1 >"$T/all" 2>"$T/err"
    [ ! -s "$T/err" ]
    [ "$(awk '{ if (length($0) > max) max = length($0) } END { print max }' "$T/all")" -le 4200 ]
    [ "$(sed 's/^work\.1 | //' "$T/all" | tr -d '\n' | tr -cd y | wc -c)" -eq 9000000 ]
    for option in '' --follow; do
        # shellcheck disable=SC2086 # none is none
        [ "$("$ORCH" logs --state "$STATE" $option r1 2>"$T/err" | head -c 10 | wc -c)" -eq 10 ]
        [ ! -s "$T/err" ]
    done
    code=0
    "$ORCH" logs --state "$STATE" r1 >/dev/full 2>"$T/err" || code=$?
    [ "$code" -eq 10 ]
    grep -q 'No space left' "$T/err"
}

@test "logs_follow_shows_output_as_it_comes_over_two_attempts" {
    agent slow <<'END'
echo "began $ORCH_ATTEMPT"
sleep 1
printf 'half '
sleep 1
echo "line $ORCH_ATTEMPT"
[ "$ORCH_ATTEMPT" = 1 ] || echo x >made
exit 0
END
    one_phase slow plan "$MADE" '"attempts": 2'
    orch_start
    for _ in $(seq 2000); do [ ! -d "$RUNDIR" ] || break; sleep 0.02; done
    "$ORCH" logs --follow --state "$STATE" "$RUN" >"$T/followed" 2>&1 3>&- </dev/null &
    follower=$!
    for n in 1 2; do
        for _ in $(seq 2000); do ! grep -q "began $n" "$T/followed" || break; sleep 0.02; done
        grep -q "^work.$n | began $n\$" "$T/followed"
        refute grep -q "line $n" "$T/followed" # the attempt still goes on
        kill -0 "$pid"
    done
    orch_wait
    [ "$status" -eq 0 ]
    wait "$follower"
    diff <(printf '%s\n' 'work.1 | began 1' 'work.1 | half line 1' 'work.2 | began 2' 'work.2 | half line 2') "$T/followed"
}

@test "logs_follow_ends_by_sigint_with_130_and_when_the_supervisor_dies" {
    one_phase asleep plan "$MADE"
    start r1
    env --default-signal=INT "$ORCH" logs --follow --state "$STATE" r1 >"$T/one" 2>&1 3>&- </dev/null &
    first=$!
    "$ORCH" logs --follow --state "$STATE" r1 work.1 >"$T/two" 2>&1 3>&- </dev/null &
    second=$!
    for _ in $(seq 2000); do ! grep -q started "$T/one" "$T/two" || break; sleep 0.02; done
    sleep 0.5
    kill -0 "$first"
    kill -INT "$first"
    code=0
    wait "$first" || code=$?
    [ "$code" -eq 130 ]
    kill -0 "$second"
    stop KILL
    wait "$second"
    [ "$(cat "$T/one")" = 'work.1 | started' ]
    [ "$(cat "$T/two")" = 'work.1 | started' ]
}

# ---- prune ----

runs_left() {
    (cd "$STATE/runs" && printf '%s\n' * | paste -sd' ')
}

@test "prune_removes_ended_runs_and_touches_no_other" {
    every_kind
    one_phase asleep plan "$MADE"
    start running
    for name in kept paused interrupted corrupt newer copied running unbegun; do
        manifest "$STATE/runs/$name" >"$T/$name.before"
    done
    orch prune --keep 0 --state "$STATE"
    [ "$status" -eq 0 ]
    [ "$(runs_left)" = 'a-file a-link copied corrupt interrupted kept newer paused running unbegun' ]
    for name in passed failed; do [[ "$output" == *"removed $name "* ]]; done
    [[ "$output" == *"kept kept (passed): not applied: apply or discard it first"* ]]
    [[ "$output" == *"kept paused (paused): "*resume* ]]
    [[ "$output" == *"kept interrupted (interrupted): "*resume* ]]
    [[ "$output" == *"kept corrupt (corrupt): "*"record 2"* ]]
    [[ "$output" == *"kept newer (corrupt): "*"newer orch-sandbox"* ]]
    [[ "$output" == *"kept running (running): a supervisor holds it"* ]]
    [[ "$output" == *"kept unbegun (never began): "* ]]
    [[ "$output" =~ removed\ 2\ runs,\ [1-9][0-9]*\ bytes\ freed ]]
    # The journal of the one that goes on has a heartbeat.
    sed -i '/ \.\/journal\.jsonl$/d' "$T/running.before"
    for name in kept paused interrupted corrupt newer copied running unbegun; do
        manifest "$STATE/runs/$name" | { [ "$name" = running ] && sed '/ \.\/journal\.jsonl$/d' || cat; } | diff "$T/$name.before" -
    done
    [ -z "$(ls -A "$STATE/pruned")" ]
    stop KILL
    # What was kept still goes on.
    orch resume --state "$STATE" paused
    [ "$status" -eq 0 ]
    orch verify --state "$STATE" kept
    [ "$status" -eq 0 ]
}

@test "prune_keeps_the_newest_and_those_that_are_not_old_enough" {
    one_phase ok plan "$MADE"
    for name in c b a; do
        one $name
        [ "$status" -eq 0 ]
    done
    orch prune --keep 3 --state "$STATE"
    [ "$(runs_left)" = 'a b c' ]
    for age in 1h 1d 90000ms 400d; do
        orch prune --older-than $age --state "$STATE"
        [ "$status" -eq 0 ]
        [ "$(runs_left)" = 'a b c' ]
    done
    manifest "$STATE" >"$T/before"
    orch prune --keep 2 --dry-run --state "$STATE"
    [ "$status" -eq 0 ]
    [[ "$output" == *"would remove c "* ]]
    manifest "$STATE" | diff "$T/before" -
    orch prune --keep 2 --state "$STATE"
    [ "$(runs_left)" = 'a b' ]
    sleep 1.1
    one d
    orch prune --older-than 1s --state "$STATE"
    [ "$(runs_left)" = d ]
    orch prune --older-than 0s --state "$STATE"
    [ -z "$(ls -A "$STATE/runs")" ]
    orch prune --keep 0 --state "$STATE"
    [ "$status" -eq 0 ]
    [[ "$output" == *"removed 0 runs"* ]]
    one a # the name is free again
    [ "$status" -eq 0 ]
}

@test "prune_wants_exactly_one_rule_that_it_understands" {
    one_phase ok plan "$MADE"
    one r1
    while IFS= read -r arguments; do
        eval "orch prune --state \"\$STATE\" $arguments"
        [ "$status" -eq 2 ]
        [ -d "$STATE/runs/r1" ]
    done <<'END'

--dry-run
--keep 0 --older-than 0s
--keep -1
--keep x
--keep 1x
--keep ' 0'
--keep 99999999999999999999999
--older-than 0
--older-than d
--older-than 1w
--older-than -1d
--older-than 1.5d
--older-than 99999999999999999999d
--older-than 9223372036854775807d
--keep 0 r1
END
    orch prune --state "$STATE" --keep 0 # control
    [ "$status" -eq 0 ]
    [ ! -e "$STATE/runs/r1" ]
}

@test "prune_leaves_an_ended_run_that_somebody_holds" {
    one_phase ok plan "$MADE"
    one r1
    flock --no-fork "$STATE/runs/r1/lock" sleep 50 3>&- &
    holder=$!
    for _ in $(seq 2000); do flock -n "$STATE/runs/r1/lock" true || break; sleep 0.02; done
    orch prune --keep 0 --state "$STATE"
    kill "$holder"
    [ "$status" -eq 0 ]
    [[ "$output" == *"kept r1 "*holds* ]]
    [ -d "$STATE/runs/r1" ]
    for _ in $(seq 2000); do ! flock -n "$STATE/runs/r1/lock" true || break; sleep 0.02; done
    orch prune --keep 0 --state "$STATE"
    [ ! -e "$STATE/runs/r1" ]
}

@test "prune_takes_away_what_a_killed_prune_left" {
    mkdir -p "$STATE/runs" "$STATE/pruned/old.123/layers/x"
    echo x >"$STATE/pruned/old.123/layers/x/f"
    chmod 0 "$STATE/pruned/old.123/layers/x"
    ln -s "$WS" "$STATE/pruned/link"
    echo mine >"$WS/mine"
    orch prune --keep 5 --dry-run --state "$STATE"
    [ -e "$STATE/pruned/old.123" ]
    orch prune --keep 5 --state "$STATE"
    [ "$status" -eq 0 ]
    [ -z "$(ls -A "$STATE/pruned")" ]
    [ "$(cat "$WS/mine")" = mine ]
}
