"""Files of tensors as they are written; test_checkpoint.py has how they are read and refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from pellucid.errors import PellucidError
from pellucid.priors import tensors


def test_what_is_written_is_read_and_begins_on_cache_lines(tmp_path: Path) -> None:
    path, random = tmp_path / "a.safetensors", torch.Generator().manual_seed(0)
    weights = {
        "b": torch.randn(3, 5, generator=random),
        "a.bias": torch.randn(3, generator=random),
        "c": torch.randn(16, 2, 3, generator=random).transpose(0, 1),
        "d": torch.randn(32, generator=random).half(),
        "e": torch.arange(8),
        "f": torch.tensor(2.5),
        "ü": torch.empty(0, 4),
    }
    tensors.write_safetensors(path, weights)
    for read in (load_file(path), tensors.read(path)):
        assert read.keys() == weights.keys()
        for name, weight in weights.items():
            assert read[name].dtype == weight.dtype
            assert torch.equal(read[name], weight)
        assert all(read[name].data_ptr() % 64 == 0 for name in ("c", "d", "e"))
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_a_file_that_ends_early_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    tensors.write_safetensors(path, {"a": torch.zeros(100)})
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(PellucidError, match="no whole safetensors file"):
        tensors.read(path)
