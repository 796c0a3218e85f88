#!/usr/bin/env bats
# What people and agents are told of denials: what would allow them, what is allowed instead, and nothing that a terminal obeys.
bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/workflow

setup_file() { need_sandbox; need jq; need python3; }

setup() {
    orch_setup
    workflow_setup
    OUTSIDE=$(mktemp -d /var/tmp/orch-test.XXXXXX)   # the sandbox has its own /tmp
    chmod 0755 "$OUTSIDE"
}

teardown() {
    [ -z "${pid:-}" ] || kill -KILL "$pid" 2>/dev/null || :
    rm -rf "$OUTSIDE"
    orch_teardown
}

audit() {
    run --separate-stderr timeout 120 "$ORCH" audit --state "$STATE" "$@" "$RUN" 3>&- </dev/null
}

@test "a_line_that_is_told_does_allow_it_and_where_none_does_the_reason_is_told" {
    mkdir "$WS/dir" "$OUTSIDE/open"
    chmod 0777 "$OUTSIDE/open"
    echo x >"$WS/old"
    echo y >"$WS/.env"
    echo z >"$WS/dir/kept"
    echo s >"$OUTSIDE/secret"
    python3 "$ORCH_ROOT/tests/lib/suggested.py" "$ORCH" "$T" "$STATE" "$OUTSIDE" 3>&-
}

# bounds PROFILE CEILING: what is told beside the line that would show /etc/shadow, .env and the network
bounds() {
    profile p "$1"
    profile ceiling "$2"
    agent asks <<'END'
cat /etc/shadow
cat "$ORCH_WORKSPACE/.env"
echo 1 >"$ORCH_WORKSPACE/made"
END
    one_phase asks "${3:-./p.json}" '{"type": "denials", "max": 9}' '' '"ceiling": "./ceiling.json"'
    orch_run --no-apply
    [ "$status" -eq 0 ]
    audit --format sarif
    [ "$status" -eq 0 ]
    told=$(jq -r '.runs[0].results[].properties | .path + " " + (.suggestion // "none") + " / " + .suggestionNote' <<<"$output")
    echo "$told"
}

@test "a_line_is_held_against_the_parent_and_the_ceiling" {
    echo y >"$WS/.env"
    wide='{"schema": 1, "name": "ceiling", "extends": "plan", "widen": "test", "filesystem": [{"path": "/etc/shadow", "access": "rw"}]}'
    plan='{"schema": 1, "name": "ceiling", "extends": "plan"}'
    hides='"filesystem": [{"path": "${workspace}/.env", "access": "none"}, {"path": "${workspace}", "access": "rw"}]'
    bounds '{"schema": 1, "name": "p", "extends": "plan", '"$hides"'}' "$plan"
    grep -q "/etc/shadow in \"filesystem\": .* / wider than the parent 'plan': needs \"widen\"; beyond the workflow's ceiling 'ceiling'" <<<"$told"
    grep -q "/.env in \"filesystem\", in place of .* / within the parent 'plan'; within the workflow's ceiling 'ceiling'" <<<"$told"
    bounds '{"schema": 1, "name": "p", "extends": "plan", "widen": "test", "tools": ["@parent", "true"], '"$hides"'}' "$wide"
    grep -q "/etc/shadow .* / wider than the parent 'plan': its \"widen\" permits that; within the workflow's ceiling 'ceiling'" <<<"$told"
    # A built-in is the parent of the profile that the line goes into.
    bounds '{"schema": 1, "name": "p"}' "$wide" plan
    grep -q "/etc/shadow \"filesystem\": \[.*\] / wider than the parent 'plan': needs \"widen\"; within the workflow's ceiling" <<<"$told"
    audit
    [[ "$output" == *"its profile 'plan' is built in: lines go into a profile that extends it"* ]]
    [[ "$output" == *'to allow, "filesystem": [{"path": "/etc/shadow", "access": "ro"}]'* ]]
}

@test "text_csv_and_sarif_tell_the_same_line" {
    agent asks <<'END'
cat /etc/shadow
unshare -U true
chmod 755 /orch
END
    profile p '{"schema": 1, "name": "p", "extends": "plan", "widen": "test", "tools": ["@parent", "unshare"]}'
    one_phase asks ./p.json '{"type": "denials", "max": 9}'
    orch_run --no-apply
    audit
    text=$output
    audit --format sarif
    jq -r '.runs[0].results[].properties | (.suggestion // empty), (.suggestionNote // empty)' <<<"$output" | sort -u >"$T/sarif"
    audit --format csv
    printf '%s\n' "$output" >"$T/csv"
    python3 -c 'import csv,sys
for r in csv.DictReader(open(sys.argv[1], newline="")):
    print(*filter(None, (r["suggestion"], r["suggestion_note"])), sep="\n")' "$T/csv" | sed '/^$/d' | sort -u >"$T/told"
    diff "$T/sarif" "$T/told"
    [ "$(wc -l <"$T/told")" -ge 4 ]
    while read -r line; do
        [[ "$text" == *"$line"* ]] || { echo "not in the text: $line"; false; }
    done <"$T/told"
    # A log outlives what the run kept: then nothing is told, and that is said.
    mv "$RUNDIR/inputs" "$RUNDIR/gone"
    audit
    [ "$status" -eq 0 ]
    [[ "$output" == *"/etc/shadow"* && "$output" != *"to allow"* && "$stderr" == *"what would allow a denial is not told: "* ]]
}

@test "a_limit_that_ended_an_attempt_is_told_with_the_key_that_raises_it" {
    agent slow <<<'sleep 30'
    profile p '{"schema": 1, "name": "p", "extends": "plan", "limits": {"wall": "1s"}}'
    one_phase slow ./p.json '{"type": "denials", "max": 9}'
    orch_run
    [ "$status" -eq 4 ]
    audit
    [[ "$output" == *"ended by its limit 'wall'"*'to allow, in "limits": "wall": "2000ms"'*"within the parent 'plan'"* ]]
    one_phase slow plan '{"type": "denials", "max": 9}' '"timeout": "1s"'
    orch_run
    [ "$status" -eq 4 ]
    audit
    [[ "$output" == *"ended by its limit 'wall'"*"to allow, in the workflow, phase 'work': a \"timeout\" above 1000ms"* ]]
}

@test "a_gates_denials_are_told_with_a_line_for_the_gates_profile" {
    agent maker <<<'echo 1 >"$ORCH_WORKSPACE/made"'
    one_phase maker plan '{"type": "command", "name": "look", "run": ["sh", "-c", "cat /etc/shadow; true"]}'
    orch_run --no-apply
    [ "$status" -eq 0 ]
    audit
    [[ "$output" == *"gate look"*"its profile 'gate' is built in"*'to allow, "filesystem": [{"path": "/etc/shadow", "access": "ro"}]'* ]]
}

# An agent that is refused things of each kind, asks what is on record of it, and goes on being refused.
refused_agent() {
    agent refused <<'END'
cd "$ORCH_WORKSPACE"
[ "$ORCH_ATTEMPT" = 1 ] || { cat /orch/feedback.json >feedback; cp /orch/prompt.md prompt; llm-status >status.3; exit 0; }
llm-status >status.0
for i in 1 2 3; do echo x >/usr/x; done
cat hidden; curl --version; unshare -U true; ln -s a b; cat /etc/shadow /etc/gshadow
python3 -c 'import socket;socket.socket().connect(("192.0.2.1",80))'
echo x >"/usr/$TOKEN"
echo x >"$(printf '/usr/\377\033[31m')"
llm-status >status.1
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do echo x >"/usr/y$i"; done
llm-status >status.2
END
    profile p '{"schema": 1, "name": "p", "extends": "plan", "widen": "test", "tools": ["@parent", "unshare", "python3"],
 "env": {"pass": ["TOKEN"]}, "filesystem": [{"path": "${workspace}/hidden", "access": "none"}]}'
    one_phase refused ./p.json '{"type": "file", "path": "never"}' '"attempts": 2, "prompt": "go"' \
        '"ceiling": "./p.json"'
    sed -i 's|"command": \["./refused"\]|"command": ["./refused"], "pass_env": ["TOKEN"]|; s|, "ceiling": "./p.json"||' "$W/workflow.json"
}

@test "an_agent_is_told_of_its_denials_so_far_and_what_it_has_instead" {
    echo x >"$WS/hidden"
    refused_agent
    TOKEN=hunter2hunter2 orch_run
    [ "$status" -eq 1 ]
    cp "$RUNDIR"/layers/work.1/upper/status.? "$T"
    cp "$RUNDIR"/layers/work.2/upper/{status.3,feedback,prompt} "$T"
    [ "$(jq -c '[.denials, .denied, .denied_more, .network, .create]' "$T/status.0")" = '[0,[],null,"none",["file","directory"]]' ]
    instead() { jq -r --arg p "$2" '.denied[] | select(.path == $p or .syscall == $p) | "\(.count) \(.instead)"' "$T/$1"; }
    [ "$(instead status.1 /usr/x)" = "3 not writable in this phase; write in $WS, or in another of the writable paths" ]
    [ "$(instead status.1 "$WS/hidden")" = "1 hidden in this phase: nothing can be done with it" ]
    [[ "$(instead status.1 /usr/bin/curl)" == *"not a tool of this phase; only the listed tools run" ]]
    [ "$(instead status.1 unshare)" = "1 this system call is not available in this phase; do without it" ]
    [ "$(instead status.1 192.0.2.1:80)" = "1 this phase has no network" ]
    [ "$(instead status.1 "$WS/b")" = "1 not of a kind that may be made in the workspace; there may be: files, directories" ]
    # Counted is what is told, and what is left out is told exactly.
    for n in 1 2; do
        jq -e '.denials == ([.denied[].count] | add) + (.denied_more.count // 0)' "$T/status.$n"
        jq -e '(.denied | length) <= 20' "$T/status.$n"
    done
    [ "$(jq -c '.denied_more' "$T/status.1")" = null ]
    all=$(jq -s '[.[] | select(.event == "denial" and .attempt == 1 and (.quiet | not) and .rule != "sandbox#/not-in-view") |
        .count] | add' "$RUNDIR/audit.jsonl")
    [ "$(jq .denials "$T/status.2")" -eq "$all" ]
    [ "$(jq '.denied_more.count' "$T/status.2")" -gt 0 ]
    [ "$(jq '.denied_more.groups + (.denied | length)' "$T/status.2")" -eq $(($(jq '.denied | length' "$T/status.1") + 20)) ]
    # Not of what the host has, in no file; nor values that were passed.
    for file in status.0 status.1 status.2 status.3 feedback prompt; do
        [ -z "$(LC_ALL=C tr -d '\n -~' <"$T/$file")" ] || { echo "$file is not ASCII"; false; }
        refute grep -q shadow "$T/$file"
        refute grep -q hunter2 "$T/$file"
    done
    grep -q '"/usr/\[masked\]"' "$T/status.1"
    [ "$(jq -r '.denied[] | select(.path_b64) | .path_b64' "$T/status.1" | base64 -d)" = "$(printf '/usr/\377\033[31m')" ]
    audit
    [[ "$output" == *"/usr/[masked] "*"its name holds a value that was masked"* ]]
    # The next attempt finds those of the last one, and begins with none of its own.
    [ "$(jq -c '[.denials, .denied]' "$T/status.3")" = '[0,[]]' ]
    jq -e '.failed.attempt == 1 and ([.failed.denials[].count] | add) + .failed.denials_more.count == '"$all" "$T/feedback"
    jq -e '[.failed.denials[] | select(.instead | length > 0)] | length == 20' "$T/feedback"
    jq -e '.allowed.network == "none" and (.allowed.writable | length > 0) and (.allowed.tools | index("cat"))' "$T/feedback"
    grep -q "^> denied 3x: filesystem openat create /usr/x: not writable in this phase; write in" "$T/prompt"
}

@test "an_answer_that_would_be_too_long_leaves_out_what_is_in_a_file" {
    agent asks <<'END'
cat "$ORCH_WORKSPACE/none" >/usr/x
llm-status >"$ORCH_WORKSPACE/status"
wc -c </orch/phase.json >"$ORCH_WORKSPACE/size"
END
    path=$(printf 'x%.0s' $(seq 200))
    gates=$(for i in $(seq 500); do printf '{"type": "file", "path": "%s/%s/%s"},' "$path" "$path" "$i"; done)
    one_phase asks plan "${gates%,}"
    orch_run >/dev/null
    cp "$RUNDIR"/layers/work.1/upper/{status,size} "$T"
    [ "$(cat "$T/size")" -gt 131072 ]
    jq -e '.ok and .denials == 1 and .denied[0].path == "/usr/x" and (.note | contains("phase.json")) and (has("gates") | not)' "$T/status"
}

# head NAME: what the last run printed as its audit or journal head
head_of() {
    sed -n "s/^$1 head: //p" <<<"$output"
}

verify() {
    run timeout 60 "$ORCH" verify --state "$STATE" "$@" "$RUN" 3>&- </dev/null
    orch_say
}

@test "t_aud_06_a_head_that_was_noted_shows_a_log_that_was_cut_off_or_written_anew" {
    agent asks <<'END'
cat /etc/shadow
echo 1 >"$ORCH_WORKSPACE/made"
END
    one_phase asks plan '{"type": "file", "path": "made"}'
    orch_run --no-apply
    [ "$status" -eq 0 ]
    audit_head=$(head_of audit) journal_head=$(head_of journal)
    [ "$journal_head" = "$("$ORCH" status --state "$STATE" --json "$RUN" | jq -r .journal_head)" ]
    [ "$audit_head" = "$("$ORCH" audit --state "$STATE" --format sarif "$RUN" | jq -r '.runs[0].properties.audit_head')" ]
    verify --head "$audit_head" --head "$journal_head"
    [ "$status" -eq 0 ]
    [[ "$output" == *"ok  head $audit_head: record "*" of audit.jsonl"*"ok  head $journal_head: record "*" of journal.jsonl"* ]]
    # What comes later does not make a head false.
    "$ORCH" apply --state "$STATE" "$RUN"
    verify --head "$audit_head" --head "${journal_head^^}"
    [ "$status" -eq 0 ]
    # Told anew without the denial, chains and seal and all: only who has the head sees it.
    "$ORCH_ROOT/tests/lib/forge.py" "$RUNDIR" "a[:] = [x for x in a if x['event'] != 'denial']"
    verify
    [ "$status" -eq 0 ]
    for head in "$audit_head" "$journal_head"; do
        verify --head "$head"
        [ "$status" -eq 7 ]
        [[ "$output" == *"no record has the head $head"* ]]
    done
    for bad in '' x "${audit_head}0" "${audit_head/[0-9a-f]/g}"; do
        verify --head "$bad"
        [ "$status" -eq 2 ]
    done
}

@test "t_aud_06_behind_the_last_seal_a_noted_head_holds_what_the_chain_alone_does_not" {
    agent waits <<'END'
cat /etc/shadow
echo asked
sleep 60
END
    one_phase waits plan '{"type": "denials", "max": 9}'
    orch_start
    until_printed asked
    for _ in $(seq 2000); do ! grep -q shadow "$RUNDIR/audit.jsonl" || break; sleep 0.1; done
    kill -KILL "$pid"
    wait "$pid" || :
    audit
    head=$(sed -n '1s/.*head //p' <<<"$output")
    verify --head "$head"
    [ "$status" -eq 0 ]
    sed -i '$d' "$RUNDIR/audit.jsonl"
    verify
    [ "$status" -eq 0 ]
    verify --head "$head"
    [ "$status" -eq 7 ]
}

@test "a_paused_run_prints_its_head_too" {
    agent maker <<<'echo 1 >"$ORCH_WORKSPACE/made"'
    one_phase maker plan '{"type": "approval", "name": "ask", "prompt": "Well?"}'
    orch_run
    [ "$status" -eq 5 ]
    verify --head "$(head_of journal)"
    [ "$status" -eq 0 ]
}

# printable NAME FILE: nothing in it that a terminal, a spreadsheet or a reader of logs would obey
printable() {
    [ -s "$2" ] || { echo "$1 printed nothing"; return 1; }
    [ -z "$(LC_ALL=C tr -d '\n -~' <"$2" | head -c 1)" ] || { echo "$1: $(LC_ALL=C grep -a -n '[^ -~]' "$2" | head -3 | cat -v)"; return 1; }
}

@test "t_tty_05_hostile_names_reach_no_output_unescaped_and_stay_exact" {
    mkdir "$OUTSIDE/shown"
    echo x >"$WS/here"
    { echo '#!/usr/bin/python3'; cat "$ORCH_ROOT/tests/lib/hostile_names.py"; } >"$W/names"
    chmod 0755 "$W/names"
    profile p '{"schema": 1, "name": "p", "extends": "implement", "widen": "test",
 "filesystem": [{"path": "'"$OUTSIDE"'/shown", "access": "ro"}, {"path": "${workspace}/here", "access": "ro"}]}'
    cat >"$W/workflow.json" <<END
{"schema": 1, "name": "hostile", "max_denials": 100000, "phases": [{"name": "work", "profile": "./p.json", "attempts": 2, "prompt": "x",
 "agent": {"command": ["./names", "make", "$OUTSIDE/shown", "$WS"]},
 "gates": [{"type": "changes", "allow": ["none"]}, {"type": "denials", "max": 0}]}]}
END
    "$ORCH" run --workspace "$WS" --state "$STATE" --run-id hostile "$W/workflow.json" >"$T/run.out" 2>"$T/run.err" 3>&- </dev/null || :
    RUN=hostile RUNDIR=$STATE/runs/hostile
    cat "$T/run.err" | tail -n 5 | cut -c1-300 | cat -v
    python3 "$ORCH_ROOT/tests/lib/hostile_names.py" check "$OUTSIDE/shown" "$RUNDIR/audit.jsonl"
    printable run "$T/run.err"
    # table of what speaks of a run: name, arguments
    while read -r name arguments; do
        # shellcheck disable=SC2086 # words
        timeout 120 "$ORCH" $arguments >"$T/$name" 2>&1 3>&- </dev/null || :
        printable "$name" "$T/$name"
    done <<END
audit audit --state $STATE hostile
audit_json audit --state $STATE --json hostile
audit_sarif audit --state $STATE --format sarif hostile
follow audit --state $STATE --follow hostile
follow_json audit --state $STATE --follow --json hostile
status status --state $STATE hostile
status_json status --state $STATE --json hostile
list list --state $STATE
verify verify --state $STATE hostile
diff diff --state $STATE hostile work
END
    grep -q 'to allow' "$T/audit"
    # CSV: lines end as its standard has it, and no cell is a formula.
    "$ORCH" audit --state "$STATE" --format csv hostile | tr -d '\r' >"$T/csv"
    printable csv "$T/csv"
    python3 - "$T/csv" <<'PY'
import csv, sys
for row in csv.DictReader(open(sys.argv[1], newline="")):
    assert None not in row and not any(v[:1] in "=+-@\t\r" and v for v in row.values()), row
PY
    python3 -c 'import json,sys; json.load(open(sys.argv[1]))' "$T/audit_sarif"
    # One denial of each kind is replayed.
    for seq in $(jq -r 'select(.event == "denial" and .syscall) | .seq' "$RUNDIR/audit.jsonl" | awk 'NR % 7 == 1'); do
        "$ORCH" explain --state "$STATE" hostile "$seq"
    done >"$T/explain" 2>&1
    printable explain "$T/explain"
}

@test "t_tty_05_the_closing_line_of_exec_groups_denials_and_escapes_names" {
    mkdir "$OUTSIDE/shown"
    echo x >"$WS/here"
    { echo '#!/usr/bin/python3'; cat "$ORCH_ROOT/tests/lib/hostile_names.py"; } >"$WS/names"
    chmod 0755 "$WS/names"
    profile p '{"schema": 1, "name": "p", "extends": "implement", "widen": "test",
 "filesystem": [{"path": "'"$OUTSIDE"'/shown", "access": "ro"}, {"path": "'"$WS"'/names", "access": "rx"}]}'
    run -0 "$ORCH" exec --profile "$W/p.json" --workspace "$WS" --state "$STATE" --audit "$T/audit.jsonl" -- \
        /usr/bin/python3 "$WS/names" make "$OUTSIDE/shown" "$WS" 3>&- </dev/null
    echo "$output" >"$T/exec"
    printable exec "$T/exec"
    line=$(grep 'denials:' "$T/exec")
    [[ "$line" =~ ^orch-sandbox:\ ([0-9]+)\ denials:.*,\ and\ ([0-9]+)\ of\ [0-9]+\ further\ kinds$ ]]
    all=$(jq -s '[.[] | select(.event == "denial" and (.quiet | not)) | .count] | add' "$T/audit.jsonl")
    [ "${BASH_REMATCH[1]}" -eq "$all" ]
    shown=$(grep -o '[0-9]*x ' <<<"${line%, and *}" | awk '{ n += $1 } END { print n }')
    [ "$((shown + BASH_REMATCH[2]))" -eq "$all" ]
    printable audit "$T/audit.jsonl"
}

until_in() { # TEXT FILE
    for _ in $(seq 2000); do ! grep -qs -- "$1" "$2" || return 0; sleep 0.1; done
    echo "no '$1' in $2: $(cat "$2")"
    return 1
}

# ended PID: its exit status; fails if it does not end
ended() {
    for _ in $(seq 2000); do kill -0 "$1" 2>/dev/null || break; sleep 0.1; done
    if kill -0 "$1" 2>/dev/null; then kill -KILL "$1"; echo "it goes on"; return 1; fi
    code=0
    wait "$1" || code=$?
}

# follow NAME [OPTION...]: follows $RUN into $T/NAME, as $follower
follow() {
    local name=$1
    shift
    env --default-signal=INT --default-signal=TERM "$ORCH" audit --state "$STATE" --follow "$@" "$RUN" \
        >"$T/$name" 2>"$T/$name.err" 3>&- </dev/null &
    follower=$!
}

# waiting_agent: is denied a path, then waits for $WS/go, then is denied another
waiting_agent() {
    agent slow <<'END'
cat /etc/shadow
i=0
while [ ! -e "$ORCH_WORKSPACE/go" ] && [ $i -lt 600 ]; do sleep 0.1; i=$((i + 1)); done
cat /etc/gshadow
echo 1 >"$ORCH_WORKSPACE/made"
END
    one_phase slow plan '{"type": "file", "path": "made"}'
}

@test "follow_ends_at_a_signal_at_a_reader_that_goes_away_and_with_the_run" {
    waiting_agent
    orch_start --no-apply
    until_in '"event":"denial"' "$RUNDIR/audit.jsonl"
    follow all
    until_in /etc/shadow "$T/all"
    for signal in INT TERM; do
        follow signalled
        until_in /etc/shadow "$T/signalled"
        kill -s "$signal" "$follower"
        ended "$follower"
        [ "$code" -eq "$([ $signal = INT ] && echo 130 || echo 143)" ]
        [ ! -s "$T/signalled.err" ]
    done
    # A reader that has had enough: also while nothing more comes.
    mkfifo "$T/pipe"
    "$ORCH" audit --state "$STATE" --follow "$RUN" >"$T/pipe" 2>"$T/pipe.err" 3>&- </dev/null &
    follower=$!
    head -n 1 "$T/pipe" >"$T/first"
    [ -s "$T/first" ]
    ended "$follower"
    [ "$code" -eq 0 ]
    [ ! -s "$T/pipe.err" ]
    # What was before is left out, what comes is shown.
    sleep 1
    follow since --since 0s --event denial
    since=$follower
    follow all2
    until_in /etc/shadow "$T/all2"
    [ ! -s "$T/since" ]
    all2=$follower
    "$ORCH" cancel --state "$STATE" "$RUN"
    ended "$since"
    [ "$code" -eq 0 ]
    ended "$all2"
    [ "$code" -eq 0 ]
    orch_wait
    [ "$(wc -l <"$T/all2")" -eq "$(wc -l <"$RUNDIR/audit.jsonl")" ]
    cmp "$T/all" "$T/all2" || { sleep 1; cmp "$T/all" "$T/all2"; }
}

# A supervisor of ours, $pid, that holds the lock until it is killed; the test writes what it would.
holder() {
    rm -f "$T/held"
    python3 -c 'import fcntl, sys, time
lock = open(sys.argv[1] + "/lock", "a")
fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(300)
' "$RUNDIR" >"$T/held" 3>&- </dev/null &
    pid=$!
    until_in held "$T/held"
}

@test "follow_waits_for_the_rest_of_a_record_and_forgets_one_that_was_cut_off" {
    agent asks <<<'cat /etc/shadow; cat /etc/gshadow; echo 1 >"$ORCH_WORKSPACE/made"'
    one_phase asks plan '{"type": "file", "path": "made"}'
    orch_run --no-apply
    cp "$RUNDIR/audit.jsonl" "$T/whole"
    rm "$RUNDIR/audit.jsonl"
    holder
    # The log of a run that has only just begun is not there yet.
    follow json --json
    head -n 5 "$T/whole" >"$RUNDIR/audit.jsonl"
    until_in '"seq":5' "$T/json"
    # Half a record is none; and it may be cut off and begun anew.
    line=$(sed -n 6p "$T/whole")
    printf '%s' "${line:0:60}" >>"$RUNDIR/audit.jsonl"
    sleep 0.6
    [ "$(wc -l <"$T/json")" -eq 5 ]
    truncate -s "$(head -n 5 "$T/whole" | wc -c)" "$RUNDIR/audit.jsonl"
    sleep 0.6
    printf '%s' "${line:0:100}" >>"$RUNDIR/audit.jsonl"
    sleep 0.6
    [ "$(wc -l <"$T/json")" -eq 5 ]
    printf '%s\n' "${line:100}" >>"$RUNDIR/audit.jsonl"
    until_in '"seq":6' "$T/json"
    tail -n +7 "$T/whole" >>"$RUNDIR/audit.jsonl"
    printf '{"v":1,"seq"' >>"$RUNDIR/audit.jsonl"   # the writer dies here
    kill -KILL "$pid"
    ended "$follower"
    [ "$code" -eq 0 ]
    cmp "$T/json" "$T/whole"
    # What is no record of ours is not shown.
    holder
    cp "$T/whole" "$RUNDIR/audit.jsonl"
    printf '{"x":"\033[31m"}\n' >>"$RUNDIR/audit.jsonl"
    follow bad
    ended "$follower"
    [ "$code" -eq 7 ]
    printable bad "$T/bad"
}

# unseen_at LEVEL: every call of tests/lib/unseen.py, inside at that level and outside
unseen_at() {
    local o=$OUTSIDE/$1
    mkdir -p "$o"/{shown,hidden}/dir
    chmod 0777 "$o"/{shown,hidden}
    for dir in shown hidden; do
        for file in file renamed unlinked private xattr; do echo x >"$o/$dir/$file"; done
        ln -s file "$o/$dir/link"
        python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.x", b"1")' "$o/$dir/xattr"
        cp /bin/true "$o/$dir/program"
        chmod 0000 "$o/$dir/private"
    done
    chown -R "$(stat -c %u:%g "$WS")" "$o"
    python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
time.sleep(300)' "$o/hidden/socket" 3>&- </dev/null &
    pid=$!
    for _ in $(seq 2000); do [ ! -S "$o/hidden/socket" ] || break; sleep 0.1; done
    echo x >"$WS/file"
    { echo '#!/usr/bin/python3'; cat "$ORCH_ROOT/tests/lib/unseen.py"; } >"$W/calls"
    chmod 0755 "$W/calls"
    profile p '{"schema": 1, "name": "p", "tools": ["python3"], "audit": {"level": "'"$1"'"},
 "syscalls": {"rules": [{"syscalls": ["name_to_handle_at"], "action": "allow", "reason": "it names a path"}]}, "filesystem": [
 {"path": "'"$o"'/shown", "access": "ro"}, {"path": "/usr", "access": "rx"}, {"path": "${tmp}", "access": "rwx"},
 {"path": "${workspace}", "access": "rw"}]}'
    cat >"$W/workflow.json" <<END
{"schema": 1, "name": "unseen", "phases": [{"name": "work", "profile": "./p.json",
 "agent": {"command": ["./calls", "try", "$o/shown", "$o/hidden", "$WS"]}, "gates": [{"type": "denials", "max": 999}]}]}
END
    orch_run --no-apply
    cp "$RUNDIR/logs/work.1.out" "$T/inside"
    audit
    printf '%s\n' "$output" >"$T/report"
    (umask 0 && python3 "$ORCH_ROOT/tests/lib/unseen.py" try "$o/shown" "$o/hidden" "$WS" >"$T/outside" 3>&- </dev/null)
    kill "$pid"
    python3 "$ORCH_ROOT/tests/lib/unseen.py" judge "$1" "$T/inside" "$T/outside" "$RUNDIR/audit.jsonl" "$T/report" \
        "$ORCH_ROOT/docs/threat-model.md"
}

@test "level_writes_sees_what_it_says_and_names_what_it_does_not" { unseen_at writes; }

@test "level_opens_sees_what_it_says_and_names_what_it_does_not" { unseen_at opens; }

@test "level_paths_sees_what_it_says_and_names_what_it_does_not" { unseen_at paths; }
