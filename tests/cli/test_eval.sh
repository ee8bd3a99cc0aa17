#!/usr/bin/env bash
# segagent eval and export: what they print and write, from rows with and without a manifest, and their refusals.
cd "$(dirname "$0")/../.." || exit 1
source tests/cli/check.sh
G=tests/golden/metrics
T=$SCRATCH/t
mkdir "$T"

# ---- a manifest with ground truth, and results of it: every third item failed, masks half as wide as the truth ----
works synth --out "$T/set" --count 9 --seed 5 --size 64 --quiet
python3 - "$T" <<'PYTHON'
import json, sys, os
t = sys.argv[1]
os.makedirs(t + "/run")
rows = [json.loads(line) for line in open(t + "/set/manifest.jsonl")]
empty = {"size": [64, 64], "counts": [64 * 64]}
def step(mask, iou, action):
    return {"action": action, "text": "", "predicted_iou": iou, "segmenter_score": 0.5, "mask": mask, "parse": "ok"}
with open(t + "/run/results.jsonl", "w") as out, open(t + "/worse.jsonl", "w") as worse:
    for i, r in enumerate(rows):
        bad = i % 3 == 1
        click = {"positive": True, "row": 0, "col": 0}
        row = {"id": r["id"], "image": r["image"], "text": r["text"], "height": 64, "width": 64,
               "status": "failed" if bad else "ok", "error": "no luck" if bad else None,
               "mask": None if bad else r["gt"], "score": 0.9, "step": 0 if bad else 1,
               "steps": [] if bad else [step(empty, 0.1, None), step(r["gt"], 0.9, click)]}
        out.write(json.dumps(row) + "\n")
        row.update(mask=empty, step=0) if not bad else None
        worse.write(json.dumps(row) + "\n")
PYTHON

works eval --results "$T/run" --input "$T/set/manifest.jsonl" --json --items "$T/items.csv" --csv "$T/figures.csv"
cp "$SCRATCH/out" "$T/json"
check "metrics.json is what --json prints" cmp -s "$SCRATCH/out" "$T/run/metrics.json"
check "the figures" python3 - "$T" <<'PYTHON'
import csv, json, sys
m = json.load(open(sys.argv[1] + "/json"))
assert (m["items"], m["failed"], m["skipped"]) == (6, 3, 0), m
assert m["cIoU"] == m["gIoU"] == {"value": 1.0, "low": 1.0, "high": 1.0}
assert [s["step"] for s in m["per_step"]] == [0, 1] and [s["gIoU"] for s in m["per_step"]] == [0.0, 1.0]
assert m["noc"]["80"] == {"mean": 1.0, "mean_interval": [1.0, 1.0], "failed": 0.0, "failed_interval": [0.0, 0.0]}
assert list(m["noc"]) == ["80", "85", "90", "cap"] and m["noc"]["cap"] == 1
assert abs(m["prm"]["mae"] - 0.1) < 1e-12 and m["prm"]["auc"] is None and m["prm"]["states"] == 6
assert list(m) == ["items", "failed", "skipped", "cIoU", "gIoU", "per_step", "noc", "first_click", "prm"]
rows = list(csv.DictReader(open(sys.argv[1] + "/items.csv", newline="")))
assert len(rows) == 6 and all(r["iou"] == "1.0" and r["step"] == "1" and r["noc_90"] == "1" for r in rows)
rows = list(csv.reader(open(sys.argv[1] + "/figures.csv", newline="")))
assert ["gIoU", "1.0", "1.0", "1.0"] in rows and ["failed", "3", "", ""] in rows
PYTHON
for threads in 1 3; do
    works eval --results "$T/run" --input "$T/set/manifest.jsonl" --json --threads $threads
    check "$threads threads, same bytes" cmp -s "$SCRATCH/out" "$T/json"
done
works eval --results "$T/run/results.jsonl" --input "$T/set/manifest.jsonl"
says '^gIoU +1\.0000  \[1\.0000, 1\.0000\]$'
works eval --results "$T/run" --input "$T/set/manifest.jsonl" --markdown --step 0
says '^\| gIoU \| 0\.0000 \| \[0\.0000, 0\.0000\] \|$'
check "--step leaves metrics.json" cmp -s "$T/json" "$T/run/metrics.json"
works eval --compare "$T/worse.jsonl" "$T/run" --input "$T/set/manifest.jsonl" --json
says '^\{"delta":1\.0,"low":1\.0,"high":1\.0,"p":0\.0[0-9]*,"wins":6,"losses":0,"ties":0,'
works eval --compare "$T/run" "$T/worse.jsonl" --input "$T/set/manifest.jsonl"
says '^gIoU, B minus A +-1\.0000 '

works eval --results "$T/run" --input "$T/set/manifest.jsonl" --json --items -
check "--items - is all there is" cmp -s "$SCRATCH/out" "$T/items.csv"
works eval --results "$T/run" --input "$T/set/manifest.jsonl" --csv -
check "--csv - is all there is" cmp -s "$SCRATCH/out" "$T/figures.csv"
mv "$T/set/images" "$T/set/gone"
works eval --results "$T/run" --input "$T/set/manifest.jsonl" --json
check "the pictures may be gone" cmp -s "$SCRATCH/out" "$T/json"

# ---- rows that bring their truth along ----
works eval --results "$G/a.jsonl" --json
says '^\{"items":40,"failed":1,"skipped":0,"cIoU":\{"value":0\.50629304203277'
"$SEGAGENT_BINARY" eval --results - --json <"$G/a.jsonl" >"$SCRATCH/piped" 2>/dev/null
check "standard input" cmp -s "$SCRATCH/piped" "$SCRATCH/out"

# ---- rows that are none: told, counted, exit 1 ----
head -n 3 "$G/a.jsonl" >"$T/torn.jsonl"
sed -n 4p "$G/a.jsonl" | head -c 200 >>"$T/torn.jsonl"
run eval --results "$T/torn.jsonl" --json
check "a torn row: exit 1" [ $CODE -eq 1 ]
says '^\{"items":3,"failed":0,"skipped":1,'
check "a torn row is named" grep -Eq 'torn.jsonl:4: not valid JSON.*\)$' "$SCRATCH/err"
head -n 2 "$T/run/results.jsonl" | sed 's/"gt"/"none"/' >"$T/mixed.jsonl"
cat "$G/b.jsonl" >>"$T/mixed.jsonl"
run eval --results "$T/mixed.jsonl" --json
check "missing truth: exit 1" [ $CODE -eq 1 ]
check "missing truth is named" grep -Eq 'mixed.jsonl:1: there is no ground truth for .*by --input\)$' "$SCRATCH/err"
sed 's/\[64, 64\]/[32, 128]/g; s/"height": 64, "width": 64/"height": 32, "width": 128/' "$T/run/results.jsonl" >"$T/size.jsonl"
run eval --results "$T/size.jsonl" --input "$T/set/manifest.jsonl"
check "another size: exit 2" [ $CODE -eq 2 ]
check "another size is told" grep -Eq 'size.jsonl:1: .*64 x 64.*32 x 128' "$SCRATCH/err"
check "and that nothing is left" grep -Eq 'none of its rows can be used: 3 failed, 6 are wrong' "$SCRATCH/err"
(for i in $(seq 30); do echo "{$i"; done; cat "$G/a.jsonl") >"$T/many.jsonl"
run eval --results "$T/many.jsonl" --json
says '"skipped":30,'
check "at most ten are told" [ "$(wc -l <"$SCRATCH/err")" -eq 11 ]
: >"$T/empty.jsonl"
refuses 2 'empty.jsonl: is empty' eval --results "$T/empty.jsonl"
echo >"$T/blank.jsonl"
refuses 2 'none of its rows' eval --results "$T/blank.jsonl"
refuses 2 'No such file' eval --results "$T/nowhere"
refuses 2 '' eval --results "$T/run" --input "$T/nowhere.jsonl"
refuses 2 '.-results: missing' eval
refuses 2 'takes two results' eval --compare "$G/a.jsonl"
refuses 2 'takes two results' eval --compare "$G/a.jsonl" "$G/b.jsonl" --results "$G/a.jsonl"
refuses 2 'one argument too many' eval --results "$G/a.jsonl" "$G/b.jsonl"
sed 's/"id": "/&other /' "$G/b.jsonl" >"$T/other.jsonl"
refuses 2 'no id is in both' eval --compare "$G/a.jsonl" "$T/other.jsonl"
refuses 2 'goes with --parity' eval --results "$G/a.jsonl" --click-id 1
refuses 2 'does not go with --compare' eval --compare "$G/a.jsonl" "$G/b.jsonl" --items "$T/i.csv"
for option in "--csv $T/x" "--items $T/x" "--step 1" "--input $T/x" "--images $T" "--instances $T/x" --markdown; do
    # shellcheck disable=SC2086
    refuses 2 "${option%% *}: does not go with --parity" eval --parity segagent --results "$G/parity.json" $option
done
refuses 2 'runner: is longer than 511' eval --parity segagent-live --results "$G/parity.json" \
    --runner "0,1,False,$(printf 'x%.0s' {1..502})"
refuses 2 'csv is "-", too' eval --results "$G/a.jsonl" --csv - --items -
refuses 3 'figures.csv' eval --results "$G/a.jsonl" --csv /nowhere/at/all/figures.csv
works eval --help
says 'Example:'

# ---- SegAgent's evaluators ----
mkdir "$T/parity"
cp "$G/parity.json" "$T/parity/r.json"
works eval --parity segagent --results "$T/parity/r.json"
check "CSV" cmp -s "$T/parity/r_clicknew2None.csv" "$G/parity_best.csv"
check "txt" cmp -s "$T/parity/r_clicknew2None_clickNone.txt" "$G/parity_best.txt"
check "what is printed begins with the txt" cmp -s <(head -n 2 "$SCRATCH/out") "$G/parity_best.txt"
works eval --parity segagent-live --results "$T/parity/r.json" --json
check "the runner's CSV" cmp -s "$T/parity/r_live.csv" "$G/parity_live.csv"
says '^\{"samples":39,"images":[0-9]+,"class_iou":0\.[0-9]+,"global_iou":0\.[0-9]+,"cIoU":'
refuses 2 'sample 0: there is no mask of click 3 among 0' eval --parity segagent --click-id 3 --results "$T/parity/r.json"
check "a refusal leaves no CSV" [ ! -e "$T/parity/r_clicknew23.csv" ]

# ---- export ----
works export --results "$G/a.jsonl" --format segagent --output "$T/segagent.json"
says '^40 items in .*; 1 failed and 0 unusable ones left out$'
check "json.dump's bytes" cmp -s "$T/segagent.json" "$G/segagent.json"
"$SEGAGENT_BINARY" export --results "$G/a.jsonl" --format segagent --output - >"$SCRATCH/piped" 2>/dev/null
check "to standard output" cmp -s "$SCRATCH/piped" "$G/segagent.json"
works export --results "$T/run" --format segagent --output "$T/ours.json" --input "$T/set/manifest.jsonl"
works eval --parity segagent --results "$T/ours.json" --click-id -1
says '^class_iou: 1\.0$'
works export --results "$G/a.jsonl" --format coco --output "$T/coco.json" --json
says '"items":40,"failed":1,"skipped":0\}$'
check "COCO" python3 - "$T/coco.json" "$G/coco.json" <<'PYTHON'
import json, sys
got, want = (json.load(open(p)) for p in sys.argv[1:])
assert all(got[k] == want[k] for k in want)
PYTHON
works export --results "$T/run" --format png --output "$T/masks"
check "a picture an item" [ "$(find "$T/masks" -name '*.png' | wc -l)" -eq 6 ]
cat "$G/a.jsonl" "$G/a.jsonl" >"$T/twice.jsonl"
run export --results "$T/twice.jsonl" --format png --output "$T/twice" --json
check "ids that come again: exit 1" [ $CODE -eq 1 ]
says '"items":40,"failed":2,"skipped":40\}$'
run export --results "$T/torn.jsonl" --format coco --output "$T/partial.json"
check "a torn row: exit 1, the rest is there" [ $CODE -eq 1 -a -s "$T/partial.json" ]
refuses 2 'empty.jsonl: is empty' export --results "$T/empty.jsonl" --format coco --output "$T/no.json"
check "no file of a refused export" [ ! -e "$T/no.json" ]
refuses 2 'format: missing' export --results "$G/a.jsonl" --output "$T/no.json"
refuses 2 'output: missing' export --results "$G/a.jsonl" --format coco
refuses 2 'choose coco' export --results "$G/a.jsonl" --format yolo --output "$T/no.json"
refuses 3 'out.json' export --results "$G/a.jsonl" --format coco --output /nowhere/at/all/out.json

finish
