#!/bin/sh
# Runs many sandboxes and looks for what they leave behind: many.sh COUNT TOGETHER runs COUNT of them, TOGETHER at a time.
# Counts what is theirs alone, by a name that only they have, so that other tests may run beside it: processes, mounts, entries
# of the state and the temporary directory, of the workspace, and cgroups nobody is in. Prints one line; status 1 if
# something was left, or a sandbox failed.
set -eu
count=$1 together=$2
orch=${ORCH_BIN:-$(cd "$(dirname "$0")/../.." && pwd)/build/orch-sandbox}
dir=$(mktemp -d "${TMPDIR:-/tmp}/orch-many.XXXXXX")
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mark=many-$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
mkdir "$dir/$mark" "$dir/state" "$dir/tmp"
printf '%s\n' "$mark" >"$dir/mark"
echo '{"schema":1,"name":"many","extends":"plan"}' >"$dir/profile.json"

# Writes to a file in the workspace, the temporary directory and the home, leaves a daemon behind, and prints its mark.
one()
{
    # shellcheck disable=SC2016 # the agent expands
    TMPDIR=$dir/tmp "$orch" exec --quiet --state "$dir/state" --workspace "$dir/$mark" --profile "$dir/profile.json" -- \
        sh -c 'echo x >file && echo x >/tmp/file && echo x >"$HOME/file" && (sleep 300 >/dev/null 2>&1 &) && echo made' \
        >>"$dir/made" 2>>"$dir/errors" </dev/null 3>&-
}

theirs()
{
    grep -laFf "$dir/mark" /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3 | sort -un
}

# Cgroups with our name that nobody is in: those of a sandbox that runs are not empty.
empty_cgroups()
{
    find /sys/fs/cgroup -maxdepth 6 -type d -name '*orch*' 2>/dev/null | while IFS= read -r group; do
        [ -n "$(cat "$group/cgroup.procs" 2>/dev/null)" ] || ! [ -d "$group" ] || echo "$group"
    done | sort
}

counts()
{
    echo "processes $(theirs | grep -c .)"
    echo "mounts $(grep -cF "$dir" /proc/self/mountinfo)"
    echo "state $(find "$dir/state" -mindepth 1 | wc -l)"
    echo "temporary $(find "$dir/tmp" -mindepth 1 | wc -l)"
    echo "workspace $(find "$dir/$mark" -mindepth 1 | wc -l)"
}

one || { cat "$dir/errors"; echo 'many: no sandbox starts'; exit 1; } # fills the caches
: >"$dir/made"
empty_cgroups >"$dir/groups.before"
counts >"$dir/before"
started=0 failed=0
while [ "$started" -lt "$count" ]; do
    pids='' n=0
    while [ "$n" -lt "$together" ] && [ "$started" -lt "$count" ]; do
        if [ "$together" -eq 1 ]; then
            one || failed=$((failed + 1))
        else
            one &
            pids="$pids $!"
        fi
        n=$((n + 1)) started=$((started + 1))
    done
    for pid in $pids; do
        wait "$pid" || failed=$((failed + 1))
    done
done

# A tree may take a moment to be reaped by others; what stays is left.
for _ in 1 2 3 4 5 6 7 8 9 10; do
    counts >"$dir/after"
    empty_cgroups | comm -13 "$dir/groups.before" - >"$dir/groups"
    if cmp -s "$dir/before" "$dir/after" && [ ! -s "$dir/groups" ]; then
        break
    fi
    sleep 0.5
done
made=$(grep -cx made "$dir/made" || :)
if [ "$failed" -gt 0 ] || [ "$made" -ne "$count" ]; then
    head -n 20 "$dir/errors"
    echo "many: $failed of $count failed, $made did their work"
    exit 1
fi
if ! cmp -s "$dir/before" "$dir/after" || [ -s "$dir/groups" ]; then
    diff "$dir/before" "$dir/after" || :
    cat "$dir/groups"
    echo "many: something was left by $count sandboxes, $together at a time"
    exit 1
fi
echo "$count sandboxes, $together at a time, nothing left behind"
