#!/usr/bin/env bash
# segagent weights: inspect, verify and convert on the golden files, and their refusals.
cd "$(dirname "$0")/../.." || exit 1
source tests/cli/check.sh
G=tests/golden/weights
S=tests/golden/sam

# fields FILTER TEXT: standard output is one JSON object of which Python's expression over d gives this text.
fields() {
    local got
    got=$(python3 -c "import json, sys; d = json.load(sys.stdin); print($1)" <"$SCRATCH/out" 2>&1)
    if [ "$got" = "$2" ]; then pass; else fail "$1 is \"$got\", not \"$2\""; fi
}

# ---- help and usage ----
works weights --help
says 'inspect'
for sub in inspect verify convert; do
    works weights $sub --help
    says "Usage: segagent weights $sub"
    says 'Example:'
done
refuses 2 'subcommand is missing' weights
refuses 2 'did you mean segagent weights inspect' weights inspct x
refuses 2 'unknown subcommand' weights frobnicate
refuses 2 'unknown option' weights inspect "$G/kinds.pth" --frobnicate
refuses 2 '.' weights inspect
refuses 2 '.' weights convert "$G/kinds.pth"
refuses 2 'an argument is empty' weights convert "$S/original/model.pth" ''
refuses 2 'an argument is empty' weights inspect ''
refuses 2 '.' weights convert "$S/original/model.pth" "$SCRATCH/x" --dtype f8

# ---- inspect ----
works weights inspect "$G/kinds.pth"
says '^name +dtype +shape +bytes$'
says '^bf16 +bf16 +\[3, 2, 1\] +12$'
says '^19 tensors, .* pytorch in 1 file$'
works weights inspect "$G/sharded" --json
fields 'list(d)' "['files', 'format', 'tensors', 'parameters']"
fields 'len(d["files"]), d["format"], d["parameters"]' "2 safetensors 12"
fields 'd["tensors"][2]' "{'name': 'b.weight', 'dtype': 'bf16', 'shape': [2, 2], 'bytes': 8}"
works weights inspect "$G/sharded_bin/pytorch_model.bin.index.json" --json
fields 'd["format"], [t["name"] for t in d["tensors"]]' "pytorch ['a.bias', 'a.weight', 'b.weight']"
refuses 2 'TorchScript' weights inspect "$G/script.pt"
refuses 2 'legacy' weights inspect "$G/legacy.pth"
refuses 2 'no model.safetensors' weights inspect "$SCRATCH"
refuses 2 '.' weights inspect "$SCRATCH/nothing"
run weights inspect "$G/legacy.pth" --json
fields 'sorted(d["error"])' "['file', 'hint', 'reason']"
printf '\x90\0\0\0\0\0\0\0%-144s' \
    '{"a\u001b[31m\nb":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}' >"$SCRATCH/escape.safetensors"
works weights inspect "$SCRATCH/escape.safetensors"
says '^a\?\[31m\?b '

# ---- verify ----
for model in window-pad head80 odd original/model.pth; do
    works weights verify "$S/$model"
    says ': ok$'
done
works weights verify tests/golden/demo --json
fields 'd' "{'model': 'sam', 'ok': True, 'missing': [], 'unexpected': [], 'mismatched': [], 'nonfinite': []}"
for model in llama2 llama3 qwen2 mistral linear; do
    works weights verify "tests/golden/llama/$model"
    says ': ok$'
done
works weights verify tests/golden/llama/mistral --json
fields 'd["model"], d["ok"], d["unexpected"]' "mistral True []"
works weights inspect tests/golden/llama/llama3 --json
fields 'len(d["files"]), d["format"], len(d["tensors"])' "2 safetensors 21"
mkdir "$SCRATCH/llama"
cp tests/golden/llama/llama2/model.safetensors "$SCRATCH/llama"
sed 's/"vocab_size": 96/"vocab_size": 97/' tests/golden/llama/llama2/config.json >"$SCRATCH/llama/config.json"
run weights verify "$SCRATCH/llama" --json
fields '[m["name"] for m in d["mismatched"]]' "['model.embed_tokens.weight', 'lm_head.weight']"
fields 'd["mismatched"][0]["expected"], d["mismatched"][0]["found"]' "f32|f16|bf16|f64 [97, 64] bf16 [96, 64]"
echo '{"model_type": "gemma"}' >"$SCRATCH/llama/config.json"
refuses 2 'model_type "gemma" is not supported' weights verify "$SCRATCH/llama"
for model in huggingface full original original/tower; do
    works weights verify "tests/golden/llava/$model"
    says ': ok$'
done
works weights verify tests/golden/llava/original
says 'llava, .* original names'
works weights verify tests/golden/llava/original/tower --json
fields 'd["model"], d["ok"], d["unexpected"]' "clip True []"
works weights inspect tests/golden/llava/huggingface --json
fields '"vision_tower.post_layernorm.weight" in [t["name"] for t in d["tensors"]]' "True"
mkdir "$SCRATCH/llava"
cp tests/golden/llava/huggingface/model.safetensors "$SCRATCH/llava"
sed 's/"image_size": 32/"image_size": 40/' tests/golden/llava/huggingface/config.json >"$SCRATCH/llava/config.json"
run weights verify "$SCRATCH/llava" --json
fields '[m["name"] for m in d["mismatched"]]' "['vision_tower.embeddings.position_embedding.weight']"
refuses 2 'not a SAM' weights verify "$G/kinds.pth"

# A copy of a model whose last bytes, values of one tensor, are not a number; and with one tensor renamed.
mkdir "$SCRATCH/broken"
cp tests/golden/demo/*.json "$SCRATCH/broken"
python3 - "$SCRATCH/broken/model.safetensors" <<'PY'
import json, struct, sys
data = bytearray(open("tests/golden/demo/model.safetensors", "rb").read())
size = struct.unpack("<Q", data[:8])[0]
header = json.loads(data[8:8 + size])
header.pop("__metadata__", None)
last = max(header, key=lambda name: header[name]["data_offsets"][1])
header["surprise"] = header.pop("mask_decoder.iou_token.weight")
text = json.dumps(header).encode()
data[-4:] = b"\xff\xff\xff\xff"
open(sys.argv[1], "wb").write(struct.pack("<Q", len(text)) + text + data[8 + size:])
print(last)
PY
run weights verify "$SCRATCH/broken" --json
check "exit code of a model that does not fit" [ $CODE -eq 2 ]
check "one line of error" [ "$(wc -l <"$SCRATCH/err")" -eq 1 ]
fields 'd["ok"], d["missing"], d["unexpected"]' "False ['mask_decoder.iou_token.weight'] ['surprise']"
fields 'len(d["nonfinite"]), d["nonfinite"][0]["count"] in (1, 2)' "1 True"
run weights verify "$SCRATCH/broken"
says '^missing +mask_decoder.iou_token.weight$'
says '^unexpected +surprise$'
says '^nonfinite .*not a number$'

# ---- convert ----
for dtype in keep f32 bf16 f16; do
    out=$SCRATCH/hf-$dtype
    works weights convert "$S/original/model.pth" "$out" --dtype $dtype
    files=$(ls -A "$out" | tr '\n' ' ')
    check "three files" [ "$files" = "config.json model.safetensors preprocessor_config.json " ]
    works weights verify "$out" --json
    fields 'd["ok"]' "True"
done
check "nothing temporary left" [ -z "$(find "$SCRATCH" -name '*.tmp*')" ]
check "keep keeps" cmp -s "$SCRATCH/hf-keep/model.safetensors" "$SCRATCH/hf-f32/model.safetensors"
works weights inspect "$SCRATCH/hf-bf16" --json
fields 'set(t["dtype"] for t in d["tensors"])' "{'bf16'}"
fields '"shared_image_embedding.positional_embedding" in [t["name"] for t in d["tensors"]]' "True"
again=$SCRATCH/again/and/deeper
works weights convert "$SCRATCH/hf-keep" "$again/"
for file in config.json model.safetensors preprocessor_config.json; do
    check "a converted directory converts to itself: $file" cmp -s "$SCRATCH/hf-keep/$file" "$again/$file"
done
refuses 2 'not empty' weights convert "$S/original/model.pth" "$SCRATCH/hf-keep"
refuses 2 'no directory' weights convert "$S/original/model.pth" "$SCRATCH/escape.safetensors"
refuses 2 'not a SAM' weights convert "$G/kinds.pth" "$SCRATCH/other"
check "a refused conversion leaves nothing" [ ! -e "$SCRATCH/other" ]
mkdir "$SCRATCH/empty"
works weights convert "$S/original/model.pth" "$SCRATCH/empty" --quiet
check "quiet is quiet" [ ! -s "$SCRATCH/err" ]

# The same answer from the checkpoint and from its conversion.
answer() {
    "$SEGAGENT_BINARY" click --segmenter "$1" --image "$IMAGE" --point 40,40 --device cpu --precision f32 --json |
        without_seconds | sed "s#$1##g"
}
before=$(answer "$S/original/model.pth")
after=$(answer "$SCRATCH/hf-keep")
check "click says something" [ -n "$before" ]
check "click says the same before and after" [ "$before" = "$after" ]

# ---- convert: language models ----
# A tokenizer, so that `ask` takes the golden models; it goes along in a conversion.
cat >"$SCRATCH/tokenizer.json" <<'JSON'
{"version":"1.0","added_tokens":[],"normalizer":null,"pre_tokenizer":{"type":"WhitespaceSplit"},"post_processor":null,
"decoder":null,"model":{"type":"WordLevel","vocab":{"a":0,"b":1,"c":2},"unk_token":"a"}}
JSON
echo '[5, 17, 3, 60, 41, 8, 2, 77, 30]' >"$SCRATCH/ids"
echo '[1, -200, 17, 3, 60, 41]' >"$SCRATCH/ids-picture"
# asked DIR ARGS...: what a model answers to the ids, with log-probabilities, in f32.
asked() {
    local model=$1
    shift
    "$SEGAGENT_BINARY" ask --model "$model" --template plain --device cpu --precision f32 --max-tokens 12 --json "$@" |
        without_seconds
}
# same_answers MODEL IDS ARGS...: converted, the model says the same as before.
same_answers() {
    local model=$1 ids=$2 name=$SCRATCH/lm-${1//\//-} before
    shift 2
    cp -r "tests/golden/$model" "$name"
    cp "$SCRATCH/tokenizer.json" "$name"
    works weights convert "$name" "$name-out" "$@"
    works weights verify "$name-out"
    local image=()
    [ "$ids" = ids ] || image=(--image "$IMAGE")
    before=$(asked "$name" --tokens-in "$SCRATCH/$ids" "${image[@]}")
    check "$model says something" [ "$(grep -c '"logprobs":\[-' <<<"$before")" -eq 1 ]
    check "$model says the same before and after" \
        [ "$before" = "$(asked "$name-out" --tokens-in "$SCRATCH/$ids" "${image[@]}")" ]
    check "$model: its tokenizer goes along" cmp -s "$name/tokenizer.json" "$name-out/tokenizer.json"
    check "$model: no PyTorch file is left" [ -z "$(find "$name-out" -name '*.bin*')" ]
}
same_answers llama/mistral ids --shard 0.03
check "shards and their index" [ "$(find "$SCRATCH/lm-llama-mistral-out" -name 'model-0000*-of-0000*.safetensors' | wc -l)" -gt 2 ]
works weights inspect "$SCRATCH/lm-llama-mistral-out/model.safetensors.index.json" --json
fields 'd["format"], len(d["files"]) > 2, len(d["tensors"])' "safetensors True 23" # two tables of old programs among them
check "an untouched configuration" cmp -s tests/golden/llama/mistral/config.json "$SCRATCH/lm-llama-mistral-out/config.json"
same_answers llama/llama3 ids
check "shards become one file" [ "$(cd "$SCRATCH/lm-llama-llama3-out" && echo model*)" = model.safetensors ]
same_answers llama/qwen2 ids --precision f32
works weights inspect "$SCRATCH/lm-llama-qwen2-out" --json
fields 'set(t["dtype"] for t in d["tensors"]), "lm_head.weight" in [t["name"] for t in d["tensors"]]' "{'f32'} False"
check "the configuration says f32" grep -q '"dtype":"float32"' "$SCRATCH/lm-llama-qwen2-out/config.json"
same_answers llava/huggingface ids-picture
same_answers llava/original ids-picture --dtype f32
works weights convert tests/golden/llava/original/tower "$SCRATCH/clip"
works weights verify "$SCRATCH/clip" --json
fields 'd["model"], d["ok"]' "clip True"
works weights inspect "$SCRATCH/clip" --json
works weights convert "$SCRATCH/lm-llama-mistral" "$SCRATCH/bf16" --precision bf16
works weights convert "$SCRATCH/bf16" "$SCRATCH/bf16-again"
check "a conversion converts to itself" cmp -s "$SCRATCH/bf16/model.safetensors" "$SCRATCH/bf16-again/model.safetensors"
refuses 2 'not empty' weights convert "$SCRATCH/lm-llama-mistral" "$SCRATCH/bf16"
refuses 2 'is f16, and --precision is bf16' weights convert "$SCRATCH/bf16" "$SCRATCH/new" --dtype f16 --precision bf16
refuses 2 'do not fit' weights convert "$SCRATCH/broken" "$SCRATCH/new"
mkdir "$SCRATCH/no-tower"
cp tests/golden/llava/original/{config.json,model.safetensors} "$SCRATCH/no-tower"
refuses 2 'no such directory' weights convert "$SCRATCH/no-tower" "$SCRATCH/new"
check "a refusal leaves nothing behind" [ -z "$(find "$SCRATCH" -name 'new*' -o -name '*.tmp')" ]

finish
