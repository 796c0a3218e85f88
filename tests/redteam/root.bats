#!/usr/bin/env bats
# T-NS-03, T-NS-04, T-NS-16: started as root, the agent is never the real one, and who owns what is right afterwards; and as
# anybody, no setuid bit and no file capability reaches the workspace. tests/redteam/root_attacks.py tries, inside and outside.
load ../lib/runs

AGENT=64321 # who it is for the kernel when root starts it

setup() {
    runs_setup
    need python3
    ATTACKS=$ORCH_ROOT/tests/redteam/root_attacks.py
}

teardown() {
    [ -z "${O:-}" ] || rm -rf "$O"
    runs_teardown
}

# attacking GROUP [WAY]: an agent that tries them, or one alone
attacking() {
    { echo "python3 - $* 2>&1 <<'END_OF_ATTACKS'"; cat "$ATTACKS"; printf 'END_OF_ATTACKS\necho honest >honest\n'; } | agent
}

one() {
    workflow '{"name":"one","profile":"implement","timeout":"50s","gates":[],"reason":"what is applied counts"}'
}

owners() {
    (cd "$1" && find . -printf '%P %U:%G %m %y\n' | LC_ALL=C sort)
}

# fill USER GROUP: a workspace of that owner, with entries of others in it
fill() {
    mkdir -p "$WS/dir/deep" "$WS/theirs"
    local f
    for f in kept removed changed dir/old theirs/file others roots; do
        echo "$f" >"$WS/$f"
    done
    chmod 0644 "$WS"/{kept,removed,changed,others,roots} "$WS/theirs/file"
    chown -R "$1:$2" "$WS"
    chown -R 1001:1002 "$WS/theirs" "$WS/others"
    chown 0:0 "$WS/roots"
}

@test "t_ns_16_owners_are_right_after_apply_whoever_owns_the_workspace" {
    need_root
    agent <<'END'
echo new >new && mkdir -p made/below && echo deep >made/below/file && ln -s new link
echo more >>changed && rm removed && echo x >dir/deep/x && mv dir/old dir/moved && chmod 600 kept
cat others roots theirs/file >read && rm -f others.copy && cp others others.copy
for f in others roots theirs/file; do { echo evil >>$f; } 2>/dev/null && echo "wrote $f"; done
echo evil 2>/dev/null >theirs/new && echo "made theirs/new"
stat -c '%u:%g' . new changed made | sort -u
END
    one
    local owner
    for owner in 1000:1001 0:0 4000000:4000001; do
        again
        rm -rf "$WS"
        mkdir "$WS"
        fill "${owner%:*}" "${owner#*:}"
        owners "$WS" >"$T/before"
        drive
        ended 0
        owners "$WS" >"$T/after"
        echo "workspace of $owner"
        diff "$T/before" "$T/after" || :
        output_of one.1
        # Inside all of it is the agent's; nobody else's was written.
        grep -qx "$AGENT:$AGENT" <(output_of one.1)
        [ "$owner" = 0:0 ] || refute grep -q '^wrote' <(output_of one.1)
        for f in new made made/below made/below/file link read others.copy dir/deep/x dir/moved changed kept dir .; do
            [ "$(stat -c %u:%g "$WS/$f")" = "$owner" ] || { stat -c '%n %u:%g' "$WS/$f"; return 1; }
        done
        [ "$(stat -c %u:%g "$WS/others")" = 1001:1002 ]
        [ "$(stat -c %u:%g "$WS/theirs")" = 1001:1002 ]
        [ "$(stat -c %u:%g "$WS/theirs/file")" = 1001:1002 ]
        [ "$(stat -c %u:%g "$WS/roots")" = 0:0 ]
        [ "$(cat "$WS/others" "$WS/theirs/file")" = $'others\ntheirs/file' ]
        [ "$(cat "$WS/read")" = $'others\nroots\ntheirs/file' ]
        [ ! -e "$WS/theirs/new" ]
        [ "$(stat -c %a "$WS/kept")" = 600 ]
        [ ! -e "$WS/removed" ]
        # Nothing anywhere has the agent's number on disk.
        [ -z "$(find "$WS" -uid $AGENT -o -gid $AGENT)" ]
    done
}

@test "t_ns_16_no_process_of_the_sandbox_is_the_kernels_root" {
    need_root
    agent <<'END'
(sleep 300 >/dev/null 2>&1 &)
python3 -c 'import threading, time; threading.Thread(target=time.sleep, args=(300,), daemon=True).start(); print("threads", flush=True); time.sleep(300)' &
wait
END
    workflow '{"name":"one","profile":"implement","timeout":"50s","gates":[],"reason":"it is looked at"}'
    start --no-apply
    wait_until grep -qs threads "$STATE/runs/$RUN/logs/one.1.out"
    local pid n=0
    for pid in $(processes); do
        [ "$pid" -ne "$supervisor" ] || continue
        n=$((n + 1))
        grep -hE '^(Uid|Gid|Groups)' /proc/"$pid"/task/*/status | tr -s ' \t' ' ' | sed 's/ $//' | sort -u >"$T/ids"
        cat "$T/ids"
        [ "$(cat "$T/ids")" = "Gid: $AGENT $AGENT $AGENT $AGENT
Groups:
Uid: $AGENT $AGENT $AGENT $AGENT" ]
        [ "$(tr -s ' ' </proc/"$pid"/uid_map)" = " $AGENT $AGENT 1" ]
        [ "$(readlink /proc/"$pid"/ns/user)" != "$(readlink /proc/self/ns/user)" ]
    done
    echo "$n processes"
    [ "$n" -ge 4 ] # init, the agent, its daemon, python
    kill -TERM "$supervisor"
    wait "$supervisor" || :
    # The control: a process that root starts here is root.
    [ "$(sed -n 's/^Uid:\t\([0-9]*\).*/\1/p' /proc/self/status)" = 0 ]
}

@test "t_ns_16_what_only_root_may_read_stays_so_though_it_is_shown" {
    need_root
    O=$(mktemp -d /var/tmp/orch-test.XXXXXX)
    chmod 0755 "$O"
    echo SECRET >"$O/roots"
    echo OPEN >"$O/open"
    chmod 0600 "$O/roots"
    chmod 0644 "$O/open"
    printf '{"schema":1,"name":"shown","extends":"base","widen":"to see who may read","filesystem":[{"path":"/etc/shadow","access":"ro"},{"path":"%s","access":"ro"},{"path":"%s","access":"ro"}]}' "$O/roots" "$O/open" >"$T/shown.json"
    # shellcheck disable=SC2016 # the agent expands
    run "$ORCH" exec --state "$STATE" --workspace "$WS" --profile "$T/shown.json" -- \
        sh -c 'for f in "$@"; do cat "$f" || :; done; [ -e /etc/shadow ] && echo there' sh /etc/shadow "$O/roots" "$O/open"
    echo "$output"
    [ "$status" -eq 0 ]
    grep -qx there <<<"$output"
    grep -qx OPEN <<<"$output"
    [ "$(grep -c 'Permission denied' <<<"$output")" -eq 2 ]
    refute grep -q -e SECRET -e '^root:' <<<"$output"
    # The control: root, outside.
    grep -q '^root:' /etc/shadow
    [ "$(cat "$O/roots")" = SECRET ]
}

@test "t_ns_16_other_ids_cannot_be_had" {
    attacking ids .
    one
    drive
    ended 0
    output_of one.1
    # symlink() beside: it is made; only its owner cannot be.
    refute grep -q ' OK$' <(output_of one.1)
    [ "$(output_of one.1 | wc -l)" -eq 10 ]
    [ -e "$WS/honest" ]
    [ -z "$(find "$WS" -mindepth 1 ! -uid "$(stat -c %u "$WS")" -o ! -gid "$(stat -c %g "$WS")")" ]
    if [ "$(id -u)" -eq 0 ]; then # the control
        mkdir "$T/outside"
        python3 "$ATTACKS" ids "$T/outside" >"$T/control"
        cat "$T/control"
        [ "$(grep -c ' OK$' "$T/control")" -ge 9 ]
    fi
}

# Programs with bits that are there already, one for each attack on them; an archive, and a directory that hands on its group.
privileged() {
    local f
    for f in tool tool2 tool3; do
        cp /bin/true "$1/$f"
        chmod 4755 "$1/$f"
    done
    mkdir "$T/packed"
    echo x >"$T/packed/tar"
    chmod 4755 "$T/packed/tar"
    tar -cf "$1/archive.tar" -C "$T/packed" tar
    rm -r "$T/packed"
}

bits_in() {
    (cd "$1" && find . -perm /6000 -printf '%P %m %y\n' | LC_ALL=C sort)
}

capabilities_in() {
    python3 -c '
import os, sys
for top, dirs, files in os.walk(sys.argv[1]):
    for name in dirs + files:
        for x in os.listxattr(os.path.join(top, name), follow_symlinks=False):
            if x.startswith(("security.cap", "trusted.")):
                print(name, x)' "$1"
}

@test "t_ns_04_no_privilege_bit_and_no_capability_reaches_the_workspace" {
    privileged "$WS"
    bits_in "$WS" >"$T/before"
    (cd "$WS" && sha256sum tool tool2 tool3) >"$T/sums"
    [ "$(wc -l <"$T/before")" -eq 3 ]
    attacking bits .
    one
    drive
    nothing_left
    output_of one.1
    echo "status $status"
    bits_in "$WS" >"$T/after"
    diff "$T/before" "$T/after"
    (cd "$WS" && sha256sum -c --quiet "$T/sums")
    [ -z "$(capabilities_in "$WS")" ]
    [ "$status" -eq 0 ] || [ "$status" -eq 1 ]
    # The control: outside the bits can be had, by most of these ways.
    mkdir "$T/outside"
    privileged "$T/outside"
    python3 "$ATTACKS" bits "$T/outside" >"$T/control"
    cat "$T/control"
    for f in chmod fchmod fchmodat fchmodat2 open creat mknod mkdir-chmod tar install cp rename; do
        [ -n "$(find "$T/outside/$f" -maxdepth 0 -perm /6000)" ] || { echo "control: $f"; return 1; }
    done
    grep -qx 'mapping OK' "$T/control"
    [ "$(id -u)" -ne 0 ] || [ -n "$(capabilities_in "$T/outside")" ]
}

# Each way alone, because one that is found at the seal keeps all the others out.
@test "t_ns_04_each_way_to_a_bit_alone" {
    local way bad=0
    one
    for way in chmod chmod-group fchmod fchmodat2 open mkdir-chmod hidden tar rename mapping linked capability; do
        again
        rm -rf "$WS"
        mkdir "$WS"
        privileged "$WS"
        bits_in "$WS" >"$T/before"
        (cd "$WS" && sha256sum tool tool2 tool3) >"$T/sums"
        attacking bits . "$way"
        drive
        nothing_left
        echo "$way: status $status: $(output_of one.1 | tail -n 1)"
        bits_in "$WS" >"$T/after"
        diff "$T/before" "$T/after" || bad=$((bad + 1))
        (cd "$WS" && sha256sum -c --quiet "$T/sums") || bad=$((bad + 1))
        [ -z "$(capabilities_in "$WS")" ] || bad=$((bad + 1))
        # It was refused and the rest went on, or it was found and nothing did.
        case $status in
        0) [ "$(cat "$WS/honest")" = honest ] || bad=$((bad + 1)) ;;
        1) [ ! -e "$WS/honest" ] || bad=$((bad + 1)) ;;
        *) bad=$((bad + 1)) ;;
        esac
        output_of one.1 | grep -q "^$way " || { output_of one.1; bad=$((bad + 1)); }
    done
    [ "$bad" -eq 0 ]
}

# A team's directory hands its group and the bit on to directories made in it, as the kernel does outside: no reason to
# refuse. The agent cannot begin such a thing.
@test "t_ns_04_a_directory_that_hands_on_its_group_still_does" {
    mkdir "$WS/team"
    chmod 2775 "$WS/team"
    agent <<<'mkdir team/sub && echo x >team/sub/file && echo y >team/file'
    one
    drive
    nothing_left
    echo "$status: $output"
    [ "$status" -eq 0 ]
    [ "$(find "$WS" -type f -perm /6000)" = '' ]
    mkdir "$T/team"
    chmod 2775 "$T/team"
    mkdir "$T/team/sub"
    [ -g "$T/team/sub" ] # outside it is so
    [ -g "$WS/team/sub" ]
    [ "$(stat -c %u:%g "$WS/team/sub/file" "$WS/team/file" | sort -u)" = "$(stat -c %u:%g "$WS")" ]
    [ "$(cat "$WS/team/sub/file" "$WS/team/file")" = $'x\ny' ]
    for what in 'mkdir own && chmod 2755 own' 'chmod 4755 team' 'mkdir -m 4755 own' 'mkdir own && chmod 2755 own && mkdir own/below'; do
        again
        find "$WS" -perm /6000 | sort >"$T/before"
        agent <<<"$what"
        drive
        nothing_left
        find "$WS" -perm /6000 | sort | diff "$T/before" -
        echo "$what: $status"
        [ "$status" -eq 1 ]
        grep -q 'unsafe: .*bit on a directory' <<<"$output"
    done
}
