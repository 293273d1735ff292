"""Blocks shared by the published networks."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Grow(nn.Module):
    """Doubles the resolution by repetition, then applies a convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        """Maps (B, width, H, W) to (B, width, 2 H, 2 W)."""
        grown: Tensor = self.conv(F.interpolate(h, scale_factor=2.0))
        return grown
