#!/usr/bin/env bash
# A run of an agent on a GPU: the same rows whatever the batch and, on the simulated GPU (SEGAGENT_TEST_GPUSIM=1), in
# whatever order its warps and blocks come and however late its asynchronous work is; and a run that a kernel ended goes
# on to the same end.
cd "$(dirname "$0")/../.." || exit 1
source tests/cli/check.sh
unset CUDA_VISIBLE_DEVICES

works synth --out "$SCRATCH/set" --count 2 --level steps --size 64 --seed 3 --quiet
annotate() {
    run annotate --agent weights_tools/tiny/agent --input "$SCRATCH/set/manifest.jsonl" --search greedy --steps 2 \
        --device cuda --precision f32 --quiet "$@"
}
annotated() {
    annotate "$@"
    check "exit $CODE: $(head -c 300 "$SCRATCH/err")" test $CODE -eq 0
}

if [ "${SEGAGENT_TEST_GPUSIM:-}" = 1 ]; then
    GPUSIM_TRAP_LAUNCH=900 annotate --output "$SCRATCH/one" --batch 1 # of some two thousand
    check "a kernel that fails ends the run: exit $CODE" test $CODE -eq 3
    check "it is told: $(head -c 300 "$SCRATCH/err")" grep -q 'the last of kernel' "$SCRATCH/err"
    # about where a pass of the policy has the segmenter at work beside it; which stream tells of it first is chance
    GPUSIM_TRAP_LAUNCH=1720 annotate --output "$SCRATCH/beside" --batch 2
    check "in company, too: exit $CODE" test $CODE -eq 3
    check "it is told: $(head -c 300 "$SCRATCH/err")" grep -q 'launch failed' "$SCRATCH/err"
    annotated --output "$SCRATCH/beside" --batch 2
fi
annotated --output "$SCRATCH/one" --batch 1
if [ "${SEGAGENT_TEST_GPUSIM:-}" = 1 ]; then
    check "both that failed go on to the same end" cmp "$SCRATCH/one/results.jsonl" "$SCRATCH/beside/results.jsonl"
fi
check "two rows" test "$(wc -l <"$SCRATCH/one/results.jsonl")" -eq 2
GPUSIM_SEED=2 GPUSIM_STRICT=1 annotated --output "$SCRATCH/two" --batch 2
check "both at once, in another order, as late as may be: the same rows" \
    cmp "$SCRATCH/one/results.jsonl" "$SCRATCH/two/results.jsonl"
finish
