#!/usr/bin/env bats
# What an author of profiles sees: check, show, explain, test, diff, groups and schema, and what the built-in profiles promise.
load ../lib/common
load ../lib/workflow

setup_file() { need_sandbox; }

setup() {
    orch_setup
    workflow_setup
    cd "$WS"
}

teardown() {
    [ -z "${V:-}" ] || rm -rf "$V"
    orch_teardown
}

# policy SUBVERB ARGUMENT...
policy() {
    run timeout -k 5 120 "$ORCH" policy "$@" 3>&-
    orch_say
}

# asserts PROFILE ASSERTIONS [WORKSPACE]: writes $W/t.test.json.
asserts() {
    printf '{"schema": 1, "profile": "%s", "workspace": [%s], "assert": [%s]}\n' "$1" "${3:-}" "$2" >"$W/t.test.json"
}

# points STATUS HALF: how many points of the last run have it.
points() { grep -cE "^$1 [0-9]+ - .* in the $2\$" <<<"$output" || :; }

# said TEXT...: all of it is in the output.
said() {
    for text in "$@"; do
        [[ "$output" == *"$text"* ]] || { echo "not said: $text"; return 1; }
    done
}

# ---- check ----

@test "check_reports_every_error_of_every_file_and_goes_on" {
    profile good '{"schema": 1, "name": "good", "extends": "plan"}'
    profile typo '{"schema": 1, "name": "typo", "extends": "plan", "limit": {}, "env": {"pas": []}}'
    profile missing '{"schema": 1, "name": "missing", "extends": "plan", "widen": "test", "tools": ["@parent", "no-such-tool"],
        "filesystem": [{"path": "/no/such/path", "access": "ro"}]}'
    printf 'not json' >"$W/broken.json"
    policy check "$W/good.json" "$W/typo.json" "$W/missing.json" "$W/broken.json" "$W/none.json" plan
    [ "$status" -eq 2 ]
    said "$W/good.json: ok (sha256 " "plan: ok (sha256 " "typo.json:1:" "did you mean 'limits'" "did you mean 'pass'" \
        "missing.json:1:" "no-such-tool" "/no/such/path" "broken.json:1:" "none.json"
    policy check "$W/good.json" implement # control
    [ "$status" -eq 0 ]
    [ "$(grep -c ': ok (sha256 [0-9a-f]\{64\})$' <<<"$output")" -eq 2 ]
    cd "$W"
    policy check good.json # a file needs no slash
    [ "$status" -eq 0 ]
}

@test "check_follows_what_a_workflow_names" {
    agent idle <<<'exit 0'
    profile inner '{"schema": 1, "name": "inner", "extends": "plan"}'
    one_phase idle ./inner.json '{"type": "command", "run": ["true"], "profile": "./gate.json"}' \
        '"prompt": {"file": "prompt.md"}'
    echo hello >"$W/prompt.md"
    profile gate '{"schema": 1, "name": "g", "extends": "gate"}'
    policy check "$W/workflow.json" # control
    [ "$status" -eq 0 ]
    said "workflow.json: ok (sha256 "
    profile gate '{"schema": 1, "name": "g", "extends": "gate", "nonsense": 1}'
    profile inner '{"schema": 1, "name": "inner", "extends": "plan", "widen": "x", "tools": ["@parent", "no-such-tool"], "x": 2}'
    rm "$W/prompt.md"
    policy check "$W/workflow.json"
    [ "$status" -eq 2 ]
    said "gate.json:1:" "nonsense" "inner.json:1:" "prompt.md"
}

# ---- show ----

@test "show_says_where_each_value_is_written" {
    cat >"$W/mine.json" <<'JSON'
{"schema": 1, "name": "mine", "extends": "plan",
 "limits": {"memory": "1GiB"},
 "filesystem": [
  {"path": "${workspace}/secret", "access": "none"}],
 "env": {"set": {"COLOR": "never"}}}
JSON
    policy show "$W/mine.json"
    [ "$status" -eq 0 ]
    grep -qE "^  memory +1GiB +# $W/mine.json:2\$" <<<"$output"
    grep -qE "^  $WS/secret +none.*# $W/mine.json:4\$" <<<"$output"
    grep -qE "^  COLOR += never +# $W/mine.json:5\$" <<<"$output"
    grep -qE '^  pids +512 +# built-in base:[0-9]+$' <<<"$output"
    grep -qE '^  tmp.size +256MiB +# default$' <<<"$output"
    grep -qE '^  /proc +ro +# sandbox$' <<<"$output"
    grep -qE '^  cat +/usr/bin/cat +# built-in base:[0-9]+$' <<<"$output"
    policy show --json --closure --syscalls "$W/mine.json"
    jq -e '.rows[] | select(.section == "limits" and .key == "memory") |
        .value == "1GiB" and .from.kind == "document" and .from.line == 2 and .from.pointer == "/limits/memory"' <<<"$output"
    jq -e '.closure.files | any(.path == "/usr/bin/cat" and (.why | test("tool cat")))' <<<"$output"
    jq -e '.syscalls | any(.name == "mount" and .number == 165 and .kind == "refused EPERM")' <<<"$output"
    refute grep -nP '[^\x20-\x7e]' <<<"$output"
}

@test "show_says_what_this_host_lacks" {
    profile lacking '{"schema": 1, "name": "lacking", "extends": "base", "widen": "test",
        "filesystem": [{"path": "/no/such/path", "access": "ro", "required": false}]}'
    policy show "$W/lacking.json"
    [ "$status" -eq 0 ]
    grep -qE '^  /no/such/path +ro, not on this host' <<<"$output"
}

# ---- explain ----

@test "explain_answers_acts_with_rule_reason_and_advice" {
    mkdir -p .git/hooks "$T/.ssh"
    echo key >"$T/.ssh/id_rsa"
    ln -s .git/config alias
    echo x >.git/config
    while IFS='|' read -r question answer rule advice; do
        eval "policy explain plan $question"
        [ "$status" -eq 0 ]
        said "$answer" "$rule" "$advice"
    done <<'END'
read /etc/shadow|not in the view, ENOENT|sandbox#/not-in-view|{"path": "/etc/shadow", "access": "ro"}
write /usr/bin/env|refused, EACCES|base#/filesystem/0, built-in base:|"access": "rw"
exec cat|permitted|base#/filesystem/0|
exec perl|refused, E|base#/tools, built-in base:|"tools": [{"name": "perl
write '${workspace}/.git/config'|refused, EACCES|plan#/filesystem/1, built-in plan:|
write '${workspace}/alias'|refused, EACCES|.git/config|
write '${workspace}/new'|permitted|plan#/filesystem/0|
symlink '${workspace}/l'|refused, EACCES|plan#/create, built-in plan:|"create": add "symlink"
create '${tmp}/x'|permitted|sandbox#/tmp|
look /sys/kernel|hidden, ENOENT|base#/filesystem/|
connect 192.0.2.1:80|refused, ENETUNREACH|base#/network, built-in base:|
connect /run/dbus/system_bus_socket|not in the view, ENOENT|sandbox#/not-in-view|
END
}

@test "explain_answers_calls_with_names_numbers_and_alternatives" {
    while IFS=';' read -r question answer more; do
        eval "policy explain plan $question"
        [ "$status" -eq 0 ]
        said "$answer" "$more"
    done <<'END'
ptrace;refused, EPERM;"syscalls": {"rules": [{"syscalls": ["ptrace"], "action": "allow", "reason": "..."}]}
101;ptrace [101];refused, EPERM
clone3;counted fallback, ENOSYS;
400;counted fallback, ENOSYS;
getpid;permitted, by the filter itself;
openat;permitted, after its path;
ioctl 0 TIOCSTI;refused, EPERM;
ioctl 0 0x100005412;refused, EPERM;
ioctl 0 TIOCGWINSZ;permitted;
ioctl;depends on argument 1;TIOCSTI, TIOCLINUX, TIOCSETD: refused, EPERM
socket;depends on argument 0;AF_INET, AF_INET6: permitted
socket AF_INET;depends on argument 1 and 2;SOCK_RAW: refused, EPERM
socket AF_NETLINK SOCK_RAW 0;refused, EPERM;
prctl PR_SET_DUMPABLE;faked;
clone 'CLONE_NEWUSER|CLONE_VM';refused, EPERM;
clone;depends on argument 0;CLONE_NEWUSER, CLONE_NEWNS
kill -1 9;permitted;
END
    profile ruled '{"schema": 1, "name": "ruled", "extends": "plan",
        "syscalls": {"rules": [{"syscalls": ["kill"], "action": "errno", "errno": "EXDEV",
            "args": [{"index": 1, "op": "eq", "value": 9}]}, {"syscalls": ["uname"], "action": "kill_process"},
            {"syscalls": ["sysinfo"], "action": "log"}]}}'
    policy explain "$W/ruled.json" kill
    said "depends on argument 1" "0x9: refused, EXDEV" "$W/ruled.json#/syscalls/rules/0, $W/ruled.json:2" "otherwise: permitted"
    policy explain "$W/ruled.json" sysinfo
    said "permitted, after it was judged, recorded by $W/ruled.json#/syscalls/rules/2"
    policy explain "$W/ruled.json" uname
    said "killed" "$W/ruled.json#/syscalls/rules/1"
    for wrong in 'no_such_call' 'ioctl 0 TIOCSTX' 'exec' 'exec a b' "kill 1x"; do
        policy explain plan $wrong
        [ "$status" -eq 2 ]
    done
    said "neither a number nor a known constant"
    policy explain no-such-profile getpid
    [ "$status" -eq 2 ]
}

@test "explain_escapes_what_it_is_asked" {
    policy explain plan read $'/tmp/\033[31m\342\200\256x\377'
    [ "$status" -eq 0 ]
    refute grep -qP '[^\x20-\x7e]' <<<"$output"
    policy explain $'pl\033[31man' read /x
    [ "$status" -eq 2 ]
    refute grep -qP '[^\x20-\x7e]' <<<"$output"
}

# ---- test ----

@test "policy_test_of_each_built_in_holds_in_the_model_and_in_the_kernel" {
    mkdir -p "$T/.ssh" "$T/.aws"
    echo key | tee "$T/.ssh/id_rsa" >"$T/.aws/credentials" # outside they can be read
    for name in base plan implement verify gate; do
        policy test --state "$STATE" "$ORCH_ROOT/profiles/$name.test.json"
        [ "$status" -eq 0 ]
        [ "$(points ok model)" -gt 80 ]
        [ "$(points ok model)" -eq "$(points ok kernel)" ]
        [ "$(points 'not ok' '.*')" -eq 0 ]
        [ "$(tail -1 <<<"$output")" = "1..$(grep -cE '^(not )?ok ' <<<"$output")" ]
    done
    # What the tests mean by hidden is there for whoever is outside.
    cat "$T/.ssh/id_rsa" "$T/.aws/credentials"
}

@test "no_built_in_allows_a_member_of_escape" {
    members=$("$ORCH" policy groups @escape | awk '$1 ~ /^[0-9]+$/ {print $2}')
    [ "$(wc -w <<<"$members")" -gt 50 ]
    list=$(for name in $members; do printf '{"syscall": "%s", "expect": "denied"},' "$name"; done)
    for name in base plan implement verify gate; do
        asserts "$name" "$list"' {"syscall": "getpid", "expect": "allowed"}'
        policy test --state "$STATE" "$W/t.test.json"
        [ "$status" -eq 0 ]
        [ "$(points ok kernel)" -eq $(($(wc -w <<<"$members") + 1)) ]
    done
    # Control: the same list fails where a call is allowed.
    asserts plan '{"syscall": "getpid", "expect": "denied"}'
    policy test --state "$STATE" "$W/t.test.json"
    [ "$status" -eq 1 ]
}

@test "policy_test_fails_for_each_assertion_that_does_not_hold" {
    asserts plan '{"read": "/etc/shadow", "expect": "allowed"}, {"write": "${workspace}/x", "expect": "denied"},
        {"exec": "cat", "expect": "denied"}, {"syscall": "ptrace", "expect": "ENOSYS"}, {"syscall": "ptrace", "expect": "killed"},
        {"connect": "192.0.2.1:80", "expect": "allowed"}, {"syscall": "getpid", "expect": "faked"},
        {"read": "/etc/passwd", "expect": "allowed"}'
    policy test --state "$STATE" "$W/t.test.json"
    [ "$status" -eq 1 ]
    [ "$(points 'not ok' model)" -eq 7 ]
    [ "$(points 'not ok' kernel)" -eq 7 ]
    [ "$(points ok kernel)" -eq 1 ]
    said 'expected: "allowed"' 'model: "not in the view (ENOENT)"' "at: \"$W/t.test.json:1\""
}

@test "policy_test_says_when_model_and_kernel_disagree" {
    V=$(mktemp -d /var/tmp/orch-test.XXXXXX)
    echo hidden >"$V/mine"
    chmod 000 "$V/mine" # the profile shows it, its own mode shuts it: the policy cannot know
    profile shows '{"schema": 1, "name": "shows", "extends": "plan", "widen": "test",
        "filesystem": [{"path": "'"$V"'/mine", "access": "ro"}]}'
    asserts ./shows.json '{"read": "'"$V"'/mine", "expect": "allowed"}'
    policy test --state "$STATE" "$W/t.test.json"
    [ "$status" -eq 1 ]
    [ "$(points ok model)" -eq 1 ]
    [ "$(points 'not ok' kernel)" -eq 1 ]
    said "model and kernel disagree" 'kernel: "refused (EACCES)"' 'model: "permitted"'
    chmod 644 "$V/mine" # control
    policy test --state "$STATE" "$W/t.test.json"
    [ "$status" -eq 0 ]
}

@test "policy_test_is_not_fooled_by_what_is_not_there" {
    asserts plan '{"read": "${workspace}/none", "expect": "allowed"}, {"read": "${workspace}/some", "expect": "allowed"}' '"some"'
    policy test --state "$STATE" "$W/t.test.json"
    [ "$status" -eq 1 ]
    [ "$(points 'not ok' kernel)" -eq 1 ]
    said "nothing is there"
}

@test "policy_test_survives_profiles_that_kill_and_refuse_processes" {
    profile harsh '{"schema": 1, "name": "harsh", "extends": "base", "syscalls": {"rules": [
        {"syscalls": ["clone", "fork", "vfork"], "action": "errno", "errno": "EAGAIN"},
        {"syscalls": ["getppid"], "action": "kill_process"}, {"syscalls": ["uname"], "action": "errno", "errno": "EXDEV"}]}}'
    asserts ./harsh.json '{"syscall": "uname", "expect": "EXDEV"}, {"syscall": "getppid", "expect": "killed"},
        {"exec": "true", "expect": "allowed"}, {"syscall": "uname", "expect": "EXDEV"}, {"exec": "mount", "expect": "denied"},
        {"syscall": "clone", "expect": "EAGAIN"}, {"read": "/usr/bin/env", "expect": "allowed"}'
    policy test --state "$STATE" "$W/t.test.json"
    [ "$status" -eq 0 ]
    [ "$(points ok kernel)" -eq 7 ]
}

@test "policy_test_refuses_documents_that_are_not_exact" {
    while IFS='|' read -r assertion message; do
        asserts plan "$assertion"
        policy test --state "$STATE" "$W/t.test.json"
        [ "$status" -eq 2 ]
        said "$W/t.test.json:1:" "$message"
        policy check "$W/t.test.json"
        [ "$status" -eq 2 ]
    done <<'END'
{"read": "/x", "expect": "alowed"}|did you mean 'allowed'
{"wriet": "/x", "expect": "allowed"}|did you mean 'write'
{"read": "/x"}|expect
{"expect": "allowed"}|exactly one of
{"read": "/x", "write": "/x", "expect": "allowed"}|exactly one of
{"read": "x", "expect": "allowed"}|not an absolute path
{"read": "/x", "expect": "EWRONG"}|not the name of an errno
{"syscall": "no_such", "expect": "denied"}|not a system call
{"syscall": "ioctl", "args": [0, "TIOCSTX"], "expect": "denied"}|neither a number nor a known constant
{"syscall": "ioctl", "args": [0,0,0,0,0,0,0], "expect": "denied"}|at most 6
{"read": "/x", "args": [1], "expect": "denied"}|'args' belongs to 'syscall'
{"read": "/x", "expect": "faked"}|only a system call
END
    asserts no-such-profile '{"read": "/x", "expect": "denied"}'
    policy test --state "$STATE" "$W/t.test.json"
    [ "$status" -eq 2 ]
    asserts plan '{"read": "/x", "expect": "denied"}' '"../escape"'
    policy test --state "$STATE" "$W/t.test.json"
    [ "$status" -eq 2 ]
    asserts plan '{"read": "/etc/shadow", "expect": "denied"}' # control, and with another profile
    policy check "$W/t.test.json"
    [ "$status" -eq 0 ]
    policy test --state "$STATE" --profile base "$W/t.test.json"
    [ "$status" -eq 0 ]
    said "profile base"
    # Neither the workspace nor the fixtures of the test stay behind.
    [ -z "$(ls -A "$WS")" ]
    [ -z "$(ls -A "$STATE/exec" 2>/dev/null)" ]
    [ -z "$(find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'orch-policy.*' -user "$(id -u)" -newer "$T/w" 2>/dev/null)" ]
}

@test "policy_test_where_no_sandbox_can_be_made_is_exit_3_and_skips_the_kernel_half" {
    asserts plan '{"read": "/etc/shadow", "expect": "denied"}'
    run timeout 60 "$HELPERS/nonamespaces" "$ORCH" policy test --state "$STATE" "$W/t.test.json" 3>&-
    orch_say
    [ "$status" -eq 3 ]
    [ "$(points ok model)" -eq 1 ]
    grep -qE '^ok 2 - .* # SKIP ' <<<"$output"
    asserts plan '{"read": "/etc/shadow", "expect": "allowed"}' # what the model knows to be wrong is still a failure
    run timeout 60 "$HELPERS/nonamespaces" "$ORCH" policy test --state "$STATE" "$W/t.test.json" 3>&-
    [ "$status" -eq 1 ]
}

# ---- diff ----

@test "diff_tells_two_spellings_of_one_policy_from_two_policies" {
    profile a '{"schema": 1, "name": "a", "extends": "plan", "limits": {"wall": "60s"},
        "syscalls": {"rules": [{"syscalls": ["kill"], "action": "errno", "errno": "EPERM", "args": [{"index": 1, "op": "eq", "value": 9}]},
            {"syscalls": ["uname", "sysinfo"], "action": "errno", "errno": "EPERM"}]}}'
    profile b '{"schema": 1, "name": "b", "extends": "plan", "limits": {"wall": "1m"},
        "syscalls": {"rules": [{"names": ["sysinfo"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
            {"names": ["uname"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
            {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [{"index": 1, "op": "SCMP_CMP_EQ", "value": 9}]}]}}'
    policy diff --exit-code "$W/a.json" "$W/b.json"
    [ "$status" -eq 0 ]
    [ "$output" = "the same policy" ]
    profile b '{"schema": 1, "name": "b", "extends": "plan", "limits": {"wall": "2m", "pids": 5},
        "filesystem": [{"path": "${workspace}/secret", "access": "none"}], "env": {"pass": ["LANG"]}, "create": ["file"],
        "tools": ["sh", "cat"], "audit": {"level": "paths"},
        "syscalls": {"rules": [{"syscalls": ["kill"], "action": "errno", "errno": "EPERM", "args": [{"index": 1, "op": "eq", "value": 15}]}]}}'
    policy diff "$W/a.json" "$W/b.json"
    [ "$status" -eq 0 ]
    more_a=$(sed -n '/^A allows more/,/^[B-n].* more/p' <<<"$output") more_b=$(sed -n '/^B allows more/,/^not/p' <<<"$output")
    for text in '${workspace}/secret: read write' 'create directory' 'tools grep' 'limits.pids: 512 in A, 5 in B' 'passes TZ' \
        'audit opens in A, paths in B' 'kill with argument 1 = 0xf: allowed in A, refused EPERM in B'; do
        [[ "$more_a" == *"$text"* ]] || { echo "not in A: $text"; false; }
    done
    for text in 'limits.wall (ms): 60000 in A, 120000 in B' 'kill with argument 1 = 0x9: refused EPERM in A, allowed in B' \
        'uname: refused EPERM in A, allowed in B'; do
        [[ "$more_b" == *"$text"* ]] || { echo "not in B: $text"; false; }
    done
    policy diff --exit-code "$W/a.json" "$W/b.json"
    [ "$status" -eq 1 ]
    policy diff --exit-code verify gate # one policy by two names
    [ "$status" -eq 0 ]
    policy diff --exit-code base plan
    [ "$status" -eq 1 ]
    said '${workspace}: write (rw, the other ro)'
    policy diff base no-such-profile
    [ "$status" -eq 2 ]
}

# ---- groups, schema ----

@test "groups_shows_every_group_and_the_members_of_one" {
    policy groups
    [ "$status" -eq 0 ]
    said @agent-base @escape @network-client
    policy groups @agent-base
    [ "$status" -eq 0 ]
    grep -qE '^ +257 +openat +allowed, its path is judged$' <<<"$output"
    grep -qE '^ +39 +getpid +allowed$' <<<"$output"
    policy groups @escape
    grep -qE '^ +101 +ptrace' <<<"$output"
    policy groups @agent-bse
    [ "$status" -eq 2 ]
    said "@agent-base"
}

@test "schema_is_what_ships_with_the_profiles" {
    for name in profile workflow test; do
        "$ORCH" policy schema "$name" >"$T/schema"
        cmp "$T/schema" "$ORCH_ROOT/profiles/schema/$name.schema.json"
        jq -e '."$schema" | test("2020-12")' "$T/schema"
    done
    # Every key of the shipped tests is in it.
    keys=$(jq -r '.properties.assert.items.properties | keys[]' "$T/schema")
    for key in $(jq -r '.assert[] | keys[]' "$ORCH_ROOT"/profiles/*.test.json | sort -u); do grep -qx "$key" <<<"$keys"; done
}

# ---- documentation ----

@test "page_about_the_built_ins_names_every_tool_and_every_path_and_no_other_tool" {
    page=$ORCH_ROOT/docs/profiles.md
    section() { sed -n "/^## $1\$/,/^## /p" "$page"; }
    for name in base plan implement verify gate; do
        json=$ORCH_ROOT/profiles/$name.json
        section "$name" >"$T/section"
        [ "$(wc -l <"$T/section")" -gt 2 ]
        jq -r '.tools // [] | .[] | if type == "string" then . else .name end' "$json" | grep -v '^@' | sort >"$T/tools" || :
        while IFS= read -r tool; do grep -qF -- "\`$tool\`" "$T/section"; done <"$T/tools"
        while read -r path access; do
            grep -F -- "| \`$path\` | $access" "$T/section" || { echo "$name: $path $access"; false; }
        done < <(jq -r '.filesystem // [] | .[] | .path + " " + .access' "$json")
        # Lines of nothing but names are the tools.
        grep -E '^`[^`]+`( `[^`]+`)*$' "$T/section" | grep -oE '`[^`]+`' | tr -d '`' | sort >"$T/named" || :
        diff "$T/tools" "$T/named"
        # And each path that the page gives a row is a rule.
        [ "$(grep -cE '^\| `' "$T/section" || :)" -eq "$(jq '.filesystem // [] | length' "$json")" ]
    done
}

@test "example_of_a_policy_test_in_the_manual_page_holds" {
    mkdir -p "$T/.ssh"
    echo key >"$T/.ssh/id_rsa"
    sed -n '/^\.Ss Policy tests/,/^\.Ed/p' "$ORCH_ROOT/docs/man/orch-sandbox.1" | grep -v '^\.' | sed 1,/^$/!b | sed -n '/^{/,/^}/p' >"$W/t.test.json"
    policy test --state "$STATE" "$W/t.test.json"
    [ "$status" -eq 0 ]
}
