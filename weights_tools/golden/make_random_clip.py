"""A full-size CLIP image encoder with random weights, for benchmarks.

  python weights_tools/golden/make_random_clip.py OUT_DIR [--size l14-336|b16] [--layers N] [--seed N]

Writes the Hugging Face layout (config.json, preprocessor_config.json, model.safetensors in f32). --layers N: only so
many, of the same size.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModel

from make_llava import preprocessor

SIZES = {
    "l14-336": dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16)
    | dict(image_size=336, patch_size=14),
    "b16": dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
    | dict(image_size=224, patch_size=16),
}


def clip_model(folder, layers, attention="sdpa"):
    """transformers' model of the first `layers` layers of a folder, f32; what a LLaVA's feature needs of it."""
    from safetensors.torch import load_file

    config = CLIPVisionConfig(**json.loads((folder / "config.json").read_text()))
    config.num_hidden_layers = layers
    config._attn_implementation = attention
    model = CLIPVisionModel(config).eval()
    model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    return model


def make_random_clip(folder, size="l14-336", layers=None, seed=1):
    folder.mkdir(parents=True, exist_ok=True)
    config = CLIPVisionConfig(**SIZES[size])
    config.num_hidden_layers = layers or config.num_hidden_layers
    model = CLIPVisionModel(config)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() >= 2:
                weight.copy_(torch.randn(weight.shape, generator=random) * weight[0].numel() ** -0.5)
    save_file(
        {name: weight.contiguous() for name, weight in model.state_dict().items()},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    config.save_pretrained(folder)
    way = preprocessor(dict(image=config.image_size))
    (folder / "preprocessor_config.json").write_text(json.dumps(way, indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", choices=sorted(SIZES), default="l14-336")
    parser.add_argument("--layers", type=int, default=None)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    make_random_clip(args.out, args.size, args.layers, args.seed)


if __name__ == "__main__":
    main()
