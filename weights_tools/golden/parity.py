"""Full-size parity: transformers, segment_anything and the engine on the same random weights and clicks.

  python weights_tools/golden/parity.py --size b --work DIR [--binary build/release/segagent]
  python weights_tools/golden/parity.py --segmenter DIR [--binary ...]      # a checkpoint that exists

Prints a Markdown table: every row compares one implementation with transformers in f32, worst over the click
sets. Differences of embedding and logits are shares of the largest value of the reference. --work keeps the
random weights for the next run. Without --binary only the Python halves run.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as coco

from make_random_sam import make_random_sam
from sam_common import (
    FULL_SIZES,
    Prompt,
    hf_model,
    load_checkpoint,
    original_model,
    original_predictor,
    original_state,
    postprocess,
    predict_hf,
    predict_original,
    preprocess,
    set_exact_math,
)

ROOT = Path(__file__).resolve().parents[2]
CLICKS = [  # in shares of the image's width and height, all positive
    [(0.30, 0.60)],
    [(0.60, 0.52)],
    [(0.84, 0.74), (0.62, 0.60), (0.20, 0.20)],
]


@dataclass
class Output:
    """What one implementation gives for one click set."""

    embedding: np.ndarray  # [C,g,g]
    logits: np.ndarray  # [3,4g,4g]
    iou: np.ndarray  # [3]
    masks: np.ndarray  # bool [3,H,W]
    best: int


def click_sets(image):
    height, width = image.shape[:2]
    return [np.round(np.array(clicks) * [width, height]) for clicks in CLICKS]


def run_transformers(config, state, image, dtype=torch.float32):
    model = hf_model(config, state).to(dtype)
    pixels, size = preprocess(image, config.vision_config.image_size)
    embedding = model.get_image_embeddings(pixels[None].to(dtype))
    outputs = []
    for points in click_sets(image):
        low, iou = predict_hf(model, embedding, size, Prompt(points, np.ones(len(points), dtype=np.int64)))
        low, iou = low.float(), iou.float().numpy()
        masks = (postprocess(low, size) > 0).numpy()
        outputs.append(Output(embedding[0].float().numpy(), low.numpy(), iou, masks, int(iou.argmax())))
    return outputs


def run_original(config, state, image, same_eps=False):
    predictor = original_predictor(original_model(config, original_state(state, config), same_eps), image)
    outputs = []
    for points in click_sets(image):
        low, iou, full = predict_original(predictor, Prompt(points, np.ones(len(points), dtype=np.int64)))
        masks, best = (full > 0).numpy(), int(iou.argmax())
        outputs.append(Output(predictor.features[0].numpy(), low.numpy(), iou.numpy(), masks, best))
    return outputs


def engine_command(args, points, precision, folder):
    command = [args.binary, "click", "--segmenter", str(args.segmenter), "--image", str(args.image)]
    for x, y in points:
        command += ["--point", f"{x:g},{y:g}"]
    command += ["--all", "--json", "--precision", precision]
    command += ["--save-logits", f"{folder}/logits.npy", "--save-embedding", f"{folder}/embedding.npy"]
    return command + args.engine_args


def run_engine(args, image, precision):
    """One process per click set; the commands go to standard error."""
    outputs = []
    for points in click_sets(image):
        with tempfile.TemporaryDirectory() as folder:
            command = engine_command(args, points, precision, folder)
            print(shlex.join(command), file=sys.stderr)
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
            if done.returncode != 0:
                sys.exit(f"the engine failed with exit code {done.returncode}")
            embedding, logits = (np.load(f"{folder}/{name}.npy") for name in ("embedding", "logits"))
        row = json.loads(done.stdout)
        assert (row["height"], row["width"]) == image.shape[:2], "the engine read another image size"
        masks = np.stack([coco.decode(mask["rle"]).astype(bool) for mask in row["masks"]])
        iou = np.array([mask["score"] for mask in row["masks"]], dtype=np.float32)
        outputs.append(Output(embedding, logits, iou, masks, row["best"]))
    return outputs


def relative(ours, reference):
    """Largest difference as a share of the reference's largest value; not finite: infinite."""
    if ours.shape != reference.shape:
        sys.exit(f"shape {ours.shape} instead of {reference.shape}")
    if not np.isfinite(ours).all():
        return float("inf")
    return float(np.abs(ours.astype(np.float64) - reference).max() / np.abs(reference).max())


def compare(name, ours, reference):
    """One row of the table: worst over the click sets, mask agreement over all their pixels."""
    pairs = list(zip(ours, reference, strict=True))
    agree = np.mean([np.mean(a.masks == b.masks) for a, b in pairs])
    return {
        "implementation": name,
        "embedding": max(relative(a.embedding, b.embedding) for a, b in pairs),
        "logits": max(relative(a.logits, b.logits) for a, b in pairs),
        "IoU score": max(float(np.abs(a.iou - b.iou).max()) for a, b in pairs),
        "mask pixels equal": 100 * float(agree),
        "same choice": f"{sum(a.best == b.best for a, b in pairs)}/{len(pairs)}",
    }


def print_table(args, image, reference, rows):
    print(
        f"\nReference: transformers f32, TF32 off; {args.segmenter}, image {image.shape[1]}x{image.shape[0]},"
    )
    inside = [round(float(mask.mean()), 2) for output in reference for mask in output.masks]
    print(f"{len(CLICKS)} click sets, 3 masks each (shares of pixels inside: {inside}).\n")
    print("| " + " | ".join(rows[0]) + " |")
    print("|" + "---|" * len(rows[0]))
    for row in rows:
        cells = [f"{row[key]:.1e}" for key in ("embedding", "logits", "IoU score")]
        cells += [f"{row['mask pixels equal']:.3f} %", row["same choice"]]
        print("| " + " | ".join([row["implementation"], *cells]) + " |")
    print("\nCommand: `" + shlex.join(["python", *sys.argv]) + "`")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", choices=sorted(FULL_SIZES), default="b")
    parser.add_argument(
        "--work", type=Path, help="folder for the random weights; sam-SIZE is made there once"
    )
    parser.add_argument("--segmenter", type=Path, help="an existing Hugging Face SAM folder instead")
    parser.add_argument("--image", type=Path, default=ROOT / "tests/golden/demo/image.jpg")
    parser.add_argument("--binary", help="the engine's program")
    parser.add_argument("--precision", nargs="+", default=["f32", "bf16"], help="what the engine is run with")
    parser.add_argument(
        "--engine-args", nargs=argparse.REMAINDER, default=[], help="last: passed to the engine"
    )
    parser.add_argument("--no-bf16", action="store_true", help="skip the yardstick, transformers in bf16")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    if bool(args.work) == bool(args.segmenter):
        parser.error("one of --work and --segmenter")
    return args


def main():
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    set_exact_math()
    if args.work:
        args.segmenter = args.work / f"sam-{args.size}"
        if not (args.segmenter / "model.safetensors").exists():
            make_random_sam(args.size, args.segmenter)
    image = np.asarray(Image.open(args.image).convert("RGB"))
    config, state = load_checkpoint(args.segmenter)
    reference = run_transformers(config, state, image)
    rows = [
        compare("segment_anything f32", run_original(config, state, image), reference),
        compare("segment_anything f32, same eps", run_original(config, state, image, True), reference),
    ]
    if not args.no_bf16:
        rows.append(
            compare("transformers bf16", run_transformers(config, state, image, torch.bfloat16), reference)
        )
    del state
    for precision in args.precision if args.binary else []:
        rows.append(compare(f"segagent {precision}", run_engine(args, image, precision), reference))
    print_table(args, image, reference, rows)


if __name__ == "__main__":
    main()
