"""Makes tests/golden/sam/* and tests/golden/demo: tiny random SAM checkpoints with reference outputs.

  python weights_tools/golden/make_sam.py [--out tests/golden] [--only NAME ...] [--check]

Seeded: the same library versions give the same files. Prints, for every checkpoint, how far transformers
and segment_anything differ on the same weights, f32 from f64, and bf16 from f32. See
weights_tools/README.md for the layout of cases.safetensors.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import SamModel
from transformers.utils import logging
from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

import draw
from sam_common import (
    DTYPES,
    PROMPT_PE,
    SHARED_PE,
    Prompt,
    calibrated_state,
    config_json,
    hf_model,
    image_processor,
    original_model,
    original_predictor,
    original_state,
    postprocess,
    predict_hf,
    predict_original,
    preprocess,
    set_exact_math,
    tiny_config,
)

SIZE_LIMIT = 2_500_000  # bytes of one checkpoint
TOTAL_LIMIT = 9_000_000  # bytes of everything
NEAR_ZERO = 1e-4  # a pixel whose logit is nearer to 0 than this may flip between correct engines
SMALLEST_GAP = 0.015  # between the best predicted IoU and the next: the choice of mask must not be a tie
SINGLE_CASES = (0, 3, 5)  # those that also store the outputs of multimask_output=False

# name: configuration, stored dtype, names of the Fourier matrix in the file, format, seed
VARIANTS = {
    "window-pad": dict(
        config=dict(
            image=80,
            patch=8,
            dim=128,
            heads=2,
            blocks=3,
            global_blocks=[1],
            window=7,
            width=64,
            decoder_heads=2,
            mlp_ratio=3.0,
            decoder_mlp=96,
        ),
        dtype="bf16",
        tables=[SHARED_PE],
        seed=17,
    ),
    "head80": dict(
        config=dict(
            image=56,
            patch=8,
            dim=160,
            heads=2,
            blocks=2,
            global_blocks=[1],
            window=4,
            width=64,
            decoder_heads=4,
            mlp_ratio=1.25,
        ),
        dtype="f32",
        tables=[SHARED_PE, PROMPT_PE],
        seed=49,
    ),
    "odd": dict(
        config=dict(
            image=110,
            patch=10,
            dim=96,
            heads=3,
            blocks=2,
            global_blocks=[0, 1],
            window=14,
            width=48,
            decoder_heads=3,
            decoder_mlp=80,
            iou_hidden=40,
            mask_channels=8,
            vision_eps=1e-4,
            decoder_eps=1e-3,
            prompt_eps=1e-4,
        ),
        dtype="f16",
        tables=[PROMPT_PE],
        seed=50,
    ),
    "original": dict(
        config=dict(
            image=96,
            patch=16,
            dim=64,
            heads=2,
            blocks=2,
            global_blocks=[1],
            window=4,
            width=64,
            decoder_heads=8,
            decoder_eps=1e-5,
        ),
        dtype="f32",
        tables=None,
        seed=24,
    ),
}
DEMO = dict(
    config=dict(
        image=128,
        patch=8,
        dim=64,
        heads=2,
        blocks=2,
        global_blocks=[1],
        window=7,
        width=64,
        decoder_heads=2,
        mlp_ratio=2.0,
    ),
    dtype="bf16",
    tables=[SHARED_PE],
    seed=15,
)


def build_cases(side):
    """[(what, image, Prompt, image_of)]: image_of is the first case with the same image. A mask_input of
    "previous" is replaced by the best logits of case 0."""
    wide, tall = draw.shapes(88, 52, 1), draw.shapes(37, 64, 2)
    square, dot = draw.shapes(side, side, 3), np.array([[[200, 60, 90]]], dtype=np.uint8)
    large = draw.shapes(122, 85, 4)
    rng = np.random.default_rng(5)
    many = np.floor(rng.uniform(0, 1, (20, 2)) * [88 * 4, 52 * 4]) / 4

    def point(*xy):
        return np.array(xy, dtype=np.float64).reshape(-1, 2)

    return [
        ("one positive click, wide image", wide, Prompt(point(30, 25), np.array([1])), 0),
        (
            "the same image, one positive and one negative click",
            wide,
            Prompt(point(61, 14, 20, 40), np.array([1, 0])),
            0,
        ),
        ("the same image, 20 clicks of both kinds", wide, Prompt(many, np.arange(20) % 3 % 2 ^ 1), 0),
        (
            "the same image, two clicks and the best logits of case 0",
            wide,
            Prompt(point(30, 25, 70, 44), np.array([1, 0]), mask_input="previous"),
            0,
        ),
        ("tall image, box only", tall, Prompt(box=np.array([5.0, 9.5, 30.25, 50.0])), 4),
        (
            "tall image, box and three clicks",
            tall,
            Prompt(point(18, 30, 0, 0, 36, 63), np.array([1, 0, 0]), box=np.array([8.0, 12.0, 33.0, 60.0])),
            4,
        ),
        (
            "square image of the input's own size, a click between pixels",
            square,
            Prompt(point(side * 0.375 + 0.5, side * 0.625 + 0.25), np.array([1])),
            6,
        ),
        ("image of one pixel", dot, Prompt(point(0, 0), np.array([1])), 7),
        (
            "image larger than the input, clicks at the border",
            large,
            Prompt(point(121, 84, 60, 40, 0, 84), np.array([1, 1, 0])),
            8,
        ),
        ("the same image as case 0, mask input alone", wide, Prompt(mask_input="previous"), 0),
    ]


class HfReference:
    """transformers with the file's own epsilons."""

    def __init__(self, config, state):
        self.model = hf_model(config, state)
        self.side = config.vision_config.image_size

    def set_image(self, image):
        self.pixels, self.size = preprocess(image, self.side)
        self.embedding = self.model.get_image_embeddings(self.pixels[None].to(self.model.dtype))

    def predict(self, prompt, multimask=True):
        low, iou = predict_hf(self.model, self.embedding, self.size, prompt, multimask)
        return low, iou, postprocess(low, self.size)


class OriginalReference:
    """segment_anything through SamPredictor."""

    def __init__(self, config, state, same_eps=False):
        self.sam = original_model(config, original_state(state, config), same_eps)
        self.side = config.vision_config.image_size

    def set_image(self, image):
        self.predictor = original_predictor(self.sam, image)
        self.embedding = self.predictor.features
        self.pixels, self.size = preprocess(image, self.side)
        pixels = torch.from_numpy(self.predictor.transform.apply_image(image).copy()).permute(2, 0, 1)[None]
        assert torch.equal(self.sam.preprocess(pixels)[0], self.pixels), (
            "preprocess differs from SamPredictor's"
        )

    def predict(self, prompt, multimask=True):
        return predict_original(self.predictor, prompt, multimask)


def run_cases(reference, cases):
    """Runs every case; returns a list of dicts of tensors (and fills in the previous logits, in place)."""
    rows, shown = [], None
    for what, image, prompt, image_of in cases:
        if shown is not image:
            reference.set_image(image)
            shown = image
        if isinstance(prompt.mask_input, str):
            prompt.mask_input = rows[0]["logits"][int(rows[0]["best"])].numpy().copy()
        low, iou, full = reference.predict(prompt)
        single_low, single_iou, single_full = reference.predict(prompt, multimask=False)
        rows.append(
            dict(
                what=what,
                image=image,
                prompt=prompt,
                image_of=image_of,
                pixels=reference.pixels,
                embedding=reference.embedding[0],
                logits=low,
                iou=iou,
                full=full,
                best=torch.tensor([int(iou.argmax())], dtype=torch.int32),
                single_logits=single_low,
                single_iou=single_iou,
                single_full=single_full,
            )
        )
    return rows


def case_tensors(rows, other):
    """Tensors of cases.safetensors. other: rows of the other implementation, kept for case 0 only."""
    out = {}
    for index, row in enumerate(rows):

        def put(name, value, index=index):
            out[f"case{index}.{name}"] = torch.as_tensor(value).contiguous().clone()

        put("image_of", torch.tensor([row["image_of"]], dtype=torch.int32))
        if row["image_of"] == index:
            put("image", row["image"])
            put("embedding", row["embedding"].float())
        if index == 0:
            put("pixels", row["pixels"])
            put("other_logits", other[0]["logits"])
            put("other_iou", other[0]["iou"])
        prompt = row["prompt"]
        if prompt.points is not None:
            put("points", prompt.points.astype(np.float32))
            put("labels", prompt.labels.astype(np.int32))
        if prompt.box is not None:
            put("box", prompt.box.astype(np.float32))
        if prompt.mask_input is not None:
            put("mask_input", prompt.mask_input)
        put("logits", row["logits"])
        put("iou", row["iou"])
        put("best", row["best"])
        put("masks", (row["full"] > 0).to(torch.uint8))
        if index in SINGLE_CASES:
            put("single_logits", row["single_logits"])
            put("single_iou", row["single_iou"])
            put("single_mask", (row["single_full"] > 0).to(torch.uint8))
    return out


def describe(rows):
    """Prints what the masks look like and fails when they are no good as references."""
    for index, row in enumerate(rows):
        top = row["iou"].sort(descending=True).values
        share = [f"{(m > 0).float().mean():.2f}" for m in row["full"]]
        near = int((row["full"].abs() < NEAR_ZERO).sum() + (row["single_full"].abs() < NEAR_ZERO).sum())
        print(
            f"  case{index} {row['what']}: iou {[round(float(v), 3) for v in row['iou']]}"
            f" best {int(row['best'])}"
            f" inside {share} std {float(row['logits'].std()):.1f} near zero {near}"
        )
        assert near <= 1, "pixels too near to 0: take another seed"
        assert top[0] - top[1] > SMALLEST_GAP, "two masks almost tie: take another seed"
    mixed = np.mean(
        [0.03 < float((m > 0).float().mean()) < 0.97 for row in rows for m in row["full"] if m.numel() > 1]
    )
    assert mixed > 0.9, f"only {mixed:.0%} of the masks have both signs: take another seed"
    differ = float(((rows[0]["full"] > 0) != (rows[1]["full"] > 0)).float().mean())
    assert differ > 0.02, "two click sets give the same masks: take another seed"


def compare(title, rows, other):
    """Prints the largest differences between two runs of the same cases."""
    worst = dict(embedding=0.0, logits=0.0, iou=0.0)
    pixels = wrong = choice = 0
    for a, b in zip(rows, other):
        for key in worst:
            if key == "logits" and a["prompt"].mask_input is None or key != "logits":
                scale = float(a[key].abs().max()) if key != "iou" else 1.0
                worst[key] = max(worst[key], float((a[key].double() - b[key].double()).abs().max()) / scale)
        wrong += int(((a["full"] > 0) != (b["full"] > 0)).sum())
        pixels += a["full"].numel()
        choice += int(a["best"] != b["best"])
    print(
        f"  {title}: embedding {worst['embedding']:.1e} and logits {worst['logits']:.1e} of the largest,"
        f" iou {worst['iou']:.1e}, mask agreement {100 * (1 - wrong / pixels):.3f} %, other choice {choice}"
    )


def check_numerics(config, state, cases, rows):
    """Cross-checks of the two implementations and of the precision itself; prints only."""
    for name, reference in (
        ("segment_anything, same eps", OriginalReference(config, state, same_eps=True)),
        ("transformers, same eps    ", HfReference(config, state)),
    ):
        compare(name, rows, run_cases(reference, cases))
    double = HfReference(config, state)
    double.model = double.model.double()
    compare("transformers in f64       ", rows, run_cases(double, cases))
    half = HfReference(config, state)
    half.model = half.model.to(torch.bfloat16)
    compare("transformers in bf16      ", rows, run_cases(half, cases))


def check_processor(config, image):
    """What transformers' own processors do differently from 2.6 of the specification; prints only."""
    side = config.vision_config.image_size
    ours, size = preprocess(image, side)
    kwargs = dict(size={"longest_edge": side}, pad_size={"height": side, "width": side}, return_tensors="pt")
    pil = SamImageProcessorPil()(image, **kwargs)["pixel_values"][0]
    torchvision = image_processor(config)(image, return_tensors="pt")["pixel_values"][0]
    pil, torchvision = (float((pixels - ours).abs().max()) for pixels in (pil, torchvision))
    print(
        f"  pixels: transformers Pillow backend {pil:.1e}, default torchvision backend {torchvision:.1e}"
        f" ({torchvision * 57.1:.1f} grey levels)"
    )


def write_checkpoint(folder, config, state, variant):
    """The model's files: Hugging Face layout, or an original .pth beside a config.json with the same keys."""
    folder.mkdir(parents=True, exist_ok=True)
    if variant["tables"] is None:
        torch.save(original_state(state, config), folder / "model.pth")
        (folder / "config.json").write_text(config_json(config, variant["dtype"], full=True))
        return folder / "model.pth"
    table = state[SHARED_PE]
    tensors = {name: tensor for name, tensor in state.items() if name != SHARED_PE}
    tensors.update({name: table.clone() for name in variant["tables"]})
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(
        config_json(config, variant["dtype"], full=variant["tables"] != [SHARED_PE])
    )
    image_processor(config).save_pretrained(folder)
    return folder / "model.safetensors"


def check_loads(folder, config, state, variant, rows):
    """The files on disk, opened by the libraries themselves, give the reference outputs."""
    if variant["tables"] is None:
        sam = original_model(config)
        sam.load_state_dict(torch.load(folder / "model.pth", weights_only=True))
        predictor = original_predictor(sam, rows[0]["image"])
        low, _, _ = predict_original(predictor, rows[0]["prompt"])
    else:
        model = SamModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        size = preprocess(rows[0]["image"], config.vision_config.image_size)[1]
        low, _ = predict_hf(model, rows[0]["embedding"][None], size, rows[0]["prompt"])
    differ = float((low - rows[0]["logits"]).abs().max())
    assert differ < 1e-4, (
        f"the written files give other outputs, by {differ}"
    )  # 0 but for the alignment of weights


def make_variant(name, folder, variant, check):
    config = tiny_config(**variant["config"])
    state = calibrated_state(config, variant["seed"], draw.shapes(88, 52, 1), DTYPES[variant["dtype"]])
    path = write_checkpoint(folder, config, state, variant)
    print(f"{name}: {sum(t.numel() for t in state.values()):,} parameters, {path.stat().st_size:,} bytes")
    assert path.stat().st_size < SIZE_LIMIT
    own, other = HfReference(config, state), OriginalReference(config, state)
    if variant["tables"] is None:  # a released .pth knows no eps: transformers would take its default
        own, other = other, HfReference(tiny_config(**{**variant["config"], "decoder_eps": 1e-6}), state)
    cases = build_cases(config.vision_config.image_size)
    rows = run_cases(own, cases)
    describe(rows)
    others = run_cases(other, cases)
    check_loads(folder, config, state, variant, rows)
    about = {
        "reference": "segment_anything" if variant["tables"] is None else "transformers",
        "cases": [row["what"] for row in rows],
    }  # one key: the library writes several in any order
    save_file(case_tensors(rows, others), folder / "cases.safetensors", metadata={"about": json.dumps(about)})
    if check:
        compare("the other, its own eps    ", rows, others)
        check_numerics(config, state, cases, rows)
        check_processor(config, rows[0]["image"])


def make_demo(folder):
    scene = draw.scene()
    config = tiny_config(**DEMO["config"])
    state = calibrated_state(config, DEMO["seed"], scene, DTYPES[DEMO["dtype"]])
    path = write_checkpoint(folder, config, state, DEMO)
    Image.fromarray(scene).save(folder / "image.jpg", quality=88)
    print(f"demo: {path.stat().st_size:,} bytes, image.jpg {(folder / 'image.jpg').stat().st_size:,} bytes")
    assert (folder / "image.jpg").stat().st_size < 40_000


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("tests/golden"))
    parser.add_argument("--only", nargs="*", default=None, help="names of variants, or demo")
    parser.add_argument("--check", action="store_true", help="also print the comparisons of implementations")
    args = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    set_exact_math()
    for name, variant in VARIANTS.items():
        if args.only is None or name in args.only:
            make_variant(name, args.out / "sam" / name, variant, args.check)
    if args.only is None or "demo" in args.only:
        make_demo(args.out / "demo")
    files = [p for top in ("sam", "demo") for p in sorted((args.out / top).rglob("*")) if p.is_file()]
    total = sum(p.stat().st_size for p in files)
    print(f"all files together: {total:,} bytes")
    if total >= TOTAL_LIMIT:
        sys.exit("too large")


if __name__ == "__main__":
    main()
