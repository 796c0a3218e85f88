#!/usr/bin/env bats
# Attacks on tier nested: no namespace and no mount stands behind it, only Landlock, the filter and the hunt.
#
# A row is "ID | VERB ARGUMENT... | inside | control | outside", as in basic.bats: VERB is one of tests/helpers/attack.c; an empty control is
# the same act outside.
load ../lib/runs

rows() {
    cat <<END
T-FD-05  | sys ptrace 16 $OUTSIDER           | EPERM  | sys ptrace 16 0x7fffffff | ESRCH
T-FD-05  | sys process_vm_readv $OUTSIDER @ 0 @ 0 0 | EPERM | sys process_vm_readv self @ 0 @ 0 0 | OK
T-FD-05  | open /proc/$OUTSIDER/environ r    | E*     | | OK
T-FD-05  | open /proc/$OUTSIDER/cmdline r    | E*     | | OK
T-FD-05  | open /proc/$OUTSIDER/maps r       | E*     | | OK
T-FD-05  | open /proc/$OUTSIDER/root$O/secret r | E*  | open /proc/self/root$O/secret r | OK
T-FD-08  | open /proc/sys/kernel/core_pattern r | ENOENT | | OK
T-FD-08  | open /proc/self/mem w             | E*     | | OK
T-FD-08  | open /proc/self/status r          | OK     | | OK
T-FD-12  | open /proc/self/root$O/secret r   | ENOENT | | OK
T-FD-12  | open /proc/self/cwd/../../../../../../../../../..$O/secret r | ENOENT | open /proc/self/root$O/secret r | OK
T-FD-14  | unix @$ABSTRACT                   | ECONNREFUSED | | OK
T-FD-15  | unix $O/socket                    | ENOENT | | OK
T-FD-15  | unix $O/shown/socket              | EACCES | | OK
T-PH-01  | kill $SUPERVISED 0                | EPERM  | | OK
T-PH-01  | kill $OUTSIDER 9                  | EPERM  | kill $OUTSIDER 0 | OK
T-PH-01  | kill -1 0                         | @(OK;EPERM) | | OK
T-NS-01  | clone 0x10000000                  | EPERM  | | OK
T-NS-01  | sys unshare 0x10000000            | EPERM  | | OK
T-NS-01  | sys setns -1 0                    | EPERM  | | EBADF
T-NS-02  | status CapInh: CapPrm: CapEff: CapAmb: NoNewPrivs: | 0000000000000000 0000000000000000 0000000000000000 0000000000000000 1 end | status NoNewPrivs: | 0 end
T-NS-05  | families                          | 1 1+ end | | *16 16+ *
T-NS-09  | sys keyctl 0 -3 0                 | EPERM  | | OK
T-SC-06  | sys io_uring_setup 0 !            | EPERM  | | EFAULT
T-SC-07  | sys mount ! ! ! 0 !               | EPERM  | | E*
T-NET-01 | inet tcp 127.0.0.1 $PORT          | EACCES | | OK
T-NET-01 | inet udp 127.0.0.1 $PORT          | EACCES | | OK
T-FS-08  | open $O/secret r                  | ENOENT | | OK
T-FS-08  | open $O/new c                     | EACCES | open $O/new2 c | OK
T-FS-08  | open $O/shown/file r              | OK     | | OK
T-FS-08  | open $O/shown/file w              | EACCES | | OK
T-FS-08  | mkdir $O/shown/new                | EACCES | mkdir $O/new3 | OK
T-FS-08  | chmod $O/shown/file 777           | EACCES | chmod $O/shown/file 644 | OK
T-FS-08  | chmod $O/secret 777               | ENOENT | chmod $O/secret 644 | OK
T-FS-08  | truncate $O/shown/file            | EACCES | truncate $O/new2 | OK
T-FS-08  | link $O/shown/file hard           | E*     | link $O/shown/file $O/hard | OK
T-FS-08  | rename $O/shown/file moved        | E*     | rename $O/new2 $O/new4 | OK
T-FS-08  | open $WSREAL/file w               | ENOENT | | OK
T-FS-18  | open $STATE r                     | @(EACCES;ENOENT) | | OK
T-FS-18  | open / r                          | EACCES | | OK
T-EX-01  | execveat /bin/true                | ENOSYS | execveat /bin/true x | 
T-EX-02  | memfd x                           | ENOSYS | | 
T-SC-10  | race ./race ./ok.txt $O/secret 2000 | *secret=none* | race $O/race $O/ok.txt $O/secret 2000 | *secret=some*
END
}

profile() {
    cat <<END
{"schema":1,"name":"attacked","extends":"base","widen":"the attacker's program","requires":"nested","tools":"*",
 "create":["file","directory","symlink"],"limits":{"scope":"process","pids":2000,"wall":"5m"},
 "filesystem":[{"path":"$O/shown","access":"ro"},{"path":"\${workspace}","access":"rwx"}]}
END
}

setup() {
    runs_setup
    O=$(mktemp -d /var/tmp/orch-test.XXXXXX)
    chmod 0755 "$O"
    mkdir "$O/shown" "$T/bin"
    cp "$HELPERS/attack" "$HELPERS/swarm" "$WS/"
    cp "$HELPERS/attack" "$HELPERS/swarm" "$T/bin/"
    WSREAL=$WS
    profile >"$T/profile.json"
}

teardown() {
    [ -z "${server:-}" ] || kill "$server" 2>/dev/null || :
    [ -z "${outsider:-}" ] || kill -KILL "$outsider" 2>/dev/null || :
    rm -rf "$O"
    runs_teardown
}

# nested COMMAND...: in a sandbox on a host that forbids namespaces
nested() {
    timeout -k 5 120 "$HELPERS/nonamespaces" "$ORCH" exec --workspace "$WS" --state "$STATE" --profile "$T/profile.json" \
        --audit "$T/audit" "$@" 3>&-
}

column() {
    local text
    text=$(cut -d'|' -f"$1" <<<"$2")
    text=${text#"${text%%[![:space:]]*}"}
    printf '%s\n' "${text%"${text##*[![:space:]]}"}"
}

answer() {
    sed -n "s/^$2\\( \\(.*\\)\\)\\{0,1\\}\$/\\2/p" "$1"
}

@test "nested_holds_what_namespaces_hold_elsewhere" {
    local row n=0 bad=0 in out want control
    shopt -s extglob
    ABSTRACT=$RUN-abstract
    echo SECRET >"$O/secret"
    echo PERMITTED >"$WS/ok.txt"
    echo PERMITTED >"$O/ok.txt"
    echo shown >"$O/shown/file"
    echo file >"$WS/file"
    (umask 0; exec "$T/bin/attack" listen "$O/socket" "$O/shown/socket" "@$ABSTRACT" >"$T/port" 2>&1 3>&-) &
    server=$!
    sleep 300 3>&- &
    outsider=$!
    OUTSIDER=$outsider SUPERVISED=$$
    wait_until test -s "$T/port"
    PORT=$(cat "$T/port")
    rows >"$T/rows"
    # shellcheck disable=SC2016 # for later
    echo 'try() { n=$1; shift; printf "%s %s\n" "$n" "$(timeout 60 "$ATTACK" "$@" 2>&1 | tr "\n" " " | sed "s/ $//")"; }' |
        tee "$WS/inside.sh" >"$T/outside.sh"
    while IFS= read -r row; do
        n=$((n + 1))
        echo "try $n $(column 2 "$row")" >>"$WS/inside.sh"
        control=$(column 4 "$row")
        echo "try $n ${control:-$(column 2 "$row")}" >>"$T/outside.sh"
    done <"$T/rows"
    echo "[ -e '$O/secret' ] && echo seen; :" >>"$WS/inside.sh"
    manifest "$O/shown" >"$T/before"
    nested -- sh -c 'ATTACK=./attack; . ./inside.sh' >"$T/inside" 2>"$T/errors" 7<"$O/secret" || { cat "$T/errors"; false; }
    manifest "$O/shown" >"$T/after"
    cmp "$T/before" "$T/after"
    [ "$(head -n 1 "$T/audit" | jq -r .tier)" = nested ]
    refute grep -q seen "$T/inside"
    (cd "$O" && ATTACK=$T/bin/attack && . "$T/outside.sh") >"$T/outside" 2>&1
    n=0
    while IFS= read -r row; do
        n=$((n + 1))
        in=$(answer "$T/inside" "$n") out=$(answer "$T/outside" "$n")
        want=$(column 3 "$row")
        # shellcheck disable=SC2053 # a pattern
        [[ $in == ${want//;/|} ]] || { echo "inside: '$in': $row"; bad=$((bad + 1)); }
        want=$(column 5 "$row")
        # shellcheck disable=SC2053
        [[ -z $want || $out == ${want//;/|} ]] || { echo "outside: '$out': $row"; bad=$((bad + 1)); }
    done <"$T/rows"
    echo "$n attacks, $bad wrong"
    [ "$bad" -eq 0 ]
    kill -0 "$outsider"
    # What was refused is on record.
    for what in "network connect $O/shown/socket" "filesystem openat $O/secret" "filesystem chmod $O/shown/file" "syscall socket "; do
        jq -r 'select(.event == "denial") | "\(.class) \(.syscall) \(.path // "")"' "$T/audit" | grep -qF "$what" || { echo "no record: $what"; false; }
    done
}

some_left() {
    [ -n "$(processes)" ]
}

# outlives VERB N: outside, such a swarm goes on when its first process has ended; it lasts a few seconds
outlives() {
    SWARM_SECONDS=4 "$T/bin/swarm" "$RUN" - "$@" >/dev/null </dev/null 3>&-
    wait_until some_left
    wait_until nothing_left
}

swarm() {
    nested -- sh -c "exec ./swarm $RUN - $*"
}

@test "t_ph_15_daemons_are_hunted_to_the_last" {
    outlives daemons 20 # control
    swarm daemons 300
    nothing_left
}

@test "t_ph_15_a_deep_line_of_sessions_is_hunted" {
    outlives deep 20
    swarm deep 300
    nothing_left
}

grown() {
    [ "$(stat -c %s "$O/rw/trace")" -gt "$1" ]
}

# They live too shortly to be seen in /proc, so each leaves a byte.
@test "t_ph_15_forks_do_not_outrun_the_hunt" {
    mkdir "$O/rw"
    : >"$O/rw/trace"
    chmod 0777 "$O/rw" && chmod 0666 "$O/rw/trace"
    jq --arg rw "$O/rw" '.filesystem += [{"path": $rw, "access": "rw"}]' "$T/profile.json" >"$T/new" && mv "$T/new" "$T/profile.json"
    SWARM_TRACE=$O/rw/trace SWARM_SECONDS=4 "$T/bin/swarm" "$RUN" - chains 2 >/dev/null </dev/null 3>&- # control
    wait_until grown "$(stat -c %s "$O/rw/trace")"
    sleep 5
    for _ in 1 2 3; do
        : >"$O/rw/trace"
        rm -f "$T/audit"
        nested -- sh -c "SWARM_TRACE=$O/rw/trace exec ./swarm $RUN - chains 10"
        size=$(stat -c %s "$O/rw/trace")
        echo "$size forks"
        [ "$size" -gt 0 ]
        sleep 0.5
        refute grown "$size"
        nothing_left
    done
}

@test "t_ph_01_a_killed_supervisor_takes_all_with_it" {
    for signal in KILL TERM; do
        rm -f "$T/audit" "$T/out"
        "$HELPERS/nonamespaces" "$ORCH" exec --workspace "$WS" --state "$STATE" --profile "$T/profile.json" --audit "$T/audit" -- \
            sh -c "./swarm $RUN - daemons 50 && sleep 60" >"$T/out" 2>&1 3>&- &
        supervisor=$!
        wait_until grep -q ready "$T/out"
        kill -"$signal" "$supervisor"
        wait "$supervisor" || :
        wait_until nothing_left
    done
}

@test "t_ph_01_a_killed_init_leaves_nobody" {
    "$HELPERS/nonamespaces" "$ORCH" exec --workspace "$WS" --state "$STATE" --profile "$T/profile.json" --audit "$T/audit" -- \
        sh -c "./swarm $RUN - daemons 50 && sleep 60" >"$T/out" 2>&1 3>&- &
    supervisor=$!
    wait_until grep -q ready "$T/out"
    kill -KILL "$(pgrep -P "$supervisor" | head -n 1)" # init
    wait "$supervisor" || :
    wait_until nothing_left
}

@test "children_that_came_with_the_process_are_no_prey" {
    # shellcheck disable=SC2016 # the shell's
    sh -c 'setsid sleep 120 & echo $! >"$1"; shift; exec "$@"' sh "$T/pid" timeout -k 5 60 true
    # The program that is executed keeps the shell's child.
    # shellcheck disable=SC2016
    sh -c 'setsid sleep 120 & echo $! >"$1"; shift; exec "$@"' sh "$T/own" "$HELPERS/nonamespaces" "$ORCH" exec --workspace "$WS" \
        --state "$STATE" --profile "$T/profile.json" -- sh -c "./swarm $RUN - daemons 20" >"$T/out" 2>&1 3>&- </dev/null
    grep -q ready "$T/out"
    nothing_left
    kill "$(cat "$T/own")" # is there still
    kill "$(cat "$T/pid")"
}

@test "the_cell_of_a_killed_supervisor_goes_with_the_next_one" {
    need_root # an ordinary user's lies in the state directory
    cells() { find /tmp -maxdepth 3 -path "/tmp/orch-sandbox.*/upper/$RUN"; }
    touch "$WS/$RUN"
    "$HELPERS/nonamespaces" "$ORCH" exec --workspace "$WS" --state "$STATE" --profile "$T/profile.json" --audit "$T/audit" -- \
        sh -c "./swarm $RUN - daemons 2 && sleep 60" >"$T/out" 2>&1 3>&- &
    supervisor=$!
    wait_until grep -q ready "$T/out"
    kill -KILL "$supervisor"
    wait "$supervisor" || :
    wait_until nothing_left
    [ -n "$(cells)" ]
    # What is in use stays: this one finds its own copy.
    "$HELPERS/nonamespaces" "$ORCH" exec --workspace "$WS" --state "$STATE" --profile "$T/profile.json" -- sh -c "test -e $RUN"
    [ -z "$(cells)" ]
}

@test "t_fs_08_calls_that_only_look_at_a_name_are_judged_too" {
    echo x >"$O/secret"
    chmod 0644 "$O/secret"
    cat >"$WS/look.py" <<'END'
import ctypes, sys
libc, path, buf = ctypes.CDLL(None, use_errno=True), sys.argv[1].encode(), ctypes.create_string_buffer(256)
def look(nr, *args):
    print(nr, ctypes.get_errno() if libc.syscall(ctypes.c_long(nr), *args) < 0 else 0)
look(6, path, buf)                                        # lstat
look(194, path, buf, 256)                                 # listxattr
look(465, -100, path, 0, buf, 256)                        # listxattrat
look(468, -100, path, buf, 24, 0)                         # file_getattr
END
    python3 "$WS/look.py" "$O/secret" >"$T/outside"
    nested -- python3 look.py "$O/secret" >"$T/inside" 2>"$T/err" || { cat "$T/err"; false; }
    cat "$T/outside" "$T/inside"
    # What this kernel does not have is ENOSYS outside, and not seen here.
    while read -r nr outside; do
        [ "$outside" -ne 38 ] || continue
        [ "$outside" -eq 0 ]
        grep -qx "$nr 2" "$T/inside"
    done <"$T/outside"
    [ "$(jq -s --arg p "$O/secret" '[.[] | select(.event == "denial" and .path == $p) | .syscall] | unique | length' "$T/audit")" -ge 2 ]
}
