"""Measures the tiny agent on test scenes, whose seed no training saw. Weights are read in bf16, and computed
with in f32.

  python evaluate.py sam   --binary build/release/segagent --agent agent --work DIR [--count 1000]
  python evaluate.py agent --binary build/release/segagent --agent agent --work DIR [--count 1000]

sam: the segmenter clicked at by F_sim: mean IoU after each click, by transformers. The same clicks then go
through `segagent click --clicks`; its mean IoU stands beside, and the largest difference of one mask's.

agent: the closed loop of policy and segmenter. Work holds results-LEVEL.jsonl, rows as `segagent annotate`
writes them, for comparing the engine with; what is printed is reckoned from these rows alone.
"""

import argparse
import json
import os
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


def measure_agent(options):
    segmenter = load(SamModel, options.agent, "segmenter")
    policy = load(LlavaForConditionalGeneration, options.agent, "policy")
    words = policy_model.Words()
    for level in options.levels:
        directory = os.path.join(options.work, "test-" + level)
        rows = scenes.draw(options.binary, directory, "test", level, 0, options.count)
        path = os.path.join(options.work, f"results-{level}.jsonl")
        with open(path, "w", encoding="utf-8") as file:
            for result in closed_loop.run(segmenter, policy, words, directory, rows):
                file.write(json.dumps(result) + "\n")
        with open(path, encoding="utf-8") as file:
            print_figures(level, closed_loop.figures([json.loads(line) for line in file]))


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
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    os.makedirs(options.work, exist_ok=True)
    (measure_sam if options.what == "sam" else measure_agent)(options)


if __name__ == "__main__":
    main()
