#!/usr/bin/env bash
# segagent click on a GPU: the CPU's answers, the same bytes in any company, and failures that are told in one line. Runs
# on the simulated GPU, where faults can be planted (SEGAGENT_TEST_GPUSIM=1), or on a real one.
cd "$(dirname "$0")/../.." || exit 1
source tests/cli/check.sh
unset CUDA_VISIBLE_DEVICES
T=$SCRATCH/target
mkdir "$T"

click() { works click --segmenter "$MODEL" --image "$IMAGE" "$@"; }
number() { grep -oE "\"$1\":[-0-9.e]+" "$SCRATCH/out" | head -1 | cut -d: -f2; }
near() { awk -v a="$1" -v b="$2" -v t="$3" 'BEGIN { d = a - b; exit !(d <= t && -d <= t) }'; }

# ---- answers ----
works doctor --json
says '"found":true,"reason":null'
says '"auto":\{"device":"cuda:0"'
if [ "${SEGAGENT_TEST_GPUSIM:-}" = 1 ]; then
    says '"cublaslt":"13.0.0","cudnn":"9.0.0"'
    works doctor
    says 'for --numerics fast: cuBLASLt 13.0.0, cuDNN 9.0.0$'
fi
click --point 160,120 --json --device cpu --precision f32
score=$(number score)
area=$(number area)
click --point 160,120 --json --device cuda --precision f32
says '"device":"cuda:0","precision":"f32"'
check "f32: the CPU's score, $score and $(number score)" near "$score" "$(number score)" 1e-4
check "f32: the CPU's area, $area and $(number area)" near "$area" "$(number area)" "$((area / 1000 + 1))"
click --point 160,120 --json --device cuda --precision f16
says '"device":"cuda:0","precision":"f16"'
check "f16: the CPU's score, $score and $(number score)" near "$score" "$(number score)" 0.004
check "f16: the CPU's area, $area and $(number area)" near "$area" "$(number area)" "$((area / 200 + 1))"
click --point 160,120 --json
says '"device":"cuda:0","precision":"bf16"'
check "auto says so once" test "$(wc -l <"$SCRATCH/notes")" -eq 1
check "bf16: the CPU's score, $score and $(number score)" near "$score" "$(number score)" 0.03
check "bf16: the CPU's area, $area and $(number area)" near "$area" "$(number area)" "$((area / 20 + 1))"

# ---- the same bytes whatever else is in the batch ----
for x in 160 40 250; do
    echo "{\"image\": \"$PWD/$IMAGE\", \"clicks\": [{\"x\": $x, \"y\": 120, \"positive\": true}]}"
done >"$SCRATCH/rows.jsonl"
works click --segmenter "$MODEL" --clicks "$SCRATCH/rows.jsonl" --device cuda --batch 1
without_seconds "$SCRATCH/out" >"$SCRATCH/one"
works click --segmenter "$MODEL" --clicks "$SCRATCH/rows.jsonl" --device cuda --batch 3
without_seconds "$SCRATCH/out" >"$SCRATCH/three"
check "one by one and together" cmp "$SCRATCH/one" "$SCRATCH/three"

# ---- libraries: only when asked for ----
export XDG_CACHE_HOME=$SCRATCH/cache
click --point 160,120 --json --device cuda
check "no library is timed without --numerics fast" test ! -e "$XDG_CACHE_HOME"
click --point 160,120 --json --device cuda --numerics fast
check "fast: the CPU's score, $score and $(number score)" near "$score" "$(number score)" 0.03
check "fast: the CPU's area, $area and $(number area)" near "$area" "$(number area)" "$((area / 20 + 1))"

if [ "${SEGAGENT_TEST_GPUSIM:-}" != 1 ]; then finish; fi

# The stand-ins are there: each op's choices are kept.
for op in gemm convolution; do
    check "the choices of $op are kept" grep -q '^segagent [0-9.]*, .*, driver [0-9]*, cu' "$XDG_CACHE_HOME/segagent/${op}_"*.txt
done

# ---- faults ----
export GPUSIM_CHECK=none
# fails PATTERN: click with every output, on a GPU in which a fault was planted.
fails() {
    run click --segmenter "$MODEL" --image "$IMAGE" --point 160,120 --device cuda --out "$T/m.png" --overlay "$T/o.png" \
        --save-logits "$T/l.npy" --save-embedding "$T/e.npy" --json
    grep -v '^gpusim: ' "$SCRATCH/err" >"$SCRATCH/said"
    check "exit 3, not $CODE: $FAULT" test $CODE -eq 3
    check "one line with \"$1\": $FAULT: $(head -c 400 "$SCRATCH/said")" grep -Eq "^segagent: .*($1).*\(.*\)$" "$SCRATCH/said"
    check "one line: $FAULT" test "$(wc -l <"$SCRATCH/said")" -eq 1
    check "an error object: $FAULT" grep -q '^{"error":{"file":' "$SCRATCH/out"
    check "no file: $FAULT: $(ls -A "$T")" test -z "$(ls -A "$T")"
}

# Every allocation of a run, one after the other, until the run has none left to fail.
allocations=0
for ((n = 1; n <= 20; n++)); do
    GPUSIM_FAIL_ALLOC=$n run click --segmenter "$MODEL" --image "$IMAGE" --point 160,120 --device cuda
    if [ $CODE -eq 0 ]; then break; fi
    FAULT="allocation $n fails"
    GPUSIM_FAIL_ALLOC=$n fails 'out of device memory: .* needs [0-9]+ MB, and [0-9]+ of [0-9]+ MB are free|pinned host memory'
    allocations=$n
done
check "some allocations failed, not all: $allocations" test "$allocations" -ge 4 -a "$allocations" -lt 20

for n in 1 2 3 30 90 150; do
    FAULT="launch $n is refused"
    GPUSIM_FAIL_LAUNCH=$n fails 'launch of kernel [a-z0-9_]+: '
done
# A kernel that traps ends the run at the next wait; when launches are synchronous its name is told.
for n in 2 120; do
    FAULT="launch $n traps"
    GPUSIM_TRAP_LAUNCH=$n fails 'the last of kernel [a-z0-9_]+ \(SEGAGENT_CUDA_SYNC=1|kernel [a-z0-9_]+: '
    GPUSIM_TRAP_LAUNCH=$n SEGAGENT_CUDA_SYNC=1 fails 'cuda:0: kernel [a-z0-9_]+: '
done
# The last launches belong to the click: the picture is named.
check "the item is named" grep -q ", at $IMAGE (" "$SCRATCH/said"
for n in 1 5 40 200 1000 1500; do
    FAULT="lost at call $n"
    GPUSIM_LOST_AT=$n fails 'cuda:0: |libcuda.so.1: '
done
# A run of an agent: without the memory for a batch it takes a smaller one, unless one was asked for.
works synth --out "$SCRATCH/set" --count 2 --size 64 --seed 3 --quiet
dry=(annotate --agent weights_tools/tiny/agent --input "$SCRATCH/set/manifest.jsonl" --dry-run --device cuda)
works "${dry[@]}"
says 'for 64 items at a time'
smaller=0
for n in 1 2 3 4 5 6 7 8; do
    GPUSIM_FAIL_ALLOC=$n run "${dry[@]}" --batch 8
    check "an agent's allocation $n fails: exit $CODE" test $CODE -eq 0 -o $CODE -eq 3
    [ $CODE -eq 0 ] && continue
    check "it is told: $(head -c 300 "$SCRATCH/err")" grep -Eq 'out of device memory|pinned host memory' "$SCRATCH/err"
    GPUSIM_FAIL_ALLOC=$n run "${dry[@]}"
    check "the batch is halved: exit $CODE: $(head -c 200 "$SCRATCH/out")" grep -q 'for 32 items at a time' "$SCRATCH/out"
    smaller=$((smaller + 1))
done
check "some allocations were made up for by a smaller batch: $smaller" test $smaller -ge 3
# Every allocation once more where the libraries are: without room for one of theirs the run goes on without it.
for n in 2 3 4 5 6 7 8 9 10 11 12; do
    GPUSIM_FAIL_ALLOC=$n run click --segmenter "$MODEL" --image "$IMAGE" --point 160,120 --device cuda --json --numerics fast
    check "fast, allocation $n: exit $CODE" test $CODE -eq 0 -o $CODE -eq 3
    if [ $CODE -eq 0 ]; then
        check "fast, allocation $n: $(number score)" near "$score" "$(number score)" 0.03
    fi
done
FAULT="another process holds the memory"
export GPUSIM_MEMORY=200000000 GPUSIM_HELD=199000000
fails 'needs [0-9]+ MB, and [0-9]+ of 190 MB are free .*others 189 MB'
works doctor
says '0.2 GB, 0.0 GB free'
click --point 160,120 --json
says '"device":"cpu"'
check "$FAULT: auto goes on with the CPU" grep -q '^segagent: device cpu: out of device memory: .*others 189 MB' "$SCRATCH/notes"
unset GPUSIM_MEMORY GPUSIM_HELD
FAULT="no such GPU"
run click --segmenter "$MODEL" --image "$IMAGE" --point 160,120 --device cuda:1
check "$FAULT: exit 3, not $CODE" test $CODE -eq 3
check "$FAULT" grep -q '^segagent: --device: there is no cuda:1: the driver has 1 device (' "$SCRATCH/err"

# ---- many rows: a bad one fails alone; a failing GPU ends the run, names the row, and what is out is whole ----
{
    sed -n 1p "$SCRATCH/rows.jsonl"
    echo '{"image": "/no/such/file.png", "clicks": [{"x": 1, "y": 1, "positive": true}]}'
    sed -n 2,3p "$SCRATCH/rows.jsonl"
} >"$SCRATCH/mixed.jsonl"
run click --segmenter "$MODEL" --clicks "$SCRATCH/mixed.jsonl" --device cuda --batch 2
check "a bad row: exit 1, not $CODE" test $CODE -eq 1
check "a bad row: four results" test "$(grep -c '^{"image":.*}$' "$SCRATCH/out")" -eq 4
check "a bad row: one error" test "$(grep -c '"error":{' "$SCRATCH/out")" -eq 1
launches=$(GPUSIM_PROFILE=$SCRATCH/profile works click --segmenter "$MODEL" --clicks "$SCRATCH/rows.jsonl" --device cuda --batch 1
    grep -c '"kernel"' "$SCRATCH/profile")
for back in 1 20; do
    FAULT="the launch $back before the last traps"
    GPUSIM_TRAP_LAUNCH=$((launches - back)) SEGAGENT_CUDA_SYNC=1 run click --segmenter "$MODEL" \
        --clicks "$SCRATCH/rows.jsonl" --device cuda --batch 1
    grep -v '^gpusim: ' "$SCRATCH/err" >"$SCRATCH/said"
    check "$FAULT: exit 3, not $CODE" test $CODE -eq 3
    check "$FAULT: kernel and row are named: $(cat "$SCRATCH/said")" \
        grep -Eq "^segagent: cuda:0: kernel [a-z0-9_]+: .*, at $SCRATCH/rows.jsonl:3.* \(" "$SCRATCH/said"
    check "$FAULT: whole rows" test "$(grep -c '^{"image":.*}$' "$SCRATCH/out")" -eq "$(wc -l <"$SCRATCH/out")"
    check "$FAULT: the rows before it" test "$(grep -c '"best"' "$SCRATCH/out")" -eq 2
done

# ---- f16: what does not fit is an error, never a mask ----
works weights convert "$MODEL" "$SCRATCH/large" --dtype f32
weights=$(ls "$SCRATCH/large"/*.safetensors)
printf '\0\0\0\x49' | dd of="$weights" bs=1 seek=$(($(stat -c %s "$weights") - 4)) conv=notrunc status=none # 524288
FAULT="a weight beyond f16"
run click --segmenter "$SCRATCH/large" --image "$IMAGE" --point 160,120 --device cuda --precision f16 --out "$T/m.png"
check "$FAULT: exit 2, not $CODE" test $CODE -eq 2
check "$FAULT: $(cat "$SCRATCH/err")" grep -Eq 'tensor "[a-z0-9_.]+": 1 values are too large for f16 \(use --precision' "$SCRATCH/err"
check "$FAULT: no file" test -z "$(ls -A "$T")"

FAULT="an old driver"
GPUSIM_DRIVER_VERSION=12040 fails 'the driver is too old: it supports CUDA 12.4, and the kernels need 1[0-9].0'
GPUSIM_DRIVER_VERSION=12040 click --point 160,120
check "auto goes on with the CPU" grep -q 'device cpu: the driver is too old' "$SCRATCH/notes"

finish
