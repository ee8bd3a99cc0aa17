"""SAM's CUDA kernels on the simulated GPU: what they move, compute and wait for, and an estimate of their time.

  python weights_tools/simulated_table.py --build build/release MODEL_DIR... [--device h100|a100] [--precision bf16|f16]

MODEL_DIR: a checkpoint, best one of two layers (weights_tools/golden/make_random_sam.py SIZE DIR --layers 2), whose
launches have the shapes of the whole model's. Runs `segagent bench gemm` for the products of a layer and `segagent
click` for everything else, unchanged programs, with the simulator's libcuda.so.1 and no checks, and prints Markdown.
The build must hold machine code of the device (SEGAGENT_CUDA_ARCHS), since occupancy follows from its registers.
Times are estimates by the roofline of tests/gpusim/roofline.c and no measurement.
"""

import argparse
import collections
import json
import os
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGE = ROOT / "tests/golden/demo/image.jpg"
REACHED = {"h100": 0.62 * 989.4e12, "a100": 312e12}  # flops/s of mma.sync in 16 bits, as in roofline.c
SECTOR = 32


class Bench:
    def __init__(self, build, device, precision):
        self.build, self.device, self.precision = build, device, precision

    def launches(self, arguments):
        """The launches of one run of the program, as the simulator tells them."""
        with tempfile.NamedTemporaryFile("r", suffix=".jsonl") as profile:
            environment = os.environ | {
                "LD_LIBRARY_PATH": str(self.build / "gpusim"),
                "GPUSIM_CHECK": "none",
                "GPUSIM_DEVICE": self.device,
                "GPUSIM_PROFILE": profile.name,
            }
            command = [self.build / "segagent", *arguments]
            command += ["--device", "cuda", "--precision", self.precision, "--json"]
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
            return [Launch(json.loads(line), self.device) for line in profile]


class Launch:
    def __init__(self, line, device):
        self.kernel, self.grid = line["kernel"], tuple(line["grid"])
        self.moved = SECTOR * (line["sectors_read"] + line["sectors_written"])
        self.least = SECTOR * (line["least_sectors_read"] + line["least_sectors_written"])
        self.conflicts, self.passes = line["shared_conflicts"], line["shared_passes"]
        self.where = line["conflict_lines"]
        self.flops = line["tensor_flops"]
        self.occupancy = line["occupancy"]["share"]
        self.bound, self.us = line["estimate"][device]["bound"], line["estimate"][device]["us"]

    def shape(self):
        return self.kernel, self.grid, self.flops, self.least


def megabytes(count):
    return f"{count * 1e-6:.2f}"


def share(part, whole):
    return f"{part} of {whole}" if part else "0"


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |")


def head(*cells):
    row(*cells)
    print("|" + "---|" * len(cells))


def print_products(bench, vision):
    """The four products of a layer, each alone, without bias, activation and residual."""
    hidden, mlp = vision["hidden_size"], vision["mlp_dim"]
    tokens = (vision["image_size"] // vision["patch_size"]) ** 2
    shapes = {
        "qkv": (tokens, 3 * hidden, hidden),
        "proj": (tokens, hidden, hidden),
        "lin1": (tokens, mlp, hidden),
        "lin2": (tokens, hidden, mlp),
    }
    head(
        "product", "m x n x k", "kernel", "flops / useful", "MB asked for", "MB distinct", "bank conflicts",
        "bound", "us", "share of mma.sync",
    )  # fmt: skip
    for name, (m, n, k) in shapes.items():
        run = bench.launches(["bench", "gemm", "--shape", f"{m},{n},{k}", "--repeats", "1"])
        launch = run[-1]
        useful = 2 * m * n * k
        part = useful / REACHED[bench.device] / (1e-6 * launch.us)
        row(
            name, f"{m} x {n} x {k}", launch.kernel, f"{launch.flops / useful:.3f}", megabytes(launch.moved),
            megabytes(launch.least), share(launch.conflicts, launch.passes), launch.bound, f"{launch.us:.1f}",
            f"{100 * part:.0f} %",
        )  # fmt: skip


def useful_flops(kernel, vision):
    """Of SAM's attention, position terms included (kernels/cuda/attention_grid.c); None for other kernels."""
    if not kernel.startswith("attention_grid_"):
        return None
    side = vision["image_size"] // vision["patch_size"]
    size = vision["window_size"] if "window" in kernel else side
    return side * side * vision["hidden_size"] * (4 * size * size + 4 * size)


def print_kernels(launches, vision):
    """Launches of one kind together; weights are packed once, when a model is opened."""
    groups = collections.OrderedDict()
    for launch in launches:
        if "pack" not in launch.kernel:
            groups.setdefault(launch.shape(), []).append(launch)
    shown = [group for group in groups.values() if group[0].us >= 1 or group[0].least >= 1 << 20]
    head(
        "kernel", "grid", "launches", "MB asked for", "MB distinct", "ratio", "bank conflicts of passes",
        "tensor flops / useful", "warps resident", "bound", "us",
    )  # fmt: skip
    for group in shown:
        one, useful = group[0], useful_flops(group[0].kernel, vision)
        row(
            one.kernel, " x ".join(str(n) for n in one.grid), len(group), megabytes(one.moved),
            megabytes(one.least), f"{one.moved / one.least:.2f}", share(one.conflicts, one.passes),
            f"{one.flops / useful:.3f}" if useful else "", f"{100 * one.occupancy:.0f} %", one.bound,
            f"{one.us:.1f}",
        )  # fmt: skip
    left = sum(len(group) for group in groups.values()) - sum(len(group) for group in shown)
    print(f"\n{left} launches of less than 1 us and 1 MB are left out.")
    print_conflicts(shown)


def print_conflicts(groups):
    """By line of the source, of one launch each."""
    for group in groups:
        lines = collections.Counter()
        for line in group[0].where:
            source = str(line["source"])
            lines[source.removeprefix(str(ROOT) + "/")] += line["conflicts"]
        if lines:
            told = ", ".join(f"{source} {count}" for source, count in lines.most_common())
            print(f"\nConflicts of {group[0].kernel}: {told}.")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL_DIR")
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("--device", choices=sorted(REACHED), default="h100")
    parser.add_argument("--precision", choices=["bf16", "f16"], default="bf16")
    args = parser.parse_args()
    bench = Bench(args.build.resolve(), args.device, args.precision)
    for model in args.models:
        vision = json.loads((model / "config.json").read_text())["vision_config"]
        side = vision["image_size"]
        print(f"\n### Hidden {vision['hidden_size']}, {side} x {side}, {args.precision}, {args.device}\n")
        print_products(bench, vision)
        print()
        click = ["click", "--segmenter", str(model), "--image", str(IMAGE), "--point", "160,120"]
        print_kernels(bench.launches(click), vision)


if __name__ == "__main__":
    main()
