#!/usr/bin/env bats
# T-SC-09, T-SC-20, T-AUD-01: a task that asks while it is killed, stopped, shot at, becomes another program, has its memory taken
# away or its path rewritten: nothing hangs, nothing gets through, and what was refused is on record just as often.
load ../lib/common
load ../lib/workflow

setup_file() { need_sandbox; }

setup() {
    orch_setup
    mkdir "$WS/none" "$WS/open"
    for name in gone stopped left-stopped storm exec pointers pages rewrite; do
        echo "S $name" >"$WS/none/$name"
        echo "o $name" >"$WS/open/$name"
    done
    cp "$HELPERS/pester" "$T/pester"
    cat >"$T/p.json" <<END
{"schema":1,"name":"race","extends":"plan","widen":"test","tools":["@parent",{"name":"pester","path":"$T/pester"}],"limits":{"wall":"15m"},
 "filesystem":[{"path":"\${workspace}/none","access":"none"}]}
END
}

teardown() { orch_teardown; }

# pester VERB ROUNDS [OTHER]: sets opened, refused, other, lost, and recorded, which is how often its path was refused
pester() {
    rm -f "$T/audit"
    run timeout -k 5 "$((60 + R / 10))" "$ORCH" exec --state "$STATE" --workspace "$WS" --profile "$T/p.json" --audit "$T/audit" -- \
        "$T/pester" "$1" "$WS/none/$1" "$2" "${3:-}" 3>&- </dev/null
    orch_say
    [ "$status" -eq 0 ]
    counts "$1"
    recorded=$(jq -s --arg p "$WS/none/$1" '[.[] | select(.event == "denial" and .path == $p) | .count] | add // 0' "$T/audit")
    [ "$(jq -s '[.[] | select(.event == "denial" and .class != "filesystem")] | length' "$T/audit")" -eq 0 ]
    echo "recorded $recorded"
}

counts() {
    # shellcheck disable=SC2034
    read -r opened refused other lost <<<"$(sed -n "s/^$1: opened \\([0-9]*\\), refused \\([0-9]*\\), other \\([0-9]*\\), lost \\([0-9]*\\)\$/\\1 \\2 \\3 \\4/p" \
        <<<"$output")"
}

# outside VERB ROUNDS [OTHER]: the control, where nobody judges
outside() {
    output=$(timeout 100 "$T/pester" "$1" "$WS/none/$1" "$2" "${3:-}")
    counts "$1"
    [ "$opened" -gt 0 ]
    [ "$refused" -eq 0 ]
}

R=${ORCH_ROUNDS:-400}

@test "t_sc_20_tasks_killed_while_they_ask_hang_nobody" {
    pester gone "$R"
    [ "$opened" -eq 0 ]
    [ "$other" -eq 0 ]
    # The call in which one was killed may be on record or not, and nothing else.
    [ "$recorded" -ge "$refused" ]
    [ "$recorded" -le "$((refused + lost))" ]
    [ "$refused" -ge "$R" ]
    outside gone 20
}

@test "t_sc_20_tasks_stopped_while_they_ask_hang_nobody" {
    pester stopped "$R"
    [ "$opened" -eq 0 ]
    [ "$other" -eq 0 ]
    [ "$recorded" -eq "$refused" ]
    [ "$refused" -gt "$((3 * R))" ]
    # Stopped for good, with a question not yet answered: the end comes all the same.
    pester left-stopped "$R"
    [ "$opened" -eq 0 ]
    [ "$recorded" -ge "$refused" ]
    [ "$recorded" -le "$((refused + 4))" ]
    outside stopped 20
}

@test "t_sc_20_a_storm_of_signals_neither_loses_nor_doubles_a_record" {
    pester storm "$((10 * R))"
    [ "$opened" -eq 0 ]
    [ "$((refused + other))" -eq "$((10 * R))" ]
    [ "$recorded" -eq "$refused" ]
    outside storm 200
}

@test "t_sc_20_threads_that_ask_while_their_process_becomes_another_program" {
    pester exec "$R" "$T/pester"
    [ "$opened" -eq 0 ]
    [ "$other" -eq 0 ]
    [ "$recorded" -ge "$refused" ]
    [ "$recorded" -le "$((refused + lost))" ]
    [ "$refused" -ge "$R" ]
    outside exec 20 "$T/pester"
}

@test "t_sc_20_pointers_to_nowhere_are_the_kernels_and_strings_at_the_edge_are_judged" {
    pester pointers "$R"
    [ "$opened" -eq 0 ]
    [ "$refused" -eq "$R" ]
    [ "$other" -eq "$((5 * R))" ]
    [ "$recorded" -eq "$R" ]
    outside pointers 20
}

@test "t_sc_20_memory_that_is_hard_to_read_holds_nobody_up" {
    pester pages "$R"
    [ "$opened" -eq 0 ]
    [ "$recorded" -eq "$R" ]
    outside pages 20
}

@test "t_sc_09_a_path_rewritten_while_it_is_judged_gets_nothing" {
    pester rewrite "$((5 * R))" "$WS/open/rewrite"
    grep -q '^rewrite: live, 0 secrets$' <<<"$output"
    [ "$opened" -gt 0 ]
    # A look at the one and an open of the other: the kernel's answer, without a record. Never the other way round.
    [ "$recorded" -gt 0 ]
    output=$(timeout 100 "$T/pester" rewrite "$WS/none/rewrite" 2000 "$WS/open/rewrite")
    grep -q '^rewrite: .*, [1-9][0-9]* secrets$' <<<"$output"
}
