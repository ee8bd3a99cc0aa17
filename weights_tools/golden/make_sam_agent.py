"""Makes tests/golden/sam/agent/cases.safetensors: what transformers makes of the shipped tiny segmenter.

  python weights_tools/golden/make_sam_agent.py --binary build/release/segagent
         [--model weights_tools/tiny/agent/segmenter] [--out tests/golden/sam/agent]

Pictures are test scenes of `segagent synth`. Layout of the file: weights_tools/README.md.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as coco
from safetensors.torch import load_file, save_file
from transformers import SamConfig

import make_sam
from sam_common import Prompt, set_exact_math


def draw_scene(binary, level, index):
    """The picture [256,256,3] and its target [256,256] of a test scene (seed 3)."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "scene"
        command = [binary, "synth", "--out", folder, "--seed", 3, "--first", index, "--count", 1]
        command += ["--level", level, "--quiet"]
        subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL)
        row = json.loads((folder / "manifest.jsonl").read_text())
        gt = {"size": row["gt"]["size"], "counts": row["gt"]["counts"].encode()}
        return np.array(Image.open(folder / row["image"])), coco.decode(gt)


def clicks_on(target, count, seed):
    """Points [count,2] x y, the first half of them and one more on the target, the others beside it."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) <= count // 2).astype(int)
    points = []
    for label in labels:
        rows, columns = np.nonzero(target == label)
        at = rng.integers(len(rows))
        points.append((columns[at], rows[at]))
    return Prompt(np.array(points, dtype=np.float64), labels)


def build_cases(binary):
    easy, easy_target = draw_scene(binary, "easy", 0)
    steps, steps_target = draw_scene(binary, "steps", 1)
    part, part_target = steps[40:200, 10:250].copy(), steps_target[40:200, 10:250]
    rows, columns = np.nonzero(easy_target)
    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], dtype=np.float64)
    return [
        ("easy scene, one click", easy, clicks_on(easy_target, 1, 0), 0),
        ("the same, four clicks", easy, clicks_on(easy_target, 4, 1), 0),
        ("the same, box", easy, Prompt(box=box), 0),
        ("scene of level steps, seven clicks", steps, clicks_on(steps_target, 7, 2), 3),
        ("a wide part of it, three clicks", part, clicks_on(part_target, 3, 3), 4),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--model", type=Path, default=Path("weights_tools/tiny/agent/segmenter"))
    parser.add_argument("--out", type=Path, default=Path("tests/golden/sam/agent"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    set_exact_math()
    config = SamConfig.from_pretrained(args.model)
    state = {name: tensor.float() for name, tensor in load_file(args.model / "model.safetensors").items()}
    rows = make_sam.run_cases(make_sam.HfReference(config, state), build_cases(args.binary))
    for row in rows:
        best = row["full"][int(row["best"])] > 0
        print(
            f"  {row['what']}: iou {[round(float(v), 3) for v in row['iou']]},"
            f" inside {best.float().mean():.3f}"
        )
    tensors = make_sam.case_tensors(rows, rows)
    tensors = {
        n: t for n, t in tensors.items() if not n.split(".")[1].startswith(("other", "single", "pixels"))
    }
    args.out.mkdir(parents=True, exist_ok=True)
    about = {"reference": "transformers", "cases": [row["what"] for row in rows]}
    save_file(tensors, args.out / "cases.safetensors", metadata={"about": json.dumps(about)})
    print(f"{(args.out / 'cases.safetensors').stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
