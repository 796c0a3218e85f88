#!/usr/bin/env bats
# T-SC-22: a filesystem of the host that has stopped to answer, or would have to be mounted first: an agent that names paths there
# holds up nobody, makes the host mount nothing, and its denials are on record.
load ../lib/common
load ../lib/workflow

setup_file() { need_sandbox; }

setup() {
    orch_setup
    # In a mount namespace of its own; as an ordinary user none of these can be mounted.
    need_root
    O=$(mktemp -d /var/tmp/orch-test.XXXXXX)      # the sandbox has its own /tmp
    chmod 0755 "$O"
    mkdir "$O/hung" "$O/auto" "$O/plain"
    ln -s hung "$O/link"
    echo x >"$O/plain/there"
    cp "$HELPERS/hangfs" "$T/hangfs"
    export O T WS STATE ORCH
}

teardown() {
    rm -rf "${O:-}"
    orch_teardown
}

# inside SCRIPT: bash, in a mount namespace that ends with it, and with it all that was mounted or started there
inside() {
    run timeout -k 5 100 unshare -m --propagation private bash -c "$1" 3>&- </dev/null
    orch_say
}

need_fuse() { [ -w /dev/fuse ] || skip "needs fuse"; }
can_fuse() { [ "$status" -ne 77 ] || skip "needs fuse"; }

# MOUNTED: starts hangfs; hang and go_on
MOUNTED='
"$T/hangfs" "$O/hung" "$T/flag" >"$T/mounted" 2>&1 &
trap "kill $!; umount -l $O/hung" EXIT
for _ in $(seq 2000); do grep -qs . "$T/mounted" && break; sleep 0.05; done
grep -qx mounted "$T/mounted" && [ "$(cat "$O/hung/x")" = fuse ] || { cat "$T/mounted"; exit 77; }
'

count() { jq -s "[.[] | select(.event == \"denial\" and ($1)) | .count] | add // 0" "$T/audit"; }

@test "t_sc_22_a_hanging_mount_outside_the_view_holds_up_nobody" {
    need_fuse
    # The control: whoever looks there himself waits.
    inside "$MOUNTED"'
touch "$T/flag"
stat "$O/hung/y" >/dev/null 2>&1 &
sleep 1; kill -0 $! && echo "who looks waits"
timeout 60 "$ORCH" exec --state "$STATE" --workspace "$WS" --profile base --audit "$T/audit" -- sh -c "
    for i in 1 2 3 4 5 6 7 8; do cat $O/hung/\$i $O/link/\$i $O/hung $O/plain/none\$i; done 2>/dev/null
    cat $O/plain/there 2>/dev/null || echo the-end"
echo "exec $?"
rm "$T/flag"
'
    can_fuse
    grep -qx 'who looks waits' <<<"$output"
    grep -qx 'the-end' <<<"$output"
    grep -qx 'exec 0' <<<"$output"
    # What could not be looked up counts as there; what could is told exactly.
    [ "$(count ".path | startswith(\"$O/hung/\")")" -eq 8 ]
    [ "$(count ".path | startswith(\"$O/link/\")")" -eq 8 ]
    [ "$(count ".path | startswith(\"$O/plain/none\")")" -eq 0 ]
    [ "$(count ".path == \"$O/plain/there\"")" -eq 1 ]
}

@test "t_sc_22_a_mount_that_answers_is_asked" {
    need_fuse
    inside "$MOUNTED"'
timeout 60 "$ORCH" exec --state "$STATE" --workspace "$WS" --profile base --audit "$T/audit" -- sh -c "
    cat $O/hung/none $O/link/none $O/hung/x $O/link/x 2>/dev/null || echo the-end"
echo "exec $?"
'
    can_fuse
    grep -qx 'exec 0' <<<"$output"
    [ "$(count ".path == \"$O/hung/x\"")" -eq 1 ]
    [ "$(count ".path == \"$O/link/x\"")" -eq 1 ]
    [ "$(count '.path | endswith("none")')" -eq 0 ]
}

# shown [MEMBERS]: a profile that shows the mount
shown() {
    cat >"$T/p.json" <<END
{"schema":1,"name":"hang","extends":"implement","widen":"test","filesystem":[{"path":"$O/hung","access":"ro"},
 {"path":"$O/plain","access":"ro"},{"path":"\${workspace}/none","access":"none"}]${1:+,$1}}
END
    mkdir "$WS/none"
    echo secret >"$WS/none/s"
    touch "$O/plain/go" "$O/plain/again"
}

# EXEC: starts the sandbox with "$T/agent" in it, which says "begun"; go: the mount hangs, and then there is something in plain/go
EXEC='
go() {
    for _ in $(seq 2000); do grep -qs begun "$T/said" && break; sleep 0.05; done
    touch "$T/flag"
    echo go >"$O/plain/go"
}
cp "$T/agent" "$WS/agent.sh"
(exec "$ORCH" exec --state "$STATE" --workspace "$WS" --profile "$T/p.json" --audit "$T/audit" -- sh agent.sh >"$T/said" 2>&1) &
pid=$!
'
# end SECONDS: waits so long for the sandbox to end while the mount hangs, and longer once it answers
EXEC+='
end() {
    timeout "$1" tail --pid "$pid" -f /dev/null && echo "it ended while the mount hung"
    rm "$T/flag"
    wait "$pid"
    echo "exec $?"
}
'
AWAIT='until [ -s "$PLAIN/go" ]; do sleep 0.1; done'

agent() {
    { printf 'HUNG=%s PLAIN=%s\n' "$O/hung" "$O/plain"; cat; } >"$T/agent"
}

@test "t_sc_22_a_shown_mount_that_hangs_holds_up_only_who_asks_for_it" {
    need_fuse
    shown
    agent <<END
cat "\$HUNG/x"; echo begun
$AWAIT
cat "\$HUNG/other" 2>/dev/null || echo no-other
cat none/s 2>/dev/null || echo no-secret
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do cat "\$HUNG/\$i" 2>/dev/null && echo answered; done
until mkdir "\$HUNG/dir" 2>/dev/null || [ \$((n += 1)) -gt 3 ]; do :; done
echo the-end
END
    inside "$MOUNTED$EXEC"'
go
end 60
'
    can_fuse
    cat "$T/said"
    grep -qx 'it ended while the mount hung' <<<"$output"
    grep -qx 'exec 0' <<<"$output"
    grep -qx fuse "$T/said"
    grep -qx no-other "$T/said"
    grep -qx no-secret "$T/said"
    grep -qx the-end "$T/said"
    refute grep -qx 'answered\|secret' "$T/said"
    # On record, each of them.
    [ "$(count ".path == \"$O/hung/other\" and .rule == \"sandbox#/unresolvable\"")" -eq 1 ]
    [ "$(count ".path | startswith(\"$O/hung/1\")")" -eq 4 ]
    [ "$(count ".path == \"$WS/none/s\"")" -eq 1 ]
}

@test "t_sc_22_a_mount_that_answers_again_is_asked_again" {
    need_fuse
    shown
    agent <<END
cat "\$HUNG/x"; echo begun
$AWAIT
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do cat "\$HUNG/\$i" 2>/dev/null && echo answered; done
echo tried
until [ -s "\$PLAIN/again" ]; do sleep 0.1; done
until cat "\$HUNG/x" 2>/dev/null; do sleep 0.1; done
cat "\$HUNG/none" 2>&1
END
    inside "$MOUNTED$EXEC"'
go
for _ in $(seq 2000); do grep -qs tried "$T/said" && break; sleep 0.05; done
rm "$T/flag"
echo again >"$O/plain/again"
timeout 60 tail --pid "$pid" -f /dev/null
wait "$pid"
echo "exec $?"
'
    can_fuse
    cat "$T/said"
    [ "$(grep -cx fuse "$T/said")" -eq 2 ]
    grep -q 'No such file' "$T/said"
    refute grep -qx answered "$T/said"
    grep -qx 'exec 1' <<<"$output"
}

@test "t_sc_22_memory_mapped_from_a_hanging_mount_holds_up_nobody" {
    need_fuse
    need python3
    shown
    cat >"$WS/mapped.py" <<'END'
import ctypes, errno, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.open.argtypes = [ctypes.c_void_p, ctypes.c_int]
def mapped(name):
    return libc.mmap(None, 4096, 1, 2, os.open(sys.argv[1] + "/" + name, os.O_RDONLY), 0)
def opened(at):
    return errno.errorcode[ctypes.get_errno()] if libc.open(at, 0) < 0 else "opened"
print("answering", opened(mapped("x")), flush=True)  # the name is "fuse\n", which there is not
at = mapped("y")  # nothing of it is in memory yet
print("begun", flush=True)
while os.path.getsize(sys.argv[2] + "/go") == 0:
    time.sleep(0.1)
print("hanging", opened(at), flush=True)
print("the-end", flush=True)
os._exit(0)
END
    agent <<'END'
exec python3 mapped.py "$HUNG" "$PLAIN"
END
    inside "$MOUNTED$EXEC"'
go
for _ in $(seq 1200); do grep -qs the-end "$T/said" && echo "answered while the mount hung" && break; sleep 0.05; done
rm "$T/flag"
wait "$pid"
echo "exec $?"
'
    can_fuse
    cat "$T/said"
    grep -qx 'answered while the mount hung' <<<"$output"
    grep -qx 'exec 0' <<<"$output"
    grep -qx 'answering ENOENT' "$T/said"
    grep -qx 'hanging EACCES' "$T/said"
    [ "$(count '.rule == "sandbox#/unreadable"')" -eq 1 ]
}

# ended_while_hung CODE COMMAND: an agent that never stops to ask, ended by COMMAND or by itself
ended_while_hung() {
    need_fuse
    agent <<END
cat "\$HUNG/x"; echo begun
$AWAIT
for i in 1 2 3 4; do (while :; do (: <"\$HUNG/\$i"); done) 2>/dev/null & done
wait
END
    inside "$MOUNTED$EXEC"'
go
sleep 2
'"$2"'
end 30
'
    can_fuse
    cat "$T/said"
    grep -qx 'it ended while the mount hung' <<<"$output"
    grep -qx "exec $1" <<<"$output"
}

@test "t_sc_22_a_limit_ends_who_asks_for_a_hanging_mount" {
    shown '"limits":{"wall":"8s"}'
    ended_while_hung 124 ''
    grep -q "ended by its limit 'wall'" "$T/said"
}

@test "t_sc_22_a_signal_ends_who_asks_for_a_hanging_mount" {
    shown
    ended_while_hung 143 'kill -TERM "$pid"'
}

@test "t_sc_22_who_cannot_be_killed_for_a_hanging_mount_makes_no_run_hang_nor_pass" {
    need_fuse
    need python3
    shown '"limits":{"wall":"5s"}'
    cat >"$WS/held.py" <<'END'
import os, sys, time
fd = os.open(sys.argv[1] + "/x", os.O_RDONLY)
print("begun", flush=True)
while os.path.getsize(sys.argv[2] + "/go") == 0:
    time.sleep(0.1)
os.fstat(fd)
END
    agent <<'END'
exec python3 held.py "$HUNG" "$PLAIN"
END
    inside "$MOUNTED$EXEC"'
go
end 90
'
    can_fuse
    cat "$T/said"
    grep -qx 'it ended while the mount hung' <<<"$output"
    grep -qx 'exec 125' <<<"$output"
    grep -q 'not every process of the sandbox could be ended' "$T/said"
}

@test "t_sc_22_a_run_whose_agent_hangs_is_an_error_of_the_host_and_goes_on_when_the_mount_answers" {
    need_fuse
    need python3
    shown '"limits":{"wall":"5s"}'
    cat >"$WS/held.py" <<'END'
import os, sys, time
fd = os.open(sys.argv[1] + "/x", os.O_RDONLY)
print("begun", flush=True)
while os.path.getsize(sys.argv[2] + "/go") == 0:
    time.sleep(0.1)
open("made", "w").write("made\n")
os.fstat(fd)
END
    cat >"$T/workflow.json" <<END
{"schema":1,"name":"hang","agent":{"command":["python3","held.py","$O/hung","$O/plain"]},
 "phases":[{"name":"work","profile":"./p.json","gates":[{"type":"file","path":"made"}]}]}
END
    inside "$MOUNTED"'
run() { "$ORCH" "$@" --state "$STATE" >>"$T/said" 2>&1; }
(run run --run-id r1 --workspace "$WS" "$T/workflow.json") &
pid=$!
for _ in $(seq 2000); do grep -qs begun "$T/said" && break; sleep 0.05; done
touch "$T/flag"
echo go >"$O/plain/go"
timeout 90 tail --pid "$pid" -f /dev/null && echo "it ended while the mount hung"
wait "$pid"
echo "run $?"
[ ! -e "$WS/made" ] && echo "nothing was changed"
rm "$T/flag"
run resume r1
echo "resume $?"
run verify r1
echo "verify $?"
'
    can_fuse
    cat "$T/said"
    grep -qx 'it ended while the mount hung' <<<"$output"
    grep -qx 'run 10' <<<"$output"
    grep -qx 'nothing was changed' <<<"$output"
    grep -qx 'resume 0' <<<"$output"
    grep -qx 'verify 0' <<<"$output"
    [ "$(cat "$WS/made")" = made ]
}

@test "t_sc_22_nested_any_mount_of_the_host_that_hangs_holds_up_nobody" {
    need_fuse
    cat >"$T/p.json" <<END
{"schema":1,"name":"hang","extends":"base","widen":"test","requires":"nested","tools":"*","limits":{"scope":"process"},
 "filesystem":[{"path":"$O/plain","access":"ro"},{"path":"\${workspace}","access":"rwx"}]}
END
    touch "$O/plain/go"
    echo secret >"$O/secret"
    agent <<END
echo begun
$AWAIT
cat "$O/hung/other" "$O/link/x" 2>/dev/null || echo no-other
cat "$O/secret" 2>/dev/null || echo no-secret
echo the-end
END
    inside "$MOUNTED${EXEC/exec \"\$ORCH\"/exec \"\$HELPERS/nonamespaces\" \"\$ORCH\"}"'
go
end 60
'
    can_fuse
    cat "$T/said"
    grep -qx 'it ended while the mount hung' <<<"$output"
    grep -qx 'exec 0' <<<"$output"
    grep -qx no-other "$T/said"
    grep -qx no-secret "$T/said"
    grep -qx the-end "$T/said"
    [ "$(count ".path == \"$O/hung/other\" and .rule == \"sandbox#/unresolvable\"")" -eq 1 ]
}

@test "t_sc_22_naming_a_path_makes_the_host_mount_nothing" {
    grep -qw autofs /proc/filesystems || skip "needs autofs"
    need python3
    # What asks for a mount writes to the pipe of who mounts; nobody answers.
    cat >"$T/auto.py" <<'END'
import ctypes, fcntl, os, select, struct, subprocess, sys
FAIL = 0x9361  # AUTOFS_IOC_FAIL
o, t = os.environ["O"], os.environ["T"]
r, w = os.pipe()
os.setpgid(0, 0)
libc = ctypes.CDLL(None, use_errno=True)
options = f"fd={w},pgrp={os.getpgrp()},minproto=5,maxproto=5,indirect"
if libc.mount(b"auto", f"{o}/auto".encode(), b"autofs", 0, options.encode()) != 0:
    sys.exit(77)
root = os.open(f"{o}/auto", os.O_RDONLY)
def asked(command):
    p = subprocess.Popen(command, preexec_fn=os.setpgrp, stdin=subprocess.DEVNULL)
    seen = bool(select.select([r], [], [], 0)[0])
    while p.poll() is None and not seen:
        seen = bool(select.select([r], [], [], 0.1)[0])
    while p.poll() is None and seen:  # who asked is told that there is nothing
        if select.select([r], [], [], 0.1)[0]:
            fcntl.ioctl(root, FAIL, struct.unpack_from("I", os.read(r, 4096), 8)[0])
    p.wait()
    return seen
inside = [os.environ["ORCH"], "exec", "--state", os.environ["STATE"], "--workspace", os.environ["WS"], "--profile", "base",
          "--audit", t + "/audit", "--", "sh", "-c", f"cat {o}/auto/host.example/x {o}/auto/y 2>/dev/null || echo the-end"]
print("sandbox asked:", asked(inside), flush=True)
print("control asked:", asked(["stat", f"{o}/auto/host.example/x"]), flush=True)
END
    inside 'python3 "$T/auto.py"'
    [ "$status" -ne 77 ] || skip "needs autofs"
    grep -qx 'sandbox asked: False' <<<"$output"
    grep -qx 'control asked: True' <<<"$output"
    [ "$(count ".path | startswith(\"$O/auto/\")")" -eq 2 ]
}
