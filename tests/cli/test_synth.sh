#!/usr/bin/env bash
# segagent synth: what it writes, that it is the same bytes everywhere, and its refusals.
cd "$(dirname "$0")/../.." || exit 1
source tests/cli/check.sh
T=$SCRATCH/sets

# spurns CODE PATTERN ARGS...: synth refuses, and there is no manifest.
spurns() {
    local want=$1 pattern=$2
    shift 2
    refuses "$want" "$pattern" synth "$@"
    check "a manifest in spite of the refusal: $*" [ ! -e "$T/bad/manifest.jsonl" ]
    rm -rf "$T/bad"
}

hash_of() { (cd "$1" && cat manifest.jsonl images/*.png | sha256sum | cut -d' ' -f1); }

works synth --help
says 'Example:'

# ---- the same bytes on every machine, with any number of threads, in one run or in several ----
works synth --out "$T/all" --count 12 --seed 3 --level steps --size 96 --phrases 2 --masks --threads 1
says "^12 scenes in $T/all$"
check "the bytes of scenes changed: $(hash_of "$T/all")" [ "$(hash_of "$T/all")" = \
    523239b6a998795947dc6547027f348a02c3a6f54565e0381f1299cc63a1d433 ]
works synth --out "$T/threads" --count 12 --seed 3 --level steps --size 96 --phrases 2 --masks --threads 3
check "threads change the bytes" diff -r "$T/all" "$T/threads"
works synth --out "$T/half" --count 5 --first 7 --seed 3 --level steps --size 96 --phrases 2 --masks
check "--first changes scenes" cmp "$T/half/images/000009.png" "$T/all/images/000009.png"
tail -n "$(wc -l <"$T/half/manifest.jsonl")" "$T/all/manifest.jsonl" >"$SCRATCH/tail"
check "--first changes rows" cmp "$SCRATCH/tail" "$T/half/manifest.jsonl"

# ---- what rows hold ----
check "rows" python3 - "$T/all" <<'PYTHON'
import json, os, sys
rows = [json.loads(line) for line in open(sys.argv[1] + "/manifest.jsonl")]
assert len({r["id"] for r in rows}) == len(rows) > 12 and len({r["image"] for r in rows}) == 12
for r in rows:
    assert list(r) == ["id", "image", "text", "gt", "meta"], r
    assert os.path.getsize(os.path.join(sys.argv[1], r["image"])) > 100
    assert r["gt"]["size"] == [96, 96] and isinstance(r["gt"]["counts"], str)
    targets = [o for o in r["meta"]["objects"] if o["target"]]
    assert targets and all("mask" in o and 0 < o["visible"] <= 1 for o in r["meta"]["objects"])
    if len(targets) == 1 and r["meta"]["part"] is None:
        assert targets[0]["mask"] == r["gt"]
PYTHON
works synth --out "$T/one" --count 3 --seed 1 --json --sheet "$T/sheet.png"
says "^\\{\"out\":\"$T/one\",\"scenes\":3\\}$"
check "three rows" [ "$(wc -l <"$T/one/manifest.jsonl")" -eq 3 ]
check "no masks unless asked for" [ "$(grep -c '"mask"' "$T/one/manifest.jsonl")" -eq 0 ]
check "a sheet" [ "$(head -c 8 "$T/sheet.png" | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ]

# ---- coarse masks: one more key, and nothing else changes ----
works synth --out "$T/coarse" --count 12 --seed 3 --level steps --size 96 --phrases 2 --masks --coarse --threads 2
check "coarse rows" python3 - "$T" <<'PYTHON'
import json, sys
plain, coarse = ([json.loads(line) for line in open(f"{sys.argv[1]}/{name}/manifest.jsonl")] for name in ("all", "coarse"))
kinds = {"eroded", "grown", "shifted", "cut", "holed", "spilled", "joined", "other"}
seen = set()
for a, b in zip(plain, coarse, strict=True):
    assert list(b) == ["id", "image", "text", "mask", "gt", "meta"], b
    mask, kind = b.pop("mask"), b["meta"].pop("coarse")
    assert a == b and mask["size"] == [96, 96] and kind in kinds
    seen.add(kind)
assert len(seen) > 4
PYTHON
check "the same pictures" diff -r "$T/all/images" "$T/coarse/images"
works synth --out "$T/coarse-half" --count 5 --first 7 --seed 3 --level steps --size 96 --phrases 2 --masks --coarse
tail -n "$(wc -l <"$T/coarse-half/manifest.jsonl")" "$T/coarse/manifest.jsonl" >"$SCRATCH/tail"
check "--first changes no coarse mask" cmp "$SCRATCH/tail" "$T/coarse-half/manifest.jsonl"

# ---- refusals ----
spurns 2 'out: missing'
spurns 2 'count.*from 1 to' --out "$T/bad" --count 0
spurns 2 'size.*from 32 to 2048' --out "$T/bad" --size 0
spurns 2 'size.*from 32 to 2048' --out "$T/bad" --size 4096
spurns 2 'phrases.*from 1 to' --out "$T/bad" --phrases 9
spurns 2 'choose easy' --out "$T/bad" --level medium
spurns 2 'unknown option.*did you mean --seed' --out "$T/bad" --sed 3
spurns 2 'manifest is there already' --out "$T/one"
check "a refused run leaves the old set" [ "$(wc -l <"$T/one/manifest.jsonl")" -eq 3 ]
spurns 3 'No such file|cannot|Permission' --out /proc/no/such/place --count 1
touch "$T/file"
spurns 2 'a file stands where a directory should be' --out "$T/file" --count 1
spurns 3 'sheet.png: ' --out "$T/bad" --count 1 --sheet /nowhere/at/all/sheet.png
full() (
    ulimit -f 8 # as a full disk: a file ends before the picture does
    spurns "$@"
    echo "$FAILED" >"$SCRATCH/failed"
)
full 3 'bad/images/000000.png: cannot be written.*ulimit' --out "$T/bad" --count 2
check "a full disk is told" [ "$(cat "$SCRATCH/failed")" -eq "$FAILED" ]

finish
