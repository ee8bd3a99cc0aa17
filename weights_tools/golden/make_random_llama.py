"""A decoder of the LLaMA family of a real size with random weights, for benchmarks.

  python weights_tools/golden/make_random_llama.py OUT_DIR [--shape llama-3.2-1b|qwen2.5-1.5b|tiny] [--seed N]

Writes config.json and model.safetensors in bf16: weights and biases N(0, 0.02), norms 1, the embedding is the
head. No tokenizer: whoever runs this takes token ids. Tensors are drawn and written piece by piece, so that a
model of any size needs little memory; every tensor has a generator of its own.
"""

import argparse
import json
from pathlib import Path

import torch
from transformers import LlamaConfig, Qwen2Config

from make_llama import config_json, sizes

DEVIATION = 0.02
PIECE = 1 << 24  # values drawn at once

LLAMA32 = dict(
    rope_type="llama3",
    rope_theta=500000.0,
    factor=32.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=8192,
)
QWEN25 = dict(rope_type="default", rope_theta=1000000.0)


def llama(*numbers):
    return LlamaConfig(
        **sizes(*numbers, rms_norm_eps=1e-5, tie_word_embeddings=True, rope_parameters=dict(LLAMA32))
    )


def qwen2(*numbers):
    return Qwen2Config(
        **sizes(*numbers, rms_norm_eps=1e-6, tie_word_embeddings=True, rope_parameters=dict(QWEN25))
    )


# hidden, layers, heads, kv heads, mlp, vocabulary, positions
SHAPES = {
    "llama-3.2-1b": lambda: llama(2048, 16, 32, 8, 8192, 128256, 131072),
    "qwen2.5-1.5b": lambda: qwen2(1536, 28, 12, 2, 8960, 151936, 32768),
    "tiny": lambda: llama(256, 2, 4, 2, 512, 1024, 16384),
    "tiny-qwen2": lambda: qwen2(256, 2, 4, 2, 512, 1024, 4096),
}


def head_dim(config):
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def layer_tensors(config, index):
    """Name, shape and whether it is a norm, of one layer's tensors."""
    hidden, mlp = config.hidden_size, config.intermediate_size
    q, kv = (n * head_dim(config) for n in (config.num_attention_heads, config.num_key_value_heads))
    matrices = {"self_attn.q_proj": (q, hidden), "self_attn.k_proj": (kv, hidden)}
    matrices |= {"self_attn.v_proj": (kv, hidden), "self_attn.o_proj": (hidden, q)}
    matrices |= {"mlp.gate_proj": (mlp, hidden), "mlp.up_proj": (mlp, hidden), "mlp.down_proj": (hidden, mlp)}
    prefix = f"model.layers.{index}."
    yield prefix + "input_layernorm.weight", (hidden,), True
    yield prefix + "post_attention_layernorm.weight", (hidden,), True
    for name, shape in matrices.items():
        yield f"{prefix}{name}.weight", shape, False
        if config.model_type == "qwen2" and name[-6:] in ("q_proj", "k_proj", "v_proj"):
            yield f"{prefix}{name}.bias", shape[:1], False


def tensors(config):
    yield "model.embed_tokens.weight", (config.vocab_size, config.hidden_size), False
    for index in range(config.num_hidden_layers):
        yield from layer_tensors(config, index)
    yield "model.norm.weight", (config.hidden_size,), True


def pieces(count, is_norm, seed):
    """The values of one tensor as bf16, in pieces."""
    random = torch.Generator().manual_seed(seed)
    for start in range(0, count, PIECE):
        size = min(PIECE, count - start)
        yield (
            torch.ones(size) if is_norm else torch.randn(size, generator=random).mul_(DEVIATION)
        ).bfloat16()


def write_safetensors(path, config, seed):
    """By hand, since the library's writer wants all tensors at once: length of the header, header, values."""
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, shape, _ in tensors(config):
        start, end = end, end + 2 * torch.Size(shape).numel()
        header[name] = dict(dtype="BF16", shape=list(shape), data_offsets=[start, end])
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for index, (_, shape, is_norm) in enumerate(tensors(config)):
            for piece in pieces(torch.Size(shape).numel(), is_norm, seed * 1000003 + index):
                file.write(piece.view(torch.int16).numpy().tobytes())


def make_random_llama(folder, shape="llama-3.2-1b", seed=1):
    """Complete or not there: the weights get their name last."""
    folder.mkdir(parents=True, exist_ok=True)
    config = SHAPES[shape]()
    (folder / "config.json").write_text(config_json(config, torch.bfloat16, old=False))
    unfinished = folder / "model.safetensors.part"
    write_safetensors(unfinished, config, seed)
    unfinished.rename(folder / "model.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="llama-3.2-1b")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    make_random_llama(args.out, args.shape, args.seed)


if __name__ == "__main__":
    main()
