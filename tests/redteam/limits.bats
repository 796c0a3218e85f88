#!/usr/bin/env bats
# An agent that takes all it can get: T-RES-01 to T-RES-06, T-RES-10. Each limit holds, or ends the attempt, under its own
# name; without it the same act goes further. Sizes are bounded in the helper itself (tests/helpers/exhaust.c).
load ../lib/common
load ../lib/workflow

setup_file() { need_sandbox; }

setup() {
    orch_setup
    workflow_setup
    umask 022
    # A name that nobody else's processes have: it is looked for in /proc.
    X=exhaust-$RANDOM$RANDOM
    mkdir "$T/bin"
    cp "$HELPERS/exhaust" "$T/bin/$X"
    chmod -R a+rX "$T"
}

teardown() {
    [ -z "${pid:-}" ] || kill -KILL "$pid" 2>/dev/null || :
    [ -z "${mine:-}" ] || kill -KILL "$mine" 2>/dev/null || :
    # shellcheck disable=SC2086 # a list
    [ -z "${outside:-}" ] || kill -KILL $outside 2>/dev/null || :
    orch_teardown
}

# limited LIMITS [MEMBERS]: the profile, and a workflow whose agent runs "exhaust" as told in $W/agent.
limited() {
    profile limited '{"schema": 1, "name": "limited", "extends": "plan", "widen": "what the attack needs",
        "tools": ["@parent", {"name": "'"$X"'", "path": "'"$T/bin/$X"'"}],
        "limits": {'"$1"'}'"${2:+, $2}"'}'
    one_phase agent ./limited.json '{"type": "file", "path": "done"}'
}

# attack SCRIPT: what the agent does; "done" is made if it comes to its end.
attack() {
    printf '%s\necho end >done\n' "${1//exhaust/$X}" | agent agent
}

end_of() { jq -r 'select(.event == "attempt" and .state == "end") | .end' "$RUNDIR/audit.jsonl"; }
printed() { cat "$RUNDIR"/logs/work.*.out; }
milliseconds() { date -u -d "$1" +%s%3N; }

# ended_by NAME: the run ended with exit 4, under that name, and the record says so.
ended_by() {
    [ "$status" -eq 4 ]
    [ "$(end_of)" = "limit:$1" ]
    [ "$(jq -r 'select(.event == "limit") | .limit' "$RUNDIR/audit.jsonl")" = "$1" ]
    no_agent_left "$X"
    unharmed
}

cgroups_of_the_dead() {
    local dir owner
    while IFS= read -r dir; do
        owner=${dir##*/orch-} owner=${owner#*.} owner=${owner%%.*}
        [ -e "/proc/$owner" ] || echo "left: $dir"
    done < <(find /sys/fs/cgroup -name 'orch-*.*' 2>/dev/null)
}

no_cgroup_left() { [ -z "$(cgroups_of_the_dead)" ]; }

# The host's process is alive and was never stopped; no cgroup of a dead supervisor stays: one that others are about to
# take away may be seen.
unharmed() {
    if [ -n "${mine:-}" ]; then
        kill -0 "$mine"
        [[ "$(cut -d' ' -f3 "/proc/$mine/stat")" == [SR] ]]
    fi
    wait_until no_cgroup_left || { cgroups_of_the_dead; return 1; }
}

bystander() {
    sleep 300 3>&- &
    mine=$!
}

need_cgroup() {
    ! "$ORCH" doctor | grep -q '^works.*cgroup delegation' || return 0
    [ "$(id -u)" -eq 0 ] || skip "for root, or a user with a cgroup of its own"
    skip "needs cgroup"
}

TREE='"scope": "tree", "pids": 60, "memory": "96MiB"'
WIDE='"scope": "tree", "pids": 400, "memory": "512MiB"'
EACH='"scope": "process", "pids": 60'

@test "t_res_01_fork_bomb_ends_as_limit_pids_for_the_whole_tree" {
    need_cgroup
    bystander
    limited "$TREE"
    attack "exhaust bomb 300"
    orch_run
    ended_by pids
    [ "$(jq -r 'select(.event == "attempt" and .state == "start") | .limits' "$RUNDIR/audit.jsonl")" \
        = "$("$ORCH" status --state "$STATE" --json "$RUN" | jq -r '.phases[0].attempts[0].limits')" ]
    "$ORCH" status --state "$STATE" "$RUN" | grep -q 'memory and pids by cgroup-v[12]'
    attack 'HOLD=0 exhaust forks 300'
    orch_run
    ended_by pids
    limited "$WIDE" # control
    orch_run
    [ "$status" -eq 0 ]
    [[ "$(printed)" == *'forked 300 0'* ]]
}

@test "t_res_01_fork_bomb_ends_as_limit_pids_in_scope_process" {
    bystander
    limited "$EACH"
    attack "exhaust bomb 300"
    orch_run
    ended_by pids
    "$ORCH" status --state "$STATE" "$RUN" | grep -q 'memory and pids by rlimit'
    attack 'HOLD=0 exhaust forks 300' # what comes near the limit for a moment goes on
    orch_run
    [ "$status" -eq 0 ]
    [[ "$(printed)" == *forked\ [45]?\ EAGAIN* ]]
    limited '"pids": 400, "scope": "process"' # control
    orch_run
    [[ "$(printed)" == *'forked 300 0'* ]]
}

@test "t_res_02_memory_bombs_end_as_limit_memory" {
    need_cgroup
    bystander
    for act in 'exhaust anon 300' 'exhaust shared 300' 'exhaust fill 300 /tmp/x' 'exhaust fill 60 /dev/shm/x; exhaust fill 60 /tmp/x' \
        'export HOLD=2; for i in 1 2 3 4; do exhaust anon 40 & done; wait'; do
        limited "$TREE"
        attack "export HOLD=0; $act"
        orch_run
        ended_by memory
        # Control: with more it comes to its end.
        limited "$WIDE" '"tmp": {"size": "400MiB"}'
        orch_run
        [ "$status" -eq 0 ]
    done
    # The page cache of files on disk is given back, which is no offence.
    limited "$TREE"
    attack 'HOLD=0 exhaust fill 300 big'
    orch_run
    [ "$status" -eq 0 ]
    [[ "$(printed)" == *'wrote 300 0'* ]]
}

@test "t_res_02_memory_in_scope_process_holds_each_process" {
    limited '"memory": "64MiB", "scope": "process"'
    attack 'HOLD=0 exhaust anon 200'
    orch_run
    [ "$status" -eq 0 ]
    [[ "$(printed)" == *touched\ [0-9]*ENOMEM* ]]
    limited '"memory": "512MiB", "scope": "process"' # control
    orch_run
    [[ "$(printed)" == *'touched 200 0'* ]]
}

@test "limit_cpu_counts_every_process_of_the_tree" {
    for scope in '"scope": "process"' '"scope": "tree", "pids": 60'; do
        [[ "$scope" != *tree* ]] || "$ORCH" doctor | grep -q '^works.*cgroup delegation' || continue
        limited "$scope, \"cpu\": \"1s\""
        attack 'HOLD=0 exhaust spin 60' # a fifth of a second each
        orch_run
        ended_by cpu
        limited "$scope, \"cpu\": \"60s\"" # control
        attack 'HOLD=0 exhaust spin 10'
        orch_run
        [ "$status" -eq 0 ]
    done
}

@test "limit_file_size_ends_the_agent_that_ignores_it" {
    limited '"file_size": "4MiB"'
    attack 'exec exhaust fill 10 big'
    orch_run
    ended_by file_size
    limited '"file_size": "16MiB"' # control
    attack 'HOLD=0 exhaust fill 10 big'
    orch_run
    [ "$status" -eq 0 ]
}

@test "t_res_04_workspace_is_held_in_bytes_in_files_and_in_files_without_a_name" {
    bystander
    limited '"workspace": "16MiB", "workspace_files": 3000'
    attack 'exhaust fill 100 big'
    orch_run
    ended_by workspace
    attack 'HOLD=0 exhaust fill 100 big' # ended before it was measured
    orch_run
    ended_by workspace
    attack 'exhaust unlinked 100 big'
    orch_run
    ended_by workspace
    attack 'mkdir d && exhaust inodes 6000 d'
    orch_run
    ended_by workspace_files
    # Controls: what is small enough, and the same without a limit.
    attack 'mkdir d && export HOLD=0 && exhaust fill 10 big && exhaust unlinked 4 gone && exhaust inodes 2000 d'
    orch_run
    [ "$status" -eq 0 ]
    limited '"workspace": "1GiB", "workspace_files": 20000'
    attack 'mkdir d && export HOLD=0 && exhaust fill 100 big && exhaust unlinked 100 gone && exhaust inodes 6000 d'
    orch_run
    [ "$status" -eq 0 ]
}

@test "t_res_04_private_places_are_full_at_their_size_and_number_of_files" {
    limited '"scope": "process"' '"tmp": {"size": "8MiB", "files": 500}'
    attack 'export HOLD=0
for d in /tmp "$HOME"; do
    exhaust fill 100 $d/x; rm $d/x
    exhaust inodes 2000 $d; rm -r $d/f*
done
exhaust fill 100 /dev/shm/x; rm /dev/shm/x
exhaust inodes 2000 /dev/shm'
    orch_run
    [ "$status" -eq 0 ]
    printed
    [ "$(printed | grep -c 'wrote 8 ENOSPC')" -eq 2 ]
    [ "$(printed | grep -Ec 'made 4[0-9][0-9] ENOSPC')" -eq 2 ]
    [ "$(printed | grep -c 'wrote 64 ENOSPC')" -eq 1 ]
    [ "$(printed | grep -Ec 'made 10[0-9][0-9] ENOSPC')" -eq 1 ]
    # Control: the same files in the workspace.
    attack 'export HOLD=0; mkdir d; exhaust fill 100 x; exhaust inodes 2000 d'
    orch_run
    [[ "$(printed)" == *'wrote 100 0'*'made 2000 0'* ]]
}

@test "t_res_04_home_that_is_kept_is_held_to_the_size_of_a_private_one" {
    mkdir "$W/home"
    limited '"scope": "process"' '"tmp": {"size": "8MiB"}'
    one_phase agent ./limited.json '{"type": "file", "path": "done"}' '' '"home": {"from": "./home", "keep": true}'
    attack 'exhaust fill 100 "$HOME/x"'
    orch_run
    ended_by home
    attack 'HOLD=0 exhaust fill 4 "$HOME/x"' # control
    orch_run
    [ "$status" -eq 0 ]
}

@test "t_res_05_descriptors_are_short_inside_alone" {
    limited '"open_files": 64'
    attack 'HOLD=0 exhaust descriptors 500'
    orch_run
    [ "$status" -eq 0 ]
    [[ "$(printed)" == *opened\ [56]?\ EMFILE* ]]
    limited '"open_files": 1024' # control
    orch_run
    [[ "$(printed)" == *'opened 500 0'* ]]
}

@test "output_flood_is_dropped_and_counted_and_costs_nothing_but_time" {
    limited '"output": "1MiB"'
    attack 'HOLD=0 exhaust output 1024; HOLD=0 exhaust output 20; echo; HOLD=0 exhaust output 20 >&2'
    orch_run --quiet
    [ "$status" -eq 0 ]
    [ "$(jq 'select(.event == "attempt" and .state == "end") | .dropped_bytes' "$RUNDIR/audit.jsonl")" -gt 1000000000 ]
    [ "$(du -sk "$RUNDIR/logs" | cut -f1)" -le 2048 ]
}

@test "t_res_06_orphans_and_zombies_are_reaped_and_harm_nobody" {
    bystander
    limited '"pids": 200, "scope": "process"'
    attack 'HOLD=0 exhaust orphans 20000'
    orch_run
    [ "$status" -eq 0 ]
    [[ "$(printed)" == *'orphaned 20000 0'* ]]
    unharmed
}

@test "t_res_03_three_hundred_stubborn_processes_die_at_once_while_the_supervisor_answers" {
    local ended began
    bystander
    if "$ORCH" doctor | grep -q '^works.*cgroup delegation'; then
        limited "$WIDE"
    else
        limited '"pids": 400, "scope": "process"'
    fi
    attack 'exhaust stubborn 300'
    orch_start
    until_printed 'stubborn 300'
    "$ORCH" status --state "$STATE" "$RUN" | grep -q 'verdict: running'
    [ "$(pgrep -fc "$X stubborn")" -ge 300 ]
    began=$(milliseconds "now")
    "$ORCH" cancel --state "$STATE" "$RUN" 3>&-
    orch_wait
    [ "$status" -eq 143 ]
    [ "$(end_of)" = cancel ]
    no_agent_left "$X"
    # The order of a quiet machine is milliseconds; the bound is for a busy one.
    ended=$(milliseconds "$(jq -r 'select(.event == "attempt" and .state == "end") | .time' "$RUNDIR/audit.jsonl")")
    [ $((ended - began)) -lt 5000 ]
    unharmed
    # Control: outside, the same are left alive by what ends others.
    HOLD=0 "$T/bin/$X" stubborn 5
    outside=$(pgrep -f "$X stubborn 5" | xargs)
    # shellcheck disable=SC2086 # a list
    kill -TERM $outside
    sleep 0.3
    [ "$(pgrep -fc "$X stubborn 5")" -eq 5 ]
}

@test "t_res_10_a_killed_supervisor_leaves_no_cgroup_after_the_next_run" {
    need_cgroup
    limited "$WIDE"
    attack 'exhaust forks 20'
    orch_start
    until_printed 'forked 20'
    made=$(find /sys/fs/cgroup -name "orch-sandbox.$pid.*" | wc -l)
    [ "$made" -ge 1 ]
    kill -KILL "$pid"
    wait "$pid" || :
    for _ in $(seq 2000); do
        [ -n "$(pgrep -f "$X")" ] || break
        sleep 0.05
    done
    no_agent_left "$X"
    "$ORCH" prune --keep 100 --state "$STATE" >/dev/null
    [ -z "$(find /sys/fs/cgroup -name "orch-sandbox.$pid.*")" ]
    unharmed
}

@test "a_gate_command_is_ended_by_its_limits_too" {
    local limits='"workspace": "8MiB"'
    ! "$ORCH" doctor | grep -q '^works.*cgroup delegation' || limits="$limits, $TREE"
    limited "$limits"
    attack true
    for act in '"fill", "100", "big"' '"bomb", "300"'; do
        [[ "$limits" == *tree* || "$act" != *bomb* ]] || continue
        one_phase agent ./limited.json '{"type": "command", "name": "greedy", "run": ["'"$X"'", '"$act"'], "profile": "./limited.json"}'
        orch_run
        [ "$status" -eq 1 ]
        [ "$(verdict greedy)" = error ]
        [[ "$(reason greedy)" == *"limit 'workspace'"* || "$(reason greedy)" == *"limit 'pids'"* ]]
    done
}
