"""Makes tests/golden/metrics: small results, and what numpy, scipy and pycocotools say of them.

  python weights_tools/golden/make_metrics.py [OUT_DIR]

a.jsonl, b.jsonl   rows as `segagent annotate` writes them, the truth in meta.gt
figures.json       metrics of a, and of b against a, with bootstrap intervals from the same random numbers
coco.json          a as COCO instances; segagent.json: a as SegAgent's results JSON, by json.dump
parity.json        results as SegAgent's runner writes them; parity_*.csv and .txt: what its evaluators write,
                   by the formulas of MODEL_SPECS 9 in float32
"""

import csv
import io
import json
import pathlib
import sys

import numpy as np
from pycocotools import mask as coco
from scipy import stats

HEIGHT, WIDTH, ITEMS, RESAMPLES, SEED = 20, 27, 40, 300, 11
NOC = (80, 85, 90)


# ---- random results ----


def blob(rng):
    """A random ellipse, never empty."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    cy, cx, ry, rx = rng.uniform(5, 15), rng.uniform(6, 21), rng.uniform(3, 8), rng.uniform(3, 9)
    return (((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 <= 1).astype(np.uint8)


def near(rng, target, noise):
    """The target with a share of its pixels, and of those around it, changed."""
    grown = np.maximum(target, np.roll(target, rng.integers(-3, 4), rng.integers(0, 2)))
    changed = rng.random(target.shape) < noise
    return np.where(changed & (grown > 0), 1 - target, target).astype(np.uint8)


def encode(mask):
    rle = coco.encode(np.asfortranarray(mask))
    return {"size": [int(v) for v in rle["size"]], "counts": rle["counts"].decode()}


def decode(rle):
    return coco.decode(rle)


def step_of(rng, target, k, mask):
    action = None
    if k > 0 and rng.random() > 0.1:
        row, col = int(rng.integers(0, HEIGHT)), int(rng.integers(0, WIDTH))
        action = {"positive": bool(rng.random() < 0.7), "row": row, "col": col}
    guess = round(float(np.clip(mask[target > 0].mean() + rng.normal(0, 0.2), 0, 1)), 1)
    text = "" if k == 0 else f"Current IOU: {guess}, Positive point: (1, 2)"
    return {
        "action": action,
        "text": text,
        "predicted_iou": None if rng.random() < 0.1 else guess,
        "segmenter_score": round(float(rng.random()), 3),
        "mask": encode(mask),
        "parse": "ok" if action or k == 0 else "failed",
    }


def row_of(name, image, text, steps, best, target, mask):
    return {
        "id": name,
        "image": image,
        "text": text,
        "height": HEIGHT,
        "width": WIDTH,
        "status": "ok",
        "error": None,
        "mask": encode(mask),
        "score": 0.5,
        "step": best,
        "steps": steps,
        "meta": {"gt": encode(target)},
    }


def make_a(rng):
    rows = []
    for i in range(ITEMS):
        target = blob(rng)
        if i == 7:
            target[:] = 0  # nothing there, and nothing found
        clicks = int(rng.integers(0, 6))
        masks = [np.zeros_like(target)] + [near(rng, target, 0.5 / (k + 1)) for k in range(clicks)]
        if i % 9 == 4:
            masks[-1] = target.copy()
        if i == 7:
            masks = [np.zeros_like(target)] * len(masks)
        steps = [
            step_of(rng, target, k, m) if i != 7 else step_of(rng, 1 - target, k, m)
            for k, m in enumerate(masks)
        ]
        best = int(rng.integers(0, len(masks)))
        text = ["the “red” ring", 'a, "b"', "naïve \U0001f600"][i % 3]
        rows.append(row_of(f"a/{i}", f"images/{i // 3}.png", text, steps, best, target, masks[best]))
    rows[5]["steps"], rows[5]["step"] = [], 0  # a mask and nothing else
    failed = dict(
        rows[3], id="lost", status="failed", error="the picture is gone", mask=None, steps=[], step=0
    )
    rows.insert(10, failed)
    return rows


def make_b(rng, a):
    rows = []
    for i, row in enumerate(r for r in a if r["status"] == "ok"):
        target = decode(row["meta"]["gt"])
        mask = decode(row["mask"]) if i % 5 == 0 else near(rng, target, 0.15)
        name = row["id"] if i % 8 else f"b/{i}"
        rows.append(row_of(name, row["image"], row["text"], [], 0, target, mask))
    return rows[::-1]


# ---- figures ----


def philox(key, low, high):
    """sa_philox_block for arrays of counters: [..., 4] words."""
    low, high = np.broadcast_arrays(np.asarray(low, np.uint64), np.asarray(high, np.uint64))
    mask, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    c = [low & mask, low >> shift, high & mask, high >> shift]
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(b >> shift) ^ c[1] ^ np.uint64(k0), b & mask, (a >> shift) ^ c[3] ^ np.uint64(k1), a & mask]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(c, -1)


def draws(count, resample):
    words = philox(SEED, np.arange(-(-count // 4)), resample).reshape(-1)[:count]
    return (words * np.uint64(count) >> np.uint64(32)).astype(int)


def overlap(mask, target):
    return int(np.sum(mask & target)), int(np.sum(mask | target))


def iou(pair):
    return 1.0 if pair[1] == 0 else pair[0] / pair[1]


class Item:
    def __init__(self, row):
        target = decode(row["meta"]["gt"])
        self.kept = overlap(decode(row["mask"]), target)
        self.states = [overlap(decode(s["mask"]), target) for s in row["steps"]] or [self.kept]
        self.predicted = [s["predicted_iou"] for s in row["steps"]]
        action = row["steps"][1]["action"] if len(row["steps"]) > 1 else None
        self.hit = bool(action and action["positive"] and target[action["row"], action["col"]])

    def after(self, k):
        return self.states[min(k, len(self.states) - 1)]

    def clicks(self, percent, cap):
        reached = [k for k, s in enumerate(self.states) if 100 * s[0] >= percent * s[1]]
        return (reached[0], 0) if reached else (cap, 1)


def ciou(pairs):
    return sum(p[0] for p in pairs) / sum(p[1] for p in pairs)


def auc(predicted, good):
    """By all pairs."""
    a, b = predicted[good][:, None], predicted[~good][None, :]
    return np.nan if a.size == 0 or b.size == 0 else float(np.mean((a > b) + 0.5 * (a == b)))


def prm_of(items):
    pairs = [(p, iou(s)) for t in items for p, s in zip(t.predicted[1:], t.states[1:]) if p is not None]
    p, q = np.array(pairs).T
    return {
        "mae": np.mean(np.abs(p - q)),
        "mse": np.mean((p - q) ** 2),
        "pearson": stats.pearsonr(p, q).statistic,
        "spearman": stats.spearmanr(p, q).statistic,
        "auc": auc(p, q >= 0.5),
    }


def figures(items, step, cap):
    judged = [t.kept if step is None else t.after(step) for t in items]
    out = {"cIoU": ciou(judged), "gIoU": np.mean([iou(p) for p in judged])}
    for k in range(cap + 1):
        pairs = [t.after(k) for t in items]
        out[f"cIoU {k}"], out[f"gIoU {k}"] = ciou(pairs), np.mean([iou(p) for p in pairs])
    for percent in NOC:
        clicks = np.array([t.clicks(percent, cap) for t in items])
        out[f"noc {percent}"], out[f"never {percent}"] = clicks.mean(0)
    out["hit"] = np.mean([t.hit for t in items])
    return out | prm_of(items)


def with_intervals(count, of):
    """{name: [value, low, high]} of a function of lists of places."""
    whole = of(range(count))
    samples = [of(draws(count, r)) for r in range(RESAMPLES)]
    out = {}
    for name, value in whole.items():
        column = [s[name] for s in samples if not np.isnan(s[name])]
        out[name] = [float(value), *(float(v) for v in np.percentile(column, [2.5, 97.5]))]
    return out


def measure(rows, step):
    items = [Item(r) for r in rows if r["status"] == "ok"]
    cap = max(len(t.states) for t in items) - 1
    return with_intervals(len(items), lambda places: figures([items[i] for i in places], step, cap))


def sign_flip_p(differences):
    whole = np.rint(np.array(differences) * 2.0**36).astype(np.int64)
    as_far = 1
    for flip in range(RESAMPLES):
        words = philox(SEED, np.arange(-(-len(whole) // 128)), 2**32 + flip).reshape(-1)
        bits = (words[:, None] >> np.arange(32, dtype=np.uint64) & np.uint64(1)).reshape(-1)[: len(whole)]
        as_far += abs(np.sum(np.where(bits == 1, -whole, whole))) >= abs(np.sum(whole))
    return as_far / (RESAMPLES + 1)


def compare(a, b):
    theirs = {r["id"]: Item(r) for r in b}
    pairs = [(Item(r), theirs[r["id"]]) for r in a if r["status"] == "ok" and r["id"] in theirs]
    deltas = np.array([iou(y.kept) - iou(x.kept) for x, y in pairs])

    def of(places):
        chosen = [pairs[i] for i in places]
        gain = ciou([y.kept for _, y in chosen]) - ciou([x.kept for x, _ in chosen])
        return {"delta": np.mean(deltas[list(places)]), "cIoU": gain}

    out = with_intervals(len(pairs), of)
    out |= {"p": sign_flip_p(deltas), "pairs": len(pairs), "wins": int(np.sum(deltas > 0))}
    out |= {"losses": int(np.sum(deltas < 0)), "ties": int(np.sum(deltas == 0))}
    ok = sum(r["status"] == "ok" for r in a)
    return out | {"only_a": ok - len(pairs), "only_b": len(b) - len(pairs)}


# ---- exports ----


def to_coco(rows):
    rows = [r for r in rows if r["status"] == "ok"]
    images, texts = {}, {}
    annotations = []
    for number, r in enumerate(rows):
        images.setdefault(r["image"], len(images) + 1)
        texts.setdefault(r["text"], len(texts) + 1)
        annotations.append(
            {
                "id": number + 1,
                "image_id": images[r["image"]],
                "category_id": texts[r["text"]],
                "segmentation": r["mask"],
                "area": int(coco.area(r["mask"])),
                "bbox": coco.toBbox(r["mask"]).tolist(),
                "iscrowd": 0,
                "score": r["score"],
                "item": r["id"],
            }
        )
    return {
        "annotations": annotations,
        "images": [{"id": n, "file_name": i, "height": HEIGHT, "width": WIDTH} for i, n in images.items()],
        "categories": [{"id": n, "name": t} for t, n in texts.items()],
    }


def turned(rle):
    return {"counts": rle["counts"], "size": rle["size"]}


def to_segagent(rows):
    out = []
    for number, r in enumerate(r for r in rows if r["status"] == "ok"):
        sample = {
            "img_path": r["image"],
            "masks": None,
            "height": r["height"],
            "width": r["width"],
            "qas": [{"from": "human", "value": r["text"]}],
            "caption": [r["text"]],
            "coor": None,
            "relative_coor": None,
            "is_positive": None,
            "click_id": 0,
            "gt_mask": turned(r["meta"]["gt"]),
            "annotation": [{"segmentation": None, "id": number, "click_id": 0}],
            "pred_list": [
                {
                    "click_id": k,
                    "clicks": {
                        "is_positive": s["action"]["positive"],
                        "coords": [s["action"]["row"], s["action"]["col"]],
                    },
                    "used_box": None,
                    "mask": turned(s["mask"]),
                    "outputs": s["text"],
                }
                for k, s in enumerate(r["steps"][1:])
                if s["action"]
            ],
        }
        if len(r["steps"]) > 1:
            sample["outputs"] = r["steps"][-1]["text"]
        out.append(sample)
    return out


# ---- SegAgent's evaluators ----


def make_parity(rng):
    """Samples of several to an image, of all sizes, with every way in which an IoU is, or is not, stated."""
    says = [
        lambda v: f"Current IOU: {v}, Positive point: (1, 2)<|im_end|>",
        lambda v: f"Current IOU: {v}Positive point: (1, 2)",
        lambda v: f"Current IOU: 1, x Current IOU:  {v} Negative point: (3, 4)",
        lambda v: " Positive point: (1, 2)<|im_end|><|endoftext|>",
        lambda v: f"Current IOU: +{v}e-0_1, Current",
        lambda v: f"Current IOU: {'nan' if v > 60 else v}, Positive",
        lambda v: f"Current IOU: 0x10, Positive ({v})",
    ]
    captions = ["plain", 'with, comma and "quotes"', "two\nlines", "naïve “ring”"]
    data = []
    for i in range(36):
        target = blob(rng)
        if i in (4, 21):
            target[:] = 0
        kind, clicks = says[i % len(says)], i % 6
        entries = []
        for k in range(clicks):
            mask = near(rng, target, 0.4 / (k + 1))
            text = None if rng.random() < 0.1 else kind(round(float(rng.choice([20, 55.5, 70, 85.25])), 2))
            entries.append(
                {
                    "click_id": k,
                    "clicks": {"is_positive": True, "coords": [1, 2]},
                    "used_box": None,
                    "mask": turned(encode(mask)),
                    "outputs": text,
                }
            )
        data.append(sample_of(f"/data/img_{i // 3 % 5}.jpg", captions[i % 4], target, entries))
    data += [large_sample(rng, k) for k in range(3)]
    return data


def sample_of(path, caption, target, entries):
    return {
        "img_path": path,
        "masks": None,
        "height": target.shape[0],
        "width": target.shape[1],
        "caption": [caption],
        "click_id": 0,
        "gt_mask": turned(encode(target)),
        "pred_list": entries,
    }


def large_sample(rng, k):
    """Enough pixels for sums in float32 to round."""
    target, mask = np.zeros((2, 4001, 3001), np.uint8)
    target[3:3990, 5:2991] = 1
    mask[int(rng.integers(0, 50)) : 3997, 1 : 2900 + k] = 1
    entry = {"click_id": 0, "clicks": [], "used_box": None, "mask": turned(encode(mask)), "outputs": None}
    return sample_of(f"big/{k // 2}.png", "large", target, [entry])


def choose(entries, click):
    """eval_result_iou's forward_single, from its description."""
    if click is not None:
        return entries[click]["mask"]
    if not entries:
        return None
    outputs = [e["outputs"] for e in entries]

    def stated(cut):
        return [0.0 if o is None else float(cut(o.split("Current IOU: ")[-1])) for o in outputs]

    try:
        values = stated(lambda t: t.split(",")[0])
    except ValueError:
        try:
            values = stated(lambda t: t.split("P")[0].split("N")[0])
        except ValueError:
            values = [0.0] * len(outputs)
    best = int(np.argmax(values))
    return entries[max(best - 1, 0)]["mask"]


def number(value):
    """A float32 as Python prints the double: so do csv.writer, after .item(), and format() of numpy's."""
    return repr(float(value))


def evaluate(data, mode):
    """CSV text, and the two figures as float32. mode: None, a click, or "live"."""
    f32 = np.float32
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["image_name", "mask_idx", "iou", "caption"])
    eps = f32(1e-10 if mode == "live" else 1e-5)
    total = {"i": f32(0), "u": f32(0), "iou": f32(0), "count": 0}
    groups = []
    for s in data[:5000] if mode == "live" else data:
        if not groups or groups[-1][0] != s["img_path"]:
            groups.append((s["img_path"], []))
        if mode == "live":
            rle = s["pred_list"][-1]["mask"] if s["pred_list"] else None
        else:
            rle = choose(s["pred_list"], mode)
            if rle is None:
                continue
        mask = np.zeros((s["height"], s["width"]), np.uint8) if rle is None else decode(rle)
        groups[-1][1].append((mask, decode(s["gt_mask"]), s["caption"][0]))
    for path, samples in groups:
        if samples:
            add_image(total, path.split("/")[-1], samples, writer)
    figure = total["i"] / (total["u"] + eps)
    mean = total["iou"] / f32(total["count"] + 1e-5)
    return text.getvalue(), figure, mean


def add_image(total, name, samples, writer):
    f32 = np.float32
    sums = [f32(0), f32(0), f32(0)]
    for place, (mask, target, caption) in enumerate(samples):
        both = f32(np.sum(mask & target))
        union = f32(mask.sum()) + f32(target.sum()) - both
        value = both / (union + f32(1e-5))
        writer.writerow([name, place, number(value), caption])
        sums[0] += both
        sums[1] += union
        sums[2] += value
        if union == 0:
            sums[2] += f32(1)
    mean = sums[2] / f32(len(samples))
    writer.writerow([name, -1, number(mean), ""])
    total["i"] += sums[0]
    total["u"] += sums[1]
    total["iou"] += mean * f32(len(samples))
    total["count"] += len(samples)


def write_parity(out, data):
    (out / "parity.json").write_text(json.dumps(data))
    whole = [s for s in data if s["pred_list"]]  # a click of an empty list is an error
    for name, samples, mode in (
        ("parity_best", data, None),
        ("parity_last", whole, -1),
        ("parity_first", whole, 0),
        ("parity_live", data, "live"),
    ):
        text, figure, mean = evaluate(samples, mode)
        (out / f"{name}.csv").write_bytes(text.encode())
        form = "class_iou: {}, global_iou: {}" if mode == "live" else "class_iou: {}\nglobal_iou: {}\n"
        (out / f"{name}.txt").write_text(form.format(number(figure), number(mean)))


def main():
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "tests/golden/metrics")
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    a = make_a(rng)
    b = make_b(rng, a)
    for name, rows in (("a", a), ("b", b)):
        lines = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)
        (out / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    golden = {"seed": SEED, "resamples": RESAMPLES, "kept": measure(a, None), "step": measure(a, 2)}
    golden["compare"] = compare(a, b)
    (out / "figures.json").write_text(json.dumps(golden, indent=1) + "\n")
    (out / "coco.json").write_text(json.dumps(to_coco(a)) + "\n")
    (out / "segagent.json").write_text(json.dumps(to_segagent(a)))
    write_parity(out, make_parity(rng))


if __name__ == "__main__":
    main()
