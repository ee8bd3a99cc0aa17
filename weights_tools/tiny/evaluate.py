"""Measures the tiny agent on test scenes, whose seed no training saw. Weights are read in bf16, and computed
with in f32.

  python evaluate.py sam   --binary build/release/segagent --agent agent --work DIR [--count 1000]
  python evaluate.py agent --binary build/release/segagent --agent agent --work DIR [--count 1000]

sam: the segmenter clicked at by F_sim: mean IoU after each click, by transformers. The same clicks then go
through `segagent click --clicks`; its mean IoU stands beside, and the largest difference of one mask's.

agent: the closed loop of policy and segmenter, by `segagent annotate`; what is printed is reckoned from its
rows alone. --check N runs N scenes of each level by transformers, too, and counts the rows that are the same.
"""

import argparse
import json
import os
import shutil
import subprocess

import numpy as np
import torch
from transformers import LlavaForConditionalGeneration, SamModel

import closed_loop
import policy_model
import scenes
import train_sam

CLICKS = 7


# ---- the segmenter ----


def write_rows(path, image, made):
    """One row for each number of clicks."""
    with open(path, "a", encoding="utf-8") as file:
        for count in range(1, len(made) + 1):
            points = [{"x": c, "y": r, "positive": positive} for r, c, positive in made[:count]]
            file.write(json.dumps({"image": image, "clicks": points}) + "\n")


def engine_masks(options, rows):
    """The engine's masks, row by row."""
    command = [options.binary, "click", "--segmenter", os.path.join(options.agent, "segmenter")]
    command += ["--clicks", rows, "--device", "cpu", "--precision", "f32", "--json", "--quiet"]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return [scenes.read_mask(json.loads(line)["masks"][0]["rle"]) for line in run.stdout.splitlines()]


def measure_level(options, model, level):
    directory = os.path.join(options.work, "test-" + level)
    rows = scenes.draw(options.binary, directory, "test", level, 0, options.count)
    path = os.path.join(directory, "rows.jsonl")
    ours, targets, counts = [], [], []
    for row in rows:
        target = scenes.read_mask(row["gt"])
        ious, made = train_sam.click_through(
            model, scenes.read_image(directory, row), target, CLICKS, feeds_back=False
        )
        write_rows(path, row["image"], made)
        ours.append(ious)
        targets.append(target)
        counts.append(len(made))
    return np.array(ours), engine_ious(engine_masks(options, path), targets, counts)


def engine_ious(masks, targets, counts):
    """[scenes, CLICKS]; where F_sim had no more clicks to make, the last one's."""
    result, at = [], 0
    for target, count in zip(targets, counts):
        ious = [scenes.iou(mask, target) for mask in masks[at : at + count]]
        result.append(ious + ious[-1:] * (CLICKS - count))
        at += count
    return np.array(result)


def measure_sam(options):
    model = load(SamModel, options.agent, "segmenter")
    print(
        "| level | scenes | "
        + " | ".join(f"{n + 1}" for n in range(CLICKS))
        + " | engine, 1 / 3 / 5 | largest difference |"
    )
    print("|" + "---|" * (CLICKS + 4))
    for level in options.levels:
        ours, engine = measure_level(options, model, level)
        print(
            f"| {level} | {options.count} | "
            + " | ".join(f"{v:.4f}" for v in ours.mean(0))
            + " | "
            + " / ".join(f"{engine.mean(0)[n]:.4f}" for n in (0, 2, 4))
            + f" | {np.abs(ours - engine).max():.4f} |",
            flush=True,
        )


# ---- the agent ----


def load(kind, agent, part):
    return kind.from_pretrained(os.path.join(agent, part), dtype=torch.float32).eval()


def engine_results(options, directory, level):
    """Rows of `segagent annotate`, with each scene's truth and kind of phrase."""
    manifest, out = os.path.join(directory, "manifest.jsonl"), os.path.join(options.work, "run-" + level)
    shutil.rmtree(out, ignore_errors=True)
    command = [options.binary, "annotate", "--agent", options.agent, "--input", manifest, "--output", out]
    command += ["--search", "greedy", "--steps", str(closed_loop.STEPS), "--precision", "f32"]
    command += ["--threads", str(options.threads), "--device", "cpu", "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with open(os.path.join(out, "results.jsonl"), encoding="utf-8") as file:
        results = [json.loads(line) for line in file]
    for result, row in zip(results, scenes.read_manifest(directory)):
        result["meta"] = {"kind": row["meta"]["kind"], "gt": row["gt"]}
    return results


def count_same(ours, theirs):
    """Of how many items the engine's answers, clicks and kept step are transformers'; and the largest
    difference of a predicted and of a true IoU among them."""
    same, predicted, true = 0, 0.0, 0.0
    for a, b in zip(ours, theirs):
        steps = list(zip(a["steps"], b["steps"]))
        if len(a["steps"]) == len(b["steps"]) and all(
            x["text"] == y["text"] and x["action"] == y["action"] for x, y in steps
        ):
            same += 1
            predicted = max([predicted] + [abs(x["predicted_iou"] - y["predicted_iou"]) for x, y in steps])
            true = max([true] + [abs(x["iou"] - y["iou"]) for x, y in steps])
    return same, predicted, true


def check(options, directory, level, results):
    """The same scenes by transformers; its rows stand in results-LEVEL.jsonl."""
    segmenter = load(SamModel, options.agent, "segmenter")
    policy = load(LlavaForConditionalGeneration, options.agent, "policy")
    rows = scenes.read_manifest(directory)[: options.check]
    theirs = list(closed_loop.run(segmenter, policy, policy_model.Words(), directory, rows))
    with open(os.path.join(options.work, f"results-{level}.jsonl"), "w", encoding="utf-8") as file:
        file.writelines(json.dumps(result) + "\n" for result in theirs)
    same, predicted, true = count_same(results, theirs)
    print(
        f"\n{level}: the engine's rows are those of transformers on {same} of {len(theirs)} scenes; predicted"
        f" IoUs differ by {predicted:.1e} at most, true ones by {true:.1e}",
        flush=True,
    )


def measure_agent(options):
    for level in options.levels:
        directory = os.path.join(options.work, "test-" + level)
        scenes.draw(options.binary, directory, "test", level, 0, options.count)
        results = engine_results(options, directory, level)
        print_figures(level, closed_loop.figures(results))
        if options.check:
            check(options, directory, level, results)


def print_figures(level, figures):
    print(f"\n| {level} | value |\n|---|---|")
    for name, value in figures.items():
        print(f"| {name} | {value} |", flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["sam", "agent"])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--agent", required=True, help="directory with segmenter/ and policy/")
    parser.add_argument("--work", required=True, help="scratch for scenes, and the results")
    parser.add_argument("--count", type=int, default=1000, help="scenes of each level")
    parser.add_argument("--levels", nargs="+", choices=scenes.LEVELS, default=scenes.LEVELS)
    parser.add_argument("--check", type=int, default=0, metavar="N", help="scenes by transformers, too")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    os.makedirs(options.work, exist_ok=True)
    (measure_sam if options.what == "sam" else measure_agent)(options)


if __name__ == "__main__":
    main()
