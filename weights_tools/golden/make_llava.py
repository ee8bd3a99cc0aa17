"""Makes tests/golden/llava/*: tiny random LLaVA checkpoints with reference outputs from transformers.

  python weights_tools/golden/make_llava.py [--out tests/golden/llava]

Seeded: the same library versions give the same files. Needs Pillow before 12 (weights_tools/README.md), and prints
how far bf16 is from f32 and how near the greedy choices are. See weights_tools/README.md for cases.safetensors.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import PIL
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
)
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

import draw

MEAN = [0.48145466, 0.4578275, 0.40821073]
STD = [0.26862954, 0.26130258, 0.27577711]
VOCABULARY, IMAGE = 96, 90  # the image's marker
ORIGINAL_IMAGE = -200  # the same in the original's prompts
GREEDY = 64
SMALLEST_GAP = 1e-3  # of the largest logit, between the chosen token and the next

# image size, patch, feature layer, strategy, activation, how the picture becomes square, linear projector, tied head
VARIANTS = {
    "huggingface": dict(image=32, patch=8, layer=-2, keep=False, act="quick_gelu", pad=False, seed=14),
    "full": dict(image=30, patch=8, layer=-1, keep=True, act="gelu", pad=True, tied=True, bias=False, seed=4),
    "original": dict(
        image=24, patch=6, layer=-2, keep=False, act="quick_gelu", pad=True, linear=True, seed=28
    ),
}

# width, height; tokens before and after each picture; None: no picture, but these tokens alone
CASES = [
    dict(pictures=[(60, 40)], text=[[1, 17, 33], [40, 12, 9, 55]]),
    dict(pictures=[(25, 61)], text=[[1], [8, 8, 70, 3, 2, 61, 44]]),
    dict(pictures=[(28, 28), (1, 1)], text=[[1, 5], [6, 7], [11]]),
    dict(pictures=[], text=[[1, 80, 41, 22, 63]]),
    dict(pictures=[(90, 7)], text=[[], [19, 20]]),
]


# ---- the models ----


def configuration(v):
    vision = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=v["image"],
        patch_size=v["patch"],
        hidden_act=v["act"],
        projection_dim=32,
    )
    text = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=256,
        tie_word_embeddings=v.get("tied", False),
    )
    return LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=IMAGE,
        image_seq_length=(v["image"] // v["patch"]) ** 2 + v["keep"],
        vision_feature_layer=v["layer"],
        vision_feature_select_strategy="full" if v["keep"] else "default",
        multimodal_projector_bias=v.get("bias", True),
        tie_word_embeddings=v.get("tied", False),
    )


class Linear(torch.nn.Module):
    """The original's "linear" projector, in the place of transformers' two layers."""

    def __init__(self, n, k):
        super().__init__()
        self.linear_1 = torch.nn.Linear(k, n)

    def forward(self, features):
        return self.linear_1(features)


def make_model(v):
    """f32 weights that bf16 holds exactly, large enough that the picture, its places and the words all matter."""
    model = LlavaForConditionalGeneration(configuration(v)).eval()
    if v.get("linear"):
        model.model.multi_modal_projector = Linear(32, 32)
    random = torch.Generator().manual_seed(v["seed"])
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=random)
            if "norm" in name:
                value = (1.0 if name.endswith("weight") else 0.0) + 0.1 * noise
            elif "embed" in name and "patch" not in name:
                value = 0.5 * noise
            else:  # attention not so sharp that roundings of bf16 turn it to another token
                gain = 1.0 if "q_proj" in name or "k_proj" in name else 1.5
                value = noise * (gain / weight[0].numel() ** 0.5 if weight.dim() > 1 else 0.1)
            weight.copy_(value.to(torch.bfloat16).float())
    return model


def stored(state):
    return {name: weight.to(torch.bfloat16).contiguous().clone() for name, weight in state.items()}


# ---- files ----


def preprocessor(v):
    side = v["image"]
    return dict(
        crop_size=dict(height=side, width=side),
        do_center_crop=True,
        do_convert_rgb=True,
        do_normalize=True,
        do_rescale=True,
        do_resize=True,
        image_mean=MEAN,
        image_std=STD,
        resample=3,
        rescale_factor=1 / 255,
        size=dict(shortest_edge=side),
    )


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n")


def write_huggingface(folder, model, v):
    """As transformers 5 writes it."""
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    write_json(folder / "preprocessor_config.json", preprocessor(v))


def write_full(folder, model, v):
    """config.json as transformers 4 wrote it, with what was its default left out; names as of 4.52."""
    config = dict(
        architectures=["LlavaForConditionalGeneration"],
        ignore_index=-100,
        image_token_index=IMAGE,
        model_type="llava",
        multimodal_projector_bias=False,
        projector_hidden_act="gelu",
        text_config=dict(
            architectures=["LlamaForCausalLM"],
            hidden_size=32,
            intermediate_size=64,
            max_position_embeddings=256,
            model_type="llama",
            num_attention_heads=2,
            num_hidden_layers=2,
            num_key_value_heads=1,
            rms_norm_eps=1e-6,
            rope_theta=10000.0,
            tie_word_embeddings=True,
            torch_dtype="bfloat16",
            vocab_size=VOCABULARY,
        ),
        torch_dtype="bfloat16",
        vision_config=dict(
            hidden_act="gelu",
            hidden_size=32,
            image_size=v["image"],
            intermediate_size=48,
            model_type="clip_vision_model",
            num_attention_heads=2,
            num_hidden_layers=3,
            patch_size=v["patch"],
        ),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    state = model.state_dict()
    state.pop("lm_head.weight")
    names = {n: n.replace("model.vision_tower.", "model.vision_tower.vision_model.") for n in state}
    save_file(stored({names[n]: w for n, w in state.items()}), folder / "model.safetensors", {"format": "pt"})
    write_json(folder / "config.json", config)
    write_json(folder / "preprocessor_config.json", preprocessor(v) | dict(do_pad=True))


def original_name(name):
    return (
        name.replace("model.language_model.", "model.")
        .replace("model.multi_modal_projector.linear_1.", "model.mm_projector.")
        .replace("model.vision_tower.", "vision_model.")
    )


def write_original(folder, model, v):
    """liuhaotian's layout: the decoder and the projector here, CLIP as OpenAI released it in tower/."""
    config = dict(
        architectures=["LlavaLlamaForCausalLM"],
        bos_token_id=1,
        eos_token_id=2,
        freeze_mm_mlp_adapter=False,
        hidden_act="silu",
        hidden_size=32,
        image_aspect_ratio="pad",
        image_grid_pinpoints=None,
        initializer_range=0.02,
        intermediate_size=64,
        max_length=4096,
        max_position_embeddings=256,
        mm_hidden_size=32,
        mm_projector_type="linear",
        mm_resampler_type=None,
        mm_use_im_patch_token=False,
        mm_use_im_start_end=False,
        mm_vision_select_feature="patch",
        mm_vision_select_layer=-2,
        mm_vision_tower="openai/tower",
        model_type="llava",
        num_attention_heads=2,
        num_hidden_layers=2,
        num_key_value_heads=1,
        pad_token_id=0,
        pretraining_tp=1,
        rms_norm_eps=1e-6,
        rope_scaling=None,
        tie_word_embeddings=False,
        torch_dtype="float16",
        transformers_version="4.31.0",
        tune_mm_mlp_adapter=False,
        tune_mm_vision_resampler=False,
        unfreeze_mm_vision_tower=False,
        use_cache=True,
        use_mm_proj=True,
        vocab_size=VOCABULARY,
    )
    text = dict(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=1, vocab_size=32
    )
    text.update(max_position_embeddings=8, bos_token_id=1, eos_token_id=2)
    vision = {key: value for key, value in model.config.vision_config.to_dict().items()}
    torch.manual_seed(4)
    clip = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8))
    state = {original_name(n): w for n, w in model.state_dict().items()}
    tower = {n: w for n, w in clip.state_dict().items() if not n.startswith("vision_model.")}
    tower["logit_scale"] = tower["logit_scale"].reshape(())
    tower.update({n: w for n, w in state.items() if n.startswith("vision_model.")})
    places = (v["image"] // v["patch"]) ** 2 + 1
    files = stored(tower) | {
        "vision_model.embeddings.position_ids": torch.arange(places)[None],
        "text_model.embeddings.position_ids": torch.arange(8)[None],
    }
    (folder / "tower").mkdir(parents=True)
    torch.save(files, folder / "tower" / "pytorch_model.bin")
    clip_config = dict(model_type="clip", projection_dim=8, text_config=text)
    clip_config["vision_config"] = dict(
        hidden_size=32,
        image_size=v["image"],
        intermediate_size=48,
        model_type="clip_vision_model",
        num_attention_heads=2,
        num_hidden_layers=3,
        patch_size=v["patch"],
    )
    write_json(folder / "tower" / "config.json", clip_config)
    old = dict(crop_size=v["image"], do_center_crop=True, do_normalize=True, do_resize=True)
    old.update(feature_extractor_type="CLIPFeatureExtractor", image_mean=MEAN, image_std=STD, resample=3)
    write_json(folder / "tower" / "preprocessor_config.json", old | dict(size=v["image"]))
    rest = {n: w for n, w in state.items() if not n.startswith("vision_model.")}
    save_file(stored(rest), folder / "model.safetensors", {"format": "pt"})
    write_json(folder / "config.json", config)


WRITERS = {"huggingface": write_huggingface, "full": write_full, "original": write_original}


# ---- what the references answer ----


def square(picture, v):
    """uint8 [side, side, 3]: what is normalised, by Pillow alone (LLaVA's expand2square, CLIP's resize and crop)."""
    image, side = Image.fromarray(picture), v["image"]
    if v["pad"]:
        longest = max(image.size)
        canvas = Image.new("RGB", (longest, longest), tuple(int(255 * m) for m in MEAN))
        canvas.paste(image, ((longest - image.width) // 2, (longest - image.height) // 2))
        image = canvas
    short, long = sorted(image.size)
    size = (
        (side, int(side * long / short)) if image.width <= image.height else (int(side * long / short), side)
    )
    image = image.resize(size, Image.Resampling.BICUBIC)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return np.asarray(image.crop((left, top, left + side, top + side)))


def normalised(squares):
    scaled = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).float() / 255
    return (scaled - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def check_processor(picture, pixels, v):
    """transformers' own processor gives the same."""
    processor = LlavaImageProcessorPil(**preprocessor(v), do_pad=v["pad"])
    own = processor(Image.fromarray(picture), return_tensors="pt")["pixel_values"][0]
    difference = (own - pixels).abs().max().item()
    if difference > 1e-5:
        sys.exit(f"transformers' processor differs by {difference} on {picture.shape}")


@torch.inference_mode()
def features_of(model, pixels, v):
    """Of the tower and of the projector, [B, P, 32] each."""
    hidden = model.model.vision_tower(pixels, output_hidden_states=True).hidden_states[v["layer"]]
    features = hidden if v["keep"] else hidden[:, 1:]
    return features, model.model.multi_modal_projector(features)


def prompt_of(case, marker, per_picture):
    """Token ids with one marker a picture, and with as many as a picture has features."""
    marked, full = list(case["text"][0]), list(case["text"][0])
    for text in case["text"][1:]:
        marked += [marker] + text
        full += [IMAGE] * per_picture + text
    return marked, full


@torch.inference_mode()
def logits_of(model, tokens, pixels):
    pixels = {"pixel_values": pixels} if pixels is not None else {}
    return model(input_ids=torch.tensor([tokens]), use_cache=False, **pixels).logits[0].float()


def greedy(model, tokens, pixels):
    """The most probable token, GREEDY times; and the smallest lead that one had, as a share of the largest logit."""
    chosen, gap = [], 1.0
    for _ in range(GREEDY):
        logits = logits_of(model, tokens + chosen, pixels)[-1]
        best = logits.topk(2).values
        gap = min(gap, ((best[0] - best[1]) / logits.abs().max()).item())
        chosen.append(int(logits.argmax()))
        if chosen[-1] == IMAGE:
            return chosen, 0.0  # would ask for another picture
    return chosen, gap


def run_case(model, case, index, v, out):
    pictures = [draw.shapes(w, h, 10 * index + i) for i, (w, h) in enumerate(case["pictures"])]
    squares = [square(picture, v) for picture in pictures]
    pixels = normalised(squares) if pictures else None
    for i, picture in enumerate(pictures):
        check_processor(picture, pixels[i], v)
        out[f"case{index}.image{i}"] = torch.from_numpy(picture)
        out[f"case{index}.square{i}"] = torch.from_numpy(squares[i].copy())
    if pictures:
        features, embeddings = features_of(model, pixels, v)
        out[f"case{index}.features"] = features.flatten(0, 1)
        out[f"case{index}.embeddings"] = embeddings.flatten(0, 1)
    marker = ORIGINAL_IMAGE if v.get("linear") else IMAGE
    marked, full = prompt_of(case, marker, model.config.image_seq_length)
    logits = logits_of(model, full, pixels)
    chosen, gap = greedy(model, full, pixels)
    out[f"case{index}.tokens"] = torch.tensor(marked, dtype=torch.int32)
    out[f"case{index}.logits"] = logits
    out[f"case{index}.greedy"] = torch.tensor(chosen, dtype=torch.int32)
    return full, pixels, logits, gap


def report(name, model, rows, out):
    """How far bf16 is from f32, as shares of the largest values."""
    coarse = make_model(VARIANTS[name]).to(torch.bfloat16)
    for index, (full, pixels, logits, gap) in enumerate(rows):
        features = 0.0
        half = pixels.to(torch.bfloat16) if pixels is not None else None
        if pixels is not None:
            exact = out[f"case{index}.features"]
            other = features_of(coarse, half, VARIANTS[name])[0].flatten(0, 1).float()
            features = ((other - exact).abs().max() / exact.abs().max()).item()
        other = logits_of(coarse, full, half)
        error = ((other - logits).abs().max() / logits.abs().max()).item()
        chosen = out[f"case{index}.greedy"].unique().numel()
        print(
            f"{name} case {index}: smallest gap {gap:.1e}, {chosen} different tokens, bf16 features {features:.1e}, "
            f"logits {error:.1e}"
        )
        if gap < SMALLEST_GAP:
            sys.exit("two tokens are almost equally good: take another seed")


def make_variant(name, folder):
    v = VARIANTS[name]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model, out = make_model(v), {}
    rows = [run_case(model, case, index, v, out) for index, case in enumerate(CASES)]
    report(name, model, rows, out)
    out = {key: value.contiguous() for key, value in out.items()}
    save_file(out, folder / "cases.safetensors")
    WRITERS[name](folder, model, v)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("tests/golden/llava"))
    args = parser.parse_args()
    if int(PIL.__version__.split(".")[0]) >= 12:
        sys.exit("Pillow " + PIL.__version__ + " resizes some shapes in another order; use one before 12")
    torch.manual_seed(0)
    for name in VARIANTS:
        make_variant(name, args.out / name)


if __name__ == "__main__":
    main()
