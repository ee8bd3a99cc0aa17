"""Makes tests/golden/text: small tokenizers of every kind, and what the libraries make of some texts.

  python weights_tools/golden/make_text.py [--out tests/golden/text] [--qwen FILE] [--llama FILE]

KIND/cases.json holds {"encode": [[text in hex, flags, ids], ...], "decode": [[ids, skip special, text in hex],
...]}. With --qwen (the published qwen.tiktoken) also qwen_vectors: the part of it that the vectors of
MODEL_SPECS 12 need, every rank as it is; with --llama (LLaMA 2's tokenizer.model) the same for its vector.
"""

import argparse
import base64
import json
import random
import shutil
from pathlib import Path

import compare_text
import text_tokenizers as kinds

SIZES = {"unigram": 700, "word_level": 200, "splits": 260, "prefixed": 160}
LARGE = {"sp_nmt"}  # its map alone has 240 kB
FIXED = [
    b"",
    b" ",
    b"  a  b  ",
    b"\xff",
    b"a\xf0\x9f\x91b\xed\xa0\x80\xc0\x80",
    "the red circle left of it. Positive point: (200, 534)\n\n".encode(),
    "<s>a</s> <|im_start|>user<|im_end|><image> <mask> word words <r>  x xyzzy <0x0A>\u2581b".encode(),
    "e\u0301 \ufb01 \u00bd \u00c5ngstr\u00f6m \u6771\u4eac \ud55c\uae00 \u0643 \U0001f44d\U0001f3fd \u3000x".encode(),
    b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1234567\r\n\t\x0b'S 'll it's IT'S",
]

# Text and ids from MODEL_SPECS 12.1 and 12.3; SPECIAL are found in the text.
QWEN_VECTORS = [
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nPicture 1: <img>",
    "</img>\nPlease optimize the semi-transparent green mask in a point-wise manner based on the image and "
    "description content, so that it covers the target object as accurately as possible. The object "
    "description is as follows:<ref>",
    "</ref><|im_end|>\n<|im_start|>assistant\n",
    "person bottom left",
    " Positive point: (200, 534)",
    "Positive point: (200, 534)",
    " Negative point: (7, 1000)",
    "<ref>person bottom left</ref><box>(68,308),(255,986)</box> Positive point: (679, 186)",
    "Current IOU: 0.85, Positive point: (412, 530)",
    "()[]{}<>",
    "123 4567 0.5e-3 -42",
    "don't can't I'll we've",
    "  leading and   multiple spaces ",
    "snake_case camelCase kebab-case dot.case",
    "Hello world",
]


def cases_of(reference, name):
    rng = random.Random(f"golden {name}")
    encode, decode = [], []
    texts = FIXED + [line.encode() for line in kinds.SAMPLES[::4]]
    texts += [compare_text.random_bytes(rng)[:120] for _ in range(12)]
    for text in texts:
        flags = rng.randrange(4) if reference.parses else rng.randrange(2)
        ids = reference.encode(text, flags)
        encode.append([text.hex(), flags, ids])
        kept = [i for i in ids if i not in getattr(reference, "controls", [])][:24]
        for chosen in (kept, compare_text.random_ids(rng, reference.size, None)):
            chosen = [i for i in chosen if i not in getattr(reference, "controls", [])]
            skip = reference.parses and rng.random() < 0.5
            if len(decode) < 24:
                decode.append([chosen, int(skip), reference.decode(chosen, skip).encode().hex()])
    return {"encode": encode, "decode": decode}


def write_cases(directory, cases):
    lines = ",\n".join(f'"{k}": [\n' + ",\n".join(json.dumps(c) for c in v) + "\n]" for k, v in cases.items())
    (directory / "cases.json").write_text("{" + lines + "}\n")


def make_kind(out, name):
    directory = out / name
    reference = kinds.MAKERS[name](directory, SIZES.get(name, 330))
    write_cases(directory, cases_of(reference, name))


def make_qwen_vectors(out, path):
    """Merging looks at parts of the text alone: all ranks that are none of them can go."""
    directory = out / "qwen_vectors"
    directory.mkdir(parents=True, exist_ok=True)
    reference = kinds.of_tiktoken(path)
    texts = [t.encode() for t in QWEN_VECTORS]
    lines = []
    for line in Path(path).read_bytes().splitlines():
        piece = base64.b64decode(line.split()[0])
        last = int(line.split()[1]) == reference.size - 218  # tells where the special ids begin
        if len(piece) == 1 or last or any(piece in t for t in texts):
            lines.append(line + b"\n")
    (directory / "qwen.tiktoken").write_bytes(b"".join(lines))
    encode = [[t.hex(), kinds.PARSE_SPECIAL, reference.encode(t, kinds.PARSE_SPECIAL)] for t in texts]
    write_cases(directory, {"encode": encode, "decode": [[ids, 0, t] for t, _, ids in encode]})


# MODEL_SPECS 12.2: the two parts around the picture. The first has <s> in front.
LLAMA_VECTOR = [
    "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, "
    "detailed, and polite answers to the human's questions. USER: ",
    "\nPlease describe this image in detail. ASSISTANT:",
]


def make_llama_vector(out, path):
    """LLaMA's pieces that are in the text, under their ids, as transformers 4 would write them."""
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
    texts = [kinds.SPACE + t.replace(" ", kinds.SPACE) for t in LLAMA_VECTOR]
    pieces = [(processor.id_to_piece(i), i) for i in range(processor.get_piece_size())]
    vocabulary = {p: i for p, i in pieces if i < 259 or any(p in t for t in texts)}
    merges = [(p[:k], p[k:]) for p in vocabulary for k in range(1, len(p)) if vocabulary[p] >= 259]
    merges = [m for m in merges if m[0] in vocabulary and m[1] in vocabulary]
    merges.sort(key=lambda m: -processor.get_score(vocabulary[m[0] + m[1]]))
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    pattern = {"type": "Replace", "pattern": {"String": " "}, "content": kinds.SPACE}
    start = [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    steps = [
        {"type": "Replace", "pattern": {"String": kinds.SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ]
    root = {
        "added_tokens": [{"id": i, "content": p, **flags} for p, i in pieces[:3]],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [{"type": "Prepend", "prepend": kinds.SPACE}, pattern],
        },
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": start,
            "pair": start + [{"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
        },
        "decoder": {"type": "Sequence", "decoders": steps},
        "model": {
            "type": "BPE",
            "unk_token": "<unk>",
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": vocabulary,
            "merges": [" ".join(m) for m in merges],
        },
    }
    directory = out / "llama_vector"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "tokenizer.json").write_text(json.dumps(root, ensure_ascii=False))
    encode = [[t.encode().hex(), 1 - i, [1][i:] + processor.encode(t)] for i, t in enumerate(LLAMA_VECTOR)]
    decode = [[ids, 1, t] for t, _, ids in encode]
    write_cases(directory, {"encode": encode, "decode": decode})


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("tests/golden/text"))
    parser.add_argument("--qwen", type=Path)
    parser.add_argument("--llama", type=Path)
    parser.add_argument("--only", nargs="*", help="of the kinds; none: only what --qwen and --llama name")
    options = parser.parse_args()
    for name in sorted(set(kinds.MAKERS) - LARGE) if options.only is None else options.only:
        shutil.rmtree(options.out / name, ignore_errors=True)
        make_kind(options.out, name)
    if options.qwen:
        make_qwen_vectors(options.out, options.qwen)
    if options.llama:
        make_llama_vector(options.out, options.llama)


if __name__ == "__main__":
    main()
