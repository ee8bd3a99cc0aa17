"""Makes tests/golden/weights: small weight files as torch and safetensors write them, and what they hold.

  python weights_tools/golden/make_weights.py [--out tests/golden/weights]

expected.json: {FILE: {TENSOR: {"dtype", "shape", "values"}}} for files that must be read, {FILE: "substring"}
for files that must be refused with a reason that has this substring. Seeded: the same torch writes the same
bytes, but for the legacy and TorchScript files, which hold addresses and times.
"""

import argparse
import json
import shutil
import sys
import types
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save_file

NAMES = {
    torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16", torch.float64: "f64",
    torch.uint8: "u8", torch.int8: "i8", torch.int16: "i16", torch.int32: "i32", torch.int64: "i64", torch.bool: "bool",
}


def foreign_class(module, name):
    """A class that exists only while this script runs, as SimpleClick's losses do for everybody else."""
    made = types.ModuleType(module)
    made.__dict__[name] = type(name, (), {"__module__": module})
    parts = module.split(".")
    for i in range(1, len(parts)):
        sys.modules.setdefault(".".join(parts[:i]), types.ModuleType(".".join(parts[:i])))
    sys.modules[module] = made
    return made.__dict__[name]


def describe(tensor):
    values = tensor.double().flatten().tolist()
    return {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "values": values}


def every_kind():
    g = torch.Generator().manual_seed(7)
    base = torch.randn(4, 6, generator=g)
    shared = torch.arange(12, dtype=torch.float32)
    state = OrderedDict()
    state["f32"] = torch.randn(2, 3, generator=g)
    state["f16"] = torch.tensor([0.0, -0.0, 1.0, 65504.0, 6e-8, -6.1e-5], dtype=torch.float16)
    state["bf16"] = torch.randn(3, 2, 1, generator=g).bfloat16()
    state["f64"] = torch.randn(2, dtype=torch.float64, generator=g)
    state["parameter"] = torch.nn.Parameter(torch.randn(2, 2, generator=g))
    state["transposed"] = base.t()
    state["sliced"] = base[1:3, 1:5:2]
    state["permuted"] = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4).permute(2, 0, 1)
    state["channels_last"] = torch.randn(2, 3, 2, 2, generator=g).to(memory_format=torch.channels_last)
    state["shared.first"] = shared[:6]
    state["shared.second"] = shared[6:].view(2, 3)
    state["scalar"] = torch.tensor(-2.5)
    state["empty"] = torch.zeros(0, 3)
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        state["int." + NAMES[dtype]] = torch.tensor([[1, 2], [3, 100]], dtype=dtype)
    state["flags"] = torch.tensor([True, False, True])
    return state


def write_readable(out):
    expected = {}

    def save(name, value, tensors, **options):
        torch.save(value, out / name, **options)
        expected[name] = {key: describe(tensor) for key, tensor in tensors.items()}

    state = every_kind()
    save("kinds.pth", state, state)
    save("protocol5.pth", state, state, pickle_protocol=5)
    losses = foreign_class("isegm.model.losses", "NormalizedFocalLossSigmoid")()
    losses.alpha, losses.weights, losses.nested = 0.5, torch.ones(2), {"x": (1, 2.5, None)}
    small = {"backbone.weight": torch.arange(6.0).reshape(2, 3), "head.bias": torch.tensor([1.0, -1.0])}
    checkpoint = {"state_dict": small, "config": {"loss": losses, "size": (448, 448)}, "epoch": 54}
    save("foreign.pth", checkpoint, small)
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 2), torch.nn.BatchNorm2d(2))
    with torch.no_grad():
        for i, tensor in enumerate(module.state_dict().values()):
            tensor.fill_(i + 1)
    save("module.pth", module.state_dict(), module.state_dict())
    save("model_key.pth", {"model": small, "optimizer": {"state": {0: {"step": 3}}}}, small)
    nested = {"a": {"b": torch.ones(2), "c": {"d": torch.zeros(1)}}, "list": [torch.full((2,), 3.0)]}
    flat = {"a.b": nested["a"]["b"], "a.c.d": nested["a"]["c"]["d"], "list.0": nested["list"][0]}
    save("nested.pth", nested, flat)
    return expected


def write_refused(out):
    torch.save(every_kind(), out / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), out / "script.pt")
    torch.save(torch.nn.Linear(2, 2), out / "whole_module.pth")
    torch.save({"w": torch.eye(3).to_sparse()}, out / "sparse.pth")
    torch.save({"w": torch.zeros(3, dtype=torch.uint16)}, out / "uint16.pth")
    torch.save({"w": torch.zeros(3, dtype=torch.complex64)}, out / "complex.pth")
    torch.save({"w": torch.ones(1).expand(1000)}, out / "expanded.pth")
    torch.save({"epoch": 3}, out / "no_tensors.pth")
    return {
        "legacy.pth": "legacy", "script.pt": "TorchScript",
        "whole_module.pth": "class torch.nn.modules.linear.Linear",
        "sparse.pth": "class torch._utils._rebuild_sparse_tensor", "uint16.pth": "torch.uint16",
        "complex.pth": "class torch.ComplexFloatStorage", "expanded.pth": "overlap",
        "no_tensors.pth": "no tensors",
    }


def write_shards(out):
    state = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}
    state["b.weight"] = torch.eye(2).bfloat16()
    parts = [{k: v for k, v in state.items() if k.startswith(p)} for p in ("a", "b")]
    kinds = (("sharded", "safetensors", "model"), ("sharded_bin", "bin", "pytorch_model"))
    for folder, suffix, stem in kinds:
        (out / folder).mkdir(parents=True)
        where = {}
        for i, part in enumerate(parts):
            name = f"{stem}-{i + 1:05}-of-00002.{suffix}"
            if suffix == "bin":
                torch.save(part, out / folder / name)
            else:
                save_file(part, out / folder / name, metadata={"format": "pt"})
            where.update({key: name for key in part})
        index = {"metadata": {"total_size": 40}, "weight_map": dict(sorted(where.items()))}
        (out / folder / f"{stem}.{suffix}.index.json").write_text(json.dumps(index, indent=2) + "\n")
    return {folder: {k: describe(v) for k, v in state.items()} for folder in ("sharded", "sharded_bin")}


def main():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--out", type=Path, default=Path("tests/golden/weights"))
    out = parser.parse_args().out
    for folder in ("sharded", "sharded_bin"):
        shutil.rmtree(out / folder, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    save_file({k: v.contiguous().clone() for k, v in every_kind().items()}, out / "kinds.safetensors")
    expected = {"kinds.safetensors": {k: describe(v) for k, v in every_kind().items()}}
    expected |= write_readable(out) | write_refused(out) | write_shards(out)
    (out / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{len(expected)} entries, {size} bytes in {out}")


if __name__ == "__main__":
    main()
