"""The tiny policy: its shape, its words, and how a click and an IoU are written.

LLaVA's layout (MODEL_SPECS 5): a CLIP tower, a projector of two layers, a LLaMA decoder, and a tokenizer as
LLaMA 2 has it (BPE with byte fallback), so that any text can be asked. A prompt is the image and the phrase,
an answer the IoU of the painted mask and the next click, in 1/1000 of the picture's height and width:

  <s><image>the red circle. Current IOU: 87, Positive point: (483, 120)</s>

Numbers have as many digits as there is room for ("07", "048"), so each digit stands at a known place.
"""

import json

import numpy as np
import torch
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedTokenizerFast,
)

IMAGE_SIDE, PATCH = 144, 12
GRID = IMAGE_SIDE // PATCH
PATCHES = GRID * GRID

COLORS = ["red", "yellow", "blue", "purple", "white", "black", "orange", "pink"]
PATTERNS = ["plain", "striped", "dotted", "halved"]
NOUNS = (
    "circle square triangle star ring cross heart moon arrow bar flower house car snowman mushroom fish "
    "caterpillar barbell tree fork zigzag spiral comb"
).split()
PLURALS = {"cross": "crosses", "snowman": "snowmen", "fish": "fish"}
PARTS = "petals middle stem wall roof door body wheels cabin head cap tail weights handle".split()
OTHER_WORDS = (
    "the object objects and both all of left right above below behind from leftmost rightmost topmost "
    "bottommost biggest smallest first second third fourth top bottom Current IOU Positive Negative point"
).split()
WORDS = COLORS + PATTERNS + NOUNS + [PLURALS.get(n, n + "s") for n in NOUNS] + PARTS + OTHER_WORDS

SPECIAL = ["<unk>", "<s>", "</s>"]
IMAGE_TOKEN, PAD_TOKEN = "<image>", "<pad>"
SPACE = "\u2581"


# ---- the tokenizer ----


def merges_of_words():
    """Merges that make one token of each word, learnt from the words alone."""
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always")
    trainer = trainers.BpeTrainer(vocab_size=4000, min_frequency=1, show_progress=False)
    learner.train_from_iterator([[word] for word in WORDS], trainer)
    vocabulary = learner.get_vocab()
    tokens = sorted(vocabulary, key=vocabulary.get)
    return tokens, [tuple(m) for m in learner_merges(learner)]


def learner_merges(learner):
    """Pairs, however this version of the library writes them."""
    return [
        m if isinstance(m, list) else m.split(" ") for m in json.loads(learner.to_str())["model"]["merges"]
    ]


def tokenizer():
    """As LLaMA 2's: special tokens, 256 bytes, then words and their beginnings; spaces are a letter."""
    learnt, merges = merges_of_words()
    letters = [chr(c) for c in range(33, 127)] + [SPACE]
    tokens = SPECIAL + [f"<0x{b:02X}>" for b in range(256)] + letters
    tokens += [t for t in learnt if t not in set(tokens)] + [SPACE + "("]
    merges.append((SPACE, "("))
    result = Tokenizer(
        models.BPE(
            vocab={t: i for i, t in enumerate(tokens)},
            merges=merges,
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    result.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    result.decoder = decoders.Sequence(
        [
            decoders.Replace(SPACE, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(content=" ", left=1),
        ]
    )
    result.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    result.add_special_tokens(
        [AddedToken(t, special=True, normalized=False) for t in (IMAGE_TOKEN, PAD_TOKEN)]
    )
    result.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", SPECIAL.index("<s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=result,
        add_bos_token=True,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token=PAD_TOKEN,
        model_max_length=512,
        clean_up_tokenization_spaces=False,
    )


class Words:
    """The tokenizer's ids, as training needs them."""

    def __init__(self):
        self.tokenizer = tokenizer()
        self.size = len(self.tokenizer)
        one = self.tokenizer.convert_tokens_to_ids
        self.bos, self.eos, self.image, self.pad = one("<s>"), one("</s>"), one(IMAGE_TOKEN), one(PAD_TOKEN)
        self.digits = [one(str(d)) for d in range(10)]
        self.signs = [one(SPACE + "Negative"), one(SPACE + "Positive")]
        self.attributes = [one(SPACE + w) for w in NOUNS + COLORS + PATTERNS]
        self.answer = self.ids(" Current IOU: 00, Positive point: (000, 000)") + [self.eos]
        self.digit_places = [i for i, t in enumerate(self.answer) if t == self.digits[0]]
        self.sign_place = self.answer.index(self.signs[1])
        self.phrases = {}

    def ids(self, text):
        """Of text that goes on after other text: its own leading space is the only one."""
        return self.tokenizer.encode(text.removeprefix(" "), add_special_tokens=False)

    def phrase(self, text):
        """What stands between the image and the answer."""
        if text not in self.phrases:
            self.phrases[text] = self.ids(text + ".")
        return self.phrases[text]

    def write_answer(self, iou, row, column, positive):
        """Token ids of an answer: iou 0 .. 99, row and column 0 .. 999."""
        ids = list(self.answer)
        for place, digit in zip(self.digit_places, f"{iou:02d}{row:03d}{column:03d}"):
            ids[place] = self.digits[int(digit)]
        ids[self.sign_place] = self.signs[int(positive)]
        return ids


# ---- soft digits ----


def soft_digits(limit, sigma):
    """[10 ** limit, limit, 10]: for each number and place the chance of each digit there, given the digits
    before it, when the number may be off by a Gaussian of that sigma."""
    count = 10**limit
    numbers = np.arange(count)
    result = np.zeros((count, limit, 10), np.float32)
    for number in range(count):
        chance = np.exp(-0.5 * ((numbers - number) / sigma) ** 2)
        for place in range(limit):
            unit = 10 ** (limit - 1 - place)
            same = numbers // (unit * 10) == number // (unit * 10)
            digits = np.bincount(numbers[same] // unit % 10, chance[same], 10)
            result[number, place] = digits / digits.sum()
    return result


def to_thousandths(pixel, side):
    """The middle of a pixel, as it is written."""
    return min(999, int(1000 * (pixel + 0.5) / side))


def to_pixel(number, side):
    return min(side - 1, int(number * side / 1000))


def to_hundredths(iou):
    return min(99, int(round(100 * iou)))


# ---- the model ----


def config(words):
    """The last of the layers of vision is the feature: there is no room for one that is not used."""
    vision = CLIPVisionConfig(
        hidden_size=160,
        intermediate_size=448,
        num_hidden_layers=5,
        num_attention_heads=5,
        image_size=IMAGE_SIDE,
        patch_size=PATCH,
        projection_dim=160,
    )
    text = LlamaConfig(
        vocab_size=words.size,
        hidden_size=192,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=6,
        num_key_value_heads=6,
        max_position_embeddings=512,
        rms_norm_eps=1e-5,
        bos_token_id=words.bos,
        eos_token_id=words.eos,
        pad_token_id=words.pad,
        tie_word_embeddings=True,
    )
    return LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=words.image,
        image_seq_length=PATCHES,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=True,
    )


def make(words):
    model = LlavaForConditionalGeneration(config(words))
    for name, weight in model.named_parameters():
        if weight.dim() >= 2:
            torch.nn.init.trunc_normal_(weight, std=0.04 if "embed" in name else weight[0].numel() ** -0.5)
    return model


MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


def to_pixels(images):
    """[n, side, side, 3] uint8 to [n, 3, side, side] float32."""
    scaled = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    return (scaled - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
