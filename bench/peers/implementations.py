"""The peers: one class per library, all with the same four calls. Nothing is timed here.

load() reads the weights. encode(pixels f32 [1,3,S,S]) gives the embedding in the peer's own type.
decode(embedding, points f32 [n,2] in the S x S frame) gives (low-res logits [n,3,4g,4g], IoU [n,3]) for n
click sets of one positive click each, as one batch. unload() frees everything. as_numpy makes f32 arrays.
"""

import contextlib
import gc
import sys
import warnings
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "weights_tools" / "golden"))

from sam_common import hf_model, load_checkpoint, original_model, original_state  # noqa: E402


class TorchPeer:
    """What the two PyTorch implementations share: where bfloat16 enters."""

    def __init__(self, mode):
        self.mode = mode  # f32, bf16 (weights and activations), autocast (f32 weights)
        self.precision = "f32" if mode == "f32" else "bf16"
        self.dtype = torch.bfloat16 if mode == "bf16" else torch.float32
        self.model = None

    def context(self):
        stack = contextlib.ExitStack()
        stack.enter_context(torch.inference_mode())
        if self.mode == "autocast":
            stack.enter_context(torch.autocast("cpu", torch.bfloat16))
        return stack

    def unload(self):
        self.model = None
        gc.collect()

    @staticmethod
    def as_numpy(tensor):
        return tensor.float().numpy()


class Transformers(TorchPeer):
    """transformers' SamModel."""

    def __init__(self, attention, mode):
        super().__init__(mode)
        self.attention = attention
        self.name = f"transformers {attention}" + {"bf16": ", bf16 weights", "autocast": ", autocast"}.get(
            mode, ""
        )

    def load(self, folder):
        self.model = hf_model(*load_checkpoint(folder), attention=self.attention).to(self.dtype)

    def encode(self, pixels):
        with self.context():
            return self.model.vision_encoder(torch.from_numpy(pixels).to(self.dtype)).last_hidden_state

    def decode(self, embedding, points):
        at = torch.from_numpy(points)[None, :, None].to(self.dtype)
        labels = torch.ones(1, len(points), 1, dtype=torch.int64)
        with self.context():
            out = self.model(image_embeddings=embedding, input_points=at, input_labels=labels)
        return out.pred_masks[0], out.iou_scores[0]


class SegmentAnything(TorchPeer):
    """The original's modules, called as SamPredictor does. Its prompt encoder cannot have bf16 weights."""

    def __init__(self, mode):
        super().__init__(mode)
        self.name = "segment_anything" + {"bf16": ", bf16 weights", "autocast": ", autocast"}.get(mode, "")

    def load(self, folder):
        config, state = load_checkpoint(folder)
        self.model = original_model(config, original_state(state, config)).to(self.dtype)

    def encode(self, pixels):
        with self.context():
            return self.model.image_encoder(torch.from_numpy(pixels).to(self.dtype))

    def decode(self, embedding, points):
        if self.mode == "bf16":
            return None
        labels = torch.ones(len(points), 1, dtype=torch.int32)
        with self.context():
            sparse, dense = self.model.prompt_encoder(
                points=(torch.from_numpy(points)[:, None], labels), boxes=None, masks=None
            )
            return self.model.mask_decoder(
                image_embeddings=embedding,
                image_pe=self.model.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=True,
            )


class Encoder(torch.nn.Module):
    """For tracing: pixels -> embedding."""

    def __init__(self, model):
        super().__init__()
        self.encoder = model.vision_encoder

    def forward(self, pixels):
        return self.encoder(pixels).last_hidden_state


class Decoder(torch.nn.Module):
    """For tracing: embedding, points [1,n,1,2] -> logits, IoU; every click positive."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, embedding, points):
        labels = torch.ones_like(points[..., 0], dtype=torch.int64)
        out = self.model(image_embeddings=embedding, input_points=points, input_labels=labels)
        return out.pred_masks, out.iou_scores


class OpenVino:
    """OpenVINO's CPU plugin on transformers' model, traced once into cache (one decoder per batch size).
    The trace of eager attention is the fast one: ViT-B in bf16 2.8 s against 9 s for that of sdpa."""

    def __init__(self, precision, threads, cache, attention="eager"):
        self.precision, self.threads, self.cache, self.attention = precision, threads, Path(cache), attention
        self.name = "OpenVINO" if attention == "eager" else f"OpenVINO, {attention} trace"
        self.compiled = {}

    def convert(self, key, folder):
        """key "encode" or ("decode", n) -> path of the IR, made if it is not there."""
        import openvino

        label = key if key == "encode" else f"decode{key[1]}"
        path = self.cache / f"{Path(folder).name}-{self.attention}-{label}.xml"
        weights = Path(folder) / "model.safetensors"
        if not path.exists() or path.stat().st_mtime < weights.stat().st_mtime:
            self.cache.mkdir(parents=True, exist_ok=True)
            config, state = load_checkpoint(folder)
            model = hf_model(config, state, attention=self.attention)
            side = config.vision_config.image_size
            grid, width = side // config.vision_config.patch_size, config.vision_config.output_channels
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the tracer's, about sizes that are constant here
                if key == "encode":
                    inputs = (torch.zeros(1, 3, side, side),)
                    network = openvino.convert_model(Encoder(model), example_input=inputs)
                else:
                    inputs = (torch.zeros(1, width, grid, grid), torch.zeros(1, key[1], 1, 2))
                    network = openvino.convert_model(Decoder(model), example_input=inputs)
            network.reshape({index: list(value.shape) for index, value in enumerate(inputs)})
            openvino.save_model(network, path, compress_to_fp16=False)
        return path

    def network(self, key):
        if key not in self.compiled:
            import openvino

            options = {
                "INFERENCE_PRECISION_HINT": self.precision,
                "INFERENCE_NUM_THREADS": self.threads,
                "NUM_STREAMS": 1,
                "PERFORMANCE_HINT": "LATENCY",
            }
            self.compiled[key] = openvino.Core().compile_model(self.convert(key, self.folder), "CPU", options)
        return self.compiled[key]

    def load(self, folder):
        self.folder = folder

    def encode(self, pixels):
        return self.network("encode")([pixels])[0]

    def decode(self, embedding, points):
        out = self.network(("decode", len(points)))([embedding, points[None, :, None]])
        return out[0][0], out[1][0]

    def unload(self):
        self.compiled = {}
        gc.collect()

    @staticmethod
    def as_numpy(tensor):
        return np.asarray(tensor, dtype=np.float32)


def all_peers(threads, cache):
    """{short name for --peers: constructor}; the default of --peers is all but OPTIONAL."""
    peers = {}
    for precision in ("f32", "bf16"):
        peers[f"openvino-{precision}"] = lambda p=precision: OpenVino(p, threads, cache)
        peers[f"openvino-sdpa-{precision}"] = lambda p=precision: OpenVino(p, threads, cache, "sdpa")
    for mode in ("f32", "bf16", "autocast"):
        for attention in ("sdpa", "eager"):
            peers[f"hf-{attention}-{mode}"] = lambda a=attention, m=mode: Transformers(a, m)
        peers[f"sa-{mode}"] = lambda m=mode: SegmentAnything(m)
    return peers


OPTIONAL = ("openvino-sdpa-f32", "openvino-sdpa-bf16")
