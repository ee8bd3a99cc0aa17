"""Full-size SAM (ViT-B, L or H) with random weights that behave, for parity and benchmarks.

  python weights_tools/golden/make_random_sam.py b OUT_DIR [--dtype f32|bf16] [--seed N] [--original FILE.pth]
      [--layers N]

Writes the Hugging Face layout (config.json, preprocessor_config.json, model.safetensors) and, if asked, the
same weights under their original names. The calibration of the heads runs the f32 encoder once. With
--layers N the vision encoder has only so many, of the same size, the last one global: every shape of the
whole model for a fraction of its time, for counting on the simulated GPU (bench/simulated.py).
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file

import draw
from sam_common import (
    DTYPES,
    FULL_SIZES,
    calibrated_state,
    config_json,
    full_config,
    image_processor,
    original_state,
    set_exact_math,
)


def make_random_sam(size, folder, dtype="f32", seed=1, original=None, layers=None):
    """Writes the checkpoint of one size into folder; original: also a .pth of the same values, in f32."""
    folder.mkdir(parents=True, exist_ok=True)
    config = full_config(size)
    if layers:
        config.vision_config.num_hidden_layers = layers
        config.vision_config.global_attn_indexes = [layers - 1]
    state = calibrated_state(config, seed, draw.scene(), DTYPES[dtype])
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(config_json(config, dtype, full=False))
    image_processor(config).save_pretrained(folder)
    if original:
        torch.save({k: v.float() for k, v in original_state(state, config).items()}, original)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("size", choices=sorted(FULL_SIZES))
    parser.add_argument("out", type=Path)
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--original", type=Path, default=None, help="also write this .pth (f32, original names)"
    )
    parser.add_argument("--layers", type=int, default=None, help="of the vision encoder; default: all")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    set_exact_math()
    make_random_sam(args.size, args.out, args.dtype, args.seed, args.original, args.layers)
    for path in [args.out / "model.safetensors", args.original]:
        if path:
            print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
