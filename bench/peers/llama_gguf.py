"""A Hugging Face directory of a LLaMA or Qwen2 in bf16 as a GGUF file for llama.cpp, without a tokenizer.

  python bench/peers/llama_gguf.py MODEL_DIR OUT.gguf

The same bits: matrices stay bf16, vectors (norms, biases) become f32, as llama.cpp wants them. One tensor is
in memory at a time.
"""

import argparse
import json
import math
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors import safe_open

NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
WHOLE = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


def gguf_name(name):
    if name in WHOLE:
        return WHOLE[name]
    _, _, index, rest = name.split(".", 3)
    part, kind = rest.rsplit(".", 1)
    return f"blk.{index}.{NAMES[part]}.{kind}"


def permute(tensor, heads):
    """
    llama.cpp turns neighbouring values of a LLaMA's head as pairs, where Hugging Face pairs the halves of a
    head: rows 0, d/2, 1, d/2 + 1, ... of each head.
    """
    return tensor.unflatten(0, (heads, 2, -1)).transpose(1, 2).flatten(0, 2)


def convert(name, tensor, config):
    """The tensor as an array that gguf writes, and its type there."""
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    part = name.split(".")[-2]
    if config["model_type"] == "llama" and part in heads:
        tensor = permute(tensor, heads[part])
    if tensor.dim() == 1:
        return tensor.float().numpy(), gguf.GGMLQuantizationType.F32
    return tensor.contiguous().view(torch.uint8).numpy(), gguf.GGMLQuantizationType.BF16


def rope_factors(rope, head_dim):
    """What llama.cpp divides the frequencies by: Llama 3.1's scaling, as in modeling_rope_utils.py."""
    low = rope["original_max_position_embeddings"] / rope["low_freq_factor"]
    high = rope["original_max_position_embeddings"] / rope["high_freq_factor"]
    factors = []
    for i in range(0, head_dim, 2):
        length = 2 * math.pi * rope["rope_theta"] ** (i / head_dim)
        smooth = (low / length - 1) / (low / high - 1)
        between = 1 / ((1 - smooth) / rope["factor"] + smooth)
        factors.append(1.0 if length < high else rope["factor"] if length > low else between)
    return np.array(factors, dtype=np.float32)


def add_keys(writer, config, head_dim):
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)


def write_gguf(folder, path):
    """Complete or not there: the file gets its name last."""
    config = json.loads((folder / "config.json").read_text())
    head_dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    unfinished = path.with_suffix(".part")
    writer = gguf.GGUFWriter(unfinished, config["model_type"])
    add_keys(writer, config, head_dim)
    extra = {}
    if config["rope_parameters"]["rope_type"] == "llama3":
        extra["rope_freqs.weight"] = rope_factors(config["rope_parameters"], head_dim)
    with safe_open(folder / "model.safetensors", "pt") as file:
        names = list(file.keys())
        for name in names:  # twice: infos stand before the values
            array, kind = convert(name, file.get_tensor(name), config)
            writer.add_tensor_info(gguf_name(name), array.shape, array.dtype, array.nbytes, kind)
        for name, array in extra.items():
            writer.add_tensor_info(name, array.shape, array.dtype, array.nbytes)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for name in names:
            writer.write_tensor_data(convert(name, file.get_tensor(name), config)[0])
        for array in extra.values():
            writer.write_tensor_data(array)
    writer.close()
    unfinished.rename(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    write_gguf(args.model, args.out)


if __name__ == "__main__":
    main()
