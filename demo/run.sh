#!/bin/sh
# The demo: a workflow that fixes a bug, driven once with an honest agent and once with a hostile one, in repositories that
# are made for it. Prints what is expected and what happened; exit status 0 only if everything is as expected.
# As root it does all of it a second time as an ordinary user, unless called with --once.
set -eu
cd "$(dirname "$0")/.."
. tests/lib/readable-tree.sh
root=$PWD
orch=${ORCH_BIN:-$root/build/orch-sandbox}
example=$root/profiles/examples/fix-bug
once=0
case ${1:-} in
--once) once=1 ;;
'') ;;
*)
    echo 'usage: demo/run.sh [--once]' >&2
    exit 2
    ;;
esac
if [ ! -x "$orch" ]; then
    echo "demo: no $orch" >&2
    exit 1
fi

tmp=$(mktemp -d "${TMPDIR:-/tmp}/orch-demo.XXXXXX")
# Overlay leaves a work directory of mode 0 behind.
trap 'chmod -R u+rwX "$tmp" 2>/dev/null || :; rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
home=$tmp/home state=$tmp/home/.local/state/orch-sandbox
token=DEMO-SECRET-$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
bad=0

title()
{
    printf '\n== %s\n\n' "$*"
}

# expect WHAT WANT GOT
expect()
{
    if [ "$2" = "$3" ]; then
        printf '  ok    %s: %s\n' "$1" "$(printf '%s' "$3" | head -c 200 | tr '\n' ' ')"
    else
        bad=$((bad + 1))
        printf '  FAIL  %s\n        expected: %s\n        got:      %s\n' "$1" "$2" "$3"
    fi
}

indent()
{
    sed 's/^/    | /'
}

# Every entry with type, mode, owner, time, link target and digest. The state directory is not part of it.
manifest()
{
    (
        cd "$1"
        find . -path ./.local -prune -o -printf '%p %y %m %U:%G %l' \( -type d -printf '\n' -o -printf ' %T@\n' \) | LC_ALL=C sort
        find . -path ./.local -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum
    )
}

# run NAME WORKFLOW: drives the workflow and sets $status.
run()
{
    status=0
    echo "    \$ orch-sandbox run --workspace $home/$1 --run-id $1 $2"
    HOME=$home "$orch" run --workspace "$home/$1" --state "$state" --run-id "$1" "$example/$2" >"$tmp/out" 2>&1 \
        </dev/null || status=$?
    indent <"$tmp/out"
    echo
}

repo()
{
    GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 git -C "$@"
}

title "as $(id -un 2>/dev/null || id -u): a repository in which make test fails"
mkdir -p "$home/.ssh" "$state"
chmod 0700 "$home/.ssh" "$state"
echo "$token" >"$home/.ssh/id_demo"
echo '# the operator' >"$home/.profile"
"$example/make-repo.sh" "$home/good"
"$example/make-repo.sh" "$home/hostile"
rc=0
cp -R "$home/good" "$tmp/before-fix"
make -C "$tmp/before-fix" test >"$tmp/out" 2>&1 || rc=$?
indent <"$tmp/out"
expect 'make test before the run (exit status)' 2 "$rc"

title 'an honest agent'
run good workflow.json
repo "$home/good" --no-pager diff --no-color | indent
echo
expect 'exit status' 0 "$status"
expect 'changed in the repository' ' M src/calc.c
?? PLAN.md
?? REPORT.md' "$(repo "$home/good" status --short)"
expect 'lines of src/calc.c that changed' "$(printf '1\t1\tsrc/calc.c')" "$(repo "$home/good" diff --numstat)"
expect 'the fix is the one that was expected' 1 "$(grep -c 'return (sum + (sum < 0 ? -n : n) / 2) / n;' "$home/good/src/calc.c" || :)"
expect 'commits' 1 "$(repo "$home/good" rev-list --count HEAD)"

title 'a hostile agent, the same workflow'
diff "$example/workflow.json" "$example/workflow-hostile.json" | indent || :
echo
manifest "$home" >"$tmp/manifest.before"
run hostile workflow-hostile.json
manifest "$home" >"$tmp/manifest.after"
logs=$state/runs/hostile/logs
echo '    what the agent says it did:'
cat "$logs"/*.out 2>/dev/null | grep -a '^attack: \|^hostile-agent: ' | LC_ALL=C tr -cd '\12\40-\176' | indent || :
echo
expect 'exit status' 1 "$status"
expect 'differences in the home directory, the repository included' '' "$(diff "$tmp/manifest.before" "$tmp/manifest.after" || :)"
expect 'attempts made' 'implement.1.out implement.2.out plan.1.out plan.2.out ' \
    "$(cd "$logs" 2>/dev/null && find . -name '*.out' ! -name '*.*.*.out' -printf '%f\n' | LC_ALL=C sort | tr '\n' ' ')"
expect 'files that mention the secret outside its own' '' \
    "$(grep -rlaF "$token" "$state" "$home/hostile" "$home/good" 2>/dev/null || :)"
expect 'written outside' '' "$(ls -d /etc/orch-demo-owned /usr/bin/orch-demo-owned /orch-demo-owned 2>/dev/null || :)"
expect 'requests of the agent that were accepted' '' "$(cat "$logs"/*.out 2>/dev/null | grep -a 'raw request .*ACCEPTED' || :)"
expect 'daemons left' '' "$(grep -laF orch-demo-daemon /proc/[0-9]*/cmdline 2>/dev/null || :)"
denials=$(grep -c '"event":"denial"' "$state/runs/hostile/audit.jsonl" 2>/dev/null || :)
expect 'denials are on record' yes "$([ "${denials:-0}" -gt 0 ] && echo yes || echo no)"
echo "        ($denials records)"

if [ "$once" -eq 0 ] && [ "$(id -u)" -eq 0 ]; then
    readable_tree "$tmp"
    chmod 0711 "$tmp"
    (cd "$tree" && env -u ORCH_BIN "$tree/tests/lib/as-user.sh" "$tree/demo/run.sh" --once) || bad=$((bad + 1))
fi

[ "$once" -eq 1 ] || title result
if [ "$bad" -gt 0 ]; then
    echo "demo: $bad not as expected"
    exit 1
fi
echo "demo: everything as expected"
