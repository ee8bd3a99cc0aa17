#!/bin/bash
# Runs every fuzz harness of a build for some seconds each, one on each processor:  tests/fuzz/run.sh BUILD_DIR SECONDS [NAME...]
# Each works on a copy of corpus/NAME, so the committed corpus stays as it is. Prints one line per harness;
# what was found, and the grown corpus, stay in BUILD_DIR/fuzz/NAME. Exit 1 if there is any finding.
set -u
if [ $# -lt 2 ] || [ ! -d "$1" ] || ! [[ "$2" =~ ^[1-9][0-9]*$ ]]; then
    echo "usage: $0 BUILD_DIR SECONDS [NAME...]" >&2
    exit 2
fi
build=$(cd "$1" && pwd)
seconds=$2
jobs=$(nproc 2>/dev/null || echo 1) # as many harnesses at a time
shift 2
here=$(cd "$(dirname "$0")" && pwd)

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    for source in "$here"/fuzz_*.c; do
        name=$(basename "$source" .c)
        names+=("${name#fuzz_}")
    done
fi

# One harness; prints its line, leaves work/findings/, fails if there is something in it.
run_one() {
    local name=$1 work=$build/fuzz/$1
    local program=$build/tests/fuzz/fuzz_$name
    [ -x "$program" ] || program=$build/fuzz_$name
    if [ ! -x "$program" ]; then
        echo "$name: no program fuzz_$name in $build (configure with --preset fuzz)"
        return 1
    fi
    rm -rf "$work"
    mkdir -p "$work/corpus" "$work/findings"
    if [ -d "$here/corpus/$name" ]; then
        cp -r "$here/corpus/$name/." "$work/corpus"
    fi
    local dictionary=()
    if [ -f "$here/$name.dict" ]; then
        dictionary=("-dict=$here/$name.dict")
    fi
    (cd "$work" && "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
        -artifact_prefix=findings/ -print_final_stats=1 "${dictionary[@]}" corpus) >"$work/log" 2>&1
    local code=$?
    local executions
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log")
    if [ $code -ne 0 ] || [ -n "$(ls -A "$work/findings")" ]; then
        echo "$name: ${executions:-?} executions, FINDING (exit $code), see $work/log and $work/findings"
        grep -m 3 -E 'ERROR:|runtime error|segagent: bug' "$work/log"
        return 1
    fi
    echo "$name: ${executions:-?} executions in $seconds s, no findings"
}

failed=0
running=0
for name in "${names[@]}"; do
    if [ $running -eq "$jobs" ]; then
        wait -n || failed=1
        running=$((running - 1))
    fi
    run_one "$name" &
    running=$((running + 1))
done
while [ $running -gt 0 ]; do
    wait -n || failed=1
    running=$((running - 1))
done
exit $failed
