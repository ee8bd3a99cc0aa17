"""Makes tests/golden/items: a little RefCOCO (instances.json, refs as JSON and as pickles of Python 2) with
pictures, and expected.json: the masks that pycocotools makes of its annotations.

    python weights_tools/golden/make_items.py [OUT_DIR]
"""

import json
import pathlib
import struct
import sys

import numpy as np
from PIL import Image
from pycocotools import mask as coco

IMAGES = [(7, 40, 30), (581857, 33, 21), (999999999999, 16, 16)]  # number, width, height


class Python2Pickler:
    """What Python 2's pickle.dumps wrote: byte strings, memo entries for all but numbers, protocols 0 to 2."""

    def __init__(self, protocol):
        self.protocol, self.out, self.memo = protocol, [], {}

    def dump(self, value):
        if self.protocol == 2:
            self.out.append(b"\x80\x02")
        self.save(value)
        return b"".join(self.out) + b"."

    def put(self, value):
        index = len(self.memo)
        self.memo[id(value)] = (index, value)
        if self.protocol == 0:
            self.out.append(b"p%d\n" % index)
        else:
            self.out.append(b"q" + bytes([index]) if index < 256 else b"r" + struct.pack("<I", index))

    def get(self, index):
        if self.protocol == 0:
            return b"g%d\n" % index
        return b"h" + bytes([index]) if index < 256 else b"j" + struct.pack("<I", index)

    def save(self, value):
        if id(value) in self.memo:
            self.out.append(self.get(self.memo[id(value)][0]))
        elif value is None:
            self.out.append(b"N")
        elif isinstance(value, int):
            self.save_int(value)
        elif isinstance(value, bytes):
            self.save_bytes(value)
        elif isinstance(value, str):
            self.save_unicode(value)
        elif isinstance(value, list):
            self.save_list(value)
        else:
            self.save_dict(value)

    def save_int(self, value):
        if self.protocol == 0:
            self.out.append(b"I%d\n" % value if value < 2**63 else b"L%dL\n" % value)
        elif 0 <= value < 256:
            self.out.append(b"K" + bytes([value]))
        elif 0 <= value < 65536:
            self.out.append(b"M" + struct.pack("<H", value))
        elif -(2**31) <= value < 2**31:
            self.out.append(b"J" + struct.pack("<i", value))
        else:
            self.out.append(b"I%d\n" % value)  # as Python 2 did on 64 bits

    def save_bytes(self, value):
        if self.protocol == 0:
            self.out.append(b"S" + repr(value)[1:].encode() + b"\n")
        elif len(value) < 256:
            self.out.append(b"U" + bytes([len(value)]) + value)
        else:
            self.out.append(b"T" + struct.pack("<i", len(value)) + value)
        self.put(value)

    def save_unicode(self, value):
        if self.protocol == 0:
            raw = value.replace("\\", "\\u005c").replace("\n", "\\u000a").encode("raw-unicode-escape")
            self.out.append(b"V" + raw + b"\n")
        else:
            raw = value.encode("utf-8")
            self.out.append(b"X" + struct.pack("<I", len(raw)) + raw)
        self.put(value)

    def save_list(self, value):
        self.out.append(b"(l" if self.protocol == 0 else b"]")
        self.put(value)
        if self.protocol > 0 and len(value) > 1:
            self.out.append(b"(")
        for item in value:
            self.save(item)
            if self.protocol == 0 or len(value) == 1:
                self.out.append(b"a")
        if self.protocol > 0 and len(value) > 1:
            self.out.append(b"e")

    def save_dict(self, value):
        self.out.append(b"(d" if self.protocol == 0 else b"}")
        self.put(value)
        if self.protocol > 0 and len(value) > 1:
            self.out.append(b"(")
        for key, item in value.items():
            self.save(key)
            self.save(item)
            if self.protocol == 0 or len(value) == 1:
                self.out.append(b"s")
        if self.protocol > 0 and len(value) > 1:
            self.out.append(b"u")


def random_polygon(rng, width, height, corners):
    x = rng.uniform(-3, width + 3, corners).round(2)
    y = rng.uniform(-3, height + 3, corners).round(2)
    return [float(v) for pair in zip(x, y) for v in pair]


def make_annotations(rng):
    annotations = []
    for number, width, height in IMAGES:
        for kind in ["polygon", "polygons", "string", "counts"]:
            if kind == "polygon":
                segmentation = [random_polygon(rng, width, height, 9)]
            elif kind == "polygons":
                segmentation = [random_polygon(rng, width, height, c) for c in (3, 5, 12)]
            else:
                mask = rng.random((height, width)) < 0.3
                rle = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
                counts = rle["counts"].decode()
                if kind == "counts":
                    flat, counts, value = mask.flatten(order="F"), [], False
                    while flat.size:
                        run = int(np.argmax(flat != value)) if (flat != value).any() else flat.size
                        counts.append(run)
                        flat, value = flat[run:], not value
                segmentation = {"size": [height, width], "counts": counts}
            annotation = {
                "id": 1000 + 7 * len(annotations),
                "image_id": number,
                "category_id": 1 + len(annotations) % 2,
            }
            annotation.update({"iscrowd": int(kind == "counts"), "segmentation": segmentation})
            annotations.append(annotation)
    return annotations


def mask_of(annotation, height, width):
    segmentation = annotation["segmentation"]
    if isinstance(segmentation, list):
        return coco.merge(coco.frPyObjects(segmentation, height, width))
    if isinstance(segmentation["counts"], list):
        return coco.frPyObjects(segmentation, height, width)
    return segmentation


def make_refs(annotations):
    """Two sentences for each annotation; splits in turn. Shared keys are one object, as Python interned them."""
    keys = {
        k: k.encode() for k in "sent_ids file_name ann_id ref_id image_id split sentences category_id".split()
    }
    keys.update({k: k.encode() for k in ["tokens", "raw", "sent_id", "sent"]})
    splits = [s.encode() for s in ["train", "val", "testA"]]
    words = ["left dog", 'it\'s the "big" one', "caf\u00e9 back\\slash", "\u96ea man \U0001f600"]
    refs = []
    for i, annotation in enumerate(annotations):
        sentences = []
        for k in range(2):
            text = words[(i + k) % len(words)]
            text = text if (i + k) % 4 == 3 else text.encode("latin-1")
            sentence = {"tokens": text.split(), "raw": text, "sent_id": 2 * i + k, "sent": text}
            sentences.append({keys[name]: value for name, value in sentence.items()})
        ref = {"sent_ids": [2 * i, 2 * i + 1], "file_name": b"COCO_train2014_x_%d.jpg" % annotation["id"]}
        ref.update({"ann_id": annotation["id"], "ref_id": 50 + i, "image_id": annotation["image_id"]})
        ref.update({"split": splits[i % 3], "sentences": sentences, "category_id": annotation["category_id"]})
        refs.append({keys[name]: value for name, value in ref.items()})
    return refs


def plain(value):
    """Byte strings as text, for JSON."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {plain(k): plain(v) for k, v in value.items()}
    return value


def main():
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "tests/golden/items")
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    images, sizes = [], {}
    for number, width, height in IMAGES:
        name = f"COCO_train2014_{number:012d}.jpg"
        Image.new("RGB", (width, height), (90, 120, 60)).save(out / name, quality=50)
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        sizes[number] = (height, width, name)
    annotations = make_annotations(rng)
    categories = [{"id": 1, "name": "dog"}, {"id": 2, "name": "traffic light"}]
    instances = {"info": {}, "images": images, "annotations": annotations, "categories": categories}
    (out / "instances.json").write_text(json.dumps(instances))
    refs = make_refs(annotations)
    (out / "refs.json").write_text(json.dumps(plain(refs)))
    for protocol in range(3):
        (out / f"refs{protocol}.p").write_bytes(Python2Pickler(protocol).dump(refs))
    expected = []
    for annotation in annotations:
        height, width, name = sizes[annotation["image_id"]]
        rle = mask_of(annotation, height, width)
        counts = rle["counts"].decode() if isinstance(rle["counts"], bytes) else rle["counts"]
        expected.append(
            {"id": annotation["id"], "image": name, "height": height, "width": width, "counts": counts}
        )
    (out / "expected.json").write_text(json.dumps(expected, indent=0))


if __name__ == "__main__":
    main()
