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

# MOUNTED: starts hangfs; hang and go_on
MOUNTED='
"$T/hangfs" "$O/hung" "$T/flag" >"$T/mounted" 2>&1 &
trap "kill $!; umount -l $O/hung" EXIT
for _ in $(seq 2000); do grep -qs . "$T/mounted" && break; sleep 0.05; done
grep -qx mounted "$T/mounted" && [ "$(cat "$O/hung/x")" = fuse ] || { cat "$T/mounted"; exit 77; }
'

count() { jq -s "[.[] | select(.event == \"denial\" and ($1)) | .count] | add // 0" "$T/audit"; }

@test "t_sc_22_a_hanging_mount_outside_the_view_holds_up_nobody" {
    [ -w /dev/fuse ] || skip "needs fuse"
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
    [ "$status" -ne 77 ] || skip "needs fuse"
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
    [ -w /dev/fuse ] || skip "needs fuse"
    inside "$MOUNTED"'
timeout 60 "$ORCH" exec --state "$STATE" --workspace "$WS" --profile base --audit "$T/audit" -- sh -c "
    cat $O/hung/none $O/link/none $O/hung/x $O/link/x 2>/dev/null || echo the-end"
echo "exec $?"
'
    [ "$status" -ne 77 ] || skip "needs fuse"
    grep -qx 'exec 0' <<<"$output"
    [ "$(count ".path == \"$O/hung/x\"")" -eq 1 ]
    [ "$(count ".path == \"$O/link/x\"")" -eq 1 ]
    [ "$(count '.path | endswith("none")')" -eq 0 ]
}

@test "t_sc_22_nothing_passes_while_a_shown_mount_hangs_and_all_goes_on_when_it_answers" {
    [ -w /dev/fuse ] || skip "needs fuse"
    cat >"$T/p.json" <<END
{"schema":1,"name":"hang","extends":"plan","widen":"test","filesystem":[{"path":"$O/hung","access":"ro"},{"path":"\${workspace}/none","access":"none"}]}
END
    mkdir "$WS/none"
    echo secret >"$WS/none/s"
    inside "$MOUNTED"'
"$ORCH" exec --state "$STATE" --workspace "$WS" --profile "$T/p.json" --audit "$T/audit" -- sh -c "
    cat $O/hung/x; echo begun; sleep 2; cat $O/hung/other 2>/dev/null || echo no-other; cat none/s 2>/dev/null || echo no-secret" >"$T/said" 2>&1 &
pid=$!
for _ in $(seq 2000); do grep -qs begun "$T/said" && break; sleep 0.05; done
touch "$T/flag"
sleep 4
cp "$T/said" "$T/said.hung"
kill -0 $pid && echo "still there"
rm "$T/flag"
wait $pid
echo "exec $?"
'
    [ "$status" -ne 77 ] || skip "needs fuse"
    cat "$T/said"
    grep -qx 'still there' <<<"$output"
    refute grep -q 'no-other\|no-secret\|secret' "$T/said.hung"
    grep -qx 'exec 0' <<<"$output"
    grep -qx fuse "$T/said"
    grep -qx no-other "$T/said"
    grep -qx no-secret "$T/said"
    [ "$(count ".path == \"$WS/none/s\"")" -eq 1 ]
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
