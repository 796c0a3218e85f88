#!/usr/bin/env bats
# DR-04, DR-05, DR-10: what a phase may execute is built anew for each phase, holds in every disguise, and is on record.
load ../lib/runs

setup() {
    runs_setup
    need make
    mkdir "$T/bin"
    cp "$HELPERS/attack" "$T/bin/attack"
    tools='"sh","cat","cp","ln","chmod","env","find","xargs","timeout","nice","rm","mkdir","grep","tr",{"name":"attack","path":"'$T'/bin/attack"}'
    echo '{"schema":1,"name":"without","extends":"plan","widen":"the attacker'\''s program","create":["file","directory","symlink"],"tools":['"$tools"']}' >"$FLOW/without.json"
    echo '{"schema":1,"name":"with","extends":"./without.json","widen":"make","tools":["@parent","make"]}' >"$FLOW/with.json"
    make=$(readlink -f "$(command -v make)")
    case $make in /usr/*) ;; *) skip "make lies outside /usr" ;; esac
    # Every way to run it: a line "NAME: STATUS" each. What runs says "GNU Make".
    cat >"$T/ways.sh" <<END
make=$make
way() { name=\$1; shift; "\$@" </dev/null >out 2>err; rc=\$?; ran=; grep -q 'GNU Make\|made' out && ran=' ran'; echo "\$name: \$rc\$ran"; }
mkdir -p d
way name make --version
way path \$make --version
way env env make --version
way env-path env PATH=/usr/bin:/bin:/usr/local/bin make --version
way shell sh -c 'exec make --version'
way find find . -maxdepth 0 -exec \$make --version ';'
way xargs xargs -a /dev/null make --version
way nested nice timeout 5 sh -c "eval '\$make --version'"
ln -s \$make link && way symlink ./link --version
ln -s \$make d/sh && way other-name d/sh --version
cp \$make copy && chmod 755 copy && way copy ./copy --version
cp \$make d/cat && chmod 755 d/cat && way copy-named-as-a-tool env PATH=\$PWD/d:\$PATH cat --version
ln copy hard 2>/dev/null && way hard-link ./hard --version
for dir in /tmp "\$HOME" /dev/shm; do
    cp \$make "\$dir/make-\$ORCH_TEST" && chmod 755 "\$dir/make-\$ORCH_TEST" && way "copy-in-\$((n += 1))" "\$dir/make-\$ORCH_TEST" --version
    rm -f "\$dir/make-\$ORCH_TEST"
done
way loader /lib64/ld-linux-x86-64.so.2 \$make --version
way loader-copy /lib64/ld-linux-x86-64.so.2 ./copy --version
way preload env LD_PRELOAD=./copy sh -c 'exec make --version'
printf '#!%s -f\nall:\n\t@echo made\n' \$make >script && chmod 755 script && way script ./script
way script-by-sh sh ./script
way memfd attack memfd \$make --version
way memfd-copy attack memfd ./copy --version
way execveat attack execveat \$make --version
way descriptor attack fdexec \$make --version
way tmpfile attack tmpfile . \$make --version
way tmpfile-tmp attack tmpfile /tmp \$make --version
way mmap attack mmap ./copy
END
}
teardown() { runs_teardown; }

# two BODY [OPTION...]: both phases run the body, the first without make, the second with it.
two() {
    agent <<<"$1"
    shift
    workflow '{"name":"first","profile":"./without.json","gates":[],"reason":"none"}' \
        '{"name":"second","profile":"./with.json","gates":[],"reason":"none"}'
    drive "$@"
}

@test "tool_of_the_second_phase_does_not_run_in_the_first_in_any_way" {
    # Outside, every way works but these two: a shell does not read a makefile, and preloading a program does nothing.
    mkdir "$T/control"
    (cd "$T/control" && HOME=$T ORCH_TEST=$RUN PATH=$T/bin:$PATH sh "$T/ways.sh") >"$T/outside"
    cat "$T/outside"
    [ "$(grep -vc ': 0 ran$' "$T/outside")" -eq 2 ]
    grep -qx 'mmap: 0' "$T/outside"
    grep -q '^script-by-sh: ' "$T/outside"

    cp "$T/ways.sh" "$WS/ways.sh"
    two 'mkdir "$ORCH_PHASE" && cd "$ORCH_PHASE" && ORCH_TEST=x && . ../ways.sh' --no-apply # it leaves links that would be unsafe
    ended 0
    output_of first.1 >"$T/inside"
    cat "$T/inside"
    [ "$(cut -d: -f1 "$T/inside" | grep -vx hard-link)" = "$(cut -d: -f1 "$T/outside" | grep -vx hard-link)" ]
    refute grep -q ' ran$' "$T/inside"
    # find tells nobody of the refusal, and env goes on to the real cat.
    [ "$(grep ': 0$' "$T/inside" | cut -d: -f1 | paste -sd,)" = find,copy-named-as-a-tool ]
}

@test "every_refused_way_of_execution_is_on_record" {
    cat >"$T/one.sh" <<END
$make --version; echo "path \$?"
cp $make copy && ./copy --version; echo "copy \$?"
ln -s $make link && ./link --version; echo "link \$?"
attack execveat $make; attack memfd $make
for dir in /tmp /home/agent /dev/shm; do cp $make \$dir/copy && \$dir/copy --version; echo "\${dir##*/} \$?"; done
END
    cp "$T/one.sh" "$WS/one.sh"
    agent <<<'. ./one.sh 2>/dev/null'
    workflow '{"name":"first","profile":"./without.json","gates":[],"reason":"none"}'
    drive --no-apply
    ended 0
    output_of first.1
    [ "$(output_of first.1 | paste -sd,)" = 'path 126,copy 126,link 126,ENOSYS,ENOSYS,tmp 126,agent 126,shm 126' ]
    denied() {
        audit 'select(.event == "denial" and .class == "exec" and .phase == "first") | "\(.path) \(.access) \(.errno) \(.rule | length > 0)"' |
            grep -qxF "$1 exec EACCES true"
    }
    denied "$make"
    denied "$WS/copy"
    denied /tmp/copy
    denied /home/agent/copy
    denied /dev/shm/copy
    [ "$(audit 'select(.event == "exec") | .path' | grep -c '/make$\|/copy$\|/link$')" -eq 0 ]
    # execveat and memfd_create are counted fall-backs.
    [ "$(audit 'select(.event == "attempt" and .state == "end") | .fallbacks')" -ge 2 ]
}

@test "tool_of_the_second_phase_runs_there_and_that_is_on_record" {
    cp "$T/ways.sh" "$WS/ways.sh"
    two 'mkdir "$ORCH_PHASE" && cd "$ORCH_PHASE" && ORCH_TEST=x && . ../ways.sh' --no-apply # it leaves links that would be unsafe
    ended 0
    output_of second.1
    for way in name path env env-path shell find nested symlink other-name; do
        output_of second.1 | grep -qx "$way: 0 ran"
    done
    # It is that program that may run, not its bytes elsewhere.
    for way in copy copy-in-1 copy-in-2 copy-in-3 loader-copy memfd memfd-copy execveat script tmpfile tmpfile-tmp mmap; do
        output_of second.1 | grep "^$way: " | grep -qv ' ran$\|: 0$'
    done
    [ "$(audit 'select(.event == "exec" and .path == "'"$make"'") | .phase' | sort -u)" = second ]
    [ "$(audit 'select(.event == "denial" and .class == "exec" and .path == "'"$make"'") | .phase' | sort -u)" = first ]
}

@test "agent_is_told_what_the_phase_has" {
    two 'llm-status >"$ORCH_PHASE.status"; cat /orch/phase.json >"$ORCH_PHASE.phase"; make --version'
    ended 0
    jq -r '.tools[]' "$WS/first.phase" >"$T/first"
    jq -r '.tools[]' "$WS/second.phase" >"$T/second"
    refute grep -qx make "$T/first"
    [ "$(diff "$T/first" "$T/second")" = "$(diff <(cat "$T/first") <({ cat "$T/first"; echo make; } | LC_ALL=C sort))" ]
    for tool in sh cat attack; do grep -qx "$tool" "$T/first"; done
    refute grep -qx 'ls\|git\|python3' "$T/second"
    for name in first second; do
        [ "$(jq -r .phase "$WS/$name.phase")" = "$name" ]
        [ "$(jq -cS '[.run, .phase, .attempt, .tools, .tools_all, .writable, .limits, .gates]' "$WS/$name.phase")" = \
            "$(jq -cS '[.run, .phase, .attempt, .tools, .tools_all, .writable, .limits, .gates]' "$WS/$name.status")" ]
        [ "$(jq .tools_all "$WS/$name.phase")" = false ]
        jq -r '.writable[]' "$WS/$name.phase" | grep -qxF "$WS"
    done
    [ -z "$(output_of first.1)" ]
    [[ "$(output_of second.1)" == 'GNU Make '* ]]
}

@test "path_inside_names_the_phase_tools_only" {
    cat >"$WS/path.sh" <<'END'
echo "$PATH"
for name in llm-status attack sh make git ls; do command -v $name >/dev/null && echo "has $name"; done
END
    two '. ./path.sh'
    ended 0
    output_of first.1
    [[ "$(output_of first.1 | head -n 1)" == /orch/bin:* ]]
    [[ "$(output_of first.1 | head -n 1)" != *sbin* ]]
    # What is not a tool may lie there readable, but then it does not run.
    [ "$(output_of first.1 | grep -c '^has \(llm-status\|attack\|sh\)$')" -eq 3 ]
    # The operator's PATH is not the agent's.
    mkdir "$T/operator-bin"
    PATH=$T/operator-bin:$PATH
    again
    rm "$WS/path.sh"
    two 'echo "$PATH"'
    ended 0
    [[ "$(output_of first.1)" != *operator-bin* ]]
}

@test "profile_of_one_phase_says_nothing_about_the_next" {
    # The other way round: what the first phase had, the second has not, and nothing that the first left behind helps.
    agent <<END
case \$ORCH_PHASE in
first)
    make --version >/dev/null && echo "first has it"
    ln -s $make tool; cp $make kept; chmod 755 kept
    (while :; do make --version >>running; sleep 1; done) 2>/dev/null &
    ;;
second)
    make --version 2>/dev/null || echo "name refused"
    ./tool --version 2>/dev/null || echo "link refused"
    ./kept --version 2>/dev/null || echo "copy refused"
    ;;
esac
END
    workflow '{"name":"first","profile":"./with.json","gates":[],"reason":"none"}' \
        '{"name":"second","profile":"./without.json","gates":[],"reason":"none"}'
    ln -s /outside "$WS/unrelated"
    drive --no-apply
    ended 0
    [ "$(output_of first.1)" = 'first has it' ]
    [ "$(output_of second.1 | paste -sd,)" = 'name refused,link refused,copy refused' ]
}

@test "phase_with_a_tool_that_is_missing_does_not_start" {
    echo '{"schema":1,"name":"missing","extends":"./without.json","widen":"x","tools":["@parent","no-such-tool-here"]}' >"$FLOW/with.json"
    two 'echo x'
    [ "$status" -eq 2 ]
    [[ "$output" == *no-such-tool-here* ]]
    [ -z "$(ls "$STATE/runs" 2>/dev/null)" ]
}
