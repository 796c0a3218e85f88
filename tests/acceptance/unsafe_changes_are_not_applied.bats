#!/usr/bin/env bats
# What would run by itself, or lead out, never reaches the real workspace: not by a lenient profile, and not by a strict one.
load ../lib/common
load ../lib/workflow

setup_file() { need_sandbox; }

setup() {
    orch_setup
    workflow_setup
    umask 022
    export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
    # The write itself is allowed everywhere, so that only apply stands in the way.
    profile open '{"schema": 1, "name": "open", "extends": "base", "widen": "only apply stands in the way",
        "tools": ["@parent", "git", "python3"], "filesystem": [{"path": "${workspace}", "access": "rw"}]}'
}

teardown() { orch_teardown; }

PASS='{"type": "command", "name": "gate", "run": ["true"]}'

# A repository as git init leaves it, without needing git.
make_git() {
    mkdir -p "$1/.git/hooks" "$1/.git/info" "$1/.git/refs/heads" "$1/.git/objects"
    printf '[core]\n\trepositoryformatversion = 0\n' >"$1/.git/config"
    echo 'ref: refs/heads/main' >"$1/.git/HEAD"
    echo '# patterns' >"$1/.git/info/exclude"
    printf '#!/bin/sh\n' >"$1/.git/hooks/pre-commit"
}

unchanged() {
    snapshot "$WS" >"$T/after"
    same "$T/before" "$T/after"
}

# refused PATH SCRIPT: an agent that passes its gates and does SCRIPT ends with 1, "unsafe", the path named, nothing written.
refused() {
    printf 'cd "${ORCH_WORKSPACE:-.}" || exit 9\necho harmless >harmless\n%s\necho done\n' "$2" | agent maker
    one_phase maker ./open.json "$PASS"
    snapshot "$WS" >"$T/before"
    orch_run
    grep -qx done "$RUNDIR/logs/work.1.out"
    [ "$(verdict gate)" = pass ]
    [ "$status" -eq 1 ]
    [[ "$output" == *unsafe* ]]
    [[ "$output" == *"$1"* ]]
    [ "$(jq -r 'select(.event == "end") | .verdict' "$RUNDIR/journal.jsonl")" = unsafe ]
    unchanged
    orch_resume
    [ "$status" -eq 1 ]
    unchanged
}

@test "git_hooks_and_configuration_are_not_applied" {
    make_git "$WS"
    refused .git/hooks/post-checkout "printf '#!/bin/sh\\n' >.git/hooks/post-checkout"
    refused .git/hooks/pre-commit "echo evil >>.git/hooks/pre-commit"
    refused .git/hooks/pre-commit "chmod 0755 .git/hooks/pre-commit"
    refused .git/config "printf '[core]\\n\\tfsmonitor = evil\\n' >>.git/config"
    refused .git/config "ln .git/config x && echo evil >>x"
    refused .git/config.worktree "echo evil >.git/config.worktree"
    refused .git/info/attributes "echo '* filter=evil' >.git/info/attributes"
    refused .git/info/exclude "echo '*' >>.git/info/exclude"
    refused .git/modules "mkdir -p .git/modules/m/hooks && echo evil >.git/modules/m/hooks/x"
    refused .git/commondir "echo ../../elsewhere >.git/commondir"
    refused .git/gitdir "echo elsewhere >.git/gitdir"
    refused .git/worktrees/w/config.worktree "mkdir -p .git/worktrees/w && echo evil >.git/worktrees/w/config.worktree"
    # Control: what git itself writes when somebody commits.
    agent maker <<'END'
echo x >.git/objects/x && echo y >.git/refs/heads/topic && echo z >.git/index && echo w >work
END
    one_phase maker ./open.json "$PASS"
    orch_run
    [ "$status" -eq 0 ]
    [ "$(cat "$WS/.git/refs/heads/topic" "$WS/work")" = "$(printf 'y\nw')" ]
}

@test "git_directories_that_were_not_there_or_changed_type_are_not_applied" {
    make_git "$WS"
    make_git "$WS/sub"
    refused sub/.git/hooks/evil "echo evil >sub/.git/hooks/evil"
    refused vendor/lib/.git "mkdir -p vendor/lib/.git/hooks && echo evil >vendor/lib/.git/hooks/x"
    refused .git "echo 'gitdir: elsewhere' >.gitnew && mv .git old && mv .gitnew .git"
    refused sub/.git "mv sub/.git sub/git && ln -s git sub/.git"
    refused other/.git "mkdir other && echo 'gitdir: ../sub/.git' >other/.git"
    refused .git "rm -r .git"
    refused moved/.git "mv sub moved"
    # A directory of any name is a repository to git.
    refused bare "mkdir -p bare/refs bare/objects bare/hooks && echo 'ref: refs/heads/x' >bare/HEAD && echo x >bare/config"
    # A file system that ignores case would make these the real ones.
    refused .GIT/hooks "mkdir -p c/.GIT/hooks && echo evil >c/.GIT/hooks/x"
}

@test "t_fs_12_repository_made_by_git_init_is_not_applied_but_a_commit_is" {
    need git
    git -c init.defaultBranch=main init -q "$WS"
    git -C "$WS" config user.name test
    git -C "$WS" config user.email test@example.com
    echo one >"$WS/file"
    git -C "$WS" add file
    git -C "$WS" commit -qm first
    refused nested/.git "git init -q nested"
    refused .git/config "git config alias.x '!touch owned'"
    refused .git/config "git config core.hooksPath hooks"
    agent committer <<'END'
set -e
echo two >file
git commit -qam second
git branch topic
git status --porcelain
END
    one_phase committer ./open.json "$PASS"
    orch_run
    [ "$status" -eq 0 ]
    [ "$(git -C "$WS" log --format=%s | tr '\n' ' ')" = 'second first ' ]
    git -C "$WS" fsck --strict
    [ -z "$(git -C "$WS" status --porcelain)" ]
}

@test "t_fs_01_names_that_run_by_themselves_are_not_applied_at_any_depth" {
    mkdir -p "$WS/.vscode" "$WS/deep"
    echo '{}' >"$WS/.vscode/settings.json"
    echo old >"$WS/.envrc"
    for name in .gitmodules .mcp.json; do
        refused "$name" "echo evil >$name"
        refused "a/b/c/$name" "mkdir -p a/b/c && echo evil >a/b/c/$name"
    done
    for name in .claude/settings.json .codex/config.toml .github/workflows/ci.yml; do
        refused "$name" "mkdir -p \$(dirname $name) && echo evil >$name"
        refused "deep/$name" "mkdir -p deep/\$(dirname $name) && echo evil >deep/$name"
    done
    refused .vscode/tasks.json "echo evil >.vscode/tasks.json"
    refused .vscode/settings.json "echo evil >>.vscode/settings.json"
    refused .vscode "chmod 0777 .vscode"
    refused .envrc "echo evil >>.envrc"
    refused .envrc "rm .envrc"
    refused .envrc "echo evil >x && mv x .envrc"
    refused .claude "ln -s deep .claude"
    refused .Claude "mkdir .Claude"
    refused empty/.codex "mkdir -p empty/.codex"
    # Control: names that only look alike.
    agent maker <<'END'
for name in .envrc.sample envrc .github.md x.mcp.json .gitmodules2 .gitignore; do echo x >$name; done
mkdir -p claude/.vscodes
END
    one_phase maker ./open.json "$PASS"
    orch_run
    [ "$status" -eq 0 ]
    [ -e "$WS/.gitignore" ]
    [ -d "$WS/claude/.vscodes" ]
}

@test "symlinks_out_of_the_workspace_are_not_applied" {
    mkdir -p "$WS/a/b" "$WS/in"
    refused link "ln -s /etc/passwd link"
    refused link "ln -s / link"
    refused link "ln -s ../.. link"
    refused a/b/link "ln -s ../../../x a/b/link"
    refused a/b/link "ln -s ../../in/../../x a/b/link"
    refused two "ln -s in one && ln -s one/../.. two"
    refused out "ln -s .. a/up && ln -s a/up/../x out"
    refused link "ln -s \"\$PWD/in\" link" # absolute, though it leads inside
    refused in "rmdir in && ln -s /tmp in"
    refused loop "ln -s loop loop"
    # Control: inside.
    agent maker <<'END'
ln -s in link && ln -s ../../in a/b/link && ln -s nowhere dangling && ln -s ../a/b/../../in in/self
END
    one_phase maker ./open.json "$PASS"
    orch_run
    [ "$status" -eq 0 ]
    [ "$(readlink "$WS/a/b/link")" = ../../in ]
}

@test "t_ns_04_setuid_bits_fifos_sockets_and_devices_never_arrive" {
    agent maker <<'END'
cd "${ORCH_WORKSPACE:-.}" || exit 9
case $WHAT in
setuid) echo x >suid && chmod 4755 suid && echo made ;;
setgid) echo x >sgid && chmod 2755 sgid && echo made ;;
fifo) mkfifo fifo && echo made ;;
socket) python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")' && echo made ;;
device) mknod device c 1 3 && echo made ;;
esac
echo done >done
END
    one_phase maker ./open.json "$PASS"
    for what in setuid setgid fifo socket device; do
        [ "$what" != socket ] || command -v python3 >/dev/null || continue
        sed -i 's|"command": \["./maker"\].*|"command": ["./maker"], "env": {"WHAT": "'"$what"'"}},|' "$W/workflow.json"
        rm -f "$WS/done" "$WS/suid" "$WS/sgid"
        snapshot "$WS" >"$T/before"
        orch_run
        # Refused at the call and on record, and the run goes on without it; or found at the seal, and nothing goes on.
        if [ "$status" -eq 0 ]; then
            refute grep -qx made "$RUNDIR/logs/work.1.out"
            [ "$(jq -s '[.[] | select(.event == "denial")] | length' "$RUNDIR/audit.jsonl")" -ge 1 ]
            [ -e "$WS/done" ]
        else
            [ "$status" -eq 1 ]
            [ "$(jq 'select(.event == "seal") | .clean' "$RUNDIR/audit.jsonl")" = false ]
            unchanged
        fi
        [ -z "$(find "$WS" \( -type p -o -type s -o -type c -o -type b -o -perm /6000 \))" ]
    done
    # Control: outside, they can be made.
    mkdir "$T/outside"
    for what in setuid setgid fifo; do
        run env ORCH_WORKSPACE="$T/outside" WHAT=$what sh "$W/maker"
        [[ "$output" == *made* ]]
    done
}

@test "apply_allow_lifts_a_single_protection_and_says_why" {
    echo old >"$WS/.envrc"
    agent maker <<'END'
echo new >.envrc && echo ok >harmless
[ -z "${MORE:-}" ] || { echo evil >.mcp.json; mkdir -p sub; echo evil >sub/.envrc; }
END
    one_phase maker ./open.json "$PASS" '' '"apply": {"allow": [".envrc"], "reason": "kept up to date by the agent"}'
    orch_run
    [ "$status" -eq 0 ]
    [ "$(cat "$WS/.envrc")" = new ]

    sed -i 's|"./maker"\]|&, "env": {"MORE": "1"}|' "$W/workflow.json"
    echo old >"$WS/.envrc"
    snapshot "$WS" >"$T/before"
    orch_run
    [ "$status" -eq 1 ]
    [[ "$output" == *.mcp.json* ]]
    [[ "$output" == *sub/.envrc* ]]
    refute grep -E '^unsafe: \.envrc' <<<"$output"
    unchanged

    sed -i 's|\[".envrc"\]|[".envrc", "**/.envrc", ".mcp.json"]|' "$W/workflow.json"
    orch_run
    [ "$status" -eq 0 ]
    [ -e "$WS/.mcp.json" ]

    # Without a reason it is no decision.
    sed -i 's|, "reason": "[^"]*"||' "$W/workflow.json"
    orch_run
    [ "$status" -eq 2 ]
    [[ "$output" == *"workflow.json:"*reason* ]]
}

# Everything a built-in profile protects, one line of shell each; "PATH: COMMAND".
protected_writes() {
    cat <<'END'
.git/hooks/post-checkout: printf '#!/bin/sh\n' >.git/hooks/post-checkout
.git/hooks/pre-commit: echo evil >>.git/hooks/pre-commit
.git/hooks/pre-commit: chmod 0755 .git/hooks/pre-commit
.git/hooks/pre-commit: rm -f .git/hooks/pre-commit
.git/config: echo evil >>.git/config
.git/config: truncate -s 0 .git/config
.git/config: cp harmless .git/config
.git/config: ln .git/config linked && echo evil >>linked
.git: mv .git moved
.git: rmdir .git
sub/.git/config: echo evil >>sub/.git/config
sub: mv sub moved
new/.git: mkdir -p new/.git
.gitmodules: echo evil >.gitmodules
.envrc: echo evil >.envrc
deep/.envrc: mkdir -p deep && echo evil >deep/.envrc
deep/.envrc: mkdir -p deep && echo evil >deep/x && mv deep/x deep/.envrc
deep/.envrc: mkdir -p deep && echo evil >deep/y && ln deep/y deep/.envrc
.mcp.json: echo evil >.mcp.json
.claude: mkdir .claude
.codex: mkdir .codex
.vscode/tasks.json: echo evil >.vscode/tasks.json
.vscode: mv .vscode old
.github: mkdir -p .github/workflows
END
}

@test "t_fs_01_built_in_profiles_refuse_at_once_and_put_it_on_record" {
    make_git "$WS"
    make_git "$WS/sub"
    mkdir "$WS/.vscode"
    echo '{}' >"$WS/.vscode/settings.json"
    cp -a "$WS" "$T/copy"
    {
        echo 'cd "${ORCH_WORKSPACE:-.}" || exit 9'
        echo 'echo harmless >harmless'
        n=0
        protected_writes | while IFS= read -r line; do
            n=$((n + 1))
            printf '( %s ) 2>/dev/null && echo "%d: succeeded" || echo "%d: refused"\n' "${line#*: }" $n $n
        done
    } | agent attacker
    for name in plan implement; do
        rm -rf "$WS"
        cp -a "$T/copy" "$WS"
        snapshot "$WS/.git" >"$T/before"
        one_phase attacker $name "$PASS"
        orch_run
        n=0
        while IFS= read -r line; do
            n=$((n + 1)) path=${line%%: *}
            if grep -qx "$n: refused" "$RUNDIR/logs/work.1.out"; then
                jq -e --arg p "$WS/$path" -s 'any(.[]; .event == "denial" and .class == "filesystem" and .errno == "EACCES" and
                    (.path == $p or .path2 == $p or (.path | startswith($p + "/"))))' "$RUNDIR/audit.jsonl" >/dev/null ||
                    { echo "no record: $line"; false; }
            else # what gets past the call is caught at the seal
                echo "not refused at once: $line"
                [ "$status" -eq 1 ]
                jq -e --arg p "$path" 'select(.event == "seal" and (.clean | not)) | .problems | any(contains($p))' \
                    "$RUNDIR/audit.jsonl" >/dev/null
            fi
        done < <(protected_writes)
        snapshot "$WS/.git" >"$T/after"
        same "$T/before" "$T/after"
        diff -r "$T/copy/sub" "$WS/sub"
        diff -r "$T/copy/.vscode" "$WS/.vscode"
        for path in .gitmodules .envrc deep/.envrc .mcp.json .claude .codex .github new/.git; do
            [ ! -e "$WS/$path" ]
        done
        if [ "$status" -eq 0 ]; then # control: what is permitted arrives
            [ "$(cat "$WS/harmless")" = harmless ]
        fi
    done
    # Control: unconfined, each succeeds where its object is still there.
    (cd "$T/copy" && sh "$W/attacker") >"$T/unconfined"
    [ "$(grep -c succeeded "$T/unconfined")" -ge 18 ]
}

@test "seal_check_catches_what_is_made_where_the_profile_gives_no_write" {
    # The parent of a path that may not be written, made and filled in one call after the other as fast as possible.
    mkdir "$WS/keep"
    echo keep >"$WS/keep/file"
    profile narrow '{"schema": 1, "name": "narrow", "extends": "plan", "tools": ["@parent", "python3"], "widen": "python",
        "create": ["file", "directory"],
        "filesystem": [{"path": "${workspace}/keep", "access": "ro"}, {"path": "${workspace}/secret", "access": "none"}]}'
    agent attacker <<'END'
echo evil >keep/file; echo evil >keep/new; rm -rf keep; mv keep moved; mkdir secret; ln -s x link; mkfifo pipe
echo fine >fine
END
    one_phase attacker ./narrow.json "$PASS"
    snapshot "$WS/keep" >"$T/before"
    orch_run
    snapshot "$WS/keep" >"$T/after"
    same "$T/before" "$T/after"
    [ ! -e "$WS/secret" ]
    [ ! -L "$WS/link" ]
    [ ! -p "$WS/pipe" ]
    if [ "$status" -eq 0 ]; then
        [ "$(cat "$WS/fine")" = fine ]
        for path in keep/file keep/new secret link pipe; do
            [ "$(jq -s --arg p "$WS/$path" '[.[] | select(.event == "denial" and .path == $p)] | length' "$RUNDIR/audit.jsonl")" -ge 1 ]
        done
    else
        [ "$status" -eq 1 ]
        [ "$(jq 'select(.event == "seal") | .clean' "$RUNDIR/audit.jsonl")" = false ]
    fi
}

@test "t_sc_09_path_rewritten_behind_the_judge_is_caught_by_the_seal" {
    need python3
    # One thread asks for a harmless name, another one rewrites it in memory between judgement and execution.
    cat >"$W/racer.py" <<'END'
import ctypes, os, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
good, bad = b"harmless", b".envrc\0\0"
name = ctypes.create_string_buffer(good)
stop = False
def rewrite():
    while not stop:
        ctypes.memmove(name, bad, 8)
        ctypes.memmove(name, good, 8)
threading.Thread(target=rewrite, daemon=True).start()
sys.setswitchinterval(1e-6)
end = time.time() + 20
tries = 0
while time.time() < end and not os.path.lexists(".envrc"):
    tries += 1
    fd = libc.open(name, os.O_CREAT | os.O_WRONLY, 0o644)
    if fd >= 0:
        os.close(fd)
stop = True
print("won" if os.path.lexists(".envrc") else "lost", "after", tries, flush=True)
END
    cp "$W/racer.py" "$WS/racer.py"
    agent racer <<'END'
exec python3 racer.py
END
    one_phase racer implement "$PASS" '"attempts": 2, "on_retry": "keep"' '"max_denials": 100000000'
    orch_run
    [ ! -e "$WS/.envrc" ]
    grep -q '^won' "$RUNDIR"/logs/work.*.out || skip "the race was not won"
    [ "$status" -eq 1 ]
    [ "$(verdict gate)" = pass ]
    [ "$(jq -r 'select(.event == "seal" and (.clean | not)) | .problems[0]' "$RUNDIR/audit.jsonl" | grep -c '\.envrc')" -ge 1 ]
    [ "$(ls -A "$WS")" = racer.py ]
}
