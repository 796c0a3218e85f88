#!/usr/bin/env bats
# T-AUD-01: what is remembered of paths (sandbox/memo.c) is never a reason for another answer or another record.
load ../lib/common
load ../lib/workflow

setup_file() { need_sandbox; need python3; }

setup() {
    orch_setup
    W=$T
    HOST=$(mktemp -d /var/tmp/orch-test.XXXXXX)     # the sandbox has its own /tmp
    chmod 755 "$HOST"
    mkdir "$HOST/shown" "$HOST/shown/sub" "$HOST/hidden"
    echo open >"$HOST/shown/open"
    echo secret >"$HOST/hidden/secret"
    ln -s open "$HOST/shown/link"
    ln -s ../open "$HOST/shown/sub/up"
    ln -s /tmp/turn "$HOST/shown/out"               # a link of the host to where the agent is at home
    ln -s "$HOST/hidden/secret" "$HOST/shown/away"
    profile p '{"schema":1,"name":"p","extends":"plan","widen":"test","tools":["@parent","python3"],"filesystem":[
        {"path":"'"$HOST/shown"'","access":"ro"},{"path":"'"$HOST/hidden"'","access":"none"}]}'
}

teardown() {
    rm -rf "${HOST:-}"
    orch_teardown
}

inside() {
    rm -f "$T/audit"
    echo "$1" >"$WS/agent.py"
    run timeout 120 "$ORCH" exec --state "$STATE" --workspace "$WS" --profile "$W/p.json" --audit "$T/audit" -- \
        python3 "$WS/agent.py" "$HOST" 3>&- </dev/null
    orch_say
    [ "$status" -eq 0 ]
}

refused() {
    jq -s --arg path "$1" 'map(select(.event == "denial" and .path == $path) | .count) | add // 0' "$T/audit"
}

@test "t_aud_01_a_link_that_turns_is_looked_at_each_time" {
    inside '
import os, sys
host = sys.argv[1]
def look(path):
    try:
        os.close(os.open(path, os.O_RDONLY)); return "ok"
    except OSError as e:
        return e.strerror
wrong = 0
for way in ("/tmp/turn", host + "/shown/out"):     # straight, and by way of the host
    for i in range(300):
        os.symlink(host + ("/hidden/secret" if i % 2 else "/shown/open"), "/tmp/next")
        os.rename("/tmp/next", "/tmp/turn")
        wrong += look(way) != ("No such file or directory" if i % 2 else "ok")
print("wrong:", wrong)'
    [[ $output == *'wrong: 0'* ]]
    [ "$(refused "$HOST/hidden/secret")" -eq 300 ]
    # The control: who may see both reads both.
    ln -s "$HOST/hidden/secret" "$T/turn"
    [ "$(cat "$T/turn")" = secret ]
}

@test "t_aud_01_each_repeat_of_a_remembered_path_is_counted" {
    inside '
import os, sys
host = sys.argv[1]
for name in ("/shown/away", "/hidden/secret", "/shown/sub/../../hidden/secret", "/shown/sub/../away"):
    for i in range(250):
        try:
            os.open(host + name, os.O_RDONLY); print("opened", name)
        except OSError:
            pass
for name in ("/shown/link", "/shown/sub/up", "/shown/sub/../link", "/shown/./open"):
    for i in range(250):
        assert os.read(os.open(host + name, os.O_RDONLY | os.O_CLOEXEC), 9) == b"open\n"; os.closerange(3, 50)'
    [[ $output != *opened* ]]
    [ "$(refused "$HOST/hidden/secret")" -eq 1000 ]
    [ "$(jq -s 'map(select(.event == "denial")) | map(.path) | unique | length' "$T/audit")" -eq 1 ]
}
