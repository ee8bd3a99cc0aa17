"""Random strings through runtime/text and through the libraries it is like; prints the differences.

  python weights_tools/golden/compare_text.py --peer BUILD/tests/text_peer --count 100000 [--seed 1]
      [--only NAME...] [--directory DIR] [--every-character]

Makes a tokenizer of each kind (text_tokenizers.py), or takes the one in --directory, and compares encoding
with every set of flags, decoding of random ids with and without special tokens, and streamed decoding with
decoding at once. --every-character: all of Unicode, one string for each character, instead of random ones.
Exits with 1 if anything differs.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

import text_tokenizers as kinds


class Peer:
    """runtime/text as a filter."""

    def __init__(self, program, directory):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([program, str(directory)], stdin=pipe, stdout=pipe, text=True)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n")

    def encode(self, data, flags):
        answer = self.ask(f"E {flags} {data.hex()}")
        return answer if answer.startswith("error") else [int(i) for i in answer.split()]

    def decode(self, ids, skip):
        return bytes.fromhex(self.ask(f"D {int(skip)} " + " ".join(map(str, ids)))).decode()

    def stream(self, ids, skip):
        pieces = self.ask(f"S {int(skip)} " + " ".join(map(str, ids))).split("|")
        return "".join(bytes.fromhex(p).decode() for p in pieces)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# ---- random strings ----

BLOCKS = [
    (0x20, 0x7E), (0x20, 0x7E), (0x20, 0x7E), (0xA0, 0xFF), (0x100, 0x24F), (0x250, 0x2FF), (0x300, 0x36F),
    (0x370, 0x3FF), (0x400, 0x4FF), (0x530, 0x58F), (0x590, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F),
    (0xE00, 0xE7F), (0x1000, 0x109F), (0x1100, 0x11FF), (0x1200, 0x137F), (0x1E00, 0x1EFF), (0x1F00, 0x1FFF),
    (0x2000, 0x206F), (0x2070, 0x209F), (0x2100, 0x218F), (0x2190, 0x21FF), (0x2460, 0x24FF), (0x2580, 0x259F),
    (0x2E80, 0x2FDF), (0x3000, 0x303F), (0x3040, 0x30FF), (0x3130, 0x318F), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3),
    (0xF900, 0xFAFF), (0xFB00, 0xFB4F), (0xFB50, 0xFDFF), (0xFE00, 0xFE0F), (0xFF00, 0xFFEF), (0x10400, 0x1044F),
    (0x1D400, 0x1D7FF), (0x1F1E6, 0x1F1FF), (0x1F300, 0x1F64F), (0x1F900, 0x1F9FF), (0x20000, 0x2A6DF),
]  # fmt: skip
WHITE = " \t\n\r\x0b\x0c\x85\xa0\u1680\u180e\u2003\u2028\u2029\u202f\u205f\u3000\u200b\u200c\u200d\ufeff"
MARKS = (
    "<s> </s> <unk> <image> <|im_start|> <|im_end|> <|endoftext|> <mask> <r> <both> word café raw É <img> "
    "</img> <ref> <|begin_of_text|> <|eot_id|> [UNK] [SEP] <0x41> <0xE2> point: ab abc <sep> norm xyzzy "
    "<|extra_7|> <tool_call> <pad> \u2581 ▁▁ ##a </w>"
).split()


def assigned(code):
    return unicodedata.category(chr(code)) not in ("Cn", "Cs")


def random_text(rng):
    parts = []
    for _ in range(rng.randint(1, 8)):
        kind = rng.random()
        if kind < 0.35:
            line = rng.choice(kinds.SAMPLES)
            begin = rng.randrange(len(line))
            parts.append(line[begin : begin + rng.randint(1, 30)])
        elif kind < 0.65:
            low, high = rng.choice(BLOCKS)
            codes = (rng.randint(low, high) for _ in range(rng.randint(1, 12)))
            parts.append("".join(chr(c) for c in codes if assigned(c)))
        elif kind < 0.75:
            parts.append("".join(rng.choice(WHITE) for _ in range(rng.randint(1, 6))))
        elif kind < 0.85:
            parts.append(rng.choice(["", " "]) + rng.choice(MARKS) + rng.choice(["", " ", "  "]))
        elif kind < 0.93:
            parts.append(rng.choice("aA1 .é中👍\n'\u0301") * rng.choice([2, 3, 5, 17, 40, 200]))
        else:
            parts.append(str(rng.randint(0, 10 ** rng.randint(1, 9))))
    return "".join(parts)


def random_bytes(rng):
    """Without characters that this Python does not know: the libraries' tables are of different years."""
    while True:
        data = any_random_bytes(rng)
        if all(assigned(ord(c)) for c in data.decode("utf-8", "replace")):
            return data


def any_random_bytes(rng):
    data = random_text(rng).encode("utf-8")
    if rng.random() < 0.2:  # broken UTF-8
        data = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            place = rng.randint(0, len(data))
            what = rng.random()
            if what < 0.4:
                data[place:place] = bytes([rng.randint(0x80, 0xFF)])
            elif what < 0.7:
                del data[place : place + rng.randint(1, 2)]
            else:
                data[place:place] = rng.choice(
                    [b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80", b"\xf0\x9f\x91", b"\xe2\x82"]
                )
    return bytes(data)


def random_ids(rng, size, known):
    if known and rng.random() < 0.5:
        ids = list(known)
        for _ in range(rng.randint(0, 3)):
            ids[rng.randrange(len(ids))] = rng.randrange(size)
        return ids
    return [rng.randrange(size) for _ in range(rng.randint(1, 12))]


# ---- comparing ----


class Count:
    def __init__(self, name):
        self.name, self.encoded, self.decoded, self.differences = name, 0, 0, 0

    def differ(self, what, *values):
        self.differences += 1
        if self.differences <= 5:
            print(f"{self.name}: {what}:", *(repr(v) for v in values), sep="\n    ", flush=True)


def compare_text(peer, reference, data, flags, count):
    if not reference.parses:
        flags &= ~kinds.PARSE_SPECIAL
    want = reference.encode(data, flags)
    got = peer.encode(data, flags)
    count.encoded += 1
    if got != want:
        count.differ(f"encode, flags {flags}", data, want, got)
    return want


def compare_ids(peer, reference, ids, skip, count):
    ids = [i for i in ids if i not in getattr(reference, "controls", [])]
    want = reference.decode(ids, skip and reference.parses)
    got = peer.decode(ids, skip and reference.parses)
    count.decoded += 1
    if got != want:
        count.differ(f"decode, skip {skip}", ids, want, got)
    streamed = peer.stream(ids, skip and reference.parses)
    if streamed != got:
        count.differ("stream", ids, got, streamed)


def compare(name, peer, reference, options):
    count = Count(name)
    rng = random.Random(f"{options.seed} {name}")
    if options.every_character:
        for code in range(0x110000):
            if 0xD800 <= code < 0xE000 or (options.assigned and not assigned(code)):
                continue
            data = f"a{chr(code)}1 {chr(code)}{chr(code)}.x".encode("utf-8")
            compare_text(peer, reference, data, 0, count)
        return count
    for _ in range(options.count):
        data = random_bytes(rng)
        ids = compare_text(peer, reference, data, rng.randrange(4), count)
        if rng.random() < options.decode:
            compare_ids(peer, reference, random_ids(rng, reference.size, ids), rng.random() < 0.5, count)
    return count


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", required=True, help="the program text_peer of a build")
    parser.add_argument("--count", type=int, default=1000, help="strings for each tokenizer")
    parser.add_argument("--size", type=int, default=2000, help="pieces of each vocabulary, about")
    parser.add_argument("--decode", type=float, default=0.5, help="share of strings that are decoded, too")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", nargs="+", choices=sorted(kinds.MAKERS), default=sorted(kinds.MAKERS))
    parser.add_argument("--directory", type=Path, help="compare the tokenizer there instead")
    parser.add_argument("--every-character", action="store_true")
    parser.add_argument("--assigned", action="store_true", help="of --every-character, what Python knows")
    options = parser.parse_args()
    total = differences = 0
    with tempfile.TemporaryDirectory() as temporary:
        chosen = (
            {options.directory.name: None}
            if options.directory
            else {n: kinds.MAKERS[n] for n in options.only}
        )
        for name, maker in chosen.items():
            directory = options.directory or Path(temporary) / name
            if maker is not None:
                reference = maker(directory, options.size)
            elif (directory / "tokenizer.json").exists():
                reference = kinds.of_tokenizers(directory / "tokenizer.json")
            elif (directory / "qwen.tiktoken").exists():
                reference = kinds.of_tiktoken(directory / "qwen.tiktoken")
            else:
                reference = kinds.of_sentencepiece(directory / "tokenizer.model")
            peer = Peer(options.peer, directory)
            count = compare(name, peer, reference, options)
            peer.close()
            print(
                f"{name}: {count.encoded} encoded, {count.decoded} decoded, {count.differences} differences"
            )
            total += count.encoded
            differences += count.differences
    print(f"all: {total} strings, {differences} differences")
    sys.exit(differences > 0)


if __name__ == "__main__":
    main()
