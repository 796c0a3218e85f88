#!/usr/bin/env python3
"""forge.py RUNDIR EXPRESSION: edits the records of a run of one phase as whoever can write its state could.

r and a are the records of journal and audit log, v the verdict, e the journal's end, end the audit log's, g the gates,
j the record that binds the verdict, s the new seal. Both logs are chained anew and bound to each other, and sealed."""
import hashlib, json, os, sys
d, expression = sys.argv[1:]
def load(name): return [json.loads(l) for l in open(os.path.join(d, name))]
def chain(name, r):
    prev, out, heads = "0" * 64, "", []
    for i, x in enumerate(r):
        x.pop("prev", None)
        x["seq"] = i + 1
        x["prev"] = prev
        line = json.dumps(x, separators=(",", ":")) + "\n"
        prev = hashlib.sha256(line.encode()).hexdigest()
        heads.append(prev)
        out += line
    open(os.path.join(d, name), "w").write(out)
    return heads
r, a = load("journal.jsonl"), load("audit.jsonl")
v = next(x for x in r if x["event"] == "verdict")
e = next(x for x in r if x["event"] == "end")
g = [x for x in a if x["event"] == "gate"]
j = next((x for x in a if "journal_head" in x), None)
end = [x for x in a if x["event"] == "run" and "verdict" in x][-1]
s = {"schema": 1}
old = json.load(open(os.path.join(d, "seal.json")))
exec(expression)
k = a.index(j)
for _ in range(2):
    ah = chain("audit.jsonl", a)
    v["audit_head"], e["audit_head"] = ah[k - 1], ah[-1]
    jh = chain("journal.jsonl", r)
    j["journal_head"] = jh[r.index(v)]
ah = chain("audit.jsonl", a)
e["audit_head"] = ah[-1]
jh = chain("journal.jsonl", r)
s.update(journal=jh[-1], audit=ah[-1])
json.dump(s, open(os.path.join(d, "seal.json"), "w"))
