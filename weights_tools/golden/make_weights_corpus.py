"""Makes tests/fuzz/corpus/{safetensors,pytorch}: small files and bare pickles for fuzzing to start from."""

import io
import json
import shutil
import struct
import zipfile
from pathlib import Path

import torch

GOLDEN = Path("tests/golden/weights")
CORPUS = Path("tests/fuzz/corpus")
HEADERS = {
    "empty": ({}, 0),
    "one": ({"w": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]}}, 8),
    "three": ({"__metadata__": {"format": "pt"}, "a": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]},
               "b": {"dtype": "I64", "shape": [], "data_offsets": [6, 14]},
               "c": {"dtype": "F16", "shape": [0, 5], "data_offsets": [14, 14]}}, 14),
    "hole": ({"w": {"dtype": "U8", "shape": [1], "data_offsets": [1, 2]}}, 2),
    "overflow": ({"w": {"dtype": "F64", "shape": [1 << 61, 8], "data_offsets": [0, 0]}}, 0),
    "float8": ({"w": {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [0, 1]}}, 1),
}


def main():
    for folder in ("safetensors", "pytorch"):
        shutil.rmtree(CORPUS / folder, ignore_errors=True)
        (CORPUS / folder).mkdir(parents=True)
    for name, (header, size) in HEADERS.items():
        text = json.dumps(header).encode()
        data = struct.pack("<Q", len(text)) + text + bytes(size)
        (CORPUS / "safetensors" / f"{name}.safetensors").write_bytes(data)
    for name in ("model_key.pth", "no_tensors.pth", "expanded.pth"):
        shutil.copy(GOLDEN / name, CORPUS / "pytorch" / name)
    for name in ("foreign.pth", "module.pth", "sparse.pth", "uint16.pth", "nested.pth", "protocol5.pth"):
        with zipfile.ZipFile(GOLDEN / name) as archive:
            record = next(entry for entry in archive.namelist() if entry.endswith("/data.pkl"))
            (CORPUS / "pytorch" / name.replace(".pth", ".pkl")).write_bytes(archive.read(record))
    eight = torch.zeros(8)  # the storage that fuzz_pytorch puts beside a bare pickle
    views = {"w": eight, "t": eight.view(2, 4).t(), "s": eight[1::3], "p": torch.nn.Parameter(eight[:0])}
    for protocol in (2, 4):
        stream = io.BytesIO()
        torch.save({"state_dict": views, "epoch": 1}, stream, pickle_protocol=protocol)
        with zipfile.ZipFile(stream) as archive:
            record = next(entry for entry in archive.namelist() if entry.endswith("/data.pkl"))
            (CORPUS / "pytorch" / f"views{protocol}.pkl").write_bytes(archive.read(record))


if __name__ == "__main__":
    main()
