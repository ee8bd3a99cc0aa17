#!/usr/bin/env bash
# segagent annotate, refine and filter with the shipped agent: what they write, that a run which is killed, or made in
# parts, ends up with the same bytes as an unbroken one, and their refusals.
cd "$(dirname "$0")/../.." || exit 1
source tests/cli/check.sh
T=$SCRATCH/t
AGENT=weights_tools/tiny/agent
ITEMS=8
mkdir "$T"
RANDOM=20261130 # bash's generator, seeded

# same DIR DIR: the files that hold no times.
same() { cmp "$1/results.jsonl" "$2/results.jsonl" && cmp_if "$1" "$2" quarantine.jsonl; }
cmp_if() { if [ -e "$1/$3" ] || [ -e "$2/$3" ]; then cmp "$1/$3" "$2/$3"; fi; }
rows() { wc -l <"$1"; }
# annotate NAME OPTION...
annotate() { run annotate --agent $AGENT --input "$T/set/manifest.jsonl" --output "$T/$1" --steps 2 "${@:2}"; }

works synth --out "$T/set" --count $ITEMS --seed 3 --level steps --coarse --quiet
for command in annotate refine filter; do
    works $command --help
    says 'Example:'
done

# ---- a run, and what it leaves ----
annotate whole
check "annotate works" [ $CODE -eq 0 ]
says "^$ITEMS items, 0 of them in quarantine: $T/whole$"
check "a row for each item" [ "$(rows "$T/whole/results.jsonl")" -eq $ITEMS ]
check "no journal is left" [ ! -e "$T/whole/results.journal" ]
check "rows are as they should be" python3 - "$T" <<'PYTHON'
import json, sys
t = sys.argv[1]
rows = [json.loads(line) for line in open(t + "/whole/results.jsonl")]
items = [json.loads(line) for line in open(t + "/set/manifest.jsonl")]
run = json.load(open(t + "/whole/run.json"))
assert [r["id"] for r in rows] == [i["id"] for i in items]
for r, i in zip(rows, items):
    assert r["status"] == "ok" and r["error"] is None and r["text"] == i["text"] and r["meta"] == i["meta"]
    assert len(r["steps"]) == 3 and r["steps"][0]["action"] is None and "tree" not in r
    assert r["mask"] == r["steps"][r["step"]]["mask"] and r["score"] == r["steps"][r["step"]]["predicted_iou"]
    assert r["score"] == max(s["predicted_iou"] for s in r["steps"][1:])  # prm-stop: the agent's way
    assert all(0 <= s["iou"] <= 1 and s["parse"] in ("ok", "retried", "failed") for s in r["steps"])
assert run["status"] == "done" and run["input"]["items"] == len(items) and run["config"]["steps"] == 2
assert run["counters"]["items"] == len(items) and run["counters"]["clicks"] == 2 * len(items)
PYTHON

works eval --results "$T/whole" --input "$T/set/manifest.jsonl" --json
check "metrics.json is what eval says" cmp "$SCRATCH/out" "$T/whole/metrics.json"

# ---- neither batch nor threads nor company change a row ----
annotate batch --batch 3 --threads 3
check "batch and threads change nothing" same "$T/whole" "$T/batch"
annotate few --limit 3
check "--limit takes the first ones" cmp <(head -n 3 "$T/whole/results.jsonl") "$T/few/results.jsonl"
annotate whole
check "a run that is done is left alone" [ $CODE -eq 0 ]
for part in 0 1 2; do
    annotate part-$part --shard $part/3
    check "part $part" [ $CODE -eq 0 ]
done
works merge "$T/part-0" "$T/part-1" "$T/part-2" --output "$T/merged"
check "parts make the whole" same "$T/whole" "$T/merged"
run merge "$T/part-0" "$T/part-2" --output "$T/lacking"
check "a missing part is exit code 1" [ $CODE -eq 1 ]
annotate beam-0 --search beam --candidates 3 --temperature 1 --trace
annotate beam-1 --search beam --candidates 3 --temperature 1 --trace --batch 2
check "candidates do not depend on the batch" same "$T/beam-0" "$T/beam-1"
check "--trace tells the tree" [ "$(grep -c '"tree":\[{"node":0,"parent":-1,' "$T/beam-0/results.jsonl")" -eq $ITEMS ]
annotate seed-1 --search beam --candidates 3 --temperature 1 --seed 1
check "another seed, other candidates" [ "$(cmp "$T/seed-1/results.jsonl" "$T/beam-0/results.jsonl" 2>&1 | wc -l)" -gt 0 ]
annotate oracle --policy annotator --search greedy --score truth
check "the annotator clicks" [ $CODE -eq 0 ]

# ---- killed 20 times at seeded moments of its way (5 where the program is slow): in the end there is what an unbroken run
# writes ----
started=$(date +%s%N)
annotate timed
whole_ms=$((($(date +%s%N) - started) / 1000000))
kills=0
midway=0
directory=0
most=20
[ -n "${SEGAGENT_TEST_SHORT:-}" ] && most=5
while [ $kills -lt $most ]; do
    "$SEGAGENT_BINARY" annotate --agent $AGENT --input "$T/set/manifest.jsonl" --output "$T/killed-$directory" --steps 2 \
        --batch 2 --quiet >/dev/null 2>&1 </dev/null &
    victim=$!
    sleep "$(printf '0.%06d' $((whole_ms * 1000 * (RANDOM % 1000) / 1000 % 1000000)))"
    kill -9 $victim 2>/dev/null
    wait $victim 2>/dev/null
    code=$?
    kills=$((kills + 1))
    if [ -e "$T/killed-$directory/results.jsonl" ]; then
        written=$(stat -c %s "$T/killed-$directory/results.jsonl")
        check "kill $kills: what is there is a beginning of the whole" \
            cmp -n "$written" "$T/killed-$directory/results.jsonl" "$T/whole/results.jsonl"
    fi
    [ $code -eq 137 ] && [ -s "$T/killed-$directory/results.journal" ] && midway=$((midway + 1))
    if [ $code -eq 0 ]; then # it was faster: the next ones begin anew
        check "kill $kills: done" same "$T/killed-$directory" "$T/whole"
        directory=$((directory + 1))
    fi
done
echo "$kills kills in $((directory + 1)) runs, $midway of them with a journal open"
annotate killed-$directory --batch 2
check "after $kills kills it ends well" [ $CODE -eq 0 ]
check "after $kills kills the bytes are the same" same "$T/killed-$directory" "$T/whole"
check "no journal is left after kills" [ ! -e "$T/killed-$directory/results.journal" ]

# ---- refine and filter ----
works refine --agent $AGENT --input "$T/set/manifest.jsonl" --output "$T/refined" --steps 2
check "refined from the given masks" python3 - "$T" <<'PYTHON'
import json, sys
t = sys.argv[1]
rows = [json.loads(line) for line in open(t + "/refined/results.jsonl")]
items = [json.loads(line) for line in open(t + "/set/manifest.jsonl")]
assert all(r["steps"][0]["mask"] == i["mask"] for r, i in zip(rows, items))
PYTHON
works filter --agent $AGENT --input "$T/set/manifest.jsonl" --output "$T/judged" --quantile 0.25
says '^6 kept, 2 dropped \(score below 0\.[0-9]{4}\), 0 in quarantine: '
says '^spearman  '
check "every mask is in one list" [ "$(cat "$T/judged/kept.jsonl" "$T/judged/dropped.jsonl" | cut -d, -f1 | sort -u | wc -l)" -eq $ITEMS ]
works filter --agent $AGENT --input "$T/set/manifest.jsonl" --output "$T/judged" --threshold 0 --json
says '"kept":8,"dropped":0,'
refuses 2 'threshold: .*is not said' filter --agent $AGENT --input "$T/set/manifest.jsonl" --output "$T/no"
refuses 2 'threshold: .*is said twice' filter --agent $AGENT --input "$T/set/manifest.jsonl" --output "$T/no" \
    --threshold 0.5 --quantile 0.5

check "the lists keep what the manifest had" python3 - "$T" <<'PYTHON'
import json, sys
t = sys.argv[1]
items = {i["id"]: i for i in map(json.loads, open(t + "/set/manifest.jsonl"))}
for r in map(json.loads, open(t + "/judged/kept.jsonl")):
    assert all(r[k] == items[r["id"]][k] for k in ("image", "text", "mask", "gt", "meta")) and 0 <= r["score"] <= 1
PYTHON
works filter --agent $AGENT --input "$T/set/manifest.jsonl" --output "$T/none" --threshold 0.5 --shard 0/9
says '^0 kept, 0 dropped'
works annotate --agent $AGENT --input "$T/set/manifest.jsonl" --output "$T/none-annotated" --shard 0/9
mkdir "$T/blunt"
python3 -c 'import json, sys; a = json.load(sys.stdin); a["prm"] = None; print(json.dumps(a))' <$AGENT/agent.json >"$T/blunt/agent.json"
ln -s "$PWD/$AGENT/policy" "$PWD/$AGENT/segmenter" "$T/blunt/"
refuses 2 'does not judge masks' filter --agent "$T/blunt" --input "$T/set/manifest.jsonl" --output "$T/no" --threshold 0.5

# ---- standard input, and an input that is another one now ----
"$SEGAGENT_BINARY" filter --agent $AGENT --input - --images "$T/set" --output "$T/piped" --threshold 0 --json --quiet \
    <"$T/set/manifest.jsonl" >"$SCRATCH/out" 2>"$SCRATCH/err"
check "a manifest from standard input" [ $? -eq 0 ]
says '"kept":8,"dropped":0,'
head -n 7 "$T/set/manifest.jsonl" | sed 1p | sed '1s/"id":"[^"]*"/"id":"new"/' |
    "$SEGAGENT_BINARY" filter --agent $AGENT --input - --images "$T/set" --output "$T/piped" --threshold 0 --quiet \
        >/dev/null 2>"$SCRATCH/err"
check "other items are refused, though as many" grep -q 'input.sha256' "$SCRATCH/err"

# ---- bad items are set aside, and the rest goes on ----
python3 - "$T" <<'PYTHON'
import json, sys, os
t = sys.argv[1]
rows = [json.loads(line) for line in open(t + "/set/manifest.jsonl")]
del rows[0]["mask"]
rows[1]["image"] = "images/none.png"
rows[2]["image"] = "images/torn.png"
open(t + "/set/images/torn.png", "wb").write(open(t + "/set/images/000002.png", "rb").read()[:900])
rows[4]["id"] = rows[3]["id"]
rows[5]["text"] = ""
with open(t + "/set/bad.jsonl", "w") as out:
    for i, r in enumerate(rows):
        out.write(json.dumps(r) + "\n" if i != 6 else '{"id": "torn", "image"\n')
PYTHON
run annotate --agent $AGENT --input "$T/set/bad.jsonl" --output "$T/bad" --steps 1
check "bad items: exit code 1, not $CODE" [ $CODE -eq 1 ]
says '^8 items, 5 of them in quarantine'
check "bad items: the others" [ "$(rows "$T/bad/results.jsonl")" -eq 3 ]
check "bad items: reasons" [ "$(grep -cE '"reason":"[^"]+"' "$T/bad/quarantine.jsonl")" -eq 5 ]
check "bad items: metrics.json counts them" grep -q '"items":3,"failed":5,' "$T/bad/metrics.json"
run annotate --agent $AGENT --input "$T/set/bad.jsonl" --output "$T/bad" --steps 1
check "bad items stay bad when it is resumed" [ $CODE -eq 1 ]
run refine --agent $AGENT --input "$T/set/bad.jsonl" --output "$T/bad-refined" --steps 1
check "refine needs a mask" grep -q '"id":"steps-3-000000"' "$T/bad-refined/quarantine.jsonl"
run annotate --agent $AGENT --input "$T/set/bad.jsonl" --dry-run
check "dry run finds them: exit code 1, not $CODE" [ $CODE -eq 1 ]
says '^8 items \(manifest\), 5 of them cannot be used'
works annotate --agent $AGENT --input "$T/set/manifest.jsonl" --dry-run --shard 1/4 --json
says '"items":2,"unusable":0,'
works annotate --agent $AGENT --input "$T/set/manifest.jsonl" --dry-run
says 'segmenter [0-9.]+ MB, policy [0-9.]+ MB'

# ---- refusals ----
refuses 2 'agent: it is not given' annotate --input "$T/set/manifest.jsonl" --output "$T/no"
refuses 2 'input: it is not given' annotate --agent $AGENT --output "$T/no"
refuses 2 'output: it is not given' annotate --agent $AGENT --input "$T/set/manifest.jsonl"
refuses 2 'no/such/agent' annotate --agent no/such/agent --input "$T/set/manifest.jsonl" --output "$T/no"
refuses 2 'none.jsonl' annotate --agent $AGENT --input "$T/none.jsonl" --output "$T/no"
refuses 2 'search.*choose greedy' annotate --agent $AGENT --input "$T/set/manifest.jsonl" --output "$T/no" --search wide
refuses 2 'shard' annotate --agent $AGENT --input "$T/set/manifest.jsonl" --output "$T/no" --shard 3/3
refuses 2 'shard' annotate --agent $AGENT --input "$T/set/manifest.jsonl" --dry-run --shard 3/3
refuses 2 'max_side' annotate --agent $AGENT --input "$T/set/manifest.jsonl" --output "$T/whole" --steps 2 --max-side 512
refuses 2 'steps.*from 0 to' annotate --agent $AGENT --input "$T/set/manifest.jsonl" --output "$T/no" --steps -1
refuses 2 'config.steps.*2 -> 3|steps: 2 -> 3' annotate --agent $AGENT --input "$T/set/manifest.jsonl" --output "$T/whole" --steps 3
refuses 3 'No such file|cannot|Permission' annotate --agent $AGENT --input "$T/set/manifest.jsonl" --output /proc/no/such/place
check "a refused run changes nothing" [ "$(rows "$T/whole/results.jsonl")" -eq $ITEMS ]
touch "$T/file"
refuses 2 'file' annotate --agent $AGENT --input "$T/set/manifest.jsonl" --output "$T/file"

finish
