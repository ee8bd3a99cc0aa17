"""Policy and segmenter together: click by click, many scenes in step, and the figures of their results."""

import numpy as np
import torch
import torch.nn.functional as F
from pycocotools import mask as coco
from scipy.stats import spearmanr

import measure_policy
import policy_data
import scenes
import train_sam

STEPS = 7
SIZE = 50  # scenes in step


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


class Trajectory:
    """A scene, its mask, and the row that becomes of it (results.jsonl; INTERFACES)."""

    def __init__(self, model, directory, row):
        self.row, self.image = row, scenes.read_image(directory, row)
        self.target = scenes.read_mask(row["gt"])
        self.segmenter = Segmenter(model, self.image)
        self.mask = np.zeros_like(self.target)
        self.made, self.steps = [], []
        self.add(None, "", 0.0, "ok")

    def add(self, action, text, score, parse):
        iou = scenes.iou(self.mask, self.target)
        self.steps.append(
            dict(
                action=action,
                text=text,
                predicted_iou=0.0,
                segmenter_score=score,
                mask=to_rle(self.mask),
                parse=parse,
                iou=iou,
            )
        )

    def judge(self, answer):
        """What the policy thinks of the mask as it is."""
        self.steps[-1]["predicted_iou"] = answer.expected_iou

    def click(self, answer):
        """The policy's next click; without one the mask stays as it is."""
        if answer.click is None:
            return self.add(None, answer.text, self.steps[-1]["segmenter_score"], "failed")
        row, column = measure_policy.pixel_of(answer.click, self.mask.shape)
        positive = bool(answer.click[2])
        self.made.append((row, column, positive))
        masks, scores = self.segmenter.masks_and_scores([self.made])
        self.mask = masks[0]
        self.add(dict(positive=positive, row=row, col=column), answer.text, float(scores[0]), "ok")

    def result(self):
        best = 1 + int(np.argmax([s["predicted_iou"] for s in self.steps[1:]]))
        row = self.row
        height, width = self.target.shape
        return dict(
            id=row["id"],
            image=row["image"],
            text=row["text"],
            height=height,
            width=width,
            status="ok",
            error=None,
            mask=self.steps[best]["mask"],
            score=self.steps[best]["predicted_iou"],
            step=best,
            steps=self.steps,
            meta={
                "level": row["meta"]["level"],
                "kind": row["meta"]["kind"],
                "gt": row["gt"],
            },
        )


def run(segmenter, policy, words, directory, rows):
    """Results of all rows, in their order."""
    for at in range(0, len(rows), SIZE):
        running = [Trajectory(segmenter, directory, row) for row in rows[at : at + SIZE]]
        for step in range(STEPS + 1):
            painted = [policy_data.paint(t.image, t.mask) for t in running]
            found = measure_policy.answers(policy, words, painted, [t.row["text"] for t in running])
            for trajectory, answer in zip(running, found):
                trajectory.judge(answer)
                if step < STEPS:
                    trajectory.click(answer)
        yield from (t.result() for t in running)


# ---- figures ----


def interval(values, resamples=10000):
    """Mean, and 95 % of the means of resampled values lie between."""
    rng = np.random.default_rng(37)
    values = np.asarray(values, float)
    means = np.concatenate(
        [values[rng.integers(0, len(values), (100, len(values)))].mean(1) for _ in range(resamples // 100)]
    )
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{values.mean():.4f} [{low:.4f}, {high:.4f}]"


def of_steps(results, key):
    """[scenes, STEPS] of the states after 1 .. STEPS clicks; a trajectory that ended stays in its last state."""
    return np.array(
        [[s[key] for s in (r["steps"] + r["steps"][-1:] * STEPS)[1 : STEPS + 1]] for r in results]
    )


def chosen(ious, scores):
    """IoU of the mask that scores best, of each scene."""
    return ious[np.arange(len(ious)), scores.argmax(1)]


def first_hits(results):
    hits = []
    for r in results:
        action, target = r["steps"][1]["action"], scenes.read_mask(r["meta"]["gt"])
        hits.append(bool(action and action["positive"] and target[action["row"], action["col"]]))
    return np.array(hits)


def figures(results):
    """{what: value as text} of rows of results.jsonl."""
    ious, predicted = of_steps(results, "iou"), of_steps(results, "predicted_iou")
    hits, stop, fixed = first_hits(results), chosen(ious, predicted), ious[:, -1]
    kinds = sorted({r["meta"]["kind"] for r in results})
    of_kind = {k: [i for i, r in enumerate(results) if r["meta"]["kind"] == k] for k in kinds}
    return {
        "scenes": str(len(results)),
        "first click inside": interval(hits),
        "by kind of phrase": ", ".join(f"{k} {hits[i].mean():.2f} of {len(i)}" for k, i in of_kind.items()),
        "gIoU after 1 .. 7 steps": " ".join(f"{v:.4f}" for v in ious.mean(0)),
        "step 5 minus step 1": interval(ious[:, 4] - ious[:, 0]),
        "gIoU, fixed 7 steps": interval(fixed),
        "gIoU, PRM stop, expected value": interval(stop),
        "gIoU, the segmenter's own IoU": interval(chosen(ious, of_steps(results, "segmenter_score"))),
        "gIoU, best of 7 by the truth": interval(ious.max(1)),
        "PRM stop minus fixed 7, paired": interval(stop - fixed),
        "PRM, mean absolute error": f"{np.abs(predicted - ious).mean():.4f}",
        "PRM, Spearman": f"{spearmanr(predicted.ravel(), ious.ravel()).statistic:.4f}",
        "answers that are no click": str(sum(s["parse"] == "failed" for r in results for s in r["steps"])),
    }
