"""hostile_names.py make DIR WORKSPACE | check DIR AUDIT

The names that a hostile agent gives what it asks for. "make": asks for each of them beneath DIR, where nothing may be written,
as path and as second path; puts them into the workspace; runs a program under each. "check": each is in the audit log, exactly."""
import base64, json, os, shutil, subprocess, sys

NAMES = [
    b"\x1b[31mred\x1b[0m", b"\x1b]0;title\x07", b"\x1b]8;;http:evil\x1b\\link\x1b]8;;\x1b\\", b"\x9b31m", b"\xc2\x9b31m",      # control sequences
    b"a\nrecord 1: forged\n", b"a\rover", b"tab\there", b"\x08\x08\x08back", b"\x7fdel", b"\x01\x02\x1f",                       # control bytes
    "\u202egnp.exe".encode(), "\u2066a\u2069".encode(), "\u200b\ufeff".encode(), "\u2028\u2029\u0085".encode(),                 # bidi, invisible, line ends
    "e\u0301\u0336".encode(), "\U000e0041\U0010ffff".encode(), "\uff1d1+1".encode(),                                          # combining, tags, full width
    b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"cut\xe2\x82", b"\xf0\x9f",                              # not UTF-8
    b"=1+1", b"+1", b"-1", b"@SUM(1)", b"\t=1+1", b" =1", b'"=1', b"',=1", b'","x', b"a,b;c|d",                                # cells
    b"%s%n%x", b"${workspace}", b"$(id)`id`", b"<script>alert(1)<img src=x>", b"&amp;", b"\\u001b[31m", b"\\x1b", b"..\\..", b"{}[]:#",
    b"file:x?y#z", b"'; DROP", b"-rf", b"--help", b"~", b"x" * 255, b"\xff" * 255, "\u202e".encode() * 85,                    # long
]


def quietly(f, *args):
    try:
        f(*args)
    except OSError:
        pass


def make(where, workspace):
    for name in NAMES:
        path = where.encode() + b"/" + name
        quietly(os.mkdir, path)
        quietly(os.link, b"/etc/passwd", path)
        quietly(os.rename, workspace.encode() + b"/here", path)
        quietly(lambda: open(workspace.encode() + b"/" + name, "w").close())
        program = b"/tmp/" + name
        shutil.copy("/bin/true", "/tmp/true")
        quietly(os.rename, "/tmp/true", program)
        quietly(lambda: subprocess.run([program, b"arg " + name], check=False))
    long = where.encode() + (b"/" + b"\x1b[7m\xff" * 40) * 19
    quietly(os.mkdir, long)


def check(where, audit):
    seen, second, run = set(), set(), set()
    for line in open(audit, "rb"):
        r = json.loads(line)
        exact = lambda key: base64.b64decode(r[key + "_b64"]) if key + "_b64" in r else r[key].encode() if key in r else b""
        prefix = where.encode() + b"/"
        if r["event"] == "denial" and r.get("syscall") == "mkdir" and exact("path").startswith(prefix):
            seen.add(exact("path")[len(prefix):])
        if r["event"] == "denial" and exact("path2").startswith(prefix):
            second.add(exact("path2")[len(prefix):])
        if r["event"] == "denial" and r.get("class") == "exec" and exact("path").startswith(b"/tmp/"):
            run.add(exact("path")[5:])
    missing = [n for n in NAMES if n not in seen]
    assert not missing, ("not on record", missing)
    assert not [n for n in NAMES if n not in second], ("no second path", [n for n in NAMES if n not in second])
    assert not [n for n in NAMES if n not in run], ("no program", [n for n in NAMES if n not in run])
    print(len(NAMES), "names, exact")


{"make": make, "check": check}[sys.argv[1]](*sys.argv[2:])
