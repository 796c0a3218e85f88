#!/usr/bin/env bats
# Agents with a terminal of their own: real sessions, with keys and a screen, under exec and run.
# shellcheck disable=SC2016 # what the agent's shell expands
load ../lib/common
load ../lib/workflow
load ../lib/tmux

setup_file() {
    need_sandbox
    need tmux
}

setup() {
    orch_setup
    workflow_setup
    tmux_setup
}

teardown() {
    tmux_teardown
    orch_teardown
}

# session [ARG...]: an interactive bash inside
session() {
    tty_exec "${*:---profile base} -- bash --norc --noprofile"
    until_screen '^bash-[0-9.]+\$$'
}

@test "exec_tty_is_a_session_with_job_control" {
    session
    line 'tty; stty size; test -t 0 -a -t 1 -a -t 2 && echo terminals'
    until_screen '^/dev/pts/0$'
    until_screen '^30 100$'
    until_screen '^terminals$'
    sleeper
    keys C-z
    until_screen '^\[1\]\+ +Stopped +sh -c .*asleep'
    line 'bg'
    until_screen '^\[1\]\+ sh -c .*asleep.* &'
    line 'jobs'
    until_screen '^\[1\]\+ +Running +sh -c .*asleep'
    line 'fg'
    until_screen '^sh -c .*asleep'
    press C-c '^\^C'
    line 'echo "was $?"'
    until_screen '^was 130$'
    line 'trap "echo hung" HUP; exit 3'
    until_screen '^rc=3$'
    outer_kept
}

@test "exec_tty_end_of_file_key_and_quit_key_go_to_the_agent" {
    session
    line 'sed -u "s/^/got /"'
    line 'typed'
    until_screen '^got typed$'
    keys C-d
    sleeper
    keys 'C-\'
    line 'echo "was $?"'
    until_screen '^was 131$'
    keys C-d
    until_screen '^rc=0$'
    outer_kept
}

@test "exec_tty_python_reads_evaluates_prints" {
    need python3
    tty_exec '--profile implement -- python3 -q'
    until_screen '^>>>$'
    line 'print(6 * 7)'
    until_screen '^42$'
    line 'import os; os.isatty(0), tuple(os.get_terminal_size())'
    until_screen '^\(True, \(100, 30\)\)$'
    line 'exec("print(\"busy\")\nwhile True: pass")'
    until_screen '^busy$'
    keys C-c
    until_screen '^KeyboardInterrupt$'
    line 'exit(7)'
    until_screen '^rc=7$'
    outer_kept
}

@test "exec_tty_full_screen_program_draws_and_leaves_the_screen_as_it_was" {
    need python3
    cat >"$WS/full.py" <<'END'
import curses
def main(s):
    s.addstr(3, 5, "Full screen: größe")
    s.addstr(4, 5, "in colour", curses.A_REVERSE)
    s.refresh()
    while True:
        key = s.getch()
        if key == ord("q"):
            return
        if key == curses.KEY_RESIZE:
            s.addstr(6, 5, "size %d %d" % s.getmaxyx())
        if key == curses.KEY_UP:
            s.addstr(7, 5, "key up")
        s.refresh()
curses.wrapper(main)
END
    line 'echo before'
    tty_exec '--profile implement -- python3 full.py'
    until_screen '^     Full screen: größe$'
    [ "$(tm display -p '#{alternate_on}')" = 1 ]
    keys Up
    until_screen '^     key up$'
    tm resize-window -x 90 -y 28
    until_screen '^     size 28 90$'
    tm resize-window -x 100 -y 30
    until_screen '^     size 30 100$'
    wait_until outer_size '30 100'
    keys q
    until_screen '^rc=0$'
    on_screen '^before$'
    [ "$(tm display -p '#{alternate_on}')" = 0 ]
    outer_kept
}

@test "exec_tty_follows_the_size_of_the_window" {
    session
    line 'trap "echo changed" WINCH; stty size'
    until_screen '^30 100$'
    tm resize-window -x 90 -y 25
    until_screen 'changed$'
    line 'stty size'
    until_screen '^25 90$'
    tm resize-window -x 100 -y 30
    wait_until outer_size '30 100'
    line 'exit'
    until_screen '^rc=0$'
    outer_kept
}

@test "exec_tty_terminal_is_put_back_after_a_crash_of_the_agent" {
    tty_exec "--profile base -- sh -c 'stty raw -echo; printf \"\\033[?1049h\\033[?25l\\033[31m\\033[2;9r\\033[4h\\033=\\033[?1hswitched\"; read x; kill -SEGV \$\$'"
    until_screen '^switched'
    [ "$(tm display -p '#{alternate_on} #{cursor_flag}')" = '1 0' ]
    keys C-j
    until_screen '^rc=139$'
    outer_kept
}

# ended_by SIGNAL: of a supervisor whose agent has switched what can be switched
ended_by() {
    tty_exec "--profile base -- sh -c 'stty raw -echo; printf \"\\033[?1049h\\033[?25l\\033[4h\\033[?1h\\033=switched\"; sleep 1000'"
    until_screen '^switched'
    kill "-$1" "$(supervisor)"
    until_screen "^rc=$2\$"
    outer_kept
}

@test "exec_tty_terminal_is_put_back_after_sigterm" { ended_by TERM 143; }
@test "exec_tty_terminal_is_put_back_after_sigint" { ended_by INT 130; }
@test "exec_tty_terminal_is_put_back_after_sighup" { ended_by HUP 143; }
@test "exec_tty_terminal_is_put_back_after_sigkill" { ended_by KILL 137; }
@test "exec_tty_terminal_is_put_back_after_sigquit" { ended_by QUIT 131; }

@test "exec_tty_terminal_is_put_back_at_the_wall_limit" {
    profile wall '{"schema":1,"name":"wall","extends":"base","limits":{"wall":"3s"}}'
    tty_exec "--profile $W/wall.json -- sh -c 'stty raw -echo; printf \"\\033[?1049h\\033[?25lswitched\"; sleep 1000'"
    until_screen '^switched'
    until_screen '^rc=124$'
    on_screen "^orch-sandbox: ended by its limit 'wall'\$"
    outer_kept
}

@test "exec_tty_escape_ends_an_agent_that_takes_every_key" {
    tty_exec "--profile base -- sh -c 'trap \"\" INT TSTP QUIT HUP TERM; stty raw -echo; echo switched; while :; do sleep 1; done'"
    until_screen '^switched'
    keys C-c
    keys C-z
    keys Enter
    keys '~'
    keys '.'
    until_screen '^rc=130$'
    outer_kept
}

@test "exec_tty_escape_is_one_only_at_the_beginning_of_a_line" {
    session
    line 'echo a~.b'
    until_screen '^a~\.b$'
    line 'sed -u "s/^/got /"'
    keys -l '~~.'
    keys Enter
    until_screen '^got ~\.$'
    keys -l '~x'
    keys Enter
    until_screen '^got ~x$'
    keys C-c
    line 'exit 4'
    until_screen '^rc=4$'
}

@test "exec_tty_stopped_from_outside_gives_the_terminal_back_and_goes_on" {
    session
    line 'echo one'
    until_screen '^one$'
    kill -TSTP "$(supervisor)"
    until_screen 'Stopped'
    line 'stty -a | grep -c " icanon"'
    until_screen '^1$'
    line 'fg'
    line 'echo "two $(tty)"'
    until_screen '^two /dev/pts/0$'
    sleeper
    keys C-c
    line 'echo "was $?"'
    until_screen '^was 130$'
    line 'exit 5'
    until_screen '^OUT>$'
    line 'echo "end=$?"'
    until_screen '^end=5$'
    outer_kept
}

@test "exec_tty_in_the_background_does_not_touch_the_terminal" {
    line '$orch exec --state $state --tty --profile base -- sh -c "tty; cat; stty size </dev/tty" & wait; echo "rc=$?"'
    until_screen '^rc=0$'
    on_screen '^not a tty$'
    on_screen '^24 80$'
    outer_kept
}

@test "exec_tty_reports_what_was_left_out" {
    tty_exec "--profile base --status-fd 4 -- printf 'a\\033]0;title\\007b\\n' 4>'$T/result'"
    until_screen '^ab$'
    until_screen '^rc=0$'
    [ "$(jq .filtered_bytes "$T/result")" = 10 ]
}

@test "run_tty_is_a_session_and_then_judged" {
    profile p '{"schema":1,"name":"p","extends":"implement"}'
    cat >"$W/workflow.json" <<'JSON'
{"schema": 1, "name": "test",
 "agent": {"command": ["bash", "--norc", "--noprofile"], "tty": true},
 "phases": [{"name": "work", "profile": "./p.json", "gates": [{"type": "file", "path": "made"}]},
            {"name": "check", "profile": "./p.json", "agent": {"command": ["sh", "-c", "tty; echo plain"]},
             "gates": [{"type": "file", "path": "made"}]}]}
JSON
    line "\$orch run --state \$state --run-id r1 '$W/workflow.json'; echo \"rc=\$?\""
    until_screen '^bash-[0-9.]+\$$'
    line 'tty; stty size; llm-status | head -n 1'
    until_screen '^/dev/pts/0$'
    until_screen '^30 100$'
    line 'llm-report "half of it"'
    sleeper
    keys C-c
    line 'echo content >made; printf "raw \033]0;t\007\n"; exit 0'
    until_screen '^rc=0$'
    on_screen '^check.1 \| plain$'
    on_screen 'half of it'
    [ "$(cat "$WS/made")" = content ]
    grep -q "$(printf 'raw \033]0;t\007')" "$STATE/runs/r1/logs/work.1.out"
    [ "$(jq -s 'map(select(.event == "attempt" and .state == "end" and .phase == "work"))[0].filtered_bytes > 0' "$STATE/runs/r1/audit.jsonl")" = true ]
    timeout 20 "$ORCH" logs --state "$STATE" r1 >"$T/logs"
    LC_ALL=C refute grep -q '[^ -~	]' "$T/logs"
    outer_kept
}

@test "run_tty_terminal_is_put_back_when_the_run_is_cancelled" {
    cat >"$W/workflow.json" <<'JSON'
{"schema": 1, "name": "test", "agent": {"command": ["bash", "--norc", "--noprofile"], "tty": true},
 "phases": [{"name": "work", "profile": "base", "gates": [], "reason": "none needed"}]}
JSON
    line "\$orch run --state \$state --run-id r1 '$W/workflow.json'; echo \"rc=\$?\""
    until_screen '^bash-[0-9.]+\$$'
    timeout 30 "$ORCH" cancel --state "$STATE" r1
    until_screen '^rc=143$'
    outer_kept
}

@test "run_tty_suspended_and_resumed_is_a_new_session" {
    cat >"$W/workflow.json" <<'JSON'
{"schema": 1, "name": "test", "agent": {"command": ["bash", "--norc", "--noprofile"], "tty": true},
 "phases": [{"name": "work", "profile": "implement", "gates": [{"type": "file", "path": "made"}]}]}
JSON
    line "\$orch run --state \$state --run-id r1 '$W/workflow.json'; echo \"rc=\$?\""
    until_screen '^bash-[0-9.]+\$$'
    timeout 30 "$ORCH" suspend --state "$STATE" r1
    until_screen '^rc=5$'
    outer_kept
    line "clear; \$orch resume --state \$state r1; echo \"rc=\$?\""
    until_screen '^bash-[0-9.]+\$$'
    line 'echo content >made; exit'
    until_screen '^rc=0$'
    [ "$(cat "$WS/made")" = content ]
}

@test "run_tty_masks_passed_values_on_the_screen_and_in_the_log" {
    cat >"$W/workflow.json" <<'JSON'
{"schema": 1, "name": "test",
 "agent": {"command": ["sh", "-c", "echo [$TOKEN]; printf s3c; sleep 1; echo r3t-value; read x"], "tty": true, "pass_env": ["TOKEN"]},
 "phases": [{"name": "work", "profile": "base", "gates": [], "reason": "none needed"}]}
JSON
    line "TOKEN=s3cr3t-value \$orch run --state \$state --run-id r1 '$W/workflow.json'; echo \"rc=\$?\""
    until_screen '^\[\[masked\]\]$'
    until_screen 's3c' # what may begin one is shown after a moment, else no prompt would show
    keys Enter
    until_screen '^rc=0$'
    refute grep -q s3cr3t-value "$STATE/runs/r1/logs/work.1.out"
}

@test "run_tty_with_json_leaves_the_terminal_alone" {
    cat >"$W/workflow.json" <<'JSON'
{"schema": 1, "name": "test", "agent": {"command": ["sh", "-c", "stty size </dev/tty; cat; test -t 1"], "tty": true},
 "phases": [{"name": "work", "profile": "base", "gates": [], "reason": "none needed"}]}
JSON
    line "\$orch run --json --state \$state --run-id r1 '$W/workflow.json' | jq -r .event; echo \"rc=\${PIPESTATUS[0]}\""
    until_screen '^rc=0$'
    [ "$(cat "$STATE/runs/r1/logs/work.1.out")" = '24 80' ]
    outer_kept
}

# ---- without an operator's terminal ----

@test "exec_tty_without_a_terminal_has_80_columns_and_no_input" {
    run timeout 30 "$ORCH" exec --state "$STATE" --workspace "$WS" --tty --profile base -- \
        sh -c 'stty size </dev/tty; cat; test -t 0 || echo empty; test -t 1 && test -t 2 && echo "$TERM"; echo err >&2' </dev/zero 3>&-
    [ "$status" -eq 0 ]
    [ "$(head -n 2 <<<"$output")" = $'24 80\nempty' ]
    [[ $output != *$'\r'* ]]
    [ "${lines[-1]}" = err ]
}

@test "exec_tty_names_a_terminal_type_if_nothing_else_does" {
    profile bare '{"schema":1,"name":"bare","extends":"base","env":{"pass":[]}}'
    run timeout 30 env -u TERM "$ORCH" exec --state "$STATE" --workspace "$WS" --tty --profile "$W/bare.json" -- sh -c 'echo "$TERM"' 3>&-
    [ "$output" = xterm-256color ]
    run timeout 30 "$ORCH" exec --state "$STATE" --workspace "$WS" --profile "$W/bare.json" -- sh -c 'echo "<$TERM>"' 3>&-
    [ "$output" = '<>' ]
}

@test "run_tty_without_a_terminal_is_captured_like_any_other" {
    cat >"$W/workflow.json" <<'JSON'
{"schema": 1, "name": "test",
 "agent": {"command": ["sh", "-c", "tty </dev/tty; cat; printf '\\033[31mred\\033[m\\n'; echo more >&2"], "tty": true},
 "phases": [{"name": "work", "profile": "base", "gates": [], "reason": "none needed"}]}
JSON
    orch_run
    [ "$status" -eq 0 ]
    [[ $output == *'work.1 | /dev/tty'* ]]
    [[ $output == *'work.1 | \u001b[31mred\u001b[m'* ]]
    [ "$(cat "$RUNDIR/logs/work.1.out")" = $'/dev/tty\n\033[31mred\033[m\nmore' ]
    [ ! -s "$RUNDIR/logs/work.1.err" ]
}

@test "workflow_tty_with_a_prompt_on_standard_input_is_refused_at_its_place" {
    cat >"$W/workflow.json" <<'JSON'
{"schema": 1, "name": "test",
 "phases": [{"name": "work", "profile": "base", "prompt": "x",
             "agent": {"command": ["sh"], "tty": true,
                       "stdin": "prompt"}, "gates": [], "reason": "none needed"}]}
JSON
    orch_run
    [ "$status" -eq 2 ]
    [[ $output == *'workflow.json:3:50: error: "tty" and "stdin": "prompt" exclude each other'* ]]
}

@test "run_tty_of_one_phase_may_override_the_workflow" {
    cat >"$W/workflow.json" <<'JSON'
{"schema": 1, "name": "test", "agent": {"command": ["sh", "-c", "test -t 1"], "tty": true},
 "phases": [{"name": "one", "profile": "base", "gates": [{"type": "command", "run": ["sh", "-c", "! test -t 1"]}]},
            {"name": "two", "profile": "base", "agent": {"command": ["sh", "-c", "tty </dev/tty || tty"], "tty": false},
             "gates": [], "reason": "none needed"}]}
JSON
    orch_run
    [ "$status" -eq 0 ]
    [[ $output == *'two.1 | not a tty'* ]]
}
