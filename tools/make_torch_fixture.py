#!/usr/bin/env python3
"""Writes the small pytorch_model.bin files that src/store/torch_bin_test.cc reads.

Usage: make_torch_fixture.py OUT_FOLDER   (needs torch; made with Debian's python3-torch 1.13)
Not part of the build: the files are committed, this says how they came to be.
"""
import sys
from pathlib import Path

import torch


def main() -> None:
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
    with torch.no_grad():
        for i, parameter in enumerate(model.parameters()):
            parameter.copy_(torch.arange(parameter.numel()).reshape(parameter.shape) + 10 * i)
    torch.save(model.state_dict(), out / "state_dict.bin")  # OrderedDict with _metadata

    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    torch.save(
        {
            "base": base,
            "transposed": base.t(),
            "slice": base[1:3, 2:5],
            "row": base[2],
            "expanded": torch.arange(5).expand((1, -1)),
            "half": torch.tensor([1.5, -2.0], dtype=torch.float16),
            "bfloat16": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
            "double": torch.tensor([0.25], dtype=torch.float64),
            "int8": torch.tensor([-3, 4], dtype=torch.int8),
            "bool": torch.tensor([True, False]),
            "scalar": torch.tensor(7),
            "empty": torch.zeros((0, 3)),
            "parameter": torch.nn.Parameter(torch.ones(2)),
            "epoch": 3,
            "note": "text",
        },
        out / "views.bin",
    )
    torch.save({"epoch": 1, "state_dict": {"w": torch.ones(2)}}, out / "checkpoint.bin")
    torch.save({"w": torch.ones(2), "bad": slice(1, 2)}, out / "foreign.bin")
    torch.save({"w": torch.ones(2)}, out / "legacy.bin", _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main()
