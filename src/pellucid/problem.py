"""Known facts about one damaged image, or a batch, and the only place where units change.

Inside the library images are in [-1, 1]; people and papers' tables use [0, 1]. A noise level of 0.05 in a table is
therefore 0.1 in here. Nothing outside this module multiplies or divides by that two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .errors import UsageError

if TYPE_CHECKING:
    from .diagnosis import Diagnosis
    from .operators import Operator


def to_model(image: Tensor) -> Tensor:
    """Images from [0, 1], what people have, to [-1, 1], what the library computes in."""
    return image * 2 - 1


def to_zero_one(image: Tensor) -> Tensor:
    """Images from [-1, 1] back to [0, 1], for losses that papers define there; not clamped."""
    return (image + 1) / 2


def to_unit(image: Tensor) -> Tensor:
    """Images from [-1, 1] back to [0, 1], clamped: the one clamp of a restoration, on its output only."""
    return to_zero_one(image).clamp(0, 1)


@dataclass(frozen=True)
class Problem:
    """A damaged image `y = A(x) + sigma_y n` with what is known about how it came to be.

    Attributes:
        y: the measurement, float, in [-1, 1] units; without an operator an image batch of shape (B, C, H, W).
        operator: the degradation A, or None when nobody knows it (blind restoration).
        sigma_y: standard deviation of the noise on y **in [-1, 1] units**, or None when unknown. Use
            `Problem.of` to give it as the papers do, in [0, 1] units.
        known: what is known of each image's damage, for methods that would look for it; empty to look for all.

    Raises:
        UsageError: y is no floating-point batch, holds NaN or infinity, or sigma_y is negative.
    """

    y: Tensor
    operator: Operator | None = None
    sigma_y: float | None = None
    known: tuple[Diagnosis, ...] = ()

    def __post_init__(self) -> None:
        if not self.y.is_floating_point():
            raise UsageError(f"Problem needs a floating-point image in [-1, 1], not {self.y.dtype}")
        if self.operator is None and (self.y.ndim != 4 or self.y.numel() == 0):
            raise UsageError(f"Problem needs images of shape (B, C, H, W), not {tuple(self.y.shape)}")
        if not torch.isfinite(self.y).all():
            raise UsageError("the image holds values that are not finite (NaN or infinity)")
        if self.known and len(self.known) != len(self.y):
            raise UsageError(f"{len(self.known)} diagnoses are known, of {len(self.y)} images")
        if self.sigma_y is not None and not (math.isfinite(self.sigma_y) and self.sigma_y >= 0):
            raise UsageError(f"the noise level must be a number from 0 up, not {self.sigma_y}")

    @property
    def noise(self) -> float | None:
        """`sigma_y` in [0, 1] units, for code that people and papers wrote for them."""
        return None if self.sigma_y is None else self.sigma_y / 2

    @classmethod
    def of(cls, image: Tensor, operator: Operator | None = None, noise: float | None = None) -> Problem:
        """Makes the problem from what a person has: an image and a noise level in [0, 1] units.

        Args:
            image: the damaged image, (B, C, H, W) in [0, 1].
            operator: the degradation, if known.
            noise: standard deviation of its noise in [0, 1] units (0.1 is about 25/255), if known.
        """
        return cls(to_model(image), operator, None if noise is None else 2 * noise)
