# For bats: load ../lib/runs, for tests that drive whole runs. Loads common.
# shellcheck shell=bash
#
# runs_setup          in setup(): as orch_setup, and $FLOW (where agent and workflow go), $RUN (a name that no other process has)
# runs_teardown       in teardown(): kills what is left of the run, then as orch_teardown
# agent               writes the agent, a sh script in the workspace, from standard input
# phase NAME FILE [TIME] [MEMBERS]   prints a phase whose gate wants FILE
# workflow PHASE...   writes the workflow with these phases
# drive [OPTION...]   runs it; sets $status and $output as run does
# ended CODE          asserts: that exit status, one recorded end that says the same, intact records, no process left
# again               forgets that run: the next one has another name
# start [OPTION...]   drives it in the background; $supervisor is its process id, $T/out its output
# processes           the processes that name the run in their arguments or environment
# journal FILTER, audit FILTER       jq over the run's records
# attempts            "PHASE.N PHASE.N ..." in the order in which they began
# output_of PHASE.N   what the agent printed
# refute COMMAND...   fails if the command succeeds ("! COMMAND" fails no test)

# shellcheck source-path=SCRIPTDIR source=common.bash
. "$(dirname "${BASH_SOURCE[0]}")/common.bash"

runs_setup() {
    local feature
    # Tried once for all tests of a file.
    for feature in userns overlay-userxattr seccomp-notify landlock jq; do
        [ -e "$BATS_FILE_TMPDIR/$feature" ] || need "$feature"
        : >"$BATS_FILE_TMPDIR/$feature"
    done
    orch_setup
    FLOW=$T/flow
    mkdir "$FLOW"
    again
}

# The name is looked for in /proc, so it is in no environment or argument of the test itself.
again() {
    RUN=run-$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
    printf '%s\n' "$RUN" >"$T/name"
}

runs_teardown() {
    [ ! -s "${T:-}/name" ] || processes | xargs -r kill -KILL 2>/dev/null || :
    orch_teardown
}

agent() {
    {
        # shellcheck disable=SC2016 # the agent expands
        printf '#!/bin/sh\ncd "$ORCH_WORKSPACE" || exit 9\n'
        cat
    } >"$FLOW/agent.sh"
    chmod 0755 "$FLOW/agent.sh"
}

phase() {
    printf '{"name":"%s","profile":"%s","timeout":"%s","gates":[{"type":"file","path":"%s"}]%s}' \
        "$1" "${PROFILE:-plan}" "${3:-30s}" "$2" "${4:+,$4}"
}

workflow() {
    local IFS=,
    printf '{"schema":1,"name":"test","agent":{"command":["./agent.sh"]},"phases":[%s]}\n' "$*" >"$FLOW/workflow.json"
}

drive() {
    run timeout -k 5 60 "$ORCH" run --workspace "$WS" --state "$STATE" --run-id "$RUN" "$@" "$FLOW/workflow.json" </dev/null
}

start() {
    "$ORCH" run --workspace "$WS" --state "$STATE" --run-id "$RUN" "$@" "$FLOW/workflow.json" >"$T/out" 2>&1 </dev/null 3>&- &
    # shellcheck disable=SC2034 # for the test
    supervisor=$!
}

processes() {
    grep -laFf "$T/name" /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3 | sort -un
}

nothing_left() {
    local left
    left=$(processes)
    [ -z "$left" ] || { echo "processes left: $left"; return 1; }
}

journal() {
    jq -r "$1" "$STATE/runs/$RUN/journal.jsonl"
}

audit() {
    jq -r "$1" "$STATE/runs/$RUN/audit.jsonl"
}

attempts() {
    journal 'select(.event == "attempt") | "\(.phase).\(.attempt)"' | paste -sd' '
}

# shellcheck disable=SC2154 # set by run
ended() {
    local ends
    nothing_left
    echo "exit status $status, expected $1; output: $(tail -c 2000 <<<"$output")"
    [ "$status" -eq "$1" ]
    ends=$(journal 'select(.event == "end") | "\(.exit) \(.verdict)"')
    echo "end record: $ends"
    [ "$(wc -l <<<"$ends")" -eq 1 ]
    [ "${ends%% *}" = "$1" ]
    [ "$(tail -n 1 "$STATE/runs/$RUN/journal.jsonl" | jq -r .event)" = end ]
    [ "$(journal 'select(.event == "attempt")' | jq -s length)" -eq "$(journal 'select(.event == "verdict" or .event == "interrupted")' | jq -s length)" ]
    timeout 20 "$ORCH" verify --state "$STATE" "$RUN" >"$T/verify" 2>&1 || { cat "$T/verify"; return 1; }
}

# The last verdict's member.
verdict() {
    journal "select(.event == \"verdict\") | .$1" | tail -n 1
}

output_of() {
    cat "$STATE/runs/$RUN/logs/$1.out"
}

refute() {
    ! "$@" || { echo "succeeded: $*"; return 1; }
}

