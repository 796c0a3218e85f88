#!/usr/bin/env bats
# DR-04, T-EX-01 to T-EX-04: no ELF program of the host outside the closures of a profile runs, in any way; no library that
# the agent made loads. All programs of the host are tried, in one sandbox for each question.
# shellcheck disable=SC2016 # the sandbox expands
load ../lib/runs

setup_file() {
    runs_setup
    mkdir "$T/bin" "$T/control"
    cp "$HELPERS/everyway" "$T/bin/everyway"
    profile strict ''
    profile writable ',"filesystem":[{"path":"${workspace}/rwx","access":"rwx","scratch":true}]'
    "$T/bin/everyway" list /usr/bin /usr/sbin /usr/lib /usr/libexec /usr/local | LC_ALL=C sort >"$T/all"
    "$ORCH_BUILD/unit/policy/test_closure" "$T/strict.json" >"$T/closure"
    # Programs of the closure, and what lies beneath its directories.
    sed -n 's/^program *\([^ ]*\)  (.*/\1/p' "$T/closure" | LC_ALL=C sort >"$T/programs"
    sed -n 's/^directory *\([^ ]*\)  (.*/^\1\//p' "$T/closure" >"$T/beneath"
    sed -n 's/^\(library\|loader\) *\([^ ]*\)  (.*/\2/p' "$T/closure" | LC_ALL=C sort >"$T/libraries"
    LC_ALL=C comm -23 "$T/all" "$T/programs" | LC_ALL=C comm -23 - "$T/libraries" | grep -v -f "$T/beneath" >"$T/outside"
    LC_ALL=C comm -12 "$T/all" "$T/programs" >"$T/tools"
    LC_ALL=C comm -12 "$T/all" "$T/libraries" >"$T/mapped"
    cp "$T/outside" "$T/tools" "$T/mapped" "$WS"
    echo "# $(wc -l <"$T/all") programs, $(wc -l <"$T/outside") of them outside the closures" >&3
    export T WS STATE FLOW
}

teardown_file() { runs_teardown; }

profile() {
    printf '{"schema":1,"name":"%s","extends":"implement","widen":"the program that tries",
             "tools":["@parent",{"name":"everyway","path":"%s/bin/everyway"}]%s}\n' "$1" "$T" "$2" >"$T/$1.json"
}

# inside PROFILE SCRIPT
inside() {
    cd "$WS" && timeout -k 5 300 "$ORCH" exec --state "$STATE" --profile "$T/$1.json" -- sh -c "$2"
}

# all_refused FILE WAY...: these ways, each for every program, and none ran
all_refused() {
    local file=$1 n way
    n=$(wc -l <"$T/outside")
    shift
    grep '^RAN' "$file" && return 1
    for way in "$@"; do
        grep -qx "$way tried $n ran 0" "$file" || { echo "$way:"; cat "$file"; return 1; }
    done
}

@test "t_ex_the_lists_are_what_they_should_be" {
    [ "$(wc -l <"$T/outside")" -ge 100 ]
    [ "$(wc -l <"$T/tools")" -ge 50 ]
    grep -qx "$(readlink -f /lib64/ld-linux-x86-64.so.2)" "$T/mapped"
    refute grep -qx "$(readlink -f /usr/bin/sh)" "$T/outside"
}

@test "t_ex_outside_every_way_runs_every_program" {
    # A sample, stopped before its first instruction: every tenth program that this user may execute.
    awk 'NR % 10 == 1' "$T/outside" | while read -r p; do [ ! -x "$p" ] || [ ! -r "$p" ] || echo "$p"; done >"$T/sample"
    n=$(wc -l <"$T/sample")
    [ "$n" -ge 10 ]
    timeout 200 "$T/bin/everyway" control "$T/control" "$T/control" <"$T/sample" >"$T/controls"
    tail -n 10 "$T/controls"
    for way in path link copy copy-tmp script descriptor copied-descriptor memory; do
        grep -qx "$way tried $n ran $n" "$T/controls" || { grep "^REFUSED $way " "$T/controls"; false; }
    done
    # Static programs are nothing to a loader.
    for way in loader carried-loader; do
        [ "$(sed -n "s/^$way tried $n ran //p" "$T/controls")" -ge $((n / 2)) ]
    done
}

@test "t_ex_inside_no_way_runs_any_program_outside_the_closures" {
    inside strict 'mkdir w && everyway try w /tmp <outside' >"$T/strict"
    tail -n 10 "$T/strict"
    all_refused "$T/strict" path link copy copy-tmp script descriptor copied-descriptor memory loader carried-loader
}

@test "t_ex_inside_the_loader_and_libraries_are_mapped_but_do_not_run" {
    n=$(wc -l <"$T/mapped")
    inside strict 'mkdir w && everyway try w /tmp <mapped' >"$T/maps"
    cat "$T/maps"
    for way in path link copy copy-tmp script descriptor copied-descriptor memory loader carried-loader; do
        grep -qx "$way tried $n ran 0" "$T/maps"
    done
}

@test "t_ex_inside_a_place_to_execute_from_opens_no_program_of_the_host" {
    # What is copied there runs, that is what it is for; the host's own files do not, by whatever is carried in.
    inside writable 'mkdir w && everyway try w /tmp "$PWD/rwx" <outside && cp outside rwx &&
        cp /usr/bin/true rwx/own && rwx/own && echo own ran &&
        cp /lib64/ld-linux-x86-64.so.2 rwx/ld && rwx/ld --list rwx/own >/dev/null && echo carried loader ran' >"$T/writable"
    tail -n 10 "$T/writable"
    all_refused "$T/writable" path link copy-tmp script descriptor memory loader carried-loader
    grep -qx 'own ran' "$T/writable"
    grep -qx 'carried loader ran' "$T/writable"
}

@test "t_ex_inside_every_tool_of_the_closure_runs_by_path" {
    n=$(wc -l <"$T/tools")
    inside strict 'mkdir w && everyway try w /tmp <tools' >"$T/ran"
    grep -v '^RAN' "$T/ran"
    for way in path link; do grep -qx "$way tried $n ran $n" "$T/ran"; done
    # Not their bytes elsewhere.
    for way in copy copy-tmp script copied-descriptor memory carried-loader; do grep -qx "$way tried $n ran 0" "$T/ran"; done
}

@test "t_ex_04_libraries_that_the_agent_made_load_only_where_the_profile_says_rwx" {
    need cc
    cat >"$WS/evil.c" <<'END'
#include <unistd.h>
__attribute__((constructor)) static void ran(void) { if (write(1, "LOADED\n", 7) < 0) _exit(9); }
int evil(void) { return 7; }
END
    cat >"$WS/main.c" <<'END'
int evil(void);
int main(void) { return evil(); }
END
    cat >"$WS/load.sh" <<'END'
# Where it is built, and where programs may be that link with it.
src=$PWD
mkdir -p "$1" && cd "$1" || exit 1
cc -shared -fPIC -o libevil.so "$src/evil.c" && [ -s libevil.so ] || echo "not built"
cc -o main "$src/main.c" -L. -levil && [ -s main ] || echo "not linked"
echo "preload: $(LD_PRELOAD=$PWD/libevil.so cat /dev/null 2>/dev/null)"
echo "audit: $(LD_AUDIT=$PWD/libevil.so cat /dev/null 2>/dev/null)"
echo "library path: $(LD_LIBRARY_PATH=$PWD ./main 2>/dev/null)"
cp libevil.so libc.so.6
echo "in place of libc: $(LD_LIBRARY_PATH=$PWD cat /dev/null 2>/dev/null)"
rm libc.so.6
command -v python3 >/dev/null && echo "dlopen: $(python3 -c "import ctypes, sys; ctypes.CDLL(sys.argv[1])" "$PWD/libevil.so" 2>/dev/null)"
command -v perl >/dev/null && echo "perl: $(perl -MDynaLoader -e 'DynaLoader::dl_load_file($ARGV[0])' "$PWD/libevil.so" 2>/dev/null)"
exit 0
END
    inside strict 'for dir in lib /dev/shm/lib /tmp/lib ~/lib; do sh ./load.sh $dir; done' >"$T/no"
    inside writable 'sh ./load.sh rwx' >"$T/yes"
    mkdir "$T/outside-ws" && cp "$WS"/*.c "$WS/load.sh" "$T/outside-ws" && (cd "$T/outside-ws" && sh ./load.sh lib) >"$T/control-libraries"
    cat "$T/no" "$T/yes"
    cmp "$T/yes" "$T/control-libraries"
    [ "$(grep -c 'preload: LOADED$\|library path: LOADED$\|in place of libc: LOADED$\|dlopen: LOADED$' "$T/yes")" -ge 3 ]
    refute grep LOADED "$T/no"
    refute grep '^not ' "$T/no"
    [ "$(sed 's/: .*/:/' "$T/yes" | head -n 4)" = "$(sed 's/: .*/:/' "$T/no" | head -n 4)" ]
    [ "$(grep -c '^preload:' "$T/no")" -eq 4 ]
}

@test "t_fs_07_none_holds_within_what_a_tool_brings_even_in_a_race" {
    # What a tool brings is mounted over the rules' places; a rule of none beneath it is in force all the same.
    O=$(mktemp -d /var/tmp/orch-test.XXXXXX)
    chmod 0755 "$O"
    mkdir "$O/lib"
    for name in permit secret; do echo "$name" | tr s S >"$O/lib/$name"; done
    chmod 0644 "$O/lib"/*
    cp "$HELPERS/attack" "$T/bin/attack"
    cat >"$T/none.json" <<END
{"schema":1,"name":"none","extends":"plan","widen":"the attacker's program, with something beside it",
 "tools":["@parent",{"name":"attack","path":"$T/bin/attack","with":["$O/lib"]}],
 "filesystem":[{"path":"$O/lib/secret","access":"none"}]}
END
    inside none "timeout 20 attack rewrite $O/lib/permit $O/lib/secret 4000; cat $O/lib/secret" >"$T/raced" || :
    sed -i 's/ *$//' "$T/raced"
    "$T/bin/attack" rewrite "$O/lib/permit" "$O/lib/secret" 4000 >"$T/raced-outside"
    rm -rf "$O"
    cat "$T/raced" "$T/raced-outside"
    grep -q 'secret=some' "$T/raced-outside"
    grep -q '^permitted=some refused=some secret=none' "$T/raced"
    [ "$(wc -l <"$T/raced")" -eq 1 ]
    # And the refusal is on record under its own path: a file of the host, and one in what a tool brings.
    file=/usr/bin/env
    printf '{"schema":1,"name":"file","extends":"base","filesystem":[{"path":"%s","access":"none"}]}\n' "$file" >"$T/file.json"
    (cd "$WS" && timeout 20 "$ORCH" exec --state "$STATE" --profile "$T/file.json" --audit "$T/file-audit" -- cat "$file") && return 1
    [ "$(jq -r 'select(.event == "denial") | "\(.path) \(.errno) \(.rule)"' "$T/file-audit")" = "$file ENOENT $T/file.json#/filesystem/0" ]
}
