#!/usr/bin/env bats
# The real workspace changes when the whole run has passed, then completely and exactly, and otherwise not at all.
load ../lib/common
load ../lib/workflow

setup_file() { need_sandbox; }

setup() {
    orch_setup
    workflow_setup
    umask 022
}

teardown() { orch_teardown; }

PASS='{"type": "command", "name": "gate", "run": ["true"]}'
FAIL='{"type": "file", "name": "gate", "path": "never"}'

make_workspace() {
    mkdir -p "$WS/src/deep/er" "$WS/olddir/sub" "$WS/todir" "$WS/locked"
    printf 'one\n' >"$WS/src/a.c"
    head -c 300000 /dev/zero | tr '\0' x >"$WS/src/big"
    printf 'deep\n' >"$WS/src/deep/er/file"
    for name in gone edit swap mode empty-me tofile rename-me "with space" -dash; do printf '%s\n' "$name" >"$WS/$name"; done
    printf 'x\n' >"$WS/olddir/sub/x"
    printf 'y\n' >"$WS/todir/y"
    printf 'z\n' >"$WS/locked/z"
    chmod 0500 "$WS/locked"
    ln -s edit "$WS/link"
    ln -s gone "$WS/link2"
    printf 'untouched\n' >"$WS/untouched"
    find "$WS" -exec touch -h -d '2020-02-02 02:02:02' {} +
}

# Every kind of change. Times are set, so that the same script gives the same tree wherever it runs.
editor() {
    cat <<'END'
cd "${ORCH_WORKSPACE:-.}" || exit 9
umask 022
echo appended >>edit
: >empty-me
printf 'replaced' >tmp && mv tmp swap
printf MIDDLE | dd of=src/big bs=1 seek=150000 conv=notrunc 2>/dev/null
chmod 0600 mode
chmod 0711 src/deep
rm gone
rm -r olddir
rm -r todir && echo 'was a directory' >todir
rm tofile && mkdir tofile && echo in >tofile/in
rm link && ln -s src/deep/er/file link
rm link2 && echo 'was a link' >link2
mv rename-me renamed
mv src/deep/er src/moved
echo more >>'with space'
rm ./-dash
echo dash >./--help
mkdir -p new/a/b/c new/empty
echo c >new/a/b/c/file
: >new/zero
printf '#!/bin/sh\n' >new/tool
chmod 0755 new/tool
echo secret >new/private
chmod 0640 new/private
chmod 0700 new/a/b
ln -s nowhere new/dangling
ln -s ../src new/dirlink
printf 'é \342\202\254\n' >new/ü
chmod 0700 locked && rm locked/z && echo zz >locked/zz && chmod 0500 locked
for f in edit empty-me swap src/big todir tofile/in link link2 renamed 'with space' ./--help new/a/b/c/file new/zero \
    new/tool new/private new/dangling new/dirlink new/ü locked/zz; do
    touch -h -d '2021-03-04 05:06:07.123456789' "$f"
done
touch -d '2019-01-01' new/empty
END
}

@test "passing_run_applies_exactly_what_the_agent_did" {
    make_workspace
    cp -a "$WS" "$T/control"
    editor | agent editor
    one_phase editor implement "$PASS"
    ino=$(stat -c %i "$WS/untouched")
    orch_run
    [ "$status" -eq 0 ]
    (cd "$T/control" && sh "$W/editor")
    outcome "$WS" >"$T/applied"
    outcome "$T/control" >"$T/wanted"
    same "$T/wanted" "$T/applied"
    [ "$(stat -c %Y "$WS/new/empty")" = "$(stat -c %Y "$T/control/new/empty")" ] # times of new directories
    [ "$(stat -c %i "$WS/untouched")" = "$ino" ]
    [[ "$output" == *"created"*"modified"*"deleted"* ]]
    [ -z "$(find "$WS" -name '.orch*')" ]
    # Nothing more: applying what is there already changes nothing.
    agent again <<'END'
echo same >new/zero && : >new/zero
chmod 0644 edit && touch untouched
cp -p 'with space' tmp && mv tmp 'with space'
END
    one_phase again implement "$PASS, {\"type\": \"changes\", \"name\": \"none\", \"max_files\": 0}"
    find "$WS" ! -type d -printf '%P %i %T@\n' | sort >"$T/before"
    orch_run
    [ "$status" -eq 0 ]
    [ "$(verdict none)" = pass ]
    find "$WS" ! -type d -printf '%P %i %T@\n' | sort | diff "$T/before" -
}

@test "later_phases_work_on_and_apply_over_earlier_ones" {
    make_workspace
    agent phases <<'END'
case $ORCH_PHASE in
one) echo one >shared && echo one >first && rm gone && mkdir d && echo x >d/x ;;
two) cat shared first && test ! -e gone && echo two >shared && rm first && echo back >gone && rm -r d && mkdir d ;;
three) grep -qx two shared && test ! -e first && test ! -e d/x && echo three >third ;;
esac
END
    python3 - "$W/workflow.json" <<'END'
import json, sys
json.dump({"schema": 1, "name": "test", "agent": {"command": ["./phases"]}, "phases": [
    {"name": n, "profile": "plan", "gates": [{"type": "changes", "required": [f]}]}
    for n, f in (("one", "first"), ("two", "shared"), ("three", "third"))]}, open(sys.argv[1], "w"))
END
    orch_run
    [ "$status" -eq 0 ]
    [ "$(cat "$WS/shared" "$WS/third" "$WS/gone")" = "$(printf 'two\nthree\nback')" ]
    [ ! -e "$WS/first" ]
    [ -z "$(ls -A "$WS/d")" ]
}

# unchanged: the workspace is as it was when $T/before was taken.
unchanged() {
    snapshot "$WS" >"$T/after"
    same "$T/before" "$T/after"
}

@test "runs_that_do_not_pass_leave_no_byte_changed" {
    make_workspace
    snapshot "$WS" >"$T/before"
    editor | agent editor
    cat >>"$W/editor" <<'END'
case $HOW in
sleep) echo ready; sleep 60 ;;
signal) kill -KILL $$ ;;
denied) cat /etc/shadow; mkdir .git .vscode; cat /etc/shadow; sleep 5 ;;
esac
END
    with() { sed -i 's|"command": \["./editor"\]|&, "env": {"HOW": "'"$1"'"}|' "$W/workflow.json"; }

    one_phase editor implement "$FAIL" # a gate fails
    orch_run
    [ "$status" -eq 1 ]
    unchanged
    [ -e "$RUNDIR/layers/work.1/upper/new/tool" ] # control: the changes were made, in the layer

    one_phase editor implement "$PASS, {\"type\": \"command\", \"name\": \"late\", \"run\": [\"false\"]}" '"attempts": 2'
    with signal
    orch_run
    [ "$status" -eq 1 ]
    unchanged

    one_phase editor implement "$PASS" '"timeout": "700ms"' # time limit
    with sleep
    orch_run
    [ "$status" -eq 4 ]
    unchanged

    one_phase editor implement "$PASS" '' '"max_denials": 1' # denial budget
    with denied
    orch_run
    [ "$status" -eq 6 ]
    unchanged

    one_phase editor implement "$PASS" # not a program of the view when it comes to starting it
    sed -i 's|"./editor"|"${workspace}/no-such-program"|' "$W/workflow.json"
    orch_run
    [ "$status" -eq 8 ]
    unchanged

    one_phase editor implement '' '"reason": "nothing to judge", "timeout": "10s"' # the workflow's own time limit
    sed -i 's|"name": "test"|&, "timeout": "700ms"|' "$W/workflow.json"
    with sleep
    orch_run
    [ "$status" -eq 4 ]
    unchanged

    one_phase editor implement "$PASS" # control
    orch_run
    [ "$status" -eq 0 ]
    refute unchanged >/dev/null
}

@test "cancelled_runs_leave_no_byte_changed_and_no_process" {
    make_workspace
    snapshot "$WS" >"$T/before"
    token=cancelled-$$-$RANDOM
    editor | agent editor
    echo "trap '' INT TERM HUP; nohup sh -c 'sleep 300' $token >/dev/null 2>&1 & echo ready; sleep 60" >>"$W/editor"
    for signal in INT TERM; do
        one_phase editor implement "$PASS" '"attempts": 3'
        orch_start
        until_printed ready
        kill -$signal "$pid"
        orch_wait
        [ "$status" -eq "$([ $signal = INT ] && echo 130 || echo 143)" ]
        no_agent_left "$token"
        unchanged
        [ -e "$RUNDIR/layers/work.1/upper/new/tool" ]
        [ "$(jq -r 'select(.event == "end") | .verdict' "$RUNDIR/journal.jsonl")" = cancelled ]
        [ ! -e "$RUNDIR/layers/work.2" ] # control: no further attempt
        orch_resume
        [ "$status" -eq "$([ $signal = INT ] && echo 130 || echo 143)" ]
        unchanged
    done
}

@test "cancelled_while_a_gate_runs_leaves_no_byte_changed" {
    make_workspace
    snapshot "$WS" >"$T/before"
    token=gate-$$-$RANDOM
    editor | agent editor
    one_phase editor implement "{\"type\": \"command\", \"name\": \"slow\", \"run\": [\"sh\", \"-c\",
        \"trap '' TERM INT HUP; echo $token; sleep 60; sleep 60\"]}, $PASS"
    for signal in TERM HUP INT; do
        orch_start
        for _ in $(seq 2000); do
            ! grep -qsF "$token" "$RUNDIR"/logs/work.1.slow.out || break
            sleep 0.02
        done
        SECONDS=0
        kill -$signal "$pid"
        orch_wait
        [ "$SECONDS" -le 40 ]
        [ "$status" -eq "$([ $signal = INT ] && echo 130 || echo 143)" ]
        no_agent_left "$token"
        unchanged
        [ "$(verdict slow)" = error ]
    done
}

@test "no_apply_until_and_dry_run_leave_no_byte_changed" {
    make_workspace
    snapshot "$WS" >"$T/before"
    editor | agent editor
    echo 'echo agent-ran' >>"$W/editor"
    one_phase editor implement "$PASS"

    orch_run --dry-run
    [ "$status" -eq 0 ]
    unchanged
    [[ "$output" != *agent-ran* ]]
    [ ! -e "$RUNDIR" ]

    orch_run --no-apply
    [ "$status" -eq 0 ]
    unchanged
    [[ "$output" == *agent-ran* ]]
    [ -e "$RUNDIR/layers/work.1/upper/new/tool" ]

    orch_run --until work
    [ "$status" -eq 5 ]
    unchanged
    # Control: resumed, the run applies what it had kept, without starting the agent again.
    orch_resume
    [ "$status" -eq 0 ]
    [[ "$output" != *agent-ran* ]]
    [ -x "$WS/new/tool" ]
    refute unchanged >/dev/null
}

@test "workspace_changed_underneath_is_a_conflict_and_nothing_is_applied" {
    make_workspace
    agent slow <<'END'
echo agent >edit && echo new >created-by-agent
echo ready
sleep 1.5
END
    one_phase slow plan "$PASS"

    orch_start
    until_printed ready
    echo operator >"$WS/src/a.c"
    echo operator >"$WS/operator-made"
    rm "$WS/gone"
    chmod 0755 "$WS/mode"
    snapshot "$WS" >"$T/before"
    orch_wait
    [ "$status" -eq 9 ]
    unchanged
    for path in src/a.c operator-made gone mode; do
        [[ "$output" == *"$path"* ]]
    done
    [ "$(cat "$RUNDIR/layers/work.1/upper/edit")" = agent ] # nothing is lost
    orch_resume
    [ "$status" -eq 9 ]
    unchanged

    # The very path the agent changed, and put back byte for byte: still not the file it was.
    orch_start
    until_printed ready
    cp -p "$WS/edit" "$T/edit"
    echo operator >"$WS/edit"
    cat "$T/edit" >"$WS/edit"
    touch -r "$T/edit" "$WS/edit"
    orch_wait
    [ "$status" -eq 9 ]
    [[ "$output" == *edit* ]]
    [ ! -e "$WS/created-by-agent" ]

    # Also when nothing is to be applied: the gates judged a view that changed under them.
    orch_start --no-apply
    until_printed ready
    echo operator >>"$WS/untouched"
    orch_wait
    [ "$status" -eq 9 ]

    # Control: left alone, it passes.
    orch_run
    [ "$status" -eq 0 ]
    [ "$(cat "$WS/edit")" = agent ]
}

@test "workspace_changed_while_a_run_is_paused_is_a_conflict" {
    make_workspace
    agent writer <<'END'
echo agent >edit
END
    one_phase writer plan "$PASS"
    orch_run --until work
    [ "$status" -eq 5 ]
    cp -a "$WS/swap" "$T/swap"
    echo operator >>"$WS/swap"
    orch_resume
    [ "$status" -eq 9 ]
    [[ "$output" == *swap* ]]
    [ "$(cat "$WS/edit")" = edit ]
    # Control: undisturbed.
    orch_run --until work
    orch_resume
    [ "$status" -eq 0 ]
    [ "$(cat "$WS/edit")" = agent ]
}

@test "of_two_runs_on_one_workspace_the_second_to_finish_conflicts" {
    make_workspace
    agent writer <<'END'
echo "$ORCH_RUN" >"by-$ORCH_RUN"
echo ready
sleep 1
END
    one_phase writer plan "$PASS"
    orch_start
    until_printed ready
    # The same run again, and the run while it runs: somebody else has it.
    run "$ORCH" resume --state "$STATE" "$RUN"
    [ "$status" -eq 9 ]
    [[ "$output" == *"$RUN"*"$pid"* ]]
    first=$RUNDIR
    timeout 60 "$ORCH" run --workspace "$WS" --state "$STATE" --run-id other "$W/workflow.json" >"$T/other" 2>&1 3>&- &
    other=$!
    orch_wait
    [ "$status" -eq 0 ]
    status=0
    wait "$other" || status=$?
    [ "$status" -eq 9 ]
    grep -q "by-${first##*/}" "$T/other"
    [ "$(cd "$WS" && echo by-*)" = "by-${first##*/}" ]
}

@test "ignored_changes_are_no_conflict" {
    make_workspace
    mkdir "$WS/log"
    echo start >"$WS/log/app.log"
    agent slow <<'END'
echo agent >edit
echo ready
sleep 1.5
END
    one_phase slow plan "$PASS" '' '"ignore_changes": ["**/*.log", "tmp/**", "tmp"]'
    orch_start
    until_printed ready
    echo operator >>"$WS/log/app.log"
    echo operator >"$WS/log/new.log"
    mkdir "$WS/tmp"
    echo operator >"$WS/tmp/file"
    orch_wait
    [ "$status" -eq 0 ]
    [ "$(cat "$WS/edit")" = agent ]
    [ "$(cat "$WS/log/new.log" "$WS/tmp/file")" = "$(printf 'operator\noperator')" ]

    # Control: one path that no glob covers.
    orch_start
    until_printed ready
    echo operator >>"$WS/log/app.log"
    echo operator >"$WS/log/new.txt"
    orch_wait
    [ "$status" -eq 9 ]
    [[ "$output" == *log/new.txt* ]]
    [[ "$output" != *app.log* ]]
}

@test "t_fs_04_hard_linked_file_is_replaced_not_written_through" {
    make_workspace
    echo original >"$T/outside"
    ln "$T/outside" "$WS/hard"
    ln "$T/outside" "$WS/hard-mode"
    ln "$T/outside" "$WS/hard-kept"
    agent writer <<'END'
echo changed >>hard
chmod 0600 hard-mode
END
    one_phase writer plan "$PASS"
    orch_run
    [ "$status" -eq 0 ]
    [ "$(cat "$T/outside")" = original ]
    [ "$(stat -c '%a %h' "$T/outside")" = '644 2' ]
    [ "$(cat "$WS/hard")" = "$(printf 'original\nchanged')" ]
    [ "$(stat -c %h "$WS/hard")" = 1 ]
    [ "$(stat -c '%a %h' "$WS/hard-mode")" = '600 1' ]
    [ "$WS/hard-kept" -ef "$T/outside" ]
    # Control: written directly, the other name changes too.
    echo through >>"$WS/hard-kept"
    grep -qx through "$T/outside"
}

@test "t_fs_02_symlink_out_of_the_workspace_is_not_written_through" {
    make_workspace
    mkdir "$T/elsewhere"
    echo original >"$T/elsewhere/file"
    ln -s "$T/elsewhere/file" "$WS/to-file"
    ln -s "$T/elsewhere" "$WS/to-dir"
    ln -s ../elsewhere "$WS/to-dir2"
    agent writer <<'END'
echo owned >to-file
echo owned >to-dir/made
echo owned >to-dir2/file
rm -rf to-dir2/file
echo inside >inside
exit 0
END
    one_phase writer implement "$PASS"
    snapshot "$T/elsewhere" >"$T/before"
    orch_run
    [ "$status" -eq 0 ]
    snapshot "$T/elsewhere" >"$T/after"
    same "$T/before" "$T/after"
    [ -e "$WS/inside" ]
    # Control: unconfined, it does.
    (cd "$WS" && sh "$W/writer" 2>/dev/null)
    [ -e "$T/elsewhere/made" ]
}

@test "retry_keeps_or_resets_the_files_of_the_attempt_before" {
    agent steps <<'END'
echo "attempt $ORCH_ATTEMPT" >attempt.$ORCH_ATTEMPT
echo $ORCH_ATTEMPT >>log
[ "$ORCH_ATTEMPT" -lt 3 ] || echo x >done
END
    GATE='{"type": "file", "name": "gate", "path": "done"}'
    one_phase steps plan "$GATE" '"attempts": 5'
    orch_run
    [ "$status" -eq 0 ]
    [ "$(cd "$WS" && echo *)" = 'attempt.1 attempt.2 attempt.3 done log' ]
    [ "$(tr '\n' ' ' <"$WS/log")" = '1 2 3 ' ]
    [ ! -e "$RUNDIR/layers/work.4" ]

    rm "$WS"/*
    one_phase steps plan "$GATE" '"attempts": 3, "on_retry": "reset"'
    orch_run
    [ "$status" -eq 0 ]
    [ "$(cd "$WS" && echo *)" = 'attempt.3 done log' ]
    [ "$(cat "$WS/log")" = 3 ]

    rm "$WS"/*
    one_phase steps plan "$GATE" '"attempts": 2' # exactly two
    orch_run
    [ "$status" -eq 1 ]
    [ ! -e "$RUNDIR/layers/work.3" ]
    [ -z "$(ls -A "$WS")" ]
}

@test "goto_drops_the_layers_of_the_phases_it_goes_back_over" {
    agent steps <<'END'
echo x >$ORCH_PHASE.$ORCH_ATTEMPT
echo $ORCH_PHASE.$ORCH_ATTEMPT >>log
ls
END
    flow() {
        cat >"$W/workflow.json" <<JSON
{"schema": 1, "name": "test", "agent": {"command": ["./steps"]}, "phases": [
 {"name": "first", "profile": "plan", "gates": [{"type": "file", "path": "first.1"}]},
 {"name": "a", "profile": "plan", "gates": [{"type": "changes", "required": ["a.*"]}]},
 {"name": "b", "profile": "plan", "on_fail": {"goto": "a", "times": $1},
  "gates": [{"type": "file", "path": "$2"}, {"type": "file", "name": "gone", "path": "b.1", "absent": true}]}]}
JSON
    }
    flow 2 a.2
    orch_run
    [ "$status" -eq 0 ]
    [ "$(cd "$WS" && echo *)" = 'a.2 b.2 first.1 log' ]
    [ "$(tr '\n' ' ' <"$WS/log")" = 'first.1 a.2 b.2 ' ]
    [ "$(jq -r 'select(.event == "goto") | .from + " " + .to' "$RUNDIR/journal.jsonl")" = 'b a' ]

    rm "$WS"/*
    flow 2 never # used up: three visits of b, then the end
    orch_run
    [ "$status" -eq 1 ]
    [ "$(jq -r 'select(.event == "verdict") | .phase' "$RUNDIR/journal.jsonl" | tr '\n' ' ')" = 'first a b a b a b ' ]
    [ -z "$(ls -A "$WS")" ]
}

@test "t_fs_13_unreadable_and_odd_files_are_applied_exactly_or_not_at_all" {
    make_workspace
    snapshot "$WS" >"$T/before"
    agent odd <<'END'
echo secret >unreadable && chmod 0 unreadable
mkdir shut && echo x >shut/x && chmod 0 shut
chmod 0 mode
END
    one_phase odd plan "$PASS"
    orch_run
    if [ "$status" -eq 0 ]; then
        [ "$(stat -c %a "$WS/unreadable" "$WS/shut" "$WS/mode" | tr '\n' ' ')" = '0 0 0 ' ]
        chmod 0700 "$WS/unreadable" "$WS/shut" "$WS/mode"
        [ "$(cat "$WS/unreadable" "$WS/shut/x" "$WS/mode")" = "$(printf 'secret\nx\nmode')" ]
    else
        [ "$status" -eq 1 ]
        unchanged
    fi
    chmod -R u+rwX "$RUNDIR"

    # Control: readable, it is applied.
    sed -i 's/chmod 0 /chmod 0700 /' "$W/odd"
    orch_run
    [ "$status" -eq 0 ]
    [ "$(stat -c %a "$WS/unreadable" "$WS/shut" "$WS/mode" | tr '\n' ' ')" = '700 700 700 ' ]
}

@test "scratch_home_and_tmp_are_never_applied" {
    mkdir "$W/home" "$WS/build"
    echo seed >"$W/home/seed"
    echo kept >"$WS/build/kept"
    profile scratch '{"schema": 1, "name": "scratch", "extends": "plan", "widen": "test",
        "filesystem": [{"path": "${workspace}/build", "access": "rwx", "scratch": true}]}'
    agent writer <<'END'
test ! -e build/kept && echo x >build/made && echo x >/tmp/made && cat "$HOME/seed" >>"$HOME/memory" && echo x >real
cp "$HOME/memory" "memory.$ORCH_PHASE"
END
    cat >"$W/workflow.json" <<'JSON'
{"schema": 1, "name": "test", "agent": {"command": ["./writer"]}, "home": {"from": "./home", "keep": true}, "phases": [
  {"name": "one", "profile": "./scratch.json", "gates": [{"type": "changes", "allow": ["real", "memory.one"]}]},
  {"name": "two", "profile": "./scratch.json", "gates": [
    {"type": "command", "run": ["sh", "-c", "test ! -e build/made && test ! -e /tmp/made && test ! -e $HOME/memory"]}]}]}
JSON
    snapshot "$W/home" >"$T/home"
    orch_run
    [ "$status" -eq 0 ]
    [ "$(ls -A "$WS/build")" = kept ]
    [ "$(cd "$WS" && echo *)" = 'build memory.one memory.two real' ]
    [ "$(wc -l <"$WS/memory.two")" -eq 2 ] # control: the home went on from one phase to the next
    snapshot "$W/home" >"$T/home.after"
    same "$T/home" "$T/home.after"
}

@test "t_fs_13_deep_trees_many_and_sparse_files_are_applied_exactly" {
    need python3
    profile huge '{"schema": 1, "name": "huge", "extends": "implement", "widen": "test", "limits": {"file_size": "2000GiB"}}'
    cat >"$T/script" <<'END'
cd "${ORCH_WORKSPACE:-.}" || exit 9
mkdir many && seq -f many/%.0f 5000 | xargs touch
truncate -s 1T sparse
printf end | dd of=sparse bs=1 seek=1099511627000 conv=notrunc 2>/dev/null
python3 -c '
import os
for i in range(300):
    os.mkdir("a-name-that-is-so-long-that-three-hundred-of-them-are-several-times-the-limit-of-a-path")
    os.chdir("a-name-that-is-so-long-that-three-hundred-of-them-are-several-times-the-limit-of-a-path")
open("file", "w").write("bottom")
' && echo deep
END
    agent maker <"$T/script"
    one_phase maker ./huge.json '{"type": "changes", "max_files": 6000}'
    orch_run
    [ "$status" -eq 0 ]
    [ "$took" -lt 60000 ] # a hang, not a speed
    grep -qx deep "$RUNDIR/logs/work.1.out"
    mkdir "$T/control"
    (cd "$T/control" && sh "$T/script")
    tree() { (cd "$1" && find . \( -type d -printf '%d %f\n' \) -o -printf '%d %f %s\n' | LC_ALL=C sort); }
    tree "$WS" >"$T/applied"
    tree "$T/control" >"$T/wanted"
    [ "$(wc -l <"$T/applied")" -eq 5304 ]
    cmp "$T/wanted" "$T/applied"
    [ "$(stat -c %s "$WS/sparse")" -eq 1099511627776 ]
    [ "$(stat -c %b "$WS/sparse")" -le 1024 ]
    [ "$(dd if="$WS/sparse" bs=1 skip=1099511627000 count=3 2>/dev/null)" = end ]
}

@test "t_fs_16_odd_things_that_the_workspace_has_stay_as_they_are" {
    make_workspace
    mkfifo "$WS/fifo"
    mkdir "$WS/shut" && echo x >"$WS/shut/x" && chmod 0 "$WS/shut"
    echo x >"$WS/unreadable" && chmod 0 "$WS/unreadable"
    ln -s loop "$WS/loop"
    ln -s nowhere "$WS/dangling"
    ln -s / "$WS/outward"
    python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$WS/socket"
    agent writer <<'END'
echo agent >>edit && rm gone && echo x >made
END
    one_phase writer plan '{"type": "changes", "name": "changes", "allow": ["edit", "gone", "made"], "max_files": 3}'
    names() { find "$WS" ! -name made ! -name gone ! -name edit -printf '%P %y %m %U:%G %i %l\n' 2>/dev/null | sort; }
    names >"$T/before"
    orch_run
    [ "$status" -eq 0 ]
    [ "$(verdict changes)" = pass ]
    names | diff "$T/before" -
    [ "$(cat "$WS/edit")" = "$(printf 'edit\nagent')" ]
    [ ! -e "$WS/gone" ]
}

@test "mode_of_the_workspace_itself_is_kept" {
    make_workspace
    chmod 0750 "$WS"
    agent writer <<'END'
echo x >made && rm gone
END
    one_phase writer plan "$PASS"
    orch_run
    [ "$status" -eq 0 ]
    [ "$(stat -c %a "$WS")" = 750 ]
    [ -e "$WS/made" ]
    # Shut for its owner, it takes no change, or takes it and is shut again.
    rm -f "$WS/made"
    chmod 0555 "$WS"
    orch_run
    [ "$(stat -c %a "$WS")" = 555 ]
    chmod 0755 "$WS"
}
