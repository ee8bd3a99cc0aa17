"""Small tokenizers of every kind that runtime/text reads, and the libraries' own answers for them.

make_text.py writes golden files with them, compare_text.py compares at random. Each maker fills a directory
and returns a Reference.
"""

import base64
import io
import json
import sys
import unicodedata
from pathlib import Path

import sentencepiece
import tiktoken
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

ADD_SPECIAL, PARSE_SPECIAL = 1, 2
SPACE = "\u2581"

SAMPLES = [
    "The quick brown fox jumps over the lazy dog. It's 12:30, isn't it? We'll see; they've gone, I'm sure.",
    "the red circle left of the blue square; Positive point: (200, 534) Negative point: (7, 1000)",
    "A chat between a curious human and an artificial intelligence assistant. USER: ASSISTANT:",
    "snake_case camelCase kebab-case dot.case 3.14159 0x1F 1e-5 a+b=c [x, y] {z} <tag> #hash @name $5 100%",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. Façade, naïve, café, piñata, Ångström.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю. Широкая электрификация южных губерний.",
    "色は匂へど散りぬるを 我が世誰ぞ常ならむ。東京は日本の首都です。カタカナとひらがな。",
    "天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。你好，世界！请描述这张图片。",
    "다람쥐 헌 쳇바퀴에 타고파. 안녕하세요 세계.",
    "نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر ١٢٣",
    "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण १२३ सर्वनाश",
    "Τάχιστη αλώπηξ βαφής ψημένη γη, δρασκελίζει υπέρ νωθρού κυνός. ሰላም ልዑል",
    "👍🏽 👩‍👩‍👧‍👦 🇩🇪 🎉🎉 ☃ ﷺ ½ ² ① Ⅷ ﬁ Å Å e\u0301 \u200b\u200d\ufeff",
    "def f(x):\n    return x ** 2\n\n\nfor i in range(10):\r\n\tprint(f(i))  # squares   \n",
]
SPECIAL = ["<unk>", "<s>", "</s>"]
GPT2_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
QWEN_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3_WORDS = QWEN_WORDS.replace(r"|\p{N}|", r"|\p{N}{1,3}|")


class Reference:
    """encode(bytes, flags) -> ids and decode(ids, skip_special) -> str, as a library does it."""

    parses = True  # special tokens in the text can be asked for

    def __init__(self, encode, decode, size, parses=True):
        self.encode, self.decode, self.size, self.parses = encode, decode, size, parses


def of_tokenizers(path):
    """tokenizer.json as the library tokenizers reads it."""
    tokenizer = Tokenizer.from_file(str(path))

    def encode(data, flags):
        tokenizer.encode_special_tokens = not flags & PARSE_SPECIAL
        text = data.decode("utf-8", "replace")
        return tokenizer.encode(text, add_special_tokens=bool(flags & ADD_SPECIAL)).ids

    def decode(ids, skip):
        return tokenizer.decode(ids, skip_special_tokens=skip)

    return Reference(encode, decode, tokenizer.get_vocab_size())


def of_transformers(directory):
    """A directory as transformers reads it."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(directory))

    def encode(data, flags):
        text = data.decode("utf-8", "replace")
        parse = bool(flags & PARSE_SPECIAL)
        return tokenizer.encode(
            text, add_special_tokens=bool(flags & ADD_SPECIAL), split_special_tokens=not parse
        )

    def decode(ids, skip):
        return tokenizer.decode(ids, skip_special_tokens=skip, clean_up_tokenization_spaces=False)

    return Reference(encode, decode, len(tokenizer))


def of_sentencepiece(path):
    processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
    bos = [processor.bos_id()] if processor.bos_id() >= 0 else []

    def encode(data, flags):
        return (bos if flags & ADD_SPECIAL else []) + processor.encode(data, out_type=int)

    def decode(ids, skip):
        return processor.decode(ids)

    reference = Reference(encode, decode, processor.get_piece_size(), parses=False)
    reference.controls = [i for i in range(reference.size) if processor.is_control(i)]
    return reference


def of_tiktoken(path):
    lines = Path(path).read_bytes().splitlines()
    ranks = {base64.b64decode(line.split()[0]): int(line.split()[1]) for line in lines if line}
    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + [f"<|extra_{i}|>" for i in range(205)]
    names += "<ref> </ref> <box> </box> <quad> </quad> <img> </img> <imgpad>".split()
    special = {name: len(ranks) + i for i, name in enumerate(names)}
    encoding = tiktoken.Encoding("qwen", pat_str=QWEN_WORDS, mergeable_ranks=ranks, special_tokens=special)
    known = set(special.values())

    def encode(data, flags):
        text = unicodedata.normalize("NFC", data.decode("utf-8", "replace"))
        allowed = "all" if flags & PARSE_SPECIAL else set()
        return encoding.encode(text, allowed_special=allowed, disallowed_special=())

    def decode(ids, skip):
        kept = [i for i in ids if not (skip and i in known)]
        return encoding.decode_bytes(kept).decode("utf-8", "replace")

    return Reference(encode, decode, len(ranks) + len(special))


# ---- makers ----


def train_bpe(tokenizer, size, **options):
    trainer = trainers.BpeTrainer(vocab_size=size, show_progress=False, **options)
    tokenizer.train_from_iterator(SAMPLES, trainer)


def save(tokenizer, directory):
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "tokenizer.json"
    tokenizer.save(str(path), pretty=False)
    return path


def add_odd_tokens(tokenizer):
    """Added tokens with every flag."""
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>", AddedToken("<mask>", lstrip=True)])
    tokenizer.add_special_tokens(
        [AddedToken("<r>", rstrip=True), AddedToken("<both>", lstrip=True, rstrip=True)]
    )
    tokenizer.add_tokens([AddedToken("word", single_word=True), "<image>", "<image>s", "café", "  two"])
    tokenizer.add_tokens([AddedToken("raw", normalized=False), AddedToken("É", normalized=False)])


def gpt2(directory, size):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    train_bpe(tokenizer, size, initial_alphabet=alphabet, special_tokens=["<|endoftext|>"])
    add_odd_tokens(tokenizer)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return of_tokenizers(save(tokenizer, directory))


def gpt2_prefix(directory, size):
    """ByteLevel that puts a blank in front."""
    gpt2(directory, size)
    path = directory / "tokenizer.json"
    root = json.loads(path.read_text())
    root["pre_tokenizer"]["add_prefix_space"] = True
    path.write_text(json.dumps(root))
    return of_tokenizers(path)


def words_tokenizer(words, size, ignore_merges=False):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    train_bpe(tokenizer, size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    return tokenizer


def qwen2(directory, size):
    tokenizer = words_tokenizer(QWEN_WORDS, size)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|image_pad|>"])
    tokenizer.add_tokens([AddedToken("<tool_call>", normalized=False)])
    return of_tokenizers(save(tokenizer, directory))


def qwen2_merges(directory, size):
    """vocab.json, merges.txt and tokenizer_config.json."""
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer = words_tokenizer(QWEN_WORDS, size)
    tokenizer.model.save(str(directory))
    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    first = tokenizer.get_vocab_size()
    flags = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True}
    config = {
        "tokenizer_class": "Qwen2Tokenizer",
        "add_prefix_space": False,
        "added_tokens_decoder": {str(first + i): {"content": n, **flags} for i, n in enumerate(names)},
        "additional_special_tokens": names[1:],
        "bos_token": None,
        "eos_token": names[2],
        "pad_token": names[0],
        "unk_token": None,
        "split_special_tokens": False,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(config, indent=1))
    (directory / "generation_config.json").write_text(json.dumps({"eos_token_id": [first + 2, first]}))
    return of_transformers(directory)


def llama3(directory, size):
    root = json.loads(words_tokenizer(LLAMA3_WORDS, size, ignore_merges=True).to_str())
    vocabulary = root["model"]["vocab"]
    vocabulary["xyzzy"] = len(vocabulary)  # no merges lead to it: only ignore_merges finds it
    tokenizer = Tokenizer.from_str(json.dumps(root))
    tokenizer.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"])
    begin = ("<|begin_of_text|>", tokenizer.token_to_id("<|begin_of_text|>"))
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=True),
            processors.TemplateProcessing(
                single=f"{begin[0]} $A", pair=f"{begin[0]} $A {begin[0]}:1 $B:1", special_tokens=[begin]
            ),
        ]
    )
    return of_tokenizers(save(tokenizer, directory))


def pieces_bpe(size):
    """BPE over characters and U+2581, with 256 byte pieces: the model of LLaMA."""
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always")
    train_bpe(learner, size, limit_alphabet=120)
    learnt = json.loads(learner.to_str())["model"]
    tokens = SPECIAL + [f"<0x{b:02X}>" for b in range(256)]
    tokens += sorted((t for t in learnt["vocab"] if t not in tokens), key=learnt["vocab"].get)
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in learnt["merges"]]
    vocabulary = {t: i for i, t in enumerate(tokens)}
    return models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)


def finish_llama(tokenizer, directory):
    steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(steps + [decoders.Strip(content=" ", left=1)])
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    tokenizer.add_tokens([AddedToken("<image>", special=True), AddedToken("norm", normalized=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)]
    )
    return of_tokenizers(save(tokenizer, directory))


def llama_v4(directory, size):
    """As transformers 4 writes LLaMA 2."""
    tokenizer = Tokenizer(pieces_bpe(size))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    return finish_llama(tokenizer, directory)


def llama_v5(directory, size):
    """As transformers 5 writes it."""
    tokenizer = Tokenizer(pieces_bpe(size))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="first", split=False)
    return finish_llama(tokenizer, directory)


def clip(directory, size):
    """End-of-word marks, lower case, markers around."""
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token="<|endoftext|>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    words = r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|startoftext|>", "<|endoftext|>"]
    train_bpe(tokenizer, size, special_tokens=special, end_of_word_suffix="</w>")
    tokenizer.post_processor = processors.RobertaProcessing(
        (special[1], 1), (special[0], 0), trim_offsets=False, add_prefix_space=False
    )
    return of_tokenizers(save(tokenizer, directory))


def prefixed(directory, size):
    """Marks on pieces inside of a word, unknown characters not fused."""
    tokenizer = Tokenizer(models.BPE(continuing_subword_prefix="##", unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Digits(True), pre_tokenizers.Punctuation()]
    )
    special = ["[UNK]", "[CLS]", "[SEP]"]
    options = {"continuing_subword_prefix": "##", "limit_alphabet": 60}
    train_bpe(tokenizer, size, special_tokens=special, **options)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    return of_tokenizers(save(tokenizer, directory))


def word_level(directory, size):
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents(), normalizers.Strip()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(vocab_size=size, special_tokens=["[UNK]"], show_progress=False)
    tokenizer.train_from_iterator(SAMPLES, trainer)
    return of_tokenizers(save(tokenizer, directory))


def splits(directory, size):
    """Every behaviour of Split."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.CharDelimiterSplit("|"),
            pre_tokenizers.Split(",", "merged_with_previous"),
            pre_tokenizers.Split("(", "merged_with_next"),
            pre_tokenizers.Split(Regex(r"[\s]"), "contiguous"),
            pre_tokenizers.Split(Regex(r"\w+"), "isolated"),
            pre_tokenizers.Digits(False),
        ]
    )
    train_bpe(tokenizer, size, special_tokens=["[UNK]"], limit_alphabet=150)
    return of_tokenizers(save(tokenizer, directory))


def unigram(directory, size):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement=SPACE, prepend_scheme="always")
    trainer = trainers.UnigramTrainer(
        vocab_size=size, special_tokens=["<unk>", "</s>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(SAMPLES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    return of_tokenizers(save(tokenizer, directory))


RULES = "0041\t0061\nFB01\t0066 0069\n0065 0301\t00E9\n00A0\t0020\n0009\t0020\nFF01\t0021\n00AD\t\n3000\t0020\n2460\t0031\n"


def train_sentencepiece(directory, rules=None, **options):
    directory.mkdir(parents=True, exist_ok=True)
    if rules is not None:
        path = directory / "rules.tsv"
        path.write_text(rules)
        options["normalization_rule_tsv"] = str(path)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SAMPLES * 3),
        model_writer=model,
        num_threads=1,
        minloglevel=2,
        hard_vocab_limit=False,
        **options,
    )
    if rules is not None:
        path.unlink()
    path = directory / "tokenizer.model"
    path.write_bytes(model.getvalue())
    return of_sentencepiece(path)


def sp_llama(directory, size):
    """LLaMA's settings: BPE, byte fallback, nothing normalised."""
    return train_sentencepiece(
        directory,
        model_type="bpe",
        vocab_size=size + 256,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        character_coverage=0.98,
    )


def sp_bpe(directory, size):
    return train_sentencepiece(
        directory,
        rules=RULES,
        model_type="bpe",
        vocab_size=size,
        user_defined_symbols=["<image>", "point:", "ab", "abc", "é"],
        control_symbols=["<ctrl>"],
        character_coverage=0.98,
        pad_id=3,
    )


def sp_unigram(directory, size):
    return train_sentencepiece(
        directory,
        rules=RULES,
        model_type="unigram",
        vocab_size=size,
        user_defined_symbols=["<sep>", "(2"],
        character_coverage=0.98,
        bos_id=-1,
    )


def sp_suffix(directory, size):
    return train_sentencepiece(
        directory,
        model_type="unigram",
        vocab_size=size + 256,
        byte_fallback=True,
        treat_whitespace_as_suffix=True,
        normalization_rule_name="nfkc" if size > 1000 else "identity",
        character_coverage=0.98,
    )


def sp_nmt(directory, size):
    """The usual map, which is large: for comparing only."""
    return train_sentencepiece(directory, model_type="unigram", vocab_size=size)


def precompiled(directory, size):
    """The map of a tokenizer.model in a tokenizer.json, as T5 and XLM-R have it."""
    from sentencepiece import sentencepiece_model_pb2

    sp_unigram(directory, size)
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString((directory / "tokenizer.model").read_bytes())
    (directory / "tokenizer.model").unlink()
    tokenizer = Tokenizer(models.Unigram([(p.piece, p.score) for p in proto.pieces], 0, False))
    tokenizer.normalizer = normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="first")
    tokenizer.decoder = decoders.Metaspace(replacement=SPACE, prepend_scheme="first")
    return of_tokenizers(save(tokenizer, directory))


def qwen_tiktoken(directory, size):
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer = words_tokenizer(QWEN_WORDS, size)
    letters = {}
    for token, rank in tokenizer.get_vocab().items():
        letters[rank] = token
    own = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {chr(b): b for b in own}
    table.update({chr(256 + i): b for i, b in enumerate(b for b in range(256) if b not in own)})
    lines = []
    for rank in sorted(letters):
        piece = bytes(table[c] for c in letters[rank])
        lines.append(base64.b64encode(piece) + b" %d\n" % rank)
    path = directory / "qwen.tiktoken"
    path.write_bytes(b"".join(lines))
    return of_tiktoken(path)


def policy(directory, size):
    """The tiny agent's own."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tiny"))
    from policy_model import tokenizer

    directory.mkdir(parents=True, exist_ok=True)
    tokenizer().save_pretrained(str(directory))
    return of_transformers(directory)


MAKERS = {
    f.__name__: f
    for f in (
        gpt2, gpt2_prefix, qwen2, qwen2_merges, llama3, llama_v4, llama_v5, clip, prefixed, word_level, splits,
        unigram, sp_llama, sp_bpe, sp_unigram, sp_suffix, sp_nmt, precompiled, qwen_tiktoken, policy,
    )
}  # fmt: skip
