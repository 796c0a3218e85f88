#!/usr/bin/env bats
# DR-12: the table of attacks (attacks.table), all of it in one sandbox, with each one's control outside. A test
# here is a class of threats; tests/redteam/run does the work.
load ../lib/common

setup_file() {
    local feature
    for feature in userns overlay-userxattr seccomp-notify landlock python3; do need "$feature"; done
    orch_setup
    export T
    "$ORCH_ROOT/tests/redteam/run" --verbose >"$T/report" 2>&1 || echo "exit status $?" >>"$T/report"
}

teardown_file() {
    orch_teardown
}

# class ID-PREFIX: something of it held, and nothing of it escaped or is without a control
class() {
    grep -E "^(ESCAPED|CONTROL) $1" "$T/report" || :
    grep -q "^held    $1" "$T/report" || { tail -n 20 "$T/report"; return 1; }
    ! grep -qE "^(ESCAPED|CONTROL) $1" "$T/report"
}

@test "t_tty_terminal" { class T-TTY; }
@test "t_fd_descriptors_and_proc" { class T-FD; }
@test "t_sc_system_calls" { class T-SC; }
@test "t_ns_namespaces_capabilities_kernel" { class T-NS; }
@test "t_ex_programs" { class T-EX; }
@test "t_fs_files" { class T-FS; }
@test "t_net_network" { class T-NET; }

@test "everything_was_tried_and_nothing_escaped" {
    tail -n 3 "$T/report"
    tail -n 1 "$T/report" | grep -qE '^[1-9][0-9]* held, 0 escaped, [0-9]+ untried$'
    ! grep -E '^(CONTROL|ESCAPED)' "$T/report"
}
