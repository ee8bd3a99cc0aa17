"""What the policy is trained on: scenes with masks painted on them, and what there is to say about each.

A sample is one picture with one painted mask, and some of the picture's phrases as questions: for each the
mask's IoU with the phrase's target and the next click, F_sim's. The mask is empty, or a damaged target, or
what the segmenter made of clicks (rollouts.py). Besides, each patch of the picture is told what object it
shows, so that vision can be trained without words.
"""

import json
import multiprocessing
import os
import queue
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

import clicks
import policy_model
import scenes

GREEN = np.array([0, 255, 0], np.uint16)
SHARES = {"easy": 0.4, "hard": 0.3, "steps": 0.3}  # of the levels in a chunk
CELL = 16  # samples of a mask along a patch's side
NOTHING = -1  # the object of a patch that shows the background


# ---- scenes ----


@dataclass
class Scene:
    image: np.ndarray  # [256, 256, 3] uint8
    objects: list  # dicts of the manifest, with "mask" [256, 256] bool
    phrases: list  # (text, target [256, 256] bool)
    states: list  # for each phrase a list of (mask, RLE, and the click to make there; None: F_sim's)


def read_lines(path):
    if not os.path.exists(path):
        return
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def read_states(directory, ids):
    """{row of the manifest: states}."""
    states = {}
    for row in read_lines(os.path.join(directory, "states.jsonl")):
        states.setdefault(row["row"], []).extend((mask, None) for mask in row["states"])
    places = {name: row for row, name in enumerate(ids)}
    for row in read_lines(os.path.join(directory, "lessons.jsonl")):
        action = row["action"]
        click = (action["row"], action["col"], action["positive"])
        states.setdefault(places[row["id"]], []).append((row["mask"], click))
    return states


def read_scenes(directory):
    """A directory that `synth --masks` wrote, with rollouts beside the manifest if there are any
    (rollouts.py): states.jsonl or lessons.jsonl."""
    groups = {}
    for number, row in enumerate(scenes.read_manifest(directory)):
        groups.setdefault(row["image"], []).append((number, row))
    states = read_states(directory, [row["id"] for rows in groups.values() for _, row in rows])
    for rows in groups.values():
        objects = [
            dict(o, mask=scenes.read_mask(o["mask"]))
            for o in rows[0][1]["meta"]["objects"]
            if o["visible"] > 0
        ]
        yield Scene(
            scenes.read_image(directory, rows[0][1]),
            objects,
            [(row["text"], scenes.read_mask(row["gt"])) for _, row in rows],
            [states.get(number, []) for number, _ in rows],
        )


# ---- masks to paint ----


def shifted(mask, rows, columns):
    moved = np.zeros_like(mask)
    size = mask.shape[0]
    moved[max(0, rows) : size + min(0, rows), max(0, columns) : size + min(0, columns)] = mask[
        max(0, -rows) : size + min(0, -rows), max(0, -columns) : size + min(0, -columns)
    ]
    return moved


def disc(rng, around):
    """A round spot with its middle on the given mask."""
    row, column = divmod(int(rng.choice(np.flatnonzero(around))), around.shape[1])
    radius = rng.uniform(8, 45)
    y, x = np.ogrid[: around.shape[0], : around.shape[1]]
    return (y - row) ** 2 + (x - column) ** 2 < radius * radius


def side_of_line(rng, mask):
    """The half of a picture on one side of a line through the mask."""
    row, column = divmod(int(rng.choice(np.flatnonzero(mask))), mask.shape[1])
    turn = rng.uniform(0, 2 * np.pi)
    y, x = np.ogrid[: mask.shape[0], : mask.shape[1]]
    return (y - row) * np.sin(turn) + (x - column) * np.cos(turn) > 0


def damaged(scene, target, rng):
    """A mask as a segmenter might have made it of the target, or of something else."""
    other = scene.objects[int(rng.integers(len(scene.objects)))]["mask"]
    kind = int(rng.integers(8))
    if kind == 0:
        return ndimage.binary_erosion(target, iterations=int(rng.integers(1, 8)))
    if kind == 1:
        return ndimage.binary_dilation(target, iterations=int(rng.integers(1, 10)))
    if kind == 2:
        return shifted(target, int(rng.integers(-25, 26)), int(rng.integers(-25, 26)))
    if kind == 3:
        return target & side_of_line(rng, target)
    if kind == 4:
        return target & ~disc(rng, target)
    if kind == 5:
        return target | other
    if kind == 6:
        return other
    return target | disc(rng, target)


# ---- samples ----


@dataclass
class Query:
    phrase: list  # token ids
    iou: int  # hundredths
    row: int  # thousandths
    column: int
    positive: bool
    cover: np.ndarray  # [PATCHES] how much of each patch the target fills


SAMPLED = np.arange(policy_model.GRID * CELL) * scenes.SIZE // (policy_model.GRID * CELL)


def per_cell(mask):
    """[PATCHES] share of each cell that the mask fills."""
    grid, share = policy_model.GRID, np.float32(1 / CELL**2)
    sampled = mask.view(np.uint8)[SAMPLED][:, SAMPLED]
    return sampled.reshape(grid, CELL, grid, CELL).sum((1, 3), dtype=np.int32).ravel() * share


def teach(mask, target, step, click=None):
    """IoU and click as they are written. The click is F_sim's, looked for on every step-th pixel, if none is
    given."""
    at = slice(step // 2, None, step)
    if click is not None:
        return (
            policy_model.to_hundredths(scenes.iou(mask, target)),
            policy_model.to_thousandths(click[0], target.shape[0]),
            policy_model.to_thousandths(click[1], target.shape[1]),
            click[2],
        )
    click = clicks.next_click(mask[at, at], target[at, at])
    if click is None:
        click = clicks.next_click(np.zeros_like(target[at, at]), target[at, at]) or (0, 0, False)
        click = (click[0], click[1], False)
    side = target.shape[0] // step
    return (
        policy_model.to_hundredths(scenes.iou(mask, target)),
        policy_model.to_thousandths(click[0], side),
        policy_model.to_thousandths(click[1], side),
        click[2],
    )


def paint(image, mask):
    """Half green where the mask is (MODEL_SPECS 1.7), at the size that the policy sees."""
    painted = image
    if mask.any():
        painted = image.copy()
        painted[mask] = (image[mask].astype(np.uint16) + GREEN) >> 1
    side = policy_model.IMAGE_SIDE
    return np.asarray(Image.fromarray(painted).resize((side, side), Image.BICUBIC))


def cells(scene, mask):
    """What each patch shows: [PATCHES, 6 + colours] int64: noun, pattern, IoU, click, colours."""
    cover = np.stack([per_cell(o["mask"]) for o in scene.objects])
    owner = np.where(cover.max(0) > 0.15, cover.argmax(0), NOTHING)
    rows = []
    for o in scene.objects:
        colors = [int(c in o["colors"]) for c in policy_model.COLORS]
        iou, row, column, positive = teach(mask, o["mask"], 4)
        rows.append(
            [policy_model.NOUNS.index(o["shape"]), policy_model.PATTERNS.index(o["pattern"]), iou]
            + [row, column, int(positive)]
            + colors
        )
    table = np.array(rows + [[NOTHING] * len(rows[0])])
    return table[owner]


def make_sample(words, scene, rng, shares):
    """One picture, painted: shares are the chances of an empty mask and of a segmenter's."""
    which = int(rng.integers(len(scene.phrases)))
    target = scene.phrases[which][1]
    kind, click, states = rng.random(), None, scene.states[which]
    if kind < shares[0] and not (states and states[0][1]):
        mask = np.zeros_like(target)
    elif kind < shares[0] + shares[1] and states:
        rle, click = states[int(rng.integers(len(states)))]
        mask = scenes.read_mask(rle)
    else:
        mask = damaged(scene, target, rng)
    others = [i for i in range(len(scene.phrases)) if i != which]
    rng.shuffle(others)
    asked = [which] + others[: 3 if not mask.any() else 2]
    queries = []
    for i in asked:
        text, wanted = scene.phrases[i]
        own = click if i == which else None
        queries.append(Query(words.phrase(text), *teach(mask, wanted, 2, own), per_cell(wanted)))
    return paint(scene.image, mask), cells(scene, mask), queries


# ---- batches ----


@dataclass
class Batch:
    """n pictures, q questions in all, packed behind their pictures; t is the longest pack."""

    images: np.ndarray  # [n, side, side, 3] uint8
    cells: np.ndarray  # [n, PATCHES, 6 + colours]
    ids: np.ndarray  # [n, t] tokens behind the image
    segments: np.ndarray  # [n, t] which question a token belongs to; -1 none
    positions: np.ndarray  # [n, t]
    answers: np.ndarray  # [q, 6] picture, place of the answer's first token, IoU, row, column, sign
    cover: np.ndarray  # [q, PATCHES]


def collate(words, samples):
    packs, answers, cover = [], [], []
    for n, (_, _, queries) in enumerate(samples):
        ids, segments, positions = [], [], []
        for s, q in enumerate(queries):
            answer = words.write_answer(q.iou, q.row, q.column, q.positive)
            answers.append((n, len(ids) + len(q.phrase), q.iou, q.row, q.column, int(q.positive)))
            cover.append(q.cover)
            both = q.phrase + answer[:-1]
            ids += both
            segments += [s] * len(both)
            positions += range(1 + policy_model.PATCHES, 1 + policy_model.PATCHES + len(both))
        packs.append((ids, segments, positions))
    longest = max(len(p[0]) for p in packs)
    padded = [
        np.array([list(p[k]) + [fill] * (longest - len(p[k])) for p in packs])
        for k, fill in ((0, words.pad), (1, -1), (2, 0))
    ]
    return Batch(
        np.stack([s[0] for s in samples]),
        np.stack([s[1] for s in samples]),
        *padded,
        np.array(answers),
        np.stack(cover),
    )


class Source:
    """Batches from another process, which draws scenes and paints masks ahead of the training.

    Chunks of fresh scenes alternate with those of `pool`, a directory of scenes with rollouts, if it has any.
    """

    def __init__(self, options, first):
        self.queue = multiprocessing.Queue(maxsize=8)
        self.process = multiprocessing.Process(target=produce, args=(self.queue, options, first), daemon=True)
        self.process.start()

    def next(self):
        """A batch, and the number of the chunk that it comes from."""
        while True:
            try:
                return self.queue.get(timeout=10)
            except queue.Empty:
                if not self.process.is_alive():
                    raise RuntimeError("the process that draws scenes has died; its message stands above")


@dataclass
class SourceOptions:
    binary: str
    work: str
    pool: str  # or ""
    size: int  # pictures of a batch
    chunk: int  # scenes of a chunk
    uses: int  # masks painted on one picture
    shares: tuple  # chances of an empty mask, of a segmenter's mask
    damage: bool  # other masks than the pool's are damaged targets as well; else empty


def fresh_chunk(options, number):
    for level, share in SHARES.items():
        directory = os.path.join(options.work, "scenes-" + level)
        count = int(options.chunk * share)
        scenes.draw(options.binary, directory, "train", level, number * count, count, phrases=5, masks=True)
        yield from read_scenes(directory)


def pool_parts(pool):
    """For each level its directories in the pool that are whole."""
    names = sorted(n for n in os.listdir(pool) if not n.endswith(".new")) if os.path.isdir(pool) else []
    return [[n for n in names if n.startswith(level + "-")] for level in SHARES]


def pool_chunk(pool, rng):
    """Scenes with rollouts: of each level one part of the pool."""
    for parts in pool_parts(pool):
        yield from read_scenes(os.path.join(pool, parts[int(rng.integers(len(parts)))]))


def produce(batches, options, number):
    words = policy_model.Words()
    while True:
        rng = np.random.default_rng([23, number])
        pooled = number % 2 == 1 and all(pool_parts(options.pool))
        shares = options.shares if options.damage else ((0.3, 0.7) if pooled else (1, 0))
        drawn = list(pool_chunk(options.pool, rng) if pooled else fresh_chunk(options, number))
        order = np.concatenate([rng.permutation(len(drawn)) for _ in range(options.uses)])
        for at in range(0, len(order) - options.size + 1, options.size):
            samples = [make_sample(words, drawn[i], rng, shares) for i in order[at : at + options.size]]
            batches.put((collate(words, samples), number))
        number += 1
