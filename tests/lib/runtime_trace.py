#!/usr/bin/env python3
"""runtime_trace.py RECORDS: an in-toto statement with the predicate runtime-trace v0.2, made of nothing but the records of
a run (orch-sandbox audit --format json RUN). docs/audit.md has the mapping. Fails if a record lacks what it needs."""
import json, re, sys

TYPE = "https://in-toto.io/attestation/runtime-trace/v0.2"
WHO = ("pid", "tid", "comm", "exe", "parents", "phase", "attempt", "gate", "time", "count")


def some(record, names):
    return {name: record[name] for name in names if name in record}


def process(r):
    out = {"eventType": "process", "processBinary": r["path"], "arguments": r.get("argv", []), "privileged": False}
    return {**out, "invokedBy": some(r, WHO)}


def network(r):
    """Of an address; a socket that is a file has none of these."""
    address = re.fullmatch(r"\[?(.*?)\]?:(\d+)", r["path"])
    out = {"ip": address[1], "port": int(address[2])} if address and not r["path"].startswith("/") else {"path": r["path"]}
    return {**out, "invokingProcess": some(r, WHO), "allowed": False, "call": r["syscall"], "rule": r["rule"]}


def file_access(r):
    about = {"allowed": False, "access": r["access"], "call": r["syscall"], "rule": r["rule"], "process": some(r, WHO)}
    return {"name": r["path"], "annotations": {**about, **some(r, ("path_b64", "args", "path2"))}}


def statement(records):
    begin = next(r for r in records if r["event"] == "run")
    attempts = [r for r in records if r["event"] == "attempt" and r.get("state") != "end"]
    seals = [r for r in records if r["event"] == "seal" and r["clean"]]
    denials = [r for r in records if r["event"] == "denial" and "path" in r]
    policies = [{"Name": f"{r['phase']}.{r['attempt']}", **some(r, ("profile", "policy", "level", "tier"))}
                for r in attempts if "policy" in r]
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": f"{r['phase']}.{r['attempt']}", "digest": {"sha256": r["digest"]}} for r in seals],
        "predicateType": TYPE,
        "predicate": {
            "monitor": {"type": "urn:orch-sandbox:" + begin["version"],
                        "tracePolicy": {"policies": policies}},
            "monitoredProcess": {"hostID": "urn:host:" + begin["host"], "event": begin["run"],
                                 "type": "urn:orch-sandbox:run"},
            "monitorLog": {
                "process": [process(r) for r in records if r["event"] == "exec" and "path" in r],
                "network": [network(r) for r in denials if r["class"] == "network"],
                "fileAccess": [file_access(r) for r in denials if r["class"] in ("filesystem", "exec")],
            },
            "metadata": {"buildStartedOn": records[0]["time"], "buildFinishedOn": records[-1]["time"]},
        },
    }


if __name__ == "__main__":
    with open(sys.argv[1], encoding="ascii") as lines:
        json.dump(statement([json.loads(line) for line in lines]), sys.stdout, indent=1)
