#!/usr/bin/env bats
# The verb diff: what a run would change, with names and contents that an agent chose.
load ../lib/common
load ../lib/workflow

setup_file() { need_sandbox; }

setup() {
    orch_setup
    workflow_setup
    umask 022
}

teardown() {
    [ -z "${pid:-}" ] || kill -KILL "$pid" 2>/dev/null || :
    orch_teardown
}

MADE='{"type": "file", "path": "made"}'

# diff_of [ARGUMENT...]: $status, standard output in $T/diff, standard error in $T/err.
diff_of() {
    status=0
    timeout -k 5 120 "$ORCH" diff --state "$STATE" "$@" >"$T/diff" 2>"$T/err" 3>&- || status=$?
    echo "status $status"
    head -c 5000 "$T/diff"
    cat "$T/err"
}

# One phase: the agent of standard input changes what it wants, and is not applied.
change() {
    agent changer
    one_phase changer implement "$MADE"
    orch_run --no-apply --quiet
    [ "$status" -eq 0 ]
}

# No line of the diff holds anything but printable ASCII and tabs.
printable() {
    refute env LC_ALL=C grep -qa $'[^\t -~]' "$T/diff" "$T/err"
}

nothing_left() {
    [ -z "$(ls -A "$STATE/exec" 2>/dev/null)" ]
}

@test "diff_shows_text_as_unified_and_everything_else_in_a_line" {
    cd "$WS"
    printf 'a\nb\nc\n' >text
    echo old >gone
    mkdir -p tree/sub
    echo 1 >tree/sub/one
    echo 2 >tree/two
    ln -s before link
    ln -s target dropped
    echo x >becomes-directory
    mkdir becomes-file
    echo mode >mode
    printf 'b\0in' >binary
    head -c 5242880 /dev/zero >zeros
    seq 800000 >numbers
    change <<'END'
echo x >made
printf 'a\nB\nc\n\tend' >text
rm -rf gone tree dropped
ln -sf after link
ln -s /etc/passwd made-link
rm becomes-directory && mkdir -m 0711 becomes-directory && echo in >becomes-directory/file
rmdir becomes-file && echo now >becomes-file
chmod 0755 mode
printf 'b\0xx' >binary
echo >>zeros
echo >>numbers
: >empty
exit 0
END
    diff_of "$RUN"
    [ "$status" -eq 1 ]
    [ ! -s "$T/err" ]
    diff - "$T/diff" <<'END'
replaced file 'becomes-directory' (mode 0644, 2 bytes) by directory (mode 0711)
created file 'becomes-directory/file' (mode 0644, 3 bytes)
--- /dev/null
+++ b/becomes-directory/file
@@ -0,0 +1 @@
+in
replaced directory 'becomes-file' (mode 0755) by file (mode 0644, 4 bytes)
modified file 'binary' (4 bytes, binary)
deleted symlink 'dropped' -> 'target'
created file 'empty' (mode 0644, 0 bytes)
deleted file 'gone' (mode 0644, 4 bytes)
--- a/gone
+++ /dev/null
@@ -1 +0,0 @@
-old
modified symlink 'link': 'before' -> 'after'
created file 'made' (mode 0644, 2 bytes)
--- /dev/null
+++ b/made
@@ -0,0 +1 @@
+x
created symlink 'made-link' -> '/etc/passwd'
modified file 'mode' (mode 0644 -> 0755, 5 bytes, same content)
modified file 'numbers' (5488895 -> 5488896 bytes, too large to show)
modified file 'text' (6 -> 10 bytes)
--- a/text
+++ b/text
@@ -1,3 +1,4 @@
 a
-b
+B
 c
+	end
\ No newline at end of file
deleted directory 'tree' (mode 0755)
deleted directory 'tree/sub' (mode 0755)
deleted file 'tree/sub/one' (mode 0644, 2 bytes)
--- a/tree/sub/one
+++ /dev/null
@@ -1 +0,0 @@
-1
deleted file 'tree/two' (mode 0644, 2 bytes)
--- a/tree/two
+++ /dev/null
@@ -1 +0,0 @@
-2
modified file 'zeros' (5242880 -> 5242881 bytes, binary)
END
    nothing_left
}

@test "t_tty_05_diff_escapes_names_targets_and_contents" {
    change <<'END'
echo x >made
n=$(printf 'n\n\033]0;title\007\342\200\256\377')
printf 'c\033[2J\r\302\233\342\200\256\377\000?\t\\\n' >control
printf 'first\nsecond\033[31m\n' >"$n"
mkdir "$n-directory"
ln -s "$n" named
printf x >"q' (mode 0000)"
exit 0
END
    # A NUL this early makes it binary; that file is shown with its NUL further back.
    diff_of "$RUN"
    [ "$status" -eq 1 ]
    printable
    grep -qxF "created file 'control' (mode 0644, 17 bytes, binary)" "$T/diff"
    grep -qxF '+second\u001b[31m' "$T/diff"
    name='n\u000a\u001b]0;title\u0007\u202e\xff'
    grep -qxF "+++ b/$name" "$T/diff"
    grep -qxF "created directory '$name-directory' (mode 0755)" "$T/diff"
    grep -qxF "created symlink 'named' -> '$name'" "$T/diff"
    grep -qxF "created file 'q\\x27 (mode 0000)' (mode 0644, 1 bytes)" "$T/diff"
    [ "$(grep -c "^created" "$T/diff")" -eq 6 ]
    # The same bytes as text, a NUL behind the first 8000 bytes, and a line of a megabyte.
    change <<'END'
echo x >made
printf '\033[2J\r\302\233\342\200\256\377\t\\\n' >control
{ head -c 8000 /dev/zero | tr '\0' z; printf '\000behind\n'; } >late
head -c 1000000 /dev/zero | tr '\0' '\033' >long
exit 0
END
    diff_of "$RUN"
    [ "$status" -eq 1 ]
    printable
    grep -qxF '+\u001b[2J\u000d\u009b\u202e\xff'$'\t''\\' "$T/diff"
    grep -q '^+z*\\u0000behind$' "$T/diff"
    [ "$(grep -c '^+\(\\u001b\)\{1,\}$' "$T/diff")" -eq 1 ]
    [ "$(awk '{ if (length($0) > max) max = length($0) } END { print max }' "$T/diff")" -eq 6000001 ]
    nothing_left
}

@test "diff_cannot_be_led_astray_by_names_and_contents" {
    change <<'END'
echo x >made
lines='=1\n=2\n!1\n.\n--- a/forged\n+++ b/forged\n@@ -1 +1 @@\n-- a/x\n++ b/x\ncreated file\n'
printf "$lines" >'=1'
printf "$lines" >-u
printf "$lines" >'--help'
printf "$lines" >'*'
printf "$lines" >'$(touch made-by-shell)'
mkdir old new
printf "$lines" >old/1
printf "$lines" >new/1
exit 0
END
    diff_of "$RUN"
    [ "$status" -eq 1 ]
    [ ! -s "$T/err" ]
    [ "$(grep -c '^created file ' "$T/diff")" -eq 8 ]
    # Every line of every file is there, marked as one that was added.
    for line in '+=1' '+=2' '+!1' '+.' '+--- a/forged' '++++ b/forged' '+@@ -1 +1 @@' '+-- a/x' '+++ b/x' '+created file'; do
        [ "$(grep -cxF -- "$line" "$T/diff")" -eq 7 ]
    done
    for name in '=1' -u --help '*' '$(touch made-by-shell)' old/1 new/1; do
        grep -qxF -- "+++ b/$name" "$T/diff"
    done
    [ ! -e "$WS/made-by-shell" ]
}

@test "diff_compares_no_more_than_64_mib_of_text_and_names_the_rest" {
    change <<'END'
echo x >made
head -c 1040000 /dev/zero | tr '\0' x | fold -w 2000 >f-1
i=1
while [ $i -lt 66 ]; do
    i=$((i + 1))
    cp f-1 f-$i
done
exit 0
END
    diff_of "$RUN" >/dev/null
    [ "$status" -eq 1 ]
    [ ! -s "$T/err" ]
    [ "$(grep -c '^created file ' "$T/diff")" -eq 67 ]
    left=$(grep -c '^created file .*not shown' "$T/diff")
    echo "left out: $left"
    [ "$left" -ge 1 ]
    [ "$left" -le 3 ]
    [ "$(grep -c '^+++ b/' "$T/diff")" -eq $((67 - left)) ]
    grep -qxF '+++ b/made' "$T/diff" # what still fits is shown, whatever came before it
}

@test "diff_of_a_phase_is_against_what_the_phases_before_it_left" {
    agent step <<'END'
echo "$ORCH_PHASE" >>made
echo "$ORCH_PHASE" >"only-$ORCH_PHASE"
exit 0
END
    cat >"$W/workflow.json" <<JSON
{"schema": 1, "name": "two", "agent": {"command": ["./step"]}, "phases": [
  {"name": "one", "profile": "plan", "gates": [$MADE]},
  {"name": "two", "profile": "plan", "gates": [$MADE]},
  {"name": "last", "profile": "plan", "gates": [$MADE]}]}
JSON
    orch_run --until two
    [ "$status" -eq 5 ]
    diff_of "$RUN" one
    [ "$status" -eq 1 ]
    diff <(printf '+%s\n' one one) <(grep '^+[^+]' "$T/diff")
    diff_of "$RUN" two
    [ "$status" -eq 1 ]
    grep -qxF "modified file 'made' (4 -> 8 bytes)" "$T/diff"
    diff <(printf '%s\n' ' one' '+two' '+two') <(grep '^[ +][^+]' "$T/diff")
    refute grep -q only-one "$T/diff"
    diff_of "$RUN" # all of it
    [ "$status" -eq 1 ]
    diff <(printf '+%s\n' one two one two) <(grep '^+[^+]' "$T/diff")
    diff_of "$RUN" last # has not begun
    [ "$status" -eq 0 ]
    [ ! -s "$T/diff" ]
    grep -q 'no sealed layer' "$T/err"
    diff_of "$RUN" tow
    [ "$status" -eq 2 ]
    grep -q 'one, two, last' "$T/err"
    [ ! -s "$T/diff" ]
    # Once it is applied nothing differs, and that is said.
    orch_resume
    [ "$status" -eq 0 ]
    diff_of "$RUN"
    [ "$status" -eq 0 ]
    [ ! -s "$T/diff" ]
    grep -q 'applied already' "$T/err"
    echo edited >>"$WS/made"
    diff_of "$RUN"
    [ "$status" -eq 1 ]
    grep -qxF -- '-edited' "$T/diff"
}

@test "diff_of_a_run_that_goes_on_shows_what_is_sealed" {
    agent slow <<'END'
echo "$ORCH_PHASE" >>made
[ "$ORCH_PHASE" = first ] && exit 0
echo unjudged >unjudged
echo started
sleep 50
END
    cat >"$W/workflow.json" <<JSON
{"schema": 1, "name": "two", "agent": {"command": ["./slow"]}, "phases": [
  {"name": "first", "profile": "plan", "gates": [$MADE]},
  {"name": "work", "profile": "plan", "gates": [$MADE]}]}
JSON
    orch_start
    until_printed started
    diff_of "$RUN"
    [ "$status" -eq 1 ]
    grep -qxF '+first' "$T/diff"
    refute grep -q unjudged "$T/diff"
    grep -q 'not judged' "$T/err"
    kill -0 "$pid"
    kill -KILL "$pid"
    wait "$pid" || :
    pid=
    diff_of "$RUN" # cut off
    [ "$status" -eq 1 ]
    grep -qxF '+first' "$T/diff"
    nothing_left
}

@test "diff_shows_no_layer_that_is_not_the_judged_one" {
    change <<'END'
echo x >made
exit 0
END
    cp -a "$RUNDIR/layers" "$T/layers"
    echo forged >"$RUNDIR/layers/work.1/upper/made"
    diff_of "$RUN"
    [ "$status" -eq 7 ]
    [ ! -s "$T/diff" ]
    grep -q 'work.1 is not the one that was judged' "$T/err"
    rm -rf "$RUNDIR/layers"
    mkdir "$RUNDIR/layers"
    diff_of "$RUN"
    [ "$status" -eq 2 ]
    grep -q 'were removed' "$T/err"
    rmdir "$RUNDIR/layers"
    cp -a "$T/layers" "$RUNDIR/layers"
    diff_of "$RUN" # control
    [ "$status" -eq 1 ]
    sed -i '2s/"attempt"/"attempX"/' "$RUNDIR/journal.jsonl"
    diff_of "$RUN"
    [ "$status" -eq 7 ]
    diff_of no-such-run
    [ "$status" -eq 2 ]
    mkdir -p "$STATE/runs/unbegun/layers"
    diff_of unbegun
    [ "$status" -eq 2 ]
}

# without_sandboxes COMMAND...: where no namespace can be made. As root in a user namespace that has all its users.
without_sandboxes() {
    local stop='echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"' child
    if [ "$(id -u)" -ne 0 ]; then
        unshare -Ur sh -c "$stop" sh "$@" 3>&-
        return
    fi
    mkfifo "$T/go"
    # A program started before the users are mapped has no capabilities: hence the second sh.
    unshare -U sh -c 'read -r _ <"$1"; shift; exec sh -c "$@"' sh "$T/go" "$stop" sh "$@" 3>&- &
    child=$!
    for _ in $(seq 2000); do
        [ "$(readlink "/proc/$child/ns/user")" = "$(readlink /proc/self/ns/user)" ] || break
        sleep 0.02
    done
    echo '0 0 100000' >"/proc/$child/uid_map"
    echo '0 0 100000' >"/proc/$child/gid_map"
    echo >"$T/go"
    wait "$child"
}

@test "diff_without_a_sandbox_lists_names_and_sizes_and_says_why" {
    change <<'END'
echo secret-content >made
mkdir sub
exit 0
END
    status=0
    without_sandboxes timeout -k 5 60 "$ORCH" diff --state "$STATE" "$RUN" >"$T/diff" 2>"$T/err" || status=$?
    cat "$T/diff" "$T/err"
    [ "$status" -eq 2 ]
    grep -qxF "created file 'made' (mode 0644, 15 bytes)" "$T/diff"
    grep -qxF "created directory 'sub' (mode 0755)" "$T/diff"
    refute grep -q secret-content "$T/diff"
    [ "$(grep -c '^orch-sandbox: ' "$T/err")" -eq 1 ]
    nothing_left
    diff_of "$RUN" # control
    [ "$status" -eq 1 ]
    grep -qxF '+secret-content' "$T/diff"
}

@test "diff_leaves_nothing_behind_however_it_ends" {
    change <<'END'
echo x >made
i=0
while [ $i -lt 300 ]; do
    i=$((i + 1))
    seq $i $((i + 5000)) >file-$i
done
exit 0
END
    # The reader goes away.
    timeout 60 "$ORCH" diff --state "$STATE" "$RUN" 2>"$T/err" | head -c 100 >/dev/null
    [ ! -s "$T/err" ]
    nothing_left
    # There is no room for what is printed.
    code=0
    timeout 60 "$ORCH" diff --state "$STATE" "$RUN" >/dev/full 2>"$T/err" || code=$?
    [ "$code" -eq 2 ]
    grep -q 'No space left' "$T/err"
    nothing_left
    # A signal comes, while a reader that takes nothing holds it up.
    mkfifo "$T/pipe"
    env --default-signal=INT "$ORCH" diff --state "$STATE" "$RUN" >"$T/pipe" 2>"$T/err" 3>&- &
    pid=$!
    exec 4<"$T/pipe"
    for _ in $(seq 2000); do [ -z "$(ls -A "$STATE/exec" 2>/dev/null)" ] || break; sleep 0.02; done
    sleep 0.5
    kill -INT "$pid"
    code=0
    wait "$pid" || code=$?
    pid=
    exec 4<&-
    [ "$code" -eq 130 ]
    nothing_left
    # Killed: the next one sweeps up, and nothing runs on.
    "$ORCH" diff --state "$STATE" "$RUN" >"$T/pipe" 2>/dev/null 3>&- &
    pid=$!
    exec 4<"$T/pipe"
    for _ in $(seq 2000); do [ -z "$(ls -A "$STATE/exec" 2>/dev/null)" ] || break; sleep 0.02; done
    kill -KILL "$pid"
    wait "$pid" || :
    pid=
    exec 4<&-
    no_agent_left "$STATE/exec"
    left=$(ls -A "$STATE/exec")
    [ -n "$left" ]
    touch -d '2 minutes ago' "$STATE/exec/$left"
    diff_of "$RUN"
    [ "$status" -eq 1 ]
    nothing_left
    [ "$(grep -c '^created file' "$T/diff")" -eq 301 ]
    [ "$(grep -c '^+[0-9]' "$T/diff")" -eq $((300 * 5001)) ]
}
