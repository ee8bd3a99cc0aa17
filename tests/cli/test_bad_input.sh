#!/usr/bin/env bash
# Refusals: one line on standard error, the right exit code, no file left behind, and with --json an error object.
cd "$(dirname "$0")/../.." || exit 1
source tests/cli/check.sh
mkdir "$SCRATCH/files" "$SCRATCH/target"

# refuses CODE PATTERN ARGS...
refuses() {
    local want=$1 pattern=$2
    shift 2
    run "$@"
    if [ $CODE -ne "$want" ]; then
        fail "exit $CODE, not $want: segagent $*: $(head -c 300 "$SCRATCH/err")"
    elif [ "$(wc -l <"$SCRATCH/err")" -ne 1 ] || ! grep -Eq "^segagent: .*($pattern)" "$SCRATCH/err"; then
        fail "not one line with \"$pattern\": segagent $*: $(head -c 400 "$SCRATCH/err")"
    elif [ -s "$SCRATCH/out" ]; then
        fail "results in spite of the refusal: segagent $*"
    elif [ -n "$(ls -A "$SCRATCH/target")" ]; then
        fail "files in spite of the refusal: segagent $*: $(ls -A "$SCRATCH/target")"
        rm -rf "$SCRATCH/target" && mkdir "$SCRATCH/target"
    else
        pass
    fi
}
T=$SCRATCH/target
F=$SCRATCH/files
out=(--out "$T/m.png" --overlay "$T/o.png" --save-logits "$T/l.npy" --save-embedding "$T/e.npy")
# click CODE PATTERN ARGS...: with the model and the picture, and every output asked for.
click() {
    local want=$1 pattern=$2
    shift 2
    refuses "$want" "$pattern" click --segmenter "$MODEL" --image "$IMAGE" "${out[@]}" "$@"
}
# picture CODE PATTERN FILE
picture() { refuses "$1" "$2" click --segmenter "$MODEL" --image "$3" --point 1,1 "${out[@]}"; }

# ---- the command line ----
refuses 2 'clik: unknown command \(did you mean segagent click\?' clik
refuses 2 'unknown command' frobnicate
refuses 2 'unknown option' --frobnicate
click 2 -- '--pont: unknown option \(did you mean --point\?' --pont 1,1
click 2 '"1" is no position \(give x,y pixels' --point 1
click 2 'is no position' --point 1,2,3
click 2 'is no position' --point nan,1
click 2 'is no position' --negative inf,1
click 2 'is no position' --point 0x10,1
click 2 'is no position' --point '1, 2'
click 2 'is no box' --box 1,2,3
click 2 'its value is missing' --point
click 2 'given twice' --box 1,2,3,4 --box 1,2,3,4
click 2 'from 1 to 1024' --point 1,1 --threads 0
click 2 'from 1 to 1024' --point 1,1 --threads 99999999999999999999
click 2 'choose auto' --point 1,1 --precision f64
click 2 'f16 is not there' --point 1,1 --precision f16
click 2 'is no device' --point 1,1 --device gpu
click 3 'no NVIDIA driver|finds no NVIDIA GPU|CPU-only build' --point 1,1 --device cuda
click 3 'one CUDA device at a time' --point 1,1 --device cuda:0-3
click 2 'null device computes nothing' --point 1,1 --device null
click 2 'one argument too many' --point 1,1 stray.jpg
refuses 2 'segmenter: missing' click --image "$IMAGE" --point 1,1
refuses 2 'no picture is named' click --segmenter "$MODEL" --point 1,1
refuses 2 'not together' click --segmenter "$MODEL" --image "$IMAGE" --clicks "$F/x.jsonl"
refuses 2 'go with --image only' click --segmenter "$MODEL" --clicks "$F/x.jsonl" --point 1,1
refuses 2 'go with --image only' click --segmenter "$MODEL" --clicks "$F/x.jsonl" --out "$T/m.png"
refuses 2 'an argument is missing' bench
refuses 2 'no such measurement' bench frobnicate
refuses 2 'is no shape' bench gemm --shape 1,2
refuses 2 'is no shape' bench gemm --shape 1,2,0

# ---- prompts ----
click 2 'nothing says what to segment'
click 2 'outside the picture of 320x240' --point 320,1
click 2 'outside the picture' --point 1,240
click 2 'outside the picture' --point -0.5,1
click 2 'outside the picture' --point 1,1 --negative 1e30,1
click 2 'outside the picture' --point 319.9999999999,1 # 320 as f32
click 2 'is empty' --box 10,10,10,20
click 2 'is empty' --box 20,10,10,20
click 2 'not inside the picture' --box 10,10,321,20
click 2 'not inside the picture' --box -1,10,30,20

# ---- pictures ----
picture 2 'No such file' "$F/none.jpg"
picture 2 'directory' "$F"
: >"$F/empty.jpg"
picture 2 '' "$F/empty.jpg"
echo 'no picture at all, just text' >"$F/text.jpg"
picture 2 '' "$F/text.jpg"
head -c 4000 "$IMAGE" >"$F/cut.jpg"
picture 2 '' "$F/cut.jpg"
# A PNG that says 30000 x 30000 and is 57 bytes long; the header's checksum is right.
printf '\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x75\x30\0\0\x75\x30\x08\x02\0\0\0\x3c\xa7\x08\x92' >"$F/huge.png"
printf '\0\0\0\0IEND\xae\x42\x60\x82' >>"$F/huge.png"
run click --segmenter "$MODEL" --image "$F/huge.png" --point 1,1
check "a huge picture is refused with 2 or 3" test $CODE -eq 2 -o $CODE -eq 3
click 3 'too large: 320x240 pixels.*--max-pixels' --point 1,1 --max-pixels 1000
click 3 'too large: 320x240 pixels.*--max-side' --point 1,1 --max-side 319
click 2 'whole number from 1 to 1048576' --point 1,1 --max-side 1048577 # more cannot be resized
click 3 'more than 0 MiB.*--max-memory' --point 1,1 --max-memory 1000
click 3 'larger than the 1000 bytes' --point 1,1 --max-file-bytes 1000

# ---- masks ----
mask() { click "$1" "$2" --point 1,1 --mask "$3"; }
"$SEGAGENT_BINARY" click --segmenter "$MODEL" --image "$IMAGE" --point 9,9 --save-logits "$F/best.npy"
"$SEGAGENT_BINARY" click --segmenter "$MODEL" --image "$IMAGE" --point 9,9 --all --save-logits "$F/all.npy"
mask 2 'not the logits of one mask' "$F/all.npy"
head -c 1000 "$F/best.npy" >"$F/cut.npy"
mask 2 "does not match" "$F/cut.npy"
{ head -c 128 "$F/best.npy" && printf '\0\0\xc0\x7f' && tail -c +133 "$F/best.npy"; } >"$F/nan.npy"
mask 2 'NaN' "$F/nan.npy"
mask 2 'No such file' "$F/none.png"
echo '{"size":[240,321],"counts":"0"}' >"$F/size.json"
mask 2 '' "$F/size.json"
echo '{"size":[240,320],"counts":"~~~"}' >"$F/counts.json"
mask 2 '' "$F/counts.json"
echo '{"size":[240,320' >"$F/cut.json"
mask 2 '' "$F/cut.json"
mask 2 '' "$F/text.jpg"

# ---- models ----
model() { refuses "$1" "$2" click --segmenter "$3" --image "$IMAGE" --point 1,1 "${out[@]}"; }
run click --segmenter "$F/none" --image "$IMAGE" --point 1,1
check "no such model: 2 or 3" test $CODE -eq 2 -o $CODE -eq 3
mkdir "$F/empty-model" "$F/cut-model" "$F/odd-model"
run click --segmenter "$F/empty-model" --image "$IMAGE" --point 1,1
check "an empty model folder: 2 or 3" test $CODE -eq 2 -o $CODE -eq 3
cp $MODEL/*.json "$F/cut-model" && head -c 300000 $MODEL/model.safetensors >"$F/cut-model/model.safetensors"
model 2 '' "$F/cut-model"
cp $MODEL/*.json "$F/odd-model" && cp tests/golden/sam/window-pad/model.safetensors "$F/odd-model"
model 2 '' "$F/odd-model"
echo '{"model_type":"bert"}' >"$F/odd-model/config.json"
model 2 '' "$F/odd-model"

# One value that is not a number: a relu could swallow it, so the model is not even opened.
mkdir "$F/nan-model" "$F/odd-sizes"
cp $MODEL/*.json "$F/nan-model"
{ head -c -4 $MODEL/model.safetensors && printf '\xff\xff\xff\xff'; } >"$F/nan-model/model.safetensors"
model 2 'tensor ".+": [12] values are infinite or not a number \(.*segagent weights verify' "$F/nan-model"
# Sizes that bf16 cannot pair up: config.json, the key and the way out. (f32 gets as far as the tensors.)
cp $MODEL/model.safetensors "$F/odd-sizes"
odd() {
    echo "{\"model_type\":\"sam\",\"$1\":{$3}}" >"$F/odd-sizes/config.json"
    refuses 2 "odd-sizes/config.json: bf16 needs an even $1.$2, and it is [0-9]*[13579] \(use --precision f32\)" \
        click --segmenter "$F/odd-sizes" --image "$IMAGE" --point 1,1 --precision bf16 "${out[@]}"
    refuses 2 'tensors do not fit' \
        click --segmenter "$F/odd-sizes" --image "$IMAGE" --point 1,1 --precision f32 "${out[@]}"
}
odd vision_config patch_size '"image_size":1020,"patch_size":15'
odd vision_config 'hidden_size / num_attention_heads' '"hidden_size":60'
odd vision_config mlp_dim '"mlp_dim":127'
odd prompt_encoder_config 'mask_input_channels / 4' '"mask_input_channels":4'
odd mask_decoder_config 'hidden_size / attention_downsample_rate / num_attention_heads' '"num_attention_heads":128'
odd mask_decoder_config mlp_dim '"mlp_dim":33'
odd mask_decoder_config iou_head_hidden_dim '"iou_head_hidden_dim":33'
printf '%070d' 0 | tr 0 '[' >"$F/odd-sizes/config.json"
model 2 'nested deeper than 64 \(correct the file\)' "$F/odd-sizes"

# ---- rows ----
rows() { refuses "$1" "$2" click --segmenter "$MODEL" --clicks "$3"; }
rows 2 'No such file' "$F/none.jsonl"
: >"$F/empty.jsonl"
rows 2 'no rows' "$F/empty.jsonl"
rows 2 'directory' "$F"

# ---- outputs ----
cp "$IMAGE" "$F/same.jpg"
refuses 3 'cannot write' click --segmenter "$MODEL" --image "$IMAGE" --point 1,1 --out "$F/none/m.png"
refuses 2 'name it .png' click --segmenter "$MODEL" --image "$IMAGE" --point 1,1 --out "$T/m.jpg"
refuses 2 'no known picture format' click --segmenter "$MODEL" --image "$IMAGE" --point 1,1 --overlay "$T/m.gif"
refuses 2 'it is a directory' click --segmenter "$MODEL" --image "$IMAGE" --point 1,1 --overlay "$T"
refuses 2 'overwrite the picture' click --segmenter "$MODEL" --image "$F/same.jpg" --point 1,1 --overlay "$F/./same.jpg"
check "the picture is as it was" cmp -s "$IMAGE" "$F/same.jpg"
refuses 2 'overwrite .* another output' click --segmenter "$MODEL" --image "$IMAGE" --point 1,1 --out "$T/m.png" --overlay "$T/m.png"
cp "$IMAGE" "$F/same-1.png"
refuses 2 'would write a mask there' click --segmenter "$MODEL" --image "$F/same-1.png" --point 1,1 --all --out "$F/same.png"
check "the picture named like a candidate is as it was" cmp -s "$IMAGE" "$F/same-1.png"
refuses 2 'two results' click --segmenter "$MODEL" --image "$IMAGE" --point 1,1 --out - --save-logits -
if [ -w /dev/full ]; then
    "$SEGAGENT_BINARY" click --segmenter "$MODEL" --image "$IMAGE" --point 1,1 --json >/dev/full 2>"$SCRATCH/err"
    check "a full disk under standard output: exit 3" test $? -eq 3
    check "and it says so" grep -q '^segagent: standard output: ' "$SCRATCH/err"
    "$SEGAGENT_BINARY" click --segmenter "$MODEL" --image "$IMAGE" --point 1,1 --out - >/dev/full 2>"$SCRATCH/err"
    check "the same for a mask: exit 3" test $? -eq 3
    check "said once" test "$(grep -c "standard output" "$SCRATCH/err")" -eq 1
fi

# A limit on the size of files, in units of 1024 bytes, stands for a disk that is full before the file is whole.
(ulimit -f 1 && "$SEGAGENT_BINARY" click --segmenter "$MODEL" --image "$IMAGE" --point 1,1 --overlay "$T/o.png" \
    >"$SCRATCH/out" 2>"$SCRATCH/err")
check "a disk full under a file: exit 3" test $? -eq 3
check "the file is named" grep -q "^segagent: $T/o.png: cannot write.*)\$" "$SCRATCH/err"
check "and nothing is left" test -z "$(ls -A "$T")"

# ---- environment ----
SEGAGENT_ISA=sse9 run click --segmenter "$MODEL" --image "$IMAGE" --point 1,1
check "a bad SEGAGENT_ISA: exit 2" test $CODE -eq 2
check "it is named" grep -q 'SEGAGENT_ISA' "$SCRATCH/err"

# ---- with --json ----
json() {
    run "$@" --json
    check "one error object: segagent $*" test "$(grep -cE '^\{"error":\{"file":"[^"]*","reason":"[^"]+","hint":"[^"]*"\}\}$' "$SCRATCH/out")" -eq 1
    check "and the line: segagent $*" test "$(grep -c '^segagent: ' "$SCRATCH/err")" -eq 1
}
json click --segmenter "$MODEL" --image "$F/none.jpg" --point 1,1
json click --segmenter "$MODEL" --image "$IMAGE" --point 1000,1
json click --frobnicate
json click --segmenter "$MODEL" --image "$IMAGE" --point 1,1 --out -
json frobnicate
check "a name with a newline stays one line" test "$("$SEGAGENT_BINARY" click --segmenter "$MODEL" --point 1,1 \
    --image "$F/a"$'\n'"b.jpg" 2>&1 | wc -l)" -eq 1

finish
