"""A LLaVA's eyes (CLIP ViT-L/14-336, all layers but the last) on one CPU, the engine beside its peers.

  python bench/peers/peers_vit.py --work DIR [--binary build/release/segagent]

As peers.py: same weights, threads and input, rounds in which everything runs once, a Markdown table of medians.
Pixels to features, no picture's decoding or resizing. See bench/peers/README.md.
"""

import argparse
import json
import subprocess
import sys
import warnings
from pathlib import Path

import torch

from implementations import OpenVino, TorchPeer
from make_random_clip import clip_model, make_random_clip
from peers import Measurements, encode_round, print_table, summary


def features_layers(folder):
    return json.loads((Path(folder) / "config.json").read_text())["num_hidden_layers"] - 1


class Clip(TorchPeer):
    """transformers' CLIPVisionModel."""

    def __init__(self, attention, mode):
        super().__init__(mode)
        self.attention = attention
        self.name = f"transformers {attention}"
        self.name += {"bf16": ", bf16 weights", "autocast": ", autocast"}.get(mode, "")

    def load(self, folder):
        self.model = clip_model(folder, features_layers(folder), self.attention).to(self.dtype)

    def encode(self, pixels):
        with self.context():
            return self.model(torch.from_numpy(pixels).to(self.dtype)).last_hidden_state[:, 1:]


class Features(torch.nn.Module):
    """For tracing: pixels -> features."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixels):
        return self.model(pixels).last_hidden_state[:, 1:]


class OpenVinoClip(OpenVino):
    """OpenVINO's CPU plugin on the same model, traced once into cache."""

    def convert(self, key, folder):
        import openvino

        path = self.cache / f"{Path(folder).name}-{self.attention}.xml"
        if not path.exists() or path.stat().st_mtime < (Path(folder) / "model.safetensors").stat().st_mtime:
            self.cache.mkdir(parents=True, exist_ok=True)
            model = clip_model(folder, features_layers(folder), self.attention)
            side = model.config.image_size
            pixels = torch.zeros(1, 3, side, side)
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the tracer's, about sizes that are constant here
                network = openvino.convert_model(Features(model), example_input=(pixels,))
            network.reshape({0: list(pixels.shape)})
            openvino.save_model(network, path, compress_to_fp16=False)
        return path


class Inputs:
    """Random pixels, as normalised."""

    def __init__(self, folder):
        side = json.loads((folder / "config.json").read_text())["image_size"]
        self.pixels = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1)).numpy()
        self.shape = f"{side}x{side}"


def all_peers(threads, cache):
    peers = {}
    for precision in ("f32", "bf16"):
        for attention in ("eager", "sdpa"):
            peers[f"openvino-{attention}-{precision}"] = lambda p=precision, a=attention: OpenVinoClip(
                p, threads, cache, a
            )
    for mode in ("f32", "bf16", "autocast"):
        for attention in ("sdpa", "eager"):
            peers[f"hf-{attention}-{mode}"] = lambda a=attention, m=mode: Clip(a, m)
    return peers


def engine_round(args, precision, store):
    command = [
        args.binary,
        "bench",
        "vit",
        "--model",
        str(args.segmenter),
        "--json",
        "--precision",
        precision,
    ]
    command += ["--threads", str(args.threads), "--repeats", "1"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}")
    for line in done.stdout.splitlines():
        row = json.loads(line)
        if row["name"] == "encode":
            store.add("encode", "segagent", row["precision"], row["ms"]["median"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--work", type=Path, required=True, help="folder for random weights and converted models"
    )
    parser.add_argument("--binary", help="the engine's program; without it the peers are timed alone")
    parser.add_argument("--precision", nargs="+", default=["f32", "bf16"], help="what the engine is run with")
    parser.add_argument("--peers", nargs="*", choices=list(all_peers(1, "")), help="default: all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    args.segmenter = args.work / "clip-l14-336"
    torch.set_num_threads(args.threads)
    if not (args.segmenter / "model.safetensors").exists():
        make_random_clip(args.segmenter)
    constructors = all_peers(args.threads, args.work / "openvino")
    peers = [make() for name, make in constructors.items() if args.peers is None or name in args.peers]
    inputs, store, reference = Inputs(args.segmenter), Measurements(), {}
    for index in range(args.rounds):
        for peer in peers:  # one in memory at a time, with one run that is not counted
            peer.load(args.segmenter)
            encode_round(peer, inputs, True, store, reference)
            peer.unload()
        for precision in args.precision if args.binary else []:
            engine_round(args, precision, store)
        print(f"round {index + 1}/{args.rounds}", file=sys.stderr)
    print_table(args, summary(store), inputs)


if __name__ == "__main__":
    main()
