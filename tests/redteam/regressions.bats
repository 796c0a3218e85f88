#!/usr/bin/env bats
# DR-12: ways around a boundary that were once open, or might be. Each with the same act where it succeeds, or the honest act.
# shellcheck disable=SC2016,SC2030,SC2031 # the agent expands; each test is a process of its own
load ../lib/runs

setup() {
    runs_setup
    # What the host has beyond the view. Not in /tmp: that is private inside.
    O=$(mktemp -d /var/tmp/orch-test.XXXXXX)
    chmod 0755 "$O"
    server=
}

teardown() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || :
    [ -z "${O:-}" ] || { chmod -R u+rwX "$O"; rm -rf "$O"; }
    runs_teardown
}

# profile [MEMBERS]: ./profile.json, which is implement and these members
profile() {
    printf '{"schema":1,"name":"own","extends":"implement","widen":"a test"%s}\n' "${1:+,$1}" >"$FLOW/profile.json"
}

# work [GATES [MEMBERS]]: prints a phase "work" with ./profile.json
work() {
    printf '{"name":"work","profile":"./profile.json","timeout":"30s","gates":[%s]%s,"reason":"the test looks by itself"}' \
        "${1:-}" "${2:+,$2}"
}

# top MEMBERS: adds members to the workflow
top() {
    jq ". + {$1}" "$FLOW/workflow.json" >"$T/new"
    mv "$T/new" "$FLOW/workflow.json"
}

# denials FILTER: how many calls were refused, of the records that it selects
denials() {
    audit "select(.event == \"denial\" and ($1)) | .count" | jq -s 'add // 0'
}

# said NUMBER TEXT: in the output of attempt NUMBER of work; a pattern, of a line
said() {
    output_of "work.$1" | grep -qx -- "$2" || { echo "not said: $2"; output_of "work.$1"; return 1; }
}

@test "seeded_home_is_no_place_to_run_programs_from_and_keeps_its_files" {
    mkdir "$T/seed"
    echo seeded >"$T/seed/file"
    cp "$HELPERS/attack" "$T/seed/attack"
    "$T/seed/attack" mkdir "$T/control"
    [ -d "$T/control" ]
    cat >"$WS/evil.c" <<'END'
#include <unistd.h>
__attribute__((constructor)) static void ran(void) { if (write(1, "PRELOADED\n", 10) < 0) _exit(9); }
END
    cc -shared -fPIC -o "$T/evil.so" "$WS/evil.c"
    [ "$(LD_PRELOAD=$T/evil.so cat </dev/null)" = PRELOADED ]
    cat >"$WS/try.sh" <<'END'
cc -shared -fPIC -o ~/evil.so evil.c && cp /usr/bin/true ~/own && [ -s ~/evil.so ] && [ -s ~/own ] && echo built
for so in ~/evil.so /proc/self/root$HOME/evil.so /proc/thread-self/root$HOME/evil.so; do
    LD_PRELOAD=$so cat </dev/null
done
for p in ~/attack ~/own /proc/self/root$HOME/own ~/../agent/own; do
    "$p" mkdir "$ORCH_WORKSPACE/ran" && echo "RAN $p"
done
for ld in /lib64 /proc/self/root/lib64 /./proc/self/root/lib64 //proc/self/root/lib64 /usr/lib64; do
    $ld/ld-linux-x86-64.so.2 ~/own && echo "RAN $ld"
    $ld/ld-linux-x86-64.so.2 --preload ~/evil.so /usr/bin/cat </dev/null
done
END
    agent <<'END'
echo "home: $(cat ~/file) $(cat ~/carried 2>&1)"
echo more >>~/file; echo from "$ORCH_PHASE" >~/carried
sh ./try.sh
END
    profile
    workflow "$(work)" "$(work | jq -c '.name = "second"')"
    top "\"home\": {\"from\": \"$T/seed\", \"keep\": true}"
    manifest "$T/seed" >"$T/before"
    drive --no-apply
    ended 0
    manifest "$T/seed" | cmp - "$T/before"
    said 1 'home: seeded cat: .*'
    output_of second.1 >"$T/second"
    grep -qx 'more from work' "$T/second"
    said 1 built
    grep -qx built "$T/second"
    refute grep -E 'RAN|PRELOADED' "$STATE/runs/$RUN/logs/work.1.out" "$T/second"
    [ "$(denials '.class == "exec" and .phase == "work" and (.path | startswith("/home/agent/"))')" -ge 4 ]
}

@test "host_sockets_and_fifos_in_a_shown_directory_are_dead" {
    mkdir "$O/shown"
    cat >"$T/server.py" <<'END'
import os, socket, sys, threading
os.umask(0)
os.chdir(sys.argv[1])
log = open(sys.argv[2], "a", buffering=1)
stream = socket.socket(socket.AF_UNIX); stream.bind("stream"); stream.listen()
dgram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); dgram.bind("dgram")
os.mkfifo("fifo", 0o666)
os.mkfifo("sink", 0o666)
def accept():
    while True:
        c, _ = stream.accept(); c.sendall(b"HOST"); c.close(); log.write("stream\n")
def receive():
    while True:
        dgram.recv(100); log.write("dgram\n")
def sink():
    fd = os.open("sink", os.O_RDWR)
    while os.read(fd, 100):
        log.write("sink\n")
def feed():
    while True:
        fd = os.open("fifo", os.O_WRONLY); os.write(fd, b"HOST"); os.close(fd); log.write("fifo\n")
        threading.Event().wait(0.05)
for f in accept, receive, sink:
    threading.Thread(target=f, daemon=True).start()
log.write("ready\n")
feed()
END
    cat >"$WS/try.py" <<'END'
import os, select, socket, sys
def stream(path):
    s = socket.socket(socket.AF_UNIX); s.settimeout(2); s.connect(path); return s.recv(10)
def dgram(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.sendmsg([b"x"], [], 0, path); return b"sent"
def dgram_connected(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(path); s.send(b"x"); return b"sent"
def fifo(path):
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    select.select([], [], [], 0.3)
    try: return os.read(fd, 10)
    except BlockingIOError: return b""
def sink(path):
    fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK); os.write(fd, b"x"); return b"sent"
d = sys.argv[1]
for f, name in (stream, "stream"), (dgram, "dgram"), (dgram_connected, "dgram"), (fifo, "fifo"), (sink, "sink"):
    for prefix in d, "/proc/self/root" + d:
        try: answer = f(prefix + "/" + name).decode() or "nothing"
        except OSError: answer = "nothing"
        print("act", answer)
END
    python3 "$T/server.py" "$O/shown" "$T/log" 3>&- &
    server=$!
    wait_until grep -q ready "$T/log"
    echo text >"$O/shown/file"
    python3 "$WS/try.py" "$O/shown" >"$T/outside"
    [ "$(grep -cxE 'act ([HOST]+|sent)' "$T/outside")" -eq 10 ] || { cat "$T/outside" "$T/log"; false; }
    sleep 0.2
    cp "$T/log" "$T/log.before"
    agent <<<"cat '$O/shown/file'; python3 try.py '$O/shown'"
    profile "\"filesystem\":[{\"path\":\"$O/shown\",\"access\":\"ro\"}]"
    workflow "$(work)"
    drive --no-apply
    ended 0
    said 1 text
    [ "$(output_of work.1 | grep -cx 'act nothing')" -eq 10 ]
    cmp "$T/log" "$T/log.before"
    # Writable, they could not be kept dead: refused, with the name of one of them.
    again
    profile "\"filesystem\":[{\"path\":\"$O/shown\",\"access\":\"rw\"}]"
    drive --no-apply
    [ "$status" -eq 2 ]
    grep -E "$O/shown/(stream|dgram|fifo|sink) is a socket or FIFO" <<<"$output"
    kill "$server"
    rm "$O"/shown/{stream,dgram,fifo,sink}
    drive --no-apply
    ended 0
}

@test "a_path_spelled_through_proc_is_judged_as_the_path_it_leads_to" {
    mkdir "$WS"/{.git,ro,hidden}
    for n in $(seq 0 20); do
        echo x | tee "$WS/ro/s$n" "$WS/hidden/s$n" >"$WS/free$n"
        cp /usr/bin/true "$WS/program$n"
    done
    cat >"$WS/try.py" <<'END'
import errno, os, sys, threading, time
ws, link = os.getcwd(), sys.argv[1]
child = os.fork()
if child == 0:
    time.sleep(20); os._exit(0)
root, here, proc_fd = os.open("/", os.O_PATH), os.open(ws, os.O_RDONLY), "/proc/self/fd"
os.symlink("/proc/self/root", link)
def fd_dir(rel, act):
    os.chdir(proc_fd)
    try: return act("%d/%s" % (here, rel))
    finally: os.chdir(ws)
def in_thread(rel, act):
    got = []
    def run():
        try: act("/proc/thread-self/root%s/%s" % (ws, rel))
        except OSError as e: got.append(e)
    t = threading.Thread(target=run)
    t.start(); t.join()
    if got: raise got[0]
spellings = [
    lambda rel, act: act(ws + "/" + rel),
    lambda rel, act: act("/proc/self/root%s/%s" % (ws, rel)),
    lambda rel, act: act("/./proc/self/root%s/%s" % (ws, rel)),
    lambda rel, act: act("//proc/self/root%s/%s" % (ws, rel)),
    lambda rel, act: act("/proc/self/cwd/" + rel),
    lambda rel, act: act("/proc/self/cwd/../%s/%s" % (os.path.basename(ws), rel)),
    lambda rel, act: act("/proc/%d/root%s/%s" % (child, ws, rel)),
    lambda rel, act: act("/proc/%d/cwd/%s" % (child, rel)),
    lambda rel, act: act("/proc/thread-self/root%s/%s" % (ws, rel)),
    lambda rel, act: act("/proc/%d/task/%d/cwd/%s" % (os.getpid(), os.getpid(), rel)),
    lambda rel, act: act("/proc/self/fd/%d/%s" % (here, rel)),
    lambda rel, act: act("/dev/fd/%d%s/%s" % (root, ws, rel)),
    lambda rel, act: act("/proc/../proc/self/root/proc/self/root%s/%s" % (ws, rel)),
    lambda rel, act: act("%s%s/%s" % (link, ws, rel)),
    fd_dir, in_thread,
]
def opens(flags):
    return lambda p: os.close(os.open(p, flags))
def execute(p):
    pid = os.fork()
    if pid == 0:
        try: os.execv(p, [p])
        except OSError as e: os._exit(e.errno)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code: raise OSError(code, "")
acts = [("mkdir", ".git/s%d", os.mkdir), ("write", "ro/s%d", opens(os.O_WRONLY)), ("read", "hidden/s%d", opens(os.O_RDONLY)),
        ("exec", "program%d", execute), ("free", "free%d", opens(os.O_RDWR))]
for name, rel, act in acts:
    for n, spell in enumerate(spellings):
        try: spell(rel % n, act); answer = "OK"
        except OSError as e: answer = errno.errorcode[e.errno]
        print(name, n, answer, flush=True)
os.kill(child, 9)
END
    agent <<<'python3 try.py "$ORCH_WORKSPACE/link"'
    profile '"filesystem":[{"path":"${workspace}/ro","access":"ro"},{"path":"${workspace}/hidden","access":"none"}]'
    workflow "$(work)"
    drive --no-apply
    ended 0
    output_of work.1 >"$T/inside"
    cp -r "$WS" "$T/copy" && (cd "$T/copy" && python3 try.py "$T/copy/link") >"$T/outside"
    [ "$(wc -l <"$T/inside")" -eq 80 ] || { cat "$T/inside"; false; }
    [ "$(cut -d' ' -f3 "$T/outside" | sort -u)" = OK ] || { grep -v OK "$T/outside"; false; }
    cut -d' ' -f1,3 "$T/inside" | sort -u >"$T/kinds"
    printf '%s\n' 'exec EACCES' 'free OK' 'mkdir EACCES' 'read ENOENT' 'write EACCES' | diff - "$T/kinds" || { cat "$T/inside"; false; }
    # Each exactly once, under the name it has in the view; nothing else.
    audit 'select(.event == "denial") | "\(.path) \(.count)"' | sort >"$T/denied"
    for n in $(seq 0 15); do
        printf '%s 1\n' "$WS"/{.git/s,ro/s,hidden/s,program}"$n"
    done | sort | diff - "$T/denied"
}

@test "a_workspace_rule_through_a_symlink_is_an_error" {
    mkdir -p "$WS/real/deep"
    echo SECRET >"$WS/real/deep/secret"
    ln -s real "$WS/link"
    agent <<<'cat real/deep/secret 2>/dev/null && echo SEEN; cat link/deep/secret 2>/dev/null && echo SEEN; :'
    workflow "$(work)"
    for path in link/deep/secret link/deep link/new; do
        profile "\"filesystem\":[{\"path\":\"\${workspace}/$path\",\"access\":\"none\"}]"
        drive --no-apply
        [ "$status" -eq 2 ]
        grep -F "$WS/link is a symlink" <<<"$output"
        [ ! -e "$STATE/runs/$RUN" ]
    done
    profile '"filesystem":[{"path":"${workspace}/real/deep/secret","access":"none"}]'
    drive --no-apply
    ended 0
    refute grep -q S "$STATE/runs/$RUN/logs/work.1.out"
}

@test "a_rule_that_shows_the_state_directory_is_an_error" {
    local path
    agent <<<'echo ran'
    workflow "$(work)"
    mkdir "$O/state" "$O/other" "$O/state/runs" "$O/state/sub"
    STATE=$O/state
    for path in "$O" "$O/state" "$O/state/sub" "$O/state/runs"; do
        for access in ro rx rw rwx; do
            profile "\"filesystem\":[{\"path\":\"$path\",\"access\":\"$access\",\"required\":false}]"
            drive --no-apply
            echo "$path $access: $status $output"
            [ "$status" -eq 2 ]
            [[ $output == *"state"* ]]
            [ ! -e "$STATE/runs/$RUN" ]
        done
    done
    # Hiding the directory does not undo what a narrower rule shows of it.
    profile "\"filesystem\":[{\"path\":\"$O/state\",\"access\":\"none\"},{\"path\":\"$O/state/runs\",\"access\":\"ro\"}]"
    drive --no-apply
    [ "$status" -eq 2 ]
    run "$ORCH" exec --profile "$FLOW/profile.json" --workspace "$WS" --state "$STATE" -- true
    [ "$status" -eq 125 ]
    profile "\"filesystem\":[{\"path\":\"$O\",\"access\":\"none\"},{\"path\":\"$O/other\",\"access\":\"rw\"}]"
    drive --no-apply
    ended 0
    said 1 ran
}

# told PATH [MEMBERS [GATE]]: prints what an agent that asks for PATH is told in both attempts of a phase
told() {
    again
    agent <<END
cat '$1'; ls '$1/x'; '$1'; cat secret
llm-status | sed 's/.*denials/denials/'
jq -c .denials /orch/feedback.json
cat /orch/feedback.json; cat /orch/prompt.md
END
    workflow "$(work "{\"type\":\"file\",\"path\":\"never\"}${3:+,$3}" "\"attempts\":2,\"prompt\":\"go on\"${2:+,$2}")"
    drive --no-apply
    ended 1 >&2
    for n in 1 2; do
        output_of work.$n | sed "s/$RUN/RUN/g; s/\"elapsed_ms\": *[0-9]*/N/"
    done
}

@test "an_agent_is_not_told_which_host_paths_exist" {
    echo SECRET | tee "$O/there" >"$WS/secret"
    chmod 0755 "$O/there"
    profile '"filesystem":[{"path":"${workspace}/secret","access":"none"}]'
    told "$O/none" >"$T/missing"
    [ "$(denials ".path | startswith(\"$O\")")" -eq 0 ]
    told "$O/there" >"$T/existing"
    [ "$(denials ".path == \"$O/there\"")" -ge 4 ]
    diff "$T/missing" "$T/existing"
    # Nor by the number in the reason of a gate on denials: that would be a bit for each call.
    gates='{"type":"all","gates":[{"type":"any","gates":[{"type":"denials","max":0}]}]}'
    told "$O/none" '"type":"strict"' "$gates" >"$T/missing"
    told "$O/there" '"type":"strict"' "$gates" >"$T/existing"
    [ "$(journal 'select(.event == "verdict") | [.gates[] | select(.reason | contains("3 denials"))] | length' | tail -n 1)" -eq 4 ] ||
        { journal 'select(.event == "verdict") | .gates'; false; }
    diff "$T/missing" "$T/existing"
    # The honest denial is told.
    grep 'denials' "$T/existing"
    grep -q 'ws/secret' "$T/existing"
}

@test "a_flood_of_long_names_leaves_a_bounded_log_with_exact_counts" {
    cat >"$WS/flood.py" <<'END'
import os, time
tail = "/".join(["n" * 250] * 14)
began, asked = time.monotonic(), 0
while asked < 8000 and time.monotonic() - began < 25:
    try: os.open("/sys/x%d/%s" % (asked, tail), os.O_RDONLY); break
    except FileNotFoundError: asked += 1
print("asked", asked, flush=True)
END
    agent <<<'python3 flood.py'
    profile
    workflow "$(work)"
    drive --no-apply
    ended 0
    asked=$(output_of work.1 | sed -n 's/^asked //p')
    echo "asked $asked, log $(stat -c %s "$STATE/runs/$RUN/audit.jsonl"), counted $(denials '.class == "filesystem"')"
    [ "$asked" -gt 5000 ]
    [ "$(stat -c %s "$STATE/runs/$RUN/audit.jsonl")" -lt $((64 << 20)) ]
    [ "$(denials '.class == "filesystem" and .quiet == true')" -eq "$asked" ]
    [ "$(denials '.class != "filesystem"')" -eq 0 ]
}

# stalled COMMAND...: exec in the background, its output a FIFO that is open and never read; sets $pid
stalled() {
    mkfifo "$T/stall"
    exec 8<>"$T/stall"
    env --default-signal=TERM "$ORCH" exec --profile "$FLOW/profile.json" --workspace "$WS" --state "$STATE" "$@" \
        >"$T/stall" 2>"$T/err" 3>&- 8>&- </dev/null &
    pid=$!
}

# gone_within SECONDS: sets $status
gone_within() {
    local began=${EPOCHREALTIME/[.,]/}
    for _ in $(seq $(($1 * 20))); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.05
    done
    refute kill -KILL "$pid" 2>/dev/null
    status=0
    wait "$pid" || status=$?
    echo "status $status after $(((${EPOCHREALTIME/[.,]/} - began) / 1000)) ms"
}

@test "a_reader_that_stalls_holds_up_neither_a_signal_nor_the_wall_limit" {
    profile
    timeout 10 "$ORCH" exec --profile "$FLOW/profile.json" --workspace "$WS" --state "$STATE" \
        -- sh -c 'yes y | head -n 1000' 3>&- | wc -l | grep -qx 1000
    stalled -- sh -c "yes $RUN"
    sleep 1
    kill -0 "$pid"
    kill -TERM "$pid"
    gone_within 3
    [ "$status" -eq 143 ]
    nothing_left
    rm "$T/stall"
    profile '"limits":{"wall":"1s"}'
    stalled -- sh -c "yes $RUN"
    gone_within 5
    [ "$status" -eq 124 ]
    nothing_left
}

@test "dev_takes_nothing_new_and_gives_the_standard_streams" {
    cat >"$WS/try.sh" <<'END'
try() { if ( "$@" ) >/dev/null 2>&1; then echo "OK $*"; else echo "refused $*"; fi; }
w() { echo x >"$1"; }
try w /dev/new; try mkdir /dev/dir; try ln -s /dev/null /dev/link; try mv /dev/null /dev/moved; try rm /dev/zero
try mknod /dev/fifo p; try rm /dev/stdin
try w /dev/shm/x; try mkdir /dev/shm/d; try rm /dev/shm/x; try w /dev/null; try w /dev/full; try head -c 1 /dev/urandom
printf '[%s]\n' "$(cat /dev/stdin)"
END
    agent <<<'sh try.sh'
    profile
    workflow "$(work)" "$(work '' '"prompt":"the words","agent":{"command":["./agent.sh"],"stdin":"prompt"}' | jq -c '.name = "prompted"')"
    drive --no-apply
    ended 0
    for act in 'w /dev/new' 'mkdir /dev/dir' 'ln -s /dev/null /dev/link' 'mv /dev/null /dev/moved' 'rm /dev/zero' 'mknod /dev/fifo p' \
        'rm /dev/stdin'; do
        said 1 "refused $act"
    done
    for path in new dir link null zero fifo stdin; do
        [ "$(denials ".class == \"filesystem\" and .phase == \"work\" and (.path == \"/dev/$path\" or .path2 == \"/dev/$path\")")" -ge 1 ] ||
            { echo "no record: $path"; audit 'select(.event == "denial")'; false; }
    done
    for act in 'w /dev/shm/x' 'mkdir /dev/shm/d' 'rm /dev/shm/x' 'w /dev/null' 'head -c 1 /dev/urandom'; do
        said 1 "OK $act"
    done
    said 1 'refused w /dev/full' # ENOSPC, by itself
    [ "$(denials '.path == "/dev/full" or .path == "/dev/null" and .access != "delete"')" -eq 0 ]
    said 1 '\[\]'
    [ "$(output_of prompted.1 | tail -n 1)" = '[the words]' ]
}

@test "clean_work_of_many_kinds_is_no_denial" {
    cat >"$WS/Makefile" <<'END'
build/main: build/main.o build/part.o
	$(CC) -o $@ $^
build/%.o: %.c
	$(CC) -Wall -MMD -c -o $@ $<
END
    echo 'int part(void); int main(void) { return part(); }' >"$WS/main.c"
    echo 'int part(void) { return 0; }' >"$WS/part.c"
    cat >"$WS/work.py" <<'END'
import hashlib, json, multiprocessing.pool, os, sqlite3, subprocess, tempfile, threading, uuid
assert subprocess.run(["sh", "-c", "echo a | tr a b"], capture_output=True, text=True).stdout == "b\n"
t = [threading.Thread(target=hashlib.sha256, args=(b"x",)) for _ in range(8)]
[x.start() for x in t]; [x.join() for x in t]
assert multiprocessing.pool.ThreadPool(4).map(abs, [-1]) == [1]
db = sqlite3.connect("work.db"); db.execute("create table t(a)"); db.execute("insert into t values (1)"); db.commit(); db.close()
with tempfile.TemporaryDirectory() as d:
    open(os.path.join(d, "x"), "w").write(json.dumps({"a": [1, None, str(uuid.uuid4())]}))
os.replace("work.db", "kept.db")
print("python done")
END
    cat >"$WS/work.js" <<'END'
const { execSync, spawn } = require('child_process'), fs = require('fs');
fs.writeFileSync('js.txt', execSync('echo from child').toString());
spawn('cat', ['js.txt'], { stdio: 'inherit' }).on('exit', c => console.log('node done', c));
END
    cp "$WS"/*.c "$T"
    git() { HOME=$T command git -C "$WS" -c user.name=a -c user.email=a@b -c init.defaultBranch=main "$@"; }
    git init -q && git add . && git commit -qm first && echo '/* more */' >>"$WS/part.c" && unset -f git
    cat >"$FLOW/honest.sh" <<'END'
set -e
git status --short; git log --oneline; git --no-pager diff --stat; git show --stat HEAD >/dev/null; git blame part.c >/dev/null
mkdir -p build; make; make; ./build/main; echo built
python3 work.py
if command -v node >/dev/null; then node work.js; fi
seq 1000 | sort -rn | head -n 3 | paste -sd+ | sed 's/^/sum /'; find . -name '*.c' -print0 | xargs -0 wc -l >/dev/null
mkdir out; tar -czf all.tgz *.c; tar -xzf all.tgz -C out; cmp out/main.c main.c; grep -rq part out; d=$(mktemp -d); cp -a out "$d"; rm -r out "$d"
(sleep 5 & kill $!; wait $! || :); trap : USR1; kill -USR1 $$; test -e missing || echo sh done
END
    agent <"$FLOW/honest.sh"
    profile '"filesystem":[{"path":"${workspace}/build","access":"rwx","scratch":true}]'
    workflow "$(work '{"type":"changes","required":["kept.db"]}' '"type":"strict"')"
    drive --json --no-apply
    [ "$status" -eq 0 ] || { output_of work.1; audit 'select(.event == "denial")'; }
    ended 0
    [ "$(grep '"event":"summary"' <<<"$output" | jq .denials)" -eq 0 ]
    [ "$(denials '.quiet != true')" -eq 0 ] || { audit 'select(.event == "denial")'; false; }
    for line in ' M part.c' built 'python done' 'sum 1000+999+998' 'sh done'; do said 1 "$line"; done
    ! command -v node >/dev/null || said 1 'node done 0'
    # Control: one refused call is seen by the same gate.
    again
    { echo 'cat /etc/shadow; touch .git/x'; cat "$FLOW/honest.sh"; } | agent
    drive --json --no-apply
    ended 1
    [ "$(grep '"event":"summary"' <<<"$output" | jq .denials)" -ge 1 ]
}

# ends_exec STATUS ARGUMENT...: of fill.sh
ends_exec() {
    run timeout 20 "$ORCH" exec --profile "$FLOW/profile.json" --workspace "$WS" --state "$STATE" -- sh fill.sh "${@:2}" 3>&-
    echo "$status $output"
    [ "$status" -eq "$1" ]
    # A busy machine may measure before all is shut.
    if [ "$1" -eq 0 ]; then [[ $output == *filled* ]]; else [[ $output == *"'workspace'"* ]]; fi
}

@test "the_workspace_limit_holds_also_for_what_lies_in_shut_directories" {
    # A directory that is shut to an ordinary user's supervisor cannot be measured, so it counts as too much.
    local shut=000
    [ "$(id -u)" -eq 0 ] || shut=700
    cat >"$WS/fill.sh" <<'END'
mkdir -p d/sub && head -c "$1" /dev/zero >d/sub/file && chmod "$2" d/sub && chmod "$2" d && echo filled
sleep "$3"
chmod 700 d && chmod 700 d/sub && rm -r d
END
    profile '"limits":{"workspace":"4MiB"}'
    ends_exec 125 8000000 700 15
    ends_exec 125 8000000 000 15
    ends_exec 0 2000000 "$shut" 1.2
    agent <<<'sh fill.sh 8000000 000 15'
    workflow "$(work)"
    drive
    ended 4
    [ "$(verdict end)" = limit:workspace ] || { journal 'select(.event == "verdict")'; false; }
    [ ! -e "$WS/d" ]
    again
    agent <<<"sh fill.sh 2000000 $shut 1.2"
    drive
    ended 0
}

@test "a_workspace_path_with_rx_runs_only_tools_and_with_rwx_anything" {
    mkdir "$WS/dir"
    cp /usr/bin/true "$WS/dir/own"
    agent <<<'dir/own && echo RAN; cat dir/own >/dev/null && echo read'
    workflow "$(work)"
    "$WS/dir/own"
    # access, more members -> ran?
    for row in 'ro||' 'rx||' 'rw||' 'rwx||RAN' 'rx|,"tools":"*"|RAN'; do
        IFS='|' read -r access more want <<<"$row"
        again
        profile "\"filesystem\":[{\"path\":\"\${workspace}/dir\",\"access\":\"$access\"}]$more"
        drive --no-apply
        ended 0
        said 1 read
        [ "$(output_of work.1 | grep -cx RAN)" -eq "$([ -n "$want" ] && echo 1 || echo 0)" ] || { echo "$row"; false; }
        [ "$(denials '.class == "exec" and (.path | endswith("/dir/own"))')" -eq "$([ -n "$want" ] && echo 0 || echo 1)" ] ||
            { echo "$row"; audit 'select(.event == "denial")'; false; }
    done
}
