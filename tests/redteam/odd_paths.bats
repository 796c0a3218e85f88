#!/usr/bin/env bats
# T-AUD-01, T-FS-10: a path that starts where no path leads (a deleted or too deep working directory, with a decoy in its place), or
# passes what blocks whoever opens it, is judged as what it leads to, and recorded as that.
# shellcheck disable=SC2016 # the sandbox expands
load ../lib/common
load ../lib/workflow

setup_file() { need_sandbox; }

setup() {
    orch_setup
    mkdir -p "$WS/none" "$WS/ro" "$WS/free/none" "$WS/free/ro"
    for dir in "$WS/none" "$WS/ro" "$WS/free/none" "$WS/free/ro"; do echo secret >"$dir/s"; done
    cat >"$T/p.json" <<'END'
{"schema":1,"name":"odd","extends":"plan","widen":"test","create":["file","directory","symlink"],"filesystem":[{"path":"${workspace}/none","access":"none"},
 {"path":"${workspace}/ro","access":"ro"},{"path":"${workspace}/**/.git","access":"ro"}]}
END
    # Each act reads what is hidden and writes what is read-only, from an odd place; it prints what it got.
    cat >"$T/acts" <<'END'
act() { cat "$1/none/s" 2>/dev/null && echo "$2 read"; (echo x >>"$1/ro/s") 2>/dev/null && echo "$2 wrote"; }
top=$PWD
mkdir gone; cd gone; rmdir "$top/gone"
act .. deleted
ln -s "$top/free/x" "$top/gone (deleted)"; mkdir "$top/free/x"
act .. decoy
cd "$top"; mkdir -p a/b; cd a/b; rm -r "$top/a"
act ../.. both-deleted
act /proc/self/cwd/../.. by-proc
cd "$top"; n=$(printf 'd%.0s' $(seq 200)); up=.; i=0
while [ $i -lt 25 ]; do mkdir $n && cd -P $n || echo stopped; up=$up/..; i=$((i + 1)); done
act "$up" deep
(mkdir .git) 2>/dev/null && echo deep made
echo ok >plain && cat plain
cd "$top"; rm -r $n && echo removed
END
}

teardown() { orch_teardown; }

@test "t_aud_01_paths_from_nameless_directories_are_judged_and_recorded" {
    run timeout 60 "$ORCH" exec --state "$STATE" --workspace "$WS" --profile "$T/p.json" --audit "$T/audit" -- sh -c "$(cat "$T/acts")" 3>&- </dev/null
    orch_say
    [ "$status" -eq 0 ]
    refute grep -q 'secret\|read\|wrote\|made\|stopped' <<<"$(head -n -1 <<<"$output" | grep -v '^orch-sandbox')"
    grep -qx ok <<<"$output"
    grep -qx removed <<<"$output"
    # Of five acts each.
    [ "$(jq -s --arg p "$WS/none/s" '[.[] | select(.event == "denial" and .path == $p and .errno == "ENOENT") | .count] | add' "$T/audit")" -eq 5 ]
    [ "$(jq -s --arg p "$WS/ro/s" '[.[] | select(.event == "denial" and .path == $p and .errno == "EACCES") | .count] | add' "$T/audit")" -eq 5 ]
    [ "$(jq -s '[.[] | select(.event == "denial" and (.path | endswith("/.git"))) | .count] | add' "$T/audit")" -eq 1 ]
    [ "$(jq -s '[.[] | select(.event == "denial") | .count] | add' "$T/audit")" -eq 11 ]
    # The control: outside, all of it is done.
    (cd "$WS" && sh -c "$(cat "$T/acts")") >"$T/outside" </dev/null
    for way in deleted decoy both-deleted by-proc deep; do
        grep -qx "$way read" "$T/outside"
        grep -qx "$way wrote" "$T/outside"
    done
    grep -qx 'deep made' "$T/outside"
}

@test "t_sc_22_what_blocks_whoever_opens_it_does_not_block_the_judge" {
    run timeout 60 "$ORCH" exec --state "$STATE" --workspace "$WS" --profile "$T/p.json" --audit "$T/audit" -- sh -c '
        mkfifo /tmp/f; ln -s /tmp/f /tmp/l
        for i in 1 2 3 4; do cat /tmp/f /tmp/l >/dev/null & done    # they wait for a writer
        (exec 3>/tmp/g) ; mkfifo /tmp/h; (exec 3>/tmp/h) &           # and one for a reader
        sleep 0.3
        cat none/s 2>/dev/null || echo answered
        kill %1 %2 %3 %4 %5 2>/dev/null; echo the-end' 3>&- </dev/null
    orch_say
    [ "$status" -eq 0 ]
    grep -qx answered <<<"$output"
    grep -qx the-end <<<"$output"
    [ "$(jq -s --arg p "$WS/none/s" '[.[] | select(.event == "denial" and .path == $p) | .count] | add' "$T/audit")" -eq 1 ]
}
