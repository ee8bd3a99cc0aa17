"""Measures the tiny agent on test scenes, whose seed no training saw.

  python evaluate.py sam --binary build/release/segagent --model agent/segmenter --work DIR [--count 1000]

The segmenter, clicked at by F_sim: mean IoU after each click, of the shipped bf16 weights computed in f32, by
transformers. The same clicks then go through `segagent click --clicks`; its mean IoU stands beside, and the
largest difference of one mask's.
"""

import argparse
import json
import os
import subprocess

import numpy as np
import torch
from transformers import SamModel

import scenes
import train_sam

CLICKS = 7


def write_rows(path, image, made):
    """One row for each number of clicks."""
    with open(path, "a", encoding="utf-8") as file:
        for count in range(1, len(made) + 1):
            points = [{"x": c, "y": r, "positive": positive} for r, c, positive in made[:count]]
            file.write(json.dumps({"image": image, "clicks": points}) + "\n")


def engine_masks(binary, model, rows):
    """The engine's masks, row by row."""
    run = subprocess.run(
        [
            binary,
            "click",
            "--segmenter",
            model,
            "--clicks",
            rows,
            "--device",
            "cpu",
            "--precision",
            "f32",
            "--json",
            "--quiet",
        ],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
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
    return np.array(ours), engine_ious(engine_masks(options.binary, options.model, path), targets, counts)


def engine_ious(masks, targets, counts):
    """[scenes, CLICKS]; where F_sim had no more clicks to make, the last one's."""
    result, at = [], 0
    for target, count in zip(targets, counts):
        ious = [scenes.iou(mask, target) for mask in masks[at : at + count]]
        result.append(ious + ious[-1:] * (CLICKS - count))
        at += count
    return np.array(result)


def measure_sam(options):
    model = SamModel.from_pretrained(options.model, dtype=torch.float32).eval()
    print(
        "| level | scenes | "
        + " | ".join(f"{n + 1}" for n in range(CLICKS))
        + " | engine, 1 / 3 / 5 | largest difference |"
    )
    print("|" + "---|" * (CLICKS + 4))
    for level in scenes.LEVELS:
        ours, engine = measure_level(options, model, level)
        print(
            f"| {level} | {options.count} | "
            + " | ".join(f"{v:.4f}" for v in ours.mean(0))
            + " | "
            + " / ".join(f"{engine.mean(0)[n]:.4f}" for n in (0, 2, 4))
            + f" | {np.abs(ours - engine).max():.4f} |",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["sam"])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--work", required=True, help="scratch for scenes")
    parser.add_argument("--count", type=int, default=1000, help="scenes of each level")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    os.makedirs(options.work, exist_ok=True)
    measure_sam(options)


if __name__ == "__main__":
    main()
