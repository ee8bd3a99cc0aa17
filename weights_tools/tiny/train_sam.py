"""Trains the tiny SAM: clicks in, mask out, on scenes that are drawn as they are needed and never seen twice.

  python train_sam.py --binary build/release/segagent --work DIR [--steps N] [--threads 2]

DIR/checkpoint.pt is written every 250 steps; the same command goes on from it. DIR/curve.csv holds what was
measured on validation scenes. DIR/model is the result, weights averaged over the last steps, in Hugging
Face's layout.
"""

import concurrent.futures
import math
import os

import numpy as np
import torch
import torch.nn.functional as F
from transformers import SamConfig, SamModel

import clicks
import muon
import scenes
import training

IMAGES, OBJECTS, MOST_CLICKS = 8, 3, 7
CHUNK = {"easy": 900, "hard": 450, "steps": 450}  # scenes drawn at a time
FINE = 128  # masks are compared at the model's own size first (4 a patch), at this one for the last fifth
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


def config(patch=8):
    """Windows with padding (32 = 4 * 7 + 4) and relative position: the engine's code for them runs. The first
    stage has patches of 16, which are four times as fast."""
    return SamConfig(
        vision_config=dict(
            image_size=256,
            patch_size=patch,
            hidden_size=128,
            num_hidden_layers=5,
            num_attention_heads=4,
            mlp_dim=512 if patch == 16 else 488,
            mlp_ratio=4.0,
            output_channels=128,
            num_pos_feats=64,
            window_size=7,
            global_attn_indexes=[1, 3, 4],
            use_rel_pos=True,
            use_abs_pos=True,
        ),
        prompt_encoder_config=dict(
            hidden_size=128,
            image_size=256,
            patch_size=patch,
            image_embedding_size=256 // patch,
            mask_input_channels=16,
        ),
        mask_decoder_config=dict(
            hidden_size=128, mlp_dim=256, num_hidden_layers=2, num_attention_heads=4, iou_head_hidden_dim=128
        ),
    )


def initialise(model):
    """The library's own start (weights of 1e-10, a table of zeros) cannot be trained from."""
    for name, weight in model.named_parameters():
        if weight.dim() >= 2:
            torch.nn.init.trunc_normal_(weight, std=0.02)
    for name, buffer in list(model.named_buffers()) + list(model.named_parameters()):
        if name.endswith("positional_embedding"):
            torch.nn.init.normal_(buffer.data, std=1.0)


# ---- from patches of 16 to patches of 8 ----


def resized(tensor, shape):
    """Values between those that are there, along the axes whose lengths differ."""
    for axis, length in enumerate(shape):
        if tensor.shape[axis] != length:
            moved = tensor.movedim(axis, -1)
            flat = moved.reshape(1, -1, moved.shape[-1])
            flat = F.interpolate(flat, length, mode="linear", align_corners=False)
            tensor = flat.reshape(*moved.shape[:-1], length).movedim(-1, axis)
    return tensor


def finer(state, model):
    """Weights of a model with patches of 16 for one with patches of 8, to which every picture is as if it were
    twice as large. Of a layer's hidden units the weakest go."""
    wanted = {name: weight.shape for name, weight in model.state_dict().items()}
    result = dict(state)
    for name in state:
        if name.endswith(".mlp.lin1.weight") and state[name].shape != wanted[name]:
            stem = name[: -len("lin1.weight")]
            second = state[stem + "lin2.weight"]
            strength = state[name].norm(dim=1) * second.norm(dim=0)
            kept = strength.topk(wanted[name][0]).indices.sort().values
            result[name] = state[name][kept]
            result[stem + "lin1.bias"] = state[stem + "lin1.bias"][kept]
            result[stem + "lin2.weight"] = second[:, kept]
    for name, weight in result.items():
        if name.endswith("patch_embed.projection.weight") and weight.shape != wanted[name]:
            weight = F.avg_pool2d(weight, 2) * 4
        result[name] = weight if weight.shape == wanted[name] else resized(weight, wanted[name])
    return result


def to_pixels(images):
    """[n, size, size, 3] uint8 to what the encoder takes."""
    return (torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255 - MEAN) / STD


# ---- scenes ----


class Stream:
    """Batches of images and targets, from chunks that another process draws ahead."""

    def __init__(self, binary, work, first):
        self.binary, self.work, self.next = binary, work, first
        self.pool = concurrent.futures.ThreadPoolExecutor(1)
        self.ahead = self.pool.submit(self.draw, self.next)
        self.batches = []

    def draw(self, number):
        samples = []
        for level, count in CHUNK.items():
            directory = os.path.join(self.work, "scenes-" + level)
            rows = scenes.draw(self.binary, directory, "train", level, number * count, count, phrases=5)
            groups = {}
            for row in rows:
                groups.setdefault(row["image"], []).append(row)
            for group in groups.values():
                samples.append((scenes.read_image(directory, group[0]), [row["gt"] for row in group]))
        return samples

    def batch(self, rng):
        if not self.batches:
            samples = self.ahead.result()
            self.next += 1
            self.ahead = self.pool.submit(self.draw, self.next)
            order = rng.permutation(len(samples))
            self.batches = [
                [samples[i] for i in order[at : at + IMAGES]]
                for at in range(0, len(samples) - IMAGES + 1, IMAGES)
            ]
        chosen = self.batches.pop()
        images = np.stack([image for image, _ in chosen])
        masks = np.stack(
            [scenes.read_mask(rles[i]) for _, rles in chosen for i in rng.choice(len(rles), OBJECTS)]
        )
        return images, masks


# ---- the loss ----


def mask_losses(logits, target):
    """20 focal + dice of every mask: logits [n, 3, s, s], target [n, s, s] to [n, 3]."""
    target = target[:, None].expand_as(logits)
    cross = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    p = torch.sigmoid(logits)
    agree = p * target + (1 - p) * (1 - target)
    focal = ((1 - agree) ** 2 * cross).mean((2, 3))
    dice = 1 - (2 * (p * target).sum((2, 3)) + 1) / (p.sum((2, 3)) + target.sum((2, 3)) + 1)
    return 20 * focal + dice


def true_iou(logits, target):
    inside, wanted = logits > 0, target[:, None] > 0.5
    both = (inside & wanted).sum((2, 3)).float()
    return both / (inside | wanted).sum((2, 3)).clamp(min=1)


def best(values, index):
    return values[torch.arange(len(index)), index]


def decode(model, embedding, points, labels, previous):
    """Logits [n, 3, 64, 64] and predicted IoU [n, 3] of n prompts, one an embedding."""
    out = model(
        image_embeddings=embedding,
        input_points=points[:, None],
        input_labels=labels[:, None],
        input_masks=previous,
        multimask_output=True,
    )
    return out.pred_masks[:, 0], out.iou_scores[:, 0]


def choose_clicks(masks, targets, rng, at_random):
    """Clicks in pixels of the picture; where nothing is wrong any pixel of the target."""
    scale = scenes.SIZE / masks.shape[1]
    points, labels = [], []
    for mask, target in zip(masks, targets):
        click = clicks.random_click(mask, target, rng) if at_random else clicks.next_click(mask, target)
        if click is None:
            click = clicks.random_click(np.zeros_like(target), target, rng) or (0, 0, False)
        points.append([(click[1] + 0.5) * scale, (click[0] + 0.5) * scale])
        labels.append(int(click[2]))
    return torch.tensor(points)[:, None], torch.tensor(labels)[:, None]


def train_step(model, images, masks, rng, side):
    """The loss of one batch: each object is clicked at up to MOST_CLICKS times, where it is wrong."""
    embedding = model.get_image_embeddings(to_pixels(images)).repeat_interleave(OBJECTS, 0)
    target = F.avg_pool2d(torch.from_numpy(masks)[:, None].float(), scenes.SIZE // side)[:, 0]
    wanted, current = (target > 0.5).numpy(), np.zeros(target.shape, bool)
    feeds_back, count = rng.random() < 0.5, int(rng.choice(MOST_CLICKS, p=CLICKS)) + 1
    points = labels = previous = None
    total = 0.0
    for step in range(count):
        point, label = choose_clicks(
            current, wanted, rng, at_random=rng.random() < (0.5 if step == 0 else 0.25)
        )
        points = point if points is None else torch.cat([points, point], 1)
        labels = label if labels is None else torch.cat([labels, label], 1)
        low, predicted = decode(model, embedding, points, labels, previous)
        logits = (
            low
            if side == low.shape[-1]
            else F.interpolate(low, (side, side), mode="bilinear", align_corners=False)
        )
        losses = mask_losses(logits, target)
        total = (
            total
            + losses.min(1).values.mean()
            + 0.05 * losses.mean()
            + F.mse_loss(predicted, true_iou(logits, target))
        )
        index = predicted.detach().argmax(1)
        current = (best(logits, index) > 0).numpy()
        if feeds_back:
            previous = best(low, index)[:, None].detach().clamp(-32, 32)
    return total / count


CLICKS = np.array([0.2, 0.17, 0.15, 0.13, 0.12, 0.12, 0.11])  # how often a batch is clicked at 1 .. 7 times


# ---- measuring ----


@torch.no_grad()
def click_through(model, image, target, count, feeds_back):
    """IoU after 1 .. count clicks of F_sim on one target, and the clicks: [(row, column, positive)]."""
    embedding = model.get_image_embeddings(to_pixels(image[None]).to(model.dtype))
    mask, previous, made, ious = np.zeros_like(target), None, [], []
    for _ in range(count):
        click = clicks.next_click(mask, target, [c[:2] for c in made])
        if click is not None:
            made.append(click)
            points = torch.tensor([[[float(c[1]), float(c[0])] for c in made]])
            labels = torch.tensor([[int(c[2]) for c in made]])
            low, predicted = decode(model, embedding, points, labels, previous)
            chosen = low[:, predicted[0].argmax()][:, None]
            full = F.interpolate(
                chosen.float(), (scenes.SIZE, scenes.SIZE), mode="bilinear", align_corners=False
            )
            mask = (full[0, 0] > 0).numpy()
            previous = chosen if feeds_back else None
        ious.append(scenes.iou(mask, target))
    return ious, made


def measure(model, binary, work, purpose, count, feeds_back=True):
    """{level: mIoU after 1 .. 5 clicks}."""
    model.eval()
    result = {}
    for level in scenes.LEVELS:
        directory = os.path.join(work, f"{purpose}-{level}")
        rows = scenes.draw(binary, directory, purpose, level, 0, count)
        ious = [
            click_through(
                model, scenes.read_image(directory, row), scenes.read_mask(row["gt"]), 5, feeds_back
            )[0]
            for row in rows
        ]
        result[level] = np.mean(ious, 0)
    model.train()
    return result


# ---- training ----


def rate(step, steps):
    """Up for 300 steps, then down by half a cosine."""
    return min(1, (step + 1) / 300) * 0.5 * (1 + math.cos(math.pi * min(1, step / steps)))


def optimisers(model, options):
    """Muon for the layers' matrices, AdamW for the rest; with the rates that they start from."""
    matrices, rest = [], []
    for name, weight in model.named_parameters():
        (matrices if weight.dim() == 2 and ".layers." in name and "rel_pos" not in name else rest).append(
            weight
        )
    return [
        (muon.Muon(matrices, lr=2 * options.rate, weight_decay=0.02), 2 * options.rate),
        (torch.optim.AdamW(rest, lr=options.rate, weight_decay=0.02, betas=(0.9, 0.98)), options.rate),
    ]


class SamTraining(training.Training):
    def __init__(self, options):
        torch.manual_seed(0)
        model = self.make_of(options)
        initialise(model)
        self.coarse = 256 // options.patch * 4
        super().__init__(options, {"model": model}, optimisers(model, options))
        self.stream = Stream(options.binary, options.work, max(self.chunk, options.chunk))

    @staticmethod
    def make_of(options):
        return SamModel(config(options.patch))

    def make(self):
        return self.make_of(self.options)

    def begin_with(self, directory):
        start = SamModel.from_pretrained(directory, dtype=torch.float32).state_dict()
        weights = finer(start, self.model)
        self.model.load_state_dict(weights)
        self.average = {name: weight.clone() for name, weight in weights.items()}

    def next_batch(self):
        rng = np.random.default_rng([17, self.step])
        images, masks = self.stream.batch(rng)
        self.chunk = self.stream.next + 1
        return images, masks, rng

    def losses(self, batch):
        side = self.coarse if self.step < self.options.steps * 0.8 else FINE
        return {"loss": train_step(self.model, *batch, side)}

    def total(self, parts):
        return parts["loss"]

    def factor(self):
        return rate(self.step, self.options.steps)

    def figures(self, model):
        options = self.options
        figures = measure(model, options.binary, options.work, "validation", options.validate)
        return [value for level in scenes.LEVELS for value in figures[level]]

    def write(self, model, directory):
        model.save_pretrained(directory)


def main():
    parser = training.arguments(__doc__, steps=16000, rate=1e-3, validate=150)
    parser.add_argument("--patch", type=int, default=8, choices=(16, 8), help="side of a patch in pixels")
    parser.add_argument("--chunk", type=int, default=0, help="first chunk of scenes: none is met twice")
    options = parser.parse_args()
    training.prepare(options)
    SamTraining(options).train()


if __name__ == "__main__":
    main()
