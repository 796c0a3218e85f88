# For bats, after common: small workflows, their runs, and what is on record about them.
# shellcheck shell=bash
#
# need_sandbox           in setup_file(): skips the file where no sandbox can be made
# workflow_setup         in setup(), after orch_setup: $W, the directory of the workflow
# agent NAME             makes the agent $W/NAME of the shell script on standard input
# profile NAME JSON      writes $W/NAME.json, to be named "./NAME.json"
# one_phase AGENT PROFILE GATES [MEMBERS [TOP]]
#                        writes $W/workflow.json with one phase, "work"
# orch_run [OPTION...]   runs it: $status, $output, $RUN (its id), $RUNDIR, $took (milliseconds)
# orch_start [OPTION...] the same in the background: $pid, output in $T/out; orch_wait sets $status, $output
# orch_resume [OPTION...] resumes $RUN
# until_printed TEXT     waits until the agent of phase work has printed it
# verdict GATE [ATTEMPT [PHASE]]
#                        verdict of a gate as the audit log has it
# reason GATE            its reason
# refute COMMAND         fails if the command succeeds ("! command" alone fails no test)
# no_agent_left TOKEN    fails if a process has TOKEN in its command line
# snapshot DIR           everything about a tree that must not change when nothing is applied, names of any bytes
# outcome DIR            everything about a tree that two ways of making it have in common

need_sandbox() {
    local feature
    for feature in userns overlay-userxattr landlock seccomp-notify jq; do
        need "$feature"
    done
}

workflow_setup() {
    W=$T/w runs=0
    mkdir "$W"
}

agent() {
    { echo '#!/bin/sh'; cat; } >"$W/$1"
    chmod 0755 "$W/$1"
}

profile() {
    printf '%s\n' "$2" >"$W/$1.json"
}

one_phase() {
    cat >"$W/workflow.json" <<JSON
{
  "schema": 1,
  "name": "test",
  "agent": {"command": ["./$1"]},
  "phases": [{"name": "work", "profile": "$2", "gates": [$3]${4:+, $4}}]${5:+, $5}
}
JSON
}

orch_next_run() {
    runs=$((runs + 1))
    RUN=r$runs RUNDIR=$STATE/runs/r$runs
}

# Prints what a failed test has to be understood with.
orch_say() {
    printf '%s\n' "status $status" "${output: -$((${#output} < 20000 ? ${#output} : 20000))}"
}

orch_run() {
    local began
    orch_next_run
    began=${EPOCHREALTIME/[.,]/}
    run timeout -k 5 60 "$ORCH" run --workspace "$WS" --state "$STATE" --run-id "$RUN" "$@" "$W/workflow.json" 3>&-
    # shellcheck disable=SC2034 # for tests
    took=$(((${EPOCHREALTIME/[.,]/} - began) / 1000))
    orch_say
}

orch_resume() {
    run timeout -k 5 60 "$ORCH" resume --state "$STATE" "$@" "$RUN" 3>&-
    orch_say
}

orch_start() {
    orch_next_run
    # A shell starts background commands with SIGINT ignored; env makes itself the program, so its pid is ours.
    env --default-signal=INT --default-signal=TERM "$ORCH" run --workspace "$WS" --state "$STATE" --run-id "$RUN" \
        "$@" "$W/workflow.json" >"$T/out" 2>&1 3>&- </dev/null &
    pid=$!
}

orch_wait() {
    for _ in $(seq 600); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || :
    status=0
    wait "$pid" || status=$?
    output=$(cat "$T/out")
    orch_say
}

until_printed() {
    for _ in $(seq 500); do
        ! grep -qsF -- "$1" "$RUNDIR"/logs/work.*.out || return 0
        sleep 0.02
    done
    echo "the agent did not print '$1'"
    return 1
}

verdict() {
    jq -r --arg g "$1" --argjson a "${2:-1}" --arg p "${3:-work}" \
        'select(.event == "gate" and .name == $g and .attempt == $a and .phase == $p) | .verdict' "$RUNDIR/audit.jsonl"
}

reason() {
    jq -r --arg g "$1" 'select(.event == "gate" and .name == $g) | .reason' "$RUNDIR/audit.jsonl"
}

no_agent_left() {
    local left
    left=$(cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' | grep -F -f <(printf '%s\n' "$1") || :)
    [ -z "$left" ] || { echo "left: $left"; return 1; }
}

refute() {
    ! "$@"
}

snapshot() {
    (cd "$1" && find . -printf '%P\t%y\t%m\t%U:%G\t%s\t%i\t%T@\t%C@\t%l\0' | LC_ALL=C sort -z
        find . -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum -z)
}

outcome() {
    (cd "$1" && find . \( -type d -printf '%P\t%y\t%m\t%U:%G\0' \) -o -printf '%P\t%y\t%m\t%U:%G\t%s\t%T@\t%l\0' |
        LC_ALL=C sort -z
        find . -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum -z)
}

# same FILE FILE: of snapshot or outcome
same() {
    cmp -s "$1" "$2" || { diff -a <(tr '\0' '\n' <"$1") <(tr '\0' '\n' <"$2"); return 1; }
}
