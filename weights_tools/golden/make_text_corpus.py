"""Makes tests/fuzz/corpus of the tokenizers: the smallest files of each kind that still use every part."""

import base64
import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

CORPUS = Path("tests/fuzz/corpus")
SPACE = "\u2581"


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    """One field of a protocol buffer."""
    import struct

    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def sentencepiece(pieces, trainer, normalizer):
    out = b""
    for text, score, kind in pieces:
        out += field(1, field(1, text.encode()) + field(2, score) + field(3, kind))
    return out + field(2, trainer) + field(3, normalizer)


def write(name, file, data):
    path = CORPUS / name / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def tokenizer_files():
    vocabulary = {"[UNK]": 0, "a": 1, "b": 2, "ab": 3, SPACE: 4, SPACE + "a": 5, "<0x41>": 6, "é": 7}
    merges = [("a", "b"), (SPACE, "a")]
    bpe = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, unk_token="[UNK]", fuse_unk=True, byte_fallback=True)
    )
    bpe.normalizer = normalizers.Sequence(
        [normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE), normalizers.Replace(Regex("x+"), "b")]
    )
    steps = [
        decoders.Replace(SPACE, " "),
        decoders.ByteFallback(),
        decoders.Fuse(),
        decoders.Strip(" ", 1, 0),
    ]
    bpe.decoder = decoders.Sequence(steps)
    bpe.post_processor = processors.TemplateProcessing(single="[UNK] $A", special_tokens=[("[UNK]", 0)])
    bpe.add_special_tokens([AddedToken("<s>", lstrip=True, rstrip=True)])
    bpe.add_tokens([AddedToken("aab", single_word=True)])
    write("tokenizer_json", "bpe.json", bpe.to_str())
    letters = Tokenizer(
        models.BPE(vocab={"a": 0, "Ġ": 1, "Ġa": 2, "Ã": 3, "©": 4}, merges=[("Ġ", "a")], ignore_merges=True)
    )
    letters.normalizer = normalizers.NFC()
    letters.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"(?i:'s)|[^\r\n\p{L}]?\p{L}+|\p{N}{1,3}|\s+(?!\S)|\s+"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=True),
        ]
    )
    letters.decoder = decoders.ByteLevel()
    write("tokenizer_json", "letters.json", letters.to_str())
    marks = models.BPE(
        vocab={"a": 0, "##b": 1, "ab": 2, "a</w>": 3, "##b</w>": 4, "ab</w>": 5},
        merges=[("a", "##b")],
        continuing_subword_prefix="##",
        end_of_word_suffix="</w>",
    )
    write("tokenizer_json", "marks.json", Tokenizer(marks).to_str())
    words = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    words.normalizer = normalizers.Sequence(
        [normalizers.NFKD(), normalizers.Lowercase(), normalizers.StripAccents(), normalizers.Strip()]
    )
    words.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Whitespace(),
            pre_tokenizers.Digits(True),
            pre_tokenizers.Punctuation("merged_with_next"),
            pre_tokenizers.CharDelimiterSplit("b"),
        ]
    )
    words.post_processor = processors.BertProcessing(("a", 0), ("[UNK]", 1))
    write("tokenizer_json", "words.json", words.to_str())
    pieces = [("<unk>", 0.0), ("a", -1.0), ("ab", -1.5), (SPACE, -2.0), (SPACE + "a", -2.5)]
    unigram = Tokenizer(models.Unigram(pieces, 0, True))
    unigram.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    unigram.decoder = decoders.Metaspace(prepend_scheme="first")
    write("tokenizer_json", "unigram.json", unigram.to_str())


def other_files():
    lines = [base64.b64encode(bytes([b])) + b" %d" % b for b in range(256)]
    lines += [
        base64.b64encode(p) + b" %d" % (256 + i) for i, p in enumerate([b"ab", b" a", b"aab", b"\xc3\xa9"])
    ]
    write("tiktoken", "qwen.tiktoken", b"\n".join(lines))
    write("tiktoken", "short.tiktoken", b"IQ== 0\nIg== 1\n")
    vocabulary = json.dumps({"a": 0, "b": 1, "Ġ": 2, "ab": 3, "Ġa": 4})
    write("merges", "qwen2", vocabulary + "\0#version: 0.2\na b\nĠ a\n")
    write("merges", "gpt2", vocabulary + " \0a b\r\nĠ a")
    write("merges", "unknown", vocabulary + "\0a c\n")
    usual = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)]
    learnt = [
        (SPACE, -1.0, 1),
        ("a", -2.0, 1),
        ("b", -3.0, 1),
        ("ab", -1.0, 1),
        (SPACE + "a", -0.5, 5),
        ("aab", 0.0, 4),
    ]
    octets = [(f"<0x{b:02X}>", 0.0, 6) for b in range(256)]
    plain = field(3, 1) + field(4, 0) + field(5, 1)
    write("sentencepiece", "unigram.model", sentencepiece(usual + learnt, field(3, 1), plain))
    write("sentencepiece", "bpe.model", sentencepiece(usual + learnt, field(3, 2), field(4, 1) + field(3, 1)))
    llama = field(3, 2) + field(35, 1) + field(44, b"?")
    write("sentencepiece", "llama.model", sentencepiece(usual + octets + learnt, llama, plain))
    write("sentencepiece", "suffix.model", sentencepiece(usual + learnt, field(3, 1) + field(24, 1), plain))
    import io

    import sentencepiece as library

    rules = Path("rules.tsv")
    rules.write_text("0041\t0061\n0065 0301\t00E9\n00A0\t0020\n00AD\t\n")
    model = io.BytesIO()
    library.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b ab aab ba"] * 9),
        model_writer=model,
        vocab_size=9,
        hard_vocab_limit=False,
        normalization_rule_tsv=str(rules),
        minloglevel=2,
    )
    rules.unlink()
    write("sentencepiece", "map.model", model.getvalue())
    token = {"content": "<y>", "special": True, "lstrip": True, "normalized": False}
    config = {
        "added_tokens_decoder": {"7": token},
        "add_bos_token": True,
        "add_eos_token": True,
        "bos_token": "<s>",
    }
    write(
        "tokenizer_config",
        "config",
        b"\0" + json.dumps({**config, "eos_token": {"content": "</s>"}}).encode(),
    )
    named = {"bos_token": "<s>", "pad_token": "a", "additional_special_tokens": ["<x>", "b"]}
    write("tokenizer_config", "named", b"\1" + json.dumps(named).encode())
    write("tokenizer_config", "added", b"\2" + json.dumps({"<z>": 9}).encode())
    write(
        "tokenizer_config",
        "generation",
        b"\3" + json.dumps({"eos_token_id": [4, 2, 99], "pad_token_id": 1}).encode(),
    )


if __name__ == "__main__":
    tokenizer_files()
    other_files()
