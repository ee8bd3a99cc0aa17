# shellcheck shell=bash disable=SC2034
# What the script tests share: counts, a scratch folder that goes away, and the checks. Sourced, from the source's root.
set -u
: "${SEGAGENT_BINARY:?the program under test}"
SCRATCH=$(mktemp -d)
trap 'rm -rf "$SCRATCH"' EXIT
PASSED=0
FAILED=0
MODEL=tests/golden/demo
IMAGE=tests/golden/demo/image.jpg

pass() { PASSED=$((PASSED + 1)); }
fail() {
    FAILED=$((FAILED + 1))
    echo "FAILED: $*"
}

# These scripts test the program on the CPU; tests/cli/test_cuda.sh takes the GPU back.
export CUDA_VISIBLE_DEVICES=

# check WHAT COMMAND...: the command succeeds.
check() {
    local what=$1
    shift
    if "$@"; then pass; else fail "$what"; fi
}

# run ARGS...: the program; leaves $CODE, $SCRATCH/out, $SCRATCH/err and, taken out of that, $SCRATCH/notes: which
# device auto chose and why, which depends on the machine.
run() {
    "$SEGAGENT_BINARY" "$@" >"$SCRATCH/out" 2>"$SCRATCH/all" </dev/null
    CODE=$?
    grep -E '^segagent: device (cpu|cuda:[0-9]+): ' "$SCRATCH/all" >"$SCRATCH/notes"
    grep -Ev '^segagent: device (cpu|cuda:[0-9]+): ' "$SCRATCH/all" >"$SCRATCH/err"
}

# works ARGS...: exit code 0.
works() {
    run "$@"
    if [ $CODE -eq 0 ]; then pass; else fail "exit $CODE: segagent $*: $(head -c 300 "$SCRATCH/err")"; fi
}

# refuses CODE PATTERN ARGS...: this exit code; one line on standard error, with the pattern and a way out; no output.
refuses() {
    local want=$1 pattern=$2
    shift 2
    run "$@"
    if [ $CODE -eq "$want" ] && [ "$(wc -l <"$SCRATCH/err")" -eq 1 ] && [ ! -s "$SCRATCH/out" ] &&
        grep -Eq "^segagent: .*($pattern)" "$SCRATCH/err" && grep -q ')$' "$SCRATCH/err"; then
        pass
    else
        fail "exit $CODE, wanted $want and \"$pattern\": segagent $*: $(head -c 400 "$SCRATCH/err")"
    fi
}

# says PATTERN: standard output has it (extended regular expression).
says() {
    if grep -Eq -- "$1" "$SCRATCH/out"; then pass; else fail "no \"$1\" in: $(head -c 300 "$SCRATCH/out")"; fi
}

# Without the times, which are the one thing that differs between two runs.
without_seconds() { sed -E 's/"seconds":\{[^}]*\}/"seconds":{}/' "$@"; }

# until_rows DIR COUNT PROCESS: waits until a run has more rows than that in its journal, or its process is over.
until_rows() {
    for _ in $(seq 400); do
        [ "$(cat "$1/results.journal" 2>/dev/null | wc -l)" -gt "$2" ] && return
        kill -0 "$3" 2>/dev/null || return
        sleep 0.02
    done
}

finish() {
    echo "$PASSED passed, $FAILED failed"
    [ "$FAILED" -eq 0 ]
    exit
}
