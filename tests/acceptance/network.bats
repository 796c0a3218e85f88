#!/usr/bin/env bats
# Network modes none and loopback: none has nothing, not even a loopback; loopback has the sandbox's own, servers and
# clients in it work, and neither reaches the host or anything beyond. What attacks it: tests/redteam/network.bats.
load ../lib/runs

setup() {
    runs_setup
    need python3
    profile none
    profile loopback
}

teardown() {
    [ -z "${background:-}" ] || kill "$background" 2>/dev/null || :
    runs_teardown
}

# MODE [MEMBERS]
profile() {
    printf '{"schema":1,"name":"%s","extends":"implement","widen":"the test",%s"network":{"mode":"%s"}}\n' "$1" "${2:-}" "$1" >"$FLOW/$1.json"
}

# inside MODE COMMAND...: sets $status and $output; records in $T/audit
inside() {
    local mode=$1
    shift
    rm -f "$T/audit"
    run timeout -k 5 60 "$ORCH" exec --state "$STATE" --workspace "$WS" --profile "$FLOW/$mode.json" --audit "$T/audit" -- "$@" </dev/null
    echo "$output"
}

# Records of denials that count.
counted() {
    jq -c 'select(.event == "denial" and .quiet != true) | [.class, .syscall, .path, .errno]' "$T/audit"
}

none_counted() {
    [ -z "$(counted)" ] || { counted; return 1; }
}

has_six() {
    python3 -c 'import socket; socket.socket(socket.AF_INET6).bind(("::1", 0))' 2>/dev/null
}

look() {
    cat >"$WS/look.py" <<'END'
import fcntl, os, socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
found = fcntl.ioctl(s, 0x8912, struct.pack("iP", 0, 0))  # SIOCGIFCONF: how much there is
print("configured", struct.unpack_from("i", found)[0])
up = []
for line in open("/proc/self/net/dev").readlines()[2:]:
    name = line.split(":")[0].strip()
    flags = struct.unpack_from("H", fcntl.ioctl(s, 0x8913, struct.pack("16s24x", name.encode())), 16)[0]
    up += [name] if flags & 1 else []
print("up", *sorted(up))
print("routes", len(open("/proc/self/net/route").readlines()[1:]))
six = "/proc/self/net/if_inet6"
print("six", len(open(six).readlines()) if os.path.exists(six) else 0)
print("unix", sum("@" in line.split()[-1] for line in open("/proc/self/net/unix").readlines()[1:]))
END
}

@test "none_has_no_interface_no_address_and_no_route" {
    look
    inside none python3 look.py
    [ "$status" -eq 0 ]
    [ "${output%%orch-sandbox:*}" = $'configured 0\nup\nroutes 0\nsix 0\nunix 0' ]
    # The control: in mode loopback, and on the host, there is something to see.
    inside loopback python3 look.py
    [ "$status" -eq 0 ]
    grep -qx 'up lo' <<<"$output"
    refute grep -qx 'configured 0' <<<"$output"
    grep -qx 'routes 0' <<<"$output" # nothing but the local addresses
    ! has_six || grep -qx 'six 1' <<<"$output"
    (cd "$WS" && python3 look.py) >"$T/outside"
    grep -q '^up .*lo' "$T/outside"
}

@test "none_asks_of_runtimes_are_no_denials" {
    cat >"$WS/ask.py" <<'END'
import socket
print(sorted({a[4][0] for a in socket.getaddrinfo("localhost", 80)}))
print(socket.gethostbyname("localhost"), socket.getfqdn() != "")
END
    for mode in none loopback; do
        inside $mode python3 ask.py
        [ "$status" -eq 0 ]
        grep -q "127.0.0.1" <<<"$output"
        none_counted
    done
    if command -v node >/dev/null; then
        for mode in none loopback; do
            inside $mode node -e 'require("dns").lookup("localhost", {all: true}, (e, a) => { console.log(e, JSON.stringify(a)); process.exit(e ? 1 : 0) })'
            [ "$status" -eq 0 ]
            none_counted
        done
        inside loopback node -e 'console.log(Object.keys(require("os").networkInterfaces()).join())'
        [ "$status" -eq 0 ]
        grep -qx lo <<<"$output"
        none_counted
    fi
    # The control: who asks a name server, or talks to anybody, is counted.
    inside none python3 -c 'import socket; socket.getaddrinfo("example.com", 80)'
    [ "$status" -ne 0 ]
    [ "$(counted | jq -r '.[0]' | sort -u)" = network ]
    inside none python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))'
    [ "$(counted)" = '["network","sendto","127.0.0.1:9","ENETUNREACH"]' ]
}

@test "none_refuses_connect_and_bind_with_a_record" {
    inside none python3 -c '
import socket
for act in ("connect", "bind"):
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            getattr(socket.socket(family), act)((host, 8080))
            print(act, host, "done")
        except OSError as e:
            print(act, host, e.errno)
socket.socket(socket.AF_INET).bind(("0.0.0.0", 0))'
    [ "$status" -eq 0 ]
    grep -qx 'connect 127.0.0.1 101' <<<"$output"
    grep -qx 'bind 127.0.0.1 99' <<<"$output"
    [ "$(counted | sort)" = '["network","bind","127.0.0.1:8080","EADDRNOTAVAIL"]
["network","bind","[::1]:8080","EADDRNOTAVAIL"]
["network","connect","127.0.0.1:8080","ENETUNREACH"]
["network","connect","[::1]:8080","ENETUNREACH"]' ]
}

# A server of each kind, and clients that are real programs.
talk() {
    cat >"$WS/talk.py" <<'END'
import http.server, shutil, socket, subprocess, sys, threading, urllib.request

class Server(http.server.ThreadingHTTPServer):
    pass

class Six(Server):
    address_family = socket.AF_INET6

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"served\n")

    def log_message(self, *args):
        pass

def client(url):
    assert urllib.request.urlopen(url, timeout=20).read() == b"served\n"
    if shutil.which("curl"):
        assert subprocess.run(["curl", "-gsS", "-m", "20", url], capture_output=True, check=True).stdout == b"served\n"
    if shutil.which("node"):
        script = "fetch('%s').then(r => r.text()).then(t => process.stdout.write(t))" % url
        assert subprocess.run(["node", "-e", script], capture_output=True, check=True).stdout == b"served\n"

def serve(kind, host):
    server = kind((host, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]

def visit(host, port):
    client("http" + "://%s:%d/" % (host, port))

visit("127.0.0.1", serve(Server, "127.0.0.1"))
port = serve(Server, "0.0.0.0")
visit("localhost", port)
visit("127.8.9.10", port)
if sys.argv[1] == "six":
    visit("[::1]", serve(Six, "::1"))
    visit("[::ffff:127.0.0.1]", serve(Six, "::"))

for family, host in ((socket.AF_INET, "127.0.0.1"),) + (((socket.AF_INET6, "::1"),) if sys.argv[1] == "six" else ()):
    a, b = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_DGRAM)
    a.bind((host, 0))
    b.connect(a.getsockname())
    b.send(b"ping")
    data, who = a.recvfrom(10)
    a.sendto(b"pong", who)
    assert data == b"ping" and b.recv(10) == b"pong"
print("talked")
END
}

@test "loopback_serves_and_asks_over_both_versions" {
    local six=four curl=''
    ! has_six || six=six
    ! command -v curl >/dev/null || curl='"tools":["@parent","curl"],'
    profile loopback "$curl"
    talk
    inside loopback python3 talk.py $six
    [ "$status" -eq 0 ]
    grep -qx talked <<<"$output"
    none_counted
    # In mode none the same program gets nowhere.
    inside none python3 talk.py $six
    [ "$status" -ne 0 ]
    [ -n "$(counted)" ]
}

@test "loopback_is_not_the_hosts" {
    python3 -c '
import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen()
print(s.getsockname()[1], flush=True)
while True:
    s.accept()[0].sendall(b"host")' >"$T/port" 3>&- &
    background=$!
    wait_until test -s "$T/port"
    port=$(cat "$T/port")
    cat >"$WS/ask.py" <<'END'
import socket, sys
try:
    print(socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20).recv(9).decode())
except OSError as e:
    print("errno", e.errno)
END
    [ "$(python3 "$WS/ask.py" "$port")" = host ]
    inside loopback python3 ask.py "$port"
    grep -qx 'errno 111' <<<"$output"
    # The port is free inside, and what serves there is not seen outside.
    cat >"$WS/serve.py" <<'END'
import os, socket, sys, time
s = socket.socket()
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen()
print("listening", flush=True)
time.sleep(60)
END
    for n in 1 2; do # two at a time: each has its own
        timeout 60 "$ORCH" exec --state "$STATE" --workspace "$WS" --profile "$FLOW/loopback.json" -- python3 serve.py "$port" >"$T/serve$n" 2>&1 3>&- </dev/null &
        served[n]=$!
    done
    wait_until grep -q listening "$T/serve1"
    wait_until grep -q listening "$T/serve2"
    [ "$(python3 "$WS/ask.py" "$port")" = host ]
    kill "$background"
    wait "$background" || :
    background=
    [ "$(python3 "$WS/ask.py" "$port")" = 'errno 111' ]
    kill "${served[1]}" "${served[2]}"
    wait "${served[1]}" "${served[2]}" || :
}

@test "loopback_reaches_nothing_beyond_and_says_so" {
    inside loopback python3 -c '
import socket
for host in ("192.0.2.1", "10.0.0.1", "169.254.169.254"):
    try:
        socket.create_connection((host, 80), 20)
        print("reached")
    except OSError as e:
        print(host, e.errno)'
    [ "$status" -eq 0 ]
    [ "$(counted | sort)" = '["network","connect","10.0.0.1:80","ENETUNREACH"]
["network","connect","169.254.169.254:80","ENETUNREACH"]
["network","connect","192.0.2.1:80","ENETUNREACH"]' ]
    refute grep -q reached <<<"$output"
}

@test "unix_sockets_work_in_both_modes" {
    cat >"$WS/pair.py" <<'END'
import socket, threading
a, b = socket.socketpair()
a.sendall(b"pair")
assert b.recv(9) == b"pair"
for name in ("/tmp/socket", "\0inside"):
    s = socket.socket(socket.AF_UNIX)
    s.bind(name)
    s.listen()
    c = socket.socket(socket.AF_UNIX)
    c.connect(name)
    s.accept()[0].sendall(b"path")
    assert c.recv(9) == b"path"
print("talked")
END
    for mode in none loopback; do
        inside $mode python3 pair.py
        [ "$status" -eq 0 ]
        grep -qx talked <<<"$output"
        none_counted
    done
}

@test "a_child_may_only_narrow" {
    printf '{"schema":1,"name":"wide","extends":"./loopback.json",\n"network":{"mode":"none"}}\n' >"$FLOW/down.json"
    "$ORCH" policy check "$FLOW/down.json"
    printf '{"schema":1,"name":"wide","extends":"./none.json",\n"network":{"mode":"loopback"}}\n' >"$FLOW/up.json"
    run "$ORCH" policy check "$FLOW/up.json"
    echo "$output"
    [ "$status" -eq 2 ]
    grep -q 'up.json:2:19: error: network.mode' <<<"$output"
    for mode in allow host; do
        printf '{"schema":1,"name":"later","extends":"base","widen":"x",\n"network":{"mode":"%s"}}\n' $mode >"$FLOW/later.json"
        run "$ORCH" policy check "$FLOW/later.json"
        [ "$status" -eq 2 ]
        grep -q 'later.json:2:19: .*not in this version' <<<"$output"
    done
    "$ORCH" policy diff "$FLOW/none.json" "$FLOW/loopback.json" >"$T/diff" || [ "$?" -eq 1 ]
    cat "$T/diff"
    grep -q 'network.*none.*loopback' "$T/diff"
    "$ORCH" policy explain "$FLOW/loopback.json" connect 127.0.0.1:80 | grep -q permitted
    "$ORCH" policy explain "$FLOW/loopback.json" connect 192.0.2.1:80 | grep -q 'refused, ENETUNREACH'
    "$ORCH" policy explain "$FLOW/none.json" connect '[::1]:80' | grep -q 'refused, ENETUNREACH'
    # A rule for one call cannot bring in what the mode does not have.
    printf '{"schema":1,"name":"rule","extends":"./loopback.json",\n"syscalls":{"rules":[{"syscalls":["socket"],"action":"allow","args":[{"index":0,"op":"eq","value":"AF_NETLINK"}],"reason":"all of netlink"}]}}\n' >"$FLOW/rule.json"
    run "$ORCH" policy check "$FLOW/rule.json"
    echo "$output"
    [ "$status" -eq 2 ]
    grep -q "allows 'socket'" <<<"$output"
}

@test "gates_may_have_a_loopback_too" {
    local six=four
    ! has_six || six=six
    talk
    printf '{"schema":1,"name":"g","extends":"gate","widen":"servers under test","network":{"mode":"loopback"}}' >"$FLOW/tested.json"
    agent <<<'echo done >done'
    for gate in tested gate; do
        again
        profile=$gate
        [ $gate = gate ] || profile=./$gate.json
        workflow "$(printf '{"name":"one","profile":"implement","timeout":"50s","gates":[{"type":"command","name":"talk","run":["python3","talk.py","%s"],"profile":"%s","timeout":"60s"}]}' $six $profile)"
        drive --no-apply
        echo "$output"
        if [ $gate = tested ]; then ended 0; else ended 1; fi
    done
}

@test "strict_phases_pass_in_mode_none_when_runtimes_ask" {
    agent <<<'python3 -c "import socket; print(socket.getaddrinfo(\"localhost\", 80)[0][4][0])" >found'
    workflow '{"name":"one","type":"strict","profile":"implement","timeout":"50s","gates":[{"type":"file","path":"found"}]}'
    drive
    ended 0
    # The control: one that talks.
    again
    agent <<<'python3 -c "import socket; socket.socket().connect((\"127.0.0.1\", 80))"; echo x >found'
    drive
    ended 1
}
