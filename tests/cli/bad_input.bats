#!/usr/bin/env bats
# What the command line says, and exits with, when something around it is wrong or odd.
load ../lib/common
load ../lib/workflow

setup_file() { need_sandbox; }

setup() {
    orch_setup
    workflow_setup
    umask 022
    agent idle <<'END'
echo agent-ran
echo x >ran
END
}

teardown() {
    [ -z "${dir:-}" ] || { chmod -R u+rwX "$dir" && rm -rf "$dir"; }
    orch_teardown
}

PASS='{"type": "command", "name": "gate", "run": ["true"]}'

# orch ARGUMENT...: any command.
orch() {
    run timeout -k 5 60 "$ORCH" "$@" 3>&-
    orch_say
}

# in_mounts SCRIPT ARGUMENT...: runs SCRIPT, which may mount, in a mount namespace; "$@" are the arguments, and the function
# as_me in it runs a command as the present user.
in_mounts() {
    local script=$1
    shift
    if [ "$(id -u)" -eq 0 ]; then
        run timeout -k 5 90 unshare -m --propagation private sh -c 'as_me() { "$@"; }
            '"$script" sh "$@" 3>&-
    else
        run timeout -k 5 90 unshare -Urm sh -c 'as_me() { unshare -U --map-user='"$(id -u)"' --map-group='"$(id -g)"' "$@"; }
            '"$script" sh "$@" 3>&-
    fi
    orch_say
}

nothing_ran() {
    [[ "$output" != *agent-ran* ]]
    [ -z "$(ls -A "$STATE/runs" 2>/dev/null)" ]
}

# ---- workspace ----

@test "workspace_that_is_no_directory_is_exit_2" {
    one_phase idle plan "$PASS"
    echo x >"$T/file"
    ln -s nowhere "$T/dangling"
    bytes=$T/$(printf 'b\377d')
    mkdir "$bytes"
    for dir in "$T/missing" "$T/file" "$T/dangling" "$T/file/below" '' "$bytes"; do
        WS=$dir orch_run
        [ "$status" -eq 2 ]
        [[ "$output" == "orch-sandbox: "* ]]
        nothing_ran
        orch exec --profile plan --state "$STATE" --workspace "$dir" -- true
        [ "$status" -eq 125 ]
    done
    [[ "$output" != *$'\377'* ]]
    # Control: a directory, also by way of a symlink, and the current one by default.
    ln -s "$WS" "$T/alias"
    WS=$T/alias orch_run
    [ "$status" -eq 0 ]
    [ -e "$WS/ran" ]
    rm "$WS/ran"
    cd "$WS"
    orch run --state "$STATE" "$W/workflow.json"
    [ "$status" -eq 0 ]
    [ -e "$WS/ran" ]
}

@test "mounts_beneath_the_workspace_are_refused_unless_ignored" {
    mkdir "$WS/sub"
    agent idle <<'END'
echo x >ran
test ! -e sub/mounted && echo not-seen
END
    one_phase idle plan "$PASS"
    script='mount -t tmpfs none "$1/sub" && echo x >"$1/sub/mounted" && shift && as_me "$@"'
    in_mounts "$script" "$WS" "$ORCH" run --workspace "$WS" --state "$STATE" "$W/workflow.json"
    [ "$status" -eq 2 ]
    [[ "$output" == *"$WS/sub"*--ignore-submounts* ]]
    nothing_ran
    in_mounts "$script" "$WS" "$ORCH" exec --profile plan --workspace "$WS" --state "$STATE" true
    [ "$status" -eq 125 ]
    [[ "$output" == *--ignore-submounts* ]]

    in_mounts "$script" "$WS" "$ORCH" run --ignore-submounts --workspace "$WS" --state "$STATE" --run-id r1 "$W/workflow.json"
    if [ "$(id -u)" -ne 0 ]; then # the kernel puts no overlay of an ordinary user over somebody else's mounts
        [ "$status" -eq 3 ]
        [[ "$output" == *"$WS/sub"*root* ]]
        orch_run # control: without the mount
        [ "$status" -eq 0 ]
        return
    fi
    [ "$status" -eq 0 ]
    [[ "$output" == *not-seen* ]]
    [ -e "$WS/ran" ]
    [ -d "$WS/sub" ]
}

@test "files_of_owners_that_cannot_be_mapped_are_listed_and_read_only" {
    need_root
    echo theirs >"$WS/theirs"
    chown 12345:12345 "$WS/theirs"
    chmod 0644 "$WS/theirs"
    agent reader <<'END'
cat theirs
echo changed >>theirs && echo written
chmod 0600 theirs && echo written
echo x >ran
END
    one_phase reader plan "$PASS"
    orch_run
    [ "$status" -eq 0 ]
    [[ "$output" == *"other users"*"$WS/theirs"* ]]
    [ "$(cat "$RUNDIR/logs/work.1.out")" = theirs ]
    [ "$(stat -c '%u %a' "$WS/theirs")" = '12345 644' ]
    [ "$(cat "$WS/theirs")" = theirs ]
    [ "$(stat -c %u "$WS/ran")" = 0 ]
    # Control: nobody is named when all belongs to one.
    chown 0:0 "$WS/theirs"
    orch_run
    [ "$status" -eq 0 ]
    [[ "$output" != *"other users"* ]]
    [ "$(cat "$WS/theirs")" = "$(printf 'theirs\nchanged')" ]
}

@test "t_fs_12_git_file_is_said_at_the_start_and_its_directory_is_read_only" {
    need git
    export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
    rmdir "$WS"
    git -c init.defaultBranch=main init -q "$T/main"
    git -C "$T/main" config user.name test
    git -C "$T/main" config user.email test@example.com
    echo one >"$T/main/file"
    git -C "$T/main" add file
    git -C "$T/main" commit -qm first
    git -C "$T/main" worktree add -q -b side "$WS"
    git -C "$WS" status --porcelain
    agent committer <<'END'
echo two >file
git log --format=%s && echo log-works
git commit -qam second && echo committed
exit 0
END
    one_phase committer implement "$PASS"
    snapshot "$T/main/.git" >"$T/before"
    orch_run
    [ "$status" -eq 0 ]
    [[ "$output" == *"note: .git is a file"* ]]
    [ "$(cat "$WS/file")" = two ]
    refute grep -qx committed "$RUNDIR/logs/work.1.out"
    snapshot "$T/main/.git" >"$T/after"
    same "$T/before" "$T/after"
    git -C "$WS" commit -qam outside # control
    grep -qx log-works "$RUNDIR/logs/work.1.out"
}

@test "t_fs_12_git_file_that_points_at_something_else_shows_nothing_of_it" {
    mkdir "$T/secret"
    echo s3cret >"$T/secret/HEAD"
    echo "gitdir: $T/secret" >"$WS/.git"
    agent reader <<'END'
cat "${ORCH_WORKSPACE%/*}/secret/HEAD" && echo leaked
exit 0
END
    one_phase reader implement "$PASS"
    orch_run
    refute grep -rq s3cret "$STATE"
    cat "$T/secret/HEAD" # control
}

# ---- state ----

@test "state_that_can_take_no_overlay_is_exit_3_and_names_the_option" {
    mkdir "$T/lower" "$T/upper" "$T/work" "$T/merged"
    one_phase idle plan "$PASS"
    script='mount -t overlay -o "userxattr,lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work" none "$1/merged" &&
        shift && as_me "$@"'
    in_mounts "$script" "$T" "$ORCH" run --workspace "$WS" --state "$T/merged/state" "$W/workflow.json"
    [ "$status" -eq 3 ]
    [[ "$output" == *--state* ]]
    [[ "$output" == *"$T/merged/state"* ]]
    [[ "$output" != *agent-ran* ]]
    [ -z "$(ls -A "$WS")" ]
    [ -z "$(ls -A "$T/upper/state/runs")" ]
    # Control: in the same namespace, with a state directory that will do.
    in_mounts "$script" "$T" "$ORCH" run --workspace "$WS" --state "$STATE" "$W/workflow.json"
    [ "$status" -eq 0 ]
}

@test "t_res_09_full_disk_is_exit_10_and_nothing_is_lost" {
    agent filler <<'END'
case $ORCH_PHASE.$ORCH_ATTEMPT in
first.*) echo first >first ;;
second.1)
    dd if=/dev/zero of=fill bs=4k 2>/dev/null
    for i in 1 2 3 4 5 6 7 8; do true >/usr/denied-$i; done
    echo filled
    ;;
*) echo second >second ;;
esac
exit 0
END
    cat >"$W/workflow.json" <<'JSON'
{"schema": 1, "name": "test", "agent": {"command": ["./filler"]}, "phases": [
  {"name": "first", "profile": "plan", "gates": [{"type": "file", "path": "first"}]},
  {"name": "second", "profile": "plan", "gates": [{"type": "file", "path": "second"}]}]}
JSON
    mkdir "$T/small" "$T/saved"
    # The state is saved before its file system goes away with the namespace.
    script='mount -t tmpfs -o size=24m none "$1/small" || exit 99
        chmod 0777 "$1/small"
        dir=$1
        shift
        as_me "$@"
        status=$?
        cp -a "$dir/small/." "$dir/saved" 2>/dev/null
        exit $status'
    in_mounts "$script" "$T" "$ORCH" run --workspace "$WS" --state "$T/small/state" --run-id r1 "$W/workflow.json"
    [ "$status" -eq 10 ]
    [[ "$output" == *"orch-sandbox: "*"No space left"* ]]
    [ -z "$(ls -A "$WS")" ]
    # With room again: what was recorded is whole, the first phase stands, the run comes to its end.
    chmod -R u+rwX "$T"/saved/state/runs/r1/layers/second.*/work
    rm -rf "$T"/saved/state/runs/r1/layers/second.*/work
    orch verify --state "$T/saved/state" r1
    [ "$status" -eq 0 ]
    orch resume --state "$T/saved/state" r1
    [ "$status" -eq 0 ]
    [ "$(cat "$WS/first" "$WS/second")" = "$(printf 'first\nsecond')" ]
    [ ! -e "$WS/fill" ]
    [ "$(jq -r 'select(.event == "verdict") | .phase' "$T/saved/state/runs/r1/journal.jsonl" | tr '\n' ' ')" = 'first second ' ]
}

@test "run_and_resume_without_room_are_exit_10_before_anything_starts" {
    one_phase idle plan "$PASS"
    mkdir "$T/small"
    script='mount -t tmpfs -o "$1" none "$2/small" || exit 99
        chmod 0777 "$2/small"
        cp -a "$2/from/." "$2/small"
        shift 2
        as_me "$@"'
    mkdir "$T/from"
    while read -r options free; do
        in_mounts "$script" "$options" "$T" "$ORCH" run --workspace "$WS" --state "$T/small" "$W/workflow.json"
        [ "$status" -eq 10 ]
        [[ "$output" == *"only "*" $free are free for"*"'$T/small'"*"orch-sandbox prune"*--state* ]]
        [[ "$output" != *agent-ran* ]]
    done <<'END'
size=8m KiB
nr_inodes=100 inodes
END
    # Control: enough, but less than the agent may write, which is a note.
    in_mounts "$script" size=64m "$T" "$ORCH" run --workspace "$WS" --state "$T/small" "$W/workflow.json"
    [ "$status" -eq 0 ]
    [[ "$output" == *"note: 6"[0-9]" MiB are free"*"2048 MiB that limits.workspace"* ]]
    profile roomy '{"schema": 1, "name": "roomy", "extends": "plan", "limits": {"workspace": "16MiB"}}'
    one_phase idle ./roomy.json "$PASS"
    rm "$WS/ran"
    in_mounts "$script" size=64m "$T" "$ORCH" run --workspace "$WS" --state "$T/small" "$W/workflow.json"
    [ "$status" -eq 0 ]
    [[ "$output" != *"limits.workspace"* ]]
    # A paused run stays where it is until there is room again.
    rm "$WS/ran"
    cat >"$W/workflow.json" <<JSON
{"schema": 1, "name": "test", "agent": {"command": ["./idle"]}, "phases": [
  {"name": "one", "profile": "plan", "gates": [$PASS]}, {"name": "two", "profile": "plan", "gates": [$PASS]}]}
JSON
    orch run --workspace "$WS" --state "$T/from" --run-id r1 --until one "$W/workflow.json"
    [ "$status" -eq 5 ]
    in_mounts "$script" size=8m "$T" "$ORCH" resume --state "$T/small" r1
    [ "$status" -eq 10 ]
    [[ "$output" == *"are free for"* ]]
    [[ "$output" != *agent-ran* ]]
    in_mounts "$script" size=64m "$T" "$ORCH" resume --state "$T/small" r1
    [ "$status" -eq 0 ]
    [ -e "$WS/ran" ]
}

# ---- documents and programs ----

@test "programs_that_do_not_resolve_are_exit_2_and_those_that_do_not_start_exit_8" {
    printf '#!/bin/sh\nexit 0\n' >"$W/plain"
    chmod 0644 "$W/plain"
    mkdir "$W/dir"
    printf '#!/no/such/interpreter\n' >"$W/orphan"
    chmod 0755 "$W/orphan"
    printf '\177ELFgarbage' >"$W/elf"
    : >"$W/empty"
    chmod 0755 "$W/elf" "$W/empty"
    for name in missing dir orphan elf; do
        one_phase $name plan "$PASS"
        orch_run
        [ "$status" -eq 2 ]
        [[ "$output" == *"$name"* ]]
        nothing_ran
    done
    one_phase plain plan "$PASS" # no execute bit: at load or when it is started
    orch_run
    [[ "$status" =~ ^(2|8)$ ]]
    [[ "$output" == *plain* ]]
    printf '#!/no/such/interpreter\n' >"$WS/script"
    printf 'text\n' >"$WS/text"
    chmod 0755 "$WS/script"
    for name in script text missing; do
        one_phase x implement "$PASS"
        sed -i "s|\"./x\"|\"\${workspace}/$name\"|" "$W/workflow.json"
        orch_run
        [ "$status" -eq 8 ]
        [ "$(jq -r 'select(.event == "verdict").end' "$RUNDIR/journal.jsonl")" = setup ]
        [ "$(verdict gate)" = pass ] # gates are evaluated all the same
    done
    # Prompt.
    one_phase idle plan "$PASS" '"prompt": {"file": "none.md"}'
    orch_run
    [ "$status" -eq 2 ]
    [[ "$output" == *workflow.json:5:*none.md* ]]
    # Control.
    echo hello >"$W/none.md"
    orch_run
    [ "$status" -eq 0 ]
}

# The program without the cgroups of this host: as root they are taken out of sight, a user was given none.
without_cgroups() {
    local hide=''
    [ "$(id -u)" -ne 0 ] || hide="unshare --mount sh -c 'mount -t tmpfs none /sys/fs/cgroup && exec \"\$@\"' sh"
    printf '#!/bin/sh\nexec %s "%s" "$@"\n' "$hide" "$ORCH" >"$T/without"
    chmod 0755 "$T/without"
    echo "$T/without"
}

@test "memory_and_pids_for_the_whole_tree_without_a_scope_are_exit_3_with_the_fix" {
    [ "$(id -u)" -eq 0 ] || "$ORCH" doctor | grep -q '^missing.*cgroup delegation' || skip "for a user without a cgroup"
    without=$(without_cgroups)
    limited() {
        profile limited '{"schema": 1, "name": "limited", "tools": ["sh"],
            "filesystem": [{"path": "/usr", "access": "rx"}, {"path": "${workspace}", "access": "rw"}],
            "syscalls": {"allow": ["@agent-base"]}, "limits": {'"$1"'}}'
    }
    agent idle <<'END'
echo x >ran
END
    one_phase idle ./limited.json '{"type": "file", "path": "ran"}'
    for limit in '"memory": "1GiB"' '"pids": 100'; do
        limited "$limit"
        ORCH=$without orch_run
        [ "$status" -eq 3 ]
        [[ "$output" == *'"scope": "process"'* ]]
        [[ "$output" == *'systemd-run '*'--scope -p Delegate=yes orch-sandbox'* ]]
        nothing_ran
    done
    ORCH=$without orch exec --profile "$W/limited.json" --workspace "$WS" --state "$STATE" -- sh -c :
    [ "$status" -eq 125 ]
    limited '"memory": "1GiB", "pids": 100, "scope": "process"' # control
    ORCH=$without orch_run
    [ "$status" -eq 0 ]
}

@test "t_fs_14_names_of_any_bytes_work_end_to_end_and_are_escaped" {
    odd=$(printf 'nl\nx \033[31m\377 "q" \\ $(touch pwned) \342\200\256')
    echo before >"$WS/$odd"
    echo before >"$WS/-rf"
    agent maker <<'END'
odd=$(printf 'nl\nx \033[31m\377 "q" \\ $(touch pwned) \342\200\256')
echo after >>"$odd"
mkdir "$odd.d"
echo in >"$odd.d/$odd"
ln "$odd" link.x
rm -- -rf
mkdir "$odd.d/.git"
printf '%s\n' "$odd"
printf 'no newline \033]0;title\007\r::error::x'
END
    one_phase maker ./open.json "{\"type\": \"changes\", \"name\": \"none\", \"deny\": [\"*.d/**\", \"nl*\"]}" '"attempts": 1'
    profile open '{"schema": 1, "name": "open", "extends": "plan", "limits": {"wall": "10s"}}'
    printable() {
        refute grep -nP '[^\x20-\x7e\t]' <<<"$output"
        [[ "$output" == *'nl\u000ax \u001b[31m\xff'* || "$output" == *'nl\u000ax \u001b[31m\ufffd'* ]]
        refute grep -q '^::' <<<"$output"
    }
    orch_run
    [ "$status" -eq 1 ]
    [ "$(verdict none)" = fail ]
    printable
    refute grep -nP '[^\x20-\x7e]' "$RUNDIR/audit.jsonl"
    [ "$(jq -r 'select(.event == "denial" and .path_b64 != null) | .path_b64' "$RUNDIR/audit.jsonl" | head -1 | base64 -d |
        sha256sum)" = "$(printf '%s' "$WS/$odd.d/.git" | sha256sum)" ]
    orch audit --state "$STATE" "$RUN"
    [ "$status" -eq 0 ]
    printable
    orch status --state "$STATE" "$RUN"
    printable

    orch_run --json
    [ "$status" -eq 1 ]
    jq -e . <<<"$output" >/dev/null

    one_phase maker ./open.json "$PASS"
    orch_run
    [ "$status" -eq 0 ]
    printable
    [ "$(cat "$WS/$odd")" = "$(printf 'before\nafter')" ]
    [ "$(cat "$WS/$odd.d/$odd")" = in ]
    [ ! -e "$WS/-rf" ]
    [ ! -e "$WS/pwned" ]
    [ "$(ls -A "$WS" | wc -l)" -eq 5 ] # the newline counts twice; link.x
    orch verify --state "$STATE" "$RUN"
    [ "$status" -eq 0 ]
}

@test "t_fs_14_paths_of_workspace_state_and_workflow_may_hold_any_character" {
    odd="$T/a:b,c\\d e'\"\$x%s"
    mkdir -p "$odd/ws" "$odd/st:a,te"
    mv "$W" "$odd/w,f"
    W=$odd/w,f
    agent worker <<'END'
pwd
test "$PWD" = "$ORCH_WORKSPACE" && echo x >made
END
    one_phase worker plan '{"type": "file", "path": "made"}, {"type": "command", "run": ["cat", "made"], "restore": ["none"]}'
    WS=$odd/ws STATE=$odd/st:a,te orch_run
    [ "$status" -eq 0 ]
    [ -e "$odd/ws/made" ]
}

# ---- exec ----

# ex ARGUMENT...: with its result in $T/result. Not with run, which has a meaning of its own for 127.
ex() {
    status=0
    output=$(timeout -k 5 60 "$ORCH" exec --state "$STATE" --workspace "$WS" --status-fd 4 "$@" 2>&1 3>&- 4>"$T/result") ||
        status=$?
    orch_say
    cat "$T/result"
}

@test "exec_exits_with_the_commands_status_or_says_why_not" {
    profile short '{"schema": 1, "name": "short", "extends": "plan", "limits": {"wall": "300ms"}}'
    printf 'x' >"$T/plain"
    ex --profile plan -- true
    [ "$status" -eq 0 ]
    for code in 1 7 124 125 126 127 255; do
        ex --profile plan -- sh -c "exit $code"
        [ "$status" -eq "$code" ]
        [ "$(jq -r '[.end, .status, .exit] | map(tostring) | join(" ")' "$T/result")" = "exit $code $code" ]
    done
    ex --profile plan -- sh -c 'kill -TERM $$'
    [ "$status" -eq 143 ]
    [ "$(jq -r .end "$T/result")" = signal ]
    ex --profile plan -- sh -c 'kill -KILL $$'
    [ "$status" -eq 137 ]
    began=$SECONDS
    ex --profile "$W/short.json" -- sleep 60
    [ "$status" -eq 124 ]
    [ "$(jq -r '.end + " " + .limit' "$T/result")" = 'limit wall' ]
    [ $((SECONDS - began)) -le 40 ]
    ex --profile no-such-profile -- true
    [ "$status" -eq 125 ]
    ex --profile "$T/none.json" -- true
    [ "$status" -eq 125 ]
    ex -- true
    [ "$status" -eq 125 ]
    ex --profile plan --no-such-option -- true
    [ "$status" -eq 125 ]
    ex --profile plan -- git --version # no tool of plan
    [ "$status" -eq 126 ]
    ex --profile plan -- "$T/plain"
    [ "$status" -eq 126 ]
    ex --profile plan -- no-such-program-anywhere
    [ "$status" -eq 127 ]
    ex --profile plan -- /no/such/program
    [ "$status" -eq 127 ]
    [ "$(jq -r .exit "$T/result")" = 127 ]
    run "$ORCH" exec --state "$STATE" --workspace "$WS" --status-fd 77 --profile plan -- true
    [ "$status" -eq 125 ]
    # What comes after -- is data.
    ex --profile plan -- echo --help --no-sandbox
    [ "$status" -eq 0 ]
    [[ "$output" == *"--help --no-sandbox"* ]]
    # One line, and one only.
    [ "$(wc -l <"$T/result")" -eq 1 ]
    jq -e 'type == "object"' "$T/result" >/dev/null
}

@test "exec_drops_changes_unless_told_to_apply_them_and_the_command_succeeds" {
    echo old >"$WS/file"
    ex --profile plan -- sh -c 'echo new >file; echo x >made; cat file'
    [ "$status" -eq 0 ]
    [[ "$output" == *new* ]]
    [[ "$output" == *"2 changes"*dropped* ]]
    [ "$(cat "$WS/file")" = old ]
    [ "$(jq .applied "$T/result")" = false ]

    ex --apply --profile plan -- sh -c 'echo new >file; echo x >made; exit 3'
    [ "$status" -eq 3 ]
    [[ "$output" == *dropped* ]]
    [ "$(cat "$WS/file")" = old ]

    ex --apply --profile plan -- sh -c 'echo new >file; echo x >made'
    [ "$status" -eq 0 ]
    [ "$(cat "$WS/file" "$WS/made")" = "$(printf 'new\nx')" ]
    [ "$(jq .applied "$T/result")" = true ]
    [ "$(jq .changes "$T/result")" = 2 ]

    # The same checks as at the end of a run.
    profile open '{"schema": 1, "name": "open", "extends": "base", "widen": "test",
        "filesystem": [{"path": "${workspace}", "access": "rw"}]}'
    ex --apply --profile "$W/open.json" -- sh -c 'echo evil >.envrc; echo y >made'
    [ "$status" -eq 125 ]
    [[ "$output" == *unsafe*.envrc* ]]
    [ ! -e "$WS/.envrc" ]
    [ "$(cat "$WS/made")" = x ]

    ex --profile base -- sh -c 'echo z >made' # not writable: nothing to drop
    [ "$status" -ne 0 ]
    [ "$(cat "$WS/made")" = x ]
    [[ "$output" != *dropped* ]]
    [ -z "$(ls -A "$STATE/exec" 2>/dev/null)" ]
}

@test "exec_keeps_no_run_directory_and_writes_the_audit_where_told" {
    ex --audit "$T/audit" --profile plan -- sh -c 'cat /etc/shadow; mkdir .git; exit 0'
    [ "$status" -eq 0 ]
    [[ "$output" == *"2 denials"* ]]
    [ ! -e "$STATE/runs" ] || [ -z "$(ls -A "$STATE/runs")" ]
    [ "$(jq -s '[.[] | select(.event == "denial")] | length' "$T/audit")" -eq 2 ]
    [ "$(stat -c %a "$T/audit")" = 600 ]
    cp "$T/audit" "$T/audit.copy"
    ex --audit "$T/audit" --profile plan -- true # exists
    [ "$status" -eq 125 ]
    cmp "$T/audit" "$T/audit.copy"
    ex --audit "$T/no/dir" --profile plan -- true
    [ "$status" -eq 125 ]
    ex --profile plan -- true # control: no denial, no word
    [ "$status" -eq 0 ]
    [[ "$output" != *denial* ]]
}

# ---- output and usage ----

@test "json_events_parse_and_quiet_is_silent" {
    agent talker <<'END'
echo '{"event": "forged"}'
llm-report 'half done'
cat /etc/shadow
echo x >ran
END
    one_phase talker plan '{"type": "file", "path": "ran"}'
    timeout 60 "$ORCH" run --json --workspace "$WS" --state "$STATE" "$W/workflow.json" >"$T/events" 2>"$T/stderr" 3>&-
    [ ! -s "$T/stderr" ]
    [ "$(wc -l <"$T/events")" -eq "$(jq -c . "$T/events" | wc -l)" ]
    refute grep -nP '[^\x20-\x7e]' "$T/events"
    jq -se 'all(.[]; type == "object" and (.event | type == "string"))' "$T/events" >/dev/null
    [ "$(jq -r 'select(.event == "forged")' "$T/events")" = '' ]
    [ "$(jq -r 'select(.event == "verdict") | .passed' "$T/events")" = true ]
    [ "$(jq -r 'select(.event == "gate") | .verdict' "$T/events")" = pass ]

    one_phase talker plan '{"type": "file", "path": "none"}' # failing, it parses too
    orch_run --json
    [ "$status" -eq 1 ]
    [ "$(jq -r 'select(.event == "verdict") | .passed' <<<"$output")" = false ]
    orch status --json --state "$STATE" "$RUN"
    [ "$(jq -r '.phases[0].attempts[0].digest' <<<"$output" | grep -cE '^[0-9a-f]{64}$')" -eq 1 ]
    orch audit --json --state "$STATE" "$RUN"
    jq -e . <<<"$output" >/dev/null

    rm "$WS/ran"
    one_phase talker plan '{"type": "file", "path": "ran"}'
    timeout 60 "$ORCH" run --quiet --workspace "$WS" --state "$STATE" "$W/workflow.json" >"$T/stdout" 2>"$T/stderr" 3>&-
    [ ! -s "$T/stderr" ]
    [ ! -s "$T/stdout" ]
    [ -e "$WS/ran" ]
    # An error is still said.
    one_phase talker plan '{"type": "flie"}'
    orch_run --quiet
    [ "$status" -eq 2 ]
    [[ "$output" == *workflow.json:5:* ]]
}

@test "t_tty_09_reader_that_goes_away_or_does_not_read_does_not_stop_a_run" {
    agent talker <<'END'
yes 'a line of the agent that nobody reads' | head -c 400000
echo x >ran
END
    one_phase talker plan '{"type": "file", "path": "ran"}'
    orch_next_run
    { timeout 60 "$ORCH" run --workspace "$WS" --state "$STATE" --run-id "$RUN" "$W/workflow.json" 2>&1 3>&- || echo $? >"$T/rc"; } |
        head -1 >/dev/null
    for _ in $(seq 2000); do [ ! -e "$WS/ran" ] || break; sleep 0.05; done
    [ -e "$WS/ran" ]
    [ ! -e "$T/rc" ] || [ "$(cat "$T/rc")" -eq 0 ]
    rm "$WS/ran"
    for fds in '>&-' '2>&-' '<&-' '<&- >&- 2>&-'; do
        orch_next_run
        timeout 60 bash -c '"$@" '"$fds" bash "$ORCH" run --workspace "$WS" --state "$STATE" --run-id "$RUN" "$W/workflow.json" \
            >/dev/null 2>&1 3>&-
        [ -e "$WS/ran" ]
        rm "$WS/ran"
        orch verify --state "$STATE" "$RUN"
        [ "$status" -eq 0 ]
    done
}

VERBS='run exec resume status approve reject suspend cancel apply discard audit explain verify keygen list logs diff prune doctor help version'
POLICY_VERBS='check show explain test diff groups schema'
LATER='report'
POLICY_LATER='learn suggest lint import export'

@test "help_is_there_for_every_command_and_verbs_not_built_say_so" {
    orch --help
    [ "$status" -eq 0 ]
    for verb in $VERBS; do [[ "$output" == *"$verb"* ]]; done
    orch help
    [ "$status" -eq 0 ]
    orch --version
    [ "$status" -eq 0 ]
    [[ "$output" == *"orch-sandbox "[0-9]* ]]
    for verb in $VERBS; do
        orch $verb --help
        [ "$status" -eq 0 ]
        [[ "$output" == *"usage: orch-sandbox $verb"* ]]
        orch help $verb
        [ "$status" -eq 0 ]
        [[ "$output" == *"usage: orch-sandbox $verb"* ]]
    done
    for verb in $LATER; do
        orch $verb
        [ "$status" -eq 2 ]
        [[ "$output" == *"not in this version"* ]]
        orch $verb --help x
        [ "$status" -eq 2 ]
        orch help $verb
        [ "$status" -eq 2 ]
    done
    orch policy
    [ "$status" -eq 2 ]
    for how in 'policy --help' 'help policy'; do
        orch $how
        [ "$status" -eq 0 ]
        for verb in $POLICY_VERBS; do [[ "$output" == *"$verb"* ]]; done
    done
    for verb in $POLICY_VERBS; do
        for how in "policy $verb --help" "help policy $verb"; do
            orch $how
            [ "$status" -eq 0 ]
            [[ "$output" == *"usage: orch-sandbox policy $verb"* ]]
        done
    done
    for verb in $POLICY_LATER; do
        orch policy $verb x
        [ "$status" -eq 2 ]
        [[ "$output" == *"not in this version"* ]]
    done
    # Help goes to standard output.
    [ -n "$("$ORCH" run --help 2>/dev/null)" ]
}

@test "wrong_usage_is_exit_2_and_starts_nothing" {
    one_phase idle plan "$PASS"
    f=$W/workflow.json
    while IFS= read -r arguments; do
        eval "orch $arguments"
        [ "$status" -eq 2 ]
        [[ "$output" == *"orch-sandbox"* ]]
        nothing_ran
        [ -z "$(ls -A "$WS")" ]
    done <<'END'

no-such-command
''
Run "$f"
-x
run
run "$f" "$f"
run --no-such-option "$f"
run --workspace
run --state '' "$f"
run --run-id ../x --workspace "$WS" --state "$STATE" "$f"
run --run-id .hidden --workspace "$WS" --state "$STATE" "$f"
run --run-id $'a\nb' --workspace "$WS" --state "$STATE" "$f"
run --until nophase --workspace "$WS" --state "$STATE" "$f"
run --skip work --reason x --workspace "$WS" --state "$STATE" "$f"
run --force-gate work/gate --reason x --workspace "$WS" --state "$STATE" "$f"
run --report junit:x --workspace "$WS" --state "$STATE" "$f"
run -x "$f"
resume
resume --state "$STATE" no-such-run
resume --state "$STATE" ../../etc
resume --state "$STATE" $'a\nb'
verify --state "$STATE" no-such-run
verify
audit
status --state "$STATE" a b
status --state "$STATE"
version x
help run exec
policy nonsense
policy check
policy show
policy show plan base
policy show --no-such-option plan
policy explain plan
policy test
policy diff plan
policy groups @nonsense
policy schema nonsense
END
    # A run id that is taken; the run it names is not touched.
    orch run --run-id mine --workspace "$WS" --state "$STATE" "$f"
    [ "$status" -eq 0 ]
    sha256sum "$STATE/runs/mine/journal.jsonl" >"$T/sum"
    orch run --run-id mine --workspace "$WS" --state "$STATE" "$f"
    [ "$status" -eq 2 ]
    sha256sum -c "$T/sum"
    # Control: options may stand behind the argument, and -- ends them.
    orch run "$f" --workspace "$WS" --state "$STATE" --run-id again
    [ "$status" -eq 0 ]
    orch run --workspace "$WS" --state "$STATE" -- "$f"
    [ "$status" -eq 0 ]
}

@test "a_rule_that_shows_the_state_directory_is_refused_at_its_place" {
    dir=$(mktemp -d /var/tmp/orch-test.XXXXXX) # no rule can show what lies in /tmp
    mkdir "$dir/state" "$dir/other"
    ln -s "$dir/state" "$dir/link"
    one_phase idle ./shows.json "$PASS"
    for path in "$dir" "$dir/state" "$dir/link" "$dir/other"; do
        printf '{"schema":1,"name":"shows","extends":"plan","widen":"test",\n "filesystem":[{"path":"%s","access":"ro"}]}' "$path" >"$W/shows.json"
        orch run --workspace "$WS" --state "$dir/state" --run-id "${path##*/}" "$W/workflow.json"
        if [ "$path" = "$dir/other" ]; then # control
            [ "$status" -eq 0 ]
        else
            [ "$status" -eq 2 ]
            [[ "$output" == *"/shows.json:2:16: error: this shows the state directory '$dir/state' to the agent; give --state DIR elsewhere (at /filesystem/0)"* ]]
            [[ "$output" != *agent-ran* ]]
        fi
    done
}
