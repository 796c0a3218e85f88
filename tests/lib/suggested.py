"""suggested.py ORCH DIR STATE OUTSIDE: what `audit` says would allow a denial does allow it.

Each act is tried by an agent under a profile that refuses it; the line that `audit` suggests is written into that profile as
a reader would do it, and the act must then succeed without a denial. The acts whose line is known say what it has to be.
"""
import json, os, re, subprocess, sys

ORCH, DIR, STATE, OUT = sys.argv[1:5]
WS = DIR + "/ws"
LOOPBACK = 'python3 -c "import socket,errno;s=socket.socket();e=s.connect_ex((\\"127.0.0.1\\",9));exit(e!=errno.ECONNREFUSED)"'

MSGGET = "python3 -c 'import ctypes;exit(ctypes.CDLL(None).msgget(0,0o1600)<0)'"

# name, command, the line expected (None: any), members of the profile that differ
ACTS = [
    ("hidden file", f"cat {OUT}/secret", f'in "filesystem": {{"path": "{OUT}/secret", "access": "ro"}}', {}),
    ("none rule", "cat .env", 'in "filesystem", in place of ./p.json#/filesystem/0: {"path": "${workspace}/.env", "access": "ro"}', {}),
    ("write", "echo 1 >old", 'in "filesystem": {"path": "${workspace}/old", "access": "rw"}', {}),
    ("create", "echo 1 >new", 'in "filesystem": {"path": "${workspace}/new", "access": "rw"}', {}),
    ("directory", "mkdir made", None, {"create": ["file"]}),
    ("symlink", "ln -s a b", 'in "create": "symlink"', {"create": ["file"], "+filesystem": [{"path": "${workspace}", "access": "rw"}]}),
    ("delete", "rm old", None, {}),
    ("rename", "mv old moved", None, {}),
    ("outside", f"echo 1 >{OUT}/open/x", f'in "filesystem", in place of ./p.json#/filesystem/1: {{"path": "{OUT}/open", "access": "rw"}}', {}),
    ("tool", "python3 -c 0", None, {"tools": ["@parent"]}),
    ("helper", "/usr/lib/git-core/git-rev-parse --git-path x || [ $? = 128 ]", 'in "tools": "git"', {}),
    ("exec home", "cp /bin/true ~/t && ~/t", 'in "filesystem": {"path": "${home}", "access": "rwx"}', {}),
    ("exec tmp", "cp /bin/true /tmp/t && /tmp/t", 'in "filesystem": {"path": "${tmp}", "access": "rwx"}', {}),
    ("exec workspace", "cp /bin/true t && ./t", 'in "filesystem", in place of ./p.json#/filesystem/2: {"path": "${workspace}", "access": "rwx"}',
     {"+filesystem": [{"path": "${workspace}", "access": "rw"}]}),
    ("call", MSGGET, 'in "syscalls", "allow": "msgget"', {}),
    ("rule", "python3 -c 'import os;os.getpgid(0)'", 'in "syscalls", "rules", in place of ./p.json#/syscalls/rules/0: {"syscalls": ["getpgid"], "action": "allow", '
     '"reason": "..."}', {"rules": [{"syscalls": ["getpgid"], "action": "errno", "errno": "EPERM"}]}),
    ("rule with conditions", "python3 -c 'import fcntl,os;r,w=os.pipe();fcntl.ioctl(r,0x541b,b\"    \")'",
     'in "syscalls", "rules", in place of ./p.json#/syscalls/rules/0: {"syscalls": ["ioctl"], "action": "allow", "args": '
     '[{"index": 1, "op": "eq", "value": "0x541b"}], "reason": "..."}',
     {"rules": [{"syscalls": ["ioctl"], "action": "errno", "errno": "EPERM",
                 "args": [{"index": 1, "op": "eq", "value": "FIONREAD"}]}]}),
    ("loopback", LOOPBACK, 'in its place: "network": {"mode": "loopback"}', {"allow": ["@parent", "@network-client"]}),
]


def profile(change):
    p = {"schema": 1, "name": "p", "extends": "base", "widen": "test", "tools": ["@parent", "python3"],
         "create": ["file", "directory", "symlink"],
         "filesystem": [{"path": "${workspace}/.env", "access": "none"}, {"path": OUT + "/open", "access": "ro"}],
         "network": {"mode": "none"}, "syscalls": {"allow": ["@parent"], "rules": []}}
    p["filesystem"] += change.get("+filesystem", [])
    for key in ("tools", "create"):
        p[key] = change.get(key, p[key])
    for key in ("allow", "rules"):
        p["syscalls"][key] = change.get(key, p["syscalls"][key])
    return p


def apply(p, line):
    """Writes one line into the profile, as its words say."""
    for part in re.split(r', and (?=in )', line):
        where, elems = re.fullmatch(r'((?:first )?in (?:"\w+"(?:, "\w+")?(?:, in place of \S+)?|its place)): (.*)', part).groups()
        if where == "in its place":
            p.update(json.loads("{" + elems + "}"))
            continue
        keys = re.findall(r'"(\w+)"', where)
        place = p
        for key in keys:
            place = place[key]
        new = json.loads("[" + elems + "]")
        gone = re.search(r'in place of \./p\.json#/(?:filesystem|syscalls/rules)/(\d+)', where)
        if gone:
            del place[int(gone.group(1))]
        place[:] = new + place if where.startswith("first") else place + new


def run(name, p, command):
    with open(DIR + "/w/p.json", "w") as f:
        json.dump(p, f)
    with open(DIR + "/w/agent", "w") as f:
        f.write('#!/bin/sh\ncd "$ORCH_WORKSPACE"\n' + command + '\necho "$?" >/tmp/status\necho "status $(cat /tmp/status)"\n')
    os.chmod(DIR + "/w/agent", 0o755)
    with open(DIR + "/w/workflow.json", "w") as f:
        json.dump({"schema": 1, "name": "t", "phases": [{"name": "work", "profile": "./p.json", "agent": {"command": ["./agent"]},
                   "gates": [{"type": "denials", "max": 100}]}]}, f)
    r = subprocess.run([ORCH, "run", "--workspace", WS, "--state", STATE, "--run-id", name, "--no-apply", "workflow.json"],
                       cwd=DIR + "/w", capture_output=True, text=True, timeout=120)
    assert r.returncode == 0, (r.stdout, r.stderr)
    with open(f"{STATE}/runs/{name}/logs/work.1.out") as f:
        out = f.read()
    s = subprocess.run([ORCH, "audit", "--state", STATE, "--format", "sarif", name], capture_output=True, text=True, timeout=120)
    assert s.returncode == 0, (r.stdout, r.stderr, s.stderr)
    return out, json.loads(s.stdout)["runs"][0]["results"], r.stdout + r.stderr


# What no line allows, and why.
NONE = [
    ("protected beneath", "mv dir dir2", "dir/kept beneath it has a rule of its own, ./p.json#/filesystem/3", {"+filesystem": [
        {"path": "${workspace}", "access": "rw"}, {"path": "${workspace}/dir/kept", "access": "ro"}]}),
    ("own place", "chmod 755 /orch", "no profile can allow it: it is what the supervisor gives every attempt", {}),
    ("proc", "echo 1 >/proc/self/oom_score_adj", "no profile can allow it: /proc is the sandbox's own", {}),
    ("never", "python3 -c 'import ctypes;exit(ctypes.CDLL(None).syscall(425,1,0)<0)'", "'io_uring_setup' cannot be allowed here", {}),
    ("request", "printf 'x\\n' | python3 -c 'import socket;s=socket.socket(socket.AF_UNIX);s.connect(\"/orch/control\");"
     "s.send(b\"x\\n\");s.recv(1);exit(1)'", "of which no profile speaks", {}),
]

failed = 0
for i, (name, command, expected, change) in enumerate(ACTS):
    p = profile(change)
    out, results, log = run(f"a{i}", p, command)
    results = [r for r in results if r["level"] != "note"]
    told = [r["properties"].get("suggestion") for r in results]
    problem = None
    if not results or "status 0" in out:
        problem = "it was not refused"
    elif None in told:
        problem = "no line: " + str([r["properties"].get("suggestionNote") for r in results])
    elif expected and told[0] != expected:
        problem = "another line"
    if not problem:
        for line in dict.fromkeys(told):
            apply(p, line)
        again, left, log = run(f"b{i}", p, command)
        if "status 0" not in again or [r for r in left if r["level"] != "note"]:
            problem = "with it: " + again + str([r["message"]["text"] for r in left]) + log
    print(("not ok: " if problem else "ok: ") + name + ": " + str(told) + ("" if not problem else ": " + problem))
    failed += problem is not None
for i, (name, command, reason, change) in enumerate(NONE):
    out, results, log = run(f"n{i}", profile(change), command)
    told = [(r["properties"].get("suggestion"), r["properties"].get("suggestionNote")) for r in results if r["level"] != "note"]
    good = "status 0" not in out and told and all(line is None and reason in note for line, note in told)
    print(("ok: " if good else "not ok: ") + name + ": " + str(told) + ("" if good else out + log))
    failed += not good
sys.exit(failed != 0)
