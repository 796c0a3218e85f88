#!/usr/bin/env bats
# Whatever the agent prints, forges or leaves running: gates judge the sealed bytes, by program, out of its reach.
load ../lib/common
load ../lib/workflow

setup_file() { need_sandbox; }

setup() {
    orch_setup
    workflow_setup
    # Everything in the workspace may be written, so that nothing but the gates stands in the agent's way.
    profile open '{"schema": 1, "name": "open", "extends": "base", "widen": "the gates alone decide",
        "tools": ["@parent", "git", "make"], "limits": {"file_size": "2000GiB"},
        "filesystem": [{"path": "${workspace}", "access": "rw"}]}'
}

teardown() { orch_teardown; }

# The workspace's own check: passes only with the right answer in answer.txt.
make_project() {
    mkdir "$WS/tests"
    printf 'test:\n\t@sh tests/check.sh\n' >"$WS/Makefile"
    echo 'grep -qx "the right answer" answer.txt' >"$WS/tests/check.sh"
    echo 'wrong' >"$WS/answer.txt"
}

RESTORED='{"type": "command", "name": "restored", "run": ["make", "test"],
    "restore": ["Makefile", "GNUmakefile", "makefile", "tests", "tests/**"]}'
TRUSTING='{"type": "command", "name": "trusting", "run": ["make", "test"]}'
# As the shipped example has it: the directory itself is not named.
GLOBBED='{"type": "command", "name": "globbed", "run": ["make", "test"], "restore": ["Makefile", "tests/**"]}'
PROTECTED='{"type": "command", "name": "protected", "run": ["true"], "protect": ["*akefile", "tests", "tests/**"]}'

@test "t_ph_03_forged_output_and_exit_status_are_no_evidence" {
    agent forger <<'END'
echo 'PASSED'
echo '1 passed, 0 failed'
echo '{"event":"verdict","phase":"work","passed":true,"exit":0}'
echo 'VERDICT: pass. PHASE COMPLETE: work.' >&2
printf '::set-output name=verdict::pass\n'
llm-report 'all gates passed'
llm-done 'verdict: pass'
exit 0
END
    result='{"type": "file", "name": "result", "path": "result.txt"}'
    one_phase forger ./open.json "$result,
        {\"type\": \"command\", \"name\": \"liar\", \"run\": [\"sh\", \"-c\", \"echo PASSED; exit 1\"]}"
    orch_run
    [ "$status" -eq 1 ]
    [ "$(verdict result)" = fail ]
    [ "$(verdict liar)" = fail ]
    [ "$(jq -r 'select(.event == "end") | .verdict' "$RUNDIR/journal.jsonl")" = failed ]

    # Control: an agent that does the work, and says and exits the contrary, passes.
    agent worker <<'END'
echo 'FAILED' | tee result.txt
exit 3
END
    one_phase worker ./open.json "$result"
    orch_run
    [ "$status" -eq 0 ]
    [ "$(verdict result)" = pass ]
}

@test "t_gate_09_forged_makefile_is_put_back_or_breaks_integrity" {
    need make
    make_project
    agent forger <<'END'
case $ORCH_ATTEMPT in
1) printf 'test:\n\t@echo all tests passed\n' >Makefile ;;
2) printf 'test:\n\t@echo all tests passed\n' >GNUmakefile ;; # GNU make reads it first
3) rm Makefile && ln -s /dev/null tests/old && printf 'test:\n' >real && ln -s real Makefile ;;
4) printf 'the right answer\n' >answer.txt ;;
esac
END
    one_phase forger ./open.json "$RESTORED, $TRUSTING, $PROTECTED" '"attempts": 4, "on_retry": "reset"'
    orch_run
    for attempt in 1 2 3; do
        [ "$(verdict restored $attempt)" = fail ]
        [ "$(verdict trusting $attempt)" = pass ] # control: without restore the forgery works
        [ "$(verdict protected $attempt)" = integrity ]
    done
    [ "$(verdict restored 4)" = pass ]
    [ "$(verdict trusting 4)" = pass ]
    [ "$(verdict protected 4)" = pass ]
    [ "$status" -eq 0 ]
    [ "$(cat "$WS/answer.txt")" = 'the right answer' ]
}

@test "t_gate_10_forged_edited_and_deleted_tests_count_for_nothing" {
    need make
    make_project
    echo 'data' >"$WS/tests/data"
    agent forger <<'END'
case $ORCH_ATTEMPT in
1) echo 'exit 0' >tests/check.sh ;;
2) rm -r tests && mkdir tests && echo : >tests/check.sh ;;
3) mkdir -p mine && echo : >mine/check.sh && rm -r tests && ln -s mine tests ;;
4) rm tests/data ;;
5) echo new >tests/conftest.py ;;
6) chmod 0777 tests/data ;;
7) printf 'the right answer\n' >answer.txt && touch tests/check.sh && cat tests/data ;;
esac
END
    one_phase forger ./open.json "$RESTORED, $GLOBBED, $TRUSTING, $PROTECTED,
        {\"type\": \"command\", \"name\": \"protected-glob\", \"run\": [\"true\"], \"protect\": [\"tests/**\"]}" \
        '"attempts": 7, "on_retry": "reset"'
    orch_run
    for attempt in 1 2 3; do
        [ "$(verdict trusting $attempt)" = pass ]
    done
    for attempt in 1 2 3 4 5 6; do
        [ "$(verdict restored $attempt)" = fail ]
        [ "$(verdict globbed $attempt)" = fail ]
        [ "$(verdict protected $attempt)" = integrity ]
        [ "$(verdict protected-glob $attempt)" = integrity ]
    done
    [ "$(verdict restored 7)" = pass ]
    [ "$(verdict globbed 7)" = pass ]
    [ "$(verdict protected 7)" = pass ]
    [ "$status" -eq 0 ]
}

@test "t_gate_11_definition_of_a_gate_is_pinned_before_the_agent_starts" {
    # The workflow lies where the agent can write.
    W=$WS/flow
    mkdir "$W"
    profile open '{"schema": 1, "name": "open", "extends": "base", "widen": "test",
        "filesystem": [{"path": "${workspace}", "access": "rw"}]}'
    agent forger <<'END'
sed -i 's/result.txt/forged.txt/; s/false/true/' flow/workflow.json && echo forged >forged.txt && echo rewritten
[ "$ORCH_ATTEMPT" -lt 2 ] || grep -c forged.txt flow/workflow.json
END
    one_phase forger ./open.json '{"type": "file", "name": "result", "path": "result.txt"},
        {"type": "command", "name": "never", "run": ["false"]}' '"attempts": 2'
    orch_run
    [ "$status" -eq 1 ]
    for attempt in 1 2; do
        [ "$(verdict result $attempt)" = fail ]
        [ "$(verdict never $attempt)" = fail ]
        grep -q rewritten "$RUNDIR/logs/work.$attempt.out" # control: it did rewrite them, in its layer
    done
    orch_resume
    [ "$status" -eq 1 ]
}

@test "t_gate_09_programs_in_workspace_and_home_do_not_shadow_a_gates_tools" {
    need make
    make_project
    mkdir "$W/home"
    agent forger <<'END'
for dir in "$PWD" "$PWD/bin" "$PWD/.bin" "$HOME" "$HOME/bin" "$HOME/.local/bin" /tmp; do
    mkdir -p "$dir"
    for name in make sh grep true; do
        printf '#!/bin/sh\necho shim >&2\nexit 0\n' >"$dir/$name" && chmod 0755 "$dir/$name"
    done
done
for rc in .profile .bashrc .bash_profile .bash_env .shrc; do echo 'exit 0' | tee "$rc" >"$HOME/$rc"; done
PATH=$PWD/bin:$PWD:$HOME/bin:$PATH
export PATH
END
    one_phase forger ./open.json "$RESTORED,
        {\"type\": \"command\", \"name\": \"restored-exec\", \"exec\": true, \"run\": [\"make\", \"test\"]},
        {\"type\": \"command\", \"name\": \"which\", \"exec\": true, \"run\": [\"sh\", \"-c\", \"command -v make sh grep; echo PATH \$PATH\"]},
        {\"type\": \"command\", \"name\": \"bash\", \"exec\": true, \"run\": [\"bash\", \"-lc\", \"false\"]}" '' \
        '"home": {"from": "./home", "keep": true}'
    # An operator whose own PATH leads into the workspace.
    PATH=$WS/bin:$WS:.:$PATH orch_run
    [ "$status" -eq 1 ]
    [ "$(verdict restored)" = fail ]
    [ "$(verdict restored-exec)" = fail ]
    [ "$(verdict bash)" = fail ]
    [ "$(verdict which)" = pass ]
    refute grep -F "$WS" "$RUNDIR/logs/work.1.which.out"
    refute grep -qs shim "$RUNDIR"/logs/work.1.*
    # Control: the shims are in the layer and would be found first.
    mkdir "$T/copy"
    cp -R "$RUNDIR/layers/work.1/upper/." "$T/copy"
    run env PATH="$T/copy/bin:$PATH" make test
    [ "$status" -eq 0 ]
    [[ "$output" == *shim* ]]
}

@test "t_ex_06_nothing_of_the_agents_environment_reaches_a_gate" {
    agent poisoner <<'END'
export LD_PRELOAD=$PWD/evil.so LD_LIBRARY_PATH=$PWD BASH_ENV=$PWD/rc ENV=$PWD/rc POISON=1 GIT_DIR=/tmp/x
export MAKEFLAGS=-n PYTHONPATH=$PWD GIT_CONFIG_COUNT=1 SHELLOPTS_X=1
echo 'exit 0' >rc
cp /bin/true evil.so
# What a process may set of others.
echo POISON=1 >/proc/self/environ
sh -c 'sleep 0.1' &
exit 0
END
    one_phase poisoner ./open.json '{"type": "command", "name": "env", "run": ["env"]},
        {"type": "command", "name": "false", "run": ["sh", "-c", "false"]},
        {"type": "command", "name": "bash", "run": ["bash", "-c", "exit 1"]}' '' ''
    sed -i 's|"command": \["./poisoner"\]|&, "env": {"BASH_ENV": "${workspace}/rc", "AGENT_ONLY": "1"}|' "$W/workflow.json"
    OPERATOR_SECRET=s3cret BASH_ENV=/nowhere/rc orch_run
    [ "$status" -eq 1 ]
    [ "$(verdict env)" = pass ]
    [ "$(verdict false)" = fail ]
    [ "$(verdict bash)" = fail ]
    # What the sandbox sets itself, what the built-in profiles name, and nothing else.
    known=$(printf '%s\n' PATH HOME TMPDIR USER LOGNAME PWD
        jq -r '.env // {} | (.set // {} | keys[]), (.pass // [])[]' "$ORCH_ROOT"/profiles/*.json)
    sed 's/=.*//' "$RUNDIR/logs/work.1.env.out" >"$T/names"
    [ "$(wc -l <"$T/names")" -ge 3 ]
    refute grep -vxF "$known" "$T/names"
    refute grep -E 'evil|s3cret|/rc$' "$RUNDIR/logs/work.1.env.out"
    # Control: the agent itself had its variables.
    one_phase poisoner ./open.json '{"type": "file", "path": "rc"}'
    agent poisoner <<'END'
env | grep AGENT_ONLY >rc
END
    sed -i 's|"command": \["./poisoner"\]|&, "env": {"AGENT_ONLY": "1"}|' "$W/workflow.json"
    orch_run
    [ "$status" -eq 0 ]
    # And what makes loaders load cannot be given at all.
    sed -i 's|AGENT_ONLY|LD_PRELOAD|' "$W/workflow.json"
    orch_run
    [ "$status" -eq 2 ]
    [[ "$output" == *"workflow.json:4:"*"LD_PRELOAD"* ]]
}

@test "t_gate_06_daemon_that_rewrites_the_artifact_after_exit_is_too_late" {
    token=daemon-$$-$RANDOM
    cat >"$T/daemon.sh" <<'END'
[ -z "$ORCH_WORKSPACE" ] || cd "$ORCH_WORKSPACE"
printf '%s\n' "$FIRST" >artifact
for i in 1 2; do
    nohup sh -c 'trap "" HUP TERM INT; sleep 0.2; while :; do printf "%s\n" "$1" >artifact; sleep 0.02; done' \
        "$TOKEN" "$THEN" >/dev/null 2>&1 </dev/null &
done
sleep 0.05
END
    agent forger <"$T/daemon.sh"
    good=$(printf 'good\n' | sha256sum | cut -d ' ' -f 1)
    env() { sed -i 's|"command": \["./forger"\]|&, "env": {"FIRST": "'"$1"'", "THEN": "'"$2"'", "TOKEN": "'"$token"'"}|' "$W/workflow.json"; }

    # Bad, and made good after the exit: what was there at the exit is judged.
    one_phase forger ./open.json '{"type": "file", "name": "artifact", "path": "artifact", "sha256": "'"$good"'"}'
    env bad good
    orch_run
    [ "$status" -eq 1 ]
    [ "$(verdict artifact)" = fail ]
    no_agent_left "$token"
    [ "$(cat "$RUNDIR/layers/work.1/upper/artifact")" = bad ]

    # Good, and spoiled after the exit: the judged bytes are those that arrive.
    one_phase forger ./open.json '{"type": "file", "name": "artifact", "path": "artifact", "sha256": "'"$good"'"},
        {"type": "command", "name": "slow", "run": ["sh", "-c", "sleep 0.4; grep -qx good artifact"]}'
    env good bad
    orch_run
    [ "$status" -eq 0 ]
    [ "$(verdict slow)" = pass ]
    [ "$(cat "$WS/artifact")" = good ]
    no_agent_left "$token"
    sleep 0.3
    [ "$(cat "$WS/artifact")" = good ]

    # Control: outside, the daemon wins.
    mkdir "$T/outside"
    (cd "$T/outside" && FIRST=good THEN=bad TOKEN=$token ORCH_WORKSPACE='' sh "$T/daemon.sh" 3>&-)
    for _ in $(seq 2000); do
        result=$(cat "$T/outside/artifact")
        [ "$result" != bad ] || break
        sleep 0.05
    done
    for proc in $(grep -laF -- "$token" /proc/[0-9]*/cmdline 2>/dev/null | cut -d / -f 3); do
        [ "$proc" = $$ ] || kill -KILL "$proc" 2>/dev/null || :
    done
    [ "$result" = bad ]
}

@test "t_gate_06_race_at_the_exit_never_separates_verdict_and_bytes" {
    agent racer <<'END'
for i in 1 2; do
    nohup sh -c 'while :; do
        n=$((n + 1))
        echo good >"$0.a" && mv "$0.a" artifact
        echo bad >"$0.b" && mv "$0.b" artifact
        echo $n >"$0.n" && mv "$0.n" count
    done' $i >/dev/null 2>&1 </dev/null &
done
until [ "$(cat count 2>/dev/null || echo 0)" -gt $((20 + ORCH_ATTEMPT * 7)) ]; do sleep 0.01; done
END
    good=$(printf 'good\n' | sha256sum | cut -d ' ' -f 1)
    one_phase racer ./open.json '{"type": "file", "name": "artifact", "path": "artifact", "sha256": "'"$good"'"}' \
        '"attempts": 6, "on_retry": "reset"'
    orch_run
    for layer in "$RUNDIR"/layers/work.*; do
        attempt=${layer##*.}
        bytes=$(cat "$layer/upper/artifact")
        case $(verdict artifact "$attempt") in
        pass)
            [ "$bytes" = good ]
            [ "$(cat "$WS/artifact")" = good ]
            ;;
        fail) [ "$bytes" = bad ] ;;
        *) false ;;
        esac
        [ "$(cat "$layer/upper/count")" -gt 20 ] # it raced
    done
}

@test "t_gate_01_03_04_artifact_that_is_no_plain_file_does_not_pass" {
    mkfifo "$WS/fifo"
    agent maker <<'END'
mkdir -p sub dir
echo good >good.txt
cp good.txt sub/good.txt
ln -s /etc/passwd to-passwd
ln -s good.txt to-good
ln -s sub to-sub
ln -s /proc/self/fd/0 magic
ln good.txt hard
cp good.txt single
: >empty
truncate -s 1T sparse
mkfifo made-fifo
chmod 4755 single 2>/dev/null || :
cp sub/good.txt plain
END
    hash=$(printf 'good\n' | sha256sum | cut -d ' ' -f 1)
    gates=
    for name in to-passwd to-good to-sub/good.txt magic hard dir empty fifo made-fifo; do
        gates="$gates{\"type\": \"file\", \"name\": \"${name//\//.}\", \"path\": \"$name\"},"
        gates="$gates{\"type\": \"file\", \"name\": \"hash.${name//\//.}\", \"path\": \"$name\", \"sha256\": \"$hash\"},"
        gates="$gates{\"type\": \"any\", \"name\": \"any.${name//\//.}\", \"gates\": [{\"type\": \"file\", \"path\": \"$name\"}]},"
    done
    one_phase maker ./open.json "$gates
        {\"type\": \"file\", \"name\": \"sparse-hash\", \"path\": \"sparse\", \"sha256\": \"$hash\"},
        {\"type\": \"file\", \"name\": \"sparse-max\", \"path\": \"sparse\", \"max_size\": \"1GiB\"},
        {\"type\": \"file\", \"name\": \"beneath\", \"path\": \"good.txt/x\"},
        {\"type\": \"file\", \"name\": \"plain\", \"path\": \"plain\", \"sha256\": \"$hash\"}"
    snapshot "$WS" >"$T/before"
    orch_run
    [ "$status" -eq 1 ]
    [ "$took" -lt 60000 ]
    [ "$(verdict plain)" = pass ] # control
    for name in to-passwd to-good to-sub.good.txt magic hard dir empty fifo made-fifo; do
        [ "$(verdict "$name")" = fail ]
        [ "$(verdict "hash.$name")" = fail ]
        [ "$(verdict "any.$name")" = fail ]
    done
    [[ "$(verdict sparse-hash)" =~ ^(fail|error)$ ]]
    [ "$(verdict sparse-max)" = fail ]
    [ "$(verdict beneath)" = fail ]
    [ -e "$RUNDIR/layers/work.1/upper/sparse" ] # control: it is there, with its size
    [ "$(stat -c %s "$RUNDIR/layers/work.1/upper/sparse")" -eq 1099511627776 ]
    # None hangs, whatever it is.
    [ "$(jq -s '[.[] | select(.event == "gate") | .elapsed_ms] | max' "$RUNDIR/audit.jsonl")" -lt 20000 ]
    snapshot "$WS" >"$T/after"
    same "$T/before" "$T/after"
}

@test "t_gate_03_setuid_bit_never_passes" {
    agent maker <<'END'
echo x >file
chmod 4755 file && echo set
exit 0
END
    one_phase maker ./open.json '{"type": "file", "name": "file", "path": "file"},
        {"type": "changes", "name": "changes", "max_files": 100}'
    orch_run
    if grep -qx set "$RUNDIR/logs/work.1.out"; then
        [ "$status" -eq 1 ]
        [ "$(verdict file)" = fail ]
        [ "$(verdict changes)" = fail ]
        [ ! -e "$WS/file" ]
    else
        [ "$status" -eq 0 ]
        [ "$(stat -c %a "$WS/file")" = 644 ]
    fi
    # Control: outside it can be set.
    echo x >"$T/file"
    chmod 4755 "$T/file"
    [ -u "$T/file" ]
}

@test "t_gate_13_forged_git_configuration_and_hooks_do_not_judge" {
    need git
    export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
    git -c init.defaultBranch=main init -q "$WS"
    git -C "$WS" config user.name test
    git -C "$WS" config user.email test@example.com
    echo one >"$WS/file"
    git -C "$WS" add file
    git -C "$WS" commit -qm first
    agent forger <<'END'
echo junk >junk
printf '[status]\n\tshowUntrackedFiles = no\n' >>.git/config
printf '[core]\n\tfsmonitor = "touch HOOK-RAN; true"\n\thooksPath = .git/hooks\n\tpager = touch HOOK-RAN\n' >>.git/config
printf '[alias]\n\tcheck = "!true"\n' >>.git/config
printf '#!/bin/sh\ntouch HOOK-RAN\n' >.git/hooks/post-index-change
chmod 0755 .git/hooks/post-index-change
cp .git/hooks/post-index-change .git/hooks/fsmonitor-watchman
echo 'HOME config' >"$HOME/.gitconfig"
git status --porcelain
END
    clean='"run": ["sh", "-c", "test -z \"$(git status --porcelain)\""]'
    seen='"run": ["sh", "-c", "git status --porcelain >/dev/null; test -e HOOK-RAN"]'
    one_phase forger ./open.json "{\"type\": \"command\", \"name\": \"trusting\", $clean},
        {\"type\": \"command\", \"name\": \"restored\", \"restore\": [\".git/**\"], $clean},
        {\"type\": \"command\", \"name\": \"protected\", \"protect\": [\".git/**\"], $clean},
        {\"type\": \"command\", \"name\": \"hook-trusting\", $seen},
        {\"type\": \"command\", \"name\": \"hook-restored\", \"restore\": [\".git/**\"], $seen}"
    # The agent ran git too: what its hooks leave is its own doing, so it is taken away before the gates look.
    sed -i '$a rm -f HOOK-RAN' "$W/forger"
    orch_run
    [ "$status" -eq 1 ]
    [ "$(verdict trusting)" = pass ] # control: the forgery works where nothing is restored
    [ "$(verdict restored)" = fail ]
    [ "$(verdict protected)" = integrity ]
    [ "$(verdict hook-trusting)" = pass ]
    [ "$(verdict hook-restored)" = fail ]
    [ ! -e "$WS/HOOK-RAN" ]
    [ ! -e "$RUNDIR/layers/work.1/upper/HOOK-RAN" ]

    # An honest change is seen as such, also by git as the owner of the repository.
    agent honest <<'END'
echo two >file
END
    one_phase honest implement '{"type": "command", "name": "diff", "run": ["git", "diff", "--exit-code"], "expect": 1},
        {"type": "command", "name": "log", "run": ["git", "rev-parse", "--verify", "HEAD"]}'
    orch_run
    [ "$status" -eq 0 ]
    [ "$(cat "$WS/file")" = two ]
}

@test "gate_command_verdicts_come_from_a_clean_exit_only" {
    agent idle <<'END'
:
END
    sh() { printf '{"type": "command", "name": "%s", "run": ["sh", "-c", "%s"]%s},\n' "$1" "$2" "${3:+, $3}"; }
    one_phase idle ./open.json "$(
        sh zero 'exit 0'
        sh one 'exit 1'
        sh three 'exit 3' '"expect": 3'
        sh not-three 'exit 0' '"expect": 3'
        sh fails 'exit 1' '"must_fail": true'
        sh flood 'head -c 40000000 /dev/zero | tr \\\\0 x; yes no | head -c 1000 >&2'
        sh does-not-fail 'exit 0' '"must_fail": true'
        sh slow 'sleep 600' '"timeout": "300ms"'
        sh slow-must-fail 'sleep 600' '"timeout": "300ms", "must_fail": true'
        sh stubborn 'trap \"\" TERM INT HUP; while :; do sleep 1; done' '"timeout": "300ms"'
        sh killed 'kill -KILL $$'
        sh killed-must-fail 'kill -SEGV $$; sleep 1' '"must_fail": true'
        sh refused 'exit 126' '"must_fail": true'
        sh not-found 'no-such-program-here' '"must_fail": true'
        sh not-found-plain 'exit 127'
    ){\"type\": \"command\", \"name\": \"missing\", \"run\": [\"\${workspace}/nothing\"], \"exec\": true, \"must_fail\": true}"
    orch_run
    [ "$status" -eq 1 ]
    [ "$(stat -c %s "$RUNDIR/logs/work.1.flood.out")" -le 17000000 ]
    for gate in zero three fails flood; do [ "$(verdict $gate)" = pass ]; done
    for gate in one not-three does-not-fail; do [ "$(verdict $gate)" = fail ]; done
    for gate in slow slow-must-fail stubborn killed killed-must-fail refused not-found not-found-plain missing; do
        echo "$gate: $(verdict $gate)"
        [ "$(verdict $gate)" = error ]
    done
    [[ "$(reason slow)" == *wall* ]]
    [ "$took" -lt 120000 ]
}

@test "gate_compositions_never_turn_an_error_into_a_pass" {
    agent idle <<'END'
:
END
    one_phase idle ./open.json "$(
        P='{"type": "command", "run": ["true"]}' F='{"type": "file", "path": "none"}'
        E='{"type": "command", "run": ["sh", "-c", "exit 127"]}'
        I='{"type": "command", "run": ["true"], "protect": ["*"]}'
        g() { printf '{"type": "%s", "name": "%s", "gates": [%s]}%s\n' "$1" "$2" "$3" "${4-,}"; }
        g all all-pp "$P, $P"
        g all all-pf "$P, $F"
        g all all-pe "$P, $E"
        g any any-pf "$F, $P"
        g any any-ff "$F, $F"
        g any any-pe "$P, $E"
        g any any-fe "$F, $E"
        g not not-p "$P"
        g not not-f "$F"
        g not not-e "$E"
        g not not-not-e "{\"type\": \"not\", \"gates\": [$E]}"
        g not not-any-fe "{\"type\": \"any\", \"gates\": [$F, $E]}"
        g all all-any "{\"type\": \"any\", \"gates\": [$F, $P]}, {\"type\": \"not\", \"gates\": [$F]}" ''
    )"
    orch_run
    [ "$status" -eq 1 ]
    for gate in all-pp any-pf not-f all-any; do [ "$(verdict $gate)" = pass ]; done
    for gate in all-pf any-ff not-p; do [ "$(verdict $gate)" = fail ]; done
    for gate in all-pe any-pe any-fe not-e not-not-e not-any-fe; do
        echo "$gate: $(verdict $gate)"
        [ "$(verdict $gate)" = error ]
    done

    # Integrity beats everything, also inside.
    agent toucher <<'END'
echo x >file
END
    one_phase toucher ./open.json '{"type": "not", "name": "not", "gates": [{"type": "command", "run": ["false"], "protect": ["file"]}]},
        {"type": "any", "name": "any", "gates": [{"type": "command", "run": ["true"]}, {"type": "command", "run": ["true"], "protect": ["**"]}]},
        {"type": "any", "name": "good", "gates": [{"type": "command", "run": ["true"], "protect": ["other"]}]}'
    orch_run
    [ "$status" -eq 1 ]
    [ "$(verdict not)" = integrity ]
    [ "$(verdict any)" = integrity ]
    [ "$(verdict good)" = pass ]
}

@test "t_gate_15_what_a_gate_leaves_or_writes_does_not_go_on" {
    token=gatedaemon-$$-$RANDOM
    agent writer <<'END'
echo agent >from-agent
END
    one_phase writer ./open.json "{\"type\": \"command\", \"name\": \"leaver\", \"run\": [\"sh\", \"-c\",
            \"echo gate >from-gate; echo gate >from-agent; rm -f keep; (trap '' HUP TERM; while :; do date >from-daemon; sleep 0.02; done) >/dev/null 2>&1 & nohup sh -c 'sleep 300' $token >/dev/null 2>&1 & sleep 0.1; test -e from-gate\"]},
        {\"type\": \"command\", \"name\": \"next\", \"run\": [\"sh\", \"-c\",
            \"test ! -e from-gate && test ! -e from-daemon && grep -qx agent from-agent && test -e keep\"]},
        {\"type\": \"file\", \"name\": \"absent\", \"path\": \"from-gate\", \"absent\": true}"
    python3 - "$W/workflow.json" <<'END'
import json, sys
d = json.load(open(sys.argv[1]))
d["phases"].append({"name": "later", "agent": None, "gates": [
    {"type": "file", "name": "absent", "path": "from-gate", "absent": True},
    {"type": "file", "name": "daemon", "path": "from-daemon", "absent": True},
    {"type": "file", "name": "kept", "path": "keep"}]})
json.dump(d, open(sys.argv[1], "w"))
END
    echo kept >"$WS/keep"
    orch_run
    [ "$status" -eq 0 ]
    no_agent_left "$token"
    [ "$(cat "$WS/from-agent")" = agent ] # control: the agent's writes do go on
    [ "$(cat "$WS/keep")" = kept ]
    [ ! -e "$WS/from-gate" ]
    [ ! -e "$WS/from-daemon" ]
    [ -z "$(find "$RUNDIR/layers" \( -name from-gate -o -name from-daemon \) 2>/dev/null)" ]
}
