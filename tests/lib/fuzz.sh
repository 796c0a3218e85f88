#!/bin/sh
# Runs each fuzz target (or those named) for some seconds: fuzz.sh DIRECTORY SECONDS [TARGET...]. The corpus of a target
# is tests/fuzz/corpus/NAME; what is found there is read only, new inputs stay under the directory.
set -eu
dir=$1 seconds=$2
shift 2
wanted=" $* "
passed=0 failed=0
for target in "$dir"/fuzz_*; do
    case $target in *.d) continue ;; esac
    [ -x "$target" ] || continue
    name=$(basename "$target")
    case $wanted in '  ' | *" $name "*) ;; *) continue ;; esac
    seeds=tests/fuzz/corpus/$name
    mkdir -p "$dir/corpus/$name" "$dir/crashes"
    echo "$name"
    # shellcheck disable=SC2046 # no word at all when there are no seeds
    if "$target" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=2048 -print_final_stats=0 -verbosity=0 \
        -artifact_prefix="$dir/crashes/$name-" "$dir/corpus/$name" $([ -d "$seeds" ] && echo "$seeds"); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
