"""The agent's loop as SegAgent's release runs it, on transformers: one item at a time, in f32.

  python bench/peers/serial_agent.py --agent weights_tools/tiny/agent --input scenes/manifest.jsonl --out DIR

For every step the mask is painted on the picture, written to a file and read back; the policy (LLaVA)
writes its answer with generate(), greedily; the answer is parsed; the segmenter (SamModel) gets all clicks so
far, and its best mask is what is painted next. The segmenter's embedding of the picture is made once an item.

Writes results.jsonl, whose rows are the engine's with what compares them added, and run.json. Prints steps a
second: answers that led to clicks, without loading and after a few items that are not counted. Nothing in
here is the engine's; peers_agent.py runs both. See bench/peers/README.md.
"""

import argparse
import itertools
import json
import re
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as coco
from transformers import AutoImageProcessor, AutoTokenizer, LlavaForConditionalGeneration

from implementations import ROOT
from sam_common import Prompt, hf_model, load_checkpoint, postprocess, predict_hf, preprocess, set_exact_math

MOST_ANSWER = 64  # tokens, as the engine has it
IMAGE = "<image>"

# ---- the agent's file, and what its answers mean ----

DEFAULTS = {
    "template": "plain",
    "prompt": "{image}{text}",
    "steps": 7,
    "temperature": 0,
    "mask_threshold": 0,
    "previous_mask": True,
}
PARTS = {
    "overlay": {"color": [0, 255, 0], "alpha": 0.5, "rounding": "trunc", "jpeg_quality": None},
    "action": {
        "positive": "Positive point:",
        "negative": "Negative point:",
        "order": "row,col",
        "scale": 1000,
        "rounding": "half-even",
    },
    "prm": {"prefix": "Current IOU:", "scale": 100},
}


def read_agent(folder):
    """agent.json with the defaults filled in; a policy without a PRM has none here."""
    agent = DEFAULTS | json.loads((folder / "agent.json").read_text())
    for name, defaults in PARTS.items():
        agent[name] = defaults | (agent.get(name) or {})
    if agent["template"] != "plain" or agent["temperature"] != 0:
        raise SystemExit(f"{folder}: only the template 'plain' and temperature 0 are known here")
    return agent


def phrase_pattern(phrase):
    """The phrase with more or fewer spaces than it is written with."""
    return r"\s*".join(re.escape(c) for c in phrase if not c.isspace())


def behind_last(text, phrase):
    """What stands behind the last of a phrase; None if it is not there."""
    found = [m.end() for m in re.finditer(phrase_pattern(phrase), text)]
    return text[found[-1] :] if found else None


def to_pixel(action, number, side):
    if action["rounding"] == "half-even":
        pixel = round(number / action["scale"] * side)
    else:
        pixel = number * side // action["scale"]
    return min(max(pixel, 0), side - 1)


PLACE = re.compile(r"\(\s*([+-]?\d+)\s*,\s*([+-]?\d+)\s*(?:,\s*[+-]?\d+\s*)*\)")


def parse_click(action, text, height, width):
    """{"positive", "row", "col"} in pixels, or None. The positive word anywhere makes it positive
    (MODEL_SPECS 7.3)."""
    positive = behind_last(text, action["positive"])
    behind = positive if positive is not None else behind_last(text, action["negative"])
    if behind is None or "(" not in behind:
        return None
    found = PLACE.match(behind, behind.index("("))
    if found is None:
        return None
    numbers = [int(found[1]), int(found[2])]
    if action["order"] != "row,col":
        numbers.reverse()
    return dict(
        positive=positive is not None,
        row=to_pixel(action, numbers[0], height),
        col=to_pixel(action, numbers[1], width),
    )


def parse_iou(prm, text):
    """The IoU as printed and the digits before its point; (0, 0) if it says none."""
    behind = behind_last(text, prm["prefix"])
    found = re.match(r"\s*((\d{1,9})(?!\d)(?:\.\d+)?)", behind) if behind is not None else None
    return (min(1.0, float(found[1]) / prm["scale"]), len(found[2])) if found else (0.0, 0)


# ---- the policy ----


@dataclass
class Answer:
    text: str
    click: dict  # or None
    expected_iou: float
    tokens: list
    logits: torch.Tensor  # [tokens, vocabulary], for whoever wants to know how sure it was


class Policy:
    """LLaVA by transformers. Pictures are resized by Pillow, as in the release, since torchvision's
    bicubic gives other bytes."""

    def __init__(self, folder, agent, attention):
        self.agent = agent
        self.model = LlavaForConditionalGeneration.from_pretrained(
            folder, dtype=torch.float32, attn_implementation=attention
        ).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
        pieces = self.tokenizer.convert_ids_to_tokens(range(len(self.tokenizer)))
        self.numbers = {i: p for i, p in enumerate(pieces) if re.fullmatch(r"[0-9]{1,4}|\.", p)}

    @torch.inference_mode()
    def ask(self, picture, text):
        """picture: Pillow's, painted."""
        images = IMAGE * self.model.config.image_seq_length
        prompt = self.agent["prompt"].replace("{image}", images).replace("{text}", text)
        ids = self.tokenizer(prompt, return_tensors="pt")["input_ids"]
        out = self.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            pixel_values=self.processor(picture, return_tensors="pt")["pixel_values"],
            max_new_tokens=MOST_ANSWER,
            do_sample=False,
            return_dict_in_generate=True,
            output_logits=True,
        )
        tokens, logits = out.sequences[0, ids.shape[1] :].tolist(), torch.cat(out.logits)
        written = self.tokenizer.decode(tokens, skip_special_tokens=True)
        click = parse_click(self.agent["action"], written, picture.height, picture.width)
        return Answer(written, click, self.expected_iou(written, tokens, logits), tokens, logits)

    def expected_iou(self, text, tokens, logits):
        """Over the first number's tokens: each one's mean over all of its length, given the ones before it.
        The number as printed if it is another one, and for 100 (as runtime/hlmat/answer.h has it)."""
        prm = self.agent["prm"]
        printed, digits = parse_iou(prm, text)
        first = next((i for i, token in enumerate(tokens) if token in self.numbers), len(tokens))
        places = list(itertools.takewhile(lambda i: tokens[i] in self.numbers, range(first, len(tokens))))
        spelt = "".join(self.numbers[tokens[i]] for i in places).removesuffix(".")
        behind = behind_last(text, prm["prefix"])
        full = prm["scale"] == 100 and digits > 2
        if digits == 0 or full or re.match(r"\s*([0-9.]*[0-9])", behind)[1] != spelt:
            return printed
        value, unit = 0.0, 10**digits / prm["scale"]
        for i in places:
            length = len(self.numbers[tokens[i]])
            if self.numbers[tokens[i]] != ".":
                unit /= 10**length
                value += unit * self.mean_value(length, logits[i])
        return min(1.0, max(0.0, value))

    def mean_value(self, length, logits):
        ids = [i for i, piece in self.numbers.items() if len(piece) == length and piece != "."]
        chance = logits[ids].double().softmax(0)
        return float(chance @ torch.tensor([float(self.numbers[i]) for i in ids], dtype=torch.float64))


# ---- the segmenter ----


class Segmenter:
    """SAM by transformers, with one picture in it."""

    def __init__(self, folder, agent, attention):
        self.threshold, self.feeds_back = agent["mask_threshold"], agent["previous_mask"]
        self.model = hf_model(*load_checkpoint(folder), attention=attention)

    @torch.inference_mode()
    def set_image(self, image):
        pixels, self.size = preprocess(image, self.model.config.vision_config.image_size)
        self.embedding = self.model.get_image_embeddings(pixels[None])
        self.previous = None

    @torch.inference_mode()
    def segment(self, clicks):
        """The best mask of all clicks so far [H,W] bool, and the scores of all three, the best one first."""
        prompt = Prompt(
            points=np.array([[c["col"], c["row"]] for c in clicks], dtype=np.float64),
            labels=np.array([int(c["positive"]) for c in clicks]),
            mask_input=self.previous,
        )
        low, scores = predict_hf(self.model, self.embedding, self.size, prompt)
        best = int(scores.argmax())
        self.previous = low[best].numpy() if self.feeds_back else None
        mask = postprocess(low[best][None], self.size)[0] > self.threshold
        return mask.numpy(), sorted(scores.tolist(), reverse=True)


# ---- the loop ----


@dataclass
class Clock:
    """Seconds by what they were spent on."""

    parts: dict = field(default_factory=lambda: dict(paint=0.0, think=0.0, encode=0.0, click=0.0))

    def timed(self, part, function, *arguments):
        begun = time.perf_counter()
        result = function(*arguments)
        self.parts[part] += time.perf_counter() - begun
        return result


@dataclass
class Step:
    """A mask, what led to it, and what the policy says of it."""

    mask: np.ndarray
    came: Answer = None
    scores: tuple = (0.0,)
    judged: Answer = None

    @property
    def predicted_iou(self):
        return self.judged.expected_iou if self.judged else None


def paint(overlay, image, mask):
    """MODEL_SPECS 1.7, in doubles."""
    painted = image.copy()
    color = np.array(overlay["color"], dtype=np.float64)
    mixed = (1.0 - overlay["alpha"]) * image[mask] + overlay["alpha"] * color
    painted[mask] = np.trunc(mixed) if overlay["rounding"] == "trunc" else np.rint(mixed)
    return painted


class Loop:
    """Policy and segmenter, and the file between them: a JPEG if the agent's was, else one without loss."""

    def __init__(self, agent, policy, segmenter, options, folder):
        self.agent, self.policy, self.segmenter, self.options = agent, policy, segmenter, options
        self.quality = agent["overlay"]["jpeg_quality"]
        self.path = folder / ("painted." + (options.file if self.quality is None else "jpg"))
        self.clock = Clock()

    def repainted(self, image, mask):
        """Painted, written and read back."""
        painted = Image.fromarray(paint(self.agent["overlay"], image, mask))
        painted.save(self.path, **({} if self.quality is None else {"quality": self.quality}))
        with Image.open(self.path) as file:
            return file.convert("RGB")

    def ask(self, image, mask, text):
        picture = self.clock.timed("paint", self.repainted, image, mask)
        return self.clock.timed("think", self.policy.ask, picture, text)

    def run(self, image, text):
        """All steps of one item, the empty mask first. An answer without a click ends it."""
        self.clock.timed("encode", self.segmenter.set_image, image)
        steps, clicks = [Step(np.zeros(image.shape[:2], bool))], []
        for _ in range(self.options.steps):
            answer = self.ask(image, steps[-1].mask, text)
            steps[-1].judged = answer
            if answer.click is None:
                return steps + [Step(steps[-1].mask, answer, steps[-1].scores, answer)]
            clicks.append(answer.click)
            mask, scores = self.clock.timed("click", self.segmenter.segment, clicks)
            steps.append(Step(mask, answer, scores))
        if self.options.search == "prm-stop" or not self.options.as_released:
            steps[-1].judged = self.ask(image, steps[-1].mask, text)
        return steps


# ---- what is written ----


def to_rle(mask):
    rle = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def read_mask(rle):
    return coco.decode({"size": rle["size"], "counts": rle["counts"].encode()}).astype(bool)


def true_iou(mask, target):
    union = np.count_nonzero(mask | target)
    return np.count_nonzero(mask & target) / union if union else 0.0


def sureness(tokenizer, answer):
    """Of each token: where its text ends, how far the next best one's logit was, and what that says. Besides
    the largest logit of all."""
    top = answer.logits.topk(2)
    written = [
        tokenizer.decode(answer.tokens[: i + 1], skip_special_tokens=True) for i in range(len(answer.tokens))
    ]
    return dict(
        ends=[len(text) for text in written],
        margins=[float(a - b) for a, b in top.values],
        second=tokenizer.convert_ids_to_tokens(top.indices[:, 1].tolist()),
        largest_logit=float(answer.logits.abs().max()),
    )


def step_row(step, target, tokenizer):
    row = dict(
        action=step.came.click if step.came else None,
        text=step.came.text if step.came else "",
        predicted_iou=step.predicted_iou,
        segmenter_score=step.scores[0],
        mask=to_rle(step.mask),
        parse="failed" if step.came and step.came.click is None else "ok",
    )
    if target is not None:
        row["iou"] = true_iou(step.mask, target)
    if step.came:
        row["sureness"] = sureness(tokenizer, step.came)
        row["scores"] = step.scores
    return row


def kept_step(steps, search):
    """greedy: the last; prm-stop: the first of those that the policy thinks best, the empty one left out."""
    if search == "greedy" or len(steps) == 1:
        return len(steps) - 1
    return max(range(1, len(steps)), key=lambda i: (steps[i].predicted_iou, -i))


def item_row(row, image, steps, options, tokenizer):
    target = read_mask(row["gt"]) if isinstance(row.get("gt"), dict) else None
    told = [step_row(step, target, tokenizer) for step in steps]
    kept = kept_step(steps, options.search)
    return dict(
        id=row["id"],
        image=row["image"],
        text=row["text"],
        height=image.shape[0],
        width=image.shape[1],
        status="ok",
        error=None,
        mask=told[kept]["mask"],
        score=told[kept]["predicted_iou"],
        step=kept,
        steps=told,
    )


# ---- the command ----


def read_manifest(path, limit):
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [{"id": str(n)} | json.loads(line) for n, line in enumerate(lines, 1) if line.strip()]
    return rows[:limit] if limit else rows


def read_image(path):
    with Image.open(path) as file:
        return np.asarray(file.convert("RGB"))


def run_all(loop, rows, options):
    """Writes every item's row behind its run, outside of the clock. Returns the run's record."""
    folder, total, answers, clicks = options.input.parent, 0.0, 0, 0
    for row in rows[: options.warm_up]:
        loop.run(read_image(folder / row["image"]), row["text"])
    loop.clock = Clock()
    with open(options.out / "results.jsonl", "w", encoding="utf-8") as file:
        for row in rows:
            begun = time.perf_counter()
            image = read_image(folder / row["image"])
            steps = loop.run(image, row["text"])
            total += time.perf_counter() - begun
            clicks += sum(s.came is not None and s.came.click is not None for s in steps)
            answers += sum(s.judged is not None for s in steps) - (steps[-1].judged is steps[-1].came)
            file.write(json.dumps(item_row(row, image, steps, options, loop.policy.tokenizer)) + "\n")
    return dict(
        times=dict(total=total) | loop.clock.parts,
        counters=dict(items=len(rows), thoughts=answers, clicks=clicks),
    )


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--agent", type=Path, default=ROOT / "weights_tools/tiny/agent")
    parser.add_argument("--input", type=Path, required=True, help="a manifest, as `segagent synth` writes it")
    parser.add_argument("--out", type=Path, required=True, help="folder for results.jsonl and run.json")
    parser.add_argument("--search", choices=["greedy", "prm-stop"], default="greedy")
    parser.add_argument("--steps", type=int, default=0, help="clicks of an item; 0: the agent's")
    parser.add_argument(
        "--as-released",
        action="store_true",
        help="greedy: leave the last mask unjudged, one answer less for each item than the engine asks for",
    )
    parser.add_argument(
        "--file",
        choices=["bmp", "png"],
        default="bmp",
        help="of painted pictures, where the agent's are no JPEGs; a BMP is as quick as the release's JPEG",
    )
    parser.add_argument("--limit", type=int, default=0, help="only the first N items; 0 takes all")
    parser.add_argument("--warm-up", type=int, default=3, help="items that are run before, and not counted")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--attention", choices=["sdpa", "eager"], default="sdpa", help="of both models")
    return parser.parse_args()


def main():
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    set_exact_math()
    options.out.mkdir(parents=True, exist_ok=True)
    agent = read_agent(options.agent)
    options.steps = options.steps or agent["steps"]
    policy = Policy(options.agent / agent["policy"], agent, options.attention)
    segmenter = Segmenter(options.agent / agent["segmenter"], agent, options.attention)
    rows = read_manifest(options.input, options.limit)
    with tempfile.TemporaryDirectory() as folder:
        record = run_all(Loop(agent, policy, segmenter, options, Path(folder)), rows, options)
    (options.out / "run.json").write_text(json.dumps(record) + "\n")
    times, counters = record["times"], record["counters"]
    parts = ", ".join(f"{name} {times[name]:.2f}" for name in times if name != "total")
    print(
        f"{counters['items']} items, {counters['clicks']} steps, {counters['thoughts']} answers in"
        f" {times['total']:.2f} s ({parts}): {counters['clicks'] / times['total']:.2f} steps/s"
    )


if __name__ == "__main__":
    main()
