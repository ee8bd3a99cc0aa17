"""Trains the tiny policy: a picture with a painted mask and a phrase in, the mask's IoU and the next click
out.

  python train_policy.py --binary build/release/segagent --work DIR [--pool DIR] [--steps N] [--see N]

For the first --see steps only vision is trained: each patch is told what object it shows, and what that
object's IoU and next click are. Then everything, together. DIR/checkpoint.pt is written every 250 steps; the
same command goes on from it. DIR/curve.csv holds what was measured on validation scenes, DIR/model the
result, weights averaged over the last steps, in Hugging Face's layout.
"""

import math

import torch
import torch.nn.functional as F
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

import measure_policy
import muon
import policy_data
import policy_model
import training
from policy_model import PATCHES

GUIDED_LAYERS, GUIDED_HEADS = (1, 2, 3), 2  # attention from answers is led to the target, in these
NOUN, PATTERN, IOU, ROW, COLUMN, SIGN, COLOR = range(7)  # columns of Batch.cells; colours to the end
DIGIT_WEIGHTS = torch.tensor([2.5, 1.2, 2.0, 0.8, 0.15, 2.0, 0.8, 0.15])  # IoU, row, column
IOU_DIGITS = torch.from_numpy(policy_model.soft_digits(2, 2.0))
PLACE_DIGITS = torch.from_numpy(policy_model.soft_digits(3, 14.0))


def wanted_digits(iou, row, column):
    """[n, 8, 10] the chances of the digits that write them."""
    return torch.cat([IOU_DIGITS[iou], PLACE_DIGITS[row], PLACE_DIGITS[column]], 1)


class PatchHeads(torch.nn.Module):
    """What a patch says of the object that it shows; only training has these.

    Its words are read against the decoder's own embeddings, so that patches and words come to share a space.
    """

    def __init__(self, width, words):
        super().__init__()
        self.attributes = torch.tensor(words.attributes)
        self.scale = torch.nn.Parameter(torch.tensor(4.0))
        self.bias = torch.nn.Parameter(torch.full((len(words.attributes),), -2.0))
        self.shows_object = torch.nn.Linear(width, 1)
        self.digits = torch.nn.Linear(width, 80)
        self.sign = torch.nn.Linear(width, 1)

    def forward(self, patches, embeddings, cells):
        """The loss: patches [n, PATCHES, width], cells as in policy_data.Batch."""
        shown = cells[..., NOUN] != policy_data.NOTHING
        unit = F.normalize(patches, dim=-1)
        there = F.binary_cross_entropy_with_logits(self.shows_object(patches)[..., 0], shown.float())
        patches, unit, cells = patches[shown], unit[shown], cells[shown]
        said = unit @ F.normalize(embeddings[self.attributes], dim=-1).T * self.scale.exp() + self.bias
        nouns, patterns = len(policy_model.NOUNS), len(policy_model.PATTERNS)
        truth = torch.cat(
            [
                F.one_hot(cells[:, NOUN], nouns),
                cells[:, COLOR:],
                F.one_hot(cells[:, PATTERN], patterns),
            ],
            1,
        ).float()
        words = F.binary_cross_entropy_with_logits(said, truth, reduction="none").sum(1).mean()
        digits = self.digits(patches).view(-1, 8, 10).log_softmax(-1)
        wanted = wanted_digits(cells[:, IOU], cells[:, ROW], cells[:, COLUMN])
        numbers = -((wanted * digits).sum(-1) * DIGIT_WEIGHTS).sum(1).mean()
        sign = F.binary_cross_entropy_with_logits(self.sign(patches)[:, 0], cells[:, SIGN].float())
        return there + words + 0.5 * numbers + sign


# ---- from larger patches to smaller ones ----


def finer(state, model):
    """Weights of a model with other patches for this one, to which every picture is as if it had another size."""
    wanted = {name: weight.shape for name, weight in model.state_dict().items()}
    result = dict(state)
    for name, weight in state.items():
        shape = wanted[name]
        if name.endswith("patch_embedding.weight") and weight.shape != shape:
            scale = weight.shape[-1] ** 2 / shape[-1] ** 2
            result[name] = scale * F.interpolate(weight, shape[-2:], mode="bilinear", antialias=True)
        elif name.endswith("position_embedding.weight") and weight.shape != shape:
            old, new = math.isqrt(len(weight) - 1), math.isqrt(shape[0] - 1)
            grid = weight[1:].T.reshape(1, -1, old, old)
            grid = F.interpolate(grid, (new, new), mode="bilinear", align_corners=False)
            result[name] = torch.cat([weight[:1], grid.reshape(-1, new * new).T])
    return result


# ---- forward ----


def see(model, images):
    """[n, PATCHES, width] of the decoder, from pictures [n, side, side, 3] uint8."""
    features = model.model.vision_tower(policy_model.to_pixels(images)).last_hidden_state[:, 1:]
    return model.model.multi_modal_projector(features)


def pack_mask(segments):
    """[n, 1, t, t] 0 or -inf: tokens see the image, and what stands before them of their own question."""
    n, t = segments.shape
    prefix = torch.full((n, 1 + PATCHES), -2)
    owner = torch.cat([prefix, segments], 1)
    length = owner.shape[1]
    before = torch.ones(length, length, dtype=torch.bool).tril()
    same = (owner[:, None, :] == owner[:, :, None]) | (owner[:, None, :] == -2)
    mask = torch.zeros(n, 1, length, length)
    return mask.masked_fill_(~(before & same)[:, None], -torch.inf)


def decode(model, words, patches, batch):
    """The decoder's states [layers + 1][n, 1 + PATCHES + t, width] and positions."""
    n = len(patches)
    embed = model.model.language_model.embed_tokens
    begin = embed(torch.full((n, 1), words.bos))
    inputs = torch.cat([begin, patches, embed(torch.from_numpy(batch.ids))], 1)
    prefix = torch.arange(1 + PATCHES).expand(n, -1)
    positions = torch.cat([prefix, torch.from_numpy(batch.positions)], 1)
    out = model.model.language_model(
        inputs_embeds=inputs,
        attention_mask=pack_mask(torch.from_numpy(batch.segments)),
        position_ids=positions,
        output_hidden_states=True,
        use_cache=False,
    )
    return out.hidden_states, out.last_hidden_state, positions


# ---- losses ----


def answer_loss(words, logits, answers):
    """logits [q, answer, vocabulary] of the answers' tokens; answers as in policy_data.Batch."""
    chances = logits.log_softmax(-1)
    iou, row, column, sign = (answers[:, i] for i in (2, 3, 4, 5))
    digits = chances[:, words.digit_places][:, :, words.digits]
    wanted = wanted_digits(iou, row, column)
    numbers = -((wanted * digits).sum(-1) * DIGIT_WEIGHTS).sum(1).mean()
    signs = -chances[torch.arange(len(sign)), words.sign_place, torch.tensor(words.signs)[sign]].mean()
    fixed = [i for i in range(len(words.answer)) if i not in words.digit_places and i != words.sign_place]
    grammar = -chances[:, fixed, torch.tensor(words.answer)[fixed]].mean()
    return numbers + signs + grammar


def guide_loss(model, states, positions, batch):
    """How little of the image that the first heads look at, from the answer's tokens, is the target."""
    decoder = model.model.language_model
    answers = torch.from_numpy(batch.answers)
    picture = answers[:, 0]
    places = 1 + PATCHES + answers[:, 1:2] - 1 + torch.arange(0, 21, 2)
    cover = torch.from_numpy(batch.cover).float()
    weight = cover / cover.max(1, keepdim=True).values.clamp(min=1e-3)
    total = 0.0
    cos, sin = decoder.rotary_emb(states[0], positions)
    width = decoder.layers[0].self_attn.head_dim
    for number in GUIDED_LAYERS:
        layer = decoder.layers[number]
        hidden = layer.input_layernorm(states[number])
        some = slice(0, GUIDED_HEADS * width)
        asking = hidden[picture[:, None], places]
        q = F.linear(asking, layer.self_attn.q_proj.weight[some])
        k = F.linear(hidden[:, 1 : 1 + PATCHES], layer.self_attn.k_proj.weight[some])
        q = q.view(*q.shape[:2], GUIDED_HEADS, width).transpose(1, 2)
        k = k.view(*k.shape[:2], GUIDED_HEADS, width).transpose(1, 2)
        q, _ = apply_rotary_pos_emb(q, q, cos[picture[:, None], places], sin[picture[:, None], places])
        _, k = apply_rotary_pos_emb(k, k, cos[:, 1 : 1 + PATCHES], sin[:, 1 : 1 + PATCHES])
        looked = (q @ k[picture].transpose(-1, -2) / math.sqrt(width)).softmax(-1)
        share = (looked * weight[:, None, None]).sum(-1)
        total = total - (share + 1e-4).log().mean()
    return total / len(GUIDED_LAYERS)


# ---- training ----


def optimisers(model, heads, options):
    """Muon for the layers' matrices, AdamW for the rest; with the rates that they start from."""
    matrices, rest = [], []
    for name, weight in model.named_parameters():
        (matrices if weight.dim() == 2 and ".layers." in name else rest).append(weight)
    rest += heads.parameters()
    return [
        (muon.Muon(matrices, lr=options.rate, weight_decay=0.02), options.rate),
        (
            torch.optim.AdamW(rest, lr=options.rate / 2, weight_decay=0.01, betas=(0.9, 0.98)),
            options.rate / 2,
        ),
    ]


def rate(step, steps, least=0.02):
    """Up for 200 steps, flat, then down over the last half."""
    return min(1, (step + 1) / 200, max(least, 2 * (1 - step / steps)))


class PolicyTraining(training.Training):
    clip = 5.0

    def __init__(self, options):
        torch.manual_seed(0)
        self.words = policy_model.Words()
        model = policy_model.make(self.words)
        self.heads = PatchHeads(model.config.text_config.hidden_size, self.words)
        modules = {"model": model, "heads": self.heads}
        super().__init__(options, modules, optimisers(model, self.heads, options))
        self.chunk = max(self.chunk, options.chunk)
        self.source = policy_data.Source(
            policy_data.SourceOptions(
                options.binary,
                options.work,
                options.pool,
                options.size,
                chunk=600,
                uses=4,
                shares=(0.3, 0.6),
                damage=not options.undamaged,
            ),
            self.chunk,
        )

    def make(self):
        return policy_model.make(self.words)

    def next_batch(self):
        batch, chunk = self.source.next()
        self.chunk = chunk + 1
        return batch

    def begin_with(self, directory):
        start = type(self.model).from_pretrained(directory, dtype=torch.float32).state_dict()
        weights = finer(start, self.model)
        self.model.load_state_dict(weights)
        self.average = {name: weight.clone() for name, weight in weights.items()}

    def sees_only(self):
        return self.step < self.options.see

    def losses(self, batch):
        patches = see(self.model, batch.images)
        embeddings = self.model.model.language_model.embed_tokens.weight
        result = {"patch": self.heads(patches, embeddings, torch.from_numpy(batch.cells))}
        if not self.sees_only():
            states, last, positions = decode(self.model, self.words, patches, batch)
            answers = torch.from_numpy(batch.answers)
            places = PATCHES + answers[:, 1:2] + torch.arange(len(self.words.answer))
            logits = self.model.lm_head(last[answers[:, :1], places])
            result["answer"] = answer_loss(self.words, logits, answers)
            result["guide"] = guide_loss(self.model, states, positions, batch)
        return result

    def total(self, parts):
        if self.sees_only():
            return parts["patch"]
        return 0.3 * parts["patch"] + parts["answer"] + 0.5 * parts["guide"]

    def factor(self):
        return rate(self.step, self.options.steps)

    def report(self):
        if not self.sees_only():
            super().report()

    def figures(self, model):
        return measure_policy.validate(model, self.words, self.options)

    def write(self, model, directory):
        model.save_pretrained(directory)
        self.words.tokenizer.save_pretrained(directory)


def main():
    parser = training.arguments(__doc__, steps=20000, rate=4e-3, validate=200)
    parser.add_argument("--pool", default="", help="scenes with rollouts, of rollouts.py")
    parser.add_argument("--undamaged", action="store_true", help="no masks but the pool's, and empty ones")
    parser.add_argument("--see", type=int, default=1500, help="steps of vision only")
    parser.add_argument("--chunk", type=int, default=0, help="the first of scenes that --start has not seen")
    parser.add_argument("--size", type=int, default=32, help="pictures of a batch")
    options = parser.parse_args()
    training.prepare(options)
    PolicyTraining(options).train()


if __name__ == "__main__":
    main()
