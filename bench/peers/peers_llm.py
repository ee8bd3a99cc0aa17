"""A language model on one CPU, the engine beside its peers: same weights, threads, tokens.

  python bench/peers/peers_llm.py --work DIR [--shape llama-3.2-1b] [--binary build/release/segagent]

Random weights of a real shape. First everyone's logits behind a short prompt are compared, and nobody is
timed unless they agree; then every round runs every implementation once, one model in memory at a time. What
is printed: a Markdown table of medians, the ceilings of the same run, the goals. See bench/peers/README.md.
"""

import argparse
import datetime
import json
import os
import shlex
import signal
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from implementations_llm import OPTIONAL, Model, all_peers, causal_model
from llama_gguf import write_gguf
from make_random_llama import SHAPES, make_random_llama
from peers import Measurements, cpu_name, largest_difference, summary, timed

PROMPT, SHORT = 640, 24
# name: tokens behind which is decoded, sequences
DECODES = {"decode1-short": (128, 1), "decode1": (PROMPT, 1), "decode8": (PROMPT, 8)}
TOKENS = {"prefill": PROMPT} | {name: sequences for name, (_, sequences) in DECODES.items()}


# ---- the same weights for everyone, and what they should give ----


def prepare_model(args):
    """Makes what is not there yet."""
    folder = args.work / args.shape
    if not (folder / "model.safetensors").exists():
        print(f"making random weights in {folder}", file=sys.stderr)
        make_random_llama(folder, args.shape)
    model = Model(folder, args.work / f"{args.shape}.gguf", args.work / "openvino")
    if model.stale(model.gguf):
        print(f"writing {model.gguf}", file=sys.stderr)
        write_gguf(folder, model.gguf)
    return model


def make_ids(model):
    vocabulary = model.config["vocab_size"]
    return torch.randint(0, vocabulary, (PROMPT + 1,), generator=torch.Generator().manual_seed(1)).tolist()


def make_references(model, ids):
    """{measurement: logits [V]} of transformers in f32, all from one forward; kept on disk."""
    rows = {"short": SHORT - 1, "prefill": PROMPT - 1} | {name: at for name, (at, _) in DECODES.items()}
    path = model.folder / "reference.npy"
    if model.stale(path):
        module = causal_model(model.folder, torch.float32)
        with torch.inference_mode():
            keep = torch.tensor(list(rows.values()))
            out = module(input_ids=torch.tensor([ids]), use_cache=False, logits_to_keep=keep)
        np.save(path, out.logits[0].numpy())
    return dict(zip(rows, np.load(path)))


# ---- agreement ----


def engine_logits(args, model, ids, precision):
    """By tests/llama_peer, since the program itself speaks text."""
    command = [str(args.engine_peer), str(model.folder), "logits", "0", precision]
    done = subprocess.run(command, input=" ".join(map(str, ids)), stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{shlex.join(command)}: exit code {done.returncode}")
    return np.array(done.stdout.split(), dtype=np.float32)


def limit(model, precision):
    """Of the largest logit. Every layer rounds to 8 bits a few times, and such errors grow as the root of the
    layers. Seen in bf16: up to 6e-3 with 2 layers and 2.6e-2 with 16; with the rows of q and k in the wrong
    order 4.7e-2 and 1.0.
    """
    return 1e-4 if precision == "f32" else 0.01 * model.layers**0.5


def agrees(model, what, precision, logits, reference):
    """Says by how much; `not (a <= b)`, so that NaN does not pass."""
    off = largest_difference(logits, reference)
    good = bool(off <= limit(model, precision))
    top = "same" if np.all(logits.argmax(-1) == reference.argmax()) else "other"
    print(f"| {what} | {precision} | {off:.1e} | {top} | {'yes' if good else 'NO'} |", flush=True)
    return good


def check_agreement(args, peers, model, ids, references):
    """Everyone's logits behind the short prompt; no clock. OpenVINO's trace takes prompts of one length, the
    long one. Decoding is compared in the rounds ("differs by"), which have the long prompts anyway."""
    print("| implementation | precision | logits differ by, of the largest | best token | agrees |")
    print("|---|---|---|---|---|", flush=True)
    good = True
    for precision in args.precision if args.engine_peer else []:
        logits = engine_logits(args, model, ids[:SHORT], precision)
        good = agrees(model, "segagent", precision, logits, references["short"]) and good
    for peer in peers:
        peer.load(model)
        length, key = (SHORT, "short") if peer.decodes else (PROMPT, "prefill")
        logits = peer.as_numpy(peer.prefill(ids[:length]))
        good = agrees(model, peer.name, peer.precision, logits, references[key]) and good
        peer.unload()
    print()
    if not good:
        sys.exit("the logits do not agree: nothing is timed")


# ---- rounds ----


def repeat(function, count, after=lambda: None):
    """The last result, and the median of `count` runs after one that is not counted."""
    function()
    after()
    times = []
    for index in range(count):
        result, ms = timed(function)
        times.append(ms)
        if index + 1 < count:
            after()
    return result, statistics.median(times)


def peer_round(args, peer, ids, store, references):
    def add(name, result, ms):
        store.add(name, peer.name, peer.precision, ms)
        off = largest_difference(peer.as_numpy(result), references[name])
        store.error[name, peer.name, peer.precision] = off

    add("prefill", *repeat(lambda: peer.prefill(ids[:PROMPT]), args.repeats))
    for name, (at, sequences) in DECODES.items() if peer.decodes else []:
        peer.prepare(ids[:at], sequences)
        add(name, *repeat(lambda: peer.step(ids[at]), args.repeats, peer.rewind))


def engine_round(args, model, precision, store, ceilings):
    """One invocation; its own medians count as one measurement each. Ceilings: those of the same minute."""
    command = [args.binary, "bench", "llm", "--model", str(model.folder), "--json", "--precision", precision]
    command += ["--threads", str(args.threads), "--repeats", str(args.repeats)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{shlex.join(command)}: exit code {done.returncode}")
    for row in map(json.loads, done.stdout.splitlines()):
        if row["name"] in TOKENS:
            store.add(row["name"], "segagent", row["precision"], row["ms"]["median"])
            arithmetic, memory = row["ceiling_tflops"], row["ceiling_gbps"]
            ceilings.setdefault((row["name"], row["precision"]), []).append(
                (arithmetic, memory, row["tflops"] / arithmetic, row["gbps"] / memory)
            )


def run_rounds(args, peers, model, ids, references, store, ceilings):
    for index in range(args.rounds):
        for peer in peers:
            print(f"round {index + 1}/{args.rounds}: {peer.name}, {peer.precision}", file=sys.stderr)
            peer.load(model)
            peer_round(args, peer, ids, store, references)
            peer.unload()
        for precision in args.precision if args.binary else []:
            print(f"round {index + 1}/{args.rounds}: segagent, {precision}", file=sys.stderr)
            engine_round(args, model, precision, store, ceilings)


# ---- what came out ----


def print_table(args, rows, load):
    import llama_cpp
    import openvino
    import transformers

    versions = f"torch {torch.__version__}, transformers {transformers.__version__}, "
    versions += f"openvino {openvino.__version__}, llama-cpp-python {llama_cpp.__version__}"
    print(f"{args.shape}, random weights, {args.threads} threads, {args.rounds} interleaved rounds,")
    print(f"{datetime.date.today()}, {cpu_name()}, load {load:.1f} at the start; {versions}\n")
    print("| what | implementation | precision | tokens/s | ms, median | min | max | ratio | differs by |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        differ = "" if row["difference"] is None else f"{row['difference']:.1e}"
        row["tokens_per_second"] = 1000 * TOKENS[row["name"]] / row["ms"]["median"]
        cells = [row["name"], row["implementation"], row["precision"], f"{row['tokens_per_second']:.1f}"]
        cells += [f"{row['ms'][key]:.2f}" for key in ("median", "min", "max")]
        print("| " + " | ".join([*cells, f"{row['ratio']:.2f}", differ]) + " |")
    print(
        "\nRatio: of the time to segagent's in that precision, else to the fastest there. Differs by: logits,"
    )
    print("as a share of the largest, from transformers in f32.\n")


def print_ceilings(ceilings):
    print("| segagent | precision | ceiling TFLOP/s | share | ceiling GB/s | share |")
    print("|---|---|---|---|---|---|")
    for (name, precision), values in ceilings.items():
        tflops, gbps, arithmetic, memory = (statistics.median(column) for column in zip(*values))
        print(
            f"| {name} | {precision} | {tflops:.3f} | {100 * arithmetic:.0f} % | {gbps:.1f} "
            f"| {100 * memory:.0f} % |"
        )
    print()


class Goals:
    """What is to be reached, in bf16, all from this run; goals whose parts were not measured are left out."""

    def __init__(self, rows, ceilings):
        self.rows, self.ceilings, self.lines = rows, ceilings, []

    def best(self, name, library, precisions=("bf16", "f32")):
        """The least ms of a library's settings, or None."""
        return min(
            (
                row["ms"]["median"]
                for row in self.rows
                if row["name"] == name
                and row["implementation"].startswith(library)
                and row["precision"] in precisions
            ),
            default=None,
        )

    def share(self, name, column):
        values = self.ceilings.get((name, "bf16"))
        return values and statistics.median(value[column] for value in values)

    def add(self, text, reached, goal):
        self.lines.append((text, reached, goal, "yes" if reached >= goal else "no"))

    def beside(self, name, library, goal, precisions=("bf16", "f32")):
        ours, theirs = self.best(name, "segagent", ("bf16",)), self.best(name, library, precisions)
        if ours and theirs:
            self.add(f"{name}: speed, as a multiple of the best of {library}", theirs / ours, goal)

    def collect(self):
        one, eight = (self.best(name, "segagent", ("bf16",)) for name in ("decode1", "decode8"))
        for name in ("decode1-short", "decode1"):
            if self.share(name, 3):
                self.add(f"{name}: of the reading of memory", self.share(name, 3), 0.90)
            self.beside(name, "llama.cpp", 1.05)
        if one and eight:
            # six times one sequence, or this share of the products' ceiling where that is less
            times, share = 8 * one / eight, self.share("decode8", 2)
            self.add("decode8: tokens/s, of decode1's", times, min(6.0, times * 0.70 / share))
        self.beside("decode8", "llama.cpp", 1.05)
        if self.share("prefill", 2):
            self.add("prefill: of the products' ceiling", self.share("prefill", 2), 0.85)
        self.beside("prefill", "llama.cpp", 1.2)
        self.beside("prefill", "OpenVINO", 1.05)
        self.beside("prefill", "transformers", 1.5)
        return self.lines


def print_goals(lines):
    print("| segagent in bf16 | reached | goal | met |")
    print("|---|---|---|---|")
    for text, reached, goal, met in lines:
        print(f"| {text} | {reached:.2f} | {goal:.2f} | {met} |")
    print()


# ---- the command ----


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for weights and converted models")
    parser.add_argument("--shape", choices=list(SHAPES), default="llama-3.2-1b")
    parser.add_argument("--binary", help="the engine's program; without it the peers are timed alone")
    parser.add_argument(
        "--engine-peer", type=Path, help="the tests' llama_peer (default: tests/llama_peer beside --binary)"
    )
    parser.add_argument(
        "--precision", nargs="+", choices=["bf16", "f32"], default=["bf16", "f32"], help="of everyone"
    )
    parser.add_argument(
        "--peers", nargs="*", choices=list(all_peers(1)), help=f"default: all but {', '.join(OPTIONAL)}"
    )
    parser.add_argument("--rounds", type=int, default=3, help="0: only whether the logits agree")
    parser.add_argument(
        "--repeats", type=int, default=5, help="in a round, after one not counted; their median counts"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, help="also write the rows, ceilings and goals as JSON")
    args = parser.parse_args()
    if args.binary and not args.engine_peer:
        args.engine_peer = Path(args.binary).parent / "tests" / "llama_peer"
    if args.engine_peer and not args.engine_peer.exists():
        parser.error(f"{args.engine_peer} is not there; build the target llama_peer, or name it")
    return args


def main():
    args, load = parse_arguments(), os.getloadavg()[0]
    torch.set_num_threads(args.threads)
    torch.set_float32_matmul_precision("highest")
    constructors = all_peers(args.threads)
    wanted = args.peers if args.peers is not None else [name for name in constructors if name not in OPTIONAL]
    peers = [make() for name, make in constructors.items() if name in wanted]
    peers = [peer for peer in peers if peer.precision in args.precision]
    model = prepare_model(args)
    ids = make_ids(model)
    references = make_references(model, ids)
    check_agreement(args, peers, model, ids, references)
    if args.rounds == 0:
        return
    store, ceilings = Measurements(), {}
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run_rounds(args, peers, model, ids, references, store, ceilings)
    except KeyboardInterrupt:
        print("stopped: the tables hold what was measured so far", file=sys.stderr)
    rows = summary(store)
    print_table(args, rows, load)
    goals = Goals(rows, ceilings).collect()
    if args.binary:
        print_ceilings(ceilings)
        print_goals(goals)
    print("Command: `" + shlex.join(["python", *sys.argv]) + "`")
    if args.out:
        kept = {f"{name} {precision}": values for (name, precision), values in ceilings.items()}
        args.out.write_text(json.dumps(dict(rows=rows, ceilings=kept, goals=goals), indent=1) + "\n")


if __name__ == "__main__":
    main()
