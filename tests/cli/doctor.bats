#!/usr/bin/env bats
# doctor tries what a host can enforce. What is missing is made so in a namespace or behind a filter, and each such test
# has a control: the same command in the same place with that one thing given back.
load ../lib/runs

setup() {
    runs_setup
    cd "$WS"
}

teardown() {
    cd /
    runs_teardown
}

say() {
    echo "exit status $status; output:"
    jq -r '.tier, .note, (.checks[] | select(.state != "works") | "\(.state) \(.id): \(.detail)")' <<<"$output" 2>/dev/null ||
        echo "$output"
}

# doctor [OPTION...]
doctor() {
    run timeout -k 5 60 "$ORCH" doctor --workspace "$WS" --state "$STATE" "$@" 3>&-
    say
}

# report COMMAND...: runs a command that ends in "doctor --json"; $status, and the document in $T/report.
report() {
    status=0
    timeout -k 5 60 "$@" >"$T/report" 2>"$T/errors" 3>&- || status=$?
    output=$(cat "$T/report" "$T/errors")
    say
    jq -e . "$T/report" >/dev/null
}

# is ID STATE
is() {
    local state
    state=$(jq -r --arg id "$1" '.checks[] | select(.id == $id) | .state' "$T/report")
    [ "$state" = "$2" ] || { echo "$1 is '$state', not $2"; return 1; }
}

fix_of() {
    jq -r --arg id "$1" '.checks[] | select(.id == $id) | .fix' "$T/report"
}

tier() {
    local tier
    tier=$(jq -r .tier "$T/report")
    [ "$tier" = "$1" ] || { echo "tier $tier, not $1"; return 1; }
}

# A mount namespace in which SCRIPT may mount; as_me in it runs a command as the present user.
in_mounts() {
    local script=$1
    shift
    if [ "$(id -u)" -eq 0 ]; then
        report unshare -m --propagation private sh -c 'as_me() { "$@"; }
            '"$script" sh "$@"
    else
        report unshare -Urm sh -c 'as_me() { unshare -U --map-user='"$(id -u)"' --map-group='"$(id -g)"' "$@"; }
            '"$script" sh "$@"
    fi
}

# ---- what it says where everything works ----

@test "says_tier_full_and_exits_0_where_everything_works" {
    doctor
    [ "$status" -eq 0 ]
    grep -qx 'tier: full' <<<"$output"
    grep -q '^works      user namespaces: ' <<<"$output"
    grep -q '^works      a whole sandbox: ' <<<"$output"
    # Only what is optional may be missing.
    [ "$(grep -c '^missing ' <<<"$output")" -eq "$(grep -c '^ *needed by: .* (optional)$' <<<"$output")" ]
}

@test "json_is_one_document_that_says_the_same" {
    report "$ORCH" doctor --json --workspace "$WS" --state "$STATE"
    [ "$status" -eq 0 ]
    jq -e --arg kernel "$(uname -r)" --argjson user "$(id -u)" '
        .schema == 1 and .tier == "full" and .kernel == $kernel and .user == $user and .note == null and
        (.checks | length > 25) and ([.checks[].id] | length == (unique | length)) and
        (.checks | all(
            (keys == ["depends", "detail", "fix", "id", "needed_for", "state", "title"]) and
            (.state | IN("works", "missing", "unneeded")) and (.needed_for | IN("full", "nested", "option")) and
            (.depends | length > 0) and (.detail | length > 0) and
            ((.state == "missing") == (.fix != null)) and
            (.state != "missing" or .needed_for == "option")))' "$T/report"
    doctor
    diff <(jq -r '.checks[] | "\(.state) \(.title)"' "$T/report") \
        <(sed -n 's/^\(works\|missing\|unneeded\)  *\(notification: [A-Z_ a-z]*\|[^:]*\): .*/\1 \2/p' <<<"$output")
}

@test "id_mapping_is_needed_by_root_alone" {
    report "$ORCH" doctor --json --workspace "$WS" --state "$STATE"
    if [ "$(id -u)" -eq 0 ]; then
        is idmap works
    else
        is idmap unneeded
    fi
}

@test "usage_errors_are_exit_2" {
    for args in --nonsense extra '--workspace' "--workspace $T/missing" '--run-id x'; do
        # shellcheck disable=SC2086 # words
        run timeout -k 5 60 "$ORCH" doctor $args 3>&-
        say
        [ "$status" -eq 2 ]
        [[ "$output" == "orch-sandbox: "* ]]
    done
    run timeout -k 5 60 "$ORCH" doctor --workspace "$WS" --state "$WS/state" 3>&-
    say
    [ "$status" -eq 2 ]
    [ ! -e "$WS/state" ]
    run timeout -k 5 60 "$ORCH" doctor --help 3>&-
    [ "$status" -eq 0 ]
    [[ "$output" == *--json* && "$output" == *--state* && "$output" == *--workspace* ]]
}

@test "a_home_with_the_state_directory_in_it_is_a_note_and_no_error" {
    cd "$T"
    run timeout -k 5 60 env -u XDG_STATE_HOME "$ORCH" doctor 3>&-
    say
    [ "$status" -eq 0 ]
    grep -q '^note: the state directory lies inside the workspace' <<<"$output"
    [ ! -e "$T/.local" ]
}

@test "no_byte_of_a_path_reaches_the_output_raw" {
    dir=$T/$(printf 'a\033[31mb\nc"\\d')
    mkdir "$dir"
    for form in '' --json; do
        # shellcheck disable=SC2086 # no word or one
        "$ORCH" doctor --workspace "$WS" --state "$dir/state" $form >"$T/out" 3>&-
        [ "$(LC_ALL=C tr -d '\n\040-\176' <"$T/out" | wc -c)" -eq 0 ]
        grep -qF 'u001b[31mb' "$T/out"
    done
    jq -e . "$T/out" >/dev/null
}

@test "output_that_cannot_be_written_is_no_success" {
    status=0
    "$ORCH" doctor --workspace "$WS" --state "$STATE" >/dev/full 2>"$T/errors" 3>&- || status=$?
    [ "$status" -eq 10 ]
    grep -q '^orch-sandbox: standard output: ' "$T/errors"
}

# ---- what it says where something is missing ----

@test "state_on_an_overlay_is_missing_and_the_fix_is_another_state_directory" {
    mkdir "$T/lower" "$T/upper" "$T/work" "$T/merged"
    script='mount -t overlay -o "userxattr,lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work" none "$1/merged" &&
        shift && as_me "$@"'
    in_mounts "$script" "$T" "$ORCH" doctor --json --workspace "$WS" --state "$T/merged/state"
    [ "$status" -eq 3 ]
    tier nested
    is userns works
    is state works
    is overlay missing
    is sandbox missing
    [[ "$(fix_of overlay)" == *"--state DIR"*"$T/merged/state"* ]]
    [ -z "$(ls -A "$T/upper")" ]
    # Control: in the same namespace, with a state directory that will do.
    in_mounts "$script" "$T" "$ORCH" doctor --json --workspace "$WS" --state "$STATE"
    [ "$status" -eq 0 ]
    is overlay works
}

@test "state_that_cannot_be_written_is_tier_none" {
    report "$ORCH" doctor --json --workspace "$WS" --state /proc/nothing/here
    [ "$status" -eq 3 ]
    tier none
    is state missing
    is overlay missing
    is userns works
    [[ "$(fix_of state)" == *"--state DIR"* ]]
}

@test "state_on_a_full_filesystem_is_missing_and_the_fix_is_space" {
    mkdir "$T/small"
    script='mount -t tmpfs -o size=$2 none "$1" && chmod 0777 "$1" && shift 2 && as_me "$@"'
    in_mounts "$script" "$T/small" 1m "$ORCH" doctor --json --workspace "$WS" --state "$T/small/state"
    [ "$status" -eq 3 ]
    is state missing
    [[ "$(fix_of state)" == *"64 MiB"* ]]
    in_mounts "$script" "$T/small" 128m "$ORCH" doctor --json --workspace "$WS" --state "$T/small/state" # control
    [ "$status" -eq 0 ]
    is state works
}

@test "a_masked_proc_is_missing_and_the_fix_unmasks_it" {
    script='{ [ "$1" = bare ] || mount --bind /dev/null /proc/meminfo; } && shift && as_me "$@"'
    in_mounts "$script" masked "$ORCH" doctor --json --workspace "$WS" --state "$STATE"
    [ "$status" -eq 3 ]
    tier nested
    is proc missing
    is tmpfs works
    is overlay works
    [[ "$(fix_of proc)" =~ systempaths=unconfined|unmask=ALL|procMount ]]
    in_mounts "$script" bare "$ORCH" doctor --json --workspace "$WS" --state "$STATE" # control
    [ "$status" -eq 0 ]
}

@test "a_filter_like_a_containers_is_tier_nested_and_the_fix_names_its_option" {
    report "$HELPERS/nonamespaces" "$ORCH" doctor --json --workspace "$WS" --state "$STATE"
    [ "$status" -eq 3 ]
    tier nested
    for id in userns mntns pidns netns ipcns utsns cgroupns tmpfs proc pivot-root overlay sandbox; do
        is "$id" missing
    done
    for id in landlock seccomp notify memory openat2 pidfd pdeathsig state; do
        is "$id" works
    done
    [[ "$(fix_of userns)" =~ seccomp=unconfined|seccompProfile|system-call-filter ]]
    # A run refuses for the same reason, and says where to look.
    agent <<<'exit 0'
    workflow "$(phase p file)"
    run "$HELPERS/nonamespaces" "$ORCH" run --workspace "$WS" --state "$STATE" "$FLOW/workflow.json" 3>&-
    say
    [ "$status" -eq 3 ]
    [[ "$output" == *"(see: orch-sandbox doctor)"* ]]
    # Control: without the filter.
    report "$ORCH" doctor --json --workspace "$WS" --state "$STATE"
    [ "$status" -eq 0 ]
}

@test "a_limit_of_no_user_namespaces_is_tier_nested_and_the_fix_is_the_sysctl" {
    need_user
    script='echo "$1" >/proc/sys/user/max_user_namespaces && shift &&
        exec setpriv --ambient-caps=-all --inh-caps=-all "$@"'
    report unshare -U -c --keep-caps sh -c "$script" sh 0 "$ORCH" doctor --json --workspace "$WS" --state "$STATE"
    [ "$status" -eq 3 ]
    tier nested
    is userns missing
    is landlock works
    [[ "$(fix_of userns)" == *"sysctl -w user.max_user_namespaces="* ]]
    # Control: the same, with a few allowed.
    report unshare -U -c --keep-caps sh -c "$script" sh 64 "$ORCH" doctor --json --workspace "$WS" --state "$STATE"
    [ "$status" -eq 0 ]
}

@test "a_root_without_the_agents_user_is_the_ordinary_user_that_it_is" {
    need_user
    report unshare -Ur "$ORCH" doctor --json --workspace "$WS" --state "$STATE"
    [ "$status" -eq 0 ]
    tier full
    is idmap unneeded
}

@test "inside_a_sandbox_of_ours_it_ends_and_says_to_go_outside" {
    [ -z "${ORCH_SANITIZED:-}" ] || skip "the shadow memory of a sanitizer is more than a sandbox gives"
    printf '{"schema":1,"name":"doctor","extends":"plan","widen":"the test","tools":["sh","true",{"name":"orch-sandbox","path":"%s"}]}\n' "$ORCH" >"$FLOW/doctor.json"
    agent <<END
timeout=1
"$ORCH" doctor --json >report.json 2>errors
echo \$? >code
END
    PROFILE=./doctor.json workflow "$(PROFILE=./doctor.json phase p code 60s)"
    drive
    say
    [ "$status" -eq 0 ]
    [ "$(cat "$WS/code")" = 3 ]
    cp "$WS/report.json" "$T/report"
    cat "$WS/errors"
    tier none
    is landlock works
    is userns missing
    is seccomp missing
    [[ "$(fix_of userns)" == "run it outside"* ]]
    # In the sandbox of exec, which has no control socket.
    report "$ORCH" exec --workspace "$WS" --state "$STATE" --profile "$FLOW/doctor.json" -- "$ORCH" doctor --json
    [ "$status" -eq 3 ]
    tier none
    # Control: outside.
    report "$ORCH" doctor --json --workspace "$WS" --state "$STATE"
    [ "$status" -eq 0 ]
}

# ---- what it leaves ----

traces() {
    # What others do at the same time is not ours: names, and mounts beneath our own directory.
    grep -c "$T" /proc/self/mountinfo || :
    processes
    ls -A "$STATE" "$WS"
    # Of others that run meanwhile only those whose supervisor is dead are counted.
    find /sys/fs/cgroup -name 'orch-*.*' 2>/dev/null | while IFS= read -r dir; do
        pid=${dir##*/orch-} pid=${pid#*.} pid=${pid%%.*}
        [ -e "/proc/$pid" ] || echo "$dir"
    done
}

@test "leaves_no_mount_process_cgroup_or_file" {
    echo x >"$WS/file"
    before=$(traces) time=$(stat -c %Y.%y "$STATE") tree=$(manifest "$WS")
    sleep 0.1
    RUN_MARK=$RUN timeout -k 5 60 "$ORCH" doctor --workspace "$WS" --state "$STATE" 3>&-
    [ "$(traces)" = "$before" ]
    [ "$(manifest "$WS")" = "$tree" ]
    # Control: it did make things there.
    [ "$(stat -c %Y.%y "$STATE")" != "$time" ]
    # Nor where it fails half way.
    RUN_MARK=$RUN timeout -k 5 60 "$HELPERS/nonamespaces" "$ORCH" doctor --workspace "$WS" --state "$STATE" 3>&- || [ $? -eq 3 ]
    [ "$(traces)" = "$before" ]
    # Nor does it make the state directory.
    timeout -k 5 60 "$ORCH" doctor --workspace "$WS" --state "$T/new/state" 3>&-
    [ ! -e "$T/new" ]
    [ -z "$(find "$T" -maxdepth 1 -name '.orch-doctor*')" ]
}

@test "a_signal_ends_it_and_leaves_nothing" {
    before=$(traces)
    for _ in 1 2 3 4 5; do
        RUN_MARK=$RUN "$ORCH" doctor --workspace "$WS" --state "$STATE" >"$T/out" 2>&1 3>&- &
        pid=$!
        until compgen -G "$STATE/.orch-doctor.*" >/dev/null || ! kill -0 "$pid" 2>/dev/null; do :; done
        kill -TERM "$pid" 2>/dev/null || :
        status=0
        wait "$pid" || status=$?
        cat "$T/out"
        [ "$(traces)" = "$before" ]
        # It may have been done before the signal came.
        [ "$status" -ne 143 ] || break
    done
    [ "$status" -eq 143 ]
    [ "$(cat "$T/out")" = "orch-sandbox: cancelled" ]
}

@test "is_done_within_seconds" {
    # Three times, so that one slow moment of the machine is not the measure.
    best=99999
    for _ in 1 2 3; do
        begin=$(date +%s%N)
        "$ORCH" doctor --workspace "$WS" --state "$STATE" >/dev/null 3>&-
        took=$((($(date +%s%N) - begin) / 1000000))
        [ "$took" -ge "$best" ] || best=$took
    done
    echo "best: $best ms"
    [ -n "${ORCH_SANITIZED:-}" ] || [ "$best" -lt 5000 ]
}
