# For bats, after common: an operator's terminal, with real keys and a screen to read.
# shellcheck shell=bash
#
# tmux_setup            in setup(), after orch_setup: a terminal of 100x30 with a shell whose prompt is "OUT> "
# tmux_teardown         in teardown()
# keys KEY...           presses keys (tmux send-keys)
# line TEXT             types TEXT and Enter
# sleeper               types a command that says "asleep" and sleeps, and waits for it: a key pressed sooner would be the shell's
# press KEY REGEX       presses it until a line of the screen matches: between two programs a key is nobody's
# screen                what is on the screen
# until_screen REGEX    waits until a line of the screen matches; fails after half a minute, and shows the screen
# tm COMMAND...         any tmux command, such as: tm display -p '#{pane_title}'
# tty_exec [ARG...]     types an exec --tty with these arguments
# outer_kept            the settings of the operator's terminal are what they were at the start
# supervisor            the process id of the orch-sandbox that has this test's state directory

tm() {
    tmux -S "$T/tmux" -f /dev/null "$@" 3>&-
}

tmux_setup() {
    LC_ALL=C.UTF-8 tm new-session -d -x 100 -y 30 \
        "env PS1='OUT> ' HISTFILE= LC_ALL=C.UTF-8 TERM=screen bash --norc --noprofile -i"
    tm set -s set-clipboard on
    until_screen '^OUT>$'
    line "cd '$WS'; orch='$ORCH'; state='$STATE'; clear"
    until_screen '^OUT>$'
    line "stty -a >'$T/stty.before'; echo ready"
    until_screen '^ready$'
}

tmux_teardown() {
    [ ! -S "$T/tmux" ] || tm kill-server 2>/dev/null || :
}

keys() {
    tm send-keys "$@"
}

line() {
    tm send-keys -l -- "$1"
    tm send-keys Enter
}

sleeper() {
    line "sh -c 'echo asleep; exec sleep 1000'"
    until_screen '^asleep$'
}

press() {
    wait_until pressed "$@" || { screen; return 1; }
}

pressed() {
    keys "$1"
    sleep 0.3
    on_screen "$2"
}

screen() {
    tm capture-pane -p
}

on_screen() {
    screen | grep -qE -- "$1"
}

until_screen() {
    wait_until on_screen "$1" || { screen; return 1; }
}

# The pause is for the guard of a supervisor that was killed: the shell goes on at once.
tty_exec() {
    line "\$orch exec --state \$state --tty $*; rc=\$?; sleep 1; printf '\\nrc=%s\\n' \$rc"
}

# Once the shell has the terminal back. It sets its own modes while it waits for a line, but not for a command.
outer_kept() {
    line "stty -a >'$T/stty.after'; echo looked"
    until_screen '^looked$'
    diff "$T/stty.before" "$T/stty.after"
    [ "$(tm display -p '#{alternate_on} #{cursor_flag} #{insert_flag} #{keypad_cursor_flag} #{keypad_flag} #{origin_flag} #{wrap_flag} #{mouse_any_flag} #{scroll_region_upper} #{scroll_region_lower}')" = '0 1 0 0 0 0 1 0 0 29' ]
}

# tmux tells a window of its new size after a while.
outer_size() {
    [ "$(stty size <"$(tm display -p '#{pane_tty}')")" = "$1" ]
}

supervisor() {
    pgrep -f -- "^$ORCH (exec|run) .*$STATE" | head -n 1
}
