"""Fixtures shared by all tests: photographs, where they are at hand, and small priors."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image
from torch import Tensor

# A busy machine is no failure; in CI the same examples each time.
settings.register_profile("pellucid", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("pellucid")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of development data; tests that need it are skipped on a machine without it."""
    folder = Path(os.environ.get("PELLUCID_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "data" / "eval").is_dir():
        pytest.skip("needs the development photographs: set PELLUCID_SHARED to the folder that holds data/eval")
    return folder


@pytest.fixture(scope="session")
def photographs(shared: Path) -> dict[str, Tensor]:
    """The evaluation photographs by name, each (1, 3, 256, 256) in [-1, 1]."""
    return {path.stem: read(path) for path in sorted((shared / "data" / "eval").glob("*.png"))}


def read(path: Path) -> Tensor:
    """Reads an RGB file as (1, 3, H, W) in [-1, 1]."""
    with Image.open(path) as image:
        pixels = torch.from_numpy(np.array(image.convert("RGB")))
    return pixels.permute(2, 0, 1)[None].float() / 127.5 - 1
