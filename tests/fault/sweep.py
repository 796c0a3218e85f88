#!/usr/bin/env python3
"""The fault sweep: a run with a fault at its Nth durable operation ends, once resumed, like an undisturbed one.

sweep.py [--full] [--only WORD] [--range FIRST-LAST] [--jobs N] [--all] prints TAP. Without --full, every operation is
met by a kill and by one of the other faults in rotation; with it, by every one of them. tests/README.md says what is
compared, tests/fault/fault.c what a fault is.

ORCH_FAULT_FULL=1     as --full
ORCH_FAULT_SHARE=I/N  leaves all but the Ith of N parts of the cases to others (kills are not shared)
"""
import argparse
import ctypes
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import order  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("ORCH_BUILD", os.path.join(ROOT, "build"))
FAULTY = os.path.join(BUILD, "fault", "orch-sandbox")
PRODUCT = os.path.join(BUILD, "orch-sandbox")
WORKER = os.path.join(BUILD, "helpers", "worker")
RUN = "sweep"
KILLS = ("kill", "kill-after", "torn")
ERRORS = ("ENOSPC", "EIO", "ENOMEM", "full")
OPENS = "EMFILE"
OPEN_STEP = 16  # without --full one opening in so many fails
NEEDS = ("userns", "overlay-userxattr", "landlock", "seccomp-notify")
STATE_EXIT = 10
DEATH_SECONDS = 1.0
SHOWN = 30  # wrong cases told of in a sweep
RUN_SECONDS = 60

PROFILE = {
    "schema": 1, "name": "work", "tools": [{"name": "worker", "path": WORKER}],
    "filesystem": [{"path": "${workspace}", "access": "rw"}],
    "create": ["file", "directory", "symlink"],
    "syscalls": {"default": "EPERM", "allow": ["@agent-base"]},
    "network": {"mode": "none"},
    "limits": {"scope": "process", "pids": 64, "workspace": "16MiB"},
}
WORKFLOW = {
    "schema": 1, "name": "sweep", "agent": {"command": ["worker"], "stdin": "prompt"},
    "home": {"from": "./home", "keep": True},
    "phases": [
        {"name": "one", "profile": "./work.json", "prompt": "One.", "attempts": 2, "on_retry": "keep",
         "gates": [{"type": "file", "path": "new/deep/one.txt"}]},
        {"name": "two", "profile": "./work.json", "prompt": "Two.",
         "gates": [{"type": "file", "path": "two.txt"}, {"type": "changes", "required": ["two.txt", "mode"]}]},
        {"name": "three", "agent": None, "on_fail": {"goto": "two", "times": 1},
         "gates": [{"type": "command", "name": "check", "run": ["worker", "check"], "profile": "./work.json"}]},
    ],
}


class Wrong(Exception):
    """What a run did that it must not do."""


def make_flow(base):
    os.makedirs(os.path.join(base, "flow", "home"))
    for name, doc in (("work.json", PROFILE), ("workflow.json", WORKFLOW)):
        with open(os.path.join(base, "flow", name), "w") as f:
            json.dump(doc, f)
    with open(os.path.join(base, "flow", "home", "rc"), "w") as f:
        f.write("seed\n")


def make_workspace(ws):
    for folder in ("", "old", "same"):
        os.mkdir(os.path.join(ws, folder))
    for name, mode in (("changed", 0o640), ("mode", 0o644), ("removed", 0o644), ("old/inner", 0o644),
                       ("typed", 0o600), ("same/file", 0o644)):
        path = os.path.join(ws, name)
        with open(path, "w") as f:
            f.write("original " + name + "\n")
        os.chmod(path, mode)
        os.utime(path, ns=(10**18, 10**18))


def manifest(top, exact):
    """{path: everything about the entry}; exact: also what two makings of the same tree do not have in common."""
    ret = {}
    for folder, dirs, files in os.walk(top):
        for name in [""] * (folder == top) + dirs + files:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            link = os.path.islink(path)
            kept = os.path.isdir(path) and not link and os.path.relpath(path, top) in (".", "same")
            entry = [oct(st.st_mode), st.st_uid, st.st_gid, os.readlink(path) if link else None,
                     None if kept and not exact else st.st_mtime_ns]
            if not os.path.isdir(path) and not link:
                with open(path, "rb") as f:
                    entry.append(f.read())
            if exact:
                entry += [st.st_ino, st.st_ctime_ns, st.st_nlink]
            ret[os.path.relpath(path, top)] = entry
    return ret


def records(path):
    """The whole records of a log; a torn last line is none."""
    try:
        with open(path, "rb") as f:
            data = f.read()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in data.split(b"\n")[:-1]]


class Scene:
    """One workspace, one state directory, and the run in them."""

    def __init__(self, base, keep=False):
        self.top = tempfile.mkdtemp(prefix="s", dir=base)
        self.base, self.keep = base, keep
        self.ws, self.state = os.path.join(self.top, "ws"), os.path.join(self.top, "state")
        self.dir = os.path.join(self.state, "runs", RUN)
        make_workspace(self.ws)
        self.before = manifest(self.ws, True)

    def close(self):
        if not self.keep:
            subprocess.run(["chmod", "-R", "u+rwX", self.top], stderr=subprocess.DEVNULL, check=False)
            shutil.rmtree(self.top, ignore_errors=True)

    def journal(self):
        return records(os.path.join(self.dir, "journal.jsonl"))

    def audit(self):
        return records(os.path.join(self.dir, "audit.jsonl"))

    def call(self, program, arguments, fault=None, log=None):
        """(exit status, output); fails if a process of it is left a second later."""
        env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": self.top, "LANG": "C.UTF-8"}
        if fault:
            env["ORCH_FAULT"] = fault
        if log:
            env["ORCH_FAULT_LOG"] = log
        p = subprocess.Popen([program] + arguments, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, cwd=self.top)
        try:
            out = p.communicate(timeout=RUN_SECONDS)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
            raise Wrong(f"{arguments[0]} hangs") from None
        reap(time.monotonic() + DEATH_SECONDS)
        return p.returncode, out

    def go(self, fault=None, log=None, program=FAULTY):
        """`run`, or `resume` once the journal has begun."""
        if self.journal():
            return self.call(program, ["resume", "--quiet", "--state", self.state, RUN], fault, log)
        return self.call(program, ["run", "--quiet", "--workspace", self.ws, "--state", self.state, "--run-id", RUN,
                                   os.path.join(self.base, "flow", "workflow.json")], fault, log)

    def verify(self):
        code, out = self.call(PRODUCT, ["verify", "--state", self.state, RUN])
        if code != 0:
            raise Wrong(f"verify: exit {code}: {out.strip()}")


def reap(deadline):
    """We are the reaper of orphans: no child left means that no process of the run is."""
    while True:
        try:
            pid = os.waitpid(-1, os.WNOHANG)[0]
        except ChildProcessError:
            return
        if pid:
            continue
        if time.monotonic() > deadline:
            raise Wrong("a process of the run outlives its supervisor by a second")
        time.sleep(0.002)


def verdicts(journal):
    return [[r["event"]] + [r[k] for k in ("phase", "passed", "exit", "from", "to") if k in r]
            for r in journal if r["event"] in ("verdict", "goto")]


def ending(scene):
    """What must be equal, however often a run was interrupted."""
    journal = scene.journal()
    last = journal[-1]
    return {"verdicts": [v for v in verdicts(journal)], "gates": [
        [g["name"], g["verdict"]] for r in journal if r["event"] == "verdict" for g in r["gates"]],
        "end": [last["event"], last.get("verdict"), last.get("exit"), last.get("applied"), last.get("reason")],
        "applied": [r[k] for r in journal if r["event"] == "apply" for k in ("state", "created", "modified", "deleted")],
        "workspace": manifest(scene.ws, False)}


def differences(want, have, at=""):
    if isinstance(want, dict) and isinstance(have, dict):
        for k in sorted(set(want) | set(have)):
            yield from differences(want.get(k), have.get(k), f"{at}/{k}")
    elif want != have:
        yield f"{at}: undisturbed {want!r}, here {have!r}"


def check_records(scene, reference):
    """Numbers are never used twice, what passed does not run again, what is spent stays spent."""
    journal = scene.journal()
    seen, passed = set(), set()
    for r in journal:
        if r["event"] == "attempt":
            key = (r["phase"], r["attempt"])
            if key in seen:
                raise Wrong(f"attempt number used twice: {key}")
            if r["phase"] in passed:
                raise Wrong(f"phase {r['phase']} had passed and ran again")
            seen.add(key)
        elif r["event"] == "verdict" and r["passed"]:
            passed.add(r["phase"])
        elif r["event"] == "goto":
            passed -= {"two", "three"}
    for key in ("spent_ms", "denials"):
        values = [r[key] for r in journal]
        if values != sorted(values):
            raise Wrong(f"{key} went back: {values}")
    starts = [(r["phase"], r["attempt"]) for r in scene.audit() if r["event"] == "attempt" and r["state"] == "start"]
    if len(set(starts)) != len(starts) or not set(starts) <= seen:
        raise Wrong(f"attempts in the audit log: {starts}, in the journal: {sorted(seen)}")
    if journal[-1]["denials"] < reference["denials"]:
        raise Wrong(f"{journal[-1]['denials']} denials, undisturbed {reference['denials']}")


def check_pause(scene, code, out, fault, met):
    """The state that a fault leaves. True if the run is over."""
    mode = fault.split(":")[1]
    if not met:
        if code != 0:
            raise Wrong(f"exit {code} without a fault: {out}")
        return True
    if mode in KILLS:
        if code != -signal.SIGKILL:
            raise Wrong(f"exit {code}, not killed: {out}")
    elif code not in (0, STATE_EXIT):
        raise Wrong(f"exit {code}: {out}")
    journal = scene.journal()
    if not any(r["event"] == "apply" for r in journal) and manifest(scene.ws, True) != scene.before:
        raise Wrong("the workspace changed before the apply was recorded")
    if journal and mode in KILLS:
        scene.verify()
    if code == 0 and journal[-1]["event"] != "end":
        raise Wrong("exit 0 without a recorded end")
    return code == 0


def run_case(case):
    """case: (faults, reference). Each fault goes to one more start; then starts without, until the run ends."""
    base, faults, reference = case
    scene = Scene(base)
    trail = []
    try:
        over = False
        for fault in faults:
            log = os.path.join(scene.top, "met")
            open(log, "w").close()
            code, out = scene.go(fault, log)
            with open(log) as f:
                met = f.read().split("\n")[0]
            trail.append(f"{fault} at '{met}' -> {code}: {out.strip()[-300:]}")
            over = check_pause(scene, code, out, fault, bool(met))
            if over:
                break
        if not over:
            code, out = scene.go()
            trail.append(f"no fault -> {code}: {out.strip()[-300:]}")
            if code != 0:
                raise Wrong(f"exit {code} where the undisturbed run has 0")
        diff = list(differences(reference["ending"], ending(scene)))
        if diff:
            raise Wrong("not as undisturbed: " + "; ".join(diff)[:600])
        check_records(scene, reference)
        scene.verify()
        return None
    except (Wrong, ValueError, LookupError, OSError) as e:
        return f"{type(e).__name__}: {e}\n" + "\n".join(trail)
    finally:
        scene.close()


def adopt():
    PR_SET_CHILD_SUBREAPER = 36
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        sys.exit("sweep: no subreaper")


def read_log(path):
    """[(number, name, path)] of changes, and how many openings there were."""
    changes, opens = [], 0
    with open(path, errors="surrogateescape") as f:
        for line in f:
            kind, n, name, where = line.rstrip("\n").split(" ", 3)
            if kind == "C":
                changes.append((int(n), name, where))
            else:
                opens = int(n)
    return changes, opens


def undisturbed(base, faults=()):
    """(reference, scene, log) of a start that meets no fault, behind starts that do."""
    scene = Scene(base)
    log = os.path.join(scene.top, "log")
    for fault in faults:
        scene.go(fault)
    code, out = scene.go(log=log)
    if code != 0:
        raise Wrong(f"exit {code}: {out}")
    scene.verify()
    return {"ending": ending(scene), "denials": scene.journal()[-1]["denials"]}, scene, log


def log_operations(scene, changes):
    """Denials, and what was folded of them, are among the writes that the sweep meets."""
    denials = [r for r in scene.audit() if r["event"] == "denial"]
    writes = [n for n, name, where in changes if name == "write" and where.endswith("/audit.jsonl")]
    problems = []
    if len(writes) != len(scene.audit()):
        problems.append(f"{len(writes)} writes of the audit log for {len(scene.audit())} records")
    if not any(r["count"] == 1 for r in denials) or not any(r["count"] > 1 for r in denials):
        problems.append(f"denials: {denials}")
    return problems


class Tap:
    def __init__(self):
        self.n = self.failed = 0

    def say(self, name, problems, count=None):
        self.n += 1
        self.failed += bool(problems)
        print(f"{'not ok' if problems else 'ok'} {self.n} - {name}", flush=True)
        for p in problems[:SHOWN]:
            print("# " + p.replace("\n", "\n#   "), flush=True)
        if problems:
            print(f"# {len(problems)} of {count or len(problems)} wrong", flush=True)


def sweep(tap, pool, base, name, cases, reference):
    """cases: lists of faults."""
    if not cases:
        return
    began = time.monotonic()
    problems = [p for p in pool.imap_unordered(run_case, [(base, c, reference) for c in cases], 4) if p]
    tap.say(f"{name} ({len(cases)} runs, {time.monotonic() - began:.0f} s)", problems, len(cases))


def rotation(n):
    modes = ERRORS + ("kill-after", "torn")
    return modes[n % len(modes)]


def first_level(options, _, changes, opens):
    """{name: cases}"""
    every = range(1, len(changes) + 1)
    writes = [n for n, name, _ in changes if name == "write"]
    ret = {"killed_before_each_operation": [[f"{n}:kill"] for n in every]}
    if options.full:
        ret["killed_behind_each_operation"] = [[f"{n}:kill-after"] for n in every]
        ret["killed_in_each_write"] = [[f"{n}:torn"] for n in writes]
        for mode in ERRORS:
            ret[f"{mode}_at_each_operation"] = [[f"{n}:{mode}"] for n in every]
        ret["EMFILE_at_each_opening"] = [[f"{n}:{OPENS}"] for n in range(1, opens + 1)]
        return ret
    ret["one_of_the_other_faults_at_each_operation"] = [[f"{n}:{rotation(n)}"] for n in every]
    ret["EMFILE_at_some_openings"] = [[f"{n}:{OPENS}"] for n in range(7, opens + 1, OPEN_STEP)]
    return ret


def second_level(options, base, changes, _):
    """A fault in the resume of a killed run, from a few places where a run is killed."""
    starts = [int(len(changes) * share) for share in ((0.3, 0.6, 0.85, 0.97) if options.full else (0.7, 0.97))]
    cases = []
    for start in starts:
        _, scene, log = undisturbed(base, [f"{start}:kill"])
        for n, _, _ in read_log(log)[0]:
            cases.append([f"{start}:kill", f"{n}:{'kill' if n % 2 else rotation(n // 2)}"])
        scene.close()
    return {"fault_at_each_operation_of_a_resume": cases}


def pick(options, name, cases):
    if options.range:
        first, last = (int(x) for x in options.range.split("-"))
        cases = [c for c in cases if first <= int(c[-1].split(":")[0]) <= last]
    part, of = (int(x) for x in (os.environ.get("ORCH_FAULT_SHARE") or "0/1").split("/"))
    return cases if name.startswith("killed_before") else cases[part::of]


def missing():
    """A feature without which nothing runs here, or None."""
    for need in NEEDS:
        if subprocess.run([os.path.join(ROOT, "tests/lib/must-work.sh"), need], check=False).returncode:
            return need
    return None


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("--full", action="store_true", default=os.environ.get("ORCH_FAULT_FULL") == "1")
    p.add_argument("--only", help="sweeps whose name has this word")
    p.add_argument("--range", help="FIRST-LAST operation")
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--all", action="store_true", help="tell of every wrong case")
    return p.parse_args()


def main():
    global SHOWN
    options = parse()
    if options.all:
        SHOWN = 1 << 30
    need = missing()
    if need:
        print(f"ok 1 - sweep # skip needs {need}\n1..1")
        return 0
    os.umask(0o022)
    base = tempfile.mkdtemp(prefix="orch-fault.")
    adopt()
    tap = Tap()
    try:
        os.chmod(base, 0o711)
        make_flow(base)
        tap.say("every_call_that_changes_something_is_wrapped", order.unwrapped(ROOT, BUILD))
        reference, scene, log = undisturbed(base)
        changes, opens = read_log(log)
        tap.say("power_loss_order", order.problems(changes, scene.dir, scene.ws))
        tap.say("denials_and_folded_counts_are_among_the_operations", log_operations(scene, changes))
        print(f"# {len(changes)} operations, {opens} openings", flush=True)
        scene.close()
        for groups in (first_level, second_level):
            cases = groups(options, base, changes, opens)  # before there are workers: they would be taken for leftovers
            with multiprocessing.Pool(options.jobs, adopt) as pool:
                for name in cases:
                    if not options.only or options.only in name:
                        sweep(tap, pool, base, name, pick(options, name, cases[name]), reference)
                pool.close()
                pool.join()
    except Wrong as e:
        tap.say("undisturbed", [str(e)])
    finally:
        subprocess.run(["chmod", "-R", "u+rwX", base], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(base, ignore_errors=True)
    print(f"1..{tap.n}")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
