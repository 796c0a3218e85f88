#!/usr/bin/env bats
# DR-12: attacks by threat id. One run tries them all inside; the same acts outside are the positive controls.
#
# A row is "ID | VERB ARGUMENT... | inside | record | control | outside". VERB is one of tests/helpers/attack.c. inside and outside are
# patterns of what it prints. record is "CLASS CALL" of the denial that
# must be on record, or -. control is what is done outside,
# empty for the same act; with "ns:" in front it is done in a user and mount namespace of its own, where an ordinary user may.
load ../lib/runs

rows() {
    cat <<END
T-TTY-01 | sys ioctl -1 0x5412 @        | EPERM  | syscall ioctl | | EBADF
T-TTY-02 | sys ioctl -1 0x100005412 @   | EPERM  | syscall ioctl | | EBADF
T-TTY-02 | sys ioctl -1 0xffffffff00005412 @ | EPERM | syscall ioctl | | EBADF
T-TTY-03 | sys ioctl -1 0x541c @        | EPERM  | syscall ioctl | | EBADF
T-TTY-03 | sys ioctl -1 0x5423 @        | EPERM  | syscall ioctl | | EBADF
T-TTY-00 | sys ioctl -1 0x541b @        | EBADF  | -             | | EBADF
T-TTY-06 | stdin                        | EOF    | -             | | bytes
T-FD-01  | fds                          | 0 1 2 end | -          | | 0 1 2 *7 *
T-FD-04  | execveat $T/bin/attack       | ENOSYS | -             | execveat /bin/true x | 
T-FD-05  | sys ptrace 0                 | EPERM  | syscall ptrace | | OK
T-FD-05  | sys ptrace 16 0x7fffffff     | EPERM  | syscall ptrace | | ESRCH
T-FD-05  | sys process_vm_readv self @ 0 @ 0 0  | EPERM | syscall process_vm_readv  | | OK
T-FD-05  | sys process_vm_writev self @ 0 @ 0 0 | EPERM | syscall process_vm_writev | | OK
T-FD-05  | sys pidfd_getfd -1 0 0       | EPERM  | syscall pidfd_getfd | | EBADF
T-FD-05  | open /proc/1/mem r           | E*     | -             | open /proc/self/mem r | OK
T-FD-05  | open /proc/1/environ r       | E*     | -             | open /proc/self/environ r | OK
T-FD-05  | open /proc/1/root/ r         | E*     | -             | open /proc/self/root/ r | OK
T-FD-05  | open /proc/1/fd/0 r          | E*     | -             | open /proc/self/fd/0 r | OK
T-FD-03  | open /proc/1/exe r           | E*     | -             | open /proc/self/exe r | OK
T-FD-08  | open /proc/sys/kernel/core_pattern r | ENOENT | -     | | OK
T-FD-08  | open /proc/self/mem w        | E*     | -             | | OK
T-FD-12  | open /proc/self/root$O/secret r | ENOENT | -          | | OK
T-FD-12  | open /proc/self/cwd/../../..$O/secret r | ENOENT | -  | open /proc/self/root$O/secret r | OK
T-FD-14  | unix @$ABSTRACT              | E*     | -             | | OK
T-FD-15  | unix $O/socket               | ENOENT | network connect | | OK
T-FD-15  | unix $O/shown/socket         | EACCES | network connect | | OK
T-FD-15  | unix $WS/socket              | E*     | -             | | OK
T-SC-01  | child int80                  | killed by signal 9 | syscall # | | *
T-SC-02  | child sys 0x40000027         | killed by signal 9 | syscall # | | ENOSYS
T-SC-02  | child sys 0x40000208         | killed by signal 9 | - | | E*
T-SC-03  | sys 470                      | ENOSYS | -             | | *
T-SC-03  | sys 600                      | ENOSYS | -             | | ENOSYS
T-SC-03  | sys 4000                     | ENOSYS | -             | | ENOSYS
T-SC-03  | child sys -1                 | @(ENOSYS;killed by signal 9) | - | | ENOSYS
T-SC-03  | child sys 0xfffffff0         | killed by signal 9 | - | | ENOSYS
T-SC-05  | clone3 0x10000000            | ENOSYS | -             | | OK
T-SC-05  | clone3 0                     | ENOSYS | -             | | OK
T-SC-05  | clone 0                      | OK     | -             | | OK
T-SC-06  | sys io_uring_setup 0 !       | EPERM  | syscall io_uring_setup    | | EFAULT
T-SC-06  | sys io_uring_enter -1        | EPERM  | syscall io_uring_enter    | | EBADF
T-SC-06  | sys io_uring_register -1     | EPERM  | syscall io_uring_register | | E[BI]*
T-SC-07  | sys fsopen =tmpfs 0          | ENOSYS | -             | ns: | OK
T-SC-07  | sys open_tree -1 =. 0        | ENOSYS | -             | | EBADF
T-SC-07  | sys move_mount -1 =. -1 =. 0 | ENOSYS | -             | ns: | EBADF
T-SC-07  | sys mount_setattr -1 =. 0 @ 32 | ENOSYS | -           | ns: | @(OK;EBADF)
T-SC-14  | sys seccomp 1 0 !            | EPERM  | syscall seccomp | | EFAULT
T-SC-14  | sys seccomp 1 8 !            | EPERM  | syscall seccomp | | EFAULT
T-SC-14  | sys prctl 22 2 !             | EPERM  | syscall prctl | | EFAULT
T-SC-15  | sys personality 0x40000      | EPERM  | syscall personality | | OK
T-SC-15  | sys personality 0x400000     | EPERM  | syscall personality | | OK
T-SC-04  | sys personality 0x100040000  | EPERM  | syscall personality | | OK
T-SC-15  | sys personality 0xffffffff   | OK     | -             | | OK
T-SC-16  | dumpable                     | dumpable 1 | -         | | dumpable 0
T-SC-16  | sys prctl 35 15 @             | EPERM  | syscall prctl | | @(OK;EINVAL)
T-SC-16  | sys prctl 47 2 99 0 0        | EPERM  | syscall prctl | | E[!P]*
T-SC-04  | sys prctl 0x10000002f 2 99 0 0 | EPERM | syscall prctl | | E[!P]*
T-SC-17  | sys userfaultfd 1            | EPERM  | syscall userfaultfd | | OK
T-NS-01  | clone 0x10000000             | EPERM  | syscall clone | | OK
T-NS-01  | sys unshare 0x10000000       | EPERM  | syscall unshare | | OK
T-NS-01  | sys unshare 0x20000          | EPERM  | syscall unshare | ns: | OK
T-NS-01  | clone 0x40000000             | EPERM  | syscall clone | ns: | OK
T-NS-01  | sys setns -1 0               | EPERM  | syscall setns | | EBADF
T-NS-02  | status Cap                   | 0000000000000000 0000000000000000 0000000000000000 0000000000000000 0000000000000000 end | - | | *[1-9a-f]*
T-NS-02  | status NoNewPrivs: Seccomp:  | 1 2 end | -            | | 0 0 end
T-NS-05  | families                     | 1 1+ 2 2+?( 10 10+) end | syscall socket | | *16 16+ *
T-NS-08  | sys name_to_handle_at -100 =/ @ @ 0 | EPERM | syscall name_to_handle_at | | EOVERFLOW
T-NS-09  | sys keyctl 0 -3 0            | EPERM  | syscall keyctl | | OK
T-NS-09  | sys add_key ! ! 0 0 0        | EPERM  | syscall add_key | | EFAULT
T-NS-09  | sys request_key ! ! 0 0      | EPERM  | syscall request_key | | EFAULT
T-NS-10  | mknod $WS/null null          | E[AP]* | filesystem mknod | mknod $O/w whiteout | OK
T-NS-10  | mknod $WS/whiteout whiteout  | EACCES | filesystem mknod | mknod $O/x whiteout | OK
T-NS-10  | mknod $WS/fifo fifo          | EACCES | filesystem mknod | mknod $O/fifo fifo  | OK
T-NS-10  | mknod /tmp/null null         | E*     | -             | mknod $O/y whiteout | OK
T-NS-10  | open /dev/kmsg r             | ENOENT | -             | open /dev/null r | OK
T-NS-11  | sys mount =none =$WS =tmpfs 0 0 | EPERM | syscall mount | ns: | OK
T-NS-11  | sys umount2 =/nonexistent 0  | EPERM  | syscall umount2 | | ENOENT
T-NS-11  | sys chroot =/tmp             | EPERM  | syscall chroot | ns: | OK
T-NS-11  | sys pivot_root =/nonexistent =/nonexistent | EPERM | syscall pivot_root | ns: | ENOENT
T-NS-12  | open /sys/fs/cgroup r        | ENOENT | -             | open /sys r | OK
T-NS-13  | kill $$ 0                    | E[SP]* | -             | | OK
T-NS-13  | reach 70000                  | reach [1-7] | -        | | reach @([89];[1-9][0-9]*)
T-NS-14  | sys clock_settime 0 !        | EPERM  | syscall clock_settime | | EFAULT
T-NS-16  | open /etc/shadow r           | ENOENT | filesystem open | open $O/secret r | OK
T-NS-16  | sys setuid 0                 | E*     | -             | sys setuid $(id -u) | OK
T-NS-17  | sys bpf 0 ! 8                | EPERM  | syscall bpf   | | EFAULT
T-NS-17  | sys perf_event_open ! 0 -1 -1 0 | EPERM | syscall perf_event_open | | EFAULT
T-NS-17  | sys kcmp self self 0 0 0     | EPERM  | syscall kcmp  | | OK
T-NS-17  | sys msgget 0x12345 0         | EPERM  | syscall msgget | | ENOENT
T-NS-17  | sys modify_ldt 0 @ 16        | EPERM  | syscall modify_ldt | | OK
T-EX-01  | open $WS/copy r              | OK     | -             | | OK
T-EX-02  | mmap $WS/copy                | EPERM  | -             | | OK
T-EX-03  | memfd $WS/copy stdin         | ENOSYS | -             | | bytes
T-EX-03  | tmpfile $WS $WS/copy stdin   | E*     | exec execve   | | bytes
T-EX-03  | tmpfile /dev/shm $WS/copy stdin | E*  | exec execve   | | bytes
T-EX-03  | fdexec $WS/copy stdin        | EACCES | exec execve   | | bytes
T-FS-01  | mkdir $WS/.git               | EACCES | filesystem mkdir | mkdir $O/copy/.git | OK
T-FS-01  | open $WS/.envrc c            | EACCES | filesystem open  | open $O/copy/.envrc c | OK
T-FS-01  | open $WS/sub/.mcp.json c     | EACCES | filesystem open  | open $O/copy/sub/.mcp.json c | OK
T-FS-01  | rename $WS/sub $WS/.claude   | EACCES | filesystem rename | rename $O/copy/sub $O/copy/.claude | OK
T-FS-02  | cat $WS/link                 | ENOENT | filesystem open | | SECRET
T-FS-02  | open $WS/link w              | ENOENT | filesystem open | | OK
T-FS-02  | cat $WS/../../../../../../../../$O/secret | ENOENT | filesystem open | | SECRET
T-FS-03  | rename $WS/ro $WS/moved      | E[AB]* | filesystem rename | rename $O/copy/ro $O/copy/moved | OK
T-FS-03  | rename $WS/ro/file $WS/file  | E[AB]* | filesystem rename | rename $O/copy/moved/file $O/copy/moved/x | OK
T-FS-03  | rename $WS/ok.txt $WS/ro/file | E[ABX]* | filesystem rename | rename $O/copy/ok.txt $O/copy/moved/x | OK
T-FS-04  | link $WS/ro/file $WS/linked  | E[AX]* | filesystem link | link $O/copy/moved/x $O/copy/linked | OK
T-FS-04  | link $WS/hidden/secret $WS/linked | ENOENT | filesystem link | link $O/copy/hidden/secret $O/copy/linked2 | OK
T-FS-04  | link $WS/ro/file /tmp/linked | EXDEV | -           | link $O/copy/moved/x $O/copy/linked3 | OK
T-FS-04  | link $O/shown/file $WS/linked | EXDEV | -          | link $O/copy/moved/x $O/copy/linked4 | OK
T-FS-04  | link $WS/hidden/secret /tmp/linked | ENOENT | filesystem link | link $O/copy/hidden/secret $O/copy/linked5 | OK
T-FS-04  | link $O/secret /tmp/linked   | ENOENT | filesystem link | link $O/secret $O/linked | OK
T-FS-05  | open $WS/ro/file w           | EACCES | filesystem open | open $O/copy/linked w | OK
T-FS-05  | open $WS/ro/new c            | EACCES | filesystem open | open $O/copy/new c | OK
T-FS-05  | chmod $WS/ro/file 666        | EACCES | filesystem chmod | chmod $O/copy/linked 666 | OK
T-FS-05  | touch $WS/ro/file            | EACCES | filesystem utimensat | touch $O/copy/linked | OK
T-FS-06  | truncate $WS/ro/file         | EACCES | filesystem truncate | truncate $O/copy/linked | OK
T-FS-07  | cat $WS/sub/../hidden/secret | ENOENT | filesystem open | | SECRET
T-FS-07  | cat $WS/hidden/secret        | ENOENT | filesystem open | | SECRET
T-FS-08  | open $O/shown/file r         | OK     | -             | | OK
T-FS-08  | open $O/shown/file w         | EACCES | filesystem open | | OK
T-FS-08  | mkdir $O/shown/new           | EACCES | filesystem mkdir | | OK
T-FS-08  | open $O/new c                | E*     | -             | | OK
T-FS-08  | open /usr/bin/attack-new c   | EACCES | filesystem open | open $O/new2 c | OK
T-FS-09  | open $WS/plain c             | OK     | -             | open $O/plain c | OK
T-FS-16  | open $O/fifo-there r         | ENOENT | filesystem open | open $O/secret r | OK
T-FS-18  | open $STATE/runs/$RUN/journal.jsonl r | ENOENT | -    | | OK
T-NET-01 | inet tcp 127.0.0.1 $PORT     | ENETUNREACH | network connect | | OK
T-NET-01 | inet udp 127.0.0.1 $PORT     | ENETUNREACH | network sendto  | | OK
T-NET-01 | inet tcp 192.0.2.1 443       | ENETUNREACH | network connect | inet tcp 127.0.0.1 $PORT | OK
T-SC-09  | rewrite $WS/public/permit $WS/hidden/secret 2000 | permitted=some refused=some secret=none changes=many | - | | permitted=some * secret=some changes=many
T-SC-10  | race $WS/race $WS/ok.txt $WS/hidden/secret 2000 | permitted=some refused=some secret=none changes=many | - | | permitted=some * secret=some changes=many
T-SC-10  | race $WS/race2 $WS/ok.txt $O/secret 2000 | permitted=some refused=some secret=none changes=many | - | | permitted=some * secret=some changes=many
END
}

# Something to attack, outside the view ($O) and in it.
prepare() {
    O=$(mktemp -d /var/tmp/orch-test.XXXXXX)
    chmod 0755 "$O"
    ABSTRACT=$RUN-abstract
    mkdir "$T/bin" "$O/shown" "$WS"/{sub,ro,hidden,public}
    cp "$HELPERS/attack" "$T/bin/attack"
    cp "$HELPERS/attack" "$WS/copy"
    echo SECRET >"$O/secret"
    echo SECRET >"$WS/hidden/secret"
    echo PERMITTED >"$WS/hidden/permit"
    cp "$WS/hidden/permit" "$WS/public/permit"
    cp "$WS/hidden/permit" "$WS/ok.txt"
    echo shown >"$O/shown/file"
    echo fixed >"$WS/ro/file"
    chmod 0644 "$O/secret" "$WS"/*/*
    ln -s "$O/secret" "$WS/link"
    mkfifo "$O/fifo-there"
    cat >"$FLOW/profile.json" <<END
{"schema":1,"name":"attacked","extends":"plan","widen":"the attacker's program, and something to attack",
 "tools":["@parent",{"name":"attack","path":"$T/bin/attack"}], "create":["@parent","symlink"],
 "filesystem":[{"path":"$O/shown","access":"ro"},
               {"path":"\${workspace}/ro","access":"ro"},{"path":"\${workspace}/hidden","access":"none"}]}
END
    (umask 0; exec "$T/bin/attack" listen "$O/socket" "$O/shown/socket" "$WS/socket" "@$ABSTRACT" >"$T/port" 2>&1 3>&-) &
    server=$!
    wait_until test -s "$T/port"
    PORT=$(cat "$T/port")
}

# column N ROW
column() {
    local text
    text=$(cut -d'|' -f"$1" <<<"$2")
    text=${text#"${text%%[![:space:]]*}"}
    printf '%s\n' "${text%"${text##*[![:space:]]}"}"
}

# Writes $T/inside.sh and $T/outside.sh, one line a row.
write_scripts() {
    local row n=0 act control
    while IFS= read -r row; do
        n=$((n + 1))
        act=$(column 2 "$row") control=$(column 5 "$row")
        echo "try $n $act" >>"$T/inside.sh"
        case $control in
        '') echo "try $n $act" ;;
        ns:) echo "in_ns $n $act" ;;
        *) echo "try $n $control" ;;
        esac >>"$T/outside.sh"
    done <"$T/rows"
}

setup_file() {
    runs_setup
    prepare
    rows >"$T/rows"
    cat >"$T/try.sh" <<'END'
try() { n=$1; shift; printf '%s %s\n' "$n" "$(timeout 10 attack "$@" 2>&1 | tr '\n' ' ' | sed 's/ $//')"; }
in_ns() { n=$1; shift; printf '%s %s\n' "$n" "$(timeout 10 unshare --user --map-root-user --mount attack "$@" 2>&1 | tr '\n' ' ' | sed 's/ $//')"; }
END
    write_scripts
    cp -a "$WS" "$O/copy" && rm "$O/copy/socket" && mv "$O/copy" "$T/copy"
    { cat "$T/try.sh" "$T/inside.sh"; } | agent
    workflow '{"name":"one","profile":"./profile.json","timeout":"50s","gates":[],"reason":"the log is what counts"}'
    jq '.max_denials = 100000' "$FLOW/workflow.json" >"$T/new" && mv "$T/new" "$FLOW/workflow.json"
    manifest "$WS" >"$T/ws.before"
    manifest "$O" >"$T/o.before"
    drive --no-apply 7<"$O/secret" 8<"$O"
    printf '%s\n' "$status" >"$T/status"
    printf '%s\n' "$output" >"$T/output"
    manifest "$WS" >"$T/ws.after"
    manifest "$O" >"$T/o.after"
    output_of one.1 >"$T/inside"
    mv "$T/copy" "$O/copy"
    yes | head -c 1000 >"$T/input"
    (cd "$WS" && { cat "$T/try.sh" "$T/outside.sh"; } >"$T/control.sh" && PATH=$T/bin:$PATH sh "$T/control.sh") \
        >"$T/outside" 2>&1 <"$T/input" 7<"$O/secret"
    kill "$server" || :
    cp "$T/name" "$T/first" # RUN itself must not be exported, see again
    export T WS STATE FLOW O
}

setup() {
    RUN=$(cat "$T/first")
}

teardown_file() {
    kill "$server" 2>/dev/null || :
    [ -z "${O:-}" ] || { chmod -R u+rwX "$O"; rm -rf "$O"; }
    runs_teardown
}

# answer FILE N
answer() {
    sed -n "s/^$2\\( \\(.*\\)\\)\\{0,1\\}\$/\\2/p" "$1"
}

on_record() {
    [ "$1" = - ] || grep -q "^$1" "$T/denied"
}

# check CLASS: every row of that class of threats, inside and outside
check() {
    local row n=0 rows=0 bad=0 in out want
    shopt -s extglob
    audit 'select(.event == "denial") | "\(.class) \(.syscall // "")"' | sort -u >"$T/denied"
    [ "$(cat "$T/status")" -eq 0 ] || { tail -n 30 "$T/output"; return 1; }
    while IFS= read -r row; do
        n=$((n + 1))
        [[ $row == "$1"* ]] || continue
        rows=$((rows + 1))
        in=$(answer "$T/inside" "$n") out=$(answer "$T/outside" "$n")
        want=$(column 3 "$row")
        # shellcheck disable=SC2053 # a pattern
        [[ $in == ${want//;/|} ]] || { echo "inside: '$in': $row"; bad=$((bad + 1)); }
        want=$(column 6 "$row")
        # shellcheck disable=SC2053
        [[ $out == ${want//;/|} ]] || { echo "outside: '$out': $row"; bad=$((bad + 1)); }
        on_record "$(column 4 "$row")" || { echo "no record: $row"; bad=$((bad + 1)); }
    done <"$T/rows"
    echo "$rows attacks, $bad wrong"
    [ "$rows" -gt 0 ] && [ "$bad" -eq 0 ]
}

@test "t_tty_terminal_and_standard_input" { check T-TTY; }
@test "t_fd_descriptors_and_proc" { check T-FD; }
@test "t_sc_system_calls" { check T-SC; }
@test "t_ns_namespaces_capabilities_kernel" { check T-NS; }
@test "t_ex_programs" { check T-EX; }
@test "t_fs_files" { check T-FS; }
@test "t_net_network" { check T-NET; }

# alone [OPTION...]: one more run, with an agent of its own
alone() {
    again
    workflow '{"name":"one","profile":"./profile.json","timeout":"20s","gates":[],"reason":"the end is what counts"}'
    rm -rf "$WS"
    mkdir -p "$WS/hidden"
    drive "$@"
}

@test "attacks_changed_nothing_outside" {
    cmp "$T/ws.before" "$T/ws.after"
    cmp "$T/o.before" "$T/o.after"
}

@test "t_sc_01_foreign_abi_is_recorded_as_such" {
    [ "$(audit 'select(.event == "denial" and .action == "kill") | .detail' | sort -u)" = 'foreign ABI' ]
    [ "$(audit 'select(.event == "denial" and .action == "kill") | .count' | jq -s add)" -ge 4 ]
}

@test "t_aud_01_every_denial_names_what_when_and_by_which_rule" {
    audit 'select(.event == "denial" and ((.rule | length) == 0 or .phase != "one" or .attempt != 1 or (.pid | type) != "number" or .count < 1 or (.syscall // "") == ""))' >"$T/incomplete"
    cat "$T/incomplete"
    [ ! -s "$T/incomplete" ]
    LC_ALL=C refute grep -q '[^ -~]' "$STATE/runs/$RUN/audit.jsonl"
    timeout 10 "$ORCH" verify --state "$STATE" "$RUN"
}

@test "t_ns_04_suid_bits_do_not_arrive" {
    echo x >"$T/control" && chmod 6755 "$T/control" && [ -u "$T/control" ]
    for mode in 4755 2755 6755; do
        agent <<<"echo x >program; chmod $mode program; install -m $mode /bin/true other; mkdir -m $mode dir; :"
        alone
        echo "$mode: $status"
        [ -z "$(find "$WS" -perm /6000)" ]
        [ "$status" -eq 1 ] || [ ! -e "$WS/program" ] || [ ! -u "$WS/program" ]
        nothing_left
    done
    agent <<<'echo x >program; chmod 755 program'
    alone
    ended 0
    [ -x "$WS/program" ]
}

@test "t_aud_02_ordinary_work_is_no_denial" {
    agent <<'END'
mkdir -p a/b && cd a/b
echo text >file && cp file copy && mv copy moved && ln -s file link && cat link >/dev/null
chmod 000 file; cat file; chmod 644 file
cat missing ../missing/x /tmp/missing "$HOME/missing" /usr/share/missing-here
ls -la / /tmp /usr /dev >/dev/null; rm -r moved; rmdir none; mkdir /tmp/dir; mktemp >/dev/null
find . | sort | head -n 3 >list; (exit 3); sh -c 'kill -9 $$'; date >/dev/null; id >/dev/null
END
    alone
    ended 0
    audit 'select(.event == "denial")'
    [ "$(verdict attempt_denials)" -eq 0 ]
    [ -f "$WS/a/b/list" ]
    # The positive control: one act that is refused.
    agent <<<'cat hidden/secret'
    alone
    ended 0
    [ "$(verdict attempt_denials)" -eq 1 ]
}

@test "t_aud_04_names_cannot_forge_records" {
    agent <<'END'
cat "hidden/$(printf 'x\n{"v":1,"event":"forged"}\n\033[31m\302\205\342\200\250\377"\\end')"
cp /bin/cat "$(printf 'c\n{"event":"forged"}')"; "./$(printf 'c\n{"event":"forged"}')" x
llm-report "$(printf 'x"}\n{"event":"forged"}')"
printf '{"event":"forged"}\n' >&2
END
    alone
    nothing_left
    [ -z "$(audit 'select(.event == "forged")')" ]
    LC_ALL=C refute grep -q '[^ -~]' "$STATE/runs/$RUN/audit.jsonl"
    LC_ALL=C refute grep -q '[^ -~]' "$STATE/runs/$RUN/journal.jsonl"
    [ "$(audit 'select(.event == "denial" and .class == "filesystem") | .path_b64' | base64 -d | tail -n 1)" = $'\033[31m\302\205\342\200\250\377"\\end' ]
    [ "$(audit 'select(.event == "denial" and .class == "exec") | .path | contains("\n")')" = true ]
    timeout 10 "$ORCH" verify --state "$STATE" "$RUN"
    timeout 10 "$ORCH" audit --state "$STATE" "$RUN" >"$T/shown"
    LC_ALL=C refute grep -q '[^ -~]' "$T/shown"
    LC_ALL=C refute grep -q '[^ -~]' <<<"$output"
}
