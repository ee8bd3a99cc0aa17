"""SAM on one CPU, the engine beside its peers: same weights, threads, image and clicks, interleaved rounds.

  python bench/peers/peers.py --size b --work DIR [--binary build/release/segagent] [--only encode|decode]

Every round runs every implementation once, so that a slow minute of the machine hits all of them. Prints a
Markdown table of the median over the rounds. See bench/peers/README.md for what each line of it includes.
"""

import argparse
import datetime
import json
import platform
import re
import shlex
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from implementations import OPTIONAL, ROOT, all_peers
from make_random_sam import make_random_sam
from sam_common import FULL_SIZES, load_checkpoint, preprocess, scale_coords, set_exact_math

CLICKS = 16
DECODE_REPEATS = 5  # decodes are short: this many per round, each counted


def timed(function):
    start = time.perf_counter()
    result = function()
    return result, 1000 * (time.perf_counter() - start)


class Measurements:
    """ms by (name, implementation, precision), in the order of first arrival."""

    def __init__(self):
        self.ms, self.error = {}, {}

    def add(self, name, implementation, precision, ms):
        self.ms.setdefault((name, implementation, precision), []).append(ms)


class Inputs:
    """The padded pixels of the image and a grid of clicks in the frame of the network."""

    def __init__(self, folder, image_path):
        config = load_checkpoint(folder)[0]
        image = np.asarray(Image.open(image_path).convert("RGB"))
        pixels, size = preprocess(image, config.vision_config.image_size)
        self.pixels = pixels[None].numpy()
        side = int(CLICKS**0.5)
        at = (np.stack(np.meshgrid(range(side), range(side)), -1).reshape(-1, 2) + 0.5) / side
        self.points = scale_coords(at * [image.shape[1], image.shape[0]], size).numpy()
        self.shape = f"{config.vision_config.image_size}x{config.vision_config.image_size}"


def largest_difference(ours, first):
    return float(np.abs(ours - first).max() / np.abs(first).max())


def encode_round(peer, inputs, warm, store, reference):
    """Times one encode. reference["embedding"]: the first peer's embedding, which every decoder then gets."""
    if warm:
        peer.encode(inputs.pixels)
    embedding, ms = timed(lambda: peer.encode(inputs.pixels))
    store.add("encode", peer.name, peer.precision, ms)
    own = peer.as_numpy(embedding)
    first = reference.setdefault("embedding", own)
    store.error["encode", peer.name, peer.precision] = largest_difference(own, first)


def decode_round(peer, inputs, warm, store, reference):
    """Times one click, 16 clicks as a batch, and 16 clicks one after the other, on the shared embedding."""
    if "embedding" not in reference:
        reference["embedding"] = peer.as_numpy(peer.encode(inputs.pixels))
    embedding = reference["embedding"]
    if hasattr(peer, "dtype"):
        embedding = torch.from_numpy(embedding).to(peer.dtype)
    each = [inputs.points[k : k + 1] for k in range(CLICKS)]
    if warm and (peer.decode(embedding, each[0]) is None or peer.decode(embedding, inputs.points) is None):
        return  # has no decoder in this mode
    for one in each[:DECODE_REPEATS]:
        result, ms = timed(lambda one=one: peer.decode(embedding, one))
        if result is None:
            return
        store.add("decode", peer.name, peer.precision, ms)
    result, ms = timed(lambda: peer.decode(embedding, inputs.points))
    store.add("decode16", peer.name, peer.precision, ms)
    logits = peer.as_numpy(result[0])
    first = reference.setdefault("logits", logits)
    store.error["decode16", peer.name, peer.precision] = largest_difference(logits, first)
    ms = timed(lambda: [peer.decode(embedding, one) for one in each])[1]
    store.add("decode16 one by one", peer.name, peer.precision, ms)


def engine_round(args, precision, store):
    """One invocation; its own medians count as one measurement each."""
    command = [
        args.binary,
        "bench",
        "sam",
        "--segmenter",
        str(args.segmenter),
        "--json",
        "--precision",
        precision,
    ]
    command += ["--threads", str(args.threads), "--repeats", str(args.engine_repeats)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{shlex.join(command)}: exit code {done.returncode}")
    for line in done.stdout.splitlines():
        row = json.loads(line)
        wanted = {"encode": "decode", "decode": "encode", "decode16": "encode"}
        if row["name"] in wanted and args.only != wanted[row["name"]]:
            store.add(row["name"], "segagent", row["precision"], row["ms"]["median"])


def run_rounds(args, peers, inputs, store):
    """All rounds. Resident peers are loaded and warmed once, others in every round, one at a time."""
    reference = {}
    for index in range(args.rounds):
        for peer in peers:
            if index == 0 or not args.resident:
                peer.load(args.segmenter)
            warm = index == 0 or not args.resident
            if args.only != "decode":
                encode_round(peer, inputs, warm, store, reference)
            if args.only != "encode":
                decode_round(peer, inputs, warm, store, reference)
            if not args.resident:
                peer.unload()
        for precision in args.precision if args.binary else []:
            engine_round(args, precision, store)
        print(f"round {index + 1}/{args.rounds}", file=sys.stderr)


def cpu_name():
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    name = re.search(r"model name\s*:\s*(.*)", text)
    flags = sorted(set(re.findall(r"\b(?:avx2|avx512f|avx512_bf16|amx_bf16|amx_int8)\b", text)))
    return (name[1].strip() if name else platform.processor()) + (f" ({' '.join(flags)})" if flags else "")


def summary(store):
    """Rows of the table. Ratio: within one name and precision, to segagent, or to the fastest without it."""
    medians = {key: statistics.median(values) for key, values in store.ms.items()}
    rows = []
    for name in dict.fromkeys(key[0] for key in medians):
        for precision in ("f32", "bf16"):
            group = {k: v for k, v in medians.items() if k[0] == name and k[2] == precision}
            for key, median in sorted(group.items(), key=lambda item: item[1]):
                base = group.get((name, "segagent", precision), min(group.values()))
                values = store.ms[key]
                row = dict(name=name, implementation=key[1], precision=precision, repeats=len(values))
                row["ms"] = dict(median=median, min=min(values), max=max(values))
                rows.append({**row, "ratio": median / base, "difference": store.error.get(key)})
    return rows


def print_table(args, rows, inputs):
    import openvino
    import transformers

    versions = (
        f"torch {torch.__version__}, transformers {transformers.__version__}, openvino {openvino.__version__}"
    )
    print(f"{args.segmenter.name}, {inputs.shape}, {args.threads} threads, {args.rounds} interleaved rounds,")
    print(f"{datetime.date.today()}, {cpu_name()}; {versions}\n")
    print("| measurement | implementation | precision | ms, median | min | max | ratio | differs by |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        differ = "" if row["difference"] is None else f"{row['difference']:.1e}"
        cells = [row["name"], row["implementation"], row["precision"]]
        cells += [f"{row['ms'][key]:.1f}" for key in ("median", "min", "max")]
        print("| " + " | ".join([*cells, f"{row['ratio']:.2f}", differ]) + " |")
    print(
        "\nRatio: to segagent in that precision, else to the fastest there. Differs by: embedding or logits,"
    )
    print("as a share of the largest value, from the first implementation run. Command:")
    print("`" + shlex.join(["python", *sys.argv]) + "`")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", choices=sorted(FULL_SIZES), default="b")
    parser.add_argument(
        "--work", type=Path, required=True, help="folder for random weights and converted models"
    )
    parser.add_argument("--segmenter", type=Path, help="a Hugging Face SAM folder instead of random weights")
    parser.add_argument("--image", type=Path, default=ROOT / "tests/golden/demo/image.jpg")
    parser.add_argument("--binary", help="the engine's program; without it the peers are timed alone")
    parser.add_argument("--precision", nargs="+", default=["f32", "bf16"], help="what the engine is run with")
    parser.add_argument("--engine-repeats", type=int, default=3, help="per round")
    parser.add_argument(
        "--peers", nargs="*", choices=list(all_peers(1, "")), help="default: all but openvino-sdpa-*"
    )
    parser.add_argument("--only", choices=["encode", "decode"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--resident", action=argparse.BooleanOptionalAction, help="default: ViT-B only")
    parser.add_argument("--out", type=Path, help="also write the rows as JSON")
    args = parser.parse_args()
    args.segmenter = args.segmenter or args.work / f"sam-{args.size}"
    if args.resident is None:
        args.resident = args.size == "b"
    return args


def main():
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    set_exact_math()
    if not (args.segmenter / "model.safetensors").exists():
        make_random_sam(args.size, args.segmenter)
    constructors = all_peers(args.threads, args.work / "openvino")
    wanted = args.peers if args.peers is not None else [name for name in constructors if name not in OPTIONAL]
    peers = [make() for name, make in constructors.items() if name in wanted]
    inputs, store = Inputs(args.segmenter, args.image), Measurements()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run_rounds(args, peers, inputs, store)
    except KeyboardInterrupt:
        print("stopped: the table holds what was measured so far", file=sys.stderr)
    rows = summary(store)
    print_table(args, rows, inputs)
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
