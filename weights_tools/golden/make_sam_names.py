"""Makes tests/golden/weights/sam_names.txt: what transformers and segment_anything call the tensors of SAM.

  python weights_tools/golden/make_sam_names.py [--out tests/golden/weights/sam_names.txt]

Models: ViT-B in full and tiny odd configurations, from state dicts on the meta device. Lines:
  model NAME                  then one config.json on the next line, then
  hf NAME SHAPE               a tensor of transformers.SamModel
  original NAME SHAPE         a tensor of segment_anything's Sam (where it has the configuration)
SHAPE is comma-separated. It also checks that ViT-L and ViT-H have 482 and 594 original tensors.
"""

import argparse
import json
from functools import partial
from pathlib import Path

import torch
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from transformers import SamConfig, SamModel

MODELS = {
    "b": dict(hidden=768, layers=12, heads=12, glob=[2, 5, 8, 11], image=1024, patch=16, window=14, mlp=3072,
              out=256, mask=16, decoder_mlp=2048, decoder_layers=2, decoder_heads=8, masks=3, iou_depth=3,
              iou=256),
    "odd": dict(hidden=40, layers=3, heads=5, glob=[1], image=96, patch=8, window=5, mlp=104, out=24, mask=8,
                decoder_mlp=17, decoder_layers=3, decoder_heads=3, masks=2, iou_depth=5, iou=11),
    "bare": dict(hidden=16, layers=1, heads=1, glob=[], image=32, patch=16, window=14, mlp=16, out=8, mask=4,
                 decoder_mlp=3, decoder_layers=1, decoder_heads=1, masks=1, iou_depth=2, iou=5,
                 rel=False, bias=False, absolute=False),
}
LARGE = {"l": (1024, 24, 16, [5, 11, 17, 23], 482), "h": (1280, 32, 16, [7, 15, 23, 31], 594)}


def config_of(m):
    return {
        "model_type": "sam",
        "vision_config": dict(
            hidden_size=m["hidden"], num_hidden_layers=m["layers"], num_attention_heads=m["heads"],
            global_attn_indexes=m["glob"], image_size=m["image"], patch_size=m["patch"],
            window_size=m["window"], mlp_dim=m["mlp"], output_channels=m["out"], num_pos_feats=m["out"] // 2,
            use_rel_pos=m.get("rel", True), qkv_bias=m.get("bias", True),
            use_abs_pos=m.get("absolute", True)),
        "prompt_encoder_config": dict(
            hidden_size=m["out"], image_size=m["image"], patch_size=m["patch"],
            mask_input_channels=m["mask"]),
        "mask_decoder_config": dict(
            hidden_size=m["out"], mlp_dim=m["decoder_mlp"], num_hidden_layers=m["decoder_layers"],
            num_attention_heads=m["decoder_heads"], num_multimask_outputs=m["masks"],
            iou_head_depth=m["iou_depth"],            iou_head_hidden_dim=m["iou"]),
    }


def original_of(m):
    grid = m["image"] // m["patch"]
    return Sam(
        image_encoder=ImageEncoderViT(
            depth=m["layers"], embed_dim=m["hidden"], img_size=m["image"], mlp_ratio=m["mlp"] / m["hidden"],
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), num_heads=m["heads"], patch_size=m["patch"],
            qkv_bias=m.get("bias", True), use_abs_pos=m.get("absolute", True), use_rel_pos=m.get("rel", True),
            global_attn_indexes=m["glob"], window_size=m["window"], out_chans=m["out"]),
        prompt_encoder=PromptEncoder(embed_dim=m["out"], image_embedding_size=(grid, grid),
                                     input_image_size=(m["image"], m["image"]), mask_in_chans=m["mask"]),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=m["masks"],
            transformer=TwoWayTransformer(depth=m["decoder_layers"], embedding_dim=m["out"],
                                          mlp_dim=m["decoder_mlp"], num_heads=m["decoder_heads"]),
            transformer_dim=m["out"], iou_head_depth=m["iou_depth"], iou_head_hidden_dim=m["iou"]),
    )


def lines_of(kind, model):
    shapes = {name: ",".join(map(str, tensor.shape)) for name, tensor in model.state_dict().items()}
    return [f"{kind} {name} {shape}" for name, shape in shapes.items()]


def main():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--out", type=Path, default=Path("tests/golden/weights/sam_names.txt"))
    lines = []
    with torch.device("meta"):
        for name, m in MODELS.items():
            config = config_of(m)
            lines += [f"model {name}", json.dumps(config)]
            lines += lines_of("hf", SamModel(SamConfig(**config)))
            lines += lines_of("original", original_of(m))
        for name, (hidden, layers, heads, glob, count) in LARGE.items():
            m = MODELS["b"] | dict(hidden=hidden, layers=layers, heads=heads, glob=glob, mlp=4 * hidden)
            assert len(original_of(m).state_dict()) == count, name
    parser.parse_args().out.write_text("\n".join(lines) + "\n")
    print(f"{len(lines)} lines")


if __name__ == "__main__":
    main()
