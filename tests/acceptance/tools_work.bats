#!/usr/bin/env bats
# Tools of the built-ins do real work where the profile puts them, and honest work leaves no denial behind (T-AUD-02).
# shellcheck disable=SC2016 # the sandbox expands
load ../lib/runs

setup() {
    runs_setup
    # What is built in the workspace runs in one place of its own.
    cat >"$FLOW/build.json" <<'END'
{"schema":1,"name":"build","extends":"implement","widen":"what is built is tested",
 "filesystem":[{"path":"${workspace}/build","access":"rwx","scratch":true}]}
END
}
teardown() { runs_teardown; }

# works PROFILE [DENIAL]: the script on standard input does its work, without a denial but of this kind; its output is in $T/out
works() {
    local status=0
    { echo 'set -eu'; cat; } >"$WS/script.sh"
    (cd "$WS" && timeout -k 5 120 "$ORCH" exec --state "$STATE" --profile "$1" --audit "$T/audit" -- sh script.sh) \
        >"$T/out" 2>"$T/err" </dev/null || status=$?
    tail -n 30 "$T/out" "$T/err"
    [ "$status" -eq 0 ]
    jq -r 'select(.event == "denial" and (.quiet | not)) | "denied: \(.class) \(.syscall) \(.path // "") by \(.comm)"' "$T/audit" |
        grep -v "^denied: ${2:-none} " >"$T/denied" || :
    cat "$T/denied"
    [ ! -s "$T/denied" ]
}

# project: a repository with some history in the workspace
project() {
    git init -q -b main "$WS"
    git -C "$WS" config user.name test
    git -C "$WS" config user.email test@localhost
    printf 'one\ntwo\nthree\n' >"$WS/file"
    mkdir "$WS/dir" && echo in >"$WS/dir/in"
    git -C "$WS" add . && git -C "$WS" commit -q -m first
    echo four >>"$WS/file"
    git -C "$WS" commit -q -a -m second
    chmod -R a+rX "$WS"
}

@test "git_reads_the_workspace" {
    need git
    project
    works implement <<'END'
git status --short
git log --oneline | wc -l | grep -qx 2
echo five >>file
git diff --stat | grep -q '1 file changed'
git blame file | wc -l | grep -qx 5
git show HEAD:dir/in | grep -qx in
git grep -q three
git ls-files | grep -qx dir/in
git rev-parse HEAD~1
git cat-file -p HEAD | grep -q second
git shortlog -sn HEAD | grep -q test
git archive HEAD | tar -t | grep -qx dir/in
END
}

@test "git_clones_commits_branches_merges_rebases" {
    need git
    project
    works implement <<'END'
git config --global user.name agent
git config --global user.email agent@localhost
git clone -q "$PWD" /tmp/clone && cd /tmp/clone
git switch -q -c topic
echo topic >topic && git add topic && git commit -q -m topic
git switch -q main && echo main >own && git add own && git commit -q -m main
git merge -q --no-edit topic && [ -e topic ]
git switch -q -c other HEAD~1 && echo other >third && git add third && git commit -q -m other
git rebase -q main && [ -e own ]
echo stashed >>file && git stash -q && git diff --quiet && git stash pop -q && grep -q stashed file
git commit -q -a --amend --no-edit
git switch -q -c picked HEAD~2 && git cherry-pick other >/dev/null && git switch -q other
git worktree add -q ../tree main && [ -e ../tree/own ] && git worktree remove ../tree
git tag -a -m tag v1 && git describe | grep -qx v1
git log --graph --oneline --all | grep -q topic
git diff main other --stat | grep -q third
git format-patch -q -1 -o /tmp/patches && git switch -q -c applied HEAD~1 && git am -q /tmp/patches/*.patch && git switch -q other
git gc -q && git fsck
git init -q --bare -b main /tmp/bare && git push -q /tmp/bare main && git clone -q /tmp/bare /tmp/again && [ -e /tmp/again/own ]
git submodule status
git reset -q --hard HEAD~1 && git reflog | grep -q reset
END
}

@test "git_conflicts_are_conflicts" {
    need git
    project
    works implement <<'END'
git config --global user.name agent
git config --global user.email agent@localhost
git clone -q "$PWD" /tmp/clone && cd /tmp/clone
git switch -q -c topic && sed -i s/one/ONE/ file && git commit -q -a -m topic
git switch -q main && sed -i s/one/eins/ file && git commit -q -a -m main
if git merge -q topic >/dev/null 2>&1; then exit 3; fi
grep -q '<<<<<<<' file
git checkout -q --theirs file && git add file && git commit -q -m merged && grep -q ONE file
END
}

@test "make_and_cc_build_and_test_a_project_with_a_static_library" {
    need make
    need cc
    mkdir "$WS/src" "$WS/build"
    printf 'int twice(int x);\n' >"$WS/src/twice.h"
    printf '#include "twice.h"\nint twice(int x) { return 2 * x; }\n' >"$WS/src/twice.c"
    printf '#include <math.h>\n#include <pthread.h>\n#include <stdio.h>\n#include "twice.h"\nstatic void *f(void *p) { return p; }\nint main(void) { pthread_t t; pthread_create(&t, 0, f, 0); pthread_join(t, 0); printf("%%d %%.0f\\n", twice(21), floor(1.5)); return twice(21) != 42; }\n' >"$WS/src/test.c"
    cat >"$WS/Makefile" <<'END'
build/test: src/test.c build/libtwice.a
	$(CC) -O2 -g -Wall -Werror -pthread -Isrc -o $@ $< -Lbuild -ltwice -lm
build/libtwice.a: build/twice.o
	$(AR) rcs $@ $^
build/%.o: src/%.c src/twice.h
	$(CC) -O2 -g -fPIC -Wall -Werror -MMD -c -o $@ $<
test: build/test
	./build/test
.PHONY: test
END
    works "$FLOW/build.json" <<'END'
make -j2 test | grep -qx '42 1'
make -q build/test
cc -shared -o build/libtwice.so build/twice.o && cc -Isrc -o build/dynamic src/test.c -Lbuild -ltwice -pthread -lm
LD_LIBRARY_PATH=build build/dynamic
cc -flto -O2 -Isrc -o build/lto src/test.c src/twice.c -pthread -lm && build/lto
cc -static -Isrc -o build/static src/test.c src/twice.c -pthread -lm && build/static
if command -v g++ >/dev/null; then
    printf '#include <iostream>\n#include <vector>\nint main() { std::vector<int> v{1, 2}; std::cout << v.size() << "\\n"; }\n' >build/a.cc
    g++ -std=c++17 -o build/a build/a.cc && build/a | grep -qx 2
fi
nm build/libtwice.a | grep -q twice && objdump -d build/twice.o | grep -q twice && readelf -h build/test >/dev/null
strip build/test && build/test
END
}

@test "cmake_builds" {
    need cmake
    mkdir "$WS/build"
    printf 'cmake_minimum_required(VERSION 3.10)\nproject(p C)\nenable_testing()\nadd_executable(p p.c)\nadd_test(NAME p COMMAND p)\n' >"$WS/CMakeLists.txt"
    echo 'int main(void) { return 0; }' >"$WS/p.c"
    works "$FLOW/build.json" <<'END'
cmake -S . -B build >/dev/null && cmake --build build >/dev/null && cd build && ctest >/dev/null
END
}

@test "python3_runs_programs_and_modules" {
    need python3
    works implement <<'END'
mkdir pkg && echo 'def f(): return 7' >pkg/__init__.py
cat >a.py <<'PY'
import asyncio, concurrent.futures, ctypes, datetime, decimal, hashlib, json, multiprocessing, os, pathlib, re, socket
import subprocess, tempfile, threading, unittest, zipfile, zlib
import pkg
assert subprocess.run(["sh", "-c", "echo hi"], capture_output=True, text=True, check=True).stdout == "hi\n"
assert subprocess.check_output("ls | head -1", shell=True)
assert json.loads(json.dumps({"a": [1, 2.5, None]})) == {"a": [1, 2.5, None]}
try:
    import sqlite3
    db = sqlite3.connect("a.db")
    db.execute("create table t (x)")
    db.execute("insert into t values (?)", (7,))
    db.commit()
    assert db.execute("select x from t").fetchone() == (7,)
    db.close()
except ImportError:
    pass
assert pkg.f() == 7
async def main():
    p = await asyncio.create_subprocess_exec("cat", "/dev/null")
    return await p.wait()
assert asyncio.run(main()) == 0
with concurrent.futures.ThreadPoolExecutor() as e:
    assert list(e.map(lambda x: x * x, range(4))) == [0, 1, 4, 9]
with multiprocessing.Pool(2) as p:
    assert p.map(abs, [-1, 2]) == [1, 2]
with tempfile.TemporaryDirectory() as d, zipfile.ZipFile(d + "/z", "w") as z:
    z.writestr("a", "b")
a, b = socket.socketpair()
a.send(b"x")
assert b.recv(1) == b"x"
assert hashlib.sha256(b"").hexdigest().startswith("e3b0")
print(datetime.datetime.now().astimezone().tzinfo, os.cpu_count())
PY
python3 a.py
printf 'import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(1, 1)\n' >test_a.py
python3 -m unittest -q test_a
python3 -m compileall -q pkg
END
}

@test "python3_venv_in_the_workspace" {
    need python3
    works implement <<'END'
python3 -m venv --without-pip env
. env/bin/activate
python3 -c 'import sys; assert sys.prefix != sys.base_prefix, sys.prefix' || status=$?
deactivate
END
}

@test "node_runs_scripts_workers_and_children" {
    need node
    works implement <<'END'
cat >a.js <<'JS'
const fs = require("fs"), cp = require("child_process"), assert = require("assert"), path = require("path");
const { Worker, isMainThread, parentPort } = require("worker_threads");
if (!isMainThread) { parentPort.postMessage(7); return; }
fs.writeFileSync("f", "x");
assert.equal(fs.readFileSync("f", "utf8"), "x");
fs.mkdirSync("d/e", { recursive: true });
assert(fs.readdirSync(".", { withFileTypes: true }).length > 1);
assert.equal(cp.execSync("echo hi").toString(), "hi\n");
assert.equal(cp.spawnSync("cat", ["f"]).stdout.toString(), "x");
cp.fork("b.js").on("message", (m) => assert.equal(m, 1)).on("exit", (c) => assert.equal(c, 0));
new Worker(__filename).on("message", (m) => assert.equal(m, 7));
assert.equal(require("crypto").createHash("sha256").update("").digest("hex").slice(0, 4), "e3b0");
require("zlib").gzipSync("x");
fs.promises.rm("d", { recursive: true }).then(() => console.log("done"));
JS
echo 'process.send(1)' >b.js
node a.js | grep -qx done
printf 'import { readFile } from "node:fs/promises";\nconsole.log((await readFile("f")).length);\n' >m.mjs
node m.mjs | grep -qx 1
printf 'const t = require("node:test");\nt("a", () => {});\n' >t.test.js
node --test t.test.js >/dev/null
END
}

@test "npm_installs_from_local_archives_and_runs_scripts" {
    need npm
    npm=$(command -v npm)
    cat >"$FLOW/npm.json" <<END
{"schema":1,"name":"npm","extends":"./build.json","widen":"packages",
 "tools":["@parent",{"name":"npm","path":"$npm"}]}
END
    # Two packages, one that needs the other, packed and locked outside, without a network.
    mkdir "$T/a" "$T/b" "$T/c"
    echo '{"name":"a","version":"1.0.0","bin":{"a-bin":"bin.js"}}' >"$T/a/package.json"
    echo 'module.exports = 7;' >"$T/a/index.js"
    printf '#!/usr/bin/env node\nconsole.log("bin");\n' >"$T/a/bin.js"
    echo '{"name":"b","version":"1.0.0"}' >"$T/b/package.json"
    echo 'module.exports = 8;' >"$T/b/index.js"
    (cd "$T/c" && export npm_config_cache=$T/c HOME=$T/c && timeout 60 npm pack --silent --offline "$T/a" && timeout 60 npm pack --silent --offline "$T/b")
    cp "$T/c/"*.tgz "$WS"
    echo '{"name":"p","version":"1.0.0","scripts":{"test":"node test.js","bin":"a-bin"},"dependencies":{"a":"file:a-1.0.0.tgz","b":"file:b-1.0.0.tgz"}}' >"$WS/package.json"
    echo 'if (require("a") + require("b") !== 15) process.exit(1); console.log("tested");' >"$WS/test.js"
    (cd "$WS" && HOME=$T/c npm_config_cache=$T/c timeout 60 npm install --silent --offline --package-lock-only --no-audit --no-fund)
    [ -s "$WS/package-lock.json" ]
    # The C library asks netlink for addresses before it looks at a host name: refused, and gone on from.
    works "$FLOW/npm.json" 'syscall socket' <<'END'
export npm_config_update_notifier=false # it would ask the network
npm ci --offline --no-audit --no-fund
[ -e node_modules/a/index.js ]
npm test | grep -qx tested
npm ls >/dev/null
npm pack --silent >/dev/null
END
}

@test "archives_go_in_and_out" {
    works implement <<'END'
mkdir d && seq 1000 >d/f && ln -s f d/l && chmod 755 d/f
for z in '' z j J; do
    case $z in j) command -v bzip2 >/dev/null || continue ;; J) command -v xz >/dev/null || continue ;; esac
    tar -c${z}f d.tar d && mkdir out && tar -xf d.tar -C out && cmp d/f out/d/f && [ -L out/d/l ] && rm -r out
done
gzip -k d/f && gzip -t d/f.gz && gzip -dc d/f.gz | cmp - d/f
END
}

@test "perl_and_the_small_tools" {
    works implement <<'END'
if command -v perl >/dev/null; then
    perl -MPOSIX -MFile::Temp -MData::Dumper -MList::Util=sum -e 'print sum(1..4), "\n"' | grep -qx 10
    perl -e 'open(my $p, "-|", "echo", "x") or die; print <$p>; print `echo y`; system("true") == 0 or die' | grep -c . | grep -qx 2
    seq 3 >p && perl -pi -e 's/2/two/' p && grep -qx two p
fi
seq 100 >n
grep -c 1 n | grep -qx 20
grep -rn 'x y' . || :
sed -n '5,7p' n | sed 's/^/x/' | tr -d '\n' | grep -qx x5x6x7
sed -i '1d' n && head -n 1 n | grep -qx 2
awk '{ s += $1 } END { print s }' n | grep -qx 5049
awk 'BEGIN { "echo piped" | getline x; print x; system("echo ran") }' | paste -sd, - | grep -qx piped,ran
mkdir -p a/b && touch a/b/c a/d
find . -name c -print0 | xargs -0 ls -l >/dev/null
find a -type f -exec chmod 600 {} + && find a -perm 600 | wc -l | grep -qx 2
seq 20 | xargs -n 5 -P 2 echo | wc -l | grep -qx 4
find a -newer n -delete
sort -rn n | head -n 1 | grep -qx 100
sort -n n | uniq | comm - n >/dev/null 2>&1 || :
diff n n && cp -a a e 2>/dev/null || :
date -u +%Y >/dev/null; id -un; stat -c %s n; du -s . >/dev/null; df . >/dev/null
printf 'é\n' | wc -m >/dev/null
timeout 5 sleep 0.1; nproc; env | sort >/dev/null; mktemp; tee copy <n >/dev/null; split -l 50 n; sha256sum n; od -c n | head -n 1
ln -s n link && readlink -f link; dd if=/dev/zero of=z bs=1k count=4 2>/dev/null; truncate -s 1M big; cat /proc/self/status >/dev/null
END
}

@test "shells_do_what_scripts_ask_of_them" {
    works implement <<'END'
bash -c 'set -o pipefail; a=(1 2 3); echo "${#a[@]}"; diff <(seq 3) <(seq 3); cat <<<x; coproc cat; exec 5<>/tmp/f; printf "%s\n" "$RANDOM" >&5; (sleep 0.1 & wait); trap "echo t" EXIT' | grep -qx 3
bash -lc 'shopt -s globstar; echo **' >/dev/null
bash -ic 'true' 2>/dev/null || :
sh -c 'ulimit -n; umask; kill -0 $$; set -- *; echo $#' >/dev/null
END
}
