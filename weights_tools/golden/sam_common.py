"""SAM in two implementations (transformers, segment_anything) over one set of weights.

Data flow of the scripts here: config -> random_state (weights by Hugging Face names) -> calibrate (heads
that give masks worth comparing) -> rounding to the stored dtype -> hf_model / original_model -> predict_*
(the references). Axis letters: S padded image side, g grid side, C decoder width, H W image height and
width.
"""

import json
import math
import re
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from segment_anything import SamPredictor
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from transformers import SamConfig, SamImageProcessor, SamModel

PIXEL_MEAN = [123.675, 116.28, 103.53]
PIXEL_STD = [58.395, 57.12, 57.375]
SHARED_PE = "shared_image_embedding.positional_embedding"
PROMPT_PE = (
    "prompt_encoder.shared_embedding.positional_embedding"  # the same tensor; a file may hold either or both
)
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


def set_exact_math():
    """The references are plain f32: no TF32, no reduced precision inside oneDNN."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")


# ---- configurations

FULL_SIZES = {  # D, depth, heads, global blocks
    "b": (768, 12, 12, [2, 5, 8, 11]),
    "l": (1024, 24, 16, [5, 11, 17, 23]),
    "h": (1280, 32, 16, [7, 15, 23, 31]),
}


def full_config(size):
    """SamConfig of ViT-B, L or H as published."""
    dim, depth, heads, global_blocks = FULL_SIZES[size]
    return SamConfig(
        vision_config=dict(
            hidden_size=dim,
            num_hidden_layers=depth,
            num_attention_heads=heads,
            global_attn_indexes=global_blocks,
        )
    )


def tiny_config(
    *,
    image,
    patch,
    dim,
    heads,
    blocks,
    global_blocks,
    window,
    width,
    decoder_heads,
    mlp_ratio=4.0,
    decoder_mlp=64,
    iou_hidden=64,
    mask_channels=16,
    vision_eps=1e-6,
    decoder_eps=1e-6,
    prompt_eps=1e-6,
):
    """SamConfig of a tiny model; width is the decoder's C and the encoder's output width."""
    return SamConfig(
        vision_config=dict(
            hidden_size=dim,
            num_hidden_layers=blocks,
            num_attention_heads=heads,
            image_size=image,
            patch_size=patch,
            output_channels=width,
            num_pos_feats=width // 2,
            window_size=window,
            global_attn_indexes=global_blocks,
            mlp_ratio=mlp_ratio,
            layer_norm_eps=vision_eps,
        ),
        prompt_encoder_config=dict(
            hidden_size=width,
            image_size=image,
            patch_size=patch,
            mask_input_channels=mask_channels,
            layer_norm_eps=prompt_eps,
        ),
        mask_decoder_config=dict(
            hidden_size=width,
            mlp_dim=decoder_mlp,
            num_attention_heads=decoder_heads,
            iou_head_hidden_dim=iou_hidden,
            layer_norm_eps=decoder_eps,
        ),
    )


def image_processor(config):
    """The preprocessor_config.json that belongs to config."""
    side = config.vision_config.image_size
    low = 4 * side // config.vision_config.patch_size
    return SamImageProcessor(
        size={"longest_edge": side},
        pad_size={"height": side, "width": side},
        mask_size={"longest_edge": low},
        mask_pad_size={"height": low, "width": low},
    )


def config_json(config, dtype, full):
    """config.json as save_pretrained writes it; full: with every key, else without transformers' defaults."""
    config.dtype = {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}[dtype]
    config.architectures = ["SamModel"]
    text = json.loads(config.to_json_string(use_diff=not full))
    for part in [text] + [value for value in text.values() if isinstance(value, dict)]:
        for key in ("id2label", "label2id", "_name_or_path", "problem_type"):
            part.pop(key, None)
    config.dtype = None
    return json.dumps(text, indent=2, sort_keys=True) + "\n"


def load_checkpoint(folder):
    """Hugging Face folder with one model.safetensors -> SamConfig, {name: tensor as stored}."""
    return SamConfig.from_pretrained(folder), load_file(Path(folder) / "model.safetensors")


# ---- models


def hf_model(config, state, attention="eager"):
    """transformers' SamModel in f32 with state (any float dtype; by Hugging Face names, one PE name is
    enough)."""
    config._attn_implementation = attention
    with torch.device("meta"):
        model = SamModel(config)
    state = {name: tensor.float() for name, tensor in state.items()}
    table = state.get(SHARED_PE, state.get(PROMPT_PE))
    state[SHARED_PE] = state[PROMPT_PE] = table
    model.load_state_dict(state, strict=True, assign=True)
    return model.eval().requires_grad_(False)


def original_model(config, state=None, same_eps=False):
    """segment_anything's Sam for config. same_eps: take the config's norm epsilons instead of the
    original's own (1e-6 in encoder and LayerNorm2d, 1e-5 in the two-way transformer). state: original
    names, or None to leave it bare."""
    vision, prompt, decoder = config.vision_config, config.prompt_encoder_config, config.mask_decoder_config
    grid = vision.image_size // vision.patch_size
    vision_eps = vision.layer_norm_eps if same_eps else 1e-6
    sam = Sam(
        image_encoder=ImageEncoderViT(
            depth=vision.num_hidden_layers,
            embed_dim=vision.hidden_size,
            img_size=vision.image_size,
            mlp_ratio=vision.mlp_ratio,
            norm_layer=partial(torch.nn.LayerNorm, eps=vision_eps),
            num_heads=vision.num_attention_heads,
            patch_size=vision.patch_size,
            qkv_bias=True,
            use_rel_pos=True,
            global_attn_indexes=tuple(vision.global_attn_indexes),
            window_size=vision.window_size,
            out_chans=vision.output_channels,
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=prompt.hidden_size,
            image_embedding_size=(grid, grid),
            input_image_size=(vision.image_size, vision.image_size),
            mask_in_chans=prompt.mask_input_channels,
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=decoder.num_multimask_outputs,
            transformer=TwoWayTransformer(
                depth=decoder.num_hidden_layers,
                embedding_dim=decoder.hidden_size,
                mlp_dim=decoder.mlp_dim,
                num_heads=decoder.num_attention_heads,
            ),
            transformer_dim=decoder.hidden_size,
            iou_head_depth=decoder.iou_head_depth,
            iou_head_hidden_dim=decoder.iou_head_hidden_dim,
        ),
        pixel_mean=PIXEL_MEAN,
        pixel_std=PIXEL_STD,
    )
    if same_eps:
        for layer in sam.mask_decoder.transformer.layers:
            for norm in (layer.norm1, layer.norm2, layer.norm3, layer.norm4):
                norm.eps = decoder.layer_norm_eps
        for index in (1, 4):
            sam.prompt_encoder.mask_downscaling[index].eps = prompt.layer_norm_eps
    if state is not None:
        sam.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    return sam.eval().requires_grad_(False)


RENAMES = [  # Hugging Face -> original, applied in order
    (r"^vision_encoder\.", "image_encoder."),
    (r"patch_embed\.projection", "patch_embed.proj"),
    (r"^image_encoder\.layers\.", "image_encoder.blocks."),
    (r"(blocks\.\d+)\.layer_norm", r"\1.norm"),
    (r"neck\.conv1", "neck.0"),
    (r"neck\.layer_norm1", "neck.1"),
    (r"neck\.conv2", "neck.2"),
    (r"neck\.layer_norm2", "neck.3"),
    (
        r"^shared_image_embedding\.positional_embedding",
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
    ),
    (r"^prompt_encoder\.point_embed\.", "prompt_encoder.point_embeddings."),
    (r"mask_embed\.conv1", "mask_downscaling.0"),
    (r"mask_embed\.layer_norm1", "mask_downscaling.1"),
    (r"mask_embed\.conv2", "mask_downscaling.3"),
    (r"mask_embed\.layer_norm2", "mask_downscaling.4"),
    (r"mask_embed\.conv3", "mask_downscaling.6"),
    (r"transformer\.layer_norm_final_attn", "transformer.norm_final_attn"),
    (r"(transformer\.layers\.\d+)\.layer_norm", r"\1.norm"),
    (r"upscale_conv1", "output_upscaling.0"),
    (r"upscale_layer_norm", "output_upscaling.1"),
    (r"upscale_conv2", "output_upscaling.3"),
]


def original_state(state, config):
    """state by Hugging Face names -> the same tensors by original names."""
    depths = {
        "iou_prediction_head": config.mask_decoder_config.iou_head_depth,
        "output_hypernetworks_mlps": 3,
    }
    out = {}
    for name, tensor in state.items():
        if name == PROMPT_PE:
            if SHARED_PE in state:
                continue
            name = SHARED_PE
        head = next((key for key in depths if key in name), None)
        if head:
            name = re.sub(r"\.layers\.(\d+)\.", lambda m: f".layers.{int(m[1]) + 1}.", name)
            name = name.replace(".proj_in.", ".layers.0.").replace(
                ".proj_out.", f".layers.{depths[head] - 1}."
            )
        for pattern, replacement in RENAMES:
            name = re.sub(pattern, replacement, name)
        out[name] = tensor
    return out


# ---- random weights


def _smooth_table(shape, generator):
    """[1,g,g,D]: one slow plane wave per channel, so that neighbours look alike as in a trained table."""
    _, grid, _, dim = shape
    freq = (torch.rand(2, dim, generator=generator) - 0.5) * 3.0
    phase = torch.rand(dim, generator=generator) * 2 * math.pi
    at = (torch.arange(grid) + 0.5) / grid
    wave = at[:, None, None] * freq[0] + at[None, :, None] * freq[1]
    return (0.5 * torch.cos(2 * math.pi * wave + phase))[None]


def _random_tensor(name, shape, generator):
    """One tensor, scaled by its role so that activations stay near 1 through the network."""

    def normal(*size):
        return torch.randn(*(size or shape), generator=generator)

    if name.endswith("pos_embed"):
        return _smooth_table(shape, generator)
    if "positional_embedding" in name:
        return normal()
    if "rel_pos" in name:
        return 0.3 * normal()
    if "layer_norm" in name:
        return 0.1 * normal() + (1.0 if name.endswith("weight") else 0.0)
    if name.endswith("bias"):
        return 0.1 * normal()
    if (
        "upscale_conv" in name
    ):  # [in,out,2,2]: the four sub-pixels share most of their weights, else masks are a checkerboard
        return (normal(shape[0], shape[1], 1, 1) + 0.15 * normal()) / math.sqrt(shape[0])
    if "mask_tokens" in name or "iou_token" in name or "point_embed" in name:
        return normal()
    if name.endswith("embed.weight"):
        return 0.5 * normal()
    gain = 1.0
    if re.search(r"vision_encoder.*(attn\.proj|mlp\.lin2)\.weight", name):
        gain = 0.7  # ends of residual branches: keeps 32 blocks from growing without bound
    elif name.endswith("qkv.weight"):
        gain = 1.2
    return gain * normal() / math.sqrt(math.prod(shape[1:]))


def random_state(config, seed):
    """{Hugging Face name: f32 tensor} for the whole model. Each tensor has its own seed, from seed and
    its name."""
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in SamModel(config).state_dict().items()}
    shapes.pop(PROMPT_PE)
    state = {}
    for name in sorted(shapes):
        generator = torch.Generator().manual_seed(seed * 1000003 + zlib.crc32(name.encode()))
        state[name] = _random_tensor(name, shapes[name], generator).contiguous()
    return state


def _round(values, step):
    """Coarse steps, so that the calibration gives the same weights whatever the last bits of the sums
    were."""
    return torch.round(values / step) * step


@torch.no_grad()
def calibrate(config, state, image, logit_std=7.0):
    """Rescales the last layer of the hypernetwork and IoU heads, in place, so that on image the masks
    have logits of both signs with a spread of several units and the predicted IoUs look like IoUs that
    depend on the clicks."""
    model = hf_model(config, state)
    pixels, size = preprocess(image, config.vision_config.image_size)
    embedding = model.vision_encoder(pixels[None]).last_hidden_state
    height, width = size.original
    decoder = model.mask_decoder
    hyper, feature, iou = [], [], []
    hooks = [
        mlp.register_forward_hook(lambda m, i, o: hyper.append(o[0, 0]))
        for mlp in decoder.output_hypernetworks_mlps
    ]
    hooks.append(
        decoder.upscale_conv2.register_forward_hook(lambda m, i, o: feature.append(decoder.activation(o)[0]))
    )
    hooks.append(decoder.iou_prediction_head.register_forward_hook(lambda m, i, o: iou.append(o[0, 0])))
    for index in range(12):
        at = [
            ((index * 0.381966 + 0.13 * k) % 1 * width, (index * 0.618034 + 0.29 * k) % 1 * height)
            for k in range(1 + index % 4)
        ]
        labels = [1] + [k % 2 for k in range(index % 4)]
        predict_hf(model, embedding, size, Prompt(points=np.array(at), labels=np.array(labels)))
    for hook in hooks:
        hook.remove()
    tokens = len(decoder.output_hypernetworks_mlps)
    hyper = torch.stack(hyper).reshape(-1, tokens, hyper[0].shape[-1])  # [cases, tokens, C/8]
    feature = torch.stack(feature).flatten(2)  # [cases, C/8, pixels]
    mean = feature.mean((0, 2))
    away = torch.eye(len(mean)) - torch.outer(mean, mean) / mean.dot(
        mean
    )  # removes the constant part of a mask
    away = _round(away, 1 / 64)
    for token in range(tokens):
        prefix = f"mask_decoder.output_hypernetworks_mlps.{token}.proj_out."
        logits = torch.einsum("nc,ncp->np", hyper[:, token] @ away.T, feature)
        scale = _round(logit_std / logits.std(), 1 / 16)
        state[prefix + "weight"] = scale * (away @ state[prefix + "weight"])
        state[prefix + "bias"] = scale * (away @ state[prefix + "bias"])
    iou = torch.stack(iou)
    prefix = "mask_decoder.iou_prediction_head.proj_out."
    scale = _round(0.12 / iou.std(0), 1 / 256)
    want = torch.tensor([0.62] + [0.70 + 0.04 * ((2 * k) % 3) for k in range(tokens - 1)])
    state[prefix + "weight"] = scale[:, None] * state[prefix + "weight"]
    state[prefix + "bias"] = scale * state[prefix + "bias"] + _round(want - scale * iou.mean(0), 1 / 256)
    return state


def calibrated_state(config, seed, image, dtype):
    """random_state, calibrated, rounded to the stored dtype (a torch dtype)."""
    state = calibrate(config, random_state(config, seed), image)
    return {name: tensor.to(dtype).contiguous() for name, tensor in state.items()}


# ---- one click's way through the network


@dataclass
class Size:
    original: tuple  # H, W of the image
    scaled: tuple  # newH, newW inside the S x S input
    side: int  # S


@dataclass
class Prompt:
    """Clicks in pixels of the original image, as doubles; None stands for absent."""

    points: np.ndarray = None  # [n,2] x, y
    labels: np.ndarray = None  # [n] 1 positive, 0 negative
    box: np.ndarray = None  # [4] x0, y0, x1, y1
    mask_input: np.ndarray = None  # [4g,4g] raw logits of an earlier round


def scaled_size(height, width, side):
    scale = side * 1.0 / max(height, width)
    return int(height * scale + 0.5), int(width * scale + 0.5)


def preprocess(image, side):
    """uint8 [H,W,3] -> f32 [3,S,S], Size: Pillow bilinear on bytes, normalise, zero-pad right and bottom."""
    height, width = image.shape[:2]
    new_h, new_w = scaled_size(height, width, side)
    pixels = np.asarray(Image.fromarray(image).resize((new_w, new_h), Image.BILINEAR))
    pixels = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float()
    pixels = (pixels - torch.tensor(PIXEL_MEAN)[:, None, None]) / torch.tensor(PIXEL_STD)[:, None, None]
    out = torch.zeros(3, side, side)
    out[:, :new_h, :new_w] = pixels
    return out, Size((height, width), (new_h, new_w), side)


def scale_coords(coords, size):
    """[..., 2] x, y of the original image -> of the scaled frame; in double, rounded to f32 once at the
    end."""
    factor = np.array([size.scaled[1] / size.original[1], size.scaled[0] / size.original[0]])
    return torch.from_numpy((np.asarray(coords, dtype=np.float64) * factor).astype(np.float32))


def postprocess(logits, size):
    """f32 [n,4g,4g] -> f32 [n,H,W]: up to S, crop to the scaled image, to the original size. Mask =
    result > 0."""
    logits = torch.nn.functional.interpolate(
        logits[None], (size.side, size.side), mode="bilinear", align_corners=False
    )
    logits = logits[..., : size.scaled[0], : size.scaled[1]]
    return torch.nn.functional.interpolate(logits, size.original, mode="bilinear", align_corners=False)[0]


def prompt_tensors(prompt, size, dtype=torch.float32):
    """Keyword arguments of SamModel for one prompt (batch 1, one click set)."""
    args = {}
    if prompt.points is not None:
        args["input_points"] = scale_coords(prompt.points, size)[None, None].to(dtype)
        args["input_labels"] = torch.as_tensor(prompt.labels, dtype=torch.int64)[None, None]
    if prompt.box is not None:
        args["input_boxes"] = (
            scale_coords(np.asarray(prompt.box).reshape(2, 2), size).reshape(1, 1, 4).to(dtype)
        )
    if prompt.mask_input is not None:
        args["input_masks"] = torch.as_tensor(prompt.mask_input, dtype=dtype)[None, None]
    return args


@torch.no_grad()
def predict_hf(model, embedding, size, prompt, multimask=True):
    """-> low-res logits [n,4g,4g], IoU [n]; embedding [1,C,g,g]."""
    out = model(
        image_embeddings=embedding,
        multimask_output=multimask,
        **prompt_tensors(prompt, size, embedding.dtype),
    )
    return out.pred_masks[0, 0], out.iou_scores[0, 0]


@torch.no_grad()
def predict_original(predictor, prompt, multimask=True):
    """-> low-res logits [n,4g,4g], IoU [n], full-size logits [n,H,W], through SamPredictor (set_image was
    called)."""
    full, iou, low = predictor.predict(
        point_coords=prompt.points,
        point_labels=prompt.labels,
        box=prompt.box,
        mask_input=None if prompt.mask_input is None else np.asarray(prompt.mask_input)[None],
        multimask_output=multimask,
        return_logits=True,
    )
    return torch.from_numpy(low), torch.from_numpy(iou), torch.from_numpy(full)


def original_predictor(sam, image):
    predictor = SamPredictor(sam)
    predictor.set_image(image)
    return predictor
