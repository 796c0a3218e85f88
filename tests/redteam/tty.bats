#!/usr/bin/env bats
# T-TTY with a terminal of the agent's own: what it could do with that, and with the operator's. Each with the same act
# where it succeeds.
# shellcheck disable=SC2016 # what the agent's shell expands
load ../lib/common
load ../lib/workflow
load ../lib/tmux

setup_file() {
    need_sandbox
    need tmux
    need python3
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

# ioctls on the terminal, one a line: its name, and OK or the errno. Keys that it pushes are read again by itself.
write_ioctls() {
    cat >"$1" <<'END'
import errno, fcntl, os, sys, termios
def attempt(name, f):
    try:
        f()
        print(name, "OK", flush=True)
    except OSError as e:
        print(name, errno.errorcode[e.errno], flush=True)
tty = os.open("/dev/tty", os.O_RDWR)
for fd, where in (1, "stdout"), (tty, "tty"):
    for high in 0, 1 << 32, 0xffffffff << 32:
        request = termios.TIOCSTI | high
        attempt("TIOCSTI %s %x" % (where, high >> 32), lambda: raw(fd, request, b"\n"))
    attempt("TIOCSETD " + where, lambda: raw(fd, 0x5423, b"\0\0\0\0"))
    attempt("TIOCLINUX " + where, lambda: raw(fd, 0x541c, b"\2\0\0\0"))
END
    # fcntl.ioctl cuts the request to 32 bits: the call itself.
    sed -i '1a import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\ndef raw(fd, request, data):\n    r = libc.syscall(ctypes.c_long(16), ctypes.c_long(fd), ctypes.c_ulong(request), ctypes.create_string_buffer(data, 8))\n    if r < 0:\n        raise OSError(ctypes.get_errno(), "ioctl")' "$1"
}

@test "t_tty_01_02_03_pushing_keys_and_changing_the_line_are_refused_on_the_own_terminal_too" {
    write_ioctls "$WS/ioctls.py"
    line "\$orch exec --state \$state --tty --audit '$T/audit' --profile implement -- python3 ioctls.py 2>&1 | tee '$T/piped'; clear"
    tty_exec "--audit '$T/audit2' --profile implement -- python3 ioctls.py"
    until_screen '^rc=0$'
    screen >"$T/inside"
    [ "$(grep -cE '^TIOC[A-Z]+ (stdout|tty) ?[0-9a-f]* EPERM$' "$T/inside")" -eq 10 ]
    refute grep -qE '^TIOC.* OK$' "$T/inside"
    [ "$(grep -cE ' EPERM$' "$T/piped")" -eq 10 ]
    [ "$(jq -s 'map(select(.event == "denial" and .syscall == "ioctl") | .count) | add' "$T/audit2")" -eq 10 ]
    # The same outside: a key is pushed, and a line discipline set, where the kernel lets anybody at all.
    line "clear; python3 ioctls.py; echo \"control=\$?\""
    until_screen '^control=0$'
    on_screen '^TIOCSETD stdout OK$'
    if [ "$(id -u)" -eq 0 ] || [ "$(cat /proc/sys/dev/tty/legacy_tiocsti 2>/dev/null || echo 1)" = 1 ]; then
        on_screen '^TIOCSTI stdout 0 OK$'
    fi
}

@test "t_tty_04_no_terminal_of_the_host_is_visible_or_reachable" {
    local outer
    outer=$(tm display -p '#{pane_tty}')
    [ -c "$outer" ]
    cat >"$WS/look.sh" <<'END'
echo "pts: $(cd /dev/pts && echo *)"
echo "same: $(stat -c %d /dev/pts)"
echo "ttys: $(ls -d /dev/tty?* /dev/console /dev/vcs* 2>/dev/null | wc -l)"
for fd in /proc/[0-9]*/fd/*; do readlink "$fd"; done 2>/dev/null | grep -E '^/dev/(pts|tty|console)' | sort | uniq -c
printf 'I was here\n' >/dev/pts/0
END
    tty_exec '--profile base -- sh look.sh'
    until_screen '^rc=0$'
    on_screen '^pts: 0 ptmx$'
    on_screen '^ttys: 0$'
    refute on_screen "^same: $(stat -c %d /dev/pts)\$"
    on_screen '^I was here$' # relayed: it is the agent's own
    outer_kept
    # Outside there is more, and the operator's terminal can be written to.
    line "clear; sh look.sh; printf 'and here\\n' >$outer"
    until_screen '^and here$'
    on_screen "^same: $(stat -c %d /dev/pts)\$"
}

@test "t_tty_04_the_operators_terminal_cannot_be_taken" {
    cat >"$WS/take.py" <<'END'
import errno, fcntl, os, termios
def attempt(name, f):
    try:
        print(name, "OK", f(), flush=True)
    except OSError as e:
        print(name, errno.errorcode[e.errno], flush=True)
attempt("session", lambda: os.getsid(0) == os.getpid())
attempt("leader", lambda: os.tcgetpgrp(1) == os.getpgrp())
if os.fork() == 0:
    os.setsid()
    attempt("tty", lambda: os.open("/dev/tty", os.O_RDWR))
    attempt("steal", lambda: fcntl.ioctl(1, termios.TIOCSCTTY, 1))
    attempt("own", lambda: os.ttyname(os.open("/dev/ptmx", os.O_RDWR)) and "pair")
    os._exit(0)
os.wait()
END
    tty_exec '--profile implement -- python3 take.py'
    until_screen '^rc=0$'
    on_screen '^session OK True$'
    on_screen '^leader OK True$'
    on_screen '^tty ENXIO$'
    on_screen '^steal EPERM$'
    on_screen '^own OK pair$' # more terminals of its own: the ordinary way of a program like script(1)
    outer_kept
}

# What a program prints that makes a terminal act, and then what comes in as if typed: nothing, or how many bytes.
write_hostile() {
    cat >"$1" <<'END'
import os, select, sys, termios, tty
out = (b"\033]0;EVIL-TITLE\007" b"\033]2;EVIL-TITLE\033\\" b"\033kEVIL-TITLE\033\\"
       b"\033]52;c;RVZJTC1DTElQ\007"
       b"\033[c" b"\033[>c" b"\033[5n" b"\033[6n" b"\033[?6n" b"\033[21t" b"\033[18t" b"\033Z" b"\005"
       b"\033P$qm\033\\" b"\033P+q544e\033\\" b"\033[>q" b"\033]10;?\007" b"\033[?1000h\033[?1006h\033[?1004h"
       b"\xc2\x9b6n" b"\x9b6n")
before = termios.tcgetattr(0)
tty.setraw(0)
os.write(1, out)
typed = b""
while select.select([0], [], [], 2)[0]:
    typed += os.read(0, 4096)
termios.tcsetattr(0, termios.TCSANOW, before)
print("\ntyped: %d" % len(typed))
END
}

@test "t_tty_05_output_makes_the_operators_terminal_neither_act_nor_type" {
    write_hostile "$WS/hostile.py"
    tm set -g allow-passthrough on 2>/dev/null || :
    tm set -g allow-rename on
    tty_exec '--profile implement -- python3 hostile.py'
    until_screen '^rc=0$'
    on_screen '^typed: 0$'
    [[ $(tm display -p '#{pane_title} #{window_name} #{mouse_any_flag}') != *EVIL* ]]
    [ "$(tm display -p '#{mouse_any_flag}')" = 0 ]
    refute tm show-buffer
    outer_kept
    # Outside the terminal does all that.
    line 'clear; python3 hostile.py'
    until_screen '^typed: [1-9][0-9]*$'
    [[ $(tm display -p '#{pane_title} #{window_name}') == *EVIL* ]]
    [ "$(tm show-buffer)" = EVIL-CLIP ]
    [ "$(tm display -p '#{mouse_any_flag}')" = 1 ]
}

@test "t_tty_05_nothing_is_typed_into_the_shell_afterwards" {
    # An agent that ends at once: an answer to it would come to the operator's shell.
    tty_exec "--profile base -- printf '\\033[c\\033[6n\\033[>c\\033[5n'"
    until_screen '^rc=0$'
    line 'echo "line [${READ-}]"'
    until_screen '^line \[\]$'
    outer_kept
    line "printf '\\033[6n\\033[c'"
    until_screen '\[\?1;2c|;[0-9]+R' # the control: tmux has typed its answers at the prompt
}

@test "t_tty_05_keys_for_a_dead_agent_do_not_reach_the_shell" {
    tty_exec "--profile base -- sh -c 'stty -echo; echo deaf; sleep 3; exit 0'"
    until_screen '^deaf$'
    line 'echo EXECUTED >stolen'
    until_screen '^rc=0$'
    line 'echo "end"'
    until_screen '^end$'
    [ ! -e "$WS/stolen" ]
    # Without us in between such a line goes to the shell.
    line "sh -c 'stty -echo; echo deaf too; sleep 3; stty echo'"
    until_screen '^deaf too$'
    line 'echo EXECUTED >stolen'
    wait_until test -e "$WS/stolen"
}

@test "t_tty_06_standard_input_of_the_supervisor_is_not_the_agents" {
    run timeout 30 "$ORCH" exec --state "$STATE" --workspace "$WS" --tty --profile base -- sh -c 'head -c 10 | wc -c' \
        <<<'of the operator' 3>&-
    [ "$status" -eq 0 ]
    [ "$output" = 0 ]
    [ "$(head -c 10 <<<'of the operator' | wc -c)" = 10 ]
}

# closed REDIRECTION...: exec --tty with these descriptors closed; its descriptors, and nothing of the audit in its files
closed() {
    rm -f "$T/audit" "$WS/out"
    eval "timeout 30 \"\$ORCH\" exec --state \"\$STATE\" --workspace \"\$WS\" --tty --apply --audit \"\$T/audit\" --profile implement \
        -- sh -c 'for fd in 0 1 2; do readlink /proc/self/fd/\$fd; done >out; ls /proc/self/fd | wc -l >>out' $* 3>&-"
    cat "$WS/out"
    [ "$(tail -n 1 "$WS/out")" -le 4 ]
    refute grep -q '"event"' "$WS/out"
    [ "$(jq -s 'length > 0' "$T/audit")" = true ]
}

@test "t_tty_07_standard_descriptors_closed_at_the_start" {
    closed '0<&-'
    closed '1>&-'
    closed '2>&-'
    closed '0<&- 1>&- 2>&-'
    # On a terminal as well: what is closed there is no way to the operator.
    tty_exec '--profile base -- sh -c "tty; echo shown" 0<&-'
    until_screen '^rc=0$'
    on_screen '^shown$'
    on_screen '^not a tty$'
    outer_kept
}

@test "t_tty_09_a_daemon_that_holds_the_terminal_does_not_hold_the_attempt" {
    cat >"$W/workflow.json" <<'JSON'
{"schema": 1, "name": "test",
 "agent": {"command": ["python3", "-c", "import os, signal, time; signal.signal(1, signal.SIG_IGN); os.fork() or (os.setsid(), time.sleep(1000)); os.fork() or time.sleep(1000); print('over')"],
           "tty": true},
 "phases": [{"name": "work", "profile": "implement", "timeout": "5m", "gates": [], "reason": "none needed"}]}
JSON
    orch_run
    [ "$status" -eq 0 ]
    [[ $output == *'work.1 | over'* ]]
    [ "$took" -lt 60000 ]
    # In a terminal of the host it does: it is the daemon's until it ends.
    line "sh -c \"(setsid sh -c 'sleep 2; echo late' &); echo over\""
    until_screen 'late$'
}

@test "t_tty_09_output_is_bounded_with_a_terminal_too" {
    profile small '{"schema":1,"name":"small","extends":"base","limits":{"output":"64KiB"}}'
    cat >"$W/workflow.json" <<'JSON'
{"schema": 1, "name": "test",
 "agent": {"command": ["sh", "-c", "yes | head -c 3000000; head -c 3000000 /dev/zero; echo end"], "tty": true},
 "phases": [{"name": "work", "profile": "./small.json", "gates": [], "reason": "none needed"}]}
JSON
    orch_run --quiet
    [ "$status" -eq 0 ]
    [ "$(wc -c <"$RUNDIR/logs/work.1.out")" -eq 65536 ]
    [ "$(jq -s 'map(select(.event == "attempt" and .state == "end"))[0] | .dropped_bytes' "$RUNDIR/audit.jsonl")" -eq $((6000004 - 65536)) ]
}

@test "t_tty_09_the_limit_is_of_what_is_kept_and_the_screen_goes_on" {
    profile small '{"schema":1,"name":"small","extends":"base","limits":{"output":"64KiB"}}'
    cat >"$W/workflow.json" <<'JSON'
{"schema": 1, "name": "test",
 "agent": {"command": ["sh", "-c", "yes | head -c 300000; echo the end"], "tty": true},
 "phases": [{"name": "work", "profile": "./small.json", "gates": [], "reason": "none needed"}]}
JSON
    line "\$orch run --state \$state --run-id r1 '$W/workflow.json' 2>'$T/err'; echo \"rc=\$?\""
    until_screen '^rc=0$'
    on_screen '^the end$'
    [ "$(wc -c <"$STATE/runs/r1/logs/work.1.out")" -eq 65536 ]
    [ "$(jq -s 'map(select(.event == "attempt" and .state == "end"))[0] | .dropped_bytes > 0' "$STATE/runs/r1/audit.jsonl")" = true ]
    tty_exec "--profile $W/small.json --status-fd 4 -- sh -c 'yes | head -c 300000; echo all of it' 4>'$T/result'"
    until_screen '^all of it$'
    until_screen '^rc=0$'
    [ "$(jq .dropped_bytes "$T/result")" -eq 0 ]
    outer_kept
}

@test "t_tty_09_a_flood_on_the_screen_can_be_interrupted" {
    tty_exec '--profile base -- sh -c "yes \$(seq 200); echo over"'
    until_screen ' 198 199 200$'
    keys C-c
    until_screen '^rc=130$'
    outer_kept
    tty_exec '--profile base -- sh -c "trap \"\" INT; yes"'
    until_screen '^y$'
    keys Enter
    keys '~'
    keys '.'
    until_screen '^rc=130$'
    outer_kept
}

@test "t_tty_09_lines_without_end_and_input_without_a_reader_do_not_block" {
    tty_exec "--profile base -- sh -c 'stty raw -echo; head -c 5000000 /dev/zero | tr \"\\0\" x; echo; echo; printf \"\\r\\nasleep\"; sleep 1000'"
    until_screen '^asleep'
    head -c 60000 /dev/zero | tr '\0' k >"$T/many"
    tm load-buffer "$T/many"
    for _ in {1..40}; do tm paste-buffer; done
    keys Enter
    keys '~'
    keys '.'
    until_screen '^rc=130$'
    outer_kept
}
