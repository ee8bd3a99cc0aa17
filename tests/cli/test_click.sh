#!/usr/bin/env bash
# segagent click on good input: every kind of prompt, every output, rows, and results that do not depend on how they
# were computed (threads, batches, company).
cd "$(dirname "$0")/../.." || exit 1
source tests/cli/check.sh

click() { works click --segmenter "$MODEL" --image "$IMAGE" "$@"; }

# ---- what is printed ----
click --point 160,120
says '^tests/golden/demo/image.jpg  320x240: mask of [0-9]+ pixels \([0-9.]+ %\), score '
click --point 160,120 --json
says '^\{"image":"tests/golden/demo/image.jpg","height":240,"width":320,"clicks":\[\{"x":160.0,"y":120.0,"positive":true\}\],"box":null,"best":[0-9],"masks":\[\{"score":[-0-9.e]+,"area":[0-9]+,"rle":\{"size":\[240,320\],"counts":"[^"]+"\}\}\],"seconds":\{"decode":[-0-9.e]+,"encode":[-0-9.e]+,"click":[-0-9.e]+\},"device":"cpu","precision":"(f32|bf16)"\}$'
click --point 160,120 --json --all
check "--all gives three masks" test "$(grep -o '"score"' "$SCRATCH/out" | wc -l)" -eq 3
click --point 160.5,120.25 --negative 10,20 --point 0,0 --box 20.5,30,300,200 --json
says '"clicks":\[\{"x":160.5,"y":120.25,"positive":true\},\{"x":10.0,"y":20.0,"positive":false\},\{"x":0.0,"y":0.0,"positive":true\}\],"box":\[20.5,30.0,300.0,200.0\]'
click --box 0,0,320,240 --json
says '"clicks":\[\],"box":\[0.0,0.0,320.0,240.0\]'
click --point=319.75,239.75 --json --precision f32
says '"precision":"f32"'
"$SEGAGENT_BINARY" click --segmenter "$MODEL" --image - --point 160,120 --json <"$IMAGE" >"$SCRATCH/out" 2>/dev/null
says '"image":"-"'
check "every documented option is in --help" grep -q -- --save-embedding <("$SEGAGENT_BINARY" click --help)

# ---- files ----
is_png() { [ "$(head -c 8 "$1" | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ]; }
is_jpeg() { [ "$(head -c 3 "$1" | od -An -tx1 | tr -d ' \n')" = ffd8ff ]; }
npy_shape() { head -c 128 "$1" | grep -aFq "'shape': ($2)"; }
npy_body() { tail -c +129 "$1"; } # numpy's header and ours fill 128 bytes

click --point 160,120 --out "$SCRATCH/mask.png" --overlay "$SCRATCH/over.jpg" --save-logits "$SCRATCH/best.npy" \
    --save-embedding "$SCRATCH/embedding.npy"
check "with files nothing is printed" test ! -s "$SCRATCH/out"
check "mask" is_png "$SCRATCH/mask.png"
check "overlay" is_jpeg "$SCRATCH/over.jpg"
check "logits [1,s,s]" npy_shape "$SCRATCH/best.npy" "1, 64, 64"
check "embedding [C,g,g]" npy_shape "$SCRATCH/embedding.npy" "64, 16, 16"
click --point 160,120 --all --out "$SCRATCH/all.png" --overlay "$SCRATCH/over.png" --save-logits "$SCRATCH/all.npy"
check "overlay as PNG" is_png "$SCRATCH/over.png"
check "logits [3,s,s]" npy_shape "$SCRATCH/all.npy" "3, 64, 64"
for i in 0 1 2; do check "mask $i" is_png "$SCRATCH/all-$i.png"; done
check "the best mask is the same with --all" cmp -s "$SCRATCH/mask.png" "$SCRATCH/all.png"
click --point 160,120 --json
best=$(grep -o '"best":[0-9]' "$SCRATCH/out" | tail -c 2)
check "the kept mask is number best" cmp -s "$SCRATCH/mask.png" "$SCRATCH/all-$best.png"
npy_body "$SCRATCH/best.npy" >"$SCRATCH/best.raw"
npy_body "$SCRATCH/all.npy" | tail -c +$((best * 64 * 64 * 4 + 1)) | head -c $((64 * 64 * 4)) >"$SCRATCH/kept.raw"
check "the kept logits are number best" cmp -s "$SCRATCH/best.raw" "$SCRATCH/kept.raw"
"$SEGAGENT_BINARY" click --segmenter "$MODEL" --image "$IMAGE" --point 160,120 --out - >"$SCRATCH/stdout.png"
check "--out - is the same mask" cmp -s "$SCRATCH/mask.png" "$SCRATCH/stdout.png"
# A device is written to where it is, though nobody may make files beside it (root may, so this tests others).
click --point 160,120 --save-logits /dev/null
check "no temporary files stay" test -z "$(find "$SCRATCH" -name '*.tmp*' -o -name '.*.??????')"

# ---- a first mask, in all its forms ----
click --point 160,120 --json
grep -o '{"size":\[240,320\],"counts":"[^"]*"}' "$SCRATCH/out" >"$SCRATCH/rle.json"
click --mask "$SCRATCH/best.npy" --point 100,100 --json
without_seconds "$SCRATCH/out" >"$SCRATCH/npy.txt"
click --mask "$SCRATCH/mask.png" --json
without_seconds "$SCRATCH/out" >"$SCRATCH/png.txt"
click --mask "$SCRATCH/rle.json" --json
without_seconds "$SCRATCH/out" >"$SCRATCH/rle.txt"
check "PNG and RLE of one mask do the same" cmp -s "$SCRATCH/png.txt" "$SCRATCH/rle.txt"
check "a mask changes the answer" test "$(cat "$SCRATCH/npy.txt")" != "$(without_seconds "$SCRATCH/out")"
echo '[[10,10,200,10,200,150,10,150]]' >"$SCRATCH/polygon.json"
click --mask "$SCRATCH/polygon.json" --json
check "polygons" grep -q '"area"' "$SCRATCH/out"

# ---- the same bytes however computed ----
click --point 160,120 --negative 300,10 --json --all --threads 1
without_seconds "$SCRATCH/out" >"$SCRATCH/one.txt"
for threads in 2 3; do
    click --point 160,120 --negative 300,10 --json --all --threads $threads
    check "$threads threads, same bytes" test "$(without_seconds "$SCRATCH/out")" = "$(cat "$SCRATCH/one.txt")"
done

# ---- rows ----
mkdir "$SCRATCH/rows"
cp "$IMAGE" "$SCRATCH/rows/a.jpg"
"$SEGAGENT_BINARY" click --segmenter "$MODEL" --image "$IMAGE" --point 50,50 --overlay "$SCRATCH/rows/b.png"
head -c 3000 "$IMAGE" >"$SCRATCH/rows/cut.jpg"
cp "$SCRATCH/mask.png" "$SCRATCH/rows/mask.png"
cp "$SCRATCH/best.npy" "$SCRATCH/rows/best.npy"
cat >"$SCRATCH/rows/clicks.jsonl" <<ROWS
{"image": "a.jpg", "clicks": [{"x": 160, "y": 120, "positive": true}]}
{"image": "b.png", "clicks": [{"x": 10, "y": 12.5}]}

{"image": "a.jpg", "clicks": [{"x": 1000, "y": 1}]}
{"image": "missing.jpg", "clicks": [{"x": 1, "y": 1}]}
{"image": "a.jpg", "clicks": [{"x": 5, "y": 6, "positive": false}], "box": [1, 2, 100, 200], "extra": [1, {"a": 2}]}
{"image": "a.jpg", "clicks": [
{"image": "cut.jpg", "clicks": [{"x": 1, "y": 1}]}
{"image": "a.jpg"}
{"image": "b.png", "clicks": [], "mask": "mask.png", "box": null}
{"image": "a.jpg", "clicks": [{"x": 160, "y": 120}], "mask": "best.npy"}
{"image": "a.jpg", "clicks": [{"x": 160, "y": 120}], "mask": [[10,10,200,10,200,150]]}
{"image": "a.jpg", "mask": $(cat "$SCRATCH/rle.json")}
{"image": "a.jpg", "clicks": [{"x": "3", "y": 1}]}
[1, 2]
{"image": "b.png", "clicks": [{"x": 319, "y": 239}, {"x": 3, "y": 4, "positive": false}]}
ROWS
run click --segmenter "$MODEL" --clicks "$SCRATCH/rows/clicks.jsonl"
check "some rows failed: exit 1" test $CODE -eq 1
check "one line a row" test "$(wc -l <"$SCRATCH/out")" -eq 15
check "seven rows failed" test "$(grep -c '"error":{"file":' "$SCRATCH/out")" -eq 7
check "seven lines on standard error" test "$(grep -c '^segagent: ' "$SCRATCH/err")" -eq 7
check "each with a way out" test "$(grep -c '^segagent: .*)$' "$SCRATCH/err")" -eq 7
check "the input's order" test "$(sed -E 's/^\{"image":("[^"]*"|null).*/\1/' "$SCRATCH/out" | tr -d '"\n' | sed 's/\.jpg\|\.png//g')" = \
    "abamissinganullcutabaaaanullb"
check "an error names the line" grep -q 'clicks.jsonl:4: the click 1000,1 is outside' "$SCRATCH/err"
without_seconds "$SCRATCH/out" >"$SCRATCH/rows.txt"
for batch in 1 2 7 64; do
    run click --segmenter "$MODEL" --clicks "$SCRATCH/rows/clicks.jsonl" --batch $batch --quiet
    check "batch $batch, same bytes" test "$(without_seconds "$SCRATCH/out")" = "$(cat "$SCRATCH/rows.txt")"
done
click --point 160,120 --json
check "a row is what a single run says" test "$(sed -n 1p "$SCRATCH/rows.txt" | grep -o '"best".*')" = \
    "$(without_seconds "$SCRATCH/out" | grep -o '"best".*')"
click --point 160,120 --mask "$SCRATCH/best.npy" --json
check "and with a mask" test "$(sed -n 10p "$SCRATCH/rows.txt" | grep -o '"best".*')" = \
    "$(without_seconds "$SCRATCH/out" | grep -o '"best".*')"
(cd "$SCRATCH/rows" && "$(realpath "$OLDPWD/$SEGAGENT_BINARY" 2>/dev/null || echo "$SEGAGENT_BINARY")" click \
    --segmenter "$OLDPWD/$MODEL" --clicks - --quiet <clicks.jsonl >"$SCRATCH/out" 2>/dev/null)
check "rows on standard input" test "$(without_seconds "$SCRATCH/out" | grep -v error)" = \
    "$(grep -v error "$SCRATCH/rows.txt")"

# ---- stopped from outside ----
for i in $(seq 4000); do
    echo '{"image": "a.jpg", "clicks": [{"x": '$((i % 320))', "y": 100}]}'
done >"$SCRATCH/rows/many.jsonl"
"$SEGAGENT_BINARY" click --segmenter "$MODEL" --clicks "$SCRATCH/rows/many.jsonl" --batch 1 >"$SCRATCH/stopped" 2>/dev/null &
pid=$!
# Its first row says that it runs and has its signal handlers.
for _ in $(seq 600); do
    sleep 0.1
    [ -s "$SCRATCH/stopped" ] && break
done
kill -TERM $pid
wait $pid
check "SIGTERM: exit 130" test $? -eq 130
check "only whole lines are out" test "$(grep -cv '^{.*}$' "$SCRATCH/stopped")" -eq 0

# ---- simulated clicks ----
"$SEGAGENT_BINARY" synth --out "$SCRATCH/scene" --count 1 --seed 4 --level steps --size 128 --quiet
SCENE=$SCRATCH/scene/images/000000.png
python3 -c "import json, sys; print(json.dumps(json.loads(sys.stdin.readline())['gt']))" \
    <"$SCRATCH/scene/manifest.jsonl" >"$SCRATCH/gt.json"
works click --segmenter "$MODEL" --image "$SCENE" --gt "$SCRATCH/gt.json" --simulate 4 --json
cp "$SCRATCH/out" "$SCRATCH/simulated"
says '"ious":\[[0-9.]+,[0-9.]+,[0-9.]+,[0-9.]+\]'
# The clicks that it made, given by hand, make the same mask.
mapfile -t POINTS < <(python3 -c "
import json
for c in json.load(open('$SCRATCH/simulated'))['clicks']:
    print('--point' if c['positive'] else '--negative'); print('%d,%d' % (c['x'], c['y']))")
works click --segmenter "$MODEL" --image "$SCENE" "${POINTS[@]}" --json
check "simulated clicks by hand" python3 -c "
import json
a, b = json.load(open('$SCRATCH/simulated')), json.load(open('$SCRATCH/out'))
assert a['masks'] == b['masks'] and a['clicks'] == b['clicks'] and len(a['clicks']) == 4"
run click --segmenter "$MODEL" --image "$SCENE" --simulate 4
check "--simulate without --gt" [ $CODE -eq 2 ]
run click --segmenter "$MODEL" --image "$SCENE" --gt "$SCRATCH/gt.json" --simulate 4 --point 1,1
check "--simulate with clicks" [ $CODE -eq 2 ]
run click --segmenter "$MODEL" --image "$IMAGE" --gt "$SCRATCH/gt.json" --simulate 4
check "a target of another size" [ $CODE -eq 2 ]
echo '{"size": [128, 128], "counts": [16384]}' >"$SCRATCH/none.json"
run click --segmenter "$MODEL" --image "$SCENE" --gt "$SCRATCH/none.json" --simulate 4
check "an empty target" [ $CODE -eq 2 ]

finish
