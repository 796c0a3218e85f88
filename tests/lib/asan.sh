#!/bin/sh
# The sanitized program (VARIANT=asan) on the command-line tests and on whole runs: every report of AddressSanitizer,
# LeakSanitizer or UBSan is a failure, also of a process whose standard error nobody reads. A process within a sandbox
# cannot write its report; it dies of it, which is the test's failure.
# As an ordinary user leaks are not looked for: the supervisor is not dumpable, and only root may look into such a process.
set -eu
cd "$(dirname "$0")/../.."
reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
leaks=1
[ "$(id -u)" -eq 0 ] || leaks=0
# No stacks of allocations: room for new ones cannot be had once the sandbox's limit on memory holds (the sanitizer's own counts),
# and the agent's process would end before its program begins. For the stack of a finding run that test alone without this.
export ASAN_OPTIONS="malloc_context_size=0:detect_leaks=$leaks:abort_on_error=0:exitcode=99:log_path=$reports/asan"
export UBSAN_OPTIONS="print_stacktrace=1:log_path=$reports/ubsan"
export ORCH_SANITIZED=1 ORCH_PROGRAM="$PWD/build/asan/orch-sandbox"

rc=0
tests/lib/suite.sh cli \
    tests/acceptance/agent_cannot_forget_to_finish.bats tests/acceptance/network.bats \
    tests/acceptance/unsafe_changes_are_not_applied.bats tests/acceptance/workspace_changes_only_when_passed.bats \
    tests/redteam/network.bats tests/redteam/root.bats || rc=$?
for report in "$reports"/*; do
    [ -e "$report" ] || continue
    cat "$report"
    rc=1
done
[ "$rc" -ne 0 ] || echo 'no report of a sanitizer'
exit "$rc"
