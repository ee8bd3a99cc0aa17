"""Scenes for training and measuring, drawn by `segagent synth`: one generator, in C.

Seeds say what scenes are for, so no scene that a model is measured on was trained on."""

import json
import os
import shutil
import subprocess

import numpy as np
from PIL import Image
from pycocotools import mask as coco

SEEDS = {"train": 1, "validation": 2, "test": 3}
LEVELS = ("easy", "hard", "steps")
SIZE = 256


def draw(binary, directory, purpose, level, first, count, phrases=1, masks=False, size=SIZE):
    """Scenes first .. first + count - 1 of a purpose, in a fresh directory; returns the manifest's rows."""
    shutil.rmtree(directory, ignore_errors=True)
    command = [
        binary,
        "synth",
        "--out",
        directory,
        "--seed",
        str(SEEDS[purpose]),
        "--level",
        level,
        "--first",
        str(first),
        "--count",
        str(count),
        "--phrases",
        str(phrases),
        "--size",
        str(size),
        "--threads",
        "1",
        "--quiet",
    ]
    subprocess.run(command + (["--masks"] if masks else []), check=True, stdout=subprocess.DEVNULL)
    return read_manifest(directory)


def read_manifest(directory):
    with open(os.path.join(directory, "manifest.jsonl"), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def read_image(directory, row):
    """[size, size, 3] uint8."""
    return np.array(Image.open(os.path.join(directory, row["image"])))


def read_mask(rle):
    """[size, size] bool."""
    return coco.decode({"size": rle["size"], "counts": rle["counts"].encode()}).astype(bool)


def iou(a, b):
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 0.0
