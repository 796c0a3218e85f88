#!/usr/bin/env bats
# What is unknown, missing, unreadable or tampered with is refused with its place, and never counts as a pass.
load ../lib/common
load ../lib/workflow

setup_file() { need_sandbox; }

setup() {
    orch_setup
    workflow_setup
    agent idle <<'END'
echo agent-ran
echo x >ran
END
}

teardown() { orch_teardown; }

PASS='{"type": "command", "name": "gate", "run": ["true"]}'

# nothing_started: no run directory, no agent, no change.
nothing_started() {
    [ ! -e "$RUNDIR" ]
    [ -z "$(ls -A "$STATE/runs" 2>/dev/null)" ]
    [[ "$output" != *agent-ran* ]]
    [ -z "$(ls -A "$WS")" ]
}

# refused PLACE TEXT: the workflow is refused at LINE:COL (or LINE), with TEXT in that message.
refused() {
    orch_run
    [ "$status" -eq 2 ]
    grep -E "(^|/)([A-Za-z.-]+\.json):$1(:[0-9]+)*: error: " <<<"$output" | grep -F -- "$2"
    nothing_started
}

# workflow TEXT: as it stands. edit OLD NEW: of a workflow that would run.
workflow() { printf '%s' "$1" >"$W/workflow.json"; }

good() {
    cat >"$W/workflow.json" <<'JSON'
{
  "schema": 1,
  "name": "test",
  "agent": {"command": ["./idle"]},
  "phases": [
    {
      "name": "work",
      "type": "guided",
      "profile": "plan",
      "attempts": 1,
      "timeout": "10s",
      "gates": [
        {"type": "file", "path": "ran", "min_size": "1B"}
      ]
    }
  ]
}
JSON
}

edit() {
    good
    python3 - "$W/workflow.json" "$1" "$2" <<'END'
import sys
text = open(sys.argv[1]).read()
assert text.count(sys.argv[2]) == 1, sys.argv[2]
open(sys.argv[1], "w").write(text.replace(sys.argv[2], sys.argv[3]))
END
}

@test "t_pol_01_unknown_keys_types_and_names_are_refused_with_place_and_near_name" {
    edit '"phases"' '"phasse"';                         refused 5 "did you mean 'phases'?"
    edit '"gates"' '"gate"';                            refused 12 "did you mean 'gates'?"
    edit '"min_size"' '"minsize"';                      refused 13 "did you mean 'min_size'?"
    edit '"type": "file"' '"type": "flie"';             refused 13:18 "flie"
    edit '"type": "file"' '"type": "chagnes"';          refused 13:18 "did you mean 'changes'?"
    edit '"type": "file"' '"type": "wishful"';          refused 13:18 "wishful"
    edit '"type": "file"' '"type": 7';                  refused 13:18 "expected a string"
    edit '"type": "file", ' '';                         refused 13:9 "missing key 'type'"
    edit '"plan"' '"plann"';                            refused 9:18 "did you mean 'plan'?"
    edit '"plan"' '"nothing-like-it"';                  refused 9:18 "nothing-like-it"
    edit '"guided"' '"stict"';                          refused 8:15 "did you mean 'strict'?"
    edit '"guided"' '"yolo"';                           refused 8:15 "yolo"
    edit '"schema": 1' '"schema": 2';                   refused 2:13 "newer"
    edit '"schema": 1' '"schema": 0';                   refused 2:13 "schema"
    edit '"schema": 1' '"schema": "1"';                 refused 2:13 "schema"
    edit '"schema": 1,' '';                             refused 1:1 "missing key 'schema'"
    edit '"attempts": 1' '"attempts": 0';               refused 10:19 "out of range"
    edit '"attempts": 1' '"attempts": 1.5';             refused 10:19 "1.5"
    edit '"attempts": 1' '"attempts": -1';              refused 10:19 "out of range"
    edit '"attempts": 1' '"attempts": true';            refused 10:19 "expected a number"
    edit '"10s"' '"10 parsecs"';                        refused 11:18 "10 parsecs"
    edit '"10s"' '10';                                  refused 11:18 "expected a time"
    edit '"1B"' '"99999999999999999999GiB"';            refused 13:53 "out of range"
    edit '"ran"' '"../ran"';                            refused 13:34 "normal form"
    edit '"ran"' '"/etc/passwd"';                       refused 13:34 "relative"
    edit '"name": "test",' '"name": "test", "n\u0430me": "x",'; refused 3 "U+0430"
    edit '"gates": [' '"on_fail": {"goto": "wrok", "times": 1}, "gates": ['; refused 12 "wrok"
    edit '"type": "file"' '"type": "json"';             refused 13:18 "not in this version"
    # Control: unchanged, it runs and passes.
    good
    orch_run
    [ "$status" -eq 0 ]
    [ -e "$WS/ran" ]
}

@test "t_gate_17_documents_that_mean_two_things_or_none_are_refused" {
    edit '"name": "test",' '"name": "test", "name": "test2",';  refused 3 "name"
    edit '"type": "file"' '"type": "file", "t\u0079pe": "file"'; refused 13 "type"
    good; printf '{"schema": 1}' >>"$W/workflow.json";          refused 18:1 ""
    good; printf 'x' >>"$W/workflow.json";                      refused 18:1 ""
    good; printf '\0' >>"$W/workflow.json";                     refused 18:1 ""
    edit '"name": "test"' '"name": "te\u0000st"';               refused 3 ""
    good; sed -i '1s/^/\xef\xbb\xbf/' "$W/workflow.json";       refused 1:1 ""
    good; sed -i 's/"test"/"te\xffst"/' "$W/workflow.json";     refused 3 ""
    good; sed -i 's/"test"/"te\xed\xa0\x80st"/' "$W/workflow.json"; refused 3 ""
    edit '"name": "test"' '"name": "\ud800"';                   refused 3 ""
    edit '"attempts": 1' '"attempts": 01';                      refused 10 ""
    edit '"attempts": 1' '"attempts": NaN';                     refused 10 ""
    edit '"attempts": 1' '"attempts": 1e999';                   refused 10 ""
    edit '"attempts": 1,' '"attempts": 1, // comment';          refused 10 ""
    edit '"attempts": 1,' '"attempts": 1,,';                    refused 10 ""
    good; sed -i '$d' "$W/workflow.json";                       refused '1[678]' ""
    workflow '[]';                                              refused 1:1 "object"
    workflow '""';                                              refused 1:1 "object"
    workflow '';                                                refused 1:1 ""
    workflow "$(printf '[%.0s' $(seq 100000))";                 refused 1 ""
    { printf '{"schema": 1, "name": "'; head -c 1100000 /dev/zero | tr '\0' a; printf '"}'; } >"$W/workflow.json"
    orch_run
    [ "$status" -eq 2 ]
    [ "$took" -lt 20000 ]
    nothing_started
    # What is no file at all.
    rm "$W/workflow.json"
    orch_run
    [ "$status" -eq 2 ]
    [[ "$output" == *workflow.json* ]]
    mkfifo "$W/workflow.json"
    orch_run
    [ "$status" -eq 2 ]
    [ "$took" -lt 20000 ]
    rm "$W/workflow.json"
    mkdir "$W/workflow.json"
    orch_run
    [ "$status" -eq 2 ]
    nothing_started
}

@test "all_errors_of_all_documents_are_reported_at_once_in_order" {
    profile bad '{
  "schema": 1,
  "name": "bad",
  "extends": "plan",
  "widen": "test",
  "tols": [],
  "syscalls": {"allow": ["@agent-bse", "opemat"]},
  "limits": {"memory": "1 apple"}
}'
    cat >"$W/workflow.json" <<'JSON'
{
  "schema": 1,
  "name": "bad name",
  "agnet": {"command": ["./idle"]},
  "phases": [
    {"name": "a", "profile": "./bad.json", "gates": [{"type": "flie"}]},
    {"name": "a", "profile": "pln", "attempts": 0, "gates": []}
  ]
}
JSON
    orch_run
    [ "$status" -eq 2 ]
    nothing_started
    for line in 3 4 6 7; do grep -q "workflow.json:$line:[0-9]*: error: " <<<"$output"; done
    for line in 6 7 8; do grep -q "bad.json:$line:[0-9]*: error: " <<<"$output"; done
    [ "$(grep -c 'workflow.json:7:' <<<"$output")" -ge 4 ] # the second name, the profile, attempts, gates
    [ "$(grep -c 'bad.json:7:' <<<"$output")" -eq 2 ]
    [ "$(grep -o 'workflow.json:[0-9]*' <<<"$output")" = "$(grep -o 'workflow.json:[0-9]*' <<<"$output" | sort -t : -k 2n)" ]
    # One error a line, each printable.
    refute grep -nP '[^\x20-\x7e]' <<<"$output"
}

@test "what_is_named_and_missing_is_refused_before_anything_starts" {
    edit '"plan"' '"./none.json"';                              refused 9:18 "none.json"
    edit '"plan"' '"../w/idle"';                                refused 9:18 ""
    edit '"./idle"' '"./none"'
    orch_run
    [ "$status" -eq 2 ]
    [[ "$output" == *none* ]]
    nothing_started
    edit '"./idle"' '"no-such-program-anywhere"'
    orch_run
    [ "$status" -eq 2 ]
    [[ "$output" == *no-such-program-anywhere*"not found"* ]]
    nothing_started
    edit '"gates": [' '"prompt": {"file": "none.md"}, "gates": ['; refused 12 "none.md"
    edit '{"type": "file", "path": "ran", "min_size": "1B"}' '{"type": "command", "run": ["no-such-gate-program"]}'
    orch_run
    [ "$status" -eq 2 ]
    [[ "$output" == *no-such-gate-program* ]]
    nothing_started
    edit '{"type": "file", "path": "ran", "min_size": "1B"}' '{"type": "command", "run": ["true"], "profile": "verfy"}'
    refused 13 "did you mean 'verify'?"
    edit '{"type": "file", "path": "ran", "min_size": "1B"}' ''; refused 12 "reason"
    edit '"file", "path": "ran", "min_size": "1B"' '"all", "gates": []'; refused 13 ""
    edit '"file", "path": "ran", "min_size": "1B"' '"any", "gates": []'; refused 13 ""
    edit '"file", "path": "ran", "min_size": "1B"' '"changes", "allow": []'; refused 13 ""
    edit '"file", "path": "ran", "min_size": "1B"' '"changes"'; refused 13 ""
    edit '"file", "path": "ran", "min_size": "1B"' '"file"';    refused 13 "path"
    edit '"file", "path": "ran", "min_size": "1B"' '"command", "run": ["true"], "expect": 127'; refused 13 "127"
    # A program whose interpreter is missing does not resolve either.
    printf '#!/no/such/interpreter\n' >"$W/idle"
    good
    orch_run
    [ "$status" -eq 2 ]
    nothing_started
}

@test "t_pol_04_profiles_with_anything_unknown_are_refused" {
    good
    sed -i 's|"plan"|"./mine.json"|' "$W/workflow.json"
    mine() {
        profile mine "{
  \"schema\": 1, \"name\": \"mine\", \"extends\": \"plan\", \"widen\": \"test\",
  $1
}"
    }
    mine '"tols": []';                                          refused 3 "did you mean 'tools'?"
    mine '"filesystem": [{"path": "/usr", "acess": "rx"}]';     refused 3 "did you mean 'access'?"
    mine '"filesystem": [{"path": "/usr", "access": "rwxx"}]';  refused 3 "rwxx"
    mine '"filesystem": [{"path": "/usr", "access": "rx"}, {"path": "/usr", "access": "ro"}]'; refused 3 "/usr"
    mine '"filesystem": [{"path": "relative", "access": "rx"}]'; refused 3 "relative"
    mine '"filesystem": [{"path": "${workspce}/x", "access": "ro"}]'; refused 3 "workspce"
    mine '"filesystem": [{"path": "${workspace}/*.c", "access": "ro"}, {"path": "${workspace}/**/x", "access": "rw"}]'; refused 3 ""
    mine '"syscalls": {"allow": ["@agent-base", "openatt"]}';   refused 3 "openat"
    mine '"syscalls": {"allow": ["@agent-bse"]}';               refused 3 "@agent-base"
    mine '"network": {"mode": "nonee"}';                        refused 3 "none"
    mine '"limits": {"memory": "-1B"}';                         refused 3 "-1B"
    mine '"limits": {"pids": "many"}';                          refused 3 ""
    mine '"env": {"set": {"LD_PRELOAD": "x"}}';                 refused 3 "LD_PRELOAD"
    mine '"audit": {"level": "all"}';                           refused 3 "all"
    mine '"create": ["fifo"]';                                  refused 3 "fifo"
    mine '"tools": ["@parent", "no-such-tool-anywhere"]';       refused 3 "no-such-tool-anywhere"
    mine '"filesystem": [{"path": "/no/such/path", "access": "ro"}]'
    orch_run
    [ "$status" -eq 2 ]
    [[ "$output" == *mine.json*"/no/such/path"* ]]
    nothing_started
    mine '"extends": "./mine.json"'; sed -i '2s/"extends": "plan", //' "$W/mine.json"
    orch_run
    [ "$status" -eq 2 ]
    nothing_started
    # A child that widens without saying so.
    profile mine '{"schema": 1, "name": "mine", "extends": "base",
  "filesystem": [{"path": "${workspace}", "access": "rw"}]}'
    refused 2 "widen"
    # Two programs missing in two places: both are named.
    mine '"tools": ["@parent", {"name": "gone-a", "path": "/no/such/a"}, {"name": "gone-b", "path": "/no/such/b"}]'
    orch_run
    [ "$status" -eq 2 ]
    [[ "$output" == *gone-a* ]]
    [[ "$output" == *gone-b* ]]
    # Control.
    mine '"filesystem": [{"path": "${workspace}/x", "access": "ro"}]'
    orch_run
    [ "$status" -eq 0 ]
}

@test "gates_that_cannot_be_evaluated_never_pass" {
    agent maker <<'END'
mkdir -p real && echo x >real/secret && echo x >real/file && ln -s real linked && : >empty
mkdir shut && echo x >shut/secret && chmod 0 shut/secret
printf '#!/no/such/interpreter\n' >script && chmod 0755 script
printf '\177ELF garbage' >elf && chmod 0755 elf
END
    one_phase maker implement '
        {"type": "file", "name": "absent-linked", "path": "linked/secret", "absent": true},
        {"type": "file", "name": "absent-link", "path": "linked", "absent": true},
        {"type": "file", "name": "absent-beneath", "path": "empty/x/y", "absent": true},
        {"type": "file", "name": "unreadable", "path": "shut/secret", "sha256": "'"$(printf 'y' | sha256sum | cut -d ' ' -f 1)"'"},
        {"type": "file", "name": "empty", "path": "empty"},
        {"type": "file", "name": "missing", "path": "missing"},
        {"type": "command", "name": "interpreter", "run": ["${workspace}/script"], "exec": true, "must_fail": true},
        {"type": "command", "name": "elf", "run": ["${workspace}/elf"], "exec": true, "must_fail": true},
        {"type": "command", "name": "noexec", "run": ["${workspace}/script"], "must_fail": true},
        {"type": "command", "name": "memory", "run": ["sh", "-c", "ulimit -f 0; ulimit -c 0; kill -XFSZ $$"], "must_fail": true},
        {"type": "changes", "name": "required-none", "required": ["zzz/**"]},
        {"type": "file", "name": "control", "path": "nothing", "absent": true}'
    orch_run
    [ "$status" -eq 1 ]
    [ "$(verdict control)" = pass ]
    for gate in absent-linked absent-link unreadable empty missing required-none; do
        echo "$gate: $(verdict $gate)"
        [[ "$(verdict $gate)" =~ ^(fail|error)$ ]]
    done
    for gate in interpreter elf noexec memory; do
        echo "$gate: $(verdict $gate)"
        [ "$(verdict $gate)" = error ]
    done

    # A directory that nobody can look into: what is said to be absent from it is not.
    agent maker <<'END'
mkdir shut && echo x >shut/secret && chmod 0 shut
END
    one_phase maker implement '{"type": "file", "name": "absent", "path": "shut/secret", "absent": true},
        {"type": "not", "name": "not", "gates": [{"type": "file", "path": "shut/secret"}]}'
    orch_run
    [ "$status" -eq 1 ]
    [ "$(verdict absent)" != pass ]
    [ "$(verdict not)" != pass ]
}

# ---- what a run has left ----

# A run with two phases, stopped after the first: resumable.
paused_run() {
    agent worker <<'END'
echo "$ORCH_PHASE" >"$ORCH_PHASE"
cat /etc/shadow 2>/dev/null
mkdir .git 2>/dev/null
exit 0
END
    cat >"$W/workflow.json" <<'JSON'
{"schema": 1, "name": "test", "agent": {"command": ["./worker"]}, "phases": [
  {"name": "one", "profile": "plan", "gates": [{"type": "file", "path": "one"}]},
  {"name": "two", "profile": "plan", "gates": [{"type": "file", "path": "two"}]}]}
JSON
    orch_run --until one
    [ "$status" -eq 5 ]
}

verify() {
    run timeout -k 5 60 "$ORCH" verify --state "$STATE" "$RUN"
    orch_say
}

# tampered FILE TEXT COMMAND...: after COMMAND on FILE of the run both verify and resume end with 7 and name TEXT.
tampered() {
    local file=$RUNDIR/$1 text=$2
    shift 2
    cp -p "$file" "$T/original"
    "$@" "$file"
    refute cmp -s "$file" "$T/original"
    verify
    [ "$status" -eq 7 ]
    [[ "$output" == *"$text"* ]]
    cp -p "$file" "$T/now"
    orch_resume
    [ "$status" -eq 7 ]
    [[ "$output" == *"$text"* ]]
    cmp "$file" "$T/now" # a refusal touches nothing
    [ -z "$(ls -A "$WS")" ]
    rm "$file"
    cp -p "$T/original" "$file"
}

flip() { # LINE OLD NEW FILE
    sed -i "$1s/$2/$3/" "$4"
}

swap() { # LINE FILE: with the next
    sed -i "$1{h;d};$(($1 + 1))G" "$2"
}

remake_line() { # LINE OLD NEW FILE: changed, with the chain behind it made right again
    python3 - "$@" <<'END'
import hashlib, re, sys
n, old, new, file = int(sys.argv[1]), sys.argv[2].encode(), sys.argv[3].encode(), sys.argv[4]
lines = open(file, "rb").read().splitlines(True)
assert old in lines[n - 1]
lines[n - 1] = lines[n - 1].replace(old, new)
for i in range(n, len(lines)):
    prev = hashlib.sha256(lines[i - 1]).hexdigest().encode()
    lines[i] = re.sub(rb'"prev":"[0-9a-f]{64}"', b'"prev":"' + prev + b'"', lines[i])
open(file, "wb").write(b"".join(lines))
END
}

forge_pass() { # FILE: a verdict for the phase that never ran, chained
    python3 - "$1" <<'END'
import hashlib, json, re, sys
lines = open(sys.argv[1], "rb").read().splitlines(True)
seq = json.loads(lines[-1])["seq"]
def add(line, **change):
    global seq
    seq += 1
    r = json.loads(line)
    r.pop("prev")
    r.update(seq=seq, **change)
    r["prev"] = hashlib.sha256(lines[-1]).hexdigest()
    lines.append(json.dumps(r, separators=(",", ":")).encode() + b"\n")
for old in [l for l in lines if json.loads(l)["event"] in ("attempt", "verdict")]:
    add(old, phase="two")
open(sys.argv[1], "wb").write(b"".join(lines))
END
}

@test "t_aud_06_tampered_records_are_named_by_verify_and_resume" {
    paused_run
    verify
    [ "$status" -eq 0 ]
    audit=$(wc -l <"$RUNDIR/audit.jsonl") journal=$(wc -l <"$RUNDIR/journal.jsonl")
    [ "$audit" -ge 6 ]
    [ "$journal" -ge 4 ]

    tampered journal.jsonl 'record 2' flip 2 '"event":"attempt"' '"event":"attemqt"'
    tampered journal.jsonl 'journal.jsonl: record 2: was changed' flip 2 '"time":"2' '"time":"3'
    tampered journal.jsonl 'journal.jsonl: record 1' flip 1 '"seq":1' '"seq":2'
    tampered journal.jsonl 'journal.jsonl: record 2' sed -i 2d
    tampered journal.jsonl 'journal.jsonl: record 1' sed -i 1d
    tampered journal.jsonl 'journal.jsonl: record 2' swap 2
    tampered journal.jsonl 'journal.jsonl: record 3' sed -i 2p
    tampered journal.jsonl 'journal.jsonl: record 2' flip 2 '"prev":"[0-9a-f]*"' "\"prev\":\"$(printf '0%.0s' $(seq 64))\""
    tampered journal.jsonl 'journal.jsonl: record 1' flip 1 '"v":1' '"v":2'
    tampered journal.jsonl 'journal.jsonl: record 2' flip 2 '^.*$' 'not json'
    tampered journal.jsonl "journal.jsonl: record $journal" flip "$journal" '"time":"2' '"time":"3' # the last one
    tampered journal.jsonl "journal.jsonl: record $((journal - 1))" sed -i '$d'
    tampered journal.jsonl 'journal' truncate -s 0
    tampered journal.jsonl 'journal' remake_line 4 '"passed":true' '"passed":false'
    tampered journal.jsonl 'journal' remake_line 4 "\"digest\":\"$(jq -r 'select(.event == "verdict").digest' "$RUNDIR/journal.jsonl")" \
        "\"digest\":\"$(printf '1%.0s' $(seq 64))"

    tampered audit.jsonl 'audit.jsonl: record 2: was changed' flip 2 '"event":"' '"event":"x'
    tampered audit.jsonl "audit.jsonl: record $((audit - 1))" sed -i "$((audit - 1))d"
    tampered audit.jsonl 'audit.jsonl: record 3' swap 3
    tampered audit.jsonl 'audit.jsonl' sed -i '$d'           # the tail, which the journal has bound
    tampered audit.jsonl "audit.jsonl: record $audit" flip "$audit" '"time":"2' '"time":"3'
    tampered audit.jsonl 'audit.jsonl' truncate -s 0
    tampered audit.jsonl 'audit.jsonl' remake_line 2 '"event":"' '"event":"x' # chained anew, but not what was bound

    tampered seal.json 'seal.json' flip 1 '"journal"' '"jounal"'
    tampered seal.json 'seal.json' flip 1 '"schema":1' '"schema":2'
    tampered seal.json 'journal.jsonl' flip 1 '"journal":"[0-9a-f]*"' "\"journal\":\"$(printf '0%.0s' $(seq 64))\""

    tampered inputs/workflow.json 'inputs/workflow.json' flip 1 'schema' 'scheme'
    tampered inputs/workflow.json 'inputs/workflow.json' truncate -s 0
    tampered fingerprint 'fingerprint' truncate -s 8

    # Control: everything put back, the run verifies, and resumes to its end.
    verify
    [ "$status" -eq 0 ]
    orch_resume
    [ "$status" -eq 0 ]
    [ "$(cat "$WS/one" "$WS/two")" = "$(printf 'one\ntwo')" ]
    verify
    [ "$status" -eq 0 ]
}

@test "t_ph_07_documents_changed_after_the_start_do_not_count" {
    paused_run
    profile plan '{"schema": 1, "name": "plan"}'
    sed -i 's|"path": "two"|"path": "one"|; s|"two", "profile": "plan"|"two", "profile": "implement"|' "$W/workflow.json"
    sed -i 's|^echo "$ORCH_PHASE".*|exit 0|' "$W/worker"
    orch_resume
    [ "$status" -eq 1 ] # the gate wants "two", which the agent no longer makes
    [ "$(verdict file-1 1 two)" = fail ]
    [ -z "$(ls -A "$WS")" ]
    # Control: the changed workflow as a run of its own.
    sed -i 's|exit 0|echo x >one|' "$W/worker"
    orch_run
    [ "$status" -eq 0 ]
    # And without the files it was made from, a run goes on all the same.
    rm "$WS/one"
    paused_run
    rm "$W/workflow.json"
    orch_resume
    [ "$status" -eq 0 ]
    [ "$(cat "$WS/one" "$WS/two")" = "$(printf 'one\ntwo')" ]
}

@test "t_ph_05_records_forged_with_a_right_chain_do_not_stand_for_a_phase" {
    paused_run
    cp -p "$RUNDIR/journal.jsonl" "$T/original"
    forge_pass "$RUNDIR/journal.jsonl"
    verify
    [ "$status" -eq 7 ]
    orch_resume
    [ "$status" -eq 7 ]
    [ -z "$(ls -A "$WS")" ]
    cp -p "$T/original" "$RUNDIR/journal.jsonl"
    orch_resume
    [ "$status" -eq 0 ]
}

@test "tampered_layers_are_found_before_they_go_on" {
    paused_run
    upper=$RUNDIR/layers/one.1/upper
    touch_layer() {
        "$@"
        verify
        [ "$status" -eq 7 ]
        [[ "$output" == *one.1* ]]
        orch_resume
        [ "$status" -eq 7 ]
        [ -z "$(ls -A "$WS")" ]
    }
    touch_layer sed -i 's/one/xne/' "$upper/one"
    sed -i 's/xne/one/' "$upper/one"
    touch_layer chmod 0755 "$upper/one"
    chmod 0644 "$upper/one"
    touch_layer touch "$upper/new"
    rm "$upper/new"
    touch_layer mv "$upper/one" "$upper/two"
    mv "$upper/two" "$upper/one"
    touch_layer ln -s one "$upper/link"
    rm "$upper/link"
    mv "$upper" "$upper.away"
    touch_layer true
    mv "$upper.away" "$upper"
    mv "$RUNDIR/audit.jsonl" "$RUNDIR/away"
    verify
    [ "$status" -eq 7 ]
    orch_resume
    [ "$status" -eq 7 ]
    mv "$RUNDIR/away" "$RUNDIR/audit.jsonl"
    verify
    [ "$status" -eq 0 ]
    orch_resume
    [ "$status" -eq 0 ]
}

@test "t_aud_07_torn_last_record_is_told_apart_from_tampering" {
    paused_run
    for file in audit.jsonl journal.jsonl; do
        cp -p "$RUNDIR/$file" "$T/original"
        printf '{"v":1,"seq":99,"time":"2026-01-02T03:0' >>"$RUNDIR/$file"
        verify
        [ "$status" -eq 0 ]
        [[ "$output" == *torn* ]]
        # With a newline behind it, it is a record, and a bad one.
        printf '\n' >>"$RUNDIR/$file"
        verify
        [ "$status" -eq 7 ]
        [[ "$output" == *"$file"* ]]
        cp -p "$T/original" "$RUNDIR/$file"
        printf '{"v":1,"seq":99,"time":"2026-01-02T03:0' >>"$RUNDIR/$file"
    done
    # A crash in the middle of the last record of the journal: the run goes on from the one before.
    orch_resume
    [ "$status" -eq 0 ]
    [ "$(cat "$WS/two")" = two ]
    verify
    [ "$status" -eq 0 ]
    [[ "$output" != *torn* ]]
}

@test "state_directory_that_cannot_be_written_or_seen_is_refused" {
    good
    # Inside the workspace, and the workspace inside it.
    STATE=$WS/state orch_run
    [ "$status" -eq 2 ]
    [[ "$output" == *"state"*"workspace"* ]]
    [ ! -e "$WS/state" ]
    ln -s "$WS" "$T/alias"
    STATE=$T/alias/state orch_run
    [ "$status" -eq 2 ]
    [ -z "$(ls -A "$WS")" ]
    mkdir "$STATE/ws"
    WS=$STATE/ws orch_run
    [ "$status" -eq 2 ]
    # Not a directory.
    echo x >"$T/file"
    STATE=$T/file orch_run
    [ "$status" -eq 10 ]
    [[ "$output" == *"$T/file"* ]]
    # Read-only.
    mkdir "$T/ro"
    if [ "$(id -u)" -eq 0 ]; then
        script='mount -t tmpfs -o ro none "$1" && shift && exec "$@"'
        run unshare -m sh -c "$script" sh "$T/ro" "$ORCH" run --workspace "$WS" --state "$T/ro" "$W/workflow.json"
    else
        chmod 0500 "$T/ro"
        run "$ORCH" run --workspace "$WS" --state "$T/ro" "$W/workflow.json"
    fi
    orch_say
    [ "$status" -eq 10 ]
    [[ "$output" == *"$T/ro"* ]]
    [[ "$output" != *agent-ran* ]]
    [ -z "$(ls -A "$WS")" ]
    # Control: writable, with a directory that does not exist yet.
    STATE=$T/new/state orch_run
    [ "$status" -eq 0 ]
    [ "$(stat -c %a "$T/new/state/runs")" = 700 ]
}

@test "t_res_09_audit_log_that_cannot_be_written_stops_the_run" {
    # A limit on the size of files: what a full disk or a quota does to the log, without either.
    agent denied <<'END'
i=0
while [ $i -lt 3000 ]; do
    i=$((i + 1))
    true >/usr/denied-$i
done 2>/dev/null
echo went-on
END
    one_phase denied plan "$PASS" '' '"max_denials": 10000'
    orch_next_run
    run timeout -k 5 60 bash -c 'ulimit -f 900; exec "$@"' bash "$ORCH" run --workspace "$WS" --state "$STATE" \
        --run-id "$RUN" "$W/workflow.json" 3>&-
    orch_say
    [ "$status" -eq 10 ]
    refute grep -qs went-on "$RUNDIR/logs/work.1.out"
    [ -z "$(ls -A "$WS")" ]
    # Nothing lost: what was recorded is whole.
    verify
    [ "$status" -eq 0 ]
    # Control: with room, the same agent goes through.
    sed -i 's/3000/300/' "$W/denied"
    orch_run
    [ "$status" -eq 0 ]
}
