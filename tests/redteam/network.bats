#!/usr/bin/env bats
# T-NET, T-NS-05, T-FD-14: what an agent can reach and set up by sockets, in the network modes none and loopback. The same
# program outside is the control: against the host itself for what the host has, and in a network namespace of its own, as
# its root, for what only needs a kernel.
load ../lib/runs

# NAME | none | loopback | outside: patterns of the answer. "class call" of the record that a refusal leaves follows; none
# for what the kernel answers by itself.
kernel_rows() {
    cat <<'END'
raw4           | EPERM | EPERM | OK | syscall socket
raw6           | EPERM | EPERM | OK;EAFNOSUPPORT | syscall socket
raw4-nonblock  | EPERM | EPERM | OK | syscall socket
sock-packet    | EPERM | EPERM | OK;EAFNOSUPPORT | syscall socket
packet         | EPERM | EPERM | OK;EAFNOSUPPORT | syscall socket
packet-high    | EPERM | EPERM | OK;EAFNOSUPPORT | syscall socket
ping           | EPERM | EPERM | OK;EACCES | syscall socket
sctp           | EPERM | EPERM | OK;EPROTONOSUPPORT | syscall socket
sctp-seqpacket | EPERM | EPERM | OK;ESOCKTNOSUPPORT | syscall socket
dccp           | EPERM | EPERM | OK;ESOCKTNOSUPPORT | syscall socket
udplite        | EPERM | EPERM | OK;EPROTONOSUPPORT | syscall socket
mptcp          | EPROTONOSUPPORT | EPROTONOSUPPORT | OK;EPROTONOSUPPORT;ENOPROTOOPT | syscall socket
alg            | EPERM | EPERM | OK;EAFNOSUPPORT | syscall socket
vsock          | EPERM | EPERM | OK;EAFNOSUPPORT;ESOCKTNOSUPPORT;ENODEV | syscall socket
key            | EPERM | EPERM | OK;EAFNOSUPPORT | syscall socket
xdp            | EPERM | EPERM | OK;EAFNOSUPPORT | syscall socket
tipc           | EPERM | EPERM | OK;EAFNOSUPPORT | syscall socket
netlink-route  | EPERM | OK    | OK | syscall socket
netlink-4      | EPERM | EPERM | OK;EPROTONOSUPPORT | syscall socket
netlink-6      | EPERM | EPERM | OK;EPROTONOSUPPORT | syscall socket
netlink-9      | EPERM | EPERM | OK;EPROTONOSUPPORT | syscall socket
netlink-12     | EPERM | EPERM | OK;EPROTONOSUPPORT | syscall socket
netlink-15     | EPERM | EPERM | OK | syscall socket
netlink-16     | EPERM | EPERM | OK | syscall socket
tcp            | OK    | OK    | OK | -
udp6           | OK    | OK    | OK;EAFNOSUPPORT | -
link-list      | EPERM | OK    | OK | -
link-set       | EPERM | EPERM | OK | -
address-add    | EPERM | EPERM | OK | -
route-add      | EPERM | EPERM | OK | -
lo-up          | EPERM | EPERM | OK | -
freebind       | EADDRNOTAVAIL | EADDRNOTAVAIL | OK | network bind
unshare-net    | EPERM | EPERM | OK | syscall unshare
END
}

host_rows() {
    cat <<'END'
tcp4           | ENETUNREACH | ECONNREFUSED | OK | network connect
tcp6           | ENETUNREACH | ECONNREFUSED | OK;E*NOT* | network connect
mapped         | ENETUNREACH | ECONNREFUSED | OK;E*NOT* | network connect
any            | ENETUNREACH | ECONNREFUSED | OK | network connect
udp4           | ENETUNREACH | ECONNREFUSED;TimeoutError | OK | network sendto
udp6           | ENETUNREACH | ECONNREFUSED;TimeoutError | OK;E*NOT* | network sendto
sendmsg        | ENETUNREACH | ECONNREFUSED;TimeoutError | OK | -
fast-open      | ENETUNREACH | ECONNREFUSED;EINPROGRESS | OK;EINPROGRESS | network sendto
abstract       | ECONNREFUSED;EPERM | ECONNREFUSED;EPERM | OK | -
abstract-dgram | ECONNREFUSED;EPERM | ECONNREFUSED;EPERM | OK | -
beyond         | ENETUNREACH | ENETUNREACH | * | network connect
beyond-udp     | ENETUNREACH | ENETUNREACH | * | network sendto
beyond-6       | ENETUNREACH | ENETUNREACH | * | network connect
link-local     | ENETUNREACH | ENETUNREACH | * | network connect
END
}

setup_file() {
    runs_setup
    need python3
    ATTACKS=$ORCH_ROOT/tests/redteam/network_attacks.py
    python3 "$ORCH_ROOT/tests/redteam/network_listener.py" "$RUN-abstract" >"$T/port" 2>&1 3>&- &
    listener=$!
    wait_until test -s "$T/port"
    PORT=$(cat "$T/port")
    cp "$ATTACKS" "$WS/attacks.py"
    for mode in none loopback; do
        printf '{"schema":1,"name":"%s","extends":"implement","widen":"the test","network":{"mode":"%s"}}' $mode $mode >"$T/$mode.json"
        inside $mode kernel
        inside $mode host "$PORT" "$RUN-abstract"
    done
    python3 "$ATTACKS" host "$PORT" "$RUN-abstract" >"$T/host.outside" 2>&1
    unshare --user --map-root-user --net python3 "$ATTACKS" kernel >"$T/kernel.outside" 2>&1
    kill "$listener"
    export T
}

# MODE GROUP ARGUMENT...: what it prints to GROUP.MODE, its records to GROUP.MODE.audit
inside() {
    local mode=$1
    shift
    timeout 60 "$ORCH" exec --state "$STATE" --workspace "$WS" --profile "$T/$mode.json" --audit "$T/$1.$mode.audit" -- \
        python3 attacks.py "$@" >"$T/$1.$mode" 2>"$T/$1.$mode.err" </dev/null || cat "$T/$1.$mode.err"
}

setup() {
    :
}

teardown_file() {
    kill "$listener" 2>/dev/null || :
    runs_teardown
}

column() {
    cut -d'|' -f"$1" <<<"$2" | sed 's/^ *//; s/ *$//'
}

# is PATTERNS ANSWER
is() {
    local pattern patterns
    IFS=';' read -ra patterns <<<"$1"
    for pattern in "${patterns[@]}"; do
        # shellcheck disable=SC2053 # a pattern
        [[ $2 != $pattern ]] || return 0
    done
    return 1
}

# check GROUP MODE COLUMN
check() {
    local row name answer want bad=0 rows=0
    while IFS= read -r row; do
        name=$(column 1 "$row") want=$(column "$3" "$row")
        answer=$(sed -n "s/^$name //p" "$T/$1.$2")
        rows=$((rows + 1))
        is "$want" "$answer" || { echo "$2: $name: '$answer', expected '$want'"; bad=$((bad + 1)); }
        [ "$2" = outside ] || [ "$answer" = OK ] || recorded "$T/$1.$2.audit" "$(column 5 "$row")" "$answer" ||
            { echo "$2: $name: no record"; bad=$((bad + 1)); }
    done < <("$1_rows")
    echo "$rows attacks, $bad wrong"
    [ "$rows" -gt 0 ] && [ "$bad" -eq 0 ]
}

# recorded FILE "CLASS CALL" ERRNO: what the kernel answered by itself (nobody listens) leaves no record
recorded() {
    [ "$2" != - ] || return 0
    case $3 in ECONNREFUSED | TimeoutError | EINPROGRESS) return 0 ;; esac
    jq -r 'select(.event == "denial") | "\(.class) \(.syscall) \(.errno)"' "$1" | grep -qx "$2 $3"
}

@test "t_ns_05_families_types_and_protocols_in_mode_none" { check kernel none 2; }
@test "t_ns_05_families_types_and_protocols_in_mode_loopback" { check kernel loopback 3; }
@test "t_ns_05_controls_in_a_namespace_of_their_own" { check kernel outside 4; }
@test "t_net_01_the_host_is_not_there_in_mode_none" { check host none 2; }
@test "t_net_01_the_host_is_not_there_in_mode_loopback" { check host loopback 3; }
@test "t_net_01_controls_on_the_host" { check host outside 4; }

@test "t_aud_02_what_runtimes_ask_is_recorded_but_not_counted" {
    jq -c 'select(.event == "denial" and .syscall == "socket" and .quiet == true) | .errno' "$T/kernel.none.audit" | sort >"$T/quiet"
    cat "$T/quiet"
    # netlink for the list of addresses, and MPTCP
    grep -qx '"EPERM"' "$T/quiet" && grep -qx '"EPROTONOSUPPORT"' "$T/quiet"
    # and a raw socket is counted
    jq -e -s 'map(select(.event == "denial" and .syscall == "socket" and .quiet != true) | .count) | add >= 15' "$T/kernel.none.audit"
}
