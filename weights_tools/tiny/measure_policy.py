"""What the policy answers, and how often its first click is inside the target."""

import os
import re
from dataclasses import dataclass

import numpy as np
import torch

import policy_data
import policy_model
import scenes

ANSWER = re.compile(r"Current IOU:\s*(\d+),\s*(Positive|Negative) point:\s*\(\s*(\d+),\s*(\d+)\s*\)")


@dataclass
class Answer:
    text: str
    click: tuple  # row, column in thousandths, positive; None if the text is none that we read
    printed_iou: float
    expected_iou: float  # over the number's digits, each given the ones printed before it


def parse(text):
    found = ANSWER.search(text)
    if not found:
        return None, 0.0
    click = (min(999, int(found[3])), min(999, int(found[4])), found[2] == "Positive")
    return click, int(found[1]) / 10 ** len(found[1])


def expected_iou(words, tokens, scores):
    """The number after the first digit token, as the mean of each place's digit."""
    value, unit = 0.0, 0.1
    started = False
    digits = torch.tensor(words.digits)
    for token, score in zip(tokens, scores):
        if int(token) not in words.digits:
            if started:
                break
            continue
        started = True
        chance = score.float().softmax(-1)[digits]
        value += unit * float((chance / chance.sum() * torch.arange(10)).sum())
        unit /= 10
    return value


@torch.no_grad()
def answers(model, words, pictures, texts, size=64):
    """One Answer for each painted picture [side, side, 3] and its phrase; greedy, by generate()."""
    result = []
    for at in range(0, len(texts), size):
        prompts = [
            [words.bos] + [words.image] * policy_model.PATCHES + words.phrase(t)
            for t in texts[at : at + size]
        ]
        longest = max(map(len, prompts))
        ids = torch.tensor([[words.pad] * (longest - len(p)) + p for p in prompts])
        out = model.generate(
            input_ids=ids,
            attention_mask=(ids != words.pad).long(),
            pixel_values=policy_model.to_pixels(np.stack(pictures[at : at + size])).to(model.dtype),
            max_new_tokens=len(words.answer) + 4,
            do_sample=False,
            return_dict_in_generate=True,
            output_logits=True,
        )
        made = out.sequences[:, longest:]
        for i, tokens in enumerate(made):
            text = words.tokenizer.decode(tokens, skip_special_tokens=True)
            click, iou = parse(text)
            expected = expected_iou(words, tokens, [step[i] for step in out.logits])
            result.append(Answer(text, click, iou, expected))
    return result


def hits(found, targets):
    """Of each answer whether its click is positive and inside the target."""
    result = []
    for answer, target in zip(found, targets):
        inside = answer.click is not None and answer.click[2]
        result.append(bool(inside and target[pixel_of(answer.click, target.shape)]))
    return np.array(result)


def pixel_of(click, shape):
    return tuple(policy_model.to_pixel(click[i], shape[i]) for i in (0, 1))


def validate(model, words, options):
    """Share of first clicks inside the target, of each level; error of the IoU of damaged masks."""
    figures, errors = [], []
    for level in scenes.LEVELS:
        directory = os.path.join(options.work, "validation-" + level)
        scenes.draw(options.binary, directory, "validation", level, 0, options.validate, masks=True)
        drawn = list(policy_data.read_scenes(directory))
        texts = [s.phrases[0][0] for s in drawn]
        targets = [s.phrases[0][1] for s in drawn]
        empty = [policy_data.paint(s.image, np.zeros_like(t)) for s, t in zip(drawn, targets)]
        figures.append(hits(answers(model, words, empty, texts), targets).mean())
        rng = np.random.default_rng(29)
        masks = [policy_data.damaged(s, t, rng) for s, t in zip(drawn, targets)]
        painted = [policy_data.paint(s.image, m) for s, m in zip(drawn, masks)]
        for answer, mask, target in zip(answers(model, words, painted, texts), masks, targets):
            errors.append(abs(answer.expected_iou - scenes.iou(mask, target)))
    return figures + [float(np.mean(errors))]
