#!/usr/bin/env bash
# segagent plan and --device null: a cost model's times, the host's own, what a run on no device leaves, and refusals.
cd "$(dirname "$0")/../.." || exit 1
source tests/cli/check.sh
T=$SCRATCH/t
AGENT=weights_tools/tiny/agent
mkdir "$T"

works synth --out "$T/set" --count 12 --seed 3 --level steps --quiet
input=(--agent $AGENT --input "$T/set/manifest.jsonl")
cat >"$T/costs" <<'COSTS'
# stage batch ms
encode 1 100
click 1 0
vision 1 0
forward 1 0
COSTS

# ---- plan ----
works plan --help
says 'Example:'
works plan "${input[@]}" --gpus 2 --costs "$T/costs" --steps 2
says '^12 items on 2 GPUs: about 0\.00 hours, by the cost model .*costs \(a model, no measurement\)$'
says '^bound by encode; 2\.0 steps an item; from 12 items'
works plan "${input[@]}" --gpus 2 --costs "$T/costs" --steps 2 --sample 6 --json
check "12 pictures of 100 ms on 2 GPUs" python3 - "$SCRATCH/out" <<'PYTHON'
import json, sys
p = json.load(open(sys.argv[1]))
assert p["items"] == 12 and p["sample"] == 6 and p["gpus"] == 2 and p["bound"] == "encode", p
assert abs(p["seconds_per_item"]["encode"] - 0.1) < 1e-9 and p["seconds_per_item"]["vision"] == 0, p
least = 12 * 0.1 / 2 / 3600
assert least <= p["hours"] < 1.2 * least, p
assert p["segmenter_bytes"] > 0 and p["policy_bytes"] > 0
PYTHON
for costs in a100 h100 segagent-qwen-a100 segagent-qwen-h100; do
    works plan "${input[@]}" --costs $costs --search prm-greedy --candidates 3 --steps 2 --json
    says '"hours":[0-9.e-]+,"bound":"(vision|forward|encode|click|reading)"'
done

# ---- a run on the null device ----
works annotate "${input[@]}" --output "$T/null" --device null --steps 3 --batch 4 --in-flight 8 --profile --search greedy
check "the profile tells of batches" grep -Eq '^forward +[0-9]+ +[0-9]+ tokens' "$SCRATCH/all"
check "and of the host" grep -Eq 'host [0-9.]+ us a step; device, by its model' "$SCRATCH/all"
works annotate "${input[@]}" --output "$T/null-2" --device null --steps 3 --batch 2 --in-flight 3 --search greedy --threads 1
check "batches change nothing there either" cmp "$T/null/results.jsonl" "$T/null-2/results.jsonl"
check "run.json keeps the model's times" python3 - "$T/null/run.json" <<'PYTHON'
import json, sys
r = json.load(open(sys.argv[1]))
t = r["times"]
assert r["device"] == "null" and 0 < t["busy"] <= 1 and t["modelled"] > 0 and t["host"] > 0, t
assert t["stages"]["click"]["units"] == 36 and t["stages"]["encode"]["units"] == 12, t
assert r["counters"]["answers_failed"] == 0 and r["counters"]["answers_retried"] == 0
PYTHON

# ---- refusals ----
refuses 2 'add --device null' annotate "${input[@]}" --output "$T/no" --device cpu --costs h100
refuses 2 'line 2: the first word' plan "${input[@]}" --costs <(printf '\nnothing 1 1\n')
refuses 2 'no line for click' plan "${input[@]}" --costs <(echo encode 1 1)
refuses 2 'is not given' plan --agent $AGENT
refuses 2 'gpus' plan "${input[@]}" --gpus 0
finish
