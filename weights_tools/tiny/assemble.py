"""Puts the trained models together as an agent directory, and writes what its README says of the files.

  python assemble.py --sam DIR --policy DIR --out agent

DIR are the `model` directories of train_sam.py and train_policy.py. Figures of evaluate.py are pasted into
the README by hand, below the table of files.
"""

import argparse
import hashlib
import json
import os
import shutil

from transformers import CLIPImageProcessor, SamImageProcessor

import policy_model
import scenes

AGENT = {
    "name": "segagent-tiny",
    "policy": "policy",
    "segmenter": "segmenter",
    "template": "plain",
    "prompt": "{image}{text}.",
    "overlay": {"color": [0, 255, 0], "alpha": 0.5, "rounding": "trunc", "jpeg_quality": None},
    "action": {
        "positive": "Positive point:",
        "negative": "Negative point:",
        "order": "row,col",
        "scale": 1000,
        "rounding": "floor",
    },
    "prm": {"prefix": "Current IOU:", "scale": 100, "decimals": 0},
    "steps": 7,
    "candidates": 1,
    "search": "prm-stop",
    "temperature": 0,
    "mask_threshold": 0,
    "previous_mask": False,
}
MOST_BYTES = 10_000_000


def write_processors(out):
    side = policy_model.IMAGE_SIDE
    CLIPImageProcessor(
        size={"shortest_edge": side},
        crop_size={"height": side, "width": side},
        image_mean=policy_model.MEAN,
        image_std=policy_model.STD,
    ).save_pretrained(os.path.join(out, "policy"))
    SamImageProcessor(
        size={"longest_edge": scenes.SIZE},
        pad_size={"height": scenes.SIZE, "width": scenes.SIZE},
        mask_size={"longest_edge": scenes.SIZE // 4},
        mask_pad_size={"height": scenes.SIZE // 4, "width": scenes.SIZE // 4},
    ).save_pretrained(os.path.join(out, "segmenter"))


def table_of_files(out):
    rows, total = ["| file | bytes | SHA-256 |", "|---|---|---|"], 0
    for folder, _, names in sorted(os.walk(out)):
        for name in sorted(n for n in names if n != "README.md"):
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                data = file.read()
            total += len(data)
            rows.append(
                f"| {os.path.relpath(path, out)} | {len(data):,} | {hashlib.sha256(data).hexdigest()} |"
            )
    return "\n".join(rows), total


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sam", required=True)
    parser.add_argument("--policy", required=True)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    for part, source in (("segmenter", options.sam), ("policy", options.policy)):
        shutil.copytree(source, os.path.join(options.out, part), dirs_exist_ok=True)
    with open(os.path.join(options.out, "agent.json"), "w", encoding="utf-8") as file:
        file.write(json.dumps(AGENT, indent=2) + "\n")
    write_processors(options.out)
    table, total = table_of_files(options.out)
    print(f"{table}\n\n{total:,} bytes together")
    if total > MOST_BYTES:
        raise SystemExit(f"more than {MOST_BYTES:,} bytes")


if __name__ == "__main__":
    main()
