#!/usr/bin/env bats
# Rules for system calls as the kernel holds them, what is on record of them, and the cache of compiled filters.
load ../lib/common

setup() {
    orch_setup
    mkdir "$T/bin"
    cp "$HELPERS/attack" "$T/bin/attack"
    cat >"$T/p.json" <<END
{"schema": 1, "name": "ruled", "extends": "base", "widen": "the program that tries, and what it tries",
 "tools": ["@parent", {"name": "attack", "path": "$T/bin/attack"}],
 "syscalls": {"rules": [
   {"syscalls": ["setpriority"], "action": "errno", "errno": "EDOM", "args": [{"index": 2, "op": "ge", "value": 20}]},
   {"syscalls": ["lseek"], "action": "errno", "errno": "EXDEV", "args": [{"index": 2, "op": "in", "value": [7, 9]}]},
   {"syscalls": ["lseek"], "action": "kill_process", "args": [{"index": 2, "op": "eq", "value": 11}]},
   {"syscalls": ["flock"], "action": "errno", "errno": "ENOLCK", "args": [{"index": 1, "op": "subset_of", "value": 3}]},
   {"syscalls": ["madvise"], "action": "errno", "errno": "ENODATA", "args": [{"index": 2, "op": "ne", "value": 4}]},
   {"syscalls": ["getpgid"], "action": "log"},
   {"syscalls": ["mq_open"], "action": "allow", "reason": "for the test"}
 ]}}
END
}

teardown() { orch_teardown; }

declare -gA number=([setpriority]=141 [lseek]=8 [flock]=73 [madvise]=28 [getpgid]=121)

# inside CALL ARGUMENT...: what the call comes to under the profile, and what is said beside it.
inside() {
    rm -f "$T/audit"
    output=$("$ORCH" exec --state "$STATE" --workspace "$WS" --profile "$T/p.json" --audit "$T/audit" -- \
        attack child sys "${number[$1]}" "${@:2}" 2>"$T/err" 3>&-) || :
    stderr=$(<"$T/err")
}

outside() { "$T/bin/attack" child sys "${number[$1]}" "${@:2}" || :; }

@test "rules hold in the kernel, at their boundaries and beyond 32 bits" {
    # call, inside, outside: what a rule does not match comes to the same as outside
    while IFS='|' read -r call want control; do
        # shellcheck disable=SC2086 # words
        inside $call
        echo "$call: $output, expected $want"
        # shellcheck disable=SC2053 # a pattern
        [[ $output == $want ]]
        # shellcheck disable=SC2086
        control_output=$(outside $call)
        echo "$call outside: $control_output, expected $control"
        # shellcheck disable=SC2053
        [[ $control_output == $control ]]
    done <<'END'
setpriority 77 0 20|EDOM|EINVAL
setpriority 77 0 0x100000014|EDOM|EINVAL
setpriority 77 0 0xffffffff|EDOM|EINVAL
setpriority 77 0 19|EINVAL|EINVAL
setpriority 77 0 0x100000013|EINVAL|EINVAL
lseek -1 0 7|EXDEV|EBADF
lseek -1 0 0x700000009|EXDEV|EBADF
lseek -1 0 8|EBADF|EBADF
lseek -1 0 11|killed by signal 9|EBADF
flock -1 3|ENOLCK|E*
flock -1 2|ENOLCK|EBADF
flock -1 6|EBADF|EBADF
madvise 1 0 5|ENODATA|EINVAL
madvise 1 0 4|EINVAL|EINVAL
madvise 1 0 0x100000004|EINVAL|EINVAL
END
}

@test "a log rule lets the call go on and puts it on record, and it is no denial" {
    inside getpgid 0
    [ "$output" = OK ]
    grep '"event":"syscall"' "$T/audit" | grep '"syscall":"getpgid"' | grep -q '"action":"log","rule":"[^"]*p.json#/syscalls/rules/5"'
    ! grep '"event":"denial"' "$T/audit" | grep -q getpgid
    [[ $stderr != *getpgid* ]]
    inside lseek -1 0 7 # control: a refusal is a denial
    grep '"event":"denial"' "$T/audit" | grep '"syscall":"lseek"' | grep -q '"rule":"[^"]*p.json#/syscalls/rules/1"'
    ! grep '"event":"syscall"' "$T/audit"
}

@test "a compiled filter is kept, used again, and made anew when it is damaged" {
    inside getpgid 0
    inside getpgid 0
    [ "$output" = OK ]
    entry=$(echo "$STATE"/cache/filters/*)
    [ -f "$entry" ]
    [ "$(stat -c %a "$entry")" = 600 ]
    [ "$(stat -c %a "$STATE/cache/filters")" = 700 ]
    before=$(stat -c %i "$entry")
    inside getpgid 0
    [[ $stderr != *note* ]]
    [ "$(stat -c %i "$entry")" = "$before" ]
    printf x | dd of="$entry" bs=1 seek=200 conv=notrunc 2>"$T/dd"
    inside lseek -1 0 7
    [ "$output" = EXDEV ]
    [[ $stderr == *"note: the cached filter "*"is made anew: it is damaged"* ]]
    inside lseek -1 0 7
    [[ $stderr != *"made anew"* ]]
    rm "$entry"
    mkfifo "$entry"
    inside lseek -1 0 7
    [ "$output" = EXDEV ]
    [[ $stderr == *"not a regular file"* ]]
    [ -f "$entry" ]
    rm -r "$STATE/cache"
    ln -s "$T" "$STATE/cache"
    inside lseek -1 0 7
    [ "$output" = EXDEV ]
    [[ $stderr == *"compiled filters are not kept"* ]]
    [ ! -e "$T/filters" ]
}

@test "contradicting rules stop the run before it starts, with both places" {
    cat >"$T/p.json" <<'END'
{"schema": 1, "name": "t", "tools": ["sh"], "syscalls": {"rules": [
  {"syscalls": ["lseek"], "action": "errno"},
  {"syscalls": ["lseek"], "action": "kill_process"}]}}
END
    run "$ORCH" exec --state "$STATE" --workspace "$WS" --profile "$T/p.json" -- sh -c :
    [ "$status" -eq 125 ]
    [[ $output == *"p.json:3:3: error: "*"p.json:2:3 (/syscalls/rules/0)"* ]]
}
