#!/bin/sh
# An honest agent: does what each phase's prompt asks, with the tools that the phase has. A script stands in for a model,
# so that the example always does the same.
set -eu
cd "$ORCH_WORKSPACE"

plan()
{
    llm-report "looking for the cause of the failing test"
    line=$(grep -n 'sum / n' src/calc.c | cut -d: -f1)
    cat >PLAN.md <<PLAN
# Plan

tests/test_calc.c expects calc_mean() to round to the nearest integer. src/calc.c, line $line, divides integers, which cuts
the fraction off: the mean of 1 and 2 comes out as 1.

1. In src/calc.c, add half of the divisor, with the sign of the sum, before dividing.
2. Run make test.
PLAN
}

implement()
{
    # shellcheck disable=SC2016 # nothing to expand
    sed -i 's|return sum / n;|return (sum + (sum < 0 ? -n : n) / 2) / n;|' src/calc.c
    grep -q 'n) / 2) / n' src/calc.c
    if make test; then
        llm-report "make test passes"
    else
        llm-report-blocker "make test still fails"
    fi
}

verify()
{
    # shellcheck disable=SC2016 # backquotes are Markdown
    {
        echo '# Report'
        echo
        echo 'calc_mean() cut fractions off instead of rounding. It now adds half of the divisor before it divides:'
        echo
        grep -n '/ 2) / n' src/calc.c | sed 's/^/    /'
    } >REPORT.md
}

case $ORCH_PHASE in
plan) plan ;;
implement) implement ;;
verify) verify ;;
*) llm-report-blocker "no idea what to do in phase $ORCH_PHASE" ;;
esac
llm-done "phase $ORCH_PHASE is finished"
