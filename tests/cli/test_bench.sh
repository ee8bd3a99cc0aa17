#!/usr/bin/env bash
# segagent bench: the benches of models run through, and tell shares; no time is tested.
cd "$(dirname "$0")/../.." || exit 1
source tests/cli/check.sh

works bench llm --model tests/golden/llama/llama2 --repeats 1 --quiet
says 'prefill .*tokens'
says 'decode1-short .*1 sequences behind 128 tokens'
says 'decode16 .*16 sequences'
works bench vit --model tests/golden/llava/original/tower --repeats 1 --quiet
says 'encode4 .*4 pictures'
says 'paint .*1280x960'
says 'mask-iou .*1280x960'
works bench sam --segmenter "$MODEL" --repeats 1 --quiet
refuses 2 'missing' bench llm
refuses 2 'missing' bench sam
refuses 2 'no such measurement' bench nothing
finish
