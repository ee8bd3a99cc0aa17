"""The whole agent on one CPU: the engine beside the loop of the release (serial_agent.py), the same items.

  python bench/peers/peers_agent.py --input scenes/manifest.jsonl --work DIR --binary build/release/segagent

Every round runs each of them once, in turns: the peer, and the engine with many items at a time and with one.
Prints a Markdown table of the median steps a second, how many steps have the peer's click, and for every item
that has not, where it first left the peer's way and how sure the peer was there. See bench/peers/README.md.
"""

import argparse
import datetime
import json
import os
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from implementations import ROOT
from peers import cpu_name
from serial_agent import read_mask

# What two implementations may leave open in f32 (bench/peers/README.md, "Near ties"):
NEAR = 2e-6  # between two tokens, of the largest logit
FEW = 1e-4  # pixels whose logits are at the threshold, of all
CLOSE = 1e-5  # between the scores of two of the segmenter's masks


@dataclass
class Runs:
    """Of one implementation: the records of its rounds, and the rows of the last one."""

    name: str
    command: list
    out: Path
    records: list = field(default_factory=list)
    rows: dict = field(default_factory=dict)

    def run(self):
        shutil.rmtree(self.out, ignore_errors=True)
        done = subprocess.run(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            sys.exit(f"{shlex.join(self.command)}: exit code {done.returncode}\n{done.stderr}")
        self.records.append(json.loads((self.out / "run.json").read_text()))
        lines = (self.out / "results.jsonl").read_text(encoding="utf-8").splitlines()
        self.rows = {row["id"]: row for row in map(json.loads, lines)}

    def rates(self, what="clicks"):
        """By run.json's times.total, which knows nothing of the loading of models."""
        return [r["counters"][what] / r["times"]["total"] for r in self.records]


def peer_runs(args, threads):
    out = args.work / f"peer-{threads}"
    command = [sys.executable, str(Path(__file__).parent / "serial_agent.py"), "--out", str(out)]
    command += ["--agent", str(args.agent), "--input", str(args.input), "--search", args.search]
    command += ["--steps", str(args.steps), "--limit", str(args.limit), "--threads", str(threads)]
    command += ["--as-released"] if args.as_released else []
    return Runs(f"transformers, one by one, {threads} thread" + "s" * (threads > 1), command, out)


def engine_runs(args, precision, batch, workers):
    """Workers share the threads, which the engine sees to, and the batch."""
    each = max(1, batch // workers)
    out = args.work / f"segagent-{precision}-{batch}-{workers}"
    command = [args.binary, "annotate", "--agent", str(args.agent), "--input", str(args.input)]
    command += ["--output", str(out), "--search", args.search, "--steps", str(args.steps)]
    command += ["--limit", str(args.limit), "--batch", str(each), "--precision", precision]
    command += ["--threads", str(args.threads), "--device", "cpu", "--quiet"]
    command += ["--workers", str(workers)] if workers > 1 else []
    name = f"segagent {precision}, batch {batch}"
    return Runs(name + (f" of {workers} workers" if workers > 1 else ""), command, out)


# ---- agreement ----


@dataclass
class Comparison:
    """Of an engine's rows with the peer's."""

    steps: int = 0  # the peer's or the engine's, whichever has more
    same: int = 0  # with the same click
    items: int = 0
    same_items: int = 0  # with the same words and clicks in all steps, and the same one kept
    pixels: int = 0  # most that differ between masks of the same clicks
    predicted: float = 0.0  # largest difference of a predicted IoU of those
    left: list = field(default_factory=list)  # Departure of every other item


@dataclass
class Departure:
    """Where an item's words first differ, or the click that was read from them."""

    item: str
    step: int
    ours: str
    theirs: str
    same_click: bool
    pixels: int  # by which the masks differed that were looked at, and
    scores: float  # the least lead of a best mask's score over the next one's, on the way there
    token: str  # what the peer nearly said at the first token that differs,
    margin: float  # how far below its own that was, and
    largest: float  # the largest logit
    predicted: float  # by how much the predicted IoUs of what was looked at differ

    def kind(self, size):
        if self.ours == self.theirs:
            return "FAULT: read otherwise"
        if self.pixels == 0:
            return "near tie of the policy" if self.margin <= NEAR * self.largest else "FAULT?"
        if self.pixels <= FEW * size:
            return "a few pixels at the threshold before it"
        return "near tie of two masks before it" if self.scores <= CLOSE else "FAULT?"


def differing_pixels(a, b):
    return 0 if a["mask"] == b["mask"] else int(np.count_nonzero(read_mask(a["mask"]) ^ read_mask(b["mask"])))


def predicted_difference(a, b):
    """0 where the peer, as released, leaves the last mask unjudged."""
    known = a["predicted_iou"] is not None and b["predicted_iou"] is not None
    return abs(a["predicted_iou"] - b["predicted_iou"]) if known else 0.0


def departure(ours, theirs, step):
    """The peer's first token that ends behind the last letter both have."""
    mine, other = ours["steps"][step], theirs["steps"][step]
    sure, same = other["sureness"], len(os.path.commonprefix([mine["text"], other["text"]]))
    at = next((i for i, end in enumerate(sure["ends"]) if end > same), len(sure["ends"]) - 1)
    leads = [s["scores"][0] - s["scores"][1] for s in theirs["steps"][1:step]]
    return Departure(
        theirs["id"],
        step,
        mine["text"],
        other["text"],
        mine["action"] == other["action"],
        differing_pixels(ours["steps"][step - 1], theirs["steps"][step - 1]),
        min(leads, default=1.0),
        sure["second"][at],
        sure["margins"][at],
        sure["largest_logit"],
        predicted_difference(ours["steps"][step - 1], theirs["steps"][step - 1]),
    )


def is_same(a, b):
    return a["text"] == b["text"] and a["action"] == b["action"]


def compare_item(ours, theirs, result):
    pairs = list(zip(ours["steps"], theirs["steps"]))
    result.items += 1
    result.steps += max(len(ours["steps"]), len(theirs["steps"])) - 1
    result.same += sum(a["action"] == b["action"] and a["action"] is not None for a, b in pairs[1:])
    first = next((i for i, pair in enumerate(pairs) if not is_same(*pair)), None)
    for a, b in pairs[:first]:
        result.pixels = max(result.pixels, differing_pixels(a, b))
        result.predicted = max(result.predicted, predicted_difference(a, b))
    if first is not None:
        result.left.append(departure(ours, theirs, first))
    elif len(ours["steps"]) == len(theirs["steps"]) and ours["step"] == theirs["step"]:
        result.same_items += 1


def compare(ours, theirs):
    if ours.keys() != theirs.keys():
        sys.exit("the engine and the peer have rows of different items")
    result = Comparison()
    for name, row in theirs.items():
        compare_item(ours[name], row, result)
    return result


# ---- what came out ----


def print_head(args, load):
    import transformers

    first = json.loads(args.input.read_text(encoding="utf-8").split("\n", 1)[0])
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    print(f"{args.agent.name}, items from {first['id']} on, {args.search}, {args.threads} threads,")
    print(f"{args.rounds} rounds in turns; {datetime.date.today()}, {cpu_name()},")
    print(f"load {load:.1f} at the start; {versions}\n")


def print_table(runs, comparisons):
    print("| implementation | steps/s, median | min | max | answers/s | times the peer | the peer's clicks |")
    print("|---|---|---|---|---|---|---|")
    base = max(statistics.median(each.rates()) for each in runs if each.name not in comparisons)
    for each in runs:
        rates, answers = each.rates(), statistics.median(each.rates("thoughts"))
        cells = [each.name] + [
            f"{v:.2f}" for v in (statistics.median(rates), min(rates), max(rates), answers)
        ]
        c = comparisons.get(each.name)
        share = f"{c.same} of {c.steps}: {100 * c.same / c.steps:.2f} %" if c and c.steps else ""
        print("| " + " | ".join([*cells, f"{statistics.median(rates) / base:.2f}", share]) + " |")
    print(
        "\nSteps: answers that led to clicks. Times the peer: at its best number of threads. Where the"
        " time of the last runs went, in s:\n"
    )


def print_times(runs):
    parts = ["total", "decode", "paint", "think", "encode", "click"]
    print("| implementation | " + " | ".join(parts) + " |\n" + "|---" * (1 + len(parts)) + "|")
    for each in runs:
        times = each.records[-1]["times"]
        cells = [f"{times[part]:.2f}" if part in times else "" for part in parts]
        print("| " + " | ".join([each.name, *cells]) + " |")


def print_comparison(name, comparison, sizes):
    print(
        f"\n{name}: {comparison.same_items} of {comparison.items} items have the peer's words and clicks"
        " in every step and keep the same one. Up to the first difference masks differ by"
        f" {comparison.pixels} pixels at most, predicted IoUs by {comparison.predicted:.1e}."
    )
    if not comparison.left or " bf16" in name:
        return  # bf16 goes other ways, which are no faults of f32
    print("\n| item | step | segagent says | the peer says | click | looked at | IoU differs by ", end="")
    print("| peer's second | margin | kind |\n" + "|---" * 10 + "|")
    for d in comparison.left:
        cells = [d.item, d.step, d.ours, d.theirs, "same" if d.same_click else "other"]
        cells += ["same mask" if d.pixels == 0 else f"{d.pixels} other pixels", f"{d.predicted:.1e}"]
        cells += [f"`{d.token}`", f"{d.margin:.1e}", d.kind(sizes[d.item])]
        print("| " + " | ".join(map(str, cells)) + " |")


def report(args, peers, engines, load):
    peer = peers[0].rows
    comparisons = {each.name: compare(each.rows, peer) for each in engines}
    print_head(args, load)
    print_table(peers + engines, comparisons)
    print_times(peers + engines)
    sizes = {name: row["height"] * row["width"] for name, row in peer.items()}
    for name, comparison in comparisons.items():
        print_comparison(name, comparison, sizes)
    print("\nCommand: `" + shlex.join(["python", *sys.argv]) + "`")


# ---- the command ----


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--input", type=Path, required=True, help="a manifest, as `segagent synth` writes it")
    parser.add_argument("--work", type=Path, required=True, help="folder for everyone's results")
    parser.add_argument("--binary", required=True, help="the engine's program")
    parser.add_argument("--agent", type=Path, default=ROOT / "weights_tools/tiny/agent")
    parser.add_argument("--search", choices=["greedy", "prm-stop"], default="greedy")
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument(
        "--as-released", action="store_true", help="the peer's, with greedy (serial_agent.py)"
    )
    parser.add_argument("--limit", type=int, default=0, help="only the first N items; 0 takes all")
    parser.add_argument("--batch", type=int, nargs="+", default=[64, 1], help="the engine's items at a time")
    parser.add_argument(
        "--workers",
        type=int,
        nargs="+",
        default=[1],
        help="the engine's processes, which share batch and threads",
    )
    parser.add_argument(
        "--precision", nargs="+", choices=["f32", "bf16"], default=["f32"], help="the engine's"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="of the engine, and of the peer")
    parser.add_argument("--peer-threads", type=int, nargs="+", help="the peer's (default: --threads, and 1)")
    args = parser.parse_args()
    if max(args.workers) > args.threads:
        parser.error("--workers: no more than --threads, or the peer would have fewer threads")
    return args


def main():
    args, load = parse_arguments(), os.getloadavg()[0]
    args.work.mkdir(parents=True, exist_ok=True)
    peers = [
        peer_runs(args, threads) for threads in args.peer_threads or sorted({args.threads, 1}, reverse=True)
    ]
    engines = [
        engine_runs(args, precision, batch, workers)
        for precision in args.precision
        for batch in args.batch
        for workers in args.workers
    ]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for index in range(args.rounds):
        for each in peers + engines:
            print(f"round {index + 1}/{args.rounds}: {each.name}", file=sys.stderr)
            each.run()
            print(f"  {each.rates()[-1]:.2f} steps/s", file=sys.stderr)
    report(args, peers, engines, load)


if __name__ == "__main__":
    main()
