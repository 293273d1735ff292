"""Pairs of images that other packages have measured, too."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor


class Pairs(NamedTuple):
    """Damaged and clean images, (4, 3, 96, 120) each in [0, 1], in steps of 8 bits or of 3."""

    damaged: Tensor
    clean: Tensor


@pytest.fixture(scope="session")
def pairs(bundled: dict[str, Tensor]) -> Pairs:
    """A coarse cat, a coarse coffee, a blurred cat, a blurred coffee."""
    clean = torch.cat([(bundled[name][..., 40:136, 60:180] + 1) / 2 for name in ("cat", "coffee")])
    # Steps of 8 bits exactly, whatever the way through [-1, 1] did.
    clean = (clean * 255).round() / 255
    box = torch.ones(3, 1, 5, 5) / 25
    blurred = F.conv2d(F.pad(clean, (2,) * 4, mode="replicate"), box, groups=3)
    return Pairs(torch.cat([(clean * 8).round() / 8, (blurred * 255).round() / 255]), clean.repeat(2, 1, 1, 1))
