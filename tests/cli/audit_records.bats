#!/usr/bin/env bats
# What a record says: who, what was asked for, by which rule, with which arguments; and what it must not say.
bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/workflow

setup_file() { need_sandbox; need jq; need python3; }

setup() {
    orch_setup
    workflow_setup
    OUT=$(mktemp -d /var/tmp/orch-test.XXXXXX)
    export OUT      # outside of /tmp: the sandbox has its own
    cp "$HELPERS/records" "$OUT/records"
    cp "$HELPERS/records" "$OUT/other"
    echo secret >"$OUT/hidden"
    chmod 0755 "$OUT" "$OUT"/*
}

teardown() {
    rm -rf "${OUT:-}"
    orch_teardown
}

# in_sandbox MEMBERS COMMAND...: with the tools of the test; records in $T/audit
in_sandbox() {
    local members=$1
    shift
    cat >"$T/p.json" <<END
{"schema":1,"name":"p","extends":"implement","widen":"test",
 "tools":["@parent",{"name":"records","path":"$OUT/records"},{"name":"other","path":"$OUT/other"}]${members:+, $members}}
END
    rm -f "$T/audit"
    run timeout 120 "$ORCH" exec --state "$STATE" --workspace "$WS" --profile "$T/p.json" --audit "$T/audit" -- "$@" 3>&- </dev/null
    orch_say
}

# of FILTER: members of the denials on record
of() {
    jq -c "select(.event == \"denial\") | $1" "$T/audit"
}

@test "a_record_names_process_thread_program_and_the_programs_that_led_to_it" {
    in_sandbox '' sh -c "bash -c '$OUT/records thread $OUT/hidden; :'; cat $OUT/hidden; :"
    [ "$status" -eq 0 ]
    # The thread of the process, under the name that it gave itself.
    of 'select(.comm == "second")' >"$T/thread"
    jq -e --arg exe "$OUT/records" '.exe == $exe and .tid != .pid and .tid > 0 and .pid > 0 and .path != null' "$T/thread"
    jq -e '(.parents | length) == 2 and (.parents[0] | test("/bash$")) and (.parents[1] | test("/dash$|/sh$"))' "$T/thread"
    # A process's first thread has no number of its own in the record.
    of 'select(.comm == "cat")' | jq -e '(has("tid") | not) and (.parents | length) == 1'
    # The agent's first process has no parent inside.
    in_sandbox '' cat "$OUT/hidden"
    of 'select(.comm == "cat")' | jq -e '.parents == []'
    # Whoever executes is on record too: with the program that it was until then.
    jq -e -s 'map(select(.event == "exec")) | length == 1 and all(.path and .comm and .exe and .parents == [])' "$T/audit"
}

@test "bytes_of_a_parent_that_are_no_text_stay_recoverable" {
    name=$(printf 'od\377d')
    in_sandbox '"filesystem":[{"path":"${workspace}","access":"rwx"}]' sh -c \
        "cp /bin/dash \"$WS/$name\" && \"$WS/$name\" -c 'cat $OUT/hidden; :'"
    [ "$status" -eq 0 ]
    of 'select(.comm == "cat")' >"$T/record"
    python3 - "$T/record" "$WS" <<'PY'
import base64, json, sys
(r,) = [json.loads(l) for l in open(sys.argv[1], encoding="utf-8")]    # jq writes it so
want = sys.argv[2].encode() + b"/od\xffd"
assert r["parents"][0].endswith("od�d"), r
assert base64.b64decode(r["parents_b64"][0]) == want, r
assert r["parents_b64"][1:] == [None] * (len(r["parents"]) - 1), r
PY
    # So do those of an argument.
    in_sandbox '' sh -c 'env true "$(printf "a\377b")"'
    jq -c 'select(.event == "exec" and .argv_b64)' "$T/audit" >"$T/record"
    python3 - "$T/record" <<'PY'
import base64, json, sys
r = [json.loads(l) for l in open(sys.argv[1])]
assert r and all(base64.b64decode(e["argv_b64"][-1]) == b"a\xffb" for e in r), r
PY
}

@test "a_record_after_an_exec_has_the_new_program_however_fast_it_comes" {
    in_sandbox '' "$OUT/records" execs 300 "$OUT/hidden" "$OUT/other"
    [ "$status" -eq 0 ]
    # 301 programs by turns, each asked thrice; the name is that of the program too.
    [ "$(of 'select(.exe | endswith("/records")) | .count' | jq -s add)" -eq 453 ]
    [ "$(of 'select(.exe | endswith("/other")) | .count' | jq -s add)" -eq 450 ]
    of 'select((.exe | split("/") | last) != .comm)' >"$T/wrong"
    [ ! -s "$T/wrong" ]
    # Also where the exec itself goes on record, as a call.
    in_sandbox '"syscalls":{"rules":[{"syscalls":["execve"],"action":"log"}]}' "$OUT/records" execs 50 "$OUT/hidden" "$OUT/other"
    [ "$status" -eq 0 ]
    [ "$(of 'select(.exe | endswith("/other")) | .count' | jq -s add)" -eq 75 ]
    jq -c 'select(.event == "syscall") | .exe' "$T/audit" | sort | uniq -c
    [ "$(jq -c 'select(.event == "syscall" and (.exe | endswith("/other"))) | .count' "$T/audit" | jq -s add)" -eq 25 ]
}

@test "arguments_are_told_by_name" {
    mkdir "$WS/ro"
    in_sandbox '"filesystem":[{"path":"${workspace}/ro","access":"ro"}],"syscalls":{"rules":[{"syscalls":["kill"],"action":"errno","errno":"EPERM"}]}' \
        "$OUT/records" calls "$WS/ro"
    [ "$status" -eq 0 ]
    while read -r call args; do
        echo "$call $args"
        of "select(.syscall == \"$call\") | .args" | grep -qxF -- "$args" || {
            of "select(.syscall == \"$call\")"
            false
        }
    done <<'END'
openat {"flags":["O_WRONLY","O_CREAT","O_EXCL","O_CLOEXEC"],"mode":"04640"}
openat {"flags":["O_RDWR","O_TMPFILE"],"mode":"0600"}
open {"flags":["O_RDWR","O_SYNC","O_CREAT"],"mode":"0666"}
mkdir {"mode":"01755"}
mkdirat {"mode":"0750"}
mknod {"mode":"010620"}
chmod {"mode":"0777"}
chown {"uid":12,"gid":-1}
unlinkat {"flags":["AT_REMOVEDIR"]}
renameat2 {"flags":["RENAME_NOREPLACE"]}
socket {"family":"AF_NETLINK","type":["SOCK_RAW","SOCK_CLOEXEC"],"protocol":9}
socket {"family":"AF_PACKET","type":["SOCK_DGRAM"],"protocol":0}
socket {"family":"AF_INET","type":["SOCK_RAW"],"protocol":"IPPROTO_ICMP"}
connect {"family":"AF_INET"}
unshare {"flags":["CLONE_NEWNS","CLONE_NEWUSER"]}
setns {"flags":["CLONE_NEWNET"]}
clone {"flags":["SIGCHLD","CLONE_NEWPID"]}
mount {"flags":["MS_BIND","MS_REC"]}
umount2 {"flags":["MNT_DETACH"]}
ioctl {"request":"TIOCSTI"}
prctl {"option":"PR_SET_SECCOMP"}
ptrace {"request":"PTRACE_ATTACH","pid":1}
kill {"pid":1,"signal":"SIGUSR1"}
pidfd_getfd {"a0":"0x3","a1":"0x4","a2":"0x0"}
END
}

@test "a_flood_that_differs_only_where_the_kernel_does_not_look_is_one_record_with_its_count" {
    mkdir "$WS/ro"
    in_sandbox '"filesystem":[{"path":"${workspace}/ro","access":"ro"}]' "$OUT/records" flood "$WS/ro" 5000
    [ "$status" -eq 0 ]
    for call in mkdir unshare pidfd_getfd; do
        of "select(.syscall == \"$call\") | del(.seq, .time, .count, .prev, .pid)" | sort -u >"$T/kinds"
        cat "$T/kinds"
        [ "$(wc -l <"$T/kinds")" -eq 1 ]
        [ "$(of "select(.syscall == \"$call\") | .count" | jq -s add)" -eq 5000 ]
    done
    # Nothing in it is a pointer: those of this program are longer than any of these numbers.
    of '.args // {} | tostring' >"$T/args"
    if grep -E '0x[0-9a-f]{9}' "$T/args"; then false; fi
}

@test "every_refusal_names_the_document_and_the_place_that_refused" {
    profile parent '{"schema":1,"name":"parent","extends":"implement","widen":"test",
 "filesystem":[{"path":"${workspace}/deep","access":"ro"}],
 "syscalls":{"rules":[{"syscalls":["kill"],"action":"errno","errno":"EPERM"}]}}'
    profile child '{"schema":1,"name":"child","extends":"./parent.json","widen":"test",
 "filesystem":[{"path":"${workspace}/own","access":"none"}],"create":["file"],
 "limits":{"pids":200}}'
    mkdir "$WS/deep" "$WS/own"
    agent all <<END
cd "\$ORCH_WORKSPACE"
echo x >deep/x; cat own/x; mkdir d; /usr/sbin/ldconfig; kill -CONT \$\$; cat $OUT/hidden; mkdir /usr/x
python3 -c 'import socket; socket.socket().connect(("192.0.2.1", 80))'
python3 -c 'import ctypes; ctypes.CDLL(None).syscall(272, 0x10000000)'
llm-status; printf 'nonsense\n' | python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect("/orch/control"); s.sendall(sys.stdin.buffer.read()); s.recv(100)'
sleep 60
END
    one_phase all ./child.json '' '"timeout": "3s", "gates_": 1'
    sed -i 's/"gates": \[\]/"gates": [{"type":"file","path":"x"}]/; s/, "gates_": 1//' "$W/workflow.json"
    orch_run --no-apply
    [ "$status" -eq 4 ]
    jq -c 'select(.event == "denial" or .event == "limit") | [.event, .class, .syscall, .path, .rule]' "$RUNDIR/audit.jsonl"
    rule() { jq -r "select($1) | .rule" "$RUNDIR/audit.jsonl" | sort -u; }
    [ "$(rule '.event == "denial" and .path == env.WS + "/deep/x"')" = "$W/parent.json#/filesystem/0" ]
    [ "$(rule '.event == "denial" and .path == env.WS + "/own/x"')" = "$W/child.json#/filesystem/0" ]
    [ "$(rule '.event == "denial" and .path == env.WS + "/d"')" = "$W/child.json#/create" ]
    [ "$(rule '.event == "denial" and .path == "/usr/x"')" = "base#/filesystem/0" ]
    [ "$(rule '.event == "denial" and .class == "exec"')" = "implement#/tools" ]
    [ "$(rule '.event == "denial" and .syscall == "kill"')" = "$W/parent.json#/syscalls/rules/0" ]
    [ "$(rule '.event == "denial" and .syscall == "unshare"')" = "base#/syscalls" ]
    [ "$(rule '.event == "denial" and .class == "network"')" = "base#/network" ]
    [ "$(rule '.event == "denial" and .path == env.OUT + "/hidden"')" = "sandbox#/not-in-view" ]
    [ "$(rule '.event == "denial" and .class == "control"')" = "sandbox#/control" ]
    [ "$(rule '.event == "limit"')" = "$W/workflow.json#/phases/0/timeout" ]
    # Each place is there, in a document of the workflow's or one that ships.
    jq -r 'select(.event == "denial" or .event == "limit") | .rule' "$RUNDIR/audit.jsonl" | sort -u >"$T/rules"
    python3 - "$T/rules" "$ORCH_ROOT/profiles" <<'PY'
import json, os, sys
for rule in open(sys.argv[1]).read().split("\n")[:-1]:
    file, pointer = rule.split("#")
    if file in ("sandbox", "builtin"):
        continue
    node = json.load(open(file if "/" in file else f"{sys.argv[2]}/{file}.json"))
    for step in pointer.split("/")[1:]:
        node = node[int(step)] if isinstance(node, list) else node[step]
    print(rule, json.dumps(node)[:60])
PY
    # A limit of a profile, and the verb exec.
    profile slow '{"schema":1,"name":"slow","extends":"plan","limits":{"wall":"1s"}}'
    run timeout 60 "$ORCH" exec --state "$STATE" --workspace "$WS" --profile "$W/slow.json" --audit "$T/audit" -- sleep 60 3>&- </dev/null
    [ "$status" -eq 124 ]
    [ "$(jq -r 'select(.event == "limit") | .rule' "$T/audit")" = "$W/slow.json#/limits/wall" ]
}

@test "explain_tells_arguments_and_parents_and_decides_with_them" {
    agent maker <<END
mkdir -m 0700 /usr/x
python3 -c 'import fcntl; fcntl.ioctl(0, 0x5412, b"x")'
echo 1 >"\$ORCH_WORKSPACE/made"
END
    one_phase maker implement '{"type": "file", "path": "made"}'
    orch_run --no-apply
    [ "$status" -eq 0 ]
    seq=$(jq -r 'select(.event == "denial" and .syscall == "ioctl") | .seq' "$RUNDIR/audit.jsonl" | head -1)
    run --separate-stderr "$ORCH" explain --state "$STATE" "$RUN" "$seq"
    echo "$output"
    [[ "$output" == *"arguments: request TIOCSTI"*"(as recorded): refused, EPERM"*"the same answer by the same rule"* ]]
    seq=$(jq -r 'select(.event == "denial" and .syscall == "mkdir") | .seq' "$RUNDIR/audit.jsonl" | head -1)
    run --separate-stderr "$ORCH" explain --state "$STATE" "$RUN" "$seq"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "$output" == *"arguments: mode 0700"* ]]
    [[ "$output" == *"by: process "*"/mkdir (mkdir), started by "*"sh"* ]]
}

@test "t_ex_07_arguments_are_recorded_without_secrets_and_a_profile_switches_it_off" {
    export PASSED_ALONG=value-that-came-by-pass-env
    agent talks <<'END'
cd "$ORCH_WORKSPACE"
true plain --verbose file.c
true --password hunter2-secret --token=tok-secret https://user:pw-secret@git.test/x
true ghp_0123456789abcdefghijABCDEFGHIJ456789 AKIAIOSFODNN7EXAMPLE sk-proj-0123456789abcdefghij
true -H 'Authorization: Bearer bearer-secret-123' -u me:curl-secret
true MY_TOKEN=env-secret-1 AWS_SECRET_ACCESS_KEY=env-secret-2 DB_PASSWORD=env-secret-3
true "$PASSED_ALONG" "x$PASSED_ALONG"
true "$(printf -- '-----BEGIN PRIVATE KEY-----\npem-secret\n-----END PRIVATE KEY-----')" eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.jwt-secret
env true plain --verbose file.c
env true --password hunter2-secret --token=tok-secret https://user:pw-secret@git.test/x
env true ghp_0123456789abcdefghijABCDEFGHIJ456789 AKIAIOSFODNN7EXAMPLE sk-proj-0123456789abcdefghij
env true -H 'Authorization: Bearer bearer-secret-123' -u me:curl-secret
env MY_TOKEN=env-secret-1 AWS_SECRET_ACCESS_KEY=env-secret-2 DB_PASSWORD=env-secret-3 true
env true "$PASSED_ALONG" "x$PASSED_ALONG"
env true "$(printf -- '-----BEGIN PRIVATE KEY-----\npem-secret\n-----END PRIVATE KEY-----')" eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.jwt-secret
echo 1 >made
END
    one_phase talks plan '{"type": "file", "path": "made"}'
    sed -i 's/"command": \["\.\/talks"\]/&, "pass_env": ["PASSED_ALONG"]/' "$W/workflow.json"
    orch_run --no-apply
    [ "$status" -eq 0 ]
    jq -c 'select(.event == "exec") | .argv' "$RUNDIR/audit.jsonl" | tee "$T/argv"
    grep -qF '["env","true","plain","--verbose","file.c"]' "$T/argv"
    grep -qF '["env","true","--password","[masked]","--token=[masked]","https://user:[masked]@git.test/x"]' "$T/argv"
    grep -qF '["env","true","[masked]","[masked]","[masked]"]' "$T/argv"
    for format in text json csv sarif; do
        "$ORCH" audit --state "$STATE" --format "$format" "$RUN" >>"$T/printed"
    done
    "$ORCH" audit --state "$STATE" --follow "$RUN" >>"$T/printed"
    grep -q 'exec /.*: env true --password \[masked\]' "$T/printed"
    if grep -a -E -- '-secret|value-that-came|0123456789abcdef|AKIAIOS|SODNN' "$RUNDIR/audit.jsonl" "$T/printed"; then false; fi
    # Off.
    profile quiet '{"schema":1,"name":"quiet","extends":"plan","audit":{"argv":false}}'
    one_phase talks ./quiet.json '{"type": "file", "path": "made"}'
    orch_run --no-apply
    [ "$status" -eq 0 ]
    jq -e -s 'map(select(.event == "exec")) | length > 3 and all(has("argv") | not)' "$RUNDIR/audit.jsonl"
}

@test "programs_that_gates_run_are_on_record" {
    agent maker <<<'echo 1 >"$ORCH_WORKSPACE/made"'
    one_phase maker plan '{"type": "command", "name": "check", "run": ["sh", "-c", "env cat made && cat made"]}'
    orch_run --no-apply
    [ "$status" -eq 0 ]
    jq -c 'select(.event == "exec" and .gate == "check") | [.phase, .argv, .count]' "$RUNDIR/audit.jsonl" | tee "$T/execs"
    grep -qF '["work",["sh","-c","env cat made && cat made"],1]' "$T/execs"
    grep -qF '["work",["env","cat","made"],1]' "$T/execs"
    grep -qF '["work",["cat","made"],' "$T/execs"
    # The agent's own have no gate.
    [ "$(jq -c 'select(.event == "exec" and .gate == null and (.argv | index("made")))' "$RUNDIR/audit.jsonl" | wc -l)" -eq 0 ]
    "$ORCH" audit --state "$STATE" --event exec "$RUN" | grep 'check'
    "$ORCH" verify --state "$STATE" "$RUN"
}

@test "a_profile_that_demands_arguments_on_record_binds_its_children" {
    profile demands '{"schema":1,"name":"demands","extends":"plan","audit":{"argv":true}}'
    profile silent '{"schema":1,"name":"silent","extends":"./demands.json",
 "audit":{"argv":false}}'
    profile free '{"schema":1,"name":"free","extends":"plan","audit":{"argv":false}}'
    run "$ORCH" policy check "$W/silent.json"
    orch_say
    [ "$status" -eq 2 ]
    [[ "$output" == *"silent.json:2:"*"audit.argv"* ]]
    run "$ORCH" policy check "$W/free.json"
    [ "$status" -eq 0 ]
    run "$ORCH" policy show "$W/free.json"
    orch_say
    [[ "$output" == *"argv"*"not recorded"*"free.json:1"* ]]
    run "$ORCH" policy show plan
    [[ "$output" == *"argv"*"recorded"* ]]
    run "$ORCH" policy diff "$W/free.json" plan
    orch_say
    [[ "$output" == *"audit.argv"*"not recorded in A, recorded in B"* ]]
    run "$ORCH" policy diff "$W/demands.json" plan
    [ "$status" -eq 0 ]
}

@test "thousands_of_command_lines_of_one_program_are_bounded_and_counted_to_the_last" {
    in_sandbox '' "$OUT/records" spawn 4300
    [ "$status" -eq 0 ]
    jq -c --arg path "$OUT/records" 'select(.event == "exec" and .path == $path and .exe == $path)' "$T/audit" >"$T/execs"
    [ "$(jq .count "$T/execs" | jq -s add)" -eq 4300 ]
    with=$(jq -c 'select(.argv)' "$T/execs" | wc -l)
    echo "$with with arguments"
    [ "$with" -le 4096 ]
    [ "$with" -ge 4000 ]
    [ "$(wc -l <"$T/execs")" -lt 4300 ]
}

@test "the_page_about_records_has_every_member_of_every_record" {
    agent works <<END
cd "\$ORCH_WORKSPACE"
mv made "$OUT/hidden"
"$OUT/records" thread "$OUT/hidden"
llm-status; env true
echo 1 >made
END
    profile p "{\"schema\":1,\"name\":\"p\",\"extends\":\"plan\",\"widen\":\"test\",\"tools\":[\"@parent\",{\"name\":\"records\",\"path\":\"$OUT/records\"}]}"
    one_phase works ./p.json '{"type": "file", "path": "made"}'
    orch_run
    [ "$status" -eq 0 ]
    jq -r 'keys[]' "$RUNDIR/audit.jsonl" | sort -u >"$T/members"
    [ "$(wc -l <"$T/members")" -gt 40 ]
    while read -r member; do
        grep -qF "\`$member\`" "$ORCH_ROOT/docs/audit.md" || { echo "$member is not described"; false; }
    done <"$T/members"
}

@test "a_runtime_trace_of_in_toto_can_be_made_of_the_records" {
    agent works <<END
cd "\$ORCH_WORKSPACE"
cat $OUT/hidden
python3 -c 'import socket; socket.socket().connect(("192.0.2.1", 443))'
env true --token=abc
echo 1 >made
END
    one_phase works implement '{"type": "file", "path": "made"}'
    orch_run --no-apply
    [ "$status" -eq 0 ]
    "$ORCH" audit --state "$STATE" --format json "$RUN" >"$T/records"
    run "$ORCH_ROOT/tests/lib/runtime_trace.py" "$T/records"
    orch_say
    [ "$status" -eq 0 ]
    jq -e --arg hidden "$OUT/hidden" '
        .predicateType == "https://in-toto.io/attestation/runtime-trace/v0.2" and
        (.predicate.monitor.type | length) > 0 and (.predicate.monitor.tracePolicy.policies | length) == 1 and
        (.predicate.monitoredProcess.hostID | length) > 0 and (.predicate.monitoredProcess.type | length) > 0 and
        (.predicate.monitorLog.process | any(.processBinary | endswith("/true")) and any(.arguments | index("--token=[masked]"))) and
        (.predicate.monitorLog.network | any(.ip == "192.0.2.1" and .port == 443 and (.invokingProcess.comm | startswith("python3")) and .allowed == false)) and
        (.predicate.monitorLog.fileAccess | any(.name == $hidden and .annotations.allowed == false and .annotations.rule == "sandbox#/not-in-view")) and
        (.subject | any(.name == "work.1" and (.digest.sha256 | length) == 64)) and
        (.predicate.metadata.buildStartedOn < .predicate.metadata.buildFinishedOn)' <<<"$output"
}
