#!/usr/bin/env python3
"""tamper.py ORCH STATE RUN OTHER SEED: changes audit.jsonl of a finished run in every way there is, one after the other, and
verifies. Each must be found (exit status 7), at the record where it is, and nothing but the untouched log is whole.
OTHER is another finished run of the same workflow. Prints what was not found; exit status 0 if nothing was."""
import hashlib, json, os, random, subprocess, sys

orch, state, run, other, seed = sys.argv[1:6]
rng = random.Random(int(seed))
home = os.path.join(state, "runs", run)
path = os.path.join(home, "audit.jsonl")
whole = open(path, "rb").read()
lines = whole.split(b"\n")[:-1]
journal = open(os.path.join(home, "journal.jsonl"), "rb").read()
wrong = tried = 0


def verify():
    p = subprocess.run([orch, "verify", "--state", state, run], capture_output=True, text=True, timeout=60)
    return p.returncode, p.stdout + p.stderr


def rechain(records):
    """Records as members, chained anew: right in themselves."""
    prev, out = "0" * 64, []
    for seq, r in enumerate(records, 1):
        r = dict(r, seq=seq, prev=prev)
        line = json.dumps(r, separators=(",", ":")).encode() + b"\n"
        prev = hashlib.sha256(line).hexdigest()
        out.append(line)
    return b"".join(out)


def tampered(what, data, record=None, file=path, want=7, says=""):
    global wrong, tried
    keep = open(file, "rb").read()
    if data == keep:
        return
    tried += 1
    with open(file, "wb") as f:
        f.write(data)
    code, said = verify()
    with open(file, "wb") as f:
        f.write(keep)
    if code != want or (record and f"record {record}" not in said) or says not in said:
        wrong += 1
        print(f"{what}: exit {code}, expected record {record}: {said.strip()[-400:]}")


def join(v):
    return b"".join(x + b"\n" for x in v)


code, said = verify()
if code != 0:
    sys.exit(f"not whole to begin with: {said}")
n = len(lines)
denials = [i for i, x in enumerate(lines) if b'"event":"denial"' in x]
for _ in range(60):  # a bit anywhere
    at = rng.randrange(len(whole))
    data = bytearray(whole)
    data[at] ^= 1 << rng.randrange(8)
    tampered(f"bit at {at}", bytes(data))
for i in rng.sample(range(n), min(n, 6)):
    tampered(f"dropped {i + 1}", join(lines[:i] + lines[i + 1:]), i + 1 if i < n - 1 else None)
    tampered(f"doubled {i + 1}", join(lines[:i + 1] + lines[i:]), i + 2 if i < n - 1 else None)
    if i < n - 1:
        tampered(f"swapped {i + 1}", join(lines[:i] + [lines[i + 1], lines[i]] + lines[i + 2:]), i + 1)
        tampered(f"moved {i + 1} to the end", join(lines[:i] + lines[i + 1:] + [lines[i]]), i + 1)
    tampered(f"cut behind {i + 1}", join(lines[:i + 1])) if i < n - 1 else None
    cut = rng.randrange(1, len(lines[i]))
    tampered(f"cut within {i + 1}", join(lines[:i]) + lines[i][:cut])
for i in denials[:3]:  # what an agent's friend would change
    r = [json.loads(x) for x in lines]
    r[i]["count"] += 1
    tampered("another count, chained anew", rechain(r))
    tampered("a denial left out, chained anew", rechain(r[:i] + r[i + 1:]))
    r[i]["count"] -= 1
    r[i]["path"] = "/elsewhere"
    tampered("another path, chained anew", rechain(r))
forged = json.loads(lines[denials[0]]) if denials else json.loads(lines[0])
tampered("a record more, chained", rechain([json.loads(x) for x in lines] + [forged]))
tampered("a record more, not chained", whole + lines[-1] + b"\n", n + 1)
# Half a line behind the end is what a crash of a later command leaves, not a record: it is told, and changes nothing.
tampered("a torn record more", whole + b'{"v":1,"seq":%d,"ti' % (n + 1), want=0, says="torn")
tampered("nothing", b"")
tampered("an empty line", whole + b"\n")
tampered("a line of NUL bytes", whole + b"\0" * 80 + b"\n")
theirs = os.path.join(state, "runs", other)
tampered("the log of another run", open(os.path.join(theirs, "audit.jsonl"), "rb").read())
tampered("the journal of another run", open(os.path.join(theirs, "journal.jsonl"), "rb").read(), file=os.path.join(home, "journal.jsonl"))
code, said = verify()
if code != 0 or open(path, "rb").read() != whole:
    sys.exit("not whole in the end")
print(f"{tried} kinds and places, {wrong} not found")
sys.exit(bool(wrong) or tried < 80)
