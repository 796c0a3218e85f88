#!/usr/bin/env python3
"""equality.py ANSWERS AUDIT LEVEL: the answers of the policy that a program wrote down (tests/helpers/varied.c) against the denials
on record, as multisets of (system call, path, errno), as far as LEVEL watches the calls. Prints what is on one side only; exit status 0 if nothing is."""
import collections, json, sys

LEVELS = ["writes", "opens", "paths"]
level = LEVELS.index(sys.argv[3])
got, how = collections.Counter(), {}
for line in open(sys.argv[1]):
    call, path, errno, at, way = line.split()
    if LEVELS.index(at) > level:
        continue
    got[call, path, errno] += 1
    how[call, path, errno] = way
recorded = collections.Counter()
for line in open(sys.argv[2]):
    r = json.loads(line)
    if r["event"] == "denial":
        recorded[r.get("syscall"), r.get("path", "-"), r.get("errno")] += r["count"]
missing, extra = got - recorded, recorded - got
for name, side in (("not on record", missing), ("on record, but never answered", extra)):
    for key, n in sorted(side.items(), key=str)[:40]:
        print(f"{name}: {n}x {' '.join(map(str, key))} ({how.get(key, '')})")
print(f"{sum(got.values())} answers, {len(got)} different; {sum(recorded.values())} recorded; "
      f"{sum(missing.values())} missing, {sum(extra.values())} too many")
sys.exit(bool(missing or extra) or len(got) < 100)
