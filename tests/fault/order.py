"""What must be on disk before what: checks of the operations of an undisturbed run, as fault.c logs them."""
import json
import os
import re
import subprocess

# Of libc: what changes something in a file system or makes it durable, and what opens a file.
CALLS = """
write pwrite pwrite64 writev pwritev pwritev2 fsync fdatasync sync syncfs sync_file_range msync ftruncate ftruncate64
truncate truncate64 fallocate fallocate64 posix_fallocate rename renameat renameat2 link linkat symlink symlinkat unlink
unlinkat remove rmdir mkdir mkdirat mkdtemp mkstemp mkstemp64 mkostemp mkfifo mkfifoat mknod mknodat chmod fchmod fchmodat
chown fchown lchown fchownat utime utimes futimes utimensat futimens setxattr lsetxattr fsetxattr removexattr lremovexattr
fremovexattr copy_file_range sendfile sendfile64 splice dprintf vdprintf __dprintf_chk __vdprintf_chk open open64 __open_2
__open64_2 openat openat64 __openat_2 __openat64_2 creat creat64 fopen fopen64 freopen fdopen tmpfile opendir
""".split()


def unwrapped(root, build):
    """Calls of the product's objects that fault.c would not see."""
    with open(os.path.join(root, "Makefile")) as f:
        text = f.read().replace("\\\n", " ")
    wraps = re.search(r"^FAULT_WRAPS := (.*)$", text, re.M).group(1).split()
    objects = [os.path.join(build, "release", layer + ".a")
               for layer in ("common", "policy", "sandbox", "gates", "supervisor")]
    out = subprocess.run(["nm", "-u"] + objects, capture_output=True, text=True, check=True).stdout
    used = {line.split()[-1] for line in out.splitlines() if line.strip().startswith("U ")}
    if "write" not in used:
        return ["the product's objects do not even write"]
    return [f"{name} is used by the product, not in FAULT_WRAPS" for name in sorted(used & set(CALLS) - set(wraps))]


class Order:
    def __init__(self, changes, rundir, workspace):
        self.ops = [(name, path) for _, name, path in changes] + [("end", "")]
        self.run, self.ws = rundir, workspace
        self.wrong = []

    def at(self, name, path, first=0, last=None):
        """Places of that operation on that path from first up to last."""
        last = len(self.ops) if last is None else last
        return [i for i in range(first, last) if self.ops[i] == (name, path)]

    def synced(self, path, first, last, before):
        if not self.at("fsync", path, first, last):
            self.wrong.append(f"{path} is not synced before {before}")

    def records(self, name):
        """[(place of its write, record)]: each record is one write."""
        path = os.path.join(self.run, name)
        places = self.at("write", path)
        with open(path) as f:
            lines = [json.loads(line) for line in f]
        if len(lines) != len(places):
            self.wrong.append(f"{name}: {len(lines)} records, {len(places)} writes")
        return list(zip(places, lines))


def tree(top):
    """Files and directories beneath top, itself included; what a directory holds is durable with it."""
    yield top
    for folder, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.join(folder, name)
            if not os.path.islink(path) and (os.path.isdir(path) or os.path.isfile(path)):
                yield path


def check_verdict(o, place, record, began, audits):
    what = f"the verdict of {record['phase']}.{record['attempt']}"
    layer = os.path.join(o.run, "layers", f"{record['phase']}.{record['attempt']}")
    tops = [os.path.join(layer, "upper")]
    if record["home_digest"]:
        tops.append(os.path.join(layer, "home", "upper"))
    for top in tops:
        # Many files are made durable at once, by the sync of the layer's own file system that is asked of the layer.
        for path in tree(top) if not o.at("syncfs", top, began, place) else ():
            o.synced(path, began, place, what)
        above = os.path.dirname(top)
        while above != os.path.dirname(layer):
            o.synced(above, began, place, what)
            above = os.path.dirname(above)
    o.synced(os.path.dirname(layer), began, place, what)
    last_audit = max(p for p in audits if p < place)
    if not o.at("fdatasync", os.path.join(o.run, "audit.jsonl"), last_audit, place):
        o.wrong.append(f"the audit log is not durable before {what}")


def check_journal(o):
    journal, audits = o.records("journal.jsonl"), [p for p, _ in o.records("audit.jsonl")]
    path, began = os.path.join(o.run, "journal.jsonl"), 0
    for place, record in journal:
        if record["event"] == "attempt":
            began = place
        if record["event"] != "spent" and o.ops[place + 1] != ("fdatasync", path):
            o.wrong.append(f"the record '{record['event']}' is not made durable at once: {o.ops[place + 1]}")
        if record["event"] == "verdict":
            check_verdict(o, place, record, began, audits)
    return journal


def check_start(o, journal):
    first = journal[0][0]
    for name in ("inputs", "", "../../runs"):
        o.synced(os.path.normpath(os.path.join(o.run, name)), 0, first, "the first record")
    for name in ("inputs/workflow.json",):  # the fingerprint is a child's, and bound by a later record
        temp = [i for i, (op, path) in enumerate(o.ops[:first]) if op == "fsync" and ".tmp-" in path and
                os.path.dirname(path) == os.path.dirname(os.path.join(o.run, name))]
        renamed = o.at("renameat2", os.path.join(o.run, name), 0, first)
        if not temp or not renamed or temp[0] > renamed[0]:
            o.wrong.append(f"{name} is renamed before it is synced")


def in_workspace(o, path):
    return path == o.ws or path.startswith(o.ws + "/")


def check_apply(o, journal):
    marks = {r["state"]: p for p, r in journal if r["event"] == "apply"}
    temp, synced = None, True
    dirty = set()
    for i, (name, path) in enumerate(o.ops):
        if not in_workspace(o, path) or name == "fdatasync":
            continue
        if not marks["intent"] + 1 < i < marks["done"]:
            o.wrong.append(f"{name} of {path} outside of the recorded apply")
        if name == "open":
            temp, synced = path, False
        elif name == "symlinkat":
            temp, synced = path, True
        elif name == "fsync":
            synced = synced or path == temp
            dirty.discard(path)
        if name in ("renameat", "unlinkat", "mkdirat"):
            dirty.add(os.path.dirname(path))
        if name == "renameat" and not synced:
            o.wrong.append(f"{path} gets its name before its bytes are synced")
    removed = {d for d in dirty if not os.path.isdir(d)}
    for path in sorted(dirty - removed):
        o.wrong.append(f"directory {path} is not synced before the apply is recorded as done")


def problems(changes, rundir, workspace):
    o = Order(changes, rundir, workspace)
    if not any(name == "syncfs" for name, _ in o.ops):
        o.wrong.append("no layer was synced at once: that way is not looked at")
    journal = check_journal(o)
    check_start(o, journal)
    check_apply(o, journal)
    return o.wrong
