#!/usr/bin/env bats
# Design 5.2, `requires`: what a host can enforce is found out by trying, stands in the record, and below what the profile accepts nothing
# starts.
load ../lib/runs

setup() {
    runs_setup
    profile
}

teardown() {
    runs_teardown
}

# profile [FILTER]: the one that accepts tier nested, changed by jq
profile() {
    jq "${1:-.}" >"$T/profile.json" <<'END'
{"schema":1,"name":"tiered","extends":"base","widen":"the test","requires":"nested","tools":"*","create":["file","directory","symlink"],
 "filesystem":[{"path":"${workspace}","access":"rw"}]}
END
}

# under HOST COMMAND...: on such a host
under() {
    local host=$1
    shift
    case $host in
    plain) "$@" ;;
    docker-like) "$HELPERS/nonamespaces" "$@" ;;
    no-userns)
        # The limit is of a namespace of our own.
        unshare -U -c --keep-caps sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --ambient-caps=-all --inh-caps=-all "$@"' sh "$@" ;;
    no-userns-root) unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"' sh "$@" ;;
    unshare-Ur) unshare -Ur "$@" ;;
    bubblewrap) bwrap --dev-bind / / "$@" ;;
    bubblewrap-locked) bwrap --unshare-user --disable-userns --dev-bind / / "$@" ;;
    lacking:*) "$HELPERS/lesskernel" "${host#lacking:}" "$@" ;;
    esac
}

# try HOST [OPTION...] -- COMMAND...: exec there
try() {
    local host=$1
    shift
    rm -f "$T/audit" "$T/result"
    run timeout -k 5 60 bash -c "$(declare -f under)"'; under "$@" 9>"$T/result"' bash "$host" "$ORCH" exec --workspace "$WS" --state "$STATE" \
        --profile "$T/profile.json" --audit "$T/audit" --status-fd 9 "$@" 3>&-
    echo "$host: $status: $output"
}

first() {
    head -n 1 "$T/audit" | jq -r "$1"
}

works_as() {
    echo text >"$WS/file"
    try "$1" -- sh -c 'cat file && echo new >made && cat made'
    [ "$status" -eq 0 ]
    [[ "$output" == *text*new* ]]
    [ ! -e "$WS/made" ]
    [ "$(first .tier)" = "$2" ]
}

refuses() {
    try "$1" -- sh -c 'echo started'
    [ "$status" -eq 125 ]
    [[ "$output" != *started* ]]
    [[ "$output" == *"$2"* ]]
    [ "$(jq -r .end "$T/result")" != exit ]
}

@test "nested_is_used_under_a_containers_filter" {
    works_as docker-like nested
    works_as plain full # control
}

@test "nested_is_used_where_user_namespaces_are_used_up" {
    need_user
    works_as no-userns nested
    works_as no-userns-root nested
}

@test "unshare_Ur_and_bubblewrap_are_hosts_like_others" {
    need_user
    need bubblewrap
    works_as unshare-Ur full
    works_as bubblewrap full
    works_as bubblewrap-locked nested
}

@test "the_agent_of_a_root_that_is_none_has_no_capability" {
    need_user
    for host in unshare-Ur no-userns-root; do
        try "$host" -- sh -c 'grep "^Cap\(Eff\|Prm\|Inh\|Amb\)" /proc/self/status | tr -d "\n"'
        [ "$status" -eq 0 ]
        [ "$(tr -d -c '0-9a-f' <<<"${output##*Cap}" | tr -d 0)" = '' ] || [ "$(grep -o '[0-9a-f]\{16\}' <<<"$output" | sort -u)" = 0000000000000000 ]
    done
}

@test "what_requires_full_does_not_start_below_it" {
    profile '.requires = "full"'
    refuses docker-like "see: orch-sandbox doctor"
    agent <<<'echo started'
    cp "$T/profile.json" "$FLOW/profile.json"
    workflow "$(PROFILE=./profile.json phase p file)"
    run under docker-like "$ORCH" run --workspace "$WS" --state "$STATE" "$FLOW/workflow.json" 3>&-
    echo "$output"
    [ "$status" -eq 3 ]
    [[ "$output" != *started* ]]
}

@test "what_nested_cannot_hold_is_refused_by_its_key" {
    local key filter
    while read -r key filter; do
        profile "$filter"
        refuses docker-like "$key"
        [[ "$output" == *"tier nested cannot hold"* ]]
        try plain -- true # control: the full tier can
        [ "$status" -eq 0 ]
    done <<'END'
tools .tools=["sh","true"]
network.mode .network={"mode":"loopback"}
filesystem/1 .filesystem+=[{"path":"${workspace}/sub","access":"ro"}]
filesystem/1 .filesystem+=[{"path":"${workspace}/sub","access":"none"}]
filesystem/1 .filesystem+=[{"path":"${workspace}/**/.git","access":"ro"}]
filesystem/1 .filesystem+=[{"path":"${workspace}/sub","access":"rw","scratch":true}]
filesystem/1 .filesystem+=[{"path":"/usr/share/doc","access":"none"}]
END
}

@test "a_terminal_of_its_own_is_refused_in_nested" {
    try docker-like --tty -- true
    [ "$status" -eq 125 ]
    [[ "$output" == *"tty: tier nested cannot hold"* ]]
    try plain --tty -- true # control: the full tier can
    [ "$status" -eq 0 ]
    agent <<<'echo started'
    cp "$T/profile.json" "$FLOW/profile.json"
    workflow "$(PROFILE=./profile.json phase p file 10s '"agent":{"command":["./agent.sh"],"tty":true}')"
    run under docker-like "$ORCH" run --workspace "$WS" --state "$STATE" "$FLOW/workflow.json" 3>&-
    echo "$output"
    [ "$status" -eq 3 ]
    [[ "$output" == *"tty: tier nested cannot hold"* && "$output" != *started* ]]
}

@test "changes_of_the_copy_are_applied_as_those_of_a_layer_are" {
    for host in plain docker-like; do
        rm -rf "$WS" && mkdir -p "$WS/dir/deep" "$WS/gone/x" "$WS/closed" "$WS/tofile"
        echo 1 >"$WS/same"; echo 1 >"$WS/changed"; echo 1 >"$WS/dir/deep/removed"; echo 1 >"$WS/gone/x/y"; echo 1 >"$WS/closed/file"
        echo 1 >"$WS/todir"; echo 1 >"$WS/mode"; ln -s same "$WS/link"; echo 1 >"$WS/tofile/inside"
        mkfifo "$WS/fifo"
        chmod 0555 "$WS/closed"
        try "$host" --apply -- sh -c 'echo 2 >changed; rm dir/deep/removed; rm -r gone tofile; echo 2 >tofile; rm todir; mkdir -p todir/in;
            echo 2 >todir/in/new; chmod 755 mode; ln -sf changed link; touch same; mkdir empty; mv changed moved; :'
        [ "$status" -eq 0 ]
        (cd "$WS" && find . -printf '%P %y %m %l\n' | LC_ALL=C sort; find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) >"$T/$host"
        find "$WS" -printf '%u\n' | sort -u >>"$T/$host"
        chmod 0755 "$WS/closed"
    done
    diff "$T/plain" "$T/docker-like"
    [ -p "$WS/fifo" ]
    grep -q '^moved f' "$T/plain"
}

@test "the_seal_check_holds_in_nested_too" {
    profile '.create = ["file"]'
    for host in plain docker-like; do
        try "$host" --apply -- sh -c 'mkdir dir; echo x >file; :'
        [ ! -e "$WS/dir" ]
    done
}

@test "limits_of_the_workspace_count_what_was_written_not_what_was_copied" {
    profile '.limits = {"scope":"process","workspace":"4MiB","file_size":"1GiB","wall":"1m"}'
    head -c 8000000 /dev/zero | tr '\0' x >"$WS/big"
    try docker-like -- sh -c 'echo little >little; sleep 2'
    [ "$status" -eq 0 ]
    try docker-like -- sh -c 'head -c 9000000 big >copy; sleep 20'
    [ "$status" -eq 125 ]
    [[ "$output" == *"'workspace'"* ]]
}

@test "tmp_and_home_are_measured_where_they_are_no_file_systems" {
    profile '.tmp = {"size":"2MiB","files":100}'
    for where in TMPDIR HOME; do
        # shellcheck disable=SC2016 # inside
        try docker-like -- sh -c 'head -c 5000000 /dev/zero >"$'"$where"'/big"; sleep 30'
        [ "$status" -eq 125 ]
        [[ "$output" == *"'tmp'"* ]]
    done
    # shellcheck disable=SC2016
    try docker-like -- sh -c 'for i in $(seq 200); do : >"$TMPDIR/$i"; done; sleep 30'
    [[ "$output" == *"'tmp'"* ]]
    # shellcheck disable=SC2016
    try docker-like -- sh -c 'head -c 500000 /dev/zero >"$TMPDIR/some"; sleep 3'
    [ "$status" -eq 0 ]
}

@test "what_a_kernel_lacks_is_on_record_and_weakens_nothing" {
    exec 7<"$T/profile.json"
    for host in lacking:wait_killable lacking:close_range; do
        try "$host" -- sh -c 'ls /proc/self/fd | tr "\n" " "; cat /proc/self/fd/7'
        [[ "$output" == *"0 1 2 3 "* ]]
        [[ "$output" != *tiered* ]]
        [ "$(first .tier)" = full ]
        [[ "$(first '.lacking | join(" ")')" == *[Cc][Ll]* || "$(first '.lacking | join(" ")')" == WAIT_KILLABLE_RECV ]]
    done
    # Without what tier full is made of, nested is what is left.
    for host in lacking:mount_setattr lacking:open_tree lacking:fsopen lacking:clone3; do
        works_as "$host" nested
        [ "$(first '.lacking | length')" -ge 1 ]
        profile '.requires = "full"'
        try "$host" -- echo started
        [ "$status" -eq 125 ]
        [[ "$output" != *started ]]
        profile
    done
    exec 7<&-
}

@test "what_cannot_be_done_without_is_named" {
    refuses lacking:openat2 openat2
    refuses lacking:pidfd_open pidfd_open
    refuses lacking:pidfd_send_signal pidfd_send_signal
    refuses lacking:landlock Landlock
    works_as plain full # control
}

@test "inside_a_sandbox_of_ours_none_is_started" {
    profile ".filesystem += [{\"path\":\"$(dirname "$(realpath "$ORCH")")\",\"access\":\"rx\"}]"
    case $(realpath "$ORCH") in /tmp/*) cp "$ORCH" "$WS/orch-sandbox"; profile '.filesystem[0].access = "rwx"' ;; esac
    for host in plain docker-like; do
        try "$host" -- sh -c 'p=./orch-sandbox; [ -e $p ] || p='"$ORCH"'; echo "{}" >x; $p run x; echo "status $?"; $p exec --profile base -- true; echo "status $?"'
        [[ "$output" == *"inside of an orch-sandbox already"* ]]
        [[ "$output" == *"status 3"* ]]
        [[ "$output" == *"status 125"* ]]
    done
}

# ---- whole runs ----

nested_flow() {
    chmod 0755 "$T" "$FLOW" # without a mount, root's agents have to get there
    cp "$T/profile.json" "$FLOW/profile.json"
    workflow "$(phase_of one)" "$(phase_of two)"
}

phase_of() {
    printf '{"name":"%s","profile":"./profile.json","attempts":2,"timeout":"40s","gates":[{"type":"file","path":"%s.txt"},
        {"type":"command","name":"look","run":["sh","-c","test -e %s.txt && test ! -e gone && echo x >by-gate"],"profile":"./profile.json"}]}' "$1" "$1" "$1"
}

@test "a_workflow_runs_on_copies_with_gates_control_and_apply" {
    agent <<'END'
echo "$ORCH_PHASE" >"$ORCH_PHASE.txt"
rm -f gone
[ "$ORCH_PHASE.$ORCH_ATTEMPT" != one.1 ] || rm one.txt
"$ORCH_DIR/bin/llm-status" >status.json || exit 3
echo x 2>/dev/null >"$ORCH_DIR/phase.json" && exit 4
llm-done
sleep 30
END
    echo 1 >"$WS/gone"
    echo 1 >"$WS/kept"
    nested_flow
    run timeout -k 5 100 "$HELPERS/nonamespaces" "$ORCH" run --workspace "$WS" --state "$STATE" --run-id "$RUN" "$FLOW/workflow.json" </dev/null 3>&-
    ended 0
    [ "$(attempts)" = 'one.1 one.2 two.1' ]
    [ "$(journal 'select(.event == "verdict") | .end' | sort -u)" = done ]
    [ "$(audit 'select(.event == "attempt" and .state == "start") | .tier' | sort -u)" = nested ]
    [ "$(cat "$WS/one.txt" "$WS/two.txt")" = "$(printf 'one\ntwo')" ]
    [ ! -e "$WS/gone" ] && [ ! -e "$WS/by-gate" ] && [ -e "$WS/kept" ]
    jq -e .ok "$WS/status.json"
    # The layers hold what changed, no copies.
    [ ! -e "$STATE/runs/$RUN/layers/two.1/upper/kept" ]
    [ ! -e "$STATE/runs/$RUN/layers/two.1/home" ]
}

@test "a_killed_run_is_resumed_in_the_tier_that_there_is" {
    agent <<'END'
echo "$ORCH_PHASE" >"$ORCH_PHASE.txt"
rm -f gone
[ "$ORCH_PHASE.$ORCH_ATTEMPT" != two.1 ] || sleep 60
END
    nested_flow
    "$HELPERS/nonamespaces" "$ORCH" run --workspace "$WS" --state "$STATE" --run-id "$RUN" "$FLOW/workflow.json" >"$T/out" 2>&1 </dev/null 3>&- &
    supervisor=$!
    wait_until grep -q 'phase two: attempt 1' "$T/out"
    kill -KILL "$supervisor"
    wait "$supervisor" || :
    wait_until nothing_left
    run timeout -k 5 100 "$HELPERS/nonamespaces" "$ORCH" resume --state "$STATE" "$RUN" 3>&-
    ended 0
    [ "$(attempts)" = 'one.1 two.1 two.2' ]
    [ "$(cat "$WS/one.txt" "$WS/two.txt")" = "$(printf 'one\ntwo')" ]
}

@test "a_run_names_the_profile_that_requires_more" {
    agent <<<'echo started >started'
    profile '.requires = "full"'
    nested_flow
    run "$HELPERS/nonamespaces" "$ORCH" run --workspace "$WS" --state "$STATE" "$FLOW/workflow.json" 3>&-
    echo "$output"
    [ "$status" -eq 3 ]
    [[ "$output" == *"'tiered' requires tier full"* ]]
    profile '.tools = ["sh","sleep","rm"]'
    nested_flow
    run "$HELPERS/nonamespaces" "$ORCH" run --workspace "$WS" --state "$STATE" "$FLOW/workflow.json" 3>&-
    echo "$output"
    [ "$status" -eq 3 ]
    [[ "$output" == *"tools: tier nested cannot hold"* ]]
    [ -z "$(ls -A "$STATE/runs" 2>/dev/null)" ]
    [ ! -e "$WS/started" ]
}

@test "a_program_that_the_agents_user_cannot_get_to_is_named" {
    need_root
    agent <<<'echo started >started'
    nested_flow
    chmod 0700 "$T"
    run "$HELPERS/nonamespaces" "$ORCH" run --workspace "$WS" --state "$STATE" "$FLOW/workflow.json" 3>&-
    echo "$output"
    [ "$status" -eq 3 ]
    [[ "$output" == *64321*agent.sh* ]]
}
