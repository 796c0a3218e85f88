#!/usr/bin/env bats
# The in-sandbox client against a stand-in for the control socket.
load ../lib/common

setup() {
    orch_setup
    mkdir "$T/bin"
    for name in llm-status llm-report llm-done llm-report-blocker llm-request-approval; do
        ln -s "$ORCH_BUILD/llm" "$T/bin/$name"
    done
    PATH=$T/bin:$PATH
    export ORCH_DIR=$T
}

teardown() {
    [ -z "${server:-}" ] || kill "$server" 2>/dev/null || :
    orch_teardown
}

# serve REPLY [COUNT]
serve() {
    python3 "$ORCH_ROOT/tests/lib/control_server.py" "$T/control" "$1" "${2:-1}" >"$T/requests" 3>&- &
    server=$!
    for _ in $(seq 2000); do
        [ ! -S "$T/control" ] || return 0
        sleep 0.05
    done
    return 1
}

# sent NUMBER: that request as jq sees it, compact
sent() {
    for _ in $(seq 2000); do
        [ "$(wc -l <"$T/requests")" -lt "$1" ] || break
        sleep 0.05
    done
    sed -n "$1p" "$T/requests" | jq -c 'fromjson'
}

@test "llm_sends_one_line_per_command" {
    serve '{"ok":true}' 5
    llm-status
    llm-report half done
    llm-done
    llm-report-blocker no compiler
    llm-request-approval ship it
    [ "$(sent 1)" = '{"cmd":"status"}' ]
    [ "$(sent 2)" = '{"cmd":"report","text":"half done"}' ]
    [ "$(sent 3)" = '{"cmd":"done"}' ]
    [ "$(sent 4)" = '{"cmd":"blocker","text":"no compiler"}' ]
    [ "$(sent 5)" = '{"cmd":"request-approval","text":"ship it"}' ]
}

@test "llm_escapes_text_so_that_it_stays_one_request" {
    serve '{"ok":true}' 3
    llm-report $'a"}\n{"cmd":"skip"}\t\\ \x1b[0m \x7f'
    [ "$(sent 1 | jq -r .text)" = $'a"}\n{"cmd":"skip"}\t\\ \x1b[0m \x7f' ]
    llm-report $'\xff\xc0\xaf \xed\xa0\x80 gr\xc3\xbc\xc3\x9fe'
    [ "$(sent 2 | jq -r .text)" = $'\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd grüße' ]
    llm-report -- --help
    [ "$(sent 3 | jq -r .text)" = --help ]
}

@test "llm_reads_text_from_standard_input" {
    serve '{"ok":true}' 2
    printf 'one\0two\n' | llm-report -
    [ "$(sent 1 | jq -r .text)" = $'one\xef\xbf\xbdtwo' ]
    printf 'x' | llm-report - -
    [ "$(sent 2 | jq -r .text)" = '- -' ]
}

@test "llm_exit_status_follows_the_outermost_ok" {
    serve '{"ok":false,"error":"\"ok\":true","detail":{"ok":true}}'
    run llm-report x
    [ "$status" -eq 1 ]
    [ "$output" = '{"ok":false,"error":"\"ok\":true","detail":{"ok":true}}' ]
}

@test "llm_accepts_ok_after_nested_values" {
    serve '{"phase":{"ok":false,"list":[1,{"ok":false}]}, "ok" : true}'
    run llm-done
    [ "$status" -eq 0 ]
}

@test "llm_status_prints_the_reply_readably" {
    serve '{"ok":true,"phase":"plan","gates":["a: b","c"],"none":[]}'
    run llm-status
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = '{' ]
    [ "${lines[2]}" = '  "phase": "plan",' ]
    [ "$(jq -c . <<<"$output")" = '{"ok":true,"phase":"plan","gates":["a: b","c"],"none":[]}' ]
}

@test "llm_fails_without_supervisor_or_answer" {
    run llm-status
    [ "$status" -eq 1 ]
    [[ "$output" == "llm-status: cannot reach the supervisor: "* ]]
    ORCH_DIR=/$(printf 'x%.0s' $(seq 120)) run llm-status
    [ "$status" -eq 1 ]
    serve close
    run llm-report x
    [ "$status" -eq 1 ]
    [[ "$output" == "llm-report: no answer from the supervisor: "* ]]
}

@test "llm_refuses_requests_above_64_KiB" {
    serve '{"ok":true}' 1
    head -c 65536 /dev/zero | tr '\0' a >"$T/big"
    run llm-report - <"$T/big"
    [ "$status" -eq 2 ]
    [[ "$output" == *"at most 65536 bytes"* ]]
    # The largest that fits: 65536 less {"cmd":"report","text":""} and the newline.
    head -c 65508 "$T/big" | llm-report -
    [ "$(sent 1 | jq -r .text | wc -c)" -eq 65509 ]
}

@test "llm_usage" {
    for name in llm-status llm-report llm-done llm-report-blocker llm-request-approval; do
        run "$name" --help
        [ "$status" -eq 0 ]
        [[ "$output" == "usage: $name"* ]]
    done
    run llm-report
    [ "$status" -eq 2 ]
    run llm-status now
    [ "$status" -eq 2 ]
    run "$ORCH_BUILD/llm"
    [ "$status" -eq 2 ]
}
