#!/usr/bin/env bash
# segagent report: the page is well-formed, needs nothing from elsewhere, shows what it should, and takes nothing that
# stands in a file for its own words; and its refusals.
cd "$(dirname "$0")/../.." || exit 1
source tests/cli/check.sh
T=$SCRATCH/t
mkdir "$T"

# Sets and runs made by hand: two runs over nine scenes, with a tree, hostile words, and a picture that is missing (so
# that the reader sets its item aside, and its truth with it).
works synth --out "$T/set" --count 9 --seed 5 --size 64 --coarse --quiet
python3 - "$T" <<'PYTHON'
import json, os, sys
t = sys.argv[1]
rows = [json.loads(line) for line in open(t + "/set/manifest.jsonl")]
rows[0].update(id="<b id='x'>&\"zero\"</b>", text="<script>alert('1')</script> & \u202e]]> \u0001\u20ac")
rows[1]["image"] = "images/none.png"
with open(t + "/set/manifest.jsonl", "w") as out:
    out.writelines(json.dumps(r) + "\n" for r in rows)
empty = {"size": [64, 64], "counts": [64 * 64]}
def step(mask, iou, number):
    action = {"positive": number != 2, "row": 9 * number, "col": 7} if number else None
    return {"action": action, "text": "<i>%d" % number if number else "", "predicted_iou": iou, "segmenter_score": 0.5,
            "mask": mask, "parse": "ok", "iou": 1.0 if number == 2 else 0.5 if number else 0.0}
for name, last in (("a", 1), ("b", 2)):
    os.makedirs(t + "/" + name)
    with open(t + "/" + name + "/results.jsonl", "w") as out:
        for i, r in enumerate(rows):
            steps = [step(empty, 0.1, 0), step(r["mask"], 0.4 + i / 100, 1), step(r["gt"], 0.9 - i / 50, 2)][: last + 1]
            tree = [dict(node=k, parent=k - 1, **s) for k, s in enumerate(steps)]
            tree.append(dict(tree[1], node=last + 1, parent=0))
            row = {"id": r["id"], "image": r["image"], "text": r["text"], "height": 64, "width": 64, "status": "ok",
                   "error": None, "mask": steps[-1]["mask"], "score": steps[-1]["predicted_iou"], "step": last,
                   "steps": steps, "tree": tree}
            out.write(json.dumps(row) + "\n")
    json.dump({"version": "1", "command": "annotate", "config": {"search": "prm-<greedy>", "score": "expected", "steps": last,
               "candidates": 3, "temperature": 1.0, "policy": "model"}, "agent": {"name": "an & agent", "files": {}},
               "input": {"path": t + "/set/manifest.jsonl"}, "seed": 0, "device": "cpu", "rows": 9,
               "counters": {"items": 9, "clicks": 27}, "times": {"total": 1.5}, "status": "done"}, open(t + "/" + name + "/run.json", "w"))
PYTHON

# page CHECK: the page $T/page.html as an XML tree `page`, its text `words`, its bytes `raw`, a statement about them.
page() {
    check "$1" python3 - "$T/page.html" "$1" <<'PYTHON'
import re, sys
import xml.etree.ElementTree as ET
raw = open(sys.argv[1], encoding="utf-8").read()
assert raw.startswith("<!DOCTYPE html>\n<html lang=\"en\">")
page = ET.fromstring(raw.split("\n", 1)[1])
words = " ".join(page.find("body").itertext())
tags = [e.tag for e in page.iter()]
by_class = lambda name: [e for e in page.iter() if name in e.get("class", "").split()]
sys.exit(not eval(sys.argv[2]))
PYTHON
}

works report --help
says 'Example:'
works report --results "first=$T/a" --results "$T/b" --output "$T/page.html" --title "A <title> & more"
says '^first +0\.[0-9]{3} \[0\.[0-9]{3}, 0\.[0-9]{3}\] +1\.0 of 3\.0'
says '^b +1\.000 \[1\.000, 1\.000\] +2\.0 of 3\.0'
says "^9 items shown in $T/page.html$"
page 'page.find("head/title").text == "A <title> & more"'
page 'len(by_class("item")) == 9 and len(by_class("kept")) >= 9'
page 'tags.count("img") == 9 * 3 + 9 and all(e.get("alt") for e in page.iter("img"))'
page 'all(re.match(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]+$", e.get("src")) for e in page.iter("img"))'
page 'not {"script", "link", "iframe", "object", "embed", "base", "form", "a"} & set(tags)'
page 'not re.search(r"https?:|//[a-z]|url\(|@import|<script", re.sub(r"data:[^\"]*", "", raw))'
page 'not any(k.lower().startswith("on") for e in page.iter() for k in e.keys())'
page '"<script>alert(" in words and "<b id=" in words and "an & agent" in words and "prm-<greedy>" in words'
page '"\u0001" not in raw and "<i>1" in words'
page 'words.count("No such file") == 2 or words.count("No picture:") == 1'
page 'len(by_class("tree")) == 9 and len(by_class("mark")) == 9 * 2 and "4 states, 2 clicks deep" in words'
page '[e.tag for e in page.iter() if e.tag in ("h1", "h2", "h3")][0] == "h1" and tags.count("h1") == 1'
page 'all(e.get("aria-label") or e.get("aria-hidden") for e in page.iter("svg"))'
page '"prefers-color-scheme:dark" in raw and "@media print" in raw'
page 're.search(r"\+0\.[0-9]{3} +0\.[0-9]{3} to 0\.[0-9]{3}; p = 0\.[0-9]{4}; from +first", re.sub(" +", " ", words))'

# ---- the same bytes again; fewer items; other runs' items ----
cp "$T/page.html" "$T/first.html"
works report --results "first=$T/a" --results "$T/b" --output "$T/page.html" --title "A <title> & more" --threads 3
check "the same page" cmp "$T/first.html" "$T/page.html"
works report --results "first=$T/a" --results "$T/b" --output "$T/page.html" --limit 5 --items first --json
says '"shown":5,"runs":\[\{"name":"first","set":"set","clicks_kept":1.0,"clicks_made":3.0,"metrics":\{"items":8,'
page 'len(by_class("item")) == 5 and tags.count("img") == 5 * 2 + 5'
page '"Worst" in words and "Middling" in words and "Best" in words and "Most misjudged" in words'
works report --results "$T/a/results.jsonl" --input "$T/set/manifest.jsonl" --output "$T/page.html" --limit 0
page 'by_class("item") == [] and "no run.json" in words'
works report --results "$T/a" --markdown
says '^\| a \| 0\.[0-9]+ \[0\.[0-9]+, 0\.[0-9]+\] \| 1\.0 of 3\.0 \|$'

# ---- nothing is known of the truth, or the pictures have gone ----
cp -r "$T/a" "$T/moved"
sed -i 's|"path": "[^"]*"|"path": "nowhere/manifest.jsonl"|' "$T/moved/run.json"
works report --results "$T/moved" --output "$T/page.html"
page '"nothing to measure with" in words and "Lowest scores" in words and words.count("No picture:") == 9'
works report --results "$T/moved" --images "$T/set" --output "$T/page.html"
page 'words.count("No picture:") == 1'

# ---- rows that are none are told and left out ----
cp -r "$T/b" "$T/torn"
sed -i '3s/.*/{"id": "torn/; 5s/"parent": 1/"parent": 7/; 6s/"node": 1/"node": 9/' "$T/torn/results.jsonl"
run report --results "$T/torn" --output "$T/page.html"
check "a torn row: exit code 1, not $CODE" [ $CODE -eq 1 ]
page 'len(by_class("item")) == 8 and len(by_class("tree")) == 6'

# ---- a run and two parts of it, which have nothing in common with each other ----
python3 - "$T" <<'PYTHON'
import json, os, shutil, sys
t = sys.argv[1]
lines = open(t + "/b/results.jsonl").readlines()
run = json.load(open(t + "/b/run.json"))
for index, rows in enumerate((lines[:4], lines[4:])):
    part = t + "/part-%d" % index
    os.makedirs(part)
    open(part + "/results.jsonl", "w").writelines(rows)
    # one item more was begun, and is in quarantine: its clicks are not counted
    run.update(shard={"index": index, "count": 2}, counters={"items": len(rows) + 1, "failed": 1, "clicks": 3 * len(rows)})
    json.dump(run, open(part + "/run.json", "w"))
PYTHON
works report --results "all=$T/a" --results "one=$T/part-0" --results "two=$T/part-1" --output "$T/page.html" --limit 0
says '^one +1\.000 \[1\.000, 1\.000\] +2\.0 of 3\.0'
page 're.sub(" +", " ", words).count("; from all") == 2 and "without a result" not in words'
head -n 3 "$T/part-0/results.jsonl" >"$T/rows" && mv "$T/rows" "$T/part-0/results.jsonl"
works report --results "$T/part-0" --output "$T/page.html" --limit 0
page 're.search("3 +set *, 1 without a result", words)'

# ---- an input is read as the run has read it: split, instances and pictures ----
python3 - "$T" <<'PYTHON'
import json, os, shutil, sys
t = sys.argv[1]
golden = "tests/golden/items/"
os.makedirs(t + "/refs")
shutil.copy(golden + "refs.json", t + "/refs/list.json")
refs = json.load(open(golden + "refs.json"))
images = {x["id"]: x for x in json.load(open(golden + "instances.json"))["images"]}
ref = next(r for r in refs if r["split"] == "val")
h, w = (images[ref["image_id"]][k] for k in ("height", "width"))
row = {"id": "%d-%d" % (ref["ref_id"], ref["sentences"][0]["sent_id"]), "image": "x", "text": "t", "height": h, "width": w,
       "status": "ok", "error": None, "mask": {"size": [h, w], "counts": [h * w]}, "score": 0.5, "step": 0, "steps": []}
open(t + "/refs/results.jsonl", "w").write(json.dumps(row) + "\n")
config = {"split": "val", "instances": golden + "instances.json", "images": golden[:-1]}
json.dump({"config": config, "input": {"path": t + "/refs/list.json"}, "status": "done"}, open(t + "/refs/run.json", "w"))
PYTHON
works report --results "$T/refs" --json
says '"clicks_made":null,"metrics":\{"items":1,'

# ---- refusals ----
refuses 2 'results: missing' report --output "$T/no.html"
refuses 2 'output: missing' report --results "$T/a"
refuses 2 'no run is called "c"' report --results "$T/a" --items c --output "$T/no.html"
refuses 2 'is called "x", too' report --results "x=$T/a" --results "x=$T/b" --output "$T/no.html"
refuses 2 'none/results.jsonl|none' report --results "$T/none" --output "$T/no.html"
refuses 3 'No such file|cannot' report --results "$T/a" --output /nowhere/at/all/page.html
check "nothing is left of what was refused" [ ! -e "$T/no.html" ]

finish
