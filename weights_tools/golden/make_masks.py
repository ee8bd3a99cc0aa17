"""Makes tests/golden/masks/*.json: what pycocotools, Pillow, torch and scipy answer to the tests' questions.

    python weights_tools/golden/make_masks.py [OUT_DIR]

Needs Pillow before 12: later ones resize some shapes down first and across afterwards, which differs in the
last place; the models were published with across first.
Inputs are not stored: they come from pattern(), which tests/image/golden.h has as well. Outputs are hex
strings, so that nothing is lost in decimal.
"""
import json
import pathlib
import sys

import numpy as np
import PIL
import torch
from PIL import Image
from pycocotools import _mask
from pycocotools import mask as coco
from scipy import ndimage

SHAPES = [(1, 1), (1, 70), (70, 1), (4, 5), (13, 17), (64, 64), (65, 63), (63, 65), (40, 129), (131, 37)]


def pattern(seed, count):
    """The bytes that tests/image/golden.h calls golden_pattern(seed, i), i < count."""
    x = np.arange(count, dtype=np.uint64) * 2654435761 + np.uint64(seed * 2246822519 % 2**32)
    x %= 2**32
    x ^= x >> np.uint64(15)
    x = x * np.uint64(2246822519) % np.uint64(2**32)
    x ^= x >> np.uint64(13)
    return (x >> np.uint64(24)).astype(np.uint8)


def pattern_mask(height, width, seed, cell, threshold):
    """A pixel is set where the pattern of its cell x cell square is over the threshold."""
    rows, columns = -(-height // cell), -(-width // cell)
    cells = pattern(seed, rows * columns).reshape(rows, columns) > threshold
    return np.kron(cells, np.ones((cell, cell)))[:height, :width].astype(np.uint8)


def rle_cases():
    cases = []
    for height, width in SHAPES:
        for cell, threshold in ((1, 128), (1, 250), (5, 128), (23, 90)):
            seeds = [len(cases) * 2 + 1, len(cases) * 2 + 2]
            masks = [pattern_mask(height, width, s, cell, threshold) for s in seeds]
            runs = [coco.encode(np.asfortranarray(m)) for m in masks]
            cases.append({
                "size": [height, width], "seeds": seeds, "cell": cell, "threshold": threshold,
                "counts": [r["counts"].decode() for r in runs], "area": [int(coco.area(r)) for r in runs],
                "bbox": [coco.toBbox(r).tolist() for r in runs],
                "union": coco.merge(runs)["counts"].decode(),
                "intersection": coco.merge(runs, intersect=True)["counts"].decode(),
                "iou": coco.iou(runs[:1], runs[1:], [0])[0, 0],
                "crowd": coco.iou(runs[:1], runs[1:], [1])[0, 0],
            })
    return cases


def polygon_list(rng, height, width, kind):
    points = int(rng.integers(3, 9))
    xy = rng.uniform(-0.4, 1.4, (points, 2)) * [width, height]
    if kind == "whole":
        xy = np.round(xy)
    elif kind == "half":
        xy = np.round(xy * 2) / 2
    elif kind == "point":
        xy[:] = xy[0]
    elif kind == "upright":
        xy[:, 0] = xy[0, 0]
    elif kind == "level":
        xy[:, 1] = xy[0, 1]
    elif kind == "far":
        xy *= 50
    elif kind == "twice":
        xy = np.repeat(np.round(xy * 5) / 5, 2, 0)
    return [round(v, 3) for v in xy.reshape(-1).tolist()]


def polygon_cases():
    rng = np.random.default_rng(20240601)
    cases = []
    for kind in ("free", "free", "free", "whole", "half", "point", "upright", "level", "far", "twice"):
        for _ in range(9):
            height, width = (int(v) for v in rng.integers(1, 90, 2))
            polygons = [polygon_list(rng, height, width, kind) for _ in range(int(rng.integers(1, 4)))]
            runs = [_mask.frPoly([np.array(p)], height, width)[0] for p in polygons]
            cases.append({"size": [height, width], "polygons": polygons,
                          "each": [r["counts"].decode() for r in runs],
                          "union": coco.merge(runs)["counts"].decode()})
    return cases


def box_cases():
    rng = np.random.default_rng(20240602)
    cases = []
    for k in range(40):
        height, width = (int(v) for v in rng.integers(1, 90, 2))
        box = np.abs(rng.uniform(-0.3, 1.1, 4)) * [width, height, width, height]
        box[:2] -= 3 * (k % 2)
        box = [round(v, 0 if k % 3 == 0 else 3) for v in box.tolist()]
        cases.append({"size": [height, width], "box": box,
                      "counts": _mask.frBbox(np.array([box]), height, width)[0]["counts"].decode()})
    return cases


def resize_cases():
    shapes = [((13, 17), (7, 9)), ((13, 17), (29, 40)), ((13, 17), (13, 40)), ((13, 17), (5, 17)),
              ((1, 1), (5, 4)), ((1, 30), (3, 7)), ((30, 1), (7, 3)), ((37, 41), (1, 1)),
              ((64, 63), (65, 64)), ((90, 8), (8, 30)), ((8, 90), (30, 8)), ((200, 3), (90, 20)), ((480, 640), (12, 16)),
              ((333, 500), (14, 21))]
    cases = []
    for (height, width), (out_height, out_width) in shapes:
        for channels in (1, 3, 4):
            seed = 1000 + len(cases)
            image = pattern(seed, height * width * channels).reshape(height, width, channels)
            for name, how in (("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC)):
                size = (out_width, out_height)
                planes = [Image.fromarray(np.ascontiguousarray(image[:, :, c])).resize(size, how)
                          for c in range(channels)]
                out = np.stack([np.asarray(p) for p in planes], 2)
                if channels == 3:
                    whole = Image.fromarray(image).resize(size, how)
                    assert np.array_equal(out, np.asarray(whole))
                cases.append({"size": [height, width, channels], "seed": seed, "filter": name,
                              "out": [out_height, out_width], "pixels": out.tobytes().hex()})
    return cases


def plane_cases():
    shapes = [((6, 7), (13, 15)), ((16, 16), (5, 9)), ((5, 5), (5, 5)), ((1, 9), (4, 1)), ((9, 1), (3, 6)),
              ((14, 14), (32, 24)), ((33, 20), (16, 31))]
    cases = []
    for (height, width), (out_height, out_width) in shapes:
        for mode in ("bilinear", "bicubic"):
            for align in (False, True):
                seed = 3000 + len(cases)
                plane = (pattern(seed, 2 * height * width).astype(np.float32) - 128) / 32
                x = torch.from_numpy(plane.reshape(1, 2, height, width))
                y = torch.nn.functional.interpolate(x, (out_height, out_width), mode=mode,
                                                    align_corners=align)
                cases.append({"size": [2, height, width], "seed": seed, "filter": mode,
                              "align_corners": align, "out": [out_height, out_width],
                              "floats": y.numpy().astype("<f4").view("<u4").byteswap().tobytes().hex()})
    return cases


def distance_cases():
    cases = []
    for height, width in SHAPES + [(90, 70)]:
        for cell, threshold in ((1, 20), (5, 90), (23, 90)):
            for border in (False, True):
                seed = 5000 + len(cases)
                mask = pattern_mask(height, width, seed, cell, threshold)
                wide = np.pad(mask, 1) if border else mask
                if wide.all():
                    continue
                nearest = ndimage.distance_transform_edt(wide, return_distances=False, return_indices=True)
                squared = ((nearest - np.indices(wide.shape)) ** 2).sum(0)
                squared = squared[1:-1, 1:-1] if border else squared
                weights = np.arange(1, height * width + 1) % 65521
                cases.append({"size": [height, width], "seed": seed, "cell": cell, "threshold": threshold,
                              "border": border, "most": int(squared.max()), "first": int(squared.argmax()),
                              "checksum": int((squared.reshape(-1).astype(np.int64) * weights).sum())})
    return cases


def main():
    if int(PIL.__version__.split(".")[0]) >= 12:
        sys.exit("Pillow " + PIL.__version__ + " resizes some shapes in another order; use one before 12")
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "tests/golden/masks")
    out.mkdir(parents=True, exist_ok=True)
    for name, cases in (("rle", rle_cases()), ("polygons", polygon_cases()), ("boxes", box_cases()),
                        ("resize_u8", resize_cases()), ("resize_f32", plane_cases()),
                        ("distance", distance_cases())):
        lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
        (out / (name + ".json")).write_text("[\n" + lines + "\n]\n")


main()
