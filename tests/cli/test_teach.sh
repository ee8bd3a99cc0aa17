#!/usr/bin/env bash
# segagent trajectories and star with the shipped agent: what they count, write and merge, that SegAgent's JSON and the
# lessons say the same as the results, and what they refuse.
cd "$(dirname "$0")/../.." || exit 1
source tests/cli/check.sh
T=$SCRATCH/t
AGENT=weights_tools/tiny/agent
ITEMS=6
mkdir "$T"
works synth --out "$T/set" --count $ITEMS --seed 3 --level steps --quiet
for command in trajectories star; do
    works $command --help
    says 'Example:'
done
# teach COMMAND NAME OPTION...
teach() { run "$1" --agent $AGENT --input "$T/set/manifest.jsonl" --output "$T/$2" --steps 4 "${@:3}"; }

# ---- F_sim's trajectories, from every beginning ----
for start in empty box clicks; do
    teach trajectories $start --start $start --segagent "$T/$start.json" --chat "$T/$start-chat" --json
    check "trajectories from $start" [ $CODE -eq 0 ]
    cp "$SCRATCH/out" "$T/$start.out"
    check "lessons from $start" python3 - "$T" $start <<'PYTHON'
import json, os, sys
t, start = sys.argv[1:]
lines = lambda path: [json.loads(line) for line in open(os.path.join(t, path))]
results, lessons, chat = lines(start + "/results.jsonl"), lines(start + "/lessons.jsonl"), lines(start + "-chat/chat.jsonl")
told, theirs = json.load(open(os.path.join(t, start + ".out"))), json.load(open(os.path.join(t, start + ".json")))
want, begins = [], 0
for r in results:
    ious = [s["iou"] for s in r["steps"]]
    assert all(a < b for a, b in zip(ious, ious[1:])), ious  # the guards: each click gains
    assert r["step"] == len(ious) - 1 and len(ious) <= 5
    assert ious[0] == 0 or start != "empty", ious
    begins += ious[0]
    want += [(r["id"], a["mask"], a["iou"], b["action"]) for a, b in zip(r["steps"], r["steps"][1:])]
assert [(x["id"], x["mask"], x["iou"], x["action"]) for x in lessons] == want and want
assert all(x["source"] == "annotator" for x in lessons)
assert told["lessons"] == told["kept"] == len(want) and told["corrected"] == told["dropped"] == 0
assert len(chat) == len(want)
for c, x in zip(chat, lessons):
    assert os.path.getsize(os.path.join(t, start + "-chat", c["image"])) > 100
    ask, say = c["conversations"]
    assert ask == {"from": "human", "value": "<image>\n" + x["text"] + "."}
    sign = "Positive" if x["action"]["positive"] else "Negative"
    place = [int(1000 * (x["action"][k] + 0.5) / 256) for k in ("row", "col")]
    assert say["value"].endswith(f", {sign} point: ({place[0]}, {place[1]})"), say
assert (begins > 0) == (start != "empty")
data = theirs["data"]
assert [d["gt_ann"]["object_id"] for d in data] == [r["id"] for r in results]
assert [len(d["clicks_list"]) for d in data] == [len(r["steps"]) - 1 for r in results]
first = next(d for d in data if d["clicks_list"])["clicks_list"][0]
assert set(first) == {"idx", "coor", "is_positive", "mask", "box", "area", "iou"}
PYTHON
done
# ---- what was written for SegAgent is an input again, PNG pictures and all ----
run annotate --agent $AGENT --input "$T/empty.json" --images "$T/set" --output "$T/back" --steps 1
check "SegAgent's JSON of ours is read back: exit code 0, not $CODE" [ $CODE -eq 0 ]
check "items keep their ids and texts" python3 - "$T" <<'PYTHON'
import json, sys
there, back = ([json.loads(line) for line in open(sys.argv[1] + name)] for name in ("/empty/results.jsonl", "/back/results.jsonl"))
assert [(r["id"], r["image"], r["text"]) for r in there] == [(r["id"], r["image"], r["text"]) for r in back]
assert all("iou" in r["steps"][0] for r in back)
PYTHON
check "other beginnings are other trajectories" [ "$(cat "$T"/{empty,box,clicks}/results.jsonl | sort | uniq -d | wc -l)" -eq 0 ]
teach trajectories little --min-gain 0.3 --json
check "a larger gain asked for gives fewer lessons" \
    [ "$(wc -l <"$T/little/lessons.jsonl")" -lt "$(wc -l <"$T/empty/lessons.jsonl")" ]

# ---- StaR+ and StaR ----
teach star plus --json
check "star" [ $CODE -eq 0 ]
cp "$SCRATCH/out" "$T/plus.out"
check "what rose is kept, what did not is corrected" python3 - "$T" <<'PYTHON'
import json, sys
t = sys.argv[1]
lines = lambda path: [json.loads(line) for line in open(t + "/" + path)]
told, lessons = json.load(open(t + "/plus.out")), lines("plus/lessons.jsonl")
rose, total = [], 0
for r in lines("plus/results.jsonl"):
    for a, b in zip(r["steps"], r["steps"][1:]):
        total += 1
        if b["action"] and b["iou"] > a["iou"]:
            rose.append((r["id"], b["action"]))
kept = [(x["id"], x["action"]) for x in lessons if x["source"] == "kept"]
assert told["kept"] == len(rose) and told["kept"] + told["corrected"] + told["dropped"] == total
assert all(k in rose for k in kept) and {x["source"] for x in lessons} == {"kept", "corrected"}
assert told["lessons"] == len(lessons) == told["kept"] + told["corrected"] - told["repeated"]
PYTHON
teach star plain --rule plain --enough 0.5 --json
check "plain StaR corrects nothing" grep -q '"corrected":0' "$SCRATCH/out"
teach star plain-all --rule plain --enough 1 --json
says '"kept":0,"corrected":0'

# ---- lessons of other runs ----
teach star merged --merge "$T/empty/lessons.jsonl" --merge "$T/empty/lessons.jsonl" --json
check "merged lessons come once" [ "$(sort "$T/merged/lessons.jsonl" | uniq -d | wc -l)" -eq 0 ]
says "\"merged\":[1-9]"
printf '{"id": "x"}\n' >"$T/broken.jsonl"
refuses 2 'broken.jsonl:1' star --agent $AGENT --input "$T/set/manifest.jsonl" --output "$T/never" --steps 4 \
    --quiet --merge "$T/broken.jsonl"
refuses 3 'no/such' trajectories --agent $AGENT --input "$T/set/manifest.jsonl" --output "$T/never" --segagent "$T/no/such.json"
check "what is wrong beside a run is found before it" [ ! -e "$T/never" ]
sed -E 's/"text":"/"text":"not /' "$T/empty/lessons.jsonl" >"$T/foreign.jsonl"
lines=$(wc -l <"$T/plus/lessons.jsonl")
teach star plus --merge "$T/foreign.jsonl" --chat "$T/plus-chat"
says 'lessons are about pictures of another input'
check "a lesson with an id of ours about another text is no picture of ours" \
    [ "$(wc -l <"$T/plus-chat/chat.jsonl")" -eq "$lines" ]

# ---- a part without rows ----
teach star nothing --shard 0/9 --json
check "a part without rows" [ $CODE -eq 0 ]
says '"items":0,.*"lessons":0'

# ---- a results file that was tampered with: clicks outside of the picture ----
cp -r "$T/plus" "$T/wild"
sed -E -i 's/"row":[0-9]+/"row":2000000000/g' "$T/wild/results.jsonl"
teach star wild
check "a results file that was tampered with" [ $CODE -le 2 ]
check "wild clicks are no lessons" [ "$(grep -c 2000000000 "$T/wild/lessons.jsonl")" -eq 0 ]

# ---- the truth has to be known; a picture that goes away ends nothing ----
sed -E 's/,"gt":\{[^}]*\}//' "$T/set/manifest.jsonl" >"$T/set/blind.jsonl"
run trajectories --agent $AGENT --input "$T/set/blind.jsonl" --output "$T/blind" --dry-run
says "$ITEMS items \(manifest\), $ITEMS of them cannot be used"
teach trajectories before --limit 3
cp -r "$T/set" "$T/gone"
rm "$T/gone/images/000002.png"
run annotate --agent $AGENT --input "$T/gone/manifest.jsonl" --output "$T/gone-run" --steps 1
check "a missing picture is exit code 1" [ $CODE -eq 1 ]
check "and stands in quarantine" grep -q '000002.png' "$T/gone-run/quarantine.jsonl"
check "the others are done" [ "$(wc -l <"$T/gone-run/results.jsonl")" -eq $((ITEMS - 1)) ]
finish
