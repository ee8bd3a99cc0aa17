"""Tiny decoders of the LLaMA family for tests/golden/llama, and what transformers makes of them in f32.

  python weights_tools/golden/make_llama.py [OUT_DIR] [--only NAME]

Each folder holds a checkpoint (config.json and weights in one of the layouts that releases have) and
cases.safetensors: `tokens` i32 [T], the teacher-forced `logits` f32 [T,V], `prompt` i32 [P] and the `greedy`
continuation i32 [64], which a plain loop takes from full forwards, without a KV cache and without generate().
The script refuses weights whose greedy text is dull or has a near tie.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config

NEW_TOKENS = 64
LEAST_KINDS = 12  # different tokens in a greedy text
LEAST_LEAD = 2e-3  # of the best logit before the second, in units of the largest

LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


def sizes(hidden, layers, heads, kv_heads, mlp, vocabulary, positions, **others):
    return dict(
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        intermediate_size=mlp,
        vocab_size=vocabulary,
        max_position_embeddings=positions,
        bos_token_id=1,
        eos_token_id=2,
        **others,
    )


CASES = {
    # config.json as transformers 4 writes it; one file
    "llama2": dict(
        config=LlamaConfig(**sizes(64, 2, 4, 4, 96, 96, 256, rms_norm_eps=1e-5)),
        dtype=torch.bfloat16,
        layout="safetensors",
        old=True,
        seed=2,
    ),
    # grouped queries, heads wider than hidden_size / heads, frequencies scaled; config.json of transformers 5
    "llama3": dict(
        config=LlamaConfig(**sizes(48, 2, 4, 2, 64, 80, 512, head_dim=32, rope_parameters=LLAMA3)),
        dtype=torch.bfloat16,
        layout="sharded",
        old=False,
        seed=1,
    ),
    # bias in q, k, v; the embedding is the head
    "qwen2": dict(
        config=Qwen2Config(**sizes(32, 3, 2, 1, 64, 100, 256, tie_word_embeddings=True)),
        dtype=torch.bfloat16,
        layout="safetensors",
        old=False,
        seed=2,
    ),
    # shards of torch.save(), f16, and the frequencies that old files hold beside the weights
    "mistral": dict(
        config=MistralConfig(**sizes(64, 2, 4, 2, 80, 96, 256, sliding_window=None)),
        dtype=torch.float16,
        layout="bin",
        old=True,
        seed=1,
    ),
    # every bias, linear scaling, in the spelling of transformers 4
    "linear": dict(
        config=LlamaConfig(
            **sizes(
                32,
                2,
                2,
                2,
                48,
                64,
                128,
                attention_bias=True,
                mlp_bias=True,
                rope_parameters={"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0},
            )
        ),
        dtype=torch.float32,
        layout="safetensors",
        old=True,
        seed=6,
    ),
}


def randomise(model, dtype, seed):
    """Weights on which everything matters, rounded to the dtype of the file."""
    random = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        normal = torch.randn(weight.shape, generator=random)
        if weight.dim() == 1 and name.endswith("weight"):
            value = 1.0 + 0.2 * normal
        elif weight.dim() == 1:
            value = 0.3 * normal
        elif "embed_tokens" in name or "lm_head" in name:
            value = normal * (1.0 if "embed" in name else 0.4)
        else:
            value = normal * 1.5 / weight.shape[1] ** 0.5
        weight.data = value.to(dtype).float()


def logits_of(model, tokens):
    with torch.no_grad():
        return model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0]


def greedy_text(model, prompt):
    """The continuation, and the smallest lead of a chosen token in units of the largest logit."""
    tokens, lead = list(prompt), 1.0
    for _ in range(NEW_TOKENS):
        last = logits_of(model, tokens)[-1]
        best = torch.topk(last, 2).values
        lead = min(lead, float((best[0] - best[1]) / last.abs().max()))
        tokens.append(int(last.argmax()))
    return tokens[len(prompt) :], lead


def config_json(config, dtype, old):
    name = str(dtype).removeprefix("torch.")
    values = json.loads(config.to_json_string(use_diff=False))
    values["architectures"] = [type(config).__name__.replace("Config", "ForCausalLM")]
    values["dtype"] = name
    if old:
        values["torch_dtype"] = values.pop("dtype")
        rope = values.pop("rope_parameters")
        values["rope_theta"] = rope.pop("rope_theta")
        kind = rope.pop("rope_type", "default")
        values["rope_scaling"] = None if kind == "default" else {"type": kind, **rope}
        values["transformers_version"] = "4.40.0"
    return json.dumps(values, indent=2, sort_keys=True) + "\n"


def split(state):
    """Two shards, cut in the middle of the layers."""
    names = sorted(state)
    return [names[: len(names) // 2], names[len(names) // 2 :]]


def write_weights(folder, state, layout):
    if layout == "safetensors":
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        return
    stem, ending = ("model", "safetensors") if layout == "sharded" else ("pytorch_model", "bin")
    where = {}
    for i, names in enumerate(split(state)):
        file = f"{stem}-{i + 1:05}-of-00002.{ending}"
        part = {name: state[name] for name in names}
        where.update(dict.fromkeys(names, file))
        if layout == "sharded":
            save_file(part, folder / file, metadata={"format": "pt"})
        else:
            torch.save(part, folder / file)
    total = sum(t.numel() * t.element_size() for t in state.values())
    index = {"metadata": {"total_size": total}, "weight_map": where}
    (folder / f"{stem}.{ending}.index.json").write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")


def write_model(folder, case, seed):
    folder.mkdir(parents=True, exist_ok=True)
    model = AutoModelForCausalLM.from_config(case["config"], attn_implementation="eager").float()
    randomise(model, case["dtype"], seed)
    state = {name: value.to(case["dtype"]).clone() for name, value in model.state_dict().items()}
    if case["config"].tie_word_embeddings:
        state.pop("lm_head.weight")
    if case["layout"] == "bin":
        half = case["config"].hidden_size // case["config"].num_attention_heads // 2
        for i in range(case["config"].num_hidden_layers):
            state[f"model.layers.{i}.self_attn.rotary_emb.inv_freq"] = torch.rand(half)
    write_weights(folder, state, case["layout"])
    (folder / "config.json").write_text(config_json(case["config"], case["dtype"], case["old"]))


def make_case(folder, case, seed):
    """True if the weights of this seed will do."""
    write_model(folder, case, seed)
    # read back from the files: so they are what transformers reads, too
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    random = torch.Generator().manual_seed(seed)
    vocabulary = case["config"].vocab_size
    prompt = torch.randint(3, vocabulary, (21,), generator=random).tolist()
    greedy, lead = greedy_text(model, prompt)
    if len(set(greedy)) < LEAST_KINDS or lead < LEAST_LEAD:
        return False
    tokens = torch.randint(0, vocabulary, (53,), generator=random).tolist()
    logits = logits_of(model, tokens)
    tensors = {
        "tokens": torch.tensor(tokens, dtype=torch.int32),
        "logits": logits.float().contiguous(),
        "prompt": torch.tensor(prompt, dtype=torch.int32),
        "greedy": torch.tensor(greedy, dtype=torch.int32),
    }
    save_file(tensors, folder / "cases.safetensors")
    print(f"{folder.name}: seed {seed}, {len(set(greedy))} different tokens, smallest lead {lead:.4f}")
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", nargs="?", type=Path, default=Path("tests/golden/llama"))
    parser.add_argument("--only", choices=sorted(CASES), default=None)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("highest")
    for name, case in CASES.items():
        if args.only in (None, name):
            seed = case["seed"]
            while not make_case(args.out / name, case, seed):
                seed += 1


if __name__ == "__main__":
    main()
