"""What a degradation is."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Operator(Protocol):
    """A known degradation `y = A(x)` on images (B, C, H, W) in [-1, 1]."""

    def A(self, x: Tensor) -> Tensor:  # noqa: N802 - the field's name
        """Damages clean images."""
        ...
