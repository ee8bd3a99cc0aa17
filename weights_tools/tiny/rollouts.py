"""Masks that the segmenter makes of clicks, for the policy to be trained on: good clicks, poor ones, and the
policy's own.

  python rollouts.py --binary build/release/segagent --segmenter DIR --pool DIR [--policy DIR] [--first N]
                     [--parts N] [--scenes N]

Each part is a directory LEVEL-NUMBER of --pool: training scenes, and states.jsonl with what was made of each
phrase, {"row": line of the manifest, "states": [RLE]}. A part appears when it is whole; one that stands there
is not made again.
"""

import argparse
import json
import os
import shutil

import numpy as np
import torch
import torch.nn.functional as F
from pycocotools import mask as coco
from transformers import LlavaForConditionalGeneration, SamModel

import clicks
import measure_policy
import policy_data
import policy_model
import scenes
import train_sam

STEPS = 5
FIRST_SCENE = 10_000_000  # of the training seed: no scene that policy_data draws for itself


def to_rle(mask):
    rle = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


class Segmenter:
    """One picture, several targets, each with clicks of its own."""

    def __init__(self, model, image):
        self.model = model
        pixels = train_sam.to_pixels(image[None]).to(model.dtype)
        self.embedding = model.get_image_embeddings(pixels)

    @torch.no_grad()
    def masks_and_scores(self, made):
        """made: for each target as many (row, column, positive), pixels. Returns the mask that scores best,
        [n, side, side] bool, and its score [n]."""
        points = torch.tensor([[[float(c[1]), float(c[0])] for c in each] for each in made])
        labels = torch.tensor([[int(c[2]) for c in each] for each in made])
        low, predicted = train_sam.decode(
            self.model, self.embedding.expand(len(made), -1, -1, -1), points, labels, None
        )
        chosen = train_sam.best(low, predicted.argmax(1))[:, None]
        side = (scenes.SIZE, scenes.SIZE)
        full = F.interpolate(chosen.float(), side, mode="bilinear", align_corners=False)
        return (full > 0)[:, 0].numpy(), predicted.max(1).values.numpy()


def clumsy_click(mask, target, made, rng):
    """F_sim's click, or beside it, or anywhere in the error, or anywhere at all."""
    side = target.shape[0]
    kind = rng.choice(4, p=[0.4, 0.3, 0.15, 0.15])
    click = clicks.next_click(mask, target, [c[:2] for c in made])
    if kind == 3 or click is None:
        return int(rng.integers(side)), int(rng.integers(side)), bool(rng.random() < 0.7)
    if kind == 1:
        row, column = (int(np.clip(v + rng.normal(0, 12), 0, side - 1)) for v in click[:2])
        return row, column, click[2]
    return clicks.random_click(mask, target, rng) if kind == 2 else click


def policy_clicks(policy, words, scene, masks, rng):
    """The policy's click for each phrase of a scene at its mask; a random one where it says none."""
    painted = [policy_data.paint(scene.image, mask) for mask in masks]
    found = measure_policy.answers(policy, words, painted, [text for text, _ in scene.phrases])
    side = scene.image.shape[0]
    return [
        (
            (*measure_policy.pixel_of(a.click, masks[0].shape), a.click[2])
            if a.click
            else (int(rng.integers(side)), int(rng.integers(side)), True)
        )
        for a in found
    ]


def roll_out(model, policy, words, scene, rng):
    """For each phrase the masks after 1 .. STEPS clicks."""
    segmenter = Segmenter(model, scene.image)
    targets = [target for _, target in scene.phrases]
    masks = [np.zeros_like(t) for t in targets]
    made = [[] for _ in targets]
    states = [[] for _ in targets]
    own = policy is not None and rng.random() < 0.7
    for _ in range(STEPS):
        if own:
            next_clicks = policy_clicks(policy, words, scene, masks, rng)
        else:
            next_clicks = [clumsy_click(m, t, c, rng) for m, t, c in zip(masks, targets, made)]
        for each, click in zip(made, next_clicks):
            each.append(click)
        masks, _ = segmenter.masks_and_scores(made)
        for each, mask in zip(states, masks):
            each.append(to_rle(mask))
    return states


def make_part(options, model, policy, words, level, number):
    final = os.path.join(options.pool, f"{level}-{number:04d}")
    if os.path.exists(final):
        return
    directory = final + ".new"
    first = FIRST_SCENE + number * options.scenes
    scenes.draw(options.binary, directory, "train", level, first, options.scenes, phrases=5, masks=True)
    rng = np.random.default_rng([31, first])
    row = 0
    with open(os.path.join(directory, "states.jsonl"), "w", encoding="utf-8") as file:
        for scene in policy_data.read_scenes(directory):
            for states in roll_out(model, policy, words, scene, rng):
                file.write(json.dumps({"row": row, "states": states}) + "\n")
                row += 1
    os.replace(directory, final)


def keep_newest(pool, level, most):
    """The oldest parts go: what the policy does now matters more than what it did."""
    parts = sorted(p for p in os.listdir(pool) if p.startswith(level + "-") and not p.endswith(".new"))
    for part in parts[: max(0, len(parts) - most)]:
        shutil.rmtree(os.path.join(pool, part))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binary", required=True)
    parser.add_argument("--segmenter", required=True, help="directory of the tiny SAM")
    parser.add_argument("--pool", required=True)
    parser.add_argument("--policy", help="directory of the policy; without it all clicks are clumsy")
    parser.add_argument("--first", type=int, default=0, help="number of the first part")
    parser.add_argument("--parts", type=int, default=4, help="of each level")
    parser.add_argument("--scenes", type=int, default=250, help="of each part")
    parser.add_argument("--keep", type=int, default=40, help="parts of each level that stay")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    os.makedirs(options.pool, exist_ok=True)
    model = SamModel.from_pretrained(options.segmenter, dtype=torch.float32).eval()
    policy = options.policy and LlavaForConditionalGeneration.from_pretrained(
        options.policy, dtype=torch.float32
    )
    words = policy_model.Words()
    for number in range(options.first, options.first + options.parts):
        for level in scenes.LEVELS:
            make_part(options, model, policy or None, words, level, number)
            keep_newest(options.pool, level, options.keep)
            print(f"{level} {number}", flush=True)


if __name__ == "__main__":
    main()
