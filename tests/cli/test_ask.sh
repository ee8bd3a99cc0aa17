#!/usr/bin/env bash
# segagent ask with the shipped policy: answers on the terminal and as JSON, rows, tokens in and out, bad input.
cd "$(dirname "$0")/../.." || exit 1
source tests/cli/check.sh

POLICY=weights_tools/tiny/agent/policy
works synth --out "$SCRATCH/scenes" --count 3 --seed 2 --quiet
PICTURE=$SCRATCH/scenes/images/000000.png
ask() { works ask --model "$POLICY" --template plain "$@"; }
number() { grep -oE "\"$1\":\[[^]]*\]" "$SCRATCH/out" | tr ',' '\n' | wc -l; }

# ---- one question ----
ask --image "$PICTURE" --text "the red circle."
says '^Current IOU: [0-9]+, (Positive|Negative) point: \([0-9]+, [0-9]+\)$'
cp "$SCRATCH/out" "$SCRATCH/answer"
ask --image "$PICTURE" --text "the red circle." --json
says '^\{"prompt_tokens":\[1,-200,[0-9,]+\],"tokens":\[[0-9,]+\],"text":" ?Current IOU: .*","logprobs":\[[-0-9.e,]+\],"stop":"eos","seconds":\{"vision":[-0-9.e]+,"prefill":[-0-9.e]+,"decode":[-0-9.e]+\},"device":"cpu","precision":"(f32|bf16)"\}$'
check "one log-probability a token" test "$(number tokens)" -eq "$(number logprobs)"
cp "$SCRATCH/out" "$SCRATCH/json"
ask --image "$PICTURE" --text "the red circle." --json --threads 1
check "the same on one thread" cmp -s <(without_seconds "$SCRATCH/json") <(without_seconds "$SCRATCH/out")
ask --image "$PICTURE" --text "the red circle." --max-tokens 3 --json
says '"stop":"length"'
check "three tokens" test "$(number tokens)" -eq 3
ask --image "$PICTURE" --text "the red circle." --stop "point" --json
says '"text":" ?Current IOU: [0-9]+, (Positive|Negative) ","logprobs".*"stop":"stop"'
ask --image "$PICTURE" --text "the red circle." --temperature 3 --seed 5 --json
cp "$SCRATCH/out" "$SCRATCH/drawn"
ask --image "$PICTURE" --text "the red circle." --temperature 3 --seed 5 --json
check "a seed's answer comes again" cmp -s <(without_seconds "$SCRATCH/drawn") <(without_seconds "$SCRATCH/out")
ask --image "$PICTURE" --text "the red circle." --temperature 3 --seed 6 --json
check "another seed's is another" test "$(without_seconds "$SCRATCH/drawn")" != "$(without_seconds "$SCRATCH/out")"

# ---- rows ----
for i in 0 1 2; do
    echo "{\"text\":\"the red circle.\",\"image\":\"scenes/images/00000$i.png\"}"
done >"$SCRATCH/rows.jsonl"
ask --prompts "$SCRATCH/rows.jsonl"
check "three rows" test "$(wc -l <"$SCRATCH/out")" -eq 3
check "the first is the single question's" cmp -s <(without_seconds "$SCRATCH/json") \
    <(head -1 "$SCRATCH/out" | without_seconds)
cp "$SCRATCH/out" "$SCRATCH/three"
ask --prompts "$SCRATCH/rows.jsonl" --batch 2
check "the same in other batches" cmp -s <(without_seconds "$SCRATCH/three") <(without_seconds "$SCRATCH/out")
{
    echo '{"image":"scenes/images/000000.png"}'
    sed -n 2p "$SCRATCH/rows.jsonl"
    echo '{"text":"x","image":"none.png"}'
    echo 'no json'
    echo '{"text":"<image> <image>","image":"scenes/images/000000.png"}'
} >"$SCRATCH/bad.jsonl"
run ask --model "$POLICY" --template plain --prompts "$SCRATCH/bad.jsonl"
check "bad rows: exit code 1" test $CODE -eq 1
check "five rows" test "$(wc -l <"$SCRATCH/out")" -eq 5
check "four of them errors" test "$(grep -c '^{"error":{"file":' "$SCRATCH/out")" -eq 4
check "each names its row" test \
    "$(grep -oE '^\{"error":\{"file":"[^"]*bad\.jsonl:[1345]",' "$SCRATCH/out" | wc -l)" -eq 4
check "and the picture that is missing" grep -q 'bad.jsonl:3","reason":"[^"]*none.png: ' "$SCRATCH/out"
check "the good one is answered" cmp -s <(sed -n 2p "$SCRATCH/three" | without_seconds) \
    <(sed -n 2p "$SCRATCH/out" | without_seconds)

# ---- tokens ----
grep -oE '"prompt_tokens":\[[^]]*\]' "$SCRATCH/json" | cut -d: -f2 >"$SCRATCH/ids.json"
ask --tokens-in "$SCRATCH/ids.json" --image "$PICTURE" --json
check "tokens in place of a text" cmp -s <(without_seconds "$SCRATCH/json") <(without_seconds "$SCRATCH/out")
printf 'the red circle.\n\nthe second star from the left\n' >"$SCRATCH/text"
works ask --model "$POLICY" --tokenize "$SCRATCH/text"
check "a list for each line" test "$(grep -cE '^\[[0-9,]*\]$' "$SCRATCH/out")" -eq 3
cp "$SCRATCH/out" "$SCRATCH/lists"
works ask --model "$POLICY" --detokenize "$SCRATCH/lists"
check "and back" cmp -s "$SCRATCH/text" "$SCRATCH/out"

# ---- bad usage and bad input ----
refuses 2 'missing' ask --text x
refuses 2 'no question' ask --model "$POLICY"
refuses 2 'more than one kind' ask --model "$POLICY" --text x --prompts "$SCRATCH/rows.jsonl"
refuses 2 'rows have' ask --model "$POLICY" --prompts "$SCRATCH/rows.jsonl" --image "$PICTURE"
refuses 2 'none' ask --model "$SCRATCH/none" --text x
refuses 2 'pictures are given' ask --model "$POLICY" --template plain --text "<image> what"
refuses 2 'context' ask --model "$POLICY" --template plain --text "the red circle." --context 4
refuses 2 'leaves no token' ask --model "$POLICY" --text x --temperature 1 --top-p 0
refuses 2 'too near to 0' ask --model "$POLICY" --text x --temperature 1e-9
refuses 2 'no_such' ask --model "$POLICY" --template no_such --text x
for limit in max-pixels max-side; do
    refuses 3 "too large: 256x256 pixels.*--$limit" ask --model "$POLICY" --template plain --image "$PICTURE" --text x --$limit 200
done
run ask --model "$POLICY" --template plain --prompts "$SCRATCH/rows.jsonl" --max-pixels 65535
check "rows have the same limit" test "$(grep -c 'too large: 256x256 pixels' "$SCRATCH/out")" -eq 3
ask --prompts "$SCRATCH/rows.jsonl" --max-pixels 65536 --max-side 256
check "and answer up to it" cmp -s <(without_seconds "$SCRATCH/three") <(without_seconds "$SCRATCH/out")
# A tokenizer that does not fit is told before weights are looked for: there are none here.
mkdir "$SCRATCH/mixed"
cp "$POLICY"/*.json "$SCRATCH/mixed"
cp tests/golden/llama/llama2/config.json "$SCRATCH/mixed"
refuses 2 'the tokenizer has ids up to [0-9]+, and the model embeds 96' ask --model "$SCRATCH/mixed" --text x
echo '[1, "x"]' >"$SCRATCH/ids.json"
refuses 2 'no token id' ask --model "$POLICY" --tokens-in "$SCRATCH/ids.json"
echo '[1, 99999]' >"$SCRATCH/ids.json"
refuses 2 'vocabulary' ask --model "$POLICY" --tokens-in "$SCRATCH/ids.json"
finish
